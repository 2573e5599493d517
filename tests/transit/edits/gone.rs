//! Edits that take something away which stands nowhere else: what can be proven is that the rest is as it was.

use dkimkit::explain::Kind;

use super::Fate::{self, Lost};
use super::{Edit, edit};
use crate::coding;
use crate::mail::Mail;
use crate::random::Random;
use crate::signing::Plan;
use crate::words;

const VALUE: &[Kind] = &[
    Kind::FieldChanged,
    Kind::FromRewritten,
    Kind::SubjectTagged,
    Kind::DateRewritten,
    Kind::NamesRequoted,
    Kind::EncodedWords,
];

pub(super) const EDITS: [Edit; 8] = [
    edit("text taken away", &[], text_taken),
    edit("words replaced", &[], words_replaced),
    edit("attachment taken away", &[], attachment_taken),
    edit("text wrapped anew", &[], wrapped_anew),
    edit("body cut off", &[], cut_off),
    edit("Subject replaced", VALUE, |rng, mail, plan| {
        replaced(rng, mail, plan, "Subject")
    }),
    edit("another value", VALUE, another_value),
    edit("From replaced", VALUE, |rng, mail, plan| {
        replaced(rng, mail, plan, "From")
    }),
];

fn text_taken(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaf = mail
        .leaves()
        .into_iter()
        .find(|l| l.kind == "text/plain" && l.encoding != "base64")?;
    let text = &mail.body[leaf.content.clone()];
    let ends: Vec<usize> = (0..text.len())
        .filter(|at| text[*at..].starts_with(b"\r\n"))
        .collect();
    let wanted = (ends.len() > 3).then(|| rng.below(ends.len() - 2))?;
    let (from, to) = (
        leaf.content.start + ends[wanted] + 2,
        leaf.content.start + ends[wanted + 1] + 2,
    );
    // An empty line could be guessed.
    if to - from < 12 {
        return None;
    }
    mail.body.drain(from..to);
    Some(Lost)
}

fn words_replaced(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaf = mail
        .leaves()
        .into_iter()
        .find(|l| l.kind.starts_with("text/") && l.encoding != "base64")?;
    let text = String::from_utf8(mail.body[leaf.content.clone()].to_vec()).ok()?;
    let long = |word: &&str| word.len() > 5 && word.bytes().all(|b| b.is_ascii_alphabetic());
    let words: Vec<&str> = text.split([' ', '\r', '\n']).filter(long).collect();
    if words.is_empty() {
        return None;
    }
    let word = *rng.pick(&words);
    let mark = *rng.pick(&["[removed]", "*****", "XXXX"]);
    let new = text.replace(word, mark);
    mail.body.splice(leaf.content.clone(), new.into_bytes());
    Some(Lost)
}

/// A note in its place, as virus scanners leave it.
fn attachment_taken(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaf = mail
        .leaves()
        .into_iter()
        .find(|l| l.kind.starts_with("application/"))?;
    let note = "Content-Type: text/plain; charset=us-ascii\r\n";
    let text = format!(
        "\r\nAn attachment was taken out of this message ({}).",
        words::token(rng, 8)
    );
    mail.body.splice(
        leaf.header.start..leaf.content.end,
        format!("{note}{text}").into_bytes(),
    );
    Some(Lost)
}

fn wrapped_anew(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaf = mail
        .leaves()
        .into_iter()
        .find(|l| l.is_whole() && matches!(l.encoding.as_str(), "7bit" | "8bit"))?;
    let text = String::from_utf8(mail.body[leaf.content.clone()].to_vec()).ok()?;
    let width = *rng.pick(&[50, 58, 64]);
    let paragraphs: Vec<String> = text
        .split("\r\n\r\n")
        .map(|p| words::wrapped(&p.replace("\r\n", " "), width).join("\r\n"))
        .collect();
    let new = paragraphs.join("\r\n\r\n");
    let lines = |text: &str| text.lines().count();
    // Where few lines were joined, the places could be tried.
    let far = lines(&new) > lines(&text) + 2 || lines(&text) > 12;
    mail.body = new.into_bytes();
    far.then_some(Lost)
}

fn cut_off(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let len = mail.body.len();
    let keep = len.checked_sub(60)? / (2 + rng.below(3));
    let keep = coding::rfind(&mail.body[..keep], b"\r\n")? + 2;
    mail.body.truncate(keep);
    Some(Lost)
}

fn replaced(rng: &mut Random, mail: &mut Mail, plan: &Plan, name: &str) -> Option<Fate> {
    let new = match name {
        "From" => format!(
            "{} <{}@other.example>",
            words::token(rng, 5),
            words::token(rng, 9)
        ),
        _ => format!("Quarantine notice {}", words::token(rng, 6)),
    };
    mail.get_mut(name)?.set(new);
    plan.signs(name).then_some(Fate::by_z(plan, name))
}

fn another_value(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let (name, value) = match rng.below(5) {
        0 => (
            "Message-ID",
            format!("<{}@relay.example>", words::token(rng, 22)),
        ),
        1 => ("To", "undisclosed-recipients:;".to_owned()),
        2 => ("Date", "Sat, 19 Dec 2026 03:04:05 +0000".to_owned()),
        3 => (
            "References",
            format!("<{}@relay.example>", words::token(rng, 22)),
        ),
        _ => ("Cc", format!("{}@other.example", words::token(rng, 7))),
    };
    if !plan.signs(name) {
        return None;
    }
    mail.get_mut(name)?.set(value);
    Some(Fate::by_z(plan, name))
}
