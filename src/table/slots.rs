//! Slots chosen at random, for [`pick`](crate::IncarnationTracker::pick).

use core::hint::select_unpredictable;

use super::entry::{Entry, Index};
use super::pinned::{Node, Pinned};
use crate::rule::PackedState;

/// The slots up to the highest one in use when it was made.
pub(crate) struct Slots<'p, K, D> {
    /// The first of them at 1, as in the table.
    entries: &'p [Entry<K, D>],
    count: u32,
}

/// A slot, which may hold a live node.
pub(crate) struct Slot<'p, K, D>(Node<'p, K, D>);

impl<K, D> Clone for Slot<'_, K, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, D> Copy for Slot<'_, K, D> {}

impl<K, D> Pinned<'_, K, D> {
    /// The slots that every node which was live before this call is in.
    #[inline(always)]
    pub(crate) fn slots(&self) -> Slots<'_, K, D> {
        Slots {
            entries: self.entries(),
            count: self.mark(),
        }
    }
}

impl<'p, K, D> Slots<'p, K, D> {
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The slot that uniform bits choose, and uniform bits that remain: fewer good ones by the logarithm of the count. There
    /// must be a slot.
    #[inline(always)]
    pub(crate) fn choose(&self, bits: u64) -> (Slot<'p, K, D>, u64) {
        debug_assert!(self.count > 0);
        let wide = u128::from(bits) * u128::from(self.count);
        let index = Index::MIN.saturating_add((wide >> 64) as u32);
        debug_assert!((index.get() as usize) < self.entries.len());
        // SAFETY: the index is at most the count, or 1 if that is 0. The count is a mark, and no mark goes beyond the array, which
        // has at least two places.
        let entry = unsafe { self.entries.get_unchecked(index.get() as usize) };
        (Slot(Node { entry, index }), wide as u64)
    }
}

impl<'p, K, D> Slot<'p, K, D> {
    /// Whether it holds a live node.
    #[inline(always)]
    pub(crate) fn is_live(self) -> bool {
        self.0.entry.packed().is_some()
    }

    /// Its live node, if it holds one.
    #[inline(always)]
    pub(crate) fn node(self) -> Option<(Node<'p, K, D>, PackedState)> {
        let packed = self.0.entry.packed()?;
        Some((self.0, packed))
    }

    /// Itself, or the other if the condition is false; without a branch.
    #[inline(always)]
    pub(crate) fn if_or(self, condition: bool, other: Self) -> Self {
        Self(self.0.if_or(condition, other.0))
    }
}

impl<K, D> Node<'_, K, D> {
    /// Itself, or the other if the condition is false; without a branch.
    #[inline(always)]
    pub(crate) fn if_or(self, condition: bool, other: Self) -> Self {
        Self {
            entry: select_unpredictable(condition, self.entry, other.entry),
            index: select_unpredictable(condition, self.index, other.index),
        }
    }
}
