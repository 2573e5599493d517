//! Tags of lists and filters in Subject.

use super::Task;
use super::draft::{Draft, is, revalued, unfolded};
use super::encoded::decoded;
use super::moves::{Move, Moves};
use crate::explain::kind::Kind;

/// Longer subjects are not cut at every byte.
const LONG: usize = 220;

pub(super) fn moves(_: &Task<'_>, _: &Draft, moves: &mut Moves<'_>) {
    let fields = moves.fields.clone();
    for (at, raw) in fields.iter().filter(|(_, raw)| is(raw, "Subject")) {
        let at = *at;
        if raw.len() > 4_000 {
            continue;
        }
        let text = unfolded(raw);
        let push = |moves: &mut Moves<'_>, cost, text: Vec<u8>| {
            moves.push(Move::replace(
                Kind::SubjectTagged,
                cost,
                at,
                revalued(raw, &text),
            ));
        };
        for text in untagged(&text) {
            push(moves, 1, text);
        }
        // With the folds that are left.
        let value = super::draft::value(raw);
        for text in untagged(value.trim_ascii()) {
            push(moves, 1, text);
        }
        for prefix in [&b"Re: "[..], b"RE: ", b"Fwd: ", b"FW: "] {
            push(moves, 4, [prefix, &text].concat());
        }
        if text.len() > LONG {
            continue;
        }
        for from in 0..text.len() {
            if moves.is_full() {
                return;
            }
            for to in from + 1..=text.len() {
                let whole_words = edge(&text, from) && edge(&text, to);
                let cost = match (from == 0 || to == text.len(), whole_words) {
                    (true, true) => 2,
                    (true, false) => 4,
                    (false, true) => 4,
                    (false, false) => 5,
                };
                push(
                    moves,
                    cost,
                    [&text[..from], &text[to..]].concat().trim_ascii().to_vec(),
                );
            }
        }
    }
}

/// Whether a word begins or ends here.
fn edge(text: &[u8], at: usize) -> bool {
    at == 0
        || at == text.len()
        || text[at - 1].is_ascii_whitespace()
        || text[at].is_ascii_whitespace()
}

/// Whether `came` is `was` with a tag as lists and filters put it: in brackets or stars, or one word and a colon.
pub(super) fn is_tagged(came: &[u8], was: &[u8]) -> bool {
    let plain = |text: &[u8]| {
        let text = decoded(text).unwrap_or_else(|| text.to_vec());
        let words = text
            .split(u8::is_ascii_whitespace)
            .filter(|w| !w.is_empty());
        words.collect::<Vec<_>>().join(&b' ')
    };
    let (came, was) = (plain(came), plain(was));
    without_tags(&came, true)
        .iter()
        .any(|found| plain(found) == was)
}

/// The text without a tag in brackets or stars or before a colon, at the beginning, behind a "Re:", or at the end.
pub(super) fn untagged(text: &[u8]) -> Vec<Vec<u8>> {
    without_tags(text, false)
}

fn without_tags(text: &[u8], strict: bool) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut starts = vec![0];
    let mut at = 0;
    while let Some(len) = reply(&text[at..]) {
        at += len;
        starts.push(at);
    }
    for start in starts {
        let rest = &text[start..];
        for len in tags(rest, strict) {
            let behind = rest[len..].trim_ascii_start();
            let rest = [&text[..start], behind].concat();
            // A tag before what was a reply already may have been moved behind a "Re:" of its own.
            if start > 0 {
                out.push(behind.to_vec());
            }
            out.push(rest);
            for more in tags(behind, strict) {
                out.push([&text[..start], behind[more..].trim_ascii_start()].concat());
            }
        }
    }
    for (open, close) in BRACKETS {
        let open = [b" ", open].concat();
        if text.ends_with(close)
            && let Some(at) = memchr::memmem::rfind(text, &open)
            && (!strict || text.len() - at <= LONGEST_TAG)
        {
            out.push(text[..at].trim_ascii_end().to_vec());
        }
    }
    if let Some(at) = memchr::memmem::rfind(text, b" - ") {
        let word = &text[at + 3..];
        if !strict || is_mark(word) {
            out.push(text[..at].trim_ascii_end().to_vec());
        }
    }
    let recased = |found: &Vec<u8>| {
        let reply = reply(found).filter(|_| found.iter().take(2).all(u8::is_ascii_alphabetic))?;
        let colon = found[..reply].iter().position(|b| *b == b':')?;
        let (word, rest) = found.split_at(colon);
        let small = word.to_ascii_lowercase();
        let capital = [&small[..1].to_ascii_uppercase(), &small[1..]].concat();
        let forms = [word.to_ascii_uppercase(), small, capital].into_iter();
        Some(forms.map(|form| [&form, rest].concat()).collect::<Vec<_>>())
    };
    let recased: Vec<Vec<u8>> = out.iter().filter_map(recased).flatten().collect();
    out.extend(recased);
    out.retain(|found| found != text);
    out
}

/// What stands behind the subject and is longer is no tag, but text.
const LONGEST_TAG: usize = 20;

const BRACKETS: [(&[u8], &[u8]); 5] = [
    (b"[", b"]"),
    (b"(", b")"),
    (b"{", b"}"),
    (b"<", b">"),
    (b"*", b"*"),
];

/// The length of "Re: " or the like at the beginning.
fn reply(text: &[u8]) -> Option<usize> {
    const WORDS: [&str; 14] = [
        "re", "fw", "fwd", "aw", "wg", "sv", "vs", "vb", "antw", "rif", "res", "enc", "tr", "odp",
    ];
    let colon = text.iter().take(8).position(|b| *b == b':')?;
    let word = std::str::from_utf8(&text[..colon])
        .ok()?
        .to_ascii_lowercase();
    let word = word.split('[').next()?;
    WORDS
        .contains(&word)
        .then(|| colon + 1 + text[colon + 1..].iter().take_while(|b| **b == b' ').count())
}

/// The lengths of tags at the beginning; with `strict` only of those that are nothing else.
fn tags(text: &[u8], strict: bool) -> Vec<usize> {
    let mut out = Vec::new();
    for (open, close) in BRACKETS {
        if let Some(rest) = text.strip_prefix(open) {
            let stars = rest.iter().take_while(|b| **b == b'*').count();
            if let Some(end) = memchr::memmem::find(&rest[stars..], close) {
                let end = open.len() + stars + end;
                out.push(end + text[end..].iter().take_while(|b| **b == close[0]).count());
            }
        }
    }
    let colon = text.iter().take(60).position(|b| *b == b':');
    let word = |text: &[u8]| !text.contains(&b' ') && reply(text).is_none();
    if let Some(colon) = colon.filter(|at| !strict || word(&text[..at + 1])) {
        out.push(colon + 1);
    }
    let first = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
    if is_mark(&text[..first]) {
        out.push(first);
    }
    if strict {
        return out;
    }
    if let Some(dash) = memchr::memmem::find(&text[..text.len().min(60)], b" - ") {
        out.push(dash + 3);
    }
    out
}

/// Whether a word is one that filters put before or behind a subject: `SPAM`, `SPAM(7.4)`.
fn is_mark(word: &[u8]) -> bool {
    const MARKS: [&[u8]; 8] = [
        b"SPAM",
        b"SUSPECT",
        b"VIRUS",
        b"BULK",
        b"EXTERNAL",
        b"EXTERN",
        b"EXT",
        b"CAUTION",
    ];
    let letters = word.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (letters, rest) = word.split_at(letters);
    MARKS.iter().any(|mark| mark.eq_ignore_ascii_case(letters))
        && match rest {
            b"" | b":" => true,
            [b'(', score @ .., b')'] => {
                score.len() <= 12 && !score.iter().any(u8::is_ascii_alphabetic)
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_where_lists_and_filters_put_them() {
        for (came, was) in [
            ("[list] Hello", "Hello"),
            ("Re: [list] Hello", "Re: Hello"),
            ("[list] Re: Hello", "Re: Hello"),
            ("Re: [list] Hello", "Hello"),
            ("***SPAM*** Hello", "Hello"),
            ("*****SPAM***** Hello", "Hello"),
            ("[EXTERNAL] [list] Hello", "Hello"),
            ("SPAM: Hello", "Hello"),
            ("Re: SPAM(7.4) Hello", "Re: Hello"),
            ("Hello - EXTERNAL", "Hello"),
            ("Re: [list] Hello", "RE: Hello"),
            ("Hello [spam 5.2]", "Hello"),
            ("(ext) AW: Hello", "AW: Hello"),
        ] {
            let found = untagged(came.as_bytes());
            assert!(found.iter().any(|f| f == was.as_bytes()), "{came:?}");
            assert!(is_tagged(came.as_bytes(), was.as_bytes()), "{came:?}");
        }
    }
}
