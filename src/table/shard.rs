//! The shard lock: which thread may unlink, and how logically deleted entries are handed over.
//!
//! A shard is a range of heads. Its shard lock is a try-lock that nobody ever waits for: an evictor that
//! does not get it leaves its entry behind as logically deleted entries, and the holder must not miss that. So
//!
//! ```text
//! evictor                              holder
//!   evict (the packed state)                     unlink what is evicted
//!   logically deleted entries += 1                          release the shard lock
//!   fence                                fence
//!   try the shard lock                       logically deleted entries moved since? try again
//! ```
//!
//! and one of the two always sees the other. No sweeper is needed for it.

use core::mem;

use super::entry::Index;
use super::indexes::Indexes;
use super::{HEADS_PER_SHARD, Table};
use crate::sync::atomic::plain::{AtomicBool, AtomicU64};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::cell::UnsafeCell;

#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Shard {
    lock: AtomicBool,
    /// Counts the evictions in this shard.
    pending_unlink: AtomicU64,
    /// How many of them were taken care of. The shard lock holder's.
    handled: UnsafeCell<u64>,
}

// SAFETY: `handled` is touched only by the holder of the shard lock.
unsafe impl Sync for Shard {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Shard {}

impl<K, D> Table<K, D> {
    /// Unlinks an entry that the caller evicted, and whatever else is evicted in its shard by then;
    /// or leaves it to the thread that holds the lock. What was unlinked is added to `unlinked`.
    pub(super) fn clear_up(&self, hash: u32, index: Index, unlinked: &mut Indexes) {
        if self.unlink_only(hash, index) {
            unlinked.push(index);
            return;
        }
        let head = self.head_of(hash);
        let shard = &self.shards[head / HEADS_PER_SHARD];
        // Release: a thread that counts this eviction sees the evicted packed state.
        let mine = shard.pending_unlink.fetch_add(1, Ordering::Release);
        // SeqCst: against the holder's fence below. Either we see its shard lock released, or it sees
        // our count. Pinned by `evictions::pending_unlink_is_handed_over`.
        fence(Ordering::SeqCst);
        loop {
            if !shard.try_acquire() {
                return;
            }
            // Acquire: the evicted packed states that were counted.
            let seen = shard.pending_unlink.load(Ordering::Acquire);
            let handled = shard.handled.with_mut(|handled| {
                // SAFETY: we hold the shard lock.
                mem::replace(unsafe { &mut *handled }, seen)
            });
            if handled == mine && seen == mine + 1 {
                // Ours is all there is.
                self.unlink_evicted(head, unlinked);
            } else if handled != seen {
                let first = head - head % HEADS_PER_SHARD;
                let end = self.heads.len().min(first + HEADS_PER_SHARD);
                for head in first..end {
                    self.unlink_evicted(head, unlinked);
                }
            }
            shard.release();
            // SeqCst: against the evictors' fence above.
            fence(Ordering::SeqCst);
            // Relaxed: the fence decides what is seen.
            if shard.pending_unlink.load(Ordering::Relaxed) == seen {
                return;
            }
        }
    }
}

impl Shard {
    fn try_acquire(&self) -> bool {
        self.lock
            // Acquire: what the holder before did to the chains. Relaxed: nothing is read without it.
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    fn release(&self) {
        // Release: see `try_acquire`. Pinned by `evictions::pending_unlink_is_handed_over`.
        self.lock.store(false, Ordering::Release);
    }
}
