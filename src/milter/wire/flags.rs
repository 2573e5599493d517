//! What is negotiated: versions, actions, steps, and the macros that are wanted.

use std::ops::{BitAnd, BitOr, Sub};

use super::{Data, EncodeError, Strings, WireError, put_string};

/// Octets of the version, the actions and the steps.
const FIXED: &str = "its version and flags";

macro_rules! flags {
    ($type:ident) => {
        impl $type {
            /// Whether all of `other` is in it.
            pub fn contains(self, other: $type) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl BitOr for $type {
            type Output = $type;
            fn bitor(self, other: $type) -> $type {
                $type(self.0 | other.0)
            }
        }

        impl BitAnd for $type {
            type Output = $type;
            fn bitand(self, other: $type) -> $type {
                $type(self.0 & other.0)
            }
        }

        impl Sub for $type {
            type Output = $type;
            fn sub(self, other: $type) -> $type {
                $type(self.0 & !other.0)
            }
        }
    };
}

/// What a milter may do to a message (`SMFIF_*` in libmilter).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Actions(pub u32);

flags!(Actions);

impl Actions {
    /// Nothing.
    pub const NONE: Actions = Actions(0);
    /// Add and insert header fields.
    pub const ADD_HEADERS: Actions = Actions(0x01);
    /// Replace the body.
    pub const CHANGE_BODY: Actions = Actions(0x02);
    /// Add recipients.
    pub const ADD_RECIPIENTS: Actions = Actions(0x04);
    /// Delete recipients.
    pub const DELETE_RECIPIENTS: Actions = Actions(0x08);
    /// Change and delete header fields.
    pub const CHANGE_HEADERS: Actions = Actions(0x10);
    /// Hold the message back.
    pub const QUARANTINE: Actions = Actions(0x20);
    /// Change the sender of the envelope.
    pub const CHANGE_SENDER: Actions = Actions(0x40);
    /// Add recipients with ESMTP parameters.
    pub const ADD_RECIPIENTS_WITH_PARAMETERS: Actions = Actions(0x80);
    /// Say which macros are wanted.
    pub const SET_MACROS: Actions = Actions(0x100);
}

/// What an MTA need not send, need not wait for, and can do (`SMFIP_*` in libmilter).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Steps(pub u32);

flags!(Steps);

impl Steps {
    /// Nothing.
    pub const NONE: Steps = Steps(0);
    /// The connection is not told.
    pub const NO_CONNECT: Steps = Steps(0x01);
    /// HELO and EHLO are not told.
    pub const NO_HELO: Steps = Steps(0x02);
    /// MAIL is not told.
    pub const NO_MAIL: Steps = Steps(0x04);
    /// RCPT is not told.
    pub const NO_RCPT: Steps = Steps(0x08);
    /// The body is not sent.
    pub const NO_BODY: Steps = Steps(0x10);
    /// Header fields are not sent.
    pub const NO_HEADER: Steps = Steps(0x20);
    /// The end of the header is not told.
    pub const NO_END_OF_HEADER: Steps = Steps(0x40);
    /// A header field is not answered.
    pub const NO_REPLY_HEADER: Steps = Steps(0x80);
    /// Unknown SMTP commands are not told.
    pub const NO_UNKNOWN: Steps = Steps(0x100);
    /// DATA is not told.
    pub const NO_DATA: Steps = Steps(0x200);
    /// The MTA understands [`Reply::Skip`](super::Reply::Skip).
    pub const SKIP: Steps = Steps(0x400);
    /// Recipients that the MTA refused are told too.
    pub const REJECTED_RCPT: Steps = Steps(0x800);
    /// The connection is not answered.
    pub const NO_REPLY_CONNECT: Steps = Steps(0x1000);
    /// HELO is not answered.
    pub const NO_REPLY_HELO: Steps = Steps(0x2000);
    /// MAIL is not answered.
    pub const NO_REPLY_MAIL: Steps = Steps(0x4000);
    /// RCPT is not answered.
    pub const NO_REPLY_RCPT: Steps = Steps(0x8000);
    /// DATA is not answered.
    pub const NO_REPLY_DATA: Steps = Steps(0x1_0000);
    /// Unknown SMTP commands are not answered.
    pub const NO_REPLY_UNKNOWN: Steps = Steps(0x2_0000);
    /// The end of the header is not answered.
    pub const NO_REPLY_END_OF_HEADER: Steps = Steps(0x4_0000);
    /// Chunks of the body are not answered.
    pub const NO_REPLY_BODY: Steps = Steps(0x8_0000);
    /// Field values keep the blanks behind the colon, and none is put there.
    pub const LEADING_SPACE: Steps = Steps(0x10_0000);
}

/// Where macros are sent; its number on the wire is its place here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MacroStage {
    /// With the connection.
    Connect,
    /// With HELO.
    Helo,
    /// With MAIL.
    Mail,
    /// With RCPT.
    Rcpt,
    /// With DATA.
    Data,
    /// With the end of the message.
    EndOfMessage,
    /// With the end of the header.
    EndOfHeader,
}

impl MacroStage {
    /// All of them, by their numbers on the wire.
    const ALL: [MacroStage; 7] = [
        MacroStage::Connect,
        MacroStage::Helo,
        MacroStage::Mail,
        MacroStage::Rcpt,
        MacroStage::Data,
        MacroStage::EndOfMessage,
        MacroStage::EndOfHeader,
    ];
}

/// The first packet of each side: what the MTA can do, and what of it the milter wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiation {
    /// The version of the protocol.
    pub version: u32,
    /// What the milter may do.
    pub actions: Actions,
    /// What need not be sent.
    pub steps: Steps,
    /// The macros that the milter wants, with blanks between their names; only it says so, and only
    /// with [`Actions::SET_MACROS`].
    pub macros: Vec<(MacroStage, Vec<u8>)>,
}

impl Negotiation {
    pub(super) fn parse(mut data: Data<'_>) -> Result<Negotiation, WireError> {
        let version = data.u32(FIXED)?;
        let actions = Actions(data.u32(FIXED)?);
        let steps = Steps(data.u32(FIXED)?);
        let mut macros = Vec::new();
        while !data.0.is_empty() {
            let stage = data.u32("the stage of its macros")?;
            let known = usize::try_from(stage)
                .ok()
                .and_then(|at| MacroStage::ALL.get(at));
            let known = known.ok_or(WireError::UnknownStage { stage })?;
            macros.push((*known, data.string("a list of macros")?.to_vec()));
        }
        Ok(Negotiation {
            version,
            actions,
            steps,
            macros,
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for number in [self.version, self.actions.0, self.steps.0] {
            out.extend(number.to_be_bytes());
        }
        for (stage, names) in &self.macros {
            out.extend((*stage as u32).to_be_bytes());
            put_string(out, names, "a list of macros")?;
        }
        Ok(())
    }
}

/// Names and values in turn.
pub(super) fn parse_macros(data: &mut Data<'_>) -> Result<(), WireError> {
    let all = Strings::parse(data.0).map_err(|_| WireError::Unterminated { what: "a macro" })?;
    match all.iter().count() % 2 {
        0 => Ok(()),
        _ => Err(WireError::OddMacros),
    }
}
