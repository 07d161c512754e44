//! What can go wrong between this crate and a disk.

use core::fmt;
use core::ops::Deref;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FormatError;
use crate::Incarnation;

/// Why something could not be loaded from a disk, or made safe on it.
///
/// In each case the file at that path is as it was, or has been replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PersistError {
    /// Another process, or another value in this one, holds the lock of the file.
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file was removed or replaced while this process held its lock, so another process may hold the new one.
    /// Build the tracker anew.
    LockLost {
        /// The lock file.
        path: PathBuf,
    },
    /// Something other than a regular file is there: a directory, a pipe, a device, or a link in place of the lock file.
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file is there and can be read, but its content can't be trusted. It never counts as missing: to begin anew would
    /// use incarnations again.
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FormatError,
    },
    /// The operating system refused: no such directory, no permission, a full disk...
    Io {
        /// What was being done.
        step: Step,
        /// The file or directory concerned.
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
    /// A former run may have used `max_incarnation` already, and there is no incarnation above it to come back at.
    Exhausted {
        /// The highest incarnation that may have been used.
        mark: Incarnation,
        /// `max_incarnation`.
        max: Incarnation,
    },
    /// A key can't be serialized, or not be read back, so the snapshot was not written.
    Unencodable {
        /// What its serialization says.
        why: String,
    },
    /// A key reads back as another one, because its `serde` form loses a part of it, so the snapshot was not written.
    ///
    /// An IPv6 socket address inside a struct or tuple does, if it has a scope or flow information: `serde` writes
    /// neither in binary formats. A socket address that is the key itself survives. Keep the address as a string in such a
    /// key, or serialize it by a function of your own.
    LossyKey {
        /// The row of the key in [`nodes`](crate::Snapshot::nodes), or, counted on from their number, in
        /// [`tombstones`](crate::Snapshot::tombstones).
        row: usize,
    },
}

/// What the operating system said: an [`io::Error`] that can be cloned, and is equal to another of
/// the same [`io::ErrorKind`].
#[derive(Clone, Debug)]
pub struct IoError(Arc<io::Error>);

/// What was being done when an I/O error occurred.
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
    /// Moving a damaged file to another name.
    SetAside,
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
                write!(
                    f,
                    "{} was removed or replaced while its lock was held",
                    path.display()
                )
            }
            Self::NotAFile { path } => write!(f, "{} is not a regular file", path.display()),
            Self::Format { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Io { step, path, error } => {
                write!(f, "can't {step} {}: {error}", path.display())
            }
            Self::BlockSize { block, bump, limit } => write!(
                f,
                "a block of {block} and a min_rejoin_bump of {bump} exceed {limit}, an eighth of \
                 refute_limit: choose a smaller block or a larger limit"
            ),
            Self::Exhausted { mark, max } => write!(
                f,
                "incarnations up to {mark} may have been used, and max_incarnation is {max}"
            ),
            Self::Unencodable { why } => write!(f, "can't serialize a key: {why}"),
            Self::LossyKey { row } => write!(
                f,
                "the key of row {row} reads back as another key: its serde form loses a part of it, \
                 as that of an IPv6 socket address inside another type loses scope and flow information"
            ),
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
            Self::SetAside => "set aside",
        })
    }
}

// Each message contains that of its cause, for programs that print only the message.
impl core::error::Error for PersistError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(&**error),
            Self::Format { error, .. } => Some(error),
            _ => None,
        }
    }
}
