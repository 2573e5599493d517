//! The order of a conversation with an MTA, without a socket: which command may come when, what of it a
//! service has to be asked, and whether an answer is due.
//!
//! The order is that of SMTP (RFC 5321 §4.1.4) as an MTA passes it on, told in the documentation of
//! libmilter (the callbacks and what each may return) and in draft-adams-milter-protocol. Steps may be
//! absent, because they were negotiated away or because mail came without SMTP, but none comes before an
//! earlier one.

mod context;
mod finish;
mod negotiate;
mod order;
mod outcome;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use self::context::{Client, Context};
pub use self::finish::FinishError;
pub use self::negotiate::Options;
use self::order::after;
pub use self::order::{Stage, Step};
pub use self::outcome::{Answer, Outcome};
use super::wire::{Actions, Command, Reply, Steps, Strings};

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
            _ => Event::Reply(outcome.reply()),
        };
        self.told |= self.due && settles(outcome, self.stage);
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
            self.told |= self.due && settles(&outcome, self.stage);
            self.decided = Some(outcome);
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

    fn forget_message(&mut self) {
        self.decided = None;
        self.told = false;
        self.enough = false;
    }
}

/// Whether the message is over for the MTA that is told this at a stage. A refusal in answer to RCPT is one of
/// that recipient: RFC 5321 §3.3.
fn settles(outcome: &Outcome, stage: Stage) -> bool {
    stage != Stage::Rcpt || matches!(outcome, Outcome::Accept | Outcome::Discard)
}

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
