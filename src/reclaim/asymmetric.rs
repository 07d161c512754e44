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
//! Under the model checker the pair of fences is the one that C++'s proposal P1202 specifies: the light fence alone orders
//! nothing, so the models see a reader as it runs here. The path with real fences has models of its own.
//!
//! Threads: a record is taken at a thread's first pin and given back when the thread ends; one that
//! ends inside a view (leaked, or kept in a thread-local that is destroyed later) leaves its record
//! pinned until that view is dropped, which may be never. A pin in a thread-local destructor after
//! that takes a record for itself alone. After `fork`, the records of the threads that the child
//! does not have are reset in the shared domain, so a view another thread held holds nothing up there.

mod record;

use core::cell::{Cell, RefCell};
use core::marker::PhantomData;
use core::ptr;

use self::record::{IDLE, Record};
use super::ThreadBound;
use crate::sync::atomic::plain::{AtomicPtr, AtomicU64};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::{Arc, Asymmetric, Padded, membarrier, thread_local};

/// A set of threads and trackers whose pins count for each other.
#[derive(Debug)]
pub(crate) struct Domain(Arc<Registry>);

impl Clone for Domain {
    fn clone(&self) -> Self {
        // Relaxed: made of one that counts already.
        self.0.domains.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // Relaxed: nothing is read on the strength of it; the registry's own count orders its end.
        self.0.domains.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Registry {
    /// Counts the tickets.
    epoch: AtomicU64,
    /// The latest horizon that any thread found out.
    settled: AtomicU64,
    /// How many domains stand for it. Once there is none there never is one again, and threads let go of it.
    domains: AtomicU64,
    /// Whether readers may leave their fence to the freeing side: then both sides use `fences`, else real ones.
    asymmetric: bool,
    fences: Asymmetric,
    /// Every record ever made, newest first. Records are reused, and freed with the registry.
    records: AtomicPtr<Padded<Record>>,
}

/// While it is held, nothing that was linked when it was made is used again.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    record: &'a Padded<Record>,
    registry: &'a Registry,
    /// Whether it is that of an operation.
    operation: bool,
    thread_bound: ThreadBound,
}

/// A point in time after which no new pin can see what its holder had unlinked.
#[derive(Debug)]
pub(crate) struct Ticket(u64);

/// What a settling found out: the oldest epoch at which any thread is still pinned.
#[derive(Debug)]
pub(crate) struct Horizon(u64);

/// The record this thread used last, so that a pin need not search.
#[derive(Clone, Copy)]
struct Current {
    /// See [`Domain::identity`]; 0 if there is none.
    registry: usize,
    record: *const Padded<Record>,
}

const NOWHERE: Current = Current {
    registry: 0,
    record: ptr::null(),
};

#[cfg(not(incarnation_loom))]
thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(NOWHERE) };
    static OWNED: RefCell<Owned> = const { RefCell::new(Owned(Vec::new())) };
}

#[cfg(incarnation_loom)]
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
            unsafe { &*record }.let_go();
        }
    }
}

/// A number no other living thread has, which a fork does not change: an address in its own storage.
fn thread_identity() -> usize {
    CURRENT
        .try_with(|current| ptr::from_ref(current).addr())
        .unwrap_or(0)
}

impl Registry {
    fn new() -> Self {
        Self {
            epoch: AtomicU64::new(1),
            settled: AtomicU64::new(0),
            domains: AtomicU64::new(1),
            asymmetric: membarrier::register(),
            fences: Asymmetric::new(),
            records: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// A store to a record, or to what a writer changed, comes before the reads that follow, as far as a thread can
    /// tell that runs a heavy fence.
    #[inline(always)]
    #[cfg_attr(incarnation_loom, track_caller)]
    fn light_fence(&self) {
        if self.asymmetric {
            self.fences.light();
        } else {
            self.real_fence();
        }
    }

    #[cfg_attr(incarnation_loom, track_caller)]
    fn heavy_fence(&self) -> bool {
        if self.asymmetric {
            self.fences.heavy()
        } else {
            self.real_fence();
            true
        }
    }

    /// Either side of the pair where the kernel refuses membarrier.
    #[cold]
    #[allow(clippy::unused_self, reason = "a fence of this registry's")]
    fn real_fence(&self) {
        // SeqCst: of each two fences one comes first. Pinned by `views::a_lookup_where_membarrier_is_refused`.
        fence(Ordering::SeqCst);
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
            if record.take(thread_identity()) {
                return record;
            }
        }
        let record = Record::new(!self.asymmetric, thread_identity());
        let record = Box::into_raw(Box::new(Padded(record)));
        // Relaxed: the head is passed on, not looked at.
        let mut head = self.records.load(Ordering::Relaxed);
        loop {
            // SAFETY: not in the list yet, so no other thread has it.
            unsafe { (*record).0.next = head };
            // Release: publishes the record. The records behind it were published by exchanges before, whose release
            // sequences this one continues. Relaxed: see the load.
            match self.records.compare_exchange_weak(
                head,
                record,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return record,
                Err(newer) => head = newer,
            }
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Relaxed: no other owner is left, and what they did happened before the last of them let go.
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

    #[cfg(not(incarnation_loom))]
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

    #[cfg(incarnation_loom)]
    pub(crate) fn global() -> Self {
        // A process-wide registry would outlive the execution that made it.
        Self::private()
    }

    #[inline(always)]
    pub(crate) fn pin(&self) -> Guard<'_> {
        let registry: &Registry = &self.0;
        let record = self.current().unwrap_or_else(|| self.find_record());
        // SAFETY: this thread's record in this registry, which `self` keeps alive.
        let mut record = unsafe { &*record };
        if !record.enter(registry) {
            record = self.enter_alone();
        }
        Guard {
            record,
            registry,
            operation: false,
            thread_bound: PhantomData,
        }
    }

    /// Pins for one operation. Cheaper than [`pin`](Self::pin), and `None` where that does more than the usual: then pin.
    ///
    /// # Safety
    ///
    /// The guard is dropped before any guard that the calling thread had before, and is not leaked.
    #[inline(always)]
    pub(crate) unsafe fn pin_operation(&self) -> Option<Guard<'_>> {
        let registry: &Registry = &self.0;
        // SAFETY: as in `pin`.
        let record = unsafe { &*self.current()? };
        // Not made before it is known to begin: its drop ends an operation.
        record.begin(registry).then(|| Guard {
            record,
            registry,
            operation: true,
            thread_bound: PhantomData,
        })
    }

    /// This thread's record in this registry, if it was the last that the thread used.
    #[inline(always)]
    fn current(&self) -> Option<*const Padded<Record>> {
        let current = CURRENT.try_with(Cell::get).unwrap_or(NOWHERE);
        (current.registry == self.identity()).then_some(current.record)
    }

    /// A number that no other living registry has: the address of what an `Arc` allocates, which is what the compiler
    /// holds of it. That of the registry would be one more instruction in each pin. Were the counters of another size, this
    /// would still be a number of this registry's alone.
    #[inline(always)]
    fn identity(&self) -> usize {
        const COUNTERS: usize = 2 * size_of::<usize>();
        Arc::as_ptr(&self.0).addr().wrapping_sub(COUNTERS)
    }

    /// Takes a record for one guard alone, and enters it.
    #[cold]
    #[inline(never)]
    fn enter_alone(&self) -> &Padded<Record> {
        let record = self.0.take_record();
        // SAFETY: just taken; the registry lives as long as `self`.
        let record = unsafe { &*record };
        record.pass_on();
        let entered = record.enter(&self.0);
        debug_assert!(entered, "no other guard has it");
        record
    }

    /// As from a thread-local's destructor: with a record for this guard alone.
    #[cfg(incarnation_loom)]
    pub(crate) fn pin_alone(&self) -> Guard<'_> {
        Guard {
            record: self.enter_alone(),
            registry: &self.0,
            operation: false,
            thread_bound: PhantomData,
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
                    // Registries that only threads still know of have no more use for it.
                    owned.0.retain(|(registry, record)| {
                        // SAFETY: the registry is alive, held by the pair.
                        let pinned = unsafe { &**record }.is_pinned();
                        // Relaxed: a stale number keeps it until the next time.
                        pinned || registry.domains.load(Ordering::Relaxed) > 0
                    });
                    let record = self.0.take_record();
                    owned.0.push((self.0.clone(), record));
                    record
                };
                CURRENT.with(|current| {
                    current.set(Current {
                        registry: self.identity(),
                        record,
                    });
                });
                record
            })
            .unwrap_or_else(|_| {
                // In a thread-local destructor, after this thread's records were given back.
                let record = self.0.take_record();
                // SAFETY: just taken; the registry lives.
                unsafe { &*record }.pass_on();
                record
            })
    }

    /// How many threads were ever pinned at once, at least.
    #[cfg(all(test, not(incarnation_loom), not(miri)))]
    pub(crate) fn records(&self) -> usize {
        self.0.each_record().count()
    }

    /// To be called after the unlinking it speaks of.
    pub(crate) fn ticket(&self, _guard: &Guard<'_>) -> Ticket {
        // Release: a thread that pins at a later epoch sees what this thread unlinked, and what was unlinked for every
        // ticket before: only exchanges raise the epoch, so each continues the release sequences of those before.
        Ticket(self.0.epoch.fetch_add(1, Ordering::Release))
    }

    /// Whether this thread holds a guard of this domain. True where that is unknown: in a thread-local destructor,
    /// after the thread's records were given back. A guard that was taken inside an operation, and outlives it, has a record of
    /// its own and is not seen.
    pub(crate) fn is_pinned(&self) -> bool {
        OWNED
            .try_with(|owned| {
                let owned = owned.borrow();
                let known = owned
                    .0
                    .iter()
                    .find(|(registry, _)| Arc::ptr_eq(registry, &self.0));
                // SAFETY: the registry is alive, held by the pair.
                known.is_some_and(|(_, record)| unsafe { &**record }.is_pinned())
            })
            .unwrap_or(true)
    }

    /// Whether a horizon of now could lie beyond a ticket of this order: no thread is seen to be pinned since before
    /// it. A look at every thread's record, without a fence, so the answer only says whether a fence is worth its
    /// price.
    pub(crate) fn may_pass(&self, order: u64) -> bool {
        self.0
            .each_record()
            // Relaxed: a hint. A horizon is what frees entries, and it takes a fence of its own.
            .all(|record| record.epoch.load(Ordering::Relaxed) > order)
    }

    /// Finds out how far time has passed: one heavy fence, and a look at every thread's record.
    pub(crate) fn horizon(&self) -> Horizon {
        // Relaxed: the fence below acquires what was unlinked for the tickets before it. Where every record is idle, no
        // thread holds up anything; but what another thread unlinks from here on was not fenced. So the horizon, which
        // other threads use too, goes no further than this. Pinned by
        // `caches::a_horizon_of_before_frees_nothing_that_is_unlinked_after`.
        let limit = self.0.epoch.load(Ordering::Relaxed);
        // Between unlinking and scanning, against the light fence of a pin. Pinned by
        // `views::lookup_across_unlink_and_recycling`.
        if !self.0.heavy_fence() {
            return Horizon(0);
        }
        let oldest = self
            .0
            .each_record()
            // Acquire: the reads of a thread that left its guard happen before what we do now.
            .map(|record| record.epoch.load(Ordering::Acquire))
            .min();
        let horizon = oldest.unwrap_or(IDLE).min(limit);
        // Release: see `settled`.
        self.0.settled.fetch_max(horizon, Ordering::Release);
        Horizon(horizon)
    }

    /// The latest horizon that any thread found out. Cost: one load.
    pub(crate) fn settled(&self) -> Horizon {
        // Acquire: the reads of the guards that the thread which found it out did not see any more happen before what we
        // do now. Pinned by `caches::a_horizon_that_another_thread_found_out`.
        Horizon(self.0.settled.load(Ordering::Acquire))
    }

    /// The hot side of a pair of fences.
    #[inline(always)]
    #[cfg_attr(incarnation_loom, track_caller)]
    pub(crate) fn light_fence(&self) {
        self.0.light_fence();
    }

    /// The rare side of a pair of fences; false if the system refused it.
    #[cfg_attr(incarnation_loom, track_caller)]
    pub(crate) fn heavy_fence(&self) -> bool {
        self.0.heavy_fence()
    }
}

impl Ticket {
    /// Tickets drawn later have a higher one.
    pub(crate) fn order(&self) -> u64 {
        self.0
    }
}

impl Guard<'_> {
    /// Lets go of what was seen so far and pins again; nothing while the thread holds other guards.
    pub(crate) fn repin(&mut self) {
        debug_assert!(!self.operation, "an operation is too short for that");
        // The guard is not `Send`, so this is the thread that has the record.
        self.record.renew(self.registry);
    }
}

impl Drop for Guard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // As in `repin`.
        if self.operation {
            self.record.end();
        } else {
            self.record.leave();
        }
    }
}

impl Horizon {
    /// Whether no guard from the ticket's time is left.
    pub(crate) fn passed(&self, ticket: &Ticket) -> bool {
        ticket.0 < self.0
    }
}

/// The registry of the global domain, which is never freed, for `forked`.
#[cfg(not(incarnation_loom))]
static GLOBAL_REGISTRY: AtomicPtr<Registry> = AtomicPtr::new(ptr::null_mut());

/// In the child of a fork: only the forking thread is left, so only its record still counts.
/// Nothing here may wait or allocate.
#[cfg(not(incarnation_loom))]
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
        record.forget_others(mine);
    }
}

#[cfg(all(test, not(incarnation_loom), target_os = "linux"))]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sync::Padded;

    /// What two threads write and read in one round: each writes its own flag, then reads the other's.
    #[derive(Default)]
    struct Round {
        flags: [Padded<AtomicBool>; 2],
        seen: [Padded<AtomicBool>; 2],
    }

    /// Lets two threads go through so many rounds side by side; how often neither saw the other.
    fn rounds_unseen(count: usize, between: [&(dyn Fn() + Sync); 2]) -> usize {
        let rounds: Vec<Round> = (0..count).map(|_| Round::default()).collect();
        let arrived: [Padded<AtomicUsize>; 2] = Default::default();
        thread::scope(|scope| {
            for (me, fence) in between.into_iter().enumerate() {
                let (rounds, arrived) = (&rounds, &arrived);
                scope.spawn(move || {
                    let other = 1 - me;
                    for (number, round) in rounds.iter().enumerate() {
                        // Release and Acquire: the rounds before are over.
                        arrived[me].store(number + 1, Ordering::Release);
                        let mut spins = 0;
                        while arrived[other].load(Ordering::Acquire) <= number {
                            spins += 1;
                            if spins > 1000 {
                                thread::yield_now();
                            }
                            core::hint::spin_loop();
                        }
                        // Relaxed, both: the fence in between is what is looked at.
                        round.flags[me].store(true, Ordering::Relaxed);
                        fence();
                        let seen = round.flags[other].load(Ordering::Relaxed);
                        // Relaxed: read after the threads were joined.
                        round.seen[me].store(seen, Ordering::Relaxed);
                    }
                });
            }
        });
        let unseen = |round: &&Round| {
            let [one, other] = &round.seen;
            // Relaxed: see above.
            !one.load(Ordering::Relaxed) && !other.load(Ordering::Relaxed)
        };
        rounds.iter().filter(unseen).count()
    }

    /// Whether a pair of fences fails within so long. A round can only fail while both threads run at once, so
    /// it takes a while where others want to run, too.
    fn fails_within(time: Duration, between: [&(dyn Fn() + Sync); 2]) -> Option<Duration> {
        let begin = Instant::now();
        while begin.elapsed() < time {
            if rounds_unseen(2_000, between) > 0 {
                return Some(begin.elapsed());
            }
        }
        None
    }

    #[test]
    fn pins_from_thread_local_destructors_reuse_their_records() {
        struct Last(Domain);
        impl Drop for Last {
            fn drop(&mut self) {
                drop(self.0.pin());
            }
        }
        thread_local! {
            static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
        }
        let domain = Domain::private();
        for _ in 0..20 {
            let of_thread = domain.clone();
            thread::spawn(move || {
                LAST.with(|last| *last.borrow_mut() = Some(Last(of_thread.clone())));
                drop(of_thread.pin());
            })
            .join()
            .unwrap();
        }
        assert!(domain.0.each_record().count() <= 2);
    }

    #[test]
    fn the_heavy_fence_makes_up_for_the_light_one() {
        let domain = Domain::private();
        if !domain.0.asymmetric || thread::available_parallelism().map_or(1, usize::from) < 2 {
            eprintln!("nothing to see here: no membarrier, or one core only");
            return;
        }
        let light = || domain.light_fence();
        // What a processor does where nothing stands in its way: it reads before its write is seen.
        let took = fails_within(Duration::from_secs(60), [&light, &light])
            .expect("two light fences must be seen to fail");
        let heavy = || assert!(domain.heavy_fence());
        let patience = (took * 20).clamp(Duration::from_millis(200), Duration::from_secs(3));
        assert_eq!(fails_within(patience, [&light, &heavy]), None);
        assert_eq!(fails_within(patience, [&heavy, &light]), None);
    }
}
