//! The judgement (RFC 9989 §5.3).

use super::align::{Bench, Candidate, Judged, unexamined};
use super::input::{Author, Input, Nameless, SpfWord};
use super::outcome::{Aligned, DmarcResult, Mechanism, Outcome, Reason, Requested, StepReport};
use super::record::{Force, Policy, Reading, Request};
use super::walk::{Existence, NoAnswer, PolicyTag, existence, for_subdomain, walk};
use crate::dns::lookup::{Ask, Pending};
use crate::name::Domain;

/// Judges a message.
///
/// A policy counts as known as soon as it is, and an identifier that is the author domain itself is aligned whatever
/// the rest of the walk says: so a failure of DNS changes only results that depend on it (§5.3.6).
///
/// ```
/// use dkimkit::dmarc::{Author, DkimIdentity, DmarcResult, Input, evaluate};
/// use dkimkit::dns::Zone;
/// use dkimkit::name::Domain;
/// use dkimkit::report::ResultWord;
/// let dns = Zone::parse("_dmarc.example.com. TXT \"v=DMARC1; p=reject\"")?;
/// let mut input = Input::new(Author::One(Domain::new("example.com").unwrap()));
/// input.dkim.push(DkimIdentity {
///     domain: Domain::new("mail.example.com").unwrap(),
///     selector: None,
///     result: ResultWord::Pass,
/// });
/// let outcome = evaluate(&dns, &input).unwrap();
/// assert_eq!(outcome.result, DmarcResult::Pass);
/// assert_eq!(
///     outcome.sentence,
///     "DMARC passes, because the DKIM signature of mail.example.com passes and is aligned (relaxed) with example.com"
/// );
/// # Ok::<(), dkimkit::dns::ZoneError>(())
/// ```
///
/// # Errors
/// [`Pending`]: not all answers are there.
pub fn evaluate(dns: &dyn Ask, input: &Input) -> Result<Outcome, Pending> {
    let candidates = Candidate::all(input);
    let author = match &input.author {
        Author::One(domain) => domain,
        other => return Ok(exempt(other, &candidates)),
    };
    let walk = walk(dns, author)?;
    let mut outcome = Outcome {
        author_domain: Some(author.clone()),
        walk: walk.steps.iter().map(StepReport::new).collect(),
        ..empty()
    };
    let organization = walk.organization();
    if let Ok((domain, because)) = &organization {
        outcome.organizational_domain = Some(domain.clone());
        outcome.organization_because = Some(*because);
    }
    let (policy_domain, reading) = match walk.policy() {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(without_policy(outcome, &candidates, Reason::NoRecord)),
        Err(missing) => {
            outcome.missing = Some(missing);
            return Ok(without_policy(outcome, &candidates, Reason::PolicyUnknown));
        }
    };
    outcome.policy_domain = Some(policy_domain.clone());
    outcome.record = Some(reading.text.clone());
    if reading.record.force() == Force::NotApplied {
        return Ok(without_policy(
            outcome,
            &candidates,
            Reason::RecordNotApplied,
        ));
    }
    let requested = requested(dns, author, policy_domain, reading);
    let mut bench = Bench {
        dns,
        author,
        organization: &organization,
        reading,
        thorough: input.thorough,
        walked: Vec::new(),
    };
    let identifiers = bench.identifiers(&candidates);
    let (requested, doubt) = requested?;
    outcome.requested = Some(requested);
    let judged = identifiers?;
    decide(&mut outcome, input, judged, doubt);
    Ok(outcome)
}

fn empty() -> Outcome {
    Outcome {
        result: DmarcResult::None,
        reason: Reason::NoAuthor,
        author_domain: None,
        organizational_domain: None,
        organization_because: None,
        policy_domain: None,
        record: None,
        requested: None,
        disposition: Policy::None,
        identifiers: Vec::new(),
        walk: Vec::new(),
        missing: None,
        sentence: String::new(),
    }
}

/// A message without exactly one author domain: validation is not possible (§5.3.1). One that is no message of
/// RFC 5322 is called so, since it may show one author to one reader and another to the next (§4.4, §11.5).
fn exempt(author: &Author, candidates: &[Candidate]) -> Outcome {
    use DmarcResult::{None, PermError};
    let (result, reason, what) = match author {
        Author::Several(_) => (
            None,
            Reason::SeveralAuthors,
            "From has addresses of several domains",
        ),
        Author::Repeated => (
            PermError,
            Reason::FromRepeated,
            "the message has several From fields",
        ),
        Author::Unreadable => (
            PermError,
            Reason::FromUnreadable,
            "not every address in From can be read",
        ),
        Author::One(_) | Author::None => (None, Reason::NoAuthor, "From names no domain"),
    };
    Outcome {
        result,
        reason,
        identifiers: unexamined(candidates, what),
        sentence: format!("DMARC does not apply: {what}"),
        ..empty()
    }
}

fn without_policy(outcome: Outcome, candidates: &[Candidate], reason: Reason) -> Outcome {
    let author = outcome.author_domain.as_ref().map_or("", Domain::as_ascii);
    let (result, what) = match &outcome.missing {
        Some(missing) => (
            DmarcResult::TempError,
            format!("{}: {}", missing.name, missing.cause),
        ),
        None if reason == Reason::NoRecord => (
            DmarcResult::None,
            format!("no policy record holds for {author}"),
        ),
        None => (
            DmarcResult::None,
            "the policy record has no valid policy, and no address for reports".to_owned(),
        ),
    };
    let verb = match result {
        DmarcResult::TempError => "has no result for now",
        _ => "does not apply",
    };
    Outcome {
        result,
        reason,
        identifiers: unexamined(candidates, &what),
        sentence: format!("DMARC {verb}: {what}"),
        ..outcome
    }
}

/// What the record asks for, and the answer on which that depends where it is missing.
fn requested(
    dns: &dyn Ask,
    author: &Domain,
    policy_domain: &Domain,
    reading: &Reading,
) -> Result<(Requested, Option<NoAnswer>), Pending> {
    let record = &reading.record;
    let holder = policy_domain.as_ascii();
    let lowered = |published: Policy, tag: Option<PolicyTag>, sentence: String| {
        let policy = match record.testing {
            true => published.lowered(),
            false => published,
        };
        let testing = match record.testing {
            true if policy != published => "; t=y lowers it by a level",
            _ => "",
        };
        Requested {
            published,
            tag,
            testing: record.testing,
            policy,
            sentence: format!("{sentence}{testing}"),
        }
    };
    if record.force() == Force::ActsAsNone {
        let why = format!("the record of {holder} has no valid policy, and acts as p=none");
        return Ok((lowered(Policy::None, None, why), None));
    }
    let author_text = author.as_ascii();
    if author == policy_domain {
        let published = record.p.policy().unwrap_or(Policy::None);
        let why = format!(
            "p={} of {holder}, the author domain itself",
            published.as_str()
        );
        return Ok((lowered(published, Some(PolicyTag::P), why), None));
    }
    // Without np= it makes no difference whether the domain exists (§4.7, np).
    let existence = match record.np {
        Request::Asks(_) => Some(existence(dns, author)?),
        Request::Absent | Request::Invalid => None,
    };
    let missing = existence == Some(Existence::Missing);
    let (published, tag) = for_subdomain(reading, missing).unwrap_or((Policy::None, PolicyTag::P));
    let state = match existence {
        None => "",
        Some(Existence::Exists) => ", which exists,",
        Some(Existence::Missing) => ", which does not exist,",
        Some(Existence::Unknown(_)) => ", if it exists,",
    };
    let why = format!(
        "{}={} of {holder} for its subdomain {author_text}{state}",
        tag.as_str(),
        published.as_str()
    );
    let requested = lowered(published, Some(tag), why.trim_end_matches(',').to_owned());
    let otherwise = for_subdomain(reading, true).map(|(policy, _)| policy);
    let doubt = match existence {
        Some(Existence::Unknown(cause)) if otherwise != Some(published) => Some(NoAnswer {
            name: author_text.to_owned(),
            cause,
        }),
        _ => None,
    };
    Ok((requested, doubt))
}

/// §5.3.5 and §5.3.6.
fn decide(outcome: &mut Outcome, input: &Input, judged: Vec<Judged>, doubt: Option<NoAnswer>) {
    let author = outcome.author_domain.as_ref().map_or("", Domain::as_ascii);
    let open = |judged: &&Judged| {
        let Judged {
            identifier,
            temporary,
            ..
        } = judged;
        let may_align = identifier.aligned.holds() || identifier.aligned == Aligned::Unknown;
        may_align && (identifier.passed || *temporary)
    };
    let counting = judged.iter().find(|judged| judged.identifier.counts);
    let (result, reason, missing, sentence);
    if let Some(Judged { identifier, .. }) = counting {
        result = DmarcResult::Pass;
        (reason, missing) = (Reason::Aligned, None);
        let subject = match identifier.mechanism {
            Mechanism::Spf => "SPF of",
            Mechanism::Dkim => "the DKIM signature of",
        };
        let mode = identifier.mode.unwrap_or_default().as_str();
        let domain = identifier.domain.as_ascii();
        sentence = format!(
            "DMARC passes, because {subject} {domain} passes and is aligned ({mode}) with {author}"
        );
    } else if let Some(open) = judged.iter().find(open) {
        result = DmarcResult::TempError;
        missing = open.missing.clone();
        reason = match missing {
            Some(_) => Reason::AlignmentUnknown,
            None => Reason::IdentifierUnknown,
        };
        sentence = format!("DMARC has no result for now: {}", open.identifier.sentence);
    } else if let Some(doubt) = doubt {
        result = DmarcResult::TempError;
        reason = Reason::ExistenceUnknown;
        sentence = format!(
            "DMARC has no result for now: the policy depends on whether {} exists: {}",
            doubt.name, doubt.cause
        );
        missing = Some(doubt);
    } else {
        result = DmarcResult::Fail;
        missing = None;
        let why;
        (reason, why) = failure(input, &judged, author);
        let asked = outcome.requested.as_ref();
        outcome.disposition = asked.map_or(Policy::None, |asked| asked.policy);
        let asked = asked.map_or("", |asked| asked.sentence.as_str());
        sentence = format!(
            "{why}; the policy is {}: {asked}",
            outcome.disposition.as_str()
        );
    }
    (outcome.result, outcome.reason) = (result, reason);
    (outcome.missing, outcome.sentence) = (missing, sentence);
    outcome.identifiers = judged.into_iter().map(|judged| judged.identifier).collect();
}

/// Why nothing counts, as the beginning of a sentence.
fn failure(input: &Input, judged: &[Judged], author: &str) -> (Reason, String) {
    if !input.has_spf() {
        let why = format!(
            "DMARC does not pass: no DKIM signature passes and is aligned with {author}, and SPF was not judged"
        );
        return (Reason::SpfNotJudged, why);
    }
    let nameless = input.nameless.as_ref();
    let nameless = nameless.filter(|spf| spf.result == SpfWord::Pass);
    let passes = judged.iter().any(|judged| judged.identifier.passed) || nameless.is_some();
    let (reason, what) = match passes {
        true => (Reason::NotAligned, "what passes is not aligned with"),
        false => (
            Reason::NothingPasses,
            "neither SPF nor a DKIM signature passes for",
        ),
    };
    let mut why = format!("DMARC fails, because {what} {author}");
    if let Some(Nameless { text, .. }) = nameless {
        why.push_str(&format!(
            " (SPF of \u{201c}{text}\u{201d} passes, which is no name of a domain)"
        ));
    }
    (reason, why)
}
