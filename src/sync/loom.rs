//! The model checker's primitives, with shadows.
//!
//! loom's partial-order reduction remembers only the last access to a location. A thread that loads
//! a packed state and then compare-and-swaps it (every loop here does) overwrites the memory of another
//! thread's earlier load, and the switch between the two is never explored (tokio-rs/loom, issues
//! 166 and 392). The remedy: each atomic carries one more loom atomic per model thread, its shadow.
//! A load by thread t first loads shadow t; whatever writes first touches the shadows of all other
//! threads. So each pair of a reader and a writer has a location of its own to be remembered by.
//! It multiplies the executions, so it is switched on per model ([`with_shadows`]); the litmus test
//! in `loom-tests` shows the difference.

pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
pub(crate) use loom::thread_local;

/// Model threads that get a shadow: main and three more.
const THREADS: usize = 4;

std::thread_local! {
    // A model runs all its threads as coroutines of one system thread.
    static SHADOWS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    static SILENT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Time is nothing to the checker: it tries every order anyway.
pub(crate) fn contention_backoff() {}

/// Runs `model` with every atomic made inside it carrying shadows (or none).
pub fn with_shadows(on: bool, model: impl FnOnce()) {
    with_flag(&SHADOWS, on, model);
}

/// Runs `model` with trackers made inside it telling no subscribers of changes. Telling costs a fence,
/// which under the checker is a real one: it would do the work of orderings that must stand without
/// it, since on Linux it is none.
pub fn without_notices(on: bool, model: impl FnOnce()) {
    with_flag(&SILENT, on, model);
}

/// Whether trackers made now tell nobody.
pub(crate) fn is_silent() -> bool {
    SILENT.with(std::cell::Cell::get)
}

type Flag = std::thread::LocalKey<std::cell::Cell<bool>>;

fn with_flag(flag: &'static Flag, on: bool, model: impl FnOnce()) {
    struct Reset(&'static Flag, bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _reset = Reset(flag, flag.replace(on));
    model();
}

loom::thread_local! {
    static INDEX: usize = hashed_index();
}

/// The index of the running model thread; `None` while its thread-locals are destroyed.
fn thread_index() -> Option<usize> {
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
    assert!(last.0 < THREADS, "more model threads than shadows");
    last.0
}

/// The shadows of one atomic; none where they are switched off.
#[derive(Debug)]
struct Shadows(Option<Box<[loom::sync::atomic::AtomicUsize]>>);

impl Shadows {
    fn new() -> Self {
        Self(SHADOWS.with(std::cell::Cell::get).then(|| {
            (0..THREADS)
                .map(|_| loom::sync::atomic::AtomicUsize::new(0))
                .collect()
        }))
    }

    fn reads(&self) {
        if let Some(shadows) = &self.0
            && let Some(me) = thread_index()
        {
            shadows[me].load(atomic::Ordering::Relaxed);
        }
    }

    fn writes(&self) {
        if let Some(shadows) = &self.0 {
            let me = thread_index();
            for (thread, shadow) in shadows.iter().enumerate() {
                if Some(thread) != me {
                    shadow.fetch_add(1, atomic::Ordering::Relaxed);
                }
            }
        }
    }
}

/// Atomics that carry shadows, and fences.
#[allow(missing_docs, reason = "they are the standard library's")]
pub mod atomic {
    pub use loom::sync::atomic::{Ordering, fence};

    use super::Shadows;

    macro_rules! shadowed {
        ($name:ident, $inner:ty, $value:ty $(, $parameter:ident)?) => {
            /// The model checker's atomic behind its shadows.
            #[derive(Debug)]
            pub struct $name$(<$parameter>)? {
                inner: $inner,
                shadows: Shadows,
            }

            impl$(<$parameter>)? $name$(<$parameter>)? {
                pub fn new(value: $value) -> Self {
                    Self { inner: <$inner>::new(value), shadows: Shadows::new() }
                }

                pub fn load(&self, order: Ordering) -> $value {
                    self.shadows.reads();
                    self.inner.load(order)
                }

                pub fn store(&self, value: $value, order: Ordering) {
                    self.shadows.writes();
                    self.inner.store(value, order);
                }

                pub fn swap(&self, value: $value, order: Ordering) -> $value {
                    self.shadows.writes();
                    self.inner.swap(value, order)
                }

                pub fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.shadows.writes();
                    self.inner.compare_exchange(current, new, success, failure)
                }

                /// loom's weak exchange never fails spuriously.
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
                pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    self.shadows.writes();
                    self.inner.fetch_add(value, order)
                }

                pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    self.shadows.writes();
                    self.inner.fetch_sub(value, order)
                }

                pub fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                    self.shadows.writes();
                    self.inner.fetch_max(value, order)
                }
            }

            impl Default for $name {
                fn default() -> Self {
                    Self::new(0)
                }
            }
        };
    }

    shadowed!(AtomicBool, loom::sync::atomic::AtomicBool, bool);
    shadowed!(AtomicU32, loom::sync::atomic::AtomicU32, u32);
    shadowed!(AtomicU64, loom::sync::atomic::AtomicU64, u64);
    shadowed!(AtomicPtr, loom::sync::atomic::AtomicPtr<T>, *mut T, T);
    arithmetic!(AtomicU32, u32);
    arithmetic!(AtomicU64, u64);

    /// The checker's own, without shadows: mostly for what no thread loads and then exchanges. The mark of the
    /// slab, the stack of batches and the list of records are, and go without because shadows there multiply the
    /// executions by three to ten; with them, by hand, no more was found.
    pub(crate) mod plain {
        pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
    }

    impl Default for AtomicBool {
        fn default() -> Self {
            Self::new(false)
        }
    }
}

/// Cells whose accesses the model checker checks.
pub(crate) mod cell {
    pub(crate) use loom::cell::UnsafeCell;
}

/// Threads that wait for each other.
///
/// Not loom's own: its `unpark` is lost on a thread that is about to lock a mutex when another one
/// does, which real threads survive.
#[allow(missing_docs, reason = "they are the standard library's")]
pub mod thread {
    use std::cell::RefCell;
    use std::io;
    use std::sync::Arc;

    use loom::sync::{Condvar, Mutex};
    pub(crate) use loom::thread::yield_now;

    const SOUND: &str = "nobody panics with a token in hand";

    loom::thread_local! {
        static ME: RefCell<Option<Thread>> = RefCell::new(None);
    }

    /// A thread, and the token it parks on.
    #[derive(Clone, Debug)]
    pub struct Thread(Arc<(Mutex<bool>, Condvar)>);

    impl Thread {
        fn new() -> Self {
            Self(Arc::new((Mutex::new(false), Condvar::new())))
        }

        pub fn unpark(&self) {
            *self.0.0.lock().expect(SOUND) = true;
            self.0.1.notify_one();
        }

        fn park(&self) {
            let mut token = self.0.0.lock().expect(SOUND);
            while !*token {
                token = self.0.1.wait(token).expect(SOUND);
            }
            *token = false;
        }

        pub(crate) fn id(&self) -> usize {
            Arc::as_ptr(&self.0).addr()
        }
    }

    pub fn current() -> Thread {
        ME.with(|me| me.borrow_mut().get_or_insert_with(Thread::new).clone())
    }

    pub fn park() {
        current().park();
    }

    /// For ever: who must be woken by a timeout was forgotten.
    pub(crate) fn park_timeout(_: core::time::Duration) {
        park();
    }

    #[derive(Debug)]
    pub(crate) struct Builder;

    impl Builder {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[allow(clippy::unused_self, reason = "the standard library's shape")]
        pub(crate) fn name(self, _: String) -> Self {
            Self
        }

        #[allow(clippy::unused_self, reason = "the standard library's shape")]
        pub(crate) fn spawn(
            self,
            main: impl FnOnce() + Send + 'static,
        ) -> io::Result<JoinHandle<()>> {
            let thread = Thread::new();
            let me = thread.clone();
            let inner = loom::thread::spawn(move || {
                ME.with(|place| *place.borrow_mut() = Some(me));
                main();
            });
            Ok(JoinHandle { inner, thread })
        }
    }

    pub(crate) struct JoinHandle<T> {
        inner: loom::thread::JoinHandle<T>,
        thread: Thread,
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn thread(&self) -> &Thread {
            &self.thread
        }

        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.inner.join()
        }
    }

    impl<T> core::fmt::Debug for JoinHandle<T> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.debug_tuple("JoinHandle").field(&self.thread).finish()
        }
    }
}

/// In a model it is always a minute later: after the end of every pause, before that of any interval.
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
