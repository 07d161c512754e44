//! dashmap: a map in shards, each behind a reader-writer lock.

use std::net::SocketAddr;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use incarnation::Claim;

use super::{Record, Session, State, Subject, beats, digest, hasher};

type Map = DashMap<SocketAddr, Record, ahash::RandomState>;

pub struct Dashed(Map);

impl Subject for Dashed {
    const ID: &'static str = "dashmap";
    type Session<'s> = &'s Map;

    fn with_capacity(nodes: usize) -> Self {
        Self(Map::with_capacity_and_hasher(nodes, hasher()))
    }

    #[inline(always)]
    fn session(&self) -> &Map {
        &self.0
    }

    fn expire(&self, now: u64) {
        self.0.retain(|_, record| !record.is_over(now));
    }
}

impl Session for &Map {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        self.get(node).map(|record| record.state())
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        // The write lock at once: to look first under the read lock costs accepted claims a second
        // lock, and duplicates no less than this.
        match self.entry(*node) {
            Entry::Occupied(mut known) => {
                *known.get_mut() = beats(claim, last_update, Some(known.get().packed))?;
            }
            Entry::Vacant(unknown) => {
                unknown.insert(beats(claim, last_update, None)?);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn remove(&self, node: &SocketAddr, _last_update: u64) -> bool {
        DashMap::remove(self, node).is_some()
    }

    fn iterate(&self) -> u64 {
        self.iter().fold(0, |sum: u64, pair| {
            sum.wrapping_add(digest(pair.key(), pair.value().state()))
        })
    }
}
