use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Waker, Poll};

use tokio::io::ReadBuf;

use super::*;
use crate::milter::session::{Answer, Options, Outcome};
use crate::milter::wire::{Actions, Negotiation, ReplyText, Steps, Strings};

/// A stream that gives these pieces, one a read, and keeps what is written, one piece a write.
#[derive(Default)]
struct Script {
    reads: VecDeque<Vec<u8>>,
    writes: Arc<Mutex<Vec<Vec<u8>>>>,
    /// At the end of the pieces.
    panics: bool,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Waker<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.reads.pop_front() {
            Some(piece) => buffer.put_slice(&piece),
            None => assert!(!self.panics, "in the stream"),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Waker<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.lock().unwrap().push(bytes.to_vec());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Waker<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Waker<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Refuses every message in long words, and keeps what it is told.
#[derive(Default)]
struct Wordy {
    ends: Mutex<Vec<End>>,
    notices: Mutex<Vec<String>>,
}

impl Service for Wordy {
    /// Whether it is never answered.
    type Message = bool;

    fn options(&self) -> Options {
        Options::default()
    }

    fn mail(&self, _: &Context, sender: Strings<'_>) -> ControlFlow<Outcome, bool> {
        let words = ReplyText::new(550, 7, 1, &"x".repeat(900)).unwrap();
        match sender.first() {
            b"<no>" => ControlFlow::Break(Outcome::Refuse(words)),
            sender => ControlFlow::Continue(sender == b"<never>"),
        }
    }

    async fn end_of_message(&self, _: &Context, never: bool) -> Answer {
        if never {
            let _explosive = Explosive;
            std::future::pending::<()>().await;
        }
        Outcome::Accept.into()
    }

    fn ended(&self, _: &Context, _: bool, end: End) {
        self.ends.lock().unwrap().push(end);
    }

    fn notice(&self, context: Option<&Context>, notice: &Notice) {
        let mta = context.and_then(Context::mta).unwrap_or("-");
        self.notices
            .lock()
            .unwrap()
            .push(format!("{mta}: {notice}"));
        panic!("whatever is told");
    }
}

/// Panics when it is dropped.
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("when dropped");
    }
}

fn offer(steps: Steps) -> Command<'static> {
    Command::Negotiate(Negotiation {
        version: 6,
        actions: Actions::NONE,
        steps,
        macros: Vec::new(),
    })
}

fn mail(sender: &'static [u8]) -> Command<'static> {
    Command::Mail(Strings::parse(sender).unwrap())
}

/// What is written where the commands of each row come in one piece.
fn serve_script(rows: &[Vec<Command<'_>>], service: &Wordy, panics: bool) -> Vec<Vec<u8>> {
    let mut stream = Script {
        panics,
        ..Script::default()
    };
    for row in rows {
        let mut piece = Vec::new();
        for command in row {
            command.encode(&mut piece).unwrap();
        }
        assert!(piece.len() <= CHUNK);
        stream.reads.push_back(piece);
    }
    let writes = stream.writes.clone();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    let (_close, closing) = watch::channel(false);
    let limits = Limits {
        answer: Duration::from_millis(20),
        ..Limits::default()
    };
    let mta = "192.0.2.9:4".to_owned();
    runtime.block_on(serve(stream, mta, service, &limits, closing));
    Arc::into_inner(writes).unwrap().into_inner().unwrap()
}

fn lengths(writes: &[Vec<u8>]) -> Vec<usize> {
    writes.iter().map(Vec::len).collect()
}

#[test]
fn answers_to_what_came_together_are_sent_together() {
    let rcpt = || Command::Rcpt(Strings::parse(b"<b>\0").unwrap());
    let (name, value) = (&b"A"[..], &b"b"[..]);
    let field = || Command::Header { name, value };
    let service = Wordy::default();
    let rows = [
        vec![offer(Steps::NO_REPLY_HEADER)],
        vec![mail(b"<a>\0"), rcpt(), rcpt()],
        // Without an answer there is nothing to write.
        vec![field(), field()],
        vec![field()],
        vec![Command::EndOfHeader, Command::Body(b"c")],
        // The answer to a message is sent by itself.
        vec![
            Command::Body(b"d"),
            Command::EndOfMessage(b""),
            mail(b"<a>\0"),
        ],
        vec![Command::Abort, Command::Unknown(b"X"), Command::Quit],
    ];
    let writes = serve_script(&rows, &service, false);
    assert_eq!(lengths(&writes), [17, 15, 10, 5, 5, 5, 5]);
    assert_eq!(*service.ends.lock().unwrap(), [End::Aborted]);
    assert!(service.notices.lock().unwrap().is_empty());
}

#[test]
fn many_long_answers_do_not_wait_for_each_other() {
    let mut many = vec![mail(b"<no>\0")];
    many.resize(1000, Command::Body(b""));
    let rows = [vec![offer(Steps::NONE)], many];
    let writes = serve_script(&rows, &Wordy::default(), false);
    let longest = writes.iter().map(Vec::len).max().unwrap();
    assert!((REPLIES..REPLIES + 2000).contains(&longest), "{longest}");
    assert!(writes.concat().len() > 900_000);
}

#[test]
fn a_panic_of_what_serves_a_connection_is_told() {
    let service = Wordy::default();
    let rows = [vec![offer(Steps::NONE), mail(b"<a>\0")]];
    serve_script(&rows, &service, true);
    assert_eq!(*service.ends.lock().unwrap(), [End::Panicked]);
    let notices = service.notices.lock().unwrap();
    assert_eq!(
        *notices,
        ["192.0.2.9:4: the connection failed: in the stream"]
    );
}

#[test]
fn an_answer_that_is_given_up_may_panic() {
    let service = Wordy::default();
    let end = || Command::EndOfMessage(b"");
    let rows = [
        vec![offer(Steps::NONE), mail(b"<never>\0"), end()],
        vec![mail(b"<a>\0"), end()],
    ];
    let writes = serve_script(&rows, &service, false);
    assert!(writes.contains(&b"\0\0\0\x01t".to_vec()));
    assert_eq!(writes.last().unwrap(), b"\0\0\0\x01a");
    let notices = service.notices.lock().unwrap();
    assert!(notices[0].contains("no answer to a message in time"));
    assert!(notices[1].ends_with("deferred: when dropped"));
    assert_eq!(notices.len(), 2);
}
