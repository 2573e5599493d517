//! Conversations as MTAs have them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use dkimkit::milter::wire::{Command, Reply, ReplyText, Steps};
use dkimkit::milter::{Limits, Listener, run};

use super::mta::{ALL_STEPS, Mta, changes, connect, field, macros, mail, rcpt};
use super::service::{Daemon, Obedient, PATIENCE, hasty};

/// Two messages as Postfix sends them, and the end.
fn whole_session<T: Read + Write>(mta: &mut Mta<T>, service: &Obedient) {
    let ours = mta.negotiate(ALL_STEPS);
    assert!(ours.steps.contains(Steps::NO_REPLY_HEADER | Steps::SKIP));
    assert_eq!(
        mta.ask(&[macros(b'C', b"j\0mx\0"), connect()]),
        Reply::Continue
    );
    assert_eq!(mta.ask(&[Command::Helo(b"client.test")]), Reply::Continue);
    for id in [&b"i\0Q1\0"[..], b"i\0Q2\0"] {
        assert_eq!(
            mta.ask(&[macros(b'M', id), mail("<a@test>")]),
            Reply::Continue
        );
        assert_eq!(mta.ask(&[rcpt("<b@test>")]), Reply::Continue);
        let no = ReplyText::new(550, 1, 1, "100% no").unwrap();
        assert_eq!(mta.ask(&[rcpt("<no@test>")]), Reply::Text(no));
        assert_eq!(mta.ask(&[Command::Data]), Reply::Continue);
        let value = b" a\xe9\n\tb";
        let name = b"Subject";
        mta.send(&[Command::Header { name, value }, field("To", "")]);
        mta.send(&[macros(b'N', id), Command::EndOfHeader]);
        assert_eq!(mta.ask(&[Command::Body(b"one\r\n")]), Reply::Continue);
        mta.send(&[macros(b'E', id), Command::EndOfMessage(b"two\r\n")]);
        let seen = " to <b@test>;Subject: a\\xe9\\n\\tb;To:;body 10";
        assert_eq!(mta.replies(), changes(seen));
        mta.send(&[Command::Abort]);
    }
    mta.send(&[Command::Quit]);
    assert_eq!(mta.try_reply(), None);
    let log = [
        "connect client.test Some(192.0.2.1)",
        "mail Q1 <a@test>",
        "end Q1",
        "mail Q2 <a@test>",
        "end Q2",
    ];
    assert_eq!(service.read(), log);
}

/// `run` can be a task of its own.
#[expect(dead_code, reason = "it only has to compile")]
fn run_is_send(listener: Listener, service: Arc<Obedient>) -> impl Send {
    run(listener, service, hasty(), std::future::ready(()))
}

#[test]
fn a_whole_session_over_tcp() {
    let (daemon, addr) = Daemon::tcp(hasty());
    whole_session(&mut Mta::connect(addr), &daemon.service);
    assert_eq!(daemon.stop().abandoned, 0);
}

#[test]
fn a_whole_session_over_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("milter");
    let listener = Listener::Unix(UnixListener::bind(&path).unwrap());
    let daemon = Daemon::start(listener, hasty());
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    whole_session(&mut Mta::over(stream), &daemon.service);
    assert_eq!(daemon.stop().abandoned, 0);
}

#[test]
fn commands_that_come_all_at_once_are_answered_in_order() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut mta = Mta::greeted(addr, Steps::NONE);
    let mut commands = vec![connect(), Command::Unknown(b"XCLIENT")];
    for _ in 0..50 {
        commands.extend([mail("<a@test>"), rcpt("<b@test>"), Command::Data]);
        commands.extend([field("A", "1"), Command::EndOfHeader]);
        commands.extend([Command::Body(b"12"), Command::EndOfMessage(b"")]);
    }
    commands.push(Command::QuitNewConnection);
    commands.extend([connect(), Command::Quit]);
    mta.send(&commands);
    let goes_on = [Reply::Continue, Reply::Continue];
    assert_eq!([mta.reply(), mta.reply()], goes_on);
    for _ in 0..50 {
        for _ in 0..6 {
            assert_eq!(mta.reply(), Reply::Continue);
        }
        // Without the leading space, the MTA puts it there.
        assert_eq!(mta.replies(), changes("to <b@test>;A: 1;body 2"));
    }
    assert_eq!(mta.reply(), Reply::Continue);
    assert_eq!(mta.try_reply(), None);
    daemon.stop();
}

#[test]
fn what_was_decided_is_said_where_an_answer_is_due() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    // Fields and their end are not answered.
    assert_eq!(mta.deliver("reject"), [Reply::Reject]);
    assert_eq!(mta.ask(&[mail("<accept@test>")]), Reply::Accept);
    mta.send(&[Command::Abort]);
    assert_eq!(mta.ask(&[Command::Helo(b"reject")]), Reply::Reject);
    assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Reject);

    let mut mta = Mta::greeted(addr, Steps::NONE);
    assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Continue);
    assert_eq!(mta.ask(&[field("X-Do", "reject")]), Reply::Reject);
    assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Continue);
    drop(mta);
    assert_eq!(daemon.stop().abandoned, 0);
}

#[test]
fn the_rest_of_a_body_is_skipped() {
    for (steps, reply) in [(ALL_STEPS, Reply::Skip), (Steps::NONE, Reply::Continue)] {
        let (daemon, addr) = Daemon::tcp(hasty());
        let mut mta = Mta::greeted(addr, steps | Steps::NO_REPLY_HEADER | Steps::LEADING_SPACE);
        assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Continue);
        mta.send(&[field("X-Do", " skip")]);
        assert_eq!(mta.ask(&[Command::Body(b"one")]), reply);
        assert_eq!(mta.ask(&[Command::Body(b"two")]), Reply::Continue);
        mta.send(&[Command::EndOfMessage(b"three")]);
        assert_eq!(mta.replies(), changes(" X-Do: skip;body 3"));
        daemon.stop();
    }
}

#[test]
fn an_mta_is_told_that_it_goes_on_and_at_last_that_it_does_not() {
    let limits = Limits {
        progress: Duration::from_millis(20),
        answer: Duration::from_millis(900),
        ..hasty()
    };
    let (daemon, addr) = Daemon::tcp(limits);
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(mta.ask(&[mail("<a@test>")]), Reply::Continue);
    mta.send(&[field("X-Do", "slow"), Command::EndOfMessage(b"")]);
    assert_eq!(mta.reply(), Reply::Progress);
    assert_eq!(mta.reply(), Reply::Progress);
    assert_eq!(mta.replies().last(), Some(&Reply::Accept));
    assert_eq!(mta.deliver("forever"), [Reply::TempFail]);
    daemon.service.wait_for("no answer to a message in time");
    daemon.stop();
}

#[test]
fn more_connections_than_permitted_wait_for_their_turn() {
    let connections = 2;
    let (daemon, addr) = Daemon::tcp(Limits {
        connections,
        ..hasty()
    });
    let first = Mta::greeted(addr, ALL_STEPS);
    let _second = Mta::greeted(addr, ALL_STEPS);
    let mut third = Mta::connect(addr);
    let short = Some(Duration::from_millis(200));
    third.stream.set_read_timeout(short).unwrap();
    third
        .stream
        .write_all(b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\0\0\0")
        .unwrap();
    assert!(third.stream.read(&mut [0; 1]).is_err());
    let mut fourth = Mta::connect(addr);
    drop(first);
    third.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(third.reply(), Reply::Negotiate(_)));
    drop(third);
    fourth.negotiate(ALL_STEPS);
    let log = daemon.service.read();
    assert_eq!(
        log,
        ["notice -: all 2 connections are taken, and an MTA waits"]
    );
    daemon.stop();
}

#[test]
fn the_end_waits_for_the_message_under_way() {
    let (mut daemon, addr) = Daemon::tcp(hasty());
    let mut idle = Mta::greeted(addr, ALL_STEPS);
    let mut between = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(between.deliver("hold").len(), 4);
    let mut busy = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(busy.ask(&[mail("<a@test>")]), Reply::Continue);
    daemon.ask_to_stop();
    assert_eq!(idle.try_reply(), None);
    assert_eq!(between.try_reply(), None);
    assert_eq!(busy.ask(&[rcpt("<b@test>")]), Reply::Continue);
    busy.send(&[field("X-Do", " slow"), Command::EndOfMessage(b"12")]);
    assert_eq!(busy.replies(), changes(" to <b@test>;X-Do: slow;body 2"));
    assert_eq!(busy.try_reply(), None);
    assert!(TcpStream::connect(addr).is_err());
    assert_eq!(daemon.stop().abandoned, 0);
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let shutdown = Duration::from_millis(200);
    let (daemon, addr) = Daemon::tcp(Limits {
        shutdown,
        ..hasty()
    });
    let mut stuck = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(stuck.ask(&[mail("<a@test>")]), Reply::Continue);
    stuck.send(&[field("X-Do", "forever"), Command::EndOfMessage(b"")]);
    daemon.service.wait_for("end -");
    let mut half = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(half.ask(&[mail("<a@test>")]), Reply::Continue);
    let service = daemon.service.clone();
    assert_eq!(daemon.stop().abandoned, 2);
    let mut log = service.read();
    log.retain(|line| line.contains("did not get") || line.starts_with("ended"));
    log.sort();
    assert_eq!(log[0], "ended - Closing");
    assert!(log[1].contains("did not get the answer to a message: the milter ended"));
    assert_eq!(log.len(), 2);
    // Without an answer, the MTA keeps the message.
    while let Some(reply) = stuck.try_reply() {
        assert_eq!(reply, Reply::Progress);
    }
    assert_eq!(half.try_reply(), None);
}
