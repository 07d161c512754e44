//! What a message says of a node.
#![forbid(unsafe_code)]

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use super::{Incarnation, Status};

/// A status at an incarnation: what a message says of a node, and what the table holds of it.
///
/// Sixteen bytes, `Copy`. A claim is *trusted* when it needs no check against suspicious jumps:
/// first-hand contact, restored state, an operator's decision. Gossip is not.
///
/// Claims are ordered as they override each other: by incarnation, then by status; of two that are
/// otherwise equal, the trusted one is the greater.
///
/// A claim is written and read as `suspect@5`; whether it is trusted is not part of that text.
///
/// ```
/// use incarnation::{Claim, Status};
/// let gossip = Claim::suspect(5);
/// assert_eq!((gossip.status(), gossip.incarnation().get()), (Status::Suspect, 5));
/// assert!(Claim::alive(7).trusted().is_trusted());
/// assert!(Claim::dead(5) > gossip && Claim::alive(6) > Claim::dead(5));
/// assert_eq!("suspect@5".parse(), Ok(gossip));
/// assert_eq!(Claim::from((Status::Suspect, 5.into())), gossip);
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

    /// The node exists; but no one has reached it at first hand.
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
        match Status::from_rank(self.rank()) {
            Some(status) => status,
            // Never: a tag holds the rank of a status.
            None => Status::Left,
        }
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

impl Ord for Claim {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |claim: &Self| (claim.incarnation, claim.rank(), claim.is_trusted());
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Claim {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As [`Claim::new`].
impl From<(Status, Incarnation)> for Claim {
    fn from((status, incarnation): (Status, Incarnation)) -> Self {
        Self::new(status, incarnation)
    }
}

/// The text is no claim: not a status, an `@`, and an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseClaimError(());

impl fmt::Display for ParseClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a claim: a status, `@` and an incarnation are expected, as in suspect@5")
    }
}

impl core::error::Error for ParseClaimError {}

impl FromStr for Claim {
    type Err = ParseClaimError;

    /// Reads `suspect@5`; the status by any of its names.
    fn from_str(text: &str) -> Result<Self, ParseClaimError> {
        let error = ParseClaimError(());
        let (status, incarnation) = text.split_once('@').ok_or(error)?;
        let status: Status = status.parse().map_err(|_| error)?;
        let incarnation: Incarnation = incarnation.parse().map_err(|_| error)?;
        Ok(Self::new(status, incarnation))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_parses_back() {
        for status in Status::ALL {
            for incarnation in [0, 1, u64::MAX] {
                let claim = Claim::new(status, incarnation);
                assert_eq!(claim.to_string().parse(), Ok(claim));
            }
        }
        for text in [
            "",
            "@",
            "alive",
            "alive@",
            "@5",
            "alive@-1",
            "alive@5@6",
            "up@5",
        ] {
            assert!(text.parse::<Claim>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_order_agrees_with_equality_and_with_the_rule() {
        let mut claims = Vec::new();
        for incarnation in 0..3 {
            for status in Status::ALL {
                claims.push(Claim::new(status, incarnation));
                claims.push(Claim::new(status, incarnation).trusted());
            }
        }
        // Written down in their order.
        assert!(claims.is_sorted());
        for a in &claims {
            for b in &claims {
                assert_eq!(a == b, a.cmp(b) == Ordering::Equal);
            }
        }
    }
}
