//! `dkimkit arc`: the chain of those who handled a message, verified and lengthened.

mod seal;
mod verify;

use super::Exit;
use super::args::ColorChoice;
use super::speech::Trouble;

/// Verify the ARC chain of messages, or add a set to it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit arc verify message.eml
  dkimkit arc seal -d example.org -s arc --authserv-id mx.example.org in.eml -o out.eml")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    // A chain is what RFC 8617 §5.2 finds of it; what an attacker profits from is for those who ask for it.
    #[command(mut_arg("policy", |arg| arg.default_value("rfc")))]
    Verify(verify::Args),
    // cv= tells others what RFC 8617 §5.2 finds of the chain, and cannot be taken back.
    #[command(mut_arg("policy", |arg| arg.default_value("rfc")))]
    Seal(seal::Args),
}

pub(super) fn run(args: &Args, color: ColorChoice) -> Result<Exit, Trouble> {
    match &args.command {
        Command::Verify(args) => verify::run(args, color),
        Command::Seal(args) => seal::run(args),
    }
}
