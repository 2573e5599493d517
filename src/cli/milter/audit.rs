//! `milter --check`: whether configuration, keys, permissions and published records can be used.

use std::path::Path;

use dkimkit::dns::Answer;
use dkimkit::dns::system::Resolver;
use dkimkit::key::{SigningKey, VerifyingKey};
use dkimkit::milter::config::{Address, Config};
use dkimkit::milter::keyring::Keyring;
use dkimkit::name::{Domain, KeyName};
use dkimkit::record::KeyRecord;
use dkimkit::report::spaced_json;
use serde_json::json;

use super::identity::{Identity, group_id};
use super::{host_name, read_config};
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

pub(super) fn run(path: &Path, offline: bool, as_json: bool) -> Result<Exit, Trouble> {
    let config = read_config(path)?;
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
            find(Weight::Error, "user", trouble.to_string());
            None
        }
    };
    check_sockets(&config, &mut find);
    check_trust(&config, &mut find);
    let keyring = Keyring::load(&config, &Keyring::default());
    for trouble in keyring.troubles() {
        find(Weight::Error, "keys", trouble.clone());
    }
    for warning in keyring.warnings() {
        find(Weight::Warning, "keys", warning.clone());
    }
    if let Some(identity) = &identity {
        let paths = keyring.paths().into_iter().chain([path]);
        for text in paths.filter_map(|path| identity.cannot_read(path)) {
            find(
                Weight::Error,
                "user",
                format!("{text}; a reload could not read it"),
            );
        }
    }
    let keys = signing_keys(&config, &keyring);
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
        let text =
            format!("it is not given, so that results are told by the name of this host, {host}");
        let weight = if host.contains('.') {
            Weight::Good
        } else {
            Weight::Warning
        };
        find(weight, "verifying.authserv_id", text);
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
                    find(Weight::Error, "listen", text);
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
    let key = "signing.trusted_networks";
    let everyone = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"];
    let trusted = &config.signing.trusted_networks;
    let all = everyone.iter().filter_map(|ip| ip.parse().ok());
    if all.clone().all(|ip| trusted.contains(ip, "")) || trusted.contains([192, 0, 2, 1].into(), "")
    {
        let text = "strangers are trusted: whoever sends mail here in your name gets it signed";
        find(Weight::Error, key, text.to_owned());
    }
    if config.sign && config.signing.authenticated && config.sender_login.is_none() {
        let text = "it is not there: every login may use every From address that has a key";
        find(Weight::Warning, "sender_login", text.to_owned());
    }
}

/// The keys that sign, with the names of their records.
fn signing_keys(config: &Config, keyring: &Keyring) -> Vec<(KeyName, Vec<u8>)> {
    let mut keys: Vec<(KeyName, Vec<u8>)> = Vec::new();
    let mut add = |name: Option<KeyName>, key: &SigningKey| {
        if let Some(name) = name
            && !keys.iter().any(|(known, _)| *known == name)
        {
            keys.push((name, key.public_bytes()));
        }
    };
    let rules = config.signing.rules.all();
    // Where there are rules, only what they name signs.
    let of_rules = |domain: &str| {
        rules.is_empty()
            || rules.iter().any(|rule| match &rule.domain {
                Some(named) => named.as_ascii() == domain,
                None => true,
            })
    };
    for (domain, stored) in keyring.active() {
        if let Some(Ok(key)) = &stored.key
            && of_rules(domain)
            && let Ok(domain) = Domain::new(domain)
        {
            add(KeyName::new(&stored.selector, &domain).ok(), key);
        }
    }
    for rule in rules {
        if let (Some(path), Some(domain), Some(selector)) =
            (&rule.key, &rule.domain, &rule.selector)
            && let Some(Ok(key)) = keyring.file(path.as_ref())
        {
            add(KeyName::new(selector, domain).ok(), key);
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
