//! `dkimkit lint`: what is known to break a message on its way.

use std::io::Write as _;
use std::path::PathBuf;

use dkimkit::canon::Canonicalization;
use dkimkit::lint::{Finding, LineEnd, LintOptions, LintReport, Linter, Origin, Severity, worst};
use dkimkit::message::{Header, HeaderLimits};

use super::Exit;
use super::args::{ReadArgs, canonicalization};
use super::batch::{self, Progress};
use super::input::{HeaderEnd, Message, Opened, Source};
use super::mailbox::{Found, Messages, Quoting};
use super::output::Output;
use super::speech::{self, Trouble, escape};

/// Say what is known to break a message on its way, or to have it refused
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 no error was found (warnings may stand), 1 an error was found.

Examples:
  dkimkit lint message.eml
  dkimkit lint --json outbox/ | jq .findings
  dkimkit lint --canon simple/simple < message.eml
  dkimkit sign --lint-deny message.eml -o signed.eml"
)]
pub(super) struct Args {
    /// The canonicalization that it will be signed with (c=), if it has no signature; relaxed if left out
    #[arg(long, value_name = "HEADER/BODY", value_parser = canonicalization)]
    canon: Option<Canonicalization>,
    /// Print one JSON object a line a message
    #[arg(long)]
    json: bool,
    /// How many messages to look at at once; the number of cores if left out
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    read: ReadArgs,
    /// Messages, mbox files, Maildirs or directories, also compressed with gzip or zstd; - or none is standard
    /// input
    messages: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let mut out = Output::stdout();
    let mut exits = Vec::new();
    let mut count = 0u64;
    let progress = Progress::new(true);
    let messages = Messages::new(Source::list(&args.messages));
    let work = |found: Result<Found, Trouble>| look(args, found?);
    let ended = batch::run(
        args.jobs,
        messages,
        work,
        |done: Result<Looked, Trouble>| {
            count += 1;
            progress.count(String::new);
            let (text, exit) = match done {
                Ok(looked) => looked,
                Err(trouble) => (String::new(), trouble.tell()),
            };
            exits.push(exit);
            exits.dedup();
            out.write_all(text.as_bytes())
                .map_err(|e| Trouble::write("standard output", &e))
        },
    );
    let finished = out.finish();
    drop(progress);
    if count == 0 {
        speech::warning("there is no message to look at");
    }
    let found = [Exit::Usage, Exit::No, Exit::TempFail]
        .into_iter()
        .find(|exit| exits.contains(exit));
    match ended.and(finished) {
        // A reader that went away has not seen all.
        Err(trouble) if trouble.is_quiet() => Ok(found.unwrap_or(Exit::TempFail)),
        told => told.map(|()| found.unwrap_or(Exit::Done)),
    }
}

/// What is printed of a message, and what it means for the exit code.
type Looked = (String, Exit);

impl batch::Outcome for Result<Looked, Trouble> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, |(text, _)| text.len())
    }
}

fn look(args: &Args, found: Found) -> Result<Looked, Trouble> {
    let (mut opened, number) = match found {
        Found::File(source) => (source.open()?, None),
        Found::Opened(_, opened) => (opened, None),
        Found::Part(source, part) => {
            let number = (!part.alone).then_some(part.number);
            // As `sign` reads it.
            let quoting = match part.alone {
                true => Quoting::AsIs,
                false => Quoting::Mboxrd,
            };
            (Opened::part(&source, part.bytes, quoting)?, number)
        }
    };
    let mut report = report(args, &mut opened)?;
    report.message = number;
    let exit = match report.result {
        "error" => Exit::No,
        _ => Exit::Done,
    };
    let text = match args.json {
        true => format!("{}\n", report.to_json()),
        false => text(&report),
    };
    Ok((text, exit))
}

fn report(args: &Args, opened: &mut Opened) -> Result<LintReport, Trouble> {
    let file = opened.name.clone();
    let mut message = Message::new(opened, args.read.line_ends, None);
    let header = match message.header(HeaderLimits::default())? {
        HeaderEnd::Found(header) => header,
        HeaderEnd::Refused(error) => return Ok(LintReport::unreadable(file, error)),
    };
    let options = LintOptions {
        planned: Vec::new(),
        canonicalization: args.canon,
        origin: origin(&header, &message),
    };
    let mut linter = Linter::new(&header, &options);
    while let Some(chunk) = message.next_chunk()? {
        linter.write(chunk.raw);
    }
    Ok(LintReport::new(file, linter.finish()))
}

/// Where a message stands in its file, once its header was read.
pub(super) fn origin(header: &Header, message: &Message<'_>) -> Origin {
    let line_end = match message.line_end {
        "\n" => LineEnd::Lf,
        _ => LineEnd::CrLf,
    };
    let came = message.body_at - message.envelope;
    let hashed = header.as_bytes();
    // The empty line is as long as it is; a header that the file ends with has none.
    let lines = memchr::memchr_iter(b'\n', hashed).count() as u64;
    let bare = (hashed.len() as u64 + 2).saturating_sub(came).min(lines);
    Origin {
        lines_before: u64::from(message.envelope > 0),
        body_at: Some(message.body_at),
        line_end,
        bare_lf_in_header: match line_end {
            LineEnd::CrLf if message.has_body() => bare,
            _ => 0,
        },
    }
}

/// Says on standard error what was found in a message that is about to be signed; with `deny` an error or a
/// warning keeps it from being signed.
pub(super) fn tell(name: &str, findings: &[Finding], deny: bool) -> Result<(), Trouble> {
    let name = if name == "-" { "standard input" } else { name };
    for finding in findings {
        let text = format!("{name}: {finding}");
        match finding.severity() {
            Severity::Note => speech::note(text),
            Severity::Warning | Severity::Error => speech::warning(text),
        }
        speech::hint(finding.mend());
    }
    let grave = |f: &&Finding| f.severity() > Severity::Note;
    let count = findings.iter().filter(grave).count();
    if !deny || worst(findings) <= Some(Severity::Note) {
        return Ok(());
    }
    let noun = if count == 1 { "finding" } else { "findings" };
    Err(
        Trouble::new(Exit::No, format!("not signed, because of {count} {noun}"))
            .hint("mend them, or sign with --lint alone; notes keep nobody from signing"),
    )
}

/// A line for the message, then a line a finding and its mend.
fn text(report: &LintReport) -> String {
    let place = match report.message {
        Some(number) => format!("{} message {number}", report.file),
        None => report.file.clone(),
    };
    let mut text = format!("{}: {}", escape(&place), report.result);
    if let Some(reason) = &report.reason {
        text.push_str(&format!(": {}", escape(reason)));
    }
    text.push('\n');
    for finding in &report.findings {
        let severity = finding.severity().as_str();
        let line = escape(&finding.to_string());
        text.push_str(&format!("  {severity} {line}\n"));
        text.push_str(&format!("    mend: {}\n", finding.mend()));
    }
    text
}
