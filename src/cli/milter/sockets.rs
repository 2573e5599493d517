//! The sockets on which MTAs, and whoever reads the metrics, connect.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use dkimkit::milter::Listener;
use dkimkit::milter::config::{Address, Config};
use listenfd::ListenFd;
use nix::sys::stat::{Mode, umask};
use socket2::{Domain, SockAddr, Socket, Type};

use super::identity::{Identity, group_id};
use crate::cli::speech::{Trouble, plain};

/// What the configuration names, open.
#[derive(Default)]
pub(super) struct Sockets {
    /// For MTAs.
    pub(super) mtas: Vec<Listener>,
    /// For readers of the metrics.
    pub(super) metrics: Vec<Listener>,
    made: Vec<Made>,
}

/// A socket in the file system. It goes away with this.
struct Made {
    path: PathBuf,
    mark: Option<(u64, u64, i64, i64)>,
}

impl Made {
    fn new(path: &Path) -> Made {
        Made {
            mark: Made::mark(path),
            path: path.to_owned(),
        }
    }

    /// What tells this socket from another one at the same path.
    fn mark(path: &Path) -> Option<(u64, u64, i64, i64)> {
        let metadata = fs::symlink_metadata(path).ok()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Some((metadata.dev(), metadata.ino(), changed.0, changed.1))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // By now another milter may have put its own in the place.
        if self.mark.is_some() && self.mark == Made::mark(&self.path) {
            // Whose directory it is not any more leaves it, and the next one takes it over.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens everything that the configuration names.
pub(super) fn open_all(config: &Config) -> Result<Sockets, Trouble> {
    let mut sockets = Sockets::default();
    for address in &config.listen {
        let opened = open(address, config, &mut sockets.made)?;
        sockets.mtas.extend(opened);
    }
    if let Some(address) = &config.metrics {
        sockets.metrics = open(address, config, &mut sockets.made)?;
    }
    Ok(sockets)
}

/// Opens one address; a name may stand for several.
fn open(
    address: &Address,
    config: &Config,
    made: &mut Vec<Made>,
) -> Result<Vec<Listener>, Trouble> {
    match address {
        Address::Inet { host, port } => open_inet(host, *port),
        Address::Unix(path) => open_unix(path, config, made).map(|listener| vec![listener]),
        Address::Systemd => from_systemd(),
    }
    .map_err(|trouble| trouble.about(&address.to_string()))
}

fn cannot_listen(error: &io::Error) -> Trouble {
    let trouble = Trouble::usage(format!("cannot listen: {}", plain(error)));
    match error.kind() {
        io::ErrorKind::AddrInUse => trouble.hint("is the milter running, or another one? `ss -lntp` tells who listens there"),
        io::ErrorKind::PermissionDenied => trouble.hint("start it as root with `user` in the configuration, or name an address that this user may open"),
        _ => trouble.hint("name an address of this machine, or a path, in listen"),
    }
}

fn open_inet(host: &str, port: u16) -> Result<Vec<Listener>, Trouble> {
    let fail = |error: io::Error| cannot_listen(&error);
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

fn open_unix(path: &Path, config: &Config, made: &mut Vec<Made>) -> Result<Listener, Trouble> {
    let fail = |error: io::Error| cannot_listen(&error);
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(Trouble::usage("there is a file that is no socket")
                .hint("choose another path, or move that file away"));
        }
        match knock(path).map_err(|error| error.kind()) {
            // Left over by a process that is gone.
            Err(io::ErrorKind::ConnectionRefused) => fs::remove_file(path).map_err(fail)?,
            Err(io::ErrorKind::NotFound) => {}
            Err(io::ErrorKind::PermissionDenied) => {
                return Err(
                    Trouble::usage("there is a socket that this user may not connect to")
                        .hint("choose another path, or remove it if nobody uses it"),
                );
            }
            // Also one whose queue is full.
            Ok(()) | Err(_) => {
                return Err(Trouble::usage("somebody listens there already")
                    .hint("is the milter running? `systemctl status dkimkit-milter` tells"));
            }
        }
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
    // From here on it goes away again if anything fails.
    made.push(Made::new(path));
    // As OpenDKIM has it: it is that of the user of the milter, and whoever is in its group may connect.
    let identity = Identity::of(config)?;
    let owner = identity.as_ref().map(|identity| identity.owner());
    let group = config.socket_group.as_deref().map(group_id).transpose()?;
    let group = group.map(|group| group.as_raw());
    if owner.is_some() || group.is_some() {
        let (uid, gid) = owner.unzip();
        std::os::unix::fs::chown(path, uid, group.or(gid)).map_err(fail)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(config.socket_mode)).map_err(fail)?;
    if let Some(made) = made.last_mut() {
        made.mark = Made::mark(path);
    }
    Ok(Listener::Unix(listener))
}

/// Whether somebody listens there. It does not wait for one that is too busy.
fn knock(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
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
