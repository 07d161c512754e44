//! The node's own incarnation: raised by this node alone, in one step, from any thread.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use incarnation::{
    Answer, Claim, Incarnation, IncarnationTracker, LocalError, Status, Timestamp, Verdict,
};

/// The highest incarnation of the original tracker.
const ORIGINAL_MAX: u64 = (1 << 31) - 1;

fn exhausted(max: impl Into<Incarnation>) -> Result<Incarnation, LocalError> {
    Err(LocalError::Exhausted { max: max.into() })
}

fn starting_at(incarnation: u64) -> IncarnationTracker {
    IncarnationTracker::builder()
        .local_incarnation(incarnation)
        .build()
        .unwrap()
}

/// What `threads` threads get that call `refute` at once, each with the accusations made for it.
fn refute_at_once(
    tracker: &IncarnationTracker,
    threads: u64,
    accusations: impl Fn(u64) -> Vec<u64> + Sync,
) -> Vec<Vec<(u64, u64)>> {
    let barrier = Barrier::new(usize::try_from(threads).unwrap());
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let (barrier, accusations) = (&barrier, &accusations);
                scope.spawn(move || {
                    let accusations = accusations(thread);
                    barrier.wait();
                    accusations
                        .into_iter()
                        .map(|accused| (accused, tracker.local().refute(accused).unwrap().get()))
                        .collect()
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn a_node_starts_at_the_incarnation_it_was_given_and_by_default_at_zero() {
    let tracker: IncarnationTracker = IncarnationTracker::builder().build().unwrap();
    assert_eq!(tracker.local().current(), Incarnation::ZERO);
    assert_eq!(starting_at(77).local().current().get(), 77);
}

#[test]
fn refuting_jumps_above_the_higher_of_own_and_accused_in_one_step() {
    let tracker = starting_at(10);
    let local = tracker.local();
    assert_eq!(local.refute(10).unwrap().get(), 11);
    assert_eq!(local.refute(500).unwrap().get(), 501);
    assert_eq!(local.refute(3).unwrap().get(), 502, "an old accusation");
    assert_eq!(local.current().get(), 502);
    assert_eq!(
        tracker.clone().local().current().get(),
        502,
        "clones share it"
    );
}

#[test]
fn eight_threads_refuting_at_once_get_eight_distinct_incarnations() {
    for _ in 0..200 {
        let tracker = starting_at(40);
        let results = refute_at_once(&tracker, 8, |_| vec![40]);
        let distinct: BTreeSet<u64> = results.iter().flatten().map(|&(_, own)| own).collect();
        assert_eq!(distinct, (41..49).collect());
        assert_eq!(tracker.local().current().get(), 48);
    }
}

#[test]
fn many_threads_with_different_accusations_each_end_above_their_own_and_never_share() {
    let tracker = starting_at(0);
    let results = refute_at_once(&tracker, 4, |thread| {
        (0..5_000).map(|i| i * (thread % 3)).collect()
    });
    let mut all = BTreeSet::new();
    for (accused, own) in results.iter().flatten().copied() {
        assert!(own > accused);
        assert!(all.insert(own), "{own} was given out twice");
    }
    for thread in &results {
        assert!(thread.is_sorted_by(|a, b| a.1 < b.1), "it only rises");
    }
    assert_eq!(all.last(), Some(&tracker.local().current().get()));
}

#[test]
fn an_accusation_too_far_above_is_refused_with_both_incarnations() {
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .local_incarnation(100)
        .refute_limit(50)
        .build()
        .unwrap();
    let local = tracker.local();
    for accused in [151, 152, u64::MAX] {
        assert_eq!(
            local.refute(accused),
            Err(LocalError::SuspiciousAccusation {
                own: 100.into(),
                accused: accused.into(),
                limit: 50,
            })
        );
        assert_eq!(local.current().get(), 100, "nothing has changed");
    }
    assert_eq!(local.refute(150).unwrap().get(), 151, "the limit itself");
}

#[test]
fn at_the_top_of_the_originals_range_the_last_incarnations_are_used_and_no_more() {
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .max_incarnation(ORIGINAL_MAX)
        .local_incarnation(ORIGINAL_MAX - 4)
        .build()
        .unwrap();
    let local = tracker.local();
    for expected in ORIGINAL_MAX - 3..=ORIGINAL_MAX {
        assert_eq!(local.refute(local.current()).unwrap().get(), expected);
    }
    for accused in [0, ORIGINAL_MAX, ORIGINAL_MAX + 1] {
        assert_eq!(local.refute(accused), exhausted(ORIGINAL_MAX));
    }
    assert_eq!(local.current().get(), ORIGINAL_MAX);
}

#[test]
fn an_accusation_at_max_incarnation_cannot_be_refuted_and_changes_nothing() {
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .max_incarnation(100)
        .local_incarnation(50)
        .build()
        .unwrap();
    assert_eq!(tracker.local().refute(100), exhausted(100));
    assert_eq!(tracker.local().refute(99).unwrap().get(), 100);
}

#[test]
fn no_accusation_overflows_even_without_a_jump_limit() {
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .refute_limit(u64::MAX)
        .build()
        .unwrap();
    let local = tracker.local();
    for accused in [u64::MAX, u64::MAX - 1, Incarnation::MAX.get()] {
        assert_eq!(local.refute(accused), exhausted(Incarnation::MAX));
    }
    assert_eq!(
        local.refute(Incarnation::MAX.get() - 1),
        Ok(Incarnation::MAX)
    );
    assert_eq!(local.refute(0), exhausted(Incarnation::MAX));
}

#[test]
fn an_echo_of_what_the_node_says_of_itself_needs_no_answer() {
    let me = "10.0.0.1:7946".parse().unwrap();
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .local_node(me)
        .local_incarnation(7)
        .build()
        .unwrap();
    assert_eq!(tracker.local_node(), Some(&me));
    let local = tracker.local();
    for _ in 0..10 {
        for said in [Claim::alive(7), Claim::unconfirmed(7), Claim::left(6)] {
            let verdict = tracker.update(&me, said, Timestamp::ZERO);
            assert_eq!(verdict, Verdict::AboutSelf { accused: said });
            assert_eq!(local.answer(said), Ok(Answer::NotNeeded), "{said}");
        }
    }
    assert_eq!(local.current().get(), 7);
    let mut expected = 7;
    for said in [
        Claim::suspect(7),
        Claim::dead(8),
        Claim::left(9),
        Claim::alive(12),
    ] {
        expected = expected.max(said.incarnation().get()) + 1;
        let answer = local.answer(said).unwrap();
        assert_eq!(answer.incarnation(), Some(expected.into()), "{said}");
        let is_overtaken = matches!(answer, Answer::Overtaken(_));
        assert_eq!(is_overtaken, said.status() == Status::Alive, "{said}");
        let again = local.answer(said);
        assert_eq!(again, Ok(Answer::NotNeeded), "{said} is answered");
    }
    let far = Claim::suspect(expected + (1 << 32) + 1);
    let refused = local.answer(far);
    assert!(
        matches!(refused, Err(LocalError::SuspiciousAccusation { .. })),
        "{refused:?}"
    );
    assert_eq!(local.current().get(), expected);
}

#[test]
fn of_threads_told_of_one_accusation_at_once_one_answers() {
    for round in 0..200 {
        let tracker = starting_at(round);
        let barrier = Barrier::new(4);
        let answers: Vec<_> = thread::scope(|scope| {
            let told = || {
                barrier.wait();
                tracker.local().answer(Claim::dead(round)).unwrap()
            };
            let running: Vec<_> = (0..4).map(|_| scope.spawn(told)).collect();
            let ended = running.into_iter().map(|thread| thread.join().unwrap());
            ended.filter_map(Answer::incarnation).collect()
        });
        assert_eq!(answers, [Incarnation::new(round + 1)]);
    }
}

#[test]
fn advancing_moves_up_however_far_and_never_down() {
    let tracker = starting_at(10);
    let local = tracker.local();
    // Far beyond `refute_limit`: the caller is trusted.
    let far = 1 << 40;
    assert!(local.refute(far).is_err());
    for (to, own) in [(10, 10), (11, 11), (5, 11), (far, far), (0, far)] {
        assert_eq!(local.advance_to(to), Ok(own.into()), "to {to}");
        assert_eq!(local.current().get(), own, "to {to}");
    }
    assert_eq!(
        local.refute(far),
        Ok((far + 1).into()),
        "it is in reach now"
    );
}

#[test]
fn advancing_beyond_the_range_or_after_leaving_is_an_error_and_changes_nothing() {
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .max_incarnation(100)
        .build()
        .unwrap();
    let local = tracker.local();
    assert_eq!(local.advance_to(101), exhausted(100));
    assert_eq!(local.advance_to(u64::MAX), exhausted(100));
    assert_eq!(local.current().get(), 0);
    assert_eq!(local.advance_to(100), Ok(100.into()));
    let _ = local.leave();
    assert_eq!(local.advance_to(100), Err(LocalError::Left));
    assert_eq!(local.current().get(), 100);
}

#[test]
fn of_threads_that_advance_and_refute_at_once_each_goes_up_and_the_highest_stays() {
    for round in 0..200 {
        let tracker = starting_at(0);
        let barrier = Barrier::new(4);
        let highest = thread::scope(|scope| {
            let running: Vec<_> = (0..4)
                .map(|thread| {
                    let (local, barrier) = (tracker.local(), &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        (0..20).fold(Incarnation::ZERO, |last, step| {
                            let to = (round + step * 7 + thread) % 50;
                            let own = match step % 4 {
                                3 => local.refute(to).unwrap(),
                                _ => local.advance_to(to).unwrap(),
                            };
                            assert!(own.get() >= to && own >= last, "{own} after {last}");
                            own
                        })
                    })
                })
                .collect();
            running
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .max()
        });
        assert_eq!(highest, Some(tracker.local().current()));
    }
}

#[test]
fn answers_to_an_alive_claim_above_its_own_are_counted_as_overtaken() {
    let tracker = starting_at(3);
    let local = tracker.local();
    assert_eq!(
        local.answer(Claim::suspect(3)),
        Ok(Answer::Refuted(4.into()))
    );
    assert_eq!(tracker.stats().overtaken, 0);
    // An earlier run of it is told of once; another process with its key answers back, time and again.
    for said in [9, 20, 31] {
        let answer = local.answer(Claim::alive(said));
        assert_eq!(answer, Ok(Answer::Overtaken((said + 1).into())));
        assert_eq!(local.answer(Claim::alive(said)), Ok(Answer::NotNeeded));
    }
    assert_eq!(tracker.stats().overtaken, 3);
}

#[test]
fn without_a_local_node_no_claim_comes_back_and_the_incarnation_is_there() {
    let tracker = starting_at(3);
    let node: std::net::SocketAddr = "10.0.0.1:7946".parse().unwrap();
    assert_eq!(tracker.local_node(), None);
    let verdict = tracker.update(&node, Claim::suspect(3), Timestamp::ZERO);
    assert_eq!(verdict, Verdict::Joined, "any node may be this one");
    let answer = tracker.local().answer(Claim::suspect(3));
    assert_eq!(answer, Ok(Answer::Refuted(4.into())));
}
