//! The messages in `testdata/lint/`: each fault shown by a message, and by the same message once it is mended.
//!
//! A file is called after the word that it shows. It begins with lines `key: value`, up to a line `---`; the
//! message follows, up to a line `--- mended`, and then the message as it should be. Keys:
//!
//! - `comment`: what is shown. Required.
//! - `expect`: the word of a finding and its place; one for each, in their order.
//! - `still`: a finding that the mended message has all the same.
//! - `canon`: what it will be signed with.
//! - `sign`: the bits of a key and the tags of the signature that is about to be made with it.
//!
//! Lines end with CRLF when they are read; `\n` is an LF alone, `\r` a CR alone, `\xNN` a byte, and `\` at the
//! end takes the line end away. `{x*999}` is 999 times x. `{base}` stands for three sound fields, `{b512}` and so on for the
//! value of b= that a key of that size makes.

use std::fs;
use std::path::Path;

use dkimkit::canon::Canonicalization;
use dkimkit::lint::{LintOptions, Linter, Planned, WORDS, lint};
use dkimkit::message::{HeaderLimits, split};
use dkimkit::signature::{Signature, SignatureLimits};

use crate::random::Random;

const BASE: &str = "From: Anna <anna@b.example>\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@b.example>";

#[test]
fn every_word_has_a_message_that_shows_it_and_one_that_is_mended() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/lint");
    let mut names: Vec<String> = Vec::new();
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        wrong.extend(run(&name, &text).err());
        names.push(name);
    }
    for row in WORDS {
        if !names.iter().any(|name| name == row.word) {
            wrong.push(format!("{}: there is no testdata/lint/{0}.txt", row.word));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn run(name: &str, text: &str) -> Result<(), String> {
    let (head, rest) = text
        .split_once("---\n")
        .expect("a line --- behind the keys");
    let (message, mended) = rest.split_once("--- mended\n").expect("a mended message");
    let mut options = LintOptions::default();
    let (mut expect, mut still, mut comment) = (Vec::new(), Vec::new(), false);
    for line in head.lines() {
        let (key, value) = line.split_once(": ").expect("a line is key: value");
        match key {
            "comment" => comment = true,
            "expect" => expect.push(value.to_owned()),
            "still" => still.push(value.to_owned()),
            "canon" => options.canonicalization = Canonicalization::from_tag(value),
            "sign" => options.planned.push(planned(value)),
            _ => panic!("{name}: the key {key} is unknown"),
        }
    }
    assert!(comment, "{name}: no comment");
    let shown = expect.iter().any(|e| e.split(' ').next() == Some(name));
    assert!(shown, "{name}: the word is not among what is expected");
    assert!(!still.iter().any(|e| e.split(' ').next() == Some(name)));
    let mut wrong = String::new();
    for (what, text, want) in [("message", message, &expect), ("mended", mended, &still)] {
        let got = findings(&bytes(text), &options);
        if got != *want {
            wrong.push_str(&format!(
                "{name}, {what}:\n  want {want:#?}\n  got {got:#?}\n"
            ));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn planned(value: &str) -> Planned {
    let (bits, tags) = value.split_once(' ').unwrap();
    let (signature, _) = Signature::parse(tags.as_bytes(), SignatureLimits::default()).unwrap();
    Planned {
        claims: (&signature).into(),
        key_bits: bits.parse().unwrap(),
    }
}

fn findings(message: &[u8], options: &LintOptions) -> Vec<String> {
    let whole = lint(message, options).unwrap();
    let (header, body) = split(message, HeaderLimits::default()).unwrap();
    let mut options = options.clone();
    options.origin.body_at = Some((message.len() - body.len()) as u64);
    for step in [1, 2, 3, 997] {
        let mut linter = Linter::new(&header, &options);
        body.chunks(step).for_each(|chunk| linter.write(chunk));
        assert_eq!(linter.finish(), whole, "in chunks of {step}");
    }
    let shown = |f: &dkimkit::lint::Finding| {
        let (word, place) = (f.word(), f.place());
        format!("{word} {place}").trim_end().to_owned()
    };
    whole.iter().map(shown).collect()
}

/// The message that a text stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let text = text.replace("\\\n", "").replace('\n', "\r\n");
    let mut text = text.replace("{base}", BASE);
    for (bits, letters, padding) in [(512, 86, 2), (1024, 171, 1), (2048, 342, 2), (5120, 854, 2)] {
        let value = format!("{{A*{letters}}}{}", "=".repeat(padding));
        text = text.replace(&format!("{{b{bits}}}"), &value);
    }
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let code = |from: &str| u8::from_str_radix(from.get(2..4)?, 16).ok();
        if let Some(after) = rest.strip_prefix("\\r") {
            out.push(b'\r');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\\n") {
            out.push(b'\n');
            rest = after;
        } else if let Some(byte) = code(rest).filter(|_| rest.starts_with("\\x")) {
            out.push(byte);
            rest = &rest[4..];
        } else if let Some((unit, count, after)) = repeated(rest) {
            out.extend(bytes(unit).repeat(count));
            rest = after;
        } else {
            out.extend_from_slice(c.to_string().as_bytes());
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// `{x*3}`: what is repeated, how often, and the rest.
fn repeated(text: &str) -> Option<(&str, usize, &str)> {
    let (inner, rest) = text.strip_prefix('{')?.split_once('}')?;
    let (unit, count) = inner.rsplit_once('*')?;
    Some((unit, count.parse().ok()?, rest))
}

/// Messages drawn from a seed out of the pieces that the checks look for.
#[test]
fn no_message_makes_the_linter_panic_or_grow_and_every_cut_gives_the_same() {
    const PIECES: &[&[u8]] = &[
        b"\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"--x",
        b"--",
        b"--x\r\n",
        b"--x--\r\n",
        b" ",
        b"\t",
        b"=",
        b"=3D",
        b"=?utf-8?Q?a?=",
        b"From ",
        b".",
        b"\xff",
        b"\xc3\xa9",
        b"Content-Type: ",
        b"text/plain",
        b"multipart/mixed; boundary=x",
        b"multipart/mixed; boundary=\"xx\"",
        b"message/rfc822",
        b"; charset=",
        b"utf-8",
        b"Content-Transfer-Encoding: ",
        b"base64",
        b"quoted-printable",
        b"8bit",
        b"YWJj",
        b"\"",
        b"<a@b>",
        b",",
        b":",
        b";",
        b"(",
        b"To: ",
        b"\r\n\r\n",
        b"abcdefghijklmnopqrstuvwxyz",
    ];
    let mut random = Random::new(7);
    for _ in 0..3_000 {
        let mut message = b"From: a@b.example\r\n".to_vec();
        for _ in 0..random.below(80) {
            let piece = random.pick(PIECES);
            let times = if random.below(40) == 0 { 300 } else { 1 };
            message.extend(piece.repeat(times));
        }
        let canonicalization = Canonicalization::from_tag("simple/simple");
        let mut options = LintOptions {
            canonicalization,
            ..LintOptions::default()
        };
        let Ok(whole) = lint(&message, &options) else {
            continue;
        };
        for finding in &whole {
            let listed = whole.iter().filter(|f| f.fault == finding.fault).count();
            assert!(listed <= 3 && finding.detail().len() < 600);
            assert!(!finding.to_string().contains(|c: char| c.is_ascii_control()));
        }
        let (header, body) = split(&message, HeaderLimits::default()).unwrap();
        options.origin.body_at = Some((message.len() - body.len()) as u64);
        let mut linter = Linter::new(&header, &options);
        let mut rest = body;
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at((1 + random.below(50)).min(rest.len()));
            linter.write(chunk);
            rest = tail;
        }
        assert_eq!(linter.finish(), whole, "{}", message.escape_ascii());
    }
}
