//! The steps of a rotation, carried out. Each leaves the key store whole before and after, and none is taken
//! where the store says something else than when the step was chosen.

use std::io::Write as _;

use dkimkit::check::{Role, Wanted, judge};
use dkimkit::hash::HashAlgorithm;
use dkimkit::key::{KeyKind, SigningKey};
use dkimkit::keystore::{Entry, KeyState, Placing};
use dkimkit::name::Selector;
use dkimkit::publish::revoked;
use dkimkit::record::KeyRecord;
use dkimkit::record::lint::{PublicKey, Severity};
use dkimkit::rotate::Step;

use super::shown::{Record, Spoken};
use super::{DAY, KeyType, Rotation, Withdraw};
use crate::cli::Exit;
use crate::cli::output::Output;
use crate::cli::speech::{self, Trouble};

/// So many selectors are tried for a new key.
const MAX_TAKEN: usize = 20;

impl Rotation<'_> {
    pub(super) fn act(&mut self, step: &Step) -> Result<(), Trouble> {
        match step {
            Step::Generate { selector, after } => {
                if self.is_taken(selector)? {
                    return Ok(());
                }
                self.generate(selector, after)?;
            }
            Step::Publish { selector } => {
                self.say_what_is_wrong(selector)?;
                let record = self.record(selector)?;
                return self.hand_over(step, selector, Some(record));
            }
            Step::Withdraw { selector } => {
                let record = match self.args.withdraw {
                    Withdraw::Remove => None,
                    Withdraw::Revoke => Some(revoked(&self.record(selector)?)),
                };
                return self.hand_over(step, selector, record);
            }
            Step::Served { selector } => {
                let (now, kept) = (self.now(), self.survey(selector)?.kept_for());
                self.change(selector, KeyState::Pending, |entry| {
                    entry.notes.served = Some(now);
                    entry.notes.hold.get_or_insert(kept);
                })?;
            }
            Step::Lost { selector } => {
                let kept = self.survey(selector)?.kept_for();
                self.change(selector, KeyState::Pending, |entry| {
                    entry.notes.served = None;
                    // What stands there now may be remembered for longer than what stood there before.
                    entry.notes.hold = Some(entry.notes.hold.unwrap_or(0).max(kept));
                })?;
            }
            Step::Switch { to, from } => self.switch(to, from)?,
            Step::Revoke { selector } => {
                let (now, kept) = (self.now(), self.survey(selector)?.kept_for());
                self.change(selector, KeyState::Retired, |entry| {
                    // Who withdrew it without us has not told how long caches may have it.
                    let hold = entry.notes.hold.unwrap_or(DAY).max(kept);
                    entry.set_state(KeyState::Revoked, now);
                    entry.notes.hold = Some(hold);
                    entry.notes.gone = Some(now);
                })?;
            }
            Step::Gone { selector } => {
                let (now, kept) = (self.now(), self.survey(selector)?.kept_for());
                self.change(selector, KeyState::Revoked, |entry| {
                    entry.notes.gone = Some(now);
                    // Nobody knows how long caches may have what stood there before.
                    entry.notes.hold = Some(entry.notes.hold.unwrap_or(0).max(kept).max(DAY));
                })?;
            }
            Step::Back { selector } => {
                let kept = self.survey(selector)?.kept_for();
                self.change(selector, KeyState::Revoked, |entry| {
                    entry.notes.gone = None;
                    entry.notes.hold = Some(entry.notes.hold.unwrap_or(0).max(kept));
                })?;
            }
            Step::Reveal { selector } => self.reveal(selector)?,
            Step::Wait { .. } => return Ok(()),
        }
        self.done(step, None)
    }

    /// Changes one selector, if it is still in the state in which the step was chosen.
    fn change(
        &self,
        selector: &Selector,
        state: KeyState,
        change: impl FnOnce(&mut Entry),
    ) -> Result<(), Trouble> {
        let (domain, now) = (&self.args.domain, self.now());
        let done = self.store.change(domain, now, |entries| {
            let entry = entries.iter_mut().find(|entry| entry.selector == *selector);
            match entry.filter(|entry| entry.state == state) {
                Some(entry) => {
                    change(entry);
                    true
                }
                None => false,
            }
        })?;
        done.then_some(()).ok_or_else(|| self.overtaken())
    }

    fn switch(&self, to: &Selector, from: &[Selector]) -> Result<(), Trouble> {
        let (domain, now) = (&self.args.domain, self.now());
        let done = self.store.change(domain, now, |entries| {
            let is_in = |entries: &[Entry], selector: &Selector, state| {
                let mut entries = entries.iter();
                entries.any(|entry| entry.selector == *selector && entry.state == state)
            };
            let as_before = is_in(entries, to, KeyState::Pending)
                && from.iter().all(|old| is_in(entries, old, KeyState::Active));
            for entry in entries.iter_mut().filter(|_| as_before) {
                if entry.selector == *to {
                    entry.set_state(KeyState::Active, now);
                } else if from.contains(&entry.selector) {
                    entry.set_state(KeyState::Retired, now);
                }
            }
            as_before
        })?;
        done.then_some(()).ok_or_else(|| self.overtaken())
    }

    fn overtaken(&self) -> Trouble {
        let domain = &self.args.domain;
        let message = format!("somebody has changed the states of the keys of {domain} meanwhile");
        Trouble::new(Exit::TempFail, message).hint("nothing more was done; run it again")
    }

    /// Whether somebody else has a record at the name that the next key would get; then another is chosen.
    fn is_taken(&mut self, selector: &Selector) -> Result<bool, Trouble> {
        if self.args.selectors.contains(selector) {
            return Ok(false);
        }
        let survey = self.survey(selector)?;
        let taken = survey.texts().any(|txt| !survey.is_wildcard(txt));
        if taken && self.settings.taken.len() >= MAX_TAKEN {
            let message =
                format!("{selector} and {MAX_TAKEN} selectors before it are in use elsewhere");
            return Err(Trouble::usage(message).hint(
                "make the next key by hand: dkimkit generate -s SELECTOR, and rotate again",
            ));
        }
        if taken {
            self.settings.taken.push(selector.clone());
            self.say_once(
                || {
                    speech::note(format!(
                        "the selector {selector} is in use elsewhere; another is chosen"
                    ))
                },
                selector,
            );
        }
        Ok(taken)
    }

    /// A key like the old one, with a record like its record.
    fn generate(&mut self, selector: &Selector, after: &Selector) -> Result<(), Trouble> {
        if let Some(push) = &self.push {
            // Before anything is made, for it would be of no use.
            push.try_out(self.name(selector)?.as_str())?;
        }
        let domain = &self.args.domain;
        let old = self.store.key(domain, after)?;
        let kind = match (old.algorithm().key_type(), self.args.bits.as_deref()) {
            (KeyType::Ed25519, _) => KeyKind::Ed25519,
            (KeyType::Rsa, Some(bits)) => KeyKind::Rsa(bits.parse().unwrap_or(2048)),
            (KeyType::Rsa, None) => KeyKind::Rsa(match old.bits() {
                ..=2048 => 2048,
                2049..=3072 => 3072,
                _ => 4096,
            }),
        };
        let key = SigningKey::generate(kind).map_err(|e| Trouble::new(Exit::TempFail, e))?;
        let mut record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
        if let Ok(old) = KeyRecord::parse(self.store.record(domain, after)?.as_bytes(), 100) {
            record.strict_identity = old.strict_identity;
            record.service = old.service;
            record.hashes = old
                .hashes
                .filter(|hashes| hashes.contains(&HashAlgorithm::Sha256));
        }
        let group = self.store.group(domain, after);
        let orphaned = !self.store.pem_path(domain, selector).exists()
            && self.store.txt_path(domain, selector).exists();
        let placing = Placing {
            activate: false,
            // A fixed selector comes round again; its old pair is renamed. So is a record without a key, which
            // comes of a run that was killed.
            force: self.args.selectors.contains(selector) || orphaned,
            group: group.as_deref(),
        };
        self.store
            .add(domain, selector, &key, &record, placing, self.now())?;
        self.surveys.remove(selector.as_ascii());
        Ok(())
    }

    fn record(&self, selector: &Selector) -> Result<String, Trouble> {
        Ok(self.store.record(&self.args.domain, selector)?)
    }

    /// Names the faults of what a person has published.
    fn say_what_is_wrong(&mut self, selector: &Selector) -> Result<(), Trouble> {
        let wanted = Wanted {
            key: Some(PublicKey::of(&self.store.key(&self.args.domain, selector)?)),
            record: Some(self.record(selector)?),
            domain: Some(self.args.domain.to_string()),
            role: Role::Waits,
            ..Wanted::default()
        };
        let survey = self.survey(selector)?;
        if survey.texts().next().is_none() {
            return Ok(());
        }
        for finding in judge(survey, &wanted) {
            if finding.severity == Severity::Error {
                speech::warning(format!("{selector}: {}: {}", finding.word, finding.message));
            }
        }
        Ok(())
    }

    /// Pushes a record, or gives it to a person to publish. First it is remembered how long caches may keep what
    /// stands there now.
    fn hand_over(
        &mut self,
        step: &Step,
        selector: &Selector,
        text: Option<String>,
    ) -> Result<(), Trouble> {
        let state = match step {
            Step::Publish { .. } => KeyState::Pending,
            _ => KeyState::Retired,
        };
        let survey = self.survey(selector)?;
        let kept = survey.kept_for();
        let record = Record {
            name: survey.record_name().to_owned(),
            zone: survey.zone().map(str::to_owned),
            text,
            pushed: self.push.is_some(),
        };
        self.change(selector, state, |entry| {
            entry.notes.hold = Some(entry.notes.hold.unwrap_or(0).max(kept));
        })?;
        if let Some(push) = &self.push {
            let own = PublicKey::of(&self.store.key(&self.args.domain, selector)?);
            push.send(
                self.name(selector)?.as_str(),
                record.text.as_deref(),
                &own,
                false,
            )?;
        }
        self.handed_over.insert(selector.as_ascii().to_owned());
        self.surveys.remove(selector.as_ascii());
        self.done(step, Some(record))
    }

    /// Says what was done.
    fn done(&mut self, step: &Step, record: Option<Record>) -> Result<(), Trouble> {
        let spoken = Spoken {
            step: step.clone(),
            record,
        };
        let told = self.say(&spoken);
        self.spoken.push(spoken);
        told
    }

    /// Lets the private half appear where it is to be published, whole.
    fn reveal(&self, selector: &Selector) -> Result<(), Trouble> {
        let key = self.store.key(&self.args.domain, selector)?;
        let Some(path) = self.reveal_path(selector, &key)? else {
            return Ok(());
        };
        let name = path.display().to_string();
        if path.exists() {
            return Err(
                Trouble::usage(format!("{name} exists already, with other contents"))
                    .hint("take it away; nothing is overwritten"),
            );
        }
        let pem = key.to_pkcs8_pem().map_err(Trouble::usage)?;
        let mut output = Output::file(&path, false, false)?;
        let written = output.write_all(pem.as_bytes());
        written.map_err(|error| Trouble::write(&name, &error))?;
        output.finish()
    }
}
