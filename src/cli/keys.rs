//! `dkimkit keys`: what is in the key store, and which of it signs.

use dkimkit::keystore::{Entry, KeyState, KeyStore};
use dkimkit::name::{Domain, Selector};
use dkimkit::report::spaced_json;
use dkimkit::time::UnixTime;
use serde_json::json;

use super::args::{ClockArgs, StoreArgs, domain, selector};
use super::speech::{self, Trouble};
use super::{Exit, output};

/// List the keys of the store, and say which of them sign
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit keys list
  dkimkit keys list --json
  dkimkit keys activate example.com mail2
  dkimkit keys retire example.com mail")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List all domains and selectors
    List {
        /// Print one JSON object a line a key
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        store: StoreArgs,
        #[command(flatten)]
        clock: ClockArgs,
    },
    /// Let a key sign; others that sign go on
    Activate(Change),
    /// Let a key sign no longer; its record should stay published for a while
    Retire(Change),
}

#[derive(Debug, clap::Args)]
struct Change {
    /// The domain
    #[arg(value_parser = domain)]
    domain: Domain,
    /// The selector
    #[arg(value_parser = selector)]
    selector: Selector,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    match &args.command {
        Command::List { json, store, clock } => list(&store.store(), *json, clock.now()),
        Command::Activate(change) => set(change, KeyState::Active),
        Command::Retire(change) => set(change, KeyState::Retired),
    }
}

fn set(change: &Change, state: KeyState) -> Result<Exit, Trouble> {
    let store = change.store.store();
    let (domain, selector) = (&change.domain, &change.selector);
    let before = store.set_state(domain, selector, state, change.clock.now())?;
    if before == state {
        speech::note(format!("{selector} of {domain} is {state} already"));
    } else {
        speech::note(format!(
            "{selector} of {domain} is {state}; it was {before}"
        ));
    }
    let active: Vec<String> = store
        .entries(domain)?
        .into_iter()
        .filter(|e| e.state == KeyState::Active)
        .map(|e| e.selector.to_string())
        .collect();
    match active.as_slice() {
        [] => speech::warning(format!(
            "no key of {domain} is active: nothing signs for it now"
        )),
        [_] => {}
        several => {
            speech::note(format!(
                "a message of {domain} gets a signature of each active key: {}",
                several.join(", ")
            ));
            speech::hint(format!(
                "dkimkit keys retire {domain} SELECTOR takes one out"
            ));
        }
    }
    Ok(Exit::Done)
}

/// One key of the list.
struct Row {
    domain: Domain,
    entry: Entry,
    /// Algorithm and bits, or why there are none.
    key: Result<(&'static str, usize), String>,
}

fn list(store: &KeyStore, as_json: bool, now: UnixTime) -> Result<Exit, Trouble> {
    let mut rows = Vec::new();
    for domain in store.domains()? {
        for entry in store.entries(&domain)? {
            let key = store.key(&domain, &entry.selector);
            let key = key
                .map(|k| (k.algorithm().key_type().as_str(), k.bits()))
                .map_err(|e| e.to_string());
            let domain = domain.clone();
            rows.push(Row { domain, entry, key });
        }
    }
    let text: String = if as_json {
        rows.iter().map(json_line).collect()
    } else {
        table(&rows, now)
    };
    output::print(&text)?;
    if rows.is_empty() {
        speech::note(format!("{} holds no keys", store.dir().display()));
        speech::hint("dkimkit generate -d example.com makes the first one");
    }
    let broken = rows.iter().filter_map(|row| row.key.as_ref().err());
    let broken = broken.inspect(|error| speech::warning(error)).count();
    Ok(if broken > 0 { Exit::No } else { Exit::Done })
}

fn json_line(row: &Row) -> String {
    let key = row.key.as_ref().ok();
    let value = json!({
        "domain": row.domain.as_str(),
        "selector": row.entry.selector.as_str(),
        "state": row.entry.state.as_str(),
        "since": row.entry.since.map(|t| t.0),
        "algorithm": key.map(|k| k.0),
        "bits": key.map(|k| k.1),
        "error": row.key.as_ref().err(),
    });
    format!("{}\n", spaced_json(&value))
}

fn table(rows: &[Row], now: UnixTime) -> String {
    let cells = rows.iter().map(|row| {
        let key = match &row.key {
            Ok((kind, bits)) => format!("{kind} {bits}"),
            Err(_) => "unreadable".to_owned(),
        };
        let since = match row.entry.since {
            Some(since) => {
                let days = now.0.saturating_sub(since.0) / 86_400;
                format!(
                    "{} ({days} days)",
                    since.to_rfc3339().split('T').next().unwrap_or_default()
                )
            }
            None => "-".to_owned(),
        };
        [
            row.domain.to_string(),
            row.entry.selector.to_string(),
            row.entry.state.to_string(),
            since,
            key,
        ]
    });
    let head = ["DOMAIN", "SELECTOR", "STATE", "SINCE", "KEY"].map(str::to_owned);
    let all: Vec<[String; 5]> = std::iter::once(head).chain(cells).collect();
    if all.len() == 1 {
        return String::new();
    }
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2, 3].map(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in &all {
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(&format!("{}\n", row[4]));
    }
    text
}
