//! Waiting for one node: woken by its changes, not by those of other parts of the table, and without a
//! copy of the table.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, NodeState, Reclaimer, Status, TimedOut, Timestamp};

const NOW: Timestamp = Timestamp::ZERO;

type Tracker = IncarnationTracker<u32>;

fn tracker(nodes: u32) -> Tracker {
    let tracker = Tracker::builder()
        .max_nodes(nodes.max(100) as usize)
        // So that other tests' views do not decide when entries are free again.
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    for node in 0..nodes {
        put(&tracker, node, Claim::alive(1));
    }
    tracker
}

fn put(tracker: &Tracker, node: u32, claim: Claim) {
    assert!(tracker.update(&node, claim.trusted(), NOW).accepted());
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll<F: Future + Unpin>(wait: &mut F, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    let waker = Waker::from(wakes.clone());
    Pin::new(wait).poll(&mut Context::from_waker(&waker))
}

fn claim(state: Option<NodeState>) -> Option<Claim> {
    state.map(NodeState::claim)
}

fn is_dead(state: Option<NodeState>) -> bool {
    state.is_some_and(|state| state.status == Status::Dead)
}

#[test]
fn a_condition_that_holds_already_ends_the_wait_at_once() {
    let tracker = tracker(2);
    let state = tracker
        .wait_for(&1, |state| state.is_some())
        .wait(Duration::ZERO);
    assert_eq!(state.map(claim), Ok(Some(Claim::alive(1))));
    let absent = tracker.wait_for(&7, |state| state.is_none());
    assert_eq!(absent.wait(Duration::ZERO), Ok(None));
}

#[test]
fn a_wait_that_takes_too_long_says_so() {
    let timeout = Duration::from_millis(20);
    let error = tracker(2).wait_for(&1, is_dead).wait(timeout).unwrap_err();
    assert_eq!(error, TimedOut { timeout });
    assert!(error.to_string().contains("20ms"), "{error}");
}

#[test]
fn a_wait_is_woken_by_changes_of_its_node_until_the_condition_holds() {
    let tracker = tracker(100);
    let wakes = Arc::new(Wakes::default());
    let mut wait = tracker.wait_for(&1, is_dead);
    assert!(poll(&mut wait, &wakes).is_pending());
    put(&tracker, 1, Claim::suspect(1));
    assert_eq!(wakes.count(), 1);
    put(&tracker, 1, Claim::suspect(2));
    assert_eq!(wakes.count(), 1, "it was not polled in between");
    assert!(poll(&mut wait, &wakes).is_pending());
    put(&tracker, 1, Claim::dead(2));
    assert_eq!(wakes.count(), 2);
    assert_eq!(
        poll(&mut wait, &wakes).map(claim),
        Poll::Ready(Some(Claim::dead(2)))
    );
}

#[test]
fn changes_outside_a_nodes_range_do_not_wake_its_waits() {
    let tracker = tracker(1_000);
    let wakes = Arc::new(Wakes::default());
    let mut wait = tracker.wait_for(&1, is_dead);
    assert!(poll(&mut wait, &wakes).is_pending());
    let range = |node| tracker.handle(&node).unwrap().slot().index.div_euclid(32);
    let far = (0..1_000).filter(|node| range(*node).abs_diff(range(1)) > 1);
    for node in far {
        put(&tracker, node, Claim::dead(1));
    }
    // Joins do not concern it either, since its node is there.
    put(&tracker, 5_000, Claim::alive(1));
    assert_eq!(wakes.count(), 0);
}

#[test]
fn a_node_that_leaves_joins_and_moves_wakes_its_waits() {
    let tracker = tracker(100);
    let wakes = Arc::new(Wakes::default());
    let mut wait = tracker.wait_for(&1, is_dead);
    assert!(poll(&mut wait, &wakes).is_pending());
    tracker.forget(&1);
    assert_eq!(wakes.count(), 1);
    assert!(poll(&mut wait, &wakes).is_pending());
    // While it is absent, any join wakes its waits.
    put(&tracker, 500, Claim::alive(1));
    assert_eq!(wakes.count(), 2);
    assert!(poll(&mut wait, &wakes).is_pending());
    put(&tracker, 1, Claim::alive(1));
    assert_eq!(wakes.count(), 3);
    assert!(poll(&mut wait, &wakes).is_pending());
    put(&tracker, 1, Claim::dead(1));
    assert_eq!(wakes.count(), 4);
    assert!(poll(&mut wait, &wakes).is_ready());
}

#[test]
fn a_dropped_wait_is_not_woken_and_takes_no_other_wait_along() {
    let tracker = tracker(2);
    let (dropped, kept) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    let mut first = tracker.wait_for(&1, is_dead);
    let mut second = tracker.wait_for(&1, is_dead);
    assert!(poll(&mut first, &dropped).is_pending());
    assert!(poll(&mut second, &kept).is_pending());
    drop(first);
    put(&tracker, 1, Claim::dead(1));
    assert_eq!((dropped.count(), kept.count()), (0, 1));
}

#[test]
fn a_handle_waits_for_a_change_or_for_the_end_of_its_lifetime() {
    let tracker = tracker(2);
    let node = tracker.handle(&1).unwrap();
    let wakes = Arc::new(Wakes::default());
    let mut changed = node.changed();
    assert!(poll(&mut changed, &wakes).is_pending());
    put(&tracker, 1, Claim::suspect(1));
    assert_eq!(
        poll(&mut changed, &wakes).map(claim),
        Poll::Ready(Some(Claim::suspect(1)))
    );

    let mut dies = node.wait_for(is_dead);
    assert!(poll(&mut dies, &wakes).is_pending());
    tracker.forget(&1);
    put(&tracker, 1, Claim::alive(1));
    assert_eq!(wakes.count(), 2);
    assert_eq!(
        poll(&mut dies, &wakes),
        Poll::Ready(None),
        "another lifetime"
    );
    assert_eq!(node.changed().wait(Duration::MAX), Ok(None));
}

#[test]
fn a_condition_may_use_the_tracker() {
    let tracker = tracker(2);
    let inner = tracker.clone();
    let wait = tracker.wait_for(&1, move |_| {
        put(
            &inner,
            0,
            Claim::alive(inner.get(&0).unwrap().incarnation.get() + 1),
        );
        is_dead(inner.get(&1))
    });
    let mut wait = pin!(wait);
    let mut context = Context::from_waker(Waker::noop());
    assert!(wait.as_mut().poll(&mut context).is_pending());
    put(&tracker, 1, Claim::dead(1));
    assert!(wait.as_mut().poll(&mut context).is_ready());
}

#[test]
fn no_wake_up_is_lost_between_threads_that_wait_for_each_other() {
    // Each waits for the other's node; a lost wake-up stops both for ever.
    let tracker = tracker(2);
    thread::scope(|scope| {
        for me in 0..2_u32 {
            let tracker = &tracker;
            scope.spawn(move || {
                let other = 1 - me;
                for round in 2..=3_000_u64 {
                    if me == 0 {
                        put(tracker, me, Claim::alive(round));
                    }
                    let reached = move |state: Option<NodeState>| {
                        state.is_some_and(|state| state.incarnation.get() >= round)
                    };
                    tracker
                        .wait_for(&other, reached)
                        .wait(Duration::MAX)
                        .unwrap();
                    if me == 1 {
                        put(tracker, me, Claim::alive(round));
                    }
                }
            });
        }
    });
}

#[test]
fn no_wake_up_is_lost_while_nodes_come_and_go() {
    let tracker = tracker(0);
    thread::scope(|scope| {
        for node in 0..2_u32 {
            let tracker = &tracker;
            scope.spawn(move || {
                for _ in 0..2_000 {
                    put(tracker, node, Claim::alive(1));
                    let gone = tracker.wait_for(&node, |state| state.is_none());
                    gone.wait(Duration::MAX).unwrap();
                }
            });
            scope.spawn(move || {
                for _ in 0..2_000 {
                    let joined = tracker.wait_for(&node, |state| state.is_some());
                    joined.wait(Duration::MAX).unwrap();
                    tracker.forget(&node);
                }
            });
        }
    });
}

#[test]
fn a_wait_that_is_forgotten_harms_no_other() {
    let tracker = tracker(2);
    let wakes = Arc::<Wakes>::default();
    let mut forgotten = Box::pin(tracker.wait_for(&0, is_dead));
    assert!(poll(&mut forgotten, &wakes).is_pending());
    std::mem::forget(forgotten);
    let mut other = Box::pin(tracker.wait_for(&0, is_dead));
    assert!(poll(&mut other, &wakes).is_pending());
    put(&tracker, 0, Claim::dead(1));
    assert!(poll(&mut other, &wakes).is_ready());
}
