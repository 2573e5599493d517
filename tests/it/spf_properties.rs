//! What must hold of every check of SPF, on records drawn from a seed and name servers that say anything.

use std::cell::RefCell;
use std::collections::HashSet;

use dkimkit::authres::{AuthservId, with_results};
use dkimkit::dns::Cause;
use dkimkit::dns::lookup::{
    Ask, DnsName, Found, Known, Pending, Question, Record as Answer, RecordType, Said, settle,
};
use dkimkit::name::Domain;
use dkimkit::spf::record::Record;
use dkimkit::spf::{
    Branch, MAX_LOOKUPS, MAX_QUESTIONS, MAX_TREE_QUESTIONS, MAX_VOIDS, Node, Outcome, Query,
    SpfResult, Step, Tree, Visit, evaluate, received_spf, resinfo, tree,
};

use crate::random::Random;

/// A server that says to each question something of its own, and the same again.
struct Hostile {
    seed: u64,
    asked: RefCell<HashSet<Question>>,
}

impl Hostile {
    fn new(seed: u64) -> Hostile {
        Hostile {
            seed,
            asked: RefCell::default(),
        }
    }

    fn answer(&self, question: &Question) -> Found {
        let name = question.name.as_bytes().iter();
        let hash = name.fold(self.seed ^ question.kind as u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        let mut random = Random::new(hash);
        let said = match random.below(12) {
            0 => Said::NoName,
            1 => Said::NoData,
            2 if random.below(6) == 0 => Said::Temporary(Cause::Timeout),
            _ => Said::Records(records(&mut random, question.kind)),
        };
        Found::new(said)
    }
}

impl Ask for Hostile {
    fn ask(&self, question: &Question) -> Result<Found, Pending> {
        self.asked.borrow_mut().insert(question.clone());
        Ok(self.answer(question))
    }
}

fn name(random: &mut Random) -> DnsName {
    DnsName::new(format!("n{}.example", random.below(9)).as_bytes()).unwrap()
}

fn records(random: &mut Random, kind: RecordType) -> Vec<Answer> {
    let count = 1 + random.below(3) * random.below(9);
    let one = |random: &mut Random| match kind {
        RecordType::A => Answer::Address([192, 0, 2, random.below(4) as u8].into()),
        RecordType::Aaaa => {
            Answer::Address([0x2001, 0xdb8, 0, 0, 0, 0, 0, random.below(4) as u16].into())
        }
        RecordType::Mx => Answer::Mx {
            preference: 1,
            exchange: name(random),
        },
        RecordType::Ptr => Answer::Name(name(random)),
        _ => Answer::Text(record(random)),
    };
    match kind {
        // Several records are an error, so that there is nothing to see behind them.
        RecordType::Txt if random.below(8) > 0 => vec![one(random)],
        _ => (0..count).map(|_| one(random)).collect(),
    }
}

fn record(random: &mut Random) -> Vec<u8> {
    const TERMS: &str = "a mx ptr all include: redirect= exp= exists: a: mx: ptr: ip4:192.0.2.0/30 ip6:2001:db8::/126 ip4:1.2.3.4 \
        a/0//0 include:%{d} exists:%{p}.x.example exists:%{s}. mx:%{o} a:%{i}.%{v}.x.example moo=%{t}";
    const ODD: &[&[u8]] = &[
        b"moo",
        b"%",
        b"\xff",
        b"a:%{q}.example",
        b"ip4:1.2.3",
        b"redirect:x",
    ];
    let terms: Vec<&str> = TERMS.split_ascii_whitespace().collect();
    let mut out = b"v=spf1".to_vec();
    for _ in 0..random.below(7) {
        out.extend_from_slice(random.pick::<&[u8]>(&[b" ", b"  "]));
        if random.below(40) == 0 {
            out.extend_from_slice(random.pick::<&[u8]>(ODD));
            continue;
        }
        let term = random.pick(&terms);
        let is_modifier = term.contains('=');
        if !is_modifier {
            out.extend_from_slice(random.pick::<&[u8]>(&[b"", b"", b"-", b"~", b"?"]));
        }
        out.extend_from_slice(term.as_bytes());
        if term.ends_with([':', '=']) {
            out.extend_from_slice(name(random).as_bytes());
        }
    }
    out
}

fn query(random: &mut Random) -> Query {
    let ip = random
        .pick(&["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"])
        .parse();
    let mail_from = random.pick(&[
        "a@n1.example",
        "",
        "@n2.example",
        "ü@n3.example",
        "a\r\n(\"@n4.example",
    ]);
    Query::new(ip.unwrap(), "n5.example", mail_from)
}

#[test]
fn whatever_name_servers_say_a_check_ends_and_holds_what_it_promises() {
    let mut random = Random::new(5);
    let mut results = HashSet::new();
    for seed in 0..3000 {
        let dns = Hostile::new(seed);
        let query = query(&mut random);
        let outcome = evaluate(&dns, &query).unwrap();
        let asked = dns.asked.take().len();
        assert!(asked <= MAX_QUESTIONS, "{seed}: {asked} questions");
        assert_eq!(evaluate(&dns, &query).as_ref(), Ok(&outcome), "{seed}");
        results.insert(outcome.result);
        check(&outcome, &query);
        let fetched = settle(
            MAX_QUESTIONS,
            |questions| {
                questions
                    .into_iter()
                    .map(|q| (q.clone(), dns.answer(&q)))
                    .collect()
            },
            |known: &Known| evaluate(known, &query),
        );
        assert_eq!(
            fetched, outcome,
            "{seed}: answers that come later change nothing"
        );
    }
    assert_eq!(results.len(), 7, "{results:?}: every result was seen");
}

fn check(outcome: &Outcome, query: &Query) {
    assert!(
        outcome.lookups <= MAX_LOOKUPS && outcome.voids <= MAX_VOIDS + 1,
        "{outcome:?}"
    );
    let sum = |of: fn(&Step) -> usize| outcome.trace.steps.iter().map(of).sum::<usize>();
    assert_eq!(
        sum(|step| step.lookups),
        outcome.lookups,
        "{}",
        outcome.trace
    );
    assert_eq!(sum(|step| step.voids), outcome.voids, "{}", outcome.trace);
    assert_eq!(outcome.result, outcome.trace.result);
    assert!(outcome.explanation.is_none() || outcome.result == SpfResult::Fail);
    // A tail that matched is the last one, and nothing is evaluated behind an error.
    consistent(&outcome.trace);
    serde_json::to_string(outcome).unwrap();
    let id = AuthservId::new("mx.example").unwrap();
    let results = with_results(&id, &[resinfo(query, outcome)]);
    for text in [received_spf(query, outcome), results] {
        let lines = text.split("\r\n");
        for (at, line) in lines.enumerate() {
            assert!(at == 0 || line.starts_with('\t'), "{text:?}");
            assert!(
                line.len() < 998 && !line.trim_start_matches('\t').contains(char::is_control),
                "{text:?}"
            );
        }
    }
}

fn consistent(visit: &Visit) {
    for (at, step) in visit.steps.iter().enumerate() {
        assert!(
            step.matched == Some(false) || at + 1 == visit.steps.len(),
            "{visit}"
        );
        step.visit.iter().for_each(|visit| consistent(visit));
    }
}

#[test]
fn a_tree_ends_and_no_check_costs_more_than_it_says() {
    let mut random = Random::new(6);
    let domain = Domain::new("n1.example").unwrap();
    let (mut compared, mut endless) = (0, 0);
    for seed in 0..3000 {
        let dns = Hostile::new(seed);
        let grown = tree(&dns, &domain).unwrap();
        let asked = dns.asked.take().len();
        assert!(asked <= MAX_TREE_QUESTIONS, "{seed}: {asked} questions");
        let fetched = settle(
            MAX_TREE_QUESTIONS,
            |questions| {
                questions
                    .into_iter()
                    .map(|q| (q.clone(), dns.answer(&q)))
                    .collect()
            },
            |known: &Known| tree(known, &domain),
        );
        assert_eq!(
            fetched, grown,
            "{seed}: answers that come later change nothing"
        );
        serde_json::to_string(&grown).unwrap();
        endless += usize::from(grown.endless);
        if grown.cut || grown.endless || depends(&grown) {
            continue;
        }
        compared += 1;
        let query = Query {
            mail_from: b"a@n1.example".to_vec(),
            ..query(&mut random)
        };
        let outcome = evaluate(&dns, &query).unwrap();
        let voids = match query.ip.to_canonical().is_ipv4() {
            true => grown.voids.v4,
            false => grown.voids.v6,
        };
        assert!(
            outcome.lookups <= grown.lookups && outcome.voids <= voids,
            "{seed}\n{grown}\n{}",
            outcome.trace
        );
        // A pass by an address comes from a network of the tree.
        if outcome.result == SpfResult::Pass {
            let ip = query.ip.to_canonical();
            assert!(
                grown.networks.iter().any(|n| n.network.contains(ip)),
                "{seed}\n{grown}\n{}",
                outcome.trace
            );
        }
    }
    println!("{compared} trees compared, {endless} without end");
    assert!(compared > 1000 && endless > 200);
}

fn depends(tree: &Tree) -> bool {
    fn any(node: &Node) -> bool {
        let branch = |branch: &Branch| branch.depends || branch.node.as_deref().is_some_and(any);
        node.terms.iter().any(branch)
    }
    // A term that exists with a name of the domain passes without a network.
    any(&tree.root) || tree.to_string().contains("exists:")
}

#[test]
fn records_print_and_parse_again() {
    let mut random = Random::new(7);
    let mut parsed = 0;
    for _ in 0..5000 {
        let mut text = record(&mut random);
        if random.below(3) == 0 {
            let at = random.below(text.len());
            text[at] = random.below(256) as u8;
        }
        match Record::parse(&text) {
            Ok(record) => {
                parsed += 1;
                let again = Record::parse(record.to_string().as_bytes()).unwrap();
                assert_eq!(again.to_string(), record.to_string());
                let kinds = |record: &Record| -> Vec<_> {
                    record.terms().iter().map(|t| t.kind.clone()).collect()
                };
                assert_eq!(kinds(&again), kinds(&record));
            }
            Err(error) => {
                for term in error.terms() {
                    assert!(term.span.end <= text.len() && !term.span.is_empty());
                    assert!(!term.to_string().contains(char::is_control));
                }
            }
        }
    }
    assert!(parsed > 2000);
}
