//! Any bytes: the reader of recorded traces answers, and names the line it refuses; what it reads can
//! be replayed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| incarnation_testkit::fuzz::traces(bytes));
