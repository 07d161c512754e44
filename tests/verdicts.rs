//! What the table answers to a claim, and what it holds afterwards.

use std::time::Duration;

use incarnation::{
    Claim, Incarnation, IncarnationTracker, NodeState, Rejection, Status, SweepScope, Timestamp,
    Verdict,
};

const NOW: Timestamp = Timestamp::from_millis(1_000);
const LATER: Timestamp = Timestamp::from_millis(2_000);
const MAX: u64 = (1 << 31) - 1;

type Tracker = IncarnationTracker<&'static str>;

fn tracker() -> Tracker {
    IncarnationTracker::builder()
        .max_incarnation(MAX)
        .max_incarnation_jump(1000)
        .build()
        .unwrap()
}

/// A tracker in which `"a"` is in the state of `claim` since `NOW`.
fn holding(claim: Claim) -> Tracker {
    let tracker = tracker();
    assert_eq!(tracker.update(&"a", claim.trusted(), NOW), Verdict::Joined);
    tracker
}

fn held(tracker: &Tracker) -> Option<(Claim, Timestamp)> {
    let state = tracker.get("a")?;
    Some((state.claim(), state.last_update))
}

/// Puts a claim to `"a"` in a given state, and checks that `judge` foretells it without a trace.
fn verdict_of(stored: Claim, claim: Claim) -> Verdict {
    let tracker = holding(stored);
    let foretold = tracker.judge(&"a", claim, LATER);
    assert_eq!(held(&tracker), Some((stored, NOW)), "judge changes nothing");
    let verdict = tracker.update(&"a", claim, LATER);
    assert_eq!(verdict, foretold, "{claim} against {stored}");
    let expected = if verdict.accepted() {
        (Claim::new(claim.status(), claim.incarnation()), LATER)
    } else {
        (stored, NOW)
    };
    assert_eq!(held(&tracker), Some(expected), "{claim} against {stored}");
    verdict
}

fn out_of_range(incarnation: u64, max: u64) -> Verdict {
    Verdict::Rejected(Rejection::OutOfRange {
        incarnation: incarnation.into(),
        max: max.into(),
    })
}

#[test]
fn an_unknown_node_joins_by_any_claim() {
    for status in Status::ALL {
        let tracker = tracker();
        assert_eq!(tracker.get("a"), None);
        let claim = Claim::new(status, 7);
        assert_eq!(tracker.judge(&"a", claim, NOW), Verdict::Joined);
        assert_eq!(tracker.get("a"), None);
        assert_eq!(tracker.update(&"a", claim, NOW), Verdict::Joined);
        assert_eq!(held(&tracker), Some((claim, NOW)));
        assert_eq!(tracker.len(), 1);
        assert_eq!(tracker.counts().of(status), 1);
        assert_eq!(tracker.counts().total(), 1);
    }
}

#[test]
fn the_higher_incarnation_wins_whatever_the_statuses() {
    for stored in Status::ALL {
        for claimed in Status::ALL {
            let (old, new) = (Claim::new(stored, 5), Claim::new(claimed, 6));
            assert_eq!(verdict_of(old, new), Verdict::Applied { previous: old });
            assert_eq!(verdict_of(new, old), Verdict::Stale { current: new });
        }
    }
}

#[test]
fn at_an_equal_incarnation_the_higher_status_wins() {
    for stored in Status::ALL {
        for claimed in Status::ALL {
            let (old, new) = (Claim::new(stored, 5), Claim::new(claimed, 5));
            let expected = match (stored, claimed) {
                (Status::Unconfirmed, Status::Suspect) => Verdict::Rejected(Rejection::Unconfirmed),
                _ if claimed > stored => Verdict::Applied { previous: old },
                _ => Verdict::Duplicate { current: old },
            };
            assert_eq!(verdict_of(old, new), expected, "{new} against {old}");
        }
    }
}

#[test]
fn claims_above_the_maximum_are_refused() {
    for claim in [Claim::alive(MAX + 1), Claim::dead(u64::MAX)] {
        let out = out_of_range(claim.incarnation().get(), MAX);
        assert_eq!(verdict_of(Claim::alive(MAX), claim), out);
        assert_eq!(verdict_of(Claim::alive(MAX), claim.trusted()), out);
        assert_eq!(tracker().update(&"a", claim.trusted(), NOW), out);
    }
}

#[test]
fn a_node_can_not_be_accused_where_it_could_not_refute() {
    let unrefutable = Verdict::Rejected(Rejection::Unrefutable { max: MAX.into() });
    let below = Claim::alive(MAX - 1);
    for status in [Status::Suspect, Status::Dead, Status::Left] {
        let claim = Claim::new(status, MAX);
        assert_eq!(verdict_of(below, claim), unrefutable);
        assert_eq!(tracker().update(&"a", claim, NOW), unrefutable);
        // It claimed the maximum itself, so this does not raise it.
        let own = Claim::alive(MAX);
        assert_eq!(verdict_of(own, claim), Verdict::Applied { previous: own });
    }
    let alive = verdict_of(below, Claim::alive(MAX));
    assert_eq!(alive, Verdict::Applied { previous: below });
}

#[test]
fn a_jump_is_suspicious_beyond_the_limit_and_only_by_gossip() {
    let stored = Claim::alive(50);
    let applied = Verdict::Applied { previous: stored };
    assert_eq!(verdict_of(stored, Claim::alive(1050)), applied);
    let beyond = Claim::alive(1051);
    assert_eq!(
        verdict_of(stored, beyond),
        Verdict::Rejected(Rejection::SuspiciousJump {
            current: stored,
            claimed: 1051.into(),
            max_jump: 1000,
        })
    );
    assert_eq!(verdict_of(stored, beyond.trusted()), applied);
    // Of an unknown node nothing is known that could be jumped from.
    let joined = tracker().update(&"a", Claim::alive(MAX), NOW);
    assert_eq!(joined, Verdict::Joined);
}

#[test]
fn a_refused_jump_names_the_limit_the_value_and_the_way_out() {
    let verdict = verdict_of(Claim::alive(50), Claim::alive(1051));
    assert_eq!(
        verdict.into_result().unwrap_err().to_string(),
        "incarnation 1051 jumps more than max_incarnation_jump (1000) above the known alive@50; contact the node to confirm it"
    );
}

#[test]
fn without_a_limit_no_jump_is_suspicious() {
    let tracker: Tracker = IncarnationTracker::builder()
        .max_incarnation_jump(None)
        .build()
        .unwrap();
    let mut stored = Claim::alive(0);
    assert_eq!(tracker.update(&"a", stored, NOW), Verdict::Joined);
    // A restart of a node whose incarnations are seconds of its clock, and the highest that can be refuted.
    let highest = Incarnation::MAX.get();
    for incarnation in [1_700_000_000, 1_700_001_200, 1 << 60, highest - 1] {
        for claim in [Claim::alive(incarnation), Claim::suspect(incarnation)] {
            let applied = Verdict::Applied { previous: stored };
            assert_eq!(tracker.judge(&"a", claim, LATER), applied);
            assert_eq!(tracker.hear(&"a", claim, LATER), applied);
            stored = claim;
        }
    }
    // The other limits stay.
    let unrefutable = tracker.update(&"a", Claim::suspect(highest), LATER);
    let max = Incarnation::MAX;
    assert_eq!(
        unrefutable,
        Verdict::Rejected(Rejection::Unrefutable { max })
    );
    let beyond = tracker.update(&"a", Claim::alive(highest + 1), LATER);
    assert_eq!(beyond, out_of_range(highest + 1, highest));
}

#[test]
fn first_incarnations_may_be_limited_for_gossip() {
    let tracker: Tracker = IncarnationTracker::builder()
        .max_first_incarnation(Incarnation::new(10))
        .build()
        .unwrap();
    let out = out_of_range(11, 10);
    assert_eq!(tracker.update(&"a", Claim::alive(11), NOW), out);
    assert_eq!(tracker.update(&"a", Claim::alive(10), NOW), Verdict::Joined);
    let trusted = Claim::alive(11).trusted();
    assert_eq!(tracker.update(&"b", trusted, NOW), Verdict::Joined);
    let later = tracker.update(&"a", Claim::alive(11), NOW);
    assert!(later.accepted(), "the limit is for first claims only");
}

#[test]
fn claims_about_the_local_node_come_back_untouched() {
    let tracker: Tracker = IncarnationTracker::builder()
        .local_node("me")
        .local_incarnation(3)
        .build()
        .unwrap();
    let accused = Claim::suspect(4);
    let about_self = Verdict::AboutSelf { accused };
    assert_eq!(tracker.judge(&"me", accused, NOW), about_self);
    assert_eq!(tracker.update(&"me", accused, NOW), about_self);
    let verdicts = [
        tracker.confirm(&"me", 9, NOW),
        tracker.rejoin(&"me", 9, NOW),
        tracker.add_unconfirmed(&"me", NOW),
    ];
    for verdict in verdicts {
        assert!(matches!(verdict, Verdict::AboutSelf { .. }), "{verdict}");
    }
    assert_eq!(tracker.required_incarnation(&"me", NOW), None);
    assert_eq!((tracker.len(), tracker.get("me")), (0, None));
    assert_eq!(tracker.local().current(), Incarnation::new(3));
}

#[test]
fn confirming_reaches_a_node_without_bumping_a_suspicion() {
    // (stored, confirmed at, held afterwards)
    let cases = [
        (Claim::unconfirmed(5), 3, Claim::alive(5)),
        (Claim::unconfirmed(5), 5, Claim::alive(5)),
        (Claim::unconfirmed(5), 7, Claim::alive(7)),
        // Trusted: however far.
        (Claim::unconfirmed(5), 100_000, Claim::alive(100_000)),
        (Claim::alive(5), 7, Claim::alive(7)),
        (Claim::alive(5), 4, Claim::alive(5)),
        (Claim::suspect(5), 5, Claim::suspect(5)),
        (Claim::suspect(5), 6, Claim::alive(6)),
        (Claim::dead(5), 5, Claim::dead(5)),
        (Claim::left(5), 6, Claim::alive(6)),
    ];
    for (stored, incarnation, expected) in cases {
        let tracker = holding(stored);
        let verdict = tracker.confirm(&"a", incarnation, LATER);
        assert_eq!(
            verdict.accepted(),
            stored != expected,
            "{stored}: {verdict}"
        );
        assert_eq!(held(&tracker).unwrap().0, expected, "{stored}");
    }
    let tracker = tracker();
    assert_eq!(tracker.confirm(&"a", 9, NOW), Verdict::Joined);
    assert_eq!(held(&tracker), Some((Claim::alive(9), NOW)));
    let out = tracker.confirm(&"b", MAX + 1, NOW);
    assert_eq!(out, out_of_range(MAX + 1, MAX));
}

#[test]
fn hearing_of_a_node_never_touches_a_known_one() {
    let tracker = tracker();
    assert_eq!(tracker.add_unconfirmed(&"a", NOW), Verdict::Joined);
    assert_eq!(held(&tracker), Some((Claim::unconfirmed(0), NOW)));
    for status in Status::ALL {
        let current = Claim::new(status, 5);
        let tracker = holding(current);
        let verdict = tracker.add_unconfirmed(&"a", LATER);
        assert_eq!(verdict, Verdict::Duplicate { current });
        assert_eq!(held(&tracker), Some((current, NOW)));
    }
}

#[test]
fn all_but_unconfirmed_nodes_are_confirmed_and_running_ones_can_be_suspected() {
    for status in Status::ALL {
        let tracker = holding(Claim::new(status, 1));
        assert_eq!(tracker.is_confirmed("a"), status != Status::Unconfirmed);
        let can = matches!(status, Status::Alive | Status::Suspect);
        assert_eq!(tracker.can_suspect("a"), can, "{status}");
        // And indeed: a suspicion at its incarnation is no news for a suspect, and is for an alive one.
        if status == Status::Alive {
            assert!(tracker.judge(&"a", Claim::suspect(1), NOW).accepted());
        }
    }
    let tracker = tracker();
    assert!(!tracker.is_confirmed("a") && !tracker.can_suspect("a"));
}

#[test]
fn removing_returns_the_last_state_once() {
    let tracker = holding(Claim::suspect(4));
    let last = tracker.remove("a", LATER).unwrap();
    assert_eq!((last.claim(), last.last_update), (Claim::suspect(4), NOW));
    assert_eq!(tracker.remove("a", LATER), None);
    assert_eq!((tracker.get("a"), tracker.len()), (None, 0));
    assert_eq!(tracker.counts().total(), 0);
    // Neither dead nor departed: it leaves no tombstone.
    assert_eq!(
        tracker.update(&"a", Claim::alive(1), LATER),
        Verdict::Joined
    );
}

#[test]
fn removing_if_takes_exactly_the_expected_state() {
    let tracker = holding(Claim::dead(4));
    let is_dead = |found: Result<NodeState, Option<NodeState>>| {
        found.map_err(|found| found.map(NodeState::claim)) == Err(Some(Claim::dead(4)))
    };
    for other in [
        Claim::dead(3),
        Claim::dead(5),
        Claim::suspect(4),
        Claim::dead(u64::MAX),
    ] {
        assert!(is_dead(tracker.remove_if("a", other, LATER)), "{other}");
    }
    assert_eq!(tracker.len(), 1);
    let removed = tracker.remove_if("a", Claim::dead(4).trusted(), LATER);
    assert_eq!(removed.map(NodeState::claim), Ok(Claim::dead(4)));
    assert_eq!(tracker.remove_if("a", Claim::dead(4), LATER), Err(None));
}

#[test]
fn forgetting_leaves_nothing_behind() {
    let tracker = holding(Claim::dead(4));
    assert_eq!(tracker.forget(&"a").unwrap().claim(), Claim::dead(4));
    assert_eq!((tracker.forget(&"a"), tracker.tombstones()), (None, 0));
    assert_eq!(
        tracker.update(&"a", Claim::alive(1), LATER),
        Verdict::Joined
    );
}

#[test]
fn nodes_are_listed_by_status_and_counted() {
    let tracker = tracker();
    let nodes = [("a", 1), ("b", 2), ("c", 3)];
    for (node, incarnation) in nodes {
        let _ = tracker.update(&node, Claim::alive(incarnation), NOW);
    }
    let _ = tracker.update(&"b", Claim::suspect(2), NOW);
    let mut alive = tracker.nodes_with(Status::Alive);
    alive.sort_unstable();
    assert_eq!(alive, ["a", "c"]);
    assert_eq!(tracker.nodes_with(Status::Suspect), ["b"]);
    assert_eq!(tracker.nodes_with(Status::Left), [""; 0]);
    let counts = tracker.counts();
    assert_eq!((counts.alive, counts.suspect, counts.total()), (2, 1, 3));
}

#[test]
fn a_view_and_a_batch_give_the_same_verdicts() {
    let claims: Vec<(u32, Claim)> = (0..1_000_u64)
        .map(|n| {
            let status = Status::ALL[(n * 7 % 5) as usize];
            ((n * 13 % 40) as u32, Claim::new(status, n * 11 % 30))
        })
        .collect();
    let make = || IncarnationTracker::<u32>::builder().build().unwrap();
    let (one_by_one, viewed, batched) = (make(), make(), make());
    let expected: Vec<Verdict> = claims
        .iter()
        .map(|(node, claim)| one_by_one.update(node, *claim, NOW))
        .collect();
    let through_view: Vec<Verdict> = viewed.with(|view| {
        claims
            .iter()
            .map(|(node, claim)| view.update(node, *claim, NOW))
            .collect()
    });
    let mut in_batch = Vec::new();
    batched.pin().update_batch(&claims, NOW, |number, verdict| {
        assert_eq!(number, in_batch.len());
        in_batch.push(verdict);
    });
    assert_eq!(through_view, expected);
    assert_eq!(in_batch, expected);

    let nodes: Vec<u32> = (0..50).collect();
    let mut states = Vec::new();
    batched.pin().states(&nodes, |_, state| states.push(state));
    let expected: Vec<_> = nodes.iter().map(|node| one_by_one.get(node)).collect();
    assert_eq!(states, expected);
}

#[test]
fn duplicates_never_refresh_a_last_update() {
    let tracker = holding(Claim::alive(5));
    let much_later = NOW + Duration::from_secs(3600);
    assert!(!tracker.update(&"a", Claim::alive(5), much_later).accepted());
    assert!(!tracker.update(&"a", Claim::alive(4), much_later).accepted());
    assert_eq!(held(&tracker), Some((Claim::alive(5), NOW)));
}

#[test]
fn a_claim_from_a_lagging_clock_never_takes_a_last_update_back() {
    let tracker = holding(Claim::alive(5));
    let earlier = Timestamp::ZERO;
    assert!(tracker.update(&"a", Claim::suspect(5), earlier).accepted());
    assert_eq!(held(&tracker), Some((Claim::suspect(5), NOW)));
}

#[test]
fn reports_and_counts_display_their_numbers() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build().unwrap();
    let _ = tracker.update(&1, Claim::alive(3), Timestamp::ZERO);
    let _ = tracker.update(&2, Claim::dead(3), Timestamp::ZERO);
    assert!(tracker.contains(&2) && tracker.pin().contains(&1) && !tracker.contains(&3));
    assert_eq!(tracker.get(&1).map(Claim::from), Some(Claim::alive(3)));
    assert_eq!(
        tracker.counts().to_string(),
        "0 unconfirmed, 1 alive, 0 suspect, 1 dead, 0 left"
    );
    let much_later = Timestamp::from_millis(100_000_000);
    let mut reasons = Vec::new();
    let report = tracker.sweep_with(SweepScope::Everything, much_later, |swept| {
        reasons.push(swept.reason.to_string());
    });
    assert_eq!(reasons, ["dead for long enough"]);
    assert_eq!(
        report.to_string(),
        "0 declared dead; evicted: 0 unconfirmed, 1 dead, 0 for lack of room; 0 tombstones ended"
    );
    assert_eq!(tracker.local_node(), None);
}

mod hooked {
    use std::cell::RefCell;
    use std::hash::{Hash, Hasher};

    thread_local! {
        /// Runs at each `Hash` of node 0 on this thread.
        pub(crate) static AT_HASH: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
    }

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Key(pub(crate) u64);

    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            if self.0 == 0
                && let Some(mut work) = AT_HASH.take()
            {
                work();
                AT_HASH.set(Some(work));
            }
            self.0.hash(state);
        }
    }
}

/// Each look at node 0's tombstone lets another node join.
#[test]
fn a_judgement_does_not_start_anew_for_joins_of_other_nodes() {
    use std::cell::Cell;
    use std::rc::Rc;

    use hooked::{AT_HASH, Key};
    let tracker: IncarnationTracker<Key> = IncarnationTracker::builder()
        .max_nodes(500)
        .build()
        .unwrap();
    // So that there are tombstones to look at.
    let _ = tracker.update(&Key(u64::MAX), Claim::dead(1), NOW);
    assert!(tracker.remove(&Key(u64::MAX), NOW).is_some());
    let judges: [fn(&IncarnationTracker<Key>); 2] = [
        |tracker| assert!(tracker.judge(&Key(0), Claim::alive(1), NOW).accepted()),
        |tracker| assert!(tracker.required_incarnation(&Key(0), NOW).is_some()),
    ];
    for judge in judges {
        let looks = Rc::new(Cell::new(0_u64));
        let (counted, others) = (looks.clone(), tracker.clone());
        AT_HASH.set(Some(Box::new(move || {
            counted.set(counted.get() + 1);
            let _ = others.update(&Key(1_000 + others.stats().joins), Claim::alive(1), NOW);
        })));
        judge(&tracker);
        AT_HASH.set(None);
        assert!(looks.get() <= 4, "{} looks", looks.get());
    }
}
