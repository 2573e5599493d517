//! Records pushed to a name server by dynamic update (RFC 2136), and `dkimkit publish`, which does just that.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dkimkit::dns::client::{
    Change, Code, Data, Question, Transport, TsigKey, UpdateError, ask, find_zone, update,
};
use dkimkit::dns::lookup::RecordType;
use dkimkit::dns::survey::NO_SELECTOR;
use dkimkit::keystore::{Entry, KeyState, unsafe_mode};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::publish::{DEFAULT_TTL, revoked};
use dkimkit::record::lint::{PublicKey, RecordFault, is_of_key, lint};

use zeroize::Zeroizing;

use super::args::{StoreArgs, domain, duration, nameserver, selector};
use super::asking::block_on;
use super::record::ttl;
use super::speech::{self, Trouble};
use super::{Exit, output};

/// Where records are pushed to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PushArgs {
    /// Push records to this primary name server by dynamic update (RFC 2136)
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = nameserver)]
    pub(super) server: Option<SocketAddr>,
    /// The key that the update is signed with, as tsig-keygen writes it, or a line ALGORITHM:NAME:SECRET
    #[arg(long, value_name = "FILE", requires = "server")]
    tsig_key: Option<PathBuf>,
}

/// A name server that takes updates.
pub(super) struct Push {
    server: SocketAddr,
    key: Option<TsigKey>,
    ttl: u32,
    patience: Duration,
}

impl PushArgs {
    /// The server, where one is named; `ttl` is that of the records, `patience` is for each answer.
    pub(super) fn push(
        &self,
        ttl: Option<u32>,
        patience: Duration,
    ) -> Result<Option<Push>, Trouble> {
        let Some(server) = self.server else {
            return Ok(None);
        };
        let read = |path: &PathBuf| {
            let name = path.display().to_string();
            if let Some(mode) = unsafe_mode(path) {
                speech::warning(format!(
                    "{name} has mode {mode:04o}: others can read or replace the key"
                ));
                speech::hint(format!("chmod 600 {name}"));
            }
            let text = fs::read_to_string(path).map_err(|error| Trouble::open(&name, &error))?;
            let text = Zeroizing::new(text);
            TsigKey::parse(&text).map_err(|error| {
                Trouble::usage(format!("{name}: {error}"))
                    .hint("`tsig-keygen NAME` makes a key; the name server's configuration names it in update-policy")
            })
        };
        Ok(Some(Push {
            server,
            key: self.tsig_key.as_ref().map(read).transpose()?,
            ttl: ttl.unwrap_or(DEFAULT_TTL),
            patience,
        }))
    }
}

impl Push {
    /// Puts a record at a name, in place of the records of the same key or of a revoked one; or takes those
    /// away. Where the name is a CNAME, that happens at the name for which it stands, which is returned.
    ///
    /// What is not ours stays, and nothing is done, unless `force` is set.
    pub(super) fn send(
        &self,
        name: &str,
        record: Option<&str>,
        own: &PublicKey,
        force: bool,
    ) -> Result<String, Trouble> {
        let (name, seen) = self.asking(self.look(name))?;
        let joined: Vec<Vec<u8>> = seen.iter().map(|strings| strings.concat()).collect();
        let want: Vec<Vec<u8>> = record
            .iter()
            .map(|record| record.as_bytes().to_vec())
            .collect();
        if joined == want {
            return Ok(name);
        }
        if let Some(stranger) = joined.iter().find(|txt| !force && !is_of_key(txt, own)) {
            return Err(not_ours(&name, stranger));
        }
        let change = Change {
            name: name.clone(),
            seen,
            text: record.map(|record| record.as_bytes().to_vec()),
            ttl: self.ttl,
        };
        let found = self.asking(async {
            let zone = find_zone(self.server, &name, self.patience).await?;
            let key = self.key.as_ref();
            update(self.server, &zone, Some(&change), key, now(), self.patience).await?;
            Ok(self.look(&name).await?.1)
        })?;
        // RFC 2136 §3.4.2.2: a server passes over what it cannot add without a word.
        if !found.iter().map(|strings| strings.concat()).eq(want) {
            let server = self.server;
            let message = format!("{server} accepted the update of {name}, but does not serve it");
            return Err(Trouble::new(Exit::TempFail, message).hint(
                "see what stands at the name, with `dkimkit check` or `dig`; the server's log may say why",
            ));
        }
        Ok(name)
    }

    /// Asks whether the server takes updates of the zone of `name`, without changing anything.
    pub(super) fn try_out(&self, name: &str) -> Result<(), Trouble> {
        self.asking(async {
            let (name, _) = self.look(name).await?;
            let zone = find_zone(self.server, &name, self.patience).await?;
            update(
                self.server,
                &zone,
                None,
                self.key.as_ref(),
                now(),
                self.patience,
            )
            .await
        })
    }

    fn asking<T>(&self, work: impl Future<Output = Result<T, UpdateError>>) -> Result<T, Trouble> {
        block_on(work)?.map_err(|error| self.trouble(&error))
    }

    /// The name for which a name stands, as far as the server knows, and the TXT records there.
    async fn look(&self, name: &str) -> Result<(String, Vec<Vec<Vec<u8>>>), UpdateError> {
        let mut name = name.to_owned();
        for _ in 0..MAX_CNAMES {
            let question = Question {
                name: name.clone(),
                kind: RecordType::Txt,
                recursion: false,
                unchecked: false,
            };
            let reply = ask(self.server, &question, Transport::Tcp, self.patience).await?;
            let own = || reply.answers.iter().filter(|rr| rr.name == name);
            let target = own().find_map(|rr| match &rr.data {
                Data::Cname(target) => Some(target.clone()),
                _ => None,
            });
            let txt = own().filter_map(|rr| match &rr.data {
                Data::Txt(strings) => Some(strings.clone()),
                _ => None,
            });
            let seen: Vec<Vec<Vec<u8>>> = txt.collect();
            if (target.is_some() || !seen.is_empty())
                && self.is_wildcard(&name, target.as_deref(), &seen).await?
            {
                return Ok((name, Vec::new()));
            }
            match target {
                Some(target) => name = target,
                None => return Ok((name, seen)),
            }
        }
        Err(UpdateError::NoZone { name })
    }

    /// Whether a name beside this one, which nobody would choose, has the same CNAME or records.
    async fn is_wildcard(
        &self,
        name: &str,
        target: Option<&str>,
        seen: &[Vec<Vec<u8>>],
    ) -> Result<bool, UpdateError> {
        let parent = name.split_once('.').map_or("", |(_, rest)| rest);
        let question = Question {
            name: format!("{NO_SELECTOR}.{parent}"),
            kind: RecordType::Txt,
            recursion: false,
            unchecked: false,
        };
        let reply = ask(self.server, &question, Transport::Tcp, self.patience).await?;
        let own = || reply.answers.iter().filter(|rr| rr.name == question.name);
        let same_target =
            own().any(|rr| matches!(&rr.data, Data::Cname(t) if Some(t.as_str()) == target));
        let txt = own().filter_map(|rr| match &rr.data {
            Data::Txt(strings) => Some(strings),
            _ => None,
        });
        Ok(same_target || !seen.is_empty() && txt.eq(seen))
    }

    fn trouble(&self, error: &UpdateError) -> Trouble {
        let server = self.server;
        let message = format!("{server}: {error}");
        match error {
            UpdateError::Failed(_) => Trouble::new(Exit::TempFail, message)
                .hint("nothing is known to have changed; the same command may be given again"),
            UpdateError::Refused {
                code: Code::ServerFailure,
                ..
            } => Trouble::new(Exit::TempFail, message).hint("the name server's log says why"),
            UpdateError::Changed { .. } => {
                Trouble::new(Exit::TempFail, message).hint("nothing was changed; try again")
            }
            UpdateError::Refused { .. } if self.key.is_none() => {
                Trouble::usage(message).hint("--tsig-key FILE signs the update")
            }
            UpdateError::Refused { .. } => Trouble::usage(message).hint(
                "the name server's log says why: the name and the secret of the key, its clock, update-policy or allow-update of the zone",
            ),
            UpdateError::Unsigned => Trouble::new(Exit::TempFail, message)
                .hint("somebody else may have answered; see what is published with `dkimkit check`"),
            UpdateError::NoZone { .. } => Trouble::usage(message)
                .hint("--server names the primary of the zone, not a resolver"),
        }
    }
}

const MAX_CNAMES: usize = 8;

fn not_ours(name: &str, txt: &[u8]) -> Trouble {
    let name = name.trim_end_matches('.');
    let start = txt[..txt.len().min(40)].escape_ascii();
    let what = match lint(txt, None).faults.as_slice() {
        [RecordFault::NotKeyRecord] => "a TXT record that is no key record",
        _ => "the record of another key",
    };
    Trouble::usage(format!(
        "at {name} stands {what}, which would be lost: \"{start}…\""
    ))
    .hint("find out whose it is; take it away, or choose another selector")
    .hint("`dkimkit publish --force` puts the record in its place all the same")
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Push the records of keys to a name server by dynamic update
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without a selector, the records of all keys of the domain are pushed; for revoked ones, that they are.
What TXT records stand at the name give way, in one transaction.

Examples:
  dkimkit publish example.com mail --server 192.0.2.53 --tsig-key update.key
  dkimkit publish example.com old --remove --server 192.0.2.53 --tsig-key update.key
  dkimkit publish example.com --dry-run --server 192.0.2.53"
)]
pub(super) struct Args {
    /// The signing domain (d=)
    #[arg(value_parser = domain)]
    domain: Domain,
    /// The selectors (s=)
    #[arg(value_parser = selector, value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    #[command(flatten)]
    push: PushArgs,
    /// The TTL of the records: seconds, or 1h; 3600 if left out
    #[arg(long, value_name = "TIME", value_parser = ttl)]
    ttl: Option<u32>,
    /// Publish that the keys are revoked (p= empty)
    #[arg(long, requires = "selectors", conflicts_with = "remove")]
    revoked: bool,
    /// Take the records away
    #[arg(long, requires = "selectors")]
    remove: bool,
    /// Put the record in the place of whatever TXT records stand there
    #[arg(long)]
    force: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for each answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let push = args.push.push(args.ttl, args.timeout)?;
    let push = push.ok_or_else(|| {
        Trouble::usage("no name server is named")
            .hint("--server ADDR names the primary of the zone")
            .hint("`dkimkit record` prints the record for a server that takes no updates, in many forms")
    })?;
    let store = args.store.store();
    let entries = store.entries(&args.domain)?;
    let selectors: Vec<Selector> = match args.selectors.as_slice() {
        [] => {
            let in_use =
                |entry: &&Entry| matches!(entry.state, KeyState::Pending | KeyState::Active);
            let entries = entries.iter().filter(in_use);
            entries.map(|entry| entry.selector.clone()).collect()
        }
        named => named.to_vec(),
    };
    if selectors.is_empty() {
        return Err(dkimkit::keystore::StoreError::NoKeys {
            domain: args.domain.clone(),
        }
        .into());
    }
    for selector in &selectors {
        let name = KeyName::new(selector, &args.domain).map_err(Trouble::usage)?;
        let record = store.record(&args.domain, selector)?;
        let entry = entries.iter().find(|entry| entry.selector == *selector);
        let withdrawn = entry.is_some_and(|entry| entry.state == KeyState::Revoked);
        let signs = entry.is_some_and(|entry| entry.state == KeyState::Active);
        if signs && (args.revoked || args.remove) && !args.force {
            let domain = &args.domain;
            return Err(Trouble::usage(format!(
                "{selector} of {domain} is active: mail is signed with it"
            ))
            .hint(format!(
                "dkimkit keys revoke {domain} {selector} lets it sign no more"
            ))
            .hint(format!(
                "dkimkit rotate {domain} puts another key in its place first"
            )));
        }
        let record = match args {
            Args { remove: true, .. } => None,
            _ if args.revoked || withdrawn => Some(revoked(&record)),
            _ => Some(record),
        };
        let mut at = name.as_str().to_owned();
        if !args.dry_run {
            let own = PublicKey::of(&store.key(&args.domain, selector)?);
            at = push.send(name.as_str(), record.as_deref(), &own, args.force)?;
        }
        let at = at.trim_end_matches('.');
        output::print(&match &record {
            Some(record) => format!("{at} {record}\n"),
            None => format!("{at} removed\n"),
        })?;
    }
    if args.dry_run {
        speech::note("nothing was sent: this was a dry run");
    } else {
        let domain = &args.domain;
        speech::hint(format!(
            "dkimkit check {domain} --wait 30m sees when all servers have it"
        ));
    }
    Ok(Exit::Done)
}
