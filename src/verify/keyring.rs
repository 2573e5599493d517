//! The keys that were supplied for the signatures of a message, and a signature held against those at one name.

use std::sync::Arc;

use super::published::{KeyUse, Keys, PublishedKeys};
use crate::dns::{Answer, Cause};
use crate::hash::{BodyHash, BodyHashSpec, BodyLimit, Digest};
use crate::name::KeyName;
use crate::policy::Policy;
use crate::record::RecordError;
use crate::report::{Failure, KeyFacts};

/// The keys that are wanted, those that came so far, and the policy that they were read under.
#[derive(Debug)]
pub(crate) struct Keyring {
    pub(crate) policy: Arc<Policy>,
    wanted: Vec<KeyName>,
    keys: Vec<(KeyName, Arc<PublishedKeys>)>,
}

impl Keyring {
    pub(crate) fn new(policy: Arc<Policy>, wanted: Vec<KeyName>) -> Keyring {
        let keys = Vec::new();
        Keyring {
            policy,
            wanted,
            keys,
        }
    }

    /// The names of the keys that are wanted, each once.
    pub(crate) fn wanted(&self) -> &[KeyName] {
        &self.wanted
    }

    /// Wants one more.
    pub(crate) fn want(&mut self, name: &KeyName) {
        if !self.wanted.contains(name) {
            self.wanted.push(name.clone());
        }
    }

    /// Reads an answer and takes it; one for a name that is not wanted costs nothing.
    pub(crate) fn supply_answer(&mut self, name: &KeyName, answer: Answer) {
        if !self.wanted.contains(name) {
            return;
        }
        let keys = PublishedKeys::read(answer, &self.policy);
        self.supply(name, Arc::new(keys));
    }

    /// Takes keys that were read before.
    pub(crate) fn supply(&mut self, name: &KeyName, keys: Arc<PublishedKeys>) {
        if !self.wanted.contains(name) {
            return;
        }
        // The first answer stands, because the body may have been left unread for it; only a temporary
        // failure, for which nothing is left unread, gives way to a later answer.
        let known = self.keys.iter_mut().find(|(known, _)| known == name);
        match known {
            None => self.keys.push((name.clone(), keys)),
            Some((_, old)) if matches!(old.0, Keys::None(Failure::Temporary(_))) => *old = keys,
            Some(_) => {}
        }
    }

    fn keys(&self, name: &KeyName) -> Option<&Keys> {
        let known = self.keys.iter().find(|(known, _)| known == name);
        known.map(|(_, keys)| &keys.0)
    }

    /// Whether an answer may still come, or there is a key that may be used so.
    pub(crate) fn may_pass(&self, name: &KeyName, wanted: KeyUse<'_>) -> bool {
        match self.keys(name) {
            None | Some(Keys::None(Failure::Temporary(_))) => true,
            Some(Keys::None(_)) => false,
            Some(Keys::Records(records)) => records.iter().any(|r| r.usable(wanted).is_ok()),
        }
    }

    /// Holds a signature against each key at `name`.
    ///
    /// `digest` gives what was signed, `None` beyond a cap; it is asked for once, and only where there is a key
    /// that may be used. `decide` is told whether the signature holds under a key.
    pub(crate) fn judge(
        &self,
        name: &KeyName,
        wanted: KeyUse<'_>,
        signature: &[u8],
        digest: impl FnOnce() -> Option<Digest>,
        decide: impl Fn(bool) -> Result<(), Failure>,
    ) -> (Result<(), Failure>, Option<KeyFacts>) {
        let records = match self.keys(name) {
            None => return (Err(Failure::Temporary(Cause::NotAsked)), None),
            Some(Keys::None(failure)) => return (Err(failure.clone()), None),
            Some(Keys::Records(records)) => records,
        };
        // Only a key that may be used is worth the hashing of the header.
        let mut known = None;
        if records.iter().any(|r| r.usable(wanted).is_ok()) {
            known = digest();
            if known.is_none() {
                return (Err(Failure::NotEvaluated), None);
            }
        }
        let mut worst = None;
        for record in records {
            let facts = record.facts();
            let judged = record.usable(wanted).and_then(|key| {
                let hash = wanted.algorithm.hash();
                decide(known.is_some_and(|digest| key.verify(&digest, hash, signature)))
            });
            match judged {
                Ok(()) => return (Ok(()), facts),
                // Of several records, the one that came furthest tells the most.
                Err(failure) => match &worst {
                    Some((known, _)) if progress(known) >= progress(&failure) => {}
                    _ => worst = Some((failure, facts)),
                },
            }
        }
        let (failure, facts) = worst.expect("an answer with records has at least one");
        (Err(failure), facts)
    }
}

/// The verdict on a signature over header and body, where it is known whether it holds for the header.
pub(crate) fn header_and_body(
    header_holds: bool,
    body: BodyHash,
    spec: &BodyHashSpec,
    body_hash: &[u8],
) -> Result<(), Failure> {
    match (body.digest, spec.limit) {
        (None, BodyLimit::Octets(limit)) => Err(Failure::BodyTooShort {
            limit,
            len: body.canonical_len,
        }),
        (Some(digest), _) if digest.as_bytes() == body_hash => {
            header_holds.then_some(()).ok_or(Failure::Mismatch)
        }
        _ => Err(Failure::BodyHash { header_holds }),
    }
}

/// How far a signature came with one of several records.
fn progress(failure: &Failure) -> u8 {
    match failure {
        Failure::Record(RecordError::NotDkim) => 0,
        Failure::Record(_) | Failure::RecordTooLong { .. } => 1,
        Failure::Revoked => 2,
        Failure::BodyHash { header_holds: true } => 6,
        Failure::BodyHash { .. } | Failure::Mismatch | Failure::BodyTooShort { .. } => 5,
        Failure::Key(_) => 4,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(selector: &str) -> KeyName {
        KeyName::published(&format!("{selector}._domainkey.example.org")).unwrap()
    }

    fn keyring(wanted: &[&str]) -> Keyring {
        let wanted = wanted.iter().map(|s| name(s)).collect();
        Keyring::new(Arc::new(Policy::default()), wanted)
    }

    /// What is known of the keys at `selector`, for the eye.
    fn known(keyring: &Keyring, selector: &str) -> String {
        format!("{:?}", keyring.keys(&name(selector)))
    }

    #[test]
    fn an_answer_for_a_name_that_is_not_wanted_is_not_kept() {
        let mut keyring = keyring(&["a"]);
        for other in 0..1000 {
            keyring.supply_answer(&name(&format!("b{other}")), Answer::NoName);
            let keys = PublishedKeys::read(Answer::NoName, &keyring.policy);
            keyring.supply(&name(&format!("c{other}")), Arc::new(keys));
        }
        assert!(keyring.keys.is_empty());

        keyring.supply_answer(&name("a"), Answer::NoName);
        assert_eq!(keyring.keys.len(), 1);
        keyring.want(&name("b1"));
        keyring.want(&name("b1"));
        assert_eq!(keyring.wanted(), [name("a"), name("b1")]);
        keyring.supply_answer(&name("b1"), Answer::NoData);
        assert_eq!(keyring.keys.len(), 2);
    }

    #[test]
    fn the_first_answer_stands_unless_it_was_temporary() {
        let mut keyring = keyring(&["a"]);
        assert_eq!(known(&keyring, "a"), "None");
        keyring.supply_answer(&name("a"), Answer::Temporary(Cause::Timeout));
        keyring.supply_answer(&name("a"), Answer::NoName);
        let settled = known(&keyring, "a");
        keyring.supply_answer(&name("a"), Answer::NoData);
        keyring.supply_answer(&name("a"), Answer::Temporary(Cause::Timeout));
        assert_eq!(known(&keyring, "a"), settled);
        assert!(!settled.contains("Temporary"), "{settled}");
    }
}
