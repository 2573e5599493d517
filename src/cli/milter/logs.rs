//! Where the milter's log goes: standard error, journald or syslog.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use dkimkit::milter::config::{Config, LogTo};
use dkimkit::milter::journal::{Entry, Journal, Severity};
use libsystemd::logging::{Priority, connected_to_journal, journal_send};
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

use crate::cli::speech::Trouble;

/// The log that the configuration asks for.
pub(super) fn open(config: &Config) -> Result<Arc<dyn Journal>, Trouble> {
    Ok(match config.log_to {
        LogTo::Stderr => Arc::new(Stderr::new()),
        LogTo::Auto if connected_to_journal() => Arc::new(Journald),
        LogTo::Auto => Arc::new(Stderr::new()),
        LogTo::Journald => Arc::new(Journald),
        LogTo::Syslog => Arc::new(Syslog::new(config)?),
    })
}

/// A line an entry; on a pipe with the priority that service managers read.
struct Stderr {
    terminal: bool,
}

impl Stderr {
    fn new() -> Stderr {
        Stderr {
            terminal: std::io::stderr().is_terminal(),
        }
    }
}

impl Journal for Stderr {
    fn write(&self, entry: &Entry) {
        let level = match entry.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Info => "info",
        };
        let line = match self.terminal {
            true => format!("{level:7} {entry}\n"),
            false => format!("level={level} {entry}\n"),
        };
        // A log that cannot be written must not stop the mail.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// The journal, with each value as a field of its own.
struct Journald;

impl Journal for Journald {
    fn write(&self, entry: &Entry) {
        let priority = match entry.severity {
            Severity::Error => Priority::Error,
            Severity::Warning => Priority::Warning,
            Severity::Notice => Priority::Notice,
            Severity::Info => Priority::Info,
        };
        let fields = entry.values().iter();
        let fields = fields.map(|(name, value)| (format!("DKIM_{}", name.to_uppercase()), value));
        let _ = journal_send(priority, &entry.to_string(), fields);
    }
}

/// The log daemon of the machine.
struct Syslog(Mutex<Logger<LoggerBackend, Formatter3164>>);

impl Syslog {
    fn new(config: &Config) -> Result<Syslog, Trouble> {
        let (facility, name) = &config.syslog;
        let formatter = Formatter3164 {
            facility: facility.parse::<Facility>().map_err(|()| {
                Trouble::usage(format!("syslog_facility: {facility:?} is none"))
                    .hint("write mail, daemon, or local0 to local7")
            })?,
            hostname: None,
            process: name.clone(),
            pid: std::process::id(),
        };
        let logger = syslog::unix(formatter).map_err(|error| {
            Trouble::usage(format!("log_to: syslog cannot be reached: {error}"))
        })?;
        Ok(Syslog(Mutex::new(logger)))
    }
}

impl Journal for Syslog {
    fn write(&self, entry: &Entry) {
        let mut logger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = entry.to_string();
        let _ = match entry.severity {
            Severity::Error => logger.err(text),
            Severity::Warning => logger.warning(text),
            Severity::Notice => logger.notice(text),
            Severity::Info => logger.info(text),
        };
    }
}
