//! What servers show when they are talked to. How that is done stands in the files below.

mod https;
mod line;
mod smtp;
#[cfg(test)]
pub(super) mod testing;
mod tls;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::time::UnixTime;

pub use self::tls::{Authorities, NoAuthority};

pub(super) use self::https::download;
pub(super) use self::smtp::{greet, offer};
pub(super) use self::tls::{is_for, key_of, leads_to};

/// How servers are talked to.
#[derive(Debug, Clone)]
pub(super) struct Talk {
    /// The name to greet with; without one it is the address of the connection (RFC 5321 §4.1.4).
    pub(super) helo: Option<String>,
    /// The time at which certificates are judged.
    pub(super) now: UnixTime,
    /// Who is trusted with certificates.
    pub(super) authorities: Authorities,
    /// How long a connection may take to come about.
    pub(super) patience: Duration,
    /// When all of it must be over: what was seen until then is kept.
    pub(super) deadline: Instant,
}

impl Talk {
    /// Until when to wait for a connection.
    fn connected(&self) -> Instant {
        (Instant::now() + self.patience).min(self.deadline)
    }

    /// Until when to wait for an answer. Servers let strangers wait on purpose: Postfix's postscreen 6 seconds before
    /// it greets, Exchange 5 seconds before it refuses.
    fn answered(&self) -> Instant {
        (Instant::now() + self.patience * 3).min(self.deadline)
    }
}

/// An address in the place of a name (RFC 5321 §4.1.3).
pub(super) fn literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

/// Why there is no connection, or no more of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoConnection {
    /// The time was over.
    #[error("there was no answer in time")]
    NoTime,
    /// Nobody listens at the port.
    #[error("the connection was refused")]
    Refused,
    /// The network says that the host cannot be reached.
    #[error("the host cannot be reached")]
    Unreachable,
    /// An IPv6 address, and this machine has no way into IPv6.
    #[error("there is no way into IPv6 from here")]
    NoIpv6,
    /// The server ended it.
    #[error("the server closed the connection")]
    Closed,
    /// What answers is no SMTP server.
    #[error("what answers speaks no SMTP")]
    NotSmtp,
    /// The server does not let us in.
    #[error("the server refuses to talk: {0}")]
    Unwelcome(Reply),
    /// It was not even tried.
    #[error("there was no time left for it")]
    OverBudget,
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

/// What an SMTP server answers (RFC 5321 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// The code.
    pub code: u16,
    /// The text of each line, as far as it was kept.
    pub lines: Vec<String>,
}

impl Reply {
    /// The first word of the text: in a banner and in the answer to EHLO the name of the server.
    pub fn name(&self) -> Option<&str> {
        self.lines.first()?.split_ascii_whitespace().next()
    }

    /// Whether it says yes.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it says no for ever, and not only for now.
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// Whether the answer to EHLO names this extension (RFC 5321 §4.1.1.1).
    pub fn offers(&self, keyword: &str) -> bool {
        self.lines.iter().skip(1).any(|line| {
            let word = line.split_ascii_whitespace().next();
            word.is_some_and(|word| word.eq_ignore_ascii_case(keyword))
        })
    }
}

/// The code, and the text in one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        for line in &self.lines {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

/// How a server greets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Why it broke off, if it did.
    pub trouble: Option<NoConnection>,
    /// What the server says first; none where that is no SMTP.
    pub banner: Option<Reply>,
    /// What it says first, where that is no SMTP.
    pub garbage: Option<String>,
    /// Its answer to EHLO, before TLS; to HELO, where it refuses EHLO.
    pub ehlo: Option<Reply>,
    /// What came of STARTTLS.
    pub tls: Tls,
    /// All that was said, as far as it was kept.
    pub log: Vec<String>,
}

impl Greeting {
    /// Nothing was seen.
    pub fn none(trouble: NoConnection) -> Greeting {
        Greeting {
            trouble: Some(trouble),
            banner: None,
            garbage: None,
            ehlo: None,
            tls: Tls::NotTried,
            log: Vec::new(),
        }
    }
}

/// What came of STARTTLS (RFC 3207).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// It did not come to that.
    NotTried,
    /// The server does not offer it.
    NotOffered,
    /// The server offers it and refuses it.
    Refused(Reply),
    /// The server takes no version or cipher suite that this program knows.
    NothingInCommon(String),
    /// The handshake failed.
    Broken(String),
    /// There was TLS.
    Done(Box<Handshake>),
}

/// What was seen in a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// Such as `TLSv1.3`.
    pub protocol: String,
    /// The certificates that the server sent, its own first, in DER.
    pub chain: Vec<Vec<u8>>,
    /// Its own, read.
    pub leaf: Option<Leaf>,
    /// Whether it can be trusted, for the name under which the server was asked.
    pub trust: Trust,
    /// Whether it is for that name, whoever has issued it.
    pub name_matches: bool,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The names that it is for.
    pub names: Vec<String>,
    /// From when on it counts.
    pub not_before: UnixTime,
    /// Until when.
    pub not_after: UnixTime,
    /// Who issued it.
    pub issuer: String,
    /// Its SubjectPublicKeyInfo, in DER.
    pub key: Vec<u8>,
}

/// Whether a certificate can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// For this name, now, by an issuer that is trusted.
    Trusted,
    /// It is no longer valid.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is for other names.
    WrongName,
    /// Nobody who is trusted has issued it.
    UnknownIssuer,
    /// There is no list of those who are trusted.
    NoRoots,
    /// Something else is wrong.
    Other(String),
}

/// What a server says to envelopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialogue {
    /// Why it broke off, if it did.
    pub trouble: Option<NoConnection>,
    /// What was said to each, in their order; those behind the break are missing.
    pub outcomes: Vec<Outcome>,
    /// All that was said, as far as it was kept.
    pub log: Vec<String>,
}

impl Dialogue {
    /// Nothing was said.
    pub fn none(trouble: NoConnection) -> Dialogue {
        Dialogue {
            trouble: Some(trouble),
            outcomes: Vec::new(),
            log: Vec::new(),
        }
    }
}

/// What a server says to an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It refuses the sender.
    Sender(Reply),
    /// It takes or refuses the recipient.
    Recipient(Reply),
}

impl Outcome {
    /// The words of it.
    pub fn reply(&self) -> &Reply {
        match self {
            Outcome::Sender(reply) | Outcome::Recipient(reply) => reply,
        }
    }

    /// Whether the recipient was taken.
    pub fn is_taken(&self) -> bool {
        matches!(self, Outcome::Recipient(reply) if reply.is_positive())
    }
}

/// What came over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Why nothing came, or not all.
    pub trouble: Option<NoConnection>,
    /// What was seen of TLS; a file comes only over one that can be trusted.
    pub tls: Option<Handshake>,
    /// The status of HTTP.
    pub status: Option<u16>,
    /// The Content-Type.
    pub content_type: Option<String>,
    /// Where it leads instead.
    pub location: Option<String>,
    /// The file, 64 KiB at most.
    pub body: Vec<u8>,
    /// Whether there was more.
    pub cut: bool,
    /// All that was said, as far as it was kept.
    pub log: Vec<String>,
}

impl Download {
    /// Nothing came.
    pub fn none(trouble: NoConnection) -> Download {
        Download {
            trouble: Some(trouble),
            tls: None,
            status: None,
            content_type: None,
            location: None,
            body: Vec::new(),
            cut: false,
            log: Vec::new(),
        }
    }
}
