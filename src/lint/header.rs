//! The header: the shape of its lines, which fields there are, and what stands in them.

use super::signatures::lines_of;
use super::{Fault, Finding, Findings, Plan, content, excerpt, names};
use crate::author::Authors;
use crate::header::ONCE;
use crate::message::{Field, Header};

/// RFC 5322 §2.1.1: a line must not have more, without its CRLF.
pub(super) const HARD_LIMIT: u64 = 998;
/// RFC 5322 §2.1.1: a line should not have more.
const SOFT_LIMIT: u64 = 78;
/// Postfix cuts a field here, below its header_size_limit of 102,400.
const FIELD_LIMIT: usize = 60_000;
/// Sendmail: MaxMimeHeaderLength.
const MIME_LIMIT: usize = 2_048;
/// Sendmail: MaxHeadersLength.
const HEADER_LIMIT: usize = 32_768;

pub(super) fn look(header: &Header, plan: &Plan<'_>, findings: &mut Findings) {
    let mut line = plan.options.origin.lines_before + 1;
    let mut recipients = 0;
    for field in header.fields() {
        let at = Place { field, line };
        shape(&at, plan, findings);
        lines(&at, plan, findings);
        value(&at, findings);
        if names::is_of_addresses(field.name()) {
            let count = names::look(&at, findings);
            if field.is("To") || field.is("Cc") {
                recipients += count;
            }
        }
        line += lines_of(field.raw());
    }
    if recipients > MAX_RECIPIENTS {
        findings.add(Fault::ManyRecipients, |f| {
            f.what(format!("there are {recipients} recipients in To and Cc"))
        });
    }
    let size = header.as_bytes().len();
    if size > HEADER_LIMIT {
        findings.add(Fault::HeaderTooLarge, |f| {
            f.what(format!("the header has {size} bytes"))
        });
    }
    let bare = plan.options.origin.bare_lf_in_header;
    if bare > 0 {
        findings.add(Fault::BareLf, |f| {
            let lines = if bare == 1 { "line" } else { "lines" };
            f.what(format!(
                "{bare} {lines} of the header with LF, among others with CRLF"
            ))
        });
    }
    required(header, plan, findings);
    single(header, plan, findings);
    traces(header, plan, findings);
    unsubscribe(header, plan, findings);
    mime_version(header, findings);
}

/// What Microsoft 365 takes unless told otherwise.
const MAX_RECIPIENTS: usize = 500;

/// A field, and the line of the file that it begins on.
pub(super) struct Place<'a> {
    pub(super) field: Field<'a>,
    pub(super) line: u64,
}

impl Place<'_> {
    pub(super) fn of(&self, finding: Finding) -> Finding {
        finding.field(self.field.name()).line(self.line)
    }
}

/// The field as a whole.
fn shape(at: &Place<'_>, plan: &Plan<'_>, findings: &mut Findings) {
    let field = at.field;
    let size = field.raw().len();
    if size > FIELD_LIMIT {
        findings.add(Fault::FieldTooLarge, |f| {
            at.of(f).what(format!("the field has {size} bytes"))
        });
    }
    let mime = field.name().len() > 8 && field.name()[..8].eq_ignore_ascii_case("Content-");
    if mime && size > MIME_LIMIT {
        findings.add(Fault::MimeFieldLong, |f| {
            at.of(f).what(format!("the field has {size} bytes"))
        });
    }
    if field.value_offset() > field.name().len() + 1 {
        findings.add(Fault::SpaceBeforeColon, |f| at.of(f));
    }
    let bare = !matches!(field.value().first(), None | Some(b' ' | b'\t' | b'\r'));
    if bare && plan.simple_header && plan.signs(field.name()) {
        findings.add(Fault::NoSpaceAfterColon, |f| at.of(f));
    }
}

/// Each of its lines.
fn lines(at: &Place<'_>, plan: &Plan<'_>, findings: &mut Findings) {
    let signed = plan.signs(at.field.name());
    let raw = at.field.raw();
    let mut start = 0;
    let mut number = at.line;
    loop {
        // Each LF of a header has a CR before it.
        let lf = memchr::memchr(b'\n', &raw[start..]).map(|lf| start + lf);
        let line = &raw[start..lf.map_or(raw.len(), |lf| lf - 1)];
        let place = |f: Finding| f.field(at.field.name()).line(number);
        let length = line.len() as u64;
        let long = |f: Finding| place(f).what(format!("the line has {length} bytes"));
        if length > HARD_LIMIT {
            findings.add(Fault::HeaderLineTooLong, long);
        } else if length > SOFT_LIMIT && signed {
            findings.add(Fault::HeaderLineLong, long);
        }
        let blank = |b: &u8| matches!(b, b' ' | b'\t');
        if number > at.line && line.iter().all(blank) {
            findings.add(Fault::BlankFold, place);
        } else if plan.simple_header && signed && line.last().is_some_and(blank) {
            findings.add(Fault::HeaderTrailingBlanks, place);
        }
        bytes(line, place, findings);
        let Some(lf) = lf else {
            return;
        };
        start = lf + 1;
        number += 1;
    }
}

/// The bytes of a line of a header, that of a part too.
pub(super) fn bytes(line: &[u8], place: impl Fn(Finding) -> Finding, findings: &mut Findings) {
    if memchr::memchr(0, line).is_some() {
        findings.add(Fault::NulByte, &place);
    }
    if memchr::memchr(b'\r', line).is_some() {
        findings.add(Fault::BareCr, &place);
    }
    let control = |b: &u8| matches!(b, 1..=8 | 11 | 12 | 14..=31 | 127);
    if let Some(byte) = line.iter().copied().find(control) {
        findings.add(Fault::ControlCharacter, |f| {
            let what = format!("the control character 0x{byte:02x} stands in the header");
            place(f).what(what)
        });
    }
    if !line.is_ascii() {
        let fault = match std::str::from_utf8(line) {
            Ok(_) => Fault::Utf8Header,
            Err(_) => Fault::EightBitHeader,
        };
        findings.add(fault, &place);
    }
}

/// What its value says.
fn value(at: &Place<'_>, findings: &mut Findings) {
    let field = at.field;
    let text = unfolded(field.value());
    let text = text.trim_ascii();
    if field.is("Date") && !is_date(text) {
        findings.add(Fault::DateBroken, |f| {
            at.of(f)
                .what(format!("the date \"{}\" cannot be read", excerpt(text)))
        });
    }
    if field.is("Message-ID") && !is_message_id(text) {
        findings.add(Fault::MessageIdBroken, |f| {
            at.of(f)
                .what(format!("\"{}\" is not one <left@right>", excerpt(text)))
        });
    }
    if field.is("Subject") || names::is_of_addresses(field.name()) {
        encoded_words(text, at, findings);
    }
}

/// A value on one line (RFC 5322 §2.2.3).
pub(super) fn unfolded(value: &[u8]) -> Vec<u8> {
    let kept = |b: &&u8| !matches!(b, b'\r' | b'\n');
    value.iter().filter(kept).copied().collect()
}

/// `=?charset?encoding?text?=` (RFC 2047 §2); what does not begin so is ordinary text.
fn encoded_words(text: &[u8], at: &Place<'_>, findings: &mut Findings) {
    let mut rest = text;
    while let Some(start) = memchr::memmem::find(rest, b"=?") {
        rest = &rest[start + 2..];
        let token = |b: &&u8| b.is_ascii_alphanumeric() || b"-_.:+*".contains(*b);
        let charset = rest.iter().take_while(token).count();
        let [b'?', b'B' | b'b' | b'Q' | b'q', b'?', after @ ..] = &rest[charset..] else {
            continue;
        };
        if charset == 0 {
            continue;
        }
        let body = after.iter().take_while(|b| **b != b'?').count();
        let whole = after[body..].starts_with(b"?=");
        let blank = after[..body].iter().any(|b| matches!(b, b' ' | b'\t'));
        if !whole || blank {
            findings.add(Fault::EncodedWordBroken, |f| at.of(f));
        }
        let length = 2 + charset + 3 + body + 2;
        if whole && length > 75 {
            findings.add(Fault::EncodedWordLong, |f| {
                at.of(f)
                    .what(format!("an encoded word has {length} characters"))
            });
        }
        rest = &after[body..];
    }
}

/// `[Sat,] 21 Nov 2026 12:00[:00] +0000`, and the obsolete zones and years (RFC 5322 §3.3 and §4.3).
fn is_date(text: &[u8]) -> bool {
    let Some(text) = without_comments(text) else {
        return false;
    };
    let mut words = text
        .split([',', ' ', '\t'])
        .filter(|w| !w.is_empty())
        .peekable();
    let day = |w: &&str| {
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        days.iter().any(|d| w.eq_ignore_ascii_case(d))
    };
    words.next_if(day);
    let number = |w: &str, low: u32, high: u32| {
        let digits = w.bytes().all(|b| b.is_ascii_digit()) && !w.is_empty();
        digits && w.parse().is_ok_and(|n: u32| (low..=high).contains(&n))
    };
    let month = |w: &str| {
        const MONTHS: &str = "jan feb mar apr may jun jul aug sep oct nov dec";
        let w = w.to_ascii_lowercase();
        w.len() == 3 && MONTHS.split(' ').any(|m| m == w)
    };
    let time = |w: &str| {
        let parts: Vec<&str> = w.split(':').collect();
        let limits = [23, 59, 60];
        let fits = |(part, high): (&&str, u32)| part.len() == 2 && number(part, 0, high);
        matches!(parts.len(), 2 | 3) && parts.iter().zip(limits).all(fits)
    };
    let zone = |w: &str| match w.strip_prefix(['+', '-']) {
        Some(digits) => digits.len() == 4 && number(digits, 0, 9959),
        None => w.len() <= 5 && w.bytes().all(|b| b.is_ascii_alphabetic()),
    };
    let mut next = |fits: &dyn Fn(&str) -> bool| words.next().is_some_and(fits);
    next(&|w| w.len() <= 2 && number(w, 1, 31))
        && next(&month)
        && next(&|w| matches!(w.len(), 2..=4) && number(w, 0, 9999))
        && next(&time)
        && next(&zone)
        && words.next().is_none()
}

/// The text without its comments, in parentheses; none where they do not close or it is not ASCII.
fn without_comments(text: &[u8]) -> Option<String> {
    let mut out = String::new();
    let mut depth = 0u32;
    for byte in text {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            byte if depth == 0 && byte.is_ascii() => out.push(char::from(*byte)),
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    (depth == 0).then_some(out)
}

/// One `<left@right>` (RFC 5322 §3.6.4), with a comment behind it or not.
fn is_message_id(text: &[u8]) -> bool {
    let inner = text.strip_prefix(b"<");
    let Some(end) = inner.and_then(|inner| memchr::memchr(b'>', inner)) else {
        return false;
    };
    let (id, rest) = text[1..].split_at(end);
    let at = memchr::memchr_iter(b'@', id).count();
    let sides = id.first() != Some(&b'@') && id.last() != Some(&b'@');
    let clean = id.iter().all(|b| b.is_ascii_graphic() && *b != b'<');
    let comment = rest[1..].trim_ascii();
    let nothing = comment.is_empty() || comment.starts_with(b"(") && comment.ends_with(b")");
    at == 1 && sides && clean && nothing
}

/// What RFC 5322 §3.6 wants.
fn required(header: &Header, plan: &Plan<'_>, findings: &mut Findings) {
    let present = |name: &str| header.fields().any(|f| f.is(name));
    let authors = Authors::of(header);
    if authors.fields() == 0 {
        findings.add(Fault::FromMissing, |f| f);
    } else if authors.mailboxes() == 0 || !authors.all_have_domains() {
        let line = plan.options.origin.lines_before + line_of(header, "From");
        findings.add(Fault::FromUnreadable, |f| f.field("From").line(line));
    }
    if authors.fields() == 1 && authors.mailboxes() > 1 && !present("Sender") {
        let line = plan.options.origin.lines_before + line_of(header, "From");
        findings.add(Fault::SenderMissing, |f| f.field("From").line(line));
    }
    if !present("Date") {
        findings.add(Fault::DateMissing, |f| f);
    }
    if !present("Message-ID") {
        findings.add(Fault::MessageIdMissing, |f| f);
    }
}

/// The line of the first field of this name, from the top of the header.
pub(super) fn line_of(header: &Header, name: &str) -> u64 {
    let before = header.fields().take_while(|f| !f.is(name));
    1 + before.map(|f| lines_of(f.raw())).sum::<u64>()
}

fn single(header: &Header, plan: &Plan<'_>, findings: &mut Findings) {
    let mut seen = [false; ONCE.len()];
    let mut line = plan.options.origin.lines_before + 1;
    for field in header.fields() {
        if let Some(which) = ONCE.iter().position(|name| field.is(name)) {
            if seen[which] {
                let name = ONCE[which];
                findings.add(Fault::DuplicateField, |f| {
                    f.field(name).line(line).what(format!("a further {name}"))
                });
            }
            seen[which] = true;
        }
        if field.is("Bcc") {
            findings.add(Fault::BccPresent, |f| f.field("Bcc").line(line));
        }
        line += lines_of(field.raw());
    }
}

/// Fields that relays write; in a message that is signed for the first time none should stand.
const TRACES: [&str; 6] = [
    "Return-Path",
    "Received",
    "Delivered-To",
    "X-Original-To",
    "Authentication-Results",
    "ARC-Seal",
];

fn traces(header: &Header, plan: &Plan<'_>, findings: &mut Findings) {
    if !plan.signing() {
        return;
    }
    let mut line = plan.options.origin.lines_before + 1;
    for field in header.fields() {
        if TRACES.iter().any(|name| field.is(name)) {
            findings.add(Fault::TraceField, |f| f.field(field.name()).line(line));
        }
        line += lines_of(field.raw());
    }
}

/// One-click (RFC 8058 §3.1).
fn unsubscribe(header: &Header, plan: &Plan<'_>, findings: &mut Findings) {
    let find = |name: &str| header.fields().find(|f| f.is(name));
    let place = |f: Finding, field: Field<'_>| {
        let line = plan.options.origin.lines_before + line_of(header, field.name());
        f.field(field.name()).line(line)
    };
    let list = find("List-Unsubscribe");
    let https = list.is_some_and(|list| {
        let value = list.value().to_ascii_lowercase();
        memchr::memmem::find(&value, b"https:").is_some()
    });
    match (find("List-Unsubscribe-Post"), list) {
        (Some(post), _) => {
            let text = unfolded(post.value());
            let right = text.trim_ascii() == b"List-Unsubscribe=One-Click";
            if !right || !https {
                findings.add(Fault::OneClickBroken, |f| place(f, post));
            }
        }
        (None, Some(list)) if https => findings.add(Fault::OneClickMissing, |f| place(f, list)),
        (None, _) => {}
    }
}

fn mime_version(header: &Header, findings: &mut Findings) {
    let present = |name: &str| header.fields().any(|f| f.is(name));
    let mime = present("Content-Type") || present("Content-Transfer-Encoding");
    if mime && !present("MIME-Version") {
        findings.add(Fault::MimeVersionMissing, |f| f);
    }
}

/// What the header says of the body.
pub(super) fn entity(header: &Header) -> content::Entity {
    let mut entity = content::Entity::default();
    // The first counts to most readers; a second one is a fault of its own.
    for field in header.fields().rev() {
        entity.take(field.name(), field.value());
    }
    entity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_by_the_grammar() {
        for (text, good) in [
            ("Sat, 21 Nov 2026 12:00:00 +0000", true),
            ("21 Nov 2026 12:00 -0530 (IST)", true),
            ("Sat,21 nov 26 12:00:00 GMT", true),
            ("Sat, 1 Nov 2026 23:59:60 Z", true),
            ("2026-11-21T12:00:00Z", false),
            ("Sat, 21 Nov 2026", false),
            ("Sat, 32 Nov 2026 12:00:00 +0000", false),
            ("Sat, 21 Nov 2026 24:00:00 +0000", false),
            ("Sat, 21 Nov 2026 12:00:00 +00", false),
            ("Sat, 21 Nov 2026 12:00:00", false),
            ("Sat, 21 Nov 2026 12:00:00 +0000 (", false),
            ("Nov 21 12:00:00 2026", false),
            ("Sat, 21 Nov 2026 12:00:00 +0000 x", false),
            ("", false),
        ] {
            assert_eq!(is_date(text.as_bytes()), good, "{text}");
        }
    }

    #[test]
    fn a_message_id_is_one_pair_in_angle_brackets() {
        for (text, good) in [
            ("<a@b>", true),
            ("<a.b$c@[127.0.0.1]>", true),
            ("<a@b> (added by x)", true),
            ("a@b", false),
            ("<a>", false),
            ("<a@b", false),
            ("<a b@c>", false),
            ("<a@b@c>", false),
            ("<a@b> <c@d>", false),
            ("<<a@b>>", false),
            ("<@b>", false),
            ("", false),
        ] {
            assert_eq!(is_message_id(text.as_bytes()), good, "{text}");
        }
    }
}
