//! What signers are known to hash instead of the header that they send.

use super::Task;
use super::board::{own_piece, pieces_of};
use super::draft::Draft;
use crate::canon::{self, Canon, Sink as _};
use crate::explain::kind::Kind;
use crate::explain::target::{HeaderTarget, other};
use crate::hash::{HashAlgorithm, Hasher};

/// A way in which the pieces may have been put together.
#[derive(Clone, Copy)]
struct Form {
    fields: Canon,
    own: Canon,
    order: Order,
    tail: &'static [u8],
    absent: Absent,
    hash: HashAlgorithm,
    with_value: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Nothing,
    /// The name, a colon and CRLF.
    Empty,
    LineEnd,
}

/// The known mistake that gives this hash.
pub(super) fn find(
    task: &Task<'_>,
    target: &HeaderTarget<'_>,
    draft: &Draft,
) -> Option<(Kind, String)> {
    let canon = task.signature.canonicalization.header;
    let says = task.signature.algorithm.hash();
    let right = Form {
        fields: canon,
        own: canon,
        order: Order::Right,
        tail: b"",
        absent: Absent::Nothing,
        hash: target.hash(),
        with_value: false,
    };
    let swapped = other(canon);
    let canons = format!(
        "c= says {} for the header, and the hash is that of {}",
        canon.as_str(),
        swapped.as_str()
    );
    let order = |order| Form { order, ..right };
    let forms: [(Kind, String, Form); 14] = [
        (
            Kind::SignerHash,
            format!(
                "a= says {}, and the hash is {}",
                says.as_str(),
                target.hash().as_str()
            ),
            right,
        ),
        (
            Kind::SignerCanonicalization,
            canons.clone(),
            Form {
                fields: swapped,
                own: swapped,
                ..right
            },
        ),
        (
            Kind::SignerCanonicalization,
            format!("{canons}, but for the signature's own field"),
            Form {
                fields: swapped,
                ..right
            },
        ),
        (
            Kind::SignerCanonicalization,
            format!("{canons} for the signature's own field"),
            Form {
                own: swapped,
                ..right
            },
        ),
        (
            Kind::SignerFieldOrder,
            "the instances of a field were taken from the top down".to_owned(),
            order(Order::TopDown),
        ),
        (
            Kind::SignerFieldOrder,
            "the fields were taken as they stand, not in the order of h=".to_owned(),
            order(Order::Header),
        ),
        (
            Kind::SignerFieldOrder,
            "each name in h= was taken for all instances of the field".to_owned(),
            order(Order::All),
        ),
        (
            Kind::SignerOwnField,
            "its own field was hashed first".to_owned(),
            order(Order::OwnFirst),
        ),
        (
            Kind::SignerOwnField,
            "its own field was hashed with a line end".to_owned(),
            Form {
                tail: b"\r\n",
                ..right
            },
        ),
        (
            Kind::SignerOwnField,
            "its own field was hashed with a line end, in the other canonicalization".to_owned(),
            Form {
                tail: b"\r\n",
                own: swapped,
                ..right
            },
        ),
        (
            Kind::SignerOwnField,
            "its own field was hashed with the value of b=".to_owned(),
            Form {
                with_value: true,
                ..right
            },
        ),
        (
            Kind::SignerAbsentFields,
            "a field that is not there was hashed as an empty one".to_owned(),
            Form {
                absent: Absent::Empty,
                ..right
            },
        ),
        (
            Kind::SignerAbsentFields,
            "a field that is not there was hashed as a line end".to_owned(),
            Form {
                absent: Absent::LineEnd,
                ..right
            },
        ),
        (
            Kind::SignerFieldOrder,
            "the fields were taken as they stand, each instance once".to_owned(),
            Form {
                order: Order::Header,
                tail: b"\r\n",
                ..right
            },
        ),
    ];
    forms
        .into_iter()
        .find(|(_, _, form)| target.is(&hash(task, draft, *form)))
        .map(|(kind, detail, _)| (kind, detail))
}

fn hash(task: &Task<'_>, draft: &Draft, form: Form) -> crate::hash::Digest {
    let mut hasher = Hasher::new(form.hash);
    let own = draft.field(task.position).map(|raw| match form.with_value {
        false => own_piece(raw, form.own).unwrap_or_default(),
        true => {
            let mut piece = Vec::new();
            canon::header::text(form.own, raw, &mut piece);
            piece.truncate(piece.len() - 2);
            piece
        }
    });
    let own = own.unwrap_or_default();
    if form.order == Order::OwnFirst {
        hasher.put(&own);
        hasher.put(b"\r\n");
    }
    for piece in pieces(task, draft, form) {
        hasher.put(&piece);
    }
    if form.order != Order::OwnFirst {
        hasher.put(&own);
    }
    hasher.put(form.tail);
    hasher.finish()
}

fn pieces(task: &Task<'_>, draft: &Draft, form: Form) -> Vec<Vec<u8>> {
    let names = task.signature.signed_headers.names();
    let canonical = |raw: &[u8]| {
        let mut piece = Vec::with_capacity(raw.len() + 2);
        canon::header::text(form.fields, raw, &mut piece);
        piece
    };
    let instances = |name: &str| {
        let named = draft.named(name).into_iter();
        named
            .filter(|(at, _)| *at != Some(task.position))
            .map(|(_, raw)| canonical(raw))
            .collect::<Vec<_>>()
    };
    match form.order {
        Order::Right | Order::OwnFirst => {
            let names = names.iter();
            let picked = pieces_of(
                task.signature.signed_headers.names(),
                draft,
                task.position,
                form.fields,
                |_| true,
            );
            names
                .zip(picked)
                .map(|(name, (_, piece))| match (piece.is_empty(), form.absent) {
                    (true, Absent::Empty) => match form.fields {
                        Canon::Relaxed => {
                            format!("{}:\r\n", name.to_ascii_lowercase()).into_bytes()
                        }
                        Canon::Simple => format!("{name}:\r\n").into_bytes(),
                    },
                    (true, Absent::LineEnd) => b"\r\n".to_vec(),
                    _ => piece,
                })
                .collect()
        }
        Order::TopDown => {
            let mut taken: Vec<(String, usize)> = Vec::new();
            let mut out = Vec::new();
            for name in names.iter() {
                let lower = name.to_ascii_lowercase();
                let at = taken
                    .iter()
                    .position(|(known, _)| *known == lower)
                    .unwrap_or_else(|| {
                        taken.push((lower, 0));
                        taken.len() - 1
                    });
                out.extend(instances(name).into_iter().nth(taken[at].1));
                taken[at].1 += 1;
            }
            out
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
            let present = draft
                .present()
                .filter(|(at, raw)| *at != task.position && super::instance::is_signed(task, raw));
            present.map(|(_, raw)| canonical(raw)).collect()
        }
    }
}
