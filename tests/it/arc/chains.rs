//! Chains that are sealed here: what must hold of each, on messages drawn from a seed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dkimkit::arc::{
    self, ArcFailure, ArcReport, ArcVerifier, ChainStatus, MAX_SETS, SealError, SealOptions, Sealer,
};
use dkimkit::authres::AuthservId;
use dkimkit::canon::{Canon, Canonicalization, header};
use dkimkit::dns::{Answer, Cause, LookupTxt as _};
use dkimkit::hash::{HashAlgorithm, Hasher};
use dkimkit::key::{RsaSizes, VerifyingKey};
use dkimkit::message::split;
use dkimkit::policy::Policy;
use dkimkit::report::ResultWord;
use dkimkit::sign::SigningIdentity;
use dkimkit::tag::TagList;
use dkimkit::time::UnixTime;
use dkimkit::verify::Appetite;

use crate::properties::{self, Domains};
use crate::random::Random;

const NOW: UnixTime = UnixTime(1_700_000_000);

pub(super) fn options(random: &mut Random) -> SealOptions {
    let canon = |random: &mut Random| *random.pick(&[Canon::Simple, Canon::Relaxed]);
    let chosen = Canonicalization {
        header: canon(random),
        body: canon(random),
    };
    SealOptions::new(NOW).with(|options| options.canonicalization = chosen)
}

pub(super) fn try_seal(
    message: &[u8],
    status: ChainStatus,
    identity: &SigningIdentity,
    options: &SealOptions,
) -> Result<Vec<u8>, SealError> {
    let (header, body) = split(message, Policy::default().limits.header).unwrap();
    let id = AuthservId::new("mx.example.org").unwrap();
    let results = "dkim=pass header.d=example.com; spf=none smtp.mailfrom=\"a b\"@example.com";
    let mut sealer = Sealer::new(&header, identity.clone(), options)?;
    for chunk in body.chunks(7) {
        sealer.write(chunk);
    }
    let sealed = sealer.finish(status, &id, results)?;
    let mut out = Vec::new();
    for field in sealed.fields() {
        assert!(field.lines().all(|line| line.len() <= 78), "{field}");
        out.extend_from_slice(format!("{field}\r\n").as_bytes());
    }
    out.extend_from_slice(message);
    Ok(out)
}

fn verify(domains: &Domains, message: &[u8]) -> ArcReport {
    arc::verify(message, &domains.zone, &Policy::default(), NOW).unwrap()
}

/// Seals as often, with one key and then the other.
pub(super) fn sealed(domains: &Domains, message: &[u8], times: u8, random: &mut Random) -> Vec<u8> {
    let mut message = message.to_vec();
    for at in 0..times {
        let status = match at {
            0 => ChainStatus::None,
            _ => ChainStatus::Pass,
        };
        let identity = &domains.identities[usize::from(at) % 2];
        message = try_seal(&message, status, identity, &options(random)).unwrap();
    }
    message
}

#[test]
fn what_is_sealed_again_and_again_passes() {
    let domains = properties::domains();
    let mut random = Random::new(11);
    for round in 0..30 {
        let message = properties::message(&mut random);
        let times = 1 + u8::try_from(random.below(5)).unwrap();
        let sealed = sealed(&domains, &message, times, &mut random);
        let report = verify(&domains, &sealed);
        let text = sealed.escape_ascii();
        assert_eq!(
            report.result(),
            ResultWord::Pass,
            "{round}: {report:?}\n{text}"
        );
        assert_eq!(report.oldest_pass, Some(0));
        assert_eq!(report.sets.len(), usize::from(times));
        let results = report.sets[0].authentication_results.as_deref().unwrap();
        assert!(results.starts_with("mx.example.org; dkim=pass header.d=example.com; spf=none"));
        // The message below is as it came.
        assert!(sealed.ends_with(&message));
    }
}

#[test]
fn a_chain_has_fifty_sets_and_no_more() {
    let domains = properties::domains();
    let mut random = Random::new(12);
    let message = b"From: Anna <anna@example.com>\r\n\r\nHi\r\n";
    let full = sealed(&domains, message, MAX_SETS, &mut random);
    let report = verify(&domains, &full);
    assert_eq!(
        (report.result(), report.oldest_pass),
        (ResultWord::Pass, Some(0))
    );
    let more = try_seal(
        &full,
        ChainStatus::Pass,
        &domains.identities[0],
        &options(&mut random),
    );
    assert_eq!(more, Err(SealError::TooManySets));
}

/// What any set signs cannot be changed: a bit of the fields of a chain, or of the message that the newest set
/// signs.
#[test]
fn a_changed_byte_does_not_pass_unless_the_canonical_form_is_the_same() {
    let domains = properties::domains();
    let mut random = Random::new(13);
    let message = b"From: Anna <anna@example.com>\r\nSubject: high water\r\n\r\nHi there\r\n";
    let relaxed = SealOptions::new(NOW);
    let mut whole = message.to_vec();
    for status in [ChainStatus::None, ChainStatus::Pass] {
        whole = try_seal(&whole, status, &domains.identities[1], &relaxed).unwrap();
    }
    let (mut caught, mut same) = (0, 0);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << random.below(8);
        let report = arc::verify(&changed, &domains.zone, &Policy::default(), NOW);
        let passes = report.is_ok_and(|report| report.result() == ResultWord::Pass);
        if !passes {
            caught += 1;
            continue;
        }
        same += 1;
        // Letter case of the names of fields, one blank for another, and what base64 leaves unused at its end.
        let lower = |bytes: &[u8]| bytes.to_ascii_lowercase();
        let blank = |byte: u8| matches!(byte, b' ' | b'\t');
        let unchanged = lower(&changed) == lower(&whole)
            || blank(whole[at]) && blank(changed[at])
            || whole[at + 1] == b'=';
        assert!(unchanged, "byte {at} of\n{}", changed.escape_ascii());
    }
    println!("{caught} changes were caught, {same} did not change the canonical form");
    assert!(caught > 1000 && same < 200);
}

#[test]
fn the_oldest_set_that_passes_is_the_one_above_the_change() {
    let domains = properties::domains();
    let mut random = Random::new(14);
    let message = b"From: Anna <anna@example.com>\r\nSubject: x\r\n\r\nHi\r\n";
    let two = sealed(&domains, message, 2, &mut random);
    let footer = [&two[..], b"-- \r\nthe list\r\n"].concat();
    let report = verify(&domains, &footer);
    assert_eq!(
        (report.result(), report.reason()),
        (ResultWord::Fail, Some("body-hash-mismatch"))
    );
    assert_eq!(
        (report.status(), report.oldest_pass),
        (ChainStatus::Fail, None)
    );
    // A forwarder that changes the body itself vouches for what it got.
    let three = try_seal(
        &footer,
        ChainStatus::Pass,
        &domains.identities[0],
        &options(&mut random),
    );
    let report = verify(&domains, &three.unwrap());
    assert_eq!(
        (report.result(), report.oldest_pass),
        (ResultWord::Pass, Some(3))
    );
}

#[test]
fn a_chain_that_failed_is_sealed_once_and_by_itself() {
    let domains = properties::domains();
    let mut random = Random::new(15);
    let message = b"From: Anna <anna@example.com>\r\nSubject: x\r\n\r\nHi\r\n";
    let two = sealed(&domains, message, 2, &mut random);
    let broken = [&two[..], b"footer\r\n"].concat();
    let identity = &domains.identities[0];
    let failed = try_seal(&broken, ChainStatus::Fail, identity, &options(&mut random)).unwrap();
    let report = verify(&domains, &failed);
    assert_eq!(
        report.failure,
        Some(ArcFailure::MarkedAsFailed { instance: 3 })
    );
    assert_eq!(report.sets[2].status, Some(ChainStatus::Fail));
    assert!(covers_its_own_set_alone(&failed, identity));
    assert!(!covers_its_own_set_alone(&two, &domains.identities[1]));
    for status in [ChainStatus::None, ChainStatus::Pass, ChainStatus::Fail] {
        let more = try_seal(&failed, status, identity, &options(&mut random));
        assert_eq!(more, Err(SealError::AlreadyFailed));
    }
}

/// Whether the topmost seal is one over its own set "as if this newest ARC Set was the only set present"
/// (RFC 8617 §5.1.2).
fn covers_its_own_set_alone(message: &[u8], identity: &SigningIdentity) -> bool {
    let (header, _) = split(message, Policy::default().limits.header).unwrap();
    let mut covered = Hasher::new(HashAlgorithm::Sha256);
    for position in [2, 1] {
        header::field(Canon::Relaxed, header.field(position), &mut covered);
    }
    let seal = header.field(0);
    let list = TagList::parse(seal.value(), 20).unwrap();
    let b = list.get("b").unwrap();
    header::signature(Canon::Relaxed, seal, b.span.clone(), &mut covered);
    let public = identity.key.public_bytes();
    let kind = identity.key.algorithm().key_type();
    let key = VerifyingKey::parse(kind, &public, RsaSizes::default()).unwrap();
    let text = std::str::from_utf8(b.value).unwrap();
    let text: String = text.split_whitespace().collect();
    let signature = STANDARD.decode(text).unwrap();
    key.verify(&covered.finish(), HashAlgorithm::Sha256, &signature)
}

#[test]
fn a_status_that_cannot_be_is_refused() {
    let domains = properties::domains();
    let mut random = Random::new(16);
    let message = b"From: Anna <anna@example.com>\r\n\r\nHi\r\n";
    let one = sealed(&domains, message, 1, &mut random);
    let mut seal = |message: &[u8], status| {
        try_seal(
            message,
            status,
            &domains.identities[0],
            &options(&mut random),
        )
        .err()
    };
    for (message, status) in [
        (&message[..], ChainStatus::Pass),
        (message, ChainStatus::Fail),
        (&one, ChainStatus::None),
        (
            b"ARC-Seal: x\r\nFrom: a@example.com\r\n\r\n",
            ChainStatus::None,
        ),
    ] {
        assert_eq!(seal(message, status), Some(SealError::Status { status }));
    }
    let half = b"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=a.example; s=s; b=YmFy\r\nFrom: a@b.example\r\n\r\n";
    assert!(matches!(
        seal(half, ChainStatus::Pass),
        Some(SealError::Broken(_))
    ));
    assert_eq!(seal(half, ChainStatus::Fail), None);
    let last = b"ARC-Seal: i=50; cv=none\r\nFrom: a@b.example\r\n\r\n";
    assert_eq!(seal(last, ChainStatus::Fail), Some(SealError::TooManySets));
    let beyond = b"ARC-Seal: i=51; cv=none\r\nFrom: a@b.example\r\n\r\n";
    let refused = seal(beyond, ChainStatus::Fail).unwrap().to_string();
    assert!(
        refused.starts_with("ARC-Seal: i=51 is more than 50"),
        "{refused}"
    );
}

/// The verifier in stages, with `answer` for each key; the cuts of the body are drawn.
fn in_stages(
    domains: &Domains,
    message: &[u8],
    random: &mut Random,
    answer: impl Fn(usize) -> Option<Answer>,
) -> ArcReport {
    let policy = Policy::default();
    let (header, body) = split(message, policy.limits.header).unwrap();
    let mut verifier = ArcVerifier::new(header, Arc::new(policy), NOW);
    let wanted = verifier.wanted().to_vec();
    for (at, name) in wanted.iter().enumerate() {
        if let Some(answer) = answer(at) {
            verifier.supply(name, answer);
        }
    }
    let mut verifier = verifier.start_body();
    let mut rest = body;
    let mut appetite = verifier.write(b"");
    while appetite == Appetite::More && !rest.is_empty() {
        let (chunk, tail) = rest.split_at((1 + random.below(9)).min(rest.len()));
        appetite = verifier.write(chunk);
        rest = tail;
    }
    for (at, name) in wanted.iter().enumerate() {
        // A later answer counts only where the first was temporary, or none.
        if answer(at).is_none() {
            verifier.supply(name, domains.zone.lookup_txt(name));
        }
    }
    verifier.finish()
}

#[test]
fn the_cuts_of_a_body_and_late_answers_change_nothing() {
    let domains = properties::domains();
    let mut random = Random::new(17);
    for _ in 0..20 {
        let message = properties::message(&mut random);
        let message = sealed(&domains, &message, 3, &mut random);
        for text in [message.clone(), [&message[..], b"more\r\n"].concat()] {
            let whole = verify(&domains, &text);
            let early = in_stages(&domains, &text, &mut random, |_| None);
            assert_eq!(early, whole);
        }
    }
}

#[test]
fn no_answer_for_now_is_kept_apart() {
    let domains = properties::domains();
    let mut random = Random::new(18);
    let message = b"From: Anna <anna@example.com>\r\nSubject: x\r\n\r\nHi\r\n";
    let message = sealed(&domains, message, 2, &mut random);
    let later = Answer::Temporary(Cause::Timeout);
    for at in 0..2 {
        let answer = |name: usize| (name == at).then(|| later.clone());
        let report = in_stages(&domains, &message, &mut random, answer);
        assert_eq!(
            (report.result(), report.reason()),
            (ResultWord::TempError, Some("dns-timeout"))
        );
        assert_eq!(report.status(), ChainStatus::Fail);
        // What does not hold will not hold another time either.
        let broken = [&message[..], b"more\r\n"].concat();
        let report = in_stages(&domains, &broken, &mut random, answer);
        let want = match at {
            0 => (ResultWord::TempError, Some("dns-timeout")),
            _ => (ResultWord::Fail, Some("body-hash-mismatch")),
        };
        assert_eq!((report.result(), report.reason()), want);
    }
    let gone = in_stages(&domains, &message, &mut random, |_| Some(Answer::NoName));
    assert_eq!(
        (gone.result(), gone.reason()),
        (ResultWord::Fail, Some("key-not-found"))
    );
}

#[test]
fn what_is_beyond_the_caps_is_not_tried_and_does_not_pass() {
    let domains = properties::domains();
    let mut random = Random::new(19);
    let message = b"From: Anna <anna@example.com>\r\nSubject: x\r\n\r\nHi\r\n";
    let message = sealed(&domains, message, 2, &mut random);
    let mut policy = Policy::default();
    policy.limits.lookups = 1;
    let report = arc::verify(&message, &domains.zone, &policy, NOW).unwrap();
    assert_eq!(
        (report.result(), report.reason()),
        (ResultWord::Fail, Some("not-evaluated"))
    );
    let mut policy = Policy::default();
    policy.limits.hashed_header = 1;
    let report = arc::verify(&message, &domains.zone, &policy, NOW).unwrap();
    // The newest is within the cap, and the one below it is not.
    assert_eq!(
        (report.result(), report.oldest_pass),
        (ResultWord::Pass, Some(2))
    );
}
