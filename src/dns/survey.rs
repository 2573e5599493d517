//! What all servers say about one name: the resolver, and every authoritative server of its zone, over UDP
//! and TCP; and the same for each name that a CNAME leads to.
//!
//! Nothing is judged here.

mod asking;
mod bounds;
mod proof;
mod server;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::client::{Code, Data, Failure, Reply};

pub use self::asking::{AnchorError, NO_SELECTOR, Surveyor};

/// What was found out about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The name that was asked for, with its final dot.
    pub name: String,
    /// What the resolver says, CNAMEs followed; the TTL is what is left of it there. It is not asked while the
    /// servers have no record, or not all of them.
    pub resolver: Option<Result<Told, Trouble>>,
    /// The name itself, and then each name that a CNAME led to.
    pub links: Vec<Link>,
    /// Whether the chain of CNAMEs came back to a name that it had passed, or was cut after eight.
    pub endless: bool,
    /// Whether DNSSEC proves the answer.
    pub dnssec: Dnssec,
}

/// One name of a chain, and what the servers of its zone say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The name, with its final dot.
    pub name: String,
    /// The zone in which it lies; `None` where no zone was found.
    pub zone: Option<ZoneCut>,
    /// The servers of the zone, each address once.
    pub servers: Vec<Server>,
    /// Servers of the zone that were not asked.
    pub unasked: Vec<Unasked>,
    /// What the resolver said on the way to the zone, where it could not say who has the name.
    pub trouble: Option<Trouble>,
    /// What a selector that nobody would choose is answered: what a wildcard says of every name.
    pub wildcard: Option<Told>,
    /// What stands where a panel puts a name to which it has added the name of the zone.
    pub doubled: Option<Told>,
}

/// The zone of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneCut {
    /// Its name, with the final dot.
    pub name: String,
    /// How long it is remembered that something is not there, in seconds (RFC 2308 §5).
    pub negative_ttl: u32,
}

/// An authoritative server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name, with the final dot.
    pub name: String,
    /// One of its addresses.
    pub address: IpAddr,
    /// What it says over UDP.
    pub udp: Result<Told, Trouble>,
    /// Whether that was cut short (TC).
    pub truncated: bool,
    /// What it says over TCP.
    pub tcp: Result<Told, Trouble>,
    /// Whether the answer does not fit into the 512 octets of plain UDP; known where TCP fails.
    pub needs_tcp: bool,
    /// Its version of the zone.
    pub soa: Option<Soa>,
    /// The name servers of the zone, as it says.
    pub named: BTreeSet<String>,
}

/// A server of a zone that was not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unasked {
    /// Its name, with the final dot.
    pub name: String,
    /// Why no address of it is known; `None` where it has none.
    pub why: Option<Trouble>,
}

/// What the SOA record of a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Soa {
    /// The number of this version of the zone.
    pub serial: u32,
    /// How long it may be kept that something is not there, in seconds (RFC 2308 §5).
    pub negative_ttl: u32,
}

/// What a server says about the TXT records at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// These, each with its strings joined.
    Txt {
        /// The records.
        txt: Vec<Vec<u8>>,
        /// In seconds.
        ttl: u32,
    },
    /// It stands for another name.
    Alias {
        /// That name, with its final dot.
        target: String,
        /// In seconds.
        ttl: u32,
    },
    /// The name exists, without TXT records.
    NoData,
    /// The name does not exist.
    NoName,
}

/// Why a server says nothing about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// No answer.
    Silent(Failure),
    /// A refusal.
    Refuses(Code),
    /// It answers, and not as one that speaks for the zone.
    NotAuthoritative,
    /// It was not asked: there are too many.
    TooMany,
    /// It was not asked: nobody outside can reach its address.
    Unreachable,
}

/// What DNSSEC says of an answer (RFC 4033 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dnssec {
    /// Proven.
    Secure,
    /// The zone is not signed, or its parent does not say so.
    Insecure,
    /// Signed, and the proof fails.
    Bogus,
    /// Nobody could tell.
    Unknown,
}

impl Dnssec {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Dnssec::Secure => "secure",
            Dnssec::Insecure => "insecure",
            Dnssec::Bogus => "bogus",
            Dnssec::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Silent(failure) => failure.fmt(f),
            Trouble::Refuses(code) => write!(f, "it answers {code}"),
            Trouble::NotAuthoritative => f.write_str("it does not speak for the zone"),
            Trouble::TooMany => f.write_str("there are too many to ask"),
            Trouble::Unreachable => f.write_str("nobody outside can reach its address"),
        }
    }
}

impl Survey {
    /// The name at which the record stands, or should: the last of the chain, unless a wildcard made it.
    pub fn record_name(&self) -> &str {
        self.record_link().map_or(&self.name, |link| &link.name)
    }

    fn record_link(&self) -> Option<&Link> {
        match self.is_wildcard_alias() {
            true => self.links.first(),
            false => self.links.last(),
        }
    }

    /// The zone in which it lies, without a final dot, if one was found.
    pub fn zone(&self) -> Option<&str> {
        let zone = self.record_link()?.zone.as_ref()?;
        Some(zone.name.trim_end_matches('.'))
    }

    /// How long, in seconds, caches may keep what the servers say now, or that they say nothing.
    pub fn kept_for(&self) -> u64 {
        let zones = self.links.iter().filter_map(|link| link.zone.as_ref());
        let negative = zones.map(|zone| zone.negative_ttl);
        let servers = self.links.iter().flat_map(|link| &link.servers);
        let ttls = servers.filter_map(|server| match server.answer() {
            Ok(Told::Txt { ttl, .. } | Told::Alias { ttl, .. }) => Some(*ttl),
            _ => None,
        });
        negative.chain(ttls).max().unwrap_or(0).into()
    }

    /// The texts of all TXT records that any server gave at any name of the chain.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let servers = self.links.iter().flat_map(|link| &link.servers);
        let answers = servers.flat_map(|server| [&server.udp, &server.tcp]);
        let texts = answers.filter_map(|answer| match answer {
            Ok(Told::Txt { txt, .. }) => Some(txt),
            _ => None,
        });
        texts.flatten().map(Vec::as_slice)
    }

    /// Whether a wildcard gives this text at every name.
    pub fn is_wildcard(&self, text: &[u8]) -> bool {
        let first = self.links.first().and_then(|link| link.wildcard.as_ref());
        let same = |told: &Told| matches!(told, Told::Txt { txt, .. } if txt.iter().any(|own| own == text));
        self.is_wildcard_alias() || first.is_some_and(same)
    }

    /// Whether the name is a CNAME only because every name beside it is.
    fn is_wildcard_alias(&self) -> bool {
        let first = self.links.first();
        let target = first.and_then(Link::target);
        match first.and_then(|link| link.wildcard.as_ref()) {
            Some(Told::Alias { target: own, .. }) => target == Some(own.as_str()),
            _ => false,
        }
    }

    /// How many of the servers that can be asked from here lead to an answer that is `right`.
    pub fn everywhere(&self, right: impl Fn(&Told) -> bool) -> Agreement {
        let mut agreement = Agreement::default();
        // A CNAME may lead to where nobody is.
        if let Some(last) = self.links.last()
            && last.zone.is_none()
            && last.trouble.is_none()
        {
            agreement.wrong += 1;
        }
        for (at, link) in self.links.iter().enumerate() {
            let next = self.links.get(at + 1).map(|next| next.name.as_str());
            // The name may be in a zone of its own, whose servers nobody has named.
            agreement.unknown += usize::from(link.trouble.is_some());
            // One without an address is asked by nobody.
            agreement.unknown += link
                .unasked
                .iter()
                .filter(|unasked| unasked.why.is_some())
                .count();
            for server in &link.servers {
                if server.udp.is_err() && server.tcp.is_ok() {
                    // Resolvers ask over UDP first.
                    agreement.unknown += 1;
                    continue;
                }
                if let (Ok(udp), Ok(tcp)) = (&server.udp, &server.tcp)
                    && !server.truncated
                    && !udp.agrees(tcp)
                {
                    agreement.wrong += 1;
                    continue;
                }
                match (server.answer(), next) {
                    // Who has IPv6 asks such a server; this machine cannot know what it says.
                    (Err(Trouble::Silent(Failure::NoIpv6)), _) => {}
                    (Err(_), _) => agreement.unknown += 1,
                    (Ok(Told::Alias { target, .. }), Some(next)) if target == next => {}
                    (Ok(told), None) if right(told) => agreement.right += 1,
                    (Ok(_), _) => agreement.wrong += 1,
                }
            }
        }
        agreement
    }
}

/// How many servers are right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agreement {
    /// These say what they should.
    pub right: usize,
    /// These say something else.
    pub wrong: usize,
    /// These say nothing.
    pub unknown: usize,
}

impl Server {
    /// What counts of what it says: what it says over UDP, where that is whole.
    pub fn answer(&self) -> &Result<Told, Trouble> {
        let udp_counts = self.udp.is_ok() && !self.truncated;
        match udp_counts || self.tcp.is_err() && !self.truncated {
            true => &self.udp,
            false => &self.tcp,
        }
    }
}

impl Link {
    /// Whether it is of use, and does no harm, to ask a resolver too: all servers have the same record, or none
    /// gives any answer.
    fn is_settled(&self) -> bool {
        let mut answers = self
            .servers
            .iter()
            .filter_map(|server| server.answer().as_ref().ok());
        match answers.next() {
            Some(first) => first.is_something() && answers.all(|told| told.agrees(first)),
            None => true,
        }
    }

    /// The name that this one stands for, if any of the servers says so.
    pub fn target(&self) -> Option<&str> {
        self.servers
            .iter()
            .find_map(|server| match server.answer() {
                Ok(Told::Alias { target, .. }) => Some(target.as_str()),
                _ => None,
            })
    }
}

impl Told {
    /// Whether there is a record.
    pub fn is_something(&self) -> bool {
        matches!(self, Told::Txt { .. } | Told::Alias { .. })
    }

    /// Whether two servers say the same; the TTL may differ.
    pub fn agrees(&self, other: &Told) -> bool {
        match (self, other) {
            (Told::Txt { txt: a, .. }, Told::Txt { txt: b, .. }) => {
                let sorted = |txt: &[Vec<u8>]| txt.iter().cloned().collect::<BTreeSet<_>>();
                a.len() == b.len() && sorted(a) == sorted(b)
            }
            (Told::Alias { target: a, .. }, Told::Alias { target: b, .. }) => a == b,
            // Whether other types stand at the name is no matter here.
            (Told::NoData | Told::NoName, Told::NoData | Told::NoName) => true,
            _ => false,
        }
    }

    /// What a reply says about exactly this name.
    pub(crate) fn read(name: &str, reply: &Reply) -> Told {
        let own = || reply.answers.iter().filter(|rr| rr.name == name);
        let ttl = own().map(|rr| rr.ttl).min().unwrap_or(0);
        for rr in own() {
            if let Data::Cname(target) = &rr.data {
                let target = target.clone();
                return Told::Alias { target, ttl };
            }
        }
        let txt: Vec<Vec<u8>> = own()
            .filter_map(|rr| match &rr.data {
                // RFC 6376 §3.6.2.2: the strings of a record are joined without anything between.
                Data::Txt(strings) => Some(strings.concat()),
                _ => None,
            })
            .collect();
        match reply.code {
            _ if !txt.is_empty() => Told::Txt { txt, ttl },
            Code::NoName => Told::NoName,
            _ => Told::NoData,
        }
    }
}
