//! What b= signs, piece by piece, and the hash of it with some pieces replaced.

use std::collections::HashSet;
use std::sync::Arc;

use super::Task;
use super::draft::{Draft, Edit, is, name};
use super::moves::Move;
use super::signer::Form;
use crate::canon::{self, Canon, Sink as _};
use crate::explain::search::Share;
use crate::hash::{Digest, HashAlgorithm, Hasher};
use crate::header::FieldNames;
use crate::message::{Header, HeaderLimits};
use crate::signature::{Signature, SignatureLimits};

/// The pieces: one for each name of h=, empty where no field is left for it; and the signature's own field.
pub(super) struct Board {
    pieces: Vec<Vec<u8>>,
    /// The hash before each piece, by either algorithm.
    before: Vec<(Hasher, Hasher)>,
    form: Form,
}

impl Board {
    /// The pieces of a header, put together as the RFC has it or as a signer is known to.
    pub(super) fn new(task: &Task<'_>, draft: &Draft, form: Form) -> Board {
        let mut board = Board {
            pieces: form.pieces(task, draft),
            before: Vec::new(),
            form,
        };
        let mut state = (
            Hasher::new(HashAlgorithm::Sha256),
            Hasher::new(HashAlgorithm::Sha1),
        );
        for piece in &board.pieces {
            board.before.push(state.clone());
            state.0.put(piece);
            state.1.put(piece);
        }
        board
    }

    /// Works out which pieces each move replaces; those that replace none, or the same as another, go.
    pub(super) fn prepare(
        &self,
        task: &Task<'_>,
        draft: &Draft,
        share: &Share<'_>,
        moves: &mut Vec<Move>,
    ) {
        let mut known: HashSet<Vec<(usize, Arc<[u8]>)>> = HashSet::new();
        moves.sort_by_key(|m| m.cost);
        let mut count = 0u32;
        let mut over = false;
        moves.retain_mut(|made| {
            count += 1;
            over |= count.is_multiple_of(64) && share.is_over();
            if over {
                return false;
            }
            let after = draft.with(&made.edits);
            let mut sets = match self.form.is_right() {
                true => self.touched(task, draft, &after, made),
                false => self.differing(self.form.pieces(task, &after)),
            };
            sets.retain(|(slot, piece)| self.pieces[*slot] != *piece);
            sets.sort_by_key(|(slot, _)| *slot);
            made.sets = sets
                .into_iter()
                .map(|(slot, piece)| (slot, piece.into()))
                .collect();
            !made.sets.is_empty() && known.insert(made.sets.clone())
        });
    }

    /// The pieces of the fields that a move touches.
    fn touched(
        &self,
        task: &Task<'_>,
        draft: &Draft,
        after: &Draft,
        made: &Move,
    ) -> Vec<(usize, Vec<u8>)> {
        let canon = task.signature.canonicalization.header;
        let mut touched: Vec<String> = Vec::new();
        let mut own = false;
        for edit in &made.edits {
            match edit {
                Edit::Replace(at, raw) => {
                    own |= *at == task.position;
                    touched.push(name(raw));
                }
                Edit::Remove(at) => touched.extend(draft.field(*at).map(|raw| name(raw))),
                Edit::Insert(_, raw) => touched.push(name(raw)),
            }
        }
        let meant = |slot: &str| touched.iter().any(|name| name.eq_ignore_ascii_case(slot));
        let names = task.signature.signed_headers.names();
        let mut sets = pieces_of(names, after, task.position, canon, meant);
        let piece = after.field(task.position).filter(|_| own);
        if let Some(piece) = piece.and_then(|raw| own_piece(raw, canon)) {
            sets.push((self.pieces.len() - 1, piece));
        }
        sets
    }

    /// The pieces that are others; where their number is another, all as one.
    fn differing(&self, pieces: Vec<Vec<u8>>) -> Vec<(usize, Vec<u8>)> {
        if pieces.len() == self.pieces.len() {
            return pieces.into_iter().enumerate().collect();
        }
        let mut sets = vec![(0, pieces.concat())];
        sets.extend((1..self.pieces.len()).map(|slot| (slot, Vec::new())));
        sets
    }

    /// The hash of the header with these moves made, which touch different pieces.
    pub(super) fn digest(&self, hash: HashAlgorithm, moves: &[&Move]) -> Digest {
        let set = |slot: usize| {
            let sets = moves.iter().flat_map(|m| &m.sets);
            sets.clone()
                .find(|(at, _)| *at == slot)
                .map(|(_, piece)| piece)
        };
        let first = moves
            .iter()
            .filter_map(|m| m.sets.first())
            .map(|(slot, _)| *slot)
            .min();
        let first = first.unwrap_or(0);
        let (sha256, sha1) = &self.before[first];
        let mut hasher = match hash {
            HashAlgorithm::Sha256 => sha256.clone(),
            HashAlgorithm::Sha1 => sha1.clone(),
        };
        for slot in first..self.pieces.len() {
            match set(slot) {
                Some(piece) => hasher.put(piece),
                None => hasher.put(&self.pieces[slot]),
            }
        }
        hasher.finish()
    }
}

/// The canonical fields that h= picks, for the names that are `meant`, each with its place in h=.
pub(super) fn pieces_of(
    names: &FieldNames,
    draft: &Draft,
    own: usize,
    canon: Canon,
    meant: impl Fn(&str) -> bool,
) -> Vec<(usize, Vec<u8>)> {
    let mut out = Vec::new();
    // For each name, the fields that are left, the lowest last.
    let mut left: Vec<(&str, Vec<Arc<[u8]>>)> = Vec::new();
    for (slot, wanted) in names.iter().enumerate().filter(|(_, wanted)| meant(wanted)) {
        let known = left
            .iter()
            .position(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let known = known.unwrap_or_else(|| {
            let fields = draft
                .named(wanted)
                .into_iter()
                .filter(|(at, _)| *at != Some(own));
            left.push((wanted, fields.map(|(_, raw)| raw.clone()).collect()));
            left.len() - 1
        });
        let piece = left[known].1.pop().map(|raw| {
            let mut piece = Vec::with_capacity(raw.len() + 2);
            canon::header::text(canon, &raw, &mut piece);
            piece
        });
        out.push((slot, piece.unwrap_or_default()));
    }
    out
}

/// The signature's own field without the value of b=, and without a line end.
pub(super) fn own_piece(raw: &[u8], canon: Canon) -> Option<Vec<u8>> {
    let header = Header::parse(raw, HeaderLimits::default()).ok()?;
    let field = header.field(0);
    if !is(raw, crate::signature::FIELD_NAME) {
        return None;
    }
    let (_, b_value) = Signature::parse(field.value(), SignatureLimits::default()).ok()?;
    let mut piece = Vec::with_capacity(raw.len());
    canon::header::signature(canon, field, b_value, &mut piece);
    Some(piece)
}
