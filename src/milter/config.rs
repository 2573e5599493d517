//! The configuration of the milter: TOML in, checked values out. `setup/milter.toml` names every key.
//!
//! What is read here opens no file but is whole: a value that cannot be used is an error that names its key,
//! and so is a key that is not known.

mod address;
mod raw;
mod rules;
mod senders;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use self::address::Address;
pub use self::rules::{Rule, Rules};
pub use self::senders::SenderLogins;
use super::Limits;
use super::opendkim::HostSet;
use crate::authres::AuthservId;
use crate::policy::Policy;
use crate::sign::SignOptions;

/// A configuration that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where MTAs connect; at least one.
    pub listen: Vec<Address>,
    /// The mode of sockets in the file system.
    pub socket_mode: u32,
    /// Their group.
    pub socket_group: Option<String>,
    /// Who the program becomes.
    pub user: Option<String>,
    /// Its group, where it is not that of the user.
    pub group: Option<String>,
    /// Whether what is ours is signed.
    pub sign: bool,
    /// Whether all else is verified.
    pub verify: bool,
    /// The key store.
    pub keys: PathBuf,
    /// How often files are looked at for changes; `None` for never.
    pub reload_every: Option<Duration>,
    /// What is told of each message.
    pub log: LogLevel,
    /// Where it is told.
    pub log_to: LogTo,
    /// The facility, and the name of the program, for syslog.
    pub syslog: (String, String),
    /// Clients whose mail passes untouched.
    pub peers: HostSet,
    /// How is signed.
    pub signing: Signing,
    /// Who may write which From; `None` lets every login write all.
    pub sender_login: Option<SenderLogins>,
    /// How is verified.
    pub verifying: Verifying,
    /// The limits of the protocol.
    pub limits: Limits,
    /// Where the metrics are asked for.
    pub metrics: Option<Address>,
}

/// What is ours, and how it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// Whether a login makes a message ours.
    pub authenticated: bool,
    /// Clients whose mail is ours.
    pub trusted_networks: HostSet,
    /// Macros that make it ours: names, and the values that do (none: any).
    pub macros: Vec<(String, Vec<String>)>,
    /// Clients that may use our names although their mail is not ours.
    pub may_use_our_names: HostSet,
    /// The fields that name the author; the first one that is there counts.
    pub author_fields: Vec<String>,
    /// Whether keys of a parent sign for an author below it.
    pub subdomains: bool,
    /// Fields and canonicalization; the time is that of each message.
    pub options: SignOptions,
    /// x= less t=, in seconds.
    pub expires: Option<u64>,
    /// What becomes of a message that cannot be signed although it ought to be.
    pub on_error: Action,
    /// What becomes of a message whose login may not use its author.
    pub on_sender_mismatch: Action,
    /// The rules; without any the store decides.
    pub rules: Rules,
}

/// How is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifying {
    /// Our name in Authentication-Results; `None` is that of the MTA, or else of the host.
    pub authserv_id: Option<AuthservId>,
    /// Other names whose fields are removed.
    pub remove_ids: Vec<AuthservId>,
    /// What passes.
    pub policy: Policy,
    /// How long all lookups for a message may take.
    pub dns_timeout: Duration,
    /// Who is asked; nobody: the resolvers of the system.
    pub nameservers: Vec<SocketAddr>,
    /// Actions by result or reason.
    pub actions: HashMap<String, Action>,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// It goes on its way.
    #[default]
    Accept,
    /// It is deferred.
    TempFail,
    /// It is refused.
    Reject,
    /// The MTA holds it back.
    Quarantine,
}

impl Action {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Accept => "accept",
            Action::TempFail => "tempfail",
            Action::Reject => "reject",
            Action::Quarantine => "quarantine",
        }
    }

    fn from_word(word: &str) -> Option<Action> {
        let all = [
            Action::Accept,
            Action::TempFail,
            Action::Reject,
            Action::Quarantine,
        ];
        all.into_iter().find(|action| action.as_str() == word)
    }
}

/// What is told of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Only what went wrong.
    Trouble,
    /// A line.
    #[default]
    Line,
    /// A line with every rule that was looked at.
    Why,
}

/// Where the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogTo {
    /// journald where standard error leads there, else standard error.
    #[default]
    Auto,
    /// Standard error.
    Stderr,
    /// journald.
    Journald,
    /// syslog.
    Syslog,
}

impl Config {
    /// Reads a configuration. Relative paths are resolved against `base`, the directory of its file.
    ///
    /// ```
    /// use dkimkit::milter::config::{Address, Config};
    /// let config = Config::parse("listen = \"inet:8891@127.0.0.1\"\n", "/etc/dkimkit".as_ref())?;
    /// assert_eq!(config.listen, [Address::Inet { host: "127.0.0.1".to_owned(), port: 8891 }]);
    /// let error = Config::parse("listen = \"8891\"\n", "/".as_ref()).unwrap_err();
    /// assert!(error.to_string().starts_with("listen: "));
    /// # Ok::<(), dkimkit::milter::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`]: what is not TOML, a key that is not known, or a value that cannot be used.
    pub fn parse(text: &str, base: &std::path::Path) -> Result<Config, ConfigError> {
        let raw: raw::Raw = toml::from_str(text).map_err(|error| ConfigError::Toml {
            line: error.span().map_or(1, |span| {
                1 + text.as_bytes()[..span.start.min(text.len())]
                    .iter()
                    .filter(|b| **b == b'\n')
                    .count()
            }),
            why: error.message().to_owned(),
        })?;
        raw.checked(base)
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not TOML, or has keys that are not known, or values of another type.
    #[error("line {line}: {why}")]
    Toml {
        /// The line, from 1 on.
        line: usize,
        /// Why.
        why: String,
    },
    /// A value cannot be used.
    #[error("{key}: {why}")]
    Value {
        /// The key, with the tables around it.
        key: String,
        /// Why, and what is wanted.
        why: String,
    },
}

impl ConfigError {
    fn value(key: impl Into<String>, why: impl std::fmt::Display) -> ConfigError {
        ConfigError::Value {
            key: key.into(),
            why: why.to_string(),
        }
    }
}
