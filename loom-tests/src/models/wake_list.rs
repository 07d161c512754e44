//! The list of waiters by itself: of a notifier and a waiter one sees the other, whatever happens at the
//! list meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering as Order};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use incarnation::model::atomic::{AtomicBool, Ordering, fence};
use incarnation::model::{Ticket, WakeList};

use crate::{Bounds, Model, USUAL};

/// A list, and what its two waiters wait for.
struct Waited {
    list: WakeList,
    changed: [AtomicBool; 2],
    waiters: [Waiter; 2],
}

/// Unseen by the checker.
#[derive(Default)]
struct Waiter {
    wakes: Arc<Wakes>,
    ticket: Mutex<Ticket>,
    /// It was told to sleep.
    sleeps: AtomicUsize,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Order::Relaxed);
    }
}

fn nothing_changed() -> Waited {
    Waited {
        list: WakeList::default(),
        changed: [AtomicBool::new(false), AtomicBool::new(false)],
        waiters: Default::default(),
    }
}

/// The first waiter sleeps.
fn one_sleeps() -> Waited {
    let waited = nothing_changed();
    waited.wait(0);
    waited
}

impl Waited {
    fn notify(&self, which: usize) {
        self.changed[which].store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.list.notify();
    }

    fn wait(&self, which: usize) {
        let waiter = &self.waiters[which];
        let waker = Waker::from(waiter.wakes.clone());
        self.list.enlist(&mut waiter.ticket.lock().unwrap(), &waker);
        fence(Ordering::SeqCst);
        let sleeps = !self.changed[which].load(Ordering::Relaxed);
        waiter.sleeps.store(sleeps.into(), Order::Relaxed);
    }

    fn give_up(&self, which: usize) {
        let waiter = &self.waiters[which];
        self.list.cancel(&mut waiter.ticket.lock().unwrap());
        waiter.sleeps.store(0, Order::Relaxed);
    }

    /// A waiter that sleeps although there is something to see was woken.
    fn assert_none_sleeps_on(&self) {
        for (waiter, changed) in self.waiters.iter().zip(&self.changed) {
            if waiter.sleeps.load(Order::Relaxed) == 1 && changed.load(Ordering::Relaxed) {
                assert!(waiter.wakes.0.load(Order::Relaxed) > 0, "not woken");
            }
        }
    }
}

/// A list, and a waker that looks at what it is woken for.
struct Told {
    list: WakeList,
    look: Arc<Look>,
}

struct Look {
    changed: AtomicBool,
    /// Unseen by the checker.
    saw_nothing: AtomicUsize,
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        if !self.changed.load(Ordering::Relaxed) {
            self.saw_nothing.fetch_add(1, Order::Relaxed);
        }
    }
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "wake_list::a_notification_against_an_enlisting",
            USUAL,
            nothing_changed,
            &[|w: &Waited| w.notify(0), |w: &Waited| w.wait(0)],
            Waited::assert_none_sleeps_on,
        ),
        Model::new(
            "wake_list::a_notification_while_the_list_is_held",
            USUAL,
            one_sleeps,
            &[|w: &Waited| w.notify(0), |w: &Waited| w.wait(1)],
            Waited::assert_none_sleeps_on,
        ),
        Model::new(
            "wake_list::a_notification_while_another_waiter_gives_up",
            USUAL,
            || {
                let waited = one_sleeps();
                waited.wait(1);
                waited
            },
            &[|w: &Waited| w.notify(0), |w: &Waited| w.give_up(1)],
            Waited::assert_none_sleeps_on,
        ),
        // The notifier has woken the first waiter, and finds the list held: the second one must not be left behind.
        Model::new(
            "wake_list::a_notifier_that_loses_the_list_on_its_way",
            USUAL,
            || {
                let waited = one_sleeps();
                waited.wait(1);
                waited
            },
            &[
                |w: &Waited| {
                    w.changed[1].store(true, Ordering::Relaxed);
                    w.notify(0);
                },
                |w: &Waited| {
                    let mut ticket = Ticket::default();
                    w.list.enlist(&mut ticket, Waker::noop());
                },
            ],
            Waited::assert_none_sleeps_on,
        ),
        Model::new(
            "wake_list::two_notifications_against_an_enlisting",
            Bounds::new(
                2,
                1,
                "three threads: each notifier is cut once before it tries the list; with shadows one of them",
            ),
            one_sleeps,
            &[
                |w: &Waited| w.notify(0),
                |w: &Waited| w.notify(1),
                |w: &Waited| w.wait(1),
            ],
            Waited::assert_none_sleeps_on,
        ),
        // The holder of the list wakes for a notification that it has only heard of.
        Model::new(
            "wake_list::a_waker_sees_the_change_that_it_is_woken_for",
            USUAL,
            || {
                let look = Arc::new(Look {
                    changed: AtomicBool::new(false),
                    saw_nothing: AtomicUsize::new(0),
                });
                let list = WakeList::default();
                list.enlist(&mut Ticket::default(), &Waker::from(look.clone()));
                Told { list, look }
            },
            &[
                |w: &Told| {
                    w.look.changed.store(true, Ordering::Relaxed);
                    w.list.notify();
                },
                |w: &Told| {
                    w.list.enlist(&mut Ticket::default(), Waker::noop());
                },
            ],
            |w: &Told| assert_eq!(w.look.saw_nothing.load(Order::Relaxed), 0),
        ),
    ]
}
