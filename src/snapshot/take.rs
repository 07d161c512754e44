//! Taking a snapshot of a table that others are changing.
//!
//! A dead node that leaves the table is buried *before* it is evicted, so whoever looks through the
//! table first and through the tombstones second meets it in one of the two. A node that comes back
//! goes the other way: its packed state is raised first, the join is counted, its tombstone ends last. So if no
//! join was counted meanwhile, nothing can have slipped past in that direction either; and if one
//! was, everything is looked through once more, and what was seen either time is in the snapshot.
#![forbid(unsafe_code)]

use core::cmp::Reverse;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::{Alongside, Record, Snapshot};
use crate::rule::{PackedState, Status};
use crate::table::EntryState;
use crate::time::Timestamp;
use crate::tracker::IncarnationTracker;
use crate::tracker::core::Core;

/// Places looked at under one pin, so that no removed entry waits for the whole of a large table.
const SLICE: u32 = 4096;

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Ord + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Everything the tracker knows, owned: a row for each node, the tombstones that are not over by
    /// `now`, and a row for the local node, if the builder named one.
    ///
    /// *Ages.* A row says how long ago its node's state was accepted: `now` minus the last update, zero
    /// if the last update is later.
    ///
    /// *The local node* is no entry of the table. In a snapshot it has a row all the same, Alive at
    /// [`local().current()`](crate::Local::current), of age zero, so that whoever merges the snapshot hears as
    /// much of this node as of any other. The row is read last: it is not below any incarnation
    /// that was given out before this call.
    ///
    /// *While others change the table* a snapshot is no cut through one instant; nobody is stopped
    /// for it. What holds:
    ///
    /// - Each row is a state that its node was in at some moment of the call.
    /// - A node that was known or buried all through the call is in the snapshot, also if it went from
    ///   one to the other meanwhile: dead nodes are buried before they leave the table, and
    ///   returning ones enter it before their tombstones end. (Only one that goes both ways several times
    ///   within the one call can be missed.)
    /// - What happened before the call, as far as the caller can know, is in it.
    /// - If a node's states of two moments were seen, the higher one is in the snapshot.
    ///
    /// Cost: a walk over the array of entries and one over the tombstones, a clone of each key, a sort;
    /// about 100 bytes a node for small keys. If nodes join meanwhile, and tombstones are kept, both
    /// walks are done twice. Writers and readers never wait for it, except writers who bury or
    /// unearth, for the part of the tombstones it is copying.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ours: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let heard = Timestamp::from_millis(1_000);
    /// let _ = ours.update(&"a:1".into(), Claim::suspect(3), heard);
    ///
    /// let snapshot = ours.snapshot(heard + Duration::from_secs(4));
    /// assert_eq!(snapshot.nodes()[0].age(), Duration::from_secs(4));
    ///
    /// // In another process, by its own clock:
    /// let theirs: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let now = Timestamp::from_millis(60_000);
    /// let report = theirs.merge(&snapshot, now);
    /// assert_eq!(report.joined, 1);
    /// let state = theirs.get("a:1").ok_or("unknown")?;
    /// assert_eq!((state.claim(), state.last_update.as_millis()), (Claim::suspect(3), 56_000));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot<K> {
        let core = &**self.core();
        let mut nodes = Vec::with_capacity(self.len() + 1);
        let mut tombstones = Vec::with_capacity(self.tombstones());
        for _ in 0..2 {
            let joins = core.event_counters.arrivals();
            core.copy_nodes(now, &mut nodes);
            core.copy_tombstones(now, &mut tombstones);
            if !core.tombstones.are_kept() || core.event_counters.arrivals() == joins {
                break;
            }
        }
        if let Some(key) = &core.local_key
            && let Some(packed) = PackedState::pack(Status::Alive, core.local.current())
        {
            nodes.push(Record {
                node: key.clone(),
                packed,
                age: Duration::ZERO,
            });
        }
        for rows in [&mut nodes, &mut tombstones] {
            // What was met twice keeps its highest packed state, and of that the highest age.
            rows.sort_by(|a, b| {
                let order = |row: &Record<K>| Reverse((row.packed, row.age));
                a.node.cmp(&b.node).then_with(|| order(a).cmp(&order(b)))
            });
            rows.dedup_by(|again, first| again.node == first.node);
        }
        core.look_again_at_the_buried(now, &mut nodes, &tombstones);
        let mut snapshot = Snapshot { nodes, tombstones };
        snapshot.leave_out_what_says_nothing();
        snapshot
    }
}

impl<K, D, S> Core<K, D, S>
where
    K: Eq + Hash + Clone,
    S: BuildHasher,
{
    fn copy_nodes(&self, now: Timestamp, rows: &mut Vec<Record<K>>) {
        let mut pinned = self.table.pin();
        let end = pinned.mark();
        let mut start = 1;
        while start <= end {
            let last = end.min(start.saturating_add(SLICE - 1));
            pinned.scan(start, last, |node, packed| {
                rows.push(Record {
                    node: node.key().clone(),
                    packed,
                    // After the packed state, so that the last update is that packed state's or a later one.
                    age: now.since(node.last_update()),
                });
            });
            pinned.repin();
            start = last + 1;
        }
    }

    /// A row with a tombstone above it is of a node that was introduced over its tombstone, or of one that died and
    /// left between the two walks, which must not rise where the snapshot is merged. Only the table knows.
    fn look_again_at_the_buried(
        &self,
        now: Timestamp,
        nodes: &mut Vec<Record<K>>,
        tombstones: &[Record<K>],
    ) where
        K: Ord,
    {
        let mut beside = Alongside::new(tombstones);
        nodes.retain_mut(|row| {
            if beside
                .at(&row.node)
                .is_none_or(|tombstone| tombstone.packed <= row.packed)
            {
                return true;
            }
            let pinned = self.table.pin();
            match pinned.find(self.hash(&row.node), &row.node) {
                Some((node, EntryState::Live(packed))) => {
                    if packed > row.packed {
                        (row.packed, row.age) = (packed, now.since(node.last_update()));
                    }
                    true
                }
                _ => false,
            }
        });
    }

    fn copy_tombstones(&self, now: Timestamp, rows: &mut Vec<Record<K>>) {
        self.tombstones.for_each(now, |key, tombstone| {
            rows.push(Record {
                node: key.clone(),
                packed: tombstone.packed,
                age: now.since(tombstone.died),
            });
        });
    }
}
