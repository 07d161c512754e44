//! Where `membarrier(2)` is refused only after readers have begun to rely on it, nothing is used again that a reader
//! might still see: entries run out, and that is all.
//!
//! The one test here forbids it to its own thread, after the process has registered.
#![cfg(all(target_os = "linux", not(incarnation_portable)))]

use std::task::{Context, Waker};

use incarnation::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict};
use incarnation_testkit::sandbox::forbid_membarrier;

const NOW: Timestamp = Timestamp::ZERO;

#[test]
fn when_membarrier_is_refused_later_no_entry_is_reused_and_nothing_else_fails() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_nodes(16)
        .hard_limit(16)
        .max_tombstones(0)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    // With it, what was removed comes back.
    for node in 0..1_000 {
        assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
        assert!(tracker.remove(&node, NOW).is_some());
    }
    let _ = tracker.sweep(NOW);
    assert_eq!(tracker.pending_reclaim(), 0);
    let mut subscriber = tracker.subscribe();
    subscriber.drain(|_, _| {});

    forbid_membarrier();
    // There is no news, but a writer might pass by unseen: instead of sleeping, a subscriber has itself
    // polled again, and looks.
    let mut context = Context::from_waker(Waker::noop());
    assert!(subscriber.poll_changed(&mut context).is_pending());
    assert!(subscriber.poll_changed(&mut context).is_ready());
    assert_eq!(subscriber.wait(std::time::Duration::MAX), Ok(true));
    subscriber.drain(|_, _| {});
    let of_absent = tracker.wait_for(&7, |state| state.is_some());
    assert!(
        of_absent
            .wait(std::time::Duration::from_millis(10))
            .is_err()
    );

    let full = Verdict::Rejected(Rejection::PendingReclaim);
    let mut lives = 0;
    for node in 0..1_000 {
        match tracker.update(&node, Claim::alive(1), NOW) {
            Verdict::Joined => {
                lives += 1;
                assert!(tracker.remove(&node, NOW).is_some());
            }
            verdict => assert_eq!(verdict, full),
        }
        let _ = tracker.sweep(NOW);
        assert_eq!(
            tracker.pending_reclaim(),
            lives,
            "no entry may be used again"
        );
    }
    assert!((16..1_000).contains(&lives), "{lives}");
    assert_eq!(tracker.len(), 0);

    // A subscriber is told that there may be changes, again and again, rather than never.
    assert!(subscriber.has_changed());
    subscriber.drain(|_, _| panic!("every node that came has left"));
    for _ in 0..2 {
        assert!(subscriber.poll_changed(&mut context).is_pending());
        assert!(subscriber.poll_changed(&mut context).is_ready());
        subscriber.drain(|_, _| panic!("no node came"));
        assert!(
            subscriber.has_changed(),
            "what a look without its fence did not see, the next one must"
        );
    }
}
