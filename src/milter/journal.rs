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
        let values = Vec::new();
        Entry { severity, values }.with("event", event)
    }

    /// Adds a value. Of one with more than 2,000 characters, or 8,000 where it is named `why`, that many stand
    /// there, and `…` behind them.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Entry {
        let room = if name == "why" { MAX_WHY } else { MAX_VALUE };
        let text = String::new();
        let mut start = Start { text, room };
        // It fails where there is no room, or where the value does not know how to be told.
        if write!(start, "{value}").is_err() {
            start.text.push('…');
        }
        self.values.push((name, start.text));
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
            for c in value.chars() {
                match c {
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

/// What a stranger may put into one value, in characters.
const MAX_VALUE: usize = 2000;
/// There may be many reasons.
const MAX_WHY: usize = 8000;

/// The first characters of a text.
struct Start {
    text: String,
    room: usize,
}

impl fmt::Write for Start {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for c in more.chars() {
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
}

/// Where entries go. A call must not block for long: the mail waits.
pub trait Journal: Send + Sync {
    /// Writes an entry down.
    fn write(&self, entry: &Entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_longer_than_it_may_be_in_whatever_form() {
        let cut = |len| format!("{}…", "é".repeat(len));
        for len in [0, 1, 1999, 2000, 2001, 300_000] {
            let text = "é".repeat(len);
            let entry = Entry::new(Severity::Info, &text)
                .with("from", &text)
                .with_some("login", Some(&text))
                .with("why", &text);
            let kept = if len > 2000 { cut(2000) } else { text.clone() };
            for name in ["event", "from", "login"] {
                assert_eq!(entry.get(name), Some(&*kept), "{len}");
            }
            let why = if len > 8000 { cut(8000) } else { text };
            assert_eq!(entry.get("why"), Some(&*why), "{len}");
        }
        // Escapes count as what they stand for; a line is still one.
        let entry = Entry::new(Severity::Info, "x").with("from", "\u{1}".repeat(300_000));
        assert!(entry.to_string().len() < 2000 * 6 + 100);
        let plain = Entry::new(Severity::Info, "x").with("from", "a".repeat(300_000));
        assert!(plain.to_string().len() < 2100);
    }
}
