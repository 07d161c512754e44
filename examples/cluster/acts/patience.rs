//! How long an act waits: so many protocol periods of the running nodes, and not a time, so that a busy machine changes
//! nothing.

use std::time::Instant;

use crate::cast::Cast;

/// Nodes that do not go on at all end the wait after so many times the time that it takes on an idle machine.
const STUCK: u32 = 50;

pub struct Patience {
    /// How many periods each running node had begun, and how many it is to begin.
    ends: Vec<(usize, u64)>,
    stuck: Instant,
}

impl Patience {
    pub fn new(cast: &Cast, periods: u32) -> Self {
        let begun = cast.periods().into_iter();
        Self {
            ends: begun
                .map(|(player, begun)| (player, begun + u64::from(periods)))
                .collect(),
            stuck: Instant::now() + cast.period() * periods * STUCK,
        }
    }

    /// Whether each node that still runs has begun its periods.
    pub fn is_over(&self, cast: &Cast) -> bool {
        let now = cast.periods();
        let begun = |player| now.iter().find(|(index, _)| *index == player);
        let over = self
            .ends
            .iter()
            .all(|(player, end)| begun(*player).is_none_or(|(_, begun)| begun >= end));
        over && !self.ends.is_empty() || Instant::now() > self.stuck
    }
}
