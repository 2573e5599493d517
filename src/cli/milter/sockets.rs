//! The sockets on which MTAs, and whoever reads the metrics, connect.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use dkimkit::milter::Listener;
use dkimkit::milter::config::{Address, Config};
use listenfd::ListenFd;
use nix::sys::stat::{Mode, umask};

use super::identity::group_id;
use crate::cli::speech::{Trouble, plain};

/// Opens everything that the configuration names for MTAs.
pub(super) fn open_all(config: &Config) -> Result<Vec<Listener>, Trouble> {
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.extend(open(address, config)?);
    }
    Ok(listeners)
}

/// Opens one address; a name may stand for several.
pub(super) fn open(address: &Address, config: &Config) -> Result<Vec<Listener>, Trouble> {
    match address {
        Address::Inet { host, port } => open_inet(host, *port),
        Address::Unix(path) => Ok(vec![open_unix(path, config)?]),
        Address::Systemd => from_systemd(),
    }
    .map_err(|trouble| trouble.about(&address.to_string()))
}

fn open_inet(host: &str, port: u16) -> Result<Vec<Listener>, Trouble> {
    let fail = |error: io::Error| Trouble::usage(format!("cannot listen: {}", plain(&error)));
    if host == "*" {
        // One socket takes both, where the machine has IPv6.
        let listener =
            TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
        return Ok(vec![Listener::Tcp(listener.map_err(fail)?)]);
    }
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(fail)?.collect();
    addresses.sort();
    addresses.dedup();
    let bound: Vec<_> = addresses.iter().map(TcpListener::bind).collect();
    // A name may stand for an address that this machine does not have, but not for none.
    let usable = bound.iter().any(Result::is_ok);
    let mut listeners = Vec::new();
    for listener in bound {
        match listener {
            Ok(listener) => listeners.push(Listener::Tcp(listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable && usable => {}
            Err(error) => return Err(fail(error)),
        }
    }
    Ok(listeners)
}

fn open_unix(path: &Path, config: &Config) -> Result<Listener, Trouble> {
    let fail = |error: io::Error| Trouble::usage(format!("cannot listen: {}", plain(&error)));
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(Trouble::usage("there is a file that is no socket")
                .hint("choose another path, or move that file away"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(Trouble::usage("somebody listens there already")
                .hint("is the milter running? `systemctl status dkimkit-milter` tells"));
        }
        fs::remove_file(path).map_err(fail)?;
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    if !dir.is_dir() {
        return Err(
            Trouble::usage(format!("there is no directory {}", dir.display()))
                .hint("the unit makes it with RuntimeDirectory=dkimkit"),
        );
    }
    // Nobody may connect before the mode is right.
    let before = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener.map_err(fail)?;
    if let Some(group) = &config.socket_group {
        let gid = group_id(group)?.as_raw();
        std::os::unix::fs::chown(path, None, Some(gid)).map_err(fail)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(config.socket_mode)).map_err(fail)?;
    Ok(Listener::Unix(listener))
}

/// The sockets that systemd opened (`sd_listen_fds(3)`).
fn from_systemd() -> Result<Vec<Listener>, Trouble> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for at in 0..passed.len() {
        if let Ok(Some(listener)) = passed.take_tcp_listener(at) {
            listeners.push(Listener::Tcp(listener));
        } else if let Ok(Some(listener)) = passed.take_unix_listener(at) {
            listeners.push(Listener::Unix(listener));
        }
    }
    if listeners.is_empty() {
        return Err(Trouble::usage("systemd hands over no socket")
            .hint("start dkimkit-milter.socket, or name an address in listen"));
    }
    Ok(listeners)
}
