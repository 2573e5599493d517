//! What Postfix 3.7 sends to a milter: what it offers, which macros it sends when, and what it writes at once.
//! The packets of a message are built once, since whoever sends them shares the cores with the milter.

use dkimkit::milter::wire::{Actions, Command, Negotiation, Peer, Steps, Strings};

/// All that milters of Sendmail 8.14 know, but to be told of refused recipients.
const OFFERED: Steps = Steps(0x1f_f7ff);
/// Postfix cuts the body into pieces of so many octets.
const BODY_CHUNK: usize = 65_535;

/// An SMTP client, as the MTA tells of it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) host: String,
    pub(crate) ip: String,
}

/// What is sent, in pieces that are each written at once.
#[derive(Debug, Clone)]
pub(crate) struct Packets {
    pub(crate) pieces: Vec<Piece>,
    /// What needs no answer and goes out with what comes next.
    pub(crate) rest: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    /// Whether it is answered; DATA goes out alone all the same, since another process of Postfix sends the
    /// message itself.
    pub(crate) answered: bool,
    /// A piece of the body, which is left out once the milter wants no more of it.
    pub(crate) body: bool,
}

/// The first packet: what Postfix offers.
pub(crate) fn offer() -> Vec<u8> {
    let offer = Command::Negotiate(Negotiation {
        version: 6,
        actions: Actions(0x1ff),
        steps: OFFERED,
        macros: Vec::new(),
    });
    let mut out = Vec::new();
    offer.encode(&mut out).expect("it has no text");
    out
}

/// The beginning of an SMTP session.
pub(crate) fn opening(client: &Client, steps: Steps) -> Packets {
    let mut writer = Writer::new(steps);
    let name = format!("{} [{}]", client.host, client.ip);
    let macros = [
        ("j", "mx.example.net"),
        ("{daemon_name}", "smtpd"),
        ("{daemon_addr}", "192.0.2.25"),
        ("v", "Postfix 3.7.11"),
        ("_", &name),
    ];
    writer.macros(b'C', &macros);
    let connect = Command::Connect {
        host: client.host.as_bytes(),
        peer: Peer::Inet {
            port: 25_025,
            address: client.ip.as_bytes(),
        },
    };
    writer.event(connect, Steps::NO_CONNECT, Steps::NO_REPLY_CONNECT);
    // Those of HELO are about TLS.
    writer.macros(b'H', &[]);
    let helo = Command::Helo(client.host.as_bytes());
    writer.event(helo, Steps::NO_HELO, Steps::NO_REPLY_HELO);
    writer.finish()
}

/// A message with CRLF, from MAIL to its end.
pub(crate) fn message(message: &[u8], queue_id: &str, steps: Steps) -> Packets {
    let mut writer = Writer::new(steps);
    let id = ("i", queue_id);
    let sender = [
        ("{mail_addr}", "anna@test.example"),
        ("{mail_host}", "test.example"),
        ("{mail_mailer}", "smtp"),
    ];
    let recipient = [
        id,
        ("{rcpt_addr}", "ben@example.net"),
        ("{rcpt_host}", "example.net"),
        ("{rcpt_mailer}", "smtp"),
    ];
    // There is no queue id before the first recipient.
    writer.macros(b'M', &sender);
    let mail = Command::Mail(strings(b"<anna@test.example>\0"));
    writer.event(mail, Steps::NO_MAIL, Steps::NO_REPLY_MAIL);
    writer.macros(b'R', &recipient);
    let rcpt = Command::Rcpt(strings(b"<ben@example.net>\0"));
    writer.event(rcpt, Steps::NO_RCPT, Steps::NO_REPLY_RCPT);
    writer.macros(b'T', &[id]);
    writer.event(Command::Data, Steps::NO_DATA, Steps::NO_REPLY_DATA);
    let (header, body) = halves(message);
    for field in fields(header) {
        writer.header(field);
    }
    writer.macros(b'N', &[id]);
    let end = Command::EndOfHeader;
    writer.event(end, Steps::NO_END_OF_HEADER, Steps::NO_REPLY_END_OF_HEADER);
    for chunk in body.chunks(BODY_CHUNK) {
        writer.event(Command::Body(chunk), Steps::NO_BODY, Steps::NO_REPLY_BODY);
    }
    writer.macros(b'E', &[id]);
    writer.event(Command::EndOfMessage(b""), Steps::NONE, Steps::NONE);
    // Postfix forgets every message so, and writes it with what comes next.
    writer.put(&Command::Abort);
    writer.finish()
}

struct Writer {
    steps: Steps,
    pieces: Vec<Piece>,
    open: Vec<u8>,
}

impl Writer {
    fn new(steps: Steps) -> Writer {
        Writer {
            steps,
            pieces: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Macros are sent even where the event is not.
    fn macros(&mut self, of: u8, values: &[(&str, &str)]) {
        let mut text = String::new();
        for (name, value) in values {
            text += &format!("{name}\0{value}\0");
        }
        let values = strings(text.as_bytes());
        self.put(&Command::Macros { of, values });
    }

    fn header(&mut self, field: &[u8]) {
        let colon = field.iter().position(|&b| b == b':').expect("a colon");
        let (name, value) = (&field[..colon], &field[colon + 1..]);
        // Postfix folds with LF alone, and takes one blank away where it may not keep it.
        let mut value: Vec<u8> = value.iter().copied().filter(|&b| b != b'\r').collect();
        if !self.steps.contains(Steps::LEADING_SPACE) && value.first() == Some(&b' ') {
            value.remove(0);
        }
        let value = &value;
        let header = Command::Header { name, value };
        self.event(header, Steps::NO_HEADER, Steps::NO_REPLY_HEADER);
    }

    fn event(&mut self, command: Command<'_>, left_out: Steps, unanswered: Steps) {
        let has = |flag| flag != Steps::NONE && self.steps.contains(flag);
        if has(left_out) {
            return;
        }
        let (answered, body) = (!has(unanswered), matches!(command, Command::Body(_)));
        self.put(&command);
        if answered || command == Command::Data {
            self.pieces.push(Piece {
                bytes: std::mem::take(&mut self.open),
                answered,
                body,
            });
        }
    }

    fn put(&mut self, command: &Command<'_>) {
        let done = command.encode(&mut self.open);
        done.expect("what an MTA says has no NUL");
    }

    fn finish(self) -> Packets {
        Packets {
            pieces: self.pieces,
            rest: self.open,
        }
    }
}

fn strings(bytes: &[u8]) -> Strings<'_> {
    Strings::parse(bytes).expect("each ends with NUL")
}

/// The header with its last line end, and the body.
fn halves(message: &[u8]) -> (&[u8], &[u8]) {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.expect("a message has a header and a body");
    (&message[..end + 2], &message[end + 4..])
}

/// The fields, each without its last line end.
fn fields(header: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    let mut start = 0;
    for at in 2..=header.len() {
        let ends = header[..at].ends_with(b"\r\n");
        if ends && !matches!(header.get(at), Some(b' ' | b'\t')) {
            fields.push(&header[start..at - 2]);
            start = at;
        }
    }
    fields
}
