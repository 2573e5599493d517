//! Why a check came to its result: a word for machines and a sentence for people.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::record::RecordError;
use super::{MAX_LOOKUPS, MAX_NAMES, MAX_VOIDS};
use crate::dns::lookup::Question;
use crate::dns::{Cause, MAX_TEXT};

/// Why a check came to its result.
///
/// Names and terms in it are escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A term matched.
    Matched {
        /// The term.
        term: String,
        /// The domain in whose record it stands.
        domain: String,
    },
    /// No term matched, and there is no redirect (RFC 7208 §4.7).
    NoMatch {
        /// The domain of the record.
        domain: String,
    },
    /// The name cannot be one of a sending domain (RFC 7208 §4.3).
    Malformed {
        /// The name.
        domain: String,
    },
    /// HELO or MAIL FROM is longer than SMTP can carry (RFC 5321 §4.5.3.1).
    TooLong,
    /// The domain does not exist (RFC 7208 §4.3).
    NoDomain {
        /// The domain.
        domain: String,
    },
    /// The domain has no SPF record (RFC 7208 §4.5).
    NoRecord {
        /// The domain.
        domain: String,
        /// How many other TXT records it has.
        others: usize,
    },
    /// The domain has several SPF records (RFC 7208 §4.5).
    SeveralRecords {
        /// The domain.
        domain: String,
        /// How many.
        count: usize,
    },
    /// The record is no SPF record that can be evaluated (RFC 7208 §4.6).
    Syntax {
        /// The domain of the record.
        domain: String,
        /// What is wrong.
        error: RecordError,
    },
    /// The record is longer than what is read; RFC 7208 §3.4 has it fit into a packet of 512 octets.
    RecordTooLong {
        /// The domain.
        domain: String,
        /// The length of its record in octets.
        len: usize,
    },
    /// What an include or a redirect names has no record (RFC 7208 §5.2, §6.1).
    NothingThere {
        /// The term.
        term: String,
        /// The domain in whose record it stands.
        domain: String,
        /// Why there is no record.
        why: Box<Reason>,
    },
    /// More terms ask DNS than may (RFC 7208 §4.6.4).
    TooManyLookups {
        /// The first term beyond the limit.
        term: String,
        /// The domain in whose record it stands.
        domain: String,
    },
    /// More terms find nothing in DNS than may (RFC 7208 §4.6.4).
    TooManyVoids {
        /// The first term beyond the limit.
        term: String,
        /// The domain in whose record it stands.
        domain: String,
    },
    /// An mx has more exchanges than it may (RFC 7208 §4.6.4).
    TooManyExchanges {
        /// The term.
        term: String,
        /// The domain in whose record it stands.
        domain: String,
        /// How many exchanges it has.
        count: usize,
    },
    /// DNS gave no answer (RFC 7208 §4.4, §5).
    LookupFailed {
        /// The question.
        question: Question,
        /// Why there is no answer.
        cause: Cause,
    },
}

impl Reason {
    /// A word that stays the same.
    pub fn word(&self) -> &'static str {
        match self {
            Reason::Matched { .. } => "matched",
            Reason::NoMatch { .. } => "no-match",
            Reason::Malformed { .. } => "domain-malformed",
            Reason::TooLong => "sender-too-long",
            Reason::NoDomain { .. } => "no-domain",
            Reason::NoRecord { .. } => "no-record",
            Reason::SeveralRecords { .. } => "several-records",
            Reason::Syntax { .. } => "syntax-error",
            Reason::RecordTooLong { .. } => "record-too-long",
            Reason::NothingThere { .. } => "target-without-record",
            Reason::TooManyLookups { .. } => "too-many-lookups",
            Reason::TooManyVoids { .. } => "too-many-void-lookups",
            Reason::TooManyExchanges { .. } => "too-many-mx",
            Reason::LookupFailed { .. } => "lookup-failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Matched { term, domain } => {
                write!(f, "{term} in the record of {domain} matched")
            }
            Reason::NoMatch { domain } => write!(f, "no term in the record of {domain} matched"),
            Reason::Malformed { domain } => write!(f, "“{domain}” is no name of a sending domain"),
            Reason::TooLong => {
                f.write_str("the name of HELO or the address of MAIL FROM is too long")
            }
            Reason::NoDomain { domain } => write!(f, "{domain} does not exist"),
            Reason::NoRecord { domain, .. } => write!(f, "{domain} has no SPF record"),
            Reason::SeveralRecords { domain, count } => {
                write!(f, "{domain} has {count} SPF records, where it may have one")
            }
            Reason::Syntax { domain, error } => write!(f, "in the record of {domain}, {error}"),
            Reason::RecordTooLong { domain, len } => write!(
                f,
                "the record of {domain} has {len} octets, and more than {MAX_TEXT} are not read"
            ),
            Reason::NothingThere { term, domain, why } => {
                write!(f, "{term} in the record of {domain} leads nowhere: {why}")
            }
            Reason::TooManyLookups { term, domain } => write!(
                f,
                "more than {MAX_LOOKUPS} terms ask DNS; the first beyond them is {term} in the record of {domain}"
            ),
            Reason::TooManyVoids { term, domain } => write!(
                f,
                "more than {MAX_VOIDS} terms find nothing in DNS; the first beyond them is {term} in the record of {domain}"
            ),
            Reason::TooManyExchanges {
                term,
                domain,
                count,
            } => write!(
                f,
                "{term} in the record of {domain} has {count} mail exchanges, where {MAX_NAMES} are allowed"
            ),
            Reason::LookupFailed { question, cause } => write!(f, "{question}: {cause}"),
        }
    }
}

/// As its word and its sentence.
impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Reason", 2)?;
        fields.serialize_field("word", self.word())?;
        fields.serialize_field("detail", &self.to_string())?;
        fields.end()
    }
}
