//! Whether a record lets anybody send, and whose servers.

use super::super::facts::Facts;
use super::draft::{is_all, is_redirect};
use crate::dns::lookup::{DnsName, Pending};
use crate::spf::{Branch, Node, Place, tree};

/// Whom the record lets send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Lets {
    /// Nobody: mail from every address ends with fail.
    Nobody,
    /// Only those whom the records of others name, and its MX hosts: the terms that lead there.
    Others(Vec<String>),
    /// Somebody, as far as can be seen.
    Somebody,
}

/// Whom the record of the domain lets send, with all to which it leads.
pub(in super::super) fn lets(facts: &Facts<'_>) -> Result<Lets, Pending> {
    let grown = tree(facts, &facts.options.domain)?;
    let root = &grown.root;
    if grown.cut || grown.endless || !is_readable(root) {
        return Ok(Lets::Somebody);
    }
    if is_closed(root) {
        return Ok(Lets::Nobody);
    }
    let letting = root.terms.iter().filter(|branch| lets_somebody(branch));
    // Whose the MX hosts are the record does not say: those of others only take mail, though many let them send.
    let letting: Vec<&Branch> = letting.filter(|branch| !is_mx(branch)).collect();
    let domain = facts.domain();
    let others = letting.iter().all(|branch| is_of_others(branch, &domain));
    Ok(match others && !letting.is_empty() {
        true => Lets::Others(letting.iter().map(|branch| branch.term.clone()).collect()),
        false => Lets::Somebody,
    })
}

/// Whether the domain says with SPF that nobody sends mail of it, so that it needs no key and no address.
pub(in super::super) fn nobody_sends(facts: &Facts<'_>) -> Result<bool, Pending> {
    Ok(lets(facts)? == Lets::Nobody)
}

/// Whether the record lets the MX hosts send, and names nobody else who could.
pub(in super::super) fn only_exchanges(facts: &Facts<'_>) -> Result<bool, Pending> {
    let root = tree(facts, &facts.options.domain)?.root;
    let mut letting = root.terms.iter().filter(|branch| lets_somebody(branch));
    Ok(letting.all(is_mx))
}

fn is_mx(branch: &Branch) -> bool {
    let term = branch.term.trim_start_matches('+');
    term.eq_ignore_ascii_case("mx")
}

fn is_readable(node: &Node) -> bool {
    node.place == Place::Here && node.trouble.is_none() && node.record.is_some()
}

/// Whether mail from every address ends with fail.
fn is_closed(node: &Node) -> bool {
    if !is_readable(node) || node.terms.iter().any(lets_somebody) {
        return false;
    }
    let mut reached = node.terms.iter().filter(|branch| branch.reached);
    let end = reached.find(|branch| is_all(&branch.term) || is_redirect(&branch.term));
    end.is_some_and(|end| match &end.node {
        Some(node) => is_closed(node),
        None => end.term.starts_with('-'),
    })
}

/// Whether mail may pass by a term, or be neither allowed nor refused; that all others are neither, as `?all` says, names
/// nobody. What names nothing that is there is a slip of
/// somebody who lets send, and no refusal; only an mx of a domain without mail is none.
fn lets_somebody(branch: &Branch) -> bool {
    let neither = branch.term.starts_with('?') && is_all(&branch.term);
    if !branch.reached || neither || branch.term.starts_with(['-', '~']) {
        return false;
    }
    let term = branch.term.trim_start_matches(['+', '?']);
    let end = term.find([':', '/', '=']).unwrap_or(term.len());
    let (name, behind) = term.split_at(end);
    let name = name.to_ascii_lowercase();
    match (name.as_str(), &branch.node) {
        ("include" | "redirect", Some(node)) => !is_readable(node) || passes(node),
        ("redirect", None) => true,
        (_, _) if behind.starts_with('=') => false,
        ("mx", None) => {
            let void = branch.voids.v4.max(branch.voids.v6) > 0;
            !branch.networks.is_empty() || void || branch.depends || branch.trouble.is_some()
        }
        _ => true,
    }
}

/// Whether a record that is read lets anybody send.
fn passes(node: &Node) -> bool {
    node.terms.iter().any(lets_somebody)
}

/// Whether a term leads to the record of somebody else.
fn is_of_others(branch: &Branch, domain: &DnsName) -> bool {
    let target = branch.target.as_deref().filter(|_| branch.node.is_some());
    let target = target.map(|target| DnsName::new(target.as_bytes()));
    matches!(target, Some(Ok(target)) if !target.is_within(domain))
}
