//! DKIM-Signature fields: what parses prints and parses again, and b= is where it is said to be.

#![no_main]

use dkimkit::signature::{Signature, SignatureLimits};
use dkimkit::tag::TagList;
use dkimkit_fuzz::{assert_folded, model};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let limits = SignatureLimits::default();
    let (signature, b) = match Signature::parse(value, limits) {
        Ok(parsed) => parsed,
        Err(rejected) => {
            let text = rejected.error.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
            return;
        }
    };
    assert!(signature.signed_headers.names().count("from") > 0);
    assert!(signature.signed_headers.names().len() <= limits.signed_headers);
    signature.key_name().unwrap();

    assert_eq!(model::tag_value(value, b"b"), Some(b.clone()));
    let without = [&value[..b.start], &value[b.end..]].concat();
    let (before, after) = (list(value, limits.tags), list(&without, limits.tags));
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old.0, new.0);
        assert_eq!(new.1, if new.0 == "b" { b"" } else { old.1.as_slice() });
    }
    assert_eq!(before.len(), after.len());

    // Another length of b= changes nothing before it.
    for len in [signature.signature.len(), 0, 1, 64, 512] {
        let mut signature = signature.clone();
        signature.signature.resize(len, 0);
        let field = signature.to_field();
        assert_folded(&field);
        let value = field.strip_prefix("DKIM-Signature:").unwrap();
        let b = model::tag_value(value.as_bytes(), b"b").unwrap();
        let mut empty = signature.clone();
        empty.signature.clear();
        assert_eq!(
            empty.to_field().strip_prefix("DKIM-Signature:"),
            Some(&value[..b.start])
        );
        if len > 0 {
            let (again, span) = Signature::parse(value.as_bytes(), limits).unwrap();
            assert_eq!((&again, span), (&signature, b));
            assert_eq!(again.to_field(), field);
        }
    }
});

fn list(value: &[u8], max: usize) -> Vec<(String, Vec<u8>)> {
    let list = TagList::parse(value, max).unwrap();
    list.iter()
        .map(|t| (t.name.to_owned(), t.value.to_vec()))
        .collect()
}
