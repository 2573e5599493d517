//! What the servers say, and whether they agree.

mod reach;

use std::cmp::Ordering;

use self::reach::reachable;
use super::{Finding, Role, Wanted};
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
        if let Some(trouble) = out_of_reach(link) {
            no_answer(&link.name, trouble, findings);
            return None;
        }
        let is_last = at + 1 == survey.links.len();
        reachable(link, findings);
        let answers = answers(link);
        end = agreed(link, &answers, is_last, wanted, findings);
    }
    if survey.endless {
        // A resolver gives up on them, and that is no news.
        findings.retain(|finding| finding.word != "resolver-failed");
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
    if last.zone.is_none() {
        match last.trouble {
            Some(trouble) => no_answer(&last.name, trouble, findings),
            None => no_zone(survey, last, wanted, findings),
        }
        return None;
    }
    if end.is_none() && last.servers.iter().all(|server| silent(server).is_some()) {
        // A firewall may let nobody ask but the resolver.
        match &survey.resolver {
            Some(Ok(told)) => end = Some(told),
            Some(Err(trouble)) => no_answer(&last.name, *trouble, findings),
            None => {}
        }
    }
    let told = end?;
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

/// What kept the resolver from finding out who has the name, where those who were found have not.
fn out_of_reach(link: &Link) -> Option<Trouble> {
    let stranger = |server: &Server| matches!(server.answer(), Err(Trouble::NotAuthoritative));
    link.trouble
        .filter(|_| !link.servers.is_empty() && link.servers.iter().all(stranger))
}

fn no_answer(name: &str, trouble: Trouble, findings: &mut Vec<Finding>) {
    let name = name.trim_end_matches('.');
    let message = format!("nobody can say what stands at {name}; the resolver: {trouble}");
    let mend = "see to the name servers of the zone; or try again, or name another resolver with --nameserver";
    find(
        findings,
        Severity::Error,
        "no-answer",
        message,
        mend.to_owned(),
    );
}

/// Why a server says nothing at all.
fn silent(server: &Server) -> Option<Failure> {
    match server.answer() {
        Err(Trouble::Silent(failure)) => Some(*failure),
        _ => None,
    }
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
    if wanted.role == Role::Withdrawn {
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

fn describe(server: &Server) -> String {
    format!("{} ({})", server.name.trim_end_matches('.'), server.address)
}

/// What the servers answer, each answer once, with those who give it.
fn answers(link: &Link) -> Vec<(&Told, Vec<&Server>)> {
    let mut answers: Vec<(&Told, Vec<&Server>)> = Vec::new();
    for server in &link.servers {
        let Ok(told) = server.answer() else { continue };
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
    let mut best = answers.first()?;
    for other in &answers[1..] {
        let serves = |told| is_last && serves(told, wanted);
        let better = match (serves(other.0), serves(best.0)) {
            (true, false) => true,
            (false, true) => false,
            _ => match compare(newest(&other.1), newest(&best.1)) {
                Ordering::Equal => other.1.len() > best.1.len(),
                order => order == Ordering::Greater,
            },
        };
        if better {
            best = other;
        }
    }
    let best = best.0;
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
    Some(best)
}

/// The latest version of the zone that one of these servers has.
fn newest(servers: &[&Server]) -> Option<u32> {
    let serials = servers
        .iter()
        .filter_map(|server| server.soa)
        .map(|soa| soa.serial);
    serials.reduce(|a, b| {
        if compare(Some(a), Some(b)) == Ordering::Greater {
            a
        } else {
            b
        }
    })
}

/// RFC 1982 §3.2: serial numbers go round.
fn compare(a: Option<u32>, b: Option<u32>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if a == b => Ordering::Equal,
        (Some(a), Some(b)) if a.wrapping_sub(b) < 1 << 31 => Ordering::Greater,
        (Some(_), Some(_)) => Ordering::Less,
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn with_serial(server: &Server) -> String {
    match server.soa {
        Some(soa) => format!("{} with serial {}", describe(server), soa.serial),
        None => describe(server),
    }
}

/// Whether an answer is what should be published.
fn serves(told: &Told, wanted: &Wanted<'_>) -> bool {
    let txt = match told {
        Told::Txt { txt, .. } => txt.as_slice(),
        _ => &[],
    };
    let mut keys = txt.iter().filter_map(|text| lint(text, None).key);
    match (&wanted.key, wanted.role) {
        (Some(own), Role::Withdrawn) => keys.all(|key| key != *own),
        (Some(own), _) => keys.any(|key| key == *own),
        (None, Role::Withdrawn) => keys.next().is_none(),
        (None, _) => keys.next().is_some(),
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
        None => return,
        Some(Err(trouble)) => (
            "resolver-failed",
            format!("the name servers answer, but the resolver does not: {trouble}"),
        ),
        Some(Ok(kept)) if !kept.agrees(told) => {
            let left = match kept {
                Told::Txt { ttl, .. } => format!(", for {ttl} seconds yet"),
                _ => String::new(),
            };
            (
                "resolver-out-of-step",
                format!("the resolver still has an older answer{left}"),
            )
        }
        Some(Ok(_)) => return,
    };
    let mend = "wait until it is forgotten; nothing is to be changed".to_owned();
    find(findings, Severity::Warning, word, message, mend);
}
