//! Tag=value lists (RFC 6376 §3.2), and the writer that folds a signature field.

use std::borrow::Cow;
use std::ops::Range;

use crate::message::is_wsp;

/// A parsed list: the tags in their order, each with the bytes of its value and where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagList<'a> {
    tags: Vec<Tag<'a>>,
}

/// One tag of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The name; its letter case counts (RFC 6376 §3.2).
    pub name: &'a str,
    /// The value without the white space around it.
    pub value: &'a [u8],
    /// Where the value stands in the text, with the white space around it: from behind `=` to before `;`.
    pub span: Range<usize>,
}

impl<'a> TagList<'a> {
    /// Parses `text` to its end.
    ///
    /// Values may hold any byte but `;` and control characters. RFC 8616 §4 lets non-ASCII text stand in
    /// them; what a single tag allows is for its reader to say.
    ///
    /// ```
    /// use dkimkit::tag::TagList;
    /// let list = TagList::parse(b"v=1; b = Zm9v\r\n Zm8=;", 16)?;
    /// assert_eq!(list.get("b").unwrap().value, b"Zm9v\r\n Zm8=");
    /// assert_eq!(list.get("b").unwrap().span, 8..20);
    /// # Ok::<(), dkimkit::tag::TagError>(())
    /// ```
    ///
    /// # Errors
    /// [`TagError`]: no `=`, a bad name, a control character, a tag twice (RFC 6376 §3.2 makes the whole
    /// list invalid then), or more than `max_tags` tags.
    pub fn parse(text: &'a [u8], max_tags: usize) -> Result<TagList<'a>, TagError> {
        check_bytes(text)?;
        let mut tags: Vec<Tag<'a>> = Vec::with_capacity(12);
        let mut at = 0;
        while at < text.len() {
            let end = memchr::memchr(b';', &text[at..]).map_or(text.len(), |i| at + i);
            // One empty item may stand at the end, behind the last semicolon.
            if end == text.len() && !tags.is_empty() && trim(&text[at..]).is_empty() {
                break;
            }
            let tag = parse_tag(text, at..end)?;
            if tags.iter().any(|t| same(t.name, tag.name)) {
                return Err(TagError::Duplicate {
                    name: tag.name.into(),
                });
            }
            if tags.len() == max_tags {
                return Err(TagError::TooMany { limit: max_tags });
            }
            tags.push(tag);
            at = end + 1;
        }
        if tags.is_empty() {
            return Err(TagError::Empty);
        }
        Ok(TagList { tags })
    }

    /// The tag of this name.
    pub fn get(&self, name: &str) -> Option<&Tag<'a>> {
        self.tags.iter().find(|t| same(t.name, name))
    }

    /// All tags in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Tag<'a>> {
        self.tags.iter()
    }
}

/// Names are of one byte or two: a call to compare memory would cost more than the loop.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().eq(b.bytes())
}

fn parse_tag(text: &[u8], item: Range<usize>) -> Result<Tag<'_>, TagError> {
    let bytes = &text[item.clone()];
    let malformed = || TagError::Malformed {
        item: bytes[..bytes.len().min(40)].escape_ascii().to_string(),
    };
    let equals = memchr::memchr(b'=', bytes).ok_or_else(malformed)?;
    let name = std::str::from_utf8(trim(&bytes[..equals])).map_err(|_| malformed())?;
    // tag-name = ALPHA *ALNUMPUNC
    let legal = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !legal {
        return Err(malformed());
    }
    Ok(Tag {
        name,
        value: trim(&bytes[equals + 1..]),
        span: item.start + equals + 1..item.end,
    })
}

/// No control character stands in a list but those of folding white space.
fn check_bytes(text: &[u8]) -> Result<(), TagError> {
    let mut from = 0;
    while let Some(at) = next_control(text, from) {
        // What is allowed is HTAB, and CRLF.
        let legal = match text[at] {
            b'\t' => 1,
            b'\r' if text.get(at + 1) == Some(&b'\n') => 2,
            byte => return Err(TagError::Control { byte, at }),
        };
        from = at + legal;
    }
    Ok(())
}

/// The first control character from `from` on.
fn next_control(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // All of a piece are looked at, so that it can be done at once.
    while let Some(piece) = text.get(at..at + 16)
        && !piece.iter().fold(false, |found, b| found | is_control(*b))
    {
        at += 16;
    }
    Some(at + text[at..].iter().position(|b| is_control(*b))?)
}

fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

/// Takes folding white space off both ends.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let blank = |b: &u8| is_wsp(*b) || matches!(b, b'\r' | b'\n');
    let start = text.iter().take_while(|b| blank(b)).count();
    let end = text[start..].iter().rev().take_while(|b| blank(b)).count();
    &text[start..text.len() - end]
}

/// The items of a colon-separated value, each without the white space around it.
pub(crate) fn colon_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b':').map(trim)
}

/// A value without any folding white space: how base64 and numbers are read.
pub(crate) fn without_wsp(value: &[u8]) -> Cow<'_, [u8]> {
    let blank = |b: &u8| is_wsp(*b) || matches!(b, b'\r' | b'\n');
    if !value.iter().any(blank) {
        return value.into();
    }
    let mut out = Vec::with_capacity(value.len());
    for piece in value.split(blank) {
        out.extend_from_slice(piece);
    }
    out.into()
}

/// Why a tag=value list cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// There is no tag at all.
    #[error("the tag list is empty")]
    Empty,
    /// An item is not `name=value`.
    #[error("\"{item}\" is not of the form tag=value")]
    Malformed {
        /// The start of the item, escaped.
        item: String,
    },
    /// A control character that is not part of folding white space.
    #[error("control character 0x{byte:02x} at offset {at} of the tag list")]
    Control {
        /// The byte.
        byte: u8,
        /// Its offset in the list.
        at: usize,
    },
    /// A tag stands twice (RFC 6376 §3.2).
    #[error("tag {name}= stands twice")]
    Duplicate {
        /// The tag.
        name: String,
    },
    /// The list has more tags than the cap.
    #[error("the tag list has more than {limit} tags")]
    TooMany {
        /// The cap.
        limit: usize,
    },
}

/// Writes a header field that is a tag=value list, folded at 78 columns (RFC 5322 §2.1.1).
///
/// Lines break between tags, behind a colon of a list, and inside base64; never inside a name or a word.
///
/// ```
/// use dkimkit::tag::FoldingWriter;
/// let mut field = FoldingWriter::new("DKIM-Signature");
/// field.tag("v", ["1"]);
/// field.tag("h", ["from:", "to"]);
/// assert_eq!(field.finish(), "DKIM-Signature: v=1; h=from:to;");
/// ```
#[derive(Debug, Clone)]
pub struct FoldingWriter {
    text: String,
    column: usize,
    tags: usize,
}

const COLUMNS: usize = 78;
const FOLD: &str = "\r\n ";

impl FoldingWriter {
    /// Begins the field of this name.
    pub fn new(name: &str) -> FoldingWriter {
        let mut text = String::with_capacity(1024);
        text.push_str(name);
        text.push(':');
        FoldingWriter {
            column: text.len(),
            text,
            tags: 0,
        }
    }

    /// Adds a tag whose value is made of `pieces`. A fold may stand before each piece but the first.
    pub fn tag<'p>(&mut self, name: &str, pieces: impl IntoIterator<Item = &'p str>) {
        let mut pieces = pieces.into_iter().peekable();
        let first = pieces.next().unwrap_or_default();
        let end = |more: bool| if more { "" } else { ";" };
        self.open(&[name, "=", first, end(pieces.peek().is_some())], 0);
        while let Some(piece) = pieces.next() {
            self.put(&[piece, end(pieces.peek().is_some())]);
        }
    }

    /// Adds a tag whose value may be broken at any place: base64.
    ///
    /// What stands before the value does not depend on it: b= is written empty, signed, and then filled in.
    pub fn base64_tag(&mut self, name: &str, value: &str) {
        self.open(&[name, "="], 1);
        self.base64_value(value);
        self.put_end();
    }

    /// Begins a tag whose value is added by [`base64_value`](Self::base64_value).
    pub(crate) fn open_base64_tag(&mut self, name: &str) {
        self.open(&[name, "="], 1);
    }

    /// Adds the value of the tag that was begun.
    pub(crate) fn base64_value(&mut self, value: &str) {
        let mut rest = value;
        while !rest.is_empty() {
            let room = COLUMNS.saturating_sub(self.column);
            // The last character and the semicolon stand on one line.
            let len = if rest.len() < room {
                rest.len()
            } else {
                room.min(rest.len() - 1)
            };
            if len == 0 {
                self.fold();
                continue;
            }
            let (head, tail) = rest.split_at(len);
            self.add(&[head]);
            rest = tail;
        }
    }

    fn put_end(&mut self) {
        self.add(&[";"]);
    }

    /// What was written so far.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The field, without a final CRLF; each tag ends with a semicolon.
    pub fn finish(self) -> String {
        self.text
    }

    /// Begins a tag: behind a space, or on a line of its own if `room` columns would not be left behind it.
    fn open(&mut self, parts: &[&str], room: usize) {
        self.tags += 1;
        if self.column + 1 + width(parts) + room > COLUMNS && self.tags > 1 {
            self.fold();
        } else {
            self.add(&[" "]);
        }
        self.add(parts);
    }

    fn put(&mut self, parts: &[&str]) {
        if self.column + width(parts) > COLUMNS {
            self.fold();
        }
        self.add(parts);
    }

    fn add(&mut self, parts: &[&str]) {
        for part in parts {
            self.text.push_str(part);
        }
        self.column += width(parts);
    }

    fn fold(&mut self) {
        self.text.push_str(FOLD);
        self.column = FOLD.len() - 2;
    }
}

fn width(parts: &[&str]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, TagError> {
        let list = TagList::parse(text.as_bytes(), 4)?;
        Ok(list
            .iter()
            .map(|t| {
                assert_eq!(trim(&text.as_bytes()[t.span.clone()]), t.value);
                (t.name.to_owned(), t.value.escape_ascii().to_string())
            })
            .collect())
    }

    #[test]
    fn white_space_may_stand_around_every_part() {
        let want = vec![("a".to_owned(), "b c".to_owned()), ("d".into(), "".into())];
        for text in [
            "a=b c;d=",
            " a = b c ; d = ;",
            "\r\n a\t=\r\n\tb c;\r\n d=;\r\n ",
            "a=b c; d=; ",
        ] {
            assert_eq!(parsed(text).as_ref(), Ok(&want), "{text:?}");
        }
    }

    #[test]
    fn bad_lists_are_refused_with_the_cause() {
        let malformed = |item: &str| TagError::Malformed { item: item.into() };
        let control = |byte, at| TagError::Control { byte, at };
        let name = "a".to_owned();
        for (text, want) in [
            ("", TagError::Empty),
            (" ", malformed(" ")),
            (";", malformed("")),
            ("a=1;;b=2", malformed("")),
            ("a=1;;", malformed("")),
            ("a", malformed("a")),
            ("1a=b", malformed("1a=b")),
            ("a-b=c", malformed("a-b=c")),
            ("a b=c", malformed("a b=c")),
            ("é=c", malformed("\\xc3\\xa9=c")),
            ("a=1; a=2", TagError::Duplicate { name }),
            ("a=1;b=1;c=1;d=1;e=1", TagError::TooMany { limit: 4 }),
            ("a=\0", control(0, 2)),
            ("a=b\rc", control(b'\r', 3)),
            ("a=b\n c", control(b'\n', 3)),
            ("a=\x7f", control(0x7f, 2)),
        ] {
            assert_eq!(parsed(text), Err(want), "{text:?}");
        }
        assert!(
            parsed("a=1; A=2").is_ok(),
            "tag names differ in letter case"
        );
    }

    #[test]
    fn what_stands_before_a_base64_value_does_not_depend_on_it() {
        for width in 1..160 {
            let before = |value: &str| {
                let mut field = FoldingWriter::new("DKIM-Signature");
                field.tag("v", ["1"]);
                field.tag("d", ["x".repeat(width).as_str()]);
                field.base64_tag("b", value);
                field.finish()
            };
            let empty = before("");
            let start = empty.strip_suffix(';').unwrap();
            for len in [1, 2, 3, 4, 74, 75, 76, 77, 78, 79, 153, 154, 155] {
                let full = before(&"A".repeat(len));
                let value = full.strip_prefix(start).expect(&full);
                assert_eq!(value.matches('A').count(), len);
                assert!(value.ends_with("A;"), "{full}");
                let lines = full.split("\r\n").skip(2);
                assert!(lines.into_iter().all(|l| l.len() <= 78), "{full}");
            }
        }
    }

    #[test]
    fn a_written_field_has_no_line_beyond_78_columns_and_no_broken_word() {
        for len in 0..200 {
            let long = "QUJD".repeat(len);
            let names: Vec<String> = (0..len).map(|i| format!("x-header-{i}:")).collect();
            let mut field = FoldingWriter::new("DKIM-Signature");
            field.tag("v", ["1"]);
            field.tag("h", names.iter().map(String::as_str).chain(["from"]));
            field.base64_tag("bh", &long);
            field.base64_tag("b", &long);
            let text = field.finish();
            assert!(text.split("\r\n").all(|l| l.len() <= 78), "{text}");
            assert!(text.split("\r\n").all(|l| !l.trim().is_empty()), "{text}");
            let value = text.strip_prefix("DKIM-Signature:").unwrap();
            let list = TagList::parse(value.as_bytes(), 9).unwrap();
            assert_eq!(
                without_wsp(list.get("b").unwrap().value),
                long.as_bytes(),
                "{text}"
            );
            let h: Vec<_> = colon_list(list.get("h").unwrap().value).collect();
            assert_eq!(h.len(), 1 + len);
            let same = |(a, b): (&&[u8], &String)| *a == b.trim_end_matches(':').as_bytes();
            assert!(h.iter().zip(&names).all(same));
        }
    }
}
