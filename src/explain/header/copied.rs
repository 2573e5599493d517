//! z=: the fields as the signer copied them (RFC 6376 §3.5).

use super::Task;
use super::board::Board;
use super::draft::{Draft, Edit, revalued, unfolded};
use super::moves::{Move, Moves};
use super::signer::Form;
use crate::explain::kind::Kind;
use crate::explain::search::Share;
use crate::header::ONCE;
use crate::signature::decode_quoted_printable;
use crate::tag::TagList;

/// So many copies are read.
const MAX: usize = 500;

pub(super) fn moves(task: &Task<'_>, draft: &Draft, moves: &mut Moves<'_>) {
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
        let oversigned = task.signature.signed_headers.names().count(&wanted) > was.len();
        let mut here = restored(draft, &wanted, &came, &was, oversigned);
        if here.is_empty() {
            continue;
        }
        let kind = kind_of(draft, &came, &was);
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

/// If this move is all that z= knows, the moves that it consists of and that change something.
pub(super) fn each(task: &Task<'_>, draft: &Draft, share: &Share<'_>, found: Move) -> Vec<Move> {
    if found.cost > 0 {
        return vec![found];
    }
    let mut known = Moves::new(task, draft, share);
    moves(task, draft, &mut known);
    let mut list = known.list;
    list.retain(|m| m.cost > 0);
    let canon = task.signature.canonicalization.header;
    let hash = task.signature.algorithm.hash();
    Board::new(task, draft, Form::right(canon), hash).prepare(task, draft, share, &mut list);
    list
}

/// What kind of change leads from the fields that came to those that were.
fn kind_of(draft: &Draft, came: &[usize], was: &[&Vec<u8>]) -> Kind {
    let now: Vec<Vec<u8>> = came
        .iter()
        .filter_map(|at| draft.field(*at).map(|raw| unfolded(raw)))
        .collect();
    let mut before: Vec<&[u8]> = was.iter().map(|value| value.trim_ascii()).collect();
    let mut after: Vec<&[u8]> = now.iter().map(|value| value.trim_ascii()).collect();
    if before == after {
        return Kind::FieldBlanks;
    }
    before.sort_unstable();
    after.sort_unstable();
    match before == after {
        true => Kind::FieldsReordered,
        false => Kind::FieldChanged,
    }
}

/// What gives the fields of this name back: from the bottom up, as h= takes them.
fn restored(
    draft: &Draft,
    name: &str,
    came: &[usize],
    was: &[&Vec<u8>],
    oversigned: bool,
) -> Vec<Edit> {
    let once = ONCE.iter().any(|once| once.eq_ignore_ascii_case(name));
    // Very many may be compared with very many.
    let field = |at: &usize| words(&unfolded(draft.field(*at).expect("a field that is there")));
    let words_of: Vec<(usize, Vec<u8>)> = came.iter().map(|at| (*at, field(at))).collect();
    let put = |place: usize, value: &[u8]| {
        let title = super::instance::written(name);
        let raw = [title.as_bytes(), b": ", value.trim_ascii()].concat();
        Edit::Insert(place, raw.into())
    };
    let mut edits = Vec::new();
    let mut there = words_of.iter().rev().peekable();
    // Behind the lowest that is looked at.
    let mut below = came.last().map_or(draft.len(), |at| at + 1);
    for value in was.iter().rev() {
        // What stands below one that was there was added.
        let wanted = words(value);
        if there.clone().any(|(_, words)| *words == wanted) {
            while let Some((at, _)) = there.next_if(|(_, words)| *words != wanted) {
                edits.push(Edit::Remove(*at));
            }
            below = there.next().expect("it was seen").0;
            continue;
        }
        match there.next_if(|_| once) {
            Some((at, _)) => {
                let raw = draft.field(*at).expect("a field that is there");
                edits.push(Edit::Replace(*at, revalued(raw, value.trim_ascii())));
                below = *at;
            }
            None => edits.push(put(below, value)),
        }
    }
    if oversigned {
        edits.extend(there.map(|(at, _)| Edit::Remove(*at)));
    }
    // What is put in at one place stands there in the order of the list.
    edits.reverse();
    edits
}

/// The words of a value, with one space between them.
fn words(value: &[u8]) -> Vec<u8> {
    let words = value
        .split(u8::is_ascii_whitespace)
        .filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
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
