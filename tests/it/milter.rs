//! A milter over real sockets, asked by an MTA of our own that also misbehaves.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dkimkit::milter::service::{Notice, Service};
use dkimkit::milter::session::{Answer, Context, Options, Outcome};
use dkimkit::milter::wire::{
    Actions, Command, Frames, Modification, Negotiation, Peer, Reply, ReplyText, Steps, Strings,
};
use dkimkit::milter::{Ending, Limits, Listener, run};
use dkimkit::verify::Appetite;
use tokio::sync::oneshot;

/// A service that does what the mail tells it to, and writes down what it is asked.
#[derive(Default)]
struct Obedient {
    log: Mutex<Vec<String>>,
}

/// What a message told it to do.
#[derive(Default)]
struct Orders {
    seen: String,
    last: String,
    body: usize,
}

impl Obedient {
    fn write_down(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    /// What was written down since the last time.
    fn read(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// Waits for a line that has `part`.
    fn wait_for(&self, part: &str) {
        let began = Instant::now();
        while !self.log.lock().unwrap().iter().any(|l| l.contains(part)) {
            assert!(began.elapsed() < PATIENCE, "no {part}: {:?}", self.read());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Service for Obedient {
    type Message = Orders;

    fn options(&self) -> Options {
        Options {
            actions: Actions::ADD_HEADERS | Actions::CHANGE_HEADERS | Actions::QUARANTINE,
            ..Options::default()
        }
    }

    fn connect(&self, context: &Context) -> ControlFlow<Outcome> {
        let client = context.client().unwrap();
        self.write_down(format!("connect {} {:?}", text(&client.host), client.ip));
        ControlFlow::Continue(())
    }

    fn helo(&self, context: &Context) -> ControlFlow<Outcome> {
        match context.helo() {
            Some(b"reject") => ControlFlow::Break(Outcome::Reject),
            _ => ControlFlow::Continue(()),
        }
    }

    fn mail(&self, context: &Context, sender: Strings<'_>) -> ControlFlow<Outcome, Orders> {
        let id = text(context.queue_id().unwrap_or(b"-"));
        self.write_down(format!("mail {id} {}", text(sender.first())));
        match sender.first() {
            b"<accept@test>" => ControlFlow::Break(Outcome::Accept),
            b"<panic@test>" => panic!("at MAIL"),
            _ => ControlFlow::Continue(Orders::default()),
        }
    }

    fn recipient(
        &self,
        _: &Context,
        message: &mut Orders,
        recipient: Strings<'_>,
    ) -> ControlFlow<Outcome> {
        if recipient.first() == b"<no@test>" {
            let words = ReplyText::new(550, 1, 1, "100% no").unwrap();
            return ControlFlow::Break(Outcome::Refuse(words));
        }
        message.seen += &format!("to {};", text(recipient.first()));
        ControlFlow::Continue(())
    }

    fn header(
        &self,
        _: &Context,
        message: &mut Orders,
        name: &[u8],
        value: &[u8],
    ) -> ControlFlow<Outcome> {
        message.seen += &format!("{}:{};", text(name), value.escape_ascii());
        message.last = text(value.trim_ascii());
        match message.last.as_str() {
            "reject" => ControlFlow::Break(Outcome::Reject),
            "panic" => panic!("at a field"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn body(
        &self,
        _: &Context,
        message: &mut Orders,
        bytes: &[u8],
    ) -> ControlFlow<Outcome, Appetite> {
        message.body += bytes.len();
        match message.last.as_str() {
            "skip" => ControlFlow::Continue(Appetite::Done),
            _ => ControlFlow::Continue(Appetite::More),
        }
    }

    async fn end_of_message(&self, context: &Context, message: Orders) -> Answer {
        let Orders { seen, last, body } = message;
        let id = text(context.queue_id().unwrap_or(b"-"));
        self.write_down(format!("end {id}"));
        match last.as_str() {
            "slow" => tokio::time::sleep(Duration::from_millis(400)).await,
            "forever" => std::future::pending().await,
            "panic late" => {
                tokio::task::yield_now().await;
                panic!("at the end")
            }
            _ => {}
        }
        let insert = Modification::InsertHeader {
            index: 0,
            name: b"X-Seen".to_vec(),
            value: format!(" {seen}body {body}").into_bytes(),
        };
        let mut modifications = vec![Modification::delete_header("X-Old", 2), insert];
        match last.as_str() {
            "unasked" => modifications.push(Modification::ReplaceBody(b"no".to_vec())),
            "hold" => modifications.push(Modification::Quarantine {
                reason: b"held".to_vec(),
            }),
            _ => {}
        }
        Answer {
            modifications,
            outcome: Outcome::Accept,
        }
    }

    fn notice(&self, _: Option<&Context>, notice: &Notice) {
        self.write_down(format!("notice: {notice}"));
    }
}

/// Longer than anything takes that goes well.
const PATIENCE: Duration = Duration::from_secs(20);

/// A milter on a thread of its own.
struct Daemon {
    service: Arc<Obedient>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Ending>>,
}

impl Daemon {
    fn start(listener: Listener, limits: Limits) -> Daemon {
        let service = Arc::new(Obedient::default());
        let (stop, stopped) = oneshot::channel();
        let asked = service.clone();
        let thread = thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_io().enable_time().build().unwrap();
            let shutdown = async { drop(stopped.await) };
            let ending = runtime.block_on(run(listener, asked, limits, shutdown));
            ending.unwrap()
        });
        Daemon {
            service,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn tcp(limits: Limits) -> (Daemon, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        (Daemon::start(Listener::Tcp(listener), limits), addr)
    }

    fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    fn stop(mut self) -> Ending {
        self.ask_to_stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

/// An MTA.
struct Mta<T> {
    stream: T,
    frames: Frames,
    read: Vec<u8>,
}

const ALL_STEPS: Steps = Steps(0x1f_ffff);

impl Mta<TcpStream> {
    fn connect(addr: SocketAddr) -> Mta<TcpStream> {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Mta::over(stream)
    }

    /// One that has negotiated with these steps.
    fn greeted(addr: SocketAddr, steps: Steps) -> Mta<TcpStream> {
        let mut mta = Mta::connect(addr);
        mta.negotiate(steps);
        mta
    }
}

impl<T: Read + Write> Mta<T> {
    fn over(stream: T) -> Mta<T> {
        let frames = Frames::new(100_000);
        let read = Vec::new();
        Mta {
            stream,
            frames,
            read,
        }
    }

    fn negotiate(&mut self, steps: Steps) -> Negotiation {
        let offer = Command::Negotiate(Negotiation {
            version: 6,
            actions: Actions(0x1ff),
            steps,
            macros: Vec::new(),
        });
        match self.ask(&[offer]) {
            Reply::Negotiate(ours) => ours,
            reply => panic!("{reply:?}"),
        }
    }

    fn send(&mut self, commands: &[Command<'_>]) {
        let mut out = Vec::new();
        for command in commands {
            command.encode(&mut out).unwrap();
        }
        self.stream.write_all(&out).unwrap();
    }

    fn reply(&mut self) -> Reply {
        self.try_reply().expect("a reply")
    }

    /// The next reply, unless the milter closes.
    fn try_reply(&mut self) -> Option<Reply> {
        loop {
            let mut input = self.read.as_slice();
            let before = input.len();
            let found = self.frames.next(&mut input).unwrap();
            let found = found.map(|frame| Reply::parse(frame).unwrap());
            let taken = before - input.len();
            self.read.drain(..taken);
            if found.is_some() {
                return found;
            }
            let mut chunk = [0; 1000];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => self.read.extend(&chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn ask(&mut self, commands: &[Command<'_>]) -> Reply {
        self.send(commands);
        self.reply()
    }

    /// A message up to its end, in one piece, with no answers but to MAIL and RCPT; then all replies to
    /// its end.
    fn deliver(&mut self, order: &str) -> Vec<Reply> {
        assert_eq!(self.ask(&[mail("<a@test>")]), Reply::Continue);
        assert_eq!(self.ask(&[rcpt("<b@test>")]), Reply::Continue);
        self.send(&[field("X-Do", order), Command::EndOfHeader]);
        self.send(&[Command::EndOfMessage(b"body\r\n")]);
        self.replies()
    }

    /// Replies up to a final one, without those that say that it goes on.
    fn replies(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            match self.reply() {
                Reply::Progress => {}
                reply @ Reply::Modify(_) => replies.push(reply),
                reply => {
                    replies.push(reply);
                    return replies;
                }
            }
        }
    }
}

fn mail(sender: &'static str) -> Command<'static> {
    let sender: &'static [u8] = [sender.as_bytes(), b"\0SIZE=7\0"].concat().leak();
    Command::Mail(Strings::parse(sender).unwrap())
}

fn rcpt(recipient: &str) -> Command<'static> {
    let recipient: &'static [u8] = [recipient.as_bytes(), b"\0"].concat().leak();
    Command::Rcpt(Strings::parse(recipient).unwrap())
}

fn field<'a>(name: &'a str, value: &'a str) -> Command<'a> {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    Command::Header { name, value }
}

fn macros(of: u8, values: &'static [u8]) -> Command<'static> {
    let values = Strings::parse(values).unwrap();
    Command::Macros { of, values }
}

fn connect() -> Command<'static> {
    Command::Connect {
        host: b"client.test",
        peer: Peer::Inet {
            port: 25,
            address: b"192.0.2.1",
        },
    }
}

fn changes(seen: &str) -> Vec<Reply> {
    let insert = Modification::InsertHeader {
        index: 0,
        name: b"X-Seen".to_vec(),
        value: seen.as_bytes().to_vec(),
    };
    vec![
        Reply::Modify(Modification::delete_header("X-Old", 2)),
        Reply::Modify(insert),
        Reply::Accept,
    ]
}

/// Limits under which a test does not wait long.
fn hasty() -> Limits {
    Limits {
        progress: Duration::from_millis(100),
        shutdown: PATIENCE,
        ..Limits::default()
    }
}

/// Two messages as Postfix sends them, and the end.
fn whole_session<T: Read + Write>(mta: &mut Mta<T>, service: &Obedient) {
    let ours = mta.negotiate(ALL_STEPS);
    assert!(ours.steps.contains(Steps::NO_REPLY_HEADER | Steps::SKIP));
    assert_eq!(
        mta.ask(&[macros(b'C', b"j\0mx\0"), connect()]),
        Reply::Continue
    );
    assert_eq!(mta.ask(&[Command::Helo(b"client.test")]), Reply::Continue);
    for id in [&b"i\0Q1\0"[..], b"i\0Q2\0"] {
        assert_eq!(
            mta.ask(&[macros(b'M', id), mail("<a@test>")]),
            Reply::Continue
        );
        assert_eq!(mta.ask(&[rcpt("<b@test>")]), Reply::Continue);
        let no = ReplyText::new(550, 1, 1, "100% no").unwrap();
        assert_eq!(mta.ask(&[rcpt("<no@test>")]), Reply::Text(no));
        mta.send(&[Command::Data]);
        let value = b" a\xe9\n\tb";
        let name = b"Subject";
        mta.send(&[Command::Header { name, value }, field("To", "")]);
        mta.send(&[macros(b'N', id), Command::EndOfHeader]);
        assert_eq!(mta.ask(&[Command::Body(b"one\r\n")]), Reply::Continue);
        mta.send(&[macros(b'E', id), Command::EndOfMessage(b"two\r\n")]);
        let seen = " to <b@test>;Subject: a\\xe9\\n\\tb;To:;body 10";
        assert_eq!(mta.replies(), changes(seen));
        mta.send(&[Command::Abort]);
    }
    mta.send(&[Command::Quit]);
    assert_eq!(mta.try_reply(), None);
    let log = [
        "connect client.test Some(192.0.2.1)",
        "mail Q1 <a@test>",
        "end Q1",
        "mail Q2 <a@test>",
        "end Q2",
    ];
    assert_eq!(service.read(), log);
}

/// `run` can be a task of its own.
#[expect(dead_code, reason = "it only has to compile")]
fn run_is_send(listener: Listener, service: Arc<Obedient>) -> impl Send {
    run(listener, service, hasty(), std::future::ready(()))
}

#[test]
fn a_whole_session_over_tcp() {
    let (daemon, addr) = Daemon::tcp(hasty());
    whole_session(&mut Mta::connect(addr), &daemon.service);
    assert_eq!(daemon.stop().abandoned, 0);
}

#[test]
fn a_whole_session_over_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("milter");
    let listener = Listener::Unix(UnixListener::bind(&path).unwrap());
    let daemon = Daemon::start(listener, hasty());
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    whole_session(&mut Mta::over(stream), &daemon.service);
    assert_eq!(daemon.stop().abandoned, 0);
}

#[test]
fn commands_that_come_all_at_once_are_answered_in_order() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut mta = Mta::greeted(addr, Steps::NONE);
    let mut commands = vec![connect(), Command::Unknown(b"XCLIENT")];
    for _ in 0..50 {
        commands.extend([mail("<a@test>"), rcpt("<b@test>"), Command::Data]);
        commands.extend([field("A", "1"), Command::EndOfHeader]);
        commands.extend([Command::Body(b"12"), Command::EndOfMessage(b"")]);
    }
    commands.push(Command::QuitNewConnection);
    commands.extend([connect(), Command::Quit]);
    mta.send(&commands);
    let goes_on = [Reply::Continue, Reply::Continue];
    assert_eq!([mta.reply(), mta.reply()], goes_on);
    for _ in 0..50 {
        for _ in 0..6 {
            assert_eq!(mta.reply(), Reply::Continue);
        }
        // Without the leading space, the MTA puts it there.
        assert_eq!(mta.replies(), changes("to <b@test>;A: 1;body 2"));
    }
    assert_eq!(mta.reply(), Reply::Continue);
    assert_eq!(mta.try_reply(), None);
    daemon.stop();
}

#[test]
fn what_was_decided_is_said_where_an_answer_is_due() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    // Fields and their end are not answered.
    assert_eq!(mta.deliver("reject"), [Reply::Reject]);
    assert_eq!(mta.ask(&[mail("<accept@test>")]), Reply::Accept);
    mta.send(&[Command::Abort]);
    assert_eq!(mta.ask(&[Command::Helo(b"reject")]), Reply::Reject);
    assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Reject);

    let mut mta = Mta::greeted(addr, Steps::NONE);
    assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Continue);
    assert_eq!(mta.ask(&[field("X-Do", "reject")]), Reply::Reject);
    assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Continue);
    drop(mta);
    assert_eq!(daemon.stop().abandoned, 0);
}

#[test]
fn the_rest_of_a_body_is_skipped() {
    for (steps, reply) in [(ALL_STEPS, Reply::Skip), (Steps::NONE, Reply::Continue)] {
        let (daemon, addr) = Daemon::tcp(hasty());
        let mut mta = Mta::greeted(addr, steps | Steps::NO_REPLY_HEADER | Steps::LEADING_SPACE);
        assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Continue);
        mta.send(&[field("X-Do", " skip")]);
        assert_eq!(mta.ask(&[Command::Body(b"one")]), reply);
        assert_eq!(mta.ask(&[Command::Body(b"two")]), Reply::Continue);
        mta.send(&[Command::EndOfMessage(b"three")]);
        assert_eq!(mta.replies(), changes(" X-Do: skip;body 3"));
        daemon.stop();
    }
}

#[test]
fn an_mta_is_told_that_it_goes_on_and_at_last_that_it_does_not() {
    let limits = Limits {
        progress: Duration::from_millis(20),
        answer: Duration::from_millis(900),
        ..hasty()
    };
    let (daemon, addr) = Daemon::tcp(limits);
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Continue);
    mta.send(&[field("X-Do", "slow"), Command::EndOfMessage(b"")]);
    assert_eq!(mta.reply(), Reply::Progress);
    assert_eq!(mta.reply(), Reply::Progress);
    assert_eq!(mta.replies().last(), Some(&Reply::Accept));
    assert_eq!(mta.deliver("forever"), [Reply::TempFail]);
    daemon.service.wait_for("no answer to a message in time");
    daemon.stop();
}

#[test]
fn a_service_that_panics_defers_its_message_alone() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(mta.ask(&[mail("<panic@test>")]), Reply::TempFail);
    mta.send(&[Command::Abort]);
    assert_eq!(mta.deliver("panic"), [Reply::TempFail]);
    assert_eq!(mta.deliver("panic late"), [Reply::TempFail]);
    assert_eq!(mta.deliver("unasked"), [Reply::TempFail]);
    assert_eq!(mta.deliver("hold").len(), 4);
    let log = daemon.service.read().join("\n");
    for part in [
        "Mail, and the message is deferred: at MAIL",
        "at a field",
        "at the end",
    ] {
        assert!(log.contains(part), "{log}");
    }
    assert!(
        log.contains("the actions Actions(2) were not negotiated"),
        "{log}"
    );
    daemon.stop();
}

#[test]
fn garbage_ends_its_connection_and_no_other() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut good = Mta::greeted(addr, ALL_STEPS);
    let negotiation = b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff";
    let after = |bytes: &[u8]| [negotiation, bytes].concat();
    for (bytes, why) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "longer than"),
        (b"\0\0\0\0".to_vec(), "a packet is empty"),
        (b"\xff\xff\xff\xff".to_vec(), "longer than 1048576"),
        (b"\0\0\0\x01Z".to_vec(), "unknown code 0x5a"),
        (b"\0\0\0\x02M<".to_vec(), "no NUL"),
        (b"\0\0\0\x04M<>\0".to_vec(), "Mail came at the stage Fresh"),
        (
            b"\0\0\0\x0dO\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec(),
            "version 1",
        ),
        (
            b"\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\0\0".to_vec(),
            "does not offer",
        ),
        (after(negotiation), "Negotiate came at the stage Negotiated"),
        (after(b"\0\0\0\x01N"), "EndOfHeader came at"),
        (after(b"\0\0\0\x02T\0"), "octets too many"),
        (after(b"\0\0\0\x05LX\0a\0\0\0\0\x01"), "Header came at"),
    ] {
        daemon.service.read();
        let mut mta = Mta::connect(addr);
        mta.stream.write_all(&bytes).unwrap();
        while mta.try_reply().is_some() {}
        daemon.service.wait_for(why);
    }
    assert_eq!(good.deliver("hold").len(), 4);
    daemon.stop();
}

#[test]
fn connections_that_break_off_are_ended() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut whole = Vec::new();
    let commands = [
        connect(),
        mail("<a@test>"),
        field("A", "b"),
        Command::EndOfHeader,
    ];
    for command in &commands {
        command.encode(&mut whole).unwrap();
    }
    for cut in (0..=whole.len()).step_by(7) {
        daemon.service.read();
        let mut mta = Mta::greeted(addr, ALL_STEPS);
        mta.stream.write_all(&whole[..cut]).unwrap();
        mta.stream.shutdown(std::net::Shutdown::Write).unwrap();
        while mta.try_reply().is_some() {}
        if cut > 0 {
            daemon.service.wait_for("closed in the middle");
        }
    }
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(mta.deliver("hold").len(), 4);
    daemon.stop();
}

#[test]
fn the_silent_and_the_slow_are_ended() {
    let limits = Limits {
        idle: Duration::from_millis(600),
        slow: Duration::from_millis(200),
        ..hasty()
    };
    let (daemon, addr) = Daemon::tcp(limits);
    let mut silent = Mta::greeted(addr, ALL_STEPS);
    let mut slow = Mta::greeted(addr, ALL_STEPS);
    let began = Instant::now();
    for byte in b"\0\0\x10\0B" {
        let _ = slow.stream.write_all(&[*byte]);
        thread::sleep(Duration::from_millis(70));
    }
    assert_eq!(slow.try_reply(), None);
    daemon.service.wait_for("not complete in time");
    assert_eq!(silent.try_reply(), None);
    daemon.service.wait_for("said nothing for too long");
    assert!(began.elapsed() < PATIENCE / 2);
    daemon.stop();
}

#[test]
fn more_connections_than_permitted_wait_for_their_turn() {
    let connections = 2;
    let (daemon, addr) = Daemon::tcp(Limits {
        connections,
        ..hasty()
    });
    let first = Mta::greeted(addr, ALL_STEPS);
    let _second = Mta::greeted(addr, ALL_STEPS);
    let mut third = Mta::connect(addr);
    let short = Some(Duration::from_millis(200));
    third.stream.set_read_timeout(short).unwrap();
    third
        .stream
        .write_all(b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\0\0\0")
        .unwrap();
    assert!(third.stream.read(&mut [0; 1]).is_err());
    drop(first);
    third.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(third.reply(), Reply::Negotiate(_)));
    daemon.stop();
}

#[test]
fn the_end_waits_for_the_message_under_way() {
    let (mut daemon, addr) = Daemon::tcp(hasty());
    let mut idle = Mta::greeted(addr, ALL_STEPS);
    let mut between = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(between.deliver("hold").len(), 4);
    let mut busy = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(busy.ask(&[mail("<a@test>")]), Reply::Continue);
    daemon.ask_to_stop();
    assert_eq!(idle.try_reply(), None);
    assert_eq!(between.try_reply(), None);
    assert_eq!(busy.ask(&[rcpt("<b@test>")]), Reply::Continue);
    busy.send(&[field("X-Do", " slow"), Command::EndOfMessage(b"12")]);
    assert_eq!(busy.replies(), changes(" to <b@test>;X-Do: slow;body 2"));
    assert_eq!(busy.try_reply(), None);
    assert!(TcpStream::connect(addr).is_err());
    assert_eq!(daemon.stop().abandoned, 0);
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let shutdown = Duration::from_millis(200);
    let (daemon, addr) = Daemon::tcp(Limits {
        shutdown,
        ..hasty()
    });
    let mut stuck = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(stuck.ask(&[mail("<a@test>")]), Reply::Continue);
    stuck.send(&[field("X-Do", "forever"), Command::EndOfMessage(b"")]);
    daemon.service.wait_for("end -");
    let mut half = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(half.ask(&[mail("<a@test>")]), Reply::Continue);
    assert_eq!(daemon.stop().abandoned, 2);
    // Without an answer, the MTA keeps the message.
    while let Some(reply) = stuck.try_reply() {
        assert_eq!(reply, Reply::Progress);
    }
    assert_eq!(half.try_reply(), None);
}
