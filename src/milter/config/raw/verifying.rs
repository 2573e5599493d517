//! The table `[verifying]`.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use serde::Deserialize;

use super::super::{Action, ConfigError, Verifying};
use super::{Checked, action, one_of, some_span, span};
use crate::authres::AuthservId;
use crate::dns::system::read_server;
use crate::policy::{Level, Policy};
use crate::report::{REASONS, ResultWord};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVerifying {
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

impl RawVerifying {
    pub(super) fn checked(self) -> Checked<Verifying> {
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
            let server = read_server(&text);
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
