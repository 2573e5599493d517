//! What holds of every record and every zone.

use dkimkit::dmarc::record::{Mode, Reading, Request};
use dkimkit::dmarc::walk::walk;
use dkimkit::dmarc::{
    Aligned, Author, DkimIdentity, Input, SpfIdentity, SpfScope, SpfWord, evaluate,
};
use dkimkit::dns::Zone;
use dkimkit::dns::lookup::{Found, Question, settle};
use dkimkit::name::Domain;
use dkimkit::report::ResultWord;

use crate::random::Random;

/// The records of a generated zone; each stands in a class of its own.
const RECORDS: &[&str] = &[
    "v=DMARC1; p=none",
    "v=DMARC1; p=reject",
    "v=DMARC1; p=quarantine; sp=reject; np=none",
    "v=DMARC1; p=reject; sp=none; np=quarantine; t=y",
    "v=DMARC1; p=reject; adkim=s; aspf=s",
    "v=DMARC1; p=reject; psd=n",
    "v=DMARC1; p=reject; np=quarantine; psd=y",
    "v=DMARC1; rua=mailto:a@example.com",
    "v=DMARC1; psd=n",
    "v=DMARC1; p = Reject ; ADKIM=S; pct=0; x=y",
    "v=DMARC2; p=reject",
    "v=spf1 -all",
];

/// A zone below a top-level domain of its own, and an input for it.
pub(super) fn generated(random: &mut Random, round: usize) -> (String, Input) {
    let top = format!("t{round}");
    let mut names = vec![top];
    for _ in 0..random.below(9) {
        let label = *random.pick(&["a", "b", "mail"]);
        let below = random.below(names.len().min(2));
        let below = &names[names.len() - 1 - below];
        names.push(format!("{label}.{below}"));
    }
    let mut zone = String::new();
    let mut seen = Vec::new();
    for name in &names {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        for _ in 0..[0, 1, 1, 1, 1, 2][random.below(6)] {
            let record = random.pick::<&str>(RECORDS);
            if random.below(2) == 0 {
                zone.push_str(&format!("_dmarc.{name}. TXT \"{record}\"\n"));
            }
        }
        if random.below(2) == 0 {
            zone.push_str(&format!("{name}. A 192.0.2.1\n"));
        }
    }
    let name = |random: &mut Random| Domain::new(random.pick::<String>(&names)).unwrap();
    let mut input = Input::new(Author::One(name(random)));
    input.spf = Some(SpfIdentity {
        scope: SpfScope::MailFrom,
        domain: name(random),
        result: *random.pick(&[SpfWord::Pass, SpfWord::Fail, SpfWord::TempError]),
    });
    for _ in 0..random.below(3) {
        input.dkim.push(DkimIdentity {
            domain: name(random),
            selector: None,
            result: *random.pick(&[ResultWord::Pass, ResultWord::Fail, ResultWord::TempError]),
        });
    }
    (zone, input)
}

#[test]
fn alignment_is_that_of_the_organizational_domains_and_late_answers_change_nothing() {
    let mut random = Random::new(11);
    let mut compared = 0;
    for round in 0..1000 {
        let (text, input) = generated(&mut random, round);
        let zone = Zone::parse(&text).unwrap();
        let outcome = evaluate(&zone, &input).unwrap();
        let fetch = |questions: Vec<Question>| -> Vec<(Question, Found)> {
            let answer = |question: Question| (question.clone(), zone.answer(&question));
            questions.into_iter().map(answer).collect()
        };
        assert_eq!(settle(200, fetch, |dns| evaluate(dns, &input)), outcome);
        let Author::One(author) = &input.author else {
            continue;
        };
        let organization = |domain: &Domain| walk(&zone, domain).unwrap().organization().unwrap().0;
        for identifier in &outcome.identifiers {
            let relaxed = identifier.mode == Some(Mode::Relaxed);
            let want = if identifier.domain == *author {
                Aligned::Identical
            } else if relaxed && organization(author) == organization(&identifier.domain) {
                Aligned::SameOrganization
            } else {
                Aligned::No
            };
            if identifier.aligned != Aligned::NotExamined {
                compared += 1;
                assert_eq!(identifier.aligned, want, "{text}{input:?}");
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn whatever_stands_behind_v_dmarc1_is_read_and_what_is_printed_is_read_again() {
    const PIECES: &str = "; =; = |p|sp|np|P|none|reject|Quarantine|adkim|aspf|s|r|psd|y|n|t|fo|0|1:d:s|rua|ruf\
        |mailto:a@example.com|,|!10m|%2c|%|pct=0|\0|\u{e9}|\t|; p=none|; rua=mailto:a@example.com\
        |https://x.example/|v=DMARC1|;|; |=";
    let pieces: Vec<&str> = PIECES.split('|').collect();
    let mut random = Random::new(12);
    for _ in 0..20_000 {
        let mut text = "v=DMARC1;".to_owned();
        for _ in 0..random.below(16) {
            text.push_str(random.pick::<&str>(&pieces));
        }
        let reading = Reading::parse(text.as_bytes()).expect(&text);
        for finding in &reading.findings {
            let place = text.get(finding.span.clone());
            assert!(place.is_some(), "{text:?} {finding:?}");
        }
        let record = reading.record;
        let again = Reading::parse(record.to_string().as_bytes())
            .unwrap()
            .record;
        assert_eq!(again.to_string(), record.to_string(), "{text:?}");
        if ![record.p, record.sp, record.np].contains(&Request::Invalid) {
            assert_eq!(again.force(), record.force(), "{text:?}");
        }
    }
}
