//! Taking a snapshot of a table that other threads are changing.
//!
//! The tombstone of a dead node is written *before* the node is evicted. So a reader that passes through the table first
//! and through the tombstones second meets the node in one of the two. A node that comes back goes the other way: its
//! packed state is raised first, the join is counted, its tombstone is cleared last. So if no join was counted meanwhile,
//! no node was missed in that direction either. If one was, both are read once more, and the snapshot has what was seen in
//! either pass.
#![forbid(unsafe_code)]

use core::cmp::Reverse;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::records::{Alongside, Record, Snapshot};
use crate::rule::{PackedState, Status};
use crate::table::EntryState;
use crate::time::Timestamp;
use crate::tracker::IncarnationTracker;
use crate::tracker::core::Core;

/// Entries read under one pin, so that no removed entry waits for a pass over the whole of a large table.
const SLICE: u32 = 4096;

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Ord + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Everything the tracker knows, owned: a row for each node, the tombstones that `now` is not past the retention of,
    /// and a row for the local node, if the builder named one.
    ///
    /// *Ages.* A row says how long ago its node's state was accepted: `now` minus the last update, zero
    /// if the last update is later.
    ///
    /// *The local node* is not stored in the table. In a snapshot it has a row all the same, Alive at
    /// [`local().current()`](crate::Local::current), of age zero, so that a tracker that merges the snapshot learns of this
    /// node, too. The row is read last: it is not below any incarnation that was given out before this call.
    ///
    /// *While other threads change the table* a snapshot is not of one instant, since no thread is stopped for it. It keeps
    /// these promises:
    ///
    /// - Each row is a state that its node was in at some moment of the call.
    /// - A node that was in the table or had a tombstone all through the call is in the snapshot, also if it went from one
    ///   to the other meanwhile: tombstones are written before nodes leave the table, and cleared after nodes return to
    ///   it. (Only a node that goes both ways several times within the one call can be missed.)
    /// - Each change that happened before the call is in it.
    /// - If two states of a node were seen, the higher one is in the snapshot.
    ///
    /// Cost: a walk over the array of entries and one over the tombstones, a clone of each key, a sort; about 100 bytes a
    /// node for small keys. If nodes join meanwhile, and tombstones are kept, both walks are done twice. Readers never wait
    /// for it. A writer that writes or clears a tombstone waits while the part with that tombstone is copied.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ours: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let heard = Timestamp::from_millis(1_000);
    /// let _ = ours.update("a:1", Claim::suspect(3), heard);
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
            // A node that was met twice keeps its highest packed state, and of that the highest age.
            rows.sort_by(|a, b| {
                let order = |row: &Record<K>| Reverse((row.packed, row.age));
                a.node.cmp(&b.node).then_with(|| order(a).cmp(&order(b)))
            });
            rows.dedup_by(|again, first| again.node == first.node);
        }
        core.look_again_at_rows_with_tombstones(now, &mut nodes, &tombstones);
        let mut snapshot = Snapshot { nodes, tombstones };
        snapshot.leave_out_outranked_tombstones();
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
                    // After the packed state, so that it is the last update of that state or a later one.
                    age: now.since(node.last_update()),
                });
            });
            pinned.repin();
            start = last + 1;
        }
    }

    /// A row with a tombstone above it is of a node that was introduced over its tombstone, or of one that died and left the
    /// table between the two walks. The latter must not come back to life where the snapshot is merged. A second lookup
    /// tells the two apart.
    fn look_again_at_rows_with_tombstones(
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
