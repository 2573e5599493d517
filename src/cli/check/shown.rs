//! What a check has found, as text and as JSON.

use dkimkit::check::Finding;
use dkimkit::dns::survey::{Link, Server, Survey, Told};
use dkimkit::key::weak::Weakness;
use dkimkit::key::{KeyType, RsaSizes, VerifyingKey};
use dkimkit::keystore::KeyState;
use dkimkit::record::lint::{PublicKey, RecordFault, Severity, lint};
use dkimkit::report::spaced_json;
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::speech::escape;

/// The findings about one key.
pub(super) struct Report {
    pub(super) domain: Option<String>,
    pub(super) selector: Option<String>,
    /// With its final dot.
    pub(super) name: Option<String>,
    /// The file of a private key that was checked by itself.
    pub(super) file: Option<String>,
    pub(super) state: Option<KeyState>,
    /// The key that should be published.
    pub(super) key: Option<PublicKey>,
    /// The record that should be published.
    pub(super) record: Option<String>,
    /// The records that were checked without DNS.
    pub(super) txt: Vec<Vec<u8>>,
    pub(super) survey: Option<Survey>,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    fn has(&self, word: &str) -> bool {
        self.findings.iter().any(|finding| finding.word == word)
    }

    fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// The word for all of it.
    fn result(&self) -> &'static str {
        match self.worst() {
            _ if self.has("no-answer") => "unknown",
            Some(Severity::Error) => "error",
            Some(Severity::Warning) => "warning",
            Some(Severity::Note) | None => "ok",
        }
    }

    pub(super) fn exit(&self) -> Exit {
        match self.result() {
            "unknown" => Exit::TempFail,
            "error" => Exit::No,
            _ => Exit::Done,
        }
    }

    /// Whether waiting is of no use: nothing is wrong that time mends, or somebody who publishes the record.
    pub(super) fn is_settled(&self) -> bool {
        let hopeless = self.findings.iter().any(|finding| {
            let of_key = RecordFault::TooSmall { bits: 0 }.word() == finding.word;
            let hopeless = of_key || Weakness::WORDS.contains(&finding.word);
            hopeless && finding.severity == Severity::Error
        });
        let waits: &[&str] = match self.state {
            Some(KeyState::Retired) => &[],
            Some(KeyState::Revoked) => &["key-still-published"],
            Some(KeyState::Pending) => &[
                "record-missing",
                "cname-to-nowhere",
                "key-revoked",
                "resolver-out-of-step",
            ],
            Some(KeyState::Active) | None => &["resolver-out-of-step"],
        };
        let waiting = waits.iter().any(|word| self.has(word));
        hopeless || self.worst() != Some(Severity::Error) && !waiting
    }

    /// The records that count: those of the last name of the chain.
    fn records(&self) -> Vec<String> {
        let served = self.survey.as_ref().and_then(|survey| {
            let last = survey.links.last()?;
            let answers = last
                .servers
                .iter()
                .filter_map(|server| server.answer().as_ref().ok());
            answers
                .chain(survey.resolver.iter().flatten())
                .find_map(|told| match told {
                    Told::Txt { txt, .. } => Some(txt),
                    _ => None,
                })
        });
        let records = served.unwrap_or(&self.txt);
        records
            .iter()
            .map(|txt| String::from_utf8_lossy(txt).into_owned())
            .collect()
    }

    /// The key that is published, or else the one that should be.
    fn shown_key(&self) -> Option<(KeyType, usize)> {
        let published = self
            .records()
            .iter()
            .find_map(|txt| lint(txt.as_bytes(), None).key);
        let key = published.or_else(|| self.key.clone())?;
        let any = RsaSizes {
            min: 1,
            max: 16_384,
        };
        let bits = VerifyingKey::parse(key.key_type, &key.bytes, any)
            .ok()?
            .bits();
        Some((key.key_type, bits))
    }

    pub(super) fn to_json(&self) -> String {
        let key = self.shown_key();
        let links = self.survey.as_ref().map_or(&[][..], |survey| &survey.links);
        let zone = links.last().and_then(|link| link.zone.as_ref());
        let servers: Vec<Value> = links.iter().flat_map(servers_json).collect();
        let value = json!({
            "domain": self.domain,
            "selector": self.selector,
            "name": self.name,
            "file": self.file,
            "state": self.state.map(KeyState::as_str),
            "result": self.result(),
            "algorithm": key.map(|(kind, _)| kind.as_str()),
            "bits": key.map(|(_, bits)| bits),
            "records": self.records(),
            "record": self.record,
            "ttl": self.ttl(),
            "zone": zone.map(|zone| &zone.name),
            "dnssec": self.survey.as_ref().map(|survey| survey.dnssec.as_str()),
            "aliases": links.iter().skip(1).map(|link| &link.name).collect::<Vec<_>>(),
            "servers": servers,
            "findings": self.findings.iter().map(finding_json).collect::<Vec<_>>(),
        });
        format!("{}\n", spaced_json(&value))
    }

    fn ttl(&self) -> Option<u32> {
        let last = self.survey.as_ref()?.links.last()?;
        let answers = last
            .servers
            .iter()
            .filter_map(|server| server.answer().as_ref().ok());
        answers.filter_map(ttl_of).max()
    }

    pub(super) fn to_text(&self) -> String {
        let name = self.name.as_deref().map(|name| name.trim_end_matches('.'));
        let name = name.or(self.file.as_deref()).unwrap_or("record");
        let mut facts = Vec::new();
        if let Some((kind, bits)) = self.shown_key() {
            facts.push(match kind {
                KeyType::Rsa => format!("rsa {bits}"),
                KeyType::Ed25519 => "ed25519".to_owned(),
            });
        }
        facts.extend(self.state.map(|state| state.to_string()));
        if let Some(survey) = &self.survey {
            facts.extend(survey_facts(survey));
            facts.extend(self.ttl().map(|ttl| format!("TTL {ttl}")));
            facts.push(format!("DNSSEC {}", survey.dnssec.as_str()));
        }
        let mut text = format!("{}: {}", escape(name), self.result());
        if !facts.is_empty() {
            text.push_str(&format!(" ({})", escape(&facts.join(", "))));
        }
        text.push('\n');
        for finding in &self.findings {
            let severity = finding.severity.as_str();
            let message = escape(&finding.message);
            text.push_str(&format!("  {severity} {}: {message}\n", finding.word));
            if let Some(mend) = &finding.mend {
                text.push_str(&format!("    mend: {}\n", escape(mend)));
            }
        }
        text
    }
}

fn survey_facts(survey: &Survey) -> Vec<String> {
    let mut facts = Vec::new();
    let Some(last) = survey.links.last() else {
        return facts;
    };
    if survey.links.len() > 1 {
        facts.push(format!("CNAME to {}", last.name.trim_end_matches('.')));
    }
    if let Some(zone) = &last.zone {
        let count = last
            .servers
            .iter()
            .filter(|server| server.answer().is_ok())
            .count();
        let servers = if count == 1 { "server" } else { "servers" };
        facts.push(format!(
            "{count} {servers} of {}",
            zone.name.trim_end_matches('.')
        ));
    }
    facts
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "severity": finding.severity.as_str(),
        "word": finding.word,
        "message": finding.message,
        "mend": finding.mend,
    })
}

fn servers_json(link: &Link) -> Vec<Value> {
    let one = |server: &Server| {
        let answer = server.answer().as_ref().ok();
        json!({
            "asked": link.name,
            "name": server.name,
            "address": server.address.to_string(),
            "serial": server.soa.map(|soa| soa.serial),
            "answer": answer.map(answer_word),
            "records": answer.map(records_of),
            "ttl": answer.and_then(ttl_of),
            "trouble": server.answer().as_ref().err().map(ToString::to_string),
            "udp": server.udp.as_ref().err().map_or("ok".to_owned(), ToString::to_string),
            "tcp": server.tcp.as_ref().err().map_or("ok".to_owned(), ToString::to_string),
        })
    };
    link.servers.iter().map(one).collect()
}

fn answer_word(told: &Told) -> &'static str {
    match told {
        Told::Txt { .. } => "records",
        Told::Alias { .. } => "cname",
        Told::NoData => "nodata",
        Told::NoName => "nxdomain",
    }
}

fn records_of(told: &Told) -> Vec<String> {
    match told {
        Told::Txt { txt, .. } => txt
            .iter()
            .map(|txt| String::from_utf8_lossy(txt).into_owned())
            .collect(),
        Told::Alias { target, .. } => vec![target.clone()],
        Told::NoData | Told::NoName => Vec::new(),
    }
}

fn ttl_of(told: &Told) -> Option<u32> {
    match told {
        Told::Txt { ttl, .. } | Told::Alias { ttl, .. } => Some(*ttl),
        Told::NoData | Told::NoName => None,
    }
}
