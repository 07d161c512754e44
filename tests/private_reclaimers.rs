//! Trackers with reclaimers of their own that come and go, beside threads that stay.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use incarnation::{IncarnationTracker, Reclaimer};

struct Counting;
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's, counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BLOCKS.fetch_sub(1, Ordering::SeqCst);
        // SAFETY: passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: usize = 2_000;

/// Makes trackers, has each of the threads look something up in it, and drops it.
fn blocks_left(threads: usize) -> usize {
    let (done, wait) = mpsc::channel();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (send, work) = mpsc::sync_channel::<IncarnationTracker<u64>>(1);
            let done = done.clone();
            let thread = thread::spawn(move || {
                for tracker in work {
                    assert!(tracker.get(&1).is_none());
                    drop(tracker);
                    done.send(()).unwrap();
                }
            });
            (send, thread)
        })
        .collect();
    let round = || {
        let tracker = IncarnationTracker::builder()
            .max_nodes(1)
            .reclaimer(Reclaimer::private())
            .build()
            .unwrap();
        for (send, _) in &workers {
            send.send(tracker.clone()).unwrap();
        }
        for _ in 0..threads {
            wait.recv().unwrap();
        }
    };
    for _ in 0..100 {
        round();
    }
    let before = BLOCKS.load(Ordering::SeqCst);
    for _ in 0..ROUNDS {
        round();
    }
    let after = BLOCKS.load(Ordering::SeqCst);
    for (send, thread) in workers {
        drop(send);
        thread.join().unwrap();
    }
    after.saturating_sub(before)
}

#[test]
fn dropped_private_reclaimers_leave_no_records_in_living_threads() {
    for threads in [1, 2, 4] {
        let left = blocks_left(threads);
        assert!(
            left < ROUNDS / 10,
            "{left} blocks of memory are left of {ROUNDS} trackers that {threads} threads used"
        );
    }
}
