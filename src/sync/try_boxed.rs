//! Boxed slices whose allocation may fail, for arrays that grow with a table's limits.
#![forbid(unsafe_code)]

/// A boxed slice of `len` elements; `None` if there is no memory for it.
pub(crate) fn try_boxed<T>(len: usize, make: impl FnMut() -> T) -> Option<Box<[T]>> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(len).ok()?;
    elements.resize_with(len, make);
    // As long as its capacity, so nothing is allocated anew.
    Some(elements.into_boxed_slice())
}
