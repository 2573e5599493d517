use serde_json::{Map, Value, json};

use super::*;

const NOW: UnixTime = UnixTime(1_795_305_600);

fn record(kind: &'static str, value: &str) -> ResourceRecord {
    ResourceRecord::new("_dmarc.example.org", kind, value)
}

fn finding(result: Grade, sentence: &str) -> Finding {
    Finding {
        finding: "dmarc-missing",
        result,
        about: "example.org".to_owned(),
        sentence: sentence.to_owned(),
        check_word: None,
        mend: String::new(),
        publish: Vec::new(),
        remove: Vec::new(),
    }
}

fn check(check: &'static str, findings: Vec<Finding>, facts: Value) -> CheckReport {
    let result = findings.iter().map(|f| f.result).max();
    CheckReport {
        check,
        result: result.unwrap_or(Grade::Pass),
        sentence: format!("the sentence of {check}"),
        findings,
        facts: match facts {
            Value::Object(facts) => facts,
            _ => Map::new(),
        },
        together: dkimkit::audit::Together::default(),
    }
}

fn audit(checks: Vec<CheckReport>) -> Audit {
    Audit {
        domain: "example.org".to_owned(),
        result: checks.iter().map(|c| c.result).max().unwrap_or(Grade::Pass),
        checks,
    }
}

fn body(html: &str) -> &str {
    html.split_once("<body>").unwrap().1
}

#[test]
fn the_worst_stands_first_and_what_is_right_last() {
    let audit = audit(vec![
        check("mx", vec![], json!({})),
        check("spf", vec![finding(Grade::Warning, "a warning")], json!({})),
        check(
            "dmarc",
            vec![
                finding(Grade::Fail, "a failure"),
                finding(Grade::Warning, "another"),
            ],
            json!({}),
        ),
        check(
            "dane",
            vec![finding(Grade::Unknown, "not known")],
            json!({}),
        ),
    ]);
    let html = render(&audit, NOW);
    let places = [
        "One thing is wrong, 2 things could be better, one thing could not be known.",
        "2026-11-22T",
        ">What is wrong<",
        "A failure.",
        ">What could not be known<",
        "Not known.",
        ">What could be better<",
        "A warning.",
        "Another.",
        ">What is right<",
        "The sentence of mx.",
        "<footer>",
    ]
    .map(|text| {
        body(&html)
            .find(text)
            .unwrap_or_else(|| panic!("{text} is not there"))
    });
    assert!(places.is_sorted(), "{places:?}");
    assert!(!html.contains("What was seen"));
}

#[test]
fn records_stand_in_boxes_that_can_be_copied() {
    let mut wrong = finding(Grade::Fail, "wrong");
    wrong.remove.push(record("TXT", "v=DMARC1; p=<old>"));
    wrong.publish.push(record(
        "TXT",
        "v=DMARC1; p=none; rua=mailto:\"a\"@example.org",
    ));
    wrong.publish.push(record("MX", "10 mx.example.org."));
    let html = render(&audit(vec![check("dmarc", vec![wrong], json!({}))]), NOW);
    for part in [
        "Remove this TXT record",
        "<code>v=DMARC1; p=&lt;old&gt;</code></pre><button type=\"button\">Copy</button>",
        "Publish this TXT record",
        "<code>_dmarc.example.org.</code>",
        "<code>v=DMARC1; p=none; rua=mailto:&quot;a&quot;@example.org</code>",
        // As a zone file has it (RFC 1035 §5.1).
        "<code>_dmarc.example.org. IN TXT &quot;v=DMARC1; p=none; rua=mailto:\\&quot;a\\&quot;@example.org&quot;</code>",
        "<code>_dmarc.example.org. IN MX 10 mx.example.org.</code>",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn what_several_checks_say_stands_once_and_a_file_can_be_copied() {
    let mut unknown = finding(Grade::Unknown, "nobody answers");
    unknown.mend = "put this file there\nversion: STSv1\nmode: enforce\n".to_owned();
    let checks = ["greeting", "starttls"].map(|name| check(name, vec![unknown.clone()], json!({})));
    let html = render(&audit(checks.into()), NOW);
    assert_eq!(html.matches("Nobody answers.").count(), 1);
    assert!(html.contains("One thing could not be known.") && html.contains("Greeting, STARTTLS"));
    assert!(html.contains("<p>Put this file there.</p>"));
    assert!(html.contains("<code>version: STSv1\nmode: enforce\n</code>"));
}

#[test]
fn facts_keep_their_lines_and_their_nesting() {
    let facts = json!({
        "tree": "v=spf1\n  include:<b>\n    ip4:192.0.2.0/24",
        "hosts": [{"host": "mx.example.org", "addresses": ["192.0.2.1", 7], "tls": null, "said": ["one\n two"]}],
        "none": [], "is_it": true, "result": "fail", "number": 7,
    });
    let html = render(&audit(vec![check("spf", vec![], facts)]), NOW);
    for part in [
        "<summary>SPF</summary>",
        "<div>    ip4:192.0.2.0/24</div>",
        "<div>  include:&lt;b&gt;</div>",
        "<dt>is it</dt><dd>yes</dd>",
        "<dt>none</dt><dd>none</dd>",
        "<dt>tls</dt><dd>–</dd>",
        "<dt>addresses</dt><dd><bdi>192.0.2.1</bdi>, 7</dd>",
        "<li><div class=\"lines text\"><div>one</div>",
        "<dt>result</dt><dd><strong class=\"word bad\">fail</strong></dd>",
        "<dt>number</dt><dd>7</dd>",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn the_checklist_of_the_providers_has_a_place_of_its_own() {
    let facts = json!({"items": [{"item": "SPF", "result": "pass"}]});
    let html = render(&audit(vec![check("providers", vec![], facts)]), NOW);
    assert!(html.contains("What large providers want") && !html.contains("What was seen"));
    assert!(html.contains("<strong class=\"word good\">pass</strong>"));
    assert!(!html.contains("What is right"));
}

#[test]
fn nothing_hostile_is_markup_wherever_it_stands() {
    let evil = "</code></pre><script>x()</script><img src=x onerror='y'>\"`&\u{202e}\0\n\u{300}";
    let bad = ResourceRecord {
        name: evil.to_owned(),
        kind: "TXT",
        value: evil.to_owned(),
    };
    let finding = Finding {
        finding: "dmarc-missing",
        result: Grade::Fail,
        about: evil.to_owned(),
        sentence: evil.to_owned(),
        check_word: None,
        mend: evil.to_owned(),
        publish: vec![bad.clone()],
        remove: vec![bad],
    };
    let mut passes = check(
        "mx",
        vec![],
        json!({evil: [{evil: [evil]}, evil], "result": evil}),
    );
    passes.sentence = evil.to_owned();
    let mut audit = audit(vec![
        check("dmarc", vec![finding], json!({"a": evil})),
        passes,
    ]);
    audit.domain = evil.to_owned();
    let html = render(&audit, NOW);
    let (head, rest) = html.split_once("<body>").unwrap();
    assert_eq!(head.matches("<script").count(), 1);
    assert!(!rest.contains("<script") && !rest.contains("<img") && !rest.contains("onerror='"));
    assert!(!rest.contains(['\0', '\u{202e}']));
    assert_eq!(rest.matches("</body>").count(), 1);
    assert!(head.contains("<title>&lt;/code&gt;"));
}

#[test]
fn a_page_keeps_its_limit_and_tells_so() {
    let long = "x".repeat(2_900);
    let findings = (0..1_000).map(|n| finding(Grade::Fail, &format!("{n} {long}")));
    let findings: Vec<Finding> = findings.collect();
    let facts = json!({"list": vec![long; 1_000]});
    let html = render(&audit(vec![check("spf", findings, facts)]), NOW);
    assert!(html.len() < LIMIT + 20_000);
    assert!(html.contains("no room for more of the findings"));
    assert!(html.contains("What was seen") && html.contains("… 800 more"));
    assert!(html.ends_with("</body>\n</html>\n"));
    // A record that nobody could publish is no box to copy.
    let mut wrong = finding(Grade::Fail, "wrong");
    wrong.publish.push(record("TXT", &"y".repeat(RECORD + 1)));
    let html = render(&audit(vec![check("dmarc", vec![wrong], json!({}))]), NOW);
    assert!(html.contains("17,001 bytes more"));
}

#[test]
fn an_audit_that_finds_nothing_says_so() {
    let html = render(&audit(vec![check("mx", vec![], json!({}))]), NOW);
    assert!(html.contains("All 1 checks found nothing to mend."));
    assert!(!html.contains("What is wrong"));
}
