//! Terms that are legal by grammar, name several domains with commas between, and so lead nowhere: what is to stand in
//! their place.

use super::super::facts::Facts;
use super::draft::Draft;
use super::voids::is_void;
use super::{grown_with, slips};
use crate::dns::lookup::Pending;
use crate::spf::{Branch, Node, Place, Reason};

/// Those of a record that lead nowhere.
#[derive(Debug, Default)]
pub(super) struct Parts {
    list: Vec<Part>,
}

/// Such a term, and those that are meant.
#[derive(Debug)]
struct Part {
    term: String,
    /// A term for each domain; none where one of them leads nowhere, and nobody knows what is meant.
    meant: Option<Vec<String>>,
}

impl Parts {
    /// Those among these terms of the record of the domain.
    pub(super) fn of(facts: &Facts<'_>, terms: &[String]) -> Result<Parts, Pending> {
        let several = terms.iter();
        let several = several.filter_map(|term| Some((term, slips::several(term)?)));
        let several: Vec<(&String, Vec<String>)> = several.collect();
        if several.is_empty() {
            return Ok(Parts::default());
        }
        // One record of what is there, and one of what may be meant: so no more is asked than for two.
        let now: Vec<&str> = several.iter().map(|(term, _)| term.as_str()).collect();
        let then: Vec<&str> = several
            .iter()
            .flat_map(|(_, meant)| meant)
            .map(String::as_str)
            .collect();
        let grown =
            [now, then].map(|terms| grown_with(facts, &format!("v=spf1 {}", terms.join(" "))));
        let [now, then] = grown;
        let (now, then) = (now?.root, then?.root);
        let holds = |root: &Node, term: &str, is: fn(&Branch) -> bool| {
            root.terms
                .iter()
                .any(|branch| branch.term == term && is(branch))
        };
        let lost = several
            .into_iter()
            .filter(|(term, _)| holds(&now, term, leads_nowhere));
        let list = lost.map(|(term, meant)| Part {
            term: term.clone(),
            meant: Some(meant)
                .filter(|meant| meant.iter().all(|term| holds(&then, term, leads_somewhere))),
        });
        Ok(Parts {
            list: list.collect(),
        })
    }

    /// Puts what is plainly meant into a record.
    pub(super) fn put_into(&self, draft: &mut Draft) {
        for (term, meant) in self.plain() {
            draft.part(term, meant);
        }
    }

    /// An instruction for each whose meaning is plain.
    pub(super) fn written(&self) -> impl Iterator<Item = String> {
        self.plain().map(|(term, meant)| written(term, meant))
    }

    /// Each whose meaning is plain, with that.
    pub(super) fn plain(&self) -> impl Iterator<Item = (&str, &[String])> {
        let list = self.list.iter();
        list.filter_map(|part| Some((part.term.as_str(), part.meant.as_deref()?)))
    }

    /// What is meant by a term, where that is plain.
    pub(super) fn meant(&self, term: &str) -> Option<&[String]> {
        let mut plain = self.plain();
        plain.find(|(known, _)| *known == term).map(|(_, to)| to)
    }

    /// What is to be done with a term, where it is one of these.
    pub(super) fn told(&self, term: &str) -> Option<String> {
        let part = self.list.iter().find(|part| part.term == term)?;
        Some(match &part.meant {
            Some(meant) => written(term, meant),
            None => one_each(term),
        })
    }
}

/// What is to be written in the place of a term.
pub(super) fn written(found: &str, meant: &[String]) -> String {
    format!("write {} instead of “{found}”", meant.join(" "))
}

/// What is to be done with a term of which nobody knows what is meant.
pub(super) fn one_each(term: &str) -> String {
    format!(
        "each name needs a term of its own, without commas: let each that stands in {term} have one, if it is there"
    )
}

/// Whether a term finds nothing where it leads.
fn leads_nowhere(branch: &Branch) -> bool {
    let below = branch.node.as_ref().and_then(|node| node.trouble.as_ref());
    let trouble = branch.trouble.as_ref().or(below);
    let is_gone = matches!(
        trouble,
        Some(Reason::NoDomain { .. } | Reason::NoRecord { .. } | Reason::NothingThere { .. })
    );
    is_gone || is_void(branch)
}

/// Whether a term leads to a record that can be evaluated, or to addresses.
fn leads_somewhere(branch: &Branch) -> bool {
    let is_right = branch.reached && branch.trouble.is_none();
    is_right
        && match &branch.node {
            Some(node) => {
                node.trouble.is_none() && matches!(node.place, Place::Here | Place::Repeated)
            }
            None => !branch.networks.is_empty(),
        }
}
