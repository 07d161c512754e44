//! Any sequence of operations: the tracker does what the sequential model does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| incarnation_testkit::fuzz::operations(bytes));
