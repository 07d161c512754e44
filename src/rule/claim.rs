//! What a message says of a node.

use core::fmt;

use super::{Incarnation, Status};

/// A status at an incarnation: what a message says of a node, and what the table holds of it.
///
/// Sixteen bytes, `Copy`. A claim is *trusted* when it needs no check against suspicious jumps:
/// first-hand contact, restored state, an operator's packed state. Gossip is not.
///
/// ```
/// use incarnation::{Claim, Status};
/// let gossip = Claim::suspect(5);
/// assert_eq!((gossip.status(), gossip.incarnation().get()), (Status::Suspect, 5));
/// assert!(Claim::alive(7).trusted().is_trusted());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    incarnation: Incarnation,
    /// The rank of the status, and whether it is trusted. One field, so that a claim is two numbers
    /// and travels in two registers.
    tag: u8,
}

/// The bit of the tag that says trusted.
const TRUSTED: u8 = 1 << 7;

impl Claim {
    /// A claim as gossip brings it.
    #[must_use]
    #[inline]
    pub fn new(status: Status, incarnation: impl Into<Incarnation>) -> Self {
        Self {
            incarnation: incarnation.into(),
            tag: status.rank(),
        }
    }

    /// The node exists; nobody vouches that it was reached.
    #[must_use]
    #[inline]
    pub fn unconfirmed(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Unconfirmed, incarnation)
    }

    /// The node runs.
    #[must_use]
    #[inline]
    pub fn alive(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Alive, incarnation)
    }

    /// The node could not be reached.
    #[must_use]
    #[inline]
    pub fn suspect(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Suspect, incarnation)
    }

    /// The node failed.
    #[must_use]
    #[inline]
    pub fn dead(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Dead, incarnation)
    }

    /// The node departed on purpose.
    #[must_use]
    #[inline]
    pub fn left(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Left, incarnation)
    }

    /// The same claim, exempt from the checks that guard against invented incarnations
    /// (`max_incarnation_jump`, `max_first_incarnation`). Not from the range, nor from tombstones.
    #[must_use]
    #[inline]
    pub const fn trusted(mut self) -> Self {
        self.tag |= TRUSTED;
        self
    }

    /// The rank of its status.
    #[inline(always)]
    pub(super) const fn rank(self) -> u8 {
        self.tag & !TRUSTED
    }

    /// The tag, for what packs claims further.
    #[inline]
    pub(super) const fn tag(self) -> u8 {
        self.tag
    }

    /// The claim of a tag that [`tag`](Self::tag) gave.
    #[inline]
    pub(super) const fn of_tag(tag: u8, incarnation: Incarnation) -> Self {
        Self { incarnation, tag }
    }

    /// What it says of the node.
    #[must_use]
    #[inline]
    pub const fn status(self) -> Status {
        Status::of_legal_rank(self.rank())
    }

    /// At which incarnation.
    #[must_use]
    #[inline]
    pub const fn incarnation(self) -> Incarnation {
        self.incarnation
    }

    /// Whether [`trusted`](Self::trusted) was called.
    #[must_use]
    #[inline]
    pub const fn is_trusted(self) -> bool {
        self.tag & TRUSTED != 0
    }
}

impl fmt::Display for Claim {
    /// `suspect@5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.status(), self.incarnation)
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({self}")?;
        f.write_str(if self.is_trusted() { ", trusted)" } else { ")" })
    }
}
