//! A small tracker takes little memory, however many threads write to it: what each thread keeps for itself is for
//! larger tables.
//!
//! The one test here measures what the whole process allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use incarnation::{Claim, IncarnationTracker, Timestamp, Verdict};

/// Counts the bytes that are allocated now.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: by the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NODES: u16 = 16;

/// Fills a tracker of so many nodes by so many threads, one after the other, and returns the bytes it takes.
fn bytes(max_nodes: usize, threads: u16) -> usize {
    let before = ALLOCATED.load(Ordering::Relaxed);
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .max_nodes(max_nodes)
        .build()
        .unwrap();
    thread::scope(|scope| {
        for number in 0..threads {
            let tracker = &tracker;
            let node = SocketAddr::from(([10, 0, 0, 1], number % NODES));
            let write = move || {
                let verdict = tracker.update(&node, Claim::alive(1), Timestamp::ZERO);
                assert!(matches!(
                    verdict,
                    Verdict::Joined | Verdict::Duplicate { .. }
                ));
                if number + NODES < threads {
                    assert!(tracker.remove(&node, Timestamp::ZERO).is_some());
                }
            };
            scope.spawn(write).join().unwrap();
        }
    });
    let bytes = ALLOCATED.load(Ordering::Relaxed) - before;
    assert_eq!(tracker.len(), usize::from(NODES));
    bytes
}

#[test]
fn a_tracker_of_16_nodes_takes_16_kib_however_many_threads_write() {
    // What the process makes once: the shared reclamation domain, a thread's record.
    let _ = bytes(usize::from(NODES), NODES);
    for threads in [NODES, 100] {
        let bytes = bytes(usize::from(NODES), threads);
        eprintln!("{bytes} bytes, {threads} threads");
        assert!(bytes <= 16 << 10, "{bytes} bytes, {threads} threads");
    }
}
