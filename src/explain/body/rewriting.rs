//! What is known to be done to all lines of a text alike, undone.

use std::borrow::Cow;

use super::links;
use crate::explain::bytes::{replaced, trimmed};
use crate::explain::kind::Kind;
use crate::explain::lines::line_end;
use crate::explain::reading::{BOM, doubled, from_cr, with_crlf};

/// A rewriting of a text, and how to undo it.
#[derive(Clone, Copy)]
pub(super) struct Rewriting {
    pub(super) kind: Kind,
    pub(super) detail: &'static str,
    pub(super) undo: fn(&[u8]) -> Vec<u8>,
}

const fn rewriting(kind: Kind, detail: &'static str, undo: fn(&[u8]) -> Vec<u8>) -> Rewriting {
    Rewriting { kind, detail, undo }
}

/// What is done to all lines alike, undone.
pub(super) const ALL: &[Rewriting] = &[
    rewriting(Kind::FromQuoted, "", |text| each(text, unquoted)),
    rewriting(Kind::DotsLeft, "", |text| {
        each(text, |line| {
            line.strip_prefix(b".")
                .filter(|rest| rest.starts_with(b"."))
                .map(Cow::Borrowed)
        })
    }),
    rewriting(Kind::TrailingBlanksAdded, "", |text| {
        each(text, |line| Some(Cow::Borrowed(trimmed(line))))
    }),
    rewriting(Kind::TrailingBlanksAdded, "", |text| {
        each(text, |line| {
            // The line before a signature of the sender's ends with a space.
            (trimmed(line) != b"--").then(|| Cow::Borrowed(trimmed(line)))
        })
    }),
    rewriting(Kind::TrailingBlanksAdded, "", |text| {
        each(text, |line| line.strip_suffix(b" ").map(Cow::Borrowed))
    }),
    rewriting(Kind::ByteOrderMark, "it came", |text| {
        text.strip_prefix(BOM).unwrap_or(text).to_vec()
    }),
    rewriting(Kind::ByteOrderMark, "it went", |text| [BOM, text].concat()),
    rewriting(Kind::LineEnds, "LF for CRLF", |text| {
        with_crlf(text).into_owned()
    }),
    rewriting(Kind::LineEnds, "CRLF for CR at the end", |text| {
        text.strip_suffix(b"\n").unwrap_or(text).to_vec()
    }),
    rewriting(Kind::LineEnds, "CR for CRLF", from_cr),
    rewriting(Kind::LineEnds, "CR CR LF for CRLF", doubled),
    rewriting(Kind::LineEnds, "CRLF for CR", |text| {
        replaced(text, b"\r\n", b"\r")
    }),
    rewriting(Kind::LineEnds, "CRLF for LF", |text| {
        replaced(text, b"\r\n", b"\n")
    }),
    rewriting(Kind::LineEnds, "a CR alone was added", |text| {
        let bare = |at: usize| text[at] == b'\r' && text.get(at + 1) != Some(&b'\n');
        (0..text.len())
            .filter(|at| !bare(*at))
            .map(|at| text[at])
            .collect()
    }),
    rewriting(
        Kind::BlankLinesAdded,
        "behind every line",
        without_every_second,
    ),
    rewriting(Kind::BlankLinesAdded, "before the body", |text| {
        text.strip_prefix(b"\r\n").unwrap_or(text).to_vec()
    }),
    rewriting(Kind::BlankLinesAdded, "each empty line twice", |text| {
        runs(text, |run| run.div_ceil(2))
    }),
    rewriting(
        Kind::BlankLinesAdded,
        "one more wherever there were some",
        |text| runs(text, |run| run.max(2) - 1),
    ),
    rewriting(Kind::BlankLinesAdded, "between all paragraphs", |text| {
        runs(text, |_| 0)
    }),
    rewriting(Kind::BlankLinesRemoved, "before the body", |text| {
        [b"\r\n", text].concat()
    }),
    rewriting(Kind::BlankLinesRemoved, "half of each run", |text| {
        runs(text, |run| run * 2)
    }),
    rewriting(
        Kind::BlankLinesRemoved,
        "one wherever there were some",
        |text| runs(text, |run| run + 1),
    ),
    rewriting(Kind::BlankLinesRemoved, "behind every line", |text| {
        replaced(text, b"\r\n", b"\r\n\r\n")
    }),
    rewriting(Kind::Tabs, "tabs for single spaces", |text| {
        replaced(text, b"\t", b" ")
    }),
    rewriting(Kind::Tabs, "tabs for two spaces", |text| {
        replaced(text, b"\t", b"  ")
    }),
    rewriting(Kind::Tabs, "tabs for four spaces", |text| {
        replaced(text, b"\t", b"    ")
    }),
    rewriting(Kind::Tabs, "tabs for eight spaces", |text| {
        replaced(text, b"\t", b"        ")
    }),
    rewriting(
        Kind::Tabs,
        "tabs for spaces up to each eighth column",
        |text| expanded(text, 8),
    ),
    rewriting(
        Kind::Tabs,
        "tabs for spaces up to each fourth column",
        |text| expanded(text, 4),
    ),
    rewriting(Kind::Tabs, "eight spaces for tabs", |text| {
        replaced(text, b"        ", b"\t")
    }),
    rewriting(Kind::Tabs, "four spaces for tabs", |text| {
        replaced(text, b"    ", b"\t")
    }),
    rewriting(Kind::Tabs, "two spaces for tabs", |text| {
        replaced(text, b"  ", b"\t")
    }),
    rewriting(Kind::Tabs, "spaces for tabs", |text| {
        replaced(text, b" ", b"\t")
    }),
    rewriting(
        Kind::Tabs,
        "spaces up to each eighth column for tabs",
        |text| contracted(text, 8),
    ),
    rewriting(
        Kind::Tabs,
        "spaces up to each fourth column for tabs",
        |text| contracted(text, 4),
    ),
    rewriting(
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
    rewriting(Kind::Tabs, "runs of spaces for tabs", |text| {
        each(text, |line| Some(Cow::Owned(spaces_to_tabs(line))))
    }),
    rewriting(
        Kind::TrailingBlanksRemoved,
        "behind the two dashes of a signature",
        |text| {
            each(text, |line| {
                (line == b"--").then_some(Cow::Borrowed(b"-- "))
            })
        },
    ),
    rewriting(
        Kind::TrailingBlanksRemoved,
        "at lines that flow (RFC 3676)",
        flowed,
    ),
    rewriting(Kind::TrailingBlanksRemoved, "at every line", |text| {
        each(text, |line| Some(Cow::Owned([line, b" "].concat())))
    }),
    rewriting(
        Kind::TrailingBlanksRemoved,
        "at every line of text",
        |text| {
            each(text, |line| {
                (!line.is_empty()).then(|| Cow::Owned([line, b" "].concat()))
            })
        },
    ),
    rewriting(Kind::TrailingBlanksRemoved, "on empty lines", |text| {
        each(text, |line| line.is_empty().then_some(Cow::Borrowed(b" ")))
    }),
    rewriting(Kind::FromUnquoted, "", |text| {
        each(text, |line| {
            let quotes = line.iter().take_while(|b| **b == b'>').count();
            line[quotes..]
                .starts_with(b"From ")
                .then(|| Cow::Owned([b">", line].concat()))
        })
    }),
    rewriting(Kind::DotsTaken, "", |text| {
        each(text, |line| {
            line.starts_with(b".")
                .then(|| Cow::Owned([b".", line].concat()))
        })
    }),
    rewriting(Kind::DotsLeft, "", |text| {
        each(text, |line| line.strip_prefix(b".").map(Cow::Borrowed))
    }),
    rewriting(Kind::NoBreakSpaces, "spaces for no-break spaces", |text| {
        replaced(text, b" ", b"\xc2\xa0")
    }),
    rewriting(Kind::NoBreakSpaces, "no-break spaces for spaces", |text| {
        replaced(text, b"\xc2\xa0", b" ")
    }),
    rewriting(Kind::NoBreakSpaces, "&nbsp; for spaces", |text| {
        replaced(text, b"&nbsp;", b" ")
    }),
    rewriting(Kind::NoBreakSpaces, "&nbsp; for no-break spaces", |text| {
        replaced(text, b"&nbsp;", b"\xc2\xa0")
    }),
    rewriting(Kind::Links, "", links::of_text),
    rewriting(Kind::Links, "", links::of_html),
    rewriting(
        Kind::Links,
        "through a host that is not known to be a scanner's",
        links::of_any,
    ),
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

fn unquoted(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let quotes = line.iter().take_while(|b| **b == b'>').count();
    let quoted = quotes > 0 && line[quotes..].starts_with(b"From ");
    quoted.then(|| Cow::Borrowed(&line[1..]))
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
        if content == b"--" || flows && !content.ends_with(b" ") {
            out.push(b' ');
        }
        out.extend_from_slice(&line[content.len()..]);
        at = end;
    }
    out
}
