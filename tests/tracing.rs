//! What is rare is told as `tracing` events. One test to a process: what is told at a place in the
//! code is decided there for all threads.
#![cfg(feature = "tracing")]

use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, Timestamp};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const NOW: Timestamp = Timestamp::ZERO;

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Visit for Journal {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut journal = self.0.lock().unwrap();
        let line = journal.last_mut().unwrap();
        *line += &format!("{field}={value:?};");
    }
}

impl Subscriber for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "incarnation"
    }
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(String::new());
        event.record(&mut self.clone());
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        unreachable!("there are no spans")
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn only_sweeps_evictions_and_rejections_are_traced() {
    let journal = Journal::default();
    tracing::subscriber::with_default(journal.clone(), || {
        let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
            .dead_retention(Duration::ZERO)
            .build()
            .unwrap();
        let _ = tracker.update(&1, Claim::alive(1), NOW);
        let _ = tracker.update(&1, Claim::suspect(1), NOW);
        let _ = tracker.update(&1, Claim::suspect(1), NOW);
        let _ = tracker.get(&1);
        assert_eq!(*journal.0.lock().unwrap(), [""; 0]);
        let _ = tracker.update(&1, Claim::alive(9_999), NOW);
        let _ = tracker.update(&1, Claim::dead(1), NOW);
        let _ = tracker.sweep(NOW + Duration::from_secs(1));
    });
    let told = journal.0.lock().unwrap();
    let expected = ["refused", "evicted", "sweep"];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (line, packed) in told.iter().zip(expected) {
        assert!(line.contains(packed), "{line}");
    }
    assert!(told[1].contains("DeadRetention") && told[2].contains("evicted=1"));
}
