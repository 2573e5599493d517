//! `dkimkit demo`: the whole job on a sample message, in a temporary directory that is gone afterwards.

use std::path::Path;
use std::process::Command;

use super::speech::Trouble;
use super::{Exit, output};

/// Run the whole job once: generate, sign, verify, change a byte, verify again
#[derive(Debug, clap::Args)]
#[command(after_help = "It needs no network and leaves nothing behind.

Examples:
  dkimkit demo")]
pub(super) struct Args {}

const MESSAGE: &[u8] = include_bytes!("../../testdata/messages/demo.eml");

pub(super) fn run(_args: &Args) -> Result<Exit, Trouble> {
    let dir = tempfile::tempdir().map_err(|e| Trouble::write("the temporary directory", &e))?;
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).map_err(|e| Trouble::write(name, &e))
    };
    write("message.eml", MESSAGE)?;
    say("A key pair and its record, to be published in the zone of example.com:")?;
    step(
        dir.path(),
        &["generate", "-d", "example.com", "-s", "mail"],
        None,
        Exit::Done,
    )?;
    say("A message is signed; it comes out as it was, with a DKIM-Signature before it:")?;
    step(
        dir.path(),
        &["sign", "-d", "example.com", "-s", "mail", "message.eml"],
        Some("signed.eml"),
        Exit::Done,
    )?;
    let signed = read(dir.path(), "signed.eml")?;
    show(&signed[..signed.len() - MESSAGE.len()])?;
    say("The signature is held against the record (DNS would be asked without --keys):")?;
    step(
        dir.path(),
        &["verify", "--keys", "keys", "signed.eml"],
        None,
        Exit::Done,
    )?;
    let mut changed = signed;
    let last = changed.iter().rposition(u8::is_ascii_alphabetic);
    let last = last.expect("the sample message ends with words");
    changed[last] ^= 0x20;
    write("changed.eml", &changed)?;
    say("One letter of the body is changed to a capital, and the signature says so:")?;
    step(
        dir.path(),
        &["verify", "--keys", "keys", "changed.eml"],
        None,
        Exit::No,
    )?;
    say("That was all of it. For a domain of your own: dkimkit generate --help")?;
    Ok(Exit::Done)
}

/// Runs this program as a user would, and shows the command and what it prints.
fn step(dir: &Path, args: &[&str], into: Option<&str>, expect: Exit) -> Result<(), Trouble> {
    let shown = match into {
        Some(file) => format!("$ dkimkit {} > {file}\n", args.join(" ")),
        None => format!("$ dkimkit {}\n", args.join(" ")),
    };
    output::print(&shown)?;
    let program = std::env::current_exe().map_err(|e| Trouble::open("dkimkit", &e))?;
    let run = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env_remove("DKIMKIT_KEYS")
        .output()
        .map_err(|e| Trouble::open("dkimkit", &e))?;
    show(&run.stderr)?;
    match into {
        Some(file) => {
            std::fs::write(dir.join(file), &run.stdout).map_err(|e| Trouble::write(file, &e))?;
        }
        None => show(&run.stdout)?,
    }
    if run.status.code() != Some(expect as i32) {
        return Err(Trouble::new(
            Exit::No,
            format!("the demonstration went wrong: {}", run.status),
        ));
    }
    Ok(())
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, Trouble> {
    std::fs::read(dir.join(name)).map_err(|e| Trouble::read(name, &e))
}

fn say(text: &str) -> Result<(), Trouble> {
    output::print(&format!("\n# {text}\n"))
}

fn show(bytes: &[u8]) -> Result<(), Trouble> {
    output::print(&String::from_utf8_lossy(bytes))
}
