//! Iteration: a walk over the array of entries up to the highest index in use.
#![forbid(unsafe_code)]

use core::fmt;
use std::net::SocketAddr;

use super::state::NodeState;
use crate::rule::PackedState;
use crate::table::{Node, Pinned};

/// The nodes that a [`View`](crate::View) sees, with their states; made by [`View::iter`](crate::View::iter).
///
/// `for_each` and the other consuming adapters are faster than `next`.
pub struct ViewIter<'v, K, D> {
    pinned: &'v Pinned<'v, K, D>,
    /// The next index to visit.
    index: u32,
    /// The highest index in use when the iteration began.
    end: u32,
}

impl<'v, K, D> ViewIter<'v, K, D> {
    pub(super) fn new(pinned: &'v Pinned<'_, K, D>) -> Self {
        Self {
            pinned,
            index: 1,
            end: pinned.mark(),
        }
    }

    pub(super) fn next_node(&mut self) -> Option<(Node<'v, K, D>, PackedState)> {
        while self.index <= self.end {
            let index = self.index;
            self.index += 1;
            let found = self.pinned.at(index);
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

impl<'v, K, D> Iterator for ViewIter<'v, K, D> {
    type Item = (&'v K, NodeState);

    fn next(&mut self) -> Option<Self::Item> {
        let (node, packed) = self.next_node()?;
        Some((node.key(), NodeState::new(packed, node.last_update())))
    }

    fn fold<B, F>(self, init: B, mut f: F) -> B
    where
        F: FnMut(B, Self::Item) -> B,
    {
        let mut folded = Some(init);
        self.pinned.scan(self.index, self.end, |node, packed| {
            if let Some(so_far) = folded.take() {
                let state = NodeState::new(packed, node.last_update());
                folded = Some(f(so_far, (node.key(), state)));
            }
        });
        match folded {
            Some(folded) => folded,
            // Taken only for the call of `f` and put back after it.
            None => unreachable!(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some((self.end + 1).saturating_sub(self.index) as usize))
    }
}

impl<K, D> core::iter::FusedIterator for ViewIter<'_, K, D> {}

impl<K, D> fmt::Debug for ViewIter<'_, K, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewIter")
            .field("index", &self.index)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// The nodes of a tracker, keys cloned, with their states; made by
/// [`IncarnationTracker::iter`](crate::IncarnationTracker::iter).
pub struct Iter<'t, K = SocketAddr, D = ()> {
    pinned: Pinned<'t, K, D>,
    index: u32,
    end: u32,
}

impl<'t, K, D> Iter<'t, K, D> {
    pub(super) fn new(pinned: Pinned<'t, K, D>) -> Self {
        let end = pinned.mark();
        Self {
            pinned,
            index: 1,
            end,
        }
    }
}

impl<K: Clone, D> Iterator for Iter<'_, K, D> {
    type Item = (K, NodeState);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = ViewIter {
            pinned: &self.pinned,
            index: self.index,
            end: self.end,
        };
        let next = rest.next().map(|(node, state)| (node.clone(), state));
        self.index = rest.index;
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some((self.end + 1).saturating_sub(self.index) as usize))
    }
}

impl<K: Clone, D> core::iter::FusedIterator for Iter<'_, K, D> {}

impl<K, D> fmt::Debug for Iter<'_, K, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter")
            .field("index", &self.index)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
