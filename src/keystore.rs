//! The key store on disk: `<domain>/<selector>.pem`, its record beside it, and which selector is in use.
//!
//! A key file is created whole, for its owner alone, and never overwritten. The states of a domain's
//! selectors stand in one readable file, `selectors`, a line each, with what else is to be remembered:
//!
//! ```text
//! mail active 2026-11-21T11:05:00Z lifetime=1209600
//! mail2 pending 2027-05-20T04:00:00Z hold=3600 served=2027-05-20T04:10:00Z
//! ```

mod error;
mod files;
mod import;
mod states;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use self::files::{
    at, find_group, is_open_to, keep_aside, lock, names_in, place, prepare, read_capped, sweep,
};
use crate::dns::{Answer, LookupTxt as _, Zone};
use crate::key::{RsaSizes, SigningKey, VerifyingKey};
use crate::name::{Domain, KeyName, Selector};
use crate::publish::zone_line;
use crate::record::KeyRecord;
use crate::time::UnixTime;

pub use self::error::StoreError;
pub use self::states::{Entry, KeyState, Notes};

use self::states::{Line, States};

/// A directory of keys.
#[derive(Debug, Clone)]
pub struct KeyStore {
    dir: PathBuf,
}

/// The files that a new key was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The private key.
    pub pem: PathBuf,
    /// The record.
    pub txt: PathBuf,
    /// The state that it got.
    pub state: KeyState,
    /// What the old files are called now, if there were any.
    pub renamed: Vec<PathBuf>,
    /// Directories that were there before and that the group cannot enter.
    pub closed_to_group: Vec<PathBuf>,
}

/// How a new key is put into the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct Placing<'a> {
    /// Make it active at once.
    pub activate: bool,
    /// Rename an old pair of the same selector out of the way.
    pub force: bool,
    /// Let this group read the private key.
    pub group: Option<&'a str>,
}

/// A key on its way into the store.
#[derive(Clone, Copy)]
struct NewKey<'a> {
    domain: &'a Domain,
    selector: &'a Selector,
    key: &'a SigningKey,
    record: &'a KeyRecord,
}

impl KeyStore {
    /// The store in `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> KeyStore {
        KeyStore { dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the private key of a selector stands.
    pub fn pem_path(&self, domain: &Domain, selector: &Selector) -> PathBuf {
        self.file(domain, selector, "pem")
    }

    /// Where the record of a selector stands.
    pub fn txt_path(&self, domain: &Domain, selector: &Selector) -> PathBuf {
        self.file(domain, selector, "txt")
    }

    fn file(&self, domain: &Domain, selector: &Selector, extension: &str) -> PathBuf {
        let name = format!("{}.{extension}", selector.as_ascii());
        self.domain_dir(domain).join(name)
    }

    fn domain_dir(&self, domain: &Domain) -> PathBuf {
        // A checked name has neither a slash nor an empty label, so that it cannot leave the store.
        self.dir.join(domain.as_ascii())
    }

    /// Writes a new key with its record (a line of a zone file) and notes its state: the first key of a
    /// domain is active, every later one pending.
    ///
    /// ```
    /// use dkimkit::key::{KeyKind, SigningKey};
    /// use dkimkit::keystore::{KeyStore, Placing};
    /// use dkimkit::name::{Domain, Selector};
    /// use dkimkit::record::KeyRecord;
    /// use dkimkit::time::UnixTime;
    /// let dir = tempfile::tempdir()?;
    /// let store = KeyStore::new(dir.path());
    /// let (domain, selector) = (Domain::new("example.com")?, Selector::new("mail")?);
    /// let key = SigningKey::generate(KeyKind::Ed25519)?;
    /// let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
    /// store.add(&domain, &selector, &key, &record, Placing::default(), UnixTime(1_700_000_000))?;
    /// assert_eq!(store.active(&domain)?, [selector]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Exists`] where the selector has a key or a record already and `force` is not set; then
    /// nothing was changed.
    pub fn add(
        &self,
        domain: &Domain,
        selector: &Selector,
        key: &SigningKey,
        record: &KeyRecord,
        placing: Placing<'_>,
        now: UnixTime,
    ) -> Result<Stored, StoreError> {
        let key = NewKey {
            domain,
            selector,
            key,
            record,
        };
        self.put(&key, placing, now, |first| {
            match placing.activate || first {
                true => KeyState::Active,
                false => KeyState::Pending,
            }
        })
    }

    /// Writes a key in the state that `state` says, which is told whether it is the first of its domain.
    fn put(
        &self,
        new: &NewKey<'_>,
        placing: Placing<'_>,
        now: UnixTime,
        state: impl FnOnce(bool) -> KeyState,
    ) -> Result<Stored, StoreError> {
        let NewKey {
            domain,
            selector,
            key,
            record,
        } = *new;
        let name = KeyName::new(selector, domain)?;
        let group = placing.group.map(find_group).transpose()?;
        let dir = self.domain_dir(domain);
        let new: Vec<&Path> = [self.dir.as_path(), &dir]
            .into_iter()
            .filter(|dir| !dir.exists())
            .collect();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(at(&dir))?;
        if group.is_some() {
            // A group that may read the key must get to it.
            for dir in new {
                std::os::unix::fs::chown(dir, None, group).map_err(at(dir))?;
                fs::set_permissions(dir, Permissions::from_mode(0o750)).map_err(at(dir))?;
            }
        }
        let _lock = lock(&dir)?;
        sweep(&dir)?;
        let (pem, txt) = (
            self.pem_path(domain, selector),
            self.txt_path(domain, selector),
        );
        let mut states = self.read_states(domain)?;
        let there = |path: &Path| fs::symlink_metadata(path).is_ok();
        // What was killed before the key was in its place left a line and a record: they are of no key.
        let left = !there(&pem) && states.lines.contains_key(selector.as_ascii());
        for path in [&pem, &txt] {
            if !placing.force && !left && there(path) {
                return Err(StoreError::Exists { path: path.clone() });
            }
        }
        let entries = self.entries(domain)?;
        for entry in &entries {
            // A key that was alone until now was active without a file that said so.
            let name = entry.selector.as_ascii().to_owned();
            let since = || self.made(domain, &entry.selector).unwrap_or(now);
            states
                .lines
                .entry(name)
                .or_insert_with(|| entry.line(since()));
        }
        let state = state(entries.is_empty());
        let line = Line::new(state, now);
        states.lines.insert(selector.as_ascii().to_owned(), line);

        // All is written before anything appears, so that a full disk leaves the store as it was.
        let mode = if group.is_some() { 0o640 } else { 0o600 };
        let text = key.to_pkcs8_pem()?;
        let new_pem = prepare(&pem, text.as_bytes(), mode, group)?;
        let line = zone_line(&name, &record.to_string());
        let new_txt = prepare(&txt, line.as_bytes(), 0o644, None)?;
        let new_states = self.prepare_states(domain, &states)?;
        let is_new = fs::symlink_metadata(&pem).is_err();
        let mut renamed = Vec::new();
        for path in [&pem, &txt] {
            renamed.extend(keep_aside(path, now)?);
        }
        let place_states = || place(new_states, &self.states_path(domain), true);
        if is_new {
            // The key comes last: before it, its line and its record mean nothing; without them nobody would know
            // which of two keys signs, or what the record is to say.
            place_states()?;
            place(new_txt, &txt, placing.force || left)?;
            place(new_pem, &pem, placing.force)?;
        } else {
            place(new_pem, &pem, placing.force)?;
            place(new_txt, &txt, placing.force)?;
            place_states()?;
        }
        File::open(&dir)
            .and_then(|d| d.sync_all())
            .map_err(at(&dir))?;

        let whole = fs::canonicalize(&dir).map_err(at(&dir))?;
        let closed = |dir: &&Path| group.is_some_and(|gid| !is_open_to(dir, gid));
        let closed_to_group = whole.ancestors().filter(closed).map(Path::to_owned);
        Ok(Stored {
            pem,
            txt,
            state,
            renamed,
            closed_to_group: closed_to_group.collect(),
        })
    }

    /// Reads the private key of a selector.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the file cannot be read, [`StoreError::Key`] where it holds no key.
    pub fn key(&self, domain: &Domain, selector: &Selector) -> Result<SigningKey, StoreError> {
        read_key(&self.pem_path(domain, selector))
    }

    /// The record of a selector, word for word as its file says it, held against the private key; made from
    /// the key where there is no file.
    ///
    /// # Errors
    /// [`StoreError::OtherKey`] where the record is not that of the key, [`StoreError::Record`] where the
    /// file holds no key record.
    pub fn record(&self, domain: &Domain, selector: &Selector) -> Result<String, StoreError> {
        let key = self.key(domain, selector)?;
        let kind = key.algorithm().key_type();
        let path = self.txt_path(domain, selector);
        if !path.exists() {
            return Ok(KeyRecord::new(kind, key.public_bytes()).to_string());
        }
        let name = KeyName::new(selector, domain)?;
        let Answer::Records { txt, .. } = read_zone(&path)?.lookup_txt(&name) else {
            return Err(StoreError::NoRecord { path, name });
        };
        let record = KeyRecord::parse(&txt[0], 100).map_err(|error| StoreError::Record {
            path: path.clone(),
            error,
        })?;
        // The two forms of an RSA key in p= are the same key (erratum 3017).
        let same = record.public.is_some_and(|p| {
            let public = VerifyingKey::parse(record.key_type, &p, RsaSizes::default());
            public.is_ok_and(|public| public.public_bytes() == key.public_bytes())
        });
        if !same || record.key_type != kind {
            return Err(StoreError::OtherKey { path });
        }
        Ok(String::from_utf8_lossy(&txt[0]).into_owned())
    }

    /// The domains that have a directory in the store, in order.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the store cannot be read; one that does not exist is empty.
    pub fn domains(&self) -> Result<Vec<Domain>, StoreError> {
        let mut domains = Vec::new();
        for name in names_in(&self.dir)? {
            let Ok(domain) = Domain::new(&name) else {
                continue;
            };
            let path = self.dir.join(&name);
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => domains.push(domain),
                Ok(_) => {}
                // A link that leads nowhere.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(at(&path)(error)),
            }
        }
        Ok(domains)
    }

    /// The selectors of a domain, with their states, in order.
    ///
    /// Without a file that says so, a single key is active; of several, all are pending.
    ///
    /// # Errors
    /// [`StoreError::States`] where the file cannot be understood.
    pub fn entries(&self, domain: &Domain) -> Result<Vec<Entry>, StoreError> {
        let states = self.read_states(domain)?;
        let selectors = self.selectors(domain)?;
        let alone = states.lines.is_empty() && selectors.len() == 1;
        let entry = |selector: Selector| {
            let state = match alone {
                true => KeyState::Active,
                false => KeyState::Pending,
            };
            match states.lines.get(selector.as_ascii()) {
                Some(line) => Entry::of(selector, line),
                None => Entry::without_line(selector, state),
            }
        };
        Ok(selectors.into_iter().map(entry).collect())
    }

    /// The selectors that sign for a domain.
    ///
    /// # Errors
    /// [`StoreError::NoKeys`] for a domain without keys, [`StoreError::Undecided`] where several keys lie
    /// there and no file says which is active, [`StoreError::NoneActive`] where none is.
    pub fn active(&self, domain: &Domain) -> Result<Vec<Selector>, StoreError> {
        let entries = self.entries(domain)?;
        let list = || entries.iter().map(|e| e.selector.to_string()).collect();
        if entries.is_empty() {
            return Err(StoreError::NoKeys {
                domain: domain.clone(),
            });
        }
        let active = entries.iter().filter(|e| e.state == KeyState::Active);
        let active: Vec<Selector> = active.map(|e| e.selector.clone()).collect();
        if !active.is_empty() {
            return Ok(active);
        }
        let domain = domain.clone();
        Err(if entries.iter().all(|e| e.since.is_none()) {
            StoreError::Undecided {
                domain,
                selectors: list(),
            }
        } else {
            StoreError::NoneActive {
                domain,
                selectors: list(),
            }
        })
    }

    /// Gives a selector another state; returns the one that it had.
    ///
    /// # Errors
    /// [`StoreError::NoSuchKey`] where there is no key of that name.
    pub fn set_state(
        &self,
        domain: &Domain,
        selector: &Selector,
        state: KeyState,
        now: UnixTime,
    ) -> Result<KeyState, StoreError> {
        if !self.pem_path(domain, selector).is_file() {
            return Err(StoreError::NoSuchKey {
                path: self.pem_path(domain, selector),
            });
        }
        let mut before = KeyState::Pending;
        self.change(domain, now, |entries| {
            for entry in entries.iter_mut().filter(|e| e.selector == *selector) {
                before = entry.state;
                entry.set_state(state, now);
            }
            true
        })?;
        Ok(before)
    }

    /// Changes what the file says of the selectors of a domain, all at once: whoever reads it sees all of the
    /// change or nothing. `change` sees what is there now; where it returns `false`, or changes nothing,
    /// nothing is written. Returns what `change` returned.
    ///
    /// # Errors
    /// [`StoreError::States`] where the file cannot be understood, [`StoreError::Io`] where it cannot be
    /// replaced; then nothing was changed.
    pub fn change(
        &self,
        domain: &Domain,
        now: UnixTime,
        change: impl FnOnce(&mut [Entry]) -> bool,
    ) -> Result<bool, StoreError> {
        let dir = self.domain_dir(domain);
        let _lock = lock(&dir)?;
        sweep(&dir)?;
        let mut states = self.read_states(domain)?;
        let before = self.entries(domain)?;
        let mut after = before.clone();
        if !change(&mut after) {
            return Ok(false);
        }
        if after == before {
            return Ok(true);
        }
        // Once a file says something, it says it of all.
        for entry in &after {
            let since = self.made(domain, &entry.selector).unwrap_or(now);
            let name = entry.selector.as_ascii().to_owned();
            states.lines.insert(name, entry.line(since));
        }
        self.write_states(domain, &states)?;
        Ok(true)
    }

    /// When the file of a private key was last written.
    pub fn made(&self, domain: &Domain, selector: &Selector) -> Option<UnixTime> {
        let metadata = fs::metadata(self.pem_path(domain, selector)).ok()?;
        let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(UnixTime(since.as_secs()))
    }

    /// Notes that signatures with these keys are made to last for `lifetime` seconds (x= less t=), where that
    /// is longer than was known; a rotation keeps their records for as long.
    ///
    /// # Errors
    /// Those of [`change`](Self::change).
    pub fn note_lifetime(
        &self,
        domain: &Domain,
        selectors: &[Selector],
        lifetime: u64,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let is_news = |entry: &Entry| {
            let known = entry.notes.lifetime.unwrap_or(0);
            selectors.contains(&entry.selector) && known < lifetime
        };
        // Mostly nothing is new, and a signer that may only read the store is left in peace.
        if !self.entries(domain)?.iter().any(is_news) {
            return Ok(());
        }
        self.change(domain, now, |entries| {
            for entry in entries.iter_mut().filter(|entry| is_news(entry)) {
                entry.notes.lifetime = Some(lifetime);
            }
            true
        })?;
        Ok(())
    }

    /// The name of the group that may read the private key of a selector, if one may.
    pub fn group(&self, domain: &Domain, selector: &Selector) -> Option<String> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = fs::metadata(self.pem_path(domain, selector)).ok()?;
        let gid = nix::unistd::Gid::from_raw(metadata.gid());
        let group = nix::unistd::Group::from_gid(gid).ok().flatten();
        group
            .filter(|_| metadata.mode() & 0o040 != 0)
            .map(|group| group.name)
    }

    /// Lets one process at a time rotate the keys of a domain; `None` where another one does. The lock ends
    /// with the file that is returned.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the lock file cannot be made.
    pub fn lock_rotation(&self, domain: &Domain) -> Result<Option<File>, StoreError> {
        let path = self.domain_dir(domain).join(".rotation");
        let options = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = options.map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    /// The records of all keys that are not revoked, as they are to be published; and what is wrong with
    /// those that cannot be read, which are left out.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the store itself cannot be read.
    pub fn zone(&self) -> Result<(Zone, Vec<StoreError>), StoreError> {
        let mut zone = Zone::default();
        let mut broken = Vec::new();
        for domain in self.domains()? {
            let entries = match self.entries(&domain) {
                Ok(entries) => entries,
                Err(error) => {
                    broken.push(error);
                    continue;
                }
            };
            for entry in entries {
                if entry.state == KeyState::Revoked {
                    continue;
                }
                match self.published(&domain, &entry.selector) {
                    Ok(records) => zone.merge(records),
                    Err(error) => broken.push(error),
                }
            }
        }
        Ok((zone, broken))
    }

    /// What the record file of a selector says, or what is made from the key where there is none.
    fn published(&self, domain: &Domain, selector: &Selector) -> Result<Zone, StoreError> {
        let path = self.txt_path(domain, selector);
        if path.exists() {
            return read_zone(&path);
        }
        let name = KeyName::new(selector, domain)?;
        let record = self.record(domain, selector)?;
        let mut zone = Zone::default();
        zone.insert_txt(name.as_str(), record.into_bytes());
        Ok(zone)
    }

    fn selectors(&self, domain: &Domain) -> Result<Vec<Selector>, StoreError> {
        let names = names_in(&self.domain_dir(domain))?;
        let stems = names.iter().filter_map(|name| name.strip_suffix(".pem"));
        Ok(stems.filter_map(|stem| Selector::new(stem).ok()).collect())
    }

    fn states_path(&self, domain: &Domain) -> PathBuf {
        self.domain_dir(domain).join("selectors")
    }

    fn read_states(&self, domain: &Domain) -> Result<States, StoreError> {
        let path = self.states_path(domain);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(States::default()),
            Err(error) => return Err(at(&path)(error)),
        };
        States::read(&text).map_err(|line| StoreError::States { path, line })
    }

    fn write_states(&self, domain: &Domain, states: &States) -> Result<(), StoreError> {
        let file = self.prepare_states(domain, states)?;
        place(file, &self.states_path(domain), true)?;
        let dir = self.domain_dir(domain);
        File::open(&dir)
            .and_then(|d| d.sync_all())
            .map_err(at(&dir))
    }

    fn prepare_states(
        &self,
        domain: &Domain,
        states: &States,
    ) -> Result<NamedTempFile, StoreError> {
        let text = states.write(domain);
        prepare(&self.states_path(domain), text.as_bytes(), 0o644, None)
    }
}

/// Reads a private key from a file.
///
/// # Errors
/// [`StoreError::Io`] and [`StoreError::Key`], with the path.
pub fn read_key(path: &Path) -> Result<SigningKey, StoreError> {
    let bytes = Zeroizing::new(read_capped(path)?);
    SigningKey::read(&bytes).map_err(|error| StoreError::Key {
        path: path.to_owned(),
        error,
    })
}

fn read_zone(path: &Path) -> Result<Zone, StoreError> {
    let bytes = read_capped(path)?;
    Zone::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| StoreError::Zone {
        path: path.to_owned(),
        error,
    })
}

/// What is wrong with the mode of a private key file: the mode, if others may read it, or the group or
/// others write it. A group that reads it (0640) is fine.
pub fn unsafe_mode(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o026 != 0).then_some(mode)
}
