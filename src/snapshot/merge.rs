//! Merging a snapshot: each row is a trusted claim, judged as any other.
//!
//! A tombstone is a claim about a node that the other side has no entry of. It ends the lifetime of a node that is
//! known here. If the node is unknown, the tombstone is written here: no node joins a table by having died. The
//! outcome for a node depends only on its own entry and tombstone, so the order of the rows does not matter.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use super::records::{Alongside, Record, Snapshot};
use crate::rule::{
    Claim, Judgement, PackedState, Proposal, Rejection, Situation, Status, Verdict, judge,
};
use crate::stats::Rejections;
use crate::table::EntryState;
use crate::time::Timestamp;
use crate::tombstones::{Tombstone, WriteOutcome};
use crate::tracker::{IncarnationTracker, View};

/// Rows merged under one pin.
const SLICE: usize = 1024;

/// What became of a snapshot's rows; made by [`IncarnationTracker::merge`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "it may say that others accuse this node: look at `about_self`"]
pub struct MergeReport {
    /// Nodes that were unknown and are known now.
    pub joined: usize,
    /// Known nodes whose state was outranked.
    pub applied: usize,
    /// Tombstones written, or raised to a higher packed state.
    #[doc(alias = "buried")]
    pub tombstones_written: usize,
    /// Rows without news.
    pub unchanged: usize,
    /// Tombstones that this table does not keep: it keeps none, or their time is over.
    pub skipped: usize,
    /// Rows that were refused, and why.
    pub rejections: Rejections,
    /// The highest claim about the local node that its own incarnation does not outrank. Answer it
    /// with [`Local::answer`](crate::Local::answer), as an accusation in any packet. (After a restart it
    /// may be what an earlier run of this node said itself: to rise above it is right then, too.)
    pub about_self: Option<Claim>,
}

impl MergeReport {
    /// Whether the merge changed anything in the table or among the tombstones.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        self.joined + self.applied + self.tombstones_written > 0
    }

    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Joined => self.joined += 1,
            Verdict::Applied { .. } => self.applied += 1,
            Verdict::Duplicate { .. } | Verdict::Stale { .. } => self.unchanged += 1,
            Verdict::AboutSelf { accused } => self.accuse(accused),
            Verdict::Rejected(reason) => self.rejections.count(reason),
        }
    }

    fn accuse(&mut self, claim: Claim) {
        if self
            .about_self
            .is_none_or(|known| PackedState::of(known) < PackedState::of(claim))
        {
            // As a packet would bring it: the trust was the merge's.
            self.about_self = Some(Claim::new(claim.status(), claim.incarnation()));
        }
    }

    fn count_tombstone(&mut self, written: WriteOutcome) {
        match written {
            WriteOutcome::New(_) | WriteOutcome::Raised(_) => self.tombstones_written += 1,
            WriteOutcome::Known(_) => self.unchanged += 1,
            WriteOutcome::NotStored => self.skipped += 1,
        }
    }
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Ord + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Applies every row of a snapshot to the table.
    ///
    /// Each row is a [trusted](Claim::trusted) claim, judged by the ordinary rule: merge only what comes
    /// from a source that you trust as you trust your own disk. Last updates are `now` minus the row's age, or the
    /// origin of the clock if that is later; so after a restart with a clock that begins at
    /// zero, every row counts as heard of just now, and is kept too long rather than too short. (A
    /// clock that begins later, `clock.now() + Duration::from_secs(86_400)`, keeps the ages.)
    ///
    /// A row of the snapshot's tombstones ends the lifetime of a node that is known here with a lower packed state. If
    /// the node is unknown, a tombstone is written here, at the higher of its packed state and that of the tombstone that
    /// is here already. A Dead or Left row of a node that has a tombstone here raises that tombstone likewise. No row
    /// revives a node that has a tombstone here, unless it claims a higher incarnation than the tombstone's. Tombstones
    /// whose retention is over by `now` end first, as in a sweep.
    ///
    /// What a merge promises, while no other thread changes the table:
    ///
    /// - It never moves a node back: no packed state falls, no tombstone falls.
    /// - It is idempotent: merging the same snapshot again changes nothing. A tracker's own snapshot
    ///   changes nothing in it.
    /// - Several snapshots end in the same knowledge in any order: of each node the same highest
    ///   packed state, of entry and tombstone together. Nodes that end Alive or Suspect are known
    ///   with the same state in any order; of a dead one the order may decide whether it is an entry or
    ///   a tombstone. This holds where neither the snapshots nor the table hold Unconfirmed nodes (a suspicion
    ///   that meets one at its incarnation is refused, one that comes before it is not) nor nodes that
    ///   were introduced over their own tombstones; and where no limit bites: `hard_limit`, `max_tombstones`, `max_incarnation`,
    ///   a retention that ends between the merges.
    ///
    /// Under concurrent changes each row is one claim like any other. One thing is weaker: a tombstone that
    /// is merged at the very moment its node joins may end up beside the node's new lifetime instead of ending
    /// it, as if it had come too late; the next merge ends it.
    ///
    /// Cost: an update a row, under one pin for every 1024. Claims about the local node change
    /// nothing and come back in [`about_self`](MergeReport::about_self).
    pub fn merge(&self, snapshot: &Snapshot<K>, now: Timestamp) -> MergeReport {
        let mut report = MergeReport::default();
        // Done here by `now`, so that the claims need not do it by times of their own.
        self.core().tombstones.purge(now);
        let mut view = self.pin();
        for rows in snapshot.nodes.chunks(SLICE) {
            for row in rows {
                view.merge_node(row, now, &mut report);
            }
            view.repin();
        }
        let mut nodes = Alongside::new(&snapshot.nodes);
        for rows in snapshot.tombstones.chunks(SLICE) {
            for row in rows {
                let has_row = nodes.at(&row.node).is_some();
                view.merge_tombstone(row, has_row, now, &mut report);
            }
            view.repin();
        }
        drop(view);
        self.merged(report)
    }

    /// Applies every row of a snapshot as hearsay: as [`merge`](Self::merge), but for a snapshot from a peer that is
    /// not trusted. Each row is [hearsay](Self::hear): unknown nodes enter Unconfirmed, unknown dead
    /// nodes do not enter, and no row jumps far.
    ///
    /// Last updates are those of the rows ([`Record::last_update`]), so dead nodes are not exchanged
    /// for longer than each side keeps them. A suspicion dates from `now`: its node gets the whole
    /// `suspect_timeout` to refute it, whatever age the peer claims. A row of the snapshot's
    /// tombstones is the hearsay of that death, unless the snapshot has the node as a row, too.
    ///
    /// Cost: as [`merge`](Self::merge).
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Status, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let stranger: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let here: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let now = Timestamp::ZERO;
    /// let _ = stranger.update(&1, Claim::alive(7), now);
    /// let _ = stranger.update(&2, Claim::dead(7), now);
    /// let report = here.hear_snapshot(&stranger.snapshot(now), now);
    /// assert_eq!((report.joined, report.rejections.unknown_node), (1, 1));
    /// assert_eq!(here.get(&1).map(|state| state.status), Some(Status::Unconfirmed));
    /// # Ok(()) }
    /// ```
    pub fn hear_snapshot(&self, snapshot: &Snapshot<K>, now: Timestamp) -> MergeReport {
        let mut report = MergeReport::default();
        let mut view = self.pin();
        let mut hear = |view: &View<'_, K, D, S>, row: &Record<K>| {
            let at = match row.status() {
                Status::Suspect => now,
                _ => row.last_update(now),
            };
            report.count(view.hear(&row.node, row.claim(), at));
        };
        for rows in snapshot.nodes.chunks(SLICE) {
            for row in rows {
                hear(&view, row);
            }
            view.repin();
        }
        let mut nodes = Alongside::new(&snapshot.nodes);
        for rows in snapshot.tombstones.chunks(SLICE) {
            for row in rows {
                if nodes.at(&row.node).is_none() {
                    hear(&view, row);
                }
            }
            view.repin();
        }
        drop(view);
        self.merged(report)
    }

    /// The report at the end of a merge.
    fn merged(&self, mut report: MergeReport) -> MergeReport {
        self.core().table.collect_if_due();
        let own = PackedState::pack(Status::Alive, self.local().current());
        report.about_self = report
            .about_self
            .filter(|claim| PackedState::of(*claim) > own);
        report
    }
}

impl<K> Record<K> {
    /// When it became so, by the clock of `now`: `now` minus the age, or the clock's origin if that is
    /// later.
    ///
    /// ```
    /// use incarnation::{Claim, Record, Timestamp};
    /// use std::time::Duration;
    /// let record = Record::new("a:1", Claim::dead(4), Duration::from_secs(2)).unwrap();
    /// let now = Timestamp::from_millis(5_000);
    /// assert_eq!(record.last_update(now), Timestamp::from_millis(3_000));
    /// ```
    #[must_use]
    pub fn last_update(&self, now: Timestamp) -> Timestamp {
        let age = u64::try_from(self.age.as_nanos()).unwrap_or(u64::MAX);
        Timestamp::from_nanos(now.as_nanos().saturating_sub(age))
    }

    fn as_tombstone(&self, now: Timestamp) -> Tombstone {
        Tombstone {
            packed: self.packed,
            died: self.last_update(now),
        }
    }
}

impl<K, D, S> View<'_, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    fn merge_node(&self, row: &Record<K>, now: Timestamp, report: &mut MergeReport) {
        let verdict = self.update(&row.node, row.claim().trusted(), row.last_update(now));
        match verdict {
            // Another report of a death that is remembered, perhaps of a later one.
            Verdict::Rejected(Rejection::Tombstone { .. }) if row.status().is_gone() => {
                let tombstones = &self.core.tombstones;
                report.count_tombstone(tombstones.write(&row.node, row.as_tombstone(now), now));
            }
            verdict => report.count(verdict),
        }
    }

    /// `has_row`: the snapshot also has a row of the node, beside its tombstone.
    fn merge_tombstone(
        &self,
        row: &Record<K>,
        has_row: bool,
        now: Timestamp,
        report: &mut MergeReport,
    ) {
        let core = self.core;
        let death = row.claim().trusted();
        let hash = core.hash(&row.node);
        if core.is_local(hash, &row.node) {
            return report.accuse(row.claim());
        }
        let proposal = Proposal::claim(death);
        if let Judgement::Keep(verdict) = judge(Situation::default(), proposal, &core.policy) {
            // Out of range: a tombstone at that incarnation would keep its node out for good.
            return report.count(verdict);
        }
        loop {
            match self.pinned.find(hash, &row.node) {
                Some((_, EntryState::Live(packed))) if packed >= row.packed => {
                    report.unchanged += 1;
                    return;
                }
                Some((node, entry_state @ EntryState::Live(_))) if !has_row => {
                    if let Some(verdict) =
                        core.apply(node, entry_state, proposal, row.last_update(now))
                    {
                        return report.count(verdict);
                    }
                    // That lifetime ended meanwhile.
                }
                found => {
                    let was_live = matches!(found, Some((_, EntryState::Live(_))));
                    let written = core.tombstones.write(&row.node, row.as_tombstone(now), now);
                    // It may have joined meanwhile, and then the tombstone is to end it, or ends with it.
                    if let Some((_, EntryState::Live(packed))) = self.pinned.find(hash, &row.node)
                        && !was_live
                    {
                        // The joining thread may not have counted the join yet, and a join counts before its tombstone ends.
                        core.event_counters.count_tombstone_cleared_for_joiner();
                        core.tombstones
                            .end_below(&row.node, written.found(), packed);
                        continue;
                    }
                    return report.count_tombstone(written);
                }
            }
        }
    }
}
