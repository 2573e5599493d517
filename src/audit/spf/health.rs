//! Whether a record may be published in the place of another: no mail that passes now is to fail, and nobody is to be let
//! in who was not looked at.

use std::collections::BTreeSet;
use std::fmt;

use super::cover::covers_most;
use super::draft::is_ptr;
use super::work::collect;
use crate::spf::{Authorised, MAX_LOOKUPS, MAX_VOIDS, Place, Reason, Tree};

/// What ails a record, with all to which it leads; the default is one that nothing ails.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Each a clause with a subject and a verb.
    faults: BTreeSet<String>,
    lookups: usize,
    voids: usize,
    cut: bool,
    open: bool,
}

impl Health {
    pub(super) fn of(grown: &Tree) -> Health {
        let mut faults = BTreeSet::new();
        if let Some(trouble) = &grown.root.trouble {
            let domain = &grown.root.domain;
            faults.insert(broken(&format!("the record of {domain}"), trouble));
        }
        let mut places = Vec::new();
        collect(&grown.root, &mut places);
        for (domain, branch) in places {
            let term = &branch.term;
            let of = format!("{term} in the record of {domain}");
            if !branch.reached {
                let name = term.split([':', '/']).next().unwrap_or_default();
                if !name.contains('=') {
                    faults.insert(format!("{of} stands behind all, where nothing counts"));
                }
                continue;
            }
            let node = branch.node.as_ref();
            let below = node.and_then(|node| node.trouble.as_ref());
            if let Some(trouble) = branch.trouble.as_ref().or(below) {
                faults.insert(broken(&of, trouble));
            }
            if node.is_some_and(|node| node.place == Place::Loop) {
                faults.insert(format!("{of} leads back to where it came from"));
            }
            if is_ptr(term) {
                faults.insert(format!("{of} is slow, and many receivers pass over it"));
            }
        }
        let every: Vec<&Authorised> = grown.networks.iter().collect();
        Health {
            faults,
            lookups: grown.lookups,
            // A name without an address of the one family alone is found by those who send over the other.
            voids: grown.voids.v4.min(grown.voids.v6),
            cut: grown.cut,
            open: covers_most(&every),
        }
    }

    /// What ails this record that does not ail that one.
    pub(super) fn worse_than(&self, old: &Health) -> Option<Worse> {
        if let Some(fault) = self.faults.difference(&old.faults).next() {
            return Some(Worse::Fault(fault.clone()));
        }
        let Health { lookups, voids, .. } = self;
        if *lookups > MAX_LOOKUPS.max(old.lookups) {
            return Some(Worse::Lookups(*lookups));
        }
        if *voids > MAX_VOIDS.max(old.voids) {
            return Some(Worse::Voids(*voids));
        }
        if self.open && !old.open {
            return Some(Worse::Open);
        }
        let cut = self.cut && !old.cut;
        cut.then_some(Worse::Cut)
    }
}

/// That something has this trouble, which may begin with its name.
fn broken(of: &str, trouble: &Reason) -> String {
    let told = trouble.to_string();
    match told.starts_with(of) {
        true => told,
        false => format!("{of} does not work: {told}"),
    }
}

/// What a change of a record would bring with it. Shown, it is a clause with a subject and a verb.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Worse {
    /// A term that does harm.
    Fault(String),
    /// So many lookups.
    Lookups(usize),
    /// So many lookups that find nothing.
    Voids(usize),
    /// Everybody may send.
    Open,
    /// Not all could be looked at.
    Cut,
}

impl Worse {
    /// What is to be done first where the record is not changed because of it.
    pub(super) fn first(&self) -> String {
        format!("; mend this first, which the change brings with it: {self}")
    }
}

impl fmt::Display for Worse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Worse::Fault(fault) => f.write_str(fault),
            Worse::Lookups(lookups) => write!(
                f,
                "the record needs {lookups} lookups, and receivers end after {MAX_LOOKUPS}"
            ),
            Worse::Voids(voids) => write!(
                f,
                "{voids} lookups of the record find nothing, and receivers end after {MAX_VOIDS}"
            ),
            Worse::Open => f.write_str("the record lets everybody send, or nearly so"),
            Worse::Cut => f.write_str("the record leads to more than can be looked at"),
        }
    }
}
