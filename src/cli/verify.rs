//! `dkimkit verify`: the signatures of messages held against published keys.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::ValueEnum;
use dkimkit::authres::{self, AuthservId};
use dkimkit::dns::system::{Resolver, ResolverError};
use dkimkit::dns::{Answer, LookupTxt as _, Zone};
use dkimkit::keystore::KeyStore;
use dkimkit::message::SplitError;
use dkimkit::name::{Domain, KeyName};
use dkimkit::policy::{Level, Policy};
use dkimkit::report::{Failure, MessageReport, ResultWord, Verdict, overall};
use dkimkit::time::UnixTime;
use dkimkit::verify::{Appetite, Verifier};
use rayon::prelude::*;

use super::Exit;
use super::args::{ClockArgs, ColorChoice, ReadArgs, duration, nameserver};
use super::input::{HeaderEnd, Message, Source, expand};
use super::output::Output;
use super::speech::{self, Trouble, escape};

/// Verify the DKIM signatures of messages
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit verify message.eml
  dkimkit verify --json --require aligned Maildir/ | jq .result
  dkimkit verify --keys keys out.eml
  dkimkit verify --records zone.txt --now 2026-11-21T12:00:00Z old.eml

Exits 0 if and only if every message has a signature that passes and meets --require.")]
pub(super) struct Args {
    /// What is refused: see the table of policies in the README
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    policy: PolicyName,
    /// What counts as a pass: any signature, one aligned with From, or one of this domain
    #[arg(long, value_name = "any|aligned|DOMAIN", default_value = "any")]
    require: Require,
    /// Take the keys from this zone file or JSON, and do not ask DNS. May be repeated
    #[arg(long, value_name = "FILE")]
    records: Vec<PathBuf>,
    /// Take the keys from this key store, and do not ask DNS
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Ask this name server instead of the system's
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = nameserver)]
    nameserver: Option<SocketAddr>,
    /// How long all the lookups of a message may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    timeout: Duration,
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
    /// Messages, Maildirs or directories; - or none is standard input
    messages: Vec<PathBuf>,
}

/// The policies by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum PolicyName {
    /// What the RFCs refuse, and what an attacker profits from
    #[default]
    Strict,
    /// What RFC 6376, 8301 and 8463 refuse
    Rfc,
    /// rfc, with rsa-sha1 and RSA keys from 512 bits let through
    Legacy,
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
    let (sources, troubles) = expand(Source::list(&args.messages));
    let mut exits = Exits::default();
    for trouble in &troubles {
        exits.add(trouble.tell());
    }
    let style = Style::choose(args, color);
    let mut out = Output::stdout();
    if sources.is_empty() {
        speech::warning("there is no message to verify");
    }
    // Results are rendered where they are made: a verdict on a hostile message is much larger than its text.
    let verify = |source: &Source| {
        let checked = job.verify(source)?;
        let exit = checked.exit(&args.require);
        Ok((style.render(&checked, &args.require), exit))
    };
    let mut print = |results: Vec<Result<(String, Exit), Trouble>>| -> Result<(), Trouble> {
        for result in results {
            match result {
                Err(trouble) => exits.add(trouble.tell()),
                Ok((text, exit)) => {
                    out.write_all(text.as_bytes())
                        .map_err(|e| Trouble::write("standard output", &e))?;
                    exits.add(exit);
                }
            }
        }
        Ok(())
    };
    if sources.len() <= 1 || args.jobs.is_some_and(|n| n.get() == 1) {
        for source in &sources {
            print(vec![verify(source)])?;
        }
    } else {
        let jobs = args.jobs.map_or(0, std::num::NonZeroUsize::get);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
        let pool = pool.map_err(|e| Trouble::new(Exit::TempFail, e))?;
        // In batches, so that results come in order and memory does not grow with their number.
        for batch in sources.chunks(4 * pool.current_num_threads()) {
            print(pool.install(|| batch.par_iter().map(verify).collect()))?;
        }
    }
    out.finish()?;
    Ok(exits.overall())
}

/// The exit codes of all messages, as one.
#[derive(Default)]
struct Exits(Vec<Exit>);

impl Exits {
    fn add(&mut self, exit: Exit) {
        if !self.0.contains(&exit) {
            self.0.push(exit);
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
    policy: Arc<Policy>,
    now: UnixTime,
    keys: Keys,
    read: ReadArgs,
}

/// Where keys come from.
enum Keys {
    Offline(Zone),
    /// Made when the first key is wanted: a message without a signature asks nobody.
    Online {
        nameserver: Option<SocketAddr>,
        timeout: Duration,
        resolver: Mutex<Option<Resolver>>,
    },
}

impl Job {
    fn new(args: &Args) -> Result<Job, Trouble> {
        let level = match args.policy {
            PolicyName::Strict => Level::Strict,
            PolicyName::Rfc => Level::Rfc,
            PolicyName::Legacy => Level::Legacy,
        };
        let offline = !args.records.is_empty() || args.keys.is_some();
        let keys = if offline {
            if args.nameserver.is_some() {
                return Err(Trouble::usage(
                    "--nameserver asks DNS, but --records and --keys keep DNS out",
                )
                .hint("leave one of them out"));
            }
            speech::note("offline: keys come from the files given, DNS is not asked");
            Keys::Offline(read_zone(args)?)
        } else {
            Keys::Online {
                nameserver: args.nameserver,
                timeout: args.timeout,
                resolver: Mutex::new(None),
            }
        };
        Ok(Job {
            policy: Arc::new(Policy::new(level)),
            now: args.clock.now(),
            keys,
            read: args.read,
        })
    }

    fn verify(&self, source: &Source) -> Result<Checked, Trouble> {
        let mut input = source.open()?;
        let file = input.name.clone();
        let mut message = Message::new(&mut input, self.read.line_ends, None);
        let (header, first) = match message.header(self.policy.limits.header)? {
            HeaderEnd::Found(header, first) => (header, first),
            HeaderEnd::Refused(error) => {
                input.drain();
                return Ok(Checked::Unreadable { file, error });
            }
        };
        let mut verifier = Verifier::new(header, self.policy.clone(), self.now);
        let from_domains = verifier.authors().domains().to_vec();
        let domainkeys = verifier.domainkeys();
        for (name, answer) in self.answers(verifier.wanted())? {
            verifier.supply(&name, answer);
        }
        let mut verifier = verifier.start_body();
        let mut appetite = verifier.write(&first);
        while appetite == Appetite::More {
            match message.next()? {
                Some(chunk) => appetite = verifier.write(chunk),
                None => break,
            }
        }
        message.warn();
        input.drain();
        let verdicts = verifier.finish();
        let mut report = MessageReport::new(file, &from_domains, &verdicts);
        report.domainkeys = domainkeys;
        Ok(Checked::Verified { report, verdicts })
    }

    fn answers(&self, names: &[KeyName]) -> Result<Vec<(KeyName, Answer)>, Trouble> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        match &self.keys {
            Keys::Offline(zone) => {
                let ask = |name: &KeyName| (name.clone(), zone.lookup_txt(name));
                Ok(names.iter().map(ask).collect())
            }
            Keys::Online {
                nameserver,
                timeout,
                resolver,
            } => {
                let mut slot = resolver
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                let resolver = match &*slot {
                    Some(resolver) => resolver.clone(),
                    None => {
                        let made = match nameserver {
                            Some(server) => Resolver::with_nameserver(*server, *timeout),
                            None => Resolver::system(*timeout),
                        };
                        let made = made.map_err(|e| {
                            let exit = match e {
                                ResolverError::System { .. } | ResolverError::Setup { .. } => {
                                    Exit::TempFail
                                }
                                ResolverError::NoServer
                                | ResolverError::NoPort { .. }
                                | ResolverError::NoTime => Exit::Usage,
                            };
                            Trouble::new(exit, e)
                                .hint("--nameserver ADDR names a name server")
                                .hint("--records FILE takes the keys from a file")
                        })?;
                        slot.insert(made).clone()
                    }
                };
                drop(slot);
                Ok(resolver.lookup_all_blocking(names))
            }
        }
    }
}

fn read_zone(args: &Args) -> Result<Zone, Trouble> {
    let mut zone = Zone::default();
    for path in &args.records {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|e| Trouble::open(&name, &e))?;
        let text = String::from_utf8_lossy(&bytes);
        let records = Zone::parse(text.trim_start_matches('\u{feff}')).map_err(|e| {
            Trouble::usage(format!("{name}: {e}"))
                .hint("`dkimkit record` prints a line that can be read here")
        })?;
        zone.merge(records);
    }
    if let Some(dir) = &args.keys {
        if !dir.is_dir() {
            return Err(
                Trouble::usage(format!("{}: no such directory", dir.display()))
                    .hint("--keys names a key store, as `dkimkit generate` fills it"),
            );
        }
        let (records, broken) = KeyStore::new(dir).zone()?;
        for error in broken {
            speech::warning(format!("{error}; the key is left out"));
        }
        zone.merge(records);
    }
    Ok(zone)
}

/// A message that was looked at.
enum Checked {
    Verified {
        report: MessageReport,
        verdicts: Vec<Verdict>,
    },
    Unreadable {
        file: String,
        error: SplitError,
    },
}

impl Checked {
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
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let color = match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => wanted && std::io::stdout().is_terminal(),
        };
        Style::Text { color }
    }

    fn render(&self, checked: &Checked, require: &Require) -> String {
        match (self, checked) {
            (Style::Json, Checked::Verified { report, .. }) => format!("{}\n", report.to_json()),
            (Style::Json, Checked::Unreadable { file, error }) => {
                let report = MessageReport::unreadable(file.clone(), *error);
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
                text(&report.file, verdicts, require, *color)
            }
            (Style::Text { color }, Checked::Unreadable { file, error }) => {
                let failure = Failure::Message(*error);
                let word = paint(failure.result(), *color);
                let advice = failure.advice().map(|a| format!(": {a}"));
                format!(
                    "{}: {word}: {failure}{}\n",
                    escape(file),
                    advice.unwrap_or_default()
                )
            }
        }
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
fn facts(verdict: &Verdict) -> String {
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

fn paint(result: ResultWord, color: bool) -> String {
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
