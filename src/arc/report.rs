//! What became of a chain: the result, the reason, and what is known of each of its sets.

use std::fmt;
use std::net::IpAddr;

use super::coverage::{Uncovered, sentence};
use super::fields::{ArcField, ChainStatus, FieldError, MAX_SETS};
use crate::authres::{ResInfo, token_or_quoted};
use crate::message::SplitError;
use crate::report::{Failure, KeyFacts, ResultWord};
use crate::signature::{Claims, SignatureError};

/// The report on the chain of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArcReport {
    /// Why the chain does not hold; `None` for one that does, and where there is none.
    pub failure: Option<ArcFailure>,
    /// The lowest set whose message signature, and those of all sets above it, hold for the message as it is; 0
    /// where all do (RFC 8617 §5.2, step 5). `None` where the chain does not hold.
    pub oldest_pass: Option<u8>,
    /// The sets, from 1 to N.
    pub sets: Vec<SetReport>,
    /// Whether an ARC field stands in the header, though it may belong to no set.
    pub(super) begun: bool,
}

/// What is known of a set; a field that is not there is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetReport {
    /// i=
    pub instance: u8,
    /// The results that the sealer had: the text of ARC-Authentication-Results behind i=, on one line.
    pub authentication_results: Option<String>,
    /// ARC-Message-Signature
    pub message_signature: Option<FieldReport>,
    /// ARC-Seal
    pub seal: Option<FieldReport>,
    /// cv= of the seal
    pub status: Option<ChainStatus>,
}

/// What is known of a message signature or a seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldReport {
    /// Why it does not hold; `None` for one that does.
    pub failure: Option<FieldFailure>,
    /// What it says, as far as it could be read.
    pub claims: Claims,
    /// The key, where one was found.
    pub key: Option<KeyFacts>,
    /// What a message signature leaves open; nothing for a seal, and for one that was not looked at.
    pub uncovered: Uncovered,
}

impl ArcReport {
    /// `none`, `pass`, `fail`, or `temperror`: no verdict for now.
    ///
    /// To RFC 8617 §5.2.1 every failure is permanent, one of DNS included, and Authentication-Results knows no
    /// `temperror` for ARC. Here it is kept apart, so that whoever can wait may try again; who cannot has
    /// [`status`](Self::status).
    pub fn result(&self) -> ResultWord {
        match &self.failure {
            Some(failure) => failure.result(),
            None if self.begun => ResultWord::Pass,
            None => ResultWord::None,
        }
    }

    /// The status that the next seal tells of this chain in cv=, and Authentication-Results in arc=
    /// (RFC 8617 §4.4 and §5.2.1).
    pub fn status(&self) -> ChainStatus {
        match self.result() {
            ResultWord::Pass => ChainStatus::Pass,
            ResultWord::None => ChainStatus::None,
            _ => ChainStatus::Fail,
        }
    }

    /// The stable word for machines, where the chain does not pass; the README lists them.
    pub fn reason(&self) -> Option<&'static str> {
        match &self.failure {
            Some(failure) => Some(failure.reason()),
            None => (!self.begun).then_some("no-chain"),
        }
    }

    /// The reason in words, with what to do where there is something; for a pass, what holds.
    pub fn detail(&self) -> String {
        match (&self.failure, self.oldest_pass) {
            (Some(failure), _) => match failure.advice() {
                Some(advice) => format!("{failure}: {advice}"),
                None => failure.to_string(),
            },
            (None, _) if !self.begun => "the message has no ARC fields".to_owned(),
            (None, oldest) => sentence(&self.sets, oldest.unwrap_or(0)),
        }
    }

    /// The `arc=` result of an Authentication-Results field (RFC 8617 §10.1 and §10.2), with the address that the
    /// message came from, where that is known.
    ///
    /// RFC 8601 has no `temperror` for ARC: such a chain is `fail`, with the reason. `arc.chain`, which is not
    /// registered but in use, names the sealers of a chain that holds, the newest first.
    ///
    /// ```
    /// use dkimkit::authres::{AuthservId, with_results};
    /// use dkimkit::dns::Zone;
    /// use dkimkit::policy::{Level, Policy};
    /// use dkimkit::time::UnixTime;
    /// let message = b"From: a@example.com\r\n\r\nHi\r\n";
    /// let now = UnixTime(1_700_000_000);
    /// let report = dkimkit::arc::verify(message, &Zone::default(), &Policy::new(Level::Rfc), now)?;
    /// let id = AuthservId::new("mx.example.org").unwrap();
    /// let field = with_results(&id, &[report.result_for(None)]);
    /// assert_eq!(field, "Authentication-Results: mx.example.org;\r\n\tarc=none");
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn result_for(&self, remote_ip: Option<IpAddr>) -> ResInfo {
        let mut words = vec![format!("arc={}", self.status())];
        if self.result() == ResultWord::TempError {
            words.push("(for now)".to_owned());
        }
        if let Some(failure) = &self.failure {
            words.push(format!("reason=\"{}\"", failure.reason()));
        }
        if let Some(oldest) = self.oldest_pass {
            words.push(format!("header.oldest-pass={oldest}"));
        }
        if let Some(ip) = remote_ip {
            let ip = token_or_quoted(&ip.to_string());
            words.push(format!("smtp.remote-ip={ip}"));
        }
        let seals = self.sets.iter().rev().filter_map(|set| set.seal.as_ref());
        let domains = seals.filter_map(|seal| seal.claims.domain.as_ref().map(|d| d.as_ascii()));
        if self.result() == ResultWord::Pass {
            let (chain, left_out) = chain_value(domains);
            words.push(format!("arc.chain={}", token_or_quoted(&chain)));
            if left_out > 0 {
                words.push(format!("({left_out} more are not told)"));
            }
        }
        ResInfo::of(words.iter().map(String::as_str))
    }
}

/// What arc.chain names at most, in octets: a line has 998 (RFC 5322 §2.1.1), and a chain may have 50 long names.
const MAX_CHAIN: usize = 400;

/// The domains with colons between them, as far as there is room, and how many are left out.
fn chain_value<'d>(domains: impl Iterator<Item = &'d str>) -> (String, usize) {
    let (mut value, mut left_out) = (String::new(), 0);
    for domain in domains {
        if left_out > 0 || !value.is_empty() && value.len() + 1 + domain.len() > MAX_CHAIN {
            left_out += 1;
            continue;
        }
        if !value.is_empty() {
            value.push(':');
        }
        value.push_str(domain);
    }
    (value, left_out)
}

/// Why a chain does not hold (RFC 8617 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArcFailure {
    /// i= of a field is greater than 50 (§5.2, step 1).
    TooManySets {
        /// The field.
        field: ArcField,
        /// What it says.
        error: FieldError,
    },
    /// The newest seal says so (§5.2, step 2).
    MarkedAsFailed {
        /// Its set.
        instance: u8,
    },
    /// A field belongs to no set: its i= cannot be read.
    Unassigned {
        /// The field.
        field: ArcField,
        /// Why not.
        error: FieldError,
    },
    /// A set has a field twice (§5.2, step 3 A).
    Doubled {
        /// The set.
        instance: u8,
        /// The field.
        field: ArcField,
    },
    /// A set lacks a field (§5.2, step 3 A).
    FieldMissing {
        /// The set.
        instance: u8,
        /// The field.
        field: ArcField,
    },
    /// There is no such set, but one above it (§5.2, step 3 B).
    SetMissing {
        /// The set.
        instance: u8,
    },
    /// cv= is not none in the first set, or not pass in another (§5.2, step 3 C).
    Status {
        /// The set.
        instance: u8,
        /// cv=
        status: ChainStatus,
    },
    /// The newest message signature does not hold, or a seal (§5.2, steps 4 and 6).
    Field {
        /// Its set.
        instance: u8,
        /// Which of the two.
        field: ArcField,
        /// Why not.
        failure: FieldFailure,
    },
}

/// Why a message signature or a seal does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldFailure {
    /// It cannot be used by anybody.
    Malformed(FieldError),
    /// Its key cannot be used, or it is not what was signed.
    Refused(Failure),
}

impl FieldFailure {
    /// `fail`, `temperror`, `permerror` for what nobody can use, or `neutral` for what was not looked at.
    pub fn result(&self) -> ResultWord {
        match self {
            FieldFailure::Malformed(_) => ResultWord::PermError,
            FieldFailure::Refused(failure) => failure.result(),
        }
    }

    /// The stable word for machines.
    pub fn reason(&self) -> &'static str {
        match self {
            FieldFailure::Malformed(error) => field_reason(error),
            FieldFailure::Refused(failure) => failure.reason(),
        }
    }

    /// What to do about it, and who.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            FieldFailure::Refused(Failure::Mismatch) => Some(
                "a field that it covers was changed, added or removed, or the published key is another one",
            ),
            FieldFailure::Refused(Failure::Sha1) => {
                Some("the sealer should use rsa-sha256; no policy lets rsa-sha1 through here")
            }
            FieldFailure::Refused(Failure::BodyHash { .. }) => {
                Some("the body was changed after this set was sealed")
            }
            FieldFailure::Refused(Failure::Signature(SignatureError::FromNotSigned)) => {
                Some("the sealer should put From into h= (RFC 6376, section 5.4)")
            }
            FieldFailure::Refused(failure) => failure.advice(),
            FieldFailure::Malformed(_) => Some("the sealer should mend how it seals"),
        }
    }

    /// The reason in words, with what to do where there is something.
    pub fn detail(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{self}: {advice}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for FieldFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldFailure::Malformed(error) => error.fmt(f),
            FieldFailure::Refused(Failure::Mismatch) => {
                f.write_str("the signature does not match the fields that it covers")
            }
            FieldFailure::Refused(failure) => failure.fmt(f),
        }
    }
}

impl ArcFailure {
    /// `fail`, or `temperror` where DNS gave no answer for now.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub fn result(&self) -> ResultWord {
        match self {
            ArcFailure::Field { failure, .. } if failure.result() == ResultWord::TempError => {
                ResultWord::TempError
            }
            ArcFailure::Field { .. }
            | ArcFailure::TooManySets { .. }
            | ArcFailure::MarkedAsFailed { .. }
            | ArcFailure::Unassigned { .. }
            | ArcFailure::Doubled { .. }
            | ArcFailure::FieldMissing { .. }
            | ArcFailure::SetMissing { .. }
            | ArcFailure::Status { .. } => ResultWord::Fail,
        }
    }

    /// The stable word for machines; the README lists them.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub fn reason(&self) -> &'static str {
        match self {
            ArcFailure::TooManySets { .. } => "too-many-sets",
            ArcFailure::MarkedAsFailed { .. } => "marked-as-failed",
            ArcFailure::Unassigned { error, .. } => field_reason(error),
            ArcFailure::Doubled { .. } => "duplicate-field",
            ArcFailure::FieldMissing { .. } => "field-missing",
            ArcFailure::SetMissing { .. } => "set-missing",
            ArcFailure::Status { .. } => "wrong-chain-status",
            ArcFailure::Field { failure, .. } => failure.reason(),
        }
    }

    /// What to do about it, and who; a clause to follow the sentence of `Display`.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            ArcFailure::TooManySets { .. } => "the message goes in a circle",
            ArcFailure::MarkedAsFailed { .. } => {
                "whoever sealed it last found the chain broken, and it cannot be mended"
            }
            ArcFailure::Unassigned { .. } => "whoever added it should mend how it seals",
            ArcFailure::Doubled { .. } => "one of the two was added by somebody else",
            ArcFailure::FieldMissing { .. } | ArcFailure::SetMissing { .. } => {
                "it was removed on the way; ARC fields must stay as they are"
            }
            ArcFailure::Status { .. } => {
                "cv= is none in the first set and pass in all others (RFC 8617, section 5.2)"
            }
            ArcFailure::Field { failure, .. } => return failure.advice(),
        })
    }
}

impl fmt::Display for ArcFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArcFailure::TooManySets { field, error } | ArcFailure::Unassigned { field, error } => {
                write!(f, "{field}: {error}")
            }
            ArcFailure::MarkedAsFailed { instance } => {
                write!(f, "the seal of set {instance} says cv=fail")
            }
            ArcFailure::Doubled { instance, field } => {
                write!(f, "set {instance} has {field} twice")
            }
            ArcFailure::FieldMissing { instance, field } => {
                write!(f, "set {instance} has no {field}")
            }
            ArcFailure::SetMissing { instance } => write!(f, "there is no set {instance}"),
            ArcFailure::Status { instance, status } => {
                write!(f, "the seal of set {instance} says cv={status}")
            }
            ArcFailure::Field {
                instance,
                field,
                failure,
            } => write!(f, "{field} of set {instance}: {failure}"),
        }
    }
}

#[deny(clippy::wildcard_enum_match_arm)]
fn field_reason(error: &FieldError) -> &'static str {
    match error {
        FieldError::Signature(SignatureError::Tags(error)) => match error {
            crate::tag::TagError::Duplicate { .. } => "duplicate-tag",
            crate::tag::TagError::Empty
            | crate::tag::TagError::Malformed { .. }
            | crate::tag::TagError::Control { .. }
            | crate::tag::TagError::TooMany { .. } => "malformed-field",
        },
        FieldError::Signature(error) => Failure::Signature(error.clone()).reason(),
        FieldError::Instance { .. } | FieldError::InstanceNotFirst => "invalid-instance",
        FieldError::BeyondLimit { .. } => "too-many-sets",
        FieldError::Status { .. } => "invalid-chain-status",
        FieldError::SealNamesFields => "seal-names-fields",
        FieldError::SealSigned => "seal-signed",
    }
}

/// The reasons that only ARC has, with their result and what they mean; the README shows this table. A message
/// signature or a seal has those of DKIM, too.
pub const ARC_REASONS: [(&str, ResultWord, &str); 12] = {
    use ResultWord::{Fail, None};
    [
        ("no-chain", None, "the message has no ARC fields"),
        ("too-many-sets", Fail, "i= of an ARC field is more than 50"),
        ("marked-as-failed", Fail, "the newest seal says cv=fail"),
        (
            "invalid-instance",
            Fail,
            "i= is not a number from 1 to 50, or does not come first in ARC-Authentication-Results",
        ),
        (
            "malformed-field",
            Fail,
            "an ARC-Message-Signature or ARC-Seal is not a tag=value list",
        ),
        ("duplicate-field", Fail, "a set has a field twice"),
        ("field-missing", Fail, "a set lacks one of its three fields"),
        ("set-missing", Fail, "a set below another one is not there"),
        (
            "wrong-chain-status",
            Fail,
            "cv= is not none in the first set, or not pass in another",
        ),
        (
            "invalid-chain-status",
            Fail,
            "cv= is neither none, pass nor fail",
        ),
        ("seal-names-fields", Fail, "an ARC-Seal has h="),
        (
            "seal-signed",
            Fail,
            "h= of the newest ARC-Message-Signature names ARC-Seal",
        ),
    ]
};

/// The result of a message without a header that can be read: where there is no header at all, there is no chain
/// either (RFC 8617 §5.2, step 1).
pub fn unreadable(error: SplitError) -> ResultWord {
    match error {
        SplitError::NoHeader => ResultWord::None,
        _ => ResultWord::PermError,
    }
}

/// The `arc=` result for a message whose header cannot be read: `none` where there is no header at all, else `fail`,
/// since nobody knows what chain there is.
pub fn unreadable_result(error: SplitError) -> ResInfo {
    let reason = format!("reason=\"{}\"", Failure::Message(error).reason());
    let word = match unreadable(error) {
        ResultWord::None => "arc=none",
        _ => "arc=fail",
    };
    ResInfo::of([word, &reason].into_iter())
}

impl FieldReport {
    /// `pass`, or what [`FieldFailure::result`] says.
    pub fn result(&self) -> ResultWord {
        match &self.failure {
            None => ResultWord::Pass,
            Some(failure) => failure.result(),
        }
    }
}

const _: () = assert!(MAX_SETS == 50, "sentences of this file say so");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_many_long_names_is_cut() {
        let name = format!("{}.example", ["x".repeat(57).as_str(); 4].join("."));
        let (value, left_out) = chain_value(std::iter::repeat_n(name.as_str(), 50));
        assert_eq!((value.as_str(), left_out), (name.as_str(), 49));
        let (value, left_out) = chain_value(["a.example", "b.example"].into_iter());
        assert_eq!((value.as_str(), left_out), ("a.example:b.example", 0));
        assert!(chain_value(std::iter::repeat_n("a.example", 50)).0.len() <= MAX_CHAIN);
    }

    #[test]
    fn the_readme_shows_the_table_of_reasons() {
        let row = |(reason, result, text): &(&str, ResultWord, &str)| {
            format!("| `{reason}` | {result} | {text} |\n")
        };
        let rows: String = ARC_REASONS.iter().map(row).collect();
        let table = format!("| reason | result | meaning |\n|---|---|---|\n{rows}");
        let readme = include_str!("../../README.md");
        assert!(
            readme.contains(&table),
            "the README should hold this table:\n\n{table}"
        );
    }
}
