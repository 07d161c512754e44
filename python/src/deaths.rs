//! Death records: which nodes died when, at which incarnation, for programs that check for zombies.
//!
//! A store of its own beside the table, as in the original: a record refuses no update. Bounded: past
//! its limit the oldest tenth goes.
#![forbid(unsafe_code)]

use std::time::Duration;

use hashbrown::HashMap;
use incarnation::{RandomState, Timestamp, ToKey};

use crate::key::{Key, NodeRef};

#[derive(Clone, Copy)]
struct Death {
    at: Timestamp,
    incarnation: u64,
}

/// The records of one tracker.
pub struct Deaths {
    records: HashMap<Key, Death, RandomState>,
    limit: usize,
    window: Duration,
    minimum_bump: u64,
    rejections: u64,
}

impl Deaths {
    pub fn new(limit: usize, window: Duration, minimum_bump: u64) -> Self {
        Self {
            records: HashMap::default(),
            limit,
            window,
            minimum_bump,
            rejections: 0,
        }
    }

    /// Records a death, in place of an earlier one. Returns what it removed, to be dropped by a caller
    /// that holds no lock.
    #[must_use]
    pub fn record(&mut self, node: &NodeRef<'_, '_>, incarnation: u64, at: Timestamp) -> Vec<Key> {
        let death = Death { at, incarnation };
        if let Some(known) = self.records.get_mut(node) {
            *known = death;
            return Vec::new();
        }
        let removed = if self.records.len() < self.limit {
            Vec::new()
        } else {
            self.remove_oldest()
        };
        self.records.insert(node.to_key(), death);
        removed
    }

    fn remove_oldest(&mut self) -> Vec<Key> {
        let mut times: Vec<Timestamp> = self.records.values().map(|death| death.at).collect();
        let last = (times.len() / 10).min(times.len().saturating_sub(1));
        let (_, newest_to_go, _) = times.select_nth_unstable(last);
        let newest_to_go = *newest_to_go;
        self.extract(|death| death.at <= newest_to_go)
    }

    fn extract(&mut self, goes: impl Fn(&Death) -> bool) -> Vec<Key> {
        self.records
            .extract_if(|_, death| goes(death))
            .map(|(node, _)| node)
            .collect()
    }

    #[must_use]
    pub fn clear(&mut self, node: &NodeRef<'_, '_>) -> Option<Key> {
        self.records.remove_entry(node).map(|(node, _)| node)
    }

    /// Whether a node that claims this incarnation may be a zombie: it died within the window, and
    /// claims less than it needs. A record past the window is removed.
    pub fn is_zombie(
        &mut self,
        node: &NodeRef<'_, '_>,
        claimed: i128,
        now: Timestamp,
    ) -> (bool, Option<Key>) {
        let Some(death) = self.records.get(node) else {
            return (false, None);
        };
        if now.since(death.at) > self.window {
            return (false, self.clear(node));
        }
        let is_zombie = claimed < i128::from(death.incarnation) + i128::from(self.minimum_bump);
        if is_zombie {
            self.rejections += 1;
        }
        (is_zombie, None)
    }

    /// The incarnation that a node needs to come back; 0 without a record, or if it died at 0.
    pub fn required(&self, node: &NodeRef<'_, '_>) -> u64 {
        match self.records.get(node) {
            Some(death) if death.incarnation > 0 => {
                death.incarnation.saturating_add(self.minimum_bump)
            }
            _ => 0,
        }
    }

    /// Removes the records past the window.
    #[must_use]
    pub fn expire(&mut self, now: Timestamp) -> Vec<Key> {
        let window = self.window;
        self.extract(|death| now.since(death.at) > window)
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn rejections(&self) -> u64 {
        self.rejections
    }
}
