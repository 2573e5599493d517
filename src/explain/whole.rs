//! The message as it was signed, put together from its two sides: with the fields of the header that are not signed,
//! as far as they fit what was.

use super::body::{decode, decode_lines};
use super::bytes;
use super::header::{Draft, Edit, is, value};
use super::kind::Kind;
use super::mime::{Structure, field, parameter};
use super::{Explained, Part};
use crate::header::{FieldNames, ONCE};
use crate::message::{Header, HeaderLimits, SplitError};

/// A field that may stand once alone and stands more often than h= names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surplus {
    /// Its name.
    pub name: &'static str,
    /// How often it stands in the message, without what was found to be added.
    pub stands: usize,
    /// How many of these, from the bottom up, are signed.
    pub signed: usize,
    /// The line of the uppermost, counted from 1.
    pub line: usize,
}

/// What is left to be said once header and body are known.
pub(super) struct Whole {
    /// The header as it was signed.
    pub(super) header: Vec<u8>,
    /// What was left out of it.
    pub(super) surplus: Vec<Surplus>,
    /// Fields that the body needs to be read, and of which it is not known what they said.
    pub(super) unknown: Vec<&'static str>,
    /// Fields that are not signed, and were made to fit the body.
    pub(super) fitted: Vec<&'static str>,
}

/// The fields that say how a body is to be read.
const OF_BODY: [&str; 3] = [
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
];

/// Puts the header of `explained` right for the body that was signed; `came` is the header as it came.
pub(super) fn of(
    explained: &Explained,
    came: &Header,
    came_body: &[u8],
) -> Result<Option<Whole>, SplitError> {
    let (Some(signature), Some(known)) = (&explained.signature, &explained.signed_header) else {
        return Ok(None);
    };
    let names = signature.signed_headers.names();
    // It was read before, under whatever limits.
    let limits = HeaderLimits {
        bytes: usize::MAX,
        fields: usize::MAX,
    };
    let header = Header::parse(known, limits)?;
    let draft = Draft::of(&header);
    let mut edits = Vec::new();
    let surplus = surplus(&draft, names, came, &mut edits);
    let unknown = match (&explained.body, &explained.signed_body) {
        (Part::Changed(changes), Some(body)) => {
            let kinds: Vec<Kind> = changes.iter().map(|change| change.kind).collect();
            let structure = Structure::of(came.as_bytes(), came_body);
            match kinds.contains(&Kind::Wrapped) {
                true => unwrapped(&draft, names, (came_body, &structure), body, &mut edits),
                false if structure.is_multipart() => {
                    let kept = is_cut(known, body);
                    let lost = !kept && names.count("Content-Type") == 0;
                    lost.then_some("Content-Type").into_iter().collect()
                }
                false => recoded(&kinds, names, &draft, (came, came_body), body, &mut edits),
            }
        }
        _ => Vec::new(),
    };
    let raw = |edit: &Edit| match edit {
        Edit::Replace(_, raw) | Edit::Insert(_, raw) => Some(raw.clone()),
        Edit::Remove(_) => None,
    };
    let made: Vec<_> = edits.iter().filter_map(raw).collect();
    let is_made = |name: &&str| made.iter().any(|raw| is(raw, name));
    Ok(Some(Whole {
        fitted: OF_BODY.into_iter().filter(is_made).collect(),
        header: draft.with(&edits).bytes(),
        surplus,
        unknown,
    }))
}

/// Takes out the upper instances of what may stand once, as far as they are not signed.
fn surplus(
    draft: &Draft,
    names: &FieldNames,
    came: &Header,
    edits: &mut Vec<Edit>,
) -> Vec<Surplus> {
    let mut found = Vec::new();
    for name in ONCE {
        let (named, signed) = (draft.named(name), names.count(name));
        if signed == 0 || named.len() <= signed.max(1) {
            continue;
        }
        let upper = named.iter().take(named.len() - signed);
        edits.extend(upper.filter_map(|(at, _)| Some(Edit::Remove((*at)?))));
        let before = came.fields().take_while(|field| !field.is(name));
        let lines = before.map(|field| 1 + memchr::memchr_iter(b'\n', field.raw()).count());
        found.push(Surplus {
            name,
            stands: named.len(),
            signed,
            line: 1 + lines.sum::<usize>(),
        });
    }
    found
}

/// Gives the message those fields of the part that it became which are not signed.
fn unwrapped(
    draft: &Draft,
    names: &FieldNames,
    (came, structure): (&[u8], &Structure),
    body: &[u8],
    edits: &mut Vec<Edit>,
) -> Vec<&'static str> {
    let unsigned = || OF_BODY.into_iter().filter(|name| names.count(name) == 0);
    let is_it = |part: &&super::mime::Part| {
        came[part.body.clone()].trim_ascii_end() == body.trim_ascii_end()
    };
    // What was changed in it besides, its type says which it is.
    let kind = draft
        .named("Content-Type")
        .last()
        .map(|(_, raw)| squeezed(value(raw)));
    let kind = kind.filter(|_| names.count("Content-Type") > 0);
    let is_like = |part: &&super::mime::Part| {
        let fields = &came[part.header.clone()];
        kind.is_some() && field(fields, "Content-Type").map(|value| squeezed(&value)) == kind
    };
    let mut parts = structure.parts.iter().skip(1);
    let Some(part) = parts.clone().find(is_it).or_else(|| parts.find(is_like)) else {
        return unsigned().take(2).collect();
    };
    let fields = &came[part.header.clone()];
    for name in unsigned() {
        let there = draft.named(name).last().and_then(|(at, _)| *at);
        match (field(fields, name), there) {
            (Some(value), there) => {
                let raw = [name.as_bytes(), b": ", value.trim_ascii()].concat().into();
                edits.push(match there {
                    Some(at) => Edit::Replace(at, raw),
                    None => Edit::Insert(draft.len(), raw),
                });
            }
            (None, Some(at)) => edits.push(Edit::Remove(at)),
            (None, None) => {}
        }
    }
    Vec::new()
}

/// Whether the boundary that the header has stands in the body.
fn is_cut(header: &[u8], body: &[u8]) -> bool {
    let kind = field(header, "Content-Type");
    let boundary = kind.and_then(|kind| parameter(&kind, "boundary"));
    let delimiter = boundary.map(|boundary| [b"--", boundary.as_slice()].concat());
    delimiter.is_some_and(|delimiter| memchr::memmem::find(body, &delimiter).is_some())
}

/// Says how the body was encoded, where that is not signed; and what of it cannot be known.
fn recoded(
    kinds: &[Kind],
    names: &FieldNames,
    draft: &Draft,
    (came, came_body): (&Header, &[u8]),
    body: &[u8],
    edits: &mut Vec<Edit>,
) -> Vec<&'static str> {
    const ENCODING: &str = "Content-Transfer-Encoding";
    let mut lost = Vec::new();
    if kinds.contains(&Kind::TransferEncoding) && names.count(ENCODING) == 0 {
        let now = field(came.as_bytes(), ENCODING).unwrap_or_default();
        let there = draft.named(ENCODING).last().and_then(|(at, _)| *at);
        match encoding(&now, came_body, body) {
            None => lost.push(ENCODING),
            Some(was) => {
                let raw = [ENCODING, ": ", was].concat().into_bytes().into();
                edits.push(match there {
                    Some(at) => Edit::Replace(at, raw),
                    None => Edit::Insert(draft.len(), raw),
                });
            }
        }
    }
    if kinds.contains(&Kind::Charset) && names.count("Content-Type") == 0 {
        lost.push("Content-Type");
    }
    lost
}

/// The encoding under which the body says what it says now, but for what was put before or behind it.
fn encoding(now: &[u8], came: &[u8], body: &[u8]) -> Option<&'static str> {
    let base64 = |text: &[u8]| decode_lines(text).map(|(text, _)| text);
    let says = match squeezed(now).as_slice() {
        b"base64" => base64(came)?,
        b"quoted-printable" => decode(came),
        _ => came.to_vec(),
    };
    let says = squeezed(&says);
    let is = |text: &[u8]| memchr::memmem::find(&says, &squeezed(text)).is_some();
    let plain = if body.is_ascii() { "7bit" } else { "8bit" };
    match () {
        () if is(body) => Some(plain),
        () if is(&decode(body)) => Some("quoted-printable"),
        () if base64(body).is_some_and(|text| is(&text)) => Some("base64"),
        () => None,
    }
}

fn squeezed(text: &[u8]) -> Vec<u8> {
    bytes::squeezed(text).to_ascii_lowercase()
}
