//! The first record of a domain that has none.

use std::net::{IpAddr, SocketAddr};

use super::super::facts::{Facts, Server};
use super::super::selectors;
use super::super::text::Texts;
use super::draft::Draft;
use super::health::{Health, Worse};
use super::{grown_with, size};
use crate::dns::lookup::{Ask as _, DnsName, Pending, RecordType};
use crate::dns::survey::NO_SELECTOR;
use crate::name::{KeyName, Selector};
use crate::record::lint::{RecordFault, lint};

/// A record that lets those send who are known.
pub(super) struct First {
    /// There is none where nobody is known: with it nobody might send.
    pub(super) record: Option<String>,
    /// Why it is not to be published as it is; each a clause.
    pub(super) lacks: Vec<String>,
}

/// So many MX hosts are looked at where each is named by its addresses.
const MAX_HOSTS: usize = 64;

/// The record for a domain that has none.
pub(super) fn record(facts: &Facts<'_>, texts: &Texts) -> Result<First, Pending> {
    // All are asked for before the first that waits ends it.
    let (exchanges, unnamed) = (facts.exchanges(), is_unnamed(facts));
    let (exchanges, unnamed) = (exchanges?, unnamed?);
    let sending = facts.senders()?.list;
    let nobody = exchanges.null && sending.is_empty();
    if nobody && !unnamed && !signs(facts)? {
        return Ok(First {
            record: Some("v=spf1 -all".to_owned()),
            lacks: Vec::new(),
        });
    }
    let mut lacks = Vec::new();
    let draft = match of_servers(facts, texts, &sending)? {
        Ok(draft) => draft,
        Err(worse) => {
            lacks.push(format!(
                "mx cannot name the servers, since {worse}: name the networks of those that send with ip4: and ip6:"
            ));
            of_addresses(&sending)
        }
    };
    let record = (!draft.refuses_all()).then(|| draft.to_string());
    let shown = record.as_deref().unwrap_or("v=spf1 ~all");
    if let Some(host) = foreign_exchange(facts)? {
        lacks.push(format!(
            "{host} takes the mail, and whoever runs it tells with which include: its servers may send: put that into {shown} before you publish it"
        ));
    }
    if let Some((host, _)) = facts.options.smtp.as_ref().filter(|_| unnamed) {
        lacks.push(format!(
            "{host} sends, and not all of its addresses could be found: put them into {shown} before you publish it"
        ));
    } else if nobody {
        lacks.push(format!(
            "somebody may send, since there is, or may be, a key of DKIM to sign with: put the hosts or networks that send into {shown} before you publish it"
        ));
    }
    Ok(First { record, lacks })
}

/// Whether the server that is said to send is not known by all of its addresses.
fn is_unnamed(facts: &Facts<'_>) -> Result<bool, Pending> {
    let options = facts.options;
    let Some((host, _)) = options
        .smtp
        .as_ref()
        .filter(|_| options.addresses.is_empty())
    else {
        return Ok(false);
    };
    let found = host.addresses(facts)?;
    Ok(found.list.is_empty() || found.failure.is_some())
}

/// Whether there may be a key to sign with: one that is known, one under a name that is often chosen or of a wildcard, or
/// one of which no answer tells.
fn signs(facts: &Facts<'_>) -> Result<bool, Pending> {
    let options = facts.options;
    if !options.keys.is_empty() || !options.selectors.is_empty() {
        return Ok(true);
    }
    let names = selectors::names()
        .map(|(_, name)| name)
        .chain([NO_SELECTOR]);
    let names = names.filter_map(|name| {
        let name = KeyName::new(&Selector::new(name).ok()?, &options.domain).ok()?;
        Some(DnsName::from(&name))
    });
    let found: Vec<_> = names
        .map(|name| facts.look(&name, RecordType::Txt))
        .collect();
    for found in found {
        let found = found?;
        if found.failure().is_some() || found.texts().any(is_key) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a text is a key, well written or not, that was not withdrawn.
fn is_key(text: &[u8]) -> bool {
    let faults = lint(text, None).faults;
    let none = [RecordFault::NotKeyRecord, RecordFault::Revoked];
    !none.iter().any(|none| faults.contains(none))
}

/// A record of the servers that take the mail and of the addresses that send; what is wrong with one that says `mx`,
/// where the addresses of the servers cannot stand in its place.
fn of_servers(
    facts: &Facts<'_>,
    texts: &Texts,
    sending: &[IpAddr],
) -> Result<Result<Draft, Worse>, Pending> {
    let exchanges = facts.exchanges()?;
    let mut known: Vec<IpAddr> = Vec::new();
    for server in facts.servers()? {
        // The servers that somebody else has for many only take mail, and their owner tells which term lets theirs send.
        let takes = exchanges.hosts.iter().any(|(_, host)| *host == server.name);
        if takes && facts.is_own(&server)? {
            known.push(server.address.ip());
        }
    }
    if known.is_empty() {
        return Ok(Ok(of_addresses(sending)));
    }
    let mut draft = Draft::of("v=spf1 mx");
    for address in sending.iter().filter(|one| !known.contains(one)) {
        draft.allow(*address);
    }
    draft.end("~all");
    let health = Health::of(&grown_with(facts, &draft.to_string())?);
    let Some(worse) = health.worse_than(&Health::default()) else {
        return Ok(Ok(draft));
    };
    let Some(own) = own_exchanges(facts)? else {
        return Ok(Err(worse));
    };
    let draft = of_addresses(own.iter().chain(sending));
    Ok(
        match size::is_too_long_with(texts, draft.to_string().len()) {
            true => Err(worse),
            false => Ok(draft),
        },
    )
}

fn of_addresses<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> Draft {
    let mut draft = Draft::of("v=spf1");
    for address in addresses {
        draft.allow(*address);
    }
    draft.end("~all");
    draft
}

/// The addresses of all MX hosts that are the domain's own; none where not all are known.
fn own_exchanges(facts: &Facts<'_>) -> Result<Option<Vec<IpAddr>>, Pending> {
    let hosts = facts.exchanges()?.hosts;
    if hosts.len() > MAX_HOSTS {
        return Ok(None);
    }
    let found: Vec<_> = hosts
        .iter()
        .map(|(_, host)| facts.addresses(host))
        .collect();
    let mut own = Vec::new();
    for ((_, name), addresses) in hosts.iter().zip(found) {
        let addresses = addresses?;
        if addresses.failure.is_some() {
            return Ok(None);
        }
        for ip in addresses.reachable() {
            let server = Server {
                name: name.clone(),
                address: SocketAddr::new(ip, 25),
            };
            if facts.is_own(&server)? {
                own.push(ip);
            }
        }
    }
    Ok(Some(own))
}

/// The server of somebody else that takes the mail: it is likely that others of theirs send it.
fn foreign_exchange(facts: &Facts<'_>) -> Result<Option<DnsName>, Pending> {
    let servers = facts.servers()?;
    for (_, host) in facts.exchanges()?.hosts {
        let mut own = host.is_root() || host.is_within(&facts.domain());
        for server in servers.iter().filter(|server| server.name == host) {
            own |= facts.is_own(server)?;
        }
        if !own {
            return Ok(Some(host));
        }
    }
    Ok(None)
}
