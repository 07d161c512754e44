//! scc: `HashIndex`, made for reads (an accepted claim enters a new record and marks the old one
//! removed), and `HashMap`, with a lock for each bucket.

use std::net::SocketAddr;

use incarnation::Claim;
use scc::{Guard, HashIndex, HashMap, hash_index, hash_map};

use super::{Record, Session, State, Subject, beats, digest, hasher};

type Index = HashIndex<SocketAddr, Record, ahash::RandomState>;
type Map = HashMap<SocketAddr, Record, ahash::RandomState>;

macro_rules! subject {
    ($(#[$doc:meta])* $name:ident, $id:literal, $table:ty, $session:ty, |$this:ident| $open:expr) => {
        $(#[$doc])*
        pub struct $name($table);

        impl Subject for $name {
            const ID: &'static str = $id;
            type Session<'s> = $session;

            fn with_capacity(nodes: usize) -> Self {
                Self(<$table>::with_capacity_and_hasher(nodes, hasher()))
            }

            #[inline(always)]
            fn session(&self) -> Self::Session<'_> {
                let $this = self;
                $open
            }
        }
    };
}

subject! {
    /// A guard for each operation.
    SccIndex, "scc-index", Index, &'s Index, |this| &this.0
}
subject! {
    /// A guard held for many operations.
    SccIndexGuard, "scc-index-guard", Index, Guarded<'s>, |this| Guarded(&this.0, Guard::new())
}
subject! {
    SccMap, "scc-map", Map, &'s Map, |this| &this.0
}

/// The index with a guard over it.
pub struct Guarded<'s>(&'s Index, Guard);

#[inline(always)]
fn peek(index: &Index, node: &SocketAddr, guard: &Guard) -> Option<Record> {
    index.peek(node, guard).copied()
}

#[inline(always)]
fn claim_under(
    index: &Index,
    guard: &Guard,
    node: &SocketAddr,
    claim: Claim,
    last_update: u64,
) -> Result<(), u64> {
    // Most claims are duplicates: those need no lock.
    if let Some(known) = peek(index, node, guard) {
        beats(claim, last_update, Some(known.packed))?;
    }
    match index.entry_sync(*node) {
        hash_index::Entry::Occupied(mut known) => {
            let record = beats(claim, last_update, Some(known.get().packed))?;
            known.update(record);
        }
        hash_index::Entry::Vacant(unknown) => {
            unknown.insert_entry(beats(claim, last_update, None)?);
        }
    }
    Ok(())
}

fn sum(index: &Index, guard: &Guard) -> u64 {
    index.iter(guard).fold(0, |sum: u64, (node, record)| {
        sum.wrapping_add(digest(node, record.state()))
    })
}

impl Session for &Index {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        self.peek_with(node, |_, record| record.state())
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        claim_under(self, &Guard::new(), node, claim, last_update)
    }

    #[inline(always)]
    fn packet(&self, claims: &[(SocketAddr, Claim)], last_update: u64) -> usize {
        Guarded(self, Guard::new()).packet(claims, last_update)
    }

    #[inline(always)]
    fn remove(&self, node: &SocketAddr, _last_update: u64) -> bool {
        self.remove_sync(node)
    }

    fn iterate(&self) -> u64 {
        sum(self, &Guard::new())
    }
}

impl Session for Guarded<'_> {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        peek(self.0, node, &self.1).map(Record::state)
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        claim_under(self.0, &self.1, node, claim, last_update)
    }

    #[inline(always)]
    fn remove(&self, node: &SocketAddr, _last_update: u64) -> bool {
        self.0.remove_sync(node)
    }

    fn iterate(&self) -> u64 {
        sum(self.0, &self.1)
    }
}

impl Session for &Map {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        self.read_sync(node, |_, record| record.state())
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        match self.entry_sync(*node) {
            hash_map::Entry::Occupied(mut known) => {
                *known.get_mut() = beats(claim, last_update, Some(known.get().packed))?;
            }
            hash_map::Entry::Vacant(unknown) => {
                unknown.insert_entry(beats(claim, last_update, None)?);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn remove(&self, node: &SocketAddr, _last_update: u64) -> bool {
        self.remove_sync(node).is_some()
    }

    fn iterate(&self) -> u64 {
        let mut sum = 0_u64;
        self.iter_sync(|node, record| {
            sum = sum.wrapping_add(digest(node, record.state()));
            true
        });
        sum
    }
}
