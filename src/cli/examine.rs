//! Messages that are looked at, many at once, and told of one after the other: what `verify`, `arc verify` and
//! `authenticate` have in common.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use dkimkit::authres::AuthservId;
use dkimkit::message::{Header, SplitError};
use dkimkit::time::UnixTime;

use super::Exit;
use super::args::{ClockArgs, ColorChoice, ReadArgs};
use super::batch::{self, Progress};
use super::input::{HeaderEnd, Message, Opened, Source};
use super::mailbox::{Found, Messages, Part, Quoting};
use super::output::Output;
use super::published::{Published, PublishedArgs};
use super::speech::{self, Trouble};
use super::verify::{colored, place};

/// Which messages are looked at, what they are held against, and how it is told.
#[derive(Debug, clap::Args)]
pub(super) struct ExamineArgs {
    #[command(flatten)]
    published: PublishedArgs,
    /// Print one JSON object a line a message
    #[arg(long, conflicts_with = "authserv_id")]
    json: bool,
    /// Print the header fields that tell of it, in this name, instead
    #[arg(long, value_name = "NAME", value_parser = authserv_id)]
    pub(super) authserv_id: Option<AuthservId>,
    /// How many messages to look at at once; the number of cores if left out
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    read: ReadArgs,
    /// Messages, mbox files, Maildirs or directories, also compressed with gzip or zstd; - or none is standard
    /// input
    messages: Vec<PathBuf>,
}

pub(super) fn authserv_id(text: &str) -> Result<AuthservId, String> {
    AuthservId::new(text).ok_or_else(|| "not a host name or token".to_owned())
}

/// What is the same for all messages of a run.
pub(super) struct Scene {
    pub(super) published: Published,
    pub(super) now: UnixTime,
}

/// Looks at a message, and says what is to be told of it.
pub(super) trait Examiner: Sync {
    /// What is found of a message.
    type Findings;

    /// Reads the body to its end, or as far as is needed.
    fn check(
        &self,
        scene: &Scene,
        header: Header,
        body: &mut Message<'_>,
    ) -> Result<Self::Findings, Trouble>;

    /// What is found of a message whose header is refused, where that is more than the refusal.
    fn refused(
        &self,
        _scene: &Scene,
        error: SplitError,
    ) -> Result<Result<Self::Findings, SplitError>, Trouble> {
        Ok(Err(error))
    }

    /// Whether the message passes, so that no other reading of it is tried.
    fn passes(&self, findings: &Self::Findings) -> bool;

    fn exit(&self, findings: &Self::Findings) -> Exit;

    /// A line of JSON.
    fn json(&self, seen: &Seen<Self::Findings>) -> String;

    /// Header fields, with CRLF between their lines.
    fn fields(&self, seen: &Seen<Self::Findings>, id: &AuthservId) -> Vec<String>;

    /// Lines for people.
    fn text(&self, seen: &Seen<Self::Findings>, color: bool) -> String;
}

/// A message that was looked at.
pub(super) struct Seen<F> {
    pub(super) file: String,
    /// Its number in an mbox.
    pub(super) number: Option<u64>,
    pub(super) found: Result<F, SplitError>,
}

impl<F> Seen<F> {
    /// The name of the file, and the number of the message in it.
    pub(super) fn place(&self) -> String {
        place(&self.file, self.number)
    }
}

/// How results are shown.
enum Style<'a> {
    Json,
    Fields(&'a AuthservId),
    Text { color: bool },
}

/// An examiner with all that a run needs.
struct Job<'a, E> {
    examiner: &'a E,
    scene: Scene,
    read: ReadArgs,
    style: Style<'a>,
}

impl<E: Examiner> Job<'_, E> {
    fn look(&self, input: &mut Opened) -> Result<Seen<E::Findings>, Trouble> {
        let file = input.name.clone();
        let mut message = Message::new(input, self.read.line_ends, None);
        let limits = self.scene.published.policy.limits.header;
        let found = match message.header(limits)? {
            HeaderEnd::Refused(error) => self.examiner.refused(&self.scene, error)?,
            HeaderEnd::Found(header) => {
                let findings = self.examiner.check(&self.scene, header, &mut message)?;
                message.warn();
                Ok(findings)
            }
        };
        drop(message);
        input.drain();
        Ok(Seen {
            file,
            number: None,
            found,
        })
    }

    fn passes(&self, seen: &Seen<E::Findings>) -> bool {
        let found = seen.found.as_ref();
        found.is_ok_and(|findings| self.examiner.passes(findings))
    }

    fn done(&self, seen: &Seen<E::Findings>) -> Done {
        let text = match self.style {
            Style::Json => format!("{}\n", self.examiner.json(seen)),
            Style::Text { color } => self.examiner.text(seen, color),
            Style::Fields(id) => {
                let fields = self.examiner.fields(seen, id);
                let lines = fields
                    .iter()
                    .map(|field| field.replace("\r\n", "\n") + "\n");
                lines.collect()
            }
        };
        let exit = match &seen.found {
            Ok(findings) => self.examiner.exit(findings),
            Err(_) => Exit::No,
        };
        (text, exit, self.passes(seen))
    }

    /// A message of an mbox, read in each way in which its quotes may have been put, until it passes.
    fn look_at_part(&self, source: &Source, part: Part) -> Result<Seen<E::Findings>, Trouble> {
        let number = (!part.alone).then_some(part.number);
        let ways: &[Quoting] = match part.quoted {
            true => &[Quoting::Mboxrd, Quoting::Mboxo, Quoting::AsIs],
            false => &[Quoting::AsIs],
        };
        let mut bytes = Some(part.bytes);
        let mut first = None;
        for quoting in ways {
            let Some(part) = bytes.take() else {
                break;
            };
            let mut opened = Opened::part(source, part, *quoting)?;
            let mut seen = self.look(&mut opened)?;
            bytes = opened.into_part();
            seen.number = number;
            if self.passes(&seen) {
                return Ok(seen);
            }
            first.get_or_insert(seen);
        }
        Ok(first.expect("there is at least one way to read a message"))
    }
}

/// Looks at each message that was named, and prints what there is to tell.
pub(super) fn run(
    examiner: &impl Examiner,
    args: &ExamineArgs,
    color: ColorChoice,
) -> Result<Exit, Trouble> {
    let job = Job {
        examiner,
        scene: Scene {
            published: Published::new(&args.published)?,
            now: args.clock.now(),
        },
        read: args.read,
        style: match &args.authserv_id {
            _ if args.json => Style::Json,
            Some(id) => Style::Fields(id),
            None => Style::Text {
                color: colored(color),
            },
        },
    };
    let paths = &args.messages;
    let mut out = Output::stdout();
    let mut exits = Exits::default();
    let single = match paths.as_slice() {
        [] => true,
        [path] => !path.is_dir(),
        _ => false,
    };
    let progress = Progress::new(!single);
    let (mut count, mut passed) = (0u64, 0u64);
    let mut print = |done: Result<Done, Trouble>| -> Result<(), Trouble> {
        count += 1;
        let (text, exit, passes) = match done {
            Ok(done) => done,
            Err(trouble) => {
                exits.add(trouble.tell());
                return Ok(());
            }
        };
        passed += u64::from(passes);
        exits.add(exit);
        progress.count(|| format!("{passed} of {count} pass"));
        out.write_all(text.as_bytes())
            .map_err(|e| Trouble::write("standard output", &e))
    };
    let sources = Source::list(paths);
    let messages = match sources.as_slice() {
        [source] if single => {
            let input = source.open();
            if !input.as_ref().is_ok_and(Opened::may_be_mbox) {
                let told = print(input.and_then(|mut input| Ok(job.done(&job.look(&mut input)?))));
                let told = told.and_then(|()| out.finish());
                return exits.after(told);
            }
            // A pipe cannot be opened twice.
            Messages::of(source.clone(), input?)
        }
        _ => Messages::new(sources),
    };
    let work = |found: Result<Found, Trouble>| match found? {
        Found::File(source) => Ok(job.done(&job.look(&mut source.open()?)?)),
        Found::Opened(_, mut opened) => Ok(job.done(&job.look(&mut opened)?)),
        Found::Part(source, part) => Ok(job.done(&job.look_at_part(&source, part)?)),
    };
    let ended = batch::run(args.jobs, messages, work, &mut print);
    let finished = out.finish();
    drop(progress);
    if count == 0 {
        speech::warning("there is no message to verify");
    }
    exits.after(ended.and(finished))
}

/// The text of a result, what it means for the exit code, and whether the message passes. Results are rendered
/// where they are made: a verdict on a hostile message is much larger than its text.
type Done = (String, Exit, bool);

impl batch::Outcome for Result<Done, Trouble> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, |(text, ..)| text.len())
    }
}

/// The exit codes of all messages, as one.
#[derive(Default)]
pub(super) struct Exits(Vec<Exit>);

impl Exits {
    pub(super) fn add(&mut self, exit: Exit) {
        if !self.0.contains(&exit) {
            self.0.push(exit);
        }
    }

    /// The exit code once all was told. Where the reader went away, not all verdicts were, and that is no pass.
    pub(super) fn after(&self, told: Result<(), Trouble>) -> Result<Exit, Trouble> {
        match (told, self.overall()) {
            (Err(trouble), Exit::Done) if trouble.is_quiet() => Ok(Exit::TempFail),
            (Err(trouble), exit) if trouble.is_quiet() => Ok(exit),
            (told, exit) => told.map(|()| exit),
        }
    }

    fn overall(&self) -> Exit {
        let worst = [Exit::Usage, Exit::No, Exit::TempFail];
        let found = worst.into_iter().find(|exit| self.0.contains(exit));
        found.unwrap_or(Exit::Done)
    }
}
