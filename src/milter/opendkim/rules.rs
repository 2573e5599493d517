//! OpenDKIM's tables as signing rules of ours, with the keys that they need.

mod pinning;
mod single;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

pub(super) use self::single::Single;
use super::dataset::{DataSet, Entry, below};
use super::import::ImportedKey;
use super::keytable::{KeyParts, KeySource};
use super::scope::{Order, Scope};
use super::signing::{SigningRules, within};
use super::{ConfError, Fault, ReadFile};
use crate::name::{Auid, Domain, Selector};

/// A row of a table as a signing rule, or why it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A rule.
    Rule(Rule),
    /// No rule: nobody matches it, or it names what is not there.
    Left {
        /// The table.
        file: String,
        /// The line, from 1 on.
        line: usize,
        /// Why.
        why: String,
    },
}

/// A signing rule, `[[signing.rule]]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whose mail is signed: an address, `*@domain`, `.domain` for all below, or a pattern of a whole address.
    pub from: String,
    /// d=; `%` is the domain of the author.
    pub domain: String,
    /// s=
    pub selector: Selector,
    /// Whether the rule names the selector. Else the key that is active for the domain signs, so that a
    /// rotation takes effect.
    pub pinned: bool,
    /// i=; `%` is the domain of the author. It is left out of a signature where it is not within d=.
    pub identity: Option<String>,
    /// What OpenDKIM makes of the row besides.
    pub remark: Option<String>,
    /// The file of the key, where it cannot be in the store: it signs for domains that nobody has listed.
    pub key: Option<String>,
    /// The table.
    pub file: String,
    /// The line, from 1 on.
    pub line: usize,
}

/// What the tables come to.
#[derive(Debug, Default)]
pub(super) struct Translation {
    pub(super) rows: Vec<Row>,
    pub(super) keys: Vec<ImportedKey>,
    /// For whom a rule of `%` is, by the place of its row.
    scopes: Vec<Option<Scope>>,
}

/// Translates the tables. Relative paths of keys lie below `base`.
///
/// # Errors
/// [`ConfError`] where a directory of keys cannot be listed.
pub(super) fn translate(
    rules: &SigningRules,
    base: Option<&str>,
    files: &dyn ReadFile,
) -> Result<Translation, ConfError> {
    let mut translation = Translation::default();
    if let Some((keys, signing)) = rules.tables() {
        let mut tables = Tables {
            keys,
            signing,
            base,
            files,
            on_disk: HashMap::new(),
            out: &mut translation,
        };
        tables.keys()?;
        tables.rows(rules.multiple());
    } else if let Some(single) = rules.single() {
        translation.single(&single);
    }
    translation.merge_keys();
    translation.pin();
    Ok(translation)
}

struct Tables<'a> {
    keys: &'a DataSet,
    signing: &'a DataSet,
    base: Option<&'a str>,
    files: &'a dyn ReadFile,
    /// Where the keys stand that were found for an entry with a `%`.
    on_disk: HashMap<*const Entry, Range<usize>>,
    out: &'a mut Translation,
}

impl Tables<'_> {
    /// The keys of the key table. Whether they sign is not known yet.
    fn keys(&mut self) -> Result<(), ConfError> {
        for entry in self.keys.entries() {
            let Ok(parts) = KeyParts::read(self.keys, entry) else {
                continue;
            };
            if parts.domain != "%" {
                if let Ok((domain, selector)) = parts.names(parts.domain) {
                    let source = self.source(&parts, parts.domain);
                    self.push_key(domain, selector, source, entry);
                }
                continue;
            }
            let (KeySource::Path(path), Ok(selector)) =
                (parts.source("%"), Selector::new(parts.selector))
            else {
                continue;
            };
            let before = self.out.keys.len();
            for domain in self.domains_on_disk(&path, entry)? {
                let source = self.source(&parts, domain.as_str());
                self.push_key(domain, selector.clone(), source, entry);
            }
            let found = before..self.out.keys.len();
            self.on_disk.insert(std::ptr::from_ref(entry), found);
        }
        Ok(())
    }

    fn push_key(&mut self, domain: Domain, selector: Selector, source: KeySource, entry: &Entry) {
        self.out.keys.push(ImportedKey {
            domain,
            selector,
            source,
            signs: false,
            file: self.keys.source().to_owned(),
            line: entry.line,
        });
    }

    fn source(&self, parts: &KeyParts<'_>, domain: &str) -> KeySource {
        match parts.source(domain) {
            KeySource::Path(path) => KeySource::Path(below(self.base, &path)),
            inline => inline,
        }
    }

    /// The domains for which there is a file in the place of `%`.
    fn domains_on_disk(&self, path: &str, entry: &Entry) -> Result<Vec<Domain>, ConfError> {
        let Some((before, after)) = path.split_once('%') else {
            return Ok(Vec::new());
        };
        let (dir, prefix) = before.rsplit_once('/').unwrap_or((".", before));
        let rest = after.split_once('/');
        let suffix = rest.map_or(after, |(suffix, _)| suffix);
        if suffix.contains('%') {
            return Ok(Vec::new());
        }
        let names = match self.files.list(dir) {
            Ok(names) => names,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::Unsupported | std::io::ErrorKind::NotFound
                ) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => {
                let (path, why) = (dir.to_owned(), error.to_string());
                let fault = Fault::Unreadable { path, why };
                return Err(ConfError::new(self.keys.source(), entry.line, fault));
            }
        };
        let domains = names.iter().filter_map(|name| {
            let name = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
            // What has no dot is hardly the name of a domain.
            let domain = Domain::new(name).ok().filter(|_| name.contains('.'))?;
            let there = self.files.read(&path.replace('%', name));
            let missing = there.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
            (!missing).then_some(domain)
        });
        Ok(domains.collect())
    }

    /// The rows of the signing table in the order in which they count.
    fn rows(&mut self, all: bool) {
        let mut rows: Vec<(Order, Scope, &Entry)> = Vec::new();
        let mut seen = HashSet::new();
        for entry in self.signing.entries() {
            let scopes = match self.signing.has_patterns() {
                true => Scope::of_pattern(&entry.key)
                    .map(|scopes| scopes.into_iter().map(|s| (Order::default(), s)).collect()),
                false => Scope::of_key(&entry.key).map(|scope| vec![scope]),
            };
            let scopes: Vec<(Order, Scope)> = match scopes {
                Ok(scopes) => scopes,
                Err(why) => {
                    self.left(entry, why);
                    continue;
                }
            };
            if !all && !seen.insert(entry.key.to_ascii_lowercase()) {
                self.left(
                    entry,
                    format!("an earlier line is for {} already", entry.key),
                );
                continue;
            }
            let each = scopes
                .into_iter()
                .map(|(order, scope)| (order, scope, entry));
            rows.extend(each);
        }
        rows.sort_by_key(|row| row.0);
        for (_, scope, entry) in rows {
            if let Err(why) = self.row(&scope, entry) {
                self.left(entry, why);
            }
        }
    }

    fn row(&mut self, scope: &Scope, entry: &Entry) -> Result<(), String> {
        let value = entry.value.as_deref().unwrap_or_default();
        let (name, identity) = value.split_once(':').unwrap_or((value, ""));
        let identity = Some(identity).filter(|identity| !identity.is_empty());
        let name = match (name, &scope.domain) {
            ("", _) => {
                return Err("it names no key: add the name of one of the KeyTable".to_owned());
            }
            ("%", None) => return self.row_of_each(scope, entry, identity),
            ("%", Some(domain)) => domain,
            _ => name,
        };
        let Some(key) = self.keys.get(name) else {
            return Err(format!("there is no key {name:?} in the KeyTable"));
        };
        self.rule(scope, entry, key, identity)
    }

    /// The author's domain is the name of the key: a rule for each name.
    fn row_of_each(
        &mut self,
        scope: &Scope,
        entry: &Entry,
        identity: Option<&str>,
    ) -> Result<(), String> {
        let mut found = false;
        let mut seen = HashSet::new();
        let keys = self.keys;
        for key in keys.entries() {
            // Of two keys of one name the first counts; the name that is sought is in lower case.
            if key.key != key.key.to_ascii_lowercase() || !seen.insert(&key.key) {
                continue;
            }
            let narrow = match keys.has_patterns() {
                true => scope.narrowed_to(&key.key),
                false => scope.narrowed(&key.key),
            };
            if let Some(narrow) = narrow {
                found = true;
                if let Err(why) = self.rule(&narrow, entry, key, identity) {
                    self.left(entry, why);
                }
            }
        }
        match found {
            true => Ok(()),
            false => Err("no key of the KeyTable has the name of such a domain".to_owned()),
        }
    }

    fn rule(
        &mut self,
        scope: &Scope,
        entry: &Entry,
        key: &Entry,
        identity: Option<&str>,
    ) -> Result<(), String> {
        let parts = KeyParts::read(self.keys, key).map_err(|error| error.to_string())?;
        let domain = match (parts.domain, &scope.domain) {
            ("%", Some(domain)) => domain,
            (domain, _) => domain,
        };
        let wild = domain == "%";
        let (_, selector) = parts
            .names(if wild { "example.com" } else { domain })
            .map_err(|error| error.to_string())?;
        let asked = identity;
        let identity = identity_of(identity, domain, scope.domain.as_deref())?;
        let dropped = asked.filter(|_| identity.is_none());
        let remark =
            dropped.map(|i| format!("i={i} is not within d=, and is left out as OpenDKIM does"));
        let source = self.source(&parts, domain);
        let mut rule = Rule {
            from: scope.from.clone(),
            domain: domain.to_owned(),
            selector,
            pinned: true,
            identity,
            remark,
            key: None,
            file: self.signing.source().to_owned(),
            line: entry.line,
        };
        if wild {
            let mut stored = false;
            let found = self.on_disk.get(&std::ptr::from_ref(key)).cloned();
            for imported in &mut self.out.keys[found.unwrap_or(0..0)] {
                if scope.narrowed(imported.domain.as_str()).is_some() {
                    imported.signs = true;
                    stored = true;
                }
            }
            if !stored {
                let KeySource::Path(path) = source else {
                    return Err(format!(
                        "the key {:?} signs for any domain and stands in the table itself: write it to a file, and name that",
                        key.key
                    ));
                };
                rule.key = Some(path);
            }
        } else if let Ok(name) = Domain::new(domain) {
            self.push_key(name, rule.selector.clone(), source, key);
            if let Some(last) = self.out.keys.last_mut() {
                last.signs = true;
            }
        }
        let scope = (wild && rule.key.is_none()).then(|| scope.clone());
        self.out.push(Row::Rule(rule), scope);
        Ok(())
    }

    fn left(&mut self, entry: &Entry, why: impl Into<String>) {
        let (file, line, why) = (self.signing.source().to_owned(), entry.line, why.into());
        self.out.push(Row::Left { file, line, why }, None);
    }
}

/// i= of a rule. What OpenDKIM leaves out of the signature is left out here already, where it is known.
fn identity_of(
    identity: Option<&str>,
    domain: &str,
    from: Option<&str>,
) -> Result<Option<String>, String> {
    let Some(identity) = identity else {
        return Ok(None);
    };
    let identity = match from {
        Some(from) => identity.replace('%', from),
        None => identity.to_owned(),
    };
    let sample = |text: &str| text.replace('%', "example.com");
    let Some(within) = within(&sample(&identity), &sample(domain)) else {
        return Err(format!(
            "the identity {identity:?} has no @, with which OpenDKIM leaves a message unsigned: write @ before a domain"
        ));
    };
    let known = !identity.contains('%') && domain != "%";
    let legible =
        Auid::new(sample(&identity).as_bytes()).is_ok() && identity.matches('@').count() == 1;
    Ok(Some(identity).filter(|_| legible && (within || !known)))
}

impl Translation {
    fn push(&mut self, row: Row, scope: Option<Scope>) {
        self.rows.push(row);
        self.scopes.push(scope);
    }
}
