//! Picking one node at random: "some live node", on a request path.
//!
//! A random slot up to the highest one in use holds a given live node as likely as any other, so taking random slots
//! until one holds a node that passes the filter is uniform. So is looking at three at once and taking the first that
//! does, which is faster where about half of them do. If too many slots miss, one pass over all of them chooses just
//! as uniformly (a reservoir of one). A miss is never answered by the next node that passes: that would prefer the nodes
//! behind gaps.
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::hash::{BuildHasher, Hash};
use core::hint::{black_box, select_unpredictable as select};

use super::sample::below;
use crate::table::{Node, Pinned, Slot, Slots};
use crate::tracker::{IncarnationTracker, NodeState, View};

/// Random numbers are drawn at least so often before a pass over all slots.
const DRAWS: usize = 32;
/// And one more for each so many slots, since a pass over a large table costs more.
const SLOTS_PER_DRAW: usize = 128;
/// One random number chooses two slots, and up to so many slots three. Then the third is even up to 2^42 in 2^64: one in 2^22.
const THREE_EACH: u32 = 1 << 14;

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
    /// asked with the state just read. It may be asked about nodes that are not picked though they pass, and about one node
    /// more than once.
    ///
    /// Cost: `1 / share` random slots on average, where `share` is that of the nodes that pass among the slots up to the
    /// highest one ever used. Where about half of them passed in the thread's last picks, three at a time. One random number
    /// chooses two or three slots. Where few nodes pass (fewer than one in 64, or
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
    let slots = pinned.slots();
    if slots.count() == 0 {
        return None;
    }
    let misses = Misses::of_this_thread();
    let draws = DRAWS + slots.count() as usize / SLOTS_PER_DRAW;
    // A result is taken apart where it comes out of a function: a whole one would go through memory, in parts.
    let (node, state, missed) = 'found: {
        if misses.are_about_half() {
            for _ in 0..draws {
                let group = group(&slots, &mut random);
                if let Some((node, state, missed)) = pick_of_group(group, &mut filter) {
                    break 'found (node, state, missed);
                }
            }
        } else {
            let mut missed = 0;
            for _ in 0..draws {
                let (first, bits) = slots.choose(mixed(random()));
                if let Some((node, state)) = pick_of_slot(first, &mut filter) {
                    break 'found (node, state, missed);
                }
                missed = 1;
                let (second, _) = slots.choose(bits);
                if let Some((node, state)) = pick_of_slot(second, &mut filter) {
                    break 'found (node, state, 1);
                }
            }
        }
        let (node, state) = pick_among_all(pinned, slots.count(), &mut random, &mut filter)?;
        (node, state, 1)
    };
    misses.count(missed);
    Some((node, state))
}

/// The node of a slot, if it passes.
#[inline(always)]
fn pick_of_slot<'p, K, D>(
    slot: Slot<'p, K, D>,
    filter: &mut impl FnMut(&K, NodeState) -> bool,
) -> Option<(Node<'p, K, D>, NodeState)> {
    let (node, packed) = slot.node()?;
    let state = NodeState::new(packed, node.last_update());
    filter(node.key(), state).then_some((node, state))
}

/// Slots that are looked at together.
#[inline(always)]
fn group<'p, K, D>(
    slots: &Slots<'p, K, D>,
    random: &mut impl FnMut() -> u64,
) -> [Slot<'p, K, D>; 3] {
    let (first, bits) = slots.choose(mixed(random()));
    let (second, mut bits) = slots.choose(bits);
    if slots.count() > THREE_EACH {
        bits = mixed(random());
    }
    let (third, _) = slots.choose(bits);
    [first, second, third]
}

/// The first node of a group that passes, and 1 if that is not the first slot's. All are asked about, and which one it is
/// takes no branch, since no processor could guess it: only whether there is one does.
#[inline(always)]
fn pick_of_group<'p, K, D>(
    [a, b, c]: [Slot<'p, K, D>; 3],
    filter: &mut impl FnMut(&K, NodeState) -> bool,
) -> Option<(Node<'p, K, D>, NodeState, u32)> {
    let (a_is_live, b_is_live, c_is_live) = (a.is_live(), b.is_live(), c.is_live());
    // The first live one stands for those that hold no live node. It is asked about, and the answer does not count: else a
    // filter that answers by chance would have that node twice.
    let a = a.if_or(a_is_live, b.if_or(b_is_live, c));
    let (b, c) = (b.if_or(b_is_live, a), c.if_or(c_is_live, a));
    let ((a, packed_a), (b, packed_b), (c, packed_c)) = (a.node()?, b.node()?, c.node()?);
    let (at_a, at_b, at_c) = (a.last_update(), b.last_update(), c.last_update());
    let a_passes = filter(a.key(), NodeState::new(packed_a, at_a)) & a_is_live;
    let b_passes = filter(b.key(), NodeState::new(packed_b, at_b)) & b_is_live;
    let c_passes = filter(c.key(), NodeState::new(packed_c, at_c)) & c_is_live;
    // Hidden from the compiler, which would make a branch of each.
    let passed = black_box(u32::from(a_passes | b_passes | c_passes) << 1 | u32::from(a_passes));
    if passed == 0 {
        return None;
    }
    let node = a.if_or(a_passes, b.if_or(b_passes, c));
    let packed = select(a_passes, packed_a, select(b_passes, packed_b, packed_c));
    let last_update = select(a_passes, at_a, select(b_passes, at_b, at_c));
    Some((node, NodeState::new(packed, last_update), !passed & 1))
}

/// In how many of a thread's last picks the first slot held no node that passed: a moving average over about
/// [`PICKS`](Misses::PICKS) picks. It decides how slots are looked at, not which node is picked.
///
/// Where nearly all slots hold a node that passes, or few do, a processor guesses right whether the next one does, and one slot
/// after the other is fastest. Where about half do, each guess is wrong as often as right.
#[derive(Clone, Copy)]
struct Misses(u32);

std::thread_local! {
    static MISSES: Cell<u32> = const { Cell::new(0) };
}

impl Misses {
    const PICKS: u32 = 64;
    /// What each pick missing comes to.
    const ALL: u32 = 1 << 16;
    /// Between these, groups of three take less time.
    const HALF: core::ops::Range<u32> = Self::ALL / 8 * 3..Self::ALL / 8 * 5;

    #[inline(always)]
    fn of_this_thread() -> Self {
        Self(MISSES.with(Cell::get))
    }

    #[inline(always)]
    fn are_about_half(self) -> bool {
        Self::HALF.contains(&self.0)
    }

    /// Counts one more pick: 1 if its first slot missed, 0 if not.
    #[inline(always)]
    fn count(self, missed: u32) {
        let misses = self.0 - self.0 / Self::PICKS + missed * (Self::ALL / Self::PICKS);
        if misses != self.0 {
            MISSES.with(move |cell| cell.set(misses));
        }
    }
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
    use super::super::sample::scaled;
    use super::*;

    type Tracker = IncarnationTracker<u32>;

    /// Nodes `0..nodes`, of which those that `keep` refuses have left.
    fn tracker(nodes: u32, keep: impl Fn(u32) -> bool) -> Tracker {
        let tracker = Tracker::builder()
            .max_nodes(nodes as usize)
            .reclaimer(crate::Reclaimer::private())
            .build()
            .unwrap();
        for node in 0..nodes {
            let _ = tracker.update(&node, crate::Claim::alive(1), crate::Timestamp::ZERO);
        }
        for node in (0..nodes).filter(|node| !keep(*node)) {
            let _ = tracker.remove(&node, crate::Timestamp::ZERO);
        }
        tracker
    }

    #[test]
    fn a_group_answers_the_first_of_its_slots_whose_node_passes() {
        const GROUPS: usize = if cfg!(miri) { 50 } else { 5_000 };
        // Full; half of the nodes left; nearly all left.
        for leave_every in [1, 2, 16] {
            let tracker = tracker(256, |node| node % leave_every == 0);
            let view = tracker.pin();
            let slots = view.pinned.slots();
            let mut random = fastrand::Rng::with_seed(leave_every.into());
            let mut found = 0;
            for share in (1..=4).cycle().take(GROUPS) {
                let mut passes = |node: &u32, _: NodeState| (node / 16).is_multiple_of(share);
                let group = group(&slots, &mut || random.u64(..));
                let one_by_one =
                    group.map(|slot| pick_of_slot(slot, &mut passes).map(|(node, _)| *node.key()));
                let at_once = pick_of_group(group, &mut passes);
                let first = one_by_one.iter().flatten().next().copied();
                assert_eq!(at_once.map(|(node, ..)| *node.key()), first);
                if let Some((_, state, missed)) = at_once {
                    assert_eq!(state, view.get(&first.unwrap()).unwrap());
                    assert_eq!(missed == 0, one_by_one[0].is_some());
                    found += 1;
                }
            }
            assert!(found > GROUPS / 20, "{found}");
        }
    }

    #[test]
    fn all_slots_of_a_random_number_of_32_good_bits_are_even() {
        const GROUPS: usize = 64;
        const DRAWN: u64 = if cfg!(miri) { 6_400 } else { 640_000 };
        let mut random = fastrand::Rng::with_seed(7);
        let widenings: [fn(u64) -> u64; 3] =
            [|bits| bits, |bits| bits << 32, |bits| bits << 32 | bits];
        for (count, slots_each) in [(1 << 17, 2), (THREE_EACH as usize, 3)] {
            for widen in widenings {
                // By the remainder: that is where too few bits show.
                let mut chosen = [[0_u64; GROUPS]; 3];
                for _ in 0..DRAWN {
                    let mut bits = mixed(widen(random.u32(..).into()));
                    for groups in &mut chosen[..slots_each] {
                        let slot;
                        (slot, bits) = scaled(count, bits);
                        groups[slot % GROUPS] += 1;
                    }
                }
                let even = DRAWN / GROUPS as u64;
                for drawn in chosen[..slots_each].iter().flatten() {
                    assert!((even / 2..2 * even).contains(drawn), "{drawn}");
                }
            }
        }
    }
}
