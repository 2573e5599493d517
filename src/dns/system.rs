//! Lookups over the network, through hickory-resolver on tokio.
//!
//! Each name server is asked through hickory's own pool, which knows UDP, its repetitions, and TCP after
//! truncation. Which server is asked when, what an answer means and how long it is kept stands here:
//! hickory's `Resolver` takes an endless chain of CNAMEs for an empty answer, and lets the first server
//! that fails speak for the others.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Message, Query, ResponseCode,
};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Answer, Cause};
use crate::name::KeyName;

/// Asks name servers for the TXT records of keys.
///
/// Clones share what they remember: answers for as long as their TTL, failures for half a minute, and
/// which server answered last.
///
/// ```no_run
/// use std::time::Duration;
/// use dkimkit::dns::system::Resolver;
/// use dkimkit::name::{Domain, KeyName, Selector};
/// let name = KeyName::new(&Selector::new("mail")?, &Domain::new("example.com")?)?;
/// let resolver = Resolver::system(Duration::from_secs(5))?;
/// for (name, answer) in resolver.lookup_all_blocking(&[name]) {
///     println!("{name}: {answer:?}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    servers: Vec<SocketAddr>,
    /// Which of them answered last: it is asked first.
    first: AtomicUsize,
    timeout: Duration,
    context: Arc<PoolContext>,
    cache: Mutex<Cache>,
}

impl Resolver {
    /// Asks the servers of the system's configuration (`/etc/resolv.conf`), three at most; its search
    /// list, its other options and `/etc/hosts` play no part.
    ///
    /// `timeout` is for a whole call of [`Resolver::lookup_all`]; above an hour it is an hour.
    ///
    /// # Errors
    /// [`ResolverError`]: no configuration that can be read, no server in it, or a timeout of zero.
    pub fn system(timeout: Duration) -> Result<Resolver, ResolverError> {
        let (config, _) = read_system_conf().map_err(|error| ResolverError::System {
            error: error.to_string(),
        })?;
        let port = ConnectionConfig::udp().port;
        let servers = config.name_servers().iter().take(MAX_SERVERS);
        Resolver::new(
            servers.map(|s| SocketAddr::new(s.ip, port)).collect(),
            timeout,
        )
    }

    /// Asks this one server, over UDP, and over TCP where the answer was truncated (RFC 7766 §5).
    ///
    /// ```
    /// use std::time::Duration;
    /// use dkimkit::dns::system::Resolver;
    /// let server = "[2001:db8::53]:53".parse()?;
    /// let resolver = Resolver::with_nameserver(server, Duration::from_secs(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// `timeout` is for a whole call of [`Resolver::lookup_all`]; above an hour it is an hour.
    ///
    /// # Errors
    /// [`ResolverError`]: port 0, or a timeout of zero.
    pub fn with_nameserver(
        server: SocketAddr,
        timeout: Duration,
    ) -> Result<Resolver, ResolverError> {
        Resolver::new(vec![server], timeout)
    }

    fn new(servers: Vec<SocketAddr>, timeout: Duration) -> Result<Resolver, ResolverError> {
        if servers.is_empty() {
            return Err(ResolverError::NoServer);
        }
        if let Some(&server) = servers.iter().find(|server| server.port() == 0) {
            return Err(ResolverError::NoPort { server });
        }
        if timeout.is_zero() {
            return Err(ResolverError::NoTime);
        }
        let timeout = timeout.min(MAX_TIMEOUT);
        let mut options = ResolverOpts::default();
        options.timeout = timeout;
        options.max_active_requests = MAX_RUNNING;
        let tls = TlsConfig::new().map_err(|error| ResolverError::Setup {
            error: error.to_string(),
        })?;
        Ok(Resolver {
            shared: Arc::new(Shared {
                servers,
                first: AtomicUsize::new(0),
                timeout,
                context: Arc::new(PoolContext::new(options, tls)),
                cache: Mutex::default(),
            }),
        })
    }

    /// Looks up the TXT records of each name, all at once; each name once, in the order in which they
    /// come first.
    ///
    /// A name without an answer when the timeout is over gets [`Cause::Timeout`]. Of very many names only
    /// 32 are under way at any time, so that sockets do not run out.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled; see [`Resolver::lookup_all_blocking`].
    pub async fn lookup_all(&self, names: &[KeyName]) -> Vec<(KeyName, Answer)> {
        let mut answers = self.shared.known(names);
        let missing: Vec<(usize, KeyName)> = answers
            .iter()
            .enumerate()
            .filter(|(_, (_, answer))| answer.is_none())
            .map(|(at, (name, _))| (at, name.clone()))
            .collect();
        let lookup = Arc::new(Lookup::new(self.shared.clone()));
        let mut waiting = missing.into_iter();
        let mut running = JoinSet::new();
        loop {
            for (at, name) in waiting.by_ref().take(MAX_RUNNING - running.len()) {
                let lookup = lookup.clone();
                running.spawn(async move { (at, lookup.answer(&name).await) });
            }
            match running.join_next().await {
                None => break,
                Some(Ok((at, answer))) => answers[at].1 = Some(answer),
                // What the answer was made hickory panic.
                Some(Err(_)) => {}
            }
        }
        filled(answers)
    }

    /// The same for callers without a runtime: it starts one on the current thread.
    ///
    /// # Panics
    /// Within a runtime, which must not be blocked.
    pub fn lookup_all_blocking(&self, names: &[KeyName]) -> Vec<(KeyName, Answer)> {
        let known = self.shared.known(names);
        if known.iter().all(|(_, answer)| answer.is_some()) {
            return filled(known);
        }
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        match runtime.enable_io().enable_time().build() {
            Ok(runtime) => runtime.block_on(self.lookup_all(names)),
            Err(_) => filled(known),
        }
    }
}

fn filled(answers: Vec<(KeyName, Option<Answer>)>) -> Vec<(KeyName, Answer)> {
    let fill = |(name, answer): (KeyName, Option<Answer>)| {
        (name, answer.unwrap_or(Answer::Temporary(Cause::Network)))
    };
    answers.into_iter().map(fill).collect()
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("servers", &self.shared.servers)
            .field("timeout", &self.shared.timeout)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Each name once, with the answer that is remembered.
    fn known(&self, names: &[KeyName]) -> Vec<(KeyName, Option<Answer>)> {
        let cache = self.cache();
        let now = Instant::now();
        let mut seen = HashSet::new();
        names
            .iter()
            .filter(|name| seen.insert(*name))
            .map(|name| (name.clone(), cache.get(name, now)))
            .collect()
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many servers as the C library asks.
const MAX_SERVERS: usize = 3;
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
/// How many names are asked for at the same time.
const MAX_RUNNING: usize = 32;
/// As in a [`Zone`](super::Zone).
const MAX_CNAMES: usize = 8;
/// How many records of an answer are kept; RFC 6376 §3.6.2.2 allows one.
const MAX_RECORDS: usize = 32;

/// One call of `lookup_all`. Its sockets do not outlive it, and so belong to one runtime.
struct Lookup {
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
    pool: NameServerPool<Provider>,
}

impl Lookup {
    fn new(shared: Arc<Shared>) -> Lookup {
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
        Lookup {
            deadline: Instant::now() + shared.timeout,
            patience: shared.timeout / (2 * count as u32),
            attempts,
            shared,
        }
    }

    async fn answer(&self, name: &KeyName) -> Answer {
        let began = Instant::now();
        let (answer, keep) = match Name::from_ascii(name.as_str()) {
            Ok(name) => self.resolve(name).await,
            Err(_) => return Answer::Temporary(Cause::Network),
        };
        // What waited for its turn until there was hardly any time has not failed.
        let hurried = self.deadline - began < self.shared.timeout / 2;
        if !(hurried && matches!(answer, Answer::Temporary(_))) {
            let now = Instant::now();
            self.shared.cache().put(name.clone(), &answer, keep, now);
        }
        answer
    }

    /// The answer, and how long it may be kept.
    async fn resolve(&self, mut name: Name) -> (Answer, Duration) {
        let failed = |cause| (Answer::Temporary(cause), FAILURE_KEPT);
        let mut cnames = 0;
        let mut ttl = u32::MAX;
        loop {
            let query = Query::query(name, RecordType::TXT);
            match self.ask_in_turns(&query).await {
                Err(cause) => return failed(cause),
                Ok(Said::Nothing {
                    exists,
                    negative_ttl,
                }) => {
                    // RFC 2308 §5: what comes without a SOA is not kept.
                    let keep = negative_ttl.map_or(0, |negative| negative.min(ttl));
                    let answer = if exists {
                        Answer::NoData
                    } else {
                        Answer::NoName
                    };
                    return (answer, seconds(keep).min(NOTHING_KEPT));
                }
                Ok(Said::Alias {
                    target,
                    hops,
                    ttl: own,
                }) => {
                    cnames += hops;
                    ttl = ttl.min(own);
                    if cnames > MAX_CNAMES {
                        return failed(Cause::ServerFailure);
                    }
                    name = target;
                }
                Ok(Said::Txt {
                    txt,
                    hops,
                    ttl: own,
                }) => {
                    if cnames + hops > MAX_CNAMES {
                        return failed(Cause::ServerFailure);
                    }
                    let ttl = seconds(ttl.min(own));
                    let answer = Answer::Records {
                        txt,
                        ttl,
                        secure: None,
                    };
                    return (answer, ttl.min(RECORDS_KEPT));
                }
            }
        }
    }

    /// Asks one server after the other until one says something definite. One that keeps silent may still
    /// answer while the next is asked; one that failed is not asked again.
    async fn ask_in_turns(&self, query: &Query) -> Result<Said, Cause> {
        let mut attempts = self.attempts.iter();
        let mut running = JoinSet::new();
        let mut failed: Vec<usize> = Vec::new();
        let mut worst = Cause::Timeout;
        loop {
            let mut next = attempts.by_ref().filter(|a| !failed.contains(&a.server));
            let mut until = self.deadline;
            if let Some(attempt) = next.next() {
                let (attempt, query) = (attempt.clone(), query.clone());
                running.spawn(async move { (attempt.server, attempt.ask(&query).await) });
                until = until.min(Instant::now() + self.patience);
            }
            match timeout_at(until, running.join_next()).await {
                Ok(None) => return Err(worst),
                Ok(Some(Ok((server, Ok(said))))) => {
                    self.shared.first.store(server, Ordering::Relaxed);
                    return Ok(said);
                }
                Ok(Some(Ok((server, Err(cause))))) => {
                    failed.push(server);
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
    async fn ask(&self, query: &Query) -> Result<Said, Cause> {
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
        Said::read(query, result)
    }

    async fn send(&self, query: &Query, edns: bool) -> Result<DnsResponse, NetError> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = edns;
        let request = DnsRequest::from_query(query.clone(), options);
        self.pool.send(request).first_answer().await
    }
}

/// What an answer says about the name that was asked for.
enum Said {
    Txt {
        txt: Vec<Vec<u8>>,
        /// How many CNAMEs led there.
        hops: usize,
        /// The lowest on the way, in seconds.
        ttl: u32,
    },
    /// The name is another name for `target`, about which the answer says no more.
    Alias { target: Name, hops: usize, ttl: u32 },
    Nothing {
        exists: bool,
        /// In seconds.
        negative_ttl: Option<u32>,
    },
}

impl Said {
    fn read(query: &Query, result: Result<DnsResponse, NetError>) -> Result<Said, Cause> {
        let response = match result {
            Ok(response) => response,
            Err(NetError::Timeout) => return Err(Cause::Timeout),
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
                return Said::read_nothing(query, &nothing);
            }
            Err(NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused))) => {
                return Err(Cause::Refused);
            }
            Err(NetError::Dns(DnsError::ResponseCode(_))) => return Err(Cause::ServerFailure),
            Err(_) => return Err(Cause::Network),
        };
        // Over TCP, hickory compares the number of the question, and not the question.
        if response.queries != [query.clone()] {
            return Err(Cause::Network);
        }
        match response.metadata.response_code {
            ResponseCode::NoError => Said::read_answers(query, &response),
            // RFC 6604 §2.1: the code is about the last name of a chain.
            ResponseCode::NXDomain => {
                let chain = response.answers.iter().map(|record| record.ttl).min();
                let negative = response.negative_ttl();
                Ok(Said::Nothing {
                    exists: false,
                    negative_ttl: negative.map(|ttl| ttl.min(chain.unwrap_or(ttl))),
                })
            }
            _ => Err(Cause::ServerFailure),
        }
    }

    /// Follows the CNAMEs within the answer section, in whatever order they stand.
    fn read_answers(query: &Query, message: &Message) -> Result<Said, Cause> {
        let mut name = query.name();
        let mut hops = 0;
        let mut ttl = u32::MAX;
        loop {
            let own = message.answers.iter().filter(|record| record.name == *name);
            let mut txt = Vec::new();
            let mut target = None;
            for record in own {
                match &record.data {
                    RData::TXT(strings) if txt.len() < MAX_RECORDS => {
                        // RFC 6376 §3.6.2.2: the strings of a record are joined without anything between.
                        txt.push(strings.txt_data.concat());
                        ttl = ttl.min(record.ttl);
                    }
                    RData::CNAME(cname) => {
                        target = Some(&cname.0);
                        ttl = ttl.min(record.ttl);
                    }
                    _ => {}
                }
            }
            match target {
                _ if !txt.is_empty() => return Ok(Said::Txt { txt, hops, ttl }),
                Some(_) if hops == MAX_CNAMES => return Err(Cause::ServerFailure),
                Some(target) => {
                    hops += 1;
                    name = target;
                }
                None if hops > 0 => {
                    let target = name.clone();
                    return Ok(Said::Alias { target, hops, ttl });
                }
                None => {
                    return Ok(Said::Nothing {
                        exists: true,
                        negative_ttl: None,
                    });
                }
            }
        }
    }

    fn read_nothing(query: &Query, nothing: &NoRecords) -> Result<Said, Cause> {
        if *nothing.query != *query {
            return Err(Cause::Network);
        }
        let exists = match nothing.response_code {
            ResponseCode::NXDomain => false,
            // RFC 2308 §2.2: name servers without a SOA are a referral. This server does not resolve.
            ResponseCode::NoError if nothing.ns.is_some() && nothing.soa.is_none() => {
                return Err(Cause::ServerFailure);
            }
            ResponseCode::NoError => true,
            _ => return Err(Cause::ServerFailure),
        };
        Ok(Said::Nothing {
            exists,
            negative_ttl: nothing.negative_ttl,
        })
    }
}

fn pool(server: SocketAddr, context: &Arc<PoolContext>) -> NameServerPool<Provider> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let config = NameServerConfig::new(server.ip(), true, connections.into());
    let tokio = TokioRuntimeProvider::new();
    NameServerPool::from_config([config], context.clone(), Provider { tokio, server })
}

/// Tokio, with connected UDP sockets: a port where nobody listens is known at once, and not when the time
/// is over.
#[derive(Clone)]
struct Provider {
    tokio: TokioRuntimeProvider,
    /// With the zone of a link-local address, which hickory forgets.
    server: SocketAddr,
}

impl RuntimeProvider for Provider {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = ConnectedUdp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> TokioHandle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        _: SocketAddr,
        local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        self.tokio.connect_tcp(self.server, local, timeout)
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        _: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<ConnectedUdp>>>> {
        let server = self.server;
        Box::pin(async move {
            let socket = UdpSocket::bind(local).await?;
            socket.connect(server).await?;
            Ok(ConnectedUdp { socket, server })
        })
    }
}

type Received<'f> = Pin<Box<dyn Future<Output = io::Result<(usize, SocketAddr)>> + Send + 'f>>;

struct ConnectedUdp {
    socket: UdpSocket,
    server: SocketAddr,
}

impl DnsUdpSocket for ConnectedUdp {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        ready!(self.socket.poll_recv(cx, &mut buf))?;
        Poll::Ready(Ok((buf.filled().len(), self.server)))
    }

    /// Tokio's own reading is woken by a datagram alone, not by the word that nobody listens.
    fn recv_from<'s, 'b, 'f>(&'s self, buf: &'b mut [u8]) -> Received<'f>
    where
        's: 'f,
        'b: 'f,
    {
        Box::pin(async move {
            let either = Interest::READABLE | Interest::ERROR;
            let read = || match self.socket.take_error()? {
                Some(error) => Err(error),
                None => self.socket.try_recv(&mut *buf),
            };
            let len = self.socket.async_io(either, read).await?;
            Ok((len, self.server))
        })
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        _: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_send(cx, buf)
    }
}

/// What is remembered, by name.
#[derive(Default)]
struct Cache {
    answers: HashMap<KeyName, Kept>,
}

struct Kept {
    answer: Answer,
    since: Instant,
    until: Instant,
}

const RECORDS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// RFC 2308 §5: one to three hours are sensible.
const NOTHING_KEPT: Duration = Duration::from_secs(3600);
/// RFC 9520 §3.2: at least a second, at most five minutes.
const FAILURE_KEPT: Duration = Duration::from_secs(30);
/// Together these bound the memory to 16 MiB.
const MAX_KEPT: usize = 1024;
const MAX_KEPT_OCTETS: usize = 16 * 1024;

impl Cache {
    fn get(&self, name: &KeyName, now: Instant) -> Option<Answer> {
        let kept = self.answers.get(name).filter(|kept| now < kept.until)?;
        let mut answer = kept.answer.clone();
        if let Answer::Records { ttl, .. } = &mut answer {
            *ttl = ttl.saturating_sub(now - kept.since);
        }
        Some(answer)
    }

    fn put(&mut self, name: KeyName, answer: &Answer, keep: Duration, now: Instant) {
        let octets = match answer {
            Answer::Records { txt, .. } => txt.iter().map(Vec::len).sum(),
            _ => 0,
        };
        if keep.is_zero() || octets > MAX_KEPT_OCTETS {
            return;
        }
        if self.answers.len() >= MAX_KEPT {
            self.answers.retain(|_, kept| now < kept.until);
        }
        if self.answers.len() >= MAX_KEPT {
            self.answers.clear();
        }
        let kept = Kept {
            answer: answer.clone(),
            since: now,
            until: now + keep,
        };
        self.answers.insert(name, kept);
    }
}

/// Why there is no resolver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolverError {
    /// The system's configuration cannot be read, or names no server.
    #[error("the DNS configuration of the system cannot be used: {error}")]
    System {
        /// What the reader of it says.
        error: String,
    },
    /// There is no server to ask.
    #[error("there is no name server to ask")]
    NoServer,
    /// Port 0.
    #[error("the name server {server} needs a port other than 0")]
    NoPort {
        /// The server.
        server: SocketAddr,
    },
    /// A timeout of zero.
    #[error("a timeout of zero leaves no time for an answer")]
    NoTime,
    /// The DNS library refuses its own configuration.
    #[error("the resolver cannot be set up: {error}")]
    Setup {
        /// What it says.
        error: String,
    },
}
