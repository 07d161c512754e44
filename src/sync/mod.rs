//! The only module that knows std from loom.
//!
//! Everything concurrent in this crate takes its atomics, fences, cells and shared pointers from here. With
//! `--cfg incarnation_loom` they are the model checker's, so the models in `loom-tests` run the code that users run.
//! The names and shapes are those of loom: a cell is accessed in a closure, which lets the checker see a race on
//! what the cell holds.

#[cfg(not(incarnation_loom))]
mod imp {
    /// Atomics and fences.
    pub(crate) mod atomic {
        pub(crate) use core::sync::atomic::{
            AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering, fence,
        };

        /// Atomics that need no shadows under the model checker; see its arm of this facade.
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

    /// Pauses for about a microsecond after a lost race. Each race for a cache line costs both threads a transfer
    /// of it; during the pause the winner does some dozens of operations without one.
    #[cold]
    pub(crate) fn contention_backoff() {
        for _ in 0..32 {
            core::hint::spin_loop();
        }
    }

    /// A pair of fences of unequal cost, as C++'s proposal P1202 specifies it: of each light and each heavy fence one
    /// comes first, and what the one's thread did before its fence is known to the other's thread behind its fence.
    /// Two light fences order nothing. For a process that [`membarrier::register`] said yes to.
    ///
    /// [`membarrier::register`]: super::membarrier::register
    #[cfg_attr(
        any(incarnation_portable, not(target_os = "linux")),
        allow(
            dead_code,
            reason = "the portable scheme has real fences on both sides"
        )
    )]
    #[derive(Debug, Default)]
    pub(crate) struct Asymmetric;

    #[cfg_attr(
        any(incarnation_portable, not(target_os = "linux")),
        allow(
            dead_code,
            reason = "the portable scheme has real fences on both sides"
        )
    )]
    impl Asymmetric {
        pub(crate) const fn new() -> Self {
            Self
        }

        /// The hot side: no instruction, but the compiler moves no access across it.
        #[inline(always)]
        #[allow(clippy::unused_self, reason = "the checker's has mailboxes")]
        pub(crate) fn light(&self) {
            core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
        }

        /// The rare side: a full fence on every core that runs a thread of this process. False if the system refused
        /// it, and then it ordered nothing.
        #[allow(clippy::unused_self, reason = "the checker's has mailboxes")]
        pub(crate) fn heavy(&self) -> bool {
            super::membarrier::run()
        }
    }

    /// A reference that does not keep the value alive.
    pub(crate) fn downgrade<T>(shared: &Arc<T>) -> Weak<T> {
        Arc::downgrade(shared)
    }

    pub(crate) use std::sync::{Arc, Mutex, MutexGuard, Weak};
    pub(crate) use std::thread_local;
    pub(crate) use std::time::Instant;
}

#[cfg(not(incarnation_loom))]
#[cfg_attr(
    any(incarnation_portable, not(target_os = "linux")),
    allow(
        dead_code,
        reason = "the portable scheme has real fences on both sides"
    )
)]
pub(crate) mod membarrier;

#[cfg(incarnation_loom)]
#[path = "loom/mod.rs"]
mod imp;

mod catch_panic;
#[cfg(not(incarnation_loom))]
mod hashed_key;
mod map;
mod try_boxed;

pub(crate) use catch_panic::catch_panic;
#[allow(
    unreachable_pub,
    unused_imports,
    reason = "the models use what is public in the loom arm"
)]
pub use imp::*;
pub(crate) use map::Map;
pub(crate) use try_boxed::try_boxed;

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
