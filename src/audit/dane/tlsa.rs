//! A TLSA record: whether it can be used, and which certificate it is for.

use sha2::{Digest as _, Sha256, Sha512};

use crate::audit::finding::Finding;
use crate::audit::net::{Handshake, key_of, leads_to};
use crate::dns::lookup::DnsName;
use crate::time::UnixTime;

/// A TLSA record (RFC 6698 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tlsa {
    pub(super) usage: u8,
    pub(super) selector: u8,
    pub(super) matching: u8,
    pub(super) data: Vec<u8>,
}

/// The issuer of the chain, and the certificate itself (RFC 7218 §2.1).
const DANE_TA: u8 = 2;
const DANE_EE: u8 = 3;

impl Tlsa {
    /// The record as a zone file has it (RFC 6698 §2.2).
    pub(super) fn value(&self) -> String {
        let data = hex(&self.data);
        format!("{} {} {} {data}", self.usage, self.selector, self.matching)
    }

    /// Whether it can be used for SMTP.
    pub(super) fn counts(&self) -> bool {
        matches!(self.usage, DANE_TA | DANE_EE) && self.trouble().is_none()
    }

    /// Why it cannot be used, whoever asks.
    fn trouble(&self) -> Option<String> {
        match (self.usage, self.selector, self.matching) {
            (4.., ..) => Some(format!("nobody knows the usage {}", self.usage)),
            (_, 2.., _) => Some(format!("nobody knows the selector {}", self.selector)),
            (_, _, 3..) => Some(format!("nobody knows the matching type {}", self.matching)),
            (_, _, 1) if self.data.len() != 32 => Some(self.length("SHA-256", 32)),
            (_, _, 2) if self.data.len() != 64 => Some(self.length("SHA-512", 64)),
            (_, 0, 0) if key_of(&self.data).is_none() => {
                Some("the data are no certificate".to_owned())
            }
            (_, 1, 0) if self.data.first() != Some(&0x30) => {
                Some("the data are no public key".to_owned())
            }
            _ => None,
        }
    }

    fn length(&self, hash: &str, right: usize) -> String {
        format!(
            "a hash of {hash} has {right} octets, and this one {}",
            self.data.len()
        )
    }

    /// What is wrong with it, whatever the host shows.
    pub(super) fn fault(&self, host: &DnsName) -> Option<Finding> {
        let name = format!("_25._tcp.{host}");
        let mend = "publish `3 1 1` and the SHA-256 of the server's public key instead";
        if let Some(why) = self.trouble() {
            let sentence = format!("a TLSA record of {host} cannot be used: {why}");
            return Some(Finding::new("dane-syntax", name, sentence, mend));
        }
        // RFC 7672 §3.1.3: what a sender does with usages 0 and 1 is undefined.
        (self.usage < DANE_TA).then(|| {
            let sentence = format!(
                "a TLSA record of {host} has the usage {}, which does not count for mail",
                self.usage
            );
            Finding::new("dane-usage", name, sentence, mend)
        })
    }

    /// The same data with the usage of the same depth that counts for mail; none where there is no such thing.
    pub(super) fn counting(&self) -> Option<Tlsa> {
        let right = Tlsa {
            usage: self.usage.checked_add(2)?,
            ..self.clone()
        };
        right.counts().then_some(right)
    }

    /// That of the public key of a server.
    pub(super) fn of_key(key: &[u8]) -> Tlsa {
        Tlsa {
            usage: DANE_EE,
            selector: 1,
            matching: 1,
            data: Sha256::digest(key).to_vec(),
        }
    }

    /// Whether it is for this certificate or key (RFC 6698 §2.1.2, §2.1.3).
    fn is_for(&self, certificate: &[u8]) -> bool {
        let selected = match self.selector {
            0 => Some(certificate.to_vec()),
            _ => key_of(certificate),
        };
        selected.is_some_and(|bytes| match self.matching {
            0 => bytes == self.data,
            1 => Sha256::digest(&bytes).as_slice() == self.data,
            _ => Sha512::digest(&bytes).as_slice() == self.data,
        })
    }

    /// What the authority of a chain may be by this record (RFC 7672 §3.1.2): it is in the chain, but where the record
    /// holds it whole it need not be.
    fn anchors<'a>(&'a self, chain: &'a [Vec<u8>]) -> impl Iterator<Item = &'a Vec<u8>> {
        let whole = (self.selector, self.matching) == (0, 0);
        let shown = chain.iter().filter(|certificate| self.is_for(certificate));
        shown.chain(whole.then_some(&self.data))
    }
}

/// How records vouch for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) enum Vouched {
    /// Not at all.
    No,
    /// For its authority (DANE-TA), so that its name and its time count (RFC 7672 §3.1.2).
    Authority,
    /// For itself (DANE-EE), so that neither counts (RFC 7672 §3.1.1).
    Itself,
}

/// So many certificates of a chain are looked at; those of mail servers have two or three.
const MAX_CHAIN: usize = 10;
/// So many authorities are tried: each is a search for a way through the chain.
const MAX_ANCHORS: usize = 8;

/// Whether one of the records, all of which count, vouches for the chain that a server has shown.
pub(super) fn vouched(
    records: &[Tlsa],
    handshake: &Handshake,
    names: &[DnsName],
    now: UnixTime,
) -> Vouched {
    let chain = &handshake.chain;
    let chain = &chain[..chain.len().min(MAX_CHAIN)];
    let of = |usage: u8| records.iter().filter(move |record| record.usage == usage);
    let itself = |leaf: &Vec<u8>| of(DANE_EE).any(|record| record.is_for(leaf));
    if chain.first().is_some_and(itself) {
        return Vouched::Itself;
    }
    let mut anchors: Vec<&Vec<u8>> = Vec::new();
    for anchor in of(DANE_TA).flat_map(|record| record.anchors(chain)) {
        if anchors.len() < MAX_ANCHORS && !anchors.contains(&anchor) {
            anchors.push(anchor);
        }
    }
    match anchors
        .iter()
        .any(|anchor| leads_to(anchor, chain, names, now))
    {
        true => Vouched::Authority,
        false => Vouched::No,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
