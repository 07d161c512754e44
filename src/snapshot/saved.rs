//! Snapshots as bytes and files (feature `persist`): the same envelope and the same way of replacing
//! a file as the durable incarnation's. What is not exactly what was written is a typed error.
#![forbid(unsafe_code)]

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Snapshot;
use crate::persist::envelope::{self, Content};
use crate::persist::file::{self, LockedPath};
use crate::persist::{DurableIncarnation, FormatError, PersistError};

/// The payload is the snapshot in postcard's format. A change of its layout, or of what serializing a
/// snapshot makes of it, raises the version.
const CONTENT: Content = Content { id: 2, version: 1 };

/// More than a durable incarnation's file has.
const GLANCE: u64 = 64;

impl<K: Serialize> Snapshot<K> {
    /// The snapshot as bytes that carry a version and a checksum: compact (10 to 25 bytes a node with
    /// an IPv4 socket address for a key, 12 more with IPv6), the same on every platform. What the key makes of itself with
    /// `serde` is part of the format. Cost: one pass, one buffer that grows.
    ///
    /// # Errors
    ///
    /// [`PersistError::Unencodable`] if a key can't be serialized.
    pub fn encode(&self) -> Result<Vec<u8>, PersistError> {
        let payload = postcard::to_allocvec(self).map_err(|error| PersistError::Unencodable {
            why: error.to_string(),
        })?;
        Ok(envelope::seal(CONTENT, &payload))
    }

    /// Writes the snapshot to a file, in place of the one that is there: readers find the old one or the
    /// new one, whole, at any moment, and after a power failure, too. A lock file (`<name>.lock`) next to
    /// it keeps two writers apart.
    ///
    /// Cost: the bytes, the sync of a file and of a directory (fractions of a millisecond to many), and
    /// nothing of it concerns the tracker that the snapshot was taken of.
    ///
    /// # Errors
    ///
    /// [`Unencodable`](PersistError::Unencodable), or what the disk refused: the file is as it was
    /// then, or (`SyncDirectory`) replaced as a whole. [`Locked`](PersistError::Locked) if another
    /// writer has it, for a tenth of a second. [`Format`](PersistError::Format) if there is a durable incarnation at
    /// that path, which must not get lost.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use incarnation::{Claim, Clock, IncarnationTracker, Snapshot};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("members");
    /// let clock = Clock::monotonic();
    /// let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let _ = tracker.update(&"a:1".into(), Claim::alive(7), clock.now());
    /// tracker.snapshot(clock.now()).save(&path)?;
    ///
    /// // After a restart:
    /// let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// if let Some(snapshot) = Snapshot::load(&path)? {
    ///     assert_eq!(tracker.merge(&snapshot, clock.now()).joined, 1);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PersistError> {
        let bytes = self.encode()?;
        let file = LockedPath::acquire(path.as_ref())?;
        if let Some(there) = file.read(GLANCE)?
            && DurableIncarnation::is_its_file(&there)
        {
            return Err(PersistError::Format {
                path: file.path().to_owned(),
                error: FormatError::OtherContent { found: 1 },
            });
        }
        file.replace(&bytes)
    }
}

impl<K: DeserializeOwned + Ord> Snapshot<K> {
    /// Reads what [`encode`](Self::encode) made. Never panics (unless reading a key does), and allocates
    /// in proportion to the bytes, whatever they claim. Cost: one pass over the bytes, and a sort of rows that are in order.
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

    /// Reads a file that [`save`](Self::save) wrote; `None` only if there is nothing at that path.
    /// Takes no lock: a replacement is seen as a whole or not at all.
    ///
    /// Cost: the file is read into memory, and then as [`decode`](Self::decode).
    ///
    /// Ages are as of the snapshot; [`aged`](Self::aged) adds the time since, where the caller knows it.
    ///
    /// # Errors
    ///
    /// [`Format`](PersistError::Format) if the file is not exactly what was written, of another
    /// version, or holds something else; [`NotAFile`](PersistError::NotAFile) and
    /// [`Io`](PersistError::Io) if it can't be read. It stays as it is.
    pub fn load(path: impl AsRef<Path>) -> Result<Option<Self>, PersistError> {
        let path = path.as_ref();
        // As long as it may be: it is the caller's file.
        let Some(bytes) = file::read(path, u64::MAX)? else {
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
}
