//! Lookups never write to what threads share, and never wait: they work on a table whose memory is
//! write-protected, and past threads that stand still in the middle of something.
#![cfg(target_os = "linux")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::process::Command;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use incarnation::{Claim, IncarnationTracker, NodeHandle, Status, Timestamp, Verdict};
use incarnation_testkit::sync_point::SyncPoint;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

const NOW: Timestamp = Timestamp::from_nanos(1);
const NODES: u16 = 1000;
/// Far more than the table needs.
const ARENA: usize = 16 << 20;
/// Set in the child process that is to write.
const WRITE: &str = "INCARNATION_TEST_WRITES";

thread_local! {
    /// Whether what this thread allocates comes out of the arena.
    static FENCED: Cell<bool> = const { Cell::new(false) };
}

/// An allocator that can put a whole tracker into memory of its own.
struct Fence {
    arena: OnceLock<usize>,
    used: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Fence = Fence {
    arena: OnceLock::new(),
    used: AtomicUsize::new(0),
};

impl Fence {
    fn arena(&self) -> *mut u8 {
        let start = self.arena.get_or_init(|| {
            let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
            // SAFETY: a new mapping, wherever the system likes.
            let mapped = unsafe { mmap_anonymous(ptr::null_mut(), ARENA, access, flags) };
            mapped.expect("16 MiB").expose_provenance()
        });
        ptr::with_exposed_provenance_mut(*start)
    }

    /// What `fill` allocates lies in the arena.
    fn fill<R>(&self, fill: impl FnOnce() -> R) -> R {
        self.arena();
        FENCED.set(true);
        let filled = fill();
        FENCED.set(false);
        filled
    }

    fn protect(&self, access: MprotectFlags) {
        // SAFETY: the whole mapping. Whoever writes to it meanwhile is to be stopped.
        unsafe { mprotect(self.arena().cast(), ARENA, access) }.expect("it is mapped");
    }
}

// SAFETY: the system's allocator, or the next unused bytes of the arena, each given out once.
unsafe impl GlobalAlloc for Fence {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !FENCED.get() {
            // SAFETY: as promised to this function.
            return unsafe { System.alloc(layout) };
        }
        let size = layout.size() + layout.align();
        let begin = self.used.fetch_add(size, Ordering::Relaxed);
        if begin + size > ARENA {
            return ptr::null_mut();
        }
        // SAFETY: below the end of the arena, by the size at least.
        let first = unsafe { self.arena().add(begin) };
        // SAFETY: by less than the alignment, which was asked for on top.
        unsafe { first.add(first.align_offset(layout.align())) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let arena = self.arena.get().copied().unwrap_or_default();
        if !(arena..arena + ARENA).contains(&memory.addr()) {
            // SAFETY: it did not come from the arena.
            unsafe { System.dealloc(memory, layout) };
        }
    }
}

fn address(node: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], node))
}

/// A table in which nodes have joined and died.
fn filled() -> IncarnationTracker {
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .max_nodes(NODES.into())
        .max_tombstones(0)
        .build()
        .unwrap();
    for node in 0..NODES {
        let _ = tracker.update(&address(node), Claim::alive(u64::from(node)), NOW);
    }
    for node in (0..NODES).step_by(3) {
        let _ = tracker.update(&address(node), Claim::dead(u64::from(node)), NOW);
    }
    tracker
}

/// Removes some nodes, and returns handles on the others.
fn thinned(tracker: &IncarnationTracker) -> Vec<NodeHandle> {
    for node in (0..NODES).step_by(7) {
        tracker.remove(&address(node), NOW).unwrap();
    }
    let handles = (0..NODES).filter_map(|node| tracker.handle(&address(node)));
    handles.collect()
}

#[test]
fn lookups_write_no_shared_memory() {
    // What a thread has for itself, it gets when it first looks something up.
    let other = filled();
    let handles = thinned(&other);
    assert!(handles[0].state().is_some() && other.get(&address(1)).is_some());

    let tracker = ALLOCATOR.fill(filled);
    // What the reclamation allocates for what waits is not the table's: the portable one shares it
    // with other trackers, whose threads go on.
    let handles = thinned(&tracker);
    ALLOCATOR.protect(MprotectFlags::READ);
    if std::env::var_os(WRITE).is_some() {
        // A duplicate writes nothing either; this is none.
        let _ = tracker.update(&address(1), Claim::alive(1), NOW);
        let _ = tracker.update(&address(1), Claim::suspect(1), NOW);
        return;
    }
    let mut found = 0;
    for node in 0..NODES + 100 {
        let state = tracker.get(&address(node));
        found += usize::from(state.is_some());
        assert_eq!(tracker.is_confirmed(&address(node)), state.is_some());
        assert_eq!(
            tracker.can_suspect(&address(node)),
            state.is_some_and(|state| state.status == Status::Alive)
        );
        if let Some(state) = state {
            let current = state.claim();
            let duplicate = Verdict::Duplicate { current };
            assert_eq!(tracker.judge(&address(node), current, NOW), duplicate);
            assert_eq!(tracker.update(&address(node), current, NOW), duplicate);
        }
    }
    let read = handles.iter().filter(|handle| handle.state().is_some());
    let scanned = tracker.with(|view| view.iter().count());
    let counts = (
        read.count(),
        scanned,
        tracker.len(),
        tracker.counts().total(),
    );
    assert_eq!(counts, (found, found, found, found));
    assert_eq!(found, usize::from(NODES - NODES.div_ceil(7)));
    ALLOCATOR.protect(MprotectFlags::READ | MprotectFlags::WRITE);
    assert!(
        tracker
            .update(&address(1), Claim::suspect(1), NOW)
            .accepted()
    );
}

#[test]
fn the_write_protection_stops_a_claim_that_writes() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lookups_write_no_shared_memory"])
        .env(WRITE, "1")
        .output()
        .unwrap();
    assert!(!child.status.success(), "{child:?}");
}

#[test]
fn lookups_do_not_wait_for_stopped_writers() {
    let (tracker, sync_point) = (
        IncarnationTracker::builder().build().unwrap(),
        SyncPoint::default(),
    );
    let (dying, joining) = (sync_point.key(1), sync_point.key(2));
    assert!(tracker.update(&dying, Claim::dead(5), NOW).accepted());
    thread::scope(|scope| {
        // Before it links the node.
        sync_point.shut();
        let join = scope.spawn(|| tracker.update(&joining, Claim::alive(1), NOW));
        sync_point.wait_for_thread();
        assert_eq!(tracker.get(&joining), None);
        assert!(tracker.get(&dying).is_some());
        sync_point.open();
        assert_eq!(join.join().unwrap(), Verdict::Joined);

        // Before it writes the tombstone.
        sync_point.shut();
        let removal = scope.spawn(|| tracker.remove(&dying, NOW));
        sync_point.wait_for_thread();
        let state = tracker.get(&dying).expect("it is buried first");
        assert_eq!(state.claim(), Claim::dead(5));
        assert!(tracker.get(&joining).is_some());
        assert_eq!(tracker.with(|view| view.iter().count()), 2);
        sync_point.open();
        assert!(removal.join().unwrap().is_some());
    });
    assert_eq!(tracker.get(&dying), None);
}
