//! What the milter tells of its work: entries of named values, a line each.

use std::fmt::{self, Write as _};

use crate::report::is_harmful;

/// How much an entry matters, as syslog has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody has to do something.
    Error,
    /// Somebody should look.
    Warning,
    /// It happened, and is not part of the daily work.
    Notice,
    /// The daily work.
    Info,
}

/// One entry: names and values, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How much it matters.
    pub severity: Severity,
    values: Vec<(&'static str, String)>,
}

impl Entry {
    /// An entry about an event.
    pub fn new(severity: Severity, event: &str) -> Entry {
        Entry {
            severity,
            values: vec![("event", event.to_owned())],
        }
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Entry {
        self.values.push((name, value.to_string()));
        self
    }

    /// Adds a value if there is one.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl fmt::Display>) -> Entry {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The values, in order.
    pub fn values(&self) -> &[(&'static str, String)] {
        &self.values
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.values.iter().find(|(known, _)| *known == name);
        value.map(|(_, value)| value.as_str())
    }
}

/// One line, `name=value` with blanks between. A value with anything but plain characters stands in
/// quotes, and what could harm a terminal or a reader of logs is escaped.
///
/// ```
/// use dkimkit::milter::journal::{Entry, Severity};
/// let entry = Entry::new(Severity::Info, "signed").with("domain", "example.com").with("why", "a \"b\"\n");
/// assert_eq!(entry.to_string(), r#"event=signed domain=example.com why="a \"b\"\n""#);
/// ```
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.values.iter().enumerate() {
            if at > 0 {
                f.write_char(' ')?;
            }
            let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '=');
            if !value.is_empty() && value.chars().all(plain) {
                write!(f, "{name}={value}")?;
                continue;
            }
            write!(f, "{name}=\"")?;
            for (at, c) in value.chars().enumerate() {
                match c {
                    _ if at == MAX_VALUE => {
                        f.write_str("…")?;
                        break;
                    }
                    '"' | '\\' => write!(f, "\\{c}")?,
                    '\n' => f.write_str("\\n")?,
                    c if c.is_control() || is_harmful(c) => write!(f, "{}", c.escape_unicode())?,
                    c => f.write_char(c)?,
                }
            }
            f.write_char('"')?;
        }
        Ok(())
    }
}

/// What a stranger may put into one value of a line, in characters.
const MAX_VALUE: usize = 2000;

/// Where entries go. A call must not block for long: the mail waits.
pub trait Journal: Send + Sync {
    /// Writes an entry down.
    fn write(&self, entry: &Entry);
}
