//! Where the keys of a verification come from: DNS, or files that are given.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use dkimkit::dns::lookup::{Ask, Known, Pending};
use dkimkit::dns::system::Resolver;
use dkimkit::dns::{Answer, LookupTxt as _, Zone};
use dkimkit::keystore::KeyStore;
use dkimkit::name::KeyName;
use dkimkit::policy::{Level, Policy};
use dkimkit::verify::{KeyCache, PublishedKeys};

use super::args::{duration, nameserver};
use super::asking::{block_on, no_resolver};
use super::speech::{self, Trouble};

/// Where published keys are looked for, and what of them is taken.
#[derive(Debug, Clone, Args)]
pub(super) struct PublishedArgs {
    #[command(flatten)]
    lookup: LookupArgs,
    /// Take the keys from this key store, and do not ask DNS
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

/// The same for verbs whose own keys stand in a store.
#[derive(Debug, Clone, Args)]
pub(super) struct LookupArgs {
    /// What is refused: see the table of policies in the README
    // The default is that of the subcommand.
    #[arg(long, value_enum, value_name = "POLICY")]
    policy: Option<PolicyName>,
    /// Take the keys from this zone file or JSON, and do not ask DNS. May be repeated
    #[arg(long, value_name = "FILE")]
    records: Vec<PathBuf>,
    /// Ask this name server instead of the system's
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = nameserver)]
    nameserver: Option<SocketAddr>,
    /// How long all the lookups of a message may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    timeout: Duration,
}

impl PublishedArgs {
    /// The files and directories that keys are read from.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.lookup.records.iter().chain(&self.keys)
    }
}

/// The policies by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyName {
    /// What the RFCs refuse, and what an attacker profits from
    Strict,
    /// What RFC 6376, 8301, 8463 and 8617 refuse
    Rfc,
    /// rfc, with rsa-sha1 and RSA keys from 512 bits let through
    Legacy,
}

/// The resolver waits no longer either.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// So many keys are kept.
const MAX_KEYS: usize = 2_000;

/// The keys that are published, for all messages of a run.
pub(super) struct Published {
    pub(super) policy: Arc<Policy>,
    /// The same for chains of ARC beside signatures: without a word for it, what RFC 8617 finds of them. The two read keys
    /// alike.
    pub(super) chains: Arc<Policy>,
    source: Keys,
    cache: KeyCache,
}

/// Where keys come from.
enum Keys {
    Offline(Zone),
    Online(Online),
}

/// DNS.
struct Online {
    nameserver: Option<SocketAddr>,
    timeout: Duration,
    /// Made when there is something to ask for: a message without a signature asks nobody.
    resolver: Mutex<Option<Resolver>>,
}

impl Online {
    fn resolver(&self) -> Result<Resolver, Trouble> {
        let mut slot = self.resolver.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resolver) = &*slot {
            return Ok(resolver.clone());
        }
        let made = match self.nameserver {
            Some(server) => Resolver::with_nameserver(server, self.timeout),
            None => Resolver::system(self.timeout),
        };
        let made =
            made.map_err(|e| no_resolver(e).hint("--records FILE takes the records from a file"))?;
        Ok(slot.insert(made).clone())
    }
}

impl Published {
    pub(super) fn new(args: &PublishedArgs) -> Result<Published, Trouble> {
        Published::of(&args.lookup, args.keys.as_deref())
    }

    /// `store` is a key store to take the keys from.
    pub(super) fn of(args: &LookupArgs, store: Option<&Path>) -> Result<Published, Trouble> {
        let named = |level| match args.policy {
            None => level,
            Some(PolicyName::Strict) => Level::Strict,
            Some(PolicyName::Rfc) => Level::Rfc,
            Some(PolicyName::Legacy) => Level::Legacy,
        };
        let offline = !args.records.is_empty() || store.is_some();
        let source = if offline {
            if args.nameserver.is_some() {
                return Err(Trouble::usage(
                    "--nameserver asks DNS, but --records and --keys keep DNS out",
                )
                .hint("leave one of them out"));
            }
            speech::note("offline: keys come from the files given, DNS is not asked");
            Keys::Offline(read_zone(args, store)?)
        } else {
            Keys::Online(Online {
                nameserver: args.nameserver,
                timeout: args.timeout,
                resolver: Mutex::new(None),
            })
        };
        Ok(Published {
            policy: Arc::new(Policy::new(named(Level::Strict))),
            chains: Arc::new(Policy::new(named(Level::Rfc))),
            source,
            cache: KeyCache::new(MAX_KEYS),
        })
    }

    /// When the lookups of a message that begins now must be done.
    pub(super) fn deadline(&self) -> Instant {
        let timeout = match &self.source {
            Keys::Offline(_) => Duration::ZERO,
            Keys::Online(online) => online.timeout.min(MAX_TIMEOUT),
        };
        Instant::now() + timeout
    }

    /// The keys at these names: those that are kept, and the others looked up.
    pub(super) fn keys(
        &self,
        names: &[KeyName],
    ) -> Result<Vec<(KeyName, Arc<PublishedKeys>)>, Trouble> {
        self.found(names, |missing| match &self.source {
            Keys::Offline(zone) => Ok(in_zone(zone, missing)),
            Keys::Online(online) => Ok(online.resolver()?.lookup_all_blocking(missing)),
        })
    }

    /// The same for one who has more to look up before `deadline`: what `foresee` asks for is looked up beside the
    /// keys, since who wrote the message chose how slowly these come. It is handed the names at which a key may stand: those first
    /// where one does, then those without an answer yet, then those whose lookup failed. So whoever has no key takes no place.
    pub(super) fn keys_beside(
        &self,
        names: &[KeyName],
        deadline: Instant,
        known: &mut Known,
        foresee: impl Fn(&dyn Ask, &[KeyName]) -> Result<(), Pending>,
    ) -> Result<Vec<(KeyName, Arc<PublishedKeys>)>, Trouble> {
        self.found(names, |missing| match &self.source {
            Keys::Offline(zone) => Ok(in_zone(zone, missing)),
            Keys::Online(online) => {
                let resolver = online.resolver()?.until(deadline);
                let kept = names.iter().filter(|name| !missing.contains(name));
                let kept = kept.filter_map(|name| Some((name.clone(), self.cache.get(name)?)));
                let standing = kept.map(|(name, keys)| (name, Standing::of(&keys)));
                let standing = RefCell::new(standing.collect::<HashMap<_, _>>());
                let foresee = |known: &Known, answers: &[(KeyName, Option<Answer>)]| {
                    let mut standing = standing.borrow_mut();
                    for (name, answer) in answers {
                        let Some(answer) = answer else { continue };
                        if !standing.contains_key(name) {
                            let one = match answer {
                                Answer::Temporary(_) => Standing::Failed,
                                _ => {
                                    Standing::of(&PublishedKeys::read(answer.clone(), &self.policy))
                                }
                            };
                            standing.insert(name.clone(), one);
                        }
                    }
                    foresee(known, &in_order(names, &standing))
                };
                block_on(resolver.lookup_all_beside(missing, known, foresee))
            }
        })
    }

    /// The keys that are kept, and those that `fetch` gets.
    fn found(
        &self,
        names: &[KeyName],
        fetch: impl FnOnce(&[KeyName]) -> Result<Vec<(KeyName, Answer)>, Trouble>,
    ) -> Result<Vec<(KeyName, Arc<PublishedKeys>)>, Trouble> {
        let mut keys = Vec::new();
        let mut missing = Vec::new();
        for name in names {
            match self.cache.get(name) {
                Some(known) => keys.push((name.clone(), known)),
                None => missing.push(name.clone()),
            }
        }
        if missing.is_empty() {
            return Ok(keys);
        }
        for (name, answer) in fetch(&missing)? {
            let keep = match (&answer, &self.source) {
                // A file does not change while it is read.
                (_, Keys::Offline(_)) => Duration::MAX,
                (Answer::Records { ttl, .. }, Keys::Online(_)) => *ttl,
                _ => Duration::ZERO,
            };
            let read = self.cache.put(&name, answer, &self.policy, keep);
            keys.push((name, read));
        }
        Ok(keys)
    }

    /// What `judge` comes to with the answers to its questions.
    pub(super) fn settle<T>(
        &self,
        known: &mut Known,
        deadline: Instant,
        judge: impl Fn(&dyn Ask) -> Result<T, Pending>,
    ) -> Result<T, Trouble> {
        match &self.source {
            Keys::Offline(zone) => Ok(judge(zone).expect("a zone has all answers at once")),
            Keys::Online(online) => {
                // Who asks for nothing needs no name server.
                if let Ok(judged) = judge(known) {
                    return Ok(judged);
                }
                let resolver = online.resolver()?.until(deadline);
                block_on(resolver.settle(known, |known| judge(known)))
            }
        }
    }
}

/// What is known of a name of a key while others are awaited, in the order in which they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Key,
    Awaited,
    Failed,
    Nothing,
}

impl Standing {
    fn of(keys: &PublishedKeys) -> Standing {
        match keys.has_key() {
            true => Standing::Key,
            false => Standing::Nothing,
        }
    }
}

/// The names at which a key may stand, those first that count most.
fn in_order(names: &[KeyName], standing: &HashMap<KeyName, Standing>) -> Vec<KeyName> {
    let of = |name: &KeyName| standing.get(name).copied().unwrap_or(Standing::Awaited);
    let mut names = names.to_vec();
    names.retain(|name| of(name) != Standing::Nothing);
    names.sort_by_key(of);
    names
}

fn in_zone(zone: &Zone, names: &[KeyName]) -> Vec<(KeyName, Answer)> {
    let ask = |name: &KeyName| (name.clone(), zone.lookup_txt(name));
    names.iter().map(ask).collect()
}

fn read_zone(args: &LookupArgs, store: Option<&Path>) -> Result<Zone, Trouble> {
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
    if let Some(dir) = store {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_key_makes_room_and_one_with_a_key_comes_first() {
        let name = |text: &str| {
            let (selector, domain) = text.split_once('.').unwrap();
            let selector = dkimkit::name::Selector::new(selector).unwrap();
            KeyName::new(&selector, &dkimkit::name::Domain::new(domain).unwrap()).unwrap()
        };
        let names = [
            "a.example",
            "b.example",
            "c.example",
            "d.example",
            "e.example",
        ]
        .map(name);
        let standing = [
            (names[0].clone(), Standing::Failed),
            (names[1].clone(), Standing::Nothing),
            (names[4].clone(), Standing::Key),
        ];
        let order = in_order(&names, &standing.into_iter().collect());
        assert_eq!(order, [4, 2, 3, 0].map(|at| names[at].clone()));
    }
}
