//! `ArcSwap` of a map that is rebuilt for each change: for reads, and for updates by one writer.

use std::collections::HashMap;
use std::net::SocketAddr;

use arc_swap::ArcSwap;
use incarnation::Claim;

use super::{Record, Session, State, Subject, Task, Verb, beats, digest, hasher};

type Map = HashMap<SocketAddr, Record, ahash::RandomState>;

pub struct ArcSwapped(ArcSwap<Map>);

impl Subject for ArcSwapped {
    const ID: &'static str = "arcswap";
    type Session<'s> = &'s Self;

    fn with_capacity(nodes: usize) -> Self {
        Self(ArcSwap::from_pointee(Map::with_capacity_and_hasher(
            nodes,
            hasher(),
        )))
    }

    #[inline(always)]
    fn session(&self) -> &Self {
        self
    }

    fn can(task: Task) -> bool {
        let changes_nothing = matches!(task.verb, Verb::Lookup | Verb::Claim | Verb::Iterate);
        // One writer, and a copy of a large map for each change is nobody's choice.
        changes_nothing || (task.threads == 1 && task.nodes <= 10_000)
    }

    /// One rebuild for all.
    fn fill(&self, nodes: impl Iterator<Item = (SocketAddr, Claim)>, last_update: u64) {
        let mut map = Map::clone(&self.0.load());
        for (node, claim) in nodes {
            if let Ok(record) = beats(claim, last_update, None) {
                map.insert(node, record);
            }
        }
        self.0.store(map.into());
    }

    fn clear(&self, mut nodes: impl Iterator<Item = SocketAddr>, _last_update: u64) -> bool {
        let mut map = Map::clone(&self.0.load());
        let all = nodes.all(|node| map.remove(&node).is_some());
        self.0.store(map.into());
        all
    }
}

impl Session for &ArcSwapped {
    #[inline(always)]
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        self.0.load().get(node).map(|record| record.state())
    }

    #[inline(always)]
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64> {
        let current = self.0.load();
        let known = current.get(node).map(|record| record.packed);
        let record = beats(claim, last_update, known)?;
        // One writer at a time: nothing can have come in between.
        let mut next = Map::clone(&current);
        next.insert(*node, record);
        self.0.store(next.into());
        Ok(())
    }

    #[inline(always)]
    fn packet(&self, claims: &[(SocketAddr, Claim)], last_update: u64) -> usize {
        let current = self.0.load();
        let mut next: Option<Map> = None;
        let mut accepted = 0;
        for (node, claim) in claims {
            let known = next.as_ref().unwrap_or(&current).get(node);
            let Ok(record) = beats(*claim, last_update, known.map(|record| record.packed)) else {
                continue;
            };
            next.get_or_insert_with(|| Map::clone(&current))
                .insert(*node, record);
            accepted += 1;
        }
        if let Some(next) = next {
            self.0.store(next.into());
        }
        accepted
    }

    fn remove(&self, node: &SocketAddr, _last_update: u64) -> bool {
        let mut next = Map::clone(&self.0.load());
        let removed = next.remove(node).is_some();
        self.0.store(next.into());
        removed
    }

    fn iterate(&self) -> u64 {
        self.0.load().iter().fold(0, |sum: u64, (node, record)| {
            sum.wrapping_add(digest(node, record.state()))
        })
    }
}
