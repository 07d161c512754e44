//! What a thread says of itself: at which epoch it pinned, or that it is idle.
//!
//! A pin and its unpin are in the path of every lookup, so what nearly all of them do is two stores,
//! and two comparisons with constants: no result of one pin is needed by the next, so the processor
//! works on both at once. All else (a guard inside another, a record that is given back with its
//! guard, fences that must be real) is told by values those comparisons fail on, and costs a call.

use core::cell::Cell;

use super::Registry;
use crate::sync::Padded;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::plain::{AtomicBool, AtomicU64};

/// The epoch of an idle record: later than any.
pub(super) const IDLE: u64 = u64::MAX;
/// The same where readers must use a real fence.
const IDLE_FENCED: u64 = u64::MAX - 1;

/// In [`Record::others`]: the last guard gives the record back. No thread keeps it: it was taken for
/// one guard alone, or its thread ended while pinned.
const PASSING: u64 = 1 << 63;
/// In [`Record::others`]: readers must use a real fence.
const FENCED: u64 = 1 << 62;
/// In [`Record::others`]: the number of guards. Leaked ones count for ever, so there must be more bits than a
/// program can leak guards: with 32 it takes seconds, with these it takes a century.
const GUARDS: u64 = FENCED - 1;

#[derive(Debug)]
pub(super) struct Record {
    /// The epoch its thread pinned at, or that it is idle. Stored by that thread alone.
    pub(super) epoch: AtomicU64,
    /// Whether a thread has it.
    taken: AtomicBool,
    /// How many guards the thread holds beside the first, plus the flags above: 0 but for a few.
    others: Cell<u64>,
    /// Which thread has it.
    owner: Cell<usize>,
    /// The record made before; never changes once the record is in the list.
    pub(super) next: *mut Padded<Self>,
}

// SAFETY: `others` and `owner` are touched only by the thread that has the record: taking is an Acquire
// of `taken`, giving back a Release. `next` does not change once the record is shared. The rest is
// atomic.
unsafe impl Sync for Record {}
// SAFETY: nothing in it belongs to the thread that made it.
unsafe impl Send for Record {}

impl Record {
    /// A new one, which the thread has.
    pub(super) fn new(fenced: bool, owner: usize) -> Self {
        let (idle, flags) = if fenced {
            (IDLE_FENCED, FENCED)
        } else {
            (IDLE, 0)
        };
        Self {
            epoch: AtomicU64::new(idle),
            taken: AtomicBool::new(true),
            others: Cell::new(flags),
            owner: Cell::new(owner),
            next: core::ptr::null_mut(),
        }
    }

    /// Takes one that was given back.
    pub(super) fn take(&self, owner: usize) -> bool {
        let free = self
            .taken
            // Acquire: see `give_back`. Relaxed: a taken one is not looked at.
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
        if free {
            self.others.set(self.others.get() & FENCED);
            self.owner.set(owner);
        }
        free
    }

    fn give_back(&self) {
        // Release: the thread that takes it sees the cells as they were left.
        self.taken.store(false, Ordering::Release);
    }

    /// From now on the last guard gives the record back, or it is given back at once if there is none.
    pub(super) fn let_go(&self) {
        if self.is_pinned() {
            self.pass_on();
        } else {
            self.give_back();
        }
    }

    /// The last guard, which may be yet to come, is to give the record back.
    pub(super) fn pass_on(&self) {
        self.others.set(self.others.get() | PASSING);
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.there() < IDLE_FENCED
    }

    #[inline(always)]
    fn there(&self) -> u64 {
        // Relaxed: no other thread stores it.
        self.epoch.load(Ordering::Relaxed)
    }

    /// Pins, unless the thread is pinned already.
    #[inline(always)]
    pub(super) fn enter(&self, registry: &Registry) {
        let there = self.there();
        if there == IDLE {
            self.announce(registry);
            // Between the announcement and the reads that follow, against the heavy fence of a scan. An idle record
            // says that membarrier was not refused. Pinned by `views::lookup_across_unlink_and_recycling`.
            registry.fences.light();
        } else {
            self.enter_rarer(registry, there);
        }
    }

    #[cold]
    #[inline(never)]
    fn enter_rarer(&self, registry: &Registry, there: u64) {
        if there == IDLE_FENCED {
            self.announce(registry);
            // As in `enter`, where membarrier was refused. Pinned by `views::a_lookup_where_membarrier_is_refused`.
            registry.real_fence();
        } else {
            self.others.set(self.others.get() + 1);
        }
    }

    #[inline(always)]
    fn announce(&self, registry: &Registry) {
        // Acquire: what was unlinked before this epoch's ticket was drawn is seen as unlinked. No fence gives that
        // where membarrier is had. Pinned by `views::lookup_across_unlink_and_recycling`.
        let epoch = registry.epoch.load(Ordering::Acquire);
        // Release: a scan that reads this store, and not the idle record before it, must still see all
        // that this thread did before it was idle. Pinned by `views::a_second_pin_keeps_the_first_unpin`.
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Lets go of one guard.
    #[inline(always)]
    pub(super) fn leave(&self) {
        if self.others.get() == 0 {
            self.be_idle(IDLE);
        } else {
            self.leave_rarer();
        }
    }

    #[cold]
    #[inline(never)]
    fn leave_rarer(&self) {
        let others = self.others.get();
        if others & GUARDS > 0 {
            self.others.set(others - 1);
            return;
        }
        self.be_idle(if others & FENCED == 0 {
            IDLE
        } else {
            IDLE_FENCED
        });
        if others & PASSING != 0 {
            self.give_back();
        }
    }

    /// Lets go of what the only guard protects, and pins again; nothing if there are others.
    pub(super) fn renew(&self, registry: &Registry) {
        let others = self.others.get();
        if others & GUARDS == 0 {
            self.be_idle(if others & FENCED == 0 {
                IDLE
            } else {
                IDLE_FENCED
            });
            self.announce(registry);
            // As in `enter`. Pinned by `views::a_repinned_view_keeps_what_it_sees`.
            registry.light_fence();
        }
    }

    #[inline(always)]
    fn be_idle(&self, idle: u64) {
        // Release: the reads of this guard happen before a thread that finds the record idle goes on
        // to use the entries again. Pinned by `views::lookup_across_unlink_and_recycling`.
        self.epoch.store(idle, Ordering::Release);
    }

    /// In the child of a fork, which has only one thread: frees the record if it was another's.
    #[cfg(not(incarnation_loom))]
    pub(super) fn forget_others(&self, me: usize) {
        if self.owner.get() != me {
            // The thread that takes it finds it as if given back; the flags tell which kind of idle.
            self.be_idle(if self.others.get() & FENCED == 0 {
                IDLE
            } else {
                IDLE_FENCED
            });
            self.give_back();
        }
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::*;

    #[test]
    fn leaked_guards_never_count_as_a_flag() {
        let registry = Registry::new();
        for fenced in [false, true] {
            let record = Record::new(fenced, 1);
            record.enter(&registry);
            // As if so many had been leaked.
            record.others.set(record.others.get() + u64::from(u32::MAX));
            record.enter(&registry);
            record.leave();
            record.enter(&registry);
            record.enter(&registry);
            record.leave();
            record.leave();
            assert!(record.is_pinned(), "by the first one, and by those leaked");
            assert!(!record.take(2), "the thread still has it");
            assert_eq!(record.others.get() & FENCED != 0, fenced);
            assert_eq!(record.others.get() & GUARDS, u64::from(u32::MAX));
        }
    }

    #[test]
    fn a_record_that_is_passed_on_is_given_back_by_the_last_guard() {
        let registry = Registry::new();
        for fenced in [false, true] {
            // Its thread ended inside two views.
            let record = Record::new(fenced, 1);
            record.enter(&registry);
            record.enter(&registry);
            record.let_go();
            record.leave();
            assert!(record.is_pinned() && !record.take(2));
            record.leave();
            assert!(record.take(2), "given back");
            assert!(!record.take(3), "once");
            // The next one keeps it.
            record.enter(&registry);
            record.leave();
            assert!(!record.take(3));
            record.let_go();
            assert!(record.take(3), "given back at once");

            // It was taken for one guard.
            record.pass_on();
            record.enter(&registry);
            record.leave();
            assert!(record.take(4));
        }
    }
}
