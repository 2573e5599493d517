//! The TXT records at a name, and what takes their place.

use super::facts::Facts;
use super::finding::{Finding, ResourceRecord};
use super::place::{self, Place};
use crate::dns::lookup::{Ask as _, DnsName, Pending, Question, RecordType};

/// The TXT records at a name.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    /// Where they stand: at the end of the CNAMEs, but for those of a wildcard.
    pub(super) name: DnsName,
    /// Each with its strings joined.
    pub(super) list: Vec<Vec<u8>>,
    place: Place,
}

/// Looks for them; no answer is a finding.
pub(super) fn at(
    facts: &Facts<'_>,
    name: &DnsName,
) -> Result<Result<Texts, Box<Finding>>, Pending> {
    let found = facts.look(name, RecordType::Txt)?;
    if let Some(cause) = found.failure() {
        let question = Question::new(name.clone(), RecordType::Txt);
        return Ok(Err(Box::new(Finding::no_answer(&question, cause))));
    }
    let list = found.texts().map(<[u8]>::to_vec).collect();
    let place = place::of(facts, name, RecordType::Txt, &found.aliases)?;
    Ok(Ok(Texts::seen(place, list)))
}

impl Texts {
    /// These, which were seen to stand there.
    pub(super) fn seen(place: Place, list: Vec<Vec<u8>>) -> Texts {
        Texts {
            name: place.name().clone(),
            list,
            place,
        }
    }

    /// Those that are meant as records of this version, well written or not: `start` is in lower case and without
    /// blanks.
    pub(super) fn meant(&self, start: &str) -> Vec<&[u8]> {
        let texts = self.list.iter().map(Vec::as_slice);
        texts.filter(|text| is_meant(text, start)).collect()
    }

    /// The finding, with these texts taken away and another published. Where one of them is no text that can be told,
    /// it has no such mend.
    pub(super) fn replace(
        &self,
        finding: Finding,
        old: &[&[u8]],
        new: impl Into<Option<String>>,
    ) -> Finding {
        // What stands at the end of the alias of a wildcard stays there, where nobody sees it any more.
        let hidden = |text: &[u8]| {
            let is_there = self.list.iter().any(|known| known == text);
            matches!(self.place, Place::Instead(_)) && is_there
        };
        let new = new.into();
        if new.is_none() && old.iter().any(|text| hidden(text)) {
            return finding;
        }
        let old: Option<Vec<ResourceRecord>> = old
            .iter()
            .filter(|text| !hidden(text))
            .map(|text| Some(self.record(std::str::from_utf8(text).ok()?)))
            .collect();
        match old {
            Some(old) => {
                let new = new.map(|text| self.record(&text));
                self.place.mend(finding, old, new)
            }
            None => finding,
        }
    }

    /// The finding, with this text published beside what is there.
    pub(super) fn publish(&self, finding: Finding, text: impl Into<Option<String>>) -> Finding {
        self.replace(finding, &[], text)
    }

    /// The finding, whose mend names no records, with who has to follow it where others keep them.
    pub(super) fn tell(&self, finding: Finding) -> Finding {
        self.place.tell(finding)
    }

    fn record(&self, text: &str) -> ResourceRecord {
        ResourceRecord::new(&self.name, "TXT", text)
    }
}

/// A record for which several findings have a mend: each stands on those before it, so that it takes away what they
/// have published.
pub(super) struct Change<'a> {
    texts: &'a Texts,
    /// What stands there, and what was published in its place so far.
    old: Vec<Vec<u8>>,
}

impl<'a> Change<'a> {
    /// Of these texts.
    pub(super) fn new(texts: &'a Texts, old: Vec<Vec<u8>>) -> Change<'a> {
        Change { texts, old }
    }

    /// How much a finding tells that publishes a text of so many octets.
    pub(super) fn octets(&self, new: usize) -> usize {
        self.old.iter().map(Vec::len).sum::<usize>() + new
    }

    /// The finding, with `new` published in the place of all that was there before.
    pub(super) fn to(&mut self, finding: Finding, new: String) -> Finding {
        let new = new.into_bytes();
        let old: Vec<&[u8]> = self.old.iter().map(Vec::as_slice).collect();
        let old: Vec<&[u8]> = old.into_iter().filter(|text| *text != new).collect();
        let published = String::from_utf8_lossy(&new).into_owned();
        let finding = self.texts.replace(finding, &old, published);
        if !self.old.contains(&new) {
            self.old.push(new);
        }
        finding
    }
}

/// Whether a text begins so, but for blanks, letter case, and the quotes and backslashes of zone files.
pub(super) fn is_meant(text: &[u8], start: &str) -> bool {
    let kept = text.iter().filter(|byte| is_kept(**byte));
    let head = kept.take(start.len()).map(u8::to_ascii_lowercase);
    head.eq(start.bytes())
}

/// A text without the quotes and backslashes of zone files.
pub(super) fn unpasted(text: &[u8]) -> String {
    let kept = text.iter().filter(|byte| !matches!(byte, b'"' | b'\\'));
    let kept: Vec<u8> = kept.copied().collect();
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// The beginning of what stands in a record, for a sentence.
pub(super) fn excerpt(text: &str) -> String {
    const LENGTH: usize = 60;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn is_kept(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\') && !byte.is_ascii_whitespace()
}
