//! MIME parts that were added, and messages that became parts.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, edit};
use crate::coding;
use crate::footers;
use crate::mail::{Field, Mail};
use crate::random::Random;
use crate::signing::Plan;
use crate::words;

pub(super) const EDITS: [Edit; 3] = [
    edit("part added", &[Kind::PartAdded], part_added),
    edit("attachment added", &[Kind::PartAdded], attachment_added),
    edit("wrapped in multipart/mixed", &[Kind::Wrapped], wrapped),
];

/// As Mailman writes the part of its footer.
fn footer_part(rng: &mut Random) -> String {
    let text = footers::ascii_footer(rng);
    let fields = *rng.pick(&[
        "Content-Type: text/plain; charset=\"us-ascii\"\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\nContent-Disposition: inline\r\n",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "",
        "Content-Type: text/plain; charset=\"utf-8\"\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: inline\r\n",
    ]);
    match fields.contains("base64") {
        true => format!(
            "{fields}\r\n{}",
            String::from_utf8_lossy(&coding::base64(text.as_bytes(), 76))
        ),
        false => format!("{fields}\r\n{text}"),
    }
}

fn part_added(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    if !mail.text("Content-Type").starts_with("multipart/mixed") {
        return None;
    }
    let boundary = mail.boundary()?;
    let part = footer_part(rng);
    let at = match rng.below(3) {
        0 => coding::find(&mail.body, format!("--{boundary}\r\n").as_bytes())?,
        _ => mail.closing()?,
    };
    mail.body
        .splice(at..at, format!("--{boundary}\r\n{part}\r\n").into_bytes());
    Some(Undoable)
}

/// A scanner's report, or a picture for tracking.
fn attachment_added(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let boundary = mail.boundary()?;
    let at = mail.closing()?;
    let bytes: Vec<u8> = (0..200 + rng.below(900))
        .map(|_| rng.next() as u8)
        .collect();
    let code = String::from_utf8(coding::base64(&bytes, 76)).ok()?;
    let name = *rng.pick(&["logo.png", "report.txt", "disclaimer.html"]);
    let part = format!(
        "--{boundary}\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{code}\r\n"
    );
    mail.body.splice(at..at, part.into_bytes());
    Some(Undoable)
}

/// What a list does to which it cannot append: the message becomes the first of two parts, with the Content- fields.
fn wrapped(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let kind = mail.text("Content-Type");
    if kind.is_empty() {
        return None;
    }
    let boundary = match rng.below(2) {
        0 => format!("==============={:019}==", rng.next() >> 1),
        _ => format!("=_mixed {}_=", words::token(rng, 16)),
    };
    let (inner, mut outer): (Vec<Field>, Vec<Field>) = mail
        .fields
        .drain(..)
        .partition(|f| f.name().to_ascii_lowercase().starts_with("content-"));
    let fold = if rng.below(2) == 0 { " " } else { "\r\n\t" };
    let value = format!("multipart/mixed;{fold}boundary=\"{boundary}\"");
    outer.push(Field::new("Content-Type", value));
    if !outer.iter().any(|f| f.is("MIME-Version")) {
        outer.push(Field::new("MIME-Version", "1.0"));
    }
    mail.fields = outer;
    let mut body = Vec::new();
    if rng.below(4) == 0 {
        body.extend_from_slice(b"This is a multi-part message in MIME format.\r\n");
    }
    body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
    for field in &inner {
        body.extend_from_slice(&field.raw);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"\r\n");
    body.extend_from_slice(&mail.body);
    let footer = footer_part(rng);
    body.extend_from_slice(
        format!("\r\n--{boundary}\r\n{footer}\r\n--{boundary}--\r\n").as_bytes(),
    );
    mail.body = body;
    // Of several fields of one name, the order would be gone.
    let once = |name: &str| plan.count(name) < 2 || inner.iter().filter(|f| f.is(name)).count() < 2;
    Some(Fate::of(once("Content-Type")))
}
