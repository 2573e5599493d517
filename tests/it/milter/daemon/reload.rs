//! Keys and configuration while it runs.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use dkimkit::keystore::KeyState;
use dkimkit::report::{ResultWord, overall};

use super::place::Place;
use super::{begin_message, end_message, message, selectors, signers};
use crate::milter::world::{NOW, text_of};
use crate::nameserver::{NameServer, Script};

#[test]
fn it_signs_and_verifies() {
    let place = Place::new("");
    let server = NameServer::start(Script::zone(&text_of(&place.store())));
    let verifying = format!(
        "[verifying]\nauthserv_id = \"mx.test\"\nnameservers = [\"{}\"]\n",
        server.addr()
    );
    place.configure(&verifying);
    let mut milter = place.start();
    let mut mta = place.mta();
    begin_message(&mut mta, true);
    let fields = end_message(&mut mta);
    assert_eq!(selectors(&fields), "a");
    let line = milter.wait_for("event=signed");
    assert!(line.starts_with("level=info event=signed queue_id=Q1 from=a@example.com "));
    assert!(
        line.contains(" login=anna domain=example.com selector=a "),
        "{line}"
    );
    // t= is later than the time of the key.
    let now = dkimkit::time::UnixTime(NOW.0 + (1 << 30));
    let (zone, _): (dkimkit::dns::Zone, _) = place.store().zone().unwrap();
    let policy = dkimkit::policy::Policy::default();
    let verdicts = dkimkit::verify(&message(&fields), &zone, &policy, now).unwrap();
    assert_eq!(overall(&verdicts), ResultWord::Pass);

    begin_message(&mut mta, false);
    let fields = end_message(&mut mta);
    assert!(
        fields[0].starts_with("Authentication-Results: mx.test;"),
        "{fields:?}"
    );
    assert!(fields[0].contains("dkim=none"), "{fields:?}");
    milter.wait_for("event=verified queue_id=Q2");
    milter.end();
}

#[test]
fn sighup_takes_keys_and_connections_stay() {
    let place = Place::new("");
    let mut milter = place.start();
    let mut mta = place.mta();
    assert_eq!(signers(&mut mta), "a");
    // In the middle of a message: who signs is decided again at its end.
    begin_message(&mut mta, true);
    let mut idle = place.mta();
    place.rotate();
    let line = milter.reload();
    assert!(
        line.ends_with("event=reloaded signing_keys=1 key_troubles=0"),
        "{line}"
    );
    assert_eq!(selectors(&end_message(&mut mta)), "b");
    for mta in [&mut mta, &mut idle, &mut place.mta()] {
        assert_eq!(signers(mta), "b");
    }
    milter.end();
}

#[test]
fn a_retired_key_does_not_sign_whatever_is_wrong_elsewhere() {
    let place = Place::new("[sender_login]\nanna = [\"example.com\"]\n");
    let mut milter = place.start();
    let mut mta = place.mta();
    assert_eq!(signers(&mut mta), "a");
    let mut within = place.mta();
    begin_message(&mut within, true);
    place.rotate();
    for broken in ["[signing", "nonsense = 1\n", "listen = \"8891\"\n"] {
        fs::write(place.path("milter.toml"), broken).unwrap();
        milter.signal("HUP");
        let line = milter.wait_for("event=reload-refused");
        assert!(line.contains("milter.toml: "), "{line}");
        assert!(line.contains("with the keys of now"), "{line}");
        milter.wait_for("event=reloaded");
        assert_eq!(signers(&mut mta), "b");
    }
    assert_eq!(selectors(&end_message(&mut within)), "b");
    fs::remove_file(place.path("milter.toml")).unwrap();
    place.state("b", KeyState::Retired);
    milter.signal("HUP");
    milter.wait_for("event=reload-refused");
    milter.wait_for("event=reloaded signing_keys=0");
    assert_eq!(signers(&mut mta), "");
    // The old configuration stays, and a good one is taken.
    place.state("b", KeyState::Active);
    place.configure("[sender_login]\nanna = [\"example.net\"]\n");
    milter.reload();
    assert_eq!(signers(&mut mta), "");
    milter.wait_for("reason=sender-mismatch");
    milter.end();
}

#[test]
fn a_store_that_goes_away_is_told_and_what_was_known_signs() {
    let place = Place::new("");
    let mut milter = place.start();
    let mut mta = place.mta();
    fs::rename(place.path("keys"), place.path("away")).unwrap();
    milter.signal("HUP");
    let line = milter.wait_for("event=key-trouble");
    assert!(line.starts_with("level=error"), "{line}");
    assert!(line.contains("there is no such directory; what was loaded before stays in use"));
    milter.wait_for("event=reloaded signing_keys=1 key_troubles=1");
    assert_eq!(signers(&mut mta), "a");
    fs::rename(place.path("away"), place.path("keys")).unwrap();
    let line = milter.reload();
    assert!(line.ends_with("signing_keys=1 key_troubles=0"), "{line}");
    milter.end();
}

#[test]
fn what_changes_is_taken_by_itself() {
    let place = Place::new("reload_every = \"100ms\"\n[signing]\nexpires = \"14d\"\n");
    let mut milter = place.start();
    let mut mta = place.mta();
    // What it notes in the store itself does not go round and round.
    thread::sleep(Duration::from_millis(800));
    let own = milter.lines("event=reloaded").len();
    assert!(own <= 1, "{:?}", milter.lines("event="));
    place.rotate();
    milter.wait_for("event=reloaded signing_keys=1");
    let began = Instant::now();
    while signers(&mut mta) != "b" {
        // It may have been caught between two changes, or have reloaded for what it noted.
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    // A configuration as well.
    place.configure("reload_every = \"100ms\"\n[sender_login]\nanna = [\"example.net\"]\n");
    let began = Instant::now();
    while !signers(&mut mta).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    milter.end();
}

#[test]
fn what_is_still_changing_is_not_taken() {
    let place = Place::new("reload_every = \"400ms\"\n");
    let milter = place.start();
    for attempt in 0.. {
        assert!(
            attempt < 5,
            "this machine is too busy to write often enough"
        );
        let began = Instant::now();
        let before = milter.lines("event=reloaded").len();
        let (mut last, mut longest) = (began, Duration::ZERO);
        while began.elapsed() < Duration::from_millis(1500) {
            let config = format!("reload_every = \"400ms\"\n# {:?}\n", began.elapsed());
            place.configure(&config);
            thread::sleep(Duration::from_millis(10));
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        let taken = milter.lines("event=reloaded").len() - before;
        // Where the writer was held up for long, the files were at rest.
        if longest < Duration::from_millis(300) {
            assert_eq!(taken, 0);
            break;
        }
    }
    let mut milter = milter;
    milter.wait_for("event=reloaded");
    milter.end();
}

#[test]
fn what_takes_a_restart_is_said() {
    let place = Place::new("");
    let mut milter = place.start();
    place.configure(
        "listen = \"unix:DIR/t\"\nsocket_mode = \"0666\"\n[limits]\nshutdown = \"1s\"\n",
    );
    milter.signal("HUP");
    for key in ["listen", "socket_mode", "limits"] {
        let line = milter.wait_for("has changed, which takes a restart");
        assert!(line.contains(&format!("detail=\"{key} has")), "{line}");
    }
    milter.wait_for("event=reloaded");
    assert_eq!(signers(&mut place.mta()), "a");
    assert!(!place.path("t").exists());
    milter.end();
}

/// A file system that does not answer stops neither the mail nor the end.
#[test]
fn a_key_that_cannot_be_read_to_its_end_holds_up_nothing() {
    let place = Place::new("");
    let milter = place.start();
    let mut mta = place.mta();
    let pem = place.path("keys/example.com/a.pem");
    fs::remove_file(&pem).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&pem).status();
    assert!(made.unwrap().success());
    milter.signal("HUP");
    assert_eq!(signers(&mut mta), "a");
    milter.signal("HUP");
    assert_eq!(signers(&mut mta), "a");
    milter.end();
}
