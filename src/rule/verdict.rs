//! What the table decided about a claim, and why.
#![forbid(unsafe_code)]

use core::fmt;

use super::{Claim, Incarnation};

/// What the table decided about a claim.
///
/// `current` is the state known here, ready to be sent back to a sender that is out of date.
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
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use = "a claim may have been refused: look at the verdict"]
#[non_exhaustive]
pub enum Verdict {
    /// The node was unknown; the claim inserted it.
    Joined,
    /// The claim replaced what was known.
    Applied {
        /// What it replaced.
        previous: Claim,
    },
    /// Nothing new: equal incarnation, no higher status. Nothing was written.
    Duplicate {
        /// The node's state, as a claim.
        current: Claim,
    },
    /// A lower incarnation than is known. Nothing was written.
    Stale {
        /// The node's state, as a claim.
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
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Joined | Self::Applied { .. })
    }

    /// As [`is_accepted`](Self::is_accepted).
    #[must_use]
    pub const fn accepted(self) -> bool {
        self.is_accepted()
    }

    /// The verdict, or the reason if the claim was [`Rejected`](Self::Rejected): for `?`.
    ///
    /// A claim that is no news (`Duplicate`, `Stale`, `AboutSelf`) is no error.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Rejection, Timestamp, Verdict};
    /// fn gossip(tracker: &IncarnationTracker<u32>) -> Result<Verdict, Rejection> {
    ///     tracker.update(&7, Claim::alive(1), Timestamp::ZERO).into_result()
    /// }
    /// # let tracker = IncarnationTracker::builder().build().unwrap();
    /// assert_eq!(gossip(&tracker), Ok(Verdict::Joined));
    /// let jump = tracker.update(&7, Claim::suspect(5_000), Timestamp::ZERO).into_result();
    /// assert!(matches!(jump, Err(Rejection::SuspiciousJump { .. })));
    /// ```
    ///
    /// # Errors
    ///
    /// The [`Rejection`].
    pub const fn into_result(self) -> Result<Self, Rejection> {
        match self {
            Self::Rejected(reason) => Err(reason),
            verdict => Ok(verdict),
        }
    }
}

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Rejection {
    /// The claim's incarnation is above `max_incarnation` or, for an unknown node, above
    /// `max_first_incarnation`.
    OutOfRange {
        /// The incarnation of the claim.
        incarnation: Incarnation,
        /// The limit that it exceeds.
        max: Incarnation,
    },
    /// A Suspect, Dead or Left claim that would raise the node to `max_incarnation`, where the node
    /// could never refute it.
    Unrefutable {
        /// The `max_incarnation` of the table.
        max: Incarnation,
    },
    /// The claim is more than `max_incarnation_jump` above the known incarnation, and it is not
    /// trusted.
    ///
    /// An Alive claim that is refused so may be an honest node's refutation of a far accusation.
    /// Contact the node: [`confirm`](crate::IncarnationTracker::confirm) is trusted and takes over the
    /// node's incarnation.
    SuspiciousJump {
        /// The node's state, as a claim.
        current: Claim,
        /// The incarnation of the claim.
        claimed: Incarnation,
        /// The `max_incarnation_jump` of the table.
        max_jump: u64,
    },
    /// The node is `Unconfirmed`: it was never contacted. By
    /// [`update`](crate::IncarnationTracker::update) it can't be suspected at its own incarnation; by
    /// [`hear`](crate::IncarnationTracker::hear) nothing is learned of it at all.
    Unconfirmed,
    /// Hearsay that an unknown node is Dead or Left. It introduces no node.
    UnknownNode,
    /// An unknown node, and no room: `hard_limit` nodes are live. A sweep makes room. (A table of 65,535 entries
    /// and more refuses earlier under a hasher that does not spread.)
    AtCapacity,
    /// An unknown node, and no free entry although fewer than `hard_limit` nodes are live: all others belonged
    /// to nodes that were removed, and wait for a [`View`](crate::View) to be dropped. The same claim succeeds once
    /// that view is gone. A view that is held for long is the cause; `Stats::longest_view` says for how long.
    PendingReclaim,
    /// The node died or left, and the claim is not above the incarnation its tombstone remembers.
    #[doc(alias = "Buried")]
    #[doc(alias = "grave")]
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
            Self::OutOfRange { incarnation, max } => {
                write!(
                    f,
                    "incarnation {incarnation} is above the highest allowed, {max}"
                )
            }
            Self::Unrefutable { max } => write!(
                f,
                "an accusation at max_incarnation ({max}) could never be refuted"
            ),
            Self::SuspiciousJump {
                current,
                claimed,
                max_jump,
            } => write!(
                f,
                "incarnation {claimed} jumps more than max_incarnation_jump ({max_jump}) above the known {current}; contact the node to confirm it"
            ),
            Self::Unconfirmed => {
                f.write_str("the node is unconfirmed: only contact with it can tell more")
            }
            Self::UnknownNode => f.write_str("hearsay of the death of an unknown node"),
            Self::AtCapacity => f.write_str("no room for another node"),
            Self::PendingReclaim => {
                f.write_str("no free entry: those of removed nodes wait for a view to be dropped")
            }
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
