mod first;
mod senders;
mod several;
mod size;

use super::super::testing::{apply, judge, judge_with, options, words};

const HOSTS: &str = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.25\nmx.example.org. AAAA 2a01::25\n_spf.example.net. TXT \"v=spf1 ip4:192.88.2.0/24 -all\"\n";

fn zone(record: &str) -> String {
    format!("{HOSTS}example.org. TXT \"{record}\"")
}

fn chain(length: usize) -> String {
    let link = |at: usize| {
        let next = match at {
            1 => "ip4:192.88.3.1".to_owned(),
            _ => format!("include:c{}.example.net", at - 1),
        };
        format!("c{at}.example.net. TXT \"v=spf1 {next} -all\"\n")
    };
    (1..=length).map(link).collect()
}

#[test]
fn each_fault_is_told_and_its_mend_keeps_the_rest() {
    for (record, expected, after) in [
        ("v=spf1 mx -all", "", ""),
        ("V=SPF1 MX ~ALL", "", ""),
        ("v=spf1 mx include:_spf.example.net -all", "", ""),
        ("v=spf1 redirect=_spf.example.net", "", ""),
        ("v=spf1 mx ptr -all", "spf-ptr", "v=spf1 mx -all"),
        ("v=spf1 mx +all", "spf-allows-all", "v=spf1 mx ~all"),
        (
            "v=spf1 all",
            "spf-allows-all",
            "v=spf1 ip4:192.88.1.25 ip6:2a01::25 ~all",
        ),
        (
            "v=spf1 mx ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all",
            "spf-allows-all",
            "",
        ),
        ("v=spf1 mx ip6:::/0 -all", "spf-allows-all", ""),
        ("v=spf1 mx ip4:55.0.0.0/8 -all", "spf-wide", ""),
        ("v=spf1 mx ip6:2a12:3400::/24 -all", "spf-wide", ""),
        ("v=spf1 mx", "spf-no-end", "v=spf1 mx ~all"),
        ("v=spf1 mx ?all", "spf-no-end", "v=spf1 mx ~all"),
        (
            "v=spf1 mx -all ip4:192.88.2.1",
            "spf-after-all",
            "v=spf1 mx -all",
        ),
        (
            "v=spf1 mx -all redirect=_spf.example.net",
            "spf-redirect-ignored",
            "v=spf1 mx -all",
        ),
        (
            "v=spf1 mx a:gone.example.org -all",
            "spf-void",
            "v=spf1 mx -all",
        ),
        (
            "v=spf1 a:g1.example.org a:g2.example.org a:g3.example.org mx -all",
            "spf-too-many-voids",
            "v=spf1 mx -all",
        ),
        (
            "v=spf1 mx include:none.example.net -all",
            "spf-include-missing",
            "v=spf1 mx -all",
        ),
        (
            "v=spf1 mx redirect=none.example.net",
            "spf-include-missing",
            "v=spf1 mx ~all",
        ),
        // The end stands at the end, wherever the redirect stood.
        (
            "v=spf1 redirect=none.example.net mx exp=e.example.org include:_spf.example.net",
            "spf-include-missing",
            "v=spf1 mx exp=e.example.org include:_spf.example.net ~all",
        ),
        (
            "v=spf1 mx include:example.org -all",
            "spf-loop",
            "v=spf1 mx -all",
        ),
        (
            "v=spf1 redirect=example.org mx",
            "spf-loop",
            "v=spf1 mx ~all",
        ),
        (
            "v=spf1 mx redirect=example.org",
            "spf-loop",
            "v=spf1 mx ~all",
        ),
        ("v=spf1 mx ip4:55.25.0 -all", "spf-syntax", ""),
        (
            "v=spf1 mx inclde:_spf.example.net -all",
            "spf-syntax",
            "v=spf1 mx include:_spf.example.net -all",
        ),
        (
            "v=spf1 mx, ipv4:192.88.2.1; -all",
            "spf-syntax",
            "v=spf1 mx ip4:192.88.2.1 -all",
        ),
        (
            "v=spf1 mx a:192.88.2.1/28 -all",
            "spf-syntax",
            "v=spf1 mx ip4:192.88.2.1/28 -all",
        ),
        (
            "v=spf1 mx ip4:2a01::1 -all",
            "spf-syntax",
            "v=spf1 mx ip6:2a01::1 -all",
        ),
        (
            "v=spf1 mx redirect:_spf.example.net",
            "spf-syntax",
            "v=spf1 mx redirect=_spf.example.net",
        ),
        (
            "v=spf1 mx include=_spf.example.net -all",
            "spf-unknown-modifier",
            "v=spf1 mx include:_spf.example.net -all",
        ),
        (
            "v=spf1 mx include=_spf.example.net; -all",
            "spf-unknown-modifier",
            "v=spf1 mx include:_spf.example.net -all",
        ),
        (
            "v=spf1 mx ip4=192.88.2.1, -all",
            "spf-unknown-modifier",
            "v=spf1 mx ip4:192.88.2.1 -all",
        ),
        (
            "v=spf1 mx v=spf1 -all",
            "spf-unknown-modifier",
            "v=spf1 mx -all",
        ),
        (
            "v=spf1 mx 192.88.2.1 -all",
            "spf-syntax",
            "v=spf1 mx ip4:192.88.2.1 -all",
        ),
        ("v=spf1 mx -all.", "spf-syntax", "v=spf1 mx -all"),
        ("v=spf1 mx example.net -all", "spf-syntax", ""),
        ("v=spf1 mx al", "spf-syntax", "v=spf1 mx ~all"),
        ("v=spf1 mx +-all", "spf-syntax", "v=spf1 mx ~all"),
        ("v=spf1 mx -+all", "spf-syntax", "v=spf1 mx ~all"),
        ("v=spf1 -+mx ~all", "spf-syntax", ""),
        ("v=spf1 ++mx ~all", "spf-syntax", "v=spf1 +mx ~all"),
        ("v=spf1 mx all:-", "spf-syntax", "v=spf1 mx ~all"),
        ("v=spf1 mx, all;", "spf-syntax", "v=spf1 mx ~all"),
        ("v=spf1 mx, +all", "spf-syntax", ""),
        ("v=spf1; mx +all", "spf-syntax", ""),
        ("v=spf1 mx, include:none.example.net -all", "spf-syntax", ""),
        ("v=spf1, mx include:none.example.net -all", "spf-syntax", ""),
        (
            "v=spf1 mx include=none.example.net -all",
            "spf-unknown-modifier",
            "",
        ),
        ("v=spf1 mx -all ip4=192.88.2.1", "spf-unknown-modifier", ""),
        // What nobody is known to send by never counted, and goes.
        ("v=spf1 -all ~all mx -all", "spf-after-all", "v=spf1 -all"),
        (
            "v=spf1 mx -all include:none.example.net",
            "spf-after-all",
            "v=spf1 mx -all",
        ),
        (
            "v=spf1 mx -all ip4:0.0.0.0/0 exp=e.example.org",
            "spf-after-all",
            "v=spf1 mx -all exp=e.example.org",
        ),
        ("v=spf1 mx -all ptr", "spf-after-all", "v=spf1 mx -all"),
        ("v=spf1 mx -all +all", "spf-after-all", "v=spf1 mx -all"),
        ("v=spf1; mx -all", "spf-syntax", "v=spf1 mx -all"),
        ("\\\"v=spf1 mx -all\\\"", "spf-syntax", "v=spf1 mx -all"),
        ("v=spf10 mx -all", "spf-missing", "v=spf1 mx ~all"),
    ] {
        let zone = zone(record);
        let report = judge("spf", &zone);
        let expected: Vec<&str> = expected.split_terminator(' ').collect();
        assert_eq!(words(&report), expected, "{record}");
        let published = report.findings.first().map(|finding| &finding.publish);
        let published = published.and_then(|published| published.first());
        let published = published.map_or("", |record| &record.value);
        assert_eq!(published, after, "{record}");
        if !after.is_empty() {
            let after = judge("spf", &apply(&zone, &report));
            assert_eq!(words(&after), [""; 0], "{record}");
        }
    }
}

#[test]
fn what_is_wrong_in_records_that_are_included_is_told() {
    for (included, expected) in [
        ("v=spf1 ip4:1.2.3 -all", "spf-syntax"),
        ("v=spf1 +all", "spf-allows-all"),
        ("v=spf1 ptr -all", "spf-ptr"),
        ("v=spf1 include:example.org -all", "spf-loop"),
        (
            "v=spf1 ip4:192.88.2.1 -all\"\ninc.example.net. TXT \"v=spf1 -all",
            "spf-several",
        ),
        ("none of it", "spf-include-missing"),
    ] {
        let zone = format!(
            "{}\ninc.example.net. TXT \"{included}\"",
            zone("v=spf1 mx include:inc.example.net -all")
        );
        assert_eq!(words(&judge("spf", &zone)), [expected], "{included}");
    }
}

#[test]
fn a_redirect_to_a_record_without_an_end_is_told() {
    for (target, expected) in [
        ("v=spf1 ip4:192.88.2.1", "spf-no-end"),
        ("v=spf1 ip4:192.88.2.1 ?all", "spf-no-end"),
        ("v=spf1 redirect=end.example.net", "spf-no-end"),
        ("v=spf1 ip4:192.88.2.1 ~all", ""),
        ("v=spf1 redirect=_spf.example.net", ""),
        ("v=spf1 redirect=%{i}.example.net", ""),
        ("v=spf1 ip4:1.2.3", "spf-syntax"),
    ] {
        // What is met twice is told once in the tree.
        for before in ["", "include:to.example.net "] {
            let zone = format!(
                "{}\nto.example.net. TXT \"{target}\"\nend.example.net. TXT \"v=spf1 ip4:192.88.2.1\"",
                zone(&format!("v=spf1 mx {before}redirect=to.example.net"))
            );
            let report = judge("spf", &zone);
            let mut found = words(&report);
            found.dedup();
            let expected: Vec<&str> = expected.split_terminator(' ').collect();
            assert_eq!(found, expected, "{before}{target}");
            if expected != ["spf-no-end"] {
                continue;
            }
            let mend = &report.findings[0].mend;
            let instead = "take redirect=to.example.net out and end your own record with include:to.example.net ~all";
            assert!(mend.ends_with(instead), "{mend}");
            let ended = zone.replace("redirect=to.example.net\"", "include:to.example.net ~all\"");
            assert_eq!(words(&judge("spf", &ended)), [""; 0], "{target}");
        }
    }
}

#[test]
fn without_ptr_who_passes_by_it_alone_is_named_first() {
    let report = judge("spf", &zone("v=spf1 mx ptr:example.net -all"));
    assert_eq!(words(&report), ["spf-ptr"]);
    let finding = &report.findings[0];
    assert_eq!(finding.publish[0].value, "v=spf1 mx -all");
    let order =
        "before you publish it, add the hosts or networks that pass by ptr:example.net alone";
    assert!(finding.mend.contains(order), "{}", finding.mend);
    // Nobody passes by one that refuses.
    let report = judge("spf", &zone("v=spf1 -ptr:example.net mx -all"));
    assert!(!report.findings[0].mend.contains("before you publish"));
}

#[test]
fn a_redirect_to_two_names_becomes_no_two() {
    let report = judge(
        "spf",
        &zone("v=spf1 mx redirect=a.example.net,b.example.net"),
    );
    assert_eq!(words(&report), ["spf-include-missing"]);
    let finding = &report.findings[0];
    let mend = "take redirect=a.example.net,b.example.net out";
    assert!(finding.mend.starts_with(mend), "{}", finding.mend);
    assert_eq!(finding.publish[0].value, "v=spf1 mx ~all");
}

#[test]
fn why_a_record_is_not_changed_so_is_a_sentence() {
    let first = "; mend this first, which the change brings with it:";
    for (record, expected) in [
        (
            "v=spf1; mx include:none.example.net -all",
            "; mend this first, which stands in the record already: include:none.example.net in the record of example.org does not work: none.example.net does not exist; take include:none.example.net out, or name where the record stands now".to_owned(),
        ),
        (
            "v=spf1; mx include:v.example.net -all",
            "; mend this first, to which the record leads already: include:gone.example.net in the record of v.example.net does not work: gone.example.net does not exist; let the owner of v.example.net mend it, or take include:v.example.net out".to_owned(),
        ),
        (
            "v=spf1 mx include=none.example.net -all",
            format!(
                "{first} include:none.example.net in the record of example.org does not work: none.example.net does not exist"
            ),
        ),
        (
            "v=spf1 mx, include:c10.example.net -all",
            format!("{first} the record needs 11 lookups, and receivers end after 10"),
        ),
        (
            "v=spf1 mx, +all",
            format!("{first} the record lets everybody send, or nearly so"),
        ),
    ] {
        let below = "v.example.net. TXT \"v=spf1 include:gone.example.net -all\"";
        let report = judge("spf", &format!("{}\n{below}\n{}", zone(record), chain(10)));
        let mend = &report.findings[0].mend;
        assert!(mend.ends_with(&expected), "{mend}");
    }
}

#[test]
fn an_include_that_lets_everybody_send_is_to_go() {
    let others = "all.example.net. TXT \"v=spf1 +all\"\nto.example.net. TXT \"v=spf1 include:all.example.net -all\"";
    for (record, expected) in [
        (
            "v=spf1 mx include:all.example.net -all",
            "take include:all.example.net out",
        ),
        (
            "v=spf1 mx include:to.example.net -all",
            "take include:to.example.net out",
        ),
        (
            "v=spf1 mx redirect=all.example.net",
            "take redirect=all.example.net out",
        ),
        (
            "v=spf1 mx ip4:0.0.0.0/0 -all",
            "in the place of ip4:0.0.0.0/0",
        ),
        ("v=spf1 mx +all", "end the record with ~all"),
    ] {
        let report = judge("spf", &format!("{}\n{others}", zone(record)));
        assert_eq!(words(&report), ["spf-allows-all"], "{record}");
        let mend = &report.findings[0].mend;
        assert!(mend.contains(expected), "{mend}");
        let ends = record.ends_with("+all");
        assert_eq!(mend.contains("end the record with"), ends, "{mend}");
        assert_eq!(report.findings[0].publish.len(), usize::from(ends));
    }
}

#[test]
fn lookups_are_counted_and_told_by_term() {
    for (length, expected) in [
        (7, ""),
        (8, "spf-near-limit"),
        (9, "spf-near-limit"),
        (10, "spf-too-many-lookups"),
    ] {
        let zone = format!(
            "{}\n{}",
            zone(&format!("v=spf1 mx include:c{length}.example.net -all")),
            chain(length)
        );
        let report = judge("spf", &zone);
        let expected: Vec<&str> = expected.split_terminator(' ').collect();
        assert_eq!(words(&report), expected, "{length}");
        assert_eq!(report.facts["lookups"], length + 1);
        assert_eq!(report.facts["tree"]["root"]["terms"][1]["lookups"], length);
        if let Some(finding) = report.findings.first() {
            assert!(
                finding
                    .sentence
                    .contains(&format!("include:c{length}.example.net {length}, mx 1"))
            );
        }
    }
    let many: String = (1..=11)
        .map(|n| {
            format!("many.example.net. MX 10 m{n}.example.net.\nm{n}.example.net. A 192.88.4.{n}\n")
        })
        .collect();
    let zone = format!("{}\n{many}", zone("v=spf1 mx mx:many.example.net -all"));
    assert_eq!(words(&judge("spf", zone.trim_end())), ["spf-too-many-mx"]);
}

#[test]
fn hosts_of_one_family_are_no_void() {
    let zone = format!(
        "{}\nv4.example.org. A 192.88.1.1",
        zone("v=spf1 a:v4.example.org a:v4.example.org a:v4.example.org mx -all")
    );
    let of_one_family = zone.replace("mx.example.org. AAAA 2a01::25\n", "");
    assert_eq!(words(&judge("spf", &of_one_family)), [""; 0]);
    // An own server that sends over the other does not get so far as to pass.
    let report = judge("spf", &zone);
    assert_eq!(words(&report), ["spf-too-many-voids"]);
    let finding = &report.findings[0];
    let start = "mail from 2a01::25 does not pass";
    assert!(finding.sentence.starts_with(start), "{}", finding.sentence);
    assert_eq!(
        finding.publish[0].value,
        "v=spf1 ip6:2a01::25 a:v4.example.org a:v4.example.org a:v4.example.org mx -all"
    );
    assert_eq!(words(&judge("spf", &apply(&zone, &report))), [""; 0]);
    // Those whom no term lets send, and those of others, are not known to send.
    for other in [
        zone.replace(" mx -all", " -all"),
        zone.replace(" mx -all", " -mx +all"),
        zone.replace(" mx.example.org.", " mx.example.net.")
            .replace("mx.example.org. A", "mx.example.net. A"),
    ] {
        let report = judge("spf", &other);
        assert!(!words(&report).contains(&"spf-too-many-voids"), "{other}");
    }
}

#[test]
fn no_mend_stops_all_mail() {
    // Nothing is known of who sends: all that is right is said in words.
    let bare = |record: &str| format!("example.org. MX 0 .\nexample.org. TXT \"{record}\"");
    for (record, word) in [
        ("v=spf1 ptr -all", "spf-ptr"),
        ("v=spf1 ptr:example.net ~all", "spf-ptr"),
        ("v=spf1 a:gone.example.org -all", "spf-void"),
        (
            "v=spf1 include:none.example.net -all",
            "spf-include-missing",
        ),
        ("v=spf1 redirect=none.example.net", "spf-include-missing"),
        ("v=spf1 include:example.org -all", "spf-loop"),
        ("v=spf1 +all", "spf-allows-all"),
        ("v=spf1 ?all", "spf-no-end"),
        ("v=spf1", "spf-no-end"),
    ] {
        let report = judge("spf", &bare(record));
        assert_eq!(words(&report), [word], "{record}");
        assert_eq!(report.findings[0].publish, [], "{record}");
        assert_eq!(report.findings[0].remove, [], "{record}");
        assert!(
            report.findings[0].mend.contains("first name those"),
            "{record}"
        );
    }
    // Those who are known take its place.
    let mut options = options();
    options.addresses = vec!["192.88.1.25".parse().unwrap()];
    let zone = format!(
        "{}\n25.1.88.192.in-addr.arpa. PTR mx.example.org.\nmx.example.org. A 192.88.1.25",
        bare("v=spf1 ptr -all")
    );
    let report = judge_with("spf", &zone, &options, |_| None);
    assert_eq!(words(&report), ["spf-ptr"]);
    assert_eq!(
        report.findings[0].publish[0].value,
        "v=spf1 ip4:192.88.1.25 -all"
    );
    // Also where others may send.
    let zone = zone.replace("ptr -all", "ip4:192.88.7.7 ptr -all");
    let report = judge_with("spf", &zone, &options, |_| None);
    assert_eq!(words(&report), ["spf-ptr"]);
    assert_eq!(
        report.findings[0].publish[0].value,
        "v=spf1 ip4:192.88.7.7 ip4:192.88.1.25 -all"
    );
}

#[test]
fn no_mend_needs_more_lookups_than_there_are() {
    let record = "v=spf1 mx, include:c10.example.net -all";
    let report = judge("spf", &format!("{}\n{}", zone(record), chain(10)));
    assert_eq!(words(&report), ["spf-syntax"]);
    assert_eq!(report.findings[0].publish, []);
    assert!(report.findings[0].mend.contains("needs 11 lookups"));
}

#[test]
fn large_networks_of_others_are_theirs() {
    for (included, expected) in [
        (
            "v=spf1 ip4:52.100.0.0/14 ip4:40.92.0.0/15 ip6:2a01:111:f400::/28 -all",
            "",
        ),
        ("v=spf1 ip4:55.0.0.0/8 -all", "spf-wide"),
    ] {
        let zone = format!(
            "{}\ninc.example.net. TXT \"{included}\"",
            zone("v=spf1 mx include:inc.example.net -all")
        );
        let expected: Vec<&str> = expected.split_terminator(' ').collect();
        assert_eq!(words(&judge("spf", &zone)), expected, "{included}");
        // What the domain has put elsewhere is its own.
        let own = zone.replace("inc.example.net", "_spf.example.org");
        assert!(
            words(&judge("spf", &own)).contains(&"spf-wide"),
            "{included}"
        );
    }
}

#[test]
fn an_answer_that_is_too_long_is_told() {
    let texts = |count: usize, length: usize| -> String {
        let line = |at: usize| {
            format!(
                "\nexample.org. TXT \"proof-{at:02}-{}\"",
                "x".repeat(length)
            )
        };
        (0..count).map(line).collect()
    };
    let zone = zone("v=spf1 mx -all");
    assert!(!judge("spf", &zone).sentence.contains("octets"));
    let report = judge("spf", &format!("{zone}{}", texts(8, 60)));
    assert_eq!(words(&report), [""; 0]);
    assert!(report.sentence.contains("octets"), "{}", report.sentence);
    let report = judge("spf", &format!("{zone}{}", texts(20, 60)));
    assert_eq!(words(&report), ["spf-long"]);
    // A mend that makes it so says so.
    let mut options = options();
    options.addresses = vec!["192.88.9.9".parse().unwrap()];
    let full = format!("{zone}{}", texts(5, 66));
    let report = judge_with("spf", &full, &options, |_| None);
    assert_eq!(words(&report), ["spf-address-refused"]);
    assert!(
        report.findings[0].mend.contains("octets"),
        "{}",
        report.facts["octets"]
    );
}

#[test]
fn the_old_type_goes() {
    let zone = format!(
        "{}\nexample.org. SPF \"v=spf1 mx -all\"",
        zone("v=spf1 mx -all")
    );
    let report = judge("spf", &zone);
    assert_eq!(words(&report), ["spf-type99"]);
    assert_eq!(words(&judge("spf", &apply(&zone, &report))), [""; 0]);
    // It goes where it stands, and where others keep it they are told.
    for (target, expected) in [("news.example.org.", 1), ("news.example.net.", 0)] {
        let zone = format!(
            "example.org. CNAME {target}\n{target} SPF \"v=spf1 mx -all\"\n{target} TXT \"v=spf1 ip4:192.88.2.1 -all\""
        );
        let report = judge("spf", &zone);
        assert_eq!(words(&report), ["spf-type99"], "{target}");
        let finding = &report.findings[0];
        assert_eq!(finding.remove.len(), expected, "{target}");
        assert!(finding.remove.iter().all(|gone| gone.name == target));
        assert_eq!(finding.mend.contains("a CNAME to"), expected == 0);
        if expected == 1 {
            assert_eq!(words(&judge("spf", &apply(&zone, &report))), [""; 0]);
        }
    }
}

#[test]
fn each_sending_address_must_pass() {
    let mut options = options();
    options.addresses = vec![
        "192.88.1.25".parse().unwrap(),
        "192.88.9.1".parse().unwrap(),
        "2a01::9".parse().unwrap(),
    ];
    let judge = |zone: &str| judge_with("spf", zone, &options, |_| None);
    let zone = zone("v=spf1 mx ~all");
    let report = judge(&zone);
    assert_eq!(
        words(&report),
        ["spf-address-refused", "spf-address-refused"]
    );
    assert_eq!(
        report.findings[1].publish[0].value,
        "v=spf1 mx ip4:192.88.9.1 ip6:2a01::9 ~all"
    );
    assert_eq!(report.facts["senders"][0]["result"], "pass");
    assert_eq!(words(&judge(&apply(&zone, &report))), [""; 0]);
    // Without a record, one that lets them send.
    let report = judge(HOSTS.trim_end());
    assert_eq!(words(&report), ["spf-missing"]);
    assert_eq!(
        report.findings[0].publish[0].value,
        "v=spf1 mx ip4:192.88.9.1 ip6:2a01::9 ~all"
    );
    assert_eq!(words(&judge(&apply(HOSTS.trim_end(), &report))), [""; 0]);
}

#[test]
fn the_mends_are_told_in_the_order_in_which_they_may_be_followed() {
    let mut options = options();
    options.addresses = vec!["192.88.9.1".parse().unwrap()];
    let zone = zone("v=spf1 mx ptr ?all");
    let report = judge_with("spf", &zone, &options, |_| None);
    assert_eq!(
        words(&report),
        ["spf-address-refused", "spf-ptr", "spf-no-end"]
    );
    let published = report
        .findings
        .iter()
        .map(|one| one.publish[0].value.as_str());
    let published: Vec<&str> = published.collect();
    assert_eq!(
        published,
        [
            "v=spf1 mx ptr ip4:192.88.9.1 ?all",
            "v=spf1 mx ip4:192.88.9.1 ?all",
            "v=spf1 mx ip4:192.88.9.1 ~all",
        ]
    );
    assert_eq!(report.findings[0].remove.len(), 1);
    let after = judge_with("spf", &apply(&zone, &report), &options, |_| None);
    assert_eq!(words(&after), [""; 0]);
}

#[test]
fn silence_is_not_absence() {
    let silent = r#"{"example.org.": {"status": "SERVFAIL"}}"#;
    assert_eq!(words(&judge("spf", silent)), ["no-answer"]);
    let silent = r#"{"example.org.": {"TXT": ["v=spf1 include:a.example.net -all"]}, "a.example.net.": {"status": "TIMEOUT"}}"#;
    assert_eq!(words(&judge("spf", silent)), ["no-answer"]);
}
