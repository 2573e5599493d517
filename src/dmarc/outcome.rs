//! What became of a message under DMARC, and why.

use std::fmt;

use serde::Serialize;

use super::record::{Mode, Policy};
use super::walk::{AtName, Because, NoAnswer, PolicyTag, Step};
use crate::name::{Domain, Selector};

/// A result of RFC 9989 §9.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DmarcResult {
    /// Something that passes is aligned with the author domain.
    Pass,
    /// There is a policy, and nothing that passes is aligned.
    Fail,
    /// DMARC does not apply.
    None,
    /// An answer of DNS is missing; another time there may be a result.
    TempError,
    /// The message has no author domain that could be judged, and never will.
    PermError,
}

impl DmarcResult {
    /// The word as it is registered.
    pub fn as_str(self) -> &'static str {
        match self {
            DmarcResult::Pass => "pass",
            DmarcResult::Fail => "fail",
            DmarcResult::None => "none",
            DmarcResult::TempError => "temperror",
            DmarcResult::PermError => "permerror",
        }
    }
}

impl fmt::Display for DmarcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why it is this result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Pass: an identifier passes and is aligned.
    Aligned,
    /// Fail: what passes is not aligned.
    NotAligned,
    /// Fail: nothing passes.
    NothingPasses,
    /// Fail: no signature passes and is aligned, and SPF, which might, was not judged. It is no result to tell others.
    SpfNotJudged,
    /// None: there is no policy record.
    NoRecord,
    /// None: the record has no policy that could be applied, and nobody wants reports (§4.10.1).
    RecordNotApplied,
    /// None: From has no address with a domain (§5.3.1).
    NoAuthor,
    /// None: From has addresses of several domains (§5.3.1).
    SeveralAuthors,
    /// Permerror: there are several From fields (§4.4).
    FromRepeated,
    /// Permerror: not every mailbox of From can be read (§4.4).
    FromUnreadable,
    /// Temperror: the policy is not known.
    PolicyUnknown,
    /// Temperror: whether an identifier that passes is aligned is not known.
    AlignmentUnknown,
    /// Temperror: SPF or a signature that is aligned may pass another time, or one that passes is beyond the cap on
    /// those that are looked at.
    IdentifierUnknown,
    /// Temperror: whether the author domain exists is not known, and the policy depends on it.
    ExistenceUnknown,
}

impl Reason {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Aligned => "aligned",
            Reason::NotAligned => "not-aligned",
            Reason::NothingPasses => "nothing-passes",
            Reason::SpfNotJudged => "spf-not-judged",
            Reason::NoRecord => "no-record",
            Reason::RecordNotApplied => "record-not-applied",
            Reason::NoAuthor => "no-author",
            Reason::SeveralAuthors => "several-authors",
            Reason::FromRepeated => "from-repeated",
            Reason::FromUnreadable => "from-unreadable",
            Reason::PolicyUnknown => "policy-unknown",
            Reason::AlignmentUnknown => "alignment-unknown",
            Reason::IdentifierUnknown => "identifier-unknown",
            Reason::ExistenceUnknown => "existence-unknown",
        }
    }
}

/// Which mechanism vouches for a domain (§4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// SPF (RFC 7208).
    Spf,
    /// DKIM (RFC 6376).
    Dkim,
}

/// Whether an identifier is aligned with the author domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aligned {
    /// They are the same.
    Identical,
    /// They have the same organizational domain, which is enough under relaxed alignment.
    SameOrganization,
    /// No.
    No,
    /// An answer of DNS is missing, or it passes and there are too many to look at.
    Unknown,
    /// It was not looked at: there is no policy, or too many identifiers.
    NotExamined,
}

impl Aligned {
    /// Whether it is aligned for sure.
    pub fn holds(self) -> bool {
        matches!(self, Aligned::Identical | Aligned::SameOrganization)
    }
}

/// One domain that SPF or a signature vouches for, or fails to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identifier {
    /// Which mechanism.
    pub mechanism: Mechanism,
    /// The domain.
    #[serde(serialize_with = "super::as_ascii")]
    pub domain: Domain,
    /// The selector of the signature.
    #[serde(serialize_with = "selector")]
    pub selector: Option<Selector>,
    /// The result of the mechanism, in its word.
    pub result: &'static str,
    /// Whether that is a pass.
    pub passed: bool,
    /// Its organizational domain, where that was needed or asked for.
    #[serde(serialize_with = "super::as_ascii_or_null")]
    pub organizational_domain: Option<Domain>,
    /// The mode that the record asks for.
    pub mode: Option<Mode>,
    /// Whether it is aligned.
    pub aligned: Aligned,
    /// Whether the message passes by it.
    pub counts: bool,
    /// Why it counts or not.
    pub sentence: String,
}

fn selector<S: serde::Serializer>(selector: &Option<Selector>, to: S) -> Result<S::Ok, S::Error> {
    match selector {
        Some(selector) => to.serialize_str(selector.as_ascii()),
        None => to.serialize_none(),
    }
}

/// What the owner of the domain asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requested {
    /// What stands in the record.
    pub published: Policy,
    /// In which tag; none where the record acts as `p=none` (§4.10.1).
    pub tag: Option<PolicyTag>,
    /// Whether t=y lowers it by a level (§4.7).
    pub testing: bool,
    /// What holds after that.
    pub policy: Policy,
    /// Why this one.
    pub sentence: String,
}

/// A name of the tree walk, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// The name that was asked for.
    pub name: String,
    /// What stands there, in a word.
    pub found: &'static str,
    /// The record, with what is not printable ASCII escaped.
    pub record: Option<String>,
}

impl StepReport {
    pub(super) fn new(step: &Step) -> StepReport {
        let (found, record) = match &step.found {
            AtName::Record(reading) => ("record", Some(reading.text.clone())),
            AtName::Several(_) => ("several-records", None),
            AtName::Others { meant: 0 } => ("other-text", None),
            AtName::Others { .. } => ("broken-record", None),
            AtName::NoData => ("no-text", None),
            AtName::NoName => ("no-name", None),
            AtName::Failed(_) => ("no-answer", None),
        };
        StepReport {
            name: format!("_dmarc.{}", step.domain.as_ascii()),
            found,
            record,
        }
    }
}

/// What became of a message under DMARC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The word of RFC 9989 §9.2.
    pub result: DmarcResult,
    /// Why.
    pub reason: Reason,
    /// The domain of From.
    #[serde(serialize_with = "super::as_ascii_or_null")]
    pub author_domain: Option<Domain>,
    /// Its organizational domain, where it is known.
    #[serde(serialize_with = "super::as_ascii_or_null")]
    pub organizational_domain: Option<Domain>,
    /// Why it is this one.
    pub organization_because: Option<Because>,
    /// The domain whose record holds (§3.2.5).
    #[serde(serialize_with = "super::as_ascii_or_null")]
    pub policy_domain: Option<Domain>,
    /// That record, with what is not printable ASCII escaped.
    pub record: Option<String>,
    /// What it asks for.
    pub requested: Option<Requested>,
    /// What the owner wants done with this very message: nothing unless it fails.
    pub disposition: Policy,
    /// SPF, and then the signatures in their order.
    pub identifiers: Vec<Identifier>,
    /// The names at which a policy was looked for.
    pub walk: Vec<StepReport>,
    /// The answer of DNS that is missing, where that is why there is no result.
    pub missing: Option<NoAnswer>,
    /// All of it in a sentence.
    pub sentence: String,
}
