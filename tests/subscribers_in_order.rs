//! A subscriber's copy that puts itself in order, and a key that panics in the middle of that.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use incarnation::{Claim, IncarnationTracker, Reclaimer, Subscriber, Timestamp};

const NOW: Timestamp = Timestamp::ZERO;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    /// Which call of `Hash` panics; 0: none.
    static FUSE: Cell<u64> = const { Cell::new(0) };
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        CALLS.set(CALLS.get() + 1);
        if CALLS.get() == FUSE.get() {
            std::panic::resume_unwind(Box::new(()));
        }
        self.0.hash(state);
    }
}

type Told = BTreeMap<Key, Claim>;

fn drain(subscriber: &mut Subscriber<Key>, told: &mut Told) {
    subscriber.drain(|key, change| {
        match change.current() {
            Some(current) => told.insert(key.clone(), current.claim()),
            None => told.remove(key),
        };
    });
}

#[test]
fn a_key_that_panics_while_the_copy_reorders_itself_hides_no_final_state() {
    let tracker: IncarnationTracker<Key> = IncarnationTracker::builder()
        .max_nodes(1_000)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let mut subscriber = tracker.subscribe();
    let mut told = Told::new();
    let kept = 400;
    let mut panics = 0;
    for id in 0..60_000 {
        let _ = tracker.update(&Key(id), Claim::alive(1), NOW);
        // Their order of coming and going leaves places that were in use.
        if id >= kept {
            let _ = tracker.remove(&Key(id - kept), NOW);
        }
        CALLS.set(0);
        FUSE.set(if id > 2 * kept { 100 } else { 0 });
        let outcome = catch_unwind(AssertUnwindSafe(|| drain(&mut subscriber, &mut told)));
        FUSE.set(0);
        if outcome.is_err() {
            panics += 1;
            // Everybody's state changes, and everybody leaves.
            drain(&mut subscriber, &mut told);
            let there: Told = tracker
                .iter()
                .map(|(key, state)| (key, state.claim()))
                .collect();
            assert_eq!(told, there, "told, after panic {panics} at node {id}");
            for key in there.keys() {
                let _ = tracker.remove(key, NOW);
            }
            let _ = tracker.sweep(NOW);
            // Back, at other places.
            for key in there.keys().rev() {
                let _ = tracker.update(key, Claim::alive(2), NOW);
            }
            drain(&mut subscriber, &mut told);
            let there: Told = tracker
                .iter()
                .map(|(key, state)| (key, state.claim()))
                .collect();
            assert!(
                told == there,
                "{} are told of, {} are there, after panic {panics} at node {id}",
                told.len(),
                there.len()
            );
        }
    }
}
