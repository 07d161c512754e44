//! A key in the map, beside its hash: so that the map runs no user's `Hash` under its locks, nor while it
//! grows or puts itself in order, where a panic would lose what is not in its place yet.
//!
//! It is found by what is [`LookupKey`]: an equal key, or the number that it was inserted with.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash, Hasher};
use core::mem::ManuallyDrop;

use equivalent::Equivalent;

use crate::sync::catch_panic;

#[derive(Debug)]
pub(crate) struct HashedKey<K> {
    hash: u32,
    number: u32,
    key: ManuallyDrop<K>,
}

/// What finds a key: an equivalent key if the other side is one, else its number.
pub(super) trait LookupKey<K> {
    fn hash(&self) -> u32;
    /// The key, if this is one of the map's.
    fn key(&self) -> Option<&K>;
    /// Whether it looks for this key of the map, which has this number.
    fn finds(&self, key: &K, number: u32) -> bool;
    fn number(&self) -> u32;
}

/// A lookup by what is equivalent to a key.
pub(super) struct KeyLookup<'k, Q: ?Sized> {
    hash: u32,
    key: &'k Q,
}

/// A lookup of a key by the number that it was inserted with.
pub(super) struct NumberLookup {
    hash: u32,
    number: u32,
}

impl<K> HashedKey<K> {
    pub(super) fn new(hasher: &impl BuildHasher, key: K, number: u32) -> Self
    where
        K: Hash,
    {
        Self {
            hash: half(hasher, &key),
            number,
            key: ManuallyDrop::new(key),
        }
    }

    pub(super) fn get(&self) -> &K {
        &self.key
    }

    pub(super) fn by_number(&self) -> NumberLookup {
        NumberLookup {
            hash: self.hash,
            number: self.number,
        }
    }
}

impl<'k, Q: ?Sized + Hash> KeyLookup<'k, Q> {
    pub(super) fn new(hasher: &impl BuildHasher, key: &'k Q) -> Self {
        Self {
            hash: half(hasher, key),
            key,
        }
    }

    pub(super) fn dynamic<K>(&self) -> &(dyn LookupKey<K> + '_)
    where
        Q: Equivalent<K>,
    {
        self
    }
}

impl NumberLookup {
    pub(super) fn dynamic<K>(&self) -> &(dyn LookupKey<K> + '_) {
        self
    }
}

/// The high half of a hash. Not by `hash_one`, which ahash has depend on the key's *type* where the compiler allows
/// it: what is equivalent to a key must hash as it does.
#[allow(clippy::manual_hash_one, reason = "see above")]
fn half<Q: ?Sized + Hash>(hasher: &impl BuildHasher, key: &Q) -> u32 {
    let mut state = hasher.build_hasher();
    key.hash(&mut state);
    (state.finish() >> 32) as u32
}

impl<K> Drop for HashedKey<K> {
    fn drop(&mut self) {
        // A panic in a key's `Drop` ends here, as where entries are recycled.
        // SAFETY: here only, and nothing uses it afterwards.
        catch_panic(|| unsafe { ManuallyDrop::drop(&mut self.key) });
    }
}

impl<K: Eq> LookupKey<K> for HashedKey<K> {
    fn hash(&self) -> u32 {
        self.hash
    }

    fn key(&self) -> Option<&K> {
        Some(&self.key)
    }

    fn finds(&self, key: &K, _number: u32) -> bool {
        *self.key == *key
    }

    fn number(&self) -> u32 {
        self.number
    }
}

impl<K, Q: ?Sized + Equivalent<K>> LookupKey<K> for KeyLookup<'_, Q> {
    fn hash(&self) -> u32 {
        self.hash
    }

    fn key(&self) -> Option<&K> {
        None
    }

    fn finds(&self, key: &K, _number: u32) -> bool {
        self.key.equivalent(key)
    }

    fn number(&self) -> u32 {
        0
    }
}

impl<K> LookupKey<K> for NumberLookup {
    fn hash(&self) -> u32 {
        self.hash
    }

    fn key(&self) -> Option<&K> {
        None
    }

    fn finds(&self, _key: &K, number: u32) -> bool {
        self.number == number
    }

    fn number(&self) -> u32 {
        self.number
    }
}

impl<'k, K: Eq + 'k> Borrow<dyn LookupKey<K> + 'k> for HashedKey<K> {
    fn borrow(&self) -> &(dyn LookupKey<K> + 'k) {
        self
    }
}

impl<K: Eq> PartialEq for dyn LookupKey<K> + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
            && match (self.key(), other.key()) {
                (Some(key), _) => other.finds(key, self.number()),
                (None, Some(key)) => self.finds(key, other.number()),
                // Two lookups: the map never compares them.
                (None, None) => false,
            }
    }
}

impl<K: Eq> Eq for dyn LookupKey<K> + '_ {}

impl<K> Hash for dyn LookupKey<K> + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(LookupKey::hash(self));
    }
}

impl<K: Eq> PartialEq for HashedKey<K> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && *self.key == *other.key
    }
}

impl<K: Eq> Eq for HashedKey<K> {}

impl<K> Hash for HashedKey<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.hash);
    }
}

/// The map's own hasher: what it is given is a hash already, and is only spread over all bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread;

/// The same.
pub(super) struct Spreading(u64);

impl BuildHasher for Spread {
    type Hasher = Spreading;

    fn build_hasher(&self) -> Spreading {
        Spreading(0)
    }
}

impl Hasher for Spreading {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only what is kept or sought is hashed");
    }

    fn write_u32(&mut self, hash: u32) {
        // An odd factor, so that the low bits differ as they did; the golden ratio's, so that the high ones do.
        self.0 = u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
