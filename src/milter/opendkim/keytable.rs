//! The entries of a KeyTable: domain, selector and private key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::dataset::{DataSet, Entry};
use super::signing::Undecided;
use crate::key::{KeyError, SigningKey};
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
    /// The key, where it stands in the table itself: base64 of its DER, or PEM, whose lines may be joined.
    ///
    /// ```
    /// use dkimkit::key::KeyError;
    /// use dkimkit::milter::opendkim::KeySource;
    /// assert!(KeySource::Path("/etc/dkim/s.pem".to_owned()).inline().is_none());
    /// let broken = KeySource::Inline("MIIE".to_owned()).inline().unwrap();
    /// assert_eq!(broken.unwrap_err(), KeyError::Malformed);
    /// ```
    pub fn inline(&self) -> Option<Result<SigningKey, KeyError>> {
        let KeySource::Inline(text) = self else {
            return None;
        };
        let bare = |text: &str| -> Zeroizing<String> {
            Zeroizing::new(text.split_ascii_whitespace().collect())
        };
        let marks = text.match_indices("-----").map(|(at, _)| at);
        Some(match marks.collect::<Vec<_>>()[..] {
            [0, body, end, _] => {
                let (head, body, foot) = (&text[..body + 5], &text[body + 5..end], &text[end..]);
                let pem = Zeroizing::new(format!("{head}\n{}\n{foot}\n", *bare(body)));
                SigningKey::read(pem.as_bytes())
            }
            _ => match STANDARD.decode(bare(text).as_bytes()) {
                Ok(der) => SigningKey::read(&Zeroizing::new(der)),
                Err(_) => Err(KeyError::NoKey),
            },
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyKind;

    #[test]
    fn keys_in_the_table_are_read_in_every_form() {
        let key = SigningKey::generate(KeyKind::Rsa(1024)).unwrap();
        let pem = key.to_pkcs8_pem().unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        for text in [pem.replace('\n', " "), pem.replace('\n', ""), body] {
            let read = KeySource::Inline(text).inline().unwrap().unwrap();
            assert_eq!(read.public_bytes(), key.public_bytes());
        }
        let read = |text: &str| KeySource::Inline(text.to_owned()).inline().unwrap();
        assert_eq!(read("no key").unwrap_err(), KeyError::NoKey);
        assert!(read("-----BEGIN X----- a").is_err());
    }
}
