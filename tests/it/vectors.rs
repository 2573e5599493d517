//! The vectors in `testdata/vectors/`: one scenario a file, which says itself what is to come out.
//!
//! A file begins with lines `key: value`, up to an empty line; the message follows in raw bytes. Keys:
//!
//! - `expect`: one for each DKIM-Signature field, from the top down: a result word, and a reason unless it
//!   is `pass`. `expect: none` for a message without one; `expect-message: REASON` for one without header.
//! - `expect-arc`: the result of the ARC chain, and a reason unless it is `pass`. `expect-domainkeys`: the same for
//!   each DomainKey-Signature field. With one of these, `expect` may be left out.
//! - `comment`: what is shown, and the section that decides it. Required.
//! - `policy`: `strict` (the default), `rfc`, `legacy`, or several.
//! - `now`: the time in Unix seconds.
//! - `dns`: a name and the text of a TXT record there; or `dns-status`: a name and NXDOMAIN, NODATA,
//!   SERVFAIL, REFUSED or TIMEOUT.
//!
//! An unknown key fails the run. Each message is verified whole, byte by byte, and cut at places drawn
//! from a seed; and each signature and record that parses is printed and parsed again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dkimkit::arc::ArcVerifier;
use dkimkit::dns::{LookupTxt as _, Zone};
use dkimkit::domainkeys::{DomainKeysVerdict, DomainKeysVerifier};
use dkimkit::message::{Splitter, split};
use dkimkit::policy::{Level, Policy};
use dkimkit::record::KeyRecord;
use dkimkit::report::{Failure, ResultWord, Verdict};
use dkimkit::signature::{Signature, SignatureLimits};
use dkimkit::time::UnixTime;
use dkimkit::verify::Verifier;
use serde_json::json;

use crate::random::Random;

pub(crate) struct Vector {
    pub(crate) path: PathBuf,
    expect: Vec<String>,
    expect_arc: Vec<String>,
    expect_domainkeys: Vec<String>,
    policies: Vec<Level>,
    pub(crate) now: UnixTime,
    records: Vec<Vec<u8>>,
    pub(crate) zone: Zone,
    pub(crate) message: Vec<u8>,
}

/// What verifies a message in steps of these lengths.
type Verify = fn(&Vector, &Policy, &mut dyn FnMut() -> usize) -> Vec<String>;

/// All of them, in order.
pub(crate) fn all() -> Vec<Vector> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors");
    files(&dir).iter().map(|path| Vector::read(path)).collect()
}

#[test]
fn every_vector_gets_the_verdicts_that_it_expects() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for vector in all() {
        count += 1;
        for level in &vector.policies {
            wrong.extend(vector.run(*level));
        }
        wrong.extend(vector.round_trips());
    }
    println!("{count} vectors");
    assert!(count > 0, "there are no vectors");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

impl Vector {
    /// Its group and its name.
    #[cfg(feature = "resolver")]
    pub(crate) fn name(&self) -> String {
        let name = self.path.components().rev().take(2).collect::<Vec<_>>();
        let [name, group] = [0, 1].map(|at| name[at].as_os_str().display());
        format!("{group}/{name}")
    }

    fn read(path: &Path) -> Vector {
        let bytes = fs::read(path).unwrap();
        let name = path.display();
        let end = bytes.windows(2).position(|w| w == b"\n\n");
        let end = end.unwrap_or_else(|| panic!("{name}: no empty line behind the keys"));
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut vector = Vector {
            path: path.to_owned(),
            expect: Vec::new(),
            expect_arc: Vec::new(),
            expect_domainkeys: Vec::new(),
            policies: Vec::new(),
            now: UnixTime(1_700_000_000),
            records: Vec::new(),
            zone: Zone::default(),
            message: bytes[end + 2..].to_vec(),
        };
        let mut commented = false;
        for line in head.lines() {
            let (key, value) = line
                .split_once(": ")
                .unwrap_or_else(|| panic!("{name}: {line}"));
            match key {
                "comment" => commented = true,
                "expect" | "expect-message" => vector.expect.push(value.to_owned()),
                "expect-arc" => vector.expect_arc.push(value.to_owned()),
                "expect-domainkeys" => vector.expect_domainkeys.push(value.to_owned()),
                "now" => vector.now = UnixTime(value.parse().unwrap()),
                "policy" => vector.policies = value.split(' ').map(level).collect(),
                "dns" => {
                    let (owner, text) = value.split_once(' ').unwrap();
                    vector.records.push(text.as_bytes().to_vec());
                    vector.zone.insert_txt(owner, text.as_bytes().to_vec());
                }
                "dns-status" => {
                    let (owner, status) = value.split_once(' ').unwrap();
                    let json = json!({owner: {"status": status}}).to_string();
                    vector.zone.merge(Zone::parse(&json).unwrap());
                }
                _ => panic!("{name}: unknown key {key}"),
            }
        }
        assert!(commented, "{name}: no comment");
        let lists = [
            &vector.expect,
            &vector.expect_arc,
            &vector.expect_domainkeys,
        ];
        assert!(
            lists.iter().any(|list| !list.is_empty()),
            "{name}: nothing expected"
        );
        if vector.policies.is_empty() {
            vector.policies.push(Level::Strict);
        }
        vector
    }

    fn run(&self, level: Level) -> Vec<String> {
        let policy = Policy::new(level);
        let mut random = Random::new(0x5eed);
        let mut wrong = Vec::new();
        let name = self.path.file_name().unwrap().display();
        for (expect, verify) in [
            (&self.expect, Vector::verify as Verify),
            (&self.expect_arc, Vector::verify_chain),
            (&self.expect_domainkeys, Vector::verify_domainkeys),
        ] {
            if expect.is_empty() {
                continue;
            }
            let whole = verify(self, &policy, &mut || usize::MAX);
            let by_byte = verify(self, &policy, &mut || 1);
            let by_chance = verify(self, &policy, &mut || 1 + random.below(200));
            if whole != *expect {
                wrong.push(format!("{name} {level:?}: {whole:?}, not {expect:?}"));
            }
            if by_byte != whole || by_chance != whole {
                wrong.push(format!("{name} {level:?}: {whole:?} depends on the cuts"));
            }
        }
        wrong
    }

    fn verify(&self, policy: &Policy, step: &mut dyn FnMut() -> usize) -> Vec<String> {
        let mut splitter = Splitter::new(policy.limits.header);
        let mut rest = self.message.as_slice();
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(step().min(rest.len()));
            match splitter.write(chunk) {
                Ok(Some(body_at)) => {
                    rest = &rest[body_at..];
                    break;
                }
                Ok(None) => rest = tail,
                Err(error) => return vec![Failure::Message(error).reason().to_owned()],
            }
        }
        let header = match splitter.finish() {
            Ok(header) => header,
            Err(error) => return vec![Failure::Message(error).reason().to_owned()],
        };
        let mut verifier = Verifier::new(header, Arc::new(*policy), self.now);
        let wanted = verifier.wanted().to_vec();
        // Half of the answers come before the body, the others while it comes.
        let (early, late) = wanted.split_at(wanted.len() / 2);
        for name in early {
            verifier.supply(name, self.zone.lookup_txt(name));
        }
        let mut verifier = verifier.start_body();
        let mut late = late.iter();
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(step().min(rest.len()));
            let _ = verifier.write(chunk);
            rest = tail;
            if let Some(name) = late.next() {
                verifier.supply(name, self.zone.lookup_txt(name));
            }
        }
        for name in late {
            verifier.supply(name, self.zone.lookup_txt(name));
        }
        let verdicts = verifier.finish();
        if verdicts.is_empty() {
            return vec!["none".to_owned()];
        }
        verdicts.iter().map(words).collect()
    }

    /// The chain, with all answers behind the body.
    fn verify_chain(&self, policy: &Policy, step: &mut dyn FnMut() -> usize) -> Vec<String> {
        let (header, mut rest) = split(&self.message, policy.limits.header).unwrap();
        let verifier = ArcVerifier::new(header, Arc::new(*policy), self.now);
        let wanted = verifier.wanted().to_vec();
        let mut verifier = verifier.start_body();
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(step().min(rest.len()));
            let _ = verifier.write(chunk);
            rest = tail;
        }
        for name in &wanted {
            verifier.supply(name, self.zone.lookup_txt(name));
        }
        let report = verifier.finish();
        vec![in_words(report.result(), report.reason())]
    }

    fn verify_domainkeys(&self, policy: &Policy, step: &mut dyn FnMut() -> usize) -> Vec<String> {
        let (header, mut rest) = split(&self.message, policy.limits.header).unwrap();
        let mut verifier = DomainKeysVerifier::new(&header, Arc::new(*policy));
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(step().min(rest.len()));
            let _ = verifier.write(chunk);
            rest = tail;
        }
        for name in verifier.wanted().to_vec() {
            verifier.supply(&name, self.zone.lookup_txt(&name));
        }
        let reason = |verdict: &DomainKeysVerdict| verdict.report().reason;
        let verdicts = verifier.finish();
        let words = verdicts.iter().map(|v| in_words(v.result(), reason(v)));
        words.collect()
    }

    fn round_trips(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let name = self.path.file_name().unwrap().display();
        for text in &self.records {
            if let Ok(record) = KeyRecord::parse(text, 100)
                && KeyRecord::parse(record.to_string().as_bytes(), 100).as_ref() != Ok(&record)
            {
                wrong.push(format!("{name}: {record:?} is not what it prints"));
            }
        }
        let limits = Policy::default().limits.header;
        let Ok((header, _)) = split(&self.message, limits) else {
            return wrong;
        };
        for field in header.fields().filter(|f| f.is("DKIM-Signature")) {
            let limits = SignatureLimits::default();
            if let Ok((signature, _)) = Signature::parse(field.value(), limits) {
                let printed = signature.to_field();
                let value = printed.strip_prefix("DKIM-Signature:").unwrap();
                let again = Signature::parse(value.as_bytes(), limits).map(|(s, _)| s);
                if again.as_ref() != Ok(&signature) {
                    wrong.push(format!("{name}: {printed} is not what was parsed"));
                }
            }
        }
        wrong
    }
}

fn level(word: &str) -> Level {
    match word {
        "strict" => Level::Strict,
        "rfc" => Level::Rfc,
        "legacy" => Level::Legacy,
        _ => panic!("unknown policy {word}"),
    }
}

fn words(verdict: &Verdict) -> String {
    in_words(verdict.result(), verdict.failure().map(Failure::reason))
}

fn in_words(result: ResultWord, reason: Option<&str>) -> String {
    match reason {
        None => result.to_string(),
        Some(reason) => format!("{result} {reason}"),
    }
}
