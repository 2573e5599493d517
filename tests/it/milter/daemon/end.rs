//! How it ends.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::place::Place;
use super::{begin_message, end_message, selectors};

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
