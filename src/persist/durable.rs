//! The local node's incarnation on disk: a mark below which every incarnation may have been used.
//!
//! The mark is raised, a block of incarnations at a time, *before* the first of a block is given out. So a process that is
//! killed at any moment leaves a mark at or above all that it can have announced. [`Local`](crate::Local) asks a
//! [`Reservation`] before it moves; the tracker's builder makes one of the [`DurableIncarnation`] that a program opens.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::PersistError;
use super::envelope::{self, Content, FormatError};
use super::file::LockedPath;
use crate::Incarnation;
use crate::rule::Policy;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The payload is the mark, a `u64`.
const CONTENT: Content = Content { id: 1, version: 1 };
/// Bytes of the whole file.
const LEN: u64 = (envelope::OVERHEAD + size_of::<u64>()) as u64;
/// Refutations are rare (one for each time the node is suspected), and restarts may follow each other quickly: a few more
/// writes are better than marks that run ahead.
const DEFAULT_BLOCK: u64 = 32;

/// The local node's incarnation in a file, which is open, locked and checked; to be handed to
/// [`Builder::local_durable`](crate::Builder::local_durable).
///
/// A restarted node then never uses an incarnation that it may have announced before, even after `kill -9` or a power
/// failure. It comes back at least `min_rejoin_bump` above, which its peers ask of a node that they declared dead. At the
/// very end of the range it comes back at `max_incarnation`, which they accept too.
///
/// Incarnations are reserved on disk in blocks. A refutation costs a disk write (a sync of file and directory, a
/// millisecond or many, in the thread that calls [`refute`](crate::Local::refute)) only when a block is used up. A restart
/// skips the rest of its block: at most [`block`](Self::block) and bump together.
///
/// One process at a time owns the file, by a lock on `<file>.lock`. The lock ends when the tracker with all its clones and
/// handles does. A process that forks without executing another program must go on with the tracker in one of the two
/// only, since both hold the lock. On file systems whose locks or syncs do nothing (some network file systems), none of
/// this holds.
///
/// # A missing file
///
/// A *missing* file is a first start, so keep it where it can't get lost: not in `/tmp`, nor under a mount that may come
/// up late. A node whose file was lost begins at 0 again, below what its peers know of it:
///
/// - Its own `Alive` claims are stale, and its peers go on with what they know. If they hold it for Dead, it stays dead.
/// - It catches up when its peers contradict it: a claim about it at a higher incarnation is answered by
///   [`Local::answer`](crate::Local::answer) with one above that, and a rejoin refused as
///   [`Zombie`](crate::Rejection::Zombie) or [`Tombstone`](crate::Rejection::Tombstone) names the incarnation it takes.
/// - Until then it can repeat incarnations that it used before, so peers may take an old claim for a new one.
///
/// A node that can have another name or address needs none of this: under a new key its history does not matter.
///
/// # A damaged file
///
/// [`open`](Self::open) fails with [`PersistError::Format`], and the node must not start as if the file were missing. Keep
/// the file for a look at it, and do one of these:
///
/// - Restore a copy of the file, and give it some room: a [`local_incarnation`](crate::Builder::local_incarnation) well
///   above the copy's mark, since the node may have announced more since. With the damaged file moved away, the first
///   run starts there.
/// - Ask a peer for the incarnation it holds of this node (`tracker.get(&node)` there), move the file away, and start with
///   a [`local_incarnation`](crate::Builder::local_incarnation) above it by `min_rejoin_bump` or more.
/// - Start under a new key.
///
/// # Example
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use incarnation::IncarnationTracker;
/// use incarnation::persist::DurableIncarnation;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("incarnation");
/// let start = || -> Result<_, Box<dyn std::error::Error>> {
///     let tracker: IncarnationTracker = IncarnationTracker::builder()
///         .local_durable(DurableIncarnation::open(&path)?)
///         .build()?;
///     Ok(tracker)
/// };
/// let tracker = start()?;
/// let announced = tracker.local().refute(tracker.local().current())?;
/// drop(tracker); // or kill -9
/// assert!(start()?.local().current().get() >= announced.get() + 5);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "give it to the builder"]
pub struct DurableIncarnation {
    file: LockedPath,
    mark: Option<Incarnation>,
    block: Option<u64>,
}

impl DurableIncarnation {
    /// Opens and locks the file at `path`. Writes nothing yet, except an empty lock file next to it, which is readable by
    /// its owner alone and never opened through a link. Cost: a few system calls; while another process holds the lock, up
    /// to a tenth of a second.
    ///
    /// # Errors
    ///
    /// [`PersistError::Locked`] if it is in use and stays so for a tenth of a second; [`Format`](PersistError::Format) or
    /// [`NotAFile`](PersistError::NotAFile) if the file is not a mark that this crate wrote, whole and undamaged;
    /// [`Io`](PersistError::Io) if its directory does not exist, or the operating system refuses for another reason. The
    /// file is left as it was.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PersistError> {
        let file = LockedPath::acquire(path.as_ref())?;
        let mark = match file.read(LEN)? {
            None => None,
            Some(bytes) => Some(Self::decode(&bytes).map_err(|error| PersistError::Format {
                path: file.path().to_owned(),
                error,
            })?),
        };
        Ok(Self {
            file,
            mark,
            block: None,
        })
    }

    /// How many incarnations to reserve at a time. Default: 32, or less if the tracker's limits leave
    /// no room for that many.
    ///
    /// With `min_rejoin_bump` it must not exceed an eighth of `refute_limit` (else building
    /// the tracker is a [`PersistError::BlockSize`]), so that a few restarts in a row that no peer saw
    /// never look like an invented incarnation.
    pub fn block(mut self, incarnations: u64) -> Self {
        self.block = Some(incarnations);
        self
    }

    /// The highest incarnation that an earlier run may have used; `None` on a first start.
    #[must_use]
    pub fn mark(&self) -> Option<Incarnation> {
        self.mark
    }

    /// Reads the content of such a file: the highest incarnation that may have been used. For
    /// tools; takes no lock, allocates nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes. They are never trusted in part.
    pub fn decode(bytes: &[u8]) -> Result<Incarnation, FormatError> {
        let payload = envelope::open(CONTENT, bytes)?;
        let mark = <[u8; 8]>::try_from(payload).map_err(|_| FormatError::Payload)?;
        let mark = Incarnation::new(u64::from_le_bytes(mark));
        if mark > Incarnation::MAX {
            return Err(FormatError::Payload);
        }
        Ok(mark)
    }

    /// Whether bytes begin as such a file does, even if they are damaged or of another version.
    pub(crate) fn is_its_file(bytes: &[u8]) -> bool {
        envelope::begins_as(CONTENT, bytes)
    }

    /// Begins a run that would start at `first` if there had been none before: the incarnation to
    /// start at, already reserved on disk, and what reserves the next ones.
    pub(crate) fn begin(
        self,
        first: Incarnation,
        policy: &Policy,
    ) -> Result<(Incarnation, Reservation), PersistError> {
        let max = policy.max_incarnation;
        // At least 1: the mark itself may have been used.
        let bump = policy.min_rejoin_bump.max(1);
        let limit = policy.refute_limit / 8;
        let block = self
            .block
            .unwrap_or_else(|| DEFAULT_BLOCK.min(limit.saturating_sub(bump)).max(1));
        if block == 0 || block.saturating_add(bump) > limit {
            return Err(PersistError::BlockSize { block, bump, limit });
        }
        let start = match self.mark {
            None => first,
            Some(mark) if mark >= max => return Err(PersistError::Exhausted { mark, max }),
            Some(mark) => first.max(mark.saturating_add(bump).min(max)),
        };
        // Even the start must be on disk before it is announced.
        let through = raise(&self.file, start.get(), block, max.get())?;
        let reservation = Reservation {
            through: AtomicU64::new(through),
            max: max.get(),
            block,
            file: Mutex::new(self.file),
        };
        Ok((start, reservation))
    }
}

/// Reserves a block that begins at `incarnation`; the new mark.
fn raise(file: &LockedPath, incarnation: u64, block: u64, max: u64) -> Result<u64, PersistError> {
    let mark = incarnation.saturating_add(block - 1).min(max);
    file.replace(&envelope::seal(CONTENT, &mark.to_le_bytes()))?;
    Ok(mark)
}

/// The incarnations that are safe to give out, because the mark on disk is not below them.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// The highest of them: what the file says, or less. Only rises.
    through: AtomicU64,
    max: u64,
    block: u64,
    /// Taken only to write. Poisoning is of no concern: it guards the file, not what is in memory.
    file: Mutex<LockedPath>,
}

impl Reservation {
    /// Makes sure that `incarnation` (at most `max`) may be given out. Cost: one load. When the block is used up, a disk
    /// write, for which other threads that need one wait too.
    #[inline]
    pub(crate) fn cover(&self, incarnation: u64) -> Result<(), PersistError> {
        // Acquire: an incarnation is given out after the write that reserved it.
        if incarnation <= self.through.load(Ordering::Acquire) {
            return Ok(());
        }
        self.extend(incarnation)
    }

    #[cold]
    fn extend(&self, incarnation: u64) -> Result<(), PersistError> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: it changes only under the lock, and the mutex orders that.
        if incarnation <= self.through.load(Ordering::Relaxed) {
            return Ok(());
        }
        // On an error the file holds the old mark or the new one: neither is below what was given
        // out, and the next call tries again.
        let mark = raise(&file, incarnation, self.block, self.max)?;
        // Release: pairs with the load in `cover`.
        self.through.store(mark, Ordering::Release);
        Ok(())
    }
}
