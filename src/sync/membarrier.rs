//! The system's part in asymmetric fences: `membarrier(2)` and the hook at `fork`.
//!
//! On systems other than Linux, and under Miri, [`register`] refuses: then both sides of every pair use a real fence.

#[cfg(all(target_os = "linux", not(miri)))]
mod imp {
    use std::sync::atomic::{AtomicU8, Ordering};

    const UNKNOWN: u8 = 0;
    const READY: u8 = 1;
    const REFUSED: u8 = 2;

    static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

    fn call(command: libc::c_int) -> bool {
        // SAFETY: membarrier takes numbers only and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    /// Registers the process, once. False if the system refuses membarrier.
    pub(crate) fn register() -> bool {
        // Relaxed: the answer alone matters; two threads asking at once get the same.
        if STATE.load(Ordering::Relaxed) == UNKNOWN {
            let ready = call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
                && call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
            STATE.store(if ready { READY } else { REFUSED }, Ordering::Relaxed);
        }
        STATE.load(Ordering::Relaxed) == READY
    }

    /// Registers again in the child of a fork, whose registration the kernel need not have kept.
    pub(crate) fn register_child() {
        // Relaxed: see `register`.
        if STATE.load(Ordering::Relaxed) == READY {
            call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
        }
    }

    #[cfg(test)]
    std::thread_local! {
        /// How often this thread ran one, for tests that count them.
        pub(crate) static RUNS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
    }

    /// A full fence on every core that runs a thread of this process; false if it failed.
    pub(crate) fn run() -> bool {
        #[cfg(test)]
        RUNS.set(RUNS.get() + 1);
        call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
    }

    /// Has `child` run in every child of a fork.
    pub(crate) fn at_fork(child: unsafe extern "C" fn()) {
        // SAFETY: `child` does only what a child of a threaded process may: atomics, system calls.
        // If it fails (no memory), a child keeps the parent's records, which is safe: they only delay recycling.
        unsafe { libc::pthread_atfork(None, None, Some(child)) };
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod imp {
    pub(crate) const fn register() -> bool {
        false
    }

    pub(crate) const fn register_child() {}

    pub(crate) const fn run() -> bool {
        false
    }

    pub(crate) const fn at_fork(_: unsafe extern "C" fn()) {}
}

#[allow(unused_imports, reason = "the portable scheme has no use for it")]
pub(crate) use imp::*;
