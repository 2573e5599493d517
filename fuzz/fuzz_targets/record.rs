//! Key records: what parses prints and parses again, and a note cannot break out of n=.

#![no_main]

use dkimkit::key::{KeyType, RsaSizes, VerifyingKey};
use dkimkit::record::{KeyRecord, RecordError};
use dkimkit::tag::{TagError, TagList};
use libfuzzer_sys::fuzz_target;

const MAX: usize = 100;

fuzz_target!(|text: &[u8]| {
    note(&String::from_utf8_lossy(text));
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
