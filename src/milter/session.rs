//! The order of a conversation with an MTA, without a socket: which command may come when, what of it a
//! service has to be asked, and whether an answer is due.
//!
//! The order is that of SMTP (RFC 5321 §4.1.4) as an MTA passes it on, told in the documentation of
//! libmilter (the callbacks and what each may return) and in draft-adams-milter-protocol. Steps may be
//! absent, because they were negotiated away or because mail came without SMTP, but none comes before an
//! earlier one.

mod context;
mod order;
mod outcome;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use self::context::{Client, Context};
use self::order::after;
pub use self::order::{Stage, Step};
pub use self::outcome::{Answer, Outcome};
use super::wire::{
    Actions, Command, EncodeError, MacroStage, Modification, Negotiation, OLDEST_VERSION, Reply,
    Steps, Strings, VERSION,
};

/// What a milter wants of an MTA.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// What it may do to messages. An MTA that does not offer all of it is not served.
    pub actions: Actions,
    /// What it does not want to be told, and what it does not want to answer, where the MTA offers that:
    /// `NO_…` and `NO_REPLY_…`.
    ///
    /// MAIL is always told, since a message begins with it. Header fields, their end, and DATA are never
    /// answered where the MTA offers that; chunks of the body only if the MTA does not understand SKIP.
    /// What is decided where no answer is due is said at the next command that has one.
    pub steps: Steps,
    /// The macros it wants, with blanks between their names; for an MTA that takes such lists.
    pub macros: Vec<(MacroStage, String)>,
}

/// What a command means for the caller of [`Session::take`].
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Nothing is to be done.
    Quiet,
    /// This is to be sent.
    Reply(Reply),
    /// The service is to be asked about the client that [`Context`] knows.
    Connect,
    /// About HELO.
    Helo,
    /// About a new message: its sender and ESMTP parameters.
    Mail(Strings<'a>),
    /// About a recipient and ESMTP parameters.
    Rcpt(Strings<'a>),
    /// About DATA.
    Data,
    /// About a field: its name, and what stands behind the colon, as well as the MTA lets know.
    Header(&'a [u8], Cow<'a, [u8]>),
    /// About the header.
    EndOfHeader,
    /// About a piece of the body.
    Body(&'a [u8]),
    /// About the message, whose body ends with this piece. [`Session::finish`] answers it.
    EndOfMessage(&'a [u8]),
    /// What was begun is to be forgotten.
    Abort,
    /// The connection is to be closed.
    Quit,
}

/// One conversation.
///
/// Each command goes into [`take`](Session::take). Where that asks for something, one of
/// [`proceed`](Session::proceed), [`skip`](Session::skip), [`decide`](Session::decide),
/// [`refuse_recipient`](Session::refuse_recipient) and [`finish`](Session::finish) says what was decided,
/// and gives what is to be sent.
///
/// ```
/// use dkimkit::milter::session::{Event, Options, Session};
/// use dkimkit::milter::wire::{Actions, Command, Negotiation, Reply, Steps, Strings};
/// let mut session = Session::new(Options::default());
/// let offer = Negotiation {
///     version: 6,
///     actions: Actions::ADD_HEADERS,
///     steps: Steps::NO_REPLY_HEADER | Steps::NO_DATA,
///     macros: Vec::new(),
/// };
/// let Event::Reply(Reply::Negotiate(ours)) = session.take(Command::Negotiate(offer))? else { panic!() };
/// assert_eq!(ours.steps, Steps::NO_REPLY_HEADER);
/// session.take(Command::Mail(Strings::parse(b"<a@example.org>\0")?))?;
/// assert_eq!(session.proceed(), Some(Reply::Continue));
/// session.take(Command::Header { name: b"Subject", value: b"Hi" })?;
/// assert_eq!(session.proceed(), None);
/// assert!(session.take(Command::Data).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session {
    options: Options,
    stage: Stage,
    context: Context,
    /// Whether the command that was taken has an answer.
    due: bool,
    /// What was decided of the connection.
    standing: Option<Outcome>,
    /// What was decided of the message before its end.
    decided: Option<Outcome>,
    /// Whether the MTA was told that.
    told: bool,
    /// Whether the service has seen enough of the body.
    enough: bool,
}

impl Session {
    /// A conversation that has not begun.
    pub fn new(options: Options) -> Session {
        Session {
            options,
            stage: Stage::Fresh,
            context: Context::default(),
            due: false,
            standing: None,
            decided: None,
            told: false,
            enough: false,
        }
    }

    /// What is known of the client and of the message.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Says where the MTA is, for [`Context::mta`].
    pub fn set_mta(&mut self, mta: String) {
        self.context.set_mta(mta);
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether a message has begun that the MTA has no final answer for.
    pub fn is_in_message(&self) -> bool {
        self.stage.is_in_message() && !self.told
    }

    /// Whether the service has decided of the message, and is not asked about it any more.
    pub fn is_decided(&self) -> bool {
        self.decided.is_some()
    }

    /// Takes a command.
    ///
    /// # Errors
    /// [`SessionError`]: the command does not belong here, or we and the MTA do not fit. The conversation
    /// is over then.
    pub fn take<'a>(&mut self, command: Command<'a>) -> Result<Event<'a>, SessionError> {
        let step = Step::of(&command);
        // A client may begin anew without RSET (RFC 5321 §4.1.4), and Postfix tells of that before it tells, if
        // at all, that the old message is over: where another milter has refused it, too.
        if matches!(step, Step::Helo | Step::Mail) && self.stage.is_in_message() {
            self.stage = Stage::Connected;
            self.forget_message();
            self.context.end_message();
        }
        let stage = self.stage;
        let next = after(stage, step).ok_or(SessionError::Order { stage, step })?;
        self.stage = next;
        let unanswered = step.unanswered();
        self.due = unanswered.is_some_and(|flag| {
            flag == Steps::NONE || !self.context.negotiated().steps.contains(flag)
        });
        if step == Step::Mail {
            self.forget_message();
            self.context.begin_message();
        }
        if unanswered.is_some()
            && step != Step::Unknown
            && let Some(event) = self.foregone(step)
        {
            return Ok(event);
        }
        self.event(command)
    }

    /// Where all is decided, the service is not asked.
    fn foregone(&mut self, step: Step) -> Option<Event<'static>> {
        let outcome = self.standing.as_ref().or(self.decided.as_ref())?;
        let event = match (outcome, step) {
            _ if !self.due => Event::Quiet,
            // There is no message yet that could be thrown away.
            (Outcome::Discard, Step::Connect | Step::Helo) => Event::Reply(Reply::Continue),
            _ => {
                self.told = true;
                Event::Reply(outcome.reply())
            }
        };
        if step == Step::EndOfMessage {
            self.forget_message();
            self.context.end_message();
        }
        Some(event)
    }

    fn event<'a>(&mut self, command: Command<'a>) -> Result<Event<'a>, SessionError> {
        Ok(match command {
            Command::Negotiate(offer) => Event::Reply(Reply::Negotiate(self.negotiate(offer)?)),
            Command::Macros { of, values } => {
                let octets = values.as_bytes().len();
                if octets > MAX_MACROS {
                    let limit = MAX_MACROS;
                    return Err(SessionError::Macros { octets, limit });
                }
                let in_message = self.stage.is_in_message();
                self.context.set_macros(of, values, in_message);
                Event::Quiet
            }
            Command::Connect { host, peer } => {
                self.context.connect(host, peer);
                Event::Connect
            }
            Command::Helo(name) => {
                self.context.set_helo(name);
                Event::Helo
            }
            Command::Mail(arguments) => Event::Mail(arguments),
            Command::Rcpt(arguments) => Event::Rcpt(arguments),
            Command::Data => Event::Data,
            Command::Header { name, value } => Event::Header(name, self.whole_value(value)),
            Command::EndOfHeader => Event::EndOfHeader,
            Command::Body(_) if self.enough => self.quiet(),
            Command::Body(bytes) => Event::Body(bytes),
            Command::EndOfMessage(_) if self.enough => Event::EndOfMessage(b""),
            Command::EndOfMessage(bytes) => Event::EndOfMessage(bytes),
            Command::Abort => {
                self.forget_message();
                self.context.end_message();
                Event::Abort
            }
            Command::QuitNewConnection => {
                self.forget_message();
                self.standing = None;
                self.context.end_connection();
                Event::Abort
            }
            Command::Quit => Event::Quit,
            Command::Unknown(_) => self.quiet(),
        })
    }

    fn negotiate(&mut self, offer: Negotiation) -> Result<Negotiation, SessionError> {
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
            let macros = self.options.macros.iter();
            ours.macros = macros
                .map(|(stage, names)| (*stage, names.clone().into_bytes()))
                .collect();
            ours.actions = ours.actions | Actions::SET_MACROS;
        }
        self.context.set_negotiated(ours.clone());
        Ok(ours)
    }

    /// The value with what the MTA took from its front.
    ///
    /// Without [`Steps::LEADING_SPACE`] Sendmail and Postfix take away one space, but neither a tab nor a
    /// line break; that there was one is likely then, not certain.
    fn whole_value<'a>(&self, value: &'a [u8]) -> Cow<'a, [u8]> {
        let kept = self.context.keeps_leading_space();
        match value.first() {
            Some(first) if !kept && !matches!(first, b'\t' | b'\n' | b'\r') => {
                [b" ", value].concat().into()
            }
            _ => value.into(),
        }
    }

    /// Nothing more to say than that it goes on.
    fn quiet(&self) -> Event<'static> {
        match self.proceed() {
            Some(reply) => Event::Reply(reply),
            None => Event::Quiet,
        }
    }

    /// The service lets it go on.
    pub fn proceed(&self) -> Option<Reply> {
        self.due.then_some(Reply::Continue)
    }

    /// The service has seen enough of the body, and is not shown more of it.
    pub fn skip(&mut self) -> Option<Reply> {
        self.enough = true;
        let skips = self.context.negotiated().steps.contains(Steps::SKIP);
        match self.stage {
            Stage::Body if skips => self.due.then_some(Reply::Skip),
            _ => self.proceed(),
        }
    }

    /// The service has decided: of the connection where there is no message, and else of the message.
    pub fn decide(&mut self, outcome: Outcome) -> Option<Reply> {
        let now = match (&outcome, self.stage.is_in_message()) {
            (Outcome::Discard, false) => Reply::Continue,
            _ => outcome.reply(),
        };
        if self.stage.is_in_message() {
            self.decided = Some(outcome);
            self.told = self.due;
        } else {
            self.standing = Some(outcome);
        }
        self.due.then_some(now)
    }

    /// The service refuses one recipient, for good or for now; the message goes on.
    ///
    /// What is no refusal is decided of the message, and so is a refusal that could not be said.
    pub fn refuse_recipient(&mut self, outcome: Outcome) -> Option<Reply> {
        match outcome {
            Outcome::Reject | Outcome::TempFail | Outcome::Refuse(_) if self.due => {
                Some(outcome.reply())
            }
            outcome => self.decide(outcome),
        }
    }

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

    fn forget_message(&mut self) {
        self.decided = None;
        self.told = false;
        self.enough = false;
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

/// Fields, their end and DATA need no answer of ours; unknown commands need not be told; and the rest
/// lets us see values as they are, and less of the body.
const ALWAYS_WANTED: Steps = Steps(
    Steps::NO_REPLY_HEADER.0
        | Steps::NO_REPLY_END_OF_HEADER.0
        | Steps::NO_REPLY_DATA.0
        | Steps::NO_REPLY_BODY.0
        | Steps::NO_UNKNOWN.0
        | Steps::SKIP.0
        | Steps::LEADING_SPACE.0,
);

/// So many octets may the macros of one command have.
const MAX_MACROS: usize = 64 * 1024;

/// Why a conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// A command where it does not belong.
    #[error("{step:?} came at the stage {stage:?}")]
    Order {
        /// How far the conversation was.
        stage: Stage,
        /// What came.
        step: Step,
    },
    /// The MTA speaks a version before 2.
    #[error("the MTA speaks version {version} of the protocol, and we 2 to 6")]
    Version {
        /// Its version.
        version: u32,
    },
    /// The MTA does not offer what the milter must be able to do.
    #[error("the MTA does not offer the actions {missing:?}")]
    Actions {
        /// What is missing.
        missing: Actions,
    },
    /// Macros that are too long.
    #[error("the macros of a command have {octets} octets, more than {limit}")]
    Macros {
        /// What they have.
        octets: usize,
        /// What is taken.
        limit: usize,
    },
}

/// Why a message was deferred in place of what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FinishError {
    /// A modification that [`Options::actions`] does not have.
    #[error("the actions {actions:?} were not negotiated")]
    NotNegotiated {
        /// What it needs.
        actions: Actions,
    },
    /// A field value that does not begin with a space, while the MTA puts one there:
    /// [`Context::keeps_leading_space`].
    #[error("the MTA puts a space behind the colon of a field that shall have none")]
    NoSpace,
    /// A change of a field value to a single space, which such an MTA takes for a deletion.
    #[error("the MTA deletes a field whose value shall be a single space")]
    OnlySpace,
    /// A modification that cannot be said.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
