use super::*;

fn parse(text: &str) -> Result<Config, String> {
    let text = format!("listen = \"inet:8891@127.0.0.1\"\n{text}");
    Config::parse(&text, "/etc/dkimkit".as_ref()).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_the_default() {
    let text = include_str!("../setup/milter.toml");
    let example = Config::parse(text, "/etc/dkimkit".as_ref()).unwrap();
    let listen = "listen = [\"unix:/run/dkimkit/milter.sock\"]";
    let default = Config::parse(listen, "/etc/dkimkit".as_ref()).unwrap();
    assert_eq!(example, default);
}

/// The example with every line that is commented out but is no sentence.
#[test]
fn every_key_of_the_example_is_known() {
    let text = include_str!("../setup/milter.toml");
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with([' ', '#']) && !key.is_empty() => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let config = Config::parse(&uncommented, "/etc/dkimkit".as_ref()).unwrap();
    assert_eq!(config.user.as_deref(), Some("dkimkit"));
    assert_eq!(config.signing.expires, Some(14 * 86_400));
    assert_eq!(config.signing.rules.all().len(), 1);
    assert!(config.metrics.is_some() && config.sender_login.is_some());
}

#[test]
fn what_cannot_be_used_is_named_with_its_key() {
    for (text, error) in [
        ("lissten = 1", "line 2: unknown field `lissten`"),
        ("[signing]\ntrusted = []", "line 3: unknown field `trusted`"),
        ("log = \"loud\"", "log: \"loud\" is none of"),
        ("mode = []", "mode: name"),
        ("socket_mode = \"1777\"", "socket_mode: not a mode"),
        (
            "reload_every = \"often\"",
            "reload_every: \"often\" is not a span",
        ),
        (
            "peers = [\"10.0.0.1/8\"]",
            "peers: \"10.0.0.1/8\": write 10.0.0.0/8",
        ),
        (
            "peers = [\"*.example.com\"]",
            "peers: \"*.example.com\": write .example.com",
        ),
        (
            "[signing]\ntrusted_networks = [\"10.0.0.0/33\"]",
            "signing.trusted_networks: \"10.0.0.0/33\": ",
        ),
        (
            "[signing]\ncanonicalization = \"nofws\"",
            "signing.canonicalization: write simple",
        ),
        (
            "[signing]\ndo_not_sign = [\"from\"]",
            "signing.do_not_sign: From is always signed",
        ),
        (
            "[signing]\nsign_also = [\"Received\"]",
            "signing.sign_also: Received is never signed",
        ),
        (
            "[signing]\nsign_also = [\"A B\"]",
            "signing.sign_also: \"A B\" is not the name",
        ),
        (
            "[signing]\nexpires = \"0s\"",
            "signing.expires: there must be some time",
        ),
        (
            "[signing]\nrules = \"some\"",
            "signing.rules: \"some\" is none of",
        ),
        (
            "[signing]\non_error = \"drop\"",
            "signing.on_error: \"drop\" is none of",
        ),
        (
            "[[signing.rule]]\nfrom = \"\"",
            "signing.rule 1: from: not an address",
        ),
        (
            "[[signing.rule]]\nfrom = \"*\"\ndomain = \"a b\"",
            "signing.rule 1: domain: ",
        ),
        (
            "[[signing.rule]]\nfrom = \"*\"\nkey = \"/k.pem\"",
            "signing.rule 1: key: a key file needs a selector",
        ),
        (
            "[[signing.rule]]\nfrom = \"*\"\ndomain = \"example.com\"\nidentity = \"@example.net\"",
            "signing.rule 1: identity: it is neither in example.com nor below it",
        ),
        (
            "[sender_login]\n\"\" = [\"a\"]",
            "sender_login.\"\": a login is never empty",
        ),
        (
            "[sender_login]\n\"a\" = [\"{name}\"]",
            "sender_login.\"a\": \"{name}\" is not an address",
        ),
        (
            "[verifying]\nauthserv_id = \"a b\"",
            "verifying.authserv_id: \"a b\" is not a name",
        ),
        (
            "[verifying]\npolicy = \"lax\"",
            "verifying.policy: \"lax\" is none of",
        ),
        (
            "[verifying]\nminimum_key_bits = 512",
            "verifying.minimum_key_bits: a number from 1024",
        ),
        (
            "[verifying]\nnameservers = [\"ns1\"]",
            "verifying.nameservers: \"ns1\" is not an IP",
        ),
        (
            "[verifying]\nsignatures = 0",
            "verifying.signatures: a number from 1",
        ),
        (
            "[verifying.actions]\nfailed = \"accept\"",
            "verifying.actions.failed: neither a result",
        ),
        (
            "[verifying.actions]\nfail = \"drop\"",
            "verifying.actions.fail: \"drop\" is none of",
        ),
        ("[limits]\nconnections = 0", "limits.connections: take one"),
        ("[limits]\npacket = \"1K\"", "limits.packet: not a size"),
        (
            "[limits]\nidle = \"900 years\"",
            "limits.idle: \"900 years\" is not a span",
        ),
        (
            "[metrics]\nlisten = \"9464\"",
            "metrics.listen: \"9464\" is not an address",
        ),
    ] {
        let got = parse(text).unwrap_err();
        assert!(got.starts_with(error), "{text}\n  {got}\n  {error}");
    }
}

#[test]
fn relative_paths_are_below_the_file() {
    let config = parse(
        "keys = \"keys\"\n[[signing.rule]]\nfrom = \"*\"\nselector = \"s\"\nkey = \"a/%.pem\"\n",
    )
    .unwrap();
    assert_eq!(config.keys.to_str(), Some("/etc/dkimkit/keys"));
    let key = config.signing.rules.all()[0].key.as_deref();
    assert_eq!(key, Some("/etc/dkimkit/a/%.pem"));
}

#[test]
fn addresses_are_those_of_milters() {
    for (text, shown) in [
        ("inet:8891@127.0.0.1", "inet:8891@127.0.0.1"),
        ("inet:8891", "inet:8891@*"),
        ("inet:8891@[::1]", "inet:8891@[::1]"),
        ("inet6:8891@::1", "inet:8891@[::1]"),
        ("unix:/run/x", "unix:/run/x"),
        ("local:/run/x", "unix:/run/x"),
        ("systemd", "systemd"),
    ] {
        let address = Address::read(text).unwrap();
        assert_eq!(address.to_string(), shown);
        assert_eq!(Address::read(shown), Some(address));
    }
    for text in [
        "",
        "8891",
        "inet:",
        "inet:0@h",
        "inet:70000@h",
        "unix:x",
        "tcp:1@h",
    ] {
        assert_eq!(Address::read(text), None, "{text}");
    }
}

#[test]
fn rules_are_found_whatever_their_form() {
    let rule = |from: &str| Rule {
        from: from.to_owned(),
        domain: None,
        selector: None,
        identity: None,
        key: None,
    };
    let froms = [
        "anna@example.com",
        "*@example.net",
        "example.org",
        ".example.org",
        "*@*.example.edu",
        "b\u{fc}cher.example",
        "info@*.example.com",
        "info@.example.info",
        "*-list@*",
        "x*",
    ];
    let rules = Rules::new(froms.iter().map(|from| rule(from)).collect(), true);
    let numbers = |author: &str| -> Vec<usize> {
        rules
            .of(author)
            .into_iter()
            .map(|(number, _)| number)
            .collect()
    };
    for (author, expected) in [
        ("Anna@Example.com", vec![1]),
        ("bert@example.com", vec![]),
        ("a@example.net", vec![2]),
        ("a@x.example.net", vec![]),
        ("a@example.org", vec![3]),
        ("a@x.y.example.org", vec![4]),
        ("a@fexample.org", vec![]),
        ("a@example.edu", vec![]),
        ("a@x.example.edu", vec![5]),
        ("a@xn--bcher-kva.example", vec![6]),
        ("info@x.example.com", vec![7]),
        ("info@x.example.info", vec![8]),
        ("info@example.info", vec![]),
        ("x-list@example.org", vec![3, 9, 10]),
        ("\"*\"@example.com", vec![]),
    ] {
        assert_eq!(numbers(author), expected, "{author}");
    }
}

#[test]
fn a_login_uses_what_its_lines_say() {
    let table = |lines: &str| {
        parse(&format!("[sender_login]\n{lines}"))
            .unwrap()
            .sender_login
            .unwrap()
    };
    let senders = table(
        "anna = [\"anna@example.com\", \"b\u{fc}cher.example\", \".example.org\"]\n\
         \"*\" = \"{login}\"\n\
         \"*@example.net\" = [\"{user}@example.com\"]\n\
         nobody = []\n",
    );
    for (login, author, may) in [
        ("anna", "ANNA@example.com", true),
        ("ANNA", "anna@example.com", true),
        ("anna", "x@xn--bcher-kva.example", true),
        ("anna", "x@a.example.org", true),
        ("anna", "x@example.org", false),
        ("anna", "bert@example.com", false),
        ("bert@example.net", "bert@example.net", true),
        ("bert@example.net", "bert@example.com", true),
        ("bert@example.net", "anna@example.com", false),
        ("b@b\u{fc}cher.example", "b@xn--bcher-kva.example", true),
        // A star in a login is no pattern.
        ("*@example.net", "anna@example.com", false),
        ("*@example.net", "anna@example.net", false),
        ("nobody", "nobody@example.com", false),
        ("", "a@example.com", false),
    ] {
        assert_eq!(senders.allows(login, author), may, "{login} {author}");
    }
}
