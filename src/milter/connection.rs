//! One connection of an MTA, from the first packet to the last.

mod answer;
mod ask;
mod tally;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub(super) use self::ask::guarded;
use self::ask::guarded_future;
use self::tally::Tally;
use super::Limits;
use super::service::{ConnectionError, End, Notice, Service};
use super::session::{Context, Event, Session, Stage, Step};
use super::wire::{Command, Frames, Reply};

/// Octets that are read at once.
const CHUNK: usize = 16 * 1024;
/// Replies to commands of one read are sent together, unless there are as many octets of them.
const REPLIES: usize = 64 * 1024;

/// Serves one MTA, which is `mta` to the log, until it says QUIT or closes between messages, or until `closing`
/// is true and no message is under way.
pub(super) async fn serve<S: Service, T: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: T,
    mta: String,
    service: &S,
    limits: &Limits,
    mut closing: watch::Receiver<bool>,
) {
    let options = match guarded(|| service.options()) {
        Ok(options) => options,
        Err(text) => {
            let what = "options";
            return notify(service, None, &Notice::Failed { what, text });
        }
    };
    let mut session = Session::new(options);
    session.set_mta(mta);
    if let Err(text) = guarded(|| service.opened()) {
        let what = "opened";
        return notify(service, None, &Notice::Failed { what, text });
    }
    let _open = Open(service);
    let mut connection = Connection {
        stream,
        service,
        limits,
        session,
        message: None,
        tally: Tally::default(),
        answering: false,
        out: Vec::new(),
    };
    // What the service does is guarded where it is called; this is for all else.
    match guarded_future(connection.converse(&mut closing)).await {
        Ok(Ok(())) => connection.end(End::Lost),
        Ok(Err(error)) => {
            connection.end(End::Lost);
            connection.broke_off(error);
        }
        Err(text) => {
            connection.end(End::Panicked);
            connection.answering = false;
            let what = "the connection";
            connection.notice(Notice::Failed { what, text });
        }
    }
}

/// Tells the service when the connection is gone, even where its task is cut off.
struct Open<'s, S: Service>(&'s S);

impl<S: Service> Drop for Open<'_, S> {
    fn drop(&mut self) {
        if let Err(text) = guarded(|| self.0.closed()) {
            let what = "closed";
            notify(self.0, None, &Notice::Failed { what, text });
        }
    }
}

struct Connection<'s, S: Service, T> {
    stream: T,
    service: &'s S,
    limits: &'s Limits,
    session: Session,
    /// The message under way, unless all is decided of it.
    message: Option<S::Message>,
    /// How much of it came.
    tally: Tally,
    /// Whether a message has ended, and its answer has not been sent.
    answering: bool,
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
        let greeting = after(self.limits.greeting);
        // When a packet that has begun must be complete.
        let mut packet = None;
        loop {
            let in_message = self.session.is_in_message();
            if *closing.borrow() && !in_message {
                return Ok(());
            }
            let mut deadline = match packet {
                Some(packet) => (packet, ConnectionError::SlowPacket),
                None => (after(self.limits.idle), ConnectionError::Idle),
            };
            if self.session.stage() == Stage::Fresh && greeting < deadline.0 {
                deadline = (greeting, ConnectionError::Greeting);
            }
            let read = read(&mut self.stream, &mut chunk, deadline);
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
            let taken = self.take_all(&mut frames, &chunk[..length]).await;
            // What was answered before an error is said all the same.
            let flushed = self.flush().await;
            let packets = match taken? {
                ControlFlow::Continue(packets) => packets,
                ControlFlow::Break(()) => return flushed,
            };
            flushed?;
            if packets > 0 {
                packet = None;
            }
            if frames.is_within() {
                // A packet has so much time as a whole, however its bytes drip in.
                packet = packet.or_else(|| Some(after(self.limits.slow)));
            }
        }
    }

    /// Takes the commands that are whole, and says how many they were.
    async fn take_all(
        &mut self,
        frames: &mut Frames,
        mut input: &[u8],
    ) -> Result<ControlFlow<(), usize>, ConnectionError> {
        let mut packets = 0;
        while let Some(frame) = frames.next(&mut input)? {
            packets += 1;
            let command = Command::parse(frame)?;
            if self.take(command).await?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.out.len() > REPLIES {
                self.flush().await?;
            }
        }
        Ok(ControlFlow::Continue(packets))
    }

    async fn take(&mut self, command: Command<'_>) -> Result<ControlFlow<()>, ConnectionError> {
        // Before the session forgets what it knows of the message.
        match command {
            Command::Abort | Command::QuitNewConnection => self.end(End::Aborted),
            Command::Helo(_) | Command::Mail(_) => self.end(End::Replaced),
            Command::Quit => self.end(End::Lost),
            _ => {}
        }
        let last = matches!(command, Command::EndOfMessage(_));
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
        if last {
            // At once, so that a failure is told while the message is known.
            self.answering = true;
            self.flush().await?;
            self.answering = false;
        }
        Ok(ControlFlow::Continue(()))
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
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = send(&mut self.stream, &self.out, self.limits.write).await;
        self.out.clear();
        self.out.shrink_to(CHUNK);
        sent
    }
}

impl<S: Service, T> Connection<'_, S, T> {
    /// The message under way, if there is one, is over without its end.
    fn end(&mut self, end: End) {
        if let Some(message) = self.message.take() {
            let (service, context) = (self.service, self.session.context());
            if let Err(text) = guarded(|| service.ended(context, message, end)) {
                let what = "the end of a message";
                self.notice(Notice::Failed { what, text });
            }
        }
    }

    fn broke_off(&mut self, error: ConnectionError) {
        let notice = match std::mem::take(&mut self.answering) {
            true => Notice::Unanswered { error },
            false => Notice::Connection { error },
        };
        self.notice(notice);
    }

    fn panicked(&self, step: Step, text: String) {
        self.notice(Notice::Panicked { step, text });
    }

    fn notice(&self, notice: Notice) {
        notify(self.service, Some(self.session.context()), &notice);
    }
}

/// A task that is ended from outside, as when the milter ends, has a message left.
impl<S: Service, T> Drop for Connection<'_, S, T> {
    fn drop(&mut self) {
        self.end(End::Closing);
        if self.answering {
            self.broke_off(ConnectionError::Closing);
        }
    }
}

/// Tells the service of something. Where that panics too, nobody is left to be told.
pub(super) fn notify<S: Service>(service: &S, context: Option<&Context>, notice: &Notice) {
    let _ = guarded(|| service.notice(context, notice));
}

/// When a time is over that begins now: any time, also one that no clock can add.
pub(super) fn after(time: Duration) -> Instant {
    Instant::now() + time.min(FOR_EVER)
}

/// 30 years.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Reads some bytes, until it is too late for that, and with it why that is an error.
async fn read<T: AsyncRead + Unpin>(
    stream: &mut T,
    chunk: &mut [u8],
    (until, late): (Instant, ConnectionError),
) -> Result<usize, ConnectionError> {
    match timeout_at(until, stream.read(chunk)).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(late),
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
    match timeout_at(after(limit), write).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(ConnectionError::SlowReader),
    }
}
