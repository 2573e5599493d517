//! Arguments of the commands that ask name servers, and how they ask.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use dkimkit::dns::survey::{Survey, Surveyor};
use dkimkit::dns::system::{Resolver, ResolverError, system_servers};
use dkimkit::name::KeyName;

use super::Exit;
use super::args::{duration, nameserver};
use super::speech::Trouble;

/// Whom to ask, and how long.
#[derive(Debug, Clone, Args)]
pub(super) struct DnsArgs {
    /// The resolver that finds the zone and its servers, instead of those of the system
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = nameserver)]
    nameserver: Option<SocketAddr>,
    /// How long to wait for each answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(super) timeout: Duration,
    /// DNSKEY records of the root to trust instead of those of the real one
    #[arg(long, value_name = "FILE")]
    trust_anchor: Option<PathBuf>,
}

impl DnsArgs {
    /// The files that are read.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.trust_anchor.iter()
    }

    /// Who asks all servers about a name.
    pub(super) fn surveyor(&self) -> Result<Surveyor, Trouble> {
        if self.timeout.is_zero() {
            return Err(Trouble::usage(
                "a timeout of zero leaves no time for an answer",
            ));
        }
        let servers = match self.nameserver {
            Some(server) => vec![server],
            None => system_servers().map_err(no_resolver)?,
        };
        let anchor = self.trust_anchor.as_ref().map(|path| {
            let name = path.display().to_string();
            fs::read_to_string(path).map_err(|error| Trouble::open(&name, &error))
        });
        let anchor = anchor.transpose()?;
        Surveyor::new(servers, self.timeout, anchor.as_deref()).map_err(|error| {
            Trouble::usage(error).hint(
                "it is a text of DNSKEY records: `dig . DNSKEY` prints those of the real root",
            )
        })
    }

    /// Who looks up whatever is asked for.
    pub(super) fn resolver(&self) -> Result<Resolver, Trouble> {
        let resolver = match self.nameserver {
            Some(server) => Resolver::with_nameserver(server, self.timeout),
            None => Resolver::system(self.timeout),
        };
        resolver.map_err(no_resolver)
    }

    /// Asks about one name after the other; about each, all servers at once.
    pub(super) fn surveys(&self, names: &[KeyName]) -> Result<Vec<Survey>, Trouble> {
        let surveyor = self.surveyor()?;
        block_on(async {
            let mut surveys = Vec::new();
            for name in names {
                surveys.push(surveyor.survey(name).await);
            }
            surveys
        })
    }
}

/// Says that there is no resolver to ask.
pub(super) fn no_resolver(error: ResolverError) -> Trouble {
    let exit = match error {
        ResolverError::System { .. } | ResolverError::Setup { .. } => Exit::TempFail,
        ResolverError::NoServer | ResolverError::NoPort { .. } | ResolverError::NoTime => {
            Exit::Usage
        }
    };
    Trouble::new(exit, error).hint("--nameserver ADDR names a name server")
}

/// Runs what asks name servers, on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Trouble> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| {
        let error = super::speech::plain(&error);
        Trouble::new(Exit::TempFail, format!("no sockets can be had: {error}"))
    })?;
    Ok(runtime.block_on(work))
}
