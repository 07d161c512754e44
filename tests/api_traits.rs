//! What the public types can be asked for: unwinding, sending, defaults, loops, text and JSON.

use std::error::Error;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use incarnation::{
    Claim, Clock, IncarnationTracker, NodeHandle, Status, Subscriber, Sweeper, Timestamp, Verdict,
};

const NOW: Timestamp = Timestamp::ZERO;

const fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
const fn is_send_and_sync<T: Send + Sync>() {}

const _: () = {
    is_unwind_safe::<IncarnationTracker<String>>();
    is_unwind_safe::<IncarnationTracker<String, std::sync::Mutex<Vec<u8>>>>();
    is_unwind_safe::<NodeHandle<String>>();
    is_unwind_safe::<Subscriber<String>>();
    is_unwind_safe::<Sweeper>();
    is_unwind_safe::<Clock>();
    is_send_and_sync::<IncarnationTracker<String>>();
    is_send_and_sync::<NodeHandle<String>>();
    is_send_and_sync::<Subscriber<String>>();
    is_send_and_sync::<Clock>();
};

fn tracker() -> IncarnationTracker<String> {
    let tracker = IncarnationTracker::default();
    assert_eq!(
        tracker.update(&"a:1".to_string(), Claim::alive(1), NOW),
        Verdict::Joined
    );
    assert_eq!(
        tracker.update(&"b:1".to_string(), Claim::dead(4), NOW),
        Verdict::Joined
    );
    tracker
}

#[test]
fn a_default_tracker_works() {
    let tracker = tracker();
    assert_eq!(tracker.len(), 2);
    assert!(tracker.get("a:1").is_some_and(|state| state.is_alive()));
}

#[test]
fn views_and_snapshots_can_be_looped_over() {
    let tracker = tracker();
    let view = tracker.pin();
    let mut alive = 0;
    for (_, state) in &view {
        alive += usize::from(state.status.is_alive());
    }
    assert_eq!(alive, 1);
    let snapshot = tracker.snapshot(NOW);
    let by_reference: Vec<&String> = (&snapshot)
        .into_iter()
        .map(|record| record.node())
        .collect();
    assert_eq!(by_reference, ["a:1", "b:1"]);
    let statuses: Vec<Status> = snapshot.into_iter().map(|record| record.status()).collect();
    assert_eq!(statuses, [Status::Alive, Status::Dead]);
}

#[test]
fn a_refused_claim_is_an_error_and_old_news_is_not() {
    let tracker = tracker();
    let update = |claim| tracker.update(&"a:1".to_string(), claim, NOW);
    assert!(update(Claim::suspect(1)).is_accepted());
    assert!(update(Claim::alive(0)).into_result().is_ok());
    let refused = update(Claim::alive(1_000_000)).into_result();
    assert!(refused.is_err_and(|reason| reason.to_string().contains("max_incarnation_jump")));
}

#[test]
fn a_sweeper_takes_a_clock_of_the_programs() {
    let tracker = IncarnationTracker::<u32>::builder()
        .dead_retention(Duration::from_secs(10))
        .build()
        .unwrap();
    let _ = tracker.update(&1, Claim::dead(1), Timestamp::from_secs(100));
    let clock = Clock::from_fn(|| Timestamp::from_secs(200));
    let (swept, is_swept) = std::sync::mpsc::channel();
    let sweeper = Sweeper::spawn(&tracker, clock, Duration::from_secs(3600), move |gone| {
        let _ = swept.send(*gone.node);
    })
    .unwrap();
    assert_eq!(is_swept.recv(), Ok(1));
    sweeper.stop();
    assert!(is_swept.recv().is_err(), "the thread has ended");
}

#[test]
fn timestamps_stop_at_both_ends_of_time() {
    let late = Timestamp::from_secs(10);
    assert_eq!(Timestamp::ZERO - Duration::from_secs(1), Timestamp::ZERO);
    assert_eq!(Timestamp::ZERO - late, Duration::ZERO);
    assert_eq!(
        Timestamp::from(Duration::MAX) + Duration::MAX,
        Timestamp::from_nanos(u64::MAX)
    );
    let mut now = late;
    now += Duration::from_millis(1_500);
    assert_eq!(
        (now.as_secs(), now - late),
        (11, Duration::from_millis(1_500))
    );
}

#[cfg(feature = "persist")]
#[test]
fn errors_name_their_source() {
    let missing = incarnation::persist::DurableIncarnation::open("/nonexistent/directory/file");
    let error: Box<dyn Error> = missing.err().unwrap().into();
    assert!(
        error
            .source()
            .is_some_and(|source| source.is::<std::io::Error>()),
        "{error:?}"
    );
}

#[cfg(feature = "serde")]
#[test]
fn what_an_admin_page_shows_serializes_to_json() {
    use serde_json::{json, to_value};

    let tracker = tracker();
    let mut subscriber = tracker.subscribe();
    let state = tracker.get("b:1").unwrap();
    assert_eq!(
        to_value(state).unwrap(),
        json!({ "status": "dead", "incarnation": 4, "last_update": 0 })
    );
    assert_eq!(to_value(tracker.counts()).unwrap()["dead"], 1);
    assert_eq!(to_value(tracker.stats()).unwrap()["joins"], 2);
    assert_eq!(to_value(tracker.sweep(NOW)).unwrap()["declared_dead"], 0);
    assert_eq!(to_value(Verdict::Joined).unwrap(), "joined");
    let refused = tracker.update(&"a:1".to_string(), Claim::suspect(5_000), NOW);
    assert_eq!(
        to_value(refused).unwrap()["rejected"]["suspicious_jump"]["claimed"],
        5_000
    );
    let mut changes = Vec::new();
    subscriber.drain(|node, change| changes.push(to_value((node, change)).unwrap()));
    changes.sort_by_key(|change| change[0].to_string());
    assert_eq!(changes[0][0], "a:1");
    assert_eq!(changes[0][1]["joined"]["current"]["status"], "alive");
}
