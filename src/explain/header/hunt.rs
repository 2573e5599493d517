//! The order in which hypotheses about a header are tried: alone, in pairs and in threes, the likely ones first.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use super::board::Board;
use super::draft::Draft;
use super::moves::{self, Move};
use super::signer::Form;
use super::{Task, copied};
use crate::explain::kind::Kind;
use crate::explain::search::Share;
use crate::explain::target::HeaderTarget;
use crate::hash::Digest;

/// What gives the hash that was signed.
pub(super) struct Found {
    /// What the signer did wrong.
    pub(super) mistake: Option<(Kind, String)>,
    pub(super) moves: Vec<Move>,
}

/// The search for one key.
pub(super) struct Hunt<'a, 't> {
    pub(super) task: &'a Task<'a>,
    pub(super) target: &'a HeaderTarget<'t>,
    pub(super) share: Share<'a>,
    pub(super) draft: &'a Draft,
}

/// Moves that cost no more than this are tried in threes.
const LIKELY: u8 = 1;
/// And no more than this, in pairs with all others.
const POSSIBLE: u8 = 2;

impl Hunt<'_, '_> {
    pub(super) fn find(&self) -> Option<Found> {
        if self.share.is_over() {
            return None;
        }
        let canon = self.task.signature.canonicalization.header;
        let board = self.board(self.draft, Form::right(canon));
        let moves = self.moves(&board, self.draft);
        let found = |moves| Found {
            mistake: None,
            moves,
        };
        // Another hash than a= says, and nothing else.
        if self.test(&board, None) {
            return Some(found(Vec::new()));
        }
        if let Some(one) = self.one(&board, &moves) {
            return Some(found(copied::each(self.task, self.draft, &self.share, one)));
        }
        // One change on the way is likelier than a signer that errs, and that is likelier than two.
        let wrong = Form::wrong(canon)
            .map(|(kind, detail, form)| (kind, detail, self.board(self.draft, form)));
        for (kind, detail, board) in &wrong {
            if self.test(board, None) {
                return Some(Found {
                    mistake: Some((*kind, detail.clone())),
                    moves: Vec::new(),
                });
            }
        }
        let likely = moves.partition_point(|m| m.cost <= LIKELY);
        let possible = moves.partition_point(|m| m.cost <= POSSIBLE);
        let two = self
            .pairs(&board, &moves, 0..likely, 0..likely)
            .or_else(|| self.alike(&board, moves.iter(), self.most()))
            .or_else(|| self.pairs(&board, &moves, 0..possible, likely..possible));
        if let Some(moves) = two {
            return Some(found(moves));
        }
        let mut common = moves::all(self.task, self.draft, &self.share);
        common.retain(|m| m.cost <= POSSIBLE);
        let erring = self.share.first(&wrong, |(kind, detail, board)| {
            let mut moves = common.clone();
            board.prepare(self.task, self.draft, &self.share, &mut moves);
            self.one(board, &moves).map(|one| Found {
                mistake: Some((*kind, detail.clone())),
                moves: vec![one],
            })
        });
        let (likely, possible, all) = (0..likely, likely..possible, possible..moves.len());
        let several = || {
            self.alike_beside(&board, &moves, likely.clone())
                .or_else(|| self.onward(&moves[likely.clone()]))
                .or_else(|| self.threes(&board, &moves[likely.clone()]))
                .or_else(|| self.pairs(&board, &moves, likely, all.clone()))
                .or_else(|| self.onward(&moves[possible.clone()]))
                .or_else(|| self.pairs(&board, &moves, possible, all))
        };
        erring.or_else(|| several().map(found))
    }

    fn board(&self, draft: &Draft, form: Form) -> Board {
        Board::new(self.task, draft, form, self.target.hash())
    }

    /// The moves from a draft, the likeliest first.
    fn moves(&self, board: &Board, draft: &Draft) -> Vec<Move> {
        let mut moves = moves::all(self.task, draft, &self.share);
        board.prepare(self.task, draft, &self.share, &mut moves);
        moves.sort_by_key(|m| m.cost);
        moves
    }

    fn one(&self, board: &Board, moves: &[Move]) -> Option<Move> {
        let jobs: Vec<&[Move]> = moves.chunks(64).collect();
        self.share.first(&jobs, |chunk| {
            chunk.iter().find(|m| self.test(board, Some(m))).cloned()
        })
    }

    fn test(&self, board: &Board, made: Option<&Move>) -> bool {
        self.share.count(1);
        self.target.is(&board.digest(made))
    }

    /// Two moves that touch different fields: one of these, and one of those that stands behind it.
    fn pairs(
        &self,
        board: &Board,
        moves: &[Move],
        ones: Range<usize>,
        twos: Range<usize>,
    ) -> Option<Vec<Move>> {
        let jobs: Vec<usize> = ones.collect();
        self.share.first(&jobs, |at| {
            let (one, behind) = (&moves[*at], twos.start.max(at + 1)..twos.end);
            if behind.is_empty() {
                return None;
            }
            let board = board.with(one);
            let two = self.behind(&board, &moves[behind], |two| one.is_apart(two))?;
            Some(vec![one.clone(), two.clone()])
        })
    }

    fn threes(&self, board: &Board, moves: &[Move]) -> Option<Vec<Move>> {
        let jobs: Vec<usize> = (0..moves.len()).collect();
        self.share.first(&jobs, |at| {
            let (one, rest) = (&moves[*at], &moves[at + 1..]);
            let board = board.with(one);
            rest.iter().enumerate().find_map(|(second, two)| {
                if !one.is_apart(two) || self.share.is_over() {
                    return None;
                }
                let apart = |three: &Move| three.is_apart(one) && three.is_apart(two);
                let three = self.behind(&board.with(two), &rest[second + 1..], apart)?;
                Some(vec![one.clone(), two.clone(), three.clone()])
            })
        })
    }

    /// The first of the moves that may be tried and fits.
    fn behind<'m>(
        &self,
        board: &Board,
        moves: &'m [Move],
        may: impl Fn(&Move) -> bool,
    ) -> Option<&'m Move> {
        for (nth, made) in moves.iter().enumerate() {
            if nth % 64 == 0 && self.share.is_over() {
                return None;
            }
            if may(made) && self.test(board, Some(made)) {
                return Some(made);
            }
        }
        None
    }

    /// So many texts are tried where each field has its own choice.
    fn most(&self) -> usize {
        match self.target {
            HeaderTarget::Known { .. } => 300_000,
            HeaderTarget::Asked { .. } => 60_000,
        }
    }

    /// Such changes, and a common one beside them.
    fn alike_beside(
        &self,
        board: &Board,
        moves: &[Move],
        common: Range<usize>,
    ) -> Option<Vec<Move>> {
        // All of them together are to take some seconds at the most.
        let most = (10 * self.most() / common.len().max(10)).min(5_000);
        moves[common].iter().find_map(|one| {
            if self.share.is_over() {
                return None;
            }
            let others = moves.iter().filter(|m| m.is_apart(one));
            let mut found = self.alike(&board.with(one), others, most)?;
            found.push(one.clone());
            Some(found)
        })
    }

    /// Changes of one kind in several fields, in each of them in a way of its own.
    fn alike<'m>(
        &self,
        board: &Board,
        moves: impl Iterator<Item = &'m Move>,
        most: usize,
    ) -> Option<Vec<Move>> {
        let ones = moves.filter(|m| m.sets.len() == 1 && m.cost <= 3);
        let mut kinds: BTreeMap<&str, BTreeMap<usize, Vec<&Move>>> = BTreeMap::new();
        for made in ones {
            let fields = kinds.entry(made.kind.as_str()).or_default();
            fields.entry(made.sets[0].0).or_default().push(made);
        }
        kinds.into_values().find_map(|fields| {
            if fields.len() < 2 {
                return None;
            }
            let choices = narrowed(fields.into_iter().collect(), most);
            let ((_, options), rest) = choices.split_first()?;
            let jobs: Vec<Option<&Move>> =
                options.iter().copied().map(Some).chain([None]).collect();
            let test = |digest: &Digest| {
                self.share.count(1);
                match (self.target.is(digest), self.share.is_over()) {
                    (true, _) => ControlFlow::Break(true),
                    (false, true) => ControlFlow::Break(false),
                    (false, false) => ControlFlow::Continue(()),
                }
            };
            let found = self.share.first(&jobs, |first| match first {
                Some(first) => {
                    let mut found = board.with(first).choose(rest, 1, &test)?;
                    found.push(first);
                    Some(found)
                }
                None => board.choose(rest, 2, &test),
            });
            found.map(|chosen| chosen.into_iter().cloned().collect())
        })
    }

    /// A move, and then others from where it leads: for fields that were changed twice.
    fn onward(&self, first: &[Move]) -> Option<Vec<Move>> {
        let jobs: Vec<&Move> = first.iter().collect();
        self.share.first(&jobs, |one| {
            let draft = self.draft.with(&one.edits);
            let canon = self.task.signature.canonicalization.header;
            let board = self.board(&draft, Form::right(canon));
            let mut moves = self.moves(&board, &draft);
            moves.retain(|m| m.cost <= 3 && !one.is_apart(m));
            for two in &moves {
                if self.share.is_over() {
                    return None;
                }
                if self.test(&board, Some(two)) {
                    return Some(vec![(*one).clone(), two.clone()]);
                }
            }
            None
        })
    }
}

/// No more choices than can be tried: the dearest of the longest lists go first.
fn narrowed(mut choices: Vec<(usize, Vec<&Move>)>, most: usize) -> Vec<(usize, Vec<&Move>)> {
    let ways = |choices: &[(usize, Vec<&Move>)]| {
        let ways = choices.iter().map(|(_, options)| options.len() + 1);
        ways.fold(1usize, usize::saturating_mul)
    };
    while ways(&choices) > most {
        let longest = choices.iter_mut().max_by_key(|(_, options)| options.len());
        longest.and_then(|(_, options)| options.pop());
    }
    choices.retain(|(_, options)| !options.is_empty());
    choices
}
