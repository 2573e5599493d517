//! What was found, for people.

use std::fmt::Write as _;

use dkimkit::explain::{Change, Explained, Explanation, Part};
use dkimkit::message::SplitError;
use dkimkit::report::{Failure, ResultWord, Verdict, overall};

use crate::cli::speech::escape;
use crate::cli::verify::{facts, paint, place};

/// So many places of a change are shown.
const SPOTS: usize = 3;
/// So many lines of each side of a place.
const LINES: usize = 8;

/// A line for the message, and a paragraph for each signature.
pub(super) fn render(
    file: &str,
    number: Option<u64>,
    outcome: &Result<Explanation, SplitError>,
    color: bool,
) -> String {
    let file = escape(&place(file, number));
    let explanation = match outcome {
        Ok(explanation) => explanation,
        Err(error) => {
            let failure = Failure::Message(*error);
            let advice = failure
                .advice()
                .map(|a| format!(": {a}"))
                .unwrap_or_default();
            return format!(
                "{file}: {}: {failure}{advice}\n",
                paint(failure.result(), color)
            );
        }
    };
    let verdicts: Vec<Verdict> = explanation
        .signatures
        .iter()
        .map(|s| s.verdict.clone())
        .collect();
    let result = match explanation.unreadable {
        None => overall(&verdicts),
        Some(_) => ResultWord::PermError,
    };
    let mut out = format!("{file}: {}", paint(result, color));
    if verdicts.is_empty() {
        out.push_str(": the message has no DKIM-Signature");
    }
    out.push('\n');
    for change in &explanation.reading {
        let _ = writeln!(
            out,
            "  it cannot be read as it came: {}; without that, and with lines and bytes counted without it:",
            escape(&change.sentence())
        );
    }
    for explained in &explanation.signatures {
        let number = explained.verdict.index + 1;
        let result = paint(explained.verdict.result(), color);
        let _ = writeln!(
            out,
            "  {number}. {result}{}",
            escape(&facts(&explained.verdict))
        );
        signature(explained, color, &mut out);
    }
    out
}

fn signature(explained: &Explained, color: bool, out: &mut String) {
    if explained.verdict.failure().is_none() {
        return;
    }
    // The first sentence says what the line above it says.
    for sentence in explained.sentences().iter().skip(1) {
        let _ = writeln!(out, "     - {}", escape(sentence));
    }
    let mut kinds = Vec::new();
    for change in explained.changes() {
        difference(change, color, out);
        if !kinds.contains(&change.kind) {
            kinds.push(change.kind);
        }
    }
    let mut said = Vec::new();
    for kind in &kinds {
        let _ = writeln!(out, "     likely: {}", kind.culprit());
    }
    for (who, what) in kinds.iter().flat_map(|kind| kind.mends()) {
        if !said.contains(what) {
            let _ = writeln!(out, "     {}: {what}", who.as_str());
            said.push(what);
        }
    }
    if explained.is_restorable()
        && !matches!(
            (&explained.body, &explained.header),
            (Part::Holds, Part::Holds)
        )
    {
        let _ = writeln!(
            out,
            "     the message as it was signed is fully known: --restore FILE writes it"
        );
    }
}

/// What was signed and what came, at the first places.
fn difference(change: &Change, color: bool, out: &mut String) {
    for spot in change.spots.iter().take(SPOTS) {
        let _ = writeln!(out, "     @ line {}", spot.line);
        side('-', &spot.signed, spot.signed_len, color, out);
        let len = if spot.exact {
            spot.at.len()
        } else {
            spot.came.len()
        };
        side('+', &spot.came, len, color, out);
    }
    if change.places > SPOTS {
        let more = change.places - SPOTS;
        let places = if more == 1 { "place" } else { "places" };
        let _ = writeln!(out, "     … and {more} more {places}");
    }
}

fn side(mark: char, bytes: &[u8], len: usize, color: bool, out: &mut String) {
    if len == 0 {
        return;
    }
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n").collect::<Vec<_>>();
    if lines.last() == Some(&"") && lines.len() > 1 {
        lines.pop();
    }
    let (on, off) = match (color, mark) {
        (false, _) => ("", ""),
        (true, '-') => ("\x1b[31m", "\x1b[0m"),
        (true, _) => ("\x1b[32m", "\x1b[0m"),
    };
    for line in lines.iter().take(LINES) {
        let shown: String = line.chars().take(160).collect();
        let more = if shown.len() < line.len() { "…" } else { "" };
        let line = format!("{mark} {}{more}", escape(&visible(&shown)));
        let _ = writeln!(out, "     {on}{}{off}", line.trim_end());
    }
    if lines.len() > LINES || bytes.len() < len {
        let _ = writeln!(out, "     {on}{mark} … ({len} bytes){off}");
    }
}

/// White space at the end of a line is what nobody sees.
fn visible(line: &str) -> String {
    let kept = line.trim_end_matches([' ', '\t']);
    let blanks = line[kept.len()..]
        .chars()
        .map(|c| if c == ' ' { '·' } else { '→' });
    kept.chars().chain(blanks).collect()
}
