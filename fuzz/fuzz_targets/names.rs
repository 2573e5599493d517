//! Names and times: what is accepted is legal, prints and is read again, and is compared by labels.
//!
//! The input is two lines: two names, or two identities, or times.

#![no_main]

use dkimkit::authres::AuthservId;
use dkimkit::header::FieldName;
use dkimkit::name::{Alignment, Auid, Domain, KeyName, Selector};
use dkimkit::time::UnixTime;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(auid) = Auid::new(data) {
        assert!(data.ends_with(auid.domain.as_str().as_bytes()));
        let local = auid.local_part.clone().unwrap_or_default();
        let written = [&local, &b"@"[..], auid.domain.as_str().as_bytes()].concat();
        assert_eq!(written, data);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(name) = FieldName::new(first) {
        assert!(
            first
                .bytes()
                .all(|b| b.is_ascii_graphic() && b != b':' && b != b';')
        );
        assert_eq!(FieldName::new(&first.to_ascii_uppercase()), Some(name));
    }
    if let Some(id) = AuthservId::new(first) {
        assert_eq!(AuthservId::new(id.as_str()), Some(id));
    }
    if let Some(time) = UnixTime::read(first) {
        assert_eq!(UnixTime::read(&time.to_rfc3339()), Some(time), "{first:?}");
        assert_eq!(UnixTime::read(&time.to_string()), Some(time));
    }
    if let Ok(domain) = Domain::new(first) {
        check(&domain, first);
        if let Ok(other) = Domain::new(second) {
            compare(&domain, &other);
        }
        if let Ok(selector) = Selector::new(second)
            && let Ok(name) = KeyName::new(&selector, &domain)
        {
            let text = name.as_str();
            assert!(text.len() <= 254 && text.ends_with(&format!(".{}.", domain.as_ascii())));
            assert!(text.contains("._domainkey.") && !text.contains(char::is_uppercase));
        }
    }
});

fn check(domain: &Domain, written: &str) {
    assert_eq!(
        (domain.as_str(), domain.to_string().as_str()),
        (written, written)
    );
    let ascii = domain.as_ascii();
    let legal = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    assert!(ascii.len() <= 253 && domain.labels().count() > 0);
    for label in domain.labels() {
        assert!(
            (1..=63).contains(&label.len()) && label.bytes().all(legal),
            "{ascii}"
        );
    }
    let again = Domain::new(ascii).unwrap();
    assert_eq!((&again, again.as_ascii()), (domain, ascii));
    assert_eq!(Selector::new(written).unwrap().as_str(), written);
    compare(domain, &again);
    let below = Domain::new(&format!("x.{ascii}"));
    if let Ok(below) = below {
        compare(domain, &below);
        assert!(below.is_below(domain));
    }
    if let Ok(other) = Domain::new(&format!("x{ascii}")) {
        assert!(!other.is_below(domain) && other.alignment(domain).is_none());
    }
}

fn compare(a: &Domain, b: &Domain) {
    let (left, right): (Vec<_>, Vec<_>) = (a.labels().collect(), b.labels().collect());
    let below = left.len() > right.len() && left.ends_with(&right);
    let above = right.len() > left.len() && right.ends_with(&left);
    assert_eq!(
        (a == b, a.is_below(b), b.is_below(a)),
        (left == right, below, above)
    );
    let alignment = match (left == right, above, below) {
        (true, ..) => Some(Alignment::Equal),
        (_, true, _) if left.len() >= 2 => Some(Alignment::Ancestor),
        (_, _, true) if right.len() >= 2 => Some(Alignment::Below),
        _ => None,
    };
    assert_eq!(a.alignment(b), alignment);
}
