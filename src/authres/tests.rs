use super::forged::{MAX_ENDS, Reading};
use super::*;
use crate::message::{Header, HeaderLimits};

/// The verdicts on a message whose keys do not exist, as `field` tells them.
fn told(header: &str) -> String {
    let message = format!("{header}From: a@example.com\r\n\r\n");
    let zone = crate::dns::Zone::default();
    let policy = crate::policy::Policy::default();
    let now = crate::time::UnixTime(1_700_000_000);
    let verdicts = crate::verify(message.as_bytes(), &zone, &policy, now).unwrap();
    field(&AuthservId::new("mx.example.org").unwrap(), &verdicts)
}

fn signature(domain: &str, more: &str, b: &str) -> String {
    format!("DKIM-Signature: v=1; a=rsa-sha256; d={domain}; s=s; h=from; bh=Zm9v;{more} b={b}\r\n")
}

#[test]
fn signatures_are_told_apart_by_as_much_of_b_as_that_takes() {
    let text = told(
        &[
            signature("example.com", "", "AAAAAAAAAABBAAAA"),
            signature("example.com", "", "AAAAAAAAAACCAAAA"),
            signature("example.com", "", "AAAAAAAAAACCAAAA"),
            signature("example.com", "", "Zm9v"),
        ]
        .concat(),
    );
    for start in ["AAAAAAAAAAB\r", "AAAAAAAAAAC\r", "Zm9v"] {
        assert!(
            format!("{text};\r").replace(';', "\r").contains(start),
            "{text}"
        );
    }
}

#[test]
fn an_identity_that_is_too_long_for_a_mailbox_is_left_out() {
    let of_len = |len| {
        let i = format!(" i={}@example.com;", "x".repeat(len));
        told(&signature("example.com", &i, "Zm9v"))
    };
    assert!(of_len(64).contains("header.i=xxx"));
    let text = of_len(65);
    assert!(
        !text.contains("header.i") && text.contains("header.d=example.com"),
        "{text}"
    );
}

#[test]
fn of_many_signatures_the_best_are_told() {
    let mut header = signature("junk.example", "", "Zm9v").repeat(40);
    header.push_str(&signature("example.com", "", "YmFy"));
    header.push_str(&"DKIM-Signature: x\r\n".repeat(40));
    let text = told(&header);
    assert_eq!(text.matches("dkim=").count(), MAX_RESULTS);
    assert!(
        text.contains("(65 more signatures are not told of)"),
        "{text}"
    );
    assert!(text.contains("header.d=example.com"), "{text}");
    assert!(text.lines().all(|line| line.len() <= 78), "{text}");
}

#[test]
fn our_id_is_recognised_in_every_spelling() {
    let id = AuthservId::new("mx.example.org").unwrap();
    for (value, forged) in [
        (" mx.example.org; dkim=pass", true),
        ("mx.example.org;dkim=pass", true),
        ("\r\n\tMX.EXAMPLE.ORG\r\n\t; dkim=pass", true),
        (" mx.example.org", true),
        (" mx.example.org 1; dkim=pass", true),
        (" mx.example.org/1; dkim=pass", true),
        (" mx.example.org.; dkim=pass", true),
        (" \"mx.example.org\"; dkim=pass", true),
        (" \"mx.ex\\ample.org\" 1; dkim=pass", true),
        (" mx\\.example.org; dkim=pass", true),
        (" (a(b)\\)c) mx.example.org (d); none", true),
        (" mx.example.org(d); none", true),
        (" mx.(x)example.org; none", true),
        (" mx.example.org(x)evil; none", true),
        (" \"mx.example.org\"evil; none", true),
        (" mx.\"example\".org; none", true),
        (" mx.example.org\"\"; none", true),
        (" mx.example(x); none", false),
        (" \"mx.ex\\ample.org\" (unended", true),
        (" (unended mx.ex\\ample.org; none", true),
        (" mx.example.org\\", true),
        (" mx .example.org; none", true),
        (" mx.\r\n example.org; none", true),
        (" mx (c) . (c) example . org 1; none", true),
        ("\x0bmx.example.org\x0c; none", true),
        (" mx.example.org\0; none", true),
        (" mx.example.org\0.evil; none", true),
        (" mx.example.org\x01; none", true),
        (" (a)) mx.example.org; none", true),
        (" ) mx.example.org; none", true),
        (" mx example.org; none", false),
        (" (mx.example.org) other.example; none", false),
        (" \"(\" mx.example.org; none", false),
        (" (unended mx.example.org; dkim=pass", true),
        (" \"mx.example.org; dkim=pass", true),
        (" ; mx.example.org; dkim=pass", false),
        (" mx.example.org.evil.example; dkim=pass", false),
        (" evil.mx.example.org; dkim=pass", false),
        (" other.example; dkim=pass header.d=mx.example.org", false),
        ("", false),
    ] {
        for name in [
            "Authentication-Results",
            "authentication-RESULTS ",
            "Authentication-Results\t",
        ] {
            let text = format!("{name}:{value}\r\n");
            let header = Header::parse(text.as_bytes(), HeaderLimits::default()).unwrap();
            assert_eq!(is_forged(&id, header.field(0)), forged, "{text}");
        }
    }
    let id = AuthservId::new("mx.xn--bcher-kva.example").unwrap();
    let text = "Authentication-Results: mx.B\u{fc}cher.example; none\r\n";
    let header = Header::parse(text.as_bytes(), HeaderLimits::default()).unwrap();
    assert!(is_forged(&id, header.field(0)));
    let other = Header::parse(b"X: mx.example.org;\r\n", HeaderLimits::default()).unwrap();
    assert!(!is_forged(&id, other.field(0)));
}

#[test]
fn our_id_is_recognised_in_a_labels_and_u_labels() {
    for (id, spelling, forged) in [
        ("mx.xn--bcher-kva.example", "mx.b\u{fc}cher.example", true),
        ("mx.xn--bcher-kva.example", "MX.B\u{dc}CHER.Example.", true),
        ("mx.xn--bcher-kva.example", "mx.bu\u{308}cher.example", true),
        (
            "mx.xn--bcher-kva.example",
            "mx . b\u{fc}ch er . example 1",
            true,
        ),
        (
            "mx.xn--bcher-kva.example",
            "mx.b\u{fc}cher\u{3002}example",
            true,
        ),
        (
            "mx.xn--bcher-kva.example",
            "mx.xn--bcher-kva.ex\u{e4}mple",
            false,
        ),
        (
            "mx.xn--bcher-kva.example",
            "mx.b\u{fc}cher.example.evil",
            false,
        ),
        ("mx.xn--bcher-kva.example", "mx.b\u{fc}cher", false),
        ("mx.xn--bcher-kva.example", "mx.b\u{fc}chern.example", false),
        (
            "MX.XN--BCHER-KVA.xn--bcher-kva",
            "mx.b\u{fc}cher.xn--bcher-kva",
            true,
        ),
        (
            "MX.XN--BCHER-KVA.xn--bcher-kva",
            "mx.xn--bcher-kva.b\u{fc}cher",
            true,
        ),
        (
            "mx.example.org",
            "\u{ff4d}\u{ff38}.\u{1d41e}xample.org",
            true,
        ),
        ("mx.example.org", "mx.exam\u{ad}ple.org", true),
        ("mx_1!", "mx_\u{2460}!", true),
        ("mx.example.org", "\u{fffd}mx.example.org", false),
    ] {
        let id = AuthservId::new(id).unwrap();
        let text = format!("Authentication-Results: {spelling}; none\r\n");
        let header = Header::parse(text.as_bytes(), HeaderLimits::default()).unwrap();
        assert_eq!(is_forged(&id, header.field(0)), forged, "{text}");
    }
}

/// A value of some 330 characters that are all different, and end after every fourth.
fn far_and_wide() -> String {
    let chars = ('\u{4e00}'..).take(330).collect::<Vec<char>>();
    let words = chars.chunks(4).map(|word| word.iter().collect::<String>());
    words.collect::<Vec<String>>().join(" ")
}

#[test]
fn each_octet_is_mapped_once_at_most_wherever_an_id_may_end() {
    let text = far_and_wide();
    for value in [
        text.as_str(),
        &text.replace(' ', ". "),
        &text.replace(' ', ""),
    ] {
        let reading = Reading::of(value.as_bytes());
        let mut octets = 0;
        let (mapped, ends) = reading.mapped(|label| {
            octets += label.len();
            Some(label.to_owned())
        });
        assert!(octets <= reading.text.len(), "{octets}");
        assert!(ends.len() <= MAX_ENDS && ends.iter().all(|end| *end <= mapped.len()));
    }
    // Two thousand of them are as long as a header may be: minutes, if each were mapped for each end.
    let id = AuthservId::new("mx.xn--bcher-kva.example").unwrap();
    let began = std::time::Instant::now();
    let fields = format!("{FIELD_NAME}: {text}; dkim=pass\r\n").repeat(2000);
    let limits = HeaderLimits {
        bytes: fields.len(),
        ..HeaderLimits::default()
    };
    let header = Header::parse(fields.as_bytes(), limits).unwrap();
    assert!(!header.fields().any(|field| is_forged(&id, field)));
    let hidden = format!("X: {}\r\n", "\rAuthentication-Results: (".repeat(80_000));
    let header = Header::parse(hidden.as_bytes(), HeaderLimits::default()).unwrap();
    assert!(!hides_forged(&id, header.field(0)));
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}

#[test]
fn what_a_control_character_hides_is_found() {
    let id = AuthservId::new("mx.example.org").unwrap();
    for (value, hidden) in [
        ("y\rAuthentication-Results: mx.example.org; dkim=pass", true),
        (
            "\rauthentication-results \t:\r\n (c) MX.example.org 1; dkim=pass",
            true,
        ),
        ("y\r\rAuthentication-Results:mx.example.org", true),
        ("y\0Authentication-Results: mx.example.org; dkim=pass", true),
        ("y\nAuthentication-Results: mx.example.org; dkim=pass", true),
        (
            "y\n\0\rAuthentication-Results: mx.example.org; dkim=pass",
            true,
        ),
        (
            "y\rX: z\rAuthentication-Results: mx.example.org; none\rX: z",
            true,
        ),
        (
            "y\rAuthentication-Results: a.example; none\rAuthentication-Results: mx.example.org",
            true,
        ),
        (
            "y\rAuthentication-Results: a.example; mx.example.org\r",
            false,
        ),
        (
            "y\rAuthentication-Results: a.example\rmx.example.org",
            false,
        ),
        (
            "y\r Authentication-Results: mx.example.org; dkim=pass",
            false,
        ),
        (
            "y\r\n Authentication-Results: mx.example.org; dkim=pass",
            false,
        ),
        (
            "y\r\n\tAuthentication-Results: mx.example.org; dkim=pass",
            false,
        ),
        ("y Authentication-Results: mx.example.org; dkim=pass", false),
        (
            "y\rX-Authentication-Results: mx.example.org; dkim=pass",
            false,
        ),
        ("y\rAuthentication-Results", false),
        ("y\rAuthentication-Results:", false),
        ("mx.example.org\r", false),
        ("", false),
    ] {
        assert_eq!(
            value_hides_forged(&id, value.as_bytes()),
            hidden,
            "{value:?}"
        );
        let text = format!("X: {value}\r\n");
        if let Ok(header) = Header::parse(text.as_bytes(), HeaderLimits::default()) {
            assert_eq!(hides_forged(&id, header.field(0)), hidden, "{value:?}");
        }
    }
}

fn own(header: &str, received: usize) -> OwnResults {
    let id = AuthservId::new("mx.example.org").unwrap();
    let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
    own_results(&id, &header, received)
}

#[test]
fn what_is_believed_names_our_id_by_the_grammar() {
    for (value, want) in [
        (" mx.example.org; dkim=pass", Some("dkim=pass")),
        (
            " MX.example.ORG\r\n\t(a; b) 1 (c);\r\n\tdkim=pass (x;y);",
            Some("dkim=pass (x;y)"),
        ),
        (" (a) \"mx.example.org\"; none", Some("none")),
        ("mx.example.org/**/; dkim=pass", None),
        (" evil.example (mx.example.org; dmarc=pass", None),
        (" (mx.example.org;dmarc=pass", None),
        (" mx . example . org; dmarc=pass", None),
        (" mx.example.org/evil; dmarc=pass", None),
        (" mx.example.org.=evil; dmarc=pass", None),
        (" mx.example.org.; dmarc=pass", None),
        (" mx.example.org evil.example; dmarc=pass", None),
        (" mx.example.org 1 evil.example; dmarc=pass", None),
        (" mx\\.example.org; dmarc=pass", None),
        (" \"mx.example.org; dmarc=pass", None),
        (" mx.example.org\0; dmarc=pass", None),
        (" ; mx.example.org; dmarc=pass", None),
        ("", None),
    ] {
        let own = own(&format!("Authentication-Results:{value}\r\n"), 0);
        assert_eq!(own.text.as_deref(), want, "{value:?}");
        assert_eq!(own.below, 0);
    }
}

#[test]
fn all_our_fields_are_joined_but_those_that_may_have_come_from_outside() {
    let field = |results: &str| format!("Authentication-Results: mx.example.org; {results}\r\n");
    let header = [
        field("none"),
        field("spf=pass"),
        "Authentication-Results: other.example; arc=pass\r\n".to_owned(),
        field("dkim=pass; dmarc=pass"),
        field("spf=pass"),
        "Received: by mx.example.org\r\n".to_owned(),
        field("iprev=pass"),
        "Received: by evil.example\r\n".to_owned(),
        field("bimi=pass"),
    ];
    let header = header.concat();
    let joined = "spf=pass; dkim=pass; dmarc=pass; spf=pass";
    assert_eq!(own(&header, 0).text.unwrap(), joined);
    assert_eq!(own(&header, 0).below, 2);
    assert_eq!(
        own(&header, 1).text.unwrap(),
        format!("{joined}; iprev=pass")
    );
    assert_eq!(own(&header, 1).below, 1);
    let outside = own(&format!("Received: x\r\n{}", field("dkim=pass")), 0);
    assert_eq!((outside.text, outside.below), (None, 1));
}

#[test]
fn each_of_our_fields_is_read_by_itself() {
    let field = |results: &str| format!("Authentication-Results: mx.example.org; {results}\r\n");
    for (fields, text, unreadable) in [
        // Together these would hide the failures in a comment.
        (["dkim=pass (", "dmarc=fail x); iprev=pass"], None, 2),
        (["dkim=pass (", "dmarc=fail"], Some("dmarc=fail"), 1),
        (["none (nobody looked)", "spf=pass"], Some("spf=pass"), 0),
        (["none (nobody looked)", "dkim=pass \"x"], Some("none"), 1),
        (
            ["x_tls=pass; spf=pass", "i=9; dkim=pass"],
            Some("spf=pass; dkim=pass"),
            2,
        ),
        (["", "none"], Some("none"), 0),
        // A local part of RFC 6531 may hold what nobody sees.
        (
            [
                "dmarc=pass; spf=pass smtp.mailfrom=\"a\u{200d}b\"@evil.example",
                "dkim=pass (\u{7f}); arc=none",
            ],
            Some("dmarc=pass; arc=none"),
            2,
        ),
        (["spf=pass x=\"a\u{b}b\"", "none"], Some("none"), 1),
    ] {
        let own = own(&fields.map(field).concat(), 0);
        assert_eq!(
            (own.text.as_deref(), own.unreadable),
            (text, unreadable),
            "{fields:?}"
        );
    }
}

#[test]
fn a_word_longer_than_a_line_is_left_out_by_itself() {
    for (length, unreadable) in [(990, 0), (991, 1)] {
        let word = format!("i={}", "a".repeat(length - 2));
        let header = format!("Authentication-Results: mx.example.org; a=pass {word}; b=pass\r\n");
        let own = own(&header, 0);
        assert_eq!(own.unreadable, unreadable, "{length}");
        let text = own.text.unwrap();
        assert!(results(&text).is_ok() && text.ends_with("b=pass"), "{text}");
        let given = format!("a=pass {word}; b=pass");
        assert_eq!(results(&given).is_err(), unreadable == 1);
    }
    let long = format!("none ({})", "a".repeat(1000));
    assert!(results(&long).is_err());
}

#[test]
fn results_are_told_from_what_is_none() {
    for (text, want) in [
        ("", Ok(vec!["none"])),
        ("none", Ok(vec!["none"])),
        ("(nobody) none (looked)", Ok(vec!["(nobody) none (looked)"])),
        (
            "dkim=pass;; spf = none ;",
            Ok(vec!["dkim=pass", "spf = none"]),
        ),
        (
            "(a;b) dkim/1=pass (c;\\)d) x=\"e;\\\"f\"",
            Ok(vec!["(a;b) dkim/1=pass (c;\\)d) x=\"e;\\\"f\""]),
        ),
        ("dkim=pass (unclosed", Err(ResultsError::Unbalanced)),
        ("dkim=pass )", Err(ResultsError::Unbalanced)),
        ("dkim=pass x=\"y", Err(ResultsError::Unbalanced)),
        ("dkim=pass (\\", Err(ResultsError::Unbalanced)),
        ("i=9; dkim=pass", Err(ResultsError::Instance)),
        ("dkim=pass; (x) I = 9", Err(ResultsError::Instance)),
        (
            "other.example; dkim=pass",
            Err(ResultsError::NotAResult {
                found: "other.example".to_owned(),
            }),
        ),
        (
            "dkim",
            Err(ResultsError::NotAResult {
                found: "dkim".to_owned(),
            }),
        ),
        (
            "dkim=pass@x",
            Err(ResultsError::NotAResult {
                found: "dkim=pass@x".to_owned(),
            }),
        ),
    ] {
        assert_eq!(results(text), want, "{text}");
    }
}
