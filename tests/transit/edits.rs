//! The known ways in which mail is changed on its way, each done as the programs do it that are known for it.
//!
//! Whether an edit can be undone is decided here on principle, not by what the search can do: from what is left in the
//! message, from z=, or by a constant that everybody knows.

mod address;
mod coded;
mod damage;
mod fields;
mod form;
mod gone;
mod lines;
mod parts;
mod subject;
mod text;
mod wire;

use dkimkit::explain::Kind;

use crate::mail::Mail;
use crate::random::Random;
use crate::signing::Plan;

/// Whether an edit can be undone from what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Undoable,
    Lost,
}

impl Fate {
    pub(crate) fn of(undoable: bool) -> Fate {
        if undoable { Fate::Undoable } else { Fate::Lost }
    }

    /// What z= says of a field is left whatever becomes of it.
    pub(crate) fn by_z(plan: &Plan, name: &str) -> Fate {
        Fate::of(plan.z && plan.signs(name))
    }

    pub(crate) fn and(self, other: Fate) -> Fate {
        Fate::of(self == Fate::Undoable && other == Fate::Undoable)
    }
}

type OnMail = fn(&mut Random, &mut Mail, &Plan) -> Option<Fate>;
type OnBytes = fn(&mut Random, &mut Vec<u8>, &Plan) -> Option<Fate>;

#[derive(Clone, Copy)]
pub(crate) enum Apply {
    Mail(OnMail),
    /// Done to the bytes of the whole message, behind all others.
    Bytes(OnBytes),
}

/// An edit: its name in the table, the kinds of which one must be named, and what does it. None is returned for a
/// message that it does not befall.
#[derive(Clone, Copy)]
pub(crate) struct Edit {
    pub(crate) name: &'static str,
    pub(crate) kinds: &'static [Kind],
    pub(crate) apply: Apply,
}

const fn edit(name: &'static str, kinds: &'static [Kind], apply: OnMail) -> Edit {
    Edit {
        name,
        kinds,
        apply: Apply::Mail(apply),
    }
}

const fn wire(name: &'static str, kinds: &'static [Kind], apply: OnBytes) -> Edit {
    Edit {
        name,
        kinds,
        apply: Apply::Bytes(apply),
    }
}

/// All edits.
pub(crate) fn all() -> Vec<Edit> {
    [
        &text::EDITS[..],
        &parts::EDITS,
        &lines::EDITS,
        &coded::EDITS,
        &wire::EDITS,
        &subject::EDITS,
        &address::EDITS,
        &fields::EDITS,
        &form::EDITS,
        &damage::EDITS,
        &gone::EDITS,
    ]
    .concat()
}

impl Edit {
    /// The bytes after it.
    pub(crate) fn on(
        &self,
        rng: &mut Random,
        message: &[u8],
        plan: &Plan,
    ) -> Option<(Vec<u8>, Fate)> {
        match self.apply {
            Apply::Mail(apply) => {
                let mut mail = Mail::parse(message)?;
                let fate = apply(rng, &mut mail, plan)?;
                Some((mail.bytes(), fate))
            }
            Apply::Bytes(apply) => {
                let mut bytes = message.to_vec();
                let fate = apply(rng, &mut bytes, plan)?;
                Some((bytes, fate))
            }
        }
    }

    pub(crate) fn is_of_wire(&self) -> bool {
        matches!(self.apply, Apply::Bytes(_))
    }
}
