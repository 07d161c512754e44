//! The version of a node that only the node itself may raise.
#![forbid(unsafe_code)]

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

/// A node's incarnation: the version counter that only the node itself raises, to refute a
/// suspicion or to come back (SWIM, section 4.2).
///
/// It wraps any `u64`, because that is what wires carry; whether a table takes it is the table's
/// policy ([`Policy::max_incarnation`](crate::rule::Policy), at most [`Incarnation::MAX`]).
///
/// Of the numbers only `u64` converts to it, so that a bare literal is one (`Claim::alive(5)`); widen
/// others: `Claim::alive(u64::from(number))`.
///
/// ```
/// use incarnation::Incarnation;
/// let five = Incarnation::new(5);
/// assert_eq!(five, 5.into());
/// assert!("18446744073709551616".parse::<Incarnation>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(u64);

impl Incarnation {
    /// The first incarnation of a node.
    pub const ZERO: Self = Self(0);

    /// The largest incarnation that a table can store: 2^61 - 1, since three of the 64 bits of a
    /// packed state hold the status.
    pub const MAX: Self = Self(u64::MAX >> 3);

    /// Wraps a number as it came off the wire.
    #[must_use]
    #[inline]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after it; `u64::MAX` is its own.
    ///
    /// ```
    /// # use incarnation::Incarnation;
    /// assert_eq!(Incarnation::new(4).next().get(), 5);
    /// ```
    #[must_use]
    #[inline]
    pub const fn next(self) -> Self {
        self.saturating_add(1)
    }

    /// This incarnation raised by `by`, at most `u64::MAX`.
    #[must_use]
    #[inline]
    pub const fn saturating_add(self, by: u64) -> Self {
        Self(self.0.saturating_add(by))
    }
}

// The only conversion from a number, so that a bare literal is one: `Claim::alive(5)`.
impl From<u64> for Incarnation {
    #[inline]
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl From<Incarnation> for u64 {
    fn from(incarnation: Incarnation) -> Self {
        incarnation.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Incarnation {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_is_its_number_in_and_out() {
        for number in [0, 7, u64::MAX] {
            let incarnation = Incarnation::from(number);
            assert_eq!(
                (incarnation.get(), u64::from(incarnation)),
                (number, number)
            );
            assert_eq!(incarnation.to_string().parse(), Ok(incarnation));
        }
        assert!("-1".parse::<Incarnation>().is_err());
    }
}
