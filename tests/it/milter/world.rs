//! A filter with keys, a name server and a log, and an MTA that hands mail to it.

use std::sync::{Arc, Mutex};

use dkimkit::dns::Zone;
use dkimkit::key::{KeyKind, SigningKey};
use dkimkit::keystore::{KeyState, KeyStore, Placing};
use dkimkit::message::HeaderLimits;
use dkimkit::milter::config::Config;
use dkimkit::milter::filter::Filter;
use dkimkit::milter::journal::{Entry, Journal};
use dkimkit::milter::keyring::Keyring;
use dkimkit::milter::wire::{
    Actions, Command, Frames, Modification, Negotiation, Peer, Reply, Steps, Strings,
};
use dkimkit::milter::{Limits, serve};
use dkimkit::name::{Domain, Selector};
use dkimkit::record::KeyRecord;
use dkimkit::report::{ResultWord, overall};
use dkimkit::time::UnixTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::nameserver::{NameServer, Script};

pub(super) const NOW: UnixTime = UnixTime(1_800_000_000);

/// Keeps what is told.
#[derive(Default)]
struct Log(Mutex<Vec<Entry>>);

impl Journal for Log {
    fn write(&self, entry: &Entry) {
        self.0.lock().unwrap().push(entry.clone());
    }
}

pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) filter: Arc<Filter>,
    pub(super) server: NameServer,
    config: String,
    log: Arc<Log>,
}

/// Who hands the message in.
#[derive(Clone, Copy, Default)]
pub(super) struct Client<'a> {
    pub(super) ip: &'a str,
    pub(super) name: &'a str,
    pub(super) login: &'a str,
    pub(super) macros: &'a [(&'a str, &'a str)],
}

/// Somebody who has logged in.
pub(super) const ANNA: Client<'static> = Client {
    ip: "192.0.2.9",
    name: "",
    login: "anna",
    macros: &[],
};
/// A stranger.
pub(super) const STRANGER: Client<'static> = Client { login: "", ..ANNA };
/// Something on the same machine.
pub(super) const LOCAL: Client<'static> = Client {
    ip: "127.0.0.1",
    name: "localhost",
    ..STRANGER
};

/// What became of a message.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) reply: Reply,
    pub(super) inserted: Vec<String>,
    pub(super) deleted: Vec<(String, u32)>,
    pub(super) quarantine: bool,
    pub(super) entry: Entry,
    /// The message as it leaves.
    pub(super) message: Vec<u8>,
}

impl Done {
    pub(super) fn get(&self, name: &str) -> &str {
        self.entry.get(name).unwrap_or("-")
    }

    /// What happened, in two words.
    pub(super) fn told(&self) -> String {
        let detail = ["selector", "dkim", "reason"];
        let detail = detail.into_iter().find_map(|name| self.entry.get(name));
        format!("{} {}", self.get("event"), detail.unwrap_or("-"))
    }
}

impl World {
    /// A world with the keys `a` of example.com and `b` of example.net, and this configuration.
    pub(super) fn new(config: &str) -> World {
        World::with_names(config, |script| script)
    }

    /// The same, where the name server knows more.
    pub(super) fn with_names(config: &str, more: impl FnOnce(Script) -> Script) -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::new(dir.path().join("keys"));
        add(&store, "example.com", "a", true);
        add(&store, "example.net", "b", true);
        let server = NameServer::start(more(Script::zone(&text_of(&store))));
        let log = Arc::new(Log::default());
        let config = config.replace("NS", &format!("{:?}", server.addr().to_string()));
        let read = parse(&config, &dir);
        let keyring = Keyring::load(&read, &Keyring::default());
        let filter = Filter::new(read, keyring, "mx.example.org", log.clone(), || NOW).unwrap();
        World {
            dir,
            filter: Arc::new(filter),
            server,
            config,
            log,
        }
    }

    pub(super) fn store(&self) -> KeyStore {
        KeyStore::new(self.dir.path().join("keys"))
    }

    /// Loads keys anew, as after a change of the store.
    pub(super) fn reload(&self) {
        let config = parse(&self.config, &self.dir);
        let keyring = Keyring::load(&config, self.filter.live().keyring());
        self.filter.replace(config, keyring).unwrap();
    }

    pub(super) fn state(&self, domain: &str, selector: &str, state: KeyState) {
        let (domain, selector) = (domain.parse().unwrap(), selector.parse().unwrap());
        self.store()
            .set_state(&domain, &selector, state, NOW)
            .unwrap();
    }

    pub(super) fn add(&self, domain: &str, selector: &str, active: bool) {
        add(&self.store(), domain, selector, active);
    }

    /// Verifies what left against the keys of the store.
    pub(super) fn verdict(&self, done: &Done) -> ResultWord {
        let (zone, _): (Zone, _) = self.store().zone().unwrap();
        let policy = dkimkit::policy::Policy::default();
        overall(&dkimkit::verify(&done.message, &zone, &policy, NOW).unwrap())
    }

    pub(super) fn mail(&self, client: Client<'_>, message: &str) -> Done {
        self.mail_meanwhile(client, message.as_bytes(), || {})
    }

    /// Hands a message in; `meanwhile` happens when all but its end was said.
    pub(super) fn mail_meanwhile(
        &self,
        client: Client<'_>,
        message: &[u8],
        meanwhile: impl FnOnce(),
    ) -> Done {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let packets = packets(client, message);
        let talk = async {
            let (mut input, mut output) = tokio::io::split(ours);
            for packet in &packets {
                output.write_all(packet).await.unwrap();
            }
            output.flush().await.unwrap();
            // All of it is taken before the end comes.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            meanwhile();
            let mut end = Vec::new();
            Command::EndOfMessage(b"").encode(&mut end).unwrap();
            Command::Quit.encode(&mut end).unwrap();
            output.write_all(&end).await.unwrap();
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).await.unwrap();
            bytes
        };
        let limits = Limits::default();
        let serving = serve(theirs, &*self.filter, &limits);
        let (bytes, ()) = runtime
            .unwrap()
            .block_on(async { tokio::join!(talk, serving) });
        self.read(&bytes, message)
    }

    fn read(&self, bytes: &[u8], message: &[u8]) -> Done {
        let mut frames = Frames::new(1 << 24);
        let mut input = bytes;
        let mut replies = Vec::new();
        while let Some(frame) = frames.next(&mut input).unwrap() {
            replies.push(Reply::parse(frame).unwrap());
        }
        let mut done = Done {
            reply: replies.pop().unwrap(),
            inserted: Vec::new(),
            deleted: Vec::new(),
            quarantine: false,
            entry: self.log.0.lock().unwrap().last().unwrap().clone(),
            message: message.to_vec(),
        };
        for reply in replies {
            let Reply::Modify(modification) = reply else {
                continue;
            };
            done.apply(modification);
        }
        done
    }
}

impl Done {
    fn apply(&mut self, modification: Modification) {
        match modification {
            Modification::InsertHeader { index, name, value } => {
                assert_eq!(index, 0, "all goes to the top");
                let field = [&name, &b":"[..], &value].concat();
                let field = String::from_utf8(field).unwrap().replace('\n', "\r\n");
                self.message
                    .splice(..0, format!("{field}\r\n").into_bytes());
                self.inserted.insert(0, field);
            }
            Modification::ChangeHeader { index, name, value } => {
                assert!(value.is_empty());
                let name = String::from_utf8(name).unwrap();
                self.delete(&name, index);
                self.deleted.push((name, index));
            }
            Modification::Quarantine { .. } => self.quarantine = true,
            other => panic!("{other:?}"),
        }
    }

    fn delete(&mut self, name: &str, index: u32) {
        // Those of nobody: what is too large for us is not for an MTA.
        let limits = HeaderLimits {
            bytes: usize::MAX,
            fields: usize::MAX,
        };
        let readable = String::from_utf8_lossy(&self.message)
            .replace("no field:", "no-field:")
            .into_bytes();
        let (header, _) = dkimkit::message::split(&readable, limits).unwrap();
        let mut named = header.fields().filter(|field| field.is(name));
        let field = named.nth(index as usize - 1).unwrap();
        let at = field.raw().as_ptr() as usize - header.as_bytes().as_ptr() as usize;
        let end = at + field.raw().len() + 2;
        self.message.drain(at..end);
    }
}

fn parse(config: &str, dir: &tempfile::TempDir) -> Config {
    let keys = match config.starts_with("keys = ") {
        true => "",
        false => "keys = \"keys\"\n",
    };
    let text = format!("listen = \"inet:1@127.0.0.1\"\nlog = \"why\"\n{keys}{config}");
    Config::parse(&text, dir.path()).unwrap()
}

pub(super) fn add(store: &KeyStore, domain: &str, selector: &str, activate: bool) {
    let domain = Domain::new(domain).unwrap();
    let selector = Selector::new(selector).unwrap();
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
    let placing = Placing {
        activate,
        ..Placing::default()
    };
    store
        .add(&domain, &selector, &key, &record, placing, NOW)
        .unwrap();
}

/// The records of the store as a zone file.
pub(super) fn text_of(store: &KeyStore) -> String {
    let mut text = String::from("$TTL 300\n");
    for domain in store.domains().unwrap() {
        for entry in store.entries(&domain).unwrap() {
            let path = store.txt_path(&domain, &entry.selector);
            text += &std::fs::read_to_string(path).unwrap();
        }
    }
    text
}

fn packets(client: Client<'_>, message: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut put = |command: Command<'_>| {
        let mut packet = Vec::new();
        command.encode(&mut packet).unwrap();
        packets.push(packet);
    };
    put(Command::Negotiate(Negotiation {
        version: 6,
        actions: Actions(0x1ff),
        steps: Steps(0x1f_ffff) - Steps::NO_BODY - Steps::NO_CONNECT,
        macros: Vec::new(),
    }));
    let text = |pairs: &[(&str, &str)]| -> Vec<u8> {
        let pair = |(name, value): &(&str, &str)| format!("{name}\0{value}\0").into_bytes();
        pairs.iter().flat_map(pair).collect()
    };
    let connect = text(client.macros);
    put(Command::Macros {
        of: b'C',
        values: Strings::parse(&connect).unwrap(),
    });
    let host = match client.name {
        "" => format!("[{}]", client.ip),
        name => name.to_owned(),
    };
    let peer = match client.ip.contains(':') {
        true => Peer::Inet6 {
            port: 1,
            address: client.ip.as_bytes(),
        },
        false => Peer::Inet {
            port: 1,
            address: client.ip.as_bytes(),
        },
    };
    put(Command::Connect {
        host: host.as_bytes(),
        peer,
    });
    let mut mail = vec![("i", "4XyZ")];
    if !client.login.is_empty() {
        mail.push(("{auth_authen}", client.login));
    }
    let mail = text(&mail);
    put(Command::Macros {
        of: b'M',
        values: Strings::parse(&mail).unwrap(),
    });
    put(Command::Mail(Strings::parse(b"<s@example.com>\0").unwrap()));
    let end = memchr::memmem::find(message, b"\r\n\r\n").unwrap() + 2;
    let header = std::str::from_utf8(&message[..end]).unwrap();
    let folded = header.replace("\r\n ", "\n ").replace("\r\n\t", "\n\t");
    for field in folded.split_terminator("\r\n") {
        let (name, value) = field.split_once(':').unwrap();
        put(Command::Header {
            name: name.as_bytes(),
            value: value.as_bytes(),
        });
    }
    put(Command::EndOfHeader);
    for chunk in message[end + 2..].chunks(65_535) {
        put(Command::Body(chunk));
    }
    packets
}
