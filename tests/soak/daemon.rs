//! The milter as a process: started, told to read its keys again, ended, killed.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::process::Usage;

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
const PROGRAM: &str = env!("CARGO_BIN_EXE_dkimkit");

pub(crate) struct Daemon {
    pub(crate) place: PathBuf,
    config: String,
    child: RefCell<Option<Child>>,
    endings: Cell<Endings>,
    files_at_start: Cell<usize>,
}

/// How often the milter was told to end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Endings {
    /// Whether it is going away, or not there.
    down: bool,
    /// By SIGTERM.
    pub(crate) ends: usize,
    /// By SIGKILL.
    pub(crate) kills: usize,
}

impl Endings {
    /// Whether it was away at some time since then.
    pub(crate) fn came_after(self, before: Endings) -> bool {
        self.down || before.down || (self.ends, self.kills) != (before.ends, before.kills)
    }
}

impl Daemon {
    pub(crate) fn new(place: &Path, config: String) -> Daemon {
        Daemon {
            place: place.to_owned(),
            config,
            child: RefCell::default(),
            endings: Cell::new(Endings {
                down: true,
                ..Endings::default()
            }),
            files_at_start: Cell::default(),
        }
    }

    pub(crate) fn endings(&self) -> Endings {
        self.endings.get()
    }

    /// How many files it had open before any session.
    pub(crate) fn files_at_start(&self) -> usize {
        self.files_at_start.get()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.place.join("milter.sock")
    }

    fn config_file(&self) -> PathBuf {
        self.place.join("milter.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.place.join("log")
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.borrow().as_ref().map(Child::id)
    }

    /// Starts it, and waits until it takes mail.
    pub(crate) async fn start(&self) -> io::Result<()> {
        fs::write(self.config_file(), &self.config)?;
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let before = self.log_length();
        let child = Command::new(PROGRAM)
            .args(["milter", "--config"])
            .arg(self.config_file())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        *self.child.borrow_mut() = Some(child);
        self.wait_for_line(before, "event=started").await?;
        let down = false;
        self.files_at_start.set(Usage::of(self.pid()).files);
        self.endings.set(Endings {
            down,
            ..self.endings()
        });
        Ok(())
    }

    /// Lets it read keys and configuration again, and waits until it has.
    pub(crate) async fn reload(&self) -> io::Result<()> {
        let before = self.log_length();
        self.signal("HUP")?;
        self.wait_for_line(before, "event=reloaded").await
    }

    /// Shows it a configuration that cannot be used, and then the right one again.
    pub(crate) async fn reload_nonsense(&self) -> io::Result<()> {
        fs::write(
            self.config_file(),
            format!("{}\nnonsense = 1\n", self.config),
        )?;
        let before = self.log_length();
        self.signal("HUP")?;
        self.wait_for_line(before, "event=reload-refused").await?;
        fs::write(self.config_file(), &self.config)
    }

    /// Ends it as a service manager does: the mail in hand is finished.
    pub(crate) async fn end(&self) -> io::Result<()> {
        self.count(1, 0);
        self.signal("TERM")?;
        self.wait_for_end().await
    }

    /// Kills it.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        self.count(0, 1);
        self.signal("KILL")?;
        self.wait_for_end().await
    }

    /// Nothing else is done between this and the signal, but a milter that was told to end takes sessions
    /// for a moment.
    fn count(&self, ends: usize, kills: usize) {
        let before = self.endings();
        self.endings.set(Endings {
            down: true,
            ends: before.ends + ends,
            kills: before.kills + kills,
        });
    }

    /// `kill` is part of every system; the child is ours, and not waited for yet.
    fn signal(&self, name: &str) -> io::Result<()> {
        let pid = self
            .pid()
            .ok_or_else(|| io::Error::other("no milter runs"))?;
        let done = Command::new("kill")
            .args([format!("-{name}"), pid.to_string()])
            .status()?;
        match done.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "the milter is gone before SIG{name}"
            ))),
        }
    }

    async fn wait_for_end(&self) -> io::Result<()> {
        let began = Instant::now();
        loop {
            let ended = match self.child.borrow_mut().as_mut() {
                Some(child) => child.try_wait()?.is_some(),
                None => true,
            };
            if ended {
                *self.child.borrow_mut() = None;
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(io::Error::other("the milter does not end"));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn log_length(&self) -> usize {
        let length = fs::metadata(self.log_file()).map_or(0, |data| data.len());
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    /// Waits for a line of the log behind `before` that has this word.
    async fn wait_for_line(&self, before: usize, word: &str) -> io::Result<()> {
        let began = Instant::now();
        loop {
            let log = self.log_from(before);
            if log.contains(word) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("no {word} in the log: {log}")));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn log_from(&self, start: usize) -> String {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut text = Vec::new();
        if let Ok(mut file) = fs::File::open(self.log_file()) {
            let start = SeekFrom::Start(start as u64);
            let _ = file.seek(start).and_then(|_| file.read_to_end(&mut text));
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The lines of the log about a message.
    pub(crate) fn log_of(&self, queue_id: &str) -> String {
        let log = self.log_from(0);
        let lines = log.lines().filter(|line| line.contains(queue_id));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Runs `dkimkit` with the key store of the milter.
    pub(crate) async fn dkimkit(&self, words: &[&str]) -> io::Result<()> {
        let mut command = Command::new(PROGRAM);
        command
            .args(words)
            .arg("--keys")
            .arg(self.place.join("keys"));
        let ran = spawn_blocking(move || command.output()).await?;
        let Output { status, stderr, .. } = ran?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "dkimkit {}: {}",
                words.join(" "),
                String::from_utf8_lossy(&stderr)
            ))),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
