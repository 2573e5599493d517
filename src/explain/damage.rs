//! A DKIM-Signature field whose base64 lost characters: what decodes a form turns each `+` into a space.

use super::change::{Change, Stage, staged};
use super::kind::Kind;
use crate::message::{Header, HeaderLimits};
use crate::signature::{Signature, SignatureLimits};
use crate::tag::TagList;

/// The header with the characters put back, and what that is; `None` where nothing seems to be lost.
pub(super) fn repaired(
    header: &Header,
    position: usize,
    limits: SignatureLimits,
) -> Option<(Header, Change)> {
    let field = header.field(position);
    if is_whole(field.value(), limits) {
        return None;
    }
    let value = filled(field.value(), limits)?;
    if !is_whole(&value, limits) {
        return None;
    }
    let name = &field.raw()[..field.value_offset()];
    let raw = [name, &value].concat();
    let mut bytes = Vec::with_capacity(header.as_bytes().len());
    let (mut start, mut line) = (0, 1);
    for other in header.fields() {
        let same = other.position() == position;
        if other.position() < position {
            start += other.raw().len() + 2;
            line += 1 + memchr::memchr_iter(b'\n', other.raw()).count();
        }
        bytes.extend_from_slice(if same { &raw } else { other.raw() });
        bytes.extend_from_slice(b"\r\n");
    }
    let limits = HeaderLimits {
        bytes: usize::MAX,
        fields: usize::MAX,
    };
    let mended = Header::parse(&bytes, limits).ok()?;
    let stage = Stage::new(
        Kind::SignatureDamaged,
        Some("+ became a space".to_owned()),
        raw,
    );
    let mut change = staged(field.raw(), start, line, &[stage]).pop()?;
    change.field = Some(field.name().to_owned());
    Some((mended, change))
}

/// Whether the field can be read, and bh= and b= are as long as a hash and a signature.
fn is_whole(value: &[u8], limits: SignatureLimits) -> bool {
    let Ok((signature, _)) = Signature::parse(value, limits) else {
        return false;
    };
    let hash = matches!(signature.body_hash.len(), 20 | 32);
    // RSA signatures are as long as the modulus, which is a number of whole 16 bytes wherever we met one.
    let length = signature.signature.len();
    hash && length >= 64 && length % 16 == 0
}

/// The value with `+` for the spaces that stand within the base64 of bh= and b=, but for folds.
fn filled(value: &[u8], limits: SignatureLimits) -> Option<Vec<u8>> {
    let list = TagList::parse(value, limits.tags).ok()?;
    let mut out = value.to_vec();
    // In the copies of z= a space would be encoded.
    for tag in ["b", "bh", "z"] {
        let Some(span) = list.get(tag).map(|tag| tag.span.clone()) else {
            continue;
        };
        let inner = &value[span.clone()];
        let mut at = 0;
        while at < inner.len() {
            let run = inner[at..]
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            // A fold is no loss, and what stands at either end is none.
            let spaces = inner[at..at + run].iter().all(|b| *b == b' ');
            if run > 0 && spaces && at > 0 && at + run < inner.len() {
                out[span.start + at..span.start + at + run].fill(b'+');
            }
            at += run.max(1);
        }
    }
    (out != value).then_some(out)
}
