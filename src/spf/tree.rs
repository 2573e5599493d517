//! The record of a domain with all to which it leads, whoever sends: what a receiver may have to look up, and which addresses
//! may send.

mod gather;
mod print;

use std::collections::HashMap;

use serde::Serialize;

use self::gather::{Entry, Facts, gather};
use super::names::sending_domain;
use super::record::{Directive, Mechanism, Qualifier, Term, TermKind};
use super::{MAX_LOOKUPS, MAX_VOIDS, Network, Reason};
use crate::dns::lookup::{Ask, DnsName, Pending};
use crate::name::Domain;

pub use self::gather::MAX_TREE_QUESTIONS;

/// A record and all to which it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// The record of the domain itself.
    pub root: Node,
    /// How many lookups a receiver makes at most (RFC 7208 §4.6.4); where the record leads back to itself, those of one
    /// round.
    pub lookups: usize,
    /// How many of them find nothing.
    pub voids: Voids,
    /// Whether the record leads back to itself.
    pub endless: bool,
    /// Whether not all was looked at, since it is too much.
    pub cut: bool,
    /// The networks whose mail passes, as far as they are known without a message, each once. A term before theirs
    /// may still refuse some of their addresses.
    pub networks: Vec<Authorised>,
}

/// Terms that find nothing, for clients of either family: a name may have addresses of one alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Voids {
    /// For a client with an IPv4 address.
    pub v4: usize,
    /// For a client with an IPv6 address.
    pub v6: usize,
}

/// A network whose mail passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Authorised {
    /// The network.
    pub network: Network,
    /// The term that names it.
    pub term: String,
    /// The domain in whose record the term stands.
    pub domain: String,
}

/// A record in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The domain.
    pub domain: String,
    /// Whether its terms are below it.
    pub place: Place,
    /// The record, escaped.
    pub record: Option<String>,
    /// Why it has none that can be evaluated.
    pub trouble: Option<Reason>,
    /// The terms, where they are told here.
    pub terms: Vec<Branch>,
    /// How many lookups its terms cost at most.
    pub lookups: usize,
    /// How many of them find nothing.
    pub voids: Voids,
}

/// Whether the terms of a record are below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// They are.
    Here,
    /// The record stands above itself: it leads round in a circle.
    Loop,
    /// They are told elsewhere; they cost as much again.
    Repeated,
    /// They were not looked at: there are too many records.
    TooMany,
}

/// A term in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// The term.
    pub term: String,
    /// The name that it means, where that is known.
    pub target: Option<String>,
    /// Whether what it means depends on the message or the client.
    pub depends: bool,
    /// Whether it is ever evaluated: nothing behind `all` is (RFC 7208 §5.1, §6.1).
    pub reached: bool,
    /// How many lookups it costs at most, with those of the records below it.
    pub lookups: usize,
    /// How many of them find nothing.
    pub voids: Voids,
    /// How many mail exchanges an mx has.
    pub exchanges: Option<usize>,
    /// The networks that it names, as far as they are known.
    pub networks: Vec<Network>,
    /// What is wrong with what it leads to.
    pub trouble: Option<Reason>,
    /// The record to which it leads.
    pub node: Option<Box<Node>>,
}

impl Tree {
    /// Whether a receiver may make more lookups than it may (RFC 7208 §4.6.4).
    pub fn has_too_many_lookups(&self) -> bool {
        self.endless || self.lookups > MAX_LOOKUPS
    }

    /// Whether a receiver may find nothing more often than it may (RFC 7208 §4.6.4).
    pub fn has_too_many_voids(&self) -> bool {
        self.voids.v4.max(self.voids.v6) > MAX_VOIDS
    }

    /// The networks that are wider than these prefixes, for IPv4 and IPv6.
    pub fn wide(&self, v4: u8, v6: u8) -> impl Iterator<Item = &Authorised> {
        self.networks.iter().filter(move |authorised| {
            let network = authorised.network;
            network.prefix() < if network.address().is_ipv4() { v4 } else { v6 }
        })
    }
}

/// Reads the record of a domain and all to which it leads.
///
/// All questions that can be asked are asked before it waits. Macros that stand for the domain are expanded, and terms with
/// others say that they depend on the message.
///
/// ```
/// use dkimkit::dns::Zone;
/// use dkimkit::name::Domain;
/// use dkimkit::spf::tree;
/// let zone = Zone::parse(
///     "example.com. TXT \"v=spf1 mx include:b.example -all\"\nexample.com. MX 10 mx.example.com.\n\
///      mx.example.com. A 192.0.2.1\nb.example. TXT \"v=spf1 ip4:198.51.100.0/24 exists:%{i}.b.example -all\"",
/// )?;
/// let tree = tree(&zone, &Domain::new("example.com")?).unwrap();
/// assert_eq!((tree.lookups, tree.voids.v4, tree.voids.v6), (3, 0, 1));
/// let networks: Vec<String> = tree.networks.iter().map(|n| n.network.to_string()).collect();
/// assert_eq!(networks, ["192.0.2.1", "198.51.100.0/24"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Pending`] while answers are missing.
pub fn tree(dns: &dyn Ask, domain: &Domain) -> Result<Tree, Pending> {
    let domain = DnsName::from(domain);
    let (entries, cut) = gather(dns, &domain)?;
    let mut grower = Grower {
        entries: &entries,
        above: Vec::new(),
        told: HashMap::new(),
        endless: false,
    };
    let root = grower.node(
        domain.as_bytes(),
        Reason::Malformed {
            domain: domain.to_string(),
        },
    );
    Ok(Tree {
        lookups: root.lookups,
        voids: root.voids,
        endless: grower.endless,
        networks: networks(&entries, &domain),
        root,
        cut,
    })
}

/// Makes a tree of what was gathered: each record once, wherever it is met for the first time.
struct Grower<'a> {
    entries: &'a HashMap<DnsName, Entry>,
    above: Vec<&'a DnsName>,
    /// What the records cost that were told.
    told: HashMap<&'a DnsName, (usize, Voids)>,
    endless: bool,
}

impl<'a> Grower<'a> {
    fn node(&mut self, name: &[u8], malformed: Reason) -> Node {
        let mut node = Node {
            domain: super::names::shown(name),
            place: Place::Here,
            record: None,
            trouble: None,
            terms: Vec::new(),
            lookups: 0,
            voids: Voids::default(),
        };
        let Some(name) = sending_domain(name) else {
            node.trouble = Some(malformed);
            return node;
        };
        let Some((name, entry)) = self.entries.get_key_value(&name) else {
            node.place = Place::TooMany;
            return node;
        };
        node.record.clone_from(&entry.text);
        if self.above.contains(&name) {
            self.endless = true;
            node.place = Place::Loop;
            return node;
        }
        if let Some((lookups, voids)) = self.told.get(name) {
            node.place = Place::Repeated;
            (node.lookups, node.voids) = (*lookups, *voids);
            return node;
        }
        let record = match &entry.record {
            Ok(record) => record,
            Err(reason) => {
                node.trouble = Some(reason.clone());
                return node;
            }
        };
        self.above.push(name);
        for (term, facts) in record.terms().iter().zip(&entry.facts) {
            let branch = self.branch(term, facts);
            node.lookups = node.lookups.saturating_add(branch.lookups);
            node.voids = node.voids.plus(branch.voids);
            node.terms.push(branch);
        }
        self.above.pop();
        self.told.insert(name, (node.lookups, node.voids));
        node
    }

    fn branch(&mut self, term: &Term, facts: &Facts) -> Branch {
        let mut branch = Branch {
            term: term.text.clone(),
            target: facts.target.as_deref().map(super::names::shown),
            depends: facts.depends,
            reached: facts.reached,
            lookups: 0,
            voids: Voids::default(),
            exchanges: facts.exchanges,
            networks: facts.networks.clone(),
            trouble: facts.trouble.clone(),
            node: None,
        };
        if !facts.reached {
            return branch;
        }
        (branch.lookups, branch.voids) = (facts.lookups, facts.voids);
        if let Some(target) = facts.target.as_deref().filter(|_| facts.follows) {
            let domain = super::names::shown(target);
            let node = self.node(target, Reason::Malformed { domain });
            branch.lookups = branch.lookups.saturating_add(node.lookups);
            branch.voids = branch.voids.plus(node.voids);
            if matches!(
                node.trouble,
                Some(Reason::NoDomain { .. } | Reason::NoRecord { others: 0, .. })
            ) {
                branch.voids = branch.voids.plus(Voids { v4: 1, v6: 1 });
            }
            branch.node = Some(Box::new(node));
        }
        branch
    }
}

impl Voids {
    fn plus(self, other: Voids) -> Voids {
        Voids {
            v4: self.v4.saturating_add(other.v4),
            v6: self.v6.saturating_add(other.v6),
        }
    }
}

fn is_all(term: &Term) -> bool {
    matches!(&term.kind, TermKind::Directive(directive) if directive.mechanism == Mechanism::All)
}

/// The networks that a record lets pass, and those that pass by its includes and its redirect.
fn networks(entries: &HashMap<DnsName, Entry>, domain: &DnsName) -> Vec<Authorised> {
    let mut found: Vec<Authorised> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut met = vec![domain.clone()];
    let mut next = vec![domain.clone()];
    while let Some(name) = next.pop() {
        let Some(entry) = entries.get(&name) else {
            continue;
        };
        let Ok(record) = &entry.record else {
            continue;
        };
        let mut below = Vec::new();
        for (term, facts) in record.terms().iter().zip(&entry.facts) {
            let passes = facts.reached
                && match &term.kind {
                    TermKind::Directive(Directive { qualifier, .. }) => {
                        *qualifier == Qualifier::Pass
                    }
                    TermKind::Redirect(_) => true,
                    _ => false,
                };
            if passes {
                for network in &facts.networks {
                    if seen.insert(*network) {
                        found.push(Authorised {
                            network: *network,
                            term: term.text.clone(),
                            domain: name.to_string(),
                        });
                    }
                }
                let target = facts.target.as_deref().filter(|_| facts.follows);
                below.extend(target.and_then(sending_domain));
            }
        }
        below.retain(|name| !met.contains(name));
        met.extend(below.iter().cloned());
        next.extend(below.into_iter().rev());
    }
    found
}

#[cfg(test)]
mod tests;
