//! A table of 65,535 entries or more divides its entries by a few bits of the hash. With a hasher that spreads them the
//! table holds what its limits say; with one that does not, it refuses early and stays correct.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict};

const NOW: Timestamp = Timestamp::ZERO;
/// Four classes: `hard_limit` is twice that, and there are a quarter more entries.
const NODES: u64 = 100_000;

/// Multiplies the key by a number; the high half of the result is what the table uses.
#[derive(Clone, Copy)]
struct Times(u64);

struct Product(u64, u64);

impl BuildHasher for Times {
    type Hasher = Product;

    fn build_hasher(&self) -> Product {
        Product(self.0, 0)
    }
}

impl Hasher for Product {
    fn finish(&self) -> u64 {
        self.1
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, number: u64) {
        self.1 = number.wrapping_mul(self.0);
    }
}

fn tracker<S: BuildHasher>(hasher: S) -> IncarnationTracker<u64, (), S> {
    IncarnationTracker::<u64>::builder()
        .max_nodes(NODES as usize)
        .dead_retention(Duration::ZERO)
        .max_tombstones(0)
        // Or a view of the other test, which runs beside, would keep entries from being reused.
        .reclaimer(Reclaimer::private())
        .hasher(hasher)
        .build()
        .unwrap()
}

#[test]
fn a_table_of_many_classes_holds_its_hard_limit_and_not_one_node_more() {
    let tracker = tracker(incarnation::RandomState::new());
    for node in 0..2 * NODES {
        assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
    }
    let refused = Verdict::Rejected(Rejection::AtCapacity);
    for node in 2 * NODES..2 * NODES + 100 {
        assert_eq!(tracker.update(&node, Claim::alive(1), NOW), refused);
    }
    assert_eq!(tracker.len() as u64, 2 * NODES);
    assert!((0..2 * NODES).all(|node| tracker.get(&node).is_some()));
    assert_eq!(tracker.iter().count() as u64, 2 * NODES);

    // Every entry is used again, by whatever class its next key is of.
    for node in 0..NODES {
        assert!(tracker.remove(&node, NOW).is_some());
    }
    let _ = tracker.sweep(NOW);
    for node in 2 * NODES..3 * NODES {
        assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
    }
    assert_eq!(tracker.iter().count() as u64, 2 * NODES);
    let slots: std::collections::HashSet<_> = (NODES..3 * NODES)
        .map(|node| tracker.handle(&node).unwrap().slot().index)
        .collect();
    assert_eq!(slots.len() as u64, 2 * NODES, "no two nodes share an entry");
    assert!(slots.iter().all(|index| *index < tracker.capacity()));
}

#[test]
fn a_hasher_that_does_not_spread_fills_one_class_and_further_nodes_are_refused() {
    // The two lowest bits of the half that the table uses are 0: every key is of one class.
    let tracker = tracker(Times(1 << 34));
    let refused = Verdict::Rejected(Rejection::AtCapacity);
    let mut joined = 0;
    while tracker.update(&joined, Claim::alive(1), NOW) == Verdict::Joined {
        joined += 1;
    }
    assert!((NODES / 2..NODES).contains(&joined), "{joined} joined");
    for node in joined..joined + 100 {
        assert_eq!(tracker.update(&node, Claim::alive(1), NOW), refused);
        assert_eq!(tracker.get(&node), None);
    }
    assert_eq!(tracker.len() as u64, joined);

    // A removed node makes room for another one.
    assert!(tracker.remove(&7, NOW).is_some());
    let _ = tracker.sweep(NOW);
    assert_eq!(
        tracker.update(&joined, Claim::alive(1), NOW),
        Verdict::Joined
    );
    assert_eq!(tracker.update(&7, Claim::alive(1), NOW), refused);
    assert!((0..=joined).all(|node| tracker.get(&node).is_some() == (node != 7)));
}

/// Data of a node. The drop of the last one of a countdown has the view of another thread end, and the entries freed.
struct LetsGo(Option<Arc<Countdown>>);

struct Countdown {
    left: AtomicU32,
    let_go: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Drop for LetsGo {
    fn drop(&mut self) {
        if let Some(countdown) = &self.0
            && countdown.left.fetch_sub(1, Relaxed) == 1
            && let Some(let_go) = countdown.let_go.lock().unwrap().take()
        {
            let_go();
        }
    }
}

/// The answer to a claim about an unknown node where no node is live and all entries wait for a view. The view ends while the
/// claim drops the data that it made for its so many-th attempt, which found no entry.
fn answer_while_a_view_ends(attempts: u32) -> Verdict {
    let tracker = IncarnationTracker::<u64>::builder()
        .max_nodes(30_000)
        .hard_limit(52_428)
        .dead_retention(Duration::ZERO)
        .max_tombstones(0)
        .reclaimer(Reclaimer::private())
        .data_with(|_| LetsGo(None))
        .build()
        .unwrap();
    assert!(tracker.capacity() > 65_534, "more than one class");
    let (begin, begun) = channel();
    let (end, is_over) = channel::<()>();
    let viewer = thread::spawn({
        let tracker = tracker.clone();
        move || {
            let view = tracker.pin();
            begin.send(()).unwrap();
            let _ = is_over.recv();
            drop(view);
            let _ = tracker.sweep(NOW);
        }
    });
    begun.recv().unwrap();
    let refused = (0..).find(|node| {
        let verdict = tracker.update(node, Claim::alive(1), NOW);
        let _ = tracker.remove(node, NOW);
        verdict == Verdict::Rejected(Rejection::PendingReclaim)
    });
    let countdown = Arc::new(Countdown {
        left: AtomicU32::new(attempts),
        let_go: Mutex::new(Some(Box::new(move || {
            drop(end);
            viewer.join().unwrap();
        }))),
    });
    let verdict = tracker.update_with(&refused.unwrap(), Claim::alive(1), NOW, || {
        LetsGo(Some(countdown.clone()))
    });
    let let_go = countdown.let_go.lock().unwrap().take();
    if let Some(let_go) = let_go {
        let_go();
    }
    verdict
}

#[test]
fn a_claim_is_not_refused_with_at_capacity_where_the_entries_become_free_after_its_last_attempt() {
    let pending = Verdict::Rejected(Rejection::PendingReclaim);
    let mut answers = Vec::new();
    // Until there are more attempts to wait for than a claim makes.
    while !answers.ends_with(&[pending, pending]) {
        answers.push(answer_while_a_view_ends(answers.len() as u32 + 1));
    }
    let is_right = |answer: &Verdict| [Verdict::Joined, pending].contains(answer);
    assert!(answers.iter().all(is_right), "{answers:?}");
}
