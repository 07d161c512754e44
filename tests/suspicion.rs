//! A suspicion ends in a death that the sweep declares, or in a refutation: whoever is first wins.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, Rejection, Status, SweepScope, Timestamp, Verdict};
use incarnation_testkit::start_together::meanwhile;

const TIMEOUT: Duration = Duration::from_secs(10);
const SUSPECTED: Timestamp = Timestamp::from_millis(5_000);
const LAST: Timestamp = Timestamp::from_millis(15_000);
const OVER: Timestamp = Timestamp::from_nanos(LAST.as_nanos() + 1);

fn tracker() -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .suspect_timeout(TIMEOUT)
        .build()
        .unwrap()
}

#[test]
fn a_refutation_that_comes_first_wins() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::suspect(4), SUSPECTED);
    assert!(tracker.update(&1, Claim::alive(5), LAST).accepted());
    assert_eq!(tracker.sweep(OVER).declared_dead, 0);
    assert_eq!(tracker.get(&1).unwrap().claim(), Claim::alive(5));
}

#[test]
fn a_death_that_comes_first_stands_until_a_refutation_outranks_it() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::suspect(4), SUSPECTED);
    assert_eq!(tracker.sweep(OVER).declared_dead, 1);
    let current = Claim::dead(4);
    assert_eq!(
        tracker.update(&1, Claim::alive(4), OVER),
        Verdict::Duplicate { current }
    );
    // The accused did not hear of it in time: it refutes the suspicion, and that refutes the death.
    let previous = current;
    assert_eq!(
        tracker.update(&1, Claim::alive(5), OVER),
        Verdict::Applied { previous }
    );
}

#[test]
fn a_suspicion_renewed_at_a_higher_incarnation_has_its_full_time() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::suspect(4), SUSPECTED);
    assert!(tracker.update(&1, Claim::alive(5), LAST).accepted());
    assert!(tracker.update(&1, Claim::suspect(5), LAST).accepted());
    assert_eq!(tracker.sweep(LAST + TIMEOUT).declared_dead, 0);
    let over = LAST + TIMEOUT + Duration::from_nanos(1);
    assert_eq!(tracker.sweep(over).declared_dead, 1);
}

#[test]
fn a_suspicion_heard_of_again_gets_no_more_time() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::suspect(4), SUSPECTED);
    let current = Claim::suspect(4);
    assert_eq!(
        tracker.update(&1, current, LAST),
        Verdict::Duplicate { current }
    );
    assert_eq!(tracker.sweep(OVER).declared_dead, 1);
}

#[test]
fn a_declared_death_keeps_its_incarnation_and_makes_zombies() {
    let tracker = tracker();
    let _ = tracker.update(&1, Claim::suspect(4), SUSPECTED);
    let _ = tracker.sweep(OVER);
    let Verdict::Rejected(Rejection::Zombie { required }) = tracker.rejoin(&1, 5, OVER) else {
        panic!("no zombie");
    };
    assert_eq!(required.get(), 9);
}

#[test]
fn of_refutation_and_timeout_exactly_one_is_first() {
    const ROUNDS: u64 = 1_500;
    let tracker = tracker();
    // A last update is never taken back, so each round has a time of its own.
    let begins = |round: u64| Timestamp::ZERO + TIMEOUT * 2 * u32::try_from(round).unwrap();
    let current = AtomicU64::new(0);
    let (declared, sweeps) = (AtomicU64::new(0), AtomicU64::new(0));
    let sweep = || {
        let over = begins(current.load(Ordering::SeqCst)) + TIMEOUT + Duration::from_nanos(1);
        let _ = tracker.sweep_with(SweepScope::Expiry, over, |swept| {
            // Exactly the suspicion of a round, and never what came after it.
            assert_eq!(swept.last.status, Status::Suspect);
            assert!(swept.last.incarnation.get() <= current.load(Ordering::SeqCst));
            declared.fetch_add(1, Ordering::SeqCst);
        });
        sweeps.fetch_add(1, Ordering::SeqCst);
    };
    let _ = tracker.update(&1, Claim::alive(0), Timestamp::ZERO);
    let mut refuted_deaths = 0;
    meanwhile(&[&sweep], || {
        for round in 0..ROUNDS {
            current.store(round, Ordering::SeqCst);
            let suspicion = Claim::suspect(round);
            let _ = tracker.update(&1, suspicion, begins(round));
            if round % 8 == 0 {
                // On a busy machine the sweep would never come between: one that begins after
                // the suspicion is over once two have ended.
                let before = sweeps.load(Ordering::SeqCst);
                while sweeps.load(Ordering::SeqCst) < before + 2 {
                    std::thread::yield_now();
                }
            }
            let refutation = Claim::alive(round + 1);
            match tracker.update(&1, refutation, begins(round) + TIMEOUT) {
                Verdict::Applied { previous } if previous == suspicion => {}
                Verdict::Applied { previous } if previous == Claim::dead(round) => {
                    refuted_deaths += 1;
                }
                other => panic!("round {round}: {other}"),
            }
            let now = tracker.get(&1).unwrap();
            assert_eq!(now.claim(), refutation, "nobody may touch it");
        }
    });
    assert_eq!(declared.into_inner(), refuted_deaths, "each death was met");
    assert!(
        refuted_deaths >= ROUNDS.div_ceil(8),
        "these were waited for"
    );
}
