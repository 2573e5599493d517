//! What a service can decide.

use super::super::wire::{Modification, Reply, ReplyText};

/// What becomes of a message, a recipient or a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on its way, and the milter is not asked again.
    Accept,
    /// The message is taken and thrown away; said of a connection, each of its messages is.
    Discard,
    /// It is refused for good.
    Reject,
    /// It is refused for now.
    TempFail,
    /// It is refused in these words.
    Refuse(ReplyText),
}

impl Outcome {
    pub(super) fn reply(&self) -> Reply {
        match self {
            Outcome::Accept => Reply::Accept,
            Outcome::Discard => Reply::Discard,
            Outcome::Reject => Reply::Reject,
            Outcome::TempFail => Reply::TempFail,
            Outcome::Refuse(text) => Reply::Text(text.clone()),
        }
    }

    pub(super) fn passes(&self) -> bool {
        *self == Outcome::Accept
    }
}

/// The answer to a whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What is changed, in this order; nothing is where the message is not accepted.
    ///
    /// The value of a field begins with the blank that shall stand behind its colon, whatever the MTA does: where
    /// [`Context::keeps_leading_space`](super::Context::keeps_leading_space) is false, that has to be one space
    /// at least, since the MTA puts it there, and the session leaves it out.
    pub modifications: Vec<Modification>,
    /// What becomes of it.
    pub outcome: Outcome,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Answer {
        Answer {
            modifications: Vec::new(),
            outcome,
        }
    }
}
