//! Who gets reports, and whether they have agreed to take them.

use super::super::facts::Facts;
use super::super::finding::{Finding, ResourceRecord};
use super::super::place::{self, Place};
use super::super::text::Texts;
use super::draft::Draft;
use crate::dmarc::record::Reading;
use crate::dmarc::{AUTHORIZING_RECORD, Authorization, Destination, report_destinations};
use crate::dns::lookup::{Ask as _, DnsName, Pending, RecordType};
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
    let text = draft.to_string();
    let Ok(reading) = Reading::parse(text.as_bytes()) else {
        return Ok(finding);
    };
    let destinations = report_destinations(facts, &reading.record, domain)?;
    let is_refused = |one: &&Destination| one.authorization == Authorization::NotAuthorized;
    let refused: Vec<&Destination> = destinations.iter().filter(is_refused).collect();
    if refused.is_empty() {
        return Ok(own.publish(finding, text));
    }
    for one in &refused {
        draft.remove_address(one.tag, &one.uri);
    }
    let mut told: Vec<&str> = refused.iter().map(|one| one.sentence.as_str()).collect();
    told.dedup();
    let told = told.join("; ");
    // Somebody hears now, and would not.
    if draft.get("rua").is_none() && gets_reports(&reading) {
        finding.mend.push_str(&format!("; {domain} is to have a record of its own, for which first somebody has to take the reports: {told}"));
        return Ok(own.tell(finding));
    }
    finding.mend.push_str(&format!(
        "; the record below names those alone who take reports about {domain}: {told}"
    ));
    Ok(own.publish(finding, draft.to_string()))
}

/// Whether somebody hears: reports are sent by mail alone.
pub(super) fn gets_reports(reading: &Reading) -> bool {
    let mut uris = reading.record.rua.iter();
    uris.any(|uri| uri.mailbox.is_some())
}
