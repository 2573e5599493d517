//! Root is given up for good, and what the milter's user may read is known before.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use dkimkit::keystore::KeyState;
use nix::unistd::{Gid, Uid, User};

use super::place::Place;
use super::process::Milter;
use super::{signers, sockets::free_port};

const NOBODY: &str = "user = \"nobody\"\n";

/// Root's place, which everybody may enter; `None`, loudly, for somebody else.
fn place_of_root(config: &str) -> Option<(Place, User)> {
    let nobody = User::from_name("nobody").unwrap();
    let Some(nobody) = nobody.filter(|_| Uid::effective().is_root()) else {
        crate::skipped("privileges are given up by root alone, to the user nobody");
        return None;
    };
    let place = Place::new(config);
    for name in [".", "keys", "keys/example.com"] {
        mode(&place.path(name), 0o755);
    }
    Some((place, nobody))
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The numbers of a line of `/proc/PID/status`.
fn numbers(milter: &Milter, name: &str) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{}/status", milter.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let numbers = line.unwrap().split_ascii_whitespace();
    numbers.map(|number| number.parse().unwrap()).collect()
}

/// The capabilities that a process may use, or get back.
fn capabilities(milter: &Milter) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", milter.pid())).unwrap();
    let lines = status.lines();
    let lines = lines.filter(|l| {
        ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"]
            .iter()
            .any(|n| l.starts_with(n))
    });
    let values = lines.map(|line| line.split_ascii_whitespace().nth(1).unwrap());
    values.map(str::to_owned).collect()
}

#[test]
fn root_is_given_up_for_good() {
    let Some((place, nobody)) = place_of_root("") else {
        return;
    };
    let group = Gid::from_raw(0);
    for (config, gid) in [
        (NOBODY, nobody.gid),
        ("user = \"nobody\"\ngroup = \"root\"\n", group),
    ] {
        place.configure(config);
        // It may listen where root alone may, and take the files of root.
        let milter = place.start();
        let (uid, gid) = (nobody.uid.as_raw(), gid.as_raw());
        // Real, effective, saved, and that of the file system: none of them is root's.
        assert_eq!(numbers(&milter, "Uid:"), [uid; 4]);
        assert_eq!(numbers(&milter, "Gid:"), [gid; 4]);
        assert_eq!(numbers(&milter, "Groups:"), [gid]);
        let none = "0000000000000000";
        assert_eq!(capabilities(&milter), [none; 4]);
        // What each thread is counts, not only the first one.
        for task in fs::read_dir(format!("/proc/{}/task", milter.pid())).unwrap() {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            assert!(
                status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n")),
                "{status}"
            );
        }
        assert_eq!(signers(&mut place.mta()), "a");
        milter.end();
        // nobody cannot remove it from a directory of root: the next one takes it over.
        assert!(place.path("s").exists());
    }
}

#[test]
fn keys_of_root_sign_until_they_change() {
    let Some((place, nobody)) = place_of_root(NOBODY) else {
        return;
    };
    let pem = place.path("keys/example.com/a.pem");
    mode(&pem, 0o600);
    let mut milter = place.start();
    let mut mta = place.mta();
    assert_eq!(signers(&mut mta), "a");
    let line = milter.reload();
    assert!(line.ends_with("signing_keys=1 key_troubles=0"), "{line}");
    assert_eq!(signers(&mut mta), "a");
    // It is another file now, even with what it had.
    let bytes = fs::read(&pem).unwrap();
    fs::remove_file(&pem).unwrap();
    fs::write(&pem, bytes).unwrap();
    mode(&pem, 0o600);
    milter.signal("HUP");
    let line = milter.wait_for("event=key-trouble");
    assert!(
        line.contains("a.pem") && line.contains("its mode is 0600"),
        "{line}"
    );
    milter.wait_for("event=reloaded");
    // The message waits until somebody has mended it.
    super::begin_message(&mut mta, true);
    mta.send(&[dkimkit::milter::wire::Command::EndOfMessage(super::BODY)]);
    let reply = mta.replies().pop().unwrap();
    assert!(format!("{reply:?}").contains("451"), "{reply:?}");
    milter.wait_for("event=unsigned queue_id=Q1");
    chown(&pem, None, Some(nobody.gid.as_raw())).unwrap();
    mode(&pem, 0o640);
    milter.reload();
    assert_eq!(signers(&mut mta), "a");
    place.state("a", KeyState::Retired);
    milter.reload();
    assert_eq!(signers(&mut mta), "");
    milter.end();
}

#[test]
fn what_the_user_cannot_enter_refuses_the_start() {
    let Some((place, _)) = place_of_root(NOBODY) else {
        return;
    };
    for name in ["keys", "keys/example.com"] {
        mode(&place.path(name), 0o700);
        let (code, text) = place.run(&[]);
        assert_eq!(code, Some(2), "{name}: {text}");
        assert!(
            text.contains("what root could read, the user of the milter cannot: "),
            "{text}"
        );
        assert!(text.contains("DIR/keys"), "{text}");
        assert!(text.contains("\nhint: "), "{text}");
        // It is nobody by now, and cannot remove its socket; it does not stay root for that.
        let _ = fs::remove_file(place.path("s"));
        mode(&place.path(name), 0o755);
    }
    place.start().end();
}

#[test]
fn a_check_names_the_mode() {
    let Some((place, nobody)) = place_of_root(NOBODY) else {
        return;
    };
    let pem = place.path("keys/example.com/a.pem");
    let config = place.path("milter.toml");
    let check = |words: &[&str]| place.run(&[&["--check", "--offline"], words].concat());
    let fails = |words: &[&str], part: &str| {
        let (code, text) = check(words);
        assert_eq!(code, Some(1), "{part}: {text}");
        let errors: Vec<_> = text.lines().filter(|l| l.starts_with("error ")).collect();
        assert!(errors.iter().any(|l| l.contains(part)), "{part}: {text}");
    };
    let passes = |words: &[&str]| {
        let (code, text) = check(words);
        assert_eq!(code, Some(0), "{text}");
        assert!(!text.contains("error "), "{text}");
    };
    mode(&pem, 0o600);
    let mend = "the user nobody cannot read DIR/keys/example.com/a.pem, whose mode is 0600; mend it with: chgrp nogroup DIR/keys/example.com/a.pem && chmod 0640 DIR/keys/example.com/a.pem";
    fails(&[], mend);
    place.configure("");
    passes(&[]);
    fails(&["--as", "nobody"], mend);
    fails(&["--as", "no.such.user"], "there is no user no.such.user");
    chown(&pem, None, Some(nobody.gid.as_raw())).unwrap();
    mode(&pem, 0o640);
    passes(&["--as", "nobody"]);
    place.configure(NOBODY);
    passes(&[]);
    place.start().end();
    mode(&config, 0o600);
    fails(
        &[],
        "the user nobody cannot read DIR/milter.toml, whose mode is 0600",
    );
    mode(&config, 0o644);
    for (name, part) in [
        (
            "keys",
            "the user nobody cannot enter DIR/keys, whose mode is 0700; mend it with: chmod g+x DIR/keys, and its group",
        ),
        (
            "keys/example.com",
            "cannot enter DIR/keys/example.com, whose mode is 0700",
        ),
    ] {
        mode(&place.path(name), 0o700);
        fails(&[], part);
        mode(&place.path(name), 0o755);
    }
    passes(&[]);
}

/// As a service manager does with `User=`: it has not been root.
#[test]
fn started_as_its_user() {
    let Some((place, nobody)) = place_of_root("") else {
        return;
    };
    let pem = place.path("keys/example.com/a.pem");
    chown(&pem, None, Some(nobody.gid.as_raw())).unwrap();
    mode(&pem, 0o640);
    let port = free_port("127.0.0.1");
    place.configure(&format!("listen = \"inet:{port}@127.0.0.1\"\n"));
    let program = place.path("dkimkit");
    let built = env!("CARGO_BIN_EXE_dkimkit");
    if fs::hard_link(built, &program).is_err() {
        fs::copy(built, &program).unwrap();
    }
    let as_nobody = |words: &[&str]| {
        let mut command = Command::new(&program);
        std::os::unix::process::CommandExt::uid(&mut command, nobody.uid.as_raw());
        std::os::unix::process::CommandExt::gid(&mut command, nobody.gid.as_raw());
        command
            .args(["milter", "--config"])
            .arg(place.path("milter.toml"))
            .args(words);
        command.stdin(Stdio::null());
        command
    };
    let check = as_nobody(&["--check", "--offline"]).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    super::place::started(as_nobody(&[])).end();
    // Its own name may stand in the configuration; another one takes root.
    place.configure(&format!("listen = \"inet:{port}@127.0.0.1\"\n{NOBODY}"));
    super::place::started(as_nobody(&[])).end();
    place.configure(&format!(
        "listen = \"inet:{port}@127.0.0.1\"\nuser = \"daemon\"\n"
    ));
    let refused = as_nobody(&[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.starts_with("dkimkit: error: cannot become the user daemon: "),
        "{text}"
    );
    assert!(
        text.contains("\nhint: start it as root, or as that user\n"),
        "{text}"
    );

    // A socket of somebody else is not taken away, even where the directory would let it.
    mode(&place.path("."), 0o777);
    place.configure("");
    drop(UnixListener::bind(place.path("s")).unwrap());
    mode(&place.path("s"), 0o600);
    let refused = as_nobody(&[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.contains("there is a socket that this user may not connect to\nhint: "),
        "{text}"
    );
    assert!(place.path("s").exists());
}
