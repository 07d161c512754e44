//! What is remembered of the dead: old gossip never raises them, and the memory is bounded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use incarnation::{
    Claim, Incarnation, IncarnationTracker, Rejection, Status, SweepScope, Timestamp, Verdict,
};
use incarnation_testkit::start_together::meanwhile;
use incarnation_testkit::sync_point::{GatedKey, SyncPoint};

const DIED: Timestamp = Timestamp::from_millis(5_000);
const RETENTION: Duration = Duration::from_secs(100);
const TOMBSTONE_RETENTION: Duration = Duration::from_secs(1_000);

fn tracker() -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .max_nodes(64)
        .dead_retention(RETENTION)
        .tombstone_retention(TOMBSTONE_RETENTION)
        .build()
        .unwrap()
}

fn buried(incarnation: u64) -> Verdict {
    Verdict::Rejected(Rejection::Tombstone {
        incarnation: Incarnation::new(incarnation),
    })
}

/// After the retention: the sweep takes node 1 out.
fn evicted_after(claim: Claim) -> (IncarnationTracker<u32>, Timestamp) {
    let tracker = tracker();
    let _ = tracker.update(&1, claim, DIED);
    let now = DIED + RETENTION + Duration::from_nanos(1);
    assert_eq!(tracker.sweep(now).dead_evicted, 1);
    assert_eq!(tracker.get(&1), None);
    (tracker, now)
}

#[test]
fn an_old_alive_stays_buried_after_the_eviction_while_a_higher_one_joins() {
    for gone in [Claim::dead(7), Claim::left(7)] {
        let (tracker, now) = evicted_after(gone);
        assert_eq!(tracker.tombstones(), 1);
        for old in [0, 6, 7] {
            for status in Status::ALL {
                let claim = Claim::new(status, old);
                assert_eq!(tracker.judge(&1, claim, now), buried(7), "{claim}");
                assert_eq!(tracker.update(&1, claim, now), buried(7), "{claim}");
                let trusted = claim.trusted();
                assert_eq!(tracker.update(&1, trusted, now), buried(7), "{claim}");
            }
            assert_eq!(tracker.confirm(&1, old, now), buried(7));
        }
        assert_eq!((tracker.get(&1), tracker.tombstones()), (None, 1));
        assert_eq!(tracker.update(&1, Claim::alive(8), now), Verdict::Joined);
        assert_eq!(tracker.tombstones(), 0, "the join ends the tombstone");
    }
}

#[test]
fn every_way_of_removing_a_dead_node_but_forgetting_buries_it() {
    let ways: [fn(&IncarnationTracker<u32>); 4] = [
        |tracker| assert!(tracker.remove(&1, DIED).is_some()),
        |tracker| assert!(tracker.remove_if(&1, Claim::dead(7), DIED).is_ok()),
        |tracker| assert!(tracker.handle(&1).unwrap().remove(DIED).is_some()),
        |tracker| {
            let over = DIED + RETENTION + Duration::from_nanos(1);
            let _ = tracker.sweep_with(SweepScope::Dead, over, |_| {});
        },
    ];
    for remove in ways {
        let tracker = tracker();
        let _ = tracker.update(&1, Claim::dead(7), DIED);
        remove(&tracker);
        assert_eq!((tracker.len(), tracker.tombstones()), (0, 1));
        assert_eq!(tracker.update(&1, Claim::alive(7), DIED), buried(7));
        assert_eq!(tracker.forget(&1), None);
        assert_eq!(tracker.tombstones(), 0);
        assert_eq!(tracker.update(&1, Claim::alive(7), DIED), Verdict::Joined);
    }
}

#[test]
fn nodes_that_are_not_dead_leave_no_tombstone() {
    for status in [Status::Unconfirmed, Status::Alive, Status::Suspect] {
        let tracker = tracker();
        let _ = tracker.update(&1, Claim::new(status, 7), DIED);
        assert!(tracker.remove(&1, DIED).is_some());
        assert_eq!(tracker.tombstones(), 0);
        assert_eq!(tracker.update(&1, Claim::alive(1), DIED), Verdict::Joined);
    }
}

#[test]
fn a_buried_node_that_is_heard_of_again_enters_at_the_incarnation_of_its_tombstone() {
    let (tracker, now) = evicted_after(Claim::dead(7));
    assert_eq!(tracker.add_unconfirmed(&1, now), Verdict::Joined);
    let state = tracker.get(&1).unwrap();
    assert_eq!(state.claim(), Claim::unconfirmed(7));
    // Below its death, so that is remembered still, should it be removed again.
    assert_eq!(tracker.tombstones(), 1);
    assert!(tracker.remove(&1, now).is_some());
    assert_eq!(tracker.update(&1, Claim::alive(7), now), buried(7));
}

#[test]
fn a_dead_node_that_is_only_heard_of_stays_dead_for_old_gossip() {
    let (tracker, now) = evicted_after(Claim::dead(7));
    assert_eq!(tracker.add_unconfirmed(&1, now), Verdict::Joined);
    for old in [Claim::alive(7), Claim::dead(7), Claim::left(7)] {
        assert_eq!(tracker.judge(&1, old, now), buried(7), "{old}");
        assert_eq!(tracker.update(&1, old.trusted(), now), buried(7), "{old}");
    }
    // By handle as well; and it is a zombie as long as it would be one if nobody had mentioned it.
    let handle = tracker.handle(&1).unwrap();
    assert_eq!(handle.update(Claim::alive(7), now), Some(buried(7)));
    let required = tracker.required_incarnation(&1, now);
    assert!(tracker.remove(&1, now).is_some());
    assert_eq!(tracker.required_incarnation(&1, now), required);
    // A higher incarnation is news, and first-hand contact needs none.
    assert_eq!(tracker.add_unconfirmed(&1, now), Verdict::Joined);
    let previous = Claim::unconfirmed(7);
    assert_eq!(
        tracker.judge(&1, Claim::alive(8), now),
        Verdict::Applied { previous }
    );
    assert_eq!(tracker.confirm(&1, 0, now), Verdict::Applied { previous });
}

#[test]
fn tombstones_expire_strictly_after_their_retention_and_the_sweep_reports_them() {
    let (tracker, _) = evicted_after(Claim::dead(7));
    let last = DIED + TOMBSTONE_RETENTION;
    assert_eq!(tracker.update(&1, Claim::alive(7), last), buried(7));
    assert_eq!(tracker.sweep(last).tombstones_expired, 0);
    let over = last + Duration::from_nanos(1);
    // Over is over, swept or not.
    assert_eq!(tracker.judge(&1, Claim::alive(7), over), Verdict::Joined);
    assert_eq!(tracker.sweep(over).tombstones_expired, 1);
    assert_eq!(tracker.tombstones(), 0);
    assert_eq!(tracker.update(&1, Claim::alive(7), over), Verdict::Joined);
}

#[test]
fn a_death_claimed_again_keeps_its_first_date() {
    let (tracker, now) = evicted_after(Claim::dead(7));
    // Heard of again at its tombstone's incarnation, heard from, and told dead once more.
    assert_eq!(tracker.add_unconfirmed(&1, now), Verdict::Joined);
    assert!(tracker.confirm(&1, 0, now).accepted());
    assert!(tracker.update(&1, Claim::dead(7), now).accepted());
    assert!(tracker.remove(&1, now).is_some());
    assert_eq!(tracker.tombstones(), 1);
    let over = DIED + TOMBSTONE_RETENTION + Duration::from_nanos(1);
    assert_eq!(tracker.sweep(over).tombstones_expired, 1);
}

#[test]
fn tombstone_retention_defaults_to_twice_a_long_dead_retention() {
    let day = Duration::from_secs(24 * 3600);
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .dead_retention(day * 2)
        .build()
        .unwrap();
    let _ = tracker.update(&1, Claim::dead(7), DIED);
    let evicted = DIED + day * 2 + Duration::from_nanos(1);
    assert_eq!(tracker.sweep(evicted).dead_evicted, 1);
    assert_eq!(tracker.update(&1, Claim::alive(7), evicted), buried(7));
    let over = DIED + day * 4 + Duration::from_nanos(1);
    assert_eq!(tracker.judge(&1, Claim::alive(7), over), Verdict::Joined);
}

#[test]
fn tombstones_can_be_turned_off() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_tombstones(0)
        .build()
        .unwrap();
    let _ = tracker.update(&1, Claim::dead(7), DIED);
    assert!(tracker.remove(&1, DIED).is_some());
    assert_eq!(tracker.tombstones(), 0);
    assert_eq!(tracker.update(&1, Claim::alive(1), DIED), Verdict::Joined);
}

#[test]
fn threads_that_bury_at_once_exceed_max_tombstones_by_one_each_at_most() {
    const KEPT: usize = 32;
    const THREADS: u32 = 4;
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_tombstones(KEPT)
        .build()
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let tracker = &tracker;
            scope.spawn(move || {
                for death in 0..5_000 {
                    let node = thread * 5_000 + death;
                    let _ = tracker.bury(&node, 7, DIED + Duration::from_nanos(death.into()));
                    let kept = tracker.tombstones();
                    assert!(kept <= KEPT + THREADS as usize, "{kept} tombstones");
                }
            });
        }
    });
    assert!(tracker.tombstones() <= KEPT);
}

#[test]
fn of_too_many_tombstones_the_oldest_go_first() {
    const KEPT: u32 = 32;
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_tombstones(KEPT as usize)
        .build()
        .unwrap();
    for node in 0..1_000 {
        let died = DIED + Duration::from_millis(u64::from(node));
        let _ = tracker.update(&node, Claim::dead(7), died);
        assert!(tracker.remove(&node, died).is_some());
        assert!(tracker.tombstones() <= KEPT as usize);
    }
    let now = DIED + Duration::from_secs(1);
    let remembered: Vec<u32> = (0..1_000)
        .filter(|node| tracker.judge(node, Claim::alive(7), now) == buried(7))
        .collect();
    // At most an eighth goes ahead of its time.
    let fewest = KEPT - KEPT / 8;
    assert!(remembered.len() >= fewest as usize, "{remembered:?}");
    let first = 1_000 - u32::try_from(remembered.len()).unwrap();
    assert_eq!(remembered, (first..1_000).collect::<Vec<_>>());
}

fn gated() -> (IncarnationTracker<GatedKey>, SyncPoint) {
    let tracker = IncarnationTracker::builder().max_nodes(8).build().unwrap();
    (tracker, SyncPoint::default())
}

#[test]
fn a_sweep_that_writes_a_tombstone_late_never_lowers_it() {
    let (tracker, sync_point) = gated();
    let node = sync_point.key(1);
    let _ = tracker.update(&node, Claim::dead(5), DIED);
    sync_point.shut();
    thread::scope(|scope| {
        // Judges Dead at 5, and stops where it is about to write the tombstone.
        let stalled = scope.spawn(|| tracker.remove_if(&node, Claim::dead(5), DIED));
        sync_point.wait_for_thread();
        // Meanwhile the node comes back, dies higher up, and is buried.
        assert!(tracker.update(&node, Claim::dead(9), DIED).accepted());
        assert!(tracker.remove(&node, DIED).is_some());
        assert_eq!(tracker.update(&node, Claim::alive(9), DIED), buried(9));
        sync_point.open();
        assert_eq!(stalled.join().unwrap(), Err(None), "that lifetime was over");
    });
    assert_eq!(tracker.update(&node, Claim::alive(7), DIED), buried(9));
    assert_eq!(tracker.tombstones(), 1);
}

#[test]
fn a_late_tombstone_does_not_affect_a_node_that_rejoined() {
    let (tracker, sync_point) = gated();
    let node = sync_point.key(1);
    let _ = tracker.update(&node, Claim::dead(5), DIED);
    sync_point.shut();
    thread::scope(|scope| {
        let stalled = scope.spawn(|| tracker.remove_if(&node, Claim::dead(5), DIED));
        sync_point.wait_for_thread();
        assert!(tracker.update(&node, Claim::alive(6), DIED).accepted());
        sync_point.open();
        let found = stalled.join().unwrap().unwrap_err().unwrap();
        assert_eq!(found.claim(), Claim::alive(6), "the claim came first");
    });
    assert_eq!(tracker.get(&node).unwrap().claim(), Claim::alive(6));
    let news = tracker.update(&node, Claim::suspect(6), DIED);
    assert!(news.accepted());
}

#[test]
fn a_claim_that_stalls_before_it_inserts_still_meets_a_tombstone_written_meanwhile() {
    let (tracker, sync_point) = gated();
    let node = sync_point.key(1);
    sync_point.shut();
    thread::scope(|scope| {
        // Finds neither node nor tombstone, and stops where it is about to insert the node.
        let stalled = scope.spawn(|| tracker.update(&node, Claim::alive(3), DIED));
        sync_point.wait_for_thread();
        // Meanwhile the node lives, dies and is buried, and its chain is as it was.
        assert_eq!(
            tracker.update(&node, Claim::alive(5), DIED),
            Verdict::Joined
        );
        assert!(tracker.update(&node, Claim::dead(5), DIED).accepted());
        assert!(tracker.remove(&node, DIED).is_some());
        sync_point.open();
        assert_eq!(stalled.join().unwrap(), buried(5));
    });
    assert_eq!((tracker.len(), tracker.get(&node)), (0, None));
    // What it had inserted is taken back: nothing stands in the way.
    assert_eq!(
        tracker.update(&node, Claim::alive(6), DIED),
        Verdict::Joined
    );
    assert_eq!(tracker.iter().count(), 1);
}

#[test]
fn there_is_no_instant_at_which_a_dead_node_can_be_raised_by_old_gossip() {
    const DEATHS: u64 = 3_000;
    // Room for what waits while a thread that is not running holds a view.
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .dead_retention(RETENTION)
        .build()
        .unwrap();
    let died_at = AtomicU64::new(0);
    let gossip = || {
        let old = Claim::alive(died_at.load(Ordering::Acquire));
        let verdict = tracker.update(&1, old, DIED);
        assert!(!verdict.accepted(), "{old} after the death: {verdict}");
    };
    let sweep = || {
        let long_after = DIED + RETENTION * 2;
        let _ = tracker.sweep_with(SweepScope::Dead, long_after, |_| {});
    };
    let _ = tracker.update(&1, Claim::dead(0), DIED);
    meanwhile(&[&gossip, &gossip, &sweep], || {
        for incarnation in 1..DEATHS {
            for claim in [Claim::alive(incarnation), Claim::dead(incarnation)] {
                let verdict = tracker.update(&1, claim, DIED);
                assert!(verdict.accepted(), "{claim}: {verdict}");
            }
            died_at.store(incarnation, Ordering::Release);
            if incarnation % 2 == 0 {
                tracker.remove(&1, DIED);
            }
        }
    });
}
