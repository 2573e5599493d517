//! The verifier on messages from anybody, as they come and with their first signature made good: alike in
//! one piece and in chunks, no stricter policy passes what a milder one does not, and reports stay whole.

#![no_main]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dkimkit::authres::{self, AuthservId};
use dkimkit::canon::Sink as _;
use dkimkit::dns::{Answer, Cause, LookupTxt as _};
use dkimkit::domainkeys::{DomainKeysVerdict, DomainKeysVerifier};
use dkimkit::hash::{BodyHashSpec, BodyHasher, HashAlgorithm, Hasher};
use dkimkit::header::FieldIndex;
use dkimkit::key::SigningKey;
use dkimkit::message::{Header, HeaderLimits, SplitError, split};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::policy::{Level, Limits, Policy};
use dkimkit::report::{
    DomainKeysReport, Failure, MessageReport, Outcome, REASONS, ResultWord, Verdict, overall,
};
use dkimkit::signature::{FIELD_NAME, Signature, SignatureLimits};
use dkimkit::verify::{Appetite, Verifier, put_signed_header};
use dkimkit_fuzz::{DOMAIN, KEYS, NOW, Steering, ZONE, model, split_in_chunks, steered};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (message, mut steering) = steered(data);
    let steps = steering.steps();
    check(message, steps, &mut steering);
    if let Some((repaired, index)) = made_good(message) {
        let verdicts = check(&repaired, steps, &mut steering).unwrap();
        let broken = |f: &Failure| matches!(f, Failure::Mismatch | Failure::BodyHash { .. });
        let failure = verdicts[index].failure();
        assert!(
            !failure.is_some_and(broken),
            "{failure:?}: {:?}",
            repaired.escape_ascii()
        );
    }
});

/// Verifies under every policy; returns the verdicts of the mildest.
fn check(message: &[u8], steps: [usize; 4], steering: &mut Steering<'_>) -> Option<Vec<Verdict>> {
    let [strict, rfc, legacy] = [Level::Strict, Level::Rfc, Level::Legacy].map(|level| {
        let policy = Policy::new(level);
        alike(message, &policy, steps, steering)
    });
    let few = Policy {
        limits: Limits {
            header: HeaderLimits {
                bytes: 700,
                fields: 9,
            },
            signatures: 2,
            lookups: 1,
            records: 1,
            ..Limits::default()
        },
        ..Policy::default()
    };
    if let Ok(verdicts) = alike(message, &few, steps, steering) {
        let (header, _) = split(message, few.limits.header).unwrap();
        reported(&header, &verdicts);
    }
    let (strict, rfc, legacy) = match (strict, rfc, legacy) {
        (Ok(strict), Ok(rfc), Ok(legacy)) => (strict, rfc, legacy),
        (Err(strict), Err(rfc), Err(legacy)) => {
            assert!(strict == rfc && rfc == legacy);
            let report = MessageReport::unreadable(String::new(), strict);
            assert_eq!(report.reason, Some(Failure::Message(strict).reason()));
            check_json(&report, ResultWord::PermError);
            return None;
        }
        other => panic!("{other:?}"),
    };
    let (header, _) = split(message, HeaderLimits::default()).unwrap();
    let count = header.fields().filter(|f| f.is(FIELD_NAME)).count();
    for verdicts in [&strict, &rfc, &legacy] {
        assert!(verdicts.iter().map(|v| v.index).eq(0..count));
        reported(&header, verdicts);
    }
    unanswered(header.clone(), &strict);
    // Under the caps, that is: a milder policy tries more signatures.
    if count <= Limits::default().signatures {
        for ((strict, rfc), legacy) in strict.iter().zip(&rfc).zip(&legacy) {
            let [strict, rfc, legacy] = [strict, rfc, legacy].map(|v| v.result());
            assert!(strict != ResultWord::Pass || rfc == ResultWord::Pass);
            assert!(rfc != ResultWord::Pass || legacy == ResultWord::Pass);
        }
    }
    Some(legacy)
}

/// The verdicts, alike however the message and the answers come.
fn alike(
    message: &[u8],
    policy: &Policy,
    steps: [usize; 4],
    steering: &mut Steering<'_>,
) -> Result<Vec<Verdict>, SplitError> {
    let whole = dkimkit::verify(message, &*ZONE, policy, NOW);
    let early = steering.flag();
    let after = steering.below(8);
    assert_eq!(staged(message, policy, steps, early, after), whole);
    whole
}

/// After a failure for now, the answers come with the header (`early`) or once `after` chunks of the body
/// came, the last one first.
fn staged(
    message: &[u8],
    policy: &Policy,
    steps: [usize; 4],
    early: bool,
    after: usize,
) -> Result<Vec<Verdict>, SplitError> {
    let (header, chunks) = split_in_chunks(message, policy.limits.header, steps)?;
    let mut verifier = Verifier::new(header, Arc::new(*policy), NOW);
    let mut wanted = verifier.wanted().to_vec();
    assert!(wanted.len() <= policy.limits.lookups);
    let unasked = KeyName::new(
        &Selector::new("unasked").unwrap(),
        &Domain::new(DOMAIN).unwrap(),
    );
    verifier.supply(&unasked.unwrap(), Answer::NoName);
    for name in &wanted {
        verifier.supply(name, Answer::Temporary(Cause::Timeout));
    }
    if early {
        for name in wanted.drain(..).rev() {
            verifier.supply(&name, ZONE.lookup_txt(&name));
        }
    }
    let mut verifier = verifier.start_body();
    for (at, chunk) in chunks.into_iter().enumerate() {
        if at == after {
            while let Some(name) = wanted.pop() {
                verifier.supply(&name, ZONE.lookup_txt(&name));
            }
        }
        if verifier.write(chunk) == Appetite::Done {
            break;
        }
    }
    while let Some(name) = wanted.pop() {
        verifier.supply(&name, ZONE.lookup_txt(&name));
    }
    Ok(verifier.finish())
}

/// Without any answer, the header alone decides or nobody does.
fn unanswered(header: Header, answered: &[Verdict]) {
    let verifier = Verifier::new(header, Arc::new(Policy::default()), NOW);
    let verdicts = verifier.start_body().finish();
    assert_eq!(verdicts.len(), answered.len());
    for (verdict, answered) in verdicts.iter().zip(answered) {
        let waits = verdict.failure() == Some(&Failure::Temporary(Cause::NotAsked));
        assert!(waits || verdict == answered);
    }
}

/// What is said of a message can be read by machines, whatever stands in it.
fn reported(header: &Header, verdicts: &[Verdict]) {
    for verdict in verdicts {
        let detail = verdict.detail();
        assert!(!detail.contains(char::is_control), "{detail:?}");
        match &verdict.outcome {
            Outcome::Pass(signature) => assert_eq!(verdict.claims, (&**signature).into()),
            Outcome::Refused(failure) => {
                let row = REASONS.iter().find(|(word, ..)| *word == failure.reason());
                assert_eq!(row.unwrap().1, failure.result());
                let id = AuthservId::new("mx.example.org").unwrap();
                check_field(&authres::unreadable(&id, failure), 1);
            }
        }
    }
    let verifier = Verifier::new(header.clone(), Arc::new(Policy::default()), NOW);
    let authors = verifier.authors();
    assert!(authors.domains().len() <= authors.mailboxes());
    let mut report = MessageReport::new(String::new(), authors.domains(), verdicts);
    let domainkeys = DomainKeysVerifier::new(header, Arc::new(Policy::default())).finish();
    report.domainkeys = domainkeys.iter().map(DomainKeysVerdict::report).collect();
    let old = |d: &DomainKeysReport| d.result == "neutral";
    assert!(report.domainkeys.iter().all(old));
    check_json(&report, overall(verdicts));

    let id = AuthservId::new("mx.example.org").unwrap();
    let text = authres::field(&id, verdicts);
    let words = check_field(&text, verdicts.len().clamp(1, authres::MAX_RESULTS));
    let best = overall(verdicts).as_str();
    assert!(words.iter().any(|word| word == best), "{text:?}");
    assert!(text.lines().all(|line| line.len() < 998), "{text:?}");
    if verdicts.len() <= authres::MAX_RESULTS {
        for (word, verdict) in words.iter().zip(verdicts) {
            assert_eq!(word, verdict.result().as_str(), "{text:?}");
        }
    }
}

fn check_json(report: &MessageReport, result: ResultWord) {
    let text = report.to_json();
    assert!(!text.contains(|c: char| c.is_ascii_control()), "{text:?}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["result"], result.as_str());
    assert_eq!(json, serde_json::to_value(report).unwrap());
}

/// Reads an Authentication-Results field; returns the words of its results, of which there are `count`.
fn check_field(text: &str, count: usize) -> Vec<String> {
    let header = Header::parse(text.as_bytes(), HeaderLimits::default()).unwrap();
    assert_eq!(
        (header.len(), header.field(0).name()),
        (1, authres::FIELD_NAME)
    );
    let id = AuthservId::new("mx.example.org").unwrap();
    assert!(
        authres::is_forged(&id, header.field(0)),
        "our own field is known as ours"
    );
    let unfolded = text.replace("\r\n\t", " ");
    assert!(!unfolded.contains(char::is_control), "{text:?}");
    let value = unfolded.split_once(':').unwrap().1;
    let parts = model::parts(value).unwrap_or_else(|| panic!("{text:?}"));
    let (id, results) = parts.split_first().unwrap();
    assert_eq!(
        (id.as_str(), results.len()),
        ("mx.example.org", count),
        "{text:?}"
    );
    let word = |part: &String| {
        assert_eq!(part.matches("dkim=").count(), 1, "{text:?}");
        let word = part.strip_prefix("dkim=").unwrap();
        word.split(' ').next().unwrap().to_owned()
    };
    results.iter().map(word).collect()
}

/// The message with the right bh= and b= in the first signature of our keys, whatever else that says;
/// and which of its signatures that is.
fn made_good(message: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (header, body) = split(message, HeaderLimits::default()).ok()?;
    let fields = header.fields().filter(|f| f.is(FIELD_NAME)).enumerate();
    let (index, field, signature) = fields.take(5).find_map(|(index, field)| {
        let (signature, _) = Signature::parse(field.value(), SignatureLimits::default()).ok()?;
        let known = signature.algorithm.hash() == HashAlgorithm::Sha256;
        known.then_some((index, field, signature))
    })?;
    let key_type = signature.algorithm.key_type();
    let selector = signature.selector.as_str();
    let fits = |k: &&(&str, _)| selector.eq_ignore_ascii_case(k.0);
    let of_type = |k: &&(&str, Arc<SigningKey>)| k.1.algorithm().key_type() == key_type;
    // The zone's other RSA records hold keys that nobody has; its other Ed25519 records hold ours.
    let ed25519 = |k: &&(&str, Arc<SigningKey>)| k.0 == "ed";
    let key = KEYS.iter().find(fits).or(KEYS.iter().find(ed25519))?;
    if !of_type(&key) {
        return None;
    }

    let spec = BodyHashSpec {
        canon: signature.canonicalization.body,
        hash: HashAlgorithm::Sha256,
        limit: signature.body_limit,
    };
    let mut hasher = BodyHasher::new([spec]);
    hasher.write(body);
    let digest = hasher.finish().get(&spec).digest?;
    let bh = STANDARD.encode(digest.as_bytes());
    let value = replaced(field.value(), b"bh", &bh);

    let rest = |value: &[u8]| {
        let mut bytes = Vec::new();
        for other in header.fields() {
            if other.position() == field.position() {
                bytes.extend_from_slice(&field.raw()[..field.value_offset()]);
                bytes.extend_from_slice(value);
            } else {
                bytes.extend_from_slice(other.raw());
            }
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    };
    let unsigned = Header::parse(&rest(&value), HeaderLimits::default()).ok()?;
    let (again, b_value) = Signature::parse(&value, SignatureLimits::default()).unwrap();
    assert_eq!(
        again,
        Signature {
            body_hash: digest.as_bytes().to_vec(),
            ..signature
        }
    );
    let names: Vec<&str> = again.signed_headers.names().iter().collect();
    let canon = again.canonicalization.header;
    let want = model::signed_header(&unsigned, canon, &names, field.position());
    let mut signed = Vec::new();
    let fields = FieldIndex::new(&unsigned);
    put_signed_header(
        &unsigned,
        &fields,
        &again,
        field.position(),
        b_value,
        &mut signed,
    );
    assert_eq!(
        signed.escape_ascii().to_string(),
        want.escape_ascii().to_string()
    );

    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    hasher.put(&signed);
    let b = STANDARD.encode(key.1.sign(&hasher.finish()).unwrap());
    let mut out = rest(&replaced(&value, b"b", &b));
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    Some((out, index))
}

fn replaced(list: &[u8], tag: &[u8], value: &str) -> Vec<u8> {
    let span = model::tag_value(list, tag).expect("a tag of a signature");
    [&list[..span.start], value.as_bytes(), &list[span.end..]].concat()
}
