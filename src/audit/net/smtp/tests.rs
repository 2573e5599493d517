use std::net::SocketAddr;

use super::*;
use crate::audit::net::testing::{Authority, Step, self_signed, serve, talk};
use crate::audit::net::{Handshake, Trust};
use crate::dns::lookup::DnsName;
use Step::{Flood, Hear, Say, Wait};

fn server(address: SocketAddr) -> Server {
    Server {
        name: DnsName::new(b"mx.example.org").unwrap(),
        address,
    }
}

const BANNER: Step = Say("220 mx.example.org ESMTP\r\n");
const OFFER: Step = Say("250-mx.example.org hello\r\n250-SIZE 1000\r\n250 starttls\r\n");
const PLAIN: Step = Say("250 mx.example.org\r\n");

/// What a greeting comes to at a server with this script, and what the server has heard.
async fn greeted(script: Vec<Step>, talk: &Talk) -> (Greeting, Vec<String>) {
    let (address, heard) = serve(vec![script]);
    let greeting = greet(&server(address), talk).await;
    (greeting, heard.join().unwrap())
}

/// The handshake with a server that shows this certificate.
async fn secured(config: std::sync::Arc<rustls::ServerConfig>, talk: &Talk) -> Handshake {
    let script = vec![
        BANNER,
        Hear("EHLO probe.example"),
        OFFER,
        Hear("STARTTLS"),
        Say("220 go\r\n"),
        Step::Tls(config),
        Hear("EHLO probe.example"),
        PLAIN,
        Hear("QUIT"),
        Say("221 bye\r\n"),
    ];
    let (greeting, heard) = greeted(script, talk).await;
    assert_eq!(greeting.trouble, None);
    assert_eq!(heard.last().unwrap(), "QUIT", "{:?}", greeting.log);
    assert_eq!(greeting.banner.unwrap().name(), Some("mx.example.org"));
    assert!(greeting.log.iter().any(|line| line == "> STARTTLS"));
    match greeting.tls {
        Tls::Done(handshake) => *handshake,
        tls => panic!("{tls:?}"),
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_apart_and_breaks_nothing_off() {
    let ca = Authority::new("one");
    let other = Authority::new("two");
    let talk = talk(ca.trusted());
    let years = (2020, 2040);
    for (certified, trust, name_matches) in [
        (ca.issue("mx.example.org", years), Trust::Trusted, true),
        (ca.issue("*.example.org", years), Trust::Trusted, true),
        (ca.issue("other.example", years), Trust::WrongName, false),
        (
            ca.issue("mx.example.org", (2020, 2021)),
            Trust::Expired,
            true,
        ),
        (
            ca.issue("mx.example.org", (2030, 2031)),
            Trust::NotYetValid,
            true,
        ),
        (
            other.issue("mx.example.org", years),
            Trust::UnknownIssuer,
            true,
        ),
        (self_signed("mx.example.org"), Trust::UnknownIssuer, true),
        (self_signed("other.example"), Trust::UnknownIssuer, false),
    ] {
        let seen = secured(certified.server(), &talk).await;
        assert_eq!((seen.trust, seen.name_matches), (trust, name_matches));
        assert_eq!(seen.chain, certified.chain);
        assert_eq!(seen.protocol, "TLSv1.3");
        assert_eq!(seen.leaf.unwrap().names.len(), 1);
    }
}

#[tokio::test]
async fn what_comes_before_tls_does_not_count_within_it() {
    let script = vec![
        BANNER,
        Hear("EHLO"),
        OFFER,
        Hear("STARTTLS"),
        Say("220 go\r\n250 injected\r\n"),
    ];
    let talk = talk(Authority::new("one").trusted());
    let (greeting, _) = greeted(script, &talk).await;
    let why = "more than the answer to STARTTLS came before TLS began";
    assert_eq!(greeting.tls, Tls::Broken(why.to_owned()));
}

#[tokio::test]
async fn servers_that_are_none_and_those_that_break_off_end_in_time() {
    let talk = talk(Authority::new("one").trusted());
    let closed = NoConnection::Closed;
    let failed = |text: &str| NoConnection::Failed(text.to_owned());
    for (script, trouble, garbage) in [
        (vec![Wait(1500)], Some(NoConnection::NoTime), false),
        (vec![], Some(closed.clone()), false),
        (vec![BANNER, Hear("EHLO")], Some(closed), false),
        (vec![Say("HTTP/1.1 400 Bad Request\r\n")], None, true),
        (vec![Say("SSH-2.0-x")], None, true),
        (vec![Say("99 x\r\n")], None, true),
        (vec![Say("220\u{e9}\r\n")], None, true),
        (vec![Flood("220 a line without an end")], None, true),
        (
            vec![Flood("220-again\r\n")],
            Some(failed("a reply has more than 100 lines")),
            false,
        ),
    ] {
        let (greeting, _) = greeted(script, &talk).await;
        assert_eq!(greeting.trouble, trouble);
        assert_eq!(greeting.garbage.is_some(), garbage);
    }
}

#[tokio::test]
async fn mail_servers_differ() {
    let talk = talk(Authority::new("one").trusted());
    let bye = || [Hear("QUIT"), Say("221\n")];
    let script = |steps: Vec<Step>| steps.into_iter().chain(bye()).collect::<Vec<_>>();
    let refused = script(vec![Say("554 no\r\n")]);
    let (greeting, heard) = greeted(refused, &talk).await;
    assert_eq!(greeting.banner.unwrap().to_string(), "554 no");
    assert_eq!(heard, ["QUIT"]);

    let old = script(vec![
        Say("220\n"),
        Hear("EHLO"),
        Say("502 what\n"),
        Hear("HELO"),
        Say("250 mx.example.org\n"),
    ]);
    let (greeting, _) = greeted(old, &talk).await;
    assert_eq!(greeting.tls, Tls::NotOffered);
    assert_eq!(greeting.ehlo.unwrap().name(), Some("mx.example.org"));

    let late = script(vec![BANNER, Hear("EHLO"), Say("421 not now\r\n")]);
    let (greeting, _) = greeted(late, &talk).await;
    assert_eq!(greeting.tls, Tls::NotTried);
    assert!(matches!(greeting.trouble, Some(NoConnection::Unwelcome(_))));

    let busy = script(vec![
        Say("220-mx.example.org\r\n220 ready\r\n"),
        Hear("EHLO"),
        OFFER,
        Hear("STARTTLS"),
        Say("454 later\r\n"),
    ]);
    let (greeting, _) = greeted(busy, &talk).await;
    assert!(matches!(greeting.tls, Tls::Refused(reply) if reply.code == 454));

    let garbled = vec![
        BANNER,
        Hear("EHLO"),
        OFFER,
        Hear("STARTTLS"),
        Say("220 go\r\n"),
        Wait(50),
        Say("this is no TLS"),
    ];
    let (greeting, _) = greeted(garbled, &talk).await;
    assert!(matches!(greeting.tls, Tls::Broken(_)), "{greeting:?}");
}

#[tokio::test]
async fn a_server_that_knows_none_of_our_suites_is_not_called_broken() {
    let talk = talk(Authority::new("one").trusted());
    // Fatal alerts (RFC 8446 §6): handshake_failure, protocol_version and internal_error.
    for (alert, common) in [
        ("\x15\x03\x03\x00\x02\x02\x28", false),
        ("\x15\x03\x03\x00\x02\x02\x46", false),
        ("\x15\x03\x03\x00\x02\x02\x50", true),
    ] {
        let script = vec![
            BANNER,
            Hear("EHLO"),
            OFFER,
            Hear("STARTTLS"),
            Say("220 go\r\n"),
            Wait(50),
            Say(alert),
        ];
        let (greeting, _) = greeted(script, &talk).await;
        match greeting.tls {
            Tls::NothingInCommon(_) => assert!(!common, "{alert:?}"),
            Tls::Broken(_) => assert!(common, "{alert:?}"),
            tls => panic!("{tls:?}"),
        }
    }
}

#[tokio::test]
async fn who_has_no_name_greets_with_the_address() {
    let mut talk = talk(Authority::new("one").trusted());
    talk.helo = None;
    let script = vec![BANNER, Hear("EHLO"), PLAIN, Hear("QUIT")];
    let (_, heard) = greeted(script, &talk).await;
    assert_eq!(heard[0], "EHLO [127.0.0.1]");
    assert_eq!(
        literal("2001:db8::7".parse().unwrap()),
        "[IPv6:2001:db8::7]"
    );
}

fn envelopes(pairs: &[(&str, &str)]) -> Vec<Envelope> {
    let envelope = |(sender, recipient): &(&str, &str)| Envelope {
        sender: (*sender).to_owned(),
        recipient: (*recipient).to_owned(),
    };
    pairs.iter().map(envelope).collect()
}

fn codes(dialogue: &Dialogue) -> Vec<u16> {
    let codes = dialogue.outcomes.iter();
    codes.map(|outcome| outcome.reply().code).collect()
}

#[tokio::test]
async fn envelopes_of_one_sender_share_mail_and_no_message_is_ever_sent() {
    let script = vec![
        BANNER,
        Hear("EHLO"),
        PLAIN,
        Hear("MAIL FROM:<>"),
        Say("250 ok\r\n"),
        Hear("RCPT TO:<a@x>"),
        Say("250 ok\r\n"),
        Hear("RCPT TO:<b@x>"),
        Say("250 ok\r\n"),
        Hear("RSET"),
        Say("250 ok\r\n"),
        Hear("MAIL FROM:<c@y>"),
        Say("550 no\r\n"),
        Hear("RSET"),
        Say("250 ok\r\n"),
        Hear("QUIT"),
    ];
    let (address, heard) = serve(vec![script]);
    let pairs = envelopes(&[("", "a@x"), ("", "b@x"), ("c@y", "a@x")]);
    let talk = talk(Authority::new("one").trusted());
    let dialogue = offer(&server(address), &pairs, &talk).await;
    assert_eq!(dialogue.trouble, None);
    assert_eq!(codes(&dialogue), [250, 250, 550]);
    assert!(matches!(dialogue.outcomes[2], Outcome::Sender(_)));
    let heard = heard.join().unwrap();
    assert!(heard.iter().all(|line| !line.starts_with("DATA")));
    assert_eq!(heard.last().unwrap(), "QUIT");
}

#[tokio::test]
async fn what_is_refused_behind_another_recipient_is_offered_alone() {
    let script = vec![
        BANNER,
        Hear("EHLO"),
        PLAIN,
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT TO:<a@x>"),
        Say("250 ok\r\n"),
        Hear("RCPT TO:<b@x>"),
        Say("452 one only\r\n"),
        Hear("RSET"),
        Say("250 ok\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT TO:<b@x>"),
        Say("250 ok\r\n"),
        Hear("QUIT"),
    ];
    let (address, heard) = serve(vec![script]);
    let pairs = envelopes(&[("", "a@x"), ("", "b@x")]);
    let talk = talk(Authority::new("one").trusted());
    let dialogue = offer(&server(address), &pairs, &talk).await;
    assert_eq!(codes(&dialogue), [250, 250]);
    heard.join().unwrap();
}

#[tokio::test]
async fn who_hangs_up_in_the_middle_is_called_again() {
    let start = || vec![BANNER, Hear("EHLO"), PLAIN, Hear("MAIL"), Say("250 ok\r\n")];
    let mut first = start();
    first.extend([
        Hear("RCPT TO:<a@x>"),
        Say("550 no\r\n"),
        Hear("RCPT TO:<b@x>"),
        Say("421 enough\r\n"),
    ]);
    let mut second = start();
    second.extend([Hear("RCPT TO:<b@x>"), Say("550 no\r\n"), Hear("QUIT")]);
    let (address, heard) = serve(vec![first, second]);
    let pairs = envelopes(&[("", "a@x"), ("", "b@x")]);
    let talk = talk(Authority::new("one").trusted());
    let dialogue = offer(&server(address), &pairs, &talk).await;
    assert_eq!(dialogue.trouble, None);
    assert_eq!(codes(&dialogue), [550, 550]);
    heard.join().unwrap();
}

#[tokio::test]
async fn a_server_that_wants_tls_first_gets_it() {
    let ca = Authority::new("one");
    let config = ca.issue("mx.example.org", (2020, 2040)).server();
    let script = vec![
        BANNER,
        Hear("EHLO"),
        OFFER,
        Hear("MAIL"),
        Say("530 TLS first\r\n"),
        Hear("STARTTLS"),
        Say("220 go\r\n"),
        Step::Tls(config),
        Hear("EHLO"),
        PLAIN,
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT TO:<a@x>"),
        Say("250 ok\r\n"),
        Hear("QUIT"),
    ];
    let (address, heard) = serve(vec![script]);
    let pairs = envelopes(&[("", "a@x")]);
    let dialogue = offer(&server(address), &pairs, &talk(ca.trusted())).await;
    assert_eq!(codes(&dialogue), [250], "{:?}", dialogue.log);
    heard.join().unwrap();
}

#[tokio::test]
async fn no_name_makes_two_commands_of_one() {
    let (address, heard) = serve(vec![vec![BANNER, Hear("EHLO"), PLAIN, Hear("MAIL")]]);
    let pairs = envelopes(&[("a\r\nDATA", "a@x")]);
    let talk = talk(Authority::new("one").trusted());
    let dialogue = offer(&server(address), &pairs, &talk).await;
    assert!(dialogue.outcomes.is_empty());
    assert_eq!(heard.join().unwrap(), ["EHLO probe.example"]);
}
