//! The entries of a KeyTable: domain, selector and private key.

use std::fmt;

use super::dataset::{DataSet, Entry};
use super::signing::Undecided;
use crate::name::{Domain, Selector};

/// Where a private key is.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In this file.
    Path(String),
    /// In the table itself: PEM, or DER in base64.
    Inline(String),
}

impl fmt::Debug for KeySource {
    /// Without the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Path(path) => f.debug_tuple("Path").field(path).finish(),
            KeySource::Inline(_) => f.write_str("Inline(..)"),
        }
    }
}

impl KeySource {
    /// A key as the third part of an entry has it; `%` in an absolute path is `domain`.
    fn of(text: &str, domain: &str) -> KeySource {
        if text.starts_with('/') {
            KeySource::Path(text.replace('%', domain))
        } else if text.starts_with("./") || text.starts_with("../") {
            KeySource::Path(text.to_owned())
        } else {
            KeySource::Inline(text.to_owned())
        }
    }
}

/// The three parts of an entry of the key table.
pub(super) struct KeyParts<'a> {
    keys: &'a DataSet,
    line: usize,
    /// d=, or `%`.
    pub(super) domain: &'a str,
    /// s=
    pub(super) selector: &'a str,
    key: &'a str,
}

impl<'a> KeyParts<'a> {
    /// The entry with this name.
    pub(super) fn of(keys: &'a DataSet, name: &str) -> Option<Result<KeyParts<'a>, Undecided>> {
        Some(KeyParts::read(keys, keys.get(name)?))
    }

    /// An entry of the table.
    pub(super) fn read(keys: &'a DataSet, entry: &'a Entry) -> Result<KeyParts<'a>, Undecided> {
        let value = entry.value.as_deref().unwrap_or_default();
        let mut parts = value.splitn(3, ':').filter(|part| !part.is_empty());
        match (parts.next(), parts.next(), parts.next()) {
            (Some(domain), Some(selector), Some(key)) => Ok(KeyParts {
                keys,
                line: entry.line,
                domain,
                selector,
                key,
            }),
            _ => Err(Undecided::BrokenKey {
                file: keys.source().to_owned(),
                line: entry.line,
                name: entry.key.clone(),
            }),
        }
    }

    /// Domain and selector as such, with `domain` in the place of `%`.
    pub(super) fn names(&self, domain: &str) -> Result<(Domain, Selector), Undecided> {
        let bad = |name: &str, error| Undecided::BadName {
            file: self.keys.source().to_owned(),
            line: self.line,
            name: name.to_owned(),
            error,
        };
        let selector = Selector::new(self.selector).map_err(|e| bad(self.selector, e))?;
        let domain = Domain::new(domain).map_err(|e| bad(domain, e))?;
        Ok((domain, selector))
    }

    /// The private key, of `domain` where a path says `%`.
    pub(super) fn source(&self, domain: &str) -> KeySource {
        KeySource::of(self.key, domain)
    }
}
