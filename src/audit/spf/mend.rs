//! The findings about a record, and the record as their mends leave it.

use std::net::IpAddr;

use super::super::facts::Facts;
use super::super::finding::Finding;
use super::super::text::{Change, Texts};
use super::draft::Draft;
use super::health::Health;
use super::size;
use super::{Sender, grown_with};
use crate::dns::lookup::{DnsName, Pending};
use crate::spf::Tree;

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
    checked: usize,
    findings: Vec<(Finding, Vec<Edit>)>,
}

/// So many changed records are looked at: each leads to all to which the record leads.
const MAX_CHECKED: usize = 32;

/// What a mend changes in the record.
type Edit = Box<dyn FnOnce(&mut Draft)>;

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
            checked: 0,
            findings: Vec::new(),
        }
    }

    /// The findings in the order in which they are told, each with the record as its mend leaves it.
    pub(super) fn finish(mut self) -> Result<Vec<Finding>, Pending> {
        let mut findings = std::mem::take(&mut self.findings);
        findings.sort_by_key(|(finding, _)| std::cmp::Reverse(finding.result));
        let told = findings.into_iter();
        told.map(|(finding, edits)| self.told(finding, edits))
            .collect()
    }

    /// A finding with the record as the first of its mends leaves it by which the record gets no worse.
    fn told(&mut self, mut finding: Finding, edits: Vec<Edit>) -> Result<Finding, Pending> {
        let mut against: Option<String> = None;
        for edit in edits {
            let next = match self.tried(edit)? {
                Ok(next) => next,
                Err(why) => {
                    against.get_or_insert(why);
                    continue;
                }
            };
            if let Some(why) = against {
                let told = format!("; the record below is without it, because of {why}");
                finding.mend.push_str(&told);
            }
            let (before, text) = (self.draft.to_string(), next.to_string());
            if let Some(long) = size::outgrown(self.texts, before.len(), text.len()) {
                finding.mend.push_str(&long);
            }
            self.draft = next;
            return Ok(self.change.to(finding, text));
        }
        if let Some(why) = against {
            finding.mend.push_str(&format!("; before that, {why}"));
        }
        Ok(finding)
    }

    /// The record as a mend leaves it, or what is to be done first. A record by which nobody may send any more is none:
    /// who sends takes the place of what goes, and where that is not known it is said in words alone.
    fn tried(&mut self, edit: Edit) -> Result<Result<Draft, String>, Pending> {
        let mut next = self.draft.clone();
        edit(&mut next);
        if self.draft.is_stopped_by(&next) {
            let known = self.senders.iter().map(|sender| sender.address);
            known.for_each(|address| next.allow(address));
        }
        if self.draft.is_stopped_by(&next) {
            let why = "first name those who send: nothing else in the record lets anybody";
            return Ok(Err(why.to_owned()));
        }
        self.checked += 1;
        if self.checked > MAX_CHECKED {
            return Ok(Err("mend what stands above".to_owned()));
        }
        let health = Health::of(&grown_with(self.facts, &next.to_string())?);
        if let Some(why) = health.worse_than(&self.health) {
            return Ok(Err(format!("mend {why}")));
        }
        self.health = health;
        Ok(Ok(next))
    }

    pub(super) fn find(&mut self, finding: Finding) {
        self.findings.push((finding, Vec::new()));
    }

    /// A finding that a change of our record mends.
    pub(super) fn mended(&mut self, finding: Finding, edit: impl FnOnce(&mut Draft) + 'static) {
        self.findings.push((finding, vec![Box::new(edit)]));
    }

    /// A finding that either of two changes mends: the second where the record gets worse by the first.
    pub(super) fn mended_or(
        &mut self,
        finding: Finding,
        first: fn(&mut Draft),
        other: fn(&mut Draft),
    ) {
        let edits: Vec<Edit> = vec![Box::new(first), Box::new(other)];
        self.findings.push((finding, edits));
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

    /// The known senders that pass by a term of our record.
    pub(super) fn passing_by(&self, term: &str) -> Vec<IpAddr> {
        let passing = self.senders.iter();
        let passing = passing.filter(|sender| sender.by.as_deref() == Some(term));
        passing.map(|sender| sender.address).collect()
    }

    pub(super) fn found(&self, word: &str) -> bool {
        self.findings.iter().any(|(found, _)| found.finding == word)
    }
}
