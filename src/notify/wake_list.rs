//! A list of waiters that a notifier wakes without ever waiting for the list itself.
//!
//! Subscribers, waits for one node, and sleeping sweepers use it. A waiter enlists a [`Waker`], looks
//! once more at what it waits for, and sleeps. A notifier changes something, and then calls
//! [`notify`](WakeList::notify). The caller of each side puts a fence between its two steps, so one of
//! the two sees the other:
//!
//! ```text
//! notifier                         waiter
//!   change                           enlist
//!   fence                            fence
//!   notify: is a waiter enlisted?    has it changed? do not sleep
//! ```
//!
//! The list is behind a lock that a notifier only tries. A notifier that does not get the lock has
//! counted its notification before it tried; the holder reads that count after it lets go, and takes
//! the notification over. So a notifier waits for no lock.
//!
//! Waiters are woken one at a time, and each leaves the list only just before it is woken. While one
//! notifier is held up inside a task's waker, the waiters behind it stay enlisted, and the next
//! notifier wakes them. A waiter that enlists again while a notification is under way is not woken by
//! that notification again, so a notification ends.
#![forbid(unsafe_code)]

use core::fmt;
use core::mem;
use core::task::Waker;
use std::collections::VecDeque;
use std::sync::{PoisonError, TryLockError};

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use crate::sync::catch_panic;
use crate::sync::{Mutex, MutexGuard};

/// The waiters for one thing.
#[derive(Debug, Default)]
pub struct WakeList {
    /// Whether the list holds a waiter. Written only by the holder of the lock.
    occupied: AtomicBool,
    /// Counts notifications that found a waiter.
    notified: AtomicU64,
    list: Mutex<List>,
}

/// The waiters in the order of their tickets.
#[derive(Default)]
struct List {
    waiters: VecDeque<(u64, Waker)>,
    /// The highest ticket drawn so far.
    last_ticket: u64,
    /// How many notifications were taken over from `notified`.
    handled: u64,
    /// Waiters with tickets up to this one are to be woken.
    due: u64,
}

/// A waiter's place in a list, kept by the waiter. A new one is in no list.
#[derive(Debug, Default)]
pub struct Ticket(u64);

impl List {
    fn position(&self, ticket: &Ticket) -> Option<usize> {
        self.waiters
            .binary_search_by_key(&ticket.0, |(ticket, _)| *ticket)
            .ok()
    }

    fn has_due(&self) -> bool {
        self.waiters
            .front()
            .is_some_and(|(ticket, _)| *ticket <= self.due)
    }
}

impl WakeList {
    /// Enlists a waiter, or replaces the waker of one that is enlisted; returns whether it is new.
    ///
    /// A new waiter must look at what it waits for once more before it sleeps, with a fence in between
    /// that pairs with the notifiers' fence. For notifiers with a SeqCst fence, the one with which this ends will do.
    pub fn enlist(&self, ticket: &mut Ticket, waker: &Waker) -> bool {
        // Cloning and dropping a waker run a task's own code, which may come back here: never under
        // the lock.
        let waker = waker.clone();
        let replaced = self.with_list(|list| {
            if let Some(position) = list.position(ticket) {
                return Some(mem::replace(&mut list.waiters[position].1, waker));
            }
            list.last_ticket += 1;
            ticket.0 = list.last_ticket;
            list.waiters.push_back((ticket.0, waker));
            None
        });
        replaced.is_none()
    }

    /// Takes a waiter out of the list, if it is in it.
    pub fn cancel(&self, ticket: &mut Ticket) {
        let ticket = mem::take(ticket);
        // Relaxed: the waiter's own enlisting is in this thread's past. Where this reads `false`
        // nevertheless, the list was empty since: a notifier took the waiter out.
        if ticket.0 == 0 || !self.occupied.load(Ordering::Relaxed) {
            return;
        }
        let cancelled = self.with_list(|list| {
            let position = list.position(&ticket)?;
            list.waiters.remove(position)
        });
        drop(cancelled);
    }

    /// Wakes the waiters, or leaves that to the thread that holds the list. One load where there are
    /// none.
    ///
    /// The caller has put a fence between its change and this call.
    #[inline]
    pub fn notify(&self) {
        // Relaxed: the callers' fences decide what is seen.
        if self.occupied.load(Ordering::Relaxed) {
            self.count();
            self.wake();
        }
    }

    /// Counts a notification, before the lock is tried.
    fn count(&self) {
        // Release: a holder that takes this notification over sees the change that it is about. Pinned by
        // `wake_list::a_waker_sees_the_change_that_it_is_woken_for`.
        self.notified.fetch_add(1, Ordering::Release);
        // SeqCst: against the fence in `let_go`. Either the lock is seen to be free, or its holder
        // sees the notification. Pinned by `wake_list::a_notification_while_the_list_is_held`.
        fence(Ordering::SeqCst);
    }

    #[cold]
    fn wake(&self) {
        // Whether waiters that this call must wake are left, which the holder may not know of.
        let mut left = false;
        loop {
            let mut list = match self.list.try_lock() {
                Ok(list) => list,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if mem::take(&mut left) => {
                    self.count();
                    continue;
                }
                Err(TryLockError::WouldBlock) => return,
            };
            // Relaxed: the fence in `let_go`, which comes before the waker is woken, acquires what `count` released.
            let notified = self.notified.load(Ordering::Relaxed);
            if list.handled != notified {
                list.handled = notified;
                list.due = list.last_ticket;
            }
            let next = if list.has_due() {
                list.waiters.pop_front()
            } else {
                None
            };
            left = list.has_due();
            let unhandled = self.let_go(list);
            if let Some((_, waker)) = next {
                // Neither the notifier nor the other waiters are to blame for a waker that panics.
                catch_panic(|| waker.wake());
            }
            if !left && !unhandled {
                return;
            }
        }
    }

    /// Lets go of the list; whether a notification came meanwhile that its holder did not see.
    fn let_go(&self, list: MutexGuard<'_, List>) -> bool {
        // Relaxed: see the field's readers.
        self.occupied
            .store(!list.waiters.is_empty(), Ordering::Relaxed);
        let handled = list.handled;
        drop(list);
        // SeqCst: against the fence in `count`. Pinned by
        // `wake_list::a_notification_while_the_list_is_held`.
        fence(Ordering::SeqCst);
        // Relaxed: the fence decides what is seen.
        self.notified.load(Ordering::Relaxed) != handled
    }

    /// Does something with the list. Waits for other threads that do, none of which runs a task's code
    /// meanwhile: so `work` neither clones, wakes nor drops a waker.
    fn with_list<R>(&self, work: impl FnOnce(&mut List) -> R) -> R {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut list);
        if self.let_go(list) {
            self.wake();
        }
        result
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("waiters", &self.waiters.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    /// Runs a function when it is woken.
    struct OnWake<F>(F);

    impl<F: Fn() + Send + Sync> Wake for OnWake<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }

    fn on_wake(wake: impl Fn() + Send + Sync + 'static) -> Waker {
        Waker::from(Arc::new(OnWake(wake)))
    }

    #[test]
    fn each_waiter_is_woken_once_in_the_order_of_enlisting() {
        let (list, woken) = (WakeList::default(), Arc::new(Mutex::new(Vec::new())));
        let mut tickets: Vec<Ticket> = (0..5).map(|_| Ticket::default()).collect();
        for (number, ticket) in tickets.iter_mut().enumerate() {
            let woken = woken.clone();
            assert!(list.enlist(ticket, &on_wake(move || woken.lock().unwrap().push(number))));
        }
        list.cancel(&mut tickets[2]);
        list.notify();
        list.notify();
        assert_eq!(*woken.lock().unwrap(), [0, 1, 3, 4]);
    }

    #[test]
    fn a_waiter_that_enlists_again_replaces_its_waker_and_keeps_its_place() {
        let (list, woken) = (WakeList::default(), Arc::new(Mutex::new(Vec::new())));
        let waker = |name| {
            let woken = woken.clone();
            on_wake(move || woken.lock().unwrap().push(name))
        };
        let (mut first, mut second) = (Ticket::default(), Ticket::default());
        assert!(list.enlist(&mut first, &waker("replaced")));
        assert!(list.enlist(&mut second, &waker("second")));
        assert!(!list.enlist(&mut first, &waker("first")));
        list.notify();
        assert_eq!(*woken.lock().unwrap(), ["first", "second"]);
        assert!(list.enlist(&mut first, &waker("again")));
    }

    #[test]
    fn a_notification_inside_a_waker_wakes_the_waiters_behind_it() {
        let list = Arc::new(WakeList::default());
        let woken = Arc::new(AtomicUsize::new(0));
        let (mut first, mut second) = (Ticket::default(), Ticket::default());
        let (inner, seen) = (list.clone(), woken.clone());
        list.enlist(
            &mut first,
            &on_wake(move || {
                inner.notify();
                assert_eq!(
                    seen.load(Ordering::Relaxed),
                    1,
                    "the waiter behind this one sleeps on"
                );
            }),
        );
        let count = woken.clone();
        list.enlist(
            &mut second,
            &on_wake(move || {
                count.fetch_add(1, Ordering::Relaxed);
            }),
        );
        list.notify();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_waiter_that_enlists_inside_its_own_waker_is_woken_once_a_notification() {
        let list = Arc::new(WakeList::default());
        let woken = Arc::new(AtomicUsize::new(0));
        let (inner, count) = (list.clone(), woken.clone());
        let again = on_wake(move || {
            count.fetch_add(1, Ordering::Relaxed);
            inner.enlist(&mut Ticket::default(), Waker::noop());
        });
        list.enlist(&mut Ticket::default(), &again);
        list.notify();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert!(
            list.occupied.load(Ordering::Relaxed),
            "enlisted for the next notification"
        );
    }

    #[test]
    fn a_notifier_that_loses_the_list_on_its_way_leaves_no_waiter_behind() {
        use std::sync::Barrier;
        use std::thread;

        let list = Arc::new(WakeList::default());
        let (held, over) = (Arc::new(Barrier::new(2)), Barrier::new(2));
        let woken = Arc::new(AtomicUsize::new(0));
        let (begin, begun) = std::sync::mpsc::channel();
        // While the first waiter is woken, another thread takes the list.
        let is_held = held.clone();
        list.enlist(
            &mut Ticket::default(),
            &on_wake(move || {
                begin.send(()).unwrap();
                is_held.wait();
            }),
        );
        let count = woken.clone();
        list.enlist(
            &mut Ticket::default(),
            &on_wake(move || {
                count.fetch_add(1, Ordering::Relaxed);
            }),
        );
        thread::scope(|scope| {
            let (list, held, over) = (&list, &held, &over);
            let holder = scope.spawn(move || {
                begun.recv().unwrap();
                list.with_list(|_| {
                    held.wait();
                    over.wait();
                });
            });
            list.notify();
            assert_eq!(woken.load(Ordering::Relaxed), 0, "the list is held");
            over.wait();
            holder.join().unwrap();
        });
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_waker_that_panics_takes_no_other_waiters_turn() {
        let list = WakeList::default();
        let woken = Arc::new(AtomicUsize::new(0));
        list.enlist(
            &mut Ticket::default(),
            &on_wake(|| std::panic::resume_unwind(Box::new("a waker's panic"))),
        );
        let count = woken.clone();
        list.enlist(
            &mut Ticket::default(),
            &on_wake(move || {
                count.fetch_add(1, Ordering::Relaxed);
            }),
        );
        list.notify();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn no_notification_is_lost_while_other_waiters_come_and_go() {
        use std::sync::Barrier;
        use std::thread;

        const ROUNDS: usize = if cfg!(miri) { 20 } else { 2_000 };
        let list = WakeList::default();
        let changed = AtomicUsize::new(0);
        let (round, over) = (Barrier::new(2), AtomicBool::new(false));
        thread::scope(|scope| {
            // Holds the list as often as it can.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut ticket = Ticket::default();
                    list.enlist(&mut ticket, Waker::noop());
                    list.cancel(&mut ticket);
                }
            });
            scope.spawn(|| {
                for number in 1..=ROUNDS {
                    round.wait();
                    changed.store(number, Ordering::Relaxed);
                    fence(Ordering::SeqCst);
                    list.notify();
                }
            });
            let me = thread::current();
            let waker = on_wake(move || me.unpark());
            let mut ticket = Ticket::default();
            for number in 1..=ROUNDS {
                round.wait();
                // A lost notification leaves this thread parked for ever.
                loop {
                    list.enlist(&mut ticket, &waker);
                    fence(Ordering::SeqCst);
                    if changed.load(Ordering::Relaxed) == number {
                        break;
                    }
                    thread::park();
                }
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}
