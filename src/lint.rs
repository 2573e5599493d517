//! What is known to break a message on its way, or to have it refused, while it can still be mended.
//!
//! A signature covers bytes, and many programs between signer and verifier change bytes: they break long
//! lines, write names anew, encode 8-bit text, rebuild MIME. Here a message is held against what they are
//! known to do. [`Linter`] takes the header and then the body in chunks; [`lint()`] does both at once. What was
//! found comes with a stable word, a severity, a place, the reason and the mend.
//!
//! Body memory is constant: of each line the beginning is kept, of each fault the first three places, and the
//! others are counted.

mod body;
mod content;
mod header;
mod leaf;
mod mime;
mod names;
mod signatures;
mod words;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt;

use serde::{Serialize, Serializer};

pub use self::words::{Fault, WORDS, Word};
pub use crate::record::lint::Severity;

use self::body::Lines;
use crate::canon::{Canon, Canonicalization};
use crate::header::FieldName;
use crate::key::SigningKey;
use crate::message::{Header, HeaderLimits, SplitError, split};
use crate::report::spaced_json;
use crate::sign::is_signed_by_default;
use crate::signature::{Claims, Signature};

/// Looks at a message whose bytes are all at hand.
///
/// ```
/// use dkimkit::lint::{LintOptions, Severity, lint};
/// let message = b"From: Dr. Anna <a@example.com>\r\n\r\nHello\0\r\n";
/// let findings = lint(message, &LintOptions::default())?;
/// let words: Vec<&str> = findings.iter().map(|f| f.word()).collect();
/// assert_eq!(words, ["name-unquoted", "nul-byte", "date-missing", "message-id-missing"]);
/// assert_eq!(findings[1].severity(), Severity::Error);
/// assert_eq!((findings[1].line, findings[1].byte), (Some(3), Some(39)));
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
///
/// # Errors
/// Those of [`Header::parse`].
pub fn lint(message: &[u8], options: &LintOptions) -> Result<Vec<Finding>, SplitError> {
    let (header, body) = split(message, HeaderLimits::default())?;
    let mut options = options.clone();
    options.origin.body_at = Some((message.len() - body.len()) as u64);
    let mut linter = Linter::new(&header, &options);
    linter.write(body);
    Ok(linter.finish())
}

/// What is known of the message beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct LintOptions {
    /// The signatures that are about to be made. Where there are none, those in the message are judged.
    pub planned: Vec<Planned>,
    /// What the message will be signed with, where it has no signature and none is planned; relaxed in both
    /// halves if left out.
    pub canonicalization: Option<Canonicalization>,
    /// Where and how the message stands in its file.
    pub origin: Origin,
}

/// Where and how a message stands in its file, so that places can be told as they are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// So many lines stand before the header, such as the first line of a message in an mbox.
    pub lines_before: u64,
    /// Where the body begins, in bytes; behind the header as it was given if left out.
    pub body_at: Option<u64>,
    /// How lines end.
    pub line_end: LineEnd,
    /// So many lines of the header ended with a bare LF among CRLFs before it was read.
    pub bare_lf_in_header: u64,
}

/// How the lines of a message end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// With CRLF, as they are sent; a bare LF is a fault.
    #[default]
    CrLf,
    /// With LF, in a file that is sent with CRLF in its place.
    Lf,
}

/// A signature that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its tags.
    pub claims: Claims,
    /// The size of the key.
    pub key_bits: usize,
}

impl Planned {
    /// What a [`Signer`](crate::sign::Signer) is going to write.
    pub fn new(signature: &Signature, key: &SigningKey) -> Planned {
        Planned {
            claims: signature.into(),
            key_bits: key.bits(),
        }
    }
}

/// Something that may break a message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub fault: Fault,
    /// The name of the field that it is about.
    pub field: Option<String>,
    /// The line of the file, counted from 1.
    pub line: Option<u64>,
    /// The byte of the file, counted from 0; for the body alone.
    pub byte: Option<u64>,
    /// The part of a multipart message, such as `1.2`.
    pub part: Option<String>,
    /// The same fault stands in so many places more, which are not listed.
    pub more: u64,
    what: String,
}

impl Finding {
    /// The stable word.
    pub fn word(&self) -> &'static str {
        self.fault.word()
    }

    /// How bad it is: `error` will break or be refused, `warning` is likely to.
    pub fn severity(&self) -> Severity {
        self.fault.severity()
    }

    /// What is the matter here, and why it matters, in one sentence.
    pub fn detail(&self) -> String {
        let more = match self.more {
            0 => String::new(),
            1 => " (and at one more place)".to_owned(),
            more => format!(" (and at {more} more places)"),
        };
        format!("{}{more}: {}", self.what, self.fault.row().why)
    }

    /// What to do about it.
    pub fn mend(&self) -> &'static str {
        self.fault.row().mend
    }

    /// Where it is, in words; empty for what concerns the whole message.
    ///
    /// ```
    /// use dkimkit::lint::{LintOptions, lint};
    /// let message = b"From: a@b.example\r\nTo: x\r\n\r\n\0";
    /// let findings = lint(message, &LintOptions::default())?;
    /// assert_eq!(findings[0].place(), "line 2, To");
    /// assert_eq!(findings[1].place(), "line 4, byte 28");
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn place(&self) -> String {
        let line = self.line.map(|line| format!("line {line}"));
        let byte = self.byte.map(|byte| format!("byte {byte}"));
        let part = self.part.as_ref().map(|part| format!("part {part}"));
        let all = [line, byte, part, self.field.clone()];
        all.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn new(fault: Fault) -> Finding {
        Finding {
            fault,
            field: None,
            line: None,
            byte: None,
            part: None,
            more: 0,
            what: fault.row().meaning.to_owned(),
        }
    }

    fn field(mut self, name: &str) -> Finding {
        self.field = Some(name.chars().take(SHOWN).collect());
        self
    }

    fn line(mut self, line: u64) -> Finding {
        self.line = Some(line);
        self
    }

    fn byte(mut self, byte: u64) -> Finding {
        self.byte = Some(byte);
        self
    }

    fn part(mut self, part: Option<String>) -> Finding {
        self.part = part;
        self
    }

    fn what(mut self, what: impl Into<String>) -> Finding {
        self.what = what.into();
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.word())?;
        match self.place() {
            place if place.is_empty() => {}
            place => write!(f, "{place}: ")?,
        }
        f.write_str(&self.detail())
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            word: &'static str,
            severity: &'static str,
            field: &'a Option<String>,
            line: Option<u64>,
            byte: Option<u64>,
            part: &'a Option<String>,
            more: u64,
            detail: String,
            mend: &'static str,
        }
        let view = View {
            word: self.word(),
            severity: self.severity().as_str(),
            field: &self.field,
            line: self.line,
            byte: self.byte,
            part: &self.part,
            more: self.more,
            detail: self.detail(),
            mend: self.mend(),
        };
        view.serialize(serializer)
    }
}

/// So many characters of a name or value are shown.
const SHOWN: usize = 60;

/// The start of a text from outside, escaped.
fn excerpt(text: &[u8]) -> String {
    text[..text.len().min(SHOWN)].escape_ascii().to_string()
}

/// The report on a message, in the form of `lint --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LintReport {
    /// The file that it came from.
    pub file: String,
    /// Its number in an mbox, counted from 1.
    pub message: Option<u64>,
    /// `ok`, `warning` or `error`.
    pub result: &'static str,
    /// Why nothing could be looked at: the header cannot be read.
    pub reason: Option<String>,
    /// What was found, from the top down; what has no place comes last.
    pub findings: Vec<Finding>,
}

impl LintReport {
    /// The report on a message that was read.
    ///
    /// ```
    /// use dkimkit::lint::{LintOptions, LintReport, lint};
    /// let message = b"From: a@b.example\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <a@b>\r\n\r\nHi\r\n";
    /// let report = LintReport::new("a.eml".to_owned(), lint(message, &LintOptions::default())?);
    /// assert_eq!(report.to_json(), r#"{"file": "a.eml", "message": null, "result": "ok", "reason": null, "findings": []}"#);
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn new(file: String, findings: Vec<Finding>) -> LintReport {
        LintReport {
            file,
            message: None,
            result: match worst(&findings) {
                Some(Severity::Error) => "error",
                Some(Severity::Warning) => "warning",
                Some(Severity::Note) | None => "ok",
            },
            reason: None,
            findings,
        }
    }

    /// The report on a message whose header cannot be read: nobody can sign it.
    pub fn unreadable(file: String, error: SplitError) -> LintReport {
        LintReport {
            file,
            message: None,
            result: "error",
            reason: Some(error.to_string()),
            findings: Vec::new(),
        }
    }

    /// The report as one line of JSON, without a line end.
    pub fn to_json(&self) -> String {
        spaced_json(self)
    }
}

/// The worst severity among `findings`; none if there are none.
///
/// ```
/// use dkimkit::lint::worst;
/// assert_eq!(worst(&[]), None);
/// ```
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(Finding::severity).max()
}

/// Looks at a message in stages: the header, and then the body in chunks.
///
/// ```
/// use dkimkit::lint::{LintOptions, Linter};
/// use dkimkit::message::{Header, HeaderLimits};
/// let header = b"From: a@b.example\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <a@b>\r\n";
/// let header = Header::parse(header, HeaderLimits::default())?;
/// let mut linter = Linter::new(&header, &LintOptions::default());
/// linter.write(&b"x".repeat(500));
/// linter.write(&b"x".repeat(500));
/// linter.write(b"\r\n");
/// let findings = linter.finish();
/// assert_eq!(findings[0].word(), "line-too-long");
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
#[derive(Debug)]
pub struct Linter {
    findings: Findings,
    lines: Lines,
}

impl Linter {
    /// Looks at the header; lines of it end with CRLF, whatever they do in the file.
    pub fn new(header: &Header, options: &LintOptions) -> Linter {
        let mut findings = Findings::default();
        let plan = Plan::new(header, options);
        header::look(header, &plan, &mut findings);
        signatures::look(header, &plan, &mut findings);
        let lines = Lines::new(header, &plan, &mut findings);
        Linter { findings, lines }
    }

    /// Takes the next bytes of the body, as they came.
    pub fn write(&mut self, chunk: &[u8]) {
        self.lines.write(chunk, &mut self.findings);
    }

    /// Ends the body: what was found, from the top down; what has no place comes last.
    pub fn finish(mut self) -> Vec<Finding> {
        self.lines.finish(&mut self.findings);
        let mut list = self.findings.list;
        list.sort_by_key(|f| {
            let line = f.line.unwrap_or(u64::MAX);
            (line, f.byte, Reverse(f.severity()))
        });
        list
    }
}

/// What the checks go by.
#[derive(Debug)]
struct Plan<'a> {
    options: &'a LintOptions,
    /// The signatures in the message, where none is planned.
    existing: Vec<signatures::Existing>,
    /// The fields that are signed, in lower case; unknown where nothing is signed.
    signed: Option<HashSet<String>>,
    simple_header: bool,
    simple_body: bool,
}

impl<'a> Plan<'a> {
    fn new(header: &Header, options: &'a LintOptions) -> Plan<'a> {
        let existing = signatures::existing(header);
        let judged: Vec<&Claims> = match options.planned.is_empty() {
            false => options.planned.iter().map(|p| &p.claims).collect(),
            true => existing.iter().map(|e| &e.claims).collect(),
        };
        let canons: Vec<_> = judged.iter().filter_map(|c| c.canonicalization).collect();
        let alone = options.canonicalization.filter(|_| canons.is_empty());
        let any = |half: fn(&Canonicalization) -> Canon| {
            let mut all = canons.iter().chain(&alone);
            all.any(|canon| half(canon) == Canon::Simple)
        };
        Plan {
            simple_header: any(|c| c.header),
            simple_body: any(|c| c.body),
            signed: signatures::signed_names(judged.into_iter()),
            options,
            existing,
        }
    }

    /// Whether a field is signed: by what is planned or there, or else by default.
    fn signs(&self, name: &str) -> bool {
        match &self.signed {
            Some(names) => names.contains(&name.to_ascii_lowercase()),
            None => FieldName::new(name).is_some_and(|name| is_signed_by_default(&name)),
        }
    }

    fn signing(&self) -> bool {
        !self.options.planned.is_empty()
    }
}

/// What was found so far: of each fault the first places, and the number of the others.
#[derive(Debug)]
struct Findings {
    list: Vec<Finding>,
    /// How many places of each fault are listed, and where in the list the last of them stands.
    places: Vec<(u8, usize)>,
}

/// So many places of a fault are listed.
const PLACES: u8 = 3;

impl Default for Findings {
    fn default() -> Findings {
        Findings {
            list: Vec::new(),
            places: vec![(0, 0); WORDS.len()],
        }
    }
}

impl Findings {
    /// Counts a fault once more; `place` is asked where it is listed.
    fn add(&mut self, fault: Fault, place: impl FnOnce(Finding) -> Finding) {
        let (count, last) = &mut self.places[fault as usize];
        if *count == PLACES {
            self.list[*last].more += 1;
            return;
        }
        *count += 1;
        *last = self.list.len();
        self.list.push(place(Finding::new(fault)));
    }
}

#[cfg(test)]
mod tests;
