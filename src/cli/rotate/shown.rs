//! What a rotation says: what was done, what a person must publish, and what is waited for.

use dkimkit::keystore::{Entry, KeyState};
use dkimkit::name::{Domain, KeyName};
use dkimkit::report::spaced_json;
use dkimkit::rotate::{Step, Wait};
use dkimkit::time::UnixTime;
use serde_json::{Value, json};

use super::{Rotation, Withdraw};
use crate::cli::speech::{self, Trouble};
use crate::cli::{Exit, output};

/// A step that was taken.
pub(super) struct Spoken {
    pub(super) step: Step,
    /// What was published by it, or is to be.
    pub(super) record: Option<Record>,
}

/// A record and its name.
pub(super) struct Record {
    /// With its final dot.
    pub(super) name: String,
    /// The zone in which it lies, if one was found.
    pub(super) zone: Option<String>,
    /// `None` where what stands there is to go.
    pub(super) text: Option<String>,
    /// Whether it was pushed; else a person must publish it.
    pub(super) pushed: bool,
}

impl Rotation<'_> {
    /// Says how it ended, and gives the exit code.
    pub(super) fn tell(&self, ends: Result<Vec<Step>, Trouble>) -> Result<Exit, Trouble> {
        let rest = match ends {
            Ok(rest) => rest,
            Err(trouble) => {
                // What was done before is told all the same.
                if self.args.json && !self.spoken.is_empty() {
                    self.tell_json(&[], "error")?;
                }
                return Err(trouble);
            }
        };
        let exit = self.exit(&rest);
        if self.args.json {
            let result = match exit {
                Exit::No => "publish",
                Exit::TempFail => "waiting",
                _ => "done",
            };
            self.tell_json(&rest, result)?;
        } else {
            self.tell_text(&rest, exit)?;
        }
        Ok(exit)
    }

    /// Says at once what was done, and prints what a person is to publish.
    pub(super) fn say(&self, spoken: &Spoken) -> Result<(), Trouble> {
        if self.args.json {
            return Ok(());
        }
        speech::note(self.sentence(&spoken.step, spoken.record.as_ref()));
        match &spoken.record {
            Some(record) if !record.pushed => output::print(&self.render(record)?),
            _ => Ok(()),
        }
    }

    /// Says what a run that waits is waiting for; each thing once.
    pub(super) fn say_what_is_waited_for(&mut self, rest: &[Step]) {
        for step in rest.iter().filter(|_| !self.args.json) {
            let note = match step {
                Step::Wait { selector, what } if what.is_for_dns() => {
                    format!("{selector}: {}", waiting(*what))
                }
                Step::Publish { selector } => format!("{selector}: {}", waiting(Wait::Servers)),
                Step::Withdraw { selector } => {
                    format!("{selector}: {}", waiting(Wait::Withdrawal))
                }
                _ => continue,
            };
            if self.said.insert(note.clone()) {
                speech::note(note);
            }
        }
    }

    fn by_hand(&self) -> impl Iterator<Item = &Record> {
        let records = self.spoken.iter().filter_map(|told| told.record.as_ref());
        records.filter(|record| !record.pushed)
    }

    fn exit(&self, rest: &[Step]) -> Exit {
        let waits = |step: &Step| match step {
            Step::Wait { what, .. } => what.is_for_dns(),
            Step::Publish { .. } | Step::Withdraw { .. } => true,
            _ => false,
        };
        // What was printed in this run and is published meanwhile is no work any more.
        let asked = |step: &Step| matches!(step, Step::Publish { .. } | Step::Withdraw { .. });
        let by_hand = self.by_hand().next().is_some() && rest.iter().any(asked);
        let stranger = |step: &Step| {
            matches!(
                step,
                Step::Wait {
                    what: Wait::Stranger,
                    ..
                }
            )
        };
        if self.args.dry_run {
            Exit::Done
        } else if by_hand || rest.iter().any(stranger) || self.nobody_signs() {
            Exit::No
        } else if rest.iter().any(waits) {
            Exit::TempFail
        } else {
            Exit::Done
        }
    }

    /// Whether no key of the domain signs, and none is on its way to.
    fn nobody_signs(&self) -> bool {
        let entries = self.store.entries(&self.args.domain).unwrap_or_default();
        let alive = |entry: &Entry| matches!(entry.state, KeyState::Active | KeyState::Pending);
        !entries.iter().any(alive)
    }

    fn tell_text(&self, rest: &[Step], exit: Exit) -> Result<(), Trouble> {
        let domain = &self.args.domain;
        for step in rest {
            let note = match step {
                _ if self.args.dry_run => {
                    output::print(&format!("{}\n", self.plan(step)))?;
                    continue;
                }
                Step::Wait { selector, what } => format!("{selector}: {}", waiting(*what)),
                Step::Publish { selector } | Step::Withdraw { selector }
                    if exit == Exit::TempFail =>
                {
                    format!("{selector}: {}", waiting(Wait::Servers))
                }
                _ => continue,
            };
            if !self.said.contains(&note) {
                speech::note(note);
            }
        }
        if self.nobody_signs() {
            speech::warning(format!(
                "no key of {domain} is active: nothing signs for it now"
            ));
            speech::hint(format!(
                "make a key: dkimkit generate -d {domain} --activate"
            ));
        }
        match exit {
            Exit::No if self.by_hand().next().is_some() => {
                speech::hint(format!(
                    "publish what was printed, then: dkimkit rotate {domain}"
                ));
            }
            Exit::TempFail => speech::hint(format!(
                "later again: dkimkit rotate {domain}; --wait 1h waits for it"
            )),
            _ => {}
        }
        Ok(())
    }

    /// The record in the form that was asked for.
    fn render(&self, record: &Record) -> Result<String, Trouble> {
        let Some(text) = &record.text else {
            // A note has said so; no form has a way to say it.
            return Ok(String::new());
        };
        let name = KeyName::published(&record.name).map_err(Trouble::usage)?;
        let zone = record.zone.as_ref().and_then(|zone| Domain::new(zone).ok());
        let zone = zone.as_ref().unwrap_or(&self.args.domain);
        let place = self.args.form.place(&name, zone)?;
        self.args.form.render(&place, text)
    }

    fn tell_json(&self, rest: &[Step], result: &str) -> Result<(), Trouble> {
        let steps = self.spoken.iter().map(|told| {
            json!({
                "step": word(&told.step),
                "selector": selector(&told.step),
                "message": self.sentence(&told.step, told.record.as_ref()),
            })
        });
        let publish = self.by_hand().map(|record| {
            json!({
                "name": record.name,
                "type": "TXT",
                "record": record.text,
            })
        });
        let rest = rest.iter().map(|step| {
            let (word, until) = match step {
                Step::Wait { what, .. } => (wait_word(*what), until(*what)),
                step => (word(step), None),
            };
            json!({
                "step": word,
                "selector": selector(step),
                "until": until.map(|time| time.0),
                "message": match step {
                    Step::Wait { what, .. } => waiting(*what),
                    step => self.plan(step),
                },
            })
        });
        let value = json!({
            "domain": self.args.domain.as_str(),
            "result": result,
            "dry_run": self.args.dry_run,
            "steps": steps.collect::<Vec<Value>>(),
            "publish": publish.collect::<Vec<Value>>(),
            "next": rest.collect::<Vec<Value>>(),
        });
        output::print(&format!("{}\n", spaced_json(&value)))
    }

    /// What was done, in words.
    fn sentence(&self, step: &Step, record: Option<&Record>) -> String {
        let by_hand = record.is_some_and(|record| !record.pushed);
        let at = record.map_or("", |record| record.name.trim_end_matches('.'));
        match step {
            Step::Generate { selector, after } => format!("{selector} was made, to follow {after}"),
            Step::Publish { .. } if by_hand => format!("to be published at {at}"),
            Step::Publish { .. } => format!("published at {at}"),
            Step::Served { selector } => format!("{selector}: every name server serves the record"),
            Step::Lost { selector } => {
                format!("{selector}: not every name server serves the record any more")
            }
            Step::Switch { to, from } if from.is_empty() => format!("{to} signs from now on"),
            Step::Switch { to, from } => {
                let from: Vec<String> = from.iter().map(ToString::to_string).collect();
                format!("{to} signs from now on, and {} no longer", from.join(", "))
            }
            Step::Withdraw { .. } => {
                let what = match self.args.withdraw {
                    Withdraw::Revoke => "revoked",
                    Withdraw::Remove => "removed",
                };
                match by_hand {
                    true => format!("to be {what} at {at}"),
                    false => format!("{what} at {at}"),
                }
            }
            Step::Revoke { selector } => {
                format!("{selector} is revoked: no name server serves it any more")
            }
            Step::Gone { selector } => {
                format!("{selector}: no name server offers the key any more")
            }
            Step::Back { selector } => format!("{selector}: a name server may offer the key again"),
            Step::Reveal { selector } => {
                let dir = self
                    .args
                    .reveal
                    .as_ref()
                    .map(|dir| dir.display().to_string());
                format!(
                    "{selector}: the private key was written to {}",
                    dir.unwrap_or_default()
                )
            }
            Step::Wait { what, .. } => waiting(*what),
        }
    }

    /// What would be done, and what would follow.
    fn plan(&self, step: &Step) -> String {
        let push = match self.push {
            Some(_) => "push its record to the name server",
            None => "print its record for a person to publish",
        };
        let old = match self.args.withdraw {
            Withdraw::Revoke => "revoke it",
            Withdraw::Remove => "remove it",
        };
        let overlap = humantime::format_duration(self.args.overlap);
        let then = format!(
            "wait until every name server serves it and no cache has anything older; let it sign; keep the old record for {overlap}, then {old}"
        );
        match step {
            Step::Generate { selector, after } => {
                format!("would make {selector}, to follow {after}; {push}; {then}")
            }
            Step::Publish { selector } => format!("{selector}: would {push}; {then}"),
            Step::Served { selector } => {
                format!(
                    "{selector}: would note that every name server serves it; wait until no cache has anything older; let it sign"
                )
            }
            Step::Lost { selector } => {
                format!(
                    "{selector}: would note that not every name server serves it any more; {then}"
                )
            }
            Step::Switch { to, from } => {
                let from: Vec<String> = from.iter().map(ToString::to_string).collect();
                format!("would let {to} sign, and no longer {}", from.join(", "))
            }
            Step::Withdraw { selector } => format!("{selector}: the overlap is over; would {old}"),
            Step::Revoke { selector } => format!("{selector}: would note that it is revoked"),
            Step::Gone { selector } => {
                format!("{selector}: would note that no name server offers the key any more")
            }
            Step::Back { selector } => {
                format!("{selector}: would note that a name server may offer the key again")
            }
            Step::Reveal { selector } => {
                format!("{selector}: would write the private key for all to see")
            }
            Step::Wait { selector, what } => format!("{selector}: {}", waiting(*what)),
        }
    }
}

fn waiting(what: Wait) -> String {
    match what {
        Wait::Servers => "waits until every name server serves the record".to_owned(),
        Wait::Withdrawal => "waits until no name server serves it any more".to_owned(),
        Wait::Answers => {
            "waits for name servers that give no answer; `dkimkit check` names them".to_owned()
        }
        Wait::Dnssec => "waits until DNSSEC proves the record; `dkimkit check` says more".to_owned(),
        Wait::Stranger => "at its name stands what belongs to somebody else; take that away, or revoke this key with `dkimkit keys revoke` and rotate again".to_owned(),
        Wait::Caches { until } => format!(
            "waits until {}, when no cache has anything older",
            until.to_rfc3339()
        ),
        Wait::Overlap { until } => {
            format!(
                "its record stays until {} for mail that is on its way",
                until.to_rfc3339()
            )
        }
        Wait::Age { until: Some(until) } => format!("signs; it is due on {}", until.to_rfc3339()),
        Wait::Age { until: None } => {
            "signs; the last rotation has just ended, or is not over yet".to_owned()
        }
        Wait::Decision => "is pending, but is older than the key that signs, or nothing but its file speaks of it; it is left alone (`dkimkit keys activate` or `keys revoke`)".to_owned(),
        Wait::FixedSelector => "waits until one of the other selectors is free".to_owned(),
    }
}

fn until(what: Wait) -> Option<UnixTime> {
    match what {
        Wait::Caches { until } | Wait::Overlap { until } => Some(until),
        Wait::Age { until } => until,
        Wait::Servers
        | Wait::Withdrawal
        | Wait::Answers
        | Wait::Dnssec
        | Wait::Stranger
        | Wait::Decision
        | Wait::FixedSelector => None,
    }
}

fn word(step: &Step) -> &'static str {
    match step {
        Step::Generate { .. } => "generate",
        Step::Publish { .. } => "publish",
        Step::Served { .. } => "served",
        Step::Lost { .. } => "lost",
        Step::Switch { .. } => "switch",
        Step::Withdraw { .. } => "withdraw",
        Step::Revoke { .. } => "revoke",
        Step::Gone { .. } => "gone",
        Step::Back { .. } => "back",
        Step::Reveal { .. } => "reveal",
        Step::Wait { what, .. } => wait_word(*what),
    }
}

fn wait_word(what: Wait) -> &'static str {
    match what {
        Wait::Servers => "wait-for-servers",
        Wait::Withdrawal => "wait-for-withdrawal",
        Wait::Answers => "wait-for-answers",
        Wait::Dnssec => "wait-for-dnssec",
        Wait::Stranger => "wait-for-name",
        Wait::Caches { .. } => "wait-for-caches",
        Wait::Overlap { .. } => "wait-for-overlap",
        Wait::Age { .. } => "wait-for-age",
        Wait::FixedSelector => "wait-for-selector",
        Wait::Decision => "wait-for-decision",
    }
}

fn selector(step: &Step) -> String {
    let selector = match step {
        Step::Generate { selector, .. }
        | Step::Publish { selector }
        | Step::Served { selector }
        | Step::Lost { selector }
        | Step::Withdraw { selector }
        | Step::Revoke { selector }
        | Step::Gone { selector }
        | Step::Back { selector }
        | Step::Reveal { selector }
        | Step::Wait { selector, .. } => selector,
        Step::Switch { to, .. } => to,
    };
    selector.to_string()
}
