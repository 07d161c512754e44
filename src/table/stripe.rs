//! A small number for each thread, to spread what threads write over several cache lines.

#[cfg(not(incarnation_loom))]
pub(crate) fn of_this_thread() -> usize {
    use core::cell::Cell;
    use core::sync::atomic::{AtomicUsize, Ordering};

    static THREADS: AtomicUsize = AtomicUsize::new(0);
    const UNSET: usize = usize::MAX;
    std::thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(UNSET) };
    }
    STRIPE
        .try_with(|stripe| {
            if stripe.get() == UNSET {
                // Relaxed: any number will do.
                stripe.set(THREADS.fetch_add(1, Ordering::Relaxed) % UNSET);
            }
            stripe.get()
        })
        .unwrap_or(0)
}

#[cfg(incarnation_loom)]
pub(crate) fn of_this_thread() -> usize {
    0
}
