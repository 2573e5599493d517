//! `dkimkit keys`: what is in the key store, and which of it signs.

use dkimkit::key::KeyType;
use dkimkit::keystore::{Entry, KeyState, KeyStore, StoreError};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::publish::{revoked, zone_line};
use dkimkit::report::spaced_json;
use dkimkit::time::UnixTime;
use serde_json::json;

use super::args::{ClockArgs, StoreArgs, domain, selector};
use super::rotate::lock_rotation;
use super::speech::{self, Trouble};
use super::{Exit, output};

/// List the keys of the store, and say which of them sign
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit keys list
  dkimkit keys list --json
  dkimkit keys activate example.com mail2
  dkimkit keys retire example.com mail
  dkimkit keys revoke example.com lost")]
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
    /// Note that a key is withdrawn for good, as one that was lost, and print the record that says so
    Revoke(Change),
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
        Command::Revoke(change) => revoke(change),
    }
}

fn set(change: &Change, state: KeyState) -> Result<Exit, Trouble> {
    let store = change.store.store();
    let (domain, selector) = (&change.domain, &change.selector);
    let _lock = match store.entries(domain)?.is_empty() {
        true => None,
        false => Some(lock_rotation(&store, domain)?),
    };
    let entries = store.entries(domain)?;
    let old = entries.iter().find(|entry| entry.selector == *selector);
    if state != KeyState::Revoked && old.is_some_and(|old| old.state == KeyState::Revoked) {
        let message =
            format!("{selector} of {domain} is revoked: the world was told not to trust it");
        return Err(
            Trouble::usage(message).hint(format!("make another key: dkimkit generate -d {domain}"))
        );
    }
    if state == KeyState::Active {
        let others = store.active(domain).unwrap_or_default();
        let group = others.iter().find_map(|other| store.group(domain, other));
        if let (Some(group), None) = (group, store.group(domain, selector)) {
            let path = store.pem_path(domain, selector);
            let path = path.display();
            speech::warning(format!(
                "the group {group} reads the key that signs now, and cannot read {path}"
            ));
            speech::hint(format!("chgrp {group} {path} && chmod 0640 {path}"));
        }
    }
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

fn revoke(change: &Change) -> Result<Exit, Trouble> {
    let store = change.store.store();
    let (domain, selector) = (&change.domain, &change.selector);
    // A key that cannot be read any more is withdrawn all the same.
    let record = match store.record(domain, selector) {
        Err(StoreError::Key { .. }) => "v=DKIM1; p=".to_owned(),
        record => revoked(&record?),
    };
    let name = KeyName::new(selector, domain).map_err(Trouble::usage)?;
    set(change, KeyState::Revoked)?;
    output::print(&zone_line(&name, &record))?;
    speech::note("the key is withdrawn when this record is published in place of the old one");
    speech::hint(format!(
        "dkimkit publish {domain} {selector} --server ADDR --tsig-key FILE does so; dkimkit check {domain} {selector} sees it"
    ));
    Ok(Exit::Done)
}

/// One key of the list.
struct Row {
    domain: Domain,
    entry: Entry,
    /// Type and bits, or why there are none.
    key: Result<(KeyType, usize), String>,
}

const DAY: u64 = 86_400;
/// What `rotate` keeps to without --overlap.
const OVERLAP: u64 = 14 * DAY;
/// M3AAWG's advice is to rotate twice a year at least.
const OLD: u64 = 180 * DAY;

impl Row {
    fn age(&self, now: UnixTime) -> Option<u64> {
        Some(now.0.saturating_sub(self.entry.since?.0) / DAY)
    }

    /// What is to be done about it, if anything.
    fn next(&self, now: UnixTime) -> Option<String> {
        let domain = &self.domain;
        let since = self.entry.since.unwrap_or(now);
        let notes = &self.entry.notes;
        let date = |time: UnixTime| time.to_rfc3339().chars().take(10).collect::<String>();
        Some(match (self.entry.state, &self.key) {
            (_, Err(_)) => "mend or restore the key file".to_owned(),
            (KeyState::Pending, _) if self.entry.since.is_none() => {
                format!("say which key signs: dkimkit keys activate {domain} SELECTOR")
            }
            (KeyState::Pending, _) => match notes.served {
                None => format!("publish its record, then: dkimkit rotate {domain}"),
                Some(served) => {
                    let until = UnixTime(served.0.saturating_add(notes.hold.unwrap_or(0)));
                    format!("from {} on: dkimkit rotate {domain}", until.to_rfc3339())
                }
            },
            (KeyState::Active, Ok((KeyType::Rsa, ..2048))) => {
                format!("too small: dkimkit rotate {domain}")
            }
            (KeyState::Active, _) if now.0.saturating_sub(since.0) >= OLD => {
                format!("old: dkimkit rotate {domain}")
            }
            (KeyState::Active, _) => return None,
            (KeyState::Retired, _) => {
                let overlap = OVERLAP.max(notes.lifetime.unwrap_or(0));
                let until = UnixTime(since.0.saturating_add(overlap));
                match now < until {
                    true => format!("keep its record until {}", date(until)),
                    false => format!("withdraw it: dkimkit rotate {domain}"),
                }
            }
            (KeyState::Revoked, _) => return None,
        })
    }
}

fn list(store: &KeyStore, as_json: bool, now: UnixTime) -> Result<Exit, Trouble> {
    let mut rows = Vec::new();
    for domain in store.domains()? {
        for entry in store.entries(&domain)? {
            let key = store.key(&domain, &entry.selector);
            let key = key
                .map(|k| (k.algorithm().key_type(), k.bits()))
                .map_err(|e| e.to_string());
            let domain = domain.clone();
            rows.push(Row { domain, entry, key });
        }
    }
    let text: String = if as_json {
        rows.iter().map(|row| json_line(row, now)).collect()
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

fn json_line(row: &Row, now: UnixTime) -> String {
    let key = row.key.as_ref().ok();
    let value = json!({
        "domain": row.domain.as_str(),
        "selector": row.entry.selector.as_str(),
        "state": row.entry.state.as_str(),
        "since": row.entry.since.map(|t| t.0),
        "age_days": row.age(now),
        "algorithm": key.map(|k| k.0.as_str()),
        "bits": key.map(|k| k.1),
        "served": row.entry.notes.served.map(|t| t.0),
        "hold": row.entry.notes.hold,
        "lifetime": row.entry.notes.lifetime,
        "next": row.next(now),
        "error": row.key.as_ref().err(),
    });
    format!("{}\n", spaced_json(&value))
}

fn table(rows: &[Row], now: UnixTime) -> String {
    let cells = rows.iter().map(|row| {
        let key = match &row.key {
            Ok((kind, bits)) => format!("{} {bits}", kind.as_str()),
            Err(_) => "unreadable".to_owned(),
        };
        let since = match row.entry.since {
            Some(since) => {
                let days = row.age(now).unwrap_or(0);
                let date = since.to_rfc3339();
                format!(
                    "{} ({days} days)",
                    date.split('T').next().unwrap_or_default()
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
            row.next(now).unwrap_or_default(),
        ]
    });
    let head = ["DOMAIN", "SELECTOR", "STATE", "SINCE", "KEY", "NEXT"].map(str::to_owned);
    let all: Vec<[String; 6]> = std::iter::once(head).chain(cells).collect();
    if all.len() == 1 {
        return String::new();
    }
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2, 3, 4].map(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in &all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        line.push_str(&row[5]);
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    text
}
