//! Whether the trackers of all nodes are right about the nodes that run.

use incarnation::{NodeState, Status};

use super::World;
use crate::Protocol;

/// An observer whose tracker is wrong about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The node with the tracker.
    pub observer: usize,
    /// The node that the tracker is wrong about.
    pub subject: usize,
    /// What the tracker holds; `None` if it does not know the node.
    pub seen: Option<NodeState>,
}

impl World {
    /// Every pair of a running observer and a node that the observer is wrong about. A tracker is right if it holds a
    /// running node Alive at the node's own incarnation, a node that left as Left or not at all, and any other node as
    /// gone or not at all.
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

    /// Whether every tracker is right about every node.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.disagreements().next().is_none()
    }

    /// The share of (observer, node) pairs that are right, from 0 to 1.
    #[must_use]
    pub fn agreement(&self) -> f64 {
        let observers = (0..self.len()).filter(|index| self.observer(*index).is_some());
        let pairs = observers.count() * (self.len() - 1);
        1.0 - self.disagreements().count() as f64 / pairs.max(1) as f64
    }

    /// The number of (observer, node) pairs where a running node is held Dead or Left.
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
