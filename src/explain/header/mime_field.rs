//! MIME fields that were written in another way, or are those of a structure around the message.

use super::Task;
use super::draft::{Draft, is, revalued, unfolded};
use super::moves::{Move, Moves};
use crate::explain::header::draft::Edit;
use crate::explain::kind::Kind;
use crate::explain::mime::{Structure, field};

pub(super) fn moves(task: &Task<'_>, draft: &Draft, moves: &mut Moves<'_>) {
    for (at, raw) in &moves.fields.clone() {
        let at = *at;
        if moves.is_full() || raw.len() > 8_000 {
            continue;
        }
        if is(raw, "Content-Transfer-Encoding") {
            for word in [
                "7bit",
                "8bit",
                "quoted-printable",
                "base64",
                "binary",
                "7BIT",
                "8BIT",
                "Quoted-Printable",
                "QUOTED-PRINTABLE",
                "BASE64",
                "Base64",
                "7Bit",
                "8Bit",
            ] {
                moves.push(Move::replace(
                    Kind::TransferEncoding,
                    1,
                    at,
                    revalued(raw, word.as_bytes()),
                ));
            }
        }
        if is(raw, "MIME-Version") {
            moves.push(Move::replace(
                Kind::Parameters,
                1,
                at,
                revalued(raw, b"1.0"),
            ));
        }
        if is(raw, "Content-Type") || is(raw, "Content-Disposition") {
            for (cost, value) in rewritten(&unfolded(raw)) {
                moves.push(Move::replace(
                    Kind::Parameters,
                    cost,
                    at,
                    revalued(raw, &value),
                ));
            }
            for (cost, value) in other_charset(&unfolded(raw)) {
                moves.push(Move::replace(
                    Kind::Charset,
                    cost,
                    at,
                    revalued(raw, &value),
                ));
            }
        }
        let text = unfolded(raw);
        if text.ends_with(b")")
            && let Some(open) = text.iter().rposition(|b| *b == b'(')
        {
            let cut = text[..open].trim_ascii_end();
            moves.push(
                Move::replace(Kind::FieldChanged, 2, at, revalued(raw, cut))
                    .noting("a comment was added"),
            );
        }
    }
    unwrapped(task, draft, moves);
}

/// The fields of a part of the body, which were those of the message.
fn unwrapped(task: &Task<'_>, draft: &Draft, moves: &mut Moves<'_>) {
    let structure = Structure::of(&draft.bytes(), task.body);
    const FIELDS: [&str; 7] = [
        "Content-Type",
        "Content-Transfer-Encoding",
        "Content-Disposition",
        "Content-Language",
        "Content-ID",
        "Content-Description",
        "MIME-Version",
    ];
    for part in structure.parts.iter().skip(1).take(20) {
        let fields = &task.body[part.header.clone()];
        // Whoever wraps may write the parameters anew, and give the part an encoding that it did not name.
        let kind = field(fields, "Content-Type").map(|value| value.trim_ascii().to_vec());
        let mut kinds = vec![kind.clone()];
        let others = kind.iter().flat_map(|kind| rewritten(kind));
        kinds.extend(
            others
                .filter(|(cost, _)| *cost == 1)
                .map(|(_, kind)| Some(kind)),
        );
        kinds.dedup();
        for (nth, kind) in kinds.iter().enumerate() {
            for encoded in [true, false] {
                let mut edits = Vec::new();
                let mut bare = Vec::new();
                for name in FIELDS {
                    let value = match name {
                        "Content-Type" => kind.clone(),
                        "Content-Transfer-Encoding" if !encoded => None,
                        _ => field(fields, name).map(|value| value.trim_ascii().to_vec()),
                    };
                    let there = draft.named(name);
                    let there = there
                        .last()
                        .and_then(|(at, raw)| Some(((*at)?, (*raw).clone())));
                    match (value, there) {
                        (Some(value), Some((at, raw))) => {
                            edits.push(Edit::Replace(at, revalued(&raw, &value)));
                        }
                        (Some(value), None) => {
                            let raw = [name.as_bytes(), b": ", &value].concat();
                            edits.push(Edit::Insert(draft.len(), raw.into()));
                        }
                        (None, Some((at, _))) if name != "MIME-Version" => {
                            bare.push(Edit::Remove(at));
                        }
                        _ => {}
                    }
                }
                if nth == 0 {
                    for edit in &edits {
                        moves.push(Move::new(Kind::Wrapped, 1, vec![edit.clone()]));
                    }
                }
                moves.push(Move::new(Kind::Wrapped, 1, edits.clone()));
                edits.extend(bare);
                moves.push(Move::new(Kind::Wrapped, 1, edits.clone()));
                // A message without MIME fields was given some.
                let version = draft.named("MIME-Version").last().and_then(|(at, _)| *at);
                edits.extend(version.map(Edit::Remove));
                moves.push(Move::new(Kind::Wrapped, 1, edits));
            }
        }
    }
}

/// What a value says, however it is written: what stands first, and the parameters in the order of their names.
pub(super) fn parameters(value: &[u8]) -> (String, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(value);
    let mut items = split(&text).into_iter().map(|item| item.trim().to_owned());
    let first = items.next().unwrap_or_default().to_ascii_lowercase();
    let parameter = |item: String| {
        let (name, value) = item.split_once('=').unwrap_or((&item, ""));
        let name = name.trim().to_ascii_lowercase();
        let value = value.trim().trim_matches('"');
        let value = match name.as_str() {
            "charset" | "format" | "delsp" => value.to_ascii_lowercase(),
            _ => value.to_owned(),
        };
        (name, value)
    };
    let mut list: Vec<_> = items
        .filter(|item| !item.is_empty())
        .map(parameter)
        .collect();
    list.sort();
    (first, list)
}

/// A value with its parameters, written in other ways, and how likely each is.
fn rewritten(value: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let Ok(text) = std::str::from_utf8(value) else {
        return Vec::new();
    };
    let mut items = split(text).into_iter().map(|item| item.trim().to_owned());
    let kind = items.next().unwrap_or_default();
    let parameters: Vec<String> = items.filter(|item| !item.is_empty()).take(12).collect();
    let mut out: Vec<(u8, String)> = Vec::new();
    let join = |kind: &str, list: &[String], separator: &str| {
        let mut text = kind.to_owned();
        for item in list {
            text.push_str(separator);
            text.push_str(item);
        }
        text
    };
    let map = |how: &dyn Fn(&str) -> String| parameters.iter().map(|p| how(p)).collect::<Vec<_>>();
    let quote = |p: &str| match p.split_once('=') {
        Some((name, value)) => format!("{}=\"{}\"", name.trim(), value.trim().trim_matches('"')),
        None => p.to_owned(),
    };
    let unquote = |p: &str| match p.split_once('=') {
        Some((name, value)) => format!("{}={}", name.trim(), value.trim().trim_matches('"')),
        None => p.to_owned(),
    };
    let case = |p: &str, upper: bool| match p.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            let value = if upper {
                value.to_ascii_uppercase()
            } else {
                value.to_ascii_lowercase()
            };
            format!("{name}={value}")
        }
        _ => p.to_owned(),
    };
    let lower = |p: &str| match p.split_once('=') {
        Some((name, value)) => format!("{}={value}", name.to_ascii_lowercase()),
        None => p.to_owned(),
    };
    let lists = [
        (1, map(&lower)),
        (2, map(&|p| quote(&lower(p)))),
        (2, map(&|p| unquote(&lower(p)))),
        (1, map(&quote)),
        (1, map(&unquote)),
        (1, map(&|p| case(p, true))),
        (1, map(&|p| case(p, false))),
        (2, map(&|p| quote(&case(p, true)))),
        (2, map(&|p| quote(&case(p, false)))),
        (2, map(&|p| unquote(&case(p, true)))),
        (2, map(&|p| unquote(&case(p, false)))),
        (2, parameters.iter().rev().cloned().collect()),
        (1, parameters.clone()),
    ];
    for (cost, list) in &lists {
        for (more, separator) in [(0, "; "), (1, ";"), (1, " ; "), (2, ";  ")] {
            out.push((cost + more, join(&kind, list, separator)));
        }
    }
    for (nth, parameter) in parameters.iter().enumerate() {
        for form in [quote(parameter), unquote(parameter)] {
            let mut list = parameters.clone();
            list[nth] = form;
            out.push((2, join(&kind, &list, "; ")));
        }
        let mut list = parameters.clone();
        list.remove(nth);
        out.push((1, join(&kind, &list, "; ")));
        let mut list = parameters.clone();
        list.rotate_left(nth);
        out.push((3, join(&kind, &list, "; ")));
    }
    for kind in [kind.to_ascii_lowercase(), kind.to_ascii_uppercase()] {
        out.push((2, join(&kind, &parameters, "; ")));
    }
    for more in [
        "format=flowed",
        "charset=utf-8",
        "charset=\"utf-8\"",
        "charset=UTF-8",
        "charset=\"UTF-8\"",
        "charset=us-ascii",
        "charset=\"us-ascii\"",
        "charset=US-ASCII",
        "delsp=yes",
        "format=\"flowed\"",
    ] {
        let mut list = parameters.clone();
        list.push(more.to_owned());
        out.push((2, join(&kind, &list, "; ")));
        let mut list = parameters.clone();
        list.insert(0, more.to_owned());
        out.push((3, join(&kind, &list, "; ")));
    }
    out.into_iter()
        .map(|(cost, text)| (cost, text.into_bytes()))
        .collect()
}

/// The value with another character set.
fn other_charset(value: &[u8]) -> Vec<(u8, Vec<u8>)> {
    const NAMES: [&str; 14] = [
        "utf-8",
        "iso-8859-1",
        "us-ascii",
        "windows-1252",
        "iso-8859-15",
        "iso-8859-2",
        "windows-1250",
        "windows-1251",
        "koi8-r",
        "iso-2022-jp",
        "shift_jis",
        "gb2312",
        "gbk",
        "big5",
    ];
    let lower = value.to_ascii_lowercase();
    let Some(at) = memchr::memmem::find(&lower, b"charset=").map(|at| at + 8) else {
        return Vec::new();
    };
    let rest = &value[at..];
    let quoted = rest.first() == Some(&b'"');
    let inner = &rest[usize::from(quoted)..];
    let len = inner
        .iter()
        .position(|b| matches!(b, b'"' | b';' | b' '))
        .unwrap_or(inner.len());
    let behind = &inner[(len + usize::from(quoted)).min(inner.len())..];
    let mut out = Vec::new();
    let capital = |name: &str| [&name[..1].to_ascii_uppercase(), &name[1..]].concat();
    let forms = |name: &str| [name.to_owned(), name.to_ascii_uppercase(), capital(name)];
    for name in NAMES.into_iter().flat_map(forms) {
        out.push((
            1,
            [
                &value[..at],
                if quoted { b"\"" } else { b"" },
                name.as_bytes(),
                if quoted { b"\"" } else { b"" },
                behind,
            ]
            .concat(),
        ));
        let other: &[u8] = if quoted { b"" } else { b"\"" };
        out.push((
            2,
            [&value[..at], other, name.as_bytes(), other, behind].concat(),
        ));
    }
    out
}

/// The pieces between semicolons that stand in no quotes.
fn split(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        let literal = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && !literal => escaped = true,
            '"' if !literal => quoted = !quoted,
            ';' if !quoted => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        items.last_mut().expect("there is one at least").push(c);
    }
    items
}
