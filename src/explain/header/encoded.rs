//! Encoded words (RFC 2047), decoded and written as the known programs write them.

use super::Task;
use super::draft::{Draft, Edit, is, revalued, unfolded};
use super::moves::{Move, Moves};
use super::subject::untagged;
use crate::explain::bytes::hex;
use crate::explain::kind::Kind;
use crate::key::{decode_base64, encode_base64};

pub(super) fn moves(_: &Task<'_>, _: &Draft, moves: &mut Moves<'_>) {
    let mut all: Vec<Vec<Edit>> = vec![Vec::new(); WAYS.len()];
    for (at, raw) in &moves.fields.clone() {
        let at = *at;
        if moves.is_full() {
            return;
        }
        let text = unfolded(raw);
        if raw.len() > 4_000 || text.is_ascii() && memchr::memmem::find(&text, b"=?").is_none() {
            continue;
        }
        let Some(plain) = decoded(&text) else {
            continue;
        };
        let name = super::draft::name(raw);
        for (nth, way) in WAYS.iter().enumerate() {
            for value in written(&plain, way, name.len()) {
                let edit = Edit::Replace(at, revalued(raw, &value));
                all[nth].push(edit.clone());
                moves.push(Move::new(Kind::EncodedWords, 1, vec![edit]));
            }
        }
        // A tag was put before a text that had to be encoded anew for that.
        if is(raw, "Subject") {
            for plain in untagged(&plain) {
                for way in WAYS {
                    for value in written(&plain, way, name.len()) {
                        moves.push(Move::replace(
                            Kind::SubjectTagged,
                            1,
                            at,
                            revalued(raw, &value),
                        ));
                    }
                }
            }
        }
        for folded in respaced(&text) {
            moves.push(Move::replace(
                Kind::EncodedWords,
                2,
                at,
                revalued(raw, &folded),
            ));
        }
    }
    for edits in all.into_iter().filter(|edits| edits.len() > 1) {
        moves.push(Move::new(Kind::EncodedWords, 2, edits));
    }
}

/// A way to write text that is not ASCII.
struct Way {
    /// The character set, as it is written; none for the text as it is.
    charset: Option<&'static str>,
    quoted: bool,
    /// `q` or `Q`.
    small: bool,
}

const WAYS: &[Way] = &{
    const fn way(charset: &'static str, quoted: bool, small: bool) -> Way {
        Way {
            charset: Some(charset),
            quoted,
            small,
        }
    }
    [
        Way {
            charset: None,
            quoted: false,
            small: false,
        },
        way("utf-8", true, true),
        way("utf-8", false, true),
        way("UTF-8", true, false),
        way("UTF-8", false, false),
        way("utf-8", true, false),
        way("utf-8", false, false),
        way("UTF-8", true, true),
        way("UTF-8", false, true),
        way("iso-8859-1", true, true),
        way("iso-8859-1", true, false),
        way("ISO-8859-1", true, false),
        way("iso-8859-1", false, true),
        way("ISO-8859-1", false, false),
        way("iso-8859-15", true, false),
        way("windows-1252", true, false),
        way("windows-1252", false, false),
        way("Windows-1252", true, false),
    ]
};

/// The texts that a program may have written for this one: in one word, in words of 75 characters at the most, and
/// each word of the text for itself.
fn written(plain: &[u8], way: &Way, name: usize) -> Vec<Vec<u8>> {
    let Some(charset) = way.charset else {
        return vec![plain.to_vec()];
    };
    let mut out = Vec::new();
    let one = |text: &str| token(text, charset, way.quoted, way.small);
    let Ok(text) = std::str::from_utf8(plain) else {
        return out;
    };
    let Some(whole) = one(text) else {
        return out;
    };
    if whole.len() > 60 {
        for (first, rest) in [
            (75 - (name + 2).min(40), 75),
            (75, 75),
            (74 - (name + 2).min(40), 74),
            (63, 63),
        ] {
            out.push(pieces(text, first, rest, &one));
        }
    }
    out.push(whole);
    // Only the words that need it, those that stand together as one.
    let words: Vec<&str> = text.split(' ').collect();
    let first = words.iter().position(|word| !word.is_ascii());
    let last = words.iter().rposition(|word| !word.is_ascii());
    if let (Some(first), Some(last)) = (first, last) {
        let middle = words[first..=last].join(" ");
        if let Some(middle) = one(&middle) {
            let mut parts: Vec<Vec<u8>> = words[..first]
                .iter()
                .map(|w| w.as_bytes().to_vec())
                .collect();
            parts.push(middle);
            parts.extend(words[last + 1..].iter().map(|w| w.as_bytes().to_vec()));
            out.push(parts.join(&b" "[..]));
        }
        let each = words.iter().map(|word| match word.is_ascii() {
            true => word.as_bytes().to_vec(),
            false => one(word).unwrap_or_default(),
        });
        out.push(each.collect::<Vec<_>>().join(&b" "[..]));
    }
    out.dedup();
    out
}

/// Words up to a length, cut between characters.
fn pieces(text: &str, first: usize, rest: usize, one: &dyn Fn(&str) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut from = 0;
    let mut to = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let room = if out.is_empty() { first } else { rest };
        if to > from && one(&text[from..end]).is_none_or(|word| word.len() > room) {
            out.extend(one(&text[from..to]));
            from = to;
        }
        to = end;
    }
    out.extend(one(&text[from..]));
    out.join(&b" "[..])
}

/// The encoded words that may be written for a name.
pub(super) fn words(name: &[u8]) -> Vec<Vec<u8>> {
    let Some(plain) = decoded(name) else {
        return Vec::new();
    };
    match (std::str::from_utf8(&plain), plain.is_ascii()) {
        (Ok(text), false) => {
            let word = |way: &Way| token(text, way.charset?, way.quoted, way.small);
            WAYS.iter().take(12).filter_map(word).collect()
        }
        _ => Vec::new(),
    }
}

/// One encoded word.
pub(super) fn word(name: &[u8], charset: &'static str, quoted: bool) -> Vec<u8> {
    let plain = decoded(name).unwrap_or_else(|| name.to_vec());
    let text = String::from_utf8_lossy(&plain).into_owned();
    token(&text, charset, quoted, charset == "utf-8").unwrap_or_else(|| name.to_vec())
}

fn token(text: &str, charset: &str, quoted: bool, small: bool) -> Option<Vec<u8>> {
    let bytes = match charset.to_ascii_lowercase().as_str() {
        "utf-8" => text.as_bytes().to_vec(),
        "iso-8859-1" => {
            if !encoding_rs::mem::is_str_latin1(text) {
                return None;
            }
            encoding_rs::mem::encode_latin1_lossy(text).into_owned()
        }
        label => {
            let encoding = encoding_rs::Encoding::for_label(label.as_bytes())?;
            let (bytes, _, unmapped) = encoding.encode(text);
            if unmapped {
                return None;
            }
            bytes.into_owned()
        }
    };
    let letter = match (quoted, small) {
        (true, true) => "q",
        (true, false) => "Q",
        (false, true) => "b",
        (false, false) => "B",
    };
    let body = match quoted {
        false => encode_base64(&bytes),
        true => {
            let mut out = String::new();
            for byte in &bytes {
                match byte {
                    b' ' => out.push('_'),
                    b'-' | b'!' | b'*' | b'+' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                        out.push(*byte as char)
                    }
                    _ => out.push_str(&format!("={byte:02X}")),
                }
            }
            out
        }
    };
    Some(format!("=?{charset}?{letter}?{body}?=").into_bytes())
}

/// The text in UTF-8, with its encoded words decoded; `None` where that cannot be done.
pub(super) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut behind_word = false;
    while let Some(at) = memchr::memmem::find(rest, b"=?") {
        let (plain, word) = rest.split_at(at);
        // White space between two encoded words means nothing.
        if !(behind_word && plain.iter().all(u8::is_ascii_whitespace)) {
            out.extend_from_slice(plain);
        }
        let mut fields = word[2..].splitn(4, |b| *b == b'?');
        let (charset, letter, body) = (fields.next()?, fields.next()?, fields.next()?);
        let end = 2 + charset.len() + 1 + letter.len() + 1 + body.len();
        if word.get(end..end + 2) != Some(b"?=") {
            return None;
        }
        let bytes = match letter {
            b"q" | b"Q" => unescaped(body),
            b"b" | b"B" => decode_base64(body)?,
            _ => return None,
        };
        let label = charset.split(|b| *b == b'*').next()?;
        let encoding = encoding_rs::Encoding::for_label(label)?;
        let (text, failed) = encoding.decode_without_bom_handling(&bytes);
        if failed {
            return None;
        }
        out.extend_from_slice(text.as_bytes());
        rest = &word[end + 2..];
        behind_word = true;
    }
    out.extend_from_slice(rest);
    std::str::from_utf8(&out).is_ok().then_some(out)
}

fn unescaped(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    while at < body.len() {
        let byte = hex(&body[at + 1..]).filter(|_| body[at] == b'=');
        match (body[at], byte) {
            (b'_', _) => out.push(b' '),
            (_, Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (plain, None) => out.push(plain),
        }
        at += 1;
    }
    out
}

/// Encoded words that were put together or apart: between them a space came or went.
fn respaced(text: &[u8]) -> Vec<Vec<u8>> {
    let apart = String::from_utf8_lossy(text).into_owned();
    [
        apart.replace("?==?", "?= =?"),
        apart.replace("?= =?", "?==?"),
    ]
    .map(String::into_bytes)
    .to_vec()
}
