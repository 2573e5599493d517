use super::super::{MAX_QUESTIONS, evaluate, evaluate_both, evaluate_helo};
use super::*;
use crate::dns::Zone;
use crate::dns::lookup::{Known, settle};
use crate::time::UnixTime;

fn query(mail_from: &str) -> Query {
    Query::new("192.0.2.1".parse().unwrap(), "helo.example.com", mail_from)
}

fn outcome(zone: &str, query: &Query) -> Outcome {
    evaluate(&Zone::parse(zone).unwrap(), query).unwrap()
}

/// The result, the word of the reason, and how many lookups and voids there were.
fn told(zone: &str) -> (SpfResult, &'static str, usize, usize) {
    let found = outcome(zone, &query("anna@example.com"));
    (
        found.result,
        found.reason.word(),
        found.lookups,
        found.voids,
    )
}

#[test]
fn who_is_checked_is_mail_from_or_postmaster_at_the_name_of_helo() {
    let zone = Zone::parse(
        "helo.example.com. TXT \"v=spf1 exists:%{l}.%{o}.x.example -all\"\nexample.com. TXT \"v=spf1 +all\"\n\
         postmaster.helo.example.com.x.example. A 127.0.0.2",
    )
    .unwrap();
    let bounce = evaluate(&zone, &query("")).unwrap();
    assert_eq!(
        (bounce.result, bounce.identity),
        (SpfResult::Pass, Identity::MailFrom)
    );
    assert_eq!(
        (bounce.domain.as_str(), bounce.mechanism.as_deref()),
        ("helo.example.com", Some("exists:%{l}.%{o}.x.example"))
    );
    let both = evaluate_both(&zone, &query("anna@Example.com.")).unwrap();
    assert_eq!(both.helo.unwrap().result, SpfResult::Pass);
    let nobody = Query::new("192.0.2.1".parse().unwrap(), "", "anna@example.com");
    assert_eq!(evaluate_both(&zone, &nobody).unwrap().helo, None);
    assert_eq!(
        (both.mail_from.result, both.mail_from.domain.as_str()),
        (SpfResult::Pass, "example.com")
    );
    let literal = Query::new("192.0.2.1".parse().unwrap(), "[192.0.2.1]", "");
    assert_eq!(
        evaluate_helo(&zone, &literal).unwrap().reason.word(),
        "domain-malformed"
    );
}

#[test]
fn each_reason_has_its_word() {
    use SpfResult::{Fail, Neutral, None, PermError, TempError};
    for (zone, wanted) in [
        ("", (None, "no-domain", 0, 0)),
        ("example.com. A 192.0.2.1", (None, "no-record", 0, 0)),
        ("example.com. TXT \"v=spf1 -all\"", (Fail, "matched", 0, 0)),
        (
            "example.com. TXT \"v=spf1 a:no.example\"",
            (Neutral, "no-match", 1, 1),
        ),
        (
            "example.com. TXT \"v=spf1 -all\"\nexample.com. TXT \"v=spf1 +all\"",
            (PermError, "several-records", 0, 0),
        ),
        (
            "example.com. TXT \"v=spf1 moo -all\"",
            (PermError, "syntax-error", 0, 0),
        ),
        (
            "example.com. TXT \"v=spf1 include:no.example -all\"",
            (PermError, "target-without-record", 1, 1),
        ),
        (
            "example.com. TXT \"v=spf1 redirect=b.example\"\nb.example. TXT x",
            (PermError, "target-without-record", 1, 0),
        ),
        (
            "example.com. TXT \"v=spf1 redirect=%{h1}\"",
            (PermError, "target-without-record", 1, 0),
        ),
        (
            "example.com. TXT \"v=spf1 include:example.com -all\"",
            (PermError, "too-many-lookups", 10, 0),
        ),
        (
            "example.com. TXT \"v=spf1 a:n1.example a:n2.example mx:n3.example\"",
            (PermError, "too-many-void-lookups", 3, 3),
        ),
        (
            "{\"example.com.\": {\"status\": \"SERVFAIL\"}}",
            (TempError, "lookup-failed", 0, 0),
        ),
    ] {
        assert_eq!(told(zone), wanted, "{zone}");
    }
}

#[test]
fn a_term_is_void_once_however_much_it_does_not_find() {
    let zone = "example.com. TXT \"v=spf1 mx -all\"\nexample.com. MX 1 a.example.\nexample.com. MX 2 b.example.\n\
        example.com. MX 3 c.example.\nexample.com. MX 4 .";
    assert_eq!(told(zone), (SpfResult::Fail, "matched", 1, 1));
}

#[test]
fn names_that_the_owner_of_the_address_wrote_are_not_void() {
    let pointers: String = (0..12)
        .map(|n| format!("1.2.0.192.in-addr.arpa. PTR n{n}.example.\n"))
        .collect();
    let zone =
        format!("{pointers}example.com. TXT \"v=spf1 ptr ptr:b.example ptr:c.example -all\"");
    assert_eq!(told(&zone), (SpfResult::Fail, "matched", 3, 0));
    let nameless = "example.com. TXT \"v=spf1 ptr ptr:b.example ptr:c.example -all\"";
    assert_eq!(
        told(nameless),
        (SpfResult::PermError, "too-many-void-lookups", 3, 3)
    );
}

#[test]
fn the_macro_p_counts_and_finds_the_best_name() {
    let zone = "1.2.0.192.in-addr.arpa. PTR other.example.\n1.2.0.192.in-addr.arpa. PTR mx.example.com.\n\
        other.example. A 192.0.2.1\nmx.example.com. A 192.0.2.1\nmx.example.com.x.example. A 127.0.0.2\n\
        example.com. TXT \"v=spf1 exists:%{p}.x.example -all\"";
    assert_eq!(told(zone), (SpfResult::Pass, "matched", 2, 0));
    let itself = format!(
        "{zone}\n1.2.0.192.in-addr.arpa. PTR example.com.\nexample.com. A 192.0.2.1\nexample.com.x.example. MX 1 ."
    );
    assert_eq!(told(&itself), (SpfResult::Fail, "matched", 2, 1));
}

#[test]
fn exactly_ten_lookups_are_allowed() {
    let record = |terms: usize| {
        let terms = " a:b.example".repeat(terms);
        format!("b.example. A 192.0.2.9\nexample.com. TXT \"v=spf1{terms} -all\"")
    };
    assert_eq!(told(&record(10)), (SpfResult::Fail, "matched", 10, 0));
    assert_eq!(
        told(&record(11)),
        (SpfResult::PermError, "too-many-lookups", 10, 0)
    );
}

#[test]
fn an_ipv4_client_over_ipv6_is_one_of_ipv4() {
    let mapped = Query::new(
        "::ffff:192.0.2.1".parse().unwrap(),
        "h.example",
        "a@example.com",
    );
    let zone = "example.com. TXT \"v=spf1 -ip6:::/0 ip4:192.0.2.1 -all\"";
    assert_eq!(
        outcome(zone, &mapped).mechanism.as_deref(),
        Some("ip4:192.0.2.1")
    );
}

#[test]
fn an_explanation_has_all_macros_and_is_printable() {
    let explained = |text: &str, mail_from: &str| {
        let zone =
            format!("example.com. TXT \"v=spf1 -all exp=e.example\"\ne.example. TXT \"{text}\"");
        let query = Query {
            receiver: "mx.example.org".to_owned(),
            now: UnixTime(1_700_000_000),
            ..query(mail_from)
        };
        outcome(&zone, &query).explanation
    };
    assert_eq!(
        explained("%{s} from %{c} to %{r} at %{t}: %{p}", "anna@example.com").as_deref(),
        Some("anna@example.com from 192.0.2.1 to mx.example.org at 1700000000: unknown")
    );
    assert_eq!(explained("%{l}", "a\x1b[1m@example.com"), None);
    assert_eq!(
        explained("%{L}", "a\x1b@example.com").as_deref(),
        Some("a%1B")
    );
    assert_eq!(explained("%{q}", "anna@example.com"), None);
}

#[test]
fn addresses_beyond_ascii_are_those_of_rfc_8616() {
    let zone = "xn--bcher-kva.example. TXT \"v=spf1 exists:%{l}.x.example include:%{s} exists:%{d}.y.example -all\"\n\
        xn--bcher-kva.example.y.example. A 127.0.0.2";
    let found = outcome(zone, &query("jürgen@bücher.example"));
    assert_eq!((found.result, found.lookups), (SpfResult::Pass, 3));
    assert_eq!(found.domain, "xn--bcher-kva.example");
    assert_eq!(
        outcome(zone, &query("a@b\u{202e}.example")).reason.word(),
        "domain-malformed"
    );
    let long = format!("{}@example.com", "a".repeat(2000));
    assert_eq!(outcome(zone, &query(&long)).reason, Reason::TooLong);
}

#[test]
fn the_trace_tells_what_each_term_cost() {
    let zone = "example.com. TXT \"v=spf1 ip4:198.51.100.1 include:b.example mx -all\"\n\
        b.example. TXT \"v=spf1 a:no.example ~a:a..b.example ?exists:%{d}\"\n\
        example.com. MX 10 mx.example.com.\nmx.example.com. A 192.0.2.1";
    let found = outcome(zone, &query("anna@example.com"));
    assert_eq!(
        found.trace.to_string(),
        "example.com: pass (mx in the record of example.com matched)
  ip4:198.51.100.1: no match
  include:b.example: no match, lookups 4, void 2
    b.example: neutral (no term in the record of b.example matched)
      a:no.example: no match, lookups 1, void 1; no.example A: no such name
      ~a:a..b.example: no match, lookups 1
      ?exists:%{d}: no match, lookups 1, void 1; b.example A: no such record
  mx: match, lookups 1; example.com MX: 1 record; mx.example.com A: 1 record
"
    );
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["reason"]["word"], "matched");
    let steps = &json["trace"]["steps"];
    assert_eq!(steps[1]["visit"]["steps"][1]["target"], "a..b.example");
    assert_eq!(steps[2]["asked"][1]["question"], "mx.example.com A");
}

#[test]
fn answers_may_come_one_by_one() {
    let zone = Zone::parse(
        "example.com. TXT \"v=spf1 mx include:b.example -all exp=e.example\"\nexample.com. MX 1 a.example.\n\
         example.com. MX 2 b.example.\na.example. A 192.0.2.7\nb.example. A 192.0.2.8\nb.example. TXT \"v=spf1 ptr ~all\"\n\
         e.example. TXT no",
    )
    .unwrap();
    let mut rounds = 0;
    let found = settle(
        MAX_QUESTIONS,
        |questions| {
            rounds += 1;
            questions
                .into_iter()
                .map(|q| (q.clone(), zone.answer(&q)))
                .collect()
        },
        |dns: &Known| evaluate(dns, &query("anna@example.com")),
    );
    assert_eq!(found, evaluate(&zone, &query("anna@example.com")).unwrap());
    assert_eq!(found.explanation.as_deref(), Some("no"));
    // The record, the exchanges, both their addresses at once, the other record, the pointer beside the explanation.
    assert_eq!(rounds, 5);
}

#[test]
fn exchanges_behind_the_one_that_matches_are_not_wanted_any_more() {
    let zone = Zone::parse(
        "example.com. TXT \"v=spf1 include:b.example mx:b.example -all\"\nb.example. TXT \"v=spf1 -mx ?all\"\n\
         b.example. MX 1 a.example.\nb.example. MX 2 silent.example.\na.example. A 192.0.2.1",
    )
    .unwrap();
    let mut known = Known::new(MAX_QUESTIONS);
    let mut wanted_it = 0;
    let outcome = loop {
        known.start_over();
        if let Ok(outcome) = evaluate(&known, &query("anna@example.com")) {
            break outcome;
        }
        let wanted = known.wanted();
        let is_silent = |question: &&Question| question.to_string().contains("silent");
        wanted_it += wanted.iter().filter(is_silent).count();
        for question in wanted.iter().filter(|question| !is_silent(question)) {
            known.tell(question.clone(), zone.answer(question));
        }
    };
    assert_eq!((outcome.result, wanted_it), (SpfResult::Pass, 1));
}

/// The questions that are open once all has an answer but names with `silent`, and what it comes to when these have none.
fn with_silence(zone: &str) -> (Vec<String>, Outcome) {
    let zone = Zone::parse(zone).unwrap();
    let query = query("anna@example.com");
    let mut known = Known::new(MAX_QUESTIONS);
    let mut left = Vec::new();
    loop {
        known.start_over();
        if let Ok(outcome) = evaluate(&known, &query) {
            return (left, outcome);
        }
        let wanted = known.wanted();
        let is_silent = |question: &&Question| question.to_string().contains("silent");
        let (silent, open): (Vec<_>, Vec<_>) = wanted.iter().partition(is_silent);
        if open.is_empty() {
            left = silent.iter().map(ToString::to_string).collect();
            let nothing = Said::Temporary(crate::dns::Cause::Timeout);
            for question in silent {
                known.tell(question.clone(), Found::new(nothing.clone()));
            }
            assert!(evaluate(&known, &query).is_ok(), "all else was asked");
            continue;
        }
        for question in open {
            known.tell(question.clone(), zone.answer(question));
        }
    }
}

#[test]
fn what_stands_behind_names_of_a_client_that_keeps_them_silent_is_asked_meanwhile() {
    use SpfResult::{Fail, Pass, PermError, SoftFail};
    let names = "1.2.0.192.in-addr.arpa. PTR p.silent.example.\n1.2.0.192.in-addr.arpa. PTR q.silent.example.\n\
        b.example. TXT \"v=spf1 ip4:9.9.9.9 include:c.example -all\"\nc.example. TXT \"v=spf1 a -all\"\n\
        c.example. A 192.0.2.1\nd.example. TXT \"v=spf1 ptr a:c.example -all\"\ne.example. TXT \"v=spf1 ptr ~all\"";
    for (terms, result) in [
        ("ptr include:b.example -all", Pass),
        ("ptr mx -all", Fail),
        ("-exists:%{p}.x.example include:b.example -all", Pass),
        ("include:d.example ~all", Pass),
        ("include:e.example include:e.example ~all", SoftFail),
        ("ptr redirect=b.example", Pass),
        ("ptr redirect=e.example", SoftFail),
        ("redirect=d.example", Pass),
        ("ptr include:none.example +all", PermError),
        ("-all exp=%{p}.e.example", Fail),
    ] {
        let zone = format!("example.com. TXT \"v=spf1 {terms}\"\n{names}");
        let (left, outcome) = with_silence(&zone);
        assert_eq!(outcome.result, result, "{terms}: {}", outcome.trace);
        assert!(!left.is_empty(), "{terms}");
        let at_once = zone.replace("silent", "loud");
        let at_once = self::outcome(&at_once, &query("anna@example.com"));
        assert_eq!(at_once.result, result, "{terms}");
    }
}

#[test]
fn what_stands_behind_a_validated_name_is_asked_while_another_is_silent() {
    use SpfResult::{Fail, Pass};
    // Each order of the two, since the first name without an answer must not hide those behind it.
    let pointers = ["p.silent.example", "client.example"];
    for order in [[0, 1], [1, 0]] {
        let [first, second] = order.map(|at| pointers[at]);
        for (terms, result) in [
            ("-exists:%{p}.x.example include:b.example -all", Pass),
            ("exists:%{p}.b.example -all", Pass),
            ("-ptr:client.example +all", Fail),
            ("exists:%{p}.none.example include:b.example -all", Pass),
            ("-all exp=%{p}.e.example", Fail),
        ] {
            let zone = format!(
                "example.com. TXT \"v=spf1 {terms}\"\nclient.example. A 192.0.2.1\n\
                 1.2.0.192.in-addr.arpa. PTR {first}.\n1.2.0.192.in-addr.arpa. PTR {second}.\n\
                 b.example. TXT \"v=spf1 a -all\"\nb.example. A 192.0.2.1\n\
                 client.example.b.example. A 127.0.0.2\nclient.example.e.example. TXT \"why\""
            );
            let (left, outcome) = with_silence(&zone);
            assert_eq!(outcome.result, result, "{terms}: {}", outcome.trace);
            assert!(!left.is_empty(), "{terms}");
        }
    }
}

#[test]
fn a_record_without_end_is_an_error_and_a_long_one_is_not_told_whole() {
    let of_length = |len: usize| {
        let fill = " ip4:9.9.9.9".repeat(len / 12);
        format!("v=spf1{fill} exists:{}.example ?all", "x".repeat(400))
    };
    let zone = |text: &str| {
        let mut zone = Zone::default();
        zone.insert_txt("example.com.", text.as_bytes().to_vec());
        zone
    };
    let query = query("anna@example.com");
    let long = evaluate(&zone(&of_length(MAX_TEXT)), &query).unwrap();
    assert_eq!(
        (long.result, long.reason.word()),
        (SpfResult::PermError, "record-too-long")
    );
    assert!(long.trace.record.is_none() && long.trace.steps.is_empty());

    let text = of_length(MAX_TEXT - 1000);
    let told = evaluate(&zone(&text), &query).unwrap().trace;
    // The term that asked and the one that decided are told, too.
    assert_eq!(told.steps.len() + told.left_out, text.matches(' ').count());
    let last: Vec<&str> = told
        .steps
        .iter()
        .rev()
        .take(2)
        .map(|step| &step.term[..4])
        .collect();
    assert_eq!(last, ["?all", "exis"]);
    assert!(serde_json::to_string(&told).unwrap().len() < 64 << 10);
    assert!(told.to_string().contains(" more terms: no match"));
}
