//! What a check says.

use serde::Serialize;
use serde_json::{Map, Value};

use super::words::WORDS;
use crate::dns::Cause;
use crate::dns::lookup::Question;

/// How good or bad it is, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Pass,
    /// It works, and will trouble somebody.
    Warning,
    /// It could not be known.
    Unknown,
    /// It is wrong.
    Fail,
}

impl Grade {
    /// The word of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Grade::Pass => "pass",
            Grade::Warning => "warning",
            Grade::Unknown => "unknown",
            Grade::Fail => "fail",
        }
    }
}

/// A record to publish or to remove.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ResourceRecord {
    /// Its name, with the final dot.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its data; the text itself for TXT, without quotes.
    pub value: String,
}

impl ResourceRecord {
    /// A record of type `kind` at `name`, which may lack its final dot.
    pub fn new(name: impl ToString, kind: &'static str, value: impl ToString) -> ResourceRecord {
        let mut name = name.to_string();
        if !name.ends_with('.') {
            name.push('.');
        }
        ResourceRecord {
            name,
            kind,
            value: value.to_string(),
        }
    }
}

/// Something that is not as it should be, or could not be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable word, from [`WORDS`].
    pub finding: &'static str,
    /// How bad it is.
    pub result: Grade,
    /// The name, address, server or question that it is about.
    pub about: String,
    /// A sentence, in lower case and without a full stop.
    pub sentence: String,
    /// The word of `check`, where the finding is one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_word: Option<&'static str>,
    /// What mends it, in words.
    pub mend: String,
    /// The records to publish.
    pub publish: Vec<ResourceRecord>,
    /// The records to take away first.
    pub remove: Vec<ResourceRecord>,
}

impl Finding {
    /// A finding; how bad it is stands in the table of words.
    ///
    /// # Panics
    /// Where the word is not in [`WORDS`], which a test of every check shows.
    pub(super) fn new(
        word: &'static str,
        about: impl ToString,
        sentence: impl Into<String>,
        mend: impl Into<String>,
    ) -> Finding {
        let row = WORDS.iter().find(|row| row.0 == word);
        let (.., grade, _) = row.unwrap_or_else(|| panic!("{word} is not in the table"));
        Finding {
            finding: word,
            result: *grade,
            about: about.to_string(),
            sentence: sentence.into(),
            check_word: None,
            mend: mend.into(),
            publish: Vec::new(),
            remove: Vec::new(),
        }
    }

    /// With records to publish.
    pub(super) fn publish(mut self, records: impl IntoIterator<Item = ResourceRecord>) -> Finding {
        self.publish.extend(records);
        self
    }

    /// With records to take away.
    pub(super) fn remove(mut self, records: impl IntoIterator<Item = ResourceRecord>) -> Finding {
        self.remove.extend(records);
        self
    }

    /// Without records: what stands in the way of them is said in words.
    pub(super) fn in_words(mut self, why: &str) -> Finding {
        self.publish.clear();
        self.remove.clear();
        self.mend.push_str("; ");
        self.mend.push_str(why);
        self
    }

    /// Nobody knows from where the domain sends. `given`: a server was named, and it has no address that the world sees.
    pub(super) fn no_sending_address(about: impl ToString, given: bool) -> Finding {
        Finding::new(
            "no-sending-address",
            about,
            "no address is known that the domain sends from",
            match given {
                true => {
                    "name each with --ip ADDR, as the world sees it: what --smtp names leads to none outside of the own network"
                }
                false => "name each with --ip ADDR, or the server with --smtp HOST",
            },
        )
    }

    /// A question that got no answer.
    pub(super) fn no_answer(question: &Question, cause: Cause) -> Finding {
        Finding::new(
            "no-answer",
            question,
            format!("the question for {question} got no answer: {cause}"),
            "run the audit again, with a longer --timeout or --budget, or ask another resolver with --nameserver",
        )
    }
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// Its name.
    pub check: &'static str,
    /// The worst of its findings.
    pub result: Grade,
    /// What it comes to, in lower case and without a full stop.
    pub sentence: String,
    /// What is not as it should be, the worst first.
    pub findings: Vec<Finding>,
    /// What was seen.
    pub facts: Map<String, Value>,
    /// What comes of all mends together.
    pub together: Together,
}

/// What is to be done where all mends of a check are followed: mends of one record stand on each other, so that a later
/// one takes away what an earlier one publishes, and what stands there now several times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Together {
    /// The records to publish, each once.
    pub publish: Vec<ResourceRecord>,
    /// The records to take away first: what stands there now.
    pub remove: Vec<ResourceRecord>,
}

impl Together {
    fn of(findings: &[Finding]) -> Together {
        let Together {
            mut publish,
            mut remove,
        } = Together::default();
        // What only mends have published, and a later one may take away again and again.
        let mut ours: Vec<&ResourceRecord> = Vec::new();
        for finding in findings {
            for record in &finding.remove {
                if !take(&mut publish, record) && !ours.contains(&record) {
                    add(&mut remove, record);
                }
            }
            for record in &finding.publish {
                if !take(&mut remove, record) {
                    add(&mut publish, record);
                    ours.push(record);
                }
            }
        }
        Together { publish, remove }
    }
}

/// Takes a record out of a list, if it is there.
fn take(list: &mut Vec<ResourceRecord>, record: &ResourceRecord) -> bool {
    let at = list.iter().position(|known| known == record);
    at.map(|at| list.remove(at)).is_some()
}

/// Puts a record into a list, once.
fn add(list: &mut Vec<ResourceRecord>, record: &ResourceRecord) {
    if !list.contains(record) {
        list.push(record.clone());
    }
}

impl CheckReport {
    /// A report with the sentence for the case that nothing was found.
    ///
    /// Where something was found, the sentence becomes that of the worst.
    pub(super) fn new(
        check: &'static str,
        sentence: impl Into<String>,
        mut findings: Vec<Finding>,
    ) -> CheckReport {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.result));
        let worst = findings.first();
        let sentence = match worst {
            None => sentence.into(),
            Some(worst) if findings.len() == 1 => worst.sentence.clone(),
            Some(worst) => format!("{}; {} more", worst.sentence, findings.len() - 1),
        };
        CheckReport {
            together: Together::of(&findings),
            check,
            result: worst.map_or(Grade::Pass, |worst| worst.result),
            sentence,
            findings,
            facts: Map::new(),
        }
    }

    /// With something that was seen.
    pub(super) fn fact(mut self, name: &str, value: impl Serialize) -> CheckReport {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.facts.insert(name.to_owned(), value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mends_that_stand_on_each_other_come_to_one() {
        let record = |value: &str| ResourceRecord::new("example.org", "TXT", value);
        let finding = |remove: &[&str], publish: &[&str]| {
            let records = |values: &[&str]| -> Vec<ResourceRecord> {
                values.iter().map(|value| record(value)).collect()
            };
            Finding::new("spf-ptr", "x", "x", "x")
                .remove(records(remove))
                .publish(records(publish))
        };
        let findings = vec![
            finding(&["now", "also"], &["first"]),
            finding(&["now", "also", "first"], &["second"]),
            finding(&["now", "also", "first", "second"], &["third"]),
            finding(&["third"], &["third", "other"]),
        ];
        let together = CheckReport::new("spf", "", findings).together;
        assert_eq!(together.remove, [record("now"), record("also")]);
        assert_eq!(together.publish, [record("third"), record("other")]);
        // What stands there and comes back stays.
        let findings = vec![
            finding(&["now"], &["first"]),
            finding(&["now", "first"], &["now"]),
        ];
        let together = CheckReport::new("spf", "", findings).together;
        assert_eq!(together, Together::default());
        let findings = vec![
            finding(&["now"], &["first"]),
            finding(&["first"], &["now"]),
            finding(&["now"], &[]),
        ];
        let together = CheckReport::new("spf", "", findings).together;
        assert_eq!(together.remove, [record("now")]);
        assert_eq!(together.publish, []);
    }
}
