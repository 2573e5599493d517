//! DMARC: records are read to their end whatever they hold, and findings have their places; the tree walk is that of
//! the model; answers early and late give the same outcome; what passes and is the author domain itself passes.
//!
//! The input is lines of a name and a record, `NAME RECORD`, and the last 16 bytes steer: whose message it is, and who
//! vouches for it.

#![no_main]

use dkimkit::authres::{AuthservId, with_results};
use dkimkit::dmarc::record::{Policy, Psd, Reading, Record, ReportUri, Request};
use dkimkit::dmarc::walk::{AtName, walk};
use dkimkit::dmarc::{
    Aligned, Author, DkimIdentity, DmarcResult, Input, Outcome, SpfIdentity, SpfScope, SpfWord,
    evaluate, report_destinations, resinfo,
};
use dkimkit::dns::Zone;
use dkimkit::dns::lookup::{Question, settle};
use dkimkit::name::Domain;
use dkimkit::report::ResultWord;
use dkimkit_fuzz::model::tree_walk;
use dkimkit_fuzz::{Steering, steered};
use libfuzzer_sys::fuzz_target;

/// Names to begin with, so that walks meet.
const NAMES: [&str; 8] = [
    "example",
    "org.example",
    "a.org.example",
    "b.a.org.example",
    "c.org.example",
    "other.example",
    "a.b.c.d.e.f.g.h.i.org.example",
    "xn--bcher-kva.example",
];

fuzz_target!(|data: &[u8]| {
    let (text, mut steering) = steered(data);
    let mut zone = Zone::default();
    let mut states = Vec::new();
    let mut names: Vec<Domain> = NAMES
        .iter()
        .map(|name| Domain::new(name).unwrap())
        .collect();
    for line in text.split(|byte| *byte == b'\n').take(20) {
        let cut = line.iter().position(|byte| *byte == b' ');
        let (name, record) = line.split_at(cut.unwrap_or(0));
        let record = record.strip_prefix(b" ").unwrap_or(record);
        read(record);
        let Some(name) = named(name) else { continue };
        match record {
            b"!" => states.push(format!(
                "\"_dmarc.{}\": {{\"status\": \"TIMEOUT\"}}",
                name.as_ascii()
            )),
            b"=" => states.push(format!(
                "\"{}\": {{\"A\": [\"192.0.2.1\"]}}",
                name.as_ascii()
            )),
            _ => zone.insert_txt(&format!("_dmarc.{}", name.as_ascii()), record.to_vec()),
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if let Ok(states) = Zone::parse(&format!("{{{}}}", states.join(","))) {
        zone.merge(states);
    }
    for name in &names {
        walked(&zone, name);
    }
    judged(&zone, &names, &mut steering);
});

/// A digit stands for one of the names above.
fn named(name: &[u8]) -> Option<Domain> {
    let name = std::str::from_utf8(name).ok()?;
    let known = name.parse().ok().and_then(|at: usize| NAMES.get(at));
    Domain::new(known.unwrap_or(&name)).ok()
}

fn read(text: &[u8]) {
    let reading = match Reading::parse(text) {
        Ok(reading) => reading,
        Err(error) => return assert!(!error.to_string().contains(char::is_control)),
    };
    for finding in &reading.findings {
        assert!(finding.span.start <= finding.span.end && finding.span.end <= text.len());
        let said = [finding.fault.sentence(), finding.fault.mend()].concat();
        assert!(!said.contains(char::is_control), "{said:?}");
        assert!(finding.fault.word().starts_with("dmarc-"));
    }
    let mut at = 0;
    for tag in &reading.tags {
        assert!(at <= tag.span.start && tag.span.end <= text.len());
        at = tag.span.end;
        let own = text[tag.span.clone()].to_ascii_lowercase();
        assert!(own.starts_with(tag.name.as_bytes()));
    }
    // What is printed is read again without a fault, but for what nobody can mend.
    let record = reading.record;
    let printed = record.to_string();
    let again = Reading::parse(printed.as_bytes()).unwrap();
    let requests = [record.p, record.sp, record.np];
    if !requests.contains(&Request::Invalid) {
        assert_eq!(again.record.to_string(), printed);
        assert_eq!(again.record.force(), record.force());
        let rest = |r: &Record| {
            let fo = (!r.ruf.is_empty()).then_some(r.fo);
            (r.p, r.sp, r.np, r.adkim, r.aspf, r.psd, r.testing, fo)
        };
        assert_eq!(rest(&again.record), rest(&record));
        let uris = |list: &[ReportUri]| -> Vec<String> {
            list.iter().map(|uri| uri.uri.clone()).collect()
        };
        assert_eq!(uris(&again.record.rua), uris(&record.rua));
    }
}

fn walked(zone: &Zone, name: &Domain) {
    let walk = walk(zone, name).unwrap();
    assert!((1..=8).contains(&walk.steps.len()));
    let record = |domain: &str| {
        let step = walk
            .steps
            .iter()
            .find(|step| step.domain.as_ascii() == domain)?;
        match &step.found {
            AtName::Record(reading) => Some(match reading.record.psd {
                Psd::Yes => 'y',
                Psd::No => 'n',
                Psd::Unknown => 'u',
            }),
            _ => None,
        }
    };
    let model = tree_walk(name.as_ascii(), record);
    let asked: Vec<&str> = walk
        .steps
        .iter()
        .map(|step| step.domain.as_ascii())
        .collect();
    assert_eq!(asked, model.asked);
    let failed = walk
        .steps
        .iter()
        .any(|step| matches!(step.found, AtName::Failed(_)));
    match walk.organization() {
        Ok((found, _)) => assert_eq!(found.as_ascii(), model.organization),
        Err(_) => assert!(failed),
    }
    match walk.policy() {
        Ok(found) => {
            let found = found.map(|(domain, _)| domain.as_ascii().to_owned());
            assert!(
                failed || found == model.policy,
                "{found:?} {:?}",
                model.policy
            );
        }
        Err(_) => assert!(failed),
    }
}

fn judged(zone: &Zone, names: &[Domain], steering: &mut Steering<'_>) {
    let name = |steering: &mut Steering<'_>| names[steering.below(names.len())].clone();
    let author = name(steering);
    let mut input = Input::new(Author::One(author.clone()));
    let words = ["pass", "fail", "temperror", "none"];
    if steering.flag() {
        input.spf = Some(SpfIdentity {
            scope: SpfScope::MailFrom,
            domain: name(steering),
            result: SpfWord::from_word(words[steering.below(words.len())]).unwrap(),
        });
    }
    for _ in 0..steering.below(4) {
        input.dkim.push(DkimIdentity {
            domain: name(steering),
            selector: None,
            result: [ResultWord::Pass, ResultWord::Fail, ResultWord::TempError][steering.below(3)],
        });
    }
    let outcome = evaluate(zone, &input).unwrap();
    consistent(&outcome);
    let fetch = |questions: Vec<Question>| {
        let answer = |question: Question| (question.clone(), zone.answer(&question));
        questions.into_iter().map(answer).collect()
    };
    assert_eq!(settle(1000, fetch, |dns| evaluate(dns, &input)), outcome);
    let thorough = Input {
        thorough: true,
        ..input.clone()
    };
    let told = evaluate(zone, &thorough).unwrap();
    assert_eq!(
        (told.result, told.disposition),
        (outcome.result, outcome.disposition)
    );
    // One signature more, of the author domain itself.
    input.dkim.push(DkimIdentity {
        domain: author,
        selector: None,
        result: ResultWord::Pass,
    });
    let applies = outcome.requested.is_some();
    let result = evaluate(zone, &input).unwrap().result;
    assert_eq!(result == DmarcResult::Pass, applies, "{}", outcome.sentence);
    let policy = outcome.policy_domain.as_ref();
    let record = outcome
        .record
        .as_ref()
        .and_then(|text| Reading::parse(text.as_bytes()).ok());
    if let (Some(domain), Some(reading)) = (policy, record) {
        for found in report_destinations(zone, &reading.record, domain).unwrap() {
            assert!(!found.sentence.contains(char::is_control));
        }
    }
}

fn consistent(outcome: &Outcome) {
    let counts = outcome
        .identifiers
        .iter()
        .any(|identifier| identifier.counts);
    assert_eq!(outcome.result == DmarcResult::Pass, counts);
    for identifier in &outcome.identifiers {
        assert_eq!(
            identifier.counts,
            identifier.passed && identifier.aligned.holds()
        );
        let own = identifier.organizational_domain.as_ref();
        if identifier.aligned == Aligned::SameOrganization {
            assert_eq!(own, outcome.organizational_domain.as_ref());
        }
        if let Some(own) = own {
            assert!(identifier.domain == *own || identifier.domain.is_below(own));
        }
    }
    if outcome.result != DmarcResult::Fail {
        assert_eq!(outcome.disposition, Policy::None);
    }
    if let (Some(author), Some(policy)) = (&outcome.author_domain, &outcome.policy_domain) {
        assert!(author == policy || author.is_below(policy));
    }
    if outcome.requested.is_none() {
        assert!(matches!(
            outcome.result,
            DmarcResult::None | DmarcResult::TempError
        ));
    }
    let id = AuthservId::new("mx.example").expect("a name");
    let field = with_results(&id, resinfo(outcome).as_slice());
    assert!(
        field.is_ascii()
            && field
                .split("\r\n")
                .all(|line| !line.contains(char::is_control) || line.starts_with('\t'))
    );
    assert!(!outcome.sentence.contains(char::is_control));
    serde_json::to_string(outcome).unwrap();
}
