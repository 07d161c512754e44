//! What merging promises: no node goes back, twice is once, and any order ends in the same
//! knowledge; what a delta leaves out would have changed nothing.

use std::time::Duration;

use incarnation::{
    Claim, Incarnation, IncarnationTracker, MergeReport, Record, Snapshot, Status, Timestamp,
};
use proptest::collection::vec;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const NODES: u8 = 4;

/// How a table came to be what it is.
#[derive(Clone, Debug)]
enum Event {
    Claim(u8, Claim),
    AddUnconfirmed(u8),
    Confirm(u8, u64),
    /// Dead and Left ones are tombstones_written.
    Remove(u8),
    Forget(u8),
}

type Tracker = IncarnationTracker<u8>;

fn tracker_of(events: &[Event]) -> Tracker {
    let tracker = Tracker::builder().build().unwrap();
    for (event, at) in events.iter().zip(0..) {
        let now = Timestamp::from_millis(at);
        match event {
            Event::Claim(node, claim) => {
                let _ = tracker.update(node, *claim, now);
            }
            Event::AddUnconfirmed(node) => {
                let _ = tracker.add_unconfirmed(node, now);
            }
            Event::Confirm(node, incarnation) => {
                let _ = tracker.confirm(node, *incarnation, now);
            }
            Event::Remove(node) => {
                tracker.remove(node, now);
            }
            Event::Forget(node) => {
                tracker.forget(node);
            }
        }
    }
    tracker
}

/// Any history; or, if `confirmed`, one in which no node was ever Unconfirmed.
fn history(confirmed: bool) -> impl Strategy<Value = Vec<Event>> {
    let statuses = &Status::ALL[usize::from(confirmed)..];
    let claim = (0..NODES, proptest::sample::select(statuses), 0..4_u64).prop_map(
        |(node, status, incarnation)| Event::Claim(node, Claim::new(status, incarnation)),
    );
    let introduce = if confirmed { 0 } else { 2 };
    let event = prop_oneof![
        8 => claim,
        introduce => (0..NODES).prop_map(Event::AddUnconfirmed),
        1 => (0..NODES, 0..4_u64).prop_map(|(node, own)| Event::Confirm(node, own)),
        4 => (0..NODES).prop_map(Event::Remove),
        1 => (0..NODES).prop_map(Event::Forget),
    ];
    vec(event, 0..24)
}

fn snapshot_of(events: &[Event]) -> Snapshot<u8> {
    tracker_of(events).snapshot(NOW)
}

/// Row and tombstone of each node, as numbers that rise as packed states do; 0 if there is none.
fn packed_states(tracker: &Tracker) -> Vec<(u64, u64)> {
    let snapshot = tracker.snapshot(NOW);
    let rank = |record: Option<&Record<u8>>| {
        record.map_or(0, |record| {
            record.incarnation().get() * 8 + u64::from(record.status().rank())
        })
    };
    (0..NODES)
        .map(|node| (rank(snapshot.node(&node)), rank(snapshot.tombstone(&node))))
        .collect()
}

/// The highest that is known of each node, of row and tombstone together.
fn knowledge(tracker: &Tracker) -> Vec<u64> {
    packed_states(tracker)
        .into_iter()
        .map(|(state, tombstone)| state.max(tombstone))
        .collect()
}

fn merge_all(tracker: &Tracker, snapshots: &[Snapshot<u8>]) {
    for snapshot in snapshots {
        let _ = tracker.merge(snapshot, NOW);
    }
}

/// What is known of the nodes that are not dead.
fn living(tracker: &Tracker) -> Vec<Option<Claim>> {
    (0..NODES)
        .map(|node| tracker.get(&node).map(|state| state.claim()))
        .map(|claim| claim.filter(|claim| !claim.status().is_gone()))
        .collect()
}

fn rows_of(report: MergeReport) -> usize {
    let MergeReport {
        joined,
        applied,
        tombstones_written,
        unchanged,
        skipped,
        rejections,
        ..
    } = report;
    joined + applied + tombstones_written + unchanged + skipped + rejections.total() as usize
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tracker_s_own_snapshot_changes_nothing(ours in history(false)) {
        let ours = tracker_of(&ours);
        let before = ours.snapshot(NOW);
        let report = ours.merge(&before, NOW);
        prop_assert!(!report.is_change(), "{report:?}");
        prop_assert_eq!(ours.snapshot(NOW), before);
    }

    #[test]
    fn merging_twice_is_merging_once(ours in history(false), theirs in history(false)) {
        let (ours, theirs) = (tracker_of(&ours), snapshot_of(&theirs));
        let report = ours.merge(&theirs, NOW);
        prop_assert_eq!(rows_of(report), theirs.nodes().len() + theirs.tombstones().len());
        let once = ours.snapshot(NOW);
        let report = ours.merge(&theirs, NOW);
        prop_assert!(!report.is_change(), "{report:?}");
        prop_assert_eq!(ours.snapshot(NOW), once);
    }

    #[test]
    fn a_merge_moves_no_node_back_and_raises_none_below_its_tombstone(
        ours in history(false),
        theirs in history(false),
    ) {
        let (ours, theirs) = (tracker_of(&ours), snapshot_of(&theirs));
        let before = packed_states(&ours);
        let _ = ours.merge(&theirs, NOW);
        for ((state, tombstone), (state_before, tombstone_before)) in packed_states(&ours).into_iter().zip(before) {
            prop_assert!(state >= state_before);
            prop_assert!(tombstone >= tombstone_before || state >= tombstone_before);
            if state_before == 0 && state > 0 {
                // By incarnation, not by status.
                prop_assert!(tombstone_before == 0 || state / 8 > tombstone_before / 8);
            }
        }
    }

    #[test]
    fn any_order_of_snapshots_ends_in_the_highest_state_of_each_node(
        ours in history(true),
        (theirs, shuffled) in vec(history(true), 0..4).prop_flat_map(|theirs| {
            let theirs: Vec<_> = theirs.iter().map(|events| snapshot_of(events)).collect();
            (Just(theirs.clone()), Just(theirs).prop_shuffle())
        }),
    ) {
        let mut highest = knowledge(&tracker_of(&ours));
        for snapshot in &theirs {
            let alone = Tracker::builder().build().unwrap();
            let _ = alone.merge(snapshot, NOW);
            for (highest, theirs) in highest.iter_mut().zip(knowledge(&alone)) {
                *highest = theirs.max(*highest);
            }
        }
        let (one, other) = (tracker_of(&ours), tracker_of(&ours));
        merge_all(&one, &theirs);
        merge_all(&other, &shuffled);
        prop_assert_eq!(knowledge(&one), highest);
        prop_assert_eq!(knowledge(&one), knowledge(&other));
        prop_assert_eq!(living(&one), living(&other));
    }

    #[test]
    fn merging_a_delta_does_what_merging_the_whole_would(
        ours in history(false),
        theirs in history(false),
    ) {
        let theirs = snapshot_of(&theirs);
        let (by_whole, by_delta) = (tracker_of(&ours), tracker_of(&ours));
        let _ = by_whole.merge(&theirs, NOW);
        let _ = by_delta.merge(&theirs.delta(&by_delta.digest(NOW)), NOW);
        prop_assert_eq!(by_delta.snapshot(NOW), by_whole.snapshot(NOW));
    }

    #[test]
    fn each_row_of_a_delta_tells_something(ours in history(true), theirs in history(true)) {
        let (ours, theirs) = (tracker_of(&ours), tracker_of(&theirs));
        let delta = theirs.delta(&ours.digest(NOW), NOW);
        let report = ours.merge(&delta, NOW);
        let told = report.joined + report.applied + report.tombstones_written;
        prop_assert_eq!(told, delta.nodes().len() + delta.tombstones().len(), "{:?}", report);
        prop_assert!(theirs.delta(&ours.digest(NOW), NOW).is_empty());
    }

    #[test]
    fn after_push_and_pull_both_sides_know_the_same(ours in history(true), theirs in history(true)) {
        let (ours, theirs) = (tracker_of(&ours), tracker_of(&theirs));
        let asked = ours.digest(NOW);
        let (answer, digest) = (theirs.delta(&asked, NOW), theirs.digest(NOW));
        let _ = ours.merge(&answer, NOW);
        let _ = theirs.merge(&ours.delta(&digest, NOW), NOW);
        prop_assert_eq!(knowledge(&ours), knowledge(&theirs));
        prop_assert_eq!(living(&ours), living(&theirs));
    }
}

fn rows(nodes: &[(u8, Claim)], tombstones: &[(u8, Claim)]) -> Snapshot<u8> {
    let records = |rows: &[(u8, Claim)]| {
        rows.iter()
            .map(|(node, claim)| Record::new(*node, *claim, SECOND * 10).unwrap())
            .collect()
    };
    Snapshot::new(records(nodes), records(tombstones)).unwrap()
}

#[test]
fn where_nodes_are_unconfirmed_the_order_may_matter() {
    let (heard_of, suspected) = (
        rows(&[(0, Claim::unconfirmed(2))], &[]),
        rows(&[(0, Claim::suspect(2))], &[]),
    );
    let (one, other) = (tracker_of(&[]), tracker_of(&[]));
    merge_all(&one, &[heard_of.clone(), suspected.clone()]);
    merge_all(&other, &[suspected, heard_of]);
    assert_eq!(one.get(&0).unwrap().claim(), Claim::unconfirmed(2));
    assert_eq!(other.get(&0).unwrap().claim(), Claim::suspect(2));
}

#[test]
fn a_merged_tombstone_ends_a_lower_lifetime_and_is_written_where_the_node_is_unknown() {
    let tracker = tracker_of(&[
        Event::Claim(0, Claim::alive(3)),
        Event::Claim(1, Claim::alive(6)),
    ]);
    let death = Claim::dead(5);
    let report = tracker.merge(&rows(&[], &[(0, death), (1, death), (2, death)]), NOW);
    assert_eq!(
        (report.applied, report.unchanged, report.tombstones_written),
        (1, 1, 1)
    );
    assert_eq!(tracker.get(&0).unwrap().claim(), death);
    assert_eq!(tracker.get(&1).unwrap().claim(), Claim::alive(6));
    assert_eq!((tracker.get(&2), tracker.tombstones()), (None, 1));
    assert!(!tracker.update(&2, Claim::alive(5), NOW).accepted());
    assert!(tracker.update(&2, Claim::alive(6), NOW).accepted());
}

#[test]
fn a_merge_is_trusted_and_still_raises_no_node_with_a_tombstone_here() {
    let tracker = tracker_of(&[Event::Claim(0, Claim::dead(5)), Event::Remove(0)]);
    for claim in [Claim::alive(5), Claim::suspect(5), Claim::unconfirmed(4)] {
        let report = tracker.merge(&rows(&[(0, claim)], &[]), NOW);
        assert_eq!(
            (report.rejections.tombstone, report.is_change()),
            (1, false)
        );
    }
    // Its death once more, and its departure: the tombstone takes the maximum.
    let report = tracker.merge(&rows(&[(0, Claim::dead(4))], &[]), NOW);
    assert_eq!((report.unchanged, report.is_change()), (1, false));
    let report = tracker.merge(&rows(&[(0, Claim::left(5))], &[]), NOW);
    assert_eq!((report.tombstones_written, tracker.len()), (1, 0));
    let tombstone = tracker.snapshot(NOW).tombstone(&0).unwrap().claim();
    assert_eq!(tombstone, Claim::left(5));
    let report = tracker.merge(&rows(&[(0, Claim::alive(6))], &[]), NOW);
    assert_eq!((report.joined, tracker.tombstones()), (1, 0));
}

#[test]
fn merged_last_updates_are_now_minus_the_age_and_never_fall() {
    let tracker = tracker_of(&[]);
    let old = rows(&[(0, Claim::alive(1))], &[(1, Claim::dead(1))]);
    let _ = tracker.merge(&old, NOW);
    assert_eq!(tracker.get(&0).unwrap().last_update.as_millis(), 990_000);
    assert_eq!(
        tracker.snapshot(NOW).tombstone(&1).unwrap().age(),
        SECOND * 10
    );
    let _ = tracker.update(&0, Claim::alive(2), NOW);
    let _ = tracker.merge(&rows(&[(0, Claim::suspect(2))], &[]), NOW);
    let state = tracker.get(&0).unwrap();
    assert_eq!((state.claim(), state.last_update), (Claim::suspect(2), NOW));
    // Nothing lies before the origin of a clock.
    let young = tracker_of(&[]);
    let _ = young.merge(&old, Timestamp::from_millis(3));
    assert_eq!(young.get(&0).unwrap().last_update, Timestamp::ZERO);
}

#[test]
fn tombstones_whose_time_is_over_are_not_kept_and_do_not_refuse() {
    let tracker: Tracker = Tracker::builder()
        .tombstone_retention(SECOND * 9)
        .zombie_window(SECOND * 9)
        .build()
        .unwrap();
    let report = tracker.merge(&rows(&[], &[(0, Claim::dead(5))]), NOW);
    assert_eq!((report.skipped, tracker.tombstones()), (1, 0));
    // One that was dug here, and is over by now, though not by the time the row speaks of.
    let long_ago = Timestamp::from_millis(989_000);
    let _ = tracker.update(&0, Claim::dead(5), long_ago);
    tracker.remove(&0, long_ago);
    let report = tracker.merge(&rows(&[(0, Claim::alive(1))], &[]), NOW);
    assert_eq!((report.joined, tracker.tombstones()), (1, 0));
}

#[test]
fn a_table_that_keeps_no_tombstones_takes_none() {
    let tracker: Tracker = Tracker::builder().max_tombstones(0).build().unwrap();
    let report = tracker.merge(&rows(&[], &[(0, Claim::dead(5))]), NOW);
    assert_eq!((report.skipped, report.is_change()), (1, false));
}

#[test]
fn what_is_out_of_range_is_refused_as_a_row_and_as_a_tombstone() {
    let tracker: Tracker = Tracker::builder().max_incarnation(100).build().unwrap();
    let nodes = [
        (0, Claim::alive(101)),
        (1, Claim::alive(100)),
        (2, Claim::dead(100)),
    ];
    let tombstones = [
        (3, Claim::dead(101)),
        (4, Claim::dead(100)),
        (5, Claim::dead(99)),
    ];
    let report = tracker.merge(&rows(&nodes, &tombstones), NOW);
    let refused = report.rejections;
    assert_eq!((refused.out_of_range, refused.unrefutable), (2, 2));
    assert_eq!(
        (
            report.joined,
            report.tombstones_written,
            tracker.tombstones()
        ),
        (1, 1, 1)
    );
}

#[test]
fn no_jump_is_suspicious_in_a_merge_and_limits_on_live_nodes_hold() {
    let tracker: Tracker = Tracker::builder()
        .max_nodes(2)
        .hard_limit(3)
        .max_incarnation_jump(10)
        .build()
        .unwrap();
    let _ = tracker.update(&0, Claim::alive(1), NOW);
    let nodes: Vec<_> = (0..10).map(|node| (node, Claim::alive(1_000))).collect();
    let report = tracker.merge(&rows(&nodes, &[]), NOW);
    assert_eq!((report.applied, report.joined), (1, 2));
    assert_eq!((report.rejections.at_capacity, tracker.len()), (7, 3));
}

#[test]
fn what_is_said_of_the_local_node_comes_back_to_be_refuted() {
    let tracker: Tracker = Tracker::builder()
        .local_node(1)
        .local_incarnation(4)
        .build()
        .unwrap();
    for (nodes, tombstones) in [
        (&[(1, Claim::alive(4))][..], &[][..]),
        (&[(1, Claim::left(3))], &[]),
        (&[], &[(1, Claim::dead(3))]),
    ] {
        let report = tracker.merge(&rows(nodes, tombstones), NOW);
        assert_eq!(report.about_self, None, "outranked already");
    }
    let accusations = rows(&[(1, Claim::suspect(4))], &[(1, Claim::dead(6))]);
    let report = tracker.merge(&accusations, NOW);
    assert_eq!(report.about_self, Some(Claim::dead(6)), "the highest");
    assert_eq!(
        (tracker.len(), tracker.tombstones(), report.is_change()),
        (0, 0, false)
    );
    let accused = report.about_self.unwrap().incarnation();
    assert_eq!(tracker.local().refute(accused), Ok(Incarnation::new(7)));
    assert_eq!(tracker.merge(&accusations, NOW).about_self, None);
}

#[test]
fn a_node_hears_by_push_and_pull_that_it_is_suspected_and_the_others_that_it_is_not() {
    let (me, peer) = (
        Tracker::builder().local_node(1).build().unwrap(),
        Tracker::builder().local_node(2).build().unwrap(),
    );
    let _ = peer.update(&1, Claim::suspect(0), NOW);
    let delta = peer.delta(&me.digest(NOW), NOW);
    let accused = me.merge(&delta, NOW).about_self.expect("an accusation");
    assert_eq!(accused, Claim::suspect(0));
    let _ = me.local().refute(accused.incarnation()).unwrap();
    let _ = peer.merge(&me.delta(&peer.digest(NOW), NOW), NOW);
    assert_eq!(peer.get(&1).unwrap().claim(), Claim::alive(1));
    assert_eq!(me.get(&2).unwrap().claim(), Claim::alive(0));
}

#[test]
fn subscribers_hear_of_what_a_merge_changed() {
    let tracker = tracker_of(&[]);
    let mut subscriber = tracker.subscribe();
    subscriber.drain(|_, _| {});
    let _ = tracker.merge(
        &rows(&[(0, Claim::alive(1)), (1, Claim::dead(2))], &[]),
        NOW,
    );
    let mut heard = 0;
    subscriber.drain(|_, _| heard += 1);
    assert_eq!(heard, 2);
}

#[test]
fn old_gossip_never_gets_past_tombstones_that_are_being_merged() {
    use incarnation_testkit::start_together::meanwhile;

    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build().unwrap();
    let tombstones = (0..500)
        .map(|node| Record::new(node, Claim::dead(5), SECOND).unwrap())
        .collect();
    let tombstones = Snapshot::new(Vec::new(), tombstones).unwrap();
    let gossip = || {
        for node in 0..500 {
            let _ = tracker.update(&node, Claim::alive(3), NOW);
        }
    };
    meanwhile(&[&gossip, &gossip], || {
        for _ in 0..20 {
            let _ = tracker.merge(&tombstones, NOW);
        }
    });
    // Whoever slipped in beside its tombstone is ended by the next merge; nobody gets past it.
    let _ = tracker.merge(&tombstones, NOW);
    for node in 0..500 {
        let state = tracker.get(&node);
        assert!(
            state.is_none_or(|state| state.status == Status::Dead),
            "{node}: {state:?}"
        );
        assert!(!tracker.update(&node, Claim::alive(5), NOW).accepted());
    }
}

#[test]
fn an_untrusted_snapshot_introduces_nodes_and_confirms_none() {
    let snapshot = rows(
        &[
            (0, Claim::alive(5)),
            (1, Claim::dead(5)),
            (2, Claim::alive(5_000)),
            (3, Claim::suspect(5)),
        ],
        &[
            (3, Claim::dead(4)),
            (4, Claim::dead(5)),
            (5, Claim::left(9)),
        ],
    );
    let tracker: Tracker = Tracker::builder().build().unwrap();
    for known in [2, 3, 4] {
        let _ = tracker.confirm(&known, 5, Timestamp::ZERO);
    }
    let report = tracker.hear_snapshot(&snapshot, NOW);
    assert_eq!((report.joined, report.applied), (1, 2));
    assert_eq!(report.rejections.unknown_node, 2, "nodes 1 and 5");
    assert_eq!(report.rejections.suspicious_jump, 1, "node 2");
    assert_eq!((tracker.len(), tracker.tombstones()), (4, 0));
    let claim = |node| tracker.get(&node).map(|state| state.claim());
    assert_eq!(claim(0), Some(Claim::unconfirmed(0)));
    assert_eq!(claim(3), Some(Claim::suspect(5)));
    assert_eq!(
        claim(4),
        Some(Claim::dead(5)),
        "its tombstone there ends it"
    );
    let again = tracker.hear_snapshot(&snapshot, NOW);
    assert!(!again.is_change(), "{again:?}");
}

#[test]
fn an_untrusted_snapshot_can_not_shorten_the_time_to_refute_and_keeps_the_age_of_deaths() {
    let hour = SECOND * 3600;
    let row = |node, claim| Record::new(node, claim, hour).unwrap();
    let nodes = vec![row(0, Claim::suspect(5)), row(1, Claim::dead(5))];
    let snapshot = Snapshot::new(nodes, Vec::new()).unwrap();
    let now = Timestamp::ZERO + hour * 2;
    let tracker: Tracker = Tracker::builder().build().unwrap();
    for known in [0, 1] {
        let _ = tracker.confirm(&known, 5, Timestamp::ZERO);
    }
    let _ = tracker.hear_snapshot(&snapshot, now);
    let last_update = |node| tracker.get(&node).unwrap().last_update;
    assert_eq!(last_update(0), now);
    assert_eq!(last_update(1), Timestamp::ZERO + hour);
}
