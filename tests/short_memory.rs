//! Where memory is short, building a tracker is an error and does not end the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

use incarnation::{BuildError, IncarnationTracker};

/// Allocations of at least so many bytes count: those that grow with the limits of the tracker.
const LARGE: usize = 64 << 10;

thread_local! {
    /// How many large allocations of this thread still succeed; `None`: all.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The system's allocator, with a limit on large allocations of one thread.
struct Limited;

impl Limited {
    fn refuses(layout: Layout) -> bool {
        layout.size() >= LARGE
            && LEFT.with(|left| match left.get() {
                None => false,
                Some(0) => true,
                Some(more) => {
                    left.set(Some(more - 1));
                    false
                }
            })
    }
}

// SAFETY: it hands out what the system's allocator does, or null, which stands for no memory.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::refuses(layout) {
            return ptr::null_mut();
        }
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Self::refuses(layout) {
            return ptr::null_mut();
        }
        // SAFETY: by the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, allocation: *mut u8, layout: Layout) {
        // SAFETY: by the caller's promise; it came from the system's allocator.
        unsafe { System.dealloc(allocation, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

#[test]
fn each_large_allocation_of_build_that_fails_is_an_error() {
    let build = || {
        IncarnationTracker::<u64>::builder()
            .max_nodes(1 << 20)
            .build()
    };
    let mut refused = 0;
    loop {
        LEFT.set(Some(refused));
        let built = build();
        LEFT.set(None);
        match built {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, BuildError::TooManyNodes { .. }), "{error}"),
        }
        refused += 1;
    }
    // Entries, heads, the shards' locks, the marks for subscribers.
    assert!(refused >= 4, "{refused} large allocations");
}
