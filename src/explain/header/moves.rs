//! What may be undone in a header.

use std::sync::Arc;

use super::draft::{Draft, Edit};
use super::{Task, address, copied, date, encoded, fold, instance, mime_field, own, subject};
use crate::explain::kind::Kind;
use crate::explain::search::Share;

/// A hypothesis: some fields were others.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) kind: Kind,
    pub(super) detail: Option<String>,
    /// The less likely, the higher: what costs little is tried first, and with others.
    pub(super) cost: u8,
    pub(super) edits: Vec<Edit>,
    /// The pieces of what is signed that it replaces, worked out by the board.
    pub(super) sets: Vec<(usize, Arc<[u8]>)>,
}

impl Move {
    pub(super) fn new(kind: Kind, cost: u8, edits: Vec<Edit>) -> Move {
        Move {
            kind,
            detail: None,
            cost,
            edits,
            sets: Vec::new(),
        }
    }

    pub(super) fn replace(kind: Kind, cost: u8, at: usize, raw: impl Into<Arc<[u8]>>) -> Move {
        Move::new(kind, cost, vec![Edit::Replace(at, raw.into())])
    }

    pub(super) fn noting(self, detail: &str) -> Move {
        Move {
            detail: Some(detail.to_owned()),
            ..self
        }
    }

    /// Whether the two replace different pieces.
    pub(super) fn is_apart(&self, other: &Move) -> bool {
        let among = |slot: &usize| other.sets.iter().any(|(at, _)| at == slot);
        !self.sets.iter().any(|(slot, _)| among(slot))
    }
}

/// Moves that are gathered, as long as there is room and time for more.
pub(super) struct Moves<'a> {
    pub(super) list: Vec<Move>,
    /// The fields that may have been changed: those that h= can mean.
    pub(super) fields: Vec<(usize, Arc<[u8]>)>,
    share: &'a Share<'a>,
    bytes: usize,
    full: bool,
}

/// So many moves, and so many bytes in them, are thought of: a hostile header has room for very many.
const MAX_MOVES: usize = 120_000;
const MAX_BYTES: usize = 48 << 20;
/// So many instances of a field, the lowest ones, and so many fields.
const MAX_INSTANCES: usize = 4;
const MAX_FIELDS: usize = 120;

impl<'a> Moves<'a> {
    /// None yet.
    pub(super) fn new(task: &Task<'_>, draft: &Draft, share: &'a Share<'a>) -> Moves<'a> {
        let mut fields = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for name in task.signature.signed_headers.names().iter() {
            let name = name.to_ascii_lowercase();
            if fields.len() >= MAX_FIELDS || seen.contains(&name) {
                continue;
            }
            let named = draft.named(&name);
            let came = named
                .iter()
                .rev()
                .filter_map(|(at, raw)| Some(((*at)?, (*raw).clone())));
            let others = came.filter(|(at, _)| *at != task.position);
            fields.extend(others.take(MAX_INSTANCES));
            seen.push(name);
        }
        fields.sort_by_key(|(at, _)| *at);
        Moves {
            list: Vec::new(),
            fields,
            share,
            bytes: 0,
            full: false,
        }
    }

    pub(super) fn push(&mut self, made: Move) {
        let size = |edit: &Edit| match edit {
            Edit::Replace(_, raw) | Edit::Insert(_, raw) => raw.len(),
            Edit::Remove(_) => 0,
        };
        self.bytes += 64 + made.edits.iter().map(size).sum::<usize>();
        self.full |= self.list.len() >= MAX_MOVES || self.bytes > MAX_BYTES;
        self.full |= self.list.len() % 256 == 255 && self.share.is_over();
        if !self.full {
            self.list.push(made);
        }
    }

    /// Whether nothing more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }
}

/// All moves from here.
pub(super) fn all(task: &Task<'_>, draft: &Draft, share: &Share<'_>) -> Vec<Move> {
    let mut moves = Moves::new(task, draft, share);
    let generators: [fn(&Task<'_>, &Draft, &mut Moves<'_>); 9] = [
        copied::moves,
        address::moves,
        mime_field::moves,
        instance::moves,
        date::moves,
        encoded::moves,
        own::moves,
        fold::moves,
        subject::moves,
    ];
    for generator in generators {
        if !moves.is_full() {
            generator(task, draft, &mut moves);
        }
    }
    moves.list
}
