//! From with another address, and names before addresses in another form.

use std::ops::Range;
use std::sync::Arc;

use super::Task;
use super::draft::{Draft, is, revalued, unfolded};
use super::encoded;
use super::moves::{Move, Moves};
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

pub(super) fn moves(_: &Task<'_>, draft: &Draft, moves: &mut Moves<'_>) {
    rewritten(draft, moves);
    let mut all: Vec<(Form, u8, Vec<Edit>)> = Vec::new();
    for (at, raw) in &moves.fields.clone() {
        let at = *at;
        if moves.is_full() {
            return;
        }
        if !is_list(raw) || raw.len() > 20_000 {
            continue;
        }
        let list = List::of(raw);
        for (form, cost) in FORMS {
            let edit = Edit::Replace(at, list.written(|item| item.written(*form)));
            if matches!(&edit, Edit::Replace(_, written) if written == raw) {
                continue;
            }
            match all.iter_mut().find(|(known, ..)| known == form) {
                Some((_, _, edits)) => edits.push(edit.clone()),
                None => all.push((*form, *cost, vec![edit.clone()])),
            }
            moves.push(Move::new(Kind::NamesRequoted, *cost, vec![edit]));
        }
        single(at, &list, moves);
    }
    for (_, cost, edits) in all {
        if edits.len() > 1 {
            moves.push(Move::new(Kind::NamesRequoted, cost, edits));
        }
    }
}

/// One mailbox of a list alone, each in a form of its own, other separators, and one mailbox less.
fn single(at: usize, list: &List<'_>, moves: &mut Moves<'_>) {
    let count = list.items.len();
    if count > 40 {
        return;
    }
    for texts in mixed(&list.items) {
        let mut texts = texts.into_iter();
        let raw = list.written(|item| texts.next().unwrap_or_else(|| item.written(Form::AsItIs)));
        let cost = if count == 1 { 1 } else { 2 };
        moves.push(Move::replace(Kind::NamesRequoted, cost, at, raw));
    }
    if count == 1 {
        return;
    }
    for (form, cost) in FORMS {
        for nth in 0..count {
            let raw = list.written_nth(nth, |item| item.written(*form));
            moves.push(Move::replace(Kind::NamesRequoted, cost + 1, at, raw));
        }
    }
    let items: Vec<Vec<u8>> = list.items.iter().map(|item| item.text.clone()).collect();
    for separator in [
        &b","[..],
        b", ",
        b",\r\n\t",
        b",\r\n ",
        b",\r\n        ",
        b",\r\n    ",
        b",\r\n  ",
        b", \r\n ",
        b",  ",
        b" , ",
        b";",
    ] {
        let raw = revalued(list.raw, &items.join(separator));
        moves.push(Move::replace(Kind::FieldBlanks, 2, at, raw));
    }
    // Read as a list and written anew: another separator, and one name in another form.
    for separator in [
        &b", "[..],
        b",\r\n ",
        b",\r\n\t",
        b",\r\n        ",
        b",\r\n    ",
    ] {
        for (form, cost) in FORMS {
            for nth in 0..count {
                let mut items = items.clone();
                items[nth] = list.items[nth].written(*form);
                let raw = revalued(list.raw, &items.join(separator));
                moves.push(Move::replace(Kind::NamesRequoted, cost + 2, at, raw));
            }
            let all: Vec<_> = list.items.iter().map(|item| item.written(*form)).collect();
            let raw = revalued(list.raw, &all.join(separator));
            moves.push(Move::replace(Kind::NamesRequoted, cost + 1, at, raw));
            // A comment stays one, and a name does not go.
            let bare = matches!(form, Form::Bare | Form::Angle);
            let kept = |item: &Item| match item.text.ends_with(b")")
                || bare && !item.mailbox.name.is_empty()
            {
                true => item.text.clone(),
                false => item.written(*form),
            };
            let all: Vec<_> = list.items.iter().map(kept).collect();
            let raw = revalued(list.raw, &all.join(separator));
            moves.push(Move::replace(Kind::NamesRequoted, cost + 1, at, raw));
        }
    }
    for nth in 0..count {
        let mut rest = items.clone();
        rest.remove(nth);
        let raw = revalued(list.raw, &rest.join(&b", "[..]));
        moves.push(Move::replace(Kind::FieldChanged, 2, at, raw).noting("an address was added"));
    }
}

/// A list of mailboxes as it stands in a field.
struct List<'r> {
    raw: &'r [u8],
    items: Vec<Item>,
}

/// A mailbox, and where it stands in its field.
struct Item {
    place: Range<usize>,
    /// Without folds.
    text: Vec<u8>,
    mailbox: Mailbox,
}

impl<'r> List<'r> {
    fn of(raw: &'r [u8]) -> List<'r> {
        let value = super::draft::value(raw);
        let start = raw.len() - value.len();
        let item = |place: Range<usize>| {
            let text = unfolded(&[b":", &value[place.clone()]].concat());
            Item {
                place: start + place.start..start + place.end,
                mailbox: Mailbox::of(&text),
                text,
            }
        };
        List {
            raw,
            items: places(value).into_iter().map(item).collect(),
        }
    }

    /// The field with each mailbox written anew, and all between them as it is.
    fn written(&self, mut how: impl FnMut(&Item) -> Vec<u8>) -> Arc<[u8]> {
        let mut out = Vec::with_capacity(self.raw.len() + 16);
        let mut from = 0;
        for item in &self.items {
            out.extend_from_slice(&self.raw[from..item.place.start]);
            out.extend(how(item));
            from = item.place.end;
        }
        out.extend_from_slice(&self.raw[from..]);
        out.into()
    }

    fn written_nth(&self, nth: usize, how: impl Fn(&Item) -> Vec<u8>) -> Arc<[u8]> {
        let mut at = 0;
        self.written(|item| {
            at += 1;
            match at - 1 == nth {
                true => how(item),
                false => self.raw[item.place.clone()].to_vec(),
            }
        })
    }
}

impl Item {
    fn written(&self, form: Form) -> Vec<u8> {
        self.mailbox.written(form)
    }
}

/// The addresses of a list, without their names.
pub(super) fn addresses(list: &[u8]) -> Vec<Vec<u8>> {
    split(list)
        .iter()
        .map(|item| Mailbox::of(item).address)
        .collect()
}

/// Whether the field holds addresses.
pub(super) fn is_list(raw: &[u8]) -> bool {
    FIELDS.iter().any(|field| is(raw, field))
}

/// Whether a name that is not quoted looks like an address, so that readers may differ about which counts.
pub(super) fn is_ambiguous(list: &[u8]) -> bool {
    split(list).iter().any(|item| {
        let open = item.iter().rposition(|b| *b == b'<').unwrap_or(0);
        let name = item[..open].trim_ascii();
        !name.starts_with(b"\"") && name.iter().any(|b| matches!(b, b'<' | b'>' | b'@'))
    })
}

/// The names of a list as people read them, without quotes and without encoding.
pub(super) fn plain_names(list: &[u8]) -> Vec<Vec<u8>> {
    let plain = |item: &Vec<u8>| {
        let name = Mailbox::of(item).name;
        let name = encoded::decoded(&name).unwrap_or(name);
        let read = |b: &u8| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\\');
        let name: Vec<u8> = name.into_iter().filter(read).collect();
        let single = name.strip_prefix(b"'").and_then(|n| n.strip_suffix(b"'"));
        single.map_or_else(|| name.clone(), <[u8]>::to_vec)
    };
    split(list).iter().map(plain).collect()
}

/// Every mailbox of a list in a form of its own, where there are not too many ways to do that.
fn mixed(items: &[Item]) -> Vec<Vec<Vec<u8>>> {
    const MOST: usize = 3000;
    if items.len() > 8 {
        return Vec::new();
    }
    let mut ways: Vec<Vec<Vec<u8>>> = Vec::new();
    for item in items {
        let mut texts = vec![item.text.clone()];
        for form in [
            Form::Comment,
            Form::Quoted,
            Form::Unquoted,
            Form::Bare,
            Form::Angle,
        ] {
            // A name does not come from nowhere, and goes only as a whole.
            let bare = matches!(form, Form::Bare | Form::Angle);
            if bare != item.mailbox.name.is_empty() {
                continue;
            }
            let text = item.written(form);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        for word in encoded::words(&item.mailbox.name) {
            texts.push([&word, &b" <"[..], &item.mailbox.address, b">"].concat());
        }
        ways.push(texts);
    }
    let count = |ways: &[Vec<Vec<u8>>]| ways.iter().map(Vec::len).product::<usize>();
    if count(&ways) > MOST {
        ways.iter_mut().for_each(|texts| texts.truncate(2));
    }
    if count(&ways) > MOST {
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
fn rewritten(draft: &Draft, moves: &mut Moves<'_>) {
    let kept: Vec<Vec<u8>> = KEPT
        .iter()
        .flat_map(|field| {
            draft
                .named(field)
                .into_iter()
                .rev()
                .take(3)
                .map(|(_, raw)| unfolded(raw))
        })
        .collect();
    let fields = moves.fields.clone();
    for (at, raw) in fields.iter().filter(|(_, raw)| is(raw, "From")) {
        if moves.is_full() {
            return;
        }
        let now = Mailbox::of(&unfolded(raw));
        let mut push = |cost, text: Vec<u8>| {
            moves.push(Move::replace(
                Kind::FromRewritten,
                cost,
                *at,
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
        if self.name.is_empty() && form != Form::Bare {
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
    places(list)
        .into_iter()
        .map(|place| list[place].to_vec())
        .collect()
}

/// Where they stand.
fn places(list: &[u8]) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut from = 0;
    let (mut quoted, mut depth, mut escaped) = (false, 0u32, false);
    let mut push = |from: usize, to: usize| {
        let text = &list[from..to];
        let start = from + (text.len() - text.trim_ascii_start().len());
        places.push(start..(from + text.trim_ascii_end().len()).max(start));
    };
    for (at, byte) in list.iter().enumerate() {
        let literal = std::mem::take(&mut escaped);
        match byte {
            b'\\' if !literal => escaped = true,
            b'"' if !literal && depth == 0 => quoted = !quoted,
            b'(' if !quoted && !literal => depth += 1,
            b')' if !quoted && !literal => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                push(from, at);
                from = at + 1;
            }
            _ => {}
        }
    }
    push(from, list.len());
    places
}
