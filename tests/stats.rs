//! A tracker's numbers about itself: every rare event once, by its reason, and nothing for the others.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use incarnation::{
    Builder, Claim, Evictions, IncarnationTracker, Reclaimer, Rejection, Rejections, Stats, Status,
    SweepScope, Timestamp, Verdict,
};

const NOW: Timestamp = Timestamp::ZERO;

type Tracker = IncarnationTracker<u32>;

fn builder() -> Builder<u32> {
    // So that other tests' views don't matter.
    Tracker::builder().reclaimer(Reclaimer::private())
}

fn tracker() -> Tracker {
    builder().build().unwrap()
}

fn after(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

/// What a change does to the numbers that only rise.
fn rejections_by(tracker: &Tracker, work: impl FnOnce()) -> Rejections {
    let before = tracker.stats().rejections;
    work();
    let after = tracker.stats().rejections;
    let mut difference = after;
    difference.out_of_range -= before.out_of_range;
    difference.unrefutable -= before.unrefutable;
    difference.suspicious_jump -= before.suspicious_jump;
    difference.unconfirmed -= before.unconfirmed;
    difference.at_capacity -= before.at_capacity;
    difference.tombstone -= before.tombstone;
    difference.zombie -= before.zombie;
    difference
}

fn evictions(set: impl FnOnce(&mut Evictions)) -> Evictions {
    let mut evictions = Evictions::default();
    set(&mut evictions);
    evictions
}

fn rejections(set: impl FnOnce(&mut Rejections)) -> Rejections {
    let mut rejections = Rejections::default();
    set(&mut rejections);
    rejections
}

#[test]
fn all_numbers_of_a_new_tracker_are_zero() {
    assert_eq!(tracker().stats(), Stats::default());
}

#[test]
fn lookups_duplicates_and_judgements_are_not_counted() {
    let tracker = builder().local_node(0).build().unwrap();
    assert!(tracker.update(&1, Claim::suspect(5), NOW).accepted());
    let before = tracker.stats();
    let _ = tracker.update(&1, Claim::suspect(5), NOW);
    let _ = tracker.update(&1, Claim::alive(4), NOW);
    let _ = tracker.update(&0, Claim::dead(4), NOW);
    let _ = tracker.judge(&1, Claim::alive(9_000_000), NOW);
    let _ = tracker.judge(&2, Claim::alive(u64::MAX), NOW);
    let _ = (tracker.get(&1), tracker.handle(&1), tracker.counts());
    assert!(tracker.update(&1, Claim::dead(5), NOW).accepted());
    assert_eq!(tracker.stats(), before);
}

#[test]
fn joins_and_evictions_of_each_reason_are_counted() {
    let tracker = builder()
        .max_nodes(4)
        .eviction_headroom(0)
        .unconfirmed_timeout(Duration::from_secs(10))
        .suspect_timeout(Duration::from_secs(10))
        .dead_retention(Duration::from_secs(30))
        .build()
        .unwrap();
    for (node, status) in [
        (1, Status::Unconfirmed),
        (2, Status::Suspect),
        (3, Status::Dead),
        (4, Status::Left),
        (5, Status::Alive),
    ] {
        assert_eq!(
            tracker.update(&node, Claim::new(status, 1), NOW),
            Verdict::Joined
        );
    }
    assert_eq!(tracker.stats().joins, 5);
    // Declares 2 dead, and takes out 1; then there are four.
    let _ = tracker.sweep(after(11));
    let stats = tracker.stats();
    assert_eq!(
        (stats.declared_dead, stats.sweeps, stats.tombstones_written),
        (1, 1, 0)
    );
    assert_eq!(stats.evictions, evictions(|e| e.unconfirmed_expired = 1));
    // Takes out 3 and 4, and buries them.
    let _ = tracker.sweep_with(SweepScope::Dead, after(31), |_| {});
    let stats = tracker.stats();
    assert_eq!(
        (stats.sweeps, stats.tombstones_written, stats.tombstones),
        (2, 2, 2)
    );
    assert_eq!(stats.evictions.dead_retention, 2);
    tracker.remove(&2, after(31));
    tracker.remove(&5, after(31));
    tracker.forget(&3);
    let _ = tracker.update(&6, Claim::dead(1), after(31));
    tracker.forget(&6);
    let stats = tracker.stats();
    assert_eq!((stats.tombstones_written, stats.tombstones), (3, 2));
    assert_eq!((stats.evictions.removed, stats.evictions.forgotten), (2, 1));
    // Two too many.
    for node in 10..16 {
        let _ = tracker.update(&node, Claim::unconfirmed(1), after(31));
    }
    let _ = tracker.sweep_with(SweepScope::Capacity, after(31), |_| {});
    let stats = tracker.stats();
    assert_eq!(stats.evictions.capacity, 2);
    assert_eq!(stats.joins - stats.evictions.total(), tracker.len() as u64);
    assert_eq!(stats.rejections, Rejections::default());
}

#[test]
fn a_death_without_a_tombstone_is_not_counted_as_a_tombstone_written() {
    let tracker = builder().max_tombstones(0).build().unwrap();
    let _ = tracker.update(&1, Claim::dead(1), NOW);
    tracker.remove(&1, NOW);
    assert_eq!(
        (
            tracker.stats().tombstones_written,
            tracker.stats().evictions.removed
        ),
        (0, 1)
    );
}

#[test]
fn each_rejection_is_counted_once_by_its_reason() {
    let tracker = builder()
        .max_nodes(4)
        .hard_limit(4)
        .max_incarnation(10_000)
        .build()
        .unwrap();
    let _ = tracker.update(&1, Claim::alive(1), NOW);
    let _ = tracker.add_unconfirmed(&2, NOW);
    let _ = tracker.update(&3, Claim::dead(5), NOW);
    tracker.remove(&3, NOW);
    let _ = tracker.update(&4, Claim::dead(5), NOW);
    let try_it =
        |node: u32, claim: Claim| move |tracker: &Tracker| tracker.update(&node, claim, NOW);
    type Attempt<'a> = Box<dyn Fn(&Tracker) -> Verdict + 'a>;
    let attempts: [(Attempt<'_>, Rejections); 8] = [
        (
            Box::new(try_it(1, Claim::alive(10_001))),
            rejections(|r| r.out_of_range = 1),
        ),
        (
            Box::new(try_it(99, Claim::alive(10_001))),
            rejections(|r| r.out_of_range = 1),
        ),
        (
            Box::new(try_it(1, Claim::dead(10_000).trusted())),
            rejections(|r| r.unrefutable = 1),
        ),
        (
            Box::new(try_it(1, Claim::alive(5_000))),
            rejections(|r| r.suspicious_jump = 1),
        ),
        (
            Box::new(try_it(2, Claim::suspect(0))),
            rejections(|r| r.unconfirmed = 1),
        ),
        (
            Box::new(try_it(3, Claim::alive(5))),
            rejections(|r| r.tombstone = 1),
        ),
        (
            Box::new(|tracker| tracker.rejoin(&4, 6, NOW)),
            rejections(|r| r.zombie = 1),
        ),
        (
            Box::new(|tracker| tracker.rejoin(&3, 6, NOW)),
            rejections(|r| r.zombie = 1),
        ),
    ];
    for (attempt, expected) in attempts {
        let counted = rejections_by(&tracker, || {
            assert!(matches!(attempt(&tracker), Verdict::Rejected(_)));
        });
        assert_eq!(counted, expected);
        assert_eq!(counted.total(), 1);
    }
    let _ = tracker.update(&5, Claim::alive(1), NOW);
    let full = Verdict::Rejected(Rejection::AtCapacity);
    let counted = rejections_by(&tracker, || {
        assert_eq!(tracker.update(&6, Claim::alive(1), NOW), full);
    });
    assert_eq!(counted, rejections(|r| r.at_capacity = 1));
}

#[test]
fn rejections_through_handles_and_batches_are_counted() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::alive(1), NOW);
    let node = tracker.handle(&1).unwrap();
    let counted = rejections_by(&tracker, || {
        assert!(matches!(
            node.update(Claim::alive(5_000), NOW),
            Some(Verdict::Rejected(_))
        ));
        let batch = [
            (1, Claim::alive(5_000)),
            (1, Claim::alive(1)),
            (2, Claim::alive(u64::MAX)),
        ];
        tracker.pin().update_batch(&batch, NOW, |_, _| {});
    });
    assert_eq!(
        counted,
        rejections(|r| (r.suspicious_jump, r.out_of_range) = (2, 1))
    );
}

#[test]
fn pending_reclaim_is_counted_apart_from_at_capacity() {
    let tracker = builder().max_nodes(1).build().unwrap();
    let view = tracker.pin();
    // Every entry that is removed waits for the view.
    while tracker.update(&1, Claim::alive(1), NOW).accepted() {
        tracker.remove(&1, NOW);
    }
    let stats = tracker.stats();
    assert_eq!(
        (stats.rejections.pending_reclaim, stats.pending_reclaim),
        (1, tracker.capacity())
    );
    assert_eq!(stats.rejections.at_capacity, 0);
    drop(view);
    // The portable reclamation may need some before it hands anything out.
    let collected = (0..16).any(|_| {
        let _ = tracker.sweep(NOW);
        tracker.stats().pending_reclaim < tracker.capacity()
    });
    assert!(collected);
    assert!(tracker.update(&1, Claim::alive(1), NOW).accepted());
}

#[test]
fn longest_view_grows_while_a_view_is_held_across_sweeps() {
    let tracker = tracker();
    let longest = || tracker.stats().longest_view;
    let _ = tracker.sweep(after(100));
    let view = tracker.pin();
    let _ = tracker.sweep(after(110));
    assert_eq!(longest(), Duration::ZERO, "it may be as young as the sweep");
    let _ = tracker.sweep(after(120));
    assert_eq!(longest(), Duration::from_secs(10));
    let _ = tracker.sweep(after(150));
    assert_eq!(longest(), Duration::from_secs(40));
    drop(view);
    let _ = tracker.sweep(after(160));
    assert_eq!(longest(), Duration::ZERO);
    // Views that come and go are no held views.
    for second in 161..170 {
        drop(tracker.pin());
        let _ = tracker.sweep(after(second));
        assert_eq!(longest(), Duration::ZERO);
    }
}

#[test]
fn longest_view_covers_views_of_threads_other_than_the_sweeping_one() {
    let tracker = tracker();
    let (pinned, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let view = tracker.pin();
            pinned.wait();
            done.wait();
            drop(view);
            pinned.wait();
        });
        pinned.wait();
        for second in [1, 2, 3] {
            // Each sweep on a thread of its own.
            thread::scope(|sweeps| {
                sweeps.spawn(|| tracker.sweep(after(second)).evicted());
            });
        }
        let held = tracker.stats().longest_view;
        done.wait();
        pinned.wait();
        thread::scope(|sweeps| {
            sweeps.spawn(|| tracker.sweep(after(4)).evicted());
        });
        assert_eq!(held, Duration::from_secs(2));
        assert_eq!(tracker.stats().longest_view, Duration::ZERO);
    });
}

#[test]
fn totals_agree_after_concurrent_operations_of_all_kinds() {
    let tracker = builder().max_nodes(64).max_tombstones(16).build().unwrap();
    let (joined, rejected, removed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for thread in 0..4 {
            let (tracker, joined, rejected, removed) = (&tracker, &joined, &rejected, &removed);
            scope.spawn(move || {
                let mut random = Rng::with_seed(thread);
                for step in 0..20_000 {
                    let node = random.u32(..200);
                    let claim = Claim::new(Status::ALL[random.usize(..5)], random.u64(..3000));
                    match random.u64(..4) {
                        0 if tracker.remove(&node, NOW).is_some() => {
                            removed.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => match tracker.update(&node, claim, NOW) {
                            Verdict::Joined => {
                                joined.fetch_add(1, Ordering::Relaxed);
                            }
                            Verdict::Rejected(_) => {
                                rejected.fetch_add(1, Ordering::Relaxed);
                            }
                            _ => {}
                        },
                    }
                    if step % 500 == 0 {
                        let _ = tracker.sweep(NOW);
                    }
                }
            });
        }
    });
    let stats = tracker.stats();
    assert_eq!(stats.joins, joined.into_inner());
    assert_eq!(stats.rejections.total(), rejected.into_inner());
    assert_eq!(stats.evictions.removed, removed.into_inner());
    assert_eq!(stats.joins - stats.evictions.total(), tracker.len() as u64);
    assert_eq!(stats.sweeps, 4 * 40);
    assert_eq!(stats.pending_unlink, 0);
    assert!(stats.rejections.total() > 0 && stats.tombstones_written > 0);
}
