//! Shadows: extra locations that show loom every pair of a reader and a writer.
//!
//! loom's partial-order reduction remembers only the last access to a location. A thread that loads a location
//! and then compare-and-swaps it (every loop of this library does) overwrites loom's memory of another thread's
//! earlier load, and loom never explores the switch between the two (tokio-rs/loom, issues 166 and 392; the
//! program is in `docs/loom-litmus.md`).
//!
//! The remedy: each atomic carries one more loom atomic per model thread, its shadow. A load by thread `t` first
//! loads shadow `t`. A write by thread `t` first touches the shadows of all other threads. So each pair of a reader
//! and a writer has a location of its own to be remembered by. Shadows multiply the executions, so they are
//! switched on per model.

use super::{Choice, thread_index, threads, with_choice};
use loom::sync::atomic::{AtomicUsize, Ordering};

std::thread_local! {
    static SHADOWS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `model` with every atomic made inside it carrying shadows, or none.
pub fn with_shadows(on: bool, model: impl FnOnce()) {
    let choice: &'static Choice<bool> = &SHADOWS;
    with_choice(choice, on, model);
}

/// The shadows of one atomic; none where they are switched off.
#[derive(Debug)]
pub(super) struct Shadows(Option<Box<[AtomicUsize]>>);

impl Shadows {
    /// As the model has chosen.
    pub(super) fn chosen() -> Self {
        let on = SHADOWS.with(std::cell::Cell::get);
        Self(on.then(|| (0..threads()).map(|_| AtomicUsize::new(0)).collect()))
    }

    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) fn reads(&self) {
        if let Some(shadows) = &self.0
            && let Some(me) = thread_index()
        {
            shadows[me].load(Ordering::Relaxed);
        }
    }

    pub(super) fn writes(&self) {
        if let Some(shadows) = &self.0 {
            let me = thread_index();
            for (thread, shadow) in shadows.iter().enumerate() {
                if Some(thread) != me {
                    shadow.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}
