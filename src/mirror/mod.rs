//! Keeps a tracker equal to the member list of another membership engine, so that any thread can read the members
//! without a lock.
//!
//! The engine (foca, chitchat, a health checker, a registry's watch) belongs to one thread or sits behind a lock. A
//! [`Mirror`] copies what it says of its members into a tracker, and the tracker's readers and subscribers do the rest.
//! For the engine foca there is an adapter, `incarnation::foca`, behind the feature of that name.
//!
//! An engine takes part in one of two ways:
//!
//! - It can list its members: call [`Mirror::run`] for each call into it, or [`Mirror::reconcile`] after it.
//! - It reports one judgement at a time: call [`Mirror::set`] and [`Mirror::forget`].
//!
//! # Numbers and incarnations
//!
//! With each member an engine gives a number: its incarnation, its version, its start time, or 0 if it has none. The
//! mirror compares that number for equality only. A tracker needs more: within one incarnation a node's status only
//! rises (Alive, Suspect, Dead), and incarnations never fall. So the mirror counts incarnations of its own. A member
//! whose status rises from Alive on at the same number keeps its incarnation; any other change raises it by 1. A member that the
//! engine forgot and meets again begins above every incarnation that was forgotten.
//!
//! # Two members with one key
//!
//! An engine that knows its members by address can list two of them with one name, while a name moves to another
//! address. The mirror shows the one that runs: Alive before Suspect, Suspect before Unconfirmed, and those before Dead
//! and Left. Between equals it keeps the one that it shows. The choice does not depend on the order of the list, so it
//! settles, and subscribers are not woken again. [`Reconciled::conflicts`] counts the members that are not shown for that reason.
//!
//! # Room
//!
//! A mirror shows at most [`max_nodes`](crate::Builder::max_nodes) members. A running member (Alive, Suspect or
//! Unconfirmed) that finds no room takes that of the member that has been Dead or Left for longest.
//! [`Reconciled::left_out`] counts the members that found none.
#![forbid(unsafe_code)]

mod observed;
mod reconcile;
mod write;

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

pub use self::observed::{Engine, MemberChange, Observed, Reconciled};

use self::write::Written;
use crate::hash::RandomState;
use crate::rule::{Incarnation, PackedState};
use crate::table::{EntryState, Node};
use crate::time::Timestamp;
use crate::tracker::{Builder, IncarnationTracker, NodeState, Slot, View};

/// A builder of a tracker that mirrors at most so many members. The tracker keeps no tombstones, and its sweeps evict
/// no member, because the engine decides which members are forgotten.
///
/// Set no [`local_node`](Builder::local_node) on it if the engine's list may hold that key: claims about the local node
/// are never applied.
pub fn builder<K>(members: usize) -> Builder<K>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
{
    IncarnationTracker::builder()
        .max_nodes(members)
        // A mirror stays below it, so no sweep finds the table full.
        .hard_limit(members.saturating_add(1))
        .eviction_headroom(0)
        .max_tombstones(0)
        .dead_retention(Duration::MAX)
        .unconfirmed_timeout(None)
        .suspect_timeout(None)
}

/// Keeps a tracker equal to the members of one engine. See the [module](self) for the rules.
///
/// It must be the only writer of the tracker. A change that another writer makes is corrected by the next
/// reconciliation. The mirror remembers 32 bytes for each slot of the table that was ever used.
///
/// ```
/// use incarnation::Status::{self, Alive, Dead, Suspect};
/// use incarnation::Timestamp;
/// use incarnation::mirror::{self, Engine, Mirror, Observed};
/// # fn main() -> Result<(), incarnation::BuildError> {
/// let tracker = mirror::builder::<&str>(1_000).build()?; // clone it for each reader
/// let mut mirror = Mirror::new(tracker.clone());
///
/// // Any engine: here a list of names, statuses and version numbers.
/// struct MyEngine(Vec<(&'static str, Status, u64)>);
/// impl Engine<&'static str> for MyEngine {
///     fn members(&self) -> impl Iterator<Item = Observed<&'static str>> {
///         self.0.iter().map(|member| Observed::from(*member))
///     }
/// }
/// let mut engine = MyEngine(vec![("a", Alive, 7), ("b", Alive, 3)]);
///
/// // After each call into the engine the tracker says the same as it does.
/// let (_, report) = mirror.run(&mut engine, Timestamp::ZERO, |engine| {
///     engine.0.push(("c", Alive, 1));
/// });
/// assert_eq!(report.joined, 3);
/// let (_, report) = mirror.run(&mut engine, Timestamp::ZERO, |engine| {
///     engine.0[0] = ("a", Suspect, 7);
///     engine.0[1] = ("b", Dead, 2); // a lower number: the rules are the engine's own
/// });
/// assert_eq!(report.changed, 2);
/// assert_eq!(tracker.get("b").map(|state| state.status), Some(Dead));
/// # Ok(()) }
/// ```
pub struct Mirror<K, D = (), S = RandomState> {
    tracker: IncarnationTracker<K, D, S>,
    /// By slot index: what the mirror wrote there last.
    written: Vec<Written>,
    /// How many reconciliations have begun.
    round: u64,
    /// The incarnation at which members join: above that of every member that was forgotten.
    first_incarnation: Incarnation,
}

impl<K, D, S> Mirror<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// A mirror of an engine that has no members yet, or whose members the first reconciliation enters.
    pub fn new(tracker: IncarnationTracker<K, D, S>) -> Self {
        Self {
            tracker,
            written: Vec::new(),
            round: 0,
            first_incarnation: Incarnation::ZERO,
        }
    }

    /// The tracker that the mirror writes to.
    pub const fn tracker(&self) -> &IncarnationTracker<K, D, S> {
        &self.tracker
    }

    /// The number that the engine gave with the state that is shown of a member. Cost: a lookup.
    #[must_use]
    pub fn number(&self, key: &K) -> Option<u64> {
        let view = self.tracker.pin();
        let (node, shown) = find(&view, key)?;
        let written = self.written.get(slot_of(node).index)?;
        let is_current = written.generation == node.generation() && written.packed == Some(shown);
        is_current.then_some(written.number)
    }

    /// Calls into the engine and then [reconciles](Self::reconcile) with the list of its members. This is the usual way of
    /// use: no call into the engine can be left without its reconciliation.
    pub fn run<E, R>(
        &mut self,
        engine: &mut E,
        now: Timestamp,
        call: impl FnOnce(&mut E) -> R,
    ) -> (R, Reconciled)
    where
        E: Engine<K>,
    {
        let result = call(engine);
        let report = self.reconcile(engine.members(), now);
        (result, report)
    }

    /// Makes the tracker equal to the list of all members of the engine.
    ///
    /// Cost: a lookup a member. Nothing is written for members that did not change. Members that did are written one by
    /// one, and a list that lacks some leads to one pass over the table. Readers never wait. The keys of the list are
    /// compared and hashed while the mirror holds a view, so the list's iterator should not block.
    pub fn reconcile<I>(&mut self, members: I, now: Timestamp) -> Reconciled
    where
        I: IntoIterator<Item: Into<Observed<K>>>,
    {
        self.reconcile_with(members, now, |_, _, _| {})
    }

    /// The same, and calls `on_change` for each member that joins, changes or leaves the tracker, with its slot: for
    /// connections and side arrays. `on_change` runs while the mirror holds a view: it may use the tracker's readers,
    /// and should not block.
    pub fn reconcile_with<I>(
        &mut self,
        members: I,
        now: Timestamp,
        mut on_change: impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> Reconciled
    where
        I: IntoIterator<Item: Into<Observed<K>>>,
    {
        self.reconcile_list(members, now, &mut on_change)
    }

    /// Puts what the engine says of one member to the tracker, for engines that report one judgement at a time: failure
    /// detectors whose judgement goes up and down, health checks, switches that people set.
    ///
    /// Alive after Suspect or Dead at the same number is a change like any other: the mirror raises its incarnation. A
    /// member that is shown already, in this state, is not written again.
    ///
    /// Cost: two lookups; with a change, that of [`update`](IncarnationTracker::update). A running member that finds no
    /// room costs a pass over the table.
    ///
    /// ```
    /// use incarnation::mirror::{self, Mirror};
    /// use incarnation::{Status, Timestamp};
    /// # fn main() -> Result<(), incarnation::BuildError> {
    /// let mut mirror = Mirror::new(mirror::builder::<u32>(100).build()?);
    /// for status in [Status::Alive, Status::Suspect, Status::Alive, Status::Dead, Status::Alive] {
    ///     let report = mirror.set((7, status, 0), Timestamp::ZERO);
    ///     assert_eq!(report.joined + report.changed, 1);
    ///     assert_eq!(mirror.tracker().get(&7).map(|state| state.status), Some(status));
    /// }
    /// assert_eq!(mirror.set((7, Status::Alive, 0), Timestamp::ZERO).changed, 0);
    /// # Ok(()) }
    /// ```
    pub fn set(&mut self, member: impl Into<Observed<K>>, now: Timestamp) -> Reconciled {
        self.set_with(member, now, |_, _, _| {})
    }

    /// The same, and calls `on_change` as [`reconcile_with`](Self::reconcile_with) does.
    pub fn set_with(
        &mut self,
        member: impl Into<Observed<K>>,
        now: Timestamp,
        mut on_change: impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> Reconciled {
        let mut report = Reconciled::default();
        self.enter(member.into(), now, &mut None, &mut report, &mut on_change);
        report
    }

    /// Takes a member out of the tracker that the engine does not know any more, and returns its last state. If it comes
    /// back, it begins above it. Cost: as [`remove`](IncarnationTracker::remove).
    pub fn forget(&mut self, key: &K) -> Option<NodeState> {
        let last = self.tracker.forget(key)?;
        self.join_above(last);
        Some(last)
    }
}

impl<K: fmt::Debug, D, S> fmt::Debug for Mirror<K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("rounds", &self.round)
            .field("first_incarnation", &self.first_incarnation)
            .finish_non_exhaustive()
    }
}

/// The live node of a key.
fn find<'v, K, D, S>(view: &'v View<'_, K, D, S>, key: &K) -> Option<(Node<'v, K, D>, PackedState)>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    match view.pinned.find(view.core.hash(key), key)? {
        (node, EntryState::Live(packed)) => Some((node, packed)),
        _ => None,
    }
}

fn slot_of<K, D>(node: Node<'_, K, D>) -> Slot {
    Slot::of(node.index(), node.generation())
}
