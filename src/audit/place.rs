//! Where the records of a name are changed: beside a CNAME no other record may stand (RFC 1034 §3.6.2), and what stands
//! at its end may be somebody else's.

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
    /// Not by those who keep the domain, as far as can be seen.
    Elsewhere {
        /// The name that was asked for.
        name: DnsName,
        /// Where CNAMEs lead to, or the same name.
        end: DnsName,
    },
}

/// Where the records of this type at a name are changed, from which these CNAMEs lead on.
pub(super) fn of(
    facts: &Facts<'_>,
    name: &DnsName,
    kind: RecordType,
    aliases: &[DnsName],
) -> Result<Place, Pending> {
    let Some(end) = aliases.last() else {
        return Ok(Place::At(name.clone()));
    };
    let base = base(name);
    // A host needs its address, too, and loses it with the wildcard.
    if base != *name && is_by_wildcard(facts, name, kind, aliases)? {
        return Ok(Place::Instead(name.clone()));
    }
    // What stands at the domain itself is for other things.
    let below = |domain: &DnsName| end.is_within(domain) && end != domain;
    Ok(match below(&base) || below(&facts.domain()) {
        true => Place::At(end.clone()),
        false => Place::Elsewhere {
            name: name.clone(),
            end: end.clone(),
        },
    })
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
            Place::Elsewhere { .. } => self.tell(finding),
        }
    }

    /// The finding, whose mend names no records, with who has to follow it.
    pub(super) fn tell(&self, mut finding: Finding) -> Finding {
        let Place::Elsewhere { name, end } = self else {
            return finding;
        };
        finding.mend.push_str(&match name == end {
            true => format!("; {end} is outside of the domain, so whoever keeps that zone does it"),
            false => format!(
                "; {name} is a CNAME to {end}: let whoever keeps {end} do it there, or put a record in the place of the CNAME"
            ),
        });
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{apply, judge, words};

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
}
