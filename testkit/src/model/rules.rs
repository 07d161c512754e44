//! The limits and times of a tracker, written once for the model and for the real one.

use std::hash::Hash;
use std::time::Duration;

use incarnation::rule::Policy;
use incarnation::{Builder, IncarnationTracker, Timestamp};

/// What a tracker goes by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What claims are judged by.
    pub policy: Policy,
    /// What a sweep restores.
    pub max_nodes: usize,
    /// How many nodes can be known.
    pub hard_limit: usize,
    /// How far below `max_nodes` a sweep goes.
    pub eviction_headroom: usize,
    /// Whether it may evict Alive nodes.
    pub evict_alive: bool,
    /// How far ahead of a sweep a last update may be.
    pub max_clock_lead: Option<Duration>,
    /// How long Dead and Left nodes stay.
    pub dead_retention: Duration,
    /// How long Unconfirmed ones do.
    pub unconfirmed_timeout: Option<Duration>,
    /// How long Suspect ones live.
    pub suspect_timeout: Option<Duration>,
    /// How many deaths are remembered.
    pub max_tombstones: usize,
    /// For how long.
    pub tombstone_retention: Duration,
}

impl Default for Rules {
    /// Those of the tracker.
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            max_nodes: 10_000,
            hard_limit: 20_000,
            eviction_headroom: 100,
            evict_alive: false,
            max_clock_lead: Some(Duration::from_secs(60)),
            dead_retention: Duration::from_secs(60 * 60),
            unconfirmed_timeout: Some(Duration::from_secs(5 * 60)),
            suspect_timeout: None,
            max_tombstones: 10_000,
            tombstone_retention: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Rules {
    /// A builder of a real tracker that goes by them.
    pub fn builder<K: Eq + Hash>(&self) -> Builder<K> {
        let policy = &self.policy;
        IncarnationTracker::builder()
            .max_incarnation(policy.max_incarnation)
            .max_incarnation_jump(policy.max_incarnation_jump)
            .refute_limit(policy.refute_limit)
            .max_first_incarnation(policy.max_first_incarnation)
            .zombie_window(policy.zombie_window)
            .min_rejoin_bump(policy.min_rejoin_bump)
            .max_nodes(self.max_nodes)
            .hard_limit(self.hard_limit)
            .eviction_headroom(self.eviction_headroom)
            .evict_alive(self.evict_alive)
            .max_clock_lead(self.max_clock_lead)
            .dead_retention(self.dead_retention)
            .unconfirmed_timeout(self.unconfirmed_timeout)
            .suspect_timeout(self.suspect_timeout)
            .max_tombstones(self.max_tombstones)
            .tombstone_retention(self.tombstone_retention)
    }

    /// Whether a death lies within the zombie window.
    pub(super) fn is_recent(&self, death: Timestamp, now: Timestamp) -> bool {
        now.since(death) <= self.policy.zombie_window
    }

    /// Whether a tombstone's time is over.
    pub(super) fn is_over(&self, death: Timestamp, now: Timestamp) -> bool {
        now.since(death) > self.tombstone_retention
    }
}
