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

#[cfg(test)]
mod tests {
    use super::super::tests::{mail, offer, session};
    use super::super::{Event, Options};
    use super::*;
    use crate::milter::wire::{Command, Steps};

    #[test]
    fn blanks_behind_the_colon_are_the_same_with_every_mta() {
        let field = |value: &'static [u8]| Modification::AddHeader {
            name: b"X".to_vec(),
            value: value.to_vec(),
        };
        for (steps, value, shown, written) in [
            (
                Steps::LEADING_SPACE,
                &b"  a"[..],
                &b"  a"[..],
                &b"hX\0 a\0"[..],
            ),
            (Steps::LEADING_SPACE, b"a", b"a", b"hX\0 a\0"),
            (Steps::NONE, b" a", b"  a", b"hX\0a\0"),
            (Steps::NONE, b"a\n b", b" a\n b", b"hX\0a\0"),
            (Steps::NONE, b"\ta", b"\ta", b"hX\0a\0"),
            (Steps::NONE, b"\n a", b"\n a", b"hX\0a\0"),
            (Steps::NONE, b"", b"", b"hX\0a\0"),
        ] {
            let mut session = session(steps);
            session.take(mail()).unwrap();
            let name = b"X";
            let event = session.take(Command::Header { name, value }).unwrap();
            assert_eq!(event, Event::Header(name, shown.into()));
            session.take(Command::EndOfMessage(b"")).unwrap();
            let mut out = Vec::new();
            let answer = Answer {
                modifications: vec![field(b" a")],
                outcome: Outcome::Accept,
            };
            session.finish(answer, &mut out).unwrap();
            let accept = &b"\0\0\0\x01a"[..];
            assert_eq!(out[4..], [written, accept].concat());
        }
    }

    #[test]
    fn a_field_that_the_mta_would_write_otherwise_defers_the_message() {
        let (index, name) = (1, || b"X".to_vec());
        let add = |value: Vec<u8>| Modification::AddHeader {
            name: name(),
            value,
        };
        let insert = |value: Vec<u8>| Modification::InsertHeader {
            index,
            name: name(),
            value,
        };
        let change = |value: Vec<u8>| Modification::ChangeHeader {
            index,
            name: name(),
            value,
        };
        let finish = |steps, one: Modification| {
            let actions = Actions::ADD_HEADERS | Actions::CHANGE_HEADERS;
            let mut session = Session::new(Options {
                actions,
                ..Options::default()
            });
            session.take(offer(6, steps)).unwrap();
            session.take(mail()).unwrap();
            session.take(Command::EndOfMessage(b"")).unwrap();
            let mut out = Vec::new();
            let (modifications, outcome) = (vec![one], Outcome::Accept);
            session
                .finish(
                    Answer {
                        modifications,
                        outcome,
                    },
                    &mut out,
                )
                .map(|()| out[4..].to_vec())
        };
        let accepted = |packet: &[u8]| Ok([packet, &b"\0\0\0\x01a"[..]].concat());
        for value in [&b"a"[..], b"\ta", b"\n a", b"\xe9"] {
            for one in [
                add(value.into()),
                insert(value.into()),
                change(value.into()),
            ] {
                assert_eq!(finish(Steps::NONE, one.clone()), Err(FinishError::NoSpace));
                assert!(finish(Steps::LEADING_SPACE, one).is_ok());
            }
        }
        for one in [add(Vec::new()), insert(Vec::new())] {
            assert_eq!(finish(Steps::NONE, one), Err(FinishError::NoSpace));
        }
        assert_eq!(
            finish(Steps::NONE, change(Vec::new())),
            accepted(b"m\0\0\0\x01X\0\0")
        );
        assert_eq!(
            finish(Steps::NONE, change(b" ".into())),
            Err(FinishError::OnlySpace)
        );
        assert_eq!(
            finish(Steps::LEADING_SPACE, change(b" ".into())),
            accepted(b"m\0\0\0\x01X\0 \0")
        );
        assert_eq!(
            finish(Steps::NONE, change(b"  ".into())),
            accepted(b"m\0\0\0\x01X\0 \0")
        );
        assert_eq!(finish(Steps::NONE, add(b" ".into())), accepted(b"hX\0\0"));
    }

    #[test]
    fn an_answer_that_cannot_be_said_defers_the_message() {
        let actions = Actions::ADD_RECIPIENTS;
        let address = b"<b@example.org>".to_vec();
        let parameters = None;
        let recipient = Modification::AddRecipient {
            address,
            parameters,
        };
        let field = |value: &[u8]| Modification::AddHeader {
            name: b"X".to_vec(),
            value: value.to_vec(),
        };
        for (last, error) in [
            (recipient, FinishError::NotNegotiated { actions }),
            (field(b" a\nb"), EncodeError::LineBreak.into()),
        ] {
            let mut session = session(Steps::NONE);
            session.take(mail()).unwrap();
            session.take(Command::EndOfMessage(b"")).unwrap();
            let mut out = Vec::new();
            let answer = Answer {
                modifications: vec![field(b" ok"), last],
                outcome: Outcome::Accept,
            };
            assert_eq!(session.finish(answer, &mut out), Err(error));
            assert_eq!(out, b"\0\0\0\x01t");
        }
    }
}
