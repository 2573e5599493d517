use std::sync::Arc;

use super::*;
use crate::audit::facts::{Answered, Probe};
use crate::audit::net::Handshake;
use crate::audit::testing::{apply, judge, judge_with, options, words};

const ZONE: &str = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1\nmta-sts.example.org. A 192.88.1.2\n";
const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmax_age: 604800\r\n";

fn file(text: &str) -> Download {
    Download {
        trouble: None,
        tls: Some(Handshake {
            protocol: "TLSv1.3".to_owned(),
            chain: Vec::new(),
            leaf: None,
            trust: Trust::Trusted,
            name_matches: true,
        }),
        status: Some(200),
        content_type: Some("text/plain; charset=utf-8".to_owned()),
        body: text.as_bytes().to_vec(),
        ..Download::none(NoConnection::Closed)
    }
}

fn judged(record: &str, download: Download) -> Vec<&'static str> {
    let zone = format!("{ZONE}_mta-sts.example.org. TXT \"{record}\"");
    let shown = Answered::Https(Arc::new(download));
    let shows = |probe: &Probe| matches!(probe, Probe::Https(..)).then(|| shown.clone());
    words(&judge_with("mta-sts", &zone, &options(), shows))
}

const RECORD: &str = "v=STSv1; id=20261122;";

#[test]
fn the_record_has_a_version_and_an_id() {
    for (record, expected) in [
        (RECORD, vec![]),
        ("v=STSv1;id=a", vec![]),
        ("v=STSv1 ; id = 1 ; x.y=z", vec![]),
        ("v=STSv1", vec!["mta-sts-syntax"]),
        ("v=STSv1;", vec!["mta-sts-syntax"]),
        ("v=STSv1; id=", vec!["mta-sts-syntax"]),
        ("v=STSv1; id=a-b", vec!["mta-sts-syntax"]),
        ("v=STSv1; id=1; id=2", vec!["mta-sts-syntax"]),
        ("v=STSv1; id=1;; x=y", vec!["mta-sts-syntax"]),
        ("v=stsv1; id=1", vec!["mta-sts-syntax"]),
        (" v=STSv1; id=1", vec!["mta-sts-syntax"]),
        (
            "v=STSv1; id=123456789012345678901234567890123",
            vec!["mta-sts-syntax"],
        ),
    ] {
        assert_eq!(judged(record, file(POLICY)), expected, "{record}");
    }
}

#[test]
fn records_are_one_or_none() {
    let zone = format!(
        "{ZONE}_mta-sts.example.org. TXT \"v=STSv1; id=1\"\n_mta-sts.example.org. TXT \"v=STSv1; id=2\"\n_mta-sts.example.org. TXT other"
    );
    let shown = Answered::Https(Arc::new(file(POLICY)));
    let report = judge_with("mta-sts", &zone, &options(), |_| Some(shown.clone()));
    assert_eq!(words(&report), ["mta-sts-several"]);
    assert_eq!(report.findings[0].remove.len(), 1);
    assert_eq!(words(&judge("mta-sts", ZONE)), ["mta-sts-missing"]);
    assert_eq!(words(&judge("mta-sts", "example.org. MX 0 .")), [""; 0]);
}

#[test]
fn of_several_records_one_that_can_be_read_is_left() {
    let shown = Answered::Https(Arc::new(file(POLICY)));
    let fresh = "v=STSv1; id=20261122T000000Z;";
    for (records, word, published) in [
        // RFC 8461 §3.1: what does not begin with v=STSv1; is discarded.
        (&["v=STSv1", "v=STSv1; id=5;"][..], "", None),
        (&["v=stsv1; id=4", "v=STSv1; id=5;"], "", None),
        (
            &["v=STSv1; id=a_b", "v=STSv1; id=5;"],
            "mta-sts-several",
            None,
        ),
        (
            &["v=STSv1;", "v=STSv1; id=a_b"],
            "mta-sts-several",
            Some(fresh),
        ),
        (&["v=STSv1", "v=stsv1; id=5"], "mta-sts-syntax", Some(fresh)),
        (
            &["v=STSv1", "v=STSv1; id=a_b"],
            "mta-sts-syntax",
            Some(fresh),
        ),
    ] {
        let lines = records
            .iter()
            .map(|text| format!("_mta-sts.example.org. TXT \"{text}\"\n"));
        let zone = format!("{ZONE}{}", lines.collect::<String>());
        let judge = |zone: &str| judge_with("mta-sts", zone, &options(), |_| Some(shown.clone()));
        let report = judge(&zone);
        assert_eq!(words(&report).concat(), word, "{records:?}");
        if let Some(finding) = report.findings.first() {
            let new = finding.publish.first().map(|record| &*record.value);
            assert_eq!(new, published, "{records:?}");
            assert_eq!(words(&judge(&apply(&zone, &report))), [""; 0]);
        }
    }
}

#[test]
fn a_record_is_mended_where_it_stands_and_with_a_new_id() {
    let zone = format!(
        "{ZONE}_mta-sts.example.org. CNAME sts.example.org.\nsts.example.org. TXT \"v=STSv1; id=a-1\""
    );
    let shown = Answered::Https(Arc::new(file(POLICY)));
    let report = judge_with("mta-sts", &zone, &options(), |_| Some(shown.clone()));
    assert_eq!(words(&report), ["mta-sts-syntax"]);
    let finding = &report.findings[0];
    let (old, new) = (&finding.remove[0], &finding.publish[0]);
    assert_eq!(
        (&*old.name, &*old.value),
        ("sts.example.org.", "v=STSv1; id=a-1")
    );
    assert_eq!(new.name, "sts.example.org.");
    assert_eq!(new.value, "v=STSv1; id=20261122T000000Z;");
}

#[test]
fn a_policy_that_is_mended_keeps_its_mode() {
    let zone = format!("{ZONE}_mta-sts.example.org. TXT \"{RECORD}\"");
    for (policy, mode) in [
        (
            "version: STSv1\nmode: testing\nmx: mx.example.org\nmax_age: 99999999",
            "testing",
        ),
        (
            "version: STSv1\r\nmode:  enforce \r\nmx: mx.example.org",
            "enforce",
        ),
        ("mode: none", "none"),
        ("mode: enforced\nmode: enforce", "testing"),
        ("<html>", "testing"),
    ] {
        let shown = Answered::Https(Arc::new(file(policy)));
        let report = judge_with("mta-sts", &zone, &options(), |_| Some(shown.clone()));
        assert_eq!(words(&report), ["mta-sts-policy-syntax"]);
        let mend = &report.findings[0].mend;
        assert!(mend.contains(&format!("\nmode: {mode}\n")), "{mend}");
    }
}

#[test]
fn the_policy_is_read_as_the_rfc_has_it() {
    for (policy, expected) in [
        (
            "version: STSv1\nmode: enforce\nmx: *.example.org\nmax_age: 604800",
            vec![],
        ),
        (
            "version: STSv1\nmode: enforce\nmx: MX.example.org\nmax_age: 604800\nother: x",
            vec![],
        ),
        (
            "version: STSv1\nmode: enforce\nmode: none\nmx: mx.example.org\nmax_age: 604800",
            vec![],
        ),
        (
            "version: STSv1\nmode: testing\nmx: mx.example.org\nmax_age: 604800",
            vec!["mta-sts-mode-testing"],
        ),
        (
            "version: STSv1\nmode: testing\nmx: old.example.org\nmax_age: 604800",
            vec!["mta-sts-mx-left-out", "mta-sts-mode-testing"],
        ),
        (
            "version: STSv1\nmode: none\nmax_age: 604800",
            vec!["mta-sts-mode-none"],
        ),
        (
            "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 3600",
            vec!["mta-sts-short"],
        ),
        (
            "version: STSv1\nmode: enforce\nmx: *.org\nmax_age: 604800",
            vec!["mta-sts-mx-not-covered"],
        ),
        (
            "version: STSv1\nmode: enforce\nmx: example.org\nmax_age: 604800",
            vec!["mta-sts-mx-not-covered"],
        ),
        (
            "mode: enforce\nmx: mx.example.org\nmax_age: 604800",
            vec!["mta-sts-policy-syntax"],
        ),
        (
            "version: STSv2\nmode: enforce\nmx: mx.example.org\nmax_age: 604800",
            vec!["mta-sts-policy-syntax"],
        ),
        (
            "version: STSv1\nmode: on\nmx: mx.example.org\nmax_age: 604800",
            vec!["mta-sts-policy-syntax"],
        ),
        (
            "version: STSv1\nmode: enforce\nmx: mx.example.org",
            vec!["mta-sts-policy-syntax"],
        ),
        (
            "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 99999999",
            vec!["mta-sts-policy-syntax"],
        ),
        (
            "version: STSv1\nmode: enforce\nmax_age: 604800",
            vec!["mta-sts-policy-syntax"],
        ),
        (
            "version: STSv1\nmode: enforce\nmx: m*.example.org\nmax_age: 604800",
            vec!["mta-sts-policy-syntax"],
        ),
        ("<html>", vec!["mta-sts-policy-syntax"]),
        ("", vec!["mta-sts-policy-syntax"]),
    ] {
        assert_eq!(judged(RECORD, file(policy)), expected, "{policy}");
    }
}

#[test]
fn the_policy_comes_over_https_alone_and_from_its_place() {
    let with = |change: fn(&mut Download)| {
        let mut download = file(POLICY);
        change(&mut download);
        judged(RECORD, download)
    };
    assert_eq!(with(|d| d.content_type = None), ["mta-sts-policy-type"]);
    assert_eq!(
        with(|d| d.content_type = Some("text/html".to_owned())),
        ["mta-sts-policy-type"]
    );
    assert_eq!(with(|d| d.status = Some(404)), ["mta-sts-unreachable"]);
    assert_eq!(with(|d| d.status = Some(301)), ["mta-sts-redirect"]);
    assert_eq!(with(|d| d.cut = true), ["mta-sts-policy-syntax"]);
    assert_eq!(
        with(|d| d.trouble = Some(NoConnection::Refused)),
        ["mta-sts-unreachable"]
    );
    // Who is silent to us need not be to others.
    assert_eq!(
        with(|d| d.trouble = Some(NoConnection::NoTime)),
        ["no-connection"]
    );
    assert_eq!(
        with(|d| d.trouble = Some(NoConnection::OverBudget)),
        ["no-connection"]
    );
    let trust = |trust: Trust| {
        let mut download = file("");
        (download.status, download.tls.as_mut().unwrap().trust) = (None, trust);
        judged(RECORD, download)
    };
    assert_eq!(trust(Trust::Expired), ["mta-sts-certificate"]);
    assert_eq!(trust(Trust::UnknownIssuer), ["mta-sts-certificate"]);
    assert_eq!(trust(Trust::NoRoots), ["no-authorities"]);
    let zone = format!(
        "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1\n_mta-sts.example.org. TXT \"{RECORD}\""
    );
    assert_eq!(words(&judge("mta-sts", &zone)), ["mta-sts-unreachable"]);
    // Nobody connects to an address of a network of its own.
    let zone =
        format!("{ZONE}_mta-sts.example.org. TXT \"{RECORD}\"").replace("192.88.1.2", "10.0.0.2");
    let report = judge_with("mta-sts", &zone, &options(), |probe| panic!("{probe}"));
    assert_eq!(words(&report), ["mta-sts-unreachable"]);
}
