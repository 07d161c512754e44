//! Records of nodes and deaths, and the snapshot that holds them in the order of their keys.
#![forbid(unsafe_code)]

use core::fmt;
use core::time::Duration;

use crate::rule::{Claim, Incarnation, PackedState, Status};

/// The state of one node, or one remembered death.
///
/// ```
/// use incarnation::{Claim, Record, Status};
/// use std::time::Duration;
/// let record = Record::new("a:1", Claim::suspect(4), Duration::from_secs(2)).unwrap();
/// assert_eq!((record.status(), record.incarnation().get()), (Status::Suspect, 4));
/// assert!(Record::new("a:1", Claim::alive(u64::MAX), Duration::ZERO).is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record<K> {
    pub(super) node: K,
    pub(super) packed: PackedState,
    pub(super) age: Duration,
}

impl<K> Record<K> {
    /// A record; `None` if the incarnation is above [`Incarnation::MAX`], which no table holds.
    #[must_use]
    pub fn new(node: K, claim: Claim, age: Duration) -> Option<Self> {
        Some(Self {
            node,
            packed: PackedState::of(claim)?,
            age,
        })
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> &K {
        &self.node
    }

    /// Status and incarnation, as a claim that can be sent on (not trusted).
    #[must_use]
    pub fn claim(&self) -> Claim {
        self.packed.claim()
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.packed.status()
    }

    /// Its incarnation.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.packed.incarnation()
    }

    /// How long the node has been in this state, at least: the time from the last update to the snapshot.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.age
    }
}

/// What a tracker knew at a moment, made by [`IncarnationTracker::snapshot`](crate::IncarnationTracker::snapshot).
///
/// Two lists, each in the order of the keys, so that equal knowledge makes equal snapshots: the nodes, one row each, and
/// the tombstones (remembered deaths of nodes that left the table). A node that was introduced again over its tombstone is
/// in both lists. A tombstone that is not above its node's row is left out.
///
/// ```
/// use incarnation::{Claim, IncarnationTracker, Status, Timestamp};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let here: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
/// let now = Timestamp::from_secs(5);
/// let _ = here.confirm("a:1", 3, Timestamp::from_secs(2));
///
/// let snapshot = here.snapshot(now);
/// for record in &snapshot {
///     println!("{} is {} for {:?}", record.node(), record.claim(), record.age());
/// }
/// // Another process, with a clock of its own:
/// let there: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
/// let report = there.merge(&snapshot, Timestamp::from_secs(1_000));
/// assert_eq!(report.joined, 1);
/// assert_eq!(there.get("a:1").map(|state| state.claim()), Some(Claim::alive(3)));
/// # Ok(()) }
/// ```
///
/// With the feature `serde` it can be serialized (for keys that can), and reading one back checks it
/// as [`new`](Self::new) does; with `persist` it can be saved to a file as well.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot<K> {
    /// Strictly ascending by key.
    pub(super) nodes: Vec<Record<K>>,
    /// Strictly ascending by key; Dead and Left only, each above the row of its node.
    pub(super) tombstones: Vec<Record<K>>,
}

/// Its nodes; the tombstones are in [`Snapshot::tombstones`].
impl<K> IntoIterator for Snapshot<K> {
    type Item = Record<K>;
    type IntoIter = std::vec::IntoIter<Record<K>>;

    fn into_iter(self) -> Self::IntoIter {
        self.nodes.into_iter()
    }
}

/// As [`Snapshot::nodes`].
impl<'s, K> IntoIterator for &'s Snapshot<K> {
    type Item = &'s Record<K>;
    type IntoIter = core::slice::Iter<'s, Record<K>>;

    fn into_iter(self) -> Self::IntoIter {
        self.nodes.iter()
    }
}

/// Why records can't be made a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A node has two rows, or two tombstones.
    Twice,
    /// A tombstone has a status other than Dead and Left.
    TombstoneOfRunningNode {
        /// Its status.
        status: Status,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice => f.write_str("a node has more than one row, or more than one tombstone"),
            Self::TombstoneOfRunningNode { status } => {
                write!(
                    f,
                    "a tombstone is {status}; only dead and left nodes have tombstones"
                )
            }
        }
    }
}

impl core::error::Error for SnapshotError {}

impl<K: Ord> Snapshot<K> {
    /// A snapshot of records from elsewhere, in any order: of another membership store, or a configuration. Cost: a sort,
    /// which is cheap if they are sorted.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if a node has two rows or two tombstones, or a tombstone is neither Dead nor Left.
    ///
    /// ```
    /// use incarnation::{Claim, Record, Snapshot};
    /// use std::time::Duration;
    /// let seeds = ["b:1", "a:1"].map(|node| Record::new(node, Claim::unconfirmed(0), Duration::ZERO));
    /// let snapshot = Snapshot::new(seeds.into_iter().flatten().collect(), Vec::new())?;
    /// assert_eq!(*snapshot.nodes()[0].node(), "a:1");
    /// # Ok::<(), incarnation::SnapshotError>(())
    /// ```
    pub fn new(
        mut nodes: Vec<Record<K>>,
        mut tombstones: Vec<Record<K>>,
    ) -> Result<Self, SnapshotError> {
        for tombstone in &tombstones {
            check_tombstone(tombstone.packed)?;
        }
        for rows in [&mut nodes, &mut tombstones] {
            sort_once_each(rows)?;
        }
        let mut snapshot = Self { nodes, tombstones };
        snapshot.leave_out_outranked_tombstones();
        Ok(snapshot)
    }

    /// Leaves out tombstones that are not above the row of their node.
    pub(super) fn leave_out_outranked_tombstones(&mut self) {
        let mut nodes = Alongside::new(&self.nodes);
        self.tombstones.retain(|tombstone| {
            nodes
                .at(&tombstone.node)
                .is_none_or(|row| row.packed < tombstone.packed)
        });
    }

    /// The row of a node. Cost: a binary search.
    #[must_use]
    pub fn node(&self, node: &K) -> Option<&Record<K>> {
        find(&self.nodes, node)
    }

    /// The tombstone of a node. Cost: a binary search.
    #[must_use]
    pub fn tombstone(&self, node: &K) -> Option<&Record<K>> {
        find(&self.tombstones, node)
    }
}

impl<K> Snapshot<K> {
    /// The nodes, one row each, in the order of their keys.
    #[must_use]
    pub fn nodes(&self) -> &[Record<K>] {
        &self.nodes
    }

    /// The remembered deaths, in the order of their keys.
    #[must_use]
    #[doc(alias = "graves")]
    pub fn tombstones(&self) -> &[Record<K>] {
        &self.tombstones
    }

    /// Whether it has neither rows nor tombstones.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.tombstones.is_empty()
    }

    /// The same snapshot after some time: each age is higher by so much. For one that was in a file, or on its way, for
    /// long.
    #[must_use]
    pub fn aged(mut self, by: Duration) -> Self {
        for record in self.nodes.iter_mut().chain(&mut self.tombstones) {
            record.age = record.age.saturating_add(by);
        }
        self
    }
}

pub(super) fn check_tombstone(packed: PackedState) -> Result<(), SnapshotError> {
    let status = packed.status();
    if status.is_gone() {
        Ok(())
    } else {
        Err(SnapshotError::TombstoneOfRunningNode { status })
    }
}

/// Sorts rows by their keys, which must differ.
pub(super) fn sort_once_each<T: Keyed>(rows: &mut [T]) -> Result<(), SnapshotError> {
    rows.sort_by(|a, b| a.key().cmp(b.key()));
    if rows.windows(2).any(|pair| pair[0].key() == pair[1].key()) {
        return Err(SnapshotError::Twice);
    }
    Ok(())
}

fn find<'r, K: Ord>(rows: &'r [Record<K>], node: &K) -> Option<&'r Record<K>> {
    let place = rows.binary_search_by(|row| row.node.cmp(node)).ok()?;
    rows.get(place)
}

/// Walks a list in the order of its keys, alongside another list in that order.
pub(super) struct Alongside<'r, T> {
    rest: &'r [T],
}

/// A row that is ordered by its key.
pub(super) trait Keyed {
    type Key: Ord;

    fn key(&self) -> &Self::Key;
}

impl<K: Ord> Keyed for Record<K> {
    type Key = K;

    fn key(&self) -> &K {
        &self.node
    }
}

impl<'r, T: Keyed> Alongside<'r, T> {
    pub(super) fn new(rows: &'r [T]) -> Self {
        Self { rest: rows }
    }

    /// The row of a key that is not below those asked for before.
    pub(super) fn at(&mut self, key: &T::Key) -> Option<&'r T> {
        while let Some((first, rest)) = self.rest.split_first() {
            match first.key().cmp(key) {
                core::cmp::Ordering::Less => self.rest = rest,
                core::cmp::Ordering::Equal => return Some(first),
                core::cmp::Ordering::Greater => return None,
            }
        }
        None
    }
}
