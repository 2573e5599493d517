//! What a change did, and where: the bytes as they came held against the bytes as they were signed.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};

use super::kind::Kind;

/// A change that the hash proves: undone, together with the others that are named with it, the message is what was
/// signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What kind of change it is.
    pub kind: Kind,
    /// The header field that it befell; `None` for the body.
    pub field: Option<String>,
    /// More on it in words, such as the two character sets.
    pub detail: Option<String>,
    /// The places, in their order; at most [`Change::MAX_SPOTS`] of them.
    pub spots: Vec<Spot>,
    /// How many places there are.
    pub places: usize,
    /// How many bytes came in at all places together.
    pub added: u64,
    /// How many bytes went.
    pub removed: u64,
}

impl Change {
    /// So many places are kept.
    pub const MAX_SPOTS: usize = 200;
    /// So many bytes of each are kept.
    pub const EXCERPT: usize = 2000;
}

/// A place where bytes came, went, or are others now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The bytes of the message as it came, with each line end as CRLF, counted from its first byte.
    pub at: Range<usize>,
    /// The line of the message, counted from 1.
    pub line: usize,
    /// What stands there: at most [`Change::EXCERPT`] bytes.
    pub came: Vec<u8>,
    /// What was signed: at most [`Change::EXCERPT`] bytes.
    pub signed: Vec<u8>,
    /// How many bytes were signed there.
    pub signed_len: usize,
    /// Whether the place is exact: what was put into a text that was then encoded anew stands somewhere in that.
    pub exact: bool,
}

/// Bytes that are others on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) came: Range<usize>,
    pub(super) signed: Range<usize>,
}

/// Where `came` differs from `signed`, from the top down.
pub(super) fn hunks(came: &[u8], signed: &[u8]) -> Vec<Hunk> {
    let start = common(came.iter().zip(signed));
    let rest = came.len().min(signed.len()) - start;
    let end = common(came.iter().rev().zip(signed.iter().rev())).min(rest);
    let (came_end, signed_end) = (came.len() - end, signed.len() - end);
    if start == came_end && start == signed_end {
        return Vec::new();
    }
    if start == came_end || start == signed_end || came.len() + signed.len() > MAX_COMPARED {
        return vec![whole_lines(
            came,
            signed,
            start..came_end,
            start..signed_end,
        )];
    }
    // Whole lines are compared, then the bytes within them.
    let line_start = came[..start]
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let (old, new) = (
        cut(&came[line_start..], line_start),
        cut(&signed[line_start..], line_start),
    );
    let old_lines: Vec<&[u8]> = old.iter().map(|at| &came[at.clone()]).collect();
    let new_lines: Vec<&[u8]> = new.iter().map(|at| &signed[at.clone()]).collect();
    let deadline = Instant::now() + Duration::from_millis(500);
    let ops =
        capture_diff_slices_deadline(Algorithm::Myers, &old_lines, &new_lines, Some(deadline));
    let span = |lines: &[Range<usize>], range: Range<usize>, end: usize| {
        let first = lines.get(range.start).map_or(end, |at| at.start);
        let last = match range.end.checked_sub(1) {
            Some(last) if range.end > range.start => lines[last].end,
            _ => first,
        };
        first..last
    };
    ops.iter()
        .filter(|op| op.tag() != DiffTag::Equal)
        .flat_map(|op| {
            let old = span(&old, op.old_range(), came.len());
            let new = span(&new, op.new_range(), signed.len());
            within(came, signed, old, new)
        })
        .collect()
}

/// Longer texts are told apart at their two ends alone.
const MAX_COMPARED: usize = 4 << 20;

/// How many pairs at the beginning are alike.
fn common<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    pairs.take_while(|(a, b)| a == b).count()
}

/// Where something was put in or taken out, the cut may lie anywhere within what both sides have: it is put where a
/// line begins.
fn whole_lines(came: &[u8], signed: &[u8], at: Range<usize>, was: Range<usize>) -> Hunk {
    let (longer, span) = match at.is_empty() {
        true => (signed, was.clone()),
        false => (came, at.clone()),
    };
    let shift = match at.is_empty() || was.is_empty() {
        false => 0,
        true => {
            let backs = || {
                (0..=span.start).take_while(|back| {
                    *back == 0 || longer[span.start - back] == longer[span.end - back]
                })
            };
            let at_line =
                |back: &usize| span.start == *back || longer[span.start - back - 1] == b'\n';
            // Within a line, HTML is put in between tags.
            let at_tag = |back: &usize| longer.get(span.start - back) == Some(&b'<');
            backs()
                .find(at_line)
                .or_else(|| backs().find(at_tag))
                .unwrap_or(0)
        }
    };
    Hunk {
        came: at.start - shift..at.end - shift,
        signed: was.start - shift..was.end - shift,
    }
}

/// The lines of `text`, which begins at `offset`.
fn cut(text: &[u8], offset: usize) -> Vec<Range<usize>> {
    let mut at = 0;
    let mut lines = Vec::new();
    while at < text.len() {
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |lf| at + lf + 1);
        lines.push(offset + at..offset + end);
        at = end;
    }
    lines
}

/// The differences within two pieces of text: where both are short, byte for byte.
fn within(came: &[u8], signed: &[u8], old: Range<usize>, new: Range<usize>) -> Vec<Hunk> {
    let (a, b) = (&came[old.clone()], &signed[new.clone()]);
    if a.is_empty() || b.is_empty() {
        return vec![Hunk {
            came: old,
            signed: new,
        }];
    }
    let start = common(a.iter().zip(b));
    let end = common(a.iter().rev().zip(b.iter().rev())).min(a.len().min(b.len()) - start);
    let (old, new) = (
        old.start + start..old.end - end,
        new.start + start..new.end - end,
    );
    let (a, b) = (&came[old.clone()], &signed[new.clone()]);
    if a.is_empty() || b.is_empty() || a.len() > 20_000 || b.len() > 20_000 {
        return vec![Hunk {
            came: old,
            signed: new,
        }];
    }
    let deadline = Instant::now() + Duration::from_millis(20);
    let ops = capture_diff_slices_deadline(Algorithm::Myers, a, b, Some(deadline));
    let ops: Vec<_> = ops.iter().filter(|op| op.tag() != DiffTag::Equal).collect();
    // Where nothing is left of the text, letters that are alike by chance say nothing.
    let changed: usize = ops
        .iter()
        .map(|op| op.old_range().len().max(op.new_range().len()))
        .sum();
    if 2 * changed > a.len().max(b.len()) {
        return vec![Hunk {
            came: old,
            signed: new,
        }];
    }
    let hunk = |came: Range<usize>, signed: Range<usize>| Hunk {
        came: old.start + came.start..old.start + came.end,
        signed: new.start + signed.start..new.start + signed.end,
    };
    ops.iter()
        .map(|op| hunk(op.old_range(), op.new_range()))
        .collect()
}

/// Whole words, where what is another within them would say little.
pub(super) fn in_words(came: &[u8], signed: &[u8], hunk: &Hunk) -> Hunk {
    const FEW: usize = 4;
    let one_side = hunk.came.is_empty() || hunk.signed.is_empty();
    let long = hunk.came.len().max(hunk.signed.len()) >= FEW;
    let breaks = |text: &[u8]| text.contains(&b'\n');
    let lines = breaks(&came[hunk.came.clone()]) || breaks(&signed[hunk.signed.clone()]);
    if one_side && long || lines {
        return hunk.clone();
    }
    // As far as both sides are alike: behind that, another change may begin.
    let word = |(a, b): &(&u8, &u8)| a == b && !a.is_ascii_whitespace();
    let (left, right) = (&came[..hunk.came.start], &signed[..hunk.signed.start]);
    let before = left
        .iter()
        .rev()
        .zip(right.iter().rev())
        .take_while(word)
        .take(60)
        .count();
    let (left, right) = (&came[hunk.came.end..], &signed[hunk.signed.end..]);
    let behind = left.iter().zip(right).take_while(word).take(60).count();
    Hunk {
        came: hunk.came.start - before..hunk.came.end + behind,
        signed: hunk.signed.start - before..hunk.signed.end + behind,
    }
}

/// Leads places in a text that was mended back to those in the text before.
pub(super) fn back(hunks: &[Hunk], at: usize) -> usize {
    let before = hunks
        .iter()
        .take_while(|hunk| hunk.signed.start <= at)
        .last();
    match before {
        None => at,
        Some(hunk) if at < hunk.signed.end => {
            (hunk.came.start + (at - hunk.signed.start)).min(hunk.came.end)
        }
        Some(hunk) => hunk.came.end + (at - hunk.signed.end),
    }
}

/// A step back: what a text is once a change is undone.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) kind: Kind,
    pub(super) detail: Option<String>,
    pub(super) text: Vec<u8>,
}

impl Stage {
    pub(super) fn new(kind: Kind, detail: Option<String>, text: Vec<u8>) -> Stage {
        Stage { kind, detail, text }
    }
}

/// The changes that lead back from `came`, which begins at byte `offset` and in line `line` of the message, through
/// each stage.
pub(super) fn staged(came: &[u8], offset: usize, line: usize, stages: &[Stage]) -> Vec<Change> {
    let mut before = came;
    // How each text so far leads back to the one before.
    let mut path: Vec<Vec<Hunk>> = Vec::new();
    let mut changes = Vec::new();
    for stage in stages {
        let hunks = hunks(before, &stage.text);
        let lead = |at: usize| path.iter().rev().fold(at, |at, hunks| back(hunks, at));
        let shown: Vec<Hunk> = hunks
            .iter()
            .take(Change::MAX_SPOTS)
            .map(|hunk| in_words(before, &stage.text, hunk))
            .collect();
        let place = |hunk: &Hunk| {
            let start = lead(hunk.came.start);
            start..lead(hunk.came.end).max(start)
        };
        let places: Vec<Range<usize>> = shown.iter().map(place).collect();
        let exact = |hunk: &Hunk| {
            let mut at = hunk.came.start;
            path.iter().rev().all(|hunks| {
                let within = |hunk: &Hunk| hunk.signed.start < at && at < hunk.signed.end;
                let exact = !hunks.iter().any(within);
                at = back(hunks, at);
                exact
            })
        };
        let mut counted = (0, line);
        let spots = shown.iter().zip(places).map(|(hunk, at)| {
            if at.start >= counted.0 {
                counted.1 +=
                    memchr::memchr_iter(b'\n', &came[counted.0..at.start.min(came.len())]).count();
                counted.0 = at.start;
            }
            Spot {
                at: offset + at.start..offset + at.end,
                line: counted.1,
                came: excerpt(&before[hunk.came.clone()]),
                signed: excerpt(&stage.text[hunk.signed.clone()]),
                signed_len: hunk.signed.len(),
                exact: exact(hunk),
            }
        });
        let spots = spots.collect();
        let sum = |range: fn(&Hunk) -> &Range<usize>| {
            hunks.iter().map(|hunk| range(hunk).len() as u64).sum()
        };
        changes.push(Change {
            kind: stage.kind,
            field: None,
            detail: stage.detail.clone(),
            places: hunks.len(),
            added: sum(|hunk| &hunk.came),
            removed: sum(|hunk| &hunk.signed),
            spots,
        });
        path.push(hunks);
        before = &stage.text;
    }
    changes
}

pub(super) fn excerpt(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(Change::EXCERPT)].to_vec()
}
