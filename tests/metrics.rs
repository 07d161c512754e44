//! The numbers of trackers arrive at whatever recorder the `metrics` facade has.
#![cfg(feature = "metrics")]

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp};
use metrics_exporter_prometheus::PrometheusBuilder;

const NOW: Timestamp = Timestamp::ZERO;

fn tracker() -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        // So that other tests' views don't matter.
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

#[test]
fn a_scrape_shows_the_numbers_of_each_tracker() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let (peers, others) = (tracker(), tracker());
    for node in 0..7 {
        let _ = peers.update(&node, Claim::alive(1), NOW);
    }
    let _ = peers.update(&0, Claim::alive(9_999), NOW);
    let _ = peers.update(&1, Claim::dead(1), NOW);
    peers.remove(&2, NOW);
    let _ = peers.local().refute(4);
    let record = || {
        metrics::with_local_recorder(&recorder, || {
            incarnation::describe_metrics();
            peers.record_metrics("peers");
            others.record_metrics("others");
        });
        page.render()
    };
    record();
    let page = record();
    for line in [
        "# TYPE incarnation_nodes gauge",
        "# TYPE incarnation_joins_total counter",
        r#"incarnation_nodes{tracker="peers",status="alive"} 5"#,
        r#"incarnation_nodes{tracker="peers",status="dead"} 1"#,
        r#"incarnation_nodes{tracker="others",status="alive"} 0"#,
        r#"incarnation_joins_total{tracker="peers"} 7"#,
        r#"incarnation_rejections_total{tracker="peers",reason="suspicious_jump"} 1"#,
        r#"incarnation_evictions_total{tracker="peers",reason="removed"} 1"#,
        r#"incarnation_pending_reclaim_entries{tracker="peers"} 1"#,
        r#"incarnation_local_incarnation{tracker="peers"} 5"#,
    ] {
        let found = page.lines().any(|known| known.eq_ignore_ascii_case(line));
        assert!(found, "{line} is not in\n{page}");
    }
}
