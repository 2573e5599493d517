//! What a wildcard gives to names that are not there. It stands for such a name alone: with a record of its own, or one
//! below it, the name is there, and all that the wildcard gave it is gone (RFC 4592 §2.2.1, §2.2.2).

use super::super::facts::Facts;
use super::super::finding::ResourceRecord;
use crate::dns::lookup::{Ask as _, DnsName, Found, Pending, Record, RecordType, Said};
use crate::dns::survey::NO_SELECTOR;

/// What names lose with a record at or below one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    /// Those that would be there then, and are not now; the lowest first.
    names: Vec<DnsName>,
    /// The records with which all stays as it is, where they are known.
    pub(super) kept: Result<Vec<ResourceRecord>, Why>,
}

/// Why no records are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// A question got no answer, or answers come and go.
    Unclear,
    /// What this check asks for gives the domain records of its own.
    First(&'static str),
}

impl Lost {
    /// Whether this name is among those that would be there.
    pub(super) fn stood_for(&self, name: &DnsName) -> bool {
        self.names.contains(name)
    }

    /// What is to be thought of.
    pub(super) fn told(&self) -> String {
        let name = &self.names[0];
        match self.kept {
            Ok(_) => format!(
                "a wildcard gives {name} its records, and no more once one stands at or below that name (RFC 4592 section 2.2.1): so publish with it those that are known; it may give records of other types, too"
            ),
            Err(Why::Unclear) => format!(
                "it may be that a wildcard gives {name} its records, and no more once one stands at or below that name (RFC 4592 section 2.2.1): if so, publish all of them with it"
            ),
            Err(Why::First(check)) => format!(
                "a wildcard gives {name} its records, and no more once one stands at or below that name (RFC 4592 section 2.2.1): so first do what the check {check} says, which publishes those that are known, and run the audit again"
            ),
        }
    }
}

/// Deeper ones have no mend in records.
const MAX_LEVELS: usize = 4;
/// More are no mend that anybody reads.
const MAX_RECORDS: usize = 64;

/// What a name, and those above it, lose with a record at it or below it; none where it is there.
pub(super) fn lost(facts: &Facts<'_>, name: &DnsName) -> Result<Option<Lost>, Pending> {
    let mut names = Vec::new();
    let mut kept = Ok(Vec::new());
    let levels = std::iter::successors(Some(name.clone()), DnsName::parent);
    for level in levels.take(MAX_LEVELS + 1) {
        let gift = gift(facts, &level)?;
        if matches!(gift, Gift::Nothing) {
            break;
        }
        kept = match (kept, records_of(&level, &gift)) {
            (Ok(kept), Some(more)) => Ok([kept, more].concat()),
            _ => Err(Why::Unclear),
        };
        names.push(level);
    }
    if names.len() > MAX_LEVELS || kept.as_ref().is_ok_and(|kept| kept.len() > MAX_RECORDS) {
        kept = Err(Why::Unclear);
    }
    Ok((!names.is_empty()).then_some(Lost { names, kept }))
}

/// What is given to a name, and to all below it, for which the wildcard stands as well; none where it cannot be told.
fn records_of(name: &DnsName, gift: &Gift) -> Option<Vec<ResourceRecord>> {
    let Gift::Records(found) = gift else {
        return None;
    };
    let here = all_records(name, found)?;
    let below = all_records(&name.below("*").ok()?, found)?;
    Some([here, below].concat())
}

/// Whether a wildcard gives a name its records of this type.
pub(super) fn gives(facts: &Facts<'_>, name: &DnsName, kind: RecordType) -> Result<bool, Pending> {
    let own = facts.look(name, kind)?;
    let Some([beside, below]) = neighbours(name).filter(|_| !own.records().is_empty()) else {
        return Ok(false);
    };
    Ok(alike(&own, &facts.look(&beside, kind)?) && alike(&own, &facts.look(&below, kind)?))
}

/// Names that nobody chooses, for which the same wildcard stands as for this one, if it is not there. Where it is, only
/// a wildcard of its own stands for the second.
fn neighbours(name: &DnsName) -> Option<[DnsName; 2]> {
    let parent = name.parent().filter(|parent| !parent.is_root())?;
    let beside = parent.below(NO_SELECTOR).ok()?;
    Some([beside, name.below(NO_SELECTOR).ok()?])
}

/// What a wildcard gives a name.
enum Gift {
    /// The name is there, or nothing is.
    Nothing,
    /// Answers, without failures.
    Records(Vec<Found>),
    Unclear,
}

/// What a host is asked for.
const KINDS: [RecordType; 5] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Mx,
    RecordType::Txt,
    RecordType::Caa,
];

fn gift(facts: &Facts<'_>, name: &DnsName) -> Result<Gift, Pending> {
    let Some(neighbours) = neighbours(name) else {
        return Ok(Gift::Nothing);
    };
    // Mostly one question says that there is none.
    let first = neighbours
        .each_ref()
        .map(|one| facts.look(one, RecordType::Txt));
    for found in first {
        let found = found?;
        if found.said == Said::NoName && found.aliases.is_empty() {
            return Ok(Gift::Nothing);
        }
    }
    let [beside, below] = neighbours;
    let names = [name.clone(), beside, below];
    // All are asked for before the first that waits ends it.
    let asked = KINDS.map(|kind| names.each_ref().map(|name| facts.look(name, kind)));
    let mut given = Vec::new();
    let mut clear = true;
    for answers in asked {
        let [own, beside, below] = answers;
        let (own, beside, below) = (own?, beside?, below?);
        let all = [&own, &beside, &below];
        let failed = |found: &&Found| found.failure().is_some() && found.aliases.is_empty();
        if all.iter().any(failed) {
            clear = false;
        } else if alike(&own, &beside) && alike(&own, &below) {
            given.push(own);
        } else if all.iter().all(|found| found.addresses().next().is_some()) {
            // They may be others each time.
            clear = false;
        } else {
            return Ok(Gift::Nothing);
        }
    }
    let empty = |found: &Found| found.records().is_empty() && found.aliases.is_empty();
    Ok(match given.iter().all(empty) {
        _ if !clear => Gift::Unclear,
        true => Gift::Nothing,
        false => Gift::Records(given),
    })
}

/// Whether two names lead to the same name, or have the same records, in any order.
fn alike(one: &Found, other: &Found) -> bool {
    match (one.aliases.first(), other.aliases.first()) {
        (None, None) => {}
        (one, other) => return one == other,
    }
    let (one, other) = (one.records(), other.records());
    one.len() == other.len() && one.iter().all(|record| other.contains(record))
}

/// These at a name; none where one cannot be written.
fn all_records(name: &DnsName, found: &[Found]) -> Option<Vec<ResourceRecord>> {
    // Beside a CNAME nothing stands, and all types lead there.
    if let Some(target) = found.iter().find_map(|found| found.aliases.first()) {
        let record = ResourceRecord::new(name, "CNAME", dotted(target));
        return Some(vec![record]);
    }
    let records: Option<Vec<Vec<_>>> = found.iter().map(|found| records(name, found)).collect();
    Some(records?.concat())
}

/// The records of an answer, at this name; none where one cannot be written.
pub(super) fn records(name: &DnsName, found: &Found) -> Option<Vec<ResourceRecord>> {
    let written = |record: &Record| {
        let (kind, value) = match record {
            Record::Address(address) if address.is_ipv4() => ("A", address.to_string()),
            Record::Address(address) => ("AAAA", address.to_string()),
            Record::Mx {
                preference,
                exchange,
            } => ("MX", format!("{preference} {}", dotted(exchange))),
            Record::Text(text) => ("TXT", std::str::from_utf8(text).ok()?.to_owned()),
            Record::Caa { flags, tag, value } => ("CAA", caa(*flags, tag, value)),
            Record::Tlsa {
                usage,
                selector,
                matching,
                data,
            } => {
                let data: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
                ("TLSA", format!("{usage} {selector} {matching} {data}"))
            }
            _ => return None,
        };
        Some(ResourceRecord::new(name, kind, value))
    };
    found.records().iter().map(written).collect()
}

/// The data of a CAA record as a zone file has it (RFC 8659 §4.1.1, RFC 1035 §5.1).
pub(in super::super) fn caa(flags: u8, tag: &str, value: &[u8]) -> String {
    let mut text = format!("{flags} {tag} \"");
    for &byte in value {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text.push('"');
    text
}

/// A name as the data of a record has it.
pub(in super::super) fn dotted(name: &DnsName) -> String {
    match name.is_root() {
        true => ".".to_owned(),
        false => format!("{name}."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Options;
    use super::super::super::testing::{apply, judge, judge_with, options, words};
    use crate::audit::CheckReport;
    use crate::name::Domain;

    /// An audit of news.example.org, which is there through the wildcard alone.
    fn news(check: &str, zone: &str) -> CheckReport {
        let options = Options {
            domain: Domain::new("news.example.org").unwrap(),
            ..options()
        };
        judge_with(check, zone, &options, |_| None)
    }

    const WILD: &str = "example.org. A 192.88.1.1
mx.example.org. A 192.88.1.2
*.example.org. MX 10 mx.example.org.
*.example.org. A 192.88.1.1
*.example.org. AAAA 2a01::1
*.example.org. CAA 0 issue \"ca.example\"
*.example.org. TXT other";

    fn zone(more: &str) -> String {
        format!("{WILD}\n{more}")
    }

    #[test]
    fn what_the_wildcard_gave_the_domain_stays_after_each_mend() {
        for (check, more, word) in [
            ("dmarc", "", "dmarc-missing"),
            ("spf", "*.example.org. TXT \"v=spf1 mx ?all\"", "spf-no-end"),
            (
                "tls-rpt",
                "_25._tcp.mx.example.org. TLSA 3 1 1 00\n*.example.org. TXT \"v=spf1 -all\"",
                "tls-rpt-missing",
            ),
        ] {
            let zone = zone(more);
            let report = news(check, &zone);
            assert_eq!(words(&report), [word]);
            let finding = &report.findings[0];
            assert_eq!(finding.remove, [], "{word}");
            assert!(!finding.publish.is_empty(), "{word}");
            assert!(finding.mend.contains("a wildcard gives news.example.org"));
            let after = apply(&zone, &report);
            assert!(!words(&news(check, &after)).contains(&word), "{after}");
            assert_eq!(words(&news("mx", &after)), [""; 0], "{after}");
            // All names below are as they were.
            for line in ["news.example.org.", "*.news.example.org."] {
                for data in [
                    "MX 10 mx.example.org.",
                    "A 192.88.1.1",
                    "AAAA 2a01::1",
                    "CAA 0 issue",
                ] {
                    assert!(
                        after.contains(&format!("{line} {data}")),
                        "{line} {data}: {after}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_mend_in_words_tells_of_the_wildcard() {
        let report = news("mta-sts", &zone(""));
        assert_eq!(words(&report), ["mta-sts-missing"]);
        let mend = &report.findings[0].mend;
        assert!(mend.contains("publish with it"), "{mend}");
        // Not in the file that is shown.
        assert!(mend.ends_with("\nmax_age: 604800"), "{mend}");
        let report = news("spf", "*.example.org. A 192.88.1.1");
        assert_eq!(words(&report), ["spf-missing"]);
        assert!(report.findings[0].mend.contains("publish with it"));
    }

    #[test]
    fn a_record_of_the_wildcard_that_is_replaced_is_not_kept() {
        let zone = zone("*.example.org. TXT \"v=spf1 mx ?all\"");
        let after = apply(&zone, &news("spf", &zone));
        let own: Vec<&str> = after
            .lines()
            .filter(|line| line.starts_with("news"))
            .collect();
        let spf = |line: &&&str| line.contains("v=spf1");
        assert_eq!(own.iter().filter(spf).count(), 1, "{own:?}");
        assert!(own.iter().any(|line| line.contains("other")), "{own:?}");
    }

    #[test]
    fn two_mends_do_not_keep_the_record_that_one_of_them_replaces() {
        let zone = zone("*.example.org. TXT \"v=spf1 mx ?all\"");
        let report = news("dmarc", &zone);
        assert_eq!(report.findings[0].publish, []);
        assert!(
            report.findings[0]
                .mend
                .contains("first do what the check spf says")
        );
        let after = apply(&zone, &news("spf", &zone));
        let report = news("dmarc", &after);
        assert_eq!(report.findings[0].publish.len(), 1);
    }

    #[test]
    fn two_mends_do_not_keep_the_mx_record_that_one_of_them_replaces() {
        let zone = "mx.example.org. A 192.88.1.2\nalias.example.org. CNAME mx.example.org.\n*.example.org. MX 10 alias.example.org.\n*.example.org. A 192.88.1.2\n*.example.org. TXT \"v=spf1 mx -all\"";
        let report = news("dmarc", zone);
        assert_eq!(report.findings[0].publish, []);
        assert!(
            report.findings[0]
                .mend
                .contains("first do what the check mx says")
        );
        let after = apply(zone, &news("mx", zone));
        assert_eq!(words(&news("mx", &after)), [""; 0], "{after}");
        let after = apply(&after, &news("dmarc", &after));
        assert_eq!(words(&news("dmarc", &after)), ["dmarc-policy-none"]);
        assert_eq!(words(&news("mx", &after)), [""; 0], "{after}");
        // What SPF asks for comes before both.
        let open = zone.replace("mx -all", "mx ?all");
        for check in ["dmarc", "mx"] {
            let report = news(check, &open);
            assert!(
                report.findings[0]
                    .mend
                    .contains("first do what the check spf says"),
                "{check}"
            );
        }
    }

    #[test]
    fn names_between_keep_theirs_too() {
        let deep = zone("");
        let options = Options {
            domain: Domain::new("a.b.example.org").unwrap(),
            ..options()
        };
        let report = judge_with("dmarc", &deep, &options, |_| None);
        let records = &report.findings[0].publish;
        for name in ["a.b", "*.a.b", "b", "*.b"] {
            let name = format!("{name}.example.org.");
            assert!(records.iter().any(|record| record.name == name), "{name}");
        }
    }

    #[test]
    fn a_record_that_only_the_wildcard_has_is_not_taken_away() {
        let zone = "*.example.org. TXT \"v=DMARC1; p=none; rua=mailto:a@example.org\"\nexample.org. A 192.88.1.1";
        let report = judge("dmarc", zone);
        assert_eq!(words(&report), ["dmarc-policy-none"]);
        assert_eq!(report.findings[0].remove, []);
        assert_eq!(report.findings[0].publish.len(), 1);
        assert_eq!(words(&judge("dmarc", &apply(zone, &report))), [""; 0]);
        // Nothing takes the place of what is only to go.
        let zone = "*.example.org. TXT \"o=~\"\nexample.org. A 192.88.1.1";
        let report = judge("domainkeys", zone);
        assert_eq!(report.findings[0].remove, []);
        assert!(report.findings[0].mend.contains("changed there"));
        // The same text of its own.
        let both = "*.example.org. TXT \"v=DMARC1; p=none; rua=mailto:a@example.org\"\n_dmarc.example.org. TXT \"v=DMARC1; p=none; rua=mailto:a@example.org\"";
        let report = judge("dmarc", both);
        assert_eq!(report.findings[0].remove.len(), 1);
        assert_eq!(words(&judge("dmarc", &apply(both, &report))), [""; 0]);
    }

    #[test]
    fn a_record_of_the_old_type_of_spf_that_a_wildcard_gives_is_not_taken_away() {
        let zone = "*.example.org. SPF \"v=spf1 -all\"\n*.example.org. TXT \"v=spf1 -all\"";
        let report = news("spf", zone);
        for finding in &report.findings {
            assert_eq!(finding.remove, [], "{finding:?}");
        }
        assert!(!report.findings.is_empty());
    }

    #[test]
    fn what_a_wildcard_says_to_all_names_does_no_harm() {
        let zone = "*.example.org. TXT \"v=spf1 -all\"\nexample.org. A 192.88.1.1";
        let report = judge("dmarc", zone);
        assert_eq!(words(&report), ["dmarc-missing"]);
        let finding = &report.findings[0];
        assert_eq!((finding.remove.len(), finding.publish.len()), (0, 1));
    }

    #[test]
    fn a_domain_that_is_there_loses_nothing() {
        let right = "v=DMARC1; p=none";
        for own in [
            "news.example.org. A 192.88.1.1",
            "www.news.example.org. A 192.88.1.9\nnews.example.org. MX 10 mx.example.org.",
            "news.example.org. MX 10 mx.example.org.\n*.news.example.org. MX 10 mx.example.org.",
        ] {
            let report = news("dmarc", &zone(own));
            let published = &report.findings[0].publish;
            assert_eq!(published.len(), 1, "{own}");
            assert!(published[0].value.starts_with(right));
        }
    }

    #[test]
    fn an_alias_of_the_wildcard_stays_with_the_domain() {
        let zone = "*.example.org. CNAME www.example.org.\nwww.example.org. A 192.88.1.1\nwww.example.org. MX 10 www.example.org.";
        let report = news("dmarc", zone);
        let records = &report.findings[0].publish;
        assert_eq!(records.len(), 3);
        for (record, name) in records.iter().zip(["news", "*.news"]) {
            assert_eq!(record.name, format!("{name}.example.org."));
            assert_eq!((record.kind, &*record.value), ("CNAME", "www.example.org."));
        }
        assert_eq!(words(&news("mx", &apply(zone, &report))), [""; 0]);
    }

    #[test]
    fn a_domain_without_mx_gets_one_and_keeps_its_address() {
        let zone = "example.org. A 192.88.1.1\n*.example.org. A 192.88.1.1";
        let report = news("mx", zone);
        assert_eq!(words(&report), ["mx-missing"]);
        let after = apply(zone, &report);
        assert_eq!(words(&news("mx", &after)), [""; 0], "{after}");
    }

    #[test]
    fn what_is_not_known_for_sure_is_said_in_words() {
        let json = |name: &str, status: &str| {
            format!(
                r#"{{"*.example.org.": {{"A": ["192.88.1.1"]}}, "example.org.": {{"A": ["192.88.1.1"]}}, "{name}": {{"status": "{status}"}}}}"#
            )
        };
        for name in [
            "dkimkit-no-such-selector.example.org.",
            "dkimkit-no-such-selector.news.example.org.",
        ] {
            let report = news("dmarc", &json(name, "SERVFAIL"));
            assert_eq!(words(&report), ["dmarc-missing"]);
            assert_eq!(report.findings[0].publish, [], "{name}");
            assert!(
                report.findings[0]
                    .mend
                    .contains("it may be that a wildcard")
            );
        }
        // Of a host that answers with another address each time.
        let rotating = "*.example.org. A 192.88.1.1\nexample.org. A 192.88.1.1\nnews.example.org. A 192.88.1.2\n*.news.example.org. A 192.88.1.3";
        assert_eq!(news("dmarc", rotating).findings[0].publish, []);
    }
}
