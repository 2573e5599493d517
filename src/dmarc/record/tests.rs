use super::*;
use crate::record::lint::Severity;

fn read(text: &str) -> Reading {
    Reading::parse(text.as_bytes()).expect(text)
}

fn words(text: &str) -> Vec<&'static str> {
    read(text).findings.iter().map(|f| f.fault.word()).collect()
}

#[test]
fn without_v_dmarc1_at_the_start_it_is_no_policy_record() {
    let version = |found: &str| NotDmarc::Version {
        found: found.into(),
    };
    for (text, want, meant) in [
        ("", NotDmarc::Empty, false),
        (" \t", NotDmarc::Empty, false),
        ("v=DMARC1x; p=reject", version("DMARC1x"), true),
        ("v=DMARC1 p=reject", version("DMARC1 p=reject"), true),
        ("v=dmarc1; p=reject", version("dmarc1"), true),
        ("v=DMARC2; p=reject", version("DMARC2"), true),
        ("v=; p=reject", version(""), false),
        ("v=spf1 -all", version("spf1 -all"), false),
        ("DMARC1; p=reject", NotDmarc::NoName, true),
        (
            "p=reject; v=DMARC1",
            NotDmarc::VersionNotFirst { at: 10 },
            true,
        ),
        (";v=DMARC1", NotDmarc::VersionNotFirst { at: 1 }, true),
        ("\"v=DMARC1; p=none\"", NotDmarc::NoVersion, false),
        ("v", NotDmarc::NoVersion, false),
        ("hello", NotDmarc::NoVersion, false),
        (" v=DMARC1; p=none", NotDmarc::LeadingBlank, true),
        ("\tv=DMARC1", NotDmarc::LeadingBlank, true),
        ("v=DMARC1\r\n; p=none", version("DMARC1\\r\\n"), true),
    ] {
        let error = Reading::parse(text.as_bytes()).unwrap_err();
        assert_eq!((&error, error.is_meant()), (&want, meant), "{text:?}");
    }
    for text in ["v=DMARC1", "v=DMARC1;", "V \t=\t DMARC1 ; "] {
        assert!(Reading::parse(text.as_bytes()).is_ok(), "{text:?}");
    }
}

#[test]
fn every_tag_is_read() {
    let reading = read(
        "v=DMARC1; p=Reject; sp=QUARANTINE; np=none; adkim=s; aspf=S; psd=n; t=y; fo=1:d:s; \
         rua=mailto:a@example.com , mailto:b%2Cc@b\u{fc}cher.example; ruf=https://r.example:8443/x",
    );
    let record = reading.record;
    assert_eq!(record.p, Request::Asks(Policy::Reject));
    assert_eq!(record.sp, Request::Asks(Policy::Quarantine));
    assert_eq!(record.np, Request::Asks(Policy::None));
    assert_eq!((record.adkim, record.aspf), (Mode::Strict, Mode::Strict));
    assert_eq!((record.psd, record.testing), (Psd::No, true));
    let every = FailureOptions {
        all: false,
        any: true,
        dkim: true,
        spf: true,
    };
    assert_eq!(record.fo, every);
    // The second has a character that must be encoded.
    assert_eq!(record.rua.len(), 1);
    let host = |uri: &ReportUri| uri.destination().unwrap().as_ascii().to_owned();
    assert_eq!(host(&record.ruf[0]), "r.example");
    let found: Vec<_> = reading.findings.iter().map(|f| f.fault.word()).collect();
    assert_eq!(found, ["dmarc-uri-invalid", "dmarc-uri-scheme"]);
}

#[test]
fn what_is_wrong_is_passed_over_and_named() {
    for (text, want) in [
        ("v=DMARC1; p=none", vec![]),
        ("v=DMARC1;p=none;", vec![]),
        ("v = DMARC1 ; p\t=\tnone ; ", vec![]),
        ("v=DMARC1;; p=none;;", vec!["dmarc-empty-item"; 2]),
        ("v=DMARC1; p=none; bogus", vec!["dmarc-malformed"]),
        ("v=DMARC1; p=none; p2=x", vec!["dmarc-malformed"]),
        ("v=DMARC1; p=none; =x", vec!["dmarc-malformed"]),
        ("v=DMARC1; p=none; sp:none", vec!["dmarc-malformed"]),
        ("v=DMARC1; p=none; p=reject", vec!["dmarc-tag-twice"]),
        ("v=DMARC1; p=none; v=DMARC1", vec!["dmarc-tag-twice"]),
        ("v=DMARC1; p=none; P=none", vec!["dmarc-tag-twice"]),
        ("v=DMARC1; p=none; x=y", vec!["dmarc-tag-unknown"]),
        (
            "v=DMARC1; p=none; pct=100; rf=afrf; ri=86400",
            vec!["dmarc-tag-obsolete"; 3],
        ),
        ("v=DMARC1; p=none; adkim=strict", vec!["dmarc-tag-invalid"]),
        ("v=DMARC1; p=none; t=1", vec!["dmarc-tag-invalid"]),
        ("v=DMARC1; p=none; psd=", vec!["dmarc-tag-invalid"]),
        ("v=DMARC1; p=none; rua=", vec!["dmarc-tag-invalid"]),
        ("v=DMARC1; t=n; p=none", vec!["dmarc-policy-not-second"]),
        ("v=DMARC1; p=none; fo=1", vec!["dmarc-options-unused"]),
        (
            "v=DMARC1; p=none; rua=mailto:a@example.com!10m",
            vec!["dmarc-uri-size"],
        ),
        (
            "v=DMARC1; p=none; rua=a@example.com",
            vec!["dmarc-uri-invalid"],
        ),
        (
            "v=DMARC1; p=none; rua=mailto:a@example.com,,",
            vec!["dmarc-uri-invalid"; 2],
        ),
        ("v=DMARC1", vec!["dmarc-not-applied"]),
        (
            "v=DMARC1; rua=mailto:a@example.com",
            vec!["dmarc-acts-as-none"],
        ),
        (
            "v=DMARC1; p=reject; np=all",
            vec!["dmarc-tag-invalid", "dmarc-not-applied"],
        ),
    ] {
        assert_eq!(words(text), want, "{text}");
    }
    let many = format!("v=DMARC1; p=none{}", "; x".repeat(MAX_ITEMS));
    assert_eq!(words(&many).last(), Some(&"dmarc-too-many-tags"));
    assert_eq!(words(&many).len(), MAX_ITEMS);
}

#[test]
fn a_record_without_end_is_none_and_a_long_one_is_not_printed_whole() {
    let of_length = |len: usize| format!("v=DMARC1; p=none; x={}", "\u{1}".repeat(len - 20));
    let reading = read(&of_length(MAX_TEXT));
    let widest = 4 * MAX_SHOWN + "…".len();
    assert!(reading.text.len() <= widest && reading.tags[1].value.len() <= widest);
    let error = Reading::parse(of_length(MAX_TEXT + 1).as_bytes()).unwrap_err();
    let len = MAX_TEXT + 1;
    assert_eq!(error, NotDmarc::TooLong { len });
    assert!(error.is_meant());
}

#[test]
fn of_a_tag_that_stands_twice_the_first_counts_even_if_it_is_invalid() {
    assert_eq!(
        read("v=DMARC1; p=none; p=reject").record.p.policy(),
        Some(Policy::None)
    );
    assert_eq!(read("v=DMARC1; p=x; p=reject").record.p, Request::Invalid);
}

#[test]
fn a_finding_stands_where_it_says_and_can_be_printed() {
    let text =
        "v=DMARC1; p=no\u{1b}ne; \u{e9}=1; rua=mailto:a@b.example , a@c.example;; fo=0:1; fo=d";
    let reading = read(text);
    let places: Vec<(&str, &str)> = reading
        .findings
        .iter()
        .map(|f| (f.fault.word(), &text[f.span.clone()]))
        .collect();
    assert_eq!(
        places,
        [
            ("dmarc-tag-invalid", "p=no\u{1b}ne"),
            ("dmarc-malformed", "\u{e9}=1"),
            ("dmarc-uri-invalid", "a@c.example"),
            ("dmarc-empty-item", ""),
            ("dmarc-tag-invalid", "fo=0:1"),
            ("dmarc-options-unused", "fo=0:1"),
            ("dmarc-tag-twice", "fo=d"),
            ("dmarc-acts-as-none", text),
        ]
    );
    for finding in &reading.findings {
        let said = [finding.fault.sentence(), finding.fault.mend()].concat();
        assert!(!said.contains(char::is_control), "{said:?}");
        assert!(finding.fault.severity() >= Severity::Note);
    }
    assert!(reading.text.is_ascii() && !reading.text.contains(char::is_control));
}

#[test]
fn options_of_failure_reports_are_each_there_once() {
    for (value, want) in [
        ("0", Some("0")),
        ("1", Some("1")),
        ("d", Some("d")),
        ("s:1:d", Some("1:d:s")),
        ("0:D:S", Some("0:d:s")),
        ("0:1", None),
        ("d:d", None),
        ("1:", None),
        ("", None),
        ("1 : d", None),
        ("x", None),
    ] {
        let read = FailureOptions::read(value.as_bytes());
        let read = read.map(|fo| fo.to_string());
        assert_eq!(read.as_deref(), want, "{value:?}");
    }
}

#[test]
fn addresses_for_reports_are_read() {
    let parse = |text: &str| ReportUri::parse(text.as_bytes());
    for (text, want) in [
        ("", UriError::Empty),
        ("a@example.com", UriError::NoScheme),
        ("1x:a@example.com", UriError::NoScheme),
        (":a@example.com", UriError::NoScheme),
        ("mailto:", UriError::NoMailbox),
        ("mailto:example.com", UriError::NoMailbox),
        ("mailto:@example.com", UriError::NoMailbox),
        ("mailto:a@", UriError::NoMailbox),
        ("mailto:a@exa%20mple.com", UriError::NoMailbox),
        ("mailto:a%00b@example.com", UriError::NoMailbox),
        ("mailto:a%ff@example.com", UriError::NoMailbox),
        ("mailto:a b@example.com", UriError::Character),
        ("mailto:a%2@example.com", UriError::Character),
        ("mailto:a%g0@example.com", UriError::Character),
        ("mailto:<a@example.com>", UriError::Character),
        ("mailto:a@example.com!", UriError::Size),
        ("mailto:a@example.com!m", UriError::Size),
        ("mailto:a@example.com!1x", UriError::Size),
        ("mailto:a@example.com!1kk", UriError::Size),
        ("mailto:a!b@example.com", UriError::Size),
    ] {
        assert_eq!(parse(text), Err(want), "{text}");
    }
    for (text, local_part, domain, limit) in [
        ("mailto:a@Example.com", "a", "example.com", None),
        ("MAILTO:a%40b@example.com", "a@b", "example.com", None),
        ("mailto:a%40example.com", "a", "example.com", None),
        (
            "mailto:a%21@example.com!5K",
            "a!",
            "example.com",
            Some(5 << 10),
        ),
        ("mailto:a@example.com?subject=x", "a", "example.com", None),
        ("mailto:a@example.com!0", "a", "example.com", Some(0)),
        (
            "mailto:a@b%C3%BCcher.example",
            "a",
            "xn--bcher-kva.example",
            None,
        ),
        (
            "mailto:a@example.com!99999999999999999999t",
            "a",
            "example.com",
            Some(u64::MAX),
        ),
    ] {
        let uri = parse(text).expect(text);
        let mailbox = uri.mailbox.as_ref().unwrap();
        assert_eq!(
            (
                mailbox.local_part.as_str(),
                mailbox.domain.as_ascii(),
                uri.size_limit
            ),
            (local_part, domain, limit),
            "{text}"
        );
    }
    let uri = parse("https://u@report.example:8443/x?y").unwrap();
    assert_eq!((uri.scheme(), uri.mailbox.is_none()), ("https", true));
    assert_eq!(uri.destination().unwrap().as_ascii(), "report.example");
    assert_eq!(parse("tel:1").unwrap().destination(), None);
}

#[test]
fn what_is_printed_is_read_again_and_has_no_fault() {
    let text = "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=s; psd=y; t=y; \
                rua=mailto:a@example.com,mailto:b@example.net; ruf=mailto:c@example.com; fo=1:d:s";
    assert_eq!(read(text).record.to_string(), text);
    for text in [
        "v=DMARC1; P=none; psd=u; t=n; adkim=r; x=1; pct=3; p=reject;; fo=d",
        "v=DMARC1; rua=mailto:a@example.com!1m",
        "v=DMARC1",
    ] {
        let record = read(text).record;
        let again = read(&record.to_string());
        assert_eq!(again.record.force(), record.force(), "{text}");
        assert_eq!(again.record.to_string(), record.to_string());
        let mended = |f: &Finding| matches!(f.fault, Fault::ActsAsNone | Fault::NotApplied);
        assert!(again.findings.iter().all(mended), "{text}");
    }
}
