//! What a milter wants, and what of it an MTA offers.

use super::super::wire::{
    Actions, EncodeError, MacroStage, Negotiation, OLDEST_VERSION, Reply, Steps, VERSION,
};
use super::{Session, SessionError};

/// What a milter wants of an MTA.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// What it may do to messages. An MTA that does not offer all of it is not served.
    pub actions: Actions,
    /// What it does not want to be told, and what it does not want to answer, where the MTA offers that:
    /// `NO_…` and `NO_REPLY_…`.
    ///
    /// MAIL is always told, since a message begins with it. Header fields and their end are never
    /// answered where the MTA offers that; chunks of the body only if the MTA does not understand SKIP.
    /// What is decided where no answer is due is said at the next command that has one.
    pub steps: Steps,
    /// The macros it wants, with blanks between their names; for an MTA that takes such lists.
    pub macros: Vec<(MacroStage, String)>,
}

impl Options {
    /// Whether the lists of macros can be sent to an MTA.
    ///
    /// # Errors
    /// [`EncodeError`]: a name has a NUL, or the lists of a stage are too long.
    pub fn check(&self) -> Result<(), EncodeError> {
        let limit = MAX_MACRO_NAMES;
        let mut lengths = self.macros.iter().map(|(_, names)| names.len());
        if let Some(length) = lengths.find(|&length| length > limit) {
            return Err(EncodeError::TooLong { length, limit });
        }
        let all = Negotiation {
            version: VERSION,
            actions: self.actions,
            steps: self.steps,
            macros: self.wanted_macros(),
        };
        Reply::Negotiate(all).encode(&mut Vec::new())
    }

    fn wanted_macros(&self) -> Vec<(MacroStage, Vec<u8>)> {
        let macros = self.macros.iter();
        macros
            .map(|(stage, names)| (*stage, names.clone().into_bytes()))
            .collect()
    }
}

/// So many octets may the names of macros have that are wanted at one stage: more than there are macros.
const MAX_MACRO_NAMES: usize = 4096;

impl Session {
    pub(super) fn negotiate(&mut self, offer: Negotiation) -> Result<Negotiation, SessionError> {
        if offer.version < OLDEST_VERSION {
            let version = offer.version;
            return Err(SessionError::Version { version });
        }
        let wanted = self.options.actions - Actions::SET_MACROS;
        if !offer.actions.contains(wanted) {
            let missing = wanted - offer.actions;
            return Err(SessionError::Actions { missing });
        }
        let mut steps = (self.options.steps | ALWAYS_WANTED) & (offer.steps - Steps::NO_MAIL);
        if steps.contains(Steps::SKIP) {
            steps = steps - Steps::NO_REPLY_BODY;
        }
        let mut ours = Negotiation {
            version: offer.version.min(VERSION),
            actions: wanted,
            steps,
            macros: Vec::new(),
        };
        if offer.actions.contains(Actions::SET_MACROS) && !self.options.macros.is_empty() {
            ours.macros = self.options.wanted_macros();
            ours.actions = ours.actions | Actions::SET_MACROS;
        }
        self.context.set_negotiated(ours.clone());
        Ok(ours)
    }
}

/// Fields and their end need no answer of ours; unknown commands need not be told; and the rest
/// lets us see values as they are, and less of the body.
const ALWAYS_WANTED: Steps = Steps(
    Steps::NO_REPLY_HEADER.0
        | Steps::NO_REPLY_END_OF_HEADER.0
        | Steps::NO_REPLY_BODY.0
        | Steps::NO_UNKNOWN.0
        | Steps::SKIP.0
        | Steps::LEADING_SPACE.0,
);
