//! The bell: how a claim that is refused for lack of room wakes the sweepers early.
//!
//! Only refused claims ring it, and only the first one after a sweep does more than a fence and a load:
//! it presses the capacity signal, and whoever sweeps next takes that back. What a claim's caller had done before
//! it was refused is seen by the sweep that takes back the press, so there is none that is pressed for
//! and comes too early:
//!
//! ```text
//! claim                                  sweeper
//!   (make something evictable)             take the press back
//!   refused                                fence
//!   fence                                  sweep
//!   pressed already? done                  pressed again? sweep; else sleep
//!   press, wake the sleepers
//! ```
//!
//! The list of sleeping sweepers is behind a lock that a ringer only tries; one that does not get it
//! has counted itself before it tried, and the holder looks at that count after letting go. So nobody
//! here ever waits for a claim, nor a claim for anybody.
#![forbid(unsafe_code)]

use std::sync::{PoisonError, TryLockError};

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard};

#[derive(Debug, Default)]
pub(crate) struct CapacitySignal {
    /// A claim was refused since the last sweep began.
    pressed: AtomicBool,
    /// How many sweepers are in the list.
    listeners: AtomicU64,
    /// Counts the times the capacity signal was rung.
    rung: AtomicU64,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    sleepers: Vec<Thread>,
    /// How many rings their sleepers were woken for.
    heard: u64,
}

impl CapacitySignal {
    /// A claim was refused for lack of room.
    #[cold]
    pub(crate) fn ring(&self) {
        // SeqCst: against the fence in `take_note`, and the one behind `listen`. Either the sweep that
        // follows sees what was done before this call, or this sees the press taken back, or somebody
        // who listens. Pinned by `capacity_signal::a_refusal_inside_a_view_is_swept_for`.
        fence(Ordering::SeqCst);
        // Relaxed, all: the fence decides what is seen.
        if self.pressed.load(Ordering::Relaxed)
            || self.listeners.load(Ordering::Relaxed) == 0
            || self.pressed.swap(true, Ordering::Relaxed)
        {
            return;
        }
        // Release: who hears this ring sees the capacity signal pressed.
        self.rung.fetch_add(1, Ordering::Release);
        // SeqCst: against the fence of a holder who lets go of the list. Either we find it free, or
        // the holder finds our ring. Pinned by `capacity_signal::a_ring_while_the_list_is_held`.
        fence(Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        loop {
            let mut list = match self.list.try_lock() {
                Ok(list) => list,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            // Acquire: see `ring`.
            list.heard = self.rung.load(Ordering::Acquire);
            for sleeper in &list.sleepers {
                sleeper.unpark();
            }
            if self.let_go(list) {
                return;
            }
        }
    }

    /// Lets go of the list; false if somebody rang meanwhile, and was not heard.
    fn let_go(&self, list: MutexGuard<'_, List>) -> bool {
        let heard = list.heard;
        drop(list);
        // SeqCst: against the fences in `ring`. Pinned by `capacity_signal::a_ring_while_the_list_is_held`.
        fence(Ordering::SeqCst);
        // Relaxed: the fence decides what is seen.
        self.rung.load(Ordering::Relaxed) == heard
    }

    fn with_list(&self, change: impl FnOnce(&mut Vec<Thread>)) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut list.sleepers);
        // Relaxed: a number; see `ring`.
        self.listeners
            .store(list.sleepers.len() as u64, Ordering::Relaxed);
        if !self.let_go(list) {
            self.wake();
        }
    }

    /// Has the calling thread unparked whenever the capacity signal is rung, until the answer is dropped.
    pub(crate) fn listen(&self) -> Listening<'_> {
        self.with_list(|sleepers| sleepers.push(thread::current()));
        Listening(self)
    }
}

/// A thread that is woken by the capacity signal.
#[derive(Debug)]
pub(crate) struct Listening<'a>(&'a CapacitySignal);

impl Listening<'_> {
    /// Whether a claim was refused since the last sweep began.
    pub(crate) fn is_pressed(&self) -> bool {
        // Relaxed: whoever rings unparks this thread after it, so a stale answer is asked for again.
        self.0.pressed.load(Ordering::Relaxed)
    }

    /// A sweep begins: claims that are refused from here on ring again.
    pub(crate) fn take_note(&self) {
        // Relaxed: see the fence. An exchange, as in `ring`: the checker has a wrong idea of stores
        // among exchanges.
        self.0.pressed.swap(false, Ordering::Relaxed);
        // SeqCst: against the fence in `ring`: a claim that still saw the press is swept for now. Pinned by
        // `capacity_signal::a_refusal_inside_a_view_is_swept_for`.
        fence(Ordering::SeqCst);
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let me = thread::current().id();
        self.0.with_list(|sleepers| {
            if let Some(place) = sleepers.iter().position(|sleeper| sleeper.id() == me) {
                sleepers.swap_remove(place);
            }
        });
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn nobody_rings_while_nobody_listens() {
        let capacity_signal = CapacitySignal::default();
        capacity_signal.ring();
        let listening = capacity_signal.listen();
        assert!(!listening.is_pressed());
        capacity_signal.ring();
        assert!(listening.is_pressed());
        listening.take_note();
        assert!(!listening.is_pressed());
        drop(listening);
        capacity_signal.ring();
        assert_eq!(capacity_signal.rung.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn no_ring_is_lost_while_others_come_and_go() {
        const ROUNDS: usize = 2_000;
        let capacity_signal = CapacitySignal::default();
        let (round, over) = (Barrier::new(2), AtomicBool::new(false));
        thread::scope(|scope| {
            // Somebody who holds the list as often as can be.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    drop(capacity_signal.listen());
                }
            });
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    round.wait();
                    capacity_signal.ring();
                }
            });
            let listening = capacity_signal.listen();
            for _ in 0..ROUNDS {
                listening.take_note();
                round.wait();
                let begun = std::time::Instant::now();
                while !listening.is_pressed() {
                    assert!(begun.elapsed() < Duration::from_secs(20), "a ring was lost");
                    thread::park_timeout(Duration::from_secs(30));
                }
            }
            over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn no_ring_is_lost_while_another_wakes_many() {
        const MANY: usize = 64;
        const ROUNDS: u64 = 200;
        let capacity_signal = CapacitySignal::default();
        let (noted, work, seen) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let over = AtomicBool::new(false);
        let listens = Barrier::new(2);
        thread::scope(|scope| {
            // The first in the list: it is woken while the others are yet to be.
            scope.spawn(|| {
                let listening = capacity_signal.listen();
                listens.wait();
                while !over.load(Ordering::SeqCst) {
                    listening.take_note();
                    seen.store(work.load(Ordering::SeqCst), Ordering::SeqCst);
                    noted.fetch_add(1, Ordering::SeqCst);
                    while !listening.is_pressed() && !over.load(Ordering::SeqCst) {
                        thread::park();
                    }
                }
            });
            listens.wait();
            for _ in 0..MANY {
                scope.spawn(|| {
                    let _listening = capacity_signal.listen();
                    listens.wait();
                    while !over.load(Ordering::SeqCst) {
                        thread::park();
                    }
                });
                listens.wait();
            }
            let mut lost = false;
            for round in 1..=ROUNDS {
                let before = noted.load(Ordering::SeqCst);
                let ringer = scope.spawn(|| capacity_signal.ring());
                while noted.load(Ordering::SeqCst) == before {
                    core::hint::spin_loop();
                }
                work.store(round, Ordering::SeqCst);
                capacity_signal.ring();
                ringer.join().unwrap();
                let begun = std::time::Instant::now();
                while seen.load(Ordering::SeqCst) != round && !lost {
                    lost = begun.elapsed() > Duration::from_secs(5);
                    thread::yield_now();
                }
                if lost {
                    break;
                }
            }
            over.store(true, Ordering::SeqCst);
            for sleeper in &capacity_signal.list.lock().unwrap().sleepers {
                sleeper.unpark();
            }
            assert!(!lost, "a ring was lost");
        });
    }
}
