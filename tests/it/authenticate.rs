//! `dkimkit authenticate` with a name server: what its sender chose, and delays, must not decide.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::nameserver::{NameServer, Script};

const ZONE: &str = r#"{
    "bank.example.": {"TXT": ["v=spf1 include:spf.bank.example -all"], "A": ["192.0.2.1"]},
    "spf.bank.example.": {"TXT": ["v=spf1 ip4:192.0.2.9 -all"]},
    "_dmarc.bank.example.": {"TXT": ["v=DMARC1; p=reject; adkim=s; aspf=s"]},
    "near.bank.example.": {"TXT": ["v=spf1 ip4:198.51.100.66 -all"]},
    "_dmarc.shop.example.": {"TXT": ["v=DMARC1; p=reject"]},
    "bounce.shop.example.": {"TXT": ["v=spf1 ip4:198.51.100.66 -all"]},
    "slow.evil.example.": {"status": "TIMEOUT"},
    "x._domainkey.slow.evil.example.": {"status": "TIMEOUT"},
    "_dmarc.slow.evil.example.": {"status": "TIMEOUT"}
}"#;

const SIGNED: &str = "v=1; a=rsa-sha256; d=slow.evil.example; s=x; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA";

/// So many domains sign, each below names that nobody answers for.
const SIGNERS: usize = 12;

fn signer(number: usize) -> String {
    format!("a.b.c.d.e.f.s{number}.slow.evil.example")
}

fn zone() -> String {
    let silent = (0..SIGNERS).flat_map(|number| {
        let domain = signer(number);
        let above = domain.match_indices('.').map(|(at, _)| at + 1);
        let names: Vec<String> = std::iter::once(0)
            .chain(above)
            .map(|start| format!("_dmarc.{}.", &domain[start..]))
            .filter(|name| name.contains(&format!("s{number}.")))
            .collect();
        names
    });
    let silent = silent.map(|name| format!("\n    \"{name}\": {{\"status\": \"TIMEOUT\"}},"));
    ZONE.replacen('{', &format!("{{{}", silent.collect::<String>()), 1)
}

/// The exit code, what is said in JSON, and how long it took.
fn authenticate(envelope: [&str; 2], header: &str) -> (Option<i32>, Value, Duration) {
    authenticate_in(&zone(), envelope, header)
}

fn authenticate_in(
    zone: &str,
    envelope: [&str; 2],
    header: &str,
) -> (Option<i32>, Value, Duration) {
    let server = NameServer::start(Script::zone(zone));
    let dir = tempfile::tempdir().unwrap();
    let message = dir.path().join("message.eml");
    std::fs::write(&message, format!("{header}Subject: x\r\n\r\nhello\r\n")).unwrap();
    let began = Instant::now();
    let [helo, mail_from] = envelope;
    let output = Command::new(env!("CARGO_BIN_EXE_dkimkit"))
        .args(["authenticate", "--json", "--ip", "198.51.100.66"])
        .args(["--helo", helo, "--mail-from", mail_from])
        .args(["--timeout", "2s", "--nameserver"])
        .arg(server.addr().to_string())
        .arg(&message)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let took = began.elapsed();
    let text = String::from_utf8(output.stdout).unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (output.status.code(), json, took)
}

#[test]
fn a_name_that_the_sender_keeps_silent_takes_nothing_from_the_rest() {
    let from = "From: ceo@bank.example\r\n";
    let signature = format!("DKIM-Signature: {SIGNED}\r\n{from}");
    let chain = format!(
        "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=slow.evil.example; s=x; b=AAAA\r\n\
         ARC-Message-Signature: i=1; {}\r\n\
         ARC-Authentication-Results: i=1; mx.example.org; none\r\n{from}",
        SIGNED.trim_start_matches("v=1; "),
    );
    let many = (0..SIGNERS).map(|number| {
        let signed = SIGNED.replace("slow.evil.example", &signer(number));
        format!("DKIM-Signature: {signed}\r\n")
    });
    let many = format!("{}{from}", many.collect::<String>());
    for (what, helo, header) in [
        ("nothing", "mx.evil.example", from),
        ("many", "slow.evil.example", many.as_str()),
        ("DKIM", "mx.evil.example", signature.as_str()),
        ("ARC", "mx.evil.example", chain.as_str()),
        ("HELO", "slow.evil.example", from),
    ] {
        let (exit, json, took) = authenticate([helo, "ceo@bank.example"], header);
        assert_eq!(json["spf"]["mail_from"]["result"], "fail", "{what}: {json}");
        assert_eq!(json["dmarc"]["result"], "fail", "{what}: {json}");
        assert_eq!(exit, Some(1), "{what}");
        // It did ask for what nobody answers.
        let waited = took >= Duration::from_secs(2);
        assert!(waited || what == "nothing", "{what}: {took:?}");
    }
}

/// More than may be tried, and than are asked for at a time.
#[test]
fn strangers_that_keep_their_keys_silent_starve_no_signature_of_the_authors_organization() {
    let strangers = 0..110;
    let silent = strangers.clone().map(|number| {
        format!("\n    \"x._domainkey.a{number}.slow.evil.example.\": {{\"status\": \"TIMEOUT\"}},")
    });
    let zone = ZONE.replacen('{', &format!("{{{}", silent.collect::<String>()), 1);
    let sign = |domain: &str| {
        let signed = SIGNED.replace("slow.evil.example", domain);
        format!("DKIM-Signature: {signed}\r\n")
    };
    let strangers: String = strangers
        .map(|number| sign(&format!("a{number}.slow.evil.example")))
        .collect();
    let own = sign("other.shop.example");
    let header = format!("{strangers}{own}From: ceo@mail.shop.example\r\n");
    let envelope = ["mx.evil.example", "x@evil.example"];
    let (exit, json, _) = authenticate_in(&zone, envelope, &header);
    let signatures = json["dkim"]["signatures"].as_array().unwrap();
    assert_eq!(signatures.last().unwrap()["reason"], "key-not-found");
    assert_eq!(json["dmarc"]["result"], "fail", "{}", json["dmarc"]);
    assert_eq!(exit, Some(1));
}

#[test]
fn names_of_a_client_that_nobody_answers_for_leave_the_verdict_to_the_record() {
    let silent = "{\"status\": \"TIMEOUT\"}";
    let reverse = "66.100.51.198.in-addr.arpa.";
    for names in [
        format!("\"{reverse}\": {{\"PTR\": [\"p.evil.example.\"]}}, \"p.evil.example.\": {silent}"),
        format!("\"{reverse}\": {silent}"),
    ] {
        let zone = ZONE.replacen('{', &format!("{{{names},"), 1);
        let zone = zone.replace("v=spf1 include", "v=spf1 ptr:bank.example include");
        let envelope = ["mx.evil.example", "ceo@bank.example"];
        let (exit, json, _) = authenticate_in(&zone, envelope, "From: ceo@bank.example\r\n");
        assert_eq!(json["spf"]["mail_from"]["result"], "fail", "{json}");
        assert_eq!(json["dmarc"]["result"], "fail", "{json}");
        assert_eq!(exit, Some(1));
    }
}

#[test]
fn a_signature_that_nobody_can_look_up_spoils_no_pass() {
    let header = format!("DKIM-Signature: {SIGNED}\r\nFrom: anna@shop.example\r\n");
    let envelope = ["mx.shop.example", "x@bounce.shop.example"];
    let (exit, json, _) = authenticate(envelope, &header);
    assert_eq!(json["dmarc"]["result"], "pass", "{json}");
    assert_eq!(exit, Some(0));
}

#[test]
fn a_second_author_lifts_no_policy() {
    let envelope = ["mx.evil.example", "a@near.bank.example"];
    let one = "From: ceo@bank.example\r\n";
    let (exit, json, _) = authenticate(envelope, one);
    assert_eq!((exit, &json["dmarc"]["result"]), (Some(1), &json!("fail")));
    let two = "From: ceo@bank.example, x@near.bank.example\r\n";
    let (exit, json, _) = authenticate(envelope, two);
    assert_eq!(json["dmarc"]["reason"], "several-authors");
    assert_eq!(json["spf"]["mail_from"]["result"], "pass", "{json}");
    assert_eq!(exit, Some(1));
}
