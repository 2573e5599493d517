//! What is counted and measured, in the text that Prometheus reads.

mod http;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

pub use self::http::serve;
use super::keyring::Keyring;
use crate::dns::Answer;
use crate::time::UnixTime;

/// The metrics of one milter.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    messages: Family<MessageLabels, Counter>,
    seconds: Family<EventLabels, Histogram>,
    octets: Counter,
    lookups: Family<LookupLabels, Counter>,
    lookup_seconds: Histogram,
    cache_hits: Counter,
    connections: Counter,
    open: Gauge,
    reloads: Family<ReloadLabels, Counter>,
    loaded: Gauge,
    keys: Gauge,
    key_troubles: Gauge,
    key_age: Family<KeyLabels, Gauge<f64, AtomicU64>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    event: String,
    result: String,
    action: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    event: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupLabels {
    result: LookupResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelValue)]
enum LookupResult {
    Records,
    NoName,
    NoData,
    Temporary,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    domain: String,
    selector: String,
}

/// The ages of more keys than this are not told one by one.
const MAX_KEYS: usize = 1000;

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("dkimkit");
        // From 0.1 ms to 26 s.
        let histogram = || Histogram::new(exponential_buckets(0.0001, 4.0, 10));
        let metrics = Metrics {
            registry: Registry::default(),
            messages: Family::default(),
            seconds: Family::new_with_constructor(histogram as fn() -> Histogram),
            octets: Counter::default(),
            lookups: Family::default(),
            lookup_seconds: histogram(),
            cache_hits: Counter::default(),
            connections: Counter::default(),
            open: Gauge::default(),
            reloads: Family::default(),
            loaded: Gauge::default(),
            keys: Gauge::default(),
            key_troubles: Gauge::default(),
            key_age: Family::default(),
        };
        registry.register(
            "messages",
            "Messages by what was done with them and its result",
            metrics.messages.clone(),
        );
        registry.register_with_unit(
            "message",
            "Time from MAIL to the answer to the whole message",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register_with_unit(
            "read",
            "Header and body as the MTA sent them",
            Unit::Bytes,
            metrics.octets.clone(),
        );
        registry.register(
            "dns_lookups",
            "Lookups of keys by what came back",
            metrics.lookups.clone(),
        );
        registry.register_with_unit(
            "dns_lookup",
            "Time that a lookup of a key took",
            Unit::Seconds,
            metrics.lookup_seconds.clone(),
        );
        registry.register(
            "key_cache_hits",
            "Keys that needed no lookup",
            metrics.cache_hits.clone(),
        );
        registry.register(
            "connections",
            "Connections of MTAs",
            metrics.connections.clone(),
        );
        registry.register(
            "connections_open",
            "Connections of MTAs that are open",
            metrics.open.clone(),
        );
        registry.register(
            "reloads",
            "Reloads of keys and configuration",
            metrics.reloads.clone(),
        );
        registry.register_with_unit(
            "loaded_timestamp",
            "When keys and configuration were last loaded, in Unix time",
            Unit::Seconds,
            metrics.loaded.clone(),
        );
        registry.register("signing_keys", "Keys that sign", metrics.keys.clone());
        registry.register(
            "key_troubles",
            "What is wrong with keys; the log and --check say what",
            metrics.key_troubles.clone(),
        );
        registry.register_with_unit(
            "signing_key_since",
            "Since when a key signs, in Unix time",
            Unit::Seconds,
            metrics.key_age.clone(),
        );
        Metrics {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// All of them as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(super) fn answered(
        &self,
        event: &str,
        result: &str,
        action: &str,
        took: Duration,
        octets: u64,
    ) {
        let labels = MessageLabels {
            event: event.to_owned(),
            result: result.to_owned(),
            action: action.to_owned(),
        };
        self.messages.get_or_create(&labels).inc();
        let labels = EventLabels {
            event: event.to_owned(),
        };
        let seconds = self.seconds.get_or_create(&labels);
        seconds.observe(took.as_secs_f64());
        self.octets.inc_by(octets);
    }

    pub(super) fn looked_up(&self, answer: &Answer, took: Duration) {
        let result = match answer {
            Answer::Records { .. } => LookupResult::Records,
            Answer::NoName => LookupResult::NoName,
            Answer::NoData => LookupResult::NoData,
            Answer::Temporary(_) => LookupResult::Temporary,
        };
        self.lookups.get_or_create(&LookupLabels { result }).inc();
        self.lookup_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn cache_hit(&self) {
        self.cache_hits.inc();
    }

    pub(super) fn opened(&self) {
        self.connections.inc();
        self.open.inc();
    }

    pub(super) fn closed(&self) {
        self.open.dec();
    }

    pub(super) fn reloaded(&self, good: bool) {
        let result = if good { "done" } else { "refused" }.to_owned();
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
    }

    pub(super) fn loaded(&self, keyring: &Keyring, now: UnixTime) {
        let active = keyring.active();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.loaded.set(i64::try_from(now.0).unwrap_or(i64::MAX));
        self.keys.set(number(active.len()));
        self.key_troubles.set(number(keyring.troubles().len()));
        self.key_age.clear();
        for (domain, key) in active.into_iter().take(MAX_KEYS) {
            let labels = KeyLabels {
                domain: domain.to_owned(),
                selector: key.selector.as_ascii().to_owned(),
            };
            if let Some(since) = key.since {
                self.key_age.get_or_create(&labels).set(since.0 as f64);
            }
        }
    }
}
