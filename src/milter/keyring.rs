//! The private keys that are in use: read from the key store and from the files of rules, kept in memory,
//! read anew when something has changed.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::Config;
use crate::key::SigningKey;
use crate::keystore::{KeyState, KeyStore, StoreError, read_key, unsafe_mode};
use crate::name::{Domain, Selector};
use crate::time::UnixTime;

/// The keys of a moment. It is not changed; another one takes its place.
#[derive(Debug, Default)]
pub struct Keyring {
    /// By domain in A-labels.
    domains: HashMap<String, DomainKeys>,
    /// The keys of rules, by path.
    files: HashMap<PathBuf, RuleFile>,
    /// Paths of rules that never could be looked for, and why.
    lost: HashMap<String, String>,
    /// Where the store is.
    dir: PathBuf,
    /// Why the store cannot be read, if it is needed and cannot.
    unreadable: Option<String>,
    /// What is wrong, and what is not well, in words that name the way out.
    troubles: Vec<String>,
    warnings: Vec<String>,
}

/// What the store has for a domain.
#[derive(Debug, Clone)]
struct DomainKeys {
    /// Why its states cannot be read.
    broken: Option<String>,
    keys: Vec<StoredKey>,
}

/// A selector of the store.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// s=
    pub selector: Selector,
    /// Whether it signs.
    pub state: KeyState,
    /// Since when it has that state.
    pub since: Option<UnixTime>,
    /// The key, or why it cannot be used; `None` for one that does not sign.
    pub key: Option<Result<Arc<SigningKey>, String>>,
    path: PathBuf,
    stamp: Option<Stamp>,
}

impl StoredKey {
    fn loaded(&self) -> Option<Loaded> {
        let (key, stamp) = (self.key.clone()?, self.stamp);
        Some(Loaded { key, stamp })
    }
}

/// A key file of a rule.
#[derive(Debug, Clone)]
struct RuleFile {
    /// The path as the rule has it.
    rule: String,
    /// The domain for which it stands, where the path has a place for one.
    domain: Option<Domain>,
    loaded: Loaded,
}

/// A key file as it was read.
#[derive(Debug, Clone)]
struct Loaded {
    key: Result<Arc<SigningKey>, String>,
    stamp: Option<Stamp>,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            // A change of the mode counts as well.
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Keyring {
    /// Reads all keys that `config` can need. A key file that has not changed since `before` was read is not
    /// read again: it may belong to somebody else by now.
    pub fn load(config: &Config, before: &Keyring) -> Keyring {
        let mut ring = Keyring::default();
        if !config.sign {
            return ring;
        }
        let rules = config.signing.rules.all();
        if rules.is_empty() || rules.iter().any(|rule| rule.key.is_none()) {
            ring.add_store(&KeyStore::new(&config.keys), before);
        }
        for path in rules.iter().filter_map(|rule| rule.key.as_deref()) {
            ring.add_files(path, before);
        }
        ring
    }

    /// The files of a rule.
    fn add_files(&mut self, path: &str, before: &Keyring) {
        match expanded(path) {
            Ok(found) => {
                for one in found {
                    self.add_file(path, one, before);
                }
            }
            // As with the store: what was known is better than nothing.
            Err(error) => {
                let known = before.files.iter().filter(|(_, file)| file.rule == path);
                let known: Vec<_> = known.map(|(a, b)| (a.clone(), b.clone())).collect();
                let text = format!("the keys {path} cannot be looked for: {error}");
                if known.is_empty() {
                    self.troubles.push(text.clone());
                    self.lost.insert(path.to_owned(), text);
                } else {
                    let text = format!("{text}; what was loaded before stays in use");
                    self.troubles.push(text);
                    self.files.extend(known);
                }
            }
        }
    }

    fn add_store(&mut self, store: &KeyStore, before: &Keyring) {
        let dir = store.dir();
        self.dir = dir.to_owned();
        // Another store has other keys.
        let nothing = Keyring::default();
        let before = if before.dir == dir { before } else { &nothing };
        // One that is not there is empty for those who make keys, and a mistake for those who sign.
        let there = fs::metadata(dir).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such directory",
                io::ErrorKind::PermissionDenied => "this user cannot get there",
                _ => "it cannot be read",
            };
            format!("the key store {}: {why}", dir.display())
        });
        let domains = there.and_then(|_| store.domains().map_err(|error| error.to_string()));
        let domains = domains.and_then(|domains| match domains.is_empty() {
            true if !before.domains.is_empty() => Err(format!(
                "the key store {} is empty: is its file system mounted?",
                dir.display()
            )),
            _ => Ok(domains),
        });
        match domains {
            Ok(domains) => {
                for domain in domains {
                    self.add_domain(store, &domain, before);
                }
            }
            Err(error) if before.domains.is_empty() => {
                self.troubles.push(error.clone());
                self.unreadable = Some(error);
            }
            // What was known when it could be read is better than nothing: mail would leave unsigned.
            Err(error) => {
                self.troubles
                    .push(format!("{error}; what was loaded before stays in use"));
                self.domains.clone_from(&before.domains);
            }
        }
    }

    fn add_domain(&mut self, store: &KeyStore, domain: &Domain, before: &Keyring) {
        let mut domain_keys = DomainKeys {
            broken: None,
            keys: Vec::new(),
        };
        match store.entries(domain) {
            // An empty directory says nothing about a domain.
            Ok(entries) if entries.is_empty() => return,
            Ok(entries) => {
                if entries.len() > 1 && entries.iter().all(|e| e.since.is_none()) {
                    let selectors = entries.iter().map(|e| e.selector.to_string()).collect();
                    let domain = domain.clone();
                    let error = StoreError::Undecided { domain, selectors };
                    self.troubles.push(error.to_string());
                }
                for entry in entries {
                    let path = store.pem_path(domain, &entry.selector);
                    let active = entry.state == KeyState::Active;
                    let old = before.stored(domain, &entry.selector);
                    let loaded = active.then(|| {
                        let old = old.and_then(StoredKey::loaded);
                        self.read(&path, old)
                    });
                    domain_keys.keys.push(StoredKey {
                        selector: entry.selector,
                        state: entry.state,
                        since: entry.since,
                        stamp: loaded.as_ref().and_then(|loaded| loaded.stamp),
                        key: loaded.map(|loaded| loaded.key),
                        path,
                    });
                }
            }
            Err(error) => {
                let known = before.domains.get(domain.as_ascii());
                match (&error, known.filter(|known| known.broken.is_none())) {
                    (StoreError::Io { .. }, Some(known)) => {
                        self.troubles
                            .push(format!("{error}; what was loaded before stays in use"));
                        domain_keys = known.clone();
                    }
                    _ => {
                        self.troubles.push(error.to_string());
                        domain_keys.broken = Some(error.to_string());
                    }
                }
            }
        }
        self.domains
            .insert(domain.as_ascii().to_owned(), domain_keys);
    }

    fn add_file(&mut self, rule: &str, one: Expanded, before: &Keyring) {
        if self.files.contains_key(&one.wanted) {
            return;
        }
        let old = before.files.get(&one.wanted).map(|old| old.loaded.clone());
        let file = RuleFile {
            rule: rule.to_owned(),
            domain: one.domain,
            loaded: self.read(&one.file, old),
        };
        self.files.insert(one.wanted, file);
    }

    fn read(&mut self, path: &Path, old: Option<Loaded>) -> Loaded {
        // Before it is read: what changes meanwhile is seen the next time.
        let stamp = Stamp::of(path);
        if let Some(mode) = unsafe_mode(path) {
            self.warnings.push(format!(
                "{}: its mode {mode:04o} lets others in; mend it with: chmod 0640 {0}",
                path.display()
            ));
        }
        if let Some(old) = old
            && old.key.is_ok()
            && old.stamp.is_some()
            && old.stamp == stamp
        {
            return old;
        }
        let key = read_key(path).map(Arc::new).map_err(|error| {
            let error = unreadable(path, &error);
            self.troubles.push(error.clone());
            error
        });
        Loaded { key, stamp }
    }

    /// What is wrong: keys that should sign and cannot. Each in words that name the way out.
    pub fn troubles(&self) -> &[String] {
        &self.troubles
    }

    /// What is not well: keys that sign, and that others can read or write.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Why the store cannot be read, where it is needed and never could be.
    pub fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Whether the store has keys for a domain, in whatever state.
    pub fn knows(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain.as_ascii())
    }

    /// Why it cannot be known which keys of a domain sign, if it cannot.
    pub fn broken(&self, domain: &Domain) -> Option<&str> {
        let of_domain = self.domains.get(domain.as_ascii());
        let of_domain = of_domain.and_then(|domain| domain.broken.as_deref());
        of_domain.or(self.unreadable())
    }

    /// The selectors of a domain.
    pub fn selectors(&self, domain: &Domain) -> &[StoredKey] {
        self.domains
            .get(domain.as_ascii())
            .map_or(&[], |domain| &domain.keys)
    }

    /// A selector of a domain.
    pub fn stored(&self, domain: &Domain, selector: &Selector) -> Option<&StoredKey> {
        let mut keys = self.selectors(domain).iter();
        keys.find(|key| key.selector == *selector)
    }

    /// The key of a rule, or why it cannot be used.
    pub fn file(&self, path: &Path) -> Option<&Result<Arc<SigningKey>, String>> {
        self.files.get(path).map(|file| &file.loaded.key)
    }

    /// The keys that the path of a rule stands for, with their domains where it has a place for one.
    pub fn rule_files<'a>(
        &'a self,
        rule: &'a str,
    ) -> impl Iterator<Item = (Option<&'a Domain>, &'a Arc<SigningKey>)> {
        let files = self.files.values().filter(move |file| file.rule == rule);
        files.filter_map(|file| Some((file.domain.as_ref(), file.loaded.key.as_ref().ok()?)))
    }

    /// Why the files of a rule could not be looked for, where they never could.
    pub fn lost(&self, rule: &str) -> Option<&str> {
        self.lost.get(rule).map(String::as_str)
    }

    /// How many keys there are to sign with: those of the store that are active, and those of rules.
    pub fn signing(&self) -> usize {
        let usable = |key: &&StoredKey| matches!(key.key, Some(Ok(_)));
        let stored = self.domains.values().flat_map(|domain| &domain.keys);
        let files = self.files.values().filter(|file| file.loaded.key.is_ok());
        stored.filter(usable).count() + files.count()
    }

    /// The keys that sign, with their domains, in order.
    pub fn active(&self) -> Vec<(&str, &StoredKey)> {
        let all = self.domains.iter().flat_map(|(domain, keys)| {
            let keys = keys.keys.iter();
            let active = keys.filter(|key| key.state == KeyState::Active);
            active.map(move |key| (domain.as_str(), key))
        });
        let ordered: BTreeMap<_, _> = all
            .map(|(domain, key)| ((domain, key.selector.as_ascii()), (domain, key)))
            .collect();
        ordered.into_values().collect()
    }

    /// The paths of all key files that sign.
    pub fn paths(&self) -> Vec<&Path> {
        let stored = self.active().into_iter().map(|(_, key)| key.path.as_path());
        stored
            .chain(self.files.keys().map(PathBuf::as_path))
            .collect()
    }
}

/// The error, with what mends it.
fn unreadable(path: &Path, error: &StoreError) -> String {
    match error {
        StoreError::Io {
            kind: io::ErrorKind::PermissionDenied,
            ..
        } => {
            let mode = fs::metadata(path).map_or(0, |m| m.mode() & 0o7777);
            format!(
                "{error}: its mode is {mode:04o}; give it the group of the milter and mode 0640, \
                 or make keys with --group"
            )
        }
        _ => error.to_string(),
    }
}

/// A file that a path with `%` stands for.
struct Expanded {
    /// The domain, where the path has a place for one.
    domain: Option<Domain>,
    /// By which path it is wanted: with the domain in A-labels.
    wanted: PathBuf,
    file: PathBuf,
}

/// The files that a path with `%` for a domain stands for. A path without `%` is itself.
fn expanded(path: &str) -> io::Result<Vec<Expanded>> {
    let Some((before, after)) = path.split_once('%') else {
        return Ok(vec![Expanded {
            domain: None,
            wanted: PathBuf::from(path),
            file: PathBuf::from(path),
        }]);
    };
    // The domain may stand for a file or for a directory above it.
    let (dir, head) = before.rsplit_once('/').unwrap_or((".", before));
    let (tail, below) = match after.split_once('/') {
        Some((tail, below)) => (tail, Some(below)),
        None => (after, None),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(if dir.is_empty() { "/" } else { dir })? {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        let bare = name.strip_prefix(head).and_then(|n| n.strip_suffix(tail));
        let Some(Ok(domain)) = bare.map(Domain::new) else {
            continue;
        };
        let file = match below {
            Some(below) => format!("{dir}/{name}/{}", below.replace('%', domain.as_ascii())),
            None => format!("{dir}/{name}"),
        };
        // What cannot be looked at is read all the same, and told of.
        let there = fs::metadata(&file).map_or_else(
            |error| error.kind() != io::ErrorKind::NotFound,
            |metadata| metadata.is_file(),
        );
        if there {
            found.push(Expanded {
                wanted: PathBuf::from(path.replace('%', domain.as_ascii())),
                file: PathBuf::from(file),
                domain: Some(domain),
            });
        }
    }
    found.sort_by(|a, b| a.wanted.cmp(&b.wanted));
    Ok(found)
}

/// A number for the state of everything that [`Keyring::load`] and the configuration depend on: it changes
/// when a file, a directory or a mode has.
pub fn stamp(config_file: &Path, config: &Config) -> u64 {
    let mut hasher = DefaultHasher::new();
    Stamp::of(config_file).hash(&mut hasher);
    if config.verifying.nameservers.is_empty() {
        Stamp::of(Path::new("/etc/resolv.conf")).hash(&mut hasher);
    }
    if config.sign {
        let dir = &config.keys;
        Stamp::of(dir).hash(&mut hasher);
        let mut domains: Vec<PathBuf> = fs::read_dir(dir)
            .map(|entries| entries.flatten().map(|e| e.path()).collect())
            .unwrap_or_default();
        domains.sort();
        for domain in domains {
            domain.hash(&mut hasher);
            Stamp::of(&domain).hash(&mut hasher);
            Stamp::of(&domain.join("selectors")).hash(&mut hasher);
            let mut keys: Vec<PathBuf> = fs::read_dir(&domain)
                .map(|entries| entries.flatten().map(|e| e.path()).collect())
                .unwrap_or_default();
            keys.retain(|path| path.extension().is_some_and(|e| e == "pem"));
            keys.sort();
            for key in keys {
                key.hash(&mut hasher);
                Stamp::of(&key).hash(&mut hasher);
            }
        }
        for path in config
            .signing
            .rules
            .all()
            .iter()
            .filter_map(|r| r.key.as_deref())
        {
            for one in expanded(path).unwrap_or_default() {
                one.file.hash(&mut hasher);
                Stamp::of(&one.file).hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}
