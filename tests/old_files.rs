//! Files and text that were written before the project's words were settled read as what they meant.
#![cfg(feature = "persist")]

use std::time::Duration;

use incarnation::{Claim, Record, Snapshot};

fn rows(rows: &[(u16, Claim)]) -> Vec<Record<u16>> {
    let row = |(node, claim): &(u16, Claim)| {
        Record::new(*node, *claim, Duration::from_secs((*node).into())).unwrap()
    };
    rows.iter().map(row).collect()
}

fn nodes() -> Vec<Record<u16>> {
    rows(&[
        (1, Claim::unconfirmed(0)),
        (2, Claim::alive(1 << 40)),
        (3, Claim::suspect(7)),
        (4, Claim::dead(8)),
        (5, Claim::left(9)),
    ])
}

/// Byte for byte as it was written then, in hexadecimal digits.
const FILE: &str = "89494e430d0a1a0a020001002a00000000000000050101000100020280808080802002000303070300040408040005050905000206040406000705050700d7ff51b7";

#[test]
fn a_stored_snapshot_reads_as_before_and_is_written_as_before() {
    let bytes: Vec<u8> = (0..FILE.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&FILE[at..at + 2], 16).unwrap())
        .collect();
    let tombstones = rows(&[(6, Claim::dead(4)), (7, Claim::left(5))]);
    let snapshot = Snapshot::new(nodes(), tombstones).unwrap();
    assert_eq!(Snapshot::decode(&bytes), Ok(snapshot.clone()));
    assert_eq!(snapshot.encode().unwrap(), bytes);
}

#[test]
fn text_that_calls_tombstones_graves_reads_as_a_snapshot() {
    let text = r#"{"nodes":[{"node":1,"status":"unconfirmed","incarnation":0,"age":{"secs":1,"nanos":0}},{"node":2,"status":"alive","incarnation":1099511627776,"age":{"secs":2,"nanos":0}},{"node":3,"status":"suspect","incarnation":7,"age":{"secs":3,"nanos":0}},{"node":4,"status":"dead","incarnation":8,"age":{"secs":4,"nanos":0}},{"node":5,"status":"left","incarnation":9,"age":{"secs":5,"nanos":0}}],"graves":[{"node":6,"status":"dead","incarnation":4,"age":{"secs":6,"nanos":0}}]}"#;
    let snapshot: Snapshot<u16> = serde_json::from_str(text).unwrap();
    let tombstones = rows(&[(6, Claim::dead(4))]);
    assert_eq!(snapshot, Snapshot::new(nodes(), tombstones).unwrap());
    assert!(
        serde_json::to_string(&snapshot)
            .unwrap()
            .contains("\"tombstones\"")
    );
}
