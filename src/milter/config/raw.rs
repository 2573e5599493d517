//! The configuration as it is written, and the checks that make it usable.

mod signing;
mod verifying;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use self::signing::RawSigning;
use self::verifying::RawVerifying;
use super::rules::is_author;
use super::{Action, Address, Config, ConfigError, LogLevel, LogTo, SenderLogins};
use crate::milter::Limits;
use crate::milter::opendkim::HostSet;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    listen: OneOrMany,
    socket_mode: Option<String>,
    socket_group: Option<String>,
    user: Option<String>,
    group: Option<String>,
    mode: Option<OneOrMany>,
    keys: Option<String>,
    reload_every: Option<String>,
    log: Option<String>,
    log_to: Option<String>,
    syslog_facility: Option<String>,
    syslog_name: Option<String>,
    peers: Option<Vec<String>>,
    #[serde(default)]
    signing: RawSigning,
    sender_login: Option<BTreeMap<String, OneOrMany>>,
    #[serde(default)]
    verifying: RawVerifying,
    #[serde(default)]
    limits: RawLimits,
    metrics: Option<RawMetrics>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    connections: Option<usize>,
    packet: Option<String>,
    idle: Option<String>,
    slow: Option<String>,
    answer: Option<String>,
    shutdown: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetrics {
    listen: String,
}

type Checked<T> = Result<T, ConfigError>;

impl Raw {
    pub(super) fn checked(self, base: &Path) -> Checked<Config> {
        let listen = self.listen.into_vec();
        if listen.is_empty() {
            return Err(ConfigError::value("listen", "name one socket at least"));
        }
        let listen = listen.iter().map(|text| address("listen", text));
        let modes = self.mode.map_or_else(
            || vec!["sign".to_owned(), "verify".to_owned()],
            OneOrMany::into_vec,
        );
        if let Some(other) = modes
            .iter()
            .find(|m| !matches!(m.as_str(), "sign" | "verify"))
        {
            return Err(ConfigError::value(
                "mode",
                format!("{other:?} is neither \"sign\" nor \"verify\""),
            ));
        }
        if modes.is_empty() {
            return Err(ConfigError::value(
                "mode",
                "name \"sign\", \"verify\", or both",
            ));
        }
        Ok(Config {
            listen: listen.collect::<Checked<_>>()?,
            socket_mode: mode(self.socket_mode.as_deref())?,
            socket_group: self.socket_group,
            user: self.user,
            group: self.group,
            sign: modes.iter().any(|m| m == "sign"),
            verify: modes.iter().any(|m| m == "verify"),
            keys: base.join(self.keys.as_deref().unwrap_or("/etc/dkimkit/keys")),
            reload_every: Some(span("reload_every", self.reload_every.as_deref(), 2)?)
                .filter(|every| !every.is_zero()),
            log: match self.log.as_deref() {
                None | Some("line") => LogLevel::Line,
                Some("why") => LogLevel::Why,
                Some("trouble") => LogLevel::Trouble,
                Some(other) => {
                    return Err(one_of("log", other, "\"line\", \"why\" or \"trouble\""));
                }
            },
            log_to: match self.log_to.as_deref() {
                None | Some("auto") => LogTo::Auto,
                Some("stderr") => LogTo::Stderr,
                Some("journald") => LogTo::Journald,
                Some("syslog") => LogTo::Syslog,
                Some(other) => {
                    let words = "\"auto\", \"stderr\", \"journald\" or \"syslog\"";
                    return Err(one_of("log_to", other, words));
                }
            },
            syslog: (
                self.syslog_facility.unwrap_or_else(|| "mail".to_owned()),
                self.syslog_name.unwrap_or_else(|| "dkimkit".to_owned()),
            ),
            peers: hosts("peers", self.peers, &[])?,
            signing: self.signing.checked(base)?,
            sender_login: self.sender_login.map(senders).transpose()?,
            verifying: self.verifying.checked()?,
            limits: self.limits.checked()?,
            metrics: self
                .metrics
                .map(|metrics| match address("metrics.listen", &metrics.listen)? {
                    Address::Systemd => Err(ConfigError::value(
                        "metrics.listen",
                        "what systemd hands over is for MTAs: write inet:PORT@HOST or unix:/PATH",
                    )),
                    address => Ok(address),
                })
                .transpose()?,
        })
    }
}

fn one_of(key: &str, got: &str, words: &str) -> ConfigError {
    ConfigError::value(key, format!("{got:?} is none of {words}"))
}

fn address(key: &str, text: &str) -> Checked<Address> {
    Address::read(text).ok_or_else(|| {
        let want = "inet:PORT@HOST, unix:/PATH or systemd";
        ConfigError::value(key, format!("{text:?} is not an address: write {want}"))
    })
}

fn mode(text: Option<&str>) -> Checked<u32> {
    let text = text.unwrap_or("0660");
    let mode = u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o777);
    mode.ok_or_else(|| ConfigError::value("socket_mode", "not a mode such as \"0660\""))
}

fn span(key: &str, text: Option<&str>, seconds: u64) -> Checked<Duration> {
    let Some(text) = text else {
        return Ok(Duration::from_secs(seconds));
    };
    let number = text.parse().map(Duration::from_secs);
    let span = number.or_else(|_| humantime::parse_duration(text));
    // Longer than a century is a slip of the pen, and sums of times would overflow.
    let span = span.ok().filter(|span| span.as_secs() < 100 * 366 * 86_400);
    span.ok_or_else(|| {
        let why = format!("{text:?} is not a span of time such as \"5s\", \"30m\" or \"14d\"");
        ConfigError::value(key, why)
    })
}

/// A span that is not zero.
fn some_span(key: &str, text: Option<&str>, seconds: u64) -> Checked<Duration> {
    let span = span(key, text, seconds)?;
    if span.is_zero() {
        return Err(ConfigError::value(key, "there must be some time"));
    }
    Ok(span)
}

fn hosts(key: &str, entries: Option<Vec<String>>, default: &[&str]) -> Checked<HostSet> {
    let Some(entries) = entries else {
        return Ok(HostSet::new(default.iter().copied()));
    };
    for entry in &entries {
        if let Some(why) = HostSet::fault(entry) {
            return Err(ConfigError::value(key, format!("{entry:?}: {why}")));
        }
    }
    Ok(HostSet::new(entries.iter().map(String::as_str)))
}

fn action(key: &str, text: Option<&str>, default: Action) -> Checked<Action> {
    let Some(text) = text else { return Ok(default) };
    Action::from_word(text).ok_or_else(|| {
        let words = "\"accept\", \"tempfail\", \"reject\" or \"quarantine\"";
        one_of(key, text, words)
    })
}

fn senders(table: BTreeMap<String, OneOrMany>) -> Checked<SenderLogins> {
    let mut entries = Vec::new();
    for (login, may) in table {
        let key = format!("sender_login.{login:?}");
        let may = may.into_vec();
        if login.is_empty() {
            return Err(ConfigError::value(key, "a login is never empty"));
        }
        for address in &may {
            let bare = address.replace("{login}", "x").replace("{user}", "x");
            if !is_author(address) || bare.contains(['{', '}']) {
                let why = format!(
                    "{address:?} is not an address, a domain, or a pattern with *, {{login}} or {{user}}"
                );
                return Err(ConfigError::value(key, why));
            }
        }
        entries.push((login, may));
    }
    Ok(SenderLogins::new(entries))
}

impl RawLimits {
    fn checked(self) -> Checked<Limits> {
        let default = Limits::default();
        let connections = self.connections.unwrap_or(default.connections);
        if connections == 0 {
            return Err(ConfigError::value(
                "limits.connections",
                "take one at least",
            ));
        }
        let packet = match self.packet.as_deref() {
            None => default.packet,
            Some(text) => octets(text).ok_or_else(|| {
                let why = "not a size from 64K to 64M, such as \"1M\"";
                ConfigError::value("limits.packet", why)
            })?,
        };
        let of = |key: &str, text: Option<&str>, default: Duration| {
            some_span(&format!("limits.{key}"), text, default.as_secs())
        };
        Ok(Limits {
            connections,
            packet,
            idle: of("idle", self.idle.as_deref(), default.idle)?,
            slow: of("slow", self.slow.as_deref(), default.slow)?,
            answer: of("answer", self.answer.as_deref(), default.answer)?,
            shutdown: of("shutdown", self.shutdown.as_deref(), default.shutdown)?,
            ..default
        })
    }
}

fn octets(text: &str) -> Option<usize> {
    let (number, unit) = match text.trim_end_matches(['k', 'K', 'm', 'M']) {
        number if text.ends_with(['k', 'K']) => (number, 1 << 10),
        number if text.ends_with(['m', 'M']) => (number, 1 << 20),
        number => (number, 1),
    };
    let octets = number.parse::<usize>().ok()?.checked_mul(unit)?;
    // A piece of the body has 64 KiB and an octet that says what it is.
    (64 << 10..=64 << 20)
        .contains(&octets)
        .then_some(octets.max((64 << 10) + 1))
}
