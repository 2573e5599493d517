//! Where results go: standard output, or a file that appears whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::speech::Trouble;

/// An output that is begun; nothing is seen of a file before [`finish`](Output::finish).
pub(super) enum Output {
    Stdout(BufWriter<io::Stdout>),
    Device(BufWriter<fs::File>),
    /// A file without a name: what ends the program in any way leaves nothing behind.
    Unnamed {
        file: BufWriter<fs::File>,
        path: PathBuf,
        force: bool,
    },
    /// Where the file system knows no such files.
    Named {
        file: Box<BufWriter<tempfile::NamedTempFile>>,
        path: PathBuf,
        force: bool,
    },
}

impl Output {
    pub(super) fn stdout() -> Output {
        Output::Stdout(BufWriter::new(io::stdout()))
    }

    /// Begins a file beside its final place.
    ///
    /// A link is followed if `follow` says so, and else replaced or refused itself. What is no file is written
    /// to and not replaced; the name of our own standard output is that.
    pub(super) fn file(path: &Path, force: bool, follow: bool) -> Result<Output, Trouble> {
        let target = (follow && path.is_symlink())
            .then(|| fs::canonicalize(path).ok())
            .flatten();
        let path = target.as_deref().unwrap_or(path);
        if follow && is_stdout(path) {
            return Ok(Output::stdout());
        }
        let metadata = match follow {
            true => fs::metadata(path),
            false => fs::symlink_metadata(path),
        };
        if let Ok(target) = metadata.as_ref().map(fs::Metadata::file_type)
            && !target.is_symlink()
        {
            if target.is_dir() {
                return Err(Trouble::usage(format!("{} is a directory", path.display()))
                    .hint("--output-dir DIR writes each message to a file of its own name"));
            }
            if !target.is_file() {
                // A device or a pipe is written to, and not replaced.
                let opened = fs::OpenOptions::new().write(true).open(path);
                let file = opened.map_err(|e| Trouble::open(&path.display().to_string(), &e))?;
                return Ok(Output::Device(BufWriter::new(file)));
            }
        }
        if !force && fs::symlink_metadata(path).is_ok() {
            return Err(exists(path));
        }
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let path = path.to_owned();
        let unnamed = fs::OpenOptions::new()
            .write(true)
            .custom_flags(nix::libc::O_TMPFILE)
            .mode(0o666)
            .open(dir);
        // Its name comes by way of /proc, which some jails do not have.
        if let Ok(file) = unnamed
            && Path::new("/proc/self/fd").is_dir()
        {
            let file = BufWriter::new(file);
            return Ok(Output::Unnamed { file, path, force });
        }
        let file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(dir);
        let file = file.map_err(|e| Trouble::open(&path.display().to_string(), &e))?;
        let file = Box::new(BufWriter::new(file));
        Ok(Output::Named { file, path, force })
    }

    /// Makes sure that all is written, and lets a file appear.
    pub(super) fn finish(self) -> Result<(), Trouble> {
        match self {
            Output::Stdout(mut out) => out
                .flush()
                .map_err(|e| Trouble::write("standard output", &e)),
            Output::Device(mut out) => out.flush().map_err(|e| Trouble::write("the output", &e)),
            Output::Unnamed { file, path, force } => {
                let name = path.display().to_string();
                let failed = |e: io::Error| Trouble::write(&name, &e);
                let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
                file.sync_all().map_err(failed)?;
                match give_name(&file, &path, force) {
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(exists(&path)),
                    named => named.map_err(failed),
                }
            }
            Output::Named { file, path, force } => {
                let name = path.display().to_string();
                let failed = |e: io::Error| Trouble::write(&name, &e);
                let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
                file.as_file().sync_all().map_err(failed)?;
                if force {
                    file.persist(&path).map_err(|e| failed(e.error))?;
                } else {
                    file.persist_noclobber(&path).map_err(|e| {
                        if e.error.kind() == io::ErrorKind::AlreadyExists {
                            return exists(&path);
                        }
                        failed(e.error)
                    })?;
                }
                Ok(())
            }
        }
    }
}

/// Gives a file without a name its name; one that exists is replaced if `force` says so.
fn give_name(file: &fs::File, path: &Path, force: bool) -> io::Result<()> {
    let link = |target: &Path| -> io::Result<()> {
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW;
        let here = nix::fcntl::AT_FDCWD;
        Ok(nix::unistd::linkat(
            here,
            own.as_str(),
            here,
            target,
            flags,
        )?)
    };
    match link(path) {
        Err(e) if force && e.kind() == io::ErrorKind::AlreadyExists => {
            // A name of its own for a moment: only a rename replaces in one step.
            let dir = path.parent().unwrap_or(Path::new("."));
            let name = tempfile::Builder::new()
                .prefix(".new-")
                .make_in(dir, |path| link(path))?;
            name.into_temp_path().persist(path).map_err(|e| e.error)
        }
        linked => linked,
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Stdout(out) => out.write(bytes),
            Output::Device(out) => out.write(bytes),
            Output::Unnamed { file, .. } => file.write(bytes),
            Output::Named { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stdout(out) => out.flush(),
            Output::Device(out) => out.flush(),
            Output::Unnamed { file, .. } => file.flush(),
            Output::Named { file, .. } => file.flush(),
        }
    }
}

/// Writes one result to standard output.
pub(super) fn print(text: &str) -> Result<(), Trouble> {
    let mut out = Output::stdout();
    out.write_all(text.as_bytes())
        .map_err(|e| Trouble::write("standard output", &e))?;
    out.finish()
}

fn is_stdout(path: &Path) -> bool {
    let stdout = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map(fs::File::from);
    let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    match (stdout.and_then(|f| f.metadata()), fs::metadata(path)) {
        (Ok(stdout), Ok(file)) => same(stdout, file),
        _ => false,
    }
}

fn exists(path: &Path) -> Trouble {
    Trouble::usage(format!("{} exists already", path.display()))
        .hint("--force replaces it, or choose another name")
}
