//! What a thread says of itself: at which epoch it pinned, or that it is idle.
//!
//! A pin and its unpin are in the path of every lookup, so what nearly all of them do is two stores,
//! and one comparison with a constant: no result of one pin is needed by the next, so the processor
//! works on both at once. All else (a guard inside another, a record that is given back with its
//! guard, fences that must be real) is told by values that comparison fails on, and costs a call.
//!
//! There are two ways to pin. A *guard* may be dropped at any time, in any order with others of its thread, or never. So the
//! record counts guards. An *operation* ends before anything that was there when it began: all pins that its thread makes
//! meanwhile are over by then, but for guards that code of the user took and kept. So an operation that finds its record
//! idle need not look whether it may leave it idle, and a guard taken inside an operation gets another record. That look
//! cost an eighth of a lookup.

use core::cell::Cell;

use super::Registry;
use crate::sync::Padded;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::plain::{AtomicBool, AtomicU64};

/// The epoch of an idle record: later than any.
pub(super) const IDLE: u64 = u64::MAX;
/// The same where a pin or its end must mind the flags.
const IDLE_FLAGGED: u64 = u64::MAX - 1;

/// In [`Record::guards`]: the last guard gives the record back. No thread keeps it: it was taken for
/// one guard alone, or its thread ended while pinned.
const PASSING: u64 = 1 << 63;
/// In [`Record::guards`]: readers must use a real fence.
const FENCED: u64 = 1 << 62;
/// In [`Record::guards`]: the number of guards. Leaked ones count for ever, so there must be more bits than a
/// program can leak guards: with 32 it takes seconds, with these it takes a century.
const GUARDS: u64 = FENCED - 1;

#[derive(Debug)]
pub(super) struct Record {
    /// The epoch its thread pinned at, or that it is idle. Stored by that thread alone.
    pub(super) epoch: AtomicU64,
    /// Whether a thread has it.
    taken: AtomicBool,
    /// How many guards the thread holds, plus the flags above.
    guards: Cell<u64>,
    /// Which thread has it.
    owner: Cell<usize>,
    /// The record made before; never changes once the record is in the list.
    pub(super) next: *mut Padded<Self>,
}

// SAFETY: `guards` and `owner` are touched only by the thread that has the record: taking is an Acquire
// of `taken`, giving back a Release. `next` does not change once the record is shared. The rest is
// atomic.
unsafe impl Sync for Record {}
// SAFETY: nothing in it belongs to the thread that made it.
unsafe impl Send for Record {}

impl Record {
    /// A new one, which the thread has.
    pub(super) fn new(fenced: bool, owner: usize) -> Self {
        let (idle, flags) = if fenced {
            (IDLE_FLAGGED, FENCED)
        } else {
            (IDLE, 0)
        };
        Self {
            epoch: AtomicU64::new(idle),
            taken: AtomicBool::new(true),
            guards: Cell::new(flags),
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
            self.guards.set(self.guards.get() & FENCED);
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
        self.guards.set(self.guards.get() | PASSING);
        if !self.is_pinned() {
            self.be_idle(IDLE_FLAGGED);
        }
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.there() < IDLE_FLAGGED
    }

    #[inline(always)]
    fn there(&self) -> u64 {
        // Relaxed: no other thread stores it.
        self.epoch.load(Ordering::Relaxed)
    }

    /// Begins an operation, if the record is idle and there is nothing else to mind. Then [`end`](Self::end) ends it.
    #[inline(always)]
    pub(super) fn begin(&self, registry: &Registry) -> bool {
        let idle = self.there() == IDLE;
        if idle {
            self.pin(registry);
        }
        idle
    }

    /// Ends an operation. Every guard that its thread took meanwhile has another record.
    #[inline(always)]
    pub(super) fn end(&self) {
        self.be_idle(IDLE);
    }

    /// Takes a guard; false inside an operation, for which the guard must have another record.
    #[inline(always)]
    pub(super) fn enter(&self, registry: &Registry) -> bool {
        if self.there() == IDLE {
            self.pin(registry);
        } else if !self.enter_rarer(registry) {
            return false;
        }
        self.guards.set(self.guards.get() + 1);
        true
    }

    #[cold]
    #[inline(never)]
    fn enter_rarer(&self, registry: &Registry) -> bool {
        if self.is_pinned() {
            return self.guards.get() & GUARDS > 0;
        }
        self.pin_flagged(registry);
        true
    }

    /// Pins an idle record without flags: readers need no real fence.
    #[inline(always)]
    fn pin(&self, registry: &Registry) {
        self.announce(registry);
        // Between the announcement and the reads that follow, against the heavy fence of a scan. Pinned by
        // `views::lookup_across_unlink_and_recycling`.
        registry.fences.light();
    }

    /// The same for any record.
    fn pin_flagged(&self, registry: &Registry) {
        self.announce(registry);
        // As in `pin`, or a real one. Pinned by `views::a_repinned_view_keeps_what_it_sees`.
        registry.light_fence();
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
        let guards = self.guards.get() - 1;
        self.guards.set(guards);
        if guards == 0 {
            self.be_idle(IDLE);
        } else {
            self.leave_rarer(guards);
        }
    }

    #[cold]
    #[inline(never)]
    fn leave_rarer(&self, guards: u64) {
        if guards & GUARDS > 0 {
            return;
        }
        self.be_idle(idle_of(guards));
        if guards & PASSING != 0 {
            self.give_back();
        }
    }

    /// Lets go of what the only guard protects, and pins again; nothing if there are others.
    pub(super) fn renew(&self, registry: &Registry) {
        let guards = self.guards.get();
        if guards & GUARDS == 1 {
            self.be_idle(idle_of(guards));
            self.pin_flagged(registry);
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
            // The thread that takes it finds it as if given back.
            self.be_idle(idle_of(self.guards.get()));
            self.give_back();
        }
    }
}

/// The epoch of an idle record that has no thread, or whose only guard is about to pin it again.
const fn idle_of(flags: u64) -> u64 {
    if flags & FENCED == 0 {
        IDLE
    } else {
        IDLE_FLAGGED
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
            assert!(record.enter(&registry));
            // As if so many had been leaked.
            record.guards.set(record.guards.get() + u64::from(u32::MAX));
            assert!(record.enter(&registry));
            record.leave();
            assert!(record.enter(&registry));
            assert!(record.enter(&registry));
            record.leave();
            record.leave();
            assert!(record.is_pinned(), "by the first one, and by those leaked");
            assert!(!record.take(2), "the thread still has it");
            assert_eq!(record.guards.get() & FENCED != 0, fenced);
            assert_eq!(record.guards.get() & GUARDS, 1 + u64::from(u32::MAX));
        }
    }

    #[test]
    fn a_record_that_is_passed_on_is_given_back_by_the_last_guard() {
        let registry = Registry::new();
        for fenced in [false, true] {
            // Its thread ended inside two views.
            let record = Record::new(fenced, 1);
            assert!(record.enter(&registry));
            assert!(record.enter(&registry));
            record.let_go();
            record.leave();
            assert!(record.is_pinned() && !record.take(2));
            record.leave();
            assert!(record.take(2), "given back");
            assert!(!record.take(3), "once");
            // The next one keeps it.
            assert!(record.enter(&registry));
            record.leave();
            assert!(!record.take(3));
            record.let_go();
            assert!(record.take(3), "given back at once");

            // It was taken for one guard.
            record.pass_on();
            assert!(record.enter(&registry));
            record.leave();
            assert!(record.take(4));
        }
    }

    #[test]
    fn an_operation_begins_in_an_idle_record_without_flags_only() {
        let registry = Registry::new();
        let record = Record::new(false, 1);
        for _ in 0..2 {
            assert!(record.begin(&registry));
            assert!(record.is_pinned());
            assert!(!record.begin(&registry), "inside another");
            assert!(!record.enter(&registry), "a guard would be ended with it");
            record.end();
            assert!(!record.is_pinned());
        }
        assert!(record.enter(&registry));
        assert!(!record.begin(&registry), "inside a guard");
        record.leave();
        assert!(record.begin(&registry));
        record.end();

        record.pass_on();
        assert!(!record.begin(&registry), "it would not be given back");
        assert!(record.enter(&registry));
        record.leave();
        assert!(record.take(2));
        assert!(record.begin(&registry), "the next thread keeps it");

        assert!(
            !Record::new(true, 1).begin(&registry),
            "without a real fence"
        );
    }
}
