//! The third-party corpus, if it lies beside the project or at `$DKIMKIT_CORPUS`: every solid case gets a
//! verdict that its manifest accepts, under `rfc` and under `legacy`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dkimkit::dns::Zone;
use dkimkit::message::SplitError;
use dkimkit::policy::{Level, Policy};
use dkimkit::report::{Verdict, overall};
use dkimkit::time::UnixTime;
use serde_json::Value;

/// Cases in which we hold that the manifest is wrong: id, signature, policy, our word, and why. A listed
/// case must still diverge.
const LEDGER: &[(&str, u64, &str, &str, &str)] = &[];

pub(crate) fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let dir = std::env::var_os("DKIMKIT_CORPUS").map_or(beside, PathBuf::from);
    dir.join("dkim/manifest.jsonl").is_file().then_some(dir)
}

/// What the command line does to a file that does not say otherwise: a bare LF is read as CRLF, and a
/// leading mbox line is left out.
pub(crate) fn as_read(file: &[u8]) -> Vec<u8> {
    let envelope = file
        .starts_with(b"From ")
        .then(|| file.iter().position(|b| *b == b'\n'));
    let message = &file[envelope.flatten().map_or(0, |lf| lf + 1)..];
    let mut out = Vec::with_capacity(message.len());
    for &byte in message {
        if byte == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

#[derive(Default)]
struct Score {
    right: usize,
    wrong: usize,
    debatable: usize,
}

#[test]
fn every_solid_case_of_the_corpus_gets_a_verdict_that_it_accepts() {
    let Some(dir) = corpus() else {
        crate::skipped("no corpus beside the project; set DKIMKIT_CORPUS to run this suite");
        return;
    };
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut wrong = Vec::new();
    let manifest = fs::read_to_string(dir.join("dkim/manifest.jsonl")).unwrap();
    for line in manifest.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        for (level, word, accept) in [
            (Level::Rfc, "rfc", "accept"),
            (Level::Legacy, "legacy", "accept_legacy"),
            (Level::Strict, "strict", "accept"),
        ] {
            check(&dir, &case, level, word, accept, &mut scores, &mut wrong);
        }
    }
    for (source, score) in &scores {
        let Score {
            right,
            wrong,
            debatable,
        } = score;
        println!("{source}: {right} right, {wrong} wrong, {debatable} debatable ones differ");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn verdicts(dir: &Path, case: &Value, level: Level) -> Result<Vec<Verdict>, SplitError> {
    let path = |name: &str| dir.join(case[name].as_str().unwrap());
    let message = as_read(&fs::read(path("file")).unwrap());
    let zone = Zone::parse(&fs::read_to_string(path("dns")).unwrap()).unwrap();
    let now = UnixTime(case["now"].as_u64().unwrap_or(1_700_000_000));
    dkimkit::verify(&message, &zone, &Policy::new(level), now)
}

fn check(
    dir: &Path,
    case: &Value,
    level: Level,
    policy: &str,
    accept: &str,
    scores: &mut BTreeMap<String, Score>,
    wrong: &mut Vec<String>,
) {
    let text = |name: &str| case[name].as_str().unwrap_or_default();
    let verdicts = verdicts(dir, case, level);
    let score = scores
        .entry(format!("{policy} {}", text("source")))
        .or_default();
    let signatures = case["signatures"].as_array().unwrap();
    if signatures.is_empty() && policy != "strict" {
        let got = verdicts.as_ref().map(|v| overall(v).as_str());
        let want = text("expected_overall");
        if got == Ok(want) {
            score.right += 1;
        } else {
            score.wrong += 1;
            wrong.push(format!("{} {policy}: {got:?}, not {want}", text("id")));
        }
    }
    for signature in signatures {
        let index = signature["index"].as_u64().unwrap();
        let (got, why) = match &verdicts {
            Ok(verdicts) => {
                let verdict = &verdicts[index as usize];
                (verdict.result().as_str(), verdict.detail())
            }
            Err(error) => ("permerror", error.to_string()),
        };
        let accepted: Vec<&str> = signature[accept]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_str().unwrap())
            .collect();
        // Strict may refuse what rfc takes, but never the other way round.
        let right = accepted.contains(&got) || (policy == "strict" && got == "policy");
        let listed = LEDGER.iter().any(|(id, at, under, word, _)| {
            (*id, *at, *under, *word) == (text("id"), index, policy, got)
        });
        let solid = case["confidence"] == "solid" && signature["confidence"] != "debatable";
        if right != listed {
            score.right += 1;
        } else if solid {
            score.wrong += 1;
            wrong.push(format!(
                "{} {index} {policy}: {got} ({why}), not one of {accepted:?}: {}",
                text("id"),
                signature["reason"]
            ));
        } else {
            score.debatable += 1;
            println!(
                "debatable {} {index} {policy}: {got} ({why}), not {accepted:?}",
                text("id")
            );
        }
    }
}

/// The same through the program, which reads the files itself: line ends, mbox lines, zones and all.
#[cfg(feature = "cli")]
#[test]
fn the_program_gives_the_verdicts_of_the_library() {
    let Some(dir) = corpus() else {
        return;
    };
    let manifest = fs::read_to_string(dir.join("dkim/manifest.jsonl")).unwrap();
    let mut wrong = Vec::new();
    for line in manifest.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let now = case["now"].as_u64().unwrap_or(1_700_000_000);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_dkimkit"))
            .args(["verify", "--json", "--policy", "rfc"])
            .args(["--now", &now.to_string(), "--records"])
            .arg(dir.join(text("dns")))
            .arg(dir.join(text("file")))
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let library = verdicts(&dir, &case, Level::Rfc);
        let library = library.map_or(vec!["permerror"], |v| {
            v.iter().map(|v| v.result().as_str()).collect()
        });
        let program: Vec<&str> = match report["signatures"].as_array().unwrap().as_slice() {
            [] if report["result"] == "permerror" => vec!["permerror"],
            list => list.iter().map(|s| s["result"].as_str().unwrap()).collect(),
        };
        let exit = match report["result"].as_str().unwrap() {
            "pass" => 0,
            "temperror" => 75,
            _ => 1,
        };
        if library != program || output.status.code() != Some(exit) {
            wrong.push(format!("{}: {program:?}, not {library:?}", text("id")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
