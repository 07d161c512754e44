//! Views of one thread that overlap without end hold up recycling like a single one; when they end, it goes on.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::mem;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict, View};
use incarnation_testkit::keys::{Census, CountedKey};

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

/// Where a [`PinningKey`] takes a view and keeps it.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    Hash,
    Eq,
}

thread_local! {
    static TAKE_AT: Cell<Option<(Moment, &'static Observed)>> = const { Cell::new(None) };
    static KEPT: RefCell<Option<View<'static, CountedKey>>> = const { RefCell::new(None) };
}

type Observed = IncarnationTracker<CountedKey>;

/// A key whose `Hash` or `Eq` takes a view of another tracker once, and keeps it.
#[derive(Clone)]
struct PinningKey(u64);

fn comes_to(moment: Moment) {
    if let Some((_, tracker)) = TAKE_AT.get().filter(|(at, _)| *at == moment) {
        TAKE_AT.set(None);
        KEPT.set(Some(tracker.pin()));
    }
}

impl Hash for PinningKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        comes_to(Moment::Hash);
        self.0.hash(state);
    }
}

impl PartialEq for PinningKey {
    fn eq(&self, other: &Self) -> bool {
        comes_to(Moment::Eq);
        self.0 == other.0
    }
}

impl Eq for PinningKey {}

#[test]
fn a_view_that_a_keys_hash_or_eq_takes_and_keeps_outlives_the_lookups_own_pin() {
    let reclaimer = Reclaimer::private();
    let tracker: IncarnationTracker<PinningKey> = IncarnationTracker::builder()
        .reclaimer(reclaimer.clone())
        .build()
        .unwrap();
    let _ = tracker.update(&PinningKey(1), Claim::alive(1), NOW);
    for moment in [Moment::Hash, Moment::Eq] {
        let observed = IncarnationTracker::builder().reclaimer(reclaimer.clone());
        let observed: &'static Observed = Box::leak(Box::new(observed.build().unwrap()));
        let census = Census::default();
        let _ = observed.update(&census.key(7), Claim::alive(1), NOW);

        TAKE_AT.set(Some((moment, observed)));
        assert!(tracker.get(&PinningKey(1)).is_some());
        let view = KEPT.take().expect("the key was hashed and compared");
        let (lent, _) = view.iter().next().unwrap();
        // On another thread, which has no view of its own.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(observed.remove(&census.key(7), NOW).is_some());
                let _ = observed.sweep(NOW);
            });
        });
        assert_eq!(observed.pending_reclaim(), 1, "the view still protects it");
        assert_eq!(lent.id(), 7);

        drop(view);
        let _ = observed.sweep(NOW);
        assert_eq!((observed.pending_reclaim(), census.living()), (0, 0));
    }
}
