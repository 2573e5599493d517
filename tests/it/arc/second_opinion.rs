//! A second opinion on chains: `mail-auth` on the corpus, the vectors, and chains that are sealed here.
//!
//! Compared is whether a chain passes; `testdata/second-opinion.txt` says who is right where the two differ, and why.

use std::collections::BTreeMap;

use dkimkit::arc::{self, ArcField};
use dkimkit::dns::Zone;
use dkimkit::message::{HeaderLimits, split};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::policy::{Level, Policy};
use dkimkit::report::ResultWord;
use dkimkit::tag::TagList;
use dkimkit::time::UnixTime;
use mail_auth::{AuthenticatedMessage, DkimResult, Parameters};

use super::{chains, corpus};
use crate::random::Random;
use crate::second_opinion::{Keys, authenticator, block_on, compare, is_disputed};
use crate::{properties, vectors};

/// The names of all keys that the chain of a message names, whatever else is wrong with it.
fn names(message: &[u8]) -> Vec<KeyName> {
    let Ok((header, _)) = split(message, HeaderLimits::default()) else {
        return Vec::new();
    };
    let signed = [ArcField::MessageSignature, ArcField::Seal];
    let named = header.fields().filter_map(|field| {
        signed.iter().find(|name| field.is(name.name()))?;
        let list = TagList::parse(field.value(), 100).ok()?;
        let text = |tag: &str| std::str::from_utf8(list.get(tag)?.value).ok();
        let selector = Selector::new(text("s")?).ok()?;
        KeyName::new(&selector, &Domain::new(text("d")?).ok()?).ok()
    });
    named.collect()
}

fn theirs(message: &[u8], zone: &Zone) -> bool {
    let keys = Keys::new(names(message).iter(), zone);
    let Some(parsed) = AuthenticatedMessage::parse_with_opts(message, None, false) else {
        return false;
    };
    let parameters = Parameters::new(&parsed).with_txt_cache(&keys);
    let output = block_on(authenticator().verify_arc(parameters));
    *output.result() == DkimResult::Pass
}

fn ours(message: &[u8], zone: &Zone, now: UnixTime) -> bool {
    let report = arc::verify(message, zone, &Policy::new(Level::Rfc), now);
    report.is_ok_and(|report| report.result() == ResultWord::Pass)
}

/// Who passes it alone: `ours` or `theirs`.
fn difference(message: &[u8], zone: &Zone, now: UnixTime) -> Option<&'static str> {
    match (ours(message, zone, now), theirs(message, zone)) {
        (true, false) => Some("ours"),
        (false, true) => Some("theirs"),
        _ => None,
    }
}

#[test]
fn on_the_corpus_every_difference_is_explained() {
    let Some(cases) = corpus::cases() else {
        crate::skipped("no corpus beside the project for the second opinion on ARC");
        return;
    };
    let mut found = BTreeMap::new();
    for case in cases {
        if let Some(who) = difference(&case.message, &case.zone, case.now) {
            found.insert(format!("arc-corpus {}", case.id), who.to_owned());
        }
    }
    compare(found, "arc-corpus ");
}

#[test]
fn on_the_vectors_every_difference_is_explained() {
    let mut found = BTreeMap::new();
    for vector in vectors::all() {
        if let Some(who) = difference(&vector.message, &vector.zone, vector.now) {
            found.insert(format!("arc-vector {}", vector.name()), who.to_owned());
        }
    }
    compare(found, "arc-vector ");
}

#[test]
fn on_chains_that_are_sealed_here_there_is_no_difference() {
    let domains = properties::domains();
    let mut random = Random::new(21);
    let now = UnixTime(1_700_000_000);
    let mut compared = 0;
    for round in 0..40 {
        let message = properties::tame_message(&mut random);
        let times = 1 + u8::try_from(random.below(3)).unwrap();
        let sealed = chains::sealed(&domains, &message, times, &mut random);
        assert!(
            theirs(&sealed, &domains.zone),
            "{round}\n{}",
            sealed.escape_ascii()
        );
        let appended = [sealed.as_slice(), b"more\r\n"].concat();
        let mut changed = sealed.clone();
        changed[random.below(sealed.len())] ^= 1;
        for text in [appended, changed] {
            // A changed byte may make one of the oddities.
            if is_disputed(&text) {
                continue;
            }
            compared += 1;
            let found = difference(&text, &domains.zone, now);
            assert_eq!(found, None, "{round}\n{}", text.escape_ascii());
        }
    }
    println!("{compared} messages compared");
    assert!(compared > 50);
}
