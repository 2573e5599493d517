//! What came of the cases, by kind of edit.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::judge::Outcome;

/// The cases of one kind.
#[derive(Default)]
struct Row {
    cases: usize,
    found: usize,
    named: usize,
    exact: usize,
    times: Vec<Duration>,
}

impl Row {
    fn add(&mut self, outcome: &Outcome) {
        self.cases += 1;
        self.found += usize::from(outcome.found);
        self.named += usize::from(outcome.found && outcome.named);
        self.exact += usize::from(outcome.exact);
        self.times.push(outcome.took);
    }

    fn share(&self) -> f64 {
        100.0 * self.named as f64 / self.cases.max(1) as f64
    }

    fn print(&self, name: &str) {
        let mut times = self.times.clone();
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let last = times.last().copied().unwrap_or_default();
        println!(
            "| {name} | {} | {} | {} | {} | {:.2} | {:.2} |",
            self.cases,
            self.found,
            self.named,
            self.exact,
            median.as_secs_f64(),
            last.as_secs_f64()
        );
    }
}

/// To which threshold a case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Single,
    Pair,
    Lost,
    Negative,
}

#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<(Group, String), Row>,
    totals: BTreeMap<Group, Row>,
    pub(crate) false_claims: usize,
    pub(crate) unproven: usize,
}

impl Table {
    /// `names` are those of the rows; a pair stands in the rows of both.
    pub(crate) fn add(&mut self, group: Group, names: &[&str], outcome: &Outcome) {
        for name in names {
            self.rows
                .entry((group, (*name).to_owned()))
                .or_default()
                .add(outcome);
        }
        self.totals.entry(group).or_default().add(outcome);
        self.false_claims += usize::from(!outcome.false_claims.is_empty());
        self.unproven += usize::from(!outcome.unproven.is_empty());
    }

    pub(crate) fn print(&self) {
        let heads = [
            (Group::Single, "edits that can be undone, alone"),
            (Group::Pair, "pairs in which it stands"),
            (
                Group::Lost,
                "edits that cannot be undone, alone or in pairs",
            ),
            (Group::Negative, "nothing to find"),
        ];
        for (group, head) in heads {
            println!(
                "\n| {head} | cases | found | and named | same bytes | median s | longest s |\n|---|---|---|---|---|---|---|"
            );
            for ((_, name), row) in self.rows.iter().filter(|((of, _), _)| *of == group) {
                row.print(name);
            }
            if let Some(total) = self.totals.get(&group) {
                total.print("**all**");
            }
        }
        println!();
    }

    /// The percentage of cases of a group that were found and named, and how many there are.
    pub(crate) fn share(&self, group: Group) -> (f64, usize) {
        self.totals
            .get(&group)
            .map_or((100.0, 0), |row| (row.share(), row.cases))
    }
}
