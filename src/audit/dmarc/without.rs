//! A domain without a record of its own that counts.

use super::super::facts::Facts;
use super::super::finding::Finding;
use super::super::text::{self, Texts};
use super::draft::{self, Draft};
use super::{is_parked, takes_no_mail, texts_of};
use crate::dmarc::record::Reading;
use crate::dmarc::walk::{AtName, Walk};
use crate::dns::lookup::Pending;

/// No record of its own that counts: there is none, there are several, or one that cannot be read.
pub(super) fn without(facts: &Facts<'_>, walk: &Walk) -> Result<Finding, Pending> {
    let domain = &facts.options.domain;
    let Some(texts) = texts_of(facts, domain)? else {
        return missing(facts, None);
    };
    let parsed = texts.list.iter().map(|text| Reading::parse(text));
    let right: Vec<Reading> = parsed.filter_map(Result::ok).collect();
    if let AtName::Several(count) = walk.steps[0].found {
        let old: Vec<&[u8]> = texts.list.iter().map(Vec::as_slice).collect();
        let old: Vec<&[u8]> = old
            .into_iter()
            .filter(|text| Reading::parse(text).is_ok())
            .collect();
        let finding = Finding::new(
            "dmarc-several",
            &texts.name,
            format!("{count} DMARC records stand at _dmarc.{domain}, and so none counts"),
            "publish one record alone; the one below asks for no more than the mildest of all, since nothing is asked for now, and sends reports to all",
        );
        return Ok(texts.replace(finding, &old, Draft::merged(&right).to_string()));
    }
    let meant = texts.list.iter().find_map(|text| {
        let error = Reading::parse(text).err()?;
        (error.is_meant() || text::is_meant(text, "v=dmarc")).then_some((text, error))
    });
    let Some((text, error)) = meant else {
        return missing(facts, Some(&texts));
    };
    let repaired = draft::with_version(text);
    let mend = match repaired {
        Some(_) => "publish the record as it stands below",
        None => {
            "let the record begin with v=DMARC1; and write the tags as tag=value with semicolons between"
        }
    };
    let finding = Finding::new(
        "dmarc-syntax",
        &texts.name,
        format!("the DMARC record is passed over by all receivers: {error}"),
        mend,
    );
    Ok(match repaired {
        Some(repaired) => texts.replace(finding, &[text], repaired.to_string()),
        None => finding,
    })
}

/// The record belongs where the texts stand: at the end of an alias, where the name is one (RFC 1034 §3.6.2).
fn missing(facts: &Facts<'_>, texts: Option<&Texts>) -> Result<Finding, Pending> {
    let domain = &facts.options.domain;
    let ascii = domain.as_ascii();
    let (record, mend) = if is_parked(facts)? {
        (
            Some("v=DMARC1; p=reject".to_owned()),
            "publish a record that has all mail refused, since the domain sends none; it is for the subdomains too, so give each that sends a record of its own first",
        )
    } else {
        let deaf = takes_no_mail(facts, domain)?;
        let record = format!("v=DMARC1; p=none; rua=mailto:postmaster@{ascii}");
        (
            (!deaf).then_some(record),
            "publish a record that asks for reports first, at an address that somebody reads; make the policy quarantine and then reject when they show that all own mail passes",
        )
    };
    let finding = Finding::new(
        "dmarc-missing",
        ascii,
        format!(
            "there is no DMARC record at _dmarc.{domain}, nor above it: anybody can write mail in the name of {domain}, and nobody tells"
        ),
        mend,
    );
    Ok(match texts {
        Some(texts) => texts.publish(finding, record),
        None => finding,
    })
}
