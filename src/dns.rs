//! What DNS can say about a key, and a [`Zone`] that says it from a text.
//!
//! The core asks for nothing itself: an [`Answer`] is handed to it. Lookups over the network stand in
//! the rooms below this one.

#[cfg(feature = "resolver")]
pub mod client;
pub mod lookup;
#[cfg(feature = "resolver")]
pub mod survey;
#[cfg(feature = "resolver")]
pub mod system;
#[cfg(feature = "resolver")]
mod wire;
mod zone;

use std::fmt;
use std::time::Duration;

pub use zone::{Zone, ZoneError};

use self::lookup::{Found, Record, Said};
use crate::name::KeyName;

/// The longest text of a record that is read, in octets: who publishes it chooses its length, and none that is meant well has
/// a tenth of this.
pub const MAX_TEXT: usize = 16 << 10;

/// As much of such a text as a report repeats, in octets before they are escaped.
pub const MAX_SHOWN: usize = 1000;

/// The answer to a question for the TXT records at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There are TXT records.
    Records {
        /// Each record with its strings joined (RFC 6376 §3.6.2.2).
        txt: Vec<Vec<u8>>,
        /// How long they may be kept.
        ttl: Duration,
        /// Whether DNSSEC proves them; `None` where nobody looked.
        secure: Option<bool>,
    },
    /// The name does not exist (NXDOMAIN).
    NoName,
    /// The name exists, but has no TXT record.
    NoData,
    /// No answer now; another time there may be one.
    Temporary(Cause),
}

impl From<Found> for Answer {
    /// The answer to a question for TXT records.
    fn from(found: Found) -> Answer {
        match found.said {
            Said::Records(records) => Answer::Records {
                txt: records
                    .into_iter()
                    .filter_map(|record| match record {
                        Record::Text(text) => Some(text),
                        _ => None,
                    })
                    .collect(),
                ttl: found.ttl,
                secure: None,
            },
            Said::NoName => Answer::NoName,
            Said::NoData => Answer::NoData,
            Said::Temporary(cause) => Answer::Temporary(cause),
        }
    }
}

/// Why there is no answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nobody answered in time.
    Timeout,
    /// The server failed (SERVFAIL).
    ServerFailure,
    /// The server refused to answer (REFUSED).
    Refused,
    /// The server could not be reached, or its answer could not be read.
    Network,
    /// The name was not asked for.
    NotAsked,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Timeout => "no name server answered in time",
            Cause::ServerFailure => "the name server failed (SERVFAIL)",
            Cause::Refused => "the name server refused to answer (REFUSED)",
            Cause::Network => "the name server could not be reached or understood",
            Cause::NotAsked => "the name was not asked for",
        })
    }
}

/// Something that answers for TXT records at once: a zone, a map, a cache.
pub trait LookupTxt {
    /// The answer for `name`.
    fn lookup_txt(&self, name: &KeyName) -> Answer;
}
