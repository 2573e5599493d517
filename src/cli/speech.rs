//! How the program speaks. The rules:
//!
//! - Results go to standard output, everything else to standard error.
//! - A message is `dkimkit: error: …`, `warning: …` or `note: …`: lower case, no full stop.
//! - Below it stand `hint: …` lines, each with one way out: a flag, or a command that can be run.
//! - What comes from outside is escaped: no control character reaches a terminal.
//! - A reader that goes away (a broken pipe) ends the program without a word.

use std::fmt::Display;
use std::io::{self, Write as _};

use dkimkit::key::KeyError;
use dkimkit::keystore::StoreError;
use dkimkit::message::SplitError;
use dkimkit::report::is_harmful;
use dkimkit::sign::SignError;

use super::Exit;

/// Something that ends the work, with the ways out.
#[derive(Debug)]
pub(super) struct Trouble {
    exit: Exit,
    /// Empty where nothing is to be said.
    message: String,
    hints: Vec<String>,
}

impl Trouble {
    pub(super) fn new(exit: Exit, message: impl Display) -> Trouble {
        Trouble {
            exit,
            message: message.to_string(),
            hints: Vec::new(),
        }
    }

    pub(super) fn usage(message: impl Display) -> Trouble {
        Trouble::new(Exit::Usage, message)
    }

    pub(super) fn hint(mut self, hint: impl Display) -> Trouble {
        self.hints.push(hint.to_string());
        self
    }

    /// Puts the name of an input or output before the message.
    pub(super) fn about(mut self, name: &str) -> Trouble {
        let name = if name == "-" { "standard input" } else { name };
        if !self.message.is_empty() && !self.message.starts_with(&format!("{name}: ")) {
            self.message = format!("{name}: {}", self.message);
        }
        self
    }

    /// A file that cannot be opened.
    pub(super) fn open(name: &str, error: &io::Error) -> Trouble {
        let name = if name == "-" { "standard input" } else { name };
        Trouble::usage(format!("{name}: {}", plain(error)))
    }

    /// Reading broke off.
    pub(super) fn read(name: &str, error: &io::Error) -> Trouble {
        if error.kind() == io::ErrorKind::IsADirectory {
            return Trouble::open(name, error);
        }
        Trouble::new(
            Exit::TempFail,
            format!("{name}: reading failed: {}", plain(error)),
        )
    }

    /// Writing broke off; a reader that has gone away is no news.
    pub(super) fn write(name: &str, error: &io::Error) -> Trouble {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Trouble::new(Exit::Done, "");
        }
        Trouble::new(
            Exit::TempFail,
            format!("{name}: writing failed: {}", plain(error)),
        )
    }

    /// Whether nobody is left to whom it could be said: the reader has gone away.
    pub(super) fn is_quiet(&self) -> bool {
        self.message.is_empty()
    }

    /// Says it, and gives the exit code.
    pub(super) fn tell(&self) -> Exit {
        if !self.message.is_empty() {
            say("error", &self.message);
            for hint in &self.hints {
                line(&format!("hint: {hint}"));
            }
        }
        self.exit
    }
}

/// What went wrong, in one line.
impl Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<SplitError> for Trouble {
    fn from(error: SplitError) -> Trouble {
        let trouble = Trouble::usage(error);
        match error {
            SplitError::NoHeader => trouble.hint("is the input a message? it is empty, or begins with an empty line"),
            SplitError::BareLineFeed { .. } => {
                trouble.hint("--line-ends crlf reads a bare LF as CRLF")
            }
            SplitError::NotAField { .. } => {
                trouble.hint("a header line is `Name: value`, or begins with a blank; an empty line ends the header")
            }
            SplitError::HeaderTooLarge { .. } | SplitError::TooManyFields { .. } => trouble,
        }
    }
}

impl From<SignError> for Trouble {
    fn from(error: SignError) -> Trouble {
        if let SignError::Split(error) = error {
            return error.into();
        }
        let trouble = Trouble::usage(&error);
        match &error {
            SignError::NoFrom | SignError::NoAuthor | SignError::AuthorUnreadable => {
                trouble.hint("a message needs one From field with the mailbox of its author: Name <local@domain>, a name with a comma in quotes")
            }
            SignError::SeveralFrom { .. } => trouble.hint(
                "readers disagree about which of them is shown; leave one (RFC 5322, section 3.6)",
            ),
            SignError::NotAligned { from, .. } => trouble
                .hint(format!("sign with a key of {from}"))
                .hint("--third-party signs all the same, but DMARC will not count the signature"),
            SignError::FromNotSigned => trouble.hint("add from to --headers"),
            SignError::NeverSigned { name } => trouble.hint(format!("leave {name} out")),
            SignError::IdentityNotInDomain { domain } => {
                trouble.hint(format!("use --identity @{domain}, or leave it out"))
            }
            _ => trouble,
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        let trouble = Trouble::usage(&error);
        match &error {
            StoreError::Io { kind, .. } if *kind == io::ErrorKind::StorageFull => {
                Trouble::new(Exit::TempFail, &error)
            }
            StoreError::Exists { .. } => trouble
                .hint("choose another selector with -s")
                .hint("--force renames the old pair to ….old-UNIXTIME first"),
            StoreError::NoGroup { name } => {
                trouble.hint(format!("make it: groupadd --system {name}"))
            }
            StoreError::NoSuchKey { .. } => {
                trouble.hint("`dkimkit keys list` shows what is in the store")
            }
            StoreError::Io { kind, .. } if *kind == io::ErrorKind::NotFound => trouble
                .hint("`dkimkit keys list` shows what is in the store; --keys names another one"),
            StoreError::NoKeys { domain } => trouble
                .hint(format!("make one: dkimkit generate -d {domain}"))
                .hint("--keys DIR names another store, -k FILE a key"),
            StoreError::Undecided { domain, selectors }
            | StoreError::NoneActive { domain, selectors } => {
                let trouble = match selectors.first() {
                    Some(first) => trouble.hint(format!("dkimkit keys activate {domain} {first}")),
                    None => trouble,
                };
                trouble.hint("-s SELECTOR names one for this run")
            }
            StoreError::Key { path, error } => {
                key_hints(trouble, error, &path.display().to_string())
            }
            StoreError::OtherKey { path } => trouble.hint(format!(
                "one of the two was replaced; remove {} and the record is made from the key",
                path.display()
            )),
            StoreError::States { .. } => {
                trouble.hint("mend the line; the states are pending, active, retired, revoked")
            }
            _ => trouble,
        }
    }
}

fn key_hints(trouble: Trouble, error: &KeyError, path: &str) -> Trouble {
    match error {
        KeyError::Encrypted => trouble.hint(format!(
            "take the passphrase off into a new file: openssl pkey -in {path} -out plain.pem"
        )),
        KeyError::Public | KeyError::PemTag { .. } | KeyError::NoKey => {
            trouble.hint("a private key begins with -----BEGIN PRIVATE KEY-----; make one with `dkimkit generate`")
        }
        KeyError::TooSmall { .. } => trouble.hint("make a new one: dkimkit generate -b 2048"),
        _ => trouble,
    }
}

/// Says that something is wrong, though the work goes on.
pub(super) fn warning(message: impl Display) {
    say("warning", &message.to_string());
}

/// Says something worth knowing.
pub(super) fn note(message: impl Display) {
    say("note", &message.to_string());
}

/// Names a way out below a warning or note.
pub(super) fn hint(message: impl Display) {
    line(&format!("hint: {message}"));
}

/// Shows a line of what somebody else said, below a note.
pub(super) fn quote(message: &str) {
    line(&format!("  {message}"));
}

fn say(kind: &str, message: &str) {
    line(&format!("dkimkit: {kind}: {message}"));
}

/// Where standard error cannot be written either, there is nobody to tell.
fn line(text: &str) {
    let _ = writeln!(io::stderr(), "{}", escape(text));
}

/// Speaks for clap: the same words in our form.
pub(super) fn usage(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        // --help and --version are results.
        return match error.print() {
            Ok(()) => Exit::Done,
            Err(error) => Trouble::write("standard output", &error).tell(),
        };
    }
    let text = error.render().to_string();
    let mut lines = text.lines().filter(|l| !l.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        say("error", "no subcommand was given");
        eprint!("{text}");
        return Exit::Usage;
    }
    say("error", first.trim_start_matches("error: "));
    for text in lines {
        let text = text.trim();
        if let Some(tip) = text.strip_prefix("tip: ") {
            hint(tip);
        } else if text.starts_with("For more information") {
            hint("--help shows what this command takes, with examples");
        } else {
            line(&format!("  {text}"));
        }
    }
    Exit::Usage
}

/// The text of an error of the system, without its number and in lower case.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// Makes a text safe for a terminal: control characters, and those that turn the direction of writing, are
/// shown as escapes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
