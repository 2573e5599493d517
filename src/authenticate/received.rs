//! Who handed a message over, as the server that took it wrote into its Received field (RFC 5321 §4.4).
//!
//! In such a field stands what the server saw, the address of the client, beside what the client said of itself. Who
//! sends the message chooses the latter, and may say another address, a comment, or half a field. So an address
//! is taken only where the field has one reading: whatever fits no form, or two, leaves the client unknown.

mod comment;
mod token;

use std::net::IpAddr;

use self::comment::Comment;
use self::token::{Token, tokens};
use crate::special::in_one_form;

/// The `from` and `by` of a Received field.
///
/// ```
/// use dkimkit::authenticate::{Client, Received};
/// let field = Received::parse(b" from mail.example.com (host.example.com [192.0.2.1])\r\n\tby mx.example.org with ESMTP; x");
/// assert_eq!(field.helo.as_deref(), Some("mail.example.com"));
/// assert_eq!(field.client, Client::Address("192.0.2.1".parse()?));
/// assert_eq!(field.by.as_deref(), Some("mx.example.org"));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The name that the client gave with HELO or EHLO.
    pub helo: Option<String>,
    /// The name that the server found for the client's address.
    pub name: Option<String>,
    /// Who handed the message over.
    pub client: Client,
    /// Whether it says that this was a user, who logged in (RFC 3848) or came over HTTP.
    pub is_users: bool,
    /// The server that wrote the field.
    pub by: Option<String>,
}

/// Who handed a message over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The client with this address; one of IPv4 is never written as one of IPv6.
    Address(IpAddr),
    /// A machine with this address, over LMTP, which is for delivery within a network (RFC 2033 §5): whether it is one of
    /// the own ones, the field does not say.
    Delivery(IpAddr),
    /// Nobody from outside: the server took it from itself, or over LMTP from a machine without an address.
    Inside,
    /// A user or a program of the server itself, or one who logged in, whose address is not told.
    Submission,
    /// That cannot be said.
    Unknown(Obscurity),
}

/// Why a field does not tell who handed the message over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Obscurity {
    /// It is longer than what is read.
    #[error("is longer than {MAX_FIELD} octets")]
    TooLong,
    /// A parenthesis stands open or in another one, or the parts of a field stand there twice: what the client said may
    /// pose as a field.
    #[error("can be read in more than one way")]
    Ambiguous,
    /// It names a client without an address that can be read.
    #[error("names a client without an address")]
    NoAddress,
    /// It is no field of a server that is known.
    #[error("has no form that is known")]
    NoForm,
    /// It has several addresses.
    #[error("has more than one address")]
    Several,
}

/// So much of a field is read.
const MAX_FIELD: usize = 4096;

impl Received {
    /// Reads the value of a field, in the forms of the servers that are in use; what is not found is none.
    pub fn parse(value: &[u8]) -> Received {
        let mut received = Received {
            helo: None,
            name: None,
            client: Client::Unknown(Obscurity::TooLong),
            is_users: false,
            by: None,
        };
        if value.len() <= MAX_FIELD {
            let text = String::from_utf8_lossy(value);
            let read = received.read(&text);
            received.client = read.unwrap_or_else(Client::Unknown);
        }
        received
    }

    fn read(&mut self, text: &str) -> Result<Client, Obscurity> {
        let tokens = tokens(text)?;
        if !tokens.iter().any(|token| token.is_word("from")) {
            return self.without_from(&tokens);
        }
        // The word behind `from` is the client's, whatever it is.
        let (said, rest) = match tokens.as_slice() {
            [from, Token::Word(said), rest @ ..] if from.is_word("from") => (Some(*said), rest),
            [from, rest @ ..] if from.is_word("from") => (None, rest),
            _ => return Err(Obscurity::Ambiguous),
        };
        let by = place_of_by(rest)?.ok_or(Obscurity::Ambiguous)?;
        let (of_client, of_server) = rest.split_at(by);
        let known = |token: &Token<'_>| token.comment().is_some();
        if !of_client.iter().all(known) || of_server.iter().any(|token| token.is_word("from")) {
            return Err(Obscurity::Ambiguous);
        }
        self.by = of_server.get(1).and_then(Token::word).map(str::to_owned);
        let client = self.read_from(said, of_client, of_server);
        let protocol = protocol(of_server).unwrap_or_default();
        self.is_users |= is_for_users(protocol);
        match client {
            Ok(Client::Address(address)) if is_lmtp(protocol) => Ok(Client::Delivery(address)),
            Err(Obscurity::NoAddress) if is_lmtp(protocol) => Ok(Client::Inside),
            Ok(_) if protocol.eq_ignore_ascii_case("local") => Ok(Client::Submission),
            client => client,
        }
    }

    /// A field of a server that took the message from itself; that of Sendmail has a client in a comment, which has not
    /// said who it is.
    fn without_from(&mut self, tokens: &[Token<'_>]) -> Result<Client, Obscurity> {
        let Some(by) = place_of_by(tokens)? else {
            return queued(tokens);
        };
        let (before, of_server) = tokens.split_at(by);
        self.by = of_server.get(1).and_then(Token::word).map(str::to_owned);
        if self.by.is_none() {
            return Err(Obscurity::NoForm);
        }
        self.is_users = is_for_users(protocol(of_server).unwrap_or_default());
        match before {
            [] => Ok(by_itself(of_server)),
            [Token::Comment(comment)] => self.read_sendmail(comment),
            _ => Err(Obscurity::Ambiguous),
        }
    }

    /// `(from host [address])`, or `(from user@localhost)` for a user of the server.
    fn read_sendmail(&mut self, comment: &str) -> Result<Client, Obscurity> {
        let mut words = comment.split_ascii_whitespace();
        let from = words.next().unwrap_or_default();
        if !from.eq_ignore_ascii_case("from") {
            return Err(Obscurity::NoForm);
        }
        if !comment.contains('[') {
            let alone = words.next().is_some() && words.next().is_none();
            return alone
                .then_some(Client::Submission)
                .ok_or(Obscurity::Ambiguous);
        }
        self.name = name_in(comment).filter(|name| is_name(name));
        let mut seen = Seen::default();
        seen.look_into(comment);
        seen.client()
    }

    /// The comments between `from` and `by`. Servers agree on no form: behind `from` stands what the client
    /// said (Postfix, Sendmail, Exchange), or what its address is called while what it said is in a comment (Exim, qmail).
    fn read_from(
        &mut self,
        said: Option<&str>,
        of_client: &[Token<'_>],
        of_server: &[Token<'_>],
    ) -> Result<Client, Obscurity> {
        let comments = of_client.iter().filter_map(Token::comment);
        let comments = comments.map(Comment::new);
        let comments: Vec<Comment<'_>> = comments.collect::<Result<_, _>>()?;
        // A client whose address is called `HELO` makes of it what it said: servers that write both begin with the latter.
        if comments.iter().skip(1).any(Comment::says_an_address) {
            return Err(Obscurity::Ambiguous);
        }
        self.is_users = comments.iter().any(Comment::says_a_login);
        if poses_as_another(&comments) {
            return Err(Obscurity::Ambiguous);
        }
        let literal = said.and_then(literal);
        if is_of(of_server, "chasquid") {
            // The client stands behind `from`, and what it said is the only comment.
            let [comment] = &comments[..] else {
                return Err(Obscurity::NoAddress);
            };
            self.helo = Some(comment.word().ok_or(Obscurity::Ambiguous)?.to_owned());
            return literal.map(Client::Address).ok_or(Obscurity::NoAddress);
        }
        let mut seen = Seen::default();
        for comment in &comments {
            seen.look_into(comment.of_server);
            // What a server writes of a user and a host, `user@host [192.0.2.1]`, where the user is called `helo=`.
            seen.odd |= comment.said().contains('@');
        }
        seen.weigh(said, comments.first(), of_server);
        let in_comment = comments.iter().find_map(|comment| comment.helo);
        let named = comments
            .iter()
            .find_map(|comment| name_in(comment.of_server));
        (self.helo, self.name) = match in_comment {
            Some(helo) => (
                Some(helo.to_owned()),
                said.filter(|_| literal.is_none()).map(str::to_owned),
            ),
            None => (said.map(str::to_owned), named),
        };
        self.name = self.name.take().filter(|name| is_name(name));
        let says_one = comments.first().is_some_and(Comment::says_an_address);
        match seen.client() {
            Err(Obscurity::NoAddress) if says_one => Err(Obscurity::Ambiguous),
            client => client,
        }
    }
}

/// Whether `(helo [192.0.2.1])`, the first comment, may be what the server wrote of a client that is called so, while an
/// address stands where a client has a say. A server that writes there what the client said has the address right
/// behind it, alone in its comment, or before `helo=` (Exim).
fn poses_as_another(comments: &[Comment<'_>]) -> bool {
    let Some((first, rest)) = comments.split_first() else {
        return false;
    };
    let behind = match rest {
        [next, behind @ ..] if next.is_an_address() => behind,
        all => all,
    };
    let before = (!first.says_in_pairs()).then_some(first.of_server);
    let mut others = behind.iter().map(|comment| comment.of_server).chain(before);
    first.says_an_address() && others.any(holds_an_address)
}

/// `unknown` is what servers write where an address has no name.
fn is_name(name: &str) -> bool {
    !name.eq_ignore_ascii_case("unknown")
}

/// What qmail writes when it takes a message into its queue, from the network or from a program.
fn queued(tokens: &[Token<'_>]) -> Result<Client, Obscurity> {
    let comment = tokens.first().and_then(Token::comment);
    let words = comment.unwrap_or_default().split_ascii_whitespace();
    let words: Vec<&str> = words.take(6).collect();
    match words[..] {
        ["qmail", _, "invoked", "from", "network"]
        | ["qmail", _, "invoked", "by", "alias"]
        | ["qmail", _, "invoked", "for", "bounce"] => Ok(Client::Inside),
        ["qmail", _, "invoked", "by", "uid", _] => Ok(Client::Submission),
        _ => Err(Obscurity::NoForm),
    }
}

/// A field with `by` alone: the server had the message, or took it from a user, `(Postfix, from userid 1000)`, over HTTP,
/// or after a login (RFC 3848), and does not tell from where.
fn by_itself(of_server: &[Token<'_>]) -> Client {
    let comment = of_server.get(2).and_then(Token::comment);
    let user = comment.is_some_and(|comment| comment.contains("from userid"));
    let protocol = protocol(of_server).unwrap_or_default();
    let local = protocol.eq_ignore_ascii_case("local");
    match user || local || is_for_users(protocol) {
        true => Client::Submission,
        false => Client::Inside,
    }
}

/// The word behind `with`, which stands before all else that a server writes behind its name: what comes later may hold
/// what the client said.
fn protocol<'t>(of_server: &[Token<'t>]) -> Option<&'t str> {
    let mut words = of_server.iter().skip(1).filter_map(Token::word).skip(1);
    let with = words.next()?;
    with.eq_ignore_ascii_case("with").then(|| words.next())?
}

/// HTTP, or a protocol with a login (RFC 3848, RFC 6531 §4.3). That of LMTP is a server's, which delivers.
fn is_for_users(protocol: &str) -> bool {
    let login = ["SMTPA", "ESMTPA", "ESMTPSA", "UTF8SMTPA", "UTF8SMTPSA"];
    let mut known = ["HTTP", "HTTPS"].into_iter().chain(login);
    known.any(|word| word.eq_ignore_ascii_case(protocol))
}

/// LMTP or one of its kin (RFC 3848, RFC 6531 §4.3).
fn is_lmtp(protocol: &str) -> bool {
    let lmtp = ["LMTP", "LMTPA", "LMTPS", "LMTPSA"];
    let utf8 = ["UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA"];
    let mut known = lmtp.into_iter().chain(utf8);
    known.any(|word| word.eq_ignore_ascii_case(protocol))
}

/// Whether the server calls itself so in the comment right behind its name, where no client has a say.
fn is_of(of_server: &[Token<'_>], program: &str) -> bool {
    let named = of_server.get(1).is_some_and(|token| token.word().is_some());
    let comment = of_server.get(2).and_then(Token::comment);
    let first = comment.and_then(|comment| comment.split_ascii_whitespace().next());
    named && first.is_some_and(|first| first == program)
}

/// `with esmtps (TLS1.3) tls CIPHER (Exim 4.96)`: before all that the client said.
fn is_exim(of_server: &[Token<'_>]) -> bool {
    let places = of_server.iter().enumerate();
    let mut comments = places.filter_map(|(at, token)| Some((at, token.comment()?)));
    let exim = comments.find(|(_, comment)| comment.starts_with("Exim "));
    let before = exim.map(|(at, _)| of_server[..at].iter().filter_map(Token::word));
    let words: Option<Vec<&str>> = before.map(Iterator::collect);
    words.is_some_and(|words| {
        matches!(
            words[..],
            [_, _] | [_, _, "with", _] | [_, _, "with", _, "tls", _]
        )
    })
}

/// `with Microsoft SMTP Server`, `with Microsoft SMTPSVC(6.0)`.
fn is_microsoft(of_server: &[Token<'_>]) -> bool {
    let words: Vec<&str> = of_server.iter().filter_map(Token::word).take(5).collect();
    matches!(
        words[..],
        [_, _, "with", "Microsoft", "SMTP" | "SMTPSVC", ..]
    )
}

/// The place of `by`, which may stand there once. It is the server's own then, since it stands in no comment with a name behind it either: a
/// client whose texts stand before and behind it could make one of all between, and write what it likes instead.
fn place_of_by(tokens: &[Token<'_>]) -> Result<Option<usize>, Obscurity> {
    let places = tokens.iter().enumerate();
    let mut places = places.filter(|(_, token)| token.is_word("by"));
    let Some((at, _)) = places.next() else {
        return Ok(None);
    };
    let split = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')');
    let hides = |comment: &str| {
        let mut words = comment.split(split).filter(|word| !word.is_empty());
        words.any(|word| word.eq_ignore_ascii_case("by")) && words.next().is_some()
    };
    let hidden = tokens.iter().filter_map(Token::comment).any(hides);
    match places.next().is_none() && !hidden {
        true => Ok(Some(at)),
        false => Err(Obscurity::Ambiguous),
    }
}

/// The addresses that a server wrote.
#[derive(Default)]
struct Seen {
    addresses: Vec<IpAddr>,
    /// Something in brackets is none.
    odd: bool,
}

impl Seen {
    /// Addresses stand in brackets, or alone in the comment, also behind `user@`.
    fn look_into(&mut self, comment: &str) {
        // A name and an address would be two words.
        let alone = comment.trim_ascii().rsplit('@').next().unwrap_or_default();
        self.addresses.extend(address(alone));
        for part in comment.split('[').skip(1) {
            let inner = part.split_once(']').map(|(inner, _)| inner);
            match inner.and_then(address) {
                Some(address) => self.addresses.push(address),
                None => self.odd = true,
            }
        }
    }

    /// An address behind `from` is the client where Exim writes it, without a verified name, and CommuniGate Pro: the first
    /// comment is then what the client said, and nothing else. It is what the client said where nobody but the server
    /// can have written the comment. Otherwise it is not known whose it is, and another address is one too many.
    fn weigh(&mut self, said: Option<&str>, first: Option<&Comment<'_>>, of_server: &[Token<'_>]) {
        let Some(said) = said else { return };
        let is_clients = match first {
            Some(comment) => {
                comment.is_pairs() && is_exim(of_server)
                    || comment.is_greeting() && is_of(of_server, "CommuniGate")
            }
            None => is_exim(of_server),
        };
        let is_servers = is_microsoft(of_server) || first.is_some_and(Comment::names_an_address);
        if is_clients {
            self.addresses.extend(literal(said));
        } else if !is_servers && !self.addresses.is_empty() {
            self.addresses
                .extend(bracketed(said).or_else(|| address(said)));
        }
    }

    fn client(mut self) -> Result<Client, Obscurity> {
        self.addresses.sort();
        self.addresses.dedup();
        match self.addresses[..] {
            [] => Err(Obscurity::NoAddress),
            [address] if !self.odd => Ok(Client::Address(address)),
            _ => Err(Obscurity::Several),
        }
    }
}

fn holds_an_address(comment: &str) -> bool {
    let mut seen = Seen::default();
    seen.look_into(comment);
    !seen.addresses.is_empty()
}

/// The name before a bracketed address: `host.example.com [192.0.2.1]`.
fn name_in(comment: &str) -> Option<String> {
    let (name, _) = comment.split_once('[')?;
    let name = name.split_ascii_whitespace().next_back()?;
    let name = name.rsplit('@').next().unwrap_or(name);
    let name = name.trim_end_matches('.');
    (!name.is_empty()).then(|| name.to_owned())
}

/// `[192.0.2.1]`, whatever stands behind it.
fn bracketed(word: &str) -> Option<IpAddr> {
    let (inner, _) = word.strip_prefix('[')?.split_once(']')?;
    address(inner)
}

/// `[192.0.2.1]`, perhaps with a port behind, and nothing else: a server writes no more.
fn literal(word: &str) -> Option<IpAddr> {
    let (_, behind) = word.strip_prefix('[')?.split_once(']')?;
    let port = behind.strip_prefix(':');
    let is_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
    (behind.is_empty() || is_port).then(|| bracketed(word))?
}

/// `192.0.2.1`, `IPv6:2001:db8::1`, `2001:db8::1`, with a port behind (`192.0.2.1:2525`) or a zone (`fe80::1%eth0`). One
/// of IPv4 in a form of IPv6 is one of IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let (tag, rest) = text.split_at_checked(5).unwrap_or_default();
    let tagged = tag.eq_ignore_ascii_case("ipv6:");
    let text = if tagged { rest } else { text };
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    let address = match tagged {
        true => text.parse().ok().map(IpAddr::V6),
        false => {
            let without_port = || text.split_once(':')?.0.parse().ok().map(IpAddr::V4);
            text.parse().ok().or_else(without_port)
        }
    };
    address.map(in_one_form)
}

#[cfg(test)]
mod tests;
