//! A body by lines: where each stands, what it is when it is canonical, and the hash of the body with some of its
//! lines replaced, which costs no more than the lines behind.

use std::ops::Range;

use super::target::BodyTarget;
use crate::canon::{Canon, Sink as _};
use crate::hash::{Digest, Hasher};
use crate::message::is_wsp;

/// A body, cut at each CRLF.
pub(super) struct Lines<'a> {
    pub(super) text: &'a [u8],
    canon: Canon,
    /// What each canonical line ends with.
    end: &'static [u8],
    /// Where each line begins; one more for the end.
    starts: Vec<usize>,
    /// All lines when they are canonical, each with its line end.
    canonical: Vec<u8>,
    /// Where each line begins in that; one more for the end.
    places: Vec<usize>,
    /// How many lines there are up to the last that is not empty.
    content: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8], target: &BodyTarget) -> Lines<'a> {
        let canon = target.canon;
        let mut lines = Lines {
            text,
            canon,
            end: target.line_end(),
            starts: vec![0],
            canonical: Vec::with_capacity(text.len() + 2),
            places: vec![0],
            content: 0,
        };
        let mut at = 0;
        while at < text.len() {
            let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
            let line = &text[at..end];
            put_content(
                line.strip_suffix(b"\r\n").unwrap_or(line),
                canon,
                &mut lines.canonical,
            );
            lines.canonical.extend_from_slice(lines.end);
            at = end;
            let place = lines.canonical.len();
            if place - lines.places[lines.places.len() - 1] > lines.end.len() {
                lines.content = lines.places.len();
            }
            lines.starts.push(at);
            lines.places.push(place);
        }
        lines
    }

    /// The number of lines.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// A line as it stands, with its CRLF.
    pub(super) fn raw(&self, line: usize) -> &'a [u8] {
        &self.text[self.starts[line]..self.starts[line + 1]]
    }

    /// A line as it stands, without its CRLF.
    pub(super) fn line(&self, line: usize) -> &'a [u8] {
        let raw = self.raw(line);
        raw.strip_suffix(b"\r\n").unwrap_or(raw)
    }

    /// Where a line begins; the end of the body for the number of lines.
    pub(super) fn start(&self, line: usize) -> usize {
        self.starts[line]
    }

    /// The line that this byte stands in; the number of lines for the end.
    pub(super) fn at(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte) - 1
    }

    /// Whether a line is empty when it is canonical.
    pub(super) fn is_blank(&self, line: usize) -> bool {
        self.places[line + 1] - self.places[line] == self.end.len()
    }

    /// Where the line ends with which the canonical body has so many octets.
    pub(super) fn covering(&self, octets: u64) -> usize {
        let octets = usize::try_from(octets).unwrap_or(usize::MAX);
        let line = self.places.partition_point(|place| *place < octets);
        self.starts[line.min(self.len())]
    }

    /// A hash that has taken nothing yet.
    pub(super) fn begin(&self, target: &BodyTarget) -> Probe {
        Probe {
            hasher: Hasher::new(target.hash),
            canon: self.canon,
            end: self.end,
            limit: target.octets(),
            taken: 0,
            blanks: 0,
            begun: false,
        }
    }

    /// Lets `probe` take these lines.
    pub(super) fn feed(&self, probe: &mut Probe, lines: Range<usize>) {
        // Lines that are empty up to the end of the range may be the last ones.
        let mut end = lines.end;
        while end > lines.start && self.is_blank(end - 1) {
            end -= 1;
        }
        if end > lines.start {
            probe.content(&self.canonical[self.places[lines.start]..self.places[end]]);
        }
        probe.blanks += lines.end - end;
    }

    /// Whether what `probe` took, with these lines to the end behind it, is what was signed.
    pub(super) fn ends_as(&self, probe: &Probe, from: usize, target: &BodyTarget) -> bool {
        if from >= self.content {
            return target.is(&probe.digest());
        }
        let mut probe = probe.clone();
        probe.content(&self.canonical[self.places[from]..self.places[self.content]]);
        target.is(&probe.digest())
    }
}

/// The canonical form of one line, with CRLF.
pub(super) fn put_line(line: &[u8], canon: Canon, out: &mut Vec<u8>) {
    put_content(line, canon, out);
    out.extend_from_slice(b"\r\n");
}

/// The canonical form of one line, without a line end.
fn put_content(line: &[u8], canon: Canon, out: &mut Vec<u8>) {
    match canon {
        Canon::Simple => out.extend_from_slice(line),
        Canon::Relaxed => {
            // RFC 6376 §3.4.4: no white space at the end, and one SP for every run.
            let mut rest = line;
            while let Some(at) = memchr::memchr2(b' ', b'\t', rest) {
                out.extend_from_slice(&rest[..at]);
                let blanks = rest[at..].iter().take_while(|b| is_wsp(**b)).count();
                rest = &rest[at + blanks..];
                if !rest.is_empty() {
                    out.push(b' ');
                }
            }
            out.extend_from_slice(rest);
        }
    }
}

/// The length of the first line, with its CRLF.
pub(super) fn line_end(text: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, b"\r\n").map(|at| at + 2)
}

/// A hash on its way through canonical lines.
#[derive(Clone)]
pub(super) struct Probe {
    hasher: Hasher,
    canon: Canon,
    end: &'static [u8],
    /// How many octets l= counts.
    limit: Option<u64>,
    taken: u64,
    /// Empty lines that wait for content behind them.
    blanks: usize,
    begun: bool,
}

impl Probe {
    /// Takes canonical lines, the last of which is not empty.
    pub(super) fn content(&mut self, canonical: &[u8]) {
        const CRLFS: &[u8] = b"\r\n\r\n\r\n\r\n";
        const LFS: &[u8] = b"\n\n\n\n";
        let ends = if self.end.len() == 1 { LFS } else { CRLFS };
        while self.blanks > 0 {
            let now = self.blanks.min(4);
            self.put(&ends[..self.end.len() * now]);
            self.blanks -= now;
        }
        self.begun = true;
        self.put(canonical);
    }

    /// Takes lines that stand in no body, each with CRLF.
    pub(super) fn lines(&mut self, text: &[u8]) {
        let mut content = Vec::with_capacity(text.len() + 2);
        let mut at = 0;
        while at < text.len() {
            let end = line_end(&text[at..]).map_or(text.len(), |end| at + end);
            let line = &text[at..end];
            let before = content.len();
            put_content(
                line.strip_suffix(b"\r\n").unwrap_or(line),
                self.canon,
                &mut content,
            );
            if content.len() == before {
                // Empty lines wait for content behind them.
                if before > 0 {
                    self.content(&content);
                    content.clear();
                }
                self.blanks += 1;
            } else {
                content.extend_from_slice(self.end);
            }
            at = end;
        }
        if !content.is_empty() {
            self.content(&content);
        }
    }

    /// The hash if the line that was begun ended here, and with it the body.
    pub(super) fn ended(&self) -> Option<Digest> {
        let mut last = self.clone();
        last.put(self.end);
        last.digest()
    }

    fn put(&mut self, bytes: &[u8]) {
        let mut taken = bytes;
        if let Some(limit) = self.limit {
            let room = usize::try_from(limit - self.taken).unwrap_or(usize::MAX);
            taken = &bytes[..bytes.len().min(room)];
        }
        self.hasher.put(taken);
        self.taken += taken.len() as u64;
    }

    /// The hash if the body ended here; `None` where l= counts more than that.
    pub(super) fn digest(&self) -> Option<Digest> {
        let mut last = self.clone();
        if !self.begun && self.canon == Canon::Simple {
            last.put(self.end);
        }
        let enough = last.limit.is_none_or(|limit| limit == last.taken);
        enough.then(|| last.hasher.finish())
    }
}
