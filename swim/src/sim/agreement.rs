//! Whether the trackers agree with the world, and with each other.

use incarnation::{NodeState, Status};

use super::World;
use crate::Protocol;

/// An observer whose tracker is wrong about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Whose tracker.
    pub observer: usize,
    /// About whom.
    pub subject: usize,
    /// What it holds; `None` if it does not know it.
    pub seen: Option<NodeState>,
}

impl World {
    /// All that running observers have wrong: of a node that runs they must hold Alive at its very
    /// incarnation, of one that does not they must hold nothing or that it is gone, and of one that left
    /// nothing or just that.
    pub fn disagreements(&self) -> impl Iterator<Item = Disagreement> {
        let observers = (0..self.len()).filter_map(|index| Some((index, self.observer(index)?)));
        observers.flat_map(move |(observer, protocol)| {
            (0..self.len())
                .filter(move |subject| *subject != observer)
                .map(move |subject| Disagreement {
                    observer,
                    subject,
                    seen: protocol.tracker().get(&self.nodes[subject].address),
                })
                .filter(|found| !self.is_right(found))
        })
    }

    /// Whether every tracker holds what is so.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.disagreements().next().is_none()
    }

    /// The part of all (observer, node) pairs that are right.
    #[must_use]
    pub fn agreement(&self) -> f64 {
        let observers = (0..self.len()).filter(|index| self.observer(*index).is_some());
        let pairs = observers.count() * (self.len() - 1);
        1.0 - self.disagreements().count() as f64 / pairs.max(1) as f64
    }

    /// Observers that hold a running node for dead.
    #[must_use]
    pub fn false_deaths(&self) -> usize {
        let wrong = self.disagreements();
        wrong
            .filter(|wrong| {
                self.observer(wrong.subject).is_some()
                    && wrong.seen.is_some_and(|seen| seen.status.is_gone())
            })
            .count()
    }

    fn observer(&self, index: usize) -> Option<&Protocol> {
        let node = &self.nodes[index];
        node.protocol.as_ref().filter(|_| !node.has_left)
    }

    fn is_right(&self, found: &Disagreement) -> bool {
        let subject = &self.nodes[found.subject];
        let seen = found.seen.map(|state| (state.status, state.incarnation));
        match &subject.protocol {
            _ if subject.has_left => matches!(seen, None | Some((Status::Left, _))),
            Some(running) => seen == Some((Status::Alive, running.tracker().local().current())),
            None => seen.is_none_or(|(status, _)| status.is_gone()),
        }
    }
}
