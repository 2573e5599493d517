//! What is wrong with a policy record, in words.

use std::ops::Range;

use super::UriError;
use crate::record::lint::Severity;

/// Why a TXT record is no policy record, so that verifiers ignore all of it (RFC 9989 §4.7, v).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDmarc {
    /// There is no text.
    #[error("the record is empty")]
    Empty,
    /// v= is first, and says something else.
    #[error("v= is \"{found}\" and not DMARC1, in these letters and with a semicolon behind it")]
    Version {
        /// The value, escaped.
        found: String,
    },
    /// `DMARC1` stands there without `v=`.
    #[error("the record begins with DMARC1 and not with v=DMARC1")]
    NoName,
    /// v=DMARC1 stands behind something else.
    #[error("v=DMARC1 is not the first tag")]
    VersionNotFirst {
        /// Where it stands in the text.
        at: usize,
    },
    /// There is no v=DMARC1.
    #[error("there is no v=DMARC1")]
    NoVersion,
    /// A blank stands before v=DMARC1 (§4.8).
    #[error("the record begins with a blank and not with v=DMARC1")]
    LeadingBlank,
    /// It is longer than what is read.
    #[error(
        "the record has {len} octets, and more than {} are not read",
        crate::dns::MAX_TEXT
    )]
    TooLong {
        /// Its length in octets.
        len: usize,
    },
}

impl NotDmarc {
    /// Whether the owner is likely to have meant a policy record.
    ///
    /// ```
    /// use dkimkit::dmarc::record::Reading;
    /// assert!(Reading::parse(b"v=dmarc1; p=reject").unwrap_err().is_meant());
    /// assert!(!Reading::parse(b"v=spf1 -all").unwrap_err().is_meant());
    /// ```
    pub fn is_meant(&self) -> bool {
        match self {
            NotDmarc::Version { found } => {
                let start = found.get(..5).unwrap_or_default();
                start.eq_ignore_ascii_case("dmarc")
            }
            NotDmarc::NoName
            | NotDmarc::VersionNotFirst { .. }
            | NotDmarc::LeadingBlank
            | NotDmarc::TooLong { .. } => true,
            NotDmarc::Empty | NotDmarc::NoVersion => false,
        }
    }
}

/// Something about the text of a policy record, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub fault: Fault,
    /// Where in the text.
    pub span: Range<usize>,
}

/// Something about the text of a policy record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing stands between two semicolons.
    EmptyItem,
    /// An item is not `name=value`.
    Malformed {
        /// Its start, escaped.
        found: String,
    },
    /// More items than are read.
    TooMany {
        /// The cap.
        limit: usize,
    },
    /// A tag stands twice.
    Duplicate {
        /// The tag.
        name: String,
    },
    /// Nobody knows the tag.
    Unknown {
        /// The tag.
        name: String,
    },
    /// RFC 9989 has the tag no more.
    Obsolete {
        /// The tag.
        name: String,
    },
    /// The value means nothing.
    Invalid {
        /// The tag.
        name: String,
        /// The start of the value, escaped.
        found: String,
    },
    /// p= is not the second tag, as RFC 7489 §6.3 wanted.
    PolicyNotSecond,
    /// An address for reports cannot be read.
    Uri {
        /// The tag.
        name: &'static str,
        /// The start of the address, escaped.
        found: String,
        /// Why.
        error: UriError,
    },
    /// An address for reports has a size behind it.
    SizeLimit {
        /// The tag.
        name: &'static str,
    },
    /// An address for reports that is none of mail.
    Scheme {
        /// The tag.
        name: &'static str,
        /// The scheme.
        scheme: String,
    },
    /// fo= without a ruf= that can be used.
    OptionsWithoutAddress,
    /// The record acts as `p=none`.
    ActsAsNone,
    /// The record has no effect.
    NotApplied,
}

impl Fault {
    /// The stable word.
    pub fn word(&self) -> &'static str {
        match self {
            Fault::EmptyItem => "dmarc-empty-item",
            Fault::Malformed { .. } => "dmarc-malformed",
            Fault::TooMany { .. } => "dmarc-too-many-tags",
            Fault::Duplicate { .. } => "dmarc-tag-twice",
            Fault::Unknown { .. } => "dmarc-tag-unknown",
            Fault::Obsolete { .. } => "dmarc-tag-obsolete",
            Fault::Invalid { .. } => "dmarc-tag-invalid",
            Fault::PolicyNotSecond => "dmarc-policy-not-second",
            Fault::Uri { .. } => "dmarc-uri-invalid",
            Fault::SizeLimit { .. } => "dmarc-uri-size",
            Fault::Scheme { .. } => "dmarc-uri-scheme",
            Fault::OptionsWithoutAddress => "dmarc-options-unused",
            Fault::ActsAsNone => "dmarc-acts-as-none",
            Fault::NotApplied => "dmarc-not-applied",
        }
    }

    /// How bad it is: an error takes effect from the record, a warning is read differently by others.
    pub fn severity(&self) -> Severity {
        match self {
            Fault::Malformed { .. }
            | Fault::TooMany { .. }
            | Fault::Duplicate { .. }
            | Fault::Invalid { .. }
            | Fault::Uri { .. }
            | Fault::ActsAsNone
            | Fault::NotApplied => Severity::Error,
            Fault::Unknown { .. }
            | Fault::Obsolete { .. }
            | Fault::PolicyNotSecond
            | Fault::SizeLimit { .. }
            | Fault::Scheme { .. } => Severity::Warning,
            Fault::EmptyItem | Fault::OptionsWithoutAddress => Severity::Note,
        }
    }

    /// What is the matter, and what follows from it.
    pub fn sentence(&self) -> String {
        match self {
            Fault::EmptyItem => "nothing stands between two semicolons".to_owned(),
            Fault::Malformed { found } => {
                format!("\"{found}\" is not of the form tag=value and is ignored")
            }
            Fault::TooMany { limit } => {
                format!("the record has more than {limit} tags; the others are not read")
            }
            Fault::Duplicate { name } => format!(
                "{name}= stands twice; here the first one counts, to other verifiers the last one or none"
            ),
            Fault::Unknown { name } => format!("{name}= is no tag of DMARC and is ignored"),
            Fault::Obsolete { name } => match name.as_str() {
                "pct" => "RFC 9989 has no pct= any more: the policy is for all messages".to_owned(),
                _ => format!("RFC 9989 has no {name}= any more, and it is ignored"),
            },
            Fault::Invalid { name, found } => {
                let then = match name.as_str() {
                    "p" => "there is no policy",
                    "sp" | "np" => "the policy of p= does not count either",
                    "adkim" | "aspf" => "the default counts, which is relaxed alignment",
                    "rua" | "ruf" => "no such reports are sent",
                    "fo" => "the default counts, which is 0",
                    _ => "the default counts",
                };
                format!("{name}=\"{found}\" means nothing: {then}")
            }
            Fault::PolicyNotSecond => {
                "p= does not stand right behind v=DMARC1, where RFC 7489 wanted it".to_owned()
            }
            Fault::Uri { name, found, error } => {
                format!("\"{found}\" in {name}= gets no reports: {error}")
            }
            Fault::SizeLimit { name } => {
                format!("the size behind the address in {name}= is ignored since RFC 9989")
            }
            Fault::Scheme { name, scheme } => {
                format!("{name}= names a {scheme}: address, and reports are sent by mail alone")
            }
            Fault::OptionsWithoutAddress => {
                "fo= is ignored, since there is no ruf= to send such reports to".to_owned()
            }
            Fault::ActsAsNone => {
                "p= is missing or invalid, or sp= or np= is: the record acts as p=none".to_owned()
            }
            Fault::NotApplied => {
                "p= is missing or invalid, or sp= or np= is, and there is no rua=: DMARC is not applied"
                    .to_owned()
            }
        }
    }

    /// What to do about it.
    pub fn mend(&self) -> String {
        match self {
            Fault::EmptyItem => "take one of the semicolons out".to_owned(),
            Fault::Malformed { .. } => {
                "write it as tag=value with a semicolon before it, or take it out".to_owned()
            }
            Fault::TooMany { .. } => "take out what is not needed".to_owned(),
            Fault::Duplicate { name } => format!("leave one {name}= in the record"),
            Fault::Unknown { name } | Fault::Obsolete { name } => match name.as_str() {
                "pct" => "take pct= out; to test the policy, write t=y".to_owned(),
                _ => format!("take {name}= out"),
            },
            Fault::Invalid { name, .. } => {
                let values = match name.as_str() {
                    "p" | "sp" | "np" => "none, quarantine or reject",
                    "adkim" | "aspf" => "r or s",
                    "psd" => "y, n or u",
                    "t" => "y or n",
                    "fo" => "0 or 1, d and s, with colons between",
                    _ => "addresses such as mailto:reports@example.com, with commas between",
                };
                format!("give {name}= one of its values: {values}")
            }
            Fault::PolicyNotSecond => "put p= right behind v=DMARC1".to_owned(),
            Fault::Uri { error, .. } => error.mend().to_owned(),
            Fault::SizeLimit { .. } => "take the ! and the size out".to_owned(),
            Fault::Scheme { .. } => "give a mailto: address".to_owned(),
            Fault::OptionsWithoutAddress => "take fo= out, or add ruf=".to_owned(),
            Fault::ActsAsNone | Fault::NotApplied => {
                "give p=, and sp= and np= where they stand, one of none, quarantine and reject"
                    .to_owned()
            }
        }
    }
}
