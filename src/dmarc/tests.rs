mod results;
mod walking;

use super::record::Mode;
use super::*;
use crate::author::Authors;
use crate::dns::Zone;
use crate::dns::lookup::{Known, Pending, Question, settle};
use crate::message::{Header, HeaderLimits};
use crate::report::ResultWord;

fn domain(text: &str) -> Domain {
    Domain::new(text).unwrap()
}

/// A zone of policy records, `DOMAIN RECORD` or `DOMAIN !STATUS` a line; `=DOMAIN` exists.
fn zone(lines: &str) -> Zone {
    let entries = lines.lines().map(|line| {
        let (domain, what) = line.split_once(' ').unwrap_or((line, ""));
        match (domain.strip_prefix('='), what.strip_prefix('!')) {
            (Some(domain), None) => format!("\"{domain}\": {{\"A\": [\"192.0.2.1\"]}}"),
            (Some(domain), Some(status)) => format!("\"{domain}\": {{\"status\": \"{status}\"}}"),
            (None, Some(status)) => format!("\"_dmarc.{domain}\": {{\"status\": \"{status}\"}}"),
            (None, None) => format!("\"_dmarc.{domain}\": {{\"TXT\": [{what:?}]}}"),
        }
    });
    let entries: Vec<String> = entries.collect();
    Zone::parse(&format!("{{{}}}", entries.join(","))).unwrap()
}

/// Judges `author`; identifiers are `spf=RESULT DOMAIN` or `dkim=RESULT DOMAIN`.
fn judge(lines: &str, author: &str, identifiers: &[&str]) -> Outcome {
    let input = input(author, identifiers);
    let zone = zone(lines);
    let outcome = evaluate(&zone, &input).unwrap();
    // Answers that come late, one round after another, lead to the same.
    let fetch = |questions: Vec<Question>| {
        let answer = |question: Question| (question.clone(), zone.answer(&question));
        questions.into_iter().map(answer).collect()
    };
    let settled = settle(1000, fetch, |dns| evaluate(dns, &input));
    assert_eq!(settled, outcome);
    // What is looked up for the report alone comes last, and changes no result.
    let thorough = Input {
        thorough: true,
        ..input
    };
    let told = evaluate(&zone, &thorough).unwrap();
    assert_eq!(
        (told.result, told.reason, told.disposition),
        (outcome.result, outcome.reason, outcome.disposition)
    );
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["result"], outcome.result.as_str());
    outcome
}

fn input(author: &str, identifiers: &[&str]) -> Input {
    let mut input = Input::new(Author::One(domain(author)));
    // SPF is judged in all of them, if only for a name that says nothing.
    input.nameless = Some(Nameless {
        text: "h".to_owned(),
        result: SpfWord::None,
    });
    for identifier in identifiers {
        let (said, of) = identifier.split_once(' ').unwrap();
        match said.split_once('=').unwrap() {
            ("spf", word) => {
                input.spf = Some(SpfIdentity {
                    scope: SpfScope::MailFrom,
                    domain: domain(of),
                    result: SpfWord::from_word(word).unwrap(),
                });
            }
            (_, word) => input.dkim.push(DkimIdentity {
                domain: domain(of),
                selector: None,
                result: match word {
                    "pass" => ResultWord::Pass,
                    "temperror" => ResultWord::TempError,
                    _ => ResultWord::Fail,
                },
            }),
        }
    }
    input
}

const REJECT: &str = "example.com v=DMARC1; p=reject";

#[test]
fn each_identifier_is_told_with_its_reason() {
    let lines = "example.com v=DMARC1; p=quarantine; aspf=s\nb.example.com v=DMARC1; p=none; psd=n";
    let outcome = judge(
        lines,
        "a.example.com",
        &[
            "spf=pass example.com",
            "dkim=pass example.net",
            "dkim=pass b.example.com",
            "dkim=fail a.example.com",
            "dkim=pass c.example.com",
        ],
    );
    let told: Vec<&str> = outcome
        .identifiers
        .iter()
        .map(|i| i.sentence.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "SPF of example.com passes, but is not aligned with a.example.com: under strict alignment both must be the same",
            "the DKIM signature of example.net passes, but is not aligned with a.example.com: it is no part of the organizational domain example.com",
            "the DKIM signature of b.example.com passes, but is not aligned with a.example.com: its organizational domain is b.example.com, and that of a.example.com is example.com",
            "the DKIM signature of a.example.com does not pass (fail), though it is aligned with a.example.com: it is the author domain",
            "the DKIM signature of c.example.com passes and is aligned with a.example.com: both belong to the organizational domain example.com",
        ]
    );
    let aligned: Vec<Aligned> = outcome.identifiers.iter().map(|i| i.aligned).collect();
    let want = [
        Aligned::No,
        Aligned::No,
        Aligned::No,
        Aligned::Identical,
        Aligned::SameOrganization,
    ];
    assert_eq!(aligned, want);
    let counting: Vec<bool> = outcome.identifiers.iter().map(|i| i.counts).collect();
    assert_eq!(counting, [false, false, false, false, true]);
    assert_eq!(outcome.identifiers[0].mode, Some(Mode::Strict));
    let organizations = |outcome: &Outcome| -> Vec<Option<String>> {
        let own = outcome
            .identifiers
            .iter()
            .map(|i| i.organizational_domain.as_ref());
        own.map(|domain| domain.map(|domain| domain.as_ascii().to_owned()))
            .collect()
    };
    assert_eq!(organizations(&outcome)[..2], [None, None]);
    let mut thorough = input(
        "a.example.com",
        &["spf=pass example.com", "dkim=pass example.net"],
    );
    thorough.thorough = true;
    let outcome = evaluate(&zone(lines), &thorough).unwrap();
    let want = ["example.com", "example.net"].map(|text| Some(text.to_owned()));
    assert_eq!(organizations(&outcome), want);
}

#[test]
fn helo_is_named_where_it_stands_for_an_empty_mail_from() {
    let mut input = input("example.com", &["spf=pass mx.example.com"]);
    input.spf.as_mut().unwrap().scope = SpfScope::EmptyMailFrom;
    let outcome = evaluate(&zone(REJECT), &input).unwrap();
    assert_eq!(outcome.result, DmarcResult::Pass);
    let told = &outcome.identifiers[0].sentence;
    assert!(
        told.starts_with("SPF of mx.example.com, the name in HELO, passes and"),
        "{told}"
    );
}

#[test]
fn walks_for_identifiers_have_a_cap_and_what_passes_comes_first() {
    let mut list: Vec<String> = (0..40)
        .map(|n| format!("dkim=fail x{n}.example.com"))
        .collect();
    list.push("dkim=pass good.example.com".to_owned());
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let outcome = judge(REJECT, "example.com", &list);
    assert_eq!(outcome.result, DmarcResult::Pass);
    let examined = outcome
        .identifiers
        .iter()
        .filter(|i| i.aligned != Aligned::NotExamined);
    assert_eq!(examined.count(), MAX_WALKS);
    // Also where all answers are late.
    let late = Known::new(1000);
    let zone = zone(REJECT);
    let input = input("example.com", &list);
    assert_eq!(evaluate(&late, &input), Err(Pending));
    let mut known = Known::new(1000);
    for question in late.wanted() {
        known.tell(question.clone(), zone.answer(&question));
    }
    assert_eq!(evaluate(&known, &input), Err(Pending));
    assert_eq!(known.wanted().len(), MAX_WALKS);
    // The same domain again costs nothing.
    let outcome = judge(REJECT, "example.com", &vec!["dkim=fail a.example.com"; 40]);
    assert!(outcome.identifiers.iter().all(|i| i.aligned.holds()));
}

#[test]
fn what_strangers_sign_takes_no_place_from_what_may_be_aligned() {
    // `judge` has it with all walks of the report, too.
    let mut list: Vec<String> = (1..=2 * MAX_WALKS)
        .map(|n| format!("dkim=pass u{n}.test"))
        .collect();
    let judged = |list: &[String], lines: &str| {
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        judge(lines, "example.com", &list)
    };
    assert_eq!(judged(&list, REJECT).reason.as_str(), "not-aligned");
    list.insert(0, "spf=pass mx.stranger.test".to_owned());
    list.push("dkim=pass mail.example.com".to_owned());
    assert_eq!(judged(&list, REJECT).result, DmarcResult::Pass);
    // Of so many that may be, some are not looked at, and then nothing fails.
    let islands = |count: usize| {
        let list: Vec<String> = (1..=count)
            .map(|n| format!("dkim=pass u{n}.example.com"))
            .collect();
        let own = (1..=count).map(|n| format!("\nu{n}.example.com v=DMARC1; p=none; psd=n"));
        let lines = format!("{REJECT}{}", own.collect::<String>());
        let outcome = judged(&list, &lines);
        format!(
            "{} {}: {}",
            outcome.result,
            outcome.reason.as_str(),
            outcome.sentence
        )
    };
    let told = islands(MAX_WALKS);
    assert!(told.starts_with("fail not-aligned"), "{told}");
    let told = islands(MAX_WALKS + 1);
    let want = "temperror identifier-unknown: DMARC has no result for now: the DKIM signature of u11.example.com passes; \
        whether it is aligned with example.com is not known: 10 other domains were looked up before it";
    assert_eq!(told, want);
}

#[test]
fn a_message_without_one_author_domain_is_exempt_and_a_broken_from_is_an_error() {
    for (header, want) in [
        ("To: a@example.com\r\n", "none no-author"),
        ("From: nobody:;\r\n", "none no-author"),
        (
            "From: a@example.com, b@example.net\r\n",
            "none several-authors",
        ),
        (
            "From: a@example.com\r\nFrom: a@example.com\r\n",
            "permerror from-repeated",
        ),
        (
            "From: a@example.com b@example.net\r\n",
            "permerror from-unreadable",
        ),
        (
            "From: a@example.com, postmaster\r\n",
            "permerror from-unreadable",
        ),
        (
            "From: a@Example.com, b@example.com\r\n",
            "fail nothing-passes",
        ),
    ] {
        let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
        let author = Author::of(&Authors::of(&header));
        let outcome = evaluate(
            &zone(REJECT),
            &Input {
                author,
                ..input("example.com", &[])
            },
        )
        .unwrap();
        let found = format!("{} {}", outcome.result, outcome.reason.as_str());
        assert_eq!(found, want);
    }
}

#[test]
fn the_result_of_authentication_results_has_the_registered_properties() {
    let line = |lines: &str, author: &str, identifiers: &[&str]| {
        resinfo(&judge(lines, author, identifiers))
            .unwrap()
            .0
            .replace("\r\n\t", "")
    };
    assert_eq!(
        line(REJECT, "example.com", &["spf=pass example.com"]),
        ";dmarc=pass (p=reject) header.from=example.com policy.dmarc=reject"
    );
    assert_eq!(
        line("", "b\u{fc}cher.example", &[]),
        ";dmarc=none reason=\"no-record\" header.from=xn--bcher-kva.example"
    );
    assert_eq!(
        line(
            "example.com v=DMARC1; p=none; sp=reject; t=y",
            "a.example.com",
            &["spf=fail example.net"]
        ),
        ";dmarc=fail (sp=reject t=y) reason=\"nothing-passes\" header.from=a.example.com policy.dmarc=quarantine"
    );
    let exempt = evaluate(&zone(REJECT), &Input::new(Author::Repeated)).unwrap();
    assert_eq!(
        resinfo(&exempt).unwrap().0,
        ";\r\n\tdmarc=permerror reason=\"from-repeated\""
    );
}

#[test]
fn who_gets_reports_must_agree_unless_it_is_the_same_organization() {
    let ask = |lines: &str, more: &[(&str, &str)], uri: &str, policy_domain: &str| {
        let mut zone = zone(lines);
        for (name, text) in more {
            zone.insert_txt(name, text.as_bytes().to_vec());
        }
        let record = format!("v=DMARC1; p=none; rua={uri}");
        let reading = record::Reading::parse(record.as_bytes()).unwrap();
        let found = report_destinations(&zone, &reading.record, &domain(policy_domain)).unwrap();
        found[0].clone()
    };
    use Authorization::{Authorized, Internal, NotAuthorized, Unknown};
    let name = "example.com._report._dmarc.r.example.net.";
    let out = "mailto:a@r.example.net";
    for (lines, more, uri, want) in [
        ("", &[][..], "mailto:a@example.com", Internal),
        (REJECT, &[], "mailto:a@mail.example.com", Internal),
        ("", &[], "mailto:a@mail.example.com", NotAuthorized),
        ("", &[], out, NotAuthorized),
        ("", &[(name, "v=DMARC1")], out, Authorized),
        ("", &[(name, "v=DMARC1;")], out, Authorized),
        ("", &[(name, "v=spf1 -all")], out, NotAuthorized),
        (
            "",
            &[
                (name, "v=spf1 -all"),
                (name, "v=DMARC1; x"),
                (name, "v=DMARC1"),
            ],
            out,
            Authorized,
        ),
        (
            "",
            &[(name, "v=DMARC1; rua=mailto:b@r.example.net")],
            out,
            Authorized,
        ),
        (
            "",
            &[(name, "v=DMARC1; rua=mailto:b@victim.example")],
            out,
            NotAuthorized,
        ),
        ("example.com !TIMEOUT", &[], out, Unknown),
        (
            "example.com !TIMEOUT",
            &[(name, "v=DMARC1")],
            out,
            Authorized,
        ),
        ("", &[], "https://r.example.net/x", NotAuthorized),
        ("", &[], "tel:1", NotAuthorized),
    ] {
        let found = ask(lines, more, uri, "example.com");
        assert_eq!(
            found.authorization, want,
            "{uri} {more:?} {lines}\n{}",
            found.sentence
        );
    }
    let told = ask("", &[], out, "example.com").sentence;
    let record = "example.com._report._dmarc.r.example.net. TXT \"v=DMARC1;\"";
    assert!(told.ends_with(record), "{told}");
    let timeout = "{\"example.com._report._dmarc.r.example.net.\": {\"status\": \"TIMEOUT\"}}";
    let reading = record::Reading::parse(b"v=DMARC1; p=none; ruf=mailto:a@r.example.net").unwrap();
    let zone = Zone::parse(timeout).unwrap();
    let found = report_destinations(&zone, &reading.record, &domain("example.com")).unwrap();
    assert_eq!((found[0].tag, found[0].authorization), ("ruf", Unknown));
    let long = ["a".repeat(60).as_str(); 4].join(".");
    let found = ask("", &[], out, &long);
    assert_eq!((found.authorization, found.name), (NotAuthorized, None));
}
