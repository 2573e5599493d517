//! The encodings of mail as gateways write them: base64, quoted-printable, encoded words, small character sets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|b| *b == b'\n')
}

/// A line and its line end.
pub(crate) fn cut_end(line: &[u8]) -> (&[u8], &[u8]) {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    line.split_at(text.len())
}

pub(crate) fn base64(text: &[u8], width: usize) -> Vec<u8> {
    let code = STANDARD.encode(text).into_bytes();
    let mut out = Vec::new();
    for line in code.chunks(width) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

pub(crate) fn unbase64(code: &[u8]) -> Option<Vec<u8>> {
    let code: Vec<u8> = code
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .copied()
        .collect();
    STANDARD.decode(code).ok()
}

/// Quoted-printable (RFC 2045 §6.7) with lines as long as they may be; the last line ends as that of `text` does.
pub(crate) fn quoted(text: &[u8], width: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines_of(text) {
        let (line, end) = cut_end(line);
        let mut column = 0;
        for (at, byte) in line.iter().enumerate() {
            let last = at + 1 == line.len();
            let blank = matches!(byte, b' ' | b'\t');
            let plain = matches!(byte, b'!'..=b'~') && *byte != b'=' || blank && !last;
            let len = if plain { 1 } else { 3 };
            let room = if last { width } else { width - 1 };
            if column + len > room {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            match plain {
                true => out.push(*byte),
                false => out.extend_from_slice(format!("={byte:02X}").as_bytes()),
            }
            column += len;
        }
        out.extend_from_slice(if end.is_empty() { b"" } else { b"\r\n" });
    }
    out
}

/// Quoted-printable broken behind words, as web mailers write it: what it was can be read, not where it was broken.
pub(crate) fn quoted_by_word(text: &[u8], width: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines_of(text) {
        let (line, end) = cut_end(line);
        let mut column = 0;
        for word in line.split_inclusive(|b| *b == b' ') {
            let word = quoted(word, 1000);
            if column > 0 && column + word.len() >= width {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            for piece in word.chunks(width - 4) {
                out.extend_from_slice(piece);
                column += piece.len();
            }
        }
        // A blank is encoded at the end of the line alone.
        out.extend_from_slice(if end.is_empty() { b"" } else { b"\r\n" });
    }
    out
}

pub(crate) fn unquoted(code: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = code;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'=' {
            out.push(*byte);
        } else if let Some(tail) = rest.strip_prefix(b"\r\n") {
            rest = tail;
        } else {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        }
    }
    Some(out)
}

pub(crate) fn decoded(encoding: &str, code: &[u8]) -> Option<Vec<u8>> {
    match encoding {
        "base64" => unbase64(code),
        "quoted-printable" => unquoted(code),
        _ => Some(code.to_vec()),
    }
}

pub(crate) fn encoded(encoding: &str, text: &[u8]) -> Vec<u8> {
    match encoding {
        "base64" => base64(text, 76),
        "quoted-printable" => quoted(text, 76),
        _ => text.to_vec(),
    }
}

/// An encoded word (RFC 2047) of UTF-8 text in Q.
pub(crate) fn word_q(text: &str, charset: &str) -> String {
    let mut out = format!("=?{charset}?Q?");
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('_'),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'!' | b'*' | b'+' | b'-' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("={byte:02X}")),
        }
    }
    out + "?="
}

pub(crate) fn word_b(text: &str, charset: &str) -> String {
    format!("=?{charset}?B?{}?=", STANDARD.encode(text))
}

/// The text of the one encoded word of which `word` consists.
pub(crate) fn unword(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut parts = inner.splitn(3, '?');
    let (_, form, code) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = match form {
        "B" | "b" => STANDARD.decode(code).ok()?,
        _ => unquoted(code.replace('_', " ").as_bytes())?,
    };
    String::from_utf8(bytes).ok()
}

/// The upper half of windows-1252 where it is not that of Latin-1, as far as mail has it.
const WINDOWS: [(char, u8); 9] = [
    ('€', 0x80),
    ('„', 0x84),
    ('…', 0x85),
    ('‘', 0x91),
    ('’', 0x92),
    ('“', 0x93),
    ('”', 0x94),
    ('–', 0x96),
    ('—', 0x97),
];

/// `text` in one of the small character sets; none where it has no place for a character.
pub(crate) fn into_charset(text: &str, charset: &str) -> Option<Vec<u8>> {
    let byte = |c: char| match (c, charset) {
        ('\0'..='\x7f', _) => Some(c as u8),
        ('€', "iso-8859-15") => Some(0xa4),
        (
            '\u{a4}' | '\u{a6}' | '\u{a8}' | '\u{b4}' | '\u{b8}' | '\u{bc}'..='\u{be}',
            "iso-8859-15",
        ) => None,
        ('\u{a0}'..='\u{ff}', "iso-8859-1" | "iso-8859-15" | "windows-1252") => Some(c as u8),
        (_, "windows-1252") => WINDOWS.iter().find(|w| w.0 == c).map(|w| w.1),
        _ => None,
    };
    match charset {
        "utf-8" => Some(text.as_bytes().to_vec()),
        _ => text.chars().map(byte).collect(),
    }
}

pub(crate) fn from_charset(bytes: &[u8], charset: &str) -> Option<String> {
    let small = |byte: u8| match (byte, charset) {
        (0..=0x7f, _) => Some(char::from(byte)),
        (0xa4, "iso-8859-15") => Some('€'),
        (0x80..=0x9f, "windows-1252") => WINDOWS.iter().find(|w| w.1 == byte).map(|w| w.0),
        (0xa0.., "iso-8859-1" | "iso-8859-15" | "windows-1252") => Some(char::from(byte)),
        _ => None,
    };
    match charset {
        "utf-8" => String::from_utf8(bytes.to_vec()).ok(),
        _ => bytes.iter().map(|b| small(*b)).collect(),
    }
}

/// `text` as it stands in the query of a URL.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

pub(crate) fn rfind(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|w| w == needle)
}

/// `code` with or without a last line end, as `model` is.
pub(crate) fn like(model: &[u8], code: Vec<u8>) -> Vec<u8> {
    match (model.ends_with(b"\r\n"), code.strip_suffix(b"\r\n")) {
        (false, Some(bare)) => bare.to_vec(),
        _ => code,
    }
}

/// Without the line ends of its folds.
pub(crate) fn unfold(raw: &[u8]) -> Vec<u8> {
    let mut out = raw.to_vec();
    out.retain(|b| !matches!(b, b'\r' | b'\n'));
    out
}
