//! Fields that come, go, or change their places.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, edit};
use crate::mail::{Field, Mail};
use crate::random::Random;
use crate::signing::Plan;

const ADDED: &[Kind] = &[Kind::FieldAdded];
const REMOVED: &[Kind] = &[Kind::FieldRemoved];

pub(super) const EDITS: [Edit; 9] = [
    edit("second instance added", ADDED, second_added),
    edit("list fields added", ADDED, list_fields_added),
    edit("MIME fields added", ADDED, mime_added),
    edit(
        "Reply-To set to the list",
        &[Kind::FieldAdded, Kind::FieldChanged, Kind::FromRewritten],
        reply_to,
    ),
    edit("field removed", REMOVED, removed),
    edit("constant field removed", REMOVED, constant_removed),
    edit("one of several removed", REMOVED, one_removed),
    edit("all instances but one removed", REMOVED, instances_removed),
    edit("instances reordered", &[Kind::FieldsReordered], reordered),
];

/// Any place, at the top more often than not.
fn insert(rng: &mut Random, mail: &mut Mail, field: Field) {
    let at = match rng.below(4) {
        0 => mail.fields.len(),
        1 => rng.below(mail.fields.len() + 1),
        _ => 0,
    };
    mail.fields.insert(at, field);
}

fn second_added(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let (name, value) = *rng.pick(&[
        ("Subject", "Urgent: your account"),
        ("From", "Director <director@test.example>"),
        ("To", "everybody@lists.example"),
        ("Cc", "kitchen@lists.example"),
        ("Reply-To", "kitchen@lists.example"),
        ("Sender", "kitchen-bounces@lists.example"),
        ("Date", "Wed, 16 Dec 2026 11:00:00 +0000"),
        ("Message-ID", "<20261216110000.4711@gateway.example>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=us-ascii"),
        ("Organization", "Gateway Inc."),
        ("X-Priority", "1"),
    ]);
    if !plan.signs(name) {
        return None;
    }
    insert(rng, mail, Field::new(name, value));
    Some(Undoable)
}

/// What a list adds; a signer that signs them although they are not there forbids it.
fn list_fields_added(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let all = [
        ("Sender", "\"Kitchen\" <kitchen-bounces@lists.example>"),
        ("List-Id", "Kitchen <kitchen.lists.example>"),
        (
            "List-Unsubscribe",
            "<https://lists.example/options/kitchen>,\r\n\t<mailto:kitchen-request@lists.example?subject=unsubscribe>",
        ),
        ("List-Post", "<mailto:kitchen@lists.example>"),
        ("Precedence", "list"),
    ];
    let mut fields: Vec<Field> = all
        .iter()
        .map(|(name, value)| Field::new(name, value))
        .collect();
    if rng.below(2) == 0 {
        mail.fields.append(&mut fields);
    } else {
        mail.fields.splice(0..0, fields);
    }
    let befalls = all.iter().any(|(name, _)| plan.signs(name));
    befalls.then_some(Undoable)
}

fn mime_added(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    if mail.count("MIME-Version") > 0 {
        return None;
    }
    mail.push("MIME-Version", "1.0");
    mail.push(
        "Content-Type",
        *rng.pick(&[
            "text/plain",
            "text/plain; charset=us-ascii",
            "text/plain; charset=\"utf-8\"",
        ]),
    );
    mail.push("Content-Transfer-Encoding", *rng.pick(&["7bit", "8bit"]));
    Some(Undoable)
}

fn reply_to(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let list = "kitchen@lists.example";
    if !plan.signs("Reply-To") {
        return None;
    }
    let Some(field) = mail.get_mut("Reply-To") else {
        mail.push("Reply-To", list);
        return Some(Undoable);
    };
    let old = field.text();
    if rng.below(2) == 0 {
        field.set(format!("{old}, {list}"));
        return Some(Undoable);
    }
    field.set(list);
    Some(Fate::by_z(plan, "Reply-To"))
}

/// Fields whose value nobody can guess.
fn removed(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let names = [
        "Subject",
        "To",
        "Cc",
        "Date",
        "Message-ID",
        "Reply-To",
        "References",
        "In-Reply-To",
        "List-Unsubscribe",
        "Organization",
        "Sender",
    ];
    let there: Vec<&str> = names
        .into_iter()
        .filter(|name| plan.signs(name) && mail.count(name) == 1)
        .collect();
    if there.is_empty() {
        return None;
    }
    let name = *rng.pick(&there);
    let field = mail.fields.remove(mail.at(name)?);
    // The message that is answered stands in both fields.
    let other = match name {
        "In-Reply-To" => mail.text("References"),
        "References" => mail.text("In-Reply-To"),
        _ => String::new(),
    };
    let left = !other.is_empty()
        && other.split_whitespace().next_back() == Some(&field.text())
        && !plan.is_simple();
    Some(Fate::of(left || plan.z))
}

/// Fields that nearly always say the same.
fn constant_removed(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let names = ["MIME-Version", "Content-Transfer-Encoding", "X-Priority"];
    let there: Vec<&str> = names
        .into_iter()
        .filter(|name| plan.signs(name) && mail.count(name) == 1)
        .collect();
    if there.is_empty() {
        return None;
    }
    let name = *rng.pick(&there);
    let field = mail.fields.remove(mail.at(name)?);
    let text = field.text();
    let usual = field.raw == format!("{name}: {text}").as_bytes();
    Some(Fate::of(plan.z || usual))
}

fn several(mail: &Mail, plan: &Plan) -> Vec<usize> {
    let name = ["Keywords", "Received"]
        .into_iter()
        .find(|n| plan.count(n) > 1 && mail.count(n) > 1);
    let all =
        (0..mail.fields.len()).filter(|at| name.is_some_and(|name| mail.fields[*at].is(name)));
    all.collect()
}

fn one_removed(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let places = several(mail, plan);
    if places.is_empty() {
        return None;
    }
    let field = mail.fields.remove(*rng.pick(&places));
    // The same may stand there once more.
    let again = mail.fields.iter().any(|f| f.raw == field.raw);
    Some(Fate::of(plan.z || again))
}

fn instances_removed(_: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let places = several(mail, plan);
    let (_, rest) = places.split_first()?;
    for at in rest.iter().rev() {
        mail.fields.remove(*at);
    }
    Some(Fate::of(plan.z))
}

fn reordered(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let places = several(mail, plan);
    if places.is_empty() {
        return None;
    }
    match rng.below(3) {
        0 => mail.fields.reverse(),
        1 => {
            let first = mail.fields.remove(places[0]);
            mail.fields.push(first);
        }
        _ => mail
            .fields
            .sort_by(|a, b| (a.name(), &a.raw).cmp(&(b.name(), &b.raw))),
    }
    Some(Undoable)
}
