//! What became of a signature: the verdict, the reason, and what to do about it.

mod failure;
mod json;

use std::fmt;

pub use failure::{Failure, REASONS};
pub use json::{DomainKeysReport, MessageReport, SignatureReport, is_harmful, spaced_json};
pub(crate) use json::{finite, lower_case};

use crate::hash::BodyLimit;
use crate::name::Alignment;
use crate::signature::{Claims, Signature};

/// A result of RFC 8601 §2.7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResultWord {
    /// The signature holds and the policy takes it.
    Pass,
    /// No verdict for now.
    TempError,
    /// The message or the signature was changed.
    Fail,
    /// The signature holds, but the policy does not take it.
    Policy,
    /// The signature was not looked at.
    Neutral,
    /// The signature or its key cannot be used by anybody.
    PermError,
    /// The message is not signed.
    None,
}

impl ResultWord {
    /// The word as RFC 8601 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ResultWord::Pass => "pass",
            ResultWord::TempError => "temperror",
            ResultWord::Fail => "fail",
            ResultWord::Policy => "policy",
            ResultWord::Neutral => "neutral",
            ResultWord::PermError => "permerror",
            ResultWord::None => "none",
        }
    }
}

impl fmt::Display for ResultWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The verdict on one DKIM-Signature field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which of the DKIM-Signature fields it is, counted from 0 at the top.
    pub index: usize,
    /// Whether it holds.
    pub outcome: Outcome,
    /// What the field says, as far as it could be read.
    pub claims: Claims,
    /// How d= stands to the domains of From.
    pub alignment: Option<Alignment>,
    /// The key, where one was found.
    pub key: Option<KeyFacts>,
}

/// Pass, which comes with the signature that holds, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The signature holds and the policy takes it.
    Pass(Box<Signature>),
    /// It does not, or it is not taken.
    Refused(Failure),
}

/// What is known of the key of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its size in bits, where it could be read.
    pub bits: Option<usize>,
    /// t=y of the record: the domain is testing DKIM (RFC 6376 §3.6.1).
    pub testing: bool,
}

impl Verdict {
    /// The word of RFC 8601.
    pub fn result(&self) -> ResultWord {
        match &self.outcome {
            Outcome::Pass(_) => ResultWord::Pass,
            Outcome::Refused(failure) => failure.result(),
        }
    }

    /// Why the signature does not pass.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Pass(_) => None,
            Outcome::Refused(failure) => Some(failure),
        }
    }

    /// The reason in words, with what to do where there is something; for a pass, what holds.
    pub fn detail(&self) -> String {
        match &self.outcome {
            Outcome::Pass(signature) => match signature.body_limit {
                BodyLimit::Whole => "header and body are as they were signed".to_owned(),
                BodyLimit::Octets(n) => {
                    format!(
                        "the header and the first {n} octets of the body are as they were signed"
                    )
                }
            },
            Outcome::Refused(failure) => match failure.advice() {
                Some(advice) => format!("{failure}: {advice}"),
                None => failure.to_string(),
            },
        }
    }
}

/// The result of a message: the best of its signatures, or `none`.
pub fn overall(verdicts: &[Verdict]) -> ResultWord {
    let results = verdicts.iter().map(Verdict::result);
    results.min().unwrap_or(ResultWord::None)
}

/// A whole number with a comma before each three digits.
///
/// ```
/// assert_eq!(dkimkit::report::grouped(1_234_567_u64), "1,234,567");
/// ```
pub fn grouped(number: impl fmt::Display) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
