//! Removed entries that wait together wait for the latest of them: views of two times, and removals between them.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp};

const NOW: Timestamp = Timestamp::ZERO;
const NODES: u64 = 8;

/// A thread that holds a view until it is told to go.
struct Reader {
    go: Sender<()>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn new(tracker: &IncarnationTracker<u64>) -> Self {
        let tracker = tracker.clone();
        let ((go, told), (pinned, is_pinned)) = (channel(), channel());
        let thread = thread::spawn(move || {
            let view = tracker.pin();
            assert!(view.get(&(NODES - 1)).is_some());
            pinned.send(()).unwrap();
            told.recv().unwrap();
        });
        is_pinned.recv().unwrap();
        Self { go, thread }
    }

    fn end(self) {
        self.go.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

#[test]
fn entries_retired_in_one_batch_wait_for_the_last_of_them() {
    let tracker: IncarnationTracker<u64> = IncarnationTracker::builder()
        .max_nodes(64)
        .max_tombstones(0)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    for node in 0..NODES {
        assert!(tracker.update(&node, Claim::alive(1), NOW).accepted());
    }
    let remove = |nodes: std::ops::Range<u64>| {
        for node in nodes {
            assert!(tracker.remove(&node, NOW).is_some());
        }
    };
    let early = Reader::new(&tracker);
    remove(0..NODES / 2);
    let late = Reader::new(&tracker);
    remove(NODES / 2..NODES);
    // All that waits is put together here.
    let _ = tracker.sweep(NOW);
    early.end();
    let _ = tracker.sweep(NOW);
    assert!(
        tracker.pending_reclaim() >= NODES as usize / 2,
        "the late one may read these"
    );
    late.end();
    for _ in 0..8 {
        let _ = tracker.sweep(NOW);
    }
    assert_eq!(tracker.pending_reclaim(), 0);
}
