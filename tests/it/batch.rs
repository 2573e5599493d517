//! Many messages in one run: directories, Maildirs, mbox files, packed or not, and what may happen to it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dkimkit::key::SigningKey;
use dkimkit::name::{Domain, Selector};
use dkimkit::sign::{SignOptions, SigningIdentity, sign};
use dkimkit::time::UnixTime;
use serde_json::Value;

fn store() -> String {
    format!("{}/keys", env!("CARGO_MANIFEST_DIR"))
}

fn dkimkit(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dkimkit"));
    command.current_dir(dir).env("DKIMKIT_KEYS", store());
    command.args(arguments).stdin(Stdio::null());
    command
}

fn verify(dir: &Path, arguments: &[&str]) -> Output {
    let store = store();
    let first = ["verify", "--json", "--keys", &store];
    let mut command = dkimkit(dir, &first);
    command.args(arguments).output().unwrap()
}

/// A signed message, with LF for its line ends.
fn signed(body: &str) -> String {
    let pem = fs::read(format!("{}/test.example/ed.pem", store())).unwrap();
    let key = Arc::new(SigningKey::read(&pem).unwrap());
    let domain = Domain::new("test.example").unwrap();
    let identity = SigningIdentity::new(domain, Selector::new("ed").unwrap(), key);
    let message = format!("From: a@test.example\nSubject: x\n\n{body}").replace('\n', "\r\n");
    let options = SignOptions::new(UnixTime(1_700_000_000));
    let fields = sign(message.as_bytes(), vec![identity], &options).unwrap();
    format!("{}\r\n{message}", fields[0]).replace("\r\n", "\n")
}

const ENVELOPE: &str = "From a@test.example Tue Nov 14 22:13:20 2023\n";

/// An mbox of messages that were quoted in three ways, one that was changed, and one without a header.
fn mbox() -> String {
    let mboxo = signed("Hi\n\nFrom here on\n>>From everywhere\nend\n");
    let mboxo = mboxo.replace("\nFrom here", "\n>From here");
    let mboxrd = signed("Hi\n\nFrom here on\n>From there\n>>From everywhere\nend\n")
        .replace("\n>>From ", "\n>>>From ")
        .replace("\n>From ", "\n>>From ")
        .replace("\nFrom here", "\n>From here");
    // Here the quotes are the text itself.
    let as_it_is = signed("Hi\n\n>From here on\n>>From there\n");
    let changed = signed("Hi\n").replace("Hi", "Ho");
    [mboxo, mboxrd, as_it_is, changed, "no header\n".to_owned()]
        .map(|message| format!("{ENVELOPE}{message}\n"))
        .concat()
}

fn results(output: &Output) -> Vec<(Value, String)> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| {
            let json: Value = serde_json::from_str(line).unwrap();
            let result = json["result"].as_str().unwrap().to_owned();
            (json["message"].clone(), result)
        })
        .collect()
}

#[test]
fn every_message_of_an_mbox_is_read_in_the_way_in_which_it_was_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let text = mbox();
    fs::write(dir.path().join("box"), &text).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let mut packed = gzip.finish().unwrap();
    // Packed files may be put behind one another.
    let twice = [packed.as_slice(), packed.as_slice()].concat();
    fs::write(dir.path().join("box.gz"), &packed).unwrap();
    fs::write(dir.path().join("twice.gz"), twice).unwrap();
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(text.as_bytes(), level);
    fs::write(dir.path().join("box.zst"), zstd).unwrap();

    let want: Vec<(Value, String)> = ["pass", "pass", "pass", "fail", "permerror"]
        .into_iter()
        .zip(1..)
        .map(|(result, number)| (Value::from(number), result.to_owned()))
        .collect();
    for arguments in [
        &["box"][..],
        &["--jobs", "1", "box"],
        &["box.gz"],
        &["box.zst"],
        &["."],
    ] {
        let output = verify(dir.path(), arguments);
        let got = results(&output);
        assert_eq!(got[..5], want[..], "{arguments:?}");
        assert_eq!(output.status.code(), Some(1));
    }
    let got = results(&verify(dir.path(), &["twice.gz"]));
    assert_eq!(got.len(), 10);
    assert_eq!(got[9], (Value::from(10), "permerror".to_owned()));

    // From a pipe, in small pieces.
    packed.truncate(packed.len());
    for bytes in [text.as_bytes(), &packed] {
        let store = store();
        let mut command = dkimkit(dir.path(), &["verify", "--json", "--keys", &store]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        for piece in bytes.chunks(3) {
            pipe.write_all(piece).unwrap();
        }
        drop(pipe);
        assert_eq!(results(&child.wait_with_output().unwrap()), want);
    }

    // One message alone has no number.
    let alone = format!("{ENVELOPE}{}", signed("Hi\n"));
    fs::write(dir.path().join("one"), alone).unwrap();
    let got = results(&verify(dir.path(), &["one"]));
    assert_eq!(got, [(Value::Null, "pass".to_owned())]);
}

#[test]
fn packed_files_that_are_broken_are_named_and_the_others_are_done() {
    let dir = tempfile::tempdir().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(signed(&"Hi\n".repeat(9999)).as_bytes())
        .unwrap();
    let packed = gzip.finish().unwrap();
    fs::write(dir.path().join("a.gz"), &packed[..packed.len() / 2]).unwrap();
    fs::write(dir.path().join("b.gz"), &packed).unwrap();
    fs::write(dir.path().join("c.zst"), b"\x28\xb5\x2f\xfd junk junk junk").unwrap();
    let output = verify(dir.path(), &["a.gz", "b.gz", "c.zst"]);
    assert_eq!(results(&output), [(Value::Null, "pass".to_owned())]);
    assert_eq!(output.status.code(), Some(75));
    let errors = String::from_utf8(output.stderr).unwrap();
    for name in ["a.gz: reading failed", "c.zst: reading failed"] {
        assert!(errors.contains(name), "{errors}");
    }
}

/// A Maildir with so many messages, every seventh of them changed.
fn maildir(dir: &Path, count: usize) {
    for sub in ["cur", "new", "tmp"] {
        fs::create_dir_all(dir.join(sub)).unwrap();
    }
    let message = signed("Hi\n");
    for number in 0..count {
        let text = match number % 7 {
            0 => message.replace("Hi", "Ho"),
            _ => message.clone(),
        };
        let sub = if number % 2 == 0 { "cur" } else { "new" };
        fs::write(dir.join(sub).join(format!("{number:06}:2,S")), text).unwrap();
    }
    fs::write(dir.join("tmp/unfinished"), "x").unwrap();
}

#[test]
fn results_come_in_the_order_of_the_files_with_any_number_of_jobs() {
    let dir = tempfile::tempdir().unwrap();
    maildir(dir.path(), 300);
    let one = verify(dir.path(), &["--jobs", "1", "."]);
    assert_eq!(results(&one).len(), 300);
    assert_eq!(one.status.code(), Some(1));
    for jobs in ["2", "5"] {
        let more = verify(dir.path(), &["--jobs", jobs, "."]);
        assert!(more.stdout == one.stdout, "--jobs {jobs}");
    }
}

#[test]
fn an_interrupt_ends_a_batch_with_whole_results() {
    let dir = tempfile::tempdir().unwrap();
    maildir(dir.path(), 3000);
    let whole = verify(dir.path(), &["."]).stdout;
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut interrupted = false;
        // The moment is found by trying.
        for wait in [40, 20, 10, 60, 80, 120] {
            let store = store();
            let mut command = dkimkit(dir.path(), &["verify", "--json", "--keys", &store, "."]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut stdout = child.stdout.take().unwrap();
            let reader = thread::spawn(move || {
                let mut bytes = Vec::new();
                stdout.read_to_end(&mut bytes).map(|_| bytes)
            });
            thread::sleep(Duration::from_millis(wait));
            let id = child.id().to_string();
            Command::new("kill").args([signal, &id]).status().unwrap();
            let status = child.wait().unwrap();
            let bytes = reader.join().unwrap().unwrap();
            assert!(whole.starts_with(&bytes));
            assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
            if status.code() == Some(code) && !bytes.is_empty() {
                interrupted = true;
                break;
            }
        }
        assert!(interrupted, "{signal} was never seen during the work");
    }
}

#[test]
fn many_messages_are_signed_into_a_directory_whatever_they_come_in() {
    let dir = tempfile::tempdir().unwrap();
    let message = "From: a@test.example\nDate: x\nMessage-ID: <x>\n\n>From here\nHi\n";
    let mut boxed = String::new();
    for number in 0..40 {
        boxed.push_str(&format!("{ENVELOPE}Subject: {number}\n{message}\n"));
    }
    fs::write(dir.path().join("box"), boxed).unwrap();
    fs::write(dir.path().join("plain.eml"), message).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(message.as_bytes()).unwrap();
    fs::write(dir.path().join("packed.eml.gz"), gzip.finish().unwrap()).unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    let sign = ["sign", "-s", "ed", "--output-dir", "out"];
    let sources = ["box", "plain.eml", "packed.eml.gz"];
    let output = dkimkit(dir.path(), &[&sign[..], &sources].concat())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{errors}");

    let mut names: Vec<String> = fs::read_dir(dir.path().join("out"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 42);
    for name in ["box.1", "box.40", "packed.eml", "plain.eml"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    let output = verify(dir.path(), &["out"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(results(&output).len(), 42);
    // What an mbox quoted is itself again; a message of its own was never quoted.
    let read = |name: &str| fs::read_to_string(dir.path().join("out").join(name)).unwrap();
    assert!(read("box.7").contains("\nFrom here\n"));
    // A first line of an mbox would make an mbox of it again, with what looks like one in its body.
    assert!(read("box.7").starts_with("DKIM-Signature:"));
    assert!(read("plain.eml").contains("\n>From here\n"));
    assert!(read("packed.eml").contains("\n>From here\n"));

    // To one output only one message can go.
    let output = dkimkit(dir.path(), &["sign", "-s", "ed", "box"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn the_fields_of_several_messages_do_not_replace_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let message = "From: a@test.example\nDate: x\nMessage-ID: <x>\n\nHi\n";
    for name in ["a", "b"] {
        fs::write(dir.path().join(name), message).unwrap();
    }
    let arguments = [
        "sign",
        "-s",
        "ed",
        "--header-only",
        "--force",
        "-o",
        "out",
        "a",
        "b",
    ];
    let status = dkimkit(dir.path(), &arguments).status().unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(!dir.path().join("out").exists());
    // An input is no output, whichever message it is for.
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/a"), message).unwrap();
    let arguments = [
        "sign",
        "-s",
        "ed",
        "--force",
        "--output-dir",
        ".",
        "sub/a",
        "a",
    ];
    let status = dkimkit(dir.path(), &arguments).status().unwrap();
    assert_eq!(status.code(), Some(2));
    assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), message);
}

#[test]
fn zstd_frames_are_checked_and_those_to_be_skipped_are() {
    let dir = tempfile::tempdir().unwrap();
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let text = signed(&"Hi\n".repeat(99));
    let frame = ruzstd::encoding::compress_to_vec(text.as_bytes(), level);
    let skipped = [&b"\x5a\x2a\x4d\x18\x03\0\0\0abc"[..], &frame].concat();
    fs::write(dir.path().join("skipped.zst"), skipped).unwrap();
    let mut broken = frame.clone();
    *broken.last_mut().unwrap() ^= 1;
    fs::write(dir.path().join("broken.zst"), broken).unwrap();
    let output = verify(dir.path(), &["skipped.zst"]);
    assert_eq!(results(&output), [(Value::Null, "pass".to_owned())]);
    let output = verify(dir.path(), &["broken.zst"]);
    assert_eq!(output.status.code(), Some(75));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("checksum"), "{errors}");
}

#[test]
fn what_was_verified_before_a_read_error_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let text = mbox().repeat(200);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(dir.path().join("d/box.gz"), &packed[..packed.len() / 2]).unwrap();
    for name in ["d", "d/box.gz"] {
        let output = verify(dir.path(), &[name]);
        assert!(results(&output).len() > 50, "{name}");
        assert_eq!(output.status.code(), Some(1), "{name}");
    }
}

/// Whoever does not read the verdicts is not told that all is well.
#[test]
fn a_closed_pipe_is_no_pass() {
    let dir = tempfile::tempdir().unwrap();
    maildir(dir.path(), 100);
    let store = store();
    for (target, bad) in [
        ("cur/000000:2,S", true),
        ("cur/000002:2,S", false),
        (".", true),
    ] {
        let mut command = dkimkit(dir.path(), &["verify", "--json", "--keys", &store, target]);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let code = if bad { 1 } else { 75 };
        assert_eq!(output.status.code(), Some(code), "{target}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!errors.contains("error"), "{errors}");
    }
}

#[test]
fn a_signal_ends_a_batch_that_waits_for_input() {
    let dir = tempfile::tempdir().unwrap();
    let store = store();
    let mut command = dkimkit(dir.path(), &["verify", "--keys", &store]);
    command.stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(ENVELOPE.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(300));
    let id = child.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    drop(pipe);
}

#[test]
fn a_kill_leaves_no_piece_of_an_output_behind() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["sign", "-s", "ed", "-o", "out.eml"];
    for signal in ["-TERM", "-KILL"] {
        let mut child = dkimkit(dir.path(), &arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(b"From: a@test.example\n\n").unwrap();
        pipe.write_all(&vec![b'x'; 3 << 20]).unwrap();
        let id = child.id().to_string();
        Command::new("kill").args([signal, &id]).status().unwrap();
        assert_eq!(child.wait().unwrap().code(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{signal}");
    }
}
