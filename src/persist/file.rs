//! A file that is replaced only as a whole, by one process at a time. The durable incarnation and saved snapshots are
//! written through it.
//!
//! Writing needs the lock, so a replacement can use one fixed temporary name: a process that is killed leaves at most one
//! temporary file, which the next replacement removes.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{FormatError, PersistError, Step};

/// A lock can outlive its holder for a moment: a child process that the holder was just starting has a copy of it until
/// it executes its program.
const PATIENCE: Duration = Duration::from_millis(100);

/// The exclusive right to replace the file at a path. It is held until this is dropped or the process ends, even if the
/// process is killed.
///
/// The lock is on a file next to it, `<name>.lock`, since the file itself is another one after each replacement. The lock
/// file is never removed: two processes could then lock two different files of that name.
#[derive(Debug)]
pub(crate) struct LockedPath {
    path: PathBuf,
    directory: PathBuf,
    temporary: OsString,
    lock_path: PathBuf,
    lock: File,
}

impl LockedPath {
    /// Takes the lock, waiting for it [`PATIENCE`] at most. The file need not exist, its directory must.
    pub(crate) fn acquire(path: &Path) -> Result<Self, PersistError> {
        let (directory, name) = resolve(path)?;
        let with = |before: &str, after: &str| {
            let mut whole = OsString::from(before);
            whole.push(&name);
            whole.push(after);
            whole
        };
        let lock_path = directory.join(with("", ".lock"));
        // Opening a pipe would wait for its other end, and a link could lead anywhere.
        if fs::symlink_metadata(&lock_path).is_ok_and(|there| !there.is_file()) {
            return Err(PersistError::NotAFile { path: lock_path });
        }
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        // A link that took the lock file's name since is not followed either.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600),
            libc::O_NOFOLLOW,
        );
        let lock = options
            .open(&lock_path)
            .map_err(|error| PersistError::io(Step::Lock, &lock_path, error))?;
        take(&lock, &lock_path)?;
        let locked = Self {
            path: directory.join(&name),
            // No program but this one uses such a name, so a leftover is removed without asking.
            temporary: with(".", ".incarnation-tmp"),
            directory,
            lock_path,
            lock,
        };
        // Between opening and locking, the file may have been removed and locked anew by another process.
        locked.check_lock()?;
        Ok(locked)
    }

    /// The absolute path of the file, with symbolic links resolved.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file; see [`read`].
    pub(crate) fn read(&self, limit: u64) -> Result<Option<Vec<u8>>, PersistError> {
        read(&self.path, limit)
    }

    /// Replaces the file: once this returns, any later reader finds `bytes`, even after a power failure. Until then
    /// readers find what was there before.
    ///
    /// The new file has the mode of the old one, and its owner and group where the operating system allows that.
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
        // The target itself: if it became a link, the link is replaced, and its target's mode is no concern.
        let old = fs::symlink_metadata(&self.path)
            .ok()
            .filter(fs::Metadata::is_file);
        // Removed again when dropped, unless it has moved into place.
        let mut file = tempfile::Builder::new()
            .prefix(&self.temporary)
            .rand_bytes(0)
            .make_in(&self.directory, |path| create(path, old.is_some()))
            .map_err(at(Step::Write, &temporary))?;
        // The `File` itself, since the wrapper's errors hide the operating system's.
        file.as_file_mut()
            .write_all(bytes)
            .map_err(at(Step::Write, &temporary))?;
        if let Some(old) = old {
            take_over(file.as_file(), &old).map_err(at(Step::Write, &temporary))?;
        }
        file.as_file()
            .sync_all()
            .map_err(at(Step::Sync, &temporary))?;
        file.persist(&self.path)
            .map_err(|error| PersistError::io(Step::Replace, &self.path, error.error))?;
        sync_directory(&self.directory).map_err(at(Step::SyncDirectory, &self.directory))
    }

    /// Moves the file to a name beside it that no file has (`<name>.damaged-1`, or the next free number), and returns
    /// that path. Nothing is overwritten.
    pub(crate) fn set_aside(&self) -> Result<PathBuf, PersistError> {
        self.check_lock()?;
        for number in 1_u32.. {
            let mut aside = self.path.clone().into_os_string();
            aside.push(format!(".damaged-{number}"));
            let aside = PathBuf::from(aside);
            // An empty file of that name, made by us alone, is what the move replaces.
            match create(&aside, true) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(PersistError::io(Step::SetAside, &aside, error)),
            }
            if let Err(error) = fs::rename(&self.path, &aside) {
                let _ = fs::remove_file(&aside);
                return Err(PersistError::io(Step::SetAside, &self.path, error));
            }
            return match sync_directory(&self.directory) {
                Ok(()) => Ok(aside),
                Err(error) => Err(PersistError::io(
                    Step::SyncDirectory,
                    &self.directory,
                    error,
                )),
            };
        }
        let error = io::Error::from(ErrorKind::AlreadyExists);
        Err(PersistError::io(Step::SetAside, &self.path, error))
    }

    /// Whether the lock file is still the one that is locked. Not airtight, since it may be removed just after, but it
    /// notices a lock file that was tidied away, and a directory that was deleted and made again.
    #[cfg(unix)]
    fn check_lock(&self) -> Result<(), PersistError> {
        use std::os::unix::fs::MetadataExt;

        let identity = |meta: io::Result<fs::Metadata>| meta.map(|meta| (meta.dev(), meta.ino()));
        let held = identity(self.lock.metadata());
        let named = match identity(fs::symlink_metadata(&self.lock_path)) {
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

    /// Where files have no number that identifies them: whether both names can still be asked after. (Windows removes
    /// no file that is open.)
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

/// Creates a file that must not exist. A private one can be read by its owner alone, until it takes over the mode of the
/// file that it replaces; others get the mode that the process gives to its files.
#[cfg_attr(not(unix), allow(unused_variables))]
fn create(path: &Path, is_private: bool) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path)
}

/// Gives a file the owner and group of another one, as far as the operating system allows that, and its mode.
#[cfg(unix)]
fn take_over(file: &File, old: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let new = file.metadata()?;
    let mut mode = old.mode() & 0o7777;
    // Only root may give a file away; the owner may choose among the groups it is in.
    if new.uid() != old.uid() {
        let _ = fchown(file, Some(old.uid()), None);
    }
    if new.gid() != old.gid() && fchown(file, None, Some(old.gid())).is_err() {
        // What its group could do is not for another group.
        mode &= !0o070;
    }
    // After the owner, since changing that clears bits of the mode.
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn take_over(file: &File, old: &fs::Metadata) -> io::Result<()> {
    file.set_permissions(old.permissions())
}

/// Reads a file, at most `limit` bytes and one more (which shows that it is too long). `None` only if there is nothing at
/// that path; a link to nothing is an error.
///
/// Needs no lock: a reader finds the file before or after a replacement, whole.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, PersistError> {
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| PersistError::io(Step::Read, path, error))?;
    Ok(Some(bytes))
}

/// Reads a whole file, unless its first `HEAD` bytes and its length show that it is not what the caller expects: then it
/// may be of any size.
pub(crate) fn read_whole<const HEAD: usize>(
    path: &Path,
    check: impl FnOnce(&[u8], u64) -> Result<(), FormatError>,
) -> Result<Option<Vec<u8>>, PersistError> {
    let failed = |error| PersistError::io(Step::Read, path, error);
    let Some(mut file) = open(path)? else {
        return Ok(None);
    };
    let len = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::with_capacity(HEAD);
    (&mut file)
        .take(HEAD as u64)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    check(&bytes, len).map_err(|error| PersistError::Format {
        path: path.to_owned(),
        error,
    })?;
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// Opens a regular file; `None` if there is nothing at that path.
fn open(path: &Path) -> Result<Option<File>, PersistError> {
    let failed = |error| PersistError::io(Step::Read, path, error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(_) => {}
    }
    // Asked before opening, because opening a pipe would wait for its other end.
    regular(path, Step::Read)?;
    File::open(path).map(Some).map_err(failed)
}

/// Locks the open lock file. Dropping a [`LockedPath`] only closes it: unlocking would take the lock from a process
/// forked of this one, too.
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

/// Refuses anything but a regular file.
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

/// The real directory and name of a file that may not exist yet. Links are followed, so that one file has one lock under
/// all its names; a link to nothing is an error.
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

/// Makes a rename in a directory survive a power failure. Elsewhere than on Unix a directory can't be opened as a file;
/// there, the file system alone decides when a rename is durable.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}
