//! `dkimkit milter --import-opendkim`: the configuration of OpenDKIM as ours, and its keys into the store.
//!
//! All of it is planned first. Where a key cannot be read, or another one stands in its place, nothing is
//! written at all.

mod reading;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use dkimkit::key::{KeyType, SigningKey};
use dkimkit::keystore::{KeyState, KeyStore, unsafe_mode};
use dkimkit::milter::opendkim::{
    Conf, ConfError, Imported, ImportedKey, KeySource, Note, ReadFile, Row, What,
};
use dkimkit::time::UnixTime;

use self::reading::{Problems, Reader};
use crate::cli::args::StoreArgs;
use crate::cli::speech::{self, Trouble, plain};
use crate::cli::{Exit, output};

/// What is imported, and to where.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// Print the configuration of OpenDKIM as one of ours, import its keys into the store, and end; the files
    /// stay as they are
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "check", "message"])]
    pub(super) import_opendkim: Option<PathBuf>,
    /// With --import-opendkim: let this group read the private keys (mode 0640)
    #[arg(long, value_name = "NAME", requires = "import_opendkim")]
    group: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Where the keys go.
pub(super) struct How<'a> {
    store: KeyStore,
    /// Who may read them besides their owner.
    group: Option<&'a str>,
    /// Whether nothing is written.
    dry_run: bool,
    now: UnixTime,
}

impl ImportArgs {
    pub(super) fn how(&self, dry_run: bool, now: UnixTime) -> How<'_> {
        How {
            store: self.store.store(),
            group: self.group.as_deref(),
            dry_run,
            now,
        }
    }
}

pub(super) fn run(file: &Path, how: &How<'_>) -> Result<Exit, Trouble> {
    let name = file.display().to_string();
    fs::File::open(file).map_err(|error| Trouble::open(&name, &error))?;
    let conf = Conf::read(&name, &Disk)?;
    let mut imported = Imported::plan(&conf, &Disk)?;
    whole_paths(&mut imported);
    if imported
        .settings
        .iter()
        .any(|item| item.key == "mode" && item.value == "[]")
    {
        return Err(Trouble::usage(format!("{name}: nothing would be signed or verified"))
            .hint("name keys with KeyTable and SigningTable, or with Domain, Selector and KeyFile")
            .hint("`dkimkit milter --example` prints a configuration to begin with"));
    }
    imported.notes.iter().for_each(tell);

    let plan = Plan::new(&imported, how)?;
    plan.warn(&conf, how);
    if !how.dry_run {
        for (key, private) in &plan.new {
            let state = match key.signs {
                true => KeyState::Active,
                false => KeyState::Pending,
            };
            let (domain, selector) = (&key.domain, &key.selector);
            how.store
                .import(domain, selector, private, state, how.group, how.now)?;
        }
    }
    plan.sum_up(&imported, how);
    let store = std::path::absolute(how.store.dir());
    let store = store.unwrap_or_else(|_| how.store.dir().to_owned());
    output::print(&imported.to_toml(&conf, &store.display().to_string()))?;
    Ok(Exit::Done)
}

/// A key that stays where it is has to be found from anywhere.
fn whole_paths(imported: &mut Imported) {
    for row in &mut imported.rows {
        if let Row::Rule(rule) = row
            && let Some(path) = &mut rule.key
            && let Ok(whole) = std::path::absolute(&*path)
        {
            *path = whole.display().to_string();
        }
    }
}

fn tell(note: &Note) {
    let place = format!("{}:{}: {}", note.file, note.line, note.option);
    let text = &note.text;
    match note.what {
        What::Translated => speech::note(format!("{place}: translated: {text}")),
        What::Ignored => speech::note(format!("{place}: ignored: {text}")),
        What::Cannot => speech::warning(format!("{place}: not honoured: {text}")),
    }
}

/// The files of this machine.
struct Disk;

impl ReadFile for Disk {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(path).map_err(|error| io::Error::new(error.kind(), plain(&error)))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let path = if path.is_empty() { "/" } else { path };
        let names =
            fs::read_dir(path).map_err(|error| io::Error::new(error.kind(), plain(&error)))?;
        let mut names: Vec<String> = names
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }
}

impl From<ConfError> for Trouble {
    fn from(error: ConfError) -> Trouble {
        Trouble::usage(error)
    }
}

/// What is to be done with the keys.
struct Plan<'a> {
    new: Vec<(&'a ImportedKey, Arc<SigningKey>)>,
    /// Those that are in the store already, and their state there.
    known: Vec<(&'a ImportedKey, KeyState)>,
    /// Key files that others can read.
    open: BTreeSet<&'a str>,
    /// How many keys are small.
    small: usize,
}

impl<'a> Plan<'a> {
    /// Reads every key, and looks whether it can be written. What no rule uses may be unreadable.
    fn new(imported: &'a Imported, how: &How<'_>) -> Result<Plan<'a>, Trouble> {
        let mut plan = Plan {
            new: Vec::new(),
            known: Vec::new(),
            open: BTreeSet::new(),
            small: 0,
        };
        let mut problems = Problems::default();
        let mut read = Reader::default();
        let mut places: HashMap<(String, String), (&ImportedKey, Arc<SigningKey>)> = HashMap::new();
        // Of two keys of one name that which signs has it.
        let mut keys: Vec<&ImportedKey> = imported.keys.iter().collect();
        keys.sort_by_key(|key| !key.signs);
        for key in keys {
            let place = format!("{}:{}", key.file, key.line);
            let private = match read.key(&key.source, &place) {
                Ok(private) => private,
                Err(trouble) if key.signs => {
                    problems.add(trouble);
                    continue;
                }
                Err(trouble) => {
                    speech::warning(format!(
                        "{place}: no rule uses this key, and it is left out: {trouble}"
                    ));
                    continue;
                }
            };
            let name = (
                key.domain.as_ascii().to_owned(),
                key.selector.as_ascii().to_owned(),
            );
            if let Some((other, same)) = places.get(&name) {
                if same.public_bytes() != private.public_bytes() {
                    let text = format!(
                        "{place}: another key than in {}:{} is {} of {}, and only one can be published",
                        other.file, other.line, key.selector, key.domain
                    );
                    match key.signs {
                        true => problems.add(text),
                        false => speech::warning(format!("{text}: it is left out")),
                    }
                }
                continue;
            }
            places.insert(name, (key, private.clone()));
            if let KeySource::Path(path) = &key.source
                && unsafe_mode(Path::new(path)).is_some()
            {
                plan.open.insert(path);
            }
            plan.small += usize::from(is_small(&private));
            match how.store.has(&key.domain, &key.selector, &private) {
                Ok(true) => {
                    let entries = how.store.entries(&key.domain)?;
                    let entry = entries.into_iter().find(|e| e.selector == key.selector);
                    plan.known
                        .push((key, entry.map_or(KeyState::Pending, |e| e.state)));
                }
                Ok(false) => match how.store.can_write(&key.domain, how.group) {
                    Ok(()) => plan.new.push((key, private)),
                    Err(error) => problems.add(error),
                },
                Err(error) => problems.add(error),
            }
        }
        for path in outside(imported) {
            if let Err(trouble) = read.key(&KeySource::Path(path.to_owned()), path) {
                problems.add(trouble);
            }
        }
        problems.end(&how.store)?;
        Ok(plan)
    }

    /// What is to be known of the keys before they sign.
    fn warn(&self, conf: &Conf, how: &How<'_>) {
        if let Some(first) = self.open.first() {
            let more = and_more(self.open.len());
            speech::warning(format!(
                "{first}{more} can be read by others; the copy in the store cannot"
            ));
            speech::hint(
                "who could read a key may have it: dkimkit rotate puts a new one in its place",
            );
        }
        if self.small > 0 {
            speech::warning(format!(
                "{} with fewer than 2048 bits, which can be factored with effort",
                keys(self.small)
            ));
            speech::hint("dkimkit rotate puts a new one in its place");
        }
        if let (Some(user), None, false) = (conf.get("UserID"), how.group, self.new.is_empty()) {
            let user = &user.value;
            speech::note(format!(
                "the keys are for their owner alone, and the milter becomes {user}"
            ));
            speech::hint(
                "--group NAME lets the group of the milter read them, which a reload needs",
            );
        }
        for (key, state) in &self.known {
            let (selector, domain) = (&key.selector, &key.domain);
            if key.signs && *state != KeyState::Active {
                speech::warning(format!(
                    "{selector} of {domain} is {state} in the store, and does not sign"
                ));
                speech::hint(format!("dkimkit keys activate {domain} {selector}"));
            }
        }
    }

    fn sum_up(&self, imported: &Imported, how: &How<'_>) {
        let dir = how.store.dir().display();
        let done = match how.dry_run {
            true => "would be imported",
            false => "imported",
        };
        if !self.new.is_empty() {
            speech::note(format!(
                "{} {done} into {dir}; the old files are as they were",
                keys(self.new.len())
            ));
        }
        if !self.known.is_empty() {
            speech::note(format!("{} imported already", keys(self.known.len())));
        }
        let pending: Vec<String> = self
            .new
            .iter()
            .filter(|(key, _)| !key.signs)
            .map(|(key, _)| format!("{} of {}", key.selector, key.domain))
            .collect();
        if let Some(first) = pending.first() {
            let more = and_more(pending.len());
            speech::note(format!(
                "no rule signs with {first}{more}: pending in the store"
            ));
            speech::hint(
                "`dkimkit keys list` shows them; dkimkit rotate would take one as the next key",
            );
        }
        if !how.dry_run {
            self.warn_of_others(imported, &how.store);
        }
    }

    /// Keys that the store had before, and that sign as well now.
    fn warn_of_others(&self, imported: &Imported, store: &KeyStore) {
        let unpinned = imported.rows.iter().filter_map(|row| match row {
            Row::Rule(rule) if !rule.pinned => Some(rule.domain.as_str()),
            _ => None,
        });
        let unpinned: BTreeSet<&str> = unpinned.collect();
        let mut told = BTreeSet::new();
        for key in imported.keys.iter().filter(|key| key.signs) {
            let named = unpinned.contains("%") || unpinned.contains(key.domain.as_str());
            if !named || !told.insert(key.domain.as_ascii()) {
                continue;
            }
            let active = store.active(&key.domain).unwrap_or_default();
            for other in active.iter().filter(|other| **other != key.selector) {
                let (domain, selector) = (&key.domain, &key.selector);
                // After a rotation the imported key signs no longer.
                if active.contains(selector) {
                    speech::warning(format!(
                        "{other} of {domain} is active in the store, and signs beside {selector}"
                    ));
                    speech::hint(format!("dkimkit keys retire {domain} {other}"));
                }
            }
        }
    }
}

/// The files of keys that stay where they are; those of `%` are looked for by the milter.
fn outside(imported: &Imported) -> BTreeSet<&str> {
    let paths = imported.rows.iter().filter_map(|row| match row {
        Row::Rule(rule) => rule.key.as_deref(),
        Row::Left { .. } => None,
    });
    paths.filter(|path| !path.contains('%')).collect()
}

fn is_small(key: &SigningKey) -> bool {
    key.algorithm().key_type() == KeyType::Rsa && key.bits() < 2048
}

fn keys(count: usize) -> String {
    match count {
        1 => "1 key".to_owned(),
        _ => format!("{count} keys"),
    }
}

fn and_more(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        _ => format!(" and {} more", count - 1),
    }
}
