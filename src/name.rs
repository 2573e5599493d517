//! Names: the domain of d=, the selector of s=, the identity of i=, and where a key is published.
//!
//! Each is checked once, when it is made, and then compared by labels: never by the end of a string,
//! under which `fexample.com` would lie below `example.com`. A-labels and U-labels of the same name are
//! equal (RFC 8616 §4, RFC 5890 §2.3.2).

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use idna::AsciiDenyList;

/// A domain name, as in d= (RFC 6376 §3.5).
#[derive(Clone)]
pub struct Domain(Checked);

/// A selector, as in s= (RFC 6376 §3.1).
#[derive(Clone)]
pub struct Selector(Checked);

impl Domain {
    /// Checks and keeps a domain name: labels of letters, digits, hyphens and underscores, or U-labels.
    ///
    /// ```
    /// use dkimkit::name::Domain;
    /// let domain = Domain::new("Mail.Example.COM")?;
    /// assert!(domain.is_below(&Domain::new("example.com")?));
    /// assert!(!Domain::new("fexample.com")?.is_below(&Domain::new("example.com")?));
    /// assert_eq!(Domain::new("bücher.example")?, Domain::new("xn--bcher-kva.example")?);
    /// # Ok::<(), dkimkit::name::NameError>(())
    /// ```
    ///
    /// # Errors
    /// [`NameError`]: an empty name or label, a label over 63 or a name over 253 octets (RFC 1035 §2.3.4),
    /// or a character that no host name has.
    pub fn new(text: &str) -> Result<Domain, NameError> {
        Checked::new(text).map(Domain)
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0.written
    }

    /// The name in lower case and in A-labels.
    pub fn as_ascii(&self) -> &str {
        &self.0.ascii
    }

    /// The labels in lower case, the leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.ascii.split('.')
    }

    /// Whether this name lies below `other` and is not equal to it.
    pub fn is_below(&self, other: &Domain) -> bool {
        let head = self.as_ascii().strip_suffix(other.as_ascii());
        head.is_some_and(|head| head.ends_with('.'))
    }

    /// How many labels the two have in common, from the right.
    pub(crate) fn common_labels(&self, other: &Domain) -> usize {
        let pairs = self.labels().rev().zip(other.labels().rev());
        pairs.take_while(|(own, others)| own == others).count()
    }

    /// How a signature by this domain (d=) stands to a domain of From.
    ///
    /// ```
    /// use dkimkit::name::{Alignment, Domain};
    /// let d = Domain::new("example.com")?;
    /// assert_eq!(d.alignment(&Domain::new("news.example.com")?), Some(Alignment::Ancestor));
    /// assert_eq!(Domain::new("com")?.alignment(&d), None);
    /// # Ok::<(), dkimkit::name::NameError>(())
    /// ```
    ///
    /// No list of public suffixes is asked: an ancestor counts from two labels on.
    pub fn alignment(&self, from: &Domain) -> Option<Alignment> {
        if self == from {
            Some(Alignment::Equal)
        } else if from.is_below(self) && self.labels().count() >= 2 {
            Some(Alignment::Ancestor)
        } else if self.is_below(from) && from.labels().count() >= 2 {
            Some(Alignment::Below)
        } else {
            None
        }
    }
}

/// How closely d= is related to a domain of From; the closest is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alignment {
    /// They are equal.
    Equal,
    /// d= is an ancestor of the domain of From, and has at least two labels.
    Ancestor,
    /// d= lies below the domain of From.
    Below,
}

impl Selector {
    /// Checks and keeps a selector; it may have several labels.
    ///
    /// # Errors
    /// Those of [`Domain::new`].
    pub fn new(text: &str) -> Result<Selector, NameError> {
        Checked::new(text).map(Selector)
    }

    /// The selector as it was written.
    pub fn as_str(&self) -> &str {
        &self.0.written
    }

    /// The selector in lower case and in A-labels.
    pub fn as_ascii(&self) -> &str {
        &self.0.ascii
    }
}

/// The name at which a key is published: `<selector>._domainkey.<domain>.` (RFC 6376 §3.6.2.1).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// The name of the key of `selector` and `domain`.
    ///
    /// ```
    /// use dkimkit::name::{Domain, KeyName, Selector};
    /// let name = KeyName::new(&Selector::new("Mail")?, &Domain::new("example.com")?)?;
    /// assert_eq!(name.as_str(), "mail._domainkey.example.com.");
    /// # Ok::<(), dkimkit::name::NameError>(())
    /// ```
    ///
    /// # Errors
    /// [`NameError::NameTooLong`] where the parts are legal but the whole passes 253 octets.
    pub fn new(selector: &Selector, domain: &Domain) -> Result<KeyName, NameError> {
        KeyName::check(selector, domain)?;
        let parts = [selector.as_ascii(), "._domainkey.", domain.as_ascii(), "."];
        Ok(KeyName(parts.concat().into()))
    }

    /// A name at which a key record stands because a CNAME leads there; it may have any form.
    ///
    /// ```
    /// use dkimkit::name::KeyName;
    /// assert_eq!(KeyName::published("k1.dkim.example.net")?.as_str(), "k1.dkim.example.net.");
    /// # Ok::<(), dkimkit::name::NameError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Domain::new`].
    pub fn published(name: &str) -> Result<KeyName, NameError> {
        let checked = Checked::new(name.strip_suffix('.').unwrap_or(name))?;
        Ok(KeyName(format!("{}.", checked.ascii).into()))
    }

    /// Whether [`new`](Self::new) would make a name of these.
    pub(crate) fn check(selector: &Selector, domain: &Domain) -> Result<(), NameError> {
        let len = selector.as_ascii().len() + "._domainkey.".len() + domain.as_ascii().len();
        if len > MAX_NAME {
            return Err(NameError::NameTooLong { len });
        }
        Ok(())
    }

    /// The name in lower case, with its final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain of the key, where the name has the form of [`new`](Self::new).
    ///
    /// ```
    /// use dkimkit::name::{Domain, KeyName, Selector};
    /// let domain = Domain::new("example.com")?;
    /// let name = KeyName::new(&Selector::new("a.b")?, &domain)?;
    /// assert_eq!(name.domain(), Some(domain));
    /// # Ok::<(), dkimkit::name::NameError>(())
    /// ```
    pub fn domain(&self) -> Option<Domain> {
        let (_, domain) = self.0.split_once("._domainkey.")?;
        Domain::new(domain.strip_suffix('.')?).ok()
    }
}

impl fmt::Display for KeyName {
    /// The name without its final dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end_matches('.'))
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The agent or user identifier of i= (RFC 6376 §3.5): a local part, which may be absent, and a domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Auid {
    /// What stands before the `@`, decoded; `None` where nothing does.
    pub local_part: Option<Vec<u8>>,
    /// What stands behind it.
    pub domain: Domain,
}

impl Auid {
    /// Reads an identity that is already decoded: `@example.com`, `user@example.com`.
    ///
    /// ```
    /// use dkimkit::name::Auid;
    /// assert_eq!(Auid::new(b"@example.com").unwrap().to_string(), "@example.com");
    /// assert!(Auid::new(b"example.com").is_err());
    /// ```
    ///
    /// # Errors
    /// [`NameError::NoAt`] without an `@`; else those of [`Domain::new`] for what follows the last one.
    pub fn new(text: &[u8]) -> Result<Auid, NameError> {
        let at = memchr::memrchr(b'@', text).ok_or(NameError::NoAt)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        let domain = std::str::from_utf8(domain).map_err(|_| NameError::NotUtf8)?;
        Ok(Auid {
            local_part: (!local.is_empty()).then(|| local.to_vec()),
            domain: Domain::new(domain)?,
        })
    }
}

impl fmt::Display for Auid {
    /// As it is shown; bytes that are not UTF-8 are replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.local_part.as_deref().unwrap_or_default();
        write!(
            f,
            "{}@{}",
            String::from_utf8_lossy(local),
            self.domain.as_str()
        )
    }
}

const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;

/// A name that passed the checks, as written and as compared.
#[derive(Clone)]
struct Checked {
    written: Arc<str>,
    ascii: Arc<str>,
}

impl Checked {
    fn new(text: &str) -> Result<Checked, NameError> {
        // A bound before any work: no legal name is longer, in whatever form.
        if text.len() > 4 * MAX_NAME {
            return Err(NameError::NameTooLong { len: text.len() });
        }
        let ascii: Cow<'_, str> = if text.is_ascii() {
            match text.bytes().any(|b| b.is_ascii_uppercase()) {
                true => text.to_ascii_lowercase().into(),
                false => text.into(),
            }
        } else {
            let ascii = idna::domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::EMPTY);
            let ascii = ascii.map_err(|_| NameError::Idna)?.into_owned();
            // Only U-labels (RFC 8616 §4): what is mapped to another text looks like one name and is another.
            let (unicode, result) = idna::domain_to_unicode(&ascii);
            if result.is_err() || unicode != text.to_lowercase() {
                return Err(NameError::Idna);
            }
            ascii.into()
        };
        if ascii.is_empty() {
            return Err(NameError::Empty);
        }
        for label in ascii.split('.') {
            check_label(label)?;
        }
        if ascii.len() > MAX_NAME {
            return Err(NameError::NameTooLong { len: ascii.len() });
        }
        let written: Arc<str> = text.into();
        // One piece of memory where both forms are the same.
        let ascii = if ascii == text {
            written.clone()
        } else {
            ascii.into()
        };
        Ok(Checked { written, ascii })
    }
}

fn check_label(label: &str) -> Result<(), NameError> {
    // The underscore is not in the grammar, but selectors and domains with one are in use.
    let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if let Some(character) = label.chars().find(|c| !legal(c)) {
        return Err(NameError::BadCharacter { character });
    }
    if label.len() > MAX_LABEL {
        return Err(NameError::LabelTooLong { len: label.len() });
    }
    Ok(())
}

impl PartialEq for Checked {
    fn eq(&self, other: &Self) -> bool {
        self.ascii == other.ascii
    }
}

macro_rules! compare_by_ascii {
    ($($name:ident),*) => { $(
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }
        impl Eq for $name {}
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.ascii.hash(state);
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.written)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0.written, f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $name::new(text)
            }
        }
    )* };
}
compare_by_ascii!(Domain, Selector);

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("the name is empty")]
    Empty,
    /// Two dots in a row, or one at an end.
    #[error("the name has an empty label (a dot at an end, or two in a row)")]
    EmptyLabel,
    /// A label is longer than 63 octets.
    #[error("a label of {len} octets is longer than 63")]
    LabelTooLong {
        /// The length in octets.
        len: usize,
    },
    /// The name is longer than 253 octets.
    #[error("the name of {len} octets is longer than 253")]
    NameTooLong {
        /// The length in octets.
        len: usize,
    },
    /// A character that no host name has.
    #[error("{character:?} may not stand in a domain name")]
    BadCharacter {
        /// The character.
        character: char,
    },
    /// A name that is no internationalized name either (RFC 5891).
    #[error("the name is not a valid internationalized domain name")]
    Idna,
    /// Bytes that are not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// An identity without `@`.
    #[error("the identity has no @")]
    NoAt,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::new(text).unwrap()
    }

    #[test]
    fn bad_names_are_refused() {
        let long_label = "a".repeat(64);
        let long_name = ["a".repeat(63).as_str(); 4].join(".");
        for (text, want) in [
            ("", NameError::Empty),
            (".", NameError::EmptyLabel),
            ("a.", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            ("a b", NameError::BadCharacter { character: ' ' }),
            (
                "legitimate.com(.attacker.com",
                NameError::BadCharacter { character: '(' },
            ),
            ("a%b", NameError::BadCharacter { character: '%' }),
            ("a\0b", NameError::BadCharacter { character: '\0' }),
            (&long_label, NameError::LabelTooLong { len: 64 }),
            (&long_name, NameError::NameTooLong { len: 255 }),
        ] {
            assert_eq!(Domain::new(text).unwrap_err(), want, "{text:?}");
        }
    }

    #[test]
    fn names_are_compared_by_labels() {
        assert_eq!(domain("EXAMPLE.com"), domain("example.COM"));
        assert_eq!(domain("BÜCHER.example"), domain("xn--bcher-kva.example"));
        assert!(domain("a.example.com").is_below(&domain("Example.com")));
        assert!(!domain("example.com").is_below(&domain("example.com")));
        assert!(!domain("fexample.com").is_below(&domain("example.com")));
        assert!(!domain("example.com").is_below(&domain("a.example.com")));
    }

    #[test]
    fn alignment_knows_equal_ancestor_and_below() {
        let from = domain("news.example.com");
        assert_eq!(
            domain("News.example.com").alignment(&from),
            Some(Alignment::Equal)
        );
        assert_eq!(
            domain("example.com").alignment(&from),
            Some(Alignment::Ancestor)
        );
        assert_eq!(domain("com").alignment(&from), None);
        assert_eq!(
            domain("b.news.example.com").alignment(&from),
            Some(Alignment::Below)
        );
        assert_eq!(domain("blog.example.com").alignment(&from), None);
    }

    #[test]
    fn a_key_name_has_a_length_of_its_own() {
        let selector = Selector::new("s").unwrap();
        let parts = ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join(".");
        let fits = domain(&format!("{parts}.{}", "d".repeat(253 - 13 - 192)));
        assert_eq!(KeyName::new(&selector, &fits).unwrap().as_str().len(), 254);
        let beyond = domain(&format!("{parts}.{}", "d".repeat(254 - 13 - 192)));
        assert_eq!(
            KeyName::new(&selector, &beyond).unwrap_err(),
            NameError::NameTooLong { len: 254 }
        );
    }
}
