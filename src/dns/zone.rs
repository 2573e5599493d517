//! Records from text: a zone file (RFC 1035 §5.1) or JSON.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::{Answer, Cause, LookupTxt};
use crate::name::KeyName;

/// The TXT records of some names; every other name does not exist.
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
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Txt {
        txt: Vec<Vec<u8>>,
        ttl: Duration,
    },
    Cname(String),
    /// The name exists, with records of other types.
    Other,
    Status(Answer),
}

impl Zone {
    /// Reads a zone file, or JSON if the text begins with `{`.
    ///
    /// A zone file may have comments, `$ORIGIN` and `$TTL`, several strings a record, and parentheses;
    /// records other than TXT and CNAME are taken to exist. JSON has the form
    /// `{"name.": {"TXT": ["…"]}}` or `{"name.": {"status": "NXDOMAIN"}}`, with `SERVFAIL` and `TIMEOUT`
    /// as further states.
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
        Ok(zone)
    }

    /// Adds a TXT record; its strings are already joined.
    pub fn insert_txt(&mut self, name: &str, txt: Vec<u8>) {
        self.add_txt(normal(name), txt, Duration::ZERO);
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
    pub fn txt_records(&self) -> Vec<(&str, &[Vec<u8>])> {
        let names = self.names.iter().filter_map(|(name, entry)| match entry {
            Entry::Txt { txt, .. } => Some((name.as_str(), txt.as_slice())),
            _ => None,
        });
        let mut names: Vec<(&str, &[Vec<u8>])> = names.collect();
        names.sort();
        names
    }

    /// Takes over all that `other` says; a name that both know gets the records of both.
    pub fn merge(&mut self, other: Zone) {
        for (name, entry) in other.names {
            match entry {
                Entry::Txt { txt, ttl } => {
                    for txt in txt {
                        self.add_txt(name.clone(), txt, ttl);
                    }
                }
                entry => {
                    self.names.entry(name).or_insert(entry);
                }
            }
        }
    }

    fn add_txt(&mut self, name: String, text: Vec<u8>, ttl: Duration) {
        let empty = Entry::Txt {
            txt: Vec::new(),
            ttl,
        };
        let entry = self.names.entry(name).or_insert(Entry::Other);
        if !matches!(entry, Entry::Txt { .. }) {
            *entry = empty;
        }
        if let Entry::Txt { txt, .. } = entry
            && !txt.contains(&text)
        {
            txt.push(text);
        }
    }

    /// Adds what the text says of a name to what it said before.
    fn add(&mut self, name: String, entry: Entry) -> Result<(), ZoneError> {
        match (self.names.get_mut(&name), entry) {
            (None | Some(Entry::Other | Entry::Txt { .. }), Entry::Txt { txt, ttl }) => {
                for text in txt {
                    self.add_txt(name.clone(), text, ttl);
                }
            }
            (None | Some(Entry::Other), entry) => {
                self.names.insert(name, entry);
            }
            // A signed zone has RRSIG and NSEC beside a CNAME.
            (Some(Entry::Txt { .. } | Entry::Cname(_)), Entry::Other) => {}
            (Some(old), entry) if *old == entry => {}
            _ => return Err(ZoneError::Conflict { name }),
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
            let bad = || ZoneError::JsonEntry { name: name.clone() };
            let entry = if let Some(list) = value.get("TXT") {
                let list = list.as_array().ok_or_else(bad)?;
                let text = |item: &Value| Some(item.as_str()?.as_bytes().to_vec());
                let txt: Option<Vec<Vec<u8>>> = list.iter().map(text).collect();
                let txt = txt.ok_or_else(bad)?;
                let ttl = Duration::ZERO;
                if txt.is_empty() {
                    Entry::Status(Answer::NoData)
                } else {
                    Entry::Txt { txt, ttl }
                }
            } else if let Some(status) = value.get("status") {
                Entry::Status(match status.as_str().ok_or_else(bad)? {
                    "NXDOMAIN" => Answer::NoName,
                    "NODATA" => Answer::NoData,
                    "SERVFAIL" => Answer::Temporary(Cause::ServerFailure),
                    "REFUSED" => Answer::Temporary(Cause::Refused),
                    "TIMEOUT" => Answer::Temporary(Cause::Timeout),
                    _ => return Err(bad()),
                })
            } else if value.is_object() {
                Entry::Other
            } else {
                return Err(bad());
            };
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
                let txt = vec![strings.concat()];
                self.add(name, Entry::Txt { txt, ttl })?;
            } else if kind.is("CNAME") {
                let target = tokens
                    .next()
                    .ok_or(ZoneError::Incomplete { line: number })?;
                let target = absolute(&target, origin.as_deref(), number)?;
                self.add(name, Entry::Cname(target))?;
            } else if is_record_type(&kind.bytes) {
                self.add(name, Entry::Other)?;
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
    /// Follows at most eight CNAMEs; a longer chain, or a loop, is a failure of the server.
    fn lookup_txt(&self, name: &KeyName) -> Answer {
        let mut name = name.as_str();
        for _ in 0..=MAX_CNAMES {
            match self.names.get(name) {
                None => return Answer::NoName,
                Some(Entry::Other) => return Answer::NoData,
                Some(Entry::Status(answer)) => return answer.clone(),
                Some(Entry::Cname(target)) => name = target,
                Some(Entry::Txt { txt, ttl }) => {
                    return Answer::Records {
                        txt: txt.clone(),
                        ttl: *ttl,
                        secure: None,
                    };
                }
            }
        }
        Answer::Temporary(Cause::ServerFailure)
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

/// Why records cannot be read from a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Not JSON.
    #[error("the JSON cannot be read: {error}")]
    Json {
        /// What the parser says.
        error: String,
    },
    /// JSON of another form.
    #[error(
        "the entry of {name:?} is neither {{\"TXT\": [\"…\"]}} nor {{\"status\": \"NXDOMAIN\"|\"NODATA\"|\"SERVFAIL\"|\"REFUSED\"|\"TIMEOUT\"}}"
    )]
    JsonEntry {
        /// The name.
        name: String,
    },
    /// A name has records and a status, or a CNAME and other records, or two of either.
    #[error("{name} is given twice, and both cannot be true")]
    Conflict {
        /// The name.
        name: String,
    },
    /// A parenthesis without its counterpart.
    #[error("line {line}: a parenthesis has no counterpart")]
    Parenthesis {
        /// The line, counted from 1.
        line: usize,
    },
    /// A string that does not end on its line.
    #[error("line {line}: a quoted string does not end")]
    Quote {
        /// The line, counted from 1.
        line: usize,
    },
    /// A backslash before nothing, or before a number beyond 255.
    #[error("line {line}: a backslash escapes nothing")]
    Escape {
        /// The line, counted from 1.
        line: usize,
    },
    /// The entry ends too early.
    #[error("line {line}: the entry is not complete")]
    Incomplete {
        /// The line, counted from 1.
        line: usize,
    },
    /// The first entry begins with a blank.
    #[error("line {line}: the entry has no name, and there is none before it")]
    NoOwner {
        /// The line, counted from 1.
        line: usize,
    },
    /// A name without a final dot, and no origin.
    #[error(
        "line {line}: the name {name} is relative; end it with a dot, or put a line `$ORIGIN example.com.` before it"
    )]
    Relative {
        /// The line, counted from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// A word stands where the type of a record should.
    #[error("line {line}: \"{found}\" is not a record type")]
    NoType {
        /// The line, counted from 1.
        line: usize,
        /// The word, escaped.
        found: String,
    },
    /// A string beyond 255 bytes (RFC 1035 §3.3).
    #[error("line {line}: a string of {len} bytes is longer than 255; split it into several")]
    StringTooLong {
        /// The line, counted from 1.
        line: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// A directive that would read further files.
    #[error("line {line}: {directive} is not supported")]
    Directive {
        /// The line, counted from 1.
        line: usize,
        /// The directive.
        directive: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Domain, Selector};

    fn ask(zone: &str, domain: &str) -> Answer {
        let selector = Selector::new("s").unwrap();
        let name = KeyName::new(&selector, &Domain::new(domain).unwrap()).unwrap();
        Zone::parse(zone).unwrap().lookup_txt(&name)
    }

    fn txt(zone: &str, domain: &str) -> Vec<String> {
        match ask(zone, domain) {
            Answer::Records { txt, .. } => {
                txt.iter().map(|t| t.escape_ascii().to_string()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_zone_file_is_read_in_all_its_forms() {
        let zone = "
; a comment
$TTL 1h
$ORIGIN example.com.
@ IN SOA ns hostmaster ( 1 2 3
   4 5 ) ; the end
s._domainkey IN TXT ( \"v=DKIM1; k=rsa; \"  ; first
      \"p=Zm9v\" )
        300 TXT second
S._DomainKey.Example.NET. 1h30m IN TXT \"a\\;b\\\"c\\065\"
s._domainkey.alias IN CNAME s._domainkey
s._domainkey.loop CNAME s._domainkey.loop
s._domainkey.other A 127.0.0.1
s._domainkey.b\u{fc}cher TXT x
s._domainkey.\u{5d0}\u{5d1} TXT right-to-left
";
        assert_eq!(
            txt(zone, "example.com"),
            ["v=DKIM1; k=rsa; p=Zm9v", "second"]
        );
        assert_eq!(txt(zone, "example.net"), ["a;b\\\"cA"]);
        assert_eq!(txt(zone, "alias.example.com").len(), 2);
        assert_eq!(txt(zone, "xn--bcher-kva.example.com"), ["x"]);
        assert_eq!(txt(zone, "\u{5d0}\u{5d1}.example.com"), ["right-to-left"]);
        let broken = Answer::Temporary(Cause::ServerFailure);
        assert_eq!(ask(zone, "loop.example.com"), broken);
        assert_eq!(ask(zone, "other.example.com"), Answer::NoData);
        assert_eq!(ask(zone, "absent.example.com"), Answer::NoName);
        let Answer::Records { ttl, .. } = ask(zone, "example.net") else {
            panic!()
        };
        assert_eq!(ttl, Duration::from_secs(5400));
    }

    #[test]
    fn json_gives_records_and_states() {
        let zone = r#"{"s._domainkey.a.example.": {"TXT": ["one", "two"]},
            "s._domainkey.b.example": {"status": "SERVFAIL"},
            "s._domainkey.c.example.": {"status": "TIMEOUT"},
            "s._domainkey.d.example.": {"status": "NXDOMAIN"},
            "s._domainkey.e.example.": {"A": ["127.0.0.1"]}}"#;
        assert_eq!(txt(zone, "a.example"), ["one", "two"]);
        assert_eq!(
            ask(zone, "b.example"),
            Answer::Temporary(Cause::ServerFailure)
        );
        assert_eq!(ask(zone, "c.example"), Answer::Temporary(Cause::Timeout));
        assert_eq!(ask(zone, "d.example"), Answer::NoName);
        assert_eq!(ask(zone, "e.example"), Answer::NoData);
    }

    #[test]
    fn a_name_that_stands_twice_has_the_records_of_both_or_is_refused() {
        let twice = r#"{"s._domainkey.a.example.": {"TXT": ["one"]},
            "s._domainkey.a.example.": {"TXT": ["two", "one", "two"]},
            "S._domainkey.A.example": {"MX": []}}"#;
        assert_eq!(txt(twice, "a.example"), ["one", "two"]);
        let signed = "s._domainkey.a. CNAME b.\ns._domainkey.a. RRSIG x\nb. NSEC x\nb. TXT one";
        assert_eq!(txt(signed, "a"), ["one"]);
        for text in [
            r#"{"a.": {"TXT": ["x"]}, "A": {"status": "NXDOMAIN"}}"#,
            r#"{"a.": {"status": "TIMEOUT"}, "a.": {"status": "NXDOMAIN"}}"#,
            r#"{"a.": {"status": "TIMEOUT"}, "a.": {"TXT": ["x"]}}"#,
            "a. TXT x\na. CNAME b.",
            "a. CNAME b.\na. TXT x",
            "a. CNAME b.\na. CNAME c.",
        ] {
            let name = "a.".to_owned();
            assert_eq!(Zone::parse(text), Err(ZoneError::Conflict { name }));
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_line() {
        for (text, want) in [
            ("\ns TXT x", "line 2: the name s is relative"),
            ("s. TXT ( x", "line 1: a parenthesis"),
            ("s. TXT x )", "line 1: a parenthesis"),
            ("s. TXT \"x", "line 1: a quoted string"),
            ("s. TXT \"x\\", "line 1: a backslash"),
            ("s. TXT \\999", "line 1: a backslash"),
            ("s. TXT", "line 1: the entry is not complete"),
            ("s.", "line 1: the entry is not complete"),
            (" TXT x", "line 1: the entry has no name"),
            ("s. v=DKIM1;", "line 1: \"v=DKIM1\" is not a record type"),
            ("$INCLUDE other", "line 1: $INCLUDE is not supported"),
            ("{", "the JSON cannot be read"),
            ("{\"a.\": {\"TXT\": \"x\"}}", "the entry of \"a.\""),
            ("{\"a.\": {\"status\": \"x\"}}", "the entry of \"a.\""),
        ] {
            let error = Zone::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{text:?}: {error}");
        }
    }
}
