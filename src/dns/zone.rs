//! Records from text: a zone file (RFC 1035 §5.1) or JSON.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::lookup::{Ask, DnsName, Found, Pending, Question, Record, RecordType, Said};
use super::{Answer, Cause, LookupTxt};
use crate::name::KeyName;

mod closest;
mod data;
mod error;
#[cfg(test)]
mod tests;

pub use self::error::ZoneError;

use self::closest::AtName;

/// The records of some names. A name above one of these exists, and is empty; for every other a wildcard stands
/// (RFC 4592), or it does not exist.
///
/// ```
/// use dkimkit::dns::{Answer, LookupTxt, Zone};
/// use dkimkit::name::{Domain, KeyName, Selector};
/// let zone = Zone::parse("mail._domainkey.example.com. 300 IN TXT ( \"v=DKIM1; \" \"p=Zm9v\" )")?;
/// let name = KeyName::new(&Selector::new("mail").unwrap(), &Domain::new("example.com").unwrap()).unwrap();
/// let Answer::Records { txt, .. } = zone.lookup_txt(&name) else { panic!() };
/// assert_eq!(txt, [b"v=DKIM1; p=Zm9v"]);
/// # Ok::<(), dkimkit::dns::ZoneError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Zone {
    /// Names in lower case with their final dot.
    names: HashMap<String, Entry>,
    /// The names above those that exist.
    above: HashSet<String>,
}

/// What is said about a name. It exists, also where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entry {
    records: Vec<(RecordType, Record, Duration)>,
    cname: Option<String>,
    /// What is said whatever the type.
    status: Option<Said>,
    /// What is said where there is no record of a type.
    by_type: HashMap<RecordType, Said>,
}

impl Entry {
    fn record(kind: RecordType, record: Record, ttl: Duration) -> Entry {
        Entry {
            records: vec![(kind, record, ttl)],
            ..Entry::default()
        }
    }

    /// Adds what `other` says; false where both cannot be true.
    fn add(&mut self, other: Entry) -> bool {
        let speaks = |entry: &Entry| !entry.records.is_empty() || entry.cname.is_some();
        let both_say = |a: &Option<_>, b: &Option<_>| a.is_some() && b.is_some() && a != b;
        let contradiction = both_say(&self.cname, &other.cname)
            || self.status.is_some() && other.status.is_some() && self.status != other.status
            || self.status.is_some() && speaks(&other)
            || speaks(self) && other.status.is_some()
            || self.cname.is_some() && !other.records.is_empty()
            || !self.records.is_empty() && other.cname.is_some();
        if contradiction {
            return false;
        }
        for new in other.records {
            let known = |(kind, record, _): &(RecordType, Record, Duration)| {
                (kind, record) == (&new.0, &new.1)
            };
            if !self.records.iter().any(known) {
                self.records.push(new);
            }
        }
        self.cname = self.cname.take().or(other.cname);
        self.status = self.status.take().or(other.status);
        self.by_type.extend(other.by_type);
        true
    }

    fn said(&self, kind: RecordType) -> (Said, Duration) {
        let own = self.records.iter().filter(|(own, ..)| *own == kind);
        let ttl = own.clone().map(|(.., ttl)| *ttl).min();
        let records: Vec<Record> = own.map(|(_, record, _)| record.clone()).collect();
        let said = match (&self.status, self.by_type.get(&kind)) {
            _ if !records.is_empty() => Said::Records(records),
            (Some(said), _) | (None, Some(said)) => said.clone(),
            (None, None) => Said::NoData,
        };
        (said, ttl.unwrap_or_default())
    }
}

impl Zone {
    /// Reads a zone file, or JSON if the text begins with `{`.
    ///
    /// A zone file may have comments, `$ORIGIN` and `$TTL`, several strings a record, parentheses and wildcards;
    /// records of types that [`RecordType`] does not know are taken to exist. JSON has the form
    /// `{"name.": {"TXT": ["…"], "MX": ["10 mx.example.com."]}}` or `{"name.": {"status": "NXDOMAIN"}}`, with
    /// `NODATA`, `SERVFAIL`, `REFUSED` and `TIMEOUT` as further states, which `status_by_type` gives one by one:
    /// `{"name.": {"A": ["192.0.2.1"], "status_by_type": {"AAAA": "TIMEOUT"}}}`.
    ///
    /// # Errors
    /// [`ZoneError`], with the line.
    pub fn parse(text: &str) -> Result<Zone, ZoneError> {
        let mut zone = Zone::default();
        if text.trim_start().starts_with('{') {
            zone.read_json(text)?;
        } else {
            zone.read_zone_file(text)?;
        }
        // Not before: a later line may say that a name does not exist.
        let names: Vec<String> = zone.names.keys().cloned().collect();
        for name in names {
            zone.note_above(&name);
        }
        Ok(zone)
    }

    /// Adds a TXT record; its strings are already joined. It takes the place of a CNAME or a status.
    pub fn insert_txt(&mut self, name: &str, txt: Vec<u8>) {
        let record = Entry::record(RecordType::Txt, Record::Text(txt), Duration::ZERO);
        self.put(normal(name), record);
    }

    /// What the zone says to a question, CNAMEs followed: at most eight, a longer chain or a loop is a failure of the
    /// server.
    pub fn answer(&self, question: &Question) -> Found {
        let mut name = format!("{}.", String::from_utf8_lossy(question.name.as_bytes()));
        let mut aliases = Vec::new();
        for _ in 0..=MAX_CNAMES {
            let (said, ttl) = match self.at(&name) {
                AtName::Nothing => (Said::NoName, Duration::ZERO),
                AtName::Empty => (Said::NoData, Duration::ZERO),
                AtName::Entry(Entry {
                    cname: Some(target),
                    ..
                }) => {
                    name.clone_from(target);
                    match DnsName::new(target.as_bytes()) {
                        Ok(target) => aliases.push(target),
                        Err(_) => break,
                    }
                    continue;
                }
                AtName::Entry(entry) => entry.said(question.kind),
            };
            return Found { said, aliases, ttl };
        }
        Found {
            said: Said::Temporary(Cause::ServerFailure),
            aliases,
            ttl: Duration::ZERO,
        }
    }

    /// The names with TXT records, in order, each with its final dot and its records.
    ///
    /// ```
    /// use dkimkit::dns::Zone;
    /// let zone = Zone::parse("a.example. TXT \"x\"\nexample. TXT \"y\"\n")?;
    /// let names: Vec<&str> = zone.txt_records().into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["a.example.", "example."]);
    /// # Ok::<(), dkimkit::dns::ZoneError>(())
    /// ```
    pub fn txt_records(&self) -> Vec<(&str, Vec<Vec<u8>>)> {
        let mut names = Vec::new();
        for (name, entry) in &self.names {
            if let (Said::Records(records), _) = entry.said(RecordType::Txt) {
                let texts = records.into_iter().filter_map(|record| match record {
                    Record::Text(text) => Some(text),
                    _ => None,
                });
                names.push((name.as_str(), texts.collect()));
            }
        }
        names.sort();
        names
    }

    /// Takes over all that `other` says; a name that both know gets the records of both.
    pub fn merge(&mut self, other: Zone) {
        for (name, entry) in other.names {
            match entry.records.is_empty() {
                false => self.put(name, entry),
                true => {
                    self.names.entry(name.clone()).or_insert(entry);
                    self.note_above(&name);
                }
            }
        }
    }

    /// Adds records; where they contradict what was said of the name, they take its place.
    fn put(&mut self, name: String, entry: Entry) {
        let known = self.names.entry(name.clone()).or_default();
        if !known.add(entry.clone()) {
            *known = entry;
        }
        self.note_above(&name);
    }

    /// Adds what the text says of a name to what it said before.
    fn add(&mut self, name: String, entry: Entry) -> Result<(), ZoneError> {
        if !self.names.entry(name.clone()).or_default().add(entry) {
            return Err(ZoneError::Conflict { name });
        }
        Ok(())
    }

    fn read_json(&mut self, text: &str) -> Result<(), ZoneError> {
        let json = |error: serde_json::Error| ZoneError::Json {
            error: error.to_string(),
        };
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader.deserialize_map(Members).map_err(json)?;
        reader.end().map_err(json)?;
        for (name, value) in members {
            let entry =
                data::of_json(&value).ok_or_else(|| ZoneError::JsonEntry { name: name.clone() })?;
            self.add(normal(&name), entry)?;
        }
        Ok(())
    }

    fn read_zone_file(&mut self, text: &str) -> Result<(), ZoneError> {
        let mut origin: Option<String> = None;
        let mut default_ttl = Duration::ZERO;
        let mut owner: Option<String> = None;
        for entry in entries(text)? {
            let Line {
                number,
                tokens,
                blank,
            } = entry;
            let mut tokens = tokens.into_iter().peekable();
            let Some(first) = tokens.peek().cloned() else {
                continue;
            };
            if first.is("$ORIGIN") {
                let name = tokens
                    .nth(1)
                    .ok_or(ZoneError::Incomplete { line: number })?;
                origin = Some(absolute(&name, origin.as_deref(), number)?);
                continue;
            }
            if first.is("$TTL") {
                let ttl = tokens.nth(1).and_then(|t| read_ttl(&t.bytes));
                default_ttl = ttl.ok_or(ZoneError::Incomplete { line: number })?;
                continue;
            }
            if first.is("$INCLUDE") || first.is("$GENERATE") {
                let directive = String::from_utf8_lossy(&first.bytes).into_owned();
                return Err(ZoneError::Directive {
                    line: number,
                    directive,
                });
            }
            if !blank {
                owner = Some(absolute(&first, origin.as_deref(), number)?);
                tokens.next();
            }
            let name = owner.clone().ok_or(ZoneError::NoOwner { line: number })?;
            let mut ttl = default_ttl;
            // The TTL and the class may stand in either order, or not at all.
            while let Some(token) = tokens.peek() {
                if token.is("IN") || token.is("CH") || token.is("HS") {
                    tokens.next();
                } else if let Some(found) = read_ttl(&token.bytes).filter(|_| !token.quoted) {
                    ttl = found;
                    tokens.next();
                } else {
                    break;
                }
            }
            let kind = tokens
                .next()
                .ok_or(ZoneError::Incomplete { line: number })?;
            if kind.is("TXT") {
                let strings: Vec<Vec<u8>> = tokens.map(|t| t.bytes).collect();
                if strings.is_empty() {
                    return Err(ZoneError::Incomplete { line: number });
                }
                if let Some(long) = strings.iter().find(|s| s.len() > 255) {
                    return Err(ZoneError::StringTooLong {
                        line: number,
                        len: long.len(),
                    });
                }
                let text = Record::Text(strings.concat());
                self.add(name, Entry::record(RecordType::Txt, text, ttl))?;
            } else if kind.is("CNAME") {
                let target = tokens
                    .next()
                    .ok_or(ZoneError::Incomplete { line: number })?;
                let target = absolute(&target, origin.as_deref(), number)?;
                let cname = Some(target);
                self.add(
                    name,
                    Entry {
                        cname,
                        ..Entry::default()
                    },
                )?;
            } else if let Some(kind) = data::kind_of(&kind.bytes) {
                let words: Vec<String> = tokens.map(|t| t.text()).collect();
                let relative = |word: &str| {
                    let bytes = word.as_bytes().to_vec();
                    let quoted = false;
                    absolute(&Token { bytes, quoted }, origin.as_deref(), number).ok()
                };
                let record = data::of_words(kind, &words, relative)
                    .ok_or(ZoneError::Incomplete { line: number })?;
                self.add(name, Entry::record(kind, record, ttl))?;
            } else if is_record_type(&kind.bytes) {
                self.add(name, Entry::default())?;
            } else {
                let found = kind.bytes.escape_ascii().to_string();
                return Err(ZoneError::NoType {
                    line: number,
                    found,
                });
            }
        }
        Ok(())
    }
}

/// The members of a JSON object in their order, those with the same name too.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with a member for each name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        std::iter::from_fn(|| map.next_entry().transpose()).collect()
    }
}

impl LookupTxt for Zone {
    fn lookup_txt(&self, name: &KeyName) -> Answer {
        let Ok(name) = DnsName::new(name.as_str().as_bytes()) else {
            return Answer::NoName;
        };
        self.answer(&Question::new(name, RecordType::Txt)).into()
    }
}

impl Ask for Zone {
    fn ask(&self, question: &Question) -> Result<Found, Pending> {
        Ok(self.answer(question))
    }
}

const MAX_CNAMES: usize = 8;

/// A word or a quoted string of a zone file, its escapes undone.
#[derive(Clone)]
struct Token {
    bytes: Vec<u8>,
    quoted: bool,
}

impl Token {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn is(&self, word: &str) -> bool {
        !self.quoted && self.bytes.eq_ignore_ascii_case(word.as_bytes())
    }
}

/// One entry: a line, or several within parentheses.
struct Line {
    number: usize,
    /// Whether it begins with a blank, so that the owner of the last entry is meant.
    blank: bool,
    tokens: Vec<Token>,
}

fn entries(text: &str) -> Result<Vec<Line>, ZoneError> {
    let mut entries: Vec<Line> = Vec::new();
    let mut depth = 0usize;
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let mut bytes = line.as_bytes();
        if depth == 0 {
            let blank = bytes.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
            entries.push(Line {
                number,
                blank,
                tokens: Vec::new(),
            });
        }
        let tokens = &mut entries.last_mut().expect("an entry was begun").tokens;
        while let Some((&byte, rest)) = bytes.split_first() {
            match byte {
                b' ' | b'\t' | b'\r' => bytes = rest,
                b';' => break,
                b'(' => {
                    depth += 1;
                    bytes = rest;
                }
                b')' => {
                    depth = depth
                        .checked_sub(1)
                        .ok_or(ZoneError::Parenthesis { line: number })?;
                    bytes = rest;
                }
                _ => {
                    let (token, rest) = token(bytes, number)?;
                    tokens.push(token);
                    bytes = rest;
                }
            }
        }
    }
    match entries.last() {
        Some(open) if depth > 0 => Err(ZoneError::Parenthesis { line: open.number }),
        _ => Ok(entries),
    }
}

fn token(text: &[u8], line: usize) -> Result<(Token, &[u8]), ZoneError> {
    let quoted = text[0] == b'"';
    let mut rest = if quoted { &text[1..] } else { text };
    let mut bytes = Vec::new();
    loop {
        match rest.split_first() {
            None if quoted => return Err(ZoneError::Quote { line }),
            None => break,
            Some((b'"', tail)) if quoted => {
                rest = tail;
                break;
            }
            Some((b' ' | b'\t' | b'\r' | b';' | b'(' | b')' | b'"', _)) if !quoted => break,
            Some((b'\\', tail)) => {
                let (byte, tail) = escape(tail).ok_or(ZoneError::Escape { line })?;
                bytes.push(byte);
                rest = tail;
            }
            Some((&byte, tail)) => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    Ok((Token { bytes, quoted }, rest))
}

/// What follows a backslash: three decimal digits, or the character itself.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, tail) = text.split_first()?;
    if !first.is_ascii_digit() {
        return Some((first, tail));
    }
    let (digits, rest) = text.split_at_checked(3)?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}

fn absolute(token: &Token, origin: Option<&str>, line: usize) -> Result<String, ZoneError> {
    let name = String::from_utf8_lossy(&token.bytes).into_owned();
    if name.ends_with('.') {
        return Ok(normal(&name));
    }
    match origin {
        Some(origin) if name == "@" => Ok(origin.to_owned()),
        Some(origin) => Ok(normal(&format!("{name}.{origin}"))),
        None => Err(ZoneError::Relative { line, name }),
    }
}

/// Lower case, A-labels, with a final dot.
///
/// Each label is taken for itself: beside a label that is written from right to left, `_domainkey` would
/// break the rules for the whole name (RFC 5893 §2), though it is no part of the domain.
fn normal(name: &str) -> String {
    let labels = name.trim_end_matches('.').split('.').map(|label| {
        let ascii = idna::domain_to_ascii_cow(label.as_bytes(), idna::AsciiDenyList::EMPTY);
        ascii.map_or_else(
            |_| label.to_ascii_lowercase(),
            |ascii| ascii.to_ascii_lowercase(),
        )
    });
    let labels: Vec<String> = labels.collect();
    format!("{}.", labels.join("."))
}

/// Seconds, or BIND's units: `1h30m`.
fn read_ttl(text: &[u8]) -> Option<Duration> {
    let mut total = 0u64;
    let mut number: Option<u64> = None;
    for &byte in text {
        if byte.is_ascii_digit() {
            let digit = u64::from(byte - b'0');
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit = match byte.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    if text.is_empty() {
        return None;
    }
    Some(Duration::from_secs(total.checked_add(number.unwrap_or(0))?))
}

fn is_record_type(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_alphabetic)
        && word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}
