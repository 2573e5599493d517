//! DomainKeys: the messages of the third-party corpus that have nothing else, and messages that are signed here by a
//! small signer that shares no code with what is tested.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dkimkit::dns::{LookupTxt as _, Zone};
use dkimkit::domainkeys::{DomainKeysVerdict, DomainKeysVerifier, MAX_TRIED};
use dkimkit::message::split;
use dkimkit::policy::{Level, Policy};
use dkimkit::report::ResultWord;
use rsa::RsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use serde_json::Value;
use sha1::Digest as _;

use crate::corpus::{as_read, corpus};
use crate::properties;
use crate::random::Random;

/// Cases in which we differ from where they come from: id, our word, and why.
const LEDGER: &[(&str, &str, &str)] = &[];

fn verdicts(message: &[u8], zone: &Zone, level: Level, step: usize) -> Vec<DomainKeysVerdict> {
    let policy = Policy::new(level);
    let (header, body) = split(message, policy.limits.header).unwrap();
    let mut verifier = DomainKeysVerifier::new(&header, Arc::new(policy));
    for name in verifier.wanted().to_vec() {
        verifier.supply(&name, zone.lookup_txt(&name));
    }
    for chunk in body.chunks(step) {
        let _ = verifier.write(chunk);
    }
    verifier.finish()
}

/// The result of a message and its reason: those of the best of its signatures.
fn best(verdicts: &[DomainKeysVerdict]) -> (ResultWord, String) {
    let best = verdicts.iter().min_by_key(|verdict| verdict.result());
    let best = best.expect("a signature");
    let why = best.failure.as_ref().map(ToString::to_string);
    (best.result(), why.unwrap_or_default())
}

#[test]
fn the_messages_of_the_corpus_get_the_verdicts_of_their_time() {
    let Some(dir) = corpus() else {
        crate::skipped("no corpus beside the project; set DKIMKIT_CORPUS to run this suite");
        return;
    };
    let manifest = fs::read_to_string(dir.join("dkim/manifest.jsonl")).unwrap();
    let (mut count, mut wrong) = (0, Vec::new());
    for line in manifest.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let alone = case["signatures"].as_array().unwrap().is_empty();
        if !alone || !text("note").contains("DomainKey-Signature only") {
            continue;
        }
        count += 1;
        let message = as_read(&fs::read(dir.join(text("file"))).unwrap());
        let zone = Zone::parse(&fs::read_to_string(dir.join(text("dns"))).unwrap()).unwrap();
        let found = verdicts(&message, &zone, Level::Legacy, usize::MAX);
        assert_eq!(verdicts(&message, &zone, Level::Legacy, 1), found);
        let (got, why) = best(&found);
        println!("{}: {got} {why}", text("id"));
        let peer = text("peer_overall") == "pass";
        let listed = LEDGER
            .iter()
            .any(|(id, word, _)| (*id, *word) == (text("id"), got.as_str()));
        if (peer == (got == ResultWord::Pass)) == listed {
            wrong.push(format!(
                "{}: {got} ({why}), not {}",
                text("id"),
                text("peer_overall")
            ));
        }
        // Any other policy names them and looks no further.
        for level in [Level::Strict, Level::Rfc] {
            let (got, _) = best(&verdicts(&message, &zone, level, usize::MAX));
            assert_eq!(got, ResultWord::Neutral);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{count} messages");
    assert!(count > 0);
}

/// What signs as RFC 4870 §3.4 says, in as few words as will do.
pub(crate) struct OldSigner {
    key: RsaPrivateKey,
    pub(crate) zone: Zone,
}

impl OldSigner {
    pub(crate) fn new(record: &str) -> OldSigner {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/keys/test.example/rsa1024.pem");
        let pem = fs::read_to_string(path).unwrap();
        let key = RsaPrivateKey::from_pkcs8_pem(&pem).unwrap();
        let der = key.to_public_key().to_public_key_der().unwrap();
        let record = record.replace("P", &STANDARD.encode(der));
        let mut zone = Zone::default();
        zone.insert_txt("old._domainkey.example.com.", record.into_bytes());
        OldSigner { key, zone }
    }

    /// The message with a signature on top. `h` are the names of h=, or none.
    pub(crate) fn sign(&self, message: &[u8], form: &str, h: Option<&str>) -> Vec<u8> {
        let text = String::from_utf8_lossy(message);
        assert_eq!(text.as_bytes(), message, "this signer reads text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut fields: Vec<String> = Vec::new();
        for line in head.split("\r\n") {
            match line.starts_with([' ', '\t']) {
                true => *fields.last_mut().unwrap() += &format!("\r\n{line}"),
                false => fields.push(line.to_owned()),
            }
        }
        let named = |field: &str| {
            let name = field.split(':').next().unwrap().trim().to_ascii_lowercase();
            h.is_none_or(|h| h.split(':').any(|n| n.eq_ignore_ascii_case(&name)))
        };
        fields.retain(|field| named(field));
        let mut body: Vec<String> = body.split("\r\n").map(str::to_owned).collect();
        if form == "nofws" {
            for line in fields.iter_mut().chain(&mut body) {
                line.retain(|c| !matches!(c, ' ' | '\t' | '\r' | '\n'));
            }
        }
        let lines = fields.into_iter().chain([String::new()]).chain(body);
        let mut lines: Vec<String> = lines.collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        let mut hash = sha1::Sha1::new();
        for line in lines {
            hash.update(format!("{line}\r\n"));
        }
        let padding = rsa::Pkcs1v15Sign {
            hash_len: Some(20),
            prefix: [48, 33, 48, 9, 6, 5, 43, 14, 3, 2, 26, 5, 0, 4, 20].into(),
        };
        let b = STANDARD.encode(self.key.sign(padding, &hash.finalize()).unwrap());
        let h = h.map(|h| format!("h={h}; ")).unwrap_or_default();
        let field = format!(
            "DomainKey-Signature: a=rsa-sha1; q=dns; c={form};\r\n s=old; d=example.com; {h}b={b}\r\n"
        );
        [field.as_bytes(), message].concat()
    }
}

/// A message of text, with the oddities that canonicalization is about.
fn message(random: &mut Random) -> Vec<u8> {
    loop {
        let message = properties::message(random);
        if message.is_ascii() {
            return message;
        }
    }
}

#[test]
fn what_is_signed_the_old_way_passes_under_legacy_alone() {
    let signer = OldSigner::new("k=rsa; p=P");
    let mut random = Random::new(31);
    for round in 0..60 {
        let message = message(&mut random);
        for form in ["simple", "nofws"] {
            for h in [None, Some("From")] {
                let signed = signer.sign(&message, form, h);
                for step in [1, 3, usize::MAX] {
                    let (got, why) = best(&verdicts(&signed, &signer.zone, Level::Legacy, step));
                    let text = signed.escape_ascii();
                    assert_eq!(got, ResultWord::Pass, "{round} {form} {why}\n{text}");
                }
                let (got, _) = best(&verdicts(&signed, &signer.zone, Level::Rfc, 7));
                assert_eq!(got, ResultWord::Neutral);
            }
        }
    }
}

#[test]
fn what_was_changed_does_not_pass() {
    let signer = OldSigner::new("k=rsa; p=P");
    let message = b"From: Anna <anna@example.com>\r\nSubject: high water\r\n\r\nHi there\r\n\r\n";
    for (form, harmless) in [("simple", "there\r\n\r\n"), ("nofws", "the re \r\n")] {
        let signed = signer.sign(message, form, None);
        let signed = String::from_utf8(signed).unwrap();
        for (from, to, want) in [
            ("high", "higH", "signature-mismatch"),
            ("Hi there", "Hi\r\nthere", "signature-mismatch"),
            ("there", "there x", "signature-mismatch"),
            (
                "anna@example.com",
                "anna@other.example",
                "sender-not-in-domain",
            ),
            (
                "Subject:",
                "From: x@example.com\r\nSubject:",
                "sender-unreadable",
            ),
            (
                "Subject:",
                "Sender: x@other.example\r\nSubject:",
                "sender-not-in-domain",
            ),
            ("d=example.com", "d=sub.example.com", "sender-not-in-domain"),
            ("s=old", "s=new", "key-not-found"),
            ("c=simple", "c=nofws", "signature-mismatch"),
            ("c=nofws", "c=simple", "signature-mismatch"),
            ("there\r\n\r\n", harmless, ""),
            ("DomainKey-", "X-Above: anything\r\nDomainKey-", ""),
        ] {
            if !signed.contains(from) {
                continue;
            }
            let changed = signed.replace(from, to);
            let found = verdicts(changed.as_bytes(), &signer.zone, Level::Legacy, 5);
            let reason = found[0]
                .failure
                .as_ref()
                .map_or("", |failure| failure.reason());
            assert_eq!(reason, want, "{form}: {from:?} {to:?}");
        }
    }
}

#[test]
fn a_key_for_one_sender_is_for_no_other() {
    let message = b"From: Anna <anna@example.com>\r\n\r\nHi\r\n";
    for (record, want) in [
        ("g=anna; k=rsa; p=P", ""),
        ("g=; k=rsa; p=P", ""),
        ("g=*; k=rsa; p=P", ""),
        ("g=Anna; p=P", "key-not-for-sender"),
        ("g=berta; p=P", "key-not-for-sender"),
        ("k=rsa; p=", "key-revoked"),
        ("k=dsa; p=P", "key-type-unknown"),
        ("t=y; p=P", ""),
    ] {
        let signer = OldSigner::new(record);
        let signed = signer.sign(message, "nofws", None);
        let found = verdicts(&signed, &signer.zone, Level::Legacy, 5);
        let reason = found[0]
            .failure
            .as_ref()
            .map_or("", |failure| failure.reason());
        assert_eq!(reason, want, "{record}");
        assert_eq!(found[0].report().testing, record.contains("t=y"));
    }
}

#[test]
fn of_many_only_the_topmost_are_tried() {
    let signer = OldSigner::new("k=rsa; p=P");
    let mut message = b"From: Anna <anna@example.com>\r\n\r\nHi\r\n".to_vec();
    for form in ["simple", "nofws"].iter().cycle().take(MAX_TRIED + 2) {
        message = signer.sign(&message, form, Some("From"));
    }
    let found = verdicts(&message, &signer.zone, Level::Legacy, 5);
    let passed = found
        .iter()
        .filter(|verdict| verdict.result() == ResultWord::Pass);
    assert_eq!((passed.count(), found.len()), (MAX_TRIED, MAX_TRIED + 2));
    assert_eq!(found[MAX_TRIED].result(), ResultWord::Neutral);
}
