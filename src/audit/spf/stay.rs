//! Whether those who are known to send may go on where another record takes the place of this one.

use std::net::IpAddr;

use super::super::facts::Facts;
use super::draft::Draft;
use super::{Sender, results_with};
use crate::dns::lookup::Pending;
use crate::spf::{Outcome, Reason, SpfResult};

/// Names those in a changed record whom it would refuse, or whose check it would end with too many terms that find
/// nothing: who passes now, or would if the record could be read. Told is the first who passes now and even so would not.
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
    // Who meets them now has a finding of their own.
    let becomes_voided =
        |(sender, outcome): &(&&Sender, &Outcome)| is_voided(outcome) && !sender.is_voided;
    let voided = senders.iter().zip(&outcomes).filter(becomes_voided);
    let voided: Vec<IpAddr> = voided.map(|(sender, _)| sender.address).collect();
    if !refused.is_empty() || !voided.is_empty() {
        refused.iter().for_each(|address| draft.allow(*address));
        draft.allow_first(&voided);
        outcomes = results_with(facts, draft, &addresses)?;
    }
    let after = senders.iter().zip(&outcomes);
    let mut lost = after.filter(|both| {
        let (sender, outcome) = both;
        let passes = outcome.result == SpfResult::Pass;
        let loses = sender.result == SpfResult::Pass && !passes;
        loses || is_refusal(outcome.result) || becomes_voided(both)
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

/// Whether too many terms find nothing before one that matches.
pub(super) fn is_voided(outcome: &Outcome) -> bool {
    matches!(outcome.reason, Reason::TooManyVoids { .. })
}
