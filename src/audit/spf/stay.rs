//! Whether those who are known to send may go on where another record takes the place of this one.

use std::net::IpAddr;

use super::super::facts::Facts;
use super::draft::Draft;
use super::{Sender, results_with};
use crate::dns::lookup::Pending;
use crate::spf::SpfResult;

/// Names those in a changed record whom it would refuse: who passes now, or would if the record could be read. Told is
/// the first who passes now and even so would not.
pub(super) fn keep(
    facts: &Facts<'_>,
    senders: &[Sender],
    draft: &mut Draft,
) -> Result<Option<IpAddr>, Pending> {
    // Those whom the record refuses have a finding of their own.
    let senders: Vec<&Sender> = senders.iter().filter(|one| !one.is_refused()).collect();
    if senders.is_empty() {
        return Ok(None);
    }
    let addresses: Vec<IpAddr> = senders.iter().map(|one| one.address).collect();
    let mut outcomes = results_with(facts, draft, &addresses)?;
    let refused = addresses.iter().zip(&outcomes);
    let refused: Vec<IpAddr> = refused
        .filter(|(_, outcome)| is_refusal(outcome.result))
        .map(|(address, _)| *address)
        .collect();
    if !refused.is_empty() {
        refused.iter().for_each(|address| draft.allow(*address));
        outcomes = results_with(facts, draft, &addresses)?;
    }
    let after = senders.iter().zip(outcomes);
    let mut lost = after.filter(|(sender, outcome)| {
        let passes = outcome.result == SpfResult::Pass;
        sender.result == SpfResult::Pass && !passes || is_refusal(outcome.result)
    });
    Ok(lost.next().map(|(sender, _)| sender.address))
}

/// What is to be done first where such a record is not published.
pub(super) fn first(address: IpAddr) -> String {
    format!(
        "; first name {address} with ip4: or ip6: before all that asks DNS: with the change alone its mail does not pass"
    )
}

/// Whether a record says of an address that it does not, or need not, send.
pub(super) fn is_refusal(result: SpfResult) -> bool {
    matches!(
        result,
        SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral
    )
}
