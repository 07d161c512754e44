//! The shard lock: which thread may unlink, and how logically deleted entries are handed over.
//!
//! A shard is a range of heads. Its shard lock is a try-lock that no thread ever waits for: an evictor that does not get it
//! leaves its entry behind, logically deleted, and the holder must not miss that. So the lock and the mark that more waits
//! are one word, and each step is one exchange, or two if the first fails:
//!
//! ```text
//! evictor                                       holder
//!   evict (the packed state)                      unlink what is evicted
//!   free -> held: it holds the lock               held -> free: done
//!   else -> more waits: the holder does it        more waits -> held: look at the whole shard again
//! ```
//!
//! No sweeper is needed for it.

use super::entry::Index;
use super::indexes::Indexes;
use super::zeroed::Zeroable;
use super::{HEADS_PER_SHARD, Table};
use crate::sync::atomic::Ordering;
use crate::sync::atomic::plain::AtomicU32;

/// No thread unlinks here, and no entry waits for it.
const FREE: u32 = 0;
/// A thread unlinks here.
const HELD: u32 = 1;
/// The same, and others have left entries to it.
const MORE_WAITS: u32 = 2;

#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Shard(AtomicU32);

// SAFETY: an atomic integer of zeroes is valid, and free. It needs no drop.
unsafe impl Zeroable for Shard {}

impl<K, D> Table<K, D> {
    /// Unlinks an entry that the caller evicted, and whatever else is evicted in its shard by then;
    /// or leaves it to the thread that holds the lock. What was unlinked is added to `unlinked`.
    pub(super) fn clear_up(&self, hash: u32, index: Index, unlinked: &mut Indexes) {
        if self.unlink_only(hash, index) {
            unlinked.push(index);
        } else {
            self.clear_up_locked(hash, unlinked);
        }
    }

    /// The same for an entry that is not alone in its chain.
    pub(super) fn clear_up_locked(&self, hash: u32, unlinked: &mut Indexes) {
        let head = self.head_of(hash);
        let shard = &self.shards[head / HEADS_PER_SHARD];
        if !shard.hold_or_hand_over() {
            return;
        }
        self.unlink_evicted(head, unlinked);
        while !shard.release() {
            let first = head - head % HEADS_PER_SHARD;
            let end = self.heads.len().min(first + HEADS_PER_SHARD);
            for head in first..end {
                self.unlink_evicted(head, unlinked);
            }
        }
    }
}

impl Shard {
    /// Takes the lock; or leaves what the caller evicted to the thread that holds it.
    fn hold_or_hand_over(&self) -> bool {
        self.0
            // Acquire: what the holder before did to the chains. Relaxed: nothing is read without the lock.
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            // Release: the evicted packed state, to the holder. Acquire: as above, if the lock was freed meanwhile; then
            // this thread looks at the whole shard. Pinned by `evictions::pending_unlink_is_handed_over`.
            || self.0.swap(MORE_WAITS, Ordering::AcqRel) == FREE
    }

    /// Gives the lock back; false if entries were left to the holder, which still has the lock then.
    fn release(&self) -> bool {
        let released = self
            .0
            // Release: see `hold_or_hand_over`. Pinned by `evictions::pending_unlink_is_handed_over`. Relaxed: the
            // exchange below acquires.
            .compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed)
            .is_ok();
        if !released {
            // Acquire: the evicted packed states that were left here. Pinned by
            // `evictions::pending_unlink_of_another_chain_is_handed_over`.
            self.0.swap(HELD, Ordering::Acquire);
        }
        released
    }
}
