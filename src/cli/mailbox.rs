//! Where messages come from in numbers: directories, Maildirs, mbox files; each of them lazily.
//!
//! An mbox is cut where a line begins with `From `, an address and a time, behind an empty line. Which of the
//! customs of quoting such lines within a message was followed, no mbox says (RFC 4155); a message that has
//! quoted lines can be read in each way.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::input::{Opened, Source};
use super::speech::Trouble;

/// All messages that the arguments name: a file itself; of a Maildir what is in `new` and `cur`; of any other
/// directory every file below it, in order, but those whose name begins with a dot.
///
/// One directory at a time is read, so that memory grows with the largest alone.
pub(super) struct Walk {
    waiting: VecDeque<Source>,
    below: Vec<Level>,
}

/// What is left of a directory.
struct Level {
    dir: PathBuf,
    maildir: bool,
    /// The last one comes first.
    entries: Vec<Entry>,
}

struct Entry {
    name: OsString,
    /// `None` for what could not be asked.
    kind: Option<fs::FileType>,
}

impl Walk {
    pub(super) fn new(sources: Vec<Source>) -> Walk {
        Walk {
            waiting: sources.into(),
            below: Vec::new(),
        }
    }

    /// Whether the last source came out of `new` or `cur` of a Maildir.
    fn is_in_maildir(&self) -> bool {
        matches!(self.below.as_slice(), [.., above, last] if above.maildir
            && (last.dir.ends_with("cur") || last.dir.ends_with("new")))
    }

    fn enter(&mut self, dir: PathBuf) -> Result<(), Trouble> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type().ok());
            Ok(Entry { name, kind })
        };
        let entries = fs::read_dir(&dir).and_then(|list| list.map(entry).collect());
        let mut entries: Vec<Entry> =
            entries.map_err(|e| Trouble::open(&dir.display().to_string(), &e))?;
        entries.retain(|entry| !entry.name.as_encoded_bytes().starts_with(b"."));
        entries.sort_unstable_by(|a, b| b.name.cmp(&a.name));
        let maildir = ["cur", "new", "tmp"].iter().all(|d| dir.join(d).is_dir());
        self.below.push(Level {
            dir,
            maildir,
            entries,
        });
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Result<Source, Trouble>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(level) = self.below.last_mut() else {
                match self.waiting.pop_front()? {
                    Source::File(path) if path.is_dir() => {
                        if let Err(trouble) = self.enter(path) {
                            return Some(Err(trouble));
                        }
                        continue;
                    }
                    source => return Some(Ok(source)),
                }
            };
            let Some(Entry { name, kind }) = level.entries.pop() else {
                self.below.pop();
                continue;
            };
            let path = level.dir.join(&name);
            // A link to a directory is not followed: it may lead round in a circle.
            if kind.is_some_and(|kind| kind.is_dir()) {
                if level.maildir && name == "tmp" {
                    continue;
                }
                if let Err(trouble) = self.enter(path) {
                    return Some(Err(trouble));
                }
            } else if !level.maildir && (kind.is_some_and(|kind| kind.is_file()) || path.is_file())
            {
                return Some(Ok(Source::File(path)));
            }
        }
    }
}

/// A message that was found.
pub(super) enum Found {
    /// A file that is no mbox.
    File(Source),
    /// A pipe or the like, which is open.
    Opened(Source, Opened),
    /// A message of an mbox.
    Part(Source, Part),
}

/// All messages that the arguments name, one after the other; an mbox is cut into those that it has.
pub(super) struct Messages {
    /// What is open already and comes first.
    opened: Option<(Source, Opened)>,
    walk: Walk,
    mbox: Option<(Source, Mbox<Opened>)>,
}

impl Messages {
    pub(super) fn new(sources: Vec<Source>) -> Messages {
        Messages {
            opened: None,
            walk: Walk::new(sources),
            mbox: None,
        }
    }

    /// The messages of a source that is open.
    pub(super) fn of(source: Source, opened: Opened) -> Messages {
        let mut messages = Messages::new(Vec::new());
        messages.opened = Some((source, opened));
        messages
    }

    fn find(&mut self) -> Result<Option<Found>, Trouble> {
        loop {
            if let Some((source, mbox)) = &mut self.mbox {
                match mbox.next() {
                    Ok(Some(part)) => return Ok(Some(Found::Part(source.clone(), part))),
                    ended => {
                        self.mbox = None;
                        ended?;
                        continue;
                    }
                }
            }
            let (source, opened) = match self.opened.take() {
                Some(opened) => opened,
                None => {
                    let Some(source) = self.walk.next().transpose()? else {
                        return Ok(None);
                    };
                    // What lies in a Maildir is a message.
                    if self.walk.is_in_maildir() {
                        return Ok(Some(Found::File(source)));
                    }
                    let opened = source.open()?;
                    (source, opened)
                }
            };
            match Mbox::of(opened)? {
                Ok(mbox) => self.mbox = Some((source, mbox)),
                // It is opened again where it is read: descriptors are few.
                Err(opened) if opened.is_file() => return Ok(Some(Found::File(source))),
                Err(opened) => return Ok(Some(Found::Opened(source, opened))),
            }
        }
    }
}

impl Iterator for Messages {
    type Item = Result<Found, Trouble>;

    fn next(&mut self) -> Option<Self::Item> {
        self.find().transpose()
    }
}

/// How lines that begin with `From ` were quoted when a message was put into an mbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Not at all, or in a way that is not undone.
    AsIs,
    /// `>` was put before `From `.
    Mboxo,
    /// `>` was put before `From ` and any number of `>` before that.
    Mboxrd,
}

/// One message of an mbox, with its first line, as it stood there.
#[derive(Debug)]
pub(super) struct Part {
    /// Its number, counted from 1.
    pub(super) number: u64,
    /// Whether it is the only one.
    pub(super) alone: bool,
    /// Whether lines in it may be quoted.
    pub(super) quoted: bool,
    /// In memory up to a size, and then in an unlinked file.
    pub(super) bytes: tempfile::SpooledTempFile,
}

/// A message up to this size stays in memory.
const SPOOL: usize = 256 << 10;
/// The first line of a message is no longer.
const LINE: usize = 1024;
const CHUNK: usize = 64 << 10;

/// The messages of an mbox, one after the other.
pub(super) struct Mbox<R> {
    input: R,
    name: String,
    buffer: Vec<u8>,
    ended: bool,
    number: u64,
}

impl Mbox<Opened> {
    /// The messages of a source that is an mbox; a source that is none comes back as it was.
    pub(super) fn of(opened: Opened) -> Result<Result<Mbox<Opened>, Opened>, Trouble> {
        if !opened.may_be_mbox() {
            return Ok(Err(opened));
        }
        let name = opened.name.clone();
        let mut mbox = Mbox::new(opened, name);
        while !mbox.ended && mbox.buffer.len() < LINE && !mbox.buffer.contains(&b'\n') {
            mbox.fill()?;
        }
        let line = &mbox.buffer[..mbox.buffer.len().min(LINE)];
        let line = &line[..memchr::memchr(b'\n', line).unwrap_or(line.len())];
        if is_envelope(line) {
            return Ok(Ok(mbox));
        }
        let Mbox {
            mut input, buffer, ..
        } = mbox;
        input.unread(buffer)?;
        Ok(Err(input))
    }
}

impl<R: Read> Mbox<R> {
    pub(super) fn new(input: R, name: String) -> Mbox<R> {
        Mbox {
            input,
            name,
            buffer: Vec::new(),
            ended: false,
            number: 0,
        }
    }

    /// The next message; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Part>, Trouble> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let mut bytes = tempfile::spooled_tempfile_in(SPOOL, std::env::temp_dir());
        let mut quotes = Quotes::default();
        let more = loop {
            let (len, skip, found) = self.next_piece();
            let piece = &self.buffer[..len];
            quotes.look(piece);
            let written = bytes.write_all(piece);
            written.map_err(|e| Trouble::write("the temporary file", &e))?;
            self.buffer.drain(..len + skip);
            if found || (self.ended && self.buffer.is_empty()) {
                break found;
            }
            self.fill()?;
        };
        let rewound = bytes.rewind();
        rewound.map_err(|e| Trouble::read("the temporary file", &e))?;
        self.number += 1;
        Ok(Some(Part {
            number: self.number,
            alone: self.number == 1 && !more,
            quoted: quotes.found,
            bytes,
        }))
    }

    /// How many bytes at the start of the buffer belong to this message, how many behind them are the empty
    /// line between two, and whether the next one begins there.
    fn next_piece(&self) -> (usize, usize, bool) {
        let buffer = &self.buffer;
        let mut from = 0;
        while let Some(at) = memmem::find(&buffer[from..], b"\nFrom ").map(|i| from + i) {
            from = at + 1;
            let line = &buffer[at + 1..];
            let blank = match buffer[..at] {
                [.., b'\n', b'\r'] => 2,
                [.., b'\n'] => 1,
                _ => continue,
            };
            match memchr::memchr(b'\n', &line[..line.len().min(LINE)]) {
                Some(end) if is_envelope(&line[..end]) => return (at + 1 - blank, blank, true),
                Some(_) => {}
                // The line is not whole yet: it is looked at again with more of it.
                // What stands before it is kept too: the empty line, and the line end that makes it one.
                None if line.len() < LINE && !self.ended => return (at - blank, 0, false),
                None => {}
            }
        }
        let kept = if self.ended { 0 } else { b"\n\r\nFrom".len() };
        (buffer.len().saturating_sub(kept), 0, false)
    }

    fn fill(&mut self) -> Result<(), Trouble> {
        let wanted = self.buffer.len() + 1;
        while !self.ended && self.buffer.len() < wanted {
            let held = self.buffer.len();
            self.buffer.resize(held + CHUNK, 0);
            let read = self.input.read(&mut self.buffer[held..]);
            self.buffer
                .truncate(held + read.as_ref().copied().unwrap_or(0));
            match read {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Trouble::read(&self.name, &e)),
                Ok(count) => self.ended = count == 0,
            }
        }
        Ok(())
    }
}

/// Whether a line, without its line end, is the first of a message in an mbox: `From `, an address, and a
/// time of day somewhere behind it.
pub(super) fn is_envelope(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else {
        return false;
    };
    let is_time = |w: &[u8]| {
        w[0].is_ascii_digit() && w[1].is_ascii_digit() && w[2] == b':' && w[3].is_ascii_digit()
    };
    let address = rest.iter().position(|b| *b == b' ');
    // `From : x` is a header field.
    address.is_some_and(|at| at > 0 && rest[0] != b':' && rest[at..].windows(4).any(is_time))
}

/// Looks for lines that may be quoted: any `>From ` in the text.
#[derive(Default)]
struct Quotes {
    found: bool,
    tail: Vec<u8>,
}

impl Quotes {
    fn look(&mut self, piece: &[u8]) {
        const QUOTED: &[u8] = b">From ";
        if self.found {
            return;
        }
        let joint = [&self.tail, &piece[..piece.len().min(QUOTED.len() - 1)]].concat();
        self.found =
            memmem::find(&joint, QUOTED).is_some() || memmem::find(piece, QUOTED).is_some();
        let joint = [
            &self.tail,
            &piece[piece.len().saturating_sub(QUOTED.len() - 1)..],
        ]
        .concat();
        self.tail = joint[joint.len().saturating_sub(QUOTED.len() - 1)..].to_vec();
    }
}

/// Undoes the quoting, chunk by chunk.
#[derive(Debug)]
pub(super) struct Unquoter {
    quoting: Quoting,
    out: Vec<u8>,
    state: State,
    /// Quotes stand in bodies alone: `>From : x` in a header is a field of that name.
    in_header: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    /// A CR stands at the start of a line.
    LineStartCr,
    /// So many `>` came, of which one is held back, and so many bytes of `From `.
    Quote {
        quotes: u64,
        matched: usize,
    },
    Within,
}

impl Unquoter {
    pub(super) fn new(quoting: Quoting) -> Unquoter {
        Unquoter {
            quoting,
            out: Vec::new(),
            state: State::LineStart,
            in_header: true,
        }
    }

    /// The chunk without the quotes; what is held back at its end comes with the next, or with
    /// [`finish`](Self::finish).
    pub(super) fn feed(&mut self, chunk: &[u8]) -> &[u8] {
        const FROM: &[u8] = b"From ";
        self.out.clear();
        let mut rest = chunk;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.state {
                State::Within => {
                    let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |lf| lf + 1);
                    self.out.extend_from_slice(&rest[..end]);
                    if rest[end - 1] == b'\n' {
                        self.state = State::LineStart;
                    }
                    rest = &rest[end..];
                    continue;
                }
                State::LineStart if self.in_header && byte == b'\r' => {
                    self.out.push(byte);
                    self.state = State::LineStartCr;
                }
                State::LineStart | State::LineStartCr if self.in_header && byte == b'\n' => {
                    self.out.push(byte);
                    self.in_header = false;
                    self.state = State::LineStart;
                }
                State::LineStart if byte == b'>' && !self.in_header => {
                    self.state = State::Quote {
                        quotes: 1,
                        matched: 0,
                    };
                }
                State::LineStart | State::LineStartCr => {
                    self.state = State::Within;
                    continue;
                }
                State::Quote { quotes, matched: 0 } if byte == b'>' => {
                    self.out.push(b'>');
                    self.state = State::Quote {
                        quotes: quotes + 1,
                        matched: 0,
                    };
                }
                State::Quote { quotes, matched } if byte == FROM[matched] => {
                    self.state = State::Quote {
                        quotes,
                        matched: matched + 1,
                    };
                    if matched + 1 == FROM.len() {
                        let undone = match self.quoting {
                            Quoting::Mboxrd => true,
                            Quoting::Mboxo => quotes == 1,
                            Quoting::AsIs => false,
                        };
                        self.out.extend((!undone).then_some(b'>'));
                        self.out.extend_from_slice(FROM);
                        self.state = State::Within;
                    }
                }
                State::Quote { .. } => {
                    self.release();
                    continue;
                }
            }
            rest = tail;
        }
        &self.out
    }

    /// What was held back.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.out.clear();
        self.release();
        &self.out
    }

    fn release(&mut self) {
        if let State::Quote { matched, .. } = self.state {
            self.out.push(b'>');
            self.out.extend_from_slice(&b"From "[..matched]);
            self.state = State::Within;
        }
    }
}

/// The name of a part's own file.
pub(super) fn part_name(path: &Path, number: u64) -> Option<String> {
    Some(format!("{}.{number}", path.file_name()?.to_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most so many bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(buffer.len());
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    fn parts(text: &[u8], step: usize) -> Vec<(u64, bool, bool, String)> {
        let mut mbox = Mbox::new(Slow(text, step), "x".to_owned());
        let mut parts = Vec::new();
        while let Some(mut part) = mbox.next().unwrap() {
            let mut text = String::new();
            part.bytes.read_to_string(&mut text).unwrap();
            parts.push((part.number, part.alone, part.quoted, text));
        }
        parts
    }

    #[test]
    fn an_mbox_is_cut_at_its_envelopes_alone() {
        for end in ["\n", "\r\n"] {
            let first = "From a@b Thu Jan  1 00:00:00 2026\nA: 1\n\nFrom here on\n>From there\n";
            let second = "From c@d Thu Jan  1 00:00:00 2026\nB: 2\n\n\nno blank line:\nFrom x@y Thu Jan  1 00:00:00 2026\n";
            let third = "From - Thu Jan  1 00:00:00 2026\nC: 3\n";
            let text = [first, second, third].join("\n").replace('\n', end);
            let want: Vec<_> = [(first, true), (second, false), (third, false)]
                .into_iter()
                .zip(1..)
                .map(|((text, quoted), number)| (number, false, quoted, text.replace('\n', end)))
                .collect();
            for step in [1, 2, 3, 7, 100_000] {
                assert_eq!(parts(text.as_bytes(), step), want, "step {step}");
            }
        }
        let one = "From a@b Thu Jan  1 00:00:00 2026\nA: 1\n\nx\n";
        assert_eq!(parts(one.as_bytes(), 5), [(1, true, false, one.to_owned())]);
        assert_eq!(parts(b"", 5), []);
    }

    #[test]
    fn long_messages_and_long_lines_pass_through_whole() {
        let long = format!("x{}\n\nFrom {}\n", "y".repeat(200_000), "z".repeat(100_000));
        let text = format!(
            "From a@b Thu Jan  1 00:00:00 2026\nA: 1\n\n{long}\nFrom c@d 1 Jan 2026 00:00:00\nB: 2\n"
        );
        let got = parts(text.as_bytes(), 9_999);
        assert_eq!(got.len(), 2);
        assert!(got[0].3.ends_with(&long));
        assert_eq!(got[1].3, "From c@d 1 Jan 2026 00:00:00\nB: 2\n");
    }

    #[test]
    fn no_boundary_is_lost_wherever_it_falls_in_the_buffer() {
        for end in ["\n", "\r\n"] {
            for len in (CHUNK - 150..CHUNK + 50).chain(2 * CHUNK - 150..2 * CHUNK + 20) {
                let text = format!(
                    "From a@b Thu Jan  1 00:00:00 2026\nA: 1\n\n{}\n\n\
                     From c@d Thu Jan  1 00:00:00 2026\nB: 2\n\nx\n",
                    "y".repeat(len)
                );
                let text = text.replace('\n', end);
                let mut mbox = Mbox::new(text.as_bytes(), "x".to_owned());
                let mut count = 0;
                while mbox.next().unwrap().is_some() {
                    count += 1;
                }
                assert_eq!(count, 2, "{end:?} {len}");
            }
        }
    }

    #[test]
    fn quotes_are_undone_as_each_custom_put_them() {
        for end in [&b"\n"[..], b"\r\n"] {
            unquoted(end);
        }
    }

    fn unquoted(end: &[u8]) {
        let header = [b"A: 1", end, b">From : x", end, end].concat();
        let text = b">From a\n>>From b\n> From c\n>Fro\n>>>\nx >From d\n>From";
        let text = [header.as_slice(), text].concat();
        for (quoting, want) in [
            (Quoting::AsIs, text[header.len()..].to_vec()),
            (
                Quoting::Mboxrd,
                b"From a\n>From b\n> From c\n>Fro\n>>>\nx >From d\n>From".to_vec(),
            ),
            (
                Quoting::Mboxo,
                b"From a\n>>From b\n> From c\n>Fro\n>>>\nx >From d\n>From".to_vec(),
            ),
        ] {
            for step in 1..=text.len() {
                let mut unquoter = Unquoter::new(quoting);
                let mut out = Vec::new();
                for chunk in text.chunks(step) {
                    out.extend_from_slice(unquoter.feed(chunk));
                }
                out.extend_from_slice(unquoter.finish());
                let want = [header.as_slice(), &want].concat();
                assert_eq!(
                    out.escape_ascii().to_string(),
                    want.escape_ascii().to_string(),
                    "{quoting:?} {step}"
                );
            }
        }
    }

    #[test]
    fn envelopes_are_told_from_header_fields_and_sentences() {
        for (line, want) in [
            ("From a@b Thu Jan  1 00:00:00 2026", true),
            ("From MAILER-DAEMON Thu Jan  1 00:00 2026", true),
            ("From - Thu Jan 01 00:00:00 2026", true),
            ("From here on it is 12 o'clock", false),
            ("From: a@b 00:00", false),
            ("From : a@b 00:00", false),
            ("From  a 00:00", false),
            ("From a@b", false),
            (" From a@b Thu Jan  1 00:00:00 2026", false),
        ] {
            assert_eq!(is_envelope(line.as_bytes()), want, "{line}");
        }
    }
}
