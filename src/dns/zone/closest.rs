//! Names that are not given: those above the ones that are exist and are empty (RFC 8020 §2), and a wildcard stands for
//! what does not exist (RFC 4592).

use super::{Entry, Said, Zone};

/// What a zone has at a name.
pub(super) enum AtName<'z> {
    Entry(&'z Entry),
    /// Nothing but names below it.
    Empty,
    Nothing,
}

/// Longer ones cannot be asked for, and what stands above them is not noted.
const MAX_NAME: usize = 254;

impl Zone {
    /// Notes that what stands above a name exists, since the name does.
    pub(super) fn note_above(&mut self, name: &str) {
        let exists = self.names.get(name).is_some_and(Entry::exists);
        if !exists || name.len() > MAX_NAME {
            return;
        }
        for above in parents(name) {
            if !self.above.insert(above.to_owned()) {
                break;
            }
        }
    }

    /// What is at a name, or what the wildcard at the closest name above it that exists says in its place.
    pub(super) fn at(&self, name: &str) -> AtName<'_> {
        let exact = |name: &str| match self.names.get(name) {
            Some(entry) => AtName::Entry(entry),
            None if self.above.contains(name) => AtName::Empty,
            None => AtName::Nothing,
        };
        match exact(name) {
            AtName::Nothing => {}
            found => return found,
        }
        let exists = |name: &&str| {
            self.above.contains(*name) || self.names.get(*name).is_some_and(Entry::exists)
        };
        // RFC 4592 §3.3.1: the closest encloser alone decides, and where it has no wildcard, none further up counts.
        let encloser = parents(name).find(exists).unwrap_or_default();
        exact(&format!("*.{encloser}"))
    }
}

impl Entry {
    /// Whether the name exists. What gets no answer may, and is not said to.
    fn exists(&self) -> bool {
        match self.status {
            _ if !self.records.is_empty() || self.cname.is_some() => true,
            Some(Said::NoData) => true,
            Some(_) => false,
            None => self.by_type.values().all(|said| *said == Said::NoData),
        }
    }
}

/// The names above one, without the root.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(name), |name| parent(name))
}

fn parent(name: &str) -> Option<&str> {
    let (_, above) = name.split_once('.')?;
    (!above.is_empty()).then_some(above)
}
