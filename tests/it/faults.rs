//! Faults that happen for real: kills, full disks, files that change while they are read.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use dkimkit::keystore::KeyStore;
use dkimkit::name::{Domain, Selector};
use dkimkit::record::KeyRecord;

use crate::random::Random;

fn dkimkit(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dkimkit"));
    command.current_dir(dir).env_remove("DKIMKIT_KEYS");
    command
}

fn generate(dir: &Path, selector: &str) -> Command {
    let mut command = dkimkit(dir);
    command.args(["generate", "-d", "example.com", "-s", selector]);
    command.args(["--algorithm", "ed25519"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Killed at any moment, `generate` leaves no half key and loses none: what is there can be read, signs, and
/// is not made again; what is not there can be made.
#[test]
fn a_kill_at_any_point_of_generate_leaves_the_store_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(7);
    let domain = Domain::new("example.com").unwrap();
    let store = KeyStore::new(dir.path().join("keys"));
    let (mut killed, mut finished) = (0, 0);
    for round in 0..150 {
        let selector = format!("s{round}");
        let mut child = generate(dir.path(), &selector).spawn().unwrap();
        thread::sleep(Duration::from_micros(random.next() % 25_000));
        child.kill().unwrap();
        let done = child.wait().unwrap().success();
        killed += usize::from(!done);
        finished += usize::from(done);
        let name = Selector::new(&selector).unwrap();
        let pem = store.pem_path(&domain, &name);
        let there = pem.exists();
        assert!(there || !done, "{selector} is lost");
        if there {
            let key = store.key(&domain, &name).unwrap();
            let record = KeyRecord::parse(store.record(&domain, &name).unwrap().as_bytes(), 9);
            assert_eq!(record.unwrap().public, Some(key.public_bytes()));
        }
        store.entries(&domain).unwrap();
        let again = generate(dir.path(), &selector).status().unwrap();
        assert_eq!(again.code(), Some(if there { 2 } else { 0 }), "{selector}");
    }
    println!("{killed} killed, {finished} had finished");
    assert!(killed > 10, "the kills came too late to show anything");
}

/// Killed at any moment, `generate --force` leaves a key that signs: the old one or the new one.
#[test]
fn a_kill_at_any_point_of_a_replacement_leaves_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(8);
    let domain = Domain::new("example.com").unwrap();
    let name = Selector::new("s").unwrap();
    let store = KeyStore::new(dir.path().join("keys"));
    assert!(generate(dir.path(), "s").status().unwrap().success());
    for round in 0..60 {
        let mut child = generate(dir.path(), "s").arg("--force").spawn().unwrap();
        thread::sleep(Duration::from_micros(random.next() % 12_000));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(store.key(&domain, &name).is_ok(), "round {round}");
    }
}

#[test]
fn two_processes_at_once_make_one_key() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let selector = format!("s{round}");
        let children: Vec<_> = (0..4)
            .map(|_| generate(dir.path(), &selector).spawn().unwrap())
            .collect();
        let mut codes: Vec<_> = children
            .into_iter()
            .map(|mut c| c.wait().unwrap().code())
            .collect();
        codes.sort();
        assert_eq!(codes, [Some(0), Some(2), Some(2), Some(2)]);
    }
    let store = KeyStore::new(dir.path().join("keys"));
    let domain = Domain::new("example.com").unwrap();
    assert_eq!(store.entries(&domain).unwrap().len(), 10);
}

#[test]
fn a_message_that_grows_while_it_is_read_is_not_sent_with_the_wrong_signature() {
    let dir = tempfile::tempdir().unwrap();
    assert!(generate(dir.path(), "s").status().unwrap().success());
    let path = dir.path().join("message");
    let mut message = b"From: a@example.com\r\nDate: x\r\nMessage-ID: y\r\n\r\n".to_vec();
    message.resize(30_000_000, b'x');
    let mut refused = 0;
    for wait in [0, 2, 5, 10, 20, 40] {
        fs::write(&path, &message).unwrap();
        let child = dkimkit(dir.path())
            .args(["sign", "message", "-o", "out", "--force"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(wait));
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"more").unwrap();
        drop(file);
        match child.wait_with_output().unwrap().status.code() {
            Some(75) => refused += 1,
            Some(0) => {
                let verify = dkimkit(dir.path())
                    .args(["verify", "--keys", "keys", "out"])
                    .output()
                    .unwrap();
                assert!(verify.status.success());
            }
            other => panic!("{other:?}"),
        }
    }
    println!("{refused} of 6 were refused");
}

#[test]
fn a_message_that_changes_while_it_is_copied_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(generate(dir.path(), "s").status().unwrap().success());
    let path = dir.path().join("message");
    let mut message = b"From: a@example.com\r\nDate: x\r\nMessage-ID: y\r\n\r\n".to_vec();
    message.resize(3_000_000, b'x');
    for shorter in [true, false] {
        fs::write(&path, &message).unwrap();
        let mut child = dkimkit(dir.path())
            .args(["sign", "message"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The first byte of output says that the message was signed; the pipe then holds the copy up.
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0]).unwrap();
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        match shorter {
            true => file.set_len(200_000).unwrap(),
            false => {
                file.seek(SeekFrom::End(-10)).unwrap();
                file.write_all(b"y").unwrap();
            }
        }
        drop(file);
        out.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(75));
    }
}

/// A disk of 64 KiB, in a mount namespace of its own.
fn on_a_small_disk(dir: &Path, script: &str) -> Option<Output> {
    let program = env!("CARGO_BIN_EXE_dkimkit");
    let script = format!("mount -t tmpfs -o size=64k none disk && {script}");
    fs::create_dir_all(dir.join("disk")).unwrap();
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .current_dir(dir)
        .env("DKIMKIT", program)
        .output();
    match output {
        Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("unshare") => Some(output),
        _ => {
            crate::skipped("a small disk needs unshare and user namespaces");
            None
        }
    }
}

fn text(output: &Output) -> String {
    let both = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn a_full_disk_leaves_no_half_key() {
    let dir = tempfile::tempdir().unwrap();
    let script = "dd if=/dev/zero of=disk/fill bs=1k count=100 2>/dev/null; \
        $DKIMKIT generate -d example.com -s s --keys disk/keys; echo exit $?; find disk -name '*.pem'";
    let Some(output) = on_a_small_disk(dir.path(), script) else {
        return;
    };
    let text = text(&output);
    assert!(text.contains("exit 75"), "{text}");
    assert!(text.contains("no space left on device"), "{text}");
    assert!(!text.contains("s.pem\n"), "{text}");
}

#[test]
fn a_full_disk_leaves_no_half_message() {
    let dir = tempfile::tempdir().unwrap();
    assert!(generate(dir.path(), "s").status().unwrap().success());
    let mut message = b"From: a@example.com\r\n\r\n".to_vec();
    message.resize(3_000_000, b'x');
    fs::write(dir.path().join("message"), &message).unwrap();
    let script = "$DKIMKIT sign message -o disk/out; echo file $?; \
        cat message | TMPDIR=$PWD/disk $DKIMKIT sign > piped; echo pipe $?; \
        $DKIMKIT sign message > disk/stdout; echo stdout $?; ls -A disk; wc -c < piped";
    let Some(output) = on_a_small_disk(dir.path(), script) else {
        return;
    };
    let text = text(&output);
    for line in ["file 75\n", "pipe 75\n", "stdout 75\n", "\nstdout\n0\n"] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn a_closed_standard_output_is_an_error_and_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    assert!(generate(dir.path(), "s").status().unwrap().success());
    fs::write(dir.path().join("m"), b"From: a@example.com\r\n\r\nHi\r\n").unwrap();
    for command in [
        "sign m",
        "canonicalize m",
        "keys list",
        "demo",
        "man pages",
        "--help",
    ] {
        let output = Command::new("sh")
            .args([
                "-c",
                &format!("$DKIMKIT {command} >&- 2> errors; echo $? > code"),
            ])
            .current_dir(dir.path())
            .env("DKIMKIT", env!("CARGO_BIN_EXE_dkimkit"))
            .output()
            .unwrap();
        assert!(output.status.success());
        let errors = fs::read_to_string(dir.path().join("errors")).unwrap();
        assert!(!errors.contains("panicked"), "{command}: {errors}");
    }
}

/// What a kill leaves before the key is in its place is a line and a record: the selector can be used, and the record
/// is kept aside.
#[test]
fn a_record_whose_key_never_came_does_not_stand_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    assert!(generate(dir.path(), "s").status().unwrap().success());
    let place = dir.path().join("keys/example.com");
    fs::remove_file(place.join("s.pem")).unwrap();
    assert!(generate(dir.path(), "s").status().unwrap().success());
    let names = fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let aside = names.filter(|name| name.to_string_lossy().starts_with("s.txt.old-"));
    assert_eq!(aside.count(), 1);
    // A record that somebody put there stays.
    fs::write(
        place.join("other.txt"),
        "other._domainkey.example.com. TXT \"v=DKIM1; p=\"\n",
    )
    .unwrap();
    assert_eq!(
        generate(dir.path(), "other").status().unwrap().code(),
        Some(2)
    );
}
