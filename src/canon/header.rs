//! Header canonicalization (RFC 6376 §3.4.1 and §3.4.2).

use std::ops::Range;

use super::{Canon, Sink};
use crate::message::{Field, is_wsp};

/// Puts a signed header field into `sink`, with its final CRLF.
///
/// ```
/// use dkimkit::canon::{Canon, header};
/// use dkimkit::message::{Header, HeaderLimits};
/// let fields = Header::parse(b"SUBject : a \t b\r\n  c \r\n", HeaderLimits::default())?;
/// let mut out = Vec::new();
/// header::field(Canon::Relaxed, fields.field(0), &mut out);
/// assert_eq!(out, b"subject:a b c\r\n");
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
pub fn field(canon: Canon, field: Field<'_>, sink: &mut dyn Sink) {
    unended(canon, field, 0..0, sink);
    sink.put(b"\r\n");
}

/// Puts the DKIM-Signature field itself into `sink`: with the bytes of `b_value`, the value of b=, left
/// out, and without the final CRLF (RFC 6376 §3.7).
///
/// `b_value` counts from the start of the field's value and takes in the white space around b=.
pub fn signature(canon: Canon, field: Field<'_>, b_value: Range<usize>, sink: &mut dyn Sink) {
    unended(canon, field, b_value, sink);
}

/// Puts a DKIM-Signature field that is being made and ends before the value of b=, as [`signature`] would.
pub(crate) fn unsigned(canon: Canon, name: &str, value: &str, sink: &mut dyn Sink) {
    match canon {
        Canon::Simple => {
            sink.put(name.as_bytes());
            sink.put(b":");
            sink.put(value.as_bytes());
        }
        Canon::Relaxed => {
            put_name(name.as_bytes(), sink);
            RelaxedValue::default().put(value.as_bytes(), sink);
        }
    }
}

/// Puts a field that stands in no header, as [`field`] would; `raw` is without its final CRLF.
pub(crate) fn text(canon: Canon, raw: &[u8], sink: &mut dyn Sink) {
    match canon {
        Canon::Simple => sink.put(raw),
        Canon::Relaxed => {
            let colon = raw.iter().position(|b| *b == b':').unwrap_or(raw.len());
            put_name(raw[..colon].trim_ascii_end(), sink);
            RelaxedValue::default().put(raw.get(colon + 1..).unwrap_or_default(), sink);
        }
    }
    sink.put(b"\r\n");
}

fn unended(canon: Canon, field: Field<'_>, omit: Range<usize>, sink: &mut dyn Sink) {
    match canon {
        Canon::Simple => {
            let raw = field.raw();
            let value_at = field.value_offset();
            sink.put(&raw[..value_at + omit.start]);
            sink.put(&raw[value_at + omit.end..]);
        }
        Canon::Relaxed => {
            put_name(field.name_bytes(), sink);
            let value = field.value();
            let mut relaxed = RelaxedValue::default();
            relaxed.put(&value[..omit.start], sink);
            relaxed.put(&value[omit.end..], sink);
        }
    }
}

/// The name in small letters, and the colon.
fn put_name(name: &[u8], sink: &mut dyn Sink) {
    let mut small = [0; 64];
    for part in name.chunks(small.len()) {
        let lower = &mut small[..part.len()];
        lower.copy_from_slice(part);
        lower.make_ascii_lowercase();
        sink.put(lower);
    }
    sink.put(b":");
}

/// Unfolds, makes each run of white space one SP, and drops those at either end (§3.4.2).
#[derive(Default)]
struct RelaxedValue {
    begun: bool,
    blank: bool,
}

impl RelaxedValue {
    fn put(&mut self, value: &[u8], sink: &mut dyn Sink) {
        let mut at = 0;
        while at < value.len() {
            let rest = &value[at..];
            if is_wsp(rest[0]) {
                self.blank = true;
                at += 1;
            } else if rest.starts_with(b"\r\n") {
                // What stands behind is white space, or the header would not have parsed.
                at += 2;
            } else {
                if self.blank && self.begun {
                    sink.put(b" ");
                }
                self.begun = true;
                self.blank = false;
                let end = run_end(rest);
                sink.put(&rest[..end]);
                at += end;
            }
        }
    }
}

/// The length of the bytes that stay as they are: up to a tab, a CRLF, or a space that is not alone.
fn run_end(bytes: &[u8]) -> usize {
    let mut at = plain_words(bytes);
    while at < bytes.len() {
        match bytes[at] {
            b'\t' => break,
            b' ' => match bytes.get(at + 1) {
                Some(b' ' | b'\t' | b'\r') | None => break,
                Some(_) => at += 2,
            },
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => break,
            _ => at += 1,
        }
    }
    at.min(bytes.len())
}

/// How far [`run_end`] gets eight bytes at a time, and at least past the first byte: up to where a tab or a CR
/// stands, or a space before another blank.
fn plain_words(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f * EACH;
    // The highest bit of each byte that is `wanted`.
    let equal = |word: u64, wanted: u8| {
        let differs = word ^ (u64::from(wanted) * EACH);
        !(((differs & LOW) + LOW) | differs | LOW)
    };
    let mut at = 1;
    while let Some(word) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        let spaces = equal(word, b' ');
        let others = equal(word, b'\t') | equal(word, b'\r');
        if others != 0 || spaces & (spaces >> 8) != 0 {
            break;
        }
        // What follows a space in the last place is not known yet.
        at += if spaces >> 63 == 1 { 7 } else { 8 };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Header, HeaderLimits};

    fn canonical(canon: Canon, raw: &[u8]) -> Vec<u8> {
        let header = Header::parse(raw, HeaderLimits::default()).unwrap();
        let mut out = Vec::new();
        for f in header.fields() {
            field(canon, f, &mut out);
        }
        out
    }

    #[test]
    fn the_example_of_rfc_6376_section_3_4_5() {
        let raw = b"A: X\r\nB : Y\t\r\n\tZ  \r\n";
        assert_eq!(canonical(Canon::Relaxed, raw), b"a:X\r\nb:Y Z\r\n");
        assert_eq!(canonical(Canon::Simple, raw), raw);
    }

    #[test]
    fn relaxed_treats_every_kind_of_fold_and_blank() {
        for (raw, want) in [
            (&b"A:\r\n"[..], &b"a:\r\n"[..]),
            (b"A: \t \r\n", b"a:\r\n"),
            (b"A:\r\n b\r\n", b"a:b\r\n"),
            (b"A: b \r\n \r\n\tc\r\n", b"a:b c\r\n"),
            (b"A: b\r\n \r\n", b"a:b\r\n"),
            (b"A \t: b c d\r\n", b"a:b c d\r\n"),
            (b"A: b\rc \r d\r\n", b"a:b\rc \r d\r\n"),
            (b"A: b\x0bc\xa0 \xff\x00\r\n", b"a:b\x0bc\xa0 \xff\x00\r\n"),
            (b"A: b", b"a:b\r\n"),
            (b"A: b \r\r\n", b"a:b \r\r\n"),
        ] {
            assert_eq!(
                canonical(Canon::Relaxed, raw).escape_ascii().to_string(),
                want.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn the_value_of_b_is_left_out_wherever_it_stands() {
        let raw = b"DKIM-Signature: a=x; b= Zm9v\r\n Zm8= ; c=y\r\n";
        let header = Header::parse(raw, HeaderLimits::default()).unwrap();
        let value = header.field(0).value();
        let start = value.iter().position(|b| *b == b'Z').unwrap() - 1;
        let end = value.windows(3).position(|w| w == b"; c").unwrap();
        for (canon, want) in [
            (Canon::Simple, &b"DKIM-Signature: a=x; b=; c=y"[..]),
            (Canon::Relaxed, b"dkim-signature:a=x; b=; c=y"),
        ] {
            let mut out = Vec::new();
            signature(canon, header.field(0), start..end, &mut out);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn eight_bytes_at_a_time_come_to_the_same_as_one_by_one() {
        let one_by_one = |value: &[u8]| -> Vec<u8> {
            let mut out = b"x:".to_vec();
            let text = String::from_utf8(value.to_vec()).unwrap();
            let words = text.replace("\r\n", "");
            let words: Vec<&str> = words.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
            out.extend_from_slice(words.join(" ").as_bytes());
            out
        };
        // Every text of three pieces around every place in the first words.
        let pieces = [
            "", " ", "  ", "\t", " \t", "\r\n ", "\r", " \r", "a", " a", "aaaaaaaa", "=\u{a0}",
        ];
        let count = pieces.len();
        for code in 0..18 * count.pow(3) {
            let piece = |nth: u32| pieces[code / count.pow(nth) % count];
            let before = "x".repeat(code / count.pow(3));
            let value = format!("{before}{}{}b{}", piece(0), piece(1), piece(2));
            let mut want = one_by_one(value.as_bytes());
            want.extend_from_slice(b"\r\n");
            let got = canonical(Canon::Relaxed, format!("X:{value}\r\n").as_bytes());
            assert_eq!(got, want, "{value:?}");
        }
    }
}
