//! The content of a part that has no parts: its lines, its encoding, its charset (RFC 2045 §6, RFC 2046 §4.1.2).

use super::content::{Base64, Encoding, Entity, Utf8, decode_qp};
use super::{Fault, Finding, Findings};

/// A line of the body, without its line end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// What is kept of it.
    pub(super) bytes: &'a [u8],
    /// How long it is in truth.
    pub(super) length: u64,
    pub(super) number: u64,
    /// Where it begins in the file.
    pub(super) at: u64,
    /// Where its first byte beyond ASCII stands in the file.
    pub(super) eight_bit: Option<u64>,
}

impl Line<'_> {
    fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.length
    }

    pub(super) fn place(&self, finding: Finding) -> Finding {
        finding.line(self.number).byte(self.at)
    }
}

/// RFC 2045 §6.7 and §6.8.
const ENCODED_LINE: u64 = 76;

/// The path as it is told; none for the message itself.
pub(super) fn shown(path: &[u32]) -> Option<String> {
    let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
    (!path.is_empty()).then(|| numbers.join("."))
}

/// A part without parts.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) path: Vec<u32>,
    encoding: Encoding,
    text: bool,
    charset: Charset,
    utf8: Utf8,
    base64: Base64,
    /// Whether a line was too long to be kept whole, so that what follows may be read wrongly.
    cut: bool,
    told_eight_bit: bool,
    told_charset: bool,
    last: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Missing,
    Ascii,
    Utf8,
    Other,
}

impl Leaf {
    pub(super) fn new(path: Vec<u32>, entity: &Entity) -> Leaf {
        let charset = match entity.param("charset") {
            Some(charset) => match charset.value.to_ascii_lowercase().as_slice() {
                b"utf-8" | b"utf8" => Charset::Utf8,
                b"us-ascii" | b"ascii" => Charset::Ascii,
                _ => Charset::Other,
            },
            None if entity.has_extended("charset") => Charset::Other,
            None => Charset::Missing,
        };
        Leaf {
            text: entity.is_text(),
            encoding: entity.encoding,
            charset,
            ..Leaf::opaque(path)
        }
    }

    /// Content of which nothing is known.
    pub(super) fn opaque(path: Vec<u32>) -> Leaf {
        Leaf {
            path,
            encoding: Encoding::Unknown,
            text: false,
            charset: Charset::Other,
            utf8: Utf8::default(),
            base64: Base64::default(),
            cut: false,
            told_eight_bit: false,
            told_charset: false,
            last: None,
        }
    }

    pub(super) fn line(&mut self, line: Line<'_>, findings: &mut Findings) {
        self.last = Some((line.number, line.at));
        self.cut |= !line.is_whole();
        if let Some(at) = line.eight_bit {
            self.eight_bit(line, at, findings);
        }
        let place = |f: Finding| line.place(f).part(shown(&self.path));
        let long = |f: Finding| {
            let length = line.length;
            place(f).what(format!("the line has {length} characters"))
        };
        match self.encoding {
            Encoding::QuotedPrintable => {
                if line.length > ENCODED_LINE {
                    findings.add(Fault::QpLineLong, long);
                }
                if matches!(line.bytes.last(), Some(b' ' | b'\t')) && line.is_whole() {
                    findings.add(Fault::QpTrailingBlank, place);
                }
                let read = decode_qp(line.bytes);
                if read.broken && line.is_whole() {
                    findings.add(Fault::QpBroken, place);
                }
                self.text(&read.bytes, line, findings);
            }
            Encoding::Base64 => {
                if line.length > ENCODED_LINE {
                    findings.add(Fault::Base64LineLong, long);
                }
                let (bytes, sound) = self.base64.line(line.bytes);
                if !sound && !self.cut {
                    findings.add(Fault::Base64Broken, |f| {
                        let what = "the line has characters that are no base64, or follows its end";
                        place(f).what(what)
                    });
                }
                self.text(&bytes, line, findings);
            }
            Encoding::SevenBit | Encoding::EightBit | Encoding::Binary => {
                self.text(line.bytes, line, findings);
                // No character goes on in the next line.
                if self.utf8.is_cut() {
                    self.utf8 = Utf8::default();
                    self.wrong_charset(line, findings);
                }
            }
            Encoding::Unknown => {}
        }
    }

    fn eight_bit(&mut self, line: Line<'_>, at: u64, findings: &mut Findings) {
        if std::mem::replace(&mut self.told_eight_bit, true) {
            return;
        }
        let fault = match self.encoding {
            Encoding::EightBit => Fault::DeclaredEightBit,
            Encoding::SevenBit | Encoding::QuotedPrintable | Encoding::Base64 => {
                Fault::UndeclaredEightBit
            }
            Encoding::Binary | Encoding::Unknown => return,
        };
        findings.add(fault, |f| {
            f.line(line.number).byte(at).part(shown(&self.path))
        });
    }

    /// Decoded text, held against its charset.
    fn text(&mut self, bytes: &[u8], line: Line<'_>, findings: &mut Findings) {
        if !self.text || self.told_charset || self.cut {
            return;
        }
        let wrong = match self.charset {
            Charset::Other => false,
            Charset::Utf8 => !self.utf8.holds(bytes),
            Charset::Missing | Charset::Ascii => !bytes.is_ascii(),
        };
        if wrong {
            self.wrong_charset(line, findings);
        }
    }

    fn wrong_charset(&mut self, line: Line<'_>, findings: &mut Findings) {
        if std::mem::replace(&mut self.told_charset, true) {
            return;
        }
        let (fault, what) = match self.charset {
            Charset::Missing => (Fault::CharsetMissing, None),
            Charset::Ascii => (
                Fault::CharsetWrong,
                Some("the text is declared US-ASCII and is not"),
            ),
            Charset::Utf8 => (
                Fault::CharsetWrong,
                Some("the text is declared UTF-8 and is not"),
            ),
            Charset::Other => return,
        };
        findings.add(fault, |f| {
            let f = line.place(f).part(shown(&self.path));
            match what {
                Some(what) => f.what(what),
                None => f,
            }
        });
    }

    pub(super) fn finish(&mut self, findings: &mut Findings) {
        if self.encoding == Encoding::Base64 && self.base64.is_cut() && !self.cut {
            let last = self.last;
            findings.add(Fault::Base64Broken, |f| {
                let (line, at) = last.unwrap_or_default();
                let f = f.line(line).byte(at).part(shown(&self.path));
                f.what("the base64 ends within a group of four characters")
            });
        }
    }
}
