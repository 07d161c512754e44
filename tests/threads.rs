//! Threads that end, and processes that fork, at the worst moment: inside a view, with one in a
//! thread-local, from the destructor of one.

use std::cell::RefCell;
use std::sync::Mutex;
use std::thread;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp, Verdict, View};

type Tracker = IncarnationTracker<u32>;

const NOW: Timestamp = Timestamp::ZERO;

/// With a reclamation of its own.
fn tracker() -> &'static Tracker {
    let builder = Tracker::builder().max_nodes(64);
    keep(builder.reclaimer(Reclaimer::private()).build().unwrap())
}

/// For as long as the process, as what is in a thread-local must; and where leak checkers find it.
fn keep(tracker: Tracker) -> &'static Tracker {
    static KEPT: Mutex<Vec<&'static Tracker>> = Mutex::new(Vec::new());
    let tracker = Box::leak(Box::new(tracker));
    KEPT.lock().unwrap().push(tracker);
    tracker
}

/// Puts a node in and takes it out again: an entry that waits until no view can see it.
fn retire(tracker: &Tracker, node: u32) {
    assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
    assert!(tracker.remove(&node, NOW).is_some());
}

/// What waits once all has been collected that can be.
fn waiting(tracker: &Tracker) -> usize {
    for _ in 0..8 {
        let _ = tracker.sweep(NOW);
    }
    tracker.pending_reclaim()
}

#[test]
fn a_view_leaked_by_an_ended_thread_delays_only_its_own_reclaimer() {
    let (held_up, other) = (tracker(), tracker());
    thread::spawn(|| {
        core::mem::forget(held_up.pin());
    })
    .join()
    .unwrap();
    retire(held_up, 1);
    retire(other, 1);
    assert_eq!((waiting(held_up), waiting(other)), (1, 0));
    // It goes on working, with the entries there are.
    assert_eq!(held_up.update(&2, Claim::alive(1), NOW), Verdict::Joined);
    assert!(held_up.get(&2).is_some());
}

thread_local! {
    static HELD: RefCell<Option<View<'static, u32>>> = const { RefCell::new(None) };
    static LAST_WORDS: RefCell<Option<LastWords>> = const { RefCell::new(None) };
}

#[test]
fn a_view_in_a_thread_local_protects_until_the_thread_ends() {
    let tracker = tracker();
    // The thread-local is made before the thread's first pin and after it: destroyed after, and before,
    // what the thread keeps for its pins.
    for is_first in [true, false] {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (end, may_end) = std::sync::mpsc::channel::<()>();
        let holder = thread::spawn(move || {
            if !is_first {
                drop(tracker.pin());
            }
            HELD.with(|held| *held.borrow_mut() = Some(tracker.pin()));
            ready.send(()).unwrap();
            may_end.recv().unwrap();
        });
        is_ready.recv().unwrap();
        retire(tracker, 1);
        assert_eq!(waiting(tracker), 1, "{is_first}");
        end.send(()).unwrap();
        holder.join().unwrap();
        assert_eq!(waiting(tracker), 0, "{is_first}");
    }
}

/// Uses the tracker when its thread is nearly gone.
struct LastWords(&'static Tracker, u32);

impl Drop for LastWords {
    fn drop(&mut self) {
        let Self(tracker, node) = *self;
        let view = tracker.pin();
        assert!(view.get(&0).is_some());
        // One inside another, and a change.
        retire(tracker, node);
        assert!(
            view.update(&0, Claim::alive(u64::from(node)), NOW)
                .accepted()
        );
    }
}

#[test]
fn a_tracker_is_used_from_the_destructor_of_a_thread_local() {
    let tracker = tracker();
    let _ = tracker.update(&0, Claim::alive(0), NOW);
    for node in 1..100 {
        for is_first in [true, false] {
            let node = node * 2 + u32::from(!is_first);
            thread::spawn(move || {
                if !is_first {
                    drop(tracker.pin());
                }
                LAST_WORDS.with(|packed_states| {
                    *packed_states.borrow_mut() = Some(LastWords(tracker, node))
                });
                assert!(tracker.get(&0).is_some());
            })
            .join()
            .unwrap();
            // It got to the end of its packed states, or this would be the claim of the thread before.
            assert_eq!(tracker.get(&0).unwrap().incarnation.get(), u64::from(node));
        }
    }
    assert_eq!(waiting(tracker), 0);
}

#[test]
fn ten_thousand_short_lived_threads_leave_no_records() {
    let tracker = tracker();
    for node in 0..10_000 {
        thread::spawn(move || retire(tracker, node)).join().unwrap();
    }
    assert_eq!(waiting(tracker), 0);
}

/// Runs `work` in the child of a fork; whether it returned true there.
#[cfg(target_os = "linux")]
fn in_a_fork(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child does what `work` does and leaves without any destructor or handler. It takes locks that
    // other threads might have held at the fork only where glibc takes care of them (its allocator).
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!outcome.unwrap_or(false))) };
    }
    let mut status = 0;
    // SAFETY: our own child, and a place for its status.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

#[cfg(target_os = "linux")]
#[test]
fn after_a_fork_the_child_works_and_views_of_other_threads_delay_nothing() {
    // The reclamation that all trackers share: there the child forgets the threads that it has not.
    let tracker: &Tracker = keep(Tracker::builder().max_nodes(64).build().unwrap());
    let _ = tracker.update(&7, Claim::alive(1), NOW);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (end, may_end) = std::sync::mpsc::channel::<()>();
    let holder = thread::spawn(move || {
        let view = tracker.pin();
        ready.send(()).unwrap();
        may_end.recv().unwrap();
        view.get(&7)
    });
    is_ready.recv().unwrap();
    let own = tracker.pin();
    let went_on = in_a_fork(|| {
        // What this thread itself holds, it still holds.
        retire(tracker, 1);
        let held = waiting(tracker) == 1;
        drop(own);
        let known = tracker.get(&7).is_some();
        let joined = tracker.update(&8, Claim::alive(1), NOW) == Verdict::Joined;
        let freed = waiting(tracker) == 0 || cfg!(incarnation_portable);
        held && known && joined && freed
    });
    assert!(went_on);
    // The parent is as before: nothing of that happened here, and the view still protects.
    assert_eq!((tracker.get(&8), tracker.len()), (None, 1));
    retire(tracker, 1);
    assert_eq!(waiting(tracker), 1);
    end.send(()).unwrap();
    assert!(holder.join().unwrap().is_some());
}

/// Holds two views, one inside the other, when its thread is nearly gone.
struct LastViews(
    &'static Tracker,
    std::sync::mpsc::Sender<()>,
    std::sync::mpsc::Receiver<()>,
);

impl Drop for LastViews {
    fn drop(&mut self) {
        let Self(tracker, here, go_on) = self;
        let outer = tracker.pin();
        let inner = tracker.pin();
        here.send(()).unwrap();
        go_on.recv().unwrap();
        drop(inner);
        here.send(()).unwrap();
        go_on.recv().unwrap();
        assert!(outer.get(&0).is_some());
    }
}

thread_local! {
    static LAST_VIEWS: RefCell<Option<LastViews>> = const { RefCell::new(None) };
}

#[test]
fn a_view_taken_in_a_thread_local_destructor_protects_its_entries() {
    let tracker = tracker();
    let _ = tracker.update(&0, Claim::alive(0), NOW);
    let (here, is_here) = std::sync::mpsc::channel();
    let (go, go_on) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        // Before the thread's first pin, so destroyed after what the thread keeps for its pins.
        LAST_VIEWS.with(|views| *views.borrow_mut() = Some(LastViews(tracker, here, go_on)));
        drop(tracker.pin());
    });
    is_here.recv().unwrap();
    // Another thread, which may have the record that was given back.
    thread::spawn(|| drop(tracker.pin())).join().unwrap();
    go.send(()).unwrap();
    is_here.recv().unwrap();
    retire(tracker, 1);
    assert_eq!(waiting(tracker), 1, "the outer view is still held");
    go.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(waiting(tracker), 0);
}
