//! What each writing thread keeps for itself, as the magazines of a slab allocator do: free entries, retired entries, and
//! credits of the count of live entries. Without it each join and each removal writes several lines that all threads
//! share.
//!
//! **Entries.** A removal puts the unlinked entry into a batch; a full batch gets a ticket. A join takes a free entry of
//! its own, else the oldest batch whose ticket has passed, else it pays for a fence if enough of its batches wait, else it
//! takes one from the lists that all threads share. Fewer batches are worth a fence once those lists have none. A cache
//! is locked by its owner for a few instructions, and by a thread that finds no free entry
//! anywhere (or sweeps): that one moves everything to the lists that all threads share. Both only try the lock. An
//! owner that does not get it uses the shared lists, so a thread that is stopped with its lock held hides what is in its
//! own cache and holds up no other thread.
//!
//! **Credits.** A credit is a live entry that was counted ahead of its join, or that is still counted after its removal.
//! So the count never lies below the truth. Credits are drawn and kept only far from the hard limit; a thread that finds
//! the count at the limit calls in those of all threads, and is refused only if there are none. They lie under the lock
//! of the cache: a join takes entry and credit in one visit, and a removal leaves both in one visit. So a thread that is
//! stopped with the lock of a cache held hides that cache, its credits included.

use core::mem;
use core::sync::atomic::AtomicUsize;
use std::collections::VecDeque;

use super::Table;
use super::entry::Index;
use super::indexes::Indexes;
use super::per_thread::PerThread;
use super::slab::Slab;
use crate::reclaim::{Domain, Guard, Horizon, Ticket};
use crate::sync::atomic::plain::AtomicBool;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::cell::UnsafeCell;
use crate::sync::thread::yield_now;

/// How often a thread at the limit yields while a cache with credits is locked.
const MAX_YIELDS: usize = if cfg!(incarnation_loom) { 2 } else { 8 };

/// How often the nodes are counted at most, while caches are in use.
const LOOKS: usize = if cfg!(incarnation_loom) { 1 } else { 16 };

/// So many free entries of each class are kept on average, at most. Which class the next join needs is chance: with 8 it
/// finds one nine times out of ten.
const FREE_OF_CLASS: usize = 8;

#[derive(Debug)]
pub(super) struct Caches {
    own: PerThread<Cache>,
    /// So many retired entries share a ticket.
    batch: usize,
    /// So many retired entries of one thread are worth a fence, while the lists that all threads share have free ones.
    worth: usize,
    /// So many are, once those lists have none.
    worth_without_free: usize,
    /// So many free entries are kept at most, of all classes together, where there are several.
    free: usize,
    /// So many credits are drawn at once; twice as many are kept.
    credits: u64,
    /// Credits are drawn, and kept, only so far from the limit.
    margin: u64,
}

#[derive(Debug, Default)]
struct Cache {
    /// Written by the lock holder only.
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
    free: FreeEntries,
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

/// Vacated entries. The one that was freed last is taken first: its line is near.
#[derive(Debug, Default)]
struct FreeEntries {
    /// All of them, where there is one class.
    only: Vec<Index>,
    /// The first index of a list for each class, or 0, where there are several. Entries are linked by their `next`, as in
    /// the lists that all threads share, but without locked instructions. Empty until an entry is kept.
    tops: Vec<u32>,
    count: usize,
}

impl FreeEntries {
    #[inline(always)]
    fn pop<K, D>(&mut self, class: u32, slab: &Slab<K, D>) -> Option<Index> {
        if slab.classes().is_one() {
            return self.only.pop();
        }
        let top = self.tops.get_mut(class as usize)?;
        let index = Index::new(*top)?;
        // Relaxed: written under the lock of the cache, which is held.
        *top = slab.entry(index).next.load(Ordering::Relaxed);
        self.count -= 1;
        Some(index)
    }

    /// Takes so many entries in as there is room for, so many being the most.
    fn add<K, D>(&mut self, entries: &mut Vec<Index>, most: usize, slab: &Slab<K, D>) {
        let classes = slab.classes();
        if classes.is_one() {
            if self.only.is_empty() {
                mem::swap(&mut self.only, entries);
            }
            return;
        }
        self.tops.resize(classes.count(), 0);
        let room = most.saturating_sub(self.count);
        for index in entries.drain(entries.len().saturating_sub(room)..) {
            let top = &mut self.tops[classes.of(index.get()) as usize];
            // Relaxed: see `pop`.
            slab.entry(index).next.store(*top, Ordering::Relaxed);
            *top = index.get();
            self.count += 1;
        }
    }
}

/// One more live entry keeps within the limit. Given back when it is dropped, unless a lifetime begins with it.
pub(crate) struct Reservation<'t, K, D>(&'t Table<K, D>);

impl<K, D> Reservation<'_, K, D> {
    /// A lifetime began; what ends it gives the reservation back.
    #[inline(always)]
    pub(crate) fn keep(self) {
        mem::forget(self);
    }
}

impl<K, D> Drop for Reservation<'_, K, D> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A cache whose lock is held.
struct Held<'c>(&'c Cache);

impl Cache {
    #[inline(always)]
    fn try_lock(&self) -> Option<Held<'_>> {
        self.lock
            // Acquire: the contents as the holder before left them. Pinned by
            // `caches::a_cache_is_cleared_between_two_visits_of_its_owner`. Relaxed: nothing is read without the lock.
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| Held(self))
    }
}

impl Held<'_> {
    #[inline(always)]
    fn with<R>(&mut self, access: impl FnOnce(&mut Contents) -> R) -> R {
        self.0.contents.with_mut(|contents| {
            // SAFETY: we hold the lock, and `access` has no way to it.
            access(unsafe { &mut *contents })
        })
    }

    #[inline(always)]
    fn credits(&self) -> u64 {
        // Relaxed: only the holder of the lock writes it.
        self.0.credits.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set_credits(&mut self, credits: u64) {
        // Release: a thread that sees the number without the lock sees the count that belongs to it: drawn credits are
        // counted before, and those called in are taken out before. Pinned by
        // `caches::a_join_while_a_judgement_calls_credits_in`.
        self.0.credits.store(credits, Ordering::Release);
    }

    /// Uses up one credit, if there is one.
    #[inline(always)]
    fn spend(&mut self) -> bool {
        let credits = self.credits();
        if credits > 0 {
            self.set_credits(credits - 1);
        }
        credits > 0
    }
}

impl Drop for Held<'_> {
    #[inline(always)]
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
    #[inline(always)]
    fn retire(&mut self, index: Index, batch: usize, ticket: impl FnOnce() -> Ticket) {
        self.filling.push(index);
        self.pending += 1;
        if self.filling.len() >= batch {
            self.seal(ticket());
        }
    }

    #[cold]
    #[inline(never)]
    fn seal(&mut self, ticket: Ticket) {
        let blank = self.blanks.pop().unwrap_or_default();
        let entries = mem::replace(&mut self.filling, blank);
        self.sealed.push_back((ticket, entries));
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

    /// The oldest batch, if it is known to have passed; else whether a fence is due to find out.
    fn harvest(&mut self, domain: &Domain, batch: usize, worth: usize) -> Harvest {
        if let Some(entries) = self.passed(&domain.settled()) {
            return Harvest::Passed(entries);
        }
        if self.pending < worth.max(self.due) {
            return Harvest::Waits;
        }
        // Unless it frees something, the next one is due when some more wait.
        self.due = self.pending + batch;
        match self.sealed.front() {
            Some((oldest, _)) if domain.may_pass(oldest.order()) => Harvest::FenceDue,
            _ => Harvest::Waits,
        }
    }
}

/// What becomes of the oldest batch of a cache.
enum Harvest {
    /// It has passed, and is the caller's.
    Passed(Vec<Index>),
    /// Enough wait to be worth a fence, which may free it.
    FenceDue,
    Waits,
}

impl Caches {
    /// For a table with so many entries beyond its hard limit and so many classes; without any cache if it is small.
    pub(super) fn new(hard_limit: usize, spare: usize, has_any: bool, classes: usize) -> Self {
        const MODEL: bool = cfg!(incarnation_loom);
        let credits = if MODEL {
            2
        } else {
            (hard_limit as u64 / 256).clamp(1, 64)
        };
        let batch = if MODEL { 1 } else { (spare / 32).clamp(1, 64) };
        Self {
            own: PerThread::new(has_any),
            batch,
            worth: if MODEL {
                1
            } else {
                (spare / 4).clamp(16, 1024)
            },
            worth_without_free: if MODEL {
                1
            } else {
                (spare / 16).clamp(16, 256)
            },
            free: FREE_OF_CLASS * classes,
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
    /// How many nodes are live (or about to be). Never more than the limit. Joins and removals that are under way may be
    /// counted or not, and the credits of a thread that uses its cache during every look are counted as nodes.
    pub(crate) fn live(&self) -> usize {
        let mut nodes = 0;
        for _ in 0..LOOKS {
            // Credits are subtracted only if they are seen both before and after the count, and not while the lock of
            // their cache is held: what the holder takes from the credits and from the count are two steps.
            // Acquire: see `set_credits`, the unlocking, and the count in `call_in_credits`.
            let before = self.credits();
            let live = self.live.load(Ordering::Acquire);
            let after = self.credits();
            nodes = live.saturating_sub(before.0.min(after.0)) as usize;
            if before == after && before.1 == 0 {
                break;
            }
        }
        nodes
    }

    /// The credits in all caches that no thread uses at this moment, and how many caches are in use.
    fn credits(&self) -> (u64, usize) {
        let (mut credits, mut in_use) = (0, 0);
        for cache in self.caches.own.iter() {
            // Acquire, both: see `live`.
            if cache.lock.load(Ordering::Acquire) {
                in_use += 1;
            } else {
                credits += cache.credits.load(Ordering::Acquire);
            }
        }
        (credits, in_use)
    }

    /// Whether another node would be refused.
    pub(crate) fn is_full(&self) -> bool {
        // Relaxed: a number, which orders nothing. Behind `call_in_credits`, see there.
        let is_at_limit = || self.live.load(Ordering::Relaxed) >= self.hard_limit;
        is_at_limit() && {
            // Whatever it says: another thread may have called them in between the two looks.
            self.call_in_credits();
            is_at_limit()
        }
    }

    /// Makes sure that one more live entry keeps within the limit; `None` if it does not.
    pub(crate) fn reserve(&self) -> Option<Reservation<'_, K, D>> {
        loop {
            if self.count_one() {
                return Some(Reservation(self));
            }
            if !self.call_in_credits() {
                // Once more: another thread may have called them in between the two looks.
                return self.count_one().then(|| Reservation(self));
            }
        }
    }

    /// Counts one more live entry, and credits with it unless the thread has some; false at the limit.
    fn count_one(&self) -> bool {
        let mut cache = self.caches.own.own().and_then(Cache::try_lock);
        if cache.as_mut().is_some_and(Held::spend) {
            return true;
        }
        // Relaxed: the exchange decides.
        let mut live = self.live.load(Ordering::Relaxed);
        while live < self.hard_limit {
            let credits = match cache {
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
                    if let Some(cache) = &mut cache
                        && credits > 0
                    {
                        cache.set_credits(credits);
                    }
                    return true;
                }
                Err(now) => live = now,
            }
        }
        false
    }

    /// Gives a reservation back, after the lifetime it was for is over or was not begun.
    pub(super) fn release(&self) {
        // Release: see `count_one`.
        self.live.fetch_sub(1, Ordering::Release);
    }

    fn is_far_from_limit(&self, live: u64) -> bool {
        live + self.caches.credits + self.caches.margin <= self.hard_limit
    }

    /// Takes the credits of all threads back into the count; whether there were any. While there are some in a cache that is
    /// in use at this moment, this lets its owner run, a few times.
    #[cold]
    pub(crate) fn call_in_credits(&self) -> bool {
        for _ in 0..MAX_YIELDS {
            let (mut called_in, mut is_in_use) = (false, false);
            for cache in self.caches.own.iter() {
                // Acquire: with the Release in `set_credits`. A thread that finds credits gone, and then looks at the count,
                // finds it without them. Pinned by `caches::a_join_while_a_judgement_calls_credits_in`.
                if cache.credits.load(Ordering::Acquire) == 0 {
                    continue;
                }
                let Some(mut held) = cache.try_lock() else {
                    is_in_use = true;
                    continue;
                };
                // From the count first: a thread that finds no credits then finds room. The lock is held, so no other thread
                // spends them meanwhile, and the count still covers every node.
                // Release: see `count_one`; the removal that left the credit was acquired with the lock. Pinned by
                // `caches::a_join_on_a_credit_that_another_thread_called_in`.
                self.live.fetch_sub(held.credits(), Ordering::Release);
                held.set_credits(0);
                called_in = true;
            }
            if called_in {
                return true;
            }
            if !is_in_use {
                return false;
            }
            yield_now();
        }
        false
    }

    /// A free entry that the head of `hash` can name, from the calling thread's cache, which is then the caller's alone; and
    /// a reservation on one of its credits: each if there is one.
    #[inline(always)]
    pub(super) fn take_cached(&self, hash: u32) -> (Option<Index>, Option<Reservation<'_, K, D>>) {
        let Some(cache) = self.caches.own.own() else {
            return (None, None);
        };
        let Some(mut held) = cache.try_lock() else {
            return (None, None);
        };
        let reservation = held.spend().then(|| Reservation(self));
        let class = self.slab.classes().of(hash);
        let free = held.with(|contents| contents.free.pop(class, &self.slab));
        drop(held);
        (
            free.or_else(|| self.take_from_batches(cache, class, self.caches.worth)),
            reservation,
        )
    }

    /// A free entry from the oldest batch of the calling thread's cache, for a join that found none in the lists that all
    /// threads share. Fewer retired entries are worth a fence then.
    pub(super) fn take_retired(&self, hash: u32) -> Option<Index> {
        let cache = self.caches.own.own()?;
        let class = self.slab.classes().of(hash);
        self.take_from_batches(cache, class, self.caches.worth_without_free)
    }

    /// A free entry from the oldest batch of the thread's cache, if it has passed.
    #[cold]
    #[inline(never)]
    fn take_from_batches(&self, cache: &Cache, class: u32, worth: usize) -> Option<Index> {
        let batch = self.caches.batch;
        let mut held = cache.try_lock()?;
        let harvest = held.with(|contents| contents.harvest(&self.domain, batch, worth));
        drop(held);
        let mut entries = match harvest {
            Harvest::Passed(entries) => entries,
            Harvest::Waits => return None,
            Harvest::FenceDue => {
                // Without the lock: a fence may be a system call, and a thread that is stopped in it would hide its cache.
                let horizon = self.domain.horizon();
                cache
                    .try_lock()?
                    .with(|contents| contents.passed(&horizon))?
            }
        };
        self.recycle(cache, &mut entries, class)
    }

    /// Frees a batch that has passed, and keeps its entries, as far as there is room. One of the class is for the caller.
    #[cold]
    fn recycle(&self, cache: &Cache, entries: &mut Vec<Index>, class: u32) -> Option<Index> {
        for index in &*entries {
            // SAFETY: unlinked before the ticket, which has passed: no guard is left that could have found it, and every
            // retired entry is in exactly one batch. Its key is dropped without the lock, since that runs code of a user.
            unsafe { self.slab.entry(*index).vacate() };
        }
        let is_of_class = |index: &mut Index| self.slab.classes().of(index.get()) == class;
        let mut taken = entries.pop_if(is_of_class);
        if let Some(mut held) = cache.try_lock() {
            held.with(|contents| {
                contents.free.add(entries, self.caches.free, &self.slab);
                taken = taken.or_else(|| contents.free.pop(class, &self.slab));
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

    /// Has an unlinked entry reclaimed once no view can reach it, and gives the reservation of its lifetime back: what
    /// nearly every removal needs.
    #[inline(always)]
    pub(super) fn release_and_retire(&self, guard: &Guard<'_>, unlinked: Index) {
        let Some(mut held) = self.caches.own.own().and_then(Cache::try_lock) else {
            self.release();
            self.retired.add(self.domain.ticket(guard), unlinked.into());
            return;
        };
        let Caches {
            batch,
            worth,
            worth_without_free,
            ..
        } = self.caches;
        // Relaxed: for policy only.
        let live = self.live.load(Ordering::Relaxed);
        let credits = held.credits();
        let keeps_credit = self.is_far_from_limit(live) && credits < 2 * self.caches.credits;
        if keeps_credit {
            held.set_credits(credits + 1);
        }
        let is_kept = held.with(|contents| {
            // As many as a cache hides while its owner is stopped with the lock held.
            let is_kept = contents.pending < worth + worth_without_free + batch;
            if is_kept {
                contents.retire(unlinked, batch, || self.domain.ticket(guard));
            }
            is_kept
        });
        drop(held);
        if !keeps_credit {
            self.release();
        }
        if !is_kept {
            self.retired.add(self.domain.ticket(guard), unlinked.into());
        }
    }

    /// Has unlinked entries reclaimed once no view can reach them.
    pub(super) fn retire(&self, guard: &Guard<'_>, unlinked: Indexes) {
        self.retired.add(self.domain.ticket(guard), unlinked);
    }

    /// Moves what threads keep in their caches to the lists that all share, except from those that are in use at this
    /// moment.
    pub(super) fn clear_caches(&self) {
        for cache in self.caches.own.iter() {
            let Some(mut held) = cache.try_lock() else {
                continue;
            };
            let (mut free, filling, sealed) = held.with(|contents| {
                (contents.pending, contents.due) = (0, 0);
                (
                    mem::take(&mut contents.free),
                    mem::take(&mut contents.filling),
                    mem::take(&mut contents.sealed),
                )
            });
            drop(held);
            for class in 0..self.slab.classes().count() as u32 {
                while let Some(index) = free.pop(class, &self.slab) {
                    // SAFETY: vacated before it was kept, and ours since we took it.
                    unsafe { self.slab.put(index) };
                }
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
