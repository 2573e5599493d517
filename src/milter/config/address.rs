//! Addresses of sockets, as MTAs write them.

use std::fmt;
use std::path::PathBuf;

/// Where a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `inet:PORT@HOST`, where HOST is a name, an address, or `*`.
    Inet {
        /// The host, without brackets; `*` for all.
        host: String,
        /// The port.
        port: u16,
    },
    /// `unix:PATH`
    Unix(PathBuf),
    /// `systemd`: the sockets that systemd hands over.
    Systemd,
}

impl Address {
    /// Reads an address; `inet6:` and `local:` are taken as well, as Sendmail and OpenDKIM have them.
    pub fn read(text: &str) -> Option<Address> {
        if text == "systemd" {
            return Some(Address::Systemd);
        }
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "unix" | "local" => rest
                .starts_with('/')
                .then(|| Address::Unix(PathBuf::from(rest))),
            "inet" | "inet6" => {
                let (port, host) = rest.split_once('@').unwrap_or((rest, "*"));
                let host = host.trim_matches(['[', ']']);
                let port = port.parse().ok().filter(|port| *port != 0)?;
                let host = if host.is_empty() { "*" } else { host };
                Some(Address::Inet {
                    host: host.to_owned(),
                    port,
                })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet { host, port } if host.contains(':') => {
                write!(f, "inet:{port}@[{host}]")
            }
            Address::Inet { host, port } => write!(f, "inet:{port}@{host}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Systemd => f.write_str("systemd"),
        }
    }
}
