//! `dkimkit check`: what is published, against the private key, at every authoritative server.

mod shown;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dkimkit::check::{Finding, Role, Wanted, judge, judge_records};
use dkimkit::dns::Zone;
use dkimkit::dns::survey::Survey;
use dkimkit::key::SigningKey;
use dkimkit::key::weak::Blocklist;
use dkimkit::keystore::{Entry, KeyState, KeyStore, read_key, unsafe_mode};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::publish::revoked;
use dkimkit::record::KeyRecord;
use dkimkit::record::lint::{PublicKey, Severity};
use indicatif::{ProgressBar, ProgressStyle};

use self::shown::Report;
use super::args::{StoreArgs, domain, duration, selector};
use super::asking::DnsArgs;
use super::speech::Trouble;
use super::{Exit, output};

/// Check what is published at every authoritative server, and say what mends it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without a selector, all keys of the domain in the store are checked.

Exit codes: 0 nothing is wrong (warnings may stand), 1 an error was found, 75 DNS gave no answer.

Examples:
  dkimkit check example.com
  dkimkit check example.com mail --json
  dkimkit check example.com mail -k /etc/dkim/mail.pem --wait 30m
  dkimkit check -k /etc/dkim/mail.pem
  dkimkit check --record 'v=DKIM1; k=rsa; p=MIGf...'
  dkimkit check --records example.com.zone example.com"
)]
pub(super) struct Args {
    /// The signing domain (d=)
    #[arg(value_parser = domain)]
    domain: Option<Domain>,
    /// The selectors (s=)
    #[arg(value_parser = selector, value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// Compare with this private key instead of that of the store; alone, check the key itself
    #[arg(short, long, value_name = "KEY.pem")]
    key: Option<PathBuf>,
    /// Check this text of a record, without DNS
    #[arg(long, value_name = "TEXT", conflicts_with = "records")]
    record: Option<String>,
    /// Check the records of this zone file or JSON, without DNS
    #[arg(long, value_name = "FILE")]
    records: Vec<PathBuf>,
    /// Fingerprints of keys that are known to be lost, one a line: SHA-256 of the public key, or as Debian lists them
    #[arg(long, value_name = "FILE")]
    blocklist: Option<PathBuf>,
    /// Ask again and again, for so long, until all servers are right
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["record", "records"])]
    wait: Option<Duration>,
    /// Print one JSON object a line a record
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    dns: DnsArgs,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let blocklist = args.blocklist.as_deref().map(read_blocklist).transpose()?;
    let blocklist = blocklist.as_ref();
    let reports = if let Some(text) = &args.record {
        vec![one_record(args, text, blocklist)?]
    } else if !args.records.is_empty() {
        many_records(args, blocklist)?
    } else if let Some(domain) = &args.domain {
        in_dns(args, domain, blocklist)?
    } else if let Some(path) = &args.key {
        vec![private_key(path, blocklist)?]
    } else {
        return Err(Trouble::usage("nothing to check was named")
            .hint("dkimkit check example.com checks all keys of a domain")
            .hint("-k KEY.pem checks a private key, --record TEXT a record"));
    };
    let text: String = match args.json {
        true => reports.iter().map(Report::to_json).collect(),
        false => reports.iter().map(Report::to_text).collect(),
    };
    output::print(&text)?;
    Ok(worst(reports.iter().map(Report::exit)))
}

/// A definite no counts more than an answer that may come yet.
fn worst(exits: impl Iterator<Item = Exit>) -> Exit {
    let rank = |exit: &Exit| match exit {
        Exit::Done => 0,
        Exit::TempFail => 1,
        _ => 2,
    };
    exits.max_by_key(rank).unwrap_or(Exit::Done)
}

fn read_blocklist(path: &Path) -> Result<Blocklist, Trouble> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| Trouble::open(&name, &error))?;
    Blocklist::parse(&text).map_err(|error| Trouble::usage(format!("{name}: {error}")))
}

/// A key that is checked: its name, and what should stand there.
struct Subject<'a> {
    domain: Option<&'a Domain>,
    selector: Option<Selector>,
    name: Option<KeyName>,
    state: Option<KeyState>,
    wanted: Wanted<'a>,
}

impl<'a> Subject<'a> {
    /// What -k or the store knows of a selector.
    fn find(
        args: &Args,
        domain: &'a Domain,
        selector: &Selector,
        entries: &[Entry],
        blocklist: Option<&'a Blocklist>,
    ) -> Result<Subject<'a>, Trouble> {
        let name = KeyName::new(selector, domain).map_err(Trouble::usage)?;
        let entry = entries.iter().find(|entry| entry.selector == *selector);
        let entry = entry.filter(|_| args.key.is_none());
        let mut wanted = match entry {
            Some(entry) => stored(&args.store.store(), domain, entry)?,
            None => Wanted {
                domain: Some(domain.to_string()),
                ..Wanted::default()
            },
        };
        wanted.blocklist = blocklist;
        if let Some(path) = &args.key {
            want(&mut wanted, &read_key(path)?, None);
        }
        let state = entry.map(|entry| entry.state);
        Ok(Subject {
            domain: Some(domain),
            selector: Some(selector.clone()),
            name: Some(name),
            state,
            wanted,
        })
    }

    fn report(&self, survey: Option<Survey>, txt: Vec<Vec<u8>>, findings: Vec<Finding>) -> Report {
        Report {
            domain: self.domain.map(Domain::to_string),
            selector: self.selector.as_ref().map(Selector::to_string),
            name: self.name.as_ref().map(|name| name.as_str().to_owned()),
            file: None,
            state: self.state,
            key: self.wanted.key.clone(),
            record: self.wanted.record.clone(),
            txt,
            survey,
            findings,
        }
    }
}

fn want(wanted: &mut Wanted<'_>, key: &SigningKey, record: Option<String>) {
    let key_type = key.algorithm().key_type();
    let made = || KeyRecord::new(key_type, key.public_bytes()).to_string();
    wanted.record = Some(record.unwrap_or_else(made));
    wanted.key = Some(PublicKey::of(key));
}

/// What should be published of a key of the store.
pub(super) fn stored(
    store: &KeyStore,
    domain: &Domain,
    entry: &Entry,
) -> Result<Wanted<'static>, Trouble> {
    let record = store.record(domain, &entry.selector)?;
    let mut wanted = Wanted {
        role: match entry.state {
            KeyState::Pending => Role::Waits,
            KeyState::Retired => Role::HasSigned,
            KeyState::Revoked => Role::Withdrawn,
            KeyState::Active => Role::Signs,
        },
        domain: Some(domain.to_string()),
        ..Wanted::default()
    };
    want(
        &mut wanted,
        &store.key(domain, &entry.selector)?,
        Some(record),
    );
    if wanted.role == Role::Withdrawn {
        wanted.record = wanted.record.as_deref().map(revoked);
    }
    Ok(wanted)
}

/// The keys of the domain in the store; none where -k says which key is meant.
fn entries(args: &Args, store: &KeyStore, domain: &Domain) -> Result<Vec<Entry>, Trouble> {
    match &args.key {
        Some(_) => Ok(Vec::new()),
        None => Ok(store.entries(domain)?),
    }
}

fn in_dns<'a>(
    args: &Args,
    domain: &'a Domain,
    blocklist: Option<&'a Blocklist>,
) -> Result<Vec<Report>, Trouble> {
    let store = args.store.store();
    let entries = entries(args, &store, domain)?;
    let selectors: Vec<Selector> = match args.selectors.as_slice() {
        [] => entries.iter().map(|entry| entry.selector.clone()).collect(),
        named => named.to_vec(),
    };
    if selectors.is_empty() {
        let trouble = Trouble::usage(format!("no selector of {domain} is known"));
        return Err(trouble
            .hint(format!(
                "name one: dkimkit check {domain} SELECTOR; it is s= of a DKIM-Signature field"
            ))
            .hint("--keys DIR names the key store"));
    }
    let find = |selector| Subject::find(args, domain, selector, &entries, blocklist);
    let subjects: Result<Vec<Subject<'_>>, Trouble> = selectors.iter().map(find).collect();
    let subjects = subjects?;
    if subjects.iter().any(|subject| subject.wanted.key.is_none()) {
        super::speech::note(
            "there is no private key to compare with: -k KEY.pem or --keys DIR names it",
        );
    }
    let began = Instant::now();
    let progress = args.wait.map(|_| progress());
    let mut pause = Duration::from_secs(2);
    loop {
        let reports = ask(args, &subjects)?;
        let waiting = reports.iter().filter(|report| !report.is_settled()).count();
        let left = args.wait.map(|wait| wait.saturating_sub(began.elapsed()));
        match left {
            Some(left) if waiting > 0 && !left.is_zero() => {
                if let Some(progress) = &progress {
                    progress.set_message(waiting_for(&reports, left));
                }
                std::thread::sleep(pause.min(left));
                // A name server is not to be bothered more than now and then.
                pause = (pause * 3 / 2).min(Duration::from_secs(60));
            }
            _ => return Ok(reports),
        }
    }
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn waiting_for(reports: &[Report], left: Duration) -> String {
    let unsettled = reports.iter().filter(|report| !report.is_settled());
    let words: Vec<String> = unsettled
        .map(|report| {
            let selector = report.selector.clone().unwrap_or_default();
            let word = report.findings.first().map_or("", |finding| finding.word);
            format!("{selector}: {word}")
        })
        .collect();
    format!("{} ({} s left)", words.join(", "), left.as_secs())
}

fn ask(args: &Args, subjects: &[Subject<'_>]) -> Result<Vec<Report>, Trouble> {
    let names = subjects.iter().filter_map(|subject| subject.name.clone());
    let surveys = args.dns.surveys(&names.collect::<Vec<KeyName>>())?;
    let pairs = subjects.iter().zip(surveys);
    Ok(pairs
        .map(|(subject, survey)| {
            let findings = judge(&survey, &subject.wanted);
            subject.report(Some(survey), Vec::new(), findings)
        })
        .collect())
}

fn one_record<'a>(
    args: &'a Args,
    text: &str,
    blocklist: Option<&'a Blocklist>,
) -> Result<Report, Trouble> {
    let subject = match (&args.domain, args.selectors.as_slice()) {
        (Some(domain), [selector]) => {
            let entries = entries(args, &args.store.store(), domain)?;
            Subject::find(args, domain, selector, &entries, blocklist)?
        }
        (None, []) => {
            let mut wanted = Wanted {
                blocklist,
                ..Wanted::default()
            };
            if let Some(path) = &args.key {
                want(&mut wanted, &read_key(path)?, None);
            }
            Subject {
                domain: None,
                selector: None,
                name: None,
                state: None,
                wanted,
            }
        }
        _ => {
            return Err(Trouble::usage("one record stands at one name")
                .hint("name a domain and one selector with --record, or none of them"));
        }
    };
    let name = subject
        .name
        .as_ref()
        .map_or("SELECTOR._domainkey.DOMAIN", KeyName::as_str);
    let txt = vec![text.as_bytes().to_vec()];
    let findings = judge_records(&txt, name, &subject.wanted);
    Ok(subject.report(None, txt, findings))
}

fn many_records<'a>(
    args: &'a Args,
    blocklist: Option<&'a Blocklist>,
) -> Result<Vec<Report>, Trouble> {
    let mut zone = Zone::default();
    for path in &args.records {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| Trouble::open(&name, &error))?;
        let read =
            Zone::parse(&text).map_err(|error| Trouble::usage(format!("{name}: {error}")))?;
        zone.merge(read);
    }
    let mut reports = Vec::new();
    for (name, txt) in zone.txt_records() {
        let Some((selector, of)) = name.trim_end_matches('.').split_once("._domainkey.") else {
            continue;
        };
        let (Ok(selector), Ok(of)) = (Selector::new(selector), Domain::new(of)) else {
            continue;
        };
        let wanted = args.domain.as_ref().is_none_or(|domain| *domain == of)
            && (args.selectors.is_empty() || args.selectors.contains(&selector));
        if wanted {
            let entries = entries(args, &args.store.store(), &of)?;
            let subject = Subject::find(args, &of, &selector, &entries, blocklist)?;
            let findings = judge_records(&txt, name, &subject.wanted);
            reports.push(subject.report(None, txt, findings));
        }
    }
    if reports.is_empty() {
        return Err(
            Trouble::usage("the records hold no _domainkey name that was asked for")
                .hint("a key stands at SELECTOR._domainkey.DOMAIN"),
        );
    }
    Ok(reports)
}

/// A private key by itself: its size, its numbers, and who can read its file.
fn private_key(path: &Path, blocklist: Option<&Blocklist>) -> Result<Report, Trouble> {
    let key = read_key(path)?;
    let mut wanted = Wanted {
        blocklist,
        ..Wanted::default()
    };
    want(&mut wanted, &key, None);
    // Its record is right, but for what is wrong with the key.
    let record = wanted
        .record
        .iter()
        .map(|record| record.as_bytes().to_vec());
    let mut findings = judge_records(&record.collect::<Vec<_>>(), "", &wanted);
    if let Some(mode) = unsafe_mode(path) {
        let path = path.display();
        findings.push(Finding {
            severity: Severity::Warning,
            word: "key-file-open",
            message: format!("{path} has mode {mode:04o}: others can read it, or write to it"),
            mend: Some(format!("chmod 600 {path}")),
        });
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(Report {
        domain: None,
        selector: None,
        name: None,
        file: Some(path.display().to_string()),
        state: None,
        key: wanted.key,
        record: wanted.record,
        txt: Vec::new(),
        survey: None,
        findings,
    })
}
