//! Rotation of keys as a state machine: what is to be done next follows from the states in the key store,
//! the time, and what the name servers say. Nothing is kept in memory, so it can be stopped anywhere.
//!
//! ```text
//! generate ─▶ publish ─▶ every server serves it ─▶ no cache has anything older ─▶ switch signing
//!                                                                                    │
//!       reveal ◀─ no cache has it any more ◀─ revoked ◀─ no server serves it ◀─ withdraw ◀─ overlap is over
//! ```
//!
//! RSA and Ed25519 keys of a domain are two lines, each rotated for itself. A key signs only when all
//! servers serve it, and for as long as no cache can have an older answer.

use crate::key::KeyType;
use crate::keystore::{Entry, KeyState};
use crate::name::Selector;
use crate::time::UnixTime;

/// How keys are rotated; times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A key that has signed for so long is replaced; `None`: now, unless a rotation has ended within a day.
    pub due: Option<u64>,
    /// How long the record of a key that signs no longer stays.
    pub overlap: u64,
    /// The longest time from t= to x= in use; the overlap is never shorter.
    pub lifetime: u64,
    /// Selectors that take turns; empty: each key gets a selector of its own.
    pub fixed: Vec<Selector>,
    /// Selectors that somebody else uses.
    pub taken: Vec<Selector>,
    /// Whether the private half of a revoked key is to be published.
    pub reveal: bool,
}

/// A key of the domain, as the rotation sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its selector and state.
    pub entry: Entry,
    /// Its type.
    pub key_type: KeyType,
    /// Since when it is what it is, where the store's file does not say: the time of the key file.
    pub made: UnixTime,
    /// Whether its private half was published, or may not be.
    pub revealed: bool,
}

/// What the authoritative servers say of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    /// So many servers serve it, so that a verifier finds it.
    pub right: usize,
    /// So many do not.
    pub wrong: usize,
    /// So many could not be asked.
    pub unknown: usize,
    /// One of them offers the key somehow, if only beside other records or misspelt.
    pub offered: bool,
    /// At one of them stands the record of another key.
    pub foreign: bool,
    /// DNSSEC says that the answer is forged.
    pub bogus: bool,
}

impl Published {
    /// Whether every server serves it, and everybody can see it.
    pub fn is_everywhere(&self) -> bool {
        self.right > 0 && self.wrong == 0 && self.unknown == 0 && !self.bogus
    }

    /// Whether no server offers it, and all were asked.
    pub fn is_gone(&self) -> bool {
        !self.offered && self.right == 0 && self.unknown == 0 && self.wrong > 0
    }
}

/// What is to be done, or waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make the next key.
    Generate {
        /// Its selector.
        selector: Selector,
        /// The key that it will replace.
        after: Selector,
    },
    /// Publish the record of a pending key.
    Publish {
        /// Its selector.
        selector: Selector,
    },
    /// Remember that every server serves the record.
    Served {
        /// Its selector.
        selector: Selector,
    },
    /// Forget that every server serves the record: one does not any more.
    Lost {
        /// Its selector.
        selector: Selector,
    },
    /// Let the new key sign, and the old ones no longer, in one step.
    Switch {
        /// The new key.
        to: Selector,
        /// The old keys of the same type.
        from: Vec<Selector>,
    },
    /// Publish that a key is withdrawn.
    Withdraw {
        /// Its selector.
        selector: Selector,
    },
    /// Note that no server serves the key any more.
    Revoke {
        /// Its selector.
        selector: Selector,
    },
    /// Remember that no server offers a revoked key any more.
    Gone {
        /// Its selector.
        selector: Selector,
    },
    /// Forget that: one offers it again.
    Back {
        /// Its selector.
        selector: Selector,
    },
    /// Publish the private half.
    Reveal {
        /// Its selector.
        selector: Selector,
    },
    /// Wait.
    Wait {
        /// The key that it is about.
        selector: Selector,
        /// For what.
        what: Wait,
    },
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until all servers serve the record.
    Servers,
    /// Until no server serves it.
    Withdrawal,
    /// Until all servers can be asked.
    Answers,
    /// Until DNSSEC proves what the servers say.
    Dnssec,
    /// Until a person has taken away what stands at its name and belongs to somebody else.
    Stranger,
    /// Until no cache has an older answer.
    Caches {
        /// When that is.
        until: UnixTime,
    },
    /// Until mail that was signed with it has arrived.
    Overlap {
        /// When that is.
        until: UnixTime,
    },
    /// Until it is old enough to be replaced.
    Age {
        /// When that is; `None`: when somebody asks for it again.
        until: Option<UnixTime>,
    },
    /// Until one of the fixed selectors is free.
    FixedSelector,
    /// Until a person decides: it waits to sign, but is older than the key that signs, or nothing but its file
    /// speaks of it.
    Decision,
}

impl Wait {
    /// Whether DNS is what is waited for.
    pub fn is_for_dns(self) -> bool {
        matches!(
            self,
            Wait::Servers | Wait::Withdrawal | Wait::Answers | Wait::Dnssec | Wait::Caches { .. }
        )
    }
}

const DAY: u64 = 24 * 3600;

/// What there is to do for the keys of a domain, each line and each key for itself; those to act on first.
///
/// `published` is asked for pending keys, for retired ones whose time is over, and for those to be revealed.
///
/// ```
/// use dkimkit::key::KeyType;
/// use dkimkit::keystore::{Entry, KeyState, Notes};
/// use dkimkit::name::Selector;
/// use dkimkit::rotate::{Key, Published, Settings, Step, steps};
/// use dkimkit::time::UnixTime;
/// let key = Key {
///     entry: Entry {
///         selector: Selector::new("mail")?,
///         state: KeyState::Active,
///         since: Some(UnixTime(0)),
///         notes: Notes::default(),
///     },
///     key_type: KeyType::Rsa,
///     made: UnixTime(0),
///     revealed: false,
/// };
/// let settings = Settings { due: None, overlap: 14 * 86_400, lifetime: 0, fixed: vec![], taken: vec![], reveal: false };
/// let steps = steps(&[key], &settings, UnixTime(1_800_000_000), &mut |_| Published::default());
/// let selector = Selector::new("dk20270115")?;
/// assert_eq!(steps, [Step::Generate { selector, after: Selector::new("mail")? }]);
/// # Ok::<(), dkimkit::name::NameError>(())
/// ```
pub fn steps(
    keys: &[Key],
    settings: &Settings,
    now: UnixTime,
    published: &mut dyn FnMut(&Selector) -> Published,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut taken: Vec<Selector> = Vec::new();
    for key_type in [KeyType::Rsa, KeyType::Ed25519] {
        let line = Line {
            keys: keys.iter().filter(|key| key.key_type == key_type).collect(),
            settings,
            now,
        };
        steps.extend(line.endings(published));
        steps.extend(line.left_alone());
        let chain = match line.pending() {
            Some(next) => Some(line.promote(next, published)),
            None => line.start(keys, &taken),
        };
        if let Some(Step::Generate { selector, .. }) = &chain {
            taken.push(selector.clone());
        }
        steps.extend(chain);
    }
    steps.sort_by_key(|step| matches!(step, Step::Wait { .. }));
    steps
}

/// The keys of one type.
struct Line<'a> {
    keys: Vec<&'a Key>,
    settings: &'a Settings,
    now: UnixTime,
}

impl Line<'_> {
    fn in_state(&self, state: KeyState) -> impl Iterator<Item = &Key> {
        let keys = self.keys.iter().copied();
        keys.filter(move |key| key.entry.state == state)
    }

    /// The key that is to sign next: the newest of those that wait, if it is newer than those that sign.
    ///
    /// A key without a line in the file of states was put there by somebody, perhaps as a copy.
    fn pending(&self) -> Option<&Key> {
        let signs = self.in_state(KeyState::Active).map(since).max();
        let pending = self.in_state(KeyState::Pending);
        let next = pending
            .filter(|key| key.entry.since.is_some() && signs.is_none_or(|t| since(key) >= t));
        next.max_by_key(|key| (since(key), key.entry.selector.as_ascii().to_owned()))
    }

    /// The other keys that wait to sign.
    fn left_alone(&self) -> impl Iterator<Item = Step> {
        let next = self.pending().map(|key| key.entry.selector.clone());
        let others = self.in_state(KeyState::Pending);
        let others = others.filter(move |key| Some(&key.entry.selector) != next.as_ref());
        others.map(|key| Step::Wait {
            selector: key.entry.selector.clone(),
            what: Wait::Decision,
        })
    }

    /// Brings a pending key one step nearer to signing.
    fn promote(&self, next: &Key, published: &mut dyn FnMut(&Selector) -> Published) -> Step {
        let selector = next.entry.selector.clone();
        let wait = |what| Step::Wait {
            selector: selector.clone(),
            what,
        };
        let seen = published(&selector);
        let Some(served) = next.entry.notes.served else {
            return match seen {
                seen if seen.is_everywhere() => Step::Served { selector },
                Published { foreign: true, .. } => wait(Wait::Stranger),
                // A record that is pasted wrongly is published anew.
                Published {
                    right: 0,
                    wrong: 1..,
                    ..
                } => Step::Publish { selector },
                Published { unknown: 1.., .. } | Published { right: 0, .. } => wait(Wait::Answers),
                Published { wrong: 1.., .. } => wait(Wait::Servers),
                _ => wait(Wait::Dnssec),
            };
        };
        if seen.wrong > 0 {
            return Step::Lost { selector };
        }
        if !seen.is_everywhere() {
            return wait(if seen.bogus {
                Wait::Dnssec
            } else {
                Wait::Answers
            });
        }
        let until = after(served, next.entry.notes.hold.unwrap_or(0));
        if self.now < until {
            return wait(Wait::Caches { until });
        }
        let active = self.in_state(KeyState::Active);
        Step::Switch {
            to: selector,
            from: active.map(|key| key.entry.selector.clone()).collect(),
        }
    }

    /// What becomes of keys that sign no longer.
    fn endings(&self, published: &mut dyn FnMut(&Selector) -> Published) -> Vec<Step> {
        let mut steps = Vec::new();
        for key in self.in_state(KeyState::Retired) {
            let selector = key.entry.selector.clone();
            let lifetime = key.entry.notes.lifetime.unwrap_or(0);
            let overlap = self
                .settings
                .overlap
                .max(self.settings.lifetime)
                .max(lifetime);
            let until = after(since(key), overlap);
            steps.push(if self.now < until {
                let what = Wait::Overlap { until };
                Step::Wait { selector, what }
            } else {
                let seen = published(&selector);
                if seen.is_gone() {
                    Step::Revoke { selector }
                } else if seen.offered {
                    Step::Withdraw { selector }
                } else {
                    let what = Wait::Answers;
                    Step::Wait { selector, what }
                }
            });
        }
        let hidden = self.in_state(KeyState::Revoked).filter(|key| !key.revealed);
        for key in hidden.filter(|_| self.settings.reveal) {
            let selector = key.entry.selector.clone();
            let wait = |selector, what| Step::Wait { selector, what };
            let is_gone = published(&selector).is_gone();
            steps.push(match key.entry.notes.gone {
                None if is_gone => Step::Gone { selector },
                None => wait(selector, Wait::Withdrawal),
                Some(_) if !is_gone => Step::Back { selector },
                Some(gone) => {
                    let until = after(gone, key.entry.notes.hold.unwrap_or(DAY));
                    match self.now < until {
                        true => wait(selector, Wait::Caches { until }),
                        false => Step::Reveal { selector },
                    }
                }
            });
        }
        steps
    }

    /// Begins a rotation if it is time; `None` where no key of this type signs.
    fn start(&self, all: &[Key], taken: &[Selector]) -> Option<Step> {
        let oldest = self
            .in_state(KeyState::Active)
            .min_by_key(|key| since(key))?;
        let wait = |what| {
            let selector = oldest.entry.selector.clone();
            Some(Step::Wait { selector, what })
        };
        if let Some(due) = self.settings.due {
            let until = after(since(oldest), due);
            if self.now < until {
                return wait(Wait::Age { until: Some(until) });
            }
        } else {
            let ended = self.in_state(KeyState::Revoked).map(since).max();
            let just_ended = ended.is_some_and(|ended| self.now < after(ended, DAY));
            // A rotation is one until the old key is revoked; the next begins when that is a while ago.
            if just_ended || self.in_state(KeyState::Retired).next().is_some() {
                return wait(Wait::Age { until: None });
            }
        }
        match self.selector(all, taken) {
            Some(selector) => Some(Step::Generate {
                selector,
                after: oldest.entry.selector.clone(),
            }),
            None => wait(Wait::FixedSelector),
        }
    }

    /// A selector for the next key: the first fixed one that nobody uses, or one with the date.
    fn selector(&self, all: &[Key], taken: &[Selector]) -> Option<Selector> {
        let user = |selector: &Selector| all.iter().find(|key| key.entry.selector == *selector);
        let own = |key: &Key| {
            self.keys
                .iter()
                .any(|own| own.entry.selector == key.entry.selector)
        };
        if !self.settings.fixed.is_empty() {
            let free = |selector: &&Selector| {
                let unused = user(selector).is_none_or(|key| {
                    let kept = self.settings.reveal && !key.revealed;
                    key.entry.state == KeyState::Revoked && own(key) && !kept
                });
                unused && !taken.contains(selector)
            };
            return self.settings.fixed.iter().find(free).cloned();
        }
        let ed25519 = self
            .keys
            .first()
            .is_some_and(|key| key.key_type == KeyType::Ed25519);
        let dated = dated_selector(self.now, ed25519);
        let names = std::iter::once(dated.clone()).chain((2..).map(|n| format!("{dated}-{n}")));
        let mut selectors = names.filter_map(|name| Selector::new(&name).ok());
        selectors.find(|selector| {
            let free = !taken.contains(selector) && !self.settings.taken.contains(selector);
            user(selector).is_none() && free
        })
    }
}

/// `dk20261121`, with `-ed` for Ed25519, so that both may stand side by side.
pub fn dated_selector(now: UnixTime, ed25519: bool) -> String {
    let date = now.to_rfc3339();
    let digits: String = date.chars().take(10).filter(|c| *c != '-').collect();
    format!("dk{digits}{}", if ed25519 { "-ed" } else { "" })
}

fn since(key: &Key) -> UnixTime {
    key.entry.since.unwrap_or(key.made)
}

fn after(time: UnixTime, seconds: u64) -> UnixTime {
    UnixTime(time.0.saturating_add(seconds))
}

#[cfg(test)]
mod tests;
