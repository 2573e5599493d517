//! Body canonicalization (RFC 6376 §3.4.3 and §3.4.4), in chunks of any size.
//!
//! CRLF is the line end. A CR or LF alone is an ordinary byte: what to make of it is for the caller to
//! decide before the bytes come here (RFC 6376 §5.3).
//!
//! Relaxed works on blocks of 64 bytes, with the widest vectors that the processor has. What stays is
//! gathered in a buffer of 16 KiB, which is handed on whole: a hash that is fed by the line is a third slower.

use std::sync::atomic::{AtomicUsize, Ordering};

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

use super::{Canon, Sink};

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
    level: Level,
    /// What stays and was not handed on yet.
    gathered: Gathered,
    /// Whether anything but line ends was handed on.
    begun: bool,
    /// Line ends that stand before what is gathered: at the end of the body they do not count.
    held: u64,
    /// Relaxed: white space that is held back; at the end of a line it does not count.
    blank: bool,
    /// A CR whose next byte is not known yet.
    cr: bool,
}

impl BodyCanonicalizer {
    /// The state before the first byte.
    pub fn new(canon: Canon) -> BodyCanonicalizer {
        BodyCanonicalizer::with_level(canon, allowed(WIDEST.load(Ordering::Relaxed)))
    }

    fn with_level(canon: Canon, level: Level) -> BodyCanonicalizer {
        BodyCanonicalizer {
            canon,
            level,
            gathered: Gathered::default(),
            begun: false,
            held: 0,
            blank: false,
            cr: false,
        }
    }

    /// Takes the next bytes of the body.
    pub fn write<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) {
        match self.canon {
            Canon::Simple => self.write_simple(chunk, sink),
            Canon::Relaxed => self.write_relaxed(chunk, sink),
        }
    }

    /// Ends the body.
    pub fn finish<S: Sink>(mut self, sink: &mut S) {
        if self.cr {
            match self.canon {
                Canon::Simple => self.content(b"\r", sink),
                Canon::Relaxed => self.gather(b'\r', sink),
            }
        }
        if self.canon == Canon::Relaxed {
            self.hand_on_but_line_ends(true, sink);
        }
        self.hand_on(self.gathered.len, sink);
        // §3.4.3: an empty body is one CRLF. §3.4.4: it is nothing; any other ends with one CRLF.
        if self.canon == Canon::Simple || self.begun {
            sink.put(b"\r\n");
        }
    }

    fn write_simple<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) {
        let mut content = chunk;
        if self.cr {
            match content.split_first() {
                None => return,
                Some((b'\n', rest)) => {
                    self.held += 1;
                    content = rest;
                }
                Some(_) => self.content(b"\r", sink),
            }
        }
        self.cr = content.ends_with(b"\r");
        if self.cr {
            content = &content[..content.len() - 1];
        }
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

    /// Simple: takes bytes that stay as they are, after the line ends that were held back.
    fn content<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) {
        let more = self
            .held
            .saturating_mul(2)
            .saturating_add(bytes.len() as u64);
        if more >= SHORT as u64 {
            self.hand_on(self.gathered.len, sink);
            self.put_held(sink);
            sink.put(bytes);
            return;
        }
        if !self.gathered.reserve(more as usize) {
            self.hand_on(self.gathered.len, sink);
        }
        for _ in 0..self.held {
            self.gathered.push(b"\r\n");
        }
        self.held = 0;
        self.gathered.push(bytes);
    }

    fn write_relaxed<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.blank && !self.cr {
                // More of it makes no difference.
                rest = &rest[blanks(rest)..];
                if rest.is_empty() {
                    break;
                }
            }
            if self.blank || self.cr || rest.len() < BLOCK + AHEAD {
                self.step(rest[0], sink);
                rest = &rest[1..];
                continue;
            }
            if !self.gathered.reserve(rest.len()) && self.gathered.room() < ROOM {
                self.hand_on_but_line_ends(false, sink);
            }
            let taken = dispatch!(self.level, simd => relax(simd, rest, &mut self.gathered));
            rest = &rest[taken..];
        }
    }

    /// Relaxed, a byte at a time: at the edges of chunks.
    fn step<S: Sink>(&mut self, byte: u8, sink: &mut S) {
        if self.cr {
            self.cr = false;
            if byte == b'\n' {
                self.blank = false;
            }
            self.gather(b'\r', sink);
        }
        match byte {
            b' ' | b'\t' => self.blank = true,
            b'\r' => self.cr = true,
            _ => self.gather(byte, sink),
        }
    }

    /// Relaxed: gathers a byte, and before it the blank that was held back.
    fn gather<S: Sink>(&mut self, byte: u8, sink: &mut S) {
        if self.gathered.room() < 2 && !self.gathered.reserve(2) {
            self.hand_on_but_line_ends(false, sink);
        }
        if self.blank {
            self.blank = false;
            self.gathered.push_byte(b' ');
        }
        self.gathered.push_byte(byte);
    }

    /// Hands on what is gathered, but holds back the line ends at its end; `last` says that no byte will
    /// follow, so that a CR at the end is none of them.
    fn hand_on_but_line_ends<S: Sink>(&mut self, last: bool, sink: &mut S) {
        let gathered = self.gathered.as_bytes();
        let cr = !last && gathered.ends_with(b"\r");
        let mut content = &gathered[..gathered.len() - usize::from(cr)];
        let mut ends = 0;
        while let Some(rest) = content.strip_suffix(b"\r\n") {
            content = rest;
            ends += 1;
        }
        if !content.is_empty() {
            let len = content.len();
            self.put_held(sink);
            self.begun = true;
            self.hand_on(len, sink);
        }
        self.held += ends;
        self.gathered.len = 0;
        if cr {
            self.gathered.push(b"\r");
        }
    }

    fn hand_on<S: Sink>(&mut self, len: usize, sink: &mut S) {
        if len > 0 {
            sink.put(&self.gathered.as_bytes()[..len]);
            self.gathered.len = 0;
        }
    }

    fn put_held<S: Sink>(&mut self, sink: &mut S) {
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
    }
}

/// Bounds the vectors that every later canonicalizer of this process uses, in bits: to 256 where wider ones
/// lower the clock of an old processor, or to 128 to see what they are worth. The bytes are the same.
///
/// ```
/// dkimkit::canon::body::limit_vectors(256);
/// ```
pub fn limit_vectors(bits: usize) {
    WIDEST.store(bits, Ordering::Relaxed);
}

static WIDEST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The best level of this machine with vectors of at most so many bits.
fn allowed(bits: usize) -> Level {
    let best = Level::new();
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        let avx512 = best.as_avx512().filter(|_| bits >= 512);
        let avx2 = best.as_avx2().filter(|_| bits >= 256);
        let sse2 = best.as_sse2();
        let level = avx512.map(Level::Avx512).or(avx2.map(Level::Avx2));
        level.or(sse2.map(Level::Sse2)).unwrap_or(best)
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    {
        let _ = bits;
        best
    }
}

/// How many blanks `bytes` begins with.
fn blanks(bytes: &[u8]) -> usize {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let mut at = 0;
    // All of a piece are looked at, so that it can be done at once.
    while let Some(piece) = bytes.get(at..at + 32)
        && piece.iter().fold(true, |all, b| all & blank(b))
    {
        at += 32;
    }
    at + bytes[at..].iter().take_while(|b| blank(b)).count()
}

/// Bytes that are looked at together.
const BLOCK: usize = 64;
/// Bytes behind a block that say what becomes of the white space at its end.
const AHEAD: usize = 2;
/// What the writing of a block may touch.
const ROOM: usize = 2 * BLOCK;
/// Bytes that are gathered before they are handed on.
const GATHERED: usize = 16 << 10;
/// Simple: pieces from this length on are handed on as they are.
const SHORT: usize = 1024;

/// A buffer that grows to its final size with the first bytes that come.
#[derive(Debug, Clone, Default)]
struct Gathered {
    bytes: Vec<u8>,
    len: usize,
}

impl Gathered {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn room(&self) -> usize {
        self.bytes.len() - self.len
    }

    /// Makes room for `more` bytes and a block, as far as the cap goes; whether there is so much now.
    fn reserve(&mut self, more: usize) -> bool {
        let wanted = self.len.saturating_add(more).saturating_add(ROOM);
        if wanted > self.bytes.len() && self.bytes.len() < GATHERED {
            let len = wanted.max(2 * self.bytes.len()).min(GATHERED);
            self.bytes.resize(len, 0);
        }
        wanted <= self.bytes.len()
    }

    fn push_byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

/// Relaxes whole blocks of `input`, from a place where no white space is held back, as many as there is room
/// for; returns how many bytes it took. Line ends are gathered like all else.
#[inline(always)]
fn relax<S: Simd>(simd: S, input: &[u8], gathered: &mut Gathered) -> usize {
    let [space, tab, cr, lf] = [b' ', b'\t', b'\r', b'\n'].map(|b| u8x64::splat(simd, b));
    let out = gathered.bytes.as_mut_slice();
    let mut len = gathered.len;
    let mut taken = 0;
    while let Some(window) = input.get(taken..taken + BLOCK + AHEAD)
        && let Some(room) = out.get_mut(len..len + ROOM)
    {
        let block = u8x64::from_slice(simd, &window[..BLOCK]);
        let next = u8x64::from_slice(simd, &window[1..BLOCK + 1]);
        let second = u8x64::from_slice(simd, &window[2..]);
        // White space goes before white space and before a line end; what stays is a space.
        let tabs = block.simd_eq(tab);
        let blanks = block.simd_eq(space) | tabs;
        let blank_next = next.simd_eq(space) | next.simd_eq(tab);
        let end_next = next.simd_eq(cr) & second.simd_eq(lf);
        let gone = blanks & (blank_next | end_next);
        let block = tabs.select(space, block);
        let gone_bits = gone.to_bitmask();
        let kept = BLOCK - gone_bits.count_ones() as usize;
        if S::u8s::LEN == BLOCK {
            block.compress(!gone).store_slice(&mut room[..BLOCK]);
        } else if gone_bits == 0 {
            block.store_slice(&mut room[..BLOCK]);
        } else {
            let mut copy = [0; ROOM];
            block.store_slice(&mut copy[..BLOCK]);
            close_up(&copy, gone_bits, room);
        }
        len += kept;
        taken += BLOCK;
    }
    gathered.len = len;
    taken
}

/// Puts the bytes of a block whose bits are not set to the beginning of `out`, with garbage behind them.
#[inline(always)]
fn close_up(block: &[u8; ROOM], gone: u64, out: &mut [u8]) {
    let mut gone = gone;
    let (mut from, mut to) = (0, 0);
    loop {
        // A run is copied with what follows it, which the next one covers.
        let whole = &block[from..][..BLOCK];
        let end = gone.trailing_zeros() as usize;
        out[to..][..BLOCK].copy_from_slice(whole);
        if end == BLOCK {
            return;
        }
        to += end - from;
        let run = (gone >> end).trailing_ones() as usize;
        from = end + run;
        if from == BLOCK {
            return;
        }
        gone &= u64::MAX << from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every level that this machine has, those of the same width once.
    fn levels() -> [Level; 3] {
        [128, 256, 512].map(allowed)
    }

    fn streamed(canon: Canon, body: &[u8], step: usize) -> String {
        streamed_with(Level::new(), canon, body, step)
    }

    fn streamed_with(level: Level, canon: Canon, body: &[u8], step: usize) -> String {
        let mut out = Vec::new();
        let mut state = BodyCanonicalizer::with_level(canon, level);
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

    /// A body that looks like none: runs of what matters, long enough for many blocks.
    fn odd_body(random: &mut impl FnMut(usize) -> usize, len: usize) -> Vec<u8> {
        const PIECES: [&[u8]; 12] = [
            b" ",
            b"\t",
            b"\r\n",
            b"\r",
            b"\n",
            b" \r\n",
            b"  ",
            b"\r\n\r\n\r\n",
            b"x",
            b"word",
            b"a longer run of text without anything but single spaces in it, and so over a block ",
            b"\xff\0",
        ];
        let mut body = Vec::new();
        let mut piece = 0;
        while body.len() < len {
            // The same piece again and again at times: floods of one kind.
            if random(4) == 0 {
                piece = random(PIECES.len());
            }
            body.extend_from_slice(PIECES[piece]);
        }
        body
    }

    #[test]
    fn long_bodies_are_the_same_at_every_width_and_in_every_chunk_size() {
        // Numbers that look random and are the same in every run (Knuth's MMIX generator).
        let mut state = 4u64;
        let mut random = |bound: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % bound
        };
        for round in 0..300 {
            let len = if round % 10 == 0 {
                50_000
            } else {
                1 + random(600)
            };
            let body = odd_body(&mut random, len);
            for canon in [Canon::Simple, Canon::Relaxed] {
                let want = by_lines(canon, &body);
                for level in levels() {
                    for step in [1 + random(200), 4096, body.len()] {
                        let got = streamed_with(level, canon, &body, step);
                        assert!(got == want, "{level:?} {canon:?} {step} round {round}");
                    }
                }
            }
        }
    }

    #[test]
    fn floods_of_line_ends_and_blanks_around_the_buffer() {
        for len in [8190, 8191, 8192, 8193, 16_383, 16_384, 16_385, 40_000] {
            for (flood, end) in [
                (&b"\r\n"[..], &b""[..]),
                (b"\r\n", b"x"),
                (b"\r\n", b"\r"),
                (b"\r\n", b"\rx"),
                (b"\r", b"\n"),
                (b"\r", b"\n\n"),
                (b" ", b"x"),
                (b" ", b""),
                (b" \r\n", b"\r\n"),
                (b"x", b"\r\n"),
            ] {
                let body = [b"a", flood.repeat(len).as_slice(), end].concat();
                for canon in [Canon::Simple, Canon::Relaxed] {
                    let want = by_lines(canon, &body);
                    for step in [7, 16_384, body.len()] {
                        let got = streamed(canon, &body, step);
                        assert!(
                            got == want,
                            "{canon:?} {:?} {len} {step}",
                            flood.escape_ascii()
                        );
                    }
                }
            }
        }
    }
}
