//! The only file that knows std from loom.
//!
//! Everything concurrent in this crate takes its atomics, cells and shared pointers from here. With
//! `--cfg incarnation_loom` they are the model checker's, so that the models in `loom-tests` run the very code
//! that users run. The names and shapes are those of loom: a cell is accessed in a closure, which is
//! what lets the checker see a race on what it holds.

#[cfg(not(incarnation_loom))]
mod imp {
    /// Atomics and fences.
    pub(crate) mod atomic {
        pub(crate) use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

        /// What the model checker needs no shadows for; see its arm of this facade.
        pub(crate) mod plain {
            pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
        }
    }

    /// Cells whose accesses the model checker can see.
    pub(crate) mod cell {
        /// [`core::cell::UnsafeCell`] in the shape of loom's.
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

        impl<T> UnsafeCell<T> {
            pub(crate) const fn new(value: T) -> Self {
                Self(core::cell::UnsafeCell::new(value))
            }

            #[inline(always)]
            pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
                f(self.0.get())
            }

            #[inline(always)]
            pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
                f(self.0.get())
            }
        }
    }

    /// Threads that wait for each other.
    pub(crate) mod thread {
        pub(crate) use std::thread::{
            Builder, JoinHandle, Thread, current, park_timeout, yield_now,
        };
    }

    /// Lets another thread go on with a cache line for about a microsecond: a lost race cost both a
    /// transfer of it, and some dozens of operations of the winner fit into the pause.
    #[cold]
    pub(crate) fn contention_backoff() {
        for _ in 0..32 {
            core::hint::spin_loop();
        }
    }

    pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use std::thread_local;
    pub(crate) use std::time::Instant;
}

#[cfg(incarnation_loom)]
#[path = "loom.rs"]
mod imp;

mod catch_panic;
#[cfg(not(incarnation_loom))]
mod hashed_key;
mod map;

pub(crate) use catch_panic::catch_panic;
#[allow(
    unreachable_pub,
    unused_imports,
    reason = "the models use what is public in the loom arm"
)]
pub use imp::*;
pub(crate) use map::Map;

/// A value on cache lines of its own: 128 bytes, since processors prefetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> core::ops::Deref for Padded<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}
