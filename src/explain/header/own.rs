//! The DKIM-Signature field itself, written in another way.

use super::Task;
use super::draft::{Draft, revalued, unfolded};
use super::moves::{Move, Moves};
use crate::explain::kind::Kind;

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
    // As we write it ourselves.
    let ours = task.signature.to_field().into_bytes();
    moves.push(Move::replace(Kind::Refolded, 1, task.position, ours));
    // White space within values: in long ones folds came and went.
    let squeezed: Vec<Vec<u8>> = tags
        .iter()
        .map(|tag| {
            tag.iter()
                .copied()
                .filter(|b| !b.is_ascii_whitespace())
                .collect()
        })
        .collect();
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
        let tight: Vec<u8> = tag
            .iter()
            .copied()
            .filter(|b| !b.is_ascii_whitespace())
            .collect();
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
