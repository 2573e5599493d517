//! No mend loses who sends.

use super::super::super::testing::{apply, judge, judge_with, options, words};
use crate::audit::{CheckReport, Options};

/// An audit of example.org, which sends from these addresses.
fn sending(zone: &str, addresses: &[&str]) -> CheckReport {
    judge_with("spf", zone, &of(addresses), |_| None)
}

fn of(addresses: &[&str]) -> Options {
    let mut options = options();
    options.addresses = addresses.iter().map(|one| one.parse().unwrap()).collect();
    options
}

#[test]
fn an_mx_with_a_host_that_is_there_is_not_taken_out() {
    let hosts = |a: &str, b: &str| {
        format!(
            "example.org. MX 10 a.example.org.\nexample.org. MX 20 b.example.org.\na.example.org. {a}\nb.example.org. {b}\n"
        )
    };
    let one_gone = hosts("A 192.88.1.25", "TXT none")
        .replace("b.example.org. TXT none", "c.example.org. A 192.88.1.9");
    for hosts in [
        one_gone,
        hosts("A 192.88.1.25", "TXT none"),
        hosts("A 192.88.1.25", "AAAA 2a01::25"),
    ] {
        for record in [
            "v=spf1 mx -all",
            "v=spf1 mx mx:example.org mx:example.org -all",
        ] {
            let zone = format!("{hosts}example.org. TXT \"{record}\"");
            assert_eq!(words(&judge("spf", &zone)), [""; 0], "{zone}");
            let report = sending(&zone, &["192.88.1.25"]);
            assert_eq!(words(&report), [""; 0], "{zone}");
        }
        // What finds nothing at all goes, and the others stay.
        let zone = format!(
            "{hosts}gone.example.org. MX 10 none.example.org.\nexample.org. TXT \"v=spf1 mx mx:gone.example.org a:none.example.org -all\""
        );
        let report = judge("spf", &zone);
        assert_eq!(words(&report), ["spf-void"], "{zone}");
        assert_eq!(report.findings[0].publish[0].value, "v=spf1 mx -all");
        assert_eq!(words(&judge("spf", &apply(&zone, &report))), [""; 0]);
    }
}

#[test]
fn names_of_one_family_are_void_for_known_senders_of_the_other_alone() {
    let names = "n1.example.net. A 192.88.2.1\nn2.example.net. A 192.88.2.2\nn3.example.net. A 192.88.2.3\n";
    let hosts = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.25\nmx.example.org. AAAA 2a01::25\n";
    let zone = |record: &str| format!("{names}{hosts}example.org. TXT \"{record}\"");
    let three = "a:n1.example.net a:n2.example.net a:n3.example.net";
    // All known senders pass before that counts.
    let right = zone(&format!("v=spf1 mx {three} -all"));
    assert_eq!(words(&judge("spf", &right)), [""; 0]);
    let both = ["192.88.1.25", "2a01::25"];
    assert_eq!(words(&sending(&right, &both)), [""; 0]);
    // One meets them first.
    let wrong = zone(&format!("v=spf1 {three} mx -all"));
    let report = sending(&wrong, &both);
    assert_eq!(words(&report), ["spf-too-many-voids"]);
    let finding = &report.findings[0];
    assert!(
        finding
            .sentence
            .starts_with("mail from 2a01::25 does not pass")
    );
    let after = format!("v=spf1 ip6:2a01::25 {three} mx -all");
    assert_eq!(finding.publish[0].value, after);
    assert_eq!(words(&sending(&apply(&wrong, &report), &both)), [""; 0]);
    // Also where some find nothing at all.
    let wrong = zone(&format!("v=spf1 a:gone.example.org {three} mx -all"));
    let report = sending(&wrong, &both);
    assert_eq!(words(&report), ["spf-too-many-voids"]);
    assert_eq!(report.findings[0].publish[0].value, after);
    assert_eq!(words(&sending(&apply(&wrong, &report), &both)), [""; 0]);
}

#[test]
fn who_meets_too_many_voids_is_named_though_the_record_gets_short_enough() {
    let zone = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1\nmx.example.org. AAAA 2a01::6\nv4a.example.org. A 192.88.1.2\nv4b.example.org. A 192.88.1.3\nexample.org. TXT \"v=spf1 a:gone.example.org a:v4a.example.org a:v4b.example.org ip6:2a01::6 mx -all\"";
    let both = ["2a01::6", "192.88.1.1"];
    let report = sending(zone, &both);
    assert_eq!(words(&report), ["spf-too-many-voids"]);
    let finding = &report.findings[0];
    let start = "mail from 2a01::6 does not pass";
    assert!(finding.sentence.starts_with(start), "{}", finding.sentence);
    assert_eq!(
        finding.publish[0].value,
        "v=spf1 a:v4a.example.org a:v4b.example.org ip6:2a01::6 mx -all"
    );
    let after = sending(&apply(zone, &report), &both);
    assert_eq!(words(&after), [""; 0]);
    assert_eq!(after.facts["senders"][0]["result"], "pass");
}

#[test]
fn a_record_that_comes_into_force_voids_nobody_who_is_named() {
    let names = "v4a.example.org. A 192.88.1.2\nv4b.example.org. A 192.88.1.3\nv4c.example.org. A 192.88.1.4\n";
    let hosts = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1\nmx.example.org. AAAA 2a01::6\n";
    let three = "a:v4a.example.org a:v4b.example.org a:v4c.example.org";
    for (records, word) in [
        (&[format!("v=spf1 {three} mx -all;")][..], "spf-syntax"),
        (&[format!("v=spf1; {three} mx -all")], "spf-syntax"),
        (
            &[
                "v=spf1 a:v4a.example.org a:v4b.example.org -all".to_owned(),
                "v=spf1 a:v4c.example.org mx -all".to_owned(),
            ],
            "spf-several",
        ),
    ] {
        let texts = records.iter();
        let texts = texts.map(|text| format!("example.org. TXT \"{text}\"\n"));
        let zone = format!("{names}{hosts}{}", texts.collect::<String>());
        let report = sending(zone.trim_end(), &["2a01::6"]);
        assert_eq!(words(&report), [word], "{records:?}");
        assert_eq!(
            report.findings[0].publish[0].value,
            format!("v=spf1 ip6:2a01::6 {three} mx -all")
        );
        let after = sending(&apply(zone.trim_end(), &report), &["2a01::6"]);
        assert_eq!(words(&after), [""; 0], "{records:?}");
        assert_eq!(after.facts["senders"][0]["result"], "pass");
    }
}

#[test]
fn a_record_that_comes_into_force_lets_those_send_who_are_named() {
    let own = "ip4:192.88.1.9";
    for (record, word, after) in [
        (
            "spf1 ip4:192.88.1.1 -all",
            "spf-syntax",
            format!("v=spf1 ip4:192.88.1.1 {own} -all"),
        ),
        (
            "v=spf1 ip4:192.88.1.1 -all;",
            "spf-syntax",
            format!("v=spf1 ip4:192.88.1.1 {own} -all"),
        ),
        (
            "v=spf1 ip4:192.88.1.1 ~all, ",
            "spf-syntax",
            format!("v=spf1 ip4:192.88.1.1 {own} ~all"),
        ),
        (
            "v=spf1 ip4:192.88.1.1 -all\"\nexample.org. TXT \"v=spf1 ip4:192.88.1.2 -all",
            "spf-several",
            format!("v=spf1 ip4:192.88.1.1 ip4:192.88.1.2 {own} -all"),
        ),
        // Who passes already is not named again.
        (
            "v=spf1 ip4:192.88.1.0/24 -all;",
            "spf-syntax",
            "v=spf1 ip4:192.88.1.0/24 -all".to_owned(),
        ),
        // Nor does a name behind all let anybody send.
        (
            "v=spf1 ip4:192.88.1.1 -all ip4:192.88.1.9;",
            "spf-syntax",
            String::new(),
        ),
    ] {
        let zone = format!("example.org. TXT \"{record}\"");
        let report = sending(&zone, &["192.88.1.9"]);
        assert_eq!(words(&report)[0], word, "{record}");
        let published = report.findings[0].publish.first();
        let published = published.map_or("", |record| &record.value);
        assert_eq!(published, after, "{record}");
        if !after.is_empty() {
            let report = sending(&apply(&zone, &report), &["192.88.1.9"]);
            assert_eq!(words(&report), [""; 0], "{record}");
            assert_eq!(report.facts["senders"][0]["result"], "pass");
        }
    }
}

#[test]
fn who_is_named_beside_what_a_record_refuses_is_told() {
    let refused = "; the record below also names 192.88.1.9: otherwise SPF says fail of mail from there, because -ip4:192.88.1.9 in the record of example.org matched";
    let unnamed = "; the record below also names 192.88.1.8, 192.88.1.9: otherwise SPF says fail of mail from there, because -all in the record of example.org matched";
    for (record, addresses, after, told) in [
        (
            "v=spf1 -ip4:192.88.1.9 ip4:192.88.1.1, ~all;",
            &["192.88.1.9"][..],
            "v=spf1 ip4:192.88.1.9 -ip4:192.88.1.9 ip4:192.88.1.1 ~all",
            refused,
        ),
        (
            "spf1 -ip4:192.88.1.9 ip4:192.88.1.1 ~all",
            &["192.88.1.9"],
            "v=spf1 ip4:192.88.1.9 -ip4:192.88.1.9 ip4:192.88.1.1 ~all",
            refused,
        ),
        (
            "v=spf1 -ip4:192.88.1.9 ~all\"\nexample.org. TXT \"v=spf1 ip4:192.88.1.1 ~all",
            &["192.88.1.9"],
            "v=spf1 ip4:192.88.1.9 -ip4:192.88.1.9 ip4:192.88.1.1 ~all",
            refused,
        ),
        (
            "v=spf1 ip4:192.88.1.1 -all;",
            &["192.88.1.8", "192.88.1.9"],
            "v=spf1 ip4:192.88.1.1 ip4:192.88.1.8 ip4:192.88.1.9 -all",
            unnamed,
        ),
        // Nobody is named who passes.
        (
            "v=spf1 ip4:192.88.1.1 -all;",
            &["192.88.1.1"],
            "v=spf1 ip4:192.88.1.1 -all",
            "",
        ),
    ] {
        let zone = format!("example.org. TXT \"{record}\"");
        let report = sending(&zone, addresses);
        let finding = &report.findings[0];
        assert_eq!(finding.publish[0].value, after, "{record}");
        let mend = &finding.mend;
        assert!(mend.ends_with(told), "{mend}");
        assert_eq!(mend.contains("also names"), !told.is_empty(), "{mend}");
    }
}

#[test]
fn what_a_term_ends_with_goes() {
    for (record, mend, after) in [
        (
            "v=spf1 a:p.example.net, ip4:192.88.1.1; -all.",
            "write a:p.example.net instead of “a:p.example.net,”; write ip4:192.88.1.1 instead of “ip4:192.88.1.1;”; write -all instead of “-all.”",
            "v=spf1 a:p.example.net ip4:192.88.1.1 -all",
        ),
        // That everybody may send is only likely to be meant.
        (
            "v=spf1 ip4:192.88.1.1 all;",
            "write ~all instead of “all;”",
            "v=spf1 ip4:192.88.1.1 ~all",
        ),
    ] {
        let zone = format!("{NAMES}example.org. TXT \"{record}\"");
        let report = sending(&zone, &["192.88.1.1"]);
        assert_eq!(words(&report), ["spf-syntax"], "{record}");
        assert_eq!(report.findings[0].mend, mend);
        assert_eq!(report.findings[0].publish[0].value, after);
    }
}

#[test]
fn each_slip_has_one_instruction_and_a_record_where_it_is_plain() {
    let one = "write ip4:192.88.1.1 instead of “ip4: 192.88.1.1”";
    let two = "write ip4:192.88.1.1 ip4:192.88.1.2 instead of “ip4:192.88.1.1,192.88.1.2”";
    for (record, mend, after) in [
        (
            "v=spf1 ip4: 192.88.1.1 -all",
            one,
            "v=spf1 ip4:192.88.1.1 -all",
        ),
        (
            "v=spf1 ip4:192.88.1.1,192.88.1.2 -all",
            two,
            "v=spf1 ip4:192.88.1.1 ip4:192.88.1.2 -all",
        ),
        (
            "v=spf1 ip4:192.88.1.1;ip4:192.88.1.2;-all",
            "write ip4:192.88.1.1 ip4:192.88.1.2 -all instead of “ip4:192.88.1.1;ip4:192.88.1.2;-all”",
            "v=spf1 ip4:192.88.1.1 ip4:192.88.1.2 -all",
        ),
        (
            "v=spf1 ip4:192.88.1.1,192.88.1.2 ip4: 192.88.1.3, 192.88.1.4 -all",
            "write ip4:192.88.1.1 ip4:192.88.1.2 instead of “ip4:192.88.1.1,192.88.1.2”; write ip4:192.88.1.3 instead of “ip4: 192.88.1.3,”; write ip4: before the address instead of “192.88.1.4”",
            "v=spf1 ip4:192.88.1.1 ip4:192.88.1.2 ip4:192.88.1.3 ip4:192.88.1.4 -all",
        ),
        (
            "v=spf1 ip4:192.88.1.1/33 -all",
            "write ip4:192.88.1.1 with a slash and a number from 0 to 32, or ip4:192.88.1.1 alone for a single address, instead of “ip4:192.88.1.1/33”",
            "",
        ),
        (
            "v=spf1 ip4: 192.88.1.1 ip4:192.88.2 -all",
            "write ip4:192.88.1.1 instead of “ip4: 192.88.1.1”; write four numbers from 0 to 255 with dots between them instead of “ip4:192.88.2”",
            "",
        ),
    ] {
        let zone = format!("example.org. TXT \"{record}\"");
        let report = judge("spf", &zone);
        assert_eq!(words(&report), ["spf-syntax"], "{record}");
        assert_eq!(report.findings[0].mend, mend);
        let published = report.findings[0].publish.first();
        let published = published.map_or("", |record| &record.value);
        assert_eq!(published, after, "{record}");
    }
    // It is looked at as any other is.
    let report = judge("spf", "example.org. TXT \"v=spf1 ip4: 0.0.0.0/0 -all\"");
    assert_eq!(report.findings[0].publish, []);
}

#[test]
fn what_was_forgotten_behind_all_comes_before_it_where_who_sends_is_known() {
    let others = "_spf.example.net. TXT \"v=spf1 ip4:192.88.1.9 -all\"\n";
    for (record, after) in [
        (
            "v=spf1 ip4:192.88.1.1 -all ip4:192.88.1.9",
            "v=spf1 ip4:192.88.1.1 ip4:192.88.1.9 -all",
        ),
        (
            "v=spf1 ip4:192.88.1.1 -all include:_spf.example.net ip4:192.88.7.7 exp=e.example.org",
            "v=spf1 ip4:192.88.1.1 ip4:192.88.1.9 include:_spf.example.net -all exp=e.example.org",
        ),
        // What would let everybody send does not.
        (
            "v=spf1 ip4:192.88.1.1 -all ip4:0.0.0.0/0",
            "v=spf1 ip4:192.88.1.1 ip4:192.88.1.9 -all",
        ),
        (
            "v=spf1 ip4:192.88.1.1 -all +all",
            "v=spf1 ip4:192.88.1.1 ip4:192.88.1.9 -all",
        ),
    ] {
        let zone = format!("{others}example.org. TXT \"{record}\"");
        let report = sending(&zone, &["192.88.1.9"]);
        assert_eq!(
            words(&report),
            ["spf-address-refused", "spf-after-all"],
            "{record}"
        );
        assert_eq!(report.together.publish[0].value, after, "{record}");
        let left_out = "the record below is without it, because otherwise the record lets everybody send, or nearly so";
        let is_open = record.ends_with("/0");
        assert_eq!(report.findings[1].mend.contains(left_out), is_open);
        let after = sending(&apply(&zone, &report), &["192.88.1.9"]);
        assert_eq!(words(&after), [""; 0], "{record}");
    }
}

#[test]
fn what_stands_behind_all_lets_nobody_send_whom_nobody_knows() {
    for host in ["A 192.88.1.25", "TXT none"] {
        let zone = format!(
            "example.org. MX 10 mx.example.org.\nmx.example.org. {host}\nexample.org. TXT \"v=spf1 -all ~all mx:example.org -all\""
        );
        let report = judge("spf", &zone);
        assert_eq!(words(&report), ["spf-after-all"]);
        assert_eq!(report.findings[0].publish[0].value, "v=spf1 -all");
        assert_eq!(words(&judge("spf", &apply(&zone, &report))), [""; 0]);
    }
}

#[test]
fn an_include_of_two_names_with_a_comma_between_becomes_two() {
    let p = "p.example.net. TXT \"v=spf1 ip4:192.88.1.9 -all\"\n";
    let q = "q.example.net. TXT \"v=spf1 ip4:192.88.1.8 -all\"\n";
    let record =
        "example.org. TXT \"v=spf1 ip4:192.88.1.1 include:p.example.net,q.example.net -all\"";
    let zone = format!("{p}{q}{record}");
    let report = sending(&zone, &["192.88.1.1"]);
    assert_eq!(words(&report), ["spf-include-missing"]);
    assert_eq!(
        report.findings[0].publish[0].value,
        "v=spf1 ip4:192.88.1.1 include:p.example.net include:q.example.net -all"
    );
    let after = sending(&apply(&zone, &report), &["192.88.1.1"]);
    assert_eq!(words(&after), [""; 0]);
    // Where one of them has no record nobody knows what is meant.
    let report = sending(&format!("{p}{record}"), &["192.88.1.1"]);
    assert_eq!(words(&report), ["spf-include-missing"]);
    assert_eq!(report.findings[0].publish, []);
}

const NAMES: &str = "p.example.net. A 192.88.1.9\nq.example.net. AAAA 2a01::9\np.example.net. MX 10 q.example.net.\nq.example.net. MX 10 p.example.net.\ni.example.net. TXT \"v=spf1 ip4:192.88.1.7 -all\"\nj.example.net. TXT \"v=spf1 ip4:192.88.1.6 -all\"\n";

#[test]
fn an_a_or_mx_of_two_names_with_a_comma_between_becomes_two() {
    let a = "a:p.example.net,q.example.net";
    let mx = "mx:q.example.net,p.example.net";
    let found = "a:p.example.net a:q.example.net mx:q.example.net mx:p.example.net";
    let instead_a =
        "write a:p.example.net a:q.example.net instead of “a:p.example.net,q.example.net”";
    for (record, word, after, mend) in [
        (
            format!("v=spf1 {a} {mx} -all"),
            "spf-void",
            format!("v=spf1 {found} ip4:192.88.1.1 -all"),
            format!("{instead_a}; write mx:q.example.net mx:p.example.net instead of “{mx}”"),
        ),
        // What is void and no slip goes.
        (
            format!("v=spf1 a:gone.example.net {a} {mx} ip4:192.88.1.1 -all"),
            "spf-too-many-voids",
            format!("v=spf1 {found} ip4:192.88.1.1 -all"),
            format!(
                "{instead_a}; write mx:q.example.net mx:p.example.net instead of “{mx}”; take out the names that have no address, or give them one"
            ),
        ),
        // What names another mechanism is that.
        (
            "v=spf1 ip4:192.88.1.1 ?a:p.example.net,+mx:p.example.net,q.example.net/24 -all".to_owned(),
            "spf-void",
            "v=spf1 ip4:192.88.1.1 ?a:p.example.net +mx:p.example.net ?a:q.example.net/24 -all".to_owned(),
            "write ?a:p.example.net +mx:p.example.net ?a:q.example.net/24 instead of “?a:p.example.net,+mx:p.example.net,q.example.net/24”".to_owned(),
        ),
        // Where nothing is at one of the names nobody knows what is meant.
        (
            "v=spf1 ip4:192.88.1.1 a:p.example.net,gone.example.net -all".to_owned(),
            "spf-void",
            String::new(),
            "each name needs a term of its own, without commas: let each that stands in a:p.example.net,gone.example.net have one, if it is there".to_owned(),
        ),
        (
            "v=spf1 ip4:192.88.1.1 mx:p.example.net,i.example.net -all".to_owned(),
            "spf-void",
            String::new(),
            "each name needs a term of its own, without commas: let each that stands in mx:p.example.net,i.example.net have one, if it is there".to_owned(),
        ),
    ] {
        let zone = format!("{NAMES}example.org. TXT \"{record}\"");
        let report = sending(&zone, &["192.88.1.1"]);
        let told = report.findings.iter().find(|one| one.finding == word);
        let told = told.unwrap_or_else(|| panic!("{record}: {report:?}"));
        assert!(told.mend.starts_with(&mend), "{record}: {}", told.mend);
        let published = report.together.publish.first();
        let published = published.map_or("", |record| &record.value);
        assert_eq!(published, after, "{record}");
        if !after.is_empty() {
            let report = sending(&apply(&zone, &report), &["192.88.1.1"]);
            assert_eq!(words(&report), [""; 0], "{record}");
        }
    }
}

#[test]
fn names_with_a_comma_between_are_parted_beside_other_slips() {
    let both = "include:i.example.net,j.example.net";
    let parted = "include:i.example.net include:j.example.net";
    let hosts = "a:p.example.net a:q.example.net";
    let instead = format!("write {parted} instead of “{both}”");
    for (record, word, after, mend) in [
        (
            format!("v=spf1 {both} ip4:192.88.1.1;"),
            "spf-syntax",
            format!("v=spf1 {parted} ip4:192.88.1.1"),
            instead.clone(),
        ),
        (
            format!("v=spf1 a:p.example.net,q.example.net {both}, ip4:192.88.1.1; -all"),
            "spf-syntax",
            format!("v=spf1 {hosts} {parted} ip4:192.88.1.1 -all"),
            format!("write {hosts} instead of “a:p.example.net,q.example.net”; write {parted} instead of “{both},”"),
        ),
        // Told also where there is no record, and once.
        (
            format!("v=spf1 {both}; ip4:192.88.1 -all"),
            "spf-syntax",
            String::new(),
            format!("write {parted} instead of “{both};”"),
        ),
        (
            format!("spf1 {both} ip4:192.88.1.1 -all"),
            "spf-syntax",
            format!("v=spf1 {parted} ip4:192.88.1.1 -all"),
            instead.clone(),
        ),
        (
            format!("v=spf1 {both} -all\"\nexample.org. TXT \"v=spf1 ip4:192.88.1.1 -all"),
            "spf-several",
            format!("v=spf1 {parted} ip4:192.88.1.1 -all"),
            instead.clone(),
        ),
        (
            format!("v=spf1 {} ip4:192.88.1.1 -all", both.replacen(':', ": ", 1)),
            "spf-syntax",
            format!("v=spf1 {parted} ip4:192.88.1.1 -all"),
            format!("write {parted} instead of “{}”", both.replacen(':', ": ", 1)),
        ),
        // What stands behind all does not count.
        (
            format!("v=spf1 ip4:192.88.1.1; -all {both}"),
            "spf-syntax",
            String::new(),
            format!("mend this first, which stands in the record already: {both} in the record of example.org stands behind all, where nothing counts; take it out, or put what is to count before all"),
        ),
        (
            "v=spf1 include:i.example.net,none.example.net ip4:192.88.1.1;".to_owned(),
            "spf-syntax",
            String::new(),
            "mend this first, which stands in the record already: include:i.example.net,none.example.net in the record of example.org does not work: i.example.net,none.example.net does not exist; each name needs a term of its own, without commas: let each that stands in include:i.example.net,none.example.net have one, if it is there".to_owned(),
        ),
    ] {
        let zone = format!("{NAMES}example.org. TXT \"{record}\"");
        let report = sending(&zone, &["192.88.1.1"]);
        assert_eq!(words(&report), [word], "{record}");
        let told = &report.findings[0].mend;
        assert!(told.contains(&mend), "{record}: {told}");
        assert_eq!(told.matches("j.example.net instead").count(), usize::from(mend.contains("include:j")), "{told}");
        let published = report.findings[0].publish.first();
        let published = published.map_or("", |record| &record.value);
        assert_eq!(published, after, "{record}");
        if !after.is_empty() {
            let after = sending(&apply(&zone, &report), &["192.88.1.1"]);
            assert!(!words(&after).contains(&"spf-include-missing"), "{record}");
            assert!(!words(&after).contains(&"spf-void"), "{record}");
        }
    }
}
