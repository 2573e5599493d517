use super::super::super::Options;
use super::super::super::testing::{apply, judge, judge_with, options, words};
use super::HOSTS;
use crate::name::{Domain, Selector};

#[test]
fn whoever_has_no_servers_is_not_asked_for_a_record_of_none() {
    let zone = "example.org. MX 1 mx.example.net.\nmx.example.net. A 192.88.1.25";
    let report = judge("spf", zone);
    assert_eq!(words(&report), ["spf-missing"]);
    assert_eq!(report.findings[0].publish, []);
    // Nor is one published that leaves the provider's servers out.
    let mut options = options();
    options.addresses = vec!["192.88.7.7".parse().unwrap()];
    let report = judge_with("spf", zone, &options, |_| None);
    assert_eq!(words(&report), ["spf-missing"]);
    assert_eq!(report.findings[0].publish, []);
    assert!(
        report.findings[0]
            .mend
            .contains("v=spf1 ip4:192.88.7.7 ~all")
    );
}

#[test]
fn without_mail_nobody_sends() {
    let zone = "example.org. MX 0 .";
    let report = judge("spf", zone);
    assert_eq!(words(&report), ["spf-missing"]);
    assert_eq!(report.findings[0].publish[0].value, "v=spf1 -all");
    assert_eq!(words(&judge("spf", &apply(zone, &report))), [""; 0]);
}

/// What the mend says, and the record that it publishes.
fn mend(zone: &str, options: &Options) -> (String, Option<String>) {
    let report = judge_with("spf", zone, options, |_| None);
    assert_eq!(words(&report), ["spf-missing"], "{zone}");
    let finding = &report.findings[0];
    let published = finding.publish.first().map(|one| one.value.clone());
    (finding.mend.clone(), published)
}

#[test]
fn whoever_may_sign_may_send() {
    let key = "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    for (record, signs) in [
        (format!("mail._domainkey TXT \"v=DKIM1; {key}\""), true),
        (
            "mail._domainkey TXT \"v=DKIM1; k=rsa; p=AAAA\"".to_owned(),
            true,
        ),
        (format!("*._domainkey TXT \"v=DKIM1; {key}\""), true),
        ("mail._domainkey TXT \"v=DKIM1; p=\"".to_owned(), false),
        ("*._domainkey TXT \"v=DKIM1; p=\"".to_owned(), false),
        ("* TXT \"v=spf1 -all\"".to_owned(), false),
    ] {
        let (name, data) = record.split_once(' ').unwrap();
        let zone = format!("example.org. MX 0 .\n{name}.example.org. {data}");
        let (told, published) = mend(&zone, &options());
        let refusing = (!signs).then(|| "v=spf1 -all".to_owned());
        assert_eq!(published, refusing, "{record}");
        assert_eq!(told.contains("somebody may send"), signs, "{told}");
    }
    let mut options = options();
    options.selectors = vec![Selector::new("own").unwrap()];
    assert_eq!(mend("example.org. MX 0 .", &options).1, None);
}

#[test]
fn a_key_without_an_answer_may_be_there() {
    let zone = r#"{"example.org.": {"MX": ["0 ."]}, "mail._domainkey.example.org.": {"status": "SERVFAIL"}}"#;
    assert_eq!(mend(zone, &options()).1, None);
}

#[test]
fn a_server_that_sends_and_is_not_found_is_somebody() {
    let mut options = options();
    options.smtp = Some((Domain::new("out.example.net").unwrap().into(), 25));
    let null = r#""example.org.": {"MX": ["0 ."]}"#;
    for host in [
        "",
        r#", "out.example.net.": {"status": "SERVFAIL"}"#,
        r#", "out.example.net.": {"status": "TIMEOUT"}"#,
    ] {
        let (told, published) = mend(&format!("{{{null}{host}}}"), &options);
        assert_eq!(published, None, "{host}");
        assert!(told.contains("put them into v=spf1 ~all before"), "{told}");
    }
    let (told, published) = mend(HOSTS.trim_end(), &options);
    assert_eq!(published, None);
    assert!(
        told.contains("put them into v=spf1 mx ~all before"),
        "{told}"
    );
    let found = format!("{HOSTS}out.example.net. A 192.88.7.7");
    let (_, published) = mend(&found, &options);
    assert_eq!(published.as_deref(), Some("v=spf1 mx ip4:192.88.7.7 ~all"));
}

#[test]
fn more_servers_than_mx_may_have_are_named_by_their_addresses() {
    let zone = |count: usize| -> String {
        let host = |at: usize| {
            format!(
                "example.org. MX 10 m{at}.example.org.\nm{at}.example.org. A 192.88.1.{at}\nm{at}.example.org. AAAA 2a01:1234:5678:9abc:def0:1234:5678:{at}\n"
            )
        };
        (1..=count)
            .map(host)
            .collect::<String>()
            .trim_end()
            .to_owned()
    };
    assert_eq!(
        mend(&zone(10), &options()).1.as_deref(),
        Some("v=spf1 mx ~all")
    );
    let eleven = zone(11);
    let report = judge("spf", &eleven);
    let published = &report.findings[0].publish[0].value;
    assert!(
        published.starts_with("v=spf1 ip4:192.88.1.1 ip6:"),
        "{published}"
    );
    for at in 1..=11 {
        assert!(
            published.contains(&format!("ip4:192.88.1.{at} ")),
            "{published}"
        );
    }
    assert!(report.findings[0].mend.contains("octets"));
    assert_eq!(words(&judge("spf", &apply(&eleven, &report))), [""; 0]);
    // Where they are too many for an answer it is said in words.
    let (told, published) = mend(&zone(40), &options());
    assert_eq!(published, None);
    assert!(told.contains("40 mail exchanges"), "{told}");
    // Also beside those of others.
    let (told, published) = mend(
        &format!("{eleven}\nexample.org. MX 20 mx.example.net."),
        &options(),
    );
    assert_eq!(published, None);
    assert!(!told.contains("v=spf1 mx"), "{told}");
}
