//! The lines of the body, as its chunks come.

use super::header::{HARD_LIMIT, entity, line_of};
use super::leaf::Line;
use super::mime::Mime;
use super::signatures::lines_of;
use super::{Fault, Finding, Findings, LineEnd, Plan};
use crate::message::Header;

/// So much of a line is kept: more than a line may have.
pub(super) const KEPT: usize = 1100;
/// Sendmail: L= of its SMTP mailers.
const SENDMAIL_LIMIT: u64 = 990;

/// Cuts the body into lines.
#[derive(Debug)]
pub(super) struct Lines {
    mime: Mime,
    line_end: LineEnd,
    simple: bool,
    /// The number of the line that is read.
    number: u64,
    /// Where it begins in the file.
    at: u64,
    /// How long it is so far.
    length: u64,
    /// Its beginning.
    kept: Vec<u8>,
    /// Whether its last byte is a blank.
    blank: bool,
    eight_bit: Option<u64>,
    /// Whether the last byte was a CR, of which nobody knows yet what it is.
    after_cr: bool,
    empty: bool,
}

impl Lines {
    pub(super) fn new(header: &Header, plan: &Plan<'_>, findings: &mut Findings) -> Lines {
        let origin = &plan.options.origin;
        let raw = header.as_bytes();
        let unended = !raw.ends_with(b"\r\n");
        // The empty line behind the header is one too.
        let lines = lines_of(raw) + u64::from(unended);
        let number = origin.lines_before + lines + 1;
        let line = |name: &str| origin.lines_before + line_of(header, name);
        Lines {
            mime: Mime::new(&entity(header), line, findings),
            line_end: origin.line_end,
            simple: plan.simple_body,
            number,
            at: origin.body_at.unwrap_or(raw.len() as u64 + 2),
            length: 0,
            kept: Vec::with_capacity(KEPT),
            blank: false,
            eight_bit: None,
            after_cr: false,
            empty: true,
        }
    }

    pub(super) fn write(&mut self, chunk: &[u8], findings: &mut Findings) {
        let mut rest = chunk;
        self.empty &= chunk.is_empty();
        while !rest.is_empty() {
            let lf = memchr::memchr(b'\n', rest);
            self.piece(&rest[..lf.unwrap_or(rest.len())], findings);
            let Some(lf) = lf else {
                return;
            };
            self.end(findings);
            rest = &rest[lf + 1..];
        }
    }

    pub(super) fn finish(&mut self, findings: &mut Findings) {
        if self.empty {
            findings.add(Fault::EmptyBody, |f| f);
        }
        if self.after_cr {
            self.after_cr = false;
            self.bare_cr(findings);
        }
        if self.length > 0 {
            let place = self.place(self.at + self.length);
            findings.add(Fault::NoFinalLineEnd, place);
            self.look(findings);
        }
        self.mime.finish(findings);
    }

    /// Where a byte of this line stands.
    fn place(&self, byte: u64) -> impl Fn(Finding) -> Finding {
        move |f: Finding| f.line(self.number).byte(byte).part(self.mime.part())
    }

    /// Takes bytes of a line, without an LF among them.
    fn piece(&mut self, piece: &[u8], findings: &mut Findings) {
        if piece.is_empty() {
            return;
        }
        if std::mem::take(&mut self.after_cr) {
            self.bare_cr(findings);
        }
        // The CR at the end may belong to a line end.
        let (piece, ends) = match piece.strip_suffix(b"\r") {
            Some(piece) => (piece, true),
            None => (piece, false),
        };
        let start = self.at + self.length;
        for cr in memchr::memchr_iter(b'\r', piece) {
            findings.add(Fault::BareCr, self.place(start + cr as u64));
        }
        for nul in memchr::memchr_iter(0, piece) {
            findings.add(Fault::NulByte, self.place(start + nul as u64));
        }
        if self.eight_bit.is_none() && !piece.is_ascii() {
            let first = piece.iter().take_while(|b| b.is_ascii()).count();
            self.eight_bit = Some(start + first as u64);
        }
        self.take(piece);
        self.after_cr = ends;
    }

    fn take(&mut self, piece: &[u8]) {
        let room = KEPT - self.kept.len();
        self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
        self.length += piece.len() as u64;
        if let Some(last) = piece.last() {
            self.blank = matches!(last, b' ' | b'\t');
        }
    }

    fn bare_cr(&mut self, findings: &mut Findings) {
        let place = self.place(self.at + self.length);
        findings.add(Fault::BareCr, place);
        self.take(b"\r");
    }

    /// An LF has come.
    fn end(&mut self, findings: &mut Findings) {
        let cr = std::mem::take(&mut self.after_cr);
        if !cr && self.line_end == LineEnd::CrLf {
            let place = self.place(self.at + self.length);
            findings.add(Fault::BareLf, place);
        }
        self.look(findings);
        self.at += self.length + u64::from(cr) + 1;
        self.number += 1;
        self.length = 0;
        self.kept.clear();
        self.blank = false;
        self.eight_bit = None;
    }

    /// Looks at a line that is whole.
    fn look(&mut self, findings: &mut Findings) {
        self.judge(findings);
        let line = Line {
            bytes: &self.kept,
            length: self.length,
            number: self.number,
            at: self.at,
            eight_bit: self.eight_bit,
        };
        self.mime.line(line, findings);
    }

    fn judge(&self, findings: &mut Findings) {
        let place = self.place(self.at);
        let length = self.length;
        let long = |f: Finding| place(f).what(format!("the line has {length} bytes"));
        if length > HARD_LIMIT {
            findings.add(Fault::LineTooLong, long);
        } else if length > SENDMAIL_LIMIT {
            findings.add(Fault::LineNearLimit, long);
        }
        if self.kept.starts_with(b"From ") {
            findings.add(Fault::FromLine, &place);
        }
        if self.kept == b"." {
            findings.add(Fault::LoneDot, &place);
        }
        if self.blank && self.simple {
            findings.add(Fault::TrailingBlanks, &place);
        }
    }
}
