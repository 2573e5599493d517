//! Holds what the search says against what was done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dkimkit::canon::Sink as _;
use dkimkit::dns::{LookupTxt as _, Zone};
use dkimkit::explain::{Explained, Explanation, Kind, Options, Part, explain};
use dkimkit::hash::{HashAlgorithm, Hasher};
use dkimkit::policy::{Level, Policy};
use dkimkit::verify::PublishedKeys;

use crate::cases::{self, Case};
use crate::signing::{self, Bug, Keys, NOW, View};

/// What came of a case.
#[derive(Default)]
pub(crate) struct Outcome {
    /// All was undone, and the result verifies; for what is lost, nobody asks for that.
    pub(crate) found: bool,
    /// Each deed is named by a kind that fits it.
    pub(crate) named: bool,
    /// What was restored is what was signed, byte by byte.
    pub(crate) exact: bool,
    pub(crate) took: Duration,
    /// Claims that are not true.
    pub(crate) false_claims: Vec<String>,
    /// What could have been proven and was not said.
    pub(crate) unproven: Vec<String>,
    /// What was said, in one line.
    pub(crate) said: String,
}

impl Outcome {
    /// No answer, which may be right for what is no message.
    pub(crate) fn unasked(&mut self, why: &Unasked, may_be: bool) {
        self.said = match why {
            Unasked::Unreadable => "the header cannot be read",
            Unasked::Panicked => "the search panicked",
        }
        .into();
        if !may_be || matches!(why, Unasked::Panicked) {
            self.unproven.push(self.said.clone());
        }
    }
}

/// What the search did not come to.
pub(crate) enum Unasked {
    /// The header cannot be read.
    Unreadable,
    Panicked,
}

pub(crate) fn ask(
    message: &[u8],
    zone: &Zone,
    policy: &Arc<Policy>,
    lf_is_crlf: bool,
    budget: Duration,
) -> Result<Explanation, Unasked> {
    let options = Options {
        policy: policy.clone(),
        budget,
        lf_is_crlf,
        ..Options::new(NOW)
    };
    let keys = |name: &_| Arc::new(PublishedKeys::read(zone.lookup_txt(name), policy));
    match catch_unwind(AssertUnwindSafe(|| explain(message, keys, &options))) {
        Ok(explanation) => explanation.map_err(|_| Unasked::Unreadable),
        Err(_) => Err(Unasked::Panicked),
    }
}

pub(crate) fn judge(case: &Case, keys: &Keys, budget: Duration) -> Outcome {
    let began = Instant::now();
    let explanation = ask(
        &case.came,
        &keys.zone,
        &case.policy,
        case.lf_is_crlf,
        budget,
    );
    let mut outcome = Outcome {
        took: began.elapsed(),
        ..Outcome::default()
    };
    let explanation = match explanation {
        Ok(explanation) => explanation,
        Err(why) => {
            outcome.unasked(&why, false);
            return outcome;
        }
    };
    outcome.said = said(&explanation);
    if let Some(came) = &case.came_views
        && came.len() == explanation.signatures.len()
        && came.len() == case.signed_views.len()
        && explanation.reading.is_empty()
    {
        for (at, explained) in explanation.signatures.iter().enumerate() {
            sides(
                case,
                explained,
                &case.signed_views[at],
                &came[at],
                &mut outcome,
            );
        }
    }
    missing_fields(case, &explanation, &mut outcome);
    let best = explanation.restorable().or(explanation.signatures.first());
    let Some(best) = best else {
        outcome.unproven.push("no signature was seen".into());
        return outcome;
    };
    restored(case, keys, best, &mut outcome);
    let kinds: Vec<Kind> = explanation
        .reading
        .iter()
        .chain(best.changes())
        .map(|change| change.kind)
        .collect();
    outcome.named = case.deeds.iter().all(|deed| {
        let mut fitting = deed.kinds().iter();
        // A copy in z= says what the value was, and not how it came to be another.
        let by_copy = case.plan.z && kinds.contains(&Kind::FieldChanged);
        fitting.any(|kind| kinds.contains(kind)) || by_copy
    });
    outcome
}

/// Each side that is as it was signed must be said to hold, and none else.
fn sides(case: &Case, explained: &Explained, signed: &View, came: &View, outcome: &mut Outcome) {
    let of_header = case.bug().is_some_and(Bug::is_of_header);
    // An edit may do by chance what makes up for a bug: the hash decides.
    let body_holds = match case.bug() {
        Some(_) => hash(&came.body) == came.hash && !came.short,
        None => signed.body == came.body,
    };
    let header_holds = signed.header == came.header && !of_header;
    // Where bh= was damaged, what it says of the body is not what the signer said.
    if signed.hash != came.hash {
        return;
    }
    for (name, holds, part) in [
        ("body", body_holds, &explained.body),
        ("header", header_holds, &explained.header),
    ] {
        match part {
            Part::Changed(_) if holds => outcome
                .false_claims
                .push(format!("the {name} is said to be changed and is not")),
            Part::Holds if !holds => outcome
                .false_claims
                .push(format!("the {name} is said to hold and does not")),
            Part::Unexplained(_) | Part::Unjudged(_) if holds => outcome
                .unproven
                .push(format!("the {name} holds, and that is not said")),
            _ => {}
        }
    }
}

fn hash(text: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    hasher.put(text);
    hasher.finish().as_bytes().to_vec()
}

/// A field of h= that was there and is gone is told as absent.
fn missing_fields(case: &Case, explanation: &Explanation, outcome: &mut Outcome) {
    use crate::mail::Mail;
    let (Some(signed), Some(came)) = (Mail::parse(&case.signed), Mail::parse(&case.came)) else {
        return;
    };
    for name in &case.plan.names {
        let gone = signed.count(name) > 0 && came.count(name) == 0;
        let told = explanation.signatures.iter().all(|s| {
            let mut covered = s
                .covered
                .iter()
                .filter(|(n, _)| n.eq_ignore_ascii_case(name));
            s.signature.is_none() || covered.all(|(_, at)| at.is_none())
        });
        if gone && !told {
            outcome
                .unproven
                .push(format!("{name} is gone, and that is not said"));
        }
    }
}

fn restored(case: &Case, keys: &Keys, best: &Explained, outcome: &mut Outcome) {
    let known = |part: &Part| matches!(part, Part::Holds | Part::Changed(_));
    if case.bug().is_some() {
        // There is nothing to restore that would verify.
        outcome.found = known(&best.body) && known(&best.header);
        outcome.exact = outcome.found
            && (case.signed == case.came || best.restored().as_ref() == Some(&case.signed));
        return;
    }
    let Some(text) = best.restored() else {
        return;
    };
    // Two signatures may need different things undone; the one that was taken must hold.
    // With l=, text behind the end may be left, of which the signature says nothing.
    let policy = Policy::new(Level::Rfc);
    let verdicts = dkimkit::verify(&text, &keys.zone, &policy, NOW).unwrap_or_default();
    let same =
        |claims: &dkimkit::signature::Claims| claims.selector == best.verdict.claims.selector;
    let holds = verdicts
        .iter()
        .any(|v| same(&v.claims) && v.failure().is_none());
    if !holds && !cases::passes(keys, &text, &policy) {
        outcome
            .false_claims
            .push("what was restored does not verify".into());
        return;
    }
    let views = signing::views(&text, false).unwrap_or_default();
    let equal = views.iter().any(|view| case.signed_views.contains(view));
    if !equal {
        outcome
            .false_claims
            .push("what was restored is not what was signed".into());
        return;
    }
    outcome.found = true;
    outcome.exact = text == case.signed;
}

/// One line on all that was said.
pub(crate) fn said(explanation: &Explanation) -> String {
    let part = |part: &Part| match part {
        Part::Holds => "holds".to_owned(),
        Part::Changed(changes) => changes
            .iter()
            .map(|c| c.kind.as_str())
            .collect::<Vec<_>>()
            .join("+"),
        Part::Unexplained(effort) => format!(
            "unexplained ({} tried{})",
            effort.tried,
            if effort.finished {
                ""
            } else {
                ", not finished"
            }
        ),
        Part::Unjudged(why) => format!("unjudged ({why:?})"),
    };
    let reading: Vec<&str> = explanation
        .reading
        .iter()
        .map(|c| c.kind.as_str())
        .collect();
    let signatures: Vec<String> = explanation
        .signatures
        .iter()
        .map(|s| format!("body {}, header {}", part(&s.body), part(&s.header)))
        .collect();
    match reading.is_empty() {
        true => signatures.join("; "),
        false => format!("reading {}; {}", reading.join("+"), signatures.join("; ")),
    }
}
