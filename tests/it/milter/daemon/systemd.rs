//! What systemd hands over, and what it is told.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};

use super::place::{Place, mta, started};
use super::{begin_message, end_message, greet, selectors, signers};
use crate::milter::service::PATIENCE;

/// The service manager's end of `NOTIFY_SOCKET`.
struct Manager(UnixDatagram);

impl Manager {
    fn new(place: &Place, command: &mut Command) -> Manager {
        let path = place.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        command.env("NOTIFY_SOCKET", path);
        Manager(socket)
    }

    fn hears(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("word from the milter");
        String::from_utf8_lossy(&buffer[..length])
            .trim_end()
            .to_owned()
    }
}

#[test]
fn the_service_manager_is_told() {
    let place = Place::new("");
    let mut command = place.command(&[]);
    let manager = Manager::new(&place, &mut command);
    let mut milter = started(command);
    assert_eq!(manager.hears(), "READY=1");
    // Also where nothing comes of it.
    for broken in [false, true] {
        if broken {
            fs::write(place.path("milter.toml"), "nonsense = 1\n").unwrap();
        }
        milter.reload();
        let said = manager.hears();
        let (reloading, time) = said.split_once('\n').unwrap();
        assert_eq!(reloading, "RELOADING=1");
        let time = time.strip_prefix("MONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
        assert_eq!(manager.hears(), "READY=1");
    }
    let mut mta = place.mta();
    begin_message(&mut mta, true);
    milter.signal("TERM");
    // It says so before the mail in hand is answered.
    assert_eq!(manager.hears(), "STOPPING=1");
    assert_eq!(selectors(&end_message(&mut mta)), "a");
    assert_eq!(milter.status().code(), Some(0));
}

#[test]
fn a_start_that_is_refused_is_not_told_as_ready() {
    let place = Place::new("user = \"no.such.user\"\n");
    let mut command = place.command(&[]);
    let manager = Manager::new(&place, &mut command);
    assert_eq!(
        command.stderr(Stdio::null()).status().unwrap().code(),
        Some(2)
    );
    manager.0.set_nonblocking(true).unwrap();
    assert!(manager.0.recv(&mut [0; 10]).is_err());
}

#[test]
fn the_watchdog_ticks() {
    let place = Place::new("");
    let mut command = place.command(&[]);
    let manager = Manager::new(&place, &mut command);
    command.env("WATCHDOG_USEC", "300000");
    command.env_remove("WATCHDOG_PID");
    let milter = started(command);
    let mut ticks = 0;
    while ticks < 4 {
        match manager.hears().as_str() {
            "WATCHDOG=1" => ticks += 1,
            other => assert_eq!(other, "READY=1"),
        }
    }
    milter.end();
}

/// The command with a socket as systemd hands it over: number 3, for the process that it becomes.
fn with_socket(place: &Place, socket: OwnedFd) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg("exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"")
        .arg(env!("CARGO_BIN_EXE_dkimkit"))
        .args(["milter", "--config"])
        .arg(place.path("milter.toml"))
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null());
    command
}

#[test]
fn sockets_of_systemd_are_taken() {
    let place = Place::new("listen = \"systemd\"\n");
    let listener = UnixListener::bind(place.path("theirs")).unwrap();
    for _ in 0..2 {
        let socket = listener.try_clone().unwrap().into();
        let mut milter = started(with_socket(&place, socket));
        assert!(milter.lines("event=started")[0].contains("listen=systemd "));
        let mut mta = mta(&place.path("theirs"));
        assert_eq!(signers(&mut mta), "a");
        milter.signal("TERM");
        assert_eq!(milter.status().code(), Some(0));
        // It is systemd's: whoever connects now waits for the next milter.
        assert!(place.path("theirs").exists());
    }
    let waiting = std::os::unix::net::UnixStream::connect(place.path("theirs")).unwrap();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    let milter = started(with_socket(&place, listener.into()));
    assert_eq!(signers(&mut greet(waiting)), "a");
    milter.end();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let milter = started(with_socket(&place, listener.into()));
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(signers(&mut greet(stream)), "a");
    milter.end();
}
