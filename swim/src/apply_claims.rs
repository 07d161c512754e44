//! How what is heard gets into the tracker: what a peer says by speaking at all, and what it says of
//! others. The tracker decides; here its verdicts become news, corrections and refutations.
//!
//! Hearsay of a node that was never heard from makes it Unconfirmed and no more, so that only
//! contact makes a member, and only members can be suspected. Nothing here needs a lock to be right.

use std::net::SocketAddr;

use incarnation::{Answer as Reply, Claim, Incarnation, Rejection, Status, Timestamp, Verdict};

use crate::protocol::{Members, Phase, Protocol};
use crate::wire::Item;

/// What a datagram's claims call for.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// What the sender must be told, since it is out of date.
    pub(crate) corrections: Vec<Item>,
    /// The sender is out of date about this node itself: any datagram tells it.
    pub(crate) introduce: bool,
    /// The sender takes this node for dead, and it has not joined yet: it must ask to be let in.
    pub(crate) knock: bool,
    /// The sender asked to rejoin, and may at this incarnation.
    pub(crate) refuse: Option<Incarnation>,
}

impl Protocol {
    /// A peer spoke: it is there, at this incarnation.
    pub(crate) fn heard_from(
        &self,
        view: &Members<'_>,
        peer: SocketAddr,
        incarnation: Incarnation,
        joins: bool,
        now: Timestamp,
        answer: &mut Answer,
    ) {
        let verdict = if joins {
            view.rejoin(&peer, incarnation, now)
        } else {
            view.confirm(&peer, incarnation, now)
        };
        self.count(verdict);
        if verdict.accepted() {
            self.announce(peer);
            return;
        }
        let outdated = outdated(Claim::alive(incarnation), verdict);
        if joins && (is_zombie(verdict) || outdated.is_some_and(|claim| claim.status().is_gone())) {
            answer.refuse = view.required_incarnation(&peer, now);
        } else {
            answer
                .corrections
                .extend(outdated.map(|claim| Item { node: peer, claim }));
        }
    }

    /// A peer says something of a node; `learns`: it tells a new node of all that was.
    pub(crate) fn hear(
        &self,
        view: &Members<'_>,
        item: Item,
        learns: bool,
        now: Timestamp,
        answer: &mut Answer,
    ) {
        let Item { node, claim } = item;
        let known = view.get(&node).map(|state| state.status);
        let verdict = match (known, claim.status()) {
            (None, Status::Dead | Status::Left) if node != self.me => {
                // No news: it is no member here. If it were entered whenever somebody still tells of
                // it, peers would pass it to and fro, long after each has swept it out. Only a new node
                // takes it, so that whatever comes back from the dead is known to it too.
                self.counters.unknown_dead.add(1);
                if learns {
                    let verdict = view.update(&node, claim, now);
                    self.count(verdict);
                    // Remembered as a tombstone, which is not passed on: an entry would be, and so begin its time anew with
                    // each newcomer.
                    if verdict.accepted() {
                        let _ = view.remove_if(&node, claim, now);
                    }
                }
                return;
            }
            (None, _) => self.introduce(view, item, now),
            // It counts when it is heard from.
            (Some(Status::Unconfirmed), Status::Alive | Status::Suspect) => return,
            (Some(_), _) => self.believe(view, item, now),
        };
        self.count(verdict);
        if let Verdict::AboutSelf { accused } = verdict {
            self.accused(accused, answer);
        } else if verdict.accepted() {
            // An introduced one is passed on once it was heard from.
            if known.is_some() {
                self.announce(node);
            }
        } else if let Some(current) = outdated(claim, verdict) {
            answer.corrections.push(Item {
                node,
                claim: current,
            });
        }
    }

    /// An unknown node is said to live: it enters as Unconfirmed, unless it is buried. In two steps,
    /// of which the second never touches a node that came to be known meanwhile.
    fn introduce(&self, view: &Members<'_>, item: Item, now: Timestamp) -> Verdict {
        let hearsay = Claim::unconfirmed(item.claim.incarnation());
        match view.judge(&item.node, hearsay, now) {
            Verdict::Joined => view.add_unconfirmed(&item.node, now),
            Verdict::AboutSelf { .. } => Verdict::AboutSelf {
                accused: item.claim,
            },
            verdict => verdict,
        }
    }

    /// A claim about a known node, for this life of it only: were it evicted at this very moment, the
    /// claim would enter it anew without its having been heard from.
    fn believe(&self, view: &Members<'_>, item: Item, now: Timestamp) -> Verdict {
        // Most gossip is no news, and then nothing needs an owned handle.
        let verdict = view.judge(&item.node, item.claim, now);
        if !verdict.accepted() {
            return verdict;
        }
        self.tracker
            .handle(&item.node)
            .and_then(|entry_state| entry_state.update(item.claim, now))
            .unwrap_or_else(|| self.introduce(view, item, now))
    }

    /// Somebody says something of this node itself.
    fn accused(&self, accused: Claim, answer: &mut Answer) {
        let phase = self.phase();
        let local = self.tracker.local();
        let own = local.current();
        if phase == Phase::Leaving && accused.incarnation() <= own {
            // That it left outranks whatever they say.
            return;
        }
        if accused.incarnation() < own {
            answer.introduce = true;
            return;
        }
        if phase == Phase::Joining && accused.status().is_gone() {
            // It did die, in an earlier life; how to come back is said by those who let it in.
            answer.knock = true;
            return;
        }
        match local.answer(accused) {
            // It is as they say.
            Ok(Reply::Refuted(_) | Reply::Overtaken(_)) => {
                self.counters.refutations.add(1);
                if accused.status() != Status::Alive {
                    self.health.worse();
                }
                self.announce(self.me);
                answer.introduce = true;
            }
            Ok(_) => {}
            Err(_) => self.counters.unrefuted.add(1),
        }
    }

    /// A member that did not let this node in says what it takes. True if it was met.
    pub(crate) fn refused(&self, required: Incarnation) -> bool {
        if self.phase() != Phase::Joining {
            return false;
        }
        let below = Incarnation::new(required.get().saturating_sub(1));
        match self.tracker.local().answer(Claim::dead(below)) {
            Ok(reply) => {
                if reply.incarnation().is_some() {
                    self.counters.refutations.add(1);
                }
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

fn is_zombie(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Rejected(Rejection::Zombie { .. }))
}

/// What somebody must be told who makes a claim that gets this verdict.
fn outdated(claim: Claim, verdict: Verdict) -> Option<Claim> {
    match verdict {
        Verdict::Stale { current } => Some(current),
        Verdict::Duplicate { current } if current.status() > claim.status() => Some(current),
        // Of the tombstone no more is known than that; a death outranks whatever it is told to.
        Verdict::Rejected(Rejection::Tombstone { incarnation }) => Some(Claim::dead(incarnation)),
        _ => None,
    }
    // Never of one that was not heard from itself.
    .filter(|current| current.status() != Status::Unconfirmed)
}
