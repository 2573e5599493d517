//! The cut between header and body: alike in one piece and in chunks, with nothing lost and no cap passed.

#![no_main]

use dkimkit::header::{FieldIndex, FieldName, FieldNames};
use dkimkit::message::{Header, HeaderLimits, split};
use dkimkit_fuzz::{split_in_chunks, steered};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (message, mut steering) = steered(data);
    let steps = steering.steps();
    let small = HeaderLimits {
        bytes: steering.below(message.len() + 8),
        fields: steering.below(16),
    };
    for limits in [HeaderLimits::default(), small] {
        let whole = split(message, limits);
        let chunked = split_in_chunks(message, limits, steps);
        match (&whole, chunked) {
            (Ok((header, body)), Ok((again, chunks))) => {
                assert_eq!(*header, again);
                assert_eq!(*body, chunks.concat());
            }
            (Err(error), Err(again)) => assert_eq!(*error, again),
            (whole, chunked) => panic!("{whole:?} in one piece, {chunked:?} in chunks"),
        }
        if let Ok((header, body)) = whole {
            check(&header, limits);
            let mut joined = header.as_bytes().to_vec();
            if joined.len() < message.len() {
                joined.extend_from_slice(b"\r\n");
            }
            joined.extend_from_slice(body);
            assert_eq!(joined, message);
        }
    }
});

fn check(header: &Header, limits: HeaderLimits) {
    assert!(header.as_bytes().len() <= limits.bytes);
    assert!(header.len() <= limits.fields && !header.is_empty());
    assert_eq!(
        Header::parse(header.as_bytes(), limits).as_ref(),
        Ok(header)
    );

    let mut joined = Vec::new();
    for (position, field) in header.fields().enumerate() {
        assert_eq!(field.position(), position);
        let (before, value) = field.raw().split_at(field.value_offset());
        assert_eq!(value, field.value());
        let blanks = before.strip_prefix(field.name().as_bytes()).unwrap();
        let blanks = blanks.strip_suffix(b":").unwrap();
        assert!(blanks.iter().all(|b| matches!(b, b' ' | b'\t')));
        assert!(!field.name().is_empty() && field.name().bytes().all(|b| b.is_ascii_graphic()));
        for (at, _) in value.iter().enumerate().filter(|(_, b)| **b == b'\n') {
            let folded = matches!(value[at..], [b'\n', b' ' | b'\t', ..]);
            assert!(folded && at > 0 && value[at - 1] == b'\r');
        }
        joined.extend_from_slice(field.raw());
        joined.extend_from_slice(b"\r\n");
    }
    let ended = header.as_bytes().ends_with(b"\r\n");
    joined.truncate(joined.len() - if ended { 0 } else { 2 });
    assert_eq!(joined, header.as_bytes());
    check_index(header);
}

/// h= of every name twice, from the top down, picks each field once and from the bottom up.
fn check_index(header: &Header) {
    let index = FieldIndex::new(header);
    let fields: Vec<_> = header.fields().take(40).collect();
    let names = fields
        .iter()
        .chain(&fields)
        .filter_map(|f| FieldName::new(f.name()));
    let twice: FieldNames = names.collect();
    for own in [None, Some(0), Some(header.len() - 1)] {
        let mut left: Vec<_> = header
            .fields()
            .filter(|f| Some(f.position()) != own)
            .collect();
        let picked = index.pick(header, &twice, own);
        assert_eq!(picked.len(), twice.len());
        for (name, picked) in twice.iter().zip(picked) {
            let want = left
                .iter()
                .rposition(|f| f.is(name))
                .map(|at| left.remove(at));
            assert_eq!(picked.map(|f| f.position()), want.map(|f| f.position()));
        }
    }
    for field in fields {
        let all = header.fields().filter(|f| f.is(field.name()));
        let all: Vec<usize> = all.map(|f| f.position()).collect();
        let found = index.positions(header, &field.name().to_ascii_uppercase());
        assert_eq!(found.collect::<Vec<_>>(), all);
    }
}
