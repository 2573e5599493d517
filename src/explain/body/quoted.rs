//! Quoted-printable and base64 (RFC 2045 §6.7 and §6.8): decoding what came, and encoding as the known encoders do.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::explain::bytes::hex;
use crate::explain::lines::line_end;
use crate::key::encode_base64;
use crate::message::is_wsp;

/// How an encoder writes quoted-printable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// The longest line that is followed by a soft line break, with its `=`.
    pub(super) width: usize,
    /// Whether the last piece of a line may use the place of the `=`.
    pub(super) last: bool,
    /// Whether an escape as the last piece may.
    pub(super) last_escape: bool,
    /// What is escaped besides what must be.
    pub(super) extra: Extra,
    /// Whether lines break behind words.
    pub(super) words: bool,
}

/// What encoders escape though they need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    Nothing,
    /// A dot at the beginning of a line.
    Dots,
    /// A dot, and `From ` at the beginning of a line.
    DotsAndFrom,
    /// Tabs.
    Tabs,
    /// What EBCDIC gateways spoil: `!"#$@[\]^`{|}~`.
    Ebcdic,
    /// Every space at the end of a soft line too.
    Spaces,
}

/// The styles of the known encoders, the commoner ones first.
pub(super) const STYLES: &[Style] = &{
    const PLAIN: Style = Style {
        width: 76,
        last: true,
        last_escape: true,
        extra: Extra::Nothing,
        words: false,
    };
    [
        PLAIN,
        Style {
            last_escape: false,
            extra: Extra::Dots,
            ..PLAIN
        },
        Style {
            last: false,
            last_escape: false,
            ..PLAIN
        },
        Style {
            last_escape: false,
            ..PLAIN
        },
        Style {
            words: true,
            ..PLAIN
        },
        Style {
            extra: Extra::Dots,
            ..PLAIN
        },
        Style {
            extra: Extra::DotsAndFrom,
            ..PLAIN
        },
        Style {
            extra: Extra::Tabs,
            ..PLAIN
        },
        Style {
            extra: Extra::Ebcdic,
            ..PLAIN
        },
        Style {
            extra: Extra::Spaces,
            ..PLAIN
        },
        Style { width: 75, ..PLAIN },
        Style {
            width: 75,
            last: false,
            last_escape: false,
            ..PLAIN
        },
        Style {
            width: 74,
            last: false,
            last_escape: false,
            ..PLAIN
        },
        Style {
            width: 73,
            last: false,
            last_escape: false,
            ..PLAIN
        },
        Style {
            width: 72,
            last: false,
            last_escape: false,
            ..PLAIN
        },
        Style { width: 78, ..PLAIN },
        Style {
            width: 998,
            ..PLAIN
        },
        Style {
            width: usize::MAX,
            ..PLAIN
        },
    ]
};

/// Encodes text with CRLF.
pub(super) fn encode(text: &[u8], style: Style) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4);
    let mut at = 0;
    while at < text.len() {
        let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
        let line = &text[at..end];
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        put_line(content, style, &mut out);
        out.extend_from_slice(&line[content.len()..]);
        at = end;
    }
    out
}

fn put_line(line: &[u8], style: Style, out: &mut Vec<u8>) {
    let mut start = out.len();
    // Behind the last word of this line, if a soft line break may stand there.
    let mut word = None;
    for (at, byte) in line.iter().enumerate() {
        let last = at + 1 == line.len();
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let escape = [
            b'=',
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ];
        let piece = match is_escaped(line, at, last, style) {
            true => &escape[..],
            false => std::slice::from_ref(byte),
        };
        let bonus = last
            && if piece.len() == 1 {
                style.last
            } else {
                style.last_escape
            };
        let room = style.width.saturating_sub(usize::from(!bonus));
        if out.len() - start + piece.len() > room {
            match word.take().filter(|_| style.words) {
                Some(word) => {
                    out.splice(word..word, *b"=\r\n");
                    start = word + 3;
                }
                None => {
                    if style.extra == Extra::Spaces && out.ends_with(b" ") {
                        out.pop();
                        out.extend_from_slice(b"=20");
                    }
                    out.extend_from_slice(b"=\r\n");
                    start = out.len();
                }
            }
        }
        out.extend_from_slice(piece);
        if matches!(byte, b' ' | b'\t') {
            word = Some(out.len());
        }
    }
}

fn is_escaped(line: &[u8], at: usize, last: bool, style: Style) -> bool {
    match line[at] {
        b'=' => true,
        b' ' => last,
        b'\t' => last || style.extra == Extra::Tabs,
        b'.' => match style.extra {
            Extra::Dots | Extra::DotsAndFrom => {
                at == 0 && (last || style.extra == Extra::DotsAndFrom)
            }
            _ => false,
        },
        b'F' => style.extra == Extra::DotsAndFrom && at == 0 && line.starts_with(b"From "),
        b'!' | b'"' | b'#' | b'$' | b'@' | b'[' | b'\\' | b']' | b'^' | b'`' | b'{' | b'|'
        | b'}' | b'~' => style.extra == Extra::Ebcdic,
        byte => !(b'!'..=b'~').contains(&byte),
    }
}

/// Decodes quoted-printable; what is no escape stays as it is.
pub(in crate::explain) fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
        let line = &text[at..end];
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        let ended = content.len() < line.len();
        let trimmed = content
            .iter()
            .rposition(|b| !is_wsp(*b))
            .map_or(0, |at| at + 1);
        let (content, soft) = match content[..trimmed].strip_suffix(b"=") {
            Some(content) => (content, true),
            None => (content, false),
        };
        let mut rest = content;
        while let Some(equals) = memchr::memchr(b'=', rest) {
            out.extend_from_slice(&rest[..equals]);
            match hex(&rest[equals + 1..]) {
                Some(byte) => {
                    out.push(byte);
                    rest = &rest[equals + 3..];
                }
                None => {
                    out.push(b'=');
                    rest = &rest[equals + 1..];
                }
            }
        }
        out.extend_from_slice(rest);
        if ended && !soft {
            out.extend_from_slice(b"\r\n");
        }
        at = end;
    }
    out
}

/// Base64 in lines of so many characters, each with CRLF; without a limit, one line.
pub(super) fn encode_lines(text: &[u8], width: usize) -> Vec<u8> {
    let whole = encode_base64(text);
    let mut out = Vec::with_capacity(whole.len() + whole.len() / 32);
    for line in whole.as_bytes().chunks(width.max(1)) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Decodes the lines of base64 at the beginning; also returns what stands behind them.
pub(in crate::explain) fn decode_lines(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let mut packed = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
        let line = text[at..end].trim_ascii();
        let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        if !line.iter().all(is_base64) || packed.ends_with(b"=") && !line.is_empty() {
            break;
        }
        packed.extend_from_slice(line);
        at = end;
    }
    if packed.is_empty() {
        return None;
    }
    LENIENT
        .decode(&packed)
        .ok()
        .map(|bytes| (bytes, &text[at..]))
}
