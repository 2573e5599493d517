//! What befalls the lines of a body: blanks, tabs, empty lines, quoting and cutting.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, edit};
use crate::coding::{cut_end, lines_of};
use crate::mail::Mail;
use crate::random::Random;
use crate::signing::Plan;

pub(super) const EDITS: [Edit; 15] = [
    edit("empty lines added", &[Kind::BlankLinesAdded], empty_added),
    edit(
        "lines doubled",
        &[Kind::BlankLinesAdded, Kind::LineEnds],
        doubled,
    ),
    edit(
        "leading empty lines dropped",
        &[Kind::BlankLinesRemoved],
        leading_dropped,
    ),
    edit("empty lines squeezed", &[Kind::BlankLinesRemoved], squeezed),
    edit(
        "trailing blanks added",
        &[Kind::TrailingBlanksAdded],
        blanks_added,
    ),
    edit(
        "trailing blanks stripped",
        &[Kind::TrailingBlanksRemoved],
        blanks_stripped,
    ),
    edit("tabs expanded", &[Kind::Tabs], tabs_expanded),
    edit("spaces to tabs", &[Kind::Tabs], spaces_to_tabs),
    edit("From quoted", &[Kind::FromQuoted], from_quoted),
    edit("From unquoted", &[Kind::FromUnquoted], from_unquoted),
    edit("dots left in", &[Kind::DotsLeft], dots_left),
    edit("dots taken", &[Kind::DotsTaken], dots_taken),
    edit("wrapped with CRLF SP", &[Kind::LinesWrapped], wrapped),
    edit("cut with CRLF", &[Kind::LinesWrapped], cut),
    edit("cut with ! CRLF SP", &[Kind::LinesWrapped], cut_as_sendmail),
];

fn each_line(body: &[u8], mut change: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines_of(body) {
        let (text, end) = cut_end(line);
        out.extend_from_slice(&change(text));
        out.extend_from_slice(end);
    }
    out
}

/// Puts the changed body in, if it is another.
fn put(mail: &mut Mail, body: Vec<u8>, fate: Fate) -> Option<Fate> {
    if body == mail.body {
        return None;
    }
    mail.body = body;
    Some(fate)
}

fn empty_added(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let at = match rng.below(4) {
        0 | 1 => 0,
        2 => mail.closing()?,
        _ => {
            // Behind a paragraph or a part's header.
            let ends: Vec<usize> = (0..mail.body.len())
                .filter(|at| mail.body[*at..].starts_with(b"\r\n\r\n"))
                .collect();
            if ends.is_empty() {
                return None;
            }
            *rng.pick(&ends) + 4
        }
    };
    let count = 1 + rng.below(2);
    mail.body.splice(at..at, b"\r\n".repeat(count));
    Some(Undoable)
}

fn doubled(_: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let body = String::from_utf8_lossy(&mail.body).into_owned();
    if body.as_bytes() != mail.body || mail.body.len() > 100_000 {
        return None;
    }
    put(
        mail,
        body.replace("\r\n", "\r\n\r\n").into_bytes(),
        Undoable,
    )
}

fn leading_dropped(_: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let mut body = mail.body.as_slice();
    while let Some(rest) = body.strip_prefix(b"\r\n") {
        body = rest;
    }
    let body = body.to_vec();
    put(mail, body, Undoable)
}

/// Runs of empty lines become one; how many there were can be tried for one run, not for many.
fn squeezed(_: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let mut out = Vec::new();
    let (mut before, mut runs) = (false, 0);
    for line in lines_of(&mail.body) {
        let empty = line == b"\r\n";
        if empty && before {
            runs += usize::from(!out.ends_with(b"\r\n\r\n\r\n") && !out.is_empty());
            continue;
        }
        before = empty;
        out.extend_from_slice(line);
    }
    let len = mail.body.len();
    let gone = len - out.len();
    put(mail, out, Fate::of(runs <= 1 || gone <= 2))
}

fn blanks_added(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let kind = rng.below(3);
    let bare = |line: &[u8]| line.last().is_none_or(|b| !matches!(b, b' ' | b'\t'));
    let all_bare = lines_of(&mail.body).all(|line| bare(cut_end(line).0));
    let (body, fate) = match kind {
        // A blank at the end of each line.
        0 => (
            each_line(&mail.body, |line| [line, b" "].concat()),
            Undoable,
        ),
        // Empty lines get one.
        1 => (
            each_line(&mail.body, |line| {
                if line.is_empty() {
                    b" ".to_vec()
                } else {
                    line.to_vec()
                }
            }),
            Fate::of(all_bare || lines_of(&mail.body).all(|line| cut_end(line).0 != b" ")),
        ),
        // Records of 80 columns.
        _ => (
            each_line(&mail.body, |line| {
                [
                    line,
                    " ".repeat(80usize.saturating_sub(line.len())).as_bytes(),
                ]
                .concat()
            }),
            Fate::of(all_bare),
        ),
    };
    put(mail, body, fate)
}

/// What was there is known where it is a signature's line, or where the text is flowed.
fn blanks_stripped(_: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let strip = |line: &[u8]| {
        let len = line
            .iter()
            .rposition(|b| !matches!(b, b' ' | b'\t'))
            .map_or(0, |at| at + 1);
        line[..len].to_vec()
    };
    let body = each_line(&mail.body, strip);
    let flowed = mail.text("Content-Type").contains("format=flowed");
    let lost = lines_of(&mail.body).filter(|line| {
        let (text, _) = cut_end(line);
        text != b"-- " && strip(text) != text
    });
    let lost: Vec<&[u8]> = lost.collect();
    let one = lost.len() == 1
        && cut_end(lost[0]).0.ends_with(b" ")
        && !cut_end(lost[0]).0.ends_with(b"  ");
    let fate = Fate::of(flowed || lost.is_empty() || one);
    put(mail, body, fate)
}

/// Each tab reaches to the next column that `width` divides.
fn expand(line: &[u8], width: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in line {
        match byte {
            b'\t' => out.resize((out.len() / width + 1) * width, b' '),
            _ => out.push(*byte),
        }
    }
    out
}

/// Runs of two and more blanks that end where a tab does become tabs, as unexpand(1) has it.
fn unexpand(line: &[u8], width: usize, leading_alone: bool) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut run = 0;
    let mut leading = true;
    for (at, byte) in line.iter().enumerate() {
        if *byte == b' ' && (leading || !leading_alone) {
            run += 1;
            if (at + 1).is_multiple_of(width) && run >= 2 {
                out.push(b'\t');
                run = 0;
            } else if (at + 1).is_multiple_of(width) {
                out.push(b' ');
                run = 0;
            }
            continue;
        }
        leading = false;
        out.extend(std::iter::repeat_n(b' ', run));
        run = 0;
        out.push(*byte);
    }
    out.extend(std::iter::repeat_n(b' ', run));
    out
}

fn tabs_expanded(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let old = mail.body.clone();
    let one = rng.below(3) == 0;
    let width = *rng.pick(&[8, 8, 4]);
    let body = match one {
        true => old
            .iter()
            .map(|b| if *b == b'\t' { b' ' } else { *b })
            .collect(),
        false => each_line(&old, |line| expand(line, width)),
    };
    let ways = [
        each_line(&body, |line| unexpand(line, width, false)),
        each_line(&body, |line| unexpand(line, width, true)),
        each_line(&body, |line| {
            let blanks = line.iter().take_while(|b| **b == b' ').count();
            [
                &b"\t".repeat(if one { blanks } else { 0 }),
                &line[if one { blanks } else { 0 }..],
            ]
            .concat()
        }),
    ];
    let fate = Fate::of(ways.contains(&old));
    put(mail, body, fate)
}

fn spaces_to_tabs(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let old = mail.body.clone();
    let leading_alone = rng.below(2) == 0;
    let body = each_line(&old, |line| unexpand(line, 8, leading_alone));
    let fate = Fate::of(each_line(&body, |line| expand(line, 8)) == old);
    put(mail, body, fate)
}

/// mbox: in front of `From ` alone, or of `>From ` too; behind an empty line, or anywhere.
fn from_quoted(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let (reversible, anywhere) = (rng.below(2) == 0, rng.below(3) > 0);
    let mut before_empty = true;
    let body = each_line(&mail.body, |line| {
        let marks = line.iter().take_while(|b| **b == b'>').count();
        let is_from = line[marks..].starts_with(b"From ") && (marks == 0 || reversible);
        let quoted = is_from && (before_empty || anywhere);
        before_empty = line.is_empty();
        [if quoted { &b">"[..] } else { b"" }, line].concat()
    });
    put(mail, body, Undoable)
}

fn from_unquoted(_: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let body = each_line(&mail.body, |line| {
        let inner = line
            .strip_prefix(b">")
            .filter(|rest| rest.starts_with(b"From "));
        inner.unwrap_or(line).to_vec()
    });
    put(mail, body, Undoable)
}

fn dots_left(_: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let dotted = |line: &[u8]| {
        [
            if line.starts_with(b".") {
                &b"."[..]
            } else {
                b""
            },
            line,
        ]
        .concat()
    };
    let body = each_line(&mail.body, dotted);
    put(mail, body, Undoable)
}

/// A line that still begins with a dot tells; of the others, one can be sought.
fn dots_taken(_: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let hidden = lines_of(&mail.body)
        .filter(|line| line.starts_with(b".") && !line.starts_with(b".."))
        .count();
    let told = lines_of(&mail.body)
        .filter(|line| line.starts_with(b".."))
        .count();
    let body = each_line(&mail.body, |line| {
        line.strip_prefix(b".").unwrap_or(line).to_vec()
    });
    put(
        mail,
        body,
        Fate::of(hidden == 0 || hidden == 1 && told == 0),
    )
}

/// Lines of over `limit` octets are cut; what is put in counts for the line behind it where `counted` says so.
fn cut_lines(body: &[u8], limit: usize, mark: &[u8], counted: usize) -> Vec<u8> {
    each_line(body, |line| {
        let mut out = Vec::new();
        let (mut rest, mut room) = (line, limit);
        while rest.len() > room {
            out.extend_from_slice(&rest[..room]);
            out.extend_from_slice(mark);
            rest = &rest[room..];
            room = limit - counted;
        }
        out.extend_from_slice(rest);
        out
    })
}

/// Postfix cuts behind 998 octets, before 2.9 behind 990, and counts the blank that it adds; others do not.
fn wrapped(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let limit = *rng.pick(&[998, 998, 990]);
    let counted = rng.below(2);
    let body = cut_lines(&mail.body, limit, b"\r\n ", counted);
    put(mail, body, Undoable)
}

fn cut(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let limit = *rng.pick(&[998, 1000, 990, 2048]);
    let body = cut_lines(&mail.body, limit, b"\r\n", 0);
    put(mail, body, Undoable)
}

/// Sendmail ends the line it cuts with an exclamation mark.
fn cut_as_sendmail(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let limit = *rng.pick(&[989, 990, 2040]);
    let body = cut_lines(&mail.body, limit, b"!\r\n ", 1);
    put(mail, body, Undoable)
}
