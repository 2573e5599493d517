//! What was found, as `explain --json` prints it.

use serde::Serialize;

use super::change::{Change, Spot};
use super::{Explained, Explanation, Part, Unjudged};
use crate::report::{MessageReport, SignatureReport, Verdict, spaced_json};

/// The report on a message: that of `verify --json`, with what was found for each signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplanationReport {
    /// The file that it came from.
    pub file: String,
    /// Its number in an mbox, counted from 1.
    pub message: Option<u64>,
    /// The word of RFC 8601.
    pub result: &'static str,
    /// Why it does not pass.
    pub reason: Option<&'static str>,
    /// The domains of From, each once.
    pub from_domains: Vec<String>,
    /// What had to be undone before there was a header to read.
    pub reading: Vec<ChangeReport>,
    /// Its signatures, from the top down.
    pub signatures: Vec<SignatureExplanation>,
}

impl ExplanationReport {
    /// The report on a message that was explained.
    pub fn new(file: String, explanation: &Explanation) -> ExplanationReport {
        let verdicts: Vec<Verdict> = explanation
            .signatures
            .iter()
            .map(|s| s.verdict.clone())
            .collect();
        let report = MessageReport::new(file, &explanation.from_domains, &verdicts);
        // As it came, its header cannot be read, or no signature in it.
        let unread = explanation.unreadable;
        ExplanationReport {
            file: report.file,
            message: None,
            result: if unread.is_some() {
                "permerror"
            } else {
                report.result
            },
            reason: unread.or(report.reason),
            from_domains: report.from_domains,
            reading: explanation.reading.iter().map(ChangeReport::new).collect(),
            signatures: explanation
                .signatures
                .iter()
                .map(SignatureExplanation::new)
                .collect(),
        }
    }

    /// The report as one line of JSON, without a line end.
    pub fn to_json(&self) -> String {
        spaced_json(self)
    }
}

/// The report on a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureExplanation {
    /// What `verify --json` says of it.
    #[serde(flatten)]
    pub verdict: SignatureReport,
    /// Whether the reason of its failure is known.
    pub explained: bool,
    /// Whether the message is known as it was signed.
    pub restorable: bool,
    /// What became of the body.
    pub body: PartReport,
    /// What became of the header.
    pub header: PartReport,
    /// The names of h= for which there is no field.
    pub absent_fields: Vec<String>,
    /// Fields that may stand once, and stand above the one that is signed.
    pub surplus_fields: Vec<&'static str>,
    /// What was found, in sentences.
    pub findings: Vec<String>,
}

impl SignatureExplanation {
    fn new(explained: &Explained) -> SignatureExplanation {
        let mut absent: Vec<String> = Vec::new();
        for (name, _) in &explained.covered {
            let mut same = explained
                .covered
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name));
            let name = name.to_ascii_lowercase();
            if same.all(|(_, at)| at.is_none()) && !absent.contains(&name) {
                absent.push(name);
            }
        }
        SignatureExplanation {
            verdict: SignatureReport::new(&explained.verdict),
            explained: explained.is_explained(),
            restorable: explained.is_restorable(),
            body: PartReport::new(&explained.body),
            header: PartReport::new(&explained.header),
            absent_fields: absent,
            surplus_fields: explained.surplus.iter().map(|s| s.name).collect(),
            findings: explained.sentences(),
        }
    }
}

/// The report on the body, or on the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// `holds`, `changed`, `unexplained` or `unjudged`.
    pub state: &'static str,
    /// Why it could not be judged: `signature-unreadable`, `no-key` or `other-key`.
    pub why: Option<&'static str>,
    /// What was changed: without all of that, it is as it was signed.
    pub changes: Vec<ChangeReport>,
    /// How many texts were compared in vain.
    pub tried: Option<u64>,
    /// Whether all that is known was tried.
    pub finished: Option<bool>,
}

impl PartReport {
    fn new(part: &Part) -> PartReport {
        let mut report = PartReport {
            state: "holds",
            why: None,
            changes: Vec::new(),
            tried: None,
            finished: None,
        };
        match part {
            Part::Holds => {}
            Part::Changed(changes) => {
                report.state = "changed";
                report.changes = changes.iter().map(ChangeReport::new).collect();
            }
            Part::Unexplained(effort) => {
                report.state = "unexplained";
                report.tried = Some(effort.tried);
                report.finished = Some(effort.finished);
            }
            Part::Unjudged(why) => {
                report.state = "unjudged";
                report.why = Some(match why {
                    Unjudged::Field => "signature-unreadable",
                    Unjudged::NoKey => "no-key",
                    Unjudged::OtherKey => "other-key",
                });
            }
        }
        report
    }
}

/// The report on a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeReport {
    /// The word of its kind.
    pub kind: &'static str,
    /// What it is, in a sentence.
    pub sentence: String,
    /// The header fields that it befell.
    pub field: Option<String>,
    /// More on it.
    pub detail: Option<String>,
    /// Who is likely to have made it: a guess.
    pub likely_culprit: &'static str,
    /// What helps.
    pub mends: Vec<MendReport>,
    /// At how many places.
    pub places: usize,
    /// How many bytes came in.
    pub bytes_added: u64,
    /// How many bytes went.
    pub bytes_removed: u64,
    /// The places, at most two hundred.
    pub spots: Vec<SpotReport>,
}

/// What somebody can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MendReport {
    /// `sender`, `list`, `gateway` or `receiver`.
    pub who: &'static str,
    /// What helps.
    pub what: &'static str,
}

/// A place of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpotReport {
    /// The line of the message, counted from 1.
    pub line: usize,
    /// The first byte, in the message with CRLF, counted from 0.
    pub byte: usize,
    /// How many bytes stand there.
    pub length: usize,
    /// What stands there, shortened.
    pub came: String,
    /// What was signed there, shortened.
    pub signed: String,
    /// How many bytes were signed there.
    pub signed_length: usize,
    /// Whether the place is exact; otherwise it stands somewhere in what was changed again from there on.
    pub exact: bool,
}

impl ChangeReport {
    fn new(change: &Change) -> ChangeReport {
        let mend = |(who, what): &(super::Who, &'static str)| MendReport {
            who: who.as_str(),
            what,
        };
        ChangeReport {
            kind: change.kind.as_str(),
            sentence: change.sentence(),
            field: change.field.clone(),
            detail: change.detail.clone(),
            likely_culprit: change.kind.culprit(),
            mends: change.kind.mends().iter().map(mend).collect(),
            places: change.places,
            bytes_added: change.added,
            bytes_removed: change.removed,
            spots: change.spots.iter().map(SpotReport::new).collect(),
        }
    }
}

impl SpotReport {
    fn new(spot: &Spot) -> SpotReport {
        SpotReport {
            line: spot.line,
            byte: spot.at.start,
            length: spot.at.len(),
            came: String::from_utf8_lossy(&spot.came).into_owned(),
            signed: String::from_utf8_lossy(&spot.signed).into_owned(),
            signed_length: spot.signed_len,
            exact: spot.exact,
        }
    }
}
