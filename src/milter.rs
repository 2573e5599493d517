//! A milter: what an MTA (Postfix, Sendmail) asks about each message, and what it may be told.
//!
//! ```text
//! socket ─▶ wire: Frames ─▶ Command ─▶ session: what may come when ─▶ Event ─▶ service
//!        ◀─ wire: Reply ◀──────────────────── is an answer due? ◀───── Outcome, Answer
//! ```
//!
//! `wire` and `session` have no socket; `run` has the sockets, one task a connection, and nothing global.
//! [`opendkim`] reads the files of those who move.
//!
//! A message is either answered or left to the MTA, which keeps it and tries again
//! (`milter_default_action = tempfail` in Postfix).

pub mod config;
mod connection;
mod decide;
pub mod filter;
pub mod journal;
pub mod keyring;
mod lookups;
pub mod metrics;
pub mod opendkim;
mod pattern;
pub mod service;
pub mod session;
pub mod wire;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout_at};

use self::connection::{after, guarded, notify};
use self::service::{Notice, Service};

/// Where MTAs connect.
#[derive(Debug)]
pub enum Listener {
    /// Over TCP.
    Tcp(std::net::TcpListener),
    /// Over a Unix socket.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// What a milter does not go beyond. Times of any length are kept, [`Duration::MAX`] as 30 years.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many MTAs are served at the same time; more wait until one has gone. Zero is taken for 1.
    pub connections: usize,
    /// How long a packet may be. Sendmail and Postfix send pieces of 64 KiB of the body, but fields in
    /// one piece, which Postfix cuts at `header_size_limit`.
    pub packet: usize,
    /// How many octets the header of a message may have; then the service is asked through
    /// [`Service::overflow`].
    pub header_octets: usize,
    /// How many fields it may have.
    pub header_fields: usize,
    /// How many recipients a message may have.
    pub recipients: usize,
    /// How long an MTA that has connected may take to negotiate.
    pub greeting: Duration,
    /// How long an MTA may say nothing. It waits for its SMTP client meanwhile.
    pub idle: Duration,
    /// How long a packet may take that has begun.
    pub slow: Duration,
    /// How long an MTA may take to read an answer.
    pub write: Duration,
    /// How long the answer to a message may take before it is deferred.
    pub answer: Duration,
    /// After how much of that the MTA is told, again and again, that it goes on; 10 ms at least.
    pub progress: Duration,
    /// How long the messages under way may take once the end is asked for.
    pub shutdown: Duration,
}

impl Default for Limits {
    /// 500 connections, packets of 1 MiB, and times within those of Postfix and Sendmail.
    fn default() -> Limits {
        Limits {
            connections: 500,
            packet: 1024 * 1024,
            header_octets: 4 * 1024 * 1024,
            header_fields: 20_000,
            recipients: 100_000,
            greeting: Duration::from_secs(60),
            idle: Duration::from_secs(7210),
            slow: Duration::from_secs(60),
            write: Duration::from_secs(60),
            answer: Duration::from_secs(240),
            progress: Duration::from_secs(10),
            shutdown: Duration::from_secs(30),
        }
    }
}

/// How a milter ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ending {
    /// How many connections had a message under way when the time for that was over. Their MTAs got no
    /// answer, and keep it.
    pub abandoned: usize,
}

/// Serves MTAs until `shutdown` is ready.
///
/// Then no connection is accepted any more, those without a message under way are closed, and the others
/// when their message is answered, or after [`Limits::shutdown`].
///
/// ```no_run
/// # use dkimkit::milter::service::Service;
/// # async fn example(service: impl Service) -> std::io::Result<()> {
/// use std::sync::Arc;
/// use dkimkit::milter::{Limits, Listener, run};
/// let listener = Listener::Tcp(std::net::TcpListener::bind("127.0.0.1:8891")?);
/// let ending = run(listener, Arc::new(service), Limits::default(), std::future::pending()).await?;
/// assert_eq!(ending.abandoned, 0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The listener cannot be used; or, of the kind [`InvalidInput`](io::ErrorKind::InvalidInput), the macros of
/// [`Service::options`] cannot be asked for: [`Options::check`](session::Options::check).
///
/// # Panics
/// Outside a tokio runtime with I/O and time enabled.
pub async fn run<S: Service>(
    listener: Listener,
    service: Arc<S>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<Ending> {
    check(&*service)?;
    match listener {
        Listener::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let accept = async move || {
                let (stream, addr) = listener.accept().await?;
                prepare(&stream);
                let mta = SocketAddr::new(addr.ip().to_canonical(), addr.port());
                Ok((stream, mta.to_string()))
            };
            Ok(accept_all(accept, service, limits, shutdown).await)
        }
        #[cfg(unix)]
        Listener::Unix(listener) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            let accept = async move || Ok((listener.accept().await?.0, "unix".to_owned()));
            Ok(accept_all(accept, service, limits, shutdown).await)
        }
    }
}

/// What is wrong with the options is wrong for each connection: better it is found before the first.
fn check<S: Service>(service: &S) -> io::Result<()> {
    let options = guarded(|| service.options());
    let options = options.map_err(|text| io::Error::other(format!("options failed: {text}")))?;
    options
        .check()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// A connection that is silent for so long is probed, so that MTAs whose host is gone go away.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Where this fails, answers are late, or a connection that leads nowhere stays until it has been idle too long.
fn prepare(stream: &tokio::net::TcpStream) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Serves one MTA over a stream that is open already, until it says QUIT or closes.
///
/// ```no_run
/// # use dkimkit::milter::service::Service;
/// # async fn example(service: impl Service) {
/// let (ours, theirs) = tokio::io::duplex(65_536);
/// dkimkit::milter::serve(theirs, &service, &dkimkit::milter::Limits::default()).await;
/// # }
/// ```
pub async fn serve<S: Service, T: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: T,
    service: &S,
    limits: &Limits,
) {
    // The sender stays to the end, so that it is never time to close.
    let (_keep, closing) = watch::channel(false);
    connection::serve(stream, String::new(), service, limits, closing).await;
}

/// After an error, as when there are too many open files, so long nothing is accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

async fn accept_all<S: Service, T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    accept: impl AsyncFn() -> io::Result<(T, String)>,
    service: Arc<S>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Ending {
    let mut shutdown = pin!(shutdown);
    let permitted = limits.connections.clamp(1, Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(permitted));
    let limits = Arc::new(limits);
    let (close, closing) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, mta) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                notify(&*service, None, &Notice::Accept { error });
                tokio::select! {
                    () = &mut shutdown => break,
                    () = sleep(ACCEPT_AGAIN) => continue,
                }
            }
        };
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => {
                full = false;
                permit
            }
            Err(_) => {
                if !std::mem::replace(&mut full, true) {
                    let connections = permitted;
                    notify(&*service, None, &Notice::Full { connections });
                }
                let permit = tokio::select! {
                    () = &mut shutdown => break,
                    permit = permits.clone().acquire_owned() => permit,
                };
                // Nobody closes the semaphore.
                let Ok(permit) = permit else { break };
                permit
            }
        };
        let (service, limits) = (service.clone(), limits.clone());
        let closing = closing.clone();
        connections.spawn(async move {
            connection::serve(stream, mta, &*service, &limits, closing).await;
            drop(permit);
        });
    }
    drop(accept);
    let _ = close.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout_at(after(limits.shutdown), all).await.is_ok() {
        return Ending::default();
    }
    while connections.try_join_next().is_some() {}
    let abandoned = connections.len();
    connections.shutdown().await;
    Ending { abandoned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn connections_are_probed_and_answers_are_not_held_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        prepare(&stream);
        assert!(SockRef::from(&stream).keepalive().unwrap());
        assert!(stream.nodelay().unwrap());
    }
}
