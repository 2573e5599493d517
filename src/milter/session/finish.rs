//! The answer to a whole message, as the MTA takes it.

use super::super::wire::{Actions, EncodeError, Modification, Reply};
use super::{Answer, Outcome, Session};

impl Session {
    /// The answer to the message that has ended: appends its packets.
    ///
    /// # Errors
    /// [`FinishError`]: a modification was not negotiated or cannot be said. The message is deferred
    /// then, so that it is not delivered without what it should have.
    pub fn finish(&mut self, answer: Answer, out: &mut Vec<u8>) -> Result<(), FinishError> {
        let start = out.len();
        let mut result = Ok(());
        if answer.outcome.passes() {
            let mut modifications = answer.modifications.into_iter();
            result = modifications.try_for_each(|one| self.put_modification(one, out));
        }
        let outcome = match result {
            Ok(()) => answer.outcome,
            Err(_) => {
                out.truncate(start);
                Outcome::TempFail
            }
        };
        self.forget_message();
        self.context.end_message();
        outcome.reply().encode(out)?;
        result
    }

    fn put_modification(&self, one: Modification, out: &mut Vec<u8>) -> Result<(), FinishError> {
        let actions = one.needs();
        if !self.context.negotiated().actions.contains(actions) {
            return Err(FinishError::NotNegotiated { actions });
        }
        let mut one = one;
        if !self.context.keeps_leading_space() {
            leave_space_to_the_mta(&mut one)?;
        }
        Ok(Reply::Modify(one).encode(out)?)
    }
}

/// Without [`Steps::LEADING_SPACE`], the MTA puts one space behind the colon, whatever stands there.
///
/// A value that begins otherwise would not be written as it was meant, and a signature over it under `simple`
/// would fail: that is refused. So is the change of a value to a single space: without it the value is empty,
/// and that deletes the field.
fn leave_space_to_the_mta(one: &mut Modification) -> Result<(), FinishError> {
    let (value, deletes) = match one {
        Modification::AddHeader { value, .. } | Modification::InsertHeader { value, .. } => {
            (value, false)
        }
        Modification::ChangeHeader { value, .. } if !value.is_empty() => (value, true),
        _ => return Ok(()),
    };
    match value.as_slice() {
        [b' '] if deletes => Err(FinishError::OnlySpace),
        [b' ', ..] => {
            value.remove(0);
            Ok(())
        }
        _ => Err(FinishError::NoSpace),
    }
}

/// Why a message was deferred in place of what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FinishError {
    /// A modification that [`Options::actions`](super::Options::actions) does not have.
    #[error("the actions {actions:?} were not negotiated")]
    NotNegotiated {
        /// What it needs.
        actions: Actions,
    },
    /// A field value that does not begin with a space, while the MTA puts one there:
    /// [`Context::keeps_leading_space`](super::Context::keeps_leading_space).
    #[error("the MTA puts a space behind the colon of a field that shall have none")]
    NoSpace,
    /// A change of a field value to a single space, which such an MTA takes for a deletion.
    #[error("the MTA deletes a field whose value shall be a single space")]
    OnlySpace,
    /// A modification that cannot be said.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
