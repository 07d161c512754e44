//! The writing side of a mirror: one member into the tracker or out of it, at incarnations of the mirror's own.

use core::hash::{BuildHasher, Hash};

use super::{MemberChange, Mirror, Observed, Reconciled, find, slot_of};
use crate::rule::{Claim, PackedState, Status};
use crate::table::Node;
use crate::time::Timestamp;
use crate::tracker::{NodeState, Slot, View};

/// What the mirror wrote to one slot, and whether the list of a round named it.
#[derive(Clone, Copy, Default)]
pub(super) struct Written {
    /// The lifetime that it was written in.
    pub(super) generation: u64,
    /// The engine's number.
    pub(super) number: u64,
    /// What the tracker was told; `None` if the mirror wrote nothing in this lifetime.
    pub(super) packed: Option<PackedState>,
    /// Twice the last round whose list named the node, plus 1 if a member of that list equalled it.
    pub(super) named: u64,
}

impl Written {
    /// Whether a member says what is shown.
    pub(super) fn equals<K>(&self, shown: PackedState, member: &Observed<K>) -> bool {
        !member.renewed
            && self.packed == Some(shown)
            && (self.number, shown.status()) == (member.number, member.status)
    }
}

/// What became of a member that was put to the tracker.
enum Outcome {
    Unchanged,
    Joined,
    Changed,
    /// The mirror shows as many members as it may.
    NoRoom,
    /// The tracker does not take it: it is the local node, or another writer was faster.
    Refused,
}

impl<K, D, S> Mirror<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) fn join_above(&mut self, last: NodeState) {
        let above = last.incarnation.saturating_add(1);
        self.first_incarnation = self.first_incarnation.max(above);
    }

    /// Writes one member; one that runs and finds no room takes that of one that does not.
    pub(super) fn enter(
        &mut self,
        member: Observed<K>,
        now: Timestamp,
        replaceable: &mut Option<Vec<(Timestamp, K)>>,
        report: &mut Reconciled,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) {
        loop {
            match self.write(&member, now, on_change) {
                Outcome::Unchanged => {}
                Outcome::Joined => report.joined += 1,
                Outcome::Changed => report.changed += 1,
                Outcome::NoRoom if !member.status.is_gone() => {
                    let gone = replaceable.get_or_insert_with(|| self.gone_members());
                    match gone.pop() {
                        None => report.left_out += 1,
                        Some((_, key)) => {
                            // Whichever of the two has no room is left out.
                            report.left_out += usize::from(self.take_out_if_gone(&key, on_change));
                            continue;
                        }
                    }
                }
                Outcome::NoRoom | Outcome::Refused => report.left_out += 1,
            }
            return;
        }
    }

    /// How many members the tracker may show.
    fn room(&self) -> usize {
        self.tracker.core().sweep_policy.max_nodes
    }

    /// The members that are Dead or Left, the one that has been so for longest last.
    fn gone_members(&self) -> Vec<(Timestamp, K)> {
        let view = self.tracker.pin();
        let mut gone: Vec<_> = view
            .iter()
            .filter(|(_, state)| state.status.is_gone())
            .map(|(key, state)| (state.last_update, key.clone()))
            .collect();
        gone.sort_by_key(|(since, _)| core::cmp::Reverse(*since));
        gone
    }

    fn take_out_if_gone(
        &mut self,
        key: &K,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> bool {
        let tracker = self.tracker.clone();
        let view = tracker.pin();
        let is_out = match find(&view, key) {
            Some((node, shown)) if shown.status().is_gone() => {
                self.take_out(&view, node, on_change)
            }
            _ => false,
        };
        drop(view);
        tracker.core().table.collect_if_due();
        is_out
    }

    /// Takes a node out of the table, and tells of it.
    fn take_out(
        &mut self,
        view: &View<'_, K, D, S>,
        node: Node<'_, K, D>,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> bool {
        let slot = slot_of(node);
        let Some(last) = view.forget(node.key()) else {
            return false;
        };
        self.join_above(last);
        let change = MemberChange {
            previous: Some(last),
            current: None,
            data: node.data(),
        };
        on_change(node.key(), slot, change);
        true
    }

    /// Has the tracker say what the engine says of a member.
    fn write(
        &mut self,
        member: &Observed<K>,
        now: Timestamp,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> Outcome {
        let view = self.tracker.pin();
        let found = find(&view, &member.key);
        let (previous, incarnation) = match found {
            None if self.tracker.local_node() == Some(&member.key) => return Outcome::Refused,
            None if self.tracker.len() >= self.room() => return Outcome::NoRoom,
            None => (None, self.first_incarnation),
            Some((node, shown)) => {
                let written = written_at(&mut self.written, node);
                if written.equals(shown, member) {
                    return Outcome::Unchanged;
                }
                let rises = !member.renewed
                    && written.packed == Some(shown)
                    && written.number == member.number
                    // An Unconfirmed node can't be suspected at its incarnation.
                    && shown.status() != Status::Unconfirmed
                    && member.status > shown.status();
                let known = shown.incarnation();
                let incarnation = if rises {
                    known
                } else {
                    known.saturating_add(1)
                };
                let previous = NodeState::new(shown, node.last_update());
                (Some(previous), incarnation)
            }
        };
        let claim = Claim::new(member.status, incarnation).trusted();
        if !view.update(&member.key, claim, now).accepted() {
            return Outcome::Refused;
        }
        // Another writer may have been there since: then the next reconciliation puts it right.
        let Some((node, packed)) = find(&view, &member.key) else {
            return Outcome::Refused;
        };
        let written = written_at(&mut self.written, node);
        written.number = member.number;
        written.packed = PackedState::of(claim);
        let change = MemberChange {
            previous,
            current: Some(NodeState::new(packed, node.last_update())),
            data: node.data(),
        };
        on_change(node.key(), slot_of(node), change);
        match previous {
            None => Outcome::Joined,
            Some(_) => Outcome::Changed,
        }
    }

    /// Takes out the nodes that the list of this round does not name.
    pub(super) fn forget_unnamed(
        &mut self,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> usize {
        let tracker = self.tracker.clone();
        let view = tracker.pin();
        let mut unnamed = Vec::new();
        view.pinned.scan(1, view.pinned.mark(), |node, _| {
            if written_at(&mut self.written, node).named < self.round * 2 {
                unnamed.push(node);
            }
        });
        let taken_out = unnamed
            .into_iter()
            .filter(|node| self.take_out(&view, *node, on_change))
            .count();
        drop(view);
        tracker.core().table.collect_if_due();
        taken_out
    }
}

/// What was written to the slot of a node, cleared if that was in another lifetime.
pub(super) fn written_at<'w, K, D>(
    written: &'w mut Vec<Written>,
    node: Node<'_, K, D>,
) -> &'w mut Written {
    let (index, generation) = (slot_of(node).index, node.generation());
    if written.len() <= index {
        written.resize_with(index + 1, Written::default);
    }
    let here = &mut written[index];
    if here.generation != generation {
        *here = Written {
            generation,
            ..Written::default()
        };
    }
    here
}
