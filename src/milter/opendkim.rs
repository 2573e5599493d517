//! What OpenDKIM's files say: its configuration, data sets, tables and lists of hosts, for those who move.
//!
//! Everything here is text in and values out: files come from a closure of the caller. What OpenDKIM 2.11 does
//! is kept where its manual says otherwise, and `testdata/opendkim` holds the answers that it gave itself:
//!
//! - MultipleSignatures makes two signatures at most: those of the first and of the last match.
//! - A SigningTable without patterns is asked for `user@domain`, `domain`, then for each parent for `user@.parent`
//!   and `.parent`, then for `user@*` and `*`.
//! - A row that names an unknown or a broken key defers the message; one without a key is a crash; an identity
//!   without `@` leaves the message unsigned. Here each is an error with its line ([`Undecided`]).
//! - Names of keys are told apart by case; authors, domains and hosts are not.
//! - In a refile `[`, `(`, `?` and their like reach the regular expressions of the system. Here such a row matches
//!   nothing, and is noted.
//! - Hosts are compared as text, so that `192.0.2.1/24` and `10/8` are never found; they are noted.
//!
//! ```
//! use dkimkit::milter::opendkim::{Conf, Imported};
//! let read = |path: &str| match path {
//!     "/etc/opendkim.conf" => Ok(b"KeyTable /etc/dkim/keys\nSigningTable refile:/etc/dkim/signing\n".to_vec()),
//!     "/etc/dkim/keys" => Ok(b"main example.com:s1:/etc/dkim/s1.private\n".to_vec()),
//!     "/etc/dkim/signing" => Ok(b"*@example.com main\n".to_vec()),
//!     _ => Err(std::io::ErrorKind::NotFound.into()),
//! };
//! let conf = Conf::read("/etc/opendkim.conf", &read)?;
//! let imported = Imported::plan(&conf, &read)?;
//! let signing = imported.rules.decide("anna@example.com")?;
//! assert_eq!(signing[0].selector.as_str(), "s1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod conf;
mod dataset;
mod hosts;
mod import;
mod keytable;
mod options;
mod rules;
mod scope;
mod settings;
mod signing;
#[cfg(test)]
mod tests;
mod toml;

pub use self::conf::{Conf, Setting};
pub use self::dataset::{DataSet, Entry, Remark};
pub use self::hosts::HostSet;
pub use self::import::{Imported, ImportedKey, Note, What};
pub use self::keytable::KeySource;
pub use self::options::{Fate, Kind, OPTIONS, OpenDkimOption, option};
pub use self::rules::{Row, Rule};
pub use self::settings::Item;
pub use self::signing::{Signing, SigningRules, Undecided};

/// Gives the bytes of a file.
///
/// Every closure from a path to the result of reading it is one: `&|path: &str| std::fs::read(path)`.
pub trait ReadFile {
    /// The bytes of the file at `path`.
    ///
    /// # Errors
    /// What the file system says.
    fn read(&self, path: &str) -> std::io::Result<Vec<u8>>;

    /// The names in the directory at `path`. It is asked for the domains that have a key, where a path of the
    /// KeyTable has a `%`.
    ///
    /// # Errors
    /// What the file system says; [`Unsupported`](std::io::ErrorKind::Unsupported) where nothing is listed.
    fn list(&self, _path: &str) -> std::io::Result<Vec<String>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl<F: Fn(&str) -> std::io::Result<Vec<u8>>> ReadFile for F {
    fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        self(path)
    }
}

/// The lines of a file, numbered from 1.
fn lines_of(
    path: &str,
    files: &dyn ReadFile,
    whence: (&str, usize),
) -> Result<Vec<String>, ConfError> {
    let fault = |fault| ConfError::new(whence.0, whence.1, fault);
    let bytes = files.read(path).map_err(|error| {
        fault(Fault::Unreadable {
            path: path.to_owned(),
            why: error.to_string(),
        })
    })?;
    let at = |line, fault| ConfError::new(path, line, fault);
    if bytes.len() > MAX_FILE {
        return Err(at(0, Fault::FileTooLong { max: MAX_FILE }));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        at(line, Fault::NotUtf8)
    })?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match lines.iter().position(|line| line.len() > MAX_LINE) {
        Some(line) => Err(at(line + 1, Fault::LineTooLong { max: MAX_LINE })),
        None => Ok(lines),
    }
}

/// A file longer than this, or a line, is not what it is said to be.
const MAX_FILE: usize = 64 << 20;
const MAX_LINE: usize = 64 << 10;

/// What is wrong with the files, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {fault}")]
pub struct ConfError {
    /// The file in which it stands.
    pub file: String,
    /// The line, from 1 on; 0 where it is the whole file.
    pub line: usize,
    /// What it is.
    pub fault: Fault,
}

impl ConfError {
    fn new(file: &str, line: usize, fault: Fault) -> ConfError {
        let file = file.to_owned();
        ConfError { file, line, fault }
    }
}

/// What is wrong in a line, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A name that no build of OpenDKIM that we know has.
    #[error("OpenDKIM has no option {name:?}: correct its spelling, or remove the line")]
    UnknownOption {
        /// The name.
        name: String,
    },
    /// An option without a value.
    #[error("{name} has no value: give one, or remove the line")]
    NoValue {
        /// The option.
        name: &'static str,
    },
    /// Neither yes nor no.
    #[error("{name} is {value:?}: write yes or no")]
    NotBoolean {
        /// The option.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Not a number.
    #[error("{name} is {value:?}: write a whole number")]
    NotInteger {
        /// The option.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// A value that is none of those that the option has.
    #[error("{name} is {value:?}: write {want}")]
    BadValue {
        /// The option.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        want: &'static str,
    },
    /// One option needs another.
    #[error("{name} needs {needs}: set it as well, or remove the line")]
    Needs {
        /// The option that is set.
        name: &'static str,
        /// What is missing.
        needs: &'static str,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}: {why}; correct the path, or let this user read it")]
    Unreadable {
        /// The path.
        path: String,
        /// What the system says.
        why: String,
    },
    /// Bytes that are not UTF-8.
    #[error("the file is not UTF-8 from here on: convert it, for example with iconv")]
    NotUtf8,
    /// A file of an absurd size.
    #[error("the file is longer than {max} bytes: is it the right one?")]
    FileTooLong {
        /// The most that is read.
        max: usize,
    },
    /// A line of an absurd size.
    #[error("the line is longer than {max} bytes: is it the right file?")]
    LineTooLong {
        /// The most that is read.
        max: usize,
    },
    /// More entries than are taken.
    #[error("more than {max} entries: split the set, or ask for a higher limit")]
    TooManyEntries {
        /// The most that is read.
        max: usize,
    },
    /// Files that include each other, or too many levels of them.
    #[error("Include goes deeper than {max} levels: does the file include itself?")]
    IncludeTooDeep {
        /// The levels that OpenDKIM allows.
        max: usize,
    },
    /// A data set in a data base, which we do not ask.
    #[error("{prefix}: data sets are not read: {hint}")]
    Backend {
        /// The word before the colon.
        prefix: String,
        /// How to get the same as text.
        hint: &'static str,
    },
    /// A word before a colon that is no kind of data set.
    #[error(
        "{prefix:?} is no kind of data set: write file:, refile: or csl:; a list that begins with an IPv6 address needs csl: before it"
    )]
    UnknownBackend {
        /// The word before the colon.
        prefix: String,
    },
}
