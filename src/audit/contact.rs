//! What the checks of servers have in common: whom they talk to, and what they say of those who do not answer.

use std::sync::Arc;

use super::facts::{Facts, Server};
use super::finding::{CheckReport, Finding};
use super::greeting;
use super::net::{Greeting, NoConnection};
use crate::dns::lookup::{DnsName, Pending, Question, RecordType};

/// The servers that can be talked to, and those that cannot.
#[derive(Debug)]
pub(super) struct Contacts {
    /// Those that said something; one address may stand under several names.
    pub(super) reached: Vec<(Server, Arc<Greeting>)>,
    /// A finding for each that did not.
    pub(super) missed: Vec<Finding>,
    /// Those that are out of reach from here, while the host answered at another address.
    pub(super) skipped: Vec<String>,
}

/// Talks to all servers. A check that gets a report instead has nobody to talk to, and ends with it. What is no mail
/// server is for the check of greetings to tell; to others it could not be talked to.
pub(super) fn contacts(
    facts: &Facts<'_>,
    check: &'static str,
) -> Result<Result<Contacts, CheckReport>, Pending> {
    let servers = facts.servers()?;
    if servers.is_empty() {
        return Ok(Err(nobody(facts, check)?));
    }
    let greetings: Vec<_> = servers
        .iter()
        .map(|server| facts.greeting(server))
        .collect();
    let mut reached = Vec::new();
    let mut others = Vec::new();
    for (server, greeting) in servers.into_iter().zip(greetings) {
        let greeting = greeting?;
        let garbage = greeting.garbage.is_some() && check == greeting::NAME;
        match greeting.banner.is_some() || garbage {
            true => reached.push((server, greeting)),
            false => others.push((server, greeting)),
        }
    }
    let lost = lost(facts, check)?;
    let mut contacts = Contacts {
        reached,
        missed: lost.into_iter().collect(),
        skipped: Vec::new(),
    };
    for (server, greeting) in others {
        let trouble = match &greeting.garbage {
            Some(_) => NoConnection::Failed("it speaks no SMTP".to_owned()),
            None => greeting.trouble.clone().unwrap_or(NoConnection::Closed),
        };
        let mut reached = contacts.reached.iter();
        let elsewhere = reached.any(|(other, _)| other.name == server.name);
        match elsewhere && trouble == NoConnection::NoIpv6 {
            true => contacts.skipped.push(server.to_string()),
            false => contacts.missed.push(no_connection(&server, &trouble)),
        }
    }
    Ok(Ok(contacts))
}

impl Contacts {
    /// The mail servers among those that were reached, each address once.
    pub(super) fn mail_servers(&self) -> Vec<&Server> {
        let mut servers: Vec<&Server> = Vec::new();
        for (server, _) in &self.reached {
            let known = servers.iter().any(|known| known.address == server.address);
            if !known {
                servers.push(server);
            }
        }
        servers
    }
}

/// What a check of servers says where there is none.
pub(super) fn nobody(facts: &Facts<'_>, check: &'static str) -> Result<CheckReport, Pending> {
    let exchanges = facts.exchanges()?;
    if let Some(cause) = exchanges.failure {
        let question = Question::new(facts.domain(), RecordType::Mx);
        let finding = Finding::no_answer(&question, cause);
        return Ok(CheckReport::new(check, "", vec![finding]));
    }
    let mut findings = Vec::new();
    findings.extend(lost(facts, check)?);
    for (_, host) in exchanges.hosts.iter().filter(|(_, host)| !host.is_root()) {
        if let Some((question, cause)) = facts.addresses(host)?.failure {
            findings.push(Finding::no_answer(&question, cause));
        }
    }
    let sentence = match exchanges.null {
        true => "the domain takes no mail, so there is no server to talk to",
        false => {
            "no server of the domain has an address that can be reached, so there is none to talk to"
        }
    };
    Ok(CheckReport::new(check, sentence, findings))
}

/// What is said, once for all of these checks, where the server of `--smtp` leads nowhere.
fn lost(facts: &Facts<'_>, check: &'static str) -> Result<Option<Finding>, Pending> {
    match &facts.options.smtp {
        Some((host, _)) if check == greeting::NAME => host.lost(facts),
        _ => Ok(None),
    }
}

/// A server that could not be talked to.
pub(super) fn no_connection(server: &Server, trouble: &NoConnection) -> Finding {
    let mend = match trouble {
        NoConnection::Refused => {
            "let the mail server listen at this address (Postfix: inet_interfaces, and smtp in master.cf), and open the port in the firewall"
        }
        NoConnection::NoIpv6 => "run the audit from a machine that has IPv6",
        NoConnection::OverBudget => "run the audit again with a longer --budget",
        NoConnection::Unwelcome(_) => {
            "ask the server's log why it refuses, and run the audit from an address that it lets in"
        }
        _ => {
            "run the audit from another network, since many let nobody connect to port 25; if nobody else gets through either, open the port in the firewall"
        }
    };
    Finding::new(
        "no-connection",
        server,
        format!("{server} could not be talked to: {trouble}"),
        mend,
    )
}

/// Nobody is known who could be trusted with certificates.
pub(super) fn no_roots(about: impl ToString) -> Finding {
    let about = about.to_string();
    Finding::new(
        "no-authorities",
        &about,
        format!(
            "this machine has no list of trusted authorities, so the certificate of {about} could not be judged"
        ),
        "install the list (Debian: ca-certificates), or name a file with --ca",
    )
}

impl Facts<'_> {
    /// Whether a server is the domain's own, and not one that somebody else runs for many, which a name of the domain may
    /// lead to as well.
    pub(super) fn is_own(&self, server: &Server) -> Result<bool, Pending> {
        if self.options.addresses.contains(&server.address.ip())
            || self.own_addresses()?.contains(&server.address)
        {
            return Ok(true);
        }
        Ok(server.name.is_within(&self.domain())
            && self.end_of(&server.name)?.is_within(&self.domain()))
    }

    /// The name to which the aliases of a host lead.
    pub(super) fn end_of(&self, host: &DnsName) -> Result<DnsName, Pending> {
        let aliases = self.addresses(host)?.aliases;
        Ok(aliases.into_iter().next_back().unwrap_or(host.clone()))
    }
}
