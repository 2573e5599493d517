//! Key records: what parses prints and parses again, a note cannot break out of n=, and the linter finds no fault
//! only where a verifier finds none.

#![no_main]

use dkimkit::hash::HashAlgorithm;
use dkimkit::key::{KeyType, RsaSizes, VerifyingKey};
use dkimkit::record::lint::{RecordFault, Severity, lint};
use dkimkit::record::{KeyRecord, RecordError, Service};
use dkimkit::tag::{TagError, TagList};
use libfuzzer_sys::fuzz_target;

const MAX: usize = 100;

fuzz_target!(|text: &[u8]| {
    note(&String::from_utf8_lossy(text));
    linted(text);
    let record = match KeyRecord::parse(text, MAX) {
        Ok(record) => record,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
            return;
        }
    };
    let printed = record.to_string();
    assert!(printed.starts_with("v=DKIM1; "));
    let again = KeyRecord::parse(printed.as_bytes(), MAX).unwrap();
    assert_eq!(again, record);
    assert_eq!(again.to_string(), printed);
    let tags = TagList::parse(text, MAX).unwrap().iter().count();
    let few = KeyRecord::parse(text, tags - 1);
    let too_many = |e: &TagError| matches!(e, TagError::TooMany { limit } if *limit == tags - 1);
    match few.unwrap_err() {
        RecordError::Tags { error } => assert!(too_many(&error)),
        // It does not look like a key record at first sight.
        error => assert_eq!(error, RecordError::NotDkim),
    }
    if let Some(p) = &record.public {
        let sizes = RsaSizes {
            min: 512,
            max: 2048,
        };
        let _ = VerifyingKey::parse(record.key_type, p, sizes);
    }
});

/// What has no fault is a key that verifies, and what was repaired has none but those of the key.
fn linted(text: &[u8]) {
    let seen = lint(text, None);
    let of_key =
        |fault: &RecordFault| fault.needs_new_key() || matches!(fault, RecordFault::BadKey { .. });
    if seen
        .faults
        .iter()
        .all(|fault| fault.severity() < Severity::Error)
    {
        let record = KeyRecord::parse(text, MAX).unwrap();
        assert!(
            record
                .hashes
                .is_none_or(|hashes| hashes.contains(&HashAlgorithm::Sha256))
        );
        assert_ne!(record.service, Service::Other);
        let sizes = RsaSizes {
            min: 1024,
            max: 16_384,
        };
        let public = record.public.unwrap();
        let key = VerifyingKey::parse(record.key_type, &public, sizes).unwrap();
        assert_eq!(seen.key.unwrap().bytes, key.public_bytes());
    } else if let Some(repaired) = seen.repaired {
        let again = lint(repaired.as_bytes(), None);
        assert!(
            again.faults.iter().all(of_key),
            "{repaired}: {:?}",
            again.faults
        );
        assert_eq!(again.key, seen.key);
    }
}

fn note(text: &str) {
    let note = KeyRecord::encode_note(text);
    assert!(!note.contains([';', '\r', '\n']) && !note.contains(|c: char| c.is_ascii_control()));
    let mut record = KeyRecord::new(KeyType::Ed25519, b"foo".to_vec());
    record.notes = Some(note.clone());
    assert_eq!(
        KeyRecord::parse(record.to_string().as_bytes(), MAX),
        Ok(record)
    );
    assert_eq!(decoded(&note), text.trim_matches(' '), "{note:?}");
}

/// dkim-quoted-printable undone, with spaces kept.
fn decoded(note: &str) -> String {
    let mut out = Vec::new();
    let mut parts = note.split('=');
    out.extend_from_slice(parts.next().unwrap().as_bytes());
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).unwrap());
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(out).unwrap()
}
