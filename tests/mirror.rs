//! A mirror shows what any engine lists or reports: the running member of each key, in incarnations that never fall,
//! and it tells of each change once.

use std::collections::{BTreeMap, BTreeSet};

use incarnation::Status::{self, Alive, Dead, Left, Suspect, Unconfirmed};
use incarnation::mirror::{self, Engine, Mirror, Observed};
use incarnation::{Claim, Incarnation, IncarnationTracker, NodeState, Slot, Timestamp};
use proptest::prelude::*;

type Member = (u8, Status, u64, bool);

const NOW: Timestamp = Timestamp::ZERO;

fn mirror(members: usize) -> Mirror<u8> {
    Mirror::new(mirror::builder(members).build().unwrap())
}

fn shown(mirror: &Mirror<u8>, key: u8) -> Option<(Status, u64)> {
    let state = mirror.tracker().get(&key)?;
    Some((state.status, state.incarnation.get()))
}

#[test]
fn judgements_that_go_up_and_down_at_one_number_are_each_shown() {
    let mut mirror = mirror(4);
    let expected = [
        (Alive, 0),
        (Suspect, 0),
        (Alive, 1),
        (Suspect, 1),
        (Dead, 1),
        (Alive, 2),
        (Left, 2),
        (Unconfirmed, 3),
        (Suspect, 4),
    ];
    for (status, incarnation) in expected {
        let _ = mirror.set((7, status, 42), NOW);
        assert_eq!(shown(&mirror, 7), Some((status, incarnation)));
        assert_eq!(mirror.number(&7), Some(42));
        let again = mirror.set((7, status, 42), NOW);
        assert_eq!(again, mirror::Reconciled::default());
    }
}

#[test]
fn numbers_are_compared_for_equality_only() {
    let mut mirror = mirror(4);
    for (at, number) in [9, 3, u64::MAX, 0].into_iter().enumerate() {
        let _ = mirror.reconcile([(1, Alive, number)], NOW);
        assert_eq!(shown(&mirror, 1), Some((Alive, at as u64)));
    }
}

#[test]
fn a_renewed_member_in_the_same_state_has_a_higher_incarnation() {
    let mut mirror = mirror(4);
    let _ = mirror.reconcile([(1, Alive, 5)], NOW);
    let report = mirror.reconcile([(1, Alive, 5, true)], NOW);
    assert_eq!((report.changed, shown(&mirror, 1)), (1, Some((Alive, 1))));
    let report = mirror.reconcile([(1, Alive, 5)], NOW);
    assert_eq!((report.changed, shown(&mirror, 1)), (0, Some((Alive, 1))));
}

#[test]
fn a_member_that_was_forgotten_begins_above_its_last_incarnation() {
    let mut mirror = mirror(4);
    for _ in 0..3 {
        let _ = mirror.set((1, Alive, 0), NOW);
        let _ = mirror.set((1, Dead, 1), NOW);
    }
    let last = mirror.forget(&1).unwrap();
    assert_eq!((mirror.tracker().len(), mirror.forget(&1)), (0, None));
    let _ = mirror.set((1, Unconfirmed, 0), NOW);
    assert!(mirror.tracker().get(&1).unwrap().incarnation > last.incarnation);
}

#[test]
fn a_running_member_takes_the_room_of_the_one_that_is_dead_for_longest() {
    let mut mirror = mirror(3);
    let at = Timestamp::from_millis;
    let _ = mirror.set((1, Dead, 0), at(20));
    let _ = mirror.set((2, Left, 0), at(10));
    let _ = mirror.set((3, Alive, 0), at(0));
    let report = mirror.set((4, Suspect, 0), at(30));
    assert_eq!((report.joined, report.left_out), (1, 1));
    assert_eq!(shown(&mirror, 2), None);
    let report = mirror.set((5, Unconfirmed, 0), at(30));
    assert_eq!((report.joined, report.left_out), (1, 1));
    assert_eq!(shown(&mirror, 1), None);
    // No running member is taken out, and no dead one takes anything.
    for status in [Alive, Dead] {
        let report = mirror.set((6, status, 0), at(40));
        assert_eq!((report.joined, report.left_out), (0, 1));
    }
    assert_eq!(mirror.tracker().len(), 3);
}

#[test]
fn a_dead_member_that_a_running_one_replaced_stays_out_and_wakes_no_subscriber() {
    let mut mirror = mirror(2);
    let mut subscriber = mirror.tracker().subscribe();
    let list = [(1, Dead, 0), (2, Dead, 0), (3, Alive, 0)];
    let _ = mirror.reconcile(list, NOW);
    subscriber.drain(|_, _| {});
    for _ in 0..3 {
        let report = mirror.reconcile(list, NOW);
        assert_eq!(
            (report.left_out, report.joined, report.forgotten),
            (1, 0, 0)
        );
        assert_eq!(subscriber.drain(|_, _| {}), 0);
    }
}

#[test]
fn a_sweep_of_a_full_mirror_evicts_no_member() {
    let mut mirror = mirror(3);
    let list = [(1, Dead, 0), (2, Left, 0), (3, Suspect, 0)];
    let _ = mirror.reconcile(list, NOW);
    let report = mirror.tracker().sweep(Timestamp::from_millis(1 << 50));
    assert_eq!((report.evicted(), mirror.tracker().len()), (0, 3));
}

#[test]
fn the_local_node_is_left_out() {
    let tracker: IncarnationTracker<u8> = mirror::builder(1).local_node(1).build().unwrap();
    let mut mirror = Mirror::new(tracker);
    let list = [(1, Alive, 0), (2, Dead, 0)];
    for _ in 0..2 {
        assert_eq!(mirror.reconcile(list, NOW).left_out, 1);
        assert_eq!(shown(&mirror, 2), Some((Dead, 0)));
    }
}

#[test]
fn changes_by_another_writer_are_corrected() {
    let mut mirror = mirror(8);
    let list = [(1, Alive, 0), (2, Alive, 0)];
    let _ = mirror.reconcile(list, NOW);
    let tracker = mirror.tracker().clone();
    let _ = tracker.update(&9, Claim::alive(1), NOW);
    let _ = tracker.update(&1, Claim::dead(3), NOW);
    tracker.remove(&2, NOW);
    let report = mirror.reconcile(list, NOW);
    assert_eq!((report.forgotten, report.changed, report.joined), (1, 1, 1));
    assert_eq!(shown(&mirror, 1), Some((Alive, 4)));
    assert_eq!(
        (shown(&mirror, 2).unwrap().0, shown(&mirror, 9)),
        (Alive, None)
    );
}

#[test]
fn of_members_with_one_key_the_running_one_is_shown_in_any_order() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let members = [(1, Dead, 4), (1, Alive, 0), (1, Suspect, 9)];
    let mut mirror = mirror(8);
    let mut subscriber = mirror.tracker().subscribe();
    for (round, order) in orders.into_iter().enumerate() {
        let report = mirror.reconcile(order.map(|at| members[at]), NOW);
        assert_eq!(report.conflicts, 2);
        assert_eq!(shown(&mirror, 1), Some((Alive, 0)));
        assert_eq!(subscriber.drain(|_, _| {}), usize::from(round == 0));
    }
    // Between equals the one that is shown stays.
    for list in [
        [(1, Alive, 0), (1, Alive, 7)],
        [(1, Alive, 7), (1, Alive, 0)],
    ] {
        let report = mirror.reconcile(list, NOW);
        assert_eq!((report.changed, report.conflicts), (0, 1));
        assert_eq!(mirror.number(&1), Some(0));
    }
    // When that one dies, the other is shown.
    let report = mirror.reconcile([(1, Dead, 0), (1, Alive, 7)], NOW);
    assert_eq!((report.changed, mirror.number(&1)), (1, Some(7)));
}

#[test]
fn run_calls_the_engine_and_then_reconciles() {
    struct Names(Vec<String>);
    impl Engine<String> for Names {
        fn members(&self) -> impl Iterator<Item = Observed<String>> {
            self.0.iter().map(|name| (name.clone(), Alive, 0).into())
        }
    }
    let mut mirror = Mirror::new(mirror::builder::<String>(8).build().unwrap());
    let mut engine = Names(vec!["a".into()]);
    let (popped, report) = mirror.run(&mut engine, NOW, |engine| {
        engine.0.push("b".into());
        engine.0.remove(0)
    });
    assert_eq!((popped.as_str(), report.joined), ("a", 1));
    assert!(mirror.tracker().get("b").is_some() && mirror.tracker().get("a").is_none());
}

#[test]
fn a_list_that_panics_changes_nothing() {
    let mut mirror = mirror(8);
    let _ = mirror.reconcile([(1, Alive, 0), (2, Alive, 0)], NOW);
    let list = (0..2_u8).map(|at| {
        assert!(at == 0, "on purpose");
        (1_u8, Suspect, 0_u64)
    });
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = mirror.reconcile(list, NOW);
    }));
    assert!(caught.is_err());
    assert_eq!(shown(&mirror, 1), Some((Alive, 0)));
    let report = mirror.reconcile([(1, Suspect, 0), (2, Alive, 0)], NOW);
    assert_eq!((report.changed, report.forgotten), (1, 0));
}

/// What `on_change` amounts to.
#[derive(Default)]
struct Replica(BTreeMap<u8, (Slot, NodeState)>);

impl Replica {
    fn apply(&mut self, key: u8, slot: Slot, change: &mirror::MemberChange<'_>) {
        let before = self.0.get(&key).map(|(slot, state)| (*slot, *state));
        assert_eq!(before.map(|(_, state)| state), change.previous, "{key}");
        assert!(before.is_none_or(|(known, _)| known == slot), "{key}");
        match change.current {
            None => drop(self.0.remove(&key)),
            Some(state) => drop(self.0.insert(key, (slot, state))),
        }
    }
}

fn precedence(status: Status) -> u8 {
    match status {
        Alive => 3,
        Suspect => 2,
        Unconfirmed => 1,
        Dead | Left => 0,
    }
}

fn members() -> impl Strategy<Value = Vec<Member>> {
    let status = prop::sample::select(Status::ALL.to_vec());
    let member = (0..10_u8, status, 0..3_u64, prop::bool::weighted(0.1));
    prop::collection::vec(member, 0..14)
}

proptest! {
    #[test]
    fn each_list_is_shown_in_incarnations_that_never_fall_and_then_settles(
        room in 1..8_usize,
        lists in prop::collection::vec(members(), 1..12),
    ) {
        let mut mirror = mirror(room);
        let mut replica = Replica::default();
        let mut highest: BTreeMap<u8, (Incarnation, Status)> = BTreeMap::new();
        for (at, list) in lists.into_iter().enumerate() {
            let now = Timestamp::from_millis(at as u64);
            let report = mirror.reconcile_with(list.iter().copied(), now, |key, slot, change| {
                replica.apply(*key, slot, &change);
            });
            let tracker = mirror.tracker().clone();
            let states: BTreeMap<u8, NodeState> = tracker.iter().collect();
            let told: BTreeMap<u8, NodeState> = replica.0.iter().map(|(k, v)| (*k, v.1)).collect();
            prop_assert_eq!(&told, &states);
            for (key, state) in &states {
                // What is shown is what the list says of it, and nothing that runs was outranked.
                let of_key = || list.iter().filter(|member| member.0 == *key);
                let (status, number) = (state.status, mirror.number(key));
                prop_assert!(of_key().any(|m| m.1 == status && Some(m.2) == number));
                let best = of_key().map(|m| precedence(m.1)).max();
                prop_assert_eq!(Some(precedence(status)), best);
                let now_shown = (state.incarnation, status);
                let before = highest.insert(*key, now_shown);
                prop_assert!(before <= Some(now_shown), "{:?} before {:?}", before, now_shown);
            }
            // The running ones have room before those that are gone, and no room is left free.
            let keys: BTreeSet<u8> = list.iter().map(|member| member.0).collect();
            let runs = |key: &&u8| list.iter().any(|m| m.0 == **key && !m.1.is_gone());
            let running = keys.iter().filter(runs).count();
            let shown_running = states.values().filter(|state| !state.status.is_gone()).count();
            prop_assert_eq!(shown_running, running.min(room));
            prop_assert_eq!(states.len(), keys.len().min(room));
            prop_assert_eq!(report.left_out, keys.len() - states.len());
            prop_assert_eq!(report.conflicts, list.len() - keys.len());
            // The same list in another order changes nothing.
            let settled = list.iter().rev().map(|(key, status, number, _)| (*key, *status, *number));
            let again = mirror.reconcile_with(settled, now, |key, _, _| panic!("{key} changed again"));
            prop_assert_eq!((again.left_out, again.conflicts), (report.left_out, report.conflicts));
            let after: BTreeMap<u8, NodeState> = tracker.iter().collect();
            prop_assert_eq!(states, after);
        }
    }
}
