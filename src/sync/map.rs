//! A concurrent map for what is rare: dashmap, and under the model checker a mutex it can see.
//!
//! A lock that the checker can't see would hide the races around it.

use core::hash::Hash;

#[cfg(not(all(loom, feature = "loom")))]
use self::kept::Kept;

#[cfg(not(all(loom, feature = "loom")))]
type Inner<K, V> = dashmap::DashMap<Kept<K>, V, ahash::RandomState>;
#[cfg(all(loom, feature = "loom"))]
type Inner<K, V> = loom::sync::Mutex<Vec<(K, V)>>;

/// No reference into the map is ever handed out, so none can be held while another operation waits. A
/// panic in `Eq` or `Hash` of a key is the caller's and leaves the map as it was, one in `Drop` is nobody's.
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
        match self.0.entry(Kept::new(key)) {
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
            each(core::borrow::Borrow::borrow(pair.key()), *pair.value());
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

#[cfg(not(all(loom, feature = "loom")))]
mod kept {
    use core::borrow::Borrow;
    use core::hash::{Hash, Hasher};
    use core::mem::ManuallyDrop;

    use crate::caught::caught;

    /// A key that the map drops, under a lock and in the middle of its other work: a panic in that ends here,
    /// as where entries are recycled.
    #[derive(Debug)]
    pub(super) struct Kept<K>(ManuallyDrop<K>);

    impl<K> Kept<K> {
        pub(super) fn new(key: K) -> Self {
            Self(ManuallyDrop::new(key))
        }
    }

    impl<K> Drop for Kept<K> {
        fn drop(&mut self) {
            // SAFETY: here only, and nobody uses it afterwards.
            caught(|| unsafe { ManuallyDrop::drop(&mut self.0) });
        }
    }

    impl<K> Borrow<K> for Kept<K> {
        fn borrow(&self) -> &K {
            &self.0
        }
    }

    impl<K: PartialEq> PartialEq for Kept<K> {
        fn eq(&self, other: &Self) -> bool {
            *self.0 == *other.0
        }
    }

    impl<K: Eq> Eq for Kept<K> {}

    impl<K: Hash> Hash for Kept<K> {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
}
