//! flurry: Java's concurrent map; an accepted claim replaces the boxed record.

use std::net::SocketAddr;

use flurry::HashMap;
use incarnation::Claim;

use super::{Record, Session, State, Subject, beats, digest, hasher};

type Map = HashMap<SocketAddr, Record, ahash::RandomState>;

pub struct Flurried(Map);

impl Subject for Flurried {
    const ID: &'static str = "flurry";
    type Session<'s> = &'s Map;

    fn with_capacity(nodes: usize) -> Self {
        Self(Map::with_capacity_and_hasher(nodes, hasher()))
    }

    #[inline(always)]
    fn session(&self) -> &Map {
        &self.0
    }
}

impl Session for &Map {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        self.pin().get(node).map(|record| record.state())
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        let map = self.pin();
        loop {
            let Some(known) = map.get(node) else {
                let record = beats(claim, last_update, None)?;
                if map.try_insert(*node, record).is_ok() {
                    return Ok(());
                }
                continue;
            };
            // Most claims are duplicates: those need no lock.
            beats(claim, last_update, Some(known.packed))?;
            let mut outcome = None;
            let present = map.compute_if_present(node, |_, known| {
                let judged = beats(claim, last_update, Some(known.packed));
                outcome = Some(judged.map(drop));
                Some(judged.unwrap_or(*known))
            });
            if let (Some(_), Some(outcome)) = (present, outcome) {
                return outcome;
            }
        }
    }

    #[inline(always)]
    fn remove(&self, node: &SocketAddr, _last_update: u64) -> bool {
        self.pin().remove(node).is_some()
    }

    fn iterate(&self) -> u64 {
        self.pin().iter().fold(0, |sum: u64, (node, record)| {
            sum.wrapping_add(digest(node, record.state()))
        })
    }
}
