//! How writers let subscribers know that something changed: marks, not messages.
//!
//! The entries of the table are cut into ranges, each with a mark. Subscribers cut time into epochs:
//! each look at the table begins the next one. A writer that changed a packed state marks its range
//! with the present epoch, unless the range is marked so already. So however long a subscriber sleeps,
//! writers find the marks set and write nothing. A subscriber looks through the ranges whose marks are
//! not older than its last look. A writer is done after one load while there is no subscriber and no
//! wait for a node.
//!
//! ```text
//! writer                                 subscriber
//!   change the packed state                epoch += 1
//!   light fence                            heavy fence
//!   no interest? done                      look at the marks, and at the entries of marked ranges
//!   e := epoch
//!   mark the range, and newest, with e
//!   light fence
//!   epoch moved on? mark again             wait: enlist, heavy fence, sleep unless newest is new
//!   notify the waiters
//! ```
//!
//! Of each writer and each look one sees the other. If the writer's last load of the epoch missed the
//! look's beginning, then its fence came first: the look finds its mark and its packed state. If not, the
//! writer marked the range for the next look, and a subscriber that waits for that is woken. The same
//! fences put a writer's marks against a waiter's enlisting. So a change is in the table before
//! a subscriber is told, and a look that begins after an update returned sees that update or a later
//! one. Packed states, marks and epoch need no orderings of their own beyond that.
//!
//! A wait for one node uses the same fences without marks: it enlists in the [`WakeList`] of the node's
//! range (or, while the node is absent, in the list of joins), fences, looks at the node once more, and
//! sleeps.
//!
//! Writers never wait here; see [`wake_list`](super::wake_list).
#![forbid(unsafe_code)]

use core::task::{Poll, Waker};
use std::sync::OnceLock;

use super::wake_list::{Ticket, WakeList};
use crate::reclaim::Domain;
use crate::sync::Padded;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::table::{Index, Pages, ZeroedArray};

/// Entries of one range: a look at a marked one reads so many.
pub(crate) const RANGE: u32 = if cfg!(incarnation_loom) { 1 } else { 32 };

/// One subscriber in [`Shared::interest`].
const SUBSCRIBER: u64 = 1 << 32;
/// One wait for a node in [`Shared::interest`].
const NODE_WAIT: u64 = 1;

#[derive(Debug)]
pub(crate) struct Notify {
    /// What every writer reads, on one line: it changes as often as subscribers look.
    shared: Padded<Shared>,
    /// For each range, the epoch of the last change that had to be marked. No memory is used for them before that.
    marks: ZeroedArray<AtomicU64>,
    /// Subscribers that wait.
    waiters: WakeList,
    /// Waits for single nodes: the list of joins, then one list a range. Made by the first wait.
    node_waits: OnceLock<Box<[WakeList]>>,
    /// How many owners can change the table: trackers, and what holds one.
    owners: AtomicU64,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many subscribers there are, and how many waits for nodes; see [`SUBSCRIBER`].
    interest: AtomicU64,
    epoch: AtomicU64,
    /// The highest mark.
    newest: AtomicU64,
}

/// A subscriber, as far as this side knows it.
#[derive(Debug)]
pub(crate) struct Subscription {
    ticket: Ticket,
    /// The epoch its last look began; everything is newer than 0.
    looked: u64,
    /// A fence was refused: changes may have gone unmarked, or waiters unseen.
    is_unsure: bool,
    /// It was told to poll again, instead of waiting unsure.
    has_yielded: bool,
}

/// A look at what changed.
#[derive(Debug)]
pub(crate) struct Look {
    /// Marks not below this one are news.
    since: u64,
    /// Where the next look takes over.
    next: u64,
    is_unsure: bool,
}

/// No tracker is left, so nothing will change any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoOwner;

impl Notify {
    /// `None` if there is no memory for the marks.
    pub(crate) fn new(indexes: usize) -> Option<Self> {
        // Index 0 is no entry's, but the last one is.
        let ranges = indexes / RANGE as usize + 1;
        Some(Self {
            shared: Padded::default(),
            marks: ZeroedArray::new(ranges, Pages::Ordinary)?,
            waiters: WakeList::default(),
            node_waits: OnceLock::new(),
            owners: AtomicU64::new(0),
        })
    }

    /// To be called after every change of the packed state at an index; `joined` if a node entered the
    /// table there. One load, unless there is a subscriber or a wait for a node.
    #[inline(always)]
    pub(crate) fn changed(&self, domain: &Domain, index: Index, joined: bool) {
        // Between the change and the load, against the heavy fence of a look or a waiter. Pinned by
        // `notify::a_change_against_the_first_look` and `node_waits::a_change_against_a_wait`. The load is Relaxed: if
        // this fence comes after the heavy one, it sees the interest.
        domain.light_fence();
        let interest = self.shared.interest.load(Ordering::Relaxed);
        if interest != 0 {
            self.tell(domain, index, joined, interest);
        }
    }

    #[cold]
    fn tell(&self, domain: &Domain, index: Index, joined: bool, interest: u64) {
        let range = (index.get() / RANGE) as usize;
        if interest >= SUBSCRIBER {
            self.mark(domain, range);
            self.waiters.notify();
        }
        if !interest.is_multiple_of(SUBSCRIBER)
            && let Some(lists) = self.node_waits.get()
        {
            lists[range + 1].notify();
            if joined {
                lists[0].notify();
            }
        }
    }

    fn mark(&self, domain: &Domain, range: usize) {
        let mark = &self.marks[range];
        // Relaxed: an old epoch is found out by the load behind the fence.
        let mut epoch = self.shared.epoch.load(Ordering::Relaxed);
        loop {
            for mark in [mark, &self.shared.newest] {
                // Relaxed, both: the fence below orders the mark, its own or the one that it found.
                if mark.load(Ordering::Relaxed) < epoch {
                    mark.fetch_max(epoch, Ordering::Relaxed);
                }
            }
            // Between the marks (or the loads that found them set) and the loads of epoch and waiters,
            // against the heavy fences of a look and of a waiter. Pinned by
            // `notify::a_mark_against_a_look` and `notify::a_change_against_a_waiter`. The load is Relaxed: if this fence
            // comes after the heavy one of a look, it sees that look's epoch.
            domain.light_fence();
            let now = self.shared.epoch.load(Ordering::Relaxed);
            if now == epoch {
                return;
            }
            epoch = now;
        }
    }

    /// A tracker was made that can change the table.
    pub(crate) fn add_owner(&self) {
        // Relaxed: made from another owner, or while there is nothing to be told yet.
        self.owners.fetch_add(1, Ordering::Relaxed);
    }

    /// As [`add_owner`](Self::add_owner), unless no tracker is left; whether it did. Once a subscriber was told of the
    /// end, no tracker comes back.
    pub(crate) fn add_owner_again(&self) -> bool {
        // Relaxed, all: as for `add_owner`. Looking and adding are one step, so that no subscriber is told of the end
        // in between. Pinned by `notify::a_weak_tracker_against_the_last_tracker`.
        let mut owners = self.owners.load(Ordering::Relaxed);
        while owners > 0 {
            match self.owners.compare_exchange_weak(
                owners,
                owners + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => owners = now,
            }
        }
        false
    }

    /// A tracker is gone; the last one tells the subscribers that wait.
    pub(crate) fn remove_owner(&self, domain: &Domain) {
        // Release: a subscriber that sees no owner sees every mark that the owners set: those that went before set theirs
        // before exchanges whose release sequences the last one's continues. Pinned by
        // `notify::the_last_tracker_against_a_waiter`.
        if self.owners.fetch_sub(1, Ordering::Release) == 1 {
            // Between the count and the load of the waiters, against the heavy fence of a waiter. Pinned by
            // `notify::the_last_tracker_goes_while_a_subscriber_waits`.
            domain.light_fence();
            self.waiters.notify();
        }
    }

    fn has_no_owner(&self) -> bool {
        // Acquire: see `remove_owner`.
        self.owners.load(Ordering::Acquire) == 0
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        // Relaxed: the first look, whose fence comes later, sees the changes of writers that miss this.
        self.shared
            .interest
            .fetch_add(SUBSCRIBER, Ordering::Relaxed);
        Subscription {
            ticket: Ticket::default(),
            looked: 0,
            is_unsure: false,
            has_yielded: false,
        }
    }

    pub(crate) fn unsubscribe(&self, subscription: &mut Subscription) {
        self.cancel(subscription);
        // Relaxed: a writer that still sees the interest marks in vain.
        self.shared
            .interest
            .fetch_sub(SUBSCRIBER, Ordering::Relaxed);
    }

    /// Whether anything may have changed since the subscription's last look.
    pub(crate) fn has_news(&self, subscription: &Subscription) -> bool {
        subscription.is_unsure || self.is_marked_since(subscription)
    }

    fn is_marked_since(&self, subscription: &Subscription) -> bool {
        // Relaxed: a waiter loads it behind its heavy fence. A drain must see what returned before it began, and coherence
        // shows that mark.
        self.shared.newest.load(Ordering::Relaxed) >= subscription.looked
    }

    /// Begins a look at what changed, if anything may have.
    pub(crate) fn look(&self, domain: &Domain, subscription: &Subscription) -> Option<Look> {
        if !self.has_news(subscription) {
            return None;
        }
        // Relaxed: the heavy fence below orders it before all that the look reads.
        let before = self.shared.epoch.fetch_add(1, Ordering::Relaxed);
        // Between the new epoch and what the look reads, against the light fences of the writers.
        // Pinned by `notify::a_change_against_the_first_look` and `notify::a_mark_against_a_look`.
        // Once there is no owner, all changes are seen without a fence.
        Some(if domain.heavy_fence() || self.has_no_owner() {
            Look {
                since: subscription.looked,
                next: before + 1,
                is_unsure: false,
            }
        } else {
            // A writer may go unseen this time: look at everything, now and the next time.
            Look {
                since: 0,
                next: 0,
                is_unsure: true,
            }
        })
    }

    /// Ends a look.
    pub(crate) fn looked(&self, look: Look, subscription: &mut Subscription) {
        subscription.looked = look.next;
        subscription.is_unsure = look.is_unsure;
    }

    /// Whether a range may have changed since the look before.
    pub(crate) fn is_marked(&self, range: u32, look: &Look) -> bool {
        // Relaxed: the heavy fence of the look came before, so marks of writers that missed its epoch are seen.
        self.marks[range as usize].load(Ordering::Relaxed) >= look.since
    }

    /// Ready once there is news, or no owner any more; until then `waker` is woken when that happens.
    ///
    /// Where the fence is refused, a writer may go by unseen. Then this wakes the waker at once, and is
    /// ready at the next call: the caller must look, and its runtime has had a turn in between.
    pub(crate) fn wait(
        &self,
        domain: &Domain,
        subscription: &mut Subscription,
        waker: &Waker,
    ) -> Poll<Result<(), NoOwner>> {
        if let Some(answer) = self.answer(subscription) {
            self.cancel(subscription);
            return Poll::Ready(answer);
        }
        if !subscription.is_unsure {
            if !self.waiters.enlist(&mut subscription.ticket, waker) {
                return Poll::Pending;
            }
            // Between enlisting and looking for marks, against the light fences of the writers and of
            // the last owner. Pinned by `notify::a_change_against_a_waiter`.
            if domain.heavy_fence() {
                return match self.answer(subscription) {
                    Some(answer) => {
                        self.cancel(subscription);
                        Poll::Ready(answer)
                    }
                    None => Poll::Pending,
                };
            }
            self.cancel(subscription);
            subscription.is_unsure = true;
        }
        if core::mem::replace(&mut subscription.has_yielded, true) {
            subscription.has_yielded = false;
            return Poll::Ready(Ok(()));
        }
        waker.wake_by_ref();
        Poll::Pending
    }

    /// What a subscriber is told, if it need not wait.
    fn answer(&self, subscription: &Subscription) -> Option<Result<(), NoOwner>> {
        if self.is_marked_since(subscription) && !subscription.is_unsure {
            return Some(Ok(()));
        }
        // The owners before the marks: a last change is told before the end.
        self.has_no_owner().then(|| {
            if self.has_news(subscription) {
                Ok(())
            } else {
                Err(NoOwner)
            }
        })
    }

    /// The subscription waits no longer.
    pub(crate) fn cancel(&self, subscription: &mut Subscription) {
        self.waiters.cancel(&mut subscription.ticket);
    }

    /// Begins a wait for a node: from here on writers look for its list.
    pub(crate) fn begin_node_wait(&self) {
        // Relaxed: the heavy fence behind the enlisting decides what is seen.
        self.shared.interest.fetch_add(NODE_WAIT, Ordering::Relaxed);
    }

    /// Ends a wait for a node.
    pub(crate) fn end_node_wait(&self) {
        // Relaxed: a writer that still sees the interest looks through the list in vain.
        self.shared.interest.fetch_sub(NODE_WAIT, Ordering::Relaxed);
    }

    /// The waiters for a node at an index, or for nodes that are absent.
    pub(crate) fn node_waiters(&self, index: Option<Index>) -> &WakeList {
        let lists = self.node_waits.get_or_init(|| {
            let lists = self.marks.len() + 1;
            (0..lists).map(|_| WakeList::default()).collect()
        });
        &lists[index.map_or(0, |index| (index.get() / RANGE) as usize + 1)]
    }
}
