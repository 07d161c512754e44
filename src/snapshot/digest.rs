//! Digests: how far somebody knows each node, so that the other side sends only what is missing.
//!
//! Push-pull in three messages: one side sends its digest; the other answers with the delta for it
//! and a digest of its own; the first sends the delta for that. Both then know what either knew.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use super::{Alongside, Keyed, Record, Snapshot};
#[cfg(feature = "serde")]
use super::{SnapshotError, check_grave, sort_once_each};
use crate::rule::Word;
use crate::time::Timestamp;
use crate::tracker::IncarnationTracker;

/// How far a tracker knows each node, without the times: what [`IncarnationTracker::delta`] needs to
/// find out what it lacks. Made by [`IncarnationTracker::digest`] or [`Snapshot::digest`].
///
/// One row a node, in the order of the keys: the key and one or two numbers. With the feature
/// `serde` it can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest<K> {
    /// Strictly ascending by key.
    pub(crate) rows: Vec<Known<K>>,
}

/// How far one node is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Known<K> {
    pub(crate) node: K,
    /// The word of its row.
    pub(crate) state: Option<Word>,
    /// The word of its grave.
    pub(crate) grave: Option<Word>,
}

impl<K: Ord> Keyed for Known<K> {
    type Key = K;

    fn key(&self) -> &K {
        &self.node
    }
}

impl<K> Known<K> {
    /// Whether a snapshot with a node's row at `word` would tell something.
    fn lacks_state(&self, word: Word) -> bool {
        match self.state {
            Some(state) => word > state,
            // The grave refuses what is not above it.
            None => self.grave.is_none_or(|grave| word > grave),
        }
    }

    /// The same of a grave, beside a row at `state`, if there is one.
    fn lacks_grave(&self, word: Word, state: Option<Word>) -> bool {
        match (state, self.state) {
            // It would be buried beside the row.
            (Some(_), known) => Some(word) > known && Some(word) > self.grave,
            // It would end that life.
            (None, Some(known)) => word > known,
            (None, None) => Some(word) > self.grave,
        }
    }
}

impl<K> Digest<K> {
    /// How many nodes it speaks of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it speaks of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The digest of one who knows nothing: the delta for it is the whole snapshot.
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
            row.grave.map_or(Ok(()), check_grave)?;
        }
        sort_once_each(&mut rows)?;
        Ok(Self { rows })
    }
}

impl<K: Ord + Clone> Snapshot<K> {
    /// How far it knows each node. Cost: a clone of each key.
    #[must_use]
    pub fn digest(&self) -> Digest<K> {
        let mut rows = Vec::with_capacity(self.nodes.len() + self.graves.len());
        let mut graves = self.graves.iter().peekable();
        let buried = |grave: &Record<K>| Known {
            node: grave.node.clone(),
            state: None,
            grave: Some(grave.word),
        };
        for row in &self.nodes {
            while let Some(grave) = graves.next_if(|grave| grave.node < row.node) {
                rows.push(buried(grave));
            }
            let grave = graves.next_if(|grave| grave.node == row.node);
            rows.push(Known {
                node: row.node.clone(),
                state: Some(row.word),
                grave: grave.map(|grave| grave.word),
            });
        }
        rows.extend(graves.map(buried));
        Digest { rows }
    }

    /// Of this snapshot, what the digest's side lacks: merging it there does what merging the whole
    /// would. Cost: one walk along both, and a clone of what is lacking.
    #[must_use]
    pub fn delta(&self, digest: &Digest<K>) -> Self {
        let mut delta = Self {
            nodes: Vec::new(),
            graves: Vec::new(),
        };
        let mut states = Alongside::new(&self.nodes);
        let mut known = Alongside::new(&digest.rows);
        for grave in &self.graves {
            let state = states.at(&grave.node).map(|row| row.word);
            let theirs = known.at(&grave.node);
            if theirs.is_none_or(|theirs| theirs.lacks_grave(grave.word, state)) {
                delta.graves.push(grave.clone());
            }
        }
        let mut beside = Alongside::new(&delta.graves);
        let mut known = Alongside::new(&digest.rows);
        for row in &self.nodes {
            let theirs = known.at(&row.node);
            // A grave on its own would end the life that goes on beside it.
            let has_grave = beside.at(&row.node).is_some();
            if has_grave || theirs.is_none_or(|theirs| theirs.lacks_state(row.word)) {
                delta.nodes.push(row.clone());
            }
        }
        delta
    }
}

impl<K, S> IncarnationTracker<K, S>
where
    K: Eq + Hash + Ord + Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// How far this tracker knows each node, the local one and the graves not over by `now`
    /// included. Cost: a [`snapshot`](Self::snapshot), and the same guarantees under change.
    #[must_use]
    pub fn digest(&self, now: Timestamp) -> Digest<K> {
        self.snapshot(now).digest()
    }

    /// What the side that sent a digest lacks of what this tracker knows: a snapshot to be
    /// [merged](Self::merge) there, where it does what merging the whole snapshot would. Accusations against the
    /// other side's local node are in it, since its digest says what it knows of itself.
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
    ///     let _ = tracker.update(&"a:1".into(), Claim::alive(1), now);
    /// }
    /// let _ = ours.update(&"b:1".into(), Claim::alive(2), now);
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
