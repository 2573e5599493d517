//! What the benchmarks share: messages, and the two verifiers.

pub(crate) mod messages;
#[allow(dead_code)]
#[path = "../../tests/it/random.rs"]
pub(crate) mod random;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::future::Future as _;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use dkimkit::dns::Answer;
use dkimkit::key::SigningKey;
use dkimkit::policy::Policy;
use dkimkit::record::KeyRecord;
use dkimkit::report::{ResultWord, overall};
use dkimkit::time::UnixTime;
use dkimkit::verify::{KeyCache, verify_with};
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::{
    AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt,
};

/// The record of a key.
pub(crate) fn record(key: &SigningKey) -> String {
    KeyRecord::new(key.algorithm().key_type(), key.public_bytes()).to_string()
}

/// dkimkit, with a cache of keys that knows one record for all names.
pub(crate) struct Ours {
    record: String,
    policy: Arc<Policy>,
    cache: KeyCache,
}

impl Ours {
    pub(crate) fn new(record: &str) -> Ours {
        Ours {
            record: record.to_owned(),
            policy: Arc::new(Policy::default()),
            cache: KeyCache::new(100),
        }
    }

    /// Whether a signature of a message passes.
    pub(crate) fn passes(&self, message: &[u8], now: UnixTime) -> bool {
        let keep = Duration::from_secs(3600);
        let keys = |name: &_| {
            self.cache.get(name).unwrap_or_else(|| {
                let answer = Answer::Records {
                    txt: vec![self.record.clone().into_bytes()],
                    ttl: keep,
                    secure: None,
                };
                self.cache.put(name, answer, &self.policy, keep)
            })
        };
        let verdicts = verify_with(message, keys, self.policy.clone(), now);
        overall(&verdicts.unwrap()) == ResultWord::Pass
    }
}

/// mail-auth, which knows the record of one selector of test.example.
pub(crate) struct MailAuth {
    resolver: MessageAuthenticator,
    known: Known,
}

impl MailAuth {
    pub(crate) fn new(selector: &str, record: &str) -> MailAuth {
        let resolver =
            MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default());
        let record = DomainKey::parse(record.as_bytes()).unwrap();
        let name = format!("{selector}._domainkey.test.example.");
        let known = HashMap::from([(name.into_boxed_str(), Txt::DomainKey(Arc::new(record)))]);
        MailAuth {
            resolver: resolver.unwrap(),
            known: Known(known),
        }
    }

    /// Whether the first signature of a message passes.
    pub(crate) fn passes(&self, message: &[u8]) -> bool {
        let parsed = AuthenticatedMessage::parse(message).unwrap();
        let parameters = Parameters::new(&parsed).with_txt_cache(&self.known);
        // The key is known, so that it is done at once.
        let mut job = pin!(self.resolver.verify_dkim(parameters));
        match job.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outputs) => *outputs[0].result() == DkimResult::Pass,
            Poll::Pending => panic!("mail-auth waits for something"),
        }
    }
}

/// mail-auth's cache of parsed records.
struct Known(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Known {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(name).cloned()
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

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
