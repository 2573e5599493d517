//! `dkimkit rotate`: the next key made, published, waited for and put to use; the old one withdrawn.
//!
//! What is to be done follows from the key store, the time and the name servers alone
//! ([`dkimkit::rotate`]), so a run may end anywhere, and the next one goes on from there.

mod acts;
mod shown;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dkimkit::canon::Sink as _;
use dkimkit::dns::survey::{Dnssec, Survey, Told};
use dkimkit::hash::{HashAlgorithm, Hasher};
use dkimkit::key::{KeyType, SigningKey};
use dkimkit::keystore::{Entry, KeyState, KeyStore, StoreError};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::record::lint::{Linted, PublicKey, RecordFault, Severity, is_of_key, lint};
use dkimkit::rotate::{Key, Published, Settings, Step, steps};
use dkimkit::time::UnixTime;

use self::shown::Spoken;
use super::Exit;
use super::args::{ClockArgs, StoreArgs, domain, duration, selector};
use super::asking::DnsArgs;
use super::push::{Push, PushArgs};
use super::record::FormArgs;
use super::speech::{self, Trouble};

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
    if let Err(error @ StoreError::Undecided { .. }) = store.active(&args.domain) {
        return Err(error.into());
    }
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
        said: HashSet::new(),
    };
    let ends = rotation.run();
    rotation.tell(ends)
}

fn settings(args: &Args) -> Settings {
    Settings {
        due: args.due.map(|due| due.as_secs()),
        overlap: args.overlap.as_secs(),
        lifetime: args.expires.map_or(0, |expires| expires.as_secs()),
        fixed: args.selectors.clone(),
        taken: Vec::new(),
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
    /// Notes that were given once.
    said: HashSet<String>,
}

impl Rotation<'_> {
    /// Does what can be done; returns what cannot be done now.
    fn run(&mut self) -> Result<Vec<Step>, Trouble> {
        let mut pause = Duration::from_secs(1);
        let mut lock = self.lock()?;
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
                    self.say_what_is_waited_for(&rest);
                    // Nobody has to wait for one who sleeps.
                    drop(lock);
                    std::thread::sleep(pause.min(until));
                    lock = self.lock()?;
                    pause = (pause * 3 / 2).min(Duration::from_secs(30));
                    self.surveys.clear();
                }
            }
        }
    }

    fn lock(&self) -> Result<Option<File>, Trouble> {
        match self.args.dry_run {
            true => Ok(None),
            false => lock_rotation(&self.store, &self.args.domain).map(Some),
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
                Published::default()
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

    fn keys(&mut self) -> Result<Vec<Key>, Trouble> {
        let domain = self.args.domain.clone();
        let now = self.now();
        let mut keys = Vec::new();
        for entry in self.store.entries(&domain)? {
            let times = [entry.since, entry.notes.served];
            if let Some(ahead) = times
                .into_iter()
                .flatten()
                .find(|t| t.0 > now.0 + TOLERANCE)
            {
                let path = self.store.dir().join(domain.as_ascii()).join("selectors");
                let message = format!(
                    "{} is from {}, and now it is {}",
                    path.display(),
                    ahead.to_rfc3339(),
                    now.to_rfc3339()
                );
                return Err(Trouble::new(Exit::TempFail, message)
                    .hint("set the clock; or mend the times in the file, if they were written when it was wrong"));
            }
            let key = match self.store.key(&domain, &entry.selector) {
                Ok(key) => key,
                Err(error) if matches!(entry.state, KeyState::Retired | KeyState::Revoked) => {
                    let state = entry.state;
                    self.say_once(
                        || speech::warning(format!("{error}; the key is {state}, and left out")),
                        &error,
                    );
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let made = self.store.made(&domain, &entry.selector);
            keys.push(Key {
                key_type: key.algorithm().key_type(),
                made: made.unwrap_or(UnixTime(0)),
                revealed: self.settings.reveal && !self.may_be_revealed(&entry, &key)?,
                entry,
            });
        }
        Ok(keys)
    }

    /// Whether the private half of a key is still to be published.
    fn may_be_revealed(&self, entry: &Entry, key: &SigningKey) -> Result<bool, Trouble> {
        if entry.state != KeyState::Revoked {
            return Ok(false);
        }
        let path = self.reveal_path(&entry.selector, key)?;
        let pem = key.to_pkcs8_pem().map_err(Trouble::usage)?;
        let known = path.and_then(|path| std::fs::read(path).ok());
        Ok(known.is_none_or(|known| known != pem.as_bytes()) && !self.is_in_use(entry, key)?)
    }

    /// Whether the same key stands in the store under another name, and is not withdrawn for long there.
    fn is_in_use(&self, own: &Entry, key: &SigningKey) -> Result<bool, Trouble> {
        let now = self.now();
        for domain in self.store.domains()? {
            for other in self.store.entries(&domain)? {
                let is_own = domain == self.args.domain && other.selector == own.selector;
                let same = || {
                    let other = self.store.key(&domain, &other.selector);
                    other.is_ok_and(|other| other.public_bytes() == key.public_bytes())
                };
                let hold = other.notes.hold.unwrap_or(DAY);
                let is_gone = |gone: UnixTime| now.0 >= gone.0.saturating_add(hold);
                let withdrawn =
                    other.state == KeyState::Revoked && other.notes.gone.is_some_and(is_gone);
                if !is_own && !withdrawn && same() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Where the private half of a key is published: a selector may come round again with another key.
    fn reveal_path(
        &self,
        selector: &Selector,
        key: &SigningKey,
    ) -> Result<Option<PathBuf>, Trouble> {
        let name = self.name(selector)?;
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        hasher.put(&key.public_bytes());
        let digest = hasher.finish();
        let print: String = digest.as_bytes()[..4]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        Ok(self
            .args
            .reveal
            .as_ref()
            .map(|dir| dir.join(format!("{name}.{print}.pem"))))
    }

    fn say_once(&mut self, say: impl FnOnce(), id: impl ToString) {
        if self.said.insert(id.to_string()) {
            say();
        }
    }

    fn name(&self, selector: &Selector) -> Result<KeyName, Trouble> {
        KeyName::new(selector, &self.args.domain).map_err(Trouble::usage)
    }

    /// What all servers say of a key.
    fn published(&mut self, selector: &Selector) -> Result<Published, Trouble> {
        let own = PublicKey::of(&self.store.key(&self.args.domain, selector)?);
        let bogus = self.is_bogus(selector)?;
        let survey = self.survey(selector)?;
        let agreement = survey.everywhere(|told| match told {
            Told::Txt { txt, .. } => is_served(txt, &own),
            _ => false,
        });
        Ok(Published {
            right: agreement.right,
            wrong: agreement.wrong,
            unknown: agreement.unknown,
            offered: survey.texts().any(|txt| offers(txt, &own)),
            foreign: has_other_key(survey, &own),
            bogus,
        })
    }

    /// Whether DNSSEC does not hold for this key, or cannot be judged, and can be for one that signs: as where
    /// a record was added to a zone that was not signed anew. Where it holds for none, the new key is no worse
    /// than the old one.
    fn is_bogus(&mut self, selector: &Selector) -> Result<bool, Trouble> {
        let is_sound = |dnssec| matches!(dnssec, Dnssec::Secure | Dnssec::Insecure);
        if is_sound(self.survey(selector)?.dnssec) {
            return Ok(false);
        }
        let entries = self.store.entries(&self.args.domain)?;
        for active in entries
            .iter()
            .filter(|entry| entry.state == KeyState::Active)
        {
            if is_sound(self.survey(&active.selector)?.dnssec) {
                return Ok(true);
            }
        }
        Ok(false)
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

/// One process at a time rotates the keys of a domain, or changes their states by hand.
pub(super) fn lock_rotation(store: &KeyStore, domain: &Domain) -> Result<File, Trouble> {
    store.lock_rotation(domain)?.ok_or_else(|| {
        let message = format!("another process is rotating the keys of {domain}");
        Trouble::new(Exit::TempFail, message).hint("try again when it is done")
    })
}

const DAY: u64 = 86_400;
/// Clocks differ a little.
const TOLERANCE: u64 = 300;

/// Whether a record gives the key to anybody who looks for it hard enough.
fn offers(txt: &[u8], own: &PublicKey) -> bool {
    is_of_key(txt, own) && !lint(txt, None).faults.contains(&RecordFault::Revoked)
}

/// Whether the record of another key stands at the name, and no wildcard says it of every name.
fn has_other_key(survey: &Survey, own: &PublicKey) -> bool {
    let other =
        |txt: &[u8]| lint(txt, None).faults != [RecordFault::NotKeyRecord] && !is_of_key(txt, own);
    survey
        .texts()
        .any(|txt| other(txt) && !survey.is_wildcard(txt))
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
