//! How writers let subscribers know that something changed: marks, not messages.
//!
//! The places of the table are cut into ranges, each with a mark. Time is cut into epochs by the
//! subscribers: each look at the table begins the next one. A writer that changed a packed state marks its
//! range with the present epoch, unless it is marked so already: whatever a subscriber sleeps
//! through, the writers find the marks set and write nothing. A subscriber looks through the ranges
//! whose marks are not older than its last look. An even epoch means that nobody subscribes; then a
//! writer is done after one load.
//!
//! ```text
//! writer                                 subscriber
//!   change the packed state                        epoch += 2
//!   light fence                            heavy fence
//!   e := epoch; nobody subscribes? done    look at the marks, and at the words of marked ranges
//!   mark the range, and newest, with e
//!   light fence
//!   epoch moved on? mark again             wait: enlist, heavy fence, sleep unless newest is new
//!   anybody waits? wake them all
//! ```
//!
//! Of each writer and each look one sees the other. If the writer's last load of the epoch missed the
//! look's beginning, then its fence came first: the look finds its mark, and its packed state. If not, the
//! writer marked the range for the next look, and somebody who waits for that is woken. The same
//! fences put a writer's marks against a waiter's enlisting. So a change is in the table before
//! anyone is told, and who looks after an update returned sees it, or what came after it. Words,
//! marks and epoch need no orderings of their own beyond that: all of theirs here are Relaxed.
//!
//! Nobody who writes ever waits here: the list of waiters is behind a lock that a writer only tries.
//! One that does not get it has rung before it tried, and the holder looks at the capacity signal after letting go.
#![forbid(unsafe_code)]

use core::mem;
use core::task::Waker;
use std::sync::{PoisonError, TryLockError};

use crate::reclaim::Domain;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use crate::sync::catch_panic;
use crate::sync::{Mutex, MutexGuard, Padded};
use crate::table::Index;

/// Places of one range: a look at a marked one reads so many entries.
pub(crate) const RANGE: u32 = if cfg!(incarnation_loom) { 1 } else { 32 };

/// One step of the epoch; the lowest bit says whether anybody subscribes.
const STEP: u64 = 2;

const fn somebody_subscribes(epoch: u64) -> bool {
    epoch % STEP == 1
}

#[derive(Debug)]
pub(crate) struct Notify {
    /// What every writer reads, on one line: it changes as often as subscribers look.
    shared: Padded<Shared>,
    /// For each range, the epoch of the last change that had to be marked.
    marks: Box<[AtomicU64]>,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct Shared {
    epoch: AtomicU64,
    /// The highest mark.
    newest: AtomicU64,
    /// Whether the list of waiters is not empty. Written only by who holds it.
    waiting: AtomicBool,
    /// Counts the writers that came to wake waiters.
    rung: AtomicU64,
}

/// Who subscribes, and who of them waits.
#[derive(Debug, Default)]
struct List {
    subscribers: usize,
    next_id: u64,
    waiters: Vec<(u64, Waker)>,
    /// How many of the writers that rang were heard.
    heard: u64,
}

/// A subscriber, as far as this side knows it.
#[derive(Debug)]
pub(crate) struct Subscription {
    id: u64,
    /// The epoch its last look began; everything is newer than 0.
    looked: u64,
}

/// A look at what changed.
#[derive(Debug)]
pub(crate) struct Look {
    /// Marks not below this one are news.
    since: u64,
    /// Where the next look takes over.
    next: u64,
}

impl Notify {
    pub(crate) fn new(places: usize) -> Self {
        // Place 0 is nobody's, but the last one is somebody's.
        let ranges = places / RANGE as usize + 1;
        Self {
            shared: Padded::default(),
            marks: (0..ranges).map(|_| AtomicU64::new(0)).collect(),
            list: Mutex::new(List::default()),
        }
    }

    /// To be called after every change of the packed state at a place. One load, unless somebody subscribes.
    #[inline(always)]
    pub(crate) fn changed(&self, domain: &Domain, place: Index) {
        // Between the change and the load, against the heavy fence of a look. Pinned by
        // `notify::a_change_against_the_first_look`.
        domain.light_fence();
        let epoch = self.shared.epoch.load(Ordering::Relaxed);
        if somebody_subscribes(epoch) {
            self.mark(domain, place, epoch);
        }
    }

    #[cold]
    fn mark(&self, domain: &Domain, place: Index, mut epoch: u64) {
        let mark = &self.marks[(place.get() / RANGE) as usize];
        while somebody_subscribes(epoch) {
            for mark in [mark, &self.shared.newest] {
                if mark.load(Ordering::Relaxed) < epoch {
                    mark.fetch_max(epoch, Ordering::Relaxed);
                }
            }
            // Between the marks (or the loads that found them set) and the loads of epoch and waiters,
            // against the heavy fences of a look and of a waiter. Pinned by
            // `notify::a_mark_against_a_look` and `notify::a_change_against_a_waiter`.
            domain.light_fence();
            let now = self.shared.epoch.load(Ordering::Relaxed);
            if now == epoch {
                break;
            }
            epoch = now;
        }
        if self.shared.waiting.load(Ordering::Relaxed) {
            self.ring();
        }
    }

    /// Wakes all waiters, or has it done by who holds the list.
    #[cold]
    fn ring(&self) {
        // Release: a holder that heard this ring sees the marks that were set before it.
        self.shared.rung.fetch_add(1, Ordering::Release);
        // SeqCst: against the holder's fence. Either it is seen to have let go, or it sees the ring.
        // Pinned by `notify::a_ring_while_the_list_is_held`.
        fence(Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        loop {
            let mut list = match self.list.try_lock() {
                Ok(list) => list,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            // Acquire: see `ring`. Before the waiters are taken: who rings later is not heard yet.
            list.heard = self.shared.rung.load(Ordering::Acquire);
            let waiters = mem::take(&mut list.waiters);
            self.shared.waiting.store(false, Ordering::Relaxed);
            let unheard = self.let_go(list);
            for (_, waker) in waiters {
                // Who writes is not to blame for a waker, nor are the others who wait.
                catch_panic(|| waker.wake());
            }
            if !unheard {
                return;
            }
        }
    }

    /// Lets go of the list; whether somebody rang whom its holder did not hear.
    fn let_go(&self, list: MutexGuard<'_, List>) -> bool {
        let heard = list.heard;
        drop(list);
        // SeqCst: against the fence in `ring`.
        fence(Ordering::SeqCst);
        self.shared.rung.load(Ordering::Relaxed) != heard
    }

    /// Does something with the list of waiters. Waits for others who do, who are no writers and quick: so
    /// `work` must neither clone nor drop a waker, which is a task's own code, and may come back here.
    fn with_list<R>(&self, work: impl FnOnce(&mut List) -> R) -> R {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut list);
        if self.let_go(list) {
            self.wake();
        }
        result
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        self.with_list(|list| {
            if list.subscribers == 0 {
                // From here on the epoch is odd. Who misses that is seen by the first look, whose
                // fence comes later.
                self.shared.epoch.fetch_add(1, Ordering::Relaxed);
            }
            list.subscribers += 1;
            list.next_id += 1;
            Subscription {
                id: list.next_id,
                looked: 0,
            }
        })
    }

    pub(crate) fn unsubscribe(&self, subscription: &Subscription) {
        self.cancel(subscription);
        self.with_list(|list| {
            list.subscribers -= 1;
            if list.subscribers == 0 {
                self.shared.epoch.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Whether anything was marked since the subscription's last look.
    pub(crate) fn has_news(&self, subscription: &Subscription) -> bool {
        self.shared.newest.load(Ordering::Relaxed) >= subscription.looked
    }

    /// Begins a look at what changed, if anything did.
    pub(crate) fn look(&self, domain: &Domain, subscription: &Subscription) -> Option<Look> {
        if !self.has_news(subscription) {
            return None;
        }
        let before = self.shared.epoch.fetch_add(STEP, Ordering::Relaxed);
        // Between the new epoch and what the look reads, against the light fences of the writers.
        // Pinned by `notify::a_change_against_the_first_look` and `notify::a_mark_against_a_look`.
        Some(if domain.heavy_fence() {
            Look {
                since: subscription.looked,
                next: before + STEP,
            }
        } else {
            // A writer may go unseen this time: look at everything, now and the next time.
            Look { since: 0, next: 0 }
        })
    }

    /// Ends a look.
    pub(crate) fn looked(&self, look: Look, subscription: &mut Subscription) {
        subscription.looked = look.next;
    }

    /// Whether a range may have changed since the look before.
    pub(crate) fn is_marked(&self, range: u32, look: &Look) -> bool {
        self.marks[range as usize].load(Ordering::Relaxed) >= look.since
    }

    /// Whether there is news; if not, `waker` is woken as soon as there is.
    pub(crate) fn wait(&self, domain: &Domain, subscription: &Subscription, waker: &Waker) -> bool {
        if self.has_news(subscription) {
            self.cancel(subscription);
            return true;
        }
        let waker = waker.clone();
        let replaced = self.with_list(|list| {
            let known = list
                .waiters
                .iter_mut()
                .find(|(id, _)| *id == subscription.id);
            match known {
                Some((_, known)) => Some(mem::replace(known, waker)),
                None => {
                    list.waiters.push((subscription.id, waker));
                    self.shared.waiting.store(true, Ordering::Relaxed);
                    None
                }
            }
        });
        let is_new = replaced.is_none();
        drop(replaced);
        // Between enlisting and looking for marks, against the light fence of the writers. Without it
        // a writer may go by unseen: then the caller must look instead of sleeping. Pinned by
        // `notify::a_change_against_a_waiter`.
        if is_new && (!domain.heavy_fence() || self.has_news(subscription)) {
            self.cancel(subscription);
            return true;
        }
        false
    }

    /// Nobody waits for this subscription any more.
    pub(crate) fn cancel(&self, subscription: &Subscription) {
        // Relaxed: the subscription's own enlisting is this thread's past, and who struck it off the
        // list was done before this reads a false.
        if self.shared.waiting.load(Ordering::Relaxed) {
            let cancelled = self.with_list(|list| {
                let place = list
                    .waiters
                    .iter()
                    .position(|(id, _)| *id == subscription.id);
                let cancelled = place.map(|place| list.waiters.swap_remove(place));
                let waiting = !list.waiters.is_empty();
                self.shared.waiting.store(waiting, Ordering::Relaxed);
                cancelled
            });
            drop(cancelled);
        }
    }
}
