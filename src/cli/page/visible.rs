//! Text for a page: escaped, and with what nobody would see made visible.

use std::fmt::Write as _;

use dkimkit::report::is_harmful;

/// Appends a text so that nothing in it is markup, neither between elements nor in an attribute.
pub(super) fn plain(text: &str, out: &mut String) {
    let mut marks = 0;
    for c in text.chars() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if is_unseen(c) || marks > MARKS {
            out.extend(c.escape_default());
            continue;
        }
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Old browsers took it for a quote.
            '`' => out.push_str("&#96;"),
            c => out.push(c),
        }
    }
}

/// Whether all of a text is seen as it is, and nothing of it is shown by a sign.
pub(super) fn is_seen(text: &str) -> bool {
    let mut marks = 0;
    text.chars().all(|c| {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        !is_unseen(c) && marks <= MARKS
    })
}

/// A piece of a line of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Text that is seen as it is.
    Text(&'t str),
    /// What stands for characters that are not seen: it needs no escape.
    Sign(String),
    Tab,
}

/// Cuts a line into what is seen and what is not. Where the line ends, blanks are not.
pub(super) fn pieces(bytes: &[u8], ends: bool) -> impl Iterator<Item = Piece<'_>> {
    let blanks = bytes
        .iter()
        .rev()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    let seen = if ends {
        bytes.len() - blanks
    } else {
        bytes.len()
    };
    let (seen, blanks) = bytes.split_at(seen);
    let chunks = seen.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid();
        valid(chunk.valid()).chain((!invalid.is_empty()).then(|| Piece::Sign(hex(invalid))))
    });
    let sign: String = blanks
        .iter()
        .map(|b| if *b == b' ' { '·' } else { '→' })
        .collect();
    let behind = (!sign.is_empty()).then_some(Piece::Sign(sign));
    joined(chunks).chain(behind)
}

/// The bytes of no character.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "\\x{b:02x}");
        out
    })
}

/// Cuts what is UTF-8.
fn valid(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    // How many marks stand before the rest.
    let mut marks = 0;
    std::iter::from_fn(move || {
        if let Some(behind) = rest.strip_prefix('\t') {
            (rest, marks) = (behind, 0);
            return Some(Piece::Tab);
        }
        let mut unseen = None;
        let mut end = 0;
        for c in rest.chars() {
            let count = if is_mark(c) { marks + 1 } else { 0 };
            let hidden = is_unseen(c) || count > MARKS;
            if c == '\t' || hidden != *unseen.get_or_insert(hidden) {
                break;
            }
            marks = count;
            end += c.len_utf8();
        }
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        Some(match unseen? {
            true => Piece::Sign(piece.chars().flat_map(char::escape_default).collect()),
            false => Piece::Text(piece),
        })
    })
}

/// Signs in a row as one: a page of many would be large.
fn joined<'t>(pieces: impl Iterator<Item = Piece<'t>>) -> impl Iterator<Item = Piece<'t>> {
    let mut pieces = pieces.peekable();
    std::iter::from_fn(move || {
        let mut piece = pieces.next()?;
        if let Piece::Sign(sign) = &mut piece {
            // In pieces, so that a long row can be cut.
            while sign.len() < 1000
                && let Some(Piece::Sign(more)) = pieces.next_if(|p| matches!(p, Piece::Sign(_)))
            {
                sign.push_str(&more);
            }
        }
        Some(piece)
    })
}

/// So many marks may stand upon a letter: more of them cover the lines around.
const MARKS: usize = 2;

/// Whether a character stands upon the one before it.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
        || matches!(c, '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}')
        || matches!(c, '\u{e0100}'..='\u{e01ef}')
}

/// Whether nobody sees a character, or sees a blank that is none.
fn is_unseen(c: char) -> bool {
    is_harmful(c)
        || (c.is_whitespace() && c != ' ')
        || matches!(
            c,
            '\u{34f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{ffa0}'
        )
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{fff0}'..='\u{ffff}' | '\u{e0080}'..='\u{e0fff}')
}
