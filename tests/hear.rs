//! Hearsay introduces, it never confirms: `hear` on every kind of node, and what floods of it can't do.

use std::time::Duration;

use incarnation::{Claim, Incarnation, IncarnationTracker, Rejection, Status, Timestamp, Verdict};

type Tracker = IncarnationTracker<u32>;

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

fn tracker() -> Tracker {
    IncarnationTracker::builder().build().unwrap()
}

fn holding(claim: Claim) -> Tracker {
    let tracker = tracker();
    assert_eq!(tracker.update(&7, claim, NOW), Verdict::Joined);
    tracker
}

fn state(tracker: &Tracker) -> Option<Claim> {
    tracker.get(&7).map(|state| state.claim())
}

#[test]
fn hearsay_of_an_unknown_node_enters_it_unconfirmed_at_zero() {
    for claim in [Claim::unconfirmed(3), Claim::alive(5), Claim::suspect(9)] {
        for claim in [claim, claim.trusted()] {
            let tracker = tracker();
            assert_eq!(tracker.hear(&7, claim, NOW), Verdict::Joined, "{claim:?}");
            assert_eq!(state(&tracker), Some(Claim::unconfirmed(0)), "{claim:?}");
        }
    }
}

#[test]
fn hearsay_of_the_death_of_an_unknown_node_is_refused() {
    for claim in [Claim::dead(3), Claim::left(5), Claim::dead(5).trusted()] {
        let tracker = tracker();
        let verdict = tracker.hear(&7, claim, NOW);
        assert_eq!(verdict, Verdict::Rejected(Rejection::UnknownNode));
        assert_eq!((tracker.len(), tracker.tombstones()), (0, 0));
        assert_eq!(tracker.stats().rejections.unknown_node, 1);
    }
}

#[test]
fn hearsay_brings_a_buried_node_back_only_above_its_tombstone_and_only_unconfirmed_there() {
    for status in [Status::Unconfirmed, Status::Alive, Status::Suspect] {
        let tracker = holding(Claim::dead(4));
        assert!(tracker.remove(&7, NOW).is_some());
        let refused = Verdict::Rejected(Rejection::Tombstone {
            incarnation: 4.into(),
        });
        for incarnation in [0, 4] {
            let verdict = tracker.hear(&7, Claim::new(status, incarnation), NOW);
            assert_eq!(verdict, refused, "{status}@{incarnation}");
        }
        let dead = tracker.hear(&7, Claim::dead(9), NOW);
        assert_eq!(dead, Verdict::Rejected(Rejection::UnknownNode));
        let above = tracker.hear(&7, Claim::new(status, 5), NOW);
        assert_eq!(above, Verdict::Joined, "{status}");
        assert_eq!(state(&tracker), Some(Claim::unconfirmed(4)), "{status}");
        assert_eq!(tracker.tombstones(), 1, "it has not come back");
    }
}

#[test]
fn hearsay_never_changes_an_unconfirmed_node() {
    let stored = Claim::unconfirmed(3);
    for status in Status::ALL {
        for (incarnation, is_above) in [(2, false), (3, status > Status::Unconfirmed), (4, true)] {
            for claim in [
                Claim::new(status, incarnation),
                Claim::new(status, incarnation).trusted(),
            ] {
                let tracker = holding(stored);
                let expected = match incarnation {
                    2 => Verdict::Stale { current: stored },
                    _ if is_above => Verdict::Rejected(Rejection::Unconfirmed),
                    _ => Verdict::Duplicate { current: stored },
                };
                assert_eq!(tracker.hear(&7, claim, NOW), expected, "{claim:?}");
                assert_eq!(state(&tracker), Some(stored), "{claim:?}");
            }
        }
    }
}

#[test]
fn hearsay_of_a_confirmed_node_is_an_untrusted_claim() {
    for stored in [
        Claim::alive(3),
        Claim::suspect(3),
        Claim::dead(3),
        Claim::left(3),
    ] {
        for status in Status::ALL {
            for incarnation in [2, 3, 4, 1003, 1004, u64::MAX] {
                let claim = Claim::new(status, incarnation);
                let (heard, told) = (holding(stored), holding(stored));
                let expected = told.update(&7, claim, NOW);
                let verdict = heard.hear(&7, claim.trusted(), NOW);
                assert_eq!(verdict, expected, "{claim} of {stored}");
                assert_eq!(state(&heard), state(&told), "{claim} of {stored}");
            }
        }
    }
}

#[test]
fn hearsay_of_the_local_node_comes_back_as_it_was_said() {
    let tracker: Tracker = IncarnationTracker::builder().local_node(7).build().unwrap();
    for claim in [Claim::alive(5), Claim::dead(5)] {
        let verdict = tracker.hear(&7, claim, NOW);
        assert_eq!(verdict, Verdict::AboutSelf { accused: claim });
    }
    assert_eq!(tracker.len(), 0);
}

#[test]
fn hearsay_above_max_incarnation_is_out_of_range() {
    let tracker: Tracker = IncarnationTracker::builder()
        .max_incarnation(99)
        .build()
        .unwrap();
    for incarnation in [100, u64::MAX] {
        let verdict = tracker.hear(&7, Claim::alive(incarnation), NOW);
        let out = Rejection::OutOfRange {
            incarnation: incarnation.into(),
            max: Incarnation::new(99),
        };
        assert_eq!(verdict, Verdict::Rejected(out));
    }
    assert_eq!(tracker.hear(&7, Claim::alive(99), NOW), Verdict::Joined);
}

#[test]
fn contact_confirms_at_the_nodes_own_incarnation_whatever_was_heard() {
    let tracker = tracker();
    for _ in 0..3 {
        let _ = tracker.hear(&7, Claim::alive(1 << 60), NOW);
        let _ = tracker.hear(&7, Claim::suspect(1 << 60), NOW);
    }
    assert!(tracker.confirm(&7, 2, NOW).accepted());
    assert_eq!(state(&tracker), Some(Claim::alive(2)));
}

#[test]
fn view_handle_and_batch_hear_as_the_tracker_does() {
    let said = [
        (7, Claim::alive(5)),
        (7, Claim::suspect(5)),
        (8, Claim::dead(1)),
    ];
    let expected = [
        Verdict::Joined,
        Verdict::Rejected(Rejection::Unconfirmed),
        Verdict::Rejected(Rejection::UnknownNode),
    ];
    let tracker_ = tracker();
    let one_by_one: Vec<_> = said
        .iter()
        .map(|(node, claim)| tracker_.hear(node, *claim, NOW))
        .collect();
    assert_eq!(one_by_one, expected);
    let tracker_ = tracker();
    let by_view: Vec<_> = tracker_.with(|view| {
        said.iter()
            .map(|(node, claim)| view.hear(node, *claim, NOW))
            .collect()
    });
    assert_eq!(by_view, expected);
    let tracker_ = tracker();
    let mut by_batch = Vec::new();
    tracker_
        .pin()
        .hear_batch(&said, NOW, |_, verdict| by_batch.push(verdict));
    assert_eq!(by_batch, expected);

    let handle = tracker_.handle(&7).unwrap();
    let refused = Some(Verdict::Rejected(Rejection::Unconfirmed));
    assert_eq!(handle.hear(Claim::alive(5), NOW), refused);
    assert!(handle.confirm(5, NOW).is_some_and(Verdict::accepted));
    assert!(
        handle
            .hear(Claim::suspect(5), NOW)
            .is_some_and(Verdict::accepted)
    );
    assert!(handle.remove(NOW).is_some());
    assert_eq!(
        handle.hear(Claim::suspect(6), NOW),
        None,
        "that lifetime is over"
    );
    assert_eq!(tracker_.len(), 0);
}

/// 2,000 invented nodes, each mentioned twice, beside 20 real ones in a table of 100.
#[test]
fn invented_nodes_said_twice_keep_no_real_node_out() {
    let tracker: Tracker = IncarnationTracker::builder()
        .max_nodes(100)
        .build()
        .unwrap();
    for node in 0..20 {
        assert!(tracker.confirm(&node, 1, NOW).accepted());
    }
    for invented in 1_000..3_000 {
        for _ in 0..2 {
            let _ = tracker.hear(&invented, Claim::alive(1), NOW);
        }
    }
    let later = NOW + Duration::from_secs(1);
    let _ = tracker.sweep(later);
    assert_eq!(tracker.counts().alive, 20, "no invented node is Alive");
    for honest in 100..160 {
        assert!(tracker.confirm(&honest, 1, later).accepted(), "{honest}");
    }
}

mod stalling {
    use std::cell::Cell;
    use std::hash::{Hash, Hasher};
    use std::sync::{Mutex, PoisonError, mpsc};

    thread_local! {
        /// At which of its next comparisons this thread pauses; 0: at none.
        pub(crate) static STALL_AT: Cell<u32> = const { Cell::new(0) };
    }
    pub(crate) static STALLED: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);
    pub(crate) static GO_ON: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);

    #[derive(Clone, Debug, Eq)]
    pub(crate) struct Key(pub(crate) u32);

    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            let left = STALL_AT.get();
            STALL_AT.set(left.saturating_sub(1));
            if left == 1 {
                let stalled = STALLED
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                let go_on = GO_ON.lock().unwrap_or_else(PoisonError::into_inner).take();
                let _ = stalled.unwrap().send(());
                let _ = go_on.unwrap().recv();
            }
            self.0 == other.0
        }
    }
}

/// A thread stands still while it holds the lock of the node's tombstone.
#[test]
fn hearsay_and_contact_of_an_unconfirmed_node_wait_for_no_lock() {
    use stalling::{GO_ON, Key, STALL_AT, STALLED};
    use std::sync::mpsc;

    let tracker: IncarnationTracker<Key> = IncarnationTracker::builder().build().unwrap();
    let _ = tracker.bury(&Key(7), 4, NOW);
    assert_eq!(tracker.hear(&Key(7), Claim::alive(5), NOW), Verdict::Joined);
    let (stalled, is_stalled) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    *STALLED.lock().unwrap() = Some(stalled);
    *GO_ON.lock().unwrap() = Some(may_go_on);
    let (done, is_done) = mpsc::channel();
    let (burier, other) = (tracker.clone(), tracker.clone());
    let burial = std::thread::spawn(move || {
        // The first comparison finds the entry, the second one the tombstone, under its lock.
        STALL_AT.set(2);
        burier.bury(&Key(7), 3, NOW)
    });
    is_stalled.recv().unwrap();
    std::thread::spawn(move || {
        let heard = other.hear(&Key(7), Claim::suspect(9), NOW);
        assert_eq!(heard, Verdict::Rejected(Rejection::Unconfirmed));
        assert!(other.confirm(&Key(7), 6, NOW).accepted());
        let _ = done.send(());
    });
    // If they wait for the burier, the test hangs here.
    is_done.recv().unwrap();
    let _ = go_on.send(());
    let _ = burial.join().unwrap();
    assert_eq!(
        tracker.get(&Key(7)).map(|state| state.claim()),
        Some(Claim::alive(6))
    );
}
