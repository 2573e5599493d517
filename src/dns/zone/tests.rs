use super::*;
use crate::name::{Domain, Selector};

fn ask(zone: &str, domain: &str) -> Answer {
    let selector = Selector::new("s").unwrap();
    let name = KeyName::new(&selector, &Domain::new(domain).unwrap()).unwrap();
    Zone::parse(zone).unwrap().lookup_txt(&name)
}

fn txt(zone: &str, domain: &str) -> Vec<String> {
    match ask(zone, domain) {
        Answer::Records { txt, .. } => txt.iter().map(|t| t.escape_ascii().to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_zone_file_is_read_in_all_its_forms() {
    let zone = "
; a comment
$TTL 1h
$ORIGIN example.com.
@ IN SOA ns hostmaster ( 1 2 3
   4 5 ) ; the end
s._domainkey IN TXT ( \"v=DKIM1; k=rsa; \"  ; first
      \"p=Zm9v\" )
        300 TXT second
S._DomainKey.Example.NET. 1h30m IN TXT \"a\\;b\\\"c\\065\"
s._domainkey.alias IN CNAME s._domainkey
s._domainkey.loop CNAME s._domainkey.loop
s._domainkey.other A 127.0.0.1
s._domainkey.b\u{fc}cher TXT x
s._domainkey.\u{5d0}\u{5d1} TXT right-to-left
";
    assert_eq!(
        txt(zone, "example.com"),
        ["v=DKIM1; k=rsa; p=Zm9v", "second"]
    );
    assert_eq!(txt(zone, "example.net"), ["a;b\\\"cA"]);
    assert_eq!(txt(zone, "alias.example.com").len(), 2);
    assert_eq!(txt(zone, "xn--bcher-kva.example.com"), ["x"]);
    assert_eq!(txt(zone, "\u{5d0}\u{5d1}.example.com"), ["right-to-left"]);
    let broken = Answer::Temporary(Cause::ServerFailure);
    assert_eq!(ask(zone, "loop.example.com"), broken);
    assert_eq!(ask(zone, "other.example.com"), Answer::NoData);
    assert_eq!(ask(zone, "absent.example.com"), Answer::NoName);
    let Answer::Records { ttl, .. } = ask(zone, "example.net") else {
        panic!()
    };
    assert_eq!(ttl, Duration::from_secs(5400));
}

#[test]
fn names_above_those_that_exist_are_empty_and_wildcards_stand_for_those_that_do_not() {
    // RFC 4592 §2.2.1, but for its name servers.
    let zone = "$ORIGIN example.
*.example. 3600 TXT wildcard
*.example. 3600 MX 10 host1.example.
sub.*.example. 3600 TXT not-a-wildcard
host1.example. 3600 A 192.0.2.1
_ssh._tcp.host1.example. 3600 TXT deep
*.alias.example. CNAME host1
";
    let json = r#"{"*.example.": {"TXT": ["wildcard"], "MX": ["10 host1.example."]},
            "sub.*.example.": {"TXT": ["not-a-wildcard"]}, "host1.example.": {"A": ["192.0.2.1"]},
            "_ssh._tcp.host1.example.": {"TXT": ["deep"]}, "*.alias.example.": {"CNAME": ["host1.example."]},
            "gone.example.": {"status": "NXDOMAIN"}, "x.silent.test.": {"status": "TIMEOUT"},
            "y.silent.test.": {"status_by_type": {"TXT": "NXDOMAIN"}}, "z.empty.test.": {"status": "NODATA"}}"#;
    let told = |zone: &Zone, name: &str, kind| {
        let name = DnsName::new(name.as_bytes()).unwrap();
        match zone.answer(&Question::new(name, kind)).said {
            Said::Records(_) => "records",
            Said::NoData => "no data",
            Said::NoName => "no name",
            Said::Temporary(_) => "temporary",
        }
    };
    use RecordType::{A, Mx, Txt};
    for text in [zone, json] {
        let zone = Zone::parse(text).unwrap();
        for (name, kind, want) in [
            ("host3.example", Mx, "records"),
            ("host3.example", A, "no data"),
            ("foo.bar.example", Txt, "records"),
            ("host1.example", Mx, "no data"),
            ("sub.*.example", Mx, "no data"),
            ("*.example", Txt, "records"),
            ("_telnet._tcp.host1.example", Txt, "no name"),
            ("_tcp.host1.example", Txt, "no data"),
            ("ghost.*.example", Mx, "no name"),
            ("example", A, "no data"),
            ("x.alias.example", A, "records"),
            ("x.alias.example", Txt, "no data"),
            ("other", A, "no name"),
        ] {
            assert_eq!(told(&zone, name, kind), want, "{name} {kind}");
        }
    }
    let zone = Zone::parse(json).unwrap();
    for (name, kind, want) in [
        ("gone.example", Txt, "no name"),
        ("silent.test", Txt, "no name"),
        ("empty.test", Txt, "no data"),
    ] {
        assert_eq!(told(&zone, name, kind), want, "{name} {kind}");
    }
    // What is added later, or comes from another zone, counts as well.
    let mut merged = Zone::default();
    merged.insert_txt("a.b.test.", b"x".to_vec());
    assert_eq!(told(&merged, "b.test", Txt), "no data");
    merged.merge(Zone::parse("c.d.test. NSEC x").unwrap());
    assert_eq!(told(&merged, "d.test", Txt), "no data");
}

#[test]
fn what_exists_is_known_once_all_is_read() {
    let (nothing, silent) = (
        r#""a.b.example.": {}"#,
        r#""a.b.example.": {"status": "SERVFAIL"}"#,
    );
    let zone = Zone::parse(&format!("{{{silent}, {nothing}}}")).unwrap();
    assert_eq!(
        Zone::parse(&format!("{{{nothing}, {silent}}}")),
        Ok(zone.clone())
    );
    let question = Question::new(DnsName::new(b"b.example").unwrap(), RecordType::A);
    assert_eq!(zone.answer(&question).said, Said::NoName);
    let mut merged = Zone::default();
    merged.merge(zone.clone());
    assert_eq!(merged, zone);
}

#[test]
fn json_gives_records_and_states() {
    let zone = r#"{"s._domainkey.a.example.": {"TXT": ["one", "two"]},
            "s._domainkey.b.example": {"status": "SERVFAIL"},
            "s._domainkey.c.example.": {"status": "TIMEOUT"},
            "s._domainkey.d.example.": {"status": "NXDOMAIN"},
            "s._domainkey.e.example.": {"A": ["127.0.0.1"]}}"#;
    assert_eq!(txt(zone, "a.example"), ["one", "two"]);
    assert_eq!(
        ask(zone, "b.example"),
        Answer::Temporary(Cause::ServerFailure)
    );
    assert_eq!(ask(zone, "c.example"), Answer::Temporary(Cause::Timeout));
    assert_eq!(ask(zone, "d.example"), Answer::NoName);
    assert_eq!(ask(zone, "e.example"), Answer::NoData);
}

#[test]
fn a_name_that_stands_twice_has_the_records_of_both_or_is_refused() {
    let twice = r#"{"s._domainkey.a.example.": {"TXT": ["one"]},
            "s._domainkey.a.example.": {"TXT": ["two", "one", "two"]},
            "S._domainkey.A.example": {"MX": []}}"#;
    assert_eq!(txt(twice, "a.example"), ["one", "two"]);
    let signed = "s._domainkey.a. CNAME b.\ns._domainkey.a. RRSIG x\nb. NSEC x\nb. TXT one";
    assert_eq!(txt(signed, "a"), ["one"]);
    for text in [
        r#"{"a.": {"TXT": ["x"]}, "A": {"status": "NXDOMAIN"}}"#,
        r#"{"a.": {"status": "TIMEOUT"}, "a.": {"status": "NXDOMAIN"}}"#,
        r#"{"a.": {"status": "TIMEOUT"}, "a.": {"TXT": ["x"]}}"#,
        "a. TXT x\na. CNAME b.",
        "a. CNAME b.\na. TXT x",
        "a. CNAME b.\na. CNAME c.",
    ] {
        let name = "a.".to_owned();
        assert_eq!(Zone::parse(text), Err(ZoneError::Conflict { name }));
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    for (text, want) in [
        ("\ns TXT x", "line 2: the name s is relative"),
        ("s. TXT ( x", "line 1: a parenthesis"),
        ("s. TXT x )", "line 1: a parenthesis"),
        ("s. TXT \"x", "line 1: a quoted string"),
        ("s. TXT \"x\\", "line 1: a backslash"),
        ("s. TXT \\999", "line 1: a backslash"),
        ("s. TXT", "line 1: the entry is not complete"),
        ("s.", "line 1: the entry is not complete"),
        (" TXT x", "line 1: the entry has no name"),
        ("s. v=DKIM1;", "line 1: \"v=DKIM1\" is not a record type"),
        ("$INCLUDE other", "line 1: $INCLUDE is not supported"),
        ("{", "the JSON cannot be read"),
        ("{\"a.\": {\"TXT\": \"x\"}}", "the entry of \"a.\""),
        ("{\"a.\": {\"status\": \"x\"}}", "the entry of \"a.\""),
    ] {
        let error = Zone::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(want), "{text:?}: {error}");
    }
}
