//! A second opinion on SPF: `mail-auth` on the test suite of RFC 7208, over a name server that has its zones.
//!
//! Where the two differ, in the result or the explanation, `testdata/spf-second-opinion.txt` says who is right and why; a
//! difference that does not stand there fails, and one that stands there must still differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use dkimkit::spf::evaluate;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::MessageAuthenticator;
use mail_auth::spf::verify::SpfParameters;

use crate::nameserver::{NameServer, Script};
use crate::spf_corpus::{self, Case, Scenario};

/// A result and its explanation.
type Opinion = (String, Option<String>);

fn authenticator(server: &NameServer) -> MessageAuthenticator {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.addr().port();
        connection
    });
    let server = NameServerConfig::new(server.addr().ip(), true, connections.into());
    let mut options = ResolverOpts::default();
    // What is not answered never is.
    options.timeout = Duration::from_secs(1);
    options.attempts = 0;
    options.cache_size = 0;
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    MessageAuthenticator::new(config, options).unwrap()
}

async fn theirs(resolver: &MessageAuthenticator, case: &Case) -> Opinion {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (helo, mail_from) = (text(&case.query.helo), text(&case.query.mail_from));
    let receiver = &case.query.receiver;
    let parameters = match mail_from.is_empty() {
        true => SpfParameters::verify_ehlo(case.query.ip, &helo, receiver),
        false => SpfParameters::verify_mail_from(case.query.ip, &helo, receiver, &mail_from),
    };
    let output = resolver.verify_spf(parameters).await;
    let result = format!("{:?}", output.result()).to_ascii_lowercase();
    (result, output.explanation().map(str::to_owned))
}

/// The lines of the ledger: the case, what the two say, and why.
fn ledger() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/spf-second-opinion.txt");
    let text = fs::read_to_string(path).unwrap();
    let mut entries = BTreeMap::new();
    for line in text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let (entry, reason) = line
            .split_once(" — ")
            .expect("CASE: OURS, NOT THEIRS — REASON");
        assert!(!reason.is_empty(), "{line}");
        let (case, said) = entry.split_once(": ").expect("CASE: OURS, NOT THEIRS");
        let known = entries.insert(case.to_owned(), said.to_owned());
        assert!(known.is_none(), "{line}");
    }
    entries
}

#[test]
fn on_the_suite_every_difference_is_explained() {
    let Some(scenarios) = spf_corpus::scenarios() else {
        crate::skipped("no corpus beside the project for the second opinion on SPF");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut found = BTreeMap::new();
    let (mut cases, mut results, mut explanations) = (0, 0, 0);
    for Scenario { zone, cases: all } in scenarios {
        let server = NameServer::start(Script::whole(zone.clone()));
        for case in &all {
            let outcome = evaluate(&zone, &case.query).unwrap();
            let ours: Opinion = (outcome.result.as_str().to_owned(), outcome.explanation);
            let theirs = runtime.block_on(async { theirs(&authenticator(&server), case).await });
            cases += 1;
            results += usize::from(case.accepts(&theirs.0));
            explanations +=
                usize::from(case.accepts(&theirs.0) && !case.explained_by(theirs.1.as_deref()));
            if ours != theirs {
                found.insert(
                    case.name.clone(),
                    format!("{}, not {}", shown(&ours), shown(&theirs)),
                );
            }
        }
    }
    println!(
        "{cases} cases: mail-auth gives {results} results that the suite accepts, of them {explanations} with another explanation; \
         it differs from ours in {}",
        found.len()
    );
    // The figures that the ledger tells.
    assert_eq!((cases, results, explanations), (203, 149, 11));
    let listed = ledger();
    let mut wrong = Vec::new();
    for (case, said) in &found {
        if listed.get(case) != Some(said) {
            wrong.push(format!("{case}: {said} — not explained"));
        }
    }
    for (case, said) in &listed {
        if !found.contains_key(case) {
            wrong.push(format!("{case}: {said} — listed, but they agree"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn shown((result, explanation): &Opinion) -> String {
    match explanation {
        None => result.clone(),
        Some(text) => format!("{result} “{}”", text.escape_default()),
    }
}
