//! Any bytes as the durable incarnation's file: only a mark, whole and undamaged, is taken.
#![no_main]

use incarnation::persist::DurableIncarnation;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    incarnation_testkit::fuzz::durable(bytes, |bytes| DurableIncarnation::decode(bytes).ok());
});
