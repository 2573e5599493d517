//! The program as a process: nothing of it is left behind, whatever becomes of a test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::milter::service::PATIENCE;

/// What it says on standard error.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// A milter that runs.
pub(super) struct Milter {
    child: Child,
    log: Arc<Log>,
    /// How many lines were waited for.
    read: usize,
}

impl Milter {
    pub(super) fn spawn(mut command: Command) -> Milter {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let kept = log.clone();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lines.lock().unwrap().push(line);
                kept.more.notify_all();
            }
        });
        Milter {
            child,
            log,
            read: 0,
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that has `part`, behind the one that was waited for last.
    pub(super) fn wait_for(&mut self, part: &str) -> String {
        let began = Instant::now();
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            let found = lines[self.read..].iter().position(|l| l.contains(part));
            if let Some(at) = found {
                self.read += at + 1;
                return lines[self.read - 1].clone();
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(!left.is_zero(), "no {part}: {lines:#?}");
            lines = self.log.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// All lines so far that have `part`.
    pub(super) fn lines(&self, part: &str) -> Vec<String> {
        let lines = self.log.lines.lock().unwrap();
        lines.iter().filter(|l| l.contains(part)).cloned().collect()
    }

    pub(super) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let done = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(done.unwrap().success(), "SIG{name}");
    }

    /// Has it load everything anew, and waits until it has.
    pub(super) fn reload(&mut self) -> String {
        self.signal("HUP");
        self.wait_for("event=reloaded")
    }

    /// Waits for its end.
    pub(super) fn status(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as a service manager does.
    pub(super) fn end(mut self) {
        self.signal("TERM");
        assert_eq!(self.status().code(), Some(0));
        self.wait_for("event=ended abandoned_messages=0");
    }
}

impl Drop for Milter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
