//! How checks are tested: over a zone as text, and what servers are said to show.

use std::sync::Arc;

use super::facts::{Answered, Facts, Probe, Store};
use super::finding::{CheckReport, ResourceRecord};
use super::net::{Dialogue, Greeting, NoConnection, Outcome, Reply, Tls};
use super::{CHECKS, Options};
use crate::dns::Zone;
use crate::dns::lookup::{DnsName, Pending, Question, RecordType, Said};
use crate::dns::survey::{Dnssec, Link, Server, Soa, Survey, Told, ZoneCut};
use crate::name::{Domain, KeyName};
use crate::time::UnixTime;

/// An audit of example.org on 2026-11-22.
pub(super) fn options() -> Options {
    Options::new(Domain::new("example.org").unwrap(), UnixTime(1_795_305_600))
}

/// What a check says of example.org over a zone.
pub(super) fn judge(check: &str, zone: &str) -> CheckReport {
    judge_with(check, zone, &options(), |_| None)
}

/// The same with other options, and with what `shows` says to all that is no question to DNS; what it does not know
/// gets no answer.
pub(super) fn judge_with(
    check: &str,
    zone: &str,
    options: &Options,
    shows: impl Fn(&Probe) -> Option<Answered>,
) -> CheckReport {
    let zone = Zone::parse(zone).unwrap();
    let check = CHECKS.iter().find(|row| row.name == check).unwrap();
    let mut store = Store::default();
    for _ in 0..1000 {
        let facts = Facts::new(options, &store);
        match (check.judge)(&facts) {
            Ok(report) => {
                assert_eq!(report.check, check.name);
                return report;
            }
            Err(Pending) => {
                let wanted = facts.into_wanted();
                assert!(!wanted.is_empty(), "who waits has asked for something");
                for probe in wanted {
                    let answered = match &probe {
                        Probe::Dns(question) => Answered::Dns(zone.answer(question)),
                        Probe::Key(name) => Answered::Key(surveyed(&zone, name).map(Arc::new)),
                        probe => shows(probe).unwrap_or_else(|| Answered::nothing(probe, true)),
                    };
                    store.note(probe.clone());
                    store.tell(probe, answered);
                }
            }
        }
    }
    panic!("the check never ends");
}

/// What the one name server of the zone says of a key; none where it says nothing.
fn surveyed(zone: &Zone, name: &KeyName) -> Option<Survey> {
    let found = zone.answer(&Question::new(name.into(), RecordType::Txt));
    let mut names = vec![DnsName::from(name)];
    names.extend(found.aliases.iter().cloned());
    let last = match &found.said {
        Said::Records(_) => Told::Txt {
            txt: found.texts().map(<[u8]>::to_vec).collect(),
            ttl: 3600,
        },
        Said::NoName => Told::NoName,
        Said::NoData => Told::NoData,
        Said::Temporary(_) => return None,
    };
    let dotted = |name: &DnsName| format!("{name}.");
    let link = |(at, name): (usize, &DnsName)| {
        let told = match names.get(at + 1) {
            Some(target) => Told::Alias {
                target: dotted(target),
                ttl: 3600,
            },
            None => last.clone(),
        };
        let server = "ns.example.org.".to_owned();
        Link {
            name: dotted(name),
            zone: Some(ZoneCut {
                name: "example.org.".to_owned(),
                negative_ttl: 300,
            }),
            servers: vec![Server {
                name: server.clone(),
                address: [192, 88, 1, 53].into(),
                udp: Ok(told.clone()),
                truncated: false,
                tcp: Ok(told),
                needs_tcp: false,
                soa: Some(Soa {
                    serial: 1,
                    negative_ttl: 300,
                }),
                named: [server].into(),
            }],
            unasked: Vec::new(),
            trouble: None,
            wildcard: None,
            doubled: None,
        }
    };
    Some(Survey {
        name: name.as_str().to_owned(),
        resolver: Some(Ok(last.clone())),
        links: names.iter().enumerate().map(link).collect(),
        endless: false,
        dnssec: Dnssec::Insecure,
    })
}

/// What a check says of a zone file, one record a line, once all that its findings ask for is taken away and published.
pub(super) fn mended(check: &str, zone: &str) -> CheckReport {
    judge(check, &apply(zone, &judge(check, zone)))
}

/// The zone file after the mends of a report, one after the other.
///
/// # Panics
/// Where a mend takes something away that does not stand there, and was not published by a mend before it.
pub(super) fn apply(zone: &str, report: &CheckReport) -> String {
    let read = |text: &str| Zone::parse(text).unwrap();
    let mut lines: Vec<String> = zone.lines().map(str::to_owned).collect();
    let mut seen = lines.clone();
    for finding in &report.findings {
        let gone: Vec<Zone> = finding.remove.iter().map(|one| read(&line(one))).collect();
        for gone in &gone {
            let there = seen.iter().any(|line| read(line) == *gone);
            assert!(there, "{finding:?} takes away what is not there: {zone}");
        }
        lines.retain(|line| !gone.contains(&read(line)));
        lines.extend(finding.publish.iter().map(line));
        seen.extend(finding.publish.iter().map(line));
    }
    lines.join("\n")
}

/// A record as a line of a zone file.
fn line(record: &ResourceRecord) -> String {
    let ResourceRecord { name, kind, value } = record;
    if !["TXT", "SPF"].contains(kind) {
        return format!("{name} {kind} {value}");
    }
    let strings = value.as_bytes().chunks(255).map(|chunk| {
        let quoted = |byte: &u8| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(*byte)),
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\{byte:03}"),
        };
        let text: String = chunk.iter().map(quoted).collect();
        format!("\"{text}\"")
    });
    let strings: Vec<String> = strings.collect();
    format!("{name} {kind} {}", strings.join(" "))
}

/// The words of the findings.
pub(super) fn words(report: &CheckReport) -> Vec<&'static str> {
    report
        .findings
        .iter()
        .map(|finding| finding.finding)
        .collect()
}

/// A reply, from its lines.
pub(super) fn reply(text: &str) -> Reply {
    let lines = text
        .lines()
        .map(|line| line.get(4..).unwrap_or_default().to_owned());
    Reply {
        code: text
            .get(..3)
            .and_then(|code| code.parse().ok())
            .unwrap_or_default(),
        lines: lines.collect(),
    }
}

/// The greeting of a server; without an answer to EHLO where that is empty.
pub(super) fn greeting(banner: &str, ehlo: &str, tls: Tls) -> Answered {
    Answered::Greeting(Arc::new(Greeting {
        trouble: None,
        banner: Some(reply(banner)),
        ehlo: (!ehlo.is_empty()).then(|| reply(ehlo)),
        tls,
        ..Greeting::none(NoConnection::Closed)
    }))
}

/// What a server says to an envelope.
pub(super) enum ServerSays {
    /// To MAIL.
    Sender(&'static str),
    /// To RCPT.
    Recipient(&'static str),
    /// The connection ends.
    Nothing,
}

/// A server that greets as mx.example.org, and says this to a sender and a recipient.
pub(super) fn server_says(
    says: impl Fn(&str, &str) -> ServerSays,
) -> impl Fn(&Probe) -> Option<Answered> {
    move |probe| match probe {
        Probe::Greeting(_) => Some(greeting(
            "220 mx.example.org",
            "250 mx.example.org",
            Tls::NotOffered,
        )),
        Probe::Dialogue(_, envelopes) => {
            let mut dialogue = Dialogue::none(NoConnection::Closed);
            dialogue.trouble = None;
            for envelope in envelopes {
                dialogue
                    .outcomes
                    .push(match says(&envelope.sender, &envelope.recipient) {
                        ServerSays::Sender(text) => Outcome::Sender(reply(text)),
                        ServerSays::Recipient(text) => Outcome::Recipient(reply(text)),
                        ServerSays::Nothing => {
                            dialogue.trouble = Some(NoConnection::Closed);
                            break;
                        }
                    });
            }
            Some(Answered::Dialogue(Arc::new(dialogue)))
        }
        _ => None,
    }
}
