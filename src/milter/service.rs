//! What a milter does with what it is told.

use std::future::Future;
use std::ops::ControlFlow;

use super::session::{Answer, Context, FinishError, Options, Outcome, SessionError, Step};
use super::wire::{Strings, WireError};
use crate::verify::Appetite;

/// Decides about connections and messages. One value serves all connections at the same time.
///
/// `ControlFlow::Break` decides at once, and the service is not asked again about that message, or that
/// connection where there is no message yet. The calls before the end of a message must not block;
/// lookups may be begun there on tasks of their own, and waited for at the end.
///
/// A call that panics defers its message, and the connection goes on.
///
/// [`Context::queue_id`], [`Context::mta`] and [`Context::client`] say for a log what a call is about.
///
/// ```
/// use std::ops::ControlFlow;
/// use dkimkit::milter::service::{End, Service};
/// use dkimkit::milter::session::{Answer, Context, Options, Outcome};
/// use dkimkit::milter::wire::{Actions, Modification, Strings};
///
/// /// Says who logged in.
/// struct Login;
///
/// impl Service for Login {
///     type Message = ();
///
///     fn options(&self) -> Options {
///         Options { actions: Actions::ADD_HEADERS, ..Options::default() }
///     }
///
///     fn mail(&self, context: &Context, _: Strings<'_>) -> ControlFlow<Outcome, ()> {
///         match context.login() {
///             Some(_) => ControlFlow::Continue(()),
///             None => ControlFlow::Break(Outcome::Accept),
///         }
///     }
///
///     async fn end_of_message(&self, context: &Context, _: ()) -> Answer {
///         let login = String::from_utf8_lossy(context.login().unwrap_or_default());
///         // Below what the MTA itself put on top, and above all that came.
///         let field = Modification::insert_field(1, &format!("X-Login: {login}"));
///         Answer { modifications: vec![field], outcome: Outcome::Accept }
///     }
///
///     fn ended(&self, context: &Context, _: (), end: End) {
///         println!("{:?}: {end:?}", context.queue_id().unwrap_or_default().escape_ascii());
///     }
/// }
/// ```
pub trait Service: Send + Sync + 'static {
    /// What is kept of a message between the calls, until [`end_of_message`](Service::end_of_message) or
    /// [`ended`](Service::ended) takes it.
    type Message: Send;

    /// What is wanted of each MTA that connects. This is asked for once when the milter starts, and once for each
    /// connection.
    fn options(&self) -> Options;

    /// An MTA has connected. [`closed`](Service::closed) follows when it has gone, however that comes.
    fn opened(&self) {}

    /// An MTA has gone.
    fn closed(&self) {}

    /// An SMTP client: [`Context::client`].
    fn connect(&self, context: &Context) -> ControlFlow<Outcome> {
        let _ = context;
        ControlFlow::Continue(())
    }

    /// HELO or EHLO: [`Context::helo`].
    fn helo(&self, context: &Context) -> ControlFlow<Outcome> {
        let _ = context;
        ControlFlow::Continue(())
    }

    /// A message begins: its sender, in angle brackets, and ESMTP parameters.
    fn mail(&self, context: &Context, sender: Strings<'_>) -> ControlFlow<Outcome, Self::Message>;

    /// A recipient, in angle brackets, and ESMTP parameters. A refusal is one of this recipient alone.
    fn recipient(
        &self,
        context: &Context,
        message: &mut Self::Message,
        recipient: Strings<'_>,
    ) -> ControlFlow<Outcome> {
        let _ = (context, message, recipient);
        ControlFlow::Continue(())
    }

    /// DATA.
    fn data(&self, context: &Context, message: &mut Self::Message) -> ControlFlow<Outcome> {
        let _ = (context, message);
        ControlFlow::Continue(())
    }

    /// A field: the bytes before and behind its colon, folded with LF alone where the MTA does so, and
    /// without a final line break. [`put_field_bytes`](super::wire::put_field_bytes) makes it what the message
    /// has, and a signature is about.
    fn header(
        &self,
        context: &Context,
        message: &mut Self::Message,
        name: &[u8],
        value: &[u8],
    ) -> ControlFlow<Outcome> {
        let _ = (context, message, name, value);
        ControlFlow::Continue(())
    }

    /// The header is complete.
    fn end_of_header(
        &self,
        context: &Context,
        message: &mut Self::Message,
    ) -> ControlFlow<Outcome> {
        let _ = (context, message);
        ControlFlow::Continue(())
    }

    /// A piece of the body, with CRLF; after [`Appetite::Done`] none follows.
    fn body(
        &self,
        context: &Context,
        message: &mut Self::Message,
        bytes: &[u8],
    ) -> ControlFlow<Outcome, Appetite> {
        let _ = (context, message, bytes);
        ControlFlow::Continue(Appetite::Done)
    }

    /// The message is complete. While this takes its time, the MTA is told that it goes on.
    fn end_of_message(
        &self,
        context: &Context,
        message: Self::Message,
    ) -> impl Future<Output = Answer> + Send;

    /// A message has more recipients or more of a header than [`Limits`](super::Limits) allow. The first recipient
    /// or field beyond the limit and all that follow are not told; if this lets it go on, the message does.
    ///
    /// It is called once for the recipients and once for the header of a message. What it decides, it decides of
    /// the whole message, which is deferred unless it says otherwise.
    fn overflow(
        &self,
        context: &Context,
        message: &mut Self::Message,
        what: Overflow,
    ) -> ControlFlow<Outcome> {
        let _ = (context, message, what);
        ControlFlow::Break(Outcome::TempFail)
    }

    /// A message that [`mail`](Service::mail) began does not reach [`end_of_message`](Service::end_of_message).
    ///
    /// Each message is given to one of the two, once. `context` still is that of this message. Like the calls
    /// before it, this must not block.
    fn ended(&self, context: &Context, message: Self::Message, end: End) {
        let _ = (context, message, end);
    }

    /// Something went wrong that no caller is told otherwise. `context` is that of the connection.
    fn notice(&self, context: Option<&Context>, notice: &Notice) {
        let _ = (context, notice);
    }
}

/// What a message has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overflow {
    /// Its header is too long.
    #[error("the header has more than {limit} octets")]
    HeaderOctets {
        /// How long it may be.
        limit: usize,
    },
    /// It has too many fields.
    #[error("the header has more than {limit} fields")]
    HeaderFields {
        /// How many it may have.
        limit: usize,
    },
    /// It has too many recipients.
    #[error("the message has more than {limit} recipients")]
    Recipients {
        /// How many it may have.
        limit: usize,
    },
}

/// How a message was over before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The MTA gave it up, or its SMTP connection: the client reset it or left, or somebody else refused it.
    Aborted,
    /// Another MAIL or HELO came in its place.
    Replaced,
    /// The service itself decided, by `ControlFlow::Break`, and is not asked any more.
    Decided,
    /// The connection to the MTA ended or failed, or what came over it was not the protocol.
    Lost,
    /// A call about it panicked, and it is deferred.
    Panicked,
    /// The milter ended, and did not wait for it any more.
    Closing,
}

/// What went wrong while the milter ran.
#[derive(Debug, thiserror::Error)]
pub enum Notice {
    /// No connection could be accepted; it is tried again.
    #[error("no connection can be accepted: {error}")]
    Accept {
        /// Why.
        error: std::io::Error,
    },
    /// A connection ended otherwise than by QUIT or between messages. [`Context::mta`] says whose.
    #[error("the connection to the MTA ended: {error}")]
    Connection {
        /// Why.
        error: ConnectionError,
    },
    /// All connections are taken, and an MTA waits for one of them. This is told once, until one was free again.
    #[error("all {connections} connections are taken, and an MTA waits")]
    Full {
        /// How many they are.
        connections: usize,
    },
    /// A connection ended before the answer to a message was sent: the MTA keeps the message, or has given it up,
    /// whatever was decided. It takes the place of [`Notice::Connection`].
    #[error("the MTA did not get the answer to a message: {error}")]
    Unanswered {
        /// Why.
        error: ConnectionError,
    },
    /// Something panicked that decides about no message: [`Service::options`], [`Service::ended`], or what serves
    /// a connection, which ended then.
    #[error("{what} failed: {text}")]
    Failed {
        /// What it was.
        what: &'static str,
        /// What the panic said.
        text: String,
    },
    /// A call of the service panicked; what it was about is deferred.
    #[error("the milter failed at {step:?}, and the message is deferred: {text}")]
    Panicked {
        /// What was being done.
        step: Step,
        /// What the panic said.
        text: String,
    },
    /// The answer to a message took too long; the message is deferred.
    #[error("there was no answer to a message in time, and it is deferred")]
    TooSlow,
    /// The answer to a message cannot be said; the message is deferred.
    #[error("the answer to a message cannot be said, and it is deferred: {error}")]
    Answer {
        /// Why.
        error: FinishError,
    },
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// What came is not the milter protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// What came was not in its place.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] std::io::Error),
    /// The MTA closed within a packet or a message.
    #[error("the MTA closed in the middle")]
    Cut,
    /// The MTA did not negotiate in time.
    #[error("the MTA did not negotiate in time")]
    Greeting,
    /// The MTA said nothing for too long.
    #[error("the MTA said nothing for too long")]
    Idle,
    /// A packet was not complete in time.
    #[error("a packet was not complete in time")]
    SlowPacket,
    /// The MTA did not take what it was told in time.
    #[error("the MTA did not take an answer in time")]
    SlowReader,
    /// The milter ended, and did not wait any more.
    #[error("the milter ended")]
    Closing,
}
