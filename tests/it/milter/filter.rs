//! What the filter decides, signs and verifies.

use std::time::{Duration, Instant};

use dkimkit::keystore::KeyState;
use dkimkit::milter::wire::Reply;
use dkimkit::report::ResultWord;

use super::world::{ANNA, Client, Done, LOCAL, STRANGER, World};
use crate::nameserver::{self, Script};

const VERIFYING: &str =
    "[verifying]\nauthserv_id = \"mx.example.org\"\nnameservers = [NS]\ndns_timeout = \"1s\"\n";

fn message(from: &str) -> String {
    format!(
        "From: {from}\r\nTo: b@example.org\r\nSubject: one\r\n\ttwo\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n\
         Message-ID: <1@example.com>\r\n\r\nHello  there\r\n\r\n"
    )
}

/// The message as text, with fields before it.
fn with(fields: &str, message: &str) -> String {
    format!("{fields}{message}")
}

fn leaves(done: &Done) -> String {
    String::from_utf8(done.message.clone()).unwrap()
}

#[test]
fn what_is_ours_is_signed_and_verifies() {
    let world = World::new(&format!(
        "[signing]\nmacros = {{ daemon_name = [\"ORIGINATING\", \"sub\"] }}\n{VERIFYING}"
    ));
    let ours = message("Anna <anna@example.com>");
    let daemon = |value| Client {
        macros: match value {
            "ORIGINATING" => &[("{daemon_name}", "ORIGINATING")],
            _ => &[("{daemon_name}", "smtpd")],
        },
        ..STRANGER
    };
    for client in [
        ANNA,
        LOCAL,
        daemon("ORIGINATING"),
        Client {
            ip: "::1",
            ..STRANGER
        },
    ] {
        let done = world.mail(client, &ours);
        assert_eq!(done.told(), "signed a");
        assert_eq!(done.reply, Reply::Accept);
        assert_eq!(done.inserted.len(), 1);
        assert!(done.inserted[0].starts_with("DKIM-Signature: v=1; a=ed25519-sha256; "));
        assert_eq!(world.verdict(&done), ResultWord::Pass, "{done:?}");
        assert_eq!(done.get("queue_id"), "4XyZ");
        assert_eq!(done.get("domain"), "example.com");
    }
    for client in [
        STRANGER,
        daemon("smtpd"),
        Client {
            ip: "::ffff:192.0.2.1",
            ..STRANGER
        },
    ] {
        assert_eq!(world.mail(client, &ours).told(), "verified none");
    }
    // IPv4 is IPv4 in whatever clothes.
    let mapped = Client {
        ip: "::ffff:127.0.0.1",
        ..STRANGER
    };
    assert_eq!(world.mail(mapped, &ours).told(), "signed a");
}

#[test]
fn the_author_decides_which_key() {
    let world = World::new("[verifying]\nnameservers = [NS]\n");
    for (from, told) in [
        ("a@example.com", "signed a"),
        ("a@EXAMPLE.net", "signed b"),
        ("a@sub.example.com", "signed a"),
        ("a@example.org", "unsigned no-key"),
        ("a@com", "unsigned no-key"),
        ("a@fexample.com", "unsigned no-key"),
        ("a@example.com, b@example.com", "signed a"),
        ("a@example.com, b@sub.example.com", "signed a"),
        ("a@example.com, b@example.org", "unsigned not-aligned"),
        (
            "a@example.com <b@example.org>",
            "unsigned author-unreadable",
        ),
        ("nobody", "unsigned author-unreadable"),
        ("\"a@example.com\" <b@example.org>", "unsigned no-key"),
        (
            "a@example.com\r\nFrom: b@example.com",
            "unsigned several-from",
        ),
        (
            "a@example.com\rFrom: b@example.com",
            "unsigned author-unreadable",
        ),
    ] {
        let done = world.mail(ANNA, &message(from));
        assert_eq!(done.told(), told, "{from}");
        assert_eq!(done.reply, Reply::Accept, "{from}");
        assert_eq!(
            done.inserted.is_empty(),
            !told.starts_with("signed"),
            "{from}"
        );
    }
    let without = message("x").replace("From: x\r\n", "");
    assert_eq!(world.mail(ANNA, &without).told(), "unsigned no-from");
    let world = World::new("[signing]\nsubdomains = false\n[verifying]\nnameservers = [NS]\n");
    assert_eq!(
        world.mail(ANNA, &message("a@sub.example.com")).told(),
        "unsigned no-key"
    );
}

#[test]
fn a_login_signs_only_as_whom_it_may() {
    let world = World::new(
        "[signing]\non_sender_mismatch = \"reject\"\n[verifying]\nnameservers = [NS]\n\
         [sender_login]\nanna = [\"anna@example.com\", \"example.net\"]\n",
    );
    for (from, told) in [
        ("anna@example.com", "signed a"),
        ("any@example.net", "signed b"),
        ("ceo@example.com", "unsigned sender-mismatch"),
        // One who may and one who may not.
        (
            "anna@example.com, ceo@example.com",
            "unsigned sender-mismatch",
        ),
    ] {
        let done = world.mail(ANNA, &message(from));
        assert_eq!(done.told(), told, "{from}");
        let refused =
            matches!(&done.reply, Reply::Text(text) if text.to_string().starts_with("550 5.7.1 "));
        assert_eq!(refused, told.starts_with("unsigned"), "{:?}", done.reply);
    }
    // The table is about logins.
    assert_eq!(
        world.mail(LOCAL, &message("ceo@example.com")).told(),
        "signed a"
    );
}

#[test]
fn rules_take_the_place_of_the_store() {
    let world = World::new(
        "[verifying]\nnameservers = [NS]\n\
         [[signing.rule]]\nfrom = \"news@example.com\"\ndomain = \"example.net\"\nidentity = \"news@example.net\"\n\
         [[signing.rule]]\nfrom = \"example.com\"\nselector = \"a\"\nidentity = \"@%\"\n\
         [[signing.rule]]\nfrom = \"example.edu\"\ndomain = \"example.org\"\n\
         [[signing.rule]]\nfrom = \"example.info\"\ndomain = \"example.com\"\nselector = \"old\"\n",
    );
    let done = world.mail(ANNA, &message("news@example.com"));
    assert_eq!(
        (done.told().as_str(), done.get("domain")),
        ("signed b", "example.net")
    );
    assert!(done.inserted[0].contains("i=news@example.net"), "{done:?}");
    let done = world.mail(ANNA, &message("anna@example.com"));
    assert!(done.inserted[0].contains("i=@example.com"), "{done:?}");
    assert_eq!(world.verdict(&done), ResultWord::Pass);
    // A domain that has a key, and no rule.
    assert_eq!(
        world.mail(ANNA, &message("a@example.net")).told(),
        "unsigned no-rule"
    );
    // Nobody may sign for a From that hides another author, whatever a rule says.
    assert_eq!(
        world
            .mail(ANNA, &message("news@example.com <x@example.org>"))
            .told(),
        "unsigned author-unreadable"
    );
    // A rule that names what is not there is a mistake, and the mail waits for its mend.
    for from in ["a@example.edu", "a@example.info"] {
        let done = world.mail(ANNA, &message(from));
        assert_eq!(done.told(), "unsigned key-unusable", "{from}");
        assert!(
            matches!(&done.reply, Reply::Text(text) if text.to_string().starts_with("451 4.3.5 "))
        );
    }
}

#[test]
fn a_rule_for_everybody_signs_for_whom_there_is_a_key() {
    let world = World::new("[verifying]\nnameservers = [NS]\n[[signing.rule]]\nfrom = \"*\"\n");
    assert_eq!(
        world.mail(ANNA, &message("a@example.net")).told(),
        "signed b"
    );
    assert_eq!(
        world.mail(ANNA, &message("a@example.org")).told(),
        "unsigned no-key"
    );
    // A selector that a rule names and that does not sign any more is no reason to let mail leave unsigned.
    let rule = "[[signing.rule]]\nfrom = \"*\"\ndomain = \"example.com\"\nselector = \"a\"\n";
    let world = World::new(&format!("[verifying]\nnameservers = [NS]\n{rule}"));
    assert_eq!(
        world.mail(ANNA, &message("a@example.com")).told(),
        "signed a"
    );
    world.state("example.com", "a", KeyState::Retired);
    world.add("example.com", "c", true);
    world.reload();
    assert_eq!(
        world.mail(ANNA, &message("a@example.com")).told(),
        "unsigned key-unusable"
    );
}

#[test]
fn a_name_that_sendmail_does_not_confirm_is_none() {
    let world = World::new(
        "peers = [\"!bad.example\", \"198.51.100.0/24\"]\n\
         [signing]\ntrusted_networks = [\".example.com\"]\n[verifying]\nnameservers = [NS]\n",
    );
    let named = |macros| Client {
        name: "mx.example.com",
        macros,
        ..STRANGER
    };
    let text = message("a@example.com");
    assert_eq!(world.mail(named(&[]), &text).told(), "signed a");
    assert_eq!(
        world
            .mail(named(&[("{client_resolve}", "OK")]), &text)
            .told(),
        "signed a"
    );
    assert_eq!(
        world
            .mail(named(&[("{client_resolve}", "FORGED")]), &text)
            .told(),
        "verified none"
    );
    let of = |name| Client {
        ip: "198.51.100.7",
        name,
        ..STRANGER
    };
    assert_eq!(
        world.mail(of("good.example"), &text).told(),
        "untouched peer"
    );
    assert_eq!(world.mail(of("bad.example"), &text).told(), "verified none");
}

#[test]
fn a_store_that_cannot_be_read_lets_nothing_leave_unsigned() {
    let world = World::new("[verifying]\nnameservers = [NS]\n");
    let dir = world.store().dir().to_owned();
    let away = dir.with_file_name("away");
    std::fs::rename(&dir, &away).unwrap();
    world.reload();
    // What was known is better than nothing.
    assert_eq!(
        world.mail(ANNA, &message("a@example.com")).told(),
        "signed a"
    );
    assert!(world.filter.live().keyring().troubles()[0].contains("no such directory"));
    std::fs::rename(&away, &dir).unwrap();
    world.reload();
    assert!(world.filter.live().keyring().troubles().is_empty());
    let config = "keys = \"nowhere\"\n[verifying]\nnameservers = [NS]\n";
    let done = World::new(config).mail(ANNA, &message("a@example.com"));
    assert_eq!(done.told(), "unsigned key-unusable");
}

#[test]
fn a_state_of_a_key_counts_from_the_next_load_on() {
    let world = World::new("[verifying]\nnameservers = [NS]\n");
    let ours = message("a@example.com");
    world.add("example.com", "c", false);
    world.reload();
    assert_eq!(world.mail(ANNA, &ours).told(), "signed a");
    world.state("example.com", "c", KeyState::Active);
    world.reload();
    let both = world.mail(ANNA, &ours);
    assert_eq!(both.inserted.len(), 2, "{both:?}");
    world.state("example.com", "a", KeyState::Retired);
    world.reload();
    assert_eq!(world.mail(ANNA, &ours).told(), "signed c");
    // A key that is retired while a message is under way does not sign it any more.
    world.add("example.com", "d", true);
    let done = world.mail_meanwhile(ANNA, ours.as_bytes(), || {
        world.state("example.com", "c", KeyState::Retired);
        world.reload();
    });
    assert_eq!(done.told(), "signed d");
    assert_eq!(world.verdict(&done), ResultWord::Pass);
    let done = world.mail_meanwhile(ANNA, ours.as_bytes(), || {
        world.state("example.com", "d", KeyState::Revoked);
        world.reload();
    });
    assert_eq!(done.told(), "unsigned no-key");
    assert!(done.inserted.is_empty());
}

#[test]
fn a_key_that_cannot_be_read_defers_the_mail_of_its_domain_alone() {
    let world = World::new("[verifying]\nnameservers = [NS]\n");
    let pem = world
        .store()
        .pem_path(&"example.com".parse().unwrap(), &"a".parse().unwrap());
    std::fs::write(&pem, "no key").unwrap();
    world.reload();
    assert!(!world.filter.live().keyring().troubles().is_empty());
    let done = world.mail(ANNA, &message("a@example.com"));
    assert_eq!(done.told(), "unsigned key-unusable");
    assert!(matches!(&done.reply, Reply::Text(text) if text.to_string().starts_with("451 ")));
    assert_eq!(
        world.mail(ANNA, &message("a@example.net")).told(),
        "signed b"
    );
}

#[test]
fn what_was_signed_is_not_signed_again_unless_it_was_changed() {
    let world = World::new("[verifying]\nnameservers = [NS]\n");
    let once = leaves(&world.mail(ANNA, &message("a@example.com")));
    assert_eq!(world.mail(LOCAL, &once).told(), "unsigned already-signed");
    let changed = once.replace("Hello", "Hallo");
    let again = world.mail(LOCAL, &changed);
    assert_eq!(again.told(), "signed a");
    assert_eq!(world.verdict(&again), ResultWord::Pass);
    // A field in our name that nobody signed.
    let forged = with(
        "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=a; h=from; bh=Zm9v; b=Zm9v\r\n",
        &message("a@example.com"),
    );
    assert_eq!(world.mail(LOCAL, &forged).told(), "signed a");
    // One of a stranger's is none of ours.
    let other = leaves(&world.mail(ANNA, &message("a@example.net")))
        .replace("a@example.net", "a@example.com");
    assert_eq!(world.mail(LOCAL, &other).told(), "signed a");
}

#[test]
fn a_stranger_gets_a_verdict() {
    let world = World::new(VERIFYING);
    let signed = leaves(&world.mail(ANNA, &message("a@example.com")));
    let done = world.mail(STRANGER, &signed);
    assert_eq!(done.told(), "verified a");
    assert_eq!(
        (done.get("dkim"), done.get("uses_our_name")),
        ("pass", "example.com")
    );
    assert!(
        done.inserted[0].starts_with("Authentication-Results: mx.example.org;\r\n\tdkim=pass "),
        "{done:?}"
    );
    let tampered = world.mail(STRANGER, &signed.replace("Hello", "Hallo"));
    assert_eq!(
        (tampered.get("dkim"), tampered.get("reason")),
        ("fail", "body-hash-mismatch")
    );
    assert!(tampered.inserted[0].contains("dkim=fail"));
    let unsigned = world.mail(STRANGER, &message("a@example.org"));
    assert_eq!(
        (unsigned.get("dkim"), unsigned.get("uses_our_name")),
        ("none", "-")
    );
    // The key is asked for once.
    let name = "a._domainkey.example.com.";
    assert_eq!(world.server.asked(name, nameserver::Transport::Udp), 1);
    let header = "no field\r\n";
    let broken = world.mail(
        STRANGER,
        &message("a@example.org").replace(
            "Subject: one\r\n\ttwo\r\n",
            &format!("Sub ject: x{header}\r\n"),
        ),
    );
    assert_eq!(
        (broken.get("dkim"), broken.get("reason")),
        ("permerror", "malformed-header")
    );
    assert_eq!(broken.inserted.len(), 1);
}

#[test]
fn fields_that_claim_to_be_ours_are_removed_from_the_bottom_up() {
    let world = World::new(&format!("{VERIFYING}remove_ids = [\"old.example.org\"]\n"));
    let fields = "Authentication-Results: other.example; dkim=pass\r\n\
         Authentication-Results: mx.example.org; dkim=pass\r\n\
         authentication-results: (c) MX.EXAMPLE.ORG 1; dkim=pass\r\n\
         Authentication-Results: mx.example.org.evil.example; dkim=pass\r\n\
         Authentication-Results:\r\n\t\"mx.example.org\"\r\n\t; dkim=pass\r\n\
         X: y\r\n\
         AUTHENTICATION-RESULTS: old.example.org; none\r\n";
    let text = with(fields, &message("a@example.org"));
    let done = world.mail(STRANGER, &text);
    let numbers: Vec<u32> = done.deleted.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, [6, 5, 3, 2]);
    let rest = leaves(&done);
    let expected = "\r\nAuthentication-Results: other.example; dkim=pass\r\n\
         Authentication-Results: mx.example.org.evil.example; dkim=pass\r\nX: y\r\nFrom: ";
    assert!(rest.contains(expected), "{rest}");
    assert_eq!(done.get("forged_results_removed"), "4");
    // However large the header is, and whatever else is wrong with it.
    for more in [
        "no field: y\r\n".to_owned(),
        "X: y\r\n".repeat(10_001),
        format!("X: {}\r\n", "y".repeat(500_000)).repeat(5),
    ] {
        let done = world.mail(
            STRANGER,
            &with(fields, &message("a@example.org")).replace("X: y\r\n", &more),
        );
        assert_eq!((done.get("dkim"), done.deleted.len()), ("permerror", 4));
        assert_eq!(done.inserted.len(), 1);
    }
    // Who logs in may not forge either; what passes through our own machines bears what we found before.
    let text = with(fields, &message("a@example.com"));
    assert_eq!(world.mail(ANNA, &text).deleted.len(), 4);
    assert_eq!(world.mail(LOCAL, &text).deleted.len(), 0);
}

#[test]
fn fields_that_carry_a_hidden_one_in_our_name_are_removed() {
    let world = World::new(VERIFYING);
    let fields = "X: y\r\n\
         x: z\rAuthentication-Results: mx.example.org; dkim=pass\r\n\
         X: y\rAuthentication-Results: other.example; dkim=pass\r\n\
         X : \rauthentication-results : MX.example.org; dkim=pass\r\n\
         Authentication-Results: other.example; none\rAuthentication-Results: mx.example.org; none\r\n\
         Authentication-Results: mx.example.org\r\n\
         X: y\r\n Authentication-Results: mx.example.org; dkim=pass\r\n";
    let done = world.mail(STRANGER, &with(fields, &message("a@example.org")));
    let deleted: Vec<(&str, u32)> = done.deleted.iter().map(|(n, at)| (&**n, *at)).collect();
    let results = "Authentication-Results";
    assert_eq!(deleted, [(results, 2), (results, 1), ("X", 4), ("x", 2)]);
    let expected = "\r\nX: y\r\nX: y\rAuthentication-Results: other.example; dkim=pass\r\n\
         X: y\r\n Authentication-Results: mx.example.org; dkim=pass\r\nFrom: ";
    assert!(leaves(&done).contains(expected), "{done:?}");
    assert_eq!(done.get("forged_results_removed"), "4");
    let text = with(fields, &message("a@example.com"));
    assert_eq!(world.mail(ANNA, &text).deleted.len(), 4);
    assert_eq!(world.mail(LOCAL, &text).deleted.len(), 0);
}

#[test]
fn actions_go_by_reason_before_result() {
    let world = World::new(&format!(
        "{VERIFYING}[verifying.actions]\nnone = \"quarantine\"\nfail = \"reject\"\npermerror = \"reject\"\n\
         key-not-found = \"tempfail\"\nmalformed-header = \"reject\"\n"
    ));
    let signed = leaves(&world.mail(ANNA, &message("a@example.com")));
    assert_eq!(world.mail(STRANGER, &signed).reply, Reply::Accept);
    let held = world.mail(STRANGER, &message("a@example.org"));
    assert!(held.quarantine && held.reply == Reply::Accept);
    assert_eq!(held.get("action"), "quarantine");
    let refused = |text: &str, code: &str| {
        let done = world.mail(STRANGER, text);
        let Reply::Text(reply) = &done.reply else {
            panic!("{done:?}")
        };
        assert!(reply.to_string().starts_with(code), "{reply}");
        assert!(done.inserted.is_empty() && done.message == text.as_bytes());
    };
    refused(&signed.replace("Hello", "Hallo"), "550 5.7.20 DKIM: fail");
    refused(&signed.replace("s=a;", "s=none;"), "451 4.7.20 DKIM: ");
}

#[test]
fn peers_and_modes_leave_mail_alone() {
    let world = World::new(
        "peers = [\"192.0.2.0/24\", \"!192.0.2.77\", \".peer.example\"]\n[verifying]\nnameservers = [NS]\n",
    );
    let text = message("a@example.com");
    for (client, told) in [
        (ANNA, "untouched peer"),
        (
            Client {
                ip: "192.0.2.77",
                ..ANNA
            },
            "signed a",
        ),
        (
            Client {
                ip: "203.0.113.1",
                name: "mx.peer.example",
                ..STRANGER
            },
            "untouched peer",
        ),
        (
            Client {
                ip: "203.0.113.1",
                name: "peer.example",
                ..STRANGER
            },
            "verified none",
        ),
    ] {
        assert_eq!(world.mail(client, &text).told(), told);
    }
    let world = World::new("mode = \"sign\"\n[verifying]\nnameservers = [NS]\n");
    assert_eq!(world.mail(ANNA, &text).told(), "signed a");
    assert_eq!(
        world.mail(STRANGER, &text).told(),
        "untouched verifying-off"
    );
    let world = World::new("mode = \"verify\"\n[verifying]\nnameservers = [NS]\n");
    assert_eq!(world.mail(ANNA, &text).told(), "untouched signing-off");
    assert_eq!(world.mail(STRANGER, &text).told(), "verified none");
}

#[test]
fn dns_that_fails_is_a_temporary_error() {
    let dead = "[verifying]\nauthserv_id = \"mx.example.org\"\nnameservers = [\"127.0.0.1:9\"]\ndns_timeout = \"300ms\"\n[verifying.actions]\ntemperror = \"tempfail\"\n";
    let world = World::new(dead);
    let signed = leaves(&world.mail(ANNA, &message("a@example.com")));
    let done = world.mail(STRANGER, &signed);
    assert_eq!(
        (done.get("dkim"), done.get("action")),
        ("temperror", "tempfail")
    );
}

#[test]
fn names_that_nobody_answers_for_delay_no_other_message() {
    let silence =
        |script: Script| script.on("*._domainkey.slow.example.", nameserver::Reply::Silence);
    let config = VERIFYING.replace("1s", "2s");
    let world = World::with_names(&config, silence);
    let good = leaves(&world.mail(ANNA, &message("a@example.com")));
    let slow = |at: usize| {
        let (body, b) = ("A".repeat(43) + "=", "A".repeat(172));
        let sign = |nth| {
            format!(
                "DKIM-Signature: v=1; a=rsa-sha256; d=slow.example; s=s{at}-{nth}; h=from; bh={body}; b={b}\r\n"
            )
        };
        let fields: String = (0..20).map(sign).collect();
        with(&fields, &message("a@slow.example"))
    };
    std::thread::scope(|scope| {
        let slow_ones: Vec<_> = (0..50)
            .map(|at| {
                let (world, text, began) = (&world, slow(at), Instant::now());
                scope.spawn(move || (world.mail(STRANGER, &text), began.elapsed()))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        let done = world.mail(STRANGER, &good);
        assert!(done.inserted[0].contains("dkim=pass"), "{done:?}");
        assert!(began.elapsed() < Duration::from_secs(1));
        // Fifty for one owner, and the good one.
        assert_eq!(world.server.names_asked(), 51);
        for slow in slow_ones {
            let (done, took) = slow.join().unwrap();
            assert!(done.inserted[0].contains("dkim=temperror"), "{done:?}");
            assert!(took < Duration::from_secs(4), "{took:?}");
        }
    });
}

#[test]
fn every_rule_that_was_looked_at_is_told() {
    let world = World::new(
        "[signing]\nmacros = { daemon_name = \"ORIGINATING\" }\n[verifying]\nnameservers = [NS]\n",
    );
    let done = world.mail(ANNA, &message("a@deep.sub.example.org"));
    assert_eq!(
        done.get("why"),
        "logged in as anna; From is a@deep.sub.example.org; \
         there is no [sender_login], so that every login may use every author; \
         there is no key for deep.sub.example.org; there is no key for sub.example.org; \
         there is no key for example.org"
    );
    let done = world.mail(STRANGER, &message("a@example.com"));
    assert_eq!(
        done.get("why"),
        "not logged in; 192.0.2.9 is not in trusted_networks; there is no macro daemon_name"
    );
}
