//! A second opinion: `mail-auth` on the vectors, the corpus, and generated messages.
//!
//! Compared is, for each signature, whether it passes. Where the two differ, `testdata/second-opinion.txt`
//! says who is right and why; a difference that does not stand there fails, and one that stands there must
//! still differ.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dkimkit::dns::{Answer, LookupTxt as _, Zone};
use dkimkit::message::{HeaderLimits, split};
use dkimkit::name::KeyName;
use dkimkit::policy::{Level, Policy};
use dkimkit::report::ResultWord;
use dkimkit::time::UnixTime;
use dkimkit::verify::Verifier;
use hickory_proto::op::ResponseCode;
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::{
    AuthenticatedMessage, DkimResult, DnsError, MessageAuthenticator, Parameters, ResolverCache,
    Txt,
};
use serde_json::Value;

use crate::random::Random;
use crate::{corpus, properties, vectors};

/// Answers from a zone, for the names that a message asks for.
pub(crate) struct Keys(HashMap<Box<str>, Txt>);

impl Keys {
    /// The keys at these names; there are no others, and nobody is asked for them.
    pub(crate) fn new<'n>(names: impl Iterator<Item = &'n KeyName>, zone: &Zone) -> Keys {
        let key = |name: &KeyName| match zone.lookup_txt(name) {
            Answer::Records { txt, .. } => match DomainKey::parse(&txt[0]) {
                Ok(key) => Txt::DomainKey(Arc::new(key)),
                Err(error) => Txt::Error(error),
            },
            _ => no_such_name(),
        };
        Keys(
            names
                .map(|name| (name.as_str().into(), key(name)))
                .collect(),
        )
    }
}

fn no_such_name() -> Txt {
    let code = ResponseCode::NXDomain;
    Txt::Error(mail_auth::Error::Dns(DnsError::RecordNotFound(code)))
}

impl ResolverCache<Box<str>, Txt> for Keys {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(self.0.get(name).cloned().unwrap_or_else(no_such_name))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// Which signatures pass, by the bytes of their b=.
type Passing = BTreeMap<Vec<u8>, bool>;

fn ours(message: &[u8], zone: &Zone, now: UnixTime) -> (Passing, Keys) {
    let mut keys = Keys(HashMap::new());
    let policy = Policy::new(Level::Rfc);
    if let Ok((header, _)) = split(message, HeaderLimits::default()) {
        // Also those that we would not ask for, under our policy.
        let policy = Arc::new(Policy::new(Level::Legacy));
        let verifier = Verifier::new(header, policy, UnixTime(0));
        keys = Keys::new(verifier.wanted().iter(), zone);
    }
    let verdicts = dkimkit::verify(message, zone, &policy, now).unwrap_or_default();
    let passing = verdicts
        .iter()
        .filter_map(|v| Some((v.claims.signature.clone()?, v.result() == ResultWord::Pass)))
        .collect();
    (passing, keys)
}

pub(crate) fn authenticator() -> MessageAuthenticator {
    MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default()).unwrap()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(future)
}

fn theirs(message: &[u8], keys: &Keys) -> Passing {
    let resolver = authenticator();
    let Some(parsed) = AuthenticatedMessage::parse_with_opts(message, None, false) else {
        return Passing::new();
    };
    let parameters = Parameters::new(&parsed).with_txt_cache(keys);
    let outputs = block_on(resolver.verify_dkim(parameters));
    outputs
        .iter()
        .filter_map(|o| Some((o.signature()?.b.clone(), *o.result() == DkimResult::Pass)))
        .collect()
}

/// The signatures of a message on which the two differ: `ours` or `theirs`, whichever passes.
fn differences(message: &[u8], zone: &Zone, now: UnixTime) -> Vec<&'static str> {
    let (ours, keys) = ours(message, zone, now);
    let theirs = theirs(message, &keys);
    let mut all: Vec<&Vec<u8>> = ours.keys().chain(theirs.keys()).collect();
    all.sort();
    all.dedup();
    all.into_iter()
        .filter_map(|b| {
            let passes = |side: &Passing| side.get(b).copied().unwrap_or(false);
            match (passes(&ours), passes(&theirs)) {
                (true, false) => Some("ours"),
                (false, true) => Some("theirs"),
                _ => None,
            }
        })
        .collect()
}

/// The lines of the ledger: the case, who passes it, and why the other is wrong.
fn ledger() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/second-opinion.txt");
    let text = fs::read_to_string(path).unwrap();
    let mut entries = BTreeMap::new();
    for line in text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let (entry, reason) = line.split_once(" — ").expect("CASE WHO — REASON");
        assert!(!reason.is_empty(), "{line}");
        let (case, who) = entry.rsplit_once(' ').expect("CASE WHO");
        assert!(
            entries.insert(case.to_owned(), who.to_owned()).is_none(),
            "{line}"
        );
    }
    entries
}

pub(crate) fn compare(found: BTreeMap<String, String>, kind: &str) {
    let listed = ledger();
    let listed: BTreeMap<_, _> = listed
        .into_iter()
        .filter(|(case, _)| case.starts_with(kind))
        .collect();
    let mut wrong = Vec::new();
    for (case, who) in &found {
        if listed.get(case) != Some(who) {
            wrong.push(format!("{case} {who} — not explained"));
        }
    }
    for (case, who) in &listed {
        if !found.contains_key(case) {
            wrong.push(format!("{case} {who} — listed, but they agree"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn on_the_vectors_every_difference_is_explained() {
    let mut found = BTreeMap::new();
    for vector in vectors::all() {
        let differences = differences(&vector.message, &vector.zone, vector.now);
        if let Some(who) = differences.first() {
            found.insert(format!("vector {}", vector.name()), (*who).to_owned());
        }
    }
    compare(found, "vector ");
}

#[test]
fn on_the_corpus_every_difference_is_explained() {
    let Some(dir) = corpus::corpus() else {
        crate::skipped("no corpus beside the project for the second opinion");
        return;
    };
    let manifest = fs::read_to_string(dir.join("dkim/manifest.jsonl")).unwrap();
    let mut found = BTreeMap::new();
    for line in manifest.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let path = |name: &str| dir.join(case[name].as_str().unwrap());
        let message = corpus::as_read(&fs::read(path("file")).unwrap());
        let zone = Zone::parse(&fs::read_to_string(path("dns")).unwrap()).unwrap();
        let now = UnixTime(case["now"].as_u64().unwrap_or(1_700_000_000));
        if let Some(who) = differences(&message, &zone, now).first() {
            let id = case["id"].as_str().unwrap();
            found.insert(format!("corpus {id}"), (*who).to_owned());
        }
    }
    compare(found, "corpus ");
}

/// Whether a generated message has one of the oddities on which the two differ, and which the vectors show:
/// a bare CR or LF, a blank before a colon, a body without a final line end or with lines of blanks at it.
pub(crate) fn is_disputed(message: &[u8]) -> bool {
    let lone = |(at, byte): (usize, &u8)| match byte {
        b'\r' => message.get(at + 1) != Some(&b'\n'),
        b'\n' => message[at - 1] != b'\r',
        b':' => matches!(message[at - 1], b' ' | b'\t'),
        _ => false,
    };
    let trimmed = message.trim_ascii_end();
    let tail = &message[trimmed.len()..];
    let blank_lines = tail
        .windows(3)
        .any(|w| w[0] == b'\n' && matches!(w[1], b' ' | b'\t'));
    blank_lines || !message.ends_with(b"\r\n") || message.iter().enumerate().any(lone)
}

#[test]
fn on_generated_messages_there_is_no_difference() {
    let domains = properties::domains();
    let mut random = Random::new(4);
    let now = UnixTime(1_700_000_000);
    let mut compared = 0;
    for round in 0..200 {
        let message = properties::tame_message(&mut random);
        let options = properties::options(&mut random);
        let signed = properties::signed(&domains, &message, &options);
        let appended = [signed.as_slice(), b"more\r\n"].concat();
        let mut changed = signed.clone();
        changed[signed.len() - message.len() + random.below(message.len())] ^= 1;
        for (what, text) in [
            ("signed", &signed),
            ("appended", &appended),
            ("changed", &changed),
        ] {
            // A changed byte may make one of the oddities.
            if is_disputed(text) {
                continue;
            }
            compared += 1;
            let found = differences(text, &domains.zone, now);
            let text = text.escape_ascii();
            assert!(found.is_empty(), "{round} {what}: {found:?}\n{text}");
        }
    }
    println!("{compared} messages compared");
    assert!(compared > 200);
}
