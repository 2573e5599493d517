//! Lookups over the network, through hickory-resolver on tokio.
//!
//! Each name server is asked through hickory's own pool, which knows UDP, its repetitions, and TCP after
//! truncation. Which server is asked when, what an answer means and how long it is kept stands here:
//! hickory's `Resolver` takes an endless chain of CNAMEs for an empty answer, and lets the first server
//! that fails speak for the others.
//!
//! Against forged answers stand a random port and a random number for each question, and sockets that
//! hear one server alone. The case of names is not randomised: some servers do not give it back.

mod cache;
mod said;
mod sockets;
mod turns;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, ResolverOpts};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{PoolContext, TlsConfig};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use self::cache::Cache;
use self::turns::Lookup;
pub(super) use self::turns::pool;
use super::lookup::{self, Found, Known, Pending, Question};
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
    /// When all of several calls must be done.
    deadline: Option<Instant>,
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
        Resolver::new(system_servers()?, timeout)
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
        Resolver::with_nameservers(vec![server], timeout)
    }

    /// Asks these servers, in turns: whoever answered last is asked first.
    ///
    /// # Errors
    /// [`ResolverError`]: no server, port 0, or a timeout of zero.
    pub fn with_nameservers(
        servers: Vec<SocketAddr>,
        timeout: Duration,
    ) -> Result<Resolver, ResolverError> {
        Resolver::new(servers, timeout)
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
            deadline: None,
        })
    }

    /// This resolver for calls that have one deadline in common: whatever the timeout leaves, a name without an answer
    /// then gets [`Cause::Timeout`].
    #[must_use]
    pub fn until(&self, deadline: std::time::Instant) -> Resolver {
        Resolver {
            shared: self.shared.clone(),
            deadline: Some(Instant::from_std(deadline)),
        }
    }

    fn lookup(&self) -> Lookup {
        Lookup::new(self.shared.clone(), self.deadline)
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
        let known = self.shared.known(names);
        if known.iter().all(|(_, answer)| answer.is_some()) {
            return filled(known);
        }
        let mut nothing = Known::new(0);
        self.lookup_all_beside(names, &mut nothing, |_, _| Ok(()))
            .await
    }

    /// The same, and beside it what `judge` asks for, as in [`Resolver::settle`]: it is called each time that an answer comes,
    /// also one about a key, with those about keys that are there, and may ask for other things then.
    ///
    /// # Panics
    /// As [`Resolver::settle`].
    pub async fn lookup_all_beside(
        &self,
        names: &[KeyName],
        known: &mut Known,
        judge: impl Fn(&Known, &[(KeyName, Option<Answer>)]) -> Result<(), Pending>,
    ) -> Vec<(KeyName, Answer)> {
        let mut answers = self.shared.known(names);
        let missing: Vec<(usize, KeyName)> = answers
            .iter()
            .enumerate()
            .filter(|(_, (_, answer))| answer.is_none())
            .map(|(at, (name, _))| (at, name.clone()))
            .collect();
        let mut asking = Asking::new(self.lookup());
        let mut waiting = missing.into_iter();
        let mut running = JoinSet::new();
        loop {
            for (at, name) in waiting.by_ref().take(MAX_RUNNING - running.len()) {
                let lookup = asking.lookup.clone();
                running.spawn(async move { (at, lookup.answer(&name).await) });
            }
            known.start_over();
            let mut wanted = match judge(known, &answers) {
                Ok(()) => Vec::new(),
                Err(Pending) => known.wanted(),
            };
            if wanted.is_empty() && running.is_empty() {
                return filled(answers);
            }
            wanted.truncate(MAX_RUNNING);
            asking.turn_to(wanted);
            let (key, done) = poll_fn(|context| {
                let key = running.poll_join_next(context);
                let done = asking.tasks.poll_join_next_with_id(context);
                match (key, done) {
                    // One of them has no task, or none that is done.
                    (Poll::Pending | Poll::Ready(None), Poll::Pending | Poll::Ready(None)) => {
                        Poll::Pending
                    }
                    (key, done) => Poll::Ready((key, done)),
                }
            })
            .await;
            // Where it is an error, what the answer was made hickory panic.
            if let Poll::Ready(Some(Ok((at, answer)))) = key {
                answers[at].1 = Some(answer);
            }
            if let Poll::Ready(Some(done)) = done
                && let Some((question, found)) = asking.read(done)
            {
                known.tell(question, found);
            }
        }
    }

    /// Answers a question of whatever type; nothing of it is kept, since who asks keeps it.
    ///
    /// Without an answer when the timeout is over it is [`Cause::Timeout`].
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn find(&self, question: &Question) -> Found {
        self.lookup().find(question).await
    }

    /// Calls `judge` each time that an answer comes, until it has all that it needs; what it asks for meanwhile is
    /// asked at once, and waits for no other answer: who chose one of the names must not delay the rest by it.
    ///
    /// A question without an answer when the timeout is over gets [`Cause::Timeout`]. Of very many only 32 are under
    /// way at any time: those that `judge` asked for first when it was called last. One that it asks for no more, or
    /// only behind so many others, makes room for them, and begins anew when it has its turn again.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled, and where `judge` waits for nothing.
    pub async fn settle<T>(
        &self,
        known: &mut Known,
        judge: impl Fn(&Known) -> Result<T, Pending>,
    ) -> T {
        let mut asking = Asking::new(self.lookup());
        loop {
            known.start_over();
            if let Ok(result) = judge(known) {
                return result;
            }
            let mut wanted = known.wanted();
            wanted.truncate(MAX_RUNNING);
            asking.turn_to(wanted);
            for (question, found) in asking.answers().await {
                known.tell(question, found);
            }
        }
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

/// Questions that are under way.
struct Asking {
    lookup: Arc<Lookup>,
    tasks: JoinSet<Found>,
    /// Which task asks what. One that was given up is not here, though it may not have ended yet.
    questions: HashMap<Id, (Question, AbortHandle)>,
}

impl Asking {
    fn new(lookup: Lookup) -> Asking {
        Asking {
            lookup: Arc::new(lookup),
            tasks: JoinSet::new(),
            questions: HashMap::new(),
        }
    }

    /// Asks these, and gives up all others.
    fn turn_to(&mut self, wanted: Vec<Question>) {
        self.questions.retain(|_, (question, task)| {
            let stays = wanted.contains(question);
            if !stays {
                task.abort();
            }
            stays
        });
        for question in wanted {
            if !self.questions.values().any(|(one, _)| *one == question) {
                let (lookup, own) = (self.lookup.clone(), question.clone());
                let task = self.tasks.spawn(async move { lookup.find(&own).await });
                self.questions.insert(task.id(), (question, task));
            }
        }
    }

    /// Waits for an answer, and takes what else is there by then.
    async fn answers(&mut self) -> Vec<(Question, Found)> {
        let mut answers = Vec::new();
        while answers.is_empty() {
            let first = self.tasks.join_next_with_id().await;
            let first = first.expect("who waits has asked for something");
            let more = std::iter::from_fn(|| self.tasks.try_join_next_with_id());
            let done: Vec<_> = std::iter::once(first).chain(more).collect();
            answers.extend(done.into_iter().filter_map(|done| self.read(done)));
        }
        answers
    }

    /// What a task has found; nothing where it was given up.
    fn read(&mut self, done: Result<(Id, Found), JoinError>) -> Option<(Question, Found)> {
        let (id, found) = match done {
            Ok(done) => done,
            // It was given up, or what the answer was made hickory panic.
            Err(error) => (
                error.id(),
                Found::new(lookup::Said::Temporary(Cause::Network)),
            ),
        };
        let (question, _) = self.questions.remove(&id)?;
        Some((question, found))
    }
}

fn filled(answers: Vec<(KeyName, Option<Answer>)>) -> Vec<(KeyName, Answer)> {
    let fill = |(name, answer): (KeyName, Option<Answer>)| {
        (name, answer.unwrap_or(Answer::Temporary(Cause::Network)))
    };
    answers.into_iter().map(fill).collect()
}

/// Reads `ADDR`, `ADDR:PORT` or `[ADDR]:PORT`; the port is 53 unless it is given.
///
/// ```
/// use dkimkit::dns::system::read_server;
/// assert_eq!(read_server("192.0.2.53"), "192.0.2.53:53".parse().ok());
/// assert_eq!(read_server("2001:db8::53"), "[2001:db8::53]:53".parse().ok());
/// assert_eq!(read_server("ns1.example.com"), None);
/// ```
pub fn read_server(text: &str) -> Option<SocketAddr> {
    let port = ConnectionConfig::udp().port;
    let alone = || text.trim_matches(['[', ']']).parse().ok();
    text.parse()
        .ok()
        .or_else(|| Some(SocketAddr::new(alone()?, port)))
}

/// The servers of the system's configuration (`/etc/resolv.conf`), three at most.
///
/// # Errors
/// [`ResolverError::System`] where it cannot be read, [`ResolverError::NoServer`] where it names none.
pub fn system_servers() -> Result<Vec<SocketAddr>, ResolverError> {
    let (config, _) = read_system_conf().map_err(|error| ResolverError::System {
        error: error.to_string(),
    })?;
    let port = ConnectionConfig::udp().port;
    let servers = config.name_servers().iter().take(MAX_SERVERS);
    let servers: Vec<SocketAddr> = servers.map(|s| SocketAddr::new(s.ip, port)).collect();
    if servers.is_empty() {
        return Err(ResolverError::NoServer);
    }
    Ok(servers)
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, UdpSocket};
    use std::thread;

    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::rdata::TXT;
    use hickory_resolver::proto::rr::{RData, Record};

    use super::*;
    use crate::dns::lookup::Ask as _;
    use crate::name::{Domain, Selector};

    fn unbound() -> SocketAddr {
        UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    }

    /// A server that answers every question with `code`, and with a record where that is no failure.
    fn server(code: ResponseCode) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let mut message = Message::from_vec(&buffer[..len]).unwrap().into_response();
                message.metadata.response_code = code;
                if code == ResponseCode::NoError {
                    let txt = RData::TXT(TXT::from_bytes(vec![b"x"]));
                    let name = message.queries[0].name().clone();
                    message.add_answer(Record::from_rdata(name, 300, txt));
                }
                socket.send_to(&message.to_vec().unwrap(), from).unwrap();
            }
        });
        addr
    }

    /// A server whose answers need TCP, and that drops the first connection, as one that is loaded anew.
    fn beginning_anew() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        let listener = TcpListener::bind(addr).unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let mut message = Message::from_vec(&buffer[..len]).unwrap().into_response();
                message.metadata.truncation = true;
                socket.send_to(&message.to_vec().unwrap(), from).unwrap();
            }
        });
        thread::spawn(move || {
            drop(listener.accept());
            while let Ok((mut stream, _)) = listener.accept() {
                let mut len = [0; 2];
                stream.read_exact(&mut len).unwrap();
                let mut bytes = vec![0; usize::from(u16::from_be_bytes(len))];
                stream.read_exact(&mut bytes).unwrap();
                let mut message = Message::from_vec(&bytes).unwrap().into_response();
                let txt = RData::TXT(TXT::from_bytes(vec![b"x"]));
                let name = message.queries[0].name().clone();
                message.add_answer(Record::from_rdata(name, 300, txt));
                let bytes = message.to_vec().unwrap();
                let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                stream
                    .write_all(&[&len, bytes.as_slice()].concat())
                    .unwrap();
            }
        });
        addr
    }

    #[test]
    fn a_connection_that_breaks_is_made_once_more() {
        let answer = ask(&resolver(&[beginning_anew()]), "a");
        assert!(matches!(answer, Answer::Records { .. }), "{answer:?}");
    }

    fn resolver(servers: &[SocketAddr]) -> Resolver {
        Resolver::new(servers.to_vec(), Duration::from_secs(4)).unwrap()
    }

    fn ask(resolver: &Resolver, selector: &str) -> Answer {
        let domain = Domain::new("example.com").unwrap();
        let name = KeyName::new(&Selector::new(selector).unwrap(), &domain).unwrap();
        resolver.lookup_all_blocking(&[name]).remove(0).1
    }

    #[test]
    fn a_silent_server_leaves_time_for_the_next_and_then_comes_last() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let good = server(ResponseCode::NoError);
        let resolver = resolver(&[silent.local_addr().unwrap(), good]);
        let began = Instant::now();
        assert!(matches!(ask(&resolver, "a"), Answer::Records { .. }));
        assert!(began.elapsed() < Duration::from_secs(2));
        let began = Instant::now();
        assert!(matches!(ask(&resolver, "b"), Answer::Records { .. }));
        assert!(began.elapsed() < Duration::from_millis(900));
    }

    /// A server that has a text for every name but those below `silent`.
    fn half_silent() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let mut message = Message::from_vec(&buffer[..len]).unwrap().into_response();
                let name = message.queries[0].name().clone();
                if !name.to_string().contains("silent") {
                    let txt = RData::TXT(TXT::from_bytes(vec![b"x"]));
                    message.add_answer(Record::from_rdata(name, 300, txt));
                    socket.send_to(&message.to_vec().unwrap(), from).unwrap();
                }
            }
        });
        addr
    }

    /// What `judge` comes to, and whether that was long before the time is over.
    fn settled<T>(judge: impl Fn(&Known) -> Result<T, Pending>) -> (T, bool) {
        let resolver = resolver(&[half_silent()]);
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let judged = runtime.block_on(resolver.settle(&mut Known::new(500), judge));
        (judged, began.elapsed() < Duration::from_secs(2))
    }

    fn look(known: &Known, name: &str) -> Result<Found, Pending> {
        let name = lookup::DnsName::new(name.as_bytes()).unwrap();
        known.look(&name, lookup::RecordType::Txt)
    }

    fn announce_silent(known: &Known, count: usize) -> Result<Found, Pending> {
        let all = (0..count).map(|number| look(known, &format!("n{number}.silent.example")));
        all.fold(Err(Pending), Result::or)
    }

    #[test]
    fn what_nobody_wants_any_more_takes_no_turn() {
        let (found, soon) = settled(|known| {
            if look(known, "a.example").is_err() {
                return announce_silent(known, 2 * MAX_RUNNING);
            }
            look(known, "b.example")
        });
        assert_eq!(found.texts().next(), Some(b"x".as_slice()));
        assert!(soon);
    }

    #[test]
    fn what_is_asked_for_first_has_the_first_turn_also_when_it_is_wanted_later() {
        let (found, soon) = settled(|known| {
            // Some of these are silent, too: what an answer gives free is not enough for those behind it.
            let first = (0..8).try_fold(Err(Pending), |_, number| {
                let _ = look(known, &format!("own{number}.silent.example"));
                look(known, &format!("a{number}.example")).map(Ok)
            });
            let _ = announce_silent(known, 3 * MAX_RUNNING);
            first?
        });
        assert_eq!(found.texts().next(), Some(b"x".as_slice()));
        assert!(soon);
    }

    #[test]
    fn what_made_room_for_others_is_asked_for_again() {
        let found = settled(|known| {
            let first = look(known, "a.example").and_then(|_| look(known, "b.example"));
            let rest =
                (0..2 * MAX_RUNNING).map(|number| look(known, &format!("c{number}.example")));
            rest.fold(first, |done, one| done.and(one))
        });
        assert_eq!(found.0.texts().next(), Some(b"x".as_slice()));
        assert!(found.1);
    }

    #[test]
    fn several_calls_may_have_one_deadline() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let resolver = resolver(&[silent.local_addr().unwrap()]);
        let began = std::time::Instant::now();
        let hurried = resolver.until(began + Duration::from_millis(300));
        for selector in ["a", "b", "c"] {
            assert_eq!(ask(&hurried, selector), Answer::Temporary(Cause::Timeout));
        }
        assert!(began.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_server_that_fails_does_not_speak_for_the_others() {
        let good = server(ResponseCode::NoError);
        for bad in [
            server(ResponseCode::ServFail),
            server(ResponseCode::Refused),
            unbound(),
        ] {
            let resolver = resolver(&[bad, good]);
            let began = Instant::now();
            assert!(matches!(ask(&resolver, "a"), Answer::Records { .. }));
            assert!(began.elapsed() < Duration::from_millis(900));
        }
    }

    #[test]
    fn of_several_failures_the_one_that_tells_most_is_told() {
        let failing = server(ResponseCode::ServFail);
        for servers in [[failing, unbound()], [unbound(), failing]] {
            let answer = ask(&resolver(&servers), "a");
            assert_eq!(answer, Answer::Temporary(Cause::ServerFailure));
        }
        let error = Resolver::new(Vec::new(), Duration::MAX).unwrap_err();
        assert_eq!(error, ResolverError::NoServer);
    }
}
