//! Reports as JSON, in the form of `verify --json`.

use std::io::{self, Write};

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use super::{Failure, Verdict, overall};
use crate::hash::BodyLimit;
use crate::header::FieldNames;
use crate::message::SplitError;
use crate::name::Domain;
use crate::time::UnixTime;

/// The report on a message, in the form of `verify --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageReport {
    /// The file that it came from.
    pub file: String,
    /// Its number in an mbox, counted from 1.
    pub message: Option<u64>,
    /// The word of RFC 8601.
    pub result: &'static str,
    /// Why it does not pass.
    pub reason: Option<&'static str>,
    /// The domains of From, each once.
    pub from_domains: Vec<String>,
    /// Its signatures, from the top down.
    pub signatures: Vec<SignatureReport>,
    /// Its DomainKey-Signature fields (RFC 4870), which never count for the result.
    pub domainkeys: Vec<DomainKeysReport>,
}

impl MessageReport {
    /// The report on a message that was verified.
    pub fn new(file: String, from_domains: &[Domain], verdicts: &[Verdict]) -> MessageReport {
        let result = overall(verdicts);
        let decisive = verdicts.iter().find(|v| v.result() == result);
        let reason = match decisive {
            None => Some("no-signature"),
            Some(verdict) => verdict.failure().map(Failure::reason),
        };
        MessageReport {
            file,
            message: None,
            result: result.as_str(),
            reason,
            from_domains: from_domains
                .iter()
                .map(|d| d.as_ascii().to_owned())
                .collect(),
            signatures: verdicts.iter().map(SignatureReport::new).collect(),
            domainkeys: Vec::new(),
        }
    }

    /// The report on a message that could not be cut into header and body.
    pub fn unreadable(file: String, error: SplitError) -> MessageReport {
        let failure = Failure::Message(error);
        MessageReport {
            file,
            message: None,
            result: failure.result().as_str(),
            reason: Some(failure.reason()),
            from_domains: Vec::new(),
            signatures: Vec::new(),
            domainkeys: Vec::new(),
        }
    }
}

impl MessageReport {
    /// The report as one line of JSON, without a line end.
    ///
    /// ```
    /// use dkimkit::message::SplitError;
    /// use dkimkit::report::MessageReport;
    /// let report = MessageReport::unreadable("a.eml".to_owned(), SplitError::NoHeader);
    /// assert!(report.to_json().starts_with(r#"{"file": "a.eml", "message": null, "result": "permerror","#));
    /// ```
    pub fn to_json(&self) -> String {
        spaced_json(self)
    }
}

/// JSON on one line, with a space behind each colon and comma, so that people can read and grep it too.
pub fn spaced_json(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Spaced);
    let done = value.serialize(&mut serializer);
    done.expect("what we report has string keys, and a vector takes every byte");
    String::from_utf8(text).expect("JSON is UTF-8")
}

struct Spaced;

/// Whether a character is one that a terminal obeys or nobody sees: a control character, one that turns the
/// direction of writing, that ends a line to some readers, or that is invisible.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
        )
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    /// What a terminal would obey is escaped, though JSON would let it stand.
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_harmful(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            // Beyond the first plane JSON wants two (RFC 8259 §7).
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

/// The report on a signature, in the form of `verify --json`; what is not known is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureReport {
    /// Which DKIM-Signature field it is, counted from 0 at the top.
    pub index: usize,
    /// The word of RFC 8601.
    pub result: &'static str,
    /// Why it does not pass.
    pub reason: Option<&'static str>,
    /// The same in words.
    pub detail: String,
    /// Whether d= is aligned with a domain of From.
    pub aligned: bool,
    /// d=
    pub domain: Option<String>,
    /// s=
    pub selector: Option<String>,
    /// a=
    pub algorithm: Option<&'static str>,
    /// The size of the key in bits.
    pub key_bits: Option<usize>,
    /// c=
    pub canonicalization: Option<String>,
    /// i=, or `@` and d=
    pub identity: Option<String>,
    /// h=, in lower case
    #[serde(serialize_with = "lower_case")]
    pub signed_fields: Option<FieldNames>,
    /// t=
    pub timestamp: Option<u64>,
    /// x=
    pub expires: Option<u64>,
    /// l=
    pub body_length: Option<u64>,
    /// t=y of the key record
    pub testing: bool,
}

impl SignatureReport {
    /// What a verdict says.
    pub(crate) fn new(verdict: &Verdict) -> SignatureReport {
        let claims = &verdict.claims;
        let domain = claims.domain.as_ref().map(|d| d.as_str().to_owned());
        let identity = match &claims.identity {
            Some(identity) => Some(identity.to_string()),
            None => domain.as_ref().map(|d| format!("@{d}")),
        };
        SignatureReport {
            index: verdict.index,
            result: verdict.result().as_str(),
            reason: verdict.failure().map(Failure::reason),
            detail: verdict.detail(),
            aligned: verdict.alignment.is_some(),
            domain,
            selector: claims.selector.as_ref().map(|s| s.as_str().to_owned()),
            algorithm: claims.algorithm.map(|a| a.as_str()),
            key_bits: verdict.key.and_then(|k| k.bits),
            canonicalization: claims.canonicalization.map(|c| c.to_string()),
            identity,
            signed_fields: claims.signed_headers.clone(),
            timestamp: claims.timestamp.and_then(finite),
            expires: claims.expiration.and_then(finite),
            body_length: match claims.body_limit {
                Some(BodyLimit::Octets(n)) => Some(n),
                Some(BodyLimit::Whole) | None => None,
            },
            testing: verdict.key.is_some_and(|k| k.testing),
        }
    }
}

/// Names as a list in lower case, without a copy of each: a hostile message has very many.
pub(crate) fn lower_case<S: Serializer>(
    names: &Option<FieldNames>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match names {
        Some(names) => to.collect_seq(names.iter().map(str::to_ascii_lowercase)),
        None => to.serialize_none(),
    }
}

/// A time that more than 12 digits were given for is not known.
pub(crate) fn finite(time: UnixTime) -> Option<u64> {
    (time != UnixTime::INFINITE).then_some(time.0)
}

/// A DomainKey-Signature field (RFC 4870), in the form of `verify --json`; what is not known is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DomainKeysReport {
    /// Which DomainKey-Signature field it is, counted from 0 at the top.
    pub index: usize,
    /// The word of RFC 8601; `neutral` under every policy but `legacy`.
    pub result: &'static str,
    /// Why it does not pass; `not-evaluated` under every policy but `legacy`.
    pub reason: Option<&'static str>,
    /// d=
    pub domain: Option<String>,
    /// s=
    pub selector: Option<String>,
    /// The reason in words.
    pub detail: Option<String>,
    /// c=: `simple` or `nofws`
    pub canonicalization: Option<&'static str>,
    /// The size of the key in bits.
    pub key_bits: Option<usize>,
    /// t=y of the key record
    pub testing: bool,
}
