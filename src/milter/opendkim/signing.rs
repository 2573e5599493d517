//! Which keys sign for an author: KeyTable and SigningTable, or one key for some domains.

use super::conf::Conf;
use super::dataset::{DataSet, Remark, below};
use super::keytable::{KeyParts, KeySource};
use super::rules::Single;
use super::{ConfError, Fault, ReadFile};
use crate::name::{Domain, NameError, Selector};

/// The rules by which OpenDKIM signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningRules {
    rules: Rules,
    sender_fields: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rules {
    /// KeyTable and SigningTable.
    Tables {
        keys: DataSet,
        signing: DataSet,
        multiple: bool,
    },
    /// Domain, Selector and KeyFile.
    Single {
        domains: DataSet,
        selector: String,
        key: String,
        subdomains: bool,
    },
    /// Nothing is signed.
    Nothing,
}

/// A signature that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// d=
    pub domain: Domain,
    /// s=
    pub selector: Selector,
    /// The private key.
    pub key: KeySource,
    /// i=, where the tables name one that lies within d=.
    pub identity: Option<String>,
}

/// Why there is no answer although the tables have one. OpenDKIM defers the message, or sends it unsigned, or
/// crashes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// An entry of the signing table names no key.
    #[error("{file}:{line}: the entry names no key: add the name of one of the KeyTable")]
    NoKeyName {
        /// The signing table.
        file: String,
        /// The line.
        line: usize,
    },
    /// An entry of the signing table names a key that is not there.
    #[error("{file}:{line}: there is no key {name:?}: add it to the KeyTable")]
    UnknownKey {
        /// The signing table.
        file: String,
        /// The line.
        line: usize,
        /// The name.
        name: String,
    },
    /// An entry of the key table lacks one of its three parts.
    #[error("{file}:{line}: the key {name:?} is not of the form domain:selector:key")]
    BrokenKey {
        /// The key table.
        file: String,
        /// The line.
        line: usize,
        /// The name.
        name: String,
    },
    /// An identity for i= without an `@`.
    #[error("{file}:{line}: the identity {identity:?} has no @: write @ before a domain")]
    BadIdentity {
        /// The signing table.
        file: String,
        /// The line.
        line: usize,
        /// The identity.
        identity: String,
    },
    /// A domain or a selector that is none.
    #[error("{file}:{line}: {name:?} cannot be signed for: {error}")]
    BadName {
        /// The table.
        file: String,
        /// The line.
        line: usize,
        /// The domain or selector.
        name: String,
        /// Why.
        error: NameError,
    },
}

impl SigningRules {
    /// Reads what signs.
    ///
    /// # Errors
    /// [`ConfError`] where a table cannot be read, or an option lacks another that it needs.
    pub fn read(conf: &Conf, files: &dyn ReadFile) -> Result<SigningRules, ConfError> {
        let open = |name| conf.data_set(name, files);
        let needs = |name: &'static str, needs| {
            let at = conf
                .get(name)
                .map_or((conf.file(), 0), |s| (s.file.as_str(), s.line));
            ConfError::new(at.0, at.1, Fault::Needs { name, needs })
        };
        let mode = conf.get("Mode").map_or("sv", |s| s.value.as_str());
        let rules = if !mode.contains('s') {
            Rules::Nothing
        } else if let Some(keys) = open("KeyTable")? {
            Rules::Tables {
                keys,
                signing: open("SigningTable")?.ok_or_else(|| needs("KeyTable", "SigningTable"))?,
                multiple: conf.flag("MultipleSignatures"),
            }
        } else if let Some(domains) = open("Domain")? {
            let value = |name| conf.get(name).map(|s| s.value.clone());
            Rules::Single {
                domains,
                selector: value("Selector").ok_or_else(|| needs("Domain", "Selector"))?,
                key: below(
                    conf.base(),
                    &value("KeyFile").ok_or_else(|| needs("Domain", "KeyFile"))?,
                ),
                subdomains: conf.flag("SubDomains"),
            }
        } else if conf.get("SigningTable").is_some() {
            return Err(needs("SigningTable", "KeyTable"));
        } else {
            Rules::Nothing
        };
        let fields = open("SenderHeaders")?.map(|set| {
            let keys = set.entries().iter().map(|e| e.key.clone());
            keys.collect()
        });
        Ok(SigningRules {
            rules,
            sender_fields: fields.unwrap_or_else(|| vec!["From".to_owned()]),
        })
    }

    /// The header fields that name the author: the first of them that a message has counts (SenderHeaders).
    pub fn sender_fields(&self) -> &[String] {
        &self.sender_fields
    }

    /// The signatures for a message of this author, `user@domain`, in the order in which OpenDKIM makes them.
    ///
    /// With MultipleSignatures its manual promises a signature for every match; 2.11 makes those of the first
    /// and the last alone, and so they are here. [`matches`](Self::matches) has all.
    ///
    /// # Errors
    /// [`Undecided`] where the tables name what is not there: OpenDKIM would not sign either.
    pub fn decide(&self, from: &str) -> Result<Vec<Signing>, Undecided> {
        let mut all = self.each(from);
        // A key that is not there stops OpenDKIM wherever it stands; an identity is looked at only in use.
        let fatal =
            |r: &&Result<_, Undecided>| !matches!(r, Err(Undecided::BadIdentity { .. }) | Ok(_));
        if let Some(Err(error)) = all.iter().find(fatal) {
            return Err(error.clone());
        }
        if all.len() > 2 {
            all.drain(1..all.len() - 1);
        }
        all.into_iter().collect()
    }

    /// Every signature that the tables ask for, as OpenDKIM's manual has it.
    ///
    /// # Errors
    /// Those of [`decide`](Self::decide).
    pub fn matches(&self, from: &str) -> Result<Vec<Signing>, Undecided> {
        self.each(from).into_iter().collect()
    }

    fn each(&self, from: &str) -> Vec<Result<Signing, Undecided>> {
        let Some((user, domain)) = from.rsplit_once('@') else {
            return Vec::new();
        };
        if user.is_empty() || domain.is_empty() || from.len() > MAX_ADDRESS {
            return Vec::new();
        }
        let domain = domain.to_ascii_lowercase();
        match &self.rules {
            Rules::Nothing => Vec::new(),
            Rules::Tables {
                keys,
                signing,
                multiple,
            } => {
                let most = if *multiple { usize::MAX } else { 1 };
                let found = found(signing, user, &domain);
                let each = found.take(most).map(|entry| {
                    let row = Row {
                        keys,
                        signing,
                        entry,
                    };
                    row.signing(&domain)
                });
                each.collect()
            }
            Rules::Single {
                domains,
                selector,
                key,
                subdomains,
            } => single(domains, selector, key, *subdomains, &domain)
                .into_iter()
                .collect(),
        }
    }

    /// The tables: keys, then signing.
    pub(super) fn tables(&self) -> Option<(&DataSet, &DataSet)> {
        match &self.rules {
            Rules::Tables { keys, signing, .. } => Some((keys, signing)),
            _ => None,
        }
    }

    /// The one key.
    pub(super) fn single(&self) -> Option<Single<'_>> {
        match &self.rules {
            Rules::Single {
                domains,
                selector,
                key,
                subdomains,
            } => Some(Single {
                domains,
                selector,
                key,
                subdomains: *subdomains,
            }),
            _ => None,
        }
    }

    /// Whether every match signs.
    pub(super) fn multiple(&self) -> bool {
        matches!(&self.rules, Rules::Tables { multiple: true, .. })
    }

    /// What is to be known of single lines of the tables.
    pub fn remarks(&self) -> Vec<Remark> {
        let sets = match &self.rules {
            Rules::Tables { keys, signing, .. } => vec![keys, signing],
            Rules::Single { domains, .. } => vec![domains],
            Rules::Nothing => vec![],
        };
        sets.iter().flat_map(|set| set.remarks()).cloned().collect()
    }
}

/// An address longer than this is nobody's (RFC 5321 §4.5.3.1 allows 320).
const MAX_ADDRESS: usize = 1024;

/// The entries for an address, in the order in which they count.
fn found<'a>(
    signing: &'a DataSet,
    user: &str,
    domain: &str,
) -> Box<dyn Iterator<Item = &'a super::Entry> + 'a> {
    let whole = format!("{user}@{domain}");
    if signing.has_patterns() {
        return Box::new(signing.matches(&whole));
    }
    let parents = domain.match_indices('.').map(|(at, _)| &domain[at..]);
    let mut wanted = vec![whole, domain.to_owned()];
    // The manual has all forms with a user first; 2.11 asks for both forms of a parent before the next one.
    wanted.extend(parents.flat_map(|parent| [format!("{user}@{parent}"), parent.to_owned()]));
    wanted.extend([format!("{user}@*"), "*".to_owned()]);
    Box::new(wanted.into_iter().filter_map(|key| signing.get(&key)))
}

/// An entry of the signing table.
struct Row<'a> {
    keys: &'a DataSet,
    signing: &'a DataSet,
    entry: &'a super::Entry,
}

impl Row<'_> {
    /// The signature that it asks for, by an author of `from`.
    fn signing(&self, from: &str) -> Result<Signing, Undecided> {
        let (file, line) = (self.signing.source().to_owned(), self.entry.line);
        let value = self.entry.value.as_deref().unwrap_or_default();
        let (name, identity) = match value.split_once(':') {
            Some((name, identity)) => (name, Some(identity).filter(|i| !i.is_empty())),
            None => (value, None),
        };
        if name.is_empty() {
            return Err(Undecided::NoKeyName { file, line });
        }
        let name = if name == "%" { from } else { name };
        let Some(parts) = KeyParts::of(self.keys, name) else {
            let name = name.to_owned();
            return Err(Undecided::UnknownKey { file, line, name });
        };
        let parts = parts?;
        let domain = if parts.domain == "%" {
            from
        } else {
            parts.domain
        };
        let (domain_name, selector) = parts.names(domain)?;
        let identity = identity.map(|identity| identity.replace('%', from));
        let identity = match identity {
            Some(identity) => match within(&identity, domain) {
                Some(true) => Some(identity),
                Some(false) => None,
                None => {
                    return Err(Undecided::BadIdentity {
                        file,
                        line,
                        identity,
                    });
                }
            },
            None => None,
        };
        Ok(Signing {
            domain: domain_name,
            selector,
            key: parts.source(domain),
            identity,
        })
    }
}

/// Whether an identity lies within `domain`; `None` if it has no `@`.
pub(super) fn within(identity: &str, domain: &str) -> Option<bool> {
    let (_, host) = identity.split_once('@')?;
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let below = host
        .strip_suffix(&domain)
        .is_some_and(|head| head.ends_with('.'));
    Some(below || host == domain)
}

/// The signature by the one key, if the domain of the author is one of its domains.
fn single(
    domains: &DataSet,
    selector: &str,
    key: &str,
    subdomains: bool,
    from: &str,
) -> Option<Result<Signing, Undecided>> {
    let parents = from.match_indices('.').map(|(at, _)| &from[at + 1..]);
    let parents = parents.filter(|_| subdomains);
    let mut candidates = std::iter::once(from).chain(parents);
    let (domain, entry) = candidates.find_map(|domain| Some((domain, domains.get(domain)?)))?;
    let bad = |name: &str, error| Undecided::BadName {
        file: domains.source().to_owned(),
        line: entry.line,
        name: name.to_owned(),
        error,
    };
    let signing = || {
        Ok(Signing {
            domain: Domain::new(domain).map_err(|e| bad(domain, e))?,
            selector: Selector::new(selector).map_err(|e| bad(selector, e))?,
            key: KeySource::Path(key.to_owned()),
            identity: (domain != from).then(|| format!("@{domain}")),
        })
    };
    Some(signing())
}
