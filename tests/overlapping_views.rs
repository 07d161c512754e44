//! Views of one thread that overlap without end hold up recycling like a single one; when they end, it goes on.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// When a [`CallingKey`] calls what it was given.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    Hash,
    Eq,
}

type Observed = IncarnationTracker<CountedKey>;

type Call = (Moment, Box<dyn FnOnce()>);

thread_local! {
    static CALL_AT: RefCell<Option<Call>> = const { RefCell::new(None) };
    static KEPT: RefCell<Option<View<'static, CountedKey>>> = const { RefCell::new(None) };
}

/// A key whose `Hash` or `Eq` calls a function once.
#[derive(Clone)]
struct CallingKey(u64);

fn comes_to(moment: Moment) {
    let call = CALL_AT.with_borrow_mut(|call| call.take_if(|(at, _)| *at == moment));
    if let Some((_, call)) = call {
        call();
    }
}

impl Hash for CallingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        comes_to(Moment::Hash);
        self.0.hash(state);
    }
}

impl PartialEq for CallingKey {
    fn eq(&self, other: &Self) -> bool {
        comes_to(Moment::Eq);
        self.0 == other.0
    }
}

impl Eq for CallingKey {}

/// A tracker whose keys call, and another that shares its reclaimer and is observed; it has one node.
struct Pair {
    calling: IncarnationTracker<CallingKey>,
    observed: &'static Observed,
    census: Census,
}

impl Pair {
    fn new() -> Self {
        let reclaimer = Reclaimer::private();
        let calling: IncarnationTracker<CallingKey> = IncarnationTracker::builder()
            .reclaimer(reclaimer.clone())
            .build()
            .unwrap();
        let _ = calling.update(&CallingKey(1), Claim::alive(1), NOW);
        let observed = IncarnationTracker::builder().reclaimer(reclaimer);
        let observed: &'static Observed = Box::leak(Box::new(observed.build().unwrap()));
        let census = Census::default();
        let _ = observed.update(&census.key(7), Claim::alive(1), NOW);
        // This thread has a record now, and uses it again.
        assert!(calling.get(&CallingKey(1)).is_some());
        Self {
            calling,
            observed,
            census,
        }
    }

    /// Removes the observed tracker's node on a thread without views, and returns how many entries wait after a sweep.
    fn removed_and_waiting(observed: &'static Observed, census: &Census) -> usize {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(observed.remove(&census.key(7), NOW).is_some());
                let _ = observed.sweep(NOW);
            });
        });
        observed.pending_reclaim()
    }

    /// Whether all that was removed is used again by the next sweep.
    fn all_is_recycled(&self) -> bool {
        let _ = self.observed.sweep(NOW);
        (self.observed.pending_reclaim(), self.census.living()) == (0, 0)
    }

    /// The lookup, and the first look of a claim, of a node that the calling tracker knows.
    const OPERATIONS: [fn(&Self); 2] = [
        |pair| assert!(pair.calling.get(&CallingKey(1)).is_some()),
        |pair| {
            let verdict = pair
                .calling
                .update(&CallingKey(1), Claim::unconfirmed(0), NOW);
            assert!(matches!(verdict, Verdict::Stale { .. }), "{verdict:?}");
        },
    ];
}

#[test]
fn a_view_that_a_keys_hash_or_eq_takes_and_keeps_outlives_the_operations_own_pin() {
    for moment in [Moment::Hash, Moment::Eq] {
        for operation in Pair::OPERATIONS {
            let pair = Pair::new();
            let observed = pair.observed;
            CALL_AT.set(Some((moment, Box::new(|| KEPT.set(Some(observed.pin()))))));
            operation(&pair);
            let view = KEPT.take().expect("the key was hashed and compared");
            let (lent, _) = view.iter().next().unwrap();
            let waiting = Pair::removed_and_waiting(observed, &pair.census);
            assert_eq!(waiting, 1, "the view still protects it");
            assert_eq!(lent.id(), 7);

            drop(view);
            assert!(pair.all_is_recycled());
        }
    }
}

#[test]
fn an_operation_whose_keys_eq_drops_the_threads_only_view_goes_on_pinned() {
    for operation in Pair::OPERATIONS {
        let pair = Pair::new();
        let (observed, census) = (pair.observed, pair.census.clone());
        KEPT.set(Some(observed.pin()));
        CALL_AT.set(Some((
            Moment::Eq,
            Box::new(move || {
                drop(KEPT.take());
                assert_eq!(Pair::removed_and_waiting(observed, &census), 1);
            }),
        )));
        operation(&pair);
        assert!(CALL_AT.take().is_none(), "the key was compared");
        assert!(pair.all_is_recycled(), "no pin is left");
    }
}

#[test]
fn an_operation_inside_another_leaves_the_outer_one_pinned() {
    for operation in Pair::OPERATIONS {
        let pair = Pair::new();
        let (observed, census) = (pair.observed, pair.census.clone());
        CALL_AT.set(Some((
            Moment::Eq,
            Box::new(move || {
                let key = census.key(7);
                assert!(observed.get(&key).is_some());
                let handle = observed.handle(&key).unwrap();
                assert!(handle.state().is_some());
                let _ = observed.update(&key, Claim::alive(1), NOW);
                drop(observed.pin());
                drop((key, handle));
                assert_eq!(Pair::removed_and_waiting(observed, &census), 1);
            }),
        )));
        operation(&pair);
        assert!(CALL_AT.take().is_none(), "the key was compared");
        assert!(pair.all_is_recycled(), "no pin is left");
    }
}

#[test]
fn operations_of_a_thread_with_a_view_leave_it_pinned() {
    let pair = Pair::new();
    let view = pair.observed.pin();
    let (lent, _) = view.iter().next().unwrap();
    for operation in Pair::OPERATIONS {
        operation(&pair);
    }
    let key = pair.census.key(7);
    let handle = pair.observed.handle(&key).unwrap();
    assert!(handle.state().is_some());
    assert!(handle.update(Claim::alive(1), NOW).is_some());
    assert!(pair.observed.is_alive(&key));
    let _ = pair.observed.update(&key, Claim::alive(1), NOW);
    drop((key, handle));
    let waiting = Pair::removed_and_waiting(pair.observed, &pair.census);
    assert_eq!((waiting, lent.id()), (1, 7));
    drop(view);
    assert!(pair.all_is_recycled());
}

#[test]
fn an_operation_whose_keys_eq_panics_leaves_no_pin() {
    for operation in Pair::OPERATIONS {
        let pair = Pair::new();
        CALL_AT.set(Some((Moment::Eq, Box::new(|| panic!("as asked")))));
        let panicked = catch_unwind(AssertUnwindSafe(|| operation(&pair)));
        assert!(panicked.is_err());
        let _ = Pair::removed_and_waiting(pair.observed, &pair.census);
        assert!(pair.all_is_recycled());
    }
}
