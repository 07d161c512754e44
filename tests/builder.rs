//! Limits that contradict each other are refused before anything is made.

use std::net::SocketAddr;
use std::time::Duration;

use incarnation::{BuildError, Builder, Claim, Incarnation, IncarnationTracker, Timestamp};

fn builder() -> Builder<SocketAddr> {
    IncarnationTracker::builder()
}

fn refused(builder: Builder<SocketAddr>) -> BuildError {
    builder.build().map(|_| ()).unwrap_err()
}

#[test]
fn the_defaults_match_the_documentation() {
    let tracker: IncarnationTracker = builder().build().unwrap();
    let policy = tracker.policy();
    assert_eq!(policy.max_incarnation, Incarnation::MAX);
    assert_eq!(policy.max_incarnation_jump, Some(1000));
    assert_eq!(policy.refute_limit, 1 << 32);
    assert_eq!(policy.max_first_incarnation, None);
    assert_eq!(policy.zombie_window, Duration::from_secs(60));
    assert_eq!(policy.min_rejoin_bump, 5);
    // hard_limit is twice max_nodes, and there is a quarter to spare; where the portable scheme reclaims, 6,144.
    let spare = if cfg!(incarnation_portable) {
        6_144
    } else {
        5_000
    };
    assert_eq!(tracker.capacity(), 20_000 + spare);
}

#[test]
fn the_given_limits_apply() {
    let tracker: IncarnationTracker = builder()
        .max_incarnation(99)
        .max_incarnation_jump(9)
        .max_first_incarnation(Some(Incarnation::new(7)))
        .zombie_window(Duration::from_secs(3))
        .min_rejoin_bump(2)
        .build()
        .unwrap();
    let policy = tracker.policy();
    assert_eq!(policy.max_incarnation, Incarnation::new(99));
    assert_eq!(policy.max_incarnation_jump, Some(9));
    assert_eq!(policy.max_first_incarnation, Some(Incarnation::new(7)));
    assert_eq!(policy.zombie_window, Duration::from_secs(3));
    assert_eq!(policy.min_rejoin_bump, 2);
}

#[test]
fn eviction_headroom_defaults_to_one_percent_of_max_nodes() {
    let tracker = IncarnationTracker::<u32>::builder()
        .max_nodes(1000)
        .build()
        .unwrap();
    for node in 0..1001 {
        let _ = tracker.add_unconfirmed(&node, Timestamp::ZERO);
    }
    assert_eq!(tracker.sweep(Timestamp::ZERO).capacity_evicted, 11);
    assert_eq!(tracker.len(), 990);
}

#[test]
fn max_nodes_of_zero_is_refused() {
    assert_eq!(refused(builder().max_nodes(0)), BuildError::NoNodes);
}

#[test]
fn a_hard_limit_below_max_nodes_is_refused() {
    assert_eq!(
        refused(builder().max_nodes(10).hard_limit(9)),
        BuildError::HardLimitBelowMaxNodes {
            hard_limit: 9,
            max_nodes: 10
        }
    );
    assert!(builder().max_nodes(10).hard_limit(10).build().is_ok());
}

#[test]
fn tables_above_the_maximum_size_are_refused_without_an_allocation() {
    for nodes in [
        usize::MAX,
        usize::MAX / 2,
        usize::MAX / 4,
        u32::MAX as usize,
    ] {
        let error = refused(builder().max_nodes(nodes));
        let hard_limit = nodes.saturating_mul(2);
        assert_eq!(error, BuildError::TooManyNodes { hard_limit });
        let error = refused(builder().hard_limit(nodes));
        assert_eq!(error, BuildError::TooManyNodes { hard_limit: nodes });
    }
}

#[test]
fn a_table_beyond_the_memory_of_the_system_does_not_abort() {
    // A quarter of a terabyte; whether that can be reserved is the system's policy.
    match builder().hard_limit(3 << 30).build() {
        Ok(tracker) => {
            let node = SocketAddr::from(([10, 0, 0, 1], 7946));
            let joined = tracker.update(&node, Claim::alive(1), Timestamp::ZERO);
            assert!(joined.accepted());
        }
        Err(error) => assert_eq!(
            error,
            BuildError::TooManyNodes {
                hard_limit: 3 << 30
            }
        ),
    }
}

#[test]
fn max_incarnation_beyond_the_range_is_refused() {
    let beyond = Incarnation::MAX.saturating_add(1);
    assert_eq!(
        refused(builder().max_incarnation(beyond)),
        BuildError::MaxIncarnationTooLarge {
            max_incarnation: beyond
        }
    );
    let max = Incarnation::new(100);
    let above = BuildError::IncarnationAboveMax {
        incarnation: Incarnation::new(101),
        max_incarnation: max,
    };
    let limited = || builder().max_incarnation(max);
    assert_eq!(refused(limited().local_incarnation(101)), above);
    let first = Incarnation::new(101);
    assert_eq!(refused(limited().max_first_incarnation(first)), above);
    assert!(limited().local_incarnation(100).build().is_ok());
}

#[test]
fn max_incarnation_jump_below_min_rejoin_bump_is_refused() {
    assert_eq!(
        refused(builder().max_incarnation_jump(4).min_rejoin_bump(5)),
        BuildError::JumpBelowRejoinBump {
            max_incarnation_jump: 4,
            min_rejoin_bump: 5
        }
    );
    assert!(builder().max_incarnation_jump(5).build().is_ok());
}

#[test]
fn errors_name_the_limits_that_contradict_each_other() {
    let error = refused(builder().max_nodes(10).hard_limit(9));
    let text = error.to_string();
    assert!(text.contains('9') && text.contains("10"), "{text}");
    let error: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
    assert!(error.source().is_none());
}

#[test]
fn a_zombie_window_longer_than_tombstone_retention_is_refused() {
    let (window, retention) = (Duration::from_secs(60), Duration::from_secs(59));
    let limited = || {
        builder()
            .zombie_window(window)
            .tombstone_retention(retention)
    };
    let refusal = BuildError::ZombieWindowAboveRetention {
        zombie_window: window,
        tombstone_retention: retention,
    };
    assert_eq!(refused(limited()), refusal);
    let message = refusal.to_string();
    for part in ["60s", "59s", "max_tombstones 0"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(limited().tombstone_retention(window).build().is_ok());
    assert!(limited().max_tombstones(0).build().is_ok());
    // The default retention is a day, or twice `dead_retention`.
    let day = Duration::from_secs(86_400);
    assert!(builder().zombie_window(day).build().is_ok());
    let longer = || builder().zombie_window(day * 2);
    assert!(matches!(
        refused(longer()),
        BuildError::ZombieWindowAboveRetention { .. }
    ));
    assert!(longer().dead_retention(day).build().is_ok());
}
