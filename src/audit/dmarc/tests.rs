use super::super::testing::{apply, judge, judge_with, mended, options, words};

/// It takes mail.
const HOST: &str = "example.org. A 192.88.1.1";
const RUA: &str = "rua=mailto:a@example.org";

fn zone(record: &str) -> String {
    format!("{HOST}\n_dmarc.example.org. TXT \"{record}\"")
}

#[test]
fn each_fault_is_told_and_its_mend_keeps_the_rest() {
    for (record, expected, after) in [
        ("v=DMARC1; p=reject; rua=mailto:a@example.org", &[][..], ""),
        ("v=DMARC1 ;p = Reject; RUA=mailto:a@example.org ;", &[], ""),
        (
            "v=DMARC1; p=quarantine; sp=reject; np=reject; adkim=s; rua=mailto:a@example.org; ruf=mailto:b@example.org; fo=1",
            &[],
            "",
        ),
        (
            "v=DMARC1; p=reject; pct=100; rf=afrf; adkim=s; rua=mailto:a@example.org; ri=86400",
            &["dmarc-obsolete-tag"],
            "v=DMARC1; p=reject; adkim=s; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=reject; pct=100; rua=mailto:a@example.org",
            &[],
            "",
        ),
        (
            "v=DMARC1; p=reject; pct=0; t=y; rua=mailto:a@example.org",
            &["dmarc-testing"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=reject; policy=reject; rua=mailto:a@example.org",
            &["dmarc-unknown-tag"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=reject; adkim=strict; rua=mailto:a@example.org",
            &["dmarc-invalid-tag"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=reject; rua=a@example.org,mailto:b@example.org!10m",
            &["dmarc-invalid-tag", "dmarc-doubtful"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org,mailto:b@example.org",
        ),
        (
            "v=DMARC1; rua=mailto:a@example.org; p=reject",
            &["dmarc-doubtful"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=none; rua=mailto:a@example.org",
            &["dmarc-policy-none"],
            "v=DMARC1; p=quarantine; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=reject; sp=none; rua=mailto:a@example.org",
            &["dmarc-subdomain-policy-weaker"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=reject; np=quarantine; rua=mailto:a@example.org",
            &["dmarc-subdomain-policy-weaker"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=reject; t=y; rua=mailto:a@example.org",
            &["dmarc-testing"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=reject",
            &["dmarc-no-reports"],
            "v=DMARC1; p=reject; rua=mailto:postmaster@example.org",
        ),
        (
            "v=DMARC1; p=none; sp=none; pct=50; t=y",
            &[
                "dmarc-obsolete-tag",
                "dmarc-no-reports",
                "dmarc-testing",
                "dmarc-policy-none",
            ],
            "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org",
        ),
        (
            "v=DMARC1; p=rejct; rua=mailto:a@example.org",
            &["dmarc-syntax"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1 p=reject; rua=mailto:a@example.org",
            &["dmarc-syntax"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=dmarc1; p=reject; rua=mailto:a@example.org",
            &["dmarc-syntax"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "p=reject; v=DMARC1; rua=mailto:a@example.org",
            &["dmarc-syntax"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "\\\"v=DMARC1\\; p=reject; rua=mailto:a@example.org\\\"",
            &["dmarc-syntax"],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
    ] {
        let zone = zone(record);
        let report = judge("dmarc", &zone);
        assert_eq!(words(&report), expected, "{record}");
        if let Some(last) = report.findings.last() {
            assert_eq!(last.publish[0].value, after, "{record}");
            assert_eq!(words(&mended("dmarc", &zone)), [""; 0], "{record}");
        }
    }
}

#[test]
fn several_records_become_one() {
    let zone = "_dmarc.example.org. TXT \"v=DMARC1; p=none; rua=mailto:a@example.org\"\n_dmarc.example.org. TXT \"v=DMARC1; p=reject; rua=mailto:b@example.org\"\n_dmarc.example.org. TXT \"other\"";
    let report = judge("dmarc", zone);
    assert_eq!(words(&report), ["dmarc-several"]);
    assert_eq!(
        report.findings[0].publish[0].value,
        "v=DMARC1; p=none; rua=mailto:a@example.org,mailto:b@example.org"
    );
    assert_eq!(words(&mended("dmarc", zone)), ["dmarc-policy-none"]);
}

#[test]
fn several_records_ask_for_no_more_than_the_mildest() {
    for (one, other, merged) in [
        (
            "p=quarantine; sp=none; adkim=s; aspf=s",
            "p=reject; np=reject; aspf=s; t=y",
            "v=DMARC1; p=quarantine; sp=none; aspf=s; t=y",
        ),
        ("p=none; sp=reject", "p=none", "v=DMARC1; p=none"),
        ("p=reject", "p=reject; pct=10", "v=DMARC1; p=reject; pct=10"),
        ("p=reject", "p=rejct", "v=DMARC1; p=none"),
    ] {
        for (first, second) in [(one, other), (other, one)] {
            let zone = format!(
                "{}\n{}",
                zone(&format!("v=DMARC1; {first}")),
                zone(&format!("v=DMARC1; {second}"))
            );
            let report = judge("dmarc", &zone);
            assert_eq!(words(&report), ["dmarc-several"]);
            assert_eq!(report.findings[0].publish[0].value, merged, "{first}");
        }
    }
}

#[test]
fn a_policy_is_enforced_only_where_it_is_surely_meant() {
    for (word, policy) in [
        ("rejct", "reject"),
        ("Rejected", "reject"),
        ("quarentine", "quarantine"),
        ("quarantene.", "quarantine"),
        ("r", "none"),
        ("relaxed", "none"),
        ("report", "none"),
        ("refuse", "none"),
        ("strict", "none"),
        ("select", "none"),
        ("qqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "none"),
    ] {
        let report = judge("dmarc", &zone(&format!("v=DMARC1; p={word}; {RUA}")));
        assert_eq!(words(&report), ["dmarc-syntax"], "{word}");
        let expected = format!("v=DMARC1; p={policy}; {RUA}");
        assert_eq!(report.findings[0].publish[0].value, expected, "{word}");
    }
}

#[test]
fn tags_without_semicolons_between_are_kept() {
    for (record, expected) in [
        (
            "v=DMARC1 p=quarantine pct=10 rua=mailto:a@example.org",
            "v=DMARC1; p=quarantine; pct=10; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=none, rua=mailto:a@example.org,mailto:b@example.org",
            "v=DMARC1; p=none; rua=mailto:a@example.org,mailto:b@example.org",
        ),
        (
            "v=DMARC1; p=none sp = none fo=1 rua=mailto:a@example.org",
            "v=DMARC1; p=none; sp=none; fo=1; rua=mailto:a@example.org",
        ),
        ("v=DMARC1 p=reject|rua=mailto:a@example.org", ""),
        ("v=DMARC1; p=reject/rua=mailto:a@example.org", ""),
    ] {
        let report = judge("dmarc", &zone(record));
        assert_eq!(words(&report), ["dmarc-syntax"], "{record}");
        let published = report.findings[0].publish.first();
        let published = published.map_or("", |record| &record.value);
        assert_eq!(published, expected, "{record}");
        assert_eq!(report.findings[0].remove.is_empty(), expected.is_empty());
    }
}

#[test]
fn the_policy_of_the_organization_gets_no_weaker_for_a_subdomain() {
    let mut options = options();
    options.domain = crate::name::Domain::new("news.example.org").unwrap();
    let judge = |zone: &str| judge_with("dmarc", zone, &options, |_| None);
    for (record, expected, after) in [
        (
            "v=DMARC1; p=reject; sp=none",
            &["dmarc-subdomain-policy-weaker", "dmarc-policy-none"][..],
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=quarantine; sp=none; t=y",
            &[
                "dmarc-subdomain-policy-weaker",
                "dmarc-testing",
                "dmarc-policy-none",
            ],
            "v=DMARC1; p=quarantine; rua=mailto:a@example.org",
        ),
        // Nobody has looked at the mail of the others.
        (
            "v=DMARC1; p=none",
            &["dmarc-policy-none"],
            "v=DMARC1; p=quarantine; rua=mailto:a@example.org",
        ),
        (
            "v=DMARC1; p=none; sp=none; np=none",
            &["dmarc-policy-none"],
            "v=DMARC1; p=quarantine; rua=mailto:a@example.org",
        ),
    ] {
        let zone = zone(&format!("{record}; {RUA}"));
        let report = judge(&zone);
        assert_eq!(words(&report), expected, "{record}");
        let changes = report.together.publish.iter().map(|one| one.value.as_str());
        assert_eq!(changes.collect::<Vec<_>>(), [after], "{record}");
        assert_eq!(words(&judge(&apply(&zone, &report))), [""; 0], "{record}");
    }
}

#[test]
fn without_a_record_one_begins_with_reports() {
    assert_eq!(words(&judge("dmarc", HOST)), ["dmarc-missing"]);
    let other = zone("something else");
    assert_eq!(words(&judge("dmarc", &other)), ["dmarc-missing"]);
    assert_eq!(words(&mended("dmarc", HOST)), ["dmarc-policy-none"]);
    // No report would arrive.
    let report = judge("dmarc", "");
    assert_eq!(words(&report), ["dmarc-missing"]);
    assert_eq!(report.findings[0].publish, []);
}

#[test]
fn the_record_of_the_organization_is_told_where_it_stands() {
    let zone = format!("_dmarc.org. TXT \"v=DMARC1; p=reject; sp=none; psd=y; {RUA}\"");
    let report = judge("dmarc", &zone);
    assert_eq!(
        words(&report),
        [
            "dmarc-destination-refused",
            "dmarc-subdomain-policy-weaker",
            "dmarc-policy-none"
        ]
    );
    assert_eq!(report.facts["policy_domain"], "org");
    // It is not ours to change.
    for finding in &report.findings[1..] {
        assert_eq!((finding.remove.len(), finding.publish.len()), (0, 0));
        assert!(finding.mend.contains("publish one at _dmarc.example.org"));
    }
    assert_eq!(report.facts["policy"]["applied"], "none");
}

#[test]
fn who_gets_reports_must_agree() {
    let zone = zone("v=DMARC1; p=reject; rua=mailto:a@example.net; ruf=mailto:b@example.net");
    let report = judge("dmarc", &zone);
    assert_eq!(words(&report), ["dmarc-destination-refused"]);
    let record = &report.findings[0].publish[0];
    assert_eq!(record.name, "example.org._report._dmarc.example.net.");
    assert_eq!(words(&mended("dmarc", &zone)), [""; 0]);
    // What they have said otherwise is not ours to publish over.
    let other = format!(
        "{zone}\nexample.org._report._dmarc.example.net. TXT \"v=DMARC1; rua=mailto:a@example.com\""
    );
    let report = judge("dmarc", &other);
    assert_eq!(words(&report), ["dmarc-destination-refused"]);
    assert!(report.findings[0].publish.is_empty());
}

#[test]
fn silence_is_not_absence() {
    let silent = r#"{"_dmarc.example.org.": {"status": "SERVFAIL"}}"#;
    let report = judge("dmarc", silent);
    assert_eq!(words(&report), ["no-answer"]);
    assert_eq!(report.findings[0].about, "_dmarc.example.org TXT");
    let silent = r#"{"_dmarc.example.org.": {"TXT": ["v=DMARC1; p=reject; rua=mailto:a@example.net"]}, "example.org._report._dmarc.example.net.": {"status": "TIMEOUT"}}"#;
    assert_eq!(words(&judge("dmarc", silent)), ["no-answer"]);
}

#[test]
fn the_facts_tell_what_is_aligned() {
    let report = judge(
        "dmarc",
        &zone("v=DMARC1; p=reject; aspf=s; rua=mailto:a@example.org"),
    );
    let alignment = &report.facts["alignment"];
    assert_eq!(alignment["dkim"]["aligned"][1], "mail.example.org");
    assert_eq!(alignment["spf"]["not_aligned"][0], "mail.example.org");
    assert_eq!(report.facts["organization"], "example.org");
}

#[test]
fn the_record_belongs_at_the_end_of_an_alias() {
    // RFC 1034 §3.6.2.
    let zone = format!("{HOST}\n_dmarc.example.org. CNAME policy.example.org.");
    let report = judge("dmarc", &zone);
    assert_eq!(words(&report), ["dmarc-missing"]);
    let record = &report.findings[0].publish[0];
    assert_eq!(record.name, "policy.example.org.");
    let zone = "_dmarc.example.org. TXT \"v=DMARC1; p=reject; rua=mailto:a@example.net\"\nexample.org._report._dmarc.example.net. CNAME yes.example.net.";
    let report = judge("dmarc", zone);
    assert_eq!(words(&report), ["dmarc-destination-refused"]);
    assert_eq!(report.findings[0].publish[0].name, "yes.example.net.");
}

#[test]
fn a_record_of_somebody_else_is_theirs_to_change() {
    let zone = "_dmarc.example.org. CNAME _dmarc.example.net.\n_dmarc.example.net. TXT \"v=DMARC1; p=none; x=1\"";
    let report = judge("dmarc", zone);
    assert_eq!(report.findings.len(), 3);
    for finding in &report.findings {
        assert_eq!((finding.remove.len(), finding.publish.len()), (0, 0));
        assert!(finding.mend.contains("whoever keeps _dmarc.example.net"));
    }
    for broken in [
        zone.replace("v=DMARC1;", "v=DMARC1"),
        format!("{zone}\n_dmarc.example.net. TXT \"v=DMARC1; p=none\""),
    ] {
        let finding = judge("dmarc", &broken).findings.remove(0);
        assert_eq!((finding.remove.len(), finding.publish.len()), (0, 0));
        assert!(finding.mend.contains("whoever keeps _dmarc.example.net"));
    }
}

#[test]
fn nobody_has_to_hear_of_a_parked_domain() {
    let parked = "example.org. MX 0 .\nexample.org. TXT \"v=spf1 -all\"\n";
    let record = zone("v=DMARC1; p=reject");
    assert_eq!(
        words(&judge("dmarc", &format!("{parked}{record}"))),
        [""; 0]
    );
    let sends = parked.replace(" -all", " a -all");
    let report = judge("dmarc", &format!("{sends}{record}"));
    assert_eq!(words(&report), ["dmarc-no-reports"]);
    // No report would arrive there.
    assert_eq!(report.findings[0].publish, []);
    let report = judge("dmarc", sends.trim_end());
    assert_eq!(words(&report), ["dmarc-missing"]);
    assert_eq!(report.findings[0].publish, []);
    // Without a record, all mail is refused.
    let report = judge("dmarc", parked.trim_end());
    assert_eq!(words(&report), ["dmarc-missing"]);
    assert_eq!(report.findings[0].publish[0].value, "v=DMARC1; p=reject");
    assert_eq!(words(&mended("dmarc", parked.trim_end())), [""; 0]);
}

#[test]
fn no_receiver_does_more_without_being_asked() {
    let before = zone("v=DMARC1; p=reject; pct=0; rua=mailto:a@example.org");
    let report = judge("dmarc", &before);
    assert_eq!(words(&report), ["dmarc-obsolete-tag"]);
    assert_eq!(
        report.findings[0].publish[0].value,
        "v=DMARC1; p=reject; pct=0; rua=mailto:a@example.org; t=y"
    );
    assert_eq!(words(&mended("dmarc", &before)), ["dmarc-testing"]);
    // A share stays through the mends of others.
    let report = judge("dmarc", &zone("v=DMARC1; p=reject; pct=20; x=1"));
    assert_eq!(
        words(&report),
        [
            "dmarc-unknown-tag",
            "dmarc-obsolete-tag",
            "dmarc-no-reports"
        ]
    );
    assert_eq!(
        report.findings[2].publish[0].value,
        "v=DMARC1; p=reject; pct=20; rua=mailto:postmaster@example.org"
    );
}

#[test]
fn a_share_of_the_mail_is_told_in_words() {
    for record in [
        "v=DMARC1; p=reject; pct=50; rua=mailto:a@example.org",
        "v=DMARC1; p=none; sp=reject; pct=50; rua=mailto:a@example.org",
    ] {
        let report = judge("dmarc", &zone(record));
        let told = report.findings.iter();
        let told: Vec<_> = told
            .filter(|one| one.finding == "dmarc-obsolete-tag")
            .collect();
        assert_eq!(told.len(), 1, "{record}");
        assert_eq!(told[0].publish, [], "{record}");
    }
}

#[test]
fn a_broken_record_of_a_subdomain_weakens_nothing_of_the_policy_above() {
    let mut options = options();
    options.domain = crate::name::Domain::new("news.example.org").unwrap();
    let judge = |zone: &str| judge_with("dmarc", zone, &options, |_| None);
    for (own, word, after) in [
        // Milder, or without reports: what is above is in force, and stays so.
        (
            &["v=DMARC1; p=none", "v=DMARC1; p=quarantine; sp=none"][..],
            "dmarc-several",
            None,
        ),
        (&["v=DMARC1 p=none"], "dmarc-syntax", None),
        (&["v=DMARC1 p=reject"], "dmarc-syntax", None),
        (
            &["v=DMARC1 p=reject; t=y; rua=mailto:b@example.org"],
            "dmarc-syntax",
            None,
        ),
        (
            &["v=DMARC1 p=reject; rua=mailto:b@example.org"],
            "dmarc-syntax",
            Some("v=DMARC1; p=reject; rua=mailto:b@example.org"),
        ),
    ] {
        let texts = own
            .iter()
            .map(|own| format!("_dmarc.news.example.org. TXT \"{own}\"\n"));
        let texts: String = texts.collect();
        let zone = format!("{texts}{}", zone(&format!("v=DMARC1; p=reject; {RUA}")));
        let report = judge(&zone);
        assert_eq!(words(&report), [word], "{zone}");
        let finding = &report.findings[0];
        assert!(
            finding.sentence.contains("with the policy reject"),
            "{finding:?}"
        );
        assert_eq!(finding.remove.len(), own.len(), "{zone}");
        let published = finding.publish.first().map(|one| one.value.as_str());
        assert_eq!(published, after, "{zone}");
        let after = judge(&apply(&zone, &report));
        assert_eq!(words(&after), [""; 0], "{zone}");
        assert_eq!(after.facts["policy"]["effective"], "reject", "{zone}");
    }
    // Others could vouch for it.
    let strict = zone(&format!("v=DMARC1; p=reject; adkim=s; {RUA}"));
    let own = format!("_dmarc.news.example.org. TXT \"v=DMARC1 p=reject; {RUA}\"");
    let report = judge(&format!("{strict}\n{own}"));
    assert_eq!(report.findings[0].publish, []);
    let own = own.replace("p=reject", "p=reject; adkim=s");
    let report = judge(&format!("{strict}\n{own}"));
    assert_eq!(report.findings[0].publish.len(), 1);
}

#[test]
fn a_name_of_one_label_vouches_for_none_below_it() {
    let mut options = options();
    options.domain = crate::name::Domain::new("example").unwrap();
    let report = judge_with("dmarc", "example. A 192.88.1.1", &options, |_| None);
    assert_eq!(
        report.findings[0].publish[0].value,
        "v=DMARC1; p=none; psd=y; rua=mailto:postmaster@example"
    );
}

#[test]
fn a_long_value_is_published_whole() {
    let list: Vec<String> = (0..80)
        .map(|at| format!("mailto:reports-{at}@example.org"))
        .collect();
    let list = list.join(",");
    for (record, word, after) in [
        (
            format!("v=DMARC1; p=none; rua={list}"),
            "dmarc-policy-none",
            format!("v=DMARC1; p=quarantine; rua={list}"),
        ),
        (
            format!("v=DMARC1 p=reject; rua={list}"),
            "dmarc-syntax",
            format!("v=DMARC1; p=reject; rua={list}"),
        ),
        (
            format!("v=DMARC1; p=reject; rua={list}\nv=DMARC1; p=reject"),
            "dmarc-several",
            format!("v=DMARC1; p=reject; rua={list}"),
        ),
        (
            format!("v=DMARC1; p=reject; x=1; RUA = {list} ; adkim=s"),
            "dmarc-unknown-tag",
            format!("v=DMARC1; p=reject; rua={list}; adkim=s"),
        ),
    ] {
        let records = record.split('\n').map(|record| {
            let strings: Vec<&str> = record
                .as_bytes()
                .chunks(200)
                .map(|part| std::str::from_utf8(part).unwrap())
                .collect();
            format!("\n_dmarc.example.org. TXT \"{}\"", strings.join("\" \""))
        });
        let report = judge("dmarc", &format!("{HOST}{}", records.collect::<String>()));
        assert_eq!(words(&report), [word]);
        assert_eq!(report.findings[0].publish[0].value, after);
    }
}

#[test]
fn a_record_for_a_subdomain_names_who_takes_reports_about_it() {
    let mut options = options();
    options.domain = crate::name::Domain::new("news.example.org").unwrap();
    let judge = |zone: &str| judge_with("dmarc", zone, &options, |_| None);
    let agreed = "example.org._report._dmarc.example.net. TXT \"v=DMARC1;\"";
    for (tags, more, after) in [
        ("rua=mailto:a@example.net", "", None),
        (
            "rua=mailto:a@example.net,mailto:b@example.org; ruf=mailto:a@example.net; fo=1",
            "",
            Some("v=DMARC1; p=quarantine; rua=mailto:b@example.org"),
        ),
        (
            "rua=mailto:a@example.net",
            "\n*.example.org._report._dmarc.example.net. TXT \"v=DMARC1;\"",
            Some("v=DMARC1; p=quarantine; rua=mailto:a@example.net"),
        ),
    ] {
        let zone = format!(
            "{agreed}{more}\n{}",
            zone(&format!("v=DMARC1; p=none; {tags}"))
        );
        let report = judge(&zone);
        assert_eq!(words(&report), ["dmarc-policy-none"], "{tags}");
        let finding = &report.findings[0];
        let published = finding.publish.first().map(|one| one.value.as_str());
        assert_eq!(published, after, "{tags}");
        let told = finding
            .mend
            .contains("news.example.org._report._dmarc.example.net");
        assert_eq!(told, more.is_empty(), "{}", finding.mend);
        if after.is_some() {
            assert_eq!(words(&judge(&apply(&zone, &report))), [""; 0], "{tags}");
        }
    }
}

#[test]
fn reports_are_sent_by_mail_alone() {
    let zone = zone("v=DMARC1; p=reject; rua=https://reports.example.org/");
    let report = judge("dmarc", &zone);
    assert_eq!(words(&report), ["dmarc-doubtful", "dmarc-no-reports"]);
    assert_eq!(words(&mended("dmarc", &zone)), [""; 0]);
}

#[test]
fn who_takes_reports_says_so_at_the_very_name_where_a_wildcard_stands_for_it() {
    let own = "_dmarc.example.org. TXT \"v=DMARC1; p=reject; rua=mailto:a@r.example.org\"\n_dmarc.r.example.org. TXT \"v=DMARC1; p=reject; psd=n\"\n";
    let others = "_dmarc.example.org. TXT \"v=DMARC1; p=reject; rua=mailto:a@example.net\"\n";
    for (zone, expected) in [
        (
            format!("{own}*.r.example.org. CNAME cdn.example.com."),
            Some("example.org._report._dmarc.r.example.org."),
        ),
        (
            format!("{others}*.example.net. CNAME cdn.example.com."),
            None,
        ),
        (
            format!("{others}example.org._report._dmarc.example.net. CNAME cdn.example.com."),
            None,
        ),
    ] {
        let report = judge("dmarc", &zone);
        assert_eq!(words(&report), ["dmarc-destination-refused"], "{zone}");
        let finding = &report.findings[0];
        let published = finding.publish.first().map(|one| one.name.as_str());
        assert_eq!(published, expected, "{zone}");
        assert_eq!(finding.remove, [], "{zone}");
    }
}

#[test]
fn a_name_does_not_fall_to_a_wildcard_by_what_is_taken_away() {
    let mut options = options();
    options.domain = crate::name::Domain::new("news.example.org").unwrap();
    let judge = |zone: &str| judge_with("dmarc", zone, &options, |_| None);
    let wild = "*.example.org. A 192.88.1.1\n*.example.org. TXT \"v=spf1 -all\"\n";
    let above = zone(&format!("v=DMARC1; p=reject; {RUA}"));
    for (own, word) in [
        (&["v=DMARC1 p=none"][..], "dmarc-syntax"),
        (
            &["v=DMARC1; p=none", "v=DMARC1; p=none; t=y"],
            "dmarc-several",
        ),
    ] {
        let lines = own.iter();
        let lines = lines.map(|own| format!("_dmarc.news.example.org. TXT \"{own}\"\n"));
        let own: String = lines.collect();
        for (more, is_open) in [
            (wild.to_owned(), true),
            ("*.example.org. CNAME cdn.example.net.\n".to_owned(), true),
            (String::new(), false),
            (format!("{wild}news.example.org. A 192.88.1.2\n"), false),
            (format!("{wild}_dmarc.news.example.org. TXT other\n"), false),
        ] {
            let zone = format!("{own}{more}{above}");
            let report = judge(&zone);
            assert_eq!(words(&report), [word], "{zone}");
            let finding = &report.findings[0];
            assert_eq!(finding.remove.is_empty(), is_open, "{zone}");
            assert_eq!(finding.mend.contains("a wildcard gives"), is_open, "{zone}");
            assert_eq!(finding.publish, [], "{zone}");
        }
    }
}

#[test]
fn a_domain_with_mail_is_no_public_suffix() {
    let record = zone(&format!("v=DMARC1; p=reject; psd=y; {RUA}"));
    for (mail, expected) in [
        ("example.org. MX 10 mx.example.org.\n", &["dmarc-psd"][..]),
        (
            "example.org. TXT \"v=spf1 ip4:192.88.1.1 -all\"\n",
            &["dmarc-psd"],
        ),
        ("example.org. TXT \"v=spf1 -all\"\n", &[]),
        ("example.org. MX 0 .\n", &[]),
        ("", &[]),
    ] {
        let zone = format!("{mail}{record}");
        let report = judge("dmarc", &zone);
        assert_eq!(words(&report), expected, "{mail}");
        let aligned = |report: &crate::audit::CheckReport| {
            let aligned = report.facts["alignment"]["dkim"]["aligned"].as_array();
            aligned.unwrap().len()
        };
        assert_eq!(aligned(&report), 1);
        if let Some(finding) = report.findings.first() {
            let after = format!("v=DMARC1; p=reject; {RUA}");
            assert_eq!(finding.publish[0].value, after);
            let after = mended("dmarc", &zone);
            assert_eq!(words(&after), [""; 0], "{mail}");
            assert_eq!(aligned(&after), 2);
        }
    }
    // Seen from below.
    let mut news = options();
    news.domain = crate::name::Domain::new("news.example.org").unwrap();
    let record = record.replace("@example.org", "@r.example.org");
    let below = judge_with("dmarc", &record, &news, |_| None);
    assert_eq!(words(&below), ["dmarc-destination-refused"]);
    let mend = &below.findings[0].mend;
    assert!(mend.ends_with("take psd=y out of its record: that says that they are not"));
    // Others have nothing to do with it.
    let record = record.replace("@r.example.org", "@example.net");
    let below = judge_with("dmarc", &record, &news, |_| None);
    assert_eq!(words(&below), ["dmarc-destination-refused"]);
    assert!(!below.findings[0].mend.contains("psd=y"));
    // A registry has names of one label.
    let mut options = options();
    options.domain = crate::name::Domain::new("example").unwrap();
    let zone = "example. MX 10 mx.example.\n_dmarc.example. TXT \"v=DMARC1; p=reject; psd=y; rua=mailto:a@example\"";
    assert_eq!(
        words(&judge_with("dmarc", zone, &options, |_| None)),
        [""; 0]
    );
}

#[test]
fn t_is_not_advised_where_it_stands() {
    let report = judge(
        "dmarc",
        &zone("v=DMARC1; p=reject; pct=50; t=y; rua=mailto:a@example.org"),
    );
    assert_eq!(words(&report), ["dmarc-obsolete-tag", "dmarc-testing"]);
    assert!(!report.findings[0].mend.contains("in its place"));
}

#[test]
fn a_record_that_takes_the_place_of_that_above_names_who_takes_reports_about_the_subdomain() {
    let mut options = options();
    options.domain = crate::name::Domain::new("news.example.org").unwrap();
    let judge = |zone: &str| judge_with("dmarc", zone, &options, |_| None);
    let agreed = "example.org._report._dmarc.example.net. TXT \"v=DMARC1;\"\n";
    let above = zone("v=DMARC1; p=reject; rua=mailto:a@example.net");
    let both = "rua=mailto:a@example.net,mailto:b@example.org";
    for (own, word, after) in [
        (
            &[
                "v=DMARC1; p=reject; rua=mailto:a@example.net".to_owned(),
                "v=DMARC1; p=reject; adkim=r".to_owned(),
            ][..],
            "dmarc-several",
            None,
        ),
        (
            &["v=DMARC1 p=reject; rua=mailto:a@example.net".to_owned()],
            "dmarc-syntax",
            None,
        ),
        (
            &[format!("v=DMARC1 p=reject; {both}")],
            "dmarc-syntax",
            Some("v=DMARC1; p=reject; rua=mailto:b@example.org"),
        ),
        (
            &[
                format!("v=DMARC1; p=reject; {both}"),
                "v=DMARC1; p=reject".to_owned(),
            ],
            "dmarc-several",
            Some("v=DMARC1; p=reject; rua=mailto:b@example.org"),
        ),
    ] {
        let texts = own
            .iter()
            .map(|own| format!("_dmarc.news.example.org. TXT \"{own}\"\n"));
        let zone = format!("{agreed}{}{above}", texts.collect::<String>());
        let report = judge(&zone);
        assert_eq!(words(&report), [word], "{zone}");
        let finding = &report.findings[0];
        let published = finding.publish.first().map(|one| one.value.as_str());
        assert_eq!(published, after, "{zone}");
        let alone = "names those alone who take reports about news.example.org";
        assert_eq!(finding.mend.contains(alone), after.is_some());
        assert_eq!(words(&judge(&apply(&zone, &report))), [""; 0], "{zone}");
    }
}

#[test]
fn nobody_is_asked_to_agree_where_a_mend_of_the_record_makes_that_needless() {
    // What is below a public suffix belongs to others.
    let psd = zone("v=DMARC1; p=reject; psd=y; rua=mailto:a@r.example.org");
    let psd = format!("example.org. MX 10 mx.example.org.\n{psd}");
    let suffix = "\n_dmarc.r.example.org. TXT \"v=DMARC1; p=reject; psd=n\"";
    // The subdomain gets a record of its own.
    let above = zone(&format!(
        "v=DMARC1; p=none; rua=mailto:a@example.net,{}",
        &RUA[4..]
    ));
    for (domain, zone, word, authorizes) in [
        ("example.org", psd.clone(), "dmarc-psd", false),
        ("example.org", format!("{psd}{suffix}"), "dmarc-psd", true),
        (
            "news.example.org",
            above.clone(),
            "dmarc-policy-none",
            false,
        ),
        ("example.org", above, "dmarc-policy-none", true),
    ] {
        let mut options = options();
        options.domain = crate::name::Domain::new(domain).unwrap();
        let judge = |zone: &str| judge_with("dmarc", zone, &options, |_| None);
        let report = judge(&zone);
        let mut found = words(&report);
        found.sort_unstable();
        assert_eq!(found, ["dmarc-destination-refused", word], "{zone}");
        let published = report.together.publish.iter();
        let authorizing = published.filter(|one| one.name.contains("_report"));
        assert_eq!(authorizing.count(), usize::from(authorizes), "{zone}");
        assert_eq!(report.together.publish.len(), 1 + usize::from(authorizes));
        assert_eq!(words(&judge(&apply(&zone, &report))), [""; 0], "{zone}");
    }
}

#[test]
fn a_record_that_comes_into_force_leaves_the_organization_as_it_is() {
    let mut news = options();
    news.domain = crate::name::Domain::new("news.example.org").unwrap();
    let above = format!("\n{}", zone(&format!("v=DMARC1; p=quarantine; {RUA}")));
    let b = "rua=mailto:b@example.org";
    for (own, above, word, after) in [
        (
            &[
                "v=DMARC1; p=reject; psd=n; RUA",
                "v=DMARC1; p=reject; psd=n; RUA; x=1",
            ][..],
            above.as_str(),
            "dmarc-several",
            "v=DMARC1; p=reject; RUA",
        ),
        (
            &["v=DMARC1 p=reject psd=n; RUA"],
            &above,
            "dmarc-syntax",
            "v=DMARC1; p=reject; RUA",
        ),
        (
            &["v=DMARC1 p=reject psd=y; RUA"],
            &above,
            "dmarc-syntax",
            "v=DMARC1; p=reject; RUA",
        ),
        // With mail it is no suffix, and with none above an organization of its own in any case.
        (
            &["v=DMARC1 p=reject psd=y; RUA"],
            "\nnews.example.org. MX 1 mx.example.org.",
            "dmarc-syntax",
            "v=DMARC1; p=reject; RUA",
        ),
        (
            &["v=DMARC1; p=reject; psd=y; RUA", "v=DMARC1; p=reject; RUA"],
            "",
            "dmarc-several",
            "v=DMARC1; p=reject; RUA",
        ),
        (
            &["v=DMARC1 p=reject psd=n; RUA"],
            "",
            "dmarc-syntax",
            "v=DMARC1; p=reject; psd=n; RUA",
        ),
    ] {
        let texts = own
            .iter()
            .map(|own| format!("\n_dmarc.news.example.org. TXT \"{own}\""));
        let texts: String = texts.collect();
        let zone = format!("{HOST}{above}{}", texts.replace("RUA", b));
        let report = judge_with("dmarc", &zone, &news, |_| None);
        let mut found = words(&report);
        found.retain(|word| *word != "dmarc-destination-refused");
        assert_eq!(found, [word], "{zone}");
        let finding = &report.findings[0];
        assert_eq!(finding.publish[0].value, after.replace("RUA", b), "{zone}");
        let own_psd = own.iter().all(|own| own.contains("psd="));
        let told = finding.mend.contains(" is left out, since ");
        assert_eq!(told, own_psd && !after.contains("psd="), "{}", finding.mend);
        let after = judge_with("dmarc", &apply(&zone, &report), &news, |_| None);
        assert_eq!(words(&after), [""; 0], "{zone}");
    }
}

#[test]
fn a_record_below_a_registry_keeps_what_it_says_of_the_organization() {
    let mut news = options();
    news.domain = crate::name::Domain::new("news.example.org").unwrap();
    for (psd, mail) in [("n", "MX 1 mx.example.org."), ("y", "MX 0 .")] {
        let record = format!("p=reject; psd={psd}; rua=mailto:b@news.example.org");
        let zone = format!(
            "news.example.org. {mail}\n_dmarc.example.org. TXT \"v=DMARC1; p=quarantine; psd=y; {RUA}\"\n\
             _dmarc.news.example.org. TXT \"v=DMARC1 {record}\""
        );
        let report = judge_with("dmarc", &zone, &news, |_| None);
        assert_eq!(words(&report), ["dmarc-syntax"], "{zone}");
        let finding = &report.findings[0];
        assert_eq!(finding.publish[0].value, format!("v=DMARC1; {record}"));
        assert!(!finding.mend.contains("left out"), "{}", finding.mend);
    }
}

#[test]
fn who_has_to_agree_once_a_record_is_in_force_is_told_with_its_mend() {
    for records in [
        &["v=DMARC1 p=reject rua=mailto:x@example.net"][..],
        &["v=DMARC1; p=rejct; rua=x@example.net"],
        &[
            "v=DMARC1; p=reject; rua=mailto:x@example.net",
            "v=DMARC1; p=reject; rua=mailto:a@example.org",
        ],
    ] {
        let texts = records
            .iter()
            .map(|one| format!("\n_dmarc.example.org. TXT \"{one}\""));
        let zone = format!("{HOST}{}", texts.collect::<String>());
        let report = judge("dmarc", &zone);
        assert_eq!(report.findings.len(), 2, "{zone}");
        let asked = &report.findings[1];
        assert_eq!(asked.finding, "dmarc-destination-refused", "{zone}");
        assert!(asked.sentence.starts_with("with the mended record: "));
        assert_eq!(
            asked.publish[0].name,
            "example.org._report._dmarc.example.net."
        );
        assert_eq!(words(&mended("dmarc", &zone)), [""; 0], "{zone}");
        let agreed = "\nexample.org._report._dmarc.example.net. TXT \"v=DMARC1\"";
        let report = judge("dmarc", &format!("{zone}{agreed}"));
        assert_eq!(report.findings.len(), 1, "{zone}");
    }
}

#[test]
fn a_domain_whose_null_mx_is_all_that_a_mend_leaves_is_parked() {
    let zone = "example.org. TXT \"v=spf1 -all\"\nexample.org. MX 0 .\nexample.org. MX 10 gone.example.org.";
    let report = judge("dmarc", zone);
    assert_eq!(words(&report), ["dmarc-missing"]);
    assert_eq!(report.findings[0].publish[0].value, "v=DMARC1; p=reject");
    let takes = format!("{zone}\ngone.example.org. A 192.88.1.1");
    let report = judge("dmarc", &takes);
    assert_eq!(
        report.findings[0].publish[0].value,
        "v=DMARC1; p=none; rua=mailto:postmaster@example.org"
    );
}
