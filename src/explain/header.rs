//! The search in the header: each field that is signed as it may have been, alone, in pairs and in threes.
//!
//! What b= signs is the fields that h= names, one behind the other, and then the signature's own field. A [`Move`]
//! replaces some of them; the hash of what stands before is kept, so that a hypothesis costs what stands behind.

mod address;
mod board;
mod changes;
mod copied;
mod date;
mod draft;
mod encoded;
mod fold;
mod hunt;
mod instance;
mod mime_field;
mod moves;
mod named;
mod own;
mod signer;
mod subject;

use std::ops::Range;

use self::changes::{changes, mistaken};
pub(super) use self::draft::{Draft, Edit, is, value};
use self::hunt::Hunt;
use self::moves::Move;
use super::kind::Kind;
use super::search::Search;
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

/// The header with all moves made.
fn restored(draft: &Draft, moves: &[Move]) -> Vec<u8> {
    moves
        .iter()
        .fold(draft.clone(), |draft, m| draft.with(&m.edits))
        .bytes()
}
