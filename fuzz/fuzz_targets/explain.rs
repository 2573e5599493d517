//! Why a signature fails: what is said to be the message as it was signed has the hashes that were signed; a message
//! that was not changed has nothing to explain; places lie in the message; what is said can be printed and read; the
//! budget holds.
//!
//! The text is made a message and signed; the end of the input says what then becomes of it.

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use dkimkit::canon::Canonicalization;
use dkimkit::dns::LookupTxt as _;
use dkimkit::explain::{Explained, ExplanationReport, Options, Part, explain};
use dkimkit::message::{HeaderLimits, split};
use dkimkit::name::{Domain, Selector};
use dkimkit::policy::{Level, Policy};
use dkimkit::report::Failure;
use dkimkit::sign::{SignOptions, SigningIdentity};
use dkimkit::verify::PublishedKeys;
use dkimkit_fuzz::{DOMAIN, KEYS, NOW, Steering, ZONE, steered};
use libfuzzer_sys::fuzz_target;

const BUDGET: Duration = Duration::from_millis(60);

fuzz_target!(|data: &[u8]| {
    let (text, mut steering) = steered(data);
    let mut message = signed(text, &mut steering).unwrap_or_else(|| text.to_vec());
    let changes = steering.below(4);
    for _ in 0..changes {
        change(&mut message, &mut steering);
    }
    let policy = Arc::new(Policy::new(Level::Legacy));
    let options = Options {
        policy: policy.clone(),
        budget: BUDGET,
        lf_is_crlf: steering.flag(),
        ..Options::new(NOW)
    };
    let keys = |name: &_| Arc::new(PublishedKeys::read(ZONE.lookup_txt(name), &policy));
    let Ok(found) = explain(&message, keys, &options) else {
        return;
    };
    assert!(
        found.took < BUDGET + Duration::from_secs(2),
        "{:?}",
        found.took
    );
    for explained in &found.signatures {
        check(explained, found.text().len(), &policy);
    }
    let report = ExplanationReport::new("a".to_owned(), &found);
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json, serde_json::to_value(&report).unwrap());
});

fn check(explained: &Explained, len: usize, policy: &Policy) {
    for sentence in explained.sentences() {
        assert!(!sentence.contains(|c: char| c.is_control()), "{sentence:?}");
    }
    for change in explained.changes() {
        assert!(change.spots.len() <= change.places.max(1));
        for spot in &change.spots {
            assert!(spot.at.start <= spot.at.end && spot.at.end <= len && spot.line > 0);
        }
    }
    if explained.verdict.failure().is_none() {
        let holds = |part: &Part| *part == Part::Holds;
        assert!(holds(&explained.body) && holds(&explained.header));
    }
    let Some(restored) = explained.restored() else {
        return;
    };
    let verdicts = dkimkit::verify(&restored, &*ZONE, policy, NOW).unwrap();
    let of_hash = |f: &Failure| matches!(f, Failure::Mismatch | Failure::BodyHash { .. });
    let same = verdicts
        .iter()
        .filter(|v| v.claims.selector == explained.verdict.claims.selector);
    let mut sound = same.filter(|v| !v.failure().is_some_and(of_hash));
    assert!(sound.next().is_some(), "{:?}", restored.escape_ascii());
}

/// The text as a message with a signature.
fn signed(text: &[u8], steering: &mut Steering<'_>) -> Option<Vec<u8>> {
    split(text, HeaderLimits::default()).ok()?;
    let (selector, key) = &KEYS[steering.below(KEYS.len())];
    let canons = [
        "relaxed/relaxed",
        "simple/simple",
        "relaxed/simple",
        "simple/relaxed",
    ];
    let options = SignOptions {
        canonicalization: Canonicalization::from_tag(canons[steering.below(4)])?,
        third_party: true,
        ..SignOptions::new(NOW)
    };
    let domain = Domain::new(DOMAIN).ok()?;
    let selector = Selector::new(selector).ok()?;
    let identity = SigningIdentity::new(domain, selector, key.clone());
    let fields = dkimkit::sign(text, vec![identity], &options).ok()?;
    Some([fields[0].as_bytes(), b"\r\n", text].concat())
}

/// Something that befalls a message.
fn change(message: &mut Vec<u8>, steering: &mut Steering<'_>) {
    const PUT: [&[u8]; 10] = [
        b" ",
        b"\r\n",
        b"\t",
        b".",
        b">",
        b"[list] ",
        b"\r\n-- \r\nfooter\r\n",
        b"=20",
        b"\xef\xbb\xbf",
        b"\r",
    ];
    let at = steering.below(message.len() + 1);
    match steering.below(6) {
        0 => message.extend_from_slice(PUT[steering.below(PUT.len())]),
        1 => {
            message.splice(at..at, PUT[steering.below(PUT.len())].iter().copied());
        }
        2 => {
            let end = (at + steering.below(8)).min(message.len());
            message.drain(at..end);
        }
        3 if at < message.len() => message[at] ^= 0x20,
        4 => {
            let line = message.split_inclusive(|b| *b == b'\n').next();
            let line = line.unwrap_or_default().to_vec();
            message.splice(0..0, line);
        }
        _ => message.retain(|b| *b != b'\r'),
    }
}
