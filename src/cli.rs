//! The command line: what was typed, and the file that carries it out.

mod arc;
mod args;
mod asking;
mod audit;
mod authenticate;
mod batch;
mod canonicalize;
mod check;
mod demo;
mod examine;
mod explain;
mod generate;
mod input;
mod keys;
mod lint;
mod mailbox;
mod milter;
mod output;
mod packing;
mod page;
mod published;
mod push;
mod record;
mod rewriting;
mod rotate;
mod shell;
mod sign;
mod speech;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use self::args::ColorChoice;
use self::speech::Trouble;

/// The end of a run. One table for README, man page and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Done; for `verify`: every message has a signature that passes.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// Usage, an input that cannot be opened, an unusable key; nothing was written.
    Usage = 2,
    /// Try again (EX_TEMPFAIL).
    TempFail = 75,
    /// SIGINT came while many messages were worked on.
    Interrupted = 130,
    /// SIGTERM came.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Generate DKIM keys and records, sign messages, verify them.
#[derive(Debug, Parser)]
#[command(name = "dkimkit", version, about, max_term_width = 100)]
#[command(after_help = "Exit codes:
  0   done; for verify: every message has a signature that passes (and meets --require);
      for explain: of every signature that fails the reason is known
  1   the answer is no: a message has no passing signature, check or lint found an error,
      explain does not know a reason
  2   usage, an input that cannot be opened, an unusable key; nothing was written
  75  try again: DNS gave no answer, or the machine is in trouble (disk full, write error)
  130 interrupted (143: terminated) while many messages were worked on

Examples:
  dkimkit demo
  dkimkit generate -d example.com -s mail
  dkimkit sign -d example.com -s mail < in.eml > out.eml
  dkimkit verify out.eml")]
struct Cli {
    /// Color the results
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN")]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(alias = "keygen")]
    Generate(generate::Args),
    Record(record::Args),
    Sign(sign::Args),
    #[command(mut_arg("policy", |arg| arg.default_value("strict")))]
    Verify(verify::Args),
    #[command(mut_arg("policy", |arg| arg.help(authenticate::POLICY)))]
    Authenticate(Box<authenticate::Args>),
    #[command(mut_arg("policy", |arg| arg.default_value("strict")))]
    Explain(explain::Args),
    Arc(Box<arc::Args>),
    Lint(lint::Args),
    Canonicalize(canonicalize::Args),
    Keys(keys::Args),
    Publish(push::Args),
    Check(check::Args),
    Rotate(rotate::Args),
    Audit(Box<audit::Args>),
    Milter(Box<milter::Args>),
    Demo(demo::Args),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
}

/// Parses the command line, runs it, and turns the end into an exit code.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return speech::usage(&error).into(),
    };
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

fn run(cli: Cli) -> Result<Exit, Trouble> {
    let color = cli.color;
    match cli.command {
        Command::Generate(args) => generate::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Verify(args) => verify::run(&args, color),
        Command::Authenticate(args) => authenticate::run(&args, color),
        Command::Explain(args) => explain::run(&args, color),
        Command::Arc(args) => arc::run(&args, color),
        Command::Lint(args) => lint::run(&args),
        Command::Canonicalize(args) => canonicalize::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Publish(args) => push::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Rotate(args) => rotate::run(&args),
        Command::Audit(args) => audit::run(&args, color),
        Command::Milter(args) => milter::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Completions(args) => shell::completions(&args, Cli::command()),
        Command::Man(args) => shell::man(&args, Cli::command()),
    }
}
