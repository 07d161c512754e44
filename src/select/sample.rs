//! Choosing several nodes at random: gossip targets, or helpers of an indirect probe.
//!
//! The array of entries makes it cheap: a random slot up to the highest one in use holds a given live node as likely as any
//! other, so taking random slots and rejecting the empty ones is uniform. Where too many slots miss (most nodes left, or the
//! filter takes few), one pass over all of them finishes the sample just as uniformly. A miss is never answered by the
//! next live node: that would prefer the nodes behind gaps.
//!
//! [`ProbeOrder`](crate::ProbeOrder) and [`pick`](crate::IncarnationTracker::pick) take their random numbers the same way.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};
use std::collections::HashSet;

use crate::table::{Node, Pinned};
use crate::tracker::{IncarnationTracker, NodeState, View};

/// Random slots that are tried for each wanted node, and some more, before a pass over all nodes is cheaper.
const PICKS_EACH: usize = 16;
const PICKS_MORE: usize = 64;

/// Up to so many picked keys are compared one by one; more are kept in a set.
const FEW: usize = 16;

/// A random number below `n`, which is not 0, made of one random number of 64 bits.
///
/// No number is preferred by more than one in 2^32 (`n` counts slots), and it never loops, even with a broken generator.
/// The bits are mixed first, so that a generator of only 32 good bits will do.
#[inline]
pub(crate) fn below(n: usize, random: &mut impl FnMut() -> u64) -> usize {
    let mut bits = random();
    // A bijection, the finaliser of the splitmix64 generator: uniform bits stay uniform.
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    scaled(n, bits).0
}

/// The number below `n` that uniform bits choose, and uniform bits that remain: fewer good ones by the logarithm of `n`.
#[inline(always)]
pub(super) const fn scaled(n: usize, bits: u64) -> (usize, u64) {
    let wide = bits as u128 * n as u128;
    ((wide >> 64) as usize, wide as u64)
}

/// Shuffles items: each order is equally likely.
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
        if k == 1 {
            return Vec::from_iter(self.pick(random, filter));
        }
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
    /// Up to `k` different nodes that pass `filter`, chosen at random without replacement: each set of `k` is equally
    /// likely, and so is each order of it. Fewer than `k` if there are no more, or if nodes come and go meanwhile. Never the
    /// local node, which is not in the table. For one node, [`pick`](Self::pick) needs no vector.
    ///
    /// `random` gives uniformly distributed bits, such as `|| rng.next_u64()`; they need not be unpredictable for gossip.
    /// `filter` is asked with the state just read, and may be asked about one node more than once.
    ///
    /// Cost: expected O(`k`) random slots where most slots up to the highest one ever used hold nodes that pass, and one
    /// vector. Where few nodes pass (fewer than about one in 16), or `k` is more than a quarter of the slots, a pass over
    /// the array of entries: about a nanosecond a slot. No locks.
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
    /// The highest slot in use when it began.
    mark: u32,
    k: usize,
    random: R,
    filter: F,
    taken: Vec<Taken<'p, K, D>>,
    /// The keys of the picked nodes, since a node may leave and come back to another slot meanwhile. Empty while they are
    /// [`FEW`].
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

    /// Whether a node with this key was picked.
    fn is_taken(&self, key: &K) -> bool {
        if self.taken.len() <= FEW {
            self.taken.iter().any(|taken| taken.node.key() == key)
        } else {
            // By reference, as they were put in: a hasher may tell a key's hash from a reference's.
            self.keys.contains(&key)
        }
    }

    fn take(&mut self, taken: Taken<'p, K, D>) {
        if self.taken.len() > FEW {
            self.keys.insert(taken.node.key());
        }
        self.taken.push(taken);
        if self.taken.len() == FEW + 1 {
            self.keys
                .extend(self.taken.iter().map(|taken| taken.node.key()));
        }
    }

    /// Tries random slots until there are `k` nodes, or too many missed.
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
            if !self.is_taken(node.key()) && (self.filter)(node.key(), state) {
                self.take(Taken { node, state });
            }
        }
    }

    /// Chooses the rest among all nodes that are not picked yet: each set of them equally likely (Vitter's algorithm R), and
    /// then shuffled.
    fn pass_over_all(&mut self) {
        let picked = self.taken.len();
        let wanted = self.k - picked;
        if wanted == 0 {
            return;
        }
        // The picked nodes, in the order in which the pass meets them.
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
        // A node that moved to another slot meanwhile was met twice.
        let mut keys: HashSet<&K, crate::RandomState> = HashSet::default();
        taken.retain(|taken| keys.insert(taken.node.key()));
    }
}
