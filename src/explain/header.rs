//! The search in the header: each field that is signed as it may have been, alone, in pairs and in threes.
//!
//! What b= signs is the fields that h= names, one behind the other, and then the signature's own field. A [`Move`]
//! replaces some of them; the hash of what stands before is kept, so that a hypothesis costs what stands behind.

mod address;
mod board;
mod copied;
mod date;
mod draft;
mod encoded;
mod fold;
mod instance;
mod mime_field;
mod moves;
mod own;
mod signer;
mod subject;

use std::ops::Range;

use self::board::Board;
use self::draft::Draft;
use self::moves::Move;
use self::signer::Form;
use super::change::{Change, Hunk, Spot, excerpt, hunks, in_words};
use super::kind::Kind;
use super::search::{Search, Share};
use super::target::HeaderTarget;
use super::{Effort, Part};
use crate::hash::Hasher;
use crate::header::FieldIndex;
use crate::message::Header;
use crate::signature::Signature;
use crate::verify::put_signed_header;

/// A signature and its header.
pub(super) struct Task<'a> {
    pub(super) header: &'a Header,
    pub(super) signature: &'a Signature,
    /// Where its field stands, and in that the value of b=.
    pub(super) position: usize,
    pub(super) b_value: Range<usize>,
    pub(super) body: &'a [u8],
}

/// Whether the header is what one of the keys signed.
pub(super) fn holds(task: &Task<'_>, targets: &[HeaderTarget<'_>]) -> bool {
    let index = FieldIndex::new(task.header);
    let says = task.signature.algorithm.hash();
    targets.iter().any(|target| {
        let mut hasher = Hasher::new(says);
        let (position, b_value) = (task.position, task.b_value.clone());
        put_signed_header(
            task.header,
            &index,
            task.signature,
            position,
            b_value,
            &mut hasher,
        );
        target.hash() == says && target.is(&hasher.finish())
    })
}

/// The header with the line ends that it was hashed with.
pub(super) fn as_it_came(task: &Task<'_>) -> Vec<u8> {
    Draft::of(task.header).bytes()
}

/// What became of a header that does not hold, and the header as it was signed.
pub(super) fn explain(
    task: &Task<'_>,
    targets: &[HeaderTarget<'_>],
    search: &Search,
    fair: f64,
) -> (Part, Option<Vec<u8>>) {
    let draft = Draft::of(task.header);
    let says = task.signature.algorithm.hash();
    let mut tried = 0;
    let mut finished = true;
    for (left, target) in (1..=targets.len()).rev().zip(targets) {
        let share = search.share(fair / left as f64);
        let hunt = Hunt {
            task,
            target,
            share,
            draft: &draft,
        };
        if let Some(found) = hunt.find() {
            let mut list = found.mistake.map(mistaken).into_iter().collect::<Vec<_>>();
            if target.hash() != says {
                let detail = format!(
                    "a= says {}, and the hash is {}",
                    says.as_str(),
                    target.hash().as_str()
                );
                list.push(mistaken((Kind::SignerHash, detail)));
            }
            let right = list.is_empty();
            list.extend(changes(task.header, &found.moves));
            // What a signer did wrong no change of the message makes right.
            return (
                Part::Changed(list),
                right.then(|| restored(&draft, &found.moves)),
            );
        }
        tried += share.tried();
        finished &= !share.is_over();
    }
    (Part::Unexplained(Effort { tried, finished }), None)
}

fn mistaken((kind, detail): (Kind, String)) -> Change {
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

/// What gives the hash that was signed.
struct Found {
    /// What the signer did wrong.
    mistake: Option<(Kind, String)>,
    moves: Vec<Move>,
}

/// The search for one key.
struct Hunt<'a, 't> {
    task: &'a Task<'a>,
    target: &'a HeaderTarget<'t>,
    share: Share<'a>,
    draft: &'a Draft,
}

/// Moves that cost no more than this are tried in threes.
const LIKELY: u8 = 1;
/// And no more than this, in pairs with all others.
const POSSIBLE: u8 = 2;

impl Hunt<'_, '_> {
    fn find(&self) -> Option<Found> {
        if self.share.is_over() {
            return None;
        }
        let canon = self.task.signature.canonicalization.header;
        let board = Board::new(self.task, self.draft, Form::right(canon));
        let moves = self.moves(&board, self.draft);
        let found = |moves| Found {
            mistake: None,
            moves,
        };
        // Another hash than a= says, and nothing else.
        if self.test(&board, &[]) {
            return Some(found(Vec::new()));
        }
        if let Some(one) = self.one(&board, &moves) {
            return Some(found(copied::each(self.task, self.draft, &self.share, one)));
        }
        // One change on the way is likelier than a signer that errs, and that is likelier than two.
        let wrong = Form::wrong(canon)
            .map(|(kind, detail, form)| (kind, detail, Board::new(self.task, self.draft, form)));
        for (kind, detail, board) in &wrong {
            if self.test(board, &[]) {
                return Some(Found {
                    mistake: Some((*kind, detail.clone())),
                    moves: Vec::new(),
                });
            }
        }
        if let Some(moves) = self.likely(&board, &moves) {
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
        erring.or_else(|| self.several(&board, &moves).map(found))
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
            chunk.iter().find(|m| self.test(board, &[m])).cloned()
        })
    }

    /// Two changes, each of them a common one.
    fn likely(&self, board: &Board, moves: &[Move]) -> Option<Vec<Move>> {
        let up_to = |cost: u8| &moves[..moves.partition_point(|m| m.cost <= cost)];
        self.pairs(board, up_to(LIKELY), up_to(LIKELY))
            .or_else(|| self.pairs(board, up_to(POSSIBLE), up_to(POSSIBLE)))
    }

    /// Two of any kind, and three.
    fn several(&self, board: &Board, moves: &[Move]) -> Option<Vec<Move>> {
        let up_to = |cost: u8| &moves[..moves.partition_point(|m| m.cost <= cost)];
        let (likely, possible) = (up_to(LIKELY), up_to(POSSIBLE));
        self.onward(likely)
            .or_else(|| self.threes(board, likely))
            .or_else(|| self.pairs(board, likely, moves))
            .or_else(|| self.onward(possible))
            .or_else(|| self.pairs(board, possible, moves))
    }

    fn test(&self, board: &Board, moves: &[&Move]) -> bool {
        self.share.count(1);
        self.target.is(&board.digest(self.target.hash(), moves))
    }

    /// Two moves that touch different fields.
    fn pairs(&self, board: &Board, first: &[Move], second: &[Move]) -> Option<Vec<Move>> {
        let jobs: Vec<&Move> = first.iter().collect();
        self.share.first(&jobs, |one| {
            for (nth, two) in second.iter().enumerate() {
                if nth % 64 == 0 && self.share.is_over() {
                    return None;
                }
                if one.is_apart(two) && self.test(board, &[one, two]) {
                    return Some(vec![(*one).clone(), two.clone()]);
                }
            }
            None
        })
    }

    fn threes(&self, board: &Board, moves: &[Move]) -> Option<Vec<Move>> {
        let jobs: Vec<usize> = (0..moves.len()).collect();
        self.share.first(&jobs, |first| {
            let one = &moves[*first];
            let rest = &moves[first + 1..];
            for (second, two) in rest.iter().enumerate() {
                if self.share.is_over() {
                    return None;
                }
                if !one.is_apart(two) {
                    continue;
                }
                for three in &rest[second + 1..] {
                    if three.is_apart(one)
                        && three.is_apart(two)
                        && self.test(board, &[one, two, three])
                    {
                        return Some(vec![one.clone(), two.clone(), three.clone()]);
                    }
                }
            }
            None
        })
    }

    /// A move, and then others from where it leads: for fields that were changed twice.
    fn onward(&self, first: &[Move]) -> Option<Vec<Move>> {
        let jobs: Vec<&Move> = first.iter().collect();
        self.share.first(&jobs, |one| {
            let draft = self.draft.with(&one.edits);
            let canon = self.task.signature.canonicalization.header;
            let board = Board::new(self.task, &draft, Form::right(canon));
            let mut moves = self.moves(&board, &draft);
            moves.retain(|m| m.cost <= 3 && !one.is_apart(m));
            for two in &moves {
                if self.share.is_over() {
                    return None;
                }
                if self.test(&board, &[two]) {
                    return Some(vec![(*one).clone(), two.clone()]);
                }
            }
            None
        })
    }
}

/// The header with all moves made.
fn restored(draft: &Draft, moves: &[Move]) -> Vec<u8> {
    moves
        .iter()
        .fold(draft.clone(), |draft, m| draft.with(&m.edits))
        .bytes()
}

/// What each move undoes, and where it stands in the message.
fn changes(header: &Header, moves: &[Move]) -> Vec<Change> {
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
        let mut change = Change {
            kind: made.kind,
            field: None,
            detail: made.detail.clone(),
            spots: Vec::new(),
            places: 0,
            added: 0,
            removed: 0,
        };
        let mut names: Vec<String> = Vec::new();
        for edit in &made.edits {
            let (position, came, signed) = draft.sides(edit);
            let name = draft::name(if came.is_empty() { &signed } else { &came });
            if !names.iter().any(|n| n.eq_ignore_ascii_case(&name)) {
                names.push(name);
            }
            let found = match came.is_empty() || signed.is_empty() {
                true => vec![Hunk {
                    came: 0..came.len(),
                    signed: 0..signed.len(),
                }],
                false => hunks(&came, &signed),
            };
            for hunk in found {
                change.places += 1;
                change.added += hunk.came.len() as u64;
                change.removed += hunk.signed.len() as u64;
                let hunk = in_words(&came, &signed, &hunk);
                if change.spots.len() < Change::MAX_SPOTS {
                    let start = starts[position.min(starts.len() - 1)];
                    let end = starts[(position + 1).min(starts.len() - 1)];
                    let at = (start + hunk.came.start).min(end)..(start + hunk.came.end).min(end);
                    change.spots.push(Spot {
                        line: line(at.start),
                        at,
                        came: excerpt(&came[hunk.came.clone()]),
                        signed: excerpt(&signed[hunk.signed.clone()]),
                        signed_len: hunk.signed.len(),
                    });
                }
            }
        }
        change.field = (!names.is_empty()).then(|| names.join(", "));
        draft = draft.with(&made.edits);
        if change.kind == Kind::FieldChanged && change.places == 0 {
            continue;
        }
        changes.push(change);
    }
    changes.sort_by_key(|change| change.spots.first().map_or(0, |spot| spot.at.start));
    changes
}
