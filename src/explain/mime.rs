//! Where the parts of a MIME body stand (RFC 2045, 2046), in the bytes as they came.

use std::ops::Range;

use super::bytes;
use super::lines::line_end;
use crate::message::is_wsp;

/// A body with its parts.
#[derive(Debug, Default)]
pub(super) struct Structure {
    /// All parts, also those that hold others, in the order in which they begin.
    pub(super) parts: Vec<Part>,
    /// Where the delimiter lines begin.
    pub(super) delimiters: Vec<usize>,
}

/// A part of a multipart body, or the whole body of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its header, with the CRLF of its last line.
    pub(super) header: Range<usize>,
    /// Its body, up to the CRLF that belongs to the delimiter.
    pub(super) body: Range<usize>,
    /// What the delimiter begins with: the CRLF.
    pub(super) end: usize,
    /// Its media type in small letters.
    pub(super) media_type: String,
    /// The value of charset in small letters.
    pub(super) charset: Option<String>,
    /// Content-Transfer-Encoding in small letters.
    pub(super) encoding: String,
    /// Whether it holds parts.
    pub(super) multipart: bool,
}

/// More parts are not looked at.
const MAX_PARTS: usize = 200;
/// Nor deeper ones.
const MAX_DEPTH: usize = 12;

impl Structure {
    /// Finds the parts of `body`, whose own fields are in `header`.
    pub(super) fn of(header: &[u8], body: &[u8]) -> Structure {
        let whole = Part::new(header, 0..0, 0..body.len(), body.len());
        let mut structure = Structure::default();
        let boundary = whole.boundary(header);
        let boundary = boundary.map(|declared| as_it_stands(declared, body));
        let Some(boundary) = boundary else {
            structure.parts.push(whole);
            return structure;
        };
        structure.parts.push(whole);
        let mut open = vec![(boundary, None::<usize>)];
        let mut at = 0;
        while at < body.len() && structure.parts.len() < MAX_PARTS {
            let end = line_end(&body[at..]).map_or(body.len(), |end| at + end);
            if !body[at..end].starts_with(b"--") {
                at = end;
                continue;
            }
            let line = body[at..end].trim_ascii_end();
            let found = open
                .iter()
                .enumerate()
                .rev()
                .find_map(|(depth, (boundary, _))| {
                    let rest = line[2..].strip_prefix(boundary.as_slice())?;
                    matches!(rest, b"" | b"--").then_some((depth, rest == b"--"))
                });
            let Some((depth, closing)) = found else {
                at = end;
                continue;
            };
            // What was open below that depth, and the part before this delimiter, end here.
            for (_, part) in &open[depth..] {
                if let Some(part) = part {
                    structure.parts[*part].finish(at, body);
                }
            }
            open.truncate(depth + 1);
            structure.delimiters.push(at);
            open[depth].1 = None;
            if closing {
                open.truncate(depth.max(1));
                if depth == 0 {
                    break;
                }
                at = end;
                continue;
            }
            let header_end = header_end(&body[end..]);
            let fields = end..end + header_end.0;
            let start = end + header_end.1;
            let part = Part::new(
                &body[fields.clone()],
                fields.clone(),
                start..body.len(),
                body.len(),
            );
            let inner = part.boundary(&body[fields]);
            structure.parts.push(part);
            open[depth].1 = Some(structure.parts.len() - 1);
            if let Some(inner) = inner
                && open.len() < MAX_DEPTH
            {
                open.push((inner, None));
            }
            at = start;
        }
        structure
    }

    /// The parts that hold no others.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| !part.multipart)
    }

    /// Whether there is more than one part.
    pub(super) fn is_multipart(&self) -> bool {
        self.parts.len() > 1
    }
}

impl Part {
    fn new(fields: &[u8], header: Range<usize>, body: Range<usize>, end: usize) -> Part {
        let kind = field(fields, "content-type").unwrap_or_default();
        let media_type = kind.split(|b| *b == b';').next().unwrap_or_default();
        let media_type = text(media_type);
        let encoding = field(fields, "content-transfer-encoding").unwrap_or_default();
        Part {
            header,
            body,
            end,
            charset: parameter(&kind, "charset").map(|value| text(&value)),
            multipart: media_type.starts_with("multipart/"),
            media_type,
            encoding: text(&encoding),
        }
    }

    fn boundary(&self, fields: &[u8]) -> Option<Vec<u8>> {
        if !self.multipart {
            return None;
        }
        parameter(&field(fields, "content-type")?, "boundary").filter(|b| !b.is_empty())
    }

    /// Ends at the delimiter that begins at `delimiter`.
    fn finish(&mut self, delimiter: usize, body: &[u8]) {
        self.end = delimiter;
        let before = &body[..delimiter];
        let end = before.strip_suffix(b"\r\n").map_or(delimiter, <[u8]>::len);
        self.body.end = end.max(self.body.start);
    }

    /// Whether text stands in it.
    pub(super) fn is_text(&self) -> bool {
        self.media_type.is_empty() || self.media_type.starts_with("text/")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_ascii_lowercase()
}

/// The length of a header, and of it with the empty line behind it.
fn header_end(bytes: &[u8]) -> (usize, usize) {
    if bytes.starts_with(b"\r\n") {
        return (0, 2);
    }
    match memchr::memmem::find(bytes, b"\r\n\r\n") {
        Some(at) => (at + 2, at + 4),
        None => (bytes.len(), bytes.len()),
    }
}

/// The value of the first field of this name, unfolded.
pub(super) fn field(fields: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut at = 0;
    while at < fields.len() {
        let end = field_end(&fields[at..]) + at;
        let line = &fields[at..end];
        let colon = line.iter().position(|b| *b == b':').unwrap_or(0);
        if line[..colon]
            .trim_ascii_end()
            .eq_ignore_ascii_case(name.as_bytes())
        {
            let value = &line[colon + 1..];
            return Some(
                value
                    .iter()
                    .copied()
                    .filter(|b| !matches!(b, b'\r' | b'\n'))
                    .collect(),
            );
        }
        at = end;
    }
    None
}

/// The length of the first field, with its folds and its CRLF.
pub(super) fn field_end(fields: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += line_end(&fields[at..]).unwrap_or(fields.len() - at);
        if !fields.get(at).is_some_and(|b| is_wsp(*b)) {
            return at;
        }
    }
}

/// The value of a parameter, without its quotes.
pub(super) fn parameter(value: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut rest = value;
    loop {
        rest = &rest[next_semicolon(rest)? + 1..];
        let item = rest.trim_ascii_start();
        let equals = item.iter().position(|b| matches!(b, b'=' | b';'))?;
        if item[equals] == b';'
            || !item[..equals]
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_bytes())
        {
            continue;
        }
        let value = item[equals + 1..].trim_ascii_start();
        let Some(quoted) = value.strip_prefix(b"\"") else {
            let end = value
                .iter()
                .position(|b| matches!(b, b';' | b' ' | b'\t' | b'('));
            return Some(value[..end.unwrap_or(value.len())].to_vec());
        };
        let mut out = Vec::new();
        let mut bytes = quoted.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => out.extend(bytes.next()),
                _ => out.push(*byte),
            }
        }
        return Some(out);
    }
}

/// The first semicolon outside of quotes.
fn next_semicolon(value: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    value.iter().position(|byte| {
        let literal = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !literal => escaped = true,
            b'"' if !literal => quoted = !quoted,
            b';' => return !quoted,
            _ => {}
        }
        false
    })
}

/// The boundary that the body is cut with, where the header has another: it may have been folded within, or be that
/// of a structure that is gone.
fn as_it_stands(declared: Vec<u8>, body: &[u8]) -> Vec<u8> {
    let delimits = |boundary: &[u8]| {
        !boundary.is_empty() && {
            let line = [b"--", boundary].concat();
            let mut places = memchr::memmem::find_iter(body, &line);
            places.any(|at| at == 0 || body[at - 1] == b'\n')
        }
    };
    if delimits(&declared) {
        return declared;
    }
    let squeezed = bytes::squeezed(&declared);
    if delimits(&squeezed) {
        return squeezed;
    }
    // One of the first lines that look like a delimiter, which closes something later.
    const LINES: usize = 200;
    const CANDIDATES: usize = 4;
    let (mut at, mut seen) = (0, 0);
    for _ in 0..LINES {
        let end = line_end(&body[at..]).map_or(body.len(), |end| at + end);
        let line = body[at..end].trim_ascii_end();
        if let Some(boundary) = line.strip_prefix(b"--")
            && (8..=70).contains(&boundary.len())
        {
            seen += 1;
            let closing = [b"\n", line, b"--"].concat();
            if memchr::memmem::find(&body[end.saturating_sub(1)..], &closing).is_some() {
                return boundary.to_vec();
            }
        }
        at = end;
        if at == body.len() || seen == CANDIDATES {
            break;
        }
    }
    declared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_where_their_delimiters_say() {
        let header = b"Content-Type: multipart/mixed;\r\n boundary=\"a;b\"\r\n";
        let body = b"pre\r\n--a;b\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n\
            --in\r\n\r\nplain\r\n--in\r\nContent-Type: TEXT/html; charset=\"UTF-8\"\r\n\
            Content-Transfer-Encoding: 8bit\r\n\r\n<p>\r\n--in--\r\n\r\n--a;b--\r\nend\r\n";
        let found = Structure::of(header, body);
        let bodies: Vec<&[u8]> = found.leaves().map(|p| &body[p.body.clone()]).collect();
        assert_eq!(bodies, [&b"plain"[..], b"<p>"]);
        let html = found.leaves().nth(1).unwrap();
        assert_eq!(
            (html.media_type.as_str(), html.encoding.as_str()),
            ("text/html", "8bit")
        );
        assert_eq!(html.charset.as_deref(), Some("utf-8"));
        assert_eq!(&body[html.end..html.end + 6], b"--in--");
        assert_eq!((found.parts.len(), found.delimiters.len()), (4, 5));
    }

    #[test]
    fn a_body_without_parts_is_one() {
        let found = Structure::of(b"Content-Type: text/plain\r\n", b"x\r\n");
        assert_eq!((found.parts.len(), &found.parts[0].body), (1, &(0..3)));
        assert!(!found.is_multipart());
        assert_eq!(
            parameter(b"a/b; c=\"d;e\\\"f\"; G = h ; i", "g"),
            Some(b"h".to_vec())
        );
        assert_eq!(
            parameter(b"a/b; c=\"d;e\\\"f\"; G = h ; i", "c"),
            Some(b"d;e\"f".to_vec())
        );
        assert_eq!(parameter(b"a/b; c", "c"), None);
    }
}
