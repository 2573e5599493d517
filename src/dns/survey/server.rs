//! One server asked, and what is read from its answers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Server, Soa, Told, Trouble, ZoneCut};
use crate::dns::client::{Code, Data, Failure, Question, Reply, Transport, ask};
use crate::dns::lookup::RecordType;

pub(super) const PORT: u16 = 53;

/// Asks over UDP, and over TCP where the answer was truncated.
pub(super) async fn with_tcp(
    server: SocketAddr,
    question: &Question,
    patience: Duration,
) -> Result<Reply, Failure> {
    match ask(server, question, Transport::Udp, patience).await {
        Ok(reply) if reply.truncated => ask(server, question, Transport::Tcp, patience).await,
        told => told,
    }
}

pub(super) fn question(name: &str, kind: RecordType) -> Question {
    Question {
        name: name.to_owned(),
        kind,
        recursion: false,
        unchecked: false,
    }
}

/// What a server says that must know.
pub(super) async fn authoritative(
    server: SocketAddr,
    name: &str,
    patience: Duration,
) -> Result<Told, Trouble> {
    let reply = with_tcp(server, &question(name, RecordType::Txt), patience).await;
    judge(name, reply)
}

pub(super) fn judge(name: &str, reply: Result<Reply, Failure>) -> Result<Told, Trouble> {
    let reply = reply.map_err(Trouble::Silent)?;
    match reply.code {
        Code::NoError | Code::NoName if reply.authoritative => Ok(Told::read(name, &reply)),
        Code::NoError | Code::NoName => Err(Trouble::NotAuthoritative),
        // So BIND gives up a chain of CNAMEs, whose first link it has told.
        Code::ServerFailure if reply.authoritative && !reply.answers.is_empty() => {
            Ok(Told::read(name, &reply))
        }
        code => Err(Trouble::Refuses(code)),
    }
}

pub(super) async fn look(
    server: String,
    address: IpAddr,
    name: &str,
    zone: &str,
    patience: Duration,
) -> Server {
    let at = SocketAddr::new(address, PORT);
    let (txt, soa) = (
        question(name, RecordType::Txt),
        question(zone, RecordType::Soa),
    );
    let ns = question(zone, RecordType::Ns);
    let (udp, tcp, soa, ns) = tokio::join!(
        ask(at, &txt, Transport::Udp, patience),
        ask(at, &txt, Transport::Tcp, patience),
        with_tcp(at, &soa, patience),
        with_tcp(at, &ns, patience)
    );
    let own = ns.ok().filter(|reply| reply.authoritative);
    let named = own.map(|reply| name_servers(&reply)).unwrap_or_default();
    let truncated = udp.as_ref().is_ok_and(|reply| reply.truncated);
    let mut needs_tcp = truncated;
    if tcp.is_err() && udp.is_ok() && !truncated {
        let plain = ask(at, &txt, Transport::PlainUdp, patience).await;
        needs_tcp = plain.is_ok_and(|reply| reply.truncated);
    }
    let soa = soa.ok().and_then(|reply| {
        reply.answers.iter().find_map(|rr| match rr.data {
            Data::Soa { serial, minimum } => Some(Soa {
                serial,
                negative_ttl: minimum.min(rr.ttl),
            }),
            _ => None,
        })
    });
    let name = &txt.name;
    Server {
        name: server,
        address,
        truncated,
        udp: judge(name, udp),
        tcp: judge(name, tcp),
        needs_tcp,
        soa,
        named,
    }
}

/// A server whose answers made the task that asked it panic.
pub(super) fn incomprehensible(name: &str, address: IpAddr) -> Server {
    let garbled = Err(Trouble::Silent(Failure::Garbled));
    Server {
        name: name.to_owned(),
        address,
        udp: garbled.clone(),
        truncated: false,
        tcp: garbled,
        needs_tcp: false,
        soa: None,
        named: BTreeSet::new(),
    }
}

/// The name servers that an answer names.
pub(super) fn name_servers(reply: &Reply) -> BTreeSet<String> {
    let servers = reply.answers.iter().filter_map(|rr| match &rr.data {
        Data::Ns(server) => Some(server.clone()),
        _ => None,
    });
    servers.collect()
}

/// The zone that an answer about the SOA of `name` speaks of.
pub(super) fn zone_in(name: &str, reply: &Reply) -> Option<ZoneCut> {
    // What follows a CNAME is about another name; and at the start of a zone there is none.
    if reply
        .answers
        .iter()
        .any(|rr| matches!(rr.data, Data::Cname(_)))
    {
        return None;
    }
    let holds = |zone: &str| name == zone || name.ends_with(&format!(".{zone}")) || zone == ".";
    let mut records = reply.answers.iter().chain(&reply.authority);
    records.find_map(|rr| match rr.data {
        Data::Soa { minimum, .. } if holds(&rr.name) => Some(ZoneCut {
            name: rr.name.clone(),
            negative_ttl: minimum,
        }),
        _ => None,
    })
}

/// The name without its first label.
pub(super) fn parent(name: &str) -> &str {
    name.split_once('.').map_or("", |(_, rest)| rest)
}

/// The domain in the name of a key; another name as it stands.
pub(super) fn domain_of(name: &str) -> &str {
    name.split_once("._domainkey.")
        .map_or(name, |(_, rest)| rest)
}

/// Whether a zone is so high up that a domain that does not exist would seem to lie in it.
pub(super) fn is_top_level(zone: &str) -> bool {
    zone.trim_end_matches('.').split('.').count() < 2
}
