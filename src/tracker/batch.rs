//! Many operations at once, so that their cache misses overlap.
//!
//! One lookup in a large table waits for two lines of memory, one after the other, and at most one in five for a
//! third. A batch hashes all its keys, asks for all heads, then for all first entries, then for the
//! second ones where it must, and only then works: the waits overlap.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::state::NodeState;
use super::view::View;
use crate::rule::{Claim, Proposal, Verdict};
use crate::time::Timestamp;

/// How many are on their way at once: about as many lines as a core can wait for, twice over.
const AT_ONCE: usize = 32;

impl<K, D, S> View<'_, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Puts the claims of a packet to the table, in order; `each` gets their numbers and verdicts.
    /// The same verdicts as one by one, with the cache misses overlapped.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp, Verdict};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let packet = [("a:1".to_string(), Claim::alive(1)), ("a:1".to_string(), Claim::suspect(1))];
    /// let mut verdicts = Vec::new();
    /// tracker.pin().update_batch(&packet, Timestamp::ZERO, |_, verdict| verdicts.push(verdict));
    /// assert_eq!(verdicts, [Verdict::Joined, Verdict::Applied { previous: Claim::alive(1) }]);
    /// # Ok(()) }
    /// ```
    pub fn update_batch(
        &self,
        claims: &[(K, Claim)],
        now: Timestamp,
        each: impl FnMut(usize, Verdict),
    ) {
        self.submit_batch(claims, Proposal::claim, now, each);
    }

    /// Puts what a packet says of others to the table, in order, as
    /// [`hear`](crate::IncarnationTracker::hear) one by one; `each` gets the numbers of the claims and
    /// their verdicts. The cache misses overlap.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Rejection, Timestamp, Verdict};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let gossip = [("a:1".to_string(), Claim::alive(1)), ("b:1".to_string(), Claim::dead(1))];
    /// let mut verdicts = Vec::new();
    /// tracker.pin().hear_batch(&gossip, Timestamp::ZERO, |_, verdict| verdicts.push(verdict));
    /// assert_eq!(verdicts, [Verdict::Joined, Verdict::Rejected(Rejection::UnknownNode)]);
    /// # Ok(()) }
    /// ```
    pub fn hear_batch(
        &self,
        claims: &[(K, Claim)],
        now: Timestamp,
        each: impl FnMut(usize, Verdict),
    ) {
        self.submit_batch(claims, Proposal::hear, now, each);
    }

    #[inline(always)]
    fn submit_batch(
        &self,
        claims: &[(K, Claim)],
        propose: impl Fn(Claim) -> Proposal,
        now: Timestamp,
        mut each: impl FnMut(usize, Verdict),
    ) {
        self.overlapped(
            claims,
            |(node, _)| node,
            |number, hash, (node, claim)| {
                let proposal = propose(*claim);
                self.core
                    .submit_hashed(&self.pinned, hash, node, proposal, now, |verdict| {
                        each(number, verdict);
                    });
            },
        );
    }

    /// Looks many nodes up, in order; `each` gets their numbers and states. The items are keys, or of a
    /// sized type that is equivalent to one; a tracker of `String` takes no slice of `&str`.
    ///
    /// Cost: as many lookups, of which up to 32 wait for memory at once.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// # let _ = tracker.update(&"a:1".to_string(), Claim::alive(1), Timestamp::ZERO);
    /// let mut known = 0;
    /// tracker.pin().states(&["a:1".to_string(), "b:1".to_string()], |_, state| {
    ///     known += usize::from(state.is_some());
    /// });
    /// assert_eq!(known, 1);
    /// # Ok(()) }
    /// ```
    pub fn states<Q>(&self, nodes: &[Q], mut each: impl FnMut(usize, Option<NodeState>))
    where
        Q: Hash + Equivalent<K>,
    {
        self.overlapped(
            nodes,
            |node| node,
            |number, hash, node| {
                each(number, self.core.get_hashed(&self.pinned, hash, node));
            },
        );
    }

    /// Calls `work` with each item's number and hash, the lines it will need having been asked for.
    #[inline(always)]
    fn overlapped<T, Q: Hash>(
        &self,
        items: &[T],
        key: impl Fn(&T) -> &Q,
        mut work: impl FnMut(usize, u32, &T),
    ) {
        let table = self.pinned.table();
        let mut hashes = [0; AT_ONCE];
        let mut places = [0; AT_ONCE];
        for (group, items) in items.chunks(AT_ONCE).enumerate() {
            for (hash, item) in hashes.iter_mut().zip(items) {
                *hash = self.core.hash(key(item));
                table.prefetch_head(*hash);
            }
            let hashes = &hashes[..items.len()];
            for (place, hash) in places.iter_mut().zip(hashes) {
                *place = table.prefetch_first(*hash);
            }
            for (place, hash) in places.iter().zip(hashes) {
                table.prefetch_second(*place, *hash);
            }
            for (place, (hash, item)) in hashes.iter().zip(items).enumerate() {
                work(group * AT_ONCE + place, *hash, item);
            }
        }
    }
}
