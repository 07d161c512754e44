//! Subscribers see every node's latest state, at their own pace, and are woken when there is news.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use incarnation::{
    Change, Claim, Closed, IncarnationTracker, Reclaimer, Slot, Subscriber, Timestamp,
    WaitForChange,
};

const NOW: Timestamp = Timestamp::ZERO;
/// Longer than any machine stalls.
const LONG: Duration = Duration::from_secs(60);

type Tracker = IncarnationTracker<u32>;

fn tracker() -> Tracker {
    Tracker::builder()
        .max_nodes(1000)
        // So that other tests' views do not decide when entries are free again.
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

fn put(tracker: &Tracker, node: u32, claim: Claim) {
    assert!(tracker.update(&node, claim.trusted(), NOW).accepted());
}

/// A change without its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Joined(Claim),
    Updated(Claim, Claim),
    Rejoined(Claim, Claim),
    Gone(Claim),
}
use Seen::{Gone, Joined, Rejoined, Updated};

fn seen(change: Change) -> Seen {
    match change {
        Change::Joined { current, .. } => Joined(current.claim()),
        Change::Updated {
            previous, current, ..
        } => Updated(previous.claim(), current.claim()),
        Change::Rejoined {
            previous, current, ..
        } => Rejoined(previous.claim(), current.claim()),
        Change::Gone { last, .. } => Gone(last.claim()),
        _ => unreachable!(),
    }
}

/// What a drain tells, by node.
fn drain(subscriber: &mut Subscriber<u32>) -> Vec<(u32, Seen)> {
    let mut changes = Vec::new();
    let count = subscriber.drain(|node, change| changes.push((*node, seen(change))));
    assert_eq!(count, changes.len());
    changes.sort_by_key(|(node, _)| *node);
    changes
}

/// What the changes amount to.
#[derive(Default)]
struct Mirror(HashMap<u32, Claim>);

impl Mirror {
    fn apply(&mut self, node: u32, change: Seen) {
        let before = match change {
            Joined(current) => (self.0.insert(node, current), None),
            Updated(previous, current) | Rejoined(previous, current) => {
                (self.0.insert(node, current), Some(previous))
            }
            Gone(last) => (self.0.remove(&node), Some(last)),
        };
        assert_eq!(
            before.0, before.1,
            "node {node}: what was there is what the change says"
        );
    }

    fn drain(&mut self, subscriber: &mut Subscriber<u32>) {
        subscriber.drain(|node, change| self.apply(*node, seen(change)));
    }

    fn assert_is(&self, tracker: &Tracker) {
        let truth: HashMap<u32, Claim> = tracker
            .iter()
            .map(|(node, state)| (node, state.claim()))
            .collect();
        assert_eq!(self.0, truth);
    }
}

#[test]
fn the_first_drain_tells_of_every_node_and_the_next_of_none() {
    let tracker = tracker();
    put(&tracker, 1, Claim::alive(1));
    put(&tracker, 2, Claim::dead(7));
    let mut subscriber = tracker.subscribe();
    put(&tracker, 3, Claim::suspect(3));
    assert_eq!(
        drain(&mut subscriber),
        [
            (1, Joined(Claim::alive(1))),
            (2, Joined(Claim::dead(7))),
            (3, Joined(Claim::suspect(3))),
        ],
    );
    assert!(!subscriber.has_changed());
    assert_eq!(drain(&mut subscriber), []);
}

#[test]
fn a_drain_tells_the_latest_state_and_the_one_seen_before() {
    let tracker = tracker();
    put(&tracker, 1, Claim::alive(1));
    put(&tracker, 2, Claim::alive(1));
    put(&tracker, 3, Claim::alive(1));
    let mut subscriber = tracker.subscribe();
    drain(&mut subscriber);
    for incarnation in 1..100 {
        put(&tracker, 1, Claim::suspect(incarnation));
        put(&tracker, 1, Claim::alive(incarnation + 1));
    }
    tracker.remove(&2, NOW);
    put(&tracker, 4, Claim::alive(1));
    tracker.remove(&4, NOW);
    put(&tracker, 5, Claim::left(9));
    assert!(subscriber.has_changed());
    assert_eq!(
        drain(&mut subscriber),
        [
            (1, Updated(Claim::alive(1), Claim::alive(100))),
            (2, Gone(Claim::alive(1))),
            (5, Joined(Claim::left(9))),
        ],
    );
    assert_eq!(drain(&mut subscriber), []);
}

#[test]
fn a_node_that_left_and_came_back_is_told_as_rejoined_in_whatever_state() {
    let tracker = tracker();
    for node in 1..=3 {
        put(&tracker, node, Claim::alive(5));
    }
    let slot = |node| tracker.handle(&node).unwrap().slot();
    let before: Vec<Slot> = (1..=3).map(slot).collect();
    let mut subscriber = tracker.subscribe();
    drain(&mut subscriber);
    for (node, incarnation) in [(1, 5), (2, 3), (3, 7)] {
        tracker.forget(&node);
        put(&tracker, node, Claim::alive(incarnation));
    }
    let mut changes = Vec::new();
    subscriber.drain(|node, change| changes.push((*node, change)));
    changes.sort_by_key(|(node, _)| *node);
    for ((node, change), incarnation) in changes.iter().zip([5, 3, 7]) {
        let Change::Rejoined {
            slot: now,
            previous_slot,
            ..
        } = *change
        else {
            panic!("node {node}: {change:?}");
        };
        assert_eq!((now, change.slot()), (slot(*node), now));
        assert_eq!(previous_slot, before[*node as usize - 1]);
        assert_eq!(
            seen(*change),
            Rejoined(Claim::alive(5), Claim::alive(incarnation))
        );
    }
    assert_eq!(changes.len(), 3);
    assert_eq!(subscriber.seen().count(), 3);
}

#[test]
fn an_index_that_another_node_took_is_told_as_two_nodes() {
    let tracker = tracker();
    put(&tracker, 1, Claim::alive(1));
    let mut subscriber = tracker.subscribe();
    drain(&mut subscriber);
    let slot = |node| tracker.handle(&node).unwrap().slot();
    let before = slot(1);
    tracker.remove(&1, NOW);
    // Frees the place.
    let _ = tracker.sweep(NOW);
    put(&tracker, 2, Claim::alive(1));
    assert_eq!(slot(2).index, before.index);
    let changes = drain(&mut subscriber);
    assert_eq!(
        changes,
        [(1, Gone(Claim::alive(1))), (2, Joined(Claim::alive(1)))]
    );
}

#[test]
fn a_drain_lends_the_data_of_the_lifetime_that_it_tells_of() {
    let made = AtomicU64::new(0);
    let tracker = IncarnationTracker::<u32>::builder()
        .max_nodes(100)
        .reclaimer(Reclaimer::private())
        .data_with(move |_node| made.fetch_add(1, Ordering::Relaxed))
        .build()
        .unwrap();
    let mut subscriber = tracker.subscribe();
    let mut drain = || {
        let mut told = Vec::new();
        let count = subscriber.drain_with_data(|node, change, data| {
            told.push((*node, seen(change), data.copied()));
        });
        assert_eq!(count, told.len());
        told
    };
    let (alive, suspect) = (Claim::alive(1), Claim::suspect(1));
    let _ = tracker.update(&1, alive, NOW);
    assert_eq!(drain(), [(1, Joined(alive), Some(0))]);
    let _ = tracker.update(&1, suspect, NOW);
    assert_eq!(drain(), [(1, Updated(alive, suspect), Some(0))]);
    tracker.forget(&1);
    let _ = tracker.update(&1, alive, NOW);
    assert_eq!(drain(), [(1, Rejoined(suspect, alive), Some(1))]);
    tracker.forget(&1);
    assert_eq!(drain(), [(1, Gone(alive), None)]);
}

#[test]
fn sweeps_are_told_too() {
    let tracker = Tracker::builder()
        .suspect_timeout(Duration::from_secs(1))
        .dead_retention(Duration::from_secs(1))
        .build()
        .unwrap();
    put(&tracker, 1, Claim::suspect(1));
    put(&tracker, 2, Claim::dead(1));
    let mut subscriber = tracker.subscribe();
    drain(&mut subscriber);
    let _ = tracker.sweep(NOW + Duration::from_secs(2));
    assert_eq!(
        drain(&mut subscriber),
        [
            (1, Updated(Claim::suspect(1), Claim::dead(1))),
            (2, Gone(Claim::dead(1)))
        ],
    );
}

#[test]
fn a_death_that_a_sweep_declares_is_told_by_itself() {
    let tracker = Tracker::builder()
        .suspect_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    put(&tracker, 1, Claim::suspect(1));
    let mut subscriber = tracker.subscribe();
    drain(&mut subscriber);
    let _ = tracker.sweep(NOW + Duration::from_secs(2));
    assert!(subscriber.has_changed());
    assert_eq!(
        drain(&mut subscriber),
        [(1, Updated(Claim::suspect(1), Claim::dead(1)))],
    );
}

#[test]
fn many_subscribers_each_see_everything() {
    let tracker = tracker();
    let mut random = Rng::with_seed(1);
    let mut subscribers: Vec<_> = (0..20)
        .map(|_| (tracker.subscribe(), Mirror::default()))
        .collect();
    for _ in 0..2000 {
        change_something(&tracker, &mut random);
        let lucky = random.usize(..20);
        let (subscriber, mirror) = &mut subscribers[lucky];
        mirror.drain(subscriber);
        mirror.assert_is(&tracker);
    }
    for (subscriber, mirror) in &mut subscribers {
        mirror.drain(subscriber);
        mirror.assert_is(&tracker);
    }
}

/// Does anything that changes a table to one of 300 nodes.
fn change_something(tracker: &Tracker, random: &mut Rng) {
    let node = random.u32(..300);
    match random.u64(..10) {
        0..7 => {
            let status = incarnation::Status::ALL[random.usize(..5)];
            let _ = tracker.update(&node, Claim::new(status, random.u64(..50)), NOW);
        }
        7 => drop(tracker.forget(&node)),
        8 => drop(tracker.remove(&node, NOW)),
        _ => {
            let _ = tracker.confirm(&node, random.u64(..50), NOW);
        }
    }
}

#[test]
fn a_drain_tells_exactly_the_differences() {
    let tracker = tracker();
    let mut random = Rng::with_seed(2);
    let mut subscriber = tracker.subscribe();
    let mut before: HashMap<u32, (Claim, Slot)> = HashMap::new();
    for _ in 0..1000 {
        for _ in 0..random.u64(..30) {
            change_something(&tracker, &mut random);
        }
        if random.u64(..50) == 0 {
            let _ = tracker.sweep(NOW);
        }
        let after: HashMap<u32, (Claim, Slot)> = tracker
            .iter()
            .map(|(node, state)| (node, (state.claim(), tracker.handle(&node).unwrap().slot())))
            .collect();
        let mut differences = Vec::new();
        for node in 0..300 {
            let difference = match (before.get(&node), after.get(&node)) {
                (None, Some((now, _))) => Joined(*now),
                (Some((last, _)), None) => Gone(*last),
                (Some((last, was)), Some((now, slot))) if was != slot => Rejoined(*last, *now),
                (Some((last, _)), Some((now, _))) if last != now => Updated(*last, *now),
                _ => continue,
            };
            differences.push((node, difference));
        }
        assert_eq!(drain(&mut subscriber), differences);
        let copy: HashMap<u32, Claim> = subscriber
            .seen()
            .map(|(node, state)| (*node, state.claim()))
            .collect();
        let claims: HashMap<u32, Claim> = after
            .iter()
            .map(|(node, (claim, _))| (*node, *claim))
            .collect();
        assert_eq!(copy, claims);
        before = after;
    }
}

#[test]
fn subscribers_among_churning_writers_end_with_the_final_state() {
    let tracker = tracker();
    let writing = AtomicUsize::new(3);
    thread::scope(|scope| {
        for writer in 0..3 {
            let (tracker, writing) = (&tracker, &writing);
            scope.spawn(move || {
                let mut random = Rng::with_seed(writer);
                for step in 0..30_000 {
                    change_something(tracker, &mut random);
                    if step % 1000 == 0 {
                        let _ = tracker.sweep(NOW);
                    }
                }
                writing.fetch_sub(1, Ordering::Release);
            });
        }
        for pause in [0, 1, 20] {
            let (tracker, writing) = (&tracker, &writing);
            scope.spawn(move || {
                let (mut subscriber, mut mirror) = (tracker.subscribe(), Mirror::default());
                while writing.load(Ordering::Acquire) > 0 {
                    subscriber.wait(Duration::from_millis(1)).unwrap();
                    mirror.drain(&mut subscriber);
                    thread::sleep(Duration::from_millis(pause));
                }
                mirror.drain(&mut subscriber);
                mirror.assert_is(tracker);
            });
        }
    });
}

#[test]
fn a_drain_after_an_update_returned_sees_it() {
    let tracker = tracker();
    for node in 0..4 {
        put(&tracker, node, Claim::alive(0));
    }
    let done: [AtomicU64; 4] = Default::default();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // Two writers in one range of places, so that one may rely on the other's mark.
        for node in 0..2_u32 {
            let (tracker, done, stop) = (&tracker, &done, &stop);
            scope.spawn(move || {
                for incarnation in 1.. {
                    put(tracker, node, Claim::alive(incarnation));
                    done[node as usize].store(incarnation, Ordering::Release);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let mut subscriber = tracker.subscribe();
        let mut copy = HashMap::<u32, u64>::new();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(1500) {
            let finished: Vec<u64> = done
                .iter()
                .map(|node| node.load(Ordering::Acquire))
                .collect();
            subscriber.drain(|node, change| {
                let (Joined(current) | Updated(_, current) | Rejoined(_, current)) = seen(change)
                else {
                    panic!("a node left");
                };
                copy.insert(*node, current.incarnation().get());
            });
            for (node, finished) in finished.iter().enumerate() {
                let seen = copy[&(node as u32)];
                assert!(
                    seen >= *finished,
                    "node {node}: {seen} seen, {finished} written before"
                );
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_wait_ends_with_a_change_or_at_its_timeout() {
    let tracker = tracker();
    let mut subscriber = tracker.subscribe();
    assert!(
        subscriber.wait(Duration::ZERO).unwrap(),
        "everything is news to a new subscriber"
    );
    drain(&mut subscriber);
    assert!(!subscriber.wait(Duration::ZERO).unwrap());
    let begin = Instant::now();
    assert!(!subscriber.wait(Duration::from_millis(30)).unwrap());
    assert!(begin.elapsed() >= Duration::from_millis(30));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(30));
            put(&tracker, 1, Claim::alive(1));
        });
        assert!(subscriber.wait(Duration::MAX).unwrap());
    });
    assert_eq!(drain(&mut subscriber), [(1, Joined(Claim::alive(1)))]);
    put(&tracker, 1, Claim::alive(2));
    let _ = tracker.update(&1, Claim::alive(2), NOW);
    assert!(subscriber.wait(Duration::ZERO).unwrap());
    drain(&mut subscriber);
    let _ = tracker.update(&1, Claim::alive(2), NOW);
    assert!(
        !subscriber.wait(Duration::ZERO).unwrap(),
        "a duplicate changes nothing"
    );
}

#[test]
fn no_wake_up_is_lost() {
    // Each thread waits for the other's change; a lost wake-up stops both.
    let tracker = tracker();
    thread::scope(|scope| {
        for me in 0..2_u32 {
            let tracker = &tracker;
            scope.spawn(move || {
                let mut subscriber = tracker.subscribe();
                let mut other = 0;
                for round in 1..=5000_u64 {
                    if me == 0 {
                        put(tracker, me, Claim::alive(round));
                    }
                    while other < round {
                        assert!(subscriber.wait(LONG).unwrap(), "lost in round {round}");
                        subscriber.drain(|node, change| match seen(change) {
                            Joined(current) | Updated(_, current) | Rejoined(_, current)
                                if *node != me =>
                            {
                                other = current.incarnation().get();
                            }
                            _ => {}
                        });
                    }
                    if me == 1 {
                        put(tracker, me, Claim::alive(round));
                    }
                }
            });
        }
    });
}

#[test]
fn no_wake_up_is_lost_among_many_waiters_and_writers() {
    let tracker = tracker();
    let target = 2000;
    thread::scope(|scope| {
        for node in 0..2 {
            let tracker = &tracker;
            scope.spawn(move || {
                for incarnation in 1..=target {
                    put(tracker, node, Claim::alive(incarnation));
                }
            });
        }
        for _ in 0..6 {
            scope.spawn(|| {
                let (mut subscriber, mut mirror) = (tracker.subscribe(), Mirror::default());
                while (0..2).any(|node| mirror.0.get(&node) != Some(&Claim::alive(target))) {
                    assert!(subscriber.wait(LONG).unwrap(), "stuck at {:?}", mirror.0);
                    mirror.drain(&mut subscriber);
                }
            });
        }
    });
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll<S>(changed: &mut WaitForChange<'_, u32, (), S>, waker: &Waker) -> Poll<Result<(), Closed>> {
    Pin::new(changed).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_waiting_task_is_woken_once_and_one_that_does_not_wait_never() {
    let tracker = tracker();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut subscriber = tracker.subscribe();
    drain(&mut subscriber);
    let mut changed = subscriber.changed();
    assert!(poll(&mut changed, &waker).is_pending());
    assert!(poll(&mut changed, &waker).is_pending());
    for incarnation in 0..1000 {
        put(&tracker, 1, Claim::alive(incarnation));
    }
    assert_eq!(wakes.count(), 1);
    assert!(poll(&mut changed, &waker).is_ready());
    drop(changed);
    drain(&mut subscriber);
    put(&tracker, 1, Claim::alive(1000));
    assert_eq!(wakes.count(), 1, "no future waits");
    assert!(poll(&mut subscriber.changed(), &waker).is_ready());
}

#[test]
fn the_latest_waker_is_woken() {
    let tracker = tracker();
    let (first, second) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    let mut subscriber = tracker.subscribe();
    drain(&mut subscriber);
    let mut changed = subscriber.changed();
    assert!(poll(&mut changed, &first.clone().into()).is_pending());
    assert!(poll(&mut changed, &second.clone().into()).is_pending());
    put(&tracker, 1, Claim::alive(1));
    assert_eq!((first.count(), second.count()), (0, 1));
}

#[test]
fn a_dropped_future_loses_nothing_and_is_not_woken() {
    let tracker = tracker();
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    let mut subscriber = tracker.subscribe();
    drain(&mut subscriber);
    assert!(poll(&mut subscriber.changed(), &waker).is_pending());
    put(&tracker, 1, Claim::alive(1));
    assert_eq!(wakes.count(), 0);
    // Dropped after it was woken, before it was polled.
    drain(&mut subscriber);
    let mut changed = subscriber.changed();
    assert!(poll(&mut changed, &waker).is_pending());
    put(&tracker, 1, Claim::alive(2));
    assert_eq!(wakes.count(), 1);
    drop(changed);
    assert!(poll(&mut subscriber.changed(), &waker).is_ready());
    assert_eq!(
        drain(&mut subscriber),
        [(1, Updated(Claim::alive(1), Claim::alive(2)))]
    );
    // Of two that wait, the one that gives up does not take the other's waker along.
    let mut other = tracker.subscribe();
    drain(&mut other);
    let mut waiting = other.changed();
    assert!(poll(&mut waiting, &waker).is_pending());
    assert!(poll(&mut subscriber.changed(), &waker).is_pending());
    drop(subscriber);
    put(&tracker, 1, Claim::alive(3));
    assert_eq!(wakes.count(), 2);
}

/// The smallest runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(LONG),
        }
    }
}

#[test]
fn a_task_follows_a_writer_to_the_end() {
    let tracker = tracker();
    let last = Claim::dead(20_000);
    let follow = async |mut subscriber: Subscriber<u32>| {
        let mut mirror = Mirror::default();
        while mirror.0.get(&1) != Some(&last) {
            subscriber.changed().await.unwrap();
            mirror.drain(&mut subscriber);
        }
        mirror.assert_is(&tracker);
    };
    thread::scope(|scope| {
        let subscriber = tracker.subscribe();
        scope.spawn(|| block_on(follow(subscriber)));
        for incarnation in 0..20_000 {
            put(&tracker, 1, Claim::alive(incarnation));
        }
        put(&tracker, 1, last);
    });
}

#[test]
fn a_callback_that_panics_loses_no_change_but_its_own() {
    let tracker = tracker();
    for node in 0..100 {
        put(&tracker, node, Claim::alive(1));
    }
    let mut subscriber = tracker.subscribe();
    drain(&mut subscriber);
    for node in 0..30 {
        tracker.remove(&node, NOW);
        put(&tracker, 50 + node, Claim::alive(2));
        put(&tracker, 200 + node, Claim::alive(1));
    }
    let mut told = 0;
    for attempt in 0.. {
        let drained = catch_unwind(AssertUnwindSafe(|| {
            subscriber.drain(|_, _| {
                told += 1;
                assert!(told % 3 > 0, "every third is too much");
            })
        }));
        if drained.is_ok() {
            assert!(attempt >= 29);
            break;
        }
    }
    assert_eq!(told, 90);
    let mut copy: Vec<u32> = subscriber.seen().map(|(node, _)| *node).collect();
    copy.sort_unstable();
    assert_eq!(copy, (30..100).chain(200..230).collect::<Vec<u32>>());
    assert_eq!(drain(&mut subscriber), []);
}

#[test]
fn a_subscriber_can_be_sent_and_outlives_the_tracker() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    let tracker = tracker();
    put(&tracker, 1, Claim::alive(1));
    let mut subscriber = sent(tracker.subscribe());
    drop(tracker);
    assert_eq!(block_on(sent(subscriber.changed())), Ok(()));
    assert_eq!(drain(&mut subscriber), [(1, Joined(Claim::alive(1)))]);
    assert_eq!(block_on(subscriber.changed()), Err(Closed));
    assert!(format!("{subscriber:?}").contains("seen: 1"));
}

#[test]
fn subscribing_from_now_tells_only_what_follows() {
    let tracker = tracker();
    put(&tracker, 1, Claim::alive(1));
    put(&tracker, 2, Claim::alive(1));
    let mut subscriber = tracker.subscribe_from_now();
    assert!(!subscriber.has_changed());
    put(&tracker, 1, Claim::suspect(1));
    put(&tracker, 3, Claim::alive(1));
    assert_eq!(
        drain(&mut subscriber),
        [
            (1, Updated(Claim::alive(1), Claim::suspect(1))),
            (3, Joined(Claim::alive(1)))
        ],
    );
}

#[test]
fn next_changes_waits_for_changes_and_returns_them() {
    let tracker = tracker();
    let mut subscriber = tracker.subscribe();
    let mut context = Context::from_waker(Waker::noop());
    // An empty table has nothing to tell, though the first wait ends at once.
    assert!(
        pin!(subscriber.next_changes())
            .poll(&mut context)
            .is_pending()
    );
    put(&tracker, 1, Claim::alive(1));
    let changes = block_on(subscriber.next_changes()).unwrap();
    let [(1, change)] = changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!(seen(change), Joined(Claim::alive(1)));
    let state = tracker.get(&1);
    assert_eq!((change.current(), change.previous()), (state, None));
    assert_eq!(change.slot(), tracker.handle(&1).unwrap().slot());
    assert_eq!(change.to_string(), "none -> alive@1");
    tracker.remove(&1, NOW);
    let changes = block_on(subscriber.next_changes()).unwrap();
    assert_eq!(
        (changes[0].1.current(), changes[0].1.previous()),
        (None, state)
    );
    drop(tracker);
    assert_eq!(block_on(subscriber.next_changes()), Err(Closed));
}

#[test]
fn a_waiting_subscriber_learns_that_the_last_tracker_is_gone() {
    let tracker = tracker();
    put(&tracker, 1, Claim::alive(1));
    let handle = tracker.handle(&1).unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut subscriber = tracker.subscribe_from_now();
    let mut changed = subscriber.changed();
    assert!(poll(&mut changed, &waker).is_pending());
    drop(tracker);
    assert_eq!(wakes.count(), 0, "a handle can change the node yet");
    assert!(poll(&mut changed, &waker).is_pending());
    drop(handle);
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut changed, &waker), Poll::Ready(Err(Closed)));
    drop(changed);
    assert_eq!(subscriber.wait(Duration::MAX), Err(Closed));
    assert_eq!(subscriber.seen().count(), 1);
}

#[test]
fn changes_of_the_last_tracker_are_told_before_the_end() {
    let tracker = tracker();
    let mut subscriber = tracker.subscribe_from_now();
    put(&tracker, 1, Claim::alive(1));
    drop(tracker);
    assert_eq!(subscriber.wait(Duration::ZERO), Ok(true));
    assert_eq!(drain(&mut subscriber), [(1, Joined(Claim::alive(1)))]);
    assert_eq!(subscriber.wait(Duration::ZERO), Err(Closed));
}

#[cfg(feature = "stream")]
#[test]
fn a_stream_ends_when_the_last_tracker_is_gone() {
    use futures_core::Stream;

    let tracker = tracker();
    let mut changes = tracker.subscribe().into_stream();
    let mut next = || Pin::new(&mut changes).poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(next().is_pending());
    put(&tracker, 1, Claim::alive(1));
    drop(tracker);
    assert!(matches!(
        next(),
        Poll::Ready(Some((1, Change::Joined { .. })))
    ));
    assert_eq!(next(), Poll::Ready(None));
}

#[cfg(feature = "stream")]
#[test]
fn a_stream_gives_the_changes_one_by_one_and_waits_for_more() {
    use futures_core::Stream;

    let tracker = tracker();
    put(&tracker, 1, Claim::alive(1));
    put(&tracker, 2, Claim::alive(1));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut changes = tracker.subscribe().into_stream();
    let mut next = || Pin::new(&mut changes).poll_next(&mut Context::from_waker(&waker));
    let mut first: Vec<u32> = (0..2)
        .map(|_| match next() {
            Poll::Ready(Some((node, Change::Joined { .. }))) => node,
            other => panic!("{other:?}"),
        })
        .collect();
    first.sort_unstable();
    assert_eq!(first, [1, 2]);
    assert!(next().is_pending());
    put(&tracker, 2, Claim::dead(1));
    assert_eq!(wakes.count(), 1);
    match next() {
        Poll::Ready(Some((2, change))) => {
            assert_eq!(seen(change), Updated(Claim::alive(1), Claim::dead(1)));
        }
        other => panic!("{other:?}"),
    }
    assert!(next().is_pending());
}

#[test]
fn a_tracker_from_a_weak_one_counts_as_a_tracker() {
    let tracker = tracker();
    let weak = tracker.downgrade();
    let mut subscriber = tracker.subscribe();
    let wait = |subscriber: &mut Subscriber<u32>| subscriber.wait(Duration::ZERO);
    // It comes and goes: the table still has an owner.
    drop(weak.upgrade().unwrap());
    subscriber.drain(|_, _| {});
    assert_eq!(wait(&mut subscriber), Ok(false));
    // It outlives the tracker it was made from.
    let upgraded = weak.upgrade().unwrap();
    drop(tracker);
    assert_eq!(wait(&mut subscriber), Ok(false));
    put(&upgraded, 1, Claim::alive(1));
    assert_eq!(wait(&mut subscriber), Ok(true));
    subscriber.drain(|_, _| {});
    drop(upgraded);
    assert_eq!(wait(&mut subscriber), Err(Closed));
}

#[test]
fn no_tracker_comes_back_after_a_subscriber_was_told_that_the_last_is_gone() {
    let tracker = tracker();
    let weak = tracker.downgrade();
    let mut subscriber = tracker.subscribe();
    subscriber.drain(|_, _| {});
    drop(tracker);
    assert_eq!(subscriber.wait(Duration::ZERO), Err(Closed));
    // The subscriber keeps the table itself.
    assert!(weak.upgrade().is_none());
}
