//! Reclamation by asymmetric fences: readers store, the rare freeing side pays.
//!
//! Each thread has a *record* that says at which epoch it pinned, or that it is idle. To pin is to
//! load the epoch, store it into the record, and keep the compiler from moving the reads that follow
//! before that store. That is no fence to the processor; the freeing side makes up for it with
//! `membarrier(2)`, which runs a full fence on every core that runs a thread of this process:
//!
//! ```text
//! reader                                    freeing side
//!   epoch -> record        (store)            unlink the entry
//!   light fence                               tag := epoch, epoch += 1
//!   read the table                            heavy fence
//!   idle -> record         (store)            scan the records; tag < every epoch in them: free
//! ```
//!
//! Either the scan sees the reader's store, and then its epoch (not above the tag, if the reader can
//! have seen the entry) keeps the entry; or the reader's reads come after the heavy fence, and then
//! they find it unlinked. Where the kernel refuses membarrier, both fences are real ones; that is
//! decided once, when the domain is made. Should it ever fail afterwards, nothing is freed any more.
//!
//! Under the model checker both fences are real. So the checker cannot show that the pin's load of
//! the epoch must be an Acquire: there the reader's fence makes up for it, here nothing does.
//!
//! Threads: a record is taken at a thread's first pin and given back when the thread ends; one that
//! ends inside a view (leaked, or kept in a thread-local that is destroyed later) leaves its record
//! pinned until that view is dropped, which may be never. A pin in a thread-local destructor after
//! that takes a record for itself alone. After `fork`, the records of the threads that the child
//! does not have are reset in the shared domain, so a view another thread held holds nothing up there.

use core::cell::{Cell, RefCell};
use core::marker::PhantomData;
use core::ptr;

use super::membarrier;
use crate::sync::atomic::plain::{AtomicBool, AtomicPtr, AtomicU64};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::{Arc, Padded, thread_local};

/// The epoch of a record whose thread is not pinned: later than any.
const IDLE: u64 = u64::MAX;

/// Added to the depth of a record that no thread keeps: taken for one guard alone, or left by a thread
/// that ended while pinned.
const PASSING: u64 = 1 << 32;

/// A set of threads and trackers whose pins count for each other.
#[derive(Clone, Debug)]
pub(crate) struct Domain(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    /// Counts the tickets.
    epoch: AtomicU64,
    /// Whether readers may leave their fence to the freeing side.
    asymmetric: bool,
    /// Every record ever made, newest first. Records are reused, and freed with the registry.
    records: AtomicPtr<Padded<Record>>,
}

#[derive(Debug)]
struct Record {
    /// The epoch its thread pinned at, or `IDLE`.
    epoch: AtomicU64,
    /// Whether a thread has it.
    taken: AtomicBool,
    /// How many guards the thread holds, plus [`PASSING`] if the last of them gives the record back.
    /// Only the thread that has the record touches it.
    ///
    /// What nearly every pin does is written so that the processor needs none of its results to go on:
    /// compared with a constant and replaced by a constant, which breaks the chain of loads that each
    /// wait for the store before.
    depth: Cell<u64>,
    /// Which thread that is.
    owner: Cell<usize>,
    /// The record made before; never changes once the record is in the list.
    next: *mut Padded<Record>,
}

// SAFETY: `depth` and `owner` are touched only by the thread that has the record: taking is an
// Acquire of `taken`, giving back a Release. `next` does not change once the record is shared. The
// rest is atomic.
unsafe impl Sync for Registry {}
// SAFETY: nothing in it belongs to the thread that made it.
unsafe impl Send for Registry {}

/// While it is held, nothing that was linked when it was made is used again.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    /// Valid while the registry lives, which is at least as long as the domain borrowed.
    record: *const Padded<Record>,
    registry: &'a Registry,
    not_send: PhantomData<*const ()>,
}

/// A point in time after which nobody new can see what its holder had unlinked.
#[derive(Debug)]
pub(crate) struct Ticket(u64);

/// What a settling found out: the oldest epoch at which anybody is still pinned.
#[derive(Debug)]
pub(crate) struct Horizon(u64);

/// The record this thread used last, so that a pin need not search.
#[derive(Clone, Copy)]
struct Current {
    registry: *const Registry,
    record: *const Padded<Record>,
}

const NOWHERE: Current = Current {
    registry: ptr::null(),
    record: ptr::null(),
};

#[cfg(not(loom))]
thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(NOWHERE) };
    static OWNED: RefCell<Owned> = const { RefCell::new(Owned(Vec::new())) };
}

#[cfg(loom)]
thread_local! {
    static CURRENT: Cell<Current> = Cell::new(NOWHERE);
    static OWNED: RefCell<Owned> = RefCell::new(Owned(Vec::new()));
}

/// The records this thread has, one a registry; given back when the thread ends.
struct Owned(Vec<(Arc<Registry>, *const Padded<Record>)>);

impl Drop for Owned {
    fn drop(&mut self) {
        // From here on the thread's pins take records of their own.
        let _ = CURRENT.try_with(|current| current.set(NOWHERE));
        for (_registry, record) in self.0.drain(..) {
            // SAFETY: the registry is alive (held right here), and with it its records.
            let record = unsafe { &*record };
            let depth = record.depth.get();
            if depth == 0 {
                record.give_back();
            } else {
                record.depth.set(depth + PASSING);
            }
        }
    }
}

/// A number no other living thread has, which a fork does not change: an address in its own storage.
fn thread_identity() -> usize {
    CURRENT
        .try_with(|current| ptr::from_ref(current).addr())
        .unwrap_or(0)
}

impl Record {
    fn give_back(&self) {
        // Release: whoever takes it sees the cells as they were left.
        self.taken.store(false, Ordering::Release);
    }

    /// Pins, unless the thread is pinned already.
    #[inline(always)]
    fn enter(&self, registry: &Registry) {
        if self.depth.get() == 0 {
            self.depth.set(1);
            self.announce(registry);
        } else {
            self.enter_again(registry);
        }
    }

    /// For a thread that holds guards already, or a record that was taken for one guard alone.
    #[cold]
    #[inline(never)]
    fn enter_again(&self, registry: &Registry) {
        let depth = self.depth.get();
        self.depth.set(depth + 1);
        if depth == PASSING {
            self.announce(registry);
        }
    }

    #[inline(always)]
    fn announce(&self, registry: &Registry) {
        // Acquire: what was unlinked before this epoch's ticket was drawn is seen as unlinked. With
        // a real fence below it would follow from that one; with a compiler fence nothing else
        // gives it, and the model checker, where the fence is real, cannot show it.
        let epoch = registry.epoch.load(Ordering::Acquire);
        // Release: a scan that reads this store, and not the `IDLE` before it, must still see all
        // that this thread did before it was idle. Pinned by `views::a_second_pin_keeps_the_first_unpin`.
        self.epoch.store(epoch, Ordering::Release);
        registry.light_fence();
    }

    #[inline(always)]
    fn leave(&self) {
        if self.depth.get() == 1 {
            self.depth.set(0);
            self.be_idle();
        } else {
            self.leave_one();
        }
    }

    #[cold]
    #[inline(never)]
    fn leave_one(&self) {
        let depth = self.depth.get() - 1;
        self.depth.set(depth);
        if depth == PASSING {
            self.be_idle();
            self.give_back();
        }
    }

    #[inline(always)]
    fn be_idle(&self) {
        // Release: the reads of this guard happen before whoever finds the record idle goes on
        // to use the entries again. Pinned by `views::lookup_across_unlink_and_recycling`.
        self.epoch.store(IDLE, Ordering::Release);
    }
}

/// Tells the compiler that the way here is seldom taken.
#[cold]
const fn rarely() {}

impl Registry {
    fn new() -> Self {
        Self {
            epoch: AtomicU64::new(1),
            asymmetric: membarrier::register(),
            records: AtomicPtr::new(ptr::null_mut()),
        }
    }

    #[inline(always)]
    fn light_fence(&self) {
        if self.asymmetric {
            core::sync::atomic::compiler_fence(Ordering::SeqCst);
        } else {
            rarely();
            // SeqCst: the store to the record comes before the reads that follow, or the scan sees
            // none of it. Pinned by `views::lookup_across_unlink_and_recycling`.
            fence(Ordering::SeqCst);
        }
    }

    fn heavy_fence(&self) -> bool {
        if self.asymmetric {
            membarrier::run()
        } else {
            // SeqCst: the unlinking comes before the scan of the records. Pinned by
            // `views::lookup_across_unlink_and_recycling`.
            fence(Ordering::SeqCst);
            true
        }
    }

    fn each_record(&self) -> impl Iterator<Item = &Padded<Record>> {
        // Acquire: the record behind the pointer was written before the pointer.
        let mut next = self.records.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: a record in the list lives as long as the registry, which `self` borrows.
            let record = unsafe { next.as_ref() }?;
            next = record.next;
            Some(record)
        })
    }

    /// A record for this thread: one given back, or a new one.
    fn take_record(&self) -> *const Padded<Record> {
        for record in self.each_record() {
            let free = record
                .taken
                // Acquire: see `Record::give_back`. Relaxed: a taken one is not looked at.
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
            if free {
                record.depth.set(0);
                record.owner.set(thread_identity());
                return record;
            }
        }
        let record = Box::into_raw(Box::new(Padded(Record {
            epoch: AtomicU64::new(IDLE),
            taken: AtomicBool::new(true),
            depth: Cell::new(0),
            owner: Cell::new(thread_identity()),
            next: ptr::null_mut(),
        })));
        // Acquire: the list behind the head becomes reachable through this record too.
        let mut head = self.records.load(Ordering::Acquire);
        loop {
            // SAFETY: not in the list yet, so nobody else has it.
            unsafe { (*record).0.next = head };
            // Release: publishes the record. Acquire: see the load.
            match self.records.compare_exchange_weak(
                head,
                record,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return record,
                Err(newer) => head = newer,
            }
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Relaxed: nobody else is left, and what they did happened before the last of them let go.
        let mut next = self.records.load(Ordering::Relaxed);
        while !next.is_null() {
            // SAFETY: made by `Box::into_raw`, reachable from here only, each once.
            let record = unsafe { Box::from_raw(next) };
            next = record.next;
        }
    }
}

impl Domain {
    pub(crate) fn private() -> Self {
        Self(Arc::new(Registry::new()))
    }

    #[cfg(not(loom))]
    pub(crate) fn global() -> Self {
        static GLOBAL: std::sync::OnceLock<Domain> = std::sync::OnceLock::new();
        GLOBAL
            .get_or_init(|| {
                let domain = Self::private();
                // Release: the child of a fork that finds the pointer finds the registry behind it.
                GLOBAL_REGISTRY.store(Arc::as_ptr(&domain.0).cast_mut(), Ordering::Release);
                membarrier::at_fork(forked);
                domain
            })
            .clone()
    }

    #[cfg(loom)]
    pub(crate) fn global() -> Self {
        // A process-wide registry would outlive the execution that made it.
        Self::private()
    }

    #[inline(always)]
    pub(crate) fn pin(&self) -> Guard<'_> {
        let registry: &Registry = &self.0;
        let current = CURRENT.try_with(Cell::get).unwrap_or(NOWHERE);
        let record = if ptr::eq(current.registry, registry) {
            current.record
        } else {
            self.find_record()
        };
        // SAFETY: this thread's record in this registry, which `self` keeps alive.
        unsafe { &*record }.enter(registry);
        Guard {
            record,
            registry,
            not_send: PhantomData,
        }
    }

    /// The record of this thread, or one for the coming guard alone.
    #[cold]
    #[inline(never)]
    fn find_record(&self) -> *const Padded<Record> {
        OWNED
            .try_with(|owned| {
                let mut owned = owned.borrow_mut();
                let known = owned
                    .0
                    .iter()
                    .find(|(registry, _)| Arc::ptr_eq(registry, &self.0));
                let record = if let Some((_, record)) = known {
                    *record
                } else {
                    // Registries that only this thread still knows of have no more use for it.
                    owned.0.retain(|(registry, record)| {
                        // SAFETY: the registry is alive, held by the pair.
                        let pinned = unsafe { &**record }.depth.get() > 0;
                        pinned || Arc::strong_count(registry) > 1
                    });
                    let record = self.0.take_record();
                    owned.0.push((self.0.clone(), record));
                    record
                };
                CURRENT.with(|current| {
                    current.set(Current {
                        registry: Arc::as_ptr(&self.0),
                        record,
                    });
                });
                record
            })
            .unwrap_or_else(|_| {
                // In a thread-local destructor, after this thread's records were given back.
                let record = self.0.take_record();
                // SAFETY: just taken; the registry lives.
                unsafe { &*record }.depth.set(PASSING);
                record
            })
    }

    /// To be called after the unlinking it speaks of.
    pub(crate) fn ticket(&self, _guard: &Guard<'_>) -> Ticket {
        // Release: who pins at a later epoch sees what this thread unlinked. Acquire: and what was
        // unlinked for every ticket before.
        Ticket(self.0.epoch.fetch_add(1, Ordering::AcqRel))
    }

    /// Finds out how far time has passed: one heavy fence, and a look at every thread's record.
    pub(crate) fn settle(&self) -> Horizon {
        if !self.0.heavy_fence() {
            return Horizon(0);
        }
        let oldest = self
            .0
            .each_record()
            // Acquire: the reads of whoever left its guard happen before what we do now.
            .map(|record| record.epoch.load(Ordering::Acquire))
            .min();
        Horizon(oldest.unwrap_or(IDLE))
    }

    /// The hot side of a pair of fences.
    #[inline(always)]
    pub(crate) fn light_fence(&self) {
        self.0.light_fence();
    }

    /// The rare side of a pair of fences; false if it could not be had.
    pub(crate) fn heavy_fence(&self) -> bool {
        self.0.heavy_fence()
    }
}

impl Guard<'_> {
    /// Lets go of what was seen so far and pins again; nothing while the thread holds other guards.
    pub(crate) fn repin(&mut self) {
        // SAFETY: as in `pin`; the guard is not `Send`, so this is the thread that has the record.
        let record = unsafe { &*self.record };
        if record.depth.get() & !PASSING == 1 {
            record.be_idle();
            record.announce(self.registry);
        }
    }
}

impl Drop for Guard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: as in `pin`; the guard is not `Send`, so this is the thread that has the record.
        unsafe { &*self.record }.leave();
    }
}

impl Horizon {
    /// Whether no guard from the ticket's time is left.
    pub(crate) fn passed(&self, ticket: &Ticket) -> bool {
        ticket.0 < self.0
    }
}

/// The registry of the global domain, which is never freed, for `forked`.
#[cfg(not(loom))]
static GLOBAL_REGISTRY: AtomicPtr<Registry> = AtomicPtr::new(ptr::null_mut());

/// In the child of a fork: only the forking thread is left, so only its record still counts.
/// Nothing here may wait or allocate.
#[cfg(not(loom))]
unsafe extern "C" fn forked() {
    let mine = thread_identity();
    // Acquire: see the store.
    let registry = GLOBAL_REGISTRY.load(Ordering::Acquire);
    // SAFETY: set once to the registry that the process keeps for ever.
    let Some(registry) = (unsafe { registry.as_ref() }) else {
        return;
    };
    membarrier::register_child();
    for record in registry.each_record() {
        if record.owner.get() != mine {
            // Relaxed: this thread is the only one.
            record.epoch.store(IDLE, Ordering::Relaxed);
            record.taken.store(false, Ordering::Relaxed);
        }
    }
}
