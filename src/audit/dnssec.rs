//! DNSSEC (RFC 4033): whether what DNS says of the domain can be proven.

use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use crate::dns::lookup::{Pending, Question, RecordType};
use crate::dns::survey::Dnssec;

const NAME: &str = "dnssec";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let domain = facts.domain();
    let questions =
        [RecordType::Soa, RecordType::Mx].map(|kind| Question::new(domain.clone(), kind));
    let [soa, mx] = &questions;
    // Both are under way together.
    let proofs = (facts.proof(soa), facts.proof(mx));
    let proofs = [proofs.0?, proofs.1?];
    let first = |wanted| {
        let mut pairs = questions.iter().zip(proofs);
        pairs
            .find(|(_, proof)| *proof == wanted)
            .map(|(question, _)| question)
    };
    let finding = if let Some(question) = first(Dnssec::Bogus) {
        Some(Finding::new(
            "dnssec-bogus",
            &domain,
            format!(
                "the signatures of DNSSEC for {question} do not hold: whoever validates gets no answer, and neither sends mail there nor takes any from there"
            ),
            "sign the zone anew, and compare the DS records of the parent with the keys of the zone; `delv` shows where the chain breaks. Where that takes long, let the registrar take the DS records away",
        ))
    } else if let Some(question) = first(Dnssec::Unknown) {
        Some(Finding::new(
            "no-answer",
            question,
            format!("whether DNSSEC proves the answer for {question} could not be found out"),
            "run the audit again, with a longer --timeout or --budget, or with a --nameserver that passes the records of DNSSEC on",
        ))
    } else {
        // RFC 7672 §2.2: DANE needs it, as does a DKIM key that nobody is to put another in place of.
        first(Dnssec::Insecure).map(|_| Finding::new(
            "dnssec-unsigned",
            &domain,
            format!("{domain} is not signed with DNSSEC: mail works without it, but DANE does not, and who forges answers of DNS may forge every other record"),
            "sign the zone (many providers do it at the push of a button), and let the registrar publish its DS record",
        ))
    };
    let sentence = format!("DNSSEC proves what is said of {domain}");
    Ok(
        CheckReport::new(NAME, sentence, finding.into_iter().collect())
            .fact("soa", proofs[0].as_str())
            .fact("mx", proofs[1].as_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Answered, Probe};
    use super::super::testing::{judge_with, options, words};
    use super::*;

    #[test]
    fn the_worse_of_two_proofs_counts() {
        use Dnssec::{Bogus, Insecure, Secure, Unknown};
        for (soa, mx, expected) in [
            (Secure, Secure, &[][..]),
            (Insecure, Insecure, &["dnssec-unsigned"]),
            (Secure, Insecure, &["dnssec-unsigned"]),
            (Secure, Bogus, &["dnssec-bogus"]),
            (Bogus, Unknown, &["dnssec-bogus"]),
            (Unknown, Insecure, &["no-answer"]),
        ] {
            let shows = |probe: &Probe| match probe {
                Probe::Proof(question) if question.kind == RecordType::Soa => {
                    Some(Answered::Proof(soa))
                }
                Probe::Proof(_) => Some(Answered::Proof(mx)),
                _ => None,
            };
            let report = judge_with("dnssec", "", &options(), shows);
            assert_eq!(words(&report), expected, "{soa:?} {mx:?}");
            assert_eq!(report.facts["soa"], soa.as_str());
        }
    }
}
