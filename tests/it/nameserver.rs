//! A DNS server for tests on 127.0.0.1, over UDP and TCP at one port, that answers by a script and counts
//! what it was asked.

use std::collections::{HashMap, HashSet};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dkimkit::dns::lookup::{self, DnsName, Found, Question, Said};
use dkimkit::dns::{Cause, Zone};
use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, MX, NS, PTR, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Seconds.
pub(crate) const TXT_TTL: u32 = 300;
pub(crate) const CNAME_TTL: u32 = 60;

/// What the server does when it is asked for a name.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Each record as its strings.
    Txt {
        records: Vec<Vec<Vec<u8>>>,
        ttl: u32,
    },
    /// A CNAME, and nothing about its target.
    Cname(String),
    /// CNAMEs, each to the next name, and what is said about the last, in one answer.
    Chain(Vec<String>, Box<Reply>),
    /// A CNAME to a name that was never heard of.
    Endless,
    /// NXDOMAIN, with a SOA.
    NoName,
    /// NOERROR without a record, with a SOA.
    NoData,
    /// NOERROR without a record, with the name server of somebody else.
    Referral,
    /// This response code and nothing more.
    Code(ResponseCode),
    /// Nothing.
    Silence,
    /// The number of the question, and bytes that are no DNS message.
    Garbage,
    /// The connection is closed. Over UDP: silence.
    Close,
    /// The length of an answer, and no answer. Over UDP: silence.
    Stall,
    /// As over TCP; over UDP only that there is more.
    OverTcp(Box<Reply>),
    /// FORMERR to a question with EDNS.
    WithoutEdns(Box<Reply>),
    /// The right answer with the wrong number.
    WrongId(Box<Reply>),
    /// The right answer to another question.
    WrongQuestion(Box<Reply>),
    /// This with a wrong number, and to a wrong question; and then that.
    Forged(Box<Reply>, Box<Reply>),
    /// What a zone says.
    Found(Found),
    /// Not at once.
    Late(Duration, Box<Reply>),
}

impl Reply {
    /// One record, cut into strings of 255 octets.
    pub(crate) fn txt(text: impl AsRef<[u8]>) -> Reply {
        Reply::records(vec![
            text.as_ref().chunks(255).map(<[u8]>::to_vec).collect(),
        ])
    }

    pub(crate) fn records(records: Vec<Vec<Vec<u8>>>) -> Reply {
        Reply::Txt {
            records,
            ttl: TXT_TTL,
        }
    }

    pub(crate) fn over_tcp(self) -> Reply {
        Reply::OverTcp(Box::new(self))
    }

    pub(crate) fn late(self, wait: Duration) -> Reply {
        Reply::Late(wait, Box::new(self))
    }
}

/// What the server knows. Every other name does not exist.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    names: HashMap<String, Reply>,
    zone: Zone,
    tcp: bool,
}

impl Script {
    pub(crate) fn new() -> Script {
        Script {
            names: HashMap::new(),
            zone: Zone::default(),
            tcp: true,
        }
    }

    /// What a zone file says, or the JSON that [`Zone`] reads; a state TIMEOUT is silence.
    pub(crate) fn zone(text: &str) -> Script {
        Script::whole(Zone::parse(text).expect("the zone of a test can be read"))
    }

    /// All that a zone knows, of every type; a state TIMEOUT is silence.
    pub(crate) fn whole(zone: Zone) -> Script {
        Script {
            zone,
            ..Script::new()
        }
    }

    /// `name` is in lower case and ends with a dot; a first label `*` stands for any.
    pub(crate) fn on(mut self, name: impl AsRef<str>, reply: Reply) -> Script {
        self.names.insert(name.as_ref().to_owned(), reply);
        self
    }

    /// Nobody listens on the TCP port.
    pub(crate) fn without_tcp(mut self) -> Script {
        self.tcp = false;
        self
    }

    fn reply(&self, query: &Query) -> Reply {
        let name = query.name().to_lowercase().to_ascii();
        let above = name.split_once('.').map_or("", |(_, above)| above);
        let any = || self.names.get(&format!("*.{above}"));
        match self.names.get(&name).or_else(any) {
            Some(reply) => {
                assert_eq!(query.query_type(), RecordType::TXT);
                reply.clone()
            }
            None => self.found(query),
        }
    }

    /// What the zone says.
    fn found(&self, query: &Query) -> Reply {
        let labels: Vec<&[u8]> = query.name().iter().collect();
        let kind = lookup::RecordType::from_mnemonic(&query.query_type().to_string());
        let (Ok(name), Some(kind)) = (DnsName::new(&labels.join(&b'.')), kind) else {
            return Reply::NoName;
        };
        let found = self.zone.answer(&Question::new(name, kind));
        match found.failure() {
            None => Reply::Found(found),
            Some(Cause::Timeout) => Reply::Silence,
            Some(Cause::Refused) => Reply::Code(ResponseCode::Refused),
            Some(_) => Reply::Code(ResponseCode::ServFail),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// A running server. It stops when it is dropped.
pub(crate) struct NameServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    script: Script,
    /// The numbers of the questions.
    asked: Mutex<HashMap<(String, Transport), HashSet<u16>>>,
    /// How many names were invented.
    invented: AtomicUsize,
    stop: AtomicBool,
}

impl NameServer {
    pub(crate) fn start(script: Script) -> NameServer {
        let (udp, tcp) = bind();
        let addr = udp.local_addr().unwrap();
        let listener = script.tcp.then_some(tcp);
        let shared = Arc::new(Shared {
            script,
            asked: Mutex::default(),
            invented: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let mut threads = Vec::new();
        let own = shared.clone();
        threads.push(thread::spawn(move || own.serve_udp(&udp)));
        if let Some(listener) = listener {
            let own = shared.clone();
            threads.push(thread::spawn(move || own.serve_tcp(&listener)));
        }
        NameServer {
            addr,
            shared,
            threads,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How often it was asked for `name`, which is in lower case and ends with a dot. A question that is
    /// repeated because the datagram may be lost counts once.
    pub(crate) fn asked(&self, name: impl AsRef<str>, transport: Transport) -> usize {
        let asked = self.shared.asked.lock().unwrap();
        let key = (name.as_ref().to_owned(), transport);
        asked.get(&key).map_or(0, HashSet::len)
    }

    /// For how many names it was asked.
    pub(crate) fn names_asked(&self) -> usize {
        let asked = self.shared.asked.lock().unwrap();
        let names: HashSet<&String> = asked.keys().map(|(name, _)| name).collect();
        names.len()
    }

    /// How often it was asked, for whatever name.
    pub(crate) fn asked_in_all(&self) -> usize {
        {
            let asked = self.shared.asked.lock().unwrap();
            asked.values().map(HashSet::len).sum()
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Both threads wait for a word.
        let waker = UdpSocket::bind("127.0.0.1:0").unwrap();
        waker.send_to(b"", self.addr).unwrap();
        let _ = TcpStream::connect(self.addr);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("the name server did not panic");
            }
        }
    }
}

/// One port for both: where the other half of a free port is taken, another is tried.
fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

/// What is sent.
struct Out {
    wait: Duration,
    messages: Vec<Vec<u8>>,
    stall: bool,
    close: bool,
}

impl Out {
    fn nothing() -> Out {
        Out::messages(Vec::new())
    }

    fn messages(messages: Vec<Vec<u8>>) -> Out {
        Out {
            wait: Duration::ZERO,
            messages,
            stall: false,
            close: false,
        }
    }
}

impl Shared {
    fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let request = Message::from_vec(&buffer[..len]).unwrap();
            let out = self.out(&request, Transport::Udp);
            let socket = socket.try_clone().unwrap();
            let send = move || {
                for message in out.messages {
                    // The one who asked may be gone.
                    let _ = socket.send_to(&message, from);
                }
            };
            if out.wait.is_zero() {
                send();
            } else {
                thread::spawn(move || {
                    thread::sleep(out.wait);
                    send();
                });
            }
        }
    }

    fn serve_tcp(self: &Arc<Shared>, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let own = self.clone();
            thread::spawn(move || own.serve_connection(stream));
        }
    }

    fn serve_connection(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut request = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut request).ok()?;
            let out = self.out(&Message::from_vec(&request).unwrap(), Transport::Tcp);
            thread::sleep(out.wait);
            for message in out.messages {
                let length = u16::try_from(message.len()).unwrap().to_be_bytes();
                stream.write_all(&[&length[..], &message].concat()).ok()?;
            }
            if out.stall {
                stream.write_all(&[1, 0]).ok()?;
            }
            if out.close {
                return None;
            }
        }
    }

    fn out(&self, request: &Message, transport: Transport) -> Out {
        let [query] = &request.queries[..] else {
            panic!("a question has one name");
        };
        assert!(request.metadata.recursion_desired, "a resolver is asked");
        let name = query.name().to_lowercase().to_ascii();
        let reply = self.script.reply(query);
        let mut asked = self.asked.lock().unwrap();
        let numbers = asked.entry((name, transport)).or_default();
        numbers.insert(request.metadata.id);
        drop(asked);
        self.play(&reply, request, transport)
    }

    fn play(&self, reply: &Reply, request: &Message, transport: Transport) -> Out {
        let over_tcp = transport == Transport::Tcp;
        let id = request.metadata.id;
        match reply {
            Reply::Silence => Out::nothing(),
            Reply::Close => Out {
                close: true,
                ..Out::nothing()
            },
            Reply::Stall => Out {
                stall: true,
                ..Out::nothing()
            },
            Reply::Late(wait, reply) => Out {
                wait: *wait,
                ..self.play(reply, request, transport)
            },
            Reply::Garbage => Out::messages(vec![[&id.to_be_bytes()[..], &[0xff; 60]].concat()]),
            Reply::OverTcp(_) if !over_tcp => {
                let mut message = answer_to(request);
                message.metadata.truncation = true;
                Out::messages(vec![message.to_vec().unwrap()])
            }
            Reply::OverTcp(reply) => self.play(reply, request, transport),
            Reply::WithoutEdns(_) if request.edns.is_some() => {
                let message = self.message(&Reply::Code(ResponseCode::FormErr), request);
                Out::messages(vec![message.to_vec().unwrap()])
            }
            Reply::WithoutEdns(reply) => self.play(reply, request, transport),
            Reply::WrongId(reply) => {
                let mut message = self.message(reply, request);
                message.metadata.id = id.wrapping_add(1);
                Out::messages(vec![message.to_vec().unwrap()])
            }
            Reply::WrongQuestion(reply) => {
                let mut other = request.clone();
                other.queries = vec![Query::query(name("other.example."), RecordType::TXT)];
                self.play(reply, &other, transport)
            }
            Reply::Forged(evil, good) => {
                let evil = |wrong: fn(Box<Reply>) -> Reply| {
                    self.play(&wrong(evil.clone()), request, transport).messages
                };
                let good = self.play(good, request, transport).messages;
                Out::messages([evil(Reply::WrongId), evil(Reply::WrongQuestion), good].concat())
            }
            _ => {
                let bytes = self.message(reply, request).to_vec().unwrap();
                if !over_tcp && bytes.len() > request.max_payload().into() {
                    return self.play(&reply.clone().over_tcp(), request, transport);
                }
                Out::messages(vec![bytes])
            }
        }
    }

    /// The message that this reply comes to.
    fn message(&self, reply: &Reply, request: &Message) -> Message {
        let mut message = answer_to(request);
        let mut owner = request.queries[0].name().clone();
        let mut reply = reply;
        if let Reply::Chain(targets, then) = reply {
            for target in targets {
                message.add_answer(cname(&owner, &name(target)));
                owner = name(target);
            }
            reply = then;
        }
        match reply {
            Reply::Txt { records, ttl } => {
                for strings in records {
                    let txt = TXT::from_bytes(strings.iter().map(Vec::as_slice).collect());
                    message.add_answer(Record::from_rdata(owner.clone(), *ttl, RData::TXT(txt)));
                }
            }
            Reply::Cname(target) => {
                message.add_answer(cname(&owner, &name(target)));
            }
            Reply::Endless => {
                let number = self.invented.fetch_add(1, Ordering::SeqCst);
                let target = owner
                    .base_name()
                    .prepend_label(format!("x{number}"))
                    .unwrap();
                message.add_answer(cname(&owner, &target));
            }
            Reply::Found(found) => {
                for alias in &found.aliases {
                    let target = name_of(alias);
                    message.add_answer(cname(&owner, &target));
                    owner = target;
                }
                for record in found.records() {
                    let data = data_of(record);
                    message.add_answer(Record::from_rdata(owner.clone(), TXT_TTL, data));
                }
                match found.said {
                    Said::NoName => negative(&mut message, ResponseCode::NXDomain),
                    Said::NoData => negative(&mut message, ResponseCode::NoError),
                    _ => {}
                }
            }
            Reply::NoName => negative(&mut message, ResponseCode::NXDomain),
            Reply::NoData => negative(&mut message, ResponseCode::NoError),
            Reply::Referral => {
                let ns = RData::NS(NS(name("ns.elsewhere.example.")));
                message.add_authority(Record::from_rdata(name("example."), TXT_TTL, ns));
            }
            Reply::Code(code) => message.metadata.response_code = *code,
            other => panic!("{other:?} is not one message"),
        }
        message
    }
}

fn answer_to(request: &Message) -> Message {
    let mut message = Message::response(request.metadata.id, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.recursion_available = true;
    message.add_queries(request.queries.iter().cloned());
    if request.edns.is_some() {
        message.set_edns(Edns::new());
    }
    message
}

/// No record, with a SOA.
fn negative(message: &mut Message, code: ResponseCode) {
    message.metadata.response_code = code;
    let host = name("ns.example.");
    let soa = SOA::new(host.clone(), host, 1, 3600, 600, 86400, TXT_TTL);
    message.add_authority(Record::from_rdata(
        name("example."),
        TXT_TTL,
        RData::SOA(soa),
    ));
}

fn name_of(name: &DnsName) -> Name {
    Name::from_labels(name.labels()).unwrap()
}

fn data_of(record: &lookup::Record) -> RData {
    match record {
        lookup::Record::Address(IpAddr::V4(address)) => RData::A((*address).into()),
        lookup::Record::Address(IpAddr::V6(address)) => RData::AAAA((*address).into()),
        lookup::Record::Mx {
            preference,
            exchange,
        } => RData::MX(MX::new(*preference, name_of(exchange))),
        lookup::Record::Name(target) => RData::PTR(PTR(name_of(target))),
        lookup::Record::Text(text) if text.is_empty() => RData::TXT(TXT::from_bytes(vec![b""])),
        lookup::Record::Text(text) => RData::TXT(TXT::from_bytes(text.chunks(255).collect())),
        other => panic!("{other:?} is not served"),
    }
}

fn cname(owner: &Name, target: &Name) -> Record {
    let cname = RData::CNAME(CNAME(target.clone()));
    Record::from_rdata(owner.clone(), CNAME_TTL, cname)
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}
