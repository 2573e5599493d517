//! SPF records: they print and parse again, a check ends within its bounds and costs no more than the tree says, and records
//! of addresses alone come to what a model says.
//!
//! The input is lines: MAIL FROM, what HELO gave, and the records of example.com, d1.example, d2.example and so on.

#![no_main]

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use dkimkit::authres::{AuthservId, with_results};
use dkimkit::dns::Zone;
use dkimkit::dns::lookup::{Ask, Found, Known, Pending, Question, settle};
use dkimkit::name::Domain;
use dkimkit::spf::record::Record;
use dkimkit::spf::{
    Branch, MAX_LOOKUPS, MAX_QUESTIONS, MAX_TREE_QUESTIONS, Node, Outcome, Query, SpfResult, Tree,
    evaluate, received_spf, resinfo, tree,
};
use libfuzzer_sys::fuzz_target;

/// What the records may ask for.
static HOSTS: LazyLock<Zone> = LazyLock::new(|| {
    Zone::parse(
        "example.com. A 192.0.2.1\nexample.com. MX 1 m1.example.\nexample.com. MX 2 m2.example.\nm1.example. A 192.0.2.2\n\
         m2.example. AAAA 2001:db8::2\nd1.example. MX 1 .\n1.2.0.192.in-addr.arpa. PTR m1.example.\n\
         2.2.0.192.in-addr.arpa. PTR m1.example.\nexp.example. TXT \"%{s} %{c} %{t} %{p} %{R}\"\n",
    )
    .expect("the zone can be read")
});

const CLIENTS: [&str; 4] = ["192.0.2.1", "192.0.2.2", "2001:db8::2", "::ffff:192.0.2.2"];

/// Counts what it is asked.
struct Counting<'a>(&'a Zone, RefCell<HashSet<Question>>);

impl Ask for Counting<'_> {
    fn ask(&self, question: &Question) -> Result<Found, Pending> {
        self.1.borrow_mut().insert(question.clone());
        self.0.ask(question)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|b| *b == b'\n');
    let mail_from = lines.next().unwrap_or_default();
    let helo = lines.next().unwrap_or_default();
    let mut zone = HOSTS.clone();
    for (at, text) in lines.take(9).enumerate() {
        let name = match at {
            0 => "example.com.".to_owned(),
            at => format!("d{at}.example."),
        };
        printed(text);
        zone.insert_txt(&name, text.to_vec());
    }
    let addresses =
        [mail_from, b"anna@example.com"].map(|mail_from| CLIENTS.map(|ip| (mail_from, ip)));
    for (mail_from, ip) in addresses.into_iter().flatten() {
        let query = Query::new(ip.parse().expect("an address"), helo, mail_from);
        let dns = Counting(&zone, RefCell::default());
        let outcome = evaluate(&dns, &query).expect("a zone answers at once");
        assert!(dns.1.borrow().len() <= MAX_QUESTIONS);
        let later = settle(
            MAX_QUESTIONS,
            |questions| fetched(&zone, questions),
            |known: &Known| evaluate(known, &query),
        );
        assert_eq!(later, outcome);
        checked(&zone, &query, &outcome);
    }
});

fn fetched(zone: &Zone, questions: Vec<Question>) -> Vec<(Question, Found)> {
    let answer = |question: Question| (question.clone(), zone.answer(&question));
    questions.into_iter().map(answer).collect()
}

/// What parses prints and parses again; what does not says where.
fn printed(text: &[u8]) {
    match Record::parse(text) {
        Ok(record) => {
            assert!(Record::is_spf(text));
            for term in record.terms() {
                assert_eq!(term.text.as_bytes(), &text[term.span.clone()]);
            }
            let again =
                Record::parse(record.to_string().as_bytes()).expect("what is printed can be read");
            assert_eq!(again.to_string(), record.to_string());
            let kinds = |record: &Record| -> Vec<_> {
                record
                    .terms()
                    .iter()
                    .map(|term| term.kind.clone())
                    .collect()
            };
            assert_eq!(kinds(&again), kinds(&record));
        }
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control));
            for term in error.terms() {
                assert!(!text[term.span.clone()].is_empty());
                let _ = term.fault.mend();
            }
        }
    }
}

fn checked(zone: &Zone, query: &Query, outcome: &Outcome) {
    assert!(outcome.lookups <= MAX_LOOKUPS);
    let costs = outcome.trace.steps.iter().map(|step| step.lookups);
    assert_eq!(costs.sum::<usize>(), outcome.lookups);
    let printable = |text: &String| text.bytes().all(|b| (b' '..=b'~').contains(&b));
    assert!(outcome.explanation.iter().all(printable));
    let unsafe_text = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    assert!(!unsafe_text(&outcome.trace.to_string()) && !unsafe_text(&outcome.reason.to_string()));
    serde_json::to_string(outcome).expect("it can be written");
    let id = AuthservId::new("mx.example").expect("a name");
    let results = with_results(&id, &[resinfo(query, outcome)]);
    for field in [received_spf(query, outcome), results] {
        for line in field.split("\r\n").skip(1) {
            let text = line.trim_start_matches('\t');
            assert!(
                line.starts_with('\t') && line.len() < 998 && !text.contains(char::is_control),
                "{field:?}"
            );
        }
    }
    let Ok(domain) = Domain::new(&outcome.domain) else {
        return;
    };
    let dns = Counting(zone, RefCell::default());
    let grown = tree(&dns, &domain).expect("a zone answers at once");
    assert!(dns.1.borrow().len() <= MAX_TREE_QUESTIONS);
    assert!(!unsafe_text(&grown.to_string()));
    if !grown.cut && !grown.endless && !leads_astray(&grown) {
        assert!(
            outcome.lookups <= grown.lookups,
            "{grown}\n{}",
            outcome.trace
        );
    }
    if let Some(record) = &grown.root.record
        && let Some(result) = model(record, query.ip.to_canonical())
    {
        assert_eq!(outcome.result, result, "{record}");
    }
}

/// Whether a record that depends on the message may cost more than is known.
fn leads_astray(tree: &Tree) -> bool {
    fn any(node: &Node) -> bool {
        let lower = |branch: &Branch| branch.term.to_ascii_lowercase();
        let branch = |branch: &Branch| {
            branch.depends
                && (lower(branch).contains("include") || lower(branch).contains("redirect"))
                || branch.node.as_deref().is_some_and(any)
        };
        node.terms.iter().any(branch)
    }
    any(&tree.root)
}

/// The result of a record that has nothing but `all`, `ip4` and `ip6`, bit by bit; `None` for others.
fn model(record: &str, ip: IpAddr) -> Option<SpfResult> {
    let mut result = None;
    for term in record.split(' ').skip(1).filter(|term| !term.is_empty()) {
        let (word, bare) = match term.split_at_checked(1)? {
            ("-", rest) => (SpfResult::Fail, rest),
            ("~", rest) => (SpfResult::SoftFail, rest),
            ("?", rest) => (SpfResult::Neutral, rest),
            ("+", rest) => (SpfResult::Pass, rest),
            _ => (SpfResult::Pass, term),
        };
        let bare = bare.to_ascii_lowercase();
        let matches = match bare.split_once(':') {
            None if bare == "all" => true,
            Some((name @ ("ip4" | "ip6"), network)) => {
                let (address, prefix) = network
                    .split_once('/')
                    .map_or((network, None), |(a, p)| (a, Some(p)));
                let address: IpAddr = address
                    .parse()
                    .ok()
                    .filter(|a: &IpAddr| a.is_ipv4() == (name == "ip4"))?;
                let (ours, theirs) = (bits(ip), bits(address));
                let prefix = match prefix {
                    None => theirs.len(),
                    Some(text) => {
                        let number: usize = text.parse().ok()?;
                        (number.to_string() == text && number <= theirs.len()).then_some(number)?
                    }
                };
                ours.len() == theirs.len() && ours[..prefix] == theirs[..prefix]
            }
            _ => return None,
        };
        if matches && result.is_none() {
            result = Some(word);
        }
    }
    Some(result.unwrap_or(SpfResult::Neutral))
}

fn bits(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{:032b}", ip.to_bits()),
        IpAddr::V6(ip) => format!("{:0128b}", ip.to_bits()),
    }
}
