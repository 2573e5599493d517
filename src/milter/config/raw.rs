//! The configuration as it is written, and the checks that make it usable.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::rules::is_author;
use super::{
    Action, Address, Config, ConfigError, LogLevel, LogTo, Rule, Rules, SenderLogins, Signing,
    Verifying,
};
use crate::authres::AuthservId;
use crate::canon::Canonicalization;
use crate::header::FieldName;
use crate::milter::Limits;
use crate::milter::opendkim::HostSet;
use crate::name::{Auid, Domain, Selector};
use crate::policy::{Level, Policy};
use crate::report::{REASONS, ResultWord};
use crate::sign::{NEVER_SIGNED, SignOptions};
use crate::time::UnixTime;

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
struct RawSigning {
    authenticated: Option<bool>,
    trusted_networks: Option<Vec<String>>,
    #[serde(default)]
    macros: BTreeMap<String, OneOrMany>,
    may_use_our_names: Option<Vec<String>>,
    author_fields: Option<Vec<String>>,
    subdomains: Option<bool>,
    canonicalization: Option<String>,
    expires: Option<String>,
    sign_also: Option<Vec<String>>,
    do_not_sign: Option<Vec<String>>,
    oversign: Option<Vec<String>>,
    on_error: Option<String>,
    on_sender_mismatch: Option<String>,
    rules: Option<String>,
    #[serde(default)]
    rule: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    from: String,
    domain: Option<String>,
    selector: Option<String>,
    identity: Option<String>,
    key: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawVerifying {
    authserv_id: Option<String>,
    remove_ids: Option<Vec<String>>,
    policy: Option<String>,
    signatures: Option<usize>,
    minimum_key_bits: Option<usize>,
    clock_skew: Option<String>,
    dns_timeout: Option<String>,
    nameservers: Option<Vec<String>>,
    #[serde(default)]
    actions: BTreeMap<String, String>,
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
                .map(|metrics| address("metrics.listen", &metrics.listen))
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

fn names(key: &str, list: Option<Vec<String>>) -> Checked<Option<Vec<FieldName>>> {
    let name = |text: &String| {
        let name = FieldName::new(text);
        name.ok_or_else(|| ConfigError::value(key, format!("{text:?} is not the name of a field")))
    };
    list.map(|list| list.iter().map(name).collect()).transpose()
}

impl RawSigning {
    fn checked(self, base: &Path) -> Checked<Signing> {
        let options = self.options()?;
        let expires = match self.expires.as_deref() {
            None => None,
            Some(text) => Some(
                some_span("signing.expires", Some(text), 0)?
                    .as_secs()
                    .max(1),
            ),
        };
        let author_fields = self
            .author_fields
            .unwrap_or_else(|| vec!["From".to_owned()]);
        if author_fields.is_empty() {
            return Err(ConfigError::value(
                "signing.author_fields",
                "name one field at least",
            ));
        }
        names("signing.author_fields", Some(author_fields.clone()))?;
        let all = match self.rules.as_deref() {
            None | Some("first") => false,
            Some("all") => true,
            Some(other) => return Err(one_of("signing.rules", other, "\"first\" or \"all\"")),
        };
        let rules = self.rule.into_iter().enumerate();
        let rules = rules.map(|(at, rule)| rule.checked(at + 1, base));
        let macros = self.macros.into_iter().map(|(name, values)| {
            let bare = name.trim_matches(['{', '}']).to_owned();
            let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}' | ',');
            if bare.is_empty() || !bare.chars().all(plain) {
                let why = format!("{name:?} is not the name of a macro");
                return Err(ConfigError::value("signing.macros", why));
            }
            Ok((bare, values.into_vec()))
        });
        Ok(Signing {
            authenticated: self.authenticated.unwrap_or(true),
            trusted_networks: hosts(
                "signing.trusted_networks",
                self.trusted_networks,
                &["127.0.0.1", "::1"],
            )?,
            macros: macros.collect::<Checked<_>>()?,
            may_use_our_names: hosts("signing.may_use_our_names", self.may_use_our_names, &[])?,
            author_fields,
            subdomains: self.subdomains.unwrap_or(true),
            options,
            expires,
            on_error: action(
                "signing.on_error",
                self.on_error.as_deref(),
                Action::TempFail,
            )?,
            on_sender_mismatch: action(
                "signing.on_sender_mismatch",
                self.on_sender_mismatch.as_deref(),
                Action::Accept,
            )?,
            rules: Rules::new(rules.collect::<Checked<_>>()?, all),
        })
    }

    /// Which fields are signed, and how.
    fn options(&self) -> Checked<SignOptions> {
        let mut options = SignOptions::new(UnixTime(0));
        if let Some(text) = &self.canonicalization {
            options.canonicalization = Canonicalization::from_tag(text).ok_or_else(|| {
                let why = "write simple or relaxed, or two of them around a /";
                ConfigError::value("signing.canonicalization", why)
            })?;
        }
        let also = names("signing.sign_also", self.sign_also.clone())?.unwrap_or_default();
        let not = names("signing.do_not_sign", self.do_not_sign.clone())?.unwrap_or_default();
        let oversign = names("signing.oversign", self.oversign.clone())?;
        let never = |name: &&FieldName| NEVER_SIGNED.iter().any(|never| *name == *never);
        let lists = [
            ("signing.sign_also", Some(&also)),
            ("signing.oversign", oversign.as_ref()),
        ];
        for (key, list) in lists {
            if let Some(name) = list.into_iter().flatten().find(never) {
                let why = format!("{name} is never signed: it changes on the way");
                return Err(ConfigError::value(key, why));
            }
        }
        if not.iter().any(|name| name == "From") {
            let why = "From is always signed (RFC 6376, section 5.4)";
            return Err(ConfigError::value("signing.do_not_sign", why));
        }
        if let Some(oversign) = oversign {
            options.oversign = oversign;
            // As with `dkimkit sign --oversign`: who names the fields names all of them.
            options.oversign_present.clear();
        }
        options.headers.extend(also);
        for list in [
            &mut options.headers,
            &mut options.oversign,
            &mut options.oversign_present,
        ] {
            list.retain(|name| !not.contains(name));
        }
        Ok(options)
    }
}

impl RawRule {
    fn checked(self, number: usize, base: &Path) -> Checked<Rule> {
        let key = |name: &str| format!("signing.rule {number}: {name}");
        if !is_author(&self.from) {
            let why = "not an address, a domain, or a pattern with *";
            return Err(ConfigError::value(key("from"), why));
        }
        let bad = |name: &str, error: &dyn Display| ConfigError::value(key(name), error);
        let domain = self.domain.filter(|domain| domain != "%");
        let domain = domain.map(|text| Domain::new(&text).map_err(|e| bad("domain", &e)));
        let domain = domain.transpose()?;
        let selector = self.selector.as_deref().map(Selector::new).transpose();
        let selector = selector.map_err(|e| bad("selector", &e))?;
        if self.key.is_some() && selector.is_none() {
            return Err(bad("key", &"a key file needs a selector beside it"));
        }
        let relative = self
            .key
            .as_deref()
            .is_some_and(|path| !path.starts_with('/'));
        if relative && base.to_string_lossy().contains('%') {
            let why = "below a directory with a % in its name it must be a whole path";
            return Err(bad("key", &why));
        }
        if let Some(identity) = &self.identity {
            let sample = domain.as_ref().map_or("example.com", Domain::as_ascii);
            let auid = Auid::new(identity.replace('%', sample).as_bytes());
            let auid = auid.map_err(|e| bad("identity", &e))?;
            if let Some(domain) = &domain
                && !identity.contains('%')
                && auid.domain != *domain
                && !auid.domain.is_below(domain)
            {
                let why = format!("it is neither in {domain} nor below it");
                return Err(bad("identity", &why));
            }
        }
        Ok(Rule {
            from: self.from,
            domain,
            selector,
            identity: self.identity,
            key: self.key.map(|path| base.join(path).display().to_string()),
        })
    }
}

impl RawVerifying {
    fn checked(self) -> Checked<Verifying> {
        let id = |key: &str, text: &str| {
            let id = AuthservId::new(text);
            id.ok_or_else(|| {
                let why = format!("{text:?} is not a name such as mx.example.org");
                ConfigError::value(key, why)
            })
        };
        let mut policy = Policy::new(match self.policy.as_deref() {
            None | Some("strict") => Level::Strict,
            Some("rfc") => Level::Rfc,
            Some("legacy") => Level::Legacy,
            Some(other) => {
                let words = "\"strict\", \"rfc\" or \"legacy\"";
                return Err(one_of("verifying.policy", other, words));
            }
        });
        policy.limits.signatures = self.signatures.unwrap_or(20);
        if !(1..=100).contains(&policy.limits.signatures) {
            return Err(ConfigError::value(
                "verifying.signatures",
                "a number from 1 to 100",
            ));
        }
        if let Some(bits) = self.minimum_key_bits {
            let sizes = &mut policy.limits.rsa_sizes;
            if !(1024..=sizes.max).contains(&bits) {
                let why = format!("a number from 1024 (RFC 8301) to {}", sizes.max);
                return Err(ConfigError::value("verifying.minimum_key_bits", why));
            }
            sizes.min = bits;
        }
        let skew = span("verifying.clock_skew", self.clock_skew.as_deref(), 300)?;
        policy.tolerance = skew.as_secs();
        let mut actions = HashMap::new();
        for (word, text) in &self.actions {
            let key = format!("verifying.actions.{word}");
            if !RESULTS.iter().any(|r| r.as_str() == word)
                && !REASONS.iter().any(|(reason, _, _)| reason == word)
            {
                let why = "neither a result (fail, none, …) nor a reason (key-not-found, …)";
                return Err(ConfigError::value(key, why));
            }
            actions.insert(word.clone(), action(&key, Some(text), Action::Accept)?);
        }
        let server = |text: String| {
            let why = || format!("{text:?} is not an IP address, with or without a port");
            let server = text.parse().ok().or_else(|| {
                let ip: IpAddr = text.trim_matches(['[', ']']).parse().ok()?;
                Some(SocketAddr::new(ip, 53))
            });
            let server = server.filter(|server: &SocketAddr| server.port() != 0);
            server.ok_or_else(|| ConfigError::value("verifying.nameservers", why()))
        };
        let servers = self.nameservers.unwrap_or_default();
        if servers.len() > 3 {
            return Err(ConfigError::value(
                "verifying.nameservers",
                "three at most are asked",
            ));
        }
        let others = self.remove_ids.unwrap_or_default();
        let others = others.iter().map(|text| id("verifying.remove_ids", text));
        Ok(Verifying {
            authserv_id: self
                .authserv_id
                .map(|text| id("verifying.authserv_id", &text))
                .transpose()?,
            remove_ids: others.collect::<Checked<_>>()?,
            policy,
            dns_timeout: some_span("verifying.dns_timeout", self.dns_timeout.as_deref(), 5)?,
            nameservers: servers.into_iter().map(server).collect::<Checked<_>>()?,
            actions,
        })
    }
}

const RESULTS: [ResultWord; 7] = [
    ResultWord::None,
    ResultWord::Pass,
    ResultWord::TempError,
    ResultWord::Fail,
    ResultWord::Policy,
    ResultWord::Neutral,
    ResultWord::PermError,
];

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
