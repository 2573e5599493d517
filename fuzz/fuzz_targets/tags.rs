//! Tag=value lists: what parses is what stands there, each tag once, and it can be written again.

#![no_main]

use dkimkit::key::encode_base64;
use dkimkit::tag::{FoldingWriter, TagError, TagList};
use libfuzzer_sys::fuzz_target;

const MAX: usize = 100;

fuzz_target!(|text: &[u8]| {
    let Ok(list) = TagList::parse(text, MAX) else {
        return;
    };
    let tags: Vec<_> = list.iter().collect();
    assert!(!tags.is_empty() && tags.len() <= MAX);
    let mut items: Vec<Vec<u8>> = Vec::new();
    let mut end = 0;
    for (at, tag) in tags.iter().enumerate() {
        assert!(tags[..at].iter().all(|other| other.name != tag.name));
        assert_eq!(list.get(tag.name), Some(*tag));
        assert_eq!(trim(&text[tag.span.clone()]), tag.value);
        assert!(!tag.value.contains(&b';'));
        // The spans stand in their order, each behind its own name.
        let before = &text[end..tag.span.start];
        assert_eq!(
            trim(before.strip_suffix(b"=").unwrap()),
            tag.name.as_bytes()
        );
        assert!(matches!(text.get(tag.span.end), None | Some(b';')));
        end = (tag.span.end + 1).min(text.len());
        items.push([tag.name.as_bytes(), b"=", tag.value].concat());
    }
    assert!(trim(&text[end..]).is_empty());

    let joined = items.join(&b";"[..]);
    let again = TagList::parse(&joined, tags.len()).unwrap();
    let plain = |list: &TagList<'_>| -> Vec<(String, Vec<u8>)> {
        list.iter()
            .map(|t| (t.name.to_owned(), t.value.to_vec()))
            .collect()
    };
    assert_eq!(plain(&again), plain(&list));
    let limit = tags.len() - 1;
    assert_eq!(
        TagList::parse(&joined, limit),
        Err(TagError::TooMany { limit })
    );
    for tag in &tags {
        let twice = [&joined, &b"; "[..], tag.name.as_bytes(), b" =x"].concat();
        let name = tag.name.to_owned();
        assert_eq!(
            TagList::parse(&twice, MAX),
            Err(TagError::Duplicate { name })
        );
    }
    write_and_read(&list);
});

/// Writes a list with its values once cut at colons, once in base64, and reads both again.
fn write_and_read(list: &TagList<'_>) {
    let mut field = FoldingWriter::new("DKIM-Signature");
    let mut longest = 0;
    let words = |value: &[u8]| {
        let words = value.split(|b| b.is_ascii_whitespace());
        String::from_utf8_lossy(&words.collect::<Vec<_>>().concat()).into_owned()
    };
    for tag in list.iter() {
        let value = words(tag.value);
        field.tag(tag.name, value.split_inclusive(':'));
        field.base64_tag(&format!("{}_", tag.name), &encode_base64(tag.value));
        let piece = value.split_inclusive(':').map(str::len).max().unwrap_or(0);
        longest = longest.max(tag.name.len() + "_=;".len() + piece);
    }
    let text = field.finish();
    for line in text.split("\r\n") {
        assert!(
            !line.trim_ascii().is_empty() && !line.contains(['\r', '\n']),
            "{text:?}"
        );
        // Behind the name of the field, the first line has room for this much.
        assert!(line.len() <= 78 || longest > 62, "{text:?}");
    }
    let value = text.strip_prefix("DKIM-Signature:").unwrap();
    // A name that already ends with an underscore may now stand twice.
    let Ok(again) = TagList::parse(value.as_bytes(), 2 * MAX) else {
        assert!(list.iter().any(|t| t.name.ends_with('_')), "{text:?}");
        return;
    };
    for tag in list.iter() {
        assert_eq!(words(again.get(tag.name).unwrap().value), words(tag.value));
        let base64 = again.get(&format!("{}_", tag.name)).unwrap().value;
        assert_eq!(words(base64), encode_base64(tag.value));
    }
}

fn trim(text: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    let start = text.iter().position(|b| !blank(b)).unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|b| !blank(b))
        .map_or(start, |at| at + 1);
    &text[start..end]
}
