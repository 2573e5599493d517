//! What signers are known to hash instead of the header that they send.

use std::collections::HashMap;

use super::Task;
use super::board::{own_piece, pieces_of};
use super::draft::{Draft, value};
use super::instance::is_signed;
use crate::canon::{self, Canon};
use crate::explain::kind::Kind;
use crate::explain::target::other;
use crate::signature::{Signature, SignatureLimits};

/// A way in which the pieces may have been put together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    fields: Canon,
    own: Canon,
    order: Order,
    absent: Absent,
    value: Value,
    /// Behind the own field.
    tail: &'static [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As h= has it, instances from the bottom up.
    Right,
    /// Instances from the top down.
    TopDown,
    /// As the fields stand in the header.
    Header,
    /// Each name of h= stands for all its instances.
    All,
    /// The own field first.
    OwnFirst,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Nothing,
    /// The name, a colon and CRLF.
    Empty,
    LineEnd,
}

/// What stands for b= in the own field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// `b=`, as it should.
    Empty,
    /// With its value.
    Kept,
    /// Nothing: the tag is left out.
    NoTag,
    /// Nothing, nor the semicolon before it.
    NoTagNorMark,
    /// There is no own field.
    NoField,
}

/// So many ways to err are known.
const FORMS: usize = 17;

impl Form {
    /// As the RFC has it.
    pub(super) fn right(canon: Canon) -> Form {
        Form {
            fields: canon,
            own: canon,
            order: Order::Right,
            absent: Absent::Nothing,
            value: Value::Empty,
            tail: b"",
        }
    }

    pub(super) fn is_right(&self) -> bool {
        self.fields == self.own
            && self.order == Order::Right
            && self.absent == Absent::Nothing
            && self.value == Value::Empty
            && self.tail.is_empty()
    }

    /// All the wrong forms that are known, each with what is wrong.
    pub(super) fn wrong(canon: Canon) -> [(Kind, String, Form); FORMS] {
        let right = Form::right(canon);
        let swapped = other(canon);
        let (says, is) = (canon.as_str(), swapped.as_str());
        let canons = format!("c= says {says} for the header, and the hash is that of {is}");
        let order = |order| Form { order, ..right };
        let value = |value| Form { value, ..right };
        let field_order = |text: &str, form| (Kind::SignerFieldOrder, text.to_owned(), form);
        let own = |text: &str, form| (Kind::SignerOwnField, text.to_owned(), form);
        let absent = |text: &str, form| (Kind::SignerAbsentFields, text.to_owned(), form);
        let both = Form {
            fields: swapped,
            own: swapped,
            ..right
        };
        [
            (Kind::SignerCanonicalization, canons.clone(), both),
            (
                Kind::SignerCanonicalization,
                format!("{canons}, but for the signature's own field"),
                Form {
                    fields: swapped,
                    ..right
                },
            ),
            (
                Kind::SignerOwnField,
                format!("c= says {says}, and the signature's own field was hashed as {is}"),
                Form {
                    own: swapped,
                    ..right
                },
            ),
            field_order(
                "the instances of a field were taken from the top down",
                order(Order::TopDown),
            ),
            field_order(
                "the fields were taken as they stand, not in the order of h=",
                order(Order::Header),
            ),
            field_order(
                "each name in h= was taken for all instances of the field",
                order(Order::All),
            ),
            own("its own field was hashed first", order(Order::OwnFirst)),
            own(
                "its own field was hashed with a line end",
                Form {
                    tail: b"\r\n",
                    ..right
                },
            ),
            own(
                "its own field was hashed with a line end, in the other canonicalization",
                Form {
                    tail: b"\r\n",
                    own: swapped,
                    ..right
                },
            ),
            own(
                "its own field was hashed with the value of b=",
                value(Value::Kept),
            ),
            own(
                "its own field was hashed without the tag b=",
                value(Value::NoTag),
            ),
            own(
                "its own field was hashed without the tag b= and what separates it",
                value(Value::NoTagNorMark),
            ),
            own("its own field was not hashed", value(Value::NoField)),
            absent(
                "a field that is not there was hashed as an empty one",
                Form {
                    absent: Absent::Empty,
                    ..right
                },
            ),
            absent(
                "a field that is not there was hashed as a line end",
                Form {
                    absent: Absent::LineEnd,
                    ..right
                },
            ),
            own(
                "its own field was hashed with a line end, the fields as they stand",
                Form {
                    order: Order::Header,
                    tail: b"\r\n",
                    ..right
                },
            ),
            (
                Kind::SignerCanonicalization,
                format!("{canons}, with a line end behind the signature's own field"),
                Form {
                    tail: b"\r\n",
                    ..both
                },
            ),
        ]
    }

    /// The pieces of a header in this form.
    pub(super) fn pieces(&self, task: &Task<'_>, draft: &Draft) -> Vec<Vec<u8>> {
        let mut pieces = self.fields(task, draft);
        let own = draft.field(task.position).and_then(|raw| self.own(raw));
        let mut own = own.unwrap_or_default();
        own.extend_from_slice(self.tail);
        match self.order {
            Order::OwnFirst => {
                own.extend_from_slice(b"\r\n");
                pieces.insert(0, own);
            }
            _ => pieces.push(own),
        }
        pieces
    }

    fn own(&self, raw: &[u8]) -> Option<Vec<u8>> {
        match self.value {
            Value::Empty => own_piece(raw, self.own),
            Value::NoField => Some(Vec::new()),
            Value::Kept => {
                let mut piece = Vec::new();
                canon::header::text(self.own, raw, &mut piece);
                piece.truncate(piece.len() - 2);
                Some(piece)
            }
            Value::NoTag | Value::NoTagNorMark => {
                let value = value(raw);
                let (_, b) = Signature::parse(value, SignatureLimits::default()).ok()?;
                let start = raw.len() - value.len();
                // Back over "b=" and the blanks before it.
                let before = raw[..start + b.start].trim_ascii_end();
                let before = before
                    .strip_suffix(b"=")?
                    .trim_ascii_end()
                    .strip_suffix(b"b")?;
                let mut behind = &raw[start + b.end..];
                let mut before = before.to_vec();
                if self.value == Value::NoTagNorMark {
                    let kept = before.trim_ascii_end();
                    before.truncate(kept.strip_suffix(b";").unwrap_or(kept).len());
                } else {
                    behind = behind.strip_prefix(b";").unwrap_or(behind);
                }
                before.extend_from_slice(behind);
                let mut piece = Vec::new();
                canon::header::text(self.own, &before, &mut piece);
                piece.truncate(piece.len() - 2);
                Some(piece)
            }
        }
    }

    fn fields(&self, task: &Task<'_>, draft: &Draft) -> Vec<Vec<u8>> {
        let names = task.signature.signed_headers.names();
        let canonical = |raw: &[u8]| {
            let mut piece = Vec::with_capacity(raw.len() + 2);
            canon::header::text(self.fields, raw, &mut piece);
            piece
        };
        let instances = |name: &str| -> Vec<Vec<u8>> {
            let named = draft.named(name).into_iter();
            let others = named.filter(|(at, _)| *at != Some(task.position));
            others.map(|(_, raw)| canonical(raw)).collect()
        };
        match self.order {
            Order::Right | Order::OwnFirst => {
                let picked = pieces_of(names, draft, task.position, self.fields, |_| true);
                let piece = |(name, (_, piece)): (&str, (usize, Vec<u8>))| match (
                    piece.is_empty(),
                    self.absent,
                    self.fields,
                ) {
                    (true, Absent::Empty, Canon::Relaxed) => {
                        format!("{}:\r\n", name.to_ascii_lowercase()).into_bytes()
                    }
                    (true, Absent::Empty, Canon::Simple) => format!("{name}:\r\n").into_bytes(),
                    (true, Absent::LineEnd, _) => b"\r\n".to_vec(),
                    _ => piece,
                };
                names.iter().zip(picked).map(piece).collect()
            }
            Order::TopDown => {
                let mut taken: HashMap<String, usize> = HashMap::new();
                let piece = |name: &str| {
                    let nth = taken.entry(name.to_ascii_lowercase()).or_default();
                    *nth += 1;
                    instances(name)
                        .into_iter()
                        .nth(*nth - 1)
                        .unwrap_or_default()
                };
                names.iter().map(piece).collect()
            }
            Order::All => {
                let mut seen: Vec<String> = Vec::new();
                let mut out = Vec::new();
                for name in names.iter() {
                    let lower = name.to_ascii_lowercase();
                    if !seen.contains(&lower) {
                        out.extend(instances(name));
                        seen.push(lower);
                    }
                }
                out
            }
            Order::Header => {
                let others = draft.present().filter(|(at, _)| *at != task.position);
                let signed = others.filter(|(_, raw)| is_signed(task, raw));
                signed.map(|(_, raw)| canonical(raw)).collect()
            }
        }
    }
}
