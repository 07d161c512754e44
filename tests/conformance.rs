//! What the original tracker did, this one does: its rules row by row, its traces op by op.

use std::path::Path;

use incarnation::rule::{Judgement, PackedState, Policy, Proposal, Situation, judge};
use incarnation::{Claim, IncarnationTracker, Status, Timestamp, Verdict};
use incarnation_testkit::{replay, trace};
use serde::Deserialize;

/// One row of the original's table of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    current_status: trace::Status,
    incoming_status: trace::Status,
    relation: Relation,
    accepted: bool,
    resulting_status: trace::Status,
    resulting_incarnation_is: Side,
    freshness: trace::Freshness,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Relation {
    Lower,
    Equal,
    Higher,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Incoming,
    Current,
}

const STORED: u64 = 500;

impl Row {
    fn stored(&self) -> Claim {
        Claim::new(self.current_status.into(), STORED)
    }

    fn incoming(&self) -> Claim {
        let incarnation = match self.relation {
            Relation::Lower => STORED - 1,
            Relation::Equal => STORED,
            Relation::Higher => STORED + 1000,
        };
        Claim::new(self.incoming_status.into(), incarnation)
    }

    fn resulting(&self) -> Claim {
        let side = match self.resulting_incarnation_is {
            Side::Incoming => self.incoming(),
            Side::Current => self.stored(),
        };
        Claim::new(Status::from(self.resulting_status), side.incarnation())
    }
}

fn rows() -> Vec<Row> {
    let rows: Vec<Row> = serde_json::from_str(include_str!("data/merge_rules.json")).unwrap();
    assert_eq!(
        rows.len(),
        48,
        "four statuses, four statuses, three relations"
    );
    rows
}

#[test]
fn the_judge_decides_every_row_as_the_original() {
    for row in rows() {
        let stored = PackedState::of(row.stored()).unwrap();
        let claim = Proposal::claim(row.incoming());
        let judgement = judge(Situation::known(stored), claim, &Policy::default());
        let (accepted, resulting) = match judgement {
            Judgement::Write(packed, _) => (true, packed.claim()),
            _ => (false, stored.claim()),
        };
        assert_eq!(
            (accepted, resulting),
            (row.accepted, row.resulting()),
            "{row:?}"
        );
        assert_eq!(
            replay::freshness(judgement.verdict()),
            Ok(row.freshness),
            "{row:?}"
        );
    }
}

#[test]
fn the_tracker_does_every_row_as_the_original() {
    for row in rows() {
        let tracker = IncarnationTracker::<String>::builder().build().unwrap();
        let node = "10.0.0.1:7946".to_owned();
        let (before, now) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        assert_eq!(tracker.update(&node, row.stored(), before), Verdict::Joined);

        let judged = tracker.judge(&node, row.incoming(), now);
        let verdict = tracker.update(&node, row.incoming(), now);
        assert_eq!(judged, verdict, "{row:?}");
        assert_eq!(replay::freshness(verdict), Ok(row.freshness), "{row:?}");

        let state = tracker.get(&node).unwrap();
        assert_eq!(state.claim(), row.resulting(), "{row:?}");
        let last_update = if row.accepted { now } else { before };
        assert_eq!(state.last_update, last_update, "{row:?}");
    }
}

#[test]
fn every_recorded_trace_replays_without_a_difference() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces.jsonl");
    let cases = trace::read(&file).unwrap();
    let ops: usize = cases.iter().map(|case| case.ops.len()).sum();
    assert_eq!((cases.len(), ops), (302, 16_370));
    for case in cases {
        let mismatches = replay::replay(&case).unwrap();
        assert!(mismatches.is_empty(), "{}", mismatches[0]);
    }
}

#[test]
fn a_changed_trace_is_noticed() {
    let line = include_str!("data/traces.jsonl").lines().next().unwrap();
    let changed = line.replacen("\"freshness\":\"FRESH\"", "\"freshness\":\"STALE\"", 1);
    let cases = trace::parse(changed.as_bytes(), Path::new("changed")).unwrap();
    let mismatches = replay::replay(&cases[0]).unwrap();
    assert_eq!(mismatches[0].op, Some(1));
    assert_eq!(mismatches[0].expected, "Ok(Stale)");
}

#[test]
fn a_malformed_trace_names_its_line() {
    let lines: Vec<_> = include_str!("data/traces.jsonl").lines().take(2).collect();
    let torn = format!("{}\n{}", lines[0], &lines[1][..lines[1].len() / 2]);
    let error = trace::parse(torn.as_bytes(), Path::new("torn")).unwrap_err();
    assert!(error.to_string().starts_with("torn: line 2: "), "{error}");
    assert!(trace::parse(b"", Path::new("empty")).is_err());
    assert!(trace::read(Path::new("no/such/file")).is_err());
}
