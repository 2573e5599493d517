//! Fields that were added, removed, or stand in another order.

use super::Task;
use super::draft::{Draft, Edit, is, name, unfolded};
use super::moves::{Move, Moves};
use crate::explain::kind::Kind;
use crate::message::is_wsp;

pub(super) fn moves(task: &Task<'_>, draft: &Draft, moves: &mut Moves<'_>) {
    groups(task, draft, moves);
    let mut seen: Vec<String> = Vec::new();
    let names = task.signature.signed_headers.names();
    for wanted in names.iter() {
        let wanted = wanted.to_ascii_lowercase();
        if seen.contains(&wanted) {
            continue;
        }
        let fields: Vec<usize> = draft
            .named(&wanted)
            .iter()
            .filter_map(|(at, _)| *at)
            .filter(|at| *at != task.position)
            .collect();
        added(&fields, moves);
        reordered(draft, &fields, moves);
        if names.count(&wanted) > fields.len() {
            removed(draft, &wanted, &fields, moves);
        } else if fields.len() == 1 {
            elsewhere(draft, &wanted, fields[0], moves);
        }
        seen.push(wanted);
    }
}

/// Fields that are put in together: those of MIME, and those of a list.
fn groups(task: &Task<'_>, draft: &Draft, moves: &mut Moves<'_>) {
    let mime = [
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "content-language",
    ];
    let list = |name: &str| {
        name.starts_with("list-")
            || matches!(name, "precedence" | "sender" | "errors-to" | "reply-to")
    };
    for of_list in [false, true] {
        let meant = |raw: &[u8]| {
            let name = name(raw).to_ascii_lowercase();
            if of_list {
                list(&name)
            } else {
                mime.contains(&name.as_str())
            }
        };
        let fields = draft
            .present()
            .filter(|(at, raw)| *at != task.position && meant(raw) && is_signed(task, raw));
        let fields: Vec<usize> = fields.map(|(at, _)| at).take(6).collect();
        // Every few of them.
        for set in 1u32..1 << fields.len() {
            if set.count_ones() < 2 {
                continue;
            }
            let chosen = fields
                .iter()
                .enumerate()
                .filter(|(nth, _)| set >> nth & 1 == 1);
            let edits = chosen.map(|(_, at)| Edit::Remove(*at)).collect();
            moves.push(Move::new(
                Kind::FieldAdded,
                if set + 1 == 1 << fields.len() { 1 } else { 2 },
                edits,
            ));
        }
    }
}

/// Each instance, and the first and last few.
fn added(fields: &[usize], moves: &mut Moves<'_>) {
    let removal = |fields: &[usize]| {
        let edits = fields.iter().map(|at| Edit::Remove(*at)).collect();
        Move::new(Kind::FieldAdded, 1, edits)
    };
    for nth in 0..fields.len().min(60) {
        moves.push(removal(&fields[nth..=nth]));
        if nth > 0 {
            moves.push(removal(&fields[..=nth]));
            moves.push(removal(&fields[fields.len() - nth - 1..]));
        }
    }
}

/// Every order of a few instances; of many, those in which one stands elsewhere, and the reverse.
fn reordered(draft: &Draft, fields: &[usize], moves: &mut Moves<'_>) {
    if fields.len() < 2 || fields.len() > 40 {
        return;
    }
    let mut push = |order: &[usize]| {
        let edit = |(at, from): (&usize, &usize)| {
            draft
                .field(fields[*from])
                .map(|raw| Edit::Replace(*at, raw.clone()))
        };
        let edits = fields.iter().zip(order).filter_map(edit).collect();
        moves.push(Move::new(Kind::FieldsReordered, 2, edits));
    };
    let count = fields.len();
    push(&(0..count).rev().collect::<Vec<_>>());
    if count <= 4 {
        let mut order: Vec<usize> = (0..count).collect();
        permutations(&mut order, 0, &mut push);
        return;
    }
    for from in 0..count {
        for to in 0..count {
            let mut order: Vec<usize> = (0..count).collect();
            let one = order.remove(from);
            order.insert(to, one);
            push(&order);
        }
    }
}

fn permutations(order: &mut Vec<usize>, from: usize, each: &mut impl FnMut(&[usize])) {
    if from == order.len() {
        each(order);
        return;
    }
    for at in from..order.len() {
        order.swap(from, at);
        permutations(order, from + 1, each);
        order.swap(from, at);
    }
}

/// What is known of a field that is not there any more: a copy under another name, or one of the few values that it
/// ever has.
fn removed(draft: &Draft, wanted: &str, fields: &[usize], moves: &mut Moves<'_>) {
    let title = written(wanted);
    let mut push = |cost, value: &[u8]| {
        let raw: std::sync::Arc<[u8]> = [title.as_bytes(), b": ", value].concat().into();
        let mut places = vec![draft.len()];
        places.extend(fields.first());
        for place in places {
            moves.push(Move::new(
                Kind::FieldRemoved,
                cost,
                vec![Edit::Insert(place, raw.clone())],
            ));
        }
    };
    for value in copies(draft, wanted) {
        push(1, &value);
    }
    // An answer names the message that it answers twice (RFC 5322 §3.6.4).
    let other = match wanted {
        "in-reply-to" => draft.named("References"),
        "references" => draft.named("In-Reply-To"),
        _ => Vec::new(),
    };
    for (_, raw) in other {
        let value = unfolded(raw);
        let last = value.split(|b| is_wsp(*b)).next_back().unwrap_or_default();
        push(1, last);
    }
    for (name, values) in USUAL {
        if wanted == *name {
            values.iter().for_each(|value| push(2, value.as_bytes()));
        }
    }
    if matches!(
        wanted,
        "sender" | "reply-to" | "disposition-notification-to" | "errors-to"
    ) {
        for (_, raw) in draft.named("From") {
            let value = unfolded(raw);
            push(2, &value);
            let open = value.iter().rposition(|b| *b == b'<');
            if let Some(open) = open {
                push(2, value[open..].trim_ascii());
                push(
                    2,
                    value[open + 1..]
                        .strip_suffix(b">")
                        .unwrap_or(&value[open + 1..]),
                );
            }
        }
    }
}

/// The value of a field under another name.
fn elsewhere(draft: &Draft, wanted: &str, at: usize, moves: &mut Moves<'_>) {
    let Some(raw) = draft.field(at) else {
        return;
    };
    for value in copies(draft, wanted) {
        let kind = match wanted {
            "from" => Kind::FromRewritten,
            _ => Kind::FieldChanged,
        };
        let made = Move::replace(kind, 1, at, super::draft::revalued(raw, &value));
        moves.push(made.noting("its value stands in another field"));
    }
}

/// The values of fields whose names say that they are copies of this one.
fn copies(draft: &Draft, wanted: &str) -> Vec<Vec<u8>> {
    let copy = |raw: &[u8]| {
        let name = name(raw).to_ascii_lowercase();
        let stem = name.strip_suffix(wanted)?.strip_suffix('-')?;
        let known = ["x", "old", "original", "orig", "prev", "resent", "saved"];
        stem.split('-')
            .any(|part| known.contains(&part))
            .then(|| unfolded(raw))
    };
    draft
        .present()
        .take(500)
        .filter_map(|(_, raw)| copy(raw))
        .take(5)
        .collect()
}

/// A name as it is commonly written.
pub(super) fn written(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "message-id" => "Message-ID".to_owned(),
        "mime-version" => "MIME-Version".to_owned(),
        "content-id" => "Content-ID".to_owned(),
        "dkim-signature" => "DKIM-Signature".to_owned(),
        lower => {
            let title = |part: &str| {
                let mut chars = part.chars();
                let first = chars.next().map(|c| c.to_ascii_uppercase());
                first.into_iter().chain(chars).collect::<String>()
            };
            lower.split('-').map(title).collect::<Vec<_>>().join("-")
        }
    }
}

/// Fields that have few values.
const USUAL: &[(&str, &[&str])] = &[
    ("mime-version", &["1.0"]),
    (
        "content-transfer-encoding",
        &[
            "7bit",
            "8bit",
            "quoted-printable",
            "base64",
            "7BIT",
            "8BIT",
            "binary",
            "Quoted-Printable",
        ],
    ),
    (
        "content-type",
        &[
            "text/plain",
            "text/plain; charset=utf-8",
            "text/plain; charset=UTF-8",
            "text/plain; charset=\"utf-8\"",
            "text/plain; charset=\"UTF-8\"",
            "text/plain; charset=us-ascii",
            "text/plain; charset=\"us-ascii\"",
            "text/plain; charset=US-ASCII",
            "text/plain; charset=\"US-ASCII\"",
            "text/plain; charset=iso-8859-1",
            "text/plain; charset=ISO-8859-1",
            "text/plain; charset=\"iso-8859-1\"",
            "text/plain; charset=utf-8; format=flowed",
            "text/plain; charset=UTF-8; format=flowed",
            "text/html; charset=utf-8",
            "text/html; charset=UTF-8",
            "text/html; charset=\"utf-8\"",
            "text/html; charset=\"UTF-8\"",
            "text/html",
        ],
    ),
    ("content-disposition", &["inline", "attachment"]),
    (
        "content-language",
        &["en", "en-US", "en-GB", "de", "de-DE", "fr", "fr-FR", "es"],
    ),
    ("list-unsubscribe-post", &["List-Unsubscribe=One-Click"]),
    ("precedence", &["bulk", "list", "junk"]),
    ("auto-submitted", &["auto-generated", "auto-replied", "no"]),
    ("importance", &["normal", "Normal", "high", "High", "low"]),
    ("x-priority", &["3", "1", "5", "3 (Normal)", "1 (Highest)"]),
    ("priority", &["normal", "urgent", "non-urgent"]),
    ("x-msmail-priority", &["Normal", "High"]),
    (
        "x-auto-response-suppress",
        &["All", "DR, RN, NRN, OOF, AutoReply", "OOF, AutoReply"],
    ),
    (
        "to",
        &[
            "undisclosed-recipients:;",
            "undisclosed-recipients: ;",
            "undisclosed-recipients:",
            "Undisclosed recipients:;",
        ],
    ),
    ("subject", &["", "(no subject)"]),
];

/// Whether a name is that of a field in h=.
pub(super) fn is_signed(task: &Task<'_>, raw: &[u8]) -> bool {
    task.signature
        .signed_headers
        .names()
        .iter()
        .any(|wanted| is(raw, wanted))
}
