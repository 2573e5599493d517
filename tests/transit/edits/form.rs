//! Fields that say the same as before, written in another form.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, edit};
use crate::coding;
use crate::mail::{Field, Mail};
use crate::random::Random;
use crate::signing::Plan;

const FOLDED: &[Kind] = &[Kind::Refolded, Kind::FieldBlanks];
const BLANKS: &[Kind] = &[Kind::FieldBlanks, Kind::Refolded];

pub(super) const EDITS: [Edit; 10] = [
    edit("fields unfolded", FOLDED, unfolded),
    edit("fields refolded", FOLDED, refolded),
    edit("fold after the colon", FOLDED, folded_first),
    edit("names of fields recased", &[Kind::Recased], recased),
    edit("blanks in fields", BLANKS, blanks),
    edit(
        "long field cut",
        &[Kind::LinesWrapped, Kind::Refolded, Kind::FieldBlanks],
        long_cut,
    ),
    edit("Date rewritten", &[Kind::DateRewritten], date),
    edit(
        "Content-Type rewritten",
        &[Kind::Parameters, Kind::FieldBlanks, Kind::Refolded],
        content_type,
    ),
    edit(
        "Content-Type recased",
        &[Kind::Parameters],
        content_type_case,
    ),
    edit(
        "Content-Transfer-Encoding recased",
        &[Kind::Parameters, Kind::FieldChanged, Kind::TransferEncoding],
        encoding_case,
    ),
];

fn usual(field: &Field) -> bool {
    field.value().starts_with(b" ")
        && !field.value().starts_with(b"  ")
        && !field.raw.ends_with(b" ")
}

/// Folds greedily at blanks, which stay or become `blank`.
fn fold(field: &Field, width: usize, blank: &str) -> Vec<u8> {
    let text = field.text();
    let mut out = format!("{}:", field.name());
    let mut column = out.len();
    for word in text.split(' ') {
        if column + 1 + word.len() > width && column > field.name().len() + 1 {
            out.push_str("\r\n");
            out.push_str(blank);
            column = 1 + word.len();
        } else {
            out.push(' ');
            column += 1 + word.len();
        }
        out.push_str(word);
    }
    out.into_bytes()
}

/// The ways in which headers are folded; nobody folds in one of his own.
fn ways(field: &Field) -> Vec<Vec<u8>> {
    let text = field.text();
    let name = field.name();
    let mut all = vec![format!("{name}: {text}").into_bytes()];
    for width in 72..=80 {
        for blank in [" ", "\t", "        "] {
            all.push(fold(field, width, blank));
        }
    }
    for blank in ["\r\n ", "\r\n\t", "\r\n        "] {
        all.push(
            format!(
                "{name}: {}",
                text.replace(", ", &format!(",{blank}"))
                    .replace("> <", &format!(">{blank}<"))
            )
            .into_bytes(),
        );
        all.push(format!("{name}: {}", text.replace(' ', blank)).into_bytes());
    }
    all
}

/// Whether the form of a field can be found again once its folds are gone.
fn foldable(field: &Field) -> bool {
    // A fold that had a tab or several blanks leaves them behind.
    let bare = Field {
        raw: coding::unfold(&field.raw),
    };
    ways(&bare).contains(&field.raw) || ways(field).contains(&field.raw)
}

fn each(mail: &mut Mail, plan: &Plan, mut change: impl FnMut(&Field) -> Vec<u8>) -> Option<Fate> {
    let mut fate = Undoable;
    let mut changed = false;
    for field in &mut mail.fields {
        let own = field.is("DKIM-Signature");
        if !plan.signs(&field.name()) || own {
            continue;
        }
        let new = change(field);
        if new != field.raw {
            changed = true;
            fate = fate.and(Fate::of(usual(field) && (plan.z || foldable(field))));
            field.raw = new;
        }
    }
    changed.then_some(fate)
}

/// Only the CRLF goes, or the blank behind it becomes a space.
fn unfolded(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let rough = rng.below(2) == 0;
    each(mail, plan, |field| match rough {
        true => coding::unfold(&field.raw),
        false if field.is_folded() => {
            let words: Vec<String> = field.text().split_whitespace().map(str::to_owned).collect();
            format!("{}: {}", field.name(), words.join(" ")).into_bytes()
        }
        false => field.raw.clone(),
    })
}

fn refolded(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let way = rng.below(5);
    let width = *rng.pick(&[72, 76, 78]);
    each(mail, plan, |field| match way {
        0 => fold(field, width, "\t"),
        1 => fold(field, width, " "),
        2 => fold(field, 60, "\t"),
        3 => {
            let text = field.text();
            format!("{}: {}", field.name(), text.replace(", ", ",\r\n ")).into_bytes()
        }
        _ => String::from_utf8_lossy(&field.raw)
            .replace("\r\n\t", "\r\n ")
            .into_bytes(),
    })
}

/// Python and others begin a long value on a line of its own.
fn folded_first(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let least = *rng.pick(&[30, 50]);
    each(mail, plan, |field| {
        let text = field.text();
        match text.len() > least && !field.is_folded() {
            true => format!("{}:\r\n {text}", field.name()).into_bytes(),
            false => field.raw.clone(),
        }
    })
}

fn recased(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let way = rng.below(4);
    let mut changed = false;
    let mut fate = Undoable;
    for field in &mut mail.fields {
        let name = field.name();
        let own = field.is("DKIM-Signature") && way == 1;
        if !plan.signs(&name) && !own {
            continue;
        }
        let new = match way {
            0 => name.to_ascii_lowercase(),
            1 => title(&name),
            2 => name.to_ascii_uppercase(),
            _ => match name.to_ascii_lowercase().as_str() {
                "message-id" if name == "Message-ID" => "Message-Id".to_owned(),
                "message-id" => "Message-ID".to_owned(),
                "mime-version" => "Mime-Version".to_owned(),
                _ => name.clone(),
            },
        };
        if new != name {
            changed = true;
            // Names in capitals are no common form, but they are one form.
            fate = fate.and(Fate::of(
                title(&name) == name
                    || name == "MIME-Version"
                    || name == "Message-ID"
                    || plan.z
                    || own,
            ));
            field.raw.splice(..name.len(), new.into_bytes());
        }
    }
    changed.then_some(fate)
}

/// `Message-Id`, `Mime-Version`.
fn title(name: &str) -> String {
    let words: Vec<String> = name
        .split('-')
        .map(|word| word[..1].to_ascii_uppercase() + &word[1..].to_ascii_lowercase())
        .collect();
    words.join("-")
}

/// Around the colon, between words, and at the end.
fn blanks(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let way = rng.below(5);
    let all = rng.below(2) == 0;
    let mut done = false;
    each(mail, plan, |field| {
        if done && !all {
            return field.raw.clone();
        }
        let (name, text) = (field.name(), field.value().trim_ascii_start().to_vec());
        let new = match way {
            0 => [name.as_bytes(), b":", &text].concat(),
            1 => [name.as_bytes(), b":  ", &text].concat(),
            2 => [&field.raw, &b" "[..]].concat(),
            3 => [name.as_bytes(), b" : ", &text].concat(),
            _ => field
                .raw
                .iter()
                .map(|b| if *b == b'\t' { b' ' } else { *b })
                .collect(),
        };
        done |= new != field.raw;
        new
    })
}

/// References and recipients on one line that is too long for SMTP; in words where relaxed does not bear it.
fn long_cut(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let limit = *rng.pick(&[998, 990, 76]);
    let mut changed = false;
    for field in &mut mail.fields {
        let long = !field.is_folded() && field.raw.len() > limit && plan.signs(&field.name());
        if long && (limit > 900 || !field.raw[limit - 1].is_ascii_whitespace()) {
            field.raw.splice(limit..limit, *b"\r\n ");
            changed = true;
        }
    }
    changed.then_some(Undoable)
}

fn date(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let field = mail.get_mut("Date")?;
    let old = field.text();
    let mut words: Vec<String> = old.split(' ').map(str::to_owned).collect();
    let day = usize::from(words[0].ends_with(','));
    let way = rng.below(5);
    match way {
        // One digit or two.
        0 => {
            let number: usize = words[day].parse().ok()?;
            words[day] = if words[day].starts_with('0') {
                format!("{number}")
            } else {
                format!("{number:02}")
            };
        }
        // Without the zone's name, or with it.
        1 => match words.last()?.starts_with('(') {
            true => drop(words.pop()),
            false if words.last()? == "+0000" => words.push(String::from("(UTC)")),
            false => return None,
        },
        2 => {
            let zone = words.iter_mut().find(|w| *w == "GMT" || *w == "+0000")?;
            *zone = if zone == "GMT" {
                "+0000".into()
            } else {
                "GMT".into()
            };
        }
        // Without the name of the day, or with it.
        3 if day == 1 => drop(words.remove(0)),
        3 => {
            let number: usize = words[0].parse().ok()?;
            let name = ["Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Mon"][(number - 1) % 7];
            words.insert(0, format!("{name},"));
        }
        // In UTC: the zone of the writer is one of few.
        _ => {
            let zone = words.iter().position(|w| w == "+0100")?;
            words[zone] = "+0000".into();
            let hour: usize = words[zone - 1][..2].parse().ok()?;
            let rest = words[zone - 1][2..].to_owned();
            words[zone - 1] = format!("{:02}{rest}", hour.checked_sub(1)?);
        }
    }
    let new = words.join(" ");
    field.set(&new);
    (new != old).then_some(Undoable)
}

fn content_type(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let field = mail.get_mut("Content-Type")?;
    let folded = field.is_folded();
    let old = field.text();
    let mut pieces: Vec<String> = old.split(';').map(|p| p.trim().to_owned()).collect();
    let last = pieces.len() - 1;
    let (name, value) = pieces.get(last).filter(|_| last > 0)?.split_once('=')?;
    match rng.below(4) {
        0 if value.starts_with('"') && !value.contains(['=', ' ', '/']) => {
            pieces[last] = format!("{name}={}", value.trim_matches('"'))
        }
        0 if !value.starts_with('"') => pieces[last] = format!("{name}=\"{value}\""),
        1 if last > 1 => pieces[1..].reverse(),
        2 => pieces[last] = format!("{}={value}", name.to_ascii_uppercase()),
        3 => return some_if(old.contains("; "), || field.set(old.replace("; ", ";"))),
        _ => return None,
    }
    let new = pieces.join(if folded { ";\r\n\t" } else { "; " });
    field.set(&new);
    Some(Undoable)
}

fn some_if(holds: bool, then: impl FnOnce()) -> Option<Fate> {
    holds.then(then).map(|()| Undoable)
}

/// `TEXT/PLAIN; charset=US-ASCII` and the like.
fn content_type_case(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let field = mail.get_mut("Content-Type")?;
    let raw = String::from_utf8(field.raw.clone()).ok()?;
    let colon = raw.find(':')?;
    let end = raw.find(';').unwrap_or(raw.len());
    let kind = &raw[colon..end];
    let new = match rng.below(3) {
        0 => format!(
            "{}{}{}",
            &raw[..colon],
            kind.to_ascii_uppercase(),
            &raw[end..]
        ),
        1 => raw
            .replace("charset=utf-8", "charset=UTF-8")
            .replace("charset=us-ascii", "charset=US-ASCII"),
        _ => raw
            .replace("charset=UTF-8", "charset=utf-8")
            .replace("charset=\"UTF-8\"", "charset=\"utf-8\""),
    };
    let changed = new.as_bytes() != field.raw;
    field.raw = new.into_bytes();
    changed.then_some(Undoable)
}

fn encoding_case(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let field = mail.get_mut("Content-Transfer-Encoding")?;
    let old = field.text();
    let new = match rng.below(2) {
        0 => old.to_ascii_uppercase(),
        _ => old[..1].to_ascii_uppercase() + &old[1..],
    };
    field.set(&new);
    (new != old).then_some(Undoable)
}
