//! Merging a snapshot: each row is a trusted claim, judged as any other.
//!
//! A grave is a claim about a node that the other side has no entry of. It ends the life of a node
//! that is known here, and is buried here if the node is unknown: nobody joins a table by having died.
//! What happens to one node depends on nothing but what is known and remembered of that node, so the
//! order of the rows is of no concern.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use super::{Alongside, Record, Snapshot};
use crate::graves::{Burial, Grave};
use crate::rule::{Claim, Judgement, Proposal, Rejection, Situation, Status, Verdict, Word, judge};
use crate::stats::Rejections;
use crate::table::Life;
use crate::time::Timestamp;
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
    /// Deaths that are remembered now, or remembered at a higher word than before.
    pub buried: usize,
    /// Rows that said nothing new.
    pub unchanged: usize,
    /// Graves that this table does not keep: it keeps none, or their time is over.
    pub skipped: usize,
    /// Rows that were refused, and why.
    pub rejections: Rejections,
    /// The highest claim about the local node that its own incarnation does not outrank. Answer it
    /// with [`Local::answer`](crate::Local::answer), as an accusation in any packet. (After a restart it
    /// may be what an earlier run of this node said itself: to rise above it is right then, too.)
    pub about_self: Option<Claim>,
}

impl MergeReport {
    /// Whether the merge changed anything in the table or among the graves.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        self.joined + self.applied + self.buried > 0
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
            .is_none_or(|known| Word::of(known) < Word::of(claim))
        {
            // As a packet would bring it: the trust was the merge's.
            self.about_self = Some(Claim::new(claim.status(), claim.incarnation()));
        }
    }

    fn count_burial(&mut self, burial: Burial) {
        match burial {
            Burial::New(_) | Burial::Deeper(_) => self.buried += 1,
            Burial::Known(_) => self.unchanged += 1,
            Burial::NotKept => self.skipped += 1,
        }
    }
}

impl<K, S> IncarnationTracker<K, S>
where
    K: Eq + Hash + Ord + Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Puts everything a snapshot says to the table.
    ///
    /// Each row is a [trusted](Claim::trusted) claim, judged by the ordinary rule: merge only what comes
    /// from somebody you trust as you trust your own disk. Stamps are `now` minus the row's age, or the
    /// origin of the clock if that is later; so after a restart with a clock that begins at
    /// zero, everything counts as heard of just now, and stays a while too long, never too short. (A
    /// clock that begins later, `clock.now() + Duration::from_secs(86_400)`, keeps the ages.)
    ///
    /// A row of the snapshot's graves ends the life of a node that is known here with a lower word. If the
    /// node is unknown the death is buried here, at the higher of its word and that of the grave that is here. A
    /// Dead or Left row of a node that is buried here deepens the grave likewise. Nothing that this side
    /// buried is raised by it: only a claim at a higher incarnation than the grave's can do that, as ever. Graves
    /// whose time is over by `now` end first, as in a sweep.
    ///
    /// What a merge promises, while nobody else changes the table:
    ///
    /// - It never moves a node back: no word falls, no grave falls.
    /// - It is idempotent: merging the same snapshot again changes nothing. A tracker's own snapshot
    ///   changes nothing in it.
    /// - Several snapshots end in the same knowledge in any order: of each node the same highest
    ///   word, of entry and grave together. Nodes that end Alive or Suspect are known
    ///   with the same state in any order; of a dead one the order may decide whether it is an entry or
    ///   a grave. This holds where neither the snapshots nor the table hold Unconfirmed nodes (a suspicion
    ///   that meets one at its incarnation is refused, one that comes before it is not) nor nodes that
    ///   were introduced over their own graves; and where no limit bites: `hard_limit`, `max_graves`, `max_incarnation`,
    ///   a retention that ends between the merges.
    ///
    /// Under concurrent changes each row is one claim like any other. One thing is weaker: a grave that
    /// is merged at the very moment its node joins may end up beside the node's new life instead of ending
    /// it, as if it had come too late; the next merge makes up for it.
    ///
    /// Cost: an update a row, under one pin for every 1024. Claims about the local node change
    /// nothing and come back in [`about_self`](MergeReport::about_self).
    pub fn merge(&self, snapshot: &Snapshot<K>, now: Timestamp) -> MergeReport {
        let mut report = MergeReport::default();
        // What this does by `now`, the claims need not do by the times of their own.
        self.core().graves.purge(now);
        let mut view = self.pin();
        for rows in snapshot.nodes.chunks(SLICE) {
            for row in rows {
                view.merge_node(row, now, &mut report);
            }
            view.repin();
        }
        let mut nodes = Alongside::new(&snapshot.nodes);
        for rows in snapshot.graves.chunks(SLICE) {
            for row in rows {
                let has_row = nodes.at(&row.node).is_some();
                view.merge_grave(row, has_row, now, &mut report);
            }
            view.repin();
        }
        drop(view);
        self.core().table.collect_if_due();
        let own = Word::pack(Status::Alive, self.local().current());
        report.about_self = report.about_self.filter(|claim| Word::of(*claim) > own);
        report
    }
}

impl<K> Record<K> {
    /// When it became so, by the clock of `now`.
    fn since(&self, now: Timestamp) -> Timestamp {
        let age = u64::try_from(self.age.as_nanos()).unwrap_or(u64::MAX);
        Timestamp::from_nanos(now.as_nanos().saturating_sub(age))
    }

    fn as_grave(&self, now: Timestamp) -> Grave {
        Grave {
            word: self.word,
            died: self.since(now),
        }
    }
}

impl<K, S> View<'_, K, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn merge_node(&self, row: &Record<K>, now: Timestamp, report: &mut MergeReport) {
        let verdict = self.update(&row.node, row.claim().trusted(), row.since(now));
        match verdict {
            // Another report of a death that is remembered, perhaps of a later one.
            Verdict::Rejected(Rejection::Buried { .. }) if row.status().is_gone() => {
                let graves = &self.core.graves;
                report.count_burial(graves.bury(&row.node, row.as_grave(now), now));
            }
            verdict => report.count(verdict),
        }
    }

    /// `has_row`: in the snapshot the node lives beside its grave.
    fn merge_grave(
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
            // Out of range: a grave up there would keep its node away for good.
            return report.count(verdict);
        }
        loop {
            match self.pinned.find(hash, &row.node) {
                Some((_, Life::Live(word))) if word >= row.word => {
                    report.unchanged += 1;
                    return;
                }
                Some((node, life @ Life::Live(_))) if !has_row => {
                    if let Some(verdict) = core.settle(node, life, proposal, row.since(now)) {
                        return report.count(verdict);
                    }
                    // That life ended meanwhile.
                }
                found => {
                    let was_live = matches!(found, Some((_, Life::Live(_))));
                    let burial = core.graves.bury(&row.node, row.as_grave(now), now);
                    // It may have joined meanwhile, and then the grave is to end it, or ends with it.
                    if let Some((_, Life::Live(word))) = self.pinned.find(hash, &row.node)
                        && !was_live
                    {
                        // Who joined may stand before it counts itself, as is done before a grave ends.
                        core.tally.count_grave_ended_for_a_joiner();
                        core.graves.end_below(&row.node, burial.found(), word);
                        continue;
                    }
                    return report.count_burial(burial);
                }
            }
        }
    }
}
