//! Any bytes as a saved snapshot, or as one in a format for people: what is read keeps the rules of snapshots, and merging it those of merging.
#![no_main]

use incarnation::Snapshot;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    incarnation_testkit::fuzz::snapshot(
        bytes,
        |bytes| Snapshot::decode(bytes).ok(),
        |snapshot| snapshot.encode().expect("integers can be serialized"),
    );
    incarnation_testkit::fuzz::serialized_snapshot(
        bytes,
        |bytes| serde_json::from_slice(bytes).ok(),
        |snapshot| serde_json::to_vec(snapshot).expect("integers can be serialized"),
    );
});
