//! The list side of a mirror: which members of a list differ from what is shown, and which nodes it does not name.
//!
//! What follows from that for one member is in [`write`](super::write).

use core::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::observed::precedence;
use super::write::written_at;
use super::{MemberChange, Mirror, Observed, Reconciled, find, slot_of};
use crate::time::Timestamp;
use crate::tracker::Slot;

/// Members of one list that differ from what is shown, one for each key.
struct Differing<K> {
    members: Vec<Observed<K>>,
    by_key: HashTable<usize>,
}

impl<K: Eq> Differing<K> {
    /// Adds a member; of two with one key the one that runs stays.
    fn add(&mut self, hash: impl Fn(&K) -> u64, member: Observed<K>) {
        let Self { members, by_key } = self;
        let entry = by_key.entry(
            hash(&member.key),
            |at| members[*at].key == member.key,
            |at| hash(&members[*at].key),
        );
        match entry {
            Entry::Vacant(vacant) => {
                vacant.insert(members.len());
                members.push(member);
            }
            Entry::Occupied(occupied) => {
                let known = &mut members[*occupied.get()];
                let renewed = known.renewed || member.renewed;
                if precedence(member.status) > precedence(known.status) {
                    *known = member;
                }
                known.renewed = renewed;
            }
        }
    }
}

impl<K, D, S> Mirror<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`reconcile_with`](Self::reconcile_with).
    pub(super) fn reconcile_list<I>(
        &mut self,
        members: I,
        now: Timestamp,
        on_change: &mut impl FnMut(&K, Slot, MemberChange<'_, D>),
    ) -> Reconciled
    where
        I: IntoIterator<Item: Into<Observed<K>>>,
    {
        self.round += 1;
        let mut report = Reconciled::default();
        let mut differing = Differing {
            members: Vec::new(),
            by_key: HashTable::new(),
        };
        // Nodes of the tracker that the list names.
        let (mut listed, mut named) = (0, 0);
        let view = self.tracker.pin();
        let hash = |key: &K| view.core.hasher.hash_one(key);
        for member in members {
            let member = member.into();
            listed += 1;
            let Some((node, shown)) = find(&view, &member.key) else {
                differing.add(hash, member);
                continue;
            };
            let written = written_at(&mut self.written, node);
            if written.named < self.round * 2 {
                written.named = self.round * 2;
                named += 1;
            }
            if written.equals(shown, &member) {
                written.named = self.round * 2 + 1;
            } else {
                differing.add(hash, member);
            }
        }
        drop(view);

        let mut members = differing.members;
        // Changes of members that are shown need no room. Among those that join, the running ones go first.
        let named_unknown = self.drop_outranked(&mut members);
        report.conflicts = usize::saturating_sub(listed, named + named_unknown);
        // All nodes that the list names are in the tracker, so there are others only if there are more.
        if self.tracker.len() > named {
            report.forgotten = self.forget_unnamed(on_change);
        }
        let mut replaceable = None;
        for member in members {
            self.enter(member, now, &mut replaceable, &mut report, on_change);
        }
        report
    }

    /// Takes out members that another with the same key is preferred to, and brings those that are shown to the front,
    /// before those that run. Returns how many keys of the list are not shown.
    fn drop_outranked(&self, members: &mut Vec<Observed<K>>) -> usize {
        if members.is_empty() {
            return 0;
        }
        let view = self.tracker.pin();
        let mut unknown = 0;
        let mut ranked: Vec<(u8, Observed<K>)> = Vec::with_capacity(members.len());
        for member in members.drain(..) {
            let rank = match find(&view, &member.key) {
                None => {
                    unknown += 1;
                    3 - precedence(member.status).min(1)
                }
                Some((node, shown)) => {
                    let written = self.written.get(slot_of(node).index);
                    let is_equalled = written.is_some_and(|w| w.named == self.round * 2 + 1);
                    if is_equalled && precedence(member.status) <= precedence(shown.status()) {
                        continue;
                    }
                    0
                }
            };
            ranked.push((rank, member));
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        members.extend(ranked.into_iter().map(|(_, member)| member));
        unknown
    }
}
