//! A message out of a source that is open: its header, and then its body in chunks, with the line ends that are hashed.

use std::cell::Cell;
use std::io::{self, Read as _};
use std::ops::Range;

use dkimkit::message::{Header, HeaderLimits, SplitError, Splitter};

use super::{CHUNK, Kept, Opened};
use crate::cli::args::LineEnds;
use crate::cli::mailbox::{Quoting, Unquoter};
use crate::cli::speech::{self, Trouble};

/// A message that is read: its header, and then its body in chunks, with the line ends that are hashed.
pub(in crate::cli) struct Message<'a> {
    input: &'a mut Opened,
    kept: Option<&'a mut Kept>,
    buffer: Vec<u8>,
    unquoter: Option<Unquoter>,
    converter: Option<Converter>,
    /// What of the body came with the header.
    pending: Option<Place>,
    /// Bytes that were read so far, as they came, but without the quotes of an mbox.
    pub(in crate::cli) length: u64,
    /// Bytes of the mbox line at the start, which is never hashed.
    pub(in crate::cli) envelope: u64,
    /// Where the body begins, behind the empty line; the end where there is none.
    pub(in crate::cli) body_at: u64,
    /// The line end of the first header line.
    pub(in crate::cli) line_end: &'static str,
    /// Whether a second mbox line was seen, behind an empty line.
    another: bool,
    ended: bool,
}

/// Where bytes stand that are ready.
#[derive(Debug, Clone)]
struct Place {
    /// Whether in the converter, or in the buffer as they came.
    converted: bool,
    range: Range<usize>,
    /// Where they stand in the buffer as they came.
    raw: Range<usize>,
}

/// Bytes of a body.
pub(in crate::cli) struct Chunk<'a> {
    /// With the line ends that are hashed.
    pub(in crate::cli) hashed: &'a [u8],
    /// As they came.
    pub(in crate::cli) raw: &'a [u8],
}

/// How the reading of a header ended.
pub(in crate::cli) enum HeaderEnd {
    Found(Header),
    Refused(SplitError),
}

thread_local! {
    /// A buffer for the next message of this thread.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        SPARE.set(std::mem::take(&mut self.buffer));
    }
}

impl<'a> Message<'a> {
    pub(in crate::cli) fn new(
        input: &'a mut Opened,
        line_ends: LineEnds,
        kept: Option<&'a mut Kept>,
    ) -> Message<'a> {
        let unquoter = (input.quoting != Quoting::AsIs).then(|| Unquoter::new(input.quoting));
        Message {
            input,
            kept,
            unquoter,
            buffer: SPARE.take(),
            converter: (line_ends == LineEnds::Crlf).then(Converter::default),
            pending: None,
            length: 0,
            envelope: 0,
            body_at: 0,
            line_end: "\r\n",
            another: false,
            ended: false,
        }
    }

    /// Hands over the body until it is wanted no more, first an empty piece of it.
    pub(in crate::cli) fn feed(
        &mut self,
        mut wants_more: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Trouble> {
        let mut more = wants_more(b"");
        while more {
            match self.next()? {
                Some(chunk) => more = wants_more(chunk),
                None => break,
            }
        }
        Ok(())
    }

    /// Reads up to the end of the header.
    pub(in crate::cli) fn header(&mut self, limits: HeaderLimits) -> Result<HeaderEnd, Trouble> {
        let mut splitter = Splitter::new(limits);
        let mut place = self.first_chunk()?;
        loop {
            match splitter.write(self.at(&place)) {
                Err(error) => return Ok(HeaderEnd::Refused(error)),
                Ok(Some(body_at)) => {
                    place.raw.start += self.raw_len(&place, body_at);
                    place.range.start += body_at;
                    self.body_at = self.length - place.raw.len() as u64;
                    self.pending = Some(place);
                    break;
                }
                Ok(None) => {}
            }
            match self.fill()? {
                0 => {
                    self.body_at = self.length;
                    break;
                }
                count => place = self.convert(0..count),
            }
        }
        Ok(match splitter.finish() {
            Ok(header) => HeaderEnd::Found(header),
            Err(error) => HeaderEnd::Refused(error),
        })
    }

    /// Whether an empty line ended the header, so that a body may follow. Holds until the body is read.
    pub(in crate::cli) fn has_body(&self) -> bool {
        self.pending.is_some()
    }

    /// How long the first `len` bytes of a place were as they came. A header ends with a line, and each line
    /// end is one in both.
    fn raw_len(&self, place: &Place, len: usize) -> usize {
        if !place.converted {
            return len;
        }
        let lines = memchr::memchr_iter(b'\n', &self.at(place)[..len]).count();
        let mut ends = memchr::memchr_iter(b'\n', &self.buffer[place.raw.clone()]);
        lines
            .checked_sub(1)
            .map_or(0, |before| ends.nth(before).map_or(0, |lf| lf + 1))
    }

    /// The next bytes of the body, with the line ends that are hashed; `None` at the end.
    pub(in crate::cli) fn next(&mut self) -> Result<Option<&[u8]>, Trouble> {
        Ok(self.next_chunk()?.map(|chunk| chunk.hashed))
    }

    /// The next bytes of the body, with the line ends that are hashed, and as they came.
    pub(in crate::cli) fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Trouble> {
        let place = match self.pending.take() {
            Some(place) => place,
            None => match self.fill()? {
                0 => return Ok(None),
                count => self.convert(0..count),
            },
        };
        Ok(Some(Chunk {
            hashed: self.at(&place),
            raw: &self.buffer[place.raw.clone()],
        }))
    }

    /// All of the message, with the line ends that it came with if it is read as it is; `None` where it is longer
    /// than `most` bytes.
    pub(in crate::cli) fn whole(&mut self, most: usize) -> Result<Option<Vec<u8>>, Trouble> {
        let place = self.first_chunk()?;
        let mut bytes = self.at(&place).to_vec();
        loop {
            match self.fill()? {
                0 => return Ok(Some(bytes)),
                count => {
                    let place = self.convert(0..count);
                    bytes.extend_from_slice(self.at(&place));
                }
            }
            if bytes.len() > most {
                return Ok(None);
            }
        }
    }

    fn at(&self, place: &Place) -> &[u8] {
        match (&self.converter, place.converted) {
            (Some(converter), true) => &converter.out[place.range.clone()],
            _ => &self.buffer[place.range.clone()],
        }
    }

    /// Gives bytes of the buffer the line ends that are hashed.
    fn convert(&mut self, range: Range<usize>) -> Place {
        let raw = &self.buffer[range.clone()];
        self.another |= self.envelope > 0 && has_envelope(raw);
        let converter = self.converter.as_mut();
        let len = converter.and_then(|c| c.convert(raw).then_some(c.out.len()));
        Place {
            converted: len.is_some(),
            range: len.map_or(range.clone(), |len| 0..len),
            raw: range,
        }
    }

    /// Warns of what may make the verdict another than was expected: several messages in one file, and bare
    /// LFs among CRLFs, which another program may have hashed as they are.
    pub(in crate::cli) fn warn(&self) {
        if self.another {
            speech::warning(format!(
                "{}: this looks like an mbox of several messages; it was read as one",
                self.input.name
            ));
            speech::hint("split it into files first, as formail -s does");
        }
        if let Some(converter) = &self.converter
            && converter.bare > 0
            && converter.crlf > 0
        {
            speech::warning(format!(
                "{}: {} of the line ends are a bare LF among CRLFs; each was hashed as CRLF",
                self.input.name, converter.bare
            ));
            speech::hint("--line-ends as-is hashes the bytes untouched");
        }
    }

    /// The first chunk holds the first two lines where they are of a sane length, so that a leading mbox
    /// line can be left out and the line end of the header is known.
    fn first_chunk(&mut self) -> Result<Place, Trouble> {
        let mut len = self.fill()?;
        let short = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).take(2).count() < 2;
        if short(&self.buffer[..len]) {
            let mut start = self.buffer[..len].to_vec();
            while short(&start) && start.len() < CHUNK {
                match self.fill()? {
                    0 => break,
                    count => start.extend_from_slice(&self.buffer[..count]),
                }
            }
            len = start.len();
            self.buffer = start;
        }
        let envelope = envelope_len(&self.buffer[..len]);
        self.envelope = envelope as u64;
        let message = &self.buffer[envelope..len];
        if let Some(lf) = memchr::memchr(b'\n', message)
            && (lf == 0 || message[lf - 1] != b'\r')
        {
            self.line_end = "\n";
        }
        Ok(self.convert(envelope..len))
    }

    /// Reads the next bytes into the buffer; returns how many, 0 at the end.
    fn fill(&mut self) -> Result<usize, Trouble> {
        let failed = |name: &str, e: io::Error| Trouble::read(name, &e);
        let wanted = self.input.chunk_len();
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while !self.ended {
            let mut count = match self.input.read(&mut self.buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(failed(&self.input.name, e)),
                Ok(count) => count,
            };
            self.ended = count == 0;
            if let Some(unquoter) = &mut self.unquoter {
                let plain = match self.ended {
                    true => unquoter.finish(),
                    false => unquoter.feed(&self.buffer[..count]),
                };
                count = plain.len();
                // What was held back before may make it longer.
                self.buffer.resize(count.max(self.buffer.len()), 0);
                self.buffer[..count].copy_from_slice(plain);
            }
            if count == 0 {
                continue;
            }
            if let Some(kept) = &mut self.kept {
                kept.keep(&self.buffer[..count])
                    .map_err(|e| Trouble::write("the temporary file", &e))?;
            }
            self.length += count as u64;
            return Ok(count);
        }
        Ok(0)
    }
}

/// The length of a leading mbox line: `From ` and no header field of that name.
fn envelope_len(start: &[u8]) -> usize {
    let Some(rest) = start.strip_prefix(b"From ") else {
        return 0;
    };
    if rest.trim_ascii_start().starts_with(b":") {
        return 0;
    }
    start
        .iter()
        .position(|b| *b == b'\n')
        .map_or(0, |lf| lf + 1)
}

/// Whether a further message of an mbox begins within these bytes.
fn has_envelope(bytes: &[u8]) -> bool {
    let finder = |mark: &[u8]| memchr::memmem::find(bytes, mark).is_some();
    finder(b"\n\nFrom ") || finder(b"\n\r\nFrom ")
}

/// Makes a bare LF a CRLF, chunk by chunk.
#[derive(Debug, Default)]
struct Converter {
    out: Vec<u8>,
    after_cr: bool,
    bare: u64,
    crlf: u64,
}

impl Converter {
    /// Whether anything had to be changed, so that `out` holds the chunk.
    fn convert(&mut self, chunk: &[u8]) -> bool {
        self.out.clear();
        let mut copied = 0;
        let mut changed = false;
        for lf in memchr::memchr_iter(b'\n', chunk) {
            let after_cr = match lf {
                0 => self.after_cr,
                _ => chunk[lf - 1] == b'\r',
            };
            if after_cr {
                self.crlf += 1;
                continue;
            }
            self.bare += 1;
            changed = true;
            self.out.extend_from_slice(&chunk[copied..lf]);
            self.out.push(b'\r');
            copied = lf;
        }
        if let Some(last) = chunk.last() {
            self.after_cr = *last == b'\r';
        }
        if changed {
            self.out.extend_from_slice(&chunk[copied..]);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::Bytes;
    use super::*;

    #[test]
    fn a_bare_lf_becomes_crlf_at_every_chunk_size() {
        let raw = b"a\nb\r\nc\r\r\n\n\r\n\nd\r";
        let want = b"a\r\nb\r\nc\r\r\n\r\n\r\n\r\nd\r";
        for step in 1..=raw.len() {
            let mut converter = Converter::default();
            let mut out = Vec::new();
            for chunk in raw.chunks(step) {
                let changed = converter.convert(chunk);
                out.extend_from_slice(if changed { &converter.out } else { chunk });
            }
            assert_eq!(out, want, "step {step}");
            assert_eq!((converter.bare, converter.crlf), (3, 3));
        }
    }

    /// A reader that gives a few bytes at a time.
    struct Steps<'a>(&'a [u8], usize);

    impl Read for Steps<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(buffer.len());
            self.0.read(&mut buffer[..len])
        }
    }

    #[test]
    fn the_body_is_told_as_it_came_and_as_it_is_hashed() {
        for (message, body_at, hashed) in [
            (&b"A: b\r\nC: d\r\n\r\nx\r\ny"[..], 14, &b"x\r\ny"[..]),
            (b"A: b\nC: d\n\nx\ny", 11, b"x\r\ny"),
            (b"A: b\r\nC: d\n\nx\ny\r\n\n", 12, b"x\r\ny\r\n\r\n"),
            (b"A: b\nC: d\n\r\nx\n", 12, b"x\r\n"),
            (b"From x\nA: b\n\n\n", 13, b"\r\n"),
            (b"A: b\n\n", 6, b""),
            (b"A: b\n", 5, b""),
        ] {
            for step in 1..=message.len() {
                let mut input = Opened {
                    name: "-".to_owned(),
                    bytes: Bytes::Stream(Box::new(Steps(message, step))),
                    metadata: None,
                    quoting: Quoting::AsIs,
                    from: false,
                    packed: false,
                };
                let mut read = Message::new(&mut input, LineEnds::Crlf, None);
                let header = read.header(HeaderLimits::default()).unwrap();
                assert!(matches!(header, HeaderEnd::Found(_)));
                assert_eq!(read.body_at, body_at, "step {step}");
                let (mut came, mut canonical) = (Vec::new(), Vec::new());
                while let Some(chunk) = read.next_chunk().unwrap() {
                    came.extend_from_slice(chunk.raw);
                    canonical.extend_from_slice(chunk.hashed);
                }
                assert_eq!(came, message[usize::try_from(body_at).unwrap()..]);
                assert_eq!(canonical, hashed, "step {step}");
            }
        }
    }

    #[test]
    fn only_a_true_mbox_line_is_left_out() {
        for (start, len) in [
            (&b"From a@b Thu Jan  1\nFrom: x\n"[..], 20),
            (b"From: a\n", 0),
            (b"From : a\n", 0),
            (b"From \t: a\n", 0),
            (b"from a\n", 0),
            (b"", 0),
        ] {
            assert_eq!(envelope_len(start), len);
        }
    }
}
