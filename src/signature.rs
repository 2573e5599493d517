//! The DKIM-Signature field: its value read into a [`Signature`], and a `Signature` written as a field.

use std::ops::Range;

use crate::canon::Canonicalization;
use crate::hash::BodyLimit;
use crate::header::{FieldName, FieldNames, JoinedNames};
use crate::key::{Algorithm, decode_base64, encode_base64};
use crate::name::{Auid, Domain, KeyName, NameError, Selector};
use crate::tag::{FoldingWriter, TagError, TagList, colon_list, without_wsp};
use crate::time::UnixTime;

/// The name of the field.
pub const FIELD_NAME: &str = "DKIM-Signature";

/// The names of h=; From is always among them (RFC 6376 §5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders(FieldNames);

impl SignedHeaders {
    /// Keeps the names; `None` where From is not among them.
    pub fn new(names: FieldNames) -> Option<SignedHeaders> {
        (names.has("From")).then_some(SignedHeaders(names))
    }

    /// The names in their order; one that stands twice signs two instances.
    pub fn names(&self) -> &FieldNames {
        &self.0
    }
}

/// The caps that hold while a signature is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureLimits {
    /// Tags of the list.
    pub tags: usize,
    /// Names in h=.
    pub signed_headers: usize,
}

impl Default for SignatureLimits {
    /// 100 tags and 1,000 names.
    fn default() -> Self {
        SignatureLimits {
            tags: 100,
            signed_headers: 1000,
        }
    }
}

/// What a DKIM-Signature field says, all of it checked (RFC 6376 §3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// a=
    pub algorithm: Algorithm,
    /// c=
    pub canonicalization: Canonicalization,
    /// d=
    pub domain: Domain,
    /// s=
    pub selector: Selector,
    /// i=; where it is absent, the identity is `@` and d=.
    pub identity: Option<Auid>,
    /// h=
    pub signed_headers: SignedHeaders,
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

impl Signature {
    /// Reads the value of a DKIM-Signature field: what follows the colon.
    ///
    /// Also returns where the value of b= stands, with the white space around it, for
    /// [`canon::header::signature`](crate::canon::header::signature).
    ///
    /// ```
    /// use dkimkit::signature::{Signature, SignatureLimits};
    /// let value = b" v=1; a=rsa-sha256; d=example.com; s=mail; h=from:to; bh=Zm9v; b=YmFy";
    /// let (signature, b) = Signature::parse(value, SignatureLimits::default()).unwrap();
    /// assert_eq!(signature.domain.as_str(), "example.com");
    /// assert_eq!(&value[b], b"YmFy");
    /// ```
    ///
    /// # Errors
    /// [`Rejected`]: why the signature cannot be verified by anybody, and what could be read of it all
    /// the same. Unknown tags are passed over (§3.2).
    pub fn parse(
        value: &[u8],
        limits: SignatureLimits,
    ) -> Result<(Signature, Range<usize>), Box<Rejected>> {
        let list = match TagList::parse(value, limits.tags) {
            Ok(list) => list,
            Err(error) => {
                let claims = Claims::default();
                let error = SignatureError::Tags(error);
                return Err(Box::new(Rejected { error, claims }));
            }
        };
        let signature = Reading::of(&list, limits).checked()?;
        let b = list.get("b").expect("b= was read").span.clone();
        Ok((signature, b))
    }

    /// The name at which the key is published.
    ///
    /// # Errors
    /// [`NameError`] where selector and domain together are too long.
    pub fn key_name(&self) -> Result<KeyName, NameError> {
        KeyName::new(&self.selector, &self.domain)
    }

    /// The field that says this, folded at 78 columns with CRLF, without a final CRLF.
    ///
    /// Names are written as A-labels and everything else in ASCII: an internationalized header (RFC 8616 §4)
    /// may hold them in UTF-8, but any verifier reads this form.
    ///
    /// All that stands before the value of b= is the same whatever [`signature`](Self::signature) holds,
    /// so that the field may be hashed with none and then written with the one that was made.
    pub fn to_field(&self) -> String {
        filled(self.write_unsigned(), &self.signature)
    }

    /// The field up to the value of b=, which is what b= signs of it.
    pub(crate) fn write_unsigned(&self) -> FoldingWriter {
        let mut field = FoldingWriter::new(FIELD_NAME);
        field.tag("v", ["1"]);
        field.tag("a", [self.algorithm.as_str()]);
        field.tag("c", [self.canonicalization.as_str()]);
        field.tag("d", [self.domain.as_ascii()]);
        field.tag("s", [self.selector.as_ascii()]);
        if let Some(identity) = &self.identity {
            field.tag("i", [encode_identity(identity).as_str()]);
        }
        put_time(&mut field, "t", self.timestamp);
        put_time(&mut field, "x", self.expiration);
        if let BodyLimit::Octets(l) = self.body_limit {
            field.tag("l", [l.to_string().as_str()]);
        }
        put_hashed(&mut field, self.signed_headers.names(), &self.body_hash);
        field
    }
}

/// Writes t= or x=, where there is a time.
pub(crate) fn put_time(field: &mut FoldingWriter, tag: &str, time: Option<UnixTime>) {
    if let Some(UnixTime(seconds)) = time {
        field.tag(tag, [seconds.to_string().as_str()]);
    }
}

/// Writes h= and bh=, and begins b=.
pub(crate) fn put_hashed(field: &mut FoldingWriter, names: &FieldNames, body_hash: &[u8]) {
    field.tag("h", names.pieces());
    field.tag("bh", [encode_base64(body_hash).as_str()]);
    field.open_base64_tag("b");
}

/// The field with its signature. The last tag needs no semicolon.
pub(crate) fn filled(unsigned: FoldingWriter, signature: &[u8]) -> String {
    let mut field = unsigned;
    field.base64_value(&encode_base64(signature));
    field.finish()
}

/// Every tag read for itself, so that a report can show the good ones of a bad signature.
pub(crate) struct Reading {
    pub(crate) version: Result<(), SignatureError>,
    pub(crate) algorithm: Result<Algorithm, SignatureError>,
    pub(crate) canonicalization: Result<Canonicalization, SignatureError>,
    pub(crate) domain: Result<Domain, SignatureError>,
    pub(crate) selector: Result<Selector, SignatureError>,
    pub(crate) identity: Result<Option<Auid>, SignatureError>,
    pub(crate) signed_headers: Result<FieldNames, SignatureError>,
    pub(crate) body_limit: Result<BodyLimit, SignatureError>,
    pub(crate) timestamp: Result<Option<UnixTime>, SignatureError>,
    pub(crate) expiration: Result<Option<UnixTime>, SignatureError>,
    pub(crate) query_methods: Result<(), SignatureError>,
    pub(crate) body_hash: Result<Vec<u8>, SignatureError>,
    pub(crate) signature: Result<Vec<u8>, SignatureError>,
}

impl Reading {
    pub(crate) fn of(list: &TagList<'_>, limits: SignatureLimits) -> Reading {
        let required = |tag: &'static str| required(list, tag);
        let optional = |tag: &str| list.get(tag).map(|t| t.value);
        Reading {
            version: required("v").and_then(read_version),
            algorithm: required("a").and_then(read_algorithm),
            canonicalization: optional("c")
                .map_or(Ok(Canonicalization::SIMPLE), read_canonicalization),
            domain: required("d").and_then(|value| {
                let text = std::str::from_utf8(value).map_err(|_| NameError::NotUtf8);
                text.and_then(Domain::new)
                    .map_err(|error| SignatureError::Domain { error })
            }),
            selector: required("s").and_then(|value| {
                let text = std::str::from_utf8(value).map_err(|_| NameError::NotUtf8);
                text.and_then(Selector::new)
                    .map_err(|error| SignatureError::Selector { error })
            }),
            identity: optional("i").map(read_identity).transpose(),
            signed_headers: required("h")
                .and_then(|value| read_field_names(colon_list(value), limits.signed_headers)),
            body_limit: optional("l").map_or(Ok(BodyLimit::Whole), |value| {
                read_number("l", value).map(BodyLimit::Octets)
            }),
            timestamp: optional("t").map(|v| read_time("t", v)).transpose(),
            expiration: optional("x").map(|v| read_time("x", v)).transpose(),
            query_methods: optional("q").map_or(Ok(()), read_query_methods),
            body_hash: required("bh").and_then(|value| read_base64("bh", value)),
            signature: required("b").and_then(|value| read_base64("b", value)),
        }
    }

    pub(crate) fn claims(&self) -> Claims {
        let names = self.signed_headers.as_ref().ok();
        Claims {
            algorithm: self.algorithm.as_ref().ok().copied(),
            canonicalization: self.canonicalization.as_ref().ok().copied(),
            domain: self.domain.as_ref().ok().cloned(),
            selector: self.selector.as_ref().ok().cloned(),
            identity: self.identity.as_ref().ok().cloned().flatten(),
            signed_headers: names.cloned(),
            body_limit: self.body_limit.as_ref().ok().copied(),
            timestamp: self.timestamp.as_ref().ok().copied().flatten(),
            expiration: self.expiration.as_ref().ok().copied().flatten(),
            signature: self.signature.as_ref().ok().cloned(),
        }
    }

    /// The checks in the order of RFC 6376 §6.1.1.
    fn checked(self) -> Result<Signature, Box<Rejected>> {
        if let Err(error) = self.check() {
            let claims = self.claims();
            return Err(Box::new(Rejected { error, claims }));
        }
        let good = "a signature that was checked";
        Ok(Signature {
            algorithm: self.algorithm.expect(good),
            signature: self.signature.expect(good),
            body_hash: self.body_hash.expect(good),
            domain: self.domain.expect(good),
            selector: self.selector.expect(good),
            signed_headers: SignedHeaders::new(self.signed_headers.expect(good)).expect(good),
            canonicalization: self.canonicalization.expect(good),
            identity: self.identity.expect(good),
            body_limit: self.body_limit.expect(good),
            timestamp: self.timestamp.expect(good),
            expiration: self.expiration.expect(good),
        })
    }

    fn check(&self) -> Result<(), SignatureError> {
        fn good<T>(read: &Result<T, SignatureError>) -> Result<&T, SignatureError> {
            read.as_ref().map_err(SignatureError::clone)
        }
        good(&self.version)?;
        good(&self.algorithm)?;
        good(&self.signature)?;
        good(&self.body_hash)?;
        let domain = good(&self.domain)?;
        let selector = good(&self.selector)?;
        if !good(&self.signed_headers)?.has("from") {
            return Err(SignatureError::FromNotSigned);
        }
        good(&self.canonicalization)?;
        let identity = good(&self.identity)?;
        good(&self.body_limit)?;
        let timestamp = *good(&self.timestamp)?;
        let expiration = *good(&self.expiration)?;
        good(&self.query_methods)?;
        KeyName::check(selector, domain).map_err(|error| SignatureError::Selector { error })?;
        if let Some(identity) = identity
            && identity.domain != *domain
            && !identity.domain.is_below(domain)
        {
            return Err(SignatureError::IdentityNotInDomain);
        }
        check_times(timestamp, expiration)
    }
}

/// §3.5, x=: it "MUST be greater than" t=.
pub(crate) fn check_times(
    timestamp: Option<UnixTime>,
    expiration: Option<UnixTime>,
) -> Result<(), SignatureError> {
    if let (Some(timestamp), Some(expiration)) = (timestamp, expiration)
        && expiration <= timestamp
        && expiration != UnixTime::INFINITE
    {
        return Err(SignatureError::ExpirationBeforeTimestamp {
            timestamp,
            expiration,
        });
    }
    Ok(())
}

/// The value of a tag that must be there and not be empty.
pub(crate) fn required<'a>(
    list: &TagList<'a>,
    tag: &'static str,
) -> Result<&'a [u8], SignatureError> {
    match list.get(tag) {
        None => Err(SignatureError::MissingTag { tag }),
        Some(found) if found.value.is_empty() => Err(SignatureError::EmptyTag { tag }),
        Some(found) => Ok(found.value),
    }
}

fn read_version(value: &[u8]) -> Result<(), SignatureError> {
    if value == b"1" {
        return Ok(());
    }
    Err(SignatureError::Version {
        found: excerpt(value),
    })
}

fn read_algorithm(value: &[u8]) -> Result<Algorithm, SignatureError> {
    let word = std::str::from_utf8(value).ok();
    word.and_then(Algorithm::from_word)
        .ok_or_else(|| SignatureError::Algorithm {
            found: excerpt(value),
        })
}

fn read_canonicalization(value: &[u8]) -> Result<Canonicalization, SignatureError> {
    let word = std::str::from_utf8(value).ok();
    word.and_then(Canonicalization::from_tag)
        .ok_or_else(|| SignatureError::Canonicalization {
            found: excerpt(value),
        })
}

pub(crate) fn read_field_names<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    limit: usize,
) -> Result<FieldNames, SignatureError> {
    let mut names = JoinedNames::with_capacity(256);
    for item in items {
        if names.len() == limit {
            return Err(SignatureError::TooManyHeaders { limit });
        }
        // A name that is legal is ASCII.
        match std::str::from_utf8(item) {
            Ok(name) if FieldName::is_legal(item) => names.push(name),
            _ => {
                return Err(SignatureError::HeaderName {
                    found: excerpt(item),
                });
            }
        }
    }
    Ok(names.finish())
}

fn read_query_methods(value: &[u8]) -> Result<(), SignatureError> {
    if colon_list(value).any(|method| method.eq_ignore_ascii_case(b"dns/txt")) {
        return Ok(());
    }
    Err(SignatureError::QueryMethod {
        found: excerpt(value),
    })
}

pub(crate) fn read_base64(tag: &'static str, value: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let decoded = decode_base64(&without_wsp(value));
    match decoded {
        Some(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(SignatureError::Base64 { tag }),
    }
}

/// Reads digits; what does not fit into 64 bits is the largest number.
fn read_number(tag: &'static str, value: &[u8]) -> Result<u64, SignatureError> {
    // 76 digits is what the grammar of l= gives at the most.
    if value.is_empty() || value.len() > 76 || !value.iter().all(u8::is_ascii_digit) {
        return Err(SignatureError::Number {
            tag,
            found: excerpt(value),
        });
    }
    let digit = |n: u64, b: &u8| n.saturating_mul(10).saturating_add(u64::from(b - b'0'));
    Ok(value.iter().fold(0, digit))
}

fn read_time(tag: &'static str, value: &[u8]) -> Result<UnixTime, SignatureError> {
    const TWELVE_DIGITS: u64 = 999_999_999_999;
    let time = read_number(tag, value)?;
    Ok(if time > TWELVE_DIGITS {
        UnixTime::INFINITE
    } else {
        UnixTime(time)
    })
}

fn read_identity(value: &[u8]) -> Result<Auid, SignatureError> {
    let decoded = decode_quoted_printable(value);
    decoded
        .ok_or(NameError::NoAt)
        .and_then(|text| Auid::new(&text))
        .map_err(|error| SignatureError::Identity {
            found: excerpt(value),
            error,
        })
}

/// Decodes dkim-quoted-printable: white space means nothing, `=XX` is a byte (RFC 6376 §2.11).
pub(crate) fn decode_quoted_printable(value: &[u8]) -> Option<Vec<u8>> {
    let value = without_wsp(value);
    let mut out = Vec::with_capacity(value.len());
    let mut rest = &*value;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'=' {
            let (pair, tail) = tail.split_at_checked(2)?;
            let hex = |b: u8| char::from(b).to_digit(16);
            let value = hex(pair[0])? * 16 + hex(pair[1])?;
            out.push(u8::try_from(value).ok()?);
            rest = tail;
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    Some(out)
}

/// Encodes as dkim-quoted-printable (RFC 6376 §2.11), in ASCII.
pub(crate) fn encode_quoted_printable(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes {
        match byte {
            b'!'..=b':' | b'<' | b'>'..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("={byte:02X}")),
        }
    }
    out
}

fn encode_identity(identity: &Auid) -> String {
    let local = identity.local_part.as_deref().unwrap_or_default();
    format!(
        "{}@{}",
        encode_quoted_printable(local),
        identity.domain.as_ascii()
    )
}

/// The start of a value from outside, escaped, for an error message.
pub(crate) fn excerpt(value: &[u8]) -> String {
    value[..value.len().min(60)].escape_ascii().to_string()
}

/// What could be read of a signature, whether or not it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// a=
    pub algorithm: Option<Algorithm>,
    /// c=, or what its absence means
    pub canonicalization: Option<Canonicalization>,
    /// d=
    pub domain: Option<Domain>,
    /// s=
    pub selector: Option<Selector>,
    /// i=
    pub identity: Option<Auid>,
    /// h=
    pub signed_headers: Option<FieldNames>,
    /// l=, or what its absence means
    pub body_limit: Option<BodyLimit>,
    /// t=
    pub timestamp: Option<UnixTime>,
    /// x=
    pub expiration: Option<UnixTime>,
    /// b=, decoded
    pub signature: Option<Vec<u8>>,
}

impl From<&Signature> for Claims {
    fn from(signature: &Signature) -> Claims {
        Claims {
            algorithm: Some(signature.algorithm),
            canonicalization: Some(signature.canonicalization),
            domain: Some(signature.domain.clone()),
            selector: Some(signature.selector.clone()),
            identity: signature.identity.clone(),
            signed_headers: Some(signature.signed_headers.names().clone()),
            body_limit: Some(signature.body_limit),
            timestamp: signature.timestamp,
            expiration: signature.expiration,
            signature: Some(signature.signature.clone()),
        }
    }
}

/// A DKIM-Signature field that nobody can verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub error: SignatureError,
    /// What could be read of it.
    pub claims: Claims,
}

/// Why a DKIM-Signature field cannot be used (RFC 6376 §6.1.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is no tag list.
    #[error("{0}")]
    Tags(TagError),
    /// A required tag is not there.
    #[error("the tag {tag}= is missing")]
    MissingTag {
        /// The tag.
        tag: &'static str,
    },
    /// A required tag has no value.
    #[error("the tag {tag}= is empty")]
    EmptyTag {
        /// The tag.
        tag: &'static str,
    },
    /// v= is not 1.
    #[error("v={found} is not version 1")]
    Version {
        /// The value, escaped.
        found: String,
    },
    /// a= names no algorithm of DKIM.
    #[error("a={found} is no algorithm of DKIM")]
    Algorithm {
        /// The value, escaped.
        found: String,
    },
    /// c= names no canonicalization.
    #[error("c={found} is no canonicalization of DKIM")]
    Canonicalization {
        /// The value, escaped.
        found: String,
    },
    /// d= is no domain name.
    #[error("d= is not a domain name: {error}")]
    Domain {
        /// What is wrong with it.
        error: NameError,
    },
    /// s= is no selector.
    #[error("s= is not a selector: {error}")]
    Selector {
        /// What is wrong with it.
        error: NameError,
    },
    /// i= is no identity.
    #[error("i={found} is not an identity: {error}")]
    Identity {
        /// The value, escaped.
        found: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// The domain of i= is neither d= nor below it.
    #[error("the domain of i= is neither d= nor below it")]
    IdentityNotInDomain,
    /// h= holds something that is no field name.
    #[error("h= holds \"{found}\", which is not a field name")]
    HeaderName {
        /// The item, escaped.
        found: String,
    },
    /// h= is longer than the cap.
    #[error("h= has more than {limit} names")]
    TooManyHeaders {
        /// The cap.
        limit: usize,
    },
    /// h= does not name From.
    #[error("h= does not name From, so the author is not signed")]
    FromNotSigned,
    /// l=, t= or x= is no number.
    #[error("{tag}={found} is not a number")]
    Number {
        /// The tag.
        tag: &'static str,
        /// The value, escaped.
        found: String,
    },
    /// x= is not later than t=.
    #[error("x={expiration} is not later than t={timestamp}")]
    ExpirationBeforeTimestamp {
        /// t=
        timestamp: UnixTime,
        /// x=
        expiration: UnixTime,
    },
    /// q= does not offer dns/txt.
    #[error("q={found} does not offer dns/txt, the one way to find a key")]
    QueryMethod {
        /// The value, escaped.
        found: String,
    },
    /// b= or bh= is not base64.
    #[error("{tag}= is not base64")]
    Base64 {
        /// The tag.
        tag: &'static str,
    },
}

#[cfg(test)]
mod tests;
