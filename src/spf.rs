//! SPF (RFC 7208): may this address send mail for this domain?
//!
//! [`evaluate`] is `check_host()` over answers that are handed to it; it ends with [`Pending`] while one is missing,
//! and says of each term what was asked for it and what came of it. The time is an argument, as everywhere in
//! the core.
//!
//! ```
//! use dkimkit::dns::Zone;
//! use dkimkit::spf::{Query, SpfResult, evaluate};
//! let zone = Zone::parse(
//!     "example.com. TXT \"v=spf1 mx -all\"\nexample.com. MX 10 mx.example.com.\nmx.example.com. A 192.0.2.1",
//! )?;
//! let query = Query::new("192.0.2.1".parse().unwrap(), "mx.example.com", "anna@example.com");
//! assert_eq!(evaluate(&zone, &query).unwrap().result, SpfResult::Pass);
//! # Ok::<(), dkimkit::dns::ZoneError>(())
//! ```

mod evaluate;
mod field;
mod macros;
mod names;
mod network;
mod reason;
pub mod record;
mod trace;
mod tree;

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

pub use macros::{Letter, MacroError};

pub use field::{received_spf, resinfo, unjudged};
pub use network::Network;
pub use reason::Reason;
pub use trace::{Answered, Asked, Step, Visit};
pub use tree::{Authorised, Branch, MAX_TREE_QUESTIONS, Node, Place, Tree, Voids, tree};

use crate::dns::lookup::{Ask, Pending};
use crate::time::UnixTime;

/// Of the terms that ask DNS, so many are evaluated (RFC 7208 §4.6.4).
pub const MAX_LOOKUPS: usize = 10;

/// Of the terms that ask DNS, so many may find nothing (RFC 7208 §4.6.4).
pub const MAX_VOIDS: usize = 2;

/// So many names of mail exchanges an mx may have, and so many names of an address are looked at (RFC 7208 §4.6.4).
pub const MAX_NAMES: usize = 10;

/// What one check asks at most, whoever wrote the records: the record, the names of the address and theirs, and, with these
/// names and as if there were none, for each of ten terms a name and ten more, and the explanation.
pub const MAX_QUESTIONS: usize = 1 + (1 + MAX_NAMES) + 2 * (MAX_LOOKUPS * (1 + MAX_NAMES) + 1);

/// Who wants to send mail, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The address of the client.
    pub ip: IpAddr,
    /// What it said in HELO or EHLO.
    pub helo: Vec<u8>,
    /// The address of MAIL FROM without its angle brackets; empty for a bounce.
    pub mail_from: Vec<u8>,
    /// The name of the host that checks, for explanations and [`received_spf`].
    pub receiver: String,
    /// The time, for explanations.
    pub now: UnixTime,
}

impl Query {
    /// A query without a receiver and a time, which matter to explanations alone.
    pub fn new(ip: IpAddr, helo: impl AsRef<[u8]>, mail_from: impl AsRef<[u8]>) -> Query {
        Query {
            ip,
            helo: helo.as_ref().to_vec(),
            mail_from: mail_from.as_ref().to_vec(),
            receiver: "unknown".to_owned(),
            now: UnixTime(0),
        }
    }
}

/// A result of `check_host()` (RFC 7208 §2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpfResult {
    /// The domain says nothing about senders.
    None,
    /// The domain does not say whether the address may send.
    Neutral,
    /// The address may send.
    Pass,
    /// The address may not send.
    Fail,
    /// The address probably may not send.
    SoftFail,
    /// DNS gave no answer; another time there may be a result.
    TempError,
    /// What the domain published cannot be evaluated.
    PermError,
}

impl SpfResult {
    /// The word as RFC 7208 §9.1 and RFC 8601 §2.7.2 write it.
    pub fn as_str(self) -> &'static str {
        match self {
            SpfResult::None => "none",
            SpfResult::Neutral => "neutral",
            SpfResult::Pass => "pass",
            SpfResult::Fail => "fail",
            SpfResult::SoftFail => "softfail",
            SpfResult::TempError => "temperror",
            SpfResult::PermError => "permerror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SpfResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Which name is checked (RFC 7208 §2.3, §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// The name that HELO or EHLO gave.
    Helo,
    /// The domain of MAIL FROM.
    MailFrom,
}

impl Identity {
    /// The word as RFC 7208 §9.1 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Identity::Helo => "helo",
            Identity::MailFrom => "mailfrom",
        }
    }
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The result.
    pub result: SpfResult,
    /// Which name was checked.
    pub identity: Identity,
    /// The name, as far as it can be written: in A-labels, without a final dot, escaped where it is no name.
    pub domain: String,
    /// The mechanism that decided, without its qualifier; none where no mechanism did.
    pub mechanism: Option<String>,
    /// What the domain has to say to those who may not send: printable ASCII that strangers wrote (RFC 7208 §6.2).
    pub explanation: Option<String>,
    /// Why it came so.
    pub reason: Reason,
    /// How many terms asked DNS.
    pub lookups: usize,
    /// How many of them found nothing.
    pub voids: usize,
    /// Each record with its terms, as they were evaluated.
    pub trace: Visit,
}

/// Checks MAIL FROM (RFC 7208 §4); for a bounce postmaster at the name of HELO (§2.4).
///
/// # Errors
/// [`Pending`] while an answer is missing.
pub fn evaluate(dns: &dyn Ask, query: &Query) -> Result<Outcome, Pending> {
    evaluate::check(dns, query, Identity::MailFrom)
}

/// Checks the name that HELO gave (RFC 7208 §2.3).
///
/// # Errors
/// [`Pending`] while an answer is missing.
pub fn evaluate_helo(dns: &dyn Ask, query: &Query) -> Result<Outcome, Pending> {
    evaluate::check(dns, query, Identity::Helo)
}

/// The results of both identities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Both {
    /// That of the name that HELO gave; none where it is not known.
    pub helo: Option<Outcome>,
    /// That of MAIL FROM.
    pub mail_from: Outcome,
}

/// Checks HELO and MAIL FROM; the questions of both are asked together, those of MAIL FROM first.
///
/// ```
/// use dkimkit::dns::Zone;
/// use dkimkit::spf::{Query, SpfResult, evaluate_both};
/// let zone = Zone::parse("mx.example.com. TXT \"v=spf1 a -all\"\nmx.example.com. A 192.0.2.1")?;
/// let query = Query::new("192.0.2.1".parse().unwrap(), "mx.example.com", "anna@example.com");
/// let both = evaluate_both(&zone, &query).unwrap();
/// assert_eq!(both.helo.unwrap().result, SpfResult::Pass);
/// assert_eq!(both.mail_from.result, SpfResult::None);
/// # Ok::<(), dkimkit::dns::ZoneError>(())
/// ```
///
/// # Errors
/// [`Pending`] while an answer is missing.
pub fn evaluate_both(dns: &dyn Ask, query: &Query) -> Result<Both, Pending> {
    let mail_from = evaluate(dns, query);
    let helo = (!query.helo.is_empty()).then(|| evaluate_helo(dns, query));
    Ok(Both {
        helo: helo.transpose()?,
        mail_from: mail_from?,
    })
}
