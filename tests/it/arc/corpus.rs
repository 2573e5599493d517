//! The ARC part of the third-party corpus: every solid case gets a result that its manifest accepts, under every
//! policy, whole and byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use dkimkit::arc::{self, ArcReport, ArcVerifier};
use dkimkit::dns::{LookupTxt as _, Zone};
use dkimkit::message::{SplitError, split};
use dkimkit::policy::{Level, Policy};
use dkimkit::time::UnixTime;
use serde_json::Value;

use crate::corpus::{as_read, corpus};

/// Solid cases in which we hold that the manifest is wrong: id, our word, and why. A listed case must still
/// diverge.
const LEDGER: &[(&str, &str, &str)] = &[];

/// Cases that pass and leave open what an attacker profits from, so that `strict` refuses them, by which no chain is judged
/// unless it is asked for: id and reason. A listed case must still be refused.
const STRICT: &[(&str, &str)] = &[
    ("valimail/ams_fields_h_empty", "from-not-signed"),
    // MIME-Version stands twice, and h= names it once.
    ("valimail/as_format_tags_trail_sc", "unsigned-field"),
    ("valimail/as_fields_b_col_wsp", "unsigned-field"),
    ("valimail/as_fields_b_1024", "unsigned-field"),
    ("valimail/as_fields_b_2048", "unsigned-field"),
];

pub(super) struct Case {
    pub(super) id: String,
    pub(super) message: Vec<u8>,
    pub(super) zone: Zone,
    pub(super) now: UnixTime,
    source: String,
    solid: bool,
    accept: Vec<String>,
}

/// The cases of the corpus, if it is there.
pub(super) fn cases() -> Option<Vec<Case>> {
    let dir = corpus()?;
    let manifest = fs::read_to_string(dir.join("arc/manifest.jsonl")).unwrap();
    Some(
        manifest
            .lines()
            .map(|line| Case::read(&dir, line))
            .collect(),
    )
}

impl Case {
    fn read(dir: &Path, line: &str) -> Case {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap().to_owned();
        let zone = fs::read_to_string(dir.join(text("dns"))).unwrap();
        let accept = case["accept"].as_array().unwrap();
        Case {
            id: text("id"),
            message: as_read(&fs::read(dir.join(text("file"))).unwrap()),
            zone: Zone::parse(&zone).unwrap(),
            now: UnixTime(case["now"].as_u64().unwrap_or(1_700_000_000)),
            source: text("source"),
            solid: case["confidence"] == "solid",
            accept: accept
                .iter()
                .map(|w| w.as_str().unwrap().to_owned())
                .collect(),
        }
    }

    pub(super) fn verify(&self, level: Level) -> Result<ArcReport, SplitError> {
        arc::verify(&self.message, &self.zone, &Policy::new(level), self.now)
    }

    /// The same in stages, a byte at a time, with the answers behind the body.
    fn verify_by_byte(&self, level: Level) -> Result<ArcReport, SplitError> {
        let policy = Policy::new(level);
        let (header, body) = split(&self.message, policy.limits.header)?;
        let verifier = ArcVerifier::new(header, Arc::new(policy), self.now);
        let wanted = verifier.wanted().to_vec();
        let mut verifier = verifier.start_body();
        for byte in body.chunks(1) {
            let _ = verifier.write(byte);
        }
        for name in &wanted {
            verifier.supply(name, self.zone.lookup_txt(name));
        }
        Ok(verifier.finish())
    }
}

#[test]
fn every_solid_case_of_the_corpus_gets_a_result_that_it_accepts() {
    let Some(cases) = cases() else {
        crate::skipped("no corpus beside the project; set DKIMKIT_CORPUS to run this suite");
        return;
    };
    let mut scores: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in &cases {
        for level in [Level::Strict, Level::Rfc, Level::Legacy] {
            let whole = case.verify(level);
            assert_eq!(case.verify_by_byte(level), whole, "{}", case.id);
            let (got, why) = match &whole {
                Ok(report) => (report.result().as_str(), report.detail()),
                Err(error) => (arc::unreadable(*error).as_str(), error.to_string()),
            };
            let strict = STRICT.iter().find(|(id, _)| *id == case.id);
            if let (Level::Strict, Some((id, reason)), Ok(report)) = (level, strict, &whole) {
                assert_eq!(report.reason(), Some(*reason), "{id}");
                assert!(case.accept.iter().all(|word| word == "pass"), "{id}");
                continue;
            }
            let score = scores
                .entry(format!("{level:?} {}", case.source))
                .or_default();
            let listed = LEDGER
                .iter()
                .any(|(id, word, _)| *id == case.id && *word == got);
            if case.accept.iter().any(|word| word == got) != listed {
                score.0 += 1;
            } else if case.solid {
                score.1 += 1;
                let accept = &case.accept;
                wrong.push(format!(
                    "{} {level:?}: {got} ({why}), not {accept:?}",
                    case.id
                ));
            } else {
                score.2 += 1;
            }
            if level == Level::Strict {
                println!("{}: {got}: {why}", case.id);
            }
        }
    }
    for (source, (right, wrong, debatable)) in &scores {
        println!("{source}: {right} right, {wrong} wrong, {debatable} debatable ones differ");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
