//! SMTP as somebody speaks it who brings no mail (RFC 5321, RFC 3207).

use std::net::Ipv4Addr;

use tokio::time::Instant;

use super::line::{Line, Log, Mute, connect};
use super::tls::{NoTls, shake_hands};
use super::{Dialogue, Greeting, NoConnection, Outcome, Reply, Talk, Tls, literal};
use crate::audit::facts::{Envelope, Server};

/// The port on which TLS stands before the greeting (RFC 8314 §3.3).
const SUBMISSIONS: u16 = 465;
/// So many envelopes are offered on one connection. Postfix makes a client wait behind 10 errors and throws it out
/// behind 20 (smtpd_soft_error_limit, smtpd_hard_error_limit); Exim throws it out behind 10 commands that are no mail
/// (smtp_accept_max_nonmail).
const MAX_ENVELOPES: usize = 8;
/// So often a server is called again that hung up in the middle.
const MAX_CALLS: usize = 4;

/// A conversation with a server.
struct Conversation<'a> {
    line: Line,
    log: &'a mut Log,
    talk: &'a Talk,
    /// What we call ourselves.
    helo: String,
}

/// Looks at banner, EHLO, STARTTLS and certificate.
pub(in crate::audit) async fn greet(server: &Server, talk: &Talk) -> Greeting {
    let mut log = Log::default();
    let mut greeting = Greeting::none(NoConnection::Closed);
    greeting.trouble = look(server, talk, &mut greeting, &mut log).await.err();
    greeting.log = log.into_lines();
    greeting
}

async fn look(
    server: &Server,
    talk: &Talk,
    greeting: &mut Greeting,
    log: &mut Log,
) -> Result<(), NoConnection> {
    let (mut conversation, tls) = Conversation::open(server, talk, log).await?;
    greeting.tls = tls;
    let banner = match conversation.reply().await {
        Err(Mute::Garbage(text)) => {
            greeting.garbage = Some(text);
            return Ok(());
        }
        banner => banner?,
    };
    let welcome = banner.is_positive();
    greeting.banner = Some(banner);
    if !welcome {
        conversation.quit().await;
        return Ok(());
    }
    let hello = conversation.hello().await?;
    greeting.ehlo = Some(hello.clone());
    if !hello.is_positive() {
        conversation.quit().await;
        return Err(NoConnection::Unwelcome(hello));
    }
    if matches!(greeting.tls, Tls::Done(_)) {
        conversation.quit().await;
        return Ok(());
    }
    greeting.tls = Tls::NotOffered;
    if hello.offers("STARTTLS") {
        let (secured, tls) = conversation.start_tls(server).await;
        greeting.tls = tls;
        let Some(secured) = secured else {
            return Ok(());
        };
        conversation = secured;
        // RFC 3207 §4.2: within TLS everything begins anew.
        if let Err(trouble) = conversation.hello().await {
            let silent = format!("within TLS EHLO gets no answer: {trouble}");
            greeting.tls = Tls::Broken(silent);
            return Ok(());
        }
    }
    conversation.quit().await;
    Ok(())
}

/// Offers envelopes one after the other, and never sends a message.
pub(in crate::audit) async fn offer(
    server: &Server,
    envelopes: &[Envelope],
    talk: &Talk,
) -> Dialogue {
    let mut log = Log::default();
    let mut dialogue = Dialogue::none(NoConnection::Closed);
    dialogue.trouble = None;
    for _ in 0..MAX_CALLS {
        let before = dialogue.outcomes.len();
        if before == envelopes.len() {
            break;
        }
        let rest = envelopes[before..].iter().take(MAX_ENVELOPES);
        let called = call(server, rest, talk, &mut dialogue.outcomes, &mut log).await;
        dialogue.trouble = called.err();
        if dialogue.trouble.is_some() && dialogue.outcomes.len() == before {
            break;
        }
    }
    dialogue.log = log.into_lines();
    dialogue
}

/// One connection for some envelopes.
async fn call(
    server: &Server,
    envelopes: impl Iterator<Item = &Envelope>,
    talk: &Talk,
    outcomes: &mut Vec<Outcome>,
    log: &mut Log,
) -> Result<(), NoConnection> {
    let (mut conversation, _) = Conversation::open(server, talk, log).await?;
    let banner = conversation.reply().await?;
    if !banner.is_positive() {
        conversation.quit().await;
        return Err(NoConnection::Unwelcome(banner));
    }
    let hello = conversation.hello().await?;
    if !hello.is_positive() {
        conversation.quit().await;
        return Err(NoConnection::Unwelcome(hello));
    }
    let mut may_secure = hello.offers("STARTTLS");
    let mut sender: Option<&str> = None;
    // Whether a recipient of this transaction was taken.
    let mut taken = false;
    for envelope in envelopes {
        if sender.is_some() && sender != Some(&envelope.sender) {
            conversation.reset().await?;
            sender = None;
        }
        if sender.is_none() {
            taken = false;
            let mut reply = conversation.mail(envelope).await?;
            // RFC 3207 §4: so says a server that wants TLS first.
            if reply.code == 530 && may_secure {
                may_secure = false;
                let (Some(mut secured), _) = conversation.start_tls(server).await else {
                    return Err(NoConnection::Unwelcome(reply));
                };
                secured.hello().await?;
                reply = secured.mail(envelope).await?;
                conversation = secured;
            }
            if reply.code == GOING {
                return Err(NoConnection::Unwelcome(reply));
            }
            if !reply.is_positive() {
                outcomes.push(Outcome::Sender(reply));
                conversation.reset().await?;
                continue;
            }
            sender = Some(&envelope.sender);
        }
        let mut reply = conversation.recipient(envelope).await?;
        if taken && may_be_alone(&reply) {
            conversation.reset().await?;
            (sender, taken) = (None, false);
            if conversation.mail(envelope).await?.is_positive() {
                sender = Some(&envelope.sender);
                reply = conversation.recipient(envelope).await?;
            }
        }
        // RFC 5321 §3.8: the server hangs up, which says nothing about the recipient.
        if reply.code == GOING {
            return Err(NoConnection::Unwelcome(reply));
        }
        taken |= reply.is_positive();
        outcomes.push(Outcome::Recipient(reply));
    }
    conversation.quit().await;
    Ok(())
}

/// Whether a recipient that was refused behind another might be taken alone: some servers take one only for the null
/// sender. Not where the server says that it is the address (RFC 3463 §3.2).
fn may_be_alone(reply: &Reply) -> bool {
    let address = reply.lines.iter().any(|line| line.starts_with("5.1."));
    !reply.is_positive() && reply.code != GOING && !address
}

/// The code with which a server announces that it hangs up (RFC 5321 §3.8).
const GOING: u16 = 421;

impl<'a> Conversation<'a> {
    async fn open(
        server: &Server,
        talk: &'a Talk,
        log: &'a mut Log,
    ) -> Result<(Conversation<'a>, Tls), NoConnection> {
        log.add(format!("* connecting to {}", server.address));
        let stream = connect(server.address, talk).await;
        let stream = stream.inspect_err(|trouble| log.add(format!("* {trouble}")))?;
        let helo = talk.helo.clone().unwrap_or_else(|| {
            let local = stream.local_addr().map(|local| local.ip());
            literal(local.unwrap_or(Ipv4Addr::LOCALHOST.into()))
        });
        let (line, tls) = match server.address.port() {
            SUBMISSIONS => match shake_hands(stream, &server.name, &[], talk).await {
                Ok((stream, handshake)) => (Line::secure(stream), Tls::Done(Box::new(handshake))),
                Err(why) => {
                    log.add(format!("* {why}"));
                    return Err(why.into());
                }
            },
            _ => (Line::plain(stream), Tls::NotTried),
        };
        let conversation = Conversation {
            line,
            log,
            talk,
            helo,
        };
        Ok((conversation, tls))
    }

    async fn reply(&mut self) -> Result<Reply, Mute> {
        self.line.reply(self.talk.answered(), self.log).await
    }

    async fn say(&mut self, command: &str) -> Result<Reply, NoConnection> {
        let until = self.talk.answered();
        self.line.send(command, until, self.log).await?;
        Ok(self.line.reply(until, self.log).await?)
    }

    /// EHLO, and HELO where that is refused (RFC 5321 §3.2).
    async fn hello(&mut self) -> Result<Reply, NoConnection> {
        let reply = self.say(&format!("EHLO {}", self.helo)).await?;
        match reply.code {
            500..=504 => self.say(&format!("HELO {}", self.helo)).await,
            _ => Ok(reply),
        }
    }

    async fn mail(&mut self, envelope: &Envelope) -> Result<Reply, NoConnection> {
        self.say(&format!("MAIL FROM:<{}>", envelope.sender)).await
    }

    async fn recipient(&mut self, envelope: &Envelope) -> Result<Reply, NoConnection> {
        self.say(&format!("RCPT TO:<{}>", envelope.recipient)).await
    }

    async fn reset(&mut self) -> Result<(), NoConnection> {
        let reply = self.say("RSET").await?;
        match reply.is_positive() {
            true => Ok(()),
            false => Err(NoConnection::Unwelcome(reply)),
        }
    }

    /// STARTTLS, and what came of it; the conversation goes on within TLS, or not at all.
    async fn start_tls(mut self, server: &Server) -> (Option<Conversation<'a>>, Tls) {
        let reply = match self.say("STARTTLS").await {
            Ok(reply) => reply,
            Err(trouble) => {
                let silent = format!("STARTTLS gets no answer: {trouble}");
                return (None, Tls::Broken(silent));
            }
        };
        if reply.code != 220 {
            self.quit().await;
            return (None, Tls::Refused(reply));
        }
        let Conversation {
            line,
            log,
            talk,
            helo,
        } = self;
        // RFC 3207 §5: what came in clear text before TLS began must not count as said within it.
        let Some(stream) = line.into_plain() else {
            let why = "more than the answer to STARTTLS came before TLS began";
            log.add(format!("* {why}"));
            return (None, Tls::Broken(why.to_owned()));
        };
        match shake_hands(stream, &server.name, &[], talk).await {
            Ok((stream, handshake)) => {
                log.add(format!("* {}", handshake.protocol));
                let line = Line::secure(stream);
                let secured = Conversation {
                    line,
                    log,
                    talk,
                    helo,
                };
                (Some(secured), Tls::Done(Box::new(handshake)))
            }
            Err(why) => {
                log.add(format!("* {why}"));
                let tls = match why {
                    NoTls::NothingInCommon(why) => Tls::NothingInCommon(why),
                    why => Tls::Broken(why.to_string()),
                };
                (None, tls)
            }
        }
    }

    /// Says goodbye (RFC 5321 §4.1.1.10), and does not wait long for the answer.
    async fn quit(mut self) {
        let until = (Instant::now() + self.talk.patience).min(self.talk.deadline);
        if self.line.send("QUIT", until, self.log).await.is_ok() {
            let _ = self.line.reply(until, self.log).await;
        }
        self.line.close(until).await;
    }
}

#[cfg(test)]
mod tests;
