//! How the servers are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::dnssec::TrustAnchors;
use tokio::task::JoinSet;

use super::bounds::Bounds;
use super::server::{
    PORT, authoritative, domain_of, incomprehensible, is_top_level, look, name_servers, parent,
    with_tcp, zone_in,
};
use super::{Dnssec, Link, Server, Survey, Told, Trouble, Unasked, ZoneCut, proof};
use crate::dns::client::{Code, Data, Failure, Question, Reply};
use crate::dns::lookup::{self, RecordType};
use crate::name::KeyName;

/// Whom to ask, and how long to wait for each answer.
#[derive(Clone)]
pub struct Surveyor {
    /// The resolvers, the first that answers counts.
    resolvers: Vec<SocketAddr>,
    /// For each question.
    patience: Duration,
    anchors: Arc<TrustAnchors>,
    bounds: Bounds,
}

/// How often servers are asked for further servers.
const MAX_ROUNDS: usize = 4;
pub(super) const MAX_CNAMES: usize = 8;
/// A label that nobody chooses, so that only a wildcard answers for it.
pub const NO_SELECTOR: &str = "dkimkit-no-such-selector";

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
            bounds: Bounds::default(),
        })
    }

    /// Asks about names that strangers chose, who may lead anywhere: all surveys of this and of its clones together ask
    /// servers no more than `contacts` times, only those that can be reached from everywhere, and fewer for each zone.
    #[must_use]
    pub fn among_strangers(self, contacts: usize) -> Surveyor {
        let bounds = Bounds::among_strangers(contacts);
        Surveyor { bounds, ..self }
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
        // A resolver that is asked too early remembers for long that there is nothing.
        let last = links.last();
        let (resolver, dnssec) = if last.is_some_and(Link::is_settled) {
            let asked = self.dnssec(name.as_str(), RecordType::Txt);
            let (resolver, dnssec) = tokio::join!(self.resolved(name), asked);
            (Some(resolver), dnssec)
        } else {
            let zone = links.iter().find_map(|link| link.zone.as_ref());
            let dnssec = match zone {
                Some(zone) => self.dnssec(&zone.name, RecordType::Soa).await,
                None => Dnssec::Unknown,
            };
            (None, dnssec)
        };
        Survey {
            name: name.as_str().to_owned(),
            resolver,
            links,
            endless,
            dnssec,
        }
    }

    /// For the name of a key, the resolver is asked about its domain alone, as long as nothing speaks for a
    /// zone of its own: what is not there yet would be remembered as missing.
    async fn link(&self, name: &str, is_key_name: bool) -> Link {
        if is_key_name {
            let link = self.link_from(domain_of(name), name).await;
            let referral =
                |server: &Server| matches!(server.answer(), Err(Trouble::NotAuthoritative));
            if !link.servers.iter().any(referral) {
                return link;
            }
        }
        self.link_from(name, name).await
    }

    /// Looks at a name, in the zone that is found from `start` upwards.
    async fn link_from(&self, start: &str, name: &str) -> Link {
        let (zone, trouble) = self.zone_of(start).await;
        let mut link = Link {
            name: name.to_owned(),
            zone,
            servers: Vec::new(),
            unasked: Vec::new(),
            trouble,
            wildcard: None,
            doubled: None,
        };
        let Some(zone) = link.zone.clone() else {
            return link;
        };
        let mut names = match self.ask_resolvers(&zone.name, RecordType::Ns).await {
            Ok(reply) => name_servers(&reply),
            Err(trouble) => {
                link.unasked.push(Unasked {
                    name: zone.name.clone(),
                    why: Some(trouble),
                });
                BTreeSet::new()
            }
        };
        let mut known = BTreeSet::new();
        // The servers themselves may name further ones, of which the parent of the zone knows nothing.
        for _ in 0..MAX_ROUNDS {
            let new: BTreeSet<String> = names.difference(&known).cloned().collect();
            if new.is_empty() {
                break;
            }
            known.extend(new.iter().cloned());
            self.ask_servers(&new, &zone.name, &mut link).await;
            let named = link.servers.iter().flat_map(|server| &server.named);
            names = named.cloned().collect();
        }
        let negative = link.servers.iter().filter_map(|server| server.soa);
        if let (Some(zone), Some(ttl)) =
            (&mut link.zone, negative.map(|soa| soa.negative_ttl).max())
        {
            zone.negative_ttl = ttl;
        }
        if name.contains("._domainkey.") {
            self.look_around(&mut link, &zone.name).await;
        }
        link
    }

    /// Asks for a wildcard, and for a record at the name with the zone added once more.
    async fn look_around(&self, link: &mut Link, zone: &str) {
        let Some(server) = link.servers.iter().find(|s| s.answer().is_ok()) else {
            return;
        };
        let probe = format!("{NO_SELECTOR}._domainkey.{}", domain_of(&link.name));
        let doubled = format!("{}{zone}", link.name);
        let server = SocketAddr::new(server.address, PORT);
        let (wildcard, doubled) = tokio::join!(
            authoritative(server, &probe, self.patience),
            authoritative(server, &doubled, self.patience)
        );
        link.wildcard = wildcard.ok().filter(Told::is_something);
        link.doubled = doubled.ok().filter(Told::is_something);
    }

    /// Asks the resolvers in turn; the first answer counts.
    ///
    /// What DNSSEC does not prove is taken too, but only where nothing else is had: asked for that, a resolver
    /// may give what the parent of a zone says instead of the zone itself.
    async fn ask_resolvers(&self, name: &str, kind: RecordType) -> Result<Reply, Trouble> {
        let mut trouble = Trouble::Silent(Failure::Timeout);
        for resolver in &self.resolvers {
            for unchecked in [false, true] {
                let question = Question {
                    name: name.to_owned(),
                    kind,
                    recursion: true,
                    unchecked,
                };
                match with_tcp(*resolver, &question, self.patience).await {
                    Ok(reply) if matches!(reply.code, Code::NoError | Code::NoName) => {
                        return Ok(reply);
                    }
                    Ok(reply) => trouble = Trouble::Refuses(reply.code),
                    Err(failure) => trouble = Trouble::Silent(failure),
                }
                if trouble != Trouble::Refuses(Code::ServerFailure) {
                    break;
                }
            }
        }
        Err(trouble)
    }

    async fn resolved(&self, name: &KeyName) -> Result<Told, Trouble> {
        let reply = self.ask_resolvers(name.as_str(), RecordType::Txt).await?;
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

    /// Walks up from the name until a zone begins; and what went wrong on the way, which may mean that the
    /// name is in a zone further down whose servers are silent.
    async fn zone_of(&self, name: &str) -> (Option<ZoneCut>, Option<Trouble>) {
        let mut trouble = None;
        let mut at = name;
        while !matches!(at, "" | ".") {
            match self.ask_resolvers(at, RecordType::Soa).await {
                Err(error) => {
                    trouble.get_or_insert(error);
                }
                Ok(reply) => {
                    if let Some(zone) = zone_in(at, &reply) {
                        if is_top_level(&zone.name) && !self.exists(name).await {
                            return (None, trouble);
                        }
                        return (Some(zone), trouble);
                    }
                }
            }
            at = parent(at);
        }
        (None, trouble)
    }

    /// Whether the domain of a key name exists; if nobody says that it does not, it does.
    async fn exists(&self, name: &str) -> bool {
        let reply = self.ask_resolvers(domain_of(name), RecordType::Soa).await;
        !reply.is_ok_and(|reply| reply.code == Code::NoName)
    }

    /// Asks these servers, each of their addresses once.
    async fn ask_servers(&self, names: &BTreeSet<String>, zone: &str, link: &mut Link) {
        let (addresses, unasked) = self.addresses_of(names).await;
        link.unasked.extend(unasked);
        let known: BTreeSet<IpAddr> = link.servers.iter().map(|server| server.address).collect();
        let mut room = self.bounds.servers.saturating_sub(known.len());
        let mut new: Vec<(IpAddr, String)> = Vec::new();
        for (address, name) in addresses {
            if known.contains(&address) {
                continue;
            }
            match self.bounds.refuses(address, &mut room) {
                None => new.push((address, name)),
                why => link.unasked.push(Unasked { name, why }),
            }
        }
        let mut asked = JoinSet::new();
        for (at, (address, server)) in new.iter().enumerate() {
            let (name, zone, patience) = (link.name.clone(), zone.to_owned(), self.patience);
            let (server, address) = (server.clone(), *address);
            asked.spawn(async move { (at, look(server, address, &name, &zone, patience).await) });
        }
        let looked = gather(asked, new.len()).await;
        let served = |((address, name), server): (&(IpAddr, String), Option<Server>)| {
            server.unwrap_or_else(|| incomprehensible(name, *address))
        };
        link.servers.extend(new.iter().zip(looked).map(served));
    }

    /// The addresses of these name servers, each once, and the servers without one.
    async fn addresses_of(
        &self,
        servers: &BTreeSet<String>,
    ) -> (BTreeMap<IpAddr, String>, Vec<Unasked>) {
        let mut asked = JoinSet::new();
        let count = servers.len().min(self.bounds.servers);
        for (at, server) in servers.iter().take(count).cloned().enumerate() {
            let surveyor = self.clone();
            asked.spawn(async move { (at, surveyor.addresses_of_server(&server).await) });
        }
        let mut looked = gather(asked, count).await.into_iter();
        let (mut addresses, mut unasked) = (BTreeMap::new(), Vec::new());
        for server in servers {
            let found = match looked.next() {
                // What made a task panic is not known.
                Some(found) => found.unwrap_or(Err(Trouble::Silent(Failure::Garbled))),
                None => Err(Trouble::TooMany),
            };
            let why = match found {
                Ok(found) if found.is_empty() => None,
                Ok(found) => {
                    for address in found {
                        addresses.entry(address).or_insert_with(|| server.clone());
                    }
                    continue;
                }
                Err(trouble) => Some(trouble),
            };
            unasked.push(Unasked {
                name: server.clone(),
                why,
            });
        }
        (addresses, unasked)
    }

    /// All addresses of one server; where it has one of a kind, those of the other may fail.
    async fn addresses_of_server(&self, server: &str) -> Result<Vec<IpAddr>, Trouble> {
        let (four, six) = tokio::join!(
            self.ask_resolvers(server, RecordType::A),
            self.ask_resolvers(server, RecordType::Aaaa)
        );
        let trouble = four.as_ref().err().or(six.as_ref().err()).copied();
        let records = [four, six]
            .into_iter()
            .flatten()
            .flat_map(|reply| reply.answers);
        let addresses = records.filter_map(|rr| match rr.data {
            Data::Address(address) => Some(address),
            _ => None,
        });
        let addresses: Vec<IpAddr> = addresses.collect();
        match trouble {
            Some(trouble) if addresses.is_empty() => Err(trouble),
            _ => Ok(addresses),
        }
    }

    /// What DNSSEC says of the answer to a question.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn proof(&self, question: &lookup::Question) -> Dnssec {
        let name = match question.name.is_root() {
            true => ".".to_owned(),
            false => format!("{}.", question.name),
        };
        self.dnssec(&name, question.kind).await
    }

    /// What the first resolver that answers leads to.
    async fn dnssec(&self, name: &str, kind: RecordType) -> Dnssec {
        for resolver in self.resolvers.iter().copied() {
            // Below another root, as in a network of its own, our trust anchor says nothing.
            let found = match self.validated(resolver, ".", RecordType::Soa).await {
                Dnssec::Secure => match self.validated(resolver, name, kind).await {
                    Dnssec::Bogus if !self.confirms(resolver, name, kind).await => Dnssec::Unknown,
                    found => found,
                },
                _ => self.as_it_says(resolver, name, kind).await,
            };
            if found != Dnssec::Unknown {
                return found;
            }
        }
        Dnssec::Unknown
    }

    /// What our own validation says, from the trust anchor down.
    async fn validated(&self, resolver: SocketAddr, name: &str, kind: RecordType) -> Dnssec {
        let began = Instant::now();
        let prove = || {
            let anchors = self.anchors.clone();
            proof::of_answer(name, kind, resolver, anchors, self.patience)
        };
        match prove().await {
            // One of the dozen answers of the chain failed, and not for want of time: a resolver that is busy with
            // the same question for others says so now and then.
            Dnssec::Unknown if began.elapsed() < self.patience => prove().await,
            found => found,
        }
    }

    /// Whether a resolver does not contradict that an answer is bogus: one that validates keeps it back. That
    /// keys cannot be fetched, or that our validation knows less, is no proof.
    async fn confirms(&self, resolver: SocketAddr, name: &str, kind: RecordType) -> bool {
        let reply = self.resolved_once(resolver, name, kind, false).await;
        reply.is_ok_and(|reply| match reply.code {
            Code::ServerFailure => true,
            // It may not validate; then we know what we know.
            Code::NoError | Code::NoName => !reply.authentic,
            _ => false,
        })
    }

    /// What a resolver says of an answer, if it validates at all: then it does so for the root.
    async fn as_it_says(&self, resolver: SocketAddr, name: &str, kind: RecordType) -> Dnssec {
        let (own, unchecked, root) = tokio::join!(
            self.resolved_once(resolver, name, kind, false),
            self.resolved_once(resolver, name, kind, true),
            self.resolved_once(resolver, ".", RecordType::Soa, false)
        );
        let Ok(own) = own else { return Dnssec::Unknown };
        let validates = root.is_ok_and(|root| root.authentic);
        let is_there = |reply: Reply| matches!(reply.code, Code::NoError | Code::NoName);
        match own.code {
            Code::ServerFailure if unchecked.is_ok_and(is_there) => Dnssec::Bogus,
            Code::NoError | Code::NoName if own.authentic => Dnssec::Secure,
            Code::NoError | Code::NoName if validates => Dnssec::Insecure,
            _ => Dnssec::Unknown,
        }
    }

    async fn resolved_once(
        &self,
        resolver: SocketAddr,
        name: &str,
        kind: RecordType,
        unchecked: bool,
    ) -> Result<Reply, Failure> {
        let question = Question {
            name: name.to_owned(),
            kind,
            recursion: true,
            unchecked,
        };
        with_tcp(resolver, &question, self.patience).await
    }
}

/// The results by their numbers; `None` where what a server answered made the task panic.
async fn gather<T: 'static>(mut running: JoinSet<(usize, T)>, count: usize) -> Vec<Option<T>> {
    let mut found: Vec<Option<T>> = (0..count).map(|_| None).collect();
    while let Some(done) = running.join_next().await {
        if let Ok((at, result)) = done {
            found[at] = Some(result);
        }
    }
    found
}

/// Why a trust anchor cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the trust anchor cannot be used: {error}")]
pub struct AnchorError {
    /// Why.
    error: String,
}
