//! A domain without a record of its own that counts.

use super::super::facts::Facts;
use super::super::finding::Finding;
use super::super::text::{self, Texts};
use super::destinations::{gets_reports, named_alone, without_refusing};
use super::draft::{self, Draft};
use super::{Policies, has_mail, is_parked, takes_no_mail, texts_of};
use crate::dmarc::record::{Mode, Reading};
use crate::dmarc::walk::{AtName, Walk};
use crate::dns::lookup::{Ask as _, DnsName, Pending, RecordType};
use crate::dns::survey::NO_SELECTOR;
use crate::name::Domain;

/// Whether a record asks for strict alignment of DKIM, and of SPF.
fn strict(reading: &Reading) -> (bool, bool) {
    let record = &reading.record;
    (record.adkim == Mode::Strict, record.aspf == Mode::Strict)
}

/// The policy of a domain above, which is in force as long as there is none of its own.
pub(super) struct Above<'a> {
    domain: &'a Domain,
    holder: &'a Domain,
    policies: Policies,
    /// Whether DKIM, and whether SPF, must be of the very domain.
    strict: (bool, bool),
    /// Whether somebody hears.
    reports: bool,
}

impl<'a> Above<'a> {
    pub(super) fn new(domain: &'a Domain, holder: &'a Domain, reading: &Reading) -> Above<'a> {
        Above {
            domain,
            holder,
            policies: Policies::new(domain, holder, reading),
            strict: strict(reading),
            reports: gets_reports(reading),
        }
    }

    /// Whether nothing of what is in force is lost with such a record.
    fn is_kept_by(&self, draft: &Draft) -> bool {
        let text = draft.to_string();
        let Ok(reading) = Reading::parse(text.as_bytes()) else {
            return false;
        };
        let (now, then) = (
            &self.policies,
            Policies::new(self.domain, self.domain, &reading),
        );
        let pairs = [
            (now.applied, then.applied),
            (now.subdomains, then.subdomains),
            (now.missing, then.missing),
        ];
        let as_strict = pairs
            .into_iter()
            .all(|(before, after)| now.in_effect(before) <= then.in_effect(after));
        let (dkim, spf) = strict(&reading);
        let as_strict = as_strict && self.strict.0 <= dkim && self.strict.1 <= spf;
        as_strict && then.share == 100 && (gets_reports(&reading) || !self.reports)
    }

    fn sentence(&self) -> String {
        let holder = self.holder;
        let policy = self.policies.applied.as_str();
        format!(
            "that of {holder} holds instead, with the policy {policy} for {}",
            self.domain
        )
    }

    /// The same where nothing may be taken away without something in its place.
    fn instead(&self) -> String {
        let domain = self.domain;
        format!(
            "in the place of what does not count, publish one record that says what is to hold for {domain} alone, and names who gets its reports; do not only take it away: {domain} may be there through it alone, and then gets what a wildcard gives, as an address or an SPF record (RFC 4592 section 2.2.1)"
        )
    }

    fn mend(&self) -> String {
        format!(
            "take away what does not count: then that of {} holds as it does now; or publish one record that says what is to hold for {} alone, and names who gets its reports",
            self.holder, self.domain
        )
    }
}

/// Takes psd= out of a record that does not count so far where its coming into force is not to change which names belong
/// together: then mail that passes by another name of the organization would fail. What is said of it.
fn without_psd(
    facts: &Facts<'_>,
    walk: &Walk,
    draft: &mut Draft,
) -> Result<Option<String>, Pending> {
    let domain = &facts.options.domain;
    let organization = walk.organization().ok().map(|(own, _)| own);
    let above = organization.filter(|own| own != domain);
    let psd = draft.get("psd").unwrap_or_default().to_ascii_lowercase();
    let (goes, why) = match (above, psd.as_str()) {
        (Some(above), "n") => (
            true,
            format!(
                "names above it would vouch for {domain} no more, and it belongs to {above} now"
            ),
        ),
        (Some(_), "y") => (
            true,
            format!("names above and below it would vouch for {domain} no more"),
        ),
        (None, "y") => (
            has_mail(facts)?,
            format!("{domain} has mail of its own, so it is no public suffix"),
        ),
        _ => (false, String::new()),
    };
    if !goes {
        return Ok(None);
    }
    draft.remove("psd");
    Ok(Some(format!("; psd={psd} is left out, since {why}")))
}

/// Whether the domain is there through these texts alone, and a wildcard stands for it once they are gone (RFC 4592
/// §2.2.1). What else is below it nobody knows.
fn holds_open(facts: &Facts<'_>, texts: &Texts, old: &[&[u8]]) -> Result<bool, Pending> {
    let domain = facts.domain();
    // An alias stays.
    let here = domain.below("_dmarc").is_ok_and(|name| name == texts.name);
    let mut others = texts.list.iter().map(Vec::as_slice);
    if !here || others.any(|text| !old.contains(&text)) {
        return Ok(false);
    }
    for level in std::iter::successors(Some(domain), DnsName::parent).take(MAX_LEVELS) {
        let beside = level.parent().filter(|parent| !parent.is_root());
        let Some(Ok(beside)) = beside.map(|parent| parent.below(NO_SELECTOR)) else {
            return Ok(false);
        };
        // All are asked for before the first that waits ends it.
        let own = KINDS.map(|kind| facts.look(&level, kind));
        let given = KINDS.map(|kind| facts.look(&beside, kind));
        for found in own {
            let found = found?;
            if !found.records().is_empty() || !found.aliases.is_empty() {
                return Ok(false);
            }
        }
        for found in given {
            let found = found?;
            let failed = found.failure().is_some();
            if failed || !found.records().is_empty() || !found.aliases.is_empty() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// So many names upwards may be there through what is below them alone.
const MAX_LEVELS: usize = 5;
/// What a wildcard mostly gives.
const KINDS: [RecordType; 5] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Mx,
    RecordType::Txt,
    RecordType::Caa,
];

/// No record of its own that counts: there is none, there are several, or one that cannot be read.
pub(super) fn without(
    facts: &Facts<'_>,
    walk: &Walk,
    above: Option<&Above<'_>>,
) -> Result<Finding, Pending> {
    let domain = &facts.options.domain;
    let Some(texts) = texts_of(facts, domain)? else {
        return missing(facts, None);
    };
    if let AtName::Several(count) = walk.steps[0].found {
        let parsed = texts.list.iter().map(Vec::as_slice);
        let parsed = parsed.filter_map(|text| Some((text, Reading::parse(text).ok()?)));
        let right: Vec<(&[u8], Reading)> = parsed.collect();
        let old: Vec<&[u8]> = right.iter().map(|(text, _)| *text).collect();
        let what = format!("{count} DMARC records stand at _dmarc.{domain}, and so none counts");
        let mut merged = Draft::merged(&right);
        let finding = |sentence: String, mend: &str| {
            Finding::new("dmarc-several", &texts.name, sentence, mend)
        };
        let one = "publish one record alone; the one below asks for no more than the mildest of all, and sends reports to all";
        let suffix = without_psd(facts, walk, &mut merged)?.unwrap_or_default();
        return Ok(match above {
            None => {
                let mend = format!("{one}, since nothing is asked for now{suffix}");
                let finding = finding(what, &mend);
                texts.replace(finding, &old, merged.to_string())
            }
            Some(above) => {
                let sentence = format!("{what}: {}", above.sentence());
                let refusing = without_refusing(facts, domain, &mut merged)?;
                let alone = refusing.map(|told| named_alone(domain, &told));
                let one = format!("{one}{suffix}{}", alone.unwrap_or_default());
                match above.is_kept_by(&merged) {
                    true => texts.replace(finding(sentence, &one), &old, merged.to_string()),
                    false => match holds_open(facts, &texts, &old)? {
                        false => texts.replace(finding(sentence, &above.mend()), &old, None),
                        true => texts.tell(finding(sentence, &above.instead())),
                    },
                }
            }
        });
    }
    let meant = texts.list.iter().find_map(|text| {
        let error = Reading::parse(text).err()?;
        (error.is_meant() || text::is_meant(text, "v=dmarc")).then_some((text, error))
    });
    let Some((text, error)) = meant else {
        return missing(facts, Some(&texts));
    };
    let what = format!("the DMARC record is passed over by all receivers: {error}");
    let finding =
        |sentence: String, mend: &str| Finding::new("dmarc-syntax", &texts.name, sentence, mend);
    let as_below = "publish the record as it stands below";
    let in_words = "let the record begin with v=DMARC1; and write the tags as tag=value with semicolons between";
    let mut repaired = draft::with_version(text);
    let suffix = match &mut repaired {
        Some(repaired) => without_psd(facts, walk, repaired)?,
        None => None,
    };
    let suffix = suffix.unwrap_or_default();
    let as_below = format!("{as_below}{suffix}");
    Ok(match (above, repaired) {
        (None, Some(repaired)) => {
            texts.replace(finding(what, &as_below), &[text], repaired.to_string())
        }
        (None, None) => finding(what, in_words),
        (Some(above), mut repaired) => {
            let sentence = format!("{what}; {}", above.sentence());
            let refusing = match &mut repaired {
                Some(repaired) => without_refusing(facts, domain, repaired)?,
                None => None,
            };
            let alone = refusing.map(|told| named_alone(domain, &told));
            let as_below = format!("{as_below}{}", alone.unwrap_or_default());
            match repaired.filter(|repaired| above.is_kept_by(repaired)) {
                Some(repaired) => {
                    texts.replace(finding(sentence, &as_below), &[text], repaired.to_string())
                }
                None => match holds_open(facts, &texts, &[text])? {
                    false => texts.replace(finding(sentence, &above.mend()), &[text], None),
                    true => texts.tell(finding(sentence, &above.instead())),
                },
            }
        }
    })
}

/// The record belongs where the texts stand: at the end of an alias, where the name is one (RFC 1034 §3.6.2).
fn missing(facts: &Facts<'_>, texts: Option<&Texts>) -> Result<Finding, Pending> {
    let domain = &facts.options.domain;
    let ascii = domain.as_ascii();
    // A name of one label is no organization, and vouches for none below it (RFC 9989 §4.7, psd).
    let suffix = match domain.labels().count() {
        1 => "; psd=y",
        _ => "",
    };
    let (record, mend) = if is_parked(facts)? {
        (
            Some(format!("v=DMARC1; p=reject{suffix}")),
            "publish a record that has all mail refused, since the domain sends none; it is for the subdomains too, so give each that sends a record of its own first",
        )
    } else {
        let deaf = takes_no_mail(facts, domain)?;
        let record = format!("v=DMARC1; p=none{suffix}; rua=mailto:postmaster@{ascii}");
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
