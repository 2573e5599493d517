//! The milter protocol: packets are the same at every cut, what parses prints and parses again, a field is one
//! field of a message and comes back as it was, and a conversation gives an answer where one is due and nowhere
//! else.

#![no_main]

use dkimkit::message::{Header, HeaderLimits};
use dkimkit::milter::session::{Answer, Event, Options, Outcome, Session, Stage};
use dkimkit::milter::wire::{
    Actions, Command, Frames, Modification, Reply, ReplyText, Steps, put_field_bytes,
};
use dkimkit_fuzz::{Steering, chunks, steered};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let (bytes, mut steering) = steered(data);
    let whole = packets(&[bytes]);
    let pieces: Vec<&[u8]> = chunks(bytes, steering.steps()).collect();
    assert_eq!(packets(&pieces), whole);
    for packet in &whole {
        round_trip(packet);
    }
    converse(&whole, &mut steering);
});

/// The packets, each as it came.
fn packets(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut frames = Frames::new(LIMIT);
    let mut found = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            match frames.next(&mut input) {
                Ok(Some(frame)) => {
                    assert!(frame.data.len() < LIMIT);
                    let length = frame.data.len() as u32 + 1;
                    found.push([&length.to_be_bytes(), &[frame.code][..], frame.data].concat());
                }
                Ok(None) => break,
                Err(_) => return found,
            }
        }
        assert!(input.is_empty());
    }
    found
}

fn round_trip(packet: &[u8]) {
    let mut frames = Frames::new(LIMIT);
    let frame = frames.next(&mut &*packet).unwrap().unwrap();
    if let Ok(command) = Command::parse(frame) {
        let mut out = Vec::new();
        command.encode(&mut out).unwrap();
        assert_eq!(out, packet);
        if let Command::Header { name, value } = command {
            field(name, value);
        }
    }
    // What cannot be said, such as a field that has another one in it, can still be read.
    if let Ok(reply) = Reply::parse(frame) {
        let mut out = Vec::new();
        if reply.encode(&mut out).is_ok() {
            // Words may have been broken in another way, and single percent signs are doubled.
            assert!(out == packet || matches!(reply, Reply::Text(_)));
            let mut frames = Frames::new(2 * LIMIT);
            let again = frames.next(&mut out.as_slice()).unwrap().unwrap();
            assert_eq!(Reply::parse(again), Ok(reply));
        } else {
            assert!(out.is_empty());
        }
    }
}

/// A field as a message has it is one field, and as we insert it, it is that one again.
fn field(name: &[u8], value: &[u8]) {
    let mut bytes = b"kept".to_vec();
    let put = put_field_bytes(&mut bytes, name, value);
    let bytes = bytes.strip_prefix(b"kept").unwrap();
    if put.is_err() {
        assert!(bytes.is_empty());
        return;
    }
    let lines = bytes.strip_suffix(b"\r\n").unwrap();
    assert!(bytes.starts_with(name) && bytes[name.len()] == b':');
    let mut ends = (0..lines.len()).filter(|&at| lines[at] == b'\n');
    assert!(ends.all(|at| lines[at - 1] == b'\r' && b" \t".contains(&lines[at + 1])));
    if let Ok(header) = Header::parse(bytes, HeaderLimits::default()) {
        assert_eq!((header.len(), header.field(0).raw()), (1, lines));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let insert = Modification::insert_field(1, text);
    assert_eq!(insert, Modification::insert_field(1, &text[..lines.len()]));
    if Reply::Modify(insert.clone())
        .encode(&mut Vec::new())
        .is_ok()
    {
        let Modification::InsertHeader { name, value, .. } = insert else {
            panic!("{insert:?}");
        };
        let mut again = Vec::new();
        put_field_bytes(&mut again, &name, &value).unwrap();
        assert_eq!(again, bytes);
    }
}

fn converse(packets: &[Vec<u8>], steering: &mut Steering<'_>) {
    let mut session = Session::new(Options {
        actions: Actions::ADD_HEADERS,
        steps: Steps(0x1f_ffff * u32::from(steering.flag())),
        macros: Vec::new(),
    });
    for packet in packets {
        let mut frames = Frames::new(LIMIT);
        let frame = frames.next(&mut packet.as_slice()).unwrap().unwrap();
        let Ok(command) = Command::parse(frame) else {
            return;
        };
        let due = |session: &Session| match unanswered(&command) {
            Some(flag) => !session.context().negotiated().steps.contains(flag),
            None => matches!(command, Command::Negotiate(_) | Command::EndOfMessage(_)),
        };
        let Ok(event) = session.take(command.clone()) else {
            return;
        };
        let said = match event {
            Event::Quiet | Event::Abort => None,
            Event::Quit => {
                assert_eq!(session.stage(), Stage::Closed);
                None
            }
            Event::Reply(reply) => Some(reply),
            Event::EndOfMessage(_) => finish(&mut session, steering),
            Event::Rcpt(_) if steering.flag() => session.refuse_recipient(outcome(steering)),
            Event::Body(_) if steering.flag() => session.skip(),
            _ if steering.below(8) == 1 => session.decide(outcome(steering)),
            _ => session.proceed(),
        };
        assert_eq!(said.is_some(), due(&session), "{command:?}: {said:?}");
    }
}

fn finish(session: &mut Session, steering: &mut Steering<'_>) -> Option<Reply> {
    let field = Modification::AddHeader {
        name: b"X".to_vec(),
        value: b" y".to_vec(),
    };
    let answer = Answer {
        modifications: vec![field],
        outcome: outcome(steering),
    };
    let mut out = Vec::new();
    session.finish(answer, &mut out).unwrap();
    let mut frames = Frames::new(LIMIT);
    let mut input = out.as_slice();
    let mut last = None;
    while let Some(frame) = frames.next(&mut input).unwrap() {
        last = Some(Reply::parse(frame).unwrap());
    }
    last
}

fn outcome(steering: &mut Steering<'_>) -> Outcome {
    match steering.below(5) {
        0 => Outcome::Accept,
        1 => Outcome::Discard,
        2 => Outcome::Reject,
        3 => Outcome::TempFail,
        _ => Outcome::Refuse(ReplyText::new(451, 7, 1, "later").unwrap()),
    }
}

fn unanswered(command: &Command<'_>) -> Option<Steps> {
    Some(match command {
        Command::Connect { .. } => Steps::NO_REPLY_CONNECT,
        Command::Helo(_) => Steps::NO_REPLY_HELO,
        Command::Mail(_) => Steps::NO_REPLY_MAIL,
        Command::Rcpt(_) => Steps::NO_REPLY_RCPT,
        Command::Data => Steps::NO_REPLY_DATA,
        Command::Header { .. } => Steps::NO_REPLY_HEADER,
        Command::EndOfHeader => Steps::NO_REPLY_END_OF_HEADER,
        Command::Body(_) => Steps::NO_REPLY_BODY,
        Command::Unknown(_) => Steps::NO_REPLY_UNKNOWN,
        _ => return None,
    })
}
