//! The DKIM-Signature field itself, written in another way.

use std::ops::Range;

use super::Task;
use super::draft::{Draft, revalued, unfolded, value};
use super::fold::folds_as;
use super::moves::{Move, Moves};
use crate::explain::bytes;
use crate::explain::kind::Kind;
use crate::message::is_wsp;

pub(super) fn moves(task: &Task<'_>, draft: &Draft, moves: &mut Moves<'_>) {
    let Some(raw) = draft.field(task.position) else {
        return;
    };
    let text = unfolded(raw);
    let tags: Vec<&[u8]> = text.split(|b| *b == b';').map(<[u8]>::trim_ascii).collect();
    let ends = tags.last().is_some_and(|tag| tag.is_empty());
    let tags: Vec<&[u8]> = tags.into_iter().filter(|tag| !tag.is_empty()).collect();
    for separator in [&b"; "[..], b";", b" ; ", b";\r\n\t", b";\r\n "] {
        for end in [&b""[..], b";"] {
            let cost = if (end == b";") == ends { 1 } else { 2 };
            let value = [tags.join(separator).as_slice(), end].concat();
            moves.push(
                Move::replace(
                    Kind::SignatureDamaged,
                    cost,
                    task.position,
                    revalued(raw, &value),
                )
                .noting("its white space was changed"),
            );
        }
    }
    for value in folded(&tags) {
        moves.push(Move::replace(
            Kind::Refolded,
            2,
            task.position,
            revalued(raw, &value),
        ));
        let ended = [value.as_slice(), b";"].concat();
        moves.push(Move::replace(
            Kind::Refolded,
            if ends { 2 } else { 3 },
            task.position,
            revalued(raw, &ended),
        ));
    }
    // One blank within a value, and the folds as they are.
    let value_at = raw.len() - value(raw).len();
    let blanks = (value_at + 2..raw.len())
        .filter(|at| is_wsp(raw[*at]) && !raw[at - 1].is_ascii_whitespace());
    for at in blanks.filter(|at| raw[at - 1] != b';').take(60) {
        let len = raw[at..].iter().take_while(|b| is_wsp(**b)).count();
        if !raw[at + len..].starts_with(b"\r\n") {
            let without = [&raw[..at], &raw[at + len..]].concat();
            moves.push(Move::replace(
                Kind::SignatureDamaged,
                1,
                task.position,
                without,
            ));
        }
    }
    relics(task.position, raw, moves);
    // As we write it ourselves.
    let ours = task.signature.to_field().into_bytes();
    moves.push(Move::replace(Kind::Refolded, 1, task.position, ours));
    // White space within values: in long ones folds came and went.
    let squeezed: Vec<Vec<u8>> = tags.iter().map(|tag| bytes::squeezed(tag)).collect();
    for separator in [&b"; "[..], b";"] {
        let value = squeezed.join(separator);
        moves.push(
            Move::replace(
                Kind::SignatureDamaged,
                1,
                task.position,
                revalued(raw, &value),
            )
            .noting("its white space was changed"),
        );
        let value = [value.as_slice(), b";"].concat();
        moves.push(
            Move::replace(
                Kind::SignatureDamaged,
                2,
                task.position,
                revalued(raw, &value),
            )
            .noting("its white space was changed"),
        );
    }
}

/// White space within a value is what a fold left, or was put there; the folds between tags left none that could be
/// told from others, and may have been at any of them.
fn relics(position: usize, raw: &[u8], moves: &mut Moves<'_>) {
    const LONGEST_LINE: usize = 90;
    const MOST: usize = 2_000;
    /// A longer field holds z= or too much, and would take all room.
    const LONGEST: usize = 4_000;
    let text = folds_as(value(raw), b" ", true).trim_ascii().to_vec();
    let mut between = Vec::new();
    let mut within = Vec::new();
    let mut from = 0;
    for tag in text.split_inclusive(|b| *b == b';') {
        let start = tag.iter().take_while(|b| is_wsp(**b)).count();
        if start > 0 && from > 0 {
            between.push(from..from + start);
        }
        // What b= is does not count.
        if !tag[start..].starts_with(b"b=") {
            let end = start + tag[start..].trim_ascii_end().len();
            let blanks = (start..end).filter(|at| is_wsp(tag[*at]) && !is_wsp(tag[at - 1]));
            within.extend(blanks.map(|at| {
                let len = tag[at..].iter().take_while(|b| is_wsp(**b)).count();
                from + at..from + at + len
            }));
        }
        from += tag.len();
    }
    let with = |folds: &[(&Range<usize>, &[u8])]| {
        let mut out = Vec::with_capacity(text.len() + 64);
        let mut from = 0;
        for (place, fold) in folds {
            out.extend_from_slice(&text[from..place.start]);
            out.extend_from_slice(fold);
            from = place.end;
        }
        out.extend_from_slice(&text[from..]);
        out
    };
    let mut push = |kind, cost, value: Vec<u8>| {
        moves.push(Move::replace(kind, cost, position, revalued(raw, &value)));
        !moves.is_full()
    };
    for blank in within.iter().take(60) {
        push(Kind::SignatureDamaged, 1, with(&[(blank, b"")]));
    }
    let none: Vec<_> = within.iter().map(|blank| (blank, &b""[..])).collect();
    if !push(Kind::SignatureDamaged, 1, with(&none)) || text.len() > LONGEST {
        return;
    }
    for folds_within in [true, false] {
        if within.is_empty() && !folds_within {
            continue;
        }
        // Each choice of folds between tags that leaves no long line where it could have been folded.
        let mut chosen: Vec<(Vec<&Range<usize>>, usize)> = vec![(Vec::new(), 0)];
        for (nth, place) in between.iter().enumerate() {
            let next = between.get(nth + 1).map_or(text.len(), |next| next.start);
            let first = within.iter().find(|w| (place.end..next).contains(&w.start));
            let next = first.filter(|_| folds_within).map_or(next, |w| w.start);
            let broken = within.iter().rev().find(|w| w.start < place.start);
            let broken = broken.filter(|_| folds_within).map_or(0, |w| w.end);
            let mut longer = Vec::new();
            for (folds, start) in &chosen {
                let start = broken.max(*start);
                let here = folds.iter().copied().chain([place]).collect();
                longer.push((here, place.end));
                if next - start < LONGEST_LINE {
                    longer.push((folds.clone(), start));
                }
            }
            longer.truncate(MOST);
            chosen = longer;
        }
        for (between, _) in chosen {
            let mut folds = between;
            if folds_within {
                folds.extend(&within);
            }
            folds.sort_by_key(|place| place.start);
            for indent in INDENTS {
                let folds: Vec<_> = folds.iter().map(|place| (*place, indent)).collect();
                if !push(Kind::Refolded, 2, with(&folds)) {
                    return;
                }
            }
        }
    }
}

/// A fold, with the white space that stands behind it.
const INDENTS: [&[u8]; 5] = [b"\r\n ", b"\r\n\t", b"\r\n        ", b"\r\n    ", b"\r\n  "];

/// The tags folded at a width, as signers do: between tags, within h= behind a colon, and within base64 anywhere.
fn folded(tags: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for indent in [&b" "[..], b"\t", b"        ", b"    ", b"  "] {
        for width in (60..=80).chain([998]) {
            for space in [&b" "[..], b""] {
                for within in [true, false] {
                    out.push(fold(tags, width, indent, space, within));
                }
            }
        }
        // A line for each tag.
        let mark = [b";\r\n", indent].concat();
        out.push(tags.join(mark.as_slice()));
    }
    out
}

fn fold(tags: &[&[u8]], width: usize, indent: &[u8], space: &[u8], within: bool) -> Vec<u8> {
    // What stands before the value: the name, the colon and a blank.
    let mut column = crate::signature::FIELD_NAME.len() + 2;
    let mut out: Vec<u8> = Vec::new();
    let last = tags.len().saturating_sub(1);
    for (nth, tag) in tags.iter().enumerate() {
        let tight = bytes::squeezed(tag);
        let pieces: Vec<&[u8]> = match within && tight.starts_with(b"h=") {
            true => tight.split_inclusive(|b| *b == b':').collect(),
            false => vec![&tight],
        };
        for (at, piece) in pieces.iter().enumerate() {
            let gap: &[u8] = if at == 0 && nth > 0 { space } else { b"" };
            let mark = usize::from(at + 1 == pieces.len() && nth < last);
            if column + gap.len() + piece.len() + mark > width && !out.is_empty() {
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(indent);
                column = indent.len();
            } else {
                out.extend_from_slice(gap);
                column += gap.len();
            }
            out.extend_from_slice(piece);
            column += piece.len();
        }
        if nth < last {
            out.push(b';');
            column += 1;
        }
    }
    out
}
