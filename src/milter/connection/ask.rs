//! The calls of the service before the end of a message.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use super::super::service::{End, Service};
use super::super::session::{Context, Event, Outcome, Step};
use super::super::wire::Reply;
use super::Connection;
use super::tally::{Room, Tally};
use crate::verify::Appetite;

impl<S: Service, T> Connection<'_, S, T> {
    /// Asks the service what an event asks for; what is to be said then.
    pub(super) fn ask(&mut self, event: Event<'_>) -> Option<Reply> {
        let (service, step) = (self.service, step_of(&event));
        let context = self.session.context();
        let room = match self.message {
            Some(_) => self.tally.take(&event, self.limits),
            None => Room::Enough,
        };
        let message = self.message.as_mut();
        let asked = guarded(|| match (&room, message) {
            (Room::Exceeded(what), Some(message)) => {
                let asked = service.overflow(context, message, *what);
                asked.map_continue(|()| Next::Proceed)
            }
            (Room::Gone, _) => ControlFlow::Continue(Next::Proceed),
            (_, message) => call(service, context, message, event),
        });
        match asked {
            Ok(ControlFlow::Continue(next)) => self.follow(next),
            Ok(ControlFlow::Break(outcome)) if step == Step::Rcpt && room == Room::Enough => {
                let reply = self.session.refuse_recipient(outcome);
                if self.session.is_decided() {
                    self.end(End::Decided);
                }
                reply
            }
            Ok(ControlFlow::Break(outcome)) => {
                self.end(End::Decided);
                self.session.decide(outcome)
            }
            Err(text) => {
                self.end(End::Panicked);
                self.panicked(step, text);
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
                self.tally = Tally::default();
                self.session.proceed()
            }
            Next::Say(reply) => reply,
        }
    }
}

/// What follows from what the service said.
enum Next<M> {
    Proceed,
    Begin(M),
    Appetite(Appetite),
    Say(Option<Reply>),
}

/// The call that an event asks for.
fn call<S: Service>(
    service: &S,
    context: &Context,
    message: Option<&mut S::Message>,
    event: Event<'_>,
) -> ControlFlow<Outcome, Next<S::Message>> {
    let proceed = |asked: ControlFlow<Outcome>| asked.map_continue(|()| Next::Proceed);
    match (event, message) {
        (Event::Quiet | Event::Abort, _) => ControlFlow::Continue(Next::Say(None)),
        (Event::Reply(reply), _) => ControlFlow::Continue(Next::Say(Some(reply))),
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
pub(in crate::milter) fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        // What was thrown may panic again when it is dropped, and what it throws then is not looked at.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(again);
        }
        text.unwrap_or_default()
    })
}

/// Runs a future to its end or its panic, and drops it; a panic then is one too.
pub(super) async fn guarded_future<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(Some(future));
    let output = poll_fn(|cx| {
        let running = future.as_mut().as_pin_mut();
        // It is there until this ends.
        let Some(running) = running else {
            return std::task::Poll::Ready(Err(String::new()));
        };
        match guarded(|| running.poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(text) => std::task::Poll::Ready(Err(text)),
        }
    })
    .await;
    let dropped = guarded(|| future.set(None));
    output.and_then(|output| dropped.map(|()| output))
}
