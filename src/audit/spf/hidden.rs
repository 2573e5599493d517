//! Own servers that a term lets send, but for too many before it that find nothing.

use std::net::IpAddr;

use super::super::facts::Facts;
use super::draft::{Draft, is_all};
use super::{Sender, outcome, results_with, stay};
use crate::dns::lookup::Pending;
use crate::spf::{MAX_VOIDS, Node, SpfResult, Tree};

/// The servers of the domain's own that would be known to send, did the record not end their check.
pub(super) fn senders(
    facts: &Facts<'_>,
    grown: &Tree,
    known: &[Sender],
) -> Result<Vec<Sender>, Pending> {
    let options = facts.options;
    let named = !options.addresses.is_empty() || options.smtp.is_some();
    if named || grown.voids.v4.max(grown.voids.v6) <= MAX_VOIDS {
        return Ok(Vec::new());
    }
    let mut hidden: Vec<Sender> = Vec::new();
    for server in facts.servers()? {
        let address = server.address.ip();
        let mut all = known.iter().chain(&hidden);
        if all.any(|one| one.address == address) || !facts.is_own(&server)? {
            continue;
        }
        let found = outcome(facts, facts, address)?;
        if stay::is_voided(&found) && lets(facts, &grown.root, address)? {
            hidden.push(Sender {
                address,
                result: found.result,
                why: found.reason.to_string(),
                by: None,
                is_voided: true,
            });
        }
    }
    Ok(hidden)
}

/// Whether the first of the terms that says something of an address, each looked at alone, lets it send. That all may
/// names nobody.
fn lets(facts: &Facts<'_>, root: &Node, address: IpAddr) -> Result<bool, Pending> {
    for branch in root.terms.iter().take_while(|branch| !is_all(&branch.term)) {
        let alone = Draft::of(&format!("v=spf1 {}", branch.term));
        for found in results_with(facts, &alone, &[address])? {
            match found.result {
                SpfResult::Pass => return Ok(true),
                SpfResult::Neutral => {}
                _ => return Ok(false),
            }
        }
    }
    Ok(false)
}
