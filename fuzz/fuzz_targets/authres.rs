//! Forged Authentication-Results fields: whoever reads our id in one as RFC 8601 has it, we saw it too, and
//! neither folds nor comments nor letter case hide it.

#![no_main]

use dkimkit::authres::{AuthservId, FIELD_NAME, is_forged};
use dkimkit::message::{Header, HeaderLimits};
use libfuzzer_sys::fuzz_target;

const OURS: &str = "mx.example.org";

fuzz_target!(|value: &[u8]| {
    let Some(forged) = forged(FIELD_NAME, value) else {
        return;
    };
    if let Some(id) = id_of(value) {
        let ours = id.eq_ignore_ascii_case(OURS.as_bytes());
        assert!(forged || !ours, "{}", value.escape_ascii());
    }
    for space in [&b"\r\n "[..], b" (\\) x) ", b"(mx.example.org;)"] {
        let more = [space, value].concat();
        assert!(
            self::forged(FIELD_NAME, &more) == Some(true) || !forged,
            "{:?}",
            space
        );
    }
    let upper = value.to_ascii_uppercase();
    assert_eq!(
        self::forged("AUTHENTICATION-results\t", &upper),
        Some(forged)
    );
    assert_eq!(self::forged("X-Authentication-Results", value), Some(false));
});

/// What is said of a field of this value; `None` where that makes no field.
fn forged(name: &str, value: &[u8]) -> Option<bool> {
    let bytes = [name.as_bytes(), b":", value, b"\r\n"].concat();
    let header = Header::parse(&bytes, HeaderLimits::default()).ok()?;
    let ours = AuthservId::new(OURS).expect("a host name");
    (header.len() == 1).then(|| is_forged(&ours, header.field(0)))
}

/// The authserv-id of `[CFWS] authserv-id [CFWS authres-version] …`, by the letter of RFC 8601 §2.2.
fn id_of(value: &[u8]) -> Option<Vec<u8>> {
    let value = without_comment(value)?;
    if let Some(mut rest) = value.strip_prefix(b"\"") {
        let mut id = Vec::new();
        loop {
            match rest {
                [b'"', ..] => return Some(id),
                [b'\r', b'\n', tail @ ..] => rest = tail,
                [b'\\', byte, tail @ ..] | [byte, tail @ ..] => {
                    id.push(*byte);
                    rest = tail;
                }
                [] => return None,
            }
        }
    }
    let token = |b: &u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(b);
    let end = value.iter().position(|b| !token(b)).unwrap_or(value.len());
    let (id, rest) = value.split_at(end);
    matches!(rest, [] | [b' ' | b'\t' | b'\r' | b';' | b'(', ..]).then(|| id.to_vec())
}

/// What follows white space and comments; `None` where a comment does not end.
fn without_comment(value: &[u8]) -> Option<&[u8]> {
    let mut rest = value;
    let mut depth = 0;
    loop {
        rest = match (rest, depth) {
            ([b'\\', _, tail @ ..], 1..) => tail,
            ([b'(', tail @ ..], _) => {
                depth += 1;
                tail
            }
            ([b')', tail @ ..], 1..) => {
                depth -= 1;
                tail
            }
            ([_, tail @ ..], 1..) => tail,
            ([], 1..) => return None,
            ([b' ' | b'\t' | b'\r' | b'\n', tail @ ..], 0) => tail,
            (rest, _) => return Some(rest),
        };
    }
}
