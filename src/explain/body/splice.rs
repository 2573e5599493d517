//! Lines replaced by others: which of very many such hypotheses gives the hash that was signed.

use std::ops::Range;

use crate::explain::change::Stage;
use crate::explain::kind::Kind;
use crate::explain::lines::{Lines, Probe};
use crate::explain::search::Share;
use crate::explain::target::BodyTarget;

/// Lines that are taken out, and what is put in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) kind: Kind,
    pub(super) lines: Range<usize>,
    /// Lines with their CRLF, in pieces: a copy of a long line for each place in it would take all memory.
    with: Vec<Piece>,
}

/// A piece of what is put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes of the body.
    Kept(Range<usize>),
    Put(&'static [u8]),
    Made(Vec<u8>),
}

impl Splice {
    /// Takes lines out.
    pub(super) fn out(kind: Kind, lines: Range<usize>) -> Splice {
        Splice::put(kind, lines, Vec::new())
    }

    /// Puts text in the place of lines.
    pub(super) fn put(kind: Kind, lines: Range<usize>, with: Vec<Piece>) -> Splice {
        Splice { kind, lines, with }
    }

    /// Takes bytes out, which may begin and end within lines.
    pub(super) fn cut(kind: Kind, lines: &Lines<'_>, bytes: Range<usize>) -> Splice {
        let first = lines.at(bytes.start).min(lines.len());
        let mut last = lines.at(bytes.end).min(lines.len());
        let mut with = Vec::new();
        if lines.start(first) < bytes.start {
            with.push(Piece::Kept(lines.start(first)..bytes.start));
        }
        if last < lines.len() && (bytes.end > lines.start(last) || !with.is_empty()) {
            with.push(Piece::Kept(bytes.end..lines.start(last + 1)));
            last += 1;
        }
        Splice::put(kind, first..last, with)
    }

    /// What is put in.
    fn text(&self, lines: &Lines<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.with {
            out.extend_from_slice(match piece {
                Piece::Kept(range) => &lines.text[range.clone()],
                Piece::Put(bytes) => bytes,
                Piece::Made(bytes) => bytes,
            });
        }
        out
    }

    /// The body with it done.
    pub(super) fn done(&self, lines: &Lines<'_>) -> Vec<u8> {
        let (start, end) = (lines.start(self.lines.start), lines.start(self.lines.end));
        [&lines.text[..start], &self.text(lines), &lines.text[end..]].concat()
    }

    pub(super) fn stage(&self, lines: &Lines<'_>) -> Stage {
        let out = &lines.text[lines.start(self.lines.start)..lines.start(self.lines.end)];
        let with = self.text(lines);
        let start = out.iter().zip(&with).take_while(|(a, b)| a == b).count();
        let (out, with) = (&out[start..], &with[start..]);
        let end = out.iter().rev().zip(with.iter().rev());
        let end = end.take_while(|(a, b)| a == b).count();
        let (out, with) = (&out[..out.len() - end], &with[..with.len() - end]);
        let is_blank = |text: &[u8]| text.trim_ascii().is_empty();
        let breaks = out.contains(&b'\n') || with.contains(&b'\n');
        let kind = match breaks && is_blank(out) && is_blank(with) {
            true if out.len() > with.len() => Kind::BlankLinesAdded,
            true => Kind::BlankLinesRemoved,
            false => self.kind,
        };
        Stage::new(kind, None, self.done(lines))
    }

    /// Lets `probe`, which stands before its lines, take what is put in their place.
    fn feed(&self, lines: &Lines<'_>, probe: &mut Probe) {
        if !self.with.is_empty() {
            probe.lines(&self.text(lines));
        }
    }
}

/// Splices in the order of their lines, each once.
pub(super) fn sorted(splices: impl Iterator<Item = Splice>) -> Vec<Splice> {
    let mut list: Vec<Splice> = splices.collect();
    list.sort_by(|a, b| {
        let key = |s: &Splice| (s.lines.start, s.lines.end);
        key(a).cmp(&key(b))
    });
    list.dedup_by(|a, b| a.lines == b.lines && a.with == b.with);
    list
}

pub(super) fn merged(a: &[Splice], b: &[Splice]) -> Vec<Splice> {
    sorted(a.iter().chain(b).cloned())
}

/// Walks through splices in the order of their first lines, with the hash of all lines before each.
struct Walk<'l, 't> {
    lines: &'l Lines<'t>,
    probe: Probe,
    at: usize,
}

impl Walk<'_, '_> {
    fn to(&mut self, line: usize) -> &Probe {
        self.lines.feed(&mut self.probe, self.at..line);
        self.at = line;
        &self.probe
    }
}

/// The first splice, in the order of the list, with which the body is what was signed.
///
/// `splices` are [`sorted`].
pub(super) fn one<'s>(
    lines: &Lines<'_>,
    target: &BodyTarget,
    share: &Share<'_>,
    splices: &'s [Splice],
) -> Option<&'s Splice> {
    let jobs: Vec<&[Splice]> = splices.chunks(128).collect();
    share.first(&jobs, |chunk| {
        let mut walk = Walk {
            lines,
            probe: lines.begin(target),
            at: 0,
        };
        for splice in chunk.iter() {
            if share.is_over() {
                return None;
            }
            share.count(1);
            let mut probe = walk.to(splice.lines.start).clone();
            splice.feed(lines, &mut probe);
            if lines.ends_as(&probe, splice.lines.end, target) {
                return Some(splice);
            }
        }
        None
    })
}

/// Two splices, one behind the other; with `ends` also one, and text behind the end.
///
/// Both lists are [`sorted`].
pub(super) fn two(
    lines: &Lines<'_>,
    target: &BodyTarget,
    share: &Share<'_>,
    first: &[Splice],
    second: &[Splice],
    ends: bool,
) -> Option<Vec<Stage>> {
    let jobs: Vec<&[Splice]> = first.chunks(8).collect();
    let (one, two) = share.first(&jobs, |chunk| {
        let mut walk = Walk {
            lines,
            probe: lines.begin(target),
            at: 0,
        };
        for splice in chunk.iter() {
            let mut probe = walk.to(splice.lines.start).clone();
            splice.feed(lines, &mut probe);
            let from = splice.lines.end;
            if ends && let Some(end) = early(lines, target, share, &probe, from) {
                let end = Splice::out(Kind::TextAppended, end..lines.len());
                return Some((splice.clone(), end));
            }
            let behind = second.partition_point(|s| s.lines.start < from);
            let mut walk = Walk {
                lines,
                probe,
                at: from,
            };
            for other in &second[behind..] {
                if share.is_over() {
                    return None;
                }
                share.count(1);
                let mut probe = walk.to(other.lines.start).clone();
                other.feed(lines, &mut probe);
                if lines.ends_as(&probe, other.lines.end, target) {
                    return Some((splice.clone(), other.clone()));
                }
            }
        }
        None
    })?;
    // What stands behind is undone first, so that the lines before keep their numbers.
    let last = two.stage(lines);
    let between = Lines::new(&last.text, target);
    let whole = one.stage(&between);
    Some(vec![last, whole])
}

/// The line with which the body ended, if text was put behind it.
fn early(
    lines: &Lines<'_>,
    target: &BodyTarget,
    share: &Share<'_>,
    probe: &Probe,
    from: usize,
) -> Option<usize> {
    if target.octets().is_some() {
        return None;
    }
    let mut probe = probe.clone();
    for line in from..lines.len() {
        if line % 64 == 0 && share.is_over() {
            return None;
        }
        if !lines.is_blank(line) {
            share.count(1);
            if target.is(&probe.digest()) {
                return Some(line);
            }
        }
        lines.feed(&mut probe, line..line + 1);
    }
    None
}
