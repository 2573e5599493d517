//! What a rehearsal says: as text, and as JSON.

use dkimkit::milter::journal::Entry;
use dkimkit::milter::wire::{Modification, Reply};
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::speech::escape;

/// What came of it.
pub(super) struct Told {
    pub(super) entry: Option<Entry>,
    pub(super) replies: Vec<Reply>,
}

impl Told {
    fn modifications(&self) -> impl Iterator<Item = &Modification> {
        self.replies.iter().filter_map(|reply| match reply {
            Reply::Modify(modification) => Some(modification),
            _ => None,
        })
    }

    fn action(&self) -> String {
        let held = |m: &Modification| matches!(m, Modification::Quarantine { .. });
        match self.replies.last() {
            Some(Reply::Accept) if self.modifications().any(held) => "quarantine".to_owned(),
            Some(Reply::Accept) => "accept".to_owned(),
            Some(Reply::TempFail) => "tempfail".to_owned(),
            Some(Reply::Text(text)) if text.to_string().starts_with('4') => "tempfail".to_owned(),
            _ => "reject".to_owned(),
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.entry.as_ref()?.get(name)
    }

    fn why(&self) -> Vec<&str> {
        self.value("why")
            .map_or_else(Vec::new, |why| why.split("; ").collect())
    }

    /// What the client is told where the message is refused in words.
    fn reply(&self) -> Option<String> {
        match self.replies.last() {
            Some(Reply::Text(reply)) => Some(reply.to_string()),
            _ => None,
        }
    }

    /// The fields that are inserted, and those that are deleted.
    fn changes(&self) -> (Vec<String>, Vec<String>) {
        let (mut inserted, mut deleted) = (Vec::new(), Vec::new());
        for modification in self.modifications() {
            match modification {
                Modification::InsertHeader { name, value, .. } => {
                    let name = String::from_utf8_lossy(name);
                    inserted.insert(0, format!("{name}:{}", String::from_utf8_lossy(value)));
                }
                Modification::ChangeHeader { index, name, .. } => {
                    deleted.push(format!("{} {index}", String::from_utf8_lossy(name)));
                }
                _ => {}
            }
        }
        (inserted, deleted)
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = self.value("event").unwrap_or("untouched").to_owned();
        for name in [
            "domain",
            "selector",
            "algorithm",
            "dkim",
            "reason",
            "detail",
        ] {
            if let Some(value) = self.value(name) {
                text.push_str(&format!(" {name}={}", escape(value)));
            }
        }
        text.push_str(&format!(" action={}\n", self.action()));
        for rule in self.why() {
            text.push_str(&format!("  because {}\n", escape(rule)));
        }
        if let Some(reply) = self.reply() {
            text.push_str(&format!("  the client is told {}\n", escape(&reply)));
        }
        let (inserted, deleted) = self.changes();
        for field in deleted {
            text.push_str(&format!("delete {}\n", escape(&field)));
        }
        for field in inserted {
            for (at, line) in field.split('\n').enumerate() {
                let mark = if at == 0 { "insert " } else { "       " };
                let line = escape(&line.replace('\t', " "));
                text.push_str(&format!("{mark}{line}\n"));
            }
        }
        text
    }

    pub(super) fn to_json(&self) -> Value {
        let (inserted, deleted) = self.changes();
        let list = |name: &str| -> Vec<&str> {
            self.value(name)
                .map_or_else(Vec::new, |text| text.split(',').collect())
        };
        json!({
            "event": self.value("event"),
            "action": self.action(),
            "dkim": self.value("dkim"),
            "reason": self.value("reason"),
            "detail": self.value("detail"),
            "domains": list("domain"),
            "selectors": list("selector"),
            "why": self.why(),
            "reply": self.reply(),
            "inserted": inserted,
            "deleted": deleted,
        })
    }

    pub(super) fn exit(&self) -> Exit {
        match self.action().as_str() {
            "accept" => Exit::Done,
            "tempfail" => Exit::TempFail,
            _ => Exit::No,
        }
    }
}
