//! A concurrent map for what is rare: dashmap, and under the model checker a mutex it can see.
//!
//! A lock that the checker can't see would hide the races around it.

use core::hash::Hash;
#[cfg(not(incarnation_loom))]
use core::{borrow::Borrow, hash::BuildHasher};

use equivalent::Equivalent;

#[cfg(not(incarnation_loom))]
use super::hashed_key::{HashedKey, KeyLookup, LookupKey, NumberLookup};

#[cfg(not(incarnation_loom))]
pub(crate) type Prepared<K> = HashedKey<K>;
#[cfg(incarnation_loom)]
pub(crate) type Prepared<K> = K;

#[cfg(not(incarnation_loom))]
struct Inner<K, V> {
    map: dashmap::DashMap<HashedKey<K>, V, super::hashed_key::Spread>,
    hasher: ahash::RandomState,
    /// How many keys came in: each has a number.
    inserted: core::sync::atomic::AtomicU32,
}
#[cfg(incarnation_loom)]
type Inner<K, V> = loom::sync::Mutex<Vec<(K, V)>>;

/// No reference into the map is ever handed out, so none can be held while another operation waits.
///
/// Of a key's code only `Eq` runs under a lock (and what a caller of [`for_each`](Self::for_each) does with the key):
/// `Hash` runs once before, and keys are dropped after. So a panic in
/// any of them is the caller's (one in `Drop` is not) and leaves the map as it was.
pub(crate) struct Map<K, V>(Inner<K, V>);

impl<K, V> core::fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Map").finish_non_exhaustive()
    }
}

#[cfg(not(incarnation_loom))]
impl<K: Eq + Hash, V: Copy> Map<K, V> {
    /// `expected`: how many entries it is meant for; it allocates as they come.
    pub(crate) fn new(expected: usize) -> Self {
        let shards = (expected / 1024).next_power_of_two().clamp(2, 32);
        Self(Inner {
            map: dashmap::DashMap::with_hasher_and_shard_amount(super::hashed_key::Spread, shards),
            hasher: ahash::RandomState::new(),
            inserted: core::sync::atomic::AtomicU32::new(0),
        })
    }

    fn lookup<'k, Q>(&self, key: &'k Q) -> KeyLookup<'k, Q>
    where
        Q: ?Sized + Hash,
    {
        KeyLookup::new(&self.0.hasher, key)
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let lookup = self.lookup(key);
        self.0.map.get(lookup.dynamic()).map(|value| *value)
    }

    /// Changes the value of a key that is there; whether it is.
    pub(crate) fn modify(&self, key: &K, change: impl FnOnce(&mut V)) -> bool {
        let lookup = self.lookup(key);
        match self.0.map.get_mut(lookup.dynamic()) {
            Some(mut value) => {
                change(&mut value);
                true
            }
            None => false,
        }
    }

    /// Makes a key ready to be inserted: what its `Hash` does is over then.
    pub(crate) fn prepare(&self, key: K) -> Prepared<K> {
        // Relaxed: it only must be another one each time.
        let number = self
            .0
            .inserted
            .fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        HashedKey::new(&self.0.hasher, key, number)
    }

    /// Inserts a value, or changes the one that is there; whether it was inserted.
    pub(crate) fn upsert(&self, key: Prepared<K>, value: V, change: impl FnOnce(&mut V)) -> bool {
        match self.0.map.entry(key) {
            dashmap::Entry::Occupied(mut known) => {
                change(known.get_mut());
                // Lets go of the lock before the key is dropped.
                drop(known.into_key());
                false
            }
            dashmap::Entry::Vacant(place) => {
                place.insert(value);
                true
            }
        }
    }

    /// Calls `look` with the value of a key while its part of the map is locked: no value changes, and none is
    /// inserted, meanwhile.
    pub(crate) fn look<Q, R>(&self, key: &Q, look: impl FnOnce(Option<&V>) -> R) -> R
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let lookup = self.lookup(key);
        let dynamic: &dyn LookupKey<K> = lookup.dynamic();
        let map = &self.0.map;
        let hash = map.hasher().hash_one(dynamic);
        let shard = map.shards()[map.determine_shard(hash as usize)].read();
        let found = shard.get(hash, |(known, _)| {
            let known: &dyn LookupKey<K> = known.borrow();
            known == dynamic
        });
        look(found.map(|(_, value)| value.get()))
    }

    /// Changes values where they are; how many `change` says it changed. A value that comes meanwhile is met or
    /// not.
    pub(crate) fn change_each(&self, mut change: impl FnMut(&mut V) -> bool) -> usize {
        let mut changed = 0;
        for mut pair in self.0.map.iter_mut() {
            changed += usize::from(change(pair.value_mut()));
        }
        changed
    }

    /// Removes a key if its value is so; whether it did.
    pub(crate) fn remove_if<Q>(&self, key: &Q, is: impl FnOnce(&V) -> bool) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let lookup = self.lookup(key);
        let removed = self.0.map.remove_if(lookup.dynamic(), |_, value| is(value));
        removed.is_some()
    }

    /// Removes all whose value is so, and calls `removed` after each. A value that comes meanwhile is met or not.
    pub(crate) fn remove_each(&self, mut is: impl FnMut(&V) -> bool, mut removed: impl FnMut()) {
        let mut found: Vec<NumberLookup> = Vec::new();
        for pair in &self.0.map {
            if is(pair.value()) {
                found.push(pair.key().by_number());
            }
        }
        // One by one, and not all at once under the locks, where the keys would be dropped.
        for lookup in found {
            let pair = self.0.map.remove_if(lookup.dynamic(), |_, value| is(value));
            if pair.is_some() {
                removed();
            }
        }
    }

    pub(crate) fn for_each(&self, mut each: impl FnMut(&K, V)) {
        for pair in &self.0.map {
            each(pair.key().get(), *pair.value());
        }
    }
}

#[cfg(incarnation_loom)]
impl<K: Eq + Hash, V: Copy> Map<K, V> {
    pub(crate) fn new(_expected: usize) -> Self {
        Self(Inner::new(Vec::new()))
    }

    fn locked<R>(&self, use_it: impl FnOnce(&mut Vec<(K, V)>) -> R) -> R {
        use_it(
            &mut self
                .0
                .lock()
                .expect("a model does not panic under the lock"),
        )
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.locked(|pairs| {
            let found = pairs.iter().find(|pair| key.equivalent(&pair.0));
            found.map(|pair| pair.1)
        })
    }

    pub(crate) fn modify(&self, key: &K, change: impl FnOnce(&mut V)) -> bool {
        self.locked(|pairs| match pairs.iter_mut().find(|pair| pair.0 == *key) {
            Some(pair) => {
                change(&mut pair.1);
                true
            }
            None => false,
        })
    }

    pub(crate) fn prepare(&self, key: K) -> Prepared<K> {
        key
    }

    pub(crate) fn upsert(&self, key: Prepared<K>, value: V, change: impl FnOnce(&mut V)) -> bool {
        self.locked(|pairs| match pairs.iter_mut().find(|pair| pair.0 == key) {
            Some(pair) => {
                change(&mut pair.1);
                false
            }
            None => {
                pairs.push((key, value));
                true
            }
        })
    }

    pub(crate) fn look<Q, R>(&self, key: &Q, look: impl FnOnce(Option<&V>) -> R) -> R
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.locked(|pairs| {
            let found = pairs.iter().find(|pair| key.equivalent(&pair.0));
            look(found.map(|pair| &pair.1))
        })
    }

    pub(crate) fn change_each(&self, mut change: impl FnMut(&mut V) -> bool) -> usize {
        self.locked(|pairs| {
            pairs
                .iter_mut()
                .map(|pair| usize::from(change(&mut pair.1)))
                .sum()
        })
    }

    pub(crate) fn remove_if<Q>(&self, key: &Q, is: impl FnOnce(&V) -> bool) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.locked(|pairs| {
            let found = pairs.iter().position(|pair| key.equivalent(&pair.0));
            match found {
                Some(place) if is(&pairs[place].1) => {
                    pairs.swap_remove(place);
                    true
                }
                _ => false,
            }
        })
    }

    pub(crate) fn remove_each(&self, mut is: impl FnMut(&V) -> bool, mut removed: impl FnMut()) {
        self.locked(|pairs| {
            pairs.retain(|pair| {
                let goes = is(&pair.1);
                if goes {
                    removed();
                }
                !goes
            });
        });
    }

    pub(crate) fn for_each(&self, mut each: impl FnMut(&K, V)) {
        self.locked(|pairs| {
            for (key, value) in pairs {
                each(key, *value);
            }
        });
    }
}
