//! One connection of an MTA, from the first packet to the last.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::Limits;
use super::service::{ConnectionError, Notice, Service};
use super::session::{Answer, Context, Event, Outcome, Session, Step};
use super::wire::{Command, Frames, Reply};
use crate::verify::Appetite;

/// Octets that are read at once.
const CHUNK: usize = 16 * 1024;

/// Serves one MTA until it says QUIT or closes between messages, or until `closing` is true and no
/// message is under way.
pub(super) async fn serve<S: Service, T: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: T,
    service: &S,
    limits: &Limits,
    mut closing: watch::Receiver<bool>,
) {
    let mut connection = Connection {
        stream,
        service,
        limits,
        session: Session::new(service.options()),
        message: None,
        out: Vec::new(),
    };
    if let Err(error) = connection.converse(&mut closing).await {
        let context = connection.session.context();
        service.notice(Some(context), &Notice::Connection { error });
    }
}

struct Connection<'s, S: Service, T> {
    stream: T,
    service: &'s S,
    limits: &'s Limits,
    session: Session,
    /// The message under way, unless all is decided of it.
    message: Option<S::Message>,
    /// What is to be sent.
    out: Vec<u8>,
}

impl<S: Service, T: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S, T> {
    async fn converse(
        &mut self,
        closing: &mut watch::Receiver<bool>,
    ) -> Result<(), ConnectionError> {
        let mut frames = Frames::new(self.limits.packet);
        let mut chunk = vec![0; CHUNK];
        let mut deadline = None;
        loop {
            let in_message = self.session.is_in_message();
            if *closing.borrow() && !in_message {
                return Ok(());
            }
            let read = read(&mut self.stream, &mut chunk, deadline, self.limits.idle);
            let length = tokio::select! {
                length = read => length?,
                Ok(_) = closing.wait_for(|&closing| closing), if !in_message => return Ok(()),
            };
            if length == 0 {
                let cut = frames.is_within() || in_message;
                return if cut {
                    Err(ConnectionError::Cut)
                } else {
                    Ok(())
                };
            }
            let mut input = &chunk[..length];
            while let Some(frame) = frames.next(&mut input)? {
                deadline = None;
                let command = Command::parse(frame)?;
                if self.take(command).await?.is_break() {
                    return Ok(());
                }
            }
            if frames.is_within() {
                // A packet has so much time as a whole, however its bytes drip in.
                deadline = deadline.or(Some(Instant::now() + self.limits.slow));
            }
        }
    }

    async fn take(&mut self, command: Command<'_>) -> Result<ControlFlow<()>, ConnectionError> {
        let reply = match self.session.take(command)? {
            Event::Quit => return Ok(ControlFlow::Break(())),
            Event::EndOfMessage(rest) => {
                self.end_of_message(rest).await?;
                None
            }
            event => self.ask(event),
        };
        if let Some(reply) = reply {
            self.put(&reply);
        }
        self.flush().await?;
        Ok(ControlFlow::Continue(()))
    }

    /// Asks the service about everything but the end of a message.
    fn ask(&mut self, event: Event<'_>) -> Option<Reply> {
        if matches!(event, Event::Helo | Event::Mail(_)) {
            // Whatever was under way is so no longer.
            self.message = None;
        }
        let (service, step) = (self.service, step_of(&event));
        let context = self.session.context();
        let message = self.message.as_mut();
        let asked = guarded(|| ask(service, context, message, event));
        match asked {
            Ok(ControlFlow::Continue(next)) => self.follow(next),
            Ok(ControlFlow::Break(outcome)) if step == Step::Rcpt => {
                let reply = self.session.refuse_recipient(outcome);
                if self.session.is_decided() {
                    self.message = None;
                }
                reply
            }
            Ok(ControlFlow::Break(outcome)) => {
                self.message = None;
                self.session.decide(outcome)
            }
            Err(text) => {
                self.message = None;
                self.notice(Notice::Panicked { step, text });
                self.session.decide(Outcome::TempFail)
            }
        }
    }

    fn follow(&mut self, next: Next<S::Message>) -> Option<Reply> {
        match next {
            Next::Proceed | Next::Appetite(Appetite::More) => self.session.proceed(),
            Next::Appetite(Appetite::Done) => self.session.skip(),
            Next::Begin(message) => {
                self.message = Some(message);
                self.session.proceed()
            }
            Next::Say(reply) => reply,
            Next::Forget => {
                self.message = None;
                None
            }
        }
    }

    async fn end_of_message(&mut self, rest: &[u8]) -> Result<(), ConnectionError> {
        let answer = match self.message.take() {
            Some(message) => self.answer(message, rest).await?,
            None => Outcome::TempFail.into(),
        };
        if let Err(error) = self.session.finish(answer, &mut self.out) {
            self.notice(Notice::Answer { error });
        }
        Ok(())
    }

    /// What the service answers, while the MTA is told that it goes on.
    async fn answer(
        &mut self,
        mut message: S::Message,
        rest: &[u8],
    ) -> Result<Answer, ConnectionError> {
        let (service, context) = (self.service, self.session.context());
        if !rest.is_empty() {
            match guarded(|| service.body(context, &mut message, rest)) {
                Ok(ControlFlow::Continue(Appetite::More | Appetite::Done)) => {}
                Ok(ControlFlow::Break(outcome)) => return Ok(outcome.into()),
                Err(text) => return Ok(self.panicked(text)),
            }
        }
        let future = match guarded(|| service.end_of_message(context, message)) {
            Ok(future) => future,
            Err(text) => return Ok(self.panicked(text)),
        };
        let mut future = pin!(future);
        let mut guarded = poll_fn(|cx| match guarded(|| future.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(text) => std::task::Poll::Ready(Err(text)),
        });
        let deadline = Instant::now() + self.limits.answer;
        loop {
            let until = deadline.min(Instant::now() + self.limits.progress);
            match timeout_at(until, Pin::new(&mut guarded)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(text)) => return Ok(self.panicked(text)),
                Err(_) if Instant::now() >= deadline => {
                    self.notice(Notice::TooSlow);
                    return Ok(Outcome::TempFail.into());
                }
                Err(_) => {
                    let mut packet = Vec::new();
                    // It has no data that could be wrong.
                    let _ = Reply::Progress.encode(&mut packet);
                    send(&mut self.stream, &packet, self.limits.write).await?;
                }
            }
        }
    }

    fn panicked(&self, text: String) -> Answer {
        let step = Step::EndOfMessage;
        self.notice(Notice::Panicked { step, text });
        Outcome::TempFail.into()
    }

    fn notice(&self, notice: Notice) {
        self.service.notice(Some(self.session.context()), &notice);
    }

    /// What cannot be said is an answer all the same: the message is deferred.
    fn put(&mut self, reply: &Reply) {
        if let Err(error) = reply.encode(&mut self.out) {
            self.notice(Notice::Answer {
                error: error.into(),
            });
            let _ = Reply::TempFail.encode(&mut self.out);
        }
    }

    async fn flush(&mut self) -> Result<(), ConnectionError> {
        if !self.out.is_empty() {
            send(&mut self.stream, &self.out, self.limits.write).await?;
            self.out.clear();
            self.out.shrink_to(CHUNK);
        }
        Ok(())
    }
}

/// The call of the service that an event asks for.
fn ask<S: Service>(
    service: &S,
    context: &Context,
    message: Option<&mut S::Message>,
    event: Event<'_>,
) -> ControlFlow<Outcome, Next<S::Message>> {
    let proceed = |asked: ControlFlow<Outcome>| asked.map_continue(|()| Next::Proceed);
    match (event, message) {
        (Event::Quiet, _) => ControlFlow::Continue(Next::Say(None)),
        (Event::Reply(reply), _) => ControlFlow::Continue(Next::Say(Some(reply))),
        (Event::Abort, _) => ControlFlow::Continue(Next::Forget),
        (Event::Connect, _) => proceed(service.connect(context)),
        (Event::Helo, _) => proceed(service.helo(context)),
        (Event::Mail(sender), _) => service.mail(context, sender).map_continue(Next::Begin),
        (Event::Rcpt(to), Some(message)) => proceed(service.recipient(context, message, to)),
        (Event::Data, Some(message)) => proceed(service.data(context, message)),
        (Event::Header(name, value), Some(message)) => {
            proceed(service.header(context, message, name, &value))
        }
        (Event::EndOfHeader, Some(message)) => proceed(service.end_of_header(context, message)),
        (Event::Body(bytes), Some(message)) => {
            let asked = service.body(context, message, bytes);
            asked.map_continue(Next::Appetite)
        }
        // Where all is decided of a message, the session asks for nothing.
        (_, None) | (Event::Quit | Event::EndOfMessage(_), _) => {
            ControlFlow::Break(Outcome::TempFail)
        }
    }
}

/// What follows from what the service said.
enum Next<M> {
    Proceed,
    Begin(M),
    Appetite(Appetite),
    Say(Option<Reply>),
    Forget,
}

fn step_of(event: &Event<'_>) -> Step {
    match event {
        Event::Connect => Step::Connect,
        Event::Helo => Step::Helo,
        Event::Mail(_) => Step::Mail,
        Event::Rcpt(_) => Step::Rcpt,
        Event::Data => Step::Data,
        Event::Header(..) => Step::Header,
        Event::EndOfHeader => Step::EndOfHeader,
        Event::Body(_) => Step::Body,
        Event::EndOfMessage(_) => Step::EndOfMessage,
        Event::Abort | Event::Quiet | Event::Reply(_) => Step::Abort,
        Event::Quit => Step::Quit,
    }
}

/// Calls the service; a panic is what it says. What it was about is thrown away then.
fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        text.unwrap_or_default()
    })
}

/// Reads some bytes: until `deadline` where a packet has begun, and else for as long as an MTA may be
/// silent.
async fn read<T: AsyncRead + Unpin>(
    stream: &mut T,
    chunk: &mut [u8],
    deadline: Option<Instant>,
    idle: Duration,
) -> Result<usize, ConnectionError> {
    let silence = || Instant::now() + idle;
    let read = timeout_at(deadline.unwrap_or_else(silence), stream.read(chunk)).await;
    match (read, deadline) {
        (Ok(read), _) => Ok(read?),
        (Err(_), None) => Err(ConnectionError::Idle),
        (Err(_), Some(_)) => Err(ConnectionError::SlowPacket),
    }
}

async fn send<T: AsyncWrite + Unpin>(
    stream: &mut T,
    bytes: &[u8],
    limit: Duration,
) -> Result<(), ConnectionError> {
    let write = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match timeout(limit, write).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(ConnectionError::SlowReader),
    }
}
