//! What lists and mail servers do to addresses and the names before them.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, edit};
use crate::coding;
use crate::mail::Mail;
use crate::random::Random;
use crate::signing::Plan;

const NAMES: &[Kind] = &[Kind::NamesRequoted];

pub(super) const EDITS: [Edit; 6] = [
    edit("From of the list, Reply-To", &[Kind::FromRewritten], munged),
    edit(
        "From of the list, X-Original-From",
        &[Kind::FromRewritten],
        munged_with_copy,
    ),
    edit(
        "From of the list, name and address apart",
        &[Kind::FromRewritten],
        munged_apart,
    ),
    edit("names requoted", NAMES, requoted),
    edit(
        "addresses in another form",
        &[Kind::NamesRequoted, Kind::FieldChanged],
        other_form,
    ),
    edit(
        "names encoded anew",
        &[Kind::EncodedWords, Kind::NamesRequoted],
        encoded_anew,
    ),
];

/// An address as it was written, in its pieces.
struct Mailbox {
    name: String,
    address: String,
    form: Form,
}

#[derive(PartialEq)]
enum Form {
    Bare,
    Angle,
    Atoms,
    Quoted,
    Encoded,
    Comment,
}

fn split(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        match c {
            ',' if !quoted => out.push(String::new()),
            _ => out.last_mut().expect("there is one").push(c),
        }
    }
    out.iter().map(|one| one.trim().to_owned()).collect()
}

fn read(text: &str) -> Mailbox {
    let (name, address, form) = match (text.find('<'), text.find('(')) {
        (Some(0), _) => ("", text.trim_matches(['<', '>']), Form::Angle),
        (Some(at), _) => {
            let name = text[..at].trim();
            let form = match name.chars().next() {
                Some('"') => Form::Quoted,
                _ if name.starts_with("=?") => Form::Encoded,
                _ => Form::Atoms,
            };
            (
                name.trim_matches('"'),
                text[at + 1..].trim_end_matches('>'),
                form,
            )
        }
        (None, Some(at)) => (
            text[at + 1..].trim_end_matches(')'),
            text[..at].trim(),
            Form::Comment,
        ),
        (None, None) => ("", text, Form::Bare),
    };
    Mailbox {
        name: name.to_owned(),
        address: address.to_owned(),
        form,
    }
}

/// As programs write an address that know name and address of it (Python's formataddr).
fn formatted(name: &str, address: &str) -> String {
    match name {
        "" => address.to_owned(),
        name if name.contains([',', '.', '(', ')', '@', ':', ';', '\'']) => {
            format!("\"{name}\" <{address}>")
        }
        name => format!("{name} <{address}>"),
    }
}

/// Mailman: name and address of the list, and the author in Reply-To or Cc.
fn munged(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let old = mail.text("From");
    let mailbox = read(&old);
    let shown = match mailbox.form {
        Form::Bare | Form::Angle => mailbox.address.split('@').next()?.to_owned(),
        Form::Encoded => coding::unword(&mailbox.name)?,
        _ => mailbox.name.clone(),
    };
    let new = match rng.below(3) {
        0 => format!("{shown} via Kitchen"),
        1 => format!("\"{shown} via Kitchen\""),
        _ => format!("'{shown}' via Kitchen"),
    };
    let new = if new.is_ascii() {
        new
    } else {
        coding::word_q(new.trim_matches('"'), "utf-8")
    };
    mail.get_mut("From")?
        .set(format!("{new} <kitchen@lists.example>"));
    let copy = if rng.below(2) == 0 {
        old.clone()
    } else {
        formatted(&mailbox.name, &mailbox.address)
    };
    let name = if rng.below(4) == 0 { "Cc" } else { "Reply-To" };
    match mail.get_mut(name) {
        Some(field) => {
            let before = field.text();
            field.set(format!("{before}, {copy}"));
        }
        None => mail.push(name, &copy),
    }
    Some(Undoable)
}

/// Google Groups and Sympa keep the old field under another name.
fn munged_with_copy(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let old = mail.text("From");
    let mailbox = read(&old);
    let shown = if mailbox.name.is_empty() {
        mailbox.address.clone()
    } else {
        mailbox.name.clone()
    };
    let shown = coding::unword(&shown).unwrap_or(shown);
    let name = *rng.pick(&[
        "X-Original-From",
        "X-Original-From",
        "Original-From",
        "X-Google-Original-From",
    ]);
    let value = format!("'{shown}' via Kitchen");
    let value = if value.is_ascii() {
        format!("\"{value}\"")
    } else {
        coding::word_b(&value, "UTF-8")
    };
    mail.get_mut("From")?
        .set(format!("{value} <kitchen@groups.example>"));
    mail.push_front(name, &old);
    Some(Undoable)
}

/// The name is left in From, and the address in a field of its own.
fn munged_apart(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let mailbox = read(&mail.text("From"));
    let name = match mailbox.form {
        Form::Atoms | Form::Quoted => format!("\"{} via Kitchen\"", mailbox.name),
        _ => return None,
    };
    mail.get_mut("From")?
        .set(format!("{name} <kitchen@groups.example>"));
    match rng.below(3) {
        0 => mail.push("X-Original-Sender", &mailbox.address),
        1 if mail.count("Reply-To") == 0 => mail.push("Reply-To", format!("<{}>", mailbox.address)),
        _ => mail.push_front("Return-Path", format!("<{}>", mailbox.address)),
    }
    Some(Undoable)
}

/// Writes the addresses of one field, or of all, anew; each of them by `write`.
fn each_address(
    rng: &mut Random,
    mail: &mut Mail,
    mut write: impl FnMut(&Mailbox) -> Option<String>,
) -> Option<Fate> {
    let all = rng.below(2) == 0;
    let mut changed = 0;
    for name in ["From", "To", "Cc", "Reply-To"] {
        let Some(field) = mail.get_mut(name).filter(|_| all || changed == 0) else {
            continue;
        };
        let mut differs = false;
        let new: Vec<String> = split(&field.text())
            .iter()
            .map(|one| match write(&read(one)) {
                Some(new) => {
                    differs |= new != *one;
                    new
                }
                None => one.clone(),
            })
            .collect();
        if !differs {
            continue;
        }
        changed += 1;
        let fold = if coding::find(&field.raw, b",\r\n\t").is_some() {
            ",\r\n\t"
        } else {
            ", "
        };
        let fold = if coding::find(&field.raw, b",\r\n ").is_some() {
            ",\r\n "
        } else {
            fold
        };
        field.set(new.join(fold));
    }
    (changed > 0).then_some(Undoable)
}

fn requoted(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let quote = rng.below(2) == 0;
    each_address(rng, mail, |one| match one.form {
        Form::Atoms if quote => Some(format!("\"{}\" <{}>", one.name, one.address)),
        Form::Quoted if !quote && !one.name.contains([',', '.']) => {
            Some(format!("{} <{}>", one.name, one.address))
        }
        _ => None,
    })
}

/// `<a@b>` and `a@b`, and names in comments.
fn other_form(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let way = rng.below(2);
    each_address(rng, mail, |one| match (way, &one.form) {
        (0, Form::Bare) => Some(format!("<{}>", one.address)),
        (_, Form::Angle) => Some(one.address.clone()),
        (_, Form::Comment) => Some(formatted(&one.name, &one.address)),
        _ => None,
    })
}

fn encoded_anew(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let way = rng.below(4);
    each_address(rng, mail, |one| {
        let name = coding::unword(&one.name).filter(|_| one.form == Form::Encoded)?;
        Some(match way {
            0 => format!("{} <{}>", coding::word_q(&name, "utf-8"), one.address),
            1 => format!("{} <{}>", coding::word_b(&name, "UTF-8"), one.address),
            2 => format!("\"{name}\" <{}>", one.address),
            _ => format!("{name} <{}>", one.address),
        })
    })
}
