//! A name server on 127.0.0.1, over UDP and TCP at one port, whose faults are those of the domain that it is
//! asked for: every selector of `late.test` is late. So what a message must come to is known beforehand,
//! whatever caches hold; and they do not hold it for long.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::spawn_local;
use tokio::time::sleep;

/// What the server has.
pub(crate) struct Names {
    /// The record of all keys.
    pub(crate) record: Vec<u8>,
    /// The record of a key that signed nothing.
    pub(crate) other: Vec<u8>,
    /// Whether `flaky.test` is out of order.
    pub(crate) outage: Cell<bool>,
    /// How many questions came.
    pub(crate) asked: Cell<usize>,
}

/// Seconds; short, so that records are asked for again and again.
const TTL: u32 = 3;
/// How late a late answer is.
const LATE: Duration = Duration::from_millis(150);
const NXDOMAIN: u8 = 3;
const SERVFAIL: u8 = 2;

impl Names {
    /// Starts it.
    pub(crate) async fn serve(self: Rc<Names>) -> io::Result<SocketAddr> {
        let (udp, tcp) = bind().await?;
        let address = udp.local_addr()?;
        spawn_local(self.clone().serve_udp(Rc::new(udp)));
        spawn_local(self.serve_tcp(tcp));
        Ok(address)
    }

    async fn serve_udp(self: Rc<Names>, socket: Rc<UdpSocket>) {
        let mut buffer = [0; 4096];
        loop {
            // An error tells of an answer that nobody took.
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                continue;
            };
            let query = buffer[..length].to_vec();
            let (names, socket) = (self.clone(), socket.clone());
            spawn_local(async move {
                for answer in names.answers(&query, true).await {
                    let _ = socket.send_to(&answer, from).await;
                }
            });
        }
    }

    async fn serve_tcp(self: Rc<Names>, listener: TcpListener) {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let names = self.clone();
                spawn_local(async move {
                    // Who asks may go away.
                    let _ = names.serve_stream(stream).await;
                });
            }
        }
    }

    async fn serve_stream(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let length = stream.read_u16().await?;
            let mut query = vec![0; length.into()];
            stream.read_exact(&mut query).await?;
            for answer in self.answers(&query, false).await {
                let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
                stream
                    .write_all(&[&length.to_be_bytes()[..], &answer].concat())
                    .await?;
            }
        }
    }

    async fn answers(&self, query: &[u8], over_udp: bool) -> Vec<Vec<u8>> {
        self.asked.set(self.asked.get() + 1);
        let Some(query) = Query::read(query) else {
            return Vec::new();
        };
        let good = query.records(&self.record);
        let fault = query.domain.as_str();
        match fault {
            "gone.test" => vec![query.code(NXDOMAIN)],
            "other.test" => vec![query.records(&self.other)],
            "broken.test" => vec![query.code(SERVFAIL)],
            "silent.test" => Vec::new(),
            "flaky.test" if self.outage.get() => match query.bytes[1] & 1 {
                0 => vec![query.code(SERVFAIL)],
                _ => Vec::new(),
            },
            "late.test" => {
                sleep(LATE).await;
                vec![good]
            }
            "long.test" if over_udp => vec![query.truncated()],
            // What a stranger would send, with a key that nobody has, before the right answer.
            "lies.test" if over_udp => {
                let mut lie = query.records(&self.other);
                lie[0] ^= 0x55;
                let mut elsewhere = query.records(&self.other);
                // Another name in the question.
                elsewhere[13] ^= 0x07;
                vec![lie, elsewhere, good]
            }
            "good.test" | "flaky.test" | "long.test" | "lies.test" => vec![good],
            _ => vec![query.code(NXDOMAIN)],
        }
    }
}

/// One port for both.
async fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr()?).await {
            return Ok((udp, tcp));
        }
    }
    Err(io::Error::other("no port is free for both UDP and TCP"))
}

/// A question for one name.
struct Query<'a> {
    bytes: &'a [u8],
    /// Where the question ends.
    end: usize,
    /// The last two labels of the name, in lower case.
    domain: String,
}

impl Query<'_> {
    fn read(bytes: &[u8]) -> Option<Query<'_>> {
        let mut labels = Vec::new();
        let mut at = 12;
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            let label = bytes.get(at..at + length)?;
            labels.push(String::from_utf8_lossy(label).to_lowercase());
            at += length;
        }
        // Its type and class.
        let end = at + 4;
        bytes.get(..end)?;
        let domain = labels[labels.len().saturating_sub(2)..].join(".");
        Some(Query { bytes, end, domain })
    }

    /// The head of an answer with the question: recursion there is, and nothing else.
    fn head(&self, flags: u8, code: u8, answers: u8) -> Vec<u8> {
        let mut out = self.bytes[..2].to_vec();
        out.extend([0x81 | flags, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
        out.extend(&self.bytes[12..self.end]);
        out
    }

    fn code(&self, code: u8) -> Vec<u8> {
        self.head(0, code, 0)
    }

    fn truncated(&self) -> Vec<u8> {
        self.head(0x02, 0, 0)
    }

    fn records(&self, text: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        for string in text.chunks(255) {
            data.push(string.len() as u8);
            data.extend(string);
        }
        let mut out = self.head(0, 0, 1);
        // The name of the question, TXT, IN.
        out.extend([0xc0, 12, 0, 16, 0, 1]);
        out.extend(TTL.to_be_bytes());
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
        out
    }
}
