//! Terms that find nothing at all, whoever sends.

use std::collections::HashMap;

use crate::spf::{Branch, Node, Place, Reason, Tree};

/// Whether a term finds nothing for clients of either family. An mx of which one exchange is gone still names the
/// others; and a name with addresses of one family is found by those who send over that.
pub(super) fn is_void(branch: &Branch) -> bool {
    let nothing = branch.voids.v4.min(branch.voids.v6) > 0 && branch.networks.is_empty();
    branch.reached && branch.node.is_none() && branch.trouble.is_none() && nothing
}

/// How many of the lookups of a record find nothing for anybody.
pub(super) fn count(grown: &Tree) -> usize {
    below(&grown.root, &mut HashMap::new())
}

/// Those of a record and all to which it leads. A record that is met again costs as much again.
fn below<'t>(node: &'t Node, known: &mut HashMap<&'t str, usize>) -> usize {
    if node.place != Place::Here {
        return match node.place {
            Place::Repeated => known.get(node.domain.as_str()).copied().unwrap_or(0),
            _ => 0,
        };
    }
    let mut sum = 0_usize;
    for branch in &node.terms {
        let own = match branch.node.as_deref() {
            Some(node) => {
                let gone = matches!(
                    node.trouble,
                    Some(Reason::NoDomain { .. } | Reason::NoRecord { others: 0, .. })
                );
                below(node, known).saturating_add(usize::from(gone))
            }
            None => usize::from(is_void(branch)),
        };
        sum = sum.saturating_add(own);
    }
    known.insert(&node.domain, sum);
    sum
}
