use std::sync::Arc;

use super::super::facts::{Answered, Probe};
use super::super::net::testing::self_signed;
use super::super::net::{Download, Handshake, NoConnection, Tls, Trust};
use super::super::testing::{apply, greeting, judge, judge_with, options, words};
use super::CheckReport;

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
        ("example.org. MX 10 [192.88.1.1].", vec!["mx-address"]),
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

#[test]
fn one_null_mx_of_several_stays() {
    let zone = "example.org. MX 0 .\nexample.org. MX 10 .\nexample.org. A 192.88.1.1\nexample.org. TXT \"v=spf1 -all\"";
    let report = judge("mx", zone);
    assert_eq!(words(&report), ["mx-null-not-alone"]);
    assert_eq!(report.findings[0].remove.len(), 1);
    assert_eq!(report.findings[0].remove[0].value, "10 .");
    assert_eq!(words(&judge("mx", &apply(zone, &report))), [""; 0]);
    let beside =
        format!("{zone}\nexample.org. MX 20 mx.example.org.\nmx.example.org. A 192.88.1.2");
    assert_eq!(judge("mx", &beside).findings[0].remove.len(), 2);
}

#[test]
fn the_null_mx_of_a_parked_domain_stays_where_no_other_host_takes_mail() {
    let parked = "example.org. MX 0 .\nexample.org. TXT \"v=spf1 -all\"";
    for host in ["gone.example.org", "private.example.org", "192.88.1.1"] {
        let zone = format!("{parked}\nprivate.example.org. A 10.0.0.1\nexample.org. MX 10 {host}.");
        let report = judge("mx", &zone);
        let finding = &report.findings[0];
        assert_eq!(finding.finding, "mx-null-not-alone");
        assert_eq!(finding.remove[0].value, format!("10 {host}."));
        assert_eq!(words(&judge("mx", &apply(&zone, &report))), [""; 0]);
        // Who sends mail wants answers.
        let sends = zone.replace("-all", "ip4:192.88.1.1 -all");
        let report = judge("mx", &sends);
        let null = report
            .findings
            .iter()
            .find(|one| one.finding == "mx-null-not-alone");
        assert_eq!(null.unwrap().remove[0].value, "0 .");
    }
    let silent = r#"{"example.org.": {"MX": ["0 .", "10 a.example.org."], "TXT": ["v=spf1 -all"]}, "a.example.org.": {"status": "TIMEOUT"}}"#;
    let report = judge("mx", silent);
    assert!(report.findings.iter().all(|one| one.remove.is_empty()));
}

#[test]
fn records_of_others_are_not_changed() {
    let foreign = "example.org. CNAME foo.example.net.\nfoo.example.net. MX 10 gone.example.net.\nfoo.example.net. MX 20 alias.example.net.\nalias.example.net. CNAME mx.example.net.\nmx.example.net. A 192.88.1.1";
    let report = judge("mx", foreign);
    assert_eq!(words(&report), ["mx-unresolvable", "mx-cname"]);
    for finding in &report.findings {
        assert_eq!((&*finding.remove, &*finding.publish), (&[][..], &[][..]));
        assert!(finding.mend.contains("foo.example.net"), "{}", finding.mend);
    }
    let private = "example.org. MX 10 mx.example.net.\nmx.example.net. A 10.0.0.1\nmx.example.net. A 192.88.1.1";
    let report = judge("mx", private);
    assert_eq!(words(&report), ["mx-private"]);
    assert_eq!(report.findings[0].remove, []);
    assert!(report.findings[0].mend.contains("is outside of the domain"));
}

/// A handshake with a certificate for this name.
fn certificate(name: &str) -> Tls {
    Tls::Done(Box::new(Handshake {
        protocol: "TLSv1.3".to_owned(),
        chain: self_signed(name).chain,
        leaf: None,
        trust: Trust::Trusted,
        name_matches: true,
    }))
}

const ALIAS: &str = "example.org. MX 10 a.example.org.\na.example.org. CNAME b.example.org.\nb.example.org. A 192.88.1.1";

/// What is said of an alias under this policy.
fn under(policy: Option<&str>, more: &str) -> CheckReport {
    shown(policy, more, "*.example.org")
}

/// The same, where the server has a certificate for this name.
fn shown(policy: Option<&str>, more: &str, name: &str) -> CheckReport {
    let zone = format!(
        "{ALIAS}\n_mta-sts.example.org. TXT \"v=STSv1; id=1\"\nmta-sts.example.org. A 192.88.1.3\n{more}"
    );
    judge_with("mx", &zone, &options(), |probe| match (probe, policy) {
        (Probe::Greeting(_), _) => Some(greeting(
            "220 b.example.org",
            "250 b.example.org",
            certificate(name),
        )),
        (Probe::Https(..), Some(body)) => Some(Answered::Https(Arc::new(Download {
            trouble: None,
            status: Some(200),
            content_type: Some("text/plain".to_owned()),
            body: body.as_bytes().to_vec(),
            ..Download::none(NoConnection::Closed)
        }))),
        _ => None,
    })
}

#[test]
fn a_policy_names_the_new_host_before_the_mx_record_does() {
    let policy =
        |mode: &str, hosts: &str| format!("version: STSv1\nmode: {mode}\n{hosts}max_age: 86400");
    let left_out = policy("enforce", "mx: a.example.org\n");
    let deeper = policy("enforce", "mx: *.org\n");
    for body in [Some(&*left_out), Some(&deeper), None] {
        let finding = under(body, "").findings.remove(0);
        assert_eq!(finding.finding, "mx-cname");
        assert_eq!((finding.remove.len(), finding.publish.len()), (0, 0));
        let mend = &finding.mend;
        assert!(
            mend.contains("first add the line `mx: b.example.org`"),
            "{mend}"
        );
        assert_eq!(mend.contains("86400 seconds"), body.is_some());
    }
    let tried = policy("testing", "mx: a.example.org\n");
    let finding = under(Some(&tried), "").findings.remove(0);
    assert_eq!(finding.publish, []);
    assert!(!finding.mend.contains("86400"));
    for body in [
        policy("enforce", "mx: a.example.org\nmx: B.example.org\n"),
        policy("enforce", "mx: *.example.org\n"),
        policy("none", ""),
    ] {
        let finding = under(Some(&body), "").findings.remove(0);
        assert_eq!((finding.remove.len(), finding.publish.len()), (1, 1));
    }
}

#[test]
fn the_certificate_is_for_the_new_host_before_the_mx_record_names_it() {
    for mode in ["enforce", "testing", "none"] {
        let policy = format!("version: STSv1\nmode: {mode}\nmx: *.example.org\nmax_age: 86400");
        let mend = |name: &str| shown(Some(&policy), "", name).findings.remove(0);
        let left_out = mend("a.example.org");
        assert_eq!(left_out.publish.is_empty(), mode != "none", "{mode}");
        let told = left_out
            .mend
            .contains("show a certificate that is for b.example.org");
        assert_eq!(told, mode != "none", "{}", left_out.mend);
        for name in ["B.example.org", "*.example.org"] {
            assert_eq!(mend(name).publish.len(), 1, "{mode}");
        }
    }
    // Without the policy the certificate stops no mail.
    let plain = judge_with("mx", ALIAS, &options(), |_| {
        Some(greeting(
            "220 b.example.org",
            "250 b.example.org",
            Tls::NotOffered,
        ))
    });
    assert_eq!(plain.findings[0].publish.len(), 1);
}

#[test]
fn the_new_host_has_tlsa_records_where_the_old_name_has() {
    let old = format!("{ALIAS}\n_25._tcp.a.example.org. TLSA 3 1 1 00");
    let finding = judge("mx", &old).findings.remove(0);
    assert_eq!(finding.publish, []);
    assert!(finding.mend.contains("_25._tcp.b.example.org"));
    let both = format!("{old}\n_25._tcp.b.example.org. TLSA 3 1 1 00");
    assert_eq!(judge("mx", &both).findings[0].publish.len(), 1);
    // Where an authority is named, the certificate has to be for the host.
    let named = both.replace("TLSA 3", "TLSA 2");
    assert_eq!(judge("mx", &named).findings[0].publish, []);
}

#[test]
fn an_mx_record_is_not_changed_while_it_is_not_known_what_depends_on_it() {
    let alias = r#""example.org.": {"MX": ["10 a.example.org."]}, "a.example.org.": {"CNAME": ["b.example.org."]}, "b.example.org.": {"A": ["192.88.1.1"]}"#;
    for silent in [
        "_mta-sts.example.org.",
        "_25._tcp.a.example.org.",
        "_25._tcp.b.example.org.",
    ] {
        for status in ["TIMEOUT", "SERVFAIL"] {
            let report = judge(
                "mx",
                &format!(r#"{{{alias}, "{silent}": {{"status": "{status}"}}}}"#),
            );
            assert_eq!(words(&report), ["mx-cname"]);
            let finding = &report.findings[0];
            assert_eq!((&*finding.remove, &*finding.publish), (&[][..], &[][..]));
            assert!(
                finding.mend.contains("first run the audit again"),
                "{silent}"
            );
        }
    }
    let report = judge("mx", &format!("{{{alias}}}"));
    assert_eq!(report.findings[0].publish.len(), 1);
}

#[test]
fn the_end_of_an_alias_that_is_named_already_is_not_named_again() {
    let zone = format!("{ALIAS}\nexample.org. MX 10 b.example.org.");
    let report = judge("mx", &zone);
    assert_eq!(report.findings[0].remove.len(), 1);
    assert_eq!(report.findings[0].publish, []);
}

#[test]
fn what_a_wildcard_gives_a_host_is_not_taken_from_it() {
    let zone = "example.org. MX 10 mx.example.org.\n*.example.org. A 10.0.0.1\n*.example.org. A 192.88.1.1";
    let report = judge("mx", zone);
    assert_eq!(words(&report), ["mx-private"]);
    assert_eq!(report.findings[0].remove, []);
    assert!(
        report.findings[0]
            .mend
            .contains("a wildcard gives mx.example.org this")
    );
}
