//! A message, against a zone of good keys: the chain that it comes with, and one that is sealed upon it.
//!
//! In one piece and in chunks, with answers early and late, a chain has the same report; what holds has a whole
//! structure; a report can be printed and read. What is sealed passes if the chain below it did, or there was none;
//! a byte more in the body, and it does not. A chain that failed is marked as failed and sealed no more. Beside it,
//! DomainKeys: the same verdicts at every cut.

#![no_main]

use std::sync::Arc;

use dkimkit::arc::{
    self, ARC_REASONS, ArcReport, ArcVerifier, ChainReport, ChainStatus, SealError, SealOptions,
    Sealer,
};
use dkimkit::authres::{AuthservId, with_results};
use dkimkit::dns::LookupTxt as _;
use dkimkit::domainkeys::{DomainKeysVerdict, DomainKeysVerifier};
use dkimkit::message::{HeaderLimits, split};
use dkimkit::name::{Domain, Selector};
use dkimkit::policy::{Level, Policy};
use dkimkit::report::{REASONS, ResultWord};
use dkimkit::sign::SigningIdentity;
use dkimkit_fuzz::{DOMAIN, KEYS, NOW, Steering, ZONE, split_in_chunks, steered};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (message, mut steering) = steered(data);
    let policy = Policy::new(Level::Rfc);
    let Ok(report) = arc::verify(message, &*ZONE, &policy, NOW) else {
        return;
    };
    assert_eq!(in_chunks(message, &mut steering), report);
    told(&report);
    domainkeys(message, &mut steering);
    seal(message, &report, &mut steering);
});

fn in_chunks(message: &[u8], steering: &mut Steering) -> ArcReport {
    let policy = Policy::new(Level::Rfc);
    let early = steering.flag();
    let steps = steering.steps();
    let (header, chunks) = split_in_chunks(message, policy.limits.header, steps).unwrap();
    let mut verifier = ArcVerifier::new(header, Arc::new(policy), NOW);
    let wanted = verifier.wanted().to_vec();
    assert!(wanted.len() <= policy.limits.lookups);
    if early {
        for name in &wanted {
            verifier.supply(name, ZONE.lookup_txt(name));
        }
    }
    let mut verifier = verifier.start_body();
    for chunk in chunks {
        let _ = verifier.write(chunk);
    }
    for name in &wanted {
        verifier.supply(name, ZONE.lookup_txt(name));
    }
    verifier.finish()
}

/// What a report says holds together, and can be printed.
fn told(report: &ArcReport) {
    let result = report.result();
    let sets = report.sets.len();
    assert!(sets <= usize::from(arc::MAX_SETS));
    match result {
        ResultWord::Pass => {
            assert!(report.reason().is_none() && sets > 0);
            assert!(usize::from(report.oldest_pass.unwrap()) <= sets);
            for (at, set) in report.sets.iter().enumerate() {
                let want = match at {
                    0 => ChainStatus::None,
                    _ => ChainStatus::Pass,
                };
                assert_eq!(set.status, Some(want));
                assert_eq!(usize::from(set.instance), at + 1);
                assert!(set.authentication_results.is_some());
                assert_eq!(set.seal.as_ref().unwrap().failure, None);
            }
            let newest = report.sets.last().unwrap();
            assert_eq!(newest.message_signature.as_ref().unwrap().failure, None);
        }
        ResultWord::None => assert_eq!((sets, report.reason()), (0, Some("no-chain"))),
        _ => {
            assert!(matches!(result, ResultWord::Fail | ResultWord::TempError));
            assert_eq!(report.oldest_pass, None);
            let word = report.reason().unwrap();
            let known = ARC_REASONS.iter().chain(&REASONS);
            assert!(known.clone().any(|(known, ..)| *known == word), "{word}");
        }
    }
    let json = ChainReport::new("-".to_owned(), report).to_json();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["result"], result.as_str());
    assert_eq!(value["instances"].as_array().unwrap().len(), sets);
    let id = AuthservId::new("mx.example.org").unwrap();
    let field = with_results(&id, &[report.result_for(None)]);
    assert!(
        field.contains(&format!("arc={}", report.status())),
        "{field}"
    );
    assert!(
        !field.replace("\r\n\t", "").contains(['\r', '\n']),
        "{field:?}"
    );
}

fn domainkeys(message: &[u8], steering: &mut Steering) {
    let policy = Policy::new(Level::Legacy);
    let verdicts = |chunks: Vec<&[u8]>| -> Vec<DomainKeysVerdict> {
        let (header, _) = split(message, HeaderLimits::default()).unwrap();
        let mut verifier = DomainKeysVerifier::new(&header, Arc::new(policy));
        for name in verifier.wanted().to_vec() {
            verifier.supply(&name, ZONE.lookup_txt(&name));
        }
        for chunk in chunks {
            let _ = verifier.write(chunk);
        }
        verifier.finish()
    };
    let (_, body) = split(message, HeaderLimits::default()).unwrap();
    let steps = steering.steps();
    let (_, chunks) = split_in_chunks(message, policy.limits.header, steps).unwrap();
    let whole = verdicts(vec![body]);
    assert_eq!(verdicts(chunks), whole);
    for verdict in &whole {
        assert_eq!(
            verdict.report().reason.is_none(),
            verdict.result() == ResultWord::Pass
        );
    }
}

/// A set more.
fn sealed(message: &[u8], status: ChainStatus) -> Result<Vec<u8>, SealError> {
    let (header, body) = split(message, HeaderLimits::default()).unwrap();
    let (selector, key) = KEYS.last().unwrap();
    let domain = Domain::new(DOMAIN).unwrap();
    let identity = SigningIdentity::new(domain, Selector::new(selector).unwrap(), key.clone());
    let mut sealer = Sealer::new(&header, identity, &SealOptions::new(NOW))?;
    sealer.write(body);
    let id = AuthservId::new("mx.example.org").unwrap();
    let set = sealer.finish(status, &id, "dkim=none")?;
    let fields = set.fields().map(|field| format!("{field}\r\n")).concat();
    Ok([fields.as_bytes(), message].concat())
}

fn seal(message: &[u8], report: &ArcReport, steering: &mut Steering) {
    let again = match sealed(message, report.status()) {
        Ok(again) => again,
        Err(
            SealError::AlreadyFailed
            | SealError::TooManySets
            | SealError::BeyondLimit(_)
            | SealError::Sign(_),
        ) => return,
        Err(error) => panic!("{error}: {report:?}"),
    };
    let verify = |message: &[u8]| {
        let report = arc::verify(message, &*ZONE, &Policy::new(Level::Rfc), NOW);
        report.map(|report| (report.result(), report.reason()))
    };
    let Ok((result, reason)) = verify(&again) else {
        // The header is larger than a header may be.
        return;
    };
    if report.status() == ChainStatus::Fail {
        assert_eq!(
            (result, reason),
            (ResultWord::Fail, Some("marked-as-failed"))
        );
        assert_eq!(
            sealed(&again, ChainStatus::Fail),
            Err(SealError::AlreadyFailed)
        );
        return;
    }
    assert_eq!(result, ResultWord::Pass, "{}", again.escape_ascii());
    if steering.flag() && again.ends_with(b"\n") {
        let more = [&again[..], b"x\r\n"].concat();
        match verify(&more) {
            Ok((result, _)) => assert_ne!(result, ResultWord::Pass),
            // Without an empty line behind the header this is no line of a body, and no field either.
            Err(_) => {
                let (_, body) = split(&again, HeaderLimits::default()).unwrap();
                assert_eq!(body, b"");
            }
        }
    }
}
