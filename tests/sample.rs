//! Picks and samples are uniform, samples without replacement, and a probe order visits each member once a round.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use fastrand::Rng;
use incarnation::{Claim, IncarnationTracker, NodeState, ProbeOrder, Reclaimer, Status, Timestamp};

const NOW: Timestamp = Timestamp::ZERO;

type Tracker = IncarnationTracker<u32>;

fn any(_: &u32, _: NodeState) -> bool {
    true
}

/// Nodes `0..nodes`, of which those that `keep` refuses have left gaps in the table.
fn tracker(nodes: u32, keep: impl Fn(u32) -> bool) -> Tracker {
    let tracker = Tracker::builder()
        .max_nodes(nodes as usize)
        // Views of other tests must not decide when slots are free again.
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    for node in 0..nodes {
        assert!(tracker.update(&node, Claim::alive(1), NOW).accepted());
    }
    for node in (0..nodes).filter(|node| !keep(*node)) {
        assert!(tracker.remove(&node, NOW).is_some());
    }
    tracker
}

/// Fails if drawing each of `cells` equally likely gives such counts less than once in a million
/// tries: the statistic is about normal, with a mean of its degrees of freedom and twice their variance.
fn assert_uniform(counts: &HashMap<impl Sized, u64>, cells: usize) {
    let draws: u64 = counts.values().sum();
    let expected = draws as f64 / cells as f64;
    let hit: f64 = counts
        .values()
        .map(|count| (*count as f64 - expected).powi(2) / expected)
        .sum();
    let statistic = hit + (cells - counts.len()) as f64 * expected;
    let freedom = (cells - 1) as f64;
    let limit = freedom + 4.9 * (2.0 * freedom).sqrt() + 10.0;
    assert!(statistic < limit, "chi-square {statistic} of {freedom}");
}

/// Samples so often that each member is expected a hundred times, and counts them.
fn count_members(
    tracker: &Tracker,
    k: usize,
    filter: fn(&u32, NodeState) -> bool,
) -> HashMap<u32, u64> {
    let members = tracker
        .iter()
        .filter(|(node, state)| filter(node, *state))
        .count();
    let mut random = Rng::with_seed(k as u64);
    let mut counts = HashMap::new();
    for _ in 0..100 * members / k {
        let sample = tracker.sample(k, || random.u64(..), filter);
        assert_eq!(sample.len(), k);
        for (node, _) in sample {
            *counts.entry(node).or_default() += 1;
        }
    }
    counts
}

/// Picks so often that each member is expected a hundred times, and counts them.
fn count_picks(tracker: &Tracker, filter: fn(&u32, NodeState) -> bool) -> HashMap<u32, u64> {
    let passing = |(node, state): &(u32, NodeState)| filter(node, *state);
    let members = tracker.iter().filter(passing).count();
    let mut random = Rng::with_seed(members as u64);
    let mut counts = HashMap::new();
    for turn in 0..200 * members {
        let picked = match turn % 2 {
            0 => tracker
                .pick(|| random.u64(..), filter)
                .map(|(node, _)| node),
            _ => tracker
                .sample(1, || random.u64(..), filter)
                .first()
                .map(|(node, _)| *node),
        };
        *counts.entry(picked.unwrap()).or_default() += 1;
    }
    counts
}

#[test]
fn each_member_is_picked_equally_likely() {
    // Full; with gaps of one to forty slots; so few members that nearly all random slots miss.
    let half = tracker(400, |node| node % 2 == 0);
    assert_uniform(&count_picks(&half, any), 200);
    let gaps = tracker(1000, |node| node % 41 > node / 41);
    assert_uniform(&count_picks(&gaps, any), gaps.len());
    let few = tracker(3000, |node| node % 150 < 2);
    assert_uniform(&count_picks(&few, any), 40);
    // The same by a filter, down to so few that the pass over all must find them.
    let full = tracker(2000, |_| true);
    assert_uniform(&count_picks(&full, |node, _| node % 2 == 0), 1000);
    assert_uniform(&count_picks(&full, |node, _| node % 50 == 7), 40);
    assert_uniform(&count_picks(&full, |node, _| node % 400 == 7), 5);
    // The same where half of the slots hold no node.
    let sparse = tracker(1000, |node| node % 2 == 0);
    assert_uniform(&count_picks(&sparse, |node, _| node % 3 > 0), 333);
}

#[test]
fn each_member_is_picked_equally_likely_by_a_generator_of_32_good_bits() {
    let half = tracker(400, |node| node % 2 == 0);
    let mut random = Rng::with_seed(9);
    for shift in [0, 32] {
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for _ in 0..20_000 {
            let picked = half.pick(|| u64::from(random.u32(..)) << shift, any);
            *counts.entry(picked.unwrap().0).or_default() += 1;
        }
        assert_uniform(&counts, 200);
    }
}

#[test]
fn a_pick_finds_the_only_node_that_passes_and_none_where_none_does() {
    let full = tracker(3000, |_| true);
    let mut random = Rng::with_seed(6);
    for only in [0, 1500, 2999] {
        let picked = full.pick(|| random.u64(..), |node, _| *node == only);
        assert_eq!(picked.map(|(node, _)| node), Some(only));
        // A broken generator finds it, too.
        let picked = full.pick(|| 0, |node, _| *node == only);
        assert_eq!(picked.map(|(node, _)| node), Some(only));
    }
    assert_eq!(full.pick(|| random.u64(..), |_, _| false), None);
    let empty = Tracker::builder().local_node(1).build().unwrap();
    assert_eq!(empty.pick(|| random.u64(..), any), None);
}

/// What 1,000 picks of nodes that pass take: random numbers, and questions to the filter.
fn cost_of_picks(tracker: &Tracker, passes: fn(u32) -> bool) -> (u32, u32) {
    let (mut random, numbers, questions) = (Rng::with_seed(7), Cell::new(0), Cell::new(0));
    for _ in 0..1_000 {
        let counting = || {
            numbers.set(numbers.get() + 1);
            random.u64(..)
        };
        let asked = |node: &u32, _| {
            questions.set(questions.get() + 1);
            passes(*node)
        };
        assert!(tracker.pick(counting, asked).is_some());
    }
    (numbers.get(), questions.get())
}

#[test]
fn a_pick_costs_a_few_random_numbers_and_questions_where_half_of_the_nodes_pass() {
    // Two slots a number, each of which passes in one case of two.
    let (numbers, questions) = cost_of_picks(&tracker(20_000, |_| true), |node| node % 2 == 0);
    assert!(numbers < 1_500, "{numbers} numbers for 1,000 picks");
    assert!(questions < 2_200, "{questions} questions for 1,000 picks");
    // One slot each where all pass.
    assert_eq!(
        cost_of_picks(&tracker(1_000, |_| true), |_| true),
        (1_000, 1_000)
    );
}

/// A simulation with a seed relies on it.
#[test]
fn the_same_random_numbers_pick_the_same_nodes_whatever_the_thread_picked_before() {
    let full = tracker(1_000, |_| true);
    let picks = || {
        let mut random = Rng::with_seed(5);
        let pick = |_| full.pick(|| random.u64(..), |node, _| node % 2 == 0);
        let nodes: Vec<_> = (0..100).map(pick).collect();
        (nodes, random.u64(..))
    };
    let first = picks();
    for share in [1, 2, 3, 50] {
        let mut random = Rng::with_seed(share);
        for _ in 0..1_000 {
            let _ = full.pick(
                || random.u64(..),
                |node, _| u64::from(*node).is_multiple_of(share),
            );
        }
        assert_eq!(picks(), first, "after picks of one node in {share}");
    }
}

/// A program may weigh nodes by a filter that answers by chance.
#[test]
fn a_filter_that_answers_by_chance_weighs_the_nodes_also_among_gaps() {
    const PICKS: u32 = 200_000;
    let is_heavy = |node: &u32| node % 8 < 4;
    // Heavy and light nodes leave gaps as often, and about half of the first slots miss.
    let tracker = tracker(1_000, |node| node % 4 != 0);
    let (mut random, mut chance) = (Rng::with_seed(3), Rng::with_seed(4));
    let mut heavy = 0;
    for _ in 0..PICKS {
        let picked = tracker.pick(
            || random.u64(..),
            |node, _| chance.f64() < if is_heavy(node) { 1.0 } else { 0.1 },
        );
        heavy += u32::from(is_heavy(&picked.unwrap().0));
    }
    // 10 of 11: nine standard deviations are 0.006.
    let share = f64::from(heavy) / f64::from(PICKS);
    assert!((share - 10.0 / 11.0).abs() < 0.006, "{share}");
}

#[test]
fn a_filter_that_panics_leaves_the_tracker_whole() {
    let full = tracker(1_000, |_| true);
    let mut random = Rng::with_seed(8);
    let mut asked = 0;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        full.pick(
            || random.u64(..),
            |_, _| {
                asked += 1;
                assert!(asked < 2, "the filter panics on purpose");
                false
            },
        )
    }));
    assert!(panicked.is_err());
    assert_eq!(full.len(), 1_000);
    assert!(full.remove(&7, NOW).is_some());
    // Nor does the pick's pin hold up reclamation any more. Crossbeam-epoch may take some sweeps.
    let is_reclaimed = (0..16).any(|_| {
        let _ = full.sweep(NOW);
        full.pending_reclaim() == 0
    });
    assert!(is_reclaimed, "{} entries wait", full.pending_reclaim());
}

#[test]
fn each_member_is_equally_likely_in_a_full_table() {
    let tracker = tracker(500, |_| true);
    assert_uniform(&count_members(&tracker, 3, any), 500);
}

#[test]
fn a_member_behind_a_gap_is_no_likelier_than_the_others() {
    // Gaps of one to forty slots.
    let tracker = tracker(1000, |node| node % 41 > node / 41);
    assert_uniform(&count_members(&tracker, 3, any), tracker.len());
}

#[test]
fn a_few_members_among_many_gaps_are_equally_likely() {
    // So few that nearly all picks miss and the pass over all nodes must finish the sample.
    let tracker = tracker(3000, |node| node % 150 < 2);
    assert_uniform(&count_members(&tracker, 3, any), 40);
}

#[test]
fn each_member_that_passes_the_filter_is_equally_likely() {
    let tracker = tracker(2000, |_| true);
    assert_uniform(&count_members(&tracker, 2, |node, _| node % 50 == 7), 40);
}

#[test]
fn a_large_part_of_the_members_is_equally_likely() {
    let tracker = tracker(300, |node| node % 3 > 0);
    assert_uniform(&count_members(&tracker, 100, any), 200);
}

#[test]
fn each_pair_in_each_order_is_equally_likely_on_both_paths() {
    // Six members of nearly full, and of nearly empty tables: picks, and the pass over all.
    for (nodes, keep) in [(8, 6), (600, 6)] {
        let tracker = tracker(nodes, |node| node % (nodes / 2) < keep / 2);
        let mut random = Rng::with_seed(1);
        let mut pairs = HashMap::new();
        for _ in 0..6000 {
            let sample = tracker.sample(2, || random.u64(..), any);
            *pairs.entry((sample[0].0, sample[1].0)).or_default() += 1;
        }
        assert_uniform(&pairs, 6 * 5);
    }
}

#[test]
fn a_sample_has_k_members_or_all_there_are_and_none_twice() {
    let tracker = tracker(100, |node| node % 2 == 0);
    let mut random = Rng::with_seed(2);
    for (k, expected) in [
        (0, 0),
        (1, 1),
        (16, 16),
        (17, 17),
        (18, 18),
        (30, 30),
        (50, 50),
        (51, 50),
        (usize::MAX, 50),
    ] {
        let sample = tracker.sample(k, || random.u64(..), any);
        let nodes: HashSet<u32> = sample.iter().map(|(node, _)| *node).collect();
        assert_eq!((sample.len(), nodes.len()), (expected, expected));
        assert!(nodes.iter().all(|node| node % 2 == 0));
    }
    assert_eq!(Tracker::builder().build().unwrap().sample(3, || 0, any), []);
}

#[test]
fn the_filter_sees_the_state_and_the_local_node_is_never_drawn() {
    let tracker = Tracker::builder().local_node(0).build().unwrap();
    for node in 0..100 {
        let claim = Claim::new(Status::ALL[node as usize % 5], 3);
        let _ = tracker.update(&node, claim, NOW);
    }
    let mut random = Rng::with_seed(3);
    let alive = tracker.sample(
        1000,
        || random.u64(..),
        |_, state| state.status == Status::Alive,
    );
    assert_eq!(alive.len(), 20);
    assert!(
        alive
            .iter()
            .all(|(node, state)| node % 5 == 1 && state.incarnation.get() == 3)
    );
    let all = tracker.sample(1000, || random.u64(..), any);
    assert_eq!(all.len(), 99);
    assert!(all.iter().all(|(node, _)| *node != 0));
}

#[test]
fn the_cost_of_a_small_sample_does_not_depend_on_the_table() {
    let tracker = tracker(20_000, |_| true);
    let (mut random, calls) = (Rng::with_seed(4), Cell::new(0));
    for _ in 0..100 {
        let counting = || {
            calls.set(calls.get() + 1);
            random.u64(..)
        };
        assert_eq!(tracker.sample(3, counting, any).len(), 3);
    }
    assert!(calls.get() < 400, "{} numbers for 300 nodes", calls.get());
}

#[test]
fn a_broken_generator_neither_hangs_nor_repeats_a_member() {
    let tracker = tracker(1000, |node| node % 2 == 0);
    for bits in [0, 1, u64::MAX] {
        let sample = tracker.sample(10, || bits, any);
        let nodes: HashSet<u32> = sample.iter().map(|(node, _)| *node).collect();
        assert_eq!(nodes.len(), 10);
    }
    // 32 good bits are enough.
    let mut random = Rng::with_seed(5);
    let mut counts = HashMap::new();
    for _ in 0..50_000 {
        for (node, _) in tracker.sample(1, || random.u64(..) & 0xffff_ffff, any) {
            *counts.entry(node).or_default() += 1;
        }
    }
    assert_uniform(&counts, 500);
}

#[test]
fn a_member_that_moves_to_another_slot_meanwhile_is_not_drawn_twice() {
    let tracker = tracker(100, |node| node < 90);
    // The slots of the members that left are free again, and are used next.
    let _ = tracker.sweep(NOW);
    let moved = Cell::new(false);
    let sample = tracker.sample(
        95,
        || 0,
        |node, _| {
            if *node == 0 && !moved.replace(true) {
                tracker.remove(node, NOW);
                let _ = tracker.update(node, Claim::alive(2), NOW);
            }
            true
        },
    );
    let nodes: HashSet<u32> = sample.iter().map(|(node, _)| *node).collect();
    assert_eq!((sample.len(), nodes.len()), (90, 90));
}

/// Goes on to the end of the round, and returns the members that it visited.
fn finish_round(order: &mut ProbeOrder<u32>, random: &mut Rng) -> Vec<u32> {
    let round = order.rounds().max(1);
    let mut visited = Vec::new();
    while order.rounds() < round || order.left_in_round() > 0 {
        let Some(member) = order.next_member(|| random.u64(..), any) else {
            break;
        };
        visited.push(*member.key());
    }
    visited
}

/// A whole round.
fn round(order: &mut ProbeOrder<u32>, random: &mut Rng) -> Vec<u32> {
    let first = order
        .next_member(|| random.u64(..), any)
        .map(|member| *member.key());
    let mut visited = Vec::from_iter(first);
    visited.extend(finish_round(order, random));
    visited
}

fn sorted(mut nodes: Vec<u32>) -> Vec<u32> {
    nodes.sort_unstable();
    nodes
}

#[test]
fn each_member_has_its_turn_once_a_round() {
    let tracker = tracker(50, |node| node % 2 == 0);
    let mut random = Rng::with_seed(8);
    let mut order = tracker.probe_order();
    let members: Vec<u32> = (0..50).step_by(2).collect();
    let mut orders = HashSet::new();
    for number in 1..=20 {
        let visited = round(&mut order, &mut random);
        assert_eq!(order.rounds(), number);
        assert_eq!(sorted(visited.clone()), members);
        orders.insert(visited);
    }
    assert_eq!(orders.len(), 20, "each round is shuffled anew");
}

#[test]
fn every_order_of_a_round_is_equally_likely() {
    let tracker = tracker(4, |_| true);
    let mut random = Rng::with_seed(9);
    let (mut first, mut second) = (HashMap::new(), HashMap::new());
    for _ in 0..4800 {
        let mut order = tracker.probe_order();
        *first.entry(round(&mut order, &mut random)).or_default() += 1;
        *second.entry(round(&mut order, &mut random)).or_default() += 1;
    }
    assert_uniform(&first, 24);
    assert_uniform(&second, 24);
}

#[test]
fn a_member_that_stays_has_its_turn_once_a_round_whatever_joins_or_leaves() {
    let tracker = Tracker::builder().max_nodes(1000).build().unwrap();
    let mut random = Rng::with_seed(10);
    // Stayers below 100, others above.
    for node in 0..200 {
        let _ = tracker.update(&node, Claim::alive(1), NOW);
    }
    let mut order = tracker.probe_order();
    let mut visits = HashMap::<(u64, u32), u32>::new();
    while order.rounds() <= 50 {
        let member = order.next_member(|| random.u64(..), any).unwrap();
        *visits.entry((order.rounds(), *member.key())).or_default() += 1;
        for _ in 0..3 {
            let other = 100 + random.u32(..200);
            if tracker.remove(&other, NOW).is_none() {
                let _ = tracker.update(&other, Claim::alive(1), NOW);
            }
        }
    }
    for round in 1..=50 {
        for stayer in 0..100 {
            let times = visits.get(&(round, stayer));
            assert_eq!(times, Some(&1), "node {stayer} in round {round}");
        }
    }
}

#[test]
fn a_new_member_gets_a_random_place_in_the_round() {
    // It joins with five of ten still to come: ahead of the turn in 5 + 1 of 11 places, each alike.
    let mut random = Rng::with_seed(11);
    let mut places = HashMap::new();
    for _ in 0..1100 {
        let tracker = tracker(10, |_| true);
        let mut order = tracker.probe_order();
        for _ in 0..5 {
            order.next_member(|| random.u64(..), any).unwrap();
        }
        let _ = tracker.update(&99, Claim::alive(1), NOW);
        let rest = finish_round(&mut order, &mut random);
        let place = rest.iter().position(|node| *node == 99);
        // Behind the turn there are five places that look the same.
        *places
            .entry(place.unwrap_or(6 + random.usize(..5)))
            .or_default() += 1;
        assert_eq!(rest.len(), 5 + usize::from(place.is_some()));
        assert_eq!(round(&mut order, &mut random).len(), 11);
    }
    assert_uniform(&places, 11);
}

#[test]
fn a_member_that_left_has_no_turn_and_one_that_came_back_does() {
    let tracker = tracker(3, |_| true);
    let mut random = Rng::with_seed(12);
    let mut order = tracker.probe_order();
    assert_eq!(sorted(round(&mut order, &mut random)), [0, 1, 2]);
    tracker.remove(&1, NOW);
    let mut turn = || *order.next_member(|| random.u64(..), any).unwrap().key();
    assert_eq!(sorted((0..4).map(|_| turn()).collect()), [0, 0, 2, 2]);
    // The sweep frees its slot, and so it comes back to that one.
    let _ = tracker.sweep(NOW);
    let _ = tracker.update(&1, Claim::alive(2), NOW);
    // The rest of this round may or may not contain its turn; two whole rounds follow within the seven turns.
    let turns: Vec<u32> = (0..7).map(|_| turn()).collect();
    for node in 0..3 {
        let visits = turns.iter().filter(|visited| **visited == node).count();
        assert!((2..=3).contains(&visits), "{turns:?}");
    }
}

#[test]
fn members_that_the_filter_refuses_are_skipped_and_an_empty_round_ends() {
    let tracker = tracker(10, |_| true);
    let mut random = Rng::with_seed(13);
    let mut order = tracker.probe_order();
    let _ = tracker.update(&4, Claim::dead(1), NOW);
    for _ in 0..30 {
        let member = order.next_member(|| random.u64(..), |_, state| !state.status.is_gone());
        assert_ne!(*member.unwrap().key(), 4);
    }
    assert!(order.next_member(|| random.u64(..), |_, _| false).is_none());
    let empty = Tracker::builder().build().unwrap();
    let mut order = empty.probe_order();
    assert!(order.next_member(|| random.u64(..), any).is_none());
    assert_eq!(order.rounds(), 0);
    let _ = empty.update(&1, Claim::alive(1), NOW);
    assert_eq!(round(&mut order, &mut random), [1]);
    assert_eq!(order.rounds(), 1);
}
