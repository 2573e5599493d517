//! Which command may come when.

use super::super::wire::{Command, Steps};

/// A command without what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The first packet.
    Negotiate,
    /// Macros.
    Macros,
    /// An SMTP client.
    Connect,
    /// HELO or EHLO.
    Helo,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// A header field.
    Header,
    /// The end of the header.
    EndOfHeader,
    /// A piece of the body.
    Body,
    /// The end of the message.
    EndOfMessage,
    /// The end of what was begun.
    Abort,
    /// The end.
    Quit,
    /// The end of an SMTP connection, before another one.
    QuitNewConnection,
    /// An SMTP command that the MTA does not know.
    Unknown,
}

impl Step {
    pub(super) fn of(command: &Command<'_>) -> Step {
        match command {
            Command::Negotiate(_) => Step::Negotiate,
            Command::Macros { .. } => Step::Macros,
            Command::Connect { .. } => Step::Connect,
            Command::Helo(_) => Step::Helo,
            Command::Mail(_) => Step::Mail,
            Command::Rcpt(_) => Step::Rcpt,
            Command::Data => Step::Data,
            Command::Header { .. } => Step::Header,
            Command::EndOfHeader => Step::EndOfHeader,
            Command::Body(_) => Step::Body,
            Command::EndOfMessage(_) => Step::EndOfMessage,
            Command::Abort => Step::Abort,
            Command::Quit => Step::Quit,
            Command::QuitNewConnection => Step::QuitNewConnection,
            Command::Unknown(_) => Step::Unknown,
        }
    }

    /// The flag with which it has no answer.
    pub(super) fn unanswered(self) -> Option<Steps> {
        Some(match self {
            Step::Connect => Steps::NO_REPLY_CONNECT,
            Step::Helo => Steps::NO_REPLY_HELO,
            Step::Mail => Steps::NO_REPLY_MAIL,
            Step::Rcpt => Steps::NO_REPLY_RCPT,
            Step::Data => Steps::NO_REPLY_DATA,
            Step::Header => Steps::NO_REPLY_HEADER,
            Step::EndOfHeader => Steps::NO_REPLY_END_OF_HEADER,
            Step::Body => Steps::NO_REPLY_BODY,
            Step::Unknown => Steps::NO_REPLY_UNKNOWN,
            Step::EndOfMessage => Steps::NONE,
            Step::Negotiate | Step::Macros | Step::Abort | Step::Quit | Step::QuitNewConnection => {
                return None;
            }
        })
    }
}

/// How far a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing was said.
    Fresh,
    /// Versions and flags are known.
    Negotiated,
    /// There is an SMTP client, and no message.
    Connected,
    /// A message has a sender.
    Mail,
    /// It has recipients.
    Rcpt,
    /// DATA was said.
    Data,
    /// Its header comes.
    Header,
    /// Its header is complete.
    EndOfHeader,
    /// Its body comes.
    Body,
    /// It is all over.
    Closed,
}

impl Stage {
    pub(super) fn is_in_message(self) -> bool {
        (Stage::Mail..=Stage::Body).contains(&self)
    }
}

impl PartialOrd for Stage {
    fn partial_cmp(&self, other: &Stage) -> Option<std::cmp::Ordering> {
        Some((*self as u8).cmp(&(*other as u8)))
    }
}

/// The table of the protocol: where a step leads, or nowhere.
pub(super) fn after(stage: Stage, step: Step) -> Option<Stage> {
    use Stage as At;
    Some(match (stage, step) {
        (At::Closed, _) => return None,
        (_, Step::Quit) => At::Closed,
        (At::Fresh, Step::Negotiate) => At::Negotiated,
        (At::Fresh, _) | (_, Step::Negotiate) => return None,
        (stage, Step::Macros | Step::Unknown) => stage,
        (_, Step::QuitNewConnection) => At::Negotiated,
        (At::Negotiated, Step::Abort | Step::Connect) => match step {
            Step::Connect => At::Connected,
            _ => At::Negotiated,
        },
        (_, Step::Abort) => At::Connected,
        (At::Negotiated | At::Connected, Step::Helo) => At::Connected,
        (At::Negotiated | At::Connected, Step::Mail) => At::Mail,
        // Where another milter refuses DATA, the client may name more recipients, or try again.
        (At::Mail | At::Rcpt | At::Data, Step::Rcpt) => At::Rcpt,
        (At::Mail | At::Rcpt | At::Data, Step::Data) => At::Data,
        (At::Mail | At::Rcpt | At::Data | At::Header, Step::Header) => At::Header,
        (At::Mail | At::Rcpt | At::Data | At::Header, Step::EndOfHeader) => At::EndOfHeader,
        (stage, Step::Body) if stage.is_in_message() => At::Body,
        (stage, Step::EndOfMessage) if stage.is_in_message() => At::Connected,
        _ => return None,
    })
}
