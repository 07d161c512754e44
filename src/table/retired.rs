//! The entries that were unlinked and that a view may still be reading.
//!
//! A stack of batches, each with the ticket that was taken after its entries were unlinked. A thread
//! that collects takes the whole stack, recycles what has passed and puts back the rest; two at once
//! share the work. A batch can't be linked through its entries, whose `next` readers still follow.
//!
//! While a view holds everything up, the batches grow in number, and each collection would look at
//! all of them in vain. So those put back are merged: [`MERGED`] of a rank into one of the next,
//! under a ticket of now. An entry's ticket is renewed only as often as there are ranks, so none
//! waits for ever; and a collection costs a few steps and not as many as there are entries.

use core::ptr;
use core::sync::atomic::{AtomicU64, AtomicUsize};

use super::indexes::Indexes;
use super::slab::Slab;
use crate::reclaim::{Domain, Ticket};
use crate::sync::atomic::Ordering;
use crate::sync::atomic::plain::AtomicPtr;
use crate::sync::cell::UnsafeCell;

/// So many waiting entries are worth the fence of a collection, which may be a system call that stops
/// every core; up to so many, where there are enough entries for them to wait.
const WORTH_COLLECTING: usize = if cfg!(incarnation_loom) { 1 } else { 32 };
const WORTH_WAITING_FOR: usize = if cfg!(incarnation_loom) { 1 } else { 256 };

/// One in so many entries may wait for more to come.
const SHARE: usize = 64;

/// So many batches of one rank that still wait become one.
const MERGED: usize = if cfg!(incarnation_loom) { 2 } else { 8 };

#[derive(Debug)]
pub(super) struct RetiredList {
    newest: AtomicPtr<Batch>,
    /// How many entries wait. A number for policy and people: nothing relies on it.
    waiting: AtomicUsize,
    /// At how many waiting entries the next collection is due. Policy too.
    due: AtomicUsize,
    /// So many more are worth a collection.
    worth: usize,
    /// The order of the oldest ticket that the last collection put back. Policy too: it may be out of date.
    oldest: AtomicU64,
}

#[derive(Debug)]
struct Batch {
    /// In a cell, so that the model checker sees whether the batch was published; there until it is
    /// taken out.
    retired: UnsafeCell<Option<Retired>>,
    older: *mut Batch,
}

/// Entries, and a ticket that was taken after they were unlinked.
#[derive(Debug)]
struct Retired {
    ticket: Ticket,
    entries: Indexes,
    /// How often it was made of others.
    rank: u8,
}

// SAFETY: a batch belongs to the stack or to the one collector that took it.
unsafe impl Sync for RetiredList {}
// SAFETY: as above.
unsafe impl Send for RetiredList {}

impl RetiredList {
    /// For a table of so many entries.
    pub(super) fn new(entries: usize) -> Self {
        let worth = (entries / SHARE).clamp(WORTH_COLLECTING, WORTH_WAITING_FOR);
        Self {
            newest: AtomicPtr::new(ptr::null_mut()),
            waiting: AtomicUsize::new(0),
            due: AtomicUsize::new(worth),
            worth,
            oldest: AtomicU64::new(0),
        }
    }

    #[inline(always)]
    pub(super) fn pending_reclaim(&self) -> usize {
        // Relaxed: see the field.
        self.waiting.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Whether enough entries came since the last collection to be worth another.
    #[inline(always)]
    pub(super) fn is_due(&self) -> bool {
        // Relaxed: see the field.
        self.pending_reclaim() >= self.due.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Adds entries that were unlinked before the ticket was taken.
    pub(super) fn add(&self, ticket: Ticket, entries: Indexes) {
        // Relaxed: see the field.
        self.waiting
            .fetch_add(entries.len(), core::sync::atomic::Ordering::Relaxed);
        self.push(Retired {
            ticket,
            entries,
            rank: 0,
        });
    }

    fn push(&self, retired: Retired) {
        let batch = Box::into_raw(Box::new(Batch {
            retired: UnsafeCell::new(Some(retired)),
            older: ptr::null_mut(),
        }));
        // Relaxed: a pointer that is only stored; a thread that takes the stack acquires what is behind it.
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

    /// Whether a collection seems to be in vain: what the last one put back still waits for the same view.
    pub(super) fn is_blocked(&self, domain: &Domain) -> bool {
        // Relaxed: see the field. Tickets count from 1.
        let oldest = self.oldest.load(core::sync::atomic::Ordering::Relaxed);
        oldest > 0 && !domain.may_pass(oldest)
    }

    /// Gives back to the slab what no view can see any more.
    ///
    /// A heavy fence is paid only if the oldest of the entries may have become free: while the view that they wait for
    /// is held, collections cost a look at the threads' records.
    pub(super) fn collect<K, D>(&self, domain: &Domain, slab: &Slab<K, D>) {
        // Acquire: the batches behind the pointer. (Where settling is a real fence, as under the
        // checker, that fence would do; where it is a system call, nothing else does.)
        let mut next = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        if next.is_null() {
            return;
        }
        // So that no other thread pays for a fence because of the entries that wait for this one.
        self.collected();
        let mut taken = Vec::new();
        while !next.is_null() {
            // SAFETY: made by `Box::into_raw`; the swap gave us the whole stack, each batch once.
            let batch = unsafe { Box::from_raw(next) };
            next = batch.older;
            let retired = batch.retired.with_mut(|retired| {
                // SAFETY: the batch is ours.
                unsafe { (*retired).take() }
            });
            taken.extend(retired);
        }
        if domain.may_pass(oldest(&taken)) {
            let horizon = domain.horizon();
            let passed = taken.extract_if(.., |retired| horizon.passed(&retired.ticket));
            for Retired { entries, .. } in passed {
                let count = entries.len();
                for index in entries {
                    // SAFETY: unlinked before the ticket, which has passed: no guard is left that could
                    // have found it, and every retired entry is in exactly one batch.
                    unsafe { slab.give_back(index) };
                }
                // Relaxed: see the field.
                self.waiting
                    .fetch_sub(count, core::sync::atomic::Ordering::Relaxed);
            }
        }
        let rest = merge(taken, domain);
        // Relaxed: see the field. Before the batches are back, so that a collection that takes them corrects it.
        self.oldest
            .store(oldest(&rest), core::sync::atomic::Ordering::Relaxed);
        for retired in rest {
            self.push(retired);
        }
        self.collected();
    }

    /// The next collection is due when as many more wait as are worth one.
    fn collected(&self) {
        // Relaxed: see the field.
        self.due.store(
            self.pending_reclaim() + self.worth,
            core::sync::atomic::Ordering::Relaxed,
        );
    }
}

/// The order of the oldest ticket among these; 0 if there are none.
fn oldest(batches: &[Retired]) -> u64 {
    let orders = batches.iter().map(|batch| batch.ticket.order());
    orders.min().unwrap_or(0)
}

/// Makes few batches of many.
fn merge(mut batches: Vec<Retired>, domain: &Domain) -> Vec<Retired> {
    let mut rank = 0;
    while batches.len() >= MERGED && batches.iter().any(|batch| batch.rank >= rank) {
        let (mut of_rank, others): (Vec<_>, Vec<_>) =
            batches.into_iter().partition(|batch| batch.rank == rank);
        batches = others;
        rank += 1;
        if of_rank.len() >= MERGED {
            // The largest takes the others in, so that few entries move.
            of_rank.sort_unstable_by_key(|batch| batch.entries.len());
            let mut merged = of_rank.pop();
            if let Some(merged) = &mut merged {
                merged.rank = rank;
                for batch in of_rank.drain(..) {
                    merged.entries.append(batch.entries);
                }
                // Later than all their unlinkings, as theirs were.
                merged.ticket = domain.ticket(&domain.pin());
            }
            of_rank.extend(merged);
        }
        batches.append(&mut of_rank);
    }
    batches
}

impl Drop for RetiredList {
    fn drop(&mut self) {
        // Relaxed: no other thread is left. The keys go with the slab.
        let mut next = self.newest.load(Ordering::Relaxed);
        while !next.is_null() {
            // SAFETY: as in `collect`.
            let batch = unsafe { Box::from_raw(next) };
            next = batch.older;
        }
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::super::zeroed::Pages;
    use super::*;

    impl RetiredList {
        fn batches(&self) -> usize {
            let mut batches = 0;
            // Relaxed: one thread.
            let mut next = self.newest.load(Ordering::Relaxed);
            while !next.is_null() {
                batches += 1;
                // SAFETY: in the stack, and no other thread collects.
                next = unsafe { (*next).older };
            }
            batches
        }
    }

    #[test]
    fn however_many_entries_a_guard_holds_up_a_collection_looks_at_few_batches() {
        const ENTRIES: usize = if cfg!(miri) { 100 } else { 10_000 };
        let (domain, retired) = (Domain::private(), RetiredList::new(ENTRIES));
        let slab: Slab<u64, ()> = Slab::new(ENTRIES, Pages::Ordinary).unwrap();
        let guard = domain.pin();
        for number in 0..ENTRIES {
            let index = slab.take(0).unwrap();
            // SAFETY: just taken.
            unsafe {
                slab.entry(index)
                    .occupy(0, &(number as u64), (), crate::Timestamp::ZERO)
            };
            let mut entries = Indexes::default();
            entries.push(index);
            retired.add(domain.ticket(&guard), entries);
            if retired.is_due() {
                retired.collect(&domain, &slab);
                let batches = retired.batches();
                assert!(
                    batches < 5 * MERGED,
                    "{batches} batches of {number} entries"
                );
            }
        }
        assert_eq!(retired.pending_reclaim(), ENTRIES);
        assert!(slab.take(0).is_none());

        drop(guard);
        // crossbeam-epoch hands out what is ready by and by.
        for _ in 0..1_000 {
            retired.collect(&domain, &slab);
            if retired.pending_reclaim() == 0 {
                break;
            }
        }
        assert_eq!(retired.pending_reclaim(), 0);
        for _ in 0..ENTRIES {
            let index = slab.take(0).unwrap();
            // SAFETY: just taken, and to be dropped with the slab.
            unsafe { slab.entry(index).occupy(0, &0, (), crate::Timestamp::ZERO) };
        }
        assert!(slab.take(0).is_none());
    }
}
