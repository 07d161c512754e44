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

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::hash::RandomState;
use crate::rule::{Claim, Incarnation, PackedState, Status};
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

/// What an engine says of one member. Made of a tuple `(key, status, number)` or `(key, status, number, renewed)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Observed<K> {
    /// The key under which the tracker shows it.
    pub key: K,
    /// Its status.
    pub status: Status,
    /// The engine's number of it, compared for equality only.
    pub number: u64,
    /// Whether it is another member than the last time, though nothing else of it may differ: it restarted, or changed
    /// its identity. Its incarnation rises.
    pub renewed: bool,
}

impl<K> From<(K, Status, u64)> for Observed<K> {
    fn from((key, status, number): (K, Status, u64)) -> Self {
        Self::from((key, status, number, false))
    }
}

impl<K> From<(K, Status, u64, bool)> for Observed<K> {
    fn from((key, status, number, renewed): (K, Status, u64, bool)) -> Self {
        Self {
            key,
            status,
            number,
            renewed,
        }
    }
}

/// An engine that can list its members, for [`Mirror::run`].
pub trait Engine<K> {
    /// All members that the engine knows, each once, in any order.
    fn members(&self) -> impl Iterator<Item = Observed<K>>;
}

/// What a mirror changed about one member, as its callbacks are told. It is in the table by then, except that a member
/// without a `current` state has just left it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MemberChange<'v, D = ()> {
    /// The state before; `None` if the member was not shown.
    pub previous: Option<NodeState>,
    /// The state now; `None` if the member is not shown any more.
    pub current: Option<NodeState>,
    /// The data of this lifetime of the member.
    pub data: &'v D,
}

/// What a call changed, in numbers of members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "members may be left out"]
pub struct Reconciled {
    /// Members that were not shown and are now.
    pub joined: usize,
    /// Members whose status, number or identity changed.
    pub changed: usize,
    /// Members that were shown and that the engine does not list any more.
    pub forgotten: usize,
    /// Members that the tracker does not show: it has no room for them, or their key is its local node's. Each call
    /// tries them again.
    pub left_out: usize,
    /// Members that are not shown because another one has the same key.
    pub conflicts: usize,
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
/// let (_, report) = mirror.run(&mut engine, Timestamp::ZERO, |engine| engine.0.push(("c", Alive, 1)));
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

/// What the mirror wrote to one slot, and whether the list of a round named it.
#[derive(Clone, Copy, Default)]
struct Written {
    /// The lifetime that it was written in.
    generation: u64,
    /// The engine's number.
    number: u64,
    /// What the tracker was told; `None` if the mirror wrote nothing in this lifetime.
    packed: Option<PackedState>,
    /// Twice the last round whose list named the node, plus 1 if a member of that list equalled it.
    named: u64,
}

impl Written {
    /// Whether a member says what is shown.
    fn equals<K>(&self, shown: PackedState, member: &Observed<K>) -> bool {
        !member.renewed
            && self.packed == Some(shown)
            && (self.number, shown.status()) == (member.number, member.status)
    }
}

/// Members that run come before those that don't, and Alive ones first.
const fn precedence(status: Status) -> u8 {
    match status {
        Status::Alive => 3,
        Status::Suspect => 2,
        Status::Unconfirmed => 1,
        Status::Dead | Status::Left => 0,
    }
}

/// What became of a member that was put to the tracker.
enum Outcome {
    Unchanged,
    Joined,
    Changed,
    /// The mirror shows as many members as it may.
    NoRoom,
    /// The tracker does not take it: it is the local node, or another writer was faster.
    Refused,
}

/// Members of one list that differ from what is shown, one for each key.
struct Differing<K> {
    members: Vec<Observed<K>>,
    by_key: HashTable<usize>,
}

impl<K: Eq> Differing<K> {
    /// Adds a member; of two with one key the one that runs stays.
    fn add(&mut self, hash: impl Fn(&K) -> u64, member: Observed<K>) {
        let Self { members, by_key } = self;
        let entry = by_key.entry(
            hash(&member.key),
            |at| members[*at].key == member.key,
            |at| hash(&members[*at].key),
        );
        match entry {
            Entry::Vacant(vacant) => {
                vacant.insert(members.len());
                members.push(member);
            }
            Entry::Occupied(occupied) => {
                let known = &mut members[*occupied.get()];
                let renewed = known.renewed || member.renewed;
                if precedence(member.status) > precedence(known.status) {
                    *known = member;
                }
                known.renewed = renewed;
            }
        }
    }
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
        self.round += 1;
        let mut report = Reconciled::default();
        let mut differing = Differing {
            members: Vec::new(),
            by_key: HashTable::new(),
        };
        // Nodes of the tracker that the list names.
        let (mut listed, mut named) = (0, 0);
        let view = self.tracker.pin();
        let hash = |key: &K| view.core.hasher.hash_one(key);
        for member in members {
            let member = member.into();
            listed += 1;
            let Some((node, shown)) = find(&view, &member.key) else {
                differing.add(hash, member);
                continue;
            };
            let written = written_at(&mut self.written, node);
            if written.named < self.round * 2 {
                written.named = self.round * 2;
                named += 1;
            }
            if written.equals(shown, &member) {
                written.named = self.round * 2 + 1;
            } else {
                differing.add(hash, member);
            }
        }
        drop(view);

        let mut members = differing.members;
        // Changes of members that are shown need no room. Among those that join, the running ones go first.
        let named_unknown = self.drop_outranked(&mut members);
        report.conflicts = usize::saturating_sub(listed, named + named_unknown);
        // All nodes that the list names are in the tracker, so there are others only if there are more.
        if self.tracker.len() > named {
            report.forgotten = self.forget_unnamed(&mut on_change);
        }
        let mut replaceable = None;
        for member in members {
            self.enter(member, now, &mut replaceable, &mut report, &mut on_change);
        }
        report
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

    fn join_above(&mut self, last: NodeState) {
        let above = last.incarnation.saturating_add(1);
        self.first_incarnation = self.first_incarnation.max(above);
    }

    /// Takes out members that another with the same key is preferred to, and brings those that are shown to the front,
    /// before those that run. Returns how many keys of the list are not shown.
    fn drop_outranked(&self, members: &mut Vec<Observed<K>>) -> usize {
        if members.is_empty() {
            return 0;
        }
        let view = self.tracker.pin();
        let mut unknown = 0;
        let mut ranked: Vec<(u8, Observed<K>)> = Vec::with_capacity(members.len());
        for member in members.drain(..) {
            let rank = match find(&view, &member.key) {
                None => {
                    unknown += 1;
                    3 - precedence(member.status).min(1)
                }
                Some((node, shown)) => {
                    let written = self.written.get(slot_of(node).index);
                    let is_equalled = written.is_some_and(|w| w.named == self.round * 2 + 1);
                    if is_equalled && precedence(member.status) <= precedence(shown.status()) {
                        continue;
                    }
                    0
                }
            };
            ranked.push((rank, member));
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        members.extend(ranked.into_iter().map(|(_, member)| member));
        unknown
    }

    /// Writes one member; one that runs and finds no room takes that of one that does not.
    fn enter(
        &mut self,
        member: Observed<K>,
        now: Timestamp,
        replaceable: &mut Option<Vec<(Timestamp, K)>>,
        report: &mut Reconciled,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) {
        loop {
            match self.write(&member, now, on_change) {
                Outcome::Unchanged => {}
                Outcome::Joined => report.joined += 1,
                Outcome::Changed => report.changed += 1,
                Outcome::NoRoom if !member.status.is_gone() => {
                    let gone = replaceable.get_or_insert_with(|| self.gone_members());
                    match gone.pop() {
                        None => report.left_out += 1,
                        Some((_, key)) => {
                            // Whichever of the two has no room is left out.
                            report.left_out += usize::from(self.take_out_if_gone(&key, on_change));
                            continue;
                        }
                    }
                }
                Outcome::NoRoom | Outcome::Refused => report.left_out += 1,
            }
            return;
        }
    }

    /// How many members the tracker may show.
    fn room(&self) -> usize {
        self.tracker.core().sweep_policy.max_nodes
    }

    /// The members that are Dead or Left, the one that has been so for longest last.
    fn gone_members(&self) -> Vec<(Timestamp, K)> {
        let view = self.tracker.pin();
        let mut gone: Vec<_> = view
            .iter()
            .filter(|(_, state)| state.status.is_gone())
            .map(|(key, state)| (state.last_update, key.clone()))
            .collect();
        gone.sort_by_key(|(since, _)| core::cmp::Reverse(*since));
        gone
    }

    fn take_out_if_gone(
        &mut self,
        key: &K,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> bool {
        let tracker = self.tracker.clone();
        let view = tracker.pin();
        let is_out = match find(&view, key) {
            Some((node, shown)) if shown.status().is_gone() => {
                self.take_out(&view, node, on_change)
            }
            _ => false,
        };
        drop(view);
        tracker.core().table.collect_if_due();
        is_out
    }

    /// Takes a node out of the table, and tells of it.
    fn take_out(
        &mut self,
        view: &View<'_, K, D, S>,
        node: Node<'_, K, D>,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> bool {
        let slot = slot_of(node);
        let Some(last) = view.forget(node.key()) else {
            return false;
        };
        self.join_above(last);
        let change = MemberChange {
            previous: Some(last),
            current: None,
            data: node.data(),
        };
        on_change(node.key(), slot, change);
        true
    }

    /// Has the tracker say what the engine says of a member.
    fn write(
        &mut self,
        member: &Observed<K>,
        now: Timestamp,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> Outcome {
        let view = self.tracker.pin();
        let found = find(&view, &member.key);
        let (previous, incarnation) = match found {
            None if self.tracker.local_node() == Some(&member.key) => return Outcome::Refused,
            None if self.tracker.len() >= self.room() => return Outcome::NoRoom,
            None => (None, self.first_incarnation),
            Some((node, shown)) => {
                let written = written_at(&mut self.written, node);
                if written.equals(shown, member) {
                    return Outcome::Unchanged;
                }
                let rises = !member.renewed
                    && written.packed == Some(shown)
                    && written.number == member.number
                    // An Unconfirmed node can't be suspected at its incarnation.
                    && shown.status() != Status::Unconfirmed
                    && member.status > shown.status();
                let known = shown.incarnation();
                let incarnation = if rises {
                    known
                } else {
                    known.saturating_add(1)
                };
                let previous = NodeState::new(shown, node.last_update());
                (Some(previous), incarnation)
            }
        };
        let claim = Claim::new(member.status, incarnation).trusted();
        if !view.update(&member.key, claim, now).accepted() {
            return Outcome::Refused;
        }
        // Another writer may have been there since: then the next reconciliation puts it right.
        let Some((node, packed)) = find(&view, &member.key) else {
            return Outcome::Refused;
        };
        let written = written_at(&mut self.written, node);
        written.number = member.number;
        written.packed = PackedState::of(claim);
        let change = MemberChange {
            previous,
            current: Some(NodeState::new(packed, node.last_update())),
            data: node.data(),
        };
        on_change(node.key(), slot_of(node), change);
        match previous {
            None => Outcome::Joined,
            Some(_) => Outcome::Changed,
        }
    }

    /// Takes out the nodes that the list of this round does not name.
    fn forget_unnamed(
        &mut self,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> usize {
        let tracker = self.tracker.clone();
        let view = tracker.pin();
        let mut unnamed = Vec::new();
        view.pinned.scan(1, view.pinned.mark(), |node, _| {
            if written_at(&mut self.written, node).named < self.round * 2 {
                unnamed.push(node);
            }
        });
        let taken_out = unnamed
            .into_iter()
            .filter(|node| self.take_out(&view, *node, on_change))
            .count();
        drop(view);
        tracker.core().table.collect_if_due();
        taken_out
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

/// What was written to the slot of a node, cleared if that was in another lifetime.
fn written_at<'w, K, D>(written: &'w mut Vec<Written>, node: Node<'_, K, D>) -> &'w mut Written {
    let (index, generation) = (slot_of(node).index, node.generation());
    if written.len() <= index {
        written.resize_with(index + 1, Written::default);
    }
    let here = &mut written[index];
    if here.generation != generation {
        *here = Written {
            generation,
            ..Written::default()
        };
    }
    here
}

fn slot_of<K, D>(node: Node<'_, K, D>) -> Slot {
    Slot::of(node.index(), node.generation())
}
