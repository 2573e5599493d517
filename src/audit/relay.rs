//! Open relay: whether a server passes mail of strangers on to strangers, also when it is asked in one of the ways that
//! have worked somewhere. Nothing is ever sent: each conversation ends before DATA.
//!
//! It is tried only at a server that somebody says is theirs. The recipient is at www.example.com, which is reserved for
//! examples (RFC 2606 §3), so nobody has a mailbox there; yet the name has an address and no null MX. That matters: a name
//! that does not exist (`.invalid`) or takes no mail (example.com has a null MX) is refused also by an open relay that
//! looks recipients up (Postfix: reject_unknown_recipient_domain), and the hole would stay hidden until real mail comes.
//! For the same reason the strange sender is at www.example.net.

use serde_json::json;

use super::contact::no_connection;
use super::facts::{Envelope, Facts, Server};
use super::finding::{CheckReport, Finding};
use super::host::is_literal;
use super::net::{Dialogue, Outcome, Reply, literal};
use super::recipients::{Recipients, ask, nobody, unclear};
use super::refusal;
use crate::dns::lookup::Pending;

const NAME: &str = "open-relay";
const STRANGER: &str = "stranger@www.example.net";
const FAR: &str = "www.example.com";

/// A way to ask.
struct Trick {
    name: &'static str,
    envelope: Envelope,
    /// The recipient is at the far domain also for a server that takes the address as it stands; otherwise a server that
    /// takes all its own recipients, known or not, takes this one without relaying.
    far: bool,
}

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let Some((host, _)) = facts
        .options
        .smtp
        .as_ref()
        .filter(|_| facts.options.own_server)
    else {
        let sentence = "not tried: --smtp HOST with --i-own-this-server lets it be tried there";
        return Ok(CheckReport::new(NAME, sentence, Vec::new()).fact("tested", false));
    };
    let own = facts.own_addresses();
    let (own, all) = (own?, facts.servers()?);
    // One address may stand under several names.
    let found = own
        .iter()
        .filter_map(|address| all.iter().find(|server| server.address == *address));
    let servers: Vec<Server> = found.cloned().collect();
    if servers.is_empty() {
        let lost = host.lost(facts)?.into_iter().collect();
        return Ok(CheckReport::new(NAME, "", lost).fact("tested", false));
    }
    let offered: Vec<_> = servers
        .iter()
        .map(|server| {
            let tricks = tricks(facts, server);
            let envelopes = tricks.iter().map(|trick| trick.envelope.clone()).collect();
            let known = ask(facts, server);
            Ok((tricks, facts.dialogue(server, envelopes)?, known?))
        })
        .collect();
    let mut findings = Vec::new();
    let mut shown = Vec::new();
    let mut answered = false;
    let mut silent = Vec::new();
    for (server, offered) in servers.iter().zip(offered) {
        let (tricks, dialogue, known) = offered?;
        answered |= !dialogue.outcomes.is_empty();
        // Where the server takes everybody at its own domain, only far recipients say something.
        let takes_all = known.unknown().is_none_or(Outcome::is_taken);
        let counts = |trick: &Trick| trick.far || !takes_all;
        let mut taken = Vec::new();
        for (trick, outcome) in tricks.iter().zip(&dialogue.outcomes) {
            if outcome.is_taken() && counts(trick) {
                taken.push(trick);
            }
            shown.push(json!({
                "server": server.to_string(),
                "trick": trick.name,
                "sender": trick.envelope.sender,
                "recipient": trick.envelope.recipient,
                "reply": outcome.reply().to_string(),
                "taken": outcome.is_taken(),
            }));
        }
        if !taken.is_empty() {
            findings.push(open(server, &taken));
        } else if let Some(trouble) = dialogue.trouble.as_ref() {
            silent.push((server, trouble.clone()));
        } else if let Some(reply) = refusal_of_us(server, &dialogue, &known) {
            // Who is let in may find a hole behind the refusal.
            findings.push(refusal::finding(server, reply));
        } else if let Some(Outcome::Recipient(reply)) = known.role("postmaster")
            && !reply.is_positive()
            && !reply.is_permanent()
            && put_off(&dialogue)
        {
            // Greylisting: who is put off together with postmaster might be let in later.
            findings.push(unclear(server, &tricks[0].envelope.recipient, reply));
        }
    }
    for (server, trouble) in silent {
        if !(answered && trouble == super::net::NoConnection::NoIpv6) {
            findings.push(no_connection(server, &trouble));
        }
    }
    let sentence = "the server relays nothing for strangers, however it is asked";
    let report = CheckReport::new(NAME, sentence, findings);
    Ok(report.fact("tested", answered).fact("tried", shown))
}

/// The refusal that hides whether the server relays: it wants nothing of this machine, not even mail for its own
/// domain, or says to each envelope that it is for this machine.
fn refusal_of_us<'a>(
    server: &Server,
    dialogue: &'a Dialogue,
    known: &'a Recipients,
) -> Option<&'a Reply> {
    let replies = dialogue.outcomes.iter().map(Outcome::reply);
    let mut ours = replies.filter(|reply| refusal::names_client(server, reply));
    let first = ours.next();
    let all = 1 + ours.count() == dialogue.outcomes.len();
    refusal::of_client(server, known).or(first.filter(|_| all))
}

/// Whether an envelope was refused only for now.
fn put_off(dialogue: &Dialogue) -> bool {
    let mut outcomes = dialogue.outcomes.iter();
    outcomes.any(|outcome| !outcome.is_taken() && !outcome.reply().is_permanent())
}

fn open(server: &Server, taken: &[&Trick]) -> Finding {
    let first = taken[0];
    let ways = match taken.len() {
        1 => String::new(),
        count => format!(", and in {} other ways", count - 1),
    };
    let mend = match first.far && first.name != "source-route" {
        true => {
            "let the server take mail for other domains only from those whom it knows (Postfix: smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination, with mynetworks of your own alone; Exim: the ACL of RCPT with relay_from_hosts; Sendmail: no promiscuous_relay). If this machine is among those that may relay, run the audit from another"
        }
        false => {
            "let the server not read another address out of the recipient (Postfix: allow_untrusted_routing = no, and no regular expressions in relay_domains or virtual maps that take more than one @; Exim: refuse local parts with @, % and ! in the ACL of RCPT)"
        }
    };
    Finding::new(
        "relay-open",
        server,
        format!(
            "{server} takes mail of a stranger for a stranger: MAIL FROM:<{}>, RCPT TO:<{}> ({}){ways}",
            first.envelope.sender, first.envelope.recipient, first.name
        ),
        mend,
    )
}

/// The ways to ask; those of one sender stand together.
fn tricks(facts: &Facts<'_>, server: &Server) -> Vec<Trick> {
    let own = facts.options.domain.as_ascii();
    let literal = literal(server.address.ip());
    let host = match is_literal(&server.name) {
        true => literal.clone(),
        false => server.name.to_string(),
    };
    let user = nobody(facts);
    let trick = |name, sender: &str, recipient: String, far| Trick {
        name,
        envelope: Envelope {
            sender: sender.to_owned(),
            recipient,
        },
        far,
    };
    let plain = format!("{user}@{FAR}");
    let of_own = format!("postmaster@{own}");
    let of_host = format!("postmaster@{host}");
    let of_literal = format!("postmaster@{literal}");
    vec![
        trick("plain", STRANGER, plain.clone(), true),
        // RFC 5321, appendix C: the last host of a route counts.
        trick("source-route", STRANGER, format!("@{own}:{plain}"), true),
        trick(
            "source-route-literal",
            STRANGER,
            format!("@{literal}:{plain}"),
            true,
        ),
        trick("percent", STRANGER, format!("{user}%{FAR}@{own}"), false),
        trick(
            "percent-host",
            STRANGER,
            format!("{user}%{FAR}@{host}"),
            false,
        ),
        trick(
            "percent-literal",
            STRANGER,
            format!("{user}%{FAR}@{literal}"),
            false,
        ),
        trick(
            "percent-no-domain",
            STRANGER,
            format!("{user}%{FAR}"),
            false,
        ),
        trick("double-at", STRANGER, format!("{plain}@{own}"), false),
        trick(
            "double-at-literal",
            STRANGER,
            format!("{plain}@{literal}"),
            false,
        ),
        trick("quoted", STRANGER, format!("\"{plain}\"@{own}"), false),
        trick("quoted-no-domain", STRANGER, format!("\"{plain}\""), false),
        trick("bang", STRANGER, format!("{FAR}!{user}@{own}"), false),
        trick("bang-no-domain", STRANGER, format!("{FAR}!{user}"), false),
        trick("null-sender", "", plain.clone(), true),
        trick("own-domain", &of_own, plain.clone(), true),
        trick("own-host", &of_host, plain.clone(), true),
        trick("own-address", &of_literal, plain.clone(), true),
        trick("localhost", "root@localhost", plain, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ServerSays, judge_with, options, server_says, words};
    use super::super::{Options, finding::CheckReport};
    use crate::name::Domain;

    const ZONE: &str = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1";

    fn own() -> Options {
        let mut options = options();
        options.smtp = Some((Domain::new("mx.example.org").unwrap().into(), 25));
        options.own_server = true;
        options
    }

    fn tried(takes: impl Fn(&str, &str) -> bool) -> CheckReport {
        let shows = server_says(move |sender, recipient| {
            ServerSays::Recipient(if takes(sender, recipient) {
                "250 ok"
            } else {
                "554 no"
            })
        });
        judge_with("open-relay", ZONE, &own(), shows)
    }

    #[test]
    fn nothing_is_tried_at_a_server_of_others() {
        let mut options = own();
        options.own_server = false;
        let shows = |_: &super::super::facts::Probe| panic!("nobody is asked");
        let report = judge_with("open-relay", ZONE, &options, shows);
        assert_eq!(report.facts["tested"], false);
        assert_eq!(words(&report), [""; 0]);
    }

    #[test]
    fn each_way_that_works_is_a_hole() {
        assert_eq!(
            words(&tried(
                |_, to| to.ends_with("@example.org") && to.starts_with("post")
            )),
            [""; 0]
        );
        for hole in [
            |_: &str, to: &str| to.ends_with("@www.example.com"),
            |from: &str, to: &str| from.is_empty() && to.ends_with("@www.example.com"),
            |from: &str, to: &str| {
                from.ends_with("@example.org") && to.ends_with("@www.example.com")
            },
            |_: &str, to: &str| to.contains('%'),
            |_: &str, to: &str| to.contains('!'),
            |_: &str, to: &str| to.starts_with("@["),
            |_: &str, to: &str| to.starts_with('"'),
        ] {
            assert_eq!(words(&tried(hole)), ["relay-open"]);
        }
    }

    #[test]
    fn who_takes_all_at_its_own_domain_relays_nothing_by_that() {
        let report = tried(|_, to| !to.ends_with("@www.example.com"));
        assert_eq!(words(&report), [""; 0]);
        assert_eq!(words(&tried(|_, _| true)), ["relay-open"]);
    }

    #[test]
    fn greylisting_hides_what_comes_behind_it() {
        let shows = server_says(|_, _| ServerSays::Recipient("450 greylisted"));
        assert_eq!(
            words(&judge_with("open-relay", ZONE, &own(), shows)),
            ["recipient-unclear"]
        );
        // Postfix: defer_unauth_destination.
        let shows = server_says(|_, to| {
            let own = to.ends_with("@example.org") && to.starts_with("post");
            ServerSays::Recipient(if own {
                "250 ok"
            } else {
                "454 4.7.1 Relay access denied"
            })
        });
        assert_eq!(
            words(&judge_with("open-relay", ZONE, &own(), shows)),
            [""; 0]
        );
        let shows = server_says(|_, _| ServerSays::Nothing);
        assert_eq!(
            words(&judge_with("open-relay", ZONE, &own(), shows)),
            ["no-connection"]
        );
    }
}
