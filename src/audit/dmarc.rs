//! DMARC (RFC 9989): the policy that holds for the domain, and what is wrong with its record.

mod destinations;
mod draft;
mod without;

use serde_json::{Value, json};

use self::destinations::{destination, gets_reports, of_subdomain, refused_then, still_refused};
use self::draft::Draft;
use self::without::{Above, without};
use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use super::mx;
use super::spf::{Lets, lets};
use super::text::{self, Change, Texts};
use crate::dmarc::record::{Fault, Force, Mode, Policy, Psd, Reading, Request};
use crate::dmarc::walk::{AtName, NoAnswer, Walk, walk};
use crate::dmarc::{Authorization, report_destinations};
use crate::dns::lookup::{Ask as _, DnsName, Pending, Question, Record, RecordType};
use crate::name::Domain;
use crate::spf::record::Record as SpfRecord;

const NAME: &str = "dmarc";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let domain = &facts.options.domain;
    let walk = walk(facts, domain)?;
    let (holder, reading) = match walk.policy() {
        Ok(Some(found)) => found,
        Ok(None) => {
            let mut findings = vec![without(facts, &walk, None)?];
            let still = still_refused(facts, domain, domain, &findings)?;
            findings.extend(refused_then(facts, &still.unwrap_or_default(), &[])?);
            return Ok(CheckReport::new(NAME, "", findings).fact("walk", steps(&walk)));
        }
        Err(missing) => {
            let finding = no_answer(&missing);
            return Ok(CheckReport::new(NAME, "", vec![finding]).fact("walk", steps(&walk)));
        }
    };
    let destinations = report_destinations(facts, &reading.record, holder);
    let mut findings = match &walk.steps[0].found {
        // Those above are in force, as if there were none of its own.
        AtName::Several(_) | AtName::Others { meant: 1.. } => {
            let above = Above::new(domain, holder, reading);
            vec![without(facts, &walk, Some(&above))?]
        }
        _ => Vec::new(),
    };
    if let Some(texts) = texts_of(facts, holder)? {
        let silent = Silent {
            parked: is_parked(facts)?,
            deaf: takes_no_mail(facts, holder)?,
        };
        // A policy for the domain alone stands there.
        let own = match &walk.steps[0].found {
            AtName::NoName | AtName::NoData | AtName::Others { meant: 0 } => {
                texts_of(facts, domain)?
            }
            _ => None,
        };
        let told = of_record(facts, &texts, own.as_ref(), domain, holder, reading, silent)?;
        let organization = walk.organization().ok().map(|(own, _)| own);
        let theirs = not_ours(domain, holder, organization.as_ref());
        findings.extend(told.into_iter().map(|one| match &theirs {
            Some(why) => one.in_words(why),
            None => one,
        }));
    }
    let destinations = destinations?;
    let still = still_refused(facts, domain, holder, &findings)?;
    let is_needed = |name: &str| {
        let still = still.as_ref();
        still.is_none_or(|still| still.iter().any(|one| one.name.as_deref() == Some(name)))
    };
    let mut refused: Vec<&str> = Vec::new();
    for one in &destinations {
        let name = one.name.as_deref().unwrap_or(&one.uri);
        let told = refused.contains(&name);
        refused.push(name);
        match one.authorization {
            Authorization::Internal | Authorization::Authorized => {}
            _ if told => {}
            Authorization::NotAuthorized => {
                let mut finding = destination(facts, one)?;
                let within = one
                    .host
                    .as_ref()
                    .is_some_and(|host| DnsName::from(host).is_within(&DnsName::from(holder)));
                if within && domain != holder && reading.record.psd == Psd::Yes {
                    finding.mend.push_str(&format!(
                        "; or, where {holder} and the names below it are one organization, take psd=y out of its record: that says that they are not"
                    ));
                }
                findings.push(match finding.publish.is_empty() || is_needed(name) {
                    true => finding,
                    false => finding.in_words(&format!(
                        "nothing has to be published there for {domain} once the other mends of its DMARC record are followed"
                    )),
                });
            }
            Authorization::Unknown => findings.push(Finding::new(
                "no-answer",
                format!("{name} TXT"),
                &one.sentence,
                "run the audit again, with a longer --timeout or --budget",
            )),
        }
    }
    findings.extend(refused_then(
        facts,
        still.as_deref().unwrap_or_default(),
        &refused,
    )?);
    let policies = Policies::new(domain, holder, reading);
    let sentence = format!(
        "DMARC asks receivers to {} mail in the name of {domain} for which nobody vouches",
        match policies.applied {
            Policy::None => "take",
            Policy::Quarantine => "suspect",
            Policy::Reject => "refuse",
        }
    );
    let organization = walk.organization().ok().map(|(own, _)| own);
    let record = &reading.record;
    Ok(CheckReport::new(NAME, sentence, findings)
        .fact("policy_domain", holder.as_ascii())
        .fact("organization", organization.as_ref().map(Domain::as_ascii))
        .fact("walk", steps(&walk))
        .fact("record", &reading.text)
        .fact("policy", policies.shown())
        .fact("testing", record.testing)
        .fact("alignment", alignment(&walk, record.adkim, record.aspf))
        .fact("destinations", &destinations))
}

/// A walk that got no answer.
pub(super) fn no_answer(missing: &NoAnswer) -> Finding {
    let name = DnsName::new(missing.name.as_bytes());
    let question = Question::new(
        name.unwrap_or_else(|_| DnsName::new(b"").expect("the root is a name")),
        RecordType::Txt,
    );
    Finding::no_answer(&question, missing.cause)
}

/// What was found on the way up.
fn steps(walk: &Walk) -> Vec<Value> {
    let steps = walk.steps.iter().map(|step| {
        let (found, record) = match &step.found {
            AtName::Record(reading) => ("record", Some(&reading.text)),
            AtName::Several(_) => ("several records", None),
            AtName::Others { .. } | AtName::NoData => ("no record", None),
            AtName::NoName => ("no such name", None),
            AtName::Failed(_) => ("no answer", None),
        };
        json!({"name": format!("_dmarc.{}", step.domain.as_ascii()), "found": found, "record": record})
    });
    steps.collect()
}

/// The texts where a policy record stands.
fn texts_of(facts: &Facts<'_>, holder: &Domain) -> Result<Option<Texts>, Pending> {
    match DnsName::from(holder).below("_dmarc") {
        Ok(name) => Ok(text::at(facts, &name)?.ok()),
        Err(_) => Ok(None),
    }
}

/// Why nobody has to hear, or can.
#[derive(Clone, Copy)]
struct Silent {
    /// The domain takes no mail and sends none.
    parked: bool,
    /// Whose record it is takes no mail.
    deaf: bool,
}

/// Whether the domain takes mail or sends it, as a registry above the domains of others seldom does: a server is named, or
/// SPF lets somebody send. A name of one label is always such a registry.
fn has_mail(facts: &Facts<'_>) -> Result<bool, Pending> {
    let domain = facts.domain();
    if domain.labels().count() == 1 {
        return Ok(false);
    }
    let (exchanges, texts) = (facts.exchanges(), facts.look(&domain, RecordType::Txt));
    let lets = lets(facts);
    let takes = exchanges?.hosts.iter().any(|(_, host)| !host.is_root());
    let has_spf = texts?.texts().any(SpfRecord::is_spf);
    Ok(takes || has_spf && lets? != Lets::Nobody)
}

/// Whether the domain says that nobody sends mail of it, and names no server that takes any, or none once the MX records
/// are mended.
fn is_parked(facts: &Facts<'_>) -> Result<bool, Pending> {
    let exchanges = facts.exchanges()?;
    let names_none = exchanges.hosts.is_empty() && exchanges.failure.is_none();
    let takes_none = exchanges.null || names_none;
    Ok((takes_none && mx::parked(facts)?) || mx::leaves_null(facts)?)
}

/// Whether no report arrives at a domain: it says so with a null MX (RFC 7505 §3),
/// or has neither a mail server nor an address.
fn takes_no_mail(facts: &Facts<'_>, domain: &Domain) -> Result<bool, Pending> {
    let name = DnsName::from(domain);
    let found = facts.look(&name, RecordType::Mx)?;
    Ok(match found.records() {
        [_, ..] => {
            let is_null =
                |one: &Record| matches!(one, Record::Mx { exchange, .. } if exchange.is_root());
            found.records().iter().all(is_null)
        }
        [] if found.failure().is_none() => {
            let addresses = facts.addresses(&name)?;
            addresses.list.is_empty() && addresses.failure.is_none()
        }
        _ => false,
    })
}

/// Why the record is none that the domain can change: it is that of a registry above the organization.
fn not_ours(domain: &Domain, holder: &Domain, organization: Option<&Domain>) -> Option<String> {
    let is_above = |own: &Domain| !DnsName::from(holder).is_within(&DnsName::from(own));
    organization.is_some_and(is_above).then(|| {
        format!("the record is that of {holder}, so publish one at _dmarc.{domain} that says so")
    })
}

/// What is wrong with the text of the record in force, and unwise in what it asks for. Each mend stands on those
/// before it, so that they may be followed one after the other.
fn of_record(
    facts: &Facts<'_>,
    texts: &Texts,
    own: Option<&Texts>,
    domain: &Domain,
    holder: &Domain,
    reading: &Reading,
    silent: Silent,
) -> Result<Vec<Finding>, Pending> {
    let about = &texts.name;
    let old = texts.list.iter().find(|text| Reading::parse(text).is_ok());
    let Some(old) = old else {
        return Ok(Vec::new());
    };
    let mut change = Change::new(texts, vec![old.clone()]);
    let mut draft = Draft::of(old, reading);
    let mut findings = Vec::new();
    let force = reading.record.force();
    if force != Force::AsWritten {
        let of_policy = |fault: &Fault| matches!(fault, Fault::Invalid { name, .. } if ["p", "sp", "np"].contains(&name.as_str()));
        let word = |fault: &Fault| {
            of_policy(fault) || matches!(fault, Fault::ActsAsNone | Fault::NotApplied)
        };
        let finding = Finding::new(
            "dmarc-syntax",
            about,
            sentences(reading, word),
            "give p=, and sp= and np= where they stand, one of none, quarantine and reject",
        );
        let repaired = draft::separated(&String::from_utf8_lossy(old));
        findings.push(match repaired.and_then(|text| draft::repaired(&text)) {
            Some(repaired) => change.to(finding, repaired.to_string()),
            None => finding,
        });
        return Ok(findings);
    }
    draft.clean();
    let clean = draft.to_string();
    // pct=100 is what holds without it, and a share of what is asked for is told apart.
    let apart = share(reading).is_some_and(|share| share == 100 || is_enforced(reading));
    for (word, mend, is_it) in faults() {
        let is_it = |fault: &Fault| is_it(fault) && !(apart && is_pct(fault));
        if reading.findings.iter().any(|found| is_it(&found.fault)) {
            let finding = Finding::new(word, about, sentences(reading, is_it), mend);
            findings.push(change.to(finding, clean.clone()));
        }
    }
    findings.extend(partial(&mut draft, &mut change, about, reading));
    if reading.record.psd == Psd::Yes && domain == holder && has_mail(facts)? {
        let ascii = domain.as_ascii();
        draft.remove("psd");
        let finding = Finding::new(
            "dmarc-psd",
            about,
            format!(
                "psd=y says that {ascii} is a public suffix, and that all names below it belong to others: so mail.{ascii} does not vouch for mail of {ascii}, nor {ascii} for that of mail.{ascii}"
            ),
            "take psd=y out; leave it only where the names below really belong to others, as those under a registry do",
        );
        findings.push(change.to(finding, draft.to_string()));
    }
    // What a parked domain refuses is forged, all of it: nobody has to hear of that.
    if !gets_reports(reading) && !silent.parked {
        let what = match reading.record.rua.is_empty() {
            true => "the DMARC record has no rua=",
            false => {
                "reports are sent by mail alone, and rua= of the DMARC record names no mailto: address"
            }
        };
        let finding = Finding::new(
            "dmarc-no-reports",
            about,
            format!(
                "{what}: nobody hears who sends mail in the name of the domain, and what of its own mail fails"
            ),
            "name an address that somebody, or a service, reads",
        );
        findings.push(match silent.deaf {
            true => texts.tell(finding),
            false => {
                draft.set("rua", &format!("mailto:postmaster@{}", holder.as_ascii()));
                change.to(finding, draft.to_string())
            }
        });
    }
    let policies = Policies::new(domain, holder, reading);
    if policies.subdomains < policies.domain || policies.missing < policies.domain {
        draft.drop_weaker(policies.domain);
        let finding = Finding::new(
            "dmarc-subdomain-policy-weaker",
            about,
            format!(
                "p={} is for {} alone: for its subdomains the policy is {}, and for those that do not exist {}; who wants to deceive takes one of these",
                policies.domain.as_str(),
                holder,
                policies.subdomains.as_str(),
                policies.missing.as_str()
            ),
            "take sp= and np= out where they are weaker than p=, once all own mail of the subdomains passes",
        );
        findings.push(change.to(finding, draft.to_string()));
    }
    if reading.record.testing {
        draft.enforce();
        let finding = Finding::new(
            "dmarc-testing",
            about,
            "t=y asks receivers to do a level less than the policy says",
            "take t=y out when the reports show that all own mail passes",
        );
        findings.push(change.to(finding, draft.to_string()));
    }
    if policies.applied == Policy::None {
        let finding = Finding::new(
            "dmarc-policy-none",
            about,
            format!("the policy for {domain} is none: receivers tell of forged mail, and take it"),
            "when the reports show that all own mail passes, make the policy quarantine, and later reject",
        );
        findings.push(if domain == holder {
            draft.drop_weaker(Policy::Quarantine);
            draft.set("p", Policy::Quarantine.as_str());
            change.to(finding, draft.to_string())
        } else if policies.domain > Policy::None {
            // What weakens the policy of the organization for its subdomains is out by now.
            finding
        } else {
            // That of the organization is for others too, of which nothing is known here.
            match own {
                Some(own) => of_subdomain(facts, finding, own, domain, draft.for_subdomain())?,
                None => finding,
            }
        });
    }
    Ok(findings)
}

fn is_pct(fault: &Fault) -> bool {
    matches!(fault, Fault::Obsolete { name } if name == "pct")
}

/// A policy for a share of the mail: who follows RFC 9989 passes over pct=, and others do not.
fn partial(
    draft: &mut Draft,
    change: &mut Change<'_>,
    about: &DnsName,
    reading: &Reading,
) -> Option<Finding> {
    let share = share(reading).filter(|_| is_partial(reading))?;
    if share == 0 && reading.record.testing {
        return None;
    }
    let sentence = format!(
        "pct={share} is passed over by all who follow RFC 9989: they apply the policy to all mail"
    );
    if share > 0 {
        if reading.record.testing {
            return Some(Finding::new(
                "dmarc-obsolete-tag",
                about,
                sentence,
                "decide: without pct= the older receivers apply the policy to all mail, which is more than they do now; the newer ones heed t=y, and do a level less than the policy says",
            ));
        }
        return Some(Finding::new(
            "dmarc-obsolete-tag",
            about,
            sentence,
            "decide: without pct= all receivers apply the policy to all mail, which is more than the older ones do now; with t=y in its place the newer ones do a level less than the policy says, and the older ones apply it in full; to have nobody do more than now, make the policy itself milder",
        ));
    }
    draft.set("t", "y");
    let finding = Finding::new(
        "dmarc-obsolete-tag",
        about,
        sentence,
        "say t=y, which stands for it now (RFC 9989 appendix A.6), and let pct=0 stand beside it for those who know that alone, until the policy is to be applied",
    );
    Some(change.to(finding, draft.to_string()))
}

/// Whether a record asks for something to be done to a share of the mail alone.
fn is_partial(reading: &Reading) -> bool {
    share(reading).is_some_and(|share| share < 100) && is_enforced(reading)
}

/// Whether a record asks for something to be done.
fn is_enforced(reading: &Reading) -> bool {
    let record = &reading.record;
    let policies = [record.p, record.sp, record.np].map(Request::policy);
    policies
        .into_iter()
        .flatten()
        .any(|policy| policy > Policy::None)
}

/// The share of the mail that pct= names.
fn share(reading: &Reading) -> Option<u8> {
    let mut tags = reading.tags.iter();
    let value = &tags.find(|tag| tag.name == "pct")?.value;
    value.trim().parse().ok().filter(|share| *share <= 100)
}

/// The sentences of those faults.
fn sentences(reading: &Reading, is_it: impl Fn(&Fault) -> bool) -> String {
    let found = reading.findings.iter().filter(|found| is_it(&found.fault));
    let sentences: Vec<String> = found.map(|found| found.fault.sentence()).collect();
    sentences.join("; ")
}

type IsFault = fn(&Fault) -> bool;

/// The words for what is wrong with single tags.
fn faults() -> [(&'static str, &'static str, IsFault); 4] {
    [
        (
            "dmarc-invalid-tag",
            "publish the record without what counts for nothing, or say it as it must be said",
            |fault| {
                matches!(
                    fault,
                    Fault::Malformed { .. }
                        | Fault::TooMany { .. }
                        | Fault::Invalid { .. }
                        | Fault::Uri { .. }
                )
            },
        ),
        (
            "dmarc-unknown-tag",
            "take the tag out, or mend its spelling",
            |fault| matches!(fault, Fault::Unknown { .. }),
        ),
        (
            "dmarc-obsolete-tag",
            "take it out; who wants to try a policy writes t=y",
            |fault| matches!(fault, Fault::Obsolete { .. }),
        ),
        (
            "dmarc-doubtful",
            "publish the record in the form that all receivers read alike",
            |fault| {
                matches!(
                    fault,
                    Fault::Duplicate { .. }
                        | Fault::PolicyNotSecond
                        | Fault::SizeLimit { .. }
                        | Fault::Scheme { .. }
                )
            },
        ),
    ]
}

/// The policies of a record in force.
pub(super) struct Policies {
    /// p=
    pub(super) domain: Policy,
    /// For subdomains that exist.
    pub(super) subdomains: Policy,
    /// For those that do not.
    pub(super) missing: Policy,
    /// That for the domain under audit.
    pub(super) applied: Policy,
    testing: bool,
    /// The share of the mail that pct= names.
    pub(super) share: u8,
}

impl Policies {
    /// RFC 9989 §4.7: without np= that of sp=, and without sp= that of p=.
    pub(super) fn new(domain: &Domain, holder: &Domain, reading: &Reading) -> Policies {
        let record = &reading.record;
        let written = record.force() == Force::AsWritten;
        let policy = |request: Request| request.policy().filter(|_| written);
        let own = policy(record.p).unwrap_or(Policy::None);
        let subdomains = policy(record.sp).unwrap_or(own);
        Policies {
            domain: own,
            subdomains,
            missing: policy(record.np).unwrap_or(subdomains),
            applied: if domain == holder { own } else { subdomains },
            testing: record.testing,
            share: share(reading).unwrap_or(100),
        }
    }

    /// A policy as receivers apply it: t=y lowers it.
    pub(super) fn in_effect(&self, policy: Policy) -> Policy {
        match self.testing {
            true => policy.lowered(),
            false => policy,
        }
    }

    fn shown(&self) -> Value {
        json!({
            "domain": self.domain,
            "subdomains": self.subdomains,
            "missing_subdomains": self.missing,
            "applied": self.applied,
            "effective": self.in_effect(self.applied),
        })
    }
}

/// How close signatures and senders must be, with an example of each.
fn alignment(walk: &Walk, dkim: Mode, spf: Mode) -> Value {
    let domain = walk.start();
    // §4.10.2: what is below a public suffix is an organization of its own.
    let is_suffix =
        matches!(&walk.steps[0].found, AtName::Record(own) if own.record.psd == Psd::Yes);
    let one = |mode: Mode| {
        let (same, below) = (domain.as_ascii(), format!("mail.{}", domain.as_ascii()));
        let (aligned, not_aligned) = match mode {
            Mode::Relaxed if !is_suffix => (vec![same, &below], vec!["mail.example.net"]),
            _ => (vec![same], vec![below.as_str(), "mail.example.net"]),
        };
        json!({"mode": mode, "aligned": aligned, "not_aligned": not_aligned})
    };
    json!({"dkim": one(dkim), "spf": one(spf)})
}

/// The policies that hold for the domain; none where there is no record in force, or no answer.
pub(super) fn in_force(facts: &Facts<'_>) -> Result<Result<Option<Policies>, NoAnswer>, Pending> {
    let domain = &facts.options.domain;
    let walk = walk(facts, domain)?;
    Ok(walk.policy().map(|found| {
        let (holder, reading) = found?;
        Some(Policies::new(domain, holder, reading))
    }))
}

#[cfg(test)]
mod tests;
