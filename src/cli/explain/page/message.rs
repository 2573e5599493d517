//! The message itself, as one signature sees it: what it covers, what it does not, and what was changed.

use std::collections::HashSet;
use std::ops::Range;

use dkimkit::canon::Canon;
use dkimkit::explain::{Explained, Explanation, Part, Unjudged};
use dkimkit::hash::BodyLimit;
use memchr::memchr_iter;

use super::rows::{Mark, Much, marks, rows};
use super::state::State;
use crate::cli::page::Html;
use dkimkit::report::grouped;

/// So many fields that are not signed are shown, and so many of the others.
const UNSIGNED: usize = 100;
const SIGNED: usize = 300;

const FIELD: Much = Much {
    head: 30,
    tail: 5,
    bytes: 6_000,
};
const BODY: Much = Much {
    head: 200,
    tail: 200,
    bytes: 24_000,
};

/// Writes header and body within `room` bytes.
pub(super) fn message(
    html: &mut Html,
    explanation: &Explanation,
    explained: Option<&Explained>,
    room: usize,
) {
    let view = View::new(explanation, explained);
    // Numbers of lines need their room.
    let class = match memchr_iter(b'\n', view.text).count() {
        0..1_000 => "text",
        1_000..100_000 => "text more",
        _ => "text most",
    };
    html.with("div", &[("class", class), ("translate", "no")], |html| {
        let cut = "… what follows has no room on this page …";
        if !html.within(room / 2, |html| view.header(html)) {
            html.say("p", "gap", cut);
        }
        if !html.within(room / 2, |html| view.body(html)) {
            html.say("p", "gap", cut);
        }
    });
}

/// A message and a signature.
struct View<'e> {
    text: &'e [u8],
    /// Where each field begins, and at last where the header ends.
    fields: Vec<usize>,
    body: Range<usize>,
    marks: Vec<Mark>,
    explained: Option<&'e Explained>,
    covered: HashSet<usize>,
}

impl<'e> View<'e> {
    fn new(explanation: &'e Explanation, explained: Option<&'e Explained>) -> View<'e> {
        let text = explanation.text();
        let mut fields = vec![0];
        for field in explanation.header().fields() {
            // The line end of the last field may be missing.
            let end = fields.last().unwrap_or(&0) + field.raw().len() + 2;
            fields.push(end.min(text.len()));
        }
        let changes = explained.into_iter().flat_map(Explained::changes);
        let covered = explained.map(|explained| &explained.covered);
        View {
            text,
            fields,
            body: explanation.body_at().min(text.len())..text.len(),
            marks: marks(text, changes),
            explained,
            covered: covered
                .into_iter()
                .flatten()
                .filter_map(|(_, position)| *position)
                .collect(),
        }
    }

    /// What holds for all that is covered and was not changed at a known place.
    fn covered(&self, part: impl Fn(&Explained) -> &Part) -> State {
        match self.explained.map(part) {
            Some(Part::Holds | Part::Changed(_)) => State::Signed,
            Some(Part::Unexplained(_)) => State::Doubtful,
            Some(Part::Unjudged(Unjudged::NoKey | Unjudged::OtherKey)) => State::Unchecked,
            Some(Part::Unjudged(_)) | None => State::Unsigned,
        }
    }

    fn header(&self, html: &mut Html) {
        html.say("h4", "", "Header");
        let covered = self.covered(|explained| &explained.header);
        let (mut unsigned, mut signed, mut line) = (0, 0, 1);
        let mut block = Block::default();
        for (position, ends) in self.fields.windows(2).enumerate() {
            let range = ends[0]..ends[1];
            let last = position + 2 == self.fields.len();
            let (gone, here) = self.marks_of(&range, last);
            let state = self.state_of_field(position, &range, &here, covered);
            let number = line;
            line += memchr_iter(b'\n', &self.text[range.clone()]).count();
            let (count, most) = match state {
                State::Unsigned => (&mut unsigned, UNSIGNED),
                _ => (&mut signed, SIGNED),
            };
            *count += 1;
            if *count > most {
                block.skip(html, self.text);
                continue;
            }
            let (before, behind): (Vec<&Mark>, Vec<&Mark>) = gone
                .into_iter()
                .partition(|mark| mark.at.start == range.start);
            if !before.is_empty() {
                block.write(html, self.text);
            }
            for mark in before {
                removed(html, mark);
            }
            block.add(
                html,
                self.text,
                state,
                Piece {
                    range,
                    line: number,
                    marks: here,
                },
            );
            if !behind.is_empty() {
                block.write(html, self.text);
            }
            for mark in behind {
                removed(html, mark);
            }
        }
        block.write(html, self.text);
        self.absent(html);
    }

    /// The marks of a field: whole fields that are gone, before it or behind the last one, and those within it.
    fn marks_of(&self, range: &Range<usize>, last: bool) -> (Vec<&Mark>, Vec<&Mark>) {
        // Behind the last field stands the empty line, unless the message ends with its header.
        let end = match last && self.body.start > range.end {
            true => range.end,
            false => range.end - 1,
        };
        let first = self.marks.partition_point(|mark| mark.at.end < range.start);
        let own = self.marks[first..]
            .iter()
            .take_while(|mark| mark.at.start <= end);
        let own = own.filter(|mark| mark.at.start >= range.start || mark.at.end > range.start);
        own.partition(|mark| {
            let edge = mark.at.start == range.start || mark.at.start >= range.end;
            mark.at.is_empty() && edge && (mark.is_field || mark.signed.ends_with(b"\n"))
        })
    }

    fn state_of_field(
        &self,
        position: usize,
        range: &Range<usize>,
        here: &[&Mark],
        covered: State,
    ) -> State {
        if self
            .explained
            .is_some_and(|explained| explained.position == position)
        {
            return match here.is_empty() {
                true => State::Own,
                false => State::Changed,
            };
        }
        // With or without its line end.
        let whole = |mark: &&&Mark| mark.at.start <= range.start && mark.at.end + 2 >= range.end;
        if here
            .iter()
            .find(whole)
            .is_some_and(|mark| mark.signed_len == 0)
        {
            return State::Added;
        }
        match (here.is_empty(), self.covered.contains(&position)) {
            (false, _) => State::Changed,
            (true, true) => covered,
            (true, false) => State::Unsigned,
        }
    }

    /// The names of h= for which there is no field.
    fn absent(&self, html: &mut Html) {
        let Some(explained) = self.explained else {
            return;
        };
        let mut names: Vec<String> = Vec::new();
        let mut more = 0;
        for (name, _) in explained
            .covered
            .iter()
            .filter(|(_, position)| position.is_none())
        {
            let name = name.to_ascii_lowercase();
            if names.contains(&name) {
                continue;
            }
            match names.len() {
                0..30 => names.push(name),
                _ => more += 1,
            }
        }
        if names.is_empty() {
            return;
        }
        html.element("p", "note", |html| {
            html.text("Signed so that no further field is added: ");
            html.brief(&names.join(", "), 600);
            if more > 0 {
                html.text(&format!(" and {} more", grouped(more)));
            }
            html.text(".");
        });
    }

    fn body(&self, html: &mut Html) {
        html.say("h4", "", "Body");
        let line = 1 + memchr_iter(b'\n', &self.text[..self.body.start]).count();
        let covered = self.covered(|explained| &explained.body);
        let end = match self
            .explained
            .map(|explained| explained.verdict.claims.body_limit)
        {
            Some(Some(BodyLimit::Octets(octets))) => self.signed_until(octets),
            _ => self.body.end,
        };
        let line = self.part(html, self.body.start..end, covered, "Body", line);
        if end < self.body.end {
            self.part(html, end..self.body.end, State::Unsigned, "Beyond l=", line);
        }
    }

    fn part(
        &self,
        html: &mut Html,
        range: Range<usize>,
        state: State,
        what: &str,
        line: usize,
    ) -> usize {
        // What is beyond l= needs no mark: it is not signed, whatever was put there.
        let last = range.end == self.body.end;
        let here = |mark: &&Mark| {
            mark.at.end >= range.start
                && (mark.at.start < range.end || last && mark.at.start == range.end)
                && mark.at.start >= self.body.start
        };
        let here: Vec<&Mark> = match state {
            State::Unsigned => Vec::new(),
            _ => self.marks.iter().filter(here).collect(),
        };
        let state = match here.is_empty() {
            true => state,
            false => State::Changed,
        };
        let mut next = line;
        html.element("div", state.class(), |html| {
            state.tag(html, what);
            if range.is_empty() && here.is_empty() {
                html.say("p", "gap", "nothing");
            }
            next = rows(html, self.text, range, &here, BODY, line);
        });
        next
    }

    /// Where the bytes end that l= covers (RFC 6376 §3.4.5).
    fn signed_until(&self, octets: u64) -> usize {
        let canon = self
            .explained
            .and_then(|explained| explained.verdict.claims.canonicalization);
        let body = &self.text[self.body.clone()];
        let mut end = self.body.start
            + covered_by(
                body,
                canon.map_or(Canon::Simple, |canon| canon.body),
                octets,
            );
        // The limit counts what was signed: what came in before it moves it.
        for mark in self
            .marks
            .iter()
            .filter(|mark| mark.at.start >= self.body.start)
        {
            if mark.at.start < end {
                end = (end + mark.at.len()).saturating_sub(mark.signed_len);
            }
        }
        end.clamp(self.body.start, self.body.end)
    }
}

/// A field on its way to the page.
struct Piece<'v> {
    range: Range<usize>,
    line: usize,
    marks: Vec<&'v Mark>,
}

/// Fields in a row of which the same is said.
#[derive(Default)]
struct Block<'v> {
    state: Option<State>,
    pieces: Vec<Piece<'v>>,
    /// Fields behind them that are not shown.
    skipped: usize,
}

impl<'v> Block<'v> {
    fn add(&mut self, html: &mut Html, text: &[u8], state: State, piece: Piece<'v>) {
        let joins = matches!(
            state,
            State::Signed | State::Unsigned | State::Doubtful | State::Unchecked
        );
        if self.state != Some(state) || !joins || self.skipped > 0 {
            self.write(html, text);
        }
        self.state = Some(state);
        self.pieces.push(piece);
    }

    fn skip(&mut self, html: &mut Html, text: &[u8]) {
        if !self.pieces.is_empty() {
            self.write(html, text);
        }
        self.skipped += 1;
    }

    /// Writes what was gathered.
    fn write(&mut self, html: &mut Html, text: &[u8]) {
        let Block {
            state,
            pieces,
            skipped,
        } = std::mem::take(self);
        if let Some(state) = state {
            html.element("div", state.class(), |html| {
                state.tag(html, "");
                for piece in pieces {
                    rows(html, text, piece.range, &piece.marks, FIELD, piece.line);
                }
            });
        }
        match skipped {
            0 => {}
            1 => html.say("p", "gap", "… 1 more field not shown here …"),
            n => html.say(
                "p",
                "gap",
                &format!("… {} more fields not shown here …", grouped(n)),
            ),
        }
    }
}

/// How many bytes of the body give so many octets of its canonical form (RFC 6376 §3.4.3, §3.4.4).
fn covered_by(body: &[u8], canon: Canon, octets: u64) -> usize {
    let octets = usize::try_from(octets).unwrap_or(usize::MAX);
    if canon == Canon::Simple {
        return octets.min(body.len());
    }
    let (mut count, mut blank) = (0, false);
    for (at, byte) in body.iter().enumerate() {
        if count >= octets {
            return at;
        }
        match byte {
            b' ' | b'\t' => blank = true,
            // Blanks before a line end are nothing, others are one.
            b'\r' if body.get(at + 1) == Some(&b'\n') => {
                blank = false;
                count += 1;
            }
            _ => {
                count += 1 + usize::from(blank);
                blank = false;
            }
        }
    }
    body.len()
}

/// A field that was signed and is gone.
fn removed(html: &mut Html, mark: &Mark) {
    html.element("div", State::Removed.class(), |html| {
        State::Removed.tag(html, "");
        rows(
            html,
            &[],
            0..0,
            &[&Mark {
                at: 0..0,
                ..mark.clone()
            }],
            FIELD,
            1,
        );
    });
}

#[cfg(test)]
mod tests {
    use dkimkit::canon::body::BodyCanonicalizer;

    use super::*;

    #[test]
    fn the_limit_counts_what_the_canonical_form_has() {
        let canonical = |canon, body: &[u8]| {
            let mut out = Vec::new();
            let mut canonicalizer = BodyCanonicalizer::new(canon);
            canonicalizer.write(body, &mut out);
            canonicalizer.finish(&mut out);
            out
        };
        let mut seed = 1u64;
        for _ in 0..2_000 {
            let mut random = |below: u64| {
                seed = seed
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (seed >> 33) % below
            };
            let pieces = ["a", " ", "\t", "\r\n", "\r", "bc", "  "];
            let len = random(20);
            let body: String = (0..len).map(|_| pieces[random(7) as usize]).collect();
            let body = body + "z\r\n";
            for canon in [Canon::Simple, Canon::Relaxed] {
                let whole = canonical(canon, body.as_bytes());
                // A CR without its LF would be an ordinary byte.
                let cuts = |octets: &usize| {
                    !whole[..*octets].ends_with(b"\r") || whole.get(*octets) != Some(&b'\n')
                };
                for octets in (0..=whole.len()).filter(cuts) {
                    let end = covered_by(body.as_bytes(), canon, octets as u64);
                    // An x keeps what stands before it from being an end.
                    let part = canonical(canon, format!("{}x", &body[..end]).as_bytes());
                    assert!(
                        part.starts_with(&whole[..octets]),
                        "{body:?} {octets} {end}"
                    );
                    assert!(
                        end == 0 || part.len() <= octets + 4,
                        "{body:?} {octets} {end}"
                    );
                }
            }
        }
    }
}
