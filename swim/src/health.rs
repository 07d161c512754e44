//! How well this node itself seems to work: Lifeguard's local health multiplier (Dadgar, Phillips,
//! Currey, *Lifeguard*, 2018, section IV-A). A node that is slow or badly connected hears nothing from
//! anybody; it should doubt itself before it accuses others.

use std::sync::atomic::{AtomicU32, Ordering};

/// 0: well. Each point makes this node probe that many times slower.
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
        // Relaxed: a number that orders nothing.
        let _ = self
            .score
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |score| {
                Some(by(score))
            });
    }

    /// A probe was answered.
    pub(crate) fn better(&self) {
        self.change(|score| score.saturating_sub(1));
    }

    /// A probe failed, a helper was not heard from, a suspicion of this node had to be refuted, or it
    /// did not run for a while.
    pub(crate) fn worse(&self) {
        self.change(|score| (score + 1).min(self.max));
    }

    pub(crate) fn score(&self) -> u32 {
        // Relaxed: see `change`.
        self.score.load(Ordering::Relaxed)
    }

    /// By what to multiply probe times.
    pub(crate) fn factor(&self) -> u32 {
        self.score() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bounds() {
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
