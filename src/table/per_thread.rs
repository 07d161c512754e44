//! One value for each thread that writes, made when the thread first needs it.
//!
//! It takes one pointer for each number a thread may have, and a padded value for each number that was ever used. A table
//! that is too small for that has none, and its threads use what they share.

use core::ptr;

use super::thread_number::{NUMBERS, of_this_thread};
use crate::sync::Padded;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::plain::AtomicPtr;

#[derive(Debug)]
pub(crate) struct PerThread<T>(Box<[AtomicPtr<Padded<T>>]>);

// SAFETY: the values are boxed, and lent as shared references only.
unsafe impl<T: Send + Sync> Sync for PerThread<T> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<T: Send> Send for PerThread<T> {}

impl<T: Default> PerThread<T> {
    /// With or without values of threads' own.
    pub(crate) fn new(has_any: bool) -> Self {
        // Few in a model, each of whose threads has a number.
        let numbers = if cfg!(incarnation_loom) { 5 } else { NUMBERS };
        let count = if has_any { numbers } else { 0 };
        Self(
            (0..count)
                .map(|_| AtomicPtr::new(ptr::null_mut()))
                .collect(),
        )
    }

    /// The calling thread's own; `None` if it has none. No other thread gets it by this way before this thread has ended.
    #[inline(always)]
    pub(crate) fn own(&self) -> Option<&T> {
        if self.0.is_empty() {
            return None;
        }
        let slot = self.0.get(of_this_thread())?;
        // Relaxed: this thread has made the value, or acquired it with the number, which was another thread's before.
        let value = slot.load(Ordering::Relaxed);
        if value.is_null() {
            return Some(Self::make(slot));
        }
        // SAFETY: made by `Box::into_raw`, and freed with `self`.
        Some(unsafe { &*value })
    }

    #[cold]
    #[inline(never)]
    fn make(slot: &AtomicPtr<Padded<T>>) -> &T {
        let value = Box::into_raw(Box::new(Padded(T::default())));
        // Release: a thread that looks at all values sees this one whole.
        slot.store(value, Ordering::Release);
        // SAFETY: just made; only the thread that has the number makes one, and it found none.
        unsafe { &*value }
    }

    /// Those of all threads so far.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(|slot| {
            // Acquire: the value behind the pointer.
            let value = slot.load(Ordering::Acquire);
            // SAFETY: as in `own`.
            unsafe { value.as_ref() }.map(|padded| &padded.0)
        })
    }
}

impl<T> Drop for PerThread<T> {
    fn drop(&mut self) {
        for slot in &self.0 {
            // Relaxed: no other thread is left.
            let value = slot.load(Ordering::Relaxed);
            if !value.is_null() {
                // SAFETY: made by `Box::into_raw`, and no other thread reaches it now.
                drop(unsafe { Box::from_raw(value) });
            }
        }
    }
}
