use super::super::net::Tls;
use super::super::testing::{apply, greeting, judge, judge_with, options, words};
use super::super::{Options, facts::Probe};
use super::*;

fn sending() -> Options {
    let mut options = options();
    options.addresses = vec!["192.88.1.25".parse().unwrap()];
    options
}

#[test]
fn an_address_has_a_name_that_leads_back() {
    for (zone, expected) in [
        (
            "25.1.88.192.in-addr.arpa. PTR mx.example.org.\nmx.example.org. A 192.88.1.25",
            vec![],
        ),
        ("example.org. TXT x", vec!["ptr-missing"]),
        ("25.1.88.192.in-addr.arpa. TXT x", vec!["ptr-missing"]),
        (
            "25.1.88.192.in-addr.arpa. PTR mx.example.org.\nmx.example.org. A 192.88.1.26",
            vec!["ptr-not-confirmed"],
        ),
        (
            "25.1.88.192.in-addr.arpa. PTR mx.example.org.",
            vec!["ptr-not-confirmed"],
        ),
        (
            r#"{"25.1.88.192.in-addr.arpa.": {"status": "SERVFAIL"}}"#,
            vec!["no-answer"],
        ),
        (
            r#"{"25.1.88.192.in-addr.arpa.": {"PTR": ["a.example.org."]}, "a.example.org.": {"status": "TIMEOUT"}}"#,
            vec!["no-answer"],
        ),
        (
            "25.1.88.192.in-addr.arpa. PTR a.example.\n25.1.88.192.in-addr.arpa. PTR b.example.\nb.example. A 192.88.1.25",
            vec![],
        ),
        (
            "25.1.88.192.in-addr.arpa. PTR static.25.1.88.192.host.example.\nstatic.25.1.88.192.host.example. A 192.88.1.25",
            vec!["ptr-generic"],
        ),
    ] {
        let report = judge_with("reverse-dns", zone, &sending(), |_| None);
        assert_eq!(words(&report), expected, "{zone}");
    }
    assert_eq!(
        words(&judge("reverse-dns", "example.org. TXT x")),
        ["no-sending-address"]
    );
    let mut within = options();
    within.smtp = Some((super::super::Host::Address("10.0.0.1".parse().unwrap()), 25));
    let report = judge_with("reverse-dns", "example.org. TXT x", &within, |_| None);
    assert_eq!(words(&report), ["no-sending-address"]);
    let mend = &report.findings[0].mend;
    assert!(mend.starts_with("name each with --ip ADDR, as the world sees it"));
}

#[test]
fn hosts_of_others_do_not_send_because_they_take_the_mail() {
    let zone = "example.org. MX 1 in.example.net.\nin.example.net. A 192.88.1.25\nout.example.net. TXT \"v=spf1 ip4:192.88.2.0/24 -all\"";
    for (record, expected) in [
        ("mx include:out.example.net ~all", vec![]),
        (
            "a mx include:out.example.net -all",
            vec!["no-sending-address"],
        ),
        // What most providers let their customers write at the end.
        ("include:out.example.net ?all", vec![]),
        ("?all", vec!["no-sending-address"]),
        // Nobody else is left who could.
        ("mx -all", vec!["ptr-missing"]),
        // Named themselves.
        ("ip4:192.88.1.25 -all", vec!["ptr-missing"]),
        ("a:in.example.net mx -all", vec!["ptr-missing"]),
    ] {
        let zone = format!("{zone}\nexample.org. TXT \"v=spf1 {record}\"");
        assert_eq!(words(&judge("reverse-dns", &zone)), expected, "{record}");
        // Its own MX host.
        let own = zone.replace("in.example.net", "mx.example.org");
        let own = own.replace("ip4:192.88.1.25", "mx");
        let judged = match record.contains("mx") || record.contains("192.88.1.25") {
            true => "ptr-missing",
            false => "no-sending-address",
        };
        assert_eq!(words(&judge("reverse-dns", &own)), [judged], "{record}");
    }
}

#[test]
fn mx_hosts_that_spf_lets_send_are_senders() {
    let zone = "example.org. MX 1 mx.example.org.\nmx.example.org. A 192.88.1.25\nexample.org. TXT \"v=spf1 mx -all\"";
    assert_eq!(words(&judge("reverse-dns", zone)), ["ptr-missing"]);
    let others = zone.replace(" mx -all", " ip4:192.88.2.1 -all");
    assert_eq!(
        words(&judge("reverse-dns", &others)),
        ["no-sending-address"]
    );
    // Who says that nobody sends has said all.
    let nobody = zone.replace(" mx -all", " -all");
    assert_eq!(words(&judge("reverse-dns", &nobody)), [""; 0]);
}

#[test]
fn the_name_is_that_of_the_greeting() {
    let zone = "example.org. MX 1 mx.example.org.\nmx.example.org. A 192.88.1.25\n25.1.88.192.in-addr.arpa. PTR mx.example.org.";
    for (name, expected) in [
        ("mx.example.org", vec![]),
        ("other.example.org", vec!["ptr-not-greeting"]),
    ] {
        let shown = greeting(
            &format!("220 {name}"),
            &format!("250 {name}"),
            Tls::NotOffered,
        );
        let shows = |probe: &Probe| matches!(probe, Probe::Greeting(_)).then(|| shown.clone());
        let report = judge_with("reverse-dns", zone, &sending(), shows);
        assert_eq!(words(&report), expected, "{name}");
    }
    // A refusal gives no name.
    let refused = greeting("554 5.7.1 no", "", Tls::NotTried);
    let shows = |probe: &Probe| matches!(probe, Probe::Greeting(_)).then(|| refused.clone());
    let report = judge_with("reverse-dns", zone, &sending(), shows);
    assert_eq!(words(&report), [""; 0]);
}

#[test]
fn the_servers_of_a_provider_are_its_own() {
    // They take the mail, and pass by what is included: that does not say that they send.
    let hosts = "example.org. MX 1 in.example.net.\nin.example.net. A 192.88.1.25\n_spf.example.net. TXT \"v=spf1 ip4:192.88.1.0/24 -all\"";
    for record in [
        "v=spf1 include:_spf.example.net -all",
        "v=spf1 redirect=_spf.example.net",
    ] {
        let zone = format!("{hosts}\nexample.org. TXT \"{record}\"");
        let report = judge("reverse-dns", &zone);
        assert_eq!(words(&report), [""; 0], "{record}");
        assert!(report.sentence.contains("_spf.example.net"));
    }
    // Its own server beside them may send: from where is not known.
    let own = format!(
        "{hosts}\nexample.org. TXT \"v=spf1 include:_spf.example.net -all\"\nexample.org. MX 2 mx.example.org.\nmx.example.org. A 192.88.9.9"
    );
    assert_eq!(words(&judge("reverse-dns", &own)), ["no-sending-address"]);
    // What the record itself names does send; only its owner sets its name.
    let named = format!(
        "{hosts}\nexample.org. TXT \"v=spf1 mx -all\"\n25.1.88.192.in-addr.arpa. PTR out.example.net.\nout.example.net. A 192.88.1.25"
    );
    let greets = |probe: &Probe| {
        let shown = greeting("220 x7.example.net", "250 x7.example.net", Tls::NotOffered);
        matches!(probe, Probe::Greeting(_)).then_some(shown)
    };
    let report = judge_with("reverse-dns", &named, &options(), greets);
    assert_eq!(words(&report), [""; 0]);
    assert_eq!(report.facts["addresses"][0]["address"], "192.88.1.25");
    let nameless = named.replace("25.1.88.192.in-addr.arpa.", "example.net.");
    let report = judge("reverse-dns", &nameless);
    assert_eq!(words(&report), ["ptr-missing"]);
    assert_eq!(report.findings[0].publish, []);
}

#[test]
fn who_sends_nothing_needs_no_name() {
    for record in [
        "v=spf1 -all",
        "v=spf1  -ALL ",
        "v=spf1 mx -all",
        "v=spf1 redirect=none.example.org",
        "v=spf1 ~ip4:192.88.1.1 include:none.example.org -all exp=why.example.org",
    ] {
        let zone = format!(
            "example.org. MX 0 .\nexample.org. TXT \"{record}\"\nnone.example.org. TXT \"v=spf1 -all\""
        );
        for check in ["reverse-dns", "dkim", "arc", "block-lists"] {
            let found = words(&judge(check, &zone));
            let found: Vec<&str> = found
                .into_iter()
                .filter(|word| *word != "lists-silent")
                .collect();
            assert_eq!(found, [""; 0], "{check} {record}");
        }
    }
    for record in [
        "v=spf1 ?all",
        "v=spf1 ~all",
        "v=spf1 a -all",
        "v=spf1 exists:%{i}.example.org -all",
        "v=spf1 redirect=gone.example.org",
    ] {
        let zone = format!("example.org. MX 0 .\nexample.org. TXT \"{record}\"");
        assert_eq!(
            words(&judge("reverse-dns", &zone)),
            ["no-sending-address"],
            "{record}"
        );
    }
}

#[test]
fn the_mend_stands_at_the_end_of_an_alias() {
    // RFC 2317, RFC 1034 §3.6.2.
    let zone = "example.org. MX 1 mx.example.org.\nmx.example.org. A 192.88.1.25\n25.1.88.192.in-addr.arpa. CNAME 25.0-63.1.88.192.in-addr.arpa.";
    let report = judge_with("reverse-dns", zone, &sending(), |_| None);
    assert_eq!(
        report.findings[0].publish[0].name,
        "25.0-63.1.88.192.in-addr.arpa."
    );
    let zone = "25.1.88.192.in-addr.arpa. PTR a.example.org.\na.example.org. CNAME b.example.org.\nb.example.org. TXT x";
    let report = judge_with("reverse-dns", zone, &sending(), |_| None);
    assert_eq!(report.findings[0].publish[0].name, "b.example.org.");
    // Over IPv6 it is another host.
    let zone = format!("{zone}\nb.example.org. AAAA 2a01::99");
    let report = judge_with("reverse-dns", &zone, &sending(), |_| None);
    assert_eq!(words(&report), ["ptr-not-confirmed"]);
    assert_eq!(report.findings[0].publish, []);
}

#[test]
fn the_record_holds_the_name_of_the_greeting_where_that_leads_to_the_address() {
    let zone = "example.org. MX 1 mx.example.org.\nmx.example.org. A 192.88.1.25\nmail.example.org. A 192.88.1.25\nelse.example.org. A 192.88.1.26\nalias.example.org. CNAME mx.example.org.\n";
    let pointer = "25.1.88.192.in-addr.arpa.";
    for (there, greets, word, published) in [
        ("", "mail.example.org", "ptr-missing", "mail.example.org."),
        ("", "alias.example.org", "ptr-missing", "mx.example.org."),
        ("", "else.example.org", "ptr-missing", "mx.example.org."),
        (
            "gone.example.org.",
            "mail.example.org",
            "ptr-not-confirmed",
            "mail.example.org.",
        ),
        (
            "mx.example.org.",
            "mail.example.org",
            "ptr-not-greeting",
            "mail.example.org.",
        ),
        (
            "mx.example.org.",
            "else.example.org",
            "ptr-not-greeting",
            "",
        ),
        (
            "ip-192-88-1-25.example.org.",
            "ip-192-88-1-25.example.org",
            "ptr-generic",
            "",
        ),
        (
            "ip-192-88-1-25.example.org.",
            "mail.example.org",
            "ptr-generic",
            "mail.example.org.",
        ),
    ] {
        let mut zone = format!("{zone}ip-192-88-1-25.example.org. A 192.88.1.25\n");
        if !there.is_empty() {
            zone.push_str(&format!("{pointer} PTR {there}"));
        }
        let shown = greeting(
            &format!("220 {greets}"),
            &format!("250 {greets}"),
            Tls::NotOffered,
        );
        let judged =
            |zone: &str| judge_with("reverse-dns", zone, &sending(), |_| Some(shown.clone()));
        let report = judged(&zone);
        assert!(
            words(&report).contains(&word),
            "{word} {greets}: {report:?}"
        );
        let finding = report.findings.iter().find(|one| one.finding == word);
        let finding = finding.unwrap();
        let record = finding.publish.first().map_or("", |record| &record.value);
        assert_eq!(record, published, "{there} {greets}");
        if !published.is_empty() {
            let before: Vec<_> = finding.remove.iter().map(|record| &*record.value).collect();
            assert_eq!(before.join(""), there);
            let after = words(&judged(&apply(&zone, &report)));
            // It calls itself by a name that leads elsewhere: that is the other mend.
            assert!(
                after.is_empty() || greets != "mail.example.org",
                "{after:?}"
            );
        }
    }
}

#[test]
fn a_name_of_the_domain_that_leads_to_a_provider_is_no_own_server() {
    let zone = "example.org. MX 1 alias.example.org.\nexample.org. TXT \"v=spf1 mx -all\"\nalias.example.org. CNAME mx.example.net.\nmx.example.net. A 192.88.1.25";
    let mut options = sending();
    options.addresses.clear();
    let report = judge_with("reverse-dns", zone, &options, |_| None);
    assert!(
        report.findings.iter().all(|one| one.publish.is_empty()),
        "{report:?}"
    );
    let own = zone.replace("example.net", "example.org");
    let report = judge_with("reverse-dns", &own, &options, |_| None);
    assert_eq!(words(&report), ["ptr-missing"]);
    assert_eq!(report.findings[0].publish[0].value, "mx.example.org.");
}

#[test]
fn no_other_host_gets_the_address_of_the_server() {
    let hosts = "example.org. MX 1 mx.example.org.\nmx.example.org. A 192.88.1.25\n25.1.88.192.in-addr.arpa. PTR ";
    for (name, other) in [
        // A web server, another's name, and an alias that leads there.
        ("example.org.", "example.org. A 192.88.1.99"),
        ("a.example.net.", "example.net. TXT x"),
        ("a.example.org.", "a.example.org. CNAME a.example.net."),
    ] {
        let zone = format!("{hosts}{name}\n{other}");
        let report = judge_with("reverse-dns", &zone, &sending(), |_| None);
        assert_eq!(words(&report), ["ptr-not-confirmed"], "{name}");
        let finding = &report.findings[0];
        assert_eq!(finding.remove[0].value, name);
        let record = &finding.publish[0];
        assert_eq!((record.kind, &*record.value), ("PTR", "mx.example.org."));
        // Without a server at the address nothing is known that could take its place.
        let zone = zone.replace("mx.example.org. A", "my.example.org. A");
        let report = judge_with("reverse-dns", &zone, &sending(), |_| None);
        assert_eq!(report.findings[0].publish, [], "{name}");
    }
}

#[test]
fn the_mend_is_the_record_of_the_server_at_the_address() {
    let zone = "example.org. MX 1 mx.example.org.\nmx.example.org. A 192.88.1.25";
    let report = judge_with("reverse-dns", zone, &sending(), |_| None);
    let record = &report.findings[0].publish[0];
    assert_eq!(record.name, "25.1.88.192.in-addr.arpa.");
    assert_eq!(record.value, "mx.example.org.");
}

#[test]
fn names_made_from_the_address_are_generic() {
    let domain = DnsName::new(b"example.org").unwrap();
    let generic = |name: &str, address: &str| {
        let name = DnsName::new(name.as_bytes()).unwrap();
        is_generic(&name, address.parse().unwrap(), &domain)
    };
    for name in [
        "ec2-192-88-1-25.compute.example.com",
        "25.1.88.192.dynamic.example.com",
        "ip-192-88-1.example.eu",
        "host192088001025.example.com",
        "c0580119.example.com",
        "p5-dsl12.example.com",
        "ppp-7.pool.example.net",
    ] {
        assert!(generic(name, "192.88.1.25"), "{name}");
    }
    for name in [
        "mail.example.org",
        "mx25.example.com",
        "mail1.dsl.example",
        "a-1-25.example.org",
    ] {
        assert!(!generic(name, "192.88.1.25"), "{name}");
    }
    assert!(generic("2a01-4f8--1.example.com", "2a01:4f8::1"));
    assert!(generic(
        "2a0104f8000000000000000000000001.v6.example.com",
        "2a01:4f8::1"
    ));
    assert!(!generic("mail.example.com", "2a01:4f8::1"));
    let own = DnsName::new(b"mail.dsl.example").unwrap();
    let domain = DnsName::new(b"dsl.example").unwrap();
    assert!(!is_generic(&own, "192.88.1.25".parse().unwrap(), &domain));
}

#[test]
fn a_host_that_a_wildcard_gives_its_mail_keeps_it() {
    // With an address of its own the host is there, and the wildcard no longer stands for it (RFC 4592 §2.2.1).
    let zone = "25.1.88.192.in-addr.arpa. PTR out.example.org.\nexample.org. A 192.88.1.1\n*.example.org. MX 10 example.org.";
    let report = judge_with("reverse-dns", zone, &sending(), |_| None);
    assert_eq!(words(&report), ["ptr-not-confirmed"]);
    let published = report.findings[0].publish.iter();
    let published: Vec<String> = published
        .map(|one| format!("{} {} {}", one.name, one.kind, one.value))
        .collect();
    assert!(published.contains(&"out.example.org. A 192.88.1.25".to_owned()));
    assert!(
        published.contains(&"out.example.org. MX 10 example.org.".to_owned()),
        "{published:?}"
    );
}
