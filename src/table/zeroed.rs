//! An array that the operating system zeroes, so that only what is touched costs memory.
//!
//! Large zeroed allocations come as untouched pages. But asking the allocator for a large alignment
//! makes it zero by hand, touching them all: so this asks for an ordinary one and aligns by itself.

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

#[cfg(not(incarnation_loom))]
mod real {
    use super::Zeroable;
    use core::marker::PhantomData;
    use core::ops::Deref;
    use core::ptr::NonNull;
    use core::slice;
    use std::alloc::{Layout, alloc_zeroed, dealloc};

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
        pub(crate) fn new(len: usize) -> Option<Self> {
            const { assert!(size_of::<T>() > 0) };
            let slack = align_of::<T>();
            let size = len.max(1).checked_mul(size_of::<T>())?.checked_add(slack)?;
            let layout = Layout::from_size_align(size, align_of::<usize>()).ok()?;
            // SAFETY: the size is not zero.
            let allocation = NonNull::new(unsafe { alloc_zeroed(layout) })?;
            let offset = allocation.align_offset(slack);
            // SAFETY: aligning moves by less than the slack that was asked for on top.
            let first = unsafe { allocation.add(offset) }.cast();
            Some(Self {
                first,
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
    use super::Zeroable;
    use core::ops::Deref;

    /// The model checker's atomics are not made of zeroes: an ordinary boxed slice.
    #[derive(Debug)]
    pub(crate) struct ZeroedArray<T>(Box<[T]>);

    impl<T: Zeroable> ZeroedArray<T> {
        pub(crate) fn new(len: usize) -> Option<Self> {
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
