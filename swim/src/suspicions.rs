//! The accusers of suspected nodes: Lifeguard's shortening of suspicions (Dadgar, Phillips, Currey, *Lifeguard*, 2018,
//! section IV-B). One accuser may itself be the faulty one, so its suspicion lasts long; each independent accuser, up to
//! [`INDEPENDENT`] more, shortens it.
//!
//! The accusers are held here, the suspicion itself is in the tracker. There is an entry for each node that the tracker
//! holds Suspect at most: the timer drops the others.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use incarnation::Incarnation;

/// How many accusers beside the first bring a suspicion to its shortest (Lifeguard's K).
const INDEPENDENT: usize = 3;
/// More accusers change nothing, and are not passed on.
pub(crate) const MAX_ACCUSERS: usize = INDEPENDENT + 1;

#[derive(Debug)]
struct Suspicion {
    incarnation: Incarnation,
    accusers: Vec<SocketAddr>,
}

/// The accusers of all suspected nodes.
#[derive(Debug, Default)]
pub(crate) struct Suspicions {
    nodes: BTreeMap<SocketAddr, Suspicion>,
}

impl Suspicions {
    /// Notes an accuser of a node; false if it was known, or if there are enough.
    pub(crate) fn accuse(
        &mut self,
        node: SocketAddr,
        incarnation: Incarnation,
        accuser: SocketAddr,
    ) -> bool {
        let suspicion = self.nodes.entry(node).or_insert_with(|| Suspicion {
            incarnation,
            accusers: Vec::new(),
        });
        if suspicion.incarnation > incarnation {
            return false;
        }
        if suspicion.incarnation < incarnation {
            *suspicion = Suspicion {
                incarnation,
                accusers: Vec::new(),
            };
        }
        let is_new =
            suspicion.accusers.len() < MAX_ACCUSERS && !suspicion.accusers.contains(&accuser);
        if is_new {
            suspicion.accusers.push(accuser);
        }
        is_new
    }

    /// The accusers of a node at an incarnation.
    pub(crate) fn accusers(&self, node: &SocketAddr, incarnation: Incarnation) -> &[SocketAddr] {
        match self.nodes.get(node) {
            Some(suspicion) if suspicion.incarnation == incarnation => &suspicion.accusers,
            _ => &[],
        }
    }

    /// Forgets the nodes that are not suspected any more.
    pub(crate) fn retain(&mut self, is_suspected: impl Fn(&SocketAddr) -> bool) {
        self.nodes.retain(|node, _| is_suspected(node));
    }
}

/// How long a suspicion by so many accusers lasts in a group of `members`: from `longest` with one to `shortest` with
/// [`MAX_ACCUSERS`], or with all there can be in a small group.
pub(crate) fn timeout(
    shortest: Duration,
    longest: Duration,
    accusers: usize,
    members: usize,
) -> Duration {
    // Neither the suspected node nor the first accuser is another accuser.
    let possible = INDEPENDENT.min(members.saturating_sub(2));
    let more = accusers.saturating_sub(1).min(possible);
    if more >= possible && accusers > 0 {
        return shortest;
    }
    let part = ((more + 1) as f64).ln() / ((possible.max(1) + 1) as f64).ln();
    shortest + longest.saturating_sub(shortest).mul_f64(1.0 - part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> SocketAddr {
        SocketAddr::new([10, 0, 0, 1].into(), port)
    }

    #[test]
    fn each_independent_accuser_shortens_a_suspicion() {
        let seconds = Duration::from_secs;
        let times: Vec<_> = (0..=6)
            .map(|accusers| timeout(seconds(10), seconds(60), accusers, 100).as_secs())
            .collect();
        // 60 - 50 * ln(C + 1) / ln(4), for C accusers beside the first.
        assert_eq!(times, [60, 60, 35, 20, 10, 10, 10]);
    }

    #[test]
    fn in_a_small_group_all_possible_accusers_are_enough() {
        let seconds = Duration::from_secs;
        let times =
            |members, accusers| timeout(seconds(10), seconds(60), accusers, members).as_secs();
        assert_eq!((times(2, 1), times(3, 1), times(3, 2)), (10, 60, 10));
        // No member vouches for it: a stranger said so.
        assert_eq!((times(2, 0), times(100, 0)), (60, 60));
    }

    #[test]
    fn accusers_are_counted_once_and_for_one_incarnation() {
        let mut suspicions = Suspicions::default();
        let (suspect, at) = (node(1), Incarnation::new(5));
        assert!(suspicions.accuse(suspect, at, node(2)));
        assert!(!suspicions.accuse(suspect, at, node(2)));
        assert!(!suspicions.accuse(suspect, Incarnation::new(4), node(3)));
        assert!(suspicions.accuse(suspect, at, node(3)));
        assert_eq!(suspicions.accusers(&suspect, at).len(), 2);
        assert!(suspicions.accuse(suspect, Incarnation::new(6), node(4)));
        assert_eq!(suspicions.accusers(&suspect, at), []);
        assert_eq!(
            suspicions.accusers(&suspect, Incarnation::new(6)),
            [node(4)]
        );
        for port in 5..20 {
            suspicions.accuse(suspect, Incarnation::new(6), node(port));
        }
        assert_eq!(
            suspicions.accusers(&suspect, Incarnation::new(6)).len(),
            MAX_ACCUSERS
        );
        suspicions.retain(|node| *node != suspect);
        assert_eq!(suspicions.accusers(&suspect, Incarnation::new(6)), []);
    }
}
