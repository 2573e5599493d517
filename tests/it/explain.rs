//! `explain` held to what was done: each file in `testdata/explain/` is a message, what happened to it after it was
//! signed, and what is to be found.
//!
//! ```text
//! comment: why the case stands here
//! canon: relaxed/relaxed simple/simple     each is tried with RSA and with Ed25519
//! expect: subject-tagged text-appended     the kinds, header and body; or `none`, and nothing may be claimed
//! same: canonical                          the bytes are not the same again, but for the signature (default: bytes)
//! replace: OLD => NEW                      in the message as it came, every time
//! once: OLD => NEW                         the first time alone
//! append: TEXT                             behind the end
//!
//! the message, with LF
//! ```
//!
//! In OLD, NEW and TEXT `\n` is CRLF, `\r` CR, `\s` a space, `\t` a tab, `\xHH` a byte, and `\\` a backslash.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dkimkit::canon::{Canon, Canonicalization};
use dkimkit::dns::{LookupTxt as _, Zone};
use dkimkit::explain::{Explained, Kind, Options, Part, explain};
use dkimkit::hash::{BodyHashSpec, BodyHasher, BodyLimit, HashAlgorithm, Hasher};
use dkimkit::header::FieldIndex;
use dkimkit::key::{SigningKey, encode_base64};
use dkimkit::message::{Header, HeaderLimits};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::policy::Policy;
use dkimkit::record::KeyRecord;
use dkimkit::report::{ResultWord, overall};
use dkimkit::sign::{SignOptions, SigningIdentity};
use dkimkit::signature::{Signature, SignatureLimits};
use dkimkit::time::UnixTime;
use dkimkit::verify::{PublishedKeys, put_signed_header};

const NOW: UnixTime = UnixTime(1_795_000_000);

#[test]
fn what_was_done_is_found_named_and_undone() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/explain");
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 30, "the cases are gone");
    let mut wrong = Vec::new();
    for file in files {
        let case = Case::read(&fs::read(&file).unwrap());
        for canon in &case.canons {
            for selector in ["rsa2048", "ed"] {
                if let Err(error) = case.run(*canon, selector) {
                    let name = file.file_name().unwrap().display();
                    wrong.push(format!("{name} {canon} {selector}: {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

struct Case {
    canons: Vec<Canonicalization>,
    expect: Vec<String>,
    bytes: bool,
    edits: Vec<Edit>,
    message: Vec<u8>,
}

enum Edit {
    Replace(Vec<u8>, Vec<u8>),
    Once(Vec<u8>, Vec<u8>),
    Append(Vec<u8>),
}

impl Case {
    fn read(file: &[u8]) -> Case {
        let text = String::from_utf8(file.to_vec()).expect("a case is UTF-8");
        let (head, message) = text
            .split_once("\n\n")
            .expect("an empty line before the message");
        let mut case = Case {
            canons: Vec::new(),
            expect: Vec::new(),
            bytes: true,
            edits: Vec::new(),
            message: message.replace('\n', "\r\n").into_bytes(),
        };
        for line in head.lines() {
            let (key, value) = line.split_once(": ").expect("key: value");
            let pair = || {
                let (old, new) = value.split_once(" =>").expect("OLD => NEW");
                (bytes(old), bytes(new.strip_prefix(' ').unwrap_or(new)))
            };
            match key {
                "comment" => {}
                "canon" => {
                    let canon =
                        |word| Canonicalization::from_tag(word).expect("a canonicalization");
                    case.canons = value.split(' ').map(canon).collect();
                }
                "expect" => case.expect = value.split(' ').map(str::to_owned).collect(),
                "same" if value == "canonical" => case.bytes = false,
                "replace" => {
                    let (old, new) = pair();
                    case.edits.push(Edit::Replace(old, new));
                }
                "once" => {
                    let (old, new) = pair();
                    case.edits.push(Edit::Once(old, new));
                }
                "append" => case.edits.push(Edit::Append(bytes(value))),
                _ => panic!("unknown line: {line}"),
            }
        }
        for kind in case.expect.iter().filter(|kind| *kind != "none") {
            assert!(
                Kind::ALL.iter().any(|known| known.as_str() == kind),
                "unknown kind {kind}"
            );
        }
        assert!(!case.canons.is_empty() && !case.expect.is_empty());
        case
    }

    fn run(&self, canon: Canonicalization, selector: &str) -> Result<(), String> {
        let signed = sign(&self.message, canon, selector);
        if verdict(&signed, selector) != ResultWord::Pass {
            return Err("what was signed does not pass".to_owned());
        }
        let mut came = signed.clone();
        for edit in &self.edits {
            came = edit.apply(&came)?;
        }
        if verdict(&came, selector) == ResultWord::Pass {
            return Err("it passes all the same".to_owned());
        }
        // Where there is nothing to find, the whole budget is used.
        let budget = if self.expect == ["none"] { 2 } else { 20 };
        let found = look(&came, selector, Duration::from_secs(budget));
        let mut kinds: Vec<&str> = found.changes().map(|change| change.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut expected: Vec<&str> = self.expect.iter().map(String::as_str).collect();
        expected.sort_unstable();
        if expected == ["none"] {
            return match kinds.is_empty() && found.restored().is_none() {
                true => Ok(()),
                false => Err(format!("claims {kinds:?}")),
            };
        }
        if kinds != expected {
            return Err(format!(
                "found {kinds:?} {:?} {:?}",
                found.body, found.header
            ));
        }
        let Some(restored) = found.restored() else {
            return Err("not restored".to_owned());
        };
        if verdict(&restored, selector) != ResultWord::Pass {
            return Err("what was restored does not pass".to_owned());
        }
        if self.bytes && restored != signed {
            return Err(format!("restored {}", restored.escape_ascii()));
        }
        Ok(())
    }
}

impl Edit {
    fn apply(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let done = match self {
            Edit::Replace(old, new) => replaced(text, old, new, usize::MAX),
            Edit::Once(old, new) => replaced(text, old, new, 1),
            Edit::Append(more) => [text, more].concat(),
        };
        match done == text {
            true => Err("an edit changed nothing".to_owned()),
            false => Ok(done),
        }
    }
}

fn replaced(text: &[u8], old: &[u8], new: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut count = 0;
    while at < text.len() {
        if count < most && text[at..].starts_with(old) {
            out.extend_from_slice(new);
            at += old.len();
            count += 1;
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.to_string().as_bytes());
            continue;
        }
        match chars.next().expect("something behind a backslash") {
            'n' => out.extend_from_slice(b"\r\n"),
            'l' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            's' => out.push(b' '),
            't' => out.push(b'\t'),
            'x' => {
                let hex: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&hex, 16).expect("two digits"));
            }
            '\\' => out.push(b'\\'),
            other => panic!("unknown escape {other}"),
        }
    }
    out
}

fn key(selector: &str) -> SigningKey {
    let path = format!(
        "{}/keys/test.example/{selector}.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    SigningKey::read(&fs::read(path).unwrap()).unwrap()
}

fn sign(message: &[u8], canon: Canonicalization, selector: &str) -> Vec<u8> {
    let (domain, name) = (
        Domain::new("test.example").unwrap(),
        Selector::new(selector).unwrap(),
    );
    let mut options = SignOptions::new(NOW);
    options.canonicalization = canon;
    let identity = SigningIdentity::new(domain, name, key(selector));
    let fields = dkimkit::sign(message, vec![identity], &options).unwrap();
    [fields[0].as_bytes(), b"\r\n", message].concat()
}

fn zone(selector: &str) -> Zone {
    let key = key(selector);
    let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
    let mut zone = Zone::default();
    zone.insert_txt(
        &format!("{selector}._domainkey.test.example."),
        record.to_string().into_bytes(),
    );
    zone
}

fn verdict(message: &[u8], selector: &str) -> ResultWord {
    match dkimkit::verify(message, &zone(selector), &Policy::default(), NOW) {
        Ok(verdicts) => overall(&verdicts),
        Err(_) => ResultWord::PermError,
    }
}

fn look(message: &[u8], selector: &str, budget: Duration) -> Explained {
    let zone = zone(selector);
    let mut options = Options::new(NOW);
    options.budget = budget;
    let policy = Policy::default();
    let keys = |name: &KeyName| Arc::new(PublishedKeys::read(zone.lookup_txt(name), &policy));
    let found = explain(message, keys, &options).expect("a header that can be read");
    found.signatures.into_iter().next().expect("a signature")
}

#[test]
fn another_body_is_not_explained_and_the_header_holds() {
    let message = b"From: a@test.example\r\nSubject: x\r\n\r\nThe first body,\r\nof two lines.\r\n";
    let signed = sign(message, Canonicalization::RELAXED, "ed");
    let came = replaced(&signed, b"The first body", b"Another one", 1);
    let found = look(&came, "ed", Duration::from_secs(3));
    assert_eq!(found.header, Part::Holds);
    assert!(
        matches!(found.body, Part::Unexplained(effort) if effort.tried > 100),
        "{:?}",
        found.body
    );
    assert!(!found.is_explained() && !found.is_restorable());
}

#[test]
fn without_a_key_the_body_is_judged_all_the_same() {
    let message = b"From: a@test.example\r\nSubject: x\r\n\r\nSome text.\r\n";
    let signed = sign(message, Canonicalization::RELAXED, "rsa2048");
    let came = [signed.as_slice(), b"-- \r\na footer\r\n"].concat();
    // The record of the other key is there, that of this one is not.
    let found = look(&came, "ed", Duration::from_secs(3));
    let kinds: Vec<Kind> = found.changes().map(|change| change.kind).collect();
    assert_eq!(kinds, [Kind::TextAppended]);
    assert!(matches!(found.header, Part::Unjudged(_)));
    assert!(found.restored().is_none());
}

#[test]
fn the_readme_shows_the_table_of_kinds() {
    let readme = readme();
    let row = |kind: &Kind| {
        let (word, about, culprit) = (kind.as_str(), kind.about(), kind.culprit());
        format!("| `{word}` | {about} | {culprit} |\n")
    };
    let rows: String = Kind::ALL.iter().map(row).collect();
    let table = format!("| word | what happened | likely |\n|---|---|---|\n{rows}");
    assert!(
        readme.contains(&table),
        "the README should hold this table:\n\n{table}"
    );
}

/// The README breaks long lines, and ends with … what it does not show to its end.
#[test]
fn the_readme_shows_what_the_script_prints() {
    let readme = readme();
    let script = format!("{}/testdata/cli/explain.txt", env!("CARGO_MANIFEST_DIR"));
    let script = spaced(&fs::read_to_string(script).unwrap());
    let mut count = 0;
    for block in readme.split("```text\n$ dkimkit explain ").skip(1) {
        let (block, _) = block.split_once("```").expect("the end of the block");
        let (command, shown) = block.split_once('\n').expect("what is printed");
        let shown = spaced(shown.trim_end().trim_end_matches('…'));
        assert!(
            script.contains(&shown),
            "testdata/cli/explain.txt does not print this for {command}:\n{shown}"
        );
        count += 1;
    }
    assert!(count >= 5, "the examples are gone");
}

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// Each run of white space as one space.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Signs by hand, with tags that our signer does not write.
fn sign_by_hand(head: &str, body: &str, tags: &str) -> Vec<u8> {
    let limit = tags.split("; ").find_map(|tag| tag.strip_prefix("l="));
    let limit = limit.map_or(BodyLimit::Whole, |l| BodyLimit::Octets(l.parse().unwrap()));
    let spec = BodyHashSpec {
        canon: Canon::Relaxed,
        hash: HashAlgorithm::Sha256,
        limit,
    };
    let mut hasher = BodyHasher::new([spec]);
    hasher.write(body.as_bytes());
    let hash = hasher.finish().get(&spec).digest.unwrap();
    let hash = encode_base64(hash.as_bytes());
    let field = |b: &str| {
        format!(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=test.example; s=rsa2048; {tags}; bh={hash}; b={b}\r\n"
        )
    };
    let header = format!("{}{head}", field("AAAA"));
    let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
    let value = header.field(0).value();
    let (signature, b) = Signature::parse(value, SignatureLimits::default()).unwrap();
    let mut signed = Hasher::new(HashAlgorithm::Sha256);
    put_signed_header(
        &header,
        &FieldIndex::new(&header),
        &signature,
        0,
        b,
        &mut signed,
    );
    let b = key("rsa2048").sign(&signed.finish()).unwrap();
    format!("{}{head}\r\n{body}", field(&encode_base64(&b))).into_bytes()
}

const HEAD: &str = "From: a@test.example\r\nSubject: hello world\r\nX-A: b\r\n";

#[test]
fn with_a_limit_only_what_it_counts_is_said_to_be_as_it_was_signed() {
    for (limit, whole_lines) in [("6", false), ("0", false), ("23", true)] {
        let signed = sign_by_hand(
            HEAD,
            "Pay 10000 to Mallory.\r\n",
            &format!("l={limit}; h=from:subject"),
        );
        let came = replaced(&signed, b"Subject: ", b"Subject: [x] ", 1);
        let found = look(&came, "rsa2048", Duration::from_secs(20));
        let kinds: Vec<Kind> = found.changes().map(|change| change.kind).collect();
        assert_eq!(
            (&found.body, kinds.as_slice()),
            (&Part::Holds, &[Kind::SubjectTagged][..])
        );
        let said = found.sentences().join("\n");
        assert!(
            said.contains(&format!("the first {limit} octets of the body")),
            "{said}"
        );
        // Where the limit falls within a line, the rest of it is not known.
        assert_eq!(found.restored(), whole_lines.then_some(signed), "l={limit}");
    }
}

#[test]
fn what_z_shows_to_be_another_text_is_no_tag_and_a_field_that_is_gone_has_no_place() {
    let z = "z=From:a@test.example|Subject:hello=20world; h=from:subject:subject";
    let signed = sign_by_hand(HEAD, "Hi.\r\n", z);
    let kinds = |came: &[u8]| {
        let found = look(came, "rsa2048", Duration::from_secs(20));
        let kinds: Vec<Kind> = found.changes().map(|change| change.kind).collect();
        (kinds, found.sentences().join("\n"))
    };
    let other = replaced(
        &signed,
        b"Subject: hello world",
        b"Subject: quite another",
        1,
    );
    assert_eq!(kinds(&other).0, [Kind::FieldChanged]);
    let tagged = replaced(&signed, b"Subject: ", b"Subject: [x] ", 1);
    assert_eq!(kinds(&tagged).0, [Kind::SubjectTagged]);
    let (gone, said) = kinds(&replaced(&signed, b"Subject: hello world\r\n", b"", 1));
    assert_eq!(gone, [Kind::FieldRemoved]);
    assert!(
        said.contains("where it stood is not known") && !said.contains("line"),
        "{said}"
    );
}

#[test]
fn a_last_line_that_was_continued_is_not_counted_as_whole_lines() {
    let signed = sign(
        b"From: a@test.example\r\n\r\nHello",
        Canonicalization::RELAXED,
        "ed",
    );
    let came = [signed.as_slice(), b" world\r\nmore\r\n"].concat();
    let found = look(&came, "ed", Duration::from_secs(20));
    assert_eq!(found.restored(), Some(signed));
    let said = found.sentences().join("\n");
    assert!(
        !said.contains("holds for the first") && said.contains("were appended after byte"),
        "{said}"
    );
}

#[test]
fn a_budget_that_no_clock_can_count_to_is_no_panic() {
    let signed = sign(
        b"From: a@test.example\r\n\r\nHello\r\n",
        Canonicalization::RELAXED,
        "ed",
    );
    let came = [signed.as_slice(), b"more\r\n"].concat();
    assert!(look(&came, "ed", Duration::MAX).is_explained());
}
