//! What befalls the DKIM-Signature field itself.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, edit};
use crate::coding;
use crate::mail::{Field, Mail};
use crate::random::Random;
use crate::signing::Plan;

pub(super) const EDITS: [Edit; 4] = [
    edit(
        "signature field refolded",
        &[Kind::Refolded, Kind::FieldBlanks, Kind::SignatureDamaged],
        refolded,
    ),
    edit(
        "signature field unfolded",
        &[Kind::Refolded, Kind::FieldBlanks, Kind::SignatureDamaged],
        unfolded,
    ),
    edit(
        "blank within a tag",
        &[Kind::FieldBlanks, Kind::Refolded, Kind::SignatureDamaged],
        blank_in_tag,
    ),
    edit(
        "plus became blank",
        &[Kind::SignatureDamaged, Kind::FieldBlanks],
        plus_lost,
    ),
];

fn own(mail: &mut Mail) -> Option<&mut Field> {
    // Of two, the search for either is the same.
    if mail.count("DKIM-Signature") != 1 {
        return None;
    }
    mail.get_mut("DKIM-Signature")
}

/// The tags with one blank between any two, and b= last.
fn joined(field: &Field) -> String {
    let text = field.text();
    let tags: Vec<String> = text
        .split(';')
        .map(|tag| tag.split_whitespace().collect())
        .collect();
    tags.join("; ").trim().to_owned()
}

fn refolded(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let fold = *rng.pick(&["\r\n\t", "\r\n ", "\r\n        "]);
    let field = own(mail)?;
    // Where a list was folded, nobody knows once that is gone; the blanks within b= do not count.
    let blank = |tag: &str| tag.trim().contains([' ', '\t']) && !tag.trim().starts_with("b=");
    let folded_within = field.text().split(';').any(blank);
    let all = rng.below(2) == 0;
    let new = match all {
        // A line for each tag.
        true => joined(field).replace("; ", &format!(";{fold}")),
        // Other blanks where the folds are.
        false => {
            let raw = String::from_utf8_lossy(field.value())
                .trim_start()
                .to_owned();
            let folds = ["\r\n        ", "\r\n\t", "\r\n "];
            let old = folds.into_iter().find(|f| raw.contains(f))?;
            raw.replace(old, fold)
        }
    };
    field.set(new);
    Some(Fate::of(!all || !folded_within))
}

/// The blank behind each fold stays, and tells where it was.
fn unfolded(_: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let field = own(mail)?;
    let new = coding::unfold(&field.raw);
    let changed = new != field.raw;
    field.raw = new;
    changed.then_some(Undoable)
}

/// A fold in the middle of a long value, as a program makes it that knows only columns.
fn blank_in_tag(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let field = own(mail)?;
    let raw = String::from_utf8(field.raw.clone()).ok()?;
    let tag = *rng.pick(&["bh=", " h="]);
    let start = raw.find(tag)? + tag.len();
    let len = raw[start..].find(';')?;
    let at = start + 3 + rng.below(len.checked_sub(6)?);
    let near = &raw.as_bytes()[at - 1..=at];
    if near.iter().any(u8::is_ascii_whitespace) || raw.as_bytes()[at] == b'\n' {
        return None;
    }
    // Within h= only behind a colon, or names would be others.
    if tag == " h=" && near[0] != b':' {
        return None;
    }
    field.raw.splice(
        at..at,
        rng.pick(&[&b" "[..], b"\r\n ", b"\r\n\t"]).iter().copied(),
    );
    Some(Undoable)
}

/// A copy through a web form.
fn plus_lost(_: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let field = own(mail)?;
    let raw = String::from_utf8(field.raw.clone()).ok()?;
    let start = raw.rfind("b=").filter(|at| !raw[..*at].ends_with('h'))?;
    // t= and h= hold no plus; bh= may.
    let new = format!(
        "{}{}",
        raw[..start].replace('+', " "),
        raw[start..].replace('+', " ")
    );
    field.raw = new.clone().into_bytes();
    (new != raw).then_some(Undoable)
}
