//! Body canonicalization (RFC 6376 §3.4.3 and §3.4.4), in chunks of any size.
//!
//! CRLF is the line end. A CR or LF alone is an ordinary byte: what to make of it is for the caller to
//! decide before the bytes come here (RFC 6376 §5.3).

use super::{Canon, Sink};
use crate::message::is_wsp;

/// The state between two chunks of a body.
///
/// ```
/// use dkimkit::canon::{Canon, body::BodyCanonicalizer};
/// let mut out = Vec::new();
/// let mut body = BodyCanonicalizer::new(Canon::Relaxed);
/// for chunk in [&b" C \r"[..], b"\nD \t E\r\n\r", b"\n\r\n"] {
///     body.write(chunk, &mut out);
/// }
/// body.finish(&mut out);
/// assert_eq!(out, b" C\r\nD E\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct BodyCanonicalizer {
    canon: Canon,
    /// Whether anything but line ends was put out.
    begun: bool,
    /// Line ends that are held back until a byte follows: at the end of the body they do not count.
    held: u64,
    /// Relaxed: white space that is held back; at the end of a line it does not count.
    blank: bool,
    /// A CR at the end of the last chunk.
    cr: bool,
}

impl BodyCanonicalizer {
    /// The state before the first byte.
    pub fn new(canon: Canon) -> BodyCanonicalizer {
        BodyCanonicalizer {
            canon,
            begun: false,
            held: 0,
            blank: false,
            cr: false,
        }
    }

    /// Takes the next bytes of the body.
    pub fn write<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) {
        let mut chunk = chunk;
        if self.cr {
            match chunk.split_first() {
                None => return,
                Some((b'\n', rest)) => {
                    self.line_end();
                    chunk = rest;
                }
                Some(_) => self.content(b"\r", sink),
            }
            self.cr = false;
        }
        if let Some(rest) = chunk.strip_suffix(b"\r") {
            self.cr = true;
            chunk = rest;
        }
        match self.canon {
            Canon::Simple => self.write_simple(chunk, sink),
            Canon::Relaxed => self.write_relaxed(chunk, sink),
        }
    }

    /// Ends the body.
    pub fn finish<S: Sink>(mut self, sink: &mut S) {
        if self.cr {
            self.content(b"\r", sink);
        }
        // §3.4.3: an empty body is one CRLF. §3.4.4: it is nothing; any other ends with one CRLF.
        if self.canon == Canon::Simple || self.begun {
            sink.put(b"\r\n");
        }
    }

    fn write_simple<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) {
        let mut content = chunk;
        let mut ends = 0;
        while let Some(rest) = content.strip_suffix(b"\r\n") {
            content = rest;
            ends += 1;
        }
        if !content.is_empty() {
            self.content(content, sink);
        }
        self.held += ends;
    }

    fn write_relaxed<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) {
        let mut at = 0;
        while at < chunk.len() {
            let rest = &chunk[at..];
            if is_wsp(rest[0]) {
                self.blank = true;
                at += 1;
            } else if rest.starts_with(b"\r\n") {
                self.line_end();
                at += 2;
            } else {
                let end = run_end(rest);
                self.content(&rest[..end], sink);
                at += end;
            }
        }
    }

    fn line_end(&mut self) {
        self.blank = false;
        self.held += 1;
    }

    /// Puts out bytes that stay as they are, after what was held back before them.
    fn content<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) {
        const LINE_ENDS: [u8; 128] = {
            let mut ends = [b'\r'; 128];
            let mut i = 1;
            while i < ends.len() {
                ends[i] = b'\n';
                i += 2;
            }
            ends
        };
        while self.held > 0 {
            let now = self.held.min(LINE_ENDS.len() as u64 / 2);
            sink.put(&LINE_ENDS[..2 * now as usize]);
            self.held -= now;
        }
        if self.blank {
            sink.put(b" ");
            self.blank = false;
        }
        sink.put(bytes);
        self.begun = true;
    }
}

/// The length of the bytes that relaxed leaves as they are: up to a tab, a space that is not followed by
/// a byte of content, or a CRLF that is not followed by one.
fn run_end(bytes: &[u8]) -> usize {
    let mut at = 1;
    loop {
        match bytes.get(at) {
            None | Some(b'\t') => break,
            Some(b' ') => match bytes.get(at + 1) {
                Some(b' ' | b'\t' | b'\r') | None => break,
                Some(_) => at += 2,
            },
            Some(b'\r') if bytes.get(at + 1) == Some(&b'\n') => match bytes.get(at + 2) {
                Some(b' ' | b'\t' | b'\r') | None => break,
                Some(_) => at += 3,
            },
            Some(_) => at += 1,
        }
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streamed(canon: Canon, body: &[u8], step: usize) -> String {
        let mut out = Vec::new();
        let mut state = BodyCanonicalizer::new(canon);
        for chunk in body.chunks(step) {
            state.write(chunk, &mut out);
        }
        state.finish(&mut out);
        out.escape_ascii().to_string()
    }

    /// The RFC's words, on lines and without a thought for speed: what the stream is held against.
    fn by_lines(canon: Canon, body: &[u8]) -> String {
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let mut at = 0;
        while at < body.len() {
            if body[at..].starts_with(b"\r\n") {
                lines.push(Vec::new());
                at += 2;
            } else {
                lines.last_mut().unwrap().push(body[at]);
                at += 1;
            }
        }
        if canon == Canon::Relaxed {
            for line in &mut lines {
                let mut out = Vec::new();
                for &b in line.iter() {
                    match b {
                        b' ' | b'\t' if out.last() == Some(&b' ') => {}
                        b' ' | b'\t' => out.push(b' '),
                        b => out.push(b),
                    }
                }
                if out.last() == Some(&b' ') {
                    out.pop();
                }
                *line = out;
            }
        }
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        let mut out = lines.join(&b"\r\n"[..]);
        if !lines.is_empty() || canon == Canon::Simple {
            out.extend_from_slice(b"\r\n");
        }
        out.escape_ascii().to_string()
    }

    #[test]
    fn the_example_of_rfc_6376_section_3_4_5() {
        let body = b" C \r\nD \t E\r\n\r\n\r\n";
        assert_eq!(streamed(Canon::Simple, body, 99), " C \\r\\nD \\t E\\r\\n");
        assert_eq!(streamed(Canon::Relaxed, body, 99), " C\\r\\nD E\\r\\n");
    }

    #[test]
    fn bodies_of_nothing_have_the_forms_that_the_rfc_gives_them() {
        for (body, simple, relaxed) in [
            (&b""[..], "\\r\\n", ""),
            (b"\r\n", "\\r\\n", ""),
            (b"\r\n\r\n", "\\r\\n", ""),
            (b" \r\n", " \\r\\n", ""),
            (b" \t", " \\t\\r\\n", ""),
            (b"\r", "\\r\\r\\n", "\\r\\r\\n"),
            (b"\n", "\\n\\r\\n", "\\n\\r\\n"),
            (b"a", "a\\r\\n", "a\\r\\n"),
            (b"a \r", "a \\r\\r\\n", "a \\r\\r\\n"),
        ] {
            assert_eq!(streamed(Canon::Simple, body, 1), simple);
            assert_eq!(streamed(Canon::Relaxed, body, 1), relaxed);
        }
    }

    #[test]
    fn every_short_body_at_every_chunk_size_is_as_the_rfc_says() {
        const LETTERS: [u8; 5] = [b'x', b' ', b'\t', b'\r', b'\n'];
        for len in 0..=7usize {
            for mut code in 0..LETTERS.len().pow(u32::try_from(len).unwrap()) {
                let mut body = Vec::new();
                for _ in 0..len {
                    body.push(LETTERS[code % LETTERS.len()]);
                    code /= LETTERS.len();
                }
                for canon in [Canon::Simple, Canon::Relaxed] {
                    let want = by_lines(canon, &body);
                    for step in 1..=len.max(1) {
                        let got = streamed(canon, &body, step);
                        assert_eq!(got, want, "{canon:?} {:?} {step}", body.escape_ascii());
                    }
                }
            }
        }
    }
}
