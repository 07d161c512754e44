//! The gossip queue: of which nodes there is news, and how often each was sent.
//!
//! SWIM, section 4.1: news travels on the probes, the news sent least often first, each a multiple of log n times. The
//! queue holds no states. A node's state is read from the tracker when a datagram is filled, so a node is in the queue at
//! most once, however often its state changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// The order of sending: the news sent least often goes first, and of equals the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    sent: u32,
    /// Counts down: later news has a smaller number.
    age: u64,
}

/// The nodes of which there is news to send.
#[derive(Debug)]
pub(crate) struct Gossip {
    order: BTreeSet<(Turn, SocketAddr)>,
    turns: BTreeMap<SocketAddr, Turn>,
    next_age: u64,
    /// How many datagrams with news each receiver got in this period.
    told: BTreeMap<SocketAddr, u32>,
}

/// How many datagrams with news one receiver gets in a period. A pair of nodes has a ping and an ack for each other; more
/// come of relays, or of pings with a forged address, which would use up all transmissions on one node.
const PER_RECEIVER: u32 = 3;

impl Gossip {
    pub(crate) const fn new() -> Self {
        Self {
            order: BTreeSet::new(),
            turns: BTreeMap::new(),
            next_age: u64::MAX,
            told: BTreeMap::new(),
        }
    }

    /// A period begins.
    pub(crate) fn begin_period(&mut self) {
        self.told.clear();
    }

    /// Whether a receiver may be told news once more in this period; if so, it is counted. Without news nothing is.
    pub(crate) fn may_tell(&mut self, receiver: SocketAddr) -> bool {
        if self.turns.is_empty() {
            return false;
        }
        let told = self.told.entry(receiver).or_default();
        *told += 1;
        *told <= PER_RECEIVER
    }

    /// Queues news of a node, as never sent. If the queue then holds more than `bound` nodes, the news sent most often is
    /// dropped. (A node that the table has evicted stays in the queue until its turn, so without a bound a flood of
    /// short-lived nodes would fill the memory.)
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

    /// How many nodes are in the queue.
    pub(crate) fn len(&self) -> usize {
        self.turns.len()
    }

    /// Offers the news to `send`, in order, until `send` has no more room. A node leaves the queue once its news was sent
    /// `limit` times, or `send` returns [`Sent::Void`].
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
                // It waits for other receivers.
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

/// What `send` did with a piece of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The news is in the datagram.
    Yes,
    /// The news is not for this receiver.
    Skipped,
    /// The table has nothing to tell of the node any more.
    Void,
    /// The datagram is full.
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
    fn news_sent_least_often_goes_first_and_is_sent_limit_times() {
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
    fn new_news_of_a_queued_node_replaces_the_old_and_counts_from_zero() {
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
    fn the_queue_never_holds_more_nodes_than_the_bound() {
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
    fn one_receiver_is_told_a_few_times_in_a_period() {
        let mut gossip = Gossip::new();
        assert!(!gossip.may_tell(node(1)) && gossip.told.is_empty());
        gossip.announce(node(2), 9);
        let told = |gossip: &mut Gossip, receiver| {
            (0..100).filter(|_| gossip.may_tell(node(receiver))).count()
        };
        assert_eq!((told(&mut gossip, 1), told(&mut gossip, 3)), (3, 3));
        gossip.begin_period();
        assert_eq!(told(&mut gossip, 1), 3);
    }

    #[test]
    fn void_news_leaves_the_queue_and_skipped_news_stays() {
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
