//! How claims get into the tracker: what a peer says by speaking at all, and what it says of
//! others. The tracker decides; here its verdicts become news, corrections and refutations.
//!
//! How much is believed depends on the sender. An ack of this node's own number is first-hand: the peer is there, at its
//! incarnation. A member's claims are hearsay, and follow the tracker's rule for that. A stranger is believed one thing: that
//! a member may be in trouble, which the member can refute. Nothing here needs a lock to be right.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use incarnation::{Answer, Claim, Incarnation, Rejection, Status, Timestamp, Verdict};

use crate::protocol::{Members, Phase, Protocol, is_member, lock};
use crate::wire::Item;

/// How many accusations a node answers in a period; each may cost a write to its disk. The others are heard again.
const REFUTATIONS_PER_PERIOD: u32 = 16;

/// What the sender of a datagram is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It answered with a number that only it can have.
    FirstHand,
    /// Alive or Suspect, by its address.
    Member,
    /// Any other address: unknown, Unconfirmed, gone.
    Stranger,
}

/// What a datagram's claims call for.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Whether this is a whole state that this node asked for: all may enter of which it speaks.
    pub(crate) is_complete: bool,
    /// Whether it is that of a seed which lets this node in: it tells of deaths before this node's time.
    pub(crate) is_welcome: bool,
    /// What the sender must be told, since it is out of date.
    pub(crate) corrections: Vec<Item>,
    /// The highest claim about this node itself, and whether a member accuses it.
    accused: Option<(Claim, bool)>,
}

impl Protocol {
    /// A peer answered with this node's own number: it is there, at this incarnation.
    pub(crate) fn contacted(
        &self,
        view: &Members<'_>,
        peer: SocketAddr,
        process: u64,
        incarnation: Incarnation,
        joins: bool,
        now: Timestamp,
    ) -> Verdict {
        let verdict = if joins {
            view.rejoin(&peer, incarnation, now)
        } else {
            view.confirm(&peer, incarnation, now)
        };
        self.count(verdict);
        if verdict.accepted() {
            self.announce(peer);
        }
        // Of a peer that found no room nothing is remembered, or a flood of them would fill the memory.
        let before = match view.get(&peer) {
            Some(_) => lock(&self.processes).insert(peer, process),
            None => None,
        };
        let is_same = matches!(verdict, Verdict::Duplicate { current } if current.incarnation() == incarnation);
        if is_same && before.is_some_and(|before| before != process) {
            self.counters.same_incarnation_restarts.add(1);
        }
        verdict
    }

    /// A datagram says that its sender is there, at this incarnation; the sender may be another.
    pub(crate) fn hear_of_sender(
        &self,
        view: &Members<'_>,
        peer: SocketAddr,
        incarnation: Incarnation,
        standing: Standing,
        now: Timestamp,
        found: &mut Findings,
    ) {
        let claim = Claim::alive(incarnation);
        match (standing, view.get(&peer)) {
            (Standing::Stranger, None) => self.introduce(view, peer, Item::new(peer, claim), now),
            // A number of this node's own must come back before that changes.
            (Standing::Stranger, Some(_)) => {}
            _ => self.hear(view, Item::new(peer, claim), now, found),
        }
    }

    /// A peer says something of a node.
    pub(crate) fn apply(
        &self,
        view: &Members<'_>,
        from: SocketAddr,
        standing: Standing,
        item: Item,
        now: Timestamp,
        found: &mut Findings,
    ) {
        let Item { node, claim, .. } = item;
        if node == self.me {
            if standing != Standing::Stranger {
                let by_member = item
                    .accusers
                    .iter()
                    .any(|accuser| self.may_accuse(view, accuser, node));
                let (highest, accused) = found.accused.unwrap_or((claim, false));
                let rank = |claim: Claim| (claim.incarnation(), claim.status());
                let highest = if rank(claim) > rank(highest) {
                    claim
                } else {
                    highest
                };
                found.accused = Some((highest, accused || by_member));
            }
            return;
        }
        match (
            standing,
            view.get(&node).map(|state| state.status),
            claim.status(),
        ) {
            (Standing::Stranger, ..) => self.doubt(view, node, claim, now),
            (_, None, Status::Dead | Status::Left) => {
                // No news: it is no member here. If it were entered whenever a member still tells of
                // it, peers would pass it to and fro, long after each has swept it out. Only a new node
                // takes it, so that whatever comes back from the dead is known to it too; and only of others than the
                // one that speaks.
                self.counters.unknown_dead.add(1);
                if found.is_welcome && node != from {
                    // As a tombstone, which is not passed on: an entry would be, and so begin its time anew with
                    // each newcomer.
                    let _ = view.bury(&node, claim.incarnation(), now);
                }
            }
            (_, None, _) if !found.is_complete => self.introduce(view, from, item, now),
            _ => self.hear(view, item, now, found),
        }
    }

    /// An unknown node is spoken of. It enters as Unconfirmed while `sender` has not introduced too many and the last quarter
    /// of the table is free: that is for nodes that answer, or a flood of invented ones would keep them out.
    fn introduce(&self, view: &Members<'_>, sender: SocketAddr, item: Item, now: Timestamp) {
        let limit = self.tracker.hard_limit();
        let room = self.tracker.len() < limit - limit / 4;
        if room && lock(&self.introductions).allow(sender, item.node) {
            self.hear(view, item, now, &mut Findings::default());
        } else {
            self.counters.turned_away.add(1);
        }
    }

    /// Hearsay of a node other than this one.
    fn hear(&self, view: &Members<'_>, item: Item, now: Timestamp, found: &mut Findings) {
        let Item {
            node,
            claim,
            accusers,
        } = item;
        let verdict = view.hear(&node, claim, now);
        self.count(verdict);
        // A node that was introduced is passed on when it was heard from.
        let mut is_news = matches!(verdict, Verdict::Applied { .. });
        match verdict {
            Verdict::Applied { .. } | Verdict::Duplicate { .. }
                if claim.status() == Status::Suspect =>
            {
                let suspected = view.get(&node).is_some_and(|state| {
                    (state.status, state.incarnation) == (Status::Suspect, claim.incarnation())
                });
                for accuser in accusers {
                    if suspected && self.may_accuse(view, &accuser, node) {
                        is_news |=
                            lock(&self.suspicions).accuse(node, claim.incarnation(), accuser);
                    }
                }
            }
            // It may be true all the same: the node was accused that high, or came back from the dead. Its own word
            // settles it.
            Verdict::Rejected(Rejection::SuspiciousJump { .. } | Rejection::Tombstone { .. })
                if claim.status() == Status::Alive =>
            {
                lock(&self.probing).want_contact(node);
            }
            _ => {}
        }
        if is_news {
            self.announce(node);
        } else if let Some(current) = outdated(claim, verdict) {
            let item = match view.get(&node) {
                Some(state) if state.claim() == current => self.item(node, state),
                _ => Item::new(node, current),
            };
            found.corrections.push(item);
        }
    }

    /// Whether an accuser of a node counts: a member, or this node itself.
    fn may_accuse(&self, view: &Members<'_>, accuser: &SocketAddr, of: SocketAddr) -> bool {
        *accuser != of && (*accuser == self.me || view.can_suspect(accuser))
    }

    /// A stranger says that a member is in trouble. It is suspected at the incarnation it has, which it can refute, and
    /// no accuser shortens the suspicion. All else that strangers say of others is no evidence at all.
    fn doubt(&self, view: &Members<'_>, node: SocketAddr, claim: Claim, now: Timestamp) {
        let accuses = claim.status() > Status::Alive;
        let Some(state) = view
            .get(&node)
            .filter(|state| accuses && state.status == Status::Alive)
        else {
            return;
        };
        if claim.incarnation() < state.incarnation {
            return;
        }
        let verdict = view.hear(&node, Claim::suspect(state.incarnation), now);
        self.count(verdict);
        if verdict.accepted() {
            self.announce(node);
        }
    }

    /// Answers the highest claim of a datagram about this node itself, once.
    pub(crate) fn answer_accusation(&self, found: &Findings) {
        let Some((accused, by_member)) = found.accused else {
            return;
        };
        let local = self.tracker.local();
        let own = local.current();
        let settled = match self.phase() {
            // That it left outranks whatever they say.
            Phase::Leaving => accused.incarnation() <= own,
            // It did die, in an earlier run; a seed that does not let it in says what it takes.
            Phase::Joining => accused.status().is_gone(),
            Phase::Member => false,
        };
        if settled || (accused.incarnation(), accused.status()) <= (own, Status::Alive) {
            return;
        }
        // Relaxed: a number that orders nothing.
        if self.refutations.fetch_add(1, Ordering::Relaxed) >= REFUTATIONS_PER_PERIOD {
            return;
        }
        self.refute(accused, by_member);
    }

    fn refute(&self, accused: Claim, by_member: bool) {
        match self.tracker.local().answer(accused) {
            Ok(Answer::NotNeeded) => {}
            Ok(_) => {
                self.counters.refutations.add(1);
                if by_member {
                    self.health.worse();
                }
                self.announce(self.me);
            }
            Err(_) => self.counters.unrefuted.add(1),
        }
    }

    /// A seed that did not let this node in says what it takes. True if this node raised itself there.
    pub(crate) fn raise_to(&self, required: Incarnation) -> bool {
        let local = self.tracker.local();
        let own = local.current();
        if self.phase() != Phase::Joining || required <= own {
            return false;
        }
        match local.answer(Claim::dead(required.get() - 1)) {
            Ok(_) => {
                self.counters.refutations.add(1);
                true
            }
            Err(_) => {
                self.counters.unrefuted.add(1);
                false
            }
        }
    }

    fn count(&self, verdict: Verdict) {
        self.counters.claims.add(1);
        if verdict.accepted() {
            self.counters.accepted.add(1);
        } else if let Verdict::Rejected(reason) = verdict {
            self.counters.rejected.add(1);
            if matches!(reason, Rejection::Zombie { .. }) {
                self.counters.zombies.add(1);
            }
        }
    }
}

/// What a member that makes a claim must be told if it gets this verdict.
fn outdated(claim: Claim, verdict: Verdict) -> Option<Claim> {
    match verdict {
        Verdict::Stale { current } => Some(current),
        Verdict::Duplicate { current } if current.status() > claim.status() => Some(current),
        // Of the tombstone no more is known than that; a death outranks whatever it is told to.
        Verdict::Rejected(Rejection::Tombstone { incarnation }) => Some(Claim::dead(incarnation)),
        _ => None,
    }
    // Never of one that was not heard from itself.
    .filter(|current| is_member(current.status()) || current.status().is_gone())
}

#[cfg(test)]
mod tests {
    use incarnation::IncarnationTracker;

    use super::*;
    use crate::Config;

    const LIMIT: usize = 4;

    fn node(port: u16) -> SocketAddr {
        SocketAddr::new([10, 0, 0, 1].into(), port)
    }

    fn small(config: Config) -> Protocol {
        let tracker = IncarnationTracker::builder()
            .local_node(node(1))
            .max_nodes(LIMIT)
            .hard_limit(LIMIT)
            .build()
            .unwrap();
        Protocol::new(tracker, node(1), config, 7).unwrap()
    }

    fn contact(protocol: &Protocol, port: u16, joins: bool) -> Verdict {
        let view = protocol.tracker.pin();
        let incarnation = Incarnation::ZERO;
        protocol.contacted(&view, node(port), 9, incarnation, joins, Timestamp::ZERO)
    }

    #[test]
    fn of_peers_that_find_no_room_nothing_is_remembered() {
        let protocol = small(Config::default());
        for port in 2..2000 {
            let _ = contact(&protocol, port, port % 2 == 0);
        }
        assert_eq!(lock(&protocol.processes).len(), LIMIT);
    }

    #[test]
    fn of_peers_that_left_the_table_nothing_is_remembered_even_where_the_program_sweeps() {
        let protocol = small(Config {
            sweep_periods: 0,
            ..Config::default()
        });
        let mut now = Timestamp::ZERO;
        for port in 2..2000 {
            assert!(contact(&protocol, port, false).accepted());
            let _ = protocol.tracker.remove(&node(port), now);
            now = protocol.handle_timer(now, &mut Vec::new());
        }
        let remembered = lock(&protocol.processes).len();
        assert!(
            remembered <= protocol.tracker.capacity() + 1,
            "{remembered}"
        );
    }
}
