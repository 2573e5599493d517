//! A message that comes out as it came, with fields before it: what `sign` and `arc seal` have in common.

use std::io::Write as _;
use std::path::PathBuf;

use dkimkit::message::{Header, HeaderLimits};

use super::args::LineEnds;
use super::input::{Chunk, HeaderEnd, Kept, Message, Opened};
use super::output::Output;
use super::speech::Trouble;

/// Where a message goes, and what of it.
pub(super) struct Rewriting {
    /// A file, or standard output.
    pub(super) destination: Option<PathBuf>,
    /// Whether the new fields are written alone.
    pub(super) fields_only: bool,
    /// Whether an existing file is replaced.
    pub(super) force: bool,
    /// Whether a link is followed.
    pub(super) follow: bool,
    pub(super) line_ends: LineEnds,
}

impl Rewriting {
    /// Reads a message, asks for the fields, each folded with CRLF and without a final one, and writes them before it
    /// with the line ends that it has.
    pub(super) fn run<S>(
        &self,
        input: &mut Opened,
        begin: impl FnOnce(Header, &Message<'_>) -> Result<S, Trouble>,
        chunk: impl Fn(&mut S, Chunk<'_>),
        end: impl FnOnce(S) -> Result<Vec<String>, Trouble>,
    ) -> Result<(), Trouble> {
        if let Some(path) = &self.destination
            && input.is_same_file(path)
        {
            return Err(replaces_input());
        }
        if self.destination.is_none() && input.is_stdout() {
            return Err(Trouble::usage("standard output is the input file")
                .hint("-o FILE names another one; the input is never changed"));
        }
        let mut kept = match self.fields_only {
            true => None,
            false => Some(Kept::prepare(input)?),
        };
        let mut message = Message::new(input, self.line_ends, kept.as_mut());
        let header = match message.header(HeaderLimits::default())? {
            HeaderEnd::Found(header) => header,
            HeaderEnd::Refused(error) => return Err(error.into()),
        };
        let mut state = begin(header, &message)?;
        while let Some(next) = message.next_chunk()? {
            chunk(&mut state, next);
        }
        message.warn();
        let (length, envelope, line_end) = (message.length, message.envelope, message.line_end);
        drop(message);
        let mut fields = String::new();
        for field in end(state)? {
            fields.push_str(&field.replace("\r\n", line_end));
            fields.push_str(line_end);
        }
        let mut out = match &self.destination {
            Some(path) => Output::file(path, self.force, self.follow)?,
            None => Output::stdout(),
        };
        match kept {
            Some(kept) => kept.copy(input, length, envelope, fields.as_bytes(), &mut out)?,
            None => out
                .write_all(fields.as_bytes())
                .map_err(|e| Trouble::write("the output", &e))?,
        }
        out.finish()
    }
}

pub(super) fn replaces_input() -> Trouble {
    Trouble::usage("the output would replace the input")
        .hint("choose another name; the input is never changed")
}
