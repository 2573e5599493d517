//! The keys of an import as they are read, and all that keeps it from being done.

use std::collections::HashMap;
use std::fmt::Display;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use dkimkit::key::SigningKey;
use dkimkit::keystore::{KeyStore, StoreError, read_key};
use dkimkit::milter::opendkim::KeySource;

use crate::cli::speech::{self, Trouble};

/// Reads each key file once.
#[derive(Default)]
pub(super) struct Reader {
    files: HashMap<String, Result<Arc<SigningKey>, String>>,
}

impl Reader {
    pub(super) fn key(
        &mut self,
        source: &KeySource,
        place: &str,
    ) -> Result<Arc<SigningKey>, String> {
        if let Some(key) = source.inline() {
            return key
                .map(Arc::new)
                .map_err(|error| format!("{place}: {error}"));
        }
        let KeySource::Path(path) = source else {
            return Err(format!("{place}: there is no key"));
        };
        let read = || {
            read_key(Path::new(path))
                .map(Arc::new)
                .map_err(|error| unreadable(path, &error))
        };
        self.files.entry(path.clone()).or_insert_with(read).clone()
    }
}

/// Why a key file cannot be used, with its mode and owner where that is why.
fn unreadable(path: &str, error: &StoreError) -> String {
    match (error, fs::metadata(path)) {
        (
            StoreError::Io {
                kind: io::ErrorKind::PermissionDenied,
                ..
            },
            Ok(metadata),
        ) => {
            let mode = metadata.permissions().mode() & 0o7777;
            format!("{error} (mode {mode:04o}, owner {})", metadata.uid())
        }
        _ => error.to_string(),
    }
}

/// What keeps the import from being done.
#[derive(Default)]
pub(super) struct Problems {
    all: Vec<String>,
}

impl Problems {
    pub(super) fn add(&mut self, problem: impl Display) {
        let problem = problem.to_string();
        if !self.all.contains(&problem) {
            self.all.push(problem);
        }
    }

    pub(super) fn end(self, store: &KeyStore) -> Result<(), Trouble> {
        let Some(first) = self.all.first() else {
            return Ok(());
        };
        const SHOWN: usize = 10;
        for other in self.all.iter().skip(1).take(SHOWN) {
            speech::warning(other);
        }
        if let Some(more) = self
            .all
            .len()
            .checked_sub(SHOWN + 1)
            .filter(|more| *more > 0)
        {
            speech::warning(format!("and {more} more"));
        }
        let any = |text: &str| self.all.iter().any(|problem| problem.contains(text));
        let mut trouble = Trouble::usage(format!("nothing was imported: {first}"));
        if any("permission denied") {
            trouble = trouble.hint(
                "run it as a user who may read the keys and write to the store, root for instance",
            );
        }
        if any("holds another key") || any("exists already") {
            let dir = store.dir().display();
            trouble = trouble
                .hint(format!(
                    "`dkimkit keys list --keys {dir}` shows what is in the store"
                ))
                .hint(
                    "--keys DIR names another store; or move the key that is in the way elsewhere",
                );
        }
        if any("no such file") {
            trouble = trouble.hint("correct the path, or take the row out of the tables");
        }
        if any("this is no private key") {
            trouble = trouble.hint("a path in the KeyTable begins with / or ./, or OpenDKIM takes it for the key itself");
        }
        if any("fewer than 1024") {
            trouble = trouble.hint("no receiver takes such a key (RFC 8301): make a new one with dkimkit generate, and take the row out");
        }
        Err(trouble)
    }
}
