//! The milter as a service: sockets and keys first, then another user, then the mail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dkimkit::keystore::KeyStore;
use dkimkit::milter::config::Config;
use dkimkit::milter::filter::Filter;
use dkimkit::milter::journal::{Entry, Journal, Severity};
use dkimkit::milter::keyring::{Keyring, StoredKey, stamp};
use dkimkit::milter::{self, Listener, metrics};
use dkimkit::time::UnixTime;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::identity::Identity;
use super::logs::Log;
use super::watchdog::{self, Heartbeat};
use super::{host_name, read_config, sockets};
use crate::cli::Exit;
use crate::cli::speech::Trouble;

pub(super) fn run(path: &Path) -> Result<Exit, Trouble> {
    // Where the program changes its directory or its rights, the file is still the same.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let config = read_config(&path)?;
    let identity = Identity::of(&config)?;
    // When this ends, however that comes, the log is written to its end.
    let log = Log::open(&config)?;
    let journal = log.journal();
    let sockets = sockets::open_all(&config)?;
    // Before the keys are read: what changes meanwhile is seen the next time.
    let seen = stamp(&path, &config);
    let mut keyring = Keyring::load(&config, &Keyring::default());
    if let Some(trouble) = keyring.unreadable() {
        return Err(Trouble::usage(trouble).hint(CHECK));
    }
    // While it is root that looks: the user of the milter may hardly write there.
    let unnoted = note_lifetimes(&config, &keyring);
    if let Some(identity) = identity {
        identity.become_it()?;
        // What was opened stays open, but a reload must not lose it.
        let again = Keyring::load(&config, &keyring);
        if again.troubles().len() > keyring.troubles().len() {
            let trouble = again.troubles().last().cloned().unwrap_or_default();
            let text = format!("what root could read, the user of the milter cannot: {trouble}");
            return Err(Trouble::usage(text).hint(CHECK));
        }
        keyring = again;
        for path in keyring.paths() {
            if let Err(error) = std::fs::File::open(path) {
                let text = format!(
                    "{} was read by root; when it changes, the user of the milter cannot read it: {error}",
                    path.display()
                );
                journal.write(&Entry::new(Severity::Warning, "key-trouble").with("detail", text));
            }
        }
    }
    tell_of(&*journal, &keyring);
    if let Some(text) = unnoted {
        journal.write(&Entry::new(Severity::Warning, "note").with("detail", text));
    }
    if config.sign && config.signing.authenticated && config.sender_login.is_none() {
        let text =
            "there is no [sender_login]: every login may use every From address that has a key";
        journal.write(&Entry::new(Severity::Notice, "note").with("detail", text));
    }
    if config.sign && keyring.signing() == 0 {
        let text = "there is no key that signs: all mail leaves unsigned";
        journal.write(&Entry::new(Severity::Warning, "note").with("detail", text));
    }
    let filter = Filter::new(config, keyring, &host_name(), journal.clone(), clock)
        .map_err(|error| Trouble::usage(error).about(&path.display().to_string()))?;
    let service = Arc::new(Daemon {
        path,
        filter: Arc::new(filter),
        journal,
        heart: Arc::default(),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Trouble::new(
            Exit::TempFail,
            format!("no threads can be started: {error}"),
        )
    })?;
    let ended = runtime.block_on(service.serve(sockets.mtas, sockets.metrics, seen));
    // A reload that waits for a file system does not hold up the end.
    runtime.shutdown_background();
    ended
}

const CHECK: &str = "--check tells more, and what mends it";

pub(super) fn clock() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime(since.map_or(0, |since| since.as_secs()))
}

/// What is to be known of a configuration and its keys when they are put to use.
fn tell_of(journal: &dyn Journal, keyring: &Keyring) {
    for trouble in keyring.troubles() {
        journal.write(&Entry::new(Severity::Error, "key-trouble").with("detail", trouble));
    }
    for warning in keyring.warnings() {
        journal.write(&Entry::new(Severity::Warning, "key-trouble").with("detail", warning));
    }
}

/// A rotation keeps records for as long as signatures last: the store is told. Returns why it could not be.
fn note_lifetimes(config: &Config, keyring: &Keyring) -> Option<String> {
    let lifetime = config.signing.expires?;
    let store = KeyStore::new(&config.keys);
    let note = |(domain, key): (&str, &StoredKey)| {
        let selectors = [key.selector.clone()];
        let domain = domain.parse().ok()?;
        let noted = store.note_lifetime(&domain, &selectors, lifetime, clock());
        noted.err()
    };
    let failed: Vec<_> = keyring.active().into_iter().filter_map(note).collect();
    let error = failed.first()?;
    Some(format!(
        "that signatures last {lifetime} s cannot be noted in the store for {} keys, so that `dkimkit rotate` \
         may withdraw a record too early; the owner of the store notes it by \
         `dkimkit sign --expires {lifetime}s` of any message: {error}",
        failed.len()
    ))
}

/// However large the store is, it is looked at so often.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

struct Daemon {
    path: PathBuf,
    filter: Arc<Filter>,
    journal: Arc<dyn Journal>,
    /// That of reloading.
    heart: Arc<Heartbeat>,
}

/// However large a store is, it is read in this time.
const LOADING: Duration = Duration::from_secs(600);

impl Daemon {
    async fn serve(
        self: Arc<Daemon>,
        listeners: Vec<Listener>,
        metrics: Vec<Listener>,
        seen: u64,
    ) -> Result<Exit, Trouble> {
        let no_signals =
            |error| Trouble::new(Exit::TempFail, format!("no signals can be had: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
        let (end, ending) = watch::channel(false);
        let live = self.filter.live();
        let limits = live.config().limits.clone();
        let listening: Vec<String> = live
            .config()
            .listen
            .iter()
            .map(ToString::to_string)
            .collect();
        drop(live);
        let mut serving = JoinSet::new();
        for listener in listeners {
            let mut ending = ending.clone();
            let shutdown = async move {
                let _ = ending.wait_for(|end| *end).await;
            };
            let (filter, limits) = (self.filter.clone(), limits.clone());
            serving.spawn(milter::run(listener, filter, limits, shutdown));
        }
        for listener in metrics {
            // It ends with the program: nothing of it has to be kept.
            let daemon = self.clone();
            tokio::spawn(async move {
                if let Err(error) = metrics::serve(listener, daemon.filter.clone()).await {
                    let entry = Entry::new(Severity::Error, "metrics-stopped");
                    daemon.journal.write(&entry.with("detail", error));
                }
            });
        }
        if let Some(every) = sd_notify::watchdog_enabled() {
            let tell = || notify(&[NotifyState::Watchdog]);
            watchdog::start(every, self.heart.clone(), tell);
        }
        let reloading = tokio::spawn(self.clone().reload_for_ever(hangup, seen));
        let keyring = self.filter.live().keyring().signing();
        self.journal.write(
            &Entry::new(Severity::Notice, "started")
                .with("listen", listening.join(","))
                .with("signing_keys", keyring),
        );
        notify(&[NotifyState::Ready]);
        let mut exit = Exit::Done;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            ended = serving.join_next() => {
                let text = match ended {
                    Some(Ok(Err(error))) => error.to_string(),
                    _ => "a listener ended".to_owned(),
                };
                self.journal.write(&Entry::new(Severity::Error, "stopped").with("detail", text));
                exit = Exit::TempFail;
            }
        }
        notify(&[NotifyState::Stopping]);
        reloading.abort();
        self.heart.expect(None);
        let _ = end.send(true);
        let mut abandoned = 0;
        while let Some(ended) = serving.join_next().await {
            abandoned += ended.map_or(0, |ended| ended.map_or(0, |ending| ending.abandoned));
        }
        self.journal
            .write(&Entry::new(Severity::Notice, "ended").with("abandoned_messages", abandoned));
        Ok(exit)
    }

    /// Reads keys and configuration again when SIGHUP comes, or when one of their files has changed.
    async fn reload_for_ever(
        self: Arc<Daemon>,
        mut hangup: tokio::signal::unix::Signal,
        mut seen: u64,
    ) {
        // A store that takes long to look at is looked at less often.
        let mut pause = Duration::ZERO;
        let mut last = seen;
        loop {
            let every = self.filter.live().config().reload_every;
            let every = every.map(|every| every.max(pause));
            self.heart
                .expect(every.map(|every| every.saturating_add(LOADING)));
            let asked = match every {
                Some(every) => tokio::select! {
                    _ = hangup.recv() => true,
                    () = sleep(every) => false,
                },
                None => hangup.recv().await.is_some(),
            };
            self.heart.expect(Some(LOADING));
            let daemon = self.clone();
            let work = move || {
                let began = Instant::now();
                let now = stamp(&daemon.path, daemon.filter.live().config());
                let took = began.elapsed();
                // A file that is still being written is not read before it has come to rest.
                match asked || (now != seen && now == last) {
                    true => (daemon.reload(now), now, took),
                    false => (seen, now, took),
                }
            };
            // What panics there is tried again.
            let done = tokio::task::spawn_blocking(work).await;
            let (loaded, looked, took) = done.unwrap_or((seen, last, Duration::ZERO));
            (seen, last) = (loaded, looked);
            pause = (took * 50).min(LONGEST_PAUSE);
        }
    }

    /// Loads everything anew. Where the configuration cannot be used, the keys are loaded all the same: one that
    /// was retired must not go on signing because of a slip of the pen elsewhere. `now` is the stamp from before; returned is that of what was loaded.
    fn reload(&self, now: u64) -> u64 {
        let old = self.filter.live();
        if let Ok(reloading) = NotifyState::monotonic_usec_now() {
            notify(&[NotifyState::Reloading, reloading]);
        }
        let config = read_config(&self.path).map_err(|trouble| trouble.to_string());
        let replaced = config.and_then(|config| {
            let again = stamp(&self.path, &config);
            let keyring = Keyring::load(&config, old.keyring());
            if let Some(trouble) = keyring.unreadable() {
                return Err(format!("keys: {trouble}"));
            }
            for key in needs_restart(old.config(), &config) {
                let text = format!("{key} has changed, which takes a restart");
                self.journal
                    .write(&Entry::new(Severity::Warning, "note").with("detail", text));
            }
            tell_of(&*self.journal, &keyring);
            let replaced = self.filter.replace(config, keyring);
            replaced.map_err(|error| error.to_string())?;
            Ok(again)
        });
        let seen = match replaced {
            // Other files may count now; what changed in those that counted before is seen again.
            Ok(again) if now == stamp(&self.path, old.config()) => again,
            Ok(_) => 0,
            Err(error) => {
                self.filter.refused();
                let entry = Entry::new(Severity::Error, "reload-refused").with("detail", error);
                let note =
                    "the configuration that was loaded before stays in use, with the keys of now";
                self.journal.write(&entry.with("note", note));
                let keyring = Keyring::load(old.config(), old.keyring());
                for trouble in keyring.troubles() {
                    let entry = Entry::new(Severity::Error, "key-trouble");
                    self.journal.write(&entry.with("detail", trouble));
                }
                self.filter.replace_keys(keyring);
                now
            }
        };
        let live = self.filter.live();
        let keyring = live.keyring();
        self.journal.write(
            &Entry::new(Severity::Notice, "reloaded")
                .with("signing_keys", keyring.signing())
                .with("key_troubles", keyring.troubles().len()),
        );
        // New keys are noted where that is allowed; where it is not, that was told at the start.
        let _ = note_lifetimes(live.config(), keyring);
        notify(&[NotifyState::Ready]);
        seen
    }
}

/// The keys that are looked at once, and have changed.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changed = [
        ("listen", old.listen != new.listen),
        ("socket_mode", old.socket_mode != new.socket_mode),
        ("socket_group", old.socket_group != new.socket_group),
        ("user", old.user != new.user),
        ("group", old.group != new.group),
        ("log_to", old.log_to != new.log_to),
        ("syslog", old.syslog != new.syslog),
        ("limits", old.limits != new.limits),
        ("metrics", old.metrics != new.metrics),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(key, _)| key).collect()
}

/// Tells the service manager, where there is one.
fn notify(state: &[NotifyState]) {
    let _ = sd_notify::notify(state);
}
