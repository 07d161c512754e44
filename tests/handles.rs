//! A handle belongs to one lifetime of a node: it works from any thread while that lifetime lasts, says for
//! ever after that it is over, and never acts on another one.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use incarnation::{
    Claim, IncarnationTracker, NodeHandle, Reclaimer, SweepScope, Timestamp, Verdict,
};
use incarnation_testkit::keys::Census;
use incarnation_testkit::start_together::meanwhile;

const NOW: Timestamp = Timestamp::from_millis(5_000);
const RETENTION: Duration = Duration::from_secs(100);
const LATER: Timestamp = Timestamp::from_millis(5_000_000);

fn tracker() -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .max_nodes(1)
        .hard_limit(1)
        .dead_retention(RETENTION)
        .max_tombstones(0)
        // So that what other tests of this process pin delays nothing here.
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

/// A node with exactly this packed state, in a table that has it alone.
fn join(tracker: &IncarnationTracker<u32>, node: u32, claim: Claim) -> NodeHandle<u32> {
    assert_eq!(tracker.update(&node, claim, NOW), Verdict::Joined);
    tracker.handle(&node).unwrap()
}

/// Nothing a handle can do finds the node any more.
fn assert_over(handle: &NodeHandle<u32>) {
    assert!(handle.is_evicted());
    assert_eq!(handle.state(), None);
    let higher = Claim::alive(1_000_000).trusted();
    assert_eq!(handle.update(higher, LATER), None);
    assert_eq!(handle.judge(higher, LATER), None);
    assert_eq!(handle.confirm(1_000_000, LATER), None);
    assert_eq!(handle.rejoin(1_000_000, LATER), None);
    assert_eq!(handle.remove(LATER), None);
    assert_eq!(handle.remove_if(Claim::alive(1), LATER), Err(None));
    assert_eq!(handle.forget(), None);
}

#[test]
fn a_handle_shows_its_node_as_the_tracker_does() {
    let tracker = tracker();
    assert!(tracker.handle(&1).is_none(), "nobody to have one of");
    let handle = join(&tracker, 1, Claim::alive(1));
    assert_eq!(handle.key(), &1);
    let verdict = handle.update(Claim::suspect(1), LATER);
    let previous = Claim::alive(1);
    assert_eq!(verdict, Some(Verdict::Applied { previous }));
    assert_eq!(handle.state(), tracker.get(&1));
    assert_eq!(handle.state().unwrap().last_update, LATER);
    for claim in [Claim::alive(1), Claim::alive(2), Claim::alive(5_000)] {
        let verdict = Some(tracker.judge(&1, claim, LATER));
        assert_eq!(handle.judge(claim, LATER), verdict, "{claim}");
        assert_eq!(handle.update(claim, LATER), verdict, "{claim}");
    }
    assert_eq!(handle.state().unwrap().claim(), Claim::alive(2));
    assert!(tracker.update(&1, Claim::dead(2), LATER).accepted());
    assert_eq!(handle.state().unwrap().claim(), Claim::dead(2));
}

#[test]
fn a_handle_is_used_from_another_thread_across_eviction_and_tracker_drop() {
    let census = Census::default();
    let tracker = IncarnationTracker::builder()
        .dead_retention(RETENTION)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let node = census.key(1);
    let _ = tracker.update(&node, Claim::alive(1), NOW);
    let handle = tracker.handle(&node).unwrap();
    let turn = &Barrier::new(2);
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            assert!(handle.update(Claim::dead(1), NOW).unwrap().accepted());
            turn.wait();
            // The main thread evicts the node.
            turn.wait();
            assert!(handle.is_evicted());
            assert_eq!(handle.update(Claim::alive(9), NOW), None);
            turn.wait();
            // And drops the tracker: this handle is the last that holds the table.
            turn.wait();
            assert!(handle.is_evicted());
            assert_eq!(handle.key().id(), 1);
            handle
        });
        turn.wait();
        assert_eq!(tracker.sweep(LATER).dead_evicted, 1);
        turn.wait();
        turn.wait();
        drop(tracker);
        turn.wait();
        drop(other.join().unwrap());
    });
    drop(node);
    assert_eq!((census.living(), census.misuses()), (0, 0));
}

#[test]
fn a_handle_keeps_the_table_usable_after_the_tracker_is_gone() {
    let tracker = tracker();
    let handle = join(&tracker, 1, Claim::alive(1));
    let copy = handle.clone();
    drop(tracker);
    assert!(copy.update(Claim::suspect(1), LATER).unwrap().accepted());
    drop(copy);
    assert_eq!(handle.state().unwrap().claim(), Claim::suspect(1));
}

#[test]
fn a_handle_does_not_keep_its_node_in_the_table() {
    let tracker = tracker();
    let handle = join(&tracker, 1, Claim::dead(1));
    let report = tracker.sweep_with(SweepScope::Dead, LATER, |swept| {
        // Its lifetime is over already when anybody is told.
        assert_eq!(swept.node, handle.key());
        assert_over(&handle);
    });
    assert_eq!(report.dead_evicted, 1);
    assert_over(&handle);
    assert_eq!(tracker.capacity(), 33, "a limit of one, and 32 to spare");
    // The one place for a live node is free again.
    join(&tracker, 2, Claim::alive(1));
}

#[test]
fn a_handle_stays_gone_when_its_entry_serves_another_key_with_the_very_same_packed_state() {
    let tracker = tracker();
    let packed = Claim::alive(1);
    let old = join(&tracker, 1, packed);
    let index = old.slot().index;
    assert!(tracker.remove(&1, NOW).is_some());
    // By and by each place is used again, so this one comes around.
    let mut met = 0;
    for node in 2..500 {
        let new = join(&tracker, node, packed);
        if new.slot().index == index {
            met += 1;
            assert_ne!(new.slot().generation, old.slot().generation);
            assert_eq!(tracker.get(&node).unwrap().claim(), packed);
            assert_over(&old);
            assert_eq!(new.state().unwrap().claim(), packed, "and left it alone");
        }
        assert!(tracker.remove(&node, NOW).is_some());
        let _ = tracker.sweep(NOW);
        assert_over(&old);
        assert_over(&new);
    }
    assert!(met >= 3, "the entry was recycled {met} times");
}

#[test]
fn a_handle_stays_gone_when_its_node_comes_back_and_a_new_handle_finds_the_new_lifetime() {
    let tracker = tracker();
    let mut ended = Vec::new();
    for lifetime in 0..100 {
        let handle = join(&tracker, 1, Claim::alive(lifetime));
        assert_eq!(handle.state().unwrap().claim(), Claim::alive(lifetime));
        for old in &ended {
            assert_over(old);
        }
        assert!(handle.remove(NOW).is_some());
        let _ = tracker.sweep(NOW);
        ended.push(handle);
    }
    let slots: HashSet<_> = ended.iter().map(NodeHandle::slot).collect();
    assert_eq!(
        slots.len(),
        ended.len(),
        "each lifetime has a slot of its own"
    );
    assert!(slots.iter().all(|slot| slot.index < tracker.capacity()));
}

#[test]
fn removing_by_a_handle_removes_only_the_expected_state_and_once() {
    let tracker = tracker();
    let handle = join(&tracker, 1, Claim::alive(1));
    let state = tracker.get(&1);
    assert_eq!(handle.remove_if(Claim::alive(2), NOW), Err(state));
    assert_eq!(handle.remove_if(Claim::suspect(1), NOW), Err(state));
    assert_eq!(handle.remove_if(Claim::alive(1), NOW).ok(), state);
    assert_over(&handle);
    let handle = join(&tracker, 1, Claim::alive(1));
    assert_eq!(handle.forget().unwrap().claim(), Claim::alive(1));
    assert_over(&handle);
}

#[test]
fn no_handle_acts_on_another_lifetime_while_nodes_join_and_leave() {
    const LIVES: usize = 3_000;
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_nodes(64)
        .max_tombstones(0)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    // The same packed states in every lifetime, so that nothing but the generation tells them apart.
    let (packed, accusation) = (Claim::alive(1), Claim::suspect(1));
    let accusations: Vec<_> = (0..LIVES).map(|_| AtomicU64::new(0)).collect();
    let handed_out: Mutex<Option<(usize, NodeHandle<u32>)>> = Mutex::new(None);
    let accuse = || {
        let taken = handed_out.lock().unwrap().clone();
        let Some((lifetime, handle)) = taken else {
            return;
        };
        // Some of them come when the lifetime is over, and another has begun in the same entry.
        thread::yield_now();
        if handle
            .update(accusation, NOW)
            .is_some_and(Verdict::accepted)
        {
            accusations[lifetime].fetch_add(1, Ordering::SeqCst);
        }
    };
    let ends = meanwhile(&[&accuse, &accuse], || {
        let mut ends = Vec::new();
        for (lifetime, accused) in accusations.iter().enumerate() {
            let node = (lifetime % 2) as u32;
            while tracker.update(&node, packed, NOW) != Verdict::Joined {
                // Every free entry waits for a thread that holds a view and is not running.
                thread::yield_now();
            }
            let handle = tracker.handle(&node).unwrap();
            *handed_out.lock().unwrap() = Some((lifetime, handle));
            thread::yield_now();
            // Now and then an accusation must come in time, however busy the machine is.
            while lifetime % 64 == 0 && accused.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            ends.push(tracker.remove(&node, NOW).unwrap().claim());
        }
        ends
    });
    let mut accused = 0;
    for (lifetime, end) in ends.into_iter().enumerate() {
        let accusations = accusations[lifetime].load(Ordering::SeqCst);
        let expected = u64::from(end == accusation);
        assert_eq!(accusations, expected, "lifetime {lifetime} ended as {end}");
        accused += accusations;
    }
    assert!(accused > 0, "the threads never met");
}

/// A key whose hash, after being asked for so many times, lets others do something in the middle of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interrupting(u32);

type Interruption = (usize, Box<dyn FnOnce()>);

thread_local! {
    static INTERRUPTION: std::cell::RefCell<Option<Interruption>> = const { std::cell::RefCell::new(None) };
}

impl std::hash::Hash for Interrupting {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match INTERRUPTION.take() {
            Some((0, interrupt)) => interrupt(),
            Some((more, interrupt)) => INTERRUPTION.set(Some((more - 1, interrupt))),
            None => {}
        }
        self.0.hash(state);
    }
}

#[test]
fn forgetting_by_handle_keeps_the_tombstone_of_a_later_lifetime() {
    let tracker: IncarnationTracker<Interrupting> = IncarnationTracker::builder().build().unwrap();
    let (node, other) = (Interrupting(1), Interrupting(2));
    // Another's tombstone, so that tombstones are looked at.
    let _ = tracker.update(&other, Claim::dead(1), NOW);
    assert!(tracker.remove(&other, NOW).is_some());
    // Before its lifetime is ended, and after.
    for (hashes, forgotten) in [(0, None), (1, Some(Claim::unconfirmed(2)))] {
        let _ = tracker.forget(&node);
        let _ = tracker.update(&node, Claim::dead(2), NOW);
        // Entered over its tombstone, so that there is one to forget.
        assert!(tracker.remove(&node, NOW).is_some());
        assert!(tracker.add_unconfirmed(&node, NOW).accepted());
        let handle = tracker.handle(&node).unwrap();
        let (others, node) = (tracker.clone(), node.clone());
        let interrupt = move || {
            let _ = others.remove(&node, NOW);
            assert!(others.update(&node, Claim::alive(10), NOW).accepted());
            assert!(others.update(&node, Claim::dead(10), NOW).accepted());
            assert!(others.remove(&node, NOW).is_some());
        };
        INTERRUPTION.set(Some((hashes, Box::new(interrupt))));
        assert_eq!(handle.forget().map(|last| last.claim()), forgotten);
        let old = tracker.update(&Interrupting(1), Claim::alive(10), NOW);
        assert!(!old.accepted(), "{old}");
    }
}
