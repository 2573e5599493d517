//! An MTA of our own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use dkimkit::milter::wire::{
    Actions, Command, Frames, Modification, Negotiation, Peer, Reply, Steps, Strings,
};

use super::service::PATIENCE;

/// An MTA.
pub(super) struct Mta<T> {
    pub(super) stream: T,
    frames: Frames,
    read: Vec<u8>,
}

pub(super) const ALL_STEPS: Steps = Steps(0x1f_ffff);

impl Mta<TcpStream> {
    pub(super) fn connect(addr: SocketAddr) -> Mta<TcpStream> {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Mta::over(stream)
    }

    /// One that has negotiated with these steps.
    pub(super) fn greeted(addr: SocketAddr, steps: Steps) -> Mta<TcpStream> {
        let mut mta = Mta::connect(addr);
        mta.negotiate(steps);
        mta
    }
}

impl<T: Read + Write> Mta<T> {
    pub(super) fn over(stream: T) -> Mta<T> {
        let frames = Frames::new(100_000);
        let read = Vec::new();
        Mta {
            stream,
            frames,
            read,
        }
    }

    pub(super) fn negotiate(&mut self, steps: Steps) -> Negotiation {
        let offer = Command::Negotiate(Negotiation {
            version: 6,
            actions: Actions(0x1ff),
            steps,
            macros: Vec::new(),
        });
        match self.ask(&[offer]) {
            Reply::Negotiate(ours) => ours,
            reply => panic!("{reply:?}"),
        }
    }

    pub(super) fn send(&mut self, commands: &[Command<'_>]) {
        let mut out = Vec::new();
        for command in commands {
            command.encode(&mut out).unwrap();
        }
        self.stream.write_all(&out).unwrap();
    }

    pub(super) fn reply(&mut self) -> Reply {
        self.try_reply().expect("a reply")
    }

    /// The next reply, unless the milter closes.
    pub(super) fn try_reply(&mut self) -> Option<Reply> {
        loop {
            let mut input = self.read.as_slice();
            let before = input.len();
            let found = self.frames.next(&mut input).unwrap();
            let found = found.map(|frame| Reply::parse(frame).unwrap());
            let taken = before - input.len();
            self.read.drain(..taken);
            if found.is_some() {
                return found;
            }
            let mut chunk = [0; 1000];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => self.read.extend(&chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(super) fn ask(&mut self, commands: &[Command<'_>]) -> Reply {
        self.send(commands);
        self.reply()
    }

    /// A message up to its end, in one piece, with no answers but to MAIL and RCPT; then all replies to
    /// its end.
    pub(super) fn deliver(&mut self, order: &str) -> Vec<Reply> {
        assert_eq!(self.ask(&[mail("<a@test>")]), Reply::Continue);
        assert_eq!(self.ask(&[rcpt("<b@test>")]), Reply::Continue);
        self.send(&[field("X-Do", order), Command::EndOfHeader]);
        self.send(&[Command::EndOfMessage(b"body\r\n")]);
        self.replies()
    }

    /// Replies up to a final one, without those that say that it goes on.
    pub(super) fn replies(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            match self.reply() {
                Reply::Progress => {}
                reply @ Reply::Modify(_) => replies.push(reply),
                reply => {
                    replies.push(reply);
                    return replies;
                }
            }
        }
    }
}

pub(super) fn mail(sender: &'static str) -> Command<'static> {
    let sender: &'static [u8] = [sender.as_bytes(), b"\0SIZE=7\0"].concat().leak();
    Command::Mail(Strings::parse(sender).unwrap())
}

pub(super) fn rcpt(recipient: &str) -> Command<'static> {
    let recipient: &'static [u8] = [recipient.as_bytes(), b"\0"].concat().leak();
    Command::Rcpt(Strings::parse(recipient).unwrap())
}

pub(super) fn field<'a>(name: &'a str, value: &'a str) -> Command<'a> {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    Command::Header { name, value }
}

pub(super) fn macros(of: u8, values: &'static [u8]) -> Command<'static> {
    let values = Strings::parse(values).unwrap();
    Command::Macros { of, values }
}

pub(super) fn connect() -> Command<'static> {
    Command::Connect {
        host: b"client.test",
        peer: Peer::Inet {
            port: 25,
            address: b"192.0.2.1",
        },
    }
}

pub(super) fn changes(seen: &str) -> Vec<Reply> {
    let insert = Modification::InsertHeader {
        index: 0,
        name: b"X-Seen".to_vec(),
        value: seen.as_bytes().to_vec(),
    };
    vec![
        Reply::Modify(Modification::delete_header("X-Old", 2)),
        Reply::Modify(insert),
        Reply::Accept,
    ]
}

/// A message with a queue id has begun.
pub(super) fn begin<T: Read + Write>(mta: &mut Mta<T>, id: &'static [u8]) {
    let begun = mta.ask(&[macros(b'M', id), mail("<a@test>")]);
    assert_eq!(begun, Reply::Continue);
}
