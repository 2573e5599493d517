//! What the macros of a query stand for (RFC 7208 §7.2, §7.3).

use std::net::IpAddr;

use super::super::macros::{Letter, Values};
use super::super::{Identity, Query};
use crate::name::Domain;

/// The values that are the same in every record.
pub(super) struct Sender {
    address: Vec<u8>,
    local: Vec<u8>,
    /// In A-labels and without a final dot; `None` where there is no such name.
    domain: Option<Vec<u8>>,
    helo: Vec<u8>,
    dotted: Vec<u8>,
    readable: Vec<u8>,
    family: &'static [u8],
    receiver: Vec<u8>,
    time: Vec<u8>,
}

impl Sender {
    pub(super) fn new(query: &Query, identity: Identity) -> Sender {
        let (local, written) = parts(query, identity);
        let domain = a_labels(written.strip_suffix(b".").unwrap_or(written));
        let ip = query.ip.to_canonical();
        Sender {
            address: [local, b"@", domain.as_deref().unwrap_or(written)].concat(),
            local: local.to_vec(),
            domain,
            helo: query.helo.clone(),
            dotted: dotted(ip),
            readable: ip.to_string().into_bytes(),
            family: if ip.is_ipv4() { b"in-addr" } else { b"ip6" },
            receiver: query.receiver.clone().into_bytes(),
            time: query.now.to_string().into_bytes(),
        }
    }

    pub(super) fn domain(&self) -> Option<&[u8]> {
        self.domain.as_deref()
    }

    /// RFC 8616 §4: a term with the macros s and l matches nothing where the local part is not ASCII.
    pub(super) fn has_ascii_local(&self) -> bool {
        self.local.is_ascii()
    }
}

/// The local part and the domain of the sender, as they were written (RFC 7208 §2.4, §4.3).
pub(super) fn parts(query: &Query, identity: Identity) -> (&[u8], &[u8]) {
    const POSTMASTER: &[u8] = b"postmaster";
    if identity == Identity::Helo || query.mail_from.is_empty() {
        return (POSTMASTER, &query.helo);
    }
    match memchr::memrchr(b'@', &query.mail_from) {
        None => (POSTMASTER, &query.mail_from),
        Some(0) => (POSTMASTER, &query.mail_from[1..]),
        Some(at) => (&query.mail_from[..at], &query.mail_from[at + 1..]),
    }
}

/// RFC 8616 §4: U-labels are turned into A-labels first.
fn a_labels(domain: &[u8]) -> Option<Vec<u8>> {
    if domain.is_ascii() {
        return Some(domain.to_vec());
    }
    let domain = Domain::new(std::str::from_utf8(domain).ok()?).ok()?;
    Some(domain.as_ascii().as_bytes().to_vec())
}

/// §7.3: an IPv6 address as its hexadecimal digits. The example of §7.4 has small letters and the test suite of the RFC
/// capitals; DNS takes them alike.
fn dotted(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.to_string().into_bytes(),
        IpAddr::V6(ip) => {
            let digits: Vec<String> = ip
                .octets()
                .iter()
                .map(|octet| format!("{:X}.{:X}", octet >> 4, octet & 15))
                .collect();
            digits.join(".").into_bytes()
        }
    }
}

/// The values in one record.
pub(super) struct InRecord<'a> {
    pub(super) sender: &'a Sender,
    /// The domain of the record.
    pub(super) domain: &'a [u8],
    pub(super) validated: &'a [u8],
}

impl Values for InRecord<'_> {
    fn value(&self, letter: Letter) -> &[u8] {
        let sender = self.sender;
        match letter {
            Letter::Sender => &sender.address,
            Letter::LocalPart => &sender.local,
            Letter::SenderDomain => sender.domain.as_deref().unwrap_or_default(),
            Letter::Domain => self.domain,
            Letter::Address => &sender.dotted,
            Letter::ValidatedName => self.validated,
            Letter::Family => sender.family,
            Letter::Helo => &sender.helo,
            Letter::ReadableAddress => &sender.readable,
            Letter::Receiver => &sender.receiver,
            Letter::Time => &sender.time,
        }
    }
}
