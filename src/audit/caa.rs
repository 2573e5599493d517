//! CAA (RFC 8659): whether an issuer may still give certificates to the hosts of the domain that need one.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::facts::Facts;
use super::finding::{CheckReport, Finding, ResourceRecord};
use super::mta_sts::{self, Mode};
use super::place::{self, Place, caa};
use super::text;
use crate::dns::lookup::{Ask as _, DnsName, Pending, Question, Record, RecordType};

const NAME: &str = "caa";

/// The properties that issuers know: RFC 8659 §4.1, RFC 9495, and those of the CA/Browser Forum and of BIMI.
const KNOWN: [&str; 7] = [
    "issue",
    "issuewild",
    "iodef",
    "issuemail",
    "issuevmc",
    "contactemail",
    "contactphone",
];

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let policy = policy_host(facts);
    let exchanges = facts.exchanges();
    let (policy, exchanges) = (policy?, exchanges?);
    let mut findings = Vec::new();
    if let Some(cause) = exchanges.failure {
        let question = Question::new(facts.domain(), RecordType::Mx);
        findings.push(Finding::no_answer(&question, cause));
    }
    let mut hosts: Vec<DnsName> = policy.into_iter().collect();
    let named = exchanges.hosts.into_iter().map(|(_, host)| host);
    hosts.extend(named.filter(|host| !host.is_root()));
    let mut met = HashSet::new();
    hosts.retain(|host| met.insert(host.clone()));
    let seen: Vec<_> = hosts.iter().map(|host| relevant(facts, host)).collect();
    let pinned: Vec<_> = hosts.iter().map(|host| is_pinned(facts, host)).collect();
    // Who heeds the policy and knows no DANE asks for an issuer whom all trust (RFC 8461 §4.1).
    let promised = mta_sts::promises(facts);
    let places: Vec<_> = hosts.iter().map(|host| place_of(facts, host)).collect();
    let promised = promised? == Mode::Enforce;
    let mut shown = Vec::new();
    let mut sets = BTreeMap::new();
    let seen = seen.into_iter().zip(pinned).zip(places);
    for (host, ((seen, pinned), place)) in hosts.iter().zip(seen) {
        let set = match seen? {
            Ok(set) => set,
            Err(finding) => {
                findings.push(*finding);
                continue;
            }
        };
        let issuers = set.as_ref().and_then(Set::issuers);
        let at = set.as_ref().map(|set| set.name.to_string());
        shown.push(json!({"host": host.to_string(), "at": at, "issuers": issuers}));
        let Some(set) = set else { continue };
        if issuers.is_some_and(|issuers| issuers.is_empty()) && (promised || !pinned?) {
            findings.push(forbidden(host, &set, &place?));
        }
        sets.insert(set.name.clone(), set);
    }
    findings.extend(sets.values().flat_map(Set::critical));
    let sentence = match shown.iter().all(|row| row["issuers"] == Value::Null) {
        true => "every issuer may give certificates to the hosts of the domain",
        false => "the hosts of the domain can get certificates",
    };
    Ok(CheckReport::new(NAME, sentence, findings).fact("hosts", shown))
}

/// The host of the policy of MTA-STS, where the domain has one: its certificate must hold (RFC 8461 §3.3).
fn policy_host(facts: &Facts<'_>) -> Result<Option<DnsName>, Pending> {
    let domain = facts.domain();
    let (Ok(name), Ok(host)) = (domain.below("_mta-sts"), domain.below("mta-sts")) else {
        return Ok(None);
    };
    let texts = text::at(facts, &name)?;
    let has = texts.is_ok_and(|texts| !texts.meant("v=stsv1").is_empty());
    Ok(has.then_some(host))
}

/// Whether TLSA records say which certificate a server has, so that it needs no issuer (RFC 7672 §3.1.1).
fn is_pinned(facts: &Facts<'_>, host: &DnsName) -> Result<bool, Pending> {
    let Ok(name) = host.below("_25._tcp") else {
        return Ok(false);
    };
    let found = facts.look(&name, RecordType::Tlsa)?;
    Ok(!found.records().is_empty())
}

/// Properties are the same in upper and lower case (RFC 8659 §4.1).
fn is_known(tag: &str) -> bool {
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(tag))
}

/// The flag of a record that is critical (RFC 8659 §4.1).
const CRITICAL: u8 = 128;

/// CAA records, and where they stand.
struct Set {
    name: DnsName,
    place: Place,
    records: Vec<(u8, String, Vec<u8>)>,
}

/// The records that hold for a host: those of the nearest name above it that has any (RFC 8659 §3).
fn relevant(
    facts: &Facts<'_>,
    host: &DnsName,
) -> Result<Result<Option<Set>, Box<Finding>>, Pending> {
    let names = std::iter::successors(Some(host.clone()), DnsName::parent);
    let names: Vec<DnsName> = names.filter(|name| !name.is_root()).collect();
    // All are asked for before the first that waits ends it.
    let found: Vec<_> = names
        .iter()
        .map(|name| facts.look(name, RecordType::Caa))
        .collect();
    for (name, found) in names.iter().zip(found) {
        let found = found?;
        if let Some(cause) = found.failure() {
            let question = Question::new(name.clone(), RecordType::Caa);
            return Ok(Err(Box::new(Finding::no_answer(&question, cause))));
        }
        let records = found.records().iter().filter_map(|record| match record {
            Record::Caa { flags, tag, value } => Some((*flags, tag.clone(), value.clone())),
            _ => None,
        });
        let records: Vec<_> = records.collect();
        if !records.is_empty() {
            let place = place::of_host(facts, name, RecordType::Caa, &found.aliases)?;
            let name = place.name().clone();
            let set = Set {
                name,
                place,
                records,
            };
            return Ok(Ok(Some(set)));
        }
    }
    Ok(Ok(None))
}

impl Set {
    /// Those who may issue; none where nothing is said of it, and so everybody may (RFC 8659 §4.2).
    fn issuers(&self) -> Option<Vec<String>> {
        let issue = self
            .records
            .iter()
            .filter(|(_, tag, _)| tag.eq_ignore_ascii_case("issue"));
        let mut issue = issue.peekable();
        issue.peek()?;
        let issuers = issue.filter_map(|(.., value)| {
            let name = value.split(|byte| *byte == b';').next()?.trim_ascii();
            let name = std::str::from_utf8(name).ok()?;
            // What is no name lets nobody issue.
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            (!name.is_empty() && name.bytes().all(legal)).then(|| name.to_owned())
        });
        Some(issuers.collect())
    }

    /// RFC 8659 §4.1: who does not know a critical property must not issue.
    fn critical(&self) -> Vec<Finding> {
        let unknown = self
            .records
            .iter()
            .filter(|(flags, tag, _)| flags & CRITICAL != 0 && !is_known(tag));
        let finding = |(flags, tag, value): &(u8, String, Vec<u8>)| {
            let record = |flags: u8| ResourceRecord::new(&self.name, "CAA", caa(flags, tag, value));
            let finding = Finding::new(
                "caa-critical",
                &self.name,
                format!(
                    "CAA at {} has the property {tag} with the flag critical: an issuer that does not know it must not issue at all",
                    self.name
                ),
                "take the flag away, or the record",
            );
            self.place
                .mend(finding, [record(*flags)], [record(flags & !CRITICAL)])
        };
        unknown.map(finding).collect()
    }
}

/// Where a record of the host itself would stand.
fn place_of(facts: &Facts<'_>, host: &DnsName) -> Result<Place, Pending> {
    let found = facts.look(host, RecordType::Caa)?;
    place::of_host(facts, host, RecordType::Caa, &found.aliases)
}

fn forbidden(host: &DnsName, set: &Set, place: &Place) -> Finding {
    let at = &set.name;
    let own = place.name();
    place.tell(Finding::new(
        "caa-forbids",
        host,
        format!(
            "CAA at {at} lets nobody issue certificates, and {host} needs one for others to trust it"
        ),
        format!(
            "publish at {own} a CAA record that names the issuer of its certificate, such as 0 issue \"letsencrypt.org\"; it then holds for {own} alone"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::facts::{Answered, Probe};
    use super::super::net::{Download, NoConnection};
    use super::super::testing::{judge, judge_with, mended, options, words};
    use super::caa;

    const RIGHT: &str =
        "example.org. MX 10 mx.example.org.\n_mta-sts.example.org. TXT \"v=STSv1; id=1\"\n";

    #[test]
    fn a_host_that_needs_a_certificate_can_get_one() {
        for (records, expected) in [
            ("", &[][..]),
            ("example.org. CAA 0 issue \"ca.example\"", &[]),
            ("example.org. CAA 0 issuewild \";\"", &[]),
            ("org. CAA 0 iodef \"mailto:a@example.org\"", &[]),
            (
                "example.org. CAA 0 issue \";\"\nexample.org. CAA 0 issue \"ca.example; account=1\"",
                &[],
            ),
            // What is nearer holds alone.
            (
                "example.org. CAA 0 issue \";\"\nmx.example.org. CAA 0 issue \"ca.example\"\nmta-sts.example.org. CAA 0 issue \"ca.example\"",
                &[],
            ),
            (
                "example.org. CAA 0 issue \";\"",
                &["caa-forbids", "caa-forbids"],
            ),
            ("mx.example.org. CAA 0 issue \"%%%\"", &["caa-forbids"]),
            // A certificate that TLSA names needs no issuer.
            (
                "mx.example.org. CAA 0 issue \";\"\n_25._tcp.mx.example.org. TLSA 3 1 1 00",
                &[],
            ),
            (
                "example.org. CAA 128 issue \"ca.example\"\nexample.org. CAA 128 tbs \"x\"",
                &["caa-critical"],
            ),
            ("example.org. CAA 129 Tbs \"x\"", &["caa-critical"]),
        ] {
            let zone = format!("{RIGHT}{records}");
            assert_eq!(words(&judge("caa", &zone)), expected, "{zone}");
            if expected == ["caa-critical"] {
                assert_eq!(words(&mended("caa", &zone)), [""; 0]);
            }
        }
        let silent = r#"{"example.org.": {"MX": ["10 mx.example.org."], "status_by_type": {"CAA": "SERVFAIL"}}}"#;
        assert_eq!(words(&judge("caa", silent)), ["no-answer"]);
    }

    #[test]
    fn an_enforced_policy_needs_an_issuer_whatever_tlsa_says() {
        let zone = format!(
            "{RIGHT}mta-sts.example.org. A 192.88.1.3\nmta-sts.example.org. CAA 0 issue \"ca.example\"\nmx.example.org. CAA 0 issue \";\"\n_25._tcp.mx.example.org. TLSA 3 1 1 00"
        );
        for (mode, expected) in [
            ("enforce", &["caa-forbids"][..]),
            ("testing", &[]),
            ("none", &[]),
        ] {
            let body =
                format!("version: STSv1\nmode: {mode}\nmx: mx.example.org\nmax_age: 86400\n");
            let report = judge_with("caa", &zone, &options(), |probe| match probe {
                Probe::Https(..) => Some(Answered::Https(Arc::new(Download {
                    trouble: None,
                    status: Some(200),
                    content_type: Some("text/plain".to_owned()),
                    body: body.clone().into_bytes(),
                    ..Download::none(NoConnection::Closed)
                }))),
                _ => None,
            });
            assert_eq!(words(&report), expected, "{mode}");
        }
    }

    #[test]
    fn a_host_that_stands_twice_is_told_once() {
        let zone = "example.org. MX 10 mx.example.org.\nexample.org. MX 15 b.example.org.\nexample.org. MX 20 mx.example.org.\nmx.example.org. CAA 0 issue \";\"";
        assert_eq!(words(&judge("caa", zone)), ["caa-forbids"]);
    }

    #[test]
    fn data_stands_as_zone_files_have_it() {
        assert_eq!(caa(0, "issue", b"ca.example"), "0 issue \"ca.example\"");
        assert_eq!(
            caa(128, "Tbs", b"a\"\\\t\xc8"),
            r#"128 Tbs "a\"\\\009\200""#
        );
    }

    #[test]
    fn the_facts_tell_who_may_issue_and_where_it_stands() {
        let zone = format!("{RIGHT}example.org. CAA 0 issue \"ca.example\"");
        let hosts = &judge("caa", &zone).facts["hosts"];
        assert_eq!(hosts[1]["host"], "mx.example.org");
        assert_eq!(hosts[1]["at"], "example.org");
        assert_eq!(hosts[1]["issuers"][0], "ca.example");
    }

    #[test]
    fn records_of_others_are_told_and_not_changed() {
        let critical = "example.org. MX 10 mx.example.net.\nexample.net. CAA 128 tbs \"x\"";
        let closed = "example.org. MX 10 mx.example.net.\nmx.example.net. CAA 0 issue \";\"";
        let alias = "_mta-sts.example.org. TXT \"v=STSv1; id=1\"\nmta-sts.example.org. CNAME web.example.net.\nexample.org. CAA 0 issue \";\"\nweb.example.net. A 192.88.1.1";
        for (zone, word, whose) in [
            (
                critical,
                "caa-critical",
                "example.net is outside of the domain",
            ),
            (
                closed,
                "caa-forbids",
                "mx.example.net is outside of the domain",
            ),
            (alias, "caa-forbids", "is a CNAME to web.example.net"),
        ] {
            let report = judge("caa", zone);
            assert_eq!(words(&report), [word], "{zone}");
            let finding = &report.findings[0];
            assert_eq!((finding.remove.len(), finding.publish.len()), (0, 0));
            assert!(finding.mend.contains(whose), "{}", finding.mend);
        }
    }

    #[test]
    fn what_a_wildcard_gives_a_host_does_not_stand_there() {
        let zone = format!("{RIGHT}*.example.org. CAA 128 tbs \"x\"\n*.example.org. A 192.88.1.1");
        let report = judge("caa", &zone);
        assert!(words(&report).iter().all(|word| *word == "caa-critical"));
        assert!(report.findings.iter().all(|one| one.remove.is_empty()));
        assert_eq!(words(&mended("caa", &zone)), [""; 0]);
    }
}
