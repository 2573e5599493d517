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

mod keys;

use std::net::IpAddr;

pub(super) use self::keys::by_rule;
use self::keys::{by_rules, by_store};
use super::config::Config;
use super::keyring::Keyring;
use super::session::Context;
use crate::author::{Address, Authors};
use crate::message::Header;
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
