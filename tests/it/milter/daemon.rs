//! The program itself as a daemon: started, asked over its sockets, told to load anew and to end.

mod check;
mod end;
mod metrics;
mod place;
mod privileges;
mod process;
mod reload;
mod sockets;
mod start;
mod systemd;

use std::io::{Read, Write};

use dkimkit::milter::wire::{Command, Modification, Reply, Steps};

use super::mta::{ALL_STEPS, Mta, begin, connect, field};

/// MAIL and the end of the header are answered, so that it is known how far the milter has come.
const STEPS: Steps =
    Steps(ALL_STEPS.0 & !Steps::NO_REPLY_MAIL.0 & !Steps::NO_REPLY_END_OF_HEADER.0);

const HEADER: [(&str, &str); 4] = [
    ("From", " Anna <a@example.com>"),
    ("To", " b@example.org"),
    ("Subject", " one"),
    ("Date", " Fri, 15 Jan 2027 08:00:00 +0000"),
];
const BODY: &[u8] = b"Hello  there\r\n";

/// Begins a message of somebody who has logged in, or of a stranger, up to its body.
fn begin_message<T: Read + Write>(mta: &mut Mta<T>, login: bool) {
    begin(
        mta,
        match login {
            true => b"i\0Q1\0{auth_authen}\0anna\0",
            false => b"i\0Q2\0",
        },
    );
    for (name, value) in HEADER {
        mta.send(&[field(name, value)]);
    }
    assert_eq!(mta.ask(&[Command::EndOfHeader]), Reply::Continue);
}

/// Ends a message. Returned are the fields that it gets.
fn end_message<T: Read + Write>(mta: &mut Mta<T>) -> Vec<String> {
    mta.send(&[Command::EndOfMessage(BODY)]);
    end_of(mta.replies())
}

/// The fields that a message gets, which is accepted.
fn end_of(mut replies: Vec<Reply>) -> Vec<String> {
    assert_eq!(replies.pop(), Some(Reply::Accept));
    let fields = replies.into_iter().map(|reply| match reply {
        Reply::Modify(Modification::InsertHeader { name, value, .. }) => {
            let field = [name, b":".to_vec(), value].concat();
            String::from_utf8(field).unwrap().replace('\n', "\r\n")
        }
        reply => panic!("{reply:?}"),
    });
    fields.collect()
}

/// The selectors that sign a message which is handed in now.
fn signers<T: Read + Write>(mta: &mut Mta<T>) -> String {
    begin_message(mta, true);
    selectors(&end_message(mta))
}

fn selectors(fields: &[String]) -> String {
    let selectors = fields.iter().map(|field| {
        assert!(field.starts_with("DKIM-Signature:"), "{field}");
        let (_, rest) = field.split_once("s=").unwrap();
        rest.split(';').next().unwrap()
    });
    selectors.collect::<Vec<_>>().join(",")
}

/// The message as it leaves.
fn message(fields: &[String]) -> Vec<u8> {
    let mut message = Vec::new();
    for field in fields {
        message.extend(field.as_bytes());
        message.extend(b"\r\n");
    }
    for (name, value) in HEADER {
        message.extend(format!("{name}:{value}\r\n").as_bytes());
    }
    message.extend(b"\r\n");
    message.extend(BODY);
    message
}

/// Greets as an MTA does.
fn greet<T: Read + Write>(stream: T) -> Mta<T> {
    let mut mta = Mta::over(stream);
    let ours = mta.negotiate(STEPS);
    assert!(ours.steps.contains(Steps::SKIP));
    mta.send(&[connect()]);
    mta
}
