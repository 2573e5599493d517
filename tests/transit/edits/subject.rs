//! What lists, filters and mailers do to Subject.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, edit};
use crate::coding;
use crate::footers;
use crate::mail::Mail;
use crate::random::Random;
use crate::signing::Plan;

const TAGGED: &[Kind] = &[Kind::SubjectTagged];

pub(super) const EDITS: [Edit; 5] = [
    edit("Subject tagged", TAGGED, tagged),
    edit("tag behind Re:", TAGGED, behind_re),
    edit("tag at the end of Subject", TAGGED, at_end),
    edit(
        "tag in an encoded Subject",
        &[Kind::SubjectTagged, Kind::EncodedWords],
        in_encoded,
    ),
    edit("Subject encoded anew", &[Kind::EncodedWords], encoded_anew),
];

/// The tag in front of what stands there; some write the rest without its folds.
fn tagged(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let tag = footers::tag(rng);
    let simply = rng.below(2) == 0;
    let field = mail.get_mut("Subject")?;
    let value = field.value().to_vec();
    match simply {
        true => field.set([tag.as_bytes(), value.trim_ascii_start()].concat()),
        false => field.set(format!("{tag}{}", field.text())),
    }
    Some(Undoable)
}

/// `Re: [list] text`, also where `Re:` was added or doubled ones were dropped.
fn behind_re(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let tag = footers::tag(rng);
    let field = mail.get_mut("Subject")?;
    let text = field.text();
    let prefix = ["Re: ", "RE: ", "AW: ", "Fwd: "]
        .into_iter()
        .find(|p| text.starts_with(p))?;
    let rest = &text[prefix.len()..];
    match rng.below(3) {
        // Mailman writes Re: anew.
        0 if prefix == "Re: " || prefix == "RE: " => field.set(format!("Re: {tag}{rest}")),
        1 => field.set(format!("{tag}{prefix}{rest}")),
        _ => field.set(format!("{prefix}{tag}{rest}")),
    }
    Some(Undoable)
}

fn at_end(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let tag = *rng.pick(&footers::END_TAGS);
    let field = mail.get_mut("Subject")?;
    field.raw.extend_from_slice(tag.as_bytes());
    Some(Undoable)
}

/// A tag before an encoded word, or encoded with it.
fn in_encoded(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let tag = footers::tag(rng);
    let field = mail.get_mut("Subject")?;
    let old = field.text();
    let text = coding::unword(&old)?;
    field.set(match rng.below(4) {
        0 => format!("{tag}{old}"),
        1 => coding::word_q(&format!("{tag}{text}"), "UTF-8"),
        2 => coding::word_b(&format!("{tag}{text}"), "UTF-8"),
        _ => format!("{} {old}", coding::word_q(&tag, "utf-8")),
    });
    Some(Undoable)
}

fn encoded_anew(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let field = mail.get_mut("Subject")?;
    let old = field.text();
    let text = coding::unword(&old)?;
    let new = match rng.below(5) {
        0 => coding::word_q(&text, "UTF-8"),
        1 => coding::word_b(&text, "UTF-8"),
        2 => coding::word_q(&text, "utf-8"),
        3 => coding::word_b(&text, "utf-8"),
        _ => text,
    };
    field.set(&new);
    (new != old).then_some(Undoable)
}
