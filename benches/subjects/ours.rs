//! The tracker: one pin an operation, under a held view, by handle, in batches, and unprotected.

use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use incarnation::{
    Claim, IncarnationTracker, NodeHandle, NodeState, RandomState, Timestamp, Verdict,
};

use super::{RETENTION, SEEDS, Session, State, Subject, Task, Verb, digest, hasher};

type Tracker<S = RandomState> = IncarnationTracker<SocketAddr, (), S>;

/// With the hasher that users get unless they ask for another.
fn tracker(nodes: usize) -> Tracker {
    with_hasher(nodes, RandomState::with_seeds(SEEDS))
}

fn with_hasher<S: BuildHasher + Send + Sync + 'static>(nodes: usize, hasher: S) -> Tracker<S> {
    IncarnationTracker::<SocketAddr>::builder()
        .max_nodes(nodes)
        .dead_retention(Duration::from_nanos(RETENTION))
        // The accepted claims of a benchmark rise faster than honest gossip.
        .max_incarnation_jump(u64::MAX)
        .hasher(hasher)
        .build()
        .expect("the limits fit each other")
}

#[inline(always)]
fn state(state: NodeState) -> State {
    State {
        status: state.status,
        incarnation: state.incarnation.get(),
        last_update: state.last_update.as_nanos(),
    }
}

#[inline(always)]
fn answer(verdict: Verdict) -> Result<(), u64> {
    match verdict {
        Verdict::Joined | Verdict::Applied { .. } => Ok(()),
        Verdict::Duplicate { current } | Verdict::Stale { current } => {
            Err(current.incarnation().get())
        }
        _ => Err(0),
    }
}

#[inline(always)]
fn at(last_update: u64) -> Timestamp {
    Timestamp::from_nanos(last_update)
}

macro_rules! subject {
    ($(#[$doc:meta])* $name:ident($tracker:ty, |$nodes:ident| $make:expr), $id:literal, $session:ty, $batched:literal, |$task:ident| $can:expr, |$this:ident| $open:expr) => {
        $(#[$doc])*
        pub struct $name($tracker);

        impl Subject for $name {
            const ID: &'static str = $id;
            const BATCHED: bool = $batched;
            type Session<'s> = $session;

            fn with_capacity($nodes: usize) -> Self {
                Self($make)
            }

            #[inline(always)]
            fn session(&self) -> Self::Session<'_> {
                let $this = self;
                $open
            }

            fn can($task: Task) -> bool {
                $can
            }

            fn sweep(&self, last_update: u64) {
                let _ = self.0.sweep(at(last_update));
            }
        }
    };
}

subject! {
    /// A pin for each operation.
    PerOperation(Tracker, |nodes| tracker(nodes)), "incarnation", &'s Tracker, false, |_task| true, |this| &this.0
}
subject! {
    /// A pin for each operation, and the hasher of the peers. For lookups only.
    SameHasher(Tracker<ahash::RandomState>, |nodes| with_hasher(nodes, hasher())), "incarnation-same-hasher", &'s Tracker<ahash::RandomState>, false, |task| task.verb == Verb::Lookup, |this| &this.0
}
subject! {
    /// A view held for many operations.
    View(Tracker, |nodes| tracker(nodes)), "incarnation-view", incarnation::View<'s>, false, |_task| true, |this| this.0.pin()
}
subject! {
    /// A pin for each batch of 32, whose cache misses overlap.
    Batch(Tracker, |nodes| tracker(nodes)), "incarnation-batch", Batched<'s>, true, |task| !task.one_node && matches!(task.verb, Verb::Packet | Verb::Lookup), |this| Batched(&this.0)
}
subject! {
    /// The floor: no protection at all. For lookups only.
    Unprotected(Tracker, |nodes| tracker(nodes)), "incarnation-unprotected", Floor<'s>, false, |task| task.verb == Verb::Lookup, |this| Floor(&this.0)
}

macro_rules! by_tracker {
    ($name:ty, [$($generics:tt)*], |$this:ident| $iter:expr) => {
        impl $($generics)* Session for $name {
            #[inline(always)]
            fn lookup(&self, node: &SocketAddr) -> Option<State> {
                self.get(node).map(state)
            }

            #[inline(always)]
            fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
                answer(self.update(node, claim, at(last_update)))
            }

            #[inline(always)]
            fn remove(&self, node: &SocketAddr, last_update: u64) -> bool {
                // Not the method of this trait, which this one would call for ever.
                let $this = self;
                $this.take_out(node, at(last_update))
            }

            fn iterate(&self) -> u64 {
                let $this = self;
                $iter
            }
        }
    };
}

/// Removal under a name that no trait here has.
trait TakeOut {
    fn take_out(&self, node: &SocketAddr, now: Timestamp) -> bool;
}

impl<S: BuildHasher> TakeOut for Tracker<S> {
    #[inline(always)]
    fn take_out(&self, node: &SocketAddr, now: Timestamp) -> bool {
        IncarnationTracker::remove(self, node, now).is_some()
    }
}

impl TakeOut for incarnation::View<'_> {
    #[inline(always)]
    fn take_out(&self, node: &SocketAddr, now: Timestamp) -> bool {
        incarnation::View::remove(self, node, now).is_some()
    }
}

fn sum<S: BuildHasher>(view: &incarnation::View<'_, SocketAddr, (), S>) -> u64 {
    view.iter().fold(0, |sum: u64, (node, found)| {
        sum.wrapping_add(digest(node, state(found)))
    })
}

by_tracker!(&Tracker, [], |this| this.with(sum));
by_tracker!(&Tracker<ahash::RandomState>, [], |this| this.with(sum));
by_tracker!(incarnation::View<'s>, [<'s>], |this| sum(this));

/// Packets and lookups in batches.
pub struct Batched<'s>(&'s Tracker);

impl Session for Batched<'_> {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        self.0.get(node).map(state)
    }

    #[inline(always)]
    fn lookups(&self, nodes: &[SocketAddr], mut each: impl FnMut(Option<State>)) {
        self.0
            .with(|view| view.states(nodes, |_, found| each(found.map(state))));
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        answer(self.0.update(node, claim, at(last_update)))
    }

    #[inline(always)]
    fn packet(&self, claims: &[(SocketAddr, Claim)], last_update: u64) -> usize {
        let mut accepted = 0;
        self.0.with(|view| {
            view.update_batch(claims, at(last_update), |_, verdict| {
                accepted += usize::from(verdict.accepted());
            });
        });
        accepted
    }

    fn remove(&self, node: &SocketAddr, last_update: u64) -> bool {
        self.0.remove(node, at(last_update)).is_some()
    }

    fn iterate(&self) -> u64 {
        self.0.with(sum)
    }
}

/// Lookups without a pin.
pub struct Floor<'s>(&'s Tracker);

impl Session for Floor<'_> {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        // SAFETY: this subject is measured in lookups only, during which nothing is removed.
        unsafe { self.0.get_unprotected(node) }.map(state)
    }

    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        answer(self.0.update(node, claim, at(last_update)))
    }

    fn remove(&self, node: &SocketAddr, last_update: u64) -> bool {
        self.0.remove(node, at(last_update)).is_some()
    }

    fn iterate(&self) -> u64 {
        self.0.with(sum)
    }
}

/// The handles of a few nodes, as connection objects keep them.
pub struct Handle {
    tracker: Tracker,
    handles: [OnceLock<NodeHandle>; MOST_HANDLES],
    /// Which of them is in use.
    hot: AtomicUsize,
}

const MOST_HANDLES: usize = 64;

impl Subject for Handle {
    const ID: &'static str = "incarnation-handle";
    type Session<'s> = ByHandle<'s>;

    fn with_capacity(nodes: usize) -> Self {
        Self {
            tracker: tracker(nodes),
            handles: [const { OnceLock::new() }; MOST_HANDLES],
            hot: AtomicUsize::new(0),
        }
    }

    #[inline(always)]
    fn session(&self) -> ByHandle<'_> {
        ByHandle {
            tracker: &self.tracker,
            hot: self.handles[self.hot.load(Relaxed)].get(),
        }
    }

    fn can(task: Task) -> bool {
        task.one_node
    }

    fn prepare(&self, hot: &SocketAddr) {
        let is_its = |slot: &OnceLock<NodeHandle>| slot.get().is_none_or(|one| one.key() == hot);
        let slot = self.handles.iter().position(is_its);
        let slot = slot.expect("no more nodes take turns at being the hot one");
        self.handles[slot].get_or_init(|| self.tracker.handle(hot).expect("a known node"));
        self.hot.store(slot, Relaxed);
    }
}

/// Operations on the one node; on the tracker until it is known.
pub struct ByHandle<'s> {
    tracker: &'s Tracker,
    hot: Option<&'s NodeHandle>,
}

impl Session for ByHandle<'_> {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        match self.hot {
            Some(handle) => handle.state().map(state),
            None => self.tracker.get(node).map(state),
        }
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        match self.hot {
            Some(handle) => handle.update(claim, at(last_update)).map_or(Err(0), answer),
            None => answer(self.tracker.update(node, claim, at(last_update))),
        }
    }

    fn remove(&self, node: &SocketAddr, last_update: u64) -> bool {
        self.tracker.remove(node, at(last_update)).is_some()
    }

    fn iterate(&self) -> u64 {
        self.tracker.with(sum)
    }
}
