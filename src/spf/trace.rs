//! What was done in a check: records and their terms, in the order in which they were evaluated.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Reason, SpfResult};
use crate::dns::Cause;
use crate::dns::lookup::{DnsName, Found, Question, RecordType, Said};

/// A record that was evaluated, or looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// The domain.
    pub domain: String,
    /// Its record, escaped.
    pub record: Option<String>,
    /// What came of it.
    pub result: SpfResult,
    /// Why.
    pub reason: Reason,
    /// The mechanism that matched, without its qualifier; behind a redirect that of the other record.
    pub mechanism: Option<String>,
    /// The terms up to the one that decided.
    pub steps: Vec<Step>,
    /// How many further ones were evaluated, asked nothing and did not match.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A term that was evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The term.
    pub term: String,
    /// The name that it came to, where it has one, escaped.
    pub target: Option<String>,
    /// What was asked for the term itself.
    pub asked: Vec<Asked>,
    /// Whether it matched; `None` where an error ended it, and for a redirect.
    pub matched: Option<bool>,
    /// How many lookups it cost, with those of the records below it.
    pub lookups: usize,
    /// How many of them found nothing.
    pub voids: usize,
    /// The record to which it led.
    pub visit: Option<Box<Visit>>,
    /// Whether one of its own questions found nothing.
    #[serde(skip)]
    pub(super) found_nothing: bool,
}

/// A question and what was said to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The question.
    #[serde(serialize_with = "as_text")]
    pub question: Question,
    /// What was said, in short.
    pub answer: Answered,
}

/// What was said to a question, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// So many records.
    Records(usize),
    /// The name does not exist.
    NoName,
    /// It has no record of the type.
    NoData,
    /// There is no answer.
    Failed(Cause),
}

impl Asked {
    pub(super) fn new(name: &DnsName, kind: RecordType, found: &Found) -> Asked {
        Asked {
            question: Question::new(name.clone(), kind),
            answer: match &found.said {
                Said::Records(records) => Answered::Records(records.len()),
                Said::NoName => Answered::NoName,
                Said::NoData => Answered::NoData,
                Said::Temporary(cause) => Answered::Failed(*cause),
            },
        }
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answered::Records(1) => f.write_str("1 record"),
            Answered::Records(count) => write!(f, "{count} records"),
            Answered::NoName => f.write_str("no such name"),
            Answered::NoData => f.write_str("no such record"),
            Answered::Failed(cause) => write!(f, "{cause}"),
        }
    }
}

impl Serialize for Answered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text(self, serializer)
    }
}

pub(super) fn as_text<T: fmt::Display, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// An indented line for each record and each term.
impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

impl Visit {
    /// Without a record.
    pub(super) fn new(domain: String, reason: Reason) -> Visit {
        Visit {
            domain,
            record: None,
            result: SpfResult::None,
            reason,
            mechanism: None,
            steps: Vec::new(),
            left_out: 0,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        writeln!(
            f,
            "{:indent$}{}: {} ({})",
            "", self.domain, self.result, self.reason
        )?;
        for step in &self.steps {
            step.write(f, depth + 1)?;
        }
        if self.left_out > 0 {
            let indent = indent + 2;
            writeln!(f, "{:indent$}{} more terms: no match", "", self.left_out)?;
        }
        Ok(())
    }
}

impl Step {
    pub(super) fn new(term: String) -> Step {
        Step {
            term,
            target: None,
            asked: Vec::new(),
            matched: None,
            lookups: 0,
            voids: 0,
            visit: None,
            found_nothing: false,
        }
    }

    /// Whether it asked nothing and did not match.
    pub(super) fn is_idle(&self) -> bool {
        self.matched == Some(false) && self.lookups == 0 && self.asked.is_empty()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        write!(f, "{:indent$}{}", "", self.term)?;
        match self.matched {
            Some(true) => f.write_str(": match")?,
            Some(false) => f.write_str(": no match")?,
            None => {}
        }
        if self.lookups > 0 {
            write!(f, ", lookups {}", self.lookups)?;
        }
        if self.voids > 0 {
            write!(f, ", void {}", self.voids)?;
        }
        for asked in &self.asked {
            write!(f, "; {}: {}", asked.question, asked.answer)?;
        }
        writeln!(f)?;
        match &self.visit {
            Some(visit) => visit.write(f, depth + 1),
            None => Ok(()),
        }
    }
}
