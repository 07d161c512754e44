//! An array that the operating system zeroes, so that only what is touched costs memory.
//!
//! Large zeroed allocations come as untouched pages. But an allocator that is asked for a large alignment
//! zeroes by hand, and touches them all. So this asks for an ordinary alignment and aligns by itself.

#[cfg(not(incarnation_loom))]
pub(crate) use real::ZeroedArray;

#[cfg(incarnation_loom)]
pub(crate) use model::ZeroedArray;

/// Types of which all-zero bytes are a value, the same that [`Default`] makes.
///
/// # Safety
///
/// A value of zero bytes must be valid, and must need no drop.
pub(crate) unsafe trait Zeroable: Default {}

/// Which pages an array asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    Ordinary,
    /// Of 2 MiB, where the system has them and the array is that large: fewer misses of the address translation's
    /// caches. The system may refuse; then the pages are ordinary ones.
    Huge,
}

#[cfg(not(incarnation_loom))]
mod real {
    use super::{Pages, Zeroable};
    use core::marker::PhantomData;
    use core::ops::Deref;
    use core::ptr::NonNull;
    use core::slice;
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    /// The size of a huge page, and what it must be aligned to.
    const HUGE_PAGE: usize = 2 << 20;

    /// Asks the system to back whole huge pages of the range with such. An error is no harm: the pages are
    /// ordinary ones then. The tail that fills no huge page is left as it is.
    #[cfg(target_os = "linux")]
    fn ask_for_huge_pages(first: NonNull<u8>, bytes: usize) {
        let bytes = bytes - bytes % HUGE_PAGE;
        // SAFETY: the range lies within one allocation of ours. The advice changes no content.
        let _ = unsafe { libc::madvise(first.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
    }

    #[cfg(not(target_os = "linux"))]
    fn ask_for_huge_pages(_first: NonNull<u8>, _bytes: usize) {}

    /// A boxed slice of zeroed `T`, whose elements are never dropped.
    #[derive(Debug)]
    pub(crate) struct ZeroedArray<T> {
        first: NonNull<T>,
        len: usize,
        allocation: NonNull<u8>,
        layout: Layout,
        owns: PhantomData<T>,
    }

    // SAFETY: it owns its elements, as a boxed slice does.
    unsafe impl<T: Send> Send for ZeroedArray<T> {}
    // SAFETY: as above.
    unsafe impl<T: Sync> Sync for ZeroedArray<T> {}

    impl<T: Zeroable> ZeroedArray<T> {
        /// `None` if the array would not fit into the address space, or the system refuses it.
        pub(crate) fn new(len: usize, pages: Pages) -> Option<Self> {
            const { assert!(size_of::<T>() > 0) };
            let bytes = len.max(1).checked_mul(size_of::<T>())?;
            let is_huge = pages == Pages::Huge && bytes >= HUGE_PAGE;
            let slack = if is_huge { HUGE_PAGE } else { align_of::<T>() };
            let size = bytes.checked_add(slack)?;
            let layout = Layout::from_size_align(size, align_of::<usize>()).ok()?;
            // SAFETY: the size is not zero.
            let allocation = NonNull::new(unsafe { alloc_zeroed(layout) })?;
            let offset = allocation.align_offset(slack);
            // SAFETY: aligning moves by less than the slack that was asked for on top.
            let first = unsafe { allocation.add(offset) };
            if is_huge {
                ask_for_huge_pages(first, bytes);
            }
            Some(Self {
                first: first.cast(),
                len,
                allocation,
                layout,
                owns: PhantomData,
            })
        }
    }

    impl<T> Deref for ZeroedArray<T> {
        type Target = [T];

        #[inline(always)]
        fn deref(&self) -> &[T] {
            // SAFETY: `len` aligned elements, zeroed, which is a value of every `Zeroable`.
            unsafe { slice::from_raw_parts(self.first.as_ptr(), self.len) }
        }
    }

    impl<T> Drop for ZeroedArray<T> {
        fn drop(&mut self) {
            // SAFETY: allocated in `new` with this very layout.
            unsafe { dealloc(self.allocation.as_ptr(), self.layout) };
        }
    }
}

#[cfg(incarnation_loom)]
mod model {
    use super::{Pages, Zeroable};
    use core::ops::Deref;

    /// The model checker's atomics are not made of zeroes: an ordinary boxed slice.
    #[derive(Debug)]
    pub(crate) struct ZeroedArray<T>(Box<[T]>);

    impl<T: Zeroable> ZeroedArray<T> {
        pub(crate) fn new(len: usize, _pages: Pages) -> Option<Self> {
            Some(Self((0..len).map(|_| T::default()).collect()))
        }
    }

    impl<T> Deref for ZeroedArray<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.0
        }
    }
}
