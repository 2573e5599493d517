//! What a conversation has told of the client and of the message.

use std::net::IpAddr;

use super::super::wire::{Actions, Negotiation, Peer, Steps, Strings, VERSION};

/// What is known of the client and of the message.
#[derive(Debug, Clone)]
pub struct Context {
    negotiated: Negotiation,
    client: Option<Client>,
    helo: Option<Vec<u8>>,
    /// The macros of each command, by its place in [`STAGES`], as they came.
    macros: [Vec<u8>; STAGES.len()],
    /// Macros of a MAIL that is still to come, while there is a message.
    next_mail: Option<Vec<u8>>,
    /// Where the MTA itself is.
    mta: Option<String>,
    /// Whether the message is over that the last of them are about.
    over: bool,
}

/// An SMTP client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name, or its address in brackets.
    pub host: Vec<u8>,
    /// Its address, where it has one.
    pub ip: Option<IpAddr>,
    /// Its port, or 0.
    pub port: u16,
}

/// The codes of the commands that have macros, in the order in which they come.
const STAGES: [u8; 10] = *b"CHMRTLNBEU";
/// The first of them that is about a message: MAIL.
const MESSAGE: usize = 2;

impl Context {
    /// What was negotiated.
    pub fn negotiated(&self) -> &Negotiation {
        &self.negotiated
    }

    /// Where the MTA itself connected from: its address and port, or `unix`.
    pub fn mta(&self) -> Option<&str> {
        self.mta.as_deref()
    }

    /// The SMTP client, where the MTA told of it.
    pub fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// The name in HELO or EHLO.
    pub fn helo(&self) -> Option<&[u8]> {
        self.helo.as_deref()
    }

    /// The value of a macro, as the latest command gave it; `i` and `{i}` are the same name.
    pub fn macro_value(&self, name: &str) -> Option<&[u8]> {
        let name = bare(name.as_bytes());
        self.macros.iter().rev().find_map(|stage| {
            // They were read before, so that each is whole.
            let strings = Strings::parse(stage).unwrap_or_default();
            let mut strings = strings.iter();
            let mut found = None;
            while let (Some(key), Some(value)) = (strings.next(), strings.next()) {
                if bare(key) == name {
                    found = Some(value);
                }
            }
            found
        })
    }

    /// The queue id: the macro `i`. Postfix has none before the first recipient that it takes.
    ///
    /// It stays known after the end of the message, until something is told of the next.
    pub fn queue_id(&self) -> Option<&[u8]> {
        self.macro_value("i")
    }

    /// The login of the client, if it has authenticated: the macro `{auth_authen}`.
    pub fn login(&self) -> Option<&[u8]> {
        self.macro_value("auth_authen")
            .filter(|login| !login.is_empty())
    }

    /// Whether the blanks behind the colons of fields are those of the message.
    pub fn keeps_leading_space(&self) -> bool {
        self.negotiated.steps.contains(Steps::LEADING_SPACE)
    }

    pub(super) fn set_negotiated(&mut self, negotiated: Negotiation) {
        self.negotiated = negotiated;
    }

    pub(super) fn set_mta(&mut self, mta: String) {
        self.mta = Some(mta);
    }

    /// Keeps macros. Those of another MAIL that come in the middle of a message are not of that message.
    pub(super) fn set_macros(&mut self, of: u8, values: Strings<'_>, in_message: bool) {
        if in_message && of == STAGES[MESSAGE] {
            self.next_mail = Some(values.as_bytes().to_vec());
            return;
        }
        if of == STAGES[MESSAGE] {
            self.next_mail = None;
        }
        self.forget_what_is_over();
        // Macros of a command that we do not know are of no use to anybody.
        if let Some(at) = STAGES.iter().position(|&code| code == of) {
            self.macros[at].clear();
            self.macros[at].extend(values.as_bytes());
        }
    }

    pub(super) fn connect(&mut self, host: &[u8], peer: Peer<'_>) {
        let port = match peer {
            Peer::Inet { port, .. } | Peer::Inet6 { port, .. } => port,
            Peer::Unix { .. } | Peer::Unknown => 0,
        };
        self.client = Some(Client {
            host: host.to_vec(),
            ip: peer.ip(),
            port,
        });
    }

    pub(super) fn set_helo(&mut self, name: &[u8]) {
        self.helo = Some(name.to_vec());
    }

    /// Forgets the message before, but not the macros of MAIL that came before MAIL did.
    pub(super) fn begin_message(&mut self) {
        self.forget_what_is_over();
        self.macros[MESSAGE + 1..].iter_mut().for_each(Vec::clear);
        if let Some(macros) = self.next_mail.take() {
            self.macros[MESSAGE] = macros;
        }
    }

    /// The message is over. What is known of it is still good for a log.
    pub(super) fn end_message(&mut self) {
        self.over = true;
    }

    fn forget_what_is_over(&mut self) {
        if std::mem::take(&mut self.over) {
            self.macros[MESSAGE..].iter_mut().for_each(Vec::clear);
        }
    }

    /// Forgets the client.
    pub(super) fn end_connection(&mut self) {
        self.client = None;
        self.helo = None;
        self.macros.iter_mut().for_each(Vec::clear);
        self.next_mail = None;
        self.over = false;
    }
}

/// Names of one letter have braces or not.
fn bare(name: &[u8]) -> &[u8] {
    let inner = name.strip_prefix(b"{").and_then(|n| n.strip_suffix(b"}"));
    inner.unwrap_or(name)
}

impl Default for Context {
    fn default() -> Context {
        Context {
            negotiated: Negotiation {
                version: VERSION,
                actions: Actions::NONE,
                steps: Steps::NONE,
                macros: Vec::new(),
            },
            client: None,
            helo: None,
            macros: Default::default(),
            next_mail: None,
            mta: None,
            over: false,
        }
    }
}
