//! The entries that were unlinked and that a view may still be reading.
//!
//! A stack of batches, each with the ticket that was taken after its entries were unlinked. Whoever
//! collects takes the whole stack, recycles what has passed and puts back the rest; two at once
//! share the work. A batch can't be linked through its entries, whose `next` readers still follow.

use core::mem;
use core::ptr;
use core::sync::atomic::AtomicUsize;

use super::entry::Index;
use super::slab::Slab;
use crate::reclaim::{Domain, Ticket};
use crate::sync::atomic::Ordering;
use crate::sync::atomic::plain::AtomicPtr;
use crate::sync::cell::UnsafeCell;

/// So many waiting entries are worth the fence of a collection.
pub(super) const WORTH_COLLECTING: usize = if cfg!(loom) { 1 } else { 32 };

#[derive(Debug)]
pub(super) struct Limbo {
    newest: AtomicPtr<Batch>,
    /// How many entries wait. A number for policy and people: nothing relies on it.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Batch {
    /// In a cell, so that the model checker sees whether the batch was published.
    retired: UnsafeCell<Retired>,
    older: *mut Batch,
}

/// Entries, and the ticket that was taken after they were unlinked.
#[derive(Debug)]
struct Retired {
    ticket: Ticket,
    entries: Vec<Index>,
}

impl Default for Limbo {
    fn default() -> Self {
        Self {
            newest: AtomicPtr::new(ptr::null_mut()),
            waiting: AtomicUsize::new(0),
        }
    }
}

// SAFETY: a batch belongs to the stack or to the one collector that took it.
unsafe impl Sync for Limbo {}
// SAFETY: as above.
unsafe impl Send for Limbo {}

impl Limbo {
    pub(super) fn waiting(&self) -> usize {
        // Relaxed: see the field.
        self.waiting.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Adds entries that were unlinked before the ticket was taken.
    pub(super) fn add(&self, ticket: Ticket, entries: Vec<Index>) {
        // Relaxed: see the field.
        self.waiting
            .fetch_add(entries.len(), core::sync::atomic::Ordering::Relaxed);
        self.push(Box::new(Batch {
            retired: UnsafeCell::new(Retired { ticket, entries }),
            older: ptr::null_mut(),
        }));
    }

    fn push(&self, batch: Box<Batch>) {
        let batch = Box::into_raw(batch);
        // Relaxed: a pointer that is only stored; who takes the stack acquires what is behind it.
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: not in the stack yet, so it is ours.
            unsafe { (*batch).older = newest };
            match self.newest.compare_exchange_weak(
                newest,
                batch,
                // Release: publishes the batch (pinned by `recycling::a_batch_is_whole`); older ones stay published, since every change of
                // the top is an exchange and continues their release sequences.
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(newer) => newest = newer,
            }
        }
    }

    /// Gives back to the slab what no view can see any more.
    pub(super) fn collect<K>(&self, domain: &Domain, slab: &Slab<K>) {
        // Acquire: the batches behind the pointer. (Where settling is a real fence, as under the
        // checker, that fence would do; where it is a system call, nothing else does.)
        let mut next = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        if next.is_null() {
            return;
        }
        let horizon = domain.settle();
        while !next.is_null() {
            // SAFETY: made by `Box::into_raw`; the swap gave us the whole stack, each batch once.
            let batch = unsafe { Box::from_raw(next) };
            next = batch.older;
            // SAFETY: the batch is ours.
            let passed = batch
                .retired
                .with(|retired| horizon.passed(unsafe { &(*retired).ticket }));
            if !passed {
                self.push(batch);
                continue;
            }
            let entries = batch.retired.with_mut(|retired| {
                // SAFETY: the batch is ours.
                mem::take(unsafe { &mut (*retired).entries })
            });
            // Relaxed: see the field.
            self.waiting
                .fetch_sub(entries.len(), core::sync::atomic::Ordering::Relaxed);
            for index in entries {
                // SAFETY: unlinked before the ticket, which has passed: no guard is left that could
                // have found it, and every retired entry is in exactly one batch.
                unsafe { slab.give_back(index) };
            }
        }
    }
}

impl Drop for Limbo {
    fn drop(&mut self) {
        // Relaxed: nobody else is left. The keys go with the slab.
        let mut next = self.newest.load(Ordering::Relaxed);
        while !next.is_null() {
            // SAFETY: as in `collect`.
            let batch = unsafe { Box::from_raw(next) };
            next = batch.older;
        }
    }
}
