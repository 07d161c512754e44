//! The default hasher of keys.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hasher};

/// The default state for hashing keys: keyed by random numbers, so that a stranger who chooses the
/// keys cannot make them collide.
///
/// Two states made by [`new`](Self::new) hash differently; clones hash alike. How it hashes is no part
/// of the API, and may change from version to version.
///
/// ```
/// use incarnation::{IncarnationTracker, RandomState};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let state = RandomState::new();
/// let tracker: IncarnationTracker<String> =
///     IncarnationTracker::builder().hasher(state.clone()).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RandomState(ahash::RandomState);

impl RandomState {
    /// A state with a random key. Cost: a few nanoseconds; the process draws its randomness once.
    #[must_use]
    pub fn new() -> Self {
        Self(ahash::RandomState::new())
    }

    /// A state with a key of the caller's, for runs that must repeat themselves.
    ///
    /// Whoever knows the key can choose keys that collide: not for keys that strangers choose.
    #[must_use]
    pub fn with_seeds(seeds: [u64; 4]) -> Self {
        let [a, b, c, d] = seeds;
        Self(ahash::RandomState::with_seeds(a, b, c, d))
    }
}

impl Default for RandomState {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RandomState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RandomState").finish_non_exhaustive()
    }
}

impl BuildHasher for RandomState {
    type Hasher = KeyHasher;

    #[inline(always)]
    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0.build_hasher())
    }
}

/// The hasher of [`RandomState`].
#[derive(Clone, Debug)]
pub struct KeyHasher(ahash::AHasher);

impl Hasher for KeyHasher {
    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    #[inline(always)]
    fn write_u8(&mut self, number: u8) {
        self.0.write_u8(number);
    }

    #[inline(always)]
    fn write_u16(&mut self, number: u16) {
        self.0.write_u16(number);
    }

    #[inline(always)]
    fn write_u32(&mut self, number: u32) {
        self.0.write_u32(number);
    }

    #[inline(always)]
    fn write_u64(&mut self, number: u64) {
        self.0.write_u64(number);
    }

    #[inline(always)]
    fn write_u128(&mut self, number: u128) {
        self.0.write_u128(number);
    }

    #[inline(always)]
    fn write_usize(&mut self, number: usize) {
        self.0.write_usize(number);
    }
}
