//! Numbers that only the receiver of a datagram can know: 64 bits of a keyed hash (SipHash-2-4), so that an answer
//! with such a number comes from the address that it was sent to. What else an attacker sees of a node tells it nothing of the
//! next number.
//!
//! A number is either fresh, for a probe that this node remembers, or made of an address, a purpose and the time. The
//! latter is checked by making it again: a flood of strangers costs no memory.

use core::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use incarnation::Timestamp;
use siphasher::sip::SipHasher24;

/// What a number is for. One for another purpose does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Probes of nodes that are no members: newcomers, strangers, the dead.
    Contact,
    /// Requests to join.
    Join,
    /// Requests for a whole state.
    Pull,
    /// The number of the process itself, of its own address. It is sent with every datagram.
    Process,
}

/// Makes the numbers of a node.
#[derive(Debug)]
pub(crate) struct Numbers {
    key: (u64, u64),
    fresh: AtomicU64,
    /// How long a number made of an address holds at least, and at most twice as long, in nanoseconds.
    holds: u64,
}

impl Numbers {
    /// All numbers follow from the key; `holds` is how long one made of an address counts at least.
    pub(crate) fn new(key: (u64, u64), holds: core::time::Duration) -> Self {
        Self {
            key,
            fresh: AtomicU64::new(0),
            holds: u64::try_from(holds.as_nanos()).unwrap_or(u64::MAX).max(1),
        }
    }

    fn hash(&self, of: impl Hash) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.key.0, self.key.1);
        of.hash(&mut hasher);
        hasher.finish()
    }

    /// A number that was not given out before.
    pub(crate) fn fresh(&self) -> u64 {
        // Relaxed: each call gets another count, and that is all it takes.
        self.hash((0_u8, self.fresh.fetch_add(1, Ordering::Relaxed)))
    }

    /// The number for an address and a purpose, now.
    pub(crate) fn of(&self, purpose: Purpose, address: SocketAddr, now: Timestamp) -> u64 {
        self.hash((1_u8, purpose, address, now.as_nanos() / self.holds))
    }

    /// Whether a number was made for this address and purpose, and not too long ago.
    pub(crate) fn is_of(
        &self,
        number: u64,
        purpose: Purpose,
        address: SocketAddr,
        now: Timestamp,
    ) -> bool {
        let slot = now.as_nanos() / self.holds;
        [slot, slot.saturating_sub(1)]
            .into_iter()
            .any(|slot| number == self.hash((1_u8, purpose, address, slot)))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_number_holds_for_its_address_its_purpose_and_its_time() {
        let numbers = Numbers::new((1, 2), Duration::from_secs(10));
        let [a, b]: [SocketAddr; 2] = ["10.0.0.1:7", "10.0.0.1:8"].map(|a| a.parse().unwrap());
        let at = Timestamp::from_millis;
        let number = numbers.of(Purpose::Contact, a, at(9_000));
        assert!(numbers.is_of(number, Purpose::Contact, a, at(9_000)));
        assert!(numbers.is_of(number, Purpose::Contact, a, at(19_000)));
        assert!(!numbers.is_of(number, Purpose::Contact, a, at(20_000)));
        assert!(!numbers.is_of(number, Purpose::Contact, b, at(9_000)));
        assert!(!numbers.is_of(number, Purpose::Join, a, at(9_000)));
        let other = Numbers::new((1, 3), Duration::from_secs(10));
        assert!(!other.is_of(number, Purpose::Contact, a, at(9_000)));
    }

    #[test]
    fn fresh_numbers_are_all_different_and_spread_over_64_bits() {
        let numbers = Numbers::new((1, 2), Duration::from_secs(10));
        let all: BTreeSet<_> = (0..1000).map(|_| numbers.fresh()).collect();
        assert_eq!(all.len(), 1000);
        let ones: u32 = all.iter().map(|number| number.count_ones()).sum();
        assert!((31_000..33_000).contains(&ones), "{ones}");
    }
}
