//! This node's own health: Lifeguard's local health multiplier (Dadgar, Phillips, Currey, *Lifeguard*, 2018, section IV-A).
//!
//! A node that is slow or badly connected gets few answers. Such a node doubts itself before it accuses others: it probes
//! more slowly.

use std::sync::atomic::{AtomicU32, Ordering};

/// A score from 0 (well) to `max`. A node with the score s waits s + 1 times as long for its probes.
#[derive(Debug)]
pub(crate) struct Health {
    score: AtomicU32,
    max: u32,
}

impl Health {
    pub(crate) const fn new(max: u32) -> Self {
        Self {
            score: AtomicU32::new(0),
            max,
        }
    }

    fn change(&self, by: impl Fn(u32) -> u32) {
        // Relaxed: the score is a number by itself; no other memory depends on it.
        let _ = self
            .score
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |score| {
                Some(by(score))
            });
    }

    /// Lowers the score: a probe was answered.
    pub(crate) fn better(&self) {
        self.change(|score| score.saturating_sub(1));
    }

    /// Raises the score: a probe failed, a helper sent no nack, this node had to refute a suspicion, or it did not run for a
    /// while.
    pub(crate) fn worse(&self) {
        self.change(|score| (score + 1).min(self.max));
    }

    pub(crate) fn score(&self) -> u32 {
        // Relaxed: see `change`.
        self.score.load(Ordering::Relaxed)
    }

    /// The factor of the probe times: the score and 1.
    pub(crate) fn factor(&self) -> u32 {
        self.score() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_stays_between_zero_and_its_maximum() {
        let health = Health::new(2);
        health.better();
        assert_eq!(health.factor(), 1);
        for _ in 0..5 {
            health.worse();
        }
        assert_eq!(health.factor(), 3);
        health.better();
        assert_eq!(health.factor(), 2);
    }
}
