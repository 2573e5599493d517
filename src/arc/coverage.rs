//! How far back a message is unchanged, and what of it nobody vouches for: the sentence on a chain that holds.

use super::report::{FieldFailure, FieldReport, SetReport};
use crate::report::{Failure, ResultWord};

/// What a message signature does not cover of the message as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uncovered {
    /// Canonical octets of the body, behind what l= covers.
    pub octets: u64,
    /// Fields that readers show, of which h= does not cover each instance.
    pub fields: Vec<&'static str>,
}

impl Uncovered {
    /// What there is, in words.
    fn list(&self) -> Option<String> {
        let body = match self.octets {
            0 => None,
            1 => Some("1 octet of the body".to_owned()),
            octets => Some(format!("{octets} octets of the body")),
        };
        let fields = self.fields.iter().map(|name| (*name).to_owned());
        let parts: Vec<String> = body.into_iter().chain(fields).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// What holds of a chain that passes; `oldest` is [`oldest_pass`](super::ArcReport::oldest_pass).
pub(super) fn sentence(sets: &[SetReport], oldest: u8) -> String {
    let signature = |instance: u8| -> Option<&FieldReport> {
        let at = usize::from(instance).checked_sub(1)?;
        sets.get(at)?.message_signature.as_ref()
    };
    let instance = oldest.max(1);
    let who = match instance {
        1 => "the first set".to_owned(),
        instance => format!("set {instance}"),
    };
    let uncovered = signature(instance).and_then(|signature| signature.uncovered.list());
    let mut text = match &uncovered {
        None => format!("the message is as {who} left it"),
        Some(list) => {
            format!("what {who} signed of the message is as it left it; not signed: {list}")
        }
    };
    let below = instance - 1;
    match signature(below).and_then(|signature| signature.failure.as_ref()) {
        None => {}
        Some(FieldFailure::Refused(
            Failure::Mismatch | Failure::BodyHash { .. } | Failure::BodyTooShort { .. },
        )) => text.push_str(match uncovered.is_some() {
            true => "; the message was changed before that",
            false => ", and was changed before that",
        }),
        Some(failure) if failure.result() == ResultWord::Policy => {
            text.push_str(&format!(
                "; the signature of set {below} does not count: {failure}"
            ));
        }
        Some(failure) => {
            text.push_str(&format!(
                "; what set {below} signed cannot be checked: {failure}"
            ));
        }
    }
    text
}
