//! What a milter does not go beyond.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use dkimkit::milter::Limits;
use dkimkit::milter::wire::{Command, Reply};

use super::mta::{ALL_STEPS, Mta, begin, changes, field, mail, rcpt};
use super::service::{Daemon, PATIENCE, hasty};

#[test]
fn the_silent_and_the_slow_are_ended() {
    let limits = Limits {
        idle: Duration::from_millis(600),
        slow: Duration::from_millis(200),
        ..hasty()
    };
    let (daemon, addr) = Daemon::tcp(limits);
    let mut silent = Mta::greeted(addr, ALL_STEPS);
    let mut slow = Mta::greeted(addr, ALL_STEPS);
    let began = Instant::now();
    for byte in b"\0\0\x10\0B" {
        let _ = slow.stream.write_all(&[*byte]);
        thread::sleep(Duration::from_millis(70));
    }
    assert_eq!(slow.try_reply(), None);
    daemon.service.wait_for("not complete in time");
    assert_eq!(silent.try_reply(), None);
    daemon.service.wait_for("said nothing for too long");
    assert!(began.elapsed() < PATIENCE / 2);
    daemon.stop();
}

#[test]
fn who_does_not_negotiate_is_sent_away() {
    let limits = Limits {
        greeting: Duration::from_millis(200),
        ..hasty()
    };
    let (daemon, addr) = Daemon::tcp(limits);
    let mut greeted = Mta::greeted(addr, ALL_STEPS);
    let mut silent = Mta::connect(addr);
    let mut slow = Mta::connect(addr);
    let began = Instant::now();
    slow.stream.write_all(b"\0\0").unwrap();
    assert_eq!(silent.try_reply(), None);
    assert_eq!(slow.try_reply(), None);
    assert!(began.elapsed() < PATIENCE / 2);
    daemon.service.wait_for("did not negotiate in time");
    assert_eq!(greeted.deliver("hold").len(), 4);
    daemon.stop();
}

#[test]
fn too_many_recipients_and_too_much_of_a_header_are_told_once() {
    let limits = Limits {
        recipients: 2,
        header_fields: 3,
        header_octets: 100,
        ..hasty()
    };
    let (daemon, addr) = Daemon::tcp(limits);
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    begin(&mut mta, b"i\0Q1\0");
    for reply in [
        Reply::Continue,
        Reply::Continue,
        Reply::TempFail,
        Reply::TempFail,
    ] {
        assert_eq!(mta.ask(&[rcpt("<b@test>")]), reply);
    }
    mta.send(&[Command::EndOfMessage(b"")]);
    assert_eq!(mta.replies(), [Reply::TempFail]);

    begin(&mut mta, b"i\0Q2\0");
    mta.send(&[field("A", "1"), field("B", "2"), field("X-Do", "go on")]);
    mta.send(&[
        field("C", "3"),
        field("D", "4"),
        Command::EndOfMessage(b"5"),
    ]);
    assert_eq!(mta.replies(), changes(" A:1;B:2;X-Do:go on;body 1"));

    begin(&mut mta, b"i\0Q3\0");
    let long = "x".repeat(100);
    mta.send(&[field("A", "1"), field("B", &long), field("C", "2")]);
    mta.send(&[Command::EndOfMessage(b"")]);
    assert_eq!(mta.replies(), [Reply::TempFail]);
    // Each message is counted anew.
    begin(&mut mta, b"i\0Q4\0");
    mta.send(&[field("A", "1"), Command::EndOfMessage(b"")]);
    assert_eq!(mta.replies(), changes(" A:1;body 0"));
    let mut log = daemon.service.read();
    log.retain(|line| line.starts_with("overflow") || line.starts_with("ended"));
    assert_eq!(
        log,
        [
            "overflow: the message has more than 2 recipients",
            "ended Q1 Decided",
            "overflow: the header has more than 3 fields",
            "overflow: the header has more than 100 octets",
            "ended Q3 Decided",
        ]
    );
    daemon.stop();
}

#[test]
fn times_of_any_length_are_kept() {
    let all = |time| Limits {
        idle: time,
        slow: time,
        write: time,
        answer: time,
        progress: time,
        shutdown: time,
        greeting: time,
        ..Limits::default()
    };
    for time in [
        Duration::MAX,
        Duration::from_secs(i64::MAX as u64 - 1_000_000),
    ] {
        let (daemon, addr) = Daemon::tcp(all(time));
        let mut mta = Mta::greeted(addr, ALL_STEPS);
        mta.stream.write_all(b"\0\0").unwrap();
        mta.stream.write_all(b"\0\x01A").unwrap();
        assert_eq!(mta.deliver("slow").len(), 3);
        assert_eq!(daemon.stop().abandoned, 0);
    }
    let (daemon, addr) = Daemon::tcp(all(Duration::ZERO));
    assert_eq!(Mta::connect(addr).try_reply(), None);
    assert_eq!(daemon.stop().abandoned, 0);
    // Nobody is told all the time that it goes on.
    let progress = Duration::ZERO;
    let (daemon, addr) = Daemon::tcp(Limits {
        progress,
        ..hasty()
    });
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Continue);
    mta.send(&[field("X-Do", "slow"), Command::EndOfMessage(b"")]);
    let mut told = 0;
    while mta.reply() == Reply::Progress {
        told += 1;
    }
    assert!((1..=40).contains(&told), "{told}");
    daemon.stop();
}
