//! papaya: lock-free reads under a guard; an accepted claim replaces the boxed record.

use std::net::SocketAddr;

use incarnation::Claim;
use papaya::{Compute, HashMap, HashMapRef, LocalGuard, Operation};

use super::{Record, Session, State, Subject, beats, digest, hasher};

type Map = HashMap<SocketAddr, Record, ahash::RandomState>;
type Pinned<'s> = HashMapRef<'s, SocketAddr, Record, ahash::RandomState, LocalGuard<'s>>;

fn map(nodes: usize) -> Map {
    Map::with_capacity_and_hasher(nodes, hasher())
}

/// A guard for each operation.
pub struct Papaya(Map);

impl Subject for Papaya {
    const ID: &'static str = "papaya";
    type Session<'s> = PerOperation<'s>;

    fn with_capacity(nodes: usize) -> Self {
        Self(map(nodes))
    }

    #[inline(always)]
    fn session(&self) -> PerOperation<'_> {
        PerOperation(&self.0)
    }

    fn expire(&self, now: u64) {
        self.0.pin().retain(|_, record| !record.is_over(now));
    }
}

/// A guard held for many operations.
pub struct PapayaGuard(Map);

impl Subject for PapayaGuard {
    const ID: &'static str = "papaya-guard";
    type Session<'s> = Pinned<'s>;

    fn with_capacity(nodes: usize) -> Self {
        Self(map(nodes))
    }

    #[inline(always)]
    fn session(&self) -> Pinned<'_> {
        self.0.pin()
    }
}

pub struct PerOperation<'s>(&'s Map);

impl Session for PerOperation<'_> {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        self.0.pin().lookup(node)
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        self.0.pin().claim(node, claim, last_update)
    }

    #[inline(always)]
    fn packet(&self, claims: &[(SocketAddr, Claim)], last_update: u64) -> usize {
        // Its documentation recommends one guard for many operations.
        self.0.pin().packet(claims, last_update)
    }

    #[inline(always)]
    fn remove(&self, node: &SocketAddr, _last_update: u64) -> bool {
        self.0.pin().remove(node).is_some()
    }

    fn iterate(&self) -> u64 {
        self.0.pin().iterate()
    }
}

impl Session for Pinned<'_> {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        self.get(node).map(|record| record.state())
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        // Most claims are duplicates: a look before the compare-and-swap loop spares it.
        if let Some(known) = self.get(node) {
            beats(claim, last_update, Some(known.packed))?;
        }
        let computed = self.compute(*node, |known| {
            match beats(claim, last_update, known.map(|(_, record)| record.packed)) {
                Ok(record) => Operation::Insert(record),
                Err(there) => Operation::Abort(there),
            }
        });
        match computed {
            Compute::Aborted(there) => Err(there),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn remove(&self, node: &SocketAddr, _last_update: u64) -> bool {
        HashMapRef::remove(self, node).is_some()
    }

    fn iterate(&self) -> u64 {
        self.iter().fold(0, |sum: u64, (node, record)| {
            sum.wrapping_add(digest(node, record.state()))
        })
    }
}
