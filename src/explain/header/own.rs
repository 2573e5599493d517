//! The DKIM-Signature field itself, written in another way.

use super::Task;
use super::draft::{Draft, revalued, unfolded};
use super::moves::Move;
use crate::explain::kind::Kind;

pub(super) fn moves(task: &Task<'_>, draft: &Draft, moves: &mut Vec<Move>) {
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
