//! From with another address, and names before addresses in another form.

use super::draft::{Draft, is, revalued, unfolded};
use super::encoded;
use super::moves::Move;
use crate::explain::header::draft::Edit;
use crate::explain::kind::Kind;

/// The fields that hold addresses.
const FIELDS: [&str; 8] = [
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Sender",
    "Resent-From",
    "Resent-To",
    "Disposition-Notification-To",
];
/// Where lists and gateways keep the address that From had.
const KEPT: [&str; 16] = [
    "Reply-To",
    "X-Original-From",
    "X-Google-Original-From",
    "Original-From",
    "X-From",
    "Old-From",
    "X-Old-From",
    "X-Original-Sender",
    "Sender",
    "Cc",
    "Resent-From",
    "X-Sender",
    "Return-Path",
    "Author",
    "X-Author",
    "Errors-To",
];

pub(super) fn moves(draft: &Draft, moves: &mut Vec<Move>) {
    rewritten(draft, moves);
    let mut all: Vec<(Form, Vec<Edit>)> = Vec::new();
    for (at, raw) in draft.present() {
        if !FIELDS.iter().any(|field| is(raw, field)) || raw.len() > 20_000 {
            continue;
        }
        let text = unfolded(raw);
        let items = split(&text);
        let many = items.len() > 40;
        for (form, cost) in FORMS {
            let joined = join(
                items.iter().map(|item| Mailbox::of(item).written(*form)),
                b", ",
            );
            if joined == text {
                continue;
            }
            let edit = Edit::Replace(at, revalued(raw, &joined));
            match all.iter_mut().find(|(known, _)| known == form) {
                Some((_, edits)) => edits.push(edit.clone()),
                None => all.push((*form, vec![edit.clone()])),
            }
            moves.push(Move::new(Kind::NamesRequoted, *cost, vec![edit]));
            if items.len() < 2 || many {
                continue;
            }
            for nth in 0..items.len() {
                let one = |(at, item): (usize, &Vec<u8>)| match at == nth {
                    true => Mailbox::of(item).written(*form),
                    false => item.clone(),
                };
                let joined = join(items.iter().enumerate().map(one), b", ");
                moves.push(Move::replace(
                    Kind::NamesRequoted,
                    cost + 1,
                    at,
                    revalued(raw, &joined),
                ));
            }
        }
        for texts in mixed(&items) {
            let joined = join(texts.into_iter(), b", ");
            moves.push(Move::replace(
                Kind::NamesRequoted,
                2,
                at,
                revalued(raw, &joined),
            ));
        }
        for separator in [
            &b","[..],
            b",\r\n\t",
            b",\r\n ",
            b", \r\n ",
            b",  ",
            b" , ",
            b";",
        ] {
            let joined = join(items.iter().cloned(), separator);
            if items.len() > 1 {
                moves.push(Move::replace(
                    Kind::FieldBlanks,
                    2,
                    at,
                    revalued(raw, &joined),
                ));
            }
        }
        if items.len() > 1 && !many {
            for nth in 0..items.len() {
                let others = items.iter().enumerate().filter(|(at, _)| *at != nth);
                let joined = join(others.map(|(_, item)| item.clone()), b", ");
                moves.push(
                    Move::replace(Kind::FieldChanged, 2, at, revalued(raw, &joined))
                        .noting("an address was added"),
                );
            }
        }
    }
    for (form, edits) in all {
        if edits.len() > 1 {
            let cost = FORMS
                .iter()
                .find(|(known, _)| *known == form)
                .map_or(2, |(_, cost)| *cost);
            moves.push(Move::new(Kind::NamesRequoted, cost, edits));
        }
    }
}

/// The addresses of a list, without their names.
pub(super) fn addresses(list: &[u8]) -> Vec<Vec<u8>> {
    split(list)
        .iter()
        .map(|item| Mailbox::of(item).address)
        .collect()
}

/// Every mailbox of a list in a form of its own, where there are not too many ways to do that.
fn mixed(items: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    const MOST: usize = 3000;
    if !(2..=8).contains(&items.len()) {
        return Vec::new();
    }
    let mut ways: Vec<Vec<Vec<u8>>> = Vec::new();
    for item in items {
        let mailbox = Mailbox::of(item);
        let mut texts = vec![item.clone()];
        for form in [
            Form::Comment,
            Form::Quoted,
            Form::Unquoted,
            Form::Bare,
            Form::Angle,
        ] {
            // A name does not come from nowhere, and goes only as a whole.
            let bare = matches!(form, Form::Bare | Form::Angle);
            if bare != mailbox.name.is_empty() {
                continue;
            }
            let text = mailbox.written(form);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        ways.push(texts);
    }
    if ways.iter().map(Vec::len).product::<usize>() > MOST {
        ways.iter_mut().for_each(|texts| texts.truncate(2));
    }
    if ways.iter().map(Vec::len).product::<usize>() > MOST {
        return Vec::new();
    }
    let mut lists: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    for texts in ways {
        let with = |list: &Vec<Vec<u8>>, text: &Vec<u8>| {
            [list.as_slice(), std::slice::from_ref(text)].concat()
        };
        lists = lists
            .iter()
            .flat_map(|list| texts.iter().map(move |text| with(list, text)))
            .collect();
    }
    lists
}

/// From as another field has it.
fn rewritten(draft: &Draft, moves: &mut Vec<Move>) {
    let kept: Vec<Vec<u8>> = KEPT
        .iter()
        .flat_map(|field| draft.named(field).into_iter().map(|(_, raw)| unfolded(raw)))
        .collect();
    for (at, raw) in draft.present().filter(|(_, raw)| is(raw, "From")) {
        let now = Mailbox::of(&unfolded(raw));
        let mut push = |cost, text: Vec<u8>| {
            moves.push(Move::replace(
                Kind::FromRewritten,
                cost,
                at,
                revalued(raw, &text),
            ));
        };
        for value in &kept {
            push(1, value.clone());
            for item in split(value) {
                let then = Mailbox::of(&item);
                push(1, item.clone());
                let mut names = names_before(&now.name);
                names.extend(names_before(&then.name));
                for name in names {
                    for form in [
                        Form::AsItIs,
                        Form::Quoted,
                        Form::Unquoted,
                        Form::Comment,
                        Form::EncodedQ,
                        Form::EncodedB,
                    ] {
                        let mailbox = Mailbox {
                            name: name.clone(),
                            address: then.address.clone(),
                            angle: true,
                        };
                        push(
                            if matches!(form, Form::AsItIs | Form::Quoted | Form::Unquoted) {
                                1
                            } else {
                                2
                            },
                            mailbox.written(form),
                        );
                    }
                }
                for form in [Form::Bare, Form::Angle] {
                    push(1, then.written(form));
                }
            }
        }
        // The address may stand in the name: "anna at example.com via List".
        for name in names_before(&now.name) {
            let text = String::from_utf8_lossy(&name).into_owned();
            for address in [
                text.replace(" at ", "@"),
                text.replace("=", "@"),
                text.clone(),
            ] {
                let address = address.trim_matches(['"', '\'', '<', '>']).to_owned();
                if address.contains('@') && !address.contains(' ') {
                    push(2, address.clone().into_bytes());
                    push(2, format!("<{address}>").into_bytes());
                }
                if let Some((name, address)) = address.rsplit_once(" - ") {
                    push(2, format!("{name} <{address}>").into_bytes());
                    push(2, format!("\"{name}\" <{address}>").into_bytes());
                }
            }
        }
    }
}

/// What a name may have been before a list put itself behind it.
fn names_before(name: &[u8]) -> Vec<Vec<u8>> {
    let mut out = vec![name.to_vec()];
    let decoded = encoded::decoded(name).unwrap_or_else(|| name.to_vec());
    let text = String::from_utf8_lossy(&decoded).into_owned();
    let bare = text.trim().trim_matches('"').to_owned();
    let mut push = |text: &str| {
        let text = text.trim();
        for text in [text, text.trim_matches('\''), text.trim_matches('"')] {
            if !text.is_empty() && !out.iter().any(|known| known == text.as_bytes()) {
                out.push(text.as_bytes().to_vec());
            }
        }
    };
    push(&bare);
    for mark in [
        " via ",
        " (via ",
        " [via ",
        " über ",
        " por ",
        " par ",
        " on behalf of ",
        " - ",
        " (",
        " [",
        " | ",
        ", via ",
        " @ ",
        "/",
    ] {
        if let Some((before, _)) = bare.split_once(mark) {
            push(before);
        }
        if let Some((before, behind)) = bare.rsplit_once(mark) {
            push(before);
            if mark == " on behalf of " {
                push(behind.trim_end_matches(')'));
            }
        }
    }
    out
}

/// A mailbox: what stands before the address, and the address.
#[derive(Debug, Clone)]
struct Mailbox {
    /// Without its quotes and escapes.
    name: Vec<u8>,
    address: Vec<u8>,
    /// Whether it stands in angle brackets.
    angle: bool,
}

/// A way to write a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    AsItIs,
    Quoted,
    Unquoted,
    /// Quotes where there is a special alone.
    Needed,
    /// 'name', in quotes.
    Single,
    /// address (name)
    Comment,
    Bare,
    Angle,
    /// No space before the angle bracket.
    Close,
    EncodedQ,
    EncodedB,
    /// Non-ASCII text as it is.
    Raw,
    /// As it is, in quotes.
    RawQuoted,
    LatinQ,
    LatinB,
}

const FORMS: &[(Form, u8)] = &[
    (Form::Quoted, 1),
    (Form::Unquoted, 1),
    (Form::Needed, 1),
    (Form::Bare, 1),
    (Form::Angle, 2),
    (Form::Single, 2),
    (Form::Comment, 2),
    (Form::Close, 2),
    (Form::EncodedQ, 1),
    (Form::EncodedB, 1),
    (Form::Raw, 2),
    (Form::RawQuoted, 2),
    (Form::LatinQ, 2),
    (Form::LatinB, 3),
];

impl Mailbox {
    fn of(item: &[u8]) -> Mailbox {
        let item = item.trim_ascii();
        if let (Some(open), true) = (item.iter().rposition(|b| *b == b'<'), item.ends_with(b">")) {
            return Mailbox {
                name: unquoted(item[..open].trim_ascii()),
                address: item[open + 1..item.len() - 1].trim_ascii().to_vec(),
                angle: true,
            };
        }
        if let (Some(open), true) = (item.iter().position(|b| *b == b'('), item.ends_with(b")")) {
            return Mailbox {
                name: item[open + 1..item.len() - 1].to_vec(),
                address: item[..open].trim_ascii().to_vec(),
                angle: false,
            };
        }
        Mailbox {
            name: Vec::new(),
            address: item.to_vec(),
            angle: false,
        }
    }

    fn written(&self, form: Form) -> Vec<u8> {
        let angle = [b"<", self.address.as_slice(), b">"].concat();
        if form == Form::Angle && self.name.is_empty() {
            return angle;
        }
        if form == Form::Bare {
            return self.address.clone();
        }
        if self.name.is_empty() {
            return if self.angle || form == Form::Angle {
                angle
            } else {
                self.address.clone()
            };
        }
        let name = match form {
            Form::AsItIs | Form::Unquoted => self.name.clone(),
            Form::Needed if !needs_quotes(&self.name) => self.name.clone(),
            Form::Close if !needs_quotes(&self.name) => self.name.clone(),
            Form::Quoted | Form::Needed | Form::Close => quoted(&self.name),
            Form::Single => quoted(&[b"'", self.name.as_slice(), b"'"].concat()),
            Form::Angle => return angle,
            Form::Bare => return self.address.clone(),
            Form::Comment => return [&self.address, &b" ("[..], &self.name, b")"].concat(),
            Form::EncodedQ => encoded::word(&self.name, "utf-8", true),
            Form::EncodedB => encoded::word(&self.name, "utf-8", false),
            Form::LatinQ => encoded::word(&self.name, "iso-8859-1", true),
            Form::LatinB => encoded::word(&self.name, "iso-8859-1", false),
            Form::Raw => encoded::decoded(&self.name).unwrap_or_else(|| self.name.clone()),
            Form::RawQuoted => {
                quoted(&encoded::decoded(&self.name).unwrap_or_else(|| self.name.clone()))
            }
        };
        let gap = if form == Form::Close { &b""[..] } else { b" " };
        [&name, gap, &angle].concat()
    }
}

fn needs_quotes(name: &[u8]) -> bool {
    let special = |b: &u8| {
        matches!(
            b,
            b'(' | b')'
                | b'<'
                | b'>'
                | b'['
                | b']'
                | b':'
                | b';'
                | b'@'
                | b'\\'
                | b','
                | b'.'
                | b'"'
        )
    };
    name.iter().any(special)
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
    out
}

fn unquoted(text: &[u8]) -> Vec<u8> {
    let Some(inner) = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")) else {
        return text.to_vec();
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next()),
            _ => out.push(*byte),
        }
    }
    out
}

/// The mailboxes of a list, each without the white space around it.
fn split(list: &[u8]) -> Vec<Vec<u8>> {
    let mut items = vec![Vec::new()];
    let (mut quoted, mut depth, mut escaped) = (false, 0u32, false);
    for byte in list {
        let literal = std::mem::take(&mut escaped);
        match byte {
            b'\\' if !literal => escaped = true,
            b'"' if !literal && depth == 0 => quoted = !quoted,
            b'(' if !quoted && !literal => depth += 1,
            b')' if !quoted && !literal => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                items.push(Vec::new());
                continue;
            }
            _ => {}
        }
        items.last_mut().expect("there is one at least").push(*byte);
    }
    items
        .iter()
        .map(|item| item.trim_ascii().to_vec())
        .collect()
}

fn join(items: impl Iterator<Item = Vec<u8>>, separator: &[u8]) -> Vec<u8> {
    items.collect::<Vec<_>>().join(separator)
}
