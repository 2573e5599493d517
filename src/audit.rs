//! Everything about a sending domain that decides whether its mail is taken for spam, looked at from outside.
//!
//! Each check is a function over [`Facts`], in a file of its own: it asks for what it needs as if it were at hand,
//! ends with [`Pending`] where it is not, and is called again when it has come. So the checks go side by side, two
//! that need the same get it from one question, and each is tested with a zone as text. What is asked of the
//! network, and within which time, stands in `probing`.

mod arc;
mod backscatter;
mod bimi;
mod caa;
mod contact;
mod dane;
mod dkim;
mod dmarc;
mod dnssec;
mod domainkeys;
mod facts;
mod finding;
mod greeting;
mod host;
mod lists;
mod mta_sts;
mod mx;
pub mod net;
mod network;
mod place;
mod probing;
mod providers;
mod recipients;
mod refusal;
mod relay;
mod reverse;
mod roles;
mod selectors;
mod sender_id;
mod spf;
mod starttls;
#[cfg(test)]
mod testing;
mod text;
mod tls_rpt;
mod words;

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::check::Wanted;
use crate::dns::lookup::Pending;
use crate::name::{Domain, Selector};
use crate::time::UnixTime;

pub use self::facts::{Answered, Envelope, Facts, Probe, Server};
pub use self::finding::{CheckReport, Finding, Grade, ResourceRecord, Together};
pub use self::greeting::is_public_name;
pub use self::host::Host;
pub use self::lists::{Lists, ListsError};
pub use self::probing::{Probed, Probing, run};
pub use self::words::WORDS;

/// What is to be audited, and how far.
#[derive(Debug, Clone)]
pub struct Options {
    /// The domain that sends.
    pub domain: Domain,
    /// The addresses that it sends from.
    pub addresses: Vec<IpAddr>,
    /// A server of its own to talk to, beside the MX hosts.
    pub smtp: Option<(Host, u16)>,
    /// Whether relaying may be tried at that server.
    pub own_server: bool,
    /// The selectors that are known to be in use.
    pub selectors: Vec<Selector>,
    /// Selectors whose keys are at hand, and what should be published there.
    pub keys: Vec<(Selector, Wanted<'static>)>,
    /// The lists of addresses and domains that are asked; none asks no list.
    pub lists: Option<Lists>,
    /// The name to greet servers with; without one it is the address of the connection, as a literal.
    pub helo: Option<String>,
    /// The time at which certificates and the like are judged.
    pub now: UnixTime,
    /// How long all of it may take.
    pub budget: Duration,
}

impl Options {
    /// An audit of `domain` with nothing else known.
    pub fn new(domain: Domain, now: UnixTime) -> Options {
        Options {
            domain,
            addresses: Vec::new(),
            smtp: None,
            own_server: false,
            selectors: Vec::new(),
            keys: Vec::new(),
            lists: Some(Lists::builtin()),
            helo: None,
            now,
            budget: Duration::from_secs(30),
        }
    }
}

/// What came of an audit.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// The domain, as A-labels.
    pub domain: String,
    /// The worst of the checks.
    pub result: Grade,
    /// Each check, in a fixed order.
    pub checks: Vec<CheckReport>,
}

impl Audit {
    fn new(domain: &Domain, checks: Vec<CheckReport>) -> Audit {
        let worst = checks.iter().map(|check| check.result).max();
        Audit {
            domain: domain.as_ascii().to_owned(),
            result: worst.unwrap_or(Grade::Pass),
            checks,
        }
    }
}

/// A check: its name, and what judges.
struct Check {
    name: &'static str,
    judge: fn(&Facts<'_>) -> Result<CheckReport, Pending>,
}

/// All of them, in the order in which they are told; `providers` comes behind them.
const CHECKS: &[Check] = &[
    Check {
        name: "reverse-dns",
        judge: reverse::judge,
    },
    Check {
        name: "greeting",
        judge: greeting::judge,
    },
    Check {
        name: "starttls",
        judge: starttls::judge,
    },
    Check {
        name: "mx",
        judge: mx::judge,
    },
    Check {
        name: "spf",
        judge: spf::judge,
    },
    Check {
        name: "sender-id",
        judge: sender_id::judge,
    },
    Check {
        name: "dkim",
        judge: dkim::judge,
    },
    Check {
        name: "domainkeys",
        judge: domainkeys::judge,
    },
    Check {
        name: "dmarc",
        judge: dmarc::judge,
    },
    Check {
        name: "arc",
        judge: arc::judge,
    },
    Check {
        name: "mta-sts",
        judge: mta_sts::judge,
    },
    Check {
        name: "tls-rpt",
        judge: tls_rpt::judge,
    },
    Check {
        name: "dane",
        judge: dane::judge,
    },
    Check {
        name: "bimi",
        judge: bimi::judge,
    },
    Check {
        name: "dnssec",
        judge: dnssec::judge,
    },
    Check {
        name: "caa",
        judge: caa::judge,
    },
    Check {
        name: "block-lists",
        judge: lists::judge,
    },
    Check {
        name: "network",
        judge: network::judge,
    },
    Check {
        name: "open-relay",
        judge: relay::judge,
    },
    Check {
        name: "backscatter",
        judge: backscatter::judge,
    },
    Check {
        name: "role-addresses",
        judge: roles::judge,
    },
];
