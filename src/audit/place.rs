//! Where the records of a name are changed: beside a CNAME no other record may stand (RFC 1034 §3.6.2), and what stands
//! at its end may be somebody else's.

mod wildcard;

use self::wildcard::{Lost, Why};
pub(super) use self::wildcard::{caa, dotted};
use super::facts::Facts;
use super::finding::{Finding, ResourceRecord};
use crate::dns::lookup::{Ask as _, DnsName, Pending, RecordType};
use crate::dns::survey::NO_SELECTOR;

/// Where the records of a name are changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// At this name: the one that was asked for, or one below the domain to which CNAMEs lead.
    At(DnsName),
    /// At the name that was asked for, to which a wildcard alone gives a CNAME: with a record of its own the name is
    /// there, and then the wildcard does not stand for it (RFC 4592 §2.2.1).
    Instead(DnsName),
    /// At a name that is not there, as a wildcard stands for it or for one above it.
    Covered(Box<Covered>),
    /// Not by those who keep the domain, as far as can be seen.
    Elsewhere {
        /// The name that was asked for.
        name: DnsName,
        /// Where CNAMEs lead to, or the same name.
        end: DnsName,
    },
}

/// A name for which a wildcard stands, or for one above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Covered {
    name: DnsName,
    /// What the wildcard says in the place of the name: nothing of it can be taken away there.
    here: Vec<ResourceRecord>,
    /// What the domain loses with a record at this name.
    lost: Option<Lost>,
}

/// Where the records of this type at a name are changed, from which these CNAMEs lead on.
pub(super) fn of(
    facts: &Facts<'_>,
    name: &DnsName,
    kind: RecordType,
    aliases: &[DnsName],
) -> Result<Place, Pending> {
    let Some(end) = aliases.last() else {
        return at(facts, name, kind);
    };
    let base = base(name);
    // A host needs its address, too, and loses it with the wildcard.
    if base != *name && is_by_wildcard(facts, name, kind, aliases)? {
        let place = at(facts, name, kind)?;
        return Ok(match &place {
            Place::Covered(covered) if covered.lost.is_some() => place,
            // These count together with those at the end of the alias.
            _ if kind == RecordType::Tlsa => Place::Covered(Box::new(Covered {
                name: name.clone(),
                here: wildcard::records(name, &facts.look(name, kind)?).unwrap_or_default(),
                lost: None,
            })),
            _ => Place::Instead(name.clone()),
        });
    }
    // What stands at the domain itself is for other things.
    let below = |domain: &DnsName| end.is_within(domain) && end != domain;
    match below(&base) || below(&facts.domain()) {
        true => at(facts, end, kind),
        false => Ok(Place::Elsewhere {
            name: name.clone(),
            end: end.clone(),
        }),
    }
}

/// The same for a host, which may be somebody else's: then all that is known is whom to ask.
pub(super) fn of_host(
    facts: &Facts<'_>,
    host: &DnsName,
    kind: RecordType,
    aliases: &[DnsName],
) -> Result<Place, Pending> {
    match host.is_within(&facts.domain()) {
        true => of(facts, host, kind, aliases),
        false => Ok(Place::Elsewhere {
            name: host.clone(),
            end: aliases.last().unwrap_or(host).clone(),
        }),
    }
}

/// At this name, where no CNAME stands but that of a wildcard.
fn at(facts: &Facts<'_>, name: &DnsName, kind: RecordType) -> Result<Place, Pending> {
    let base = base(name);
    let lost = wildcard::lost(facts, &base);
    let found = facts.look(name, kind);
    let (mut lost, found) = (lost?, found?);
    // With what SPF or MX asks for, the domain is there; two that each keep the records of the wildcard would keep them
    // twice, the record that is to go among them. So SPF comes first, and MX next.
    let domain = facts.domain();
    let is_spf = *name == domain && [RecordType::Txt, RecordType::Spf].contains(&kind);
    if let Some(lost) = &mut lost
        && !is_spf
        && lost.stood_for(&domain)
    {
        if facts.spf_publishes()? {
            lost.kept = Err(Why::First("spf"));
        } else if !(name == &domain && kind == RecordType::Mx) && facts.mx_publishes()? {
            lost.kept = Err(Why::First("mx"));
        }
    }
    // What is below a name that is not there is not there.
    let given = match lost {
        Some(_) => true,
        None => *name != base && wildcard::gives(facts, name, kind)?,
    };
    let here = match given {
        true => wildcard::records(name, &found).unwrap_or_default(),
        false => Vec::new(),
    };
    // Its data are those of a text.
    let of_spf = kind == RecordType::Spf;
    let here: Vec<_> = here
        .into_iter()
        .map(|record| ResourceRecord {
            kind: if of_spf { "SPF" } else { record.kind },
            ..record
        })
        .collect();
    if lost.is_none() && here.is_empty() {
        return Ok(Place::At(name.clone()));
    }
    let name = name.clone();
    Ok(Place::Covered(Box::new(Covered { name, here, lost })))
}

/// Whether a name beside this one that nobody chooses leads the same way.
fn is_by_wildcard(
    facts: &Facts<'_>,
    name: &DnsName,
    kind: RecordType,
    aliases: &[DnsName],
) -> Result<bool, Pending> {
    let beside = name.parent().map(|parent| parent.below(NO_SELECTOR));
    match beside {
        Some(Ok(beside)) => Ok(facts.look(&beside, kind)?.aliases == aliases),
        Some(Err(_)) | None => Ok(false),
    }
}

/// The domain that a name tells of: what is behind the labels with an underscore (RFC 8552 §1).
fn base(name: &DnsName) -> DnsName {
    let labels: Vec<&[u8]> = name.labels().collect();
    let last = labels.iter().rposition(|label| label.starts_with(b"_"));
    let mut base = name.clone();
    for _ in 0..last.map_or(0, |at| at + 1) {
        base = base.parent().unwrap_or(base);
    }
    base
}

impl Place {
    /// Where the records stand that count once the finding is mended.
    pub(super) fn name(&self) -> &DnsName {
        match self {
            Place::At(name) | Place::Instead(name) | Place::Elsewhere { end: name, .. } => name,
            Place::Covered(covered) => &covered.name,
        }
    }

    /// The finding with records of this place to take away and to publish, or with words where others keep it.
    pub(super) fn mend(
        &self,
        finding: Finding,
        remove: impl IntoIterator<Item = ResourceRecord>,
        publish: impl IntoIterator<Item = ResourceRecord>,
    ) -> Finding {
        match self {
            Place::At(_) | Place::Instead(_) => finding.remove(remove).publish(publish),
            Place::Covered(covered) => {
                covered.mend(finding, Vec::from_iter(remove), Vec::from_iter(publish))
            }
            Place::Elsewhere { .. } => self.tell(finding),
        }
    }

    /// The finding, whose mend names no records, with who has to follow it.
    pub(super) fn tell(&self, mut finding: Finding) -> Finding {
        let (name, end) = match self {
            Place::At(_) | Place::Instead(_) => return finding,
            Place::Covered(covered) => return covered.tell(finding),
            Place::Elsewhere { name, end } => (name, end),
        };
        let who = match name == end {
            true => format!("; {end} is outside of the domain, so whoever keeps that zone does it"),
            false => format!(
                "; {name} is a CNAME to {end}: let whoever keeps {end} do it there, or put a record in the place of the CNAME, where no DNAME above makes it"
            ),
        };
        add(&mut finding.mend, &who);
        finding
    }
}

/// Adds to what is said; the lines of a file may stand behind that.
fn add(mend: &mut String, words: &str) {
    let end = mend.find('\n').unwrap_or(mend.len());
    mend.insert_str(end, words);
}

impl Covered {
    /// What the wildcard says cannot be taken away at this name: a record of its own stands in the place of it, and with
    /// it what else is to stay.
    fn mend(
        &self,
        mut finding: Finding,
        remove: Vec<ResourceRecord>,
        publish: Vec<ResourceRecord>,
    ) -> Finding {
        let hides = |record: &ResourceRecord| self.here.contains(record);
        let (hidden, remove): (Vec<_>, Vec<_>) = remove.into_iter().partition(hides);
        if publish.is_empty() && hidden.is_empty() && remove.is_empty() {
            return self.tell(finding);
        }
        if publish.is_empty() {
            return match hidden.is_empty() {
                true => finding.remove(remove),
                false => finding.in_words(&format!(
                    "a wildcard gives {} this, so it is to be changed there, for all names for which that stands",
                    self.name
                )),
            };
        }
        let Some(lost) = &self.lost else {
            // TLSA records count together: those of the wildcard count no more beside one of the name's own.
            let counts = |record: &&ResourceRecord| {
                record.kind == "TLSA" && !hidden.contains(record) && !publish.contains(record)
            };
            let beside: Vec<_> = self.here.iter().filter(counts).cloned().collect();
            return finding.remove(remove).publish(publish).publish(beside);
        };
        let kept = match &lost.kept {
            Ok(kept) => kept.iter(),
            Err(_) => return finding.in_words(&lost.told()),
        };
        let kept = kept.filter(|record| !hidden.contains(record) && !publish.contains(record));
        finding.publish.extend(kept.cloned());
        self.tell(finding).remove(remove).publish(publish)
    }

    fn tell(&self, mut finding: Finding) -> Finding {
        let Some(lost) = &self.lost else {
            return finding;
        };
        add(&mut finding.mend, &format!("; {}", lost.told()));
        // Where no records are named, these are told.
        if let Ok(kept) = lost.kept.as_ref()
            && finding.publish.is_empty()
        {
            for ResourceRecord { name, kind, value } in kept {
                add(&mut finding.mend, &format!("; {name} {kind} {value}"));
            }
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{apply, judge, judge_with, options, words};

    fn told(zone: &str) -> (Vec<String>, String) {
        let report = judge("dmarc", zone);
        assert_eq!(words(&report), ["dmarc-missing"], "{zone}");
        let finding = &report.findings[0];
        assert_eq!(finding.remove, []);
        let names = finding.publish.iter().map(|record| record.name.clone());
        (names.collect(), finding.mend.clone())
    }

    #[test]
    fn a_name_that_a_wildcard_leads_elsewhere_gets_a_record_of_its_own() {
        for target in ["cdn.example.net", "example.org", "web.example.org"] {
            let zone = format!(
                "example.org. A 192.88.1.1\nweb.example.org. A 192.88.1.1\n*.example.org. CNAME {target}."
            );
            assert_eq!(told(&zone).0, ["_dmarc.example.org."], "{target}");
            let after = judge("dmarc", &apply(&zone, &judge("dmarc", &zone)));
            assert_eq!(words(&after), ["dmarc-policy-none"]);
        }
    }

    #[test]
    fn what_the_wildcard_led_to_stays_as_it_is() {
        let zone = "*.example.org. CNAME cdn.example.net.\ncdn.example.net. TXT \"v=TLSRPTv1; rua=a@example.org\"";
        let report = judge("tls-rpt", zone);
        assert_eq!(words(&report), ["tls-rpt-syntax"]);
        let finding = &report.findings[0];
        assert_eq!(finding.remove, []);
        assert_eq!(finding.publish[0].name, "_smtp._tls.example.org.");
        assert_eq!(words(&judge("tls-rpt", &apply(zone, &report))), [""; 0]);
    }

    #[test]
    fn nothing_is_published_in_the_zone_of_somebody_else_nor_at_the_domain() {
        for target in ["_dmarc.example.net", "example.org"] {
            let zone = format!("example.org. A 192.88.1.1\n_dmarc.example.org. CNAME {target}.");
            let (names, mend) = told(&zone);
            assert_eq!(names, [""; 0]);
            assert!(mend.contains(&format!("a CNAME to {target}")), "{mend}");
        }
        let own = "example.org. A 192.88.1.1\n_dmarc.example.org. CNAME policy.example.org.";
        assert_eq!(told(own).0, ["policy.example.org."]);
    }

    #[test]
    fn a_host_does_not_lose_the_address_that_a_wildcard_gives_it() {
        let zone = "*.org. CNAME cdn.example.net.\ncdn.example.net. A 192.88.1.1";
        let report = judge("spf", zone);
        assert_eq!(words(&report), ["spf-missing"]);
        assert_eq!(report.findings[0].publish, []);
    }

    #[test]
    fn a_domain_that_leads_below_itself_is_judged_to_an_end() {
        // Whether a wildcard stands for it is not known.
        let zone = r#"{
            "news.example.org.": {"CNAME": ["a.news.example.org."]},
            "a.news.example.org.": {"TXT": ["v=spf1 ip4:192.88.1.1 ptr ~all"]},
            "dkimkit-no-such-selector.example.org.": {"status": "TIMEOUT"},
            "dkimkit-no-such-selector.news.example.org.": {"status": "TIMEOUT"},
            "dkimkit-no-such-selector.a.news.example.org.": {"status": "TIMEOUT"}
        }"#;
        let mut options = options();
        options.domain = crate::name::Domain::new("news.example.org").unwrap();
        for (check, word) in [("spf", "spf-ptr"), ("dmarc", "dmarc-missing")] {
            let report = judge_with(check, zone, &options, |_| None);
            assert!(words(&report).contains(&word), "{report:?}");
        }
    }
}
