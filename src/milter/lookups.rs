//! Keys for verifying: asked for once, however many messages wait, and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::metrics::Metrics;
use crate::dns::system::Resolver;
use crate::dns::{Answer, Cause};
use crate::name::KeyName;
use crate::policy::Policy;
use crate::verify::{KeyCache, PublishedKeys};

/// So many names are asked for at the same time.
const MAX_RUNNING: usize = 1000;
/// So many are kept.
const MAX_KEPT: usize = 10_000;
/// However long a record may be kept, a key that was withdrawn is not trusted longer than this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Looks up keys for all messages.
#[derive(Debug)]
pub(super) struct Lookups {
    resolver: Resolver,
    policy: Arc<Policy>,
    cache: KeyCache,
    running: Mutex<HashMap<KeyName, watch::Receiver<Option<Keys>>>>,
    metrics: Arc<Metrics>,
}

type Keys = Arc<PublishedKeys>;

/// A key that is there, or on its way.
#[derive(Debug)]
pub(super) enum Lookup {
    Known(Keys),
    Running(watch::Receiver<Option<Keys>>),
}

impl Lookups {
    pub(super) fn new(resolver: Resolver, policy: Policy, metrics: Arc<Metrics>) -> Lookups {
        Lookups {
            resolver,
            policy: Arc::new(policy),
            cache: KeyCache::new(MAX_KEPT),
            running: Mutex::default(),
            metrics,
        }
    }

    /// The policy under which keys are read.
    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.clone()
    }

    /// Begins a lookup, or joins one that runs. It ends within the time of the resolver, whether anybody
    /// still waits or not.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn begin(self: &Arc<Lookups>, name: &KeyName) -> Lookup {
        if let Some(keys) = self.cache.get(name) {
            self.metrics.cache_hit();
            return Lookup::Known(keys);
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = running.get(name) {
            return Lookup::Running(receiver.clone());
        }
        if running.len() >= MAX_RUNNING {
            let answer = Answer::Temporary(Cause::NotAsked);
            return Lookup::Known(Arc::new(PublishedKeys::read(answer, &self.policy)));
        }
        let (sender, receiver) = watch::channel(None);
        running.insert(name.clone(), receiver.clone());
        drop(running);
        let (lookups, name) = (self.clone(), name.clone());
        tokio::spawn(async move {
            // Where this is dropped or panics, the sender goes, and whoever waits has no answer.
            let _entry = Entry(&lookups, &name);
            let keys = lookups.ask(&name).await;
            let _ = sender.send(Some(keys));
        });
        Lookup::Running(receiver)
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
}

/// A name in the table of those that run; it is taken out at the end, however that comes.
struct Entry<'a>(&'a Lookups, &'a KeyName);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let running = self.0.running.lock();
        running
            .unwrap_or_else(PoisonError::into_inner)
            .remove(self.1);
    }
}

impl Lookup {
    /// The keys, once they are there; `None` where the lookup broke off.
    pub(super) async fn keys(self) -> Option<Keys> {
        match self {
            Lookup::Known(keys) => Some(keys),
            Lookup::Running(mut receiver) => {
                let keys = receiver.wait_for(Option::is_some).await.ok()?;
                keys.clone()
            }
        }
    }
}
