//! What is known of the network so far, and what is asked of it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Options;
use super::finding::CheckReport;
use super::host::is_literal;
use super::net::{Dialogue, Download, Greeting, NoConnection};
use super::spf::{Lets, lets, only_exchanges};
use crate::dns::Cause;
use crate::dns::lookup::{Ask, DnsName, Found, Pending, Question, Record, RecordType, Said};
use crate::dns::survey::{Dnssec, Survey};
use crate::name::KeyName;
use crate::special::unreachable;
use crate::spf::{self, Outcome, Reason, SpfResult};

/// A server to talk SMTP to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Server {
    /// The name under which it was found.
    pub name: DnsName,
    /// Where it is.
    pub address: SocketAddr,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = self.address.ip();
        write!(f, "{}", self.name)?;
        if !is_literal(&self.name) {
            write!(f, " [{ip}]")?;
        }
        match self.address.port() {
            25 => Ok(()),
            port => write!(f, " port {port}"),
        }
    }
}

/// A sender and a recipient, as they stand between the angle brackets of MAIL and RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// Empty for the null sender.
    pub sender: String,
    /// The recipient.
    pub recipient: String,
}

/// Something that is asked of the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Probe {
    /// A question to DNS.
    Dns(Question),
    /// Whether DNSSEC proves the answer to a question.
    Proof(Question),
    /// What all name servers say about the record of a key.
    Key(KeyName),
    /// A connection that looks at banner, EHLO, STARTTLS and certificate, and ends.
    Greeting(Server),
    /// A dialogue that offers these envelopes one after the other, and ends before DATA.
    Dialogue(Server, Vec<Envelope>),
    /// A file over HTTPS, from this host and path, at these addresses.
    Https(DnsName, &'static str, Vec<IpAddr>),
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probe::Dns(question) => write!(f, "DNS {question}"),
            Probe::Proof(question) => {
                write!(
                    f,
                    "DNSSEC {question}, and the DS and DNSKEY records above it"
                )
            }
            Probe::Key(name) => write!(
                f,
                "DNS {name} at every name server, the NS, SOA, A and AAAA records that lead there, and the proof of DNSSEC"
            ),
            Probe::Greeting(server) => write!(f, "SMTP {server}: greeting and TLS"),
            Probe::Dialogue(server, envelopes) => {
                write!(f, "SMTP {server}: {} envelopes offered", envelopes.len())
            }
            Probe::Https(host, path, _) => write!(f, "HTTPS https://{host}{path}"),
        }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub enum Answered {
    /// To [`Probe::Dns`].
    Dns(Found),
    /// To [`Probe::Proof`].
    Proof(Dnssec),
    /// To [`Probe::Key`]; none where there was no time.
    Key(Option<Arc<Survey>>),
    /// To [`Probe::Greeting`].
    Greeting(Arc<Greeting>),
    /// To [`Probe::Dialogue`].
    Dialogue(Arc<Dialogue>),
    /// To [`Probe::Https`].
    Https(Arc<Download>),
}

impl Answered {
    /// What is said in place of an answer that did not come in time, or was not even asked for.
    pub(super) fn nothing(probe: &Probe, asked: bool) -> Answered {
        let cause = match asked {
            true => Cause::Timeout,
            false => Cause::NotAsked,
        };
        let none = NoConnection::OverBudget;
        match probe {
            Probe::Dns(_) => Answered::Dns(Found::new(Said::Temporary(cause))),
            Probe::Proof(_) => Answered::Proof(Dnssec::Unknown),
            Probe::Key(_) => Answered::Key(None),
            Probe::Greeting(_) => Answered::Greeting(Arc::new(Greeting::none(none))),
            Probe::Dialogue(..) => Answered::Dialogue(Arc::new(Dialogue::none(none))),
            Probe::Https(..) => Answered::Https(Arc::new(Download::none(none))),
        }
    }
}

/// All answers so far.
#[derive(Debug, Default)]
pub(super) struct Store {
    answers: HashMap<Probe, Answered>,
    /// What has been asked for, with an answer or without.
    asked: HashSet<Probe>,
    /// No time is left: what has no answer gets none.
    closed: bool,
    /// See [`Facts::spf_publishes`] and [`Facts::mx_publishes`]; worked out once between two answers.
    spf_publishes: Memo,
    mx_publishes: Memo,
}

/// Something that is worked out from the answers so far.
type Memo = Cell<Option<Result<bool, Pending>>>;

/// So many things are asked of the network at most: the names may be an enemy's.
const MAX_PROBES: usize = 2_000;

impl Store {
    /// Notes that something is asked for now.
    pub(super) fn note(&mut self, probe: Probe) {
        self.asked.insert(probe);
    }

    /// Takes an answer.
    pub(super) fn tell(&mut self, probe: Probe, answered: Answered) {
        self.answers.insert(probe, answered);
        self.forget();
    }

    /// Has no time left.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.forget();
    }

    fn forget(&mut self) {
        self.spf_publishes.take();
        self.mx_publishes.take();
    }
}

/// What a check sees: what is to be audited, and answers.
#[derive(Debug)]
pub struct Facts<'a> {
    /// What is to be audited.
    pub(super) options: &'a Options,
    store: &'a Store,
    wanted: RefCell<Vec<Probe>>,
}

/// So many addresses of a kind are looked at.
const MAX_ADDRESSES: usize = 16;
/// The port of SMTP between servers (RFC 5321 §4.5.4.2).
const SMTP: u16 = 25;

impl<'a> Facts<'a> {
    pub(super) fn new(options: &'a Options, store: &'a Store) -> Facts<'a> {
        Facts {
            options,
            store,
            wanted: RefCell::default(),
        }
    }

    /// What was asked for and has no answer yet.
    pub(super) fn into_wanted(self) -> Vec<Probe> {
        self.wanted.into_inner()
    }

    fn get(&self, probe: Probe) -> Result<Answered, Pending> {
        if let Some(answered) = self.store.answers.get(&probe) {
            return Ok(answered.clone());
        }
        let asked = self.store.asked.contains(&probe);
        let mut wanted = self.wanted.borrow_mut();
        let full = self.store.asked.len() + wanted.len() >= MAX_PROBES;
        if self.store.closed || full && !asked {
            return Ok(Answered::nothing(&probe, asked));
        }
        if !asked && !wanted.contains(&probe) {
            wanted.push(probe);
        }
        Err(Pending)
    }

    /// Whether the check of SPF has records to publish. Within that check itself there are none: what it publishes does
    /// not wait for it.
    pub(super) fn spf_publishes(&self) -> Result<bool, Pending> {
        self.publishes(&self.store.spf_publishes, super::spf::judge)
    }

    /// The same of the check of MX.
    pub(super) fn mx_publishes(&self) -> Result<bool, Pending> {
        self.publishes(&self.store.mx_publishes, super::mx::judge)
    }

    fn publishes(
        &self,
        known: &Memo,
        judge: fn(&Facts<'_>) -> Result<CheckReport, Pending>,
    ) -> Result<bool, Pending> {
        if let Some(known) = known.get() {
            return known;
        }
        known.set(Some(Ok(false)));
        let judged = judge(self).map(|report| !report.together.publish.is_empty());
        known.set(Some(judged));
        judged
    }

    /// The domain.
    pub(super) fn domain(&self) -> DnsName {
        DnsName::from(&self.options.domain)
    }

    /// Whether DNSSEC proves the answer to a question.
    pub(super) fn proof(&self, question: &Question) -> Result<Dnssec, Pending> {
        match self.get(Probe::Proof(question.clone()))? {
            Answered::Proof(proof) => Ok(proof),
            _ => Ok(Dnssec::Unknown),
        }
    }

    /// What all name servers say about the record of a key; none where there was no time.
    pub(super) fn key(&self, name: &KeyName) -> Result<Option<Arc<Survey>>, Pending> {
        match self.get(Probe::Key(name.clone()))? {
            Answered::Key(survey) => Ok(survey),
            _ => Ok(None),
        }
    }

    /// How a server greets.
    pub(super) fn greeting(&self, server: &Server) -> Result<Arc<Greeting>, Pending> {
        match self.get(Probe::Greeting(server.clone()))? {
            Answered::Greeting(greeting) => Ok(greeting),
            _ => Ok(Arc::new(Greeting::none(NoConnection::OverBudget))),
        }
    }

    /// What a server says to these envelopes.
    pub(super) fn dialogue(
        &self,
        server: &Server,
        envelopes: Vec<Envelope>,
    ) -> Result<Arc<Dialogue>, Pending> {
        match self.get(Probe::Dialogue(server.clone(), envelopes))? {
            Answered::Dialogue(dialogue) => Ok(dialogue),
            _ => Ok(Arc::new(Dialogue::none(NoConnection::OverBudget))),
        }
    }

    /// A file over HTTPS.
    pub(super) fn https(
        &self,
        host: &DnsName,
        path: &'static str,
        addresses: Vec<IpAddr>,
    ) -> Result<Arc<Download>, Pending> {
        match self.get(Probe::Https(host.clone(), path, addresses))? {
            Answered::Https(download) => Ok(download),
            _ => Ok(Arc::new(Download::none(NoConnection::OverBudget))),
        }
    }

    /// The addresses of a host, IPv4 before IPv6, and the failure of a question that got no answer.
    pub(super) fn addresses(&self, host: &DnsName) -> Result<Addresses, Pending> {
        let v4 = self.look(host, RecordType::A);
        let v6 = self.look(host, RecordType::Aaaa);
        let (v4, v6) = (v4?, v6?);
        let failed = |found: &Found, kind| {
            let question = Question::new(host.clone(), kind);
            found.failure().map(|cause| (question, cause))
        };
        Ok(Addresses {
            failure: failed(&v4, RecordType::A).or(failed(&v6, RecordType::Aaaa)),
            aliases: [v4.aliases.clone(), v6.aliases.clone()].concat(),
            exists: v4.said != Said::NoName,
            list: v4.addresses().chain(v6.addresses()).collect(),
        })
    }

    /// The MX hosts of the domain.
    pub(super) fn exchanges(&self) -> Result<Exchanges, Pending> {
        let found = self.look(&self.domain(), RecordType::Mx)?;
        let mut hosts: Vec<(u16, DnsName)> = found
            .records()
            .iter()
            .filter_map(|record| match record {
                Record::Mx {
                    preference,
                    exchange,
                } => Some((*preference, exchange.clone())),
                _ => None,
            })
            .collect();
        hosts.sort();
        Ok(Exchanges {
            // RFC 7505 §3: a null MX is the only one; another one says the same.
            null: !hosts.is_empty() && hosts.iter().all(|(_, host)| host.is_root()),
            failure: found.failure(),
            at: found.aliases.last().cloned().unwrap_or(self.domain()),
            hosts,
        })
    }

    /// The servers to talk to: the MX hosts under each of their names, and that of `--smtp` where it is none of them.
    /// An MX record that leads to a private address would have this machine talk to a neighbour of its own, not to
    /// the domain's server: what is wrong with it the check of MX says.
    pub(super) fn servers(&self) -> Result<Vec<Server>, Pending> {
        // Asked for now, so that both are under way together.
        let own = self.own_addresses();
        let exchanges = self.exchanges()?;
        let mut hosts: Vec<DnsName> = Vec::new();
        if !exchanges.null {
            // RFC 5321 §5.1: without MX records the domain itself is its host.
            match exchanges.hosts.is_empty() && exchanges.failure.is_none() {
                true => hosts.push(self.domain()),
                false => hosts.extend(exchanges.hosts.into_iter().map(|(_, host)| host)),
            }
        }
        hosts.retain(|host| !host.is_root());
        hosts.truncate(MAX_ADDRESSES);
        let found: Vec<_> = hosts.iter().map(|host| self.addresses(host)).collect();
        let mut servers: Vec<Server> = Vec::new();
        for (name, addresses) in hosts.iter().zip(found) {
            for ip in addresses?.reachable() {
                let server = Server {
                    name: name.clone(),
                    address: SocketAddr::new(ip, SMTP),
                };
                if !servers.contains(&server) {
                    servers.push(server);
                }
            }
        }
        servers.truncate(MAX_ADDRESSES);
        if let Some((host, _)) = &self.options.smtp {
            for address in own? {
                if servers.iter().all(|server| server.address != address) {
                    servers.push(Server {
                        name: host.known_as(),
                        address,
                    });
                }
            }
        }
        Ok(servers)
    }

    /// Where the server of `--smtp` is.
    pub(super) fn own_addresses(&self) -> Result<Vec<SocketAddr>, Pending> {
        let Some((host, port)) = &self.options.smtp else {
            return Ok(Vec::new());
        };
        let addresses = host.addresses(self)?.list;
        let addresses = addresses.into_iter().take(MAX_ADDRESSES);
        Ok(addresses.map(|ip| SocketAddr::new(ip, *port)).collect())
    }
}

impl Facts<'_> {
    /// The addresses that the domain sends from: those that were named; or else those of the server that was named, as others see it; or
    /// else those of MX hosts that SPF lets send, where they are the domain's own or its own record names them. That the
    /// hosts of a provider pass by its record does not say that they send: they are those that take the mail. Nor does
    /// `mx`, which many write without a thought, where somebody else could send as well.
    pub(super) fn senders(&self) -> Result<Senders, Pending> {
        if !self.options.addresses.is_empty() {
            let mut list = self.options.addresses.clone();
            list.truncate(MAX_ADDRESSES);
            return Ok(Senders {
                list,
                failure: None,
            });
        }
        if let Some((host, _)) = &self.options.smtp {
            let addresses = host.addresses(self)?;
            let reachable: Vec<_> = addresses.reachable().take(MAX_ADDRESSES).collect();
            // An address within the own network is one to talk to; mail leaves from another.
            if !reachable.is_empty() || addresses.list.is_empty() {
                return Ok(Senders {
                    list: reachable,
                    failure: addresses.failure,
                });
            }
        }
        let servers = self.servers()?;
        let judged: Vec<_> = servers
            .iter()
            .map(|server| self.spf(server.address.ip()))
            .collect();
        let mut senders = Senders {
            list: Vec::new(),
            failure: None,
        };
        let by_mx = only_exchanges(self)?;
        for (server, outcome) in servers.iter().zip(judged) {
            let ip = server.address.ip();
            let outcome = outcome?;
            match outcome.result {
                SpfResult::Pass if senders.list.contains(&ip) => {}
                SpfResult::Pass if self.is_own(server)? || self.names(&outcome.reason, by_mx) => {
                    senders.list.push(ip);
                }
                SpfResult::TempError => {
                    let question = Question::new(self.domain(), RecordType::Txt);
                    senders.failure = Some((question, Cause::Timeout));
                }
                _ => {}
            }
        }
        Ok(senders)
    }

    /// What SPF says of an address that sends for the domain.
    fn spf(&self, address: IpAddr) -> Result<Outcome, Pending> {
        let domain = self.options.domain.as_ascii();
        let query = spf::Query::new(address, domain, format!("postmaster@{domain}"));
        spf::evaluate(self, &query)
    }

    /// Whether an address passes by a term of the domain's own record that names it, or its host; or `by_mx`.
    fn names(&self, reason: &Reason, by_mx: bool) -> bool {
        let Reason::Matched { term, domain } = reason else {
            return false;
        };
        let term = term.trim_start_matches('+');
        let name = term.split([':', '/']).next().unwrap_or_default();
        let direct: &[&str] = match by_mx {
            true => &["a", "mx", "ip4", "ip6"],
            false => &["a", "ip4", "ip6"],
        };
        domain.eq_ignore_ascii_case(self.options.domain.as_ascii())
            && direct.iter().any(|known| name.eq_ignore_ascii_case(known))
    }

    /// Whom SPF lets send, where that says why no address is known that the domain sends from: nobody; or only servers
    /// that others run, as all that take its mail.
    pub(super) fn excused(&self) -> Result<Option<Lets>, Pending> {
        let servers = self.servers();
        let lets = lets(self)?;
        if lets == Lets::Nobody {
            return Ok(Some(lets));
        }
        for server in &servers? {
            if self.is_own(server)? {
                return Ok(None);
            }
        }
        Ok((lets != Lets::Somebody).then_some(lets))
    }
}

/// The addresses that a domain sends from.
#[derive(Debug, Clone)]
pub(super) struct Senders {
    pub(super) list: Vec<IpAddr>,
    /// A question that got no answer, and why.
    pub(super) failure: Option<(Question, Cause)>,
}

/// The addresses of a host.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) list: Vec<IpAddr>,
    /// The names to which CNAMEs led.
    pub(super) aliases: Vec<DnsName>,
    /// Whether the name is there at all.
    pub(super) exists: bool,
    /// A question that got no answer, and why.
    pub(super) failure: Option<(Question, Cause)>,
}

impl Addresses {
    /// Those that can be reached from everywhere.
    pub(super) fn reachable(&self) -> impl Iterator<Item = IpAddr> {
        let list = self.list.iter().copied();
        list.filter(|address| unreachable(*address).is_none())
    }
}

/// The MX hosts of a domain.
#[derive(Debug, Clone)]
pub(super) struct Exchanges {
    /// By preference.
    pub(super) hosts: Vec<(u16, DnsName)>,
    /// The domain says that it takes no mail (RFC 7505).
    pub(super) null: bool,
    /// Where the records stand, or would: at the end of the CNAMEs.
    pub(super) at: DnsName,
    pub(super) failure: Option<Cause>,
}

impl Exchanges {
    /// Whether a null MX is among them.
    pub(super) fn has_null(&self) -> bool {
        self.hosts.iter().any(|(_, host)| host.is_root())
    }
}

impl Ask for Facts<'_> {
    fn ask(&self, question: &Question) -> Result<Found, Pending> {
        match self.get(Probe::Dns(question.clone()))? {
            Answered::Dns(found) => Ok(found),
            _ => Ok(Found::new(Said::Temporary(Cause::NotAsked))),
        }
    }
}
