//! A table takes memory where nodes come to lie, and not for its limits. Alone in this file, since it measures its process.
#![cfg(target_os = "linux")]

use std::net::SocketAddr;

use incarnation::{Claim, IncarnationTracker, Timestamp};
use incarnation_testkit::resident;

#[test]
fn an_empty_tracker_of_a_million_nodes_touches_less_than_half_a_byte_for_each() {
    const NODES: usize = 1_000_000;
    // What comes with the first use of anything.
    let small = IncarnationTracker::<u64>::builder().max_nodes(100);
    let _ = small
        .build()
        .unwrap()
        .update(&1, Claim::alive(1), Timestamp::ZERO);
    let always = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
        .is_ok_and(|enabled| enabled.contains("[always]"));
    let Some(before) = resident::bytes().filter(|_| !always) else {
        // The system does not tell, or gives 2 MiB for each page that is touched.
        return;
    };
    let tracker = IncarnationTracker::<SocketAddr>::builder()
        .max_nodes(NODES)
        .build()
        .unwrap();
    let touched = resident::bytes().unwrap().saturating_sub(before);
    assert!(touched < NODES / 2, "{touched} bytes");
    assert!(tracker.is_empty());
}
