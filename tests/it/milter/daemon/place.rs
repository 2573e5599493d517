//! A directory with a configuration and a key store, and what is started there.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dkimkit::keystore::{KeyState, KeyStore};

use super::greet;
use super::process::Milter;
use crate::milter::mta::Mta;
use crate::milter::service::PATIENCE;
use crate::milter::world::{NOW, add};

pub(super) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// A place with the active key `a` of example.com, and this in its configuration.
    pub(super) fn new(config: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { dir };
        add(&place.store(), "example.com", "a", true);
        place.configure(config);
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn store(&self) -> KeyStore {
        KeyStore::new(self.path("keys"))
    }

    /// Writes the configuration: `config`, in which DIR stands for the place, and what it does not say.
    pub(super) fn configure(&self, config: &str) {
        let mut text = config.replace("DIR", self.dir.path().to_str().unwrap());
        for (key, value) in [
            ("listen", format!("\"unix:{}\"", self.path("s").display())),
            ("keys", "\"keys\"".to_owned()),
            ("log_to", "\"stderr\"".to_owned()),
            ("reload_every", "\"0s\"".to_owned()),
        ] {
            let mut top = text.lines().take_while(|line| !line.starts_with('['));
            if !top.any(|line| line.starts_with(&format!("{key} = "))) {
                text = format!("{key} = {value}\n{text}");
            }
        }
        if !text.contains("[verifying]") {
            text.push_str("\n[verifying]\nauthserv_id = \"mx.test\"\n");
        }
        fs::write(self.path("milter.toml"), text).unwrap();
    }

    pub(super) fn add(&self, selector: &str) {
        add(&self.store(), "example.com", selector, false);
    }

    pub(super) fn state(&self, selector: &str, state: KeyState) {
        let (domain, selector) = ("example.com".parse().unwrap(), selector.parse().unwrap());
        self.store()
            .set_state(&domain, &selector, state, NOW)
            .unwrap();
    }

    /// `b` signs from now on, and `a` does not.
    pub(super) fn rotate(&self) {
        self.add("b");
        self.state("b", KeyState::Active);
        self.state("a", KeyState::Retired);
    }

    /// `dkimkit milter --config FILE`, and these words.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dkimkit"));
        command
            .args(["milter", "--config"])
            .arg(self.path("milter.toml"));
        command.args(words);
        for name in [
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
            "LISTEN_FDS",
            "DKIMKIT_KEYS",
        ] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts it, and waits until it takes mail.
    pub(super) fn start(&self) -> Milter {
        started(self.command(&[]))
    }

    /// An MTA at the socket of the place.
    pub(super) fn mta(&self) -> Mta<UnixStream> {
        mta(&self.path("s"))
    }

    /// What the command says and how it ends, with the place as DIR: standard error behind standard output.
    pub(super) fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.command(words).stdout(Stdio::piped()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        let text = text.replace(self.dir.path().to_str().unwrap(), "DIR");
        (output.status.code(), text)
    }

    /// The names in the place, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

pub(super) fn started(command: Command) -> Milter {
    let mut milter = Milter::spawn(command);
    milter.wait_for("event=started");
    milter
}

pub(super) fn mta(path: &Path) -> Mta<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    greet(stream)
}
