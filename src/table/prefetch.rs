//! Asking the processor for a cache line ahead of its use. Does nothing where there is no such thing.

/// Fetches the line of an address into the nearest cache; the address need not be valid.
#[inline(always)]
pub(super) fn prefetch<T>(place: *const T) {
    #[cfg(all(target_arch = "x86_64", not(any(incarnation_loom, miri))))]
    // SAFETY: a hint; it neither reads nor faults.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(any(incarnation_loom, miri))))]
    // SAFETY: a hint; it neither reads nor faults.
    unsafe {
        core::arch::asm!(
            "prfm pldl1keep, [{place}]",
            place = in(reg) place,
            options(nostack, preserves_flags, readonly),
        );
    }
    #[cfg(any(
        incarnation_loom,
        miri,
        not(any(target_arch = "x86_64", target_arch = "aarch64"))
    ))]
    let _ = place;
}
