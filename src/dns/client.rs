//! One name server asked by name: over UDP and TCP, with every flag of the answer seen; and dynamic updates.
//!
//! A resolver asks until somebody says something. Here the question is what this very server says, and how:
//! nothing is repeated elsewhere, a truncated answer is returned as one, and CNAMEs are not followed.

mod update;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use super::lookup::RecordType;
use super::wire::{wire_name_of, wire_type};

pub use update::{Change, TsigKey, TsigKeyError, UpdateError, find_zone, update};

/// How a question travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP with EDNS, so that answers of up to 1232 octets fit (RFC 6891).
    Udp,
    /// UDP without EDNS: what does not fit into 512 octets is truncated (RFC 1035 §4.2.1).
    PlainUdp,
    /// TCP.
    Tcp,
}

/// A question to one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name, absolute, with its final dot.
    pub name: String,
    /// The type of the records.
    pub kind: RecordType,
    /// Whether the server is to ask others (RD): yes for a resolver, no for an authoritative server.
    pub recursion: bool,
    /// Whether a resolver is to give what DNSSEC does not prove, too (CD).
    pub unchecked: bool,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Whether it knows, or why not.
    pub code: Code,
    /// AA: it speaks for the zone.
    pub authoritative: bool,
    /// TC: there is more than fitted.
    pub truncated: bool,
    /// AD: a resolver has validated it.
    pub authentic: bool,
    /// The records of the answer section.
    pub answers: Vec<Rr>,
    /// Those of the authority section.
    pub authority: Vec<Rr>,
}

/// The response codes that mean something here (RFC 1035 §4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// NOERROR
    NoError,
    /// NXDOMAIN
    NoName,
    /// SERVFAIL
    ServerFailure,
    /// REFUSED
    Refused,
    /// Another one, with its number.
    Other(u16),
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rr {
    /// Its owner, in lower case with the final dot.
    pub name: String,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// The strings of a TXT record.
    Txt(Vec<Vec<u8>>),
    /// The name that this one stands for.
    Cname(String),
    /// A name server.
    Ns(String),
    /// The start of a zone.
    Soa {
        /// The number of this version of the zone.
        serial: u32,
        /// How long it may be kept that something is not there, in seconds (RFC 2308 §4).
        minimum: u32,
    },
    /// An address.
    Address(IpAddr),
    /// Something else.
    Other,
}

/// Why a server gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Nothing came in time.
    Timeout,
    /// The port is closed.
    Closed,
    /// A router says that the host cannot be reached.
    Unreachable,
    /// An IPv6 address, and this machine has no way into IPv6; others may have one.
    NoIpv6,
    /// What came cannot be read, or answers another question.
    Garbled,
    /// The name cannot be asked for.
    Name,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Timeout => "no answer in time",
            Failure::Closed => "the port is closed",
            Failure::Unreachable => "the host cannot be reached",
            Failure::NoIpv6 => "there is no way into IPv6 from here",
            Failure::Garbled => "the answer cannot be understood",
            Failure::Name => "the name cannot be asked for",
        })
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::NoError => f.write_str("NOERROR"),
            Code::NoName => f.write_str("NXDOMAIN"),
            Code::ServerFailure => f.write_str("SERVFAIL"),
            Code::Refused => f.write_str("REFUSED"),
            Code::Other(number) => write!(f, "response code {number}"),
        }
    }
}

impl Code {
    fn read(code: ResponseCode) -> Code {
        match code {
            ResponseCode::NoError => Code::NoError,
            ResponseCode::NXDomain => Code::NoName,
            ResponseCode::ServFail => Code::ServerFailure,
            ResponseCode::Refused => Code::Refused,
            other => Code::Other(other.into()),
        }
    }
}

impl Rr {
    fn read(record: &Record) -> Rr {
        let data = match &record.data {
            RData::TXT(txt) => Data::Txt(txt.txt_data.iter().map(|s| s.to_vec()).collect()),
            RData::CNAME(target) => Data::Cname(text(&target.0)),
            RData::NS(server) => Data::Ns(text(&server.0)),
            RData::SOA(soa) => Data::Soa {
                serial: soa.serial,
                minimum: soa.minimum,
            },
            RData::A(address) => Data::Address(address.0.into()),
            RData::AAAA(address) => Data::Address(address.0.into()),
            _ => Data::Other,
        };
        Rr {
            name: text(&record.name),
            // RFC 2181 §8: with the highest bit set, a TTL is zero.
            ttl: i32::try_from(record.ttl).map_or(0, |_| record.ttl),
            data,
        }
    }
}

fn text(name: &Name) -> String {
    let mut name = name.to_lowercase();
    name.set_fqdn(true);
    name.to_ascii()
}

/// What fits through every network without fragments (DNS Flag Day 2020).
const UDP_PAYLOAD: u16 = 1232;
/// A question over UDP is sent again this often within its time.
const UDP_SENDINGS: u32 = 3;

/// Asks one server, over one transport.
///
/// ```no_run
/// use std::time::Duration;
/// use dkimkit::dns::client::{Question, Transport, ask};
/// use dkimkit::dns::lookup::RecordType;
/// # async fn example() {
/// let question = Question {
///     name: "mail._domainkey.example.com.".to_owned(),
///     kind: RecordType::Txt,
///     recursion: false,
///     unchecked: false,
/// };
/// let server = "192.0.2.53:53".parse().unwrap();
/// match ask(server, &question, Transport::Tcp, Duration::from_secs(5)).await {
///     Ok(reply) => println!("{} records, AA {}", reply.answers.len(), reply.authoritative),
///     Err(failure) => println!("{failure}"),
/// }
/// # }
/// ```
///
/// # Errors
/// [`Failure`]: the server gave no answer that can be read within `patience`.
///
/// # Panics
/// Outside a tokio runtime with I/O and time enabled.
pub async fn ask(
    server: SocketAddr,
    question: &Question,
    transport: Transport,
    patience: Duration,
) -> Result<Reply, Failure> {
    let edns = transport != Transport::PlainUdp;
    let reply = ask_once(server, question, transport, edns, patience).await?;
    // RFC 6891 §7: so speaks a server that does not know EDNS (FORMERR, NOTIMP, BADVERS).
    if edns && matches!(reply.code, Code::Other(1 | 4 | 16)) {
        return ask_once(server, question, transport, false, patience).await;
    }
    Ok(reply)
}

async fn ask_once(
    server: SocketAddr,
    question: &Question,
    transport: Transport,
    edns: bool,
    patience: Duration,
) -> Result<Reply, Failure> {
    let name = wire_name_of(&question.name).ok_or(Failure::Name)?;
    let mut message = Message::query();
    message.metadata.recursion_desired = question.recursion;
    // RFC 6840 §5.7: so one asks to be told of AD.
    message.metadata.authentic_data = question.recursion;
    message.metadata.checking_disabled = question.unchecked;
    message.add_query(Query::query(name, wire_type(question.kind)));
    if edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        message.set_edns(edns);
    }
    let bytes = message.to_vec().map_err(|_| Failure::Name)?;
    let answer = match transport {
        Transport::Tcp => over_tcp(server, &bytes, patience).await?,
        Transport::Udp | Transport::PlainUdp => {
            over_udp(server, &message, &bytes, patience).await?
        }
    };
    let answer = read_answer(&message, &answer).ok_or(Failure::Garbled)?;
    Ok(Reply {
        code: Code::read(answer.metadata.response_code),
        authoritative: answer.metadata.authoritative,
        truncated: answer.metadata.truncation,
        authentic: answer.metadata.authentic_data,
        answers: answer.answers.iter().map(Rr::read).collect(),
        authority: answer.authorities.iter().map(Rr::read).collect(),
    })
}

/// Reads an answer if it is one to this message.
fn read_answer(question: &Message, bytes: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let (asked, told) = (&question.metadata, &answer.metadata);
    let ours = told.id == asked.id
        && told.message_type == MessageType::Response
        && told.op_code == asked.op_code
        // RFC 2136 §3.8: the answer to an update may leave the zone section out, and old servers send an
        // error without anything behind the header.
        && (answer.queries == question.queries
            || answer.queries.is_empty()
                && (asked.op_code == OpCode::Update
                    || told.response_code != ResponseCode::NoError && answer.answers.is_empty()));
    ours.then_some(answer)
}

/// Sends over a socket that hears this server alone, from a port of the system's choice.
async fn over_udp(
    server: SocketAddr,
    question: &Message,
    bytes: &[u8],
    patience: Duration,
) -> Result<Vec<u8>, Failure> {
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).await.map_err(failure(server))?;
    socket.connect(server).await.map_err(failure(server))?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let end = Instant::now() + patience;
    let mut failed = Failure::Timeout;
    for sending in 1..=UDP_SENDINGS {
        socket.send(bytes).await.map_err(failure(server))?;
        let until = if sending == UDP_SENDINGS {
            end
        } else {
            Instant::now() + patience / UDP_SENDINGS
        };
        loop {
            match timeout_at(until.min(end), socket.recv(&mut buffer)).await {
                Err(_) => break,
                Ok(Err(error)) => return Err(failure(server)(error)),
                // A stray datagram, or a forged one: the right one may still come.
                Ok(Ok(len)) if read_answer(question, &buffer[..len]).is_none() => {
                    failed = Failure::Garbled;
                }
                Ok(Ok(len)) => return Ok(buffer[..len].to_vec()),
            }
        }
    }
    Err(failed)
}

async fn over_tcp(
    server: SocketAddr,
    bytes: &[u8],
    patience: Duration,
) -> Result<Vec<u8>, Failure> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let len = u16::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        stream
            .write_all(&[&len.to_be_bytes(), bytes].concat())
            .await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    match timeout(patience, exchange).await {
        Err(_) => Err(Failure::Timeout),
        Ok(answer) => answer.map_err(failure(server)),
    }
}

/// What an error of a connection means.
pub(crate) fn failure(server: SocketAddr) -> impl Fn(io::Error) -> Failure {
    move |error| match error.kind() {
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::Unsupported
            if server.is_ipv6() =>
        {
            Failure::NoIpv6
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Failure::Unreachable,
        io::ErrorKind::TimedOut => Failure::Timeout,
        io::ErrorKind::InvalidInput => Failure::Name,
        _ => Failure::Closed,
    }
}
