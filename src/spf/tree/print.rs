//! The tree as text.

use std::fmt;

use super::super::{MAX_LOOKUPS, MAX_NAMES};
use super::{Branch, Node, Place, Tree, Voids};

/// A line for the whole, and an indented one for each record and each term.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.endless {
            true => write!(f, "lookups without end")?,
            false => write!(f, "{} of {MAX_LOOKUPS} lookups", self.lookups)?,
        }
        writeln!(f, "{}", Counted(self.voids))?;
        if self.cut {
            writeln!(f, "not all was looked at: it is too much")?;
        }
        self.root.write(f, 0)
    }
}

struct Counted(Voids);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Voids { v4: 0, v6: 0 } => Ok(()),
            Voids { v4, v6 } if v4 == v6 => write!(f, ", {v4} void"),
            Voids { v4, v6 } => write!(f, ", void: {v4} over IPv4, {v6} over IPv6"),
        }
    }
}

impl Node {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:1$}{2}", "", 2 * depth, self.domain)?;
        match (&self.trouble, self.place) {
            (Some(trouble), _) => writeln!(f, ": {trouble}")?,
            (None, Place::Here) => writeln!(f)?,
            (None, Place::Loop) => writeln!(f, ": leads back to itself")?,
            (None, Place::Repeated) => writeln!(f, ": as above, once more")?,
            (None, Place::TooMany) => writeln!(f, ": not looked at")?,
        }
        for term in &self.terms {
            term.write(f, depth + 1)?;
        }
        Ok(())
    }
}

impl Branch {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:1$}{2}", "", 2 * depth, self.term)?;
        let mut notes = Vec::new();
        if !self.reached {
            notes.push("never reached".to_owned());
        }
        if self.lookups > 0 {
            notes.push(format!("lookups {}{}", self.lookups, Counted(self.voids)));
        }
        if let Some(count) = self.exchanges {
            notes.push(format!("{count} of {MAX_NAMES} exchanges"));
        }
        if self.depends {
            notes.push("depends on the sender".to_owned());
        }
        notes.extend(self.trouble.iter().map(ToString::to_string));
        if !notes.is_empty() {
            write!(f, " ({})", notes.join("; "))?;
        }
        writeln!(f)?;
        match &self.node {
            Some(node) => node.write(f, depth + 1),
            None => Ok(()),
        }
    }
}
