//! SPF (RFC 7208): the record of the domain, all to which it leads, and whether it lets those send who send.

mod cover;
mod draft;
mod first;
mod health;
mod hidden;
mod lets;
mod mend;
mod parts;
mod size;
mod slips;
mod stay;
mod voids;
mod work;

use std::net::IpAddr;

use serde_json::json;

use self::draft::Draft;
use self::health::Health;
pub(super) use self::lets::{Lets, lets, nobody_sends, only_exchanges};
use self::parts::Parts;
use super::facts::Facts;
use super::finding::{CheckReport, Finding, ResourceRecord};
use super::place::{self, Place};
use super::text::{self, Texts};
use crate::dns::lookup::{Ask, DnsName, Found, Pending, Question, RecordType, Said};
use crate::spf::record::Record;
use crate::spf::{MAX_LOOKUPS, Outcome, Query, Reason, SpfResult, Tree, evaluate, tree};

const NAME: &str = "spf";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let domain = facts.domain();
    if domain.labels().count() == 1 {
        let sentence =
            "a domain of one label has no SPF, whatever it publishes (RFC 7208 section 4.3)";
        return Ok(CheckReport::new(NAME, sentence, Vec::new()));
    }
    let texts = text::at(facts, &domain);
    let old_type = facts.look(&domain, RecordType::Spf);
    let grown = tree(facts, &facts.options.domain);
    let (texts, old_type) = (texts?, old_type?);
    let texts = match texts {
        Ok(texts) => texts,
        Err(finding) => return Ok(CheckReport::new(NAME, "", vec![*finding])),
    };
    let old_place = place::of(facts, &domain, RecordType::Spf, &old_type.aliases)?;
    let mut findings: Vec<Finding> = old_type
        .texts()
        .filter_map(|text| of_old_type(&old_place, text))
        .collect();
    let records: Vec<&[u8]> = texts.list.iter().map(Vec::as_slice).collect();
    let records: Vec<&[u8]> = records
        .into_iter()
        .filter(|text| Record::is_spf(text))
        .collect();
    let report = match records.as_slice() {
        [] => {
            findings.push(without(facts, &texts, &senders(facts)?)?);
            CheckReport::new(NAME, "", findings)
        }
        [one] => {
            let grown = grown?;
            let mut senders = senders(facts)?;
            senders.extend(hidden::senders(facts, &grown, &senders)?);
            let record = work::of_record(facts, &texts, one, &grown, &senders)?;
            findings.extend(record);
            let sentence = format!(
                "the SPF record needs {} of {MAX_LOOKUPS} lookups{}",
                grown.lookups,
                size::remark(&texts).unwrap_or_default()
            );
            CheckReport::new(NAME, sentence, findings)
                .fact("record", one.escape_ascii().to_string())
                .fact(
                    "senders",
                    senders.iter().map(Sender::shown).collect::<Vec<_>>(),
                )
                .fact("lookups", grown.lookups)
                .fact("voids", grown.voids)
                .fact("octets", size::octets(&texts))
                .fact("tree", &grown)
        }
        several => {
            findings.push(of_several(facts, &texts, several, &senders(facts)?)?);
            CheckReport::new(NAME, "", findings)
        }
    };
    Ok(report)
}

/// RFC 7208 §3.1: the type was taken back.
fn of_old_type(place: &Place, text: &[u8]) -> Option<Finding> {
    let name = place.name();
    let value = std::str::from_utf8(text).ok()?;
    let finding = Finding::new(
        "spf-type99",
        name,
        "there is a record of the type SPF (99), which nobody asks for any more",
        "take it away; the TXT record alone counts",
    );
    // What a wildcard leads to stands at another name, for others too.
    let there = !matches!(place, Place::Instead(_));
    let old = there.then(|| ResourceRecord::new(name, "SPF", value));
    Some(place.mend(finding, old, None))
}

/// No record that counts: there is none, or what is meant as one is not taken for one.
fn without(facts: &Facts<'_>, texts: &Texts, senders: &[Sender]) -> Result<Finding, Pending> {
    let domain = facts.domain();
    let meant = texts.list.iter().find(|text| {
        let clean = text::unpasted(text).to_ascii_lowercase();
        let behind = clean.strip_prefix("v=spf1").or(clean.strip_prefix("spf1"));
        behind.is_some_and(|behind| {
            !behind.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        })
    });
    if let Some(text) = meant {
        let clean = text::unpasted(text);
        let at = clean.to_ascii_lowercase().find("spf1").unwrap_or(0) + "spf1".len();
        let behind = clean[at..].trim_start_matches([';', ',', ':']);
        let repaired = Draft::repaired(&format!("v=spf1 {behind}"));
        let mut finding = Finding::new(
            "spf-syntax",
            &texts.name,
            "the SPF record does not begin with v=spf1 and a blank, and so nobody takes it for one",
            "let the record begin with v=spf1 and a blank, without quotes or backslashes in it",
        );
        let Some(mut repaired) = repaired else {
            return Ok(finding);
        };
        let parts = Parts::of(facts, &repaired.before_all())?;
        parts.put_into(&mut repaired);
        for told in parts.written() {
            finding.mend.push_str("; ");
            finding.mend.push_str(&told);
        }
        let kept = stay::keep(facts, senders, &mut repaired)?;
        let repaired = repaired.to_string();
        let health = Health::of(&grown_with(facts, &repaired)?);
        let against = kept.lost.map(stay::first);
        let hidden = Draft::bare(&clean);
        let worse = health.worse_than(&Health::default());
        let against = against.or(worse.map(|why| why.first(hidden.terms())));
        return Ok(match against {
            None => {
                finding.mend.push_str(&kept.told());
                texts.replace(finding, &[text], repaired)
            }
            Some(why) => {
                finding.mend.push_str(&why);
                finding
            }
        });
    }
    let mut finding = Finding::new(
        "spf-missing",
        &texts.name,
        format!(
            "{domain} has no SPF record: whoever gets its mail cannot tell where it may come from"
        ),
        "publish a record that names all who send mail of the domain; end it with -all when you are sure that it does",
    );
    let first = first::record(facts, texts)?;
    let Some(record) = first.record.filter(|_| first.lacks.is_empty()) else {
        for lack in first.lacks {
            finding.mend.push_str("; ");
            finding.mend.push_str(&lack);
        }
        return Ok(texts.tell(finding));
    };
    if let Some(long) = size::outgrown(texts, None, record.len()) {
        finding.mend.push_str(&long);
    }
    Ok(texts.publish(finding, record))
}

/// RFC 7208 §4.5.
fn of_several(
    facts: &Facts<'_>,
    texts: &Texts,
    records: &[&[u8]],
    senders: &[Sender],
) -> Result<Finding, Pending> {
    let mut finding = Finding::new(
        "spf-several",
        &texts.name,
        format!(
            "{} SPF records stand at {}, and so every check ends with permerror",
            records.len(),
            texts.name
        ),
        "publish one record alone that names all who send",
    );
    let read: Result<Vec<&str>, _> = records
        .iter()
        .map(|text| std::str::from_utf8(text))
        .collect();
    let all_right = records.iter().all(|text| Record::parse(text).is_ok());
    let Some(read) = read.ok().filter(|_| all_right) else {
        return Ok(finding);
    };
    let mut merged = Draft::merged(&read);
    let stops = |record: &&str| Draft::of(record).is_stopped_by(&merged);
    if read.iter().any(stops) {
        return Ok(finding);
    }
    let parts = Parts::of(facts, &merged.before_all())?;
    parts.put_into(&mut merged);
    for told in parts.written() {
        finding.mend.push_str("; ");
        finding.mend.push_str(&told);
    }
    let kept = stay::keep(facts, senders, &mut merged)?;
    let merged = merged.to_string();
    let grown = grown_with(facts, &merged)?;
    if grown.has_too_many_lookups() {
        finding.mend = format!(
            "publish one record alone that names all who send; all that stands in these needs {} lookups, and receivers end after {MAX_LOOKUPS}, so first take out what no longer sends",
            grown.lookups
        );
        return Ok(finding);
    }
    if let Some(why) = Health::of(&grown).worse_than(&Health::default()) {
        let hidden: Vec<String> = read
            .iter()
            .flat_map(|text| Draft::of(text).terms().to_vec())
            .collect();
        finding.mend.push_str(&why.first(&hidden));
        return Ok(finding);
    }
    if let Some(address) = kept.lost {
        finding.mend.push_str(&stay::first(address));
        return Ok(finding);
    }
    finding.mend.push_str(&kept.told());
    let before: usize = records.iter().map(|text| text.len()).sum();
    if let Some(long) = size::outgrown(texts, Some(before), merged.len()) {
        finding.mend.push_str(&long);
    }
    Ok(texts.replace(finding, records, merged))
}

/// The tree as it would be with another record of the domain.
fn grown_with(facts: &Facts<'_>, text: &str) -> Result<Tree, Pending> {
    let instead = Instead {
        facts,
        name: facts.domain(),
        text: text.as_bytes(),
    };
    tree(&instead, &facts.options.domain)
}

/// What SPF would say of these addresses with another record of the domain.
fn results_with(
    facts: &Facts<'_>,
    draft: &Draft,
    addresses: &[IpAddr],
) -> Result<Vec<Outcome>, Pending> {
    let text = draft.to_string();
    let instead = Instead {
        facts,
        name: facts.domain(),
        text: text.as_bytes(),
    };
    let addresses = addresses.iter();
    // All are asked for before the first that waits ends it.
    let outcomes: Vec<_> = addresses
        .map(|address| outcome(&instead, facts, *address))
        .collect();
    outcomes.into_iter().collect()
}

/// What SPF says of an address that sends for the domain.
fn outcome(dns: &dyn Ask, facts: &Facts<'_>, address: IpAddr) -> Result<Outcome, Pending> {
    let domain = facts.domain().to_string();
    let query = Query {
        now: facts.options.now,
        ..Query::new(address, &domain, format!("postmaster@{domain}"))
    };
    evaluate(dns, &query)
}

/// DNS as it would be with another record of the domain.
struct Instead<'a> {
    facts: &'a Facts<'a>,
    name: DnsName,
    text: &'a [u8],
}

impl Ask for Instead<'_> {
    fn ask(&self, question: &Question) -> Result<Found, Pending> {
        match question.kind == RecordType::Txt && question.name == self.name {
            true => Ok(Found::new(Said::Records(vec![
                crate::dns::lookup::Record::Text(self.text.to_vec()),
            ]))),
            false => self.facts.ask(question),
        }
    }
}

/// A sending address, and what SPF says of it.
struct Sender {
    address: IpAddr,
    result: SpfResult,
    why: String,
    /// The term of the domain's own record by which it passes.
    by: Option<String>,
    /// Whether too many terms before that find nothing.
    is_voided: bool,
}

impl Sender {
    fn shown(&self) -> serde_json::Value {
        json!({"address": self.address, "result": self.result, "why": self.why})
    }

    /// Whether the record says that it does not, or need not, send.
    fn is_refused(&self) -> bool {
        stay::is_refusal(self.result)
    }
}

fn senders(facts: &Facts<'_>) -> Result<Vec<Sender>, Pending> {
    let domain = facts.domain().to_string();
    let addresses = facts.senders()?.list.into_iter();
    let checks = addresses.map(|address| (address, outcome(facts, facts, address)));
    // All are asked for before the first that waits ends it.
    let checks: Vec<_> = checks.collect();
    let mut senders = Vec::new();
    for (address, outcome) in checks {
        let outcome = outcome?;
        let by = match &outcome.reason {
            Reason::Matched { term, domain: at } if *at == domain => Some(term.clone()),
            _ => None,
        };
        senders.push(Sender {
            address,
            result: outcome.result,
            why: outcome.reason.to_string(),
            is_voided: stay::is_voided(&outcome),
            by: by.filter(|_| outcome.result == SpfResult::Pass),
        });
    }
    Ok(senders)
}

#[cfg(test)]
mod tests;
