//! Results of RFC 9989 §9.2, over tables of records and identifiers.

use super::super::record::Policy;
use super::super::*;
use super::{REJECT, judge};

#[test]
fn a_message_passes_by_what_passes_and_is_aligned() {
    let strict = "example.com v=DMARC1; p=reject; adkim=s; aspf=s";
    let split = "example.com v=DMARC1; p=reject\nb.example.com v=DMARC1; p=reject; psd=n";
    for (lines, author, identifiers, want) in [
        (
            REJECT,
            "example.com",
            &["spf=pass example.com"][..],
            "pass aligned",
        ),
        (
            REJECT,
            "example.com",
            &["dkim=pass EXAMPLE.com"],
            "pass aligned",
        ),
        (
            REJECT,
            "a.example.com",
            &["dkim=pass b.c.example.com"],
            "pass aligned",
        ),
        (
            REJECT,
            "example.com",
            &["dkim=pass fexample.com"],
            "fail not-aligned",
        ),
        (
            REJECT,
            "example.com",
            &["dkim=pass com"],
            "fail not-aligned",
        ),
        (
            REJECT,
            "a.example.com",
            &["spf=pass example.net"],
            "fail not-aligned",
        ),
        (
            REJECT,
            "example.com",
            &["spf=softfail example.com", "dkim=fail example.com"],
            "fail nothing-passes",
        ),
        (REJECT, "example.com", &[], "fail nothing-passes"),
        (
            REJECT,
            "example.com",
            &["dkim=fail example.com", "dkim=pass a.example.com"],
            "pass aligned",
        ),
        (
            strict,
            "example.com",
            &["spf=pass a.example.com", "dkim=pass a.example.com"],
            "fail not-aligned",
        ),
        (
            strict,
            "example.com",
            &["spf=pass a.example.com", "dkim=pass example.com"],
            "pass aligned",
        ),
        (
            strict,
            "a.example.com",
            &["dkim=pass example.com"],
            "fail not-aligned",
        ),
        // psd=n makes an organization of its own, seen from both sides.
        (
            split,
            "example.com",
            &["dkim=pass b.example.com"],
            "fail not-aligned",
        ),
        (
            split,
            "a.b.example.com",
            &["dkim=pass example.com"],
            "fail not-aligned",
        ),
        (
            split,
            "a.b.example.com",
            &["dkim=pass b.example.com"],
            "pass aligned",
        ),
        // Registrants under one suffix are strangers.
        (
            "com v=DMARC1; p=reject; psd=y",
            "example.com",
            &["dkim=pass example.com"],
            "pass aligned",
        ),
        (
            "com v=DMARC1; p=reject; psd=y",
            "example.com",
            &["dkim=pass other.com"],
            "fail not-aligned",
        ),
        (
            "com v=DMARC1; p=reject; psd=y",
            "example.com",
            &["dkim=pass com"],
            "fail not-aligned",
        ),
        // Without a record above it, a subdomain with one is its own organization.
        (
            "a.example.com v=DMARC1; p=reject",
            "a.example.com",
            &["dkim=pass example.com"],
            "fail not-aligned",
        ),
        (
            "",
            "example.com",
            &["dkim=pass example.com"],
            "none no-record",
        ),
    ] {
        let outcome = judge(lines, author, identifiers);
        let found = format!("{} {}", outcome.result, outcome.reason.as_str());
        assert_eq!(
            found, want,
            "{author} {identifiers:?} {lines}\n{}",
            outcome.sentence
        );
        let fails = outcome.result == DmarcResult::Fail;
        let want = if fails { Policy::Reject } else { Policy::None };
        assert_eq!(outcome.disposition, want);
    }
}

#[test]
fn a_failure_of_dns_changes_only_what_depends_on_it() {
    let above = "a.example.com v=DMARC1; p=reject\nexample.com !SERVFAIL";
    let theirs = "example.com v=DMARC1; p=reject\nb.example.com !TIMEOUT";
    let np = "example.com v=DMARC1; p=reject; np=none\n=a.example.com !TIMEOUT";
    let same = "example.com v=DMARC1; p=reject; np=reject\n=a.example.com !TIMEOUT";
    for (lines, author, identifiers, want) in [
        (
            "example.com !SERVFAIL",
            "example.com",
            &["dkim=pass example.com"][..],
            "temperror policy-unknown",
        ),
        (
            "example.com !REFUSED",
            "a.example.com",
            &[],
            "temperror policy-unknown",
        ),
        (
            "com !SERVFAIL",
            "example.com",
            &[],
            "temperror policy-unknown",
        ),
        // The policy is known; which organization it is, is not.
        (
            above,
            "a.example.com",
            &["dkim=pass a.example.com"],
            "pass aligned",
        ),
        (
            above,
            "a.example.com",
            &["dkim=pass b.example.com"],
            "temperror alignment-unknown",
        ),
        (
            above,
            "a.example.com",
            &["dkim=pass example.com"],
            "temperror alignment-unknown",
        ),
        (
            above,
            "a.example.com",
            &["dkim=fail b.example.com"],
            "fail nothing-passes",
        ),
        (
            above,
            "a.example.com",
            &["dkim=pass example.net"],
            "fail not-aligned",
        ),
        (
            "a.example.com v=DMARC1; p=reject; adkim=s\nexample.com !SERVFAIL",
            "a.example.com",
            &["dkim=pass b.example.com"],
            "fail not-aligned",
        ),
        (
            "a.example.com v=DMARC1; p=reject\ncom !SERVFAIL\nb.com v=DMARC1; psd=n",
            "a.example.com",
            &["dkim=pass b.com"],
            "fail not-aligned",
        ),
        (
            theirs,
            "example.com",
            &["dkim=pass b.example.com"],
            "temperror alignment-unknown",
        ),
        (
            theirs,
            "example.com",
            &["dkim=pass b.example.com", "spf=pass c.example.com"],
            "pass aligned",
        ),
        // SPF or a signature that may pass another time.
        (
            REJECT,
            "example.com",
            &["spf=temperror example.com"],
            "temperror identifier-unknown",
        ),
        (
            REJECT,
            "example.com",
            &["dkim=temperror a.example.com"],
            "temperror identifier-unknown",
        ),
        (
            REJECT,
            "example.com",
            &["spf=temperror example.net"],
            "fail nothing-passes",
        ),
        (
            REJECT,
            "example.com",
            &["spf=temperror example.com", "dkim=pass example.com"],
            "pass aligned",
        ),
        // Whether the author domain exists.
        (np, "a.example.com", &[], "temperror existence-unknown"),
        (
            np,
            "a.example.com",
            &["dkim=pass a.example.com"],
            "pass aligned",
        ),
        (same, "a.example.com", &[], "fail nothing-passes"),
    ] {
        let outcome = judge(lines, author, identifiers);
        let found = format!("{} {}", outcome.result, outcome.reason.as_str());
        assert_eq!(
            found, want,
            "{author} {identifiers:?} {lines}\n{}",
            outcome.sentence
        );
        if outcome.result == DmarcResult::TempError {
            assert_eq!(
                outcome.disposition,
                Policy::None,
                "§5.3.6: no policy is applied"
            );
        }
        let missing = outcome.missing.is_some();
        assert_eq!(
            missing,
            want.starts_with("temperror") && !want.contains("identifier")
        );
    }
}
