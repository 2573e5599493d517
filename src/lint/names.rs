//! The names and addresses in fields that hold mailboxes, and how mail systems write them anew.
//!
//! The field is cut at its commas without asking whether it is right; what it says is read elsewhere
//! ([`Authors`](crate::author::Authors)). Here only its spelling counts (RFC 5322 §3.4).

use super::header::{Place, unfolded};
use super::{Fault, Findings, excerpt};

/// Fields that hold mailboxes.
const FIELDS: [&str; 10] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
];

pub(super) fn is_of_addresses(name: &str) -> bool {
    FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// Looks at each mailbox; returns how many addresses there are.
pub(super) fn look(at: &Place<'_>, findings: &mut Findings) -> usize {
    let text = unfolded(at.field.value());
    // RFC 5322 §3.6.3 lets Bcc alone be empty.
    if text.trim_ascii().is_empty() {
        if !at.field.is("Bcc") {
            findings.add(Fault::EmptyField, |f| at.of(f));
        }
        return 0;
    }
    let mut count = 0;
    for item in items(&text) {
        if item.ends_group && item.pieces.is_empty() {
            continue;
        }
        count += usize::from(item.address);
        mailbox(&item, at, findings);
    }
    count
}

/// One mailbox, in pieces.
#[derive(Debug, Default)]
struct Item<'a> {
    /// What stands before the angle bracket, or all of it.
    pieces: Vec<Piece<'a>>,
    /// Whether there are angle brackets.
    angle: bool,
    /// Whether there is an address with a domain.
    address: bool,
    ends_group: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Bare(&'a [u8]),
    Quoted(&'a [u8]),
}

/// So many pieces of a name are looked at.
const MAX_PIECES: usize = 100;

fn mailbox(item: &Item<'_>, at: &Place<'_>, findings: &mut Findings) {
    if !item.address {
        let shown = item.pieces.first().map(|piece| match piece {
            Piece::Bare(text) | Piece::Quoted(text) => excerpt(text),
        });
        findings.add(Fault::AddressWithoutDomain, |f| {
            let shown = shown.unwrap_or_default();
            let what = format!("the address \"{shown}\" has no domain, or is a piece of a name");
            at.of(f).what(what)
        });
    }
    if !item.angle {
        return;
    }
    let mut special = None;
    let mut apostrophe = false;
    for piece in &item.pieces {
        match piece {
            Piece::Bare(text) => {
                special = special.or_else(|| text.iter().copied().find(is_special));
                apostrophe |= text.contains(&b'\'');
            }
            Piece::Quoted(text) if is_encoded(text) => {
                findings.add(Fault::EncodedWordQuoted, |f| at.of(f));
            }
            Piece::Quoted(_) => {}
        }
    }
    if let Some(special) = special {
        findings.add(Fault::NameUnquoted, |f| {
            let special = char::from(special);
            at.of(f).what(format!(
                "a name has a `{special}`, but is not written in quotes"
            ))
        });
    } else if apostrophe {
        findings.add(Fault::NameApostrophe, |f| at.of(f));
    }
    if let [Piece::Quoted(text)] = item.pieces.as_slice()
        && is_plain(text)
        && !is_encoded(text)
    {
        findings.add(Fault::NameNeedlesslyQuoted, |f| {
            let what = format!("the name \"{}\" needs no quotes", excerpt(text));
            at.of(f).what(what)
        });
    }
}

/// The specials of RFC 5322 §3.2.3 that may reach here; the others cut the field.
fn is_special(byte: &u8) -> bool {
    b".@[]:\\)".contains(byte)
}

fn is_encoded(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"=?").is_some_and(|at| {
        let rest = &text[at + 2..];
        memchr::memmem::find(rest, b"?=").is_some() && rest.contains(&b'?')
    })
}

/// Words of atoms with a space between any two.
fn is_plain(text: &[u8]) -> bool {
    let atext =
        |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&*+-/=?^_`{|}~".contains(b) || *b >= 0x80;
    let word = |word: &[u8]| !word.is_empty() && word.iter().all(atext);
    text.split(|b| *b == b' ').all(word)
}

/// Cuts a list of mailboxes at what separates them.
fn items(text: &[u8]) -> impl Iterator<Item = Item<'_>> {
    let mut rest = text;
    let mut done = false;
    let group = memchr::memchr(b';', text).is_some();
    std::iter::from_fn(move || {
        while !done {
            let mut item = Item::default();
            let (read, more) = one(rest, group, &mut item);
            rest = &rest[read..];
            done = !more;
            // RFC 5322 §4.4 lets commas stand without anything between.
            let empty = item.pieces.is_empty() && !item.angle;
            if !empty || item.ends_group && item.address {
                return Some(item);
            }
        }
        None
    })
}

/// Reads one mailbox; returns how much was read, and whether more may follow.
fn one<'a>(text: &'a [u8], group: bool, item: &mut Item<'a>) -> (usize, bool) {
    let mut at = 0;
    let mut bare = None;
    let mut in_angle = false;
    loop {
        let byte = text.get(at).copied();
        let cuts = matches!(
            byte,
            None | Some(b'"' | b'(' | b'<' | b',' | b';' | b' ' | b'\t')
        ) || byte == Some(b':') && group && !in_angle;
        if !cuts {
            in_angle &= byte != Some(b'>');
            item.address |= byte == Some(b'@');
            if !item.angle {
                bare.get_or_insert(at);
            }
            at += 1;
            continue;
        }
        if let Some(start) = bare.take() {
            push(item, Piece::Bare(&text[start..at]));
        }
        match byte {
            None => return (at, false),
            Some(b'"') => {
                let end = quoted(&text[at..]);
                if !item.angle {
                    let inner = &text[at + 1..at + end];
                    push(
                        item,
                        Piece::Quoted(inner.strip_suffix(b"\"").unwrap_or(inner)),
                    );
                }
                at += end;
            }
            Some(b'(') => at += comment(&text[at..]),
            Some(b'<') => {
                item.angle = true;
                in_angle = true;
                at += 1;
            }
            Some(b',') if !in_angle => return (at + 1, true),
            Some(b';') if !in_angle => {
                item.ends_group = true;
                return (at + 1, true);
            }
            // What stood before is the name of a group.
            Some(b':') => {
                *item = Item::default();
                at += 1;
            }
            Some(_) => at += 1,
        }
    }
}

fn push<'a>(item: &mut Item<'a>, piece: Piece<'a>) {
    if item.pieces.len() < MAX_PIECES {
        item.pieces.push(piece);
    }
}

/// The length of a quoted string with its quotes.
fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of a comment with its parentheses, and those within it.
fn comment(text: &[u8]) -> usize {
    let mut depth = 0u32;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at.min(text.len());
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Header, HeaderLimits};

    fn words(value: &str) -> Vec<&'static str> {
        let header = format!("To: {value}\r\n");
        let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
        let place = Place {
            field: header.field(0),
            line: 1,
        };
        let mut findings = Findings::default();
        look(&place, &mut findings);
        findings.list.iter().map(|f| f.word()).collect()
    }

    #[test]
    fn names_that_are_written_anew_are_known() {
        for (value, want) in [
            ("a@b.example", &[][..]),
            ("Anna Smith <a@b.example>", &[]),
            ("<a@b.example>, c@d.example (a name)", &[]),
            ("\"Dr. Anna\" <a@b.example>", &[]),
            ("\"Smith, Anna\" <a@b.example>", &[]),
            ("\"a \\\"b\\\" c\" <a@b.example>", &[]),
            ("=?utf-8?Q?J=2E?= <a@b.example>", &[]),
            ("undisclosed-recipients:;", &[]),
            ("Team: a@b.example, C D <c@d.example>;", &[]),
            ("a@b.example,, c@d.example", &[]),
            ("\"q. q\"@b.example", &[]),
            ("<a@[IPv6:::1]>", &[]),
            ("Dr. Anna <a@b.example>", &["name-unquoted"]),
            ("a@b.example <a@b.example>", &["name-unquoted"]),
            ("[x] Anna <a@b.example>", &["name-unquoted"]),
            ("Re: Anna <a@b.example>", &["name-unquoted"]),
            ("\"J\" R. Smith <a@b.example>", &["name-unquoted"]),
            ("Pat O'Neil <a@b.example>", &["name-apostrophe"]),
            ("\"Anna Smith\" <a@b.example>", &["name-needlessly-quoted"]),
            (
                "\"=?utf-8?Q?J=2E?=\" <a@b.example>",
                &["encoded-word-quoted"],
            ),
            ("root", &["address-without-domain"]),
            ("Anna <root>", &["address-without-domain"]),
            ("Smith, Anna <a@b.example>", &["address-without-domain"]),
            ("", &["empty-field"]),
        ] {
            assert_eq!(words(value), want, "{value}");
        }
    }

    #[test]
    fn the_time_is_linear_in_the_field() {
        for unit in ["a@b,", "(", "\"", "<", "\\", ";", ":", "a ", "\"a\" ", ",;"] {
            let value = unit.repeat(300_000 / unit.len());
            let header = format!("To: {value}\r\n");
            let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
            let place = Place {
                field: header.field(0),
                line: 1,
            };
            let mut findings = Findings::default();
            look(&place, &mut findings);
            assert!(findings.list.len() <= 10, "{unit}");
        }
    }
}
