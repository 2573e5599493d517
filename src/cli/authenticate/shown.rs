//! What was found of a message, in words, as JSON and as fields.

use dkimkit::arc::{ChainReport, unreadable_result};
use dkimkit::authenticate::Origin;
use dkimkit::authres::{self, AuthservId};
use dkimkit::dmarc::{self, DmarcResult};
use dkimkit::domainkeys::DomainKeysVerdict;
use dkimkit::report::{
    DomainKeysReport, Failure, MessageReport, ResultWord, SignatureReport, spaced_json,
};
use dkimkit::spf;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Findings, Handover};
use crate::cli::examine::Seen;
use crate::cli::speech::escape;
use crate::cli::verify::{facts, paint, told, unreadable};

/// The JSON of a message.
#[derive(Serialize)]
struct Report<'f> {
    file: &'f str,
    message: Option<u64>,
    /// That of DMARC.
    result: &'static str,
    reason: &'static str,
    /// Where the message's own fields told of the client, also where that is not enough.
    origin: Option<&'f Origin>,
    client: Option<Client<'f>>,
    spf: Option<&'f spf::Both>,
    dkim: Dkim,
    domainkeys: Vec<DomainKeysReport>,
    arc: Map<String, Value>,
    dmarc: &'f dmarc::Outcome,
}

#[derive(Serialize)]
struct Client<'f> {
    ip: String,
    helo: String,
    mail_from: String,
    origin: Option<&'f Origin>,
}

#[derive(Serialize)]
struct Dkim {
    result: &'static str,
    reason: Option<&'static str>,
    signatures: Vec<SignatureReport>,
}

pub(super) fn json(seen: &Seen<Box<Findings>>) -> String {
    let found = match &seen.found {
        Ok(found) => found,
        Err(error) => {
            let mut report = MessageReport::unreadable(seen.file.clone(), *error);
            report.message = seen.number;
            return report.to_json();
        }
    };
    let none = String::new;
    let (signed, chain, domainkeys) = match &found.message {
        Ok(inside) => (
            MessageReport::new(none(), &[], &inside.verdicts),
            ChainReport::new(none(), &inside.arc),
            inside.domainkeys.as_slice(),
        ),
        Err(error) => (
            MessageReport::unreadable(none(), *error),
            ChainReport::unreadable(none(), *error),
            [].as_slice(),
        ),
    };
    let mut arc = match serde_json::to_value(chain) {
        Ok(Value::Object(arc)) => arc,
        _ => Map::new(),
    };
    arc.shift_remove("file");
    arc.shift_remove("message");
    let dmarc = &found.judged.dmarc;
    let reason = match &found.message {
        Ok(_) => dmarc.reason.as_str(),
        Err(error) => Failure::Message(*error).reason(),
    };
    let report = Report {
        file: &seen.file,
        message: seen.number,
        result: dmarc.result.as_str(),
        reason,
        origin: found.origin.as_ref(),
        client: found.client.as_ref().map(|query| Client {
            ip: query.ip.to_string(),
            helo: String::from_utf8_lossy(&query.helo).into_owned(),
            mail_from: String::from_utf8_lossy(&query.mail_from).into_owned(),
            origin: found.origin.as_ref(),
        }),
        spf: found.judged.spf.as_ref(),
        dkim: Dkim {
            result: signed.result,
            reason: signed.reason,
            signatures: signed.signatures,
        },
        domainkeys: domainkeys.iter().map(DomainKeysVerdict::report).collect(),
        arc,
        dmarc,
    };
    spaced_json(&report)
}

/// Received-SPF for each identity (RFC 7208 §9.1), and Authentication-Results with all results. Those of which the sender
/// chooses how many there are stand last: who reads only so many misses none of the others.
pub(super) fn fields(seen: &Seen<Box<Findings>>, id: &AuthservId) -> Vec<String> {
    let found = match &seen.found {
        Ok(found) => found,
        Err(error) => return vec![authres::unreadable(id, &Failure::Message(*error))],
    };
    let mut fields = Vec::new();
    let mut results = Vec::new();
    if let (Some(both), Some(query)) = (&found.judged.spf, &found.client) {
        // RFC 7208 §9.1: one for each name that was checked.
        for outcome in both.helo.iter().chain([&both.mail_from]) {
            fields.push(spf::received_spf(query, outcome));
            // For a bounce both are of the name in HELO, and one line says it (RFC 8601 §2.7.2).
            let result = spf::resinfo(query, outcome);
            if results.last() != Some(&result) {
                results.push(result);
            }
        }
    } else if found.wants_spf {
        results.push(spf::unjudged());
    }
    let dmarc = &found.judged.dmarc;
    // Who sends the message may make the client unknown, and must not take a result away by it.
    let unjudged = || found.wants_spf.then(|| dmarc::unjudged(dmarc));
    results.extend(dmarc::resinfo(dmarc).or_else(unjudged));
    match &found.message {
        Ok(inside) => {
            results.push(inside.arc.result_for(found.handover.ip));
            results.extend(authres::dkim_results(&inside.verdicts));
            let domainkeys = told(&inside.domainkeys).take(authres::MAX_RESULTS);
            results.extend(domainkeys.map(DomainKeysVerdict::result_info));
        }
        Err(error) => {
            results.push(unreadable_result(*error));
            let failure = Failure::Message(*error);
            results.push(authres::unreadable_result(&failure));
        }
    }
    fields.push(authres::with_results(id, &results));
    fields
}

/// A line for the message, and below it a block for each mechanism.
pub(super) fn text(seen: &Seen<Box<Findings>>, color: bool) -> String {
    let found = match &seen.found {
        Ok(found) => found,
        Err(error) => return unreadable(&seen.place(), *error, color),
    };
    let dmarc = &found.judged.dmarc;
    let mut text = match &found.message {
        Err(error) => unreadable(&seen.place(), *error, color),
        Ok(_) => {
            let (name, result) = (escape(&seen.place()), paint(word(dmarc.result), color));
            format!("{name}: {result}: {}\n", escape(&dmarc.sentence))
        }
    };
    let mut line = |line: &str| {
        text.push_str(&escape(line));
        text.push('\n');
    };
    found.client_lines(&mut line);
    for (result, what, said) in found.lines() {
        let result = paint(result, color);
        text.push_str(&format!("  {what} {result}{}\n", escape(&said)));
    }
    text.push_str(&format!("  dmarc {}\n", paint(word(dmarc.result), color)));
    for said in dmarc_lines(dmarc).into_iter().chain(found.sealed()) {
        text.push_str(&format!("    {}\n", escape(&said)));
    }
    text
}

impl Findings {
    /// SPF, DKIM and ARC: the result, what it is of, and why.
    fn lines(&self) -> Vec<(ResultWord, String, String)> {
        let mut lines = self.spf_lines();
        let Ok(inside) = &self.message else {
            return lines;
        };
        if inside.verdicts.is_empty() {
            let why = ": the message has no DKIM-Signature".to_owned();
            lines.push((ResultWord::None, "dkim".to_owned(), why));
        }
        lines.extend(inside.verdicts.iter().map(|verdict| {
            let number = verdict.index + 1;
            (verdict.result(), format!("dkim {number}."), facts(verdict))
        }));
        let detail = format!(": {}", inside.arc.detail());
        lines.push((inside.arc.result(), "arc".to_owned(), detail));
        lines
    }

    fn client_lines(&self, line: &mut impl FnMut(&str)) {
        let Handover {
            ip,
            helo,
            mail_from,
        } = &self.handover;
        let helo = helo.as_deref().filter(|helo| !helo.is_empty());
        let helo = helo.unwrap_or("unknown");
        let from = mail_from.as_ref().map(|address| format!("<{address}>"));
        let from = from.as_deref().unwrap_or("unknown");
        let end = match &self.client {
            Some(_) => "",
            None => ": SPF is not judged",
        };
        match ip {
            Some(ip) => line(&format!(
                "  client {ip}, HELO {helo}, MAIL FROM {from}{end}"
            )),
            None => line(&format!("  client unknown{end}")),
        }
        for sentence in self.origin.iter().flat_map(|origin| &origin.trust) {
            line(&format!("    {sentence}"));
        }
        if ip.is_none() && self.origin.is_some() {
            line(
                "    --ip and --mail-from give what your server's log has; --below-received COUNT steps over fields of your own servers",
            );
        }
    }

    /// What ARC may do for a message that fails: whom to trust is for each receiver to say (RFC 8617 §7.2).
    fn sealed(&self) -> Option<String> {
        let fails = self.judged.dmarc.result == DmarcResult::Fail;
        let arc = &self.message.as_ref().ok()?.arc;
        let holds = arc.result() == ResultWord::Pass;
        let newest = arc.sets.last()?.seal.as_ref()?.claims.domain.as_ref()?;
        (fails && holds).then(|| {
            format!(
                "the chain of ARC holds: a receiver that trusts {newest}, which sealed last, may go by what its set says"
            )
        })
    }

    fn spf_lines(&self) -> Vec<(ResultWord, String, String)> {
        let Some(both) = &self.judged.spf else {
            return Vec::new();
        };
        let helo = both.helo.as_ref().map(|outcome| ("helo", outcome));
        let outcomes = helo.into_iter().chain([("mail from", &both.mail_from)]);
        let lines = outcomes.map(|(what, outcome)| {
            let result = match outcome.result {
                spf::SpfResult::Pass => ResultWord::Pass,
                spf::SpfResult::Fail | spf::SpfResult::SoftFail => ResultWord::Fail,
                spf::SpfResult::None => ResultWord::None,
                spf::SpfResult::Neutral => ResultWord::Neutral,
                spf::SpfResult::TempError => ResultWord::TempError,
                spf::SpfResult::PermError => ResultWord::PermError,
            };
            let soft = match outcome.result {
                spf::SpfResult::SoftFail => " (softfail)",
                _ => "",
            };
            let said = format!("{soft} {}: {}", outcome.domain, outcome.reason);
            (result, format!("spf {what}"), said)
        });
        lines.collect()
    }
}

/// What DMARC found, identifier by identifier.
fn dmarc_lines(dmarc: &dmarc::Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(domain), Some(record)) = (&dmarc.policy_domain, &dmarc.record) {
        lines.push(format!("_dmarc.{}: {record}", domain.as_ascii()));
    }
    if let Some(requested) = &dmarc.requested {
        lines.push(requested.sentence.clone());
    }
    lines.extend(
        dmarc
            .identifiers
            .iter()
            .map(|identifier| identifier.sentence.clone()),
    );
    lines
}

/// The word in the color of those of DKIM.
fn word(result: DmarcResult) -> ResultWord {
    match result {
        DmarcResult::Pass => ResultWord::Pass,
        DmarcResult::Fail => ResultWord::Fail,
        DmarcResult::None => ResultWord::None,
        DmarcResult::TempError => ResultWord::TempError,
        DmarcResult::PermError => ResultWord::PermError,
    }
}
