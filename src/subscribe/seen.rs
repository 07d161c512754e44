//! A subscriber's copy of the table, and how it differs from the table by now.
//!
//! The copy is by key, since a node that leaves and comes back meanwhile gets another index in the
//! table and is still one node; and by index, since marks and comparisons are.
#![forbid(unsafe_code)]

use core::hash::Hash;
use core::mem;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::change::Change;
use crate::rule::PackedState;
use crate::table::{Node, Pinned};
use crate::time::Timestamp;
use crate::tracker::{NodeState, Slot};

/// The copy.
pub(super) struct Seen<K> {
    /// By index: the lifetime last seen there.
    indexes: Vec<Option<Record<K>>>,
    /// Lifetimes that were found to be over, until it is clear whether their nodes are gone.
    over: Vec<Option<Record<K>>>,
    /// By key: where the node's record is. Every record has its key in here. The hash is kept beside it, so that
    /// no key's code runs while the table grows or reorders itself: a panic there would lose some.
    spots: HashTable<(u64, Spot)>,
}

/// What was last seen of a node.
struct Record<K> {
    key: K,
    index: u32,
    generation: u64,
    packed: PackedState,
    last_update: Timestamp,
}

/// Where a record is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spot {
    Index(u32),
    Over(usize),
}

impl<K> Record<K> {
    fn state(&self) -> NodeState {
        NodeState::new(self.packed, self.last_update)
    }

    fn slot(&self) -> Slot {
        Slot {
            index: self.index as usize - 1,
            generation: self.generation.div_ceil(2),
        }
    }
}

impl<K> Seen<K> {
    pub(super) fn new() -> Self {
        Self {
            indexes: Vec::new(),
            over: Vec::new(),
            spots: HashTable::new(),
        }
    }

    /// How many nodes are in the copy.
    pub(super) fn len(&self) -> usize {
        self.spots.len()
    }

    /// Whether a drain that ended in a panic left something to tell.
    pub(super) fn has_untold(&self) -> bool {
        !self.over.is_empty()
    }

    /// Makes room for indexes up to the highest in use.
    pub(super) fn reserve(&mut self, mark: u32) {
        if self.indexes.len() <= mark as usize {
            self.indexes.resize_with(mark as usize + 1, || None);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, NodeState)> {
        let records = self.indexes.iter().chain(&self.over);
        records
            .flatten()
            .map(|record| (&record.key, record.state()))
    }
}

impl<K: Eq + Hash + Clone> Seen<K> {
    /// Compares an index of the table with its record, tells of a difference, and records it.
    pub(super) fn compare<D>(
        &mut self,
        index: u32,
        pinned: &Pinned<'_, K, D>,
        hash: impl Fn(&K) -> u64,
        each: &mut impl FnMut(&K, Change, Option<&D>),
    ) {
        let live = pinned.at(index);
        let record = &mut self.indexes[index as usize];
        match (record, live) {
            (None, None) => {}
            (Some(record), Some((node, packed))) if record.generation == node.generation() => {
                if record.packed != packed {
                    let previous = record.state();
                    (record.packed, record.last_update) = (packed, node.last_update());
                    let change = Change::Updated {
                        slot: record.slot(),
                        previous,
                        current: record.state(),
                    };
                    each(&record.key, change, Some(node.data()));
                }
            }
            (_, live) => {
                self.end(index, &hash);
                if let Some((node, packed)) = live {
                    self.begin(index, node, packed, hash, each);
                }
            }
        }
    }

    /// The lifetime recorded at an index, if there is one, is over.
    fn end(&mut self, index: u32, hash: impl Fn(&K) -> u64) {
        let Some(record) = &self.indexes[index as usize] else {
            return;
        };
        let (hash, over) = (hash(&record.key), Spot::Over(self.over.len()));
        if let Some((_, spot)) = self
            .spots
            .find_mut(hash, |(_, spot)| *spot == Spot::Index(index))
        {
            *spot = over;
        }
        self.over.push(self.indexes[index as usize].take());
    }

    /// A lifetime has begun at an index: of a new node, or of one known from another index.
    fn begin<D>(
        &mut self,
        index: u32,
        node: Node<'_, K, D>,
        packed: PackedState,
        hash: impl Fn(&K) -> u64,
        each: &mut impl FnMut(&K, Change, Option<&D>),
    ) {
        let record = Record {
            key: node.key().clone(),
            index,
            // After the packed state, which is live: it is this lifetime's.
            generation: node.generation(),
            packed,
            last_update: node.last_update(),
        };
        let Self {
            indexes,
            over,
            spots,
        } = self;
        let key_at = |spot: &Spot| match *spot {
            Spot::Index(index) => indexes[index as usize].as_ref(),
            Spot::Over(number) => over[number].as_ref(),
        };
        let hash = hash(&record.key);
        let known = spots.entry(
            hash,
            |(_, spot)| key_at(spot).is_some_and(|known| known.key == record.key),
            |(hash, _)| *hash,
        );
        let previous = match known {
            Entry::Vacant(spot) => {
                spot.insert((hash, Spot::Index(index)));
                None
            }
            Entry::Occupied(mut spot) => {
                match mem::replace(&mut spot.get_mut().1, Spot::Index(index)) {
                    Spot::Index(before) => indexes[before as usize].take(),
                    Spot::Over(number) => over[number].take(),
                }
            }
        };
        let record = indexes[index as usize].insert(record);
        let (slot, current) = (record.slot(), record.state());
        let change = match previous {
            None => Change::Joined { slot, current },
            Some(before) => Change::Rejoined {
                slot,
                previous_slot: before.slot(),
                previous: before.state(),
                current,
            },
        };
        each(&record.key, change, Some(node.data()));
    }

    /// Tells of the nodes whose lifetimes are over and that were not found in another one.
    pub(super) fn report_gone<D>(
        &mut self,
        hash: impl Fn(&K) -> u64,
        each: &mut impl FnMut(&K, Change, Option<&D>),
    ) {
        while let Some(last) = self.over.last() {
            // While the record is still there for the next drain, since this may panic.
            let hash = last.as_ref().map_or(0, |record| hash(&record.key));
            let Some(record) = self.over.pop().flatten() else {
                continue;
            };
            let spot = Spot::Over(self.over.len());
            let known = self.spots.find_entry(hash, |(_, known)| *known == spot);
            if let Ok(known) = known {
                known.remove();
            }
            let (slot, last) = (record.slot(), record.state());
            each(&record.key, Change::Gone { slot, last }, None);
        }
    }
}
