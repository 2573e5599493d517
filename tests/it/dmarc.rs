//! DMARC on the third-party corpus, if it lies beside the project or at `$DKIMKIT_CORPUS`: every solid case as its
//! manifest has it, or `testdata/dmarc.txt` says why not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dkimkit::author::Authors;
use dkimkit::dmarc::record::Policy;
use dkimkit::dmarc::{
    Author, DkimIdentity, DmarcResult, Input, Mechanism, Outcome, SpfIdentity, SpfScope, SpfWord,
    evaluate,
};
use dkimkit::dns::Zone;
use dkimkit::message::{Header, HeaderLimits};
use dkimkit::name::Domain;
use dkimkit::report::ResultWord;
use serde_json::Value;

use crate::corpus;

#[cfg(feature = "resolver")]
mod opinion;
mod properties;

/// A case of the manifest, as it is judged.
struct Case {
    id: String,
    solid: bool,
    input: Input,
    zone: Zone,
    expected: Value,
}

fn manifest(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("dmarc/manifest.jsonl")).unwrap();
    let case = |line: &str| serde_json::from_str(line).unwrap();
    text.lines().map(case).collect()
}

fn table_case(case: &Value) -> Case {
    let domain = |value: &Value| Domain::new(value.as_str().unwrap()).unwrap();
    let mut input = Input::new(author(case["header_from"].as_str().unwrap()));
    let passed = case["spf_passed"].as_array().and_then(|list| list.first());
    input.spf = match passed {
        Some(passed) => Some((domain(passed), SpfWord::Pass)),
        None if case["spf"]["domain"].is_string() => {
            let word = SpfWord::from_word(case["spf"]["result"].as_str().unwrap());
            Some((domain(&case["spf"]["domain"]), word.unwrap()))
        }
        None => None,
    }
    .map(|(domain, result)| SpfIdentity {
        scope: SpfScope::MailFrom,
        domain,
        result,
    });
    for signature in case["dkim"].as_array().unwrap() {
        input.dkim.push(DkimIdentity {
            domain: domain(&signature["domain"]),
            selector: None,
            result: result_word(signature["result"].as_str().unwrap()),
        });
    }
    Case {
        id: case["id"].as_str().unwrap().to_owned(),
        solid: case["confidence"] == "solid",
        input,
        zone: Zone::parse(&case["zone"].to_string()).unwrap(),
        expected: case["expected"].clone(),
    }
}

/// A peer that is given a domain alone means an address there.
fn author(from: &str) -> Author {
    let address = if from.contains('@') { "" } else { "user@" };
    let header = format!("From: <{address}{from}>\r\n");
    let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
    Author::of(&Authors::of(&header))
}

fn result_word(word: &str) -> ResultWord {
    let all = [
        ResultWord::Pass,
        ResultWord::TempError,
        ResultWord::Fail,
        ResultWord::Policy,
        ResultWord::Neutral,
        ResultWord::PermError,
        ResultWord::None,
    ];
    let mut all = all.into_iter();
    all.find(|result| result.as_str() == word).expect(word)
}

/// What the outcome says of all that the manifest expects, in its words.
fn as_expected(outcome: &Outcome, expected: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut hold = |name: &str, found: Value| {
        if expected[name] != found {
            wrong.push(format!("{name} {found}, not {}", expected[name]));
        }
    };
    hold("result", outcome.result.as_str().into());
    let fails = outcome.result == DmarcResult::Fail;
    let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    for name in expected.as_object().unwrap().keys() {
        let by = |mechanism| {
            let mut identifiers = outcome.identifiers.iter();
            let found = identifiers.find(|found| found.mechanism == mechanism && found.counts);
            match expected[name].is_boolean() {
                true => found.is_some().into(),
                false => text(found.map(|found| found.domain.as_ascii())),
            }
        };
        match name.as_str() {
            "result" => {}
            "reject" => hold(
                name,
                (fails && outcome.disposition == Policy::Reject).into(),
            ),
            "disposition" => hold(name, text(fails.then_some(outcome.disposition.as_str()))),
            "policy" => {
                let asked = outcome.requested.as_ref();
                hold(name, text(asked.map(|asked| asked.policy.as_str())));
            }
            "aligned_spf" => hold(name, by(Mechanism::Spf)),
            "aligned_dkim" => hold(name, by(Mechanism::Dkim)),
            // Where no record holds, peers name the domain that they began with.
            "record_domain" if outcome.policy_domain.is_none() => {}
            "record_domain" => {
                let domain = outcome.policy_domain.as_ref();
                hold(name, text(domain.map(Domain::as_ascii)));
            }
            other => panic!("nothing is known of {other}"),
        }
    }
    wrong
}

/// The lines of a ledger: the case, what differs, and why.
fn ledger(kind: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dmarc.txt");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(kind));
    let entry = |line: &str| {
        let (entry, reason) = line.split_once(" — ").expect("KIND CASE WHAT — REASON");
        assert!(!reason.is_empty(), "{line}");
        let entry = entry[kind.len()..].trim();
        let (case, what) = entry.split_once(' ').expect("KIND CASE WHAT");
        (case.to_owned(), what.to_owned())
    };
    lines.map(entry).collect()
}

/// Every difference must be listed, and every line of the ledger must differ.
fn compare(kind: &str, found: &BTreeMap<String, String>) {
    let listed = ledger(kind);
    let mut wrong = Vec::new();
    for (case, what) in found {
        if listed.get(case) != Some(what) {
            wrong.push(format!("{kind} {case} {what} — not explained"));
        }
    }
    for (case, what) in &listed {
        if !found.contains_key(case) {
            wrong.push(format!("{kind} {case} {what} — listed, but they agree"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Judges cases; tells how many are right, and what differs in those that are not.
fn judge(cases: &[Case], kind: &str) {
    let (mut right, mut debatable) = (0, 0);
    let mut found = BTreeMap::new();
    for case in cases {
        let outcome = evaluate(&case.zone, &case.input).unwrap();
        let wrong = as_expected(&outcome, &case.expected);
        if wrong.is_empty() {
            right += 1;
            continue;
        }
        if case.solid {
            found.insert(case.id.clone(), wrong.join(", "));
        } else {
            debatable += 1;
            println!("debatable {} {}", case.id, wrong.join(", "));
        }
        println!("{}: {}", case.id, outcome.sentence);
    }
    println!(
        "{right} of {} right, {} in the ledger, {debatable} debatable ones differ",
        cases.len(),
        found.len()
    );
    compare(kind, &found);
}

#[test]
fn every_solid_table_of_the_corpus_is_judged_as_its_manifest_has_it() {
    let Some(dir) = corpus::corpus() else {
        crate::skipped("no corpus beside the project; set DKIMKIT_CORPUS to run this suite");
        return;
    };
    let manifest = manifest(&dir);
    let tables = manifest.iter().filter(|case| case["kind"] == "table");
    let cases: Vec<Case> = tables.map(table_case).collect();
    assert!(cases.len() > 30);
    judge(&cases, "corpus");
}
