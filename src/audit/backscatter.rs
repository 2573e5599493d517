//! Backscatter: who takes mail for recipients that it does not have bounces it later, to senders that are forged
//! (RFC 5321 §6.2, §4.2.5).

use serde_json::json;

use super::contact::contacts;
use super::facts::{Facts, Server};
use super::finding::{CheckReport, Finding};
use super::net::Outcome;
use super::recipients::{Recipients, ask, unclear};
use super::refusal;
use crate::dns::lookup::Pending;

const NAME: &str = "backscatter";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let contacts = match contacts(facts, NAME)? {
        Ok(contacts) => contacts,
        Err(report) => return Ok(report),
    };
    let servers = contacts.mail_servers();
    let said: Vec<_> = servers.iter().map(|server| ask(facts, server)).collect();
    let mut findings = contacts.missed.clone();
    let mut shown = Vec::new();
    for (server, said) in servers.iter().zip(said) {
        let said = said?;
        findings.extend(judge_server(server, &said));
        shown.push(json!({
            "server": server.to_string(),
            "recipient": said.nobody,
            "unknown": said.unknown().map(|outcome| outcome.reply().to_string()),
            "postmaster": said.role("postmaster").map(|outcome| outcome.reply().to_string()),
        }));
    }
    let sentence = match shown.len() {
        1 => "the server refuses recipients that it does not have".to_owned(),
        count => format!("all {count} servers refuse recipients that they do not have"),
    };
    let report = CheckReport::new(NAME, sentence, findings).fact("servers", shown);
    Ok(report.fact("skipped", contacts.skipped))
}

fn judge_server(server: &Server, said: &Recipients) -> Option<Finding> {
    if let Some(reply) = refusal::of_client(server, said) {
        return Some(refusal::finding(server, reply));
    }
    let nobody = &said.nobody;
    match said.unknown() {
        None => said.trouble(server),
        Some(outcome) if outcome.is_taken() => Some(Finding::new(
            "unknown-recipient-accepted",
            server,
            format!(
                "{server} takes mail for {nobody}, whom nobody has, when it is asked; if it bounces that later, the bounce goes to a sender who may be forged: {}",
                outcome.reply()
            ),
            "let the server refuse whom it does not know while it is asked (Postfix: local_recipient_maps, relay_recipient_maps and virtual_mailbox_maps that list all, and no luser_relay; Exim: verify = recipient; Exchange: recipient validation); a catch-all mailbox that is meant never bounces, and may stay, and so may a server that refuses at the end of the message",
        )),
        Some(outcome) if refusal::names_client(server, outcome.reply()) => {
            Some(refusal::finding(server, outcome.reply()))
        }
        Some(Outcome::Recipient(reply)) if !reply.is_permanent() => {
            Some(unclear(server, nobody, reply))
        }
        Some(Outcome::Recipient(_)) => None,
        // RFC 4954 §6: it wants to know who it is first, and takes no mail from strangers.
        Some(Outcome::Sender(reply)) if reply.code == 530 => None,
        Some(Outcome::Sender(reply)) => Some(null_sender(server, &reply.to_string())),
    }
}

/// RFC 5321 §4.5.5: bounces come from the null sender, and must be taken.
pub(super) fn null_sender(server: &Server, reply: &str) -> Finding {
    Finding::new(
        "recipient-unclear",
        server,
        format!(
            "{server} refuses the null sender, from which bounces come, so it cannot be asked for recipients: {reply}"
        ),
        "let the server take mail from the null sender `<>` (RFC 5321, section 4.5.5)",
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ServerSays, server_says};
    use super::super::testing::{judge_with, options, words};

    const ZONE: &str = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1";

    #[test]
    fn unknown_recipients_are_refused_at_once() {
        let unknown = |reply: &'static str| {
            move |_: &str, recipient: &str| match recipient.starts_with("nobody-") {
                true => ServerSays::Recipient(reply),
                false => ServerSays::Recipient("250 ok"),
            }
        };
        for (reply, expected) in [
            ("550 5.1.1 no such user", vec![]),
            ("250 ok", vec!["unknown-recipient-accepted"]),
            ("251 forwarded", vec!["unknown-recipient-accepted"]),
            ("450 4.2.0 greylisted", vec!["recipient-unclear"]),
        ] {
            let report = judge_with("backscatter", ZONE, &options(), server_says(unknown(reply)));
            assert_eq!(words(&report), expected, "{reply}");
        }
        for (reply, expected) in [
            ("550 no bounces", vec!["recipient-unclear"]),
            ("530 5.7.0 authenticate", vec![]),
        ] {
            let shows = server_says(move |_, _| ServerSays::Sender(reply));
            assert_eq!(
                words(&judge_with("backscatter", ZONE, &options(), shows)),
                expected
            );
        }
        let shows = server_says(|_, _| ServerSays::Nothing);
        assert_eq!(
            words(&judge_with("backscatter", ZONE, &options(), shows)),
            ["no-connection"]
        );
    }
}
