use super::super::testing::{judge_with, options, words};
use super::*;
use crate::audit::Options;
use crate::audit::finding::Grade;

const TABLE: &str = r#"
    [[list]]
    name = "One"
    zone = "one.example"
    kind = "address"
    families = ["ipv4", "ipv6"]
    listed = { "127.0.0.2-9" = "spam", "127.0.0.4" = "infected" }
    minor = { "127.0.0.20" = "neighbours" }
    refused = { "127.255.255.254" = "public resolver" }
    removal = "https://one.example/"
    [[list]]
    name = "Names"
    zone = "names.example"
    kind = "domain"
    listed = { "127.0.0.&8" = "phishing", "127.0.0.&64" = "abuse" }
    refused = { "127.0.0.1" = "refused" }
    test = "always.example"
    [[list]]
    name = "Bounces"
    zone = "bounces.example"
    kind = "backscatter"
    listed = { "127.0.0.2" = "bounces" }
    advice = "bounce nothing"
"#;
/// The three lists as they should be.
const SOUND: &str = "\
    2.0.0.127.one.example. A 127.0.0.2\n\
    2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.one.example. A 127.0.0.2\n\
    always.example.names.example. A 127.0.0.126\n\
    2.0.0.127.bounces.example. A 127.0.0.2\n";

fn with(addresses: &[&str]) -> Options {
    Options {
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        lists: Some(Lists::parse(TABLE).unwrap()),
        ..options()
    }
}

fn judge(zone: &str, addresses: &[&str]) -> CheckReport {
    judge_with("block-lists", zone, &with(addresses), |_| None)
}

/// What was left out, and why.
fn left_out(report: &CheckReport) -> Vec<String> {
    let rows = report.facts["left_out"].as_array().unwrap().iter();
    rows.map(|row| {
        format!(
            "{}: {}",
            row["list"].as_str().unwrap(),
            row["why"].as_str().unwrap()
        )
    })
    .collect()
}

#[test]
fn what_is_on_no_list_passes() {
    let report = judge(SOUND, &["192.88.1.1", "2a01::1"]);
    assert_eq!(words(&report), Vec::<&str>::new());
    assert_eq!(
        report.sentence,
        "none of 3 lists has example.org or one of 2 sending addresses"
    );
    assert_eq!(left_out(&report), Vec::<String>::new());
    assert_eq!(report.facts["asked"], json!(["Names", "One", "Bounces"]));
}

#[test]
fn listings_are_told_with_reason_and_removal() {
    let zone = format!(
        "{SOUND}1.1.88.192.one.example. A 127.0.0.4\n1.1.88.192.one.example. TXT \"see <b>one</b>\"\n\
         2.1.88.192.one.example. A 127.0.0.20\nexample.org.names.example. A 127.0.0.72\n\
         1.1.88.192.bounces.example. A 127.0.0.2\n\
         1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.a.2.one.example. A 127.0.0.3"
    );
    let report = judge(&zone, &["192.88.1.1", "192.88.1.2", "2a01::1"]);
    let found: Vec<(&str, &str, Grade)> = report
        .findings
        .iter()
        .map(|f| (f.finding, f.about.as_str(), f.result))
        .collect();
    assert_eq!(
        found,
        [
            ("listed-domain", "example.org", Grade::Fail),
            ("listed-address", "192.88.1.1", Grade::Fail),
            ("listed-address", "2a01::1", Grade::Fail),
            ("listed-minor", "192.88.1.2", Grade::Warning),
            ("listed-backscatter", "192.88.1.1", Grade::Warning),
        ]
    );
    assert_eq!(
        report.findings[1].sentence,
        "192.88.1.1 is on the list One: spam, infected; the list says \"see <b>one</b>\""
    );
    assert_eq!(
        report.findings[1].mend,
        "find out what caused it and end that, then ask for removal at https://one.example/"
    );
    assert_eq!(
        report.findings[0].sentence,
        "example.org is on the list Names: phishing, abuse"
    );
    assert_eq!(report.findings[4].mend, "bounce nothing");
    assert_eq!(report.facts["listings"][0]["codes"], json!(["127.0.0.72"]));
}

#[test]
fn a_list_that_cannot_be_believed_counts_for_nothing() {
    let listed = "1.1.88.192.one.example. A 127.0.0.2\nexample.org.names.example. A 127.0.0.8\n";
    let dead = "it lacks the entry that each list has for tests: it is dead, or answers nobody who asks from here";
    let parked =
        "it answers 192.88.9.9, which is no answer of a list: somebody else answers in its place";
    let public = "it says: public resolver";
    let silent = r#"{"2.0.0.127.one.example.": {"status": "TIMEOUT"}, "1.1.88.192.one.example.": {"A": ["127.0.0.2"]}}"#;
    for (zone, why) in [
        // Dead: nothing is on it, not even the test entry.
        (listed.to_owned(), dead),
        // It lists the world.
        (
            format!("{listed}2.0.0.127.one.example. A 127.0.0.2\n1.0.0.127.one.example. A 127.0.0.2"),
            "it lists what is on no list: it lists all the world",
        ),
        // The zone is parked, or the resolver lies.
        (
            "*.one.example. A 192.88.9.9\n1.1.88.192.one.example. A 192.88.9.9\n2.0.0.127.one.example. A 192.88.9.9".to_owned(),
            parked,
        ),
        (
            "2.0.0.127.one.example. A 127.0.0.2\n1.1.88.192.one.example. A 192.88.9.9".to_owned(),
            parked,
        ),
        // It refuses.
        (
            format!("{listed}2.0.0.127.one.example. A 127.255.255.254"),
            public,
        ),
        (
            "2.0.0.127.one.example. A 127.0.0.2\n1.1.88.192.one.example. A 127.255.255.254".to_owned(),
            public,
        ),
        // The table does not know what it says.
        (
            "2.0.0.127.one.example. A 127.0.0.2\n1.1.88.192.one.example. A 127.0.0.99".to_owned(),
            "it answers 127.0.0.99, which the table does not explain",
        ),
        (silent.to_owned(), "it does not answer: no name server answered in time"),
    ] {
        let report = judge(&zone, &["192.88.1.1"]);
        assert!(!words(&report).contains(&"listed-address"), "{zone}");
        assert!(
            left_out(&report).contains(&format!("One: {why}")),
            "{zone}"
        );
    }
}

#[test]
fn a_refusal_to_the_test_entry_of_names_is_no_listing() {
    let zone = "*.names.example. A 127.0.0.1\nexample.org.names.example. A 127.0.0.1\n\
                always.example.names.example. A 127.0.0.1\ninvalid.names.example. A 127.0.0.1";
    let report = judge(zone, &["192.88.1.1"]);
    assert!(left_out(&report).contains(&"Names: it says: refused".to_owned()));
    assert_eq!(words(&report), ["lists-silent"]);
    assert_eq!(report.result, Grade::Unknown);
}

#[test]
fn addresses_that_nobody_reaches_are_not_asked_about() {
    for (addresses, part) in [
        (&[][..], "no address is known that the domain sends from"),
        (
            &["10.0.0.1"],
            "10.0.0.1, which example.org sends from, is not reachable",
        ),
    ] {
        let report = judge(SOUND, addresses);
        assert_eq!(words(&report), ["no-sending-address"]);
        assert!(report.sentence.starts_with(part), "{}", report.sentence);
        // The lists of domains were asked even so.
        assert_eq!(report.facts["asked"], json!(["Names"]));
    }
}

#[test]
fn lists_can_be_left_out() {
    let options = Options {
        lists: None,
        ..with(&["192.88.1.1"])
    };
    let report = judge_with("block-lists", "", &options, |_| None);
    assert_eq!(report.result, Grade::Pass);
    assert_eq!(
        report.sentence,
        "no list was asked: --no-lists leaves them out"
    );
}

#[test]
fn the_reason_of_a_list_is_cut() {
    let zone = format!(
        "{SOUND}1.1.88.192.one.example. A 127.0.0.2\n1.1.88.192.one.example. TXT {}",
        format!("\"{}\" ", "ö".repeat(100)).repeat(5)
    );
    let report = judge(&zone, &["192.88.1.1"]);
    let reason = report.facts["listings"][0]["reason"].as_str().unwrap();
    assert_eq!(reason, "ö".repeat(150));
}
