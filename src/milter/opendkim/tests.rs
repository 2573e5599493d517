//! The scenarios of `testdata/opendkim`, with what OpenDKIM 2.11 itself answered; `tests/opendkim/record` asked it.

mod effects;
mod ledger;

use std::collections::BTreeMap;
use std::net::IpAddr;

use self::ledger::{LEDGER, RULES_LEDGER};
use super::*;
use crate::milter::config::Config;

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

/// The configuration that comes of an import, and the selectors of its rules, which not all of them name.
fn configured(imported: &Imported) -> (Config, Vec<String>) {
    let read = |_: &str| Ok(b"Mode s\n".to_vec());
    let conf = Conf::read("/etc/dkim/opendkim.conf", &read).unwrap();
    let text = imported.to_toml(&conf, "/keys");
    let config = Config::parse(&text, "/".as_ref()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let selectors = imported.rows.iter().filter_map(|row| match row {
        Row::Rule(rule) => Some(rule.selector.to_string()),
        Row::Left { .. } => None,
    });
    (config, selectors.collect())
}

/// What the rules come to for an author: each signature as `d s i`, the first one last, as OpenDKIM stacks them.
fn by_rules((config, selectors): &(Config, Vec<String>), sender: &str) -> Vec<String> {
    let Some((_, domain)) = sender.rsplit_once('@').filter(|(user, _)| !user.is_empty()) else {
        return Vec::new();
    };
    let domain = domain.to_ascii_lowercase();
    let mut lines = Vec::new();
    for (number, rule) in config.signing.rules.of(sender) {
        let d = rule.domain.as_ref().map_or(domain.as_str(), |d| d.as_str());
        let identity = rule.identity.as_ref().map(|i| i.replace('%', &domain));
        let identity = identity.filter(|i| signing::within(i, d) == Some(true));
        let identity = identity.as_deref().unwrap_or("-");
        lines.insert(0, format!("{d} {} {identity}", selectors[number - 1]));
    }
    lines
}

/// The first address of a field, as OpenDKIM takes it; enough for the scenarios.
fn address(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap(),
        None => value.split(',').next().unwrap().trim(),
    }
}

/// The author of a case, if its client is one of ours.
fn author<'a>(imported: &Imported, case: &'a str) -> Option<&'a str> {
    let (client, fields) = case.split_once(" | ").unwrap();
    let (host, ip) = client.split_once(' ').unwrap();
    if !imported
        .internal
        .contains(ip.parse::<IpAddr>().unwrap(), host)
    {
        return None;
    }
    let fields: Vec<(&str, &str)> = fields
        .split(" || ")
        .map(|f| f.split_once(": ").unwrap())
        .collect();
    let sender = imported.rules.sender_fields().iter().find_map(|name| {
        let named = |f: &&(&str, &str)| f.0.eq_ignore_ascii_case(name);
        fields.iter().find(named).map(|f| address(f.1))
    });
    Some(sender.unwrap_or_default())
}

/// What is signed for a case, each signature as `d s i`, from the top of the header down.
fn ours(imported: &Imported, case: &str) -> Vec<String> {
    let Some(sender) = author(imported, case) else {
        return vec!["none".to_owned()];
    };
    let Ok(signings) = imported.rules.decide(sender) else {
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

/// Every case with its recorded answers.
fn each_case(scenario: &Scenario, mut look: impl FnMut(&str, Vec<&str>)) {
    let mut lines = scenario.files["/etc/dkim/cases"].lines().peekable();
    while let Some(case) = lines.next() {
        let mut answers = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("= ")) {
            answers.push(&line[2..]);
        }
        if !case.is_empty() {
            look(case, answers);
        }
    }
}

#[test]
fn we_choose_as_opendkim_does() {
    let mut excused = 0;
    for scenario in Scenario::all() {
        let imported = scenario.plan();
        each_case(&scenario, |case, theirs| {
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
        });
    }
    assert_eq!(excused, LEDGER.len());
}

#[test]
fn the_rules_choose_as_opendkim_does() {
    let (mut same, mut more, mut refused) = (0, 0, 0);
    let mut excused = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for scenario in Scenario::all() {
        let imported = scenario.plan();
        let config = configured(&imported);
        each_case(&scenario, |case, theirs| {
            let mut ours =
                author(&imported, case).map_or(Vec::new(), |sender| by_rules(&config, sender));
            if ours.is_empty() {
                ours.push("none".to_owned());
            }
            if ours == theirs {
                same += 1;
                return;
            }
            let listed = RULES_LEDGER
                .iter()
                .position(|l| scenario.name == l.0 && case.ends_with(l.1));
            if let Some(at) = listed {
                excused.insert(at);
            } else if ours.len() > 2 && theirs == [ours[0].as_str(), &ours[ours.len() - 1]] {
                // OpenDKIM leaves out what is between the first and the last match.
                more += 1;
            } else if ours == ["none"] && (theirs[0].starts_with("reply") || theirs[0] == "crash") {
                // There is a note on the row, and nothing signs in its place.
                refused += 1;
            } else {
                wrong.push(format!(
                    "{}: {case}: {ours:?}, OpenDKIM {theirs:?}",
                    scenario.name
                ));
            }
        });
    }
    assert!(wrong.is_empty(), "{same} same\n{}", wrong.join("\n"));
    // An entry for a difference that is no more has to go.
    assert_eq!(excused.len(), RULES_LEDGER.len());
    assert!(
        same > 250 && more > 50 && refused > 5,
        "{same} {more} {refused}"
    );
}

/// SplitMix64: the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// Files that are put together from the pieces of good ones, with bytes changed: no panic, and an end.
#[test]
fn hostile_files_are_refused_or_read() {
    let scenarios = Scenario::all();
    let pieces = [
        "*",
        "@",
        ":",
        "%",
        "!",
        "/",
        ".",
        "\n",
        " ",
        "\t",
        "#",
        "\0",
        "=",
        ",",
        "[",
        "\u{fc}",
        "\u{2028}",
        "csl:",
        "refile:",
        "file:",
        "Include /etc/dkim/opendkim.conf\n",
        "::1",
        "/129",
        "\r",
        "-",
        "0x",
    ];
    let mut random = Random(7);
    let (mut good, mut bad) = (0, 0);
    for round in 0..3000 {
        let mut files = scenarios[round % scenarios.len()].files.clone();
        for text in files.values_mut() {
            for _ in 0..random.below(6) {
                let mut at = random.below(text.len() + 1);
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                text.insert_str(at, pieces[random.below(pieces.len())]);
            }
        }
        let read = |path: &str| {
            let text = files.get(path).ok_or(std::io::ErrorKind::NotFound)?;
            Ok(text.clone().into_bytes())
        };
        let imported = Conf::read("/etc/dkim/opendkim.conf", &read)
            .and_then(|conf| Imported::plan(&conf, &read));
        let Ok(imported) = imported else {
            bad += 1;
            continue;
        };
        good += 1;
        // What comes of it can be read, but where nothing is left to do.
        let idle = |item: &Item| item.key == "mode" && item.value == "[]";
        if !imported.settings.iter().any(idle) {
            configured(&imported);
        }
        for from in [
            "u@sub.example.com",
            "@",
            "u@",
            "",
            "a@b@c",
            "u@..",
            "\u{fc}@\u{fc}.example",
            "u@.",
            "%@%",
        ] {
            let _ = imported.rules.decide(from).map_err(|e| e.to_string());
        }
        for (ip, host) in [
            ("127.0.0.1", ""),
            ("::1", "."),
            ("::ffff:10.0.0.1", "..a.."),
            ("192.0.2.1", "\u{fc}.x"),
        ] {
            imported.internal.contains(ip.parse().unwrap(), host);
        }
    }
    assert!(good > 300 && bad > 300, "{good} {bad}");
}

#[test]
fn bytes_that_are_no_text_are_named_with_their_line() {
    let read = |_: &str| Ok(b"Mode v\n# \xff\n".to_vec());
    let error = Conf::read("c", &read).unwrap_err();
    assert_eq!((error.line, error.fault), (2, Fault::NotUtf8));
    let read = |_: &str| Ok([b"Mode ".as_slice(), &[b'v'; MAX_LINE]].concat());
    let error = Conf::read("c", &read).unwrap_err();
    assert_eq!(
        (error.line, error.fault),
        (1, Fault::LineTooLong { max: MAX_LINE })
    );
}

#[test]
fn tables_of_many_domains_are_searched_at_once() {
    let many = 100_000;
    let keys: String = (0..many)
        .map(|n| format!("k{n} d{n}.example:s{n}:/k/{n}.pem\n"))
        .collect();
    let signing: String = (0..many)
        .map(|n| format!("d{n}.example k{n}:@%\n"))
        .collect();
    let read = |path: &str| match path {
        "c" => Ok(b"KeyTable /k\nSigningTable file:/s\n".to_vec()),
        "/k" => Ok(keys.clone().into_bytes()),
        _ => Ok(signing.clone().into_bytes()),
    };
    let conf = Conf::read("c", &read).unwrap();
    let imported = Imported::plan(&conf, &read).unwrap();
    assert_eq!(imported.keys.len(), many);
    for n in (0..many).step_by(10) {
        let signings = imported.rules.decide(&format!("u@D{n}.example")).unwrap();
        assert_eq!(signings[0].selector.as_str(), format!("s{n}"));
        assert_eq!(signings[0].identity, Some(format!("@d{n}.example")));
    }
}
