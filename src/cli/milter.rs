//! `dkimkit milter`: signs and verifies for Postfix and Sendmail; and what belongs to setting that up.

mod audit;
mod daemon;
mod identity;
mod import;
mod logs;
mod rehearsal;
mod sockets;
mod watchdog;

use std::path::{Path, PathBuf};

use dkimkit::milter::config::Config;

use super::Exit;
use super::args::ClockArgs;
use super::speech::Trouble;

/// Sign and verify for an MTA (Postfix, Sendmail)
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit milter --config /etc/dkimkit/milter.toml --check
  dkimkit milter --config /etc/dkimkit/milter.toml
  dkimkit milter --config milter.toml --dry-run --auth-user anna --client 192.0.2.7 a.eml
  dkimkit milter --example > milter.toml
  dkimkit milter --import-opendkim /etc/opendkim.conf --keys /etc/dkimkit/keys > milter.toml

SIGHUP reads keys and configuration again; SIGTERM ends it when the messages in hand are answered.")]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", required_unless_present_any = ["example", "import_opendkim"])]
    config: Option<PathBuf>,
    /// Say whether the configuration, the keys and their published records can be used, and end
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,
    /// With --check: do not ask DNS
    #[arg(long, requires = "check", conflicts_with = "dry_run")]
    offline: bool,
    /// With --check, as root: for this user, as where a service manager starts the milter as one
    #[arg(
        long = "as",
        value_name = "USER",
        requires = "check",
        conflicts_with = "dry_run"
    )]
    as_user: Option<String>,
    /// Say what would be done with a message, or what would be imported, and end
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: the message; standard input without it
    #[arg(value_name = "MESSAGE", requires = "dry_run", conflicts_with = "check")]
    message: Option<PathBuf>,
    #[command(flatten)]
    client: rehearsal::ClientArgs,
    /// With --check or --dry-run: print JSON
    #[arg(long)]
    json: bool,
    /// Print a configuration in which every key is explained, and end
    #[arg(long, exclusive = true)]
    example: bool,
    #[command(flatten)]
    import: import::ImportArgs,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    if args.example {
        super::output::print(EXAMPLE)?;
        return Ok(Exit::Done);
    }
    if let Some(file) = &args.import.import_opendkim {
        return import::run(file, &args.import.how(args.dry_run, args.clock.now()));
    }
    let Some(path) = &args.config else {
        return Err(Trouble::usage("--config FILE is missing"));
    };
    if args.clock.is_set() {
        return Err(Trouble::usage("--now has no meaning for a milter")
            .hint("dkimkit verify --now judges a message at another time"));
    }
    if args.check {
        return audit::run(path, args.as_user.as_deref(), args.offline, args.json);
    }
    if args.dry_run {
        let message = args.message.as_deref().unwrap_or(Path::new("-"));
        return rehearsal::run(path, message, &args.client, args.json);
    }
    if args.json {
        return Err(Trouble::usage("--json needs --check or --dry-run")
            .hint("the log of the milter goes where log_to of the configuration says"));
    }
    daemon::run(path)
}

/// The configuration that names every key.
const EXAMPLE: &str = include_str!("../milter/setup/milter.toml");

/// Reads a configuration file.
fn read_config(path: &Path) -> Result<Config, Trouble> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let trouble = Trouble::open(&name, &error);
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                trouble.hint("`dkimkit milter --example` prints one to begin with")
            }
            _ => trouble,
        }
    })?;
    let base = path.parent().unwrap_or(Path::new(""));
    Config::parse(&text, base).map_err(|error| {
        Trouble::usage(error)
            .about(&name)
            .hint("`dkimkit milter --example` prints a configuration with every key")
    })
}

/// The name of this machine.
fn host_name() -> String {
    let name = nix::unistd::gethostname().ok();
    let name = name.and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "localhost".to_owned())
}
