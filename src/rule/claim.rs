//! What a message says of a node.

use core::fmt;

use super::{Incarnation, Status};

/// A status at an incarnation: what a message says of a node, and what the table holds of it.
///
/// Sixteen bytes, `Copy`. A claim is *trusted* when it needs no check against suspicious jumps:
/// first-hand contact, restored state, an operator's word. Gossip is not.
///
/// ```
/// use incarnation::{Claim, Status};
/// let gossip = Claim::suspect(5);
/// assert_eq!((gossip.status(), gossip.incarnation().get()), (Status::Suspect, 5));
/// assert!(Claim::alive(7).trusted().is_trusted());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    incarnation: Incarnation,
    status: Status,
    trusted: bool,
}

impl Claim {
    /// A claim as gossip brings it.
    #[must_use]
    pub fn new(status: Status, incarnation: impl Into<Incarnation>) -> Self {
        Self {
            incarnation: incarnation.into(),
            status,
            trusted: false,
        }
    }

    /// The node exists; nobody vouches that it was reached.
    #[must_use]
    pub fn unconfirmed(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Unconfirmed, incarnation)
    }

    /// The node runs.
    #[must_use]
    pub fn alive(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Alive, incarnation)
    }

    /// The node could not be reached.
    #[must_use]
    pub fn suspect(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Suspect, incarnation)
    }

    /// The node failed.
    #[must_use]
    pub fn dead(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Dead, incarnation)
    }

    /// The node departed on purpose.
    #[must_use]
    pub fn left(incarnation: impl Into<Incarnation>) -> Self {
        Self::new(Status::Left, incarnation)
    }

    /// The same claim, exempt from the checks that guard against invented incarnations
    /// (`max_incarnation_jump`, `max_first_incarnation`). Not from the range, nor from graves.
    #[must_use]
    pub const fn trusted(mut self) -> Self {
        self.trusted = true;
        self
    }

    /// What it says of the node.
    #[must_use]
    pub const fn status(self) -> Status {
        self.status
    }

    /// At which incarnation.
    #[must_use]
    pub const fn incarnation(self) -> Incarnation {
        self.incarnation
    }

    /// Whether [`trusted`](Self::trusted) was called.
    #[must_use]
    pub const fn is_trusted(self) -> bool {
        self.trusted
    }
}

impl fmt::Display for Claim {
    /// `suspect@5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.status, self.incarnation)
    }
}
