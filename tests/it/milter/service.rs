//! The service that is tested, and the milter that asks it.

use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dkimkit::milter::service::{End, Notice, Overflow, Service};
use dkimkit::milter::session::{Answer, Context, Options, Outcome};
use dkimkit::milter::wire::{Actions, Modification, ReplyText, Strings};
use dkimkit::milter::{Ending, Limits, Listener, run};
use dkimkit::verify::Appetite;
use tokio::sync::oneshot;

/// A service that does what the mail tells it to, and writes down what it is asked.
#[derive(Default)]
pub(super) struct Obedient {
    pub(super) log: Mutex<Vec<String>>,
}

/// What a message told it to do.
#[derive(Default)]
pub(super) struct Orders {
    seen: String,
    last: String,
    body: usize,
}

impl Obedient {
    pub(super) fn write_down(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    /// What was written down since the last time.
    pub(super) fn read(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// Waits for a line that has `part`.
    pub(super) fn wait_for(&self, part: &str) {
        let began = Instant::now();
        while !self.log.lock().unwrap().iter().any(|l| l.contains(part)) {
            assert!(began.elapsed() < PATIENCE, "no {part}: {:?}", self.read());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
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

    fn overflow(&self, _: &Context, message: &mut Orders, what: Overflow) -> ControlFlow<Outcome> {
        self.write_down(format!("overflow: {what}"));
        match message.last.as_str() {
            "go on" => ControlFlow::Continue(()),
            _ => ControlFlow::Break(Outcome::TempFail),
        }
    }

    fn ended(&self, context: &Context, message: Orders, end: End) {
        let id = text(context.queue_id().unwrap_or(b"-"));
        self.write_down(format!("ended {id} {end:?}"));
        assert_ne!(message.last, "panic when ended");
    }

    fn notice(&self, context: Option<&Context>, notice: &Notice) {
        let mta = context.and_then(Context::mta).unwrap_or("-");
        self.write_down(format!("notice {mta}: {notice}"));
        assert!(!notice.to_string().contains("panic when ended"));
    }
}

/// Longer than anything takes that goes well.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A milter on a thread of its own.
pub(super) struct Daemon {
    pub(super) service: Arc<Obedient>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Ending>>,
}

impl Daemon {
    pub(super) fn start(listener: Listener, limits: Limits) -> Daemon {
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

    pub(super) fn tcp(limits: Limits) -> (Daemon, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        (Daemon::start(Listener::Tcp(listener), limits), addr)
    }

    pub(super) fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    pub(super) fn stop(mut self) -> Ending {
        self.ask_to_stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

/// Limits under which a test does not wait long.
pub(super) fn hasty() -> Limits {
    Limits {
        progress: Duration::from_millis(100),
        shutdown: PATIENCE,
        ..Limits::default()
    }
}
