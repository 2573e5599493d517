//! The search in the header.

use std::ops::Range;

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

pub(super) fn explain(
    task: &Task<'_>,
    targets: &[HeaderTarget<'_>],
    search: &Search,
) -> (Part, Option<Vec<u8>>) {
    let index = FieldIndex::new(task.header);
    let holds = |target: &HeaderTarget<'_>| {
        let mut hasher = Hasher::new(target.hash());
        put_signed_header(
            task.header,
            &index,
            task.signature,
            task.position,
            task.b_value.clone(),
            &mut hasher,
        );
        target.is(&hasher.finish())
    };
    if targets.iter().any(holds) {
        return (Part::Holds, Some(task.header.as_bytes().to_vec()));
    }
    let share = search.share(1.0);
    (
        Part::Unexplained(Effort {
            tried: share.tried(),
            finished: true,
        }),
        None,
    )
}
