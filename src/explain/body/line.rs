//! Single lines that were changed, or are others now by an empty line more or less.

use super::splice::{Piece, Splice, sorted};
use crate::explain::bytes::trimmed;
use crate::explain::kind::Kind;
use crate::explain::lines::Lines;

/// More alternatives are not thought of.
const MAX: usize = 60_000;

/// What each line may have been, whatever stands there.
pub(super) fn all(lines: &Lines<'_>) -> Vec<Splice> {
    let mut out = marked(lines);
    for line in 0..lines.len() {
        if out.len() > MAX {
            break;
        }
        let here = Place::of(lines, line);
        let mut put = |kind, pieces| out.push(Splice::put(kind, line..line + 1, pieces));
        put(Kind::DotsTaken, here.with(Some(b"."), 0, b""));
        for blanks in [&b" "[..], b"  ", b"\t"] {
            put(Kind::TrailingBlanksRemoved, here.with(None, 0, blanks));
        }
        for (at, width) in blanks(lines.line(line)).into_iter().take(60) {
            let (start, end) = (here.start + at, here.start + at + width);
            let pieces = vec![
                Piece::Kept(here.start..start),
                Piece::Put(b"\t"),
                Piece::Kept(end..here.next),
            ];
            put(Kind::Tabs, pieces);
        }
        if line + 1 < lines.len() {
            for end in [&b"\r"[..], b"\n"] {
                let pieces = vec![
                    Piece::Kept(here.start..here.end),
                    Piece::Put(end),
                    Piece::Kept(here.next..lines.start(line + 2)),
                ];
                out.push(Splice::put(Kind::LineEnds, line..line + 2, pieces));
            }
        }
        for empty in [&b"\r\n"[..], b"\r\n\r\n", b"\r\n\r\n\r\n"] {
            let pieces = vec![Piece::Put(empty)];
            out.push(Splice::put(Kind::BlankLinesRemoved, line..line, pieces));
        }
        let dot = vec![Piece::Put(b".\r\n")];
        out.push(Splice::put(Kind::DotsTaken, line..line, dot));
    }
    sorted(out.into_iter())
}

/// Where a line stands.
struct Place {
    start: usize,
    /// The end of its text, and of the line.
    end: usize,
    next: usize,
}

impl Place {
    fn of(lines: &Lines<'_>, line: usize) -> Place {
        let start = lines.start(line);
        Place {
            start,
            end: start + lines.line(line).len(),
            next: lines.start(line + 1),
        }
    }

    /// The line with something before it, without its first bytes, and with something behind it.
    fn with(
        &self,
        before: Option<&'static [u8]>,
        skipped: usize,
        behind: &'static [u8],
    ) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = before.map(Piece::Put).into_iter().collect();
        if behind.is_empty() {
            pieces.push(Piece::Kept(self.start + skipped..self.next));
        } else {
            pieces.push(Piece::Kept(self.start + skipped..self.end));
            pieces.push(Piece::Put(behind));
            pieces.push(Piece::Kept(self.end..self.next));
        }
        pieces
    }
}

/// What lines may have been that bear the mark of a change.
pub(super) fn marked(lines: &Lines<'_>) -> Vec<Splice> {
    let mut out = Vec::new();
    // The line behind the run of empty lines that was looked at last.
    let mut behind = 0;
    for line in 0..lines.len() {
        if out.len() > MAX {
            break;
        }
        let text = lines.line(line);
        let here = Place::of(lines, line);
        let mut put = |kind, pieces| out.push(Splice::put(kind, line..line + 1, pieces));
        let quoted = text.iter().take_while(|b| **b == b'>').count();
        if text[quoted..].starts_with(b"From ") {
            if quoted > 0 {
                put(Kind::FromQuoted, here.with(None, 1, b""));
            }
            put(Kind::FromUnquoted, here.with(Some(b">"), 0, b""));
        }
        if text.starts_with(b"..") {
            put(Kind::DotsLeft, here.with(None, 1, b""));
        }
        if text.starts_with(b".") {
            put(Kind::DotsTaken, here.with(Some(b"."), 0, b""));
        }
        let trimmed = trimmed(text).len();
        if trimmed < text.len() {
            let pieces = vec![
                Piece::Kept(here.start..here.start + trimmed),
                Piece::Kept(here.end..here.next),
            ];
            put(Kind::TrailingBlanksAdded, pieces);
        }
        if text == b"--" {
            put(Kind::TrailingBlanksRemoved, here.with(None, 0, b" "));
        }
        if line + 1 < lines.len() && text.len() >= 60 {
            let next = lines.raw(line + 1);
            for cut in [&b""[..], b" ", b"\t"] {
                if next.starts_with(cut) {
                    let pieces = vec![
                        Piece::Kept(here.start..here.end),
                        Piece::Kept(here.next + cut.len()..lines.start(line + 2)),
                    ];
                    out.push(Splice::put(Kind::LinesWrapped, line..line + 2, pieces));
                }
            }
        }
        if text.is_empty() && line >= behind {
            let empty = |at: &usize| lines.line(*at).is_empty();
            let run = (line..lines.len()).take_while(empty).count();
            behind = line + run;
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
