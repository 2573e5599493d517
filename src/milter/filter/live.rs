//! Configuration, keys and caches, as they are at a moment.

use std::net::SocketAddr;
use std::sync::Arc;

use super::super::config::Config;
use super::super::keyring::Keyring;
use super::super::lookups::Lookups;
use super::super::metrics::Metrics;
use crate::authres::AuthservId;
use crate::dns::system::{Resolver, ResolverError, system_servers};

/// Configuration, keys and caches of a moment.
#[derive(Debug)]
pub struct Live {
    pub(super) config: Config,
    pub(super) keyring: Keyring,
    /// Our name, then the others whose fields are removed.
    pub(super) ids: Vec<AuthservId>,
    pub(super) servers: Vec<SocketAddr>,
    pub(super) lookups: Arc<Lookups>,
}

impl Live {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The keys.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(super) fn new(
        config: Config,
        keyring: Keyring,
        host: &str,
        before: Option<&Live>,
        metrics: &Arc<Metrics>,
    ) -> Result<Live, FilterError> {
        let verifying = &config.verifying;
        let id = match &verifying.authserv_id {
            Some(id) => id.clone(),
            None => AuthservId::new(host).ok_or_else(|| FilterError::HostName {
                host: host.to_owned(),
            })?,
        };
        let ids = std::iter::once(id).chain(verifying.remove_ids.iter().cloned());
        let servers = match verifying.nameservers.is_empty() {
            true => system_servers()?,
            false => verifying.nameservers.clone(),
        };
        let same = before.filter(|live| {
            let old = &live.config.verifying;
            old.policy == verifying.policy
                && old.dns_timeout == verifying.dns_timeout
                && live.servers == servers
        });
        let lookups = match same {
            // What is known stays known.
            Some(live) => live.lookups.clone(),
            None => {
                let timeout = verifying.dns_timeout;
                let resolver = Resolver::with_nameservers(servers.clone(), timeout)?;
                Arc::new(Lookups::new(
                    resolver,
                    timeout,
                    verifying.policy,
                    metrics.clone(),
                ))
            }
        };
        Ok(Live {
            ids: ids.collect(),
            config,
            keyring,
            servers,
            lookups,
        })
    }
}

/// Why a configuration cannot be put to use.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The resolver cannot be set up.
    #[error("verifying.nameservers: {0}")]
    Resolver(#[from] ResolverError),
    /// The name of the host cannot stand in Authentication-Results.
    #[error(
        "the name of this host, {host:?}, cannot stand in Authentication-Results: set verifying.authserv_id"
    )]
    HostName {
        /// Its name.
        host: String,
    },
}
