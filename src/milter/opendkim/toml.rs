//! The import as a configuration of ours, in TOML.

use super::conf::Conf;
use super::import::{Imported, What};
use super::rules::{Row, Rule};
use crate::report::is_harmful;

/// The tables in the order in which they are written; the rules come last.
const TABLES: [&str; 4] = ["", "signing", "verifying", "verifying.actions"];

impl Imported {
    /// The configuration, with comments that say from which line each setting comes, and what is not honoured.
    /// `store` is the directory that the keys are imported into.
    ///
    /// ```
    /// use dkimkit::milter::opendkim::{Conf, Imported};
    /// let read = |_: &str| Ok(b"Mode s\nDomain example.com\nSelector s\nKeyFile /k.pem\n".to_vec());
    /// let conf = Conf::read("/etc/opendkim.conf", &read)?;
    /// let toml = Imported::plan(&conf, &read)?.to_toml(&conf, "/etc/dkimkit/keys");
    /// assert!(toml.contains("[[signing.rule]]\nfrom = \"*@example.com\"\ndomain = \"example.com\"\n"));
    /// # Ok::<(), dkimkit::milter::opendkim::ConfError>(())
    /// ```
    pub fn to_toml(&self, conf: &Conf, store: &str) -> String {
        let mut text = String::new();
        let out = &mut text;
        comment(
            out,
            &format!(
                "From {}. Above each setting stands the line that it comes from.",
                conf.file()
            ),
        );
        comment(
            out,
            "What is not here is as it is by default: `milter.toml` of dkimkit names all there is.",
        );
        self.unhonoured(out);
        for table in TABLES {
            let items: Vec<_> = self
                .settings
                .iter()
                .filter(|item| item.table == table)
                .collect();
            match table {
                "" => {}
                _ if items.is_empty() => continue,
                _ => out.push_str(&format!("\n[{table}]\n")),
            }
            if table.is_empty() {
                out.push_str(&format!("\nkeys = {}\n", quoted(store)));
            }
            for item in items {
                item.why.iter().for_each(|why| comment(out, why));
                out.push_str(&format!("{} = {}\n", item.key, item.value));
            }
        }
        self.rules(out);
        text
    }

    fn unhonoured(&self, out: &mut String) {
        let mut notes = self
            .notes
            .iter()
            .filter(|note| note.what == What::Cannot)
            .peekable();
        if notes.peek().is_some() {
            out.push('\n');
            comment(out, "Not honoured:");
        }
        for note in notes {
            comment(
                out,
                &format!(
                    "{}:{}: {}: {}",
                    note.file, note.line, note.option, note.text
                ),
            );
        }
    }

    fn rules(&self, out: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        out.push('\n');
        comment(
            out,
            "Where a domain signs with one key alone, its rules do not name the selector: `dkimkit rotate` may",
        );
        comment(out, "then put another key in its place.");
        if self.rows.iter().any(|row| matches!(row, Row::Left { .. })) {
            comment(
                out,
                "A line that is no rule counts for nothing: its authors fall to the rules that follow.",
            );
        }
        for row in &self.rows {
            match row {
                Row::Rule(rule) => write_rule(out, rule),
                Row::Left { file, line, why } => {
                    out.push('\n');
                    comment(out, &format!("{file}:{line}: no rule: {why}"));
                }
            }
        }
    }
}

fn write_rule(out: &mut String, rule: &Rule) {
    out.push('\n');
    comment(out, &format!("{}:{}", rule.file, rule.line));
    if let Some(remark) = &rule.remark {
        comment(out, remark);
    }
    if rule.key.is_some() {
        comment(
            out,
            "The key stays where it is: it signs for domains that nobody has listed.",
        );
    }
    out.push_str("[[signing.rule]]\n");
    let selector = rule.pinned.then(|| rule.selector.as_str());
    let lines = [
        ("from", Some(rule.from.as_str())),
        ("domain", Some(&rule.domain)),
        ("selector", selector),
        ("identity", rule.identity.as_deref()),
        ("key", rule.key.as_deref()),
    ];
    for (key, value) in lines {
        if let Some(value) = value {
            out.push_str(&format!("{key} = {}\n", quoted(value)));
        }
    }
}

/// A comment, on one line whatever stands in it.
fn comment(out: &mut String, text: &str) {
    out.push_str("# ");
    for c in text.chars() {
        match is_harmful(c) || c.is_control() {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    out.push('\n');
}

/// A basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_harmful(c) || c.is_control() => {
                out.push_str(&format!("\\U{:08X}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// An array of strings.
pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.into_iter().map(quoted).collect();
    format!("[{}]", items.join(", "))
}
