//! A concurrent map for what is rare: dashmap, and under the model checker a mutex it can see.
//!
//! A lock that the checker can't see would hide the races around it.

use core::hash::Hash;

#[cfg(not(all(loom, feature = "loom")))]
type Inner<K, V> = dashmap::DashMap<K, V, ahash::RandomState>;
#[cfg(all(loom, feature = "loom"))]
type Inner<K, V> = loom::sync::Mutex<Vec<(K, V)>>;

/// No reference into the map is ever handed out, so none can be held while another operation waits.
#[derive(Debug)]
pub(crate) struct Map<K: Eq + Hash, V>(Inner<K, V>);

#[cfg(not(all(loom, feature = "loom")))]
impl<K: Eq + Hash, V: Copy> Map<K, V> {
    /// `expected`: how many entries it is meant for; it allocates as they come.
    pub(crate) fn new(expected: usize) -> Self {
        let shards = (expected / 1024).next_power_of_two().clamp(2, 32);
        Self(Inner::with_hasher_and_shard_amount(
            ahash::RandomState::new(),
            shards,
        ))
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.0.get(key).map(|value| *value)
    }

    /// Changes the value of a key that is there; whether it is.
    pub(crate) fn modify(&self, key: &K, change: impl FnOnce(&mut V)) -> bool {
        match self.0.get_mut(key) {
            Some(mut value) => {
                change(&mut value);
                true
            }
            None => false,
        }
    }

    /// Inserts a value, or changes the one that is there; whether it was inserted.
    pub(crate) fn upsert(&self, key: K, value: V, change: impl FnOnce(&mut V)) -> bool {
        match self.0.entry(key) {
            dashmap::Entry::Occupied(mut known) => {
                change(known.get_mut());
                false
            }
            dashmap::Entry::Vacant(place) => {
                place.insert(value);
                true
            }
        }
    }

    /// Removes a key if its value is so; whether it did.
    pub(crate) fn remove_if(&self, key: &K, is: impl FnOnce(&V) -> bool) -> bool {
        self.0.remove_if(key, |_, value| is(value)).is_some()
    }

    pub(crate) fn retain(&self, mut keep: impl FnMut(&V) -> bool) {
        self.0.retain(|_, value| keep(value));
    }

    pub(crate) fn for_each(&self, mut each: impl FnMut(&K, V)) {
        for pair in &self.0 {
            each(pair.key(), *pair.value());
        }
    }
}

#[cfg(all(loom, feature = "loom"))]
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

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.locked(|pairs| pairs.iter().find(|pair| pair.0 == *key).map(|pair| pair.1))
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

    pub(crate) fn upsert(&self, key: K, value: V, change: impl FnOnce(&mut V)) -> bool {
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

    pub(crate) fn remove_if(&self, key: &K, is: impl FnOnce(&V) -> bool) -> bool {
        self.locked(|pairs| {
            let found = pairs.iter().position(|pair| pair.0 == *key);
            match found {
                Some(place) if is(&pairs[place].1) => {
                    pairs.swap_remove(place);
                    true
                }
                _ => false,
            }
        })
    }

    pub(crate) fn retain(&self, mut keep: impl FnMut(&V) -> bool) {
        self.locked(|pairs| pairs.retain(|pair| keep(&pair.1)));
    }

    pub(crate) fn for_each(&self, mut each: impl FnMut(&K, V)) {
        self.locked(|pairs| {
            for (key, value) in pairs {
                each(key, *value);
            }
        });
    }
}
