//! The one array of entries and the list of its free places.
//!
//! Entries never move and are named by 32-bit indexes. A place is taken from the free lists first
//! and from the untouched end of the array last, so that memory follows use. The free lists are
//! stacks of indexes with a counter against ABA, one for a few threads each, so that churn does not
//! bounce one line between all cores.

use super::entry::{Entry, Index};
use super::zeroed::ZeroedArray;
use crate::sync::Padded;
use crate::sync::atomic::{AtomicU64, Ordering, plain};

/// Free lists of a large table.
const LISTS: usize = if cfg!(incarnation_loom) { 1 } else { 8 };
/// Tables below this many entries have one free list.
const LARGE: usize = 4096;

#[derive(Debug)]
pub(super) struct Slab<K, D> {
    /// Place 0 stays unused.
    entries: ZeroedArray<Entry<K, D>>,
    /// The highest place that was ever taken.
    mark: Padded<plain::AtomicU32>,
    /// Tops of the free lists: a counter in the high half, an index (or 0) in the low one.
    free: Box<[Padded<AtomicU64>]>,
}

/// The index in a free list's top.
const fn top_index(top: u64) -> u32 {
    top as u32
}

/// A new top: the counter one on.
const fn next_top(top: u64, index: u32) -> u64 {
    ((top >> 32).wrapping_add(1)) << 32 | index as u64
}

impl<K, D> Slab<K, D> {
    /// An array of `capacity` entries; `None` if there can't be that many.
    pub(super) fn new(capacity: usize) -> Option<Self> {
        u32::try_from(capacity).ok()?;
        let lists = if capacity < LARGE { 1 } else { LISTS };
        Some(Self {
            entries: ZeroedArray::new(capacity.checked_add(1)?)?,
            mark: Padded::default(),
            free: (0..lists).map(|_| Padded::default()).collect(),
        })
    }

    pub(super) fn capacity(&self) -> usize {
        self.entries.len() - 1
    }

    /// The highest place that was ever taken: a scan need not look beyond.
    pub(super) fn mark(&self) -> u32 {
        // Relaxed: a node known to be in the table was known through a chain of Acquires.
        self.mark.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(super) fn entry(&self, index: Index) -> &Entry<K, D> {
        self.place(index.get())
    }

    /// The entry at an index, or that of place 0, which is never in use.
    #[inline(always)]
    pub(super) fn place(&self, place: u32) -> &Entry<K, D> {
        debug_assert!((place as usize) < self.entries.len());
        // SAFETY: an index comes out of `take` (through a head, a chain, a handle of this table) or
        // of a scan up to the mark, and neither goes beyond the array. Place 0 is always there.
        unsafe { self.entries.get_unchecked(place as usize) }
    }

    #[inline(always)]
    pub(super) fn entries(&self) -> &[Entry<K, D>] {
        &self.entries
    }

    /// A free place, which is then the caller's alone.
    pub(super) fn take(&self) -> Option<Index> {
        let start = super::stripe::of_this_thread();
        (0..self.free.len())
            .find_map(|step| self.pop(&self.free[(start + step) % self.free.len()]))
            .or_else(|| self.take_fresh())
    }

    fn pop(&self, list: &AtomicU64) -> Option<Index> {
        // Acquire: the top's `next`, and its vacated key, were written before it was pushed. Pinned
        // by `recycling::the_free_list_goes_on_where_it_says`.
        let mut top = list.load(Ordering::Acquire);
        loop {
            let index = Index::new(top_index(top))?;
            // Relaxed: written before the push that the Acquire saw. If the place was taken
            // meanwhile this is rubbish, and the counter makes the exchange fail.
            let next = self.entry(index).next.load(Ordering::Relaxed);
            match list.compare_exchange_weak(
                top,
                next_top(top, next),
                // Acquire: see the load. Nothing to release: pushes are read through the pops'
                // exchanges, which continue their release sequences.
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(index),
                Err(newer) => top = newer,
            }
        }
    }

    fn take_fresh(&self) -> Option<Index> {
        // Relaxed: an untouched place is all zeroes since before the table was shared.
        let mut mark = self.mark.load(Ordering::Relaxed);
        loop {
            if mark as usize >= self.capacity() {
                return None;
            }
            match self.mark.compare_exchange_weak(
                mark,
                mark + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Index::new(mark + 1),
                Err(newer) => mark = newer,
            }
        }
    }

    /// Gives a place back.
    ///
    /// # Safety
    ///
    /// Its entry must hold a key and be the caller's alone, as for [`Entry::vacate`].
    pub(super) unsafe fn give_back(&self, index: Index) {
        let entry = self.entry(index);
        // SAFETY: by the caller's packed state.
        unsafe { entry.vacate() };
        let list = &self.free[super::stripe::of_this_thread() % self.free.len()];
        // Relaxed: only the counter and index are used, nothing behind them.
        let mut top = list.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the exchange.
            entry.next.store(top_index(top), Ordering::Relaxed);
            match list.compare_exchange_weak(
                top,
                next_top(top, index.get()),
                // Release: the vacated entry and its `next`, to whoever pops it. Pinned by
                // `recycling::a_recycled_entry_is_whole`.
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(newer) => top = newer,
            }
        }
    }
}

impl<K, D> Drop for Slab<K, D> {
    fn drop(&mut self) {
        if core::mem::needs_drop::<(K, D)>() || cfg!(incarnation_loom) {
            for entry in &self.entries[1..=self.mark() as usize] {
                if entry.is_occupied() {
                    // SAFETY: it holds a key, and the table is ours alone.
                    unsafe { entry.vacate() };
                }
            }
        }
    }
}
