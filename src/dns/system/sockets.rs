//! The sockets over which a server is asked.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;

/// Tokio, with connected UDP sockets: a port where nobody listens is known at once, and not when the time
/// is over.
#[derive(Clone)]
pub(in crate::dns) struct Sockets {
    tokio: TokioRuntimeProvider,
    /// With the zone of a link-local address, which hickory forgets.
    server: SocketAddr,
}

impl Sockets {
    pub(super) fn to(server: SocketAddr) -> Sockets {
        let tokio = TokioRuntimeProvider::new();
        Sockets { tokio, server }
    }
}

impl RuntimeProvider for Sockets {
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

pub(in crate::dns) struct ConnectedUdp {
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
