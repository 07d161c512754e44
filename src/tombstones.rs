//! What is remembered of the dead: the cold memory that keeps old gossip from raising them.
//!
//! When a Dead or Left entry leaves the table, its last packed state and the time of its death are written
//! here *before* the eviction: at every instant the node is in the table or has a tombstone. Two operations look: the
//! insertion of an unknown node, and an `update` or `rejoin` that would change an Unconfirmed one. Not even they do while a
//! count says that there are none.
//! Bounded: past the limit the oldest go. While threads write at once, each may exceed it by one.
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::hash::Hash;
use core::time::Duration;

use equivalent::Equivalent;

use crate::rule::PackedState;
use crate::sync::Map;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::time::Timestamp;

/// What is remembered of one death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// The last packed state of the lifetime: Dead or Left.
    pub(crate) packed: PackedState,
    /// The last update of that packed state.
    pub(crate) died: Timestamp,
}

/// A tombstone as it was found: a join above it ends this one, not one that others have written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) tombstone: Tombstone,
    /// The number of the last write of it; no two writes have the same.
    written: u64,
    /// The low half of the number of the write that created it.
    created: u32,
    /// How many writes count on it: all but those that were taken back. At its highest it stays.
    standing: u32,
}

/// What a write changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    /// There is a tombstone now, where there was none.
    New(Found),
    /// The tombstone that there was remembers this death now.
    Raised(Found),
    /// This death was remembered already, or a later one is.
    Known(Found),
    /// Its time is over, or no deaths are remembered here.
    NotStored,
}

impl WriteOutcome {
    /// The tombstone it is in, if it is in one.
    pub(crate) fn found(self) -> Option<Found> {
        match self {
            Self::New(found) | Self::Raised(found) | Self::Known(found) => Some(found),
            Self::NotStored => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Tombstones<K> {
    map: Map<K, Found>,
    /// How many tombstones there are or are about to be; never less than there are.
    count: AtomicU64,
    /// How many writes there were.
    writes: AtomicU64,
    max: u64,
    retention: Duration,
}

impl<K: Eq + Hash> Tombstones<K> {
    pub(crate) fn new(max: usize, retention: Duration) -> Self {
        Self {
            map: Map::new(max),
            count: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            max: max as u64,
            retention,
        }
    }

    /// Whether any are kept at all.
    pub(crate) fn are_kept(&self) -> bool {
        self.max > 0
    }

    pub(crate) fn len(&self) -> usize {
        // Acquire: a thread that finds a tombstone ended finds the lifetime that ended it. Pinned by
        // `tombstones::a_judgement_while_a_join_ends_the_tombstone`. (Nothing is needed to find one that was
        // created: where absence must be certain, the caller has seen the eviction that the count went
        // before.)
        self.count.load(Ordering::Acquire) as usize
    }

    fn expired(&self, tombstone: Tombstone, now: Timestamp) -> bool {
        now.since(tombstone.died) > self.retention
    }

    /// A node's tombstone, even if its time is over. Cost without tombstones: one load.
    #[inline]
    pub(crate) fn find<Q>(&self, key: &Q) -> Option<Found>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        if self.len() == 0 {
            return None;
        }
        self.map.get(key)
    }

    /// A node's tombstone, and what `look` sees while that can't change: it is neither written nor cleared
    /// nor expired meanwhile. Takes a lock even if there are no tombstones, unless none are kept.
    pub(crate) fn find_locked<Q, R>(&self, key: &Q, look: impl FnOnce() -> R) -> (Option<Found>, R)
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        if !self.are_kept() {
            return (None, look());
        }
        self.map.look(key, |found| (found.copied(), look()))
    }

    /// What counts of it by `now`.
    #[inline]
    pub(crate) fn current(&self, found: Option<Found>, now: Timestamp) -> Option<Tombstone> {
        let tombstone = found?.tombstone;
        (!self.expired(tombstone, now)).then_some(tombstone)
    }

    /// Remembers a death that is not over by `now`; where one is remembered already, the later packed state
    /// of the two.
    pub(crate) fn write(&self, key: &K, tombstone: Tombstone, now: Timestamp) -> WriteOutcome
    where
        K: Clone,
    {
        if !self.are_kept() || self.expired(tombstone, now) {
            return WriteOutcome::NotStored;
        }
        // Relaxed: it only must be another one each time.
        let written = self.writes.fetch_add(1, Ordering::Relaxed);
        let new = Found {
            tombstone,
            written,
            created: written as u32,
            standing: 1,
        };
        let outcome = Cell::new(WriteOutcome::New(new));
        let deepen = |known: &mut Found| {
            // A tombstone whose time is over and that no sweep has ended yet counts for nothing.
            if tombstone.packed > known.tombstone.packed || self.expired(known.tombstone, now) {
                *known = new;
                outcome.set(WriteOutcome::Raised(new));
            } else {
                // From now on this death counts on it, too.
                known.written = new.written;
                known.standing = known.standing.saturating_add(1);
                outcome.set(WriteOutcome::Known(*known));
            }
        };
        if self.map.modify(key, deepen) {
            return outcome.get();
        }
        let key = self.map.prepare(key.clone());
        // Given back unless the tombstone is created, also if the key's `Eq` panics.
        let counted = self.count_one();
        if self.map.upsert(key, new, deepen) {
            core::mem::forget(counted);
            // Threads that counted at once had nothing to remove yet.
            if self.len() as u64 > self.max {
                self.trim(self.max);
            }
        }
        outcome.get()
    }

    /// Takes back a written whose eviction did not happen. The tombstone ends with the last of those that count on it.
    ///
    /// One that was deepened stays so, as if the node had died that moment and come back the next.
    pub(crate) fn take_back(&self, key: &K, written: WriteOutcome) {
        let (WriteOutcome::New(found) | WriteOutcome::Known(found)) = written else {
            return;
        };
        let is_it = |tombstone: &Found| tombstone.created == found.created;
        self.map.modify(key, |tombstone| {
            if is_it(tombstone) && tombstone.standing < u32::MAX {
                tombstone.standing -= 1;
            }
        });
        if self
            .map
            .remove_if(key, |tombstone| is_it(tombstone) && tombstone.standing == 0)
        {
            self.uncount();
        }
    }

    /// Counts a tombstone that is about to be created; at the limit the oldest eighth makes room (at least
    /// one), so that a flood of deaths pays for a look at all of them once in many writes.
    ///
    /// Waits for no thread: one that has counted and is stopped takes up room, and no more.
    fn count_one(&self) -> Counted<'_, K> {
        // Relaxed: a thread that must find the count raised has seen the eviction that follows it.
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(self);
        if before >= self.max {
            self.trim(self.max + 1 - (self.max / 8).max(1));
        }
        counted
    }

    /// Removes the oldest until no more than `goal` are counted. Tombstones that are counted and not yet
    /// written count, but can't be removed. Threads that do this at once share the work.
    fn trim(&self, goal: u64) {
        let mut deaths = Vec::with_capacity(self.len());
        self.map
            .for_each(|_, found| deaths.push(found.tombstone.died));
        let surplus = self.len().saturating_sub(goal as usize).min(deaths.len());
        if surplus == 0 {
            return;
        }
        let (_, youngest_to_go, _) = deaths.select_nth_unstable(surplus - 1);
        let youngest_to_go = *youngest_to_go;
        self.map.remove_each(
            |found| found.tombstone.died <= youngest_to_go && self.len() as u64 > goal,
            || self.uncount(),
        );
    }

    /// A node is in the table again at `packed`: the tombstone that it was found to have ends, if it lies below.
    ///
    /// A tombstone written since stays. It may be of a later lifetime, if this thread was held up
    /// after it had joined.
    #[inline]
    pub(crate) fn end_below(&self, key: &K, found: Option<Found>, packed: PackedState) {
        if let Some(found) = found
            && found.tombstone.packed < packed
        {
            self.end(key, found);
        }
    }

    /// Ends a tombstone, unless there were writes in it since it was found.
    fn end(&self, key: &K, found: Found) {
        let is_it = |tombstone: &Found| tombstone.written == found.written;
        if self.map.remove_if(key, is_it) {
            self.uncount();
        }
    }

    /// Forgets the death that was found, unless there were writes since.
    pub(crate) fn forget_found(&self, key: &K, found: Option<Found>) {
        if let Some(found) = found {
            self.end(key, found);
        }
    }

    /// Forgets a node's death altogether.
    pub(crate) fn forget<Q>(&self, key: &Q)
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        if self.len() > 0 && self.map.remove_if(key, |_| true) {
            self.uncount();
        }
    }

    /// Brings back the times of deaths that are later than `latest`, and says how many.
    pub(crate) fn bring_back(&self, latest: Timestamp) -> usize {
        if self.len() == 0 {
            return 0;
        }
        self.map.change_each(|found| {
            let is_ahead = found.tombstone.died > latest;
            if is_ahead {
                found.tombstone.died = latest;
            }
            is_ahead
        })
    }

    /// Ends the tombstones whose time is over, and says how many.
    pub(crate) fn purge(&self, now: Timestamp) -> usize {
        if self.len() == 0 {
            return 0;
        }
        let mut ended = 0;
        self.map.remove_each(
            |found| self.expired(found.tombstone, now),
            || {
                self.uncount();
                ended += 1;
            },
        );
        ended
    }

    /// Calls `each` for every tombstone that is not over by `now`, in no particular order. A tombstone that
    /// ends or is created meanwhile is met or not.
    pub(crate) fn for_each(&self, now: Timestamp, mut each: impl FnMut(&K, Tombstone)) {
        self.map.for_each(|key, Found { tombstone, .. }| {
            if !self.expired(tombstone, now) {
                each(key, tombstone);
            }
        });
    }
}

impl<K> Tombstones<K> {
    fn uncount(&self) {
        // After the removal, so the count is never below the truth. Release: see `len`.
        self.count.fetch_sub(1, Ordering::Release);
    }
}

/// A tombstone that is counted and not created yet.
struct Counted<'a, K>(&'a Tombstones<K>);

impl<K> Drop for Counted<'_, K> {
    fn drop(&mut self) {
        self.0.uncount();
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::*;
    use crate::rule::Claim;

    impl<K: Eq + Hash> Tombstones<K> {
        fn look(&self, key: &K, now: Timestamp) -> Option<Tombstone> {
            self.current(self.find(key), now)
        }
    }

    fn tombstone(incarnation: u64, died: u64) -> Tombstone {
        Tombstone {
            packed: PackedState::of(Claim::dead(incarnation)).unwrap(),
            died: Timestamp::from_nanos(died),
        }
    }

    const NOW: Timestamp = Timestamp::ZERO;
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn writing_a_tombstone_keeps_the_higher_incarnation() {
        let tombstones = Tombstones::new(4, LONG);
        tombstones.write(&"a", tombstone(7, 70), NOW);
        tombstones.write(&"a", tombstone(5, 90), NOW);
        assert_eq!(tombstones.look(&"a", NOW), Some(tombstone(7, 70)));
        tombstones.write(&"a", tombstone(8, 80), NOW);
        assert_eq!(tombstones.look(&"a", NOW), Some(tombstone(8, 80)));
        assert_eq!(tombstones.len(), 1);
    }

    #[test]
    fn at_the_limit_the_oldest_tombstones_go_first() {
        // Miri takes long for each.
        const DEATHS: u64 = if cfg!(miri) { 100 } else { 1000 };
        let tombstones = Tombstones::new(16, LONG);
        for death in 0..DEATHS {
            tombstones.write(&death, tombstone(1, death), NOW);
            assert!(tombstones.len() <= 16);
            let mut kept = Vec::new();
            tombstones.for_each(NOW, |key, _| kept.push(*key));
            assert_eq!(kept.len(), tombstones.len());
            kept.sort_unstable();
            let oldest = death + 1 - kept.len() as u64;
            assert_eq!(kept, (oldest..=death).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_paused_write_holds_up_no_other() {
        // More than any of the limits. Miri takes long for each.
        const WRITES: u64 = if cfg!(miri) { 25 } else { 100 };
        for max in [1, 2, 15, 16] {
            let tombstones = std::sync::Arc::new(Tombstones::new(max, LONG));
            let others = tombstones.clone();
            let (done, back) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                // A thread that has counted its tombstone, and does not get on.
                let stands_still = others.count_one();
                for key in 0..WRITES {
                    others.write(&key, tombstone(1, key), NOW);
                }
                drop(stands_still);
                let _ = done.send(());
            });
            // It takes no time; no machine is so busy that it takes this long.
            let patience = Duration::from_secs(600);
            assert_eq!(back.recv_timeout(patience), Ok(()), "{max}");
            assert!(tombstones.len() <= max);
        }
    }

    #[test]
    fn of_tombstones_of_one_time_only_as_many_go_as_must() {
        let tombstones = Tombstones::new(16, LONG);
        for key in 0..16_u64 {
            tombstones.write(&key, tombstone(1, 70), NOW);
        }
        assert_eq!(tombstones.len(), 16);
        tombstones.write(&16, tombstone(1, 70), NOW);
        assert_eq!(tombstones.len(), 16 - 2 + 1, "an eighth made room for one");
    }

    #[test]
    fn a_join_clears_only_a_tombstone_below_its_packed_state() {
        let tombstones = Tombstones::new(4, LONG);
        tombstones.write(&"a", tombstone(7, 0), NOW);
        let end_below = |found, alive: u64| {
            tombstones.end_below(&"a", found, PackedState::of(Claim::alive(alive)).unwrap());
        };
        let found = tombstones.find(&"a");
        end_below(found, 7);
        assert_eq!(tombstones.len(), 1);
        tombstones.end_below(&"a", found, tombstone(7, 0).packed);
        assert_eq!(tombstones.len(), 1);
        end_below(None, 8);
        assert_eq!(tombstones.len(), 1);
        end_below(found, 8);
        assert_eq!(tombstones.len(), 0);
    }

    #[test]
    fn a_join_clears_only_the_tombstone_that_it_found() {
        let tombstones = Tombstones::new(4, LONG);
        tombstones.write(&"a", tombstone(7, 0), NOW);
        for packed in [7, 6] {
            let found = tombstones.find(&"a");
            if packed == 6 {
                tombstones.forget(&"a");
            }
            tombstones.write(&"a", tombstone(packed, 0), NOW);
            tombstones.end_below(&"a", found, PackedState::of(Claim::alive(9)).unwrap());
            assert_eq!(tombstones.look(&"a", NOW), Some(tombstone(packed, 0)));
        }
        assert_eq!(tombstones.len(), 1);
    }

    #[test]
    fn writes_report_their_outcome() {
        let tombstones = Tombstones::new(4, LONG);
        let first = tombstones.write(&"a", tombstone(7, 70), NOW);
        assert!(matches!(first, WriteOutcome::New(_)));
        for lower_or_same in [tombstone(7, 80), tombstone(6, 90)] {
            let again = tombstones.write(&"a", lower_or_same, NOW);
            assert!(
                matches!(again, WriteOutcome::Known(found) if found.tombstone == tombstone(7, 70))
            );
            assert_eq!(again.found(), tombstones.find(&"a"), "what is there now");
        }
        let deeper = tombstones.write(&"a", tombstone(8, 90), NOW);
        assert!(
            matches!(deeper, WriteOutcome::Raised(found) if found.tombstone == tombstone(8, 90))
        );
        let late = NOW + LONG * 2;
        assert_eq!(
            tombstones.write(&"a", tombstone(9, 0), late),
            WriteOutcome::NotStored
        );
    }

    #[test]
    fn a_written_tombstone_is_taken_back_unless_others_count_on_it() {
        let tombstones = Tombstones::new(4, LONG);
        let mine = tombstones.write(&"a", tombstone(7, 0), NOW);
        tombstones.take_back(&"a", mine);
        assert_eq!(tombstones.len(), 0);
        for other in [6, 7, 8] {
            let mine = tombstones.write(&"a", tombstone(7, 0), NOW);
            let _ = tombstones.write(&"a", tombstone(other, 0), NOW);
            tombstones.take_back(&"a", mine);
            assert_eq!(tombstones.len(), 1, "{other}");
            // Nor is one taken back that was there before.
            let known = tombstones.write(&"a", tombstone(7, 0), NOW);
            tombstones.take_back(&"a", known);
            let deeper = tombstones.write(&"a", tombstone(9, 0), NOW);
            tombstones.take_back(&"a", deeper);
            assert_eq!(tombstones.look(&"a", NOW), Some(tombstone(9, 0)));
            tombstones.forget(&"a");
        }
    }

    #[test]
    fn the_last_of_those_that_count_on_a_tombstone_takes_it_back() {
        let tombstones = Tombstones::new(4, LONG);
        for is_real in [false, true] {
            if is_real {
                let _ = tombstones.write(&"a", tombstone(7, 0), NOW);
            }
            let writes = [7, 6, 7].map(|packed| tombstones.write(&"a", tombstone(packed, 0), NOW));
            for written in writes {
                assert_eq!(tombstones.len(), 1);
                tombstones.take_back(&"a", written);
            }
            assert_eq!(tombstones.len(), usize::from(is_real));
        }
        // Not one that was created since.
        let late = tombstones.write(&"a", tombstone(7, 0), NOW);
        tombstones.forget(&"a");
        let _ = tombstones.write(&"a", tombstone(7, 0), NOW);
        tombstones.take_back(&"a", late);
        assert_eq!(tombstones.len(), 1);
    }

    #[test]
    fn tombstones_expire_strictly_after_their_retention() {
        let tombstones = Tombstones::new(4, Duration::from_nanos(10));
        tombstones.write(&"a", tombstone(7, 100), NOW);
        let (last, over) = (Timestamp::from_nanos(110), Timestamp::from_nanos(111));
        assert!(tombstones.look(&"a", last).is_some());
        assert_eq!(tombstones.look(&"a", over), None);
        assert_eq!(tombstones.purge(last), 0);
        assert_eq!(tombstones.purge(over), 1);
        assert_eq!(tombstones.len(), 0);
    }

    #[test]
    fn without_a_limit_above_zero_none_are_kept() {
        let tombstones = Tombstones::new(0, LONG);
        tombstones.write(&"a", tombstone(7, 0), NOW);
        assert_eq!(tombstones.look(&"a", NOW), None);
    }
}
