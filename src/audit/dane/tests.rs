use sha2::{Digest as _, Sha256, Sha512};

use super::tlsa::hex;
use super::*;
use crate::audit::facts::{Answered, Probe};
use crate::audit::net::testing::{Authority, Certified, self_signed};
use crate::audit::net::{Leaf, Trust, key_of};
use crate::audit::testing::{apply, greeting, judge_with, options, words};

fn shaken(certified: &Certified) -> Tls {
    let leaf = &certified.chain[0];
    Tls::Done(Box::new(Handshake {
        protocol: "TLSv1.3".to_owned(),
        leaf: key_of(leaf).map(|key| Leaf {
            names: Vec::new(),
            not_before: options().now,
            not_after: options().now,
            issuer: String::new(),
            key,
        }),
        chain: certified.chain.clone(),
        trust: Trust::UnknownIssuer,
        name_matches: true,
    }))
}

fn zone(records: &[String]) -> String {
    let mut zone = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1\n".to_owned();
    for record in records {
        zone.push_str(&format!("_25._tcp.mx.example.org. TLSA {record}\n"));
    }
    zone
}

fn shows(tls: Tls, proof: Dnssec) -> impl Fn(&Probe) -> Option<Answered> {
    shows_where(tls, move |_| proof)
}

/// With a proof, or none, for each question.
fn shows_where(
    tls: Tls,
    proof: impl Fn(&Question) -> Dnssec,
) -> impl Fn(&Probe) -> Option<Answered> {
    move |probe| match probe {
        Probe::Proof(question) => Some(Answered::Proof(proof(question))),
        Probe::Greeting(_) => Some(greeting(
            "220 mx.example.org",
            "250 mx.example.org",
            tls.clone(),
        )),
        _ => None,
    }
}

fn key_hash(certificate: &[u8]) -> String {
    hex(&Sha256::digest(key_of(certificate).unwrap()))
}

#[test]
fn a_record_is_for_the_key_or_the_certificate_whole_or_hashed() {
    let certified = self_signed("other.example");
    let leaf = &certified.chain[0];
    let key = key_of(leaf).unwrap();
    let right = [
        format!("3 0 0 {}", hex(leaf)),
        format!("3 0 1 {}", hex(&Sha256::digest(leaf))),
        format!("3 0 2 {}", hex(&Sha512::digest(leaf))),
        format!("3 1 0 {}", hex(&key)),
        format!("3 1 1 {}", hex(&Sha256::digest(&key))),
        format!("3 1 2 {}", hex(&Sha512::digest(&key))),
    ];
    let other = format!("3 1 1 {}", "00".repeat(32));
    for record in &right {
        // Beside one for the next key.
        for records in [vec![record.clone()], vec![other.clone(), record.clone()]] {
            let shows = shows(shaken(&certified), Dnssec::Secure);
            let report = judge_with("dane", &zone(&records), &options(), shows);
            assert_eq!(words(&report), [""; 0], "{record}");
        }
    }
    let report = judge_with(
        "dane",
        &zone(&[other]),
        &options(),
        shows(shaken(&certified), Dnssec::Secure),
    );
    assert_eq!(words(&report), ["dane-mismatch"]);
    let record = &report.findings[0].publish[0];
    assert_eq!(record.name, "_25._tcp.mx.example.org.");
    assert_eq!(record.value, right[4]);
}

#[test]
fn an_authority_vouches_for_name_and_time() {
    let ca = Authority::new("one");
    let other = Authority::new("one");
    let record = format!("2 1 1 {}", key_hash(&ca.der));
    let whole = format!("2 0 0 {}", hex(&ca.der));
    let years = (2020, 2040);
    let mut bare = ca.issue("mx.example.org", years);
    bare.chain.truncate(1);
    for (certified, record, expected) in [
        (ca.issue("mx.example.org", years), &record, vec![]),
        // RFC 7672 §3.2.2: the name before @ of the address counts, too.
        (ca.issue("example.org", years), &record, vec![]),
        (
            ca.issue("other.example", years),
            &record,
            vec!["dane-mismatch"],
        ),
        (
            ca.issue("mx.example.org", (2020, 2021)),
            &record,
            vec!["dane-mismatch"],
        ),
        (
            other.issue("mx.example.org", years),
            &record,
            vec!["dane-mismatch"],
        ),
        (bare, &whole, vec![]),
    ] {
        let shows = shows(shaken(&certified), Dnssec::Secure);
        let report = judge_with(
            "dane",
            &zone(std::slice::from_ref(record)),
            &options(),
            shows,
        );
        assert_eq!(words(&report), expected);
    }
}

#[test]
fn records_count_that_are_proven_and_right() {
    let certified = self_signed("mx.example.org");
    let right = format!("3 1 1 {}", key_hash(&certified.chain[0]));
    let usage = format!("1 1 1 {}", key_hash(&certified.chain[0]));
    for (records, proof, expected) in [
        (vec![], Dnssec::Insecure, vec![]),
        (
            vec![right.clone()],
            Dnssec::Insecure,
            vec!["dane-insecure"; 2],
        ),
        (vec![right.clone()], Dnssec::Bogus, vec!["dane-insecure"; 3]),
        (vec![right.clone()], Dnssec::Unknown, vec!["no-answer"; 3]),
        (
            vec![usage, right.clone()],
            Dnssec::Secure,
            vec!["dane-usage"],
        ),
        (
            vec!["3 1 1 00ff".to_owned()],
            Dnssec::Secure,
            vec!["dane-syntax"],
        ),
        (
            vec!["3 0 0 00ff".to_owned()],
            Dnssec::Secure,
            vec!["dane-syntax"],
        ),
        (
            vec!["4 1 1 00ff".to_owned()],
            Dnssec::Secure,
            vec!["dane-syntax"],
        ),
    ] {
        let shows = shows(shaken(&certified), proof);
        let report = judge_with("dane", &zone(&records), &options(), shows);
        assert_eq!(words(&report), expected, "{records:?} {proof:?}");
    }
    let zone = format!(
        "{}example.org. MX 20 b.example.org.\nb.example.org. A 192.88.1.2",
        zone(&[right])
    );
    let shown = || shows(shaken(&certified), Dnssec::Secure);
    assert_eq!(
        words(&judge_with("dane", &zone, &options(), shown())),
        ["dane-partial"]
    );
    // Nobody is led to where no address is.
    let nowhere = zone.replace("b.example.org. A", "c.example.org. A");
    assert_eq!(
        words(&judge_with("dane", &nowhere, &options(), shown())),
        [""; 0]
    );
}

#[test]
fn tlsa_records_make_tls_a_must() {
    let zone = zone(&[format!("3 1 1 {}", "00".repeat(32))]);
    let report = judge_with(
        "dane",
        &zone,
        &options(),
        shows(Tls::NotOffered, Dnssec::Secure),
    );
    assert_eq!(words(&report), ["dane-mismatch"]);
    let silent = |probe: &Probe| match probe {
        Probe::Proof(_) => Some(Answered::Proof(Dnssec::Secure)),
        _ => Some(Answered::Greeting(Arc::new(Greeting::none(
            NoConnection::Refused,
        )))),
    };
    assert_eq!(
        words(&judge_with("dane", &zone, &options(), silent)),
        ["no-connection"]
    );
}

#[test]
fn a_certificate_that_dane_confirms_needs_no_authority() {
    let certified = self_signed("mx.example.org");
    let right = format!("3 1 1 {}", key_hash(&certified.chain[0]));
    for (proof, expected) in [
        (Dnssec::Secure, vec![]),
        (Dnssec::Insecure, vec!["certificate-unproven"]),
    ] {
        let mut tls = shaken(&certified);
        if let Tls::Done(handshake) = &mut tls {
            let leaf = handshake.leaf.as_mut().unwrap();
            leaf.not_after.0 += 90 * 86_400;
        }
        let zone = zone(std::slice::from_ref(&right));
        let report = judge_with("starttls", &zone, &options(), shows(tls, proof));
        assert_eq!(words(&report), expected);
    }
}

#[test]
fn hosts_of_others_use_dane_whatever_the_domain_is() {
    let certified = self_signed("mx.example.net");
    let record = format!("3 1 1 {}", key_hash(&certified.chain[0]));
    let zone = format!(
        "example.org. MX 10 mx.example.net.\nmx.example.net. A 192.88.1.1\n_25._tcp.mx.example.net. TLSA {record}\n"
    );
    let wrong = zone.replace(&record, &format!("3 1 1 {}", "00".repeat(32)));
    let signed = |what: &'static str| {
        move |question: &Question| match question.to_string().contains(what) {
            true => Dnssec::Secure,
            false => Dnssec::Insecure,
        }
    };
    // The name of the zone that is signed: that of the hosts, no other, or that of the domain alone.
    for (zone, what, used, expected) in [
        (&zone, "example.net", true, vec![]),
        (&wrong, "example.net", true, vec!["dane-mismatch"]),
        (&wrong, "nothing", false, vec![]),
        (&wrong, "example.org", false, vec![]),
    ] {
        let shows = shows_where(shaken(&certified), signed(what));
        let report = judge_with("dane", zone, &options(), shows);
        assert_eq!(words(&report), expected, "{what}");
        assert_eq!(report.facts["used"], used, "{what}");
    }
    let bogus = |question: &Question| match question.kind {
        RecordType::Mx => Dnssec::Bogus,
        _ => Dnssec::Secure,
    };
    let shows = shows_where(shaken(&certified), bogus);
    let report = judge_with("dane", &zone, &options(), shows);
    assert_eq!(words(&report), ["dane-insecure"]);
}

#[test]
fn a_usage_that_does_not_count_is_published_as_one_that_does_and_once_only() {
    let certified = self_signed("mx.example.org");
    let hash = key_hash(&certified.chain[0]);
    let (usage, right) = (format!("1 1 1 {hash}"), format!("3 1 1 {hash}"));
    for (records, published) in [(vec![usage.clone()], 1), (vec![usage, right], 0)] {
        let shows = shows(shaken(&certified), Dnssec::Secure);
        let report = judge_with("dane", &zone(&records), &options(), shows);
        assert_eq!(words(&report), ["dane-usage"]);
        let finding = &report.findings[0];
        assert_eq!(
            (finding.remove.len(), finding.publish.len()),
            (1, published)
        );
    }
}

#[test]
fn what_takes_the_place_of_a_record_is_for_all_that_is_shown() {
    let ca = Authority::new("one");
    let certified = ca.issue("mx.example.org", (2020, 2040));
    let mut bare = ca.issue("mx.example.org", (2020, 2040));
    bare.chain.truncate(1);
    let of_key = |certified: &Certified| format!("3 1 1 {}", key_hash(&certified.chain[0]));
    let authority = format!("0 0 1 {}", hex(&Sha256::digest(&ca.der)));
    for (record, shown, expected) in [
        (&authority, &certified, format!("2{}", &authority[1..])),
        // The authority is not sent with it.
        (&authority, &bare, of_key(&bare)),
        // The key of last year.
        (&format!("1 1 1 {}", "ab".repeat(32)), &bare, of_key(&bare)),
        (&"3 1 1 abcd".to_owned(), &bare, of_key(&bare)),
    ] {
        let zone = zone(std::slice::from_ref(record));
        let judge = |zone: &str| {
            let shows = shows(shaken(shown), Dnssec::Secure);
            judge_with("dane", zone, &options(), shows)
        };
        let report = judge(&zone);
        assert_eq!(report.findings[0].publish[0].value, expected, "{record}");
        assert_eq!(words(&judge(&apply(&zone, &report))), [""; 0], "{record}");
    }
}

#[test]
fn where_servers_differ_or_are_not_seen_no_record_takes_the_place_of_another() {
    let one = self_signed("mx.example.org");
    let other = self_signed("mx.example.org");
    let record = format!("1 1 1 {}", key_hash(&one.chain[0]));
    let zone = format!("{}mx.example.org. A 192.88.1.2", zone(&[record]));
    let second = [
        shaken(&other),
        Tls::NotOffered,
        Tls::NotTried,
        Tls::NothingInCommon("x".to_owned()),
    ];
    for second in second {
        let shows = |probe: &Probe| match probe {
            Probe::Greeting(server) if server.address.ip().to_string() == "192.88.1.2" => {
                Some(greeting("220 mx.example.org", "250 mx", second.clone()))
            }
            probe => shows(shaken(&one), Dnssec::Secure)(probe),
        };
        let report = judge_with("dane", &zone, &options(), shows);
        assert_eq!(words(&report), ["dane-usage"], "{second:?}");
        let finding = &report.findings[0];
        assert_eq!((&finding.remove, &finding.publish), (&vec![], &vec![]));
    }
}

#[test]
fn records_are_changed_where_the_alias_leads_in_the_own_domain_alone() {
    let certified = self_signed("mx.example.org");
    let other = format!("3 1 1 {}", "00".repeat(32));
    let usage = format!("1 1 1 {}", key_hash(&certified.chain[0]));
    for record in [other, usage] {
        for (end, own) in [("_dane.example.org", true), ("_dane.example.net", false)] {
            let zone = format!(
                "{}_25._tcp.mx.example.org. CNAME {end}.\n{end}. TLSA {record}",
                zone(&[])
            );
            let judge = |zone: &str| {
                let shows = shows(shaken(&certified), Dnssec::Secure);
                judge_with("dane", zone, &options(), shows)
            };
            let report = judge(&zone);
            let finding = &report.findings[0];
            let mut names = finding.publish.iter().chain(&finding.remove);
            match own {
                true => {
                    assert!(names.all(|record| record.name == format!("{end}.")));
                    assert_eq!(words(&judge(&apply(&zone, &report))), [""; 0]);
                }
                false => {
                    assert_eq!(names.next(), None);
                    assert!(finding.mend.contains(end), "{}", finding.mend);
                }
            }
        }
    }
}

#[test]
fn what_a_wildcard_says_of_other_keys_stays_beside_the_new_record() {
    let (one, two) = (self_signed("mx.example.org"), self_signed("mx.example.org"));
    let hash = |certified: &Certified| key_hash(&certified.chain[0]);
    let next = "3 1 1 ".to_owned() + &"00".repeat(32);
    let zone = format!(
        "{}mx.example.org. A 192.88.1.2\n*._tcp.mx.example.org. TLSA 3 1 1 {}\n*._tcp.mx.example.org. TLSA {next}",
        zone(&[]),
        hash(&one)
    );
    let shown = |probe: &Probe| match probe {
        Probe::Proof(_) => Some(Answered::Proof(Dnssec::Secure)),
        Probe::Greeting(server) => {
            let first = server.address.ip().to_string() == "192.88.1.1";
            let tls = shaken(if first { &one } else { &two });
            Some(greeting("220 mx.example.org", "250 mx.example.org", tls))
        }
        _ => None,
    };
    let report = judge_with("dane", &zone, &options(), shown);
    assert_eq!(words(&report), ["dane-mismatch"]);
    let mut values: Vec<_> = report.findings[0]
        .publish
        .iter()
        .map(|one| &*one.value)
        .collect();
    values.sort_unstable();
    let mut wanted = [
        format!("3 1 1 {}", hash(&one)),
        format!("3 1 1 {}", hash(&two)),
        next,
    ];
    wanted.sort_unstable();
    assert_eq!(values, wanted);
    let after = judge_with("dane", &apply(&zone, &report), &options(), shown);
    assert_eq!(words(&after), [""; 0]);
}

#[test]
fn what_the_alias_of_a_wildcard_leads_to_stays_beside_the_new_record() {
    let (one, two) = (self_signed("mx.example.org"), self_signed("mx.example.org"));
    let hash = |certified: &Certified| key_hash(&certified.chain[0]);
    let zone = format!(
        "{}mx.example.org. A 192.88.1.2\n*._tcp.mx.example.org. CNAME tlsa.example.org.\ntlsa.example.org. TLSA 3 1 1 {}",
        zone(&[]),
        hash(&two)
    );
    let shown = |probe: &Probe| match probe {
        Probe::Proof(_) => Some(Answered::Proof(Dnssec::Secure)),
        Probe::Greeting(server) => {
            let first = server.address.ip().to_string() == "192.88.1.1";
            let tls = shaken(if first { &one } else { &two });
            Some(greeting("220 mx.example.org", "250 mx.example.org", tls))
        }
        _ => None,
    };
    let report = judge_with("dane", &zone, &options(), shown);
    assert_eq!(words(&report), ["dane-mismatch"]);
    assert_eq!(report.findings[0].remove, []);
    let after = judge_with("dane", &apply(&zone, &report), &options(), shown);
    assert_eq!(words(&after), [""; 0]);
}

#[test]
fn what_is_not_known_of_the_end_of_an_alias_is_told() {
    let certified = self_signed("mx.example.org");
    let zone = r#"{"example.org.": {"MX": ["10 alias.example.org."]}, "alias.example.org.": {"CNAME": ["mx.example.org."]}, "mx.example.org.": {"A": ["192.88.1.1"]}, "_25._tcp.mx.example.org.": {"status": "SERVFAIL"}}"#;
    let shows_secure = shows(shaken(&certified), Dnssec::Secure);
    let report = judge_with("dane", zone, &options(), shows_secure);
    assert_eq!(words(&report), ["no-answer"]);
    let zone = format!(
        "example.org. MX 10 alias.example.org.\nalias.example.org. CNAME mx.example.org.\nmx.example.org. A 192.88.1.1\n_25._tcp.mx.example.org. TLSA 3 1 1 {}",
        key_hash(&certified.chain[0])
    );
    let unknown = shows_where(shaken(&certified), |question| {
        match question.name.to_string().starts_with("alias") {
            true => Dnssec::Unknown,
            false => Dnssec::Secure,
        }
    });
    let report = judge_with("dane", &zone, &options(), unknown);
    assert_eq!(words(&report), ["no-answer"]);
}

#[test]
fn the_records_of_an_alias_stand_where_dnssec_proves_that_it_leads() {
    let certified = self_signed("mx.example.org");
    let hash = key_hash(&certified.chain[0]);
    let stale = "00".repeat(32);
    let zone = |of_alias: &str, of_target: &str| {
        let record = |name: &str, data: &str| match data {
            "" => String::new(),
            data => format!("_25._tcp.{name}.example.org. TLSA 3 1 1 {data}\n"),
        };
        format!(
            "example.org. MX 10 alias.example.org.\nalias.example.org. CNAME mx.example.org.\nmx.example.org. A 192.88.1.1\n{}{}",
            record("alias", of_alias),
            record("mx", of_target)
        )
    };
    for (zone, proof, expected) in [
        (zone("", &stale), Dnssec::Secure, &["dane-mismatch"][..]),
        (zone(&stale, &hash), Dnssec::Secure, &[]),
        (zone(&hash, &stale), Dnssec::Secure, &["dane-mismatch"]),
        (zone(&hash, ""), Dnssec::Secure, &[]),
        // Then the name in the MX record counts.
        (zone("", &stale), Dnssec::Insecure, &[]),
    ] {
        let shows = shows(shaken(&certified), proof);
        let report = judge_with("dane", &zone, &options(), &shows);
        assert_eq!(words(&report), expected, "{zone}");
        if let Some(finding) = report.findings.first() {
            assert_eq!(finding.publish[0].name, "_25._tcp.mx.example.org.");
            let after = apply(&zone, &report);
            assert_eq!(
                words(&judge_with("dane", &after, &options(), &shows)),
                [""; 0]
            );
        }
    }
}

#[test]
fn little_is_tried_of_a_long_chain() {
    let ca = Authority::new("one");
    let other = Authority::new("one");
    let certified = ca.issue("mx.example.org", (2020, 2040));
    let record = format!("2 1 1 {}", key_hash(&ca.der));
    for (between, expected) in [(0, vec![]), (8, vec![]), (9, vec!["dane-mismatch"])] {
        let Tls::Done(mut handshake) = shaken(&certified) else {
            panic!("there is a handshake");
        };
        let rest = std::iter::repeat_n(other.der.clone(), between);
        handshake.chain.splice(1..1, rest);
        let shows = shows(Tls::Done(handshake), Dnssec::Secure);
        let zone = zone(std::slice::from_ref(&record));
        let report = judge_with("dane", &zone, &options(), shows);
        assert_eq!(words(&report), expected, "{between}");
    }
}

#[test]
fn records_that_nobody_heeds_yet_are_mended_before_they_count() {
    let certified = self_signed("mx.example.org");
    let wrong = zone(&[format!("3 1 1 {}", "00".repeat(32))]);
    let right = format!("3 1 1 {}", key_hash(&certified.chain[0]));
    let unsigned = shows(shaken(&certified), Dnssec::Insecure);
    let report = judge_with("dane", &wrong, &options(), unsigned);
    assert_eq!(words(&report), ["dane-insecure"; 2]);
    let mend = &report.findings[0].mend;
    assert!(
        mend.contains("but first") && mend.contains(&right),
        "{mend}"
    );
    let without = shows(Tls::NotOffered, Dnssec::Insecure);
    let report = judge_with("dane", &wrong, &options(), without);
    assert_eq!(words(&report), ["dane-insecure"; 2]);
    assert!(
        report.findings[0]
            .mend
            .contains("but first let STARTTLS work")
    );
}

#[test]
fn mta_sts_is_missed_where_dane_does_not_protect_all_mail() {
    let certified = self_signed("mx.example.org");
    let hash = key_hash(&certified.chain[0]);
    let right = zone(&[format!("3 1 1 {hash}")]);
    let two = format!("{right}example.org. MX 20 mx2.example.org.\nmx2.example.org. A 192.88.1.3");
    for (zone, expected) in [
        (&right, vec![]),
        (&zone(&[format!("1 1 1 {hash}")]), vec!["mta-sts-missing"]),
        (&zone(&["3 1 1 00ff".to_owned()]), vec!["mta-sts-missing"]),
        (&two, vec!["mta-sts-missing"]),
    ] {
        let shows = shows(shaken(&certified), Dnssec::Secure);
        let report = judge_with("mta-sts", zone, &options(), shows);
        assert_eq!(words(&report), expected, "{zone}");
    }
    let addresses = |question: &Question| match question.kind {
        RecordType::A | RecordType::Aaaa => Dnssec::Insecure,
        _ => Dnssec::Secure,
    };
    let shows = shows_where(shaken(&certified), addresses);
    let report = judge_with("mta-sts", &right, &options(), shows);
    assert_eq!(words(&report), ["mta-sts-missing"]);
}
