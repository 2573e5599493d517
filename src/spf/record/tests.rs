use super::*;

fn fault(term: &str) -> TermFault {
    let text = format!("v=spf1 ip4:192.0.2.1 {term} -all");
    let error = Record::parse(text.as_bytes()).unwrap_err();
    let [wrong] = error.terms() else {
        panic!("{term}: {error:?}");
    };
    assert_eq!(
        (wrong.text.as_str(), &text[wrong.span.clone()]),
        (term, term)
    );
    wrong.fault.clone()
}

#[test]
fn terms_know_what_they_say_and_where_they_stand() {
    let text = b"v=spf1  A:%{d}/24//64 ~mX ?exists:%{i}.example.com  Redirect=b.example moo.x=1 ";
    let record = Record::parse(text).unwrap();
    for term in record.terms() {
        assert_eq!(term.text.as_bytes(), &text[term.span.clone()]);
    }
    let directives: Vec<&Directive> = record
        .directives()
        .map(|(_, directive)| directive)
        .collect();
    assert!(matches!(
        directives[..],
        [
            Directive {
                qualifier: Qualifier::Pass,
                mechanism: Mechanism::A(Some(_), Prefixes { v4: 24, v6: 64 })
            },
            Directive {
                qualifier: Qualifier::SoftFail,
                mechanism: Mechanism::Mx(None, Prefixes { v4: 32, v6: 128 })
            },
            Directive {
                qualifier: Qualifier::Neutral,
                mechanism: Mechanism::Exists(_)
            },
        ]
    ));
    assert_eq!(record.redirect().unwrap().0.text, "Redirect=b.example");
    assert_eq!(record.terms()[1].unqualified(), "mX");
    let printed = record.to_string();
    assert_eq!(
        Record::parse(printed.as_bytes()).unwrap().to_string(),
        printed
    );
}

#[test]
fn each_fault_is_named_and_most_are_mended() {
    let no_domain = |name| TermFault::NoDomain { name };
    let label = |label: &str| TermFault::TopLabel {
        label: label.to_owned(),
    };
    let prefix = |found: &str, max| TermFault::prefix(found.as_bytes(), max);
    for (term, want, mend) in [
        ("moo", TermFault::Mechanism { name: "moo".into() }, None),
        (
            "ipv4:192.0.2.1",
            TermFault::Mechanism {
                name: "ipv4".into(),
            },
            Some("write ip4"),
        ),
        (
            "192.0.2.1",
            TermFault::Mechanism {
                name: "192.0.2.1".into(),
            },
            Some("write ip4: before the address"),
        ),
        (
            "-all.",
            TermFault::Mechanism {
                name: "all.".into(),
            },
            Some("write include:all. or a:all., whichever is meant"),
        ),
        (
            "redirect:b.example",
            TermFault::ModifierWithColon,
            Some("write redirect= or exp="),
        ),
        (
            "-exp=b.example",
            TermFault::Qualifier,
            Some("remove the sign before the modifier"),
        ),
        ("1up=x", TermFault::ModifierName, Some("remove the term")),
        (
            "-all:x",
            TermFault::Argument,
            Some("write all alone, as in -all"),
        ),
        (
            "all/8",
            TermFault::Argument,
            Some("write all alone, as in -all"),
        ),
        (
            "include",
            no_domain("include"),
            Some("write include: and the name of a domain, or remove the term"),
        ),
        (
            "exp=",
            no_domain("exp"),
            Some("write exp= and the name of a domain, or remove the term"),
        ),
        (
            "mx:",
            no_domain("mx"),
            Some("write mx alone where the domain itself is meant"),
        ),
        (
            "include:a.example/24",
            TermFault::PrefixUnexpected { name: "include" },
            Some("remove the slash and the number"),
        ),
        (
            "ptr/0",
            TermFault::PrefixUnexpected { name: "ptr" },
            Some("remove the slash and the number"),
        ),
        (
            "ip4",
            TermFault::NoAddress { name: "ip4" },
            Some("write ip4: and an address"),
        ),
        (
            "ip4:1.2.3",
            TermFault::Address {
                name: "ip4",
                found: "1.2.3".into(),
            },
            Some("write four numbers from 0 to 255 with dots between them"),
        ),
        (
            "ip4:::1",
            TermFault::Address {
                name: "ip4",
                found: "::1".into(),
            },
            Some("write ip6:::1"),
        ),
        (
            "ip6:192.0.2.1",
            TermFault::Address {
                name: "ip6",
                found: "192.0.2.1".into(),
            },
            Some("write ip4:192.0.2.1"),
        ),
        (
            "ip4:1.2.3.4/33",
            prefix("33", 32),
            Some("write a number from 0 to 32"),
        ),
        (
            "ip4:1.2.3.4/032",
            prefix("032", 32),
            Some("write a number from 0 to 32"),
        ),
        (
            "a//129",
            prefix("129", 128),
            Some("write a number from 0 to 128"),
        ),
        (
            "a/24/64",
            prefix("/24", 32),
            Some("write a number from 0 to 32"),
        ),
        (
            "a:2001:db8::1",
            TermFault::AddressForDomain {
                address: "2001:db8::1".parse().unwrap(),
            },
            Some("write ip6:2001:db8::1"),
        ),
        (
            "a:museum.",
            TermFault::SingleLabel {
                found: "museum.".into(),
            },
            Some("write the whole name of the domain"),
        ),
        (
            "a:abc.123",
            label("123"),
            Some("write the whole name of the domain"),
        ),
        (
            "a:example.-com",
            label("-com"),
            Some("write the whole name of the domain"),
        ),
        (
            "mx:example.com:8080",
            label("com:8080"),
            Some("write the whole name of the domain"),
        ),
        (
            "a:%{d}com",
            TermFault::SingleLabel {
                found: "%{d}com".into(),
            },
            Some("write the whole name of the domain"),
        ),
        (
            "exists:%(i).example",
            TermFault::Macro(MacroError::Percent),
            Some("write %% where a percent sign is meant"),
        ),
        (
            "moo=%{x}",
            TermFault::Macro(MacroError::Letter { letter: 'x' }),
            None,
        ),
    ] {
        let fault = fault(term);
        assert_eq!(fault, want, "{term}");
        assert_eq!(fault.mend().as_deref(), mend, "{term}");
    }
}

#[test]
fn every_wrong_term_is_told_and_none_of_them_raw() {
    let error =
        Record::parse(b"v=spf1 a\tb \xffx redirect=a.example redirect=b.example -all").unwrap_err();
    let faults: Vec<&TermFault> = error.terms().iter().map(|term| &term.fault).collect();
    assert_eq!(
        faults,
        [
            &TermFault::Octet { octet: b'\t' },
            &TermFault::Octet { octet: 0xff },
            &TermFault::Twice
        ]
    );
    assert_eq!(error.terms()[1].text, "\\xffx");
    assert_eq!(
        error.to_string(),
        "the term “a\\tb”: the octet 0x09 may not stand in a record (and 2 more terms are wrong)"
    );
    assert_eq!(Record::parse(b"v=spf2.0/pra"), Err(RecordError::NotSpf));
}
