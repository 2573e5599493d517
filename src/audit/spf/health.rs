//! Whether a record may be published in the place of another: no mail that passes now is to fail, and nobody is to be let
//! in who was not looked at.

use std::collections::BTreeSet;

use super::cover::covers_most;
use super::draft::is_ptr;
use super::work::collect;
use crate::spf::{Authorised, MAX_LOOKUPS, MAX_VOIDS, Place, Tree};

/// What ails a record, with all to which it leads; the default is one that nothing ails.
#[derive(Debug, Default)]
pub(super) struct Health {
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
            faults.insert(trouble.to_string());
        }
        let mut places = Vec::new();
        collect(&grown.root, &mut places);
        for (domain, branch) in places {
            let term = &branch.term;
            let of = format!("{term} in the record of {domain}");
            if !branch.reached {
                let name = term.split([':', '/']).next().unwrap_or_default();
                if !name.contains('=') {
                    faults.insert(format!("{of}, which stands behind all"));
                }
                continue;
            }
            let node = branch.node.as_ref();
            let below = node.and_then(|node| node.trouble.as_ref());
            if let Some(trouble) = branch.trouble.as_ref().or(below) {
                faults.insert(format!("{of}: {trouble}"));
            }
            if node.is_some_and(|node| node.place == Place::Loop) {
                faults.insert(format!("{of}, which leads back to where it came from"));
            }
            if is_ptr(term) {
                faults.insert(format!("{of}, which many receivers pass over"));
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
    pub(super) fn worse_than(&self, old: &Health) -> Option<String> {
        if let Some(fault) = self.faults.difference(&old.faults).next() {
            return Some(fault.clone());
        }
        let Health { lookups, voids, .. } = self;
        if *lookups > MAX_LOOKUPS.max(old.lookups) {
            return Some(format!("that it needs {lookups} lookups"));
        }
        if *voids > MAX_VOIDS.max(old.voids) {
            return Some(format!("that {voids} of its lookups find nothing"));
        }
        if self.open && !old.open {
            return Some("that it lets everybody send".to_owned());
        }
        let cut = self.cut && !old.cut;
        cut.then(|| "that it leads to more than can be looked at".to_owned())
    }
}
