//! DANE: certificates that DNSSEC vouches for (RFC 6698, RFC 7671, RFC 7672).

mod mend;
mod tlsa;

use std::sync::Arc;

use serde_json::{Value, json};

use self::mend::Mends;
use self::tlsa::Tlsa;
pub(super) use self::tlsa::Vouched;
use super::contact::{no_connection, nobody};
use super::facts::{Addresses, Exchanges, Facts, Server};
use super::finding::{CheckReport, Finding};
use super::net::{Greeting, Handshake, NoConnection, Tls};
use super::place::{self, Place};
use crate::dns::Cause;
use crate::dns::lookup::{Ask as _, DnsName, Pending, Question, Record, RecordType};
use crate::dns::survey::Dnssec;
use crate::time::UnixTime;

const NAME: &str = "dane";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let exchanges = facts.exchanges()?;
    if exchanges.null || exchanges.failure.is_some() {
        return nobody(facts, NAME);
    }
    let hosts = hosts(facts, &exchanges);
    let found: Vec<_> = hosts.iter().map(|host| lookup(facts, host)).collect();
    let mut findings = Vec::new();
    let mut with = Vec::new();
    let mut without = Vec::new();
    for (host, found) in hosts.iter().zip(found) {
        match found? {
            Err(cause) => findings.push(no_answer(host, cause)),
            Ok(records) if records.is_empty() => without.push(host),
            Ok(records) => with.push((host, records)),
        }
    }
    if with.is_empty() {
        let sentence = "no MX host has TLSA records: DANE is not in use, which is no fault";
        return Ok(CheckReport::new(NAME, sentence, findings).fact("used", false));
    }
    let exchanges = Question::new(facts.domain(), RecordType::Mx);
    let proven = facts.proof(&exchanges);
    let led: Vec<_> = hosts.iter().map(|host| facts.addresses(host)).collect();
    let seen: Vec<_> = with.iter().map(|(host, _)| see(facts, host)).collect();
    // From here on everything is there, so that no chain is looked at twice.
    let seen = seen.into_iter().collect::<Result<Vec<_>, _>>()?;
    let led = led.into_iter().collect::<Result<Vec<_>, _>>()?;
    let proven = proven?;
    // RFC 7672 §2.2.1: without a proof of the MX records the hosts may still use DANE.
    if proven != Dnssec::Insecure {
        findings.extend(unproven(&exchanges, proven));
    }
    let mut used = false;
    let mut shown = Vec::new();
    for ((host, records), seen) in with.iter().zip(seen) {
        let mut servers = Vec::new();
        // The zone of somebody else, whose TLSA records nobody heeds: that is no DANE, and nothing that stops mail.
        let heeded = !seen.is_insecure() || host.is_within(&facts.domain());
        match heeded {
            true => servers = judge_host(facts, host, records, &seen, &mut findings),
            false => without.push(host),
        }
        used |= heeded;
        let values: Vec<_> = records.iter().map(Tlsa::value).collect();
        shown.push(json!({
            "host": host.to_string(),
            "records": values,
            "insecure": seen.is_insecure(),
            "servers": servers,
        }));
    }
    if !used {
        let sentence =
            "DNSSEC proves no TLSA record of an MX host: DANE is not in use, which is no fault";
        let report = CheckReport::new(NAME, sentence, findings).fact("used", false);
        return Ok(report.fact("hosts", shown));
    }
    // Where no address is, nobody is led: the check of MX tells of it.
    for (host, addresses) in hosts.iter().zip(led) {
        if without.contains(&host) && !addresses.list.is_empty() {
            findings.push(partial(host));
        }
    }
    let sentence = match proven {
        Dnssec::Insecure => {
            "DNSSEC vouches for the certificates of the MX hosts, and not for the MX records"
        }
        _ => "DNSSEC vouches for the certificates of the MX hosts",
    };
    let report = CheckReport::new(NAME, sentence, findings);
    Ok(report.fact("used", true).fact("hosts", shown))
}

fn partial(host: &DnsName) -> Finding {
    Finding::new(
        "dane-partial",
        host,
        format!(
            "the MX host {host} has no TLSA records that DNSSEC proves, while others have: who is in the way of the mail leads it there"
        ),
        format!("publish TLSA records at _25._tcp.{host}, too, in a zone that is signed"),
    )
}

/// The hosts that take the mail: those of the MX records, or the domain itself (RFC 5321 §5.1).
fn hosts(facts: &Facts<'_>, exchanges: &Exchanges) -> Vec<DnsName> {
    let hosts = exchanges.hosts.iter().map(|(_, host)| host.clone());
    let hosts: Vec<_> = hosts
        .filter(|host| !host.is_root())
        .take(MAX_HOSTS)
        .collect();
    match exchanges.hosts.is_empty() {
        true => vec![facts.domain()],
        false => hosts,
    }
}

/// So many MX hosts are looked at.
const MAX_HOSTS: usize = 16;
/// So many TLSA records of a host are looked at.
const MAX_RECORDS: usize = 32;

/// The name below which the TLSA records of an MX host stand (RFC 7672 §2.2.2): where it is an alias, and DNSSEC proves
/// that, the name to which that leads, if there are any.
fn base(facts: &Facts<'_>, host: &DnsName) -> Result<DnsName, Pending> {
    let addresses = facts.addresses(host)?;
    let Some(end) = addresses.aliases.last() else {
        return Ok(host.clone());
    };
    let Some(question) = question(end) else {
        return Ok(host.clone());
    };
    let found = facts.look(&question.name, RecordType::Tlsa)?;
    if found.records().is_empty() && found.failure().is_none() {
        return Ok(host.clone());
    }
    // What is not known is told of that name: there senders wait for an answer.
    Ok(match facts.proof(&of_address(host, &addresses))? {
        Dnssec::Insecure => host.clone(),
        Dnssec::Secure | Dnssec::Bogus | Dnssec::Unknown => end.clone(),
    })
}

/// The question for the addresses of a host of which a proof is asked.
fn of_address(host: &DnsName, addresses: &Addresses) -> Question {
    let kind = match addresses.list.iter().any(std::net::IpAddr::is_ipv4) {
        true => RecordType::A,
        false => RecordType::Aaaa,
    };
    Question::new(host.clone(), kind)
}

/// RFC 7672 §2.2.3: TLSA records of SMTP stand below the MX host.
fn question(host: &DnsName) -> Option<Question> {
    let name = host.below("_25._tcp").ok()?;
    Some(Question::new(name, RecordType::Tlsa))
}

fn no_answer(host: &DnsName, cause: Cause) -> Finding {
    let name = host.below("_25._tcp").unwrap_or_else(|_| host.clone());
    Finding::no_answer(&Question::new(name, RecordType::Tlsa), cause)
}

fn lookup(facts: &Facts<'_>, host: &DnsName) -> Result<Result<Vec<Tlsa>, Cause>, Pending> {
    let Some(question) = question(&base(facts, host)?) else {
        return Ok(Ok(Vec::new()));
    };
    let found = facts.ask(&question)?;
    if let Some(cause) = found.failure() {
        return Ok(Err(cause));
    }
    let records = found.records().iter().filter_map(|record| match record {
        Record::Tlsa {
            usage,
            selector,
            matching,
            data,
        } => Some(Tlsa {
            usage: *usage,
            selector: *selector,
            matching: *matching,
            data: data.clone(),
        }),
        _ => None,
    });
    Ok(Ok(records.take(MAX_RECORDS).collect()))
}

/// What is wrong where DNSSEC does not prove an answer (RFC 7672 §2.2).
fn unproven(question: &Question, proof: Dnssec) -> Option<Finding> {
    let why = match proof {
        Dnssec::Secure => return None,
        Dnssec::Insecure => "is not signed",
        Dnssec::Bogus => "is signed, and its signature does not hold",
        Dnssec::Unknown => return Some(Finding::no_answer(question, Cause::Network)),
    };
    Some(Finding::new(
        "dane-insecure",
        question,
        format!(
            "{question} {why}: TLSA records count only where DNSSEC proves them, and the addresses"
        ),
        format!(
            "sign the zone of {} with DNSSEC, and have its DS record published in the zone above",
            question.name
        ),
    ))
}

/// What was seen of a host with TLSA records.
struct Seen {
    /// Whether DNSSEC proves the TLSA records and the addresses, both of which it must (RFC 7672 §2.2.2, §2.2.3).
    proofs: Vec<(Question, Dnssec)>,
    servers: Vec<(Server, Arc<Greeting>)>,
    /// The name below which the TLSA records stand.
    base: DnsName,
    /// Where they are changed.
    place: Place,
}

impl Seen {
    /// Whether senders pass the TLSA records over.
    fn is_insecure(&self) -> bool {
        let mut proofs = self.proofs.iter();
        proofs.any(|(_, proof)| *proof == Dnssec::Insecure)
    }
}

fn see(facts: &Facts<'_>, host: &DnsName) -> Result<Seen, Pending> {
    let proofs = proofs(facts, host);
    let place = place_of(facts, host);
    let servers = facts.servers()?;
    let of_host = |server: &Server| server.name == *host && server.address.port() == 25;
    let servers: Vec<_> = servers.into_iter().filter(of_host).collect();
    let greetings: Vec<_> = servers
        .iter()
        .map(|server| facts.greeting(server))
        .collect();
    let greetings = greetings.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(Seen {
        proofs: proofs?,
        servers: servers.into_iter().zip(greetings).collect(),
        base: base(facts, host)?,
        place: place?,
    })
}

fn place_of(facts: &Facts<'_>, host: &DnsName) -> Result<Place, Pending> {
    let base = base(facts, host)?;
    let name = question(&base).map_or_else(|| base.clone(), |question| question.name);
    match base.is_within(&facts.domain()) {
        true => {
            let found = facts.look(&name, RecordType::Tlsa)?;
            place::of(facts, &name, RecordType::Tlsa, &found.aliases)
        }
        false => Ok(Place::Elsewhere {
            end: name.clone(),
            name,
        }),
    }
}

fn proofs(facts: &Facts<'_>, host: &DnsName) -> Result<Vec<(Question, Dnssec)>, Pending> {
    let address = of_address(host, &facts.addresses(host)?);
    let base = base(facts, host)?;
    let tlsa = question(&base).map(|question| (facts.proof(&question), question));
    let proven = facts.proof(&address);
    let asked = tlsa.into_iter().chain([(proven, address)]);
    asked
        .map(|(proof, question)| Ok((question, proof?)))
        .collect()
}

/// Adds what is wrong with a host, and gives what its servers have shown.
fn judge_host(
    facts: &Facts<'_>,
    host: &DnsName,
    records: &[Tlsa],
    seen: &Seen,
    findings: &mut Vec<Finding>,
) -> Vec<Value> {
    let before = findings.len();
    let proofs = seen.proofs.iter();
    findings.extend(proofs.filter_map(|(question, proof)| unproven(question, *proof)));
    let pins = Pins::new(facts, &seen.base, records);
    let mends = Mends::new(records, &pins, seen);
    let faults = records
        .iter()
        .filter_map(|record| Some(mends.replace(record.fault(host)?, record)));
    findings.extend(faults);
    let mut shown = Vec::new();
    if pins.is_empty() {
        return shown;
    }
    let mut answered = false;
    let mut silent = Vec::new();
    let mut wrong = Vec::new();
    for (server, greeting) in &seen.servers {
        match &greeting.tls {
            Tls::Done(handshake) => {
                answered = true;
                let matched = pins.vouch(handshake) != Vouched::No;
                shown.push(json!({"server": server.to_string(), "matches": matched}));
                if !matched {
                    wrong.push(mends.add(mismatch(server), handshake));
                }
            }
            Tls::NotTried => {
                let trouble = greeting.trouble.clone().unwrap_or(NoConnection::Closed);
                silent.push((server, trouble));
            }
            Tls::NothingInCommon(why) => {
                silent.push((server, NoConnection::Failed(why.clone())));
            }
            Tls::NotOffered | Tls::Refused(_) | Tls::Broken(_) => {
                answered = true;
                wrong.push(no_tls(server));
            }
        }
    }
    let mut insecure = findings[before..]
        .iter_mut()
        .filter(|one| seen.is_insecure() && one.finding == "dane-insecure");
    match insecure.next() {
        // Nobody heeds the records yet, and nothing stops mail before that.
        Some(insecure) => wrong.iter().for_each(|one| first(insecure, one)),
        None => findings.extend(wrong),
    }
    for (server, trouble) in silent {
        if !(answered && trouble == NoConnection::NoIpv6) {
            findings.push(no_connection(server, &trouble));
        }
    }
    shown
}

/// What stops mail as soon as the records count is mended before that.
fn first(insecure: &mut Finding, wrong: &Finding) {
    insecure.mend.push_str(&format!(
        "; but first {}, or mail stops then: {}",
        wrong.mend, wrong.sentence
    ));
    for record in &wrong.publish {
        insecure.mend.push_str(&format!(
            "; the record is {} TLSA {}",
            record.name, record.value
        ));
    }
}

fn mismatch(server: &Server) -> Finding {
    Finding::new(
        "dane-mismatch",
        server,
        format!(
            "{server} shows a certificate that no TLSA record is for: whoever checks DANE delivers no mail to it"
        ),
        "publish the record of the key that is in use, and before each change of the key that of the next one; let renewals keep the key",
    )
}

/// RFC 7672 §2.2: TLSA records that can be used make TLS a must.
fn no_tls(server: &Server) -> Finding {
    Finding::new(
        "dane-mismatch",
        server,
        format!(
            "{server} has TLSA records, and no TLS that works: whoever checks DANE delivers no mail to it"
        ),
        "let STARTTLS work (Postfix: smtpd_tls_security_level = may, smtpd_tls_chain_files), or remove the TLSA records",
    )
}

/// The TLSA records of a host that can be used.
pub(super) struct Pins {
    records: Vec<Tlsa>,
    /// RFC 7672 §3.2.2: those for which a certificate may be.
    names: [DnsName; 2],
    now: UnixTime,
}

impl Pins {
    fn new(facts: &Facts<'_>, base: &DnsName, records: &[Tlsa]) -> Pins {
        let usable = records.iter().filter(|record| record.counts());
        Pins {
            records: usable.cloned().collect(),
            names: [base.clone(), facts.domain()],
            now: facts.options.now,
        }
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether this record would vouch for what a server has shown.
    fn would_vouch(&self, record: &Tlsa, handshake: &Handshake) -> bool {
        let alone = std::slice::from_ref(record);
        tlsa::vouched(alone, handshake, &self.names, self.now) != Vouched::No
    }

    /// How they vouch for what a server has shown.
    pub(super) fn vouch(&self, handshake: &Handshake) -> Vouched {
        tlsa::vouched(&self.records, handshake, &self.names, self.now)
    }
}

/// The records of a server that can be used, and that DNSSEC proves.
pub(super) fn pins(facts: &Facts<'_>, server: &Server) -> Result<Pins, Pending> {
    match server.address.port() {
        25 => pins_of(facts, &server.name),
        _ => Ok(Pins::new(facts, &server.name, &[])),
    }
}

fn pins_of(facts: &Facts<'_>, host: &DnsName) -> Result<Pins, Pending> {
    let none = Pins::new(facts, host, &[]);
    let records = match lookup(facts, host)? {
        Ok(records) if !records.is_empty() => records,
        _ => return Ok(none),
    };
    let mut proofs = proofs(facts, host)?.into_iter();
    Ok(match proofs.all(|(_, proof)| proof == Dnssec::Secure) {
        true => Pins::new(facts, &base(facts, host)?, &records),
        false => none,
    })
}

/// Whether DANE protects all mail to the domain: every MX host has TLSA records that can be used, which DNSSEC proves,
/// as it does the addresses.
pub(super) fn protects(facts: &Facts<'_>) -> Result<bool, Pending> {
    let hosts = hosts(facts, &facts.exchanges()?);
    let led: Vec<_> = hosts.iter().map(|host| facts.addresses(host)).collect();
    let pinned: Vec<_> = hosts.iter().map(|host| pins_of(facts, host)).collect();
    let mut protected = false;
    for (led, pins) in led.into_iter().zip(pinned) {
        // Where no address is, nobody is led.
        if led?.list.is_empty() {
            continue;
        }
        if pins?.is_empty() {
            return Ok(false);
        }
        protected = true;
    }
    Ok(protected)
}

#[cfg(test)]
mod tests;
