//! Whatever one thread does to it, the tracker does what the sequential model does; and what may be
//! promised of the order in which claims arrive.

use incarnation::{Claim, IncarnationTracker, Status, Timestamp};
use incarnation_testkit::lockstep;
use incarnation_testkit::ops::{SETUP_BYTES, STEP_BYTES, Setup, Step};
use proptest::collection::vec;
use proptest::prelude::*;

/// A setup and steps, from bytes: a shrunk failure has few steps, of small numbers.
fn runs() -> impl Strategy<Value = (Setup, Vec<Step>)> {
    let setup = any::<[u8; SETUP_BYTES]>();
    let steps = vec(any::<[u8; STEP_BYTES]>(), 0..200);
    (setup, steps).prop_map(|(setup, steps)| {
        let setup = Setup::from_bytes(&setup);
        let steps = steps
            .iter()
            .map(|bytes| Step::from_bytes(bytes, &setup))
            .collect();
        (setup, steps)
    })
}

/// Claims about a few nodes.
type Gossip = Vec<(u8, Claim)>;

/// Claims within the limits about a few confirmed nodes, in two orders.
fn claims_in_two_orders() -> impl Strategy<Value = (Gossip, Gossip)> {
    let confirmed = &Status::ALL[1..];
    let claim = (0..3_u8, proptest::sample::select(confirmed), 0..900_u64);
    let claims = vec(
        claim.prop_map(|(node, status, incarnation)| (node, Claim::new(status, incarnation))),
        0..30,
    );
    claims.prop_flat_map(|claims| (Just(claims.clone()), Just(claims).prop_shuffle()))
}

/// What three nodes, known to be alive at the start, are said to be after the claims.
fn told(claims: &[(u8, Claim)]) -> Vec<Option<Claim>> {
    let tracker = IncarnationTracker::<u8>::builder().build().unwrap();
    for node in 0..3 {
        assert!(tracker.confirm(&node, 0, Timestamp::ZERO).accepted());
    }
    for (node, claim) in claims {
        let _ = tracker.update(node, *claim, Timestamp::ZERO);
    }
    (0..3)
        .map(|node| Some(tracker.get(&node)?.claim()))
        .collect()
}

proptest! {
    // What fails is kept by hand, as a seed of the fuzz target.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tracker_agrees_with_the_sequential_model((setup, steps) in runs()) {
        if let Err(difference) = lockstep::run(&setup, &steps) {
            return Err(TestCaseError::fail(difference.to_string()));
        }
    }

    #[test]
    fn the_order_of_claims_about_confirmed_nodes_does_not_matter(
        (claims, shuffled) in claims_in_two_orders(),
    ) {
        prop_assert_eq!(told(&claims), told(&shuffled));
    }

    #[test]
    fn applying_every_claim_twice_changes_nothing((claims, again) in claims_in_two_orders()) {
        prop_assert_eq!(told(&claims), told(&[claims, again].concat()));
    }
}

#[test]
fn the_order_of_claims_about_unconfirmed_nodes_matters() {
    // A node that was never reached can't be suspected: who hears of the suspicion first keeps it,
    // who hears of the node first refuses it.
    let (heard_of, suspected) = ((0, Claim::unconfirmed(5)), (0, Claim::suspect(5)));
    assert_eq!(told(&[suspected, heard_of])[0], Some(Claim::suspect(5)));
    assert_eq!(told(&[heard_of, suspected])[0], Some(Claim::unconfirmed(5)));
}
