//! Which news to pass on: how often each node's latest state was sent, and nothing of the state.
//!
//! SWIM, section 4.1: piggybacked on the probes, the news sent least often first, each a multiple of
//! log n times. What is said of a node is read from the tracker when a datagram is filled, so news
//! coalesces: however often a node's state changes, it waits here once. Bounded by the nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// A node's place in the order of sending: first those sent least often, of them the latest news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    sent: u32,
    /// Counts down, so that later is smaller.
    age: u64,
}

/// The nodes of which there is news.
#[derive(Debug)]
pub(crate) struct Gossip {
    order: BTreeSet<(Turn, SocketAddr)>,
    turns: BTreeMap<SocketAddr, Turn>,
    next_age: u64,
}

impl Gossip {
    pub(crate) const fn new() -> Self {
        Self {
            order: BTreeSet::new(),
            turns: BTreeMap::new(),
            next_age: u64::MAX,
        }
    }

    /// There is news of a node, which was never sent. Of more than `bound` nodes there is none: the
    /// news sent most often is over then. (Nodes that the table has lost are noticed only when their
    /// turn comes, so without a bound a flood of short lives would pile up.)
    pub(crate) fn announce(&mut self, node: SocketAddr, bound: usize) {
        let turn = Turn {
            sent: 0,
            age: self.next_age,
        };
        self.next_age -= 1;
        if let Some(before) = self.turns.insert(node, turn) {
            self.order.remove(&(before, node));
        }
        self.order.insert((turn, node));
        while self.order.len() > bound {
            if let Some((_, last)) = self.order.pop_last() {
                self.turns.remove(&last);
            }
        }
    }

    /// How many nodes there is news of.
    pub(crate) fn len(&self) -> usize {
        self.turns.len()
    }

    /// Offers the news to `send` in order until it has no more room. News that was sent `limit`
    /// times, or that `send` says is none, is over.
    pub(crate) fn fill(&mut self, limit: u32, mut send: impl FnMut(SocketAddr) -> Sent) {
        let mut handled = Vec::new();
        for &(turn, node) in &self.order {
            let sent = send(node);
            if sent == Sent::NoRoom {
                break;
            }
            handled.push((turn, node, sent));
        }
        for (turn, node, sent) in handled {
            self.order.remove(&(turn, node));
            let again = Turn {
                sent: turn.sent + 1,
                ..turn
            };
            match sent {
                Sent::Yes if again.sent < limit => {
                    self.turns.insert(node, again);
                    self.order.insert((again, node));
                }
                // HashedKey for others.
                Sent::Skipped => {
                    self.order.insert((turn, node));
                }
                _ => {
                    self.turns.remove(&node);
                }
            }
        }
    }
}

/// What became of a piece of news that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Yes,
    /// Not for this receiver.
    Skipped,
    /// It is no news any more.
    Void,
    NoRoom,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> SocketAddr {
        SocketAddr::new([10, 0, 0, 1].into(), port)
    }

    fn take(gossip: &mut Gossip, limit: u32, room: usize) -> Vec<u16> {
        let mut taken = Vec::new();
        gossip.fill(limit, |node| {
            if taken.len() == room {
                return Sent::NoRoom;
            }
            taken.push(node.port());
            Sent::Yes
        });
        taken
    }

    #[test]
    fn the_least_sent_goes_first_and_each_goes_as_often_as_the_limit() {
        let mut gossip = Gossip::new();
        gossip.announce(node(1), 9);
        assert_eq!(take(&mut gossip, 3, 9), [1]);
        gossip.announce(node(2), 9);
        assert_eq!(take(&mut gossip, 3, 1), [2]);
        let mut sent = Vec::new();
        for _ in 0..9 {
            sent.extend(take(&mut gossip, 3, 1));
        }
        sent.sort_unstable();
        assert_eq!(sent, [1, 1, 2, 2]);
        assert_eq!(gossip.len(), 0);
        assert!(gossip.order.is_empty());
    }

    #[test]
    fn news_of_one_node_coalesces_and_starts_anew() {
        let mut gossip = Gossip::new();
        for _ in 0..1000 {
            gossip.announce(node(1), 9);
            assert_eq!(take(&mut gossip, 5, 1), [1]);
            gossip.announce(node(1), 9);
        }
        assert_eq!((gossip.len(), gossip.order.len()), (1, 1));
        let total: usize = (0..9).map(|_| take(&mut gossip, 5, 1).len()).sum();
        assert_eq!(total, 5);
    }

    #[test]
    fn there_is_never_news_of_more_nodes_than_the_bound() {
        let mut gossip = Gossip::new();
        for port in 1..=100 {
            gossip.announce(node(port), 9);
            assert!(gossip.len() <= 9 && gossip.order.len() == gossip.len());
        }
        assert_eq!(
            take(&mut gossip, 9, 9),
            (92..=100).rev().collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_is_no_news_goes_and_what_is_skipped_stays() {
        let mut gossip = Gossip::new();
        gossip.announce(node(1), 9);
        gossip.announce(node(2), 9);
        gossip.fill(9, |n| {
            if n == node(1) {
                Sent::Void
            } else {
                Sent::Skipped
            }
        });
        assert_eq!(take(&mut gossip, 9, 9), [2]);
    }
}
