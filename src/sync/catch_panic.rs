//! Panics of users' code in work that no caller asked for, such as recycling: they end here.
//!
//! A key's `Drop` runs where entries are recycled and tombstones end, a callback on the sweeper's thread; no
//! caller is to blame there.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the work returns; `None` if it panicked. Whatever it left half done must be of no concern.
pub(crate) fn catch_panic<R>(work: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Some(result),
        Err(panic) => {
            // What it panicked with may panic when it is dropped, and what comes of that is let lie.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                core::mem::forget(again);
            }
            None
        }
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::catch_panic;

    struct PanicsTwice;

    impl Drop for PanicsTwice {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new(()));
        }
    }

    #[test]
    fn no_panic_gets_out_even_if_its_payload_panics_on_drop() {
        assert_eq!(catch_panic(|| 7), Some(7));
        assert_eq!(
            catch_panic(|| std::panic::resume_unwind(Box::new(PanicsTwice))),
            None::<()>
        );
    }
}
