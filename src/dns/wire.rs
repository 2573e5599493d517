//! Types, names and data of records, between the DNS library's form and ours.

use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::rr::{self, Name, RData};

use super::lookup::{DnsName, Record, RecordType};

/// The number of a type on the wire, as the library calls it.
pub(super) fn wire_type(kind: RecordType) -> rr::RecordType {
    match kind {
        RecordType::A => rr::RecordType::A,
        RecordType::Aaaa => rr::RecordType::AAAA,
        RecordType::Caa => rr::RecordType::CAA,
        RecordType::Ds => rr::RecordType::DS,
        RecordType::Mx => rr::RecordType::MX,
        RecordType::Ns => rr::RecordType::NS,
        RecordType::Ptr => rr::RecordType::PTR,
        RecordType::Soa => rr::RecordType::SOA,
        RecordType::Spf => rr::RecordType::Unknown(99),
        RecordType::Tlsa => rr::RecordType::TLSA,
        RecordType::Txt => rr::RecordType::TXT,
    }
}

/// A name for the library, label by label: the reader of texts there takes no label that begins with a hyphen, and DNS
/// does (RFC 2181 §11).
pub(super) fn wire_name(name: &DnsName) -> Option<Name> {
    Name::from_labels(name.labels()).ok()
}

/// The same of a text, in which `\DDD` may stand (RFC 1035 §5.1).
pub(super) fn wire_name_of(text: &str) -> Option<Name> {
    let by_labels = || match text.contains('\\') {
        true => None,
        false => wire_name(&DnsName::new(text.as_bytes()).ok()?),
    };
    Name::from_ascii(text).ok().or_else(by_labels)
}

/// A name as the library has it; none where a dot stands within a label.
pub(super) fn dns_name(name: &Name) -> Option<DnsName> {
    if name.iter().any(|label| label.contains(&b'.')) {
        return None;
    }
    let labels: Vec<&[u8]> = name.iter().collect();
    DnsName::new(&labels.join(&b'.')).ok()
}

/// What a record says, if it has the type that was asked for.
pub(super) fn record(data: &RData, kind: RecordType) -> Option<Record> {
    Some(match (data, kind) {
        (RData::A(address), RecordType::A) => Record::Address(address.0.into()),
        (RData::AAAA(address), RecordType::Aaaa) => Record::Address(address.0.into()),
        (RData::MX(mx), RecordType::Mx) => Record::Mx {
            preference: mx.preference,
            exchange: dns_name(&mx.exchange)?,
        },
        (RData::PTR(name), RecordType::Ptr) => Record::Name(dns_name(&name.0)?),
        (RData::NS(name), RecordType::Ns) => Record::Name(dns_name(&name.0)?),
        // RFC 6376 §3.6.2.2, RFC 7208 §3.3: the strings of a record are joined without anything between.
        (RData::TXT(strings), RecordType::Txt) => Record::Text(strings.txt_data.concat()),
        (RData::Unknown { rdata, .. }, RecordType::Spf) => Record::Text(strings(&rdata.anything)?),
        (RData::SOA(soa), RecordType::Soa) => Record::Soa { serial: soa.serial },
        (RData::TLSA(tlsa), RecordType::Tlsa) => Record::Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        },
        (RData::CAA(caa), RecordType::Caa) => Record::Caa {
            flags: caa.flags(),
            tag: caa.tag.clone(),
            value: caa.value.clone(),
        },
        (RData::DNSSEC(DNSSECRData::DS(ds)), RecordType::Ds) => Record::Ds {
            key_tag: ds.key_tag(),
            algorithm: ds.algorithm().into(),
            digest_type: ds.digest_type().into(),
        },
        _ => return None,
    })
}

/// Strings with their lengths before them, joined.
fn strings(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    while let Some((&len, rest)) = bytes.split_first() {
        let (string, rest) = rest.split_at_checked(len.into())?;
        text.extend_from_slice(string);
        bytes = rest;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_labels_a_name_has_it_is_asked_for() {
        for text in ["-x._domainkey.example.com", "a b.example", "x.-.example"] {
            let name = DnsName::new(text.as_bytes()).unwrap();
            let wire = wire_name(&name).unwrap();
            assert_eq!(dns_name(&wire), Some(name), "{text}");
            assert_eq!(wire_name_of(text), Some(wire), "{text}");
        }
        let long = format!("{}.{}", "a".repeat(63), "b".repeat(63));
        let longest = DnsName::new(format!("{long}.{long}").replacen('a', "", 2).as_bytes());
        assert!(wire_name(&longest.unwrap()).is_some());
        assert!(wire_name(&DnsName::new(b"").unwrap()).is_some());
        assert_eq!(wire_name_of("-\\032.example"), None);
    }
}
