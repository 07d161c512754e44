//! A hasher of so few bits that keys collide: chains become long, and whole hashes equal.

use std::hash::{BuildHasher, Hasher};

/// Keeps only the highest bits of a hash.
#[derive(Clone, Copy, Debug)]
pub struct CollidingHasher {
    /// How many, at most 64.
    pub bits: u32,
}

/// Hashes by multiplication, and keeps the highest bits.
#[derive(Clone, Copy, Debug)]
pub struct NarrowHasher {
    state: u64,
    bits: u32,
}

impl BuildHasher for CollidingHasher {
    type Hasher = NarrowHasher;

    fn build_hasher(&self) -> NarrowHasher {
        NarrowHasher {
            state: 0,
            bits: self.bits,
        }
    }
}

impl Hasher for NarrowHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // The odd number nearest to 2^64 divided by the golden ratio: its multiples spread.
            self.state = (self.state ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }

    fn finish(&self) -> u64 {
        match self.bits {
            0 => 0,
            bits => self.state & (u64::MAX << 64_u32.saturating_sub(bits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_as_many_hashes_as_bits_allow() {
        for (bits, hashes) in [(0, 1), (1, 2), (3, 8), (64, 256)] {
            let hasher = CollidingHasher { bits };
            let seen: BTreeSet<u64> = (0..=255_u8).map(|key| hasher.hash_one(key)).collect();
            assert_eq!(seen.len(), hashes);
        }
    }
}
