//! Tombstones by hand: `bury` records a death without entering the node, `tombstone` tells of it.

use incarnation::{BuryOutcome, Claim, IncarnationTracker, Rejection, Status, Timestamp, Verdict};

type Tracker = IncarnationTracker<u32>;

const NOW: Timestamp = Timestamp::from_nanos(1_000);
const LATER: Timestamp = Timestamp::from_nanos(2_000);

fn tracker() -> Tracker {
    IncarnationTracker::builder().build().unwrap()
}

fn death(tracker: &Tracker) -> Option<(Claim, Timestamp)> {
    let death = tracker.tombstone(&7)?;
    Some((death.claim(), death.last_update))
}

#[test]
fn burying_an_unknown_node_records_its_death_and_enters_nothing() {
    let tracker = tracker();
    assert_eq!(tracker.tombstone(&7), None);
    assert_eq!(tracker.bury(&7, 4, NOW), BuryOutcome::Recorded);
    assert_eq!(death(&tracker), Some((Claim::dead(4), NOW)));
    assert_eq!((tracker.len(), tracker.tombstones()), (0, 1));
    assert_eq!(tracker.stats().tombstones_written, 1);
    let refused = Verdict::Rejected(Rejection::Tombstone {
        incarnation: 4.into(),
    });
    assert_eq!(tracker.update(&7, Claim::alive(4), NOW), refused);
    assert_eq!(tracker.update(&7, Claim::alive(5), NOW), Verdict::Joined);
    assert_eq!(tracker.tombstone(&7), None, "it came back");
}

#[test]
fn burying_evicts_a_live_node_at_or_below_the_incarnation_whatever_its_status() {
    for status in Status::ALL {
        for incarnation in [0, 3, 4] {
            let tracker = tracker();
            let claim = Claim::new(status, incarnation);
            let _ = tracker.update(&7, claim, NOW);
            let BuryOutcome::Evicted(last) = tracker.bury(&7, 4, LATER) else {
                panic!("{claim} stays");
            };
            assert_eq!(last.claim(), claim);
            assert_eq!(tracker.get(&7), None);
            // A departure at the same incarnation outranks the death.
            let expected = Claim::new(status.max(Status::Dead), 4);
            let expected = if incarnation == 4 {
                expected
            } else {
                Claim::dead(4)
            };
            assert_eq!(death(&tracker), Some((expected, LATER)), "{claim}");
        }
    }
}

#[test]
fn burying_below_a_live_node_records_the_death_and_leaves_the_node() {
    let tracker = tracker();
    let _ = tracker.update(&7, Claim::alive(5), NOW);
    assert_eq!(tracker.bury(&7, 4, LATER), BuryOutcome::Recorded);
    assert_eq!(
        tracker.get(&7).map(|state| state.claim()),
        Some(Claim::alive(5))
    );
    assert_eq!(death(&tracker), Some((Claim::dead(4), LATER)));
}

#[test]
fn a_recorded_death_is_raised_and_never_lowered() {
    let tracker = tracker();
    assert_eq!(tracker.bury(&7, 4, NOW), BuryOutcome::Recorded);
    for lower in [0, 3, 4] {
        let again = tracker.bury(&7, lower, LATER);
        assert_eq!(again, BuryOutcome::AlreadyRecorded, "{lower}");
        assert_eq!(death(&tracker), Some((Claim::dead(4), NOW)));
    }
    assert_eq!(tracker.bury(&7, 5, LATER), BuryOutcome::Recorded);
    assert_eq!(death(&tracker), Some((Claim::dead(5), LATER)));
    assert_eq!(tracker.stats().tombstones_written, 2);
}

#[test]
fn a_death_is_not_recorded_where_its_node_could_never_come_back() {
    let tracker: Tracker = IncarnationTracker::builder()
        .max_incarnation(99)
        .local_node(1)
        .build()
        .unwrap();
    let unrefutable = Rejection::Unrefutable { max: 99.into() };
    assert_eq!(
        tracker.bury(&7, 99, NOW),
        BuryOutcome::Rejected(unrefutable)
    );
    let out = Rejection::OutOfRange {
        incarnation: 100.into(),
        max: 99.into(),
    };
    assert_eq!(tracker.bury(&7, 100, NOW), BuryOutcome::Rejected(out));
    assert_eq!(tracker.bury(&1, 5, NOW), BuryOutcome::AboutSelf);
    assert_eq!(tracker.tombstones(), 0);
}

#[test]
fn a_tracker_without_tombstones_records_no_death() {
    let tracker: Tracker = IncarnationTracker::builder()
        .max_tombstones(0)
        .build()
        .unwrap();
    let _ = tracker.update(&7, Claim::alive(3), NOW);
    assert_eq!(tracker.bury(&7, 4, NOW), BuryOutcome::NotKept);
    assert!(tracker.contains(&7));
}
