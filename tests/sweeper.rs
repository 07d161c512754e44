//! The thread that sweeps: its name, when it sweeps, and that it ends with its owner and with
//! nothing else.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use incarnation::{
    Claim, Clock, IncarnationTracker, Reclaimer, Rejection, SweepReason, Sweeper, Timestamp,
    Verdict,
};

/// Longer than any test: whoever waits for it waits in vain.
const NEVER: Duration = Duration::from_secs(3_600);
/// Long enough for a thread to get its turn.
const PATIENCE: Duration = Duration::from_secs(60);
const NOW: Timestamp = Timestamp::ZERO;

fn small() -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .max_nodes(4)
        .hard_limit(8)
        .eviction_headroom(2)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

/// A sweeper that has done its first sweep, and the news of it.
fn spawn(
    tracker: &IncarnationTracker<u32>,
    clock: &Clock,
    interval: Duration,
) -> (Sweeper, Receiver<(u32, SweepReason)>) {
    let (send, news) = mpsc::channel();
    let sweeper = Sweeper::spawn(tracker, clock.clone(), interval, move |swept| {
        let _ = send.send((*swept.node, swept.reason));
    })
    .unwrap();
    wait_until(|| sweeper.sweeps() > 0);
    (sweeper, news)
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_sweeper_thread_is_named_incarn_sweeper() {
    let tracker = small();
    let _ = tracker.update(&1, Claim::dead(1), NOW);
    let clock = Clock::manual();
    clock.advance(NEVER * 2);
    let (send, name) = mpsc::channel();
    let _sweeper = Sweeper::spawn(&tracker, clock, NEVER, move |_| {
        let _ = send.send(thread::current().name().map(String::from));
    });
    let name = name.recv_timeout(PATIENCE).unwrap();
    assert_eq!(name.as_deref(), Some("incarn-sweeper"));
}

#[test]
fn sweeps_when_it_begins_and_then_at_its_interval() {
    let tracker = small();
    let clock = Clock::manual();
    let begun = Instant::now();
    let interval = Duration::from_millis(5);
    let (sweeper, news) = spawn(&tracker, &clock, interval);
    wait_until(|| sweeper.sweeps() >= 11);
    assert!(begun.elapsed() >= interval * 10, "too often");
    // The time is the clock's, and not that of the thread's sleep.
    let _ = tracker.update(&1, Claim::dead(1), clock.now());
    let swept = sweeper.sweeps();
    wait_until(|| sweeper.sweeps() >= swept + 2);
    assert!(news.try_recv().is_err());
    clock.advance(NEVER * 2);
    let reason = SweepReason::DeadRetention;
    assert_eq!(news.recv_timeout(PATIENCE), Ok((1, reason)));
}

#[test]
fn an_interval_of_zero_is_refused() {
    let refused = Sweeper::spawn(&small(), Clock::manual(), Duration::ZERO, |_| {});
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn sweep_now_causes_a_sweep_before_the_interval_ends() {
    let tracker = small();
    let clock = Clock::manual();
    let (sweeper, news) = spawn(&tracker, &clock, NEVER);
    for node in 0..100 {
        let _ = tracker.update(&node, Claim::dead(1), clock.now());
        clock.advance(NEVER * 2);
        sweeper.sweep_now();
        let reason = SweepReason::DeadRetention;
        assert_eq!(news.recv_timeout(PATIENCE), Ok((node, reason)));
    }
}

#[test]
fn a_claim_refused_at_capacity_causes_an_early_sweep() {
    let tracker = small();
    let clock = Clock::manual();
    let (sweeper, news) = spawn(&tracker, &clock, NEVER);
    for round in 0..20 {
        let first = round * 100;
        let mut refused = first;
        while tracker.add_unconfirmed(&refused, clock.now()).accepted() {
            refused += 1;
            assert!(refused < first + 9, "more than the hard limit");
        }
        // Nobody asked for a sweep but the refused claim.
        for _ in 0..6 {
            let (_, reason) = news.recv_timeout(PATIENCE).unwrap();
            assert_eq!(reason, SweepReason::Capacity);
        }
        wait_until(|| tracker.add_unconfirmed(&refused, clock.now()).accepted());
    }
    assert_eq!(sweeper.panics(), 0);
}

#[test]
fn early_sweeps_that_make_no_room_are_spaced_out() {
    let tracker = small();
    for node in 0..8 {
        let _ = tracker.update(&node, Claim::alive(1), NOW);
    }
    let (sweeper, _news) = spawn(&tracker, &Clock::manual(), NEVER);
    let full = Verdict::Rejected(Rejection::AtCapacity);
    let begun = Instant::now();
    let mut claims = 0_u64;
    while begun.elapsed() < Duration::from_millis(200) {
        assert_eq!(tracker.update(&100, Claim::alive(1), NOW), full);
        claims += 1;
    }
    // A pause that doubles from a millisecond fits some eight times; a few more begin and end.
    let sweeps = sweeper.sweeps();
    assert!(sweeps <= 16, "{sweeps} sweeps in vain for {claims} claims");
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        // Long enough to be noticed by who does not wait.
        thread::sleep(Duration::from_millis(50));
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn dropping_a_sweeper_ends_its_sleeping_thread_and_waits_for_it() {
    let tracker = small();
    let ended = Arc::new(AtomicBool::new(false));
    let owned = Dropped(ended.clone());
    let begun = Instant::now();
    let sweeper = Sweeper::spawn(&tracker, Clock::manual(), NEVER, move |_| {
        let _ = &owned;
    });
    let sweeper = sweeper.unwrap();
    wait_until(|| sweeper.sweeps() > 0);
    drop(sweeper);
    assert!(
        ended.load(Ordering::SeqCst),
        "the thread still has its callback"
    );
    assert!(begun.elapsed() < NEVER / 2);
}

#[test]
fn dropping_a_sweeper_waits_for_the_sweep_under_way() {
    let tracker = small();
    let clock = Clock::manual();
    let _ = tracker.update(&1, Claim::dead(1), NOW);
    clock.advance(NEVER * 2);
    let (begun, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (begins, ends) = (begun.clone(), done.clone());
    let sweeper = Sweeper::spawn(&tracker, clock, NEVER, move |_| {
        begins.store(true, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(50));
        ends.store(true, Ordering::SeqCst);
    });
    wait_until(|| begun.load(Ordering::SeqCst));
    drop(sweeper);
    assert!(done.load(Ordering::SeqCst));
}

#[test]
fn sweeping_goes_on_after_a_callback_panics() {
    let tracker = small();
    let clock = Clock::manual();
    let (send, news) = mpsc::channel();
    let sweeper = Sweeper::spawn(&tracker, clock.clone(), NEVER, move |swept| {
        let node = *swept.node;
        let _ = send.send(node);
        if node % 2 == 0 {
            std::panic::resume_unwind(Box::new("the callback panics"));
        }
    });
    let sweeper = sweeper.unwrap();
    for node in 0..10 {
        let _ = tracker.update(&node, Claim::dead(1), clock.now());
        clock.advance(NEVER * 2);
        sweeper.sweep_now();
        assert_eq!(news.recv_timeout(PATIENCE), Ok(node));
    }
    wait_until(|| sweeper.panics() == 5);
    assert!(tracker.is_empty());
}

#[test]
fn a_panicking_callback_ends_neither_its_sweep_nor_the_other_calls() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_nodes(8)
        .hard_limit(16)
        .build()
        .unwrap();
    // One to expire, and more to evict for want of room.
    let _ = tracker.update(&0, Claim::dead(1), NOW);
    let now = NOW + NEVER * 2;
    for node in 1..16 {
        let _ = tracker.update(&node, Claim::unconfirmed(1), now);
    }
    let clock = Clock::manual();
    clock.advance(NEVER * 2);
    let (send, news) = mpsc::channel();
    let sweeper = Sweeper::spawn(&tracker, clock, NEVER, move |swept| {
        let _ = send.send(*swept.node);
        std::panic::resume_unwind(Box::new("the callback panics"));
    });
    let sweeper = sweeper.unwrap();
    wait_until(|| tracker.len() <= 8 && sweeper.sweeps() > 0);
    assert_eq!(sweeper.sweeps(), 1, "all in one sweep");
    assert_eq!(news.try_iter().count(), 16 - tracker.len());
    assert_eq!(sweeper.panics(), 16 - tracker.len() as u64);
}

#[test]
fn a_callback_may_drop_its_own_sweeper() {
    let tracker = small();
    let clock = Clock::manual();
    let own: Arc<Mutex<Option<Sweeper>>> = Arc::default();
    let (send, done) = mpsc::channel();
    let owner = own.clone();
    let sweeper = Sweeper::spawn(&tracker, clock.clone(), NEVER, move |_| {
        drop(owner.lock().unwrap().take());
        let _ = send.send(());
    });
    *own.lock().unwrap() = Some(sweeper.unwrap());
    let _ = tracker.update(&1, Claim::dead(1), clock.now());
    clock.advance(NEVER * 2);
    own.lock().unwrap().as_ref().unwrap().sweep_now();
    assert_eq!(done.recv_timeout(PATIENCE), Ok(()));
    // The thread ends then: it drops the callback and with it the other end of the channel.
    assert!(done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn several_sweepers_share_a_tracker() {
    let tracker = small();
    let clock = Clock::manual();
    let sweepers: Vec<_> = (0..3).map(|_| spawn(&tracker, &clock, NEVER)).collect();
    let mut told = 0;
    for node in 0..200 {
        if tracker.add_unconfirmed(&node, clock.now()).accepted() {
            continue;
        }
        wait_until(|| tracker.len() < 8);
    }
    let swept: u64 = sweepers.iter().map(|(sweeper, _)| sweeper.sweeps()).sum();
    let evicted = tracker.stats().evictions.capacity;
    let news: Vec<_> = sweepers
        .into_iter()
        .map(|(sweeper, news)| {
            drop(sweeper);
            news
        })
        .collect();
    for news in news {
        told += news.into_iter().count() as u64;
    }
    assert_eq!(told, evicted, "in {swept} sweeps");
}
