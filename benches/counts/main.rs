//! Instructions per operation, for callgrind: each measured operation is a function of its own name,
//! called a fixed number of times. `.ci/counts` runs it and compares the counts with those in the file
//! `recorded`; run by itself it only checks that the operations do what their names say.

use std::hint::black_box;
use std::net::SocketAddr;

use incarnation::{Claim, IncarnationTracker, NodeHandle, NodeState, Timestamp, Verdict};

type Tracker = IncarnationTracker<SocketAddr>;

const NODES: u64 = 1_000;
const CALLS: u64 = 1_000;
const BATCH: usize = 32;
const NOW: Timestamp = Timestamp::from_nanos(7);

#[inline(never)]
fn count_lookup_hit(tracker: &Tracker, node: &SocketAddr) -> Option<NodeState> {
    tracker.get(node)
}

#[inline(never)]
fn count_lookup_miss(tracker: &Tracker, node: &SocketAddr) -> bool {
    tracker.get(node).is_none()
}

#[inline(never)]
fn count_duplicate(tracker: &Tracker, node: &SocketAddr, claim: Claim) -> Verdict {
    tracker.update(node, claim, NOW)
}

#[inline(never)]
fn count_accepted(tracker: &Tracker, node: &SocketAddr, claim: Claim) -> bool {
    tracker.update(node, claim, NOW).accepted()
}

/// The same while a subscriber sleeps, of whom the nodes' ranges were told already.
#[inline(never)]
fn count_accepted_subscribed(tracker: &Tracker, node: &SocketAddr, claim: Claim) -> usize {
    // Another type, or the compiler takes it for `count_accepted`.
    usize::from(tracker.update(node, claim, NOW).accepted())
}

#[inline(never)]
fn count_batch_of_32(tracker: &Tracker, claims: &[(SocketAddr, Claim); BATCH]) -> usize {
    let mut accepted = 0;
    tracker.with(|view| {
        view.update_batch(claims, NOW, |_, verdict| {
            accepted += usize::from(verdict.accepted());
        });
    });
    accepted
}

#[inline(never)]
fn count_handle_state(handle: &NodeHandle<SocketAddr>) -> Option<NodeState> {
    handle.state()
}

fn node(number: u64) -> SocketAddr {
    SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 7946))
}

fn main() {
    // Fixed seeds, so that the chains are the same in each run.
    let tracker: Tracker = Tracker::builder()
        .max_nodes(NODES as usize)
        .hasher(incarnation::RandomState::with_seeds([1, 2, 3, 4]))
        .build()
        .expect("the limits fit each other");
    for number in 0..NODES {
        let _ = tracker.update(&node(number), Claim::alive(1), NOW);
    }
    let nodes: Vec<_> = (0..CALLS).map(|number| node(number % NODES)).collect();
    let unknown: Vec<_> = (0..CALLS).map(|number| node(NODES + number)).collect();
    let mut done = 0;
    for node in black_box(&nodes) {
        done += usize::from(count_lookup_hit(black_box(&tracker), node).is_some());
    }
    for node in black_box(&unknown) {
        done += usize::from(count_lookup_miss(black_box(&tracker), node));
    }
    for node in black_box(&nodes) {
        let verdict = count_duplicate(black_box(&tracker), node, black_box(Claim::alive(1)));
        done += usize::from(matches!(verdict, Verdict::Duplicate { .. }));
    }
    for node in black_box(&nodes) {
        done += usize::from(count_accepted(
            black_box(&tracker),
            node,
            black_box(Claim::alive(2)),
        ));
    }
    let mut packet = [(nodes[0], Claim::alive(2)); BATCH];
    for group in black_box(&nodes).chunks_exact(BATCH) {
        for (claim, node) in packet.iter_mut().zip(group) {
            claim.0 = *node;
        }
        done += 1 + count_batch_of_32(black_box(&tracker), &packet);
    }
    for node in black_box(&nodes) {
        let handle = tracker.handle(node).expect("it is known");
        done += usize::from(count_handle_state(black_box(&handle)).is_some());
    }
    let subscriber = tracker.subscribe();
    for node in &nodes {
        let _ = tracker.update(node, Claim::alive(3), NOW);
    }
    for node in black_box(&nodes) {
        done += count_accepted_subscribed(black_box(&tracker), node, black_box(Claim::alive(4)));
    }
    drop(subscriber);
    assert_eq!(done as u64, 6 * CALLS + CALLS / BATCH as u64);
    println!("{done} operations");
}
