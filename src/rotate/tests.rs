//! A world of keys, lagging servers and caches, in which rotations run and are cut off at random.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::keystore::Notes;

const HOUR: u64 = 3600;
const NEGATIVE_TTL: u64 = 2 * HOUR;
const TTL: u64 = HOUR;

/// Numbers that look random, from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// Three servers, of which each takes what was published a while later.
struct World {
    now: u64,
    keys: BTreeMap<String, Key>,
    settings: Settings,
    /// By server: the selectors whose key it serves.
    served: [BTreeSet<String>; 3],
    /// What was published and has not come everywhere: when, at which server, what, there or away.
    coming: Vec<(u64, usize, String, bool)>,
    /// Since when no cache can have an older answer than that of all servers, by selector.
    settled: BTreeMap<String, u64>,
    random: Random,
}

impl World {
    fn new(seed: u64, settings: Settings) -> World {
        let mut world = World {
            now: 1_800_000_000,
            keys: BTreeMap::new(),
            settings,
            served: Default::default(),
            coming: Vec::new(),
            settled: BTreeMap::new(),
            random: Random(seed),
        };
        for (name, key_type) in [("rsa", KeyType::Rsa), ("ed", KeyType::Ed25519)] {
            world.add(name, key_type, KeyState::Active);
            for server in &mut world.served {
                server.insert(name.to_owned());
            }
            world.settled.insert(name.to_owned(), 0);
        }
        world
    }

    fn add(&mut self, name: &str, key_type: KeyType, state: KeyState) {
        let key = Key {
            entry: Entry {
                selector: Selector::new(name).unwrap(),
                state,
                since: Some(UnixTime(self.now)),
                notes: Notes::default(),
            },
            key_type,
            made: UnixTime(self.now),
            revealed: false,
        };
        self.keys.insert(name.to_owned(), key);
    }

    fn published(&self, name: &str) -> Published {
        let right = self
            .served
            .iter()
            .filter(|server| server.contains(name))
            .count();
        Published {
            right,
            wrong: 3 - right,
            offered: right > 0,
            ..Published::default()
        }
    }

    /// Time goes by; what was published comes to the servers.
    fn wait(&mut self, seconds: u64) {
        self.now += seconds;
        let (due, coming) = std::mem::take(&mut self.coming)
            .into_iter()
            .partition::<Vec<_>, _>(|(at, ..)| *at <= self.now);
        self.coming = coming;
        for (at, server, name, there) in due {
            if there {
                self.served[server].insert(name.clone());
            } else {
                self.served[server].remove(&name);
            }
            if self.published(&name).is_everywhere() {
                let since = self.settled.entry(name).or_insert(at);
                *since = (*since).max(at);
            } else {
                self.settled.remove(&name);
            }
        }
    }

    fn publish(&mut self, name: &str, there: bool) {
        for server in 0..3 {
            let at = self.now + self.random.below(6 * HOUR);
            self.coming.push((at, server, name.to_owned(), there));
        }
    }

    fn steps(&self) -> Vec<Step> {
        let keys: Vec<Key> = self.keys.values().cloned().collect();
        let mut published = |selector: &Selector| self.published(selector.as_str());
        steps(&keys, &self.settings, UnixTime(self.now), &mut published)
    }

    fn key(&mut self, selector: &Selector) -> &mut Key {
        self.keys.get_mut(selector.as_str()).unwrap()
    }

    /// Carries a step out as the program does; a cut ends it before its last part.
    fn act(&mut self, step: &Step, cut: bool) {
        let now = UnixTime(self.now);
        let kept = TTL.max(NEGATIVE_TTL);
        match step {
            Step::Generate { .. } if cut => {}
            Step::Generate { selector, after } => {
                let key_type = self.key(after).key_type;
                self.add(selector.as_str(), key_type, KeyState::Pending);
            }
            Step::Publish { selector } | Step::Withdraw { selector } => {
                self.key(selector).entry.notes.hold = Some(kept);
                if !cut {
                    let there = matches!(step, Step::Publish { .. });
                    self.publish(selector.as_str(), there);
                }
            }
            _ if cut => {}
            Step::Served { selector } => {
                let notes = &mut self.key(selector).entry.notes;
                notes.served = Some(now);
                notes.hold.get_or_insert(kept);
            }
            Step::Lost { selector } => self.key(selector).entry.notes.served = None,
            Step::Switch { to, from } => {
                for old in from {
                    self.key(old).entry.set_state(KeyState::Retired, now);
                }
                self.key(to).entry.set_state(KeyState::Active, now);
            }
            Step::Revoke { selector } => {
                let entry = &mut self.key(selector).entry;
                entry.set_state(KeyState::Revoked, now);
                entry.notes.gone = Some(now);
                entry.notes.hold = Some(kept);
            }
            Step::Gone { selector } => self.key(selector).entry.notes.gone = Some(now),
            Step::Back { selector } => self.key(selector).entry.notes.gone = None,
            Step::Reveal { selector } => self.key(selector).revealed = true,
            Step::Wait { .. } => {}
        }
    }

    /// Whatever happens: what signs can be verified by everybody, and what has signed lately too; and nobody
    /// sees a private key before its record is gone.
    fn check(&self) {
        let mut signs = BTreeSet::new();
        for (name, key) in &self.keys {
            let since = key.entry.since.unwrap().0;
            match key.entry.state {
                KeyState::Active => {
                    signs.insert(key.key_type.as_str());
                    assert!(self.published(name).is_everywhere(), "{name} signs");
                    let settled = self.settled[name];
                    assert!(
                        settled == 0 || since >= settled + NEGATIVE_TTL,
                        "{name} is too early"
                    );
                }
                KeyState::Retired if self.now < since + self.settings.overlap => {
                    assert!(self.published(name).is_everywhere(), "{name} has signed");
                }
                KeyState::Revoked => assert!(self.published(name).is_gone()),
                KeyState::Pending | KeyState::Retired => {}
            }
            assert!(!key.revealed || key.entry.state == KeyState::Revoked);
        }
        assert_eq!(signs.len(), 2, "each line signs");
    }
}

fn settings() -> Settings {
    Settings {
        due: Some(180 * DAY),
        overlap: 14 * DAY,
        lifetime: 0,
        fixed: Vec::new(),
        taken: Vec::new(),
        reveal: true,
    }
}

#[test]
fn whatever_is_cut_off_no_mail_is_without_its_key() {
    let fixed = ["rsa", "ed", "third", "fourth"].map(|name| Selector::new(name).unwrap());
    for seed in 0..60 {
        let mut settings = settings();
        if seed % 2 == 0 {
            settings.fixed = fixed.to_vec();
        }
        let mut world = World::new(seed, settings);
        let mut switches = 0;
        while world.now < 1_800_000_000 + 3 * 365 * DAY {
            let steps = world.steps();
            let step = steps
                .into_iter()
                .find(|step| !matches!(step, Step::Wait { .. }));
            let cut = world.random.below(4) == 0;
            // A record that is on its way is not published again, as a run that goes on would not.
            let asked = world.coming.is_empty();
            match step {
                Some(Step::Publish { .. } | Step::Withdraw { .. }) if !asked => world.wait(HOUR),
                Some(step) => {
                    switches += usize::from(!cut && matches!(step, Step::Switch { .. }));
                    // The same selector comes round again, with another key.
                    if let Step::Generate { selector, .. } = &step {
                        world.settled.remove(selector.as_str());
                    }
                    world.act(&step, cut);
                }
                None => {
                    let hours = 1 + world.random.below(24);
                    world.wait(hours * HOUR);
                }
            }
            world.check();
        }
        // Twice a year, and for each of the two types; the last may be under way.
        assert!(
            (8..=12).contains(&switches),
            "seed {seed}: {switches} switches"
        );
    }
}

#[test]
fn a_record_that_goes_away_before_the_switch_stops_it() {
    let mut world = World::new(1, settings());
    world.wait(200 * DAY);
    for _ in 0..200 {
        let steps = world.steps();
        match steps
            .into_iter()
            .find(|step| !matches!(step, Step::Wait { .. }))
        {
            Some(Step::Publish { .. }) if !world.coming.is_empty() => world.wait(HOUR),
            Some(step @ Step::Served { .. }) => {
                world.act(&step, false);
                break;
            }
            Some(step) => world.act(&step, false),
            None => world.wait(HOUR),
        }
    }
    let served = world
        .keys
        .values()
        .find(|key| key.entry.notes.served.is_some());
    let name = served.unwrap().entry.selector.as_str().to_owned();
    world.served[1].remove(&name);
    world.wait(DAY);
    let lost = Step::Lost {
        selector: Selector::new(&name).unwrap(),
    };
    assert!(world.steps().contains(&lost), "{:?}", world.steps());
}

#[test]
fn the_overlap_is_as_long_as_the_longest_signature() {
    let mut world = World::new(1, settings());
    let rsa = Selector::new("rsa").unwrap();
    let now = UnixTime(world.now);
    world.key(&rsa).entry.set_state(KeyState::Retired, now);
    world.key(&rsa).entry.notes.lifetime = Some(30 * DAY);
    let until = |world: &World| {
        world.steps().into_iter().find_map(|step| match step {
            Step::Wait {
                what: Wait::Overlap { until },
                ..
            } => Some(until.0 - world.now),
            _ => None,
        })
    };
    assert_eq!(until(&world), Some(30 * DAY));
    world.settings.lifetime = 60 * DAY;
    assert_eq!(until(&world), Some(60 * DAY));
    world.settings.overlap = 90 * DAY;
    assert_eq!(until(&world), Some(90 * DAY));
}

#[test]
fn without_due_a_rotation_that_has_just_ended_is_not_begun_again() {
    let mut world = World::new(1, settings());
    world.settings.due = None;
    world.settings.reveal = false;
    let generates = |world: &World| {
        let steps = world.steps();
        steps
            .iter()
            .filter(|step| matches!(step, Step::Generate { .. }))
            .count()
    };
    assert_eq!(generates(&world), 2);
    world.add("old", KeyType::Rsa, KeyState::Retired);
    assert_eq!(generates(&world), 1, "the old RSA key is not revoked yet");
    world.add("old", KeyType::Rsa, KeyState::Revoked);
    assert_eq!(generates(&world), 1, "it was revoked just now");
    world.now += DAY;
    assert_eq!(generates(&world), 2);
}

/// What is to be done for a pending and a retired key, whatever the servers say.
#[test]
fn nothing_is_switched_revoked_or_revealed_on_half_an_answer() {
    let counts = |right, wrong, unknown| Published {
        right,
        wrong,
        unknown,
        offered: right > 0,
        ..Published::default()
    };
    let all = counts(2, 0, 0);
    let none = counts(0, 2, 0);
    let foreign = Published {
        foreign: true,
        ..none
    };
    let bogus = Published { bogus: true, ..all };
    let misspelt = Published {
        offered: true,
        ..none
    };
    let step_of = |state: KeyState, served: bool, seen: Published| {
        let mut world = World::new(1, settings());
        world.settings.due = Some(u64::MAX);
        world.add("new", KeyType::Rsa, state);
        world.now += 400 * DAY;
        let new = Selector::new("new").unwrap();
        let since = UnixTime(world.now - 300 * DAY);
        world.key(&new).entry.notes.served = served.then_some(since);
        world.key(&new).entry.notes.gone = served.then_some(since);
        let keys: Vec<Key> = world.keys.values().cloned().collect();
        let steps = steps(&keys, &world.settings, UnixTime(world.now), &mut |_| seen);
        let word = |step: &Step| match step {
            Step::Wait { selector, what } if *selector == new => Some(format!("{what:?}")),
            Step::Wait { .. } => None,
            Step::Switch { .. } => Some("Switch".to_owned()),
            step => Some(format!("{step:?}").split(' ').next().unwrap().to_owned()),
        };
        steps.iter().find_map(word).unwrap_or_default()
    };
    use KeyState::{Pending, Retired, Revoked};
    for (state, served, seen, want) in [
        (Pending, false, all, "Served"),
        (Pending, false, none, "Publish"),
        (Pending, false, counts(0, 1, 1), "Publish"),
        (Pending, false, counts(1, 1, 0), "Servers"),
        (Pending, false, counts(1, 0, 1), "Answers"),
        (Pending, false, counts(0, 0, 2), "Answers"),
        (Pending, false, counts(0, 0, 0), "Answers"),
        (Pending, false, foreign, "Stranger"),
        (Pending, false, misspelt, "Publish"),
        (Pending, false, bogus, "Dnssec"),
        (Pending, true, all, "Switch"),
        (Pending, true, none, "Lost"),
        (Pending, true, foreign, "Lost"),
        (Pending, true, counts(1, 1, 0), "Lost"),
        (Pending, true, counts(1, 0, 1), "Answers"),
        (Pending, true, counts(0, 0, 0), "Answers"),
        (Pending, true, bogus, "Dnssec"),
        (Retired, false, all, "Withdraw"),
        (Retired, false, counts(1, 1, 0), "Withdraw"),
        (Retired, false, misspelt, "Withdraw"),
        (Retired, false, counts(0, 1, 1), "Answers"),
        (Retired, false, counts(0, 0, 0), "Answers"),
        (Retired, false, none, "Revoke"),
        (Revoked, true, none, "Reveal"),
        (Revoked, true, misspelt, "Back"),
        (Revoked, true, all, "Back"),
        (Revoked, true, counts(0, 1, 1), "Back"),
        (Revoked, false, none, "Gone"),
        (Revoked, false, all, "Withdrawal"),
        (Revoked, false, counts(0, 1, 1), "Withdrawal"),
    ] {
        assert_eq!(
            step_of(state, served, seen),
            want,
            "{state} {served} {seen:?}"
        );
    }
}

#[test]
fn a_key_that_was_left_behind_or_put_there_by_hand_is_not_promoted() {
    let mut world = World::new(1, settings());
    world.settings.due = Some(u64::MAX);
    world.add("older", KeyType::Rsa, KeyState::Pending);
    world.add("copy", KeyType::Rsa, KeyState::Pending);
    let copy = Selector::new("copy").unwrap();
    world.key(&copy).entry.since = None;
    world.now += DAY;
    let (rsa, now) = (Selector::new("rsa").unwrap(), UnixTime(world.now));
    world.key(&rsa).entry.since = Some(now);
    let acts = world
        .steps()
        .into_iter()
        .filter(|step| !matches!(step, Step::Wait { .. }));
    assert_eq!(acts.collect::<Vec<Step>>(), []);
}
