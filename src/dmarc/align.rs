//! Whether identifiers are aligned with the author domain (RFC 9989 §4.10.2), each with the reason.

use super::input::{Input, SpfScope, SpfWord};
use super::outcome::{Aligned, Identifier, Mechanism};
use super::record::{Mode, Reading};
use super::walk::{Because, NoAnswer, Walk, walk};
use crate::dns::lookup::{Ask, Pending};
use crate::name::{Domain, Selector};
use crate::report::ResultWord;

/// Identifiers for which the tree is walked, at most: who sends the message chooses how many there are (§4.10).
/// Those that may be aligned come first, of them those that pass, of them SPF: what a stranger signs besides must not
/// take their place.
pub const MAX_WALKS: usize = 10;

/// An identifier as it is given.
pub(super) struct Candidate {
    mechanism: Mechanism,
    scope: Option<SpfScope>,
    domain: Domain,
    selector: Option<Selector>,
    result: &'static str,
    passed: bool,
    temporary: bool,
}

impl Candidate {
    pub(super) fn all(input: &Input) -> Vec<Candidate> {
        let spf = input.spf.iter().map(|spf| Candidate {
            mechanism: Mechanism::Spf,
            scope: Some(spf.scope),
            domain: spf.domain.clone(),
            selector: None,
            result: spf.result.as_str(),
            passed: spf.result == SpfWord::Pass,
            temporary: spf.result == SpfWord::TempError,
        });
        let dkim = input.dkim.iter().map(|dkim| Candidate {
            mechanism: Mechanism::Dkim,
            scope: None,
            domain: dkim.domain.clone(),
            selector: dkim.selector.clone(),
            result: dkim.result.as_str(),
            passed: dkim.result == ResultWord::Pass,
            temporary: dkim.result == ResultWord::TempError,
        });
        spf.chain(dkim).collect()
    }

    /// The identifier in words, as the subject of a sentence.
    fn subject(&self) -> String {
        let domain = self.domain.as_ascii();
        match (self.mechanism, self.scope) {
            (Mechanism::Dkim, _) => format!("the DKIM signature of {domain}"),
            (Mechanism::Spf, Some(SpfScope::EmptyMailFrom)) => {
                format!("SPF of {domain}, the name in HELO,")
            }
            (Mechanism::Spf, _) => format!("SPF of {domain}"),
        }
    }

    fn passing(&self) -> String {
        match self.passed {
            true => "passes".to_owned(),
            false => format!("does not pass ({})", self.result),
        }
    }

    fn sentence(&self, aligned: Aligned, why: &str) -> String {
        let link = match (self.passed, aligned) {
            (true, Aligned::Identical | Aligned::SameOrganization) => " and",
            (true, Aligned::No) => ", but",
            (false, Aligned::Identical | Aligned::SameOrganization) => ", though it",
            (false, Aligned::No) => ", and",
            (_, Aligned::Unknown) => ";",
            (_, Aligned::NotExamined) => ", which does not matter:",
        };
        format!("{} {}{link} {why}", self.subject(), self.passing())
    }

    fn identifier(&self, mode: Option<Mode>, alignment: Alignment) -> Identifier {
        let counts = self.passed && alignment.aligned.holds();
        Identifier {
            mechanism: self.mechanism,
            domain: self.domain.clone(),
            selector: self.selector.clone(),
            result: self.result,
            passed: self.passed,
            organizational_domain: alignment.organization,
            mode,
            aligned: alignment.aligned,
            counts,
            sentence: self.sentence(alignment.aligned, &alignment.why),
        }
    }
}

/// How an identifier stands to the author domain; `why` is a clause without its subject.
struct Alignment {
    aligned: Aligned,
    organization: Option<Domain>,
    why: String,
    missing: Option<NoAnswer>,
}

impl Alignment {
    fn doubt(&mut self, author: &str, missing: NoAnswer) {
        self.aligned = Aligned::Unknown;
        self.why = format!(
            "whether it is aligned with {author} is not known: {}: {}",
            missing.name, missing.cause
        );
        self.missing = Some(missing);
    }
}

/// The identifiers where nothing is to be aligned with.
pub(super) fn unexamined(candidates: &[Candidate], why: &str) -> Vec<Identifier> {
    let one = |candidate: &Candidate| {
        let alignment = Alignment {
            aligned: Aligned::NotExamined,
            organization: None,
            why: why.to_owned(),
            missing: None,
        };
        candidate.identifier(None, alignment)
    };
    candidates.iter().map(one).collect()
}

/// Where identifiers are held against the author domain.
pub(super) struct Bench<'a> {
    pub(super) dns: &'a dyn Ask,
    pub(super) author: &'a Domain,
    pub(super) organization: &'a Result<(Domain, Because), NoAnswer>,
    pub(super) reading: &'a Reading,
    pub(super) thorough: bool,
    /// The walks that were made or begun.
    pub(super) walked: Vec<(Domain, Result<Walk, Pending>)>,
}

/// An identifier, and whether it passes, may pass another time, and which answer is missing.
pub(super) struct Judged {
    pub(super) identifier: Identifier,
    pub(super) temporary: bool,
    pub(super) missing: Option<NoAnswer>,
}

impl Bench<'_> {
    pub(super) fn identifiers(&mut self, candidates: &[Candidate]) -> Result<Vec<Judged>, Pending> {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by_key(|at| {
            let candidate = &candidates[*at];
            let spf = candidate.mechanism == Mechanism::Spf;
            let possible = self.is_possible(&candidate.domain);
            (!possible, !candidate.passed, !candidate.temporary, !spf)
        });
        let judge = |at: usize| {
            let candidate = &candidates[at];
            let record = &self.reading.record;
            let mode = match candidate.mechanism {
                Mechanism::Spf => record.aspf,
                Mechanism::Dkim => record.adkim,
            };
            let mut alignment = self.align(&candidate.domain, mode)?;
            // What passes and was not looked at is no reason for a failure.
            if alignment.aligned == Aligned::NotExamined && candidate.passed {
                alignment.aligned = Aligned::Unknown;
                let author = self.author.as_ascii();
                let why = alignment.why;
                alignment.why = format!("whether it is aligned with {author} is not known: {why}");
            }
            let missing = alignment.missing.clone();
            let judged = Judged {
                identifier: candidate.identifier(Some(mode), alignment),
                temporary: candidate.temporary,
                missing,
            };
            Ok((at, judged))
        };
        // All are asked for before the first that waits ends it.
        let judged: Vec<_> = order.into_iter().map(judge).collect();
        let mut judged = judged.into_iter().collect::<Result<Vec<_>, Pending>>()?;
        judged.sort_by_key(|(at, _)| *at);
        Ok(judged.into_iter().map(|(_, judged)| judged).collect())
    }

    /// §4.10.2.
    fn align(&mut self, domain: &Domain, mode: Mode) -> Result<Alignment, Pending> {
        let author = self.author.as_ascii();
        let mut alignment = Alignment {
            aligned: Aligned::No,
            organization: None,
            why: String::new(),
            missing: None,
        };
        if domain == self.author {
            alignment.aligned = Aligned::Identical;
            alignment.organization = self.organization.as_ref().ok().map(|(own, _)| own.clone());
            alignment.why = format!("is aligned with {author}: it is the author domain");
            return Ok(alignment);
        }
        let possible = self.is_possible(domain);
        let relaxed = mode == Mode::Relaxed;
        let own = if relaxed && possible || self.thorough {
            self.organization_of(domain)?
        } else {
            None
        };
        alignment.organization = match &own {
            Some(Ok(own)) => Some(own.clone()),
            _ => None,
        };
        if !relaxed {
            alignment.why = format!(
                "is not aligned with {author}: under strict alignment both must be the same"
            );
            return Ok(alignment);
        }
        match (self.organization, own) {
            (Ok((authors, _)), _) if !possible => {
                let authors = authors.as_ascii();
                alignment.why = format!(
                    "is not aligned with {author}: it is no part of the organizational domain {authors}"
                );
            }
            (Ok((authors, _)), Some(Ok(own))) if own == *authors => {
                alignment.aligned = Aligned::SameOrganization;
                alignment.why = format!(
                    "is aligned with {author}: both belong to the organizational domain {}",
                    own.as_ascii()
                );
            }
            (Ok((authors, _)), Some(Ok(own))) => {
                alignment.why = format!(
                    "is not aligned with {author}: its organizational domain is {}, and that of {author} is {}",
                    own.as_ascii(),
                    authors.as_ascii()
                );
            }
            (Err(_), _) if !possible => {
                alignment.why =
                    format!("is not aligned with {author}: they have no label in common");
            }
            (Err(_), Some(Ok(own))) if *self.author != own && !self.author.is_below(&own) => {
                alignment.why = format!(
                    "is not aligned with {author}, which is no part of its organizational domain {}",
                    own.as_ascii()
                );
            }
            (_, Some(Err(missing))) => alignment.doubt(author, missing),
            (Err(missing), Some(Ok(_))) => alignment.doubt(author, missing.clone()),
            (_, None) => {
                alignment.aligned = Aligned::NotExamined;
                alignment.why = format!("{MAX_WALKS} other domains were looked up before it");
            }
        }
        Ok(alignment)
    }

    /// Whether a domain may be of the author's organization, as far as its name tells: an organizational domain is the
    /// domain itself or stands above it.
    fn is_possible(&self, domain: &Domain) -> bool {
        match self.organization {
            Ok((own, _)) => domain == own || domain.is_below(own),
            Err(_) => domain.labels().next_back() == self.author.labels().next_back(),
        }
    }

    /// The organizational domain; none beyond the cap.
    fn organization_of(
        &mut self,
        domain: &Domain,
    ) -> Result<Option<Result<Domain, NoAnswer>>, Pending> {
        let known = |(start, _): &(Domain, _)| start == domain;
        let at = match self.walked.iter().position(known) {
            Some(at) => at,
            None if self.walked.len() == MAX_WALKS => return Ok(None),
            None => {
                // One that waits counts too, or all would be asked for before the first answer comes.
                self.walked.push((domain.clone(), walk(self.dns, domain)));
                self.walked.len() - 1
            }
        };
        let walked = self.walked[at].1.as_ref().map_err(|Pending| Pending)?;
        Ok(Some(walked.organization().map(|(own, _)| own)))
    }
}
