//! Any bytes as a saved snapshot: what is read keeps the rules of snapshots, and merging it those of merging.
#![no_main]

use incarnation::Snapshot;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    incarnation_testkit::fuzz::snapshot(
        bytes,
        |bytes| Snapshot::decode(bytes).ok(),
        |snapshot| snapshot.encode().expect("integers can be serialized"),
    );
});
