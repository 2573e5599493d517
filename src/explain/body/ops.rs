//! Rewritings of a whole body, or of whole parts of it, undone.

use std::borrow::Cow;

use super::recode::{self, Recoding};
use super::signer::raw_body;
use crate::explain::kind::Kind;
use crate::explain::lines::line_end;
use crate::explain::mime::Structure;
use crate::explain::reading::{BOM, doubled, from_cr, with_crlf};
use crate::message::is_wsp;

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
    for (kind, detail, undo) in LINE_OPS {
        ops.push(Op::new(*kind, detail, Run::Whole(*undo)));
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
        for (kind, detail, undo) in LINE_OPS {
            ops.push(Op::new(*kind, detail, Run::Parts(*undo)));
        }
        for (nth, _) in structure.leaves().enumerate().take(6) {
            for (kind, detail, undo) in LINE_OPS {
                ops.push(Op::new(*kind, detail, Run::Part(nth, *undo)));
            }
        }
    }
    for recoding in recode::all(text, structure) {
        let (kind, detail) = recoding.about();
        ops.push(Op::new(kind, &detail, Run::Recoded(recoding)));
    }
    ops
}

/// What is done to all lines alike, undone.
const LINE_OPS: &[(Kind, &str, fn(&[u8]) -> Vec<u8>)] = &[
    (Kind::FromQuoted, "", |text| each(text, unquoted)),
    (Kind::DotsLeft, "", |text| {
        each(text, |line| {
            line.strip_prefix(b".")
                .filter(|rest| rest.starts_with(b"."))
                .map(Cow::Borrowed)
        })
    }),
    (Kind::TrailingBlanksAdded, "", |text| {
        each(text, |line| Some(Cow::Borrowed(trimmed(line))))
    }),
    (Kind::TrailingBlanksAdded, "", |text| {
        each(text, |line| {
            // The line before a signature of the sender's ends with a space.
            (trimmed(line) != b"--").then(|| Cow::Borrowed(trimmed(line)))
        })
    }),
    (Kind::TrailingBlanksAdded, "", |text| {
        each(text, |line| line.strip_suffix(b" ").map(Cow::Borrowed))
    }),
    (Kind::ByteOrderMark, "it came", |text| {
        text.strip_prefix(BOM).unwrap_or(text).to_vec()
    }),
    (Kind::ByteOrderMark, "it went", |text| [BOM, text].concat()),
    (Kind::LineEnds, "LF for CRLF", |text| {
        with_crlf(text).into_owned()
    }),
    (Kind::LineEnds, "CR for CRLF", from_cr),
    (Kind::LineEnds, "CR CR LF for CRLF", doubled),
    (Kind::LineEnds, "CRLF for CR", |text| {
        replaced(text, b"\r\n", b"\r")
    }),
    (Kind::LineEnds, "CRLF for LF", |text| {
        replaced(text, b"\r\n", b"\n")
    }),
    (Kind::LineEnds, "a CR alone was added", |text| {
        let bare = |at: usize| text[at] == b'\r' && text.get(at + 1) != Some(&b'\n');
        (0..text.len())
            .filter(|at| !bare(*at))
            .map(|at| text[at])
            .collect()
    }),
    (
        Kind::BlankLinesAdded,
        "behind every line",
        without_every_second,
    ),
    (Kind::BlankLinesAdded, "before the body", |text| {
        text.strip_prefix(b"\r\n").unwrap_or(text).to_vec()
    }),
    (Kind::BlankLinesAdded, "each empty line twice", |text| {
        runs(text, |run| run.div_ceil(2))
    }),
    (
        Kind::BlankLinesAdded,
        "one more wherever there were some",
        |text| runs(text, |run| run.max(2) - 1),
    ),
    (Kind::BlankLinesAdded, "between all paragraphs", |text| {
        runs(text, |_| 0)
    }),
    (Kind::BlankLinesRemoved, "before the body", |text| {
        [b"\r\n", text].concat()
    }),
    (Kind::BlankLinesRemoved, "half of each run", |text| {
        runs(text, |run| run * 2)
    }),
    (
        Kind::BlankLinesRemoved,
        "one wherever there were some",
        |text| runs(text, |run| run + 1),
    ),
    (Kind::BlankLinesRemoved, "behind every line", |text| {
        replaced(text, b"\r\n", b"\r\n\r\n")
    }),
    (Kind::Tabs, "tabs for single spaces", |text| {
        replaced(text, b"\t", b" ")
    }),
    (Kind::Tabs, "tabs for two spaces", |text| {
        replaced(text, b"\t", b"  ")
    }),
    (Kind::Tabs, "tabs for four spaces", |text| {
        replaced(text, b"\t", b"    ")
    }),
    (Kind::Tabs, "tabs for eight spaces", |text| {
        replaced(text, b"\t", b"        ")
    }),
    (
        Kind::Tabs,
        "tabs for spaces up to each eighth column",
        |text| expanded(text, 8),
    ),
    (
        Kind::Tabs,
        "tabs for spaces up to each fourth column",
        |text| expanded(text, 4),
    ),
    (Kind::Tabs, "eight spaces for tabs", |text| {
        replaced(text, b"        ", b"\t")
    }),
    (Kind::Tabs, "four spaces for tabs", |text| {
        replaced(text, b"    ", b"\t")
    }),
    (Kind::Tabs, "two spaces for tabs", |text| {
        replaced(text, b"  ", b"\t")
    }),
    (Kind::Tabs, "spaces for tabs", |text| {
        replaced(text, b" ", b"\t")
    }),
    (
        Kind::Tabs,
        "spaces up to each eighth column for tabs",
        |text| contracted(text, 8),
    ),
    (
        Kind::Tabs,
        "spaces up to each fourth column for tabs",
        |text| contracted(text, 4),
    ),
    (
        Kind::Tabs,
        "spaces for tabs at the beginnings of lines",
        |text| {
            each(text, |line| {
                let blanks = line.iter().take_while(|b| **b == b' ').count();
                (blanks > 0).then(|| {
                    Cow::Owned([b"\t".repeat(blanks).as_slice(), &line[blanks..]].concat())
                })
            })
        },
    ),
    (Kind::Tabs, "runs of spaces for tabs", |text| {
        each(text, |line| Some(Cow::Owned(spaces_to_tabs(line))))
    }),
    (
        Kind::TrailingBlanksRemoved,
        "behind the two dashes of a signature",
        |text| {
            each(text, |line| {
                (line == b"--").then_some(Cow::Borrowed(b"-- "))
            })
        },
    ),
    (
        Kind::TrailingBlanksRemoved,
        "at lines that flow (RFC 3676)",
        flowed,
    ),
    (Kind::TrailingBlanksRemoved, "at every line", |text| {
        each(text, |line| Some(Cow::Owned([line, b" "].concat())))
    }),
    (
        Kind::TrailingBlanksRemoved,
        "at every line of text",
        |text| {
            each(text, |line| {
                (!line.is_empty()).then(|| Cow::Owned([line, b" "].concat()))
            })
        },
    ),
    (Kind::TrailingBlanksRemoved, "on empty lines", |text| {
        each(text, |line| line.is_empty().then_some(Cow::Borrowed(b" ")))
    }),
    (Kind::FromUnquoted, "", |text| {
        each(text, |line| {
            let quotes = line.iter().take_while(|b| **b == b'>').count();
            line[quotes..]
                .starts_with(b"From ")
                .then(|| Cow::Owned([b">", line].concat()))
        })
    }),
    (Kind::DotsTaken, "", |text| {
        each(text, |line| {
            line.starts_with(b".")
                .then(|| Cow::Owned([b".", line].concat()))
        })
    }),
    (Kind::DotsLeft, "", |text| {
        each(text, |line| line.strip_prefix(b".").map(Cow::Borrowed))
    }),
    (Kind::NoBreakSpaces, "spaces for no-break spaces", |text| {
        replaced(text, b" ", b"\xc2\xa0")
    }),
    (Kind::NoBreakSpaces, "no-break spaces for spaces", |text| {
        replaced(text, b"\xc2\xa0", b" ")
    }),
    (Kind::NoBreakSpaces, "&nbsp; for spaces", |text| {
        replaced(text, b"&nbsp;", b" ")
    }),
    (Kind::NoBreakSpaces, "&nbsp; for no-break spaces", |text| {
        replaced(text, b"&nbsp;", b"\xc2\xa0")
    }),
    (Kind::Links, "", unscanned),
];

/// Applies `undo` to each line; a line for which it has nothing stays.
fn each(text: &[u8], undo: impl Fn(&[u8]) -> Option<Cow<'_, [u8]>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 64);
    let mut at = 0;
    while at < text.len() {
        let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
        let line = &text[at..end];
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        match undo(content) {
            Some(mended) => out.extend_from_slice(&mended),
            None => out.extend_from_slice(content),
        }
        out.extend_from_slice(&line[content.len()..]);
        at = end;
    }
    out
}

fn trimmed(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|b| !is_wsp(*b))
        .map_or(0, |at| at + 1);
    &line[..end]
}

fn unquoted(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let quotes = line.iter().take_while(|b| **b == b'>').count();
    let quoted = quotes > 0 && line[quotes..].starts_with(b"From ");
    quoted.then(|| Cow::Borrowed(&line[1..]))
}

fn replaced(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(text, what) {
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(with);
        from = at + what.len();
    }
    out.extend_from_slice(&text[from..]);
    out
}

/// The lines but every second one, if all of those are empty.
fn without_every_second(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut odd) = (0, false);
    while at < text.len() {
        let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
        match odd && text[at..end] == *b"\r\n" {
            true => {}
            false if odd => return text.to_vec(),
            false => out.extend_from_slice(&text[at..end]),
        }
        odd = !odd;
        at = end;
    }
    out
}

/// Each run of empty lines between others with another length.
fn runs(text: &[u8], length: impl Fn(usize) -> usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut run) = (0, 0);
    while at < text.len() {
        let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
        if text[at..end] == *b"\r\n" {
            run += 1;
        } else {
            if run > 0 {
                out.extend(b"\r\n".repeat(length(run).min(1000)));
                run = 0;
            }
            out.extend_from_slice(&text[at..end]);
        }
        at = end;
    }
    out.extend(b"\r\n".repeat(run));
    out
}

/// Tabs as the spaces to the next column.
fn expanded(text: &[u8], every: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut column = 0;
    for byte in text {
        match byte {
            b'\t' => {
                let width = every - column % every;
                out.extend(std::iter::repeat_n(b' ', width));
                column += width;
            }
            b'\n' => {
                out.push(*byte);
                column = 0;
            }
            _ => {
                out.push(*byte);
                column += 1;
            }
        }
    }
    out
}

/// Spaces that end at a column as tabs.
fn contracted(text: &[u8], every: usize) -> Vec<u8> {
    each(text, |line| {
        let mut out: Vec<u8> = Vec::with_capacity(line.len());
        for (at, byte) in line.iter().enumerate() {
            out.push(*byte);
            if (at + 1) % every == 0 && *byte == b' ' {
                let run = out
                    .iter()
                    .rev()
                    .take_while(|b| **b == b' ')
                    .count()
                    .min(every);
                if run > 1 {
                    out.truncate(out.len() - run);
                    out.push(b'\t');
                }
            }
        }
        Some(Cow::Owned(out))
    })
}

fn spaces_to_tabs(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        let run = line[at..].iter().take_while(|b| **b == b' ').count();
        match run {
            0 | 1 => {
                out.push(line[at]);
                at += 1;
            }
            _ => {
                out.push(b'\t');
                at += run;
            }
        }
    }
    out
}

/// A space at the end of each line that a line of the same paragraph follows.
fn flowed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    let mut at = 0;
    while at < text.len() {
        let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
        let line = &text[at..end];
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        let next = &text[end..];
        let flows = !content.is_empty() && !next.is_empty() && !next.starts_with(b"\r\n");
        out.extend_from_slice(content);
        if (flows && !content.ends_with(b" ") && content != b"--") || content == b"--" {
            out.push(b' ');
        }
        out.extend_from_slice(&line[content.len()..]);
        at = end;
    }
    out
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

/// Links without the scanner that they lead through.
fn unscanned(text: &[u8]) -> Vec<u8> {
    const SCANNER: &[u8] = b".safelinks.protection.outlook.com/?url=";
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(text, SCANNER) {
        let start = text[..at]
            .iter()
            .rposition(|b| *b == b'/')
            .map(|slash| slash + 1);
        let start = start.and_then(|at| text[..at].strip_suffix(b"https://").map(<[u8]>::len));
        let Some(start) = start.filter(|start| *start >= from) else {
            continue;
        };
        let link = &text[at + SCANNER.len()..];
        let stops = |b: &u8| {
            matches!(
                b,
                b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'<' | b'>' | b'\'' | b')'
            )
        };
        let len = link.iter().position(stops).unwrap_or(link.len());
        let target = &link[..link[..len].iter().position(|b| *b == b'&').unwrap_or(len)];
        out.extend_from_slice(&text[from..start]);
        out.extend(percent_decoded(target));
        from = at + SCANNER.len() + len;
    }
    out.extend_from_slice(&text[from..]);
    out
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let hex = text
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex
            .filter(|_| text[at] == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(text[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    out
}
