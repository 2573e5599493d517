//! One cut through the bytes of a message: header fields on one side, body on the other.
//!
//! Only structure is read here, no meaning (RFC 5322 §2.1 and §2.2). Every field keeps its raw bytes,
//! because those are what is hashed. What has no safe reading is refused, never repaired: a bare LF
//! inside the header is a line end to one program and an ordinary byte to another, so that two readers
//! would see two different headers (RFC 6376 §3.8, §8.15).

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// What a header ends with.
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

/// The caps on a header, in force while it is read (RFC 6376 §8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderLimits {
    /// Bytes of the whole header, without the empty line that ends it.
    pub bytes: usize,
    /// Number of header fields.
    pub fields: usize,
}

impl Default for HeaderLimits {
    /// 2 MiB and 10,000 fields.
    fn default() -> Self {
        HeaderLimits {
            bytes: 2 << 20,
            fields: 10_000,
        }
    }
}

/// The header of a message: its fields in order, each with the bytes that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// Whether a CR stands anywhere without an LF behind it.
    bare_cr: bool,
}

/// Offsets into the header's bytes; a header is capped far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    name_end: u32,
    colon: u32,
    end: u32,
}

impl Header {
    /// Parses a header block: the fields, without the empty line that ends them.
    ///
    /// Lines end with CRLF; the CRLF of the last line may be missing.
    ///
    /// ```
    /// use dkimkit::message::{Header, HeaderLimits};
    /// let header = Header::parse(b"From: a@example.com\r\nSubject: x\r\n y\r\n", HeaderLimits::default())?;
    /// let subject = header.fields().nth(1).unwrap();
    /// assert_eq!(subject.name(), "Subject");
    /// assert_eq!(subject.value(), b" x\r\n y");
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    ///
    /// # Errors
    /// [`SplitError`] for an empty header, a line that is no header field (RFC 5322 §2.2), a bare LF, or
    /// a header beyond `limits`.
    pub fn parse(bytes: &[u8], limits: HeaderLimits) -> Result<Header, SplitError> {
        Header::from_vec(bytes.to_vec(), limits)
    }

    fn from_vec(bytes: Vec<u8>, limits: HeaderLimits) -> Result<Header, SplitError> {
        if bytes.is_empty() {
            return Err(SplitError::NoHeader);
        }
        let limit = limits.bytes.min(u32::MAX as usize);
        if bytes.len() > limit {
            return Err(SplitError::HeaderTooLarge { limit });
        }
        let mut spans = Vec::with_capacity(32);
        let mut at = 0;
        let mut line = 1;
        while at < bytes.len() {
            let (span, lines) = parse_field(&bytes, at, line)?;
            if spans.len() == limits.fields {
                return Err(SplitError::TooManyFields {
                    limit: limits.fields,
                });
            }
            spans.push(span);
            at = span.end as usize;
            line += lines;
        }
        // Each LF has a CR before it, or the fields would not have been read.
        let count = |byte| memchr::memchr_iter(byte, &bytes).count();
        let bare_cr = count(b'\r') != count(b'\n');
        Ok(Header {
            bytes,
            spans,
            bare_cr,
        })
    }

    /// The fields, from the top down.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = Field<'_>> + ExactSizeIterator {
        (0..self.spans.len()).map(|position| self.field(position))
    }

    /// The field at `position`, counted from 0 at the top.
    ///
    /// # Panics
    /// If there is no such field.
    pub fn field(&self, position: usize) -> Field<'_> {
        Field {
            header: self,
            position,
        }
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Always false: a header without a field does not parse.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether there is a CR without an LF behind it: an ordinary byte here, a line end to some readers.
    pub(crate) fn has_bare_cr(&self) -> bool {
        self.bare_cr
    }

    /// How many fields called `name` a reader sees who takes a bare CR for a line end, beyond those that are
    /// there: what follows a bare CR within a value is a line to it.
    pub(crate) fn hidden(&self, name: &str) -> usize {
        let bare = memchr::memchr_iter(b'\r', &self.bytes);
        let bare = bare.filter(|at| self.bytes.get(at + 1) != Some(&b'\n'));
        let named = |at: &usize| {
            let line = &self.bytes[at + 1..];
            let (Some(found), Some(rest)) = (line.get(..name.len()), line.get(name.len()..)) else {
                return false;
            };
            let blanks = rest.iter().take_while(|b| is_wsp(**b)).count();
            found.eq_ignore_ascii_case(name.as_bytes()) && rest.get(blanks) == Some(&b':')
        };
        bare.filter(named).count()
    }

    /// The raw bytes of the header block.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads one field at `at`; returns its span and the number of its lines.
fn parse_field(bytes: &[u8], at: usize, line: usize) -> Result<(Span, usize), SplitError> {
    let name_len = bytes[at..]
        .iter()
        .take_while(|b| is_field_name_byte(**b))
        .count();
    let name_end = at + name_len;
    // RFC 5322 §4.5 lets white space stand before the colon.
    let blanks = bytes[name_end..].iter().take_while(|b| is_wsp(**b)).count();
    let colon = name_end + blanks;
    if name_len == 0 || bytes.get(colon) != Some(&b':') {
        return Err(SplitError::NotAField { line });
    }
    let mut lines = 0;
    let mut from = at;
    loop {
        lines += 1;
        let Some(lf) = memchr::memchr(b'\n', &bytes[from..]).map(|i| from + i) else {
            return Ok((span(at, name_end, colon, bytes.len()), lines));
        };
        if lf == 0 || bytes[lf - 1] != b'\r' {
            return Err(SplitError::BareLineFeed {
                line: line + lines - 1,
            });
        }
        from = lf + 1;
        // A line that begins with white space continues the field (RFC 5322 §2.2.3).
        if !bytes.get(from).is_some_and(|b| is_wsp(*b)) {
            return Ok((span(at, name_end, colon, from), lines));
        }
    }
}

fn span(start: usize, name_end: usize, colon: usize, end: usize) -> Span {
    let narrow = |n: usize| u32::try_from(n).expect("the header is capped below 4 GiB");
    Span {
        start: narrow(start),
        name_end: narrow(name_end),
        colon: narrow(colon),
        end: narrow(end),
    }
}

/// One header field, with its raw bytes.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    header: &'a Header,
    position: usize,
}

impl<'a> Field<'a> {
    /// The field name as it is written, without the white space that may stand before the colon.
    pub fn name(&self) -> &'a str {
        std::str::from_utf8(self.name_bytes()).expect("a field name is printable ASCII")
    }

    /// What follows the colon, folds and all, without the final CRLF.
    pub fn value(&self) -> &'a [u8] {
        let s = self.span();
        let value = &self.header.bytes[s.colon as usize + 1..s.end as usize];
        value.strip_suffix(b"\r\n").unwrap_or(value)
    }

    /// The whole field without its final CRLF.
    pub fn raw(&self) -> &'a [u8] {
        let s = self.span();
        let raw = &self.header.bytes[s.start as usize..s.end as usize];
        raw.strip_suffix(b"\r\n").unwrap_or(raw)
    }

    /// The length of everything before the value: name, white space and colon.
    pub fn value_offset(&self) -> usize {
        let s = self.span();
        (s.colon - s.start) as usize + 1
    }

    /// The position in the header, counted from 0 at the top.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether this field has the given name; letter case does not count (RFC 5322 §1.2.2).
    pub fn is(&self, name: &str) -> bool {
        self.name_bytes().eq_ignore_ascii_case(name.as_bytes())
    }

    /// The bytes of [`name`](Self::name).
    pub(crate) fn name_bytes(&self) -> &'a [u8] {
        let s = self.span();
        &self.header.bytes[s.start as usize..s.name_end as usize]
    }

    fn span(&self) -> Span {
        self.header.spans[self.position]
    }
}

/// Cuts a message whose bytes are all at hand.
///
/// Returns the header and the body; a message without an empty line has an empty body.
///
/// ```
/// use dkimkit::message::{HeaderLimits, split};
/// let (header, body) = split(b"From: a@example.com\r\n\r\nHi\r\n", HeaderLimits::default())?;
/// assert_eq!((header.len(), body), (1, &b"Hi\r\n"[..]));
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
///
/// # Errors
/// Those of [`Header::parse`].
pub fn split(message: &[u8], limits: HeaderLimits) -> Result<(Header, &[u8]), SplitError> {
    let mut splitter = Splitter::new(limits);
    let body_at = splitter.write(message)?.unwrap_or(message.len());
    Ok((splitter.finish()?, &message[body_at..]))
}

/// Finds the end of a header in a message that comes in chunks.
#[derive(Debug)]
pub struct Splitter {
    limits: HeaderLimits,
    bytes: Vec<u8>,
    ended: bool,
}

impl Splitter {
    /// A splitter that has seen nothing yet.
    pub fn new(limits: HeaderLimits) -> Splitter {
        Splitter {
            limits,
            bytes: Vec::new(),
            ended: false,
        }
    }

    /// Takes a chunk. `None` asks for more; `Some(n)` says that the header ended and that the body
    /// begins at byte `n` of this chunk.
    ///
    /// # Errors
    /// [`SplitError::HeaderTooLarge`] as soon as the cap is passed; no more than the cap is ever held.
    pub fn write(&mut self, chunk: &[u8]) -> Result<Option<usize>, SplitError> {
        if self.ended {
            return Ok(Some(0));
        }
        let held = self.bytes.len();
        // The end "CRLF CRLF" counts for the cap with its first line end alone.
        let room = self.limits.bytes.saturating_add(4).saturating_sub(held);
        let taken = &chunk[..chunk.len().min(room)];
        if let Some(body_at) = self.empty_header(taken) {
            // RFC 5322 §2.1: a body may follow an empty header, but nothing of it can be signed.
            self.bytes.clear();
            self.ended = true;
            return Ok(Some(body_at));
        }
        if let Some(body_at) = self.end_in(taken) {
            self.bytes.extend_from_slice(&taken[..body_at]);
            self.bytes.truncate(held + body_at - 2);
            self.ended = true;
            if self.bytes.len() > self.limits.bytes {
                return Err(self.too_large());
            }
            return Ok(Some(body_at));
        }
        self.bytes.extend_from_slice(taken);
        if taken.len() < chunk.len() || self.bytes.len() >= self.limits.bytes.saturating_add(4) {
            self.ended = true;
            return Err(self.too_large());
        }
        Ok(None)
    }

    /// Where the body begins in the next bytes, if the message begins with an empty line.
    fn empty_header(&self, next: &[u8]) -> Option<usize> {
        match (self.bytes.as_slice(), next) {
            (b"", [b'\r', b'\n', ..]) => Some(2),
            (b"\r", [b'\n', ..]) => Some(1),
            _ => None,
        }
    }

    /// Where the body begins in the next bytes, if the header ends there.
    fn end_in(&self, next: &[u8]) -> Option<usize> {
        // The end may begin up to three bytes before.
        let held = &self.bytes[self.bytes.len().saturating_sub(3)..];
        let mut joint = [0; 6];
        let ahead = next.len().min(3);
        joint[..held.len()].copy_from_slice(held);
        joint[held.len()..][..ahead].copy_from_slice(&next[..ahead]);
        let joint = &joint[..held.len() + ahead];
        if let Some(at) = joint.windows(4).position(|w| w == b"\r\n\r\n") {
            return Some(at + 4 - held.len());
        }
        END.find(next).map(|at| at + 4)
    }

    /// The header that was found; a message may also end without an empty line and a body.
    ///
    /// # Errors
    /// Those of [`Header::parse`].
    pub fn finish(self) -> Result<Header, SplitError> {
        Header::from_vec(self.bytes, self.limits)
    }

    fn too_large(&self) -> SplitError {
        SplitError::HeaderTooLarge {
            limit: self.limits.bytes,
        }
    }
}

/// Space or horizontal tab, the only white space of RFC 6376 §2.8.
pub(crate) fn is_wsp(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The bytes of a field name: printable US-ASCII but the colon (RFC 5322 §2.2).
pub(crate) fn is_field_name_byte(byte: u8) -> bool {
    matches!(byte, 33..=57 | 59..=126)
}

/// Why a message could not be cut into header and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The input is empty or begins with an empty line.
    #[error("the message has no header")]
    NoHeader,
    /// The header is longer than the cap.
    #[error("the header is longer than {limit} bytes")]
    HeaderTooLarge {
        /// The cap in bytes.
        limit: usize,
    },
    /// The header has more fields than the cap.
    #[error("the header has more than {limit} fields")]
    TooManyFields {
        /// The cap.
        limit: usize,
    },
    /// A line is neither `Name: value` nor the continuation of one.
    #[error("line {line} of the header is not a header field (RFC 5322, section 2.2)")]
    NotAField {
        /// The line, counted from 1.
        line: usize,
    },
    /// A line of the header ends with LF alone.
    #[error("line {line} of the header ends with a bare LF instead of CRLF")]
    BareLineFeed {
        /// The line, counted from 1.
        line: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeaderLimits = HeaderLimits {
        bytes: 100,
        fields: 4,
    };

    #[test]
    fn a_message_is_cut_alike_at_every_chunk_size() {
        let message = b"From: a@b.example\r\nTo : c\r\n d\r\n\r\n\r\nbody\r\n";
        let (header, body) = split(message, LIMITS).unwrap();
        assert_eq!(body, b"\r\nbody\r\n");
        assert_eq!(header.field(1).name(), "To");
        assert_eq!(header.field(1).raw(), b"To : c\r\n d");
        for step in 1..message.len() {
            let mut splitter = Splitter::new(LIMITS);
            let mut at = 0;
            let body_at = loop {
                let chunk = &message[at..(at + step).min(message.len())];
                match splitter.write(chunk).unwrap() {
                    Some(n) => break at + n,
                    None => at += chunk.len(),
                }
            };
            assert_eq!(&message[body_at..], body, "step {step}");
            assert_eq!(splitter.finish().unwrap(), header, "step {step}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let refuse = |m: &[u8]| split(m, LIMITS).unwrap_err();
        assert_eq!(refuse(b""), SplitError::NoHeader);
        assert_eq!(refuse(b"\r\nbody"), SplitError::NoHeader);
        assert_eq!(refuse(b"hello\r\n"), SplitError::NotAField { line: 1 });
        assert_eq!(refuse(b" a: b\r\n"), SplitError::NotAField { line: 1 });
        assert_eq!(refuse(b": b\r\n"), SplitError::NotAField { line: 1 });
        assert_eq!(
            refuse(b"A: b\r\n c\r\n\rD: e\r\n"),
            SplitError::NotAField { line: 3 }
        );
        assert_eq!(
            refuse(b"A: b\r\n c\nD: e\r\n"),
            SplitError::BareLineFeed { line: 2 }
        );
    }

    #[test]
    fn the_caps_hold_at_every_chunk_size() {
        let long = [b"A: ".as_slice(), &[b'x'; 200], b"\r\n\r\n"].concat();
        for step in [1, 7, 103, 104, 105, 300] {
            let mut splitter = Splitter::new(LIMITS);
            let outcome = long
                .chunks(step)
                .find_map(|chunk| splitter.write(chunk).transpose());
            assert_eq!(
                outcome,
                Some(Err(SplitError::HeaderTooLarge { limit: 100 })),
                "step {step}"
            );
            assert!(splitter.bytes.len() <= 104);
        }
        let exact = [b"A: ".as_slice(), &[b'x'; 95], b"\r\n\r\nbody"].concat();
        assert_eq!(split(&exact, LIMITS).unwrap().0.as_bytes().len(), 100);
        assert_eq!(
            split(b"A:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", LIMITS).unwrap_err(),
            SplitError::TooManyFields { limit: 4 }
        );
    }

    #[test]
    fn a_message_may_end_inside_its_header() {
        let (header, body) = split(b"From: a", LIMITS).unwrap();
        assert_eq!((header.field(0).value(), body), (&b" a"[..], &b""[..]));
        let (header, body) = split(b"From: a\r\n", LIMITS).unwrap();
        assert_eq!((header.field(0).value(), body), (&b" a"[..], &b""[..]));
    }
}
