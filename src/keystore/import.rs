//! Keys of other programs, brought into the store with the state that they have there.

use std::fs;
use std::io;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::files::{find_group, plain};
use super::{KeyState, KeyStore, NewKey, Placing, StoreError, Stored};
use crate::key::SigningKey;
use crate::name::{Domain, Selector};
use crate::record::KeyRecord;
use crate::time::UnixTime;

impl KeyStore {
    /// Whether this very key is in the store under this name already. Nothing is changed.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where another key has the name, [`StoreError::Exists`] where a record without a
    /// key has it, and what is wrong with a key file that cannot be read.
    pub fn has(
        &self,
        domain: &Domain,
        selector: &Selector,
        key: &SigningKey,
    ) -> Result<bool, StoreError> {
        let (path, record) = (
            self.pem_path(domain, selector),
            self.txt_path(domain, selector),
        );
        if fs::symlink_metadata(&path).is_err() {
            return match fs::symlink_metadata(&record) {
                Ok(_) => Err(StoreError::Exists { path: record }),
                Err(_) => Ok(false),
            };
        }
        match self.key(domain, selector)?.public_bytes() == key.public_bytes() {
            true => Ok(true),
            false => Err(StoreError::Taken { path }),
        }
    }

    /// Whether a key of a domain can be written, for this group if one is named. Nothing is changed.
    ///
    /// # Errors
    /// [`StoreError::NoGroup`], and [`StoreError::Io`] for a directory that this user cannot write to.
    pub fn can_write(&self, domain: &Domain, group: Option<&str>) -> Result<(), StoreError> {
        group.map(find_group).transpose()?;
        let dir = std::path::absolute(self.domain_dir(domain)).unwrap_or_default();
        let there = dir.ancestors().find(|dir| dir.exists());
        let there = there.unwrap_or(Path::new("/"));
        let error = match access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
            Ok(()) if there.is_dir() => return Ok(()),
            Ok(()) => io::Error::from(io::ErrorKind::NotADirectory),
            Err(error) => io::Error::from(error),
        };
        Err(StoreError::Io {
            path: there.to_owned(),
            kind: error.kind(),
            error: plain(&error),
        })
    }

    /// Writes a key that exists already, with a record that is made from it, in this state, whatever else the
    /// domain has. Nothing that is there is overwritten.
    ///
    /// ```
    /// use dkimkit::key::{KeyKind, SigningKey};
    /// use dkimkit::keystore::{KeyState, KeyStore};
    /// use dkimkit::name::{Domain, Selector};
    /// use dkimkit::time::UnixTime;
    /// let dir = tempfile::tempdir()?;
    /// let store = KeyStore::new(dir.path());
    /// let domain = Domain::new("example.com")?;
    /// let key = SigningKey::generate(KeyKind::Ed25519)?;
    /// for selector in ["a", "b"] {
    ///     let selector = Selector::new(selector)?;
    ///     assert!(!store.has(&domain, &selector, &key)?);
    ///     store.import(&domain, &selector, &key, KeyState::Active, None, UnixTime(1_700_000_000))?;
    ///     assert!(store.has(&domain, &selector, &key)?);
    /// }
    /// assert_eq!(store.active(&domain)?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Exists`] where the selector has a key or a record already; then nothing was changed.
    pub fn import(
        &self,
        domain: &Domain,
        selector: &Selector,
        key: &SigningKey,
        state: KeyState,
        group: Option<&str>,
        now: UnixTime,
    ) -> Result<Stored, StoreError> {
        let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
        let new = NewKey {
            domain,
            selector,
            key,
            record: &record,
        };
        let placing = Placing {
            group,
            ..Placing::default()
        };
        self.put(&new, placing, now, |_| state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyKind;

    #[test]
    fn another_key_of_the_name_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::new(dir.path().join("keys"));
        let (domain, selector) = (
            Domain::new("example.com").unwrap(),
            Selector::new("s").unwrap(),
        );
        let key = || SigningKey::generate(KeyKind::Ed25519).unwrap();
        let (first, second) = (key(), key());
        let import = |key| {
            store.import(
                &domain,
                &selector,
                key,
                KeyState::Pending,
                None,
                UnixTime(0),
            )
        };
        store.can_write(&domain, None).unwrap();
        assert_eq!(import(&first).unwrap().state, KeyState::Pending);
        let path = store.pem_path(&domain, &selector);
        assert_eq!(store.has(&domain, &selector, &first), Ok(true));
        let taken = StoreError::Taken { path: path.clone() };
        assert_eq!(store.has(&domain, &selector, &second), Err(taken));
        assert_eq!(
            import(&second),
            Err(StoreError::Exists { path: path.clone() })
        );
        assert_eq!(store.has(&domain, &selector, &first), Ok(true));
        fs::remove_file(path).unwrap();
        let path = store.txt_path(&domain, &selector);
        assert_eq!(
            store.has(&domain, &selector, &first),
            Err(StoreError::Exists { path })
        );
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let domain = Domain::new("example.com").unwrap();
        let store = KeyStore::new(file.join("keys"));
        assert!(matches!(
            store.can_write(&domain, None),
            Err(StoreError::Io { path, .. }) if path == file
        ));
        let none = Some("no-such-group-here");
        let error = KeyStore::new(dir.path()).can_write(&domain, none);
        assert!(matches!(error, Err(StoreError::NoGroup { .. })));
    }
}
