//! A policy record that is being mended: all that is right in it stays.

use std::fmt;

use super::{is_partial, share};
use crate::dmarc::record::{Fault, Mode, Policy, Reading, ReportUri, Request, Tag};

/// The tags of a record behind v=, in their order.
pub(super) struct Draft {
    tags: Vec<(String, String)>,
}

impl Draft {
    /// What stands in a record, each tag once. What the reading shows of a value may be cut, so it is taken from the text.
    pub(super) fn of(text: &[u8], reading: &Reading) -> Draft {
        let mut tags: Vec<(String, String)> = Vec::new();
        for tag in &reading.tags {
            if tag.name != "v" && tags.iter().all(|(name, _)| *name != tag.name) {
                tags.push((tag.name.clone(), value(text, tag)));
            }
        }
        Draft { tags }
    }

    /// One record for several: none of them is in force, so it asks for no more than the mildest of all, and has all
    /// who get reports.
    pub(super) fn merged(records: &[(&[u8], Reading)]) -> Draft {
        let of = |reading: &Reading| {
            let record = &reading.record;
            let own = record.p.policy().unwrap_or(Policy::None);
            let sub = record.sp.policy().unwrap_or(own);
            (own, sub, record.np.policy().unwrap_or(sub))
        };
        let readings = || records.iter().map(|(_, reading)| reading);
        let mildest = |record: &&(&[u8], Reading)| (of(&record.1), share(&record.1).unwrap_or(100));
        let Some((text, base)) = records.iter().min_by_key(mildest) else {
            return Draft { tags: Vec::new() };
        };
        let mut draft = Draft::of(text, base);
        let least = |policy: fn((Policy, Policy, Policy)) -> Policy| {
            let policies = readings().map(|reading| policy(of(reading)));
            policies.min().unwrap_or(Policy::None)
        };
        let (own, sub, missing) = (least(|all| all.0), least(|all| all.1), least(|all| all.2));
        draft.set("p", own.as_str());
        draft.set_unless("sp", sub, own);
        draft.set_unless("np", missing, sub);
        let any = |is_it: fn(&Reading) -> bool| readings().any(is_it);
        // What one says alone of the domains below or above holds by none.
        if readings().any(|reading| reading.record.psd != base.record.psd) {
            draft.remove("psd");
        }
        if any(|reading| reading.record.testing) {
            draft.set("t", "y");
        }
        if any(|reading| reading.record.adkim == Mode::Relaxed) {
            draft.remove("adkim");
        }
        if any(|reading| reading.record.aspf == Mode::Relaxed) {
            draft.remove("aspf");
        }
        draft.clean();
        for name in ["rua", "ruf"] {
            let mut all: Vec<String> = Vec::new();
            for (text, reading) in records {
                let own = Draft::of(text, reading);
                for uri in own.get(name).map(addresses).unwrap_or_default() {
                    if !all.contains(&uri) {
                        all.push(uri);
                    }
                }
            }
            if !all.is_empty() {
                draft.set(name, &all.join(","));
            }
        }
        draft
    }

    /// Writes a policy where it is another than that which holds without it.
    fn set_unless(&mut self, name: &str, policy: Policy, holds: Policy) {
        match policy == holds {
            true => self.remove(name),
            false => self.set(name, policy.as_str()),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let tag = self.tags.iter().find(|tag| tag.0 == name);
        tag.map(|tag| tag.1.as_str())
    }

    /// Gives a tag this value, at its place or at the end.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        match self.tags.iter_mut().find(|tag| tag.0 == name) {
            Some(tag) => value.clone_into(&mut tag.1),
            None => self.tags.push((name.to_owned(), value.to_owned())),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.tags.retain(|tag| tag.0 != name);
    }

    /// Takes an address out of a list, and the list where it is the last.
    pub(super) fn remove_address(&mut self, name: &str, uri: &str) {
        let left = self.get(name).map(|list| {
            let uris = list.split(',').map(str::trim);
            uris.filter(|one| *one != uri).collect::<Vec<_>>().join(",")
        });
        match left {
            Some(left) if left.is_empty() => self.remove(name),
            Some(left) => self.set(name, &left),
            None => {}
        }
        // It says when such reports are sent.
        if self.get("ruf").is_none() {
            self.remove("fo");
        }
    }

    /// Takes out what counts for nothing, and brings p= to its place.
    pub(super) fn clean(&mut self) {
        for name in ["rua", "ruf"] {
            let uris = self.get(name).map(addresses);
            match uris {
                Some(uris) if uris.is_empty() => self.remove(name),
                Some(uris) => self.set(name, &uris.join(",")),
                None => {}
            }
        }
        let own = self.to_string();
        let Ok(reading) = Reading::parse(own.as_bytes()) else {
            return;
        };
        for found in &reading.findings {
            match &found.fault {
                // Without it older receivers would do more than now.
                Fault::Obsolete { name } if name == "pct" && is_partial(&reading) => {}
                Fault::Unknown { name }
                | Fault::Obsolete { name }
                | Fault::Invalid { name, .. } => {
                    self.remove(name);
                }
                _ => {}
            }
        }
        self.tags.sort_by_key(|tag| tag.0 != "p");
    }

    /// The same for one subdomain alone, with the next policy above none.
    pub(super) fn for_subdomain(&self) -> Draft {
        let mut draft = Draft {
            tags: self.tags.clone(),
        };
        for name in ["sp", "np", "psd"] {
            draft.remove(name);
        }
        draft.set("p", Policy::Quarantine.as_str());
        draft
    }

    /// Has the policy applied that was only tried.
    pub(super) fn enforce(&mut self) {
        self.remove("t");
        if self.get("pct") == Some("0") {
            self.remove("pct");
        }
    }

    /// Gives p=, sp= and np= what is likely to be meant.
    pub(super) fn mend_policies(&mut self) {
        for tag in &mut self.tags {
            if ["p", "sp", "np"].contains(&tag.0.as_str()) {
                meant(&tag.1).as_str().clone_into(&mut tag.1);
            }
        }
        if self.get("p").is_none() {
            self.set("p", Policy::None.as_str());
        }
    }

    /// Takes sp= and np= out where they are weaker than `policy`.
    pub(super) fn drop_weaker(&mut self, policy: Policy) {
        let own = self.to_string();
        let Ok(reading) = Reading::parse(own.as_bytes()) else {
            return;
        };
        let is_weaker = |request: Request| request.policy().is_some_and(|own| own < policy);
        for (name, request) in [("sp", reading.record.sp), ("np", reading.record.np)] {
            if is_weaker(request) {
                self.remove(name);
            }
        }
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=DMARC1")?;
        for (name, value) in &self.tags {
            write!(f, "; {name}={value}")?;
        }
        Ok(())
    }
}

/// The value of a tag as it stands in the text.
fn value(text: &[u8], tag: &Tag) -> String {
    let item = String::from_utf8_lossy(&text[tag.span.clone()]).into_owned();
    let value = item.split_once('=').map_or("", |(_, value)| value);
    value.trim_matches([' ', '\t']).to_owned()
}

/// The addresses of a list to which reports can go, written as they must be.
fn addresses(list: &str) -> Vec<String> {
    let pieces = list.split(',').map(str::trim);
    let mail = |text: &str| {
        let uri = ReportUri::parse(text.as_bytes()).ok()?;
        uri.mailbox.is_some().then_some(uri.uri)
    };
    let uris = pieces.filter_map(|piece| mail(piece).or_else(|| mail(&format!("mailto:{piece}"))));
    uris.collect()
}

/// The policy that a word is surely meant to be. It is in force from then on, so that any other is none.
fn meant(word: &str) -> Policy {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
    let word = word.to_ascii_lowercase();
    let near = |policy: &Policy| {
        let known = policy.as_str();
        word.get(..1) == known.get(..1) && distance(&word, known) <= 2
    };
    let known = [Policy::Quarantine, Policy::Reject];
    known.into_iter().find(near).unwrap_or(Policy::None)
}

/// How many letters are to be left out, put in or written otherwise to make the one word the other.
fn distance(one: &str, other: &str) -> usize {
    // No word that is near is as long.
    if one.len() > 20 {
        return one.len();
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (column, known) in other.bytes().enumerate() {
            let swapped = before + usize::from(letter != known);
            before = row[column + 1];
            row[column + 1] = swapped.min(before + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

/// The record that a text is meant to be which no receiver takes for one.
pub(super) fn with_version(text: &[u8]) -> Option<Draft> {
    let text = super::text::unpasted(text);
    let lower = text.to_ascii_lowercase();
    // v=DMARC1 is looked for wherever it stands, and however it is written; what is behind it may lack a semicolon.
    let at = lower.find("dmarc1")?;
    let before = text[..at].trim_end().trim_end_matches(['v', 'V', '=', ' ']);
    let separators = |c: char| c.is_whitespace() || matches!(c, ';' | ':' | ',');
    let behind = text[at + "dmarc1".len()..].trim_start_matches(separators);
    let before = before.trim_matches(separators);
    let joined = match before {
        "" => format!("v=DMARC1; {behind}"),
        before => format!("v=DMARC1; {before}; {behind}"),
    };
    repaired(&separated(&joined)?)
}

/// The record of a text with the policies that are meant, and without what counts for nothing.
pub(super) fn repaired(text: &str) -> Option<Draft> {
    let reading = Reading::parse(text.as_bytes()).ok()?;
    let mut draft = Draft::of(text.as_bytes(), &reading);
    draft.mend_policies();
    draft.clean();
    Some(draft)
}

const NAMES: [&str; 13] = [
    "p", "sp", "np", "rua", "ruf", "adkim", "aspf", "fo", "pct", "psd", "rf", "ri", "t",
];

/// A text with a semicolon before each tag that has only blanks or commas there; none where it still has a tag with a
/// value that holds another, which would be lost with it.
pub(super) fn separated(text: &str) -> Option<String> {
    let mut right: Vec<String> = Vec::new();
    for item in text.split(';') {
        let starts = item.match_indices('=').filter_map(|(equals, _)| {
            let head = item[..equals].trim_end();
            let start = head.rfind(|c: char| c.is_whitespace() || c == ',')? + 1;
            let name = head.get(start..)?.to_ascii_lowercase();
            NAMES.contains(&name.as_str()).then_some(start)
        });
        let mut from = 0;
        for start in starts.collect::<Vec<_>>() {
            right.push(item[from..start].to_owned());
            from = start;
        }
        right.push(item[from..].to_owned());
    }
    let items = right.iter().map(|item| item.trim_matches([' ', '\t', ',']));
    let items: Vec<&str> = items.filter(|item| !item.is_empty()).collect();
    let holds_another = |item: &&str| {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        let name = name.trim().to_ascii_lowercase();
        value.contains('=') && !["rua", "ruf"].contains(&name.as_str())
    };
    (!items.iter().any(holds_another)).then(|| items.join("; "))
}
