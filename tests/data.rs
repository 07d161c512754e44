//! Data of a program's own for each node: made when the node joins, shown with its lifetime, dropped once after it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use incarnation::{Claim, IncarnationTracker, Rejection, SweepScope, Timestamp, Verdict};

const NOW: Timestamp = Timestamp::ZERO;

/// Counts how many of it there are, and how many there were.
#[derive(Clone, Debug, Default)]
struct Census {
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Counted {
    node: u32,
    census: Census,
}

impl Census {
    fn make(&self, node: u32) -> Counted {
        self.made.fetch_add(1, Relaxed);
        Counted {
            node,
            census: self.clone(),
        }
    }

    fn numbers(&self) -> (usize, usize) {
        (self.made.load(Relaxed), self.dropped.load(Relaxed))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.dropped.fetch_add(1, Relaxed);
    }
}

type Tracker = IncarnationTracker<u32, Counted>;

fn tracker(census: &Census) -> Tracker {
    let census = census.clone();
    IncarnationTracker::builder()
        .max_nodes(100)
        .reclaimer(incarnation::Reclaimer::private())
        .data_with(move |node| census.make(*node))
        .build()
        .unwrap()
}

#[test]
fn data_is_made_once_per_lifetime_and_dropped_once_after_it() {
    let census = Census::default();
    let tracker = tracker(&census);
    let _ = tracker.update(&1, Claim::alive(1), NOW);
    let _ = tracker.update(&1, Claim::alive(2), NOW);
    let _ = tracker.update(&1, Claim::suspect(2), NOW);
    assert_eq!(census.numbers(), (1, 0), "one lifetime");
    assert_eq!(
        tracker.handle(&1).unwrap().with_data(|data| data.node),
        Some(1)
    );

    let view = tracker.pin();
    let member = view.find(&1).unwrap();
    tracker.remove(&1, NOW);
    let _report = tracker.sweep(NOW);
    assert_eq!(
        (member.data().node, census.numbers()),
        (1, (1, 0)),
        "a view reaches it"
    );
    drop(view);
    let _report = tracker.sweep(NOW);
    assert_eq!(census.numbers(), (1, 1));

    let _ = tracker.update(&1, Claim::alive(3), NOW);
    assert_eq!(census.numbers(), (2, 1), "another lifetime");
    drop(tracker);
    assert_eq!(census.numbers(), (2, 2));
}

#[test]
fn members_show_key_state_slot_and_data_of_one_lifetime() {
    let tracker = IncarnationTracker::<u32>::builder()
        .data_with(|node| node * 10)
        .build()
        .unwrap();
    for node in 1..=5 {
        let _ = tracker.update(&node, Claim::alive(u64::from(node)), NOW);
    }
    let view = tracker.pin();
    for node in 1..=5 {
        let member = view.find(&node).unwrap();
        let handle = member.handle();
        assert_eq!((*member.key(), *member.data()), (node, node * 10));
        assert_eq!(member.state().claim(), Claim::alive(u64::from(node)));
        assert_eq!(
            (member.slot(), member.now()),
            (handle.slot(), handle.state())
        );
        assert_eq!(handle.with_data(|data| *data), Some(node * 10));
    }
    let listed: Vec<_> = view
        .members()
        .map(|member| (*member.key(), member.slot()))
        .collect();
    let found: Vec<_> = listed
        .iter()
        .map(|(node, _)| (*node, view.find(node).unwrap().slot()))
        .collect();
    assert_eq!((listed.len(), listed), (5, found));
    assert!(view.find(&6).is_none());

    let member = view.find(&3).unwrap();
    let _ = tracker.update(&3, Claim::suspect(3), NOW);
    assert_eq!(member.state().claim(), Claim::alive(3), "as it was found");
    assert_eq!(
        member.now().map(|state| state.claim()),
        Some(Claim::suspect(3))
    );
    tracker.remove(&3, NOW);
    assert_eq!((member.now(), *member.data()), (None, 30));
}

#[test]
fn the_call_that_brings_a_node_in_may_make_its_data() {
    let tracker = IncarnationTracker::<u32>::builder()
        .data_with(|_| String::from("builder"))
        .build()
        .unwrap();
    let data = |node| tracker.with(|view| view.find(&node).map(|member| member.data().clone()));
    let _ = tracker.update_with(&1, Claim::alive(1), NOW, || String::from("update"));
    let _ = tracker.confirm_with(&2, 1, NOW, || String::from("confirm"));
    let _ = tracker.hear(&3, Claim::alive(1), NOW);
    let _ = tracker.update_with(&1, Claim::alive(2), NOW, || unreachable!("a known node"));
    assert_eq!(data(1).as_deref(), Some("update"));
    assert_eq!(data(2).as_deref(), Some("confirm"));
    assert_eq!(data(3).as_deref(), Some("builder"));
}

#[test]
fn removals_and_sweeps_lend_the_data_for_a_last_use() {
    let census = Census::default();
    let tracker = tracker(&census);
    for node in 1..=3 {
        let _ = tracker.update(&node, Claim::dead(1), NOW);
    }
    let removed = tracker.remove_with(&1, NOW, |removed| (*removed.key(), removed.data().node));
    assert_eq!(removed, Some((1, 1)));
    assert_eq!(tracker.remove_with(&1, NOW, |_| ()), None);
    let late = Timestamp::from_nanos(u64::MAX / 2);
    let mut swept = Vec::new();
    let _report = tracker.sweep_with(SweepScope::Dead, late, |gone| {
        swept.push((*gone.node, gone.data.node))
    });
    swept.sort_unstable();
    assert_eq!(swept, [(2, 2), (3, 3)]);
    drop(tracker);
    assert_eq!(census.numbers(), (3, 3));
}

#[test]
fn data_of_a_refused_claim_is_dropped() {
    let census = Census::default();
    let made = census.clone();
    let tracker = IncarnationTracker::<u32>::builder()
        .max_nodes(1)
        .hard_limit(1)
        .data_with(move |node| made.make(*node))
        .build()
        .unwrap();
    let _ = tracker.update(&1, Claim::alive(1), NOW);
    for _ in 0..100 {
        let refused = tracker.update(&2, Claim::alive(1), NOW);
        assert_eq!(refused, Verdict::Rejected(Rejection::AtCapacity));
    }
    let (made, dropped) = census.numbers();
    assert_eq!(made - dropped, 1);
    drop(tracker);
    let (made, dropped) = census.numbers();
    assert_eq!(made, dropped);
}

#[test]
fn a_panic_in_the_constructor_or_in_drop_leaves_the_table_sound() {
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 && !thread::panicking() {
                std::panic::resume_unwind(Box::new("dropped"));
            }
        }
    }
    let tracker = IncarnationTracker::<u32>::builder()
        .reclaimer(incarnation::Reclaimer::private())
        .data_with(|node| {
            if *node == 13 {
                std::panic::resume_unwind(Box::new("made"));
            }
            Bomb(node % 2 == 1)
        })
        .build()
        .unwrap();
    for node in 0..20 {
        let update = || tracker.update(&node, Claim::alive(1), NOW);
        let made = catch_unwind(AssertUnwindSafe(update));
        assert_eq!(made.is_err(), node == 13);
    }
    assert_eq!((tracker.len(), tracker.contains(&13)), (19, false));
    for node in 0..20 {
        tracker.remove(&node, NOW);
    }
    let _report = tracker.sweep(NOW);
    assert_eq!((tracker.len(), tracker.pending_reclaim()), (0, 0));
}

#[test]
fn threads_that_join_and_remove_see_whole_data_and_drop_each_once() {
    let census = Census::default();
    let tracker = tracker(&census);
    thread::scope(|scope| {
        for thread in 0..3_u64 {
            let tracker = &tracker;
            scope.spawn(move || {
                for step in 0..3_000 {
                    let node = ((step * 7 + thread * 3) % 16) as u32;
                    let _ = tracker.update(&node, Claim::alive(step), NOW);
                    let view = tracker.pin();
                    for member in view.members() {
                        assert_eq!(member.data().node, *member.key());
                    }
                    drop(view);
                    tracker.remove(&node, NOW);
                }
            });
        }
    });
    drop(tracker);
    let (made, dropped) = census.numbers();
    assert!(made >= 3_000, "{made}");
    assert_eq!(made, dropped);
}

#[test]
fn snapshots_bring_nodes_in_with_the_builders_data() {
    let from = IncarnationTracker::<u32>::builder().build().unwrap();
    let _ = from.update(&7, Claim::alive(3), NOW);
    let to = IncarnationTracker::<u32>::builder()
        .data_with(|node| node + 1)
        .build()
        .unwrap();
    let _report = to.merge(&from.snapshot(NOW), NOW);
    assert_eq!(to.handle(&7).unwrap().with_data(|data| *data), Some(8));
}

#[test]
fn data_may_use_the_tracker_while_it_is_made_and_dropped() {
    use incarnation::WeakTracker;
    use std::sync::OnceLock;

    /// Knows its tracker, and writes to it at its end.
    struct Busy {
        node: u32,
        tracker: Arc<OnceLock<WeakTracker<u32, Busy>>>,
        ends: Arc<AtomicUsize>,
    }
    impl Drop for Busy {
        fn drop(&mut self) {
            self.ends.fetch_add(1, Relaxed);
            let tracker = self.tracker.get().and_then(WeakTracker::upgrade);
            let Some(tracker) = tracker else { return };
            let _ = tracker.update(&(self.node + 1_000), Claim::alive(1), NOW);
            let _report = tracker.sweep(NOW);
            assert!(tracker.pin().members().count() <= 2_000);
        }
    }

    let known: Arc<OnceLock<WeakTracker<u32, Busy>>> = Arc::default();
    let (made, ends) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let tracker = {
        let (known, made, ends) = (known.clone(), made.clone(), ends.clone());
        IncarnationTracker::<u32>::builder()
            .max_nodes(3_000)
            .reclaimer(incarnation::Reclaimer::private())
            .data_with(move |node| {
                made.fetch_add(1, Relaxed);
                if let Some(tracker) = known.get().and_then(WeakTracker::upgrade) {
                    assert!(!tracker.contains(node), "not yet");
                    if node % 2 == 0 && *node < 1_000 {
                        let _ = tracker.update(&(node + 10_000), Claim::alive(1), NOW);
                    }
                }
                Busy {
                    node: *node,
                    tracker: known.clone(),
                    ends: ends.clone(),
                }
            })
            .build()
            .unwrap()
    };
    assert!(known.set(tracker.downgrade()).is_ok());
    for node in 0..500 {
        assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
        assert!(tracker.remove(&node, NOW).is_some());
    }
    for node in (0..500).step_by(2) {
        assert!(tracker.contains(&(node + 10_000)), "made with node {node}");
    }
    drop(tracker);
    assert_eq!(made.load(Relaxed), ends.load(Relaxed));
}
