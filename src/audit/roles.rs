//! Roles: the addresses under which others reach those who run the domain (RFC 5321 §4.5.1, RFC 2142).

use serde_json::{Map, Value, json};

use super::backscatter::null_sender;
use super::contact::{contacts, nobody};
use super::facts::{Facts, Server};
use super::finding::{CheckReport, Finding};
use super::net::Outcome;
use super::recipients::{ROLES, Recipients, ask, unclear};
use super::refusal;
use crate::dns::lookup::Pending;

const NAME: &str = "role-addresses";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let exchanges = facts.exchanges()?;
    if exchanges.null || exchanges.failure.is_some() {
        return nobody(facts, NAME);
    }
    let contacts = match contacts(facts, NAME)? {
        Ok(contacts) => contacts,
        Err(report) => return Ok(report),
    };
    // A server that only sends knows nobody, and need not.
    let takes_mail = |server: &Server| {
        let mut hosts = exchanges.hosts.iter();
        let own = exchanges.hosts.is_empty() && server.name == facts.domain();
        server.address.port() == 25 && (own || hosts.any(|(_, host)| *host == server.name))
    };
    let mut servers = contacts.mail_servers();
    servers.retain(|server| takes_mail(server));
    let said: Vec<_> = servers.iter().map(|server| ask(facts, server)).collect();
    let mut findings = contacts.missed.clone();
    let mut shown = Vec::new();
    for (server, said) in servers.iter().zip(said) {
        let said = said?;
        findings.extend(judge_server(facts, server, &said));
        let mut roles = Map::new();
        for role in ROLES {
            roles.insert(role.to_owned(), told(said.role(role)));
        }
        roles.insert("<postmaster>".to_owned(), told(said.bare_postmaster()));
        shown.push(json!({"server": server.to_string(), "roles": roles}));
    }
    let sentence = "postmaster and abuse are reached";
    let report = CheckReport::new(NAME, sentence, findings).fact("servers", shown);
    Ok(report.fact("skipped", contacts.skipped))
}

fn told(outcome: Option<&Outcome>) -> Value {
    json!(outcome.map(|outcome| outcome.reply().to_string()))
}

fn judge_server(facts: &Facts<'_>, server: &Server, said: &Recipients) -> Vec<Finding> {
    if let Some(reply) = refusal::of_client(server, said) {
        return vec![refusal::finding(server, reply)];
    }
    let domain = facts.options.domain.as_ascii();
    let mut findings = Vec::new();
    for (role, word, why) in [
        (
            "postmaster",
            "postmaster-refused",
            "everybody must (RFC 5321, section 4.5.1)",
        ),
        (
            "abuse",
            "abuse-refused",
            "complaints go there (RFC 2142, section 4), and some lists check it",
        ),
    ] {
        match said.role(role) {
            None => {
                findings.extend(said.trouble(server));
                break;
            }
            Some(outcome) if refusal::names_client(server, outcome.reply()) => {
                findings.push(refusal::finding(server, outcome.reply()));
                break;
            }
            Some(Outcome::Sender(reply)) => {
                findings.push(null_sender(server, &reply.to_string()));
                break;
            }
            Some(outcome) if outcome.is_taken() => {}
            Some(outcome) if !outcome.reply().is_permanent() => {
                findings.push(unclear(server, &format!("{role}@{domain}"), outcome.reply()));
            }
            Some(outcome) => findings.push(Finding::new(
                word,
                server,
                format!("{server} takes no mail for {role}@{domain}: {}; {why}", outcome.reply()),
                format!("let {role}@{domain} lead to somebody who reads it (Postfix: alias_maps for local domains, virtual_alias_maps for others)"),
            )),
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ServerSays, judge_with, options, server_says, words};
    use crate::name::Domain;

    const ZONE: &str = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1\nout.example.org. A 192.88.1.2";

    #[test]
    fn postmaster_and_abuse_are_there() {
        let without = |role: &'static str, reply: &'static str| {
            server_says(move |_, recipient: &str| {
                let refused = recipient.split('@').next() == Some(role);
                ServerSays::Recipient(if refused { reply } else { "250 ok" })
            })
        };
        for (role, reply, expected) in [
            ("none", "550 no", vec![]),
            ("postmaster", "550 no", vec!["postmaster-refused"]),
            ("abuse", "550 no", vec!["abuse-refused"]),
            ("noc", "550 no", vec![]),
            ("postmaster", "451 later", vec!["recipient-unclear"]),
        ] {
            let report = judge_with("role-addresses", ZONE, &options(), without(role, reply));
            assert_eq!(words(&report), expected, "{role} {reply}");
        }
    }

    #[test]
    fn an_address_is_asked_once_whatever_its_names() {
        let zone =
            format!("{ZONE}\nexample.org. MX 20 b.example.org.\nb.example.org. A 192.88.1.1");
        let mut options = options();
        options.smtp = Some((Domain::new("b.example.org").unwrap().into(), 25));
        let shows = server_says(|_, _| ServerSays::Recipient("250 ok"));
        let report = judge_with("role-addresses", &zone, &options, shows);
        assert_eq!(report.facts["servers"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_server_that_only_sends_has_no_roles() {
        let mut options = options();
        options.smtp = Some((Domain::new("out.example.org").unwrap().into(), 25));
        let shows = server_says(|_, _| ServerSays::Recipient("250 ok"));
        let report = judge_with("role-addresses", ZONE, &options, shows);
        assert_eq!(report.facts["servers"].as_array().unwrap().len(), 1);
    }
}
