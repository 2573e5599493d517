//! Folds, blanks and letters: what relaxed canonicalization bears, but for folds within words.

use std::sync::Arc;

use super::Task;
use super::draft::{Draft, Edit, name, value};
use super::instance::written;
use super::moves::{Move, Moves};
use crate::canon::Canon;
use crate::explain::bytes::{replaced, trimmed};
use crate::explain::kind::Kind;
use crate::message::is_wsp;
use crate::signature::FIELD_NAME;

pub(super) fn moves(task: &Task<'_>, draft: &Draft, moves: &mut Moves<'_>) {
    let mut fields = moves.fields.clone();
    let own = draft
        .field(task.position)
        .map(|raw| (task.position, raw.clone()));
    fields.extend(own);
    fields.retain(|(_, raw)| raw.len() < 20_000);
    let simple = task.signature.canonicalization.header == Canon::Simple;
    for (kind, cost, way) in EVERYWHERE {
        alike(&fields, *kind, *cost, way, moves);
    }
    for (at, raw) in &fields {
        within_words(*at, raw, moves);
    }
    if !simple {
        return;
    }
    for (kind, cost, way) in SIMPLE {
        alike(&fields, *kind, *cost, way, moves);
    }
    let spelled: Vec<&str> = task.signature.signed_headers.names().iter().collect();
    let as_in_h = |raw: &[u8]| {
        let own = name(raw);
        let found = spelled.iter().find(|n| n.eq_ignore_ascii_case(&own))?;
        Some(renamed(raw, found))
    };
    alike(&fields, Kind::Recased, 1, as_in_h, moves);
    recased(&fields, &as_in_h, moves);
    for width in [78, 76, 75, 72, 77, 79, 80, 998, 70, 74, 64] {
        for indent in [&b" "[..], b"\t", b"        ", b"  ", b"    "] {
            for keeps in [true, false] {
                let cost = if indent.len() == 1 && width >= 72 {
                    2
                } else {
                    3
                };
                alike(
                    &fields,
                    Kind::Refolded,
                    cost,
                    |raw| folded(raw, width, indent, keeps),
                    moves,
                );
            }
        }
    }
    for (at, raw) in &fields {
        single_folds(*at, raw, moves);
    }
}

type Way = fn(&[u8]) -> Option<Vec<u8>>;

/// All names in one style, but for those that are written in several ways and the signature's own, which another
/// program may have written than the fields.
fn recased(
    fields: &[(usize, Arc<[u8]>)],
    as_in_h: &impl Fn(&[u8]) -> Option<Vec<u8>>,
    moves: &mut Moves<'_>,
) {
    const SEVERAL: [(&str, &[&str]); 4] = [
        ("message-id", &["Message-ID", "Message-Id", "Message-id"]),
        (
            "mime-version",
            &["MIME-Version", "Mime-Version", "Mime-version"],
        ),
        ("cc", &["Cc", "CC"]),
        (FIELD_NAME, &["DKIM-Signature", "Dkim-Signature"]),
    ];
    type Style<'s> = &'s dyn Fn(&[u8]) -> Option<Vec<u8>>;
    let styles: [(u8, Style<'_>); 6] = [
        (1, &|raw| Some(raw.to_vec())),
        (1, &|raw| Some(renamed(raw, &written(&name(raw))))),
        (2, &|raw| {
            Some(renamed(raw, &name(raw).to_ascii_lowercase()))
        }),
        (2, &|raw| {
            Some(renamed(raw, &name(raw).to_ascii_uppercase()))
        }),
        (2, &|raw| Some(renamed(raw, &capitalized(&name(raw))))),
        (2, &|raw| as_in_h(raw)),
    ];
    for (cost, style) in styles {
        let mut sets: Vec<Vec<Edit>> = vec![Vec::new()];
        for (at, raw) in fields {
            let own = name(raw);
            let several = SEVERAL
                .iter()
                .find(|(name, _)| own.eq_ignore_ascii_case(name));
            let mut ways: Vec<Vec<u8>> = style(raw).into_iter().collect();
            ways.extend(
                several
                    .into_iter()
                    .flat_map(|(_, names)| names.iter().map(|name| renamed(raw, name))),
            );
            ways.push(raw.to_vec());
            ways.sort();
            ways.dedup();
            // Several instances are alike.
            let many = several.is_some() && sets.len() < 100;
            if !many {
                ways = vec![style(raw).unwrap_or_else(|| raw.to_vec())];
            }
            let edit = |way: Vec<u8>| (way != **raw).then(|| Edit::Replace(*at, way.into()));
            let edits: Vec<Option<Edit>> = ways.into_iter().map(edit).collect();
            let with = |set: &Vec<Edit>, edit: &Option<Edit>| {
                set.iter().chain(edit).cloned().collect::<Vec<Edit>>()
            };
            sets = sets
                .iter()
                .flat_map(|set| edits.iter().map(move |edit| with(set, edit)))
                .collect();
        }
        for set in sets.into_iter().filter(|set| set.len() > 1) {
            moves.push(Move::new(Kind::Recased, cost, set));
        }
    }
}

/// What changes words too.
const EVERYWHERE: &[(Kind, u8, Way)] = &[
    // Postfix cuts long lines with CRLF and a space, wherever that falls.
    (Kind::Refolded, 1, |raw| Some(folds_as(raw, b"", true))),
    (Kind::FieldBlanks, 2, |raw| Some(spaced(raw, b", "))),
    (Kind::FieldBlanks, 2, |raw| Some(spaced(raw, b"; "))),
    (Kind::FieldBlanks, 2, |raw| Some(replaced(raw, b", ", b","))),
    (Kind::FieldBlanks, 2, |raw| Some(replaced(raw, b"; ", b";"))),
    (Kind::FieldBlanks, 2, |raw| {
        Some(replaced(raw, b"> <", b"><"))
    }),
    (Kind::FieldBlanks, 2, |raw| {
        Some(replaced(raw, b"><", b"> <"))
    }),
];

const SIMPLE: &[(Kind, u8, Way)] = &[
    (Kind::Refolded, 1, |raw| before_wide_blanks(raw)),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b", ", b",\r\n        "))
    }),
    (Kind::Refolded, 1, |raw| Some(folds_as(raw, b" ", true))),
    (Kind::Refolded, 1, |raw| Some(folds_as(raw, b"", false))),
    (Kind::Refolded, 1, |raw| Some(folds_as(raw, b"\r\n ", true))),
    (Kind::Refolded, 1, |raw| {
        Some(folds_as(raw, b"\r\n\t", true))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(folds_as(raw, b" \r\n ", true))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(folds_as(raw, b" \r\n\t", true))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(folds_as(raw, b"\r\n        ", true))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(folds_as(raw, b"\r\n  ", true))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(folds_as(raw, b"\r\n    ", true))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b", ", b",\r\n "))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b", ", b",\r\n\t"))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b", ", b",\r\n    "))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b"> <", b">\r\n <"))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b"> <", b">\r\n\t<"))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b"; ", b";\r\n "))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b"; ", b";\r\n\t"))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b"; ", b";\r\n    "))
    }),
    (Kind::Refolded, 2, |raw| {
        Some(replaced(raw, b"; ", b";\r\n  "))
    }),
    (Kind::Recased, 1, |raw| {
        Some(renamed(raw, &written(&name(raw))))
    }),
    (Kind::Recased, 1, |raw| {
        let title = written(&name(raw));
        Some(renamed(raw, &title.replace("Message-ID", "Message-Id")))
    }),
    (Kind::Recased, 1, |raw| {
        let title = titled(&name(raw));
        Some(renamed(raw, &title.replace("Message-Id", "Message-ID")))
    }),
    (Kind::Recased, 1, |raw| {
        Some(renamed(raw, &titled(&name(raw))))
    }),
    (Kind::Recased, 1, |raw| {
        Some(renamed(raw, &name(raw).to_ascii_lowercase()))
    }),
    (Kind::Recased, 1, |raw| {
        Some(renamed(raw, &name(raw).to_ascii_uppercase()))
    }),
    (Kind::Recased, 2, |raw| {
        Some(renamed(raw, &capitalized(&name(raw))))
    }),
    (Kind::FieldBlanks, 1, |raw| Some(behind_colon(raw, b""))),
    (Kind::FieldBlanks, 1, |raw| Some(behind_colon(raw, b" "))),
    (Kind::FieldBlanks, 2, |raw| Some(behind_colon(raw, b"  "))),
    (Kind::FieldBlanks, 2, |raw| Some(behind_colon(raw, b"\t"))),
    (Kind::FieldBlanks, 2, |raw| {
        Some(behind_colon(raw, b"\r\n "))
    }),
    (Kind::FieldBlanks, 2, |raw| {
        Some(behind_colon(raw, b"\r\n\t"))
    }),
    (Kind::FieldBlanks, 1, |raw| {
        Some(raw.trim_ascii_end().to_vec())
    }),
    (Kind::FieldBlanks, 2, |raw| Some([raw, b" "].concat())),
    (Kind::FieldBlanks, 2, |raw| Some(replaced(raw, b"\t", b" "))),
    (Kind::FieldBlanks, 2, |raw| Some(single_blanks(raw))),
    (Kind::FieldBlanks, 2, |raw| Some(replaced(raw, b" ", b"  "))),
    (Kind::FieldBlanks, 2, |raw| {
        let colon = raw.iter().position(|b| *b == b':')?;
        Some([raw[..colon].trim_ascii_end(), &raw[colon..]].concat())
    }),
];

/// The same done to one field, and to all of them.
fn alike(
    fields: &[(usize, Arc<[u8]>)],
    kind: Kind,
    cost: u8,
    way: impl Fn(&[u8]) -> Option<Vec<u8>>,
    moves: &mut Moves<'_>,
) {
    let mut all = Vec::new();
    for (at, raw) in fields {
        let Some(before) = way(raw).filter(|before| before.as_slice() != &**raw) else {
            continue;
        };
        let edit = Edit::Replace(*at, before.into());
        moves.push(Move::new(kind, cost, vec![edit.clone()]));
        all.push(edit);
    }
    if all.len() > 1 {
        moves.push(Move::new(kind, cost, all));
    }
}

/// Each fold as something else: its line end alone, or with the white space behind it.
pub(super) fn folds_as(raw: &[u8], with: &[u8], blanks: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        let before = &rest[..at];
        out.extend_from_slice(if blanks && !with.is_empty() {
            trimmed(before)
        } else {
            before
        });
        out.extend_from_slice(with);
        let behind = &rest[at + 2..];
        let skip = if blanks {
            behind.iter().take_while(|b| is_wsp(**b)).count()
        } else {
            0
        };
        rest = &behind[skip..];
    }
    out.extend_from_slice(rest);
    out
}

/// A fold before all white space that is wider than a space: the line ends alone were taken out.
fn before_wide_blanks(raw: &[u8]) -> Option<Vec<u8>> {
    let colon = raw.iter().position(|b| *b == b':')?;
    let mut out = raw[..=colon].to_vec();
    let mut rest = &raw[colon + 1..];
    while let Some(at) = rest.iter().position(|b| is_wsp(*b)) {
        let len = rest[at..].iter().take_while(|b| is_wsp(**b)).count();
        let blanks = &rest[at..at + len];
        out.extend_from_slice(&rest[..at]);
        if (len > 1 || blanks == b"\t") && !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(blanks);
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// Each fold taken out with its white space, for itself: a word was cut there. And the other way round.
fn within_words(at: usize, raw: &[u8], moves: &mut Moves<'_>) {
    let folds: Vec<usize> = memchr::memmem::find_iter(raw, b"\r\n").take(40).collect();
    if folds.len() < 2 {
        return;
    }
    for fold in folds {
        let behind = raw[fold + 2..].iter().take_while(|b| is_wsp(**b)).count();
        let joined = [&raw[..fold], &raw[fold + 2 + behind..]].concat();
        moves.push(Move::replace(Kind::Refolded, 2, at, joined));
    }
}

/// One fold taken out or put in, each for itself, and two.
fn single_folds(at: usize, raw: &[u8], moves: &mut Moves<'_>) {
    for fold in memchr::memmem::find_iter(raw, b"\r\n").take(20) {
        moves.push(Move::replace(
            Kind::Refolded,
            2,
            at,
            [&raw[..fold], &raw[fold + 2..]].concat(),
        ));
    }
    let bare = folds_as(raw, b" ", true);
    let colon = bare.iter().position(|b| *b == b':').unwrap_or(0);
    let places: Vec<usize> = (colon + 2..bare.len())
        .filter(|at| bare[*at] == b' ')
        .take(60)
        .collect();
    let with_folds = |places: &[usize], indent: &[u8], keeps: bool| {
        let mut out = Vec::new();
        let mut from = 0;
        for place in places {
            out.extend_from_slice(&bare[from..*place]);
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(indent);
            from = if keeps { *place } else { place + 1 };
        }
        out.extend_from_slice(&bare[from..]);
        out
    };
    for indent in [&b" "[..], b"\t", b"    ", b"        "] {
        for (nth, first) in places.iter().enumerate() {
            moves.push(Move::replace(
                Kind::Refolded,
                3,
                at,
                with_folds(&[*first], indent, false),
            ));
            if indent.len() > 1 {
                continue;
            }
            for second in places[nth + 1..]
                .iter()
                .filter(|second| **second - first > 20)
            {
                moves.push(Move::replace(
                    Kind::Refolded,
                    4,
                    at,
                    with_folds(&[*first, *second], indent, false),
                ));
            }
        }
    }
    if bare.len() < 200 {
        for first in &places {
            moves.push(Move::replace(
                Kind::Refolded,
                4,
                at,
                with_folds(&[*first], b" ", true),
            ));
            moves.push(Move::replace(
                Kind::Refolded,
                4,
                at,
                with_folds(&[*first], b"\t", true),
            ));
        }
    }
}

/// Folded where a line would grow too long.
fn folded(raw: &[u8], width: usize, indent: &[u8], keeps: bool) -> Option<Vec<u8>> {
    let bare = folds_as(raw, b" ", true);
    if bare.len() <= width {
        return Some(bare);
    }
    let mut out = Vec::with_capacity(bare.len() + 16);
    let mut column = 0;
    let mut words = bare.split(|b| *b == b' ');
    let first = words.next()?;
    out.extend_from_slice(first);
    column += first.len();
    for (nth, word) in words.enumerate() {
        if nth > 0 && column + 1 + word.len() > width {
            if keeps {
                out.push(b' ');
            }
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(indent);
            column = indent.len();
        } else {
            out.push(b' ');
            column += 1;
        }
        out.extend_from_slice(word);
        column += word.len();
    }
    Some(out)
}

/// A blank behind each of these marks.
fn spaced(raw: &[u8], mark: &[u8]) -> Vec<u8> {
    let tight = replaced(raw, mark, &mark[..1]);
    replaced(&tight, &mark[..1], mark)
}

fn single_blanks(raw: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    for byte in raw {
        if !(is_wsp(*byte) && out.last().is_some_and(|b| is_wsp(*b))) {
            out.push(*byte);
        }
    }
    out
}

fn behind_colon(raw: &[u8], blanks: &[u8]) -> Vec<u8> {
    let value = value(raw);
    let start = raw.len() - value.len();
    let text = value
        .iter()
        .position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
    [&raw[..start], blanks, &value[text.unwrap_or(value.len())..]].concat()
}

/// The field under this name, in its letters.
fn renamed(raw: &[u8], name: &str) -> Vec<u8> {
    [name.as_bytes(), &raw[name.len().min(raw.len())..]].concat()
}

fn titled(name: &str) -> String {
    let mut up = true;
    let each = |c: char| {
        let out = if up {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        };
        up = c == '-';
        out
    };
    name.chars().map(each).collect()
}

fn capitalized(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let mut chars = lower.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}
