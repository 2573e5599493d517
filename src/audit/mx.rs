//! MX: the hosts that take the domain's mail (RFC 5321 §5.1, RFC 7505, RFC 2181 §10.3).

use std::net::IpAddr;

use serde_json::json;

use super::facts::{Addresses, Exchanges, Facts};
use super::finding::{CheckReport, Finding, ResourceRecord};
use super::host::bare;
use super::mta_sts::Mode;
use super::net::{NoConnection, Tls, is_for};
use super::place::{self, Place, dotted};
use super::{mta_sts, spf};
use crate::dns::lookup::{Ask as _, DnsName, Pending, Question, Record, RecordType};
use crate::special::unreachable;

const NAME: &str = "mx";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let domain = facts.domain();
    let exchanges = facts.exchanges();
    let own = facts.addresses(&domain);
    let (exchanges, own) = (exchanges?, own?);
    let question = Question::new(domain.clone(), RecordType::Mx);
    if let Some(cause) = exchanges.failure {
        let finding = Finding::no_answer(&question, cause);
        return Ok(CheckReport::new(NAME, "", vec![finding]));
    }
    let aliases = facts.look(&domain, RecordType::Mx)?.aliases;
    let place = place::of(facts, &domain, RecordType::Mx, &aliases);
    if exchanges.null {
        // RFC 7505 §3.
        let sentence = "the domain says with a null MX that it takes no mail";
        let senders = facts.senders()?;
        let sends = (!senders.list.is_empty()).then(|| null_sends(&exchanges.at));
        let twice = null_twice(&domain, &exchanges, &place?);
        let findings = sends.into_iter().chain(twice).collect();
        return Ok(CheckReport::new(NAME, sentence, findings).fact("null", true));
    }
    if exchanges.hosts.is_empty() {
        let finding = without(&domain, &place?, &own.list, parked(facts)?);
        return Ok(CheckReport::new(NAME, "", vec![finding]));
    }
    let found: Vec<_> = exchanges
        .hosts
        .iter()
        .map(|(_, host)| facts.addresses(host))
        .collect();
    let place = place?;
    let others = others(&exchanges, &found);
    let stays_null = exchanges.has_null() && others != Others::Usable && parked(facts)?;
    // A host that is of no use is removed only where another is left: else it is to be mended.
    let another = others == Others::Usable || stays_null && others == Others::Useless;
    let at = &exchanges.at;
    let mut findings = Vec::new();
    let mut shown = Vec::new();
    if exchanges.has_null() {
        findings.push(null_beside(
            &domain, &exchanges, &place, stays_null, another,
        ));
    }
    for ((preference, host), addresses) in exchanges.hosts.iter().zip(found) {
        let record = mx(at, *preference, host);
        if host.is_root() {
            continue;
        }
        if is_address(host) {
            let finding = Finding::new(
                "mx-address",
                host,
                format!("the MX record holds the address {host}, where a name must stand"),
                "give the server a name with an A or AAAA record, and let the MX record hold that name",
            );
            findings.push(place.mend(finding, another.then_some(record), []));
            continue;
        }
        let addresses = addresses?;
        shown.push(json!({"preference": preference, "host": host.to_string(), "addresses": addresses.list}));
        if let Some((question, cause)) = &addresses.failure
            && addresses.list.is_empty()
        {
            findings.push(Finding::no_answer(question, *cause));
            continue;
        }
        if let Some(target) = addresses.aliases.last() {
            let finding = alias(host, target);
            let new = mx(at, *preference, target);
            let is_there = exchanges.hosts.contains(&(*preference, target.clone()));
            findings.push(match first(facts, host, target, &addresses)? {
                Some(first) => place.tell(finding.in_words(&first)),
                None => place.mend(finding, [record.clone()], (!is_there).then_some(new)),
            });
        }
        if addresses.list.is_empty() {
            let why = match addresses.exists {
                true => "has no address",
                false => "does not exist",
            };
            let finding = Finding::new(
                "mx-unresolvable",
                host,
                format!("the MX host {host} {why}"),
                format!("publish an A or AAAA record at {host}, or remove this MX record"),
            );
            findings.push(place.mend(finding, another.then_some(record), []));
        }
        let reached = addresses.reachable().next().is_some();
        for address in &addresses.list {
            if let Some(why) = unreachable(*address) {
                findings.push(private(
                    facts,
                    host,
                    &addresses.aliases,
                    *address,
                    why,
                    reached,
                )?);
            }
        }
    }
    let count = exchanges.hosts.len();
    let hosts = if count == 1 {
        "host takes"
    } else {
        "hosts take"
    };
    let sentence = format!("{count} {hosts} the mail of {domain}");
    Ok(CheckReport::new(NAME, sentence, findings).fact("hosts", shown))
}

/// RFC 7505 §4.2: such a domain is none to send from.
fn null_sends(at: &DnsName) -> Finding {
    Finding::new(
        "mx-null-sends",
        at,
        format!(
            "{at} says with a null MX that it takes no mail, and sends some: many receivers refuse a sender that cannot be answered (RFC 7505 section 4.2)"
        ),
        "put an MX record of a server that takes the answers in the place of the null MX, or send in the name of a domain that takes mail",
    )
}

/// Whether nobody sends mail of the domain, which says so.
pub(super) fn parked(facts: &Facts<'_>) -> Result<bool, Pending> {
    Ok(facts.senders()?.list.is_empty() && spf::nobody_sends(facts)?)
}

/// Whether a null MX stands beside others, and is all that is left of them by our mend.
pub(super) fn leaves_null(facts: &Facts<'_>) -> Result<bool, Pending> {
    let exchanges = facts.exchanges()?;
    if exchanges.null || !exchanges.has_null() {
        return Ok(false);
    }
    let hosts = exchanges.hosts.iter();
    let found: Vec<_> = hosts.map(|(_, host)| facts.addresses(host)).collect();
    let is_parked = parked(facts)?;
    Ok(is_parked && others(&exchanges, &found) == Others::Useless)
}

fn mx(at: &DnsName, preference: u16, host: &DnsName) -> ResourceRecord {
    ResourceRecord::new(at, "MX", format!("{preference} {}", dotted(host)))
}

/// What the hosts beside a null MX are good for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// One has an address that can be reached.
    Usable,
    /// None has.
    Useless,
    /// Of one it is not known.
    Unknown,
}

fn others(exchanges: &Exchanges, found: &[Result<Addresses, Pending>]) -> Others {
    let found = exchanges.hosts.iter().zip(found);
    let found = found.filter(|((_, host), _)| !host.is_root() && !is_address(host));
    let mut others = Others::Useless;
    for (_, addresses) in found {
        match addresses {
            Ok(one) if one.reachable().next().is_some() => return Others::Usable,
            Ok(one) if one.failure.is_none() => {}
            _ => others = Others::Unknown,
        }
    }
    others
}

/// The same is said several times, and one is to stay.
fn null_twice(domain: &DnsName, exchanges: &Exchanges, place: &Place) -> Option<Finding> {
    let (_, others) = exchanges
        .hosts
        .split_first()
        .filter(|(_, rest)| !rest.is_empty())?;
    let finding = Finding::new(
        "mx-null-not-alone",
        domain,
        "a null MX says that the domain takes no mail, and must be the only MX record: there are several",
        "leave one of them",
    );
    let others = others
        .iter()
        .map(|(preference, host)| mx(&exchanges.at, *preference, host));
    Some(place.mend(finding, others, []))
}

/// `stays`: nobody sends mail of the domain, and no other host is known to take any.
fn null_beside(
    domain: &DnsName,
    exchanges: &Exchanges,
    place: &Place,
    stays: bool,
    known: bool,
) -> Finding {
    let mend = match stays {
        true => {
            "remove all others, since nobody sends mail of the domain and no other host is known to take any; or the null MX, where one is to take mail"
        }
        false => "remove the null MX, or all others",
    };
    let finding = Finding::new(
        "mx-null-not-alone",
        domain,
        "a null MX says that the domain takes no mail, and stands beside other MX records",
        mend,
    );
    if stays && !known {
        return place.tell(finding);
    }
    let mut nulls = exchanges.hosts.iter().filter(|(_, host)| host.is_root());
    let kept = nulls.next().filter(|_| stays);
    let gone = exchanges.hosts.iter().filter(|one| match stays {
        true => Some(*one) != kept,
        false => one.1.is_root(),
    });
    let gone = gone.map(|(preference, host)| mx(&exchanges.at, *preference, host));
    place.mend(finding, gone, [])
}

/// RFC 5321 §5.1: without an MX record mail goes to the address of the domain itself. `nobody`: nobody sends mail of the
/// domain. Beside a CNAME no other record may stand (RFC 1034 §3.6.2), and at its end is another host.
fn without(domain: &DnsName, place: &Place, own: &[IpAddr], nobody: bool) -> Finding {
    let null = || ResourceRecord::new(domain, "MX", "0 .");
    let (finding, record) = match own.is_empty() {
        false if nobody => (
            Finding::new(
                "mx-missing",
                domain,
                format!(
                    "{domain} has no MX record, and sends no mail: what is sent to it goes to its own address all the same"
                ),
                "publish the null MX, which says that the domain takes no mail (RFC 7505), since it sends none; only where mail is taken at that address, an MX record of the domain itself",
            ),
            Some(null()),
        ),
        false => (
            Finding::new(
                "mx-missing",
                domain,
                format!(
                    "{domain} has no MX record: mail goes to its own address, which some senders refuse"
                ),
                "publish an MX record, also where the host is the domain itself",
            ),
            Some(mx(domain, 10, domain)),
        ),
        true => (
            Finding::new(
                "mx-none",
                domain,
                format!(
                    "{domain} has neither an MX record nor an address: no answer to its mail arrives, and many receivers refuse a sender that cannot be answered"
                ),
                match nobody {
                    true => {
                        "publish the null MX, which says that the domain takes no mail (RFC 7505), since it sends none"
                    }
                    false => {
                        "publish an MX record of a server that takes the answers; only where no mail is sent in the name of the domain, the null MX (RFC 7505)"
                    }
                },
            ),
            nobody.then(null),
        ),
    };
    match place.name() == domain && record.is_some() {
        true => place.mend(finding, [], record),
        false => place.tell(finding),
    }
}

/// RFC 2181 §10.3, RFC 5321 §5.1.
fn alias(host: &DnsName, target: &DnsName) -> Finding {
    Finding::new(
        "mx-cname",
        host,
        format!("the MX host {host} is a CNAME to {target}, which must not be"),
        format!("let the MX record name {target}"),
    )
}

/// What is to be done before the MX record may name the end of the alias, if anything.
fn first(
    facts: &Facts<'_>,
    host: &DnsName,
    target: &DnsName,
    addresses: &Addresses,
) -> Result<Option<String>, Pending> {
    // None without an answer.
    let tlsa = |host: &DnsName| match host.below("_25._tcp") {
        Ok(name) => {
            let found = facts.look(&name, RecordType::Tlsa)?;
            Ok(match found.failure() {
                Some(_) => None,
                None => Some(found.records().to_vec()),
            })
        }
        Err(_) => Ok(Some(Vec::new())),
    };
    let policy = mta_sts::judge(facts);
    let promised = mta_sts::promises(facts);
    let (pinned, still) = (tlsa(host), tlsa(target));
    let certified = certified(facts, host, target);
    let (policy, pinned, still) = (policy?, pinned?, still?);
    let (promised, certified) = (promised?, certified?);
    if addresses.reachable().next().is_none() {
        return Ok(Some(
            "first give that an address at which it is reached".to_owned(),
        ));
    }
    let unknown = policy.findings.iter().any(|one| one.finding == "no-answer");
    let (Some(pinned), Some(still), false) = (pinned, still, unknown) else {
        return Ok(Some(
            "but first run the audit again, until there is an answer for the records of MTA-STS and for all TLSA records: mail may depend on them"
                .to_owned(),
        ));
    };
    let mut first = Vec::new();
    if policy.facts.contains_key("records") {
        let body = policy.facts.get("policy").and_then(|body| body.as_str());
        first.extend(in_policy(body.unwrap_or_default(), host, target));
    }
    let by_authority = |record: &Record| matches!(record, Record::Tlsa { usage: 2, .. });
    let named = pinned.iter().chain(&still).any(by_authority);
    if !certified && (promised != Mode::None || named) {
        // RFC 8461 §4.1: the certificate is for the name in the MX record; RFC 7672 §3.2.2 for one that TLSA records of
        // usage 2 vouch for.
        first.push(format!(
            "let every server that {host} leads to show a certificate that is for {target}, too"
        ));
    }
    if !pinned.is_empty() && still.is_empty() {
        // RFC 7672 §2.2.2: at the name in the MX record alone they are looked for then.
        first.push(format!(
            "publish TLSA records at _25._tcp.{target}, as there are some at _25._tcp.{host}, and wait until all servers of the zone have them: DANE protects nothing there without"
        ));
    }
    Ok(match first.is_empty() {
        true => None,
        false => Some(format!(
            "but first {}; only then change the MX record",
            first.join("; and ")
        )),
    })
}

/// Whether each server of a host was seen to have a certificate that is for another name as well.
fn certified(facts: &Facts<'_>, host: &DnsName, name: &DnsName) -> Result<bool, Pending> {
    let servers = facts.servers()?;
    let of_host = servers.iter().filter(|server| server.name == *host);
    let greetings: Vec<_> = of_host.map(|server| facts.greeting(server)).collect();
    for greeting in greetings {
        let greeting = greeting?;
        let certified = match &greeting.tls {
            Tls::Done(handshake) => is_for(&handshake.chain, std::slice::from_ref(name)),
            // From here nobody can see it.
            Tls::NotTried => greeting.trouble == Some(NoConnection::NoIpv6),
            _ => false,
        };
        if !certified {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a name in a policy is for a host: a wildcard stands for one label (RFC 8461 §4.1).
fn covers(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(rest) => host
            .split_once('.')
            .is_some_and(|(_, behind)| behind == rest),
        None => pattern == host,
    }
}

/// What is to be done with the policy of MTA-STS: who holds one that does not name the host delivers nothing there (RFC
/// 8461 §4.1, §5), and learns of another one only when it asks again.
fn in_policy(policy: &str, host: &DnsName, target: &DnsName) -> Option<String> {
    let fields = policy.lines().filter_map(|line| line.split_once(':'));
    let fields: Vec<(&str, &str)> = fields.map(|(key, value)| (key, value.trim())).collect();
    let field = |wanted: &str| {
        let mut fields = fields.iter();
        fields
            .find(|(key, _)| *key == wanted)
            .map(|(_, value)| *value)
    };
    let text = target.to_string();
    let covered = fields
        .iter()
        .any(|(key, value)| *key == "mx" && covers(value, &text));
    if covered || field("mode") == Some("none") {
        return None;
    }
    let add = format!(
        "add the line `mx: {target}` to the policy of MTA-STS, leave {host} in it, and change the id of its record"
    );
    if field("mode") == Some("testing") {
        return Some(add);
    }
    let age = match field("max_age").and_then(|age| age.parse::<u64>().ok()) {
        Some(age) => format!("{age} seconds, its max_age"),
        None => "its max_age".to_owned(),
    };
    Some(format!(
        "{add}, and wait for {age}, until nobody holds the old one, with which nothing is delivered at {target} (RFC 8461 section 5)"
    ))
}

/// The address stands at the end of aliases. `reached`: the host has another, so that this one can go.
fn private(
    facts: &Facts<'_>,
    host: &DnsName,
    aliases: &[DnsName],
    address: IpAddr,
    why: &str,
    reached: bool,
) -> Result<Finding, Pending> {
    let (kind, name) = match address.is_ipv4() {
        true => (RecordType::A, "A"),
        false => (RecordType::Aaaa, "AAAA"),
    };
    let place = place::of_host(facts, host, kind, aliases)?;
    let end = place.name();
    let finding = Finding::new(
        "mx-private",
        host,
        format!(
            "the MX host {host} has the address {address}, which is {why}: nobody outside can reach it"
        ),
        format!(
            "publish the address at {end} under which the server is reached from outside, and remove {address}"
        ),
    );
    let record = reached.then(|| ResourceRecord::new(end, name, address));
    Ok(match record {
        Some(record) => place.mend(finding, [record], []),
        None => place.tell(finding),
    })
}

/// Whether a name is an address in text.
fn is_address(host: &DnsName) -> bool {
    std::str::from_utf8(host.as_bytes())
        .is_ok_and(|text| bare(text).unwrap_or(text).parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests;
