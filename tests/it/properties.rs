//! What must hold of every message, on messages drawn from a seed.

use std::sync::Arc;

use dkimkit::canon::{Canon, Canonicalization};
use dkimkit::dns::{Answer, Cause, LookupTxt as _, Zone};
use dkimkit::key::{KeyKind, SigningKey};
use dkimkit::message::split;
use dkimkit::name::{Domain, Selector};
use dkimkit::policy::{Level, Policy};
use dkimkit::record::KeyRecord;
use dkimkit::report::{ResultWord, Verdict, overall};
use dkimkit::sign::{SignOptions, Signer, SigningIdentity};
use dkimkit::time::UnixTime;
use dkimkit::verify::Verifier;

use crate::random::Random;

const NOW: UnixTime = UnixTime(1_700_000_000);

pub(crate) struct Domains {
    pub(crate) identities: Vec<SigningIdentity>,
    pub(crate) zone: Zone,
}

pub(crate) fn domains() -> Domains {
    let mut identities = Vec::new();
    let mut zone = Zone::default();
    for (selector, kind) in [("rsa", KeyKind::Rsa(1024)), ("ed", KeyKind::Ed25519)] {
        let key = SigningKey::generate(kind).unwrap();
        let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
        let name = format!("{selector}._domainkey.example.com.");
        zone.insert_txt(&name, record.to_string().into_bytes());
        identities.push(SigningIdentity::new(
            Domain::new("example.com").unwrap(),
            Selector::new(selector).unwrap(),
            key,
        ));
    }
    Domains { identities, zone }
}

/// A message with the oddities of real ones: folds, blanks, tabs, repeated fields, 8-bit and control
/// bytes, bare CRs and LFs in the body, empty lines, no final line end.
pub(crate) fn message(random: &mut Random) -> Vec<u8> {
    const BLANKS: &[&[u8]] = &[b"", b" ", b"\t"];
    const VALUES: &[&[u8]] = &[b"\r", b"a"];
    const BODY: &[&[u8]] = &[b"\r", b"\n", b"word"];
    let mut out = header(random, BLANKS, VALUES);
    out.extend_from_slice(&body(random, BODY));
    out
}

/// A message without those on which verifiers are known to differ: a bare CR or LF, a blank before a
/// colon, a body without a final line end or with lines of blanks at it.
#[cfg(feature = "resolver")]
pub(crate) fn tame_message(random: &mut Random) -> Vec<u8> {
    let mut out = header(random, &[b""], &[b"a"]);
    out.extend_from_slice(&body(random, &[b"word"]));
    out.extend_from_slice(b".\r\n");
    out
}

fn header(random: &mut Random, blanks: &[&[u8]], more: &[&[u8]]) -> Vec<u8> {
    const NAMES: &str = "Subject To Cc Received X-Odd Date subject REFERENCES List-Id";
    const VALUES: &[&[u8]] = &[
        b" ",
        b"  ",
        b"\t",
        b"b@example.net",
        b"\xff\xe9",
        b"\r\n ",
        b"\r\n\t",
        b":",
        b";=",
    ];
    let names: Vec<&str> = NAMES.split(' ').collect();
    let values = [VALUES, more].concat();
    let mut out = b"From: Anna <anna@example.com>\r\n".to_vec();
    for _ in 0..random.below(12) {
        out.extend_from_slice(random.pick(&names).as_bytes());
        out.extend_from_slice(random.pick::<&[u8]>(blanks));
        out.push(b':');
        for _ in 0..random.below(8) {
            out.extend_from_slice(random.pick::<&[u8]>(&values));
        }
        // A CR just before the line end would make another line end of it.
        out.extend_from_slice(b".\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn body(random: &mut Random, more: &[&[u8]]) -> Vec<u8> {
    const BODY: &[&[u8]] = &[
        b" ",
        b"\t",
        b"\r\n",
        b"\r\n\r\n",
        b" \r\n",
        b"\x00\xff",
        b".",
        b"From ",
        b"=",
    ];
    let pieces = [BODY, more].concat();
    let mut out = Vec::new();
    for _ in 0..random.below(40) {
        out.extend_from_slice(random.pick::<&[u8]>(&pieces));
    }
    out
}

pub(crate) fn options(random: &mut Random) -> SignOptions {
    let canon = |random: &mut Random| *random.pick(&[Canon::Simple, Canon::Relaxed]);
    let mut options = SignOptions::new(NOW);
    options.canonicalization = Canonicalization {
        header: canon(random),
        body: canon(random),
    };
    options
}

pub(crate) fn signed(domains: &Domains, message: &[u8], options: &SignOptions) -> Vec<u8> {
    let fields = dkimkit::sign(message, domains.identities.clone(), options).unwrap();
    let mut out = Vec::new();
    for field in fields {
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(message);
    out
}

fn verify(domains: &Domains, message: &[u8], level: Level) -> Vec<Verdict> {
    dkimkit::verify(message, &domains.zone, &Policy::new(level), NOW).unwrap()
}

#[test]
fn what_is_signed_verifies_under_every_policy() {
    let domains = domains();
    let mut random = Random::new(1);
    for round in 0..300 {
        let message = message(&mut random);
        let options = options(&mut random);
        let signed = signed(&domains, &message, &options);
        for level in [Level::Strict, Level::Rfc, Level::Legacy] {
            for verdict in verify(&domains, &signed, level) {
                let text = signed.escape_ascii();
                assert_eq!(
                    verdict.result(),
                    ResultWord::Pass,
                    "{round}: {verdict:?}\n{text}"
                );
            }
        }
    }
}

/// Every byte of the message is changed in turn. What is still taken must be the same message to the
/// canonicalization: the same signed header and the same body in canonical form.
#[test]
fn a_changed_byte_passes_only_where_the_canonical_form_is_the_same() {
    let domains = domains();
    let mut random = Random::new(2);
    let (mut same, mut caught) = (0, 0);
    for _ in 0..25 {
        let message = message(&mut random);
        let options = options(&mut random);
        let signed = signed(&domains, &message, &options);
        let before = canonical(&signed, &options).unwrap();
        for at in 0..signed.len() {
            let mut changed = signed.clone();
            changed[at] ^= 1 << random.below(8);
            let policy = Policy::new(Level::Rfc);
            let verdicts = dkimkit::verify(&changed, &domains.zone, &policy, NOW);
            let passes = verdicts.is_ok_and(|v| overall(&v) == ResultWord::Pass);
            let own_fields = signed.len() - message.len();
            if !passes {
                caught += 1;
            } else if at >= own_fields {
                same += 1;
                let after = canonical(&changed, &options);
                let text = changed.escape_ascii();
                assert_eq!(after.as_ref(), Some(&before), "byte {at} of\n{text}");
            }
        }
    }
    println!("{caught} changes were caught, {same} did not change the canonical form");
    assert!(caught > 1000 && same > 100);
}

/// The signed fields and the body in canonical form, by the plain words of RFC 6376 §3.4 and none of the
/// code that is tested. `None` where there is no header.
fn canonical(message: &[u8], options: &SignOptions) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let (header, body) = split(message, Policy::default().limits.header).ok()?;
    let signed = |name: &str| {
        !name.eq_ignore_ascii_case("DKIM-Signature")
            && options
                .headers
                .iter()
                .any(|n| n.as_str().eq_ignore_ascii_case(name))
    };
    let mut fields: Vec<Vec<u8>> = header
        .fields()
        .filter(|f| signed(f.name()))
        .map(|f| match options.canonicalization.header {
            Canon::Simple => f.raw().to_vec(),
            Canon::Relaxed => {
                let unfolded = replace(f.value(), b"\r\n", b"");
                let name = f.name().to_ascii_lowercase();
                [
                    name.as_bytes(),
                    b":",
                    squeezed(&unfolded).trim_ascii_start(),
                ]
                .concat()
            }
        })
        .collect();
    // The order of fields of different names is not signed.
    fields.sort();
    let mut lines: Vec<Vec<u8>> = lines(body);
    if options.canonicalization.body == Canon::Relaxed {
        lines = lines.iter().map(|l| squeezed(l)).collect();
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    Some((fields, lines.join(&b"\r\n"[..])))
}

fn squeezed(line: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for &b in line {
        match b {
            b' ' | b'\t' if out.last() == Some(&b' ') => {}
            b' ' | b'\t' => out.push(b' '),
            b => out.push(b),
        }
    }
    if out.last() == Some(&b' ') {
        out.pop();
    }
    out
}

fn lines(body: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut rest = body;
    while let Some((&byte, tail)) = rest.split_first() {
        if rest.starts_with(b"\r\n") {
            lines.push(Vec::new());
            rest = &rest[2..];
        } else {
            lines.last_mut().unwrap().push(byte);
            rest = tail;
        }
    }
    lines
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with(from) {
            out.extend_from_slice(to);
            rest = &rest[from.len()..];
        } else {
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    out
}

#[test]
fn the_cuts_of_a_body_never_change_a_signature() {
    let domains = domains();
    let mut random = Random::new(3);
    let ed: Vec<SigningIdentity> = vec![domains.identities[1].clone()];
    for _ in 0..100 {
        let message = message(&mut random);
        let options = options(&mut random);
        let whole = dkimkit::sign(&message, ed.clone(), &options).unwrap();
        let (header, body) = split(&message, Policy::default().limits.header).unwrap();
        for _ in 0..3 {
            let mut signer = Signer::new(&header, ed.clone(), &options).unwrap();
            let mut rest = body;
            while !rest.is_empty() {
                let (chunk, tail) = rest.split_at((1 + random.below(9)).min(rest.len()));
                signer.write(chunk);
                rest = tail;
            }
            assert_eq!(signer.finish().unwrap(), whole);
        }
    }
}

#[test]
fn sixty_junk_signatures_do_not_displace_the_good_one() {
    let domains = domains();
    let message = b"From: Anna <anna@example.com>\r\nSubject: x\r\n\r\nHi\r\n";
    let good = signed(&domains, message, &SignOptions::new(NOW));
    for junk_domain in ["evil.example", "example.com", "x.example.com"] {
        let mut junk = Vec::new();
        for n in 0..60 {
            let field = format!(
                "DKIM-Signature: v=1; a=rsa-sha256; d={junk_domain}; s=s{n}; h=from; bh=Zm9v; b=Zm9v\r\n"
            );
            junk.extend_from_slice(field.as_bytes());
        }
        let message = [junk, good.clone()].concat();
        let verdicts = verify(&domains, &message, Level::Strict);
        assert_eq!(verdicts.len(), 62);
        assert_eq!(overall(&verdicts), ResultWord::Pass, "{junk_domain}");
    }
}

#[test]
fn what_is_beyond_the_caps_is_reported_and_not_tried() {
    let domains = domains();
    let mut policy = Policy::new(Level::Strict);
    policy.limits.signatures = 1;
    let message = b"From: Anna <anna@example.com>\r\n\r\nHi\r\n";
    let message = signed(&domains, message, &SignOptions::new(NOW));
    let verdicts = dkimkit::verify(&message, &domains.zone, &policy, NOW).unwrap();
    let reasons: Vec<_> = verdicts
        .iter()
        .map(|v| v.failure().map(dkimkit::report::Failure::reason))
        .collect();
    assert_eq!(reasons, [None, Some("not-evaluated")]);
}

#[test]
fn a_key_that_nobody_answered_for_is_a_temporary_error() {
    let domains = domains();
    let message = b"From: Anna <anna@example.com>\r\n\r\nHi\r\n";
    let message = signed(&domains, message, &SignOptions::new(NOW));
    let (header, body) = split(&message, Policy::default().limits.header).unwrap();
    let policy = Arc::new(Policy::default());
    let mut verifier = Verifier::new(header, policy, NOW).start_body();
    let _ = verifier.write(body);
    assert_eq!(overall(&verifier.finish()), ResultWord::TempError);
}

/// Answers may come late and again: a temporary failure gives way to a key, whatever part of the body came
/// in between; any other answer stands.
#[test]
fn a_temporary_failure_gives_way_to_a_later_answer() {
    let domains = domains();
    let message = b"From: Anna <anna@example.com>\r\n\r\nHello there\r\n";
    let message = signed(&domains, message, &SignOptions::new(NOW));
    let (header, body) = split(&message, Policy::default().limits.header).unwrap();
    let verify = |first: Answer| {
        let policy = Arc::new(Policy::default());
        let mut verifier = Verifier::new(header.clone(), policy, NOW).start_body();
        let names = Verifier::new(header.clone(), Arc::new(Policy::default()), NOW)
            .wanted()
            .to_vec();
        for name in &names {
            verifier.supply(name, first.clone());
        }
        let _ = verifier.write(&body[..5]);
        for name in &names {
            verifier.supply(name, domains.zone.lookup_txt(name));
        }
        let _ = verifier.write(&body[5..]);
        overall(&verifier.finish())
    };
    assert_eq!(verify(Answer::Temporary(Cause::Timeout)), ResultWord::Pass);
    assert_eq!(verify(Answer::NoName), ResultWord::PermError);
}
