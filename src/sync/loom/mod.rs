//! The model checker's arm of the facade: loom's primitives under the names and shapes that the library uses.
//!
//! It adds three things to loom. Atomics carry *shadows* against a blind spot of loom's search (see
//! [`shadows`]). The pair of fences of unequal cost, which loom lacks, is built from loom's atomics (see
//! [`Asymmetric`]). And every ordering can be weakened from outside, one at a time (see [`weakening`]).
//!
//! Models choose with [`with_threads`], [`with_shadows`] and [`with_membarrier`] what the atomics and fences made inside
//! them are.

mod asymmetric;
pub mod atomic;
mod shadows;
pub mod thread;
pub mod weakening;

#[cfg(not(incarnation_portable))]
pub(crate) use asymmetric::membarrier;
pub use asymmetric::{Asymmetric, Membarrier, with_membarrier};
pub use shadows::with_shadows;

pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
pub(crate) use loom::thread_local;

/// A choice that holds while a model runs. A model runs all its threads as coroutines of one system thread, so a
/// thread-local of the system's holds it for all of them.
type Choice<T> = std::thread::LocalKey<std::cell::Cell<T>>;

/// Runs `model` with the choice made, and takes the choice back even if the model panics.
fn with_choice<T: Copy + 'static>(choice: &'static Choice<T>, value: T, model: impl FnOnce()) {
    struct Reset<T: Copy + 'static>(&'static Choice<T>, T);
    impl<T: Copy + 'static> Drop for Reset<T> {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _reset = Reset(choice, choice.replace(value));
    model();
}

std::thread_local! {
    static THREADS: std::cell::Cell<usize> = const { std::cell::Cell::new(2) };
}

/// Runs `model` with so many threads, the main thread among them. Each shadowed atomic has as many shadows, and each pair
/// of fences as many mailboxes, so fewer threads are checked faster.
pub fn with_threads(count: usize, model: impl FnOnce()) {
    let choice: &'static Choice<usize> = &THREADS;
    with_choice(choice, count, model);
}

/// How many threads the running model may have.
fn threads() -> usize {
    THREADS.get()
}

loom::thread_local! {
    static INDEX: usize = hashed_index();
}

/// The index of the running model thread; `None` while its thread-locals are destroyed.
pub(crate) fn thread_index() -> Option<usize> {
    INDEX.try_with(|index| *index).ok()
}

/// The last number that the thread's opaque id hashes.
fn hashed_index() -> usize {
    use std::hash::{Hash, Hasher};

    struct Last(usize);
    impl Hasher for Last {
        fn finish(&self) -> u64 {
            self.0 as u64
        }
        fn write(&mut self, bytes: &[u8]) {
            if let Ok(bytes) = bytes.try_into() {
                self.0 = usize::from_ne_bytes(bytes);
            }
        }
        fn write_usize(&mut self, value: usize) {
            self.0 = value;
        }
    }

    let mut last = Last(usize::MAX);
    loom::thread::current().id().hash(&mut last);
    let threads = threads();
    assert!(
        last.0 < threads,
        "the model says that it has no more than {threads} threads"
    );
    last.0
}

/// Stands for a weak reference, which loom lacks. It keeps the value alive, as a subscriber of the model does anyway.
pub(crate) struct Weak<T>(Arc<T>);

impl<T> Weak<T> {
    #[allow(clippy::unnecessary_wraps, reason = "the standard library's shape")]
    pub(crate) fn upgrade(&self) -> Option<Arc<T>> {
        Some(self.0.clone())
    }
}

impl<T> Clone for Weak<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

pub(crate) fn downgrade<T>(shared: &Arc<T>) -> Weak<T> {
    Weak(shared.clone())
}

/// Cells whose accesses the model checker checks.
pub(crate) mod cell {
    pub(crate) use loom::cell::UnsafeCell;
}

/// Nothing: the checker tries every order anyway.
pub(crate) fn contention_backoff() {}

/// In a model a minute has always passed: every pause is over, and no interval has ended.
#[derive(Clone, Copy)]
pub(crate) struct Instant;

impl Instant {
    pub(crate) const fn now() -> Self {
        Self
    }

    #[allow(clippy::unused_self, reason = "the standard library's shape")]
    pub(crate) const fn elapsed(self) -> core::time::Duration {
        core::time::Duration::from_secs(60)
    }
}
