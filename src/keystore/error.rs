//! What keeps the key store from doing its work.

use std::io;
use std::path::PathBuf;

use crate::dns::ZoneError;
use crate::key::KeyError;
use crate::name::{Domain, KeyName, NameError};
use crate::record::RecordError;

/// Why the key store cannot do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The kind of error.
        kind: io::ErrorKind,
        /// The error in words.
        error: String,
    },
    /// There is a key of that name.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is another key of that name.
    #[error("{} holds another key", .path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// There is no key of that name.
    #[error("{} does not exist", .path.display())]
    NoSuchKey {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// The file holds no private key that can be used.
    #[error("{}: {error}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        error: KeyError,
    },
    /// The file holds no records.
    #[error("{}: {error}", .path.display())]
    Zone {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ZoneError,
    },
    /// The file holds no record of this key.
    #[error("{} holds no TXT record for {name}", .path.display())]
    NoRecord {
        /// The file.
        path: PathBuf,
        /// The name of the key.
        name: KeyName,
    },
    /// The file holds a broken key record.
    #[error("{}: {error}", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        error: RecordError,
    },
    /// The record is that of another key.
    #[error("p= in {} is not that of the private key beside it", .path.display())]
    OtherKey {
        /// The file of the record.
        path: PathBuf,
    },
    /// The file of states cannot be understood.
    #[error("{}: line {line} is not `selector state time`", .path.display())]
    States {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// The domain has no keys.
    #[error("there is no key for {domain}")]
    NoKeys {
        /// The domain.
        domain: Domain,
    },
    /// Several keys, and nothing says which is active.
    #[error("several keys lie there for {domain}, and none is marked active: {}", .selectors.join(", "))]
    Undecided {
        /// The domain.
        domain: Domain,
        /// The selectors.
        selectors: Vec<String>,
    },
    /// No key is active.
    #[error("no key of {domain} is active: {}", .selectors.join(", "))]
    NoneActive {
        /// The domain.
        domain: Domain,
        /// The selectors.
        selectors: Vec<String>,
    },
    /// There is no such group.
    #[error("there is no group {name}")]
    NoGroup {
        /// Its name.
        name: String,
    },
    /// Selector and domain together are too long.
    #[error("the name of the key is too long: {0}")]
    Name(#[from] NameError),
    /// The key cannot be encoded.
    #[error(transparent)]
    Encode(#[from] KeyError),
}
