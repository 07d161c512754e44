//! The sequential model: what a tracker does when one thread uses it, without any of its machinery.
//!
//! Maps instead of a table, one operation after the other. The rule is not written a second time:
//! the model asks [`incarnation::rule::judge`], as the tracker does. What it adds is its own account of
//! lifetimes, last updates, tombstones, limits and sweeps. Property tests and fuzzing run it in
//! [lockstep](crate::lockstep) with the real thing; the [history](crate::history) checker uses its
//! [`Node`].

mod node;
mod rules;
mod sweep;

pub use node::{Held, Node};
pub use rules::Rules;
pub use sweep::{Sweep, Swept};

use std::collections::BTreeMap;

use incarnation::rule::{Judgement, PackedState, Proposal};
use incarnation::{Claim, Incarnation, LocalError, Rejection, Status, Timestamp, Verdict};

/// The model of a whole tracker.
#[derive(Clone, Debug)]
pub struct Model<K> {
    rules: Rules,
    local: Option<K>,
    own: Incarnation,
    /// Every node that is known or buried.
    nodes: BTreeMap<K, Node>,
    /// How many lifetimes each node has had.
    lifetimes: BTreeMap<K, u64>,
}

impl<K: Ord + Clone> Model<K> {
    /// An empty table; the local node, if there is one, starts at `own`.
    pub fn new(rules: Rules, local: Option<K>, own: Incarnation) -> Self {
        Self {
            rules,
            local,
            own,
            nodes: BTreeMap::new(),
            lifetimes: BTreeMap::new(),
        }
    }

    /// The limits and times it goes by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What is known and remembered of a node.
    pub fn node(&self, key: &K) -> Node {
        self.nodes.get(key).copied().unwrap_or_default()
    }

    /// Makes a node be in any state: for doubles that do in several steps what the model does in one.
    pub fn put(&mut self, key: &K, node: Node) {
        self.nodes.insert(key.clone(), node);
    }

    /// The state of a node, if it is known.
    pub fn get(&self, key: &K) -> Option<Held> {
        self.node(key).state
    }

    /// The known nodes with their states, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, Held)> {
        self.nodes
            .iter()
            .filter_map(|(key, node)| Some((key, node.state?)))
    }

    /// How many nodes are known.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many nodes are known to have a status.
    pub fn count(&self, status: Status) -> usize {
        self.iter()
            .filter(|(_, held)| held.packed.status() == status)
            .count()
    }

    /// How many tombstones there are, those whose time is over and that no sweep has ended yet included.
    pub fn tombstones(&self) -> usize {
        self.nodes
            .values()
            .filter(|node| node.tombstone.is_some())
            .count()
    }

    /// The number of a known node's present lifetime.
    pub fn lifetime(&self, key: &K) -> Option<u64> {
        self.get(key)?;
        self.lifetimes.get(key).copied()
    }

    /// What [`submit`](Self::submit) would answer.
    pub fn preview(&self, key: &K, proposal: Proposal, now: Timestamp) -> Verdict {
        self.decide(key, proposal, now).verdict()
    }

    fn decide(&self, key: &K, proposal: Proposal, now: Timestamp) -> Judgement {
        if self.local.as_ref() == Some(key) {
            return Judgement::Keep(Verdict::AboutSelf {
                accused: proposal.as_claim(),
            });
        }
        let node = self.node(key);
        match node.judge(&self.rules, proposal, now) {
            Judgement::Write(..) if node.state.is_none() && self.len() >= self.rules.hard_limit => {
                Judgement::Keep(Verdict::Rejected(Rejection::AtCapacity))
            }
            judgement => judgement,
        }
    }

    /// Decides about a proposal and carries it out.
    pub fn submit(&mut self, key: &K, proposal: Proposal, now: Timestamp) -> Verdict {
        let judgement = self.decide(key, proposal, now);
        if let Judgement::Write(packed, verdict) = judgement {
            if verdict == Verdict::Joined {
                *self.lifetimes.entry(key.clone()).or_default() += 1;
            }
            self.nodes
                .entry(key.clone())
                .or_default()
                .write(packed, now);
        }
        judgement.verdict()
    }

    /// The lowest incarnation at which the node may rejoin: found by trying, since what a rejoin may,
    /// one at a higher incarnation may too.
    pub fn required_incarnation(&self, key: &K, now: Timestamp) -> Option<Incarnation> {
        let suffices = |incarnation: u64| {
            self.preview(key, Proposal::rejoin(incarnation.into()), now)
                .accepted()
        };
        let (mut low, mut high) = (0, self.rules.policy.max_incarnation.get());
        if !suffices(high) {
            return None;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if suffices(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(high.into())
    }

    /// Takes a node out; a Dead or Left one is buried.
    pub fn remove(&mut self, key: &K, now: Timestamp) -> Option<Held> {
        self.end(key, Some(now))
    }

    /// Takes a node out if it is in exactly the expected state; else says in which it is.
    ///
    /// # Errors
    ///
    /// The state it is in, `None` if it is unknown.
    pub fn remove_if(
        &mut self,
        key: &K,
        expected: Claim,
        now: Timestamp,
    ) -> Result<Held, Option<Held>> {
        match self.get(key) {
            Some(held) if PackedState::of(expected) == Some(held.packed) => {
                self.end(key, Some(now)).ok_or(None)
            }
            other => Err(other),
        }
    }

    /// Takes a node out without a tombstone, and opens the one it has.
    pub fn forget(&mut self, key: &K) -> Option<Held> {
        let last = self.end(key, None);
        self.nodes.remove(key);
        last
    }

    /// Ends a lifetime; `now` is given unless it leaves no tombstone.
    fn end(&mut self, key: &K, now: Option<Timestamp>) -> Option<Held> {
        let mut node = self.node(key);
        let burial = now.and_then(|now| node.tombstone_on_removal(&self.rules, now));
        if burial.is_some() && node.tombstone.is_none() {
            self.make_room_for_a_tombstone();
        }
        let last = node.state.take();
        if let (Some(tombstone), Some(now)) = (burial, now) {
            node.write_tombstone(&self.rules, tombstone, now);
        }
        if node == Node::default() {
            self.nodes.remove(key);
        } else {
            self.nodes.insert(key.clone(), node);
        }
        last
    }

    /// At the limit the oldest eighth of the tombstones goes, at least one. Which of equally old ones is
    /// open: a caller that sets a limit which is reached must see to it that no two deaths are of one time.
    fn make_room_for_a_tombstone(&mut self) {
        let max = self.rules.max_tombstones;
        if self.tombstones() < max {
            return;
        }
        let mut deaths: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|(key, node)| Some((node.tombstone?.at, key.clone())))
            .collect();
        deaths.sort_unstable();
        for (_, key) in deaths.into_iter().take((max / 8).max(1)) {
            if let Some(node) = self.nodes.get_mut(&key) {
                node.tombstone = None;
            }
        }
    }

    /// The local node's own incarnation.
    pub fn own(&self) -> Incarnation {
        self.own
    }

    /// Refutes an accusation.
    ///
    /// # Errors
    ///
    /// As for [`incarnation::Local::refute`].
    pub fn refute(&mut self, accused: Incarnation) -> Result<Incarnation, LocalError> {
        let own = self.own;
        let policy = &self.rules.policy;
        let limit = policy.refute_limit;
        if accused > own.saturating_add(limit) {
            return Err(LocalError::SuspiciousAccusation {
                own,
                accused,
                limit,
            });
        }
        let highest = own.max(accused);
        if highest >= policy.max_incarnation {
            return Err(LocalError::Exhausted {
                max: policy.max_incarnation,
            });
        }
        self.own = highest.saturating_add(1);
        Ok(self.own)
    }
}
