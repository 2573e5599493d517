//! Every reason for which a signature or a message does not pass, with the one match that gives its word of
//! RFC 8601, its stable word for machines, its sentence, and what to do.

use std::fmt;

use super::ResultWord;
use crate::dns::Cause;
use crate::key::KeyError;
use crate::message::SplitError;
use crate::record::RecordError;
use crate::signature::SignatureError;
use crate::tag::TagError;
use crate::time::UnixTime;

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
    /// g= of the record is not the local part of the sender: DomainKeys alone.
    Granularity,
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
            | Failure::Granularity
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
                RecordError::Tags { .. }
                | RecordError::Version { .. }
                | RecordError::VersionNotFirst
                | RecordError::Base64 => "key-record-malformed",
                RecordError::KeyType { .. } => "key-type-unknown",
                RecordError::NoKey => "key-record-without-key",
            },
            Failure::RecordTooLong { .. } => "key-record-too-long",
            Failure::Revoked => "key-revoked",
            Failure::Service => "key-not-for-email",
            Failure::HashNotAllowed => "key-forbids-hash",
            Failure::KeyType => "key-type-mismatch",
            Failure::StrictIdentity => "key-forbids-subdomain",
            Failure::Granularity => "key-not-for-sender",
            Failure::Key(error) => match error {
                KeyError::TooSmall { .. } => "key-too-small",
                KeyError::TooLarge { .. } => "key-too-large",
                KeyError::Malformed
                | KeyError::Inconsistent
                | KeyError::OtherAlgorithm
                | KeyError::Exponent
                | KeyError::Ed25519Length { .. }
                | KeyError::SmallOrder
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
            Failure::Record(
                RecordError::Base64 | RecordError::Tags { .. } | RecordError::Version { .. },
            ) => {
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

/// Every reason with its result and what it means, for documentation; the README shows this table.
pub const REASONS: [(&str, ResultWord, &str); 53] = {
    use ResultWord::{Fail, Neutral, None, PermError, Policy, TempError};
    [
        (
            "no-signature",
            None,
            "the message has no DKIM-Signature field",
        ),
        (
            "no-header",
            PermError,
            "the input is empty or begins with an empty line",
        ),
        (
            "header-too-large",
            PermError,
            "the header is longer than 2 MiB",
        ),
        (
            "too-many-fields",
            PermError,
            "the header has more than 10,000 fields",
        ),
        (
            "malformed-header",
            PermError,
            "a line of the header is not a header field",
        ),
        (
            "bare-line-feed",
            PermError,
            "a line of the header ends with LF alone (only with `--line-ends as-is`)",
        ),
        (
            "malformed-signature",
            PermError,
            "the DKIM-Signature field is not a tag=value list",
        ),
        (
            "duplicate-tag",
            PermError,
            "a tag of the signature stands twice",
        ),
        (
            "missing-tag",
            PermError,
            "a required tag of the signature is missing or empty",
        ),
        ("unsupported-version", PermError, "v= is not 1"),
        (
            "unsupported-algorithm",
            PermError,
            "a= is not rsa-sha256, ed25519-sha256 or rsa-sha1",
        ),
        (
            "unsupported-canonicalization",
            PermError,
            "c= is not simple or relaxed",
        ),
        (
            "unsupported-query-method",
            PermError,
            "q= does not offer dns/txt",
        ),
        ("invalid-domain", PermError, "d= is not a domain name"),
        ("invalid-selector", PermError, "s= is not a selector"),
        ("invalid-identity", PermError, "i= is not an identity"),
        (
            "identity-not-in-domain",
            PermError,
            "the domain of i= is neither d= nor below it",
        ),
        (
            "invalid-signed-headers",
            PermError,
            "h= holds something that is not a field name, or over 1,000 names",
        ),
        ("from-not-signed", PermError, "h= does not name From"),
        ("invalid-number", PermError, "l=, t= or x= is not a number"),
        ("invalid-base64", PermError, "b= or bh= is not base64"),
        (
            "expiration-before-timestamp",
            PermError,
            "x= is not later than t=",
        ),
        ("expired", PermError, "x= is past"),
        ("sha1-not-allowed", PermError, "a= is rsa-sha1"),
        (
            "not-evaluated",
            Neutral,
            "left out: more than 100 signatures, 64 keys or 16 MiB of signed header in one message",
        ),
        (
            "key-not-found",
            PermError,
            "DNS has no TXT record at the name of the key",
        ),
        (
            "not-a-key-record",
            PermError,
            "the TXT record there is something else",
        ),
        (
            "key-record-malformed",
            PermError,
            "the key record cannot be read: quotes or backslashes pasted in, v= not first, a tag twice",
        ),
        (
            "key-record-too-long",
            PermError,
            "the key record is longer than 16 KiB",
        ),
        (
            "key-record-without-key",
            PermError,
            "the key record has no p=",
        ),
        (
            "key-revoked",
            PermError,
            "p= is empty: the key was withdrawn",
        ),
        (
            "key-type-unknown",
            PermError,
            "k= is neither rsa nor ed25519",
        ),
        ("key-type-mismatch", PermError, "k= does not fit a="),
        (
            "key-forbids-hash",
            PermError,
            "h= of the record does not allow the hash of a=",
        ),
        (
            "key-not-for-email",
            PermError,
            "s= of the record allows neither email nor *",
        ),
        (
            "key-forbids-subdomain",
            PermError,
            "t=s of the record, and i= lies below d=",
        ),
        (
            "key-not-for-sender",
            PermError,
            "g= of the record is not the local part of the sender (DomainKeys alone)",
        ),
        (
            "key-malformed",
            PermError,
            "p= is no key, or one that no sound signer has",
        ),
        (
            "key-too-small",
            PermError,
            "an RSA key below 1024 bits (`legacy`: below 512)",
        ),
        ("key-too-large", PermError, "an RSA key beyond 8192 bits"),
        ("dns-timeout", TempError, "no name server answered in time"),
        (
            "dns-server-failure",
            TempError,
            "a name server failed (SERVFAIL and its like), or a CNAME leads in a circle",
        ),
        ("dns-refused", TempError, "a name server refused to answer"),
        (
            "dns-unreachable",
            TempError,
            "no name server could be reached or understood",
        ),
        (
            "body-hash-mismatch",
            Fail,
            "the body was changed after signing",
        ),
        ("body-too-short", Fail, "the body is shorter than l= says"),
        (
            "signature-mismatch",
            Fail,
            "a signed field was changed, or the key is another one",
        ),
        (
            "unsigned-body",
            Policy,
            "`strict`: the body goes on behind what l= covers",
        ),
        (
            "unsigned-field",
            Policy,
            "`strict`: a field stands more often in the header than in h=",
        ),
        (
            "several-from",
            Policy,
            "`strict`: there are several From fields",
        ),
        (
            "single-label-domain",
            Policy,
            "`strict`: d= is a top-level domain",
        ),
        (
            "timestamp-in-future",
            Policy,
            "`strict`: t= lies more than 300 s ahead",
        ),
        (
            "dns-not-asked",
            TempError,
            "a program that uses the library gave no answer for the key",
        ),
    ]
};

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
            Failure::Granularity => {
                f.write_str("g= of the key record is not the local part of the sender")
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_reason_of_a_vector_stands_in_the_table_with_its_result() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors");
        let mut seen: Vec<String> = Vec::new();
        for group in fs::read_dir(dir).unwrap() {
            for file in fs::read_dir(group.unwrap().path()).unwrap() {
                let bytes = fs::read(file.unwrap().path()).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                let expected = text.lines().take_while(|l| !l.is_empty());
                for line in expected.filter_map(|l| l.strip_prefix("expect: ")) {
                    let Some((result, reason)) = line.split_once(' ') else {
                        continue;
                    };
                    let known = REASONS.iter().find(|(word, _, _)| *word == reason);
                    let (_, word, _) = known.unwrap_or_else(|| panic!("{reason}"));
                    assert_eq!(word.as_str(), result, "{reason}");
                    seen.push(reason.to_owned());
                }
            }
        }
        // The others are not the verdict on a signature of a vector.
        let elsewhere = [
            "no-signature",
            "no-header",
            "header-too-large",
            "too-many-fields",
            "malformed-header",
            "bare-line-feed",
            "invalid-selector",
            "not-evaluated",
            "dns-unreachable",
            "dns-not-asked",
            "key-not-for-sender",
        ];
        for (reason, _, _) in REASONS {
            let shown = seen.iter().any(|s| s == reason) || elsewhere.contains(&reason);
            assert!(shown, "no vector shows {reason}");
        }
    }

    #[test]
    fn the_readme_shows_the_table_of_reasons() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = fs::read_to_string(path).unwrap();
        let rows =
            REASONS.map(|(reason, result, text)| format!("| `{reason}` | {result} | {text} |\n"));
        let table = format!(
            "| reason | result | meaning |\n|---|---|---|\n{}",
            rows.concat()
        );
        assert!(
            readme.contains(&table),
            "the README should hold this table:\n\n{table}"
        );
    }
}
