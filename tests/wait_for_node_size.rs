//! A thousand waits for single nodes of ten thousand cost little memory, and one change wakes only the
//! waits of its range.
//!
//! The one test here measures what the whole process allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use incarnation::{Claim, IncarnationTracker, Timestamp};

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

const NODES: u32 = 10_000;
const WAITS: usize = 1_000;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_thousand_waits_at_ten_thousand_nodes_stay_below_a_mebibyte() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build().unwrap();
    let now = Timestamp::ZERO;
    for node in 0..NODES {
        assert!(tracker.update(&node, Claim::alive(1), now).accepted());
    }
    let nodes: Vec<u32> = (0..NODES).step_by(NODES as usize / WAITS).collect();
    assert_eq!(nodes.len(), WAITS);
    let wakes: Vec<Arc<Wakes>> = nodes.iter().map(|_| Arc::default()).collect();

    let before = ALLOCATED.load(Ordering::Relaxed);
    let mut waits: Vec<_> = nodes
        .iter()
        .map(|node| {
            Box::pin(tracker.wait_for(node, |state| {
                state.is_none_or(|state| state.claim() != Claim::alive(1))
            }))
        })
        .collect();
    for (wait, wakes) in waits.iter_mut().zip(&wakes) {
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(wait).poll(&mut context).is_pending());
    }
    let bytes = ALLOCATED.load(Ordering::Relaxed) - before;
    println!("{bytes} bytes for {WAITS} waits");
    assert!(bytes < 1 << 20, "{bytes} bytes");

    let range = |node: &u32| (tracker.handle(node).unwrap().slot().index + 1) / 32;
    let changed = nodes[WAITS / 2];
    let _ = tracker.update(&changed, Claim::suspect(1), now);
    for (node, wakes) in nodes.iter().zip(&wakes) {
        let count = wakes.0.load(Ordering::SeqCst);
        let expected = usize::from(range(node) == range(&changed));
        assert_eq!(count, expected, "node {node}");
    }
}
