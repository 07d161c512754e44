//! What is remembered of the dead: the cold memory that keeps old gossip from raising them.
//!
//! When a Dead or Left entry leaves the table, its last word and the time of its death are buried
//! here *before* the eviction: there is no instant at which the node is in neither place. Only the
//! insertion of an unknown node looks, and not even that while a count says that there are none.
//! Bounded: past its limit the oldest go.
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::hash::Hash;
use core::time::Duration;

use crate::rule::Word;
use crate::sync::Map;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::thread::yield_now;
use crate::time::Timestamp;

/// What is remembered of one death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grave {
    /// The last word of the life: Dead or Left.
    pub(crate) word: Word,
    /// The stamp of that word.
    pub(crate) died: Timestamp,
}

/// A grave as it was found: who joins above it ends this one, not what others have buried since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) grave: Grave,
    /// The last burial in it; no two have the same.
    burial: u64,
    /// The low half of the number of the burial that dug it.
    dug: u32,
    /// How many burials count on it: all but those that were taken back. At its highest it stays.
    standing: u32,
}

/// What a burial changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Burial {
    /// There is a grave now, where there was none.
    New(Found),
    /// The grave that there was remembers this death now.
    Deeper(Found),
    /// This death was remembered already, or a later one is.
    Known(Found),
    /// Its time is over, or no deaths are remembered here.
    NotKept,
}

impl Burial {
    /// The grave it is in, if it is in one.
    pub(crate) fn found(self) -> Option<Found> {
        match self {
            Self::New(found) | Self::Deeper(found) | Self::Known(found) => Some(found),
            Self::NotKept => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Graves<K: Eq + Hash> {
    map: Map<K, Found>,
    /// How many graves there are or are about to be; never less than there are.
    count: AtomicU64,
    /// How many burials there were.
    burials: AtomicU64,
    max: u64,
    retention: Duration,
}

impl<K: Eq + Hash> Graves<K> {
    pub(crate) fn new(max: usize, retention: Duration) -> Self {
        Self {
            map: Map::new(max),
            count: AtomicU64::new(0),
            burials: AtomicU64::new(0),
            max: max as u64,
            retention,
        }
    }

    /// Whether any are kept at all.
    pub(crate) fn are_kept(&self) -> bool {
        self.max > 0
    }

    pub(crate) fn len(&self) -> usize {
        // Acquire: who finds a grave ended finds the life that ended it. Pinned by
        // `graves::a_judgement_while_a_join_ends_the_grave`. (Nothing is needed to find one that was
        // dug: where absence must be certain, the caller has seen the eviction that the count went
        // before.)
        self.count.load(Ordering::Acquire) as usize
    }

    fn expired(&self, grave: Grave, now: Timestamp) -> bool {
        now.since(grave.died) > self.retention
    }

    /// A node's grave, even if its time is over. Cost without graves: one load.
    #[inline]
    pub(crate) fn find(&self, key: &K) -> Option<Found> {
        if self.len() == 0 {
            return None;
        }
        self.map.get(key)
    }

    /// What counts of it by `now`.
    #[inline]
    pub(crate) fn current(&self, found: Option<Found>, now: Timestamp) -> Option<Grave> {
        let grave = found?.grave;
        (!self.expired(grave, now)).then_some(grave)
    }

    /// Remembers a death that is not over by `now`; where one is remembered already, the later word
    /// of the two.
    pub(crate) fn bury(&self, key: &K, grave: Grave, now: Timestamp) -> Burial
    where
        K: Clone,
    {
        if !self.are_kept() || self.expired(grave, now) {
            return Burial::NotKept;
        }
        // Relaxed: it only must be another one each time.
        let burial = self.burials.fetch_add(1, Ordering::Relaxed);
        let new = Found {
            grave,
            burial,
            dug: burial as u32,
            standing: 1,
        };
        let outcome = Cell::new(Burial::New(new));
        let deepen = |known: &mut Found| {
            // A grave whose time is over and that no sweep has ended yet counts for nothing.
            if grave.word > known.grave.word || self.expired(known.grave, now) {
                *known = new;
                outcome.set(Burial::Deeper(new));
            } else {
                // From now on this death counts on it, too.
                known.burial = new.burial;
                known.standing = known.standing.saturating_add(1);
                outcome.set(Burial::Known(*known));
            }
        };
        if self.map.modify(key, deepen) {
            return outcome.get();
        }
        // Before a place is counted: while this key's code runs, others may be waiting for a place, and that code may bury
        // somebody itself.
        let key = self.map.prepare(key.clone());
        // Given back unless the grave is dug, also if the key's `Hash` or `Eq` panics: a count that is
        // never so low again would have everybody make room for ever.
        let reserved = self.reserve();
        if self.map.upsert(key, new, deepen) {
            core::mem::forget(reserved);
        }
        outcome.get()
    }

    /// Takes back a burial whose eviction did not happen. The grave ends with the last of those that count on it.
    ///
    /// One that was deepened stays so, as if the node had died that moment and come back the next.
    pub(crate) fn take_back(&self, key: &K, burial: Burial) {
        let (Burial::New(found) | Burial::Known(found)) = burial else {
            return;
        };
        let is_it = |grave: &Found| grave.dug == found.dug;
        self.map.modify(key, |grave| {
            if is_it(grave) && grave.standing < u32::MAX {
                grave.standing -= 1;
            }
        });
        if self
            .map
            .remove_if(key, |grave| is_it(grave) && grave.standing == 0)
        {
            self.uncount();
        }
    }

    fn reserve(&self) -> Reserved<'_, K> {
        // Relaxed, all: who must find the count raised has seen the eviction that follows it.
        let mut count = self.count.load(Ordering::Relaxed);
        loop {
            if count >= self.max {
                if !self.trim() {
                    // Others have counted theirs and are about to dig them.
                    yield_now();
                }
                count = self.count.load(Ordering::Relaxed);
                continue;
            }
            match self.count.compare_exchange_weak(
                count,
                count + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Reserved(self),
                Err(now) => count = now,
            }
        }
    }

    fn uncount(&self) {
        // After the removal, so the count is never below the truth. Release: see `len`.
        self.count.fetch_sub(1, Ordering::Release);
    }

    /// Makes room: the oldest eighth goes (at least one), so that a flood of deaths pays for a
    /// look at all of them once in many burials. Threads at it at once share the work. False if there is nobody to go.
    fn trim(&self) -> bool {
        let goal = self.max - (self.max / 8).max(1);
        let mut deaths = Vec::with_capacity(self.len());
        self.map.for_each(|_, found| deaths.push(found.grave.died));
        let surplus = deaths.len().saturating_sub(goal as usize);
        if surplus == 0 {
            return false;
        }
        let (_, youngest_to_go, _) = deaths.select_nth_unstable(surplus - 1);
        let youngest_to_go = *youngest_to_go;
        self.map.remove_each(
            |found| found.grave.died <= youngest_to_go && self.len() as u64 > goal,
            || self.uncount(),
        );
        true
    }

    /// A node lives again at `word`: the grave that it was found to have ends, if it lies below.
    ///
    /// Whatever was buried since stays. It may be the death of a later life, if this thread was held up
    /// after it had joined.
    #[inline]
    pub(crate) fn end_below(&self, key: &K, found: Option<Found>, word: Word) {
        if let Some(found) = found
            && found.grave.word < word
        {
            self.end(key, found);
        }
    }

    /// Ends a grave, unless there were burials in it since it was found.
    fn end(&self, key: &K, found: Found) {
        let is_it = |grave: &Found| grave.burial == found.burial;
        if self.map.remove_if(key, is_it) {
            self.uncount();
        }
    }

    /// Forgets the death that was found, unless there were burials since.
    pub(crate) fn forget_found(&self, key: &K, found: Option<Found>) {
        if let Some(found) = found {
            self.end(key, found);
        }
    }

    /// Forgets a node's death altogether.
    pub(crate) fn forget(&self, key: &K) {
        if self.len() > 0 && self.map.remove_if(key, |_| true) {
            self.uncount();
        }
    }

    /// Ends the graves whose time is over, and says how many.
    pub(crate) fn purge(&self, now: Timestamp) -> usize {
        if self.len() == 0 {
            return 0;
        }
        let mut ended = 0;
        self.map.remove_each(
            |found| self.expired(found.grave, now),
            || {
                self.uncount();
                ended += 1;
            },
        );
        ended
    }

    /// Calls `each` for every grave that is not over by `now`, in no particular order. A grave that
    /// ends or is dug meanwhile is met or not.
    pub(crate) fn for_each(&self, now: Timestamp, mut each: impl FnMut(&K, Grave)) {
        self.map.for_each(|key, Found { grave, .. }| {
            if !self.expired(grave, now) {
                each(key, grave);
            }
        });
    }
}

/// A place counted for a grave that is not dug yet.
struct Reserved<'a, K: Eq + Hash>(&'a Graves<K>);

impl<K: Eq + Hash> Drop for Reserved<'_, K> {
    fn drop(&mut self) {
        self.0.uncount();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::rule::Claim;

    impl<K: Eq + Hash> Graves<K> {
        fn look(&self, key: &K, now: Timestamp) -> Option<Grave> {
            self.current(self.find(key), now)
        }
    }

    fn grave(incarnation: u64, died: u64) -> Grave {
        Grave {
            word: Word::of(Claim::dead(incarnation)).unwrap(),
            died: Timestamp::from_nanos(died),
        }
    }

    const NOW: Timestamp = Timestamp::ZERO;
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn burying_takes_the_maximum() {
        let graves = Graves::new(4, LONG);
        graves.bury(&"a", grave(7, 70), NOW);
        graves.bury(&"a", grave(5, 90), NOW);
        assert_eq!(graves.look(&"a", NOW), Some(grave(7, 70)));
        graves.bury(&"a", grave(8, 80), NOW);
        assert_eq!(graves.look(&"a", NOW), Some(grave(8, 80)));
        assert_eq!(graves.len(), 1);
    }

    #[test]
    fn the_oldest_go_first_and_never_more_than_the_limit_stay() {
        let graves = Graves::new(16, LONG);
        for death in 0..1000_u64 {
            graves.bury(&death, grave(1, death), NOW);
            assert!(graves.len() <= 16);
            let mut kept = Vec::new();
            graves.for_each(NOW, |key, _| kept.push(*key));
            assert_eq!(kept.len(), graves.len());
            kept.sort_unstable();
            let oldest = death + 1 - kept.len() as u64;
            assert_eq!(kept, (oldest..=death).collect::<Vec<_>>());
        }
    }

    #[test]
    fn of_deaths_at_one_time_no_more_go_than_must() {
        let graves = Graves::new(16, LONG);
        for key in 0..16_u64 {
            graves.bury(&key, grave(1, 70), NOW);
        }
        assert_eq!(graves.len(), 16);
        graves.bury(&16, grave(1, 70), NOW);
        assert_eq!(graves.len(), 16 - 2 + 1, "an eighth made room for one");
    }

    #[test]
    fn a_join_ends_only_a_grave_below_its_word() {
        let graves = Graves::new(4, LONG);
        graves.bury(&"a", grave(7, 0), NOW);
        let end_below = |found, alive: u64| {
            graves.end_below(&"a", found, Word::of(Claim::alive(alive)).unwrap());
        };
        let found = graves.find(&"a");
        end_below(found, 7);
        assert_eq!(graves.len(), 1);
        graves.end_below(&"a", found, grave(7, 0).word);
        assert_eq!(graves.len(), 1);
        end_below(None, 8);
        assert_eq!(graves.len(), 1);
        end_below(found, 8);
        assert_eq!(graves.len(), 0);
    }

    #[test]
    fn a_join_ends_only_the_burial_that_it_found() {
        let graves = Graves::new(4, LONG);
        graves.bury(&"a", grave(7, 0), NOW);
        for word in [7, 6] {
            let found = graves.find(&"a");
            if word == 6 {
                graves.forget(&"a");
            }
            graves.bury(&"a", grave(word, 0), NOW);
            graves.end_below(&"a", found, Word::of(Claim::alive(9)).unwrap());
            assert_eq!(graves.look(&"a", NOW), Some(grave(word, 0)));
        }
        assert_eq!(graves.len(), 1);
    }

    #[test]
    fn burials_say_what_they_did() {
        let graves = Graves::new(4, LONG);
        let first = graves.bury(&"a", grave(7, 70), NOW);
        assert!(matches!(first, Burial::New(_)));
        for lower_or_same in [grave(7, 80), grave(6, 90)] {
            let again = graves.bury(&"a", lower_or_same, NOW);
            assert!(matches!(again, Burial::Known(found) if found.grave == grave(7, 70)));
            assert_eq!(again.found(), graves.find(&"a"), "what is there now");
        }
        let deeper = graves.bury(&"a", grave(8, 90), NOW);
        assert!(matches!(deeper, Burial::Deeper(found) if found.grave == grave(8, 90)));
        let late = NOW + LONG * 2;
        assert_eq!(graves.bury(&"a", grave(9, 0), late), Burial::NotKept);
    }

    #[test]
    fn a_burial_is_taken_back_unless_others_count_on_it() {
        let graves = Graves::new(4, LONG);
        let mine = graves.bury(&"a", grave(7, 0), NOW);
        graves.take_back(&"a", mine);
        assert_eq!(graves.len(), 0);
        for other in [6, 7, 8] {
            let mine = graves.bury(&"a", grave(7, 0), NOW);
            let _ = graves.bury(&"a", grave(other, 0), NOW);
            graves.take_back(&"a", mine);
            assert_eq!(graves.len(), 1, "{other}");
            // Nor is one taken back that was there before.
            let known = graves.bury(&"a", grave(7, 0), NOW);
            graves.take_back(&"a", known);
            let deeper = graves.bury(&"a", grave(9, 0), NOW);
            graves.take_back(&"a", deeper);
            assert_eq!(graves.look(&"a", NOW), Some(grave(9, 0)));
            graves.forget(&"a");
        }
    }

    #[test]
    fn the_last_of_those_that_count_on_a_grave_takes_it_back() {
        let graves = Graves::new(4, LONG);
        for is_real in [false, true] {
            if is_real {
                let _ = graves.bury(&"a", grave(7, 0), NOW);
            }
            let burials = [7, 6, 7].map(|word| graves.bury(&"a", grave(word, 0), NOW));
            for burial in burials {
                assert_eq!(graves.len(), 1);
                graves.take_back(&"a", burial);
            }
            assert_eq!(graves.len(), usize::from(is_real));
        }
        // Not one that was dug since.
        let late = graves.bury(&"a", grave(7, 0), NOW);
        graves.forget(&"a");
        let _ = graves.bury(&"a", grave(7, 0), NOW);
        graves.take_back(&"a", late);
        assert_eq!(graves.len(), 1);
    }

    #[test]
    fn graves_end_strictly_after_their_retention() {
        let graves = Graves::new(4, Duration::from_nanos(10));
        graves.bury(&"a", grave(7, 100), NOW);
        let (last, over) = (Timestamp::from_nanos(110), Timestamp::from_nanos(111));
        assert!(graves.look(&"a", last).is_some());
        assert_eq!(graves.look(&"a", over), None);
        assert_eq!(graves.purge(last), 0);
        assert_eq!(graves.purge(over), 1);
        assert_eq!(graves.len(), 0);
    }

    #[test]
    fn without_a_limit_above_zero_none_are_kept() {
        let graves = Graves::new(0, LONG);
        graves.bury(&"a", grave(7, 0), NOW);
        assert_eq!(graves.look(&"a", NOW), None);
    }
}
