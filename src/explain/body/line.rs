//! Single lines that were changed, or are others now by an empty line more or less.

use super::splice::{Splice, sorted};
use crate::explain::kind::Kind;
use crate::explain::lines::Lines;
use crate::message::is_wsp;

/// More alternatives are not thought of.
const MAX: usize = 60_000;

/// What each line may have been, whatever stands there.
pub(super) fn all(lines: &Lines<'_>) -> Vec<Splice> {
    let mut out = marked(lines);
    for line in 0..lines.len() {
        if out.len() > MAX {
            break;
        }
        let text = lines.line(line);
        let end = &lines.raw(line)[text.len()..];
        let mut put = |kind, before: &[u8], text: &[u8], behind: &[u8]| {
            let with = [before, text, behind, end].concat();
            out.push(Splice::put(kind, line..line + 1, with));
        };
        put(Kind::DotsTaken, b".", text, b"");
        if line + 1 < lines.len() {
            for end in [&b"\r"[..], b"\n"] {
                let joined = [text, end, lines.raw(line + 1)].concat();
                out.push(Splice::put(Kind::LineEnds, line..line + 2, joined));
            }
        }
        let mut put = |kind, before: &[u8], text: &[u8], behind: &[u8]| {
            let with = [before, text, behind, end].concat();
            out.push(Splice::put(kind, line..line + 1, with));
        };
        for blanks in [&b" "[..], b"  ", b"\t"] {
            put(Kind::TrailingBlanksRemoved, b"", text, blanks);
        }
        for (at, width) in blanks(text).into_iter().take(60) {
            let tab = [&text[..at], b"\t", &text[at + width..]].concat();
            put(Kind::Tabs, b"", &tab, b"");
        }
        for empty in 1..=3 {
            out.push(Splice::put(
                Kind::BlankLinesRemoved,
                line..line,
                b"\r\n".repeat(empty),
            ));
        }
        out.push(Splice::put(Kind::DotsTaken, line..line, b".\r\n".to_vec()));
    }
    sorted(out.into_iter())
}

/// What lines may have been that bear the mark of a change.
pub(super) fn marked(lines: &Lines<'_>) -> Vec<Splice> {
    let mut out = Vec::new();
    for line in 0..lines.len() {
        if out.len() > MAX {
            break;
        }
        let text = lines.line(line);
        let end = &lines.raw(line)[text.len()..];
        let mut put = |kind, text: &[u8]| {
            out.push(Splice::put(kind, line..line + 1, [text, end].concat()));
        };
        let quoted = text.iter().take_while(|b| **b == b'>').count();
        if text[quoted..].starts_with(b"From ") {
            if quoted > 0 {
                put(Kind::FromQuoted, &text[1..]);
            }
            put(Kind::FromUnquoted, &[b">", text].concat());
        }
        if text.starts_with(b"..") {
            put(Kind::DotsLeft, &text[1..]);
        }
        if text.starts_with(b".") {
            put(Kind::DotsTaken, &[b".", text].concat());
        }
        let trimmed = text
            .iter()
            .rposition(|b| !is_wsp(*b))
            .map_or(0, |at| at + 1);
        if trimmed < text.len() {
            put(Kind::TrailingBlanksAdded, &text[..trimmed]);
        }
        if text == b"--" {
            put(Kind::TrailingBlanksRemoved, b"-- ");
        }
        if line + 1 < lines.len() && text.len() >= 60 {
            let next = lines.raw(line + 1);
            for cut in [&b""[..], b" ", b"\t"] {
                if let Some(rest) = next.strip_prefix(cut) {
                    let joined = [text, rest].concat();
                    out.push(Splice::put(Kind::LinesWrapped, line..line + 2, joined));
                }
            }
        }
        if text.is_empty() {
            let run = (line..lines.len())
                .take_while(|at| lines.line(*at).is_empty())
                .count();
            for count in 1..=run.min(8) {
                out.push(Splice::out(Kind::BlankLinesAdded, line..line + count));
            }
        }
    }
    sorted(out.into_iter())
}

/// The runs of spaces in a line: where each begins, and how long it is.
fn blanks(text: &[u8]) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b' ', &text[at..]) {
        let start = at + found;
        let width = text[start..].iter().take_while(|b| **b == b' ').count();
        runs.push((start, width));
        at = start + width;
    }
    runs
}
