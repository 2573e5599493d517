//! What is told of a large record is no longer than a person can look through.

use super::super::super::testing::{apply, judge, words};
use super::zone;

/// A zone with a record of many strings.
fn large(record: &str) -> String {
    let strings = record.as_bytes().chunks(200);
    let strings = strings.map(|string| String::from_utf8_lossy(string).into_owned());
    let strings: Vec<String> = strings.collect();
    zone(&strings.join("\" \""))
}

/// What the findings hold, in octets.
fn told(report: &crate::audit::CheckReport) -> usize {
    serde_json::to_string(&report.findings).unwrap().len()
}

fn terms(count: usize, term: impl Fn(usize) -> String) -> String {
    let terms: Vec<String> = (0..count).map(term).collect();
    terms.join(" ")
}

#[test]
fn many_unknown_modifiers_are_one_finding() {
    let large = large(&format!(
        "v=spf1 mx {} -all",
        terms(1500, |at| format!("m{at}=x"))
    ));
    let report = judge("spf", &large);
    assert_eq!(words(&report), ["spf-unknown-modifier", "spf-long"]);
    let finding = &report.findings[0];
    assert_eq!(
        finding.sentence,
        "m0=x, m1=x, m2=x, m3=x, m4=x, m5=x, m6=x, m7=x and 1492 more in the SPF record are modifiers that nobody knows, and are passed over"
    );
    assert!(
        finding
            .mend
            .ends_with("; take m7=x out; do the same with the 1492 more"),
        "{}",
        finding.mend
    );
    assert_eq!(finding.publish[0].value, "v=spf1 mx -all");
    assert!(told(&report) < 1 << 15, "{}", told(&report));
    let after = judge("spf", &apply(&large, &report));
    assert_eq!(words(&after), [""; 0]);
    // What is meant as a mechanism becomes one where it does no harm.
    let meant = terms(9, |at| format!("ip4=192.88.2.{at}"));
    let gone = terms(8, |at| format!("m{at}=x"));
    let report = judge("spf", &zone(&format!("v=spf1 mx {meant} {gone} -all")));
    assert_eq!(words(&report), ["spf-unknown-modifier"; 9]);
    let mend = &report.findings[0].mend;
    let end = "; write ip4:192.88.2.7 instead of “ip4=192.88.2.7”; do the same with the 1 more";
    assert!(mend.ends_with(end), "{mend}");
    let after = format!("v=spf1 mx {} -all", meant.replace('=', ":"));
    assert_eq!(report.together.publish[0].value, after);
    // Where one does harm, the others are mended all the same.
    let report = judge(
        "spf",
        &zone(&format!("v=spf1 mx {meant} ptr=example.net -all")),
    );
    assert_eq!(words(&report), ["spf-unknown-modifier"; 2]);
    assert_eq!(report.findings[0].publish, []);
    let after = format!("v=spf1 mx {} ptr=example.net -all", meant.replace('=', ":"));
    assert_eq!(report.together.publish[0].value, after);
}

#[test]
fn mends_of_a_large_record_are_told_as_long_as_they_are_short() {
    let large = large(&format!(
        "v=spf1 mx {} -all",
        terms(600, |at| format!("ptr:p{at}.example.net"))
    ));
    let report = judge("spf", &large);
    assert!(told(&report) < 1 << 20, "{}", told(&report));
    let published = report
        .findings
        .iter()
        .filter(|finding| !finding.publish.is_empty());
    assert!(published.count() > 2);
    let last = report
        .findings
        .iter()
        .rfind(|finding| finding.finding == "spf-ptr")
        .unwrap();
    assert!(
        last.mend
            .ends_with("follow the other mends first, and run the audit again"),
        "{}",
        last.mend
    );
    let after = judge("spf", &apply(&large, &report));
    assert!(words(&after).len() < words(&report).len());
}
