//! How one thread tells others that something happened, without waiting for them.
//!
//! [`marks`] says where the table changed, and wakes subscribers; [`capacity_signal`] says that a claim
//! found no room, and wakes sweepers. Both wake their waiters through a [`wake_list`].

pub(crate) mod capacity_signal;
pub(crate) mod marks;
pub(crate) mod wake_list;

pub(crate) use marks::Notify;

use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::task::Wake;

use crate::sync::Instant;
use crate::sync::thread::{self, Thread};

/// A waker that unparks the calling thread.
pub(crate) fn unpark_current() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls on the calling thread until `poll` is ready, and parks it in between; `None` once `timeout`
/// has passed.
pub(crate) fn block<T>(
    timeout: Duration,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let waker = unpark_current();
    let mut context = Context::from_waker(&waker);
    let begun = Instant::now();
    loop {
        if let Poll::Ready(answer) = poll(&mut context) {
            return Some(answer);
        }
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
