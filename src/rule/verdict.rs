//! What the table decided about a claim, and why.

use core::fmt;

use super::{Claim, Incarnation};

/// What the table decided about a claim.
///
/// `current` is what the sender must be told when it is out of date, ready to be sent back.
///
/// ```
/// use incarnation::{Claim, IncarnationTracker, Timestamp, Verdict};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker = IncarnationTracker::builder().build()?;
/// let node: std::net::SocketAddr = "10.0.0.7:7946".parse()?;
/// let now = Timestamp::ZERO;
/// assert_eq!(tracker.update(&node, Claim::suspect(5), now), Verdict::Joined);
/// assert_eq!(
///     tracker.update(&node, Claim::alive(4), now),
///     Verdict::Stale { current: Claim::suspect(5) },
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a claim may have been refused: look at the verdict"]
#[non_exhaustive]
pub enum Verdict {
    /// The node was unknown; the claim began its life in the table.
    Joined,
    /// The claim replaced what was known.
    Applied {
        /// What it replaced.
        previous: Claim,
    },
    /// Nothing new: equal incarnation, no higher status. Nothing was written.
    Duplicate {
        /// What is known.
        current: Claim,
    },
    /// A lower incarnation than is known. Nothing was written.
    Stale {
        /// What is known.
        current: Claim,
    },
    /// It speaks of the local node, which only the local node decides about. Give it to
    /// [`Local::answer`](crate::Local::answer) and gossip what comes of it: what the node says of itself already
    /// comes back like this, too, and needs no answer. Nothing was written.
    AboutSelf {
        /// The claim made about us, accusation or not.
        accused: Claim,
    },
    /// Refused. Nothing was written.
    Rejected(Rejection),
}

impl Verdict {
    /// Whether the claim is now what the table holds: `Joined` or `Applied`.
    #[must_use]
    pub const fn accepted(self) -> bool {
        matches!(self, Self::Joined | Self::Applied { .. })
    }
}

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// Above `max_incarnation` or, for an unknown node, above `max_first_incarnation`.
    OutOfRange,
    /// A Suspect, Dead or Left claim that would raise the node to `max_incarnation`, where the node
    /// could never refute it.
    Unrefutable,
    /// More than `max_incarnation_jump` above what is known, and not trusted.
    SuspiciousJump {
        /// What is known.
        current: Claim,
    },
    /// A suspicion of a node that is `Unconfirmed` at this very incarnation.
    Unconfirmed,
    /// An unknown node, and no room: `hard_limit` nodes are live, or every free entry waits for a
    /// view to be dropped. A sweep makes room.
    AtCapacity,
    /// The node died or left, and the claim is not above the incarnation its tombstone remembers.
    #[doc(alias = "Buried")]
    Tombstone {
        /// The incarnation of the death.
        incarnation: Incarnation,
    },
    /// A rejoin too soon after the death with too low an incarnation.
    Zombie {
        /// The lowest incarnation that will do.
        required: Incarnation,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined => f.write_str("joined"),
            Self::Applied { previous } => write!(f, "applied over {previous}"),
            Self::Duplicate { current } => write!(f, "duplicate: {current} is known"),
            Self::Stale { current } => write!(f, "stale: {current} is known"),
            Self::AboutSelf { accused } => write!(f, "about this node itself: {accused}"),
            Self::Rejected(reason) => write!(f, "rejected: {reason}"),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("incarnation out of range"),
            Self::Unrefutable => {
                f.write_str("accusation at the highest incarnation can't be refuted")
            }
            Self::SuspiciousJump { current } => {
                write!(f, "suspicious jump: only {current} is known")
            }
            Self::Unconfirmed => f.write_str("an unconfirmed node can't be suspected"),
            Self::AtCapacity => f.write_str("no room for another node"),
            Self::Tombstone { incarnation } => {
                write!(
                    f,
                    "a tombstone remembers the node at incarnation {incarnation}"
                )
            }
            Self::Zombie { required } => {
                write!(f, "rejoins too soon: incarnation {required} is required")
            }
        }
    }
}

impl core::error::Error for Rejection {}
