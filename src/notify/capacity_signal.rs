//! The capacity signal: a claim that is refused for lack of room wakes the sweepers early.
//!
//! Only refused claims notify, and only the first one after a sweep does more than a fence and a load:
//! it sets the signal, and the next sweep takes it back before it begins. That sweep sees what the
//! caller of a refused claim had done before the refusal, so no refused claim goes without a sweep:
//!
//! ```text
//! claim                                  sweeper
//!   (make something evictable)             take the signal back
//!   refused                                fence
//!   fence                                  sweep
//!   signal set already? done               enlist
//!   set it, wake the sleepers              signal set again? sweep; else sleep
//! ```
//!
//! Sleeping sweepers are waiters of a [`WakeList`], so neither a claim nor a sweeper waits for the
//! other.
#![forbid(unsafe_code)]

use core::task::Waker;

use super::wake_list::{Ticket, WakeList};
use crate::sync::atomic::{AtomicBool, Ordering, fence};

#[derive(Debug, Default)]
pub(crate) struct CapacitySignal {
    /// Whether a claim was refused since the last sweep began.
    pending: AtomicBool,
    sleepers: WakeList,
}

impl CapacitySignal {
    /// A claim was refused for lack of room.
    #[cold]
    pub(crate) fn notify(&self) {
        // SeqCst: against the fence in `begin_sweep`. Either the sweep that follows sees what was done
        // before this call, or this call sees the signal taken back. Pinned by
        // `capacity_signal::a_refusal_inside_a_view_is_swept_for`.
        fence(Ordering::SeqCst);
        // Relaxed, both: the fence decides what is seen.
        if self.pending.load(Ordering::Relaxed) || self.pending.swap(true, Ordering::Relaxed) {
            return;
        }
        // SeqCst: against the fence behind a sweeper's enlisting. Either the sweeper sees the signal,
        // or this call sees the sweeper. Pinned by `capacity_signal::a_refusal_inside_a_view_is_swept_for`.
        fence(Ordering::SeqCst);
        self.sleepers.notify();
    }

    /// A sweeper that `waker` wakes.
    pub(crate) fn sleeper(&self, waker: Waker) -> Sleeper<'_> {
        Sleeper {
            signal: self,
            ticket: Ticket::default(),
            waker,
        }
    }
}

/// A sweeper that sleeps until a claim is refused.
#[derive(Debug)]
pub(crate) struct Sleeper<'a> {
    signal: &'a CapacitySignal,
    ticket: Ticket,
    waker: Waker,
}

impl Sleeper<'_> {
    /// Has the sweeper woken by the next refused claim. To be called before it looks at
    /// [`is_pending`](Self::is_pending) and sleeps.
    pub(crate) fn enlist(&mut self) {
        // It ends with a fence, which stands against the second one in `notify`.
        self.signal.sleepers.enlist(&mut self.ticket, &self.waker);
    }

    /// Whether a claim was refused since the last sweep began.
    pub(crate) fn is_pending(&self) -> bool {
        // Relaxed: the fence in `enlist` decides what is seen.
        self.signal.pending.load(Ordering::Relaxed)
    }

    /// A sweep begins: claims that are refused from here on notify again.
    pub(crate) fn begin_sweep(&self) {
        // Relaxed: see the fence. An exchange, as in `notify`: the checker has a wrong idea of stores
        // among exchanges.
        self.signal.pending.swap(false, Ordering::Relaxed);
        // SeqCst: against the first fence in `notify`: this sweep serves a claim that still saw the
        // signal set. Pinned by `capacity_signal::a_refusal_inside_a_view_is_swept_for`.
        fence(Ordering::SeqCst);
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.signal.sleepers.cancel(&mut self.ticket);
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_takes_the_signal_back() {
        let signal = CapacitySignal::default();
        let sleeper = signal.sleeper(Waker::noop().clone());
        assert!(!sleeper.is_pending());
        signal.notify();
        assert!(sleeper.is_pending());
        sleeper.begin_sweep();
        assert!(!sleeper.is_pending());
    }

    #[test]
    fn no_refusal_is_lost_while_an_earlier_one_wakes_many_sleepers() {
        use std::sync::Barrier;
        use std::sync::atomic::AtomicU64;
        use std::thread;

        // Miri runs each step a thousand times more slowly.
        const SLEEPERS: usize = if cfg!(miri) { 4 } else { 64 };
        const ROUNDS: u64 = if cfg!(miri) { 4 } else { 200 };
        let signal = CapacitySignal::default();
        let (swept, work, seen) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let over = AtomicBool::new(false);
        let enlisted = Barrier::new(2);
        let sleep = |sleeper: &mut Sleeper<'_>| {
            sleeper.enlist();
            while !sleeper.is_pending() && !over.load(Ordering::SeqCst) {
                thread::park();
                sleeper.enlist();
            }
        };
        thread::scope(|scope| {
            // The first in the list: it is woken while the others are not yet.
            let first = scope.spawn(|| {
                let mut sleeper = signal.sleeper(crate::notify::unpark_current());
                sleeper.enlist();
                enlisted.wait();
                while !over.load(Ordering::SeqCst) {
                    sleeper.begin_sweep();
                    seen.store(work.load(Ordering::SeqCst), Ordering::SeqCst);
                    swept.fetch_add(1, Ordering::SeqCst);
                    sleep(&mut sleeper);
                }
            });
            enlisted.wait();
            let mut others = Vec::new();
            for _ in 0..SLEEPERS {
                others.push(scope.spawn(|| {
                    let mut sleeper = signal.sleeper(crate::notify::unpark_current());
                    sleeper.enlist();
                    enlisted.wait();
                    while !over.load(Ordering::SeqCst) {
                        thread::park();
                        sleeper.enlist();
                    }
                }));
                enlisted.wait();
            }
            for round in 1..=ROUNDS {
                let before = swept.load(Ordering::SeqCst);
                let refused = scope.spawn(|| signal.notify());
                while swept.load(Ordering::SeqCst) == before {
                    thread::yield_now();
                }
                work.store(round, Ordering::SeqCst);
                signal.notify();
                refused.join().unwrap();
                // A lost refusal leaves this thread here for ever.
                while seen.load(Ordering::SeqCst) != round {
                    thread::yield_now();
                }
            }
            over.store(true, Ordering::SeqCst);
            for sleeper in [first].iter().chain(&others) {
                sleeper.thread().unpark();
            }
        });
    }
}
