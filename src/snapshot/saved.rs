//! Snapshots as bytes and files (feature `persist`): the same envelope and the same way of replacing a file as those of
//! the durable incarnation. Bytes that are not exactly what was written are a typed error.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::records::Snapshot;
use crate::integrations::rows_of;
use crate::persist::envelope::{self, Content};
use crate::persist::file::{self, LockedPath};
use crate::persist::{DurableIncarnation, FormatError, PersistError};

/// The payload is the snapshot in postcard's format. A change of its layout, or of the serialized form of a snapshot,
/// raises the version.
const CONTENT: Content = Content { id: 2, version: 1 };

/// More than a durable incarnation's file has.
const GLANCE: u64 = 64;

/// What [`Snapshot::load_or_set_aside`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loaded<K> {
    /// A snapshot.
    Snapshot(Snapshot<K>),
    /// No file: the first start.
    Missing,
    /// A file that is no snapshot of this build and key type. It was moved, and nothing is at its old path now.
    SetAside {
        /// What is wrong with it.
        error: FormatError,
        /// Where it is now.
        moved_to: PathBuf,
    },
}

impl<K> Loaded<K> {
    /// The snapshot, if there is one.
    #[must_use]
    pub fn snapshot(self) -> Option<Snapshot<K>> {
        match self {
            Self::Snapshot(snapshot) => Some(snapshot),
            Self::Missing | Self::SetAside { .. } => None,
        }
    }
}

impl<K: Serialize + DeserializeOwned + Ord + 'static> Snapshot<K> {
    /// The snapshot as bytes that carry a version and a checksum: compact (10 to 25 bytes a node with an IPv4 socket
    /// address for a key, 12 more with IPv6), the same on every platform. The `serde` form of the key is part of the
    /// format; scope and flow information of a key that is a socket address are kept.
    ///
    /// Cost: one pass to write, one to read it back and compare, one buffer that grows.
    ///
    /// # Errors
    ///
    /// [`PersistError::Unencodable`] if a key can't be serialized and read back, [`PersistError::LossyKey`] if it reads
    /// back as another key.
    pub fn encode(&self) -> Result<Vec<u8>, PersistError> {
        let unencodable = |error: postcard::Error| PersistError::Unencodable {
            why: error.to_string(),
        };
        let payload = postcard::to_allocvec(self).map_err(unencodable)?;
        let mut deserializer = postcard::Deserializer::from_bytes(&payload);
        let read_back = rows_of::<K, _>(&mut deserializer).map_err(unencodable)?;
        let written = self.nodes.iter().chain(&self.tombstones);
        let differs = written
            .zip(read_back.iter().flatten())
            .position(|(written, read)| written != read);
        match differs {
            Some(row) => Err(PersistError::LossyKey { row }),
            None => Ok(envelope::seal(CONTENT, &payload)),
        }
    }

    /// Writes the snapshot to a file, in place of the one that is there. At any moment, and after a power failure, readers
    /// find the old one or the new one, whole. A lock file (`<name>.lock`) next to it keeps two writers apart. The new
    /// file has the mode of the old one.
    ///
    /// Cost: that of [`encode`](Self::encode), and the sync of a file and of a directory (fractions of a millisecond to
    /// many). The tracker that the snapshot was taken of is not concerned.
    ///
    /// # Errors
    ///
    /// Those of [`encode`](Self::encode), or what the disk refused: the file then is as it was, or (`SyncDirectory`)
    /// replaced as a whole. [`Locked`](PersistError::Locked) if another writer has it, for a tenth of a second.
    /// [`Format`](PersistError::Format) if there is a durable incarnation at that path, which must not get lost.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use incarnation::{Claim, Clock, IncarnationTracker, Snapshot};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("members");
    /// let clock = Clock::monotonic();
    /// let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let _ = tracker.update("a:1", Claim::alive(7), clock.now());
    /// tracker.snapshot(clock.now()).save(&path)?;
    ///
    /// // After a restart:
    /// let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// if let Some(snapshot) = Snapshot::load_or_set_aside(&path)?.snapshot() {
    ///     assert_eq!(tracker.merge(&snapshot, clock.now()).joined, 1);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PersistError> {
        let bytes = self.encode()?;
        let file = LockedPath::acquire(path.as_ref())?;
        refuse_durable_incarnation(&file)?;
        file.replace(&bytes)
    }
}

impl<K: DeserializeOwned + Ord + 'static> Snapshot<K> {
    /// Reads the bytes that [`encode`](Self::encode) made. Never panics (unless reading a key does), and allocates in
    /// proportion to the bytes, whatever they claim. Cost: one pass over the bytes, and a sort of rows that are in order.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes. They are never trusted in part.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let payload = envelope::open(CONTENT, bytes)?;
        match postcard::take_from_bytes(payload) {
            Ok((snapshot, [])) => Ok(snapshot),
            _ => Err(FormatError::Payload),
        }
    }

    /// Reads a file that [`save`](Self::save) wrote; `None` only if there is nothing at that path. Takes no lock: a
    /// reader finds the file before or after a replacement, whole.
    ///
    /// A program that is to start whatever became of the file calls [`load_or_set_aside`](Self::load_or_set_aside).
    ///
    /// Cost: the file is read into memory, and then as [`decode`](Self::decode). Of a file that does not begin as a
    /// snapshot, or has another length than its first bytes say, only those are read.
    ///
    /// Ages are as of the snapshot; [`aged`](Self::aged) adds the time since, where the caller knows it.
    ///
    /// # Errors
    ///
    /// [`Format`](PersistError::Format) if the file is not exactly what was written, of another version, or holds
    /// something else; [`NotAFile`](PersistError::NotAFile) and [`Io`](PersistError::Io) if it can't be read. It stays as
    /// it is.
    pub fn load(path: impl AsRef<Path>) -> Result<Option<Self>, PersistError> {
        let path = path.as_ref();
        let bytes = file::read_whole::<{ envelope::HEAD }>(path, envelope::check_head)?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        match Self::decode(&bytes) {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(error) => Err(PersistError::Format {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// Reads a file that [`save`](Self::save) wrote, and moves one that is no such file out of the way. So a damaged
    /// snapshot does not keep a program from starting, and stays for a look at it.
    ///
    /// A node without its snapshot begins with its seeds and learns the rest by gossip. It does not know of deaths of
    /// before, so old gossip can bring dead nodes back for as long as it is handed round.
    ///
    /// A file that is damaged, of another version, of another key type or not of this crate is moved to
    /// `<name>.damaged-1`, or the next number that no file has. Nothing is deleted or overwritten. A durable incarnation,
    /// whole or damaged, is never moved: a path to one is a mistake in the configuration.
    ///
    /// Cost: as [`load`](Self::load), under the lock that [`save`](Self::save) takes; to move a file, the sync of a
    /// directory.
    ///
    /// # Errors
    ///
    /// [`Format`](PersistError::Format) for a durable incarnation, [`Locked`](PersistError::Locked) while another process
    /// writes; [`NotAFile`](PersistError::NotAFile) and [`Io`](PersistError::Io) if the file can't be read or moved.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use incarnation::{Loaded, Snapshot};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("members");
    /// std::fs::write(&path, "not a snapshot")?;
    /// match Snapshot::<String>::load_or_set_aside(&path)? {
    ///     Loaded::Snapshot(snapshot) => println!("{} nodes", snapshot.nodes().len()),
    ///     Loaded::SetAside { error, moved_to } => eprintln!("{}: {error}", moved_to.display()),
    ///     _ => println!("first start"),
    /// }
    /// assert!(!path.exists() && directory.path().join("members.damaged-1").exists());
    /// # Ok(()) }
    /// ```
    pub fn load_or_set_aside(path: impl AsRef<Path>) -> Result<Loaded<K>, PersistError> {
        let path = path.as_ref();
        // Whole files need no lock, and a first start in a directory that can't be written is one, too.
        match Self::load(path) {
            Ok(Some(snapshot)) => return Ok(Loaded::Snapshot(snapshot)),
            Ok(None) => return Ok(Loaded::Missing),
            Err(PersistError::Format { .. }) => {}
            Err(error) => return Err(error),
        }
        // Again, now that no writer can replace the file between the look at it and the move.
        let file = LockedPath::acquire(path)?;
        refuse_durable_incarnation(&file)?;
        match Self::load(file.path()) {
            Ok(Some(snapshot)) => Ok(Loaded::Snapshot(snapshot)),
            Ok(None) => Ok(Loaded::Missing),
            Err(PersistError::Format { error, .. }) => Ok(Loaded::SetAside {
                error,
                moved_to: file.set_aside()?,
            }),
            Err(error) => Err(error),
        }
    }
}

/// An error if the file is a durable incarnation, whole or damaged.
fn refuse_durable_incarnation(file: &LockedPath) -> Result<(), PersistError> {
    let there = file.read(GLANCE)?;
    if there.is_some_and(|there| DurableIncarnation::is_its_file(&there)) {
        return Err(PersistError::Format {
            path: file.path().to_owned(),
            error: FormatError::OtherContent { found: 1 },
        });
    }
    Ok(())
}
