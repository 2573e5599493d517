//! Text that may have been put in: where banners, footers and parts are known to stand.

use std::ops::Range;

use super::quoted::{STYLES, decode, decode_lines, encode, encode_lines};
use super::splice::{Piece, Splice, sorted};
use crate::explain::kind::Kind;
use crate::explain::lines::{Lines, line_end};
use crate::explain::mime::{Part, Structure};

/// So many lines of a banner or footer are thought of.
const MAX_LINES: usize = 400;
/// So many cuts are thought of, in all parts together.
const MAX_CUTS: usize = 60_000;
/// So many places within lines of a part.
const MAX_PLACES: usize = 1500;

/// What stands at the beginning of the body, at either end of a part, around tags of HTML, and whole parts.
pub(super) fn likely(lines: &Lines<'_>, structure: &Structure) -> Vec<Splice> {
    let mut cuts = Vec::new();
    delimited(lines, structure, &mut cuts);
    heads(0..lines.len(), Kind::TextPrepended, MAX_LINES, &mut cuts);
    let multipart = structure.is_multipart();
    let mut room = MAX_ENCODED_SUM;
    for part in structure.leaves().filter(|part| part.is_text()) {
        if cuts.len() > MAX_CUTS {
            break;
        }
        if multipart {
            ends(lines, part, MAX_LINES, &mut cuts);
            within_last_line(lines, part, &mut cuts);
        }
        if part.encoding == "base64" {
            encoded(lines, part, &mut room, &mut cuts);
            continue;
        }
        if part.encoding == "quoted-printable" {
            quoted(lines, part, &mut room, &mut cuts);
        }
        if part.media_type == "text/html" || looks_like_html(&lines.text[part.body.clone()]) {
            around_tags(lines, part, &mut cuts);
        }
    }
    sorted(cuts.into_iter())
}

/// The likeliest of these.
pub(super) fn few(lines: &Lines<'_>, structure: &Structure) -> Vec<Splice> {
    let mut cuts = Vec::new();
    heads(0..lines.len(), Kind::TextPrepended, 40, &mut cuts);
    delimited(lines, structure, &mut cuts);
    if structure.is_multipart() {
        for part in structure.leaves().filter(|part| part.is_text()) {
            ends(lines, part, 40, &mut cuts);
        }
    }
    sorted(cuts.into_iter())
}

/// Every run of lines, where the body is short enough.
pub(super) fn blocks(lines: &Lines<'_>) -> Vec<Splice> {
    let count = lines.len();
    if count > 1500 {
        return Vec::new();
    }
    let from = |start: usize| {
        (start + 1..count + 1).map(move |end| Splice::out(Kind::TextInserted, start..end))
    };
    (0..count).flat_map(from).collect()
}

/// The first lines of a range, more and more of them.
fn heads(range: Range<usize>, kind: Kind, most: usize, cuts: &mut Vec<Splice>) {
    let last = range.end.min(range.start + most);
    cuts.extend((range.start + 1..=last).map(|end| Splice::out(kind, range.start..end)));
}

/// What stands at the beginning and at the end of a part.
fn ends(lines: &Lines<'_>, part: &Part, most: usize, cuts: &mut Vec<Splice>) {
    let (first, last) = (lines.at(part.body.start), lines.at(part.end));
    heads(first..last, Kind::TextInserted, most, cuts);
    for start in first.max(last.saturating_sub(most))..last {
        cuts.push(Splice::out(Kind::TextInserted, start..last));
        // The CRLF before the delimiter is the delimiter's: there may have been one more of them.
        cuts.push(Splice::put(
            Kind::TextInserted,
            start..last,
            vec![Piece::Put(b"\r\n")],
        ));
    }
    // Nothing was taken out, and a line end came or went before the delimiter.
    cuts.push(Splice::put(
        Kind::BlankLinesRemoved,
        last..last,
        vec![Piece::Put(b"\r\n")],
    ));
}

/// A footer that continues the last line of a part.
fn within_last_line(lines: &Lines<'_>, part: &Part, cuts: &mut Vec<Splice>) {
    let start = part
        .body
        .end
        .saturating_sub(MAX_PLACES)
        .max(part.body.start);
    for at in start..part.body.end {
        if lines.start(lines.at(at)) != at {
            cuts.push(Splice::cut(Kind::TextInserted, lines, at..part.body.end));
        }
    }
}

/// Whole parts, and what else stands between two delimiters.
fn delimited(lines: &Lines<'_>, structure: &Structure, cuts: &mut Vec<Splice>) {
    let places = &structure.delimiters;
    let near = places.iter().enumerate().take(60);
    for (nth, start) in near {
        for end in places.iter().skip(nth + 1).take(12) {
            let range = lines.at(*start)..lines.at(*end);
            cuts.push(Splice::out(Kind::PartAdded, range.clone()));
            cuts.push(Splice::put(
                Kind::PartAdded,
                range,
                vec![Piece::Put(b"\r\n")],
            ));
        }
    }
    // What was put before the first delimiter, or behind a closing one.
    if let (Some(first), Some(last)) = (places.first(), places.last()) {
        let (first, last) = (lines.at(*first), lines.at(*last));
        for start in 0..first.min(60) {
            cuts.push(Splice::out(Kind::TextInserted, start..first));
        }
        for start in last + 1..(last + 60).min(lines.len()) {
            cuts.push(Splice::out(Kind::TextAppended, start..lines.len()));
        }
    }
}

fn looks_like_html(text: &[u8]) -> bool {
    let start = &text[..text.len().min(2000)];
    memchr::memmem::find(&start.to_ascii_lowercase(), b"<html").is_some()
}

/// A banner behind `<body>`, and a footer before `</body>` and what else closes.
fn around_tags(lines: &Lines<'_>, part: &Part, cuts: &mut Vec<Splice>) {
    let from = part.body.start;
    for range in tagged(&lines.text[part.body.clone()]) {
        let bytes = from + range.start..from + range.end;
        cuts.push(Splice::cut(Kind::TextInserted, lines, bytes));
    }
}

/// What may have been put into HTML: it begins and ends with tags or lines.
fn tagged(text: &[u8]) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut starts = vec![0];
    for tag in OPENING {
        let found = memchr::memmem::find(&lower, tag);
        let end = found.and_then(|at| Some(at + memchr::memchr(b'>', &lower[at..])? + 1));
        starts.extend(found.into_iter().chain(end));
    }
    let mut ends = vec![text.len()];
    for tag in CLOSING {
        let found = memchr::memmem::rfind(&lower, tag);
        ends.extend(found.into_iter().chain(found.map(|at| at + tag.len())));
    }
    let places = tag_places(text);
    let mut out = Vec::new();
    for start in starts {
        for start in with_line_ends(text, start) {
            let behind = places.iter().filter(|place| **place > start);
            out.extend(behind.take(MAX_PLACES).map(|place| start..*place));
        }
    }
    for end in ends {
        let before = places.iter().rev().filter(|place| **place < end);
        out.extend(before.take(MAX_PLACES).map(|place| *place..end));
    }
    out
}

const OPENING: [&[u8]; 7] = [
    b"<body",
    b"<html",
    b"<head",
    b"</head>",
    b"<div",
    b"<!doctype",
    b"<table",
];
const CLOSING: [&[u8]; 6] = [
    b"</body>",
    b"</html>",
    b"</div>",
    b"</p>",
    b"</td>",
    b"</table>",
];

/// What may have been put into a part while it was decoded: it was encoded anew behind that.
fn encoded(lines: &Lines<'_>, part: &Part, room: &mut usize, cuts: &mut Vec<Splice>) {
    let body = &lines.text[part.body.start..part.end];
    let Some((content, behind)) = decode_lines(body) else {
        return;
    };
    if content.len() > MAX_ENCODED {
        return;
    }
    let width = line_end(body).map_or(76, |end| end - 2);
    let html = part.media_type == "text/html" || looks_like_html(&content);
    let encode = |rest: &[u8]| [&encode_lines(rest, width), behind].concat();
    without(lines, part, &content, html, &encode, room, cuts);
}

/// The same in quoted-printable, written as the rest of the part is.
fn quoted(lines: &Lines<'_>, part: &Part, room: &mut usize, cuts: &mut Vec<Splice>) {
    let body = &lines.text[part.body.clone()];
    let content = decode(body);
    if content.len() > MAX_ENCODED {
        return;
    }
    let behind = &lines.text[part.body.end..part.end];
    let html = part.media_type == "text/html" || looks_like_html(&content);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for style in STYLES {
        // Styles that differ nowhere in this text are one.
        let written = encode(&content, *style);
        if written != body || seen.len() == MAX_STYLES {
            continue;
        }
        // What they differ in may be in what is left.
        let sample = encode(&content[content.len() / 2..], *style);
        if seen.contains(&sample) {
            continue;
        }
        seen.push(sample);
        let encode = |rest: &[u8]| [&encode(rest, *style), behind].concat();
        without(lines, part, &content, html, &encode, room, cuts);
    }
}

/// So many ways to write the same text are tried.
const MAX_STYLES: usize = 3;

/// The content of a part without what may have been put into it, encoded again.
fn without(
    lines: &Lines<'_>,
    part: &Part,
    content: &[u8],
    html: bool,
    encode: &dyn Fn(&[u8]) -> Vec<u8>,
    room: &mut usize,
    cuts: &mut Vec<Splice>,
) {
    let mut ranges = if html { tagged(content) } else { Vec::new() };
    let starts: Vec<usize> = memchr::memchr_iter(b'\n', content)
        .map(|lf| lf + 1)
        .collect();
    ranges.extend(starts.iter().take(MAX_LINES).map(|end| 0..*end));
    ranges.extend(
        starts
            .iter()
            .rev()
            .take(MAX_LINES)
            .map(|start| *start..content.len()),
    );
    // A last line without a line end, and what was put behind it.
    ranges.extend(starts.iter().rev().take(MAX_LINES).map(|start| {
        let end = content[..*start]
            .strip_suffix(b"\r\n")
            .or(content[..*start].strip_suffix(b"\n"));
        end.map_or(*start, <[u8]>::len)..content.len()
    }));
    let place = lines.at(part.body.start)..lines.at(part.end);
    for range in ranges {
        if *room < 2 * content.len() {
            return;
        }
        *room -= 2 * content.len();
        let rest = [&content[..range.start], &content[range.end..]].concat();
        cuts.push(Splice::put(
            Kind::TextInserted,
            place.clone(),
            vec![Piece::Made(encode(&rest))],
        ));
    }
}

/// Longer parts are not encoded anew for every line.
const MAX_ENCODED: usize = 100_000;
/// Nor are more bytes than these.
const MAX_ENCODED_SUM: usize = 24 << 20;

/// A place, and the one behind the line end that stands there.
fn with_line_ends(text: &[u8], at: usize) -> Vec<usize> {
    match text[at..].starts_with(b"\r\n") {
        true => vec![at, at + 2],
        false => vec![at],
    }
}

/// Where tags and lines begin and end.
fn tag_places(text: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'<' => places.push(at),
            b'>' | b'\n' => places.push(at + 1),
            b'\r' if text.get(at + 1) == Some(&b'\n') => places.push(at),
            _ => {}
        }
        if places.len() > 4 * MAX_PLACES {
            break;
        }
    }
    places.dedup();
    places
}
