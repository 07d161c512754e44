//! One node's entry: a cache line for keys up to 32 bytes.
//!
//! The states of an entry, with its packed state in each:
//!
//! ```text
//! free --alloc--> vacant (0, key written) --link--> linked, still vacant --raise from 0--> live
//! live --evict exactly the judged packed state--> evicted --unlink--> retired --grace period--> free
//! ```
//!
//! The packed state only rises: 0 while vacant, then the packed states of the claims. The bits of an evicted entry come last, for
//! ever. Vacant and evicted entries are told from live ones by their rank, which is 0.

use core::mem::MaybeUninit;
use core::num::NonZeroU32;
use core::ptr;

use super::zeroed::Zeroable;
use crate::rule::PackedState;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, plain};
use crate::sync::catch_panic;
use crate::sync::cell::UnsafeCell;
use crate::time::Timestamp;

/// The bits of an entry that was linked and that no claim has raised yet.
const VACANT: u64 = 0;
/// The bits of an entry whose lifetime is over.
const EVICTED: u64 = PackedState::EVICTED;

/// The index of an entry in the array; 0 is no entry's, so that a zeroed head is an empty chain.
pub(crate) type Index = NonZeroU32;

/// What an entry's packed state says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryState {
    Vacant,
    Live(PackedState),
    Evicted,
}

impl EntryState {
    #[inline(always)]
    fn of(bits: u64) -> Self {
        // SAFETY: the bits of an entry.
        match unsafe { PackedState::of_entry(bits) } {
            Some(packed) => Self::Live(packed),
            None if bits == VACANT => Self::Vacant,
            None => Self::Evicted,
        }
    }
}

#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Entry<K, D> {
    packed: AtomicU64,
    last_update: AtomicU64,
    /// The rest of the chain; while free, the rest of the free list.
    pub(super) next: AtomicU32,
    hash: UnsafeCell<u32>,
    /// Odd while the entry holds a key; one more at each end of that.
    generation: plain::AtomicU64,
    key: UnsafeCell<MaybeUninit<K>>,
    /// What the program keeps of the node; there as long as the key is.
    data: UnsafeCell<MaybeUninit<D>>,
}

impl<K, D> Default for Entry<K, D> {
    fn default() -> Self {
        Self {
            packed: AtomicU64::default(),
            last_update: AtomicU64::default(),
            next: AtomicU32::default(),
            hash: UnsafeCell::default(),
            generation: plain::AtomicU64::default(),
            key: UnsafeCell::new(MaybeUninit::uninit()),
            data: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

// SAFETY: atomics and integers of zeroes are valid, and so is any `MaybeUninit`. None needs a drop.
unsafe impl<K, D> Zeroable for Entry<K, D> {}

// SAFETY: `hash` and `key` are written only by the thread that allocated the entry, before it is linked, and by the
// thread that recycles it, after a grace period; in between they are only read.
unsafe impl<K: Send + Sync, D: Send + Sync> Sync for Entry<K, D> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<K: Send, D: Send> Send for Entry<K, D> {}

impl<K, D> Entry<K, D> {
    /// Begins a lifetime: the entry becomes vacant and holds what `key` is. Given as a reference, the key is copied once
    /// on its way here, and not twice.
    ///
    /// # Safety
    ///
    /// The entry must be free, and the caller's alone. The caller must forget the key that it gives.
    #[inline(always)]
    pub(super) unsafe fn occupy(&self, hash: u32, key: &K, data: D, now: Timestamp) {
        // SAFETY: no thread reads a free entry's hash.
        self.hash.with_mut(|place| unsafe { *place = hash });
        self.key.with_mut(|place| {
            // SAFETY: nor its key, and it holds none to be dropped. Of the two copies the caller forgets its own.
            unsafe { (*place).write(ptr::read(key)) };
        });
        self.data.with_mut(|place| {
            // SAFETY: as for the key.
            unsafe { (*place).write(data) };
        });
        // Relaxed, the generation and the packed state: the caller's alone until the Release of the link publishes them.
        let generation = self.generation.load(Ordering::Relaxed);
        self.generation.store(generation + 1, Ordering::Relaxed);
        // Release: a glance that reads this last update, or one of those exchanged for it, reads this lifetime's generation.
        // Pinned by `handles::a_read_never_shows_another_lifetime`.
        self.last_update.store(now.as_nanos(), Ordering::Release);
        self.packed.store(VACANT, Ordering::Relaxed);
    }

    /// Drops the key and the data of an ended lifetime. A panic in their `Drop` ends here: no caller chose the moment, so
    /// none should get the panic.
    ///
    /// # Safety
    ///
    /// The entry must hold a key, and be the caller's alone: never linked, or unlinked and past its
    /// grace period.
    pub(super) unsafe fn vacate(&self) {
        // Relaxed: the caller's alone; the Release of the free list publishes it.
        let generation = self.generation.load(Ordering::Relaxed);
        self.generation.store(generation + 1, Ordering::Relaxed);
        // Relaxed: so that a handle of the ended lifetime, or a scan, finds a free entry not live.
        self.packed.store(EVICTED, Ordering::Relaxed);
        self.key.with_mut(|place| {
            // SAFETY: it holds a key, as the caller vouches, and no thread reads it any more.
            catch_panic(|| unsafe { (*place).assume_init_drop() });
        });
        self.data.with_mut(|place| {
            // SAFETY: as for the key: written with it, and dropped with it.
            catch_panic(|| unsafe { (*place).assume_init_drop() });
        });
    }

    /// Whether the entry holds a key. For callers that have the whole table to themselves, or that are pinned and came to
    /// the entry through its head.
    pub(super) fn is_occupied(&self) -> bool {
        // Relaxed: the caller is alone, or the Acquire of the head ordered it.
        self.generation.load(Ordering::Relaxed) % 2 == 1
    }

    /// What the packed state says.
    #[inline(always)]
    pub(crate) fn entry_state(&self) -> EntryState {
        EntryState::of(self.bits())
    }

    /// The packed state of a live entry; to a lookup, vacant and evicted entries are unknown nodes.
    #[inline(always)]
    pub(crate) fn packed(&self) -> Option<PackedState> {
        // SAFETY: an entry holds nothing else.
        unsafe { PackedState::of_entry(self.bits()) }
    }

    #[inline(always)]
    fn bits(&self) -> u64 {
        // Acquire: with the Release in `raise`, the last update read next is at least as late as this
        // packed state's own, and key, hash and generation are those of its lifetime (a scan comes here without
        // a head). Pinned by `claims::last_update_before_publish` and `scans::scanner_and_insert`.
        self.packed.load(Ordering::Acquire)
    }

    /// The last update of the packed state read before it, or a later one.
    #[inline(always)]
    pub(crate) fn last_update(&self) -> Timestamp {
        // Relaxed: ordered by the Acquire of the packed state before it.
        Timestamp::from_nanos(self.last_update.load(Ordering::Relaxed))
    }

    /// The packed state and the last update of the live entry, if it is still in use for the time of this generation, which
    /// the caller saw before. For a caller that is not pinned: the entry may be used again at any time.
    ///
    /// The order matters, the generation comes last. What was read of a later lifetime shows its generation; so with the
    /// earlier generation all that was read before it is of its lifetime.
    #[inline(always)]
    pub(super) fn glance(&self, generation: u64) -> Option<(PackedState, Timestamp)> {
        let packed = self.packed()?;
        // Acquire: see `occupy`. Pinned by `handles::a_read_never_shows_another_lifetime`.
        let last_update = self.last_update.load(Ordering::Acquire);
        (self.generation() == generation).then_some((packed, Timestamp::from_nanos(last_update)))
    }

    /// Brings the last update back from `seen` to `to`, if it is still `seen`; whether it did.
    pub(crate) fn bring_back(&self, seen: Timestamp, to: Timestamp) -> bool {
        // Relaxed, both: a claim that found `seen` high enough for itself is dated `to` or earlier, or
        // so far ahead that nothing is promised about it. No ordering is weaker; the model of this race is
        // `claims::a_claim_against_a_last_update_brought_back`.
        self.last_update
            .compare_exchange(
                seen.as_nanos(),
                to.as_nanos(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Replaces exactly the packed state that was judged (`None`: vacant), or returns the present state.
    ///
    /// The last update goes first, so that a reader of the packed state never reads an older one. A claim that
    /// loses the race may leave its last update behind: a last update is an upper bound, never too early.
    #[inline(always)]
    pub(crate) fn raise(
        &self,
        from: Option<PackedState>,
        to: PackedState,
        now: Timestamp,
    ) -> Result<(), EntryState> {
        // Relaxed, both: published by the exchange below; a thread that sees it reads no older last update than was
        // read here. Pinned by `claims::last_update_before_publish`. The claims of one packet share their
        // time, so most find the last update raised.
        if self.last_update.load(Ordering::Relaxed) < now.as_nanos() {
            self.last_update
                .fetch_max(now.as_nanos(), Ordering::Relaxed);
        }
        self.packed
            .compare_exchange(
                from.map_or(VACANT, PackedState::bits),
                to.bits(),
                // Release: publishes the last update. The caller acquired the judged packed state when it loaded it, and
                // a judge that comes after this one acquires both: the exchange continues the release sequence.
                Ordering::Release,
                // Acquire: the caller judges against what is there, as after a load.
                Ordering::Acquire,
            )
            .map(drop)
            .map_err(EntryState::of)
    }

    /// Ends the lifetime if the packed state is still the judged one (`None`: vacant): this is the moment the
    /// node leaves the table. The thread that succeeds must have the entry unlinked.
    #[inline]
    pub(crate) fn evict(&self, judged: Option<PackedState>) -> Result<(), EntryState> {
        self.packed
            .compare_exchange(
                judged.map_or(VACANT, PackedState::bits),
                EVICTED,
                // Release: a thread that finds the node gone finds its tombstone, written before. Pinned by
                // `tombstones::old_claim_against_tombstone`. The judged packed state was acquired: as in `raise`.
                Ordering::Release,
                // Acquire: as in `raise`.
                Ordering::Acquire,
            )
            .map(drop)
            .map_err(EntryState::of)
    }

    /// Which use of the entry this is; odd while it is in use.
    #[inline(always)]
    pub(crate) fn generation(&self) -> u64 {
        // Relaxed: ordered by the Acquire of the packed state, which the caller read before it; in a glance by that of the
        // last update, too.
        self.generation.load(Ordering::Relaxed)
    }

    /// The high half of the key's hash.
    ///
    /// # Safety
    ///
    /// The entry must hold a key, and keep it: the caller is pinned and found it linked, or read a
    /// live packed state from it.
    #[inline(always)]
    pub(crate) unsafe fn hash(&self) -> u32 {
        // SAFETY: written before the link that the caller saw; not again before the grace period.
        self.hash.with(|place| unsafe { *place })
    }

    /// The key.
    ///
    /// # Safety
    ///
    /// As for [`hash`](Self::hash), for as long as the reference is used.
    #[inline(always)]
    pub(crate) unsafe fn key(&self) -> &K {
        // SAFETY: as in `hash`; the reference is used no longer than the caller vouches for.
        self.key.with(|place| unsafe { (*place).assume_init_ref() })
    }

    /// What the program keeps of the node.
    ///
    /// # Safety
    ///
    /// As for [`key`](Self::key).
    #[inline(always)]
    pub(crate) unsafe fn data(&self) -> &D {
        // SAFETY: written with the key, before the link, and kept as long.
        self.data
            .with(|place| unsafe { (*place).assume_init_ref() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_a_socket_address_is_one_cache_line() {
        assert_eq!(size_of::<Entry<std::net::SocketAddr, ()>>(), 64);
        assert_eq!(align_of::<Entry<u64, ()>>(), 64);
    }

    #[test]
    fn an_entry_with_64_bytes_of_data_is_two_cache_lines() {
        assert_eq!(size_of::<Entry<std::net::SocketAddr, [u8; 64]>>(), 128);
    }
}
