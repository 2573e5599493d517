//! What is ours, and who signs it. Pure: what is known goes in, a decision and its reasons come out.
//!
//! The rules, in order:
//!
//! 1. A client in `peers` is left alone.
//! 2. A message is ours if its client has logged in, is in a trusted network, or has a macro with a listed
//!    value; a login that is not looked at (`authenticated = false`) does not count.
//! 3. Its author is the first address of the first of `author_fields` that is there. From must be there
//!    once, and be readable in one way only.
//! 4. With `[sender_login]`, a login may use only the addresses of its lines; all addresses of From are
//!    looked at, and those of the field that names the author.
//! 5. Where there are rules, those that match decide; else the active keys of the author's domain, or of
//!    its nearest parent that has active ones.
//! 6. A message that a key of the same domain has signed already, and whose signature holds, is not signed
//!    by that domain again. That is seen only at its end, and is not decided here.

use std::net::IpAddr;

use super::config::{Config, Rule};
use super::keyring::{Keyring, StoredKey};
use super::session::Context;
use crate::author::{Address, Authors};
use crate::keystore::KeyState;
use crate::message::Header;
use crate::name::{Auid, Domain};
use crate::sign::SigningIdentity;

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is left alone.
    Peer,
    /// It is ours, and handed in by somebody who has logged in.
    Login,
    /// It is ours for another reason.
    Trusted,
    /// It is not ours.
    Foreign,
}

impl Origin {
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Origin::Login | Origin::Trusted)
    }
}

/// The rules that were looked at, in words.
#[derive(Debug, Default)]
pub(super) struct Why {
    wanted: bool,
    rules: Vec<String>,
}

impl Why {
    /// Where they are not `wanted`, none is kept.
    pub(super) fn new(wanted: bool) -> Why {
        let rules = Vec::new();
        Why { wanted, rules }
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if self.wanted {
            // Rules are told with a semicolon between them: no login and no name may add one.
            self.rules.push(text().replace("; ", ", "));
        }
    }

    pub(super) fn rules(&self) -> &[String] {
        &self.rules
    }
}

/// The client's address and its name, as the MTA told them; the name is empty where the MTA has none.
pub(super) fn client(context: &Context) -> (Option<IpAddr>, String) {
    let Some(client) = context.client() else {
        return (None, String::new());
    };
    let host = String::from_utf8_lossy(&client.host).into_owned();
    // Sendmail tells a name that its address does not confirm, too, and says so in a macro.
    let confirmed = context.macro_value("client_resolve");
    let confirmed = confirmed.is_none_or(|word| word == b"OK");
    let named = confirmed && !host.starts_with('[') && host != "unknown";
    let host = if named { host } else { String::new() };
    // An IPv4 address stays one, however it came.
    (client.ip.map(|ip| ip.to_canonical()), host)
}

/// The login of the client.
pub(super) fn login(context: &Context) -> Option<String> {
    let login = context.login()?;
    Some(String::from_utf8_lossy(login).into_owned())
}

/// Rules 1 and 2.
pub(super) fn origin(config: &Config, context: &Context, why: &mut Why) -> Origin {
    let (ip, host) = client(context);
    let shown = || {
        let ip = ip.map_or_else(
            || "a client without an address".to_owned(),
            |ip| ip.to_string(),
        );
        match host.is_empty() {
            true => ip,
            false => format!("{ip} ({host})"),
        }
    };
    if ip.is_some_and(|ip| config.peers.admits(ip, &host)) {
        why.note(|| format!("{} is in peers", shown()));
        return Origin::Peer;
    }
    let signing = &config.signing;
    match login(context) {
        Some(login) if signing.authenticated => {
            why.note(|| format!("logged in as {login}"));
            return Origin::Login;
        }
        Some(login) => why.note(|| format!("logged in as {login}, which does not count")),
        None => why.note(|| "not logged in".to_owned()),
    }
    if ip.is_some_and(|ip| signing.trusted_networks.admits(ip, &host)) {
        why.note(|| format!("{} is in trusted_networks", shown()));
        return Origin::Trusted;
    }
    why.note(|| format!("{} is not in trusted_networks", shown()));
    for (name, values) in &signing.macros {
        let Some(value) = context.macro_value(name) else {
            why.note(|| format!("there is no macro {name}"));
            continue;
        };
        let value = String::from_utf8_lossy(value);
        if values.is_empty() || values.iter().any(|listed| *listed == value) {
            why.note(|| format!("the macro {name} is {value}, which is listed"));
            return Origin::Trusted;
        }
        why.note(|| format!("the macro {name} is {value}, which is not listed"));
    }
    Origin::Foreign
}

/// What of the header says who wrote the message.
#[derive(Debug)]
pub(super) struct Writers {
    from: Authors,
    author: Option<Address>,
    /// The field that names the author.
    field: String,
    /// Whether that field can be read.
    readable: bool,
    /// All addresses that a login must be allowed.
    all: Vec<Address>,
}

impl Writers {
    pub(super) fn of(header: &Header, config: &Config) -> Writers {
        let from = Authors::of(header);
        let fields = &config.signing.author_fields;
        let there = fields
            .iter()
            .find(|name| header.fields().any(|f| f.is(name)));
        let field = there.cloned().unwrap_or_else(|| "From".to_owned());
        let is_from = field.eq_ignore_ascii_case("From");
        let named = match is_from {
            true => from.clone(),
            false => Authors::in_field(header, &field),
        };
        let mut all = from.addresses().to_vec();
        if !is_from {
            all.extend_from_slice(named.addresses());
        }
        Writers {
            author: named.addresses().first().cloned(),
            readable: named.all_have_domains() && named.fields() == 1,
            field,
            from,
            all,
        }
    }

    /// The author, for a log.
    pub(super) fn author(&self) -> Option<&Address> {
        self.author.as_ref()
    }
}

/// What is to be done with a message of ours.
#[derive(Debug)]
pub(super) enum Decision {
    /// These sign.
    Sign(Vec<SigningIdentity>),
    /// Nobody does: a word for machines.
    Unsigned(&'static str),
    /// The login may not use the author.
    Mismatch,
    /// It ought to be signed, and cannot be: why.
    Trouble(String),
}

/// Rules 3 to 5, for a message that is ours.
pub(super) fn decide(
    config: &Config,
    keyring: &Keyring,
    login: Option<&str>,
    writers: &Writers,
    why: &mut Why,
) -> Decision {
    let from = &writers.from;
    if from.fields() != 1 {
        why.note(|| format!("there are {} From fields", from.fields()));
        return Decision::Unsigned(if from.fields() == 0 {
            "no-from"
        } else {
            "several-from"
        });
    }
    let readable = writers.readable && from.all_have_domains();
    let Some(author) = writers.author.as_ref().filter(|_| readable) else {
        let field = match writers.readable {
            true => "From",
            false => writers.field.as_str(),
        };
        why.note(|| format!("{field} names no address that can be read in one way only"));
        return Decision::Unsigned("author-unreadable");
    };
    let text = author.text();
    why.note(|| format!("{} is {text}", writers.field));
    if let (Some(login), Some(table)) = (login, &config.sender_login) {
        if let Some(other) = writers.all.iter().find(|a| !table.allows(login, &a.text())) {
            why.note(|| format!("[sender_login] does not let {login} use {}", other.text()));
            return Decision::Mismatch;
        }
        why.note(|| format!("[sender_login] lets {login} use it"));
    } else if login.is_some() && config.sender_login.is_none() {
        why.note(|| {
            "there is no [sender_login], so that every login may use every author".to_owned()
        });
    }
    match config.signing.rules.is_empty() {
        true => by_store(config, keyring, author, writers, why),
        false => by_rules(config, keyring, author, writers, why),
    }
}

/// Without rules: the active keys of the author's domain, or of its nearest parent that has some.
fn by_store(
    config: &Config,
    keyring: &Keyring,
    author: &Address,
    writers: &Writers,
    why: &mut Why,
) -> Decision {
    let ascii = author.domain.as_ascii();
    let parents = ascii.match_indices('.').map(|(at, _)| &ascii[at + 1..]);
    let parents = parents.filter(|parent| config.signing.subdomains && parent.contains('.'));
    if let Some(trouble) = keyring.unreadable() {
        return Decision::Trouble(trouble.to_owned());
    }
    for domain in std::iter::once(ascii).chain(parents) {
        let Ok(domain) = Domain::new(domain) else {
            continue;
        };
        if !keyring.knows(&domain) {
            why.note(|| format!("there is no key for {domain}"));
            continue;
        }
        match active(keyring, &domain, why) {
            Err(trouble) => return Decision::Trouble(trouble),
            Ok(identities) if identities.is_empty() => {}
            Ok(identities) => {
                if writers.from.alignment(&domain).is_none() {
                    why.note(|| format!("{domain} is not aligned with every address of From"));
                    return Decision::Unsigned("not-aligned");
                }
                return Decision::Sign(identities);
            }
        }
    }
    Decision::Unsigned("no-key")
}

/// The active keys of a domain.
fn active(
    keyring: &Keyring,
    domain: &Domain,
    why: &mut Why,
) -> Result<Vec<SigningIdentity>, String> {
    if let Some(trouble) = keyring.broken(domain) {
        return Err(trouble.to_owned());
    }
    let keys = keyring.selectors(domain).iter();
    let active = keys.filter(|key| key.state == KeyState::Active);
    let identities: Result<Vec<_>, String> = active.map(|key| identity(domain, key)).collect();
    let identities = identities?;
    if identities.is_empty() {
        why.note(|| format!("no key of {domain} is active"));
    }
    Ok(identities)
}

fn identity(domain: &Domain, stored: &StoredKey) -> Result<SigningIdentity, String> {
    match &stored.key {
        Some(Ok(key)) => Ok(SigningIdentity::new(
            domain.clone(),
            stored.selector.clone(),
            key.clone(),
        )),
        Some(Err(trouble)) => Err(trouble.clone()),
        None => Err(format!(
            "the key {} of {domain} was not read",
            stored.selector
        )),
    }
}

fn by_rules(
    config: &Config,
    keyring: &Keyring,
    author: &Address,
    writers: &Writers,
    why: &mut Why,
) -> Decision {
    let rules = config.signing.rules.of(&author.text());
    if rules.is_empty() {
        why.note(|| "no rule matches".to_owned());
        return Decision::Unsigned("no-rule");
    }
    let mut all: Vec<SigningIdentity> = Vec::new();
    let mut refused = "no-key";
    for (number, rule) in rules {
        why.note(|| format!("rule {number} ({}) matches", rule.from));
        let domain = rule.domain.as_ref().unwrap_or(&author.domain);
        // Who names a domain means it; who means that of the author must not vouch for another author.
        if rule.domain.is_none() && writers.from.alignment(domain).is_none() {
            why.note(|| format!("{domain} is not aligned with every address of From"));
            refused = "not-aligned";
            continue;
        }
        match by_rule(keyring, rule, domain, why) {
            Err(trouble) => return Decision::Trouble(format!("rule {number}: {trouble}")),
            Ok(identities) => {
                for mut identity in identities {
                    identity.identity = match auid(rule, domain, &author.domain) {
                        Ok(auid) => auid,
                        Err(trouble) => {
                            return Decision::Trouble(format!("rule {number}: {trouble}"));
                        }
                    };
                    let known = all.iter().any(|other| {
                        other.domain == identity.domain && other.selector == identity.selector
                    });
                    if !known {
                        all.push(identity);
                    }
                }
            }
        }
    }
    match all.is_empty() {
        true => Decision::Unsigned(refused),
        false => Decision::Sign(all),
    }
}

/// Who signs by a rule: nobody where the rule leaves the domain to the author, and there is no key for it. A
/// rule that names its domain means it, and what is not there is trouble.
pub(super) fn by_rule(
    keyring: &Keyring,
    rule: &Rule,
    domain: &Domain,
    why: &mut Why,
) -> Result<Vec<SigningIdentity>, String> {
    let mut nobody = |text: String| match rule.domain {
        Some(_) => Err(text),
        None => {
            why.note(|| text);
            Ok(Vec::new())
        }
    };
    if let (Some(path), Some(selector)) = (&rule.key, &rule.selector) {
        let path = path.replace('%', domain.as_ascii());
        return match keyring.file(path.as_ref()) {
            Some(Ok(key)) => {
                let identity = SigningIdentity::new(domain.clone(), selector.clone(), key.clone());
                Ok(vec![identity])
            }
            Some(Err(trouble)) => Err(trouble.clone()),
            None => nobody(format!(
                "there was no key at {path} when keys were last loaded"
            )),
        };
    }
    if let Some(trouble) = keyring.broken(domain) {
        return Err(trouble.to_owned());
    }
    if !keyring.knows(domain) {
        return nobody(format!(
            "there is no key for {domain}: make one with dkimkit generate -d {domain}"
        ));
    }
    let Some(selector) = &rule.selector else {
        let identities = active(keyring, domain, &mut Why::default())?;
        return match identities.is_empty() {
            true => nobody(format!("no key of {domain} is active")),
            false => Ok(identities),
        };
    };
    match keyring.stored(domain, selector) {
        None => nobody(format!("the store has no key {selector} of {domain}")),
        Some(stored) if stored.state != KeyState::Active => nobody(format!(
            "the key {selector} of {domain} is {}, and the rule names no other",
            stored.state
        )),
        Some(stored) => Ok(vec![identity(domain, stored)?]),
    }
}

/// i= of a rule.
fn auid(rule: &Rule, domain: &Domain, author: &Domain) -> Result<Option<Auid>, String> {
    let Some(text) = &rule.identity else {
        return Ok(None);
    };
    let text = text.replace('%', author.as_ascii());
    let auid = Auid::new(text.as_bytes()).map_err(|error| format!("{text}: {error}"))?;
    // A verifier refuses what lies outside of d= (RFC 6376 §6.1.1); OpenDKIM leaves such an i= out.
    let within = auid.domain == *domain || auid.domain.is_below(domain);
    Ok(within.then_some(auid))
}
