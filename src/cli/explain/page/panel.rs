//! One signature: what it is, what was found, and the message as it sees it.

use dkimkit::explain::{Change, Explained, Explanation, Who};
use dkimkit::hash::BodyLimit;
use dkimkit::report::Verdict;
use dkimkit::time::UnixTime;

use super::message::message;
use super::state::legend;
use super::word;
use crate::cli::page::{Html, sentence};

/// All about a signature, and the message as it sees it.
pub(super) fn panel(
    html: &mut Html,
    id: &str,
    explanation: &Explanation,
    explained: &Explained,
    room: usize,
) {
    let verdict = &explained.verdict;
    let before = html.room();
    html.with("h3", &[("id", &format!("{id}h"))], |html| {
        html.text(&format!("Signature {} ", verdict.index + 1));
        word(html, verdict.result());
    });
    let sentences = explained.sentences();
    if let Some(first) = sentences.first() {
        html.element("p", "", |html| html.brief(&sentence(first), 2_000));
    }
    if verdict.failure().is_none() && verdict.alignment.is_none() {
        html.say("p", "", "It passes, but not for the domain of From.");
    }
    html.within(room / 4, |html| {
        facts(html, verdict);
        findings(html, sentences.get(1..).unwrap_or_default(), explained);
    });
    legend(html);
    let used = before - html.room();
    message(
        html,
        explanation,
        Some(explained),
        room.saturating_sub(used + 2_000),
    );
}

fn facts(html: &mut Html, verdict: &Verdict) {
    let claims = &verdict.claims;
    html.element("dl", "facts", |html| {
        let mut fact = |name: &str, value: Option<String>| {
            let Some(value) = value else {
                return;
            };
            html.say("dt", "", name);
            html.element("dd", "", |html| {
                html.element("bdi", "", |html| html.brief(&value, 300))
            });
        };
        let domain = claims.domain.as_ref();
        fact("Domain (d=)", domain.map(|d| d.as_str().to_owned()));
        let name = domain.zip(claims.selector.as_ref());
        fact(
            "Key",
            name.map(|(domain, selector)| {
                format!("{}._domainkey.{}", selector.as_str(), domain.as_str())
            }),
        );
        fact(
            "Key size",
            verdict
                .key
                .and_then(|key| key.bits)
                .map(|bits| format!("{bits} bits")),
        );
        let testing = verdict.key.is_some_and(|key| key.testing);
        fact(
            "Testing (t=y)",
            testing.then(|| "the domain is testing: nothing may be held against it".to_owned()),
        );
        fact(
            "Algorithm (a=)",
            claims
                .algorithm
                .map(|algorithm| algorithm.as_str().to_owned()),
        );
        fact(
            "Canonicalization (c=)",
            claims.canonicalization.map(|canon| canon.to_string()),
        );
        fact(
            "Identity (i=)",
            claims.identity.as_ref().map(ToString::to_string),
        );
        fact("Signed at (t=)", claims.timestamp.map(time));
        fact("Valid until (x=)", claims.expiration.map(time));
        fact(
            "Body covered (l=)",
            match claims.body_limit {
                Some(BodyLimit::Octets(n)) => Some(format!("the first {n} octets")),
                Some(BodyLimit::Whole) | None => None,
            },
        );
        let aligned = if verdict.alignment.is_some() {
            "yes"
        } else {
            "no"
        };
        fact("Aligned with From", domain.map(|_| aligned.to_owned()));
    });
}

fn time(time: UnixTime) -> String {
    match time {
        UnixTime::INFINITE => "a time that cannot be read".to_owned(),
        time => time.to_rfc3339(),
    }
}

/// What was found, who is likely to have done it, and what helps.
fn findings(html: &mut Html, sentences: &[String], explained: &Explained) {
    if !sentences.is_empty() {
        html.say("h4", "", "What was found");
        html.element("ul", "", |html| {
            for text in sentences {
                html.element("li", "", |html| html.brief(&sentence(text), 2_000));
            }
        });
    }
    let mut kinds: Vec<_> = Vec::new();
    for Change { kind, .. } in explained.changes() {
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    if kinds.is_empty() {
        return;
    }
    html.say("h4", "", "Who is likely to have done it");
    html.element("ul", "", |html| {
        let mut told = Vec::new();
        for kind in &kinds {
            if !told.contains(&kind.culprit()) {
                told.push(kind.culprit());
                html.say("li", "", &sentence(kind.culprit()));
            }
        }
    });
    html.say("h4", "", "What helps");
    html.element("dl", "", |html| {
        for who in [Who::Sender, Who::List, Who::Gateway, Who::Receiver] {
            let mends = kinds
                .iter()
                .flat_map(|kind| kind.mends())
                .filter(|(by, _)| *by == who);
            let mut told: Vec<&str> = Vec::new();
            for (_, mend) in mends {
                if !told.contains(mend) {
                    told.push(mend);
                }
            }
            if told.is_empty() {
                continue;
            }
            html.say("dt", "", who_is(who));
            html.element("dd", "", |html| {
                html.element("ul", "", |html| {
                    for mend in told {
                        html.say("li", "", &sentence(mend));
                    }
                });
            });
        }
    });
}

fn who_is(who: Who) -> &'static str {
    match who {
        Who::Sender => "The sender",
        Who::List => "The list",
        Who::Gateway => "The gateway",
        Who::Receiver => "The receiver",
    }
}
