//! The data of records, as zone files and JSON write it.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::{Entry, normal};
use crate::dns::Cause;
use crate::dns::lookup::{DnsName, Record, RecordType, Said};

/// The type that is read here under this mnemonic; TXT and CNAME have rules of their own.
pub(super) fn kind_of(word: &[u8]) -> Option<RecordType> {
    let word = std::str::from_utf8(word).ok()?;
    RecordType::from_mnemonic(word)
}

/// Reads the words behind the type; `absolute` makes a name of one that may be relative.
pub(super) fn of_words(
    kind: RecordType,
    words: &[String],
    absolute: impl Fn(&str) -> Option<String>,
) -> Option<Record> {
    let name = |word: &str| DnsName::new(absolute(word)?.as_bytes()).ok();
    let word = |at: usize| words.get(at).map(String::as_str);
    let octet = |at: usize| word(at)?.parse::<u8>().ok();
    let enough = |count: usize| (words.len() == count).then_some(());
    match kind {
        RecordType::A | RecordType::Aaaa => {
            enough(1)?;
            let address: IpAddr = word(0)?.parse().ok()?;
            (address.is_ipv4() == (kind == RecordType::A)).then_some(Record::Address(address))
        }
        RecordType::Mx => {
            enough(2)?;
            let exchange = match word(1)? {
                "." => DnsName::new(b"").ok()?,
                exchange => name(exchange)?,
            };
            Some(Record::Mx {
                preference: word(0)?.parse().ok()?,
                exchange,
            })
        }
        RecordType::Ns | RecordType::Ptr => {
            enough(1)?;
            Some(Record::Name(name(word(0)?)?))
        }
        RecordType::Txt | RecordType::Spf => {
            enough(words.len().max(1))?;
            Some(Record::Text(words.concat().into_bytes()))
        }
        // BIND writes further words than the serial in other units; none of them is asked for.
        RecordType::Soa => Some(Record::Soa {
            serial: word(2)?.parse().ok()?,
        }),
        RecordType::Tlsa => Some(Record::Tlsa {
            usage: octet(0)?,
            selector: octet(1)?,
            matching: octet(2)?,
            data: hex(&words.get(3..)?.concat())?,
        }),
        RecordType::Caa => {
            enough(3)?;
            Some(Record::Caa {
                flags: octet(0)?,
                tag: word(1)?.to_owned(),
                value: word(2)?.as_bytes().to_vec(),
            })
        }
        RecordType::Ds => Some(Record::Ds {
            key_tag: word(0)?.parse().ok()?,
            algorithm: octet(1)?,
            digest_type: octet(2)?,
        }),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

/// Reads the value of a member of the JSON: types with lists of records, or what is said in their place.
pub(super) fn of_json(value: &Value) -> Option<Entry> {
    let mut entry = Entry::default();
    for (key, value) in value.as_object()? {
        match key.as_str() {
            "status" => entry.status = Some(status(value)?),
            "status_by_type" => {
                for (kind, value) in value.as_object()? {
                    if let Some(kind) = RecordType::from_mnemonic(kind) {
                        entry.by_type.insert(kind, status(value)?);
                    }
                }
            }
            "CNAME" => {
                let [target] = value.as_array()?.as_slice() else {
                    return None;
                };
                entry.cname = Some(normal(target.as_str()?));
            }
            kind => {
                // The name has other types, or a note.
                let Some(kind) = RecordType::from_mnemonic(kind) else {
                    continue;
                };
                for item in value.as_array()? {
                    let record = match kind {
                        RecordType::Txt | RecordType::Spf => {
                            Record::Text(item.as_str()?.as_bytes().to_vec())
                        }
                        _ => {
                            let words: Vec<String> = item
                                .as_str()?
                                .split_ascii_whitespace()
                                .map(|word| word.trim_matches('"').to_owned())
                                .collect();
                            of_words(kind, &words, |word| Some(normal(word)))?
                        }
                    };
                    entry.records.push((kind, record, Duration::ZERO));
                }
            }
        }
    }
    Some(entry)
}

fn status(value: &Value) -> Option<Said> {
    Some(match value.as_str()? {
        "NXDOMAIN" => Said::NoName,
        "NODATA" => Said::NoData,
        "SERVFAIL" => Said::Temporary(Cause::ServerFailure),
        "REFUSED" => Said::Temporary(Cause::Refused),
        "TIMEOUT" => Said::Temporary(Cause::Timeout),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::dns::lookup::{DnsName, Question, Record, RecordType, Said};
    use crate::dns::{Cause, Zone};

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Said {
        let name = DnsName::new(name.as_bytes()).unwrap();
        zone.answer(&Question::new(name, kind)).said
    }

    #[test]
    fn zone_files_hold_every_type_that_is_asked_for() {
        let zone = Zone::parse(
            "$ORIGIN example.com.\n@ MX 10 mx\n@ MX 20 mx.other.example.\nmx A 192.0.2.1\nmx AAAA 2001:db8::1\n\
             1.2.0.192.in-addr.arpa. PTR mx\n@ SOA ns host ( 7 1 2 3 4 )\n@ NS ns\n\
             _25._tcp.mx TLSA 3 1 1 ( 00ff 10 )\n@ CAA 128 issue \"ca.example; x=y\"\nnull MX 0 .\n\
             sub DS 1 13 2 00\n@ SPF \"v=spf1 \" \"-all\"\nwww CNAME mx\n",
        )
        .unwrap();
        let name = |text: &str| DnsName::new(text.as_bytes()).unwrap();
        let records = |name: &str, kind| match ask(&zone, name, kind) {
            Said::Records(records) => records,
            said => panic!("{name} {kind}: {said:?}"),
        };
        assert_eq!(
            records("example.com", RecordType::Mx),
            [
                Record::Mx {
                    preference: 10,
                    exchange: name("mx.example.com")
                },
                Record::Mx {
                    preference: 20,
                    exchange: name("mx.other.example")
                }
            ]
        );
        let null = Record::Mx {
            preference: 0,
            exchange: name(""),
        };
        assert_eq!(records("null.example.com", RecordType::Mx), [null]);
        let address = |text: &str| Record::Address(text.parse().unwrap());
        assert_eq!(
            records("www.example.com", RecordType::A),
            [address("192.0.2.1")]
        );
        assert_eq!(
            records("mx.example.com", RecordType::Aaaa),
            [address("2001:db8::1")]
        );
        assert_eq!(
            records("1.2.0.192.in-addr.arpa", RecordType::Ptr),
            [Record::Name(name("mx.example.com"))]
        );
        assert_eq!(
            records("example.com", RecordType::Soa),
            [Record::Soa { serial: 7 }]
        );
        let tlsa = Record::Tlsa {
            usage: 3,
            selector: 1,
            matching: 1,
            data: vec![0, 0xff, 0x10],
        };
        assert_eq!(records("_25._tcp.mx.example.com", RecordType::Tlsa), [tlsa]);
        let caa = Record::Caa {
            flags: 128,
            tag: "issue".to_owned(),
            value: b"ca.example; x=y".to_vec(),
        };
        assert_eq!(records("example.com", RecordType::Caa), [caa]);
        assert_eq!(
            records("example.com", RecordType::Spf),
            [Record::Text(b"v=spf1 -all".to_vec())]
        );
        assert_eq!(ask(&zone, "mx.example.com", RecordType::Mx), Said::NoData);
        assert_eq!(ask(&zone, "none.example.com", RecordType::Mx), Said::NoName);
    }

    #[test]
    fn json_has_a_status_for_each_type() {
        let zone = Zone::parse(
            r#"{"a.example.": {"A": ["192.0.2.1"], "MX": ["10 b.example"], "X": [], "note": "x",
                "status_by_type": {"AAAA": "TIMEOUT", "TXT": "NXDOMAIN", "LOC": "NODATA"}},
                "c.example": {"CNAME": ["A.example."]}}"#,
        )
        .unwrap();
        let v4 = Record::Address("192.0.2.1".parse().unwrap());
        assert_eq!(
            ask(&zone, "c.example", RecordType::A),
            Said::Records(vec![v4])
        );
        assert_eq!(
            ask(&zone, "a.example", RecordType::Aaaa),
            Said::Temporary(Cause::Timeout)
        );
        assert_eq!(ask(&zone, "a.example", RecordType::Txt), Said::NoName);
        assert_eq!(ask(&zone, "a.example", RecordType::Ptr), Said::NoData);
        for broken in [
            r#"{"a.": {"A": ["2001:db8::1"]}}"#,
            r#"{"a.": {"A": ["x"]}}"#,
            r#"{"a.": {"MX": ["mx.example"]}}"#,
            r#"{"a.": {"CNAME": []}}"#,
            r#"{"a.": {"status_by_type": {"A": "WHAT"}}}"#,
        ] {
            assert!(Zone::parse(broken).is_err(), "{broken}");
        }
    }
}
