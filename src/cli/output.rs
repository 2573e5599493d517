//! Where results go: standard output, or a file that appears whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::speech::Trouble;

/// An output that is begun; nothing is seen of a file before [`finish`](Output::finish).
pub(super) enum Output {
    Stdout(BufWriter<io::StdoutLock<'static>>),
    Device(BufWriter<fs::File>),
    File {
        file: Box<BufWriter<tempfile::NamedTempFile>>,
        path: PathBuf,
        force: bool,
    },
}

impl Output {
    pub(super) fn stdout() -> Output {
        Output::Stdout(BufWriter::new(io::stdout().lock()))
    }

    /// Begins a file beside its final place.
    ///
    /// A link is followed, and what is no file is written to and not replaced; the name of our own standard
    /// output is that.
    pub(super) fn file(path: &Path, force: bool) -> Result<Output, Trouble> {
        let target = path
            .is_symlink()
            .then(|| fs::canonicalize(path).ok())
            .flatten();
        let path = target.as_deref().unwrap_or(path);
        if is_stdout(path) {
            return Ok(Output::stdout());
        }
        if let Ok(target) = fs::metadata(path) {
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
        let name = path.display().to_string();
        let file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir);
        let file = file.map_err(|e| Trouble::open(&name, &e))?;
        Ok(Output::File {
            file: Box::new(BufWriter::new(file)),
            path: path.to_owned(),
            force,
        })
    }

    /// Makes sure that all is written, and lets a file appear.
    pub(super) fn finish(self) -> Result<(), Trouble> {
        match self {
            Output::Stdout(mut out) => out
                .flush()
                .map_err(|e| Trouble::write("standard output", &e)),
            Output::Device(mut out) => out.flush().map_err(|e| Trouble::write("the output", &e)),
            Output::File { file, path, force } => {
                let name = path.display().to_string();
                let failed = |e: io::Error| Trouble::write(&name, &e);
                let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
                let mode = 0o666 & !umask();
                let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
                file.as_file()
                    .set_permissions(permissions)
                    .map_err(failed)?;
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

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Stdout(out) => out.write(bytes),
            Output::Device(out) => out.write(bytes),
            Output::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stdout(out) => out.flush(),
            Output::Device(out) => out.flush(),
            Output::File { file, .. } => file.flush(),
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

/// The mask of the process, read without changing it.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o077)
}
