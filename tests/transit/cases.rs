//! Cases: a message that was signed, what was done to it, and what came of it.

use std::sync::Arc;

use dkimkit::explain::Kind;
use dkimkit::policy::{Level, Policy};
use dkimkit::report::ResultWord;

use crate::edits::{self, Edit, Fate};
use crate::mail::Mail;
use crate::messages;
use crate::random::Random;
use crate::signing::{self, BUGS, Bug, Keys, NOW, Plan, View};
use crate::words;

/// Something that breaks a signature.
#[derive(Clone, Copy)]
pub(crate) enum Deed {
    Edit(Edit),
    Bug(Bug, &'static str, &'static [Kind]),
}

impl Deed {
    pub(crate) fn all() -> Vec<Deed> {
        let edits = edits::all().into_iter().map(Deed::Edit);
        let bugs = BUGS
            .iter()
            .map(|(bug, name, kinds)| Deed::Bug(*bug, name, kinds));
        edits.chain(bugs).collect()
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Deed::Edit(edit) => edit.name,
            Deed::Bug(_, name, _) => name,
        }
    }

    pub(crate) fn kinds(&self) -> &'static [Kind] {
        match self {
            Deed::Edit(edit) => edit.kinds,
            Deed::Bug(_, _, kinds) => kinds,
        }
    }

    fn is_last(&self) -> bool {
        matches!(self, Deed::Edit(edit) if edit.is_of_wire())
    }
}

pub(crate) struct Case {
    pub(crate) shape: &'static str,
    pub(crate) plan: Plan,
    pub(crate) policy: Arc<Policy>,
    pub(crate) deeds: Vec<Deed>,
    /// For each deed, whether it can be undone.
    pub(crate) fates: Vec<Fate>,
    /// As it was signed, with the fields of its way that are not signed.
    pub(crate) signed: Vec<u8>,
    pub(crate) came: Vec<u8>,
    pub(crate) lf_is_crlf: bool,
    pub(crate) signed_views: Vec<View>,
    /// None where the header cannot be read.
    pub(crate) came_views: Option<Vec<View>>,
}

impl Case {
    pub(crate) fn is_undoable(&self) -> bool {
        self.fates.iter().all(|fate| *fate == Fate::Undoable)
    }

    pub(crate) fn bug(&self) -> Option<Bug> {
        self.plan.bug
    }

    pub(crate) fn describe(&self) -> String {
        let deeds: Vec<String> = self
            .deeds
            .iter()
            .zip(&self.fates)
            .map(|(deed, fate)| format!("{} ({fate:?})", deed.name()))
            .collect();
        format!(
            "{}; {} signed {} by {}{}{}{}",
            deeds.join(", then "),
            self.shape,
            self.plan.canon,
            self.plan.selectors.join("+"),
            if self.plan.z { ", z=" } else { "" },
            if self.plan.limit { ", l=" } else { "" },
            if self.lf_is_crlf {
                ""
            } else {
                ", LF read as it is"
            },
        )
    }
}

/// A message that holds, to begin with.
pub(crate) struct Sent {
    pub(crate) mail: Mail,
    pub(crate) shape: &'static str,
    pub(crate) plan: Plan,
    pub(crate) policy: Arc<Policy>,
    pub(crate) message: Vec<u8>,
}

/// None where the bug makes no difference for the message that was drawn.
pub(crate) fn send(rng: &mut Random, keys: &Keys, bug: Option<Bug>) -> Option<Sent> {
    let made = messages::make(rng);
    let mut plan = Plan::make(rng, &made.mail);
    plan.bug = bug;
    let message = plan.sign(keys, &made.mail)?;
    let policy = [Level::Strict, Level::Rfc]
        .map(Policy::new)
        .into_iter()
        .find(|policy| passes(keys, &message, policy));
    let policy = match (policy, bug) {
        (None, None) => panic!(
            "the test's own signer is wrong:\n{}",
            String::from_utf8_lossy(&message)
        ),
        // It passes all the same, so it is no bug.
        (Some(_), Some(_)) => return None,
        (policy, _) => policy.unwrap_or(Policy::new(Level::Rfc)),
    };
    Some(Sent {
        mail: made.mail,
        shape: made.shape,
        plan,
        policy: Arc::new(policy),
        message,
    })
}

/// Whether every signature of the message holds.
pub(crate) fn passes(keys: &Keys, message: &[u8], policy: &Policy) -> bool {
    let verdicts = dkimkit::verify(message, &keys.zone, policy, NOW).unwrap_or_default();
    !verdicts.is_empty() && verdicts.iter().all(|v| v.result() == ResultWord::Pass)
}

/// Draws messages until one is broken by the deeds.
pub(crate) fn draw(rng: &mut Random, keys: &Keys, deeds: &[Deed]) -> Option<Case> {
    let mut deeds = deeds.to_vec();
    deeds.sort_by_key(Deed::is_last);
    (0..600).find_map(|_| attempt(rng, keys, &deeds))
}

fn attempt(rng: &mut Random, keys: &Keys, deeds: &[Deed]) -> Option<Case> {
    let bug = deeds.iter().find_map(|deed| match deed {
        Deed::Bug(bug, ..) => Some(*bug),
        Deed::Edit(_) => None,
    });
    // What was hashed with LF holds once LF stands there.
    if bug == Some(Bug::BodyLf) && deeds.iter().any(Deed::is_last) {
        return None;
    }
    let sent = send(rng, keys, bug)?;
    let mut lf_is_crlf = signing::with_crlf(&sent.message) == sent.message;
    let signed_views = signing::views(&sent.message, lf_is_crlf)?;
    let mut before = Some(signed_views.clone());
    let mut came = sent.message.clone();
    let mut fates = Vec::new();
    for deed in deeds {
        let Deed::Edit(edit) = deed else {
            fates.push(Fate::Undoable);
            continue;
        };
        let (message, fate) = edit.on(rng, &came, &sent.plan)?;
        let mut after = signing::views(&message, lf_is_crlf);
        if after == before && lf_is_crlf {
            // What a reader of files would mend is told to one who reads what is there.
            lf_is_crlf = false;
            after = signing::views(&message, false);
        }
        if after == before {
            return None;
        }
        before = after;
        came = message;
        fates.push(fate);
    }
    // The second must not have undone the first.
    if bug.is_none() && before.as_ref() == Some(&signed_views) {
        return None;
    }
    let mut signed = sent.message;
    let on_wire = deeds.iter().any(Deed::is_last);
    if !on_wire && rng.below(2) == 0 {
        let trace = trace(rng);
        signed = [trace.as_bytes(), &signed].concat();
        came = [trace.as_bytes(), &came].concat();
    }
    let came_views = signing::views(&came, lf_is_crlf);
    Some(Case {
        shape: sent.shape,
        plan: sent.plan,
        policy: sent.policy,
        deeds: deeds.to_vec(),
        fates,
        signed,
        came,
        lf_is_crlf,
        signed_views,
        came_views,
    })
}

/// What every server puts on top, and nobody signs.
pub(crate) fn trace(rng: &mut Random) -> String {
    let mut out = format!(
        "Return-Path: <bounce+{}@lists.example>\r\nDelivered-To: reader@customer.example\r\n",
        words::token(rng, 6)
    );
    for at in 0..1 + rng.below(3) {
        out.push_str(&format!(
            "Received: from relay{at}.example (relay{at}.example [198.51.100.{}])\r\n\tby mx.customer.example (Postfix) with ESMTPS id {}\r\n\tfor <reader@customer.example>; Mon, 14 Dec 2026 09:27:1{at} +0100 (CET)\r\n",
            rng.below(200) + 1,
            words::token(rng, 12),
        ));
    }
    if rng.below(2) == 0 {
        out.push_str("Authentication-Results: mx.customer.example;\r\n\tdkim=fail (body hash did not verify) header.d=test.example\r\nX-Spam-Status: No, score=1.2 required=5.0\r\n");
    }
    out
}
