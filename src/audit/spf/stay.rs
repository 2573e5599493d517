//! Whether those who are known to send may go on where another record takes the place of this one.

use std::net::IpAddr;

use super::super::facts::Facts;
use super::draft::Draft;
use super::{Sender, results_with};
use crate::dns::lookup::Pending;
use crate::spf::{Outcome, Reason, SpfResult};

/// Who is named in a changed record, and who does not pass even so.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Each with what SPF would say otherwise.
    named: Vec<(IpAddr, String)>,
    /// The first who passes now and would not.
    pub(super) lost: Option<IpAddr>,
}

impl Kept {
    /// What is said where the record is published: it lets them send, and without them it would not.
    pub(super) fn told(&self) -> String {
        let mut whys: Vec<&str> = Vec::new();
        for (_, why) in &self.named {
            if !whys.contains(&why.as_str()) {
                whys.push(why);
            }
        }
        let told = whys.into_iter().map(|why| {
            let named = self.named.iter().filter(|(_, known)| known == why);
            let named: Vec<String> = named.map(|(address, _)| address.to_string()).collect();
            format!(
                "; the record below also names {}: otherwise SPF says {why}",
                named.join(", ")
            )
        });
        told.collect()
    }
}

/// Names those in a changed record whom it would refuse, or whose check it would end with too many terms that find
/// nothing: who passes now, or would if the record could be read.
pub(super) fn keep(
    facts: &Facts<'_>,
    senders: &[Sender],
    draft: &mut Draft,
) -> Result<Kept, Pending> {
    // Those whom the record refuses have a finding of their own.
    let senders: Vec<&Sender> = senders.iter().filter(|one| !one.is_refused()).collect();
    if senders.is_empty() {
        return Ok(Kept::default());
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
    let named = addresses.iter().zip(&outcomes);
    let named = named.filter(|(address, _)| refused.contains(address) || voided.contains(address));
    let named = named.map(|(address, Outcome { result, reason, .. })| {
        let why = format!("{result} of mail from there, because {reason}");
        (*address, why)
    });
    let named: Vec<(IpAddr, String)> = named.collect();
    if !named.is_empty() {
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
    let lost = lost.next().map(|(sender, _)| sender.address);
    Ok(Kept { named, lost })
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
