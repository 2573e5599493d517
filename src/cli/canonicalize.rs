//! `dkimkit canonicalize`: the bytes that are hashed.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::ValueEnum;
use dkimkit::canon::body::BodyCanonicalizer;
use dkimkit::canon::{Canonicalization, Sink, header};
use dkimkit::hash::BodyLimit;
use dkimkit::header::FieldIndex;
use dkimkit::message::{Header, HeaderLimits};
use dkimkit::signature::{FIELD_NAME, Signature, SignatureLimits};
use dkimkit::verify::put_signed_header;

use super::Exit;
use super::args::{ReadArgs, canonicalization};
use super::input::{HeaderEnd, Message, Source};
use super::output::Output;
use super::speech::Trouble;

/// Print a message in canonical form: the bytes that are hashed
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit canonicalize message.eml
  dkimkit canonicalize --canon simple/relaxed --part body message.eml | openssl dgst -sha256 -binary | base64
  dkimkit canonicalize --signature 1 --part header signed.eml")]
pub(super) struct Args {
    /// The canonicalization of header and body; relaxed/relaxed if left out
    #[arg(long, value_name = "HEADER/BODY", value_parser = canonicalization)]
    canon: Option<Canonicalization>,
    /// Print exactly what the Nth DKIM-Signature field (1 is the topmost) hashes: with its c=, h= and l=
    #[arg(long, value_name = "N", conflicts_with = "canon")]
    signature: Option<std::num::NonZeroUsize>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    part: Part,
    #[command(flatten)]
    read: ReadArgs,
    /// The message; - or none is standard input
    message: Option<PathBuf>,
}

/// The parts of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Part {
    /// The header, an empty line, and the body
    #[default]
    All,
    /// The header fields alone
    Header,
    /// The body alone
    Body,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let paths: Vec<PathBuf> = args.message.iter().cloned().collect();
    let source = Source::list(&paths).remove(0);
    let mut input = source.open()?;
    let mut message = Message::new(&mut input, args.read.line_ends, None);
    let fields = match message.header(HeaderLimits::default())? {
        HeaderEnd::Found(header) => header,
        HeaderEnd::Refused(error) => return Err(Trouble::from(error).about(&source.name())),
    };
    let mut out = Printer {
        out: Output::stdout(),
        left: u64::MAX,
        failed: None,
    };
    let (canon, limit) = put_header(args, &fields, &mut out)?;
    if args.part == Part::All {
        out.put(b"\r\n");
    }
    if args.part != Part::Header {
        if let BodyLimit::Octets(octets) = limit {
            out.left = octets;
        }
        let mut body = BodyCanonicalizer::new(canon.body);
        while let Some(chunk) = message.next()? {
            body.write(chunk, &mut out);
        }
        body.finish(&mut out);
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// Puts the header out if it is wanted; says how the body is to be treated.
fn put_header(
    args: &Args,
    fields: &Header,
    out: &mut Printer,
) -> Result<(Canonicalization, BodyLimit), Trouble> {
    let wanted = args.part != Part::Body;
    let Some(number) = args.signature else {
        let canon = args.canon.unwrap_or(Canonicalization::RELAXED);
        for field in fields.fields().filter(|_| wanted) {
            header::field(canon.header, field, out);
        }
        return Ok((canon, BodyLimit::Whole));
    };
    let index = FieldIndex::new(fields);
    let mut positions = index.positions(fields, FIELD_NAME);
    let count = positions.len();
    let position = positions.nth(number.get() - 1).ok_or_else(|| {
        Trouble::new(
            Exit::No,
            format!("the message has {count} DKIM-Signature fields"),
        )
    })?;
    let value = fields.field(position).value();
    let (signature, b_value) = Signature::parse(value, SignatureLimits::default())
        .map_err(|rejected| Trouble::new(Exit::No, rejected.error))?;
    if wanted {
        put_signed_header(fields, &index, &signature, position, b_value, out);
    }
    Ok((signature.canonicalization, signature.body_limit))
}

/// Standard output as a sink, up to a number of octets.
struct Printer {
    out: Output,
    left: u64,
    failed: Option<io::Error>,
}

impl Printer {
    fn finish(self) -> Result<(), Trouble> {
        match self.failed {
            Some(error) => Err(Trouble::write("standard output", &error)),
            None => self.out.finish(),
        }
    }
}

impl Sink for Printer {
    fn put(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        self.left -= bytes.len() as u64;
        if self.failed.is_none() {
            self.failed = self.out.write_all(bytes).err();
        }
    }
}
