//! `dkimkit rotate`: the next key made, published, waited for and put to use; the old one withdrawn.
//!
//! What is to be done follows from the key store, the time and the name servers alone
//! ([`dkimkit::rotate`]), so a run may end anywhere, and the next one goes on from there.

mod acts;
mod shown;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dkimkit::dns::survey::{Survey, Told};
use dkimkit::key::KeyType;
use dkimkit::keystore::{KeyStore, StoreError};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::record::lint::{Linted, PublicKey, RecordFault, Severity, lint};
use dkimkit::rotate::{Key, Published, Settings, Step, steps};
use dkimkit::time::UnixTime;

use self::shown::Spoken;
use super::Exit;
use super::args::{ClockArgs, StoreArgs, domain, duration, selector};
use super::asking::DnsArgs;
use super::push::{Push, PushArgs};
use super::record::FormArgs;
use super::speech::Trouble;

/// Rotate the keys of a domain, as far as can be done now
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run it again, by hand or by a timer, until the rotation is over: every run goes on where the last one ended.

Exit codes: 0 nothing is left to do now, 1 a person must publish what was printed, 75 it waits for DNS.

Examples:
  dkimkit rotate example.com
  dkimkit rotate example.com --dry-run
  dkimkit rotate example.com --due 180d --server 192.0.2.53 --tsig-key update.key
  dkimkit rotate example.com --selectors dk1,dk2 --format route53"
)]
pub(super) struct Args {
    /// The signing domain (d=)
    #[arg(value_parser = domain)]
    domain: Domain,
    /// Rotate only keys that have signed for so long; a timer may then run this every day
    #[arg(long, value_name = "TIME", value_parser = duration)]
    due: Option<Duration>,
    /// How long the record of the old key stays; never shorter than the longest --expires that it signed with
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = duration)]
    overlap: Duration,
    /// The longest --expires that others sign with, where this store does not know it
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
    /// Selectors that take turns, as those that are CNAMEs
    #[arg(long, value_name = "S1,S2", value_delimiter = ',', value_parser = selector)]
    selectors: Vec<Selector>,
    /// What becomes of the old record
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    withdraw: Withdraw,
    /// Write the private half of a revoked key into this directory, to be published: from then on nobody can
    /// prove by a signature what was written
    #[arg(long, value_name = "DIR")]
    reveal: Option<PathBuf>,
    /// The size of new RSA keys; that of the old key if left out, and 2048 at least
    #[arg(short, long, value_name = "BITS", value_parser = ["2048", "3072", "4096"])]
    bits: Option<String>,
    #[command(flatten)]
    form: FormArgs,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait for DNS for so long, and go on
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "dry_run")]
    wait: Option<Duration>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    push: PushArgs,
    #[command(flatten)]
    dns: DnsArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    clock: ClockArgs,
}

/// What becomes of the record of an old key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Withdraw {
    /// It stays, and says that the key is revoked (p= empty)
    #[default]
    Revoke,
    /// It is taken away
    Remove,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let store = args.store.store();
    if store.entries(&args.domain)?.is_empty() {
        let domain = args.domain.clone();
        return Err(StoreError::NoKeys { domain }.into());
    }
    let _lock = match args.dry_run {
        true => None,
        false => Some(store.lock_rotation(&args.domain)?.ok_or_else(|| {
            let domain = &args.domain;
            Trouble::new(
                Exit::TempFail,
                format!("another process is rotating the keys of {domain}"),
            )
            .hint("try again when it is done")
        })?),
    };
    if let Some(dir) = args.reveal.as_ref().filter(|dir| !dir.is_dir()) {
        let dir = dir.display();
        let trouble = Trouble::usage(format!("{dir} is no directory"));
        return Err(trouble.hint(format!(
            "make it first, where it will be published: mkdir -p {dir}"
        )));
    }
    let push = args.push.push(args.form.ttl, args.dns.timeout)?;
    let mut rotation = Rotation {
        args,
        store,
        settings: settings(args),
        push,
        began: Instant::now(),
        surveys: HashMap::new(),
        handed_over: HashSet::new(),
        spoken: Vec::new(),
    };
    let ends = rotation.run()?;
    rotation.tell(&ends)
}

fn settings(args: &Args) -> Settings {
    Settings {
        due: args.due.map(|due| due.as_secs()),
        overlap: args.overlap.as_secs(),
        lifetime: args.expires.map_or(0, |expires| expires.as_secs()),
        fixed: args.selectors.clone(),
        reveal: args.reveal.is_some(),
    }
}

/// One run of the program.
struct Rotation<'a> {
    args: &'a Args,
    store: KeyStore,
    settings: Settings,
    push: Option<Push>,
    began: Instant,
    /// What the servers said, since something was last changed.
    surveys: HashMap<String, Survey>,
    /// Selectors whose record was pushed, or printed for a person, in this run.
    handed_over: HashSet<String>,
    /// What was done.
    spoken: Vec<Spoken>,
}

impl Rotation<'_> {
    /// Does what can be done; returns what cannot be done now.
    fn run(&mut self) -> Result<Vec<Step>, Trouble> {
        let mut pause = Duration::from_secs(1);
        loop {
            let (next, rest) = self.next()?;
            match next {
                Some(step) if self.args.dry_run => {
                    return Ok(std::iter::once(step).chain(rest).collect());
                }
                Some(step) => self.act(&step)?,
                None => {
                    let Some(until) = self.patience(&rest) else {
                        return Ok(rest);
                    };
                    std::thread::sleep(pause.min(until));
                    pause = (pause * 3 / 2).min(Duration::from_secs(30));
                    self.surveys.clear();
                }
            }
        }
    }

    /// The next step that can be taken, and all the others.
    fn next(&mut self) -> Result<(Option<Step>, Vec<Step>), Trouble> {
        let now = self.now();
        let keys = self.keys()?;
        let settings = self.settings.clone();
        let mut trouble = None;
        let mut published = |selector: &Selector| match self.published(selector) {
            Ok(published) => published,
            Err(error) => {
                trouble.get_or_insert(error);
                Published::Unknown
            }
        };
        let mut steps = steps(&keys, &settings, now, &mut published);
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        let can_be_taken = |step: &Step| match step {
            Step::Wait { .. } => false,
            Step::Publish { selector } | Step::Withdraw { selector } => {
                !self.handed_over.contains(selector.as_ascii())
            }
            _ => true,
        };
        let at = steps.iter().position(can_be_taken);
        let next = at.map(|at| steps.remove(at));
        Ok((next, steps))
    }

    /// How long it is worth to wait within this run.
    fn patience(&self, rest: &[Step]) -> Option<Duration> {
        let left = self.args.wait?.checked_sub(self.began.elapsed())?;
        let for_dns = |step: &Step| match step {
            Step::Wait { what, .. } => what.is_for_dns(),
            Step::Publish { .. } | Step::Withdraw { .. } => true,
            _ => false,
        };
        rest.iter()
            .any(for_dns)
            .then_some(left)
            .filter(|left| !left.is_zero())
    }

    /// The time; with --now, the time that has passed since then is added.
    fn now(&self) -> UnixTime {
        let now = self.args.clock.now();
        match self.args.clock.is_set() {
            true => UnixTime(now.0.saturating_add(self.began.elapsed().as_secs())),
            false => now,
        }
    }

    fn keys(&self) -> Result<Vec<Key>, Trouble> {
        let domain = &self.args.domain;
        let mut keys = Vec::new();
        for entry in self.store.entries(domain)? {
            let key_type = self
                .store
                .key(domain, &entry.selector)?
                .algorithm()
                .key_type();
            let made = self
                .store
                .made(domain, &entry.selector)
                .unwrap_or(UnixTime(0));
            let revealed = self
                .reveal_path(&entry.selector)?
                .is_some_and(|path| path.exists());
            keys.push(Key {
                entry,
                key_type,
                made,
                revealed,
            });
        }
        Ok(keys)
    }

    /// Where the private half of a key is published.
    fn reveal_path(&self, selector: &Selector) -> Result<Option<PathBuf>, Trouble> {
        let name = self.name(selector)?;
        Ok(self
            .args
            .reveal
            .as_ref()
            .map(|dir| dir.join(format!("{name}.pem"))))
    }

    fn name(&self, selector: &Selector) -> Result<KeyName, Trouble> {
        KeyName::new(selector, &self.args.domain).map_err(Trouble::usage)
    }

    /// What all servers say of a key.
    fn published(&mut self, selector: &Selector) -> Result<Published, Trouble> {
        let key = self.store.key(&self.args.domain, selector)?;
        let own = PublicKey {
            key_type: key.algorithm().key_type(),
            bytes: key.public_bytes(),
        };
        let survey = self.survey(selector)?;
        let agreement = survey.everywhere(|told| match told {
            Told::Txt { txt, .. } => is_served(txt, &own),
            _ => false,
        });
        Ok(
            match (agreement.right, agreement.wrong, agreement.unknown) {
                (1.., 0, 0) => Published::Everywhere,
                (0, 1.., 0) => Published::Nowhere,
                (0, _, _) | (_, 0, 1..) => Published::Unknown,
                _ => Published::Partly,
            },
        )
    }

    fn survey(&mut self, selector: &Selector) -> Result<&Survey, Trouble> {
        let name = self.name(selector)?;
        let id = selector.as_ascii().to_owned();
        if !self.surveys.contains_key(&id) {
            let survey = self.args.dns.surveys(&[name])?.remove(0);
            self.surveys.insert(id.clone(), survey);
        }
        Ok(&self.surveys[&id])
    }
}

/// Whether a verifier finds this key: it is the only key record there, and nothing in it stands in its way.
fn is_served(txt: &[Vec<u8>], own: &PublicKey) -> bool {
    let seen: Vec<Linted> = txt.iter().map(|txt| lint(txt, Some(own))).collect();
    let records = seen
        .iter()
        .filter(|seen| seen.faults != [RecordFault::NotKeyRecord]);
    let right = |seen: &Linted| {
        let wrong = seen.faults.iter().any(|fault| {
            fault.severity() == Severity::Error && !matches!(fault, RecordFault::TooSmall { .. })
        });
        seen.key.as_ref() == Some(own) && !wrong
    };
    let mut count = 0;
    let all_right = records.inspect(|_| count += 1).all(right);
    all_right && count == 1
}
