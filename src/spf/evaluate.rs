//! `check_host()` (RFC 7208 §4).

mod explain;
mod names;
mod values;

use std::net::IpAddr;

use self::values::{InRecord, Sender, parts};
use super::macros::Letter;
use super::names::{askable, fitting, sending_domain, shown};
use super::record::{DomainSpec, Mechanism, Prefixes, Qualifier, Record, Term, printable};
use super::trace::{Asked, Step, Visit};
use super::{Identity, MAX_LOOKUPS, MAX_NAMES, MAX_VOIDS, Outcome, Query, Reason, SpfResult};
use crate::dns::lookup::{
    Ask, DnsName, Found, Pending, Question, Record as Answer, RecordType, Said,
};
use crate::dns::{MAX_SHOWN, MAX_TEXT};

/// Longer than what SMTP carries in a command (RFC 5321 §4.5.3.1), so that macros have a bound.
const MAX_SENDER: usize = 1024;

/// Terms of a check that are told one by one; a record of 16 KiB has over a thousand that match nothing.
const MAX_STEPS: usize = 250;

/// As much of a term as is told, in octets.
const MAX_TERM: usize = 300;

pub(super) fn check(dns: &dyn Ask, query: &Query, identity: Identity) -> Result<Outcome, Pending> {
    let mut check = Check {
        dns,
        sender: Sender::new(query, identity),
        ip: query.ip.to_canonical(),
        lookups: 0,
        voids: 0,
        told: 0,
        explained_by: None,
        names_wait: false,
    };
    let trace = match check.sender.domain().map(<[u8]>::to_vec) {
        _ if query.helo.len().max(query.mail_from.len()) > MAX_SENDER => {
            Visit::new(String::new(), Reason::TooLong)
        }
        None => {
            let domain = shown(parts(query, identity).1);
            Visit::new(domain.clone(), Reason::Malformed { domain })
        }
        Some(domain) => check.visit(&domain)?,
    };
    let explanation = match trace.result {
        SpfResult::Fail => check.explanation()?,
        _ => None,
    };
    if check.names_wait {
        return Err(Pending);
    }
    Ok(Outcome {
        result: trace.result,
        identity,
        domain: trace.domain.clone(),
        mechanism: trace.mechanism.clone(),
        explanation,
        reason: trace.reason.clone(),
        lookups: check.lookups,
        voids: check.voids,
        trace,
    })
}

struct Check<'a> {
    dns: &'a dyn Ask,
    sender: Sender,
    ip: IpAddr,
    lookups: usize,
    voids: usize,
    /// Terms that the trace has.
    told: usize,
    /// What exp names, in the record of which domain, where a term of that record matched.
    explained_by: Option<(DomainSpec, Vec<u8>)>,
    /// Whether names of the client were taken for not validated because answers about them are missing.
    names_wait: bool,
}

/// What ends the evaluation of a record.
enum Stop {
    Pending,
    Ends(SpfResult, Box<Reason>),
}

impl From<Pending> for Stop {
    fn from(_: Pending) -> Stop {
        Stop::Pending
    }
}

impl Stop {
    fn permanent(reason: Reason) -> Stop {
        Stop::Ends(SpfResult::PermError, Box::new(reason))
    }
}

/// A term that is evaluated, and where it stands.
struct Here<'a> {
    term: &'a Term,
    domain: &'a [u8],
}

impl Here<'_> {
    fn names(&self) -> (String, String) {
        (cut(&self.term.text, MAX_TERM), shown(self.domain))
    }
}

impl Check<'_> {
    /// Evaluates the record of a domain, and those to which it leads.
    fn visit(&mut self, domain: &[u8]) -> Result<Visit, Pending> {
        let name = shown(domain);
        // §4.7: what it comes to where no term matches.
        let mut visit = Visit::new(name.clone(), Reason::NoMatch { domain: name });
        visit.result = SpfResult::Neutral;
        match self.evaluate(domain, &mut visit) {
            Ok(()) => {}
            Err(Stop::Pending) => return Err(Pending),
            Err(Stop::Ends(result, reason)) => {
                visit.result = result;
                visit.reason = *reason;
            }
        }
        Ok(visit)
    }

    fn evaluate(&mut self, domain: &[u8], visit: &mut Visit) -> Result<(), Stop> {
        let record = self.record(domain, visit)?;
        for (term, directive) in record.directives() {
            let here = Here { term, domain };
            let matched = self.step(&here, visit, |check, step| {
                check.matches(&directive.mechanism, &here, step).map(Some)
            })?;
            if matched == Some(true) {
                visit.mechanism = Some(cut(term.unqualified(), MAX_TERM));
                visit.result = directive.qualifier.result();
                let (term, domain) = here.names();
                visit.reason = Reason::Matched { term, domain };
                self.explained_by = record
                    .explanation()
                    .map(|target| (target.clone(), here.domain.to_vec()));
                return Ok(());
            }
        }
        let Some((term, target)) = record.redirect() else {
            return Ok(());
        };
        let here = Here { term, domain };
        self.step(&here, visit, |check, step| {
            check.count(&here)?;
            let target = check.target(Some(target), &here, step)?;
            check.other_record(target.as_deref().unwrap_or_default(), &here, step)?;
            Ok(None)
        })?;
        // §6.1: the result is that of the other record, and so is the explanation (§6.2).
        if let Some(inner) = visit.steps.last().and_then(|step| step.visit.as_deref()) {
            visit.result = inner.result;
            visit.reason = inner.reason.clone();
            visit.mechanism = inner.mechanism.clone();
        }
        Ok(())
    }

    /// Evaluates a term, and keeps in the trace what it cost.
    fn step(
        &mut self,
        here: &Here<'_>,
        visit: &mut Visit,
        evaluate: impl FnOnce(&mut Self, &mut Step) -> Result<Option<bool>, Stop>,
    ) -> Result<Option<bool>, Stop> {
        let (lookups, voids) = (self.lookups, self.voids);
        let mut step = Step::new(cut(&here.term.text, MAX_TERM));
        let mut matched = evaluate(self, &mut step);
        // §4.6.4 counts terms that find nothing: one with several such answers counts once.
        self.voids += usize::from(step.found_nothing);
        if matched.is_ok() && self.voids > MAX_VOIDS {
            let (term, domain) = here.names();
            matched = Err(Stop::permanent(Reason::TooManyVoids { term, domain }));
        }
        step.lookups = self.lookups - lookups;
        step.voids = self.voids - voids;
        step.matched = matched.as_ref().ok().copied().flatten();
        // What has asked and what decides is always told: there is a limit to it (§4.6.4).
        match step.is_idle() && self.told >= MAX_STEPS {
            true => visit.left_out += 1,
            false => {
                self.told += 1;
                visit.steps.push(step);
            }
        }
        matched
    }

    /// The record of a domain (§4.3 to §4.6).
    fn record(&mut self, domain: &[u8], visit: &mut Visit) -> Result<Record, Stop> {
        let Some(name) = sending_domain(domain) else {
            let domain = visit.domain.clone();
            let reason = Reason::Malformed { domain };
            return Err(Stop::Ends(SpfResult::None, Box::new(reason)));
        };
        // §3.1: TXT alone, never the type 99.
        let found = self.dns.look(&name, RecordType::Txt)?;
        let (text, record) = select(&name, &found);
        visit.record = text.map(|text| cut(&text, MAX_SHOWN));
        record.map_err(|reason| {
            let result = match reason {
                Reason::NoDomain { .. } | Reason::NoRecord { .. } => SpfResult::None,
                Reason::LookupFailed { .. } => SpfResult::TempError,
                _ => SpfResult::PermError,
            };
            Stop::Ends(result, Box::new(reason))
        })
    }

    fn matches(
        &mut self,
        mechanism: &Mechanism,
        here: &Here<'_>,
        step: &mut Step,
    ) -> Result<bool, Stop> {
        let spec = match mechanism {
            Mechanism::All => return Ok(true),
            Mechanism::Ip(network) => return Ok(network.contains(self.ip)),
            Mechanism::Include(spec) | Mechanism::Exists(spec) => Some(spec),
            Mechanism::A(spec, _) | Mechanism::Mx(spec, _) | Mechanism::Ptr(spec) => spec.as_ref(),
        };
        self.count(here)?;
        let Some(target) = self.target(spec, here, step)? else {
            return Ok(false);
        };
        if let Mechanism::Include(_) = mechanism {
            // §5.2: a pass of the other record is a match.
            return Ok(self.other_record(&target, here, step)? == SpfResult::Pass);
        }
        // §4.8 leaves open what a name means that cannot be asked for; by §4.3 nothing is there.
        let Some(name) = askable(&target) else {
            return Ok(false);
        };
        match mechanism {
            Mechanism::A(_, prefixes) => self.has_address(&name, *prefixes, step),
            Mechanism::Mx(_, prefixes) => self.is_exchange(&name, *prefixes, here, step),
            Mechanism::Ptr(_) => {
                let names = self.validated_names(Some(step));
                Ok(names.iter().any(|found| found.is_within(&name)))
            }
            // §5.7: A, whatever the family of the client.
            _ => Ok(!self.ask(&name, RecordType::A, step)?.records().is_empty()),
        }
    }

    /// §4.6.4: a term that asks DNS.
    fn count(&mut self, here: &Here<'_>) -> Result<(), Stop> {
        if self.lookups == MAX_LOOKUPS {
            let (term, domain) = here.names();
            return Err(Stop::permanent(Reason::TooManyLookups { term, domain }));
        }
        self.lookups += 1;
        Ok(())
    }

    /// §4.8: the name that a term means. `None` where it means nothing that can be asked for.
    fn target(
        &mut self,
        spec: Option<&DomainSpec>,
        here: &Here<'_>,
        step: &mut Step,
    ) -> Result<Option<Vec<u8>>, Stop> {
        let Some(spec) = spec else {
            return Ok(Some(here.domain.to_vec()));
        };
        let local = spec.uses(Letter::Sender) || spec.uses(Letter::LocalPart);
        if local && !self.sender.has_ascii_local() {
            return Ok(None);
        }
        let mut validated = Vec::new();
        if spec.uses(Letter::ValidatedName) {
            // §4.6.4: the macro counts as a lookup of its own.
            self.count(here)?;
            validated = self.validated_name(here.domain, Some(step));
        }
        let expanded = spec.expand(&InRecord {
            sender: &self.sender,
            domain: here.domain,
            validated: &validated,
        });
        let target = expanded.map(|name| fitting(&name).to_vec());
        step.target = target.as_deref().map(shown);
        Ok(target)
    }

    /// The result of the record to which an include or a redirect leads. Errors there are errors here, and a record that is not
    /// there is a permanent one (§5.2, §6.1).
    fn other_record(
        &mut self,
        target: &[u8],
        here: &Here<'_>,
        step: &mut Step,
    ) -> Result<SpfResult, Stop> {
        let inner = self.visit(target)?;
        let (result, reason) = (inner.result, inner.reason.clone());
        step.visit = Some(Box::new(inner));
        match result {
            SpfResult::None => {
                step.found_nothing = matches!(
                    reason,
                    Reason::NoDomain { .. } | Reason::NoRecord { others: 0, .. }
                );
                let (term, domain) = here.names();
                let why = Box::new(reason);
                Err(Stop::permanent(Reason::NothingThere { term, domain, why }))
            }
            SpfResult::TempError | SpfResult::PermError => {
                Err(Stop::Ends(result, Box::new(reason)))
            }
            SpfResult::Pass | SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => {
                Ok(result)
            }
        }
    }

    /// Asks for a term; an answer that does not come ends the check (§5).
    fn ask(&mut self, name: &DnsName, kind: RecordType, step: &mut Step) -> Result<Found, Stop> {
        let found = self.dns.look(name, kind)?;
        step.asked.push(Asked::new(name, kind, &found));
        answered(name, kind, &found)?;
        step.found_nothing |= found.records().is_empty();
        Ok(found)
    }

    /// The type of the records that have addresses of the client's family (§5.3).
    fn family(&self) -> RecordType {
        match self.ip {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::Aaaa,
        }
    }

    /// §5.3.
    fn has_address(
        &mut self,
        name: &DnsName,
        prefixes: Prefixes,
        step: &mut Step,
    ) -> Result<bool, Stop> {
        let found = self.ask(name, self.family(), step)?;
        Ok(found
            .addresses()
            .any(|address| prefixes.around(address).contains(self.ip)))
    }

    /// §5.4.
    fn is_exchange(
        &mut self,
        name: &DnsName,
        prefixes: Prefixes,
        here: &Here<'_>,
        step: &mut Step,
    ) -> Result<bool, Stop> {
        let found = self.ask(name, RecordType::Mx, step)?;
        let exchanges = found.records().iter().filter_map(|record| match record {
            Answer::Mx {
                preference,
                exchange,
            } => Some((*preference, exchange)),
            _ => None,
        });
        let mut exchanges: Vec<(u16, &DnsName)> = exchanges.collect();
        if exchanges.len() > MAX_NAMES {
            let (term, domain) = here.names();
            let count = exchanges.len();
            return Err(Stop::permanent(Reason::TooManyExchanges {
                term,
                domain,
                count,
            }));
        }
        exchanges.sort();
        // RFC 7505: the root is no exchange.
        exchanges.retain(|(_, exchange)| !exchange.is_root());
        for (at, (_, exchange)) in exchanges.iter().enumerate() {
            match self.has_address(exchange, prefixes, step) {
                Ok(false) => {}
                Err(Stop::Pending) => {
                    // Once one matches, nobody asks for those behind it.
                    self.announce(exchanges[at..].iter().map(|(_, exchange)| *exchange));
                    return Err(Stop::Pending);
                }
                decided => return decided,
            }
        }
        Ok(false)
    }

    /// Lets the questions for several names be fetched together.
    fn announce<'n>(&self, names: impl Iterator<Item = &'n DnsName>) {
        for name in names {
            // Who waits for the answer asks again.
            let _ = self.dns.look(name, self.family());
        }
    }
}

/// The beginning of a text that came from DNS and was made printable.
fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// §4.4, §5: no answer is a temporary error.
fn answered(name: &DnsName, kind: RecordType, found: &Found) -> Result<(), Stop> {
    match failed(name, kind, found) {
        None => Ok(()),
        Some(reason) => Err(Stop::Ends(SpfResult::TempError, Box::new(reason))),
    }
}

fn failed(name: &DnsName, kind: RecordType, found: &Found) -> Option<Reason> {
    let cause = found.failure()?;
    let question = Question::new(name.clone(), kind);
    Some(Reason::LookupFailed { question, cause })
}

/// The one SPF record among the TXT records of a domain (§4.5): its text, escaped, and what it says or why there is none.
pub(super) fn select(name: &DnsName, found: &Found) -> (Option<String>, Result<Record, Reason>) {
    let domain = name.to_string();
    if let Some(reason) = failed(name, RecordType::Txt, found) {
        return (None, Err(reason));
    }
    if found.said == Said::NoName {
        return (None, Err(Reason::NoDomain { domain }));
    }
    let records: Vec<&[u8]> = found.texts().filter(|text| Record::is_spf(text)).collect();
    let reason = match records[..] {
        [text] if text.len() > MAX_TEXT => Reason::RecordTooLong {
            domain,
            len: text.len(),
        },
        [text] => {
            let record = Record::parse(text).map_err(|error| Reason::Syntax { domain, error });
            return (Some(printable(text)), record);
        }
        [] => Reason::NoRecord {
            domain,
            others: found.records().len(),
        },
        _ => Reason::SeveralRecords {
            domain,
            count: records.len(),
        },
    };
    (None, Err(reason))
}

impl Qualifier {
    /// What follows from a match (§4.6.2).
    pub fn result(self) -> SpfResult {
        match self {
            Qualifier::Pass => SpfResult::Pass,
            Qualifier::Fail => SpfResult::Fail,
            Qualifier::SoftFail => SpfResult::SoftFail,
            Qualifier::Neutral => SpfResult::Neutral,
        }
    }
}

#[cfg(test)]
mod tests;
