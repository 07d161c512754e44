//! Promises that hold while a thread stands still at any instruction, as one that a scheduler has taken its core
//! from: a signal stops it, and others go on. It meets windows of a few instructions that no stress does.
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use incarnation::{
    Claim, IncarnationTracker, Reclaimer, Rejection, SweepScope, Timestamp, Verdict,
};

const NOW: Timestamp = Timestamp::from_nanos(1);
const MAX_NODES: u64 = 4;
/// How long each test looks for a moment at which it fails.
const LONG: Duration = Duration::from_secs(2);

/// How long a thread stands still at most.
const PATIENCE: Duration = Duration::from_millis(20);

/// How often a thread was asked to stand still, which of these it obeys, and up to which it may go on.
static ASKED: AtomicU32 = AtomicU32::new(0);
static STANDS: AtomicU32 = AtomicU32::new(0);
static MAY_GO: AtomicU32 = AtomicU32::new(0);
/// One test at a time: the signal is the process's.
static STAGE: Mutex<()> = Mutex::new(());

extern "C" fn stand_still(_signal: libc::c_int) {
    let asked = ASKED.load(SeqCst);
    STANDS.store(asked, SeqCst);
    // Not for ever: it may hold a lock of the allocator's, or of the portable reclamation's, that the others need.
    let begin = Instant::now();
    while MAY_GO.load(SeqCst) < asked && begin.elapsed() < PATIENCE {
        core::hint::spin_loop();
    }
}

/// Runs `work` over and over on a thread of its own; in each round `prepare`, then stops that thread somewhere and
/// runs `meanwhile`, until that says something. Returns what, and whether `work` ended without a panic.
fn rounds<T>(
    mut work: impl FnMut() + Send,
    mut prepare: impl FnMut(),
    mut meanwhile: impl FnMut() -> Option<T>,
) -> (Option<T>, bool) {
    let _stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let handler: extern "C" fn(libc::c_int) = stand_still;
    // SAFETY: the handler touches nothing but atomics and the clock.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    let (over, left) = (AtomicBool::new(false), AtomicBool::new(false));
    let thread = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (over, left, thread) = (&over, &left, &thread);
        let running = scope.spawn(move || {
            // SAFETY: asks for nothing but a number.
            thread.store(unsafe { libc::pthread_self() } as usize, SeqCst);
            let work = std::panic::AssertUnwindSafe(|| {
                while !over.load(SeqCst) {
                    work();
                }
            });
            let well = std::panic::catch_unwind(work).is_ok();
            over.store(true, SeqCst);
            // It must live as long as it may be signalled.
            while !left.load(SeqCst) {
                std::thread::yield_now();
            }
            well
        });
        while thread.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        let (begin, mut found) = (Instant::now(), None);
        let mut random = fastrand::Rng::with_seed(7);
        while begin.elapsed() < LONG && found.is_none() && !over.load(SeqCst) {
            prepare();
            for _ in 0..random.u32(0..800) {
                core::hint::spin_loop();
            }
            let asked = ASKED.fetch_add(1, SeqCst) + 1;
            // SAFETY: the thread lives until `left`.
            unsafe { libc::pthread_kill(thread.load(SeqCst) as libc::pthread_t, libc::SIGUSR1) };
            while STANDS.load(SeqCst) < asked {
                std::thread::yield_now();
            }
            found = meanwhile();
            MAY_GO.store(asked, SeqCst);
        }
        over.store(true, SeqCst);
        left.store(true, SeqCst);
        (found, running.join().expect("panics are caught"))
    })
}

fn tracker() -> IncarnationTracker<u64> {
    IncarnationTracker::builder()
        .max_nodes(MAX_NODES as usize)
        .hard_limit(64)
        .eviction_headroom(0)
        .evict_alive(true)
        .max_tombstones(0)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

/// A tracker with one place left below `max_nodes`.
fn nearly_full() -> IncarnationTracker<u64> {
    let tracker = tracker();
    for node in 1..MAX_NODES {
        let _ = tracker.update(&node, Claim::alive(1), NOW);
    }
    tracker
}

/// How many a sweep evicts from a table that holds no more than it may.
fn evicted_for_nothing(tracker: &IncarnationTracker<u64>) -> Option<usize> {
    assert!(tracker.iter().count() <= MAX_NODES as usize);
    let evicted = tracker
        .sweep_with(SweepScope::Capacity, NOW, |_| {})
        .capacity_evicted;
    (evicted > 0).then_some(evicted)
}

#[test]
fn a_capacity_sweep_tolerates_all_nodes_leaving_meanwhile() {
    let tracker = tracker();
    let nodes = 0..2 * MAX_NODES;
    let (_, well) = rounds(
        || {
            let _ = tracker.sweep_with(SweepScope::Capacity, NOW, |_| {});
        },
        || {
            for node in nodes.clone() {
                let _ = tracker.update(&node, Claim::unconfirmed(1), NOW);
            }
        },
        || {
            for node in nodes.clone() {
                let _ = tracker.pin().remove(&node, NOW);
            }
            None::<()>
        },
    );
    assert!(well, "the sweep panicked");
}

#[test]
fn a_paused_join_that_loses_its_race_evicts_no_node() {
    let tracker = nearly_full();
    let (evicted, well) = rounds(
        || {
            let _ = tracker.update(&100, Claim::alive(1), NOW);
        },
        || {
            let _ = tracker.remove(&100, NOW);
        },
        || {
            let _ = tracker.update(&100, Claim::alive(1), NOW);
            evicted_for_nothing(&tracker)
        },
    );
    assert_eq!((evicted, well), (None, true));
}

#[test]
fn a_paused_removal_evicts_no_other_node() {
    let tracker = nearly_full();
    let (evicted, well) = rounds(
        || {
            let _ = tracker.remove(&100, NOW);
        },
        || {
            let _ = tracker.update(&100, Claim::alive(1), NOW);
        },
        || {
            // Only where it is gone is there a place for another.
            if tracker.contains(&100) {
                return None;
            }
            let _ = tracker.update(&101, Claim::alive(1), NOW);
            let evicted = evicted_for_nothing(&tracker);
            let _ = tracker.remove(&101, NOW);
            evicted
        },
    );
    assert_eq!((evicted, well), (None, true));
}

#[test]
fn a_paused_thread_with_a_cache_hides_few_places_and_leaves_them_all() {
    const LIMIT: u64 = 1024;
    /// The credits that one thread keeps in a table of this limit, and its own node.
    const HIDDEN: u64 = 2 * (LIMIT / 256) + 1;
    let tracker: IncarnationTracker<u64> = IncarnationTracker::builder()
        .max_nodes(LIMIT as usize / 2)
        .hard_limit(LIMIT as usize)
        .max_tombstones(0)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    // Joins nodes up to the first refusal, and removes them again. Returns how many joined, unless the refusal was that
    // entries wait for the view of the thread that stands still.
    let join_all = || {
        let join = |node| tracker.update(&node, Claim::alive(1), NOW);
        let (mut joined, mut last) = (0, Verdict::Joined);
        while last == Verdict::Joined {
            joined += 1;
            last = join(joined);
        }
        assert!(tracker.iter().count() as u64 <= LIMIT);
        for node in 1..=joined {
            let _ = tracker.remove(&node, NOW);
        }
        (last == Verdict::Rejected(Rejection::AtCapacity)).then_some(joined - 1)
    };
    let mut fewest = LIMIT;
    let (too_few, well) = rounds(
        || {
            let _ = tracker.update(&0, Claim::alive(1), NOW);
            let _ = tracker.remove(&0, NOW);
        },
        || {},
        || {
            let joined = join_all()?;
            fewest = fewest.min(joined);
            (joined + HIDDEN < LIMIT).then_some(joined)
        },
    );
    eprintln!("{fewest} of {LIMIT} nodes joined at least");
    assert_eq!((too_few, well), (None, true));
    assert_eq!(join_all(), Some(LIMIT), "nothing is lost");
}
