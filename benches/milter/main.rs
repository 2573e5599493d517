//! `benches/milter/run` compares this program's milter with OpenDKIM's; this is the load that it puts on them.
//!
//!     milter socket=unix:PATH task=sign|verify [size=2k|100k] [connections=10] [seconds=2] [messages=N]
//!            [warmup=200] [session=20] [pid=PID] [keys=DIR]
//!
//! So many SMTP sessions at a time, one after the other, each with so many messages, go through a milter that
//! listens there, for so many seconds or up to so many messages. One line of JSON tells how long that took, and what the process PID needed for it. The work
//! is looked at: each message must get its DKIM-Signature, of which one in 64 is verified, or an
//! Authentication-Results with dkim=pass. Whoever calls it sees to it that the milter signs with
//! `keys/test.example/rsa2048.pem`, or finds its record as `rsa2048._domainkey.test.example`.

#[allow(dead_code)]
#[path = "../common/messages.rs"]
mod messages;
#[allow(dead_code)]
mod mta;
mod packets;
mod process;
#[allow(dead_code)]
#[path = "../../tests/it/random.rs"]
mod random;

/// As the messages name what stands beside them.
mod common {
    pub(crate) use super::random;
}

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use dkimkit::dns::Answer;
use dkimkit::key::SigningKey;
use dkimkit::milter::wire::{Modification, Reply};
use dkimkit::name::{Domain, Selector};
use dkimkit::policy::Policy;
use dkimkit::record::KeyRecord;
use dkimkit::report::{ResultWord, overall};
use dkimkit::sign::{SignOptions, SigningIdentity};
use dkimkit::time::UnixTime;
use dkimkit::verify::{PublishedKeys, verify_with};

use self::messages::Kind;
use self::mta::{Answered, Mta, Socket};
use self::packets::{Client, Packets};
use self::process::Usage;
use self::random::Random;

/// No run takes longer.
const LIMIT: Duration = Duration::from_secs(600);
/// One answer in so many is looked at in full.
const SAMPLE: usize = 64;

fn main() {
    let words: HashMap<String, String> = std::env::args()
        .filter_map(|a| a.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
        .collect();
    let Some(socket) = words.get("socket") else {
        println!("benches/milter/run starts milters, and this with a socket of theirs");
        return;
    };
    let plan = Plan::read(socket, &words);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let load = tokio::task::LocalSet::new();
    let line = runtime.block_on(load.run_until(async {
        let done = tokio::time::timeout(LIMIT, run(plan)).await;
        done.expect("a run has an end")
    }));
    println!("{line}");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Sign,
    Verify,
}

struct Plan {
    socket: Socket,
    task: Task,
    size: usize,
    different: usize,
    connections: usize,
    seconds: u64,
    messages: usize,
    warmup: usize,
    session: usize,
    pid: Option<u32>,
    keys: String,
}

impl Plan {
    fn read(socket: &str, words: &HashMap<String, String>) -> Plan {
        let word = |name: &str, default: &'static str| {
            words.get(name).map_or(default, String::as_str).to_owned()
        };
        let number = |name: &str, default: &'static str| -> usize {
            let value = word(name, default).parse();
            value.unwrap_or_else(|_| panic!("{name} is a number"))
        };
        let (size, different) = match word("size", "2k").as_str() {
            "2k" => (2 << 10, 256),
            "100k" => (100 << 10, 64),
            size => panic!("{size} is neither 2k nor 100k"),
        };
        Plan {
            socket: Socket::parse(socket).expect("unix:PATH or inet:PORT@ADDRESS"),
            task: match word("task", "sign").as_str() {
                "sign" => Task::Sign,
                "verify" => Task::Verify,
                task => panic!("{task} is neither sign nor verify"),
            },
            size,
            different,
            connections: number("connections", "10").clamp(1, 1000),
            seconds: number("seconds", "2").clamp(1, 300) as u64,
            messages: number("messages", "1000000").clamp(1, 1_000_000),
            warmup: number("warmup", "200"),
            session: number("session", "20").max(1),
            pid: words.get("pid").map(|p| p.parse().expect("a process id")),
            keys: word("keys", concat!(env!("CARGO_MANIFEST_DIR"), "/keys")),
        }
    }

    /// The trusted network of those who send, or somewhere.
    fn client(&self) -> Client {
        let (host, ip) = match self.task {
            Task::Sign => ("localhost", "127.0.0.1"),
            Task::Verify => ("mail.test.example", "192.0.2.1"),
        };
        Client {
            host: host.to_owned(),
            ip: ip.to_owned(),
        }
    }
}

async fn run(plan: Plan) -> String {
    let client = plan.client();
    let probe = Mta::open(&plan.socket, &client).await;
    let probe = probe.expect("the milter takes a connection");
    let steps = probe.steps();
    probe.quit().await.expect("it takes QUIT");
    let mail = Mail::new(&plan);
    let packets = mail.messages.iter().enumerate();
    let packets: Vec<Packets> = packets
        .map(|(at, message)| packets::message(message, &format!("4XyZ{at:06X}"), steps))
        .collect();
    let load = Rc::new(Load {
        client,
        mail,
        packets,
        next: Cell::new(0),
        until: Cell::new((plan.warmup, Instant::now() + LIMIT)),
        times: RefCell::default(),
        plan,
    });
    load.clone().go().await;
    load.times.borrow_mut().clear();
    load.next.set(0);
    let before = Usage::of(load.plan.pid);
    let own = Usage::of(Some(std::process::id()));
    let began = Instant::now();
    let end = began + Duration::from_secs(load.plan.seconds);
    load.until.set((load.plan.messages, end));
    load.clone().go().await;
    let elapsed = began.elapsed();
    let after = Usage::of(load.plan.pid);
    let own = Usage::of(Some(std::process::id())).cpu_since(&own);
    load.tell(elapsed, &before, &after, own)
}

/// What all sessions share.
struct Load {
    plan: Plan,
    client: Client,
    mail: Mail,
    packets: Vec<Packets>,
    /// How many messages were begun, and how many may be, and until when.
    next: Cell<usize>,
    until: Cell<(usize, Instant)>,
    /// From MAIL to the last answer.
    times: RefCell<Vec<Duration>>,
}

impl Load {
    async fn go(self: Rc<Load>) {
        let sessions: Vec<_> = (0..self.plan.connections)
            .map(|_| tokio::task::spawn_local(self.clone().sessions()))
            .collect();
        for session in sessions {
            session.await.expect("a session ends well");
        }
    }

    fn goes_on(&self) -> bool {
        let (count, end) = self.until.get();
        self.next.get() < count && Instant::now() < end
    }

    async fn sessions(self: Rc<Load>) {
        while self.goes_on() {
            let mta = Mta::open(&self.plan.socket, &self.client).await;
            let mut mta = mta.expect("the milter takes a connection");
            for _ in 0..self.plan.session {
                if !self.goes_on() {
                    break;
                }
                let number = self.next.replace(self.next.get() + 1);
                let at = number % self.packets.len();
                let began = Instant::now();
                let answered = mta.send(&self.packets[at]).await;
                self.times.borrow_mut().push(began.elapsed());
                let answered = answered.expect("the milter answers");
                self.mail
                    .look_at(at, &answered, number.is_multiple_of(SAMPLE));
            }
            mta.quit().await.expect("the milter takes QUIT");
        }
    }

    fn tell(&self, elapsed: Duration, before: &Usage, after: &Usage, own: Duration) -> String {
        let mut times = std::mem::take(&mut *self.times.borrow_mut());
        times.sort();
        let count = times.len();
        let at = |share: f64| {
            let index = (count as f64 * share).ceil() as usize;
            times[index.clamp(1, count) - 1].as_secs_f64() * 1e3
        };
        let each = |time: Duration| time.as_secs_f64() * 1e3 / count as f64;
        let mib = |kib: u64| kib as f64 / 1024.0;
        serde_json::json!({
            "messages": count,
            "seconds": elapsed.as_secs_f64(),
            "per_second": count as f64 / elapsed.as_secs_f64(),
            "p50_ms": at(0.50),
            "p99_ms": at(0.99),
            "max_ms": at(1.0),
            "cpu_ms": each(after.cpu_since(before)),
            "own_cpu_ms": each(own),
            "rss_mib": mib(after.rss),
            "peak_mib": mib(after.peak),
            "threads": after.threads,
            "files": after.files,
        })
        .to_string()
    }
}

/// The messages, and what must become of them.
struct Mail {
    task: Task,
    messages: Vec<Vec<u8>>,
    published: Arc<PublishedKeys>,
    policy: Arc<Policy>,
}

impl Mail {
    fn new(plan: &Plan) -> Mail {
        let pem = format!("{}/test.example/rsa2048.pem", plan.keys);
        let pem = std::fs::read(&pem).unwrap_or_else(|error| panic!("{pem}: {error}"));
        let key = Arc::new(SigningKey::read(&pem).expect("a test key"));
        let policy = Arc::new(Policy::default());
        let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
        let answer = Answer::Records {
            txt: vec![record.to_string().into_bytes()],
            ttl: LIMIT,
            secure: None,
        };
        let mut random = Random::new(20);
        let messages = (0..plan.different).map(|_| {
            let message = messages::message(&mut random, Kind::Text, plan.size);
            match plan.task {
                Task::Sign => message,
                Task::Verify => signed(&message, &key),
            }
        });
        Mail {
            task: plan.task,
            messages: messages.collect(),
            published: Arc::new(PublishedKeys::read(answer, &policy)),
            policy,
        }
    }

    fn look_at(&self, at: usize, answered: &Answered, closely: bool) {
        let passed = matches!(answered.reply, Reply::Accept | Reply::Continue);
        assert!(passed, "message {at}: {answered:?}");
        let wanted: &[u8] = match self.task {
            Task::Sign => b"DKIM-Signature",
            Task::Verify => b"Authentication-Results",
        };
        let mut values = answered.modifications.iter().filter_map(|one| match one {
            Modification::InsertHeader { name, value, .. }
            | Modification::AddHeader { name, value }
                if name.eq_ignore_ascii_case(wanted) =>
            {
                Some(value)
            }
            _ => None,
        });
        let value = values.next();
        let value = value.unwrap_or_else(|| panic!("message {at}: {answered:?}"));
        let good = match self.task {
            Task::Sign => !closely || self.verifies(at, value),
            Task::Verify => value.windows(9).any(|nine| nine == b"dkim=pass"),
        };
        assert!(good, "message {at}: {}", value.escape_ascii());
    }

    fn verifies(&self, at: usize, value: &[u8]) -> bool {
        let mut message = b"DKIM-Signature:".to_vec();
        if value.first() != Some(&b' ') {
            message.push(b' ');
        }
        for line in value.split_inclusive(|&b| b == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            message.extend(text.strip_suffix(b"\r").unwrap_or(text));
            message.extend(b"\r\n");
        }
        message.extend(&self.messages[at]);
        let keys = |_: &_| self.published.clone();
        let verdicts = verify_with(&message, keys, self.policy.clone(), now());
        verdicts.is_ok_and(|verdicts| overall(&verdicts) == ResultWord::Pass)
    }
}

fn signed(message: &[u8], key: &Arc<SigningKey>) -> Vec<u8> {
    let domain = Domain::new("test.example").expect("a domain");
    let selector = Selector::new("rsa2048").expect("a selector");
    let identity = SigningIdentity::new(domain, selector, key.clone());
    let fields = dkimkit::sign(message, vec![identity], &SignOptions::new(now()));
    let fields = fields.expect("a message can be signed");
    [fields[0].as_bytes(), b"\r\n", message].concat()
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime(since.map_or(0, |time| time.as_secs()))
}
