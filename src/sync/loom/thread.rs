//! Threads that wait for each other.
//!
//! Not loom's own: loom's `unpark` is lost on a thread that is about to lock a mutex when another one
//! unparks it, which real threads survive.
#![allow(missing_docs, reason = "they are the standard library's")]

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
pub(crate) use loom::thread::yield_now;

const SOUND: &str = "no thread panics with a token in hand";

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

/// Parks without a timeout: a model in which only a timeout would wake a thread has lost a wake-up.
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
    pub(crate) fn spawn(self, main: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
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
