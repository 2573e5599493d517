//! Keys for verifying: asked for once, however many messages wait, and kept.
//!
//! A stranger may sign with names whose servers keep silent, and each costs a lookup for as long as one may take.
//! So a message has only so many under way, and so have all names of one owner together; what is beyond that
//! waits its turn, and in the end for nothing, without delaying the lookups of others.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::metrics::Metrics;
use crate::dns::system::Resolver;
use crate::dns::{Answer, Cause};
use crate::name::KeyName;
use crate::policy::Policy;
use crate::verify::{KeyCache, PublishedKeys};

/// How many names are asked for at the same time.
#[derive(Debug, Clone, Copy)]
struct Caps {
    in_all: usize,
    of_one_owner: usize,
    of_one_message: usize,
}

const CAPS: Caps = Caps {
    in_all: 1000,
    of_one_owner: 50,
    of_one_message: 10,
};
/// So many are kept.
const MAX_KEPT: usize = 10_000;
/// However long a record may be kept, a key that was withdrawn is not trusted longer than this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Looks up keys for all messages.
#[derive(Debug)]
pub(super) struct Lookups {
    resolver: Resolver,
    timeout: Duration,
    policy: Arc<Policy>,
    cache: KeyCache,
    caps: Caps,
    turns: Semaphore,
    table: Mutex<Table>,
    metrics: Arc<Metrics>,
}

/// What is under way.
#[derive(Debug, Default)]
struct Table {
    names: HashMap<KeyName, watch::Receiver<Progress>>,
    /// Turns of owners that have at least one lookup there.
    owners: HashMap<String, Arc<Semaphore>>,
}

type Keys = Arc<PublishedKeys>;

/// How far a lookup is.
#[derive(Debug, Clone)]
enum Progress {
    Waiting,
    Asked,
    Done(Keys),
}

impl Lookups {
    /// `timeout` is that of the resolver.
    pub(super) fn new(
        resolver: Resolver,
        timeout: Duration,
        policy: Policy,
        metrics: Arc<Metrics>,
    ) -> Lookups {
        Lookups::with_caps(resolver, timeout, policy, metrics, CAPS)
    }

    fn with_caps(
        resolver: Resolver,
        timeout: Duration,
        policy: Policy,
        metrics: Arc<Metrics>,
        caps: Caps,
    ) -> Lookups {
        Lookups {
            resolver,
            timeout,
            policy: Arc::new(policy),
            cache: KeyCache::new(MAX_KEPT),
            caps,
            turns: Semaphore::new(caps.in_all),
            table: Mutex::default(),
            metrics,
        }
    }

    /// The policy under which keys are read.
    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.clone()
    }

    /// Keys that need no lookup.
    pub(super) fn known(&self, name: &KeyName) -> Option<Keys> {
        let keys = self.cache.get(name)?;
        self.metrics.cache_hit();
        Some(keys)
    }

    /// Begins to look up the names of one message, the first ones first.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn gather(self: &Arc<Lookups>, names: Vec<KeyName>) -> Gathering {
        let mut task = JoinSet::new();
        if !names.is_empty() {
            task.spawn(self.clone().gather_all(names));
        }
        Gathering(task)
    }

    async fn gather_all(self: Arc<Lookups>, names: Vec<KeyName>) -> Vec<(KeyName, Keys)> {
        let last_turn = Instant::now() + self.timeout;
        // A little longer than the resolver takes, whose answer tells more than that there is none.
        let deadline = last_turn + self.timeout / 10;
        let mut waiting = names.into_iter();
        let mut running = JoinSet::new();
        let mut found = Vec::new();
        loop {
            let room = self.caps.of_one_message - running.len();
            // What has had no turn by then is not asked for.
            let room = if Instant::now() < last_turn { room } else { 0 };
            for name in waiting.by_ref().take(room) {
                running.spawn(self.clone().keys(name, deadline));
            }
            match running.join_next().await {
                None => return found,
                Some(ended) => found.extend(ended.ok().flatten()),
            }
        }
    }

    /// The keys at `name`; `None` where it had no turn.
    async fn keys(self: Arc<Lookups>, name: KeyName, deadline: Instant) -> Option<(KeyName, Keys)> {
        // What others began may have waited for its turn for so long that it is given up now.
        for _ in 0..2 {
            let mut lookup = self.begin(&name);
            let done = |progress: &Progress| matches!(progress, Progress::Done(_));
            let ended = timeout_at(deadline, lookup.wait_for(done)).await;
            let gave_up = matches!(ended, Ok(Err(_)));
            drop(ended);
            let progress = lookup.borrow().clone();
            match progress {
                Progress::Done(keys) => return Some((name, keys)),
                Progress::Asked => {
                    let answer = Answer::Temporary(Cause::Timeout);
                    let keys = PublishedKeys::read(answer, &self.policy);
                    return Some((name, Arc::new(keys)));
                }
                Progress::Waiting if gave_up => {}
                Progress::Waiting => return None,
            }
        }
        None
    }

    /// Begins a lookup, or joins one that is there. Once it has its turn it goes to its end, whether anybody
    /// still waits or not.
    fn begin(self: &Arc<Lookups>, name: &KeyName) -> watch::Receiver<Progress> {
        let mut table = self.table();
        if let Some(receiver) = table.names.get(name) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(Progress::Waiting);
        table.names.insert(name.clone(), receiver.clone());
        drop(table);
        let (lookups, name) = (self.clone(), name.clone());
        tokio::spawn(async move {
            // Where this is dropped or panics, the sender goes, and whoever waits has no answer.
            let _entry = Entry(&lookups, &name);
            lookups.look_up(&name, &sender).await;
        });
        receiver
    }

    async fn look_up(&self, name: &KeyName, progress: &watch::Sender<Progress>) {
        if let Some(keys) = self.cache.get(name) {
            // It came between the question whether it is known and this one.
            progress.send_replace(Progress::Done(keys));
            return;
        }
        let owner = Owner::of(self, name);
        let turn = async {
            // Its owner's first: who waits for that takes nobody else's.
            let of_owner = owner.turns.acquire().await.ok()?;
            let in_all = self.turns.acquire().await.ok()?;
            Some((of_owner, in_all))
        };
        let deadline = Instant::now() + self.timeout;
        let Ok(Some(_turn)) = timeout_at(deadline, turn).await else {
            return;
        };
        // Whoever comes this very moment begins anew. One receiver is the table's.
        if progress.receiver_count() == 1 {
            return;
        }
        progress.send_replace(Progress::Asked);
        let keys = self.ask(name).await;
        progress.send_replace(Progress::Done(keys));
    }

    async fn ask(&self, name: &KeyName) -> Keys {
        let began = Instant::now();
        let answers = self.resolver.lookup_all(std::slice::from_ref(name)).await;
        let answer = answers.into_iter().next();
        let answer = answer.map_or(Answer::Temporary(Cause::Network), |(_, answer)| answer);
        self.metrics.looked_up(&answer, began.elapsed());
        let keep = match &answer {
            Answer::Records { ttl, .. } => (*ttl).min(LONGEST),
            _ => Duration::ZERO,
        };
        self.cache.put(name, answer, &self.policy, keep)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name in the table of those that run; it is taken out at the end, however that comes.
struct Entry<'a>(&'a Lookups, &'a KeyName);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.table().names.remove(self.1);
    }
}

/// Whose names take turns with each other.
struct Owner<'a> {
    lookups: &'a Lookups,
    suffix: String,
    turns: Arc<Semaphore>,
}

impl<'a> Owner<'a> {
    fn of(lookups: &'a Lookups, name: &KeyName) -> Owner<'a> {
        let suffix = suffix(name).to_owned();
        let mut table = lookups.table();
        let turns = table.owners.entry(suffix.clone());
        let turns = turns.or_insert_with(|| Arc::new(Semaphore::new(lookups.caps.of_one_owner)));
        Owner {
            lookups,
            suffix,
            turns: turns.clone(),
        }
    }
}

impl Drop for Owner<'_> {
    fn drop(&mut self) {
        let mut table = self.lookups.table();
        // The table's and this one.
        if Arc::strong_count(&self.turns) == 2 {
            table.owners.remove(&self.suffix);
        }
    }
}

/// What somebody has probably registered: two labels, or three under a country that has such second ones.
fn suffix(name: &KeyName) -> &str {
    let name = name.as_str().trim_end_matches('.');
    let mut dots = memchr::memrchr_iter(b'.', name.as_bytes());
    let (top, second, third) = (dots.next(), dots.next(), dots.next());
    let (Some(top), Some(second)) = (top, second) else {
        return name;
    };
    let country = name.len() - top == ".uk".len();
    let shared = country && SHARED_LABELS.contains(&&name[second + 1..top]);
    match (shared, third) {
        (false, _) => &name[second + 1..],
        (true, Some(third)) => &name[third + 1..],
        (true, None) => name,
    }
}

/// What registries put between a country and those that register there.
const SHARED_LABELS: [&str; 10] = [
    "ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org",
];

/// The lookups of one message. Those that have not begun do not begin once this is dropped.
#[derive(Debug)]
pub(super) struct Gathering(JoinSet<Vec<(KeyName, Keys)>>);

impl Gathering {
    /// What came, once all is there or the time for lookups is over, which has run since they began. What had
    /// no turn is not there.
    pub(super) async fn keys(mut self) -> Vec<(KeyName, Keys)> {
        let ended = self.0.join_next().await;
        ended.and_then(Result::ok).unwrap_or_default()
    }
}
