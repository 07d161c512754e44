//! The way into the table: a pinned reader, and the nodes it comes across.
//!
//! A [`Node`] borrows from the [`Pinned`] it was found through, so the compiler sees to it that
//! nothing is read after the pin is gone.

use core::{fmt, mem, ptr};

use equivalent::Equivalent;

use super::Table;
use super::cache::Reservation;
use super::entry::{Entry, EntryState, Index};
use super::indexes::Indexes;
use super::prefetch;
use crate::key::ToKey;
use crate::reclaim::Guard;
use crate::rule::PackedState;
use crate::time::Timestamp;

/// A scan of so many bytes or more asks for entries ahead: smaller ones are likely to be in the caches.
const SCANNED_FROM_MEMORY: usize = 4 << 20;

/// How many entries ahead: 12 KiB where an entry is a line, which the first-level cache holds. 128 to 256 take as long; 16 to 96
/// and 512 longer than asking for none.
const SCANNED_AHEAD: usize = 192;

/// A pinned reader of a table.
pub(crate) struct Pinned<'t, K, D> {
    table: &'t Table<K, D>,
    guard: Guard<'t>,
}

/// An entry that was found linked, or with a live packed state, by a reader that is still pinned.
pub(crate) struct Node<'p, K, D> {
    entry: &'p Entry<K, D>,
    index: Index,
}

impl<K, D> Clone for Node<'_, K, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, D> Copy for Node<'_, K, D> {}

/// How linking a new key went.
pub(crate) enum Link<'p, K, D> {
    /// The key has an entry already.
    Found(Node<'p, K, D>, EntryState),
    /// The key is linked, vacant. Maybe there is a reservation for it already.
    New(Vacant<'p, K, D>, Option<Reservation<'p, K, D>>),
    /// No free entry is left.
    NoRoom,
}

/// A vacant entry that its linker answers for: unless a claim raises it, dropping this takes it
/// back, also when the linker panics.
pub(crate) struct Vacant<'p, K, D> {
    pinned: &'p Pinned<'p, K, D>,
    node: Node<'p, K, D>,
}

impl<'p, K, D> Vacant<'p, K, D> {
    pub(crate) fn node(&self) -> Node<'p, K, D> {
        self.node
    }

    /// A claim raised it, and its lifetime has begun.
    #[inline(always)]
    pub(crate) fn keep(self) {
        mem::forget(self);
    }
}

impl<K, D> Drop for Vacant<'_, K, D> {
    fn drop(&mut self) {
        if self.node.entry.entry_state() == EntryState::Vacant
            && self.node.entry.evict(None).is_ok()
        {
            self.pinned.retiring().unlink(self.node);
        }
    }
}

/// What is unlinked under one pin, retired together when this is dropped: as long as the pin is held
/// nothing of it could be used again anyway, and one ticket serves all.
pub(crate) struct Retiring<'p, K, D> {
    pinned: &'p Pinned<'p, K, D>,
    unlinked: Indexes,
}

impl<'p, K, D> Retiring<'p, K, D> {
    /// Ends a lifetime if its packed state is still the judged one, and has the entry unlinked.
    ///
    /// The reservation of the lifetime is given back here.
    pub(crate) fn evict(
        &mut self,
        node: Node<'p, K, D>,
        judged: PackedState,
    ) -> Result<(), EntryState> {
        node.entry.evict(Some(judged))?;
        self.pinned.table.release();
        self.unlink(node);
        Ok(())
    }

    /// Unlinks an evicted entry, unless another thread is unlinking in its shard.
    fn unlink(&mut self, node: Node<'p, K, D>) {
        let table = self.pinned.table;
        // SAFETY: the node was found linked or live, and we are still pinned.
        let hash = unsafe { node.entry.hash() };
        let before = self.unlinked.len();
        table.clear_up(hash, node.index, &mut self.unlinked);
        table.count_pending_unlink(self.unlinked.len() - before);
    }
}

impl<K, D> Drop for Retiring<'_, K, D> {
    fn drop(&mut self) {
        if !self.unlinked.is_empty() {
            let table = self.pinned.table;
            table.retire(&self.pinned.guard, mem::take(&mut self.unlinked));
        }
    }
}

impl<'t, K, D> Pinned<'t, K, D> {
    #[inline(always)]
    pub(super) fn new(table: &'t Table<K, D>, guard: Guard<'t>) -> Self {
        Self { table, guard }
    }

    pub(crate) fn table(&self) -> &'t Table<K, D> {
        self.table
    }

    /// Stops protecting everything seen so far, and protects what is seen from here on.
    pub(crate) fn repin(&mut self) {
        self.guard.repin();
    }

    /// The entry of a key, live or vacant, and what its packed state said.
    pub(crate) fn find<Q>(&self, hash: u32, key: &Q) -> Option<(Node<'_, K, D>, EntryState)>
    where
        Q: ?Sized + Equivalent<K>,
    {
        let found = self.table.find(hash, |known| key.equivalent(known));
        found.map(|(entry, index, entry_state)| (Node { entry, index }, entry_state))
    }

    /// The live node of a key, and its packed state.
    #[inline(always)]
    pub(crate) fn find_live<Q>(&self, hash: u32, key: &Q) -> Option<(Node<'_, K, D>, PackedState)>
    where
        Q: ?Sized + Equivalent<K>,
    {
        let (entry, index, packed) = self.table.find_live(hash, |known| key.equivalent(known))?;
        Some((Node { entry, index }, packed))
    }

    /// Makes sure that a key has an entry: the one it has, or a new, vacant one. Allocates only
    /// what cloning the key does.
    ///
    /// A new entry has the last update `now`, so that the claim which raises it need not raise that first.
    #[inline(always)]
    pub(crate) fn link<Q>(
        &self,
        hash: u32,
        key: &Q,
        data: impl FnOnce(&K) -> D,
        now: Timestamp,
    ) -> Link<'_, K, D>
    where
        Q: ?Sized + ToKey<K>,
    {
        let table = self.table;
        // All code of the user runs before an entry is taken.
        let copy = key.to_key();
        let data = data(&copy);
        let (index, reservation) = self.take(hash);
        let Some(index) = index else {
            return Link::NoRoom;
        };
        let entry = table.slab.entry(index);
        // SAFETY: just taken from the free entries, so it is this thread's alone. The key is forgotten.
        unsafe { entry.occupy(hash, &copy, data, now) };
        mem::forget(copy);
        let unlinked = Unlinked { table, index };
        let mut first = table.first(hash);
        loop {
            if table.has_hash(first, hash)
                && let Some((entry, index, entry_state)) =
                    table.find_from(first, hash, |known| key.equivalent(known))
            {
                return Link::Found(Node { entry, index }, entry_state);
            }
            match table.link(first, hash, index) {
                Ok(()) => {
                    mem::forget(unlinked);
                    let vacant = Vacant {
                        pinned: self,
                        node: Node { entry, index },
                    };
                    return Link::New(vacant, reservation);
                }
                Err(newer) => first = newer,
            }
        }
    }

    /// A free entry that the head of `hash` can name: from the thread's cache, from the shared free list, or from the
    /// retired entries that are ready to be collected. And a reservation, if the cache has a credit.
    #[inline(always)]
    fn take(&self, hash: u32) -> (Option<Index>, Option<Reservation<'_, K, D>>) {
        let (cached, reservation) = self.table.take_cached(hash);
        (cached.or_else(|| self.take_shared(hash)), reservation)
    }

    #[cold]
    #[inline(never)]
    fn take_shared(&self, hash: u32) -> Option<Index> {
        let index = self.table.slab.take(hash);
        index.or_else(|| self.collect_one(hash))
    }

    #[cold]
    fn collect_one(&self, hash: u32) -> Option<Index> {
        // Its own first: a fence frees them without touching what other threads keep.
        let own = self.table.take_retired(hash);
        if own.is_some() {
            return own;
        }
        let Table {
            retired,
            slab,
            domain,
            ..
        } = self.table;
        if !retired.is_blocked(domain) {
            retired.collect(domain, slab);
        }
        slab.take(hash).or_else(|| {
            self.table.clear_caches();
            if !retired.is_blocked(domain) {
                retired.collect(domain, slab);
            }
            slab.take(hash)
        })
    }

    /// Ends one lifetime if its packed state is still the judged one, and has the entry unlinked and its reservation
    /// given back.
    #[inline(always)]
    pub(crate) fn evict(
        &self,
        node: Node<'_, K, D>,
        judged: PackedState,
    ) -> Result<(), EntryState> {
        node.entry.evict(Some(judged))?;
        // SAFETY: the node was found linked or live, and we are still pinned.
        let hash = unsafe { node.entry.hash() };
        if self.table.unlink_only(hash, node.index) {
            self.table.release_and_retire(&self.guard, node.index);
        } else {
            self.clear_up(hash);
        }
        Ok(())
    }

    /// The same for an evicted entry that is not alone in its chain.
    #[cold]
    #[inline(never)]
    fn clear_up(&self, hash: u32) {
        let table = self.table;
        let mut unlinked = Indexes::default();
        table.clear_up_locked(hash, &mut unlinked);
        table.count_pending_unlink(unlinked.len());
        if let Some(index) = unlinked.only() {
            table.release_and_retire(&self.guard, index);
            return;
        }
        table.release();
        if !unlinked.is_empty() {
            table.retire(&self.guard, unlinked);
        }
    }

    /// Ends lifetimes: the entries it unlinks are retired when it is dropped.
    pub(crate) fn retiring(&self) -> Retiring<'_, K, D> {
        Retiring {
            pinned: self,
            unlinked: Indexes::default(),
        }
    }

    /// The node at an index found earlier, if its lifetime of then still goes on.
    ///
    /// The order matters: the packed state first, then the generation. The other way round the entry might
    /// be recycled in between and show the very same packed state in another lifetime.
    #[inline(always)]
    pub(crate) fn revisit(
        &self,
        index: Index,
        generation: u64,
    ) -> Option<(Node<'_, K, D>, PackedState)> {
        let entry = self.table.slab.entry(index);
        let packed = entry.packed()?;
        (entry.generation() == generation).then_some((Node { entry, index }, packed))
    }

    /// The live node at an index, if there is one.
    #[inline(always)]
    pub(crate) fn at(&self, index: u32) -> Option<(Node<'_, K, D>, PackedState)> {
        let index = Index::new(index)?;
        let entry = self.table.slab.entries().get(index.get() as usize)?;
        Some((Node { entry, index }, entry.packed()?))
    }

    /// The highest index in use: every node that was live before this call is at or below it.
    pub(crate) fn mark(&self) -> u32 {
        self.table.slab.mark()
    }

    /// Calls `each` for the live nodes at the indexes from `start` up to and including `end`.
    #[inline(always)]
    pub(crate) fn scan<'p>(
        &'p self,
        start: u32,
        end: u32,
        each: impl FnMut(Node<'p, K, D>, PackedState),
    ) {
        let entries = self.table.slab.entries();
        let end = entries.len().min(end as usize + 1);
        let start = (start as usize).max(1).min(end);
        // Two loops, since asking for lines that are in the caches takes a fifth more time.
        if size_of_val(&entries[start..end]) >= SCANNED_FROM_MEMORY {
            scan_entries(
                &entries[start..end],
                start,
                |entry| {
                    prefetch::prefetch(ptr::from_ref(entry).wrapping_add(SCANNED_AHEAD));
                },
                each,
            );
        } else {
            scan_entries(&entries[start..end], start, |_| {}, each);
        }
    }
}

/// Calls `each` for the live nodes of entries, the first of which is at the index `start`, and `before` for each entry.
#[inline(always)]
fn scan_entries<'p, K, D>(
    entries: &'p [Entry<K, D>],
    start: usize,
    before: impl Fn(&Entry<K, D>),
    mut each: impl FnMut(Node<'p, K, D>, PackedState),
) {
    for (entry, place) in entries.iter().zip(start as u32..) {
        before(entry);
        if let Some(packed) = entry.packed()
            && let Some(index) = Index::new(place)
        {
            each(Node { entry, index }, packed);
        }
    }
}

impl<K, D> fmt::Debug for Pinned<'_, K, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned")
            .field("guard", &self.guard)
            .finish()
    }
}

/// An occupied entry that is not linked: given back unless it gets there, also when comparing keys
/// panics.
struct Unlinked<'t, K, D> {
    table: &'t Table<K, D>,
    index: Index,
}

impl<K, D> Drop for Unlinked<'_, K, D> {
    fn drop(&mut self) {
        // SAFETY: this thread occupied it and never linked it, so no other thread ever saw it.
        unsafe { self.table.slab.give_back(self.index) };
    }
}

impl<'p, K, D> Node<'p, K, D> {
    /// The entry's present state.
    pub(crate) fn entry_state(self) -> EntryState {
        self.entry.entry_state()
    }

    /// The last update of the packed state read before it, or a later one.
    #[inline(always)]
    pub(crate) fn last_update(self) -> Timestamp {
        self.entry.last_update()
    }

    /// Brings the last update back from `seen` to `to`, if it is still `seen`; whether it did.
    pub(crate) fn bring_back(self, seen: Timestamp, to: Timestamp) -> bool {
        self.entry.bring_back(seen, to)
    }

    #[inline(always)]
    pub(crate) fn generation(self) -> u64 {
        self.entry.generation()
    }

    #[inline(always)]
    pub(crate) fn index(self) -> Index {
        self.index
    }

    #[inline(always)]
    pub(crate) fn key(self) -> &'p K {
        // SAFETY: it was found linked or live, and the `Pinned` it borrows from is still held.
        unsafe { self.entry.key() }
    }

    /// What the program keeps of the node.
    #[inline(always)]
    pub(crate) fn data(self) -> &'p D {
        // SAFETY: as for the key.
        unsafe { self.entry.data() }
    }

    /// Replaces exactly the packed state that was judged (`None`: vacant), last update first.
    #[inline(always)]
    pub(crate) fn raise(
        self,
        from: Option<PackedState>,
        to: PackedState,
        now: Timestamp,
    ) -> Result<(), EntryState> {
        self.entry.raise(from, to, now)
    }
}
