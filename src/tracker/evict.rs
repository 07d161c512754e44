//! Takes one node out of the table, with a tombstone for a dead one.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use super::core::Core;
use super::report::SweepReason;
use super::state::NodeState;
use crate::counters::event_counters::Event;
use crate::rule::PackedState;
use crate::table::{EntryState, Node};
use crate::time::Timestamp;
use crate::tombstones::{Tombstone, WriteOutcome};

/// Why a node leaves the table, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    Swept(SweepReason, Timestamp),
    Removed(Timestamp),
    /// Its tombstone is written already.
    Recorded,
    /// Without a tombstone, whatever it was.
    Forgotten,
}

impl From<Exit> for Event {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Swept(reason, _) => reason.into(),
            Exit::Removed(_) | Exit::Recorded => Self::Removed,
            Exit::Forgotten => Self::Forgotten,
        }
    }
}

impl<K, D, S> Core<K, D, S>
where
    K: Eq + Hash + Clone,
    S: BuildHasher,
{
    /// Takes a node out of the table if its packed state is still the judged one. For a Dead or Left
    /// one it first writes a tombstone, unless that would have expired by then, or the node is to be forgotten. `evict` takes
    /// the entry out of the table.
    #[inline]
    pub(crate) fn evict<'p>(
        &self,
        evict: impl FnOnce(Node<'p, K, D>, PackedState) -> Result<(), EntryState>,
        node: Node<'p, K, D>,
        packed: PackedState,
        exit: Exit,
    ) -> Result<NodeState, EntryState> {
        let last = NodeState::new(packed, node.last_update());
        let mut written = WriteOutcome::NotStored;
        if packed.status().is_gone()
            && let Exit::Swept(_, now) | Exit::Removed(now) = exit
        {
            let tombstone = Tombstone {
                packed,
                died: last.last_update,
            };
            written = self.tombstones.write(node.key(), tombstone, now);
        }
        if let Err(entry_state) = evict(node, packed) {
            self.tombstones.take_back(node.key(), written);
            return Err(entry_state);
        }
        self.changed(node, Some(packed), None);
        self.event_counters.count(exit);
        if written != WriteOutcome::NotStored {
            self.event_counters.count(Event::TombstoneWritten);
        }
        #[cfg(feature = "tracing")]
        tracing::debug!(target: "incarnation", reason = ?Event::from(exit), %last, "node evicted");
        Ok(last)
    }
}
