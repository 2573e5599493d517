//! The steps of a rotation, carried out. Each leaves the key store whole before and after.

use std::io::Write as _;

use dkimkit::hash::HashAlgorithm;
use dkimkit::key::{KeyKind, SigningKey};
use dkimkit::keystore::{Entry, KeyState, Placing};
use dkimkit::name::Selector;
use dkimkit::publish::revoked;
use dkimkit::record::KeyRecord;
use dkimkit::rotate::Step;

use super::shown::{Record, Spoken};
use super::{KeyType, Rotation, Withdraw};
use crate::cli::Exit;
use crate::cli::output::Output;
use crate::cli::speech::Trouble;

impl Rotation<'_> {
    pub(super) fn act(&mut self, step: &Step) -> Result<(), Trouble> {
        match step {
            Step::Generate { selector, after } => self.generate(selector, after)?,
            Step::Publish { selector } => {
                let record = self.store.record(&self.args.domain, selector)?;
                self.hand_over(step, selector, Some(record))?;
            }
            Step::Withdraw { selector } => {
                let record = match self.args.withdraw {
                    Withdraw::Remove => None,
                    Withdraw::Revoke => {
                        let record = self.store.record(&self.args.domain, selector)?;
                        Some(revoked(&record))
                    }
                };
                self.hand_over(step, selector, record)?;
            }
            Step::Served { selector } => {
                let (now, kept) = (self.now(), self.survey(selector)?.kept_for());
                self.change(|entry| {
                    if entry.selector == *selector {
                        entry.notes.served = Some(now);
                        entry.notes.hold.get_or_insert(kept);
                    }
                })?;
            }
            Step::Lost { selector } => self.change(|entry| {
                if entry.selector == *selector {
                    entry.notes.served = None;
                }
            })?,
            Step::Switch { to, from } => {
                let now = self.now();
                self.change(|entry| {
                    if entry.selector == *to {
                        entry.set_state(KeyState::Active, now);
                    } else if from.contains(&entry.selector) {
                        entry.set_state(KeyState::Retired, now);
                    }
                })?;
            }
            Step::Revoke { selector } => {
                let (now, kept) = (self.now(), self.survey(selector)?.kept_for());
                self.change(|entry| {
                    if entry.selector == *selector {
                        let hold = entry.notes.hold.unwrap_or(0).max(kept);
                        entry.set_state(KeyState::Revoked, now);
                        entry.notes.hold = Some(hold);
                    }
                })?;
            }
            Step::Reveal { selector } => self.reveal(selector)?,
            Step::Wait { .. } => return Ok(()),
        }
        if !matches!(step, Step::Publish { .. } | Step::Withdraw { .. }) {
            self.done(step, None);
        }
        Ok(())
    }

    fn change(&self, change: impl FnMut(&mut Entry)) -> Result<(), Trouble> {
        Ok(self.store.change(&self.args.domain, self.now(), change)?)
    }

    fn done(&mut self, step: &Step, record: Option<Record>) {
        self.spoken.push(Spoken {
            step: step.clone(),
            record,
        });
    }

    /// A key like the old one, with a record like its record.
    fn generate(&mut self, selector: &Selector, after: &Selector) -> Result<(), Trouble> {
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
        let placing = Placing {
            activate: false,
            // A fixed selector comes round again; its old pair is renamed.
            force: self.args.selectors.contains(selector),
            group: group.as_deref(),
        };
        self.store
            .add(domain, selector, &key, &record, placing, self.now())?;
        self.surveys.remove(selector.as_ascii());
        Ok(())
    }

    /// Pushes a record, or gives it to a person to publish. First it is remembered how long caches may keep what
    /// stands there now.
    fn hand_over(
        &mut self,
        step: &Step,
        selector: &Selector,
        record: Option<String>,
    ) -> Result<(), Trouble> {
        let survey = self.survey(selector)?.clone();
        let kept = survey.kept_for();
        let record = Record {
            name: survey.record_name().to_owned(),
            zone: survey.zone().map(str::to_owned),
            text: record,
            pushed: self.push.is_some(),
        };
        self.change(|entry| {
            if entry.selector == *selector {
                entry.notes.hold = Some(entry.notes.hold.unwrap_or(0).max(kept));
            }
        })?;
        if let Some(push) = &self.push {
            push.send(self.name(selector)?.as_str(), record.text.as_deref())?;
        }
        self.handed_over.insert(selector.as_ascii().to_owned());
        self.surveys.remove(selector.as_ascii());
        self.done(step, Some(record));
        Ok(())
    }

    /// Lets the private half appear where it is to be published, whole.
    fn reveal(&self, selector: &Selector) -> Result<(), Trouble> {
        let Some(path) = self.reveal_path(selector)? else {
            return Ok(());
        };
        let name = path.display().to_string();
        let key = self.store.key(&self.args.domain, selector)?;
        let pem = key.to_pkcs8_pem().map_err(Trouble::usage)?;
        let mut output = Output::file(&path, false, false)?;
        output
            .write_all(pem.as_bytes())
            .map_err(|error| Trouble::write(&name, &error))?;
        output.finish()
    }
}
