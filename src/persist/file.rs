//! A file that is only ever replaced as a whole, by one process at a time. The durable incarnation
//! and saved snapshots write through it.
//!
//! Writing needs the lock, so a replacement can use one fixed temporary name: what a killed process
//! leaves behind is overwritten by the next, and nothing piles up.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{PersistError, Step};

/// A lock can outlive its holder for a moment: a child that the holder was just starting has a copy
/// until it executes its program.
const PATIENCE: Duration = Duration::from_millis(100);

/// The exclusive right to replace the file at a path, held until it is dropped or the process ends,
/// however it ends.
///
/// The lock is on a file next to it (`<name>.lock`, never removed, since removing lock files is a
/// race of its own): the file itself is a different one after each replacement.
#[derive(Debug)]
pub(crate) struct LockedPath {
    path: PathBuf,
    directory: PathBuf,
    temporary: OsString,
    lock_path: PathBuf,
    lock: File,
}

impl LockedPath {
    /// Takes the lock, waiting for it [`PATIENCE`] at most. The file need not exist, its directory
    /// must.
    pub(crate) fn acquire(path: &Path) -> Result<Self, PersistError> {
        let (directory, name) = resolve(path)?;
        let with = |before: &str, after: &str| {
            let mut whole = OsString::from(before);
            whole.push(&name);
            whole.push(after);
            whole
        };
        let lock_path = directory.join(with("", ".lock"));
        // Opening a pipe would wait for its other end.
        if fs::metadata(&lock_path).is_ok_and(|there| !there.is_file()) {
            return Err(PersistError::NotAFile { path: lock_path });
        }
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|error| PersistError::io(Step::Lock, &lock_path, error))?;
        take(&lock, &lock_path)?;
        let locked = Self {
            path: directory.join(&name),
            // Not a name that anything else would use: a leftover is removed without asking.
            temporary: with(".", ".incarnation-tmp"),
            directory,
            lock_path,
            lock,
        };
        // Between opening and locking, the file may have been removed and locked anew by another.
        locked.check_lock()?;
        Ok(locked)
    }

    /// Where the file really is: absolute, symbolic links resolved.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file; see [`read`].
    pub(crate) fn read(&self, limit: u64) -> Result<Option<Vec<u8>>, PersistError> {
        read(&self.path, limit)
    }

    /// Replaces the file: once this returns, `bytes` are what any later reader finds, even after a
    /// power failure; until then, what was there before is.
    ///
    /// Costs the sync of a file and of a directory: from a fraction of a millisecond to many.
    pub(crate) fn replace(&self, bytes: &[u8]) -> Result<(), PersistError> {
        self.check_lock()?;
        let at = |step, path: &Path| {
            let path = path.to_owned();
            move |error| PersistError::io(step, &path, error)
        };
        let temporary = self.directory.join(&self.temporary);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(PersistError::io(Step::Write, &temporary, error));
            }
            _ => {}
        }
        // Removed again when dropped, unless it has moved into place.
        let mut file = tempfile::Builder::new()
            .prefix(&self.temporary)
            .rand_bytes(0)
            .make_in(&self.directory, |path| File::create_new(path))
            .map_err(at(Step::Write, &temporary))?;
        // The `File` itself, since the wrapper's errors hide the operating system's.
        file.as_file_mut()
            .write_all(bytes)
            .map_err(at(Step::Write, &temporary))?;
        file.as_file()
            .sync_all()
            .map_err(at(Step::Sync, &temporary))?;
        file.persist(&self.path)
            .map_err(|error| PersistError::io(Step::Replace, &self.path, error.error))?;
        sync_directory(&self.directory).map_err(at(Step::SyncDirectory, &self.directory))
    }

    /// Whether the lock file is still the one that is locked. Not airtight (it may be removed just
    /// after), but it catches the tidy-minded, and a directory that was deleted and made again.
    #[cfg(unix)]
    fn check_lock(&self) -> Result<(), PersistError> {
        use std::os::unix::fs::MetadataExt;

        let identity = |meta: io::Result<fs::Metadata>| meta.map(|meta| (meta.dev(), meta.ino()));
        let held = identity(self.lock.metadata());
        let named = match identity(fs::metadata(&self.lock_path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            named => Some(named),
        };
        let failed = |error| PersistError::io(Step::Lock, &self.lock_path, error);
        if named.transpose().map_err(failed)? == Some(held.map_err(failed)?) {
            Ok(())
        } else {
            Err(PersistError::LockLost {
                path: self.lock_path.clone(),
            })
        }
    }

    /// Where files have no number to know them by: whether both names can still be asked after. (Windows
    /// removes no file that is open.)
    #[cfg(not(unix))]
    fn check_lock(&self) -> Result<(), PersistError> {
        let failed = |error| PersistError::io(Step::Lock, &self.lock_path, error);
        self.lock.metadata().map_err(failed)?;
        match fs::metadata(&self.lock_path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(PersistError::LockLost {
                path: self.lock_path.clone(),
            }),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Reads a file, at most `limit` bytes and one more (which shows that it is too long). `None` only
/// if there is nothing at all at that path; a link to nothing is an error.
///
/// Needs no lock: a replacement is seen as a whole or not at all.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, PersistError> {
    let failed = |error| PersistError::io(Step::Read, path, error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(_) => {}
    }
    // Asked before opening, because opening a pipe would wait for its other end.
    regular(path, Step::Read)?;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(failed)?;
    Ok(Some(bytes))
}

/// Locks the open lock file. Dropping a [`LockedPath`] only closes it: unlocking would take the lock
/// from a daemon forked of this process, too.
fn take(lock: &File, path: &Path) -> Result<(), PersistError> {
    let started = Instant::now();
    loop {
        match fs4::FileExt::try_lock(lock) {
            Ok(()) => return Ok(()),
            Err(fs4::TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                thread::sleep(PATIENCE / 20);
            }
            Err(fs4::TryLockError::WouldBlock) => {
                return Err(PersistError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(fs4::TryLockError::Error(error)) => {
                return Err(PersistError::io(Step::Lock, path, error));
            }
        }
    }
}

/// Refuses what is there but is no regular file.
fn regular(path: &Path, step: Step) -> Result<(), PersistError> {
    let metadata = fs::metadata(path).map_err(|error| PersistError::io(step, path, error))?;
    if metadata.is_file() {
        Ok(())
    } else {
        Err(PersistError::NotAFile {
            path: path.to_owned(),
        })
    }
}

/// The real directory and name of a file that may not exist yet. Links are followed, so that one
/// file has one lock, whatever it is called; a link to nothing is an error.
fn resolve(path: &Path) -> Result<(PathBuf, OsString), PersistError> {
    let failed = |error| PersistError::io(Step::Resolve, path, error);
    let split = |path: &Path| -> Option<(PathBuf, OsString)> {
        Some((path.parent()?.to_owned(), path.file_name()?.to_owned()))
    };
    let no_name = || {
        failed(io::Error::new(
            ErrorKind::InvalidInput,
            "the path names no file",
        ))
    };
    match fs::symlink_metadata(path) {
        Ok(_) => {
            let real = fs::canonicalize(path).map_err(failed)?;
            regular(&real, Step::Resolve)?;
            split(&real).ok_or_else(no_name)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let (directory, name) = split(path).ok_or_else(no_name)?;
            let directory = if directory.as_os_str() == OsStr::new("") {
                Path::new(".")
            } else {
                &directory
            };
            let directory = fs::canonicalize(directory).map_err(failed)?;
            Ok((directory, name))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Makes a rename in it survive a power failure. Elsewhere than on Unix a directory can't be
/// opened as a file; there, the rename's durability is the file system's.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}
