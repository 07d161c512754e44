//! How 16-bit heads name 32-bit entries: entries and heads are divided into classes.
//!
//! What a lookup in a table larger than the caches waits for is memory, and the heads are half of what it touches.
//! So a head has 16 bits, too few to name every entry. Head number h belongs to class h mod R, where R is a power
//! of two, and names only entries of its class: with the *local number* l it names the entry at index l * R + class.
//! Local number 0 names no entry, so index 0 to R - 1 are never occupied, and a zeroed head is an empty chain.
//!
//! R is the smallest power of two that leaves each class fewer than 65,535 entries. A table of fewer entries than
//! that has one class, and then a local number is an index.
#![forbid(unsafe_code)]

use super::entry::Index;

/// A class has fewer entries than this, so that 16 bits name each of them and none.
const FEWER: usize = u16::MAX as usize;

/// How many classes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Classes {
    /// Whether there is one only: said apart, since each lookup asks.
    is_one: bool,
    /// The base-two logarithm of the number of classes.
    bits: u32,
    /// The number of classes less one: what of a hash, or of the number of a head, is the class.
    mask: u32,
}

/// Tells the compiler that the way here is seldom taken.
#[cold]
pub(super) const fn rarely() {}

impl Classes {
    /// The classes of a table of so many entries; `None` if its indexes would not fit into 32 bits.
    pub(super) fn of_entries(entries: usize) -> Option<Self> {
        u32::try_from(entries).ok()?;
        let mut bits = fewest();
        while entries.div_ceil(1 << bits) >= FEWER {
            bits += 1;
        }
        let classes = Self {
            is_one: bits == 0,
            bits,
            mask: (1 << bits) - 1,
        };
        let locals = entries.div_ceil(classes.count()) + 1;
        u32::try_from(locals.checked_mul(classes.count())? - 1).ok()?;
        Some(classes)
    }

    pub(super) fn count(self) -> usize {
        1 << self.bits
    }

    /// Whether there is one class only.
    #[inline(always)]
    pub(super) fn is_one(self) -> bool {
        self.is_one
    }

    /// The class of a hash, of the number of a head, or of an index.
    #[inline(always)]
    pub(super) fn of(self, number: u32) -> u32 {
        number & self.mask
    }

    /// The place that a head of the class of `number` names: an index, or a place that is never occupied if
    /// the chain is empty.
    ///
    /// A small table is fast enough for the arithmetic to show, so it takes a branch around it that the processor
    /// always guesses right.
    #[inline(always)]
    pub(super) fn place(self, local: u16, number: u32) -> usize {
        if self.is_one() {
            usize::from(local)
        } else {
            rarely();
            usize::from(local) << self.bits | self.of(number) as usize
        }
    }

    /// The index that a head of the class of `number` names; `None` if the chain is empty.
    #[inline(always)]
    pub(super) fn index(self, local: u16, number: u32) -> Option<Index> {
        if local == 0 {
            return None;
        }
        Index::new(self.place(local, number) as u32)
    }

    /// What a head holds that names the place; 0 for the places that are never occupied.
    #[inline(always)]
    pub(super) fn local(self, place: u32) -> u16 {
        (place >> self.bits) as u16
    }
}

#[cfg(not(incarnation_loom))]
const fn fewest() -> u32 {
    0
}

#[cfg(incarnation_loom)]
pub(super) use model::fewest;

#[cfg(incarnation_loom)]
pub(crate) mod model {
    use std::cell::Cell;

    std::thread_local! {
        // A model runs all its threads as coroutines of one system thread.
        static FEWEST: Cell<u32> = const { Cell::new(0) };
    }

    /// The base-two logarithm of the least number of classes.
    pub(in crate::table) fn fewest() -> u32 {
        FEWEST.get()
    }

    /// Runs `make` with every table made inside it having two classes, however small it is.
    pub fn with_two_classes<R>(make: impl FnOnce() -> R) -> R {
        struct Reset(u32);
        impl Drop for Reset {
            fn drop(&mut self) {
                FEWEST.set(self.0);
            }
        }
        let _reset = Reset(FEWEST.replace(1));
        make()
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_as_few_classes_as_16_bits_allow() {
        for (entries, count) in [
            (0, 1),
            (1, 1),
            (12_500, 1),
            (65_534, 1),
            (65_535, 2),
            (131_068, 2),
            (131_069, 4),
            (2_500_000, 64),
        ] {
            let classes = Classes::of_entries(entries).unwrap();
            assert_eq!(classes.count(), count, "{entries} entries");
            assert_eq!(classes.is_one(), count == 1);
        }
        assert!(Classes::of_entries(u32::MAX as usize - (1 << 18)).is_some());
        assert_eq!(Classes::of_entries(u32::MAX as usize), None);
        assert_eq!(Classes::of_entries(usize::MAX), None);
    }

    #[test]
    fn a_local_number_and_a_head_name_one_place_of_the_heads_class() {
        for entries in [1, 65_534, 65_535, 2_500_000, 1 << 30] {
            let classes = Classes::of_entries(entries).unwrap();
            for local in [0, 1, 2, 255, 32_767, u16::MAX - 1] {
                for head in [0, 1, 63, 64, 12_345, u32::MAX] {
                    let place = classes.place(local, head);
                    assert_eq!(classes.local(place as u32), local);
                    assert_eq!(classes.of(place as u32), classes.of(head));
                    assert_eq!(local == 0, place < classes.count());
                    let index = classes.index(local, head).map_or(0, Index::get) as usize;
                    assert_eq!(index, if local == 0 { 0 } else { place });
                }
            }
        }
    }
}
