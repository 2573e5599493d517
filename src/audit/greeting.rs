//! The greeting: the name that a mail server gives itself (RFC 5321 §4.1.1.1, §4.2, §4.3.1).
//!
//! It is the name that the server says to others, too, when it brings mail, and receivers look it up. Whoever runs the
//! servers of many domains answers for them alone: the names of such a server are told as facts.

use serde_json::json;

use super::contact::contacts;
use super::facts::{Facts, Server};
use super::finding::{CheckReport, Finding};
use super::host::is_literal;
use super::net::{Greeting, Reply};
use super::refusal;
use super::reverse::{lead, may_lead};
use crate::dns::lookup::{DnsName, Pending};
use crate::special::unreachable;

pub(super) const NAME: &str = "greeting";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let contacts = match contacts(facts, NAME)? {
        Ok(contacts) => contacts,
        Err(report) => return Ok(report),
    };
    let names: Vec<_> = contacts
        .reached
        .iter()
        .map(|(server, greeting)| {
            let own = facts.is_own(server)?;
            let findings = match own && welcomes(greeting) {
                true => judge_names(facts, server, greeting)?,
                false => Vec::new(),
            };
            Ok((own, findings))
        })
        .collect();
    let mut findings = contacts.missed;
    let mut shown = Vec::new();
    for ((server, greeting), names) in contacts.reached.iter().zip(names) {
        let (own, mut names) = names?;
        if let Some(text) = &greeting.garbage {
            findings.push(Finding::new(
                "not-smtp",
                server,
                format!("{server} speaks no SMTP: it begins with `{text}`"),
                "let a mail server listen there, or let the MX record name the host that has one",
            ));
        }
        if let Some(banner) = greeting
            .banner
            .as_ref()
            .filter(|banner| !banner.is_positive())
        {
            findings.push(match own && !refusal::names_client(server, banner) {
                true => refused(server, banner),
                // Somebody else's server, or one that says that it is for us.
                false => refusal::finding(server, banner),
            });
        }
        findings.append(&mut names);
        shown.push(json!({
            "server": server.to_string(),
            "banner": greeting.banner.as_ref().map(ToString::to_string),
            "ehlo": greeting.ehlo.as_ref().map(|reply| &reply.lines),
            "own": own,
        }));
    }
    let count = contacts.reached.len();
    let sentence = match count {
        1 => "the server greets as it should".to_owned(),
        _ => format!("all {count} servers greet as they should"),
    };
    Ok(CheckReport::new(NAME, sentence, findings)
        .fact("servers", shown)
        .fact("skipped", contacts.skipped))
}

/// Whether a server lets us in.
fn welcomes(greeting: &Greeting) -> bool {
    greeting.banner.as_ref().is_some_and(Reply::is_positive)
}

fn refused(server: &Server, banner: &Reply) -> Finding {
    let mend = match banner.is_permanent() {
        true => {
            "see in the server's log whether it refuses this address alone (a block list, a missing PTR record), or everybody (RFC 5321 §3.1; Postfix: smtpd_client_restrictions, Exim: acl_smtp_connect)"
        }
        false => {
            "see in the server's log why it puts clients off: too many connections, or too much load (Postfix: default_process_limit, smtpd_client_connection_count_limit)"
        }
    };
    Finding::new(
        "greeting-refused",
        server,
        format!("{server} greets with a refusal: {banner}"),
        mend,
    )
}

/// The name that a greeting gives: that of the answer to EHLO, or else that of the banner. A refusal need give none
/// (RFC 5321 §4.2).
pub(super) fn name_of(greeting: &Greeting) -> Option<&str> {
    let ehlo = greeting.ehlo.as_ref().filter(|reply| reply.is_positive());
    let banner = greeting.banner.as_ref().filter(|reply| reply.is_positive());
    ehlo.and_then(Reply::name)
        .or_else(|| banner.and_then(Reply::name))
}

fn judge_names(
    facts: &Facts<'_>,
    server: &Server,
    greeting: &Greeting,
) -> Result<Vec<Finding>, Pending> {
    let mut findings = Vec::new();
    let banner = greeting
        .banner
        .as_ref()
        .and_then(Reply::name)
        .unwrap_or_default();
    let name = name_of(greeting).unwrap_or_default();
    if qualified(banner).is_none() && qualified(name).is_some() {
        findings.push(Finding::new(
            "greeting-not-qualified",
            server,
            format!("{server} calls itself `{banner}` in its banner, which is no fully qualified name, and `{name}` in its answer to EHLO"),
            "let the banner begin with the name of the host: Postfix has `smtpd_banner = $myhostname ESMTP`, Exim smtp_banner, Sendmail confSMTP_LOGIN_MSG",
        ));
    } else if !same(banner, name) {
        findings.push(Finding::new(
            "greeting-names-differ",
            server,
            format!("{server} calls itself `{banner}` in its banner and `{name}` in its answer to EHLO"),
            "let both be the name of the host: Postfix has `smtpd_banner = $myhostname ESMTP` and myhostname, Exim primary_hostname and smtp_banner",
        ));
    }
    let Some(host) = qualified(name) else {
        findings.push(Finding::new(
            "greeting-not-qualified",
            server,
            format!("{server} calls itself `{name}`, which is no fully qualified name"),
            format!("set the name to that of the host{} (Postfix: myhostname; Exim: primary_hostname; Sendmail: confDOMAIN_NAME)", such_as(server)),
        ));
        return Ok(findings);
    };
    let addresses = facts.addresses(&host)?;
    let here = server.address.ip();
    let kind = if here.is_ipv4() { "A" } else { "AAAA" };
    // What is within the own network need not lead anywhere for others.
    if addresses.list.contains(&here) || unreachable(here).is_some() {
        return Ok(findings);
    }
    if let Some((question, cause)) = &addresses.failure {
        findings.push(Finding::no_answer(question, *cause));
        return Ok(findings);
    }
    let end = addresses.aliases.last().unwrap_or(&host);
    let may = may_lead(facts, end, &addresses, here)?;
    let name = such_as(server);
    let finding = match addresses.list.is_empty() {
        true => Finding::new(
            "greeting-unresolvable",
            server,
            format!("{server} calls itself {host}, which has no address"),
            format!(
                "set the name to one that leads to the server{name} (Postfix: myhostname), or publish an {kind} record with {here} at {end}"
            ),
        ),
        false => Finding::new(
            "greeting-not-leading-back",
            server,
            format!("{server} calls itself {host}, which leads to other addresses only"),
            format!(
                "set the name to one that leads to {here}{name} (Postfix: myhostname), or add {here} to the addresses of {host} where they are of the same server"
            ),
        ),
    };
    findings.push(match may {
        true => lead(facts, finding, &host, &addresses, here)?,
        false => finding,
    });
    Ok(findings)
}

/// The name that a server is known by, as an example.
fn such_as(server: &Server) -> String {
    match is_literal(&server.name) {
        true => String::new(),
        false => format!(", such as {}", server.name),
    }
}

/// Whether two names are the same; a final dot does not count.
pub(super) fn same(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    bare(one) == bare(other)
}

/// Whether others may know a host by this name: it is fully qualified, and not one that exists within a network alone.
///
/// ```
/// use dkimkit::audit::is_public_name;
/// assert!(is_public_name("mail.example.org"));
/// assert!(!is_public_name("mail"));
/// assert!(!is_public_name("mail.lan"));
/// ```
pub fn is_public_name(name: &str) -> bool {
    qualified(name).is_some()
}

/// Endings of names that lead nowhere outside (RFC 6761, RFC 6762, and what routers and systems make up).
const LOCAL: [&str; 10] = [
    "local",
    "localhost",
    "localdomain",
    "lan",
    "internal",
    "intranet",
    "home",
    "corp",
    "private",
    "invalid",
];

/// A fully qualified name (RFC 5321 §2.3.5).
pub(super) fn qualified(name: &str) -> Option<DnsName> {
    let host = DnsName::new(name.as_bytes()).ok()?;
    let sound = |label: &[u8]| {
        label
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let last = host.labels().next_back()?;
    let last = std::str::from_utf8(last).ok()?;
    let right = host.labels().count() > 1
        && host.labels().all(sound)
        && !last.bytes().all(|b| b.is_ascii_digit())
        && !LOCAL.contains(&last);
    right.then_some(host)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::facts::{Answered, Probe};
    use super::super::net::{NoConnection, Tls};
    use super::super::testing::{greeting, judge_with, options, reply, words};
    use super::*;

    const ZONE: &str = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1\nother.example.org. A 192.88.1.2";

    fn judged(banner: &str, ehlo: &str) -> Vec<&'static str> {
        let shown = greeting(banner, ehlo, Tls::NotOffered);
        words(&judge_with("greeting", ZONE, &options(), |_| {
            Some(shown.clone())
        }))
    }

    #[test]
    fn the_name_is_qualified_and_leads_back() {
        for (banner, ehlo, expected) in [
            ("220 mx.example.org ESMTP", "250 MX.example.org.", vec![]),
            (
                "220 mx.example.org",
                "250 other.example.org",
                vec!["greeting-names-differ", "greeting-not-leading-back"],
            ),
            (
                "220 localhost",
                "250 localhost",
                vec!["greeting-not-qualified"],
            ),
            ("220 mx.lan", "250 mx.lan", vec!["greeting-not-qualified"]),
            (
                "220 [192.88.1.1]",
                "250 [192.88.1.1]",
                vec!["greeting-not-qualified"],
            ),
            (
                "220 192.88.1.1",
                "250 192.88.1.1",
                vec!["greeting-not-qualified"],
            ),
            (
                "220 a.b.example",
                "250 a.b.example",
                vec!["greeting-unresolvable"],
            ),
            ("220", "250", vec!["greeting-not-qualified"]),
            (
                "220 192.88.1.1 ESMTP",
                "250 mx.example.org",
                vec!["greeting-not-qualified"],
            ),
            (
                "220 ESMTP ready",
                "250 other.example.org",
                vec!["greeting-not-qualified", "greeting-not-leading-back"],
            ),
            ("554 no", "", vec!["greeting-refused"]),
        ] {
            assert_eq!(judged(banner, ehlo), expected, "{banner}");
        }
    }

    #[test]
    fn the_address_is_published_only_where_it_stands_in_nobodys_way() {
        let zone = format!(
            "{ZONE}\nmx.example.org. AAAA 2a01::1\nv6.example.org. AAAA 2a01::1\nweb.example.org. AAAA 2a01::9\nalias.example.org. CNAME cdn.example.net."
        );
        for (name, at) in [
            ("new.example.org", "new.example.org."),
            ("v6.example.org", "v6.example.org."),
            ("web.example.org", ""),
            ("other.example.org", ""),
            ("alias.example.org", ""),
            ("box.example.net", ""),
        ] {
            let text = format!("250 {name}");
            let shown = greeting(&text.replace("250", "220"), &text, Tls::NotOffered);
            let report = judge_with("greeting", &zone, &options(), |_| Some(shown.clone()));
            let finding = &report.findings[0];
            let published = finding.publish.first().map_or("", |record| &record.name);
            assert_eq!(published, at, "{name}");
            assert!(finding.mend.contains("such as mx.example.org"), "{name}");
        }
    }

    #[test]
    fn a_refusal_is_the_fault_of_an_own_server_that_does_not_mean_us() {
        let foreign = "example.org. MX 10 mx.example.net.\nmx.example.net. A 192.88.1.1";
        for (zone, banner, expected) in [
            (ZONE, "554 no service here", "greeting-refused"),
            (ZONE, "550 5.7.1 198.51.100.7 is listed", "client-refused"),
            (foreign, "554 no service here", "client-refused"),
            (foreign, "421 too busy", "client-refused"),
        ] {
            let shown = greeting(banner, "", Tls::NotTried);
            let report = judge_with("greeting", zone, &options(), |_| Some(shown.clone()));
            assert_eq!(words(&report), [expected], "{banner}");
        }
    }

    #[test]
    fn who_serves_many_domains_answers_for_the_names_alone() {
        let zone = "example.org. MX 10 mx.example.net.\nmx.example.net. A 192.88.1.1";
        let shown = greeting("220 localhost", "250 localhost", Tls::NotOffered);
        let shows = |_: &Probe| Some(shown.clone());
        assert_eq!(
            words(&judge_with("greeting", zone, &options(), shows)),
            [""; 0]
        );
        let mut own = options();
        own.addresses = vec!["192.88.1.1".parse().unwrap()];
        let report = judge_with("greeting", zone, &own, shows);
        assert_eq!(words(&report), ["greeting-not-qualified"]);
    }

    #[test]
    fn an_address_that_only_we_cannot_reach_is_a_fact() {
        let zone = format!("{ZONE}\nmx.example.org. AAAA 2a01::1");
        let shows = |trouble: NoConnection| {
            move |probe: &Probe| match probe {
                Probe::Greeting(server) if server.address.is_ipv6() => Some(Answered::Greeting(
                    Arc::new(Greeting::none(trouble.clone())),
                )),
                _ => Some(greeting(
                    "220 mx.example.org",
                    "250 mx.example.org",
                    Tls::NotOffered,
                )),
            }
        };
        let report = judge_with("greeting", &zone, &options(), shows(NoConnection::NoIpv6));
        assert_eq!(words(&report), [""; 0]);
        assert_eq!(report.facts["skipped"][0], "mx.example.org [2a01::1]");
        let report = judge_with("greeting", &zone, &options(), shows(NoConnection::Refused));
        assert_eq!(words(&report), ["no-connection"]);
    }

    #[test]
    fn nobody_is_talked_to_where_others_cannot() {
        let zone = ZONE.replace("192.88.1.1", "10.0.0.1");
        for check in ["greeting", "starttls", "backscatter", "role-addresses"] {
            let report = judge_with(check, &zone, &options(), |probe| panic!("{probe}"));
            assert_eq!(words(&report), [""; 0], "{check}");
            assert!(report.sentence.contains("can be reached"), "{check}");
        }
    }

    #[test]
    fn what_is_no_mail_server_is_told() {
        let mut none = Greeting::none(NoConnection::Closed);
        none.garbage = Some("SSH-2.0-x".to_owned());
        none.trouble = None;
        let shown = Answered::Greeting(Arc::new(none));
        let report = judge_with("greeting", ZONE, &options(), |_| Some(shown.clone()));
        assert_eq!(words(&report), ["not-smtp"]);
        // The others could not talk to it.
        for check in ["starttls", "backscatter", "role-addresses"] {
            let report = judge_with(check, ZONE, &options(), |_| Some(shown.clone()));
            assert_eq!(words(&report), ["no-connection"], "{check}");
        }
        assert_eq!(
            words(&judge_with(
                "greeting",
                "example.org. MX 0 .",
                &options(),
                |_| None
            )),
            [""; 0]
        );
        assert_eq!(reply("250-a\n250 b").lines, ["a", "b"]);
    }
}
