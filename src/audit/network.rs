//! The networks that the sending addresses are in: who announces them, and where they were given out.

use std::net::IpAddr;

use serde_json::json;

use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use super::lists::Network;
use crate::dns::lookup::{Ask as _, DnsName, Found, Pending, Question, RecordType};
use crate::special::unreachable;

const NAME: &str = "network";

/// So many networks that announce an address are shown: two where somebody else announces it too.
const MAX_ORIGINS: usize = 4;

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let network = facts
        .options
        .lists
        .as_ref()
        .and_then(|lists| lists.network.as_ref());
    let Some(zones) = network else {
        let sentence = match facts.options.lists {
            None => "nobody was asked who announces the addresses: --no-lists leaves that out",
            Some(_) => "the table of lists names nobody who tells of networks",
        };
        return Ok(CheckReport::new(NAME, sentence, Vec::new()));
    };
    let senders = facts.senders()?;
    let reachable = senders
        .list
        .iter()
        .filter(|address| unreachable(**address).is_none());
    let told: Vec<_> = reachable
        .map(|address| (*address, of(facts, zones, *address)))
        .collect();
    if told.is_empty() {
        let sentence =
            "no address is known that can be seen from outside and that the domain sends from";
        return Ok(CheckReport::new(NAME, sentence, Vec::new()));
    }
    let mut findings = Vec::new();
    let mut shown = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for (address, told) in told {
        match told? {
            Told::Origin(origin) => {
                shown.push(json!({
                    "address": address,
                    "asn": origin.numbers,
                    "names": origin.names,
                    "prefix": origin.prefix,
                    "country": origin.country,
                    "registry": origin.registry,
                }));
                let name = origin.to_string();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            Told::Nobody => findings.push(not_announced(address)),
            Told::Nothing(finding) => findings.push(*finding),
        }
    }
    let count = shown.len();
    let addresses = if count == 1 {
        "address is"
    } else {
        "addresses are"
    };
    let sentence = format!(
        "{count} sending {addresses} announced by {}",
        names.join(", ")
    );
    Ok(CheckReport::new(NAME, sentence, findings).fact("addresses", shown))
}

/// Who announces an address.
struct Origin {
    numbers: Vec<u32>,
    /// Of the autonomous systems, in the same order; where it is known.
    names: Vec<Option<String>>,
    prefix: String,
    country: String,
    registry: String,
}

enum Told {
    Origin(Origin),
    /// The address is in no network that is announced.
    Nobody,
    Nothing(Box<Finding>),
}

fn of(facts: &Facts<'_>, zones: &Network, address: IpAddr) -> Result<Told, Pending> {
    let zone = match address {
        IpAddr::V4(_) => &zones.ipv4,
        IpAddr::V6(_) => &zones.ipv6,
    };
    let name = DnsName::reversed(address, zone).expect("the table has zones that are short enough");
    let question = Question::new(name, RecordType::Txt);
    let found = facts.ask(&question)?;
    if let Some(cause) = found.failure() {
        return Ok(Told::Nothing(Box::new(Finding::no_answer(
            &question, cause,
        ))));
    }
    let Some(mut origin) = origin(&found) else {
        return Ok(Told::Nobody);
    };
    let asked: Vec<_> = origin
        .numbers
        .iter()
        .map(|number| {
            let name = zones.names.below(&format!("as{number}"));
            let name = name.expect("the table has zones that are short enough");
            facts.look(&name, RecordType::Txt)
        })
        .collect();
    for found in asked {
        origin
            .names
            .push(columns(&found?).find_map(|columns| text(columns.get(4)?)));
    }
    Ok(Told::Origin(origin))
}

/// The columns of each record: `ASN | prefix | country | registry | date`, or `ASN | country | registry | date | name`.
fn columns(found: &Found) -> impl Iterator<Item = Vec<String>> {
    found.texts().map(|text| {
        let text = String::from_utf8_lossy(text).into_owned();
        text.split('|')
            .map(|column| column.trim().to_owned())
            .collect()
    })
}

/// What of a column is kept.
fn text(column: &str) -> Option<String> {
    let cut = &column[..column.floor_char_boundary(100)];
    (!cut.is_empty()).then(|| cut.to_owned())
}

/// The record of the longest prefix: shorter ones may be announced too.
fn origin(found: &Found) -> Option<Origin> {
    let rows = columns(found).filter_map(|columns| {
        let numbers = columns.first()?.split_ascii_whitespace();
        let numbers: Vec<u32> = numbers
            .filter_map(|n| n.parse().ok())
            .take(MAX_ORIGINS)
            .collect();
        let (_, bits) = columns.get(1)?.rsplit_once('/')?;
        let bits: u8 = bits.parse().ok()?;
        let column = |at: usize| columns.get(at).and_then(|c| text(c)).unwrap_or_default();
        let origin = Origin {
            numbers,
            names: Vec::new(),
            prefix: column(1),
            country: column(2),
            registry: column(3),
        };
        (!origin.numbers.is_empty()).then_some((bits, origin))
    });
    rows.max_by_key(|(bits, _)| *bits).map(|(_, origin)| origin)
}

fn not_announced(address: IpAddr) -> Finding {
    Finding::new(
        "address-not-announced",
        address,
        format!(
            "nobody announces {address} to the Internet: what is sent from there gets no answer"
        ),
        "check the address; if it is right, ask your provider why its network is not announced",
    )
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, number) in self.numbers.iter().enumerate() {
            let comma = if at == 0 { "" } else { " and " };
            write!(f, "{comma}AS{number}")?;
            if let Some(Some(name)) = self.names.get(at) {
                write!(f, " ({name})")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge_with, options, words};
    use super::*;
    use crate::audit::Options;

    fn judge(zone: &str, addresses: &[&str]) -> CheckReport {
        let options = Options {
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            ..options()
        };
        judge_with("network", zone, &options, |_| None)
    }

    #[test]
    fn who_announces_an_address_is_told() {
        let zone = "1.1.88.192.origin.asn.cymru.com. TXT \"64500 | 192.88.0.0/16 | US | arin | 2001-01-01\"\n\
                    1.1.88.192.origin.asn.cymru.com. TXT \"64501 64502 | 192.88.1.0/24 | DE | ripencc | 2001-01-01\"\n\
                    as64501.asn.cymru.com. TXT \"64501 | DE | ripencc | 2001-01-01 | EXAMPLE <b>, DE\"\n\
                    1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.a.2.origin6.asn.cymru.com. TXT \"64501 | 2a01::/16 | DE | ripencc | \"";
        let report = judge(zone, &["192.88.1.1", "2a01::1"]);
        assert_eq!(words(&report), Vec::<&str>::new());
        assert_eq!(
            report.sentence,
            "2 sending addresses are announced by AS64501 (EXAMPLE <b>, DE) and AS64502, AS64501 (EXAMPLE <b>, DE)"
        );
        let first = &report.facts["addresses"][0];
        assert_eq!(first["asn"], json!([64501, 64502]));
        assert_eq!(first["names"], json!(["EXAMPLE <b>, DE", null]));
        assert_eq!(first["prefix"], "192.88.1.0/24");
    }

    #[test]
    fn an_address_that_nobody_announces_is_told() {
        let report = judge("", &["192.88.1.1"]);
        assert_eq!(words(&report), ["address-not-announced"]);
        for text in ["", "|", "x | 192.88.0.0/16", "64500 | 192.88.0.0"] {
            let zone = format!("1.1.88.192.origin.asn.cymru.com. TXT \"{text}\"");
            assert_eq!(
                words(&judge(&zone, &["192.88.1.1"])),
                ["address-not-announced"]
            );
        }
    }

    #[test]
    fn without_an_answer_it_is_not_known() {
        let zone = r#"{"1.1.88.192.origin.asn.cymru.com.": {"status": "SERVFAIL"}}"#;
        assert_eq!(words(&judge(zone, &["192.88.1.1"])), ["no-answer"]);
    }

    #[test]
    fn addresses_that_nobody_reaches_are_not_asked_about() {
        for addresses in [&[][..], &["10.0.0.1"]] {
            let report = judge("", addresses);
            assert!(report.findings.is_empty());
            assert!(report.sentence.starts_with("no address is known"));
        }
    }
}
