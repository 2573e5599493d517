//! The search in the body, the cheapest hypotheses first: what the signer may have done wrong; text behind the end;
//! the known rewritings of the whole; lines and blocks put in or changed; and pairs of all these.

mod cuts;
mod ends;
mod line;
mod links;
mod ops;
mod quoted;
mod recode;
mod rewriting;
mod signer;
mod splice;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use self::ops::Op;
pub(super) use self::quoted::{decode, decode_lines};
use self::splice::Splice;
use super::change::{Stage, staged};
use super::kind::Kind;
use super::lines::Lines;
use super::mime::Structure;
use super::search::{Search, Share};
use super::target::BodyTarget;
use super::{Effort, Part};
use crate::hash::Digest;
use crate::message::Header;

/// What became of a body, and the body as it was signed.
pub(super) type Found = (Part, Option<Arc<Vec<u8>>>);

/// A body and what it must come to.
pub(super) struct BodySearch<'a> {
    pub(super) text: &'a [u8],
    pub(super) body_at: usize,
    pub(super) header: &'a Header,
    /// The message before anything was done with its line ends.
    pub(super) raw: &'a [u8],
    pub(super) target: &'a BodyTarget,
    pub(super) search: &'a Search,
    /// The part of the budget that may be used.
    pub(super) part: f64,
}

impl BodySearch<'_> {
    pub(super) fn run(&self) -> Found {
        let body = &self.text[self.body_at..];
        if self.target.holds(body) {
            return (Part::Holds, self.covered(body.to_vec()));
        }
        let share = self.search.share(self.part);
        let hunt = self.hunt(self.target, share);
        // What is commonest comes first: one change on the way. Then what the signer may have done wrong.
        if let Some(stages) = hunt.once(body) {
            return self.found(stages);
        }
        if let Some(stage) = signer::find(body, self.raw, self.target, &share) {
            return (Part::Changed(self.changes(&[stage])), None);
        }
        if let Some(stages) = hunt.twice(body) {
            return self.found(stages);
        }
        for (mistake, target) in signer::variants(self.target) {
            let hunt = self.hunt(&target, share);
            if let Some(mut stages) = hunt.once(body) {
                stages.insert(0, Stage::new(mistake.0, Some(mistake.1), body.to_vec()));
                return (Part::Changed(self.changes(&stages)), None);
            }
        }
        if let Some((mut stages, mistake)) = hunt.mistaken_before(body) {
            stages.insert(0, mistake);
            return (Part::Changed(self.changes(&stages)), None);
        }
        let effort = Effort {
            tried: share.tried(),
            finished: !share.is_over(),
        };
        (Part::Unexplained(effort), None)
    }

    fn hunt<'h>(&'h self, target: &'h BodyTarget, share: Share<'h>) -> Hunt<'h> {
        Hunt {
            fields: self.header.as_bytes(),
            raw: self.raw,
            target,
            share,
            seen: Mutex::default(),
        }
    }

    fn found(&self, stages: Vec<Stage>) -> Found {
        let changes = self.changes(&stages);
        let signed = stages.into_iter().last().map(|stage| stage.text);
        (
            Part::Changed(changes),
            signed.and_then(|text| self.covered(text)),
        )
    }

    /// The body as far as it is known: with l=, what stands behind is not, so that it must end with a line there.
    fn covered(&self, body: Vec<u8>) -> Option<Arc<Vec<u8>>> {
        let Some(octets) = self.target.octets() else {
            return Some(Arc::new(body));
        };
        let lines = Lines::new(&body, self.target);
        let end = lines.covering(octets);
        let cut = &body[..end];
        let exact = octets > 0 && self.target.canonical_len(cut) == octets;
        exact.then(|| Arc::new(cut.to_vec()))
    }

    fn changes(&self, stages: &[Stage]) -> Vec<super::Change> {
        let before = &self.text[..self.body_at];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let mut changes = staged(&self.text[self.body_at..], self.body_at, line, stages);
        changes.sort_by_key(|change| change.spots.first().map_or(0, |spot| spot.at.start));
        changes
    }
}

/// The search itself.
struct Hunt<'a> {
    fields: &'a [u8],
    raw: &'a [u8],
    target: &'a BodyTarget,
    share: Share<'a>,
    /// The hashes of the texts that were looked at: most rewritings leave most bodies alone.
    seen: Mutex<HashSet<Digest>>,
}

/// Texts from this size on are not searched in every way that takes their length squared.
const LARGE: usize = 2 << 20;

impl Hunt<'_> {
    /// One change, or one and text behind the end.
    fn once(&self, body: &[u8]) -> Option<Vec<Stage>> {
        if self.share.is_over() {
            return None;
        }
        let lines = Lines::new(body, self.target);
        self.again();
        self.is_new(body);
        if let Some(end) = self.ending(&lines) {
            return Some(vec![end]);
        }
        let structure = Structure::of(self.fields, body);
        let ops = ops::all(body, &structure, self.raw);
        if let Some(found) = self.each(body, &structure, &ops, |_| None) {
            return Some(found);
        }
        if self.share.is_over() {
            return None;
        }
        let found = self.one(&lines, &cuts::likely(&lines, &structure));
        let found = found.or_else(|| {
            let open = !self.share.is_over();
            open.then(|| self.one(&lines, &line::all(&lines))).flatten()
        });
        found.map(|found| vec![found])
    }

    /// Two changes, and a block anywhere.
    fn twice(&self, body: &[u8]) -> Option<Vec<Stage>> {
        if self.share.is_over() {
            return None;
        }
        let lines = Lines::new(body, self.target);
        let structure = Structure::of(self.fields, body);
        let ops = ops::all(body, &structure, self.raw);
        if body.len() > LARGE {
            return self.beside(body, &structure, &ops);
        }
        let cuts = cuts::likely(&lines, &structure);
        let alternatives = line::all(&lines);
        let few = splice::merged(&cuts::few(&lines, &structure), &line::marked(&lines));
        ends::within_lines(&lines, self.target, &self.share)
            .map(|text| vec![Stage::new(Kind::TextAppended, None, text)])
            .or_else(|| self.two(&lines, &few, &few, true))
            .or_else(|| self.beside(body, &structure, &ops))
            .or_else(|| self.two(&lines, &few, &cuts, false))
            .or_else(|| self.two(&lines, &cuts, &few, false))
            .or_else(|| self.two(&lines, &cuts, &cuts, false))
            .or_else(|| self.rewritten_twice(body, &structure, &ops))
            .or_else(|| {
                self.one(&lines, &cuts::blocks(&lines))
                    .map(|found| vec![found])
            })
            .or_else(|| {
                self.two(
                    &lines,
                    &splice::merged(&cuts, &alternatives),
                    &alternatives,
                    true,
                )
            })
    }

    /// Whether a text was not looked at before.
    fn is_new(&self, text: &[u8]) -> bool {
        let Some(digest) = self.target.digest(text) else {
            return true;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(digest)
    }

    /// The text ends early: something was put behind it.
    fn ending(&self, lines: &Lines<'_>) -> Option<Stage> {
        ends::early(lines, self.target, &self.share)
            .map(|text| Stage::new(Kind::TextAppended, None, text))
    }

    /// Each rewriting for itself, with text behind it, and with what `more` finds in it.
    fn each(
        &self,
        text: &[u8],
        structure: &Structure,
        ops: &[Op],
        more: impl Fn(&[u8]) -> Option<Vec<Stage>> + Sync,
    ) -> Option<Vec<Stage>> {
        self.share.first(ops, |op| {
            let mended = op.apply(text, structure)?;
            if !self.is_new(&mended) {
                return None;
            }
            self.share.count(1);
            let stage = |text| Stage::new(op.kind, op.detail.clone(), text);
            if self.target.holds(&mended) {
                return Some(vec![stage(mended)]);
            }
            let lines = Lines::new(&mended, self.target);
            let found = self.ending(&lines).map(|end| vec![end]);
            let mut found = found.or_else(|| more(&mended))?;
            found.insert(0, stage(mended));
            Some(found)
        })
    }

    /// A rewriting, and something put in beside it.
    fn beside(&self, text: &[u8], structure: &Structure, ops: &[Op]) -> Option<Vec<Stage>> {
        self.again();
        self.each(text, structure, ops, |mended| {
            let lines = Lines::new(mended, self.target);
            let structure = Structure::of(self.fields, mended);
            let splices = splice::merged(&cuts::likely(&lines, &structure), &line::all(&lines));
            if let Some(found) = splice::one(&lines, self.target, &self.share, &splices) {
                return Some(vec![found.stage(&lines)]);
            }
            let few = splice::merged(&cuts::few(&lines, &structure), &line::marked(&lines));
            let marked = line::marked(&lines);
            let marked = &marked[..marked.len().min(60)];
            self.two(&lines, &few, &[], true)
                .or_else(|| self.two(&lines, marked, marked, false))
        })
    }

    /// A rewriting of what a signer had signed wrongly.
    fn mistaken_before(&self, body: &[u8]) -> Option<(Vec<Stage>, Stage)> {
        if body.len() > LARGE || self.share.is_over() {
            return None;
        }
        let structure = Structure::of(self.fields, body);
        let ops = ops::all(body, &structure, self.raw);
        self.again();
        self.share.first(&ops, |op| {
            let mended = op.apply(body, &structure)?;
            if !self.is_new(&mended) {
                return None;
            }
            let mistake = signer::find(&mended, self.raw, self.target, &self.share)?;
            let mistake = Stage {
                text: body.to_vec(),
                ..mistake
            };
            let stage = Stage::new(op.kind, op.detail.clone(), mended);
            Some((vec![stage], mistake))
        })
    }

    /// Two rewritings.
    fn rewritten_twice(
        &self,
        text: &[u8],
        structure: &Structure,
        ops: &[Op],
    ) -> Option<Vec<Stage>> {
        self.again();
        self.each(text, structure, ops, |mended| {
            let structure = Structure::of(self.fields, mended);
            let ops = ops::all(mended, &structure, self.raw);
            ops.iter().find_map(|op| {
                if self.share.is_over() {
                    return None;
                }
                let twice = op.apply(mended, &structure)?;
                if !self.is_new(&twice) {
                    return None;
                }
                self.share.count(1);
                let stage = |text| Stage::new(op.kind, op.detail.clone(), text);
                if self.target.holds(&twice) {
                    return Some(vec![stage(twice)]);
                }
                let end = self.ending(&Lines::new(&twice, self.target))?;
                Some(vec![stage(twice), end])
            })
        })
    }

    /// Lets texts be looked at in another way.
    fn again(&self) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn one(&self, lines: &Lines<'_>, splices: &[Splice]) -> Option<Stage> {
        let found = splice::one(lines, self.target, &self.share, splices)?;
        Some(found.stage(lines))
    }

    fn two(
        &self,
        lines: &Lines<'_>,
        first: &[Splice],
        second: &[Splice],
        ends: bool,
    ) -> Option<Vec<Stage>> {
        splice::two(lines, self.target, &self.share, first, second, ends)
    }
}
