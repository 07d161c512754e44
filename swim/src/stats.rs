//! What a node counts of its work, for displays and tests. Numbers only; nothing decides by them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::wire::Dropped;

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// The counters themselves, raised by any thread.
        #[derive(Debug, Default)]
        pub(crate) struct StatusCounts {
            $(pub(crate) $name: Counter,)*
            dropped: [Counter; Dropped::ALL.len()],
        }

        /// What a node has counted since it was made.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[doc = $doc])* pub $name: u64,)*
            dropped: [u64; Dropped::ALL.len()],
        }

        impl StatusCounts {
            pub(crate) fn read(&self) -> Stats {
                Stats {
                    $($name: self.$name.get(),)*
                    dropped: core::array::from_fn(|i| self.dropped[i].get()),
                }
            }
        }
    };
}

counters! {
    /// Datagrams received and understood.
    received,
    /// Datagrams sent.
    sent,
    /// Claims put to the tracker, first-hand and by gossip.
    claims,
    /// Claims that the tracker accepted.
    accepted,
    /// Claims that it refused, apart from duplicate and stale ones.
    rejected,
    /// Claims that a node unknown here is dead or has left: no news, except to a new node.
    unknown_dead,
    /// Protocol periods begun: on a starved machine fewer than the time that passed.
    periods,
    /// Probes begun.
    probes,
    /// Probes that no ack answered, direct or relayed.
    failed_probes,
    /// Suspicions that this node raised itself.
    suspicions,
    /// Deaths that this node declared itself.
    deaths,
    /// Accusations that this node refuted with a new incarnation.
    refutations,
    /// Accusations that it could not refute.
    unrefuted,
    /// Members that were told that their claims are out of date.
    corrections,
    /// Rejoins that were refused: too soon after a death, too low an incarnation.
    zombies,
    /// Answers of seeds that their tables have no room for this node.
    no_room,
    /// Peers that came back as another process at the incarnation they had: they lost it, or did not raise it.
    same_incarnation_restarts,
    /// Addresses that hearsay did not bring into the table, since too many were introduced.
    turned_away,
    /// Claims about addresses that can't be a peer's: another host's loopback, multicast, and the like.
    unusable_addresses,
    /// Times that this node noticed that it had not run for more than a period.
    stalls,
}

impl StatusCounts {
    pub(crate) fn drop_datagram(&self, reason: Dropped) {
        self.dropped[index(reason)].add(1);
    }
}

impl Stats {
    /// Datagrams dropped for a reason.
    #[must_use]
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[index(reason)]
    }

    /// All datagrams dropped.
    #[must_use]
    pub fn all_dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

fn index(reason: Dropped) -> usize {
    reason as usize
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        // Relaxed, here and below: a number that orders nothing.
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drop_reason_has_a_counter_of_its_own() {
        let counters = StatusCounts::default();
        for (n, reason) in Dropped::ALL.into_iter().enumerate() {
            assert_eq!(index(reason), n);
            counters.drop_datagram(reason);
            assert_eq!(counters.read().dropped(reason), 1);
        }
        assert_eq!(counters.read().all_dropped(), Dropped::ALL.len() as u64);
    }
}
