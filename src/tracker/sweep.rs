//! The sweep: the time-driven half of the state machine.
//!
//! The time rules come first: entries that are too old expire. Then capacity: above `max_nodes`, the least valuable go. Each
//! eviction is a compare-and-swap of exactly the packed state that was judged, so a claim that arrives first
//! wins, and its node stays. Sweeps hold no lock that another thread waits for; two at once are harmless.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use super::IncarnationTracker;
use super::core::{Core, SweepPolicy};
use super::evict::Exit;
use super::report::{SweepCursor, SweepReason, SweepReport, SweepScope, Swept};
use super::state::NodeState;
use crate::counters::event_counters::Event;
use crate::rule::{Claim, Judgement, PackedState, Proposal, Status};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::table::{Node, Pinned};
use crate::time::Timestamp;

/// Entries that a full sweep looks at between two calls of the callback, and under one pin.
const SLICE: usize = 1024;

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Lets time and capacity do their work:
    ///
    /// - Unconfirmed for longer than `unconfirmed_timeout`: removed.
    /// - Suspect for longer than `suspect_timeout`: declared Dead. A refutation that arrives first wins.
    /// - Dead or Left for longer than `dead_retention`: evicted, with a tombstone.
    /// - Then, if more than `max_nodes` are left, all above `max_nodes - eviction_headroom` go:
    ///   Unconfirmed first, then Dead and Left; with `evict_alive` then Suspect, then Alive; the oldest last
    ///   updates first. Where `hard_limit` equals `max_nodes` this happens *at* the limit, and makes room for
    ///   one node at least.
    /// - Tombstones older than `tombstone_retention` end.
    /// - A last update, or the time of a death in a tombstone, that is later than `now` plus
    ///   [`max_clock_lead`](crate::Builder::max_clock_lead) is brought back to that time.
    ///
    /// Cost: a walk over the array of entries; for the capacity rule a second one, and a selection
    /// among the candidates. No thread waits for it.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<String> = IncarnationTracker::builder()
    ///     .dead_retention(Duration::from_secs(10))
    ///     .build()?;
    /// let died = Timestamp::ZERO;
    /// let _ = tracker.update("a:1", Claim::dead(1), died);
    /// assert_eq!(tracker.sweep(died + Duration::from_secs(10)).dead_evicted, 0);
    /// assert_eq!(tracker.sweep(died + Duration::from_secs(11)).dead_evicted, 1);
    /// # Ok(()) }
    /// ```
    pub fn sweep(&self, now: Timestamp) -> SweepReport {
        self.sweep_with(SweepScope::Everything, now, |_| {})
    }

    /// A sweep of limited scope that hands each node it evicted or declared Dead to a callback.
    ///
    /// The callback runs after the fact and outside every shard lock, so it may use the tracker. If it
    /// panics the sweep ends there: the table is sound, and what was swept stays swept.
    ///
    /// Cost: that of [`sweep`](Self::sweep), and of the callback.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, SweepScope, Timestamp};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
    ///     .dead_retention(Duration::from_secs(10))
    ///     .build()?;
    /// let _ = tracker.update(&7, Claim::dead(3), Timestamp::ZERO);
    /// let mut closed = Vec::new();
    /// let later = Timestamp::ZERO + Duration::from_secs(11);
    /// let _ = tracker.sweep_with(SweepScope::Dead, later, |swept| closed.push(*swept.node));
    /// assert_eq!(closed, [7]);
    /// # Ok(()) }
    /// ```
    pub fn sweep_with(
        &self,
        scope: SweepScope,
        now: Timestamp,
        mut on_swept: impl FnMut(Swept<'_, K, D>),
    ) -> SweepReport {
        let mut report = SweepReport::default();
        let core = self.core();
        core.event_counters.count(Event::Swept);
        if scope != SweepScope::Capacity {
            let mut index = 0;
            loop {
                index = core.expire(scope, index, SLICE, now, &mut report, &mut on_swept);
                if index == 0 {
                    break;
                }
            }
            core.expire_tombstones(now, &mut report);
        }
        if matches!(scope, SweepScope::Everything | SweepScope::Capacity) {
            core.trim(now, &mut report, &mut on_swept);
        }
        core.table.collect();
        core.swept(now, &report);
        report
    }

    /// One slice of the time rules: visits the next `entries` entries of the table and moves the
    /// cursor on, back to the start after the last. For programs that must not spend long at a time.
    ///
    /// ```
    /// # use incarnation::{IncarnationTracker, SweepCursor, Timestamp};
    /// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build().unwrap();
    /// let mut cursor = SweepCursor::default();
    /// loop {
    ///     let _report = tracker.sweep_slice(&mut cursor, 10_000, Timestamp::ZERO, |_| {});
    ///     if cursor.is_at_start() {
    ///         break;
    ///     }
    /// }
    /// ```
    pub fn sweep_slice(
        &self,
        cursor: &mut SweepCursor,
        entries: usize,
        now: Timestamp,
        mut on_swept: impl FnMut(Swept<'_, K, D>),
    ) -> SweepReport {
        let mut report = SweepReport::default();
        let core = self.core();
        core.event_counters.count(Event::Swept);
        let entries = entries.max(1);
        cursor.index = core.expire(
            SweepScope::Expiry,
            cursor.index,
            entries,
            now,
            &mut report,
            &mut on_swept,
        );
        if cursor.is_at_start() {
            core.expire_tombstones(now, &mut report);
        }
        core.table.collect_if_due();
        if cursor.is_at_start() {
            core.swept(now, &report);
        }
        report
    }
}

/// A node that a sweep changed or evicted, reported to the callback once the sweep holds nothing.
struct Done<'p, K, D> {
    node: Node<'p, K, D>,
    last: NodeState,
    reason: SweepReason,
}

/// A node that may have to go.
struct Candidate<'p, K, D> {
    class: u8,
    last_update: Timestamp,
    packed: PackedState,
    node: Node<'p, K, D>,
}

impl<K, D> Candidate<'_, K, D> {
    /// The order of eviction: by class, then the oldest first.
    fn order(&self) -> (u8, Timestamp, u32) {
        (self.class, self.last_update, self.node.index().get())
    }
}

/// What time does to a node.
enum Fate {
    Stays,
    Goes(SweepReason),
    Dies,
}

impl SweepPolicy {
    fn fate(
        &self,
        scope: SweepScope,
        packed: PackedState,
        last_update: Timestamp,
        now: Timestamp,
    ) -> Fate {
        let age = now.since(last_update);
        let all = scope != SweepScope::Dead;
        match packed.status() {
            Status::Unconfirmed if all && self.unconfirmed_timeout.is_some_and(|t| age > t) => {
                Fate::Goes(SweepReason::UnconfirmedExpired)
            }
            Status::Suspect if all && self.suspect_timeout.is_some_and(|t| age > t) => Fate::Dies,
            Status::Dead | Status::Left if age > self.dead_retention => {
                Fate::Goes(SweepReason::DeadRetention)
            }
            _ => Fate::Stays,
        }
    }

    /// In which order statuses go when there are too many nodes; `None`: not at all.
    fn class(&self, status: Status) -> Option<u8> {
        match status {
            Status::Unconfirmed => Some(0),
            Status::Dead | Status::Left => Some(1),
            // A Suspect node runs, until it is declared Dead.
            Status::Suspect => self.evict_alive.then_some(2),
            Status::Alive => self.evict_alive.then_some(3),
        }
    }

    /// Whether so many nodes are too many: above `max_nodes`, or so many that no other can join.
    fn is_too_many(&self, nodes: usize) -> bool {
        nodes > self.max_nodes || nodes >= self.hard_limit
    }

    /// How many nodes an eviction by capacity leaves.
    fn goal(&self) -> usize {
        self.max_nodes
            .saturating_sub(self.eviction_headroom)
            .min(self.hard_limit - 1)
    }

    /// The latest time that is not too far ahead of a sweep's `now`; `None`: any time may be right.
    fn latest(&self, now: Timestamp) -> Option<Timestamp> {
        Some(now + self.max_clock_lead?)
    }
}

impl<K, D, S> Core<K, D, S>
where
    K: Eq + Hash + Clone,
    S: BuildHasher,
{
    /// At the end of a sweep, when nothing is held any more.
    #[cfg_attr(
        not(feature = "tracing"),
        allow(unused_variables, reason = "only told to `tracing`")
    )]
    fn swept(&self, now: Timestamp, report: &SweepReport) {
        // The checker would explore it, and nothing depends on it.
        if cfg!(not(incarnation_loom)) {
            self.views.look(self.table.domain(), now);
        }
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "incarnation",
            evicted = report.evicted(),
            declared_dead = report.declared_dead,
            tombstones_expired = report.tombstones_expired,
            nodes = self.table.live(),
            waiting = self.table.pending_reclaim(),
            "sweep"
        );
    }

    /// The time rules for `entries` entries from index `start`; returns the index to go on from, 0 at the end.
    fn expire(
        &self,
        scope: SweepScope,
        start: u32,
        entries: usize,
        now: Timestamp,
        report: &mut SweepReport,
        on_swept: &mut impl FnMut(Swept<'_, K, D>),
    ) -> u32 {
        let pinned = self.table.pin();
        let mark = pinned.mark();
        let start = start.max(1);
        let last = start.saturating_add(u32::try_from(entries - 1).unwrap_or(u32::MAX));
        let latest = self.sweep_policy.latest(now);
        let mut retiring = pinned.retiring();
        let mut done = Vec::new();
        pinned.scan(start, last.min(mark), |node, packed| {
            let last_update = self.bring_back(node, latest, report);
            let state = NodeState::new(packed, last_update);
            let reason = match self
                .sweep_policy
                .fate(scope, packed, state.last_update, now)
            {
                Fate::Stays => None,
                Fate::Goes(reason) => {
                    let evict = |node, packed| retiring.evict(node, packed);
                    self.evict(evict, node, packed, Exit::Swept(reason, now))
                        .ok()
                        .map(|_| reason)
                }
                Fate::Dies => self.declare_dead(node, packed, now),
            };
            if let Some(reason) = reason {
                report.count(reason);
                done.push(Done {
                    node,
                    last: state,
                    reason,
                });
            }
        });
        drop(retiring);
        tell(done, on_swept);
        if last >= mark { 0 } else { last + 1 }
    }

    /// The last update of a node, brought back if it is later than `latest`.
    fn bring_back(
        &self,
        node: Node<'_, K, D>,
        latest: Option<Timestamp>,
        report: &mut SweepReport,
    ) -> Timestamp {
        let seen = node.last_update();
        match latest {
            // A claim may have raised it further meanwhile: the next sweep sees to that.
            Some(latest) if seen > latest && node.bring_back(seen, latest) => {
                report.clock_leads += 1;
                latest
            }
            _ => seen,
        }
    }

    /// The time rule of the tombstones.
    fn expire_tombstones(&self, now: Timestamp, report: &mut SweepReport) {
        if let Some(latest) = self.sweep_policy.latest(now) {
            report.clock_leads += self.tombstones.bring_back(latest);
        }
        report.tombstones_expired = self.tombstones.purge(now);
    }

    /// Declares exactly this suspicion a death.
    fn declare_dead(
        &self,
        node: Node<'_, K, D>,
        packed: PackedState,
        now: Timestamp,
    ) -> Option<SweepReason> {
        let death = Proposal::claim(Claim::dead(packed.incarnation()).trusted());
        let Ok(Judgement::Write(dead, _)) = self.judge_known(node, packed, death, now) else {
            return None;
        };
        node.raise(Some(packed), dead, now).ok()?;
        self.changed(node, Some(packed), Some(dead));
        self.event_counters.count(SweepReason::SuspectExpired);
        #[cfg(feature = "tracing")]
        tracing::debug!(target: "incarnation", suspect = %packed.claim(), "node declared dead");
        Some(SweepReason::SuspectExpired)
    }

    /// The capacity rule.
    fn trim(
        &self,
        now: Timestamp,
        report: &mut SweepReport,
        on_swept: &mut impl FnMut(Swept<'_, K, D>),
    ) {
        if !self.sweep_policy.is_too_many(self.table.live()) {
            return;
        }
        let pinned = self.table.pin();
        let mut done = Vec::new();
        {
            let Some(_selecting) = Selecting::begin(&self.selecting) else {
                report.capacity_contended = true;
                return;
            };
            // Once more, now that no other sweep is at it.
            if !self.sweep_policy.is_too_many(self.table.live()) {
                return;
            }
            let goal = self.sweep_policy.goal();
            let mut retiring = pinned.retiring();
            let most = self.table.live().saturating_sub(goal);
            let (known, mut candidates) = self.candidates(&pinned, most);
            // `live` runs ahead of the packed states: it counts what is reserved, and what is evicted a moment longer.
            if !self.sweep_policy.is_too_many(known) {
                return;
            }
            candidates.truncate(known - goal);
            for candidate in candidates {
                // Whatever else left meanwhile counts too.
                if self.table.live() <= goal {
                    break;
                }
                let Candidate { node, packed, .. } = candidate;
                // A candidate that moved meanwhile stays, and is not replaced by another.
                let exit = Exit::Swept(SweepReason::Capacity, now);
                let evict = |node, packed| retiring.evict(node, packed);
                if let Ok(last) = self.evict(evict, node, packed, exit) {
                    report.count(SweepReason::Capacity);
                    done.push(Done {
                        node,
                        last,
                        reason: SweepReason::Capacity,
                    });
                }
            }
        }
        tell(done, on_swept);
    }

    /// The `surplus` nodes that go first, in order.
    fn candidates<'p>(
        &self,
        pinned: &'p Pinned<'_, K, D>,
        surplus: usize,
    ) -> (usize, Vec<Candidate<'p, K, D>>) {
        // Room for twice as many: cutting them down then costs constant time a node.
        let room = surplus.saturating_mul(2).max(SLICE);
        let mut candidates = Vec::new();
        let mut known = 0;
        pinned.scan(1, pinned.mark(), |node, packed| {
            known += 1;
            if let Some(class) = self.sweep_policy.class(packed.status()) {
                candidates.push(Candidate {
                    class,
                    last_update: node.last_update(),
                    packed,
                    node,
                });
                if candidates.len() >= room {
                    keep_first(&mut candidates, surplus);
                }
            }
        });
        keep_first(&mut candidates, surplus);
        candidates.sort_unstable_by_key(Candidate::order);
        (known, candidates)
    }
}

/// Keeps the `count` candidates that go first, in any order.
fn keep_first<K, D>(candidates: &mut Vec<Candidate<'_, K, D>>, count: usize) {
    if candidates.len() > count {
        candidates.select_nth_unstable_by_key(count, Candidate::order);
        candidates.truncate(count);
    }
}

/// Hands over what was swept. The nodes are gone from the table, but their keys stay while the
/// caller is pinned.
fn tell<K, D>(done: Vec<Done<'_, K, D>>, on_swept: &mut impl FnMut(Swept<'_, K, D>)) {
    for Done { node, last, reason } in done {
        on_swept(Swept {
            node: node.key(),
            data: node.data(),
            last,
            reason,
        });
    }
}

/// The try-lock of the one sweep that selects by capacity.
struct Selecting<'a>(&'a AtomicBool);

impl<'a> Selecting<'a> {
    fn begin(flag: &'a AtomicBool) -> Option<Self> {
        // Acquire: the evictions of the sweep before, so that they are not made twice. Relaxed:
        // nothing is read without it.
        flag.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| Self(flag))
    }
}

impl Drop for Selecting<'_> {
    fn drop(&mut self) {
        // Release: see `begin`.
        self.0.store(false, Ordering::Release);
    }
}
