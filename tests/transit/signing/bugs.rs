//! What known signers do wrong: the message is as it was sent, and the signature does not hold.

use std::ops::Range;

use dkimkit::canon::{Canon, Canonicalization, Sink as _, header as canon_header};
use dkimkit::explain::Kind;
use dkimkit::hash::{HashAlgorithm, Hasher};
use dkimkit::header::FieldIndex;
use dkimkit::message::Header;
use dkimkit::signature::Signature;

use super::{Plan, canonical_body, signed_header};
use crate::coding;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    EmptyBody,
    LastLinesKept,
    LastBlanksTaken,
    OtherBody,
    OtherHeader,
    OtherBoth,
    LimitRaw,
    LimitLf,
    LimitShort,
    BodyLf,
    Separator,
    BodySha1,
    TopDown,
    MessageOrder,
    OwnLineEnd,
    OwnWithoutTag,
    OwnAsWritten,
    AbsentNamed,
    AbsentLineEnd,
}

/// Each with its name and the words that say what it is: where an edit on the way would have come to the same hash,
/// that is said as well as the bug.
pub(crate) const BUGS: [(Bug, &str, &[Kind]); 19] = [
    (Bug::EmptyBody, "bug: empty body", &[Kind::SignerEmptyBody]),
    (
        Bug::LastLinesKept,
        "bug: last lines kept",
        &[
            Kind::SignerLastLines,
            Kind::SignerCanonicalization,
            Kind::SignerEmptyBody,
        ],
    ),
    (
        Bug::LastBlanksTaken,
        "bug: last blank lines taken",
        &[
            Kind::SignerLastLines,
            Kind::SignerEmptyBody,
            Kind::TextAppended,
            Kind::BlankLinesAdded,
            Kind::TrailingBlanksAdded,
        ],
    ),
    (
        Bug::OtherBody,
        "bug: other body c=",
        &[
            Kind::SignerCanonicalization,
            Kind::SignerEmptyBody,
            Kind::TrailingBlanksAdded,
            Kind::Tabs,
        ],
    ),
    (
        Bug::OtherHeader,
        "bug: other header c=",
        &[Kind::SignerCanonicalization],
    ),
    (
        Bug::OtherBoth,
        "bug: c= the wrong way round",
        &[Kind::SignerCanonicalization, Kind::SignerEmptyBody],
    ),
    (
        Bug::LimitRaw,
        "bug: l= of raw bytes",
        &[Kind::SignerBodyLimit],
    ),
    (Bug::LimitLf, "bug: l= with LF", &[Kind::SignerBodyLimit]),
    (
        Bug::LimitShort,
        "bug: l= without last line end",
        &[Kind::SignerBodyLimit],
    ),
    (
        Bug::BodyLf,
        "bug: body hashed with LF",
        &[Kind::SignerLineEnds],
    ),
    (
        Bug::Separator,
        "bug: separator hashed",
        &[Kind::SignerSeparator, Kind::BlankLinesRemoved],
    ),
    (Bug::BodySha1, "bug: bh= of SHA-1", &[Kind::SignerHash]),
    (
        Bug::TopDown,
        "bug: instances from the top",
        &[Kind::SignerFieldOrder, Kind::FieldsReordered],
    ),
    (
        Bug::MessageOrder,
        "bug: order of the message",
        &[Kind::SignerFieldOrder],
    ),
    (
        Bug::OwnLineEnd,
        "bug: own field with CRLF",
        &[Kind::SignerOwnField],
    ),
    (
        Bug::OwnWithoutTag,
        "bug: own field without b",
        &[Kind::SignerOwnField],
    ),
    (
        Bug::OwnAsWritten,
        "bug: own field not relaxed",
        &[Kind::SignerOwnField, Kind::SignerCanonicalization],
    ),
    (
        Bug::AbsentNamed,
        "bug: absent fields by name",
        &[Kind::SignerAbsentFields],
    ),
    (
        Bug::AbsentLineEnd,
        "bug: absent fields as CRLF",
        &[Kind::SignerAbsentFields],
    ),
];

/// What goes into bh= and l=.
pub(super) struct Body {
    pub(super) hash: Vec<u8>,
    pub(super) limit: Option<usize>,
}

impl Body {
    pub(super) fn of(text: &[u8]) -> Body {
        Body::with(HashAlgorithm::Sha256, text)
    }

    fn with(algorithm: HashAlgorithm, text: &[u8]) -> Body {
        let mut hasher = Hasher::new(algorithm);
        hasher.put(text);
        Body {
            hash: hasher.finish().as_bytes().to_vec(),
            limit: None,
        }
    }
}

impl Bug {
    pub(crate) fn is_of_header(self) -> bool {
        matches!(
            self,
            Bug::OtherHeader
                | Bug::OtherBoth
                | Bug::TopDown
                | Bug::MessageOrder
                | Bug::OwnLineEnd
                | Bug::OwnWithoutTag
                | Bug::OwnAsWritten
                | Bug::AbsentNamed
                | Bug::AbsentLineEnd
        )
    }

    /// What the signer makes of the body; none where that is right after all.
    pub(super) fn body(self, plan: &Plan, body: &[u8], canonical: &[u8]) -> Option<Body> {
        let canon = plan.canon.body;
        let other = canonical_body(inverse(canon), body);
        let limited = |limit: usize| {
            let right = limit == canonical.len();
            let out = Body {
                limit: Some(limit),
                ..Body::of(canonical)
            };
            (!right).then_some(out)
        };
        let text = match self {
            Bug::EmptyBody => match canonical {
                b"" => b"\r\n".to_vec(),
                b"\r\n" if canon == Canon::Simple => Vec::new(),
                _ => return None,
            },
            Bug::LastLinesKept => kept(canon, body, canonical)?,
            Bug::LastBlanksTaken => {
                let mut rest = body;
                while let Some(line) = coding::lines_of(rest).last()
                    && line.trim_ascii().is_empty()
                {
                    rest = &rest[..rest.len() - line.len()];
                }
                canonical_body(canon, rest)
            }
            Bug::OtherBody | Bug::OtherBoth => other,
            Bug::LimitRaw => return limited(body.len()),
            Bug::LimitLf => {
                let ends = canonical.iter().filter(|b| **b == b'\n').count();
                return limited(canonical.len() - ends);
            }
            Bug::LimitShort => return limited(canonical.len().checked_sub(2)?),
            Bug::BodyLf => {
                let text = String::from_utf8_lossy(canonical);
                if text.as_bytes() != canonical {
                    return None;
                }
                text.replace("\r\n", "\n").into_bytes()
            }
            Bug::Separator => [b"\r\n", canonical].concat(),
            Bug::BodySha1 => return Some(Body::with(HashAlgorithm::Sha1, canonical)),
            _ => return Some(Body::of(canonical)),
        };
        (text != canonical).then(|| Body::of(&text))
    }

    /// What the signer makes of the header; none where that is right after all.
    pub(super) fn header(
        self,
        plan: &Plan,
        header: &Header,
        signature: &Signature,
        b: Range<usize>,
        regular: &[u8],
    ) -> Option<Vec<u8>> {
        if !self.is_of_header() {
            return Some(regular.to_vec());
        }
        let canon = plan.canon.header;
        let own = header.field(0);
        let index = FieldIndex::new(header);
        let names = signature.signed_headers.names();
        let picked = index.pick(header, names, Some(0));
        let mut fields = Vec::new();
        let mut sign = Vec::new();
        canon_header::signature(canon, own, b.clone(), &mut sign);
        for field in picked.iter().flatten() {
            canon_header::field(canon, *field, &mut fields);
        }
        let out = match self {
            Bug::OtherHeader | Bug::OtherBoth => {
                let canonicalization = Canonicalization {
                    header: inverse(canon),
                    body: plan.canon.body,
                };
                let other = Signature {
                    canonicalization,
                    ..signature.clone()
                };
                signed_header(header, &other, 0, b)
            }
            Bug::TopDown => {
                let mut taken: Vec<usize> = Vec::new();
                let mut out = Vec::new();
                for name in names.iter() {
                    let next = header
                        .fields()
                        .find(|f| f.position() > 0 && f.is(name) && !taken.contains(&f.position()));
                    if let Some(field) = next {
                        taken.push(field.position());
                        canon_header::field(canon, field, &mut out);
                    }
                }
                [out, sign].concat()
            }
            Bug::MessageOrder => {
                let mut all: Vec<_> = picked.into_iter().flatten().collect();
                all.sort_by_key(|field| field.position());
                let mut out = Vec::new();
                for field in all {
                    canon_header::field(canon, field, &mut out);
                }
                [out, sign].concat()
            }
            Bug::OwnLineEnd => [fields, sign, b"\r\n".to_vec()].concat(),
            Bug::OwnWithoutTag => [&fields, sign.strip_suffix(b"b=")?.trim_ascii_end()].concat(),
            Bug::OwnAsWritten => {
                let mut raw = own.raw().to_vec();
                raw.truncate(own.value_offset() + b.start);
                [fields, raw].concat()
            }
            Bug::AbsentNamed | Bug::AbsentLineEnd => {
                let mut out = Vec::new();
                for (name, field) in names.iter().zip(picked) {
                    match field {
                        Some(field) => canon_header::field(canon, field, &mut out),
                        None if self == Bug::AbsentLineEnd => out.extend_from_slice(b"\r\n"),
                        None => {
                            let name = if canon == Canon::Relaxed {
                                name.to_ascii_lowercase()
                            } else {
                                name.to_owned()
                            };
                            out.extend_from_slice(format!("{name}:\r\n").as_bytes());
                        }
                    }
                }
                [out, sign].concat()
            }
            _ => return None,
        };
        (out != regular).then_some(out)
    }
}

fn inverse(canon: Canon) -> Canon {
    match canon {
        Canon::Simple => Canon::Relaxed,
        Canon::Relaxed => Canon::Simple,
    }
}

/// The body with the empty lines at its end: simple as it stands, relaxed where they hold white space, which is taken
/// away after the empty lines have been.
fn kept(canon: Canon, body: &[u8], canonical: &[u8]) -> Option<Vec<u8>> {
    if canon == Canon::Simple {
        return body.ends_with(b"\r\n").then(|| body.to_vec());
    }
    let blanks: Vec<&[u8]> = coding::lines_of(body).collect();
    let full = blanks
        .iter()
        .rposition(|line| **line != *b"\r\n")
        .map_or(0, |at| at + 1);
    let more = blanks[..full]
        .iter()
        .rev()
        .take_while(|line| line.trim_ascii().is_empty())
        .count();
    Some([canonical, b"\r\n".repeat(more).as_slice()].concat())
}
