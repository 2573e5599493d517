//! Reverse DNS: each sending address has a name that leads back to it (RFC 1912 §2.1, RFC 8601 §2.7.3).

use std::net::IpAddr;

use serde_json::json;

use super::facts::{Addresses, Facts, Server};
use super::finding::{CheckReport, Finding, ResourceRecord};
use super::greeting::{name_of, qualified, same};
use super::host::is_literal;
use super::place::{self, dotted};
use super::spf::Lets;
use crate::dns::lookup::{Ask as _, DnsName, Found, Pending, Question, RecordType};

const NAME: &str = "reverse-dns";
/// So many names of an address are looked at (RFC 7208 §5.5 has the same number).
const MAX_NAMES: usize = 10;

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let senders = facts.senders()?;
    if senders.list.is_empty() {
        let sentence = match facts.excused()? {
            Some(Lets::Nobody) => {
                "SPF says that the domain sends no mail, so no address needs a name".to_owned()
            }
            Some(Lets::Others(terms)) => format!(
                "mail leaves through servers that others run and name ({}); --ip looks at one",
                terms.join(" ")
            ),
            Some(Lets::Somebody) | None => {
                let finding = match &senders.failure {
                    Some((question, cause)) => Finding::no_answer(question, *cause),
                    None => Finding::no_sending_address(
                        &facts.options.domain,
                        facts.options.smtp.is_some(),
                    ),
                };
                return Ok(CheckReport::new(NAME, "", vec![finding]));
            }
        };
        return Ok(CheckReport::new(NAME, sentence, Vec::new()));
    }
    let servers = facts.servers();
    let reversed: Vec<_> = senders
        .list
        .iter()
        .map(|address| reverse(facts, *address))
        .collect();
    let servers = servers?;
    let greeted: Vec<_> = senders
        .list
        .iter()
        .map(|address| greeted(facts, &servers, *address))
        .collect();
    let mut findings = Vec::new();
    let mut shown = Vec::new();
    for ((address, reversed), greeted) in senders.list.iter().zip(reversed).zip(greeted) {
        let (reversed, greeted) = (reversed?, greeted?);
        let names: Vec<_> = reversed
            .names
            .iter()
            .map(|(name, _)| name.to_string())
            .collect();
        let confirmed: Vec<_> = reversed
            .confirmed(*address)
            .map(ToString::to_string)
            .collect();
        shown.push(
            json!({"address": address, "names": names, "confirmed": confirmed, "greets": greeted}),
        );
        let server = servers.iter().find(|one| one.address.ip() == *address);
        let own = match server {
            Some(server) => facts.is_own(server)?,
            None => false,
        };
        // What the server of somebody else is called, and how it calls itself, is for them to set.
        let greeted = greeted.as_deref().filter(|_| own);
        let server = server.filter(|_| own);
        let wanted = match server {
            Some(server) => wanted(facts, server, greeted)?,
            None => None,
        };
        findings.extend(judge_address(
            facts,
            *address,
            &reversed,
            wanted.as_ref(),
            greeted,
        )?);
    }
    let sentence = match shown.len() {
        1 => "the sending address has a name that leads back to it".to_owned(),
        count => format!("all {count} sending addresses have names that lead back to them"),
    };
    Ok(CheckReport::new(NAME, sentence, findings).fact("addresses", shown))
}

/// The names of an address, and where they lead.
struct Reverse {
    question: Question,
    found: Found,
    names: Vec<(DnsName, Addresses)>,
}

impl Reverse {
    /// The names that lead back.
    fn confirmed(&self, address: IpAddr) -> impl Iterator<Item = &DnsName> {
        let names = self.names.iter();
        names.filter_map(move |(name, addresses)| addresses.list.contains(&address).then_some(name))
    }
}

fn reverse(facts: &Facts<'_>, address: IpAddr) -> Result<Reverse, Pending> {
    let question = Question::new(DnsName::of_address(address), RecordType::Ptr);
    let found = facts.ask(&question)?;
    let names: Vec<DnsName> = found.names().take(MAX_NAMES).cloned().collect();
    let addresses: Vec<_> = names.iter().map(|name| facts.addresses(name)).collect();
    let mut led = Vec::new();
    for (name, addresses) in names.into_iter().zip(addresses) {
        led.push((name, addresses?));
    }
    Ok(Reverse {
        question,
        found,
        names: led,
    })
}

/// How a server at this address calls itself, where there is one.
fn greeted(
    facts: &Facts<'_>,
    servers: &[Server],
    address: IpAddr,
) -> Result<Option<String>, Pending> {
    let Some(server) = servers.iter().find(|server| server.address.ip() == address) else {
        return Ok(None);
    };
    let greeting = facts.greeting(server)?;
    Ok(name_of(&greeting).map(str::to_owned))
}

/// The name that the PTR record of an own server should hold, which must be no alias (RFC 2181 §10.2): the one by which it
/// calls itself, where that leads to it, or else the one under which it was found.
fn wanted(
    facts: &Facts<'_>,
    server: &Server,
    greeted: Option<&str>,
) -> Result<Option<DnsName>, Pending> {
    if let Some(name) = greeted.and_then(qualified) {
        let led = facts.addresses(&name)?;
        if led.aliases.is_empty() && led.list.contains(&server.address.ip()) {
            return Ok(Some(name));
        }
        // It may be the right one.
        if led.failure.is_some() {
            return Ok(None);
        }
    }
    match is_literal(&server.name) {
        true => Ok(None),
        false => facts.end_of(&server.name).map(Some),
    }
}

/// `wanted`: the name that the PTR record should hold, where it is the domain's to choose.
fn judge_address(
    facts: &Facts<'_>,
    address: IpAddr,
    reversed: &Reverse,
    wanted: Option<&DnsName>,
    greeted: Option<&str>,
) -> Result<Vec<Finding>, Pending> {
    if let Some(cause) = reversed.found.failure() {
        return Ok(vec![Finding::no_answer(&reversed.question, cause)]);
    }
    // The network may have given the name away (RFC 2317).
    let at = reversed.found.aliases.last();
    let at = at.unwrap_or(&reversed.question.name);
    let pointer = |name: &DnsName| ResourceRecord::new(at, "PTR", dotted(name));
    let old = || reversed.names.iter().map(|(name, _)| pointer(name));
    let Some((first, led)) = reversed.names.first() else {
        return Ok(vec![
            Finding::new(
                "ptr-missing",
                address,
                format!("the sending address {address} has no PTR record, and many receivers refuse mail from such"),
                format!("have whoever provides the address publish the name of the server at {at}"),
            )
            .publish(wanted.map(pointer)),
        ]);
    };
    let Some(name) = reversed.confirmed(address).next() else {
        let failures = reversed
            .names
            .iter()
            .filter_map(|(_, led)| led.failure.as_ref());
        if let Some((question, cause)) = failures.into_iter().next() {
            return Ok(vec![Finding::no_answer(question, *cause)]);
        }
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        let end = led.aliases.last().unwrap_or(first);
        let may = wanted.is_none() && may_lead(facts, end, led, address)?;
        let mend = match wanted {
            None => format!(
                "publish an {kind} record with {address} at {end}, or have the PTR record changed to a name that has one"
            ),
            Some(wanted) => format!("have the PTR record changed to {wanted}, which leads to it"),
        };
        let finding = Finding::new(
            "ptr-not-confirmed",
            address,
            format!(
                "the sending address {address} has the name {first}, which does not lead back to it"
            ),
            mend,
        );
        return Ok(vec![match wanted {
            Some(wanted) => finding.remove(old()).publish([pointer(wanted)]),
            None if may => lead(facts, finding, first, led, address)?,
            None => finding,
        }]);
    };
    // A better name, where one is known.
    let domain = facts.domain();
    let generic = |name: &DnsName| is_generic(name, address, &domain);
    let better =
        wanted.filter(|one| !generic(one) && reversed.names.iter().all(|(name, _)| name != *one));
    let change = |finding: Finding| match better {
        Some(better) => finding.remove(old()).publish([pointer(better)]),
        None => finding,
    };
    let mut findings = Vec::new();
    if reversed.confirmed(address).all(generic) {
        findings.push(change(Finding::new(
            "ptr-generic",
            address,
            format!("the name {name} of the sending address {address} looks like that of a dial-up or a rented machine"),
            format!("have whoever provides the address publish the name of the mail server at {at}"),
        )));
    }
    if let Some(greeted) = greeted
        && !reversed
            .names
            .iter()
            .any(|(name, _)| same(&name.to_string(), greeted))
    {
        let finding = Finding::new(
            "ptr-not-greeting",
            address,
            format!(
                "the server at {address} calls itself {greeted}, and its address has the name {name}"
            ),
            format!(
                "set the name of the server to {name} (Postfix: myhostname; Exim: primary_hostname){}",
                match qualified(greeted) {
                    Some(_) => format!(", or have the PTR record changed to {greeted}"),
                    None => String::new(),
                }
            ),
        );
        // Another name than that of the greeting would mend nothing.
        let leads = better.is_some_and(|better| same(&better.to_string(), greeted));
        findings.push(match leads {
            true => change(finding),
            false => finding,
        });
    }
    Ok(findings)
}

/// The finding, with a record that leads a host to this address, and what the host would lose by it.
pub(super) fn lead(
    facts: &Facts<'_>,
    finding: Finding,
    host: &DnsName,
    known: &Addresses,
    address: IpAddr,
) -> Result<Finding, Pending> {
    let (kind, word) = match address.is_ipv4() {
        true => (RecordType::A, "A"),
        false => (RecordType::Aaaa, "AAAA"),
    };
    let place = place::of_host(facts, host, kind, &known.aliases)?;
    let record = ResourceRecord::new(place.name(), word, address);
    Ok(place.mend(finding, [], [record]))
}

/// Whether a name may be given this address, at the end of its aliases: it is one of the domain, and no other host, such
/// as a web server, has it. One that has an address of the other family has one of the mail servers'.
pub(super) fn may_lead(
    facts: &Facts<'_>,
    end: &DnsName,
    known: &Addresses,
    address: IpAddr,
) -> Result<bool, Pending> {
    if !end.is_within(&facts.domain()) || known.failure.is_some() {
        return Ok(false);
    }
    let servers = facts.servers()?;
    let mut list = known.list.iter();
    Ok(list.all(|other| {
        let mut servers = servers.iter();
        other.is_ipv4() != address.is_ipv4() && servers.any(|one| one.address.ip() == *other)
    }))
}

/// Words by which networks name addresses that they give to anybody.
const GENERIC: [&str; 20] = [
    "adsl",
    "broadband",
    "cable",
    "catv",
    "customer",
    "customers",
    "dhcp",
    "dial",
    "dialin",
    "dialup",
    "dsl",
    "dyn",
    "dynamic",
    "dynip",
    "pool",
    "ppp",
    "pppoe",
    "unassigned",
    "vdsl",
    "xdsl",
];

/// Whether a name looks like one that was made from the address.
fn is_generic(name: &DnsName, address: IpAddr, domain: &DnsName) -> bool {
    let text = name.to_string();
    // What the domain calls itself is no sign.
    let text = match name.is_within(domain) {
        true => text
            .strip_suffix(&domain.to_string())
            .unwrap_or(&text)
            .to_owned(),
        false => text,
    };
    let labels: Vec<&str> = text.split('.').collect();
    let keep = labels
        .len()
        .saturating_sub(if name.is_within(domain) { 0 } else { 2 });
    let words = labels[..keep]
        .iter()
        .flat_map(|label| label.split(['-', '_']));
    let mut words = words.map(|word| word.trim_matches(|c: char| c.is_ascii_digit()));
    words.any(|word| GENERIC.contains(&word)) || holds(&text, address)
}

/// Whether a name holds the address: three octets in a row, forwards or backwards, in decimal; or all of it in
/// hexadecimal.
fn holds(text: &str, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let octets = address.octets();
            let numbers: Vec<u32> = text
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|digits| digits.parse().ok())
                .collect();
            let forwards: Vec<u32> = octets.iter().map(|octet| u32::from(*octet)).collect();
            let backwards: Vec<u32> = forwards.iter().rev().copied().collect();
            let within = |row: &[u32]| numbers.windows(row.len()).any(|found| found == row);
            let rows = [
                &forwards[..3],
                &forwards[1..],
                &backwards[..3],
                &backwards[1..],
            ];
            let padded: String = octets.iter().map(|octet| format!("{octet:03}")).collect();
            let hexadecimal: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            rows.iter().any(|row| within(row))
                || text.contains(&padded)
                || text.contains(&hexadecimal)
        }
        IpAddr::V6(address) => {
            let bare: String = text.chars().filter(char::is_ascii_hexdigit).collect();
            let full: String = address
                .octets()
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            let backwards: String = full.chars().rev().collect();
            let short = address.to_string().replace(':', "-");
            bare.contains(&full) || bare.contains(&backwards) || text.contains(&short)
        }
    }
}

#[cfg(test)]
mod tests;
