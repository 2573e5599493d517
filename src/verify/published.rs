//! What was published at the name of a key: read once, judged by the policy, and kept for the next messages.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::dns::Answer;
use crate::key::{KeyError, VerifyingKey};
use crate::name::KeyName;
use crate::policy::Policy;
use crate::record::{KeyRecord, RecordError, Service};
use crate::report::{Failure, KeyFacts};
use crate::signature::Signature;

/// What DNS said at the name of a key, read once, for one message or for many.
#[derive(Debug)]
pub struct PublishedKeys(pub(super) Keys);

#[derive(Debug)]
pub(super) enum Keys {
    None(Failure),
    /// Each TXT record, read: there may be others beside the key (RFC 6376 §6.1.2).
    Records(Vec<Published>),
}

/// One TXT record, read.
#[derive(Debug)]
pub(super) enum Published {
    Not(Failure),
    Revoked {
        testing: bool,
    },
    Key {
        record: KeyRecord,
        key: Result<VerifyingKey, KeyError>,
    },
}

impl PublishedKeys {
    /// Reads an answer; which keys are good and how many are tried is for `policy` to say.
    pub fn read(answer: Answer, policy: &Policy) -> PublishedKeys {
        PublishedKeys(Keys::read(answer, policy))
    }
}

/// Keys that are kept for the next messages that name them, each for as long as it may be kept.
///
/// One cache serves many threads, and one policy: what was read under another is not told apart.
#[derive(Debug)]
pub struct KeyCache {
    capacity: usize,
    keys: RwLock<HashMap<KeyName, KeptKeys>>,
}

/// Keys, and when they are too old; never, where no clock counts so far.
type KeptKeys = (Arc<PublishedKeys>, Option<Instant>);

impl KeyCache {
    /// An empty cache for at most so many names.
    pub fn new(capacity: usize) -> KeyCache {
        KeyCache {
            capacity,
            keys: RwLock::default(),
        }
    }

    /// The keys at `name`, if they are known and not too old.
    pub fn get(&self, name: &KeyName) -> Option<Arc<PublishedKeys>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (found, expires) = keys.get(name)?;
        let fresh = expires.is_none_or(|expires| Instant::now() < expires);
        fresh.then(|| found.clone())
    }

    /// Reads an answer and keeps it for the time `keep`, if there are records in it: that nothing was found,
    /// or not now, is for the resolver to remember.
    pub fn put(
        &self,
        name: &KeyName,
        answer: Answer,
        policy: &Policy,
        keep: Duration,
    ) -> Arc<PublishedKeys> {
        let worth = matches!(answer, Answer::Records { .. }) && !keep.is_zero();
        let read = Arc::new(PublishedKeys::read(answer, policy));
        if !worth {
            return read;
        }
        let now = Instant::now();
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= self.capacity {
            keys.retain(|_, (_, expires)| expires.is_none_or(|expires| now < expires));
        }
        if keys.len() >= self.capacity {
            keys.clear();
        }
        // Longer than a clock can count is for ever.
        keys.insert(name.clone(), (read.clone(), now.checked_add(keep)));
        read
    }
}

impl Keys {
    fn read(answer: Answer, policy: &Policy) -> Keys {
        let txt = match answer {
            Answer::Records { txt, .. } => txt,
            Answer::NoName => return Keys::None(Failure::NoName),
            Answer::NoData => return Keys::None(Failure::NoData),
            Answer::Temporary(cause) => return Keys::None(Failure::Temporary(cause)),
        };
        let read = |text: &Vec<u8>| Published::read(text, policy);
        let mut keys: Vec<Published> = Vec::new();
        let mut others = None;
        for published in txt.iter().map(read) {
            match published {
                Published::Not(Failure::Record(RecordError::NotDkim)) => others = Some(published),
                _ if keys.len() == policy.limits.records => break,
                _ => keys.push(published),
            }
        }
        keys.extend(others);
        if keys.is_empty() {
            return Keys::None(Failure::NoData);
        }
        Keys::Records(keys)
    }
}

impl Published {
    fn read(text: &[u8], policy: &Policy) -> Published {
        let limit = policy.limits.record_bytes;
        if text.len() > limit {
            let len = text.len();
            return Published::Not(Failure::RecordTooLong { len, limit });
        }
        match KeyRecord::parse(text, policy.limits.record_tags) {
            Err(error) => Published::Not(Failure::Record(error)),
            Ok(record) => match &record.public {
                None => Published::Revoked {
                    testing: record.testing,
                },
                Some(p) => Published::Key {
                    key: VerifyingKey::parse(record.key_type, p, policy.rsa_sizes()),
                    // Neither is looked at again, and both are as long as a stranger likes.
                    record: KeyRecord {
                        public: None,
                        notes: None,
                        ..record
                    },
                },
            },
        }
    }

    pub(super) fn facts(&self) -> Option<KeyFacts> {
        match self {
            Published::Not(_) => None,
            Published::Revoked { testing } => Some(KeyFacts {
                bits: None,
                testing: *testing,
            }),
            Published::Key { record, key } => Some(KeyFacts {
                bits: match key {
                    Ok(key) => Some(key.bits()),
                    Err(KeyError::TooSmall { bits, .. } | KeyError::TooLarge { bits, .. }) => {
                        Some(*bits)
                    }
                    Err(_) => None,
                },
                testing: record.testing,
            }),
        }
    }

    /// The key, if this signature may use it (RFC 6376 §6.1.2).
    pub(super) fn usable(&self, signature: &Signature) -> Result<&VerifyingKey, Failure> {
        let (record, key) = match self {
            Published::Not(failure) => return Err(failure.clone()),
            Published::Revoked { .. } => return Err(Failure::Revoked),
            Published::Key { record, key } => (record, key),
        };
        if record.service == Service::Other {
            return Err(Failure::Service);
        }
        let hash = signature.algorithm.hash();
        if record.hashes.as_ref().is_some_and(|h| !h.contains(&hash)) {
            return Err(Failure::HashNotAllowed);
        }
        if record.key_type != signature.algorithm.key_type() {
            return Err(Failure::KeyType);
        }
        // RFC 6376 §3.6.1, t=s.
        let identity = signature.identity.as_ref();
        if record.strict_identity && identity.is_some_and(|i| i.domain != signature.domain) {
            return Err(Failure::StrictIdentity);
        }
        key.as_ref().map_err(|error| Failure::Key(error.clone()))
    }
}
