//! The end of a message, and its answer.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::super::service::{ConnectionError, End, Notice, Service};
use super::super::session::{Answer, Outcome, Step};
use super::super::wire::Reply;
use super::ask::{guarded, guarded_future};
use super::{Connection, after, send};

/// An MTA is not told more often that it goes on.
const SHORTEST_PROGRESS: Duration = Duration::from_millis(10);

impl<S: Service, T: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S, T> {
    pub(super) async fn end_of_message(&mut self, rest: &[u8]) -> Result<(), ConnectionError> {
        // The answers before this one do not wait for it.
        self.flush().await?;
        let answer = match self.last_piece(rest) {
            Ok(message) => {
                self.answering = true;
                self.answer(message).await?
            }
            Err(outcome) => outcome.into(),
        };
        if let Err(error) = self.session.finish(answer, &mut self.out) {
            self.notice(Notice::Answer { error });
        }
        Ok(())
    }

    /// Gives the service the last piece of the body, and gives up the message; without one, it is decided.
    fn last_piece(&mut self, rest: &[u8]) -> Result<S::Message, Outcome> {
        if let Some(message) = self.message.as_mut().filter(|_| !rest.is_empty()) {
            let (service, context) = (self.service, self.session.context());
            match guarded(|| service.body(context, message, rest)) {
                Ok(ControlFlow::Continue(_)) => {}
                Ok(ControlFlow::Break(outcome)) => {
                    self.end(End::Decided);
                    return Err(outcome);
                }
                Err(text) => {
                    self.end(End::Panicked);
                    self.panicked(Step::Body, text);
                }
            }
        }
        self.message.take().ok_or(Outcome::TempFail)
    }

    /// What the service answers, while the MTA is told that it goes on.
    async fn answer(&mut self, message: S::Message) -> Result<Answer, ConnectionError> {
        let (service, context) = (self.service, self.session.context());
        let deferred = || Answer::from(Outcome::TempFail);
        let future = match guarded(|| service.end_of_message(context, message)) {
            Ok(future) => future,
            Err(text) => {
                self.panicked(Step::EndOfMessage, text);
                return Ok(deferred());
            }
        };
        let mut future = Box::pin(guarded_future(future));
        let deadline = after(self.limits.answer);
        let progress = self.limits.progress.max(SHORTEST_PROGRESS);
        let answer = loop {
            let until = deadline.min(after(progress));
            match timeout_at(until, &mut future).await {
                Ok(Ok(answer)) => break answer,
                Ok(Err(text)) => {
                    self.panicked(Step::EndOfMessage, text);
                    break deferred();
                }
                Err(_) if Instant::now() >= deadline => {
                    self.notice(Notice::TooSlow);
                    break deferred();
                }
                Err(_) => {
                    // It has no data that could be wrong.
                    let _ = Reply::Progress.encode(&mut self.out);
                    let sent = send(&mut self.stream, &self.out, self.limits.write).await;
                    self.out.clear();
                    sent?;
                }
            }
        };
        // Where it was too slow, what it had is thrown away, and that may panic too.
        if let Err(text) = guarded(move || drop(future)) {
            self.panicked(Step::EndOfMessage, text);
        }
        Ok(answer)
    }
}
