//! The chains: finding, linking and unlinking entries.
//!
//! A chain only grows at its head and loses entries anywhere. A reader that stands on an unlinked entry
//! still finds its way: `next` stays frozen until the grace period is over, and points to an entry
//! further on; nothing is ever inserted in between. Only the holder of the shard's lock changes the `next` of a
//! linked entry, so `next` needs no mark bits.
//!
//! A head names the first entry by its number within the head's [class](super::classes); `next` is an index.
//! An empty head names a place that is never occupied. A walk may look at it as at any other: its packed state is that of
//! no live entry, and its `next` is 0.

use core::hint::select_unpredictable;
use core::ptr;

use super::Table;
use super::classes::rarely;
use super::entry::{Entry, EntryState, Index};
use super::indexes::Indexes;
use crate::rule::PackedState;
use crate::sync::atomic::{AtomicU16, Ordering};

/// The entry of a key, live or vacant still, as it was seen.
pub(super) type Found<'t, K, D> = (&'t Entry<K, D>, Index, EntryState);

impl<K, D> Table<K, D> {
    /// The live entry of the key that `is` recognises: what a lookup needs. A vacant entry is no node yet, so it is passed
    /// over.
    ///
    /// Wait-free: one pass, no store. The caller is pinned.
    #[inline(always)]
    pub(super) fn find_live(
        &self,
        hash: u32,
        is: impl Fn(&K) -> bool,
    ) -> Option<(&Entry<K, D>, Index, PackedState)> {
        // Before the Acquire, after which the compiler would have to read again where the array is.
        let entries = self.slab.entries();
        walk(entries, self.start(entries, hash), hash, |entry| {
            let packed = entry.packed()?;
            // SAFETY: a live entry holds a key, and keeps it while the caller is pinned.
            is(unsafe { entry.key() }).then(|| (entry, index_of(entries, entry), packed))
        })
    }

    /// The entry of the key that `is` recognises, live or vacant, and what its packed state said.
    ///
    /// Wait-free: one pass, no store. The caller is pinned.
    pub(super) fn find(&self, hash: u32, is: impl Fn(&K) -> bool) -> Option<Found<'_, K, D>> {
        self.find_from(self.first(hash), hash, is)
    }

    /// Whether the chain that begins at `first` has an entry of this hash: seldom, where the key is not in it. The caller is
    /// pinned.
    #[inline(always)]
    pub(super) fn has_hash(&self, first: usize, hash: u32) -> bool {
        walk(self.slab.entries(), first, hash, |_| Some(())).is_some()
    }

    /// The same as [`find`](Self::find) in the chain that begins at `first`.
    pub(super) fn find_from(
        &self,
        first: usize,
        hash: u32,
        is: impl Fn(&K) -> bool,
    ) -> Option<Found<'_, K, D>> {
        let entries = self.slab.entries();
        walk(entries, first, hash, |entry| {
            let entry_state = entry.entry_state();
            // Of several entries with one key, all but one are evicted.
            let holds_key = match entry_state {
                EntryState::Live(_) => true,
                EntryState::Vacant => entry.is_occupied(),
                EntryState::Evicted => false,
            };
            // SAFETY: it holds a key, and keeps it while the caller is pinned.
            (holds_key && is(unsafe { entry.key() }))
                .then(|| (entry, index_of(entries, entry), entry_state))
        })
    }

    /// Where a lookup begins. In a small table nearly all nodes are first of their chains, so the processor guesses that, and
    /// begins with the entry before its hash is compared. In a large one fewer are, and a wrong guess is found out only when the
    /// entry has arrived from memory.
    #[inline(always)]
    fn start(&self, entries: &[Entry<K, D>], hash: u32) -> usize {
        let first = self.first(hash);
        if self.slab.classes().is_one() {
            first
        } else {
            rarely();
            begin(entries, first, hash)
        }
    }

    /// The first place of a hash's chain: an index, or a place that is never occupied.
    #[inline(always)]
    pub(super) fn first(&self, hash: u32) -> usize {
        // Acquire: with the Release in `link`, the entry is as its inserter left it. Pinned by
        // `inserts::a_linked_entry_is_whole`.
        let local = self.head(hash).load(Ordering::Acquire);
        self.slab.classes().place(local, hash)
    }

    #[inline(always)]
    fn head(&self, hash: u32) -> &AtomicU16 {
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
    #[inline(always)]
    pub(super) fn link(&self, first: usize, hash: u32, index: Index) -> Result<(), usize> {
        let classes = self.slab.classes();
        let local = classes.local(first as u32);
        // A chain ends with 0, whatever place its empty head names.
        let next = classes.index(local, hash).map_or(0, Index::get);
        // Relaxed: published by the exchange.
        self.slab.entry(index).next.store(next, Ordering::Relaxed);
        self.head(hash)
            .compare_exchange(
                local,
                classes.local(index.get()),
                // Release: publishes the entry. Pinned by `inserts::a_linked_entry_is_whole`.
                // Acquire: since `first` was read, the key may have lived, died and been unlinked
                // behind our back; its tombstone must be seen by the look that follows. Pinned by
                // `tombstones::a_whole_lifetime_inside_an_old_claim`.
                Ordering::AcqRel,
                // Acquire: the caller walks on from it.
                Ordering::Acquire,
            )
            .map(drop)
            .map_err(|local| classes.place(local, hash))
    }

    /// Unlinks an entry that the caller evicted, if it is alone in its chain; takes no lock. The caller is pinned since
    /// before it evicted the entry.
    ///
    /// Nothing is ever linked behind an entry, so one that is last stays last. As long as the head points to it, it was
    /// not unlinked: it can't have come back as another, for which it would need a grace period. And of all that
    /// try to unlink it, one exchange of the head succeeds.
    pub(super) fn unlink_only(&self, hash: u32, index: Index) -> bool {
        // Acquire: the unlinking of an entry behind it is passed on with the one made here, for the tombstone of that
        // entry. Pinned by `tombstones::old_claim_against_an_only_entry_that_hid_the_dead`.
        if self.slab.entry(index).next.load(Ordering::Acquire) != 0 {
            return false;
        }
        self.head(hash)
            .compare_exchange(
                self.slab.classes().local(index.get()),
                0,
                // Release: a reader that misses the entry because of this must find its tombstone. Pinned by
                // `tombstones::old_claim_against_tombstone`.
                Ordering::Release,
                // Relaxed: nothing is read through it.
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Unlinks every evicted entry of a chain and adds it to `unlinked`. For the shard lock's holder.
    pub(super) fn unlink_evicted(&self, head: usize, unlinked: &mut Indexes) {
        let (number, head) = (head as u32, &self.heads[head]);
        let classes = self.slab.classes();
        let mut previous: Option<&Entry<K, D>> = None;
        // Acquire: as in `first`. Pinned by `evictions::an_only_entry_against_a_link_in_front`.
        let mut next = classes.index(head.load(Ordering::Acquire), number);
        while let Some(index) = next {
            let entry = self.slab.entry(index);
            // Relaxed: linked before the head was, which was acquired; or stored by an earlier holder of the lock, which
            // passes it on.
            let after = entry.next.load(Ordering::Relaxed);
            if entry.entry_state() != EntryState::Evicted {
                previous = Some(entry);
                next = Index::new(after);
                continue;
            }
            match previous {
                // Release: a reader that misses the entry because of this store must find its tombstone.
                // Pinned by `tombstones::an_eviction_whose_unlinking_is_handed_over`.
                Some(previous) => previous.next.store(after, Ordering::Release),
                None => {
                    let swung = head.compare_exchange(
                        classes.local(index.get()),
                        classes.local(after),
                        // Release: as for the store above. Pinned by
                        // `tombstones::an_eviction_at_the_head_is_handed_over`.
                        Ordering::Release,
                        // Acquire: as for the load of the head; we walk on from it. Pinned by
                        // `evictions::the_first_of_two_against_a_link_in_front`.
                        Ordering::Acquire,
                    );
                    if let Err(newer) = swung {
                        // Another entry was linked in front: start over, this one has a predecessor now.
                        next = classes.index(newer, number);
                        continue;
                    }
                }
            }
            unlinked.push(index);
            next = Index::new(after);
        }
    }
}

/// The entry at an index, or at a place that is never occupied.
#[inline(always)]
fn at<K, D>(entries: &[Entry<K, D>], place: usize) -> &Entry<K, D> {
    debug_assert!(place < entries.len());
    // SAFETY: heads and chains name only indexes that came out of the slab, which are within the array, and
    // the first places of the classes, which are always there.
    unsafe { entries.get_unchecked(place) }
}

/// The first answer that `look` has of an entry of this hash, from `place` on. The caller is pinned.
///
/// Places are `usize` here, so that each is an address by one shift.
#[inline(always)]
fn walk<'t, K, D, R>(
    entries: &'t [Entry<K, D>],
    mut place: usize,
    hash: u32,
    look: impl Fn(&'t Entry<K, D>) -> Option<R>,
) -> Option<R> {
    loop {
        let entry = at(entries, place);
        // SAFETY: the entry was linked when the caller, which is pinned, came to it; or it was never occupied, and
        // no thread ever writes its hash.
        if unsafe { entry.hash() } == hash
            && let Some(found) = look(entry)
        {
            return Some(found);
        }
        // Acquire: as for the second, further on. Pinned by `tombstones::old_claim_against_tombstone_in_the_middle`.
        place = entry.next.load(Ordering::Acquire) as usize;
        if place == 0 {
            return None;
        }
    }
}

/// The index of an entry that holds a key, one of `entries`. It is made of the entry's address, so that a lookup, which needs
/// no index, keeps nothing for it.
#[inline(always)]
fn index_of<K, D>(entries: &[Entry<K, D>], entry: &Entry<K, D>) -> Index {
    let bytes = ptr::from_ref(entry).addr() - entries.as_ptr().addr();
    // SAFETY: place 0 never holds a key.
    unsafe { Index::new_unchecked((bytes / size_of::<Entry<K, D>>()) as u32) }
}

/// Where a walk in a large table begins: at the first entry of the chain, or at the second if the first is of another
/// hash. The caller is pinned.
///
/// Which of the two holds a key is chance, which a branch would guess wrong too often, and find out
/// only when the entry has arrived from memory. So it is no branch.
#[inline(always)]
pub(super) fn begin<K, D>(entries: &[Entry<K, D>], first: usize, hash: u32) -> usize {
    // The place of an empty head is never occupied: its `next` is 0.
    let entry = at(entries, first);
    // Acquire: a reader that misses an entry because it was unlinked here must find its tombstone, which was
    // written before. (The entry behind was linked before this one, so it is whole.) Pinned by
    // `tombstones::a_judgement_in_a_large_table_against_the_burial_of_the_second_in_the_chain`.
    let second = entry.next.load(Ordering::Acquire);
    // SAFETY: the entry was linked when the caller, which is pinned, came to it; or it was never occupied, and
    // no thread ever writes its hash.
    let is_first = unsafe { entry.hash() } == hash;
    select_unpredictable(is_first, first, second as usize)
}
