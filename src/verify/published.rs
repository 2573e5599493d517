//! What was published at the name of a key: read once, judged by the policy, and kept for the next messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::dns::Answer;
use crate::key::{Algorithm, KeyError, VerifyingKey};
use crate::name::{Auid, Domain, KeyName};
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
        record: Box<KeyRecord>,
        key: Result<VerifyingKey, KeyError>,
    },
}

impl PublishedKeys {
    /// Reads an answer; which keys are good and how many are tried is for `policy` to say.
    pub fn read(answer: Answer, policy: &Policy) -> PublishedKeys {
        PublishedKeys(Keys::read(answer, policy))
    }

    /// Whether a key stands there, for whatever signature.
    pub fn has_key(&self) -> bool {
        let is_key = |one: &Published| matches!(one, Published::Key { key: Ok(_), .. });
        matches!(&self.0, Keys::Records(records) if records.iter().any(is_key))
    }

    /// The keys that this signature may use.
    #[cfg(feature = "explain")]
    pub(crate) fn usable_for(&self, signature: &Signature) -> Vec<&VerifyingKey> {
        match &self.0 {
            Keys::None(_) => Vec::new(),
            Keys::Records(keys) => keys
                .iter()
                .filter_map(|key| key.usable(KeyUse::from(signature)).ok())
                .collect(),
        }
    }
}

/// What a signature wants a key for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyUse<'a> {
    /// a=
    pub(crate) algorithm: Algorithm,
    /// d=
    pub(crate) domain: &'a Domain,
    /// i=, where that is an identity
    pub(crate) identity: Option<&'a Auid>,
    /// DomainKeys: the local part of the sender, which g= of a record may name
    pub(crate) sender: Option<&'a [u8]>,
}

impl<'a> From<&'a Signature> for KeyUse<'a> {
    fn from(signature: &'a Signature) -> KeyUse<'a> {
        KeyUse {
            algorithm: signature.algorithm,
            domain: &signature.domain,
            identity: signature.identity.as_ref(),
            sender: None,
        }
    }
}

/// Keys that are kept for the next messages that name them, each for as long as it may be kept.
///
/// What a stranger publishes takes memory here: a cache has room for so many names, and for so many octets. Where
/// there is no room, those that came first go.
///
/// One cache serves many threads, and one policy: what was read under another is not told apart.
#[derive(Debug)]
pub struct KeyCache {
    capacity: usize,
    budget: usize,
    kept: RwLock<Kept>,
}

/// So many octets are kept, where nothing else is said.
const BUDGET: usize = 32 << 20;

#[derive(Debug, Default)]
struct Kept {
    keys: HashMap<KeyName, KeptKeys>,
    /// The names in the order in which they came.
    order: BTreeMap<u64, KeyName>,
    next: u64,
    octets: usize,
}

#[derive(Debug)]
struct KeptKeys {
    keys: Arc<PublishedKeys>,
    /// When they are too old; never, where no clock counts so far.
    expires: Option<Instant>,
    place: u64,
    octets: usize,
}

impl KeyCache {
    /// An empty cache for at most so many names, and 32 MiB.
    pub fn new(capacity: usize) -> KeyCache {
        KeyCache::with_budget(capacity, BUDGET)
    }

    /// An empty cache for at most so many names and, as far as that can be estimated, octets.
    ///
    /// ```
    /// use std::time::Duration;
    /// use dkimkit::dns::Answer;
    /// use dkimkit::name::KeyName;
    /// use dkimkit::policy::Policy;
    /// use dkimkit::verify::KeyCache;
    /// let cache = KeyCache::with_budget(1000, 1 << 20);
    /// let hour = Duration::from_secs(3600);
    /// let txt = vec![b"v=DKIM1; p=".to_vec()];
    /// let answer = Answer::Records { txt, ttl: hour, secure: None };
    /// let name = KeyName::published("s._domainkey.example.com")?;
    /// cache.put(&name, answer, &Policy::default(), hour);
    /// assert!(cache.get(&name).is_some());
    /// # Ok::<(), dkimkit::name::NameError>(())
    /// ```
    pub fn with_budget(capacity: usize, budget: usize) -> KeyCache {
        KeyCache {
            capacity,
            budget,
            kept: RwLock::default(),
        }
    }

    /// The keys at `name`, if they are known and not too old.
    pub fn get(&self, name: &KeyName) -> Option<Arc<PublishedKeys>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let found = kept.keys.get(name)?;
        let fresh = found.expires.is_none_or(|expires| Instant::now() < expires);
        fresh.then(|| found.keys.clone())
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
        let keys = Arc::new(PublishedKeys::read(answer, policy));
        let octets = KEPT_OCTETS + 2 * name.as_str().len() + keys.0.octets();
        if !worth || self.capacity == 0 || octets > self.budget {
            return keys;
        }
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.remove(name);
        while kept.keys.len() >= self.capacity || kept.octets + octets > self.budget {
            // Not those that expire first: whoever publishes for a day would drive out all others.
            let Some(oldest) = kept.order.first_key_value() else {
                break;
            };
            let oldest = oldest.1.clone();
            kept.remove(&oldest);
        }
        let place = kept.next;
        kept.next += 1;
        kept.octets += octets;
        kept.order.insert(place, name.clone());
        let entry = KeptKeys {
            keys: keys.clone(),
            // Longer than a clock can count is for ever.
            expires: Instant::now().checked_add(keep),
            place,
            octets,
        };
        kept.keys.insert(name.clone(), entry);
        keys
    }
}

impl Kept {
    fn remove(&mut self, name: &KeyName) {
        if let Some(old) = self.keys.remove(name) {
            self.order.remove(&old.place);
            self.octets -= old.octets;
        }
    }
}

/// What an entry takes in its two tables, without what it leads to.
const KEPT_OCTETS: usize = 2 * (size_of::<KeptKeys>() + size_of::<(u64, KeyName)>());

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
        keys.shrink_to_fit();
        Keys::Records(keys)
    }

    /// About what this takes of memory.
    fn octets(&self) -> usize {
        size_of::<Keys>()
            + match self {
                Keys::None(failure) => failure.to_string().len(),
                Keys::Records(keys) => keys.iter().map(Published::octets).sum(),
            }
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
                    record: Box::new(KeyRecord {
                        public: None,
                        notes: None,
                        ..record
                    }),
                },
            },
        }
    }

    fn octets(&self) -> usize {
        // A key stands here as two crates keep it, each with what it computes from it: some numbers of its size.
        let text = match self {
            Published::Not(failure) => failure.to_string().len(),
            Published::Revoked { .. } => 0,
            Published::Key { key: Ok(key), .. } => 1024 + key.bits(),
            Published::Key {
                key: Err(error), ..
            } => error.to_string().len(),
        };
        let granularity = match self {
            Published::Key { record, .. } => record.granularity.as_ref().map_or(0, String::len),
            Published::Not(_) | Published::Revoked { .. } => 0,
        };
        size_of::<Published>() + text + granularity
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

    /// The key, if a signature may use it so (RFC 6376 §6.1.2).
    pub(super) fn usable(&self, wanted: KeyUse<'_>) -> Result<&VerifyingKey, Failure> {
        let (record, key) = match self {
            Published::Not(failure) => return Err(failure.clone()),
            Published::Revoked { .. } => return Err(Failure::Revoked),
            Published::Key { record, key } => (record, key),
        };
        if record.service == Service::Other {
            return Err(Failure::Service);
        }
        let hash = wanted.algorithm.hash();
        if record.hashes.as_ref().is_some_and(|h| !h.contains(&hash)) {
            return Err(Failure::HashNotAllowed);
        }
        if record.key_type != wanted.algorithm.key_type() {
            return Err(Failure::KeyType);
        }
        // RFC 6376 §3.6.1, t=s.
        if record.strict_identity && wanted.identity.is_some_and(|i| i.domain != *wanted.domain) {
            return Err(Failure::StrictIdentity);
        }
        // RFC 4870 §3.2.3, g=: "MUST exactly match"; DKIM knows it no more.
        if let (Some(sender), Some(granularity)) = (wanted.sender, &record.granularity)
            && granularity != "*"
            && granularity.as_bytes() != sender
        {
            return Err(Failure::Granularity);
        }
        key.as_ref().map_err(|error| Failure::Key(error.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn name(at: usize) -> KeyName {
        KeyName::published(&format!("s{at}._domainkey.example.com")).unwrap()
    }

    fn put(cache: &KeyCache, at: usize, txt: &[String], keep: Duration) {
        let txt = txt.iter().map(|text| text.clone().into_bytes()).collect();
        let answer = Answer::Records {
            txt,
            ttl: keep,
            secure: None,
        };
        cache.put(&name(at), answer, &Policy::default(), keep);
    }

    fn known(cache: &KeyCache, range: std::ops::Range<usize>) -> Vec<usize> {
        range.filter(|at| cache.get(&name(*at)).is_some()).collect()
    }

    #[test]
    fn where_there_is_no_room_the_first_that_came_goes() {
        let cache = KeyCache::new(3);
        let revoked = ["v=DKIM1; p=".to_owned()];
        for at in 0..4 {
            put(&cache, at, &revoked, HOUR * (4 - at as u32));
        }
        assert_eq!(known(&cache, 0..4), [1, 2, 3]);
        // What comes again is the last that came, and takes no room twice.
        put(&cache, 1, &revoked, HOUR);
        put(&cache, 4, &revoked, HOUR);
        assert_eq!(known(&cache, 0..5), [1, 3, 4]);
        put(&cache, 5, &revoked, Duration::ZERO);
        put(&cache, 5, &revoked, Duration::from_nanos(1));
        assert_eq!(known(&cache, 0..6), [1, 4]);
        let kept = cache.kept.read().unwrap();
        assert_eq!((kept.keys.len(), kept.order.len()), (3, 3));
        let none = KeyCache::new(0);
        put(&none, 0, &revoked, HOUR);
        assert!(known(&none, 0..1).is_empty());
    }

    #[test]
    fn long_records_do_not_take_more_than_the_budget() {
        let cache = KeyCache::with_budget(10_000, 100_000);
        // The longest that is kept of a record: the name of a tag that stands twice.
        let tag = "x".repeat(8000);
        let long = vec![format!("v=DKIM1; {tag}=a; {tag}=b"); 5];
        for at in 0..20 {
            put(&cache, at, &long, HOUR);
            let kept = cache.kept.read().unwrap();
            let sum: usize = kept.keys.values().map(|kept| kept.octets).sum();
            assert_eq!(sum, kept.octets);
            assert!(sum <= 100_000);
        }
        assert_eq!(known(&cache, 0..20), [18, 19]);
        // Notes and what else is not needed take no room.
        let note = vec![format!("v=DKIM1; n={}; p=", "x".repeat(15_000))];
        for at in 20..60 {
            put(&cache, at, &note, HOUR);
        }
        assert_eq!(known(&cache, 20..60).len(), 40);
        let small = KeyCache::with_budget(10_000, 10_000);
        put(&small, 0, &long, HOUR);
        assert!(known(&small, 0..1).is_empty());
        assert_eq!(small.kept.read().unwrap().octets, 0);
    }
}
