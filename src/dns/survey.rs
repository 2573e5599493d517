//! What all servers say about one name: the resolver, and every authoritative server of its zone, over UDP
//! and TCP; and the same for each name that a CNAME leads to.
//!
//! Nothing is judged here.

mod proof;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::dnssec::TrustAnchors;
use tokio::task::JoinSet;

use super::client::{Code, Data, Failure, Kind, Question, Reply, Rr, Transport, ask};
use crate::name::KeyName;

/// What was found out about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The name that was asked for, with its final dot.
    pub name: String,
    /// What the resolver says, CNAMEs followed; the TTL is what is left of it there.
    pub resolver: Result<Told, Trouble>,
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
    /// Names of servers that have no address.
    pub unknown_servers: Vec<String>,
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
    /// What it says over UDP; over TCP where the answer was truncated.
    pub answer: Result<Told, Trouble>,
    /// Why it says nothing over TCP.
    pub tcp: Result<(), Trouble>,
    /// Whether the answer does not fit into the 512 octets of plain UDP; known where TCP fails.
    pub needs_tcp: bool,
    /// Its version of the zone.
    pub soa: Option<Soa>,
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
        }
    }
}

/// Whom to ask, and how long to wait for each answer.
#[derive(Clone)]
pub struct Surveyor {
    /// The resolvers, the first that answers counts.
    resolvers: Vec<SocketAddr>,
    /// For each question.
    patience: Duration,
    anchors: Arc<TrustAnchors>,
}

/// No more servers of a zone are asked (the root has 26 addresses).
const MAX_SERVERS: usize = 32;
const MAX_CNAMES: usize = 8;
const PORT: u16 = 53;
/// Nobody chooses it, so that only a wildcard answers for it.
const NO_SELECTOR: &str = "dkimkit-no-such-selector";

impl Surveyor {
    /// Asks these resolvers; `patience` is for each question.
    ///
    /// DNSSEC is checked against `trust_anchor`, a text of DNSKEY records, or the keys of the real root.
    ///
    /// ```
    /// use std::time::Duration;
    /// use dkimkit::dns::survey::Surveyor;
    /// let resolver = "192.0.2.53:53".parse()?;
    /// let surveyor = Surveyor::new(vec![resolver], Duration::from_secs(5), None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where the trust anchor cannot be read, with the reason.
    pub fn new(
        resolvers: Vec<SocketAddr>,
        patience: Duration,
        trust_anchor: Option<&str>,
    ) -> Result<Surveyor, AnchorError> {
        let anchors = match trust_anchor {
            None => TrustAnchors::default(),
            Some(text) => text.parse().map_err(|error| AnchorError {
                error: format!("{error}"),
            })?,
        };
        if anchors.is_empty() {
            return Err(AnchorError {
                error: "it holds no DNSKEY record of the root".to_owned(),
            });
        }
        Ok(Surveyor {
            resolvers,
            patience,
            anchors: Arc::new(anchors),
        })
    }

    /// Asks all about the name of a key.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn survey(&self, name: &KeyName) -> Survey {
        let mut links: Vec<Link> = Vec::new();
        let mut endless = false;
        let mut at = name.as_str().to_owned();
        loop {
            let link = self.link(&at, links.is_empty()).await;
            let target = link.target().map(str::to_owned);
            links.push(link);
            match target {
                None => break,
                Some(target) => {
                    endless = links.len() > MAX_CNAMES || links.iter().any(|l| l.name == target);
                    if endless {
                        break;
                    }
                    at = target;
                }
            }
        }
        let (resolver, dnssec) = tokio::join!(self.resolved(name), self.dnssec(name));
        Survey {
            name: name.as_str().to_owned(),
            resolver,
            links,
            endless,
            dnssec,
        }
    }

    async fn link(&self, name: &str, is_key_name: bool) -> Link {
        let mut link = Link {
            name: name.to_owned(),
            zone: self.zone_of(name).await,
            servers: Vec::new(),
            unknown_servers: Vec::new(),
            wildcard: None,
            doubled: None,
        };
        let Some(zone) = link.zone.clone() else {
            return link;
        };
        let mut addresses = Vec::new();
        for (server, found) in self.servers_of(&zone.name).await {
            if found.is_empty() {
                link.unknown_servers.push(server.clone());
            }
            let found = found.into_iter().map(|address| (server.clone(), address));
            addresses.extend(found);
        }
        addresses.truncate(MAX_SERVERS);
        let mut asked = JoinSet::new();
        for (at, (server, address)) in addresses.into_iter().enumerate() {
            let (patience, name, zone) = (self.patience, name.to_owned(), zone.name.clone());
            asked.spawn(async move { (at, look(server, address, &name, &zone, patience).await) });
        }
        link.servers = gather(asked).await;
        let negative = link.servers.iter().filter_map(|server| server.soa);
        if let (Some(zone), Some(ttl)) =
            (&mut link.zone, negative.map(|soa| soa.negative_ttl).max())
        {
            zone.negative_ttl = ttl;
        }
        if is_key_name && let Some(server) = link.servers.iter().find(|s| s.answer.is_ok()) {
            let parent = name
                .split_once("._domainkey.")
                .map_or(name, |(_, rest)| rest);
            let probe = format!("{NO_SELECTOR}._domainkey.{parent}");
            let doubled = format!("{name}{}", zone.name);
            let server = SocketAddr::new(server.address, PORT);
            let (wildcard, doubled) = tokio::join!(
                authoritative(server, &probe, self.patience),
                authoritative(server, &doubled, self.patience)
            );
            link.wildcard = wildcard.ok().filter(Told::is_something);
            link.doubled = doubled.ok().filter(Told::is_something);
        }
        link
    }

    /// Asks the resolvers in turn; the first answer counts.
    async fn ask_resolvers(&self, name: &str, kind: Kind) -> Result<Reply, Trouble> {
        let question = Question {
            name: name.to_owned(),
            kind,
            recursion: true,
        };
        let mut trouble = Trouble::Silent(Failure::Timeout);
        for resolver in &self.resolvers {
            match with_tcp(*resolver, &question, self.patience).await {
                Ok(reply) if matches!(reply.code, Code::NoError | Code::NoName) => {
                    return Ok(reply);
                }
                Ok(reply) => trouble = Trouble::Refuses(reply.code),
                Err(failure) => trouble = Trouble::Silent(failure),
            }
        }
        Err(trouble)
    }

    async fn resolved(&self, name: &KeyName) -> Result<Told, Trouble> {
        let reply = self.ask_resolvers(name.as_str(), Kind::Txt).await?;
        let mut at = name.as_str();
        let mut lowest = u32::MAX;
        for _ in 0..=MAX_CNAMES {
            match Told::read(at, &reply) {
                Told::Alias { target, ttl } => {
                    let next = reply.answers.iter().find(|rr| rr.name == target);
                    lowest = lowest.min(ttl);
                    match next {
                        Some(next) => at = &next.name,
                        None if reply.code == Code::NoName => return Ok(Told::NoName),
                        None => return Ok(Told::NoData),
                    }
                }
                Told::Txt { txt, ttl } => {
                    let ttl = ttl.min(lowest);
                    return Ok(Told::Txt { txt, ttl });
                }
                told => return Ok(told),
            }
        }
        Ok(Told::NoData)
    }

    /// Walks up from the name until a zone begins.
    async fn zone_of(&self, name: &str) -> Option<ZoneCut> {
        let mut at = name;
        while !matches!(at, "" | ".") {
            if let Ok(reply) = self.ask_resolvers(at, Kind::Soa).await {
                // What follows a CNAME is about another name; and at the start of a zone there is none.
                let alias = |rr: &Rr| matches!(rr.data, Data::Cname(_));
                if reply.answers.iter().any(alias) {
                    at = parent(at);
                    continue;
                }
                let above =
                    |zone: &str| at == zone || at.ends_with(&format!(".{zone}")) || zone == ".";
                let mut records = reply.answers.iter().chain(&reply.authority);
                let soa = records.find_map(|rr| match rr.data {
                    Data::Soa { minimum, .. } if above(&rr.name) => Some((rr, minimum)),
                    _ => None,
                });
                if let Some((rr, minimum)) = soa {
                    let zone = ZoneCut {
                        name: rr.name.clone(),
                        negative_ttl: minimum,
                    };
                    let exists = !is_top_level(&zone.name) || self.exists(name).await;
                    return exists.then_some(zone);
                }
            }
            at = parent(at);
        }
        None
    }

    /// Whether the domain of a key name exists.
    async fn exists(&self, name: &str) -> bool {
        let domain = name
            .split_once("._domainkey.")
            .map_or(name, |(_, rest)| rest);
        let reply = self.ask_resolvers(domain, Kind::Soa).await;
        reply.is_ok_and(|reply| reply.code == Code::NoError)
    }

    /// The name servers of a zone, with their addresses.
    async fn servers_of(&self, zone: &str) -> Vec<(String, Vec<IpAddr>)> {
        let Ok(reply) = self.ask_resolvers(zone, Kind::Ns).await else {
            return Vec::new();
        };
        let names: BTreeSet<String> = reply
            .answers
            .into_iter()
            .filter_map(|rr| match rr.data {
                Data::Ns(server) => Some(server),
                _ => None,
            })
            .take(MAX_SERVERS)
            .collect();
        let mut asked = JoinSet::new();
        for (at, server) in names.into_iter().enumerate() {
            let surveyor = self.clone();
            asked.spawn(async move {
                let (four, six) = tokio::join!(
                    surveyor.ask_resolvers(&server, Kind::A),
                    surveyor.ask_resolvers(&server, Kind::Aaaa)
                );
                let replies = [four, six].into_iter().flatten();
                let addresses =
                    replies
                        .flat_map(|reply| reply.answers)
                        .filter_map(|rr| match rr.data {
                            Data::Address(address) => Some(address),
                            _ => None,
                        });
                (at, (server, addresses.collect()))
            });
        }
        gather(asked).await
    }

    /// What the first resolver that answers leads to.
    async fn dnssec(&self, name: &KeyName) -> Dnssec {
        for resolver in &self.resolvers {
            let anchors = self.anchors.clone();
            let found = proof::of_txt(name.as_str(), *resolver, anchors, self.patience).await;
            if found != Dnssec::Unknown {
                return found;
            }
        }
        Dnssec::Unknown
    }
}

/// The name without its first label.
fn parent(name: &str) -> &str {
    name.split_once('.').map_or("", |(_, rest)| rest)
}

/// Whether a zone is so high up that a domain that does not exist would seem to lie in it.
fn is_top_level(zone: &str) -> bool {
    zone.trim_end_matches('.').split('.').count() < 2
}

/// The results in the order of their numbers; what the answer of a server made panic is left out.
async fn gather<T: 'static>(mut running: JoinSet<(usize, T)>) -> Vec<T> {
    let mut found = Vec::new();
    while let Some(done) = running.join_next().await {
        found.extend(done);
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, found)| found).collect()
}

impl Survey {
    /// The name at which the record stands, or should: the last of the chain.
    pub fn record_name(&self) -> &str {
        self.links.last().map_or(&self.name, |link| &link.name)
    }

    /// The zone in which it lies, without a final dot, if one was found.
    pub fn zone(&self) -> Option<&str> {
        let zone = self.links.last()?.zone.as_ref()?;
        Some(zone.name.trim_end_matches('.'))
    }

    /// How long, in seconds, caches may keep what the servers say now, or that they say nothing.
    pub fn kept_for(&self) -> u64 {
        let zones = self.links.iter().filter_map(|link| link.zone.as_ref());
        let negative = zones.map(|zone| zone.negative_ttl);
        let servers = self.links.iter().flat_map(|link| &link.servers);
        let ttls = servers.filter_map(|server| match &server.answer {
            Ok(Told::Txt { ttl, .. } | Told::Alias { ttl, .. }) => Some(*ttl),
            _ => None,
        });
        negative.chain(ttls).max().unwrap_or(0).into()
    }

    /// How many of the servers that can be asked from here lead to an answer that is `right`.
    pub fn everywhere(&self, right: impl Fn(&Told) -> bool) -> Agreement {
        let mut agreement = Agreement::default();
        for (at, link) in self.links.iter().enumerate() {
            let next = self.links.get(at + 1).map(|next| next.name.as_str());
            for server in &link.servers {
                match (&server.answer, next) {
                    (Err(Trouble::Silent(Failure::NoRoute)), _) => {}
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

impl Link {
    /// The name that this one stands for, if any of the servers says so.
    pub fn target(&self) -> Option<&str> {
        self.servers.iter().find_map(|server| match &server.answer {
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
    fn read(name: &str, reply: &Reply) -> Told {
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

/// Asks over UDP, and over TCP where the answer was truncated.
async fn with_tcp(
    server: SocketAddr,
    question: &Question,
    patience: Duration,
) -> Result<Reply, Failure> {
    match ask(server, question, Transport::Udp, patience).await {
        Ok(reply) if reply.truncated => ask(server, question, Transport::Tcp, patience).await,
        // RFC 6891 §7: so speaks a server that does not know EDNS.
        Ok(reply) if matches!(reply.code, Code::Other(1 | 4 | 16)) => {
            ask(server, question, Transport::PlainUdp, patience).await
        }
        told => told,
    }
}

fn question(name: &str, kind: Kind) -> Question {
    Question {
        name: name.to_owned(),
        kind,
        recursion: false,
    }
}

/// What a server says that must know.
async fn authoritative(
    server: SocketAddr,
    name: &str,
    patience: Duration,
) -> Result<Told, Trouble> {
    let reply = with_tcp(server, &question(name, Kind::Txt), patience).await;
    judge(name, reply)
}

fn judge(name: &str, reply: Result<Reply, Failure>) -> Result<Told, Trouble> {
    let reply = reply.map_err(Trouble::Silent)?;
    match reply.code {
        Code::NoError | Code::NoName if reply.authoritative => Ok(Told::read(name, &reply)),
        Code::NoError | Code::NoName => Err(Trouble::NotAuthoritative),
        // So BIND gives up a chain of CNAMEs, whose first link it has told.
        Code::ServerFailure if reply.authoritative && !reply.answers.is_empty() => {
            Ok(Told::read(name, &reply))
        }
        code => Err(Trouble::Refuses(code)),
    }
}

async fn look(
    server: String,
    address: IpAddr,
    name: &str,
    zone: &str,
    patience: Duration,
) -> Server {
    let at = SocketAddr::new(address, PORT);
    let (txt, soa) = (question(name, Kind::Txt), question(zone, Kind::Soa));
    let (udp, tcp, soa) = tokio::join!(
        ask(at, &txt, Transport::Udp, patience),
        ask(at, &txt, Transport::Tcp, patience),
        with_tcp(at, &soa, patience)
    );
    let truncated = udp.as_ref().is_ok_and(|reply| reply.truncated);
    let mut needs_tcp = truncated;
    if tcp.is_err() && udp.is_ok() && !truncated {
        let plain = ask(at, &txt, Transport::PlainUdp, patience).await;
        needs_tcp = plain.is_ok_and(|reply| reply.truncated);
    }
    let soa = soa.ok().and_then(|reply| {
        reply.answers.iter().find_map(|rr| match rr.data {
            Data::Soa { serial, minimum } => Some(Soa {
                serial,
                negative_ttl: minimum.min(rr.ttl),
            }),
            _ => None,
        })
    });
    let tcp_told = tcp
        .as_ref()
        .map(|_| ())
        .map_err(|failure| Trouble::Silent(*failure));
    // What came over UDP may be cut or lost; TCP then has the word.
    let answer = match udp {
        Ok(reply) if !reply.truncated => judge(name, Ok(reply)),
        Err(failure) if tcp.is_err() => Err(Trouble::Silent(failure)),
        _ => judge(name, tcp),
    };
    Server {
        name: server,
        address,
        answer,
        tcp: tcp_told,
        needs_tcp,
        soa,
    }
}

/// Why a trust anchor cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the trust anchor cannot be used: {error}")]
pub struct AnchorError {
    /// Why.
    error: String,
}
