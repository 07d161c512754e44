//! The one array of entries and the lists of its free places.
//!
//! Entries never move and are named by 32-bit indexes. Each belongs to a [class](super::classes), and a new entry is
//! taken from the class of the head that will name it. Within a class a place is taken from the free lists first
//! and from the untouched end last, so memory follows use. The free lists are stacks of indexes with a counter
//! against ABA. A class of a large table has several, one for a few threads each, unless there are many
//! classes: either way churn does not bounce one line between all cores.

use super::classes::Classes;
use super::entry::{Entry, Index};
use super::zeroed::{Pages, ZeroedArray};
use crate::sync::atomic::{AtomicU64, Ordering, plain};
use crate::sync::{Padded, try_boxed};

/// Free lists of a large table, at least.
const LISTS: usize = if cfg!(incarnation_loom) { 1 } else { 8 };
/// Tables below this many entries have one free list.
const LARGE: usize = 4096;

#[derive(Debug)]
pub(super) struct Slab<K, D> {
    /// The first place of each class stays unused.
    entries: ZeroedArray<Entry<K, D>>,
    classes: Classes,
    /// How many entries a class has.
    locals: u32,
    /// For each class, the highest local number that was ever taken.
    marks: Box<[Padded<plain::AtomicU32>]>,
    /// The highest place that was ever taken; not kept if there is one class, whose mark it is.
    highest: Padded<plain::AtomicU32>,
    /// Tops of the free lists: a counter in the high half, an index (or 0) in the low one. The lists of class c are
    /// number c and every further one at a distance of the number of classes.
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
    /// An array of at least `entries` entries; `None` if there can't be that many.
    pub(super) fn new(entries: usize, pages: Pages) -> Option<Self> {
        let classes = Classes::of_entries(entries)?;
        let count = classes.count();
        let locals = entries.div_ceil(count);
        let lists = if entries < LARGE { 1 } else { LISTS };
        Some(Self {
            entries: ZeroedArray::new(locals.checked_add(1)?.checked_mul(count)?, pages)?,
            classes,
            locals: u32::try_from(locals).ok()?,
            marks: try_boxed(count, Padded::default)?,
            highest: Padded::default(),
            free: try_boxed(lists.max(count), Padded::default)?,
        })
    }

    #[inline(always)]
    pub(super) fn classes(&self) -> Classes {
        self.classes
    }

    /// The highest index there is.
    pub(super) fn capacity(&self) -> usize {
        self.entries.len() - 1
    }

    /// The highest place that was ever taken: a scan need not look beyond.
    pub(super) fn mark(&self) -> u32 {
        let mark = if self.classes.is_one() {
            &self.marks[0]
        } else {
            &self.highest
        };
        // Relaxed: a node known to be in the table was known through a chain of Acquires, and the mark was raised
        // before the node was linked. Pinned by `scans::a_scan_reaches_the_highest_of_two_marks`.
        mark.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(super) fn entry(&self, index: Index) -> &Entry<K, D> {
        let entries = self.entries();
        debug_assert!((index.get() as usize) < entries.len());
        // SAFETY: an index comes out of `take` (through a head, a chain, a handle of this table) or
        // of a scan up to the mark, and neither goes beyond the array.
        unsafe { entries.get_unchecked(index.get() as usize) }
    }

    #[inline(always)]
    pub(super) fn entries(&self) -> &[Entry<K, D>] {
        &self.entries
    }

    /// A free place that the head of `hash` can name. It is then the caller's alone.
    pub(super) fn take(&self, hash: u32) -> Option<Index> {
        let class = self.classes.of(hash);
        let start = super::thread_number::of_this_thread();
        (0..self.lists_per_class())
            .find_map(|step| self.pop(self.list(class, start + step)))
            .or_else(|| self.take_fresh(class))
    }

    fn lists_per_class(&self) -> usize {
        self.free.len() / self.classes.count()
    }

    /// A free list of a class: one of a few, by the thread's number.
    fn list(&self, class: u32, number: usize) -> &AtomicU64 {
        &self.free[class as usize + number % self.lists_per_class() * self.classes.count()]
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
                // Relaxed: the load acquired the push that it found. Nothing to release: pushes are read through
                // the pops' exchanges, which continue their release sequences.
                Ordering::Relaxed,
                // Acquire: see the load.
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(index),
                Err(newer) => top = newer,
            }
        }
    }

    fn take_fresh(&self, class: u32) -> Option<Index> {
        let fresh = &self.marks[class as usize];
        // Relaxed: an untouched place is all zeroes since before the table was shared.
        let mut mark = fresh.load(Ordering::Relaxed);
        loop {
            if mark >= self.locals {
                return None;
            }
            match fresh.compare_exchange_weak(mark, mark + 1, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(newer) => mark = newer,
            }
        }
        let index = self.classes.index((mark + 1) as u16, class)?;
        // Relaxed, both: the link of this place publishes it. A mark that is as high already was read here, so
        // the link publishes that, too. Mostly another class has raised it.
        if !self.classes.is_one() && self.highest.load(Ordering::Relaxed) < index.get() {
            self.highest.fetch_max(index.get(), Ordering::Relaxed);
        }
        Some(index)
    }

    /// Gives a place back to its class.
    ///
    /// # Safety
    ///
    /// Its entry must hold a key and be the caller's alone, as for [`Entry::vacate`].
    pub(super) unsafe fn give_back(&self, index: Index) {
        // SAFETY: as the caller vouches.
        unsafe { self.entry(index).vacate() };
        // SAFETY: vacated, and the caller's alone.
        unsafe { self.put(index) };
    }

    /// Gives a place back that holds no key any more.
    ///
    /// # Safety
    ///
    /// Its entry must be vacated, and the caller's alone.
    pub(super) unsafe fn put(&self, index: Index) {
        let entry = self.entry(index);
        let class = self.classes.of(index.get());
        let list = self.list(class, super::thread_number::of_this_thread());
        // Relaxed: only the counter and index are used, nothing behind them.
        let mut top = list.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the exchange.
            entry.next.store(top_index(top), Ordering::Relaxed);
            match list.compare_exchange_weak(
                top,
                next_top(top, index.get()),
                // Release: the vacated entry and its `next`, to the thread that pops it. Pinned by
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
