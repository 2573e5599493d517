//! The message as it is read: with CRLF, and with what had to be mended before there was a header at all.

use std::borrow::Cow;

use super::Options;
use super::change::{Change, Stage, staged};
use super::kind::Kind;
use crate::message::{Header, SplitError, is_wsp, split};
use crate::report::{Failure, Verdict};
use crate::signature::{FIELD_NAME, Signature};
use crate::verify::Verifier;

/// A message with a header that can be read.
pub(super) struct Read<'m> {
    pub(super) text: Cow<'m, [u8]>,
    pub(super) header: Header,
    pub(super) body_at: usize,
    pub(super) changes: Vec<Change>,
    /// Why it cannot be read as it came.
    pub(super) reason: Option<&'static str>,
}

/// Reads a message; where that fails, once more with other line ends and without a byte order mark.
pub(super) fn read<'m>(message: &'m [u8], options: &Options) -> Result<Read<'m>, SplitError> {
    let limits = options.policy.limits.header;
    let text: Cow<'m, [u8]> = match options.lf_is_crlf {
        true => with_crlf(message),
        false => Cow::Borrowed(message),
    };
    let reason;
    let error = match split(&text, limits) {
        // With CR alone, the whole message is the first line of its first field.
        Ok((header, _)) if header.has_bare_cr() && !has_signature(&header, options) => {
            reason = first_reason(header, options);
            None
        }
        Ok((header, body)) => {
            let body_at = text.len() - body.len();
            return Ok(Read {
                text,
                header,
                body_at,
                changes: Vec::new(),
                reason: None,
            });
        }
        Err(error) => {
            reason = Failure::Message(error).reason();
            Some(error)
        }
    };
    let mended: [(Kind, Option<Vec<u8>>); 5] = [
        (
            Kind::ByteOrderMark,
            text.strip_prefix(BOM).map(<[u8]>::to_vec),
        ),
        (Kind::LineEnds, Some(doubled(&text))),
        (Kind::LineEnds, Some(from_cr(&text))),
        (Kind::LineEnds, Some(with_crlf(&text).into_owned())),
        (Kind::TrailingBlanksAdded, ended_header(&text)),
    ];
    for (kind, mended) in mended {
        let Some(mended) = mended.filter(|mended| **mended != *text) else {
            continue;
        };
        if let Ok((header, body)) = split(&mended, limits)
            && (error.is_some() || has_signature(&header, options))
        {
            let body_at = mended.len() - body.len();
            let stage = Stage::new(kind, None, mended);
            let changes = staged(&text, 0, 1, std::slice::from_ref(&stage));
            return Ok(Read {
                text: Cow::Owned(stage.text),
                header,
                body_at,
                changes,
                reason: Some(reason),
            });
        }
    }
    match error {
        Some(error) => Err(error),
        None => {
            let (header, body) = split(&text, limits)?;
            let body_at = text.len() - body.len();
            Ok(Read {
                text,
                header,
                body_at,
                changes: Vec::new(),
                reason: None,
            })
        }
    }
}

/// Why the first signature cannot be read.
fn first_reason(header: Header, options: &Options) -> &'static str {
    let verifier = Verifier::new(header, options.policy.clone(), options.now);
    let verdicts = verifier.start_body().finish();
    let failure = verdicts.first().and_then(Verdict::failure);
    failure.map_or("no-signature", Failure::reason)
}

/// Whether there is a signature that can be read.
fn has_signature(header: &Header, options: &Options) -> bool {
    let limits = options.policy.limits.signature;
    let mut fields = header.fields().filter(|field| field.is(FIELD_NAME));
    fields.any(|field| Signature::parse(field.value(), limits).is_ok())
}

/// The message with an empty line for the first one of white space alone, which is to end the header.
fn ended_header(text: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    loop {
        let end = at + memchr::memmem::find(&text[at..], b"\r\n")?;
        let line = &text[at..end];
        if !line.is_empty() && line.iter().all(|b| is_wsp(*b)) {
            return Some([&text[..at], &text[end..]].concat());
        }
        at = end + 2;
    }
}

/// The UTF-8 byte order mark.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Each bare LF as CRLF.
pub(super) fn with_crlf(text: &[u8]) -> Cow<'_, [u8]> {
    let bare = |at: &usize| *at == 0 || text[at - 1] != b'\r';
    if !memchr::memchr_iter(b'\n', text).any(|at| bare(&at)) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    let mut from = 0;
    for at in memchr::memchr_iter(b'\n', text).filter(bare) {
        out.extend_from_slice(&text[from..at]);
        out.push(b'\r');
        from = at;
    }
    out.extend_from_slice(&text[from..]);
    Cow::Owned(out)
}

/// Each bare CR as CRLF.
pub(super) fn from_cr(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for (at, byte) in text.iter().enumerate() {
        out.push(*byte);
        if *byte == b'\r' && text.get(at + 1) != Some(&b'\n') {
            out.push(b'\n');
        }
    }
    out
}

/// Line ends with several CRs, as CRLF.
pub(super) fn doubled(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if *byte == b'\n' {
            while out.ends_with(b"\r\r") {
                out.pop();
            }
        }
        out.push(*byte);
    }
    out
}
