//! A key in the map, beside its hash: so that the map runs no `Hash` of anybody's under its locks, nor while it
//! grows or puts itself in order, where a panic would lose what is not in its place yet.
//!
//! It is found by what is [`LookupKey`]: an equal key, or the number that it was inserted with.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash, Hasher};
use core::mem::ManuallyDrop;

use crate::sync::catch_panic;

#[derive(Debug)]
pub(crate) struct HashedKey<K> {
    hash: u32,
    number: u32,
    key: ManuallyDrop<K>,
}

/// What finds a key: by the key if both sides have one, else by the number.
pub(super) trait LookupKey<K> {
    fn hash(&self) -> u32;
    fn key(&self) -> Option<&K>;
    fn number(&self) -> u32;
}

/// A key from outside, or the number of one inside.
pub(super) struct KeyLookup<'k, K> {
    hash: u32,
    sought: Result<&'k K, u32>,
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

    pub(super) fn seeker<'any>(&self) -> KeyLookup<'any, K> {
        KeyLookup {
            hash: self.hash,
            sought: Err(self.number),
        }
    }
}

impl<'k, K> KeyLookup<'k, K> {
    pub(super) fn of_key(hasher: &impl BuildHasher, key: &'k K) -> Self
    where
        K: Hash,
    {
        Self {
            hash: half(hasher, key),
            sought: Ok(key),
        }
    }

    pub(super) fn dynamic(&self) -> &(dyn LookupKey<K> + '_) {
        self
    }
}

fn half<K: Hash>(hasher: &impl BuildHasher, key: &K) -> u32 {
    (hasher.hash_one(key) >> 32) as u32
}

impl<K> Drop for HashedKey<K> {
    fn drop(&mut self) {
        // A panic in a key's `Drop` ends here, as where entries are recycled.
        // SAFETY: here only, and nobody uses it afterwards.
        catch_panic(|| unsafe { ManuallyDrop::drop(&mut self.key) });
    }
}

impl<K> LookupKey<K> for HashedKey<K> {
    fn hash(&self) -> u32 {
        self.hash
    }

    fn key(&self) -> Option<&K> {
        Some(&self.key)
    }

    fn number(&self) -> u32 {
        self.number
    }
}

impl<K> LookupKey<K> for KeyLookup<'_, K> {
    fn hash(&self) -> u32 {
        self.hash
    }

    fn key(&self) -> Option<&K> {
        self.sought.ok()
    }

    fn number(&self) -> u32 {
        self.sought.err().unwrap_or_default()
    }
}

impl<'k, K: 'k> Borrow<dyn LookupKey<K> + 'k> for HashedKey<K> {
    fn borrow(&self) -> &(dyn LookupKey<K> + 'k) {
        self
    }
}

impl<K: Eq> PartialEq for dyn LookupKey<K> + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
            && match (self.key(), other.key()) {
                (Some(one), Some(other)) => one == other,
                _ => self.number() == other.number(),
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
