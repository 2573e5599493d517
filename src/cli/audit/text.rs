//! What an audit found, for a terminal: the worst first, then what passes.

use dkimkit::audit::{Audit, CheckReport, Finding, Grade, ResourceRecord};
use serde_json::Value;

use super::{grade, is_short, parts};
use crate::cli::speech::escape;

/// How it is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) color: bool,
    /// Lines are broken at so many columns; not at all without it.
    pub(super) width: Option<usize>,
    /// Whether what was seen is told too.
    pub(super) facts: bool,
}

/// The column at which sentences begin.
const INDENT: usize = 10;
/// Where lines are narrower, they are not broken: a terminal does that itself.
const NARROWEST: usize = 40;
/// And no wider than is read with ease.
const WIDEST: usize = 110;

/// A line for the domain, a paragraph for each check that finds something, and a line for each that does not.
pub(super) fn render(audit: &Audit, style: Style) -> String {
    let mut page = Page {
        out: String::new(),
        style,
    };
    page.out = format!(
        "{}: {} ({})\n",
        escape(&audit.domain),
        page.painted(audit.result, audit.result.as_str()),
        counts(audit)
    );
    let mut checks: Vec<&CheckReport> = audit.checks.iter().collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.result));
    let mut before = None;
    for check in checks {
        // What passes stands together.
        let apart = check.result != Grade::Pass || before != Some(Grade::Pass) || style.facts;
        if apart {
            page.out.push('\n');
        }
        before = Some(check.result);
        page.check(check);
    }
    page.out
}

/// How many checks came to what, the worst first.
fn counts(audit: &Audit) -> String {
    let grades = [Grade::Fail, Grade::Unknown, Grade::Warning, Grade::Pass];
    let count = |grade| {
        audit
            .checks
            .iter()
            .filter(|check| check.result == grade)
            .count()
    };
    let parts = grades.map(|grade| (count(grade), grade));
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(n, grade)| format!("{n} {}", grade.as_str()))
        .collect();
    parts.join(", ")
}

struct Page {
    out: String,
    style: Style,
}

impl Page {
    fn check(&mut self, check: &CheckReport) {
        let head = self.painted(check.result, &format!("{:<INDENT$}", check.result.as_str()));
        let name = self.bold(check.check);
        match check.findings.is_empty() {
            true => {
                let text = format!("{}: {}", check.check, escape(&check.sentence));
                let lines = wrapped(&text, self.columns(INDENT));
                let lines = lines.replacen(check.check, &name, 1);
                self.block(&head, INDENT, &lines);
            }
            false => self.out.push_str(&format!("{head}{name}\n")),
        }
        for finding in &check.findings {
            self.finding(finding);
        }
        if self.style.facts {
            for (name, fact) in &check.facts {
                self.fact(name, fact, INDENT);
            }
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let mark = match finding.result {
            Grade::Fail => "✗",
            Grade::Unknown => "?",
            Grade::Warning | Grade::Pass => "!",
        };
        let word = self.painted(finding.result, &format!("{mark} {}", finding.finding));
        let blank = " ".repeat(INDENT - 2);
        self.out.push_str(&format!("{blank}{word}\n"));
        self.paragraph(&finding.sentence, INDENT);
        if !finding.mend.is_empty() {
            let (mend, file) = parts(&finding.mend);
            let lines = wrapped(&escape(mend), self.columns(INDENT + 2));
            self.block(&format!("{}→ ", " ".repeat(INDENT)), INDENT + 2, &lines);
            for line in file.iter().flat_map(|file| file.lines()) {
                let line = self.bold(&escape(line));
                self.out
                    .push_str(&format!("{}{line}\n", " ".repeat(INDENT + 4)));
            }
        }
        for (what, records) in [("remove", &finding.remove), ("publish", &finding.publish)] {
            for record in records {
                self.record(what, record);
            }
        }
    }

    /// A record to publish or to remove: name and type, and the value on a line of its own, which is never broken.
    fn record(&mut self, what: &str, record: &ResourceRecord) {
        let blank = " ".repeat(INDENT + 2);
        let name = escape(&format!("{} {}", record.name, record.kind));
        self.out.push_str(&format!("{blank}{what} {name}\n"));
        let value = self.bold(&escape(&record.value));
        self.out.push_str(&format!("{blank}  {value}\n"));
    }

    fn paragraph(&mut self, text: &str, indent: usize) {
        let lines = wrapped(&escape(text), self.columns(indent));
        self.block(&" ".repeat(indent), indent, &lines);
    }

    /// Lines, the first one behind `head`, the others below it.
    fn block(&mut self, head: &str, indent: usize, lines: &str) {
        let blank = " ".repeat(indent);
        for (at, line) in lines.split('\n').enumerate() {
            let before = if at == 0 { head } else { &blank };
            self.out.push_str(&format!("{before}{line}\n"));
        }
    }

    /// Something that was seen. What is nested stands below its name.
    fn fact(&mut self, name: &str, fact: &Value, indent: usize) {
        let blank = " ".repeat(indent);
        let name = escape(&name.replace('_', " "));
        match fact {
            Value::Array(list) if !list.is_empty() && is_short(list) => {
                let list: Vec<String> = list.iter().map(scalar).collect();
                let lines = wrapped(&list.join(", "), self.columns(indent + 2 + name.len()));
                self.block(&format!("{blank}{name}: "), indent + 2 + name.len(), &lines);
            }
            Value::Array(list) if !list.is_empty() => {
                self.out.push_str(&format!("{blank}{name}:\n"));
                for fact in list {
                    self.thing(fact, indent + 2);
                }
            }
            Value::Object(facts) if !facts.is_empty() => {
                self.out.push_str(&format!("{blank}{name}:\n"));
                for (name, fact) in facts {
                    self.fact(name, fact, indent + 2);
                }
            }
            Value::String(text) if text.contains('\n') => {
                self.out.push_str(&format!("{blank}{name}:\n"));
                for line in text.lines() {
                    self.out.push_str(&format!("{blank}  {}\n", escape(line)));
                }
            }
            fact => {
                let said = match (name.as_str(), grade(fact)) {
                    ("result", Some(grade)) => self.painted(grade, grade.as_str()),
                    _ => scalar(fact),
                };
                self.out.push_str(&format!("{blank}{name}: {said}\n"));
            }
        }
    }

    /// One thing of several: behind a dash, with what belongs to it below.
    fn thing(&mut self, fact: &Value, indent: usize) {
        let start = self.out.len() + indent;
        match fact {
            Value::Object(facts) if !facts.is_empty() => {
                for (name, fact) in facts {
                    self.fact(name, fact, indent + 2);
                }
            }
            Value::Array(list) if !list.is_empty() => {
                for fact in list {
                    self.thing(fact, indent + 2);
                }
            }
            fact => {
                let blank = " ".repeat(indent + 2);
                self.out.push_str(&format!("{blank}{}\n", scalar(fact)));
            }
        }
        self.out.replace_range(start..=start, "-");
    }

    /// How many columns there are behind an indent.
    fn columns(&self, indent: usize) -> Option<usize> {
        let width = self.style.width.filter(|width| *width >= NARROWEST)?;
        Some(width.min(WIDEST).saturating_sub(indent).max(NARROWEST / 2))
    }

    fn painted(&self, grade: Grade, text: &str) -> String {
        let code = match grade {
            Grade::Pass => 32,
            Grade::Fail => 31,
            Grade::Warning => 33,
            Grade::Unknown => 35,
        };
        self.coded(code, text)
    }

    fn bold(&self, text: &str) -> String {
        self.coded(1, text)
    }

    fn coded(&self, code: u8, text: &str) -> String {
        match self.style.color {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

fn scalar(fact: &Value) -> String {
    match fact {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(_) | Value::Object(_) => "none".to_owned(),
        Value::String(text) => escape(&text.replace('\n', " ")),
        Value::Number(number) => number.to_string(),
    }
}

/// A text in lines of so many columns. A word that is longer stands on a line of its own, whole.
fn wrapped(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(text.len() + 16);
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > columns {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out
}

#[cfg(test)]
mod tests;
