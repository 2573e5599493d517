//! The three fields of an ARC set (RFC 8617 §4.1): each value read, and the two that are signatures written.

use std::fmt;
use std::ops::Range;

use crate::authres::skip_cfws;
use crate::canon::Canonicalization;
use crate::hash::BodyLimit;
use crate::header::FieldNames;
use crate::key::Algorithm;
use crate::message::is_wsp;
use crate::name::{Domain, KeyName, Selector};
use crate::signature::{
    Claims, Reading, SignatureError, SignatureLimits, check_times, excerpt, put_hashed, put_time,
    read_field_names, required,
};
use crate::tag::{FoldingWriter, TagList, colon_list, trim};
use crate::time::UnixTime;

/// The largest number of sets, and the largest i= (RFC 8617 §4.2.1).
pub const MAX_SETS: u8 = 50;

/// One of the fields of a set (RFC 8617 §4.1), in the order in which a seal covers them (§5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArcField {
    /// ARC-Authentication-Results.
    AuthenticationResults,
    /// ARC-Message-Signature.
    MessageSignature,
    /// ARC-Seal.
    Seal,
}

impl ArcField {
    /// All three, in the order in which a seal covers them.
    pub const ALL: [ArcField; 3] = [
        ArcField::AuthenticationResults,
        ArcField::MessageSignature,
        ArcField::Seal,
    ];

    /// The name of the field.
    pub fn name(self) -> &'static str {
        match self {
            ArcField::AuthenticationResults => "ARC-Authentication-Results",
            ArcField::MessageSignature => "ARC-Message-Signature",
            ArcField::Seal => "ARC-Seal",
        }
    }
}

impl fmt::Display for ArcField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The status of a chain, as cv= tells it (RFC 8617 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainStatus {
    /// There was no chain.
    None,
    /// The chain held.
    Pass,
    /// It did not.
    Fail,
}

impl ChainStatus {
    /// The word of cv=.
    pub fn as_str(self) -> &'static str {
        match self {
            ChainStatus::None => "none",
            ChainStatus::Pass => "pass",
            ChainStatus::Fail => "fail",
        }
    }

    /// Reads the word of cv=, in any letter case (RFC 5234 §2.3).
    ///
    /// ```
    /// use dkimkit::arc::ChainStatus;
    /// assert_eq!(ChainStatus::from_word("pass"), Some(ChainStatus::Pass));
    /// assert_eq!(ChainStatus::from_word("policy"), None);
    /// ```
    pub fn from_word(word: &str) -> Option<ChainStatus> {
        [ChainStatus::None, ChainStatus::Pass, ChainStatus::Fail]
            .into_iter()
            .find(|status| word.eq_ignore_ascii_case(status.as_str()))
    }
}

impl fmt::Display for ChainStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an ARC-Message-Signature says, all of it checked (RFC 8617 §4.1.2): a DKIM-Signature whose i= is the
/// number of its set and whose v= means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSignature {
    /// i=
    pub instance: u8,
    /// a=
    pub algorithm: Algorithm,
    /// c=
    pub canonicalization: Canonicalization,
    /// d=
    pub domain: Domain,
    /// s=
    pub selector: Selector,
    /// h=; the sets of others sign what they like, even nothing.
    pub signed_headers: FieldNames,
    /// l=
    pub body_limit: BodyLimit,
    /// t=
    pub timestamp: Option<UnixTime>,
    /// x=
    pub expiration: Option<UnixTime>,
    /// bh=, decoded
    pub body_hash: Vec<u8>,
    /// b=, decoded
    pub signature: Vec<u8>,
}

impl MessageSignature {
    /// Reads a list whose i= is known.
    pub(super) fn read(
        list: &TagList<'_>,
        instance: u8,
        limits: SignatureLimits,
    ) -> Result<MessageSignature, FieldError> {
        let tags = Reading::of(list, limits);
        // RFC 6376 §3.5 lets no empty item stand in h=. Here there are such, and they name nothing.
        let h = list
            .get("h")
            .ok_or(SignatureError::MissingTag { tag: "h" })?;
        let names = colon_list(h.value).filter(|name| !name.is_empty());
        let signed_headers = read_field_names(names, limits.signed_headers)?;
        // §4.1.2 forbids all three ARC fields. A seal of this set cannot exist when this is signed, and one of
        // another cannot be meant; of the other two, sets in use do name the ARC-Authentication-Results.
        if signed_headers.has(ArcField::Seal.name()) {
            return Err(FieldError::SealSigned);
        }
        tags.query_methods?;
        let (domain, selector) = (tags.domain?, tags.selector?);
        check_key_name(&selector, &domain)?;
        let (timestamp, expiration) = (tags.timestamp?, tags.expiration?);
        check_times(timestamp, expiration)?;
        Ok(MessageSignature {
            instance,
            algorithm: tags.algorithm?,
            canonicalization: tags.canonicalization?,
            domain,
            selector,
            signed_headers,
            body_limit: tags.body_limit?,
            timestamp,
            expiration,
            body_hash: tags.body_hash?,
            signature: tags.signature?,
        })
    }

    /// The field up to the value of b=, which is what b= signs of it.
    pub(super) fn write_unsigned(&self) -> FoldingWriter {
        let mut field = begin(ArcField::MessageSignature, self.instance, self.algorithm);
        field.tag("c", [self.canonicalization.as_str()]);
        field.tag("d", [self.domain.as_ascii()]);
        field.tag("s", [self.selector.as_ascii()]);
        put_time(&mut field, "t", self.timestamp);
        put_time(&mut field, "x", self.expiration);
        put_hashed(&mut field, &self.signed_headers, &self.body_hash);
        field
    }
}

/// What an ARC-Seal says, all of it checked (RFC 8617 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// i=
    pub instance: u8,
    /// cv=
    pub status: ChainStatus,
    /// a=
    pub algorithm: Algorithm,
    /// d=
    pub domain: Domain,
    /// s=
    pub selector: Selector,
    /// t=
    pub timestamp: Option<UnixTime>,
    /// b=, decoded
    pub signature: Vec<u8>,
}

impl Seal {
    /// Reads a list whose i= is known.
    pub(super) fn read(
        list: &TagList<'_>,
        instance: u8,
        limits: SignatureLimits,
    ) -> Result<Seal, FieldError> {
        // §4.1.3: h= "is NOT allowed and, if found, MUST result in" a failure.
        if list.get("h").is_some() {
            return Err(FieldError::SealNamesFields);
        }
        let status = read_status(list)?;
        let tags = Reading::of(list, limits);
        let (domain, selector) = (tags.domain?, tags.selector?);
        check_key_name(&selector, &domain)?;
        Ok(Seal {
            instance,
            status,
            algorithm: tags.algorithm?,
            domain,
            selector,
            timestamp: tags.timestamp?,
            signature: tags.signature?,
        })
    }

    /// The field up to the value of b=, which is what b= signs of it.
    pub(super) fn write_unsigned(&self) -> FoldingWriter {
        let mut field = begin(ArcField::Seal, self.instance, self.algorithm);
        put_time(&mut field, "t", self.timestamp);
        field.tag("cv", [self.status.as_str()]);
        field.tag("d", [self.domain.as_ascii()]);
        field.tag("s", [self.selector.as_ascii()]);
        field.open_base64_tag("b");
        field
    }
}

/// i= comes first (RFC 8617 §4.1), so that a reader knows the set before all else.
fn begin(name: ArcField, instance: u8, algorithm: Algorithm) -> FoldingWriter {
    let mut field = FoldingWriter::new(name.name());
    field.tag("i", [instance.to_string().as_str()]);
    field.tag("a", [algorithm.as_str()]);
    field
}

fn check_key_name(selector: &Selector, domain: &Domain) -> Result<(), SignatureError> {
    KeyName::check(selector, domain).map_err(|error| SignatureError::Selector { error })
}

/// What could be read of a list of a signature or a seal; what `read` refused included.
pub(super) fn claims(list: &TagList<'_>, limits: SignatureLimits) -> Claims {
    let mut claims = Reading::of(list, limits).claims();
    // It is the number of the set.
    claims.identity = None;
    claims
}

pub(super) fn read_status(list: &TagList<'_>) -> Result<ChainStatus, FieldError> {
    let value = required(list, "cv")?;
    let word = std::str::from_utf8(value).ok();
    word.and_then(ChainStatus::from_word)
        .ok_or_else(|| FieldError::Status {
            found: excerpt(value),
        })
}

/// Reads i= of a list (RFC 8617 §4.2.1).
pub(super) fn read_instance(list: &TagList<'_>) -> Result<u8, FieldError> {
    instance(required(list, "i")?)
}

/// A number of one digit or two; those beyond [`MAX_SETS`] are told apart.
fn instance(digits: &[u8]) -> Result<u8, FieldError> {
    let found = || excerpt(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FieldError::Instance { found: found() });
    }
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|d| d.parse().ok());
    match number {
        Some(0) => Err(FieldError::Instance { found: found() }),
        Some(number @ 1..=MAX_SETS) if digits.len() <= 2 => Ok(number),
        Some(1..=MAX_SETS) => Err(FieldError::Instance { found: found() }),
        _ => Err(FieldError::BeyondLimit { found: found() }),
    }
}

/// Reads the value of an ARC-Authentication-Results field (RFC 8617 §4.1.1): i= and a semicolon, which come
/// first, and where the results stand behind them.
///
/// Comments may stand around each part.
pub(super) fn read_results(value: &[u8]) -> Result<(u8, Range<usize>), FieldError> {
    let mut rest = value;
    let mut token = |wanted: u8| -> Option<()> {
        rest = skip_cfws(rest)?.strip_prefix(&[wanted])?;
        Some(())
    };
    if token(b'i').and_then(|()| token(b'=')).is_none() {
        return Err(FieldError::InstanceNotFirst);
    }
    let rest = skip_cfws(rest).ok_or(FieldError::InstanceNotFirst)?;
    let end = rest
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    let (digits, rest) = rest.split_at(end);
    let number = instance(digits)?;
    let rest = skip_cfws(rest)
        .and_then(|rest| rest.strip_prefix(b";"))
        .ok_or(FieldError::InstanceNotFirst)?;
    let start = value.len() - rest.len();
    Ok((number, start..value.len()))
}

/// The results of an ARC-Authentication-Results field as one line of text; bytes that are not UTF-8 are replaced.
pub(super) fn results_text(results: &[u8]) -> String {
    let mut line = Vec::with_capacity(results.len());
    // Folds are CRLF and a blank that stays; runs of blanks come to one.
    for &byte in trim(results) {
        let byte = if is_wsp(byte) { b' ' } else { byte };
        match (byte, line.last()) {
            (b'\r' | b'\n', _) | (b' ', Some(b' ')) => {}
            _ => line.push(byte),
        }
    }
    String::from_utf8_lossy(&line).into_owned()
}

/// Why a field of a set cannot be used (RFC 8617 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A tag that DKIM-Signature has too, or the list itself.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// i= is not a number from 1 to 50.
    #[error("i={found} is not a number from 1 to 50")]
    Instance {
        /// The value, escaped.
        found: String,
    },
    /// i= is greater than 50.
    #[error("i={found} is more than 50, and a chain has no more sets")]
    BeyondLimit {
        /// The value, escaped.
        found: String,
    },
    /// The field does not begin with i= and a semicolon.
    #[error("the field does not begin with i= and a semicolon")]
    InstanceNotFirst,
    /// cv= is not none, pass or fail.
    #[error("cv={found} is neither none, pass nor fail")]
    Status {
        /// The value, escaped.
        found: String,
    },
    /// A seal has h=.
    #[error("the seal has h=, but it always covers the ARC fields and no others")]
    SealNamesFields,
    /// h= of a message signature names ARC-Seal.
    #[error("h= names ARC-Seal, which is only made after this signature")]
    SealSigned,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_results_comes_first() {
        for (value, want) in [
            (" i=1; mx.example; none", Some((1, " mx.example; none"))),
            ("i = 07 ;x", Some((7, "x"))),
            ("\r\n (a (b\\)) c) i(x)=(y)50(z);", Some((50, ""))),
            (" i=1 mx.example; none", None),
            (" mx.example; i=1", None),
            (" I=1; x", None),
            (" i=; x", None),
            (" i=0; x", None),
            (" i=00; x", None),
            (" i=001; x", None),
            (" i=51; x", None),
            (" i=1x; x", None),
            (" i=-1; x", None),
            (" i=99999999999999999999; x", None),
            (" (i=1; x", None),
            ("", None),
        ] {
            let got = read_results(value.as_bytes()).ok();
            let got = got.map(|(i, results)| (i, &value[results]));
            assert_eq!(got, want, "{value:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let limits = SignatureLimits::default();
        let signature = MessageSignature {
            instance: 3,
            algorithm: Algorithm::RsaSha256,
            canonicalization: Canonicalization::RELAXED,
            domain: Domain::new("example.com").unwrap(),
            selector: Selector::new("mail").unwrap(),
            signed_headers: ["From", "To", "From"]
                .into_iter()
                .filter_map(crate::header::FieldName::new)
                .collect(),
            body_limit: BodyLimit::Whole,
            timestamp: Some(UnixTime(5)),
            expiration: Some(UnixTime(6)),
            body_hash: b"foo".to_vec(),
            signature: b"bar".to_vec(),
        };
        let field = crate::signature::filled(signature.write_unsigned(), b"bar");
        assert!(field.starts_with("ARC-Message-Signature: i=3; a=rsa-sha256; c=relaxed/relaxed;"));
        let list = TagList::parse(field.split_once(':').unwrap().1.as_bytes(), 20).unwrap();
        let instance = read_instance(&list).unwrap();
        let read = MessageSignature::read(&list, instance, limits);
        assert_eq!(read, Ok(signature));

        let seal = Seal {
            instance: 50,
            status: ChainStatus::Pass,
            algorithm: Algorithm::Ed25519Sha256,
            domain: Domain::new("example.com").unwrap(),
            selector: Selector::new("mail").unwrap(),
            timestamp: None,
            signature: b"bar".to_vec(),
        };
        let field = crate::signature::filled(seal.write_unsigned(), b"bar");
        let list = TagList::parse(field.split_once(':').unwrap().1.as_bytes(), 20).unwrap();
        let instance = read_instance(&list).unwrap();
        assert_eq!(Seal::read(&list, instance, limits), Ok(seal));
    }
}
