//! What each writing thread keeps for itself, as the magazines of a slab allocator do: free entries, retired entries, and
//! credits of the count of live entries. Without it each join and each removal writes several lines that all threads
//! share.
//!
//! **Entries.** A removal puts the unlinked entry into a batch; a full batch gets a ticket. A join takes a free entry of
//! its own, else the oldest batch whose ticket has passed, else it pays for a fence if enough of its batches wait. A cache
//! is locked by its owner for a few instructions, and by a thread that finds no free entry anywhere (or sweeps): that one
//! moves everything to the lists that all threads share. Both only try the lock. An owner that does not get it uses
//! the shared lists, so a thread that is stopped with its lock held hides what is in its own cache and holds up nobody.
//!
//! **Credits.** A credit is a live entry that was counted ahead of its join, or that is still counted after its removal.
//! So the count never lies below the truth. Credits are drawn and kept only far from the hard limit; a thread that finds
//! the count at the limit calls in those of all threads, and is refused only if there are none.

use core::mem;
use core::sync::atomic::AtomicUsize;
use std::collections::VecDeque;

use super::Table;
use super::entry::Index;
use super::indexes::Indexes;
use super::per_thread::PerThread;
use crate::reclaim::{Domain, Guard, Horizon, Ticket};
use crate::sync::atomic::plain::AtomicBool;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::cell::UnsafeCell;

#[derive(Debug)]
pub(super) struct Caches {
    own: PerThread<Cache>,
    /// So many retired entries share a ticket.
    batch: usize,
    /// So many retired entries of one thread are worth a fence.
    worth: usize,
    /// Whether free entries are kept, too.
    keeps_free: bool,
    /// So many credits are drawn at once; twice as many are kept.
    credits: u64,
    /// Credits are drawn, and kept, only so far from the limit.
    margin: u64,
}

#[derive(Debug, Default)]
struct Cache {
    credits: AtomicU64,
    lock: AtomicBool,
    /// How many retired entries are in it. A number for people, as the retired list's.
    pending: AtomicUsize,
    /// The lock holder's.
    contents: UnsafeCell<Contents>,
}

// SAFETY: `contents` is touched only by the holder of the lock.
unsafe impl Sync for Cache {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Cache {}

#[derive(Debug, Default)]
struct Contents {
    free: Vec<Index>,
    /// Unlinked entries without a ticket yet.
    filling: Vec<Index>,
    /// Batches, the oldest first.
    sealed: VecDeque<(Ticket, Vec<Index>)>,
    /// How many entries are in the two.
    pending: usize,
    /// At how many the next fence is due.
    due: usize,
    /// Empty ones, whose memory is used again.
    blanks: Vec<Vec<Index>>,
}

/// A cache whose lock is held.
struct Held<'c>(&'c Cache);

impl Cache {
    fn try_lock(&self) -> Option<Held<'_>> {
        self.lock
            // Acquire: the contents as the holder before left them. Pinned by
            // `caches::a_cache_is_cleared_between_two_visits_of_its_owner`. Relaxed: nothing is read without the lock.
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| Held(self))
    }

    /// Uses up one credit, if there is one.
    fn spend(&self) -> bool {
        // Relaxed: the exchange decides.
        let mut credits = self.credits.load(Ordering::Relaxed);
        while credits > 0 {
            match self.credits.compare_exchange_weak(
                credits,
                credits - 1,
                // Acquire: as in `Table::reserve`, where the credit stems from a removal under this number by a thread
                // that has ended, or by this one.
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => credits = now,
            }
        }
        false
    }
}

impl Held<'_> {
    fn with<R>(&mut self, access: impl FnOnce(&mut Contents) -> R) -> R {
        self.0.contents.with_mut(|contents| {
            // SAFETY: we hold the lock, and `access` has no way to it.
            access(unsafe { &mut *contents })
        })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let pending = self.with(|contents| contents.pending);
        // Relaxed: see the field.
        self.0
            .pending
            .store(pending, core::sync::atomic::Ordering::Relaxed);
        // Release: see `try_lock`.
        self.0.lock.store(false, Ordering::Release);
    }
}

impl Contents {
    fn retire(&mut self, index: Index, batch: usize, ticket: impl FnOnce() -> Ticket) {
        self.filling.push(index);
        self.pending += 1;
        if self.filling.len() >= batch {
            let blank = self.blanks.pop().unwrap_or_default();
            let entries = mem::replace(&mut self.filling, blank);
            self.sealed.push_back((ticket(), entries));
        }
    }

    /// The oldest batch, if its ticket has passed.
    fn passed(&mut self, horizon: &Horizon) -> Option<Vec<Index>> {
        let (ticket, _) = self.sealed.front()?;
        if !horizon.passed(ticket) {
            return None;
        }
        let (_, entries) = self.sealed.pop_front()?;
        self.pending -= entries.len();
        self.due = 0;
        Some(entries)
    }

    /// The oldest batch, after a fence if one is due.
    fn harvest(&mut self, domain: &Domain, batch: usize, worth: usize) -> Option<Vec<Index>> {
        let passed = self.passed(&domain.settled());
        if passed.is_some() || self.pending < worth.max(self.due) {
            return passed;
        }
        // Unless it frees something, the next one is due when some more wait.
        self.due = self.pending + batch;
        let (oldest, _) = self.sealed.front()?;
        if !domain.may_pass(oldest.order()) {
            return None;
        }
        self.passed(&domain.horizon())
    }
}

impl Caches {
    /// For a table with so many entries beyond its hard limit; without any cache if it is small.
    pub(super) fn new(hard_limit: usize, spare: usize, has_any: bool, keeps_free: bool) -> Self {
        const MODEL: bool = cfg!(incarnation_loom);
        let credits = if MODEL {
            2
        } else {
            (hard_limit as u64 / 256).clamp(1, 64)
        };
        Self {
            own: PerThread::new(has_any),
            batch: if MODEL { 1 } else { (spare / 32).clamp(1, 64) },
            worth: if MODEL {
                1
            } else {
                (spare / 16).clamp(16, 256)
            },
            keeps_free,
            credits,
            margin: if MODEL { 0 } else { 4 * credits },
        }
    }

    fn pending(&self) -> usize {
        let pending = |cache: &Cache| {
            // Relaxed: see the field.
            cache.pending.load(core::sync::atomic::Ordering::Relaxed)
        };
        self.own.iter().map(pending).sum()
    }
}

impl<K, D> Table<K, D> {
    /// How many nodes are live (or about to be). Never more than the limit. A thread that draws or returns credits at
    /// this moment may have them counted.
    pub(crate) fn live(&self) -> usize {
        // Relaxed, both: numbers, which order nothing. In this order a node that is there throughout is counted.
        let live = self.live.load(Ordering::Relaxed);
        let credits = |cache: &Cache| cache.credits.load(Ordering::Relaxed);
        let credits: u64 = self.caches.own.iter().map(credits).sum();
        live.saturating_sub(credits) as usize
    }

    /// Whether another node would be refused.
    pub(crate) fn is_full(&self) -> bool {
        // Relaxed: a number, which orders nothing.
        let is_at_limit = || self.live.load(Ordering::Relaxed) >= self.hard_limit;
        is_at_limit() && (!self.call_in_credits() || is_at_limit())
    }

    /// Makes sure that one more live entry keeps within the limit; false if it does not. Every
    /// success is matched by a [`release`](Self::release).
    pub(crate) fn reserve(&self) -> bool {
        let own = self.caches.own.own();
        if own.is_some_and(Cache::spend) {
            return true;
        }
        loop {
            // Relaxed: the exchange decides.
            let mut live = self.live.load(Ordering::Relaxed);
            while live < self.hard_limit {
                let credits = match own {
                    Some(_) if self.is_far_from_limit(live) => self.caches.credits - 1,
                    _ => 0,
                };
                match self.live.compare_exchange_weak(
                    live,
                    live + 1 + credits,
                    // Acquire: with the Release in `release`, a thread that sees the new lifetime sees the end of
                    // the one that made room. Pinned by `limits::reserve_at_the_hard_limit`.
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        if let Some(cache) = own
                            && credits > 0
                        {
                            // Relaxed: they stand for nodes that were never there.
                            cache.credits.fetch_add(credits, Ordering::Relaxed);
                        }
                        return true;
                    }
                    Err(now) => live = now,
                }
            }
            if !self.call_in_credits() {
                return false;
            }
        }
    }

    /// Gives a reservation back, after the life it was for is over or was not begun.
    pub(crate) fn release(&self) {
        if let Some(cache) = self.caches.own.own() {
            // Relaxed, both: for policy only.
            let live = self.live.load(Ordering::Relaxed);
            if self.is_far_from_limit(live)
                && cache.credits.load(Ordering::Relaxed) < 2 * self.caches.credits
            {
                // Release: see `call_in_credits`.
                cache.credits.fetch_add(1, Ordering::Release);
                return;
            }
        }
        // Release: see `reserve`.
        self.live.fetch_sub(1, Ordering::Release);
    }

    fn is_far_from_limit(&self, live: u64) -> bool {
        live + self.caches.credits + self.caches.margin <= self.hard_limit
    }

    /// Takes the credits of all threads back into the count; whether there were any.
    #[cold]
    fn call_in_credits(&self) -> bool {
        let mut called_in = 0;
        for cache in self.caches.own.iter() {
            // Relaxed: most threads have none, and then nothing is written.
            if cache.credits.load(Ordering::Relaxed) > 0 {
                // Acquire: with the Release in `release`, the end of the lives that the credits stem from. Pinned by
                // `caches::a_join_on_called_in_credits_sees_the_removal_they_stem_from`.
                called_in += cache.credits.swap(0, Ordering::Acquire);
            }
        }
        if called_in > 0 {
            // Release: see `reserve`.
            self.live.fetch_sub(called_in, Ordering::Release);
        }
        called_in > 0
    }

    /// A free entry from the calling thread's cache, which is then the caller's alone.
    #[inline]
    pub(super) fn take_cached(&self) -> Option<Index> {
        let cache = self.caches.own.own()?;
        let mut held = cache.try_lock()?;
        let Caches { batch, worth, .. } = self.caches;
        let mut entries = held.with(|contents| match contents.free.pop() {
            Some(index) => Err(index),
            None => Ok(contents.harvest(&self.domain, batch, worth)),
        });
        drop(held);
        match &mut entries {
            Err(index) => Some(*index),
            Ok(None) => None,
            Ok(Some(entries)) => self.recycle(cache, entries),
        }
    }

    /// Frees a batch that has passed, and keeps all but one of its entries.
    #[cold]
    fn recycle(&self, cache: &Cache, entries: &mut Vec<Index>) -> Option<Index> {
        for index in &*entries {
            // SAFETY: unlinked before the ticket, which has passed: no guard is left that could have found it, and every
            // retired entry is in exactly one batch. Its key is dropped without the lock, since that runs code of a user.
            unsafe { self.slab.entry(*index).vacate() };
        }
        // An entry of another class than its key's is of no use to the caller.
        let taken = entries.pop_if(|_| self.caches.keeps_free);
        if self.caches.keeps_free
            && let Some(mut held) = cache.try_lock()
        {
            held.with(|contents| {
                if contents.free.is_empty() {
                    mem::swap(&mut contents.free, entries);
                }
                if entries.is_empty() && contents.blanks.len() < 4 {
                    contents.blanks.push(mem::take(entries));
                }
            });
        }
        for index in entries.drain(..) {
            // SAFETY: vacated above, and ours.
            unsafe { self.slab.put(index) };
        }
        taken
    }

    /// Has unlinked entries reclaimed once no view can reach them.
    #[inline]
    pub(super) fn retire(&self, guard: &Guard<'_>, unlinked: Indexes) {
        // More at once than a batch need not pass through a cache.
        if unlinked.len() <= self.caches.batch
            && let Some(cache) = self.caches.own.own()
            && let Some(mut held) = cache.try_lock()
        {
            let Caches { batch, worth, .. } = self.caches;
            let kept = held.with(|contents| {
                // As many as a cache hides while its owner is stopped with the lock held.
                if contents.pending >= 2 * worth + batch {
                    return Err(unlinked);
                }
                for index in unlinked {
                    contents.retire(index, batch, || self.domain.ticket(guard));
                }
                Ok(())
            });
            drop(held);
            if let Err(unlinked) = kept {
                self.retired.add(self.domain.ticket(guard), unlinked);
            }
            return;
        }
        self.retired.add(self.domain.ticket(guard), unlinked);
    }

    /// Moves what threads keep in their caches to the lists that all share, except from those that are in use at this
    /// moment.
    pub(super) fn clear_caches(&self) {
        for cache in self.caches.own.iter() {
            let Some(mut held) = cache.try_lock() else {
                continue;
            };
            let (free, filling, sealed) = held.with(|contents| {
                (contents.pending, contents.due) = (0, 0);
                (
                    mem::take(&mut contents.free),
                    mem::take(&mut contents.filling),
                    mem::take(&mut contents.sealed),
                )
            });
            drop(held);
            for index in free {
                // SAFETY: vacated before it was kept, and ours since we took it.
                unsafe { self.slab.put(index) };
            }
            if !filling.is_empty() {
                let ticket = self.domain.ticket(&self.domain.pin());
                self.retired.add(ticket, filling.into_iter().collect());
            }
            for (ticket, entries) in sealed {
                self.retired.add(ticket, entries.into_iter().collect());
            }
        }
    }

    /// How many entries wait for views to be dropped before they can be used again.
    pub(crate) fn pending_reclaim(&self) -> usize {
        self.retired.pending_reclaim() + self.caches.pending()
    }
}
