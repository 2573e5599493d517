//! MX: the hosts that take the domain's mail (RFC 5321 §5.1, RFC 7505, RFC 2181 §10.3).

use std::net::IpAddr;

use serde_json::json;

use super::facts::{Addresses, Facts};
use super::finding::{CheckReport, Finding, ResourceRecord};
use super::spf;
use crate::dns::lookup::{DnsName, Pending, Question, RecordType};
use crate::special::unreachable;

const NAME: &str = "mx";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let domain = facts.domain();
    let exchanges = facts.exchanges();
    let own = facts.addresses(&domain);
    let (exchanges, own) = (exchanges?, own?);
    let question = Question::new(domain.clone(), RecordType::Mx);
    if let Some(cause) = exchanges.failure {
        let finding = Finding::no_answer(&question, cause);
        return Ok(CheckReport::new(NAME, "", vec![finding]));
    }
    if exchanges.null {
        // RFC 7505 §3.
        let sentence = "the domain says with a null MX that it takes no mail";
        let senders = facts.senders()?;
        let sends = (!senders.list.is_empty()).then(|| null_sends(&exchanges.at));
        return Ok(CheckReport::new(NAME, sentence, Vec::from_iter(sends)).fact("null", true));
    }
    if exchanges.hosts.is_empty() {
        let nobody = facts.senders()?.list.is_empty() && spf::nobody_sends(facts)?;
        let finding = without(&domain, &exchanges.at, &own.list, nobody);
        return Ok(CheckReport::new(NAME, "", vec![finding]));
    }
    let found: Vec<_> = exchanges
        .hosts
        .iter()
        .map(|(_, host)| facts.addresses(host))
        .collect();
    // A host that is of no use is removed only where another is left: else it is to be mended.
    let usable = |addresses: &Result<Addresses, Pending>| {
        let list = addresses.as_ref().map_or(&[][..], |found| &found.list);
        list.iter().any(|address| unreachable(*address).is_none())
    };
    let another = found.iter().any(usable);
    let at = &exchanges.at;
    let mut findings = Vec::new();
    let mut shown = Vec::new();
    for ((preference, host), addresses) in exchanges.hosts.iter().zip(found) {
        let record = ResourceRecord::new(at, "MX", format!("{preference} {host}."));
        if host.is_root() {
            findings.push(
                Finding::new(
                    "mx-null-not-alone",
                    &domain,
                    "a null MX says that the domain takes no mail, and stands beside other MX records",
                    "remove the null MX, or all others",
                )
                .remove([ResourceRecord::new(at, "MX", format!("{preference} ."))]),
            );
            continue;
        }
        if is_address(host) {
            findings.push(
                Finding::new(
                    "mx-address",
                    host,
                    format!("the MX record holds the address {host}, where a name must stand"),
                    "give the server a name with an A or AAAA record, and let the MX record hold that name",
                )
                .remove(another.then_some(record)),
            );
            continue;
        }
        let addresses = addresses?;
        shown.push(json!({"preference": preference, "host": host.to_string(), "addresses": addresses.list}));
        if let Some((question, cause)) = &addresses.failure
            && addresses.list.is_empty()
        {
            findings.push(Finding::no_answer(question, *cause));
            continue;
        }
        if let Some(target) = addresses.aliases.last() {
            let finding = alias(at, *preference, host, target);
            let reached = addresses.reachable().next().is_some();
            findings.push(match reached {
                true => finding,
                false => finding.in_words("first give that an address at which it is reached"),
            });
        }
        if addresses.list.is_empty() {
            let why = match addresses.exists {
                true => "has no address",
                false => "does not exist",
            };
            findings.push(
                Finding::new(
                    "mx-unresolvable",
                    host,
                    format!("the MX host {host} {why}"),
                    format!("publish an A or AAAA record at {host}, or remove this MX record"),
                )
                .remove(another.then_some(record)),
            );
        }
        let reached = addresses.list.iter().any(|one| unreachable(*one).is_none());
        for address in &addresses.list {
            if let Some(why) = unreachable(*address) {
                // Where the host is an alias, its addresses stand at the end of it.
                let end = addresses.aliases.last().unwrap_or(host);
                findings.push(private(host, end, *address, why, reached));
            }
        }
    }
    let count = exchanges.hosts.len();
    let hosts = if count == 1 {
        "host takes"
    } else {
        "hosts take"
    };
    let sentence = format!("{count} {hosts} the mail of {domain}");
    Ok(CheckReport::new(NAME, sentence, findings).fact("hosts", shown))
}

/// RFC 7505 §4.2: such a domain is none to send from.
fn null_sends(at: &DnsName) -> Finding {
    Finding::new(
        "mx-null-sends",
        at,
        format!(
            "{at} says with a null MX that it takes no mail, and sends some: many receivers refuse a sender that cannot be answered (RFC 7505 section 4.2)"
        ),
        "put an MX record of a server that takes the answers in the place of the null MX, or send in the name of a domain that takes mail",
    )
}

/// RFC 5321 §5.1: without an MX record mail goes to the address of the domain itself. `nobody`: nobody sends mail of the
/// domain. Beside a CNAME no other record may stand (RFC 1034 §3.6.2), and at its end is another host.
fn without(domain: &DnsName, at: &DnsName, own: &[IpAddr], nobody: bool) -> Finding {
    let here = at == domain;
    match own.is_empty() {
        false if nobody => Finding::new(
            "mx-missing",
            domain,
            format!("{domain} has no MX record, and sends no mail: what is sent to it goes to its own address all the same"),
            "publish the null MX, which says that the domain takes no mail (RFC 7505), since it sends none; only where mail is taken at that address, an MX record of the domain itself",
        )
        .publish(here.then(|| ResourceRecord::new(domain, "MX", "0 ."))),
        false => Finding::new(
            "mx-missing",
            domain,
            format!("{domain} has no MX record: mail goes to its own address, which some senders refuse"),
            "publish an MX record, also where the host is the domain itself",
        )
        .publish(here.then(|| ResourceRecord::new(domain, "MX", format!("10 {domain}.")))),
        true => Finding::new(
            "mx-none",
            domain,
            format!("{domain} has neither an MX record nor an address: no answer to its mail arrives, and many receivers refuse a sender that cannot be answered"),
            match nobody {
                true => "publish the null MX, which says that the domain takes no mail (RFC 7505), since it sends none",
                false => "publish an MX record of a server that takes the answers; only where no mail is sent in the name of the domain, the null MX (RFC 7505)",
            },
        )
        .publish((nobody && here).then(|| ResourceRecord::new(domain, "MX", "0 ."))),
    }
}

/// RFC 2181 §10.3, RFC 5321 §5.1.
fn alias(at: &DnsName, preference: u16, host: &DnsName, target: &DnsName) -> Finding {
    Finding::new(
        "mx-cname",
        host,
        format!("the MX host {host} is a CNAME to {target}, which must not be"),
        format!("let the MX record name {target}"),
    )
    .remove([ResourceRecord::new(
        at,
        "MX",
        format!("{preference} {host}."),
    )])
    .publish([ResourceRecord::new(
        at,
        "MX",
        format!("{preference} {target}."),
    )])
}

/// The address stands at `end`. `reached`: the host has another, so that this one can go.
fn private(host: &DnsName, end: &DnsName, address: IpAddr, why: &str, reached: bool) -> Finding {
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    Finding::new(
        "mx-private",
        host,
        format!("the MX host {host} has the address {address}, which is {why}: nobody outside can reach it"),
        format!("publish the address at {end} under which the server is reached from outside, and remove {address}"),
    )
    .remove(reached.then(|| ResourceRecord::new(end, kind, address)))
}

/// Whether a name is an address in text.
fn is_address(host: &DnsName) -> bool {
    std::str::from_utf8(host.as_bytes()).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{apply, judge, judge_with, options, words};

    #[test]
    fn hosts_are_names_with_addresses_that_can_be_reached() {
        let right = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1\nmx.example.org. AAAA 2a01::1";
        let report = judge("mx", right);
        assert_eq!(words(&report), Vec::<&str>::new());
        assert_eq!(report.sentence, "1 host takes the mail of example.org");
        for (zone, expected) in [
            ("example.org. MX 0 .", vec![]),
            ("example.org. A 192.88.1.1", vec!["mx-missing"]),
            ("example.org. TXT x", vec!["mx-none"]),
            (
                "example.org. MX 10 mx.example.org.",
                vec!["mx-unresolvable"],
            ),
            ("example.org. MX 10 192.88.1.1.", vec!["mx-address"]),
            (
                "example.org. MX 10 a.example.org.\na.example.org. CNAME b.example.org.\nb.example.org. A 192.88.1.1",
                vec!["mx-cname"],
            ),
            (
                "example.org. MX 10 a.example.org.\nexample.org. MX 0 .\na.example.org. A 192.88.1.1",
                vec!["mx-null-not-alone"],
            ),
            (
                "example.org. MX 10 a.example.org.\na.example.org. A 10.0.0.1\na.example.org. A 192.88.1.1",
                vec!["mx-private"],
            ),
            (
                r#"{"example.org.": {"MX": ["10 a.example.org."]}, "a.example.org.": {"status": "TIMEOUT"}}"#,
                vec!["no-answer"],
            ),
            (
                r#"{"example.org.": {"status": "SERVFAIL"}}"#,
                vec!["no-answer"],
            ),
        ] {
            assert_eq!(words(&judge("mx", zone)), expected, "{zone}");
        }
    }

    #[test]
    fn the_last_host_and_its_last_address_are_not_removed() {
        let good = "mx.example.org. A 192.88.1.1\nexample.org. MX 20 mx.example.org.\n";
        for fault in [
            "example.org. MX 10 gone.example.org.",
            "example.org. MX 10 192.88.1.1.",
        ] {
            let alone = judge("mx", fault).findings.remove(0);
            assert_eq!(alone.remove.len(), 0, "{fault}");
            let beside = judge("mx", &format!("{good}{fault}")).findings.remove(0);
            assert_eq!(beside.remove.len(), 1, "{fault}");
        }
        let alone = "example.org. MX 10 a.example.org.\na.example.org. A 10.0.0.1";
        assert_eq!(judge("mx", alone).findings[0].remove.len(), 0);
        let beside = format!("{alone}\na.example.org. A 192.88.1.1");
        assert_eq!(judge("mx", &beside).findings[0].remove.len(), 1);
    }

    #[test]
    fn a_null_mx_is_for_who_sends_nothing() {
        // Nobody sends: it is published; else it would have all mail refused.
        let parked = "example.org. TXT \"v=spf1 -all\"";
        let report = judge("mx", parked);
        assert_eq!(report.findings[0].publish[0].value, "0 .");
        assert_eq!(words(&judge("mx", &apply(parked, &report))), [""; 0]);
        for sends in [
            "example.org. TXT \"v=spf1 ip4:192.88.1.1 -all\"",
            "example.org. TXT x",
        ] {
            assert_eq!(judge("mx", sends).findings[0].publish, [], "{sends}");
        }
        let mut options = options();
        options.addresses = vec!["192.88.1.1".parse().unwrap()];
        let report = judge_with("mx", parked, &options, |_| None);
        assert_eq!(report.findings[0].publish, []);
        let null = format!("example.org. MX 0 .\n{parked}");
        let report = judge_with("mx", &null, &options, |_| None);
        assert_eq!(words(&report), ["mx-null-sends"]);
        assert_eq!(words(&judge("mx", &null)), [""; 0]);
    }

    #[test]
    fn a_parked_domain_takes_no_mail_at_its_web_server() {
        let parked = "example.org. A 192.88.1.1\nexample.org. TXT \"v=spf1 -all\"";
        let report = judge("mx", parked);
        assert_eq!(words(&report), ["mx-missing"]);
        assert_eq!(report.findings[0].publish[0].value, "0 .");
        assert_eq!(words(&judge("mx", &apply(parked, &report))), [""; 0]);
        let sends = parked.replace("-all", "a -all");
        let report = judge("mx", &sends);
        assert_eq!(report.findings[0].publish[0].value, "10 example.org.");
    }

    #[test]
    fn nothing_is_published_beside_a_cname() {
        for zone in [
            "example.org. CNAME www.example.net.\nwww.example.net. A 192.88.1.1",
            "example.org. CNAME www.example.net.\nwww.example.net. TXT \"v=spf1 -all\"",
        ] {
            assert_eq!(judge("mx", zone).findings[0].publish, [], "{zone}");
        }
        let zone = "example.org. MX 10 a.example.org.\na.example.org. CNAME b.example.org.\nb.example.org. A 10.0.0.1\nb.example.org. A 192.88.1.1";
        let report = judge("mx", zone);
        assert_eq!(words(&report), ["mx-cname", "mx-private"]);
        assert_eq!(report.findings[1].remove[0].name, "b.example.org.");
    }

    #[test]
    fn the_mend_of_a_cname_is_the_name_that_it_leads_to() {
        let zone = "example.org. MX 10 a.example.org.\na.example.org. CNAME b.example.org.\nb.example.org. A 192.88.1.1";
        let finding = judge("mx", zone).findings.remove(0);
        assert_eq!(finding.remove[0].value, "10 a.example.org.");
        assert_eq!(finding.publish[0].value, "10 b.example.org.");
        // A name at which nobody answers is no better.
        let other = "\nexample.org. MX 20 c.example.org.\nc.example.org. A 192.88.1.2";
        for (gone, word) in [
            (
                zone.replace("b.example.org. A", "d.example.org. A"),
                "mx-unresolvable",
            ),
            (zone.replace("192.88.1.1", "10.0.0.1"), "mx-private"),
        ] {
            let report = judge("mx", &format!("{gone}{other}"));
            assert_eq!(words(&report), ["mx-cname", word]);
            assert_eq!(report.findings[0].publish, []);
            assert_eq!(report.findings[0].remove, []);
        }
    }
}
