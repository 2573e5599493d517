//! Received fields as servers write them, and as clients would have them read.

use super::*;

#[test]
fn the_forms_of_the_servers_in_use_are_read() {
    // The field, what the client said, the name of its address, the address, the server.
    let cases = [
        (
            "from a.example (b.example [192.0.2.1]) by mx.example (Postfix) with ESMTPS id 1",
            "a.example",
            "b.example",
            "192.0.2.1",
        ),
        (
            "from a.example (unknown [IPv6:2001:db8::1]) by mx.example (Postfix)",
            "a.example",
            "",
            "2001:db8::1",
        ),
        (
            "from [192.0.2.1] (unknown [192.0.2.1]) by mx.example",
            "[192.0.2.1]",
            "",
            "192.0.2.1",
        ),
        (
            "from b.example ([192.0.2.1] helo=a.example) by mx.example with esmtps (TLS1.3) tls (x) (Exim 4.96)",
            "a.example",
            "b.example",
            "192.0.2.1",
        ),
        (
            "from [192.0.2.1] (port=2525 helo=a.example) by mx.example with esmtp (Exim 4)",
            "a.example",
            "",
            "192.0.2.1",
        ),
        (
            "from a.example ([192.0.2.1]:2525) by mx.example",
            "a.example",
            "",
            "192.0.2.1",
        ),
        (
            "from a.example (root@b.example [192.0.2.1] (may be forged)) by mx.example (8.17/8.17)",
            "a.example",
            "b.example",
            "192.0.2.1",
        ),
        (
            "from a.example (2603:10a6:20b::1) by mx.example (2603::2) with Microsoft SMTP Server",
            "a.example",
            "",
            "2603:10a6:20b::1",
        ),
        (
            "from a.example (192.0.2.1) by mx.example (203.0.113.1) with Microsoft SMTP Server",
            "a.example",
            "",
            "192.0.2.1",
        ),
        (
            "from b.example (b.example. [192.0.2.1]) by mx.example with ESMTPS id x (version=TLS1_3)",
            "b.example",
            "b.example",
            "192.0.2.1",
        ),
        (
            "from unknown (HELO a.example) (192.0.2.1) by mx.example with SMTP",
            "a.example",
            "",
            "192.0.2.1",
        ),
        (
            "from b.example (HELO a.example) (joe@192.0.2.1) by mx.example with ESMTPA",
            "a.example",
            "b.example",
            "192.0.2.1",
        ),
        (
            "from [192.0.2.1] (account joe HELO a.example) by mx.example (CommuniGate Pro SMTP 6)",
            "a.example",
            "",
            "192.0.2.1",
        ),
        (
            "from [192.0.2.1] ([192.0.2.1:41000] helo=a.example) by mx.example (envelope-from <x@y>)",
            "a.example",
            "",
            "192.0.2.1",
        ),
        (
            "from [192.0.2.1] (a.example)\nby mx.example (chasquid) with ESMTPS\ntls TLS_AES_128_GCM_SHA256\n(over SMTP, TLS-1.3, envelope from \"x@y\")\n; date",
            "a.example",
            "",
            "192.0.2.1",
        ),
        (
            "from a.example (b.example [192.0.2.1]) by mx.example (Oracle Messaging Server 8.0 64bit (built Apr 26 2018)) with ESMTP id 1",
            "a.example",
            "b.example",
            "192.0.2.1",
        ),
        (
            "from a.example by mx.example with LMTP",
            "a.example",
            "",
            "",
        ),
        (
            "from b.example (LHLO a.example) (192.0.2.1) by mx.example with LMTP",
            "a.example",
            "b.example",
            "192.0.2.1",
        ),
        (
            "from a.example (b.example [192.0.2.1]) by mx.example (Dovecot) with LMTP id 1",
            "a.example",
            "b.example",
            "192.0.2.1",
        ),
        (
            "FROM a.example (b.example [192.0.2.1])\r\n\tBY mx.example",
            "a.example",
            "b.example",
            "192.0.2.1",
        ),
    ];
    for (field, helo, name, address) in cases {
        let found = Received::parse(field.as_bytes());
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let client = match address.parse() {
            Ok(address) if field.contains("LMTP") => Client::Delivery(address),
            Ok(address) => Client::Address(address),
            Err(_) => Client::Inside,
        };
        let expected = Received {
            helo: some(helo),
            name: some(name),
            client,
            is_users: field.contains("ESMTPA") || field.contains("account"),
            by: some("mx.example"),
        };
        assert_eq!(found, expected, "{field}");
    }
}

fn client(field: &str) -> Client {
    Received::parse(field.as_bytes()).client
}

fn address(field: &str) -> Option<String> {
    match client(field) {
        Client::Address(address) => Some(address.to_string()),
        Client::Delivery(_) | Client::Inside | Client::Submission | Client::Unknown(_) => None,
    }
}

#[test]
fn what_is_no_handover_gives_nothing() {
    for field in [
        "by mx.example with SMTP id 1; date",
        "by mx.example (Postfix) id 1; date",
        "(qmail 1 invoked from network); date",
        "(qmail 1 invoked by alias); date",
        "from mx.example by mx.example with LMTP id 1; date",
        "from mx ([unix socket]) by box (Cyrus v2.3) with LMTPA; date",
    ] {
        assert_eq!(client(field), Client::Inside, "{field}");
    }
    for field in [
        "by mx.example (Postfix, from userid 1001) id 1; date",
        "(from joe@localhost) by mx.example",
        "(qmail 1 invoked by uid 1000); date",
        "by mx.example with HTTP; date",
        "by mx.example (Postfix) with ESMTPSA id 1; date",
        "from localhost (localhost [127.0.0.1]) (uid 1000) by mx.example with local; date",
    ] {
        assert_eq!(client(field), Client::Submission, "{field}");
    }
    for field in [
        "by mx.example with SMTP id 1; date from a (b [192.0.2.1])",
        "from",
        "(((",
        "from (",
        "from )(",
        "from a (\\",
        "from a (b [192.0.2.1])",
        "from a by mx.example with ESMTP; date",
        "from a (unknown [unknown]) by mx.example (Postfix) with ESMTP; date",
        "from 192.0.2.1 by mx.example with ESMTP; date",
        "from [192.0.2.1] by mx.example with ESMTP; date",
        "from [192.0.2.1] (using TLSv1.3) by mx.example; date",
        "from a (joe at 192.0.2.1) by mx.example; date",
        "(x) from a (b [192.0.2.1]) by mx.example; date",
        "from a b (b [192.0.2.1]) by mx.example; date",
        "from a (\\) by mx.example (b [192.0.2.1]) by mx.example with LMTP; date",
        "from a (b [192.0.2.1]) by mx.example with LMTP by x; date",
        "(from joe) (@h [192.0.2.1]) by mx.example; date",
        "(qmail 1 invoked somehow); date",
        "by",
        "",
        ";",
        // Whose address is it?
        "from [192.0.2.1] ([192.0.2.2]) by mx.example; date",
        "from 192.0.2.1 ([192.0.2.2]) by mx.example; date",
        "from [192.0.2.1] (192.0.2.2) by mx.example with SMTP; date",
        "from [192.0.2.1] (x@192.0.2.2) by mx.example with SMTP; date",
        "from [192.0.2.1] (HELO [192.0.2.2]) by mx.example with SMTP; date",
        "from [192.0.2.1] (helo=[192.0.2.2]) by mx.example with SMTP; date",
        "from [192.0.2.1] by mx.example with SMTP for <\"(Exim )\"@b>; date",
        // A name that poses as what the client said.
        "from [192.0.2.1] (helo= [192.0.2.2]) by mx.example with esmtp (Exim 4.96); date",
        "from a (b helo=x y [192.0.2.2]) by mx.example; date",
    ] {
        let found = client(field);
        assert!(matches!(found, Client::Unknown(_)), "{field}: {found:?}");
    }
    let long = format!("from {} (b [192.0.2.1]) by mx", "x".repeat(5000));
    assert_eq!(client(&long), Client::Unknown(Obscurity::TooLong));
    let _ = Received::parse(&[0xff; 4000]);
    let _ = Received::parse("from é(é[é]é;".as_bytes());
}

#[test]
fn addresses_have_one_form() {
    for (written, read) in [
        ("[::ffff:8.8.8.66]", "8.8.8.66"),
        ("[IPv6:::ffff:8.8.8.66]", "8.8.8.66"),
        ("[IPv6:2a00::1%eth0]", "2a00::1"),
        ("[fe80::1%eth0]", "fe80::1"),
        ("[8.8.8.66]:2525", "8.8.8.66"),
    ] {
        let field = format!("from x (unknown {written}) by mx.example; date");
        assert_eq!(address(&field).as_deref(), Some(read), "{field}");
    }
}

/// How servers write what a client says, and whether they know its address where it says nothing odd.
const FORMS: [&str; 18] = [
    // Postfix, OpenSMTPD, Gmail
    "from {} (unknown [8.8.8.66]) by mx.example.org (Postfix) with ESMTP id 1; Sat, 21 Nov 2026",
    "from {} (h.example [8.8.8.66])\r\n\t(using TLSv1.3 (256/256 bits)\r\n\t key-exchange X25519)\r\n\t(No client certificate requested)\r\n\tby mx.example.org (Postfix) with ESMTPS id 1\r\n\tfor <a@b>; date",
    "from {} (h.example. [8.8.8.66]) by mx.example.org with ESMTPS id x-1.2 for <a@b> (version=TLS1_3); date",
    // Exim
    "from [8.8.8.66] (helo={}) by mx.example.org with esmtp (Exim 4.96) (envelope-from <a@b>) id 1; date",
    "from [8.8.8.66] (port=2525 helo={}) by mx.example.org with esmtp (Exim 4.96); date",
    "from [8.8.8.66] (port=2525 helo={} ident=joe) by mx.example.org with esmtp (Exim 4.96); date",
    "from h.example ([8.8.8.66] helo={}) by mx.example.org with esmtp (Exim 4.96); date",
    "from h.example ([8.8.8.66]:2525 helo={} ident=joe) by mx.example.org with esmtp (Exim 4.96); date",
    // qmail
    "from unknown (HELO {}) (8.8.8.66)\r\n  by mx.example.org with SMTP; date",
    "from h.example (HELO {}) (joe@8.8.8.66)\r\n  by mx.example.org with SMTP; date",
    // Sendmail, Courier
    "from {} (h.example [8.8.8.66] (may be forged)) by mx.example.org (8.17/8.17) with ESMTP id 1; date",
    "from {} (root@h.example [8.8.8.66])\r\n\t(authenticated bits=0) by mx.example.org (8.17/8.17) with ESMTP id 1; date",
    "from {} (h.example [::ffff:8.8.8.66])\r\n  (TLS: TLSv1.3,256bits) by mx.example.org with ESMTPS; date",
    // Exchange
    "from {} (8.8.8.66) by mx.example.org (203.0.113.1) with Microsoft SMTP Server id 15.20; date",
    "from {} ([8.8.8.66]) by mx.example.org with Microsoft SMTPSVC(6.0);\r\n\t date",
    // CommuniGate Pro
    "from [8.8.8.66] (HELO {}) by mx.example.org (CommuniGate Pro SMTP 6) with ESMTP id 1; date",
    "from [8.8.8.66] (account joe HELO {}) by mx.example.org (CommuniGate Pro SMTP 6); date",
    // chasquid
    "from [8.8.8.66] ({})\nby mx.example.org (chasquid) with ESMTP\n(over SMTP, plain text!, envelope from \"a@b\")\n; date",
];

/// How they write two texts of the client: HELO, and MAIL FROM, RCPT TO, its certificate, user or name.
const TWICE: [&str; 18] = [
    "from {} (h.example [8.8.8.66])\n\tby mx.example.org (Haraka/3.0.2) with ESMTP id AB\n\tenvelope-from <\"{}\"@c.example>; date",
    "from {} (unknown [8.8.8.66])\n\tby mx.example.org with ESMTP id AB envelope-from <\"{}\"@c.example>; date",
    "from {} (h [8.8.8.66]) by mx.example.org (Postfix) with ESMTP id 1 for <\"{}\"@c>; date",
    "from {} ([8.8.8.66]) by mx.example.org with ESMTP (envelope-from <\"{}\"@c>); date",
    "from {} (8.8.8.66) by mx.example.org with Microsoft SMTP Server for <\"{}\"@c>; date",
    "from {} ({} [8.8.8.66]) by mx.example.org with ESMTP; date",
    "from {} ({} [8.8.8.66] (may be forged)) by mx.example.org (8.17/8.17) with ESMTP; date",
    "from {} ({}@h.example [8.8.8.66]) by mx.example.org (8.17/8.17) with ESMTP; date",
    "from {} (h [8.8.8.66])\n\t(using TLSv1.3 (256/256 bits))\n\t(Client CN \"{}\", Issuer \"x\" (not verified))\n\tby mx.example.org (Postfix) with ESMTPS; date",
    "from {} (h [8.8.8.66]) (envelope-sender <\"{}\"@c>) by mx.example.org with SMTP; date",
    "from unknown (HELO {}) (8.8.8.66) by mx.example.org with SMTP for <\"{}\"@c>; date",
    "from unknown (HELO {}) ({}@8.8.8.66) by mx.example.org with SMTP; date",
    "from {} (HELO {}) (8.8.8.66) by mx.example.org with SMTP; date",
    "from [8.8.8.66] (helo={}) by mx.example.org with esmtp (Exim 4.96) (envelope-from <\"{}\"@c>) id 1; date",
    "from [8.8.8.66] (helo={} ident={}) by mx.example.org with esmtp (Exim 4.96) id 1; date",
    "from {} ([8.8.8.66] helo={}) by mx.example.org with esmtp (Exim 4.96) id 1; date",
    "from [8.8.8.66] (HELO {}) by mx.example.org (CommuniGate Pro SMTP 6) with ESMTP id 1 for \"{}\"@c; date",
    "from [8.8.8.66] ({})\nby mx.example.org (chasquid) with ESMTP\n(over SMTP, plain text!, envelope from \"\\\"{}\\\"@b\")\n; date",
];

/// How they write what a client answers of its user (RFC 1413).
const ASKED: [&str; 4] = [
    "from [9.9.9.9] ({}@h.example [8.8.8.66]) by mx.example.org (8.17/8.17) with ESMTP id 1; date",
    "from [9.9.9.9] ({}@[8.8.8.66]) by mx.example.org (8.17/8.17) with ESMTP id 1; date",
    "from unknown (HELO x) ({}@8.8.8.66)\r\n  by mx.example.org with SMTP; date",
    "from h.example ([8.8.8.66] ident={}) by mx.example.org with esmtp (Exim 4.96); date",
];

/// How they write a client with a reverse name of its choice, `NAME`, and its HELO beside its certificate or login.
const NAMED: [&str; 6] = [
    "from {} (NAME [8.8.8.66]) (using TLSv1.3 with cipher X (256/256 bits)) (Client CN \"{}\", Issuer \"x\" (not verified)) by mx.example.org (Postfix) with ESMTPS id 1; date",
    "from {} (NAME [8.8.8.66]) (Authenticated sender: {}) by mx.example.org (Postfix) with ESMTPSA id 1; date",
    "from {} (NAME [8.8.8.66]) (authenticated bits=0 user={}) by mx.example.org (8.17/8.17) with ESMTPA id 1; date",
    "from {} (NAME [::ffff:8.8.8.66]) (AUTH: LOGIN {}) by mx.example.org with ESMTPSA; date",
    "from {} (NAME [8.8.8.66]) (envelope-sender <\"{}\"@c>) by mx.example.org with SMTP; date",
    "from NAME (HELO {}) ({}@8.8.8.66) by mx.example.org with SMTP; date",
];

/// Names that mean something else.
const NAMES: [&str; 8] = [
    "helo", "ehlo", "lhlo", "HELO", "by", "ident", "account", "unknown",
];

/// What such a client may say.
const SAID: [&str; 24] = [
    "[9.9.9.9]",
    "9.9.9.9",
    "[IPv6:2a00::9]",
    "by",
    "from",
    "mail.bank.example",
    "x;y",
    "x (mail.bank.example [9.9.9.9])",
    "x (mail.bank.example [9.9.9.9]) by mx.example.org; date",
    "x (mail.bank.example [9.9.9.9]) by mx.example.org (",
    "x (mail.bank.example [9.9.9.9]) by mx.example.org; (",
    "[9.9.9.9] (helo=x",
    "[9.9.9.9] (helo=x)",
    "[9.9.9.9] (helo=x) by mx.example.org",
    "x) (mail.bank.example [9.9.9.9]",
    "x) ([9.9.9.9]) (\\",
    "x y) ([9.9.9.9]",
    "x) (9.9.9.9",
    "x@9.9.9.9",
    "\"(\" [9.9.9.9]",
    "x \\",
    "[8.8.8.67] ident=[9.9.9.9]",
    "x helo=[9.9.9.9] HELO [9.9.9.9]",
    "x with LMTP by",
];

#[test]
fn the_client_has_no_say_in_its_address() {
    for form in FORMS {
        let plain = form.replace("{}", "mail.example");
        assert_eq!(address(&plain).as_deref(), Some("8.8.8.66"), "{plain}");
        for said in SAID {
            let field = form.replace("{}", said);
            let found = client(&field);
            let right = found == Client::Address("8.8.8.66".parse().unwrap());
            assert!(
                right || matches!(found, Client::Unknown(_)),
                "{field}: {found:?}"
            );
        }
        // What clients may really say, and servers let through, costs no address.
        for said in [
            "[9.9.9.9]",
            "9.9.9.9",
            "by",
            "from",
            "x_y",
            "[IPv6:2a00::9]",
        ] {
            let field = form.replace("{}", said);
            let known = address(&field);
            assert_eq!(known.as_deref(), Some("8.8.8.66"), "{field}");
        }
    }
}

#[test]
fn whatever_a_client_says_its_address_is_the_servers() {
    const PARTS: [&str; 38] = [
        "[9.9.9.9]",
        "9.9.9.9",
        "by",
        "from",
        "(",
        ")",
        "(",
        ")",
        ";",
        "\\",
        "\"",
        "helo=",
        "ident=",
        "port=25",
        "HELO",
        "account",
        "unknown",
        " ",
        " ",
        " ",
        "@",
        "with",
        "LMTP",
        "Exim ",
        "mx",
        "=",
        "%",
        "\r\n\t",
        "(h[9.9.9.9])",
        "(helo=x",
        "(HELO",
        "may be forged",
        ") by mx with LMTP ",
        " by mx.example.org ",
        "]",
        "(from [9.9.9.9])",
        "(using ",
        "LHLO x",
    ];
    let named = NAMES
        .iter()
        .flat_map(|name| NAMED.map(|form| form.replace("NAME", name)));
    let named: Vec<String> = named.collect();
    let forms = [FORMS.as_slice(), &ASKED, &TWICE, &TWICE].concat();
    let forms: Vec<&str> = forms
        .into_iter()
        .chain(named.iter().map(String::as_str))
        .collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    for _ in 0..250_000 {
        let mut said = || -> String {
            let count = 1 + below(8);
            (0..count).map(|_| PARTS[below(PARTS.len())]).collect()
        };
        let (first, second) = (said(), said());
        let form = forms[below(forms.len())];
        let field = form.replacen("{}", &first, 1).replacen("{}", &second, 1);
        let found = client(&field);
        let right = found == Client::Address("8.8.8.66".parse().unwrap());
        assert!(
            right || matches!(found, Client::Unknown(_)),
            "{field}: {found:?}"
        );
    }
}

#[test]
fn a_client_that_is_called_as_a_greeting_is_not_taken_for_what_it_said() {
    for field in [
        "from a (helo [8.8.8.66]) (using TLSv1.3 (256/256 bits)) (Client CN \"[9.9.9.9]\", Issuer \"x\" (not verified)) by mx.example.org (Postfix) with ESMTPS id 1; date",
        "from helo=x (lhlo [8.8.8.66]) (authenticated bits=0 user=from [9.9.9.9]local) by mx.example.org (8.17/8.17) with ESMTPA; date",
        "from x (lhlo [::ffff:8.8.8.66]) (AUTH: LOGIN [IPv6:2620:fe::9]) by mx.example.org with ESMTPA; date",
        "from x (EHLO [8.8.8.66]) (AUTH: LOGIN x@9.9.9.9) ([9.9.9.9]) by mx.example.org with ESMTPA; date",
        "from [9.9.9.9] (helo [8.8.8.66]) by mx.example.org with LMTP; date",
    ] {
        let found = client(field);
        assert_eq!(found, Client::Unknown(Obscurity::Ambiguous), "{field}");
    }
    for name in ["helo", "h.example"] {
        for address_of in ["8.8.8.66", "x@8.8.8.66", "[8.8.8.66]", "[::ffff:8.8.8.66]"] {
            let field = format!(
                "from {name} (HELO [9.9.9.9]) ({address_of}) by mx.example.org with SMTP; date"
            );
            assert_eq!(address(&field).as_deref(), Some("8.8.8.66"), "{field}");
        }
    }
}

#[test]
fn a_login_is_what_the_server_says_of_it() {
    for field in [
        "from w (localhost [127.0.0.1]) by mx.example (Postfix) with ESMTPSA id 1; date",
        "from [127.0.0.1] (helo=w) by mx.example with esmtpsa (Exim 4.96); date",
        "from w (localhost [127.0.0.1]) (Authenticated sender: m) by mx.example (Postfix) with ESMTPS; date",
        "from w (localhost [127.0.0.1]) (authenticated bits=0) by mx.example (8.17/8.17) with ESMTP; date",
        "from w (localhost [::ffff:127.0.0.1]) (AUTH: LOGIN m) by mx.example with ESMTP; date",
        "from [127.0.0.1] (account m HELO w) by mx.example (CommuniGate Pro SMTP 6) with ESMTP; date",
        "from localhost ([127.0.0.1]) by mx.example with HTTP; date",
    ] {
        let found = Received::parse(field.as_bytes());
        let is_users = (found.client, found.is_users);
        let expected = Client::Address(IpAddr::from([127, 0, 0, 1]));
        assert_eq!(is_users, (expected, true), "{field}");
    }
    for field in [
        "from authenticated (authenticated [10.0.0.1]) by mx.example (Postfix) with ESMTPS; date",
        "from x (h [10.0.0.1]) by mx.example with ESMTP (envelope-from <ESMTPSA@x>); date",
        "from x (h [10.0.0.1]) (Client CN \"auth: x\", Issuer \"x\" (verified OK)) by mx.example with ESMTPS; date",
        "from mx (localhost [127.0.0.1]) by box (Cyrus v2.3) with LMTPA; date",
    ] {
        assert!(!Received::parse(field.as_bytes()).is_users, "{field}");
    }
}

#[test]
fn two_texts_of_a_client_make_no_field() {
    for field in [
        "from [9.9.9.9](helo=x (h [8.8.8.66]) by mx.example.org (Haraka/3.0.2) with ESMTP id AB envelope-from <\") by mx.example.org with LMTP \"@evil.example>; date",
        "from x(h[9.9.9.9])(helo= (h [8.8.8.66]) by mx.example.org (Haraka/3.0.2) with ESMTP id AB envelope-from <\") by mx.example.org \"@evil.example>; date",
        "from x(h[9.9.9.9])(helo= (h [8.8.8.66]) by mx.example.org with ESMTP for <\") by mx.example.org \"@evil.example>; date",
        "from x(h[9.9.9.9]) by mx.example.org ( by mx.example.org with ESMTP for <\")\"@evil.example>; date",
        "from x (h[9.9.9.9])(HELO [8.8.8.66]) by mx.example.org with ESMTP; date",
        "from x (h[9.9.9.9])(helo=[8.8.8.66]) by mx.example.org with ESMTP; date",
        "from x (h[9.9.9.9])(HELO 8.8.8.66) by mx.example.org with ESMTP; date",
        "from [9.9.9.9](a ] (may be forged)) (HELO [8.8.8.66]) by mx.example.org with ESMTP; date",
        "from x([9.9.9.9])(z ] (may be forged)) (helo= [8.8.8.66]) by mx.example.org with ESMTP; date",
    ] {
        let found = client(field);
        assert!(matches!(found, Client::Unknown(_)), "{field}: {found:?}");
    }
    for form in TWICE {
        let plain = form.replacen("{}", "h.example", 1).replacen("{}", "a", 1);
        assert_eq!(address(&plain).as_deref(), Some("8.8.8.66"), "{plain}");
    }
}

#[test]
fn a_client_that_answers_for_its_user_has_no_say_either() {
    for user in [
        "helo=",
        "helo=x",
        "HELO x",
        "account a HELO x",
        "port=1",
        "ident=",
        "[9.9.9.9]",
        "9.9.9.9",
    ] {
        for form in ASKED {
            let field = form.replace("{}", user);
            assert_ne!(address(&field).as_deref(), Some("9.9.9.9"), "{field}");
        }
    }
}

#[test]
fn a_client_that_said_nothing_stands_in_a_comment() {
    let field = "(from h.example [8.8.8.66]) by mx.example.org (8.17/8.17) with SMTP id 1; date";
    assert_eq!(address(field).as_deref(), Some("8.8.8.66"));
    assert_eq!(Received::parse(field.as_bytes()).helo, None);
}

#[test]
fn behind_a_literal_stands_a_port_or_nothing() {
    for (said, expected) in [
        ("[8.8.8.66]", Some("8.8.8.66")),
        ("[8.8.8.66]:2525", Some("8.8.8.66")),
        ("[127.0.0.1]anything", None),
        ("[127.0.0.1]:", None),
        ("[127.0.0.1]:x", None),
        ("[127.0.0.1]:99999", None),
    ] {
        let field = format!("from {said} (helo=x) by mx.example with esmtp (Exim 4.96) id 1; date");
        assert_eq!(address(&field).as_deref(), expected, "{field}");
    }
    // Where a server wrote an address of its own, another one is too many, whatever stands behind it.
    let field = "from [9.9.9.9]x (h [8.8.8.66]) by mx.example with ESMTP; date";
    assert_eq!(address(field), address(&field.replace("]x", "]")));
}
