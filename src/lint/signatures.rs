//! What receivers refuse or pass over in signatures: those that are about to be made, or else those that
//! stand in the message.

use std::collections::HashSet;

use super::{Fault, Finding, Findings, Plan};
use crate::author::Authors;
use crate::canon::Canon;
use crate::hash::BodyLimit;
use crate::key::{Algorithm, KeyType};
use crate::message::Header;
use crate::signature::{Claims, FIELD_NAME, Signature, SignatureLimits};

/// A signature in the message.
#[derive(Debug)]
pub(super) struct Existing {
    pub(super) claims: Claims,
    line: u64,
    /// Why nobody can verify it.
    error: Option<String>,
}

/// So many signatures of a message are read; no verifier looks at more.
const MAX_READ: usize = 20;

/// The signatures in a message. Lines are counted from the top of the header.
pub(super) fn existing(header: &Header) -> Vec<Existing> {
    let mut line = 1;
    let mut found = Vec::new();
    for field in header.fields() {
        if found.len() == MAX_READ {
            break;
        }
        if field.is(FIELD_NAME) {
            let parsed = Signature::parse(field.value(), SignatureLimits::default());
            let (claims, error) = match &parsed {
                Ok((signature, _)) => (signature.into(), None),
                Err(rejected) => (rejected.claims.clone(), Some(rejected.error.to_string())),
            };
            found.push(Existing {
                claims,
                line,
                error,
            });
        }
        line += lines_of(field.raw());
    }
    found
}

pub(super) fn lines_of(raw: &[u8]) -> u64 {
    1 + memchr::memchr_iter(b'\n', raw).count() as u64
}

/// A signature that is judged.
struct Judged<'a> {
    claims: &'a Claims,
    bits: Option<usize>,
    /// Its line, where it stands in the message.
    line: Option<u64>,
}

impl Judged<'_> {
    fn place(&self, finding: Finding) -> Finding {
        let finding = match self.line {
            Some(line) => finding.line(line),
            None => finding,
        };
        finding.field(FIELD_NAME)
    }

    fn signed(&self, name: &str) -> usize {
        let names = self.claims.signed_headers.as_ref();
        names.map_or(0, |names| names.count(name))
    }
}

pub(super) fn look(header: &Header, plan: &Plan<'_>, findings: &mut Findings) {
    let before = plan.options.origin.lines_before;
    let judged: Vec<Judged<'_>> = if plan.signing() {
        let planned = plan.options.planned.iter();
        let judged = planned.map(|planned| Judged {
            claims: &planned.claims,
            bits: Some(planned.key_bits),
            line: None,
        });
        judged.collect()
    } else {
        let whole = plan.existing.iter().filter(|e| e.error.is_none());
        let judged = whole.map(|existing| Judged {
            claims: &existing.claims,
            bits: modulus_bits(&existing.claims),
            line: Some(before + existing.line),
        });
        judged.collect()
    };
    for signature in &judged {
        algorithm(signature, findings);
        extent(signature, findings);
        fields(header, signature, findings);
    }
    together(header, &judged, findings);
    beside(header, plan, &judged, findings);
}

/// An RSA signature is as long as the modulus (RFC 8017 §8.2.1).
fn modulus_bits(claims: &Claims) -> Option<usize> {
    let rsa = claims.algorithm?.key_type() == KeyType::Rsa;
    let signature = claims.signature.as_ref().filter(|_| rsa)?;
    Some(signature.len() * 8)
}

fn algorithm(signature: &Judged<'_>, findings: &mut Findings) {
    let algorithm = signature.claims.algorithm;
    if algorithm == Some(Algorithm::RsaSha1) {
        findings.add(Fault::Sha1, |f| signature.place(f));
    }
    let rsa = algorithm.is_some_and(|a| a.key_type() == KeyType::Rsa);
    let Some(bits) = signature.bits.filter(|_| rsa) else {
        return;
    };
    let fault = match bits {
        0..1024 => Fault::KeyTooSmall,
        1024..2048 => Fault::SmallKey,
        2048..=4096 => return,
        _ => Fault::LargeKey,
    };
    findings.add(fault, |f| {
        signature
            .place(f)
            .what(format!("the RSA key has {bits} bits"))
    });
}

/// A queue tries again for longer than that.
const DAY: u64 = 24 * 60 * 60;

fn extent(signature: &Judged<'_>, findings: &mut Findings) {
    let claims = signature.claims;
    if let Some(BodyLimit::Octets(octets)) = claims.body_limit {
        findings.add(Fault::BodyLength, |f| {
            signature.place(f).what(format!("l={octets}"))
        });
    }
    if let (Some(from), Some(until)) = (claims.timestamp, claims.expiration) {
        let seconds = until.0.saturating_sub(from.0);
        if seconds < DAY {
            findings.add(Fault::ExpiresSoon, |f| {
                let what = format!("the signature holds for {seconds} seconds");
                signature.place(f).what(what)
            });
        }
    }
    if claims.canonicalization.map(|c| c.header) == Some(Canon::Simple) {
        findings.add(Fault::SimpleHeader, |f| signature.place(f));
    }
}

/// Fields that a reader is shown or that decide how a message is read; of RFC 6376 §5.4.1 and §8.15.
const TELLING: [&str; 10] = [
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// Fields that relays and receivers write (RFC 6376 §5.4).
const ADDED: [&str; 7] = [
    "Return-Path",
    "Received",
    "Delivered-To",
    "Authentication-Results",
    "Status",
    "X-Spam-Status",
    FIELD_NAME,
];

/// Fields that are changed or taken out where they stand: by lists, and by Postfix (message_drop_headers).
const DROPPED: [&str; 6] = [
    "Bcc",
    "Resent-Bcc",
    "Comments",
    "Keywords",
    "Content-Length",
    "Lines",
];

fn fields(header: &Header, signature: &Judged<'_>, findings: &mut Findings) {
    let present = |name: &str| header.fields().filter(|f| f.is(name)).count();
    // One that names no From at all is broken (RFC 6376 §5.4).
    if signature.signed("From") <= present("From") {
        findings.add(Fault::NotOversigned, |f| signature.place(f));
    }
    let unsigned = |name: &&str| signature.signed(name) < present(name);
    let unsigned: Vec<&str> = TELLING.into_iter().filter(unsigned).collect();
    if !unsigned.is_empty() {
        findings.add(Fault::FieldUnsigned, |f| {
            let what = format!("h= leaves out {}", unsigned.join(", "));
            signature.place(f).what(what)
        });
    }
    let dropped = DROPPED.into_iter().filter(|name| present(name) > 0);
    let unstable = ADDED.into_iter().chain(dropped);
    let unstable: Vec<&str> = unstable.filter(|name| signature.signed(name) > 0).collect();
    if !unstable.is_empty() {
        findings.add(Fault::UnstableFieldSigned, |f| {
            let what = format!("h= names {}", unstable.join(", "));
            signature.place(f).what(what)
        });
    }
}

/// What no signature does alone: one of them is enough.
fn together(header: &Header, judged: &[Judged<'_>], findings: &mut Findings) {
    if judged.is_empty() {
        return;
    }
    let is_ed = |s: &Judged<'_>| s.claims.algorithm == Some(Algorithm::Ed25519Sha256);
    if judged.iter().all(is_ed) {
        findings.add(Fault::Ed25519Alone, |f| judged[0].place(f));
    }
    let authors = Authors::of(header);
    let aligned = |s: &Judged<'_>| {
        let domain = s.claims.domain.as_ref();
        domain.is_some_and(|domain| authors.alignment(domain).is_some())
    };
    if authors.all_have_domains() && authors.mailboxes() > 0 && !judged.iter().any(aligned) {
        findings.add(Fault::NotAligned, |f| judged[0].place(f));
    }
    // RFC 8058 §4: one signature must cover both.
    let unsubscribe = ["List-Unsubscribe", "List-Unsubscribe-Post"];
    let present = |name: &str| header.fields().any(|f| f.is(name));
    let both = |s: &Judged<'_>| unsubscribe.iter().all(|name| s.signed(name) > 0);
    if unsubscribe.into_iter().all(present) && !judged.iter().any(both) {
        findings.add(Fault::UnsubscribeUnsigned, |f| judged[0].place(f));
    }
}

/// OpenDKIM's MaximumSignaturesToVerify.
const VERIFIED: usize = 3;

/// How the signatures stand to those that are there already.
fn beside(header: &Header, plan: &Plan<'_>, judged: &[Judged<'_>], findings: &mut Findings) {
    let before = plan.options.origin.lines_before;
    if !plan.signing() {
        for existing in &plan.existing {
            if let Some(error) = &existing.error {
                findings.add(Fault::SignatureBroken, |f| {
                    let f = f.field(FIELD_NAME).line(before + existing.line);
                    f.what(format!("nobody can verify the signature: {error}"))
                });
            }
        }
    }
    let same = |a: &Claims, b: &Claims| {
        a.domain.is_some() && a.domain == b.domain && a.selector == b.selector
    };
    for (at, existing) in plan.existing.iter().enumerate() {
        let twin = match plan.signing() {
            true => judged.iter().any(|s| same(s.claims, &existing.claims)),
            false => plan.existing[..at]
                .iter()
                .any(|s| same(&s.claims, &existing.claims)),
        };
        if twin {
            findings.add(Fault::SameSignature, |f| {
                f.field(FIELD_NAME).line(before + existing.line)
            });
        }
    }
    let there = header.fields().filter(|f| f.is(FIELD_NAME)).count();
    let count = there + plan.options.planned.len();
    if count > 1 {
        let what = format!("the message has {count} signatures when it is sent");
        if count > VERIFIED {
            findings.add(Fault::TooManySignatures, |f| f.what(what.clone()));
        }
        findings.add(Fault::SeveralSignatures, |f| f.what(what));
    }
}

/// The fields that are signed, in lower case, as far as that is known: by what is planned, or else by what is
/// there.
pub(super) fn signed_names<'c>(
    claims: impl Iterator<Item = &'c Claims>,
) -> Option<HashSet<String>> {
    let mut lists = claims.filter_map(|c| c.signed_headers.as_ref()).peekable();
    lists.peek()?;
    let names = lists.flat_map(|names| names.iter());
    Some(names.map(str::to_ascii_lowercase).collect())
}
