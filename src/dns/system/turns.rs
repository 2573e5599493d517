//! How one question is asked: of one server after the other, and along CNAMEs.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use hickory_resolver::net::xfer::{DnsHandle as _, FirstAnswer as _};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Query, ResponseCode,
};
use hickory_resolver::proto::rr::Name;
use hickory_resolver::{NameServerPool, PoolContext};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::cache::{FAILURE_KEPT, NOTHING_KEPT, RECORDS_KEPT};
use super::said::{MAX_CNAMES, Said};
use super::sockets::Sockets;
use crate::dns::lookup::{self, DnsName, Found, Question, RecordType};
use crate::dns::wire::{wire_name, wire_type};
use crate::dns::{Answer, Cause};
use crate::name::KeyName;

/// One call of `lookup_all`. Its sockets do not outlive it, and so belong to one runtime.
pub(super) struct Lookup {
    shared: Arc<Shared>,
    deadline: Instant,
    /// Each server twice, from the one that answered last, in turns.
    attempts: Vec<Attempt>,
    /// How long one of them is alone before the next joins in.
    patience: Duration,
}

/// A server, by its place in the list, with sockets of its own.
#[derive(Clone)]
struct Attempt {
    server: usize,
    pool: NameServerPool<Sockets>,
}

impl Lookup {
    pub(super) fn new(shared: Arc<Shared>, deadline: Option<Instant>) -> Lookup {
        let count = shared.servers.len();
        let first = shared.first.load(Ordering::Relaxed);
        let attempt = |at| {
            let server = (first + at) % count;
            Attempt {
                server,
                pool: pool(shared.servers[server], &shared.context),
            }
        };
        let attempts: Vec<Attempt> = (0..2 * count).map(attempt).collect();
        let now = Instant::now();
        let own = now + shared.timeout;
        let deadline = deadline.map_or(own, |deadline| deadline.min(own));
        Lookup {
            deadline,
            patience: (deadline - now) / (2 * count as u32),
            attempts,
            shared,
        }
    }

    pub(super) async fn answer(&self, name: &KeyName) -> Answer {
        let began = Instant::now();
        let (found, keep) = self.named(&DnsName::from(name), RecordType::Txt).await;
        let answer = Answer::from(found);
        // What waited for its turn until there was hardly any time has not failed.
        let hurried = self.deadline - began < self.shared.timeout / 2;
        if !(hurried && matches!(answer, Answer::Temporary(_))) {
            let now = Instant::now();
            self.shared.cache().put(name.clone(), &answer, keep, now);
        }
        answer
    }

    pub(super) async fn find(&self, question: &Question) -> Found {
        self.named(&question.name, question.kind).await.0
    }

    async fn named(&self, name: &DnsName, kind: RecordType) -> (Found, Duration) {
        match wire_name(name) {
            Some(name) => self.resolve(name, kind).await,
            // At what cannot be asked for nothing stands, at no other time either: who chose the name gets no doubt by it.
            None => (Found::new(lookup::Said::NoName), Duration::ZERO),
        }
    }

    /// The answer, and how long it may be kept.
    async fn resolve(&self, mut name: Name, kind: RecordType) -> (Found, Duration) {
        let mut aliases = Vec::new();
        let mut ttl = u32::MAX;
        let (said, ttl, keep) = loop {
            let failed = |cause| {
                let said = lookup::Said::Temporary(cause);
                (said, Duration::ZERO, FAILURE_KEPT)
            };
            let query = Query::query(name, wire_type(kind));
            match self.ask_in_turns(&query, kind).await {
                Err(cause) => break failed(cause),
                Ok(Said::Nothing {
                    exists,
                    negative_ttl,
                    aliases: more,
                }) => {
                    aliases.extend(more);
                    // RFC 2308 §5: what comes without a SOA is not kept.
                    let keep = negative_ttl.map_or(0, |negative| negative.min(ttl));
                    let said = if exists {
                        lookup::Said::NoData
                    } else {
                        lookup::Said::NoName
                    };
                    break (said, Duration::ZERO, seconds(keep).min(NOTHING_KEPT));
                }
                Ok(Said::Alias {
                    target,
                    aliases: more,
                    ttl: own,
                }) => {
                    aliases.extend(more);
                    ttl = ttl.min(own);
                    if aliases.len() > MAX_CNAMES {
                        break failed(Cause::ServerFailure);
                    }
                    name = target;
                }
                Ok(Said::Records {
                    records,
                    aliases: more,
                    ttl: own,
                }) => {
                    aliases.extend(more);
                    if aliases.len() > MAX_CNAMES {
                        break failed(Cause::ServerFailure);
                    }
                    let ttl = seconds(ttl.min(own));
                    break (lookup::Said::Records(records), ttl, ttl.min(RECORDS_KEPT));
                }
            }
        };
        let found = Found { said, aliases, ttl };
        (found, keep)
    }

    /// Asks one server after the other until one says something definite. One that keeps silent may still
    /// answer while the next is asked; one that failed is not asked again, unless a connection broke, as it
    /// does when a server begins anew.
    async fn ask_in_turns(&self, query: &Query, kind: RecordType) -> Result<Said, Cause> {
        let mut attempts = self.attempts.iter();
        let mut running = JoinSet::new();
        let mut failed: Vec<usize> = Vec::new();
        let mut broken: HashSet<usize> = HashSet::new();
        let mut worst = Cause::Timeout;
        if Instant::now() >= self.deadline {
            return Err(worst);
        }
        loop {
            let mut next = attempts.by_ref().filter(|a| !failed.contains(&a.server));
            let mut until = self.deadline;
            if let Some(attempt) = next.next() {
                let (attempt, query) = (attempt.clone(), query.clone());
                running.spawn(async move { (attempt.server, attempt.ask(&query, kind).await) });
                until = until.min(Instant::now() + self.patience);
            }
            match timeout_at(until, running.join_next()).await {
                Ok(None) => return Err(worst),
                Ok(Some(Ok((server, Ok(said))))) => {
                    self.shared.first.store(server, Ordering::Relaxed);
                    return Ok(said);
                }
                Ok(Some(Ok((server, Err(cause))))) => {
                    if cause != Cause::Network || !broken.insert(server) {
                        failed.push(server);
                    }
                    worst = telling(worst, cause);
                }
                Ok(Some(Err(_))) => worst = telling(worst, Cause::Network),
                Err(_) if Instant::now() >= self.deadline => return Err(worst),
                Err(_) => {}
            }
        }
    }
}

/// Of two failures, the one that tells more.
fn telling(known: Cause, new: Cause) -> Cause {
    match (known, new) {
        (Cause::Timeout | Cause::NotAsked, new) => new,
        (Cause::Network, Cause::ServerFailure | Cause::Refused) => new,
        _ => known,
    }
}

/// RFC 2181 §8: with the highest bit set, a TTL is zero.
fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(i32::try_from(ttl).map_or(0, |_| ttl.into()))
}

impl Attempt {
    async fn ask(&self, query: &Query, kind: RecordType) -> Result<Said, Cause> {
        let code = |result: &Result<_, NetError>| match result {
            Err(NetError::Dns(DnsError::ResponseCode(code))) => Some(*code),
            _ => None,
        };
        let mut result = self.send(query, true).await;
        // RFC 6891 §7: so speaks a server that does not know EDNS.
        if let Some(ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS) =
            code(&result)
        {
            result = self.send(query, false).await;
        }
        Said::read(query, kind, result)
    }

    async fn send(&self, query: &Query, edns: bool) -> Result<DnsResponse, NetError> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = edns;
        let request = DnsRequest::from_query(query.clone(), options);
        self.pool.send(request).first_answer().await
    }
}

/// Asks one server, over UDP and TCP.
pub(in crate::dns) fn pool(
    server: SocketAddr,
    context: &Arc<PoolContext>,
) -> NameServerPool<Sockets> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let config = NameServerConfig::new(server.ip(), true, connections.into());
    NameServerPool::from_config([config], context.clone(), Sockets::to(server))
}
