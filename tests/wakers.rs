//! Wakers that panic, or that own a subscriber themselves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use incarnation::{Claim, Closed, IncarnationTracker, Subscriber, Timestamp};

const NOW: Timestamp = Timestamp::ZERO;
type Tracker = IncarnationTracker<String>;

fn tracker() -> Tracker {
    IncarnationTracker::builder().build().unwrap()
}

/// What an executor keeps of a task: here, of one that waits for two things.
struct Task {
    _own: Mutex<Option<Subscriber<String>>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

fn poll(subscriber: &mut Subscriber<String>, waker: &Waker) -> Poll<Result<(), Closed>> {
    subscriber.poll_changed(&mut Context::from_waker(waker))
}

fn comes_back(work: impl FnOnce() + Send + 'static) -> bool {
    let (done, back) = mpsc::channel();
    thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    back.recv_timeout(Duration::from_secs(10)).is_ok()
}

/// A subscriber that is polled by another task lets go of the first task's waker; with it the task
/// may end, and what it owned.
#[test]
fn a_waker_that_is_replaced_may_own_a_subscriber() {
    let is_back = comes_back(|| {
        let tracker = tracker();
        let mut shared = tracker.subscribe();
        shared.drain(|_, _| {});
        let task = Arc::new(Task {
            _own: Mutex::new(Some(tracker.subscribe())),
        });
        let first = Waker::from(task);
        assert!(poll(&mut shared, &first).is_pending());
        // The waker is all that holds the task now.
        drop(first);
        assert!(poll(&mut shared, Waker::noop()).is_pending());
    });
    assert!(is_back, "a poll waits for itself");
}

#[test]
fn a_waker_that_is_cancelled_may_own_a_subscriber() {
    let is_back = comes_back(|| {
        let tracker = tracker();
        let mut shared = tracker.subscribe();
        shared.drain(|_, _| {});
        let task = Arc::new(Task {
            _own: Mutex::new(Some(tracker.subscribe())),
        });
        let first = Waker::from(task);
        assert!(poll(&mut shared, &first).is_pending());
        drop(first);
        drop(shared);
    });
    assert!(is_back, "the drop of a subscriber waits for itself");
}

struct Panics;
impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        std::panic::resume_unwind(Box::new("a waker's panic"));
    }
}

#[derive(Default)]
struct Counts(AtomicUsize);
impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_waker_that_panics_takes_no_other_waiters_wake_up() {
    let tracker = tracker();
    let (mut first, mut second) = (tracker.subscribe(), tracker.subscribe());
    first.drain(|_, _| {});
    second.drain(|_, _| {});
    let woken = Arc::new(Counts::default());
    assert!(poll(&mut first, &Waker::from(Arc::new(Panics))).is_pending());
    assert!(poll(&mut second, &Waker::from(woken.clone())).is_pending());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        tracker.update("a:1", Claim::alive(1), NOW)
    }));
    assert!(tracker.get("a:1").is_some(), "the change is in the table");
    assert!(second.has_changed());
    // No later call wakes the second one for this change.
    assert_eq!(woken.0.load(Ordering::SeqCst), 1, "a lost wakeup");
}

#[test]
fn a_waker_that_panics_hides_no_member_from_a_probe_order() {
    let tracker = tracker();
    let mut probes = tracker.probe_order();
    assert!(probes.next_member(|| 7, |_, _| true).is_none());
    let mut first = tracker.subscribe();
    first.drain(|_, _| {});
    assert!(poll(&mut first, &Waker::from(Arc::new(Panics))).is_pending());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        tracker.update("a:1", Claim::alive(1), NOW)
    }));
    assert_eq!(tracker.len(), 1);
    assert_eq!(tracker.stats().joins, 1);
    assert!(
        probes.next_member(|| 7, |_, _| true).is_some(),
        "never probed"
    );
}

#[test]
fn a_random_function_that_panics_hides_no_member_from_a_probe_order() {
    let tracker = tracker();
    for node in ["a:1", "b:1", "c:1"] {
        let _ = tracker.update(node, Claim::alive(1), NOW);
    }
    let mut probes = tracker.probe_order();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _ = probes.next_member(|| std::panic::resume_unwind(Box::new(())), |_, _| true);
    }));
    assert!(outcome.is_err());
    let mut probed: Vec<String> = Vec::new();
    for _ in 0..3 {
        if let Some(member) = probes.next_member(|| 7, |_, _| true) {
            probed.push(member.key().clone());
        }
    }
    probed.sort();
    probed.dedup();
    assert_eq!(probed, ["a:1", "b:1", "c:1"]);
}

/// A waker that does not return until it is let go.
struct Held {
    entered: mpsc::Sender<()>,
    released: Mutex<mpsc::Receiver<()>>,
}

impl Wake for Held {
    fn wake(self: Arc<Self>) {
        let _ = self.entered.send(());
        let _ = self.released.lock().unwrap().recv();
    }
}

#[test]
fn a_writer_held_up_in_one_waker_holds_up_no_other_waiter() {
    let tracker = tracker();
    let (mut first, mut second) = (tracker.subscribe(), tracker.subscribe());
    first.drain(|_, _| {});
    second.drain(|_, _| {});
    let (entered, is_held) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let held = Waker::from(Arc::new(Held {
        entered,
        released: Mutex::new(released),
    }));
    let woken = Arc::new(Counts::default());
    assert!(poll(&mut first, &held).is_pending());
    assert!(poll(&mut second, &Waker::from(woken.clone())).is_pending());
    let put = |incarnation| {
        let _ = tracker.update("a:1", Claim::alive(incarnation), NOW);
    };
    thread::scope(|scope| {
        scope.spawn(|| put(1));
        is_held.recv().unwrap();
        for incarnation in 2..1000 {
            put(incarnation);
        }
        let woken_meanwhile = woken.0.load(Ordering::SeqCst);
        release.send(()).unwrap();
        assert_eq!(woken_meanwhile, 1, "998 later updates did not wake it");
    });
}
