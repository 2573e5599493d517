//! The parts of a message, as its lines go by (RFC 2045, 2046).

use super::content::{Encoding, Entity, is_boundary};
use super::header::bytes as header_bytes;
use super::leaf::{Leaf, Line, shown};
use super::{Fault, Finding, Findings, excerpt};
use crate::header::ONCE;
use crate::message::is_field_name_byte;

/// Parts within parts are followed so deep.
const MAX_DEPTH: usize = 20;
const CONTENT_TYPE: &str = "Content-Type";
const ENCODING: &str = "Content-Transfer-Encoding";
/// So much of the field of a part is kept.
const MAX_FIELD: usize = 8192;
/// RFC 2046 §5.1.1.
const BOUNDARY: usize = 70;

/// Where in the tree of parts the body is.
#[derive(Debug)]
pub(super) struct Mime {
    /// The multiparts that are open, the outermost first.
    open: Vec<Multipart>,
    state: State,
    has_plain: bool,
    has_html: bool,
}

#[derive(Debug)]
struct Multipart {
    boundary: Vec<u8>,
    /// The numbers of the parts down to this one; none for the message.
    path: Vec<u32>,
    parts: u32,
    /// The place of the field that opened it.
    opened: Finding,
}

#[derive(Debug)]
enum State {
    /// Before the first part of a multipart, or behind the last one.
    Between,
    Header(Box<PartHeader>),
    Leaf(Box<Leaf>),
}

/// The header of a part, while its lines come.
#[derive(Debug, Default)]
struct PartHeader {
    path: Vec<u32>,
    /// Whether it is that of a message within the part.
    nested: bool,
    entity: Entity,
    /// The field that is not ended yet: name, colon and value.
    field: Vec<u8>,
    /// Line and byte of that field.
    begun: (u64, u64),
    /// Line and byte of the fields that say what the content is, or of the first line.
    content_type: (u64, u64),
    encoding: (u64, u64),
    /// The fields that were there of those that may stand once.
    seen: Vec<&'static str>,
}

impl Mime {
    /// `line` gives the line of a field of the header.
    pub(super) fn new(
        entity: &Entity,
        line: impl Fn(&str) -> u64,
        findings: &mut Findings,
    ) -> Mime {
        let mut mime = Mime {
            open: Vec::new(),
            state: State::Between,
            has_plain: false,
            has_html: false,
        };
        let place = |f: Finding, name: &str| f.field(name).line(line(name));
        mime.enter(Vec::new(), entity, place, findings);
        mime
    }

    /// The part that the next line belongs to, as far as that is known; none for a message without parts.
    pub(super) fn part(&self) -> Option<String> {
        match &self.state {
            State::Between => None,
            State::Header(header) => shown(&header.path),
            State::Leaf(leaf) => shown(&leaf.path),
        }
    }

    pub(super) fn line(&mut self, line: Line<'_>, findings: &mut Findings) {
        if let Some((level, last)) = self.delimiter(line.bytes) {
            self.leave(findings);
            self.close_down_to(level + 1, findings);
            let multipart = &mut self.open[level];
            if last {
                self.open.pop();
                self.state = State::Between;
            } else {
                multipart.parts += 1;
                let mut path = multipart.path.clone();
                path.push(multipart.parts);
                self.state = State::Header(Box::new(PartHeader {
                    path,
                    ..PartHeader::default()
                }));
            }
            return;
        }
        match &mut self.state {
            State::Between => {}
            State::Leaf(leaf) => leaf.line(line, findings),
            State::Header(header) => {
                if !header.line(line, findings) {
                    return;
                }
                let header = std::mem::take(&mut **header);
                let place = |f: Finding, name: &str| header.place(f, name);
                let mut path = header.path.clone();
                // The text of a message within part 2 is part 2.1; the parts of a multipart there too.
                if header.nested && !header.entity.is("multipart") {
                    path.push(1);
                }
                self.enter(path, &header.entity, place, findings);
            }
        }
    }

    /// The multipart whose boundary the line is, the innermost first, and whether it is the last one.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.strip_prefix(b"--")?;
        for (level, multipart) in self.open.iter().enumerate().rev() {
            let Some(rest) = line.strip_prefix(multipart.boundary.as_slice()) else {
                continue;
            };
            let (last, rest) = match rest.strip_prefix(b"--") {
                Some(rest) => (true, rest),
                None => (false, rest),
            };
            // RFC 2046 §5.1.1: blanks may stand behind it.
            if rest.iter().all(|b| matches!(b, b' ' | b'\t')) {
                return Some((level, last));
            }
        }
        None
    }

    /// The header of the message or of a part has ended: what follows is as it says.
    fn enter(
        &mut self,
        path: Vec<u32>,
        entity: &Entity,
        place: impl Fn(Finding, &str) -> Finding,
        findings: &mut Findings,
    ) {
        self.state = State::Between;
        let composite = entity.is("multipart") || entity.is_message();
        check(entity, composite, &place, findings);
        if composite && path.len() >= MAX_DEPTH {
            findings.add(Fault::MimeTooDeep, |f| place(f, CONTENT_TYPE));
            self.state = State::Leaf(Box::new(Leaf::opaque(path)));
            return;
        }
        if entity.is("multipart") {
            if self.open_multipart(&path, entity, |f| place(f, CONTENT_TYPE), findings) {
                return;
            }
            self.state = State::Leaf(Box::new(Leaf::opaque(path)));
            return;
        }
        let encoded = matches!(
            entity.encoding,
            Encoding::QuotedPrintable | Encoding::Base64
        );
        if composite && !encoded {
            self.state = State::Header(Box::new(PartHeader {
                path,
                nested: true,
                ..PartHeader::default()
            }));
            return;
        }
        let sub = entity.content_type.as_ref().map(|t| t.sub.as_str());
        let text = entity.is_text() && !entity.attached;
        self.has_html |= text && sub == Some("html");
        self.has_plain |= text && sub != Some("html");
        self.state = State::Leaf(Box::new(Leaf::new(path, entity)));
    }

    /// Whether its parts can be followed.
    fn open_multipart(
        &mut self,
        path: &[u32],
        entity: &Entity,
        place: impl Fn(Finding) -> Finding,
        findings: &mut Findings,
    ) -> bool {
        let Some(param) = entity.param("boundary").filter(|p| !p.value.is_empty()) else {
            if !entity.has_extended("boundary") {
                findings.add(Fault::BoundaryMissing, &place);
            }
            return false;
        };
        let boundary = &param.value;
        let what = format!("the boundary is \"{}\"", excerpt(boundary));
        if boundary.len() > BOUNDARY {
            let length = boundary.len();
            findings.add(Fault::BoundaryTooLong, |f| {
                place(f).what(format!("the boundary has {length} characters"))
            });
        }
        if !is_boundary(boundary) {
            findings.add(Fault::BoundaryIllegal, |f| place(f).what(what.clone()));
        }
        if param.wants_quotes {
            findings.add(Fault::BoundaryUnquoted, |f| place(f).what(what.clone()));
        }
        let begins = |other: &Multipart| {
            boundary.starts_with(&other.boundary) || other.boundary.starts_with(boundary)
        };
        if self.open.iter().any(begins) {
            findings.add(Fault::BoundaryAmbiguous, |f| place(f).what(what));
        }
        // A boundary that no line can hold as it is kept here is found nowhere.
        if boundary.len() > super::body::KEPT - 8 {
            return false;
        }
        self.open.push(Multipart {
            boundary: boundary.clone(),
            path: path.to_vec(),
            parts: 0,
            opened: place(Finding::new(Fault::PartUnclosed)),
        });
        true
    }

    /// Ends the part that the last line belongs to.
    fn leave(&mut self, findings: &mut Findings) {
        if let State::Leaf(leaf) = &mut self.state {
            leaf.finish(findings);
        }
        self.state = State::Between;
    }

    /// Ends the multiparts within `level`, whose own boundary never came.
    fn close_down_to(&mut self, level: usize, findings: &mut Findings) {
        while self.open.len() > level {
            let multipart = self.open.pop().expect("it is longer");
            let fault = match multipart.parts {
                0 => Fault::BoundaryNotFound,
                _ => Fault::PartUnclosed,
            };
            findings.add(fault, |f| {
                let boundary = excerpt(&multipart.boundary);
                let what = match multipart.parts {
                    0 => format!("the boundary \"{boundary}\" stands nowhere"),
                    _ => format!("the end of the boundary \"{boundary}\" is missing"),
                };
                let fault = f.fault;
                Finding {
                    fault,
                    ..multipart.opened
                }
                .what(what)
            });
        }
    }

    pub(super) fn finish(&mut self, findings: &mut Findings) {
        self.leave(findings);
        self.close_down_to(0, findings);
        if self.has_html && !self.has_plain {
            findings.add(Fault::HtmlOnly, |f| f);
        }
    }
}

/// What the fields say, before the content comes.
fn check(
    entity: &Entity,
    composite: bool,
    place: impl Fn(Finding, &str) -> Finding,
    findings: &mut Findings,
) {
    let of_encoding = |f: Finding| place(f, ENCODING);
    if entity.content_type.as_ref().is_some_and(|t| t.broken) {
        findings.add(Fault::ContentTypeBroken, |f| place(f, CONTENT_TYPE));
    }
    match entity.encoding {
        Encoding::Unknown => findings.add(Fault::EncodingUnknown, of_encoding),
        Encoding::Binary => findings.add(Fault::BinaryEncoding, of_encoding),
        Encoding::QuotedPrintable | Encoding::Base64 if composite => {
            findings.add(Fault::CompositeEncoded, of_encoding);
        }
        _ => {}
    }
}

impl PartHeader {
    /// Takes a line; says whether the header ends with it.
    fn line(&mut self, line: Line<'_>, findings: &mut Findings) -> bool {
        if self.begun == (0, 0) {
            self.begun = (line.number, line.at);
            (self.content_type, self.encoding) = (self.begun, self.begun);
        }
        if line.length == 0 {
            self.end_field();
            return true;
        }
        let part = shown(&self.path);
        let place = |f: Finding| line.place(f).part(part.clone());
        // NUL bytes and bare CRs are seen in every line of the body.
        let seen = |b: &u8| !matches!(b, 0 | b'\r');
        let plain: Vec<u8> = line.bytes.iter().copied().filter(seen).collect();
        let name = line.bytes.iter().take_while(|b| is_field_name_byte(**b));
        let name = name.count();
        if line.bytes.starts_with(b" ") || line.bytes.starts_with(b"\t") {
            let room = MAX_FIELD.saturating_sub(self.field.len());
            let more = &line.bytes[..line.bytes.len().min(room)];
            self.field.extend_from_slice(more);
            header_bytes(&plain, place, findings);
        } else if name > 0 && line.bytes[name..].trim_ascii_start().starts_with(b":") {
            if line.bytes[name] != b':' {
                findings.add(Fault::SpaceBeforeColon, place);
            }
            self.end_field();
            self.once(&line, name, findings);
            self.begun = (line.number, line.at);
            self.field.extend_from_slice(line.bytes);
            header_bytes(&plain, place, findings);
        } else {
            findings.add(Fault::PartHeaderBroken, place);
        }
        false
    }

    /// Whether a field that may stand once stands for the first time.
    fn once(&mut self, line: &Line<'_>, name: usize, findings: &mut Findings) {
        let is = |once: &&&str| once.as_bytes().eq_ignore_ascii_case(&line.bytes[..name]);
        let Some(name) = ONCE.iter().find(is) else {
            return;
        };
        if self.seen.contains(name) {
            findings.add(Fault::DuplicateField, |f| {
                let f = line.place(f).part(shown(&self.path)).field(name);
                f.what(format!("a further {name}"))
            });
        } else {
            self.seen.push(name);
        }
    }

    fn end_field(&mut self) {
        let field = std::mem::take(&mut self.field);
        let Some(colon) = memchr::memchr(b':', &field) else {
            return;
        };
        let name = String::from_utf8_lossy(field[..colon].trim_ascii_end());
        if name.eq_ignore_ascii_case(CONTENT_TYPE) {
            self.content_type = self.begun;
        } else if name.eq_ignore_ascii_case(ENCODING) {
            self.encoding = self.begun;
        }
        self.entity.take(&name, &field[colon + 1..]);
    }

    fn place(&self, finding: Finding, name: &str) -> Finding {
        let (line, byte) = match name {
            ENCODING => self.encoding,
            _ => self.content_type,
        };
        let finding = finding.line(line).byte(byte).part(shown(&self.path));
        finding.field(name)
    }
}
