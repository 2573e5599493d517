//! Files of the key store: read up to a cap, prepared under another name, and placed whole.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::StoreError;
use crate::time::UnixTime;

/// No key file, record or state file is longer.
const MAX_FILE: u64 = 1 << 20;

pub(super) fn read_capped(path: &Path) -> Result<Vec<u8>, StoreError> {
    use io::Read as _;
    let file = File::open(path).map_err(at(path))?;
    // With room from the start, so that no copy of a secret stays behind where it grew.
    let len = file.metadata().map_or(0, |m| m.len().min(MAX_FILE));
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
    let read = file.take(MAX_FILE).read_to_end(&mut bytes);
    read.map_err(at(path))?;
    Ok(bytes)
}

/// The names in a directory, in order; one that does not exist has none.
pub(super) fn names_in(dir: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(at(dir))?.file_name();
        names.extend(name.into_string());
    }
    names.sort();
    Ok(names)
}

/// One process at a time changes a domain; the lock ends with the file that is returned.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let file = File::open(dir).map_err(at(dir))?;
    file.lock().map_err(at(dir))?;
    Ok(file)
}

/// Removes what a process that was killed had prepared, private keys among it. Whoever prepares something
/// holds the lock until it is in its place.
pub(super) fn sweep(dir: &Path) -> Result<(), StoreError> {
    let left = names_in(dir)?
        .into_iter()
        .filter(|name| name.starts_with(PREPARED));
    for path in left.map(|name| dir.join(name)) {
        fs::remove_file(&path).map_err(at(&path))?;
    }
    Ok(())
}

/// How the names of files begin that are not in their place yet.
const PREPARED: &str = ".new-";

/// Writes a file beside its place, under another name (tempfile makes it 0600 from the start).
pub(super) fn prepare(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    group: Option<u32>,
) -> Result<NamedTempFile, StoreError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(PREPARED).tempfile_in(dir);
    let mut file = file.map_err(at(path))?;
    file.write_all(bytes).map_err(at(path))?;
    if group.is_some() {
        std::os::unix::fs::fchown(file.as_file(), None, group).map_err(at(path))?;
    }
    let permissions = Permissions::from_mode(mode);
    file.as_file()
        .set_permissions(permissions)
        .map_err(at(path))?;
    file.as_file().sync_all().map_err(at(path))?;
    Ok(file)
}

/// Lets a prepared file appear, whole; where there is one only if it may be replaced.
pub(super) fn place(file: NamedTempFile, path: &Path, replace: bool) -> Result<(), StoreError> {
    let placed = match replace {
        true => file.persist(path),
        false => file.persist_noclobber(path),
    };
    match placed {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Err(StoreError::Exists {
            path: path.to_owned(),
        }),
        Err(e) => Err(at(path)(e.error)),
    }
}

/// Gives a file, if there is one, the further name `….old-UNIXTIME`, or the next later one that is free; so it
/// is never without a name until the new one takes its place.
pub(super) fn keep_aside(path: &Path, now: UnixTime) -> Result<Option<PathBuf>, StoreError> {
    for time in now.0.. {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".old-{time}"));
        let old = PathBuf::from(name);
        match fs::hard_link(path, &old) {
            Ok(()) => return Ok(Some(old)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            // Some file systems know no second names.
            Err(_) => {
                fs::rename(path, &old).map_err(at(path))?;
                return Ok(Some(old));
            }
        }
    }
    Ok(None)
}

pub(super) fn find_group(name: &str) -> Result<u32, StoreError> {
    let group = nix::unistd::Group::from_name(name).ok().flatten();
    group
        .map(|g| g.gid.as_raw())
        .ok_or_else(|| StoreError::NoGroup { name: name.into() })
}

/// Whether members of a group can enter a directory.
pub(super) fn is_open_to(dir: &Path, group: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(dir);
    metadata.is_ok_and(|m| m.mode() & 0o001 != 0 || (m.gid() == group && m.mode() & 0o010 != 0))
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError::Io {
        path: path.clone(),
        kind: error.kind(),
        error: plain(&error),
    }
}

/// The text of an error of the system, without its number and in lower case.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}
