//! Coming back after a death: within the zombie window only with a raised incarnation, whether the
//! death is an entry or a tombstone; `Left` nodes at once. And what is required can be asked for.

use std::time::Duration;

use incarnation::{Claim, Incarnation, IncarnationTracker, Rejection, Status, Timestamp, Verdict};

const DIED: Timestamp = Timestamp::from_millis(5_000);
const WINDOW: Duration = Duration::from_secs(60);
const BUMP: u64 = 5;
const DEATH: u64 = 7;
const INSTANT: Duration = Duration::from_nanos(1);

fn tracker() -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .max_nodes(8)
        .zombie_window(WINDOW)
        .min_rejoin_bump(BUMP)
        .build()
        .unwrap()
}

/// Node 1 went in this way: still an entry, already a tombstone, and a tombstone of a node that is talked of again.
fn gone(claim: Claim) -> [IncarnationTracker<u32>; 3] {
    let all @ [_, tombstone, mentioned] = &[tracker(), tracker(), tracker()];
    for tracker in all {
        let _ = tracker.update(&1, claim, DIED);
    }
    for tracker in [tombstone, mentioned] {
        assert!(tracker.remove(&1, DIED).is_some());
    }
    assert_eq!(mentioned.add_unconfirmed(&1, DIED), Verdict::Joined);
    all.clone()
}

fn zombie(required: u64) -> Verdict {
    Verdict::Rejected(Rejection::Zombie {
        required: Incarnation::new(required),
    })
}

fn required(tracker: &IncarnationTracker<u32>, now: Timestamp) -> Option<u64> {
    tracker.required_incarnation(&1, now).map(Incarnation::get)
}

#[test]
fn the_zombie_window_ends_right_after_its_last_instant() {
    let (last, over) = (DIED + WINDOW, DIED + WINDOW + INSTANT);
    for now in [DIED, DIED + INSTANT, last] {
        for tracker in gone(Claim::dead(DEATH)) {
            for incarnation in [0, DEATH, DEATH + 1, DEATH + BUMP - 1] {
                let verdict = tracker.rejoin(&1, incarnation, now);
                assert_eq!(verdict, zombie(DEATH + BUMP), "{incarnation} at {now}");
            }
            assert_eq!(required(&tracker, now), Some(DEATH + BUMP));
            assert!(tracker.rejoin(&1, DEATH + BUMP, now).accepted());
        }
    }
    for tracker in gone(Claim::dead(DEATH)) {
        assert!(!tracker.rejoin(&1, DEATH, over).accepted());
        assert_eq!(required(&tracker, over), Some(DEATH + 1));
        assert!(tracker.rejoin(&1, DEATH + 1, over).accepted());
    }
}

#[test]
fn a_dead_entry_and_a_tombstone_admit_the_same_rejoins() {
    let [entry, tombstone, _] = gone(Claim::dead(DEATH));
    assert_eq!(
        entry.rejoin(&1, DEATH, DIED),
        tombstone.rejoin(&1, DEATH, DIED)
    );
    let previous = Claim::dead(DEATH);
    let back = DEATH + BUMP;
    let applied = Verdict::Applied { previous };
    assert_eq!(entry.rejoin(&1, back, DIED), applied);
    assert_eq!(tombstone.rejoin(&1, back, DIED), Verdict::Joined);
    for tracker in [entry, tombstone] {
        assert_eq!(tracker.get(&1).unwrap().claim(), Claim::alive(back));
        assert_eq!(tracker.tombstones(), 0);
    }
}

#[test]
fn the_zombie_window_begins_at_the_death_not_at_the_eviction() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::dead(DEATH), DIED);
    let removed = DIED + WINDOW;
    assert!(tracker.remove(&1, removed).is_some());
    assert_eq!(tracker.rejoin(&1, DEATH + 1, removed), zombie(12));
    assert!(tracker.rejoin(&1, DEATH + 1, removed + INSTANT).accepted());
}

#[test]
fn a_node_that_left_rejoins_at_once_with_any_higher_incarnation() {
    for tracker in gone(Claim::left(DEATH)) {
        assert!(!tracker.rejoin(&1, DEATH, DIED).accepted());
        assert_eq!(required(&tracker, DIED), Some(DEATH + 1));
        assert!(tracker.rejoin(&1, DEATH + 1, DIED).accepted());
        let state = tracker.get(&1).unwrap();
        assert_eq!(state.claim(), Claim::alive(DEATH + 1));
    }
}

#[test]
fn gossip_of_a_refutation_is_not_a_rejoin() {
    // A node that was declared Dead wrongly refutes it at the next incarnation, by ordinary gossip.
    for tracker in gone(Claim::dead(DEATH)) {
        let refutation = Claim::alive(DEATH + 1);
        assert!(tracker.update(&1, refutation, DIED).accepted());
    }
}

#[test]
fn a_rejoin_is_trusted_however_far_it_jumps() {
    for tracker in gone(Claim::dead(DEATH)) {
        let far = DEATH + 1_000_000;
        assert!(tracker.rejoin(&1, far, DIED).accepted());
        assert_eq!(tracker.get(&1).unwrap().incarnation.get(), far);
    }
}

#[test]
fn the_required_incarnation_is_never_above_the_maximum() {
    const MAX: u64 = 100;
    // How far below the maximum the node died, and what it then needs.
    for (below, needed) in [
        (6, Some(99)),
        (5, Some(100)),
        (4, Some(100)),
        (1, Some(100)),
    ] {
        let tracker = IncarnationTracker::builder()
            .max_incarnation(MAX)
            .max_incarnation_jump(BUMP)
            .min_rejoin_bump(BUMP)
            .build()
            .unwrap();
        let _ = tracker.update(&1, Claim::dead(MAX - below), DIED);
        for _ in 0..2 {
            assert_eq!(required(&tracker, DIED), needed, "{below} below");
            let too_low = needed.unwrap() - 1;
            assert_eq!(tracker.rejoin(&1, too_low, DIED), zombie(needed.unwrap()));
            // The same once it is buried.
            tracker.remove(&1, DIED);
        }
        assert!(tracker.rejoin(&1, needed.unwrap(), DIED).accepted());
        assert!(!tracker.rejoin(&1, MAX + 1, DIED).accepted());
    }
}

#[test]
fn asking_what_is_required_changes_nothing_and_names_the_lowest_that_is_accepted() {
    let full = IncarnationTracker::builder().max_nodes(1).hard_limit(1);
    let full = full.build().unwrap();
    let _ = full.update(&2, Claim::alive(1), DIED);
    assert_eq!(required(&full, DIED), None, "there is no room");

    let local = IncarnationTracker::builder().local_node(1).build().unwrap();
    assert_eq!(required(&local, DIED), None, "nobody else decides for it");

    let unknown = tracker();
    assert_eq!(required(&unknown, DIED), Some(0));
    assert_eq!((unknown.len(), unknown.tombstones()), (0, 0));

    for status in Status::ALL {
        for incarnation in [0, 1, DEATH] {
            for tracker in gone(Claim::new(status, incarnation)) {
                let before = (tracker.get(&1), tracker.len(), tracker.tombstones());
                let lowest = required(&tracker, DIED).unwrap();
                assert_eq!(
                    (tracker.get(&1), tracker.len(), tracker.tombstones()),
                    before
                );
                if let Some(below) = lowest.checked_sub(1) {
                    let verdict = tracker.rejoin(&1, below, DIED);
                    assert!(!verdict.accepted(), "{status} {incarnation}: {verdict}");
                }
                assert!(tracker.rejoin(&1, lowest, DIED).accepted());
            }
        }
    }
}

#[test]
fn a_death_at_the_maximum_cannot_be_claimed_so_no_node_is_shut_out() {
    const MAX: u64 = 100;
    let tracker = IncarnationTracker::builder()
        .max_incarnation(MAX)
        .build()
        .unwrap();
    let _ = tracker.update(&1, Claim::alive(MAX - 1), DIED);
    for status in [Status::Suspect, Status::Dead, Status::Left] {
        let verdict = tracker.update(&1, Claim::new(status, MAX), DIED);
        let unrefutable = Rejection::Unrefutable { max: MAX.into() };
        assert_eq!(verdict, Verdict::Rejected(unrefutable));
    }
    assert!(tracker.update(&1, Claim::dead(MAX - 1), DIED).accepted());
    assert_eq!(required(&tracker, DIED), Some(MAX));
    assert!(tracker.rejoin(&1, MAX, DIED).accepted());
}
