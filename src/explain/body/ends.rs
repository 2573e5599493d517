//! Text behind the end: one pass, in which the hash is looked at behind each line.

use crate::canon::Canon;
use crate::explain::lines::Lines;
use crate::explain::search::Share;
use crate::explain::target::BodyTarget;
use crate::message::is_wsp;

/// The body up to where its hash is the one that was signed.
///
/// A body without a line end at its end may have been continued within its last line: so the ends of words within
/// lines are tried too, where the body is not too long for that.
pub(super) fn early(lines: &Lines<'_>, target: &BodyTarget, share: &Share<'_>) -> Option<Vec<u8>> {
    if target.octets().is_some() {
        return None;
    }
    let mut probe = lines.begin(target);
    for line in 0..lines.len() {
        // Empty lines at the end count for nothing: what was put behind has something else.
        if !lines.is_blank(line) {
            share.count(1);
            if target.is(&probe.digest()) {
                return Some(lines.text[..lines.start(line)].to_vec());
            }
        }
        lines.feed(&mut probe, line..line + 1);
        if line % 4096 == 4095 && share.is_over() {
            return None;
        }
    }
    None
}

/// The body up to a place within a line: that line was the last, and had no line end.
pub(super) fn within_lines(
    lines: &Lines<'_>,
    target: &BodyTarget,
    share: &Share<'_>,
) -> Option<Vec<u8>> {
    if target.octets().is_some() || lines.text.len() > LONG {
        return None;
    }
    let mut probe = lines.begin(target);
    for line in 0..lines.len() {
        let text = lines.line(line);
        let mut here = probe.clone();
        // White space that a byte behind it makes count.
        let mut blank = false;
        for (at, byte) in text.iter().enumerate() {
            if at % 4096 == 4095 && share.is_over() {
                return None;
            }
            if target.canon == Canon::Relaxed && is_wsp(*byte) {
                blank = true;
                continue;
            }
            if std::mem::take(&mut blank) {
                here.content(b" ");
            }
            here.content(&[*byte]);
            share.count(1);
            if at + 1 < text.len() && target.is(&here.ended()) {
                return Some(lines.text[..lines.start(line) + at + 1].to_vec());
            }
        }
        lines.feed(&mut probe, line..line + 1);
        if share.is_over() {
            return None;
        }
    }
    None
}

/// Longer bodies are not cut at every byte.
const LONG: usize = 200_000;
