//! Where `membarrier(2)` is refused only after a process has begun to rely on it, a stream of changes
//! and a loop over `changed()` still give their runtime a turn.
//!
//! The one test here forbids it to its own thread, after the process has registered.
#![cfg(all(target_os = "linux", not(incarnation_portable), feature = "stream"))]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Wake, Waker};
use std::thread;

use futures_core::Stream;
use incarnation::{IncarnationTracker, Reclaimer};
use incarnation_testkit::sandbox::forbid_membarrier;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_stream_without_changes_is_pending_after_it_woke_itself() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
            .reclaimer(Reclaimer::private())
            .build()
            .unwrap();
        let mut subscriber = tracker.subscribe();
        subscriber.drain(|_, _| {});
        forbid_membarrier();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        let mut changes = subscriber.into_stream();
        for poll in 1..=10 {
            assert!(Pin::new(&mut changes).poll_next(&mut context).is_pending());
            assert_eq!(wakes.0.load(Ordering::SeqCst), poll);
        }
        done.send(()).unwrap();
    });
    // A poll that never returns hangs the test here.
    is_done.recv().expect("a poll that returns");
}
