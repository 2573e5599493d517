//! A message that is not ours, from the end of its header to its verdicts.

use super::super::config::{Action, Config};
use super::super::decide::client;
use super::super::journal::Severity;
use super::super::lookups::Gathering;
use super::super::session::Context;
use super::super::wire::Modification;
use super::mail::{Ending, NO_PASSING_SIGNATURE};
use super::{Filter, Live, Mail};
use crate::authres;
use crate::message::{Header, SplitError};
use crate::report::{Failure, ResultWord, Verdict, overall};
use crate::time::UnixTime;
use crate::verify::{Appetite, BodyVerifier, Verifier};

/// A message that is being verified. Its keys are looked up while its body comes.
pub(super) struct Verifying {
    body: BodyVerifier,
    lookups: Gathering,
}

impl Verifying {
    pub(super) fn new(header: Header, live: &Live, now: UnixTime) -> Verifying {
        let verifier = Verifier::new(header, live.lookups.policy(), now);
        let mut names = verifier.wanted().to_vec();
        let mut body = verifier.start_body();
        names.retain(|name| match live.lookups.known(name) {
            // What is known at once may spare the body.
            Some(keys) => {
                body.supply_keys(name, keys);
                false
            }
            None => true,
        });
        Verifying {
            body,
            lookups: live.lookups.gather(names),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Appetite {
        self.body.write(bytes)
    }

    /// Waits for the keys, which are there in time, whatever comes.
    async fn verdicts(mut self) -> Vec<Verdict> {
        for (name, keys) in self.lookups.keys().await {
            self.body.supply_keys(&name, keys);
        }
        self.body.finish()
    }
}

/// What becomes of a message with this result and reason.
fn action_for(config: &Config, result: ResultWord, reason: Option<&str>) -> Action {
    let actions = &config.verifying.actions;
    let by_reason = reason.and_then(|reason| actions.get(reason));
    let found = by_reason.or_else(|| actions.get(result.as_str()));
    found.copied().unwrap_or_default()
}

impl Filter {
    pub(super) async fn end_verifying(
        &self,
        context: &Context,
        mail: &mut Mail,
        verifying: Verifying,
    ) -> Ending {
        let verdicts = verifying.verdicts().await;
        let result = overall(&verdicts);
        // The best one speaks for the message; of equal ones the aligned one.
        let best = verdicts
            .iter()
            .min_by_key(|v| (v.result(), v.alignment.map_or(u8::MAX, |a| a as u8)));
        let reason = match best {
            Some(best) => best.failure().map(Failure::reason),
            None => Some("no-signature"),
        };
        let mut values = vec![("dkim", result.as_str().to_owned())];
        if let Some(best) = best {
            let claims = &best.claims;
            values.extend(
                claims
                    .domain
                    .iter()
                    .map(|d| ("domain", d.as_ascii().to_owned())),
            );
            values.extend(
                claims
                    .selector
                    .iter()
                    .map(|s| ("selector", s.as_ascii().to_owned())),
            );
            values.push(("aligned", best.alignment.is_some().to_string()));
        }
        if let Some(failure) = best.and_then(Verdict::failure) {
            values.push(("reason", failure.reason().to_owned()));
            values.push(("detail", failure.to_string()));
        }
        if verdicts.len() > 1 {
            values.push(("signatures", verdicts.len().to_string()));
        }
        if let Some(name) = mail.uses_our_name(context) {
            values.push(("uses_our_name", name));
        }
        let live = &mail.live;
        let mut modifications = std::mem::take(&mut mail.deletions);
        let field = authres::field(mail.id(), &verdicts);
        modifications.push(Modification::insert_field(0, &field));
        Ending {
            event: "verified",
            result: result.as_str().to_owned(),
            severity: Severity::Info,
            values,
            action: action_for(&live.config, result, reason),
            code: NO_PASSING_SIGNATURE,
            modifications,
        }
    }
}

impl Mail {
    pub(super) fn end_unreadable(&mut self, fault: SplitError) -> Ending {
        let failure = Failure::Message(fault);
        let result = failure.result();
        let action = action_for(&self.live.config, result, Some(failure.reason()));
        let mut modifications = std::mem::take(&mut self.deletions);
        let field = authres::unreadable(self.id(), &failure);
        modifications.push(Modification::insert_field(0, &field));
        Ending {
            event: "verified",
            result: result.as_str().to_owned(),
            severity: Severity::Info,
            values: vec![
                ("dkim", result.as_str().to_owned()),
                ("reason", failure.reason().to_owned()),
                ("detail", failure.to_string()),
            ],
            action,
            code: NO_PASSING_SIGNATURE,
            modifications,
        }
    }

    /// The domain of the author, where it is one that we sign for and the client is not known to use it.
    fn uses_our_name(&self, context: &Context) -> Option<String> {
        let (ip, host) = client(context);
        let config = &self.live.config;
        if ip.is_some_and(|ip| config.signing.may_use_our_names.admits(ip, &host)) {
            return None;
        }
        let author = self.writers.as_ref()?.author()?;
        let ours = self.live.keyring.knows(&author.domain)
            || !config.signing.rules.of(&author.text()).is_empty();
        ours.then(|| author.domain.as_ascii().to_owned())
    }
}
