//! `milter --check`: whether configuration, keys, permissions and published records can be used.

use std::net::Ipv6Addr;
use std::path::Path;

use dkimkit::authres::AuthservId;
use dkimkit::dns::Answer;
use dkimkit::dns::system::Resolver;
use dkimkit::key::{SigningKey, VerifyingKey};
use dkimkit::milter::config::{Address, Config};
use dkimkit::milter::filter::rule_identities;
use dkimkit::milter::keyring::Keyring;
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::record::KeyRecord;
use dkimkit::report::spaced_json;
use serde_json::json;

use super::identity::{Identity, group_id};
use super::{host_name, logs, read_config};
use crate::cli::asking::{block_on, no_resolver};
use crate::cli::speech::{Trouble, escape};
use crate::cli::{Exit, output};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Good,
    Warning,
    /// DNS gave no answer.
    Unknown,
    Error,
}

impl Weight {
    fn as_str(self) -> &'static str {
        match self {
            Weight::Good => "ok",
            Weight::Warning => "warning",
            Weight::Unknown => "unknown",
            Weight::Error => "error",
        }
    }
}

struct Finding {
    weight: Weight,
    /// What it is about: a key of the configuration, or the name of a DKIM key.
    about: String,
    text: String,
}

pub(super) fn run(
    path: &Path,
    as_user: Option<&str>,
    offline: bool,
    as_json: bool,
) -> Result<Exit, Trouble> {
    let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut config = read_config(path)?;
    if let Some(user) = as_user {
        config.user = Some(user.to_owned());
    }
    let mut findings = Vec::new();
    let mut find = |weight, about: &str, text: String| {
        findings.push(Finding {
            weight,
            about: about.to_owned(),
            text,
        });
    };
    find(
        Weight::Good,
        "configuration",
        format!("{} can be read", path.display()),
    );
    let identity = match Identity::of(&config) {
        Ok(identity) => identity,
        Err(trouble) => {
            let text = trouble.to_string();
            let text = text.strip_prefix("user: ").unwrap_or(&text);
            find(Weight::Error, "user", text.to_owned());
            None
        }
    };
    check_sockets(&config, &mut find);
    check_trust(&config, &mut find);
    if let Err(trouble) = logs::Log::open(&config) {
        let text = trouble.to_string();
        let text = text.strip_prefix("log_to: ").unwrap_or(&text);
        find(Weight::Error, "log_to", text.to_owned());
    }
    let mut keyring = Keyring::load(&config, &Keyring::default());
    let before = keyring.troubles().len();
    for trouble in keyring.troubles() {
        find(Weight::Error, "keys", trouble.clone());
    }
    for warning in keyring.warnings() {
        find(Weight::Warning, "keys", warning.clone());
    }
    match &identity {
        Some(identity) => {
            let paths = keyring.paths().into_iter().chain([path.as_path()]);
            for text in paths.filter_map(|path| identity.cannot_read(path)) {
                find(
                    Weight::Error,
                    "user",
                    format!("{text}; a reload could not read it"),
                );
            }
            // The proof: from here on it is that user that looks.
            match identity.become_it() {
                Ok(()) => {
                    let again = Keyring::load(&config, &keyring);
                    for trouble in again.troubles().iter().skip(before) {
                        find(
                            Weight::Error,
                            "user",
                            format!("{trouble}; a reload would fail"),
                        );
                    }
                    if let Err(error) = std::fs::File::open(path) {
                        let text = format!("a reload could not read {}: {error}", path.display());
                        find(Weight::Error, "user", text);
                    }
                    keyring = again;
                }
                Err(trouble) => find(Weight::Unknown, "user", trouble.to_string()),
            }
        }
        None if config.user.is_none() && nix::unistd::Uid::effective().is_root() => {
            let text =
                "it is checked as root, who may read everything; --as USER checks for another user";
            find(Weight::Warning, "user", text.to_owned());
        }
        None => {}
    }
    let keys = signing_keys(&config, &keyring, &mut find);
    if config.sign {
        match keys.len() {
            0 => {
                let text = format!(
                    "no key signs; make one: dkimkit generate --keys {} -d DOMAIN",
                    config.keys.display()
                );
                find(Weight::Error, "keys", text);
            }
            number => find(Weight::Good, "keys", format!("{number} sign")),
        }
    }
    if config.verify && config.verifying.authserv_id.is_none() {
        let host = host_name();
        if AuthservId::new(&host).is_none() {
            let text = format!("the name of this host, {host:?}, cannot stand in its place");
            find(Weight::Error, "verifying.authserv_id", text);
        }
        let text = format!(
            "it is not given: results are told by the name of the MTA (its macro j), or else of this host, {host}"
        );
        find(Weight::Good, "verifying.authserv_id", text);
    }
    if !offline && !keys.is_empty() {
        for (name, weight, text) in published(&config, &keys)? {
            find(weight, name.as_str(), text);
        }
    }
    let worst = findings
        .iter()
        .map(|f| f.weight)
        .max()
        .unwrap_or(Weight::Good);
    show(&findings, as_json)?;
    Ok(match worst {
        Weight::Good | Weight::Warning => Exit::Done,
        Weight::Unknown => Exit::TempFail,
        Weight::Error => Exit::No,
    })
}

fn show(findings: &[Finding], as_json: bool) -> Result<(), Trouble> {
    let mut text = String::new();
    for finding in findings {
        if as_json {
            let line = json!({
                "severity": finding.weight.as_str(),
                "about": finding.about,
                "text": finding.text,
            });
            text.push_str(&format!("{}\n", spaced_json(&line)));
        } else {
            let (weight, about) = (finding.weight.as_str(), escape(&finding.about));
            text.push_str(&format!("{weight:8} {about}: {}\n", escape(&finding.text)));
        }
    }
    output::print(&text)
}

type Find<'a> = dyn FnMut(Weight, &str, String) + 'a;

fn check_sockets(config: &Config, find: &mut Find<'_>) {
    if let Some(group) = &config.socket_group
        && let Err(trouble) = group_id(group)
    {
        find(Weight::Error, "socket_group", trouble.to_string());
    }
    for address in &config.listen {
        match address {
            Address::Unix(path) => {
                let dir = path.parent().unwrap_or(Path::new("/"));
                if !dir.is_dir() {
                    let text = format!("there is no directory {}", dir.display());
                    let (weight, more) = match dir.starts_with("/run") {
                        // It lives no longer than the machine is up.
                        true => (Weight::Warning, "; the unit makes it when it starts"),
                        false => (Weight::Error, ""),
                    };
                    find(weight, "listen", format!("{text}{more}"));
                }
                if config.socket_mode & 0o070 == 0 && config.socket_mode & 0o007 == 0 {
                    let text = "nobody but the owner of the socket can connect".to_owned();
                    find(Weight::Warning, "socket_mode", text);
                }
                if config.socket_mode & 0o002 != 0 {
                    let text =
                        "every user of this machine can connect, and have mail signed".to_owned();
                    find(Weight::Warning, "socket_mode", text);
                }
            }
            Address::Inet { host, .. } if !is_local(host) => {
                let text = format!(
                    "whoever reaches {address} can have mail signed: keep others out with a firewall"
                );
                find(Weight::Warning, "listen", text);
            }
            Address::Inet { .. } | Address::Systemd => {}
        }
    }
}

fn is_local(host: &str) -> bool {
    let ip: Option<std::net::IpAddr> = host.parse().ok();
    host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
}

/// What makes more mail ours than anybody would want.
fn check_trust(config: &Config, find: &mut Find<'_>) {
    let lists = [
        ("signing.trusted_networks", &config.signing.trusted_networks),
        ("peers", &config.peers),
    ];
    for (key, hosts) in lists {
        // Nobody has so many friends: of addresses from everywhere, more than a tenth.
        let mut everywhere = (1..=223u8).flat_map(|a| [[a, 7, 13, 21], [a, 200, 77, 3]]);
        let all = everywhere.clone().count();
        let v4 = everywhere
            .by_ref()
            .filter(|ip| hosts.admits((*ip).into(), ""));
        let v6 = (0x2000..0x4000u16).step_by(64);
        let v6 = v6.filter(|a| hosts.admits(Ipv6Addr::new(*a, 7, 13, 0, 0, 0, 0, 1).into(), ""));
        if v4.count() * 10 > all || v6.count() * 10 > 128 {
            let text = match key {
                "peers" => {
                    "strangers are left alone: what they send is neither signed nor verified"
                }
                _ => "strangers are trusted: whoever sends mail here in your name gets it signed",
            };
            find(Weight::Error, key, text.to_owned());
        }
    }
    for (name, values) in &config.signing.macros {
        if values.is_empty() {
            let text =
                format!("any value of {name} makes a message ours: is it there for strangers too?");
            find(Weight::Warning, "signing.macros", text);
        }
    }
    if config.sign && config.signing.authenticated && config.sender_login.is_none() {
        let text = "it is not there: every login may use every From address that has a key";
        find(Weight::Warning, "sender_login", text.to_owned());
    }
}

/// The keys that sign, with the names of their records. A rule that has none is found.
fn signing_keys(
    config: &Config,
    keyring: &Keyring,
    find: &mut Find<'_>,
) -> Vec<(KeyName, Vec<u8>)> {
    let mut keys: Vec<(KeyName, Vec<u8>)> = Vec::new();
    let mut add = |domain: &Domain, selector: &Selector, key: &SigningKey| {
        if let Ok(name) = KeyName::new(selector, domain)
            && !keys.iter().any(|(known, _)| *known == name)
        {
            keys.push((name, key.public_bytes()));
        }
    };
    let rules = config.signing.rules.all();
    // A rule without a domain may use every key of the store.
    let any = rules.is_empty() || rules.iter().any(|r| r.domain.is_none() && r.key.is_none());
    for (domain, stored) in keyring.active().into_iter().filter(|_| any) {
        if let (Some(Ok(key)), Ok(domain)) = (&stored.key, Domain::new(domain)) {
            add(&domain, &stored.selector, key);
        }
    }
    for (at, rule) in rules.iter().enumerate() {
        if let (Some(path), Some(selector)) = (&rule.key, &rule.selector) {
            for (domain, key) in keyring.rule_files(path) {
                if let Some(domain) = domain.or(rule.domain.as_ref()) {
                    add(domain, selector, key);
                }
            }
        }
        let Some(domain) = &rule.domain else { continue };
        match rule_identities(keyring, rule, domain) {
            Ok(identities) => {
                for identity in identities {
                    add(&identity.domain, &identity.selector, &identity.key);
                }
            }
            Err(trouble) => find(Weight::Error, &format!("signing.rule {}", at + 1), trouble),
        }
    }
    keys
}

/// What DNS says of each key.
fn published(
    config: &Config,
    keys: &[(KeyName, Vec<u8>)],
) -> Result<Vec<(KeyName, Weight, String)>, Trouble> {
    let verifying = &config.verifying;
    let resolver = match verifying.nameservers.as_slice() {
        [] => Resolver::system(verifying.dns_timeout),
        servers => Resolver::with_nameservers(servers.to_vec(), verifying.dns_timeout),
    };
    let resolver = resolver.map_err(no_resolver)?;
    let mut told = Vec::new();
    // A few at a time, so that each has the whole timeout.
    for keys in keys.chunks(32) {
        let names: Vec<KeyName> = keys.iter().map(|(name, _)| name.clone()).collect();
        for (name, answer) in block_on(resolver.lookup_all(&names))? {
            let public = keys.iter().find(|(known, _)| *known == name);
            let public = public
                .map(|(_, public)| public.as_slice())
                .unwrap_or_default();
            let (weight, text) = judged(&answer, public, config);
            told.push((name, weight, text));
        }
    }
    Ok(told)
}

fn judged(answer: &Answer, public: &[u8], config: &Config) -> (Weight, String) {
    let more = "`dkimkit check` tells more";
    let txt = match answer {
        Answer::Records { txt, .. } => txt,
        Answer::NoName | Answer::NoData => {
            let text = format!("it signs, but its record is not published; {more}");
            return (Weight::Error, text);
        }
        Answer::Temporary(cause) => return (Weight::Unknown, cause.to_string()),
    };
    let sizes = config.verifying.policy.rsa_sizes();
    let same = txt.iter().any(|text| {
        let Ok(record) = KeyRecord::parse(text, 100) else {
            return false;
        };
        let key = record
            .public
            .map(|p| VerifyingKey::parse(record.key_type, &p, sizes));
        matches!(key, Some(Ok(key)) if key.public_bytes() == public)
    });
    match same {
        true => (
            Weight::Good,
            "it signs, and its record is published".to_owned(),
        ),
        false => {
            let text = format!("it signs, but what is published is not its record; {more}");
            (Weight::Error, text)
        }
    }
}
