//! Submits a proposal about a node by its key: finds the node's entry, or links a vacant one, and has the
//! proposal [applied](super::apply) to it.
//!
//! If the entry's lifetime ends meanwhile, the search begins again. If no entry is free, the thread reclaims what it can
//! before it answers that there is no room.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use super::apply::{Attempt, Unfinished};
use super::core::Core;
use super::judging::{about_self, known};
use crate::key::ToKey;
use crate::rule::{Judgement, Proposal, Rejection, Verdict};
use crate::table::{EntryState, Link, Operation, Pinned};
use crate::time::Timestamp;

/// The verdict of a function that is not inlined. A type of its own, so that the compiler keeps it apart from the verdict
/// that a first look came to, which need not go through memory then.
struct Told(Verdict);

/// The first look of a claim at its node, which answers nearly all.
struct FirstLook<'a, K, D, S, Q: ?Sized> {
    core: &'a Core<K, D, S>,
    hash: u32,
    key: &'a Q,
    proposal: Proposal,
    now: Timestamp,
}

impl<K, D, S, Q> Operation<K, D> for FirstLook<'_, K, D, S, Q>
where
    K: Eq + Hash + Clone,
    S: BuildHasher,
    Q: ?Sized + ToKey<K>,
{
    type Answer = Attempt;

    #[inline(always)]
    fn run(self, pinned: &Pinned<'_, K, D>) -> Attempt {
        let found = pinned.find_live(self.hash, self.key);
        self.core.attempt_on(found, self.proposal, self.now)
    }
}

/// How often a claim about an unknown node that finds no free entry lets other threads run, before it is refused.
const MAX_YIELDS: usize = if cfg!(incarnation_loom) { 1 } else { 8 };

impl<K, D, S> Core<K, D, S>
where
    K: Eq + Hash + Clone,
    S: BuildHasher,
{
    /// Decides about a proposal and carries it out.
    #[inline(always)]
    pub(crate) fn submit<Q>(
        &self,
        pinned: &Pinned<'_, K, D>,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.submit_with(pinned, self.hash(key), key, proposal, now, |key| {
            self.make_data.make(key)
        })
    }

    /// The same, one of a batch, with the answer handed on. It is handed on in two places, so that the answers to most claims
    /// need not be written to memory, as those from functions of their own are.
    #[inline(always)]
    pub(crate) fn submit_hashed<Q>(
        &self,
        pinned: &Pinned<'_, K, D>,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        each: impl FnOnce(Verdict),
    ) where
        Q: ?Sized + ToKey<K>,
    {
        let data = |key: &K| self.make_data.make(key);
        let verdict = if self.is_local(hash, key) {
            about_self(proposal)
        } else if let Some((node, packed)) = pinned.find_live(hash, key) {
            if let Some(verdict) = self.apply_fast(node, packed, proposal, now) {
                return each(verdict);
            }
            self.apply_slow(hash, key, proposal, now, data).0
        } else {
            self.apply_unknown(hash, key, proposal, now, data).0
        };
        each(verdict);
    }

    /// The same with data for the node, should this call bring it into the table.
    #[inline(always)]
    pub(crate) fn submit_with<Q>(
        &self,
        pinned: &Pinned<'_, K, D>,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        data: impl FnMut(&K) -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        if self.is_local(hash, key) {
            return about_self(proposal);
        }
        match pinned.find_live(hash, key) {
            Some((node, packed)) => match self.apply_fast(node, packed, proposal, now) {
                Some(verdict) => verdict,
                None => self.apply_slow(hash, key, proposal, now, data).0,
            },
            None => self.apply_unknown(hash, key, proposal, now, data).0,
        }
    }

    /// The same with a guard of its own, which is dropped before anything that may take long.
    #[inline(always)]
    pub(crate) fn submit_once<Q>(&self, key: &Q, proposal: Proposal, now: Timestamp) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.submit_once_with(key, proposal, now, |key| self.make_data.make(key))
    }

    #[inline(always)]
    pub(crate) fn submit_once_with<Q>(
        &self,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        data: impl FnMut(&K) -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        let hash = self.hash(key);
        if self.is_local(hash, key) {
            return about_self(proposal);
        }
        let first_look = FirstLook {
            core: self,
            hash,
            key,
            proposal,
            now,
        };
        let attempt = match self.table.try_run(first_look) {
            Some(attempt) => attempt,
            None => self.first_look_rarer(hash, key, proposal, now),
        };
        match attempt.verdict() {
            Ok(verdict) => verdict,
            Err(Unfinished::Open) => self.apply_slow(hash, key, proposal, now, data).0,
            Err(Unfinished::Absent) => self.apply_unknown(hash, key, proposal, now, data).0,
        }
    }

    #[cold]
    #[inline(never)]
    fn first_look_rarer<Q>(&self, hash: u32, key: &Q, proposal: Proposal, now: Timestamp) -> Attempt
    where
        Q: ?Sized + ToKey<K>,
    {
        self.table.run(FirstLook {
            core: self,
            hash,
            key,
            proposal,
            now,
        })
    }

    /// The same for all that is not over at once: an unknown node, a lost race, a refusal.
    ///
    /// It pins for itself, so that the caller's guard need not be where a pointer can reach it.
    #[cold]
    #[inline(never)]
    fn apply_slow<Q>(
        &self,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        mut data: impl FnMut(&K) -> D,
    ) -> Told
    where
        Q: ?Sized + ToKey<K>,
    {
        match self.attempt(hash, key, proposal, now, &mut data) {
            Some(verdict) => Told(self.noted(verdict)),
            None => Told(self.apply_without_free_entry(hash, key, proposal, now, data)),
        }
    }

    /// The same for a node that was not found a moment ago: a join, as a rule.
    #[inline(never)]
    fn apply_unknown<Q>(
        &self,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        mut data: impl FnMut(&K) -> D,
    ) -> Told
    where
        Q: ?Sized + ToKey<K>,
    {
        // The head's line was only read so far, and another thread may have a copy of it.
        self.table.prefetch_head_to_write(hash);
        match self.join_at_once(hash, key, proposal, now, &mut data) {
            Some(verdict) => Told(verdict),
            None => self.apply_slow(hash, key, proposal, now, data),
        }
    }

    /// A join as nearly all are: the node is still unknown, its claim is not refused, and there is a free entry. `None` if
    /// not, and then what was done is taken back. This is straight code, as in [`apply_fast`](Self::apply_fast).
    #[inline(always)]
    fn join_at_once<Q>(
        &self,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        data: impl FnOnce(&K) -> D,
    ) -> Option<Verdict>
    where
        Q: ?Sized + ToKey<K>,
    {
        let pinned = &self.table.pin();
        let introduced = self.introduce(pinned, hash, key, proposal, now, data);
        let Ok(Link::New(vacant, mut reservation)) = introduced else {
            return None;
        };
        let Ok(Verdict::Joined) = self.join(vacant.node(), &mut reservation, proposal, now) else {
            return None;
        };
        vacant.keep();
        Some(Verdict::Joined)
    }

    /// The same after an attempt that found no free entry.
    #[cold]
    #[inline(never)]
    fn apply_without_free_entry<Q>(
        &self,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        mut data: impl FnMut(&K) -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        for step in 1..=MAX_YIELDS {
            if !self.table.wait_for_reclaim() {
                break;
            }
            if step < MAX_YIELDS
                && let Some(verdict) = self.attempt(hash, key, proposal, now, &mut data)
            {
                return self.noted(verdict);
            }
        }
        self.table.collect();
        // Before the attempt, too: if another thread recycles all that waits right behind it, nothing waits any more.
        let waited = self.table.may_wait_for_entries();
        match self.attempt(hash, key, proposal, now, &mut data) {
            Some(verdict) => self.noted(verdict),
            None if waited || self.table.may_wait_for_entries() => {
                self.noted(self.no_room(Rejection::PendingReclaim))
            }
            // The class of the key's head is full: the hasher does not spread.
            None => self.noted(self.no_room(Rejection::AtCapacity)),
        }
    }

    /// One attempt at it, with a guard of its own; `None` if the table is not full, but has no free entry.
    fn attempt<Q>(
        &self,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        mut data: impl FnMut(&K) -> D,
    ) -> Option<Verdict>
    where
        Q: ?Sized + ToKey<K>,
    {
        let pinned = &self.table.pin();
        loop {
            // The entry this call links, until it is raised; dropping it takes it back.
            let linked;
            let mut reservation = None;
            let (node, entry_state) = match pinned.find(hash, key) {
                Some(found) => found,
                None => match self.introduce(pinned, hash, key, proposal, now, &mut data) {
                    Ok(Link::Found(node, entry_state)) => (node, entry_state),
                    Ok(Link::New(vacant, reserved)) => {
                        linked = vacant;
                        reservation = reserved;
                        (linked.node(), EntryState::Vacant)
                    }
                    refused => {
                        // Joined between the look for it and the look at its tombstone: judged anew.
                        if known(pinned, hash, key).is_some() {
                            continue;
                        }
                        return match refused {
                            Err(Some(verdict)) => Some(verdict),
                            // This thread took the last entry itself, and has given it back.
                            Err(None) if !self.table.is_full() => continue,
                            Ok(_) if !self.table.is_full() => None,
                            Err(None) | Ok(_) => Some(self.no_room(Rejection::AtCapacity)),
                        };
                    }
                },
            };
            if let Some(verdict) = self.settle(node, entry_state, reservation, proposal, now) {
                return Some(verdict);
            }
            // That lifetime ended meanwhile: the proposal is made again, to a fresh entry.
        }
    }

    /// Links a vacant entry for an unknown node, unless the proposal would be refused anyway (`Err(None)`: for
    /// lack of room).
    #[inline(always)]
    fn introduce<'p, Q>(
        &self,
        pinned: &'p Pinned<'_, K, D>,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        data: impl FnOnce(&K) -> D,
    ) -> Result<Link<'p, K, D>, Option<Verdict>>
    where
        Q: ?Sized + ToKey<K>,
    {
        match self.judge_unknown(key, proposal, now) {
            Judgement::Write(..) if self.table.is_full() => Err(None),
            Judgement::Write(..) => Ok(pinned.link(hash, key, data, now)),
            Judgement::Keep(verdict) => Err(Some(verdict)),
        }
    }
}

#[cfg(all(
    test,
    target_os = "linux",
    not(incarnation_portable),
    not(incarnation_loom),
    not(miri)
))]
mod tests {
    use std::sync::mpsc::channel;

    use crate::reclaim::system_calls;
    use crate::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict};

    const NOW: Timestamp = Timestamp::ZERO;

    /// Fills the spare entries with removed nodes, then has so many more claims refused. Returns how many system calls
    /// these cost.
    fn system_calls_of_refused_claims(tracker: &IncarnationTracker<u64>, claims: u64) -> usize {
        let refused = Verdict::Rejected(Rejection::PendingReclaim);
        let first = (0..).find(|node| {
            let verdict = tracker.update(node, Claim::alive(1), NOW);
            let _ = tracker.remove(node, NOW);
            verdict == refused
        });
        let before = system_calls();
        for node in first.into_iter().flat_map(|first| first..first + claims) {
            assert_eq!(tracker.update(&node, Claim::alive(1), NOW), refused);
        }
        system_calls() - before
    }

    fn tracker() -> IncarnationTracker<u64> {
        let builder = IncarnationTracker::builder().max_nodes(500);
        builder.reclaimer(Reclaimer::private()).build().unwrap()
    }

    #[test]
    fn claims_refused_under_a_view_of_their_own_thread_pay_for_no_fence() {
        let tracker = tracker();
        let view = tracker.pin();
        let calls = system_calls_of_refused_claims(&tracker, 100_000);
        assert!(calls <= 10, "{calls} system calls");
        drop(view);
        assert_eq!(tracker.update(&0, Claim::alive(1), NOW), Verdict::Joined);
    }

    #[test]
    fn claims_refused_under_a_view_of_another_thread_pay_for_no_fence() {
        let tracker = tracker();
        let (pinned, is_pinned) = channel();
        let (over, is_over) = channel::<()>();
        std::thread::scope(|scope| {
            // Dropped when this closure ends, also by a panic: then the other thread ends too.
            let _over = over;
            let tracker = &tracker;
            scope.spawn(move || {
                let view = tracker.pin();
                let _ = pinned.send(());
                let _ = is_over.recv();
                drop(view);
            });
            is_pinned.recv().unwrap();
            // Few: each of them yields to other threads first, which takes time on a busy machine.
            let calls = system_calls_of_refused_claims(tracker, 500);
            assert!(calls <= 10, "{calls} system calls");
        });
        assert_eq!(tracker.update(&0, Claim::alive(1), NOW), Verdict::Joined);
    }

    /// Joins and removes a node so many times. Returns how many system calls that cost, and the least and the greatest
    /// number of entries that waited to be reclaimed after a removal.
    fn join_and_remove(
        tracker: &IncarnationTracker<u64>,
        node: u64,
        times: u64,
    ) -> (u64, usize, usize) {
        let before = system_calls();
        let (mut least, mut most) = (usize::MAX, 0);
        for round in 0..times {
            assert_eq!(
                tracker.update(&node, Claim::alive(round), NOW),
                Verdict::Joined
            );
            assert!(tracker.remove(&node, NOW).is_some());
            let pending = tracker.pending_reclaim();
            (least, most) = (least.min(pending), most.max(pending));
        }
        ((system_calls() - before) as u64, least, most)
    }

    #[test]
    fn joins_pay_for_a_fence_once_a_quarter_of_the_spare_entries_waits_or_1024() {
        // 256, 4,000, 5,000 and 50,000 spare entries.
        for (max_nodes, worth) in [(64, 64), (1_000, 1_000), (10_000, 1_024), (100_000, 1_024)] {
            let builder = IncarnationTracker::builder().max_nodes(max_nodes);
            let tracker = builder.reclaimer(Reclaimer::private()).build().unwrap();
            let (calls, _, most) = join_and_remove(&tracker, 1, 20 * worth);
            // A batch of 64 may lack its ticket at a fence, and waits for the next.
            let limit = worth + 64;
            assert!(
                calls <= 20 * limit / worth,
                "{max_nodes}: {calls} system calls"
            );
            assert!(most as u64 <= limit, "{max_nodes}: {most} entries waited");
        }
    }

    #[test]
    fn a_thread_that_finds_no_free_entry_reclaims_its_own_and_leaves_those_of_other_threads() {
        // 2,000 below the hard limit, and 4,000 spare ones.
        let builder = IncarnationTracker::builder().max_nodes(1_000);
        let tracker: IncarnationTracker<u64> =
            builder.reclaimer(Reclaimer::private()).build().unwrap();
        for node in 0..1_900 {
            assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
        }
        // Each of these threads keeps what it removes, and pays for no fence. They go on to live, and with them their caches.
        let turns = [999, 999, 999, 500];
        let kept: usize = turns.iter().sum();
        std::thread::scope(|scope| {
            let tracker = &tracker;
            // Dropped when this closure ends, also by a panic: then the threads end too.
            let _threads: Vec<_> = (10_000..)
                .zip(turns)
                .map(|(node, times)| {
                    let (done, is_done) = channel();
                    let (over, is_over) = channel::<()>();
                    scope.spawn(move || {
                        let _ = done.send(join_and_remove(tracker, node, times as u64).0);
                        let _ = is_over.recv();
                    });
                    assert_eq!(is_done.recv(), Ok(0), "system calls");
                    over
                })
                .collect();
            let before = tracker.pending_reclaim();
            let (calls, least, most) = join_and_remove(tracker, 20_000, 3_000);
            assert_eq!(before, kept);
            // About 600 were free, fewer than would be worth a fence while others are free.
            assert!(calls <= 3_000 / 250, "{calls} system calls");
            assert!(least >= kept, "{least} of {kept} are left");
            assert!(most <= kept + 603, "{most} of {kept}");
        });
        assert_eq!(tracker.stats().rejections.total(), 0);
    }
}
