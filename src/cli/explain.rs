//! `dkimkit explain`: why signatures fail, by a search over the ways in which mail is changed.

mod page;
mod summary;
mod text;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dkimkit::explain::{Explanation, ExplanationReport, Options, explain};
use dkimkit::message::SplitError;
use dkimkit::name::KeyName;
use dkimkit::report::{MessageReport, ResultWord};

use self::page::Page;
use super::Exit;
use super::args::{ClockArgs, ColorChoice, LineEnds, ReadArgs, duration};
use super::examine::Exits;
use super::input::{Message, Opened, Source};
use super::mailbox::{Found, Messages, Quoting};
use super::output::Output;
use super::published::{Published, PublishedArgs};
use super::speech::{self, Trouble};
use super::verify::{colored, place};

/// Say why signatures fail: what was changed, where, by whom likely, and what helps
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit explain message.eml
  dkimkit explain --restore original.eml --html report.html message.eml
  dkimkit explain --records zone.txt --json message.eml | jq .signatures[].findings
  dkimkit explain --summary Maildir/

A claim is made only of bytes whose hash is the one that was signed.
Exits 0 if and only if for every signature that fails the reason is known.")]
pub(super) struct Args {
    #[command(flatten)]
    published: PublishedArgs,
    /// How long the search may take for each message
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    budget: Duration,
    /// Print one JSON object a line a message
    #[arg(long, conflicts_with = "summary")]
    json: bool,
    /// Also write one page that shows the message with its signed, unsigned and changed parts
    #[arg(long, value_name = "FILE", conflicts_with = "summary")]
    html: Option<PathBuf>,
    /// Write the message as it was signed, where that is fully known
    #[arg(long, value_name = "FILE", conflicts_with = "summary")]
    restore: Option<PathBuf>,
    /// Print a table of all causes by domain and path instead, the most frequent first
    #[arg(long)]
    summary: bool,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// How many messages to look at at once with --summary; the number of cores if left out
    #[arg(long, value_name = "N", requires = "summary")]
    jobs: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    read: ReadArgs,
    /// Messages, mbox files, Maildirs or directories, also compressed with gzip or zstd; - or none is standard
    /// input
    messages: Vec<PathBuf>,
}

/// Larger messages are not held in memory.
const MAX_MESSAGE: usize = 256 << 20;

pub(super) fn run(args: &Args, color: ColorChoice) -> Result<Exit, Trouble> {
    let published = Published::new(&args.published)?;
    let options = Options {
        policy: published.policy.clone(),
        budget: args.budget,
        lf_is_crlf: args.read.line_ends == LineEnds::Crlf,
        ..Options::new(args.clock.now())
    };
    let job = Job {
        published,
        options,
        outputs: args.html.iter().chain(&args.restore).cloned().collect(),
        overlap: AtomicBool::new(false),
    };
    let sources = Source::list(&args.messages);
    if args.summary {
        return summary::run(args, &job, sources);
    }
    distinct(args)?;
    let mut out = Outputs::begin(args)?;
    let color = colored(color);
    let mut exits = Exits::default();
    let mut count = 0u64;
    for found in Messages::new(sources) {
        let told = found.and_then(|found| job.explain(found)).and_then(|told| {
            count += 1;
            out.tell(args, &told, color)?;
            Ok(told.exit())
        });
        match told {
            Ok(exit) => exits.add(exit),
            // Nothing is written then.
            Err(trouble) if job.overlap.load(Ordering::Relaxed) => return Err(trouble),
            Err(trouble) if trouble.is_quiet() => return exits.after(Err(trouble)),
            Err(trouble) => {
                out.failed += 1;
                exits.add(trouble.tell());
            }
        }
    }
    if count == 0 {
        speech::warning("there is no message to explain");
    }
    let exit = exits.after(Ok(()))?;
    out.finish(exit)
}

/// Whether no file is written over another that is written or read, by whatever name.
fn distinct(args: &Args) -> Result<(), Trouble> {
    let real = |path: &PathBuf| {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let beside = |parent: PathBuf| Some(parent.join(path.file_name()?));
        let found = fs::canonicalize(path).ok();
        found.or_else(|| beside(fs::canonicalize(parent).ok()?))
    };
    if let (Some(html), Some(restore)) = (&args.html, &args.restore)
        && (html == restore || real(html).is_some_and(|html| Some(html) == real(restore)))
    {
        let trouble = Trouble::usage("--html and --restore name the same file");
        return Err(trouble.hint("name two files"));
    }
    for output in args.html.iter().chain(&args.restore) {
        if output.as_os_str() == "-" {
            let trouble = Trouble::usage("standard output holds what was found");
            return Err(trouble.hint("name a file for --html and --restore"));
        }
        let is_read = |path: &PathBuf| {
            let (path, output) = (fs::canonicalize(path).ok(), real(output));
            path.zip(output)
                .is_some_and(|(path, output)| output.starts_with(path))
        };
        if let Some(path) = args.published.files().find(|path| is_read(path)) {
            let (output, path) = (output.display(), path.display());
            let trouble = Trouble::usage(format!("{output}: the keys are read from {path}"));
            return Err(trouble.hint("write to another file"));
        }
    }
    Ok(())
}

/// What is the same for all messages of a run.
struct Job {
    published: Published,
    options: Options,
    /// The files that are written: none of them may be read.
    outputs: Vec<PathBuf>,
    /// Whether one of them was.
    overlap: AtomicBool,
}

/// A message that was looked at.
struct Told {
    file: String,
    /// Its number in an mbox.
    number: Option<u64>,
    outcome: Result<Explanation, SplitError>,
}

impl Told {
    fn exit(&self) -> Exit {
        let Ok(explanation) = &self.outcome else {
            return Exit::No;
        };
        let signatures = &explanation.signatures;
        let unknown = signatures.iter().any(|s| !s.is_explained());
        let temporary =
            |s: &dkimkit::explain::Explained| s.verdict.result() == ResultWord::TempError;
        match (unknown, signatures.iter().any(temporary)) {
            (true, _) => Exit::No,
            (false, true) => Exit::TempFail,
            (false, false) => Exit::Done,
        }
    }

    /// Whether a signature passes.
    fn passes(&self) -> bool {
        let pass = |s: &dkimkit::explain::Explained| s.verdict.result() == ResultWord::Pass;
        self.outcome
            .as_ref()
            .is_ok_and(|e| e.unreadable.is_none() && e.signatures.iter().any(pass))
    }
}

impl Job {
    fn explain(&self, found: Found) -> Result<Told, Trouble> {
        match found {
            Found::File(source) => self.message(&mut source.open()?, None, self.options.budget),
            Found::Opened(_, mut opened) => self.message(&mut opened, None, self.options.budget),
            Found::Part(source, part) => {
                let number = (!part.alone).then_some(part.number);
                let mut bytes = part.bytes;
                // A message that passes once its mbox quotes are undone was not changed.
                let quoted: &[Quoting] = match part.quoted {
                    true => &[Quoting::Mboxrd, Quoting::Mboxo],
                    false => &[],
                };
                for quoting in quoted {
                    let mut opened = Opened::part(&source, bytes, *quoting)?;
                    let told = self.message(&mut opened, number, Duration::ZERO)?;
                    if told.passes() {
                        return Ok(told);
                    }
                    bytes = opened.into_part().expect("a part stays one");
                }
                let mut opened = Opened::part(&source, bytes, Quoting::AsIs)?;
                self.message(&mut opened, number, self.options.budget)
            }
        }
    }

    fn message(
        &self,
        input: &mut Opened,
        number: Option<u64>,
        budget: Duration,
    ) -> Result<Told, Trouble> {
        let file = input.name.clone();
        if let Some(output) = self.outputs.iter().find(|path| input.is_same_file(path)) {
            self.overlap.store(true, Ordering::Relaxed);
            let message = format!("{} is the input", output.display());
            return Err(Trouble::usage(message).hint("write to another file"));
        }
        // The line ends are for the search to judge.
        let bytes = Message::new(input, LineEnds::AsIs, None).whole(MAX_MESSAGE)?;
        let Some(bytes) = bytes else {
            let message = format!("{file}: longer than {} MiB", MAX_MESSAGE >> 20);
            return Err(Trouble::usage(message).hint(
                "`dkimkit verify` takes messages of any length, and says which hash does not hold",
            ));
        };
        let mut trouble = None;
        let keys = |name: &KeyName| match self.published.keys(std::slice::from_ref(name)) {
            Ok(keys) => keys.into_iter().next().expect("an answer for each name").1,
            Err(error) => {
                trouble.get_or_insert(error);
                let none = dkimkit::dns::Answer::NoName;
                std::sync::Arc::new(dkimkit::verify::PublishedKeys::read(
                    none,
                    &self.published.policy,
                ))
            }
        };
        let options = Options {
            budget,
            ..self.options.clone()
        };
        let outcome = explain(&bytes, keys, &options);
        match trouble {
            Some(trouble) => Err(trouble),
            None => Ok(Told {
                file,
                number,
                outcome,
            }),
        }
    }
}

/// The files that are written beside standard output.
struct Outputs {
    stdout: Output,
    html: Option<(Output, Page)>,
    restore: Option<Output>,
    /// By which signature the message was restored, in words.
    restored: Option<String>,
    /// How many messages there were.
    messages: u64,
    /// How many could not be read.
    failed: u64,
}

impl Outputs {
    fn begin(args: &Args) -> Result<Outputs, Trouble> {
        let file = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| Output::file(path, args.force, true))
                .transpose()
        };
        Ok(Outputs {
            stdout: Output::stdout(),
            html: file(&args.html)?.map(|out| (out, Page::new())),
            restore: file(&args.restore)?,
            restored: None,
            messages: 0,
            failed: 0,
        })
    }

    fn tell(&mut self, args: &Args, told: &Told, color: bool) -> Result<(), Trouble> {
        let text = match (&told.outcome, args.json) {
            (Ok(explanation), true) => {
                let mut report = ExplanationReport::new(told.file.clone(), explanation);
                report.message = told.number;
                format!("{}\n", report.to_json())
            }
            (Err(error), true) => {
                let mut report = MessageReport::unreadable(told.file.clone(), *error);
                report.message = told.number;
                format!("{}\n", report.to_json())
            }
            (outcome, false) => text::render(&told.file, told.number, outcome, color),
        };
        let written = self.stdout.write_all(text.as_bytes());
        written.map_err(|e| Trouble::write("standard output", &e))?;
        if let Some((_, page)) = &mut self.html {
            let name = place(&told.file, told.number);
            match &told.outcome {
                Ok(explanation) => page.message(&name, explanation),
                Err(error) => page.unreadable(&name, *error),
            }
        }
        self.messages += 1;
        let (Some(restore), Ok(explanation)) = (&mut self.restore, &told.outcome) else {
            return Ok(());
        };
        if self.messages == 1
            && let Some(explained) = explanation.restorable()
            && let Some(bytes) = explained.restored()
        {
            restore
                .write_all(&bytes)
                .map_err(|e| Trouble::write("the restored message", &e))?;
            let number = explained.verdict.index + 1;
            self.restored = Some(match explained.verdict.failure() {
                Some(_) => format!("restored as signature {number} has it"),
                None => format!("signature {number} holds: the message is as it was signed"),
            });
        }
        Ok(())
    }

    /// Lets the files appear.
    fn finish(self, exit: Exit) -> Result<Exit, Trouble> {
        self.stdout.finish()?;
        if let Some((mut out, page)) = self.html {
            out.write_all(page.finish().as_bytes())
                .map_err(|e| Trouble::write("the page", &e))?;
            out.finish()?;
        }
        if self.restore.is_some() && self.messages + self.failed > 1 {
            let message =
                "--restore writes one message, and there are several: nothing was restored";
            return Err(Trouble::usage(message).hint("name one message"));
        }
        match (self.restore, self.restored) {
            (None, _) => Ok(exit),
            (Some(restore), Some(how)) => {
                restore.finish()?;
                speech::note(how);
                Ok(exit)
            }
            (Some(_), None) => {
                let message =
                    "the message as it was signed is not fully known: nothing was restored";
                Err(Trouble::new(Exit::No, message))
            }
        }
    }
}
