//! A connection on which lines go to and fro, with caps on all that the other side can send.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use super::{NoConnection, Reply, Talk};
use crate::dns::client::{self, Failure};

/// So long a line may be. RFC 5321 §4.5.3.1.5 says 512 octets, and there are servers that say more.
const MAX_LINE: usize = 4 << 10;
/// So much of the text of a line is kept.
const MAX_TEXT: usize = 512;
/// So many lines a reply may have.
const MAX_LINES: usize = 100;
/// So much a server may send on one connection.
const MAX_RECEIVED: usize = 256 << 10;
/// So many lines of a conversation are kept.
const MAX_LOG: usize = 400;

/// Connects.
///
/// # Errors
/// [`NoConnection`].
pub(super) async fn connect(address: SocketAddr, talk: &Talk) -> Result<TcpStream, NoConnection> {
    match timeout_at(talk.connected(), TcpStream::connect(address)).await {
        Err(_) => Err(NoConnection::NoTime),
        Ok(connected) => connected.map_err(|error| {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            match client::failure(address)(error) {
                Failure::NoIpv6 => NoConnection::NoIpv6,
                Failure::Unreachable => NoConnection::Unreachable,
                Failure::Timeout => NoConnection::NoTime,
                _ if refused => NoConnection::Refused,
                failure => NoConnection::Failed(failure.to_string()),
            }
        }),
    }
}

/// All that was said, up to a cap.
#[derive(Debug, Default)]
pub(super) struct Log(Vec<String>);

impl Log {
    pub(super) fn add(&mut self, line: impl Into<String>) {
        match self.0.len() {
            0..MAX_LOG => self.0.push(line.into()),
            MAX_LOG => self.0.push("* more was said".to_owned()),
            _ => {}
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.0
    }
}

/// The bytes below the lines.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection to a server.
pub(super) struct Line {
    stream: Stream,
    /// What was received and not read yet.
    buffer: Vec<u8>,
    received: usize,
}

/// What came in place of a reply.
pub(super) enum Mute {
    /// The connection has ended, or the time.
    Over(NoConnection),
    /// A line that is no reply.
    Garbage(String),
}

impl From<Mute> for NoConnection {
    fn from(mute: Mute) -> NoConnection {
        match mute {
            Mute::Over(trouble) => trouble,
            Mute::Garbage(_) => NoConnection::NotSmtp,
        }
    }
}

impl Line {
    pub(super) fn plain(stream: TcpStream) -> Line {
        Line {
            stream: Stream::Plain(stream),
            buffer: Vec::new(),
            received: 0,
        }
    }

    pub(super) fn secure(stream: TlsStream<TcpStream>) -> Line {
        Line {
            stream: Stream::Tls(Box::new(stream)),
            buffer: Vec::new(),
            received: 0,
        }
    }

    /// The connection itself, for a handshake on it; none where something has come that nobody asked for, or where
    /// there is TLS already.
    pub(super) fn into_plain(self) -> Option<TcpStream> {
        match self.stream {
            Stream::Plain(stream) if self.buffer.is_empty() => Some(stream),
            _ => None,
        }
    }

    /// Sends a command.
    pub(super) async fn send(
        &mut self,
        command: &str,
        until: Instant,
        log: &mut Log,
    ) -> Result<(), NoConnection> {
        // Names come from DNS: none of them makes two commands of one.
        if command.contains(|c: char| c.is_control()) {
            return Err(NoConnection::Failed("a name cannot be said".to_owned()));
        }
        log.add(format!("> {command}"));
        let line = format!("{command}\r\n");
        let sending = async {
            match &mut self.stream {
                Stream::Plain(stream) => stream.write_all(line.as_bytes()).await,
                Stream::Tls(stream) => {
                    stream.write_all(line.as_bytes()).await?;
                    stream.flush().await
                }
            }
        };
        match timeout_at(until, sending).await {
            Err(_) => Err(NoConnection::NoTime),
            Ok(sent) => sent.map_err(|_| NoConnection::Closed),
        }
    }

    /// Reads a reply of one or several lines (RFC 5321 §4.2.1).
    pub(super) async fn reply(&mut self, until: Instant, log: &mut Log) -> Result<Reply, Mute> {
        let mut lines = Vec::new();
        loop {
            let line = match timeout_at(until, self.line()).await {
                Err(_) => Err(Mute::Over(NoConnection::NoTime)),
                Ok(line) => line,
            };
            let line = line.inspect_err(|mute| match mute {
                Mute::Over(trouble) => log.add(format!("* {trouble}")),
                Mute::Garbage(line) => log.add(format!("< {line}")),
            })?;
            let text = String::from_utf8_lossy(&line[..line.len().min(MAX_TEXT)]).into_owned();
            log.add(format!("< {text}"));
            let Some((code, more)) = head(&line) else {
                return Err(Mute::Garbage(text));
            };
            // The head is ASCII.
            lines.push(text.get(4..).unwrap_or_default().to_owned());
            if !more {
                return Ok(Reply { code, lines });
            }
            if lines.len() == MAX_LINES {
                let trouble = format!("a reply has more than {MAX_LINES} lines");
                return Err(Mute::Over(NoConnection::Failed(trouble)));
            }
        }
    }

    /// The next line, without its end. A bare LF ends one, too.
    async fn line(&mut self) -> Result<Vec<u8>, Mute> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=searched + at).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            searched = self.buffer.len();
            if searched > MAX_LINE {
                let start = String::from_utf8_lossy(&self.buffer[..MAX_TEXT]).into_owned();
                return Err(Mute::Garbage(start));
            }
            if self.received > MAX_RECEIVED {
                let trouble = "the server does not stop talking".to_owned();
                return Err(Mute::Over(NoConnection::Failed(trouble)));
            }
            let mut chunk = [0; 2048];
            let read = match &mut self.stream {
                Stream::Plain(stream) => stream.read(&mut chunk).await,
                Stream::Tls(stream) => stream.read(&mut chunk).await,
            };
            match read {
                // What stands before the end without an end of line may be all that a server of another kind says.
                Ok(0) if !self.buffer.is_empty() => {
                    let start = &self.buffer[..searched.min(MAX_TEXT)];
                    return Err(Mute::Garbage(String::from_utf8_lossy(start).into_owned()));
                }
                Ok(0) | Err(_) => return Err(Mute::Over(NoConnection::Closed)),
                Ok(count) => {
                    self.received += count;
                    self.buffer.extend_from_slice(&chunk[..count]);
                }
            }
        }
    }

    /// Ends the connection.
    pub(super) async fn close(self, until: Instant) {
        let closing = async {
            match self.stream {
                Stream::Plain(mut stream) => stream.shutdown().await,
                Stream::Tls(mut stream) => stream.shutdown().await,
            }
        };
        let _ = timeout_at(until, closing).await;
    }
}

/// Reads the head of a line of a reply: the code, and whether more lines follow.
///
/// RFC 5321 §4.2 has codes from 200 to 559; servers say 571 as well. Behind the last one there may be nothing.
fn head(line: &[u8]) -> Option<(u16, bool)> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !matches!(digits, [b'2'..=b'5', second, third] if second.is_ascii_digit() && third.is_ascii_digit())
    {
        return None;
    }
    let code = digits
        .iter()
        .fold(0, |code, b| code * 10 + u16::from(b - b'0'));
    match rest.first() {
        None | Some(b' ' | b'\t') => Some((code, false)),
        Some(b'-') => Some((code, true)),
        Some(_) => None,
    }
}
