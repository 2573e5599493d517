//! Rewritings of a whole body, or of whole parts of it, undone.

use super::recode::{self, Recoding};
use super::rewriting;
use super::signer::raw_body;
use crate::explain::kind::Kind;
use crate::explain::lines::line_end;
use crate::explain::mime::Structure;

/// One rewriting that may be undone.
pub(super) struct Op {
    pub(super) kind: Kind,
    pub(super) detail: Option<String>,
    run: Run,
}

enum Run {
    /// On the whole body.
    Whole(fn(&[u8]) -> Vec<u8>),
    /// On the body of this part.
    Part(usize, fn(&[u8]) -> Vec<u8>),
    /// On the bodies of all parts that hold text.
    Parts(fn(&[u8]) -> Vec<u8>),
    /// Long lines, cut behind so many octets.
    Joined(usize, &'static [u8]),
    /// This part was the whole body.
    Unwrapped(usize, bool),
    /// As it was before LF became CRLF.
    AsItCame(Vec<u8>),
    Recoded(Recoding),
}

impl Op {
    fn new(kind: Kind, detail: &str, run: Run) -> Op {
        Op {
            kind,
            detail: (!detail.is_empty()).then(|| detail.to_owned()),
            run,
        }
    }

    /// The body before the change; `None` where there is nothing to undo.
    pub(super) fn apply(&self, text: &[u8], structure: &Structure) -> Option<Vec<u8>> {
        let mended = match &self.run {
            Run::Whole(undo) => undo(text),
            Run::Part(nth, undo) => {
                let part = structure.leaves().nth(*nth)?;
                let (start, end) = (part.body.start, part.body.end);
                [&text[..start], &undo(&text[start..end]), &text[end..]].concat()
            }
            Run::Parts(undo) => {
                let mut out = Vec::with_capacity(text.len());
                let mut at = 0;
                for part in structure.leaves().filter(|part| part.is_text()) {
                    out.extend_from_slice(&text[at..part.body.start]);
                    out.extend_from_slice(&undo(&text[part.body.clone()]));
                    at = part.body.end;
                }
                out.extend_from_slice(&text[at..]);
                out
            }
            Run::Joined(width, cut) => joined(text, *width, cut),
            Run::Unwrapped(nth, delimited) => {
                let part = structure.parts.get(*nth)?;
                let end = if *delimited { part.end } else { part.body.end };
                text[part.body.start..end].to_vec()
            }
            Run::AsItCame(body) => body.clone(),
            Run::Recoded(recoding) => recoding.apply(text, structure)?,
        };
        (mended != text).then_some(mended)
    }
}

/// All rewritings that may have befallen this body, the commoner ones first.
pub(super) fn all(text: &[u8], structure: &Structure, raw: &[u8]) -> Vec<Op> {
    let mut ops = Vec::new();
    for rewriting in rewriting::ALL {
        ops.push(Op::new(
            rewriting.kind,
            rewriting.detail,
            Run::Whole(rewriting.undo),
        ));
    }
    widths(text, &mut ops);
    for nth in 1..structure.parts.len().min(20) {
        ops.push(Op::new(Kind::Wrapped, "", Run::Unwrapped(nth, false)));
        ops.push(Op::new(Kind::Wrapped, "", Run::Unwrapped(nth, true)));
    }
    let body = raw_body(raw);
    if memchr::memchr_iter(b'\n', body).any(|at| at == 0 || body[at - 1] != b'\r') {
        let detail = "the body was signed with the line ends that it came with";
        ops.push(Op::new(
            Kind::LineEnds,
            detail,
            Run::AsItCame(body.to_vec()),
        ));
    }
    if structure.is_multipart() {
        for rewriting in rewriting::ALL {
            ops.push(Op::new(
                rewriting.kind,
                rewriting.detail,
                Run::Parts(rewriting.undo),
            ));
        }
        for (nth, _) in structure.leaves().enumerate().take(6) {
            for rewriting in rewriting::ALL {
                ops.push(Op::new(
                    rewriting.kind,
                    rewriting.detail,
                    Run::Part(nth, rewriting.undo),
                ));
            }
        }
    }
    for recoding in recode::all(text, structure) {
        let (kind, detail) = recoding.about();
        ops.push(Op::new(kind, &detail, Run::Recoded(recoding)));
    }
    ops
}

/// The widths behind which lines may have been cut, and what was put there.
fn widths(text: &[u8], ops: &mut Vec<Op>) {
    let mut known = vec![
        998, 990, 997, 999, 1000, 996, 512, 2048, 989, 991, 1022, 1023, 1024,
    ];
    // Where several lines have the greatest length, that may be where they were cut.
    let lengths = text
        .split(|b| *b == b'\n')
        .map(|line| line.len().saturating_sub(1));
    let longest = lengths.max().unwrap_or(0);
    for width in [
        longest,
        longest.saturating_sub(1),
        longest.saturating_sub(2),
    ] {
        if width >= 60 && !known.contains(&width) {
            known.push(width);
        }
    }
    // Wherever a long line seems to be cut, whatever its length.
    for cut in [&b"!\r\n "[..], b"\r\n ", b"!\r\n"] {
        ops.push(Op::new(Kind::LinesWrapped, "", Run::Joined(ANY_WIDTH, cut)));
    }
    let cuts: [&'static [u8]; 6] = [b"\r\n ", b"\r\n", b"!\r\n ", b"!\r\n", b"\r\n\t", b"\\\r\n"];
    for width in known {
        for cut in cuts {
            let detail = format!("behind {width} octets");
            ops.push(Op::new(
                Kind::LinesWrapped,
                &detail,
                Run::Joined(width, cut),
            ));
        }
    }
}

/// Stands for a width that is not known.
const ANY_WIDTH: usize = usize::MAX - 8;
/// Shorter lines are not cut for their length.
const LONG_LINE: usize = 500;

/// Lines of this length, or up to one that is cut within it, joined with what follows.
fn joined(text: &[u8], width: usize, cut: &[u8]) -> Vec<u8> {
    let mark = memchr::memmem::find(cut, b"\r\n").unwrap_or(0);
    let indent = &cut[mark + 2..];
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
        let line = &text[at..end];
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        let next = &text[end..];
        // What follows a cut was counted with its blank by some, and without it by others.
        let full = width == ANY_WIDTH && content.len() >= LONG_LINE
            || content.len() == width + mark
            || content.len() == width + mark + indent.len();
        if full && content.ends_with(&cut[..mark]) && next.starts_with(indent) && !next.is_empty() {
            out.extend_from_slice(&content[..content.len() - mark]);
            at = end + indent.len();
        } else {
            out.extend_from_slice(line);
            at = end;
        }
    }
    out
}
