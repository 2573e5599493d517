//! `dkimkit sign`: the message that came, with DKIM-Signature fields before it.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dkimkit::author::Authors;
use dkimkit::canon::Canonicalization;
use dkimkit::header::FieldName;
use dkimkit::key::SigningKey;
use dkimkit::keystore::{KeyStore, read_key, unsafe_mode};
use dkimkit::lint::{LintOptions, Linter, Planned};
use dkimkit::message::Header;
use dkimkit::name::{Auid, Domain, Selector};
use dkimkit::sign::{SignOptions, Signer, SigningIdentity};
use dkimkit::time::UnixTime;

use super::Exit;
use super::args::{
    ClockArgs, ReadArgs, StoreArgs, canonicalization, domain, duration, field_names, selector,
};
use super::batch::{self, Progress};
use super::input::{Message, Opened, Source};
use super::lint;
use super::mailbox::{Found, Messages, Quoting, part_name};
use super::rewriting::{Rewriting, replaces_input};
use super::speech::{self, Trouble};

/// Sign a message: it comes out as it came, with DKIM-Signature fields before it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit sign -d example.com -s mail < in.eml > out.eml
  dkimkit sign in.eml -o out.eml
  dkimkit sign -d example.com -s rsa -k rsa.pem -s ed -k ed.pem in.eml > out.eml
  dkimkit sign --lint-deny in.eml -o out.eml
  dkimkit sign --output-dir signed outbox/")]
pub(super) struct Args {
    /// The signing domain (d=); that of From if left out
    #[arg(short, long, value_parser = domain)]
    domain: Option<Domain>,
    /// The selector (s=); those that are active in the key store if left out. May be repeated
    #[arg(short, long, value_parser = selector)]
    selector: Vec<Selector>,
    /// A private key file, one for each --selector
    #[arg(short, long, value_name = "KEY.pem")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    /// The canonicalization of header and body (c=)
    #[arg(long, value_name = "HEADER/BODY", default_value = "relaxed/relaxed", value_parser = canonicalization)]
    canon: Canonicalization,
    /// The fields to sign, with colons between them, instead of the default ones
    #[arg(long, value_name = "LIST", value_parser = names)]
    headers: Option<Names>,
    /// The fields of which none may be added, or `none`
    #[arg(long, value_name = "LIST|none", value_parser = names_or_none)]
    oversign: Option<Names>,
    /// Sign though the domain is not aligned with From
    #[arg(long)]
    third_party: bool,
    /// Let the signature expire after this time (x=)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
    /// The identity (i=): @ and a domain, with or without a local part
    #[arg(long, value_name = "IDENTITY", value_parser = identity)]
    identity: Option<Auid>,
    /// Say what is known to break the message on its way, and sign it
    #[arg(long)]
    lint: bool,
    /// Do not sign a message of which --lint gives an error or a warning; exit 1
    #[arg(long)]
    lint_deny: bool,
    /// Print the DKIM-Signature fields alone
    #[arg(long)]
    header_only: bool,
    /// How many messages to sign at once; the number of cores if left out
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
    /// Write to this file, which appears whole or not at all
    #[arg(short, long, value_name = "FILE", conflicts_with = "output_dir")]
    output: Option<PathBuf>,
    /// Write each message to a file of its own name in this directory
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Replace existing output files
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    read: ReadArgs,
    /// Messages, mbox files, Maildirs or directories, also compressed with gzip or zstd; - or none is standard
    /// input
    messages: Vec<PathBuf>,
}

/// Field names; a type of its own, since a bare `Vec` means repetition to clap.
#[derive(Debug, Clone)]
pub(super) struct Names(pub(super) Vec<FieldName>);

pub(super) fn names(text: &str) -> Result<Names, String> {
    field_names(text).map(Names)
}

fn names_or_none(text: &str) -> Result<Names, String> {
    match text {
        "none" => Ok(Names(Vec::new())),
        text => names(text),
    }
}

fn identity(text: &str) -> Result<Auid, String> {
    Auid::new(text.as_bytes()).map_err(|e| e.to_string())
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let plan = Plan::new(args)?;
    let mut tasks = Messages::new(Source::list(&args.messages));
    let mut exits = Vec::new();
    let mut add = |exit: Exit| {
        if !exits.contains(&exit) {
            exits.push(exit);
        }
    };
    if args.output_dir.is_none() {
        // All go to one place: the fields of many, or one message.
        let first = match tasks.next() {
            None => {
                speech::warning("there is no message to sign");
                return Ok(Exit::Done);
            }
            Some(first) => first,
        };
        let second = tasks.next();
        if second.is_some() && (!args.header_only || args.output.is_some()) {
            return Err(
                Trouble::usage("several messages cannot go to one output").hint("--output-dir DIR")
            );
        }
        for task in std::iter::once(first).chain(second).chain(tasks) {
            add(tell(plan.sign(task)));
        }
        return Ok(overall(&exits));
    }
    let progress = Progress::new(true);
    let mut count = 0u64;
    let mut given = Given::default();
    let tasks = tasks.map(|task| task.and_then(|task| given.check(task)));
    let ended = batch::run(
        args.jobs,
        tasks,
        |task| plan.sign(task),
        |done| {
            count += 1;
            add(tell(done));
            progress.count(String::new);
            Ok(())
        },
    );
    drop(progress);
    ended?;
    if count == 0 {
        speech::warning("there is no message to sign");
    }
    Ok(overall(&exits))
}

impl batch::Outcome for Result<(), Trouble> {
    fn weight(&self) -> usize {
        0
    }
}

/// Says what went wrong with a message.
fn tell(done: Result<(), Trouble>) -> Exit {
    match done {
        Ok(()) => Exit::Done,
        // A reader that went away has only a part of the message.
        Err(trouble) if trouble.is_quiet() => Exit::TempFail,
        Err(trouble) => trouble.tell(),
    }
}

fn overall(exits: &[Exit]) -> Exit {
    let worst = [Exit::Usage, Exit::No, Exit::TempFail];
    let found = worst.into_iter().find(|exit| exits.contains(exit));
    found.unwrap_or(Exit::Done)
}

impl Found {
    fn source(&self) -> &Source {
        match self {
            Found::File(source) | Found::Opened(source, _) | Found::Part(source, _) => source,
        }
    }

    /// The number in an mbox of several messages.
    fn number(&self) -> Option<u64> {
        match self {
            Found::Part(_, part) if !part.alone => Some(part.number),
            _ => None,
        }
    }

    /// The name of its file in the output directory.
    fn file_name(&self) -> Option<String> {
        let Source::File(path) = self.source() else {
            return None;
        };
        match self.number() {
            Some(number) => part_name(path, number),
            None => Some(unpacked_name(path.file_name()?.to_str()?).to_owned()),
        }
    }
}

/// What comes out is not compressed.
fn unpacked_name(name: &str) -> &str {
    let bare = name.strip_suffix(".gz").or(name.strip_suffix(".zst"));
    bare.filter(|bare| !bare.is_empty()).unwrap_or(name)
}

/// The names that are given in the output directory: two messages of the same name would replace one another.
#[derive(Default)]
struct Given(HashSet<String>);

impl Given {
    fn check(&mut self, task: Found) -> Result<Found, Trouble> {
        let Some(name) = task.file_name() else {
            return Err(match task.source() {
                Source::Stdin => {
                    Trouble::usage("standard input has no name to use in --output-dir")
                        .hint("-o FILE names the output")
                }
                Source::File(path) => {
                    Trouble::usage(format!("{}: the name is not UTF-8", path.display()))
                }
            });
        };
        if !self.0.insert(name.clone()) {
            return Err(Trouble::usage(format!(
                "{}: another message is called {name}, too",
                task.source().name()
            ))
            .hint("sign them in two runs, each with an --output-dir of its own"));
        }
        Ok(task)
    }
}

/// What is the same for all messages of a run.
struct Plan<'a> {
    args: &'a Args,
    store: KeyStore,
    options: SignOptions,
    /// Keys named by -k.
    given: Vec<(Selector, Arc<SigningKey>)>,
    /// Device and number of the files that are named as messages: none of them is an output.
    inputs: HashSet<(u64, u64)>,
    /// Keys of the store, read once for each domain.
    cache: Mutex<HashMap<Domain, Vec<SigningIdentity>>>,
}

impl<'a> Plan<'a> {
    fn new(args: &'a Args) -> Result<Plan<'a>, Trouble> {
        let now = args.clock.now();
        let mut options = SignOptions::new(now);
        options.canonicalization = args.canon;
        options.third_party = args.third_party;
        options.expiration = args
            .expires
            .map(|after| UnixTime(now.0.saturating_add(after.as_secs())));
        if let Some(Names(names)) = &args.headers {
            // What is not to be signed is not oversigned either, unless --oversign says so.
            options.restrict_to(names);
        }
        if let Some(Names(names)) = &args.oversign {
            options.oversign.clone_from(names);
            options.oversign_present.clear();
        }
        if !args.key.is_empty() && args.key.len() != args.selector.len() {
            return Err(Trouble::usage(format!(
                "{} times -k, but {} times -s",
                args.key.len(),
                args.selector.len()
            ))
            .hint("each key file goes with a selector: -s rsa -k rsa.pem -s ed -k ed.pem"));
        }
        let mut given = Vec::new();
        for (selector, path) in args.selector.iter().zip(&args.key) {
            given.push((selector.clone(), Arc::new(load(path)?)));
        }
        Ok(Plan {
            args,
            store: args.store.store(),
            options,
            given,
            inputs: args
                .messages
                .iter()
                .filter_map(|path| identity_of(path))
                .collect(),
            cache: Mutex::default(),
        })
    }

    fn sign(&self, task: Result<Found, Trouble>) -> Result<(), Trouble> {
        let task = task?;
        let name = match task.number() {
            Some(number) => format!("{} message {number}", task.source().name()),
            None => task.source().name(),
        };
        self.sign_message(task, &name)
            .map_err(|trouble| trouble.about(&name))
    }

    fn sign_message(&self, task: Found, name: &str) -> Result<(), Trouble> {
        let args = self.args;
        let destination = match &args.output_dir {
            Some(dir) => task.file_name().map(|name| dir.join(name)),
            None => args.output.clone(),
        };
        let mut input = match task {
            Found::Opened(_, opened) => opened,
            // A message alone is copied as it stands; it has no need for quotes.
            Found::Part(source @ Source::File(_), part) if part.alone => source.open()?,
            Found::Part(source, part) if part.alone => {
                Opened::part(&source, part.bytes, Quoting::AsIs)?
            }
            Found::Part(source, part) => {
                let mut opened = Opened::part(&source, part.bytes, Quoting::Mboxrd)?;
                opened.skip_envelope()?;
                opened
            }
            Found::File(source) => source.open()?,
        };
        if destination
            .as_deref()
            .is_some_and(|path| self.is_input(path))
        {
            return Err(replaces_input());
        }
        let rewriting = Rewriting {
            destination,
            fields_only: args.header_only,
            force: args.force,
            follow: args.output_dir.is_none(),
            line_ends: args.read.line_ends,
        };
        rewriting.run(
            &mut input,
            |header, message| {
                let identities = self.identities(&header)?;
                let signer = Signer::new(&header, identities, &self.options)?;
                let linter = self.linter(&header, &signer, message);
                Ok((header, signer, linter))
            },
            |(_, signer, linter), chunk| {
                signer.write(chunk.hashed);
                if let Some(linter) = linter {
                    linter.write(chunk.raw);
                }
            },
            |(header, signer, linter)| {
                match linter {
                    None => warn_of_missing_fields(&header, name),
                    Some(linter) => lint::tell(name, &linter.finish(), args.lint_deny)?,
                }
                Ok(signer.finish()?)
            },
        )
    }

    /// Looks at the message if that was asked for.
    fn linter(&self, header: &Header, signer: &Signer, message: &Message<'_>) -> Option<Linter> {
        if !self.args.lint && !self.args.lint_deny {
            return None;
        }
        let planned = signer.signatures();
        let options = LintOptions {
            planned: planned.map(|(sig, key)| Planned::new(sig, key)).collect(),
            canonicalization: None,
            origin: lint::origin(header, message),
        };
        Some(Linter::new(header, &options))
    }

    fn is_input(&self, path: &Path) -> bool {
        identity_of(path).is_some_and(|identity| self.inputs.contains(&identity))
    }

    /// Who signs this message.
    fn identities(&self, header: &Header) -> Result<Vec<SigningIdentity>, Trouble> {
        let domain = match &self.args.domain {
            Some(domain) => domain.clone(),
            None => domain_of_from(header)?,
        };
        let with = |selector: &Selector, key: Arc<SigningKey>| SigningIdentity {
            identity: self.args.identity.clone(),
            ..SigningIdentity::new(domain.clone(), selector.clone(), key)
        };
        if !self.given.is_empty() {
            let given = self.given.iter();
            return Ok(given.map(|(s, key)| with(s, key.clone())).collect());
        }
        let mut cache = self
            .cache
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = cache.get(&domain) {
            return Ok(known.clone());
        }
        let selectors = match self.args.selector.as_slice() {
            [] => self.store.active(&domain)?,
            named => named.to_vec(),
        };
        let mut identities = Vec::new();
        for selector in &selectors {
            let key = load(&self.store.pem_path(&domain, selector))?;
            identities.push(with(selector, Arc::new(key)));
        }
        self.note_lifetime(&domain, &selectors);
        cache.insert(domain, identities.clone());
        Ok(identities)
    }
}

impl Plan<'_> {
    /// Lets rotations know how long signatures last; a store that may only be read keeps nobody from signing.
    fn note_lifetime(&self, domain: &Domain, selectors: &[Selector]) {
        let Some(lifetime) = self.args.expires.map(|expires| expires.as_secs()) else {
            return;
        };
        let now = self.args.clock.now();
        if let Err(error) = self.store.note_lifetime(domain, selectors, lifetime, now) {
            let expires = humantime::format_duration(Duration::from_secs(lifetime));
            speech::warning(format!(
                "how long signatures last cannot be noted in the key store: {error}"
            ));
            speech::hint(format!(
                "tell rotations of it: dkimkit rotate {domain} --expires {expires}"
            ));
        }
    }
}

/// Device and number of a regular file.
fn identity_of(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok().filter(|m| m.is_file())?;
    Some((metadata.dev(), metadata.ino()))
}

/// Reads a key, and says so if others could have done the same.
pub(super) fn load(path: &Path) -> Result<SigningKey, Trouble> {
    let key = read_key(path)?;
    if let Some(mode) = unsafe_mode(path) {
        let name = path.display();
        speech::warning(format!(
            "{name} has mode {mode:04o}: others than its owner could read or replace the key"
        ));
        speech::hint(format!("chmod 600 {name}"));
    }
    Ok(key)
}

fn domain_of_from(header: &Header) -> Result<Domain, Trouble> {
    let authors = Authors::of(header);
    if !authors.all_have_domains() {
        return Err(dkimkit::sign::SignError::AuthorUnreadable.into());
    }
    match (authors.fields(), authors.domains()) {
        (0 | 1, [domain]) => Ok(domain.clone()),
        (0 | 1, [_, _, ..]) => {
            Err(Trouble::usage("From names several domains")
                .hint("-d DOMAIN says which of them signs"))
        }
        (0, _) => Err(dkimkit::sign::SignError::NoFrom.into()),
        (1, []) => Err(dkimkit::sign::SignError::NoAuthor.into()),
        (count, _) => Err(dkimkit::sign::SignError::SeveralFrom { count }.into()),
    }
}

/// RFC 5322 §3.6 requires Date and wants Message-ID; a relay that adds one breaks no signature, but the
/// field it adds is unsigned.
fn warn_of_missing_fields(header: &Header, name: &str) {
    for wanted in ["Date", "Message-ID"] {
        if !header.fields().any(|f| f.is(wanted)) {
            speech::warning(format!(
                "{name}: the message has no {wanted} field, so that one added later is not signed"
            ));
        }
    }
}
