//! What can be seen of a tracker, compared with the model.

use incarnation::Status;

use super::{HeldHandle, Lockstep, Unequal, held, same};
use crate::ops::Key;

impl Lockstep<'_> {
    /// Takes a handle, and looks at its slot.
    pub(super) fn grab(&mut self, node: Key, number: u8) -> Result<(), Unequal> {
        let handle = self.tracker.handle(&node);
        let lifetime = self.model.lifetime(&node);
        same("a handle on it", lifetime.is_some(), handle.is_some())?;
        let (Some(handle), Some(lifetime)) = (handle, lifetime) else {
            return Ok(());
        };
        let slot = handle.slot();
        same("key of a handle", node, *handle.key())?;
        same(
            "slot below capacity",
            true,
            slot.index < self.tracker.capacity(),
        )?;
        let owner = *self.slots.entry(slot).or_insert((node, lifetime));
        same("the lifetime of a slot", (node, lifetime), owner)?;
        self.handles[usize::from(number)] = Some(HeldHandle {
            handle,
            node,
            lifetime,
        });
        Ok(())
    }

    /// Everything that can be seen.
    pub(super) fn compare_all(&self) -> Result<(), Unequal> {
        let Self { tracker, model, .. } = self;
        for node in 0..self.nodes {
            let expected = model.get(&node);
            let status = expected.map(|held| held.packed.status());
            same(
                format_args!("node {node}"),
                expected,
                held(tracker.get(&node)),
            )?;
            same(
                format_args!("node {node} is confirmed"),
                status.is_some_and(|status| status != Status::Unconfirmed),
                tracker.is_confirmed(&node),
            )?;
            same(
                format_args!("node {node} can be suspected"),
                matches!(status, Some(Status::Alive | Status::Suspect)),
                tracker.can_suspect(&node),
            )?;
        }
        let mut listed: Vec<_> = tracker
            .iter()
            .map(|(node, state)| (node, held(Some(state))))
            .collect();
        listed.sort_unstable_by_key(|(node, _)| *node);
        let known: Vec<_> = model
            .iter()
            .map(|(node, held)| (*node, Some(held)))
            .collect();
        same("all nodes", known, listed)?;
        hints(model.len(), tracker.iter())?;
        hints(model.len(), tracker.pin().iter())?;
        same("number of nodes", model.len(), tracker.len())?;
        same("emptiness", model.is_empty(), tracker.is_empty())?;
        same(
            "entries that wait",
            tracker.stats().pending_reclaim,
            tracker.pending_reclaim(),
        )?;
        for status in Status::ALL {
            same(
                format_args!("nodes that are {status}"),
                model.count(status),
                tracker.counts().of(status),
            )?;
        }
        same("tombstones", model.tombstones(), tracker.tombstones())?;
        same("own incarnation", model.own(), tracker.local().current())?;
        for kept in self.handles.iter().flatten() {
            let state = kept.lasts_in(model).then(|| model.get(&kept.node));
            same(
                "state of a handle",
                state.flatten(),
                held(kept.handle.state()),
            )?;
        }
        Ok(())
    }
}

/// What an iterator says of how much is left is true all the way.
fn hints(known: usize, mut nodes: impl Iterator) -> Result<(), Unequal> {
    for left in (0..=known).rev() {
        let (least, most) = nodes.size_hint();
        let is_true = least <= left && most.is_some_and(|most| left <= most);
        same(format_args!("hint of {left} nodes left"), true, is_true)?;
        same("a node that is left", left > 0, nodes.next().is_some())?;
    }
    same("hint at the end", (0, Some(0)), nodes.size_hint())
}
