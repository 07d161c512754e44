//! What can go wrong between this crate and a disk.

use core::fmt;
use core::ops::Deref;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FormatError;
use crate::Incarnation;

/// Why something could not be loaded from, or made safe on, a disk.
///
/// In each case the file that was there is as it was, or has been replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PersistError {
    /// Another process (or another value in this one) has the file.
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file was removed or replaced while this process held it, so another process may
    /// have the file by now. Start anew.
    LockLost {
        /// The lock file.
        path: PathBuf,
    },
    /// There is something, but not a regular file: a directory, a pipe, a device.
    NotAFile {
        /// Where.
        path: PathBuf,
    },
    /// A file is there and can be read, but what it says can't be trusted. It never counts as
    /// missing: starting anew would use incarnations again.
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FormatError,
    },
    /// The operating system refused: no such directory, no permission, disk full...
    Io {
        /// What was being done.
        step: Step,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        error: IoError,
    },
    /// The block of incarnations is empty, or a restart could look suspicious: block and bump
    /// together must not exceed an eighth of `refute_limit`.
    BlockSize {
        /// Incarnations reserved at a time.
        block: u64,
        /// `min_rejoin_bump`, at least 1.
        bump: u64,
        /// An eighth of `refute_limit`.
        limit: u64,
    },
    /// A former run may have used `max_incarnation` already: there is nothing above it to come
    /// back at.
    Exhausted {
        /// The highest incarnation that may have been used.
        mark: Incarnation,
        /// `max_incarnation`.
        max: Incarnation,
    },
    /// A key can't be serialized, so the snapshot was not written.
    Unencodable {
        /// What its serializing says.
        why: String,
    },
}

/// What the operating system said: an [`io::Error`] that can be cloned, and is equal to another of
/// the same [`io::ErrorKind`].
#[derive(Clone, Debug)]
pub struct IoError(Arc<io::Error>);

/// What was being done when an I/O error struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Finding out where the path leads.
    Resolve,
    /// Opening or locking the lock file.
    Lock,
    /// Reading the file.
    Read,
    /// Creating and writing the file that is to take its place.
    Write,
    /// Forcing that file to the disk.
    Sync,
    /// Moving it into place.
    Replace,
    /// Forcing the directory to the disk. The new file is in place, but might not be after a power
    /// failure.
    SyncDirectory,
}

impl PersistError {
    pub(super) fn io(step: Step, path: &Path, error: io::Error) -> Self {
        Self::Io {
            step,
            path: path.to_owned(),
            error: IoError(Arc::new(error)),
        }
    }
}

impl PartialEq for IoError {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind()
    }
}

impl Eq for IoError {}

impl Deref for IoError {
    type Target = io::Error;

    fn deref(&self) -> &io::Error {
        &self.0
    }
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PersistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { path } => write!(f, "{} is in use by another process", path.display()),
            Self::LockLost { path } => {
                write!(f, "{} was removed while it was held", path.display())
            }
            Self::NotAFile { path } => write!(f, "{} is not a regular file", path.display()),
            Self::Format { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Io { step, path, error } => {
                write!(f, "can't {step} {}: {error}", path.display())
            }
            Self::BlockSize { block, bump, limit } => write!(
                f,
                "a block of {block} and a bump of {bump} don't fit into {limit}, an eighth of \
                 refute_limit"
            ),
            Self::Exhausted { mark, max } => write!(
                f,
                "incarnations up to {mark} may have been used, and {max} is the highest"
            ),
            Self::Unencodable { why } => write!(f, "can't serialize a key: {why}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Replace => "replace",
            Self::SyncDirectory => "sync the directory",
        })
    }
}

// The messages of what lies beneath are part of its own, so there is no `source`.
impl core::error::Error for PersistError {}
