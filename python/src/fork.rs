//! Forks and work without the GIL.
//!
//! A child has only the thread that forked. Whatever another thread was in the middle of stays
//! half-done in the child for ever. A thread that holds the GIL is never in the middle of anything when
//! Python forks, since the forking thread holds it (without a GIL, Python stops the other threads at
//! points that lie outside this package). So most operations need no care. Those that release the GIL
//! pass this gate, which Python's hooks close before a fork and open after it, in parent and child. pyo3's
//! own way to make an object at its first use also releases the GIL, and passes no gate: see `statics`.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use pyo3::prelude::*;

/// Operations on their way. Two numbers and no lock, because a lock that another thread holds at a fork
/// stays locked in the child.
static WORKING: AtomicUsize = AtomicUsize::new(0);

/// Forks on their way.
static FORKING: AtomicUsize = AtomicUsize::new(0);

/// Between two looks of a thread that waits for a fork, or for operations to end.
const PAUSE: Duration = Duration::from_micros(50);

/// One operation that has passed the gate.
struct Working;

impl Working {
    fn begin() -> Self {
        loop {
            // SeqCst, all four: of an operation that begins and a fork that begins, one sees the other.
            WORKING.fetch_add(1, Ordering::SeqCst);
            let working = Self;
            if FORKING.load(Ordering::SeqCst) == 0 {
                return working;
            }
            drop(working);
            sleep(PAUSE);
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        WORKING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `work` without the GIL, and never while the process forks. `work` must not attach.
pub fn detached<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> R {
    py.detach(|| {
        let _working = Working::begin();
        work()
    })
}

/// Before a fork: waits, without the GIL, until no operation is on its way, and lets none begin.
#[pyfunction]
pub fn _before_fork(py: Python<'_>) {
    py.detach(|| {
        FORKING.fetch_add(1, Ordering::SeqCst);
        while WORKING.load(Ordering::SeqCst) > 0 {
            sleep(PAUSE);
        }
    });
}

/// After a fork, in the parent.
#[pyfunction]
pub fn _after_fork_in_parent() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// After a fork, in the child, whose only thread this is: nothing else is on its way.
#[pyfunction]
pub fn _after_fork_in_child() {
    WORKING.store(0, Ordering::SeqCst);
    FORKING.store(0, Ordering::SeqCst);
}
