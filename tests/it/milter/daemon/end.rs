//! How it ends.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use dkimkit::milter::wire::{self, Command};

use super::place::Place;
use super::{begin_message, end_message, end_of, selectors};
use crate::milter::mta::{field, macros, mail};
use crate::nameserver::{NameServer, Reply, Script};

#[test]
fn a_message_in_hand_is_answered_at_the_end() {
    let place = Place::new("");
    for signal in ["TERM", "INT"] {
        let mut milter = place.start();
        let mut idle = place.mta();
        let mut mta = place.mta();
        begin_message(&mut mta, true);
        milter.signal(signal);
        // Who has no message is let go, and nobody new comes in.
        assert_eq!(idle.try_reply(), None);
        let refused = UnixStream::connect(place.path("s")).unwrap_err();
        let refused = refused.kind();
        assert!(
            [
                std::io::ErrorKind::ConnectionRefused,
                std::io::ErrorKind::NotFound
            ]
            .contains(&refused),
            "{refused:?}"
        );
        assert_eq!(selectors(&end_message(&mut mta)), "a");
        milter.wait_for("event=signed queue_id=Q1");
        assert_eq!(mta.try_reply(), None);
        assert_eq!(milter.status().code(), Some(0));
        milter.wait_for("level=notice event=ended abandoned_messages=0");
    }
}

#[test]
fn a_lookup_in_hand_is_waited_for_at_the_end() {
    let key = "late._domainkey.example.net.";
    let slow = Reply::NoName.late(Duration::from_millis(400));
    let server = NameServer::start(Script::new().on(key, slow));
    let place = Place::new(&format!(
        "[verifying]\nauthserv_id = \"mx.test\"\nnameservers = [\"{}\"]\n",
        server.addr()
    ));
    let mut milter = place.start();
    let mut mta = place.mta();
    let begun = mta.ask(&[macros(b'M', b"i\0Q3\0"), mail("<a@example.net>")]);
    assert_eq!(begun, wire::Reply::Continue);
    let signature = " v=1; a=ed25519-sha256; d=example.net; s=late; h=from; \
                     bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA";
    mta.send(&[
        field("DKIM-Signature", signature),
        field("From", " c@example.net"),
    ]);
    assert_eq!(mta.ask(&[Command::EndOfHeader]), wire::Reply::Continue);
    mta.send(&[Command::EndOfMessage(b"")]);
    milter.signal("TERM");
    let fields = end_of(mta.replies());
    assert!(fields[0].contains("dkim=permerror"), "{fields:?}");
    milter.wait_for("event=verified queue_id=Q3");
    assert_eq!(milter.status().code(), Some(0));
    milter.wait_for("event=ended abandoned_messages=0");
}

#[test]
fn a_message_that_never_ends_is_abandoned() {
    let place = Place::new("[limits]\nshutdown = \"300ms\"\n");
    let mut milter = place.start();
    let mut mta = place.mta();
    begin_message(&mut mta, true);
    let began = Instant::now();
    milter.signal("TERM");
    assert_eq!(mta.try_reply(), None);
    assert_eq!(milter.status().code(), Some(0));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(10));
    milter.wait_for("event=given-up queue_id=Q1");
    milter.wait_for("event=ended abandoned_messages=1");
}

/// Nothing of it is lost for the MTA: the connection ends, and it tries again.
#[test]
fn after_a_kill_it_starts_again() {
    let place = Place::new("");
    let mut milter = place.start();
    let mut mta = place.mta();
    begin_message(&mut mta, true);
    milter.signal("KILL");
    milter.status();
    assert_eq!(mta.try_reply(), None);
    assert!(place.path("s").exists());
    let milter = place.start();
    let mut mta = place.mta();
    begin_message(&mut mta, true);
    assert_eq!(selectors(&end_message(&mut mta)), "a");
    milter.end();
}
