//! The order in which a failure detector probes the members: SWIM's shuffled round robin.
//!
//! SWIM, section 4.3: probing members at random leaves some of them unprobed for long. So each node goes through all
//! members in rounds, in an order shuffled anew for each round, and a new member gets a random place in it. Then no failure
//! goes unnoticed for longer than two rounds.
//!
//! The order is over node lifetimes, not keys: a lifetime that is over is skipped, and a node that comes back is a new
//! member. New members are found by a pass over the table, made only when the count of joins moved.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hash};
use std::net::SocketAddr;

use super::sample::{below, shuffle};
use crate::hash::RandomState;
use crate::table::{Index, Pinned};
use crate::tracker::{IncarnationTracker, NodeHandle, NodeState};

/// All members of a tracker, one after the other in rounds, for a failure detector; made by
/// [`IncarnationTracker::probe_order`].
///
/// It belongs to one failure detector, and keeps the table's memory alive. It takes 16 to 24 bytes a node, and up to as much
/// again for nodes that are gone and were not skipped yet.
pub struct ProbeOrder<K = SocketAddr, D = (), S = RandomState> {
    tracker: IncarnationTracker<K, D, S>,
    members: Vec<Member>,
    /// The members before this index had their turn in this round.
    turn: usize,
    /// By entry index: the generation of the lifetime that was last admitted there (0: none ever).
    admitted: Vec<u64>,
    /// How many joins there had been when the table was last looked through.
    joins: Option<u64>,
    rounds: u64,
}

/// One node lifetime in the order.
#[derive(Clone, Copy)]
struct Member {
    index: Index,
    generation: u64,
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The members in the order in which a failure detector should probe them: see
    /// [`ProbeOrder::next_member`], where there is an example. Each probe order is shuffled on its own. Cost: nothing until it is asked.
    #[must_use]
    pub fn probe_order(&self) -> ProbeOrder<K, D, S> {
        ProbeOrder {
            tracker: self.clone(),
            members: Vec::new(),
            turn: 0,
            admitted: Vec::new(),
            joins: None,
            rounds: 0,
        }
    }
}

impl<K, D, S> ProbeOrder<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The next member that passes `filter`; `None` if a whole round through has none.
    ///
    /// Each member that stays has its turn exactly once a round, whatever joins or leaves; if the
    /// filter refuses it then, its turn is over all the same. One that joined gets a random place
    /// in the round: ahead of the turn or behind it. Never the local node, which is not in the table.
    ///
    /// `random` as in [`IncarnationTracker::sample`]: one number for each member that is new or,
    /// when a round begins, in the order.
    ///
    /// Cost: a cache line for each member looked at; at the beginning of a round a shuffle; after
    /// joins a pass over the array of entries.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// # for node in 0..3 { let _ = tracker.update(&node, Claim::alive(1), Timestamp::ZERO); }
    /// # let mut state = 7_u64;
    /// # let mut next_u64 = move || { state = state.wrapping_add(0x9e37_79b9_7f4a_7c15); state };
    /// let mut order = tracker.probe_order();
    /// // Once in each protocol period:
    /// if let Some(member) = order.next_member(&mut next_u64, |_, state| !state.status.is_gone()) {
    ///     println!("ping {}", member.key());
    /// }
    /// # assert_eq!((order.rounds(), order.left_in_round()), (1, 2));
    /// # Ok(()) }
    /// ```
    #[doc(alias = "next")]
    pub fn next_member(
        &mut self,
        mut random: impl FnMut() -> u64,
        mut filter: impl FnMut(&K, NodeState) -> bool,
    ) -> Option<NodeHandle<K, D, S>> {
        let view = self.tracker.pin();
        let Self {
            members,
            turn,
            admitted,
            rounds,
            ..
        } = self;
        let joins = view.core.event_counters.arrivals();
        if self.joins != Some(joins) {
            admit_new(&view.pinned, members, turn, admitted, &mut random);
            // Only after the pass: if `random` panics, the next call admits the rest.
            self.joins = Some(joins);
        }
        let mut whole_round = *turn == 0;
        loop {
            while let Some(Member { index, generation }) = members.get(*turn).copied() {
                let Some((node, packed)) = view.pinned.revisit(index, generation) else {
                    // The last one takes its place: the members to come are in random order anyway.
                    members.swap_remove(*turn);
                    continue;
                };
                *rounds = (*rounds).max(1);
                *turn += 1;
                let state = NodeState::new(packed, node.last_update());
                if filter(node.key(), state) {
                    let key = node.key().clone();
                    return Some(NodeHandle::of(&self.tracker, index, generation, key));
                }
            }
            if whole_round || members.is_empty() {
                return None;
            }
            shuffle(members, &mut random);
            *turn = 0;
            *rounds += 1;
            whole_round = true;
        }
    }

    /// How many rounds have begun. It moves on with the first member of each.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// How many known members have their turn in this round still ahead.
    #[must_use]
    pub fn left_in_round(&self) -> usize {
        self.members.len() - self.turn
    }
}

/// The order may hold so many members that are gone, beside as many as there are members, before they are taken out.
const SPARE: usize = 64;

/// Gives each node lifetime that is not in the order yet a random place in it.
fn admit_new<K, D>(
    pinned: &Pinned<'_, K, D>,
    members: &mut Vec<Member>,
    turn: &mut usize,
    admitted: &mut Vec<u64>,
    random: &mut impl FnMut() -> u64,
) {
    let mark = pinned.mark();
    if admitted.len() <= mark as usize {
        admitted.resize(mark as usize + 1, 0);
    }
    let mut living = 0;
    pinned.scan(1, mark, |node, _| {
        living += 1;
        let (index, generation) = (node.index(), node.generation());
        let known = &mut admitted[index.get() as usize];
        if *known == generation {
            return;
        }
        let (place, last) = (below(members.len() + 1, random), members.len());
        *known = generation;
        members.push(Member { index, generation });
        if place < *turn {
            // Among the members that had their turn, whose order no longer matters.
            members.swap(*turn, last);
            *turn += 1;
        } else {
            members.swap(place, last);
        }
    });
    if members.len() > 2 * living + SPARE {
        // Nodes come and go faster than the turn goes round, so it would meet the gone ones too late.
        let (mut place, mut had_their_turn) = (0, 0);
        members.retain(|member| {
            let lives = pinned.revisit(member.index, member.generation).is_some();
            had_their_turn += usize::from(lives && place < *turn);
            place += 1;
            lives
        });
        *turn = had_their_turn;
    }
}

impl<K, D, S> fmt::Debug for ProbeOrder<K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeOrder")
            .field("members", &self.members.len())
            .field("turn", &self.turn)
            .field("rounds", &self.rounds)
            .finish_non_exhaustive()
    }
}
