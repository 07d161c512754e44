//! The packed state: incarnation in the high 61 bits, status rank in the low 3.
//!
//! Packed this way, the conflict rule "the higher incarnation wins; at an equal one the higher
//! status" *is* unsigned comparison of two packed states.

use core::fmt;
use core::num::NonZeroU64;

use super::{Claim, Incarnation, Status};

/// Bits of the status rank.
const STATUS_BITS: u32 = 3;
/// Mask of the status rank.
const STATUS_MASK: u64 = (1 << STATUS_BITS) - 1;

/// The state of a known node, packed into one non-zero `u64`.
///
/// A value of this type is always legal: its rank is 1 to 5 and its incarnation at most
/// [`Incarnation::MAX`]. So `Option<PackedState>` is eight bytes, `None` being the value 0 of an
/// unknown node, below every legal packed state. Other values of rank 0 are left to the table, for entries whose lifetime is over.
///
/// ```
/// use incarnation::{Claim, rule::PackedState};
/// let old = PackedState::of(Claim::dead(4)).unwrap();
/// let new = PackedState::of(Claim::alive(5)).unwrap();
/// assert!(new > old);
/// assert_eq!(new.claim(), Claim::alive(5));
/// assert_eq!(PackedState::of(Claim::alive(u64::MAX)), None);
/// ```
#[doc(alias = "Word")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct PackedState(NonZeroU64);

impl PackedState {
    /// Packs a claim; `None` if its incarnation is above [`Incarnation::MAX`].
    #[must_use]
    #[inline]
    pub const fn of(claim: Claim) -> Option<Self> {
        Self::of_rank(claim.rank(), claim.incarnation())
    }

    /// Packs a status at an incarnation; `None` above [`Incarnation::MAX`].
    #[must_use]
    #[inline]
    pub const fn pack(status: Status, incarnation: Incarnation) -> Option<Self> {
        Self::of_rank(status.rank(), incarnation)
    }

    #[inline(always)]
    const fn of_rank(rank: u8, incarnation: Incarnation) -> Option<Self> {
        if incarnation.get() > Incarnation::MAX.get() {
            return None;
        }
        match NonZeroU64::new(incarnation.get() << STATUS_BITS | rank as u64) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// Reads packed bits; `None` if they are no legal packed state.
    #[must_use]
    #[inline]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        // The legal ranks are 1 to 5; 0 (vacant), 6 and 7 (evicted) are none.
        if Status::from_rank((bits & STATUS_MASK) as u8).is_none() {
            return None;
        }
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// The bits of an entry whose lifetime is over: of rank 0, as 0 is, and as no packed state is.
    pub(crate) const EVICTED: u64 = !STATUS_MASK;

    /// The packed state an entry of the table holds, whose bits are either those of a packed state, or 0 (vacant), or
    /// [`EVICTED`](Self::EVICTED). One comparison, where [`from_bits`](Self::from_bits) checks everything.
    ///
    /// # Safety
    ///
    /// The bits are such.
    #[inline(always)]
    pub(crate) const unsafe fn of_entry(bits: u64) -> Option<Self> {
        debug_assert!(bits == 0 || bits == Self::EVICTED || Self::from_bits(bits).is_some());
        match NonZeroU64::new(bits) {
            // Only the rank is looked at, which a reader of the state needs anyway.
            Some(bits) if bits.get() & STATUS_MASK != 0 => Some(Self(bits)),
            _ => None,
        }
    }

    /// The packed bits.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0.get()
    }

    /// The status.
    #[must_use]
    #[inline]
    pub const fn status(self) -> Status {
        let rank = self.rank();
        debug_assert!(Status::from_rank(rank).is_some());
        // SAFETY: the rank of a packed state is 1 to 5, and the statuses are these bytes. A lookup of a hot node takes two
        // instructions in a hundred less than with a table.
        unsafe { core::mem::transmute::<u8, Status>(rank) }
    }

    /// The rank of the status.
    #[inline(always)]
    pub(crate) const fn rank(self) -> u8 {
        (self.0.get() & STATUS_MASK) as u8
    }

    /// The incarnation.
    #[must_use]
    #[inline]
    pub const fn incarnation(self) -> Incarnation {
        Incarnation::new(self.0.get() >> STATUS_BITS)
    }

    /// The state as a claim that can be sent on (not trusted).
    #[must_use]
    #[inline]
    pub const fn claim(self) -> Claim {
        Claim::of_tag(self.rank(), self.incarnation())
    }
}

impl fmt::Debug for PackedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedState({})", self.claim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Incarnations at the edges of the 61-bit field.
    const EDGES: [u64; 8] = [
        0,
        1,
        2,
        (1 << 31) - 1,
        1 << 32,
        (1 << 60) - 1,
        Incarnation::MAX.get() - 1,
        Incarnation::MAX.get(),
    ];

    #[test]
    fn packing_round_trips_at_the_edges() {
        for incarnation in EDGES {
            for status in Status::ALL {
                let claim = Claim::new(status, incarnation);
                let packed = PackedState::of(claim).unwrap();
                assert_eq!(packed.claim(), claim);
                assert_eq!(PackedState::from_bits(packed.bits()), Some(packed));
                assert!(packed.bits() > 0 && packed.bits() < u64::MAX);
            }
        }
    }

    #[test]
    fn an_entry_that_is_vacant_or_evicted_has_no_packed_state_and_any_other_has() {
        for bits in [0, PackedState::EVICTED] {
            // SAFETY: what an entry may hold.
            assert_eq!(unsafe { PackedState::of_entry(bits) }, None);
            assert_eq!(PackedState::from_bits(bits), None);
        }
        for incarnation in EDGES {
            for status in Status::ALL {
                let packed = PackedState::of(Claim::new(status, incarnation));
                let bits = packed.unwrap().bits();
                // SAFETY: as above.
                assert_eq!(unsafe { PackedState::of_entry(bits) }, packed);
            }
        }
    }

    #[test]
    fn comparing_packed_states_compares_incarnation_then_status() {
        for a in EDGES {
            for b in EDGES {
                for s in Status::ALL {
                    for t in Status::ALL {
                        let (x, y) = (Claim::new(s, a), Claim::new(t, b));
                        assert_eq!(
                            PackedState::of(x)
                                .unwrap()
                                .cmp(&PackedState::of(y).unwrap()),
                            (a, s).cmp(&(b, t)),
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_that_are_no_packed_state_are_refused() {
        assert_eq!(
            PackedState::of(Claim::alive(Incarnation::MAX.get() + 1)),
            None
        );
        for bits in [0, 6, 7, 8, 14, u64::MAX, u64::MAX - 1] {
            assert_eq!(PackedState::from_bits(bits), None, "{bits:#x}");
        }
        assert_eq!(size_of::<Option<PackedState>>(), 8);
    }
}
