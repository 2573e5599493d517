//! Which keys sign for an author: those of the store, or those of rules.

use super::super::config::{Config, Rule};
use super::super::keyring::{Keyring, StoredKey};
use super::{Decision, Why, Writers};
use crate::author::Address;
use crate::keystore::KeyState;
use crate::name::{Auid, Domain};
use crate::sign::SigningIdentity;

/// Without rules: the active keys of the author's domain, or of its nearest parent that has some.
pub(super) fn by_store(
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

pub(super) fn by_rules(
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
pub(in crate::milter) fn by_rule(
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
        if let Some(trouble) = keyring.lost(path) {
            return Err(trouble.to_owned());
        }
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
