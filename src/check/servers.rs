//! What the servers say, and whether they agree.

use super::{Finding, Wanted};
use crate::dns::client::Failure;
use crate::dns::survey::{Link, Server, Survey, Told, Trouble};
use crate::record::lint::{Severity, lint};

/// Judges what the servers say about each name of the chain; returns the name at its end and the answer
/// that counts there, where there is one.
pub(super) fn judge<'a>(
    survey: &'a Survey,
    wanted: &Wanted<'_>,
    findings: &mut Vec<Finding>,
) -> Option<(&'a str, &'a Told)> {
    let mut end = None;
    for (at, link) in survey.links.iter().enumerate() {
        let is_last = at + 1 == survey.links.len();
        reachable(link, findings);
        let answers = answers(link);
        end = agreed(link, &answers, is_last, wanted, findings);
    }
    if survey.endless {
        find(
            findings,
            Severity::Error,
            "cname-loop",
            "the CNAMEs lead round in a circle, or over more than eight names".to_owned(),
            point(survey, wanted),
        );
        return None;
    }
    let last = survey.links.last()?;
    if last.zone.is_none() && !matches!(survey.resolver, Err(Trouble::Silent(_))) {
        no_zone(survey, last, wanted, findings);
        return None;
    }
    if end.is_none() && last.servers.iter().all(|server| server.answer.is_err()) {
        // A firewall may let nobody ask but the resolver.
        end = survey.resolver.as_ref().ok();
    }
    let Some(told) = end else {
        if let Err(trouble) = &survey.resolver {
            let message = format!("the resolver gives no answer: {trouble}");
            let mend = "try again, or name another resolver with --nameserver".to_owned();
            find(findings, Severity::Error, "no-answer", message, mend);
        }
        return None;
    };
    if !findings
        .iter()
        .any(|finding| finding.word == "server-out-of-step")
    {
        resolver(survey, told, findings);
    }
    if !told.is_something() {
        missing(survey, last, wanted, findings);
        return None;
    }
    Some((&last.name, told))
}

fn find(
    findings: &mut Vec<Finding>,
    severity: Severity,
    word: &'static str,
    message: String,
    mend: String,
) {
    findings.push(Finding::new(severity, word, message, mend));
}

/// "point the CNAME …" for a chain that leads nowhere.
fn point(survey: &Survey, wanted: &Wanted<'_>) -> String {
    let first = survey.links.first().map_or("", |link| &link.name);
    let name = first.trim_end_matches('.');
    format!(
        "let the CNAME at {name} lead to where the record stands, or take it away and {}",
        wanted.publish(first, None)
    )
}

fn no_zone(survey: &Survey, last: &Link, wanted: &Wanted<'_>, findings: &mut Vec<Finding>) {
    let name = last.name.trim_end_matches('.');
    if survey.links.len() > 1 {
        let message = format!("the CNAME leads to {name}, for which there is no zone");
        find(
            findings,
            Severity::Error,
            "cname-to-nowhere",
            message,
            point(survey, wanted),
        );
    } else {
        let domain = name
            .split_once("._domainkey.")
            .map_or(name, |(_, domain)| domain);
        let message = format!("{domain} does not exist in DNS");
        let mend =
            format!("register {domain} and delegate it to name servers, or mend the spelling");
        find(findings, Severity::Error, "zone-missing", message, mend);
    }
}

fn missing(survey: &Survey, last: &Link, wanted: &Wanted<'_>, findings: &mut Vec<Finding>) {
    if wanted.revoked {
        return;
    }
    let name = last.name.trim_end_matches('.');
    let publish = wanted.publish(&last.name, None);
    if survey.links.len() > 1 {
        let message = format!("the CNAME leads to {name}, where there is no TXT record");
        find(
            findings,
            Severity::Error,
            "cname-to-nowhere",
            message,
            publish,
        );
        return;
    }
    if let (Some(_), Some(zone)) = (&last.doubled, &last.zone) {
        let zone = zone.name.trim_end_matches('.');
        let label = name
            .strip_suffix(zone)
            .unwrap_or(name)
            .trim_end_matches('.');
        let message = format!(
            "the record stands at {name}.{zone}: the panel adds {zone} to the name by itself"
        );
        let mend = format!("enter the name as {label} in the panel, without {zone}");
        find(findings, Severity::Error, "name-doubled", message, mend);
        return;
    }
    let message = format!("there is no TXT record at {name}");
    find(
        findings,
        Severity::Error,
        "record-missing",
        message,
        publish,
    );
}

/// Which servers can be asked, and how.
fn reachable(link: &Link, findings: &mut Vec<Finding>) {
    for server in &link.unknown_servers {
        let server = server.trim_end_matches('.');
        let message = format!("the name server {server} has no address");
        let mend = format!("give {server} an address record, or take it out of the NS records");
        find(
            findings,
            Severity::Warning,
            "server-unreachable",
            message,
            mend,
        );
    }
    let answered = link.servers.iter().any(|server| server.answer.is_ok());
    for server in &link.servers {
        let name = describe(server);
        match &server.answer {
            // An address that cannot be reached from here may well be reached by others.
            Err(Trouble::Silent(Failure::NoRoute)) if answered => {}
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
            Ok(_) => over_tcp(server, &name, findings),
        }
    }
}

fn over_tcp(server: &Server, name: &str, findings: &mut Vec<Finding>) {
    let mend = format!("open port 53 of {name} for TCP, in the firewall too (RFC 7766)");
    match &server.tcp {
        Ok(()) | Err(Trouble::Silent(Failure::NoRoute)) => {}
        Err(trouble) if server.needs_tcp => {
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
        Err(trouble) => {
            let message = format!("over TCP {name} gives no answer: {trouble}");
            find(findings, Severity::Warning, "tcp-unanswered", message, mend);
        }
    }
}

fn describe(server: &Server) -> String {
    format!("{} ({})", server.name.trim_end_matches('.'), server.address)
}

/// What the servers answer, each answer once, with those who give it.
fn answers(link: &Link) -> Vec<(&Told, Vec<&Server>)> {
    let mut answers: Vec<(&Told, Vec<&Server>)> = Vec::new();
    for server in &link.servers {
        let Ok(told) = &server.answer else { continue };
        match answers.iter_mut().find(|(other, _)| other.agrees(told)) {
            Some((_, servers)) => servers.push(server),
            None => answers.push((told, vec![server])),
        }
    }
    answers
}

/// The answer that counts: the one with our key, else that of the newest version of the zone, else that of
/// most servers. Servers that say something else are out of step.
fn agreed<'a>(
    link: &'a Link,
    answers: &[(&'a Told, Vec<&'a Server>)],
    is_last: bool,
    wanted: &Wanted<'_>,
    findings: &mut Vec<Finding>,
) -> Option<&'a Told> {
    let rank = |(told, servers): &&(&Told, Vec<&Server>)| {
        let newest = servers
            .iter()
            .filter_map(|server| server.soa)
            .map(|soa| soa.serial)
            .max();
        (is_last && serves(told, wanted), newest, servers.len())
    };
    let (best, _) = answers.iter().max_by_key(rank)?;
    for (told, servers) in answers.iter().filter(|(told, _)| !told.agrees(best)) {
        let names: Vec<String> = servers.iter().map(|server| with_serial(server)).collect();
        let message = format!(
            "not all servers say the same: {} {} {}",
            names.join(", "),
            if names.len() == 1 { "has" } else { "have" },
            summary(told, wanted)
        );
        let zone = link.zone.as_ref().map_or("the zone", |zone| &zone.name);
        let mend = format!(
            "wait until the transfer of {} has reached them (`--wait 30m`), or mend it: NOTIFY, the serial number, the firewall",
            zone.trim_end_matches('.')
        );
        find(
            findings,
            Severity::Error,
            "server-out-of-step",
            message,
            mend,
        );
    }
    Some(*best)
}

fn with_serial(server: &Server) -> String {
    match server.soa {
        Some(soa) => format!("{} with serial {}", describe(server), soa.serial),
        None => describe(server),
    }
}

/// Whether an answer is what should be published.
fn serves(told: &Told, wanted: &Wanted<'_>) -> bool {
    let Told::Txt { txt, .. } = told else {
        return wanted.revoked && !told.is_something();
    };
    let keys = txt.iter().filter_map(|text| lint(text, None).key);
    match &wanted.key {
        _ if wanted.revoked => keys.count() == 0,
        Some(wanted) => keys.into_iter().any(|key| key == *wanted),
        None => keys.count() > 0,
    }
}

fn summary(told: &Told, wanted: &Wanted<'_>) -> String {
    match told {
        Told::Txt { .. } if serves(told, wanted) => "the key".to_owned(),
        Told::Txt { .. } => "another record".to_owned(),
        Told::Alias { target, .. } => format!("a CNAME to {}", target.trim_end_matches('.')),
        Told::NoData | Told::NoName => "no record".to_owned(),
    }
}

fn resolver(survey: &Survey, told: &Told, findings: &mut Vec<Finding>) {
    let (word, message) = match &survey.resolver {
        Err(trouble) => (
            "resolver-failed",
            format!("the name servers answer, but the resolver does not: {trouble}"),
        ),
        Ok(kept) if !kept.agrees(told) => {
            let left = match kept {
                Told::Txt { ttl, .. } => format!(", for {ttl} seconds yet"),
                _ => String::new(),
            };
            (
                "resolver-out-of-step",
                format!("the resolver still has an older answer{left}"),
            )
        }
        Ok(_) => return,
    };
    let mend = "wait until it is forgotten; nothing is to be changed".to_owned();
    find(findings, Severity::Warning, word, message, mend);
}
