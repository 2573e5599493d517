//! The test suite of RFC 7208, if the corpus lies beside the project: every case gets a result that it accepts, and the
//! explanation that it wants.

use std::collections::BTreeMap;
use std::fs;

use dkimkit::dns::Zone;
use dkimkit::spf::{Query, evaluate};
use serde_json::{Map, Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use crate::corpus;

/// One scenario of the suite: a zone and cases.
pub(crate) struct Scenario {
    pub(crate) zone: Zone,
    pub(crate) cases: Vec<Case>,
}

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) query: Query,
    /// Any of these is right.
    results: Vec<String>,
    /// `DEFAULT` where there must be none.
    explanation: Option<String>,
}

/// The suite; `None` where the corpus is not there.
pub(crate) fn scenarios() -> Option<Vec<Scenario>> {
    let path = corpus::corpus()?.join("spf/rfc7208-tests.yml");
    let text = fs::read_to_string(path).unwrap();
    let documents = YamlLoader::load_from_str(&text).unwrap();
    Some(documents.iter().map(scenario).collect())
}

fn scenario(document: &Yaml) -> Scenario {
    let cases = document["tests"].as_hash().unwrap().iter();
    Scenario {
        zone: zone(&document["zonedata"]),
        cases: cases
            .map(|(name, case)| Case::read(text(name), case))
            .collect(),
    }
}

fn text(value: &Yaml) -> String {
    match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

impl Case {
    fn read(name: String, case: &Yaml) -> Case {
        let results = match &case["result"] {
            Yaml::Array(results) => results.iter().map(text).collect(),
            result => vec![text(result)],
        };
        let ip = text(&case["host"]).parse().unwrap();
        let query = Query::new(ip, text(&case["helo"]), text(&case["mailfrom"]));
        let explanation = case["explanation"].as_str().map(str::to_owned);
        Case {
            name,
            query,
            results,
            explanation,
        }
    }

    pub(crate) fn accepts(&self, result: &str) -> bool {
        self.results.iter().any(|accepted| accepted == result)
    }

    /// Whether the explanation is that of the suite, which is DEFAULT where there is none.
    pub(crate) fn explained_by(&self, explanation: Option<&str>) -> bool {
        let found = explanation.unwrap_or("DEFAULT");
        self.explanation
            .as_deref()
            .is_none_or(|wanted| wanted == found)
    }
}

/// Its rules: records of the type SPF stand for TXT too where the name has no TXT of its own, `TXT: NONE` prevents
/// that, and TIMEOUT is what is said to every question that has no record.
fn zone(data: &Yaml) -> Zone {
    let mut names: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, entries) in data.as_hash().unwrap() {
        let name = format!("{}.", text(name).to_ascii_lowercase());
        let entry = names.entry(name.clone()).or_default();
        let entries = entries.as_vec().unwrap();
        let has = |wanted: &str| entries.iter().any(|e| !e[wanted].is_badvalue());
        let (has_txt, mut silent) = (has("TXT"), false);
        for record in entries {
            let Some(record) = record.as_hash() else {
                assert_eq!(record.as_str(), Some("TIMEOUT"));
                silent = true;
                continue;
            };
            let (kind, data) = record.iter().next().unwrap();
            let kind = text(kind);
            match kind.as_str() {
                "TXT" | "SPF" => {
                    if data.as_str() != Some("NONE") && (kind == "TXT" || !has_txt) {
                        texts.push((name.clone(), joined(data)));
                    }
                }
                "MX" => {
                    let exchange = match text(&data[1]) {
                        name if name.is_empty() => ".".to_owned(),
                        name => name,
                    };
                    add(entry, "MX", format!("{} {exchange}", text(&data[0])));
                }
                kind => add(entry, kind, text(data)),
            }
        }
        if silent {
            let kinds = ["A", "AAAA", "MX", "PTR", "TXT"];
            let silence = kinds.map(|kind| (kind.to_owned(), json!("TIMEOUT")));
            let silence = Map::from_iter(silence);
            entry.insert("status_by_type".to_owned(), Value::Object(silence));
        }
    }
    let mut zone = Zone::parse(&json!(names).to_string()).unwrap();
    for (name, text) in texts {
        zone.insert_txt(&name, text);
    }
    zone
}

fn add(entry: &mut Map<String, Value>, kind: &str, data: String) {
    let list = entry.entry(kind).or_insert_with(|| json!([]));
    list.as_array_mut().unwrap().push(json!(data));
}

/// The strings of a TXT record; each character stands for an octet.
fn joined(data: &Yaml) -> Vec<u8> {
    let strings = match data {
        Yaml::Array(strings) => strings.iter().map(text).collect(),
        data => vec![text(data)],
    };
    strings
        .concat()
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect()
}

#[test]
fn every_case_of_the_suite_gets_a_result_that_it_accepts() {
    let Some(scenarios) = scenarios() else {
        crate::skipped("no corpus beside the project for the suite of RFC 7208");
        return;
    };
    let mut wrong = Vec::new();
    let (mut cases, mut explained) = (0, 0);
    for Scenario { zone, cases: all } in &scenarios {
        for case in all {
            let outcome = evaluate(zone, &case.query).unwrap();
            cases += 1;
            explained += usize::from(case.explanation.is_some());
            let accepted = case.accepts(outcome.result.as_str());
            if !accepted || !case.explained_by(outcome.explanation.as_deref()) {
                wrong.push(format!(
                    "{}: {} ({:?}), not {:?} ({:?})\n{}",
                    case.name,
                    outcome.result,
                    outcome.explanation,
                    case.results,
                    case.explanation,
                    outcome.trace
                ));
            }
        }
    }
    println!("{cases} cases, {explained} with an explanation");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 203, "the suite is there whole");
}
