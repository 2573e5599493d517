//! Why the messages of a mailbox fail: a table by cause, domain and path.

use std::collections::HashMap;
use std::io::Write as _;

use dkimkit::explain::{Explained, Explanation, Part, Unjudged};
use dkimkit::report::{Failure, ResultWord};

use super::{Args, Job, Told};
use crate::cli::Exit;
use crate::cli::batch::{self, Outcome, Progress};
use crate::cli::examine::Exits;
use crate::cli::input::Source;
use crate::cli::mailbox::{Found, Messages};
use crate::cli::output::Output;
use crate::cli::speech::{self, Trouble, escape};
use crate::cli::verify::place;

/// So many rows are kept: a hostile mailbox has a domain of its own in every message.
const MAX_ROWS: usize = 10_000;

/// What a message adds to the table.
struct Counted {
    rows: Vec<Row>,
    example: String,
    passes: bool,
    signed: bool,
    exit: Exit,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Row {
    cause: String,
    domain: String,
    path: String,
}

impl Outcome for Result<Counted, Trouble> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, |counted| counted.rows.len() * 200)
    }
}

pub(super) fn run(args: &Args, job: &Job, sources: Vec<Source>) -> Result<Exit, Trouble> {
    let work = |found: Result<Found, Trouble>| Ok(count(job.explain(found?)?));
    let progress = Progress::new(true);
    let mut table: HashMap<Row, (u64, String)> = HashMap::new();
    let (mut messages, mut passed, mut unsigned, mut left_out) = (0u64, 0u64, 0u64, 0u64);
    let mut exits = Exits::default();
    let ended = batch::run(
        args.jobs,
        Messages::new(sources),
        work,
        |counted: Result<Counted, Trouble>| {
            let counted = match counted {
                Ok(counted) => counted,
                Err(trouble) => {
                    exits.add(trouble.tell());
                    return Ok(());
                }
            };
            messages += 1;
            passed += u64::from(counted.passes);
            unsigned += u64::from(!counted.signed);
            exits.add(counted.exit);
            for row in counted.rows {
                if table.len() == MAX_ROWS && !table.contains_key(&row) {
                    left_out += 1;
                    continue;
                }
                table
                    .entry(row)
                    .or_insert_with(|| (0, counted.example.clone()))
                    .0 += 1;
            }
            progress.count(|| format!("{passed} of {messages} pass"));
            Ok(())
        },
    );
    drop(progress);
    let mut out = Output::stdout();
    let mut rows: Vec<_> = table.into_iter().collect();
    rows.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
    let failed = messages - passed - unsigned;
    let word = if messages == 1 { "message" } else { "messages" };
    let mut text =
        format!("{messages} {word}: {passed} pass, {failed} do not, {unsigned} are not signed\n");
    for (row, (count, example)) in &rows {
        let line = format!(
            "{count:>7}  {}  d={}  {}  e.g. {example}",
            row.cause, row.domain, row.path
        );
        text.push_str(&escape(&line));
        text.push('\n');
    }
    if left_out > 0 {
        text.push_str(&format!("{left_out:>7}  in rows beyond {MAX_ROWS}\n"));
    }
    let written = out
        .write_all(text.as_bytes())
        .map_err(|e| Trouble::write("standard output", &e));
    let finished = written.and_then(|()| out.finish());
    if messages == 0 {
        speech::warning("there is no message to explain");
    }
    exits.after(ended.and(finished))
}

fn count(told: Told) -> Counted {
    let exit = told.exit();
    let passes = told.passes();
    let example = place(&told.file, told.number);
    let rows = match &told.outcome {
        Err(error) => vec![Row {
            cause: Failure::Message(*error).reason().to_owned(),
            domain: "-".to_owned(),
            path: "-".to_owned(),
        }],
        Ok(explanation) => {
            let failing = explanation
                .signatures
                .iter()
                .filter(|s| s.verdict.failure().is_some());
            let mut rows: Vec<Row> = Vec::new();
            for row in failing.map(|explained| row(explanation, explained)) {
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
            rows
        }
    };
    let signed = match &told.outcome {
        Ok(explanation) => !explanation.signatures.is_empty(),
        Err(_) => true,
    };
    Counted {
        rows,
        example,
        passes,
        signed,
        exit,
    }
}

fn row(explanation: &Explanation, explained: &Explained) -> Row {
    let domain = explained.verdict.claims.domain.as_ref();
    Row {
        cause: cause(explained),
        domain: domain.map_or("-".to_owned(), |domain| domain.as_str().to_owned()),
        path: path(explanation),
    }
}

/// The kinds of the changes, or the reason of the verdict with which part fails.
fn cause(explained: &Explained) -> String {
    let mut words: Vec<&str> = Vec::new();
    for change in explained.changes() {
        if !words.contains(&change.kind.as_str()) {
            words.push(change.kind.as_str());
        }
    }
    let unknown = |part: &Part| matches!(part, Part::Unexplained(_));
    if unknown(&explained.body) {
        words.push("body-unexplained");
    }
    if unknown(&explained.header) {
        words.push("header-unexplained");
    }
    if explained.header == Part::Unjudged(Unjudged::OtherKey) {
        words.push("other-key");
    }
    let reason = explained.verdict.failure().map(Failure::reason);
    let by_hash = explained.verdict.result() == ResultWord::Fail;
    if !by_hash {
        return reason.unwrap_or("pass").to_owned();
    }
    match words.is_empty() {
        true => reason.unwrap_or("pass").to_owned(),
        // What was found first says nothing.
        false => {
            words.sort_unstable();
            words.join("+")
        }
    }
}

/// The servers that the message came through, the first one first, as Received names them.
fn path(explanation: &Explanation) -> String {
    const HOPS: usize = 4;
    let mut hops: Vec<String> = Vec::new();
    for field in explanation
        .header()
        .fields()
        .filter(|field| field.is("Received"))
    {
        let text = String::from_utf8_lossy(field.value()).into_owned();
        let mut words = text.split_ascii_whitespace();
        let by = words
            .find(|word| word.eq_ignore_ascii_case("by"))
            .and_then(|_| words.next());
        let Some(host) = by else {
            continue;
        };
        let host: String = host.trim_end_matches([';', ',']).chars().take(80).collect();
        if hops.last() != Some(&host) {
            hops.push(host.to_ascii_lowercase());
        }
    }
    if hops.is_empty() {
        return "no Received".to_owned();
    }
    hops.truncate(HOPS + 1);
    let more = hops.len() > HOPS;
    hops.truncate(HOPS);
    hops.reverse();
    let path = format!("by {}", hops.join(" > "));
    if more {
        format!("{path} (and before)")
    } else {
        path
    }
}
