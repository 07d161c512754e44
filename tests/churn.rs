//! Threads that add, remove, look up, sweep and subscribe at once on a table of a few entries, so that entries are
//! reused all the time. Miri and ThreadSanitizer run it over many schedules; they report what is wrong in memory, and
//! the test what is wrong in the answers.

use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp};
use incarnation_testkit::start_together::at_once;

const NODES: u64 = 3;
const ROUNDS: u64 = if cfg!(miri) { 12 } else { 4_000 };
/// The same where threads have caches: enough for a thread to use entries again that it removed itself.
const ROUNDS_WITH_CACHES: u64 = if cfg!(miri) { 60 } else { 4_000 };
/// Tables of so many nodes have a cache for each thread.
const WITH_CACHES: usize = 128;

/// Keys on the heap: a key that is read after its entry was reused is memory that was freed.
fn key(node: u64) -> String {
    format!("node {node}")
}

/// The incarnations of a node are its number and multiples of ten above it.
fn claim(node: u64, round: u64) -> Claim {
    Claim::alive(10 * round + node)
}

fn tracker(hard_limit: usize) -> IncarnationTracker<String> {
    IncarnationTracker::builder()
        .max_nodes(2)
        .hard_limit(hard_limit)
        .max_tombstones(2)
        .dead_retention(Duration::from_nanos(1))
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

#[test]
fn readers_see_whole_entries_while_entries_are_reused() {
    add_and_remove_under_readers(&tracker(3), ROUNDS, 4);
}

#[test]
fn readers_see_whole_entries_while_threads_use_those_of_their_caches_again() {
    // A sweep clears the caches, so there are few.
    add_and_remove_under_readers(&tracker(WITH_CACHES), ROUNDS_WITH_CACHES, 40);
}

/// Two threads add and remove nodes for so many rounds, and sweep after each so many; another one looks at all of them.
fn add_and_remove_under_readers(
    tracker: &IncarnationTracker<String>,
    rounds: u64,
    sweep_every: u64,
) {
    let write = |writer: u64| {
        for round in 0..rounds {
            let node = (round + writer) % NODES;
            let now = Timestamp::from_nanos(round);
            let _ = tracker.update(&key(node), claim(node, round), now);
            let _ = tracker.remove(&key((node + 1) % NODES), now);
            if round % sweep_every == 0 {
                let _ = tracker.sweep(now);
            }
        }
    };
    let read = || {
        let mut subscriber = tracker.subscribe();
        for round in 0..rounds {
            let mut view = tracker.pin();
            for (node, state) in view.iter() {
                let number: u64 = node.strip_prefix("node ").unwrap().parse().unwrap();
                assert_eq!(state.incarnation.get() % 10, number, "of another node");
            }
            view.repin();
            let node = round % NODES;
            if let Some(state) = view.get(&key(node)) {
                assert_eq!(state.incarnation.get() % 10, node, "of another node");
            }
            drop(view);
            subscriber.drain(|_, _| {});
        }
    };
    at_once(3, |thread| match thread {
        2 => read(),
        writer => write(writer as u64),
    });
    let _ = tracker.sweep(Timestamp::from_nanos(rounds));
    assert!(tracker.len() <= 3);
    assert_eq!(tracker.pending_reclaim(), 0);
}
