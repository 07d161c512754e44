//! What a snapshot says: everything, in the order of keys, in ages; and what it may miss of a table
//! that others are changing: nothing that was known or buried all along.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use incarnation::{
    Claim, Incarnation, IncarnationTracker, Record, Snapshot, SnapshotError, Status, Timestamp,
};
use incarnation_testkit::sync_point::{GatedKey, SyncPoint};

const SECOND: Duration = Duration::from_secs(1);
const DIED: Timestamp = Timestamp::from_millis(5_000);

fn tracker() -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .max_nodes(64)
        .tombstone_retention(SECOND * 100)
        .build()
        .unwrap()
}

fn record<K>(node: K, claim: Claim, age: Duration) -> Record<K> {
    Record::new(node, claim, age).unwrap()
}

#[test]
fn each_node_has_a_row_and_each_death_a_tombstone_in_the_order_of_keys_with_ages() {
    let tracker = tracker();
    let claims = [
        (9, Claim::alive(1)),
        (3, Claim::unconfirmed(0)),
        (7, Claim::left(4)),
        (1, Claim::suspect(2)),
        (5, Claim::dead(8)),
        (2, Claim::left(6)),
    ];
    for ((node, claim), at) in claims.into_iter().zip(1..) {
        let _ = tracker.update(&node, claim, DIED + SECOND * at);
    }
    let now = DIED + SECOND * 10;
    for buried in [5, 2] {
        tracker.remove(&buried, now);
    }
    let snapshot = tracker.snapshot(now);
    let nodes = [
        record(1, Claim::suspect(2), SECOND * 6),
        record(3, Claim::unconfirmed(0), SECOND * 8),
        record(7, Claim::left(4), SECOND * 7),
        record(9, Claim::alive(1), SECOND * 9),
    ];
    let tombstones = [
        record(2, Claim::left(6), SECOND * 4),
        record(5, Claim::dead(8), SECOND * 5),
    ];
    assert_eq!(snapshot.nodes(), nodes);
    assert_eq!(snapshot.tombstones(), tombstones);
    assert_eq!(snapshot.node(&7), Some(&nodes[2]));
    assert_eq!(
        (snapshot.node(&5), snapshot.tombstone(&5)),
        (None, Some(&tombstones[1]))
    );
    assert_eq!(
        snapshot,
        Snapshot::new(nodes.into(), tombstones.into()).unwrap()
    );
    let older = snapshot.aged(SECOND);
    assert_eq!(older.nodes()[0].age(), SECOND * 7);
    assert_eq!(older.tombstones()[0].age(), SECOND * 5);
}

#[test]
fn a_last_update_later_than_now_is_of_age_zero() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::alive(1), DIED);
    assert_eq!(
        tracker.snapshot(Timestamp::ZERO).nodes()[0].age(),
        Duration::ZERO
    );
}

#[test]
fn tombstones_whose_time_is_over_are_left_out_though_no_sweep_has_ended_them() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::dead(1), DIED);
    tracker.remove(&1, DIED);
    let last = DIED + SECOND * 100;
    assert_eq!(tracker.snapshot(last).tombstones().len(), 1);
    assert!(tracker.snapshot(last + Duration::from_nanos(1)).is_empty());
    assert_eq!(tracker.tombstones(), 1);
}

#[test]
fn a_node_introduced_over_its_tombstone_is_in_both_lists_until_it_is_above_it() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::dead(4), DIED);
    tracker.remove(&1, DIED);
    let _ = tracker.add_unconfirmed(&1, DIED);
    let snapshot = tracker.snapshot(DIED);
    assert_eq!(snapshot.node(&1).unwrap().claim(), Claim::unconfirmed(4));
    assert_eq!(snapshot.tombstone(&1).unwrap().claim(), Claim::dead(4));
    let _ = tracker.confirm(&1, 5, DIED);
    let snapshot = tracker.snapshot(DIED);
    assert_eq!(
        (snapshot.nodes().len(), snapshot.tombstones().len()),
        (1, 0)
    );
}

#[test]
fn the_local_node_has_a_row_at_its_own_incarnation() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .local_node(5)
        .local_incarnation(3)
        .build()
        .unwrap();
    let _ = tracker.update(&9, Claim::alive(1), DIED);
    let mine = |incarnation| record(5, Claim::alive(incarnation), Duration::ZERO);
    assert_eq!(tracker.snapshot(DIED).nodes()[0], mine(3));
    tracker.local().refute(7).unwrap();
    assert_eq!(tracker.snapshot(DIED).node(&5), Some(&mine(8)));
    assert_eq!(
        tracker.len(),
        1,
        "and is no entry of the table all the same"
    );
}

#[test]
fn a_snapshot_made_by_hand_is_sorted_and_checked() {
    let row = |node, claim| record(node, claim, SECOND);
    let alive = Claim::alive(1);
    let snapshot = Snapshot::new(
        vec![row(2, alive), row(1, alive)],
        vec![row(3, Claim::dead(1)), row(2, Claim::dead(0))],
    );
    let snapshot = snapshot.unwrap();
    assert_eq!(*snapshot.nodes()[0].node(), 1);
    // The tombstone of 2 lies below its row, and says nothing.
    assert_eq!(snapshot.tombstones(), [row(3, Claim::dead(1))]);
    assert_eq!(
        Snapshot::new(vec![row(1, alive), row(1, alive)], Vec::new()),
        Err(SnapshotError::Twice)
    );
    let dead = row(1, Claim::dead(1));
    assert_eq!(
        Snapshot::new(Vec::new(), vec![dead.clone(), dead]),
        Err(SnapshotError::Twice)
    );
    assert_eq!(
        Snapshot::new(Vec::new(), vec![row(1, Claim::suspect(1))]),
        Err(SnapshotError::TombstoneOfRunningNode {
            status: Status::Suspect
        })
    );
    let above_all = Incarnation::MAX.saturating_add(1);
    assert_eq!(Record::new(1, Claim::dead(above_all), SECOND), None);
}

/// A tracker with node 1 alive, in the first place of the table, and node 2 dead.
fn gated(sync_point: &SyncPoint) -> (IncarnationTracker<GatedKey>, [GatedKey; 2]) {
    let tracker = IncarnationTracker::builder().max_nodes(8).build().unwrap();
    let nodes = [sync_point.key(1), sync_point.key(2)];
    let _ = tracker.update(&nodes[0], Claim::alive(1), DIED);
    let _ = tracker.update(&nodes[1], Claim::dead(5), DIED);
    (tracker, nodes)
}

#[test]
fn a_node_evicted_behind_the_scan_is_found_among_the_tombstones() {
    let sync_point = SyncPoint::default();
    let (tracker, nodes) = gated(&sync_point);
    sync_point.shut();
    let snapshot = thread::scope(|scope| {
        let walker = scope.spawn(|| tracker.snapshot(DIED));
        sync_point.wait_for_thread();
        assert!(tracker.remove(&nodes[1], DIED).is_some());
        sync_point.open();
        walker.join().unwrap()
    });
    assert_eq!(snapshot.node(&nodes[1]), None);
    let tombstone = snapshot
        .tombstone(&nodes[1])
        .expect("it was buried before it left");
    assert_eq!(tombstone.claim(), Claim::dead(5));
}

#[test]
fn a_node_that_dies_and_is_evicted_behind_the_scan_is_not_alive_in_the_snapshot() {
    let sync_point = SyncPoint::default();
    let (tracker, nodes) = gated(&sync_point);
    sync_point.shut();
    let snapshot = thread::scope(|scope| {
        let walker = scope.spawn(|| tracker.snapshot(DIED));
        // It has read that the node lives.
        sync_point.wait_for_thread();
        let _ = tracker.update(&nodes[0], Claim::dead(1), DIED);
        assert!(tracker.remove(&nodes[0], DIED).is_some());
        sync_point.open();
        walker.join().unwrap()
    });
    assert_eq!(snapshot.node(&nodes[0]), None);
    let tombstone = snapshot.tombstone(&nodes[0]).expect("it was buried");
    assert_eq!(tombstone.claim(), Claim::dead(1));
}

#[test]
fn a_node_that_comes_back_behind_the_scan_is_found_by_the_second_look() {
    let sync_point = SyncPoint::default();
    let (tracker, nodes) = gated(&sync_point);
    assert!(tracker.remove(&nodes[1], DIED).is_some());
    // Its place is taken, so that it comes back in one the walker did not set out to look at.
    let _ = tracker.update(&sync_point.key(3), Claim::alive(1), DIED);
    sync_point.shut();
    let snapshot = thread::scope(|scope| {
        let walker = scope.spawn(|| tracker.snapshot(DIED));
        sync_point.wait_for_thread();
        assert!(tracker.rejoin(&nodes[1], 10, DIED).accepted());
        sync_point.open();
        walker.join().unwrap()
    });
    let row = snapshot.node(&nodes[1]).expect("it was never unknown");
    assert_eq!(row.claim(), Claim::alive(10));
}

#[test]
fn a_node_that_comes_and_goes_behind_the_scan_is_found_too() {
    let sync_point = SyncPoint::default();
    let (tracker, nodes) = gated(&sync_point);
    assert!(tracker.remove(&nodes[1], DIED).is_some());
    sync_point.shut();
    let snapshot = thread::scope(|scope| {
        let walker = scope.spawn(|| tracker.snapshot(DIED));
        sync_point.wait_for_thread();
        assert!(tracker.rejoin(&nodes[1], 10, DIED).accepted());
        // On to the second walk: there is no tombstone to copy on the way.
        sync_point.shut();
        sync_point.wait_for_thread();
        let _ = tracker.update(&nodes[1], Claim::dead(10), DIED);
        assert!(tracker.remove(&nodes[1], DIED).is_some());
        sync_point.open();
        walker.join().unwrap()
    });
    let seen = snapshot.node(&nodes[1]).or(snapshot.tombstone(&nodes[1]));
    let seen = seen.expect("it was never unknown and not buried");
    assert_eq!(seen.incarnation().get(), 10);
}

/// Status and incarnation as one number that rises as packed states do.
fn rank(claim: Claim) -> u64 {
    claim.incarnation().get() * 8 + u64::from(claim.status().rank())
}

/// The highest of row and tombstone.
fn knowledge(snapshot: &Snapshot<u32>) -> BTreeMap<u32, u64> {
    let mut known = BTreeMap::new();
    for record in snapshot.nodes().iter().chain(snapshot.tombstones()) {
        let highest: &mut u64 = known.entry(*record.node()).or_default();
        *highest = (*highest).max(rank(record.claim()));
    }
    known
}

#[test]
fn no_snapshot_misses_a_node_that_leaves_and_comes_back_once_while_it_is_taken() {
    const NODES: u32 = 300;
    const ROUNDS: u64 = 400;
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_nodes(1_000)
        .build()
        .unwrap();
    let at_least: Vec<AtomicU64> = (0..NODES).map(|_| AtomicU64::new(0)).collect();
    let say = |node: u32, claim: Claim| {
        assert!(
            tracker.update(&node, claim, DIED).accepted(),
            "{node}: {claim}"
        );
        at_least[node as usize].store(rank(claim), Ordering::Release);
    };
    let bury = |node: u32, incarnation| {
        say(node, Claim::dead(incarnation));
        assert!(tracker.remove(&node, DIED).is_some());
    };
    for node in 0..NODES {
        say(node, Claim::alive(1));
        if node % 2 == 1 {
            bury(node, 1);
        }
    }
    let (start, rounds) = mpsc::channel();
    let (finished, done) = mpsc::channel();
    thread::scope(|scope| {
        // Even nodes leave and come back, odd ones come back and leave.
        scope.spawn(|| {
            let finished = finished;
            for round in rounds {
                for node in 0..NODES {
                    if node % 2 == 0 {
                        bury(node, round);
                    }
                    say(node, Claim::alive(round + 1));
                    if node % 2 == 1 {
                        bury(node, round + 1);
                    }
                }
                finished.send(()).unwrap();
            }
        });
        // Dropped in the end, or by a panic, and then the other thread stops.
        let start = start;
        for round in 1..=ROUNDS {
            start.send(round).unwrap();
            let before: Vec<u64> = at_least
                .iter()
                .map(|rank| rank.load(Ordering::Acquire))
                .collect();
            let known = knowledge(&tracker.snapshot(DIED));
            for (node, before) in (0..).zip(before) {
                let seen = known.get(&node).copied();
                assert!(seen >= Some(before), "{node}: {seen:?} after {before}");
            }
            done.recv().unwrap();
        }
    });
}
