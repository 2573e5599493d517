//! DMARC (RFC 9989): whether what SPF and DKIM vouch for belongs to the author, and what the owner of the author's
//! domain wants done where nothing does.
//!
//! [`record`] reads policy records, [`walk`] finds the one that holds and the organizations that domains belong to,
//! [`evaluate`] judges a message and says of each identifier why it counts or not, and [`report_destinations`] asks
//! whether others have agreed to take a domain's reports (RFC 9990 §4). No list of public suffixes is used: the
//! tree walk has taken its place.

mod align;
mod destinations;
mod evaluate;
mod input;
mod outcome;
pub mod record;
mod resinfo;
pub mod walk;

#[cfg(test)]
mod tests;

use serde::Serializer;

pub use align::MAX_WALKS;
pub use destinations::{AUTHORIZING_RECORD, Authorization, Destination, report_destinations};
pub use evaluate::evaluate;
pub use input::{Author, DkimIdentity, Input, Nameless, SpfIdentity, SpfScope, SpfWord};
pub use outcome::{
    Aligned, DmarcResult, Identifier, Mechanism, Outcome, Reason, Requested, StepReport,
};
pub use resinfo::{resinfo, unjudged};

use crate::name::Domain;

fn as_sentence<S: Serializer>(value: &impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn as_ascii<S: Serializer>(domain: &Domain, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(domain.as_ascii())
}

fn as_ascii_or_null<S: Serializer>(domain: &Option<Domain>, to: S) -> Result<S::Ok, S::Error> {
    match domain {
        Some(domain) => as_ascii(domain, to),
        None => to.serialize_none(),
    }
}
