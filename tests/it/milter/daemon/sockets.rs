//! Where MTAs connect, and who may.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::place::{Place, mta, started};
use super::{greet, signers};
use crate::milter::service::PATIENCE;

/// A port that nobody listens on.
pub(super) fn free_port(host: &str) -> u16 {
    let listener = TcpListener::bind((host, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn several_listeners_and_both_families() {
    let place = Place::new("");
    let (v4, v6) = (free_port("127.0.0.1"), free_port("::1"));
    place.configure(&format!(
        "listen = [\"inet:{v4}@127.0.0.1\", \"inet:{v6}@[::1]\", \"unix:DIR/s\", \"unix:DIR/t\"]\n"
    ));
    let milter = place.start();
    let line = &milter.lines("event=started")[0];
    let addresses = format!("inet:{v4}@127.0.0.1,inet:{v6}@[::1],unix:");
    assert!(line.contains(&addresses), "{line}");
    for (host, port) in [("127.0.0.1", v4), ("::1", v6)] {
        let stream = TcpStream::connect((host, port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(signers(&mut greet(stream)), "a");
    }
    for name in ["s", "t"] {
        assert_eq!(signers(&mut mta(&place.path(name))), "a");
    }
    milter.end();
    // All addresses of the machine.
    let all = ["127.0.0.1", "::1"];
    for (host, reached) in [("", &all[..]), ("@*", &all), ("@localhost", &["localhost"])] {
        place.configure(&format!("listen = \"inet:{v4}{host}\"\n"));
        let milter = place.start();
        for host in reached {
            let stream = TcpStream::connect((*host, v4)).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(signers(&mut greet(stream)), "a");
        }
        milter.end();
    }
    // What it has made is gone with it.
    assert_eq!(place.names(), ["keys", "milter.toml"]);
}

#[test]
fn mode_and_group_of_a_socket() {
    let place = Place::new("");
    let own = fs::metadata(place.path("keys")).unwrap().gid();
    let other = [0, 65534].into_iter().find(|gid| *gid != own).unwrap();
    let name = nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(other));
    let name = name.unwrap().unwrap().name;
    let root = nix::unistd::Uid::effective().is_root();
    let group = match root {
        true => format!("socket_group = \"{name}\"\n"),
        false => {
            crate::skipped("the group of a socket is given away by root alone");
            String::new()
        }
    };
    for (mode, line) in [
        (0o660, ""),
        (0o600, "socket_mode = \"0600\"\n"),
        (0o666, "socket_mode = \"0666\"\n"),
    ] {
        for group in ["", &group] {
            place.configure(&format!("{line}{group}"));
            let milter = place.start();
            let metadata = fs::metadata(place.path("s")).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, mode);
            assert_eq!(metadata.gid(), if group.is_empty() { own } else { other });
            assert_eq!(signers(&mut place.mta()), "a");
            milter.end();
        }
    }
}

/// However it is started, the socket is never open to more than it should be.
#[test]
fn nobody_connects_before_the_mode_is_right() {
    let place = Place::new("");
    let path = place.path("s");
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let watch = thread::spawn(move || {
        let mut seen = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            if let Ok(metadata) = fs::metadata(&path) {
                seen.push(metadata.permissions().mode() & 0o7777);
                seen.dedup();
            }
        }
        seen
    });
    for _ in 0..5 {
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "umask 0; exec \"$0\" \"$@\"",
                env!("CARGO_BIN_EXE_dkimkit"),
            ])
            .args(["milter", "--config"])
            .arg(place.path("milter.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        started(command).end();
    }
    stop.store(true, Ordering::Relaxed);
    let seen = watch.join().unwrap();
    assert!(
        seen.iter().all(|mode| [0o600, 0o660].contains(mode)),
        "{seen:?}"
    );
}
