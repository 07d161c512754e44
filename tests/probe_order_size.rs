//! How much a probe order keeps where nodes come and go faster than it goes round.

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp};

/// "It takes 16 to 24 bytes a node."
#[test]
fn a_probe_order_is_about_as_long_as_there_are_members() {
    const NOW: Timestamp = Timestamp::ZERO;
    const NODES: u64 = 200;
    let tracker: IncarnationTracker<u64> = IncarnationTracker::builder()
        .max_nodes(1_000)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut order = tracker.probe_order();
    let mut longest = 0;
    for period in 0..2_000 {
        // Between two probes all members are replaced by others.
        for node in 0..NODES {
            let _ = tracker.update(&(period * NODES + node), Claim::alive(1), NOW);
            if period > 0 {
                let _ = tracker.remove(&((period - 1) * NODES + node), NOW);
            }
        }
        let _ = tracker.sweep(NOW);
        assert!(order.next_member(|| random.u64(..), |_, _| true).is_some());
        longest = longest.max(order.left_in_round());
    }
    assert!(
        longest <= 4 * NODES as usize,
        "{longest} members are said to be left of {} there are",
        tracker.len()
    );
}
