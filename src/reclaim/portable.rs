//! Reclamation by crossbeam-epoch, for every platform.
//!
//! A ticket is a flag that a deferred function raises: the collector runs it when no guard of the
//! time is left. Only the flag's `Arc` is given away, so nothing here outlives the table it serves.

use crossbeam_epoch as epoch;

use super::ThreadBound;
use crate::sync::Arc;
use crate::sync::atomic::plain::AtomicBool;
use crate::sync::atomic::{Ordering, fence};
use crate::sync::thread_local;

use core::cell::RefCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How often a settling thread nudges the collector at least: a sealed bag is old enough two epochs on.
const NUDGES: usize = 3;

/// Tickets drawn and tickets that passed, of a collector. A nudge runs a few deferred functions at most, so
/// settling goes on while that gets it anywhere; nothing else relies on these numbers, and the model checker,
/// whose executions are small, goes without.
#[derive(Debug, Default)]
struct Counts {
    drawn: AtomicUsize,
    passed: AtomicUsize,
}

/// Those of the collector that trackers share.
static GLOBAL: std::sync::LazyLock<std::sync::Arc<Counts>> =
    std::sync::LazyLock::new(std::sync::Arc::default);

/// A set of threads and trackers whose pins count for each other.
#[derive(Clone, Debug)]
pub(crate) struct Domain(Option<Private>);

/// A collector, and what tells threads that registered with it that it is still in use.
#[derive(Clone, Debug)]
struct Private {
    collector: epoch::Collector,
    counts: std::sync::Arc<Counts>,
    used: std::sync::Arc<()>,
}

/// A thread's registration with a private collector.
struct Registration {
    collector: epoch::Collector,
    used: std::sync::Weak<()>,
    handle: epoch::LocalHandle,
}

/// While it is held, nothing that was linked when it was made is used again.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    /// First, so that the compiler names it first.
    thread_bound: ThreadBound,
    inner: epoch::Guard,
    domain: PhantomData<&'a Domain>,
}

/// A point in time after which no new pin can see what its holder had unlinked.
#[derive(Debug)]
pub(crate) struct Ticket(Arc<AtomicBool>);

/// What a settling found out.
#[derive(Debug)]
pub(crate) struct Horizon(());

thread_local! {
    /// This thread's registrations with private collectors.
    static HANDLES: RefCell<Vec<Registration>> = RefCell::new(Vec::new());
}

impl Domain {
    pub(crate) fn global() -> Self {
        Self(None)
    }

    pub(crate) fn private() -> Self {
        Self(Some(Private {
            collector: epoch::Collector::new(),
            counts: std::sync::Arc::default(),
            used: std::sync::Arc::default(),
        }))
    }

    fn counts(&self) -> &std::sync::Arc<Counts> {
        match &self.0 {
            None => &GLOBAL,
            Some(private) => &private.counts,
        }
    }

    #[inline]
    pub(crate) fn pin(&self) -> Guard<'_> {
        let inner = match &self.0 {
            None => epoch::pin(),
            Some(private) => pin_private(private),
        };
        Guard {
            thread_bound: PhantomData,
            inner,
            domain: PhantomData,
        }
    }

    /// Pins for one operation: as [`pin`](Self::pin). Never `None`.
    ///
    /// # Safety
    ///
    /// None here; the other scheme's guard is dropped before any that the calling thread had before, and is not leaked.
    #[inline]
    #[allow(clippy::unnecessary_wraps, reason = "the other scheme's shape")]
    pub(crate) unsafe fn pin_operation(&self) -> Option<Guard<'_>> {
        Some(self.pin())
    }

    /// To be called after the unlinking it speaks of.
    pub(crate) fn ticket(&self, guard: &Guard<'_>) -> Ticket {
        let flag = Arc::new(AtomicBool::new(false));
        let raised = flag.clone();
        let counts = self.counts().clone();
        // Relaxed, here and below: see `Counts`.
        counts.drawn.fetch_add(1, Relaxed);
        guard.inner.defer(move || {
            // Release: with the Acquire in `passed`, what the collector waited for happens before.
            raised.store(true, Ordering::Release);
            counts.passed.fetch_add(1, Relaxed);
        });
        // Out of this thread's bag: the thread may never pin again, and others settle, too.
        guard.inner.flush();
        Ticket(flag)
    }

    /// Whether this thread holds a guard of this domain. True where that is unknown: in a thread-local destructor.
    pub(crate) fn is_pinned(&self) -> bool {
        match &self.0 {
            None => epoch::is_pinned(),
            Some(private) => HANDLES
                .try_with(|handles| {
                    let handles = handles.borrow();
                    let known = handles
                        .iter()
                        .find(|known| known.collector == private.collector);
                    known.is_some_and(|known| known.handle.is_pinned())
                })
                .unwrap_or(true),
        }
    }

    /// Whether a horizon of now could lie beyond a ticket of this order. The collector does not tell.
    pub(crate) fn may_pass(&self, _order: u64) -> bool {
        true
    }

    /// Lets time pass as far as the guards that are held allow.
    pub(crate) fn horizon(&self) -> Horizon {
        let counts = self.counts();
        // Relaxed: see `Counts`. Both wrap around together.
        let passed = || counts.passed.load(Relaxed);
        let (begin, drawn) = (passed(), counts.drawn.load(Relaxed));
        let waiting = drawn.wrapping_sub(begin);
        let mut nudges = 0;
        loop {
            let before = passed();
            self.pin().inner.flush();
            nudges += 1;
            let after = passed();
            let is_over =
                cfg!(incarnation_loom) || after == before || after.wrapping_sub(begin) >= waiting;
            if nudges >= NUDGES && is_over {
                return Horizon(());
            }
        }
    }

    /// What is known without asking: each ticket knows by itself whether it has passed.
    #[allow(clippy::unused_self, reason = "the other scheme's shape")]
    pub(crate) fn settled(&self) -> Horizon {
        Horizon(())
    }

    /// The hot side of a pair of fences.
    #[inline]
    pub(crate) fn light_fence(&self) {
        // SeqCst: either this side or the heavy one sees what the other wrote before its fence. Both pinned by
        // `views::a_light_fence_against_a_heavy_one`.
        fence(Ordering::SeqCst);
    }

    /// The rare side of a pair of fences; always had.
    pub(crate) fn heavy_fence(&self) -> bool {
        // SeqCst: see `light_fence`.
        fence(Ordering::SeqCst);
        true
    }
}

impl Ticket {
    /// Tickets of this scheme have no order.
    pub(crate) fn order(&self) -> u64 {
        0
    }
}

impl Guard<'_> {
    /// Lets go of what was seen so far and pins again.
    pub(crate) fn repin(&mut self) {
        self.inner.repin();
    }
}

impl Horizon {
    /// Whether no guard from the ticket's time is left.
    pub(crate) fn passed(&self, ticket: &Ticket) -> bool {
        // Acquire: see `Domain::ticket`.
        ticket.0.load(Ordering::Acquire)
    }
}

fn pin_private(private: &Private) -> epoch::Guard {
    let collector = &private.collector;
    HANDLES
        .try_with(|handles| {
            let mut handles = handles.borrow_mut();
            if let Some(known) = handles.iter().find(|known| known.collector == *collector) {
                return known.handle.pin();
            }
            // Collectors that only threads still know of. (A guard that was leaked keeps what it needs.)
            handles.retain(|known| known.used.strong_count() > 0);
            let handle = collector.register();
            let guard = handle.pin();
            handles.push(Registration {
                collector: collector.clone(),
                used: std::sync::Arc::downgrade(&private.used),
                handle,
            });
            guard
        })
        // In a thread-local destructor: a registration for this pin alone.
        .unwrap_or_else(|_| collector.register().pin())
}
