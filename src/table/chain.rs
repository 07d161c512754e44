//! The chains: finding, linking and unlinking entries.
//!
//! A chain only grows at its head and loses entries anywhere. Whoever stands on an unlinked entry
//! still finds its way: `next` stays frozen until the grace period is over, and points to an entry
//! further on; nothing is ever inserted in between. Unlinking is for the holder of the shard's
//! shard lock alone, so `next` needs no mark bits.

use core::hint::select_unpredictable;

use super::Table;
use super::entry::{Entry, EntryState, Index};
use super::indexes::Indexes;
use crate::sync::atomic::{AtomicU32, Ordering};

/// What walking a chain came to.
pub(super) enum Step<'t, K, D> {
    /// The entry of the key, live or vacant still, as it was seen.
    Found(&'t Entry<K, D>, Index, EntryState),
    /// There is none.
    Missing,
}

impl<K, D> Table<K, D> {
    /// The entry that holds the key `is` recognises and whose life is not over, in the chain that
    /// begins at `first`.
    ///
    /// Wait-free: one pass, no store. The caller is pinned.
    ///
    #[inline(always)]
    pub(super) fn walk(&self, first: u32, hash: u32, is: impl Fn(&K) -> bool) -> Step<'_, K, D> {
        let mut next = self.begin(first, hash);
        while let Some(index) = Index::new(next) {
            let entry = self.slab.entry(index);
            // SAFETY: the entry was linked when the caller, who is pinned, came to it.
            let matches = unsafe { entry.hash() == hash && is(entry.key()) };
            // Of several entries with one key, all but one are evicted.
            if matches {
                let entry_state = entry.entry_state();
                if entry_state != EntryState::Evicted {
                    return Step::Found(entry, index, entry_state);
                }
            }
            // Acquire: as for the second, further on.
            next = entry.next.load(Ordering::Acquire);
        }
        Step::Missing
    }

    /// Where a walk begins: at the first entry of the chain, or at the second if the first is of another
    /// hash. The caller is pinned.
    ///
    /// Which of the two holds a key is chance, which a branch would guess wrong too often, and find out
    /// only when the entry has arrived from memory. So it is no branch.
    #[inline(always)]
    pub(super) fn begin(&self, first: u32, hash: u32) -> u32 {
        // An empty chain begins at place 0, which nobody ever occupies: its `next` is 0.
        let entry = self.slab.place(first);
        // Acquire: whoever misses an entry because it was unlinked here must find its tombstone, which was
        // written before. (The entry behind was linked before this one, so it is whole.) Pinned by
        // `tombstones::old_claim_against_burial_in_the_middle`.
        let second = entry.next.load(Ordering::Acquire);
        // SAFETY: the entry was linked when the caller, who is pinned, came to it; or it is place 0,
        // whose hash nobody ever writes.
        let is_first = unsafe { entry.hash() } == hash;
        select_unpredictable(is_first, first, second)
    }

    /// The first entry of a hash's chain.
    #[inline(always)]
    pub(super) fn first(&self, hash: u32) -> u32 {
        // Acquire: with the Release in `link`, the entry is as its inserter left it. Pinned by
        // `inserts::a_linked_entry_is_whole`.
        self.head(hash).load(Ordering::Acquire)
    }

    #[inline(always)]
    fn head(&self, hash: u32) -> &AtomicU32 {
        let head = self.head_of(hash);
        debug_assert!(head < self.heads.len());
        // SAFETY: the mask leaves numbers below that of the heads, a power of two.
        unsafe { self.heads.get_unchecked(head) }
    }

    /// Puts an occupied, vacant entry in front of a chain whose first entry must still be `first`;
    /// says what it is instead.
    ///
    /// Two entries of one key can't both be linked: both inserters walked the chain from the `first`
    /// that they swing. And `first` can't have come back as another: its inserter is pinned.
    pub(super) fn link(&self, first: u32, hash: u32, index: Index) -> Result<(), u32> {
        // Relaxed: published by the exchange.
        self.slab.entry(index).next.store(first, Ordering::Relaxed);
        self.head(hash)
            .compare_exchange(
                first,
                index.get(),
                // Release: publishes the entry. Pinned by `inserts::a_linked_entry_is_whole`.
                // Acquire: since `first` was read, the key may have lived, died and been unlinked
                // behind our back; its tombstone must be seen by the look that follows. Pinned by
                // `tombstones::a_whole_life_inside_an_old_claim`.
                Ordering::AcqRel,
                // Acquire: the caller walks on from it.
                Ordering::Acquire,
            )
            .map(drop)
    }

    /// Unlinks every evicted entry of a chain and adds it to `unlinked`. For the shard lock's holder.
    pub(super) fn unlink_evicted(&self, head: usize, unlinked: &mut Indexes) {
        let head = &self.heads[head];
        let mut previous: Option<&Entry<K, D>> = None;
        // Acquire: as in `first`.
        let mut next = head.load(Ordering::Acquire);
        while let Some(index) = Index::new(next) {
            let entry = self.slab.entry(index);
            // Acquire: unlinkings made here before are passed on with the one we may make.
            let after = entry.next.load(Ordering::Acquire);
            if entry.entry_state() != EntryState::Evicted {
                previous = Some(entry);
                next = after;
                continue;
            }
            match previous {
                // Release: whoever misses the entry because of this store must find its tombstone.
                // Pinned by `tombstones::a_burial_whose_unlinking_is_handed_over`.
                Some(previous) => previous.next.store(after, Ordering::Release),
                None => {
                    let swung = head.compare_exchange(
                        index.get(),
                        after,
                        // Release: as for the store above. Pinned by
                        // `tombstones::a_burial_at_the_head_is_handed_over`.
                        Ordering::Release,
                        // Acquire: we walk on from it.
                        Ordering::Acquire,
                    );
                    if let Err(newer) = swung {
                        // Somebody linked in front: start over, the entry has a predecessor now.
                        next = newer;
                        continue;
                    }
                }
            }
            unlinked.push(index);
            next = after;
        }
    }
}
