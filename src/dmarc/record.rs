//! The policy record: what stands in the TXT record at `_dmarc.<domain>` (RFC 9989 §4.7, §4.8).
//!
//! DKIM's reader of tag lists does not fit: there a list with one fault is worth nothing, here what is wrong is passed
//! over and the rest counts (§4.8). So all that was passed over is named, with its place and the mend.

mod fault;
mod uri;
mod values;

use std::fmt;
use std::ops::Range;

use serde::Serialize;

pub use fault::{Fault, Finding, NotDmarc};
pub use uri::{Mailbox, ReportUri, UriError};
pub use values::{FailureOptions, Mode, Policy, Psd, Request};

use self::values::{mode, psd, request, testing};
use crate::dns::{MAX_SHOWN, MAX_TEXT};
use crate::message::is_wsp;

/// A policy record as a verifier acts on it: what could not be read has its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// p=: the policy for the domain.
    pub p: Request,
    /// sp=: that for its subdomains.
    pub sp: Request,
    /// np=: that for subdomains that do not exist.
    pub np: Request,
    /// adkim=
    pub adkim: Mode,
    /// aspf=
    pub aspf: Mode,
    /// psd=
    pub psd: Psd,
    /// t=y: the owner is testing the policy.
    pub testing: bool,
    /// fo=; it means nothing without ruf=.
    pub fo: FailureOptions,
    /// rua=: where aggregate reports go; those that can be read.
    pub rua: Vec<ReportUri>,
    /// ruf=: where reports of single failures go.
    pub ruf: Vec<ReportUri>,
}

/// What a verifier does with a record (§4.10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// p=, sp= and np= are as they stand there.
    AsWritten,
    /// p= is missing or invalid, or sp= or np= is invalid, and somebody wants reports: it acts as `p=none`.
    ActsAsNone,
    /// The same, and nobody wants reports: DMARC is not applied.
    NotApplied,
}

impl Record {
    /// What the record is good for.
    ///
    /// ```
    /// use dkimkit::dmarc::record::{Force, Reading};
    /// let force = |text: &str| Reading::parse(text.as_bytes()).map(|reading| reading.record.force());
    /// assert_eq!(force("v=DMARC1; p=reject"), Ok(Force::AsWritten));
    /// assert_eq!(force("v=DMARC1; p=reject; sp=no; rua=mailto:a@example.com"), Ok(Force::ActsAsNone));
    /// assert_eq!(force("v=DMARC1; p=refuse"), Ok(Force::NotApplied));
    /// ```
    pub fn force(&self) -> Force {
        let invalid = self.sp == Request::Invalid || self.np == Request::Invalid;
        match self.p {
            Request::Asks(_) if !invalid => Force::AsWritten,
            _ if !self.rua.is_empty() => Force::ActsAsNone,
            _ => Force::NotApplied,
        }
    }
}

/// The text to publish: without what means nothing, and with defaults left out. A tag that cannot be read is left
/// out too, so the record of a [`Request::Invalid`] has another [`Force`].
///
/// ```
/// use dkimkit::dmarc::record::Reading;
/// let text = b"v=DMARC1; pct=100; P=Reject; adkim=r; fo=0; rua=mailto:a@example.com!5m;; bogus";
/// let record = Reading::parse(text).unwrap().record;
/// assert_eq!(record.to_string(), "v=DMARC1; p=reject; rua=mailto:a@example.com");
/// ```
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=DMARC1")?;
        for (name, request) in [("p", self.p), ("sp", self.sp), ("np", self.np)] {
            if let Request::Asks(policy) = request {
                write!(f, "; {name}={}", policy.as_str())?;
            }
        }
        for (name, mode) in [("adkim", self.adkim), ("aspf", self.aspf)] {
            if mode == Mode::Strict {
                write!(f, "; {name}=s")?;
            }
        }
        match self.psd {
            Psd::Yes => f.write_str("; psd=y")?,
            Psd::No => f.write_str("; psd=n")?,
            Psd::Unknown => {}
        }
        if self.testing {
            f.write_str("; t=y")?;
        }
        for (name, uris) in [("rua", &self.rua), ("ruf", &self.ruf)] {
            let uris: Vec<&str> = uris.iter().map(|uri| uri.uri.as_str()).collect();
            if !uris.is_empty() {
                write!(f, "; {name}={}", uris.join(","))?;
            }
        }
        if self.fo != FailureOptions::ALL && !self.ruf.is_empty() {
            write!(f, "; fo={}", self.fo)?;
        }
        Ok(())
    }
}

/// A tag as it stands in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// Its name, in lower case.
    pub name: String,
    /// Its value, with what is not printable ASCII escaped, and cut behind [`MAX_SHOWN`] octets.
    pub value: String,
    /// Where the tag stands in the text, from its name to before the semicolon, without the blanks around it.
    pub span: Range<usize>,
}

/// A record that was read, and what was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What a verifier acts on.
    pub record: Record,
    /// The tags in their order, those that mean nothing too.
    pub tags: Vec<Tag>,
    /// What is wrong or unwise, in the order of the text.
    pub findings: Vec<Finding>,
    /// The text, with what is not printable ASCII escaped, and cut behind [`MAX_SHOWN`] octets.
    pub text: String,
}

/// Items beyond this number are passed over: no record has so many, and each may leave a finding.
pub const MAX_ITEMS: usize = 100;

impl Reading {
    /// Reads the text of a TXT record, its strings joined without anything between them (§4.5).
    ///
    /// ```
    /// use dkimkit::dmarc::record::{Policy, Reading};
    /// let reading = Reading::parse(b"v=DMARC1; p=reject; pct=50; sp=nothing").unwrap();
    /// assert_eq!(reading.record.p.policy(), Some(Policy::Reject));
    /// let words: Vec<&str> = reading.findings.iter().map(|f| f.fault.word()).collect();
    /// assert_eq!(words, ["dmarc-tag-obsolete", "dmarc-tag-invalid", "dmarc-not-applied"]);
    /// assert_eq!(reading.findings[0].span, 20..26);
    /// ```
    ///
    /// # Errors
    /// [`NotDmarc`]: the text does not begin with `v=DMARC1`, and is no policy record (§4.7, v), or it is longer than
    /// [`MAX_TEXT`].
    pub fn parse(text: &[u8]) -> Result<Reading, NotDmarc> {
        let mut items = items(text);
        check_version(text, items.next())?;
        if text.len() > MAX_TEXT {
            return Err(NotDmarc::TooLong { len: text.len() });
        }
        let mut reader = Reader::new(text);
        for (number, span) in items.enumerate() {
            if number == MAX_ITEMS {
                reader.find(Fault::TooMany { limit: MAX_ITEMS }, span.start..text.len());
                break;
            }
            reader.item(span);
        }
        Ok(reader.finish())
    }
}

/// The pieces between semicolons, without the blanks around them; behind the last semicolon none need stand.
fn items(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = Some(0);
    std::iter::from_fn(move || {
        let start = at?;
        let end = memchr::memchr(b';', &text[start..]).map(|length| start + length);
        at = end.map(|end| end + 1);
        let item = trimmed(text, start..end.unwrap_or(text.len()));
        (end.is_some() || !item.is_empty()).then_some(item)
    })
}

/// Without the blanks at both ends; folding white space has no place in a record of DNS.
fn trimmed(text: &[u8], span: Range<usize>) -> Range<usize> {
    let piece = &text[span.clone()];
    let before = piece.iter().take_while(|byte| is_wsp(**byte)).count();
    let after = piece[before..].iter().rev();
    let after = after.take_while(|byte| is_wsp(**byte)).count();
    span.start + before..span.end - after
}

/// The name and the value of an item, where it has both.
fn halves(text: &[u8], item: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let equals = item.start + memchr::memchr(b'=', &text[item.clone()])?;
    let name = trimmed(text, item.start..equals);
    let value = trimmed(text, equals + 1..item.end);
    Some((name, value))
}

/// §4.7: v= is the first tag, and its value is DMARC1 in these very letters; else the whole record is ignored.
fn check_version(text: &[u8], first: Option<Range<usize>>) -> Result<(), NotDmarc> {
    let first = first.ok_or(NotDmarc::Empty)?;
    let is_version = |item: Range<usize>| {
        let (name, value) = halves(text, item)?;
        text[name].eq_ignore_ascii_case(b"v").then_some(value)
    };
    match is_version(first.clone()) {
        // §4.8: dmarc-record begins with the "v". Were it one, whoever can add a text could make two of one, which are both
        // discarded (§4.10).
        Some(value) if first.start > 0 && &text[value.clone()] == b"DMARC1" => {
            Err(NotDmarc::LeadingBlank)
        }
        Some(value) if &text[value.clone()] == b"DMARC1" => Ok(()),
        Some(value) => Err(NotDmarc::Version {
            found: excerpt(&text[value]),
        }),
        None if text[first].eq_ignore_ascii_case(b"DMARC1") => Err(NotDmarc::NoName),
        None => {
            let later = items(text).take(MAX_ITEMS).find(|item| {
                is_version(item.clone()).is_some_and(|value| &text[value] == b"DMARC1")
            });
            Err(
                later.map_or(NotDmarc::NoVersion, |item| NotDmarc::VersionNotFirst {
                    at: item.start,
                }),
            )
        }
    }
}

/// The start of some bytes, escaped, for a sentence.
fn excerpt(bytes: &[u8]) -> String {
    start_of(bytes, 60)
}

/// The same for a report: as much as a person looks at.
fn shown(bytes: &[u8]) -> String {
    start_of(bytes, MAX_SHOWN)
}

fn start_of(bytes: &[u8], length: usize) -> String {
    let start = bytes[..bytes.len().min(length)].escape_ascii();
    match bytes.len() > length {
        true => format!("{start}…"),
        false => start.to_string(),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    record: Record,
    tags: Vec<Tag>,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Reader<'a> {
        Reader {
            text,
            record: Record {
                p: Request::Absent,
                sp: Request::Absent,
                np: Request::Absent,
                adkim: Mode::Relaxed,
                aspf: Mode::Relaxed,
                psd: Psd::Unknown,
                testing: false,
                fo: FailureOptions::ALL,
                rua: Vec::new(),
                ruf: Vec::new(),
            },
            tags: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn find(&mut self, fault: Fault, span: Range<usize>) {
        self.findings.push(Finding { fault, span });
    }

    /// Takes an item; what is wrong is passed over (§4.8).
    fn item(&mut self, item: Range<usize>) {
        let text = self.text;
        if item.is_empty() {
            return self.find(Fault::EmptyItem, item);
        }
        let Some((name, value)) = halves(text, item.clone()) else {
            let found = excerpt(&text[item.clone()]);
            return self.find(Fault::Malformed { found }, item);
        };
        // dmarc-tag = 1*ALPHA equals 1*dmarc-value
        if name.is_empty() || !text[name.clone()].iter().all(u8::is_ascii_alphabetic) {
            let found = excerpt(&text[item.clone()]);
            return self.find(Fault::Malformed { found }, item);
        }
        // The ABNF has no %s before names, so their letter case does not count (RFC 7405 §2.1).
        let word = text[name].to_ascii_lowercase();
        let name = String::from_utf8_lossy(&word).into_owned();
        // RFC 6376 §3.2 has a list with a tag twice invalid as a whole, and §4.7 takes its form from there; but by §4.7 a
        // fault behind v= is ignored and costs no more than itself. The second is the fault: the first was none yet
        // when it was read. So p=reject written twice still protects.
        let again = name == "v" || self.tags.iter().any(|tag| tag.name == name);
        self.tags.push(Tag {
            name: name.clone(),
            value: shown(&text[value.clone()]),
            span: item.clone(),
        });
        if again {
            return self.find(Fault::Duplicate { name }, item);
        }
        self.tag(&name, value, item);
    }

    fn tag(&mut self, name: &str, span: Range<usize>, item: Range<usize>) {
        let value = &self.text[span.clone()];
        let ok = match name {
            "p" => {
                if self.tags.len() > 1 {
                    self.find(Fault::PolicyNotSecond, item.clone());
                }
                self.record.p = request(value);
                self.record.p != Request::Invalid
            }
            "sp" => {
                self.record.sp = request(value);
                self.record.sp != Request::Invalid
            }
            "np" => {
                self.record.np = request(value);
                self.record.np != Request::Invalid
            }
            "adkim" => set(&mut self.record.adkim, mode(value)),
            "aspf" => set(&mut self.record.aspf, mode(value)),
            "psd" => set(&mut self.record.psd, psd(value)),
            "t" => set(&mut self.record.testing, testing(value)),
            "fo" => set(&mut self.record.fo, FailureOptions::read(value)),
            "rua" => {
                self.record.rua = self.uris("rua", span.clone());
                !value.is_empty()
            }
            "ruf" => {
                self.record.ruf = self.uris("ruf", span.clone());
                !value.is_empty()
            }
            // §9.3: historic.
            "pct" | "rf" | "ri" => {
                let name = name.to_owned();
                return self.find(Fault::Obsolete { name }, item);
            }
            _ => {
                let name = name.to_owned();
                return self.find(Fault::Unknown { name }, item);
            }
        };
        if !ok {
            let (name, found) = (name.to_owned(), excerpt(value));
            self.find(Fault::Invalid { name, found }, item);
        }
    }

    /// The addresses of a list that can be used (§4.8, dmarc-urilist).
    fn uris(&mut self, name: &'static str, span: Range<usize>) -> Vec<ReportUri> {
        let mut uris = Vec::new();
        if span.is_empty() {
            return uris;
        }
        let mut at = span.start;
        for piece in self.text[span.clone()].split(|byte| *byte == b',') {
            let place = trimmed(self.text, at..at + piece.len());
            at += piece.len() + 1;
            let text = &self.text[place.clone()];
            match ReportUri::parse(text) {
                Ok(uri) => {
                    if uri.size_limit.is_some() {
                        self.find(Fault::SizeLimit { name }, place.clone());
                    }
                    if uri.mailbox.is_none() {
                        let scheme = uri.scheme().to_owned();
                        self.find(Fault::Scheme { name, scheme }, place);
                    }
                    uris.push(uri);
                }
                Err(error) => {
                    let found = excerpt(text);
                    self.find(Fault::Uri { name, found, error }, place);
                }
            }
        }
        uris
    }

    fn finish(mut self) -> Reading {
        let whole = 0..self.text.len();
        let record = &self.record;
        let without_ruf = || self.tags.iter().find(|tag| tag.name == "fo");
        if let Some(fo) = without_ruf().filter(|_| record.ruf.is_empty()) {
            let span = fo.span.clone();
            self.find(Fault::OptionsWithoutAddress, span);
        }
        self.findings.sort_by_key(|finding| finding.span.start);
        let record = &self.record;
        match record.force() {
            Force::AsWritten => {}
            Force::ActsAsNone => self.find(Fault::ActsAsNone, whole),
            Force::NotApplied => self.find(Fault::NotApplied, whole),
        }
        Reading {
            record: self.record,
            tags: self.tags,
            findings: self.findings,
            text: shown(self.text),
        }
    }
}

fn set<T>(place: &mut T, value: Option<T>) -> bool {
    let found = value.is_some();
    if let Some(value) = value {
        *place = value;
    }
    found
}

#[cfg(test)]
mod tests;
