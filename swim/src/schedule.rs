//! What is due when: the periods, the order of probing, and when a suspicion ends next. Times only; `timer` acts on them.

use std::net::SocketAddr;

use incarnation::{ProbeOrder, Timestamp};

/// A node's calendar, which one thread at a time works by.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) order: ProbeOrder<SocketAddr>,
    /// `None` before the first call.
    pub(crate) next_period: Option<Timestamp>,
    pub(crate) periods: u64,
    /// In which period the next probe may begin: a node in bad health probes more seldom.
    pub(crate) next_probe: u64,
    /// The earliest end of a suspicion at the last look.
    pub(crate) next_death: Option<Timestamp>,
    /// When it was promised to look again.
    pub(crate) due: Timestamp,
    /// Since when this node runs without a break. Silence before that says nothing about the others.
    pub(crate) awake_since: Timestamp,
}

impl Schedule {
    pub(crate) const fn new(order: ProbeOrder<SocketAddr>) -> Self {
        Self {
            order,
            next_period: None,
            periods: 0,
            next_probe: 0,
            next_death: None,
            due: Timestamp::ZERO,
            awake_since: Timestamp::ZERO,
        }
    }
}
