use super::*;
use crate::milter::wire::{EncodeError, MacroStage, Negotiation, Peer};

/// Every stage and every step: where it leads, by the first letters of the stage; `-` is an error.
const TABLE: &str = "
                 Ne  Ma  Co  He  Mail Rc Da  Hd  EH  Bo  EM  Ab  Qu  QN  Un
    Fresh        Neg -   -   -   -   -   -   -   -   -   -   -   Clo -   -
    Negotiated   -   Neg Con Con Mai -   -   -   -   -   -   Neg Clo Neg Neg
    Connected    -   Con -   Con Mai -   -   -   -   -   -   Con Clo Neg Con
    Mail         -   Mai -   -   -   Rcp Dat Hea End Bod Con Con Clo Neg Mai
    Rcpt         -   Rcp -   -   -   Rcp Dat Hea End Bod Con Con Clo Neg Rcp
    Data         -   Dat -   -   -   Rcp Dat Hea End Bod Con Con Clo Neg Dat
    Header       -   Hea -   -   -   -   -   Hea End Bod Con Con Clo Neg Hea
    EndOfHeader  -   End -   -   -   -   -   -   -   Bod Con Con Clo Neg End
    Body         -   Bod -   -   -   -   -   -   -   Bod Con Con Clo Neg Bod
    Closed       -   -   -   -   -   -   -   -   -   -   -   -   -   -   -
";

const STAGES: [Stage; 10] = [
    Stage::Fresh,
    Stage::Negotiated,
    Stage::Connected,
    Stage::Mail,
    Stage::Rcpt,
    Stage::Data,
    Stage::Header,
    Stage::EndOfHeader,
    Stage::Body,
    Stage::Closed,
];

const STEPS: [Step; 15] = [
    Step::Negotiate,
    Step::Macros,
    Step::Connect,
    Step::Helo,
    Step::Mail,
    Step::Rcpt,
    Step::Data,
    Step::Header,
    Step::EndOfHeader,
    Step::Body,
    Step::EndOfMessage,
    Step::Abort,
    Step::Quit,
    Step::QuitNewConnection,
    Step::Unknown,
];

#[test]
fn the_table_of_steps_is_this_one() {
    let rows: Vec<&str> = TABLE.lines().skip(2).collect();
    for (stage, row) in STAGES.into_iter().zip(rows) {
        let mut words = row.split_whitespace();
        assert_eq!(words.next(), Some(format!("{stage:?}").as_str()));
        for step in STEPS {
            let found = after(stage, step).map(|next| format!("{next:?}")[..3].to_owned());
            let expected = words.next().filter(|&word| word != "-");
            assert_eq!(found.as_deref(), expected, "{stage:?} {step:?}");
        }
        assert_eq!(words.next(), None);
    }
}

pub(super) fn offer(version: u32, steps: Steps) -> Command<'static> {
    Command::Negotiate(Negotiation {
        version,
        actions: Actions(0x1ff),
        steps,
        macros: Vec::new(),
    })
}

/// A conversation with an MTA that offers `steps`.
pub(super) fn session(steps: Steps) -> Session {
    let mut session = Session::new(Options {
        actions: Actions::ADD_HEADERS,
        ..Options::default()
    });
    session.take(offer(6, steps)).unwrap();
    session
}

fn strings(bytes: &[u8]) -> Strings<'_> {
    Strings::parse(bytes).unwrap()
}

pub(super) fn mail() -> Command<'static> {
    Command::Mail(strings(b"<a@example.org>\0"))
}

fn header() -> Command<'static> {
    let (name, value) = (&b"Subject"[..], &b"Hi"[..]);
    Command::Header { name, value }
}

#[test]
fn versions_flags_and_macros_are_negotiated_down() {
    let negotiate = |options: &Options, offer| Session::new(options.clone()).take(offer).unwrap();
    let ours = |event| match event {
        Event::Reply(Reply::Negotiate(ours)) => ours,
        event => panic!("{event:?}"),
    };
    let options = Options {
        actions: Actions::ADD_HEADERS,
        steps: Steps::NO_HELO | Steps::NO_MAIL,
        macros: vec![(MacroStage::Mail, "i {auth_authen}".into())],
    };
    let all = Steps(0x1f_ffff);
    for (theirs, expected) in [
        (2, 2),
        (3, 3),
        (4, 4),
        (5, 5),
        (6, 6),
        (7, 6),
        (u32::MAX, 6),
    ] {
        assert_eq!(
            ours(negotiate(&options, offer(theirs, all))).version,
            expected
        );
    }
    let found = ours(negotiate(&options, offer(6, all)));
    assert_eq!(found.actions, Actions::ADD_HEADERS | Actions::SET_MACROS);
    assert_eq!(
        found.macros,
        [(MacroStage::Mail, b"i {auth_authen}".to_vec())]
    );
    let expected = Steps::NO_HELO
        | Steps::NO_REPLY_HEADER
        | Steps::NO_REPLY_END_OF_HEADER
        | Steps::NO_UNKNOWN
        | Steps::SKIP
        | Steps::LEADING_SPACE;
    assert_eq!(found.steps, expected);
    // Pieces of the body go unanswered only where their answer could not be SKIP.
    let found = ours(negotiate(&options, offer(6, all - Steps::SKIP)));
    assert_eq!(found.steps, (expected - Steps::SKIP) | Steps::NO_REPLY_BODY);
    // Version 2 knows neither of them.
    let found = ours(negotiate(&options, offer(2, Steps(0x7f))));
    assert_eq!(found.steps, Steps::NO_HELO);
}

#[test]
fn what_does_not_fit_ends_the_conversation() {
    let take = |options: Options, offer| Session::new(options).take(offer).map(|_| ());
    let version = 1;
    let old = take(Options::default(), offer(version, Steps::NONE));
    assert_eq!(old, Err(SessionError::Version { version }));
    let missing = Actions(0x200);
    let actions = missing | Actions::ADD_HEADERS;
    let options = Options {
        actions,
        ..Options::default()
    };
    let poor = take(options, offer(6, Steps::NONE));
    assert_eq!(poor, Err(SessionError::Actions { missing }));
    let mut values = b"i\0".to_vec();
    values.resize(MAX_MACROS + 1, 0);
    let values = strings(&values);
    let long = session(Steps::NONE).take(Command::Macros { of: b'M', values });
    assert!(matches!(long, Err(SessionError::Macros { .. })));
}

#[test]
fn an_answer_is_given_only_where_one_is_due() {
    let mut session = session(Steps::NO_REPLY_HEADER);
    session.take(mail()).unwrap();
    assert_eq!(session.proceed(), Some(Reply::Continue));
    session.take(header()).unwrap();
    assert_eq!(session.proceed(), None);
    // What is decided there is said later, and the service is not asked any more.
    assert_eq!(session.decide(Outcome::Reject), None);
    assert!(session.is_in_message() && session.is_decided());
    assert_eq!(session.take(header()), Ok(Event::Quiet));
    let reject = || Ok(Event::Reply(Reply::Reject));
    assert_eq!(session.take(Command::EndOfHeader), reject());
    assert!(!session.is_in_message());
    assert_eq!(session.take(Command::Body(b"x")), reject());
    assert_eq!(session.take(Command::EndOfMessage(b"")), reject());
    // The next message is another one.
    assert!(matches!(session.take(mail()), Ok(Event::Mail(_))));
}

#[test]
fn a_message_may_be_followed_by_another_or_by_helo_without_abort() {
    let macros = |of, name: &'static [u8]| Command::Macros {
        of,
        values: strings(name),
    };
    let mut other = session(Steps::NONE);
    other.take(macros(b'M', b"i\0FIRST\0")).unwrap();
    other.take(mail()).unwrap();
    other.take(header()).unwrap();
    other.take(macros(b'M', b"i\0SECOND\0")).unwrap();
    assert!(matches!(other.take(mail()), Ok(Event::Mail(_))));
    assert_eq!(other.context().queue_id(), Some(&b"SECOND"[..]));
    other
        .take(Command::Rcpt(strings(b"<b@example.org>\0")))
        .unwrap();
    assert!(matches!(other.take(Command::Helo(b"x")), Ok(Event::Helo)));
    assert_eq!(other.stage(), Stage::Connected);
    assert!(!other.is_in_message());
    assert_eq!(other.take(Command::Abort), Ok(Event::Abort));
    assert!(matches!(other.take(mail()), Ok(Event::Mail(_))));

    let mut session = session(Steps::NONE);
    session.take(mail()).unwrap();
    assert_eq!(session.decide(Outcome::TempFail), Some(Reply::TempFail));
    assert!(matches!(session.take(mail()), Ok(Event::Mail(_))));
    assert_eq!(session.decide(Outcome::Accept), Some(Reply::Accept));
    assert!(matches!(session.take(Command::Helo(b"x")), Ok(Event::Helo)));
}

#[test]
fn a_recipient_is_refused_alone() {
    let rcpt = || Command::Rcpt(strings(b"<b@example.org>\0"));
    let mut answered = session(Steps::NONE);
    answered.take(mail()).unwrap();
    answered.take(rcpt()).unwrap();
    let refused = answered.refuse_recipient(Outcome::Reject);
    assert_eq!(
        (refused, answered.is_decided()),
        (Some(Reply::Reject), false)
    );
    answered.take(rcpt()).unwrap();
    let accepted = answered.refuse_recipient(Outcome::Accept);
    assert_eq!(
        (accepted, answered.is_decided()),
        (Some(Reply::Accept), true)
    );

    let steps = Steps::NO_REPLY_RCPT;
    let mut silent = Session::new(Options {
        steps,
        ..Options::default()
    });
    silent.take(offer(6, steps)).unwrap();
    silent.take(mail()).unwrap();
    silent.take(rcpt()).unwrap();
    let refused = silent.refuse_recipient(Outcome::Reject);
    assert_eq!((refused, silent.is_decided()), (None, true));
}

#[test]
fn a_refusal_of_a_recipient_is_not_the_answer_to_the_message() {
    let rcpt = || Command::Rcpt(strings(b"<b@example.org>\0"));
    let steps = Steps::NO_REPLY_MAIL;
    let options = Options {
        steps,
        ..Options::default()
    };
    let begun = || {
        let mut session = Session::new(options.clone());
        session.take(offer(6, steps)).unwrap();
        session.take(mail()).unwrap();
        session
    };
    // What was decided at MAIL is said at RCPT, and has to be said again.
    for outcome in [Outcome::Reject, Outcome::TempFail] {
        let mut session = begun();
        let reply = outcome.reply();
        assert_eq!(session.decide(outcome), None);
        for _ in 0..2 {
            assert_eq!(session.take(rcpt()), Ok(Event::Reply(reply.clone())));
            assert!(session.is_in_message() && session.is_decided());
        }
        let end = session.take(Command::EndOfMessage(b""));
        assert_eq!(end, Ok(Event::Reply(reply)));
        assert!(!session.is_in_message());
    }
    // So is what is decided of the message at RCPT.
    let mut session = begun();
    session.take(rcpt()).unwrap();
    assert_eq!(session.decide(Outcome::TempFail), Some(Reply::TempFail));
    assert!(session.is_in_message() && session.is_decided());
    assert_eq!(
        session.take(Command::Data),
        Ok(Event::Reply(Reply::TempFail))
    );
    assert!(!session.is_in_message());
    // A recipient after that does not take it back.
    let mut session = begun();
    session.take(rcpt()).unwrap();
    assert_eq!(session.decide(Outcome::Accept), Some(Reply::Accept));
    assert!(!session.is_in_message());
    session.take(rcpt()).unwrap();
    assert!(!session.is_in_message());
}

#[test]
fn lists_of_macros_that_cannot_be_sent_are_found_beforehand() {
    let check = |names: String| {
        let macros = vec![(MacroStage::Mail, "i".into()), (MacroStage::Rcpt, names)];
        Options {
            macros,
            ..Options::default()
        }
        .check()
    };
    assert_eq!(check("i {auth_authen}".into()), Ok(()));
    let what = "a list of macros";
    assert_eq!(check("i\0j".into()), Err(EncodeError::Nul { what }));
    let (length, limit) = (4097, 4096);
    assert_eq!(
        check("i".repeat(length)),
        Err(EncodeError::TooLong { length, limit })
    );
    let many = vec![(MacroStage::Data, "i".repeat(limit)); 20];
    let options = Options {
        macros: many,
        ..Options::default()
    };
    assert!(matches!(options.check(), Err(EncodeError::TooLong { .. })));
}

#[test]
fn what_is_decided_of_a_connection_holds_for_its_messages() {
    for (outcome, at_helo, at_mail) in [
        (Outcome::Discard, Reply::Continue, Reply::Discard),
        (Outcome::Reject, Reply::Reject, Reply::Reject),
        (Outcome::Accept, Reply::Accept, Reply::Accept),
    ] {
        let mut session = session(Steps::NONE);
        let (host, peer) = (&b"x"[..], Peer::Unknown);
        session.take(Command::Connect { host, peer }).unwrap();
        assert_eq!(session.decide(outcome), Some(at_helo.clone()));
        let helo = session.take(Command::Helo(b"x"));
        assert_eq!(helo, Ok(Event::Reply(at_helo)));
        assert_eq!(session.take(mail()), Ok(Event::Reply(at_mail.clone())));
        assert_eq!(session.take(Command::Abort), Ok(Event::Abort));
        assert_eq!(session.take(mail()), Ok(Event::Reply(at_mail)));
        session.take(Command::QuitNewConnection).unwrap();
        assert!(session.context().client().is_none());
        assert!(matches!(session.take(mail()), Ok(Event::Mail(_))));
    }
}

#[test]
fn after_enough_of_the_body_no_more_of_it_is_shown() {
    for (steps, reply) in [(Steps::SKIP, Reply::Skip), (Steps::NONE, Reply::Continue)] {
        let mut session = session(steps);
        session.take(mail()).unwrap();
        session.take(Command::Body(b"one")).unwrap();
        assert_eq!(session.skip(), Some(reply));
        let more = session.take(Command::Body(b"two"));
        assert_eq!(more, Ok(Event::Reply(Reply::Continue)));
        let end = session.take(Command::EndOfMessage(b"three"));
        assert_eq!(end, Ok(Event::EndOfMessage(b"")));
        session
            .finish(Outcome::Accept.into(), &mut Vec::new())
            .unwrap();
        session.take(mail()).unwrap();
        let body = session.take(Command::Body(b"one"));
        assert_eq!(body, Ok(Event::Body(b"one")));
    }
}

#[test]
fn macros_are_those_of_the_latest_command_of_this_message() {
    let mut session = session(Steps::NONE);
    let macros = |session: &mut Session, of, values: &'static [u8]| {
        let values = strings(values);
        assert_eq!(
            session.take(Command::Macros { of, values }),
            Ok(Event::Quiet)
        );
    };
    macros(&mut session, b'C', b"j\0mx\0{daemon_name}\0smtpd\0");
    macros(&mut session, b'M', b"{auth_authen}\0anna\0{i}\0one\0");
    session.take(mail()).unwrap();
    assert_eq!(session.context().queue_id(), Some(&b"one"[..]));
    macros(&mut session, b'E', b"i\0two\0");
    macros(&mut session, b'z', b"i\0three\0");
    let context = session.context();
    assert_eq!(context.queue_id(), Some(&b"two"[..]));
    assert_eq!(context.login(), Some(&b"anna"[..]));
    assert_eq!(context.macro_value("daemon_name"), Some(&b"smtpd"[..]));
    assert_eq!(context.macro_value("{j}"), Some(&b"mx"[..]));
    // Those of the next MAIL come before ABORT does, or without one.
    session.take(header()).unwrap();
    session.decide(Outcome::Accept);
    macros(&mut session, b'M', b"i\0four\0");
    assert_eq!(session.context().queue_id(), Some(&b"two"[..]));
    session.take(mail()).unwrap();
    assert_eq!(session.context().queue_id(), Some(&b"four"[..]));
    assert_eq!(session.context().login(), None);
    // After the end, they are good for a log until the next message begins.
    session.take(Command::Abort).unwrap();
    assert_eq!(session.context().queue_id(), Some(&b"four"[..]));
    session.take(mail()).unwrap();
    assert_eq!(session.context().queue_id(), None);
    macros(&mut session, b'E', b"i\0five\0");
    session.take(Command::EndOfMessage(b"")).unwrap();
    session
        .finish(Outcome::Accept.into(), &mut Vec::new())
        .unwrap();
    assert_eq!(session.context().queue_id(), Some(&b"five"[..]));
    macros(&mut session, b'M', b"{auth_authen}\0anna\0");
    assert_eq!(session.context().queue_id(), None);
    assert_eq!(session.context().login(), Some(&b"anna"[..]));
    assert_eq!(session.context().macro_value("j"), Some(&b"mx"[..]));
    // Of two lists, the later one counts, also where the first came in the middle of a message.
    session.take(mail()).unwrap();
    macros(&mut session, b'M', b"i\0six\0");
    session.take(Command::Abort).unwrap();
    macros(&mut session, b'M', b"i\0seven\0");
    session.take(mail()).unwrap();
    assert_eq!(session.context().queue_id(), Some(&b"seven"[..]));
    session.take(Command::QuitNewConnection).unwrap();
    assert_eq!(session.context().macro_value("j"), None);
}
