//! What a claim says of a node, in the order in which claims at one incarnation outrank each other.
#![forbid(unsafe_code)]

use core::fmt;
use core::str::FromStr;

/// The status of a node, ordered as claims at an equal incarnation conflict:
/// `Unconfirmed < Alive < Suspect < Dead < Left`.
///
/// The order is that of SWIM's suspicion mechanism (Das, Gupta, Motivala, *SWIM*, 2002, section
/// 4.2): at an equal incarnation a suspicion overrides an alive claim, a confirmed death overrides both.
/// `Unconfirmed` (heard of, never heard from) and `Left` (departed on purpose) extend it at both ends.
///
/// ```
/// use incarnation::Status;
/// assert!(Status::Alive < Status::Suspect);
/// assert_eq!("JOIN".parse(), Ok(Status::Alive));
/// assert_eq!(Status::Dead.to_string(), "dead");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Status {
    /// Heard of from another node or from configuration, never heard from. Can't be suspected at
    /// the incarnation it is known at: a node that was never reached can't have become unreachable.
    Unconfirmed = 1,
    /// Known to run.
    #[doc(alias = "OK")]
    #[doc(alias = "JOIN")]
    Alive = 2,
    /// Some node failed to reach it; it may refute with a higher incarnation.
    Suspect = 3,
    /// Declared failed.
    Dead = 4,
    /// Departed of its own will.
    Left = 5,
}

impl AsRef<[Status]> for Status {
    fn as_ref(&self) -> &[Status] {
        core::slice::from_ref(self)
    }
}

impl Status {
    /// Every status, lowest rank first.
    pub const ALL: [Self; 5] = [
        Self::Unconfirmed,
        Self::Alive,
        Self::Suspect,
        Self::Dead,
        Self::Left,
    ];

    /// Conflict rank, 1 to 5: the low three bits of the packed [PackedState](crate::rule::PackedState).
    #[must_use]
    #[inline]
    pub const fn rank(self) -> u8 {
        self as u8
    }

    /// The status of a rank; `None` for anything but 1 to 5.
    #[must_use]
    #[inline]
    pub const fn from_rank(rank: u8) -> Option<Self> {
        match rank {
            1 => Some(Self::Unconfirmed),
            2 => Some(Self::Alive),
            3 => Some(Self::Suspect),
            4 => Some(Self::Dead),
            5 => Some(Self::Left),
            _ => None,
        }
    }

    /// Whether the node is known to run and not under suspicion: `Alive`.
    #[must_use]
    #[inline]
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Alive)
    }

    /// Whether the node is gone: `Dead` or `Left`.
    #[must_use]
    #[inline]
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Dead | Self::Left)
    }

    /// The lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is no status name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseStatusError;

impl fmt::Display for ParseStatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a status: expected unconfirmed, alive (ok, join), suspect, dead or left")
    }
}

impl core::error::Error for ParseStatusError {}

impl FromStr for Status {
    type Err = ParseStatusError;

    /// Reads a name in any case. `OK` and `JOIN`, the original tracker's packed states, are `Alive`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("ok") || text.eq_ignore_ascii_case("join") {
            return Ok(Self::Alive);
        }
        Self::ALL
            .into_iter()
            .find(|status| text.eq_ignore_ascii_case(status.as_str()))
            .ok_or(ParseStatusError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_names_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::from_rank(status.rank()), Some(status));
            assert_eq!(status.to_string().parse(), Ok(status));
            assert_eq!(status.as_str().to_uppercase().parse(), Ok(status));
        }
        for rank in [0, 6, 7, 255] {
            assert_eq!(Status::from_rank(rank), None);
        }
        assert_eq!("".parse::<Status>(), Err(ParseStatusError));
        assert_eq!("alive ".parse::<Status>(), Err(ParseStatusError));
    }

    #[test]
    fn the_originals_status_names_parse_and_other_text_does_not() {
        for packed in ["ok", "OK", "Join", "ALIVE"] {
            assert_eq!(packed.parse(), Ok(Status::Alive), "{packed}");
        }
        for packed in ["", "o", "okay", "undead"] {
            assert_eq!(packed.parse::<Status>(), Err(ParseStatusError), "{packed}");
        }
    }
}
