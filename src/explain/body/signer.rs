//! What signers are known to hash instead of the body that they send.

use crate::canon::{Canon, Sink as _};
use crate::explain::change::Stage;
use crate::explain::kind::Kind;
use crate::explain::lines::put_line;
use crate::explain::search::Share;
use crate::explain::target::{BodyTarget, other};
use crate::hash::{BodyLimit, HashAlgorithm, Hasher};
use crate::message::is_wsp;

/// The known mistake that gives this hash for this body; the body stays as it is.
pub(super) fn find(
    body: &[u8],
    raw: &[u8],
    target: &BodyTarget,
    share: &Share<'_>,
) -> Option<Stage> {
    if share.is_over() {
        return None;
    }
    let stage = |kind, detail: String| Some(Stage::new(kind, Some(detail), body.to_vec()));
    let with = |canon, limit, hash| BodyTarget {
        canon,
        limit,
        hash,
        ..target.clone()
    };
    let empty = Canon::as_str;
    let no_limit = BodyLimit::Whole;
    // §3.4.3: an empty body is CRLF when it is simple; §3.4.4: it is nothing when it is relaxed.
    let blank = body
        .iter()
        .all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
    if blank {
        for (hashed, what) in [(&b""[..], "as nothing"), (b"\r\n", "as one CRLF")] {
            if target.is_raw(hashed) {
                return stage(
                    Kind::SignerEmptyBody,
                    format!("an empty body, {}, was hashed {what}", empty(target.canon)),
                );
            }
        }
    }
    let swapped = other(target.canon);
    if with(swapped, target.limit, target.hash).holds(body) {
        return stage(
            Kind::SignerCanonicalization,
            canonicalizations(target.canon),
        );
    }
    if let Some(found) = limit(body, target, &with) {
        return stage(Kind::SignerBodyLimit, found);
    }
    let hash = other_hash(target.hash);
    if with(target.canon, target.limit, hash).holds(body) {
        let (says, is) = (target.hash.as_str(), hash.as_str());
        return stage(
            Kind::SignerHash,
            format!("a= says {says}, and the hash of the body is {is}"),
        );
    }
    if share.is_over() {
        return None;
    }
    for (form, what) in last_lines(body, target.canon) {
        if target.is_raw(&form) {
            return stage(Kind::SignerLastLines, what.to_owned());
        }
    }
    let separated = [b"\r\n", body].concat();
    if with(target.canon, no_limit, target.hash).holds(&separated) {
        return stage(
            Kind::SignerSeparator,
            "the hash is that of the body with an empty line before it".to_owned(),
        );
    }
    if target.is_raw(&without_cr(raw_body(raw))) {
        let detail = "the hash is that of the body with LF for CRLF";
        return stage(Kind::SignerLineEnds, detail.to_owned());
    }
    for canon in [target.canon, swapped] {
        let mut canonical = Vec::new();
        let mut state = crate::canon::body::BodyCanonicalizer::new(canon);
        state.write(body, &mut canonical);
        state.finish(&mut canonical);
        if target.is_raw(&without_cr(&canonical)) {
            return stage(
                Kind::SignerLineEnds,
                "the hash is that of the body with LF for CRLF".to_owned(),
            );
        }
        if target.is_raw(canonical.strip_suffix(b"\r\n").unwrap_or(&canonical)) {
            return stage(
                Kind::SignerLastLines,
                "the hash is that of the body without its last CRLF".to_owned(),
            );
        }
    }
    None
}

/// What a signer may have hashed instead of what it says, by itself: whatever else was changed on the way.
pub(super) fn variants(target: &BodyTarget) -> Vec<((Kind, String), BodyTarget)> {
    let swapped = other(target.canon);
    let hash = other_hash(target.hash);
    let mut variants = vec![
        (
            (
                Kind::SignerLineEnds,
                "the hash is that of the body with LF for CRLF".to_owned(),
            ),
            BodyTarget {
                lf: true,
                ..target.clone()
            },
        ),
        (
            (
                Kind::SignerCanonicalization,
                canonicalizations(target.canon),
            ),
            BodyTarget {
                canon: swapped,
                ..target.clone()
            },
        ),
    ];
    // A hash of another length cannot be one of the algorithm that a= names.
    if target.digest.len() != hash_len(target.hash) {
        let detail = format!(
            "a= says {}, and the hash of the body is {}",
            target.hash.as_str(),
            hash.as_str()
        );
        let other = BodyTarget {
            hash,
            ..target.clone()
        };
        variants = vec![((Kind::SignerHash, detail), other)];
    }
    if let Some(octets) = target.octets() {
        let detail = of_whole(octets);
        let whole = BodyTarget {
            limit: BodyLimit::Whole,
            ..target.clone()
        };
        variants.push(((Kind::SignerBodyLimit, detail), whole));
    }
    variants
}

fn hash_len(hash: HashAlgorithm) -> usize {
    match hash {
        HashAlgorithm::Sha1 => 20,
        HashAlgorithm::Sha256 => 32,
    }
}

fn other_hash(hash: HashAlgorithm) -> HashAlgorithm {
    match hash {
        HashAlgorithm::Sha1 => HashAlgorithm::Sha256,
        HashAlgorithm::Sha256 => HashAlgorithm::Sha1,
    }
}

fn of_whole(octets: u64) -> String {
    format!("l= says {octets} octets, and the hash is that of the whole body")
}

fn canonicalizations(says: Canon) -> String {
    let is = other(says).as_str();
    format!(
        "c= says {} for the body, and the hash is that of {is}",
        says.as_str()
    )
}

/// l= left out, counted in other octets, or too large for the body.
fn limit(
    body: &[u8],
    target: &BodyTarget,
    with: &dyn Fn(Canon, BodyLimit, HashAlgorithm) -> BodyTarget,
) -> Option<String> {
    let octets = target.octets()?;
    let whole = with(target.canon, BodyLimit::Whole, target.hash);
    if whole.holds(body) {
        return Some(of_whole(octets));
    }
    if target.is_raw(body.get(..usize::try_from(octets).ok()?)?) {
        return Some(format!(
            "l= counts the first {octets} octets of the body before it is canonical"
        ));
    }
    let mut canonical = Vec::new();
    let mut state = crate::canon::body::BodyCanonicalizer::new(target.canon);
    state.write(body, &mut canonical);
    state.finish(&mut canonical);
    // The prefix of which the hash is, found in one pass: the ends of lines, and every octet near to l=.
    let near = usize::try_from(octets).ok()?;
    let near = near.saturating_sub(NEAR)..near.saturating_add(NEAR);
    let ends = memchr::memchr_iter(b'\n', &canonical)
        .map(|at| at + 1)
        .take(MAX_ENDS);
    let mut tried: Vec<usize> = near
        .take_while(|at| *at <= canonical.len())
        .chain(ends)
        .collect();
    tried.sort_unstable();
    let mut hasher = Hasher::new(target.hash);
    let mut at = 0;
    let found = tried.into_iter().find(|len| {
        hasher.put(&canonical[at..*len]);
        at = *len;
        target.is(&Some(hasher.clone().finish()))
    })?;
    Some(format!(
        "l= says {octets} octets, and the hash is that of the first {found}"
    ))
}

/// So far from what l= says.
const NEAR: usize = 400;
const MAX_ENDS: usize = 2000;

/// The canonical body with what should not count at its end.
fn last_lines(body: &[u8], canon: Canon) -> Vec<(Vec<u8>, &'static str)> {
    let lines = |text: &[u8], put: &dyn Fn(&[u8], &mut Vec<u8>)| {
        let mut out = Vec::with_capacity(text.len() + 2);
        for line in text.split_inclusive(|b| *b == b'\n') {
            put(line.strip_suffix(b"\r\n").unwrap_or(line), &mut out);
        }
        out
    };
    let canonical = |line: &[u8], out: &mut Vec<u8>| put_line(line, canon, out);
    let mut forms = vec![(
        lines(body, &canonical),
        "the hash is that of the body with the empty lines at its end",
    )];
    if canon == Canon::Relaxed {
        let mut kept = body;
        while let Some(rest) = kept.strip_suffix(b"\r\n") {
            kept = rest;
        }
        // Lines of white space alone were taken for text when the last lines were cut: they were emptied afterwards,
        // or left with a space.
        let spaced = |line: &[u8], out: &mut Vec<u8>| match line {
            [_, ..] if line.iter().all(|b| is_wsp(*b)) => out.extend_from_slice(b" \r\n"),
            _ => canonical(line, out),
        };
        let counted = "the hash counts lines of white space at the end of the body";
        forms.push((lines(kept, &canonical), counted));
        forms.push((lines(kept, &spaced), counted));
    }
    let raw = "the hash is that of the body as it stands, not canonical";
    forms.push((body.to_vec(), raw));
    forms
}

fn without_cr(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        if *byte != b'\r' || text.get(at + 1) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    out
}

/// The body of a message whose line ends are those that it came with.
pub(super) fn raw_body(raw: &[u8]) -> &[u8] {
    let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\r\r"];
    let found = ends
        .iter()
        .filter_map(|end| Some(memchr::memmem::find(raw, end)? + end.len()));
    found.min().map_or(&[], |at| &raw[at..])
}
