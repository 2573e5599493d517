//! The milter protocol on the wire, without a socket: packets cut from bytes as they come, and what
//! stands in them, both ways.
//!
//! There is no RFC. The facts are those of the documentation of Sendmail's libmilter, of its table of
//! commands for version 2 (`milter-protocol.txt` of Sendmail::PMilter), of what Postfix sends
//! (`MILTER_README`), and of draft-adams-milter-protocol for version 6. A packet is a length of four
//! octets, highest first, that counts what follows it: one octet that says what it is, and its data.
//!
//! ```
//! use dkimkit::milter::wire::{Command, Frames, Reply};
//! let mut frames = Frames::new(65_536);
//! let mut input: &[u8] = b"\0\0\0\x0bLSubject\0 \0\0\0\0\x01N";
//! let mut commands = 0;
//! while let Some(frame) = frames.next(&mut input)? {
//!     match Command::parse(frame)? {
//!         Command::Header { name, value } => assert_eq!((name, value), (&b"Subject"[..], &b" "[..])),
//!         command => assert_eq!(command, Command::EndOfHeader),
//!     }
//!     commands += 1;
//! }
//! assert_eq!(commands, 2);
//! let mut out = Vec::new();
//! Reply::Continue.encode(&mut out)?;
//! assert_eq!(out, b"\0\0\0\x01c");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod command;
mod field;
mod flags;
mod reply;
#[cfg(test)]
mod tests;

pub use self::command::{Command, Peer};
pub(super) use self::field::is_field_name;
pub use self::field::{FieldBytesError, put_field_bytes};
pub use self::flags::{Actions, MacroStage, Negotiation, Steps};
pub use self::reply::{Modification, Reply, ReplyText, ReplyTextError};

/// The newest version that we speak, and the newest there is.
pub const VERSION: u32 = 6;
/// The oldest: before it, the end of a header was not told.
pub const OLDEST_VERSION: u32 = 2;
/// As much data as a packet to the MTA may have; MTAs that follow Sendmail take no more.
pub const MAX_REPLY_DATA: usize = 65_535;
/// A packet that was longer than this gives its memory back when the next one begins.
const KEPT: usize = 128 * 1024;
const LENGTH_OCTETS: usize = 4;

/// Cuts packets out of bytes that come in pieces of any size.
///
/// Memory grows with the bytes that came, never with the length that was announced, and not above the
/// limit.
#[derive(Debug)]
pub struct Frames {
    limit: usize,
    length: [u8; LENGTH_OCTETS],
    length_octets: usize,
    payload: Vec<u8>,
    whole: bool,
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub code: u8,
    /// What stands behind that.
    pub data: &'a [u8],
}

impl Frames {
    /// Takes packets whose announced length is `limit` at most.
    pub fn new(limit: usize) -> Frames {
        Frames {
            limit,
            length: [0; LENGTH_OCTETS],
            length_octets: 0,
            payload: Vec::new(),
            whole: false,
        }
    }

    /// The next packet, once it is whole; what it needs is cut from the front of `input`.
    ///
    /// Without one, `input` is empty afterwards. An error is final: nothing tells where the next packet
    /// would begin.
    ///
    /// # Errors
    /// [`WireError::Empty`] and [`WireError::TooLong`].
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame<'_>>, WireError> {
        if self.whole {
            self.begin();
        }
        while self.length_octets < LENGTH_OCTETS {
            let Some((&octet, rest)) = input.split_first() else {
                return Ok(None);
            };
            self.length[self.length_octets] = octet;
            self.length_octets += 1;
            *input = rest;
        }
        let length = u32::from_be_bytes(self.length);
        let wanted = match usize::try_from(length) {
            Ok(0) => return Err(WireError::Empty),
            Ok(wanted) if wanted <= self.limit => wanted,
            _ => {
                let limit = self.limit;
                return Err(WireError::TooLong { length, limit });
            }
        };
        let missing = wanted - self.payload.len();
        let (now, rest) = input.split_at(missing.min(input.len()));
        self.make_room(now.len(), wanted);
        self.payload.extend_from_slice(now);
        *input = rest;
        match self.payload.split_first() {
            Some((&code, data)) if now.len() == missing => {
                self.whole = true;
                Ok(Some(Frame { code, data }))
            }
            _ => Ok(None),
        }
    }

    /// Whether a part of a packet is here, and the rest of it is not.
    pub fn is_within(&self) -> bool {
        self.length_octets > 0 && !self.whole
    }

    fn begin(&mut self) {
        self.whole = false;
        self.length_octets = 0;
        self.payload.clear();
        if self.payload.capacity() > KEPT {
            self.payload.shrink_to(KEPT);
        }
    }

    /// Doubles the room where it is too small, but not above the whole packet.
    fn make_room(&mut self, more: usize, whole: usize) {
        let needed = self.payload.len() + more;
        if needed > self.payload.capacity() {
            let room = needed.max(self.payload.capacity() * 2).min(whole);
            self.payload.reserve_exact(room - self.payload.len());
        }
    }
}

/// Strings that each end with a NUL: the arguments of MAIL and RCPT, and macros.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    /// Reads strings that stand one behind the other.
    ///
    /// # Errors
    /// [`WireError::Unterminated`] where the last one has no NUL.
    pub fn parse(bytes: &'a [u8]) -> Result<Strings<'a>, WireError> {
        match bytes.last() {
            None | Some(0) => Ok(Strings(bytes)),
            Some(_) => Err(WireError::Unterminated { what: "a string" }),
        }
    }

    /// The strings, without their NULs.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let all = self.0.strip_suffix(&[0]);
        all.into_iter().flat_map(|all| all.split(|&b| b == 0))
    }

    /// The first one: the address of MAIL or RCPT, with its angle brackets.
    pub fn first(self) -> &'a [u8] {
        self.iter().next().unwrap_or_default()
    }

    /// The bytes that they were read from.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl std::fmt::Debug for Strings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let strings = self.iter().map(String::from_utf8_lossy);
        f.debug_list().entries(strings).finish()
    }
}

/// What is left to read of the data of a packet.
struct Data<'a>(&'a [u8]);

impl<'a> Data<'a> {
    fn octets<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let (octets, rest) = self
            .0
            .split_first_chunk()
            .ok_or(WireError::Short { what })?;
        self.0 = rest;
        Ok(*octets)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, WireError> {
        self.octets(what).map(u32::from_be_bytes)
    }

    fn string(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let end = memchr::memchr(0, self.0).ok_or(WireError::Unterminated { what })?;
        let (string, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Ok(string)
    }

    /// Strings to the end, one at least.
    fn strings(&mut self, what: &'static str) -> Result<Strings<'a>, WireError> {
        match self.rest() {
            [] => Err(WireError::Short { what }),
            bytes => Strings::parse(bytes).map_err(|_| WireError::Unterminated { what }),
        }
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn end(&self, code: u8) -> Result<(), WireError> {
        match self.0.len() {
            0 => Ok(()),
            octets => Err(WireError::Trailing { code, octets }),
        }
    }
}

/// Writes one packet: its length, its code, and the data that `write` appends. After an error, `out` is
/// as it was.
fn packet(
    out: &mut Vec<u8>,
    code: u8,
    limit: usize,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend([0, 0, 0, 0, code]);
    let data = out.len();
    let written = write(out).and_then(|()| match out.len() - data {
        length if length > limit => Err(EncodeError::TooLong { length, limit }),
        length => u32::try_from(length + 1).map_err(|_| EncodeError::TooLong { length, limit }),
    });
    match written {
        Ok(length) => {
            out[start..start + LENGTH_OCTETS].copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

fn put_string(out: &mut Vec<u8>, string: &[u8], what: &'static str) -> Result<(), EncodeError> {
    if string.contains(&0) {
        return Err(EncodeError::Nul { what });
    }
    out.extend(string);
    out.push(0);
    Ok(())
}

/// Why bytes are not the milter protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A packet of length zero, which has no room for a code.
    #[error("a packet is empty")]
    Empty,
    /// A packet that announces more than is taken.
    #[error("a packet of {length} octets is longer than {limit}")]
    TooLong {
        /// What it announces.
        length: u32,
        /// What is taken.
        limit: usize,
    },
    /// A code that has no meaning in this direction.
    #[error("a packet has the unknown code {code:#04x}")]
    UnknownCode {
        /// The code.
        code: u8,
    },
    /// The packet ends within or before a part of it.
    #[error("a packet ends before {what}")]
    Short {
        /// The part.
        what: &'static str,
    },
    /// A string has no NUL at its end.
    #[error("{what} has no NUL at its end")]
    Unterminated {
        /// The string.
        what: &'static str,
    },
    /// More data than the packet has parts.
    #[error("{octets} octets too many stand in a packet with the code {code:#04x}")]
    Trailing {
        /// The code of the packet.
        code: u8,
        /// How many there are.
        octets: usize,
    },
    /// A macro without a value.
    #[error("a macro has no value")]
    OddMacros,
    /// An address family that is none of `4`, `6`, `L` and `U`.
    #[error("a client has the unknown address family {family:#04x}")]
    UnknownFamily {
        /// The family.
        family: u8,
    },
    /// A stage of macros that there is not.
    #[error("macros are asked for at the unknown stage {stage}")]
    UnknownStage {
        /// The stage.
        stage: u32,
    },
    /// A reply to the SMTP client that is none.
    #[error("the text of a reply is wrong: {error}")]
    ReplyText {
        /// What is wrong with it.
        error: ReplyTextError,
    },
}

/// Why something cannot be said in the milter protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A string with a NUL, which would end it.
    #[error("{what} has a NUL")]
    Nul {
        /// The string.
        what: &'static str,
    },
    /// More data than fits into a packet.
    #[error("the data of a packet has {length} octets, more than {limit}")]
    TooLong {
        /// What it has.
        length: usize,
        /// What fits.
        limit: usize,
    },
    /// A field name that is empty, or has what no field name has.
    #[error("the name of a field is not one")]
    FieldName,
    /// A field value with a CR, or with a line that would begin another field: RFC 5322 §2.2.3. Lines
    /// are folded with LF alone; the MTA makes it CRLF.
    #[error("the value of a field has a line break that folds nothing")]
    LineBreak,
    /// A line of a folded field value with nothing but blanks.
    #[error("the value of a field is folded to a line of blanks")]
    BlankLine,
    /// A change of field 0; the first one is 1.
    #[error("the fields of a name are counted from 1")]
    NoSuchField,
    /// A control character other than a tab in what is one line.
    #[error("{what} has the control character {octet:#04x}")]
    Control {
        /// The line.
        what: &'static str,
        /// The character.
        octet: u8,
    },
}
