//! The `dmarc=` result of Authentication-Results (RFC 8601 §2.2, RFC 9989 §9.1).

use super::outcome::{DmarcResult, Outcome, Reason};
use crate::authres::ResInfo;

/// One `resinfo`, to stand beside the others in a field; none where SPF was not judged and might have passed, since
/// RFC 9989 §9.2 has no word for that, and those who read `fail` may refuse the message.
///
/// ```
/// use dkimkit::authres::{AuthservId, with_results};
/// use dkimkit::dmarc::{Author, Input, SpfIdentity, SpfScope, SpfWord, evaluate, resinfo};
/// use dkimkit::dns::Zone;
/// use dkimkit::name::Domain;
/// let dns = Zone::parse("_dmarc.example.com. TXT \"v=DMARC1; p=reject; t=y\"")?;
/// let domain = Domain::new("example.com").unwrap();
/// let mut input = Input::new(Author::One(domain.clone()));
/// assert!(resinfo(&evaluate(&dns, &input).unwrap()).is_none());
/// let (scope, result) = (SpfScope::MailFrom, SpfWord::Fail);
/// input.spf = Some(SpfIdentity { scope, domain, result });
/// let outcome = evaluate(&dns, &input).unwrap();
/// let id = AuthservId::new("mx.example.org").unwrap();
/// assert_eq!(
///     with_results(&id, resinfo(&outcome).as_slice()),
///     "Authentication-Results: mx.example.org;\r\n\tdmarc=fail (p=reject t=y) reason=\"nothing-passes\"\r\n\t header.from=example.com policy.dmarc=quarantine"
/// );
/// # Ok::<(), dkimkit::dns::ZoneError>(())
/// ```
pub fn resinfo(outcome: &Outcome) -> Option<ResInfo> {
    let judged = outcome.reason != Reason::SpfNotJudged;
    judged.then(|| written(outcome, outcome.result))
}

/// The same for one who has to say something where SPF was not judged, since the sender had it so: a `permerror`, which
/// another attempt will not change (RFC 9989 §9.2).
///
/// ```
/// use dkimkit::authres::{AuthservId, with_results};
/// use dkimkit::dmarc::{Author, Input, evaluate, unjudged};
/// use dkimkit::dns::Zone;
/// use dkimkit::name::Domain;
/// let dns = Zone::parse("_dmarc.example.com. TXT \"v=DMARC1; p=reject\"")?;
/// let input = Input::new(Author::One(Domain::new("example.com").unwrap()));
/// let outcome = evaluate(&dns, &input).unwrap();
/// let id = AuthservId::new("mx.example.org").unwrap();
/// assert_eq!(
///     with_results(&id, &[unjudged(&outcome)]),
///     "Authentication-Results: mx.example.org;\r\n\tdmarc=permerror (p=reject) reason=\"spf-not-judged\"\r\n\t header.from=example.com policy.dmarc=reject"
/// );
/// # Ok::<(), dkimkit::dns::ZoneError>(())
/// ```
pub fn unjudged(outcome: &Outcome) -> ResInfo {
    resinfo(outcome).unwrap_or_else(|| written(outcome, DmarcResult::PermError))
}

fn written(outcome: &Outcome, result: DmarcResult) -> ResInfo {
    let mut words = vec![format!("dmarc={result}")];
    // Only words of ours and checked names stand here, none of which needs quotes (RFC 2045 §5.1).
    if let Some(asked) = &outcome.requested {
        let tag = asked.tag.map_or("p", |tag| tag.as_str());
        let testing = if asked.testing { " t=y" } else { "" };
        let policy = asked.published.as_str();
        words.push(format!("({tag}={policy}{testing})"));
    }
    if result != DmarcResult::Pass {
        words.push(format!("reason=\"{}\"", outcome.reason.as_str()));
    }
    if let Some(author) = &outcome.author_domain {
        words.push(format!("header.from={}", author.as_ascii()));
    }
    // §9.1: the policy after the options were processed.
    if let Some(asked) = &outcome.requested {
        words.push(format!("policy.dmarc={}", asked.policy.as_str()));
    }
    ResInfo::of(words.iter().map(String::as_str))
}
