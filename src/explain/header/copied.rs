//! z=: the fields as the signer copied them (RFC 6376 §3.5).

use super::Task;
use super::draft::{Draft, Edit, revalued, unfolded};
use super::moves::Move;
use crate::canon::Canon;
use crate::explain::kind::Kind;
use crate::signature::decode_quoted_printable;
use crate::tag::TagList;

/// So many copies are read.
const MAX: usize = 500;

pub(super) fn moves(task: &Task<'_>, draft: &Draft, moves: &mut Vec<Move>) {
    let Some(raw) = draft.field(task.position) else {
        return;
    };
    let copies = copies(super::draft::value(raw));
    if copies.is_empty() {
        return;
    }
    let mut edits = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for (name, _) in &copies {
        let name = name.to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut kinds = Vec::new();
    for wanted in names {
        let of_name = copies
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(&wanted));
        let was: Vec<&Vec<u8>> = of_name.map(|(_, value)| value).collect();
        let came: Vec<usize> = draft
            .named(&wanted)
            .iter()
            .filter_map(|(at, _)| *at)
            .filter(|at| *at != task.position)
            .collect();
        let mut here = restored(task, draft, &wanted, &came, &was);
        if here.is_empty() {
            continue;
        }
        let kind = kind_of(&wanted, came.len(), was.len());
        let detail = "z= has it as it was";
        moves.push(Move::new(kind, 1, here.clone()).noting(detail));
        kinds.push(kind);
        edits.append(&mut here);
    }
    // All that z= knows, at once.
    if kinds.len() > 1 {
        moves.push(Move::new(Kind::FieldChanged, 0, edits).noting("z= has them as they were"));
    }
}

fn kind_of(name: &str, came: usize, was: usize) -> Kind {
    match (came.cmp(&was), name) {
        (std::cmp::Ordering::Less, _) => Kind::FieldRemoved,
        (std::cmp::Ordering::Greater, _) => Kind::FieldAdded,
        (_, "subject") => Kind::SubjectTagged,
        (_, "from") => Kind::FromRewritten,
        (_, "date") => Kind::DateRewritten,
        _ => Kind::FieldChanged,
    }
}

/// What gives the fields of this name back: from the bottom up, as h= takes them.
fn restored(
    task: &Task<'_>,
    draft: &Draft,
    name: &str,
    came: &[usize],
    was: &[&Vec<u8>],
) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut there = came.iter().rev();
    for value in was.iter().rev() {
        match there.next() {
            Some(at) => {
                let raw = draft.field(*at).expect("a field that is there");
                if !same(&unfolded(raw), value) {
                    edits.push(Edit::Replace(*at, revalued(raw, written(task, value))));
                }
            }
            None => {
                let title = super::instance::written(name);
                let raw = [title.as_bytes(), b": ", written(task, value)].concat();
                let place = came.first().copied().unwrap_or(draft.len());
                edits.push(Edit::Insert(place, raw.into()));
            }
        }
    }
    edits.extend(there.map(|at| Edit::Remove(*at)));
    edits
}

/// Whether the two differ in white space alone.
fn same(came: &[u8], copied: &[u8]) -> bool {
    let words = |text: &[u8]| -> Vec<Vec<u8>> {
        let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
        text.split(blank)
            .filter(|w| !w.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    words(came) == words(copied)
}

fn written<'v>(task: &Task<'_>, value: &'v [u8]) -> &'v [u8] {
    match task.signature.canonicalization.header {
        // Most signers leave the blank behind the colon out of the copy.
        Canon::Simple | Canon::Relaxed => value.trim_ascii(),
    }
}

/// The copies of z=, in their order.
fn copies(value: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Ok(list) = TagList::parse(value, 100) else {
        return Vec::new();
    };
    let Some(tag) = list.get("z") else {
        return Vec::new();
    };
    let copy = |item: &[u8]| {
        let colon = item.iter().position(|b| *b == b':')?;
        let (name, value) = (item[..colon].trim_ascii(), &item[colon + 1..]);
        Some((
            String::from_utf8(name.to_vec()).ok()?,
            decode_quoted_printable(value)?,
        ))
    };
    tag.value
        .split(|b| *b == b'|')
        .take(MAX)
        .filter_map(copy)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_read_as_the_rfc_writes_them() {
        let value = b" v=1; z=From:foo@eng.example.net|To:joe@example.com|\r\n  Subject:demo=20run|Date:July=205,=202005";
        let read = copies(value);
        assert_eq!(read[2], ("Subject".to_owned(), b"demo run".to_vec()));
        assert_eq!(read[3].1, b"July 5, 2005");
    }
}
