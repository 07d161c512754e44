//! Picking one node at random: "some live node", on a request path.
//!
//! A random slot up to the highest one in use holds a given live node as likely as any other, so taking random slots
//! until one holds a node that passes the filter is uniform. If too many slots miss, one pass over all of them chooses just
//! as uniformly (a reservoir of one). A miss is never answered by the next node that passes: that would prefer the nodes
//! behind gaps.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use super::sample::{below, scaled};
use crate::table::{Node, Pinned};
use crate::tracker::{IncarnationTracker, NodeState, View};

/// Random numbers are drawn at least so often before a pass over all slots.
const DRAWS: usize = 32;
/// And one more for each so many slots, since a pass over a large table costs more.
const SLOTS_PER_DRAW: usize = 128;
/// So many slots are tried with one random number.
const SLOTS_EACH: usize = 2;

impl<K, D, S> View<'_, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`IncarnationTracker::pick`], lending the key.
    #[inline]
    #[must_use]
    pub fn pick(
        &self,
        random: impl FnMut() -> u64,
        filter: impl FnMut(&K, NodeState) -> bool,
    ) -> Option<(&K, NodeState)> {
        let (node, state) = pick(&self.pinned, random, filter)?;
        Some((node.key(), state))
    }
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// One node that passes `filter`, each equally likely; `None` if none does. For a request path that needs some live
    /// node. Never the local node, which is not in the table.
    ///
    /// `random` gives uniformly distributed bits, such as `|| rng.next_u64()`; they need not be unpredictable. `filter` is
    /// asked with the state just read.
    ///
    /// Cost: `1 / share` random slots on average, where `share` is that of the nodes that pass among the slots up to the
    /// highest one ever used; two where half of them pass. Where few nodes pass (fewer than one in 64, or
    /// one in some thousands in a table of a million), a pass over the array of entries: about a nanosecond a slot. No
    /// locks, no allocation but the clone of the key; [`View::pick`] lends the key instead.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Status, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// # for node in 0..10 { let _ = tracker.update(&node, Claim::alive(1), Timestamp::ZERO); }
    /// # let mut state = 7_u64;
    /// # let mut next_u64 = move || { state = state.wrapping_add(0x9e37_79b9_7f4a_7c15); state };
    /// let target = tracker.pick(&mut next_u64, |_, state| state.status == Status::Alive);
    /// assert!(target.is_some_and(|(node, _)| node < 10));
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn pick(
        &self,
        random: impl FnMut() -> u64,
        filter: impl FnMut(&K, NodeState) -> bool,
    ) -> Option<(K, NodeState)> {
        let view = self.pin();
        let (node, state) = view.pick(random, filter)?;
        Some((node.clone(), state))
    }
}

/// One node that passes the filter.
#[inline]
fn pick<'p, K, D>(
    pinned: &'p Pinned<'_, K, D>,
    mut random: impl FnMut() -> u64,
    mut filter: impl FnMut(&K, NodeState) -> bool,
) -> Option<(Node<'p, K, D>, NodeState)> {
    let mark = pinned.mark();
    let slots = mark as usize;
    if slots == 0 {
        return None;
    }
    // The result is taken apart where it comes out of a function: a whole one would go through memory, in parts.
    let (node, state) = 'found: {
        for _ in 0..DRAWS + slots / SLOTS_PER_DRAW {
            let mut bits = mixed(random());
            for _ in 0..SLOTS_EACH {
                let slot;
                // The bits that a slot leaves choose the next. With m slots it is even up to m^2 in 2^64: one in 2^24 for a million.
                (slot, bits) = scaled(slots, bits);
                if let Some((node, packed)) = pinned.at(slot as u32 + 1) {
                    let state = NodeState::new(packed, node.last_update());
                    if filter(node.key(), state) {
                        break 'found (node, state);
                    }
                }
            }
        }
        pick_among_all(pinned, mark, &mut random, &mut filter)?
    };
    Some((node, state))
}

/// Has the high bits, which choose the slot, depend on all: so a generator of only 32 good bits will do. Not by 32 bits: one
/// that gives the same bits twice would leave none for the second slot. A bijection: uniform bits stay uniform. One
/// multiplication, where [`below`] takes two: nothing can be done for the slot before it is known.
#[inline(always)]
const fn mixed(bits: u64) -> u64 {
    (bits ^ (bits >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The same by one pass: the n-th node that passes takes the place of the one before with a chance of 1 in n.
#[cold]
#[inline(never)]
fn pick_among_all<'p, K, D>(
    pinned: &'p Pinned<'_, K, D>,
    mark: u32,
    random: &mut impl FnMut() -> u64,
    filter: &mut impl FnMut(&K, NodeState) -> bool,
) -> Option<(Node<'p, K, D>, NodeState)> {
    let (mut passed, mut picked) = (0, None);
    pinned.scan(1, mark, |node, packed| {
        let state = NodeState::new(packed, node.last_update());
        if filter(node.key(), state) {
            passed += 1;
            if below(passed, random) == 0 {
                picked = Some((node, state));
            }
        }
    });
    picked
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::*;

    #[test]
    fn both_slots_of_a_random_number_of_32_good_bits_are_even() {
        const SLOTS: usize = 1 << 17;
        const GROUPS: usize = 64;
        const DRAWN: u64 = if cfg!(miri) { 6_400 } else { 640_000 };
        let mut random = fastrand::Rng::with_seed(7);
        let widenings: [fn(u64) -> u64; 3] =
            [|bits| bits, |bits| bits << 32, |bits| bits << 32 | bits];
        for widen in widenings {
            // By the remainder: that is where too few bits show.
            let mut chosen = [[0_u64; GROUPS]; SLOTS_EACH];
            for _ in 0..DRAWN {
                let mut bits = mixed(widen(random.u32(..).into()));
                for groups in &mut chosen {
                    let slot;
                    (slot, bits) = scaled(SLOTS, bits);
                    groups[slot % GROUPS] += 1;
                }
            }
            let even = DRAWN / GROUPS as u64;
            for count in chosen.into_iter().flatten() {
                assert!((even / 2..2 * even).contains(&count), "{count}");
            }
        }
    }
}
