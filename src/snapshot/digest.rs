//! Digests: the state and incarnation that one side knows of each node, so that the other side sends only the difference.
//!
//! Push-pull takes three messages. One side sends its digest. The other answers with the delta for it and a digest of its
//! own. The first sends the delta for that. Both then know what either knew.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use super::records::{Alongside, Keyed, Record, Snapshot};
#[cfg(feature = "serde")]
use super::records::{SnapshotError, check_tombstone, sort_once_each};
use crate::rule::PackedState;
use crate::time::Timestamp;
use crate::tracker::IncarnationTracker;

/// The status and incarnation that a tracker knows of each node, without the times: from it
/// [`IncarnationTracker::delta`] finds out what the tracker lacks. Made by [`IncarnationTracker::digest`] or [`Snapshot::digest`].
///
/// One row a node, in the order of the keys: the key and one or two numbers. With the feature
/// `serde` it can be sent. For an example see [`IncarnationTracker::delta`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest<K> {
    /// Strictly ascending by key.
    pub(crate) rows: Vec<Known<K>>,
}

/// What is known of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Known<K> {
    pub(crate) node: K,
    /// The packed state of its row.
    pub(crate) state: Option<PackedState>,
    /// The packed state of its tombstone.
    pub(crate) tombstone: Option<PackedState>,
}

impl<K: Ord> Keyed for Known<K> {
    type Key = K;

    fn key(&self) -> &K {
        &self.node
    }
}

impl<K> Known<K> {
    /// Whether a row at `packed` would be news.
    fn lacks_state(&self, packed: PackedState) -> bool {
        match self.state {
            Some(state) => packed > state,
            // The tombstone refuses a claim that is not above it.
            None => self.tombstone.is_none_or(|tombstone| packed > tombstone),
        }
    }

    /// Whether a tombstone at `packed`, beside a row at `state` if there is one, would be news.
    fn lacks_tombstone(&self, packed: PackedState, state: Option<PackedState>) -> bool {
        match (state, self.state) {
            // It would be written beside the row.
            (Some(_), known) => Some(packed) > known && Some(packed) > self.tombstone,
            // It would end that lifetime.
            (None, Some(known)) => packed > known,
            (None, None) => Some(packed) > self.tombstone,
        }
    }
}

impl<K> Digest<K> {
    /// How many nodes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The digest of a tracker that knows nothing: the delta for it is the whole snapshot.
impl<K> Default for Digest<K> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

#[cfg(feature = "serde")]
impl<K: Ord> Digest<K> {
    /// A digest of rows in any order.
    pub(crate) fn of_rows(mut rows: Vec<Known<K>>) -> Result<Self, SnapshotError> {
        for row in &rows {
            row.tombstone.map_or(Ok(()), check_tombstone)?;
        }
        sort_once_each(&mut rows)?;
        Ok(Self { rows })
    }
}

impl<K: Ord + Clone> Snapshot<K> {
    /// The digest of this snapshot. Cost: a clone of each key.
    #[must_use]
    pub fn digest(&self) -> Digest<K> {
        let mut rows = Vec::with_capacity(self.nodes.len() + self.tombstones.len());
        let mut tombstones = self.tombstones.iter().peekable();
        let of_tombstone = |tombstone: &Record<K>| Known {
            node: tombstone.node.clone(),
            state: None,
            tombstone: Some(tombstone.packed),
        };
        for row in &self.nodes {
            while let Some(tombstone) = tombstones.next_if(|tombstone| tombstone.node < row.node) {
                rows.push(of_tombstone(tombstone));
            }
            let tombstone = tombstones.next_if(|tombstone| tombstone.node == row.node);
            rows.push(Known {
                node: row.node.clone(),
                state: Some(row.packed),
                tombstone: tombstone.map(|tombstone| tombstone.packed),
            });
        }
        rows.extend(tombstones.map(of_tombstone));
        Digest { rows }
    }

    /// The part of this snapshot that the digest's side lacks: merging it there has the same result as merging the whole.
    /// Cost: one walk along both, and a clone of the part.
    #[must_use]
    pub fn delta(&self, digest: &Digest<K>) -> Self {
        let mut delta = Self {
            nodes: Vec::new(),
            tombstones: Vec::new(),
        };
        let mut states = Alongside::new(&self.nodes);
        let mut known = Alongside::new(&digest.rows);
        for tombstone in &self.tombstones {
            let state = states.at(&tombstone.node).map(|row| row.packed);
            let theirs = known.at(&tombstone.node);
            if theirs.is_none_or(|theirs| theirs.lacks_tombstone(tombstone.packed, state)) {
                delta.tombstones.push(tombstone.clone());
            }
        }
        let mut beside = Alongside::new(&delta.tombstones);
        let mut known = Alongside::new(&digest.rows);
        for row in &self.nodes {
            let theirs = known.at(&row.node);
            // A tombstone without its row would end the lifetime that goes on beside it.
            let has_tombstone = beside.at(&row.node).is_some();
            if has_tombstone || theirs.is_none_or(|theirs| theirs.lacks_state(row.packed)) {
                delta.nodes.push(row.clone());
            }
        }
        delta
    }
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Ord + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The status and incarnation that this tracker knows of each node, with the local node, and the tombstones that
    /// `now` is not past the retention of. Cost: a [`snapshot`](Self::snapshot), with the same guarantees under change.
    #[must_use]
    pub fn digest(&self, now: Timestamp) -> Digest<K> {
        self.snapshot(now).digest()
    }

    /// The part of this tracker's knowledge that the side which sent a digest lacks: a snapshot to be
    /// [merged](Self::merge) there, with the same result as merging the whole. It contains accusations against the other
    /// side's local node, whose digest says what it knows of itself.
    ///
    /// Cost: a [`snapshot`](Self::snapshot), and a walk along the digest.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let now = Timestamp::ZERO;
    /// let ours: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let theirs: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// for tracker in [&ours, &theirs] {
    ///     let _ = tracker.update("a:1", Claim::alive(1), now);
    /// }
    /// let _ = ours.update("b:1", Claim::alive(2), now);
    ///
    /// let delta = ours.delta(&theirs.digest(now), now);
    /// assert_eq!(delta.nodes().len(), 1); // only b:1
    /// let _ = theirs.merge(&delta, now);
    /// assert!(ours.delta(&theirs.digest(now), now).is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn delta(&self, digest: &Digest<K>, now: Timestamp) -> Snapshot<K> {
        self.snapshot(now).delta(digest)
    }
}
