//! MTAs and services that do what they should not.

use std::io::Write;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use dkimkit::milter::service::Service;
use dkimkit::milter::session::{Answer, Context, Options, Outcome};
use dkimkit::milter::wire::{Command, MacroStage, Reply, Strings};
use dkimkit::milter::{Limits, Listener, run};

use super::mta::{ALL_STEPS, Mta, begin, connect, field, macros, mail, rcpt};
use super::service::{Daemon, hasty};

#[test]
fn a_service_that_panics_defers_its_message_alone() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(mta.ask(&[mail("<panic@test>")]), Reply::TempFail);
    mta.send(&[Command::Abort]);
    assert_eq!(mta.deliver("panic"), [Reply::TempFail]);
    assert_eq!(mta.deliver("panic late"), [Reply::TempFail]);
    assert_eq!(mta.deliver("unasked"), [Reply::TempFail]);
    assert_eq!(mta.deliver("hold").len(), 4);
    let log = daemon.service.read().join("\n");
    for part in [
        "Mail, and the message is deferred: at MAIL",
        "at a field",
        "at the end",
    ] {
        assert!(log.contains(part), "{log}");
    }
    assert!(
        log.contains("the actions Actions(2) were not negotiated"),
        "{log}"
    );
    daemon.stop();
}

#[test]
fn garbage_ends_its_connection_and_no_other() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut good = Mta::greeted(addr, ALL_STEPS);
    let negotiation = b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff";
    let after = |bytes: &[u8]| [negotiation, bytes].concat();
    for (bytes, why) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "longer than"),
        (b"\0\0\0\0".to_vec(), "a packet is empty"),
        (b"\xff\xff\xff\xff".to_vec(), "longer than 1048576"),
        (b"\0\0\0\x01Z".to_vec(), "unknown code 0x5a"),
        (b"\0\0\0\x02M<".to_vec(), "no NUL"),
        (b"\0\0\0\x04M<>\0".to_vec(), "Mail came at the stage Fresh"),
        (
            b"\0\0\0\x0dO\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec(),
            "version 1",
        ),
        (
            b"\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\0\0".to_vec(),
            "does not offer",
        ),
        (after(negotiation), "Negotiate came at the stage Negotiated"),
        (after(b"\0\0\0\x01N"), "EndOfHeader came at"),
        (after(b"\0\0\0\x02T\0"), "octets too many"),
        (after(b"\0\0\0\x05LX\0a\0\0\0\0\x01"), "Header came at"),
    ] {
        daemon.service.read();
        let mut mta = Mta::connect(addr);
        mta.stream.write_all(&bytes).unwrap();
        while mta.try_reply().is_some() {}
        daemon.service.wait_for(why);
    }
    assert_eq!(good.deliver("hold").len(), 4);
    daemon.stop();
}

#[test]
fn connections_that_break_off_are_ended() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut whole = Vec::new();
    let commands = [
        connect(),
        mail("<a@test>"),
        field("A", "b"),
        Command::EndOfHeader,
    ];
    for command in &commands {
        command.encode(&mut whole).unwrap();
    }
    for cut in (0..=whole.len()).step_by(7) {
        daemon.service.read();
        let mut mta = Mta::greeted(addr, ALL_STEPS);
        mta.stream.write_all(&whole[..cut]).unwrap();
        mta.stream.shutdown(std::net::Shutdown::Write).unwrap();
        while mta.try_reply().is_some() {}
        if cut > 0 {
            daemon.service.wait_for("closed in the middle");
        }
    }
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    assert_eq!(mta.deliver("hold").len(), 4);
    daemon.stop();
}

#[test]
fn a_message_that_does_not_reach_its_end_is_given_back_once() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    begin(&mut mta, b"i\0Q1\0");
    mta.send(&[Command::Abort, Command::Abort]);
    begin(&mut mta, b"i\0Q2\0");
    begin(&mut mta, b"i\0Q3\0");
    assert_eq!(mta.ask(&[Command::Helo(b"client.test")]), Reply::Continue);
    begin(&mut mta, b"i\0Q4\0");
    mta.send(&[field("X-Do", "reject"), Command::EndOfHeader]);
    mta.send(&[Command::EndOfMessage(b"")]);
    assert_eq!(mta.reply(), Reply::Reject);
    begin(&mut mta, b"i\0Q5\0");
    mta.send(&[field("X-Do", "panic"), Command::EndOfMessage(b"")]);
    assert_eq!(mta.reply(), Reply::TempFail);
    assert_eq!(
        mta.ask(&[macros(b'M', b"i\0Q6\0"), mail("<accept@test>")]),
        Reply::Accept
    );
    begin(&mut mta, b"i\0Q7\0");
    mta.send(&[field("X-Do", "hold"), Command::EndOfMessage(b"")]);
    assert_eq!(mta.replies().len(), 4);
    begin(&mut mta, b"i\0Q8\0");
    mta.send(&[Command::QuitNewConnection]);
    begin(&mut mta, b"i\0Q9\0");
    mta.send(&[Command::Quit]);
    assert_eq!(mta.try_reply(), None);
    let ended = |log: Vec<String>| log.into_iter().filter(|line| line.starts_with("ended"));
    let ended = ended(daemon.service.read());
    assert_eq!(
        ended.collect::<Vec<_>>(),
        [
            "ended Q1 Aborted",
            "ended Q2 Replaced",
            "ended Q3 Replaced",
            "ended Q4 Decided",
            "ended Q5 Panicked",
            "ended Q8 Aborted",
            "ended Q9 Lost",
        ]
    );
    for (id, rest) in [
        (&b"i\0A\0"[..], &b""[..]),
        (b"i\0B\0", b"\0\0\0\x01Z"),
        (b"i\0C\0", b"\0\0"),
    ] {
        let mut mta = Mta::greeted(addr, ALL_STEPS);
        begin(&mut mta, id);
        mta.stream.write_all(rest).unwrap();
        mta.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(mta.try_reply(), None);
        daemon
            .service
            .wait_for(&format!("ended {} Lost", char::from(id[2])));
    }
    daemon.stop();
}

#[test]
fn an_answer_that_does_not_arrive_is_told_with_the_address_of_the_mta() {
    let limits = Limits {
        progress: Duration::from_millis(20),
        ..hasty()
    };
    let (daemon, addr) = Daemon::tcp(limits.clone());
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    let from = mta.stream.local_addr().unwrap();
    begin(&mut mta, b"i\0Q1\0");
    mta.send(&[field("X-Do", "slow"), Command::EndOfMessage(b"")]);
    drop(mta);
    let notice = format!("notice {from}: the MTA did not get the answer to a message");
    daemon.service.wait_for(&notice);
    let service = daemon.service.clone();
    daemon.stop();
    let mut log = service.read();
    log.retain(|line| !line.starts_with("mail") && !line.starts_with("end "));
    // Once, and the message is not given back.
    assert!(log.len() == 1 && log[0].starts_with(&notice), "{log:?}");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("milter");
    let listener = Listener::Unix(UnixListener::bind(&path).unwrap());
    let daemon = Daemon::start(listener, limits);
    let mut mta = Mta::over(UnixStream::connect(&path).unwrap());
    mta.negotiate(ALL_STEPS);
    begin(&mut mta, b"i\0Q1\0");
    mta.send(&[field("X-Do", "slow"), Command::EndOfMessage(b"")]);
    drop(mta);
    daemon
        .service
        .wait_for("notice unix: the MTA did not get the answer");
    daemon.stop();
}

#[test]
fn a_service_that_panics_where_it_decides_nothing_is_served_on() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    begin(&mut mta, b"i\0Q1\0");
    mta.send(&[field("X-Do", "panic when ended"), Command::Abort]);
    begin(&mut mta, b"i\0Q2\0");
    daemon.service.wait_for("the end of a message failed");
    mta.send(&[field("X-Do", "hold"), Command::EndOfMessage(b"")]);
    assert_eq!(mta.replies().len(), 4);
    assert_eq!(daemon.stop().abandoned, 0);
}

#[test]
fn what_is_answered_before_an_error_is_said() {
    let (daemon, addr) = Daemon::tcp(hasty());
    let mut mta = Mta::greeted(addr, ALL_STEPS);
    let mut bytes = Vec::new();
    for command in [mail("<a@test>"), rcpt("<b@test>")] {
        command.encode(&mut bytes).unwrap();
    }
    mta.stream
        .write_all(&[&bytes[..], b"\0\0\0\x01Z"].concat())
        .unwrap();
    assert_eq!(
        [mta.reply(), mta.reply()],
        [Reply::Continue, Reply::Continue]
    );
    assert_eq!(mta.try_reply(), None);
    daemon.stop();
}

/// A service whose options are wrong.
struct Wrong;

impl Service for Wrong {
    type Message = ();

    fn options(&self) -> Options {
        Options {
            macros: vec![(MacroStage::Mail, "i\0j".into())],
            ..Options::default()
        }
    }

    fn mail(&self, _: &Context, _: Strings<'_>) -> ControlFlow<Outcome, ()> {
        ControlFlow::Continue(())
    }

    async fn end_of_message(&self, _: &Context, _: ()) -> Answer {
        Outcome::Accept.into()
    }
}

#[test]
fn options_that_are_wrong_are_told_before_an_mta_connects() {
    let listener = Listener::Tcp(TcpListener::bind("127.0.0.1:0").unwrap());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_io().enable_time().build().unwrap();
    let forever = std::future::pending();
    let ended = runtime.block_on(run(listener, Arc::new(Wrong), hasty(), forever));
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
