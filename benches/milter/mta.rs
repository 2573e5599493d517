//! An MTA that hands messages to a milter, over a Unix socket or TCP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use dkimkit::milter::wire::{Frames, Modification, Reply, Steps};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::packets::{Client, Packets, offer, opening};

/// Where a milter listens: `unix:PATH` or `inet:PORT@ADDRESS`.
#[derive(Debug, Clone)]
pub(crate) enum Socket {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Socket {
    pub(crate) fn parse(text: &str) -> Option<Socket> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Some(Socket::Unix(path.into()));
        }
        let (port, host) = text.strip_prefix("inet:")?.split_once('@')?;
        let host: IpAddr = host.parse().ok()?;
        Some(Socket::Tcp(SocketAddr::new(host, port.parse().ok()?)))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What a milter answered to a message.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) modifications: Vec<Modification>,
    pub(crate) reply: Reply,
}

/// An SMTP session with a milter behind it.
pub(crate) struct Mta {
    stream: Box<dyn Stream>,
    frames: Frames,
    input: Vec<u8>,
    taken: usize,
    filled: usize,
    steps: Steps,
    /// What was not written yet, since nobody waits for an answer to it.
    pending: Vec<u8>,
    /// How many answers came to what was sent last.
    heard: usize,
}

/// As Postfix reads at once.
const CHUNK: usize = 4096;

impl Mta {
    /// Connects, negotiates, and tells of an SMTP client.
    pub(crate) async fn open(socket: &Socket, client: &Client) -> io::Result<Mta> {
        let stream: Box<dyn Stream> = match socket {
            Socket::Unix(path) => Box::new(UnixStream::connect(path).await?),
            // As Postfix does, without TCP_NODELAY.
            Socket::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        };
        let mut mta = Mta {
            stream,
            frames: Frames::new(1 << 20),
            input: vec![0; CHUNK],
            taken: 0,
            filled: 0,
            steps: Steps::NONE,
            pending: Vec::new(),
            heard: 0,
        };
        mta.stream.write_all(&offer()).await?;
        match mta.reply().await? {
            Reply::Negotiate(negotiation) => mta.steps = negotiation.steps,
            reply => return Err(unexpected(&reply)),
        }
        let opening = opening(client, mta.steps);
        match mta.send(&opening).await?.reply {
            Reply::Continue => Ok(mta),
            reply => Err(unexpected(&reply)),
        }
    }

    /// What was negotiated.
    pub(crate) fn steps(&self) -> Steps {
        self.steps
    }

    /// How many answers came to what was sent last: without one, a message was not begun.
    pub(crate) fn heard(&self) -> usize {
        self.heard
    }

    /// Sends packets until they end or are answered by more than that it goes on.
    pub(crate) async fn send(&mut self, packets: &Packets) -> io::Result<Answered> {
        let mut answered = Answered {
            modifications: Vec::new(),
            reply: Reply::Continue,
        };
        let mut skip = false;
        self.heard = 0;
        for piece in &packets.pieces {
            if piece.body && skip {
                continue;
            }
            if self.pending.is_empty() {
                self.stream.write_all(&piece.bytes).await?;
            } else {
                self.pending.extend_from_slice(&piece.bytes);
                self.stream.write_all(&self.pending).await?;
                self.pending.clear();
            }
            if !piece.answered {
                continue;
            }
            answered.reply = loop {
                match self.reply().await? {
                    Reply::Progress => {}
                    Reply::Modify(one) => answered.modifications.push(one),
                    reply => break reply,
                }
            };
            match answered.reply {
                Reply::Continue => {}
                Reply::Skip => skip = true,
                _ => break,
            }
        }
        self.pending.extend_from_slice(&packets.rest);
        Ok(answered)
    }

    /// The end, as the SMTP client says QUIT.
    pub(crate) async fn quit(mut self) -> io::Result<()> {
        let quit = dkimkit::milter::wire::Command::Quit;
        quit.encode(&mut self.pending).expect("it has no data");
        self.stream.write_all(&self.pending).await
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            let mut input = &self.input[self.taken..self.filled];
            let before = input.len();
            let frame = self.frames.next(&mut input).map_err(io::Error::other)?;
            self.taken += before - input.len();
            if let Some(frame) = frame {
                self.heard += 1;
                return Reply::parse(frame).map_err(io::Error::other);
            }
            self.taken = 0;
            self.filled = self.stream.read(&mut self.input).await?;
            if self.filled == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn unexpected(reply: &Reply) -> io::Error {
    io::Error::other(format!("the milter answered {reply:?}"))
}
