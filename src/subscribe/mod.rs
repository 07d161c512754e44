//! Subscriptions: what changed since I last looked?
//!
//! State, not events: a [`Subscriber`] keeps a copy of what it saw, learns *that* something changed,
//! and on its next look is told of each node whose latest state differs from its copy. It may sleep as
//! long as it likes. The copy is by key, since a node that leaves and comes back meanwhile gets another
//! place in the table and is still one node; and by place, since marks and comparisons are.
#![forbid(unsafe_code)]

#[cfg(feature = "stream")]
mod stream;

use core::fmt;
use core::future::Future;
use core::hash::{BuildHasher, Hash};
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};
#[cfg(not(incarnation_loom))]
use core::time::Duration;
use std::net::SocketAddr;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::hash::RandomState;
use crate::notify::marks::{RANGE, Subscription};
use crate::rule::PackedState;
use crate::sync::Arc;
use crate::table::{Node, Pinned};
use crate::time::Timestamp;
use crate::tracker::core::Core;
use crate::tracker::{IncarnationTracker, NodeState};

#[cfg(feature = "stream")]
pub use stream::Changes;

/// How a node differs from what a subscriber last saw of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// It was not in the table, and is now.
    Joined {
        /// Its state.
        current: NodeState,
    },
    /// Its status or incarnation is another one. Not necessarily a higher one: it may have left the
    /// table and come back to it since.
    Changed {
        /// The state last seen.
        previous: NodeState,
        /// Its state.
        current: NodeState,
    },
    /// It is no longer in the table.
    Gone {
        /// The state last seen.
        last: NodeState,
    },
}

/// Learns what changed in a tracker, at its own pace; made by [`IncarnationTracker::subscribe`].
///
/// - It sees the latest states: each [`drain`](Self::drain) tells of the nodes that differ from what
///   it last saw, whatever happened in between. A node that is back at the state last seen has not
///   changed. The first drain tells of every node there is.
/// - It misses no final state: a change is in the table before anyone is told of it, and a drain that
///   begins after an *accepted* update returned sees that update's state or a later one. (Whoever is told that a
///   claim is a duplicate may know of it a moment earlier than subscribers do.)
/// - It costs the writers nothing while it sleeps: they wake it once, if it waits, and mark each part
///   of the table once between two of its drains.
///
/// It keeps a copy of what it saw: about 60 bytes and a key for each place of the table that was ever
/// used. It belongs to one thread at a time, and keeps the table alive. Drop it to unsubscribe.
///
/// Waiting may end without a difference to show (a change may be undone by another, or have been seen
/// already): drain and wait again. Who wants news at most every so often sleeps between
/// the two.
///
/// ```
/// use incarnation::{Change, Claim, IncarnationTracker, Timestamp};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
/// let mut subscriber = tracker.subscribe();
/// subscriber.drain(|_, _| {}); // what there is already
///
/// let writer = tracker.clone();
/// std::thread::spawn(move || {
///     let _ = writer.update(&"a:1".into(), Claim::alive(1), Timestamp::ZERO);
///     let _ = writer.update(&"a:1".into(), Claim::suspect(1), Timestamp::ZERO);
/// })
/// .join()
/// .unwrap();
///
/// assert!(subscriber.wait(Duration::from_secs(10)));
/// subscriber.drain(|node, change| match change {
///     Change::Joined { current } => assert_eq!(current.claim(), Claim::suspect(1)),
///     _ => unreachable!("{node} was not there before"),
/// });
/// # Ok(()) }
/// ```
pub struct Subscriber<K = SocketAddr, D = (), S = RandomState> {
    core: Arc<Core<K, D, S>>,
    subscription: Subscription,
    seen: Seen<K>,
}

/// The copy.
struct Seen<K> {
    /// By place: the life last seen there.
    places: Vec<Option<Record<K>>>,
    /// Lives that were found to be over, until it is clear whether their nodes are, too.
    over: Vec<Option<Record<K>>>,
    /// By key: where the node's record is. Every record has its key in here. The hash is kept beside it, so that
    /// no key's code runs while the table grows or puts itself in order: a panic there would lose some.
    spots: HashTable<(u64, Spot)>,
}

/// What was last seen of a node.
struct Record<K> {
    key: K,
    generation: u64,
    packed: PackedState,
    last_update: Timestamp,
}

/// Where a record is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spot {
    Place(u32),
    Over(usize),
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// A new subscriber, to which everything is news. Any number of them may exist, and each sees
    /// everything.
    ///
    /// Where somebody subscribes, an accepted claim pays four loads more, and marks its part of the
    /// table if that was looked at since it was marked last. With nobody, it pays one load.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber<K, D, S> {
        let core = self.core().clone();
        Subscriber {
            subscription: core.notify.subscribe(),
            core,
            seen: Seen {
                places: Vec::new(),
                over: Vec::new(),
                spots: HashTable::new(),
            },
        }
    }
}

impl<K, D, S> Subscriber<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Calls `each` for every node whose state differs from what this subscriber last saw, and
    /// returns how many there were. Only status and incarnation count as state.
    ///
    /// `each` may use the tracker. If it panics, the change it was called with counts as seen, and the
    /// next drain goes on behind it.
    ///
    /// Cost: one load if nothing happened. Else two fences (one that all cores take part in), a
    /// mark for each 32 places of the table, and the entries of the marked ones. No locks.
    pub fn drain(&mut self, mut each: impl FnMut(&K, Change)) -> usize {
        let Self {
            core,
            subscription,
            seen,
        } = self;
        let mut count = 0;
        let mut each = |node: &K, change| {
            count += 1;
            each(node, change);
        };
        let hash = |key: &K| core.hasher.hash_one(key);
        if let Some(look) = core.notify.look(core.table.domain(), subscription) {
            let mut pinned = core.table.pin();
            let mark = pinned.mark();
            if seen.places.len() <= mark as usize {
                seen.places.resize_with(mark as usize + 1, || None);
            }
            for range in 0..=mark / RANGE {
                if !core.notify.is_marked(range, &look) {
                    continue;
                }
                let first = range * RANGE;
                for place in first..=mark.min(first + RANGE - 1) {
                    seen.compare(place, &pinned, hash, &mut each);
                }
                pinned.repin();
            }
            core.notify.looked(look, subscription);
        }
        seen.take_leave(hash, &mut each);
        count
    }

    /// Whether anything happened since the last [`drain`](Self::drain). One load.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        // Somebody is still to be told of where a drain's callback panicked.
        !self.seen.over.is_empty() || self.core.notify.has_news(&self.subscription)
    }

    /// Waits until something happened since the last [`drain`](Self::drain): at once, if it has
    /// already, and the first time always.
    ///
    /// Works with any async runtime. Cancel-safe: dropping the future loses nothing. The future is
    /// `Send`.
    ///
    /// ```
    /// # use incarnation::{Change, IncarnationTracker, Subscriber};
    /// async fn log(mut subscriber: Subscriber<String>) {
    ///     loop {
    ///         subscriber.changed().await;
    ///         subscriber.drain(|node, change| println!("{node}: {change:?}"));
    ///     }
    /// }
    /// ```
    pub fn changed(&mut self) -> Changed<'_, K, D, S> {
        Changed { subscriber: self }
    }

    /// The same for threads: waits at most for `timeout`, and says whether anything happened.
    #[cfg(not(incarnation_loom))]
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let deadline = std::time::Instant::now().checked_add(timeout);
        let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
        let mut context = Context::from_waker(&waker);
        let mut changed = self.changed();
        while Pin::new(&mut changed).poll(&mut context).is_pending() {
            match deadline {
                None => std::thread::park(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(std::time::Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    std::thread::park_timeout(left);
                }
            }
        }
        true
    }

    /// What this subscriber last saw, in no particular order: what its drains amount to.
    pub fn seen(&self) -> impl Iterator<Item = (&K, NodeState)> {
        let records = self.seen.places.iter().chain(&self.seen.over);
        records
            .flatten()
            .map(|record| (&record.key, record.state()))
    }
}

impl<K> Record<K> {
    fn state(&self) -> NodeState {
        NodeState::new(self.packed, self.last_update)
    }
}

impl<K: Eq + Hash + Clone> Seen<K> {
    /// Compares a place of the table with its record, tells of a difference, and records it.
    fn compare<D>(
        &mut self,
        place: u32,
        pinned: &Pinned<'_, K, D>,
        hash: impl Fn(&K) -> u64,
        each: &mut impl FnMut(&K, Change),
    ) {
        let live = pinned.at(place);
        let record = &mut self.places[place as usize];
        match (record, live) {
            (None, None) => {}
            (Some(record), Some((node, packed))) if record.generation == node.generation() => {
                if record.packed != packed {
                    let previous = record.state();
                    (record.packed, record.last_update) = (packed, node.last_update());
                    let current = record.state();
                    each(&record.key, Change::Changed { previous, current });
                }
            }
            (_, live) => {
                self.end(place, &hash);
                if let Some((node, packed)) = live {
                    self.begin(place, node, packed, hash, each);
                }
            }
        }
    }

    /// The life recorded at a place, if there is one, is over.
    fn end(&mut self, place: u32, hash: impl Fn(&K) -> u64) {
        let Some(record) = &self.places[place as usize] else {
            return;
        };
        let (hash, over) = (hash(&record.key), Spot::Over(self.over.len()));
        if let Some((_, spot)) = self
            .spots
            .find_mut(hash, |(_, spot)| *spot == Spot::Place(place))
        {
            *spot = over;
        }
        self.over.push(self.places[place as usize].take());
    }

    /// A life has begun at a place: of a new node, or of one known from another place.
    fn begin<D>(
        &mut self,
        place: u32,
        node: Node<'_, K, D>,
        packed: PackedState,
        hash: impl Fn(&K) -> u64,
        each: &mut impl FnMut(&K, Change),
    ) {
        let record = Record {
            key: node.key().clone(),
            // After the packed state, which is live: it is this life's.
            generation: node.generation(),
            packed,
            last_update: node.last_update(),
        };
        let Self {
            places,
            over,
            spots,
        } = self;
        let key_at = |spot: &Spot| match *spot {
            Spot::Place(place) => places[place as usize].as_ref(),
            Spot::Over(number) => over[number].as_ref(),
        };
        let hash = hash(&record.key);
        let known = spots.entry(
            hash,
            |(_, spot)| key_at(spot).is_some_and(|known| known.key == record.key),
            |(hash, _)| *hash,
        );
        let previous = match known {
            Entry::Vacant(spot) => {
                spot.insert((hash, Spot::Place(place)));
                None
            }
            Entry::Occupied(mut spot) => {
                match mem::replace(&mut spot.get_mut().1, Spot::Place(place)) {
                    Spot::Place(before) => places[before as usize].take(),
                    Spot::Over(number) => over[number].take(),
                }
            }
        };
        let current = record.state();
        let record = places[place as usize].insert(record);
        match previous.map(|previous| previous.state()) {
            None => each(&record.key, Change::Joined { current }),
            Some(previous) if previous.claim() != current.claim() => {
                each(&record.key, Change::Changed { previous, current });
            }
            Some(_) => {}
        }
    }

    /// Tells of the nodes whose lives are over and that were not found living another.
    fn take_leave(&mut self, hash: impl Fn(&K) -> u64, each: &mut impl FnMut(&K, Change)) {
        while let Some(last) = self.over.last() {
            // While the record is still there for the next drain, since this may panic.
            let hash = last.as_ref().map_or(0, |record| hash(&record.key));
            let Some(record) = self.over.pop().flatten() else {
                continue;
            };
            let spot = Spot::Over(self.over.len());
            let known = self.spots.find_entry(hash, |(_, known)| *known == spot);
            if let Ok(known) = known {
                known.remove();
            }
            let last = record.state();
            each(&record.key, Change::Gone { last });
        }
    }
}

impl<K, D, S> Subscriber<K, D, S> {
    /// As [`changed`](Self::changed), for futures written by hand: the latest waker is woken once,
    /// until it is polled again.
    pub fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let domain = self.core.table.domain();
        let notify = &self.core.notify;
        if !self.seen.over.is_empty() || notify.wait(domain, &self.subscription, context.waker()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl<K, D, S> Drop for Subscriber<K, D, S> {
    fn drop(&mut self) {
        self.core.notify.unsubscribe(&self.subscription);
    }
}

impl<K, D, S> fmt::Debug for Subscriber<K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("seen", &self.seen.spots.len())
            .field(
                "has_changed",
                &self.core.notify.has_news(&self.subscription),
            )
            .finish_non_exhaustive()
    }
}

/// Resolves when something happened since the last drain; made by [`Subscriber::changed`].
#[must_use = "futures do nothing unless awaited"]
pub struct Changed<'s, K, D, S> {
    subscriber: &'s mut Subscriber<K, D, S>,
}

impl<K, D, S> Future for Changed<'_, K, D, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.subscriber.poll_changed(context)
    }
}

impl<K, D, S> Drop for Changed<'_, K, D, S> {
    fn drop(&mut self) {
        let Subscriber {
            core, subscription, ..
        } = &*self.subscriber;
        core.notify.cancel(subscription);
    }
}

impl<K, D, S> fmt::Debug for Changed<'_, K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed")
            .field("subscriber", &self.subscriber)
            .finish()
    }
}

/// Wakes a thread.
#[cfg(not(incarnation_loom))]
struct Unpark(std::thread::Thread);

#[cfg(not(incarnation_loom))]
impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}
