//! Who the milter becomes, and what that user may read.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use dkimkit::milter::config::Config;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist, initgroups, setgid, setuid};

use crate::cli::speech::Trouble;

/// A user with its groups.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Identity {
    /// The user of the configuration, if it names one.
    pub(super) fn of(config: &Config) -> Result<Option<Identity>, Trouble> {
        let Some(name) = &config.user else {
            return match config.group {
                Some(_) => Err(Trouble::usage("group: it needs a user beside it")
                    .hint("name the user of the milter as well: user = \"dkimkit\"")),
                None => Ok(None),
            };
        };
        let user = User::from_name(name).ok().flatten().ok_or_else(|| {
            Trouble::usage(format!("user: there is no user {name}")).hint(format!(
                "make it: useradd --system --shell /usr/sbin/nologin {name}"
            ))
        })?;
        let gid = match &config.group {
            None => user.gid,
            Some(group) => group_id(group)?,
        };
        let cname = c_string(name);
        let groups = getgrouplist(&cname, gid).unwrap_or_else(|_| vec![gid]);
        Ok(Some(Identity {
            name: name.clone(),
            uid: user.uid,
            gid,
            groups,
        }))
    }

    /// Its number, and that of its group.
    pub(super) fn owner(&self) -> (u32, u32) {
        (self.uid.as_raw(), self.gid.as_raw())
    }

    /// Becomes that user for good. No thread may run yet.
    pub(super) fn become_it(&self) -> Result<(), Trouble> {
        if Uid::effective() == self.uid {
            return match Gid::effective() == self.gid {
                true => Ok(()),
                false => Err(Trouble::usage(
                    "group: it is that of this process, or takes root",
                )),
            };
        }
        let fail = |what: &str, error: nix::Error| {
            Trouble::usage(format!(
                "cannot become the user {}: {what}: {error}",
                self.name
            ))
            .hint("start it as root, or as that user")
        };
        initgroups(&c_string(&self.name), self.gid).map_err(|e| fail("its groups", e))?;
        setgid(self.gid).map_err(|e| fail("its group", e))?;
        setuid(self.uid).map_err(|e| fail("its number", e))?;
        // What was given up must not come back.
        if self.uid != Uid::from_raw(0) && setuid(Uid::from_raw(0)).is_ok() {
            return Err(Trouble::usage(
                "root could be had back after it was given up",
            ));
        }
        Ok(())
    }

    /// Why this user cannot read a file, with what mends it.
    pub(super) fn cannot_read(&self, path: &Path) -> Option<String> {
        if self.uid == Uid::from_raw(0) {
            return None;
        }
        let whole = fs::canonicalize(path).ok()?;
        let dirs: Vec<&Path> = whole.ancestors().skip(1).collect();
        for dir in dirs.into_iter().rev() {
            if let Some(mode) = self.lacks(dir, 0o1) {
                return Some(format!(
                    "the user {} cannot enter {}, whose mode is {mode:04o}; mend it with: chmod g+x {1}, and its group",
                    self.name,
                    dir.display()
                ));
            }
        }
        let mode = self.lacks(&whole, 0o4)?;
        Some(format!(
            "the user {} cannot read {}, whose mode is {mode:04o}; mend it with: chgrp {} {1} && chmod 0640 {1}",
            self.name,
            path.display(),
            Group::from_gid(self.gid)
                .ok()
                .flatten()
                .map_or_else(|| self.gid.to_string(), |group| group.name),
        ))
    }

    /// The mode of a file that does not grant `bit` to this user.
    fn lacks(&self, path: &Path, bit: u32) -> Option<u32> {
        let metadata = fs::metadata(path).ok()?;
        let mode = metadata.mode() & 0o7777;
        let shift = if metadata.uid() == self.uid.as_raw() {
            6
        } else if self.groups.iter().any(|gid| gid.as_raw() == metadata.gid()) {
            3
        } else {
            0
        };
        (mode >> shift & bit == 0).then_some(mode)
    }
}

fn c_string(name: &str) -> CString {
    // A name of the user database has no NUL.
    CString::new(name).unwrap_or_default()
}

/// The number of a group.
pub(super) fn group_id(name: &str) -> Result<Gid, Trouble> {
    let group = Group::from_name(name).ok().flatten();
    group.map(|group| group.gid).ok_or_else(|| {
        Trouble::usage(format!("there is no group {name}"))
            .hint(format!("make it: groupadd --system {name}"))
    })
}
