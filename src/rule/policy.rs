//! The limits a table judges claims by.
#![forbid(unsafe_code)]

use core::time::Duration;

use super::Incarnation;

/// The limits that [`judge`](fn@super::judge) applies on top of the order of packed states.
///
/// A tracker's are set by its [builder](crate::Builder) and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Claims above it are `OutOfRange`. At most [`Incarnation::MAX`], which is the default.
    pub max_incarnation: Incarnation,
    /// How far above the stored incarnation an untrusted claim about a known node may be; `None`: any
    /// distance. Default 1000.
    pub max_incarnation_jump: Option<u64>,
    /// How far above its own incarnation the local node follows an accusation. Default 2^32.
    pub refute_limit: u64,
    /// The highest incarnation at which an untrusted claim may introduce an unknown node. Default:
    /// none. A limit too low makes nodes unlearnable, so set it only where incarnations start small.
    pub max_first_incarnation: Option<Incarnation>,
    /// How long after a death a rejoin needs `min_rejoin_bump`, inclusive. Default 60 s.
    pub zombie_window: Duration,
    /// How far above the incarnation of its death a node must rejoin within `zombie_window`. Default 5.
    pub min_rejoin_bump: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_incarnation: Incarnation::MAX,
            max_incarnation_jump: Some(1000),
            refute_limit: 1 << 32,
            max_first_incarnation: None,
            zombie_window: Duration::from_secs(60),
            min_rejoin_bump: 5,
        }
    }
}

impl Policy {
    /// The lowest incarnation at which a node that died at `death` may rejoin within the zombie
    /// window; never above `max_incarnation`.
    #[must_use]
    pub fn required_after(&self, death: Incarnation) -> Incarnation {
        death
            .saturating_add(self.min_rejoin_bump)
            .min(self.max_incarnation)
    }
}
