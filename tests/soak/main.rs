//! The milter for hours: mixed mail through many sessions, while keys rotate, name servers fail, and the milter
//! is restarted and killed.
//!
//!     cargo test --test soak                                           # 2,000 messages
//!     SOAK_MESSAGES=200000 cargo test --release --test soak            # SOAK_SEED=1 is another run
//!
//! Every message gets an answer, or is cut off by a kill and sent again as an MTA does; each signature that was
//! added verifies, and none is of a key that was retired before the last reload had ended; each verdict is the
//! one that the message was made for; and memory and open files stay as they were after the beginning. What
//! fails is printed with its number, the milter's log lines and the path of the message, and the directory is
//! kept. The last line says `N passed, N failed`; exits 0 if and only if nothing failed.

mod check;
mod conductor;
mod daemon;
mod mail;
#[path = "../../benches/common/messages.rs"]
mod messages;
#[path = "../../benches/milter/mta.rs"]
mod mta;
mod names;
#[path = "../../benches/milter/packets.rs"]
mod packets;
#[allow(dead_code)]
#[path = "../../benches/milter/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "../it/random.rs"]
mod random;

/// As the messages name what stands beside them.
mod common {
    pub(crate) use super::random;
}

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dkimkit::key::{KeyKind, SigningKey};
use dkimkit::record::KeyRecord;
use dkimkit::time::UnixTime;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use self::check::Keys;
use self::daemon::{Daemon, Endings};
use self::mail::{Case, Mail};
use self::mta::{Mta, Socket};
use self::names::Names;
use self::packets::Client;

/// SMTP sessions at a time.
const SESSIONS: usize = 20;
/// As long as an MTA waits before it tries again, here.
const AGAIN: Duration = Duration::from_millis(20);
/// So many times is a message sent at most, and so many failures are told of.
const TRIES: usize = 1000;
const TOLD: usize = 20;

fn main() -> ExitCode {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => default,
    };
    let messages = number("SOAK_MESSAGES", 2000).clamp(500, 10_000_000);
    let seed = number("SOAK_SEED", 20);
    let limit = Duration::from_secs(120) + Duration::from_millis(30) * messages as u32;
    let place = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let local = LocalSet::new();
    let soak = runtime.block_on(local.run_until(async {
        let soak = Soak::begin(place.path(), messages as usize, seed).await;
        if timeout(limit, soak.clone().go()).await.is_err() {
            soak.fail(&format!("not done after {} s", limit.as_secs()));
        }
        soak
    }));
    let failed = soak.tell();
    drop(soak);
    drop(local);
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("kept: {}", place.keep().display());
    ExitCode::FAILURE
}

/// What became of a message on its way.
enum Delivery {
    Answered,
    /// The milter was killed, or ended before it began: it is sent again.
    CutOff,
    Lost,
}

/// What all sessions share.
struct Soak {
    seed: u64,
    messages: usize,
    daemon: Daemon,
    names: Rc<Names>,
    keys: Keys,
    /// The key of all that others have signed.
    theirs: Arc<SigningKey>,
    begun: Cell<usize>,
    answered: Cell<usize>,
    lost: Cell<usize>,
    /// Messages that were sent again.
    again: Cell<usize>,
    /// By case and what came of it.
    counts: RefCell<BTreeMap<(&'static str, String), usize>>,
    passed: Cell<usize>,
    failed: Cell<usize>,
}

impl Soak {
    async fn begin(place: &std::path::Path, messages: usize, seed: u64) -> Rc<Soak> {
        let theirs = Arc::new(SigningKey::generate(KeyKind::Ed25519).expect("a key"));
        let other = SigningKey::generate(KeyKind::Ed25519).expect("a key");
        let record = |key: &SigningKey| {
            let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
            record.to_string().into_bytes()
        };
        let names = Rc::new(Names {
            record: record(&theirs),
            other: record(&other),
            outage: Cell::new(false),
            asked: Cell::new(0),
        });
        let server = names.clone().serve().await.expect("a name server");
        let config = format!(
            "listen = \"unix:{0}/milter.sock\"\nkeys = \"{0}/keys\"\nreload_every = \"0s\"\n\
             log_to = \"stderr\"\n[signing]\ntrusted_networks = [\"127.0.0.1\"]\n\
             [verifying]\nauthserv_id = \"mx.test\"\ndns_timeout = \"1s\"\nnameservers = [\"{server}\"]\n",
            place.display()
        );
        Rc::new(Soak {
            seed,
            messages,
            daemon: Daemon::new(place, config),
            names,
            keys: Keys::new(place),
            theirs,
            begun: Cell::default(),
            answered: Cell::default(),
            lost: Cell::default(),
            again: Cell::default(),
            counts: RefCell::default(),
            passed: Cell::default(),
            failed: Cell::default(),
        })
    }

    async fn go(self: Rc<Soak>) {
        if let Err(error) = self.first_key().await {
            return self.fail(&format!("the milter does not start: {error}"));
        }
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| spawn_local(self.clone().sessions()))
            .collect();
        let conductor = spawn_local(self.clone().conduct());
        for session in sessions {
            if let Err(error) = session.await {
                self.fail(&format!("the soak itself: {error}"));
            }
        }
        if let Err(error) = conductor.await {
            self.fail(&format!("the soak itself: {error}"));
        }
        let cut = self.again.get();
        let kills = self.daemon.endings().kills;
        println!("{kills} kills cut off {cut} messages, which were sent again");
        for ((case, word), count) in self.counts.borrow().iter() {
            println!("{count:>8} {case}: {word}");
        }
        println!("{:>8} questions to the name server", self.names.asked.get());
    }

    /// Sends message after message, in sessions of some, until there are no more.
    async fn sessions(self: Rc<Soak>) {
        let mut held = None;
        while let Some(mail) = held.take().or_else(|| self.next(None)) {
            // A milter that ends or is killed after this ends the session.
            let before = self.daemon.endings();
            let Some(mta) = self.open(mail.case == Case::Ours).await else {
                return;
            };
            held = self.session(mta, before, mail).await;
        }
    }

    /// A session; returns the message that was cut off.
    async fn session(&self, mut mta: Mta, before: Endings, first: Mail) -> Option<Mail> {
        let ours = first.case == Case::Ours;
        let mut left = 1 + first.number % 25;
        let mut mail = first;
        loop {
            match self.deliver(&mut mta, before, &mail).await {
                Delivery::Answered => {}
                Delivery::CutOff => return Some(mail),
                Delivery::Lost => return None,
            }
            left -= 1;
            if left == 0 {
                break;
            }
            match self.next(Some(ours)) {
                Some(next) => mail = next,
                None => break,
            }
        }
        // Whoever is killed then has lost nothing.
        let _ = mta.quit().await;
        None
    }

    fn next(&self, ours: Option<bool>) -> Option<Mail> {
        let number = self.begun.get();
        if number >= self.messages || self.failed.get() >= TOLD {
            return None;
        }
        self.begun.set(number + 1);
        let ours = ours.unwrap_or(number.is_multiple_of(2));
        Some(Mail::new(self.seed, number, ours, &self.theirs, now()))
    }

    async fn open(&self, ours: bool) -> Option<Mta> {
        let client = match ours {
            true => ("localhost", "127.0.0.1"),
            false => ("mail.good.test", "192.0.2.1"),
        };
        let client = Client {
            host: client.0.to_owned(),
            ip: client.1.to_owned(),
        };
        let socket = format!("unix:{}", self.daemon.socket().display());
        let socket = Socket::parse(&socket).expect("it is a path");
        for _ in 0..TRIES {
            let before = self.daemon.endings();
            match Mta::open(&socket, &client).await {
                Ok(mta) => return Some(mta),
                Err(_) if self.daemon.endings().came_after(before) => {
                    sleep(AGAIN).await;
                }
                Err(error) => {
                    self.fail(&format!(
                        "no connection, although nobody ended the milter: {error}"
                    ));
                    return None;
                }
            }
        }
        self.fail("no connection for a long time");
        None
    }

    /// Sends a message and looks at what came of it.
    async fn deliver(&self, mta: &mut Mta, before: Endings, mail: &Mail) -> Delivery {
        let began = Instant::now();
        let sure = self.keys.sure();
        let packets = packets::message(&mail.bytes, &mail.queue_id(), mta.steps());
        let answered = match mta.send(&packets).await {
            Ok(answered) => answered,
            Err(error) => {
                let now = self.daemon.endings();
                // At the end of the milter, what was begun is finished.
                let ended = now.came_after(before) && mta.heard() == 0;
                if ended || now.kills > before.kills {
                    self.again.set(self.again.get() + 1);
                    return Delivery::CutOff;
                }
                let problem = format!("no answer: {error}, after {} answers", mta.heard());
                self.fail_of(mail, &problem);
                self.lost.set(self.lost.get() + 1);
                return Delivery::Lost;
            }
        };
        self.answered.set(self.answered.get() + 1);
        match self.check(mail, &answered, began, sure.as_deref()) {
            Ok(word) => {
                self.passed.set(self.passed.get() + 1);
                let mut counts = self.counts.borrow_mut();
                *counts.entry((mail.case.name(), word)).or_default() += 1;
            }
            Err(problem) => self.fail_of(mail, &problem),
        }
        Delivery::Answered
    }

    fn fail_of(&self, mail: &Mail, problem: &str) {
        let path = self.daemon.place.join(format!("message-{}", mail.number));
        let _ = std::fs::write(&path, &mail.bytes);
        let log = self.daemon.log_of(&mail.queue_id());
        self.fail(&format!(
            "message {} ({}), seed {}, {}: {problem}\n  log: {log}",
            mail.number,
            mail.case.name(),
            self.seed,
            path.display(),
        ));
    }

    fn fail(&self, problem: &str) {
        self.failed.set(self.failed.get() + 1);
        if self.failed.get() <= TOLD {
            println!("FAILED: {problem}");
        }
    }

    /// What holds goes on; a condition of the run as a whole.
    fn holds(&self, what: &str, holds: bool) {
        match holds {
            true => self.passed.set(self.passed.get() + 1),
            false => self.fail(what),
        }
    }

    fn tell(&self) -> usize {
        let answered = self.answered.get();
        let all = format!("{answered} of {} messages were answered", self.messages);
        self.holds(&all, answered == self.messages);
        println!("{} passed, {} failed", self.passed.get(), self.failed.get());
        self.failed.get()
    }
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime(since.map_or(0, |since| since.as_secs()))
}
