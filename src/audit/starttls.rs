//! STARTTLS at the servers that take mail: whether it is offered and works, and what the certificate is worth
//! (RFC 3207, RFC 8461 §4.1, RFC 9525).

use serde_json::json;

use super::contact::{contacts, no_connection, no_roots};
use super::dane::{self, Pins, Vouched};
use super::facts::{Facts, Server};
use super::finding::{CheckReport, Finding};
use super::host::is_literal;
use super::mta_sts::{self, Mode};
use super::net::{Greeting, Handshake, NoConnection, Reply, Tls, Trust};
use crate::dns::lookup::Pending;
use crate::time::UnixTime;

const NAME: &str = "starttls";
/// A certificate that expires within this time should have been renewed by now.
const SOON: u64 = 14 * 86_400;

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let contacts = match contacts(facts, NAME)? {
        Ok(contacts) => contacts,
        Err(report) => return Ok(report),
    };
    let promised = mta_sts::promises(facts);
    let reached = contacts.reached.iter();
    let pins: Vec<_> = reached
        .map(|(server, _)| dane::pins(facts, server))
        .collect();
    // Everything is there before a chain is looked at.
    let pins = pins.into_iter().collect::<Result<Vec<_>, _>>()?;
    let promised = promised?;
    let mut findings = contacts.missed;
    for ((server, greeting), pins) in contacts.reached.iter().zip(&pins) {
        findings.extend(judge_server(facts, server, greeting, pins, promised));
    }
    let shown: Vec<_> = contacts
        .reached
        .iter()
        .map(|(server, greeting)| {
            let tls = match &greeting.tls {
                Tls::NotTried => json!("not tried"),
                Tls::NotOffered => json!("not offered"),
                Tls::Refused(reply) => json!(reply.to_string()),
                Tls::NothingInCommon(why) | Tls::Broken(why) => json!(why),
                Tls::Done(handshake) => told(handshake),
            };
            json!({"server": server.to_string(), "tls": tls})
        })
        .collect();
    let sentence = match shown.len() {
        1 => "the server offers TLS with a certificate that holds".to_owned(),
        count => format!("all {count} servers offer TLS with certificates that hold"),
    };
    Ok(CheckReport::new(NAME, sentence, findings)
        .fact("servers", shown)
        .fact("skipped", contacts.skipped))
}

/// What was seen of a handshake.
fn told(handshake: &Handshake) -> serde_json::Value {
    let leaf = handshake.leaf.as_ref();
    json!({
        "protocol": handshake.protocol,
        "names": leaf.map(|leaf| &leaf.names),
        "issuer": leaf.map(|leaf| &leaf.issuer),
        "not_before": leaf.map(|leaf| leaf.not_before.to_rfc3339()),
        "not_after": leaf.map(|leaf| leaf.not_after.to_rfc3339()),
        "trusted": handshake.trust == Trust::Trusted,
    })
}

fn judge_server(
    facts: &Facts<'_>,
    server: &Server,
    greeting: &Greeting,
    pins: &Pins,
    promised: Mode,
) -> Vec<Finding> {
    let handshake = match &greeting.tls {
        Tls::Done(handshake) => handshake,
        Tls::NotOffered => return vec![missing(server)],
        Tls::Refused(reply) => return vec![refused(server, reply)],
        Tls::NothingInCommon(why) => return vec![nothing_in_common(server, why)],
        Tls::Broken(why) => return vec![broken(server, why)],
        Tls::NotTried => {
            let trouble = greeting.trouble.as_ref().unwrap_or(&NoConnection::Closed);
            return vec![no_connection(server, trouble)];
        }
    };
    // RFC 7672 §3.1: a certificate that DANE confirms needs nobody else, but for senders that know MTA-STS alone.
    let vouched = match promised {
        Mode::None => pins.vouch(handshake),
        Mode::Testing | Mode::Enforce => Vouched::No,
    };
    judge_certificate(server, handshake, facts.options.now, vouched, promised)
}

fn missing(server: &Server) -> Finding {
    Finding::new(
        "starttls-missing",
        server,
        format!("{server} offers no STARTTLS: mail to it goes over the network in clear text"),
        "give the server a certificate and let it offer TLS (Postfix: smtpd_tls_security_level = may, with smtpd_tls_chain_files or smtpd_tls_cert_file and smtpd_tls_key_file; Exim: tls_advertise_hosts, tls_certificate, tls_privatekey)",
    )
}

fn refused(server: &Server, reply: &Reply) -> Finding {
    Finding::new(
        "starttls-broken",
        server,
        format!("{server} offers STARTTLS and refuses it: {reply}"),
        "see in the server's log why: often its certificate or key cannot be read (Postfix: smtpd_tls_chain_files, or smtpd_tls_cert_file and smtpd_tls_key_file)",
    )
}

fn broken(server: &Server, why: &str) -> Finding {
    Finding::new(
        "starttls-broken",
        server,
        format!("{server} offers STARTTLS, and it does not work: {why}"),
        "let the server speak TLS 1.2 or 1.3 with a certificate and the key that belongs to it (Postfix: smtpd_tls_protocols, smtpd_tls_chain_files, or smtpd_tls_cert_file and smtpd_tls_key_file), and keep firewalls from changing what it says",
    )
}

/// Senders with other programs may get through: this one has no suites with CBC or with static RSA keys, and no DHE.
fn nothing_in_common(server: &Server, why: &str) -> Finding {
    Finding::new(
        "starttls-nothing-common",
        server,
        format!(
            "{server} offers STARTTLS, and has no version and cipher suite in common with this program, which knows TLS 1.2 and 1.3, with AEAD suites and ECDHE only: {why}"
        ),
        "let the server offer TLS 1.3, or TLS 1.2 with suites such as ECDHE-RSA-AES128-GCM-SHA256 (Postfix: smtpd_tls_protocols, smtpd_tls_mandatory_ciphers, tls_medium_cipherlist), and see that it has a certificate",
    )
}

fn judge_certificate(
    server: &Server,
    handshake: &Handshake,
    now: UnixTime,
    vouched: Vouched,
    promised: Mode,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let confirmed = vouched != Vouched::No;
    let renew = "renew the certificate, and let the server read the new one (Postfix: `postfix reload`; for the renewal tool a hook does both)";
    let dates = handshake
        .leaf
        .as_ref()
        .map(|leaf| (leaf.not_before, leaf.not_after))
        // RFC 7671 §5.1: nor does its time count.
        .filter(|_| vouched != Vouched::Itself);
    match dates {
        Some((_, end)) if end < now => findings.push(Finding::new(
            "certificate-expired",
            server,
            format!("the certificate of {server} has expired on {}", end.to_rfc3339()),
            renew,
        )),
        Some((start, _)) if start > now => findings.push(Finding::new(
            "certificate-not-yet-valid",
            server,
            format!("the certificate of {server} is valid from {} only", start.to_rfc3339()),
            "set the clock of the machine that issued the certificate, or use the older certificate until then",
        )),
        // Those that were issued for a few days only are renewed in the last of them.
        Some((start, end)) if end.0 - now.0 < SOON.min((end.0 - start.0) / 3) => {
            findings.push(Finding::new(
                "certificate-expires-soon",
                server,
                format!("the certificate of {server} expires on {}", end.to_rfc3339()),
                renew,
            ));
        }
        _ => {}
    }
    let named = handshake.name_matches || is_literal(&server.name);
    if handshake.leaf.is_some() && !named && !confirmed {
        findings.push(wrong_name(server, handshake, promised));
    }
    let own = findings
        .iter()
        .any(|finding| finding.finding != "certificate-expires-soon");
    let untrusted = |why: &str, mend: &str| {
        let (word, matters) = match promised {
            Mode::Enforce => (
                "certificate-untrusted",
                "; whoever heeds the policy of MTA-STS delivers no mail to it",
            ),
            Mode::Testing | Mode::None => ("certificate-unproven", ""),
        };
        let sentence = format!(
            "the certificate of {server} is trusted by nobody who does not know it: {why}{matters}"
        );
        Finding::new(word, server, sentence, mend)
    };
    let chain = "let the server send the whole chain, from its own certificate up to the last below the root (Postfix: smtpd_tls_chain_files)";
    match &handshake.trust {
        Trust::Expired | Trust::NotYetValid if !own && !confirmed => findings.push(untrusted(
            "a certificate above its own is not valid at this time",
            chain,
        )),
        Trust::UnknownIssuer if !confirmed => {
            let issuer = handshake.leaf.as_ref().map_or("", |leaf| &leaf.issuer);
            let mend = format!(
                "use a certificate of a public authority (many give them for nothing), or publish TLSA records that DNSSEC proves and no policy of MTA-STS; if it has such a certificate, {chain}"
            );
            findings.push(untrusted(&format!("it was issued by {issuer}"), &mend));
        }
        Trust::Other(why) if !confirmed => findings.push(untrusted(
            why,
            "use a certificate of version 3 of a public authority (Postfix: smtpd_tls_chain_files)",
        )),
        Trust::NoRoots => findings.push(no_roots(server)),
        _ => {}
    }
    findings
}

fn wrong_name(server: &Server, handshake: &Handshake, promised: Mode) -> Finding {
    let names = handshake.leaf.as_ref().map_or(&[][..], |leaf| &leaf.names);
    let others = match names {
        [] => "it names no host: its subjectAltName is missing, and a common name alone does not count (RFC 9525 §6.3)".to_owned(),
        [name] => format!("it is for {name}"),
        [first, .., last] => format!("it is for {first}, … {last}, {} names in all", names.len()),
    };
    // RFC 7435 §3: who encrypts where he can looks at no name.
    let (word, matters) = match promised {
        Mode::Enforce => (
            "certificate-wrong-name",
            "whoever heeds the policy of MTA-STS delivers no mail to it",
        ),
        Mode::Testing => (
            "certificate-other-name",
            "whoever heeds the policy of MTA-STS delivers no mail to it once that is enforced",
        ),
        Mode::None => (
            "certificate-other-name",
            "most senders take it all the same, and none can tell the server from an impostor",
        ),
    };
    Finding::new(
        word,
        server,
        format!("the certificate of {server} is not for this name: {others}; {matters}"),
        format!(
            "use a certificate for {} (Postfix: smtpd_tls_chain_files; for several names tls_server_sni_maps), or let the MX record hold the name that the certificate is for",
            server.name
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::facts::{Answered, Probe};
    use super::super::net::{Download, Leaf};
    use super::super::testing::{greeting, judge_with, options, reply, words};
    use super::*;
    use crate::dns::survey::Dnssec;

    const ZONE: &str = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1";
    const DAY: u64 = 86_400;

    /// A certificate that is valid from and until so many days from now.
    fn done(from: i64, until: i64, trust: Trust, name_matches: bool) -> Tls {
        let day = |days: i64| UnixTime(options().now.0.saturating_add_signed(days * DAY as i64));
        Tls::Done(Box::new(Handshake {
            protocol: "TLSv1.3".to_owned(),
            chain: vec![vec![1]],
            leaf: Some(Leaf {
                names: vec!["mx.example.org".to_owned()],
                not_before: day(from),
                not_after: day(until),
                issuer: "CN=one".to_owned(),
                key: vec![2],
            }),
            trust,
            name_matches,
        }))
    }

    #[test]
    fn tls_is_offered_works_and_has_a_certificate_that_holds() {
        for (tls, expected) in [
            (done(-30, 60, Trust::Trusted, true), vec![]),
            (Tls::NotOffered, vec!["starttls-missing"]),
            (Tls::Refused(reply("454 later")), vec!["starttls-broken"]),
            (Tls::Broken("x".to_owned()), vec!["starttls-broken"]),
            (
                Tls::NothingInCommon("x".to_owned()),
                vec!["starttls-nothing-common"],
            ),
            (Tls::NotTried, vec!["no-connection"]),
            (
                done(-90, -1, Trust::Expired, true),
                vec!["certificate-expired"],
            ),
            (
                done(1, 90, Trust::NotYetValid, true),
                vec!["certificate-not-yet-valid"],
            ),
            (
                done(-80, 10, Trust::Trusted, true),
                vec!["certificate-expires-soon"],
            ),
            // One of six days, as Let's Encrypt gives them.
            (done(-1, 5, Trust::Trusted, true), vec![]),
            (
                done(-30, 60, Trust::WrongName, false),
                vec!["certificate-other-name"],
            ),
            (
                done(-30, 60, Trust::UnknownIssuer, true),
                vec!["certificate-unproven"],
            ),
            (
                done(-30, 60, Trust::Expired, true),
                vec!["certificate-unproven"],
            ),
            (done(-30, 60, Trust::NoRoots, true), vec!["no-authorities"]),
            (
                done(-30, 60, Trust::UnknownIssuer, false),
                vec!["certificate-other-name", "certificate-unproven"],
            ),
        ] {
            let shown = greeting("220 mx.example.org", "250 mx.example.org", tls.clone());
            let report = judge_with("starttls", ZONE, &options(), |_| Some(shown.clone()));
            assert_eq!(words(&report), expected, "{tls:?}");
        }
        let refused = greeting("554 no", "", Tls::NotTried);
        let report = judge_with("starttls", ZONE, &options(), |_| Some(refused.clone()));
        assert_eq!(words(&report), ["no-connection"]);
    }

    #[test]
    fn what_dane_confirms_is_enough_but_for_senders_that_know_mta_sts_alone() {
        // The digest of the chain that `done` shows.
        let tlsa = "3 0 1 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a";
        let zone = format!(
            "{ZONE}\n_25._tcp.mx.example.org. TLSA {tlsa}\nmta-sts.example.org. A 192.88.1.2\n_mta-sts.example.org. TXT \"v=STSv1; id=1\""
        );
        let shows = |mode: &'static str, tls: &Tls| {
            let tls = tls.clone();
            move |probe: &Probe| match probe {
                Probe::Proof(_) => Some(Answered::Proof(Dnssec::Secure)),
                Probe::Https(..) => Some(Answered::Https(Arc::new(Download {
                    trouble: None,
                    status: Some(200),
                    body: format!(
                        "version: STSv1\nmode: {mode}\nmx: mx.example.org\nmax_age: 604800"
                    )
                    .into_bytes(),
                    ..Download::none(NoConnection::Closed)
                }))),
                _ => Some(greeting(
                    "220 mx.example.org",
                    "250 mx.example.org",
                    tls.clone(),
                )),
            }
        };
        let untrusted = done(-30, 60, Trust::UnknownIssuer, true);
        let other = done(-30, 60, Trust::WrongName, false);
        let old = done(-90, -1, Trust::Expired, true);
        let soon = done(-80, 10, Trust::Trusted, true);
        for (tls, mode, expected) in [
            (&untrusted, "none", vec![]),
            (&untrusted, "testing", vec!["certificate-unproven"]),
            (&untrusted, "enforce", vec!["certificate-untrusted"]),
            (&other, "none", vec![]),
            (&other, "testing", vec!["certificate-other-name"]),
            (&other, "enforce", vec!["certificate-wrong-name"]),
            (&old, "none", vec![]),
            (&old, "testing", vec!["certificate-expired"]),
            (&soon, "none", vec![]),
        ] {
            let report = judge_with("starttls", &zone, &options(), shows(mode, tls));
            assert_eq!(words(&report), expected, "{mode}");
        }
    }
}
