//! What is wrong with a record, and with those to which it leads.

use std::collections::HashSet;
use std::net::IpAddr;

use super::super::facts::Facts;
use super::super::finding::Finding;
use super::super::text::{Texts, excerpt};
use super::Sender;
use super::cover::covers_most;
use super::draft::{Draft, bare, is_all, is_ptr, is_redirect};
use super::mend::{Edit, Mends};
use super::parts;
use super::voids::{self, is_void};
use super::{size, slips};
use crate::dns::lookup::{DnsName, Pending};
use crate::spf::record::{Record, RecordError, TermFault};
use crate::spf::{Authorised, Branch, MAX_LOOKUPS, MAX_VOIDS, Node, Place, Reason, Tree};

/// From so many lookups on it is told that the limit is near.
const NEAR_LIMIT: usize = 9;
/// Those of RFC 7208 §6 and of RFC 6652 §3.
const KNOWN_MODIFIERS: [&str; 5] = ["redirect", "exp", "ra", "rp", "rr"];
/// So many unknown modifiers have a finding each; of more the first are named, in one.
const MANY: usize = 8;
/// Networks with shorter prefixes than these hold more than a sender has.
const WIDE: (u8, u8) = (16, 32);
/// Those of somebody whom the record includes are theirs to judge, and large providers have large ones: only what no
/// provider has is told.
const WIDE_OF_OTHERS: (u8, u8) = (9, 17);

/// What is wrong with the one record, and with those to which it leads. Each mend stands on those before it, so that
/// they may be followed one after the other.
pub(super) fn of_record(
    facts: &Facts<'_>,
    texts: &Texts,
    record: &[u8],
    grown: &Tree,
    senders: &[Sender],
) -> Result<Vec<Finding>, Pending> {
    let mut work = Mends::new(facts, texts, record, grown, senders);
    if let Err(error) = Record::parse(record) {
        work.syntax(record, &error)?;
        return work.finish();
    }
    work.find_parts(&Draft::of(&String::from_utf8_lossy(record)))?;
    let mut places = Vec::new();
    collect(&grown.root, &mut places);
    work.leading_wrong(&places);
    work.counts(grown, &places, senders);
    work.ends(&grown.root, &places)?;
    work.networks(grown);
    if let Some(finding) = size::too_long(texts) {
        work.find(finding);
    }
    for sender in senders {
        work.sender(sender);
    }
    work.finish()
}

/// A term, and the domain in whose record it stands.
pub(super) type At<'t> = (&'t str, &'t Branch);

/// All terms of the tree.
pub(super) fn collect<'t>(node: &'t Node, places: &mut Vec<At<'t>>) {
    for branch in &node.terms {
        places.push((&node.domain, branch));
        if let Some(below) = &branch.node {
            collect(below, places);
        }
    }
}

/// A modifier that nobody knows, and the mechanism that is meant by it.
type Unknown<'t> = (&'t str, Option<String>);

impl Mends<'_> {
    fn syntax(&mut self, record: &[u8], error: &RecordError) -> Result<(), Pending> {
        let text = String::from_utf8_lossy(record);
        // One instruction for what belongs together.
        let (mended, slips) = slips::mended(&text);
        let repaired = Draft::repaired(&text);
        // What a term that is wrong hides: it comes into force with the mend.
        let written = Draft::of(&text);
        let clean = Draft::bare(&text);
        self.hide(clean.terms());
        let draft = repaired.clone().unwrap_or_else(|| Draft::bare(&mended));
        self.find_parts(&draft)?;
        // What is put together of two words may name several domains.
        let is_slip = |term: &str| slips.iter().any(|slip| slip.right == term);
        let told_slips = slips
            .iter()
            .map(|slip| match self.parts.meant(&slip.right) {
                Some(meant) => parts::written(&slip.found, meant),
                None => format!("write {} instead of “{}”", slip.right, slip.found),
            });
        let parts = self.parts.plain().filter(|(term, _)| !is_slip(term));
        let parts = parts.map(|(term, meant)| {
            let at = clean.terms().iter().position(|known| known == term);
            let found = at.and_then(|at| written.terms().get(at));
            (found.map_or(term, String::as_str), meant)
        });
        let parts: Vec<(&str, &[String])> = parts.collect();
        let left = match Record::parse(mended.as_bytes()) {
            Err(left) if mended != text => Some(left),
            Err(_) => Some(error.clone()),
            Ok(_) => None,
        };
        let left = left.iter().flat_map(RecordError::terms);
        let left = left.filter(|term| parts.iter().all(|(found, _)| *found != term.text));
        let left = left.filter_map(|term| told(&term.text, &term.fault));
        let parted = parts.iter();
        let parted = parted.map(|(found, meant)| parts::written(found, meant));
        let mends: Vec<String> = told_slips.chain(parted).chain(left).collect();
        let mend = match mends.is_empty() {
            true => {
                "mend or remove the term; one that is wrong makes every check end with permerror"
                    .to_owned()
            }
            false => mends.join("; "),
        };
        let finding = Finding::new(
            "spf-syntax",
            &self.about,
            format!("in the SPF record {error}"),
            mend,
        );
        match repaired {
            Some(mut repaired) => {
                self.parts.put_into(&mut repaired);
                self.mended(finding, move |draft| *draft = repaired);
            }
            None => self.find(finding),
        }
        Ok(())
    }

    /// What the terms lead to.
    fn leading_wrong(&mut self, places: &[At<'_>]) {
        for (domain, branch) in places.iter().filter(|(_, branch)| branch.reached) {
            let term = &branch.term;
            let target = branch.target.as_deref().unwrap_or(term);
            let of = format!("{term} in the SPF record of {domain}");
            if branch
                .node
                .as_ref()
                .is_some_and(|node| node.place == Place::Loop)
            {
                let finding = Finding::new(
                    "spf-loop",
                    target,
                    format!(
                        "{of} leads back to where it came from, until the limit of {MAX_LOOKUPS} lookups ends it"
                    ),
                    format!("take {term} out of the record of {domain}"),
                );
                self.without_term(finding, domain, term);
                continue;
            }
            let below = branch.node.as_ref().and_then(|node| node.trouble.as_ref());
            let Some(trouble) = branch.trouble.as_ref().or(below) else {
                continue;
            };
            if let Reason::LookupFailed { question, cause } = trouble {
                self.find(Finding::no_answer(question, *cause));
                continue;
            }
            let Some((word, mend)) = leading_wrong(branch, trouble) else {
                continue;
            };
            let finding = Finding::new(word, target, format!("{of}: {trouble}"), mend);
            match word {
                "spf-include-missing"
                    if *domain == self.domain && slips::several(term).is_some() =>
                {
                    self.parted(finding, term);
                }
                "spf-include-missing" => self.without_term(finding, domain, term),
                _ => self.find(finding),
            }
        }
    }

    /// RFC 7208 §4.6.4.
    fn counts(&mut self, grown: &Tree, places: &[At<'_>], senders: &[Sender]) {
        let looped = self.found("spf-loop");
        let mut costs: Vec<&Branch> = grown
            .root
            .terms
            .iter()
            .filter(|term| term.lookups > 0)
            .collect();
        costs.sort_by_key(|term| std::cmp::Reverse(term.lookups));
        let costs: Vec<String> = costs
            .iter()
            .map(|term| format!("{} {}", term.term, term.lookups))
            .collect();
        let costs = costs.join(", ");
        let lookups = grown.lookups;
        if grown.has_too_many_lookups() && !looped {
            self.find(Finding::new(
                "spf-too-many-lookups",
                &self.about,
                format!("the SPF record needs {lookups} lookups, and receivers end after {MAX_LOOKUPS}: {costs}"),
                "take out what no longer sends, put ip4: and ip6: in the place of names whose addresses stay, or let a sender use a subdomain with a record of its own",
            ));
        } else if lookups >= NEAR_LIMIT && !looped {
            self.find(Finding::new(
                "spf-near-limit",
                &self.about,
                format!("the SPF record needs {lookups} of {MAX_LOOKUPS} lookups: {costs}; if one of those who are included adds some, all mail fails"),
                "take out what no longer sends, or put ip4: and ip6: in the place of names whose addresses stay",
            ));
        }
        let void = places.iter().filter(|(_, branch)| is_void(branch));
        let void: Vec<&At<'_>> = void.collect();
        let voids = voids::count(grown);
        let missing = self.found("spf-include-missing");
        let names: Vec<&str> = void
            .iter()
            .map(|(_, branch)| branch.term.as_str())
            .collect();
        let told = names.join(", ");
        let ours: Vec<&str> = void
            .iter()
            .filter(|(domain, _)| *domain == self.domain)
            .map(|(_, branch)| branch.term.as_str())
            .collect();
        // What names several is a slip, and what is meant by it stays.
        let is_slip = |term: &&str| self.parts.told(term).is_some();
        let (slips, gone): (Vec<&str>, Vec<&str>) = ours.into_iter().partition(is_slip);
        // A name without addresses of a family counts for those who send over that, and they are known.
        let voided: Vec<&Sender> = senders.iter().filter(|sender| sender.is_voided).collect();
        // Without those that go there may be few enough.
        let meets = |sender: &&&Sender| {
            let all = match sender.address.is_ipv4() {
                true => grown.voids.v4,
                false => grown.voids.v6,
            };
            all.saturating_sub(gone.len()) > MAX_VOIDS
        };
        let first: Vec<IpAddr> = voided
            .iter()
            .filter(meets)
            .map(|sender| sender.address)
            .collect();
        let mut finding = if voids > MAX_VOIDS && (void.len() > MAX_VOIDS || !missing) {
            let what = if told.is_empty() {
                String::new()
            } else {
                format!(": {told}")
            };
            Finding::new(
                "spf-too-many-voids",
                &self.about,
                format!(
                    "{voids} lookups of the SPF record find nothing{what}; receivers end after {MAX_VOIDS}"
                ),
                "take out the names that have no address, or give them one",
            )
        } else if let Some(one) = voided.first() {
            Finding::new(
                "spf-too-many-voids",
                &self.about,
                format!("mail from {} does not pass: {}", one.address, one.why),
                "name the addresses that send with ip4: and ip6: before all that asks DNS, or take out the names that have no address of their family",
            )
        } else if !void.is_empty() {
            Finding::new(
                "spf-void",
                &self.about,
                format!("the SPF record names what does not exist or has no address: {told}"),
                "take out the names that have no address, or give them one",
            )
        } else {
            return;
        };
        let mut told: Vec<String> = slips
            .iter()
            .filter_map(|term| self.parts.told(term))
            .collect();
        let only_slips = slips.len() == void.len() && voided.is_empty();
        if !only_slips {
            told.push(finding.mend);
        }
        finding.mend = told.join("; ");
        let plain = slips.iter().filter_map(|term| {
            let meant = self.parts.meant(term)?;
            Some(((*term).to_owned(), meant.to_vec()))
        });
        let plain: Vec<(String, Vec<String>)> = plain.collect();
        let gone: Vec<String> = gone.into_iter().map(str::to_owned).collect();
        match gone.is_empty() && plain.is_empty() && first.is_empty() {
            true => self.find(finding),
            false => self.mended(finding, move |draft| {
                for (term, meant) in &plain {
                    draft.part(term, meant);
                }
                gone.iter().for_each(|term| draft.without(term));
                draft.allow_first(&first);
            }),
        }
    }

    /// ptr, and what stands at and behind the end.
    fn ends(&mut self, root: &Node, places: &[At<'_>]) -> Result<(), Pending> {
        for (domain, branch) in places.iter().filter(|(_, branch)| branch.reached) {
            if is_ptr(&branch.term) {
                let finding = Finding::new(
                    "spf-ptr",
                    *domain,
                    format!(
                        "{} in the SPF record of {domain} is slow, and many receivers pass over it (RFC 7208 section 5.5)",
                        branch.term
                    ),
                    "name the hosts or networks that send instead",
                );
                let term = &branch.term;
                // Who passes by it the record does not say, and mail of theirs is to pass as before.
                let with_record = match term.starts_with(['-', '~']) {
                    true => String::new(),
                    false => format!(
                        "; the record below is without {term}: before you publish it, add the hosts or networks that pass by {term} alone, since it refuses them otherwise"
                    ),
                };
                self.without_term_but(finding, domain, term, with_record);
            }
        }
        let behind: Vec<&str> = root
            .terms
            .iter()
            .filter(|branch| {
                !branch.reached
                    && !branch
                        .term
                        .split([':', '/'])
                        .next()
                        .unwrap_or_default()
                        .contains('=')
            })
            .map(|branch| branch.term.as_str())
            .collect();
        if !behind.is_empty() {
            let finding = Finding::new(
                "spf-after-all",
                &self.about,
                format!(
                    "behind all nothing counts, and there stands: {}",
                    behind.join(" ")
                ),
                "take it out, or put what is to count before all",
            );
            let behind: Vec<String> = behind.into_iter().map(str::to_owned).collect();
            let forgotten = self.forgotten(&behind)?;
            let moved: Edit = Box::new(move |draft| draft.all_last(&forgotten));
            self.mended_or(finding, moved, Box::new(|draft| draft.all_last(&[])));
        }
        self.modifiers(root);
        let all = root.terms.iter().any(|branch| is_all(&branch.term));
        let redirect = root.terms.iter().find(|branch| is_redirect(&branch.term));
        if let (true, Some(redirect)) = (all, redirect) {
            let finding = Finding::new(
                "spf-redirect-ignored",
                &self.about,
                format!("{} does nothing beside all", redirect.term),
                "take redirect= out; or take all out, if the other record is to count",
            );
            let domain = self.domain.clone();
            self.without_term(finding, &domain, &redirect.term);
        }
        // What is wrong with where it leads is told.
        let Some(last) = last(root, places) else {
            return Ok(());
        };
        let what = match last.terms.iter().find(|branch| is_all(&branch.term)) {
            Some(all) if all.term.starts_with('?') => "ends with ?all",
            Some(_) => return Ok(()),
            None => "has neither all nor redirect= at its end",
        };
        let nothing = "of all other addresses it says nothing, and so they may send as well as not";
        let Some(redirect) = redirect.filter(|_| !all) else {
            let finding = Finding::new(
                "spf-no-end",
                &self.about,
                format!("the SPF record {what}: {nothing}"),
                "end it with ~all, and with -all when you are sure that all who send are named",
            );
            self.mended(finding, |draft| draft.end("~all"));
            return Ok(());
        };
        let (term, at) = (&redirect.term, &last.domain);
        let target = term.split_once('=').map_or("", |(_, target)| target);
        self.find(Finding::new(
            "spf-no-end",
            &self.about,
            format!("the SPF record leads to that of {at}, which {what}: {nothing}"),
            format!(
                "end the record of {at} with ~all, and with -all when you are sure that all who send are named; where it is not yours, take {term} out and end your own record with include:{target} ~all"
            ),
        ));
        Ok(())
    }

    /// RFC 7208 §6: who does not know a modifier passes over it, though its author may have meant a mechanism.
    fn modifiers(&mut self, root: &Node) {
        let mut seen = HashSet::new();
        let unknown = root.terms.iter().map(|branch| branch.term.as_str());
        let unknown = unknown.filter(|term| is_unknown(term) && seen.insert(*term));
        let unknown = unknown.map(|term| (term, Draft::colon(term)));
        let (meant, rest): (Vec<Unknown<'_>>, Vec<Unknown<'_>>) =
            unknown.partition(|(_, right)| right.is_some());
        // One that does harm keeps none of the others from being mended.
        let (alone, meant): (Vec<Unknown<'_>>, Vec<Unknown<'_>>) =
            meant.into_iter().partition(|(_, right)| {
                let right = right.as_deref().unwrap_or_default();
                is_ptr(right) || right.starts_with("include:")
            });
        alone.chunks(1).for_each(|one| self.modifiers_of(one));
        for alike in [meant, rest] {
            match alike.len() > MANY {
                true => self.modifiers_of(&alike),
                false => alike.chunks(1).for_each(|one| self.modifiers_of(one)),
            }
        }
    }

    /// The finding about some of them.
    fn modifiers_of(&mut self, unknown: &[Unknown<'_>]) {
        let more = unknown.len().saturating_sub(MANY);
        let first = || unknown.iter().take(MANY);
        let shown = |term: &str| match unknown.len() {
            1 => term.to_owned(),
            _ => excerpt(term),
        };
        let names: Vec<String> = first().map(|(term, _)| shown(term)).collect();
        let mends = first().map(|(term, right)| match right {
            Some(right) if unknown.len() == 1 => format!("write {right}"),
            Some(right) => format!("write {} instead of “{}”", shown(right), shown(term)),
            None => format!("take {} out", shown(term)),
        });
        let mut mends: Vec<String> = mends.collect();
        if more > 0 {
            mends.push(format!("do the same with the {more} more"));
        }
        let sentence = match names.as_slice() {
            [one] => format!(
                "{one} in the SPF record is a modifier that nobody knows, and is passed over"
            ),
            names => format!(
                "{} and {more} more in the SPF record are modifiers that nobody knows, and are passed over",
                names.join(", ")
            ),
        };
        let finding = Finding::new(
            "spf-unknown-modifier",
            &self.about,
            sentence,
            mends.join("; "),
        );
        let changes = unknown.iter();
        let changes = changes.map(|(term, right)| {
            let right = right.clone().unwrap_or_default();
            ((*term).to_owned(), right)
        });
        let changes: Vec<(String, String)> = changes.collect();
        self.mended(finding, move |draft| {
            for (term, right) in &changes {
                draft.replace(term, right);
            }
        });
    }

    /// Who may send: everybody, or very many.
    fn networks(&mut self, grown: &Tree) {
        let root = &grown.root;
        let every: Vec<&Authorised> = grown.networks.iter().collect();
        if covers_most(&every) {
            let mut terms: Vec<&Authorised> = grown.wide(8, 16).collect();
            terms.dedup_by_key(|one| (&one.term, &one.domain));
            let told: Vec<String> = terms
                .iter()
                .map(|one| format!("{} in the record of {}", one.term, one.domain))
                .collect();
            let own = terms
                .iter()
                .find(|one| one.domain == self.domain && is_all(&one.term));
            let mend = match own {
                Some(_) => "name those who send alone, and end the record with ~all, or with -all when you are sure that all are named".to_owned(),
                None => self.narrowed(root, &terms),
            };
            let finding = Finding::new(
                "spf-allows-all",
                &self.about,
                format!(
                    "the SPF record lets everybody send, or nearly so: {}",
                    told.join(", ")
                ),
                mend,
            );
            match own {
                Some(own) => {
                    let by_it = self.passing_by(&own.term);
                    self.mended(finding, move |draft| {
                        draft.end("~all");
                        by_it.into_iter().for_each(|address| draft.allow(address));
                    });
                }
                None => self.find(finding),
            }
            return;
        }
        let (v4, v6) = WIDE;
        let (v4_of_others, v6_of_others) = WIDE_OF_OTHERS;
        let of_others: Vec<&Authorised> = grown.wide(v4_of_others, v6_of_others).collect();
        for one in grown.wide(v4, v6) {
            let Authorised {
                network,
                term,
                domain,
            } = one;
            if !self.is_ours(domain) && !of_others.contains(&one) {
                continue;
            }
            self.find(Finding::new(
                "spf-wide",
                network,
                format!("{term} in the SPF record of {domain} lets {network} send, which is more than one sender has: everybody in there may send in the name of the domain"),
                "name the smaller networks that really send",
            ));
        }
    }

    /// What is to be done where these terms let everybody send, and none of them is `all` of our record: what leads to
    /// the record of somebody else is to go.
    fn narrowed(&self, root: &Node, terms: &[&Authorised]) -> String {
        let mut mends: Vec<String> = Vec::new();
        for Authorised { term, domain, .. } in terms {
            let leads = |branch: &&Branch| leads_to(branch, domain);
            let mend = match root.terms.iter().find(leads) {
                Some(leading) if !self.is_ours(domain) => format!(
                    "take {} out of the record and name in its place the hosts or networks that send for you, or let the owner of {domain} name those alone who send",
                    leading.term
                ),
                _ if is_all(term) => format!(
                    "name those who send alone in the record of {domain}, and end it with ~all, or with -all when you are sure that all are named"
                ),
                _ => format!(
                    "name the smaller networks that really send in the place of {term} in the record of {domain}"
                ),
            };
            if !mends.contains(&mend) {
                mends.push(mend);
            }
        }
        match mends.is_empty() {
            true => "name the smaller networks that really send".to_owned(),
            false => mends.join("; "),
        }
    }

    /// Whether a record is that of the domain or stands below it.
    fn is_ours(&self, domain: &str) -> bool {
        let domain = DnsName::new(domain.as_bytes());
        let own = DnsName::new(self.domain.as_bytes());
        matches!((domain, own), (Ok(domain), Ok(own)) if domain.is_within(&own))
    }

    fn sender(&mut self, sender: &Sender) {
        let Sender {
            address,
            result,
            why,
            ..
        } = sender;
        if !sender.is_refused() {
            return;
        }
        let finding = Finding::new(
            "spf-address-refused",
            address,
            format!("SPF says {result} of mail from {address}: {why}"),
            format!("let {address} send, if it is one of yours"),
        );
        let address = *address;
        self.mended(finding, move |draft| draft.allow(address));
    }
}

/// The word for the trouble of a term, and what mends it.
pub(super) fn leading_wrong(branch: &Branch, trouble: &Reason) -> Option<(&'static str, String)> {
    let term = &branch.term;
    let target = branch.target.as_deref().unwrap_or(term);
    Some(match trouble {
        Reason::NoDomain { .. } | Reason::NoRecord { .. } | Reason::NothingThere { .. } => (
            "spf-include-missing",
            format!("take {term} out, or name where the record stands now"),
        ),
        Reason::SeveralRecords { .. } => (
            "spf-several",
            format!("let the owner of {target} publish one record alone, or take {term} out"),
        ),
        Reason::Syntax { .. } | Reason::Malformed { .. } | Reason::RecordTooLong { .. } => (
            "spf-syntax",
            format!("let the owner of {target} mend it, or take {term} out"),
        ),
        Reason::TooManyExchanges { .. } => (
            "spf-too-many-mx",
            format!("name the hosts or networks that send in the place of {term}"),
        ),
        _ => return None,
    })
}

/// Whether a term is a modifier that nobody knows.
fn is_unknown(term: &str) -> bool {
    let Some((name, _)) = term.split_once('=') else {
        return false;
    };
    let name = name.to_ascii_lowercase();
    !KNOWN_MODIFIERS.contains(&name.as_str()) && !name.contains([':', '/'])
}

/// What is to be written in the place of a term that is wrong.
fn told(text: &str, fault: &TermFault) -> Option<String> {
    if let Some(bare) = bare(text) {
        // Nobody is let in by what is only likely to be meant.
        let right = match is_all(bare) && !bare.starts_with(['-', '~']) {
            true => "~all",
            false => bare,
        };
        return Some(format!("write {right} instead of “{text}”"));
    }
    let mend = match fault {
        // The number alone is no term.
        TermFault::Prefix { max, .. } => {
            let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
            let before = before.trim_end_matches('/');
            format!(
                "write {before} with a slash and a number from 0 to {max}, or {before} alone for a single address,"
            )
        }
        fault => fault.mend()?,
    };
    Some(format!("{mend} instead of “{text}”"))
}

/// Whether a term leads to the record of a domain, by other records or by itself.
fn leads_to(branch: &Branch, domain: &str) -> bool {
    branch.node.as_deref().is_some_and(|node| {
        node.domain.eq_ignore_ascii_case(domain)
            || node.terms.iter().any(|branch| leads_to(branch, domain))
    })
}

/// The record that decides where nothing matches (RFC 7208 §6.1): this one, or the one to which it redirects in the end.
/// There is none where that cannot be evaluated, or depends on the message.
fn last<'t>(node: &'t Node, places: &[At<'t>]) -> Option<&'t Node> {
    let node = match node.place {
        Place::Here => node,
        // Its terms stand where the record was met first.
        Place::Repeated => {
            let mut known = places
                .iter()
                .filter_map(|(_, branch)| branch.node.as_deref());
            known.find(|known| {
                known.place == Place::Here && known.domain.eq_ignore_ascii_case(&node.domain)
            })?
        }
        Place::Loop | Place::TooMany => return None,
    };
    if node.trouble.is_some() {
        return None;
    }
    if node.terms.iter().any(|branch| is_all(&branch.term)) {
        return Some(node);
    }
    match node.terms.iter().find(|branch| is_redirect(&branch.term)) {
        Some(redirect) => last(redirect.node.as_deref()?, places),
        None => Some(node),
    }
}
