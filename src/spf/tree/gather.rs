//! Fetches a record and all to which it leads, a level at a time.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::evaluate::select;
use super::super::macros::{Letter, Values};
use super::super::names::{askable, fitting, sending_domain};
use super::super::record::{DomainSpec, Mechanism, Prefixes, Record, Term, TermKind};
use super::super::{MAX_NAMES, Network, Reason};
use super::{Voids, is_all};
use crate::dns::lookup::{Ask, DnsName, Found, Pending, Question, Record as Answer, RecordType};

/// A tree asks no more than this, whoever wrote the records.
pub const MAX_TREE_QUESTIONS: usize = MAX_RECORDS + MAX_OTHERS;

/// Receivers end after ten lookups; nobody needs to see more of a tree.
const MAX_RECORDS: usize = 50;

/// What the terms may ask, beside other records.
const MAX_OTHERS: usize = 450;

/// What was fetched for a domain.
pub(super) struct Entry {
    /// The record, escaped.
    pub(super) text: Option<String>,
    pub(super) record: Result<Record, Reason>,
    /// What is known of each term of the record.
    pub(super) facts: Vec<Facts>,
}

/// What is known of a term.
#[derive(Default)]
pub(super) struct Facts {
    /// Whether it is ever evaluated (§5.1, §6.1).
    pub(super) reached: bool,
    /// Whether it is, and leads to another record.
    pub(super) follows: bool,
    pub(super) target: Option<Vec<u8>>,
    pub(super) depends: bool,
    pub(super) lookups: usize,
    pub(super) voids: Voids,
    pub(super) exchanges: Option<usize>,
    pub(super) networks: Vec<Network>,
    pub(super) trouble: Option<Reason>,
}

/// All records to which that of `domain` leads, and whether some are left out.
pub(super) fn gather(
    dns: &dyn Ask,
    domain: &DnsName,
) -> Result<(HashMap<DnsName, Entry>, bool), Pending> {
    let gatherer = Gatherer {
        dns,
        sender_domain: domain,
        budget: Cell::new(MAX_OTHERS),
        pending: Cell::new(false),
        cut: Cell::new(false),
    };
    let mut entries = HashMap::new();
    let mut met: HashSet<DnsName> = HashSet::from([domain.clone()]);
    let mut level = vec![domain.clone()];
    while !level.is_empty() {
        // Their texts come first, and all of them: so it does not depend on what comes when how much is asked.
        let found: Vec<Option<Found>> = level
            .iter()
            .map(|name| gatherer.ask(name, RecordType::Txt))
            .collect();
        let Some(found) = found.into_iter().collect::<Option<Vec<Found>>>() else {
            return Err(Pending);
        };
        let mut next = Vec::new();
        for (name, found) in level.into_iter().zip(found) {
            let entry = gatherer.entry(&name, &found);
            for facts in entry.facts.iter().filter(|facts| facts.follows) {
                let target = facts.target.as_deref().and_then(sending_domain);
                let Some(target) = target.filter(|target| !met.contains(target)) else {
                    continue;
                };
                if met.len() == MAX_RECORDS {
                    gatherer.cut.set(true);
                    break;
                }
                met.insert(target.clone());
                next.push(target);
            }
            entries.insert(name, entry);
        }
        if gatherer.pending.get() {
            // What the next level needs first can be fetched with what this one lacks.
            for name in &next {
                gatherer.ask(name, RecordType::Txt);
            }
            return Err(Pending);
        }
        level = next;
    }
    Ok((entries, gatherer.cut.get()))
}

struct Gatherer<'a> {
    dns: &'a dyn Ask,
    sender_domain: &'a DnsName,
    /// What may still be asked for terms.
    budget: Cell<usize>,
    pending: Cell<bool>,
    cut: Cell<bool>,
}

impl Gatherer<'_> {
    /// The answer; `None` where it is not there yet.
    fn ask(&self, name: &DnsName, kind: RecordType) -> Option<Found> {
        let found = self.dns.look(name, kind);
        self.pending.set(self.pending.get() || found.is_err());
        found.ok()
    }

    /// Takes what a term may ask from what may be asked at all; false where that is not left.
    fn spend(&self, mechanism: &Mechanism) -> bool {
        let questions = match mechanism {
            Mechanism::A(..) => 2,
            Mechanism::Mx(..) => 1 + 2 * MAX_NAMES,
            Mechanism::Exists(_) => 1,
            _ => 0,
        };
        match self.budget.get().checked_sub(questions) {
            Some(left) => self.budget.set(left),
            None => self.cut.set(true),
        }
        !self.cut.get()
    }

    fn entry(&self, name: &DnsName, found: &Found) -> Entry {
        let (text, record) = select(name, found);
        let mut facts = Vec::new();
        if let Ok(record) = &record {
            let has_all = record.terms().iter().any(is_all);
            let mut reached = true;
            for term in record.terms() {
                let ignored = has_all && matches!(term.kind, TermKind::Redirect(_));
                facts.push(self.facts(name, term, reached && !ignored));
                reached &= !is_all(term);
            }
        }
        Entry {
            text,
            record,
            facts,
        }
    }

    /// What is known of a term; nothing is asked for one that is never evaluated.
    fn facts(&self, domain: &DnsName, term: &Term, reached: bool) -> Facts {
        let mut facts = Facts {
            reached,
            ..Facts::default()
        };
        let (spec, mechanism) = match &term.kind {
            TermKind::Explanation(_) | TermKind::Unknown { .. } => return facts,
            TermKind::Redirect(spec) => (Some(spec), None),
            TermKind::Directive(directive) => match &directive.mechanism {
                Mechanism::All => {
                    let every = [
                        IpAddr::from(Ipv4Addr::UNSPECIFIED),
                        Ipv6Addr::UNSPECIFIED.into(),
                    ];
                    facts.networks = every.iter().filter_map(|a| Network::new(*a, 0)).collect();
                    return facts;
                }
                Mechanism::Ip(network) => {
                    facts.networks = vec![*network];
                    return facts;
                }
                mechanism @ (Mechanism::Include(spec) | Mechanism::Exists(spec)) => {
                    (Some(spec), Some(mechanism))
                }
                mechanism @ (Mechanism::A(spec, _)
                | Mechanism::Mx(spec, _)
                | Mechanism::Ptr(spec)) => (spec.as_ref(), Some(mechanism)),
            },
        };
        // §4.6.4: the macro p costs a lookup too.
        facts.lookups = 1 + usize::from(spec.is_some_and(|spec| spec.uses(Letter::ValidatedName)));
        facts.follows = reached && matches!(mechanism, None | Some(Mechanism::Include(_)));
        match self.target(spec, domain) {
            Some(target) => facts.target = Some(target),
            None => facts.depends = true,
        }
        let name = facts.target.as_deref().and_then(askable);
        let may_ask = || reached && mechanism.is_none_or(|mechanism| self.spend(mechanism));
        let Some(name) = name.filter(|_| may_ask()) else {
            return facts;
        };
        match mechanism {
            Some(Mechanism::A(_, prefixes)) => {
                facts.voids = self.addresses(&name, *prefixes, &mut facts);
            }
            Some(Mechanism::Mx(_, prefixes)) => {
                self.exchanges(&name, *prefixes, domain, term, &mut facts)
            }
            Some(Mechanism::Exists(_)) => {
                let found = self.ask(&name, RecordType::A);
                facts.note(&name, RecordType::A, found.as_ref());
                let void = usize::from(found.is_some_and(|found| is_void(&found)));
                facts.voids = Voids { v4: void, v6: void };
            }
            Some(Mechanism::Ptr(_)) => facts.depends = true,
            _ => {}
        }
        facts
    }

    /// The name that a term means, where that does not depend on the message.
    fn target(&self, spec: Option<&DomainSpec>, domain: &DnsName) -> Option<Vec<u8>> {
        let Some(spec) = spec else {
            return Some(domain.as_bytes().to_vec());
        };
        let known = |letter| matches!(letter, Letter::Domain | Letter::SenderDomain);
        if !spec.letters().all(known) {
            return None;
        }
        let expanded = spec.expand(&Domains {
            sender: self.sender_domain.as_bytes(),
            record: domain.as_bytes(),
        });
        // One that is too long cannot be asked for, and neither can nothing.
        Some(expanded.map_or_else(Vec::new, |name| fitting(&name).to_vec()))
    }

    /// Adds the addresses of a name, and says of which family it has none.
    fn addresses(&self, name: &DnsName, prefixes: Prefixes, facts: &mut Facts) -> Voids {
        let mut voids = Voids::default();
        for (kind, void) in [
            (RecordType::A, &mut voids.v4),
            (RecordType::Aaaa, &mut voids.v6),
        ] {
            let found = self.ask(name, kind);
            facts.note(name, kind, found.as_ref());
            if let Some(found) = found {
                *void = usize::from(is_void(&found));
                let around = found.addresses().map(|address| prefixes.around(address));
                facts.networks.extend(around);
            }
        }
        voids
    }

    fn exchanges(
        &self,
        name: &DnsName,
        prefixes: Prefixes,
        domain: &DnsName,
        term: &Term,
        facts: &mut Facts,
    ) {
        let found = self.ask(name, RecordType::Mx);
        facts.note(name, RecordType::Mx, found.as_ref());
        let Some(found) = found else {
            return;
        };
        let exchanges = found.records().iter().filter_map(|record| match record {
            Answer::Mx { exchange, .. } => Some(exchange),
            _ => None,
        });
        let exchanges: Vec<&DnsName> = exchanges.collect();
        facts.exchanges = Some(exchanges.len());
        let void = usize::from(is_void(&found));
        facts.voids = Voids { v4: void, v6: void };
        if exchanges.len() > MAX_NAMES {
            facts.trouble = Some(Reason::TooManyExchanges {
                term: term.text.clone(),
                domain: domain.to_string(),
                count: exchanges.len(),
            });
            return;
        }
        for exchange in exchanges.into_iter().filter(|name| !name.is_root()) {
            let voids = self.addresses(exchange, prefixes, facts);
            // A term counts once (§4.6.4).
            facts.voids.v4 |= voids.v4;
            facts.voids.v6 |= voids.v6;
        }
    }
}

impl Facts {
    /// Keeps the first failure.
    fn note(&mut self, name: &DnsName, kind: RecordType, found: Option<&Found>) {
        if let (None, Some(cause)) = (&self.trouble, found.and_then(Found::failure)) {
            let question = Question::new(name.clone(), kind);
            self.trouble = Some(Reason::LookupFailed { question, cause });
        }
    }
}

fn is_void(found: &Found) -> bool {
    found.failure().is_none() && found.records().is_empty()
}

/// The macros that are known without a message.
struct Domains<'a> {
    sender: &'a [u8],
    record: &'a [u8],
}

impl Values for Domains<'_> {
    fn value(&self, letter: Letter) -> &[u8] {
        match letter {
            Letter::SenderDomain => self.sender,
            Letter::Domain => self.record,
            // Texts with other macros are not expanded.
            _ => b"",
        }
    }
}
