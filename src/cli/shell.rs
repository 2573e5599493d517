//! `dkimkit completions` and `dkimkit man`: what a package puts beside the program.

use std::fs;
use std::path::PathBuf;

use super::speech::Trouble;
use super::{Exit, output};

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit completions bash > /etc/bash_completion.d/dkimkit")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Write the man pages into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit man /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// The directory; made if it is not there
    dir: PathBuf,
}

pub(super) fn completions(
    args: &CompletionsArgs,
    mut command: clap::Command,
) -> Result<Exit, Trouble> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "dkimkit", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}

pub(super) fn man(args: &ManArgs, command: clap::Command) -> Result<Exit, Trouble> {
    let failed = |e| Trouble::write(&args.dir.display().to_string(), &e);
    fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(command, &args.dir).map_err(failed)?;
    Ok(Exit::Done)
}
