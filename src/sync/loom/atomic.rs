//! Atomics that carry shadows, and fences; each ordering can be weakened from outside.
#![allow(missing_docs, reason = "they are the standard library's")]

pub use loom::sync::atomic::Ordering;

use super::shadows::Shadows;
use super::weakening;

/// A real fence.
#[track_caller]
pub fn fence(order: Ordering) {
    if let Some(order) = weakening::fence(order) {
        loom::sync::atomic::fence(order);
    }
}

macro_rules! atomic {
    ($name:ident, $inner:ty, $value:ty, $shadows:expr $(, $parameter:ident)?) => {
        /// The model checker's atomic behind its shadows.
        #[derive(Debug)]
        pub struct $name$(<$parameter>)? {
            inner: $inner,
            shadows: Shadows,
        }

        impl$(<$parameter>)? $name$(<$parameter>)? {
            pub fn new(value: $value) -> Self {
                Self { inner: <$inner>::new(value), shadows: $shadows }
            }

            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                self.shadows.reads();
                self.inner.load(weakening::order(order, 0))
            }

            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                self.shadows.writes();
                self.inner.store(value, weakening::order(order, 0));
            }

            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                self.shadows.writes();
                self.inner.swap(value, weakening::order(order, 0))
            }

            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.shadows.writes();
                let (success, failure) = (weakening::order(success, 0), weakening::order(failure, 1));
                self.inner.compare_exchange(current, new, success, failure)
            }

            /// loom's weak exchange never fails spuriously.
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }
        }
    };
}

macro_rules! arithmetic {
    ($name:ident, $value:ty) => {
        impl $name {
            #[track_caller]
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.shadows.writes();
                self.inner.fetch_add(value, weakening::order(order, 0))
            }

            #[track_caller]
            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.shadows.writes();
                self.inner.fetch_sub(value, weakening::order(order, 0))
            }

            #[track_caller]
            pub fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                self.shadows.writes();
                self.inner.fetch_max(value, weakening::order(order, 0))
            }

            #[track_caller]
            pub fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                self.shadows.writes();
                self.inner.fetch_or(value, weakening::order(order, 0))
            }

            #[track_caller]
            pub fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                self.shadows.writes();
                self.inner.fetch_and(value, weakening::order(order, 0))
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }
    };
}

macro_rules! atomics {
    ($shadows:expr) => {
        atomic!(AtomicBool, loom::sync::atomic::AtomicBool, bool, $shadows);
        atomic!(AtomicU16, loom::sync::atomic::AtomicU16, u16, $shadows);
        atomic!(AtomicU32, loom::sync::atomic::AtomicU32, u32, $shadows);
        atomic!(AtomicU64, loom::sync::atomic::AtomicU64, u64, $shadows);
        atomic!(
            AtomicUsize,
            loom::sync::atomic::AtomicUsize,
            usize,
            $shadows
        );
        atomic!(
            AtomicPtr,
            loom::sync::atomic::AtomicPtr<T>,
            *mut T,
            $shadows,
            T
        );
        arithmetic!(AtomicU16, u16);
        arithmetic!(AtomicU32, u32);
        arithmetic!(AtomicU64, u64);
        arithmetic!(AtomicUsize, usize);

        impl Default for AtomicBool {
            fn default() -> Self {
                Self::new(false)
            }
        }
    };
}

atomics!(Shadows::chosen());

/// Atomics without shadows, for what no thread loads and then exchanges, mostly. The mark of the slab, the stack of
/// batches and the list of records are loaded and exchanged, and go without because shadows there multiply the
/// executions by three to ten; with them, by hand, no more was found.
pub(crate) mod plain {
    #![allow(dead_code, reason = "which types go without shadows changes")]

    use super::{Ordering, Shadows, weakening};

    atomics!(Shadows::none());
}
