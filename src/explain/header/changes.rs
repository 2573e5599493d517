//! What was found in a header, as changes with their places in the message.

use std::ops::Range;

use super::draft::{self, Draft, Edit};
use super::moves::Move;
use super::named;
use crate::explain::change::{Change, Hunk, Spot, excerpt, hunks, in_words};
use crate::explain::kind::Kind;
use crate::message::Header;

/// What a signer did wrong, which has no place.
pub(super) fn mistaken((kind, detail): (Kind, String)) -> Change {
    Change {
        kind,
        field: None,
        detail: Some(detail),
        spots: Vec::new(),
        places: 0,
        added: 0,
        removed: 0,
    }
}

/// What each move undoes, and where it stands in the message.
pub(super) fn changes(header: &Header, moves: &[Move]) -> Vec<Change> {
    let mut draft = Draft::of(header);
    let mut changes: Vec<Change> = Vec::new();
    let mut starts = vec![0];
    for field in header.fields() {
        starts.push(starts.last().unwrap_or(&0) + field.raw().len() + 2);
    }
    let line = |at: usize| {
        let before = &header.as_bytes()[..at.min(header.as_bytes().len())];
        1 + memchr::memchr_iter(b'\n', before).count()
    };
    for made in moves {
        for (kind, edits) in by_kind(&draft, made) {
            let detail = made.detail.clone().filter(|_| kind != Kind::Refolded);
            let mut change = Change {
                kind,
                field: None,
                detail,
                spots: Vec::new(),
                places: 0,
                added: 0,
                removed: 0,
            };
            let mut names: Vec<String> = Vec::new();
            for edit in edits {
                let (position, came, signed) = draft.sides(edit);
                let name = draft::name(if came.is_empty() { &signed } else { &came });
                if !names.iter().any(|n| n.eq_ignore_ascii_case(&name)) {
                    names.push(name);
                }
                let start = starts[position.min(starts.len() - 1)];
                let end = starts[(position + 1).min(starts.len() - 1)];
                add_spots(&mut change, (&came, &signed), start..end, &line);
            }
            change.field = (!names.is_empty()).then(|| names.join(", "));
            if change.kind == Kind::FieldChanged && change.places == 0 {
                continue;
            }
            let same = |known: &&mut Change| (known.kind, &known.detail) == (kind, &change.detail);
            match changes.iter_mut().find(same) {
                Some(known) => join(known, change),
                None => changes.push(change),
            }
        }
        draft = draft.with(&made.edits);
    }
    changes.sort_by_key(|change| change.spots.first().map_or(0, |spot| spot.at.start));
    changes
}

/// Adds what befell other fields in the same way.
fn join(known: &mut Change, other: Change) {
    let names = known.field.iter().chain(&other.field);
    let mut names: Vec<String> = names
        .flat_map(|list| list.split(", "))
        .map(str::to_owned)
        .collect();
    let mut seen: Vec<String> = Vec::new();
    names.retain(|name| {
        let lower = name.to_ascii_lowercase();
        let new = !seen.contains(&lower);
        seen.push(lower);
        new
    });
    known.field = (!names.is_empty()).then(|| names.join(", "));
    known.places += other.places;
    known.added += other.added;
    known.removed += other.removed;
    known.spots.extend(other.spots);
    known.spots.sort_by_key(|spot| spot.at.start);
    known.spots.truncate(Change::MAX_SPOTS);
}

/// The edits of a move by what they undo.
fn by_kind<'m>(draft: &Draft, made: &'m Move) -> Vec<(Kind, Vec<&'m Edit>)> {
    let mut kinds: Vec<(Kind, Vec<&Edit>)> = Vec::new();
    for edit in &made.edits {
        let (_, came, signed) = draft.sides(edit);
        let kind = match (edit, made.kind) {
            (Edit::Replace(..), kind) => named::replaced(kind, &came, &signed),
            (Edit::Remove(_), Kind::FieldChanged) => Kind::FieldAdded,
            (Edit::Insert(..), Kind::FieldChanged) => Kind::FieldRemoved,
            (_, kind) => kind,
        };
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, edits)) => edits.push(edit),
            None => kinds.push((kind, vec![edit])),
        }
    }
    kinds
}

/// Counts and shows where a field, which stands at `place`, differs from the one that was signed.
fn add_spots(
    change: &mut Change,
    (came, signed): (&[u8], &[u8]),
    place: Range<usize>,
    line: &impl Fn(usize) -> usize,
) {
    let found = match came.is_empty() || signed.is_empty() {
        true => vec![Hunk {
            came: 0..came.len(),
            signed: 0..signed.len(),
        }],
        false => hunks(came, signed),
    };
    for hunk in found {
        change.places += 1;
        change.added += hunk.came.len() as u64;
        change.removed += hunk.signed.len() as u64;
        let hunk = in_words(came, signed, &hunk);
        if change.spots.len() < Change::MAX_SPOTS {
            let within = |at: usize| (place.start + at).min(place.end);
            let at = within(hunk.came.start)..within(hunk.came.end);
            change.spots.push(Spot {
                line: line(at.start),
                at,
                came: excerpt(&came[hunk.came.clone()]),
                signed: excerpt(&signed[hunk.signed.clone()]),
                signed_len: hunk.signed.len(),
                exact: true,
            });
        }
    }
}
