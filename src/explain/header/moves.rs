//! What may be undone in a header.

use std::sync::Arc;

use super::draft::{Draft, Edit};
use super::{Task, address, copied, date, encoded, fold, instance, mime_field, own, subject};
use crate::explain::kind::Kind;

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

/// All moves from here.
pub(super) fn all(task: &Task<'_>, draft: &Draft) -> Vec<Move> {
    let mut moves = Vec::new();
    copied::moves(task, draft, &mut moves);
    subject::moves(draft, &mut moves);
    address::moves(draft, &mut moves);
    mime_field::moves(task, draft, &mut moves);
    instance::moves(task, draft, &mut moves);
    date::moves(task, draft, &mut moves);
    encoded::moves(draft, &mut moves);
    fold::moves(task, draft, &mut moves);
    own::moves(task, draft, &mut moves);
    moves
}
