use serde_json::json;

use super::*;

fn audit() -> Audit {
    let finding = |finding, result, sentence: &str| {
        Finding {
        finding,
        result,
        about: "example.org".to_owned(),
        sentence: sentence.to_owned(),
        check_word: None,
        mend: "publish a record that says who sends the mail of the domain, and that all others do not".to_owned(),
        publish: vec![ResourceRecord::new("example.org", "TXT", "v=spf1 mx -all with many words that are never broken")],
        remove: vec![ResourceRecord::new("example.org", "TXT", "v=spf1\u{202e} old")],
    }
    };
    let check = |check, findings: Vec<Finding>, facts: Value| CheckReport {
        check,
        result: findings.first().map_or(Grade::Pass, |f| f.result),
        sentence: format!(
            "the {check} is as it should be, and so there is nothing more to say of it here"
        ),
        findings,
        facts: facts.as_object().unwrap().clone(),
        together: dkimkit::audit::Together::default(),
    };
    Audit {
        domain: "example.org".to_owned(),
        result: Grade::Fail,
        checks: vec![
            check(
                "mx",
                vec![],
                json!({"hosts": [{"host": "mx\u{1b}[31m", "addresses": ["192.0.2.1", "192.0.2.2"], "none": [], "said": ["one\ntwo", ["three"]]}]}),
            ),
            check(
                "dkim",
                vec![finding(
                    "dkim-none-found",
                    Grade::Warning,
                    "no key was found",
                )],
                json!({}),
            ),
            check(
                "spf",
                vec![finding(
                    "spf-missing",
                    Grade::Fail,
                    "example.org has no SPF record, so that nobody can tell who may send for it",
                )],
                json!({"tree": "one\n  two", "result": "fail"}),
            ),
            check("caa", vec![], json!({})),
        ],
    }
}

const PLAIN: Style = Style {
    color: false,
    width: None,
    facts: false,
};

#[test]
fn the_worst_comes_first_and_records_stand_on_lines_of_their_own() {
    let expected = "\
example.org: fail (1 fail, 1 warning, 2 pass)

fail      spf
        ✗ spf-missing
          example.org has no SPF record, so that nobody can tell who may send for it
          → publish a record that says who sends the mail of the domain, and that all others do not
            remove example.org. TXT
              v=spf1\\u{202e} old
            publish example.org. TXT
              v=spf1 mx -all with many words that are never broken

warning   dkim
        ! dkim-none-found
          no key was found
          → publish a record that says who sends the mail of the domain, and that all others do not
            remove example.org. TXT
              v=spf1\\u{202e} old
            publish example.org. TXT
              v=spf1 mx -all with many words that are never broken

pass      mx: the mx is as it should be, and so there is nothing more to say of it here
pass      caa: the caa is as it should be, and so there is nothing more to say of it here
";
    assert_eq!(render(&audit(), PLAIN), expected);
}

#[test]
fn lines_are_broken_at_the_width_of_the_terminal() {
    let style = Style {
        width: Some(60),
        ..PLAIN
    };
    let text = render(&audit(), style);
    let long: Vec<&str> = text
        .lines()
        .filter(|line| line.chars().count() > 60)
        .collect();
    assert_eq!(
        long,
        ["              v=spf1 mx -all with many words that are never broken"; 2]
    );
    for part in [
        "          example.org has no SPF record, so that nobody can\n          tell who may send for it\n",
        "          → publish a record that says who sends the mail of\n            the domain,",
        "pass      mx: the mx is as it should be, and so there is\n          nothing more",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    // What is too narrow is left to the terminal.
    let style = Style {
        width: Some(20),
        ..PLAIN
    };
    assert_eq!(render(&audit(), style), render(&audit(), PLAIN));
}

#[test]
fn colors_are_all_that_a_terminal_gets_besides() {
    let style = Style {
        color: true,
        facts: true,
        width: Some(80),
    };
    let colored = render(&audit(), style);
    let mut plain = colored.clone();
    for code in ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"] {
        plain = plain.replace(code, "");
    }
    assert!(colored.contains("\x1b[31mfail      \x1b[0m\x1b[1mspf\x1b[0m"));
    assert!(colored.contains("\x1b[32mpass      \x1b[0m\x1b[1mmx\x1b[0m: the mx"));
    assert_eq!(
        plain,
        render(
            &audit(),
            Style {
                color: false,
                ..style
            }
        )
    );
    assert!(!plain.contains('\x1b'));
}

#[test]
fn a_file_to_publish_keeps_its_lines() {
    let mut audit = audit();
    audit.checks[2].findings[0].mend =
        "put this there\nversion: STSv1\nmx: *.example.org\n".to_owned();
    let text = render(&audit, PLAIN);
    let part = "          → put this there\n              version: STSv1\n              mx: *.example.org\n            remove";
    assert!(text.contains(part), "{text}");
}

#[test]
fn facts_are_told_where_they_are_asked_for() {
    let style = Style {
        facts: true,
        ..PLAIN
    };
    let text = render(&audit(), style);
    for part in [
        "          tree:\n            one\n              two\n          result: fail\n",
        "          hosts:\n            - host: mx\\u{1b}[31m\n              addresses: 192.0.2.1, 192.0.2.2\n              none: none\n              said:\n                - one two\n                - - three\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}
