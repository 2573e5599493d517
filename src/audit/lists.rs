//! Block lists, asked over DNS: of addresses, of domains, and of those who send bounces to strangers (RFC 5782).

mod table;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::json;

pub(super) use self::table::Network;
use self::table::{Kind, List, Meaning};
pub use self::table::{Lists, ListsError};
use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use crate::dns::lookup::{Ask as _, DnsName, DnsNameError, Found, Pending, RecordType};
use crate::special::unreachable;

const NAME: &str = "block-lists";

/// So many octets of what a list says of an entry are kept.
const MAX_REASON: usize = 300;

/// What may stand on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Address(IpAddr),
    Domain(DnsName),
}

/// What a list says.
#[derive(Debug)]
enum Says<'l> {
    /// It is not on the list.
    Nothing,
    /// It is.
    Listed {
        codes: Vec<Ipv4Addr>,
        why: Vec<&'l str>,
        minor: bool,
        reason: Option<String>,
    },
    /// Nothing that counts, and why.
    LeftOut(String),
}

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let Some(lists) = &facts.options.lists else {
        let sentence = "no list was asked: --no-lists leaves them out";
        let nobody: [&str; 0] = [];
        return Ok(CheckReport::new(NAME, sentence, Vec::new()).fact("asked", nobody));
    };
    let domain = facts.domain();
    let subject = Subject::Domain(domain.clone());
    let of_domains = lists.lists.iter().filter(|list| list.kind == Kind::Domain);
    let mut asked: Vec<(&List, Subject)> = of_domains.map(|list| (list, subject.clone())).collect();
    // These can be asked before it is known who sends.
    for (list, subject) in &asked {
        let _ = ask(facts, list, subject);
    }
    let senders = facts.senders()?;
    let (hidden, seen): (Vec<IpAddr>, Vec<IpAddr>) = senders
        .list
        .iter()
        .partition(|address| unreachable(**address).is_some());
    for list in &lists.lists {
        let taken = seen.iter().filter(|address| list.takes(**address));
        asked.extend(taken.map(|address| (list, Subject::Address(*address))));
    }
    // All of them first, so that they are under way together.
    let said: Vec<Result<Says<'_>, Pending>> = asked
        .iter()
        .map(|(list, subject)| ask(facts, list, subject))
        .collect();

    let mut findings = Vec::new();
    let mut heard: Vec<&str> = Vec::new();
    let mut left_out: Vec<(&List, String)> = Vec::new();
    let mut listings = Vec::new();
    for ((list, subject), says) in asked.iter().zip(said) {
        match says? {
            Says::LeftOut(why) => {
                let told =
                    |(known, said): &(&List, String)| known.zone == list.zone && *said == why;
                if !left_out.iter().any(told) {
                    left_out.push((list, why));
                }
                continue;
            }
            Says::Nothing => {}
            Says::Listed {
                codes,
                why,
                minor,
                reason,
            } => {
                findings.push(listed(list, subject, &why, minor, reason.as_deref()));
                listings.push(json!({
                    "list": list.name,
                    "zone": list.zone.to_string(),
                    "about": subject.to_string(),
                    "codes": codes,
                    "meaning": why,
                    "reason": reason,
                    "removal": list.removal,
                }));
            }
        }
        if !heard.contains(&list.name.as_str()) {
            heard.push(&list.name);
        }
    }
    let of_addresses = lists.lists.iter().any(|list| list.kind != Kind::Domain);
    let idle = senders.list.is_empty() && facts.excused()?.is_some();
    if seen.is_empty() && of_addresses && !idle {
        findings.push(match (&senders.failure, hidden.first()) {
            (Some((question, cause)), None) => Finding::no_answer(question, *cause),
            (None, None) => Finding::no_sending_address(&domain, facts.options.smtp.is_some()),
            (_, Some(address)) => not_reachable(&domain, *address),
        });
    }
    if heard.is_empty() && !asked.is_empty() {
        findings.push(Finding::new(
            "lists-silent",
            &domain,
            format!("none of the {} lists that were asked gives an answer that counts", left_out.len()),
            "ask through a resolver of your own with --nameserver: most block lists refuse public ones",
        ));
    }
    let left_out: Vec<_> = left_out
        .iter()
        .map(|(list, why)| json!({"list": list.name, "zone": list.zone.to_string(), "why": why}))
        .collect();
    let addresses = match seen.len() {
        0 => String::new(),
        1 => format!(" or {}", seen[0]),
        n => format!(" or one of {n} sending addresses"),
    };
    let sentence = match heard.len() {
        0 => "there was no list to ask".to_owned(),
        1 => format!("the one list that was asked does not have {domain}{addresses}"),
        n => format!("none of {n} lists has {domain}{addresses}"),
    };
    Ok(CheckReport::new(NAME, sentence, findings)
        .fact("asked", heard)
        .fact("addresses", seen)
        .fact("not_reachable", hidden)
        .fact("listings", listings)
        .fact("left_out", left_out))
}

/// Asks a list about something, and beside that whether it lists what it must, and does not list what it must not.
fn ask<'l>(facts: &Facts<'_>, list: &'l List, subject: &Subject) -> Result<Says<'l>, Pending> {
    let Ok([name, always, never]) = names(list, subject) else {
        return Ok(Says::LeftOut(
            "the domain is too long to be asked there".to_owned(),
        ));
    };
    let look = |name: &DnsName| facts.look(name, RecordType::A);
    let (answer, always, never) = (look(&name), look(&always), look(&never));
    let (answer, always, never) = (answer?, always?, never?);
    if let Err(why) = sound(list, &always, &never) {
        return Ok(Says::LeftOut(why));
    }
    let codes = match codes(&answer) {
        Ok(codes) => codes,
        Err(why) => return Ok(Says::LeftOut(why)),
    };
    let mut whys = Vec::new();
    let mut few = true;
    for code in &codes {
        match list.meaning(*code) {
            Meaning::Refused(why) => return Ok(Says::LeftOut(format!("it says: {why}"))),
            Meaning::Listed { why, minor } => {
                whys.extend(why);
                few &= minor;
            }
            Meaning::Unknown => {}
        }
    }
    if whys.is_empty() {
        return Ok(match codes.first() {
            None => Says::Nothing,
            Some(code) => Says::LeftOut(format!(
                "it answers {code}, which the table does not explain"
            )),
        });
    }
    whys.dedup();
    let reason = reason(&facts.look(&name, RecordType::Txt)?);
    Ok(Says::Listed {
        codes,
        why: whys,
        minor: few,
        reason,
    })
}

/// What is asked, what is always on the list, and what never is (RFC 5782 §5).
fn names(list: &List, subject: &Subject) -> Result<[DnsName; 3], DnsNameError> {
    let below = |name: &DnsName| {
        let octets = [name.as_bytes(), b".", list.zone.as_bytes()].concat();
        DnsName::new(&octets)
    };
    Ok(match subject {
        Subject::Domain(domain) => [
            below(domain)?,
            below(&list.test)?,
            list.zone.below("invalid")?,
        ],
        Subject::Address(address) => {
            let (always, never) = test_entries(*address);
            [
                DnsName::reversed(*address, &list.zone)?,
                DnsName::reversed(always, &list.zone)?,
                DnsName::reversed(never, &list.zone)?,
            ]
        }
    })
}

/// RFC 5782 §5: these are on each list of IPv4 addresses and on none, and so for IPv6.
fn test_entries(address: IpAddr) -> (IpAddr, IpAddr) {
    let always = Ipv4Addr::new(127, 0, 0, 2);
    let never = Ipv4Addr::LOCALHOST;
    let mapped = |v4: Ipv4Addr| -> Ipv6Addr { v4.to_ipv6_mapped() };
    match address {
        IpAddr::V4(_) => (always.into(), never.into()),
        IpAddr::V6(_) => (mapped(always).into(), mapped(never).into()),
    }
}

/// Whether a list can be believed.
fn sound(list: &List, always: &Found, never: &Found) -> Result<(), String> {
    let always = codes(always)?;
    let refuses = |code: &Ipv4Addr| match list.meaning(*code) {
        Meaning::Refused(why) => Some(why),
        _ => None,
    };
    if let Some(why) = always.iter().find_map(refuses) {
        return Err(format!("it says: {why}"));
    }
    if always.is_empty() {
        return Err("it lacks the entry that each list has for tests: it is dead, or answers nobody who asks from here".to_owned());
    }
    match codes(never)?.iter().any(|code| refuses(code).is_none()) {
        true => Err("it lists what is on no list: it lists all the world".to_owned()),
        false => Ok(()),
    }
}

/// The answers of a list, all in 127.0.0.0/8 (RFC 5782 §2.1); else who answers is no list: the zone has another owner,
/// or a resolver puts an address of its own in the place of "does not exist".
fn codes(found: &Found) -> Result<Vec<Ipv4Addr>, String> {
    if let Some(cause) = found.failure() {
        return Err(format!("it does not answer: {cause}"));
    }
    let code = |address: IpAddr| match address {
        IpAddr::V4(code) if code.is_loopback() => Ok(code),
        other => Err(format!(
            "it answers {other}, which is no answer of a list: somebody else answers in its place"
        )),
    };
    let mut codes = found.addresses().map(code).collect::<Result<Vec<_>, _>>()?;
    codes.sort_unstable();
    codes.dedup();
    Ok(codes)
}

/// What the list says of the entry (RFC 5782 §2.1).
fn reason(found: &Found) -> Option<String> {
    let text = String::from_utf8_lossy(found.texts().next()?).into_owned();
    let text = text.trim();
    let cut = &text[..text.floor_char_boundary(MAX_REASON)];
    (!cut.is_empty()).then(|| cut.to_owned())
}

fn listed(
    list: &List,
    subject: &Subject,
    why: &[&str],
    minor: bool,
    reason: Option<&str>,
) -> Finding {
    let word = match (list.kind, minor) {
        (Kind::Backscatter, _) => "listed-backscatter",
        (_, true) => "listed-minor",
        (Kind::Address, false) => "listed-address",
        (Kind::Domain, false) => "listed-domain",
    };
    let mut sentence = format!("{subject} is on the list {}: {}", list.name, why.join(", "));
    if let Some(reason) = reason {
        sentence.push_str(&format!("; the list says \"{reason}\""));
    }
    let mend = match (&list.advice, &list.removal) {
        (Some(advice), Some(page)) => format!("{advice} ({page})"),
        (Some(advice), None) => advice.clone(),
        (None, Some(page)) => {
            format!("find out what caused it and end that, then ask for removal at {page}")
        }
        (None, None) => {
            "find out what caused it and end that, then ask the list for removal".to_owned()
        }
    };
    Finding::new(word, subject, sentence, mend)
}

fn not_reachable(domain: &DnsName, address: IpAddr) -> Finding {
    Finding::new(
        "no-sending-address",
        domain,
        format!(
            "{address}, which {domain} sends from, is not reachable from outside and so on no list"
        ),
        "name the addresses under which your mail arrives with --ip",
    )
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::Address(address) => address.fmt(f),
            Subject::Domain(domain) => domain.fmt(f),
        }
    }
}
