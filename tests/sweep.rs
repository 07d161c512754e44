//! What a sweep does to whom: the time rules with their strict edges, the order in which the least
//! valuable go, scopes and slices.

use std::time::Duration;

use incarnation::{
    Builder, Claim, IncarnationTracker, Reclaimer, Rejection, Status, SweepCursor, SweepReason,
    SweepReport, SweepScope, Timestamp, Verdict,
};

const BEGAN: Timestamp = Timestamp::from_millis(5_000);
const INSTANT: Duration = Duration::from_nanos(1);
const UNCONFIRMED: Duration = Duration::from_secs(10);
const SUSPECT: Duration = Duration::from_secs(20);
const DEAD: Duration = Duration::from_secs(30);
/// All of these are over by then.
const LONG_AFTER: Timestamp = Timestamp::from_millis(1_000_000);

fn builder() -> Builder<u32> {
    IncarnationTracker::builder()
        .max_nodes(100)
        .unconfirmed_timeout(UNCONFIRMED)
        .suspect_timeout(SUSPECT)
        .dead_retention(DEAD)
        // So that what other tests of this process pin delays nothing here.
        .reclaimer(Reclaimer::private())
}

fn tracker() -> IncarnationTracker<u32> {
    builder().build().unwrap()
}

/// One node of each status, named by its rank, all since `BEGAN`.
fn one_of_each(builder: Builder<u32>) -> IncarnationTracker<u32> {
    let tracker = builder.build().unwrap();
    for status in Status::ALL {
        let claim = Claim::new(status, 1);
        assert_eq!(
            tracker.update(&(status as u32), claim, BEGAN),
            Verdict::Joined
        );
    }
    tracker
}

fn status_of(tracker: &IncarnationTracker<u32>, node: Status) -> Option<Status> {
    tracker.get(&(node as u32)).map(|state| state.status)
}

/// What was handed to the callback, in order.
fn swept(
    tracker: &IncarnationTracker<u32>,
    scope: SweepScope,
    now: Timestamp,
) -> (SweepReport, Vec<(u32, Claim, SweepReason)>) {
    let mut told = Vec::new();
    let report = tracker.sweep_with(scope, now, |swept| {
        told.push((*swept.node, swept.last.claim(), swept.reason));
    });
    (report, told)
}

#[test]
fn each_timeout_ends_strictly_after_its_length() {
    let ends = [
        (
            Status::Unconfirmed,
            UNCONFIRMED,
            None,
            SweepReason::UnconfirmedExpired,
        ),
        (
            Status::Suspect,
            SUSPECT,
            Some(Status::Dead),
            SweepReason::SuspectExpired,
        ),
        (Status::Dead, DEAD, None, SweepReason::DeadRetention),
        (Status::Left, DEAD, None, SweepReason::DeadRetention),
    ];
    for (status, time, becomes, reason) in ends {
        let tracker = tracker();
        let claim = Claim::new(status, 1);
        let _ = tracker.update(&7, claim, BEGAN);
        for early in [BEGAN, BEGAN + time] {
            let (report, told) = swept(&tracker, SweepScope::Everything, early);
            assert_eq!((report, told), (SweepReport::default(), vec![]), "{status}");
        }
        let over = BEGAN + time + INSTANT;
        let (report, told) = swept(&tracker, SweepScope::Everything, over);
        assert_eq!(told, [(7, claim, reason)]);
        let mut expected = SweepReport::default();
        *match reason {
            SweepReason::UnconfirmedExpired => &mut expected.unconfirmed_expired,
            SweepReason::SuspectExpired => &mut expected.declared_dead,
            _ => &mut expected.dead_evicted,
        } += 1;
        assert_eq!(report, expected, "{status}");
        assert_eq!(tracker.get(&7).map(|state| state.status), becomes);
    }
}

#[test]
fn alive_nodes_never_expire() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::alive(1), BEGAN);
    let report = tracker.sweep(Timestamp::from_nanos(u64::MAX));
    assert_eq!(report, SweepReport::default());
    assert_eq!(tracker.get(&1).unwrap().last_update, BEGAN);
}

#[test]
fn timeouts_that_are_not_set_expire_nothing() {
    let tracker = one_of_each(builder().unconfirmed_timeout(None).suspect_timeout(None));
    let (report, _) = swept(&tracker, SweepScope::Everything, LONG_AFTER);
    assert_eq!((report.unconfirmed_expired, report.declared_dead), (0, 0));
    assert_eq!(report.dead_evicted, 2);
    for status in [Status::Unconfirmed, Status::Alive, Status::Suspect] {
        assert_eq!(status_of(&tracker, status), Some(status));
    }
}

#[test]
fn a_clock_that_lags_behind_a_last_update_ends_nothing() {
    let tracker = one_of_each(builder());
    assert_eq!(tracker.sweep(Timestamp::ZERO), SweepReport::default());
    assert_eq!(tracker.len(), Status::ALL.len());
}

#[test]
fn a_death_declared_by_the_sweep_dates_from_the_sweep() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::suspect(4), BEGAN);
    let declared = BEGAN + SUSPECT + INSTANT;
    assert_eq!(tracker.sweep(declared).declared_dead, 1);
    let state = tracker.get(&1).unwrap();
    assert_eq!(
        (state.claim(), state.last_update),
        (Claim::dead(4), declared)
    );
    assert_eq!(tracker.sweep(declared + DEAD).evicted(), 0);
    assert_eq!(tracker.sweep(declared + DEAD + INSTANT).dead_evicted, 1);
    assert_eq!(tracker.tombstones(), 1);
}

#[test]
fn a_node_is_not_declared_dead_and_evicted_in_one_sweep() {
    let tracker = one_of_each(builder().dead_retention(Duration::ZERO));
    let (report, told) = swept(&tracker, SweepScope::Everything, LONG_AFTER);
    assert_eq!((report.declared_dead, report.evicted()), (1, 3));
    assert_eq!(told.len(), 4);
    assert_eq!(status_of(&tracker, Status::Suspect), Some(Status::Dead));
}

#[test]
fn a_scope_limits_a_sweep() {
    // Too many by far, and all times over.
    let crowded = || {
        let builder = builder().max_nodes(1).hard_limit(10).evict_alive(true);
        let builder = builder.zombie_window(DEAD);
        one_of_each(builder.max_tombstones(10).tombstone_retention(DEAD))
    };
    let untouched = |tracker: &IncarnationTracker<u32>, statuses: &[Status]| {
        for status in statuses {
            assert_eq!(status_of(tracker, *status), Some(*status));
        }
    };
    use Status::{Alive, Dead, Left, Suspect, Unconfirmed};

    let tracker = crowded();
    let (report, _) = swept(&tracker, SweepScope::Dead, LONG_AFTER);
    assert_eq!((report.dead_evicted, report.evicted()), (2, 2));
    assert_eq!(report.declared_dead, 0);
    untouched(&tracker, &[Unconfirmed, Alive, Suspect]);

    let tracker = crowded();
    let (report, _) = swept(&tracker, SweepScope::Expiry, LONG_AFTER);
    assert_eq!((report.dead_evicted, report.unconfirmed_expired), (2, 1));
    assert_eq!((report.declared_dead, report.capacity_evicted), (1, 0));
    untouched(&tracker, &[Alive]);

    let tracker = crowded();
    let (report, told) = swept(&tracker, SweepScope::Capacity, LONG_AFTER);
    assert_eq!((report.capacity_evicted, report.evicted()), (4, 4));
    assert_eq!(report.declared_dead, 0);
    assert!(
        told.iter()
            .all(|(.., reason)| *reason == SweepReason::Capacity)
    );
    untouched(&tracker, &[Alive]);

    // Tombstones end with the time rules, not with the capacity's. By then theirs is over, too.
    let over = LONG_AFTER + DEAD * 2;
    for (scope, ended) in [
        (SweepScope::Capacity, 0),
        (SweepScope::Dead, 2),
        (SweepScope::Expiry, 2),
        (SweepScope::Everything, 2),
    ] {
        let tracker = one_of_each(builder().tombstone_retention(DEAD).zombie_window(DEAD));
        for gone in [Dead, Left] {
            assert!(tracker.remove(&(gone as u32), BEGAN).is_some());
        }
        assert_eq!(swept(&tracker, scope, over).0.tombstones_expired, ended);
    }
}

#[test]
fn expiry_comes_before_capacity() {
    // Two too many; time takes three, so there is nothing left to do for the capacity rule.
    let tracker = one_of_each(builder().max_nodes(3).hard_limit(10));
    let (report, _) = swept(&tracker, SweepScope::Everything, LONG_AFTER);
    assert_eq!((report.evicted(), report.capacity_evicted), (3, 0));
}

/// Nodes 0 to 99: twenty of each status, their last updates the older the higher their numbers.
fn hundred(builder: Builder<u32>) -> IncarnationTracker<u32> {
    let tracker = builder.hard_limit(100).build().unwrap();
    for node in 0..100 {
        let status = Status::ALL[node as usize % 5];
        let last_update = BEGAN + Duration::from_secs(1) * (100 - node);
        let _ = tracker.update(&node, Claim::new(status, 1), last_update);
    }
    tracker
}

/// The nodes of these statuses in the order in which capacity takes them: one class after the other.
fn oldest_first(classes: &[&[Status]]) -> Vec<u32> {
    let of_class = |class: &&[Status]| {
        let nodes = (0..100).rev();
        let class = class.to_vec();
        nodes.filter(move |node| class.contains(&Status::ALL[*node as usize % 5]))
    };
    classes.iter().flat_map(of_class).collect()
}

const ORDER: [&[Status]; 4] = [
    &[Status::Unconfirmed],
    &[Status::Dead, Status::Left],
    &[Status::Suspect],
    &[Status::Alive],
];

#[test]
fn capacity_takes_the_least_valuable_and_of_those_the_oldest() {
    let order = oldest_first(&ORDER);
    // How many stay; each limit ends in the middle of another class.
    for stay in [99, 90, 80, 70, 41, 30, 21, 15, 1] {
        let limits = builder()
            .max_nodes(stay)
            .eviction_headroom(0)
            .evict_alive(true);
        let tracker = hundred(limits);
        let (report, told) = swept(&tracker, SweepScope::Capacity, BEGAN);
        let told: Vec<u32> = told.into_iter().map(|(node, ..)| node).collect();
        assert_eq!(told, order[..100 - stay], "{stay} stay");
        assert_eq!((tracker.len(), report.capacity_evicted), (stay, 100 - stay));
        assert!(told.iter().all(|node| tracker.get(node).is_none()));
    }
}

#[test]
fn capacity_takes_running_nodes_only_with_evict_alive() {
    let tracker = hundred(builder().max_nodes(1));
    let (report, told) = swept(&tracker, SweepScope::Capacity, BEGAN);
    assert_eq!(report.capacity_evicted, 60);
    let told: Vec<u32> = told.into_iter().map(|(node, ..)| node).collect();
    assert_eq!(told, oldest_first(&ORDER[..2]));
    assert_eq!((tracker.counts().suspect, tracker.counts().alive), (20, 20));
    let again = swept(&tracker, SweepScope::Capacity, BEGAN).0;
    assert_eq!(again, SweepReport::default(), "nobody else may go");
}

/// A table of 100 that holds 103 running nodes, of which one is suspected a moment ago.
#[test]
fn a_suspicion_above_max_nodes_is_not_swept_away() {
    let tracker = builder().evict_alive(false).build().unwrap();
    for node in 0..103 {
        let _ = tracker.update(&node, Claim::alive(5), BEGAN);
    }
    let suspected = Claim::suspect(5);
    assert!(tracker.update(&0, suspected, BEGAN).accepted());
    let report = tracker.sweep(BEGAN + Duration::from_secs(1));
    assert_eq!(report.evicted(), 0, "every node runs");
    assert_eq!(
        tracker.update(&0, Claim::alive(4), BEGAN),
        Verdict::Stale { current: suspected }
    );
}

#[test]
fn a_full_table_whose_limits_are_equal_is_swept_for_room() {
    for headroom in [0, 1, 3] {
        let tracker: IncarnationTracker<u32> = builder()
            .max_nodes(10)
            .hard_limit(10)
            .eviction_headroom(headroom)
            .build()
            .unwrap();
        for node in 0..10 {
            let _ = tracker.add_unconfirmed(&node, BEGAN);
        }
        let full = Verdict::Rejected(Rejection::AtCapacity);
        assert_eq!(tracker.confirm(&10, 1, BEGAN), full);
        let report = tracker.sweep(BEGAN);
        assert_eq!(report.capacity_evicted, headroom.max(1));
        assert_eq!(tracker.confirm(&10, 1, BEGAN), Verdict::Joined);
        // With room again, nothing more is taken.
        tracker.remove(&9, BEGAN);
        assert_eq!(tracker.sweep(BEGAN).evicted(), 0);
    }
}

#[test]
fn capacity_goes_below_its_limit_by_the_headroom_and_only_once_above_it() {
    for (headroom, left) in [(0, 50), (1, 49), (20, 30), (50, 0), (1_000, 0)] {
        let limits = builder().max_nodes(50).evict_alive(true);
        let tracker = hundred(limits.eviction_headroom(headroom));
        let _ = swept(&tracker, SweepScope::Capacity, BEGAN);
        assert_eq!(tracker.len(), left, "headroom {headroom}");
        // At the limit is not above it.
        for node in 100..150 - left as u32 {
            let _ = tracker.update(&node, Claim::alive(1), BEGAN);
        }
        assert_eq!(tracker.len(), 50);
        assert_eq!(swept(&tracker, SweepScope::Capacity, BEGAN).0.evicted(), 0);
    }
    // By default 1 %.
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_nodes(200)
        .build()
        .unwrap();
    for node in 0..201 {
        let _ = tracker.add_unconfirmed(&node, BEGAN);
    }
    assert_eq!(swept(&tracker, SweepScope::Capacity, BEGAN).0.evicted(), 3);
}

#[test]
fn a_dead_node_evicted_for_room_leaves_a_tombstone() {
    let tracker = hundred(builder().max_nodes(1));
    let _ = swept(&tracker, SweepScope::Capacity, BEGAN);
    assert_eq!(tracker.tombstones(), 1, "max_tombstones is max_nodes");
    let tracker = hundred(builder().max_nodes(1).max_tombstones(100));
    let _ = swept(&tracker, SweepScope::Capacity, BEGAN);
    assert_eq!(tracker.tombstones(), 40);
}

#[test]
fn a_flood_of_invented_nodes_leaves_every_old_live_node_in_place() {
    const OLD: u32 = 100;
    const FLOOD: u32 = 50_000;
    // Twice as much room as there are nodes, and a sweep now and then.
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_nodes(200)
        .hard_limit(400)
        .build()
        .unwrap();
    for node in 0..OLD {
        let _ = tracker.update(&node, Claim::alive(3), BEGAN);
    }
    let mut refused = 0;
    for invented in OLD..OLD + FLOOD {
        // What costs nothing to invent, each newer than all that is known.
        let now = BEGAN + Duration::from_millis(invented.into());
        let claim = Claim::new(Status::ALL[invented as usize % 5], 1);
        refused += usize::from(!tracker.update(&invented, claim, now).accepted());
        if invented % 100 == 0 {
            let _ = tracker.sweep(now);
        }
    }
    assert!(refused > 0, "the flood was no flood");
    for node in 0..OLD {
        let state = tracker.get(&node).unwrap();
        assert_eq!((state.claim(), state.last_update), (Claim::alive(3), BEGAN));
    }
    assert!(tracker.len() <= 400 && tracker.tombstones() <= 200);
}

#[test]
fn expiry_in_slices_does_what_one_sweep_does() {
    for places in [1, 7, 20, 99, 100, 101, 100_000, usize::MAX] {
        let [whole, sliced] = [hundred(builder()), hundred(builder())];
        let (report, mut told) = swept(&whole, SweepScope::Expiry, LONG_AFTER);

        let mut cursor = SweepCursor::default();
        let mut told_in_slices = Vec::new();
        let (mut slices, mut done) = (0_usize, 0);
        loop {
            let report = sliced.sweep_slice(&mut cursor, places, LONG_AFTER, |swept| {
                told_in_slices.push((*swept.node, swept.last.claim(), swept.reason));
            });
            assert!(report.evicted() + report.declared_dead <= places);
            done += report.evicted() + report.declared_dead;
            slices += 1;
            if cursor.is_at_start() {
                break;
            }
        }
        assert_eq!(slices, 100_usize.div_ceil(places), "slices of {places}");
        assert_eq!(done, report.evicted() + report.declared_dead);
        told.sort_by_key(|(node, ..)| *node);
        told_in_slices.sort_by_key(|(node, ..)| *node);
        assert_eq!(told_in_slices, told);
        assert_eq!(sliced.counts(), whole.counts());
        assert_eq!(sliced.tombstones(), whole.tombstones());
    }
}

#[test]
fn slices_of_zero_nodes_still_reach_the_end() {
    let tracker = hundred(builder());
    let mut cursor = SweepCursor::default();
    let mut slices = 0;
    while slices == 0 || !cursor.is_at_start() {
        let _ = tracker.sweep_slice(&mut cursor, 0, LONG_AFTER, |_| {});
        slices += 1;
        assert!(slices <= 100);
    }
    assert_eq!(
        tracker.counts().total(),
        40,
        "the living and the newly dead"
    );
}

#[test]
fn a_full_sweep_of_many_slices_misses_no_node() {
    const NODES: u32 = 5_000;
    let tracker = builder()
        .max_nodes(NODES as usize)
        .dead_retention(DEAD)
        .build()
        .unwrap();
    for node in 0..NODES {
        let _ = tracker.update(&node, Claim::dead(1), BEGAN);
    }
    let (report, mut told) = swept(&tracker, SweepScope::Everything, LONG_AFTER);
    assert_eq!(report.dead_evicted, NODES as usize);
    told.sort_by_key(|(node, ..)| *node);
    let told: Vec<u32> = told.into_iter().map(|(node, ..)| node).collect();
    assert_eq!(told, (0..NODES).collect::<Vec<_>>());
    assert_eq!((tracker.len(), tracker.iter().count()), (0, 0));
    assert_eq!(tracker.tombstones(), NODES as usize);
}

const TWENTY_YEARS: Duration = Duration::from_secs(20 * 365 * 86_400);
const LEAD: Duration = Duration::from_secs(60);

/// One packet is stamped 20 years ahead; the clock is right again for all that follows.
#[test]
fn a_last_update_far_ahead_of_the_clock_is_brought_back_and_its_node_expires() {
    for scope in [SweepScope::Everything, SweepScope::Expiry, SweepScope::Dead] {
        let tracker = tracker();
        let _ = tracker.update(&1, Claim::dead(1), BEGAN + TWENTY_YEARS);
        let report = tracker.sweep_with(scope, BEGAN, |_| {});
        assert_eq!((report.clock_leads, report.evicted()), (1, 0));
        let brought_back = tracker.get(&1).unwrap().last_update;
        assert_eq!(brought_back, BEGAN + LEAD, "never below");
        let report = tracker.sweep_with(scope, BEGAN + LEAD + DEAD, |_| {});
        assert_eq!((report.clock_leads, report.evicted()), (0, 0));
        let over = BEGAN + LEAD + DEAD + INSTANT;
        assert_eq!(tracker.sweep_with(scope, over, |_| {}).dead_evicted, 1);
    }
}

#[test]
fn a_last_update_within_the_clock_lead_stays() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::alive(1), BEGAN + LEAD);
    assert_eq!(tracker.sweep(BEGAN).clock_leads, 0);
    assert_eq!(tracker.get(&1).unwrap().last_update, BEGAN + LEAD);
    let _ = tracker.update(&2, Claim::alive(1), BEGAN + LEAD + INSTANT);
    assert_eq!(tracker.sweep(BEGAN).clock_leads, 1);
    assert_eq!(tracker.get(&2).unwrap().last_update, BEGAN + LEAD);
}

#[test]
fn a_death_far_ahead_of_the_clock_is_brought_back_in_its_tombstone() {
    let tracker = tracker();
    let ahead = BEGAN + TWENTY_YEARS;
    let _ = tracker.update(&1, Claim::dead(1), ahead);
    assert!(tracker.remove(&1, ahead).is_some());
    assert_eq!(tracker.sweep(BEGAN).clock_leads, 1);
    assert_eq!(tracker.tombstone(&1).unwrap().last_update, BEGAN + LEAD);
    let day_later = BEGAN + LEAD + Duration::from_secs(86_400);
    assert_eq!(tracker.sweep(day_later).tombstones_expired, 0);
    assert_eq!(tracker.sweep(day_later + INSTANT).tombstones_expired, 1);
}

#[test]
fn without_a_limit_on_the_clock_lead_every_last_update_stays() {
    let tracker = builder().max_clock_lead(None).build().unwrap();
    let ahead = BEGAN + TWENTY_YEARS;
    let _ = tracker.update(&1, Claim::dead(1), ahead);
    assert_eq!(tracker.sweep(BEGAN).clock_leads, 0);
    assert_eq!(tracker.get(&1).unwrap().last_update, ahead);
}
