//! Views of one thread that overlap without end hold up recycling like a single one; when they end, it goes on.

use std::mem;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict};

const NOW: Timestamp = Timestamp::ZERO;

#[test]
fn overlapping_views_refuse_only_newcomers_and_reuse_resumes_afterwards() {
    let tracker: IncarnationTracker<u64> = IncarnationTracker::builder()
        .max_nodes(8)
        .hard_limit(8)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let known = u64::MAX;
    assert_eq!(
        tracker.update(&known, Claim::alive(1), NOW),
        Verdict::Joined
    );
    let come_and_go = |node: u64| {
        let verdict = tracker.update(&node, Claim::alive(1), NOW);
        let _ = tracker.remove(&node, NOW);
        let _ = tracker.sweep(NOW);
        verdict
    };

    // The next is there before the last one goes, as with two tasks of one thread.
    let mut view = tracker.pin();
    let refused = (0..1000).find_map(|node| {
        drop(mem::replace(&mut view, tracker.pin()));
        let verdict = come_and_go(node);
        (verdict != Verdict::Joined).then_some(verdict)
    });
    assert_eq!(refused, Some(Verdict::Rejected(Rejection::PendingReclaim)));
    let previous = Claim::alive(1);
    let verdict = tracker.update(&known, Claim::alive(2), NOW);
    assert_eq!(verdict, Verdict::Applied { previous });

    drop(view);
    let _ = tracker.sweep(NOW);
    for node in 0..1000 {
        // Dropped before the next one is taken: nothing waits for long.
        let view = tracker.pin();
        drop(view);
        assert_eq!(come_and_go(node), Verdict::Joined, "{node}");
    }
}
