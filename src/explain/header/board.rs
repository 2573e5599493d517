//! What b= signs, piece by piece, and the hash of it with some pieces replaced.

use std::collections::HashSet;
use std::ops::ControlFlow;
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
#[derive(Clone)]
pub(super) struct Board {
    pieces: Vec<Arc<[u8]>>,
    /// The hash before each piece.
    before: Vec<Hasher>,
    form: Form,
}

impl Board {
    /// The pieces of a header, put together as the RFC has it or as a signer is known to.
    pub(super) fn new(task: &Task<'_>, draft: &Draft, form: Form, hash: HashAlgorithm) -> Board {
        let pieces = form.pieces(task, draft).into_iter().map(Arc::from);
        let mut board = Board {
            pieces: pieces.collect(),
            before: vec![Hasher::new(hash)],
            form,
        };
        board.hash_from(0);
        board
    }

    /// With this move made for good.
    pub(super) fn with(&self, made: &Move) -> Board {
        let mut board = self.clone();
        for (slot, piece) in &made.sets {
            board.pieces[*slot] = piece.clone();
        }
        board.hash_from(made.sets.first().map_or(0, |(slot, _)| *slot));
        board
    }

    fn hash_from(&mut self, first: usize) {
        self.before.truncate(first + 1);
        for piece in &self.pieces[first..] {
            let mut state = self.before[self.before.len() - 1].clone();
            state.put(piece);
            self.before.push(state);
        }
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
            sets.retain(|(slot, piece)| *self.pieces[*slot] != **piece);
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

    /// The hash of the header with this move made, or as it is.
    pub(super) fn digest(&self, made: Option<&Move>) -> Digest {
        let sets = made.map_or(&[][..], |made| &made.sets);
        let Some((first, _)) = sets.first() else {
            return self.before[self.pieces.len()].clone().finish();
        };
        let mut hasher = self.before[*first].clone();
        let mut sets = sets.iter().peekable();
        for (slot, piece) in self.pieces.iter().enumerate().skip(*first) {
            let set = sets.next_if(|(at, _)| *at == slot);
            hasher.put(set.map_or(piece, |(_, piece)| piece));
        }
        hasher.finish()
    }
}

/// Some of what may be chosen, for each of some pieces.
pub(super) type Choices<'m> = [(usize, Vec<&'m Move>)];

impl Board {
    /// The first choice, for so many pieces at least, that `test` takes; `None` behind a text that it wants to be the
    /// last.
    pub(super) fn choose<'m>(
        &self,
        choices: &Choices<'m>,
        least: usize,
        test: &impl Fn(&Digest) -> ControlFlow<bool>,
    ) -> Option<Vec<&'m Move>> {
        let mut chosen = Vec::new();
        let test = |digest: &Digest, chosen: usize| match chosen < least {
            true => ControlFlow::Continue(()),
            false => test(digest),
        };
        let hasher = self.before[0].clone();
        match self.choose_on(hasher, 0, choices, &mut chosen, &test) {
            ControlFlow::Break(true) => Some(chosen),
            _ => None,
        }
    }

    fn choose_on<'m>(
        &self,
        mut hasher: Hasher,
        mut at: usize,
        choices: &Choices<'m>,
        chosen: &mut Vec<&'m Move>,
        test: &impl Fn(&Digest, usize) -> ControlFlow<bool>,
    ) -> ControlFlow<bool> {
        let Some(((slot, options), rest)) = choices.split_first() else {
            self.pieces[at..].iter().for_each(|piece| hasher.put(piece));
            return test(&hasher.finish(), chosen.len());
        };
        self.pieces[at..*slot]
            .iter()
            .for_each(|piece| hasher.put(piece));
        at = slot + 1;
        for option in options {
            let mut hasher = hasher.clone();
            hasher.put(&option.sets[0].1);
            chosen.push(option);
            self.choose_on(hasher, at, rest, chosen, test)?;
            chosen.pop();
        }
        hasher.put(&self.pieces[*slot]);
        self.choose_on(hasher, at, rest, chosen, test)
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
