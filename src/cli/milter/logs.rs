//! Where the milter's log goes: standard error, journald or syslog.
//!
//! Each of them may keep a writer waiting, who must not be one that serves mail: a thread writes what stands in
//! a queue. What the queue has no room for is lost, and how much that was is told.

mod queue;

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use dkimkit::milter::config::{Config, LogTo};
use dkimkit::milter::journal::{Entry, Journal, Severity};
use libsystemd::logging::{Priority, connected_to_journal, journal_send};
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

use self::queue::Queue;
use crate::cli::speech::Trouble;

/// A log. What was written to it is there when this goes, unless nobody takes it.
pub(super) struct Log(Arc<Queue>);

impl Log {
    /// The log that the configuration asks for. Its thread begins with the first entry.
    pub(super) fn open(config: &Config) -> Result<Log, Trouble> {
        let output: Box<dyn Output> = match config.log_to {
            LogTo::Auto if connected_to_journal() => Box::new(Journald),
            LogTo::Stderr | LogTo::Auto => Box::new(Stderr::new()),
            LogTo::Journald => Box::new(Journald),
            LogTo::Syslog => syslog(config)?,
        };
        Ok(Log(Arc::new(Queue::new(output))))
    }

    /// Where entries go.
    pub(super) fn journal(&self) -> Arc<dyn Journal> {
        self.0.clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush(PATIENCE);
    }
}

/// How long the end waits for a log.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that entries are written to. It may block.
trait Output: Send {
    fn write(&mut self, entry: &Entry);
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

impl Output for Stderr {
    fn write(&mut self, entry: &Entry) {
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

impl Output for Journald {
    fn write(&mut self, entry: &Entry) {
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

/// The log daemon of the machine. When it begins anew, what was connected to it stays dead.
struct Syslog<C> {
    connect: C,
    logger: SysLogger,
}

type SysLogger = Logger<LoggerBackend, Formatter3164>;

fn syslog(config: &Config) -> Result<Box<dyn Output>, Trouble> {
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
    match Syslog::connected_by(move || syslog::unix(formatter.clone())) {
        Ok(syslog) => Ok(Box::new(syslog)),
        Err(error) => Err(Trouble::usage(format!(
            "log_to: syslog cannot be reached: {error}"
        ))),
    }
}

impl<C: FnMut() -> syslog::Result<SysLogger>> Syslog<C> {
    fn connected_by(mut connect: C) -> syslog::Result<Syslog<C>> {
        let logger = connect()?;
        Ok(Syslog { connect, logger })
    }
}

impl<C: FnMut() -> syslog::Result<SysLogger> + Send> Output for Syslog<C> {
    fn write(&mut self, entry: &Entry) {
        let text = entry.to_string();
        if send(&mut self.logger, entry.severity, &text).is_ok() {
            return;
        }
        if let Ok(logger) = (self.connect)() {
            self.logger = logger;
            let _ = send(&mut self.logger, entry.severity, &text);
        }
    }
}

fn send(logger: &mut SysLogger, severity: Severity, text: &str) -> syslog::Result<()> {
    match severity {
        Severity::Error => logger.err(text),
        Severity::Warning => logger.warning(text),
        Severity::Notice => logger.notice(text),
        Severity::Info => logger.info(text),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_log_daemon_that_begins_anew_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let formatter = Formatter3164 {
            facility: Facility::LOG_MAIL,
            hostname: None,
            process: "dkimkit".to_owned(),
            pid: 1,
        };
        let listen = || {
            let _ = std::fs::remove_file(&path);
            UnixDatagram::bind(&path).unwrap()
        };
        let heard = |socket: &UnixDatagram| {
            let mut bytes = [0; 500];
            let len = socket.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..len]).into_owned()
        };
        let daemon = listen();
        let connect = || syslog::unix_custom(formatter.clone(), &path);
        let mut log = Syslog::connected_by(connect).unwrap();
        log.write(&Entry::new(Severity::Info, "first"));
        assert!(heard(&daemon).ends_with("event=first"));
        drop(daemon);
        log.write(&Entry::new(Severity::Info, "nobody"));
        let daemon = listen();
        log.write(&Entry::new(Severity::Info, "second"));
        assert!(heard(&daemon).ends_with("event=second"));
    }
}
