//! A small tracker takes little memory, however many threads write to it: what each thread keeps for itself is for
//! larger tables.
//!
//! The one test here measures what the whole process allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::Barrier;
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

/// What a tracker takes.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    /// When it is made.
    made: usize,
    /// More, after all threads wrote to it, while they still live.
    written: usize,
    /// Of the process, not of the tracker: what so many threads took that live and wrote to another tracker before. It
    /// is what starting a thread allocates, and a record each in the reclamation domain.
    threads: usize,
}

/// Has so many threads, all of which live until the end, write to a tracker one after the other: each adds a node and, but for
/// the last few, removes it again.
fn bytes(threads: u16) -> Bytes {
    let allocated = || ALLOCATED.load(Ordering::Relaxed);
    let tracker = || -> IncarnationTracker {
        let builder = IncarnationTracker::builder().max_nodes(usize::from(NODES));
        builder.build().unwrap()
    };
    let warm_up = tracker();
    let begin = allocated();
    let tracker = tracker();
    let made = allocated() - begin;
    let begin = allocated();
    let turns = Barrier::new(usize::from(threads) + 1);
    let (of_threads, written) = thread::scope(|scope| {
        for number in 0..threads {
            let (tracker, warm_up, turns) = (&tracker, &warm_up, &turns);
            scope.spawn(move || {
                let node = SocketAddr::from(([10, 0, 0, 1], number));
                for tracker in [warm_up, tracker] {
                    for turn in 0..threads {
                        if turn == number {
                            let verdict = tracker.update(&node, Claim::alive(1), Timestamp::ZERO);
                            assert_eq!(verdict, Verdict::Joined);
                            if number + NODES < threads {
                                assert!(tracker.remove(&node, Timestamp::ZERO).is_some());
                            }
                        }
                        turns.wait();
                    }
                    // The main thread looks between these two.
                    turns.wait();
                    turns.wait();
                }
            });
        }
        let mut at_ends = [0; 2].into_iter().map(|_| {
            for _ in 0..=threads {
                turns.wait();
            }
            let now = allocated();
            turns.wait();
            now
        });
        let (warm, end) = (at_ends.next().unwrap(), at_ends.next().unwrap());
        (warm - begin, end - warm)
    });
    assert_eq!(tracker.len(), usize::from(NODES));
    Bytes {
        made,
        written,
        threads: of_threads,
    }
}

#[test]
fn a_tracker_of_16_nodes_takes_as_much_however_many_live_threads_write() {
    // What the process makes once.
    let _ = bytes(NODES);
    for threads in [NODES, 100] {
        let bytes = bytes(threads);
        eprintln!(
            "{} bytes, {} more after {threads} live threads wrote; {} that these take themselves",
            bytes.made, bytes.written, bytes.threads
        );
        assert!(bytes.made <= 16 << 10, "{bytes:?}");
        // Removed entries that wait to be used again, as many as wait for a collection. In the portable scheme each of these
        // waits in a bag of crossbeam-epoch's, which has room for 64.
        let removed = usize::from(threads - NODES);
        let bags = if cfg!(incarnation_portable) {
            removed * (2 << 10)
        } else {
            0
        };
        assert!(bytes.written <= (4 << 10) + bags, "{bytes:?}");
    }
}
