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

/// The same for a line that is about to be written: the other cores' copies go at once, and not only when it is.
#[inline(always)]
pub(super) fn prefetch_to_write<T>(place: *const T) {
    #[cfg(all(target_arch = "x86_64", not(any(incarnation_loom, miri))))]
    // SAFETY: a hint; it neither reads nor faults. Processors without it take it for no operation.
    unsafe {
        core::arch::asm!(
            "prefetchw [{place}]",
            place = in(reg) place,
            options(nostack, preserves_flags, readonly),
        );
    }
    #[cfg(all(target_arch = "aarch64", not(any(incarnation_loom, miri))))]
    // SAFETY: a hint; it neither reads nor faults.
    unsafe {
        core::arch::asm!(
            "prfm pstl1keep, [{place}]",
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
