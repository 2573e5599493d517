//! Lists of keys that somebody knows to be broken.

use super::{Fingerprints, PublicNumbers};
use crate::key::{KeyError, KeyType};

/// The most fingerprints that a list may have; they take 40 bytes each.
const MAX_KEYS: usize = 1 << 20;

/// Fingerprints of keys that must not be used.
///
/// A list is a text with one fingerprint a line; blank lines and lines with `#` say nothing. A fingerprint
/// is, in hexadecimal digits of either case, one of two:
///
/// * 64 digits: SHA-256 of the SubjectPublicKeyInfo, of RSA and Ed25519 keys alike, as
///   `openssl pkey -pubin -outform DER | sha256sum` prints it; the ` -` that it prints behind may stay.
/// * 20 digits: the last half of SHA-1 over the line of `openssl rsa -pubin -noout -modulus`, which is the
///   form of Debian's openssl-blacklist (CVE-2008-0166) and of lists that followed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocklist {
    /// In order, each with its line; so are the others.
    sha256: Vec<([u8; 32], usize)>,
    debian: Vec<([u8; 10], usize)>,
}

impl Blocklist {
    /// Reads a list.
    ///
    /// ```
    /// use dkimkit::key::weak::Blocklist;
    /// let list = Blocklist::parse("# a note\n00112233445566778899\n").unwrap();
    /// assert_eq!(list.len(), 1);
    /// let error = Blocklist::parse("00112233").unwrap_err();
    /// assert_eq!(error.line(), 1);
    /// ```
    ///
    /// # Errors
    /// [`BlocklistError`] at the first line that is no fingerprint, and at the one that makes more than
    /// 1,048,576 of them.
    pub fn parse(text: &str) -> Result<Blocklist, BlocklistError> {
        let (mut sha256, mut debian) = (Vec::new(), Vec::new());
        for (line, entry) in (1..).zip(text.lines()) {
            let entry = entry.trim_ascii();
            if entry.is_empty() || entry.starts_with('#') {
                continue;
            }
            if sha256.len() + debian.len() == MAX_KEYS {
                return Err(BlocklistError::TooMany {
                    line,
                    max: MAX_KEYS,
                });
            }
            let digits = entry.strip_suffix(" -").map_or(entry, str::trim_ascii_end);
            if let Some(print) = from_hex(digits) {
                sha256.push((print, line));
            } else if let Some(print) = from_hex(entry) {
                debian.push((print, line));
            } else {
                return Err(BlocklistError::NoFingerprint { line });
            }
        }
        sha256.sort_unstable();
        debian.sort_unstable();
        Ok(Blocklist { sha256, debian })
    }

    /// The line, from 1, that has the key in these decoded bytes of p=; the first if several have it.
    ///
    /// ```
    /// use dkimkit::key::KeyType;
    /// use dkimkit::key::weak::Blocklist;
    /// let list = Blocklist::parse("00112233445566778899").unwrap();
    /// assert_eq!(list.contains(KeyType::Ed25519, &[7; 32]), Ok(None));
    /// ```
    ///
    /// # Errors
    /// As [`weaknesses`](super::weaknesses): for bytes that are no key.
    pub fn contains(&self, kind: KeyType, p: &[u8]) -> Result<Option<usize>, KeyError> {
        let key = PublicNumbers::read(kind, p)?;
        Ok(self.line_with(&Fingerprints::of(&key)))
    }

    /// How many fingerprints there are.
    pub fn len(&self) -> usize {
        self.sha256.len() + self.debian.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn line_with(&self, prints: &Fingerprints) -> Option<usize> {
        let modern = find(&self.sha256, &prints.sha256);
        let debian = prints.debian.and_then(|print| find(&self.debian, &print));
        modern.into_iter().chain(debian).min()
    }
}

fn find<const N: usize>(sorted: &[([u8; N], usize)], print: &[u8; N]) -> Option<usize> {
    let at = sorted.partition_point(|(other, _)| other < print);
    let (other, line) = sorted.get(at)?;
    (other == print).then_some(*line)
}

/// Reads 2N hexadecimal digits and nothing else.
pub(super) fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|d| d.to_le_bytes()[0]);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Why a blocklist cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlocklistError {
    /// A line that is neither blank, a comment nor a fingerprint.
    #[error(
        "line {line} of the blocklist is no fingerprint: 64 hexadecimal digits (SHA-256 of the public key in \
         DER) or 20 (the form of openssl-blacklist)"
    )]
    NoFingerprint {
        /// Its number, from 1.
        line: usize,
    },
    /// More fingerprints than are read.
    #[error("line {line} of the blocklist has one fingerprint more than the {max} that are read")]
    TooMany {
        /// The number of the line, from 1.
        line: usize,
        /// The limit.
        max: usize,
    },
}

impl BlocklistError {
    /// The number of the line, from 1.
    pub fn line(&self) -> usize {
        match *self {
            BlocklistError::NoFingerprint { line } | BlocklistError::TooMany { line, .. } => line,
        }
    }
}
