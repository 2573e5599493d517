//! What became of a signature: the verdict, the reason, and what to do about it.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::dns::Cause;
use crate::hash::BodyLimit;
use crate::key::KeyError;
use crate::message::SplitError;
use crate::name::{Alignment, Domain};
use crate::record::RecordError;
use crate::signature::{Claims, Signature, SignatureError};
use crate::tag::TagError;
use crate::time::UnixTime;

/// A result of RFC 8601 §2.7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResultWord {
    /// The signature holds and the policy takes it.
    Pass,
    /// No verdict for now.
    TempError,
    /// The message or the signature was changed.
    Fail,
    /// The signature holds, but the policy does not take it.
    Policy,
    /// The signature was not looked at.
    Neutral,
    /// The signature or its key cannot be used by anybody.
    PermError,
    /// The message is not signed.
    None,
}

impl ResultWord {
    /// The word as RFC 8601 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ResultWord::Pass => "pass",
            ResultWord::TempError => "temperror",
            ResultWord::Fail => "fail",
            ResultWord::Policy => "policy",
            ResultWord::Neutral => "neutral",
            ResultWord::PermError => "permerror",
            ResultWord::None => "none",
        }
    }
}

impl fmt::Display for ResultWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The verdict on one DKIM-Signature field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which of the DKIM-Signature fields it is, counted from 0 at the top.
    pub index: usize,
    /// Whether it holds.
    pub outcome: Outcome,
    /// What the field says, as far as it could be read.
    pub claims: Claims,
    /// How d= stands to the domains of From.
    pub alignment: Option<Alignment>,
    /// The key, where one was found.
    pub key: Option<KeyFacts>,
}

/// Pass, which comes with the signature that holds, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The signature holds and the policy takes it.
    Pass(Box<Signature>),
    /// It does not, or it is not taken.
    Refused(Failure),
}

/// What is known of the key of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its size in bits, where it could be read.
    pub bits: Option<usize>,
    /// t=y of the record: the domain is testing DKIM (RFC 6376 §3.6.1).
    pub testing: bool,
}

impl Verdict {
    /// The word of RFC 8601.
    pub fn result(&self) -> ResultWord {
        match &self.outcome {
            Outcome::Pass(_) => ResultWord::Pass,
            Outcome::Refused(failure) => failure.result(),
        }
    }

    /// Why the signature does not pass.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Pass(_) => None,
            Outcome::Refused(failure) => Some(failure),
        }
    }

    /// The reason in words, with what to do where there is something; for a pass, what holds.
    pub fn detail(&self) -> String {
        match &self.outcome {
            Outcome::Pass(signature) => match signature.body_limit {
                BodyLimit::Whole => "header and body are as they were signed".to_owned(),
                BodyLimit::Octets(n) => {
                    format!(
                        "the header and the first {n} octets of the body are as they were signed"
                    )
                }
            },
            Outcome::Refused(failure) => match failure.advice() {
                Some(advice) => format!("{failure}: {advice}"),
                None => failure.to_string(),
            },
        }
    }
}

/// The result of a message: the best of its signatures, or `none`.
pub fn overall(verdicts: &[Verdict]) -> ResultWord {
    let results = verdicts.iter().map(Verdict::result);
    results.min().unwrap_or(ResultWord::None)
}

/// Every reason for which a signature, or a message, does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The message has no header that can be read.
    Message(SplitError),
    /// The DKIM-Signature field cannot be used.
    Signature(SignatureError),
    /// Beyond the caps on signatures or keys of one message.
    NotEvaluated,
    /// rsa-sha1 (RFC 8301 §3.1).
    Sha1,
    /// x= is past.
    Expired {
        /// x=
        expiration: UnixTime,
        /// The time of the verdict.
        now: UnixTime,
    },
    /// DNS says that the name does not exist.
    NoName,
    /// The name has no TXT record.
    NoData,
    /// DNS gives no answer now.
    Temporary(Cause),
    /// The key record gives no key.
    Record(RecordError),
    /// A TXT record is longer than the cap.
    RecordTooLong {
        /// Its length in bytes.
        len: usize,
        /// The cap.
        limit: usize,
    },
    /// p= is empty (RFC 6376 §3.6.1).
    Revoked,
    /// s= of the record allows no e-mail.
    Service,
    /// h= of the record does not allow the hash of a=.
    HashNotAllowed,
    /// k= of the record is not the key type of a=.
    KeyType,
    /// t=s of the record, and i= lies below d=.
    StrictIdentity,
    /// The key cannot be used.
    Key(KeyError),
    /// The body is not what bh= says.
    BodyHash {
        /// Whether b= holds all the same, so that only the body was changed.
        header_holds: bool,
    },
    /// The body is shorter than l= says (RFC 6376 §3.5).
    BodyTooShort {
        /// l=
        limit: u64,
        /// The length of the canonical body in octets.
        len: u64,
    },
    /// b= does not hold for the header.
    Mismatch,
    /// `strict`: the body goes on behind what l= covers.
    UnsignedBody {
        /// How many canonical octets are not covered.
        octets: u64,
    },
    /// `strict`: there are several From fields.
    SeveralFrom {
        /// How many.
        fields: usize,
    },
    /// `strict`: a field has instances that h= does not cover.
    UnsignedField {
        /// Its name.
        name: &'static str,
        /// How often it stands in h=.
        signed: usize,
        /// How often it stands in the header.
        present: usize,
    },
    /// `strict`: d= is a single label.
    SingleLabel,
    /// `strict`: t= lies in the future.
    FutureTimestamp {
        /// t=
        timestamp: UnixTime,
        /// The time of the verdict.
        now: UnixTime,
    },
}

impl Failure {
    /// The word of RFC 8601 §2.7.1.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub fn result(&self) -> ResultWord {
        match self {
            Failure::Message(_)
            | Failure::Signature(_)
            | Failure::Sha1
            | Failure::Expired { .. }
            // RFC 6376 §6.1.2: no key is a permanent failure, no answer a temporary one.
            | Failure::NoName
            | Failure::NoData
            | Failure::Record(_)
            | Failure::RecordTooLong { .. }
            | Failure::Revoked
            | Failure::Service
            | Failure::HashNotAllowed
            | Failure::KeyType
            | Failure::StrictIdentity
            | Failure::Key(_) => ResultWord::PermError,
            Failure::Temporary(_) => ResultWord::TempError,
            Failure::NotEvaluated => ResultWord::Neutral,
            Failure::BodyHash { .. } | Failure::BodyTooShort { .. } | Failure::Mismatch => {
                ResultWord::Fail
            }
            Failure::UnsignedBody { .. }
            | Failure::SeveralFrom { .. }
            | Failure::UnsignedField { .. }
            | Failure::SingleLabel
            | Failure::FutureTimestamp { .. } => ResultWord::Policy,
        }
    }

    /// The stable word for machines; the README lists them all.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub fn reason(&self) -> &'static str {
        match self {
            Failure::Message(error) => split_reason(error),
            Failure::Signature(error) => signature_reason(error),
            Failure::NotEvaluated => "not-evaluated",
            Failure::Sha1 => "sha1-not-allowed",
            Failure::Expired { .. } => "expired",
            Failure::NoName | Failure::NoData => "key-not-found",
            Failure::Temporary(cause) => match cause {
                Cause::Timeout => "dns-timeout",
                Cause::ServerFailure => "dns-server-failure",
                Cause::Refused => "dns-refused",
                Cause::Network => "dns-unreachable",
                Cause::NotAsked => "dns-not-asked",
            },
            Failure::Record(error) => match error {
                RecordError::NotDkim => "not-a-key-record",
                RecordError::Tags { .. } | RecordError::VersionNotFirst | RecordError::Base64 => {
                    "key-record-malformed"
                }
                RecordError::KeyType { .. } => "key-type-unknown",
                RecordError::NoKey => "key-record-without-key",
            },
            Failure::RecordTooLong { .. } => "key-record-too-long",
            Failure::Revoked => "key-revoked",
            Failure::Service => "key-not-for-email",
            Failure::HashNotAllowed => "key-forbids-hash",
            Failure::KeyType => "key-type-mismatch",
            Failure::StrictIdentity => "key-forbids-subdomain",
            Failure::Key(error) => match error {
                KeyError::TooSmall { .. } => "key-too-small",
                KeyError::TooLarge { .. } => "key-too-large",
                KeyError::Malformed
                | KeyError::Inconsistent
                | KeyError::OtherAlgorithm
                | KeyError::Exponent
                | KeyError::Ed25519Length { .. }
                | KeyError::Encrypted
                | KeyError::Public
                | KeyError::PemTag { .. }
                | KeyError::Pem
                | KeyError::NoKey
                | KeyError::Generation
                | KeyError::Signing => "key-malformed",
            },
            Failure::BodyHash { .. } => "body-hash-mismatch",
            Failure::BodyTooShort { .. } => "body-too-short",
            Failure::Mismatch => "signature-mismatch",
            Failure::UnsignedBody { .. } => "unsigned-body",
            Failure::SeveralFrom { .. } => "several-from",
            Failure::UnsignedField { .. } => "unsigned-field",
            Failure::SingleLabel => "single-label-domain",
            Failure::FutureTimestamp { .. } => "timestamp-in-future",
        }
    }

    /// What to do about it, and who; a clause to follow the sentence of `Display`.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Failure::NoName | Failure::NoData => {
                "the sender has not published the key, or has removed it; print it with `dkimkit record` and publish it"
            }
            Failure::Temporary(_) => "try again later",
            Failure::Record(RecordError::NoKey) => {
                "the sender should publish the output of `dkimkit record`"
            }
            Failure::Record(RecordError::Base64 | RecordError::Tags { .. }) => {
                "quotes or backslashes were perhaps pasted in; publish the output of `dkimkit record --format value`"
            }
            Failure::Record(RecordError::VersionNotFirst) => {
                "move v=DKIM1 to the front (RFC 6376, section 3.6.1)"
            }
            Failure::Revoked => "the sender has withdrawn this key and no longer vouches for it",
            Failure::HashNotAllowed => {
                "h= of the record takes words such as sha256, not rsa-sha256; leave it out"
            }
            Failure::Key(KeyError::TooSmall { .. }) => {
                "the sender should sign with at least 2048 bits (RFC 8301, section 3.2)"
            }
            Failure::Sha1 => {
                "the sender should sign with rsa-sha256; --policy legacy lets it through for archives"
            }
            Failure::BodyHash { header_holds: true } => {
                "the header is as it was signed, only the body was changed on the way"
            }
            Failure::BodyHash {
                header_holds: false,
            } => "the signed header does not match either",
            Failure::Mismatch => {
                "the body is as it was signed; a signed header field was changed, added or removed, or the published key is another one"
            }
            Failure::UnsignedBody { .. } => "anybody may have added it",
            Failure::UnsignedField { .. } => {
                "an instance may have been added on the way, and readers may show that one"
            }
            Failure::Signature(SignatureError::FromNotSigned) => {
                "the sender must put From into h= (RFC 6376, section 5.4)"
            }
            Failure::Message(SplitError::BareLineFeed { .. }) => {
                "--line-ends crlf reads a bare LF as CRLF"
            }
            _ => return None,
        })
    }
}

fn split_reason(error: &SplitError) -> &'static str {
    match error {
        SplitError::NoHeader => "no-header",
        SplitError::HeaderTooLarge { .. } => "header-too-large",
        SplitError::TooManyFields { .. } => "too-many-fields",
        SplitError::NotAField { .. } => "malformed-header",
        SplitError::BareLineFeed { .. } => "bare-line-feed",
    }
}

fn signature_reason(error: &SignatureError) -> &'static str {
    match error {
        SignatureError::Tags(TagError::Duplicate { .. }) => "duplicate-tag",
        SignatureError::Tags(
            TagError::Empty
            | TagError::Malformed { .. }
            | TagError::Control { .. }
            | TagError::TooMany { .. },
        ) => "malformed-signature",
        SignatureError::MissingTag { .. } | SignatureError::EmptyTag { .. } => "missing-tag",
        SignatureError::Version { .. } => "unsupported-version",
        SignatureError::Algorithm { .. } => "unsupported-algorithm",
        SignatureError::Canonicalization { .. } => "unsupported-canonicalization",
        SignatureError::Domain { .. } => "invalid-domain",
        SignatureError::Selector { .. } => "invalid-selector",
        SignatureError::Identity { .. } => "invalid-identity",
        SignatureError::IdentityNotInDomain => "identity-not-in-domain",
        SignatureError::HeaderName { .. } | SignatureError::TooManyHeaders { .. } => {
            "invalid-signed-headers"
        }
        SignatureError::FromNotSigned => "from-not-signed",
        SignatureError::Number { .. } => "invalid-number",
        SignatureError::ExpirationBeforeTimestamp { .. } => "expiration-before-timestamp",
        SignatureError::QueryMethod { .. } => "unsupported-query-method",
        SignatureError::Base64 { .. } => "invalid-base64",
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Message(error) => error.fmt(f),
            Failure::Signature(error) => error.fmt(f),
            Failure::NotEvaluated => {
                f.write_str("the message has too many signatures, and this one was left out")
            }
            Failure::Sha1 => f.write_str("rsa-sha1 proves nothing (RFC 8301, section 3.1)"),
            Failure::Expired { expiration, now } => {
                let ago = now.0.saturating_sub(expiration.0);
                write!(
                    f,
                    "the signature expired {} ago (x={expiration})",
                    span(ago)
                )
            }
            Failure::NoName => f.write_str("there is no key at that name (NXDOMAIN)"),
            Failure::NoData => f.write_str("there is no TXT record at the name of the key"),
            Failure::Temporary(cause) => cause.fmt(f),
            Failure::Record(error) => error.fmt(f),
            Failure::RecordTooLong { len, limit } => {
                write!(f, "the key record of {len} bytes is longer than {limit}")
            }
            Failure::Revoked => f.write_str("the key is revoked (p= is empty)"),
            Failure::Service => f.write_str("s= of the key record allows no e-mail"),
            Failure::HashNotAllowed => {
                f.write_str("h= of the key record does not allow the hash of this signature")
            }
            Failure::KeyType => {
                f.write_str("k= of the key record is not the key type of this signature's a=")
            }
            Failure::StrictIdentity => {
                f.write_str("t=s of the key record forbids i= in a subdomain of d=")
            }
            Failure::Key(error) => error.fmt(f),
            Failure::BodyHash { .. } => f.write_str("the body does not match bh="),
            Failure::BodyTooShort { limit, len } => write!(
                f,
                "l= covers {limit} octets of the body, but it has only {len}"
            ),
            Failure::Mismatch => f.write_str("the signature does not match the header"),
            Failure::UnsignedBody { octets } => {
                write!(
                    f,
                    "the last {octets} octets of the body are not signed (l=)"
                )
            }
            Failure::SeveralFrom { fields } => write!(f, "the message has {fields} From fields"),
            Failure::UnsignedField {
                name,
                signed,
                present,
            } => write!(
                f,
                "{name} stands {present} times in the header and {signed} times in h="
            ),
            Failure::SingleLabel => f.write_str("d= is a top-level domain"),
            Failure::FutureTimestamp { timestamp, now } => {
                let ahead = timestamp.0.saturating_sub(now.0);
                write!(f, "t={timestamp} lies {} in the future", span(ahead))
            }
        }
    }
}

/// A number of seconds, in the largest unit that says something.
fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7200 => (seconds / 60, "minutes"),
        7200..172_800 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

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
    /// Its DomainKey-Signature fields, which are history and prove nothing (RFC 4870).
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

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
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
    pub signed_fields: Option<Vec<String>>,
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
    fn new(verdict: &Verdict) -> SignatureReport {
        let claims = &verdict.claims;
        let domain = claims.domain.as_ref().map(|d| d.as_str().to_owned());
        let identity = match &claims.identity {
            Some(identity) => Some(identity.to_string()),
            None => domain.as_ref().map(|d| format!("@{d}")),
        };
        let names = claims.signed_headers.as_ref();
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
            signed_fields: names
                .map(|n| n.iter().map(|n| n.as_str().to_ascii_lowercase()).collect()),
            timestamp: claims.timestamp.map(|t| t.0),
            expires: claims.expiration.map(|t| t.0),
            body_length: match claims.body_limit {
                Some(BodyLimit::Octets(n)) => Some(n),
                Some(BodyLimit::Whole) | None => None,
            },
            testing: verdict.key.is_some_and(|k| k.testing),
        }
    }
}

/// A DomainKey-Signature field (RFC 4870), which is named and not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DomainKeysReport {
    /// Which DomainKey-Signature field it is, counted from 0 at the top.
    pub index: usize,
    /// Always `neutral`.
    pub result: &'static str,
    /// Always `not-evaluated`.
    pub reason: &'static str,
    /// d=
    pub domain: Option<String>,
    /// s=
    pub selector: Option<String>,
}
