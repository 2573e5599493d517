//! Whether a record may be published in the place of another: no mail that passes now is to fail, and nobody is to be let
//! in who was not looked at.

use std::collections::BTreeMap;
use std::fmt;

use super::cover::covers_most;
use super::draft::is_ptr;
use super::work::{At, collect, leading_wrong};
use super::{parts, slips};
use crate::spf::{Authorised, MAX_LOOKUPS, MAX_VOIDS, Place, Reason, Tree};

/// What ails a record, with all to which it leads; the default is one that nothing ails.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Each a clause with a subject and a verb, and where it comes from.
    faults: BTreeMap<String, Origin>,
    lookups: usize,
    voids: usize,
    cut: bool,
    open: bool,
}

/// Where a fault comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The term of the record itself that has it, or leads to it.
    pub(super) term: String,
    /// What mends it.
    pub(super) mend: String,
    /// Whether it is in the record of another domain, to which the term leads.
    pub(super) is_below: bool,
}

impl Health {
    pub(super) fn of(grown: &Tree) -> Health {
        let mut faults = BTreeMap::new();
        if let Some(trouble) = &grown.root.trouble {
            let domain = &grown.root.domain;
            let fault = broken(&format!("the record of {domain}"), trouble);
            faults.insert(fault, Origin::default());
        }
        for leading in &grown.root.terms {
            let mut places: Vec<At<'_>> = vec![(&grown.root.domain, leading)];
            if let Some(below) = &leading.node {
                collect(below, &mut places);
            }
            for place in places {
                let (domain, branch) = place;
                let is_below = !std::ptr::eq(branch, leading);
                for (fault, mend) in of_term(place) {
                    let term = leading.term.clone();
                    let mend = match is_below {
                        true => format!("let the owner of {domain} mend it, or take {term} out"),
                        false => mend,
                    };
                    faults.entry(fault).or_insert(Origin {
                        term,
                        mend,
                        is_below,
                    });
                }
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
        let mut faults = self.faults.iter();
        let new = faults.find(|(fault, _)| !old.faults.contains_key(*fault));
        if let Some((fault, origin)) = new {
            return Some(Worse::Fault(fault.clone(), origin.clone()));
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

/// The faults of a term, each with what mends it.
fn of_term((domain, branch): At<'_>) -> Vec<(String, String)> {
    let term = &branch.term;
    let of = format!("{term} in the record of {domain}");
    if !branch.reached {
        let name = term.split([':', '/']).next().unwrap_or_default();
        let fault = format!("{of} stands behind all, where nothing counts");
        let mend = "take it out, or put what is to count before all".to_owned();
        return match name.contains('=') {
            true => Vec::new(),
            false => vec![(fault, mend)],
        };
    }
    let mut faults = Vec::new();
    let node = branch.node.as_ref();
    let below = node.and_then(|node| node.trouble.as_ref());
    if let Some(trouble) = branch.trouble.as_ref().or(below) {
        let mend = match leading_wrong(branch, trouble) {
            Some(("spf-include-missing", _)) if slips::several(term).is_some() => {
                parts::one_each(term)
            }
            Some((_, mend)) => mend,
            None => format!("take {term} out, or run the audit again"),
        };
        faults.push((broken(&of, trouble), mend));
    }
    if node.is_some_and(|node| node.place == Place::Loop) {
        let mend = format!("take {term} out of the record of {domain}");
        faults.push((format!("{of} leads back to where it came from"), mend));
    }
    if is_ptr(term) {
        let mend = "name the hosts or networks that send instead".to_owned();
        let fault = format!("{of} is slow, and many receivers pass over it");
        faults.push((fault, mend));
    }
    faults
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
    Fault(String, Origin),
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
    /// What is to be done first where the record is not changed because of it. `hidden` are the words of records
    /// that nobody could evaluate: what they bring was there before the change.
    pub(super) fn first(&self, hidden: &[String]) -> String {
        match self {
            Worse::Fault(_, origin) if hidden.contains(&origin.term) => format!(
                "; mend this first, {}: {self}; {}",
                match origin.is_below {
                    true => "to which the record leads already",
                    false => "which stands in the record already",
                },
                origin.mend
            ),
            _ => format!("; mend this first, which the change brings with it: {self}"),
        }
    }
}

impl fmt::Display for Worse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Worse::Fault(fault, _) => f.write_str(fault),
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
