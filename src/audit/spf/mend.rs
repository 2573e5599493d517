//! The findings about a record, and the record as their mends leave it.

use std::net::IpAddr;

use super::super::facts::Facts;
use super::super::finding::Finding;
use super::super::text::{Change, Texts};
use super::draft::{Draft, is_all};
use super::health::{Health, Worse};
use super::parts::{self, Parts};
use super::stay::Kept;
use super::{Sender, grown_with, results_with, size, stay};
use crate::dns::lookup::{DnsName, Pending};
use crate::spf::{Reason, SpfResult, Tree};

/// The findings, and the record as it becomes.
pub(super) struct Mends<'a> {
    /// The domain whose record it is.
    pub(super) domain: String,
    /// Where the record stands.
    pub(super) about: DnsName,
    texts: &'a Texts,
    change: Change<'a>,
    draft: Draft,
    senders: &'a [Sender],
    facts: &'a Facts<'a>,
    /// What ails the record as it is so far.
    health: Health,
    /// The words of a record that nobody can evaluate: what they bring was there before it is mended.
    hidden: Vec<String>,
    /// The terms that name several domains, and lead nowhere.
    pub(super) parts: Parts,
    checked: usize,
    /// How many octets of records are told so far.
    told: usize,
    findings: Vec<Mend>,
}

/// A finding, and what mends it.
struct Mend {
    finding: Finding,
    /// Changes of the record, the best first.
    edits: Vec<Edit>,
    /// What is said where the record is published.
    with_record: String,
}

/// So many changed records are looked at: each leads to all to which the record leads.
const MAX_CHECKED: usize = 32;

/// So many octets of records are told: each mend takes away all that those before it have published.
const MAX_TOLD: usize = 256 * 1024;

/// What a mend changes in the record.
pub(super) type Edit = Box<dyn FnOnce(&mut Draft)>;

/// Why a mend is not followed.
#[derive(Debug)]
enum Against {
    /// By the record nobody may send any more.
    Nobody,
    /// Enough changed records were looked at.
    Enough,
    /// The record gets worse by it.
    Worse(Worse),
    /// One who sends would be refused.
    Sender(IpAddr),
}

impl Against {
    /// What is said where the record is published without it.
    fn without_it(&self) -> String {
        let why = match self {
            Against::Nobody => "otherwise nobody may send".to_owned(),
            Against::Enough => "one audit tries no more changes".to_owned(),
            Against::Worse(worse) => format!("otherwise {worse}"),
            Against::Sender(address) => format!("otherwise mail from {address} does not pass"),
        };
        format!("; the record below is without it, because {why}")
    }

    /// What is said where no record is published: what is to be done first.
    fn first(&self, hidden: &[String]) -> String {
        match self {
            Against::Nobody => {
                "; first name those who send: nothing else in the record lets anybody send"
                    .to_owned()
            }
            Against::Enough => "; follow the other mends first, and run the audit again".to_owned(),
            Against::Worse(worse) => worse.first(hidden),
            Against::Sender(address) => stay::first(*address),
        }
    }
}

impl<'a> Mends<'a> {
    pub(super) fn new(
        facts: &'a Facts<'a>,
        texts: &'a Texts,
        record: &[u8],
        grown: &Tree,
        senders: &'a [Sender],
    ) -> Mends<'a> {
        Mends {
            domain: facts.domain().to_string(),
            about: texts.name.clone(),
            texts,
            change: Change::new(texts, vec![record.to_vec()]),
            draft: Draft::of(&String::from_utf8_lossy(record)),
            senders,
            facts,
            health: Health::of(grown),
            hidden: Vec::new(),
            parts: Parts::default(),
            checked: 0,
            told: 0,
            findings: Vec::new(),
        }
    }

    /// The findings in the order in which they are told, each with the record as its mend leaves it.
    pub(super) fn finish(mut self) -> Result<Vec<Finding>, Pending> {
        let mut findings = std::mem::take(&mut self.findings);
        findings.sort_by_key(|mend| std::cmp::Reverse(mend.finding.result));
        let told = findings.into_iter();
        told.map(|mend| self.told(mend)).collect()
    }

    /// A finding with the record as the first of its mends leaves it by which the record gets no worse.
    fn told(&mut self, mend: Mend) -> Result<Finding, Pending> {
        let Mend {
            mut finding,
            edits,
            with_record,
        } = mend;
        let mut against: Option<Against> = None;
        for edit in edits {
            let next = match self.tried(edit)? {
                Ok(next) => next,
                Err(why) => {
                    against.get_or_insert(why);
                    continue;
                }
            };
            let (next, kept) = next;
            if let Some(why) = against {
                finding.mend.push_str(&why.without_it());
            }
            finding.mend.push_str(&with_record);
            finding.mend.push_str(&kept.told());
            let (before, text) = (self.draft.to_string(), next.to_string());
            if let Some(long) = size::outgrown(self.texts, Some(before.len()), text.len()) {
                finding.mend.push_str(&long);
            }
            self.draft = next;
            self.told = self.told.saturating_add(self.change.octets(text.len()));
            return Ok(self.change.to(finding, text));
        }
        if let Some(why) = against {
            finding.mend.push_str(&why.first(&self.hidden));
        }
        Ok(finding)
    }

    /// The record as a mend leaves it, or what is to be done first. A record by which nobody may send any more is none:
    /// who sends takes the place of what goes, and where that is not known it is said in words alone.
    fn tried(&mut self, edit: Edit) -> Result<Result<(Draft, Kept), Against>, Pending> {
        let mut next = self.draft.clone();
        edit(&mut next);
        if self.draft.is_stopped_by(&next) {
            let known = self.senders.iter().map(|sender| sender.address);
            known.for_each(|address| next.allow(address));
        }
        if self.draft.is_stopped_by(&next) {
            return Ok(Err(Against::Nobody));
        }
        self.checked += 1;
        // The first is told in any case.
        let is_long = self.told > 0 && {
            let more = self.change.octets(next.to_string().len());
            self.told.saturating_add(more) > MAX_TOLD
        };
        if is_long || self.checked > MAX_CHECKED {
            return Ok(Err(Against::Enough));
        }
        let kept = stay::keep(self.facts, self.senders, &mut next)?;
        if let Some(address) = kept.lost {
            return Ok(Err(Against::Sender(address)));
        }
        let health = Health::of(&grown_with(self.facts, &next.to_string())?);
        if let Some(why) = health.worse_than(&self.health) {
            return Ok(Err(Against::Worse(why)));
        }
        self.health = health;
        Ok(Ok((next, kept)))
    }

    /// These are words of a record that nobody can evaluate.
    pub(super) fn hide(&mut self, words: &[String]) {
        self.hidden.extend_from_slice(words);
    }

    /// Looks for terms of our record, as it is or becomes, that name several domains.
    pub(super) fn find_parts(&mut self, draft: &Draft) -> Result<(), Pending> {
        self.parts = Parts::of(self.facts, &draft.before_all())?;
        Ok(())
    }

    fn push(&mut self, finding: Finding, edits: Vec<Edit>) {
        self.findings.push(Mend {
            finding,
            edits,
            with_record: String::new(),
        });
    }

    pub(super) fn find(&mut self, finding: Finding) {
        self.push(finding, Vec::new());
    }

    /// A finding that a change of our record mends.
    pub(super) fn mended(&mut self, finding: Finding, edit: impl FnOnce(&mut Draft) + 'static) {
        self.push(finding, vec![Box::new(edit)]);
    }

    /// A finding that either of two changes mends: the second where the record gets worse by the first.
    pub(super) fn mended_or(&mut self, finding: Finding, first: Edit, other: Edit) {
        self.push(finding, vec![first, other]);
    }

    /// The terms behind all by which one would pass who is known to send, and whom the record refuses.
    pub(super) fn forgotten(&self, behind: &[String]) -> Result<Vec<String>, Pending> {
        let refused = self.senders.iter().filter(|sender| sender.is_refused());
        let refused: Vec<IpAddr> = refused.map(|sender| sender.address).collect();
        if refused.is_empty() {
            return Ok(Vec::new());
        }
        let mut moved = self.draft.clone();
        moved.all_last(behind);
        let outcomes = results_with(self.facts, &moved, &refused)?;
        let mut forgotten = Vec::new();
        for outcome in outcomes {
            match outcome.reason {
                Reason::Matched { term, domain }
                    if outcome.result == SpfResult::Pass
                        && domain == self.domain
                        && behind.contains(&term)
                        && !is_all(&term)
                        && !forgotten.contains(&term) =>
                {
                    forgotten.push(term);
                }
                _ => {}
            }
        }
        Ok(forgotten)
    }

    /// A finding about a term of the record of `domain`; where that is ours, the mend takes the term out, and lets those
    /// go on who are known to send by it.
    pub(super) fn without_term(&mut self, finding: Finding, domain: &str, term: &str) {
        let term = term.to_owned();
        let by_it = self.passing_by(&term);
        match domain == self.domain {
            true => self.mended(finding, move |draft| {
                draft.without(&term);
                by_it.into_iter().for_each(|address| draft.allow(address));
            }),
            false => self.find(finding),
        }
    }

    /// The same, with a sentence for where the record is published.
    pub(super) fn without_term_but(
        &mut self,
        finding: Finding,
        domain: &str,
        term: &str,
        with_record: String,
    ) {
        self.without_term(finding, domain, term);
        if let Some(mend) = self.findings.last_mut() {
            mend.with_record = with_record;
        }
    }

    /// A finding about a term of our record that names several domains with commas between: terms that name one each take
    /// its place where all of them have a record.
    pub(super) fn parted(&mut self, mut finding: Finding, term: &str) {
        let told = self.parts.told(term);
        finding.mend = told.unwrap_or_else(|| parts::one_each(term));
        let meant = self.parts.meant(term).map(<[String]>::to_vec);
        let term = term.to_owned();
        match meant {
            Some(meant) => self.mended(finding, move |draft| draft.part(&term, &meant)),
            None => self.find(finding),
        }
    }

    /// The known senders that pass by a term of our record.
    pub(super) fn passing_by(&self, term: &str) -> Vec<IpAddr> {
        let passing = self.senders.iter();
        let passing = passing.filter(|sender| sender.by.as_deref() == Some(term));
        passing.map(|sender| sender.address).collect()
    }

    pub(super) fn found(&self, word: &str) -> bool {
        self.findings
            .iter()
            .any(|mend| mend.finding.finding == word)
    }
}

#[cfg(test)]
mod tests {
    use super::super::health::Origin;
    use super::*;

    #[test]
    fn whatever_is_against_a_mend_is_told_in_a_sentence() {
        let of = "include:a.example.net in the record of example.org";
        let fault = format!("{of} leads back to where it came from");
        for (against, without_it, first) in [
            (
                Against::Nobody,
                "otherwise nobody may send",
                "first name those who send: nothing else in the record lets anybody send",
            ),
            (
                Against::Enough,
                "one audit tries no more changes",
                "follow the other mends first, and run the audit again",
            ),
            (
                Against::Worse(Worse::Fault(fault.clone(), Origin::default())),
                &format!("otherwise {fault}"),
                &format!("mend this first, which the change brings with it: {fault}"),
            ),
            (
                Against::Worse(Worse::Lookups(12)),
                "otherwise the record needs 12 lookups, and receivers end after 10",
                "mend this first, which the change brings with it: the record needs 12 lookups, and receivers end after 10",
            ),
            (
                Against::Worse(Worse::Voids(3)),
                "otherwise 3 lookups of the record find nothing, and receivers end after 2",
                "mend this first, which the change brings with it: 3 lookups of the record find nothing, and receivers end after 2",
            ),
            (
                Against::Worse(Worse::Open),
                "otherwise the record lets everybody send, or nearly so",
                "mend this first, which the change brings with it: the record lets everybody send, or nearly so",
            ),
            (
                Against::Sender([192, 88, 1, 9].into()),
                "otherwise mail from 192.88.1.9 does not pass",
                "first name 192.88.1.9 with ip4: or ip6: before all that asks DNS: with the change alone its mail does not pass",
            ),
            (
                Against::Worse(Worse::Cut),
                "otherwise the record leads to more than can be looked at",
                "mend this first, which the change brings with it: the record leads to more than can be looked at",
            ),
        ] {
            let told = format!("; the record below is without it, because {without_it}");
            assert_eq!(against.without_it(), told);
            assert_eq!(against.first(&[]), format!("; {first}"));
        }
    }
}
