//! The table: heads, chains and entries, and what becomes of those that were removed.
//!
//! ```text
//! hash(K) --high half--> heads[h] --> entry i --> entry j --> 0        16-bit heads, one array of entries
//! ```
//!
//! It knows keys and packed states, not policies: [`tracker`](crate::tracker) judges claims. It allocates
//! once, from its limits, never rehashes, never moves an entry, and never waits for a lock.
//!
//! [`Pinned`] is the only way in: what it hands out is protected until it is dropped.

mod cache;
mod chain;
mod classes;
mod entry;
mod indexes;
mod per_thread;
mod pinned;
mod prefetch;
mod retired;
mod shard;
mod slab;
mod thread_number;
mod zeroed;

pub(crate) use cache::Reservation;
#[cfg(incarnation_loom)]
pub use classes::model::with_two_classes;
pub(crate) use entry::{EntryState, Index};
pub(crate) use per_thread::PerThread;
pub(crate) use pinned::{Link, Node, Pinned};
#[cfg(incarnation_loom)]
pub use thread_number::NumbersModel;
pub(crate) use zeroed::{Pages, ZeroedArray};

use core::sync::atomic::AtomicI64;

use crate::reclaim::Domain;
use crate::rule::PackedState;
use crate::sync::Padded;
use crate::sync::atomic::{AtomicU16, AtomicU64};
use crate::sync::thread::yield_now;
use crate::time::Timestamp;

use cache::Caches;
use chain::begin;
use classes::Classes;
use entry::Entry;
use retired::RetiredList;
use shard::Shard;
use slab::Slab;
use zeroed::Zeroable;

/// The size of an entry in bytes, for benchmarks.
#[cfg(feature = "_bench_floor")]
pub(crate) const fn entry_size<K, D>() -> usize {
    size_of::<Entry<K, D>>()
}

/// What is done under one pin. It is not a closure since the compiler does not inline one that is called in two places.
pub(crate) trait Operation<K, D> {
    /// What fits into two registers does not go through memory.
    type Answer;

    fn run(self, pinned: &Pinned<'_, K, D>) -> Self::Answer;
}

/// Most heads one shard covers: few enough for its logically deleted entries to be found by looking at all of them.
const HEADS_PER_SHARD: usize = 256;

// SAFETY: an atomic integer of zeroes is valid, and needs no drop.
unsafe impl Zeroable for AtomicU16 {}
// SAFETY: as above.
unsafe impl Zeroable for AtomicU64 {}

#[derive(Debug)]
pub(crate) struct Table<K, D> {
    /// The first entry of each chain by its number within the head's class, or 0.
    heads: ZeroedArray<AtomicU16>,
    /// Which bits of a hash are the number of its head.
    mask: u32,
    slab: Slab<K, D>,
    shards: ZeroedArray<Shard>,
    retired: RetiredList,
    caches: Caches,
    domain: Domain,
    /// Evicted entries less unlinked ones. A number for people, like the retired list's.
    pending_unlink: AtomicI64,
    /// Live entries and reservations for entries about to become live.
    live: Padded<AtomicU64>,
    hard_limit: u64,
}

/// How large a table is; it never grows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// How many nodes it is laid out for.
    pub(crate) nodes: usize,
    /// How many may be live.
    pub(crate) hard_limit: usize,
    /// How many entries there are: live ones, and those on their way in or out.
    pub(crate) entries: usize,
    /// Whether a large table asks for huge pages.
    pub(crate) huge_pages: bool,
    /// Whether threads that write have caches of their own.
    pub(crate) per_thread: bool,
}

/// Heads a node, at least, in a table of one class; there are up to twice as many, so that nearly all nodes are first of their
/// chains. Half of that was measured: lookups of all nodes by chance took a tenth longer. Twice that took as long.
const HEADS: usize = 4;

/// The same in a table of more classes, where the bytes of the heads decide.
const HEADS_OF_CLASSES: usize = 2;

/// Tables of so many bytes, heads included, ask for huge pages.
const HUGE: usize = 8 << 20;

impl<K, D> Table<K, D> {
    /// `None` if there can't be so many entries, or no memory for them.
    pub(crate) fn new(size: Size, domain: Domain) -> Option<Self> {
        let classes = Classes::of_entries(size.entries)?;
        let heads = size
            .nodes
            .checked_mul(if classes.is_one() {
                HEADS
            } else {
                HEADS_OF_CLASSES
            })?
            // A class without a head would be of no use.
            .max(classes.count())
            .checked_next_power_of_two()?;
        let mask = u32::try_from(heads - 1).ok()?;
        let bytes = size.entries.checked_mul(size_of::<Entry<K, D>>())? + heads * size_of::<u16>();
        let pages = if size.huge_pages && bytes >= HUGE {
            Pages::Huge
        } else {
            Pages::Ordinary
        };
        let shards = heads.div_ceil(HEADS_PER_SHARD);
        Some(Self {
            heads: ZeroedArray::new(heads, pages)?,
            mask,
            slab: Slab::new(size.entries, pages)?,
            shards: ZeroedArray::new(shards, Pages::Ordinary)?,
            retired: RetiredList::new(size.entries),
            caches: Caches::new(
                size.hard_limit,
                size.entries - size.hard_limit,
                size.per_thread,
                classes.count(),
            ),
            domain,
            pending_unlink: AtomicI64::new(0),
            live: Padded::default(),
            hard_limit: size.hard_limit as u64,
        })
    }

    /// Protects what is read until the guard is dropped. Cost: that of the reclamation's pin.
    #[inline(always)]
    pub(crate) fn pin(&self) -> Pinned<'_, K, D> {
        Pinned::new(self, self.domain.pin())
    }

    /// Runs one operation under a pin, which is cheaper than [`pin`](Self::pin). `None` where such a pin is not to be
    /// had, and the operation was not run: then [`run`](Self::run) it.
    #[inline(always)]
    pub(crate) fn try_run<O: Operation<K, D>>(&self, operation: O) -> Option<O::Answer> {
        // SAFETY: it stays in this function, which ends before any guard does that was there before.
        let guard = unsafe { self.domain.pin_operation() }?;
        Some(operation.run(&Pinned::new(self, guard)))
    }

    /// Runs one operation under a guard. To be called by a function that is not inlined and makes the operation there: a
    /// caller that lent an operation of its own would write it to memory before it tried.
    #[inline(always)]
    pub(crate) fn run<O: Operation<K, D>>(&self, operation: O) -> O::Answer {
        operation.run(&self.pin())
    }

    #[cfg(all(incarnation_loom, not(incarnation_portable)))]
    pub(crate) fn pin_alone(&self) -> Pinned<'_, K, D> {
        Pinned::new(self, self.domain.pin_alone())
    }

    #[inline(always)]
    fn head_of(&self, hash: u32) -> usize {
        (hash & self.mask) as usize
    }

    /// How many places there are; every index is below.
    pub(crate) fn capacity(&self) -> usize {
        self.slab.capacity()
    }

    /// How many entries hold a key. Only for a caller that has the whole table to itself.
    #[cfg(incarnation_loom)]
    pub(crate) fn occupied(&self) -> usize {
        let entries = self.slab.entries().iter();
        entries.filter(|entry| entry.is_occupied()).count()
    }

    /// Whether a key of a table that is not full may find no free entry because entries wait to be used again. Else
    /// the class of its head is full.
    pub(crate) fn may_wait_for_entries(&self) -> bool {
        self.slab.classes().is_one() || self.pending_reclaim() > 0
    }

    /// How many evicted entries are still in their chains.
    pub(crate) fn pending_unlink(&self) -> usize {
        // Relaxed: see the field. A thread that unlinked another's entry may have subtracted first.
        usize::try_from(
            self.pending_unlink
                .load(core::sync::atomic::Ordering::Relaxed),
        )
        .unwrap_or(0)
    }

    /// One entry was evicted, and so many were unlinked: mostly that one, and nothing is written.
    fn count_pending_unlink(&self, unlinked: usize) {
        if unlinked != 1 {
            // Relaxed: see the field.
            self.pending_unlink
                .fetch_add(1 - unlinked as i64, core::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Recycles what no view can reach any more.
    pub(crate) fn collect(&self) {
        self.clear_caches();
        self.retired.collect(&self.domain, &self.slab);
    }

    /// A second chance for a claim that found no free entry, after it let go of its guard: another thread may be
    /// about to give entries back, or be held up in the middle of an operation. False if the calling thread itself
    /// holds a view, for which this would wait in vain. (In vain it waits, too, for a view that a key's own code took inside an
    /// operation and kept.)
    pub(crate) fn wait_for_reclaim(&self) -> bool {
        if self.domain.is_pinned() {
            return false;
        }
        yield_now();
        true
    }

    /// The same, but only once enough waits to be worth a system call.
    #[inline]
    pub(crate) fn collect_if_due(&self) {
        if self.retired.is_due() {
            self.retired.collect(&self.domain, &self.slab);
        }
    }

    /// Asks for the line of a hash's head.
    #[inline(always)]
    pub(crate) fn prefetch_head(&self, hash: u32) {
        prefetch::prefetch(&raw const self.heads[self.head_of(hash)]);
    }

    /// Asks for the line of a hash's head in order to write it.
    #[inline(always)]
    pub(crate) fn prefetch_head_to_write(&self, hash: u32) {
        prefetch::prefetch_to_write(&raw const self.heads[self.head_of(hash)]);
    }

    /// Asks for the line of the first entry of a hash's chain, and returns its place. The caller is pinned.
    #[inline(always)]
    pub(crate) fn prefetch_first(&self, hash: u32) -> usize {
        let first = self.first(hash);
        self.prefetch_place(first);
        first
    }

    /// Asks for the line of the second entry of a hash's chain if the `first`, which the caller has seen under the same
    /// pin, is of another hash: so it is for at most one node in five of a full table.
    #[inline(always)]
    pub(crate) fn prefetch_second(&self, first: usize, hash: u32) {
        self.prefetch_place(begin(self.slab.entries(), first, hash));
    }

    #[inline(always)]
    fn prefetch_place(&self, place: usize) {
        prefetch::prefetch(self.slab.entries().as_ptr().wrapping_add(place));
    }

    /// The packed state and the last update at an index seen earlier, if its lifetime of then still goes on. Needs no pin, for
    /// it reads neither key nor data.
    #[inline(always)]
    pub(crate) fn glance(&self, index: Index, generation: u64) -> Option<(PackedState, Timestamp)> {
        self.slab.entry(index).glance(generation)
    }

    /// A lookup by a caller that vouches that nothing is removed meanwhile.
    ///
    /// # Safety
    ///
    /// No entry may be unlinked during the call.
    #[cfg(feature = "_bench_floor")]
    #[inline(always)]
    pub(crate) unsafe fn get_unprotected<Q>(
        &self,
        hash: u32,
        key: &Q,
    ) -> Option<(PackedState, Timestamp)>
    where
        Q: ?Sized + equivalent::Equivalent<K>,
    {
        let (entry, _, packed) = self.find_live(hash, |known| key.equivalent(known))?;
        Some((packed, entry.last_update()))
    }

    #[inline(always)]
    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }
}

/// The array of entries and its free list, by themselves, for the models.
#[cfg(incarnation_loom)]
#[derive(Debug)]
pub struct FreeIndexes(Slab<u8, ()>);

#[cfg(incarnation_loom)]
#[allow(missing_docs, reason = "for the models")]
impl FreeIndexes {
    pub fn new(count: usize) -> Self {
        Self(Slab::new(count, Pages::Ordinary).expect("a few"))
    }

    /// Takes a free index, and has it hold a key.
    pub fn take(&self) -> Option<Index> {
        self.take_for(0)
    }

    /// Takes a free index of the class of a hash, and has it hold a key.
    pub fn take_for(&self, hash: u32) -> Option<Index> {
        let index = self.0.take(hash)?;
        // SAFETY: just taken from the free indexes.
        unsafe {
            self.0
                .entry(index)
                .occupy(0, &0, (), crate::Timestamp::ZERO)
        };
        Some(index)
    }

    /// Gives back an index that was taken, once.
    pub fn give_back(&self, index: Index) {
        // SAFETY: it holds a key since it was taken, and was never linked.
        unsafe { self.0.give_back(index) };
    }
}
