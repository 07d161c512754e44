//! Choosing nodes at random: for gossip targets, for helpers of an indirect probe.
//!
//! The array of entries makes it cheap: a random place below the highest one in use holds a live
//! node as likely as any other, so picking places and rejecting the empty ones is uniform. Where too
//! many picks miss (most nodes left, or the filter takes few) one pass over all of them finishes the
//! sample just as uniformly. An empty place is never answered by the next live one: that would
//! prefer the nodes behind gaps.
//!
//! [`ProbeOrder`](crate::ProbeOrder) takes its random numbers the same way.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};
use std::collections::HashSet;

use crate::table::{Node, Pinned};
use crate::tracker::{IncarnationTracker, NodeState, View};

/// Picks for each wanted node, and some more, before a pass over all nodes is cheaper.
const PICKS_EACH: usize = 16;
const PICKS_MORE: usize = 64;

/// A random number below `n`, which is not 0, out of one of 64 bits.
///
/// No number is preferred by more than one in 2^32 (`n` counts places), and no generator, however
/// broken, makes it loop. The bits are mixed first, so that one of only 32 good bits will do.
pub(crate) fn below(n: usize, random: &mut impl FnMut() -> u64) -> usize {
    let mut bits = random();
    // A bijection, the finaliser of the splitmix64 generator: uniform bits stay uniform.
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    ((u128::from(bits) * n as u128) >> 64) as usize
}

/// Brings items into an order of which each is equally likely.
pub(crate) fn shuffle<T>(items: &mut [T], random: &mut impl FnMut() -> u64) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, random));
    }
}

impl<K, D, S> View<'_, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`IncarnationTracker::sample`], lending the keys.
    #[must_use]
    pub fn sample(
        &self,
        k: usize,
        random: impl FnMut() -> u64,
        filter: impl FnMut(&K, NodeState) -> bool,
    ) -> Vec<(&K, NodeState)> {
        let mut sample = Sample::new(&self.pinned, k, random, filter);
        sample.pick();
        sample.pass_over_all();
        sample
            .taken
            .into_iter()
            .map(|taken| (taken.node.key(), taken.state))
            .collect()
    }
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Up to `k` different nodes that pass `filter`, chosen at random without replacement: each set
    /// of `k` is equally likely, and so is each order of it. Fewer than `k` if there are no more, or
    /// if nodes come and go meanwhile. Never the local node, which is not in the table.
    ///
    /// `random` gives uniformly distributed bits, such as `|| rng.next_u64()`; nobody who gossips
    /// needs them to be unpredictable. `filter` is asked with the state just read, and may be asked
    /// about one node more than once.
    ///
    /// Cost: expected O(`k`) where most places up to the highest one ever used are filled with nodes
    /// that pass; else, or where `k` is a large part of the nodes, a pass over the array of entries.
    /// No locks.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Status, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// # for node in 0..100 { let _ = tracker.update(&node, Claim::alive(1), Timestamp::ZERO); }
    /// # let mut state = 7_u64;
    /// # let mut next_u64 = move || { state = state.wrapping_add(0x9e37_79b9_7f4a_7c15); state };
    /// // Three members to ask for an indirect probe of node 17.
    /// let helpers = tracker.sample(3, &mut next_u64, |node, state| {
    ///     *node != 17 && state.status == Status::Alive
    /// });
    /// assert_eq!(helpers.len(), 3);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn sample(
        &self,
        k: usize,
        random: impl FnMut() -> u64,
        filter: impl FnMut(&K, NodeState) -> bool,
    ) -> Vec<(K, NodeState)> {
        self.with(|view| {
            let lent = view.sample(k, random, filter);
            lent.into_iter()
                .map(|(node, state)| (node.clone(), state))
                .collect()
        })
    }
}

/// A node in the sample.
struct Taken<'p, K, D> {
    node: Node<'p, K, D>,
    state: NodeState,
}

/// A sample in the making.
struct Sample<'p, K, D, R, F> {
    pinned: &'p Pinned<'p, K, D>,
    /// The highest place in use when it began.
    mark: u32,
    k: usize,
    random: R,
    filter: F,
    taken: Vec<Taken<'p, K, D>>,
    /// The keys of those picked: a node may leave and come back to another place meanwhile.
    keys: HashSet<&'p K, crate::RandomState>,
}

impl<'p, K, D, R, F> Sample<'p, K, D, R, F>
where
    K: Eq + Hash,
    R: FnMut() -> u64,
    F: FnMut(&K, NodeState) -> bool,
{
    fn new(pinned: &'p Pinned<'_, K, D>, k: usize, random: R, filter: F) -> Self {
        Self {
            pinned,
            mark: pinned.mark(),
            k,
            random,
            filter,
            taken: Vec::new(),
            keys: HashSet::default(),
        }
    }

    /// Picks random places until there are `k` nodes, or too many missed.
    fn pick(&mut self) {
        let places = self.mark as usize;
        if self.k > places / 4 {
            return;
        }
        let picks = self.k.saturating_mul(PICKS_EACH) + PICKS_MORE;
        for _ in 0..picks.min(places) {
            if self.taken.len() == self.k {
                return;
            }
            let place = below(places, &mut self.random) as u32 + 1;
            let Some((node, packed)) = self.pinned.at(place) else {
                continue;
            };
            let state = NodeState::new(packed, node.last_update());
            // By reference, as they were put in: ahash tells a key's hash from a reference's where the
            // compiler allows specialization.
            if !self.keys.contains(&node.key()) && (self.filter)(node.key(), state) {
                self.keys.insert(node.key());
                self.taken.push(Taken { node, state });
            }
        }
    }

    /// Chooses the rest among all nodes that are not picked yet: each number of them equally likely
    /// (Vitter's algorithm R), then brought into random order.
    fn pass_over_all(&mut self) {
        let picked = self.taken.len();
        let wanted = self.k - picked;
        if wanted == 0 {
            return;
        }
        // Those picked, in the order in which the pass comes by them.
        let mut places: Vec<u32> = self.taken.iter().map(|t| t.node.index().get()).collect();
        places.sort_unstable();
        let mut next_picked = places.into_iter().peekable();
        let mut candidates = 0;
        let Self {
            pinned,
            mark,
            random,
            filter,
            taken,
            keys,
            ..
        } = self;
        pinned.scan(1, *mark, |node, packed| {
            let place = node.index().get();
            while next_picked.next_if(|picked| *picked < place).is_some() {}
            let state = NodeState::new(packed, node.last_update());
            if next_picked.peek() == Some(&place) || !filter(node.key(), state) {
                return;
            }
            candidates += 1;
            let candidate = Taken { node, state };
            if candidates <= wanted {
                taken.push(candidate);
            } else {
                let instead = below(candidates, random);
                if instead < wanted {
                    taken[picked + instead] = candidate;
                }
            }
        });
        shuffle(&mut taken[picked..], random);
        let mut place = 0;
        taken.retain(|taken| {
            place += 1;
            place <= picked || keys.insert(taken.node.key())
        });
    }
}
