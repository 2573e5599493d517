//! `dkimkit verify`: the signatures of messages held against published keys.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::str::FromStr;

use dkimkit::authres::{self, AuthservId};
use dkimkit::message::SplitError;
use dkimkit::name::Domain;
use dkimkit::report::{Failure, MessageReport, ResultWord, Verdict, overall};
use dkimkit::time::UnixTime;
use dkimkit::verify::{Appetite, Verifier};

use super::Exit;
use super::args::{ClockArgs, ColorChoice, ReadArgs};
use super::batch::{self, Progress};
use super::input::{HeaderEnd, Message, Opened, Source};
use super::mailbox::{Found, Messages, Part, Quoting};
use super::output::Output;
use super::published::{Published, PublishedArgs};
use super::speech::{self, Trouble, escape};

/// Verify the DKIM signatures of messages
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit verify message.eml
  dkimkit verify --json --require aligned Maildir/ archive.mbox.gz | jq .result
  dkimkit verify --keys keys out.eml
  dkimkit verify --records zone.txt --now 2026-11-21T12:00:00Z old.eml

Exits 0 if and only if every message has a signature that passes and meets --require.")]
pub(super) struct Args {
    #[command(flatten)]
    published: PublishedArgs,
    /// What counts as a pass: any signature, one aligned with From, or one of this domain
    #[arg(long, value_name = "any|aligned|DOMAIN", default_value = "any")]
    require: Require,
    /// Print one JSON object a line a message
    #[arg(long, conflicts_with = "authserv_id")]
    json: bool,
    /// Print an Authentication-Results field in this name instead
    #[arg(long, value_name = "NAME", value_parser = authserv_id)]
    authserv_id: Option<AuthservId>,
    /// How many messages to verify at once; the number of cores if left out
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    read: ReadArgs,
    /// Messages, mbox files, Maildirs or directories, also compressed with gzip or zstd; - or none is standard
    /// input
    messages: Vec<PathBuf>,
}

/// What counts for exit 0.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Require {
    Any,
    Aligned,
    Domain(Domain),
}

impl FromStr for Require {
    type Err = String;

    fn from_str(text: &str) -> Result<Require, String> {
        match text {
            "any" => Ok(Require::Any),
            "aligned" => Ok(Require::Aligned),
            domain => Domain::new(domain)
                .map(Require::Domain)
                .map_err(|e| e.to_string()),
        }
    }
}

impl Require {
    fn is_met_by(&self, verdict: &Verdict) -> bool {
        match self {
            Require::Any => true,
            Require::Aligned => verdict.alignment.is_some(),
            Require::Domain(domain) => verdict.claims.domain.as_ref() == Some(domain),
        }
    }
}

fn authserv_id(text: &str) -> Result<AuthservId, String> {
    AuthservId::new(text).ok_or_else(|| "not a host name or token".to_owned())
}

pub(super) fn run(args: &Args, color: ColorChoice) -> Result<Exit, Trouble> {
    let job = Job::new(args)?;
    let style = Style::choose(args, color);
    let render = |checked: &Checked| -> Done {
        let passes = checked.passes();
        let exit = checked.exit(&args.require);
        (style.render(checked, &args.require), exit, passes)
    };
    let mut out = Output::stdout();
    let mut exits = Exits::default();
    let single = match args.messages.as_slice() {
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
    let sources = Source::list(&args.messages);
    let messages = match sources.as_slice() {
        [source] if single => {
            let input = source.open();
            if !input.as_ref().is_ok_and(Opened::may_be_mbox) {
                let told = print(input.and_then(|input| Ok(render(&job.verify(input)?))));
                let told = told.and_then(|()| out.finish());
                return exits.after(told);
            }
            // A pipe cannot be opened twice.
            Messages::of(source.clone(), input?)
        }
        _ => Messages::new(sources),
    };
    let work = |found: Result<Found, Trouble>| match found? {
        Found::File(source) => Ok(render(&job.verify(source.open()?)?)),
        Found::Opened(_, opened) => Ok(render(&job.verify(opened)?)),
        Found::Part(source, part) => Ok(render(&job.verify_part(&source, part)?)),
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

/// What is the same for all messages of a run.
struct Job {
    published: Published,
    now: UnixTime,
    read: ReadArgs,
}

impl Job {
    fn new(args: &Args) -> Result<Job, Trouble> {
        Ok(Job {
            published: Published::new(&args.published)?,
            now: args.clock.now(),
            read: args.read,
        })
    }

    /// A message of an mbox, read in each way in which its quotes may have been put, until a signature passes.
    fn verify_part(&self, source: &Source, part: Part) -> Result<Checked, Trouble> {
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
            let mut checked = self.verify_opened(&mut opened)?;
            bytes = opened.into_part();
            checked.number(number);
            if checked.passes() {
                return Ok(checked);
            }
            first.get_or_insert(checked);
        }
        Ok(first.expect("there is at least one way to read a message"))
    }

    fn verify(&self, input: Opened) -> Result<Checked, Trouble> {
        let mut input = input;
        self.verify_opened(&mut input)
    }

    fn verify_opened(&self, input: &mut Opened) -> Result<Checked, Trouble> {
        let file = input.name.clone();
        let mut message = Message::new(input, self.read.line_ends, None);
        let header = match message.header(self.published.policy.limits.header)? {
            HeaderEnd::Found(header) => header,
            HeaderEnd::Refused(error) => {
                drop(message);
                input.drain();
                return Ok(Checked::Unreadable {
                    file,
                    number: None,
                    error,
                });
            }
        };
        let mut verifier = Verifier::new(header, self.published.policy.clone(), self.now);
        let from_domains = verifier.authors().domains().to_vec();
        let domainkeys = verifier.domainkeys();
        for (name, keys) in self.published.keys(verifier.wanted())? {
            verifier.supply_keys(&name, keys);
        }
        let mut verifier = verifier.start_body();
        let mut appetite = verifier.write(b"");
        while appetite == Appetite::More {
            match message.next()? {
                Some(chunk) => appetite = verifier.write(chunk),
                None => break,
            }
        }
        message.warn();
        drop(message);
        input.drain();
        let verdicts = verifier.finish();
        let mut report = MessageReport::new(file, &from_domains, &verdicts);
        report.domainkeys = domainkeys;
        Ok(Checked::Verified { report, verdicts })
    }
}

/// A message that was looked at.
enum Checked {
    Verified {
        report: MessageReport,
        verdicts: Vec<Verdict>,
    },
    Unreadable {
        file: String,
        /// Its number in an mbox.
        number: Option<u64>,
        error: SplitError,
    },
}

impl Checked {
    /// Puts its number in an mbox into the report.
    fn number(&mut self, number: Option<u64>) {
        match self {
            Checked::Verified { report, .. } => report.message = number,
            Checked::Unreadable { number: place, .. } => *place = number,
        }
    }

    fn passes(&self) -> bool {
        match self {
            Checked::Verified { verdicts, .. } => overall(verdicts) == ResultWord::Pass,
            Checked::Unreadable { .. } => false,
        }
    }

    fn exit(&self, require: &Require) -> Exit {
        let Checked::Verified { verdicts, .. } = self else {
            return Exit::No;
        };
        let counting = verdicts.iter().filter(|v| require.is_met_by(v));
        match counting.map(Verdict::result).min() {
            Some(ResultWord::Pass) => Exit::Done,
            Some(ResultWord::TempError) => Exit::TempFail,
            _ => Exit::No,
        }
    }
}

/// How results are shown.
enum Style {
    Json,
    AuthRes(AuthservId),
    Text { color: bool },
}

impl Style {
    fn choose(args: &Args, color: ColorChoice) -> Style {
        if args.json {
            return Style::Json;
        }
        if let Some(id) = &args.authserv_id {
            return Style::AuthRes(id.clone());
        }
        Style::Text {
            color: colored(color),
        }
    }

    fn render(&self, checked: &Checked, require: &Require) -> String {
        match (self, checked) {
            (Style::Json, Checked::Verified { report, .. }) => format!("{}\n", report.to_json()),
            (
                Style::Json,
                Checked::Unreadable {
                    file,
                    number,
                    error,
                },
            ) => {
                let mut report = MessageReport::unreadable(file.clone(), *error);
                report.message = *number;
                format!("{}\n", report.to_json())
            }
            (Style::AuthRes(id), Checked::Verified { verdicts, .. }) => {
                format!("{}\n", authres::field(id, verdicts).replace("\r\n", "\n"))
            }
            (Style::AuthRes(id), Checked::Unreadable { error, .. }) => {
                let field = authres::unreadable(id, &Failure::Message(*error));
                format!("{}\n", field.replace("\r\n", "\n"))
            }
            (Style::Text { color }, Checked::Verified { report, verdicts }) => {
                let name = place(&report.file, report.message);
                text(&name, verdicts, require, *color)
            }
            (
                Style::Text { color },
                Checked::Unreadable {
                    file,
                    number,
                    error,
                },
            ) => {
                let failure = Failure::Message(*error);
                let word = paint(failure.result(), *color);
                let advice = failure.advice().map(|a| format!(": {a}"));
                format!(
                    "{}: {word}: {failure}{}\n",
                    escape(&place(file, *number)),
                    advice.unwrap_or_default()
                )
            }
        }
    }
}

/// Whether results are colored.
pub(super) fn colored(choice: ColorChoice) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => wanted && std::io::stdout().is_terminal(),
    }
}

/// The name of a file, and the number of the message in it.
pub(super) fn place(file: &str, number: Option<u64>) -> String {
    match number {
        Some(number) => format!("{file} message {number}"),
        None => file.to_owned(),
    }
}

/// A line for the message, then a line a signature.
fn text(file: &str, verdicts: &[Verdict], require: &Require, color: bool) -> String {
    let result = overall(verdicts);
    let passes = |v: &&Verdict| v.result() == ResultWord::Pass;
    let stranger = result == ResultWord::Pass
        && verdicts
            .iter()
            .filter(passes)
            .all(|v| v.alignment.is_none());
    let mut remark = match (result, stranger) {
        (ResultWord::None, _) => ": the message has no DKIM-Signature".to_owned(),
        (_, true) => ", but not for the domain of From".to_owned(),
        _ => String::new(),
    };
    let met = verdicts.iter().filter(passes).any(|v| require.is_met_by(v));
    if result == ResultWord::Pass && !met {
        remark.push_str(match require {
            Require::Any | Require::Aligned => " (--require aligned)",
            Require::Domain(_) => " (no signature of the domain that --require names passes)",
        });
    }
    let mut text = format!("{}: {}{remark}\n", escape(file), paint(result, color));
    for verdict in verdicts {
        let number = verdict.index + 1;
        let result = paint(verdict.result(), color);
        text.push_str(&format!("  {number}. {result}{}", escape(&facts(verdict))));
        text.push('\n');
    }
    text
}

/// What is said of a signature behind its result.
pub(super) fn facts(verdict: &Verdict) -> String {
    let claims = &verdict.claims;
    let mut line = String::new();
    if let Some(domain) = &claims.domain {
        line.push_str(&format!(" d={domain}"));
    }
    if let Some(selector) = &claims.selector {
        line.push_str(&format!(" s={selector}"));
    }
    if let Some(algorithm) = claims.algorithm {
        line.push_str(&format!(" {}", algorithm.as_str()));
    }
    if let Some(bits) = verdict.key.and_then(|k| k.bits) {
        line.push_str(&format!(" {bits} bits"));
    }
    if verdict.key.is_some_and(|k| k.testing) {
        line.push_str(" (testing)");
    }
    if verdict.failure().is_some() {
        line.push_str(&format!(": {}", verdict.detail()));
    } else if verdict.alignment.is_none() {
        line.push_str(": passes, but not for the domain of From");
    }
    line
}

pub(super) fn paint(result: ResultWord, color: bool) -> String {
    if !color {
        return result.to_string();
    }
    let code = match result {
        ResultWord::Pass => 32,
        ResultWord::Fail | ResultWord::PermError => 31,
        ResultWord::TempError | ResultWord::Policy | ResultWord::Neutral | ResultWord::None => 33,
    };
    format!("\x1b[{code}m{result}\x1b[0m")
}
