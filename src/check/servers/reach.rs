//! Which servers can be asked, and how.

use std::collections::BTreeSet;
use std::fmt;

use super::{Finding, describe, find};
use crate::dns::client::Failure;
use crate::dns::survey::{Link, Server, Trouble, Unasked};
use crate::record::lint::Severity;

/// Tells of each server that cannot be asked, or not in every way.
pub(super) fn reachable(link: &Link, findings: &mut Vec<Finding>) {
    let answered = link.servers.iter().any(|server| server.answer().is_ok());
    if !answered {
        beyond_limits(link, findings);
    }
    for unasked in &link.unasked {
        let name = unasked.name.trim_end_matches('.');
        let (message, mend) = match unasked.why {
            None => (
                format!("the name server {name} has no address"),
                format!("give {name} an address record, or take it out of the NS records"),
            ),
            // That is a limit of ours, and no fault of the zone.
            Some(why @ Trouble::TooMany) => {
                if answered {
                    not_asked(name, &why, findings);
                }
                continue;
            }
            Some(why @ Trouble::Unreachable) => (
                format!("the name server {name} was not asked: {why}"),
                format!("give {name} an address on the Internet, or take it out of the NS records"),
            ),
            Some(trouble) => (
                format!(
                    "the name server {name} was not asked, for its address is not known: {trouble}"
                ),
                format!("try again; or see to the zone in which {name} lies"),
            ),
        };
        find(
            findings,
            Severity::Warning,
            "server-unreachable",
            message,
            mend,
        );
    }
    if let Some(trouble) = link.trouble {
        let name = link.name.trim_end_matches('.');
        let message =
            format!("the resolver cannot say whether {name} is in a zone of its own: {trouble}");
        let mend = "try again, or name another resolver with --nameserver".to_owned();
        find(
            findings,
            Severity::Warning,
            "resolver-failed",
            message,
            mend,
        );
    }
    named_differently(link, findings);
    for server in &link.servers {
        let name = describe(server);
        match server.answer() {
            Err(Trouble::Silent(failure @ Failure::NoIpv6)) if answered => {
                not_asked(&name, failure, findings);
            }
            // It would answer over TCP.
            Err(Trouble::Silent(_)) if server.needs_tcp => over_tcp(server, &name, findings),
            Err(trouble @ Trouble::Silent(_)) => {
                let message = format!("the name server {name} cannot be asked: {trouble}");
                let mend =
                    "start it, or take it out of the NS records of the zone and of its parent"
                        .to_owned();
                find(
                    findings,
                    Severity::Warning,
                    "server-unreachable",
                    message,
                    mend,
                );
            }
            Err(trouble) => {
                let zone = link.zone.as_ref().map_or("the zone", |zone| &zone.name);
                let zone = zone.trim_end_matches('.');
                let message = format!("the name server {name} is named for {zone}, but {trouble}");
                let mend = format!(
                    "load {zone} on {name}, or take it out of the NS records of the zone and of its parent"
                );
                find(
                    findings,
                    Severity::Error,
                    "server-not-authoritative",
                    message,
                    mend,
                );
            }
            Ok(_) => {
                over_udp(server, &name, findings);
                over_tcp(server, &name, findings);
            }
        }
    }
}

/// A server that was not asked for a reason on this side.
fn not_asked(name: &str, why: &impl fmt::Display, findings: &mut Vec<Finding>) {
    let message = format!("the name server {name} was not asked: {why}");
    let (severity, word) = (Severity::Note, "server-unreachable");
    find(findings, severity, word, message, String::new());
}

/// Where nobody answers, and some were not asked because there were too many, nobody knows what those would say.
fn beyond_limits(link: &Link, findings: &mut Vec<Finding>) {
    let limited = |unasked: &&Unasked| unasked.why == Some(Trouble::TooMany);
    let count = link.unasked.iter().filter(limited).count();
    if count == 0 {
        return;
    }
    let name = link.name.trim_end_matches('.');
    let message = format!(
        "what the name servers say of {name} is not known: {count} of them were not asked, for there are too many to ask"
    );
    let mend = format!(
        "look at {name} alone with `dkimkit check`; where there are still too many, take out of the NS records what is not needed"
    );
    find(findings, Severity::Error, "no-answer", message, mend);
}

/// Whether the servers agree on who they are.
fn named_differently(link: &Link, findings: &mut Vec<Finding>) {
    let sets = link.servers.iter().map(|server| &server.named);
    let sets: Vec<&BTreeSet<String>> = sets.filter(|named| !named.is_empty()).collect();
    if sets.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    let names = sets.into_iter().flatten();
    let names: BTreeSet<&str> = names.map(|name| name.trim_end_matches('.')).collect();
    let names = names.into_iter().collect::<Vec<&str>>().join(", ");
    let zone = link
        .zone
        .as_ref()
        .map_or("the zone", |zone| zone.name.trim_end_matches('.'));
    let message =
        format!("not all name servers of {zone} name the same servers; together they name {names}");
    let mend = "let all servers, and the parent of the zone, have the same NS records".to_owned();
    find(
        findings,
        Severity::Warning,
        "name-servers-differ",
        message,
        mend,
    );
}

/// Resolvers ask over UDP first, and many give up then.
fn over_udp(server: &Server, name: &str, findings: &mut Vec<Finding>) {
    if let Err(trouble) = &server.udp {
        let message = format!("over UDP {name} gives no answer: {trouble}");
        let mend = format!("open port 53 of {name} for UDP, in the firewall too");
        find(findings, Severity::Error, "udp-unanswered", message, mend);
    }
}

fn over_tcp(server: &Server, name: &str, findings: &mut Vec<Finding>) {
    let mend = format!("open port 53 of {name} for TCP, in the firewall too (RFC 7766)");
    match (&server.tcp, &server.udp) {
        (Ok(tcp), Ok(udp)) if !server.truncated && !tcp.agrees(udp) => {
            let message = format!("{name} says one thing over UDP and another over TCP");
            let mend = format!("find out who answers at {name}: a middle box, or a second server");
            find(
                findings,
                Severity::Error,
                "server-out-of-step",
                message,
                mend,
            );
        }
        (Ok(_), _) => {}
        (Err(trouble), _) if server.needs_tcp => {
            let message = format!(
                "the record is too long for plain UDP, and over TCP {name} gives no answer: {trouble}"
            );
            find(
                findings,
                Severity::Error,
                "truncated-without-tcp",
                message,
                mend,
            );
        }
        (Err(trouble), _) => {
            let message = format!("over TCP {name} gives no answer: {trouble}");
            find(findings, Severity::Warning, "tcp-unanswered", message, mend);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::survey::Told;

    fn server(answer: Result<Told, Trouble>) -> Server {
        Server {
            name: "ns.example.org.".to_owned(),
            address: [192, 88, 1, 53].into(),
            udp: answer.clone(),
            truncated: false,
            tcp: answer,
            needs_tcp: false,
            soa: None,
            named: BTreeSet::new(),
        }
    }

    #[test]
    fn servers_that_were_too_many_are_no_fault_of_the_zone() {
        let silent = || server(Err(Trouble::Silent(Failure::Timeout)));
        for (servers, expected) in [
            (
                vec![server(Ok(Told::NoData))],
                vec![(Severity::Note, "server-unreachable"); 2],
            ),
            (vec![], vec![(Severity::Error, "no-answer")]),
            (
                vec![silent()],
                vec![
                    (Severity::Error, "no-answer"),
                    (Severity::Warning, "server-unreachable"),
                ],
            ),
        ] {
            let unasked = |name: &str| Unasked {
                name: name.to_owned(),
                why: Some(Trouble::TooMany),
            };
            let link = Link {
                name: "mail._domainkey.example.org.".to_owned(),
                zone: None,
                servers,
                unasked: vec![unasked("a.example.org."), unasked("b.example.org.")],
                trouble: None,
                wildcard: None,
                doubled: None,
            };
            let mut findings = Vec::new();
            reachable(&link, &mut findings);
            let told = findings.iter().map(|one| (one.severity, one.word));
            assert_eq!(told.collect::<Vec<_>>(), expected);
        }
    }
}
