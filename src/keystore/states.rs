//! The file of a domain that says which selector is used for what, and since when.

use std::collections::BTreeMap;
use std::fmt;

use crate::name::{Domain, Selector};
use crate::time::UnixTime;

/// What a selector is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Not in use yet: its record is to be published first.
    Pending,
    /// Signs.
    Active,
    /// Signs no longer; its record stays for mail that is on its way.
    Retired,
    /// Withdrawn: its record says so.
    Revoked,
}

impl KeyState {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyState::Pending => "pending",
            KeyState::Active => "active",
            KeyState::Retired => "retired",
            KeyState::Revoked => "revoked",
        }
    }

    fn from_word(word: &str) -> Option<KeyState> {
        use KeyState::{Active, Pending, Retired, Revoked};
        [Pending, Active, Retired, Revoked]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A selector of a domain, with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The selector.
    pub selector: Selector,
    /// Its state.
    pub state: KeyState,
    /// Since when; `None` where no file says so.
    pub since: Option<UnixTime>,
    /// What else is remembered of it.
    pub notes: Notes,
}

/// What a rotation and the signer remember of a selector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notes {
    /// `served`: since when every authoritative server serves the record.
    pub served: Option<UnixTime>,
    /// `hold`: how long, in seconds, caches may keep what was published before the last change.
    pub hold: Option<u64>,
    /// `gone`: since when no authoritative server offers the key any more.
    pub gone: Option<UnixTime>,
    /// `lifetime`: the longest time, in seconds, from t= to x= of a signature with this key.
    pub lifetime: Option<u64>,
}

impl Entry {
    /// Gives it another state from `now` on; what belonged to the old one is forgotten.
    pub fn set_state(&mut self, state: KeyState, now: UnixTime) {
        if self.state != state {
            self.state = state;
            self.since = Some(now);
            self.notes.served = None;
            self.notes.hold = None;
            self.notes.gone = None;
        }
    }

    pub(super) fn of(selector: Selector, line: &Line) -> Entry {
        Entry {
            selector,
            state: line.state,
            since: Some(line.since),
            notes: line.notes,
        }
    }

    pub(super) fn without_line(selector: Selector, state: KeyState) -> Entry {
        Entry {
            selector,
            state,
            since: None,
            notes: Notes::default(),
        }
    }

    pub(super) fn line(&self, now: UnixTime) -> Line {
        Line {
            state: self.state,
            since: self.since.unwrap_or(now),
            notes: self.notes,
        }
    }
}

/// The file: the comments that people wrote, and a line for each selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct States {
    comments: Vec<String>,
    /// By selector, in ASCII.
    pub(super) lines: BTreeMap<String, Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    state: KeyState,
    since: UnixTime,
    notes: Notes,
}

impl Line {
    pub(super) fn new(state: KeyState, since: UnixTime) -> Line {
        Line {
            state,
            since,
            notes: Notes::default(),
        }
    }

    fn read(words: &mut dyn Iterator<Item = &str>) -> Option<Line> {
        let state = KeyState::from_word(words.next()?)?;
        let mut line = Line::new(state, UnixTime::read(words.next()?)?);
        for word in words {
            let notes = &mut line.notes;
            match word.split_once('=')? {
                ("served", time) if notes.served.is_none() => {
                    notes.served = Some(UnixTime::read(time)?);
                }
                ("gone", time) if notes.gone.is_none() => {
                    notes.gone = Some(UnixTime::read(time)?);
                }
                ("hold", seconds) if notes.hold.is_none() => {
                    notes.hold = Some(seconds.parse().ok()?);
                }
                ("lifetime", seconds) if notes.lifetime.is_none() => {
                    notes.lifetime = Some(seconds.parse().ok()?);
                }
                _ => return None,
            }
        }
        Some(line)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.state, self.since.to_rfc3339())?;
        if let Some(time) = self.notes.gone {
            write!(f, " gone={}", time.to_rfc3339())?;
        }
        if let Some(seconds) = self.notes.hold {
            write!(f, " hold={seconds}")?;
        }
        if let Some(seconds) = self.notes.lifetime {
            write!(f, " lifetime={seconds}")?;
        }
        if let Some(time) = self.notes.served {
            write!(f, " served={}", time.to_rfc3339())?;
        }
        Ok(())
    }
}

/// How our own comment begins.
const HEADING: &str = "# The selectors of ";

impl States {
    /// Reads the file; the number of the line, from 1, that cannot be understood.
    pub(super) fn read(text: &str) -> Result<States, usize> {
        let mut states = States::default();
        for (at, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let Some(selector) = words.next() else {
                continue;
            };
            if selector.starts_with('#') {
                if !line.starts_with(HEADING) {
                    states.comments.push(line.to_owned());
                }
                continue;
            }
            let line = Line::read(&mut words).ok_or(at + 1)?;
            if states.lines.insert(selector.to_lowercase(), line).is_some() {
                return Err(at + 1);
            }
        }
        Ok(states)
    }

    pub(super) fn write(&self, domain: &Domain) -> String {
        let mut text = format!("{HEADING}{domain}: name, state, since when, notes\n");
        for comment in &self.comments {
            text.push_str(&format!("{comment}\n"));
        }
        for (selector, line) in &self.lines {
            text.push_str(&format!("{selector} {line}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let domain = Domain::new("example.com").unwrap();
        let text = "# The selectors of example.com: name, state, since when, notes\n\
                    # nobody but Ann touches these\n\
                    a active 2026-11-21T11:05:00Z lifetime=1209600\n\
                    b pending 2026-11-21T11:05:00Z hold=3600 served=2026-11-22T00:00:00Z\n\
                    c revoked 2026-11-21T11:05:00Z gone=2026-11-22T00:00:00Z hold=300\n";
        let states = States::read(text).unwrap();
        assert_eq!(states.write(&domain), text);
        let reordered = "b pending 2026-11-21T11:05:00Z served=2026-11-22T00:00:00Z hold=3600";
        let again = States::read(reordered).unwrap();
        assert_eq!(again.lines["b"], states.lines["b"]);
        for (text, line) in [
            ("a", 1),
            ("a active", 1),
            ("a active yesterday", 1),
            ("# a\n\na waiting 2026-11-21T11:05:00Z", 3),
            ("a active 0 hold=", 1),
            ("a active 0 hold=1 hold=1", 1),
            ("a active 0 colour=red", 1),
            ("a active 0 hold", 1),
            ("a active 0\nA active 0", 2),
        ] {
            assert_eq!(States::read(text).unwrap_err(), line, "{text}");
        }
    }
}
