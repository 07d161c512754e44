//! What an engine says of its members, and what a mirror answers.

use crate::rule::Status;
use crate::tracker::NodeState;

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

/// An engine that can list its members, for [`Mirror::run`](super::Mirror::run).
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

/// Members that run come before those that don't, and Alive ones first.
pub(super) const fn precedence(status: Status) -> u8 {
    match status {
        Status::Alive => 3,
        Status::Suspect => 2,
        Status::Unconfirmed => 1,
        Status::Dead | Status::Left => 0,
    }
}
