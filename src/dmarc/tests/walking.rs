//! The tree walk, and the policy that it leads to.

use std::cell::RefCell;

use super::super::walk::{
    AtName, Because, Existence, MAX_QUERIES, NoAnswer, PolicyTag, existence, walk,
};
use super::super::*;
use super::{domain, zone};
use crate::dns::lookup::{Ask, Found, Pending, Question};
use crate::dns::{Cause, Zone};

/// Notes what is asked for.
struct Noted<'a>(&'a Zone, RefCell<Vec<String>>);

impl Ask for Noted<'_> {
    fn ask(&self, question: &Question) -> Result<Found, Pending> {
        self.1.borrow_mut().push(question.to_string());
        self.0.ask(question)
    }
}

fn asked(zone: &Zone, start: &str) -> Vec<String> {
    let dns = Noted(zone, RefCell::default());
    walk(&dns, &domain(start)).unwrap();
    dns.1.into_inner()
}

#[test]
fn a_walk_asks_for_eight_names_at_most() {
    // The example of §4.10.
    assert_eq!(
        asked(&Zone::default(), "a.b.c.d.e.f.g.h.i.j.mail.example.com"),
        [
            "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com TXT",
            "_dmarc.g.h.i.j.mail.example.com TXT",
            "_dmarc.h.i.j.mail.example.com TXT",
            "_dmarc.i.j.mail.example.com TXT",
            "_dmarc.j.mail.example.com TXT",
            "_dmarc.mail.example.com TXT",
            "_dmarc.example.com TXT",
            "_dmarc.com TXT",
        ]
    );
    for labels in 1..123 {
        let start = vec!["a"; labels].join(".");
        let asked = asked(&Zone::default(), &start);
        assert_eq!(asked.len(), labels.min(MAX_QUERIES), "{labels}");
        assert_eq!(asked.last().unwrap(), "_dmarc.a TXT");
        let second = asked.get(1).map(|name| name.split('.').count() - 1);
        assert_eq!(second, (labels > 1).then(|| (labels - 1).min(7)));
    }
}

fn organization(lines: &str, start: &str) -> Result<(String, Because), NoAnswer> {
    let walk = walk(&zone(lines), &domain(start)).unwrap();
    let found = walk.organization();
    found.map(|(domain, because)| (domain.as_ascii().to_owned(), because))
}

#[test]
fn the_organizational_domain_follows_from_the_records_of_the_walk() {
    const PLAIN: &str = "v=DMARC1; p=none";
    const YES: &str = "v=DMARC1; p=none; psd=y";
    const NO: &str = "v=DMARC1; p=none; psd=n";
    let records = |list: &[(&str, &str)]| {
        let lines = list
            .iter()
            .map(|(domain, record)| format!("{domain} {record}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    for (list, start, want, because) in [
        (&[][..], "a.example.com", "a.example.com", Because::NoRecord),
        (&[], "com", "com", Because::NoRecord),
        // The examples of §4.10.2.
        (
            &[("mail.example.com", PLAIN), ("example.com", PLAIN)],
            "a.mail.example.com",
            "example.com",
            Because::Highest,
        ),
        (
            &[("mail.example.com", NO), ("example.com", PLAIN)],
            "a.mail.example.com",
            "mail.example.com",
            Because::PsdNo,
        ),
        (
            &[("com", YES)],
            "a.mail.example.com",
            "example.com",
            Because::BelowPsd,
        ),
        // A public suffix sends mail itself.
        (&[("com", YES)], "com", "com", Because::Highest),
        (
            &[("co.uk", YES), ("uk", PLAIN)],
            "co.uk",
            "co.uk",
            Because::Highest,
        ),
        (&[("co.uk", YES)], "x.co.uk", "x.co.uk", Because::BelowPsd),
        // A suffix that does not say so takes all below it.
        (&[("com", PLAIN)], "example.com", "com", Because::Highest),
        (
            &[("com", PLAIN), ("example.com", NO)],
            "a.example.com",
            "example.com",
            Because::PsdNo,
        ),
        // What stands above the end of the walk is not seen.
        (
            &[("a.example.com", NO), ("com", YES)],
            "a.example.com",
            "a.example.com",
            Because::PsdNo,
        ),
        (
            &[("x.example.com", PLAIN), ("com", YES)],
            "y.x.example.com",
            "example.com",
            Because::BelowPsd,
        ),
        // psd= with a value that means nothing is not there.
        (
            &[("example.com", "v=DMARC1; p=none; psd=x"), ("com", PLAIN)],
            "example.com",
            "com",
            Because::Highest,
        ),
        // A record without a policy of use is one all the same.
        (
            &[("example.com", "v=DMARC1")],
            "a.example.com",
            "example.com",
            Because::Highest,
        ),
        (
            &[("g.h.i.j.k.l.m", YES)],
            "a.b.c.d.e.f.g.h.i.j.k.l.m",
            "f.g.h.i.j.k.l.m",
            Because::BelowPsd,
        ),
        (
            &[("_x.example.com", NO)],
            "y._x.example.com",
            "_x.example.com",
            Because::PsdNo,
        ),
        (
            &[("xn--bcher-kva.example", PLAIN)],
            "a.b\u{fc}cher.example",
            "xn--bcher-kva.example",
            Because::Highest,
        ),
    ] {
        let found = organization(&records(list), start);
        assert_eq!(found, Ok((want.to_owned(), because)), "{start} {list:?}");
    }
}

#[test]
fn what_stands_at_a_name_is_kept() {
    let mut zone = zone("c.example !NODATA\nb.c.example !REFUSED");
    for text in ["v=DMARC1; p=none", "v=DMARC1; p=reject"] {
        zone.insert_txt("_dmarc.a.b.c.example.", text.into());
    }
    for text in ["v=spf1 -all", "v=dmarc1; p=none", "v=DMARC1 p=none"] {
        zone.insert_txt("_dmarc.x.a.b.c.example.", text.into());
    }
    let walk = walk(&zone, &domain("x.a.b.c.example")).unwrap();
    let found: Vec<AtName> = walk.steps.iter().map(|step| step.found.clone()).collect();
    assert_eq!(
        found,
        [
            AtName::Others { meant: 2 },
            AtName::Several(2),
            AtName::Failed(Cause::Refused),
            AtName::NoData,
            AtName::NoName,
        ]
    );
    let missing = NoAnswer {
        name: "_dmarc.b.c.example".to_owned(),
        cause: Cause::Refused,
    };
    assert_eq!(walk.organization(), Err(missing.clone()));
    assert_eq!(walk.policy(), Err(missing));
}

#[test]
fn a_name_that_is_too_long_for_dns_has_no_record() {
    let label = "a".repeat(61);
    let long = [label.as_str(); 4].join(".");
    let asked = asked(&Zone::default(), &long);
    assert_eq!(asked.len(), 3, "{asked:?}");
    let found = organization("", &long);
    assert_eq!(found, Ok((long, Because::NoRecord)));
}

fn policy(lines: &str, author: &str) -> String {
    let input = Input::new(Author::One(domain(author)));
    let outcome = evaluate(&zone(lines), &input).unwrap();
    let Some(asked) = &outcome.requested else {
        return outcome.reason.as_str().to_owned();
    };
    let tag = asked.tag.map_or("-", PolicyTag::as_str);
    let holder = outcome.policy_domain.unwrap();
    format!(
        "{} {tag} {}",
        holder.as_ascii(),
        outcome.disposition.as_str()
    )
}

#[test]
fn the_policy_is_that_of_the_author_or_its_organization_or_its_suffix() {
    let org = "example.com v=DMARC1; p=reject; sp=quarantine; np=none";
    for (lines, author, want) in [
        (org, "example.com", "example.com p reject"),
        (org, "a.example.com", "example.com np none"),
        (
            &format!("{org}\n=a.example.com"),
            "a.example.com",
            "example.com sp quarantine",
        ),
        (
            &format!("{org}\n=a.example.com !NODATA"),
            "a.example.com",
            "example.com sp quarantine",
        ),
        (
            &format!("{org}\n=a.example.com !NXDOMAIN"),
            "a.example.com",
            "example.com np none",
        ),
        // np= stands for sp= where that is absent, and p= for both (§4.7).
        (
            "example.com v=DMARC1; p=reject; sp=none",
            "a.example.com",
            "example.com sp none",
        ),
        (
            "example.com v=DMARC1; p=reject",
            "a.example.com",
            "example.com p reject",
        ),
        (
            "example.com v=DMARC1; p=reject; np=none\n=a.example.com",
            "a.example.com",
            "example.com p reject",
        ),
        // A name with nothing but names below it exists (RFC 8020 §2).
        (
            &format!("{org}\n=mail.a.example.com"),
            "a.example.com",
            "example.com sp quarantine",
        ),
        // sp= of a record that is not at the organizational domain means nothing.
        (
            "b.example.com v=DMARC1; p=none; sp=reject\nexample.com v=DMARC1; p=quarantine",
            "b.example.com",
            "b.example.com p none",
        ),
        (
            "b.example.com v=DMARC1; p=none; sp=reject\nexample.com v=DMARC1; p=quarantine",
            "a.b.example.com",
            "example.com p quarantine",
        ),
        // The record of the suffix alone.
        (
            "com v=DMARC1; p=none; np=reject; psd=y",
            "example.com",
            "com np reject",
        ),
        (
            "com v=DMARC1; p=none; np=reject; psd=y\n=example.com",
            "example.com",
            "com p none",
        ),
        (
            "com v=DMARC1; p=none; sp=reject; psd=y",
            "a.b.example.com",
            "com sp reject",
        ),
        // One between the author and the organizational domain, which has none: the suffix holds.
        (
            "b.example.com v=DMARC1; p=none\ncom v=DMARC1; p=reject; psd=y",
            "a.b.example.com",
            "com p reject",
        ),
        // Two records are none, and the walk goes on.
        ("example.com v=spf1", "example.com", "no-record"),
        ("com v=DMARC1; p=reject", "com", "com p reject"),
        // §4.10.1 on what is not valid.
        ("example.com v=DMARC1", "example.com", "record-not-applied"),
        (
            "example.com v=DMARC1; p=x\ncom v=DMARC1; p=reject",
            "example.com",
            "record-not-applied",
        ),
        (
            "example.com v=DMARC1; p=x; rua=mailto:a@b.example",
            "example.com",
            "example.com - none",
        ),
        (
            "example.com v=DMARC1; p=reject; sp=x; rua=mailto:a@b.example",
            "a.example.com",
            "example.com - none",
        ),
        (
            "example.com v=DMARC1; p=reject; np=x; rua=nothing",
            "example.com",
            "record-not-applied",
        ),
        // t=y.
        (
            "example.com v=DMARC1; p=reject; t=y",
            "example.com",
            "example.com p quarantine",
        ),
        (
            "example.com v=DMARC1; p=none; sp=quarantine; t=y",
            "a.example.com",
            "example.com sp none",
        ),
        (
            "example.com v=DMARC1; p=none; t=y",
            "example.com",
            "example.com p none",
        ),
    ] {
        assert_eq!(policy(lines, author), want, "{author} {lines}");
    }
    let mut twice = zone("com v=DMARC1; p=none; sp=reject");
    for text in ["v=DMARC1; p=none", "v=DMARC1; p=none"] {
        twice.insert_txt("_dmarc.example.com.", text.into());
        twice.insert_txt("_dmarc.example.com.", format!("{text};").into());
    }
    let walk = walk(&twice, &domain("example.com")).unwrap();
    assert_eq!(walk.policy().unwrap().unwrap().0.as_ascii(), "com");
}

#[test]
fn an_alias_to_nowhere_exists() {
    let zone = Zone::parse("a.example. CNAME gone.example.").unwrap();
    let existence = |name: &str| existence(&zone, &domain(name)).unwrap();
    assert_eq!(existence("a.example"), Existence::Exists);
    assert_eq!(existence("gone.example"), Existence::Missing);
}

#[test]
fn a_text_with_a_blank_before_it_does_not_make_two_records_of_one() {
    let mut zone = Zone::default();
    zone.insert_txt("_dmarc.example.com.", b"v=DMARC1; p=reject".to_vec());
    zone.insert_txt("_dmarc.example.com.", b" v=DMARC1; p=none".to_vec());
    let outcome = evaluate(&zone, &super::input("example.com", &[])).unwrap();
    let found = format!("{} {}", outcome.result, outcome.disposition.as_str());
    assert_eq!(found, "fail reject");
}
