//! Any bytes as somebody's digest, in a format for machines and in one for people: the answer to it is what they lack.
#![no_main]

use incarnation_testkit::fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::digest(
        bytes,
        |bytes| postcard::from_bytes(bytes).ok(),
        |digest| postcard::to_allocvec(digest).expect("integers can be serialized"),
    );
    fuzz::digest(
        bytes,
        |bytes| serde_json::from_slice(bytes).ok(),
        |digest| serde_json::to_vec(digest).expect("integers can be serialized"),
    );
});
