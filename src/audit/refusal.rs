//! Whom a refusal is meant for: a recipient, or this machine.
//!
//! Servers refuse clients, too: those whose address is on a block list (which lists those of home lines and of many rented
//! machines), that have no PTR record, or that greet with a name that they do not like. Postfix and others say so at the
//! first recipient, and then the answer tells nothing about that recipient, nor about relaying.

use std::net::IpAddr;

use super::facts::Server;
use super::finding::Finding;
use super::net::{Outcome, Reply};
use super::recipients::Recipients;

/// The refusal that shows that a server wants nothing of this machine, whomever it is asked for: by its words, or
/// because it says the same to those who must be there and to somebody whom nobody has.
pub(super) fn of_client<'a>(server: &Server, said: &'a Recipients) -> Option<&'a Reply> {
    let asked = [said.role("postmaster"), said.role("abuse"), said.unknown()];
    let mut replies = Vec::new();
    let mut of_senders = false;
    for outcome in asked {
        let outcome = outcome?;
        of_senders |= matches!(outcome, Outcome::Sender(_));
        let reply = outcome.reply();
        let is_refusal = reply.is_permanent() || names_client(server, reply);
        if !is_refusal || is_for_users(server, reply) {
            return None;
        }
        replies.push(reply);
    }
    let first = replies[0];
    if replies.iter().all(|reply| names_client(server, reply)) {
        return Some(first);
    }
    // The null sender is refused for what it is.
    if of_senders || is_for_recipient(first) {
        return None;
    }
    let alike = |reply: &&Reply| reply.code == first.code && subject(reply) == subject(first);
    replies.iter().all(alike).then_some(first)
}

/// What a server says of relaying.
const RELAYING: &[&str] = &["relay", "relaying"];

/// Whether a refusal is of this machine by its own words: it names an address that is not the server's, the client, or
/// the command in which we have given our name.
pub(super) fn names_client(server: &Server, reply: &Reply) -> bool {
    // RFC 3463 §3.2: X.1 is about the address of the mail, whatever else is told of it. Who may not relay is told the
    // own address as well.
    let other = subject(reply) == Some(1) || speaks_of(reply, RELAYING);
    let refuses = reply.is_permanent() || reply.code / 100 == 4 && !is_greylisting(reply);
    if other || !refuses || is_for_users(server, reply) {
        return false;
    }
    speaks_of(reply, &["client", "helo", "ehlo"])
        || addresses(reply).any(|address| address != server.address.ip())
}

/// Whether a server puts everybody off whom it does not know yet, and takes the mail later (RFC 6647 §2.1, §3.1): that
/// goes by, and says nothing of this machine. Where the connection ends with 421 it is of more than a recipient.
fn is_greylisting(reply: &Reply) -> bool {
    let grey = [
        "greylist",
        "greylisted",
        "greylisting",
        "graylist",
        "graylisted",
        "graylisting",
    ];
    let later = [
        "later", "again", "back", "wait", "retry", "minutes", "seconds",
    ];
    speaks_of(reply, &grey) || reply.code != 421 && speaks_of(reply, &later)
}

/// Whether a refusal is of everybody who has not said who he is (RFC 4954 §6): it says nothing of this machine.
/// Beside port 25 servers are for users alone (RFC 6409 §4.3), and Postfix refuses others by `Client host rejected:
/// Access denied`.
fn is_for_users(server: &Server, reply: &Reply) -> bool {
    let denied = || speaks_of(reply, &["access"]) && speaks_of(reply, &["denied"]);
    let login = || speaks_of(reply, &["authentication", "authenticate", "auth"]);
    reply.code == 530 || login() || server.address.port() != 25 && denied()
}

/// Whether a refusal that all recipients get is of them all the same: the mailbox is not there, or the server is not
/// for the domain.
fn is_for_recipient(reply: &Reply) -> bool {
    if speaks_of(reply, RELAYING) {
        return true;
    }
    match subject(reply) {
        // RFC 3463 §3: addresses, mailboxes and routes; Exchange says 5.4.1 of whom it does not know.
        Some(1 | 2 | 4) => true,
        Some(5 | 7) => false,
        _ => speaks_of(
            reply,
            &[
                "user",
                "mailbox",
                "recipient",
                "account",
                "unrouteable",
                "unroutable",
            ],
        ),
    }
}

/// The middle number of the enhanced status code (RFC 3463 §2), which stands first in the text (RFC 2034 §4).
fn subject(reply: &Reply) -> Option<u16> {
    let word = reply.name()?;
    let mut parts = word.split('.').map(str::parse::<u16>);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Ok(4 | 5)), Some(Ok(subject)), Some(Ok(_)), None) => Some(subject),
        _ => None,
    }
}

/// Whether one of these words stands in a reply.
fn speaks_of(reply: &Reply, words: &[&str]) -> bool {
    let lines = reply.lines.iter();
    let mut said = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()));
    said.any(|word| words.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// The addresses in the text of a reply: words of their own, so that `Mail::DKIM` holds none.
fn addresses(reply: &Reply) -> impl Iterator<Item = IpAddr> {
    let lines = reply.lines.iter();
    lines.flat_map(|line| {
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':')));
        words.filter_map(|word| {
            let word = word.trim_matches('.').trim_end_matches(':');
            // As an address literal has it (RFC 5321 §4.1.3).
            let address = match word.get(..5) {
                Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => &word[5..],
                _ => word,
            };
            let groups = address.split([':', '.']).filter(|group| !group.is_empty());
            let is_whole = groups.count() > 1 || line.contains(&format!("[{word}]"));
            address.parse::<IpAddr>().ok().filter(|_| is_whole)
        })
    })
}

/// The server refuses this machine: nothing is known about the domain.
pub(super) fn finding(server: &Server, reply: &Reply) -> Finding {
    Finding::new(
        "client-refused",
        server,
        format!("{server} refuses this machine, so it cannot be asked: {reply}"),
        "run the audit from a machine that mail servers let in, which has a PTR record and is on no block list (home lines are on most), and give its name with --helo; if the server refuses others as well, see its log (Postfix: smtpd_client_restrictions, smtpd_helo_restrictions, smtpd_recipient_restrictions)",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::CheckReport;
    use super::super::testing::{ServerSays, judge_with, options, reply, server_says, words};
    use super::*;
    use crate::dns::lookup::DnsName;
    use crate::name::Domain;

    const ZONE: &str = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1";
    const CHECKS: [&str; 3] = ["role-addresses", "backscatter", "open-relay"];

    fn judged(check: &str, port: u16, says: fn(&str) -> &'static str) -> CheckReport {
        let mut options = options();
        options.smtp = Some((Domain::new("mx.example.org").unwrap().into(), port));
        options.own_server = true;
        let shows = server_says(move |_, recipient| ServerSays::Recipient(says(recipient)));
        judge_with(check, ZONE, &options, shows)
    }

    #[test]
    fn who_refuses_this_machine_says_nothing_of_the_domain() {
        for says in [
            |_: &str| "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked",
            |_: &str| "550 Mail from 2001:db8::7 is refused",
            |_: &str| "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname",
            |_: &str| "550 5.7.1 Access denied",
            |_: &str| "554 no",
        ] {
            for check in CHECKS {
                let report = judged(check, 25, says);
                assert_eq!(words(&report), ["client-refused"], "{check}: {}", says(""));
            }
        }
    }

    #[test]
    fn who_puts_this_machine_off_says_nothing_of_the_domain_and_greylisting_goes_by() {
        let refused =
            |_: &str| "450 4.7.25 Client host rejected: cannot find your hostname, [198.51.100.7]";
        for check in CHECKS {
            let report = judged(check, 25, refused);
            assert_eq!(words(&report), ["client-refused"], "{check}");
        }
        for says in [
            |_: &str| "450 4.2.0 Greylisted, see http://list.example/?ip=198.51.100.7",
            |_: &str| "451 4.7.1 [198.51.100.7] greylisted, try again in 300 seconds",
        ] {
            let report = judged("role-addresses", 25, says);
            assert_eq!(words(&report), ["recipient-unclear"; 2], "{}", says(""));
        }
    }

    #[test]
    fn refusals_of_recipients_and_of_relaying_stay_what_they_are() {
        for says in [
            |_: &str| "550 5.1.1 unknown user, says 198.51.100.7",
            |_: &str| "550 5.4.1 Recipient address rejected: Access denied",
            |_: &str| "550 Unrouteable address",
            |_: &str| "554 5.7.1 Relay access denied",
            |_: &str| "550 client [198.51.100.7] is not permitted to relay",
            // Another reason than for the others.
            |to: &str| match to.starts_with("nobody-") {
                true => "550 5.1.1 no such user",
                false => "550 5.7.1 rejected",
            },
        ] {
            let report = judged("role-addresses", 25, says);
            let expected = ["postmaster-refused", "abuse-refused"];
            assert_eq!(words(&report), expected, "{}", says(""));
            for check in ["backscatter", "open-relay"] {
                assert_eq!(words(&judged(check, 25, says)), [""; 0], "{}", says(""));
            }
        }
    }

    #[test]
    fn who_lets_postmaster_in_may_still_refuse_this_machine() {
        let says = |to: &str| match to.starts_with("postmaster@example.org") {
            true => "250 ok",
            false => "550 [198.51.100.7] is listed",
        };
        for check in CHECKS {
            assert_eq!(words(&judged(check, 25, says)), ["client-refused"]);
        }
    }

    #[test]
    fn who_is_for_users_refuses_strangers() {
        for says in [
            |_: &str| "554 5.7.1 <unknown[198.51.100.7]>: Client host rejected: Access denied",
            |_: &str| "550 5.7.1 Authentication required",
            |_: &str| "530 5.7.0 log in",
        ] {
            assert_eq!(words(&judged("open-relay", 587, says)), [""; 0]);
        }
        let says = |_: &str| "554 5.7.1 Client host [198.51.100.7] blocked";
        let report = judged("open-relay", 587, says);
        assert_eq!(words(&report), ["client-refused"]);
    }

    #[test]
    fn the_address_of_the_server_is_not_ours() {
        let server = Server {
            name: DnsName::new(b"mx.example.org").unwrap(),
            address: "192.88.1.1:25".parse().unwrap(),
        };
        for (text, expected) in [
            (
                "554 5.7.1 <unknown[192.88.1.1]>: Client host rejected",
                true,
            ),
            ("550 refused by mx.example.org[192.88.1.1]", false),
            ("550 at 12:30:45, version 1.2.3", false),
            ("550 refused: [198.51.100.7].", true),
            ("550 refused: 198.51.100.7:25", false),
            ("550 see http://list.example/q?ip=198.51.100.7", true),
            ("450 [198.51.100.7] later", false),
            ("550 no EHLO before", true),
            // Some put off whom they want nothing of.
            (
                "421 4.7.0 mx.example.org Error: too many connections from 198.51.100.7",
                true,
            ),
            ("421 4.7.0 [198.51.100.7] unusual, try again later", true),
            (
                "450 4.7.25 Client host rejected: cannot find your hostname, [198.51.100.7]",
                true,
            ),
            ("421 4.3.2 too many connections", false),
            ("421 4.7.0 mx.example.org[192.88.1.1] is busy", false),
            ("450 4.2.0 <a@example.org>: Greylisted", false),
            ("450 4.2.0 client [198.51.100.7] is greylisted", false),
            ("451 4.7.1 198.51.100.7: come back in 00:05:00", false),
            ("451 4.7.1 [198.51.100.7] please try again", false),
            ("250 hello client [198.51.100.7]", false),
            // An address is a word of its own.
            ("550 no such mailbox, says Mail::DKIM", false),
            ("550 see a::", false),
            ("550 D::", false),
            ("550 ::D", false),
            ("550 [::d] is refused", true),
            ("550 [IPv6:2001:db8::7] is refused", true),
        ] {
            assert_eq!(names_client(&server, &reply(text)), expected, "{text}");
        }
    }
}
