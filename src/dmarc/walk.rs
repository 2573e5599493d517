//! The tree walk: which domain has the policy of a domain, and which organization it belongs to (RFC 9989 §4.10).
//!
//! What was found at each name is kept, so that a verdict can be explained.

use serde::Serialize;

use super::record::{Policy, Psd, Reading};
use crate::dns::Cause;
use crate::dns::lookup::{Ask, DnsName, Pending, RecordType, Said};
use crate::name::Domain;

/// Names that are asked for in a walk, at most (§4.10).
pub const MAX_QUERIES: usize = 8;

/// What stands at the names above a domain, from itself upwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The names that were asked for, the longest first; the last one stopped the walk, or is a single label.
    pub steps: Vec<Step>,
}

/// One name of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The domain; asked was for `_dmarc` below it.
    pub domain: Domain,
    /// What stands there.
    pub found: AtName,
}

/// What stands at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtName {
    /// A policy record.
    Record(Box<Reading>),
    /// So many policy records, which are all discarded (§4.10, 2).
    Several(usize),
    /// No policy record, but TXT records, of which so many were likely meant to be one.
    Others {
        /// How many.
        meant: usize,
    },
    /// No TXT record.
    NoData,
    /// The name does not exist, or is too long to.
    NoName,
    /// No answer.
    Failed(Cause),
}

/// An answer that was needed did not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoAnswer {
    /// The name that was asked for.
    pub name: String,
    /// Why there is no answer.
    #[serde(serialize_with = "super::as_sentence")]
    pub cause: Cause,
}

/// Why a domain is the organizational one (§4.10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// 1: its record says psd=n.
    PsdNo,
    /// 2: the record of the domain above it says psd=y.
    BelowPsd,
    /// 3: of the names with a record it has the fewest labels.
    Highest,
    /// No name has a record.
    NoRecord,
}

/// Whether a domain exists (§3.2.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// It does.
    Exists,
    /// NXDOMAIN.
    Missing,
    /// No answer.
    Unknown(Cause),
}

/// Walks from `domain` upwards.
///
/// All names are asked for at once, since a walk seldom ends early; what stands above the name that ends it is
/// not looked at.
///
/// ```
/// use dkimkit::dmarc::walk::walk;
/// use dkimkit::dns::Zone;
/// use dkimkit::name::Domain;
/// let dns = Zone::parse("_dmarc.example.com. TXT \"v=DMARC1; p=reject\"")?;
/// let walk = walk(&dns, &Domain::new("a.mail.example.com").unwrap()).unwrap();
/// assert_eq!(walk.steps.len(), 4);
/// assert_eq!(walk.organization().unwrap().0.as_ascii(), "example.com");
/// # Ok::<(), dkimkit::dns::ZoneError>(())
/// ```
///
/// # Errors
/// [`Pending`]: not all answers are there.
pub fn walk(dns: &dyn Ask, domain: &Domain) -> Result<Walk, Pending> {
    let targets = targets(domain);
    let answers: Vec<_> = targets.iter().map(|target| at_name(dns, target)).collect();
    let mut steps = Vec::new();
    for (domain, found) in targets.into_iter().zip(answers) {
        let found = found?;
        // 2 and 6: psd=n or psd=y in a single record ends the walk.
        let ends = matches!(&found, AtName::Record(reading) if reading.record.psd != Psd::Unknown);
        steps.push(Step { domain, found });
        if ends {
            break;
        }
    }
    Ok(Walk { steps })
}

/// 1, 4 and 7: the domain, then seven labels of it at most, then one less each time.
fn targets(domain: &Domain) -> Vec<Domain> {
    let text = domain.as_ascii();
    let mut targets = vec![domain.clone()];
    let starts: Vec<usize> = memchr::memchr_iter(b'.', text.as_bytes())
        .map(|at| at + 1)
        .collect();
    let above = starts.len().saturating_sub(MAX_QUERIES - 1);
    for &start in &starts[above..] {
        targets.push(Domain::new(&text[start..]).expect("labels of a name are a name"));
    }
    targets
}

fn at_name(dns: &dyn Ask, domain: &Domain) -> Result<AtName, Pending> {
    let Ok(name) = DnsName::from(domain).below("_dmarc") else {
        return Ok(AtName::NoName);
    };
    let found = dns.look(&name, RecordType::Txt)?;
    Ok(match found.said {
        Said::NoName => AtName::NoName,
        Said::NoData => AtName::NoData,
        Said::Temporary(cause) => AtName::Failed(cause),
        Said::Records(_) => {
            let (mut records, mut meant) = (Vec::new(), 0);
            for text in found.texts() {
                match Reading::parse(text) {
                    Ok(reading) => records.push(reading),
                    Err(error) => meant += usize::from(error.is_meant()),
                }
            }
            match records.len() {
                0 => AtName::Others { meant },
                1 => AtName::Record(Box::new(records.remove(0))),
                several => AtName::Several(several),
            }
        }
    })
}

/// Whether a domain exists. A CNAME that leads to nowhere exists itself (RFC 8020 §2, RFC 6604 §3).
///
/// # Errors
/// [`Pending`]: the answer is not there.
pub fn existence(dns: &dyn Ask, domain: &Domain) -> Result<Existence, Pending> {
    // Any type does: where the name does not exist, none of them has a record (RFC 8020 §2).
    let found = dns.look(&DnsName::from(domain), RecordType::A)?;
    Ok(match found.said {
        Said::NoName if found.aliases.is_empty() => Existence::Missing,
        Said::Temporary(cause) => Existence::Unknown(cause),
        Said::NoName | Said::NoData | Said::Records(_) => Existence::Exists,
    })
}

impl Walk {
    /// The domain where it began.
    pub fn start(&self) -> &Domain {
        &self.steps[0].domain
    }

    /// The names with a policy record, the longest first.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = (&Domain, &Reading)> {
        self.steps.iter().filter_map(|step| match &step.found {
            AtName::Record(reading) => Some((&step.domain, &**reading)),
            _ => None,
        })
    }

    /// The organizational domain of the one where the walk began, and why (§4.10.2).
    ///
    /// # Errors
    /// [`NoAnswer`]: at a name without an answer there may be a record that decides.
    pub fn organization(&self) -> Result<(Domain, Because), NoAnswer> {
        if let Some(failure) = self.steps.iter().find_map(Step::failure) {
            return Err(failure);
        }
        for (domain, reading) in self.records() {
            match reading.record.psd {
                Psd::No => return Ok((domain.clone(), Because::PsdNo)),
                Psd::Yes if domain != self.start() => {
                    return Ok((self.one_below(domain), Because::BelowPsd));
                }
                Psd::Yes | Psd::Unknown => {}
            }
        }
        Ok(match self.records().next_back() {
            Some((domain, _)) => (domain.clone(), Because::Highest),
            None => (self.start().clone(), Because::NoRecord),
        })
    }

    /// The record that holds for the domain where the walk began, and where it stands: its own, else that of its
    /// organizational domain, else that of the public suffix above it (§4.10.1).
    ///
    /// # Errors
    /// [`NoAnswer`]: it may stand where there was no answer.
    pub fn policy(&self) -> Result<Option<(&Domain, &Reading)>, NoAnswer> {
        match &self.steps[0] {
            Step {
                domain,
                found: AtName::Record(reading),
            } => return Ok(Some((domain, reading))),
            step => step.failure().map_or(Ok(()), Err)?,
        }
        let (organization, _) = self.organization()?;
        let own = self.records().find(|(domain, _)| **domain == organization);
        let suffix = || {
            let last = self.records().next_back();
            last.filter(|(_, reading)| reading.record.psd == Psd::Yes)
        };
        Ok(own.or_else(suffix))
    }

    /// The domain one label below `domain`, towards the start.
    fn one_below(&self, domain: &Domain) -> Domain {
        let text = self.start().as_ascii();
        let head = &text[..text.len() - domain.as_ascii().len() - 1];
        let start = memchr::memrchr(b'.', head.as_bytes()).map_or(0, |at| at + 1);
        Domain::new(&text[start..]).expect("labels of a name are a name")
    }
}

impl Step {
    fn failure(&self) -> Option<NoAnswer> {
        match self.found {
            AtName::Failed(cause) => Some(NoAnswer {
                name: format!("_dmarc.{}", self.domain.as_ascii()),
                cause,
            }),
            _ => None,
        }
    }
}

/// Which tag of a record a policy was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyTag {
    /// p=
    P,
    /// sp=
    Sp,
    /// np=
    Np,
}

impl PolicyTag {
    /// The name of the tag.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyTag::P => "p",
            PolicyTag::Sp => "sp",
            PolicyTag::Np => "np",
        }
    }
}

/// The policy of a record for a subdomain that exists (`missing` is false) or does not (§4.7, sp and np).
pub(super) fn for_subdomain(reading: &Reading, missing: bool) -> Option<(Policy, PolicyTag)> {
    let record = &reading.record;
    let np = missing.then_some((record.np, PolicyTag::Np));
    let tags = [
        np,
        Some((record.sp, PolicyTag::Sp)),
        Some((record.p, PolicyTag::P)),
    ];
    let mut tags = tags.into_iter().flatten();
    tags.find_map(|(request, tag)| Some((request.policy()?, tag)))
}
