//! A piece of a message in lines: what came, what was signed in its place, and what is left out.

use std::ops::Range;

use dkimkit::explain::{Change, Kind as Cause, Spot};
use memchr::{memchr, memchr_iter, memrchr};

use crate::cli::page::Html;
use dkimkit::report::grouped;

/// A place that was changed, apart from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The bytes that came.
    pub(super) at: Range<usize>,
    /// What was signed there, or its beginning.
    pub(super) signed: Vec<u8>,
    /// How many bytes were signed there.
    pub(super) signed_len: usize,
    /// Whether a whole field is gone.
    pub(super) is_field: bool,
}

/// The places of all changes, from the top down. Where two changes befell the same bytes, the first one has them.
pub(super) fn marks<'e>(text: &[u8], changes: impl Iterator<Item = &'e Change>) -> Vec<Mark> {
    // What a signer did wrong befell no byte of the message.
    let changes = changes.filter(|change| !change.kind.is_of_signer());
    let with_kind = |change: &'e Change| change.spots.iter().map(|spot| (spot, change.kind));
    let mut spots: Vec<(&Spot, Cause)> = changes.flat_map(with_kind).collect();
    spots.sort_by_key(|(spot, _)| (spot.at.start, spot.at.end));
    let mut marks: Vec<Mark> = Vec::new();
    let mut from = 0;
    for (spot, kind) in spots {
        let start = spot.at.start.max(from).min(text.len());
        let end = spot.at.end.clamp(start, text.len());
        if start == end && spot.signed_len == 0 {
            continue;
        }
        let mut mark = Mark {
            at: start..end,
            signed: spot.signed.clone(),
            signed_len: spot.signed_len,
            is_field: kind == Cause::FieldRemoved,
        };
        if mark.signed.len() == mark.signed_len {
            mark.widen(text, from);
        }
        from = mark.at.end;
        marks.push(mark);
    }
    marks
}

impl Mark {
    /// Takes in the rest of the characters that are cut by its ends: letters may differ in one of their bytes.
    fn widen(&mut self, text: &[u8], from: usize) {
        let inner = |at: usize| text.get(at).is_some_and(|b| is_inner(*b));
        let cut = |bytes: &[u8]| bytes.first().is_some_and(|b| is_inner(*b));
        let mut start = self.at.start;
        if start > from && (inner(start) || cut(&self.signed)) {
            start = boundary(text, start - 1, from);
        }
        let mut end = self.at.end;
        while inner(end) && end < self.at.end + 3 {
            end += 1;
        }
        let (before, behind) = (&text[start..self.at.start], &text[self.at.end..end]);
        self.signed = [before, &self.signed, behind].concat();
        self.signed_len = self.signed.len();
        self.at = start..end;
    }
}

/// Whether a byte of UTF-8 begins no character.
fn is_inner(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Where the character begins that has the byte at `at`, if that is not before `least`.
fn boundary(text: &[u8], at: usize, least: usize) -> usize {
    let places = (0..4).filter_map(|back| at.checked_sub(back));
    let mut places = places.take_while(|place| *place >= least);
    let begins = |place: &usize| text.get(*place).is_none_or(|b| !is_inner(*b));
    places.find(begins).unwrap_or(at)
}

/// How much is shown of a long piece, besides what was changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Much {
    /// Lines at its beginning.
    pub(super) head: usize,
    /// Lines at its end.
    pub(super) tail: usize,
    /// Bytes of each of the two.
    pub(super) bytes: usize,
}

/// So many lines are shown around a change, and so many bytes of them.
const AROUND: (usize, usize) = (3, 600);

/// What is shown of a line that is longer than `LONG`: its beginning, its end, and what is around a change.
const LONG: usize = 1500;
const LONG_HEAD: usize = 800;
const LONG_TAIL: usize = 200;
const LONG_AROUND: usize = 150;

/// The bytes of `range` that are shown, from the top down.
pub(super) fn shown(
    text: &[u8],
    range: &Range<usize>,
    marks: &[&Mark],
    much: Much,
) -> Vec<Range<usize>> {
    let window = |from: usize, lines: usize, bytes: usize| down(text, range, from, lines, bytes);
    let mut kept = Vec::with_capacity(2 + 2 * marks.len());
    kept.push(range.start..window(range.start, much.head, much.bytes));
    for mark in marks {
        // A change may reach over the ends of the piece.
        let edges = [mark.at.start, mark.at.end];
        for edge in edges
            .into_iter()
            .filter(|edge| (range.start..=range.end).contains(edge))
        {
            // The line of the edge itself is there whole.
            let line = up(text, range, edge, 0, usize::MAX);
            let end = down(text, range, edge, 1, usize::MAX);
            let (lines, bytes) = AROUND;
            kept.push(up(text, range, line, lines, bytes)..window(end, lines, bytes));
        }
    }
    kept.push(up(text, range, range.end, much.tail, much.bytes)..range.end);
    merged(kept)
        .into_iter()
        .flat_map(|range| shortened(text, range, marks))
        .collect()
}

/// Where `lines` lines end that begin at `from`, or earlier ones if those have too many bytes.
fn down(text: &[u8], range: &Range<usize>, from: usize, lines: usize, bytes: usize) -> usize {
    let mut at = from;
    for _ in 0..lines {
        let rest = &text[at..range.end];
        let end = memchr(b'\n', rest).map_or(range.end, |lf| at + lf + 1);
        if end - from > bytes && at > from {
            break;
        }
        at = end;
    }
    at
}

/// Where `lines` lines begin that stand above the line of `from`.
fn up(text: &[u8], range: &Range<usize>, from: usize, lines: usize, bytes: usize) -> usize {
    let start = |end: usize| {
        memrchr(b'\n', &text[range.start..end]).map_or(range.start, |lf| range.start + lf + 1)
    };
    let mut at = start(from);
    for _ in 0..lines {
        if at == range.start {
            break;
        }
        let above = start(at - 1);
        if from - above > bytes && at < from {
            break;
        }
        at = above;
    }
    at
}

/// Ranges in their order, those that touch as one.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// The same without the middle of long lines.
fn shortened(text: &[u8], range: Range<usize>, marks: &[&Mark]) -> Vec<Range<usize>> {
    let mut kept = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let end = memchr(b'\n', &text[at..range.end]).map_or(range.end, |lf| at + lf + 1);
        if end - at <= LONG {
            kept.push(at..end);
        } else {
            kept.push(at..boundary(text, at + LONG_HEAD, at));
            kept.push(boundary(text, end - LONG_TAIL, at)..end);
            let edges = marks.iter().flat_map(|mark| [mark.at.start, mark.at.end]);
            for edge in edges.filter(|edge| (at..end).contains(edge)) {
                let from = edge.saturating_sub(LONG_AROUND).max(at);
                let to = (edge + LONG_AROUND).min(end);
                kept.push(boundary(text, from, at)..boundary(text, to, at));
            }
        }
        at = end;
    }
    merged(kept)
}

/// Writes `range` of `text` as lines, with what was changed there marked. `line` is the number of its first line; returns
/// that of the line behind it.
pub(super) fn rows(
    html: &mut Html,
    text: &[u8],
    range: Range<usize>,
    marks: &[&Mark],
    much: Much,
    line: usize,
) -> usize {
    let mut rows = Rows {
        html,
        line,
        begun: false,
        parts: Vec::new(),
    };
    let mut at = range.start;
    for kept in shown(text, &range, marks, much) {
        rows.leave_out(text, at..kept.start);
        at = kept.start;
        for mark in marks {
            let start = mark.at.start.clamp(at, kept.end);
            rows.take(Kind::Same, &text[at..start]);
            at = start;
            if (kept.start..kept.end).contains(&mark.at.start) {
                rows.signed(mark);
            }
            let end = mark.at.end.clamp(at, kept.end);
            rows.take(Kind::Came, &text[at..end]);
            at = end;
        }
        rows.take(Kind::Same, &text[at..kept.end]);
        at = kept.end;
    }
    rows.leave_out(text, at..range.end);
    for mark in marks.iter().filter(|mark| mark.at.start == range.end) {
        rows.signed(mark);
    }
    rows.flush();
    rows.line
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Same,
    Came,
    Signed,
}

/// A part of a line.
enum Part<'t> {
    /// Bytes without the line end; the flag says that it ends here.
    Bytes(Kind, &'t [u8], bool),
    /// So many bytes are not shown.
    LeftOut(usize),
}

/// Lines on their way to the page.
struct Rows<'h, 't> {
    html: &'h mut Html,
    line: usize,
    /// Whether a row of this line is there already.
    begun: bool,
    parts: Vec<Part<'t>>,
}

impl<'t> Rows<'_, 't> {
    fn take(&mut self, kind: Kind, bytes: &'t [u8]) {
        let mut rest = bytes;
        while let Some(lf) = memchr(b'\n', rest) {
            let line = &rest[..lf];
            // What ends a line here is CRLF. An LF alone is seen.
            self.parts.push(match line.strip_suffix(b"\r") {
                Some(line) => Part::Bytes(kind, line, true),
                None if line.is_empty() && self.ends_with_cr() => Part::Bytes(kind, line, true),
                None => Part::Bytes(kind, &rest[..=lf], false),
            });
            rest = &rest[lf + 1..];
            self.flush();
            if kind != Kind::Signed {
                self.line += 1;
                self.begun = false;
            }
        }
        if !rest.is_empty() {
            self.parts.push(Part::Bytes(kind, rest, false));
        }
    }

    fn ends_with_cr(&self) -> bool {
        matches!(self.parts.last(), Some(Part::Bytes(_, bytes, _)) if bytes.ends_with(b"\r"))
    }

    fn signed(&mut self, mark: &'t Mark) {
        // Much text is judged by its beginning, as what came is.
        let end = boundary(&mark.signed, mark.signed.len().min(LONG), 0);
        let end = if mark.signed.len() <= LONG {
            mark.signed.len()
        } else {
            end
        };
        self.take(Kind::Signed, &mark.signed[..end]);
        if end < mark.signed_len {
            self.parts.push(Part::LeftOut(mark.signed_len - end));
        }
    }

    fn leave_out(&mut self, text: &[u8], gap: Range<usize>) {
        if gap.is_empty() {
            return;
        }
        let bytes = &text[gap.clone()];
        let lines = memchr_iter(b'\n', bytes).count();
        if self.parts.is_empty() && bytes.ends_with(b"\n") {
            let lines = match lines {
                1 => "1 line".to_owned(),
                lines => format!("{} lines", grouped(lines)),
            };
            let text = format!(
                "… {lines} ({} bytes) not shown here …",
                grouped(bytes.len())
            );
            self.html.say("div", "gap", &text);
            self.begun = false;
        } else {
            self.parts.push(Part::LeftOut(bytes.len()));
        }
        self.line += lines;
    }

    /// Writes a row.
    fn flush(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        if parts.is_empty() {
            return;
        }
        let has = |wanted| {
            parts
                .iter()
                .any(|part| matches!(part, Part::Bytes(kind, ..) if *kind == wanted))
        };
        let (class, sign) = match (has(Kind::Came), has(Kind::Signed)) {
            (false, false) => ("l", ""),
            (true, false) => ("l came", "+"),
            (false, true) => ("l gone", "−"),
            (true, true) => ("l both", "±"),
        };
        let number = if self.begun || has(Kind::Signed) && !has(Kind::Came) && !has(Kind::Same) {
            String::new()
        } else {
            self.begun = true;
            self.line.to_string()
        };
        self.html.element("div", class, |html| {
            html.say("span", "n", &format!("{number}{sign}"));
            html.element("span", "t", |html| {
                for part in &parts {
                    part.write(html);
                }
            });
        });
    }
}

impl Part<'_> {
    fn write(&self, html: &mut Html) {
        match *self {
            Part::Bytes(Kind::Same, bytes, ends) => html.line(bytes, ends),
            Part::Bytes(kind, bytes, ends) => {
                let name = if kind == Kind::Came { "ins" } else { "del" };
                html.element(name, "", |html| {
                    html.line(bytes, ends);
                    if ends {
                        html.line_end();
                    }
                });
            }
            Part::LeftOut(bytes) => {
                html.say(
                    "span",
                    "gap",
                    &format!(" … {} bytes not shown here … ", grouped(bytes)),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
