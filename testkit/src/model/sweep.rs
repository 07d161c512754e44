//! The model's sweep.
//!
//! Where the design leaves an order open (which of equally old nodes goes, which gets its tombstone first), the
//! caller says what the real sweep did, and the model does the same as far as the rules allow it.

use incarnation::{Status, SweepReason, SweepScope, Timestamp};

use super::{Held, Model, Node, Rules};

/// A node that a sweep evicted or declared Dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept<K> {
    /// The node.
    pub node: K,
    /// The state it had.
    pub last: Held,
    /// Why.
    pub reason: SweepReason,
}

/// What a sweep did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep<K> {
    /// The nodes it evicted or declared Dead, in this order.
    pub swept: Vec<Swept<K>>,
    /// How many tombstones it ended.
    pub tombstones_ended: usize,
    /// How many times it brought back: last updates and deaths.
    pub clock_leads: usize,
}

impl<K: Ord + Clone> Model<K> {
    /// Lets time and capacity do their work. `really` is what the real sweep did, in order.
    pub fn sweep(&mut self, scope: SweepScope, now: Timestamp, really: &[Swept<K>]) -> Sweep<K> {
        let mut sweep = Sweep {
            swept: Vec::new(),
            tombstones_ended: 0,
            clock_leads: 0,
        };
        if scope != SweepScope::Capacity {
            sweep.clock_leads = self.bring_back(now, |node| node.state.as_mut());
            self.expire(scope, now, really, &mut sweep.swept);
            sweep.clock_leads += self.bring_back(now, |node| node.tombstone.as_mut());
            sweep.tombstones_ended = self.end_tombstones(now);
        }
        if matches!(scope, SweepScope::Everything | SweepScope::Capacity) {
            self.trim(now, really, &mut sweep.swept);
        }
        sweep
    }

    fn expire(
        &mut self,
        scope: SweepScope,
        now: Timestamp,
        really: &[Swept<K>],
        swept: &mut Vec<Swept<K>>,
    ) {
        let mut fates: Vec<_> = self
            .iter()
            .filter_map(|(key, last)| {
                let (reason, left_with) = self.node(key).fate(&self.rules, scope, now)?;
                let swept = Swept {
                    node: key.clone(),
                    last,
                    reason,
                };
                Some((rank(really, &swept), swept, left_with))
            })
            .collect();
        fates.sort_by_key(|(rank, ..)| *rank);
        for (_, done, left_with) in fates {
            match left_with {
                Some(packed) => {
                    let node = self.nodes.entry(done.node.clone()).or_default();
                    node.write(packed, now);
                }
                None => {
                    self.end(&done.node, Some(now));
                }
            }
            swept.push(done);
        }
    }

    /// Brings back the times that are too far ahead, and says how many.
    fn bring_back(
        &mut self,
        now: Timestamp,
        mut time: impl FnMut(&mut Node) -> Option<&mut Held>,
    ) -> usize {
        let Some(lead) = self.rules.max_clock_lead else {
            return 0;
        };
        let held = self.nodes.values_mut().filter_map(&mut time);
        let ahead = held.filter(|held| held.at > now + lead);
        ahead.map(|held| held.at = now + lead).count()
    }

    /// The least valuable go first, among them the oldest.
    fn trim(&mut self, now: Timestamp, really: &[Swept<K>], swept: &mut Vec<Swept<K>>) {
        let Rules {
            max_nodes,
            hard_limit,
            eviction_headroom,
            ..
        } = self.rules;
        let known = self.len();
        if known <= max_nodes && known < hard_limit {
            return;
        }
        let stay = max_nodes.saturating_sub(eviction_headroom);
        let surplus = known - stay.min(hard_limit - 1);
        let mut candidates: Vec<_> = self
            .iter()
            .filter_map(|(key, last)| {
                let class = class(&self.rules, last.packed.status())?;
                let swept = Swept {
                    node: key.clone(),
                    last,
                    reason: SweepReason::Capacity,
                };
                Some((class, last.at, rank(really, &swept), swept))
            })
            .collect();
        candidates.sort_by_key(|(class, at, rank, _)| (*class, *at, *rank));
        for (.., done) in candidates.into_iter().take(surplus) {
            self.end(&done.node, Some(now));
            swept.push(done);
        }
    }

    fn end_tombstones(&mut self, now: Timestamp) -> usize {
        let before = self.tombstones();
        let rules = &self.rules;
        self.nodes.retain(|_, node| {
            node.tombstone = node
                .tombstone
                .filter(|tombstone| !rules.is_over(tombstone.at, now));
            node.state.is_some() || node.tombstone.is_some()
        });
        before - self.tombstones()
    }
}

/// When the real sweep did the same; last if it did not.
fn rank<K: PartialEq>(really: &[Swept<K>], swept: &Swept<K>) -> usize {
    really
        .iter()
        .position(|done| done.node == swept.node && done.reason == swept.reason)
        .unwrap_or(usize::MAX)
}

/// In which order statuses go when there are too many nodes; `None`: not at all.
fn class(rules: &Rules, status: Status) -> Option<u8> {
    match status {
        Status::Unconfirmed => Some(0),
        Status::Dead | Status::Left => Some(1),
        Status::Suspect => rules.evict_alive.then_some(2),
        Status::Alive => rules.evict_alive.then_some(3),
    }
}
