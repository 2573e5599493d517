//! Who gets reports, and whether they have agreed to take them.

use super::super::facts::Facts;
use super::super::finding::{Finding, ResourceRecord};
use super::super::place::{self, Place};
use super::super::text::Texts;
use super::draft::Draft;
use super::texts_of;
use crate::dmarc::record::Reading;
use crate::dmarc::walk::walk;
use crate::dmarc::{AUTHORIZING_RECORD, Authorization, Destination, report_destinations};
use crate::dns::lookup::{Ask, DnsName, Found, Pending, Question, Record, RecordType, Said};
use crate::name::Domain;

/// What is to be done where a destination has not agreed.
pub(super) fn destination(facts: &Facts<'_>, one: &Destination) -> Result<Finding, Pending> {
    let finding = Finding::new(
        "dmarc-destination-refused",
        &one.uri,
        &one.sentence,
        "let those who are to get the reports publish that they take them, or name an address of your own",
    );
    let name = one.name.as_deref();
    let Some(Ok(name)) = name.map(|name| DnsName::new(name.as_bytes())) else {
        return Ok(finding);
    };
    // A record that says something else is theirs to mend.
    let texts = facts.look(&name, RecordType::Txt)?;
    let other = texts.texts().any(|text| Reading::parse(text).is_ok());
    let place = place::of(facts, &name, RecordType::Txt, &texts.aliases)?;
    let host = one.host.as_ref().map(DnsName::from);
    let ours = host.is_some_and(|host| host.is_within(&facts.domain()));
    let record = ResourceRecord::new(place.name(), "TXT", AUTHORIZING_RECORD);
    Ok(match &place {
        _ if other => finding,
        // What their wildcard leads to is for other things, and what it gives they know better.
        Place::Instead(_) | Place::Covered(_) if !ours => place.tell(finding.in_words(&format!(
            "a wildcard stands for {name} so far, and the record is to stand at that very name"
        ))),
        _ => place.mend(finding, None, [record]),
    })
}

/// The finding with a record for one subdomain alone. Who takes reports about the organization may not take them about
/// the subdomain (RFC 9990 §4).
pub(super) fn of_subdomain(
    facts: &Facts<'_>,
    mut finding: Finding,
    own: &Texts,
    domain: &Domain,
    mut draft: Draft,
) -> Result<Finding, Pending> {
    let heard = is_heard(&draft);
    let told = without_refusing(facts, domain, &mut draft)?;
    // Somebody hears now, and would not.
    if let Some(told) = told.as_ref().filter(|_| heard && !is_heard(&draft)) {
        finding.mend.push_str(&format!("; {domain} is to have a record of its own, for which first somebody has to take the reports: {told}"));
        return Ok(own.tell(finding));
    }
    if let Some(told) = told {
        finding.mend.push_str(&named_alone(domain, &told));
    }
    Ok(own.publish(finding, draft.to_string()))
}

/// Takes those out of a record for a domain who do not take reports about it; who that is, in a sentence.
pub(super) fn without_refusing(
    facts: &Facts<'_>,
    domain: &Domain,
    draft: &mut Draft,
) -> Result<Option<String>, Pending> {
    let text = draft.to_string();
    let Ok(reading) = Reading::parse(text.as_bytes()) else {
        return Ok(None);
    };
    let destinations = report_destinations(facts, &reading.record, domain)?;
    let mut told: Vec<&str> = Vec::new();
    for one in destinations.iter().filter(|one| is_refused(one)) {
        draft.remove_address(one.tag, &one.uri);
        told.push(&one.sentence);
    }
    told.dedup();
    Ok((!told.is_empty()).then(|| told.join("; ")))
}

/// What is said where a record is published without those.
pub(super) fn named_alone(domain: &Domain, told: &str) -> String {
    format!("; the record below names those alone who take reports about {domain}: {told}")
}

/// Whether reports of a record reach anybody.
fn is_heard(draft: &Draft) -> bool {
    let text = draft.to_string();
    Reading::parse(text.as_bytes()).is_ok_and(|reading| gets_reports(&reading))
}

fn is_refused(one: &Destination) -> bool {
    one.authorization == Authorization::NotAuthorized
}

/// Who would have to agree once the records are published that these findings name; none where they name none.
pub(super) fn still_refused(
    facts: &Facts<'_>,
    domain: &Domain,
    holder: &Domain,
    findings: &[Finding],
) -> Result<Option<Vec<Destination>>, Pending> {
    let mut texts = Vec::new();
    for of in [domain, holder] {
        let (Ok(name), Some(there)) = (DnsName::from(of).below("_dmarc"), texts_of(facts, of)?)
        else {
            continue;
        };
        let at = format!("{}.", there.name);
        let published = findings.iter().flat_map(|finding| &finding.publish);
        let mut values = published.filter(|one| one.kind == "TXT" && one.name == at);
        let last = values.rfind(|one| Reading::parse(one.value.as_bytes()).is_ok());
        texts.extend(last.map(|one| (name, one.value.clone().into_bytes())));
    }
    if texts.is_empty() {
        return Ok(None);
    }
    let then = Then { facts, texts };
    let walk = walk(&then, domain)?;
    let Ok(Some((holder, reading))) = walk.policy() else {
        return Ok(None);
    };
    let mut refused = report_destinations(&then, &reading.record, holder)?;
    refused.retain(is_refused);
    Ok(Some(refused))
}

/// Those who are asked to agree first by a record that comes into force with these findings' mends; `told` are those of
/// whom it is known.
pub(super) fn refused_then(
    facts: &Facts<'_>,
    still: &[Destination],
    told: &[&str],
) -> Result<Vec<Finding>, Pending> {
    let mut names: Vec<&str> = told.to_vec();
    let mut findings = Vec::new();
    for one in still {
        let name = one.name.as_deref().unwrap_or(&one.uri);
        if names.contains(&name) {
            continue;
        }
        names.push(name);
        let mut finding = destination(facts, one)?;
        finding.sentence = format!("with the mended record: {}", finding.sentence);
        findings.push(finding);
    }
    Ok(findings)
}

/// DNS as it would be with these texts at their names.
struct Then<'a> {
    facts: &'a Facts<'a>,
    texts: Vec<(DnsName, Vec<u8>)>,
}

impl Ask for Then<'_> {
    fn ask(&self, question: &Question) -> Result<Found, Pending> {
        let here = |text: &&(DnsName, Vec<u8>)| text.0 == question.name;
        let mut texts = self.texts.iter();
        match texts
            .find(here)
            .filter(|_| question.kind == RecordType::Txt)
        {
            Some((_, text)) => Ok(Found::new(Said::Records(vec![Record::Text(text.clone())]))),
            None => self.facts.ask(question),
        }
    }
}

/// Whether somebody hears: reports are sent by mail alone.
pub(super) fn gets_reports(reading: &Reading) -> bool {
    let mut uris = reading.record.rua.iter();
    uris.any(|uri| uri.mailbox.is_some())
}
