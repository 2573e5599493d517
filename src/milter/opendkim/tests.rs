//! The scenarios of `testdata/opendkim`, with what OpenDKIM 2.11 itself answered; `tests/opendkim/record` asked it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::*;

/// Where we refuse what OpenDKIM does, and why. A case that no longer differs fails.
const LEDGER: [(&str, &str, &str); 5] = [
    (
        "refile",
        "a@class.example",
        "brackets are no wildcard, but reach the regular expressions of the system",
    ),
    ("refile-all", "a@class.example", "the same"),
    (
        "keytable",
        "part@example.com",
        "x.% is no domain that anybody could verify",
    ),
    (
        "keytable",
        "pctsel@example.com",
        "% is no selector that anybody could verify",
    ),
    (
        "identity",
        "blank@example.com",
        "the script strips the blank of i=",
    ),
];

struct Scenario {
    name: String,
    files: BTreeMap<String, String>,
}

impl Scenario {
    fn all() -> Vec<Scenario> {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/opendkim");
        let mut all: Vec<Scenario> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                let mut files = BTreeMap::new();
                for part in text.split("\n-- ").skip(1) {
                    let (name, text) = part.split_once(" --\n").unwrap();
                    files.insert(format!("/etc/dkim/{name}"), format!("{text}\n"));
                }
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                Scenario { name, files }
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(all.len() >= 12);
        all
    }

    fn plan(&self) -> Imported {
        let read = |path: &str| {
            let text = self.files.get(path).ok_or(std::io::ErrorKind::NotFound)?;
            Ok(text.clone().into_bytes())
        };
        let conf = Conf::read("/etc/dkim/opendkim.conf", &read).unwrap();
        Imported::plan(&conf, &read).unwrap()
    }
}

/// The first address of a field, as OpenDKIM takes it; enough for the scenarios.
fn address(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap(),
        None => value.split(',').next().unwrap().trim(),
    }
}

/// What is signed for a case, each signature as `d s i`, from the top of the header down.
fn ours(imported: &Imported, case: &str) -> Vec<String> {
    let (client, fields) = case.split_once(" | ").unwrap();
    let (host, ip) = client.split_once(' ').unwrap();
    if !imported
        .internal
        .contains(ip.parse::<IpAddr>().unwrap(), host)
    {
        return vec!["none".to_owned()];
    }
    let fields: Vec<(&str, &str)> = fields
        .split(" || ")
        .map(|f| f.split_once(": ").unwrap())
        .collect();
    let sender = imported.rules.sender_fields().iter().find_map(|name| {
        let named = |f: &&(&str, &str)| f.0.eq_ignore_ascii_case(name);
        fields.iter().find(named).map(|f| address(f.1))
    });
    let Ok(signings) = imported.rules.decide(sender.unwrap_or_default()) else {
        return vec!["refused".to_owned()];
    };
    let lines = signings.iter().rev().map(|s| {
        let identity = s.identity.as_deref().unwrap_or("-");
        format!("{} {} {identity}", s.domain, s.selector)
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        vec!["none".to_owned()]
    } else {
        lines
    }
}

#[test]
fn we_choose_as_opendkim_does() {
    let mut excused = 0;
    for scenario in Scenario::all() {
        let imported = scenario.plan();
        let cases = scenario.files["/etc/dkim/cases"]
            .lines()
            .collect::<Vec<_>>();
        let mut at = 0;
        while at < cases.len() {
            let case = cases[at];
            let answers = cases[at + 1..].iter().take_while(|l| l.starts_with("= "));
            let theirs: Vec<&str> = answers.map(|l| &l[2..]).collect();
            at += 1 + theirs.len();
            if case.is_empty() {
                continue;
            }
            let ours = ours(&imported, case);
            // Where it defers, crashes or is silent for an error, we say what the error is.
            let failed = theirs[0].starts_with("reply") || theirs[0] == "crash";
            let refused = ours == ["refused"] && (failed || theirs == ["none"]);
            let missing_file = theirs == ["reply t"] && case.contains("more@example.com");
            let same = ours == theirs || refused || missing_file;
            let listed = LEDGER
                .iter()
                .any(|l| l.0 == scenario.name && case.ends_with(l.1));
            excused += usize::from(listed);
            assert_eq!(
                same, !listed,
                "{}: {case}: {ours:?}, OpenDKIM {theirs:?}",
                scenario.name
            );
        }
    }
    assert_eq!(excused, LEDGER.len());
}
