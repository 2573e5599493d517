//! The search for what broke a signature, held against a generator of what breaks them.
//!
//!     cargo test --test transit                                  # 160 cases
//!     TRANSIT_CASES=1000 cargo test --release --test transit     # TRANSIT_SEED=2 is another run
//!     TRANSIT_CASE=417 cargo test --test transit                 # that one again, with what was said
//!
//! A message of any shape is signed, changed by one known edit or by two, and given to the search. What can be undone
//! must be found and named, and come back as it was signed; of the rest, the side that was left alone must be said to
//! hold; and nothing must be claimed that is not so. `tests/transit/README.md` says more. The last line says `passed`
//! or `failed`; exits 0 if and only if it passed.

mod cases;
mod coding;
mod edits;
mod footers;
mod judge;
mod mail;
mod messages;
mod negative;
#[allow(dead_code)]
#[path = "../it/random.rs"]
mod random;
mod signing;
mod table;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use self::cases::{Case, Deed};
use self::judge::Outcome;
use self::random::Random;
use self::signing::Keys;
use self::table::{Group, Table};

/// Of so many cases that follow each other, the first are single edits, the next pairs, the rest negative.
const ROUND: usize = 20;
const SINGLES: usize = 10;
const PAIRS: usize = 8;
/// With fewer cases, a share says little: the thresholds are lower by these points.
const FEW: usize = 200;
const SLACK: f64 = 10.0;

struct Run {
    seed: u64,
    budget: Duration,
    keep: Option<PathBuf>,
    only: Option<String>,
    /// Prints every case.
    loud: bool,
    keys: Keys,
    deeds: Vec<Deed>,
    table: Table,
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn number(name: &str, default: u64) -> u64 {
    text(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

fn main() -> ExitCode {
    let only = text("TRANSIT_ONLY");
    let deeds: Vec<Deed> = Deed::all();
    let one = text("TRANSIT_CASE").map(|_| number("TRANSIT_CASE", 0) as usize);
    let mut run = Run {
        seed: number("TRANSIT_SEED", 7),
        budget: Duration::from_secs(number("TRANSIT_BUDGET", 10)),
        keep: text("TRANSIT_KEEP").map(PathBuf::from),
        only,
        loud: one.is_some() || text("TRANSIT_LOUD").is_some(),
        keys: Keys::read(),
        deeds,
        table: Table::default(),
    };
    if let Some(keep) = &run.keep {
        std::fs::create_dir_all(keep).expect("a directory to keep cases in");
        let zone: serde_json::Map<String, serde_json::Value> = run
            .keys
            .zone
            .txt_records()
            .into_iter()
            .map(|(name, txt)| {
                let txt: Vec<_> = txt.iter().map(|t| String::from_utf8_lossy(t)).collect();
                (name.to_owned(), serde_json::json!({ "TXT": txt }))
            })
            .collect();
        let zone = serde_json::Value::Object(zone).to_string();
        std::fs::write(keep.join("records.json"), zone).expect("a file");
    }
    let cases = number("TRANSIT_CASES", 160) as usize;
    match one {
        Some(case) => run.case(case),
        None => (0..cases).for_each(|case| run.case(case)),
    }
    run.end()
}

impl Run {
    fn case(&mut self, at: usize) {
        let mut rng = Random::new(
            self.seed
                .wrapping_mul(0x1_0000_0001)
                .wrapping_add(at as u64),
        );
        // The first numbers of seeds that follow each other are alike.
        rng.next();
        let (round, place) = (at / ROUND, at % ROUND);
        if place >= SINGLES + PAIRS {
            if self.only.is_none() {
                self.negative(&mut rng, at, round * (ROUND - SINGLES - PAIRS) + place);
            }
            return;
        }
        let wanted = |deed: &&Deed| {
            self.only
                .as_ref()
                .is_none_or(|only| deed.name().contains(only))
        };
        let some: Vec<Deed> = self.deeds.iter().filter(wanted).copied().collect();
        assert!(!some.is_empty(), "no edit has this name");
        let deeds = match place < SINGLES {
            true => vec![some[(round * SINGLES + place) % some.len()]],
            false => self.pair(&mut rng, &some),
        };
        let Some(case) = cases::draw(&mut rng, &self.keys, &deeds) else {
            let names: Vec<&str> = deeds.iter().map(Deed::name).collect();
            // Some two exclude each other, and are no case.
            if deeds.len() == 1 || self.loud {
                println!(
                    "case {at}: no message was found that {} befalls",
                    names.join(" and ")
                );
            }
            return;
        };
        let outcome = judge::judge(&case, &self.keys, self.budget);
        self.count(at, &case, &outcome);
    }

    /// Two different ones, of which one has the name that is wanted.
    fn pair(&self, rng: &mut Random, some: &[Deed]) -> Vec<Deed> {
        loop {
            let pair = vec![*rng.pick(some), *rng.pick(&self.deeds)];
            let bugs = pair
                .iter()
                .filter(|deed| matches!(deed, Deed::Bug(..)))
                .count();
            if pair[0].name() != pair[1].name() && bugs < 2 {
                return pair;
            }
        }
    }

    fn count(&mut self, at: usize, case: &Case, outcome: &Outcome) {
        let group = match (case.is_undoable(), case.deeds.len()) {
            (false, _) => Group::Lost,
            (true, 1) => Group::Single,
            (true, _) => Group::Pair,
        };
        let names: Vec<&str> = case.deeds.iter().map(Deed::name).collect();
        self.table.add(group, &names, outcome);
        let wanted = group != Group::Lost;
        let slow = outcome.took > self.budget + Duration::from_secs(1);
        let failed = wanted && !(outcome.found && outcome.named);
        let bad =
            failed || slow || !outcome.false_claims.is_empty() || !outcome.unproven.is_empty();
        if bad || self.loud {
            let word = match outcome {
                o if !o.false_claims.is_empty() => "FALSE",
                o if !o.unproven.is_empty() => "NOT PROVEN",
                o if wanted && !o.found => "not found",
                o if wanted && !o.named => "not named",
                _ if slow => "slow",
                _ => "ok",
            };
            println!(
                "case {at}: {word}: {}: {:.1} s: {}{}",
                case.describe(),
                outcome.took.as_secs_f64(),
                outcome.said,
                problems(outcome)
            );
        }
        if bad || self.loud {
            self.keep(
                at,
                &case.came,
                Some(&case.signed),
                &format!(
                    "{}\n{}{}\n",
                    case.describe(),
                    outcome.said,
                    problems(outcome)
                ),
            );
        }
    }

    fn negative(&mut self, rng: &mut Random, at: usize, which: usize) {
        let negative = negative::run(rng, &self.keys, which, self.budget);
        let outcome = &negative.outcome;
        self.table.add(Group::Negative, &[negative.name], outcome);
        let bad = !outcome.false_claims.is_empty() || !outcome.unproven.is_empty();
        if bad || self.loud {
            let word = if bad { "FALSE" } else { "ok" };
            println!(
                "case {at}: {word}: {}: {:.1} s: {}{}",
                negative.name,
                outcome.took.as_secs_f64(),
                outcome.said,
                problems(outcome)
            );
            self.keep(
                at,
                &negative.message,
                None,
                &format!("{}\n{}{}\n", negative.name, outcome.said, problems(outcome)),
            );
        }
    }

    fn keep(&self, at: usize, came: &[u8], signed: Option<&[u8]>, what: &str) {
        let Some(place) = &self.keep else {
            return;
        };
        let write = |end: &str, bytes: &[u8]| {
            std::fs::write(place.join(format!("{at}.{end}")), bytes).expect("a file")
        };
        write("came.eml", came);
        write("txt", what.as_bytes());
        if let Some(signed) = signed {
            write("signed.eml", signed);
        }
    }

    fn end(&self) -> ExitCode {
        self.table.print();
        let mut passed = true;
        for (group, word, least) in [
            (Group::Single, "singles", 95.0),
            (Group::Pair, "pairs", 80.0),
        ] {
            let (share, cases) = self.table.share(group);
            let least = if cases < FEW { least - SLACK } else { least };
            println!(
                "{word}: {share:.1} % of {cases} found and named; at least {least} % are wanted"
            );
            passed &= share >= least;
        }
        println!(
            "{} false claims; {} cases in which less was said than is proven",
            self.table.false_claims, self.table.unproven
        );
        passed &= self.table.false_claims == 0 && self.table.unproven == 0;
        println!("{}", if passed { "passed" } else { "failed" });
        if passed {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn problems(outcome: &Outcome) -> String {
    let all = outcome.false_claims.iter().chain(&outcome.unproven);
    all.map(|problem| format!("; {problem}")).collect()
}
