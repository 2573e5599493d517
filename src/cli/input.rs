//! Where messages come from: files and pipes, packed or not, messages of an mbox; and a copy of them for a second
//! reading.

mod message;

use std::fs::{self, File, Metadata};
use std::io::{self, Cursor, Read, Seek as _, SeekFrom, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

pub(super) use self::message::{Chunk, HeaderEnd, Message};

use super::mailbox::Quoting;
use super::packing::Packing;
use super::speech::Trouble;

/// A message to read: a file, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    pub(super) fn from_arg(path: &Path) -> Source {
        if path == Path::new("-") {
            Source::Stdin
        } else {
            Source::File(path.to_owned())
        }
    }

    /// The sources that these arguments name; none means standard input.
    pub(super) fn list(paths: &[PathBuf]) -> Vec<Source> {
        if paths.is_empty() {
            return vec![Source::Stdin];
        }
        paths.iter().map(|p| Source::from_arg(p)).collect()
    }

    pub(super) fn name(&self) -> String {
        match self {
            Source::Stdin => "-".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// Opens it. Standard input that is a regular file is read like any file; what is compressed with gzip or
    /// zstd is unpacked as it is read.
    pub(super) fn open(&self) -> Result<Opened, Trouble> {
        let name = self.name();
        let failed = |e: &io::Error| Trouble::open(&name, e);
        let file = match self {
            Source::File(path) => File::open(path),
            Source::Stdin => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        };
        let opened = file.and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, mut file) = opened.map_err(|e| failed(&e))?;
        if metadata.is_dir() {
            return Err(failed(&io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let mut start = Vec::new();
        if metadata.is_file() {
            // Somebody may have read of standard input before.
            let position = match self {
                Source::File(_) => 0,
                Source::Stdin => file.stream_position().map_err(|e| failed(&e))?,
            };
            let mut bytes = [0; PEEK];
            // What cannot be read says so when the message is read.
            let count = file.read_at(&mut bytes, position).unwrap_or(0);
            start.extend_from_slice(&bytes[..count]);
        } else {
            while start.len() < PEEK {
                let mut more = [0; PEEK];
                match file.read(&mut more[..PEEK - start.len()]) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(Trouble::read(&name, &e)),
                    Ok(0) => break,
                    Ok(count) => start.extend_from_slice(&more[..count]),
                }
            }
        }
        let packing = Packing::of(&start);
        let bytes = match (metadata.is_file(), packing) {
            (true, None) => Bytes::File(file),
            (true, Some(packing)) => Bytes::Stream(packing.unpack(Box::new(file))),
            (false, packing) => {
                let whole = Box::new(Cursor::new(start.clone()).chain(file));
                Bytes::Stream(match packing {
                    Some(packing) => packing.unpack(whole),
                    None => whole,
                })
            }
        };
        let opened = Opened {
            name,
            bytes,
            metadata: Some(metadata),
            quoting: Quoting::AsIs,
            from: packing.is_none() && start.starts_with(b"From "),
            packed: packing.is_some(),
        };
        Ok(opened)
    }
}

/// So many bytes say what a source is; no message is shorter.
const PEEK: usize = 5;

/// A source that is open, or a message of an mbox.
pub(super) struct Opened {
    pub(super) name: String,
    bytes: Bytes,
    metadata: Option<Metadata>,
    /// How lines that begin with `From ` are quoted in it.
    quoting: Quoting,
    from: bool,
    packed: bool,
}

enum Bytes {
    File(File),
    Stream(Box<dyn Read + Send>),
    Part(Box<tempfile::SpooledTempFile>),
}

impl Opened {
    /// A message of the mbox `source`, its quotes undone in this way.
    pub(super) fn part(
        source: &Source,
        part: tempfile::SpooledTempFile,
        quoting: Quoting,
    ) -> Result<Opened, Trouble> {
        let mut part = part;
        let rewound = part.rewind();
        rewound.map_err(|e| Trouble::read("the temporary file", &e))?;
        Ok(Opened {
            name: source.name(),
            bytes: Bytes::Part(Box::new(part)),
            metadata: match source {
                Source::File(path) => fs::metadata(path).ok(),
                Source::Stdin => None,
            },
            quoting,
            from: false,
            packed: false,
        })
    }

    /// Puts back what was read from it, all since it was opened.
    pub(super) fn unread(&mut self, bytes: Vec<u8>) -> Result<(), Trouble> {
        match &mut self.bytes {
            Bytes::File(file) => {
                let back = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
                let sought = file.seek(SeekFrom::Current(-back));
                sought.map_err(|e| Trouble::read(&self.name, &e))?;
            }
            Bytes::Stream(stream) => {
                let rest = std::mem::replace(stream, Box::new(io::empty()));
                *stream = Box::new(Cursor::new(bytes).chain(rest));
            }
            Bytes::Part(_) => unreachable!("a part is not looked into"),
        }
        Ok(())
    }

    /// The bytes of a part, for another reading.
    pub(super) fn into_part(self) -> Option<tempfile::SpooledTempFile> {
        match self.bytes {
            Bytes::Part(part) => Some(*part),
            _ => None,
        }
    }

    /// Leaves out the first line of a message of an mbox: in a file of its own it would make that an mbox.
    pub(super) fn skip_envelope(&mut self) -> Result<(), Trouble> {
        let mut byte = [0];
        while byte != *b"\n" {
            match self.read(&mut byte) {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) => return Err(Trouble::read("the temporary file", &e)),
            }
        }
        Ok(())
    }

    /// Whether it is a file that can be opened again.
    pub(super) fn is_file(&self) -> bool {
        self.name != "-" && self.metadata.as_ref().is_some_and(Metadata::is_file)
    }

    /// Whether it may be an mbox: whether it begins with `From `, or is packed, so that nobody has looked.
    pub(super) fn may_be_mbox(&self) -> bool {
        self.from || self.packed
    }

    /// How much to read at once: a small file whole, and one byte more, to see its end.
    fn chunk_len(&self) -> usize {
        let len = match (&self.bytes, &self.metadata) {
            (Bytes::File(_), Some(metadata)) => metadata.len(),
            _ => CHUNK as u64,
        };
        usize::try_from(len).map_or(CHUNK, |len| (len + 1).clamp(512, CHUNK))
    }

    /// Whether `path` names the same file.
    pub(super) fn is_same_file(&self, path: &Path) -> bool {
        self.is_same(fs::metadata(path))
    }

    /// Whether standard output is this very file.
    pub(super) fn is_stdout(&self) -> bool {
        let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        self.is_same(stdout.and_then(|file| file.metadata()))
    }

    fn is_same(&self, other: io::Result<Metadata>) -> bool {
        let own = self.metadata.as_ref().filter(|m| m.is_file());
        match (own, other) {
            (Some(own), Ok(other)) => (own.dev(), own.ino()) == (other.dev(), other.ino()),
            _ => false,
        }
    }

    /// Reads some of what a writer would still write into a pipe, so that it does not fail; not for ever.
    pub(super) fn drain(&mut self) {
        let kind = self.metadata.as_ref().map(Metadata::file_type);
        if kind.is_some_and(|kind| kind.is_fifo() || kind.is_socket()) {
            let _ = io::copy(&mut self.take(DRAINED), &mut io::sink());
        }
    }
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::File(file) => file.read(buffer),
            Bytes::Stream(stream) => stream.read(buffer),
            Bytes::Part(part) => part.read(buffer),
        }
    }
}

/// Keeps the bytes of a message for a second reading: where they stand, or a copy of them.
#[derive(Debug)]
pub(super) enum Kept {
    /// The file itself, from this offset on, as it was then.
    File { start: u64, before: Metadata },
    /// A copy, in memory up to [`SPOOL`] and then in an unlinked file that only its owner can read.
    Spool(Box<tempfile::SpooledTempFile>),
}

/// So much is read of a pipe whose verdict is known.
const DRAINED: u64 = 64 << 20;

/// A pipe is kept in memory up to this size.
const SPOOL: usize = 1 << 20;

impl Kept {
    pub(super) fn prepare(input: &mut Opened) -> Result<Kept, Trouble> {
        let (Bytes::File(file), Some(before)) = (&mut input.bytes, &input.metadata) else {
            let spool = tempfile::spooled_tempfile_in(SPOOL, std::env::temp_dir());
            return Ok(Kept::Spool(Box::new(spool)));
        };
        let position = file.stream_position();
        let start = position.map_err(|e| Trouble::read(&input.name, &e))?;
        let before = before.clone();
        Ok(Kept::File { start, before })
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Kept::File { .. } => Ok(()),
            Kept::Spool(spool) => spool.write_all(bytes),
        }
    }

    /// Copies the message to `out`, with `inserted` behind its first `head` bytes.
    ///
    /// A file that changed since it was read first is an error: the signature would be of another message.
    /// `length` is the number of bytes that were read before.
    pub(super) fn copy(
        self,
        input: &mut Opened,
        length: u64,
        head: u64,
        inserted: &[u8],
        out: &mut dyn Write,
    ) -> Result<(), Trouble> {
        let name = input.name.clone();
        let read = |e: io::Error| Trouble::read(&name, &e);
        match self {
            Kept::File { start, before } => {
                let Bytes::File(file) = &mut input.bytes else {
                    unreachable!("what stands in a file was read from one");
                };
                let changed = || {
                    let message = format!("{name}: the file changed while it was read");
                    Err(Trouble::new(super::Exit::TempFail, message))
                };
                let stamp = |m: &Metadata| {
                    (
                        m.len(),
                        m.mtime(),
                        m.mtime_nsec(),
                        m.ctime(),
                        m.ctime_nsec(),
                    )
                };
                if stamp(&file.metadata().map_err(read)?) != stamp(&before) {
                    return changed();
                }
                file.seek(SeekFrom::Start(start)).map_err(read)?;
                let mut bytes = (&mut *file).take(length);
                let copied = splice(&mut bytes, &name, head, inserted, out)?;
                // What was copied is what was signed only if nobody wrote in the meantime.
                let after = file.metadata().map_err(read)?;
                if copied != length || stamp(&after) != stamp(&before) {
                    return changed();
                }
                Ok(())
            }
            Kept::Spool(mut spool) => {
                spool.rewind().map_err(read)?;
                splice(&mut spool, &name, head, inserted, out).map(|_| ())
            }
        }
    }
}

/// Copies all bytes, with `inserted` behind the first `head` of them; returns how many were copied.
fn splice(
    bytes: &mut dyn Read,
    name: &str,
    head: u64,
    inserted: &[u8],
    out: &mut dyn Write,
) -> Result<u64, Trouble> {
    let mut buffer = vec![0; CHUNK];
    let mut copied = 0;
    let mut inserted = Some(inserted);
    loop {
        if copied >= head
            && let Some(fields) = inserted.take()
        {
            write(out, fields)?;
        }
        let room = match head.saturating_sub(copied) {
            0 => CHUNK,
            left => usize::try_from(left).unwrap_or(CHUNK).min(CHUNK),
        };
        let count = match bytes.read(&mut buffer[..room]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(|e| Trouble::read(name, &e))?,
        };
        if count == 0 {
            return Ok(copied);
        }
        copied += count as u64;
        write(out, &buffer[..count])?;
    }
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<(), Trouble> {
    out.write_all(bytes)
        .map_err(|e| Trouble::write("the output", &e))
}

const CHUNK: usize = 64 << 10;
