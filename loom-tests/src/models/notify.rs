//! Subscribers miss no final state, see what was written before they looked, and are woken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use incarnation::model::Membarrier;
use incarnation::model::atomic::{AtomicBool, Ordering as Order};
use incarnation::{Claim, Closed, Subscriber, WeakTracker};

use crate::world::{BEGIN, Chains, NODE, OTHER, World, builder, world};
use crate::{Bounds, Model, USUAL};

/// A world that is watched. Each role that subscribes has a place of its own.
struct Watched {
    world: World,
    subscribers: [Mutex<Option<Watcher>>; 2],
    /// An update has returned.
    returned: AtomicBool,
}

/// A subscriber, and what a caller of its drains knows.
struct Watcher {
    subscriber: Subscriber<u8, (), Chains>,
    wakes: Arc<Wakes>,
    /// It was told to wait.
    waits: bool,
}

/// Counts wake-ups, unseen by the checker.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Watcher {
    fn new(world: &World) -> Self {
        Self {
            subscriber: world.tracker.subscribe(),
            wakes: Arc::default(),
            waits: false,
        }
    }

    fn drain(&mut self) {
        self.subscriber.drain(|_, _| {});
    }

    /// What it last saw of a node.
    fn seen(&self, node: u8) -> Option<Claim> {
        let mut seen = self.subscriber.seen();
        seen.find(|(known, _)| **known == node)
            .map(|(_, state)| state.claim())
    }

    fn poll(&mut self) -> Poll<Result<(), Closed>> {
        let waker = Waker::from(self.wakes.clone());
        self.subscriber
            .poll_changed(&mut Context::from_waker(&waker))
    }

    fn wait(&mut self) {
        self.waits = self.poll().is_pending();
    }

    /// A watcher that waits while there is news was woken.
    fn assert_woken(&self) {
        if self.waits && self.subscriber.has_changed() {
            assert!(self.wakes.0.load(Ordering::Relaxed) > 0, "not woken");
        }
    }
}

/// A world whose only tracker is about to go.
struct Ended {
    last: Mutex<Option<World>>,
    subscribers: [Mutex<Option<Watcher>>; 2],
}

impl Ended {
    fn watcher<R>(&self, work: impl FnOnce(&mut Watcher) -> R) -> R {
        work(self.subscribers[0].lock().unwrap().as_mut().unwrap())
    }
}

/// A world whose only tracker is about to go, while a weak one may bring it back.
struct Recalled {
    last: Mutex<Option<World>>,
    weak: WeakTracker<u8, (), Chains>,
    subscriber: Mutex<Watcher>,
    /// The subscriber was told of the end.
    closed: AtomicBool,
    /// The tracker that came back wrote something.
    wrote: Mutex<bool>,
}

fn recalled() -> Recalled {
    let Watched {
        world, subscribers, ..
    } = watched();
    let [subscriber, _] = subscribers;
    Recalled {
        weak: world.tracker.downgrade(),
        last: Mutex::new(Some(World {
            handle: None,
            ..world
        })),
        subscriber: Mutex::new(subscriber.into_inner().unwrap().unwrap()),
        closed: AtomicBool::new(false),
        wrote: Mutex::default(),
    }
}

fn recall(w: &Recalled) {
    let Some(tracker) = w.weak.upgrade() else {
        return;
    };
    assert!(
        !w.closed.load(Order::Acquire),
        "a tracker came back after the end was told"
    );
    let _ = tracker.update(&NODE, Claim::alive(2), BEGIN);
    *w.wrote.lock().unwrap() = true;
}

fn listen(w: &Recalled) {
    let mut watcher = w.subscriber.lock().unwrap();
    match watcher.poll() {
        Poll::Ready(Err(Closed)) => w.closed.store(true, Order::Release),
        Poll::Ready(Ok(())) => {}
        Poll::Pending => watcher.waits = true,
    }
}

impl Watched {
    fn with<R>(&self, which: usize, work: impl FnOnce(&mut Watcher) -> R) -> R {
        let mut place = self.subscribers[which].lock().unwrap();
        work(place.get_or_insert_with(|| Watcher::new(&self.world)))
    }

    /// After a last drain a subscriber has seen what is.
    fn assert_final(&self, which: usize) {
        self.with(which, |watcher| {
            watcher.drain();
            let seen: BTreeMap<u8, Claim> = watcher
                .subscriber
                .seen()
                .map(|(node, state)| (*node, state.claim()))
                .collect();
            let truth = self.world.tracker.iter();
            let truth: BTreeMap<u8, Claim> =
                truth.map(|(node, state)| (node, state.claim())).collect();
            assert_eq!(seen, truth);
        });
    }
}

fn unwatched() -> Watched {
    Watched {
        world: world(
            builder(),
            &[(NODE, Claim::alive(1)), (OTHER, Claim::alive(1))],
        ),
        subscribers: Default::default(),
        returned: AtomicBool::new(false),
    }
}

/// The first subscriber has seen all there is.
fn watched() -> Watched {
    let watched = unwatched();
    watched.with(0, Watcher::drain);
    watched
}

/// There is something new to it, in another range than what the roles change: so it will look.
fn with_news() -> Watched {
    let watched = watched();
    let _ = watched
        .world
        .tracker
        .update(&OTHER, Claim::suspect(1), BEGIN);
    watched
}

/// Both subscribers have seen all there is, and the first one waits.
fn awaited() -> Watched {
    let watched = watched();
    watched.with(1, Watcher::drain);
    watched.with(0, Watcher::wait);
    watched
}

fn claim(watched: &Watched) {
    let _ = watched.world.claim(Claim::alive(2), BEGIN);
}

/// The subscriber has seen all there is, and one tracker is left.
fn ended() -> Ended {
    let watched = watched();
    let last = World {
        tracker: watched.world.tracker.clone(),
        handle: None,
        verdicts: Mutex::default(),
    };
    Ended {
        last: Mutex::new(Some(last)),
        subscribers: watched.subscribers,
    }
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "notify::a_change_against_the_first_look",
            USUAL,
            unwatched,
            &[claim, |w: &Watched| w.with(0, Watcher::drain)],
            |w: &Watched| w.assert_final(0),
        ),
        Model::new(
            "notify::a_mark_against_a_look",
            USUAL,
            with_news,
            &[claim, |w: &Watched| w.with(0, Watcher::drain)],
            |w: &Watched| w.assert_final(0),
        ),
        Model::new(
            "notify::a_departure_against_a_look",
            USUAL,
            with_news,
            &[
                |w: &Watched| {
                    w.world.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &Watched| w.with(0, Watcher::drain),
            ],
            |w: &Watched| w.assert_final(0),
        ),
        // The second writer may find the first one's mark and rely on it.
        Model::new(
            "notify::a_mark_that_another_writer_set",
            Bounds::new(
                2,
                1,
                "a look begins between a load and a mark of the first writer, and ends while the second one relies on \
                 it: two cuts, since a thread that ends is followed by another for free. With shadows one must do for \
                 three threads",
            ),
            with_news,
            &[
                claim,
                |w: &Watched| {
                    let _ = w.world.claim(Claim::alive(3), BEGIN);
                    w.returned.store(true, Order::Release);
                },
                |w: &Watched| {
                    w.with(0, |watcher| {
                        watcher.drain();
                        if w.returned.load(Order::Acquire) {
                            watcher.drain();
                            assert_eq!(watcher.seen(NODE), Some(Claim::alive(3)));
                        }
                    });
                },
            ],
            |w: &Watched| w.assert_final(0),
        ),
        Model::new(
            "notify::a_change_against_a_waiter",
            USUAL,
            watched,
            &[claim, |w: &Watched| w.with(0, Watcher::wait)],
            |w: &Watched| {
                w.with(0, |watcher| watcher.assert_woken());
                w.assert_final(0);
            },
        ),
        Model::new(
            "notify::a_change_against_a_waiter_where_membarrier_is_refused",
            USUAL,
            watched,
            &[claim, |w: &Watched| w.with(0, Watcher::wait)],
            |w: &Watched| {
                w.with(0, |watcher| watcher.assert_woken());
                w.assert_final(0);
            },
        )
        .on(Membarrier::Refused),
        // Then no waiter sleeps: it has itself polled again.
        Model::new(
            "notify::a_change_against_a_waiter_where_membarrier_fails_later",
            USUAL,
            watched,
            &[claim, |w: &Watched| w.with(0, Watcher::wait)],
            |w: &Watched| {
                w.with(0, |watcher| watcher.assert_woken());
                w.assert_final(0);
            },
        )
        .on(Membarrier::FailsLater),
        Model::new(
            "notify::a_change_against_two_waiters",
            Bounds::new(
                2,
                1,
                "three threads: the plain arm cuts the writer and a waiter; the shadowed one has a waiter enlist between two steps of the writer",
            ),
            || {
                let watched = watched();
                watched.with(1, Watcher::drain);
                watched
            },
            &[
                claim,
                |w: &Watched| w.with(0, Watcher::wait),
                |w: &Watched| w.with(1, Watcher::wait),
            ],
            |w: &Watched| {
                for which in [0, 1] {
                    w.with(which, |watcher| watcher.assert_woken());
                }
            },
        ),
        Model::new(
            "notify::a_change_while_the_list_is_held",
            USUAL,
            awaited,
            &[claim, |w: &Watched| w.with(1, Watcher::wait)],
            |w: &Watched| {
                for which in [0, 1] {
                    w.with(which, |watcher| watcher.assert_woken());
                }
            },
        ),
        Model::new(
            "notify::one_gives_up_waiting_and_one_does_not",
            USUAL,
            || {
                let watched = awaited();
                watched.with(1, Watcher::wait);
                watched
            },
            &[claim, |w: &Watched| {
                drop(w.subscribers[1].lock().unwrap().take());
            }],
            |w: &Watched| {
                w.with(0, |watcher| watcher.assert_woken());
                w.assert_final(0);
            },
        ),
        Model::new(
            "notify::a_waiter_that_enlists_while_another_is_woken",
            USUAL,
            awaited,
            &[claim, |w: &Watched| {
                w.with(1, |watcher| {
                    watcher.drain();
                    watcher.wait();
                });
            }],
            |w: &Watched| {
                let all_well = || {
                    for which in [0, 1] {
                        w.with(which, |watcher| watcher.assert_woken());
                    }
                };
                all_well();
                // A watcher that still waits, without news, is woken by the next change.
                let _ = w.world.claim(Claim::alive(3), BEGIN);
                all_well();
            },
        ),
        Model::new(
            "notify::a_join_against_a_look",
            USUAL,
            || {
                let watched = with_news();
                watched.world.tracker.remove(&NODE, BEGIN);
                watched.with(0, Watcher::drain);
                let _ = watched.world.tracker.update(&OTHER, Claim::alive(9), BEGIN);
                watched
            },
            &[claim, |w: &Watched| w.with(0, Watcher::drain)],
            |w: &Watched| w.assert_final(0),
        ),
        Model::new(
            "notify::the_last_tracker_against_a_waiter",
            USUAL,
            ended,
            &[
                |w: &Ended| {
                    let last = w.last.lock().unwrap().take().unwrap();
                    let _ = last.tracker.update(&NODE, Claim::alive(2), BEGIN);
                },
                |w: &Ended| {
                    w.watcher(|watcher| {
                        let answer = watcher.poll();
                        assert_ne!(
                            answer,
                            Poll::Ready(Err(Closed)),
                            "the last change was not told"
                        );
                        watcher.waits = answer.is_pending();
                    });
                },
            ],
            |w: &Ended| {
                w.watcher(|watcher| {
                    assert!(
                        !watcher.waits || watcher.wakes.0.load(Ordering::Relaxed) > 0,
                        "not woken"
                    );
                    // The last change is told before the end.
                    assert_eq!(watcher.poll(), Poll::Ready(Ok(())));
                    watcher.drain();
                    assert_eq!(watcher.seen(NODE), Some(Claim::alive(2)));
                    assert_eq!(watcher.poll(), Poll::Ready(Err(Closed)));
                });
            },
        ),
        Model::new(
            "notify::a_weak_tracker_against_the_last_tracker",
            Bounds::new(
                2,
                1,
                "the upgrade is cut between its look at the owners and its exchange: the last tracker goes there, \
                 and the subscriber is told. The plain arm has one more; with shadows one must do for three threads",
            ),
            recalled,
            &[
                |w: &Recalled| drop(w.last.lock().unwrap().take()),
                recall,
                listen,
            ],
            |w: &Recalled| {
                let mut watcher = w.subscriber.lock().unwrap();
                assert!(
                    !watcher.waits || watcher.wakes.0.load(Ordering::Relaxed) > 0,
                    "not woken"
                );
                assert!(w.weak.upgrade().is_none());
                // A change of the tracker that came back is told before the end.
                if *w.wrote.lock().unwrap() {
                    assert_eq!(watcher.poll(), Poll::Ready(Ok(())));
                    watcher.drain();
                    assert_eq!(watcher.seen(NODE), Some(Claim::alive(2)));
                }
                assert_eq!(watcher.poll(), Poll::Ready(Err(Closed)));
            },
        ),
        Model::new(
            "notify::the_last_tracker_goes_while_a_subscriber_waits",
            USUAL,
            ended,
            &[
                |w: &Ended| drop(w.last.lock().unwrap().take()),
                |w: &Ended| w.watcher(Watcher::wait),
            ],
            |w: &Ended| {
                w.watcher(|watcher| {
                    let wakes = watcher.wakes.0.load(Ordering::Relaxed);
                    assert!(!watcher.waits || wakes > 0, "not woken");
                    assert_eq!(watcher.poll(), Poll::Ready(Err(Closed)));
                });
            },
        ),
    ]
}
